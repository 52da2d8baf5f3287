//! Owns the scripts: their texts, with what Redis has to know about each before it runs. What they do stands in the
//! head of each file.

use std::sync::LazyLock;

/// A script.
pub(super) struct Script {
    /// What is sent when the server does not know it.
    pub(super) text: &'static str,
    /// Its name for the server.
    sha: LazyLock<String>,
}

impl Script {
    /// The SHA-1 of the text, by which the server knows it.
    pub(super) fn sha(&self) -> &str {
        &self.sha
    }
}

/// With these first lines, Redis refuses a script as a whole where its writes would be refused, before it has written.
macro_rules! scripts {
    ($($name:ident = $first:literal $(, $part:literal)+;)+) => {
        $(pub(super) static $name: Script = {
            const TEXT: &str = concat!($first, "\n" $(, include_str!($part))+);
            Script { text: TEXT, sha: LazyLock::new(|| sha_of(TEXT)) }
        };)+
        /// All of them, for tests.
        #[cfg(test)]
        static ALL: &[(&str, &Script)] = &[$((stringify!($name), &$name)),+];
    };
}

scripts! {
    CREATE = "#!lua", "clock.lua", "meter.lua", "write.lua", "create.lua";
    COMMIT = "#!lua", "clock.lua", "meter.lua", "write.lua", "commit.lua";
    ADMIT = "#!lua", "clock.lua", "meter.lua", "admit.lua";
    SETTLE = "#!lua", "clock.lua", "meter.lua", "settle.lua";
    BARS = "#!lua", "bars.lua";
    DUE = "#!lua flags=allow-oom", "due.lua";
    WAITING = "#!lua flags=no-writes", "waiting.lua";
    TAKE = "#!lua", "take.lua";
    DONE = "#!lua flags=allow-oom", "done.lua";
    RETRY = "#!lua", "retry.lua";
    BURY = "#!lua", "bury.lua";
    REVIVE = "#!lua", "revive.lua";
    DISCARD = "#!lua flags=allow-oom", "discard.lua";
    HOLD = "#!lua", "hold.lua";
    RELEASE = "#!lua flags=allow-oom", "release.lua";
    REMEMBER = "#!lua", "remember.lua";
    FORGET = "#!lua flags=allow-oom", "forget.lua";
    CALLS = "#!lua flags=no-writes", "calls.lua";
    BLOCKS = "#!lua flags=no-writes", "blocks.lua";
    FETCH = "#!lua flags=no-writes", "fetch.lua";
    NOTE = "#!lua", "note.lua";
    ERASE = "#!lua flags=allow-oom", "erase.lua";
    TALLIES = "#!lua flags=no-writes", "tallies.lua";
    NUMBER_KEY = "#!lua", "number_key.lua";
    PROBE = "#!lua", "probe.lua";
}

fn sha_of(text: &str) -> String {
    use sha1::{Digest, Sha1};
    data_encoding::HEXLOWER.encode(&Sha1::digest(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a script may call. A script that needs another needs it in the example of `docs/store.md` too.
    const COMMANDS: &[&str] = &[
        "APPEND", "DEL", "EXISTS", "GET", "GETRANGE", "MGET", "PEXPIRE", "PTTL", "PUBLISH", "SET", "SETRANGE",
        "STRLEN", "TIME", "ZADD", "ZCOUNT", "ZRANGE", "ZREM", "ZSCORE",
    ];

    #[test]
    fn scripts_say_what_they_take_and_call_only_what_the_acl_allows() {
        let manual = include_str!("../../../docs/store.md");
        for (name, Script { text, .. }) in ALL {
            assert!(
                (text.contains("-- KEYS[1]") || text.contains("-- KEYS: "))
                    && text.contains("-- ARGV")
                    && text.contains("-- Returns: "),
                "{name}"
            );
            for call in text.split("redis.call('").skip(1) {
                let command = call.split('\'').next().unwrap();
                assert!(COMMANDS.contains(&command), "{name} calls {command}");
            }
        }
        for command in COMMANDS {
            assert!(manual.contains(&format!("+{}", command.to_lowercase())), "docs/store.md does not allow {command}");
        }
    }
}
