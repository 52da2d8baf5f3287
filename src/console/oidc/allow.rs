//! Owns who may enter: the rules of the settings, asked about the claims of a person. In doubt nobody may.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{config::AllowRule, token::Claims};
use crate::http::Scope;

/// The claim that holds an e-mail address, and the one that says whether it is the person's.
const EMAIL: &str = "email";
const EMAIL_VERIFIED: &str = "email_verified";

/// What a person may do: the scopes of all rules that hold. Empty for who may not enter.
pub(super) fn scopes(rules: &[AllowRule], claims: &Claims) -> Vec<Scope> {
    let granted: BTreeSet<Scope> =
        rules.iter().filter(|rule| holds(rule, claims)).map(|rule| rule.scope.unwrap_or(Scope::Calls)).collect();
    granted.into_iter().collect()
}

/// Whether the claims that the rules ask about are there, so that the provider has to be asked for no more.
pub(super) fn knows_enough(rules: &[AllowRule], claims: &Claims) -> bool {
    let has_email = claims.contains_key(EMAIL) && claims.contains_key(EMAIL_VERIFIED);
    rules.iter().all(|rule| match &rule.claim {
        Some(name) => find(claims, name).is_some() && (name != EMAIL || has_email),
        None => has_email,
    })
}

fn holds(rule: &AllowRule, claims: &Claims) -> bool {
    match (&rule.claim, &rule.value, &rule.email_domain) {
        (Some(name), Some(value), None) => {
            // An address that anybody may type into a profile says nothing about who it is.
            (name != EMAIL || is_verified(claims)) && find(claims, name).is_some_and(|claim| is_or_holds(claim, value))
        }
        (None, None, Some(domain)) => {
            let address = claims.get(EMAIL).and_then(Value::as_str);
            let of = address.and_then(|address| address.rsplit_once('@')).map(|(_, of)| of);
            is_verified(claims) && of.is_some_and(|of| of.eq_ignore_ascii_case(domain))
        }
        _ => false,
    }
}

fn is_verified(claims: &Claims) -> bool {
    claims.get(EMAIL_VERIFIED) == Some(&Value::Bool(true))
}

/// A claim by its name; where there is none, the dots in it lead into objects.
fn find<'a>(claims: &'a Claims, name: &str) -> Option<&'a Value> {
    if let Some(claim) = claims.get(name) {
        return Some(claim);
    }
    let (first, rest) = name.split_once('.')?;
    rest.split('.').try_fold(claims.get(first)?, |inside, name| inside.get(name))
}

fn is_or_holds(claim: &Value, wanted: &str) -> bool {
    match claim {
        Value::String(text) => text == wanted,
        Value::Array(list) => list.iter().any(|entry| entry.as_str() == Some(wanted)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn claims(value: Value) -> Claims {
        let Value::Object(claims) = value else { unreachable!() };
        claims
    }

    fn may_enter(rules: &[AllowRule], claims: &Claims) -> bool {
        !scopes(rules, claims).is_empty()
    }

    fn claim(name: &str, value: &str) -> AllowRule {
        AllowRule { claim: Some(name.to_owned()), value: Some(value.to_owned()), ..AllowRule::default() }
    }

    fn domain(domain: &str) -> AllowRule {
        AllowRule { email_domain: Some(domain.to_owned()), ..AllowRule::default() }
    }

    #[test]
    fn a_claim_is_the_value_or_holds_it() {
        let rules = [claim("groups", "operators")];
        for good in [json!({ "groups": "operators" }), json!({ "groups": ["x", "operators"] })] {
            assert!(may_enter(&rules, &claims(good)));
        }
        for bad in [
            json!({}),
            json!({ "groups": "operators2" }),
            json!({ "groups": "Operators" }),
            json!({ "groups": ["x operators"] }),
            json!({ "groups": [["operators"]] }),
            json!({ "groups": { "operators": true } }),
            json!({ "groups": true }),
            json!({ "group": "operators" }),
        ] {
            assert!(!may_enter(&rules, &claims(bad.clone())), "{bad}");
        }
        assert!(!may_enter(&[], &claims(json!({ "groups": "operators" }))), "without a rule nobody may");
        assert!(!may_enter(&[AllowRule::default()], &claims(json!({ "groups": "operators" }))));
    }

    #[test]
    fn dots_lead_into_objects_unless_they_are_part_of_the_name() {
        let rules = [claim("realm_access.roles", "operator")];
        assert!(may_enter(&rules, &claims(json!({ "realm_access": { "roles": ["operator"] } }))));
        assert!(may_enter(&rules, &claims(json!({ "realm_access.roles": "operator" }))));
        assert!(!may_enter(&rules, &claims(json!({ "realm_access": { "role": ["operator"] } }))));
        let named_by_a_url = [claim("https://example.com/groups", "a")];
        assert!(may_enter(&named_by_a_url, &claims(json!({ "https://example.com/groups": ["a"] }))));
    }

    #[test]
    fn an_address_counts_only_where_it_is_verified() {
        for rules in [[domain("example.com")], [claim("email", "kim@example.com")]] {
            assert!(may_enter(&rules, &claims(json!({ "email": "kim@example.com", "email_verified": true }))));
            for bad in [
                json!({ "email": "kim@example.com" }),
                json!({ "email": "kim@example.com", "email_verified": false }),
                json!({ "email": "kim@example.com", "email_verified": "true" }),
                json!({ "email": "kim@example.com.evil", "email_verified": true }),
                json!({ "email": "kim@notexample.com", "email_verified": true }),
                json!({ "email": "example.com", "email_verified": true }),
                json!({ "email": ["kim@sub.example.com"], "email_verified": true }),
            ] {
                assert!(!may_enter(&rules, &claims(bad.clone())), "{bad}");
            }
        }
        assert!(may_enter(
            &[domain("example.com")],
            &claims(json!({ "email": "K@EXAMPLE.COM", "email_verified": true }))
        ));
    }

    #[test]
    fn the_rules_that_hold_add_up() {
        let rules = [claim("groups", "a"), AllowRule { scope: Some(Scope::Admin), ..claim("groups", "b") }];
        for (groups, granted) in [
            (json!(["a"]), &[Scope::Calls][..]),
            (json!(["b"]), &[Scope::Admin]),
            (json!(["b", "a"]), &[Scope::Calls, Scope::Admin]),
            (json!(["c"]), &[]),
        ] {
            assert_eq!(scopes(&rules, &claims(json!({ "groups": groups }))), granted);
        }
    }

    #[test]
    fn more_is_asked_for_only_where_it_could_matter() {
        let rules = [claim("groups", "a"), domain("example.com")];
        assert!(!knows_enough(&rules, &claims(json!({ "groups": ["a"] }))), "the address is not known");
        assert!(!knows_enough(&rules, &claims(json!({ "email": "x@y", "email_verified": true }))));
        assert!(knows_enough(&rules, &claims(json!({ "groups": [], "email": "x@y", "email_verified": true }))));
        assert!(!knows_enough(&[claim("email", "x@y")], &claims(json!({ "email": "x@y" }))));
    }
}
