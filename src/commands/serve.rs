//! Owns `serve`: settings, logs, measurements, signals round the service.

use std::net::SocketAddr;

use metrics_exporter_prometheus::PrometheusHandle;

use super::{ConfigArguments, Exit, Outcome, output::Output};
use crate::{
    config::{self, Sources},
    gateway::SystemEntropy,
    serve::{Ringproof, stop_signal},
    telemetry,
};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    config: ConfigArguments,
    /// Where to listen (`server.listen`)
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,
    /// What carriers call (`server.public_url`)
    #[arg(long, value_name = "URL")]
    public_url: Option<String>,
    /// The store (`store.url`)
    #[arg(long, value_name = "URL")]
    store: Option<String>,
    /// Only look whether the configuration is right
    #[arg(long)]
    check: bool,
}

impl Arguments {
    fn sources(&self) -> Sources {
        let flags = [
            ("--listen", "server.listen", self.listen.map(|address| address.to_string())),
            ("--public-url", "server.public_url", self.public_url.clone()),
            ("--store", "store.url", self.store.clone()),
        ];
        let given = flags.into_iter().filter_map(|(flag, setting, value)| Some((flag, setting, value?)));
        given.fold(self.config.sources(), |sources, (flag, setting, value)| sources.with(flag, setting, value))
    }
}

pub(super) fn run(arguments: &Arguments, out: &mut Output) -> Outcome {
    let loaded = match arguments.config.load(&arguments.sources(), out)? {
        Ok(loaded) => loaded,
        Err(exit) => return Ok(exit),
    };
    let flows = match config::flows(&loaded.config.callflows) {
        Ok(flows) => flows,
        Err(error) => {
            out.fault(&format!("the call flows cannot be used:\n{error}"))?;
            return Ok(Exit::Config);
        }
    };
    if arguments.check {
        for warning in &loaded.config.warnings {
            out.note(&format!("warning: {warning}"))?;
        }
        out.note("The configuration is right. `ringproof doctor` looks at what it leads to.")?;
        return Ok(Exit::Done);
    }
    let logs = match telemetry::start_logs(&loaded.config.logs) {
        Ok(logs) => logs,
        Err(error) => {
            out.fault(&error.to_string())?;
            return Ok(Exit::Broken);
        }
    };
    for warning in &loaded.config.warnings {
        tracing::warn!("{warning}");
    }
    let recorder = match telemetry::start_metrics() {
        Ok(recorder) => recorder,
        Err(error) => {
            out.fault(&error.to_string())?;
            return Ok(Exit::Broken);
        }
    };
    let traces = match telemetry::start_traces(&loaded.config.traces, &SystemEntropy) {
        Ok(traces) => traces,
        Err(error) => {
            out.fault(&chain(&error))?;
            return Ok(Exit::Broken);
        }
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let served = runtime.block_on(serve(&loaded.config, flows, recorder));
    runtime.shutdown_background();
    drop(traces);
    match served {
        Ok(true) => {}
        Ok(false) => tracing::warn!("stopped, before everything that was begun was done"),
        Err(error) => {
            tracing::error!("the service does not start: {error:#}");
            drop(logs);
            return Ok(Exit::Broken);
        }
    }
    drop(logs);
    Ok(Exit::Done)
}

async fn serve(
    config: &config::Config,
    flows: crate::callflow::Flows,
    recorder: PrometheusHandle,
) -> Result<bool, String> {
    let service = Ringproof::open(config, flows, Some(recorder), None).await.map_err(|error| chain(&error))?;
    let signal = async {
        if let Err(error) = stop_signal().await {
            tracing::error!(%error, "signals cannot be received; end this process by SIGKILL");
            std::future::pending::<()>().await;
        }
    };
    // A second signal ends the process without order.
    let impatient = async {
        let _first = stop_signal().await;
        let _second = stop_signal().await;
    };
    tokio::select! {
        orderly = service.run(signal) => Ok(orderly),
        () = impatient => Ok(false),
    }
}

/// An error with what is behind it, in one line.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut behind = error.source();
    while let Some(cause) = behind {
        let more = cause.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        behind = cause.source();
    }
    text
}
