//! Owns what the processes of the benchmark say to each other over HTTP: one small client, one way to sign, one clock.

use std::{
    collections::BTreeMap,
    time::{SystemTime, UNIX_EPOCH},
};

use base64::Engine as _;
use bytes::Bytes;
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use sha1::Sha1;

/// The account of the benchmark at its carrier.
pub(crate) const ACCOUNT: &str = "AC00000000000000000000000000000001";
/// What the carrier signs with.
pub(crate) const AUTH_TOKEN: &str = "0123456789abcdef0123456789abcdef";
/// The caller ID.
pub(crate) const CALLER_ID: &str = "+815012345678";

/// An HTTP client with a pool of connections.
pub(crate) type Http = Client<HttpConnector, Full<Bytes>>;

pub(crate) fn client() -> Http {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    Client::builder(TokioExecutor::new()).pool_max_idle_per_host(1024).build(connector)
}

/// Microseconds of the machine's clock, which all processes of a run share.
pub(crate) fn now_us() -> u64 {
    u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros()).unwrap()
}

/// Sends a request and reads the whole answer.
pub(crate) async fn send(http: &Http, request: Request<Full<Bytes>>) -> Result<(StatusCode, Bytes), String> {
    let response = http.request(request).await.map_err(|error| format!("{error:?}"))?;
    let status = response.status();
    let body = response.into_body().collect().await.map_err(|error| error.to_string())?.to_bytes();
    Ok((status, body))
}

/// A form as a carrier posts it, signed.
pub(crate) fn signed_form(url: &str, fields: &BTreeMap<&str, &str>) -> Request<Full<Bytes>> {
    let form = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    Request::builder()
        .method(Method::POST)
        .uri(url)
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded; charset=UTF-8")
        .header("X-Twilio-Signature", signature(url, fields.iter().map(|(name, value)| (*name, *value))))
        .body(Full::from(form))
        .unwrap()
}

/// HMAC-SHA1 over the URL and the sorted fields, in base64.
pub(crate) fn signature<'a>(url: &str, sorted: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let mut mac = Hmac::<Sha1>::new_from_slice(AUTH_TOKEN.as_bytes()).unwrap();
    mac.update(url.as_bytes());
    for (name, value) in sorted {
        mac.update(name.as_bytes());
        mac.update(value.as_bytes());
    }
    base64::engine::general_purpose::STANDARD.encode(mac.finalize().into_bytes())
}
