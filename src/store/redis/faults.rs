//! Owns what an error of Redis means: whether it passes by itself, whether the change may have been written all the same,
//! and what a person does about it. It repeats nothing.

use std::{error::Error, io, sync::Arc};

use redis::{ErrorKind, RedisError, ServerErrorKind};
use rustls::CertificateError;

use super::super::StoreError;

/// An error with its meaning.
#[derive(Debug, Clone)]
pub(super) struct Fault {
    /// As the library gave it.
    pub(super) error: RedisError,
    /// It may be gone in a moment.
    pub(super) passing: bool,
    /// What was asked for may have been done.
    pub(super) unknown: bool,
    meaning: Meaning,
}

#[derive(Debug, Clone, Copy)]
enum Meaning {
    Lost,
    Away(&'static str),
    Setup(&'static str),
    Bug,
}

impl Fault {
    pub(super) fn into_error(self) -> StoreError {
        let detail = shortened(&self.error);
        match self.meaning {
            Meaning::Lost if self.error.is_timeout() => StoreError::Timeout,
            Meaning::Lost | Meaning::Bug => StoreError::Away(detail),
            Meaning::Away(text) => StoreError::Away(format!("{text} ({detail})")),
            Meaning::Setup(text) => StoreError::Setup(format!("{text} ({detail})")),
        }
    }
}

/// What an error means.
pub(super) fn judge(error: &RedisError) -> Fault {
    let fault = |passing, unknown, meaning| Fault { error: error.clone(), passing, unknown, meaning };
    let away = |text| fault(false, false, Meaning::Away(text));
    let setup = |text| fault(false, false, Meaning::Setup(text));
    let passing = |text| fault(true, false, Meaning::Away(text));
    if error.kind() == ErrorKind::AuthenticationFailed {
        return setup("Redis refuses user or password: set password_file in [store]");
    }
    if error.is_connection_refusal() {
        return fault(true, false, Meaning::Lost);
    }
    if let Some(text) = of_tls(error) {
        return setup(text);
    }
    if error.is_io_error() || error.kind() == ErrorKind::ClusterConnectionNotFound {
        return fault(true, true, Meaning::Lost);
    }
    match error.code().unwrap_or_default() {
        "OOM" => away("Redis is full: raise maxmemory, or wait until records expire"),
        "READONLY" => away("this Redis is a replica: the address must be that of the master"),
        "NOREPLICAS" => away("Redis has fewer replicas than min-replicas-to-write asks for"),
        "MISCONF" => away("Redis cannot write to its disk: make room there"),
        "LOADING" => passing("Redis is reading its data"),
        "BUSY" => passing("Redis is busy with a script"),
        "CLUSTERDOWN" => passing("the cluster has slots that nobody serves"),
        "MASTERDOWN" | "TRYAGAIN" => passing("the cluster is changing"),
        "NOAUTH" | "WRONGPASS" => setup("Redis refuses user or password: set password_file in [store]"),
        "NOPERM" => setup("the Redis user lacks rights: docs/store.md has an example"),
        "NOPROTO" => setup("this Redis is too old: 7.0 is needed"),
        _ => rest(error, fault),
    }
}

/// What is wrong with the encrypted connection, where that is what failed: it does not pass by itself.
fn of_tls(error: &RedisError) -> Option<&'static str> {
    // The library keeps what it was given in an `Arc`.
    let given = error.source()?.downcast_ref::<Arc<dyn Error + Send + Sync>>()?;
    let io: &io::Error = given.downcast_ref()?;
    let tls: &rustls::Error = io.get_ref()?.downcast_ref()?;
    let rustls::Error::InvalidCertificate(fault) = tls else {
        return Some("no encrypted connection to Redis came about: does this port speak TLS, and with which versions?");
    };
    Some(if matches!(fault, CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. }) {
        "the certificate of Redis is of another name: store.url must have the name, or the address, that it was made for"
    } else if matches!(fault, CertificateError::Expired | CertificateError::ExpiredContext { .. }) {
        "the certificate of Redis has expired"
    } else {
        "the certificate of Redis is not signed by an authority that we know: name its file in ca_file of [store]"
    })
}

fn rest(error: &RedisError, fault: impl Fn(bool, bool, Meaning) -> Fault) -> Fault {
    let detail = error.detail().unwrap_or_default();
    let kind = error.kind();
    if detail.contains("without any password") {
        fault(false, false, Meaning::Setup("a password is set in [store], but Redis has none: set requirepass there"))
    } else if detail.contains("DB index") {
        fault(false, false, Meaning::Setup("Redis has no database of that number"))
    } else if detail.contains("can't run this command") || detail.contains("can't access") {
        fault(false, false, Meaning::Setup("the Redis user lacks rights: docs/store.md has an example"))
    } else if kind == ErrorKind::MasterNameNotFoundBySentinel {
        fault(true, false, Meaning::Away("no sentinel knows, or reaches, a master of that name"))
    } else if [ServerErrorKind::CrossSlot, ServerErrorKind::Moved].map(ErrorKind::Server).contains(&kind) {
        fault(false, false, Meaning::Setup("this Redis is a cluster: write the address as redis+cluster://"))
    } else {
        fault(false, false, Meaning::Bug)
    }
}

/// What the server said, without what may be a part of a value.
fn shortened(error: &RedisError) -> String {
    error.to_string().chars().take(DETAIL_CHARS).collect()
}

/// Most characters of an error that are shown.
const DETAIL_CHARS: usize = 160;
