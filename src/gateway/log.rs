//! Owns what operators ask: the call log, the numbers we call from, and results that could not be delivered.

use tracing::info;

use super::{
    CallRecordDocument, CallsQuery, DeadLetter, Gateway, Page, Refusal, admit::number_refusal, create::store_away,
    document,
};
use crate::{
    id::{CallId, EffectId, VerificationId},
    phone::{self, CountryCode, LastDigits},
    store::CallQuery,
    verification::CallRecord,
};

/// Call records of one page: where nothing is said, and at most.
const USUAL_PAGE: usize = 50;
const LONGEST_PAGE: usize = 1000;
/// Most dead letters that are listed.
const MOST_DEAD_LETTERS: usize = 1000;

/// Where lines stand that say who looked for what, for `logs.level`.
pub const AUDIT_LOG: &str = "ringproof::audit";

/// A search in the call log, page after page.
#[derive(Debug, Clone)]
pub struct CallSearch(CallQuery);

impl CallSearch {
    /// The search from the end of a page on, as [`Page::next`] names it; `None` where that is none.
    #[must_use]
    pub fn after(self, next: &str) -> Option<Self> {
        let before = Some(next.parse().ok()?);
        Some(Self(CallQuery { before, ..self.0 }))
    }

    /// Whether a call that is not in the log yet is one of those that are looked for.
    #[must_use]
    pub fn admits(&self, record: &CallRecord) -> bool {
        self.0.admits(record)
    }
}

/// A number we call from.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
pub struct CallerId {
    /// The number, in E.164 form: one of ours, not a secret.
    #[schema(example = "+815012345678")]
    pub number: String,
    /// Its own country, where it has one.
    pub country: Option<String>,
    /// The countries called through its carrier; `*` for all that are allowed.
    pub countries: Vec<String>,
    /// Name of the carrier in the configuration.
    pub carrier: String,
}

impl Gateway {
    /// The call log, newest first.
    ///
    /// # Errors
    /// As [`Gateway::search`] and [`Gateway::page`].
    pub async fn calls(&self, query: &CallsQuery) -> Result<Page<CallRecord>, Refusal> {
        self.page(&self.search(query)?).await
    }

    /// Reads what is asked of the call log. Whoever asks for a number in full stands in the audit log from then on.
    ///
    /// # Errors
    /// `InvalidNumber`, `OutOfRange`.
    pub fn search(&self, query: &CallsQuery) -> Result<CallSearch, Refusal> {
        let country = query
            .country
            .as_deref()
            .map(|text| text.parse::<CountryCode>().map_err(|why| Refusal::out_of_range("country", why.to_string())))
            .transpose()?;
        let number = query
            .number
            .as_deref()
            .map(|text| phone::read(text, country).map_err(|why| number_refusal("number", why)))
            .transpose()?;
        let last_digits = query
            .last_digits
            .as_deref()
            .map(|text| text.parse::<LastDigits>().map_err(|why| Refusal::out_of_range("last_digits", why.to_string())))
            .transpose()?;
        let limit = query.limit.unwrap_or(USUAL_PAGE);
        if !(1..=LONGEST_PAGE).contains(&limit) {
            return Err(Refusal::out_of_range("limit", format!("1 to {LONGEST_PAGE}")));
        }
        let before = query
            .cursor
            .as_deref()
            .map(|cursor| {
                cursor.parse().map_err(|_| Refusal::out_of_range("cursor", "give it as the page before gave it"))
            })
            .transpose()?;
        let hash = number.as_ref().map(|number| self.shell.keys.number(&number.e164));
        if let (Some(number), Some(hash)) = (&number, hash) {
            info!(target: AUDIT_LOG, client = %query.asked_by, number.masked = %number.e164, number.hash = %hash,
                "the call log is searched for a number");
        }
        Ok(CallSearch(CallQuery {
            client: query.client.clone(),
            since: query.since,
            until: query.until,
            number: hash,
            last_digits,
            reference: query.reference.clone(),
            status: query.status,
            reason: query.reason,
            fault: query.fault,
            carrier: query.carrier.clone(),
            country,
            before,
            limit,
        }))
    }

    /// The page of the call log that a search has come to.
    ///
    /// # Errors
    /// `StoreAway`.
    pub async fn page(&self, search: &CallSearch) -> Result<Page<CallRecord>, Refusal> {
        let mut page = self.shell.store.calls(&search.0).await.map_err(|fault| store_away(&fault))?;
        self.put_in_deliveries(&mut page.items).await?;
        Ok(page)
    }

    /// What is noted of the results of these calls' verifications goes on after the records were written.
    async fn put_in_deliveries(&self, records: &mut [CallRecord]) -> Result<(), Refusal> {
        let ids: Vec<VerificationId> = records.iter().map(|record| record.id.verification).collect();
        let noted = self.shell.store.deliveries(&ids).await.map_err(|fault| store_away(&fault))?;
        records.iter_mut().zip(noted).for_each(|(record, delivery)| record.delivery = delivery);
        Ok(())
    }

    /// One record of the call log.
    ///
    /// # Errors
    /// `NotFound`, `StoreAway`.
    pub async fn call(&self, id: CallId) -> Result<CallRecord, Refusal> {
        let record = self.shell.store.call(id).await.map_err(|fault| store_away(&fault))?;
        let mut record = record.ok_or(Refusal::NotFound)?;
        self.put_in_deliveries(std::slice::from_mut(&mut record)).await?;
        Ok(record)
    }

    /// A record as the call log shows it, explained in the nearest language to `language` (BCP 47).
    #[must_use]
    pub fn record_document(&self, record: &CallRecord, language: &str) -> CallRecordDocument {
        let code = record.cause.as_ref().and_then(|cause| cause.carrier_code.as_deref());
        let lane = self.shell.lanes.get(&record.carrier);
        let meaning = lane.zip(code).and_then(|(lane, code)| lane.carrier.provider.meaning(code));
        document::record_document(record, meaning, language)
    }

    /// The numbers we call from, in the order of the configuration.
    #[must_use]
    pub fn caller_ids(&self) -> Vec<CallerId> {
        let lanes = self.shell.carrier_order.iter().filter_map(|name| self.shell.lanes.get(name));
        lanes
            .flat_map(|lane| lane.carrier.from.iter().map(move |number| (&lane.carrier, number)))
            .map(|(carrier, number)| CallerId {
                number: number.expose().to_owned(),
                country: number.country().map(|country| country.to_string()),
                countries: carrier.countries.words(),
                carrier: carrier.name.clone(),
            })
            .collect()
    }

    /// Results that could not be delivered, newest first.
    ///
    /// # Errors
    /// `StoreAway`.
    pub async fn dead_letters(&self) -> Result<Vec<DeadLetter>, Refusal> {
        self.shell.store.dead_letters(MOST_DEAD_LETTERS).await.map_err(|fault| store_away(&fault))
    }

    /// Has a dead letter delivered again.
    ///
    /// # Errors
    /// `NotFound`, `StoreAway`.
    pub async fn revive(&self, id: EffectId) -> Result<(), Refusal> {
        let revived = self.shell.store.revive(id).await.map_err(|fault| store_away(&fault))?;
        if revived { Ok(()) } else { Err(Refusal::NotFound) }
    }
}
