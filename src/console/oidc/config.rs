//! Owns the settings of signing in through an `OpenID` Connect provider, and what is wrong with them. It reaches nobody.

use serde::{Deserialize, Serialize};
use url::{Host, Url};

use crate::{http::Scope, secret::Secret};

/// Longest label of the button, in characters.
const MAX_LABEL_CHARS: usize = 64;
/// Most rules, and most scopes.
const MAX_ENTRIES: usize = 64;
/// Longest value of a setting, in bytes.
const MAX_BYTES: usize = 1024;

/// `[console.oidc]`: operators sign in to the console through an `OpenID` Connect provider.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct OidcConfig {
    /// The provider, to the letter as it calls itself: `issuer` in its `/.well-known/openid-configuration`.
    pub issuer: String,
    /// What we are called there.
    pub client_id: String,
    /// Our secret there. Better `client_secret_file`.
    #[serde(skip_serializing)]
    pub client_secret: Secret<String>,
    /// What is asked for beside `openid`.
    #[serde(default = "usual_scopes")]
    pub scopes: Vec<String>,
    /// Who may enter: whoever satisfies one of these rules. Nobody where there is none.
    #[serde(default)]
    pub allow: Vec<AllowRule>,
    /// What the button says, as in `Sign in with Contoso`; a text of ours where nothing is said.
    #[serde(default)]
    pub label: Option<String>,
}

/// One rule of `allow`: a claim with its value, or a domain of verified e-mail addresses.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct AllowRule {
    /// The name of a claim; dots lead into objects, as in `realm_access.roles`.
    pub claim: Option<String>,
    /// What the claim has to be, or to hold where it is a list.
    pub value: Option<String>,
    /// The part behind the `@` of an e-mail address that the provider says it has verified.
    pub email_domain: Option<String>,
    /// What this lets them do: `calls` (look, where nothing is said) or `admin` (look and act).
    pub scope: Option<Scope>,
}

fn usual_scopes() -> Vec<String> {
    ["profile", "email"].map(str::to_owned).to_vec()
}

impl OidcConfig {
    /// Everything that is wrong, each as setting and what would be right.
    #[must_use]
    pub fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        let mut fault = |setting: &str, why: &str| faults.push(format!("console.oidc.{setting}: {why}"));
        if let Err(why) = address(&self.issuer) {
            fault("issuer", why);
        }
        if !is_one_word(&self.client_id) {
            fault("client_id", "is what the provider calls this application: not empty, without blanks");
        }
        if self.client_secret.expose().is_empty() {
            fault("client_secret", "is empty; the provider shows it when the application is registered");
        }
        if self.scopes.len() > MAX_ENTRIES || !self.scopes.iter().all(|scope| is_one_word(scope)) {
            fault("scopes", "expected words without blanks, as in [\"profile\", \"email\"]");
        }
        let label_is_good = |label: &String| {
            let chars = label.chars().count();
            (1..=MAX_LABEL_CHARS).contains(&chars) && !label.chars().any(char::is_control)
        };
        if !self.label.as_ref().is_none_or(label_is_good) {
            fault("label", "expected 1 to 64 characters, as in \"Sign in with Contoso\"");
        }
        if self.allow.is_empty() {
            let why = "is missing, so nobody may enter: say who may, as in \
                       allow = [{ claim = \"groups\", value = \"telephony-operators\" }]";
            fault("allow", why);
        }
        if self.allow.len() > MAX_ENTRIES {
            fault("allow", "at most 64 rules");
        }
        for (index, rule) in self.allow.iter().enumerate() {
            if let Err(why) = rule.check() {
                fault(&format!("allow[{index}]"), why);
            }
        }
        faults
    }
}

impl AllowRule {
    fn check(&self) -> Result<(), &'static str> {
        let filled = |text: &String| !text.is_empty() && text.len() <= MAX_BYTES;
        if self.scope == Some(Scope::Verify) {
            return Err("scope: the console needs calls or admin");
        }
        match (&self.claim, &self.value, &self.email_domain) {
            (Some(claim), Some(value), None) if filled(claim) && filled(value) => Ok(()),
            (None, None, Some(domain)) if filled(domain) && !domain.contains(['@', ' ', '*']) => Ok(()),
            (None, None, Some(_)) => Err("write the domain alone, as in { email_domain = \"example.com\" }"),
            _ => Err(
                "write { claim = \"groups\", value = \"telephony-operators\" } or { email_domain = \"example.com\" }",
            ),
        }
    }
}

fn is_one_word(text: &str) -> bool {
    (1..=MAX_BYTES).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Reads the address of a provider: `https`, or `http` to this machine, which tests and trials need.
pub(super) fn address(text: &str) -> Result<Url, &'static str> {
    let wrong = "expected an address as in https://login.example.com, without user, query and fragment";
    let url: Url = text.parse().map_err(|_| wrong)?;
    let plain = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
    if !plain || url.query().is_some() || url.host().is_none() || text.len() > MAX_BYTES {
        return Err(wrong);
    }
    if is_safe(&url) { Ok(url) } else { Err("expected https://: what is said there decides who may enter") }
}

/// Whether nobody on the way can read or change what is said to this address.
pub(super) fn is_safe(url: &Url) -> bool {
    let is_here = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    url.scheme() == "https" || (url.scheme() == "http" && is_here)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(allow: &str, issuer: &str) -> OidcConfig {
        let text =
            format!("issuer = {issuer:?}\nclient_id = \"ringproof\"\nclient_secret = \"hunter2\"\nallow = {allow}");
        toml::from_str(&text).unwrap()
    }

    fn told(config: &OidcConfig) -> Vec<String> {
        config.faults().into_iter().map(|fault| fault.strip_prefix("console.oidc.").unwrap().to_owned()).collect()
    }

    const GOOD: &str = r#"[{ claim = "groups", value = "operators" }, { email_domain = "example.com" }]"#;

    #[test]
    fn what_is_complete_has_no_fault_and_shows_no_secret() {
        let config = config(GOOD, "https://login.example.com/realms/main");
        assert_eq!(told(&config), Vec::<String>::new());
        assert_eq!(config.scopes, ["profile", "email"]);
        assert!(!format!("{config:?}").contains("hunter2"));
    }

    #[test]
    fn without_a_rule_nobody_enters_and_the_settings_say_so() {
        let faults = told(&config("[]", "https://login.example.com"));
        assert_eq!(faults.len(), 1, "{faults:?}");
        assert!(faults[0].starts_with("allow: is missing, so nobody may enter"), "{faults:?}");
    }

    #[test]
    fn rules_are_whole() {
        for half in [
            r#"[{}]"#,
            r#"[{ claim = "groups" }]"#,
            r#"[{ value = "x" }]"#,
            r#"[{ claim = "", value = "x" }]"#,
            r#"[{ claim = "groups", value = "" }]"#,
            r#"[{ email_domain = "" }]"#,
            r#"[{ email_domain = "@example.com" }]"#,
            r#"[{ email_domain = "*" }]"#,
            r#"[{ claim = "groups", value = "x", email_domain = "example.com" }]"#,
        ] {
            assert!(told(&config(half, "https://login.example.com"))[0].starts_with("allow[0]: write "), "{half}");
        }
        let too_little = r#"[{ claim = "groups", value = "x", scope = "verify" }]"#;
        assert_eq!(
            told(&config(too_little, "https://a.example")),
            ["allow[0]: scope: the console needs calls or admin"]
        );
    }

    #[test]
    fn providers_are_reached_safely() {
        for good in [
            "https://a.example/",
            "https://a.example:8443/x",
            "http://127.0.0.1:9",
            "http://[::1]:9",
            "http://localhost:9",
        ] {
            assert_eq!(told(&config(GOOD, good)), Vec::<String>::new(), "{good}");
        }
        for bad in [
            "",
            "a.example",
            "http://a.example",
            "http://localhost.example",
            "ftp://127.0.0.1",
            "https://u:p@a.example",
            "https://a.example?x=1",
            "https://a.example#x",
        ] {
            assert!(told(&config(GOOD, bad))[0].starts_with("issuer: expected "), "{bad}");
        }
    }

    #[test]
    fn other_faults_are_told_together() {
        let mut config = config(GOOD, "https://login.example.com");
        config.client_id = String::from("two words");
        config.client_secret = Secret::new(String::new());
        config.scopes = vec![String::from("a b")];
        config.label = Some(String::from("\u{7}"));
        let told = told(&config);
        let settings: Vec<_> = told.iter().filter_map(|fault| fault.split(": ").next()).collect();
        assert_eq!(settings, ["client_id", "client_secret", "scopes", "label"]);
    }
}
