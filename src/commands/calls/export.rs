//! Owns `calls export`: the call log as a file, as the service sends it.

use std::io;

use super::Filters;
use crate::commands::{
    Exit, Outcome,
    api::{Api, Connection},
    output::{Output, plain},
};

#[derive(Debug, clap::Args)]
pub(in crate::commands) struct Arguments {
    /// As CSV, for spreadsheets [the default]
    #[arg(long, conflicts_with = "ndjson")]
    csv: bool,
    /// As one JSON object a line
    #[arg(long)]
    ndjson: bool,
    #[command(flatten)]
    filters: Filters,
    #[command(flatten)]
    connection: Connection,
}

pub(super) async fn run(arguments: &Arguments, connection: &Connection, out: &mut Output) -> Outcome {
    let api = match Api::new(&arguments.connection.or(connection), out)? {
        Ok(api) => api,
        Err(exit) => return Ok(exit),
    };
    let form = if arguments.ndjson { "ndjson" } else { "csv" };
    let mut file = match api.export(form, &arguments.filters.pairs(), out.language).await {
        Ok(file) => file,
        Err(error) => return error.tell(&api, out),
    };
    loop {
        match file.chunk().await {
            Ok(Some(chunk)) => out.bytes(&chunk)?,
            Ok(None) => return Ok(Exit::Done),
            Err(error) => return broken(&error, out),
        }
    }
}

/// What came is not all, and must not be taken for it.
fn broken(error: &reqwest::Error, out: &mut Output) -> io::Result<Exit> {
    out.fault(&format!("the export broke off, what came is not all: {}", plain(&error.to_string())))?;
    Ok(Exit::Broken)
}
