//! How a world is made: what may go wrong in it, what its callees want, and the faults that are planted to see
//! whether the checks notice.

use ringproof::{
    callflow::CallFlow,
    id::NumberHash,
    outcome::{Mode, Purpose},
    secret::Secret,
    verification::{Policy, Request, Route, Target},
};

use super::{phone::Will, rng::Rng};

/// Keys before this do not count, in ms.
pub(crate) const EARLY_MS: u64 = 1_000;

/// How a world is made.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub mode: Mode,
    pub targets: u8,
    pub routes: u8,
    pub max_calls: u8,
    pub expires_in: u64,
    pub wills: Vec<Will>,
    /// Percentages.
    pub stale: u64,
    pub away: u64,
    pub reply_lost: u64,
    pub crash: u64,
    pub repeat: u64,
    pub lose: u64,
    pub forge: u64,
    pub refuse: u64,
    pub unknown: u64,
    /// Largest delay of a message, in ms.
    pub delay: u64,
    /// How far a gateway's clock may be off, in ms.
    pub skew: u64,
    /// How late the sweeper may be, in ms.
    pub sweep: u64,
    pub cancel: u64,
    pub redial: u64,
}

impl Plan {
    pub(crate) fn random(seed: u64) -> Self {
        let mut rng = Rng::new(seed.wrapping_mul(31).wrapping_add(7));
        let rough = rng.chance(70);
        let mut rate = |most: u64| if rough && rng.chance(50) { rng.between(0, most) } else { 0 };
        let (stale, away, reply_lost, crash) = (rate(40), rate(12), rate(12), rate(10));
        let (repeat, lose, forge, refuse, unknown) = (rate(60), rate(30), rate(30), rate(40), rate(40));
        Self {
            mode: *rng.pick(&[Mode::Confirm, Mode::Confirm, Mode::Match, Mode::Speak]),
            targets: u8::try_from(rng.between(1, 3)).unwrap(),
            routes: u8::try_from(rng.between(1, 2)).unwrap(),
            max_calls: u8::try_from(rng.between(1, 5)).unwrap(),
            expires_in: *rng.pick(&[60_000, 120_000, 300_000, 300_000]),
            wills: (0..12).map(|_| *rng.pick(Will::ALL)).collect(),
            stale,
            away,
            reply_lost,
            crash,
            repeat,
            lose,
            forge,
            refuse,
            unknown,
            delay: *rng.pick(&[20, 300, 1_500, 6_000]),
            skew: *rng.pick(&[0, 0, 200, 900]),
            sweep: *rng.pick(&[200, 700, 9_000]),
            cancel: *rng.pick(&[0, 0, 0, 10]),
            redial: *rng.pick(&[0, 0, 0, 25]),
        }
    }

    pub(crate) fn quiet(will: Will) -> Self {
        let mode = match will {
            Will::KeyTheCode | Will::CodeWithoutPound | Will::WrongCode => Mode::Match,
            Will::TypeTheCode => Mode::Speak,
            _ => Mode::Confirm,
        };
        Self {
            mode,
            targets: 1,
            routes: 1,
            max_calls: 3,
            expires_in: 300_000,
            wills: vec![will; 12],
            stale: 0,
            away: 0,
            reply_lost: 0,
            crash: 0,
            repeat: 0,
            lose: 0,
            forge: 0,
            refuse: 0,
            unknown: 0,
            delay: 300,
            skew: 0,
            sweep: 200,
            cancel: 0,
            redial: 0,
        }
    }
}

/// A fault built in on purpose, to see whether the checks notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Plant {
    Nothing,
    /// A repeated key approves again.
    RepeatedApproval,
    /// Neither the core's clock nor the store's deadline is looked at when a key comes.
    ApprovalAfterExpiry,
    /// An outcome written by the sweeper is not reported.
    LostOutcome,
    /// A call whose placement is unknown is placed again.
    SecondRing,
    /// The proof in the token is not looked at.
    ForgedToken,
    /// Keys in the first second count.
    EarlyKeys,
    /// Keys count although nobody has answered.
    KeysWhileRinging,
    /// A call that has ended is not written into the call log.
    LostRecord,
}

impl Plant {
    pub(crate) const FAULTS: &'static [Self] = &[
        Self::RepeatedApproval,
        Self::ApprovalAfterExpiry,
        Self::LostOutcome,
        Self::SecondRing,
        Self::ForgedToken,
        Self::EarlyKeys,
        Self::KeysWhileRinging,
        Self::LostRecord,
    ];

    pub(crate) const fn caught_as(self) -> &'static str {
        match self {
            Self::Nothing => "",
            Self::RepeatedApproval => "reported more than once",
            Self::ApprovalAfterExpiry => "after its expiry",
            Self::LostOutcome => "never reported",
            Self::SecondRing => "dialled twice",
            Self::ForgedToken | Self::EarlyKeys | Self::KeysWhileRinging => "without the right keys",
            Self::LostRecord => "not in the call log",
        }
    }
}

pub(crate) fn flow(mode: Mode) -> CallFlow {
    let (name, source) = match mode {
        Mode::Confirm => ("confirm.xml", include_str!("confirm.xml")),
        Mode::Match => ("match.xml", include_str!("match.xml")),
        Mode::Speak => ("speak.xml", include_str!("speak.xml")),
    };
    CallFlow::parse(name, source).unwrap_or_else(|faults| panic!("{faults:#?}"))
}

pub(crate) fn request(plan: &Plan, flow: &CallFlow, code: &str, plant: Plant) -> Request {
    let target = |n: u8| Target {
        to: format!("+81901234567{n}").parse().unwrap(),
        number_hash: NumberHash::new([n; 16]),
        country: "JP".parse().unwrap(),
        number_type: String::from("mobile"),
        extension: None,
        locale: String::from("en"),
        routes: (0..plan.routes)
            .map(|r| Route { carrier: format!("carrier-{r}"), caller_id: "+815012345678".parse().unwrap() })
            .collect(),
    };
    Request {
        client: String::from("enrolment"),
        targets: (0..plan.targets).map(target).collect(),
        mode: plan.mode,
        flow: flow.id().to_owned(),
        flow_version: flow.version(),
        brand: String::from("Contoso"),
        purpose: Purpose::Enrolment,
        purpose_text: None,
        code: (plan.mode != Mode::Confirm).then(|| Secret::new(code.parse().unwrap())),
        reference: None,
        metadata: Vec::new(),
        callback_url: None,
        policy: Policy {
            max_calls: plan.max_calls,
            ring_timeout_ms: 30_000,
            call_limit_ms: 90_000,
            early_keys_ms: if plant == Plant::EarlyKeys { 0 } else { u32::try_from(EARLY_MS).unwrap() },
            closing_ms: 5_000,
            max_wrong_entries: 5,
            redial_after_ms: 30_000,
            call_speed: 1,
        },
    }
}
