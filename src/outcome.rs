//! Owns the words that the outside world reads: modes, statuses, stages, reasons, faults. They are fixed by the
//! outer contract; what leads to them is decided in the verification core.

use std::{fmt, str::FromStr};

use minicbor::{Decode, Encode};

/// Makes a plain enum with one fixed outside name for each variant. The names are taken as tokens: the description of the
/// API does not see through a `literal` that a macro hands on.
macro_rules! words {
    ($(#[$meta:meta])* $name:ident { $($(#[$vmeta:meta])* $index:literal $variant:ident = $text:tt),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
        #[cbor(index_only)]
        pub enum $name { $($(#[$vmeta])* #[n($index)] #[serde(rename = $text)] $variant),+ }

        impl $name {
            /// Every value, in the order of the contract.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word as the outside world reads it.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl FromStr for $name {
            type Err = UnknownWord;

            fn from_str(text: &str) -> Result<Self, UnknownWord> {
                Self::ALL.iter().copied().find(|word| word.as_str() == text).ok_or_else(|| UnknownWord {
                    word: text.chars().take(40).collect(),
                    known: Self::ALL.iter().map(|word| word.as_str()).collect::<Vec<_>>().join(", "),
                })
            }
        }
    };
}

/// A word that is none of the known ones.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{word}` is none of: {known}")]
pub struct UnknownWord {
    /// What was given, at most 40 characters of it.
    pub word: String,
    /// The words there are.
    pub known: String,
}

words! {
    /// What the callee has to do.
    Mode {
        /// Press `#`.
        0 Confirm = "confirm",
        /// Key in the digits shown on the screen, then `#`.
        1 Match = "match",
        /// Hear a code and type it on the web.
        2 Speak = "speak",
    }
}

words! {
    /// What a verified outcome proves.
    Strength {
        /// Somebody who holds the telephone agreed.
        0 Possession = "possession",
        /// Besides, the call belongs to the session whose screen showed the digits.
        1 SessionBound = "session_bound",
    }
}

words! {
    /// Why the call is made, for the wording of the prompts.
    Purpose {
        /// The telephone becomes a sign-in method.
        0 Enrolment = "enrolment",
        /// Somebody signs in.
        1 SignIn = "sign_in",
        /// A transaction is approved.
        2 Transaction = "transaction",
    }
}

words! {
    /// Where a verification stands. All but `pending` are final and never change.
    Status {
        /// Not decided.
        0 Pending = "pending",
        /// The right keys came, in time, in a live call.
        1 Verified = "verified",
        /// It did not come to that; the reason says why.
        2 Failed = "failed",
        /// The callee said no.
        3 Denied = "denied",
        /// Its time ran out.
        4 Expired = "expired",
        /// The client took it back.
        5 Canceled = "canceled",
    }
}

words! {
    /// How far the call that is alive, or the last one, has come.
    Stage {
        /// Not yet handed to a carrier.
        0 Queued = "queued",
        /// Handed to a carrier.
        1 Dialing = "dialing",
        /// The telephone rings.
        2 Ringing = "ringing",
        /// Somebody, or something, answered.
        3 Answered = "answered",
        /// The prompt is being heard; keys are awaited.
        4 Prompting = "prompting",
        /// The call is over.
        5 Ended = "ended",
    }
}

words! {
    /// Why a verification ended as it did.
    Reason {
        /// It rang, nobody answered.
        0 NoAnswer = "no_answer",
        /// The line was busy.
        1 Busy = "busy",
        /// The call was declined.
        2 Rejected = "rejected",
        /// The number cannot be reached now.
        3 Unreachable = "unreachable",
        /// There is no such number.
        4 InvalidNumber = "invalid_number",
        /// A mailbox answered.
        5 Voicemail = "voicemail",
        /// A call-screening service answered.
        6 Screened = "screened",
        /// The callee hung up before the prompt was over.
        7 HungUpBeforePrompt = "hung_up_before_prompt",
        /// The callee heard the prompt and hung up.
        8 HungUpAfterPrompt = "hung_up_after_prompt",
        /// Nothing was pressed.
        9 NoInput = "no_input",
        /// Digits came, the closing `#` did not.
        10 NoTerminator = "no_terminator",
        /// Other keys were pressed.
        11 WrongInput = "wrong_input",
        /// The code was wrong.
        12 WrongCode = "wrong_code",
        /// The carrier, or we, could not make the call.
        13 CarrierError = "carrier_error",
        /// The number may not be called.
        14 Blocked = "blocked",
        /// The callee pressed the key for "no".
        15 CalleeDenied = "callee_denied",
        /// The callee reported an unwanted call.
        16 FraudReported = "fraud_reported",
        /// Time ran out before anybody answered.
        17 NotAnsweredInTime = "not_answered_in_time",
        /// Time ran out after somebody had answered.
        18 NotConfirmedInTime = "not_confirmed_in_time",
        /// The client canceled.
        19 ByClient = "by_client",
    }
}

impl Reason {
    /// The status that this reason belongs to.
    #[must_use]
    pub const fn status(self) -> Status {
        match self {
            Self::NoAnswer
            | Self::Busy
            | Self::Rejected
            | Self::Unreachable
            | Self::InvalidNumber
            | Self::Voicemail
            | Self::Screened
            | Self::HungUpBeforePrompt
            | Self::HungUpAfterPrompt
            | Self::NoInput
            | Self::NoTerminator
            | Self::WrongInput
            | Self::WrongCode
            | Self::CarrierError
            | Self::Blocked => Status::Failed,
            Self::CalleeDenied | Self::FraudReported => Status::Denied,
            Self::NotAnsweredInTime | Self::NotConfirmedInTime => Status::Expired,
            Self::ByClient => Status::Canceled,
        }
    }

    /// What the person, or the backend, does best next.
    #[must_use]
    pub const fn next_step(self) -> NextStep {
        match self {
            Self::NoAnswer | Self::Unreachable | Self::Voicemail | Self::Screened => NextStep::TryAlternate,
            Self::Busy => NextStep::Wait,
            Self::InvalidNumber => NextStep::CheckNumber,
            Self::Rejected
            | Self::HungUpBeforePrompt
            | Self::HungUpAfterPrompt
            | Self::NoInput
            | Self::NoTerminator
            | Self::WrongInput
            | Self::WrongCode
            | Self::CarrierError
            | Self::NotAnsweredInTime
            | Self::NotConfirmedInTime
            | Self::ByClient => NextStep::Redial,
            Self::Blocked | Self::CalleeDenied | Self::FraudReported => NextStep::ContactSupport,
        }
    }
}

words! {
    /// What to do after a verification that did not succeed.
    NextStep {
        /// Call the same number again.
        0 Redial = "redial",
        /// Call another number.
        1 TryAlternate = "try_alternate",
        /// Look whether the number is right.
        2 CheckNumber = "check_number",
        /// Try again later.
        3 Wait = "wait",
        /// A person has to look at it.
        4 ContactSupport = "contact_support",
    }
}

words! {
    /// Whose fault it is that a call ended as it did.
    Fault {
        /// The callee's side: busy, away, hung up.
        0 Callee = "callee",
        /// The carrier or the network behind it.
        1 Carrier = "carrier",
        /// What was asked for cannot be done: a wrong number, a barred country.
        2 Request = "request",
        /// This gateway or its configuration.
        3 Us = "us",
        /// Nobody can tell.
        4 Unknown = "unknown",
        /// Nothing went wrong.
        5 None = "none",
    }
}

words! {
    /// What a signed identity of a caller vouches for (ATIS-1000074).
    Attestation {
        /// Full: the signer knows the caller, and that the number is theirs.
        0 Full = "A",
        /// Partial: the signer knows the caller, not the number.
        1 Partial = "B",
        /// Gateway: neither.
        2 Gateway = "C",
    }
}

words! {
    /// How far the result of a verification has come on its way to the backend.
    DeliveryOutcome {
        /// The backend acknowledged it.
        0 Delivered = "delivered",
        /// It was not acknowledged yet, and is tried again.
        1 Waiting = "waiting",
        /// It is not tried any more: a dead letter.
        2 GivenUp = "given_up",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_read_back() {
        for reason in Reason::ALL {
            assert_eq!(reason.as_str().parse(), Ok(*reason));
            assert_ne!(reason.status(), Status::Pending);
            assert_eq!(serde_json::to_value(reason).unwrap(), reason.as_str());
        }
        assert_eq!(
            "maybe".parse::<Status>().unwrap_err().to_string(),
            "`maybe` is none of: pending, verified, failed, denied, expired, canceled"
        );
    }
}
