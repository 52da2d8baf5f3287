//! Owns the board: what the verifications of the last hour, day or week came to, in charts, each with a sentence of
//! meaning and a table. The numbers are those of `GET /v1/stats`, and so are the limits of who sees what.

mod cards;
mod says;
mod tables;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use askama::Template;
use axum::{
    Router,
    extract::State,
    http::{StatusCode, Uri},
    response::Response,
    routing::get,
};
use url::form_urlencoded;

use super::{
    Console, Shared,
    calls::away,
    session::Visit,
    shell::{Place, Shell},
};
use crate::{
    gateway::{Stats, StatsQuery, StatsRange},
    pages::html,
};
use cards::Card;
use says::{Says, Verdict};
use tables::{PrefixRow, ShareTable};

/// Most pairs of the address that are looked at.
const MAX_PAIRS: usize = 8;
/// Longest name of a client in the address, in bytes.
const MAX_CLIENT_BYTES: usize = 128;

/// The routes of the board.
pub(super) fn routes() -> Router<Arc<Console>> {
    Router::new().route("/board", get(board))
}

#[derive(Template)]
#[template(path = "console/board.html")]
struct BoardPage {
    shell: Shell,
    /// What it all means, in a sentence.
    verdict: Verdict,
    range: StatsRange,
    ranges: Vec<RangeLink>,
    /// Whose verifications are shown, where they are one client's.
    client: Option<String>,
    /// Whose could be shown; empty for somebody who sees those of one client only.
    clients: Vec<ClientChoice>,
    updated: String,
    is_empty: bool,
    facts: Vec<(String, String)>,
    cards: Vec<Card>,
    shares: Vec<ShareTable>,
    prefixes: Vec<PrefixRow>,
    prefix_meaning: String,
    prefix_rule: String,
}

struct RangeLink {
    query: String,
    name: String,
    current: bool,
}

struct ClientChoice {
    name: String,
    chosen: bool,
}

/// The page. What is asked for that is no range is the last hour; somebody who belongs to a client sees that one's
/// numbers, whatever is asked for.
async fn board(State(console): Shared, visit: Visit, uri: Uri) -> Response {
    let asked = |wanted: &str| {
        let pairs = form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()).take(MAX_PAIRS);
        let mut pairs = pairs.map(|(name, value)| (name, value.into_owned()));
        let value = pairs.find(|(name, _)| name == wanted).map(|(_, value)| value);
        value.filter(|value| !value.is_empty() && value.len() <= MAX_CLIENT_BYTES)
    };
    let range = asked("range").and_then(|word| word.parse().ok()).unwrap_or_default();
    let client = visit.session.client.clone().or_else(|| asked("client"));
    let query = StatsQuery { client, range };
    match console.gateway.stats(&query).await {
        Ok(stats) => html(StatusCode::OK, &BoardPage::new(&console, &visit, &query, &stats)),
        Err(_) => away(&console, &visit, Place::Board),
    }
}

impl BoardPage {
    fn new(console: &Console, visit: &Visit, query: &StatsQuery, stats: &Stats) -> Self {
        let client = query.client.as_deref();
        let says = Says { words: visit.words, zone: &visit.zone, base: &console.base, client, stats };
        let ranges = StatsRange::ALL.into_iter().map(|range| RangeLink {
            query: address(range, client.filter(|_| visit.session.client.is_none())),
            name: visit.words.t(&format!("board-range-{}", range.as_str())),
            current: range == stats.range,
        });
        Self {
            shell: Shell::new(console, visit, "board-title", Place::Board),
            verdict: says.verdict(),
            range: stats.range,
            ranges: ranges.collect(),
            client: query.client.clone(),
            clients: choices(console, visit, client),
            updated: visit.zone.second(console.clock.now()),
            is_empty: stats.totals.attempts == 0,
            facts: says.facts(),
            cards: vec![says.statuses(), says.shares(), says.verify(), says.answer(), says.reasons()],
            shares: vec![says.countries(), says.carriers()],
            prefixes: stats.prefixes.iter().map(|of| says.prefix(of)).collect(),
            prefix_meaning: says.prefix_meaning(),
            prefix_rule: says.prefix_rule(),
        }
    }
}

/// What stands in the address behind the question mark.
fn address(range: StatsRange, client: Option<&str>) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair("range", range.as_str());
    if let Some(client) = client {
        query.append_pair("client", client);
    }
    query.finish()
}

/// The clients that one may choose among; one that is asked for and has no key any more is among them.
fn choices(console: &Console, visit: &Visit, chosen: Option<&str>) -> Vec<ClientChoice> {
    if visit.session.client.is_some() {
        return Vec::new();
    }
    let mut names: Vec<String> = console.keys.clients().into_iter().map(|client| client.name).collect();
    names.extend(chosen.map(str::to_owned));
    names.sort_unstable();
    names.dedup();
    names.into_iter().map(|name| ClientChoice { chosen: chosen == Some(name.as_str()), name }).collect()
}
