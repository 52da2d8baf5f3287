//! Owns what operators see of the limits and do about them: the settings in force, what is spent, the bars that stand;
//! barring, allowing and lifting. Each of these stands in the audit log.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};
use tracing::info;
use utoipa::ToSchema;

use super::{AUDIT_LOG, Client, Gateway, Refusal, Shell, admit::number_refusal, create::store_away};
use crate::{
    guard::{
        Subject,
        money::Money,
        settings::Limit,
        step::{Answer, Bar, Sense, StoredBar},
    },
    phone,
    time::Timestamp,
};

/// Most bars that are shown.
const MOST_BARS: usize = 500;
/// Longest time that a bar holds.
const LONGEST: Duration = Duration::from_secs(366 * 24 * 3600);
/// What the client's own name may be longest, in characters.
const MOST_NAME: usize = 64;

/// The limits in force, what is spent, and what stands against calls, or for them.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Limits {
    /// How many calls in which time, by the name that a refusal says.
    #[schema(example = json!({"number": ["3/10m", "6/1h", "10/1d"]}))]
    pub limits: BTreeMap<&'static str, Vec<String>>,
    /// What may be spent, and what is.
    pub spend: Spending,
    /// Bars, those that end first before the others; at most 500.
    pub bars: Vec<BarDocument>,
}

/// What may be spent, and what is: spent, or put aside for calls that are up.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Spending {
    /// Name of the currency.
    #[schema(example = "USD")]
    pub currency: String,
    /// Most for one call.
    #[schema(example = "1.50")]
    pub per_call: String,
    /// Most in any hour.
    #[schema(example = "1000.00")]
    pub per_hour: String,
    /// Most in any 24 hours.
    #[schema(example = "5000.00")]
    pub per_day: String,
    /// In the last hour.
    #[schema(example = "12.50")]
    pub last_hour: String,
    /// In the last 24 hours.
    #[schema(example = "240.00")]
    pub last_day: String,
}

/// What stands against calls, or for them.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct BarDocument {
    /// What it is about: `number` or `account` and a keyed hash, `area` and first digits or a country, `client` and a name.
    #[schema(example = "area:819012")]
    pub about: String,
    /// `deny` or `allow`.
    #[schema(value_type = String, example = "deny")]
    pub sense: &'static str,
    /// An operator set it: nothing automatic changes it.
    pub pinned: bool,
    /// Until when.
    #[schema(value_type = String, format = DateTime)]
    pub ends_at: Timestamp,
    /// When one call is let through, to see whether it is verified.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub next_probe_at: Option<Timestamp>,
    /// Why: what was seen, or what the operator wrote.
    pub why: String,
}

/// What calls have in common: exactly one of the first four, or `client` and `reference`.
#[derive(Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BarSubject {
    /// A number in international form.
    #[schema(example = "+819012345678")]
    #[serde(default)]
    pub number: Option<String>,
    /// First digits of numbers, as many as `guard.prefix_digits` says.
    #[schema(example = "+819012")]
    #[serde(default)]
    pub prefix: Option<String>,
    /// A country (ISO 3166-1 alpha-2).
    #[schema(example = "JP")]
    #[serde(default)]
    pub country: Option<String>,
    /// A client: the name of its API key.
    #[serde(default)]
    pub client: Option<String>,
    /// With `client`: one account of it.
    #[serde(default)]
    pub reference: Option<String>,
}

/// What an operator bars or allows.
#[derive(Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BarRequest {
    /// Which calls.
    pub about: BarSubject,
    /// `deny` or `allow`; where calls are allowed, only spending is limited.
    #[schema(value_type = String, example = "deny")]
    pub sense: String,
    /// For how many seconds; at most 366 days.
    #[schema(minimum = 1, maximum = 31_622_400)]
    pub seconds: u64,
    /// Why, for those who come after; at most 400 bytes. No number.
    #[serde(default)]
    pub why: String,
}

/// What an operator lifts.
#[derive(Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LiftRequest {
    /// Which calls.
    pub about: BarSubject,
}

impl Gateway {
    /// The limits in force, what is spent, and the bars that stand.
    ///
    /// # Errors
    /// `StoreAway`.
    pub async fn limits(&self) -> Result<Limits, Refusal> {
        self.shell.limits().await
    }

    /// Bars calls, or allows them, for a time. It stands in the audit log, without a number.
    ///
    /// # Errors
    /// `OutOfRange`, `InvalidNumber`, `StoreAway`.
    pub async fn bar(&self, by: &Client, asked: &BarRequest) -> Result<(), Refusal> {
        let sense = match asked.sense.as_str() {
            "deny" => Sense::Deny,
            "allow" => Sense::Allow,
            _ => return Err(Refusal::out_of_range("sense", "deny or allow")),
        };
        let holds_for = Duration::from_secs(asked.seconds);
        if holds_for.is_zero() || holds_for > LONGEST {
            return Err(Refusal::out_of_range("seconds", "1 second to 366 days"));
        }
        if asked.why.len() > Bar::MOST_WHY || asked.why.chars().any(char::is_control) {
            return Err(Refusal::out_of_range("why", "at most 400 bytes, no control characters"));
        }
        let (subject, about) = self.shell.subject(&asked.about)?;
        let why = if asked.why.is_empty() { format!("operator {}", by.name) } else { asked.why.clone() };
        let settle = subject.pin(sense, holds_for, why);
        self.shell.store.settle(&settle).await.map_err(|fault| store_away(&fault))?;
        info!(target: AUDIT_LOG, client = %by.name, guard.about = %about, guard.sense = %asked.sense,
            seconds = asked.seconds, "an operator bars or allows calls");
        Ok(())
    }

    /// Lifts what stands against calls, or for them, and ends their row of failures. It stands in the audit log, without a
    /// number.
    ///
    /// # Errors
    /// `OutOfRange`, `InvalidNumber`, `StoreAway`.
    pub async fn lift(&self, by: &Client, asked: &LiftRequest) -> Result<(), Refusal> {
        let (subject, about) = self.shell.subject(&asked.about)?;
        self.shell.store.settle(&subject.lift()).await.map_err(|fault| store_away(&fault))?;
        info!(target: AUDIT_LOG, client = %by.name, guard.about = %about, "an operator lifts what stood against calls");
        Ok(())
    }
}

impl Shell {
    async fn limits(&self) -> Result<Limits, Refusal> {
        let settings = self.guard.settings();
        let look = self.guard.spent();
        let (_, answer) = self.store.admit(&look).await.map_err(|fault| store_away(&fault))?;
        let spent: Vec<u64> = match answer {
            Answer::Allowed { seen } => seen.into_iter().flatten().collect(),
            Answer::Refused(_) => Vec::new(),
        };
        let spent = |place: usize| Money::from_micros(spent.get(place).copied().unwrap_or_default()).to_string();
        let bars = self.store.bars(MOST_BARS).await.map_err(|fault| store_away(&fault))?;
        let spend = &settings.spend;
        let words = |limits: &[Limit]| limits.iter().map(ToString::to_string).collect::<Vec<_>>();
        let (people, signs) = (&settings.limits, &settings.guard);
        let limits = [
            ("number", &people.number),
            ("number_total", &people.number_total),
            ("account", &people.account),
            ("source", &people.source),
            ("client", &people.client),
            ("prefix", &signs.prefix),
            ("neighbours", &signs.neighbours),
            ("country", &signs.country),
        ];
        Ok(Limits {
            limits: limits.into_iter().map(|(name, limits)| (name, words(limits))).collect(),
            spend: Spending {
                currency: spend.currency.clone(),
                per_call: spend.per_call.to_string(),
                per_hour: spend.per_hour.to_string(),
                per_day: spend.per_day.to_string(),
                last_hour: spent(0),
                last_day: spent(1),
            },
            bars: bars.into_iter().map(|(key, bar)| bar_document(key.as_str(), bar)).collect(),
        })
    }

    /// What a request names, and how the audit log names it.
    fn subject(&self, asked: &BarSubject) -> Result<(Subject, String), Refusal> {
        let BarSubject { number, prefix, country, client, reference } = asked;
        let digits = self.guard.settings().guard.prefix_digits;
        match (number, prefix, country, client, reference) {
            (Some(number), None, None, None, None) => {
                let number = phone::read(number, None).map_err(|why| number_refusal("number", why))?.e164;
                let hash = self.keys.number(&number);
                Ok((Subject::Number(hash), format!("number {number} {hash}")))
            }
            (None, Some(prefix), None, None, None) => {
                let bare: String = prefix.chars().filter(|c| c.is_ascii_digit()).collect();
                if bare.len() != usize::from(digits) || !prefix.starts_with('+') {
                    return Err(Refusal::out_of_range("prefix", format!("+ and {digits} digits")));
                }
                let about = format!("prefix +{bare}");
                Ok((Subject::Prefix(bare), about))
            }
            (None, None, Some(country), None, None) => {
                let country = country.parse().map_err(|_| Refusal::out_of_range("country", "two letters, as in JP"))?;
                Ok((Subject::Country(country), format!("country {country}")))
            }
            (None, None, None, Some(client), None) if is_name(client) => {
                Ok((Subject::Client(client.clone()), format!("client {client}")))
            }
            (None, None, None, Some(client), Some(reference)) if is_name(client) => {
                let hash = self.keys.account(client, reference);
                Ok((Subject::Account(hash), format!("account {hash} of client {client}")))
            }
            _ => {
                let why = "exactly one of number, prefix, country and client; or client and reference";
                Err(Refusal::out_of_range("number", why))
            }
        }
    }
}

fn is_name(client: &str) -> bool {
    (1..=MOST_NAME).contains(&client.chars().count()) && !client.chars().any(char::is_control)
}

fn bar_document(key: &str, bar: StoredBar) -> BarDocument {
    BarDocument {
        about: key.strip_prefix("bar:").unwrap_or(key).to_owned(),
        sense: match bar.sense {
            Sense::Allow => "allow",
            Sense::Deny => "deny",
        },
        pinned: bar.pinned,
        ends_at: bar.ends,
        next_probe_at: bar.next_probe,
        why: bar.why,
    }
}
