//! Carriers on the wire: what is sent and read, byte for byte, and whole calls against a scripted carrier.

mod description;
mod exchanges;
mod gateway;
mod scripted;

use ringproof::{
    id::{CallId, CallToken, Partition, VerificationId},
    provider::{
        Order,
        http::{HttpClient, HttpProvider},
        twilio::{Config, Twilio},
    },
    time::Timestamp,
};

/// The account of all tests here.
const ACCOUNT: &str = "AC0123456789abcdef0123456789abcdef";
const TOKEN: &str = "d7b3f6a1c2e94f58a0b1c2d3e4f56789";

/// A carrier of kind `twilio` at `base_url`, with `more` lines of TOML.
fn twilio(base_url: &str, more: &str) -> HttpProvider<Twilio> {
    HttpProvider::new(dialect(&format!("base_url = \"{base_url}\"\n{more}")), HttpClient::new().unwrap())
}

fn dialect(more: &str) -> Twilio {
    let text = format!(
        "name = \"main\"\naccount_sid = \"{ACCOUNT}\"\nauth_token = \"{TOKEN}\"\nfrom = [\"+815012345678\"]\n{more}"
    );
    let config: Config = toml::from_str(&text).unwrap();
    Twilio::new(&config).unwrap()
}

fn token(number: u8) -> CallToken {
    let verification = VerificationId::new(Timestamp::from_ms(1_795_000_000_000), [number; 16], Partition::of(5));
    CallToken { call: CallId { verification, index: 0 }, proof: [number; 16] }
}

/// A call to `to`, whose webhooks are below `webhooks`.
fn order(to: &str, webhooks: &str, token: CallToken) -> Order {
    let url = |end: &str| format!("{webhooks}/webhooks/main/{}/{end}", token.to_path());
    Order {
        token,
        to: to.parse().unwrap(),
        from: "+815012345678".parse().unwrap(),
        extension: None,
        ring_timeout: std::time::Duration::from_secs(30),
        call_limit: std::time::Duration::from_secs(90),
        flow_url: url("flow"),
        status_url: url("status"),
    }
}
