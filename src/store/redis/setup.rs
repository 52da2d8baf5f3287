//! Owns the checks of a server's settings: what must be so, what should be so, and what to do about it. It changes no
//! setting.

use std::collections::BTreeMap;

use super::super::{Servers, StoreError};

/// What `INFO` says about a server.
#[derive(Debug, Default)]
pub(super) struct Settings(BTreeMap<String, String>);

/// What is known about a server that may be used.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Judged {
    /// Kind and version.
    pub(super) description: String,
    /// What should be better.
    pub(super) warnings: Vec<String>,
}

impl Settings {
    /// Reads the answer to `INFO`.
    pub(super) fn parse(info: &str) -> Self {
        let pairs = info.lines().filter_map(|line| line.trim_end().split_once(':'));
        Self(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }

    fn value(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Refuses what would lose or leak verifications. A node of a cluster may be a replica.
    pub(super) fn judge(&self, cluster: bool) -> Result<Judged, StoreError> {
        let (name, version) = match self.value("valkey_version") {
            Some(version) => ("Valkey", version),
            None => ("Redis", self.value("redis_version").unwrap_or_default()),
        };
        let major: u32 = version.split('.').next().and_then(|major| major.parse().ok()).unwrap_or(0);
        if major < OLDEST_MAJOR {
            return Err(setup(format!("{name} {version} is too old: ringproof needs Redis 7.0 or newer, or Valkey")));
        }
        if let Some(policy) = self.value("maxmemory_policy").filter(|policy| *policy != "noeviction") {
            return Err(setup(format!(
                "Redis may throw verifications away: set `maxmemory-policy noeviction` (it is {policy})"
            )));
        }
        if !cluster && self.value("role").is_some_and(|role| role != "master") {
            return Err(setup(String::from("this Redis is a replica: the address must be that of the master")));
        }
        let mut warnings = Vec::new();
        if self.value("maxmemory_policy").is_none() {
            warnings.push(String::from("Redis does not tell its maxmemory-policy; it must be noeviction"));
        }
        if self.value("maxmemory") == Some("0") {
            warnings.push(String::from("Redis has no maxmemory: set one below the machine's memory"));
        }
        match self.value("aof_enabled") {
            Some("1") => {}
            Some(_) => warnings.push(String::from(
                "Redis keeps no append-only file: set `appendonly yes`, or a crash loses verifications",
            )),
            None => warnings.push(String::from("Redis does not tell whether it keeps an append-only file; it should")),
        }
        if self.value("aof_last_write_status").is_some_and(|status| status != "ok") {
            warnings.push(String::from("Redis could not write its append-only file: look at its disk"));
        }
        let mode = self.value("redis_mode").unwrap_or("standalone");
        Ok(Judged { description: format!("{name} {version}, {mode}"), warnings })
    }
}

/// What is thought of a server that does not let us ask.
pub(super) fn unknown() -> Judged {
    Judged {
        description: String::from("Redis, version unknown"),
        warnings: vec![String::from(
            "the Redis user may not ask for INFO: version, noeviction and the append-only file are not checked",
        )],
    }
}

/// Refuses to speak to a server on the network without a password.
pub(super) fn check_login(servers: &Servers) -> Result<(), StoreError> {
    let open = servers.password.is_none();
    match servers.addresses.iter().find(|(host, _)| open && !is_loopback(host)) {
        Some((host, _)) => Err(setup(format!(
            "Redis at {host} is used without a password: set `requirepass` or an ACL user there and password_file in [store]"
        ))),
        None => Ok(()),
    }
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

const fn setup(text: String) -> StoreError {
    StoreError::Setup(text)
}

/// Oldest version whose scripts say beforehand what they do.
const OLDEST_MAJOR: u32 = 7;

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(info: &str) -> String {
        let info = info.replace(' ', "\r\n");
        match Settings::parse(&info).judge(false) {
            Ok(judged) => format!("{}: {}", judged.description, judged.warnings.join("; ")),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn settings_are_judged() {
        let good = "redis_version:7.0.15 redis_mode:standalone maxmemory:1000000 maxmemory_policy:noeviction aof_enabled:1 role:master";
        assert_eq!(judged(good), "Redis 7.0.15, standalone: ");
        assert_eq!(judged(&format!("{good} valkey_version:8.1.0")), "Valkey 8.1.0, standalone: ");
        for (from, to, said) in [
            ("7.0.15", "6.2.7", "Redis 6.2.7 is too old"),
            ("noeviction", "allkeys-lru", "set `maxmemory-policy noeviction` (it is allkeys-lru)"),
            ("noeviction", "volatile-ttl", "set `maxmemory-policy noeviction`"),
            ("role:master", "role:slave", "is a replica"),
            ("aof_enabled:1", "aof_enabled:0", "keeps no append-only file"),
            ("aof_enabled:1", "", "does not tell whether it keeps an append-only file"),
            ("maxmemory_policy:noeviction", "", "does not tell its maxmemory-policy"),
            ("maxmemory:1000000", "maxmemory:0", "has no maxmemory"),
        ] {
            let info = good.replace(from, to);
            assert!(judged(&info).contains(said), "{info}: {}", judged(&info));
        }
    }

    #[test]
    fn an_open_server_on_the_network_is_refused() {
        for (url, accepted) in [
            ("redis://127.0.0.1", true),
            ("redis://localhost:7000/1", true),
            ("redis://[::1]", true),
            ("redis://10.0.0.1", false),
            ("redis+cluster://127.0.0.1,redis.example.net", false),
            ("redis://:secret@10.0.0.1", true),
        ] {
            let config = super::super::super::Config { url: url.to_owned(), ..Default::default() };
            let Ok(super::super::super::Place::Redis(servers)) = config.place() else { panic!("{url}") };
            assert_eq!(check_login(&servers).is_ok(), accepted, "{url}");
        }
    }
}
