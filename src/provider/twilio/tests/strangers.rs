//! What holds for every message: a stranger's is refused whatever is in it, one of ours is refused whatever is changed in
//! it, and nothing but `#` is read as `#`.

use proptest::prelude::*;

use super::*;
use crate::provider::Inbound;

const URL: &str = "https://verify.example.com/webhooks/main/T/keys/1";
const FORM: &str = "application/x-www-form-urlencoded";

type Pairs = Vec<(String, String)>;

/// Parameters as a carrier sends them, or as somebody makes them up.
fn parameters() -> impl Strategy<Value = Pairs> {
    let names = prop::sample::select(vec!["AccountSid", "CallSid", "CallStatus", "Digits", "To", "AnsweredBy", "X"]);
    let values = prop_oneof![
        prop::sample::select(vec!["#", "", "completed", "in-progress", ACCOUNT, "CA1", "+819012345678"])
            .prop_map(str::to_owned),
        "[ -~]{0,12}",
        any::<String>(),
    ];
    prop::collection::vec((names.prop_map(str::to_owned), values), 0..6)
}

/// What a message of ours has besides.
fn ours(digits: &str) -> Pairs {
    [("AccountSid", ACCOUNT), ("CallSid", "CA1"), ("To", "+819012345678"), ("Digits", digits)]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec()
}

fn body(pairs: &Pairs) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

fn sign(token: &str, url: &str, pairs: &Pairs) -> String {
    use hmac::{Hmac, KeyInit, Mac};
    let mut sorted = pairs.clone();
    sorted.sort();
    sorted.dedup();
    let text: String = sorted.into_iter().map(|(name, value)| name + &value).collect();
    let mut mac = Hmac::<sha1::Sha1>::new_from_slice(token.as_bytes()).unwrap();
    mac.update(format!("{url}{text}").as_bytes());
    STANDARD.encode(mac.finalize().into_bytes())
}

fn accept(url: &str, signature: &str, body: &str) -> Result<Accepted, Refused> {
    let headers = headers(&[("x-twilio-signature", signature), ("content-type", FORM)]);
    let to = Endpoint::Keys { turn: 1 };
    dialect("").accept(&Inbound { to, method: "POST", url, headers: &headers, body: body.as_bytes() })
}

/// The same parameters, in whatever order and however often each.
fn same(one: &Pairs, other: &Pairs) -> bool {
    let sorted = |pairs: &Pairs| {
        let mut pairs = pairs.clone();
        pairs.sort();
        pairs.dedup();
        pairs
    };
    sorted(one) == sorted(other)
}

proptest! {
    #[test]
    fn a_stranger_is_refused_whatever_is_said(
        token in "[ -~]{0,40}", pairs in parameters(), signature in "[A-Za-z0-9+/]{0,30}={0,2}",
        to in prop::sample::select(vec![Endpoint::Flow, Endpoint::Status, Endpoint::Keys { turn: 1 }]),
        method in prop::sample::select(vec!["POST", "GET", "PUT"]), kind in prop::sample::select(vec![FORM, "application/json", "text/plain", ""]),
    ) {
        prop_assume!(token != TOKEN);
        let pairs = [ours("#"), pairs].concat();
        for (signature, url) in [(sign(&token, URL, &pairs), URL.to_owned()), (signature, format!("{URL}?{}", body(&pairs)))] {
            let headers = headers(&[("x-twilio-signature", &signature), ("content-type", kind)]);
            let body = body(&pairs);
            let refused = dialect("").accept(&Inbound { to, method, url: &url, headers: &headers, body: body.as_bytes() });
            prop_assert_eq!(refused.unwrap_err(), Refused::BadSignature);
        }
    }

    #[test]
    fn what_was_signed_for_one_message_is_good_for_no_other(
        added in parameters(), removed in any::<prop::sample::Index>(), replaced in any::<prop::sample::Index>(), value in "[ -~]{0,8}",
        tail in "[a-z0-9/?&=]{1,6}",
    ) {
        let signed = ours("#");
        let signature = sign(TOKEN, URL, &signed);
        prop_assert!(accept(URL, &signature, &body(&signed)).is_ok());
        let mut without = signed.clone();
        without.remove(removed.index(signed.len()));
        let mut other = signed.clone();
        other[replaced.index(signed.len())].1 = value;
        for changed in [[signed.clone(), added].concat(), without, other] {
            let verdict = accept(URL, &signature, &body(&changed));
            // Parameters that are written one behind the other may come to the same text: no stranger chooses how.
            let glued = sign(TOKEN, URL, &changed) == signature;
            prop_assert!(same(&changed, &signed) || glued || verdict.is_err(), "{changed:?}");
        }
        let elsewhere = accept(&format!("{URL}{tail}"), &signature, &body(&signed));
        prop_assert!(elsewhere.is_err());
    }

    #[test]
    fn only_the_pound_key_reads_as_the_pound_key(text in prop_oneof!["[0-9A-D*#]{0,3}", "[ -~]{0,4}", any::<String>()]) {
        let pairs = ours(&text);
        match accept(URL, &sign(TOKEN, URL, &pairs), &body(&pairs)) {
            Ok(Accepted { signal: Some(Signal::Keys { digits, .. }), .. }) => {
                prop_assert_eq!(digits.expose() == "#", text == "#", "{}", text);
                prop_assert_eq!(digits.expose().contains('#'), text.contains('#'), "{}", text);
            }
            Ok(other) => prop_assert!(false, "{:?}", other),
            // What stands for bytes that are no text is taken for a wrong signature.
            Err(refused) => prop_assert!(text != "#", "{}", refused),
        }
    }
}
