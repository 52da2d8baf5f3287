//! Owns the call log as a file: CSV (RFC 4180) and JSON lines. Records are read and sent page by page, so that a log of
//! any length takes the memory of one page, and no faster than the other end takes them.

use std::{io, sync::Arc, time::Duration};

use axum::{
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, HeaderValue, Uri, header},
    response::Response,
};
use futures_util::stream;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout_at},
};
use tokio_util::sync::CancellationToken;

use super::{
    App, Caller, Calls,
    calls::{self, CallFilters},
    docs::{self, Problems},
    problem::{self, Problem},
    query::Parameters,
};
use crate::gateway::{CallRecordDocument, CallSearch, CallsQuery, Gateway};

/// Most exports at once, of all clients: each reads as fast as the store gives.
const MOST_EXPORTS: usize = 4;

/// Call records that are read, held and sent at once.
const EXPORT_PAGE: usize = 200;

/// Longest life of an export; one that takes longer breaks off, so that it cannot be taken for whole.
const LONGEST_EXPORT: Duration = Duration::from_mins(30);

/// Exports of the call log, so many at once.
#[derive(Debug)]
pub struct Exports {
    gateway: Gateway,
    places: Arc<Semaphore>,
    stop: CancellationToken,
}

impl Exports {
    /// Exports from this gateway, each broken off at the stop.
    #[must_use]
    pub fn new(gateway: Gateway, stop: CancellationToken) -> Self {
        Self { gateway, places: Arc::new(Semaphore::new(MOST_EXPORTS)), stop }
    }

    /// All calls that are asked for, explained in this language, as a file.
    ///
    /// # Errors
    /// What is asked for makes no sense, or too many are being exported.
    pub fn answer(&self, query: &CallsQuery, form: ExportForm, language: &'static str) -> Result<Response, Problem> {
        let query = CallsQuery { limit: Some(EXPORT_PAGE), ..query.clone() };
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| problem::overloaded())?;
        let search = self.gateway.search(&query).map_err(|refusal| Problem::from(refusal).in_query())?;
        let export = Export {
            gateway: self.gateway.clone(),
            stop: self.stop.clone(),
            search: Some(search),
            form,
            language,
            until: Instant::now() + LONGEST_EXPORT,
            _place: place,
        };
        let head = match form {
            ExportForm::Csv => Some(csv_line(&COLUMNS.map(Some))),
            ExportForm::JsonLines => None,
        };
        let pages = stream::try_unfold((head, export), |(head, mut export)| async move {
            match head {
                Some(head) => Ok(Some((Bytes::from(head), (None, export)))),
                None => Ok::<_, io::Error>(export.next().await?.map(|bytes| (bytes, (None, export)))),
            }
        });
        let mut response = Response::new(Body::from_stream(pages));
        let (media_type, disposition) = match form {
            ExportForm::Csv => ("text/csv; charset=utf-8; header=present", "attachment; filename=\"calls.csv\""),
            ExportForm::JsonLines => ("application/x-ndjson", "attachment; filename=\"calls.ndjson\""),
        };
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
        response.headers_mut().insert(header::CONTENT_DISPOSITION, HeaderValue::from_static(disposition));
        Ok(response)
    }
}

/// What an export is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExportForm {
    /// CSV (RFC 4180), for spreadsheets.
    Csv,
    /// One JSON object a line.
    JsonLines,
}

/// Export calls as CSV.
///
/// All calls that the filters let through, newest first, as RFC 4180 has it, the first line with the names of the columns.
/// A field that a spreadsheet would take for a formula (it begins with `=`, `+`, `-`, `@`, also in full width, a tab or the
/// end of a line) begins with an apostrophe. An export that breaks off ends without the end of the body: what came is not all.
#[utoipa::path(get, path = "/v1/calls.csv", operation_id = "export_calls_csv", tag = "calls",
    params(CallFilters),
    responses((status = 200, content_type = "text/csv", body = String, description = "The calls."), Problems<{ docs::LIST }>))]
pub(super) async fn csv(
    State(app): State<App>,
    Calls(caller): Calls,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Problem> {
    export(&app, &caller, &headers, &uri, ExportForm::Csv)
}

/// Export calls as JSON lines.
///
/// All calls that the filters let through, newest first, one JSON object a line. An export that breaks off ends without
/// the end of the body: what came is not all.
#[utoipa::path(get, path = "/v1/calls.ndjson", operation_id = "export_calls_ndjson", tag = "calls",
    params(CallFilters),
    responses((status = 200, content_type = "application/x-ndjson", body = CallRecordDocument,
        description = "The calls; the schema is that of a line."), Problems<{ docs::LIST }>))]
pub(super) async fn ndjson(
    State(app): State<App>,
    Calls(caller): Calls,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Problem> {
    export(&app, &caller, &headers, &uri, ExportForm::JsonLines)
}

fn export(app: &App, caller: &Caller, headers: &HeaderMap, uri: &Uri, form: ExportForm) -> Result<Response, Problem> {
    let mut parameters = Parameters::of(uri);
    let query = calls::filters(&mut parameters, caller)?;
    parameters.end()?;
    app.exports.answer(&query, form, calls::language(headers))
}

/// An export on its way.
struct Export {
    gateway: Gateway,
    stop: CancellationToken,
    /// The page that comes next; `None` after the last.
    search: Option<CallSearch>,
    form: ExportForm,
    language: &'static str,
    until: Instant,
    /// One of the places of the process, for as long as the other end reads.
    _place: OwnedSemaphorePermit,
}

impl Export {
    /// The next records; `None` after the last. An error breaks the answer off.
    async fn next(&mut self) -> io::Result<Option<Bytes>> {
        let Some(search) = self.search.take() else { return Ok(None) };
        let stop = self.stop.clone();
        let page = async {
            tokio::select! {
                biased;
                () = stop.cancelled() => Err(io::Error::other("the service stops")),
                page = self.gateway.page(&search) => page.map_err(|_| io::Error::other("the store is away")),
            }
        };
        let page = timeout_at(self.until, page).await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
        let mut bytes = Vec::with_capacity(page.items.len() * USUAL_LINE_BYTES);
        for record in &page.items {
            self.write(&self.gateway.record_document(record, self.language), &mut bytes)?;
        }
        self.search = match page.next {
            Some(next) => Some(search.after(&next).ok_or_else(|| io::Error::other("a place that is none"))?),
            None => None,
        };
        Ok(Some(Bytes::from(bytes)))
    }

    fn write(&self, record: &CallRecordDocument, bytes: &mut Vec<u8>) -> io::Result<()> {
        match self.form {
            ExportForm::Csv => {
                let fields = fields(record);
                bytes.extend(csv_line(&fields.each_ref().map(Option::as_deref)));
            }
            ExportForm::JsonLines => {
                serde_json::to_writer(&mut *bytes, record)?;
                bytes.push(b'\n');
            }
        }
        Ok(())
    }
}

/// Bytes that most lines fit in.
const USUAL_LINE_BYTES: usize = 768;

/// The columns of the CSV, named as the members of a record. There may be more at the end in later versions.
const COLUMNS: [&str; 42] = [
    "id",
    "verification",
    "client",
    "reference",
    "to",
    "country",
    "number_type",
    "carrier",
    "carrier_call_id",
    "caller_id",
    "locale",
    "flow",
    "flow_version",
    "mode",
    "status",
    "reason",
    "started_at",
    "placed_at",
    "ringing_at",
    "answered_at",
    "ended_at",
    "talk_ms",
    "end",
    "fault",
    "carrier_code",
    "sip_status",
    "prompts",
    "answered_by",
    "block_requested",
    "summary",
    "next_step",
    "ring_ms",
    "total_ms",
    "q850_cause",
    "keys",
    "attestation",
    "price",
    "price_currency",
    "delivery",
    "delivery_attempts",
    "delivery_status",
    "delivery_at",
];

/// What stands in the columns of a record.
fn fields(record: &CallRecordDocument) -> [Option<String>; COLUMNS.len()] {
    let at = |at: Option<crate::time::Timestamp>| at.map(crate::time::Timestamp::to_rfc3339);
    [
        Some(record.id.to_string()),
        Some(record.verification.to_string()),
        Some(record.client.clone()),
        record.reference.clone(),
        Some(record.to.clone()),
        Some(record.country.clone()),
        Some(record.number_type.clone()),
        Some(record.carrier.clone()),
        record.carrier_call_id.clone(),
        record.caller_id.clone(),
        Some(record.locale.clone()),
        Some(record.flow.clone()),
        Some(record.flow_version.clone()),
        Some(record.mode.to_string()),
        Some(record.status.to_string()),
        record.reason.map(|reason| reason.to_string()),
        at(Some(record.started_at)),
        at(record.placed_at),
        at(record.ringing_at),
        at(record.answered_at),
        at(Some(record.ended_at)),
        record.talk_ms.map(|ms| ms.to_string()),
        record.end.map(str::to_owned),
        record.fault.map(|fault| fault.to_string()),
        record.carrier_code.clone(),
        record.sip_status.map(|status| status.to_string()),
        Some(record.prompts.to_string()),
        record.answered_by.map(str::to_owned),
        Some(record.block_requested.to_string()),
        Some(record.summary.clone()),
        record.next_step.clone(),
        record.ring_ms.map(|ms| ms.to_string()),
        Some(record.total_ms.to_string()),
        record.q850_cause.map(|cause| cause.to_string()),
        Some(record.keys.join(" ")),
        record.attestation.map(|attestation| attestation.to_string()),
        record.price.clone(),
        record.price_currency.clone(),
        record.delivery.map(|delivery| delivery.to_string()),
        record.delivery_attempts.map(|attempts| attempts.to_string()),
        record.delivery_status.map(|status| status.to_string()),
        at(record.delivery_at),
    ]
}

/// A record of a CSV file (RFC 4180, section 2): fields that need it stand in quotation marks, lines end with CRLF.
fn csv_line(fields: &[Option<&str>]) -> Vec<u8> {
    let mut line = Vec::with_capacity(USUAL_LINE_BYTES);
    for (index, field) in fields.iter().enumerate() {
        if index > 0 {
            line.push(b',');
        }
        csv_field(field.unwrap_or_default(), &mut line);
    }
    line.extend(b"\r\n");
    line
}

/// What begins a formula in some spreadsheet; in full width where the spreadsheet is Japanese.
const FORMULA: [char; 11] = ['=', '+', '-', '@', '\t', '\r', '\n', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}'];

/// One field. What a spreadsheet would take for a formula is made text by an apostrophe before it.
fn csv_field(text: &str, line: &mut Vec<u8>) {
    let formula = text.starts_with(FORMULA);
    if !formula && !text.contains([',', '"', '\r', '\n', '\'']) {
        line.extend(text.as_bytes());
        return;
    }
    line.push(b'"');
    if formula {
        line.push(b'\'');
    }
    for part in text.split_inclusive('"') {
        line.extend(part.as_bytes());
        if part.ends_with('"') {
            line.push(b'"');
        }
    }
    line.push(b'"');
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What a CSV parser that is not ours reads.
    fn read(lines: &[u8]) -> Vec<Vec<String>> {
        let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(lines);
        reader.records().map(|record| record.unwrap().iter().map(str::to_owned).collect()).collect()
    }

    #[test]
    fn hostile_fields_stay_one_field_and_become_no_formula() {
        for (text, expected) in [
            ("plain", "plain"),
            ("", ""),
            ("a,b", "a,b"),
            ("say \"hi\"", "say \"hi\""),
            ("two\r\nlines", "two\r\nlines"),
            ("=HYPERLINK(\"http://evil\",\"x\")", "'=HYPERLINK(\"http://evil\",\"x\")"),
            ("+81 •• •••• 5678", "'+81 •• •••• 5678"),
            ("-2+3", "'-2+3"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("\t=1", "'\t=1"),
            ("\r=1", "'\r=1"),
            ("=\"\"\"", "'=\"\"\""),
            ("\n=1", "'\n=1"),
            ("\u{ff1d}1+1", "'\u{ff1d}1+1"),
            ("\u{ff0b}1", "'\u{ff0b}1"),
            ("\u{ff0d}1", "'\u{ff0d}1"),
            ("\u{ff20}SUM(A1)", "'\u{ff20}SUM(A1)"),
            ("nul\0inside", "nul\0inside"),
            ("\u{202e}desrever \u{5e9}\u{5dc}\u{5d5}\u{5dd}", "\u{202e}desrever \u{5e9}\u{5dc}\u{5d5}\u{5dd}"),
            ("\u{1f4de}\u{200d}\u{1f468}, \u{1f1ef}\u{1f1f5}", "\u{1f4de}\u{200d}\u{1f468}, \u{1f1ef}\u{1f1f5}"),
        ] {
            let line = csv_line(&[Some("first"), Some(text), None, Some("last")]);
            assert_eq!(read(&line), [["first", expected, "", "last"]], "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_written_is_read_back(texts in prop::collection::vec("[=+@\\-\t\r\n\",' a-c•\u{0}\u{ff1d}\u{202e}\u{1f4de}]{0,12}", 2..6)) {
            let fields: Vec<Option<&str>> = texts.iter().map(|text| Some(text.as_str())).collect();
            let line = csv_line(&fields);
            let back = read(&line);
            prop_assert_eq!(back.len(), 1);
            for (text, field) in texts.iter().zip(&back[0]) {
                prop_assert!(!field.starts_with(FORMULA), "{field:?}");
                prop_assert!(field == text || field.strip_prefix('\'') == Some(text), "{field:?} {text:?}");
            }
        }
    }
}
