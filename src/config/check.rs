//! Owns what has to fit together across settings: what no module can see alone.

use url::{Host, Url};

use super::{
    Config, Fault,
    carriers::CarrierKind,
    tree::{Path, Tree},
};
use crate::{
    gateway::Countries,
    http::{Keys, TenantLimits},
    phone,
};

/// Notes what does not fit, and what is better done otherwise.
pub(super) fn check(config: &mut Config, tree: &mut Tree) {
    let told =
        [config.verification.faults(), config.logs.faults(), config.traces.faults(), config.server.faults()].concat();
    let told = told.into_iter().chain(config.console.faults()).chain(config.guard.faults());
    let told = told.into_iter().chain(config.callbacks.signing_secrets().err());
    for text in told {
        tree.told(&text);
    }
    if let Err(error) = config.store.place() {
        tree.fault(&Path::of(&["store", "url"]), error.to_string());
    }
    public_url(config, tree);
    numbers(config, tree);
    api_keys(config, tree);
    if config.carriers.is_empty() && tree.get(&Path::of(&["carriers"])).is_none() {
        tree.fault(&Path::of(&["carriers"]), "is missing: begin with [[carriers]] and name who places the calls");
    }
    warn(config, tree);
}

fn public_url(config: &Config, tree: &mut Tree) {
    let path = Path::of(&["server", "public_url"]);
    let Some(text) = &config.server.public_url else {
        let outside: Vec<_> = config.carriers.iter().filter(|carrier| carrier.kind.calls_back()).collect();
        if let Some(carrier) = outside.first() {
            let why = format!(
                "is missing: carrier `{}` has to reach this service, as in public_url = \"https://verify.example.com\"",
                carrier.name
            );
            tree.fault(&path, why);
        }
        return;
    };
    let why = match text.parse::<Url>() {
        Err(error) => format!("is no URL ({error}); write it as in https://verify.example.com"),
        Ok(url) if !matches!(url.scheme(), "http" | "https") || url.host().is_none() => {
            String::from("begins with https://, as in https://verify.example.com")
        }
        Ok(url) if url.query().is_some() || url.fragment().is_some() => String::from("has no query and no fragment"),
        Ok(url) if !url.username().is_empty() || url.password().is_some() => {
            String::from("holds no user and no password")
        }
        Ok(_) => return,
    };
    tree.fault(&path, why);
}

fn numbers(config: &Config, tree: &mut Tree) {
    let path = Path::of(&["numbers", "countries"]);
    if config.numbers.countries.is_empty() {
        let why = "is missing: name the countries that may be called, as in countries = [\"JP\", \"US\"]; nothing else is dialled";
        tree.fault(&path, why);
    }
    for (index, country) in config.numbers.countries.iter().enumerate() {
        if phone::calling_code(*country).is_none() {
            let hint = if country.to_string() == "UK" { "; the United Kingdom is GB" } else { "" };
            let why = format!("there are no telephone numbers of {country}{hint}");
            tree.fault(&path.child(index.to_string()), why);
        }
    }
}

fn api_keys(config: &Config, tree: &mut Tree) {
    if config.api_keys.is_empty() && tree.get(&Path::of(&["api_keys"])).is_none() {
        let why = "is missing: nobody could ask for a verification; `ringproof key new` prints a key and the lines to put here";
        tree.fault(&Path::of(&["api_keys"]), why);
    }
    let limits = TenantLimits { waiting: 1, reads_per_minute: None };
    for fault in Keys::new(&config.api_keys, limits).err().into_iter().flatten() {
        tree.told(&fault.to_string());
    }
}

/// What is allowed, but better not so.
fn warn(config: &mut Config, tree: &Tree) {
    let mut warnings = Vec::new();
    let mut warn = |path: &[&str], why: String| {
        let path = Path::of(path);
        warnings.push(Fault { place: tree.place(&path), key: Some(path.to_string()), why });
    };
    if tree.get(&Path::of(&["verification", "brand"])).is_none() {
        let why = format!("is not set: callees hear that {} calls; name yourself", config.verification.brand);
        warn(&["verification", "brand"], why);
    }
    let public = config.server.public_url.as_deref().and_then(|text| text.parse::<Url>().ok());
    if let Some(url) = public.filter(|url| url.scheme() == "http" && !is_loopback(url)) {
        let host = url.host_str().unwrap_or_default().to_owned();
        warn(
            &["server", "public_url"],
            format!("is http://: what carriers send to {host} can be read and changed on the way"),
        );
    }
    if !config.server.listen.ip().is_loopback() {
        let why = "is open to other machines, and speaks no TLS: a reverse proxy belongs in front";
        warn(&["server", "listen"], String::from(why));
    }
    if config.store.url == "memory:" {
        warn(&["store", "url"], String::from("keeps nothing over a restart; for tests only"));
    }
    for (index, carrier) in config.carriers.iter().enumerate() {
        let index = index.to_string();
        match &carrier.kind {
            CarrierKind::Twilio(twilio) => {
                for fault in twilio.warnings() {
                    warn(&["carriers", &index, fault.member], fault.why.to_owned());
                }
            }
            CarrierKind::Sip(sip) => {
                if sip.always_call.is_some() {
                    let text = "every call goes to one telephone, whatever the number: no number is proved";
                    warn(&["carriers", &index, "always_call"], String::from(text));
                }
            }
            CarrierKind::Simulator(_) => {
                warn(&["carriers", &index, "kind"], String::from("no telephone outside this process rings"));
            }
        }
        if let Countries::Only(only) = &carrier.countries {
            let strangers: Vec<_> = only.iter().filter(|country| !config.numbers.countries.contains(country)).collect();
            if !strangers.is_empty() {
                let strangers = strangers.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
                warn(
                    &["carriers", &index, "countries"],
                    format!("not called all the same, as numbers.countries does not name them: {strangers}"),
                );
            }
        }
    }
    if let Some(why) = unpriced(config, tree) {
        warn(&["spend", "prices"], why);
    }
    if config.callbacks.allow_private {
        warn(
            &["callbacks", "allow_private"],
            String::from("lets a request have results posted to addresses inside your network"),
        );
    }
    config.warnings = warnings;
}

/// What is said where calls are paid and nobody wrote what they cost.
fn unpriced(config: &Config, tree: &Tree) -> Option<String> {
    let paid = config.carriers.iter().any(|carrier| !matches!(carrier.kind, CarrierKind::Simulator(_)));
    let spend = &config.guard.spend;
    let said = !spend.prices.is_empty() || tree.get(&Path::of(&["spend", "other_price"])).is_some();
    let other = spend.other_price.filter(|_| paid && !said)?;
    Some(format!(
        "is not set: a minute to any number is taken to cost {other} {}; write your carrier's prices, a file of them, or `other_price`",
        spend.currency
    ))
}

/// Whether a URL leads to this machine.
pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}
