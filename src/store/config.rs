//! Owns the settings of the store and the forms its address may have. It opens nothing.

use std::{fmt, path::PathBuf, time::Duration};

use serde::Deserialize;

use super::StoreError;

/// Where verifications are kept, and for how long.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// `redis://[user:password@]host[:port][/db]`, `rediss://…` (TLS), `redis+cluster://host1,host2`,
    /// `redis+sentinel://host1,host2/name-of-the-master[/db]`, `rediss+cluster://…`, `rediss+sentinel://…`,
    /// `embedded:DIR` (a durable store in that directory, for one ringproof), `memory:` (forgotten at the end).
    pub url: String,
    /// User of an ACL; overrides the one of the address.
    pub username: Option<String>,
    /// Password; overrides the one of the address.
    pub password: Option<String>,
    /// PEM file with the authorities that may have signed the certificate of a `rediss` server; without it the public
    /// ones of the system.
    pub ca_file: Option<PathBuf>,
    /// How long call records and dead letters are kept.
    #[serde(deserialize_with = "crate::time::duration::deserialize")]
    pub retention: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            url: String::from("redis://127.0.0.1:6379/0"),
            username: None,
            password: None,
            ca_file: None,
            retention: DEFAULT_RETENTION,
        }
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("url", &self.shown_url())
            .field("retention", &self.retention)
            .finish_non_exhaustive()
    }
}

impl Config {
    /// The address without its password, for people and logs.
    #[must_use]
    pub fn shown_url(&self) -> String {
        let Some((scheme, rest)) = self.url.split_once("://") else { return self.url.clone() };
        match rest.rsplit_once('@') {
            Some((_, hosts)) => format!("{scheme}://***@{hosts}"),
            None => self.url.clone(),
        }
    }

    /// What kind of store the address names.
    ///
    /// # Errors
    /// [`StoreError::Setup`] with what to write instead.
    pub fn place(&self) -> Result<Place, StoreError> {
        let url = self.url.trim();
        if url == "memory:" {
            return Ok(Place::Memory);
        }
        if let Some(dir) = url.strip_prefix("embedded:") {
            return if dir.is_empty() {
                Err(setup("`embedded:` needs a directory, as in embedded:/var/lib/ringproof"))
            } else {
                Ok(Place::Embedded(PathBuf::from(dir)))
            };
        }
        self.servers(url).map(Place::Redis)
    }

    fn servers(&self, url: &str) -> Result<Servers, StoreError> {
        let (scheme, rest) = url.split_once("://").ok_or_else(|| setup(FORMS))?;
        let (tls, kind) = match scheme {
            "redis" => (false, ""),
            "rediss" => (true, ""),
            "redis+cluster" => (false, "cluster"),
            "rediss+cluster" => (true, "cluster"),
            "redis+sentinel" => (false, "sentinel"),
            "rediss+sentinel" => (true, "sentinel"),
            _ => return Err(setup(FORMS)),
        };
        let (login, rest) = rest.rsplit_once('@').map_or((None, rest), |(login, rest)| (Some(login), rest));
        let (hosts, path) =
            rest.split_once('/').map_or((rest, ""), |(hosts, path)| (hosts, path.trim_end_matches('/')));
        let default_port = if kind == "sentinel" { SENTINEL_PORT } else { REDIS_PORT };
        let addresses = hosts.split(',').map(|host| address(host, default_port)).collect::<Result<Vec<_>, _>>()?;
        let kind = match kind {
            "cluster" if path.is_empty() => Topology::Cluster,
            "cluster" => return Err(setup("a cluster has no numbered databases; end the address after the hosts")),
            "sentinel" => {
                let (master, db) = path.split_once('/').unwrap_or((path, ""));
                if master.is_empty() {
                    return Err(setup("name the master after the hosts, as in redis+sentinel://host1,host2/mymaster"));
                }
                Topology::Sentinel { master: decoded(master)?, db: database(db)? }
            }
            _ if addresses.len() > 1 => {
                return Err(setup("`redis://` names one host; several are redis+cluster:// or redis+sentinel://"));
            }
            _ => Topology::One { db: database(path)? },
        };
        let (mut username, mut password) = match login {
            None => (None, None),
            Some(login) => match login.split_once(':') {
                Some((user, password)) => (Some(decoded(user)?), Some(decoded(password)?)),
                None => return Err(setup("write user and password as user:password@ (or :password@ without a user)")),
            },
        };
        if let Some(given) = &self.username {
            username = Some(given.clone());
        }
        if let Some(given) = &self.password {
            password = Some(given.clone());
        }
        let username = username.filter(|user| !user.is_empty());
        let password = password.filter(|password| !password.is_empty());
        Ok(Servers { addresses, tls, topology: kind, username, password, ca_file: self.ca_file.clone() })
    }
}

/// Kind of store.
#[derive(Debug, Clone)]
pub enum Place {
    /// In this process, forgotten at its end.
    Memory,
    /// Durable in this directory.
    Embedded(PathBuf),
    /// Redis or Valkey.
    Redis(Servers),
}

/// Which Redis servers, and how to log in.
#[derive(Clone)]
pub struct Servers {
    /// Hosts and ports; those of the sentinels for [`Topology::Sentinel`].
    pub addresses: Vec<(String, u16)>,
    /// Whether the connection is encrypted.
    pub tls: bool,
    /// How they belong together.
    pub topology: Topology,
    /// User of an ACL.
    pub username: Option<String>,
    /// Password.
    pub password: Option<String>,
    /// Authorities to trust.
    pub ca_file: Option<PathBuf>,
}

impl fmt::Debug for Servers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Servers")
            .field("addresses", &self.addresses)
            .field("tls", &self.tls)
            .field("topology", &self.topology)
            .finish_non_exhaustive()
    }
}

/// How Redis servers belong together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Topology {
    /// One server.
    One {
        /// Number of the database.
        db: i64,
    },
    /// A Redis Cluster.
    Cluster,
    /// Sentinels that know the master.
    Sentinel {
        /// Its name.
        master: String,
        /// Number of the database.
        db: i64,
    },
}

fn address(text: &str, default_port: u16) -> Result<(String, u16), StoreError> {
    let wrong = || setup("a host is written as name, name:port or [v6-address]:port");
    let (host, port) = if let Some(rest) = text.strip_prefix('[') {
        let (host, port) = rest.split_once(']').ok_or_else(wrong)?;
        (host, port.strip_prefix(':'))
    } else {
        text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port)))
    };
    let port = port.map_or(Ok(default_port), |port| port.parse().map_err(|_| wrong()))?;
    if host.is_empty() || port == 0 { Err(wrong()) } else { Ok((host.to_owned(), port)) }
}

fn database(text: &str) -> Result<i64, StoreError> {
    if text.is_empty() {
        return Ok(0);
    }
    text.parse::<u16>()
        .map(i64::from)
        .map_err(|_| setup("what follows the host is the number of the database, as in /0"))
}

fn decoded(text: &str) -> Result<String, StoreError> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let hex = [rest.next().unwrap_or(b'?'), rest.next().unwrap_or(b'?')];
        let value = data_encoding::HEXUPPER_PERMISSIVE.decode(&hex).ok().and_then(|bytes| bytes.first().copied());
        bytes.push(value.ok_or_else(|| setup("a % in user, password or name is written %25"))?);
    }
    String::from_utf8(bytes).map_err(|_| setup("user, password and name are UTF-8"))
}

fn setup(text: &str) -> StoreError {
    StoreError::Setup(text.to_owned())
}

const FORMS: &str = "the address of a store is redis://host:6379/0, rediss://host:6380/0, redis+cluster://host1,host2, \
                     redis+sentinel://host1,host2/mymaster, embedded:DIR or memory:";
const DEFAULT_RETENTION: Duration = Duration::from_hours(24 * 30);
const REDIS_PORT: u16 = 6379;
const SENTINEL_PORT: u16 = 26379;

#[cfg(test)]
mod tests {
    use super::*;

    fn place(url: &str) -> String {
        let config = Config { url: url.to_owned(), ..Config::default() };
        match config.place() {
            Ok(place) => format!("{place:?}"),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn addresses_of_the_contract() {
        insta::assert_snapshot!([
            "redis://127.0.0.1:6379/0",
            "rediss://user:p%40ss@redis.example.net",
            "redis+cluster://h1,h2:7000",
            "redis+sentinel://:pw@h1,[::1]:26380/mymaster/3",
            "embedded:/var/lib/ringproof",
            "memory:",
        ].map(place).join("\n"), @r#"
        Redis(Servers { addresses: [("127.0.0.1", 6379)], tls: false, topology: One { db: 0 }, .. })
        Redis(Servers { addresses: [("redis.example.net", 6379)], tls: true, topology: One { db: 0 }, .. })
        Redis(Servers { addresses: [("h1", 6379), ("h2", 7000)], tls: false, topology: Cluster, .. })
        Redis(Servers { addresses: [("h1", 26379), ("::1", 26380)], tls: false, topology: Sentinel { master: "mymaster", db: 3 }, .. })
        Embedded("/var/lib/ringproof")
        Memory
        "#);
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (url, hint) in [
            ("", "the address of a store is"),
            ("postgres://h", "the address of a store is"),
            ("embedded:", "needs a directory"),
            ("redis://a,b", "names one host"),
            ("redis://a:b", "a host is written"),
            ("redis://a:6379/x", "number of the database"),
            ("redis://secret@a", "user:password@"),
            ("redis+cluster://a/1", "no numbered databases"),
            ("redis+sentinel://a", "name the master"),
            ("redis://u:50%@h", "written %25"),
        ] {
            assert!(place(url).contains(hint), "{url}: {}", place(url));
        }
    }

    #[test]
    fn the_password_is_decoded_overridden_and_not_shown() {
        let text = "url = \"rediss://me:p%40ss@h\"\nretention = \"7d\"";
        let mut config: Config = toml::from_str(text).unwrap();
        assert_eq!(config.retention, Duration::from_hours(24 * 7));
        let password = |config: &Config| match config.place() {
            Ok(Place::Redis(servers)) => (servers.username, servers.password),
            other => panic!("{other:?}"),
        };
        assert_eq!(password(&config), (Some("me".to_owned()), Some("p@ss".to_owned())));
        config.password = Some("hunter2".to_owned());
        assert_eq!(password(&config).1.as_deref(), Some("hunter2"));
        let shown = format!("{config:?} {:?}", config.place());
        assert!(!shown.contains("hunter2") && !shown.contains("p%40ss") && !shown.contains("p@ss"), "{shown}");
        assert!(toml::from_str::<Config>("urll = \"memory:\"").is_err());
    }
}
