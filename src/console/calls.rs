//! Owns the list of calls: those that are up on top, then the call log, newest first, under the filters of the address;
//! as a page, as it changes, and as a file.

use std::{sync::Arc, time::Duration};

use askama::Template;
use axum::{
    extract::{Path, State},
    http::{StatusCode, Uri},
    response::{IntoResponse, Response},
};

use super::{
    Console, Shared,
    filters::Filters,
    live,
    row::Row,
    session::Visit,
    shell::{Place, Shell},
};
use crate::{
    gateway::{CallSearch, Changes},
    http::ExportForm,
    outcome::{Fault, Reason, Status},
    pages::html,
    phone::E164,
    texts,
};

/// Calls of one page.
const PAGE: usize = 50;
/// How often the list looks for what other ringproofs did: without filters, and with them, when the store has to search.
const LOOK_AGAIN: (Duration, Duration) = (Duration::from_secs(3), Duration::from_secs(15));
/// Shortest time between two looks, whatever happens.
const LEAST_PAUSE: Duration = Duration::from_millis(700);

/// The beginning of the console.
pub(super) async fn home(State(console): Shared, _visit: Visit) -> Response {
    console.see("/calls")
}

#[derive(Template)]
#[template(path = "console/calls.html")]
struct CallsPage {
    shell: Shell,
    form: Form,
    lines: Lines,
    problem: Option<String>,
}

/// What can change while the page is looked at.
#[derive(Template)]
#[template(path = "console/lines.html")]
struct Lines {
    shell: Shell,
    rows: Vec<Row>,
    live: usize,
    /// The address of the next page.
    next: Option<String>,
    /// Whether what was found is less than a page because looking on would take long.
    short: bool,
    any: bool,
    admin: bool,
}

/// The fields of the form.
struct Form {
    filters: Filters,
    /// As they stand in the address, without the place of the page.
    query: String,
    since: String,
    until: String,
    /// The number that is looked for, masked.
    number: Option<String>,
    statuses: Vec<Choice>,
    reasons: Vec<Choice>,
    faults: Vec<Choice>,
    carriers: Vec<Choice>,
    countries: Vec<Choice>,
    clients: Vec<Choice>,
    /// How many filters are used.
    used: usize,
}

/// One choice of a field.
struct Choice {
    value: String,
    name: String,
    chosen: bool,
}

/// The list.
pub(super) async fn list(State(console): Shared, visit: Visit, uri: Uri) -> Response {
    let query = uri.query().unwrap_or_default();
    let filters = Filters::of(query).with_times_of(&visit);
    // One address for one list: without empty fields, and with times that mean the same to every reader.
    let canonical = filters.query();
    if canonical != query {
        return console.see(&if canonical.is_empty() { String::from("/calls") } else { format!("/calls?{canonical}") });
    }
    let shell = |title| Shell::new(&console, &visit, title, Place::Calls);
    let search = match search(&console, &visit, &filters) {
        Ok(search) => search,
        Err(problem) => {
            let lines = Lines {
                shell: shell("console-calls"),
                rows: Vec::new(),
                live: 0,
                next: None,
                short: false,
                any: true,
                admin: visit.session.client.is_none(),
            };
            let page = CallsPage {
                shell: shell("console-calls"),
                form: Form::new(&console, &visit, filters),
                lines,
                problem: Some(problem),
            };
            return html(StatusCode::BAD_REQUEST, &page);
        }
    };
    match look(&console, &visit, &filters, &search).await {
        Some(lines) => {
            let form = Form::new(&console, &visit, filters);
            let shell = shell("console-calls");
            html(StatusCode::OK, &CallsPage { shell, form, lines, problem: None })
        }
        None => away(&console, &visit, Place::Calls),
    }
}

/// The search that the filters ask for, or what is wrong with them, in words.
fn search(console: &Console, visit: &Visit, filters: &Filters) -> Result<CallSearch, String> {
    let query = filters.read(console, visit).map_err(|fault| visit.words.t(fault))?;
    let query = crate::gateway::CallsQuery { limit: Some(PAGE), ..query };
    console.gateway.search(&query).map_err(|_| visit.words.t("console-fault-other"))
}

/// The lines of one page; none where the store is away.
async fn look(console: &Console, visit: &Visit, filters: &Filters, search: &CallSearch) -> Option<Lines> {
    let page = console.gateway.page(search).await.ok()?;
    let mut rows = Vec::with_capacity(page.items.len());
    // A call that is up stands on the first page only, and has no reason or fault yet.
    if filters.cursor.is_empty() {
        let up = console.live.calls(console).await.ok()?;
        let seen = up.iter().filter(|up| visit.session.sees(&up.record.client) && search.admits(&up.record));
        let over = |up: &&live::Up| page.items.iter().all(|record| record.id != up.record.id);
        rows.extend(seen.filter(over).take(PAGE).map(|up| Row::new(console, visit, &up.record, Some(up.stage))));
    }
    let live = rows.len();
    rows.extend(page.items.iter().map(|record| Row::new(console, visit, record, None)));
    let short = page.next.is_some() && page.items.len() < PAGE;
    let next = page.next.map(|cursor| Filters { cursor, ..filters.clone() }.query());
    let shell = Shell::new(console, visit, "console-calls", Place::Calls);
    Some(Lines { shell, rows, live, next, short, any: filters.any(), admin: visit.session.client.is_none() })
}

/// The lines again, whenever they change.
pub(super) async fn events(State(console): Shared, visit: Visit, uri: Uri) -> Response {
    let filters = Filters::of(uri.query().unwrap_or_default());
    let Ok(search) = search(&console, &visit, &filters) else { return StatusCode::BAD_REQUEST.into_response() };
    let Some(place) = console.live.place() else { return live::no_place() };
    let changes = console.gateway.changes();
    let session = visit.session.clone();
    let list = List { console: Arc::clone(&console), visit, filters, search, changes };
    live::keep_up_to_date(console, &session, place, list)
}

/// The list that is kept up to date.
struct List {
    console: Arc<Console>,
    visit: Visit,
    filters: Filters,
    search: CallSearch,
    changes: Changes,
}

impl live::Part for List {
    async fn now(&mut self) -> Option<String> {
        look(&self.console, &self.visit, &self.filters, &self.search).await?.render().ok()
    }

    async fn changed(&mut self) -> bool {
        tokio::time::sleep(LEAST_PAUSE).await;
        self.changes.next(if self.filters.any() { LOOK_AGAIN.1 } else { LOOK_AGAIN.0 }).await
    }
}

/// The whole list as a file.
pub(super) async fn export(State(console): Shared, visit: Visit, Path(form): Path<String>, uri: Uri) -> Response {
    let form = match form.as_str() {
        "csv" => ExportForm::Csv,
        "ndjson" => ExportForm::JsonLines,
        _ => return StatusCode::NOT_FOUND.into_response(),
    };
    let filters = Filters { cursor: String::new(), ..Filters::of(uri.query().unwrap_or_default()) };
    match filters.read(&console, &visit) {
        Ok(query) => {
            console.exports.answer(&query, form, visit.words.language).unwrap_or_else(IntoResponse::into_response)
        }
        Err(_) => StatusCode::BAD_REQUEST.into_response(),
    }
}

/// The page that says that the store is away.
pub(super) fn away(console: &Console, visit: &Visit, place: Place) -> Response {
    #[derive(Template)]
    #[template(path = "console/away.html")]
    struct AwayPage {
        shell: Shell,
    }
    html(StatusCode::SERVICE_UNAVAILABLE, &AwayPage { shell: Shell::new(console, visit, "console-away-title", place) })
}

impl Form {
    fn new(console: &Console, visit: &Visit, filters: Filters) -> Self {
        let words = visit.words;
        let field = |text: &str| visit.zone.read(text).map(|at| visit.zone.field(at)).unwrap_or_default();
        let choices = |all: Vec<(String, String)>, chosen: &str| {
            // What is asked for is shown, also where it is none of the usual ones.
            let own = all.iter().all(|(value, _)| value != chosen) && !chosen.is_empty();
            let own = own.then(|| (chosen.to_owned(), chosen.to_owned()));
            let all = all.into_iter().chain(own);
            all.map(|(value, name)| Choice { chosen: value == chosen, value, name }).collect::<Vec<_>>()
        };
        let statuses = Status::ALL.iter().map(|status| (status.to_string(), words.t(&format!("result-{status}"))));
        let reasons = Reason::ALL.iter().map(|reason| {
            let text = texts::call(words.language, &format!("found-{reason}"), &[]);
            (reason.to_string(), text.trim_end_matches(['.', '。']).to_owned())
        });
        let faults = Fault::ALL.iter().map(|fault| (fault.to_string(), words.t(&format!("console-side-{fault}"))));
        let same = |name: &String| (name.clone(), name.clone());
        let countries =
            console.gateway.countries().iter().map(|country| (country.to_string(), words.country(*country)));
        let clients = console.keys.clients().into_iter().filter(|client| visit.session.sees(&client.name));
        let clients: Vec<_> = clients.map(|client| (client.name.clone(), client.name)).collect();
        let number = filters.open_number(console, visit).and_then(|number| number.parse::<E164>().ok());
        let used = [
            &filters.since,
            &filters.until,
            &filters.last_digits,
            &filters.status,
            &filters.reason,
            &filters.fault,
            &filters.carrier,
            &filters.country,
            &filters.client,
            &filters.reference,
            &filters.number,
        ];
        Self {
            used: used.into_iter().filter(|value| !value.is_empty()).count(),
            query: Filters { cursor: String::new(), ..filters.clone() }.query(),
            since: field(&filters.since),
            until: field(&filters.until),
            number: number.map(|number| number.to_string()),
            statuses: choices(statuses.collect(), &filters.status),
            reasons: choices(reasons.collect(), &filters.reason),
            faults: choices(faults.collect(), &filters.fault),
            carriers: choices(console.gateway.carriers().iter().map(same).collect(), &filters.carrier),
            countries: choices(countries.collect(), &filters.country),
            clients: choices(clients, &filters.client),
            filters,
        }
    }
}
