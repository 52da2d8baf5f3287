//! Owns a browser as far as signing in needs one: it keeps cookies by their names, follows nothing on its own, and tells
//! what came.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard},
    time::Duration,
};

use reqwest::{RequestBuilder, header, redirect::Policy};
use url::Url;

/// Longest wait for a page: longer than the service waits for a provider.
const PATIENCE: Duration = Duration::from_secs(40);

pub(super) struct Browser {
    base: String,
    from: Option<String>,
    http: reqwest::Client,
    cookies: Mutex<BTreeMap<String, String>>,
}

/// What came.
pub(super) struct Page {
    pub(super) status: u16,
    pub(super) text: String,
    url: String,
    location: Option<String>,
    cookies: Vec<String>,
}

impl Page {
    /// Where it leads, in full.
    pub(super) fn location(&self) -> String {
        let location = self.location.as_ref().unwrap_or_else(|| panic!("leads nowhere: {} {}", self.status, self.text));
        self.url.parse::<Url>().unwrap().join(location).unwrap().into()
    }

    pub(super) fn query_of_location(&self) -> BTreeMap<String, String> {
        self.location().parse::<Url>().unwrap().query_pairs().into_owned().collect()
    }

    /// The `Set-Cookie` of this name, whole.
    pub(super) fn set_cookie(&self, name: &str) -> Option<&str> {
        self.cookies.iter().map(String::as_str).find(|cookie| cookie.starts_with(&format!("{name}=")))
    }
}

impl Browser {
    pub(super) fn new(base: &str) -> Self {
        let http = reqwest::Client::builder().no_proxy().redirect(Policy::none()).timeout(PATIENCE).build().unwrap();
        Self { base: base.to_owned(), from: None, http, cookies: Mutex::default() }
    }

    /// One at another address, as a proxy tells it.
    pub(super) fn from(base: &str, address: &str) -> Self {
        Self { from: Some(address.to_owned()), ..Self::new(base) }
    }

    fn jar(&self) -> MutexGuard<'_, BTreeMap<String, String>> {
        self.cookies.lock().unwrap()
    }

    pub(super) fn cookie(&self, name: &str) -> Option<String> {
        self.jar().get(name).cloned()
    }

    pub(super) fn keep(&self, name: &str, value: &str) {
        self.jar().insert(name.to_owned(), value.to_owned());
    }

    /// The button, the provider, the way back: what is said in the end.
    pub(super) async fn sign_in(&self, next: &str) -> Page {
        let next: String = url::form_urlencoded::byte_serialize(next.as_bytes()).collect();
        let start = self.get(&format!("/console/oidc/start?next={next}")).await;
        let back = self.get(&start.location()).await;
        self.get(&back.location()).await
    }

    pub(super) async fn get(&self, to: &str) -> Page {
        self.enter("en", to).await
    }

    pub(super) async fn enter(&self, language: &str, to: &str) -> Page {
        self.send(self.http.get(self.url(to)).header(header::ACCEPT_LANGUAGE, language), to).await
    }

    pub(super) async fn post(&self, to: &str) -> Page {
        self.form(to, &[]).await
    }

    pub(super) async fn form(&self, to: &str, form: &[(&str, &str)]) -> Page {
        self.send(self.http.post(self.url(to)).form(form), to).await
    }

    fn url(&self, to: &str) -> String {
        if to.starts_with("http") { to.to_owned() } else { format!("{}{to}", self.base) }
    }

    async fn send(&self, mut request: RequestBuilder, to: &str) -> Page {
        let cookies: Vec<_> = self.jar().iter().map(|(name, value)| format!("{name}={value}")).collect();
        if !cookies.is_empty() {
            request = request.header(header::COOKIE, cookies.join("; "));
        }
        if let Some(from) = &self.from {
            request = request.header("x-forwarded-for", from);
        }
        let answer = request.send().await.unwrap_or_else(|error| panic!("{to}: {error}"));
        let text = |value: &header::HeaderValue| value.to_str().unwrap().to_owned();
        let cookies: Vec<String> = answer.headers().get_all(header::SET_COOKIE).iter().map(text).collect();
        for cookie in &cookies {
            let (name, value) = cookie.split(';').next().unwrap().split_once('=').unwrap();
            if cookie.contains("Max-Age=0") {
                self.jar().remove(name);
            } else {
                self.keep(name, value);
            }
        }
        let location = answer.headers().get(header::LOCATION).map(text);
        let (status, url) = (answer.status().as_u16(), answer.url().to_string());
        Page { status, text: answer.text().await.unwrap(), url, location, cookies }
    }
}
