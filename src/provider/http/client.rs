//! Owns the pool of kept-alive connections to carriers, and telling a request that was never sent from one whose fate
//! nobody knows. It knows nothing of calls.

use std::{future::Future, pin::Pin, time::Duration};

use bytes::Bytes;
use http::{Request, Response, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioIo, TokioTimer},
};
use rustls_platform_verifier::BuilderVerifierExt;
use tokio::net::TcpStream;
use tower::{BoxError, Service};

use crate::{
    span::{self, Kind, Open},
    trace::Trace,
};

/// A client for HTTP/1.1 with and without TLS. Cloning it shares its connections.
#[derive(Clone, Debug)]
pub struct HttpClient {
    inner: Client<Connector, Full<Bytes>>,
}

/// The client could not be made: the certificates of this machine cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("TLS for requests to carriers cannot be set up")]
pub struct ClientError(#[source] rustls::Error);

/// Why there is no answer to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoAnswer {
    /// No connection came about: not a byte of the request left us.
    NotSent(&'static str),
    /// It may have arrived.
    Lost(&'static str),
}

impl NoAnswer {
    /// What was seen, in a word for logs and call records.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::NotSent(word) | Self::Lost(word) => word,
        }
    }
}

impl HttpClient {
    /// A client that trusts the certificates this machine trusts.
    ///
    /// # Errors
    /// Where there are none.
    pub fn new() -> Result<Self, ClientError> {
        let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .and_then(BuilderVerifierExt::with_platform_verifier)
            .map_err(ClientError)?
            .with_no_client_auth();
        Ok(Self::with_tls(tls))
    }

    /// A client with TLS settings of its own.
    #[must_use]
    pub fn with_tls(tls: rustls::ClientConfig) -> Self {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        let https =
            HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1().wrap_connector(tcp);
        let inner = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIME)
            .pool_max_idle_per_host(MAX_IDLE)
            .build(Connector { https });
        Self { inner }
    }

    /// Sends a request and reads the answer whole. The caller bounds the time.
    ///
    /// # Errors
    /// [`NoAnswer`], which tells whether the request may have arrived.
    pub async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, NoAnswer> {
        let Some(mut told) = span::parent().and_then(|parent| begin(&parent, &request)) else {
            return self.exchange(request).await;
        };
        let answer = self.exchange(request).await;
        match &answer {
            Ok(answer) => {
                let status = answer.status();
                told.number("http.response.status_code", status.as_u16());
                if status.is_client_error() || status.is_server_error() {
                    told.fail(status.as_str().to_owned());
                } else {
                    told.settle();
                }
            }
            Err(no_answer) => told.fail(no_answer.word()),
        }
        answer
    }

    async fn exchange(&self, request: Request<Bytes>) -> Result<Response<Bytes>, NoAnswer> {
        let answer = self.inner.request(request.map(Full::new)).await.map_err(|error| {
            if error.is_connect() { NoAnswer::NotSent("connect_failed") } else { NoAnswer::Lost("connection_lost") }
        })?;
        let (parts, body) = answer.into_parts();
        let body =
            Limited::new(body, MAX_ANSWER_BYTES).collect().await.map_err(|_| NoAnswer::Lost("answer_cut_short"))?;
        Ok(Response::from_parts(parts, body.to_bytes()))
    }
}

/// Begins to tell of a request (OpenTelemetry's semantic conventions for HTTP clients). Its path names our account and
/// the call, and is not told; nor is the carrier told of the trace, which is none of its business.
fn begin(parent: &Trace, request: &Request<Bytes>) -> Option<Open> {
    // One of the two that adapters use: a word of ours.
    let method = request.method().as_str().to_owned();
    let mut told = span::begin(parent, Kind::Client, method.clone())?;
    told.word("http.request.method", method);
    let (uri, host) = (request.uri(), request.uri().host().unwrap_or_default());
    let scheme = uri.scheme_str().unwrap_or("http");
    let usual = if scheme == "https" { 443 } else { 80 };
    told.word(
        "url.full",
        format!("{scheme}://{}/REDACTED", uri.authority().map_or(host, |found| without_user(found.as_str()))),
    );
    told.word("server.address", host.to_owned());
    told.number("server.port", uri.port_u16().unwrap_or(usual));
    Some(told)
}

/// Host and port of an authority.
fn without_user(authority: &str) -> &str {
    authority.rsplit('@').next().unwrap_or(authority)
}

/// Connects within [`CONNECT_TIME`], name look-up and TLS included.
#[derive(Clone, Debug)]
struct Connector {
    https: HttpsConnector<HttpConnector>,
}

type Connecting = Pin<Box<dyn Future<Output = Result<MaybeHttpsStream<TokioIo<TcpStream>>, BoxError>> + Send>>;

impl Service<Uri> for Connector {
    type Response = MaybeHttpsStream<TokioIo<TcpStream>>;
    type Error = BoxError;
    type Future = Connecting;

    fn poll_ready(&mut self, context: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), BoxError>> {
        self.https.poll_ready(context)
    }

    fn call(&mut self, to: Uri) -> Connecting {
        let connecting = self.https.call(to);
        Box::pin(async move { tokio::time::timeout(CONNECT_TIME, connecting).await? })
    }
}

/// How long connecting may take, with name look-up and TLS handshake.
const CONNECT_TIME: Duration = Duration::from_secs(2);
/// How long an unused connection is kept: shorter than carriers keep theirs, so that none closes under a request.
const IDLE_TIME: Duration = Duration::from_secs(20);
/// Most unused connections kept to one carrier.
const MAX_IDLE: usize = 32;
/// Longest answer that is read, in bytes.
const MAX_ANSWER_BYTES: usize = 64 * 1024;
