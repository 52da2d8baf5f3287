//! Owns what the demo remembers of a browser: its telephone, its sign-in methods, the attempt that is under way. Kept in
//! memory, found through a signed cookie, forgotten with the process.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use data_encoding::BASE32_NOPAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::{
    id::{Entropy, VerificationId},
    pages::{Theme, Words},
    phone::{CountryCode, E164},
    provider::simulator::Telephone,
    time::{Clock, Timestamp},
};

/// Name of the cookie.
pub(super) const COOKIE: &str = "ringproof_demo";
/// Most browsers that are remembered; the one not seen for longest is forgotten for a new one.
const MAX_SESSIONS: usize = 1000;
/// Most sign-in methods of one browser.
pub(super) const MAX_METHODS: usize = 20;
/// Bytes of the signature that stand in the cookie.
const MAC_BYTES: usize = 20;
/// Random bytes of a session's name.
const ID_BYTES: usize = 15;

/// All browsers that are remembered.
pub(super) struct Sessions {
    key: [u8; 64],
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    all: Mutex<BTreeMap<String, (Timestamp, Arc<Session>)>>,
}

/// One browser.
pub(super) struct Session {
    /// The user that it stands for: what a real backend sends as `reference`.
    pub(super) reference: String,
    /// Its telephone.
    pub(super) telephone: Arc<Telephone>,
    state: Mutex<State>,
}

/// What changes about a browser.
#[derive(Clone)]
pub(super) struct State {
    pub(super) words: Words,
    pub(super) theme: Theme,
    pub(super) methods: Vec<Method>,
    /// Counts the methods that were ever added: names them.
    pub(super) added: u32,
    pub(super) attempt: Option<Attempt>,
    /// The country chosen last.
    pub(super) country: Option<CountryCode>,
    /// Said once, on the next page.
    pub(super) notice: Option<&'static str>,
}

/// A telephone that became a sign-in method.
#[derive(Clone)]
pub(super) struct Method {
    pub(super) name: u32,
    pub(super) kind: Kind,
    /// As the API masks it.
    pub(super) masked: String,
    pub(super) country: CountryCode,
    pub(super) extension: Option<String>,
    pub(super) added_at: Timestamp,
}

/// Which kind of telephone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// One's own second telephone.
    Phone,
    /// A company's exchange with an extension.
    Office,
}

impl Kind {
    pub(super) fn of(word: &str) -> Self {
        if word == "office" { Self::Office } else { Self::Phone }
    }

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Phone => "phone",
            Self::Office => "office",
        }
    }
}

/// A verification that was asked for.
#[derive(Clone)]
pub(super) struct Attempt {
    pub(super) verification: VerificationId,
    pub(super) view_token: String,
    pub(super) kind: Kind,
    pub(super) to: E164,
    pub(super) country: CountryCode,
    pub(super) extension: Option<String>,
    /// The form that asked for it: the same form sent twice asks once.
    pub(super) ticket: String,
    /// Its outcome was taken note of.
    pub(super) settled: bool,
}

impl Session {
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sessions {
    pub(super) fn new(clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Self {
        let mut key = [0; 64];
        entropy.fill(&mut key);
        Self { key, clock, entropy, all: Mutex::default() }
    }

    /// The browser that a cookie names, if we signed it and still know it.
    pub(super) fn find(&self, cookie: &str) -> Option<Arc<Session>> {
        let (id, mac) = cookie.split_once('.')?;
        let mac = BASE32_NOPAD.decode(mac.as_bytes()).ok()?;
        self.mac(id).verify_truncated_left(&mac).ok().filter(|()| mac.len() == MAC_BYTES)?;
        let now = self.clock.now();
        let mut all = self.all();
        let (seen, session) = all.get_mut(id)?;
        *seen = now;
        Some(Arc::clone(session))
    }

    /// A new browser and its cookie.
    pub(super) fn begin(&self, words: Words, country: Option<CountryCode>) -> (String, Arc<Session>) {
        let id = self.random();
        let state =
            State { words, theme: Theme::Auto, methods: Vec::new(), added: 0, attempt: None, country, notice: None };
        let session = Arc::new(Session {
            reference: format!("user-{}", self.random().chars().take(12).collect::<String>()),
            telephone: Telephone::by_hand(),
            state: Mutex::new(state),
        });
        let signature = self.mac(&id).finalize().into_bytes();
        let cookie = format!("{id}.{}", BASE32_NOPAD.encode(signature.get(..MAC_BYTES).unwrap_or_default()));
        let mut all = self.all();
        if all.len() >= MAX_SESSIONS
            && let Some(oldest) = all.iter().min_by_key(|(_, (seen, _))| *seen).map(|(id, _)| id.clone())
        {
            all.remove(&oldest);
        }
        all.insert(id, (self.clock.now(), Arc::clone(&session)));
        (cookie, session)
    }

    /// A name that nobody can guess.
    pub(super) fn random(&self) -> String {
        let mut bytes = [0; ID_BYTES];
        self.entropy.fill(&mut bytes);
        BASE32_NOPAD.encode(&bytes)
    }

    fn mac(&self, id: &str) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new(&self.key.into());
        mac.update(id.as_bytes());
        mac
    }

    fn all(&self) -> MutexGuard<'_, BTreeMap<String, (Timestamp, Arc<Session>)>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Counting(std::sync::atomic::AtomicU8);

    impl Entropy for Counting {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill(self.0.fetch_add(1, std::sync::atomic::Ordering::SeqCst));
        }
    }

    fn sessions() -> Sessions {
        Sessions::new(Arc::new(crate::time::SystemClock), Arc::new(Counting(std::sync::atomic::AtomicU8::new(1))))
    }

    #[test]
    fn only_signed_cookies_are_known() {
        let sessions = sessions();
        let (cookie, session) = sessions.begin(Words::of("en"), None);
        assert!(Arc::ptr_eq(&session, &sessions.find(&cookie).unwrap()));
        let (id, mac) = cookie.split_once('.').unwrap();
        let shorter = BASE32_NOPAD.encode(&BASE32_NOPAD.decode(mac.as_bytes()).unwrap()[..5]);
        for forged in
            [format!("{id}."), format!("{id}.{shorter}"), format!("{id}A.{mac}"), id.to_owned(), String::new()]
        {
            assert!(sessions.find(&forged).is_none(), "{forged}");
        }
        let other =
            Sessions::new(Arc::new(crate::time::SystemClock), Arc::new(Counting(std::sync::atomic::AtomicU8::new(9))));
        assert!(other.find(&cookie).is_none(), "signed with another key");
    }
}
