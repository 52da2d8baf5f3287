//! Owns chance: the same seed, the same world.

/// Numbers that look random (xorshift64*).
pub(in crate::sip) struct Dice(u64);

impl Dice {
    pub(in crate::sip) const fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// A number below `end`.
    pub(in crate::sip) fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let number = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32;
        usize::try_from(number).unwrap() % end.max(1)
    }

    /// True this often in a hundred.
    pub(in crate::sip) fn percent(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    pub(in crate::sip) fn pick<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }

    /// A message, spoilt: bytes changed, cut out, doubled, or a line moved.
    pub(in crate::sip) fn spoil(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut spoilt = bytes.to_vec();
        for _ in 0..=self.below(4) {
            if spoilt.is_empty() {
                return spoilt;
            }
            let (at, length) = (self.below(spoilt.len()), 1 + self.below(12));
            let end = (at + length).min(spoilt.len());
            match self.below(6) {
                0 => spoilt[at] = u8::try_from(self.below(256)).unwrap(),
                1 => drop(spoilt.drain(at..end)),
                2 => drop(spoilt.splice(at..at, bytes[..length.min(bytes.len())].to_vec())),
                3 => spoilt.truncate(at),
                4 => {
                    let part = spoilt[at..end].to_vec();
                    spoilt.splice(at..at, part);
                }
                _ => {
                    let odd: &[&[u8]] = &[
                        b"\r\n",
                        b"\r\n\r\n",
                        b";",
                        b",",
                        b"\"",
                        b"<",
                        b">",
                        b"@",
                        b":",
                        b"\\",
                        b"\0",
                        b"\xff",
                        b"999999999999",
                        b"=",
                    ];
                    let odd = *self.pick(odd);
                    spoilt.splice(at..at, odd.iter().copied());
                }
            }
        }
        spoilt
    }
}
