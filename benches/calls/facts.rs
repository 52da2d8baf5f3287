//! Owns the calls that fill the log: made up from a number, the same in each run, with the shares that real ones have,
//! and with some values that are very rare.

use ringproof::{
    id::{CallId, NumberHash, VerificationId},
    outcome::{Fault, Mode, Reason, Status},
    phone::E164,
    time::Timestamp,
    verification::{CallRecord, Cause, End, EntryClass, Event, What},
};

/// One call, as far as filters look at it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fact {
    pub(crate) n: u64,
    pub(crate) ended_at: Timestamp,
    pub(crate) client: &'static str,
    pub(crate) carrier: &'static str,
    pub(crate) country: &'static str,
    pub(crate) number: u64,
    pub(crate) outcome: Outcome,
}

/// How a call ends, and how many of 100,000 end so.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Outcome {
    share: u64,
    pub(crate) reason: Option<Reason>,
    end: End,
    pub(crate) fault: Fault,
    sip: Option<u16>,
    key: Option<EntryClass>,
}

const fn outcome(share: u64, reason: Option<Reason>, end: End, fault: Fault, key: Option<EntryClass>) -> Outcome {
    Outcome { share, reason, end, fault, sip: None, key }
}

const OUTCOMES: [Outcome; 11] = [
    outcome(72_000, None, End::Completed, Fault::None, Some(EntryClass::Pound)),
    outcome(12_000, Some(Reason::NoAnswer), End::NoAnswer, Fault::Callee, None),
    outcome(5_000, Some(Reason::Busy), End::Busy, Fault::Callee, None),
    outcome(4_000, Some(Reason::Voicemail), End::Completed, Fault::Callee, None),
    outcome(3_000, Some(Reason::HungUpBeforePrompt), End::Completed, Fault::Callee, None),
    outcome(2_000, Some(Reason::NoInput), End::Completed, Fault::Callee, Some(EntryClass::Silence)),
    outcome(1_500, Some(Reason::CarrierError), End::CarrierError, Fault::Carrier, None),
    outcome(400, Some(Reason::InvalidNumber), End::InvalidNumber, Fault::Request, None),
    outcome(95, Some(Reason::CalleeDenied), End::Completed, Fault::None, Some(EntryClass::Star)),
    outcome(4, Some(Reason::FraudReported), End::Completed, Fault::None, Some(EntryClass::Zero)),
    outcome(1, Some(Reason::Blocked), End::Blocked, Fault::Us, None),
];
const CLIENTS: [(u64, &str); 5] =
    [(60_000, "shop"), (25_000, "bank"), (12_000, "portal"), (2_990, "staging"), (10, "pilot")];
const CARRIERS: [(u64, &str); 4] = [(70_000, "main"), (28_000, "trunk"), (1_998, "reserve"), (2, "retired")];
const COUNTRIES: [(u64, &str, &str); 5] = [
    (70_000, "JP", "+8190"),
    (25_000, "US", "+1415"),
    (4_000, "DE", "+49151"),
    (998, "FR", "+336"),
    (2, "IS", "+35461"),
];

/// How long the log reaches back, in ms: a little less than records are kept.
const REACHES_BACK_MS: u64 = 29 * 24 * 3_600_000;
/// Calls to one number, on average.
const CALLS_PER_NUMBER: u64 = 3;

/// The `n`th of `all` calls, oldest first.
pub(crate) fn fact(n: u64, all: u64, now: Timestamp) -> Fact {
    let apart = REACHES_BACK_MS / all;
    let back = (all - n) * apart + mixed(n, 0) % apart.max(1);
    let country = pick(mixed(n, 3), COUNTRIES.iter().map(|(share, ..)| *share));
    Fact {
        n,
        ended_at: Timestamp::from_ms(now.as_ms() - back),
        client: CLIENTS[pick(mixed(n, 1), CLIENTS.iter().map(|(share, _)| *share))].1,
        carrier: CARRIERS[pick(mixed(n, 2), CARRIERS.iter().map(|(share, _)| *share))].1,
        country: COUNTRIES[country].1,
        number: mixed(n, 4) % (all / CALLS_PER_NUMBER).max(1),
        outcome: OUTCOMES[pick(mixed(n, 5), OUTCOMES.iter().map(|outcome| outcome.share))],
    }
}

impl Fact {
    /// The number called. Which country it belongs to depends on the call: the filters look at the record.
    pub(crate) fn e164(&self) -> E164 {
        let prefix = COUNTRIES.iter().find(|(_, country, _)| *country == self.country).unwrap().2;
        let digits = match self.country {
            "US" => 7,
            "IS" => 5,
            _ => 8,
        };
        // A prime, so that no two numbers become the same; the first digit is 2 or more.
        let scattered = 2 * 10_u64.pow(digits - 1) + (self.number * 7_919) % (8 * 10_u64.pow(digits - 1));
        format!("{prefix}{scattered}").parse().unwrap()
    }

    pub(crate) fn reference(&self) -> String {
        format!("user-{}", self.number)
    }

    pub(crate) fn status(&self) -> Status {
        self.outcome.reason.map_or(Status::Verified, Reason::status)
    }

    /// Its name; the partition is that of the number.
    pub(crate) fn id(&self, number: NumberHash) -> CallId {
        let mut entropy = [0; 16];
        entropy[..8].copy_from_slice(&mixed(self.n, 6).to_be_bytes());
        entropy[8..].copy_from_slice(&mixed(self.n, 7).to_be_bytes());
        let made = Timestamp::from_ms(self.ended_at.as_ms() - 21_000);
        CallId { verification: VerificationId::new(made, entropy, number.partition()), index: 0 }
    }

    /// The whole record, as the core makes it of such a call.
    pub(crate) fn record(&self, number_hash: NumberHash) -> CallRecord {
        let (e164, id, end) = (self.e164(), self.id(number_hash), self.ended_at.as_ms());
        let at = |before_end: u64| Timestamp::from_ms(end - before_end);
        let answered = self.outcome.end == End::Completed;
        let rang = answered || matches!(self.outcome.end, End::NoAnswer | End::Busy);
        let mut happened = vec![(21_000, What::Queued), (20_990, What::Dialing)];
        happened.extend(rang.then_some((18_000, What::Ringing)));
        if answered {
            happened.extend([(10_000, What::Answered), (9_980, What::Prompted)]);
            happened.extend(self.outcome.key.map(|class| (4_000, What::Entry(class))));
        }
        happened.push((10, What::Decided(self.status())));
        happened.push((0, What::Ended(self.outcome.end)));
        let events = (1..).zip(happened).map(|(seq, (before_end, what))| Event {
            seq,
            at: at(before_end),
            call: (!matches!(what, What::Decided(_))).then_some(0),
            what,
        });
        CallRecord {
            client: self.client.to_owned(),
            reference: Some(self.reference()),
            to_masked: e164.to_string(),
            number_hash,
            country: self.country.parse().unwrap(),
            number_type: String::from("mobile"),
            carrier: self.carrier.to_owned(),
            carrier_call_id: Some(format!("CA{:016x}{:016x}", mixed(self.n, 8), mixed(self.n, 9))),
            caller_id: Some("+815012345678".parse().unwrap()),
            locale: String::from("ja-JP"),
            flow: String::from("press-pound"),
            flow_version: 0x5f3e_9a77_0102_0304,
            mode: Mode::Confirm,
            status: self.status(),
            reason: self.outcome.reason,
            queued_at: at(21_000),
            placed_at: Some(at(20_800)),
            ringing_at: rang.then_some(at(18_000)),
            answered_at: answered.then_some(at(10_000)),
            ended_at: self.ended_at,
            cause: Some(Cause {
                end: self.outcome.end,
                fault: self.outcome.fault,
                carrier_code: (self.outcome.fault == Fault::Carrier).then(|| String::from("31005")),
                sip_status: self.outcome.sip,
            }),
            prompts: u8::from(answered),
            answered_by: None,
            block_requested: false,
            events: events.collect(),
            attestation: None,
            price: None,
            delivery: None,
            id,
        }
    }
}

/// Which of these shares a random number falls into.
fn pick(random: u64, shares: impl Iterator<Item = u64>) -> usize {
    let mut left = random % 100_000;
    for (at, share) in shares.enumerate() {
        if left < share {
            return at;
        }
        left -= share;
    }
    0
}

/// A number that looks random, the same for the same two (`SplitMix64`).
pub(crate) fn mixed(n: u64, salt: u64) -> u64 {
    let mut z = (n ^ (salt << 56)).wrapping_add(0x9e37_79b9_7f4a_7c15).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
