//! Owns `demo`: the whole product in one process, set up by itself. The pages are in [`crate::demo`].

use std::{fmt, net::SocketAddr, path::PathBuf, sync::Arc};

use axum::Router;

use super::{
    Exit, Outcome, explain,
    output::{Mark, Output},
    serve::chain,
};
use crate::{
    config::{self, Config, Sources},
    demo,
    gateway::SystemEntropy,
    guard,
    http::{ApiKey, Scope},
    phone,
    provider::sip::trunk_uri::{Host, NotATrunk, TrunkUri},
    secret::Secret,
    serve::{Ringproof, StartError, Surroundings, stop_signal},
    telemetry,
    time::SystemClock,
};

/// Name of the simulated carrier.
const CARRIER: &str = "simulator";
/// Name of the carrier whose trunk is a softphone.
const SOFTPHONE: &str = "softphone";
/// Who is called where only an address is given.
const ANYBODY: &str = "ringproof";
/// Numbers that the simulated calls seem to come from: one of Japan, one of those kept free for fiction in North America.
const FROM: &str = "[\"+815031234567\", \"+12025550123\"]";

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Where to listen
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// Who is said to call
    #[arg(long, default_value = "Contoso")]
    brand: String,
    /// Keep everything in this folder; without it all is forgotten at the end
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Call this SIP telephone, such as `sip:alice@127.0.0.1:5062`, instead of the one in the browser
    #[arg(long, value_name = "ADDRESS", value_parser = softphone, conflicts_with = "speed")]
    sip: Option<Softphone>,
    /// How many times faster than in real life calls go
    #[arg(long, default_value_t = 1)]
    speed: u16,
    /// What is logged
    #[arg(long, default_value = "warn")]
    log: String,
}

/// A SIP telephone: who is called at which address.
#[derive(Debug, Clone)]
struct Softphone {
    user: String,
    trunk: TrunkUri,
}

impl fmt::Display for Softphone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let trunk = self.trunk.to_string();
        let (scheme, host) = trunk.split_once(':').unwrap_or(("sip", &trunk));
        write!(f, "{scheme}:{}@{host}", self.user)
    }
}

/// Reads `sip:user@host:port`; the scheme and the user may be left out.
fn softphone(text: &str) -> Result<Softphone, String> {
    let (scheme, rest) = match text.split_once(':') {
        Some((scheme @ ("sip" | "sips"), rest)) => (scheme, rest),
        _ => ("sip", text),
    };
    let (user, host) = rest.split_once('@').unwrap_or((ANYBODY, rest));
    let trunk = format!("{scheme}:{host}").parse().map_err(|fault: NotATrunk| fault.to_string())?;
    Ok(Softphone { user: user.to_owned(), trunk })
}

pub(super) fn run(arguments: &Arguments, out: &mut Output) -> Outcome {
    let key = ApiKey::generate(&SystemEntropy);
    let config = match config::load(&sources(arguments, &key)) {
        // No telephone rings that nobody here has asked for, and who tries it out tries it often.
        Ok(loaded) => Config { guard: guard::Settings::unlimited(), ..loaded.config },
        Err(error) => {
            explain(&error, out)?;
            return Ok(Exit::Usage);
        }
    };
    let logs = match telemetry::start_logs(&config.logs) {
        Ok(logs) => logs,
        Err(error) => {
            out.fault(&error.to_string())?;
            return Ok(Exit::Usage);
        }
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let softphone = arguments.sip.as_ref().map(ToString::to_string);
    let served = runtime.block_on(serve(&config, &key, softphone.as_deref(), out));
    runtime.shutdown_background();
    drop(logs);
    match served? {
        Ok(()) => Ok(Exit::Done),
        Err(why) => {
            out.fault(&why)?;
            Ok(Exit::Broken)
        }
    }
}

/// The settings of the demo, through the same door as any others.
fn sources(arguments: &Arguments, key: &ApiKey) -> Sources {
    let entry = key.config("demo", &[Scope::Verify, Scope::Calls]);
    let countries: Vec<_> = phone::countries().iter().map(|(country, _)| format!("\"{country}\"")).collect();
    let store = match &arguments.data {
        Some(folder) => format!("embedded:{}", folder.display()),
        // Leaves nothing behind, however the demo ends.
        None => String::from("memory:"),
    };
    let settings = [
        ("server.listen", arguments.listen.to_string()),
        ("store.url", store),
        ("numbers.countries", format!("[{}]", countries.join(", "))),
        ("verification.brand", arguments.brand.clone()),
        ("logs.level", arguments.log.clone()),
        ("api_keys.demo.sha256", entry.sha256),
        ("api_keys.demo.prefix", entry.prefix.unwrap_or_default()),
        ("api_keys.demo.scopes", String::from("verify, calls")),
    ];
    let carrier = match &arguments.sip {
        Some(Softphone { user, trunk }) => {
            vec![
                ("carriers.softphone.name", SOFTPHONE.to_owned()),
                ("carriers.softphone.kind", String::from("sip")),
                ("carriers.softphone.from", FROM.to_owned()),
                ("carriers.softphone.trunk", trunk.to_string()),
                ("carriers.softphone.always_call", user.clone()),
                ("carriers.softphone.bind", beside(trunk)),
            ]
        }
        None => {
            vec![
                ("carriers.simulator.name", CARRIER.to_owned()),
                ("carriers.simulator.kind", String::from("simulator")),
                ("carriers.simulator.from", FROM.to_owned()),
                ("carriers.simulator.speed", arguments.speed.to_string()),
            ]
        }
    };
    let nothing = Sources { alone: true, ..Sources::default() };
    settings.into_iter().chain(carrier).fold(nothing, |sources, (setting, value)| sources.with("demo", setting, value))
}

/// Where we are reached by the softphone: on this machine alone where it is there too.
fn beside(trunk: &TrunkUri) -> String {
    match trunk.host {
        Host::Address(address) if address.is_loopback() => SocketAddr::new(address, 0).to_string(),
        Host::Address(_) | Host::Name(_) => String::from("0.0.0.0:0"),
    }
}

async fn serve(
    config: &Config,
    key: &ApiKey,
    softphone: Option<&str>,
    out: &mut Output,
) -> std::io::Result<Result<(), String>> {
    let flows = match config::flows(&config.callflows) {
        Ok(flows) => flows,
        Err(error) => return Ok(Err(error.to_string())),
    };
    let recorder = match telemetry::start_metrics() {
        Ok(recorder) => recorder,
        Err(error) => return Ok(Err(error.to_string())),
    };
    let pages = |around: Surroundings| pages(config, key, softphone, around);
    let service = match Ringproof::open(config, flows, Some(recorder), Some(&pages)).await {
        Ok(service) => service,
        Err(error) => return Ok(Err(chain(&error))),
    };
    let address = format!("http://{}", service.address());
    out.line(&out.text("demo-open", &[("address", &out.paint(&address, Mark::Strong))]))?;
    out.note(&format!("  {}", out.text("demo-api", &[("address", &format!("{address}/docs"))])))?;
    out.note(&format!("  {}", out.text("demo-key", &[("key", key.expose())])))?;
    match softphone {
        Some(softphone) => out.note(&out.text("demo-note-softphone", &[("address", softphone)]))?,
        None => out.note(&out.text("demo-note", &[]))?,
    }
    let signal = async {
        if stop_signal().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    service.run(signal).await;
    Ok(Ok(()))
}

fn pages(config: &Config, key: &ApiKey, softphone: Option<&str>, around: Surroundings) -> Result<Router, StartError> {
    let Surroundings { address, simulators, stop } = around;
    let rings = match softphone {
        Some(address) => demo::Rings::Softphone(address.to_owned()),
        None => {
            let simulator = simulators.get(CARRIER).cloned();
            let missing = || StartError::Pages(String::from("there is no simulated carrier"));
            demo::Rings::Browser(simulator.ok_or_else(missing)?)
        }
    };
    let setup = demo::Setup {
        api_url: format!("http://{address}"),
        api_key: Secret::new(key.expose().to_owned()),
        rings,
        brand: config.verification.brand.clone(),
        ring_timeout_s: u32::try_from(config.verification.ring_timeout.as_secs()).unwrap_or(u32::MAX),
        clock: Arc::new(SystemClock),
        entropy: Arc::new(SystemEntropy),
        stop,
    };
    demo::pages(setup).map_err(|error| StartError::Pages(chain(&error)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_softphone_is_written_with_or_without_a_user() {
        for (text, shown) in [
            ("127.0.0.1:5062", "sip:ringproof@127.0.0.1:5062"),
            ("alice@127.0.0.1", "sip:alice@127.0.0.1"),
            ("sips:alice@127.0.0.1:5063", "sips:alice@127.0.0.1:5063"),
            ("sip:[::1]:5062;transport=tcp", "sip:ringproof@[::1]:5062;transport=tcp"),
        ] {
            assert_eq!(softphone(text).unwrap().to_string(), shown);
        }
        assert!(softphone("sip:alice@").is_err());
    }
}
