//! Owns what a client may ask for: the members of the create request and of the listings, as they are sent. Whether
//! they make sense is judged in [`super::admit`].

use std::collections::BTreeMap;

use serde::{
    Deserialize, Deserializer,
    de::{self, Unexpected, Visitor},
};
use utoipa::ToSchema;

use crate::{
    outcome::{Fault, Mode, Purpose, Reason, Status},
    time::Timestamp,
};

/// A request for a verification.
#[derive(Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateRequest {
    /// The number: E.164, or the national form with `country`. Spaces, hyphens, full-width digits, a leading 0, and
    /// 184/186 in Japan are understood.
    #[schema(example = "090-1234-5678")]
    pub to: String,
    /// ISO 3166-1 alpha-2 code, used when `to` is not international.
    #[schema(example = "JP")]
    #[serde(default)]
    pub country: Option<String>,
    /// Up to 3 more numbers, called one after another when the one before was not reached.
    #[schema(max_items = 3)]
    #[serde(default)]
    pub alternates: Vec<AlternateRequest>,
    /// What the callee has to do; `confirm` where nothing is said.
    #[serde(default)]
    pub mode: Option<Mode>,
    /// Which call flow; that of the configuration, or one of the mode, where nothing is said.
    #[serde(default)]
    pub flow: Option<String>,
    /// Language of the prompts (BCP 47).
    #[schema(example = "ja-JP")]
    #[serde(default)]
    pub locale: Option<String>,
    /// Who is said to call; at most 64 characters.
    #[schema(max_length = 64)]
    #[serde(default)]
    pub brand: Option<String>,
    /// Why the call is made.
    #[serde(default)]
    pub purpose: Option<Purpose>,
    /// A short text about the purpose, said to the callee by flows that have a place for it; at most 64 characters.
    #[schema(max_length = 64)]
    #[serde(default)]
    pub purpose_text: Option<String>,
    /// Dialled after answer: digits, `*`, `#`, and `,` for a second of waiting; at most 32 characters.
    #[schema(max_length = 32, pattern = "^[0-9*#,]+$")]
    #[serde(default)]
    pub extension: Option<String>,
    /// Your own code for `match` or `speak`, 6 to 10 digits; otherwise we make one.
    #[schema(min_length = 6, max_length = 10, pattern = "^[0-9]{6,10}$")]
    #[serde(default)]
    pub code: Option<String>,
    /// Life of the verification in seconds.
    #[schema(minimum = 60, maximum = 600)]
    #[serde(default, deserialize_with = "whole_number")]
    pub expires_in: Option<u32>,
    /// Most calls that may be placed.
    #[schema(minimum = 1, maximum = 5)]
    #[serde(default, deserialize_with = "whole_number")]
    pub max_calls: Option<u32>,
    /// Call through this carrier of the configuration and no other; needs the scope `admin`. For trying a carrier out.
    #[schema(max_length = 32)]
    #[serde(default)]
    pub carrier: Option<String>,
    /// Your own name for it, returned as given; at most 64 characters.
    #[schema(max_length = 64)]
    #[serde(default)]
    pub reference: Option<String>,
    /// The address of the internet from which somebody asked you for this, IPv4 or IPv6: how often one address may ask is
    /// limited. Kept as a keyed hash only.
    #[schema(example = "203.0.113.7")]
    #[serde(default)]
    pub source_ip: Option<String>,
    /// Your own pairs, returned as given: at most 16, names of 40 and values of 256 characters, 4 KiB together.
    #[serde(default)]
    pub metadata: BTreeMap<String, String>,
    /// Where the result is posted: https.
    #[schema(format = "uri")]
    #[serde(default)]
    pub callback_url: Option<String>,
}

/// A whole number, however JSON writes it: `3.0` is one too (JSON Schema, `integer`).
fn whole_number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u32>, D::Error> {
    struct Whole;

    impl Visitor<'_> for Whole {
        type Value = u32;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("u32")
        }

        fn visit_u64<E: de::Error>(self, value: u64) -> Result<u32, E> {
            u32::try_from(value).map_err(|_| E::invalid_value(Unexpected::Unsigned(value), &self))
        }

        fn visit_f64<E: de::Error>(self, value: f64) -> Result<u32, E> {
            let whole = value.fract() == 0.0 && (0.0..=f64::from(u32::MAX)).contains(&value);
            if whole { Ok(value as u32) } else { Err(E::invalid_value(Unexpected::Float(value), &self)) }
        }
    }

    struct Perhaps;

    impl<'de> Visitor<'de> for Perhaps {
        type Value = Option<u32>;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("u32")
        }

        fn visit_none<E: de::Error>(self) -> Result<Option<u32>, E> {
            Ok(None)
        }

        fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Option<u32>, D::Error> {
            deserializer.deserialize_any(Whole).map(Some)
        }
    }

    deserializer.deserialize_option(Perhaps)
}

/// One more number that may be called.
#[derive(Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AlternateRequest {
    /// The number, as in `to` of the request.
    pub to: String,
    /// Its country; that of the request where nothing is said.
    #[serde(default)]
    pub country: Option<String>,
    /// Dialled after answer.
    #[schema(max_length = 32, pattern = "^[0-9*#,]+$")]
    #[serde(default)]
    pub extension: Option<String>,
    /// Language of the prompts; that of the request where nothing is said.
    #[serde(default)]
    pub locale: Option<String>,
}

/// Shows that there is a request, not what is in it: numbers and codes stay out of logs.
impl std::fmt::Debug for CreateRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CreateRequest")
            .field("mode", &self.mode)
            .field("alternates", &self.alternates.len())
            .finish_non_exhaustive()
    }
}

/// Shows that there is one, not the number.
impl std::fmt::Debug for AlternateRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AlternateRequest").finish_non_exhaustive()
    }
}

/// Which of a client's own verifications.
#[derive(Debug, Clone, Default)]
pub struct VerificationsQuery {
    /// Only with this reference.
    pub reference: Option<String>,
    /// Only with this status.
    pub status: Option<Status>,
    /// Where the page begins, as the page before gave it.
    pub cursor: Option<String>,
    /// At most so many; 1 to 100.
    pub limit: Option<usize>,
}

/// Which records of the call log.
#[derive(Clone, Default)]
pub struct CallsQuery {
    /// Who asks: name of the API key, for the audit log.
    pub asked_by: String,
    /// Only of this client's verifications; `None` for those of all clients, which only operators may see.
    pub client: Option<String>,
    /// Ended at or after.
    pub since: Option<Timestamp>,
    /// Ended before.
    pub until: Option<Timestamp>,
    /// To this number, in any form that `to` may have.
    pub number: Option<String>,
    /// To a number that ends so: 1 to 4 digits.
    pub last_digits: Option<String>,
    /// Of verifications with this reference.
    pub reference: Option<String>,
    /// Of a verification with this status when the call was over.
    pub status: Option<Status>,
    /// With this reason.
    pub reason: Option<Reason>,
    /// With an end that is the fault of this one.
    pub fault: Option<Fault>,
    /// Through this carrier.
    pub carrier: Option<String>,
    /// To this country; also how a national `number` is read.
    pub country: Option<String>,
    /// Where the page begins, as the page before gave it.
    pub cursor: Option<String>,
    /// At most so many; 1 to 1000.
    pub limit: Option<usize>,
}

/// Shows everything but the number.
impl std::fmt::Debug for CallsQuery {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CallsQuery")
            .field("asked_by", &self.asked_by)
            .field("client", &self.client)
            .field("since", &self.since)
            .field("until", &self.until)
            .field("status", &self.status)
            .field("reason", &self.reason)
            .field("fault", &self.fault)
            .field("carrier", &self.carrier)
            .field("country", &self.country)
            .field("limit", &self.limit)
            .finish_non_exhaustive()
    }
}
