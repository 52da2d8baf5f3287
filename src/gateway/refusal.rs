//! Owns everything a client can be told instead of what it asked for. Which HTTP status that is, the edge knows.

use crate::{guard::LimitName, id::VerificationId, phone::CountryCode};

/// Why a request is refused. No variant holds a number, a key or a code.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A member is not what it must be at all.
    #[error("`{member}`: {why}")]
    Malformed {
        /// Path of the member, as in `alternates[1].to`.
        member: String,
        /// What is wrong and what would be right.
        why: String,
    },
    /// A member is readable but not within its limits.
    #[error("`{member}`: {why}")]
    OutOfRange {
        /// Path of the member.
        member: String,
        /// What is wrong and what would be right.
        why: String,
    },
    /// It is no telephone number.
    #[error("`{member}`: {why}")]
    InvalidNumber {
        /// Path of the member.
        member: String,
        /// What is wrong and what would be right.
        why: String,
    },
    /// It is a number that is never called: an emergency or short code.
    #[error("`{member}`: {why}")]
    NotCallable {
        /// Path of the member.
        member: String,
        /// Why.
        why: String,
    },
    /// The country is not on the list of those that may be called.
    #[error("numbers of {country} may not be called here")]
    CountryNotAllowed {
        /// Path of the member.
        member: String,
        /// The country.
        country: CountryCode,
    },
    /// Numbers of this kind may not be called.
    #[error("numbers of the kind `{number_type}` may not be called here")]
    NumberTypeNotAllowed {
        /// Path of the member.
        member: String,
        /// The kind, as a word of [`crate::phone`].
        number_type: String,
    },
    /// No configured carrier can do it.
    #[error("`{member}`: {why}")]
    CannotCarry {
        /// Path of the member.
        member: String,
        /// What is missing.
        why: String,
    },
    /// The client has a pending verification of this number already.
    #[error("a verification of this number is pending")]
    AlreadyPending {
        /// Which.
        id: VerificationId,
    },
    /// Somebody else has one; nothing more is said.
    #[error("this number cannot be called now")]
    NumberBusy {
        /// When to try again, in seconds.
        retry_after: u32,
    },
    /// The first request with this idempotency key is still being worked on.
    #[error("the first request with this Idempotency-Key is not finished")]
    IdempotencyInProgress,
    /// The idempotency key was used for another request.
    #[error("this Idempotency-Key was used for another request")]
    IdempotencyKeyReused,
    /// There is no such verification, or it is another client's.
    #[error("there is no such verification")]
    NotFound,
    /// It is final.
    #[error("the verification is final")]
    NotPending,
    /// Not yet.
    #[error("not possible now")]
    NotNow {
        /// When it is, in seconds; 0 where that depends on something else, as on the call.
        retry_after: u32,
    },
    /// Not in this mode.
    #[error("only possible in mode `speak`")]
    WrongMode,
    /// As many calls were placed as were allowed.
    #[error("no calls are left for this verification")]
    NoCallsLeft,
    /// A limit stands against the call, for a time.
    #[error("the limit `{}` stands against this call", .limit.as_str())]
    Limited {
        /// Which.
        limit: LimitName,
        /// When to try again, in seconds.
        retry_after: u32,
    },
    /// The call is not made: it is barred, or no time changes what stands against it.
    #[error("this call is not made here")]
    Barred {
        /// What stands against it.
        limit: LimitName,
        /// When that ends, in seconds, where it does.
        retry_after: Option<u32>,
    },
    /// More requests wait here than we hold.
    #[error("too many requests are waiting")]
    Overloaded,
    /// The store is away.
    #[error("the store is away")]
    StoreAway,
    /// No carrier that could place the call works at the moment.
    #[error("no carrier can place the call now")]
    CarriersAway,
    /// A fault in this program.
    #[error("something went wrong here")]
    Internal,
    /// We are about to stop.
    #[error("this server is stopping")]
    Draining,
}

impl Refusal {
    /// The stable code of the problem document, also for counters.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Malformed { .. } => "malformed",
            Self::OutOfRange { .. } => "out_of_range",
            Self::InvalidNumber { .. } => "invalid_number",
            Self::NotCallable { .. } => "not_callable",
            Self::CountryNotAllowed { .. } => "country_not_allowed",
            Self::NumberTypeNotAllowed { .. } => "number_type_not_allowed",
            Self::CannotCarry { .. } => "cannot_carry",
            Self::AlreadyPending { .. } => "already_pending",
            Self::NumberBusy { .. } => "number_busy",
            Self::IdempotencyInProgress => "idempotency_in_progress",
            Self::IdempotencyKeyReused => "idempotency_key_reused",
            Self::NotFound => "not_found",
            Self::NotPending => "not_pending",
            Self::NotNow { .. } => "not_now",
            Self::WrongMode => "wrong_mode",
            Self::NoCallsLeft => "no_calls_left",
            Self::Limited { .. } => "too_many",
            Self::Barred { .. } => "barred",
            Self::Overloaded => "overloaded",
            Self::StoreAway => "store_away",
            Self::CarriersAway => "carriers_away",
            Self::Internal => "internal",
            Self::Draining => "draining",
        }
    }

    /// The member of the request it is about.
    #[must_use]
    pub fn member(&self) -> Option<&str> {
        match self {
            Self::Malformed { member, .. }
            | Self::OutOfRange { member, .. }
            | Self::InvalidNumber { member, .. }
            | Self::NotCallable { member, .. }
            | Self::CountryNotAllowed { member, .. }
            | Self::NumberTypeNotAllowed { member, .. }
            | Self::CannotCarry { member, .. } => Some(member),
            Self::AlreadyPending { .. }
            | Self::NumberBusy { .. }
            | Self::IdempotencyInProgress
            | Self::IdempotencyKeyReused
            | Self::NotFound
            | Self::NotPending
            | Self::NotNow { .. }
            | Self::WrongMode
            | Self::NoCallsLeft
            | Self::Limited { .. }
            | Self::Barred { .. }
            | Self::Overloaded
            | Self::StoreAway
            | Self::CarriersAway
            | Self::Internal
            | Self::Draining => None,
        }
    }

    pub(super) fn out_of_range(member: impl Into<String>, why: impl Into<String>) -> Self {
        Self::OutOfRange { member: member.into(), why: why.into() }
    }
}
