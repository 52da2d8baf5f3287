//! What somebody might send who is not the carrier, or who is, but about another call: 403, and nothing changes.

use serde_json::json;

use super::{Whole, number};
use crate::world::{
    carrier::{Act, Callee, Posted, When},
    server::{OTHER_KEY, ending},
};

const QUICK: &str = "early_keys = \"0s\"\nclosing = \"1s\"";

fn pairs(params: &[(&str, &str)]) -> Vec<(String, String)> {
    params.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn replaced(posted: &Posted, name: &str, value: &str) -> Vec<(String, String)> {
    let mut params = posted.params.clone();
    params.iter_mut().filter(|(other, _)| other == name).for_each(|(_, old)| value.clone_into(old));
    params
}

#[tokio::test(flavor = "multi_thread")]
async fn forged_and_misdirected_webhooks_change_nothing() {
    let whole = Whole::start(20.0, QUICK, "").await;
    let token = whole.carrier.settings().auth_token.clone();
    // Two calls at once: both callees think for a long time.
    let (one, two) = (number(1), number(2));
    let thinking = || Callee::person([Act::Wait, Act::Wait, Act::Press("#", When::After)]);
    whole.carrier.callee(&one, thinking());
    whole.carrier.callee(&two, thinking());
    let first = whole.server.created(&whole.request(&one)).await["id"].as_str().unwrap().to_owned();
    let second = whole.server.created(&whole.request(&two)).await["id"].as_str().unwrap().to_owned();
    for id in [&first, &second] {
        whole.server.until(id, "the prompt", |document| document["stage"] == "prompting").await;
    }
    let flows: Vec<Posted> =
        whole.carrier.posted().into_iter().filter(|posted| posted.url.ends_with("/flow")).collect();
    let own = flows.iter().find(|posted| posted.param("To") == Some(&one)).unwrap();
    let other = flows.iter().find(|posted| posted.param("To") == Some(&two)).unwrap();
    let keys_url = own.url.replace("/flow", "/keys/1");
    let pound = |posted: &Posted| {
        let mut params = posted.params.clone();
        params.extend(pairs(&[("Digits", "#")]));
        params
    };
    let nobodys = keys_url.replace(keys_url.split('/').nth(5).unwrap(), &"0".repeat(63));
    let wrong_account = "AC99999999999999999999999999999999";
    for (what, url, params, signed_with) in [
        ("another secret", keys_url.as_str(), pound(own), "0123456789abcdef0123456789abcdef"),
        ("the other call's words", &keys_url, pound(other), &token),
        (
            "another account",
            &keys_url,
            {
                let mut p = replaced(own, "AccountSid", wrong_account);
                p.extend(pairs(&[("Digits", "#")]));
                p
            },
            &token,
        ),
        (
            "another number",
            &keys_url,
            {
                let mut p = replaced(own, "To", &two);
                p.extend(pairs(&[("Digits", "#")]));
                p
            },
            &token,
        ),
        ("a call of nobody", &nobodys, pound(own), &token),
    ] {
        let reply = whole.carrier.send(url, &params, signed_with).await;
        assert_eq!(reply.status, 403, "{what}: {}", reply.body);
        assert!(reply.body.len() < 200 && !reply.body.contains("sign"), "{what} learns: {}", reply.body);
    }
    let unsigned =
        whole.carrier.send_raw(&keys_url, &[("content-type", "application/x-www-form-urlencoded")], "Digits=%23").await;
    assert_eq!(unsigned.status, 403);
    for id in [&first, &second] {
        let document = whole.server.get(&format!("/v1/verifications/{id}")).await;
        assert_eq!(document["status"], "pending", "{document:#}");
    }
    for id in [&first, &second] {
        assert_eq!(ending(&whole.server.outcome(id).await), "verified");
    }
    whole.carrier.all_over().await;
    whole.check(&[&one, &two], &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn replayed_webhooks_change_nothing() {
    let mut whole = Whole::start(20.0, QUICK, "").await;
    let (one, two) = (number(1), number(2));
    whole.carrier.callee(&one, Callee::presses(["5", "#"]));
    whole.carrier.callee(&two, Callee::presses(["5", "7", "9"]));
    let first = whole.server.created(&whole.request(&one)).await["id"].as_str().unwrap().to_owned();
    let second = whole.server.created(&whole.request(&two)).await["id"].as_str().unwrap().to_owned();
    assert_eq!(ending(&whole.server.outcome(&first).await), "verified");
    assert_eq!(ending(&whole.server.outcome(&second).await), "failed wrong_input");
    whole.carrier.all_over().await;
    let before = [
        whole.server.get(&format!("/v1/verifications/{first}")).await,
        whole.server.get(&format!("/v1/verifications/{second}")).await,
    ];
    let posted = whole.carrier.posted();
    // The same again, backwards; and once more by a process that has just begun.
    for round in 0..2 {
        for message in posted.iter().rev() {
            let reply = whole.carrier.send_again(message).await;
            assert!((200..300).contains(&reply.status), "{} in round {round}: {}", message.url, reply.status);
        }
        if round == 0 {
            whole.server.stop().await;
            whole.server.run().await;
        }
    }
    // The # that approved one call does not approve the other, whose last question it was not.
    let approving = posted.iter().find(|message| message.param("Digits") == Some("#")).unwrap();
    let other =
        posted.iter().find(|message| message.url.contains("/keys/") && message.param("To") == Some(&two)).unwrap();
    let reply = whole.carrier.send(&other.url, &approving.params, &whole.carrier.settings().auth_token).await;
    assert_eq!(reply.status, 403);
    let after = [
        whole.server.get(&format!("/v1/verifications/{first}")).await,
        whole.server.get(&format!("/v1/verifications/{second}")).await,
    ];
    assert_eq!(before, after);
    assert_eq!(whole.backend.results().len(), 2);
    whole.check(&[&one, &two], &[]).await;
}

/// One tenant sees nothing of another's, and cannot tell it from what is not there.
#[tokio::test(flavor = "multi_thread")]
async fn tenants_do_not_see_each_other() {
    let whole = Whole::start(20.0, QUICK, "").await;
    let to = number(1);
    whole.carrier.callee(&to, Callee::presses(["#"]));
    let id = whole.server.created(&whole.request(&to)).await["id"].as_str().unwrap().to_owned();
    let missing = format!("{}{}", &id[..id.len() - 4], "0000");
    let other = whole.server.read_as(OTHER_KEY, &format!("/v1/verifications/{id}")).await;
    let nothing = whole.server.read_as(OTHER_KEY, &format!("/v1/verifications/{missing}")).await;
    assert_eq!(other.0, 404);
    assert_eq!(other.1.replace(&id, "ID"), nothing.1.replace(&missing, "ID"));
    let list = whole.server.read_as(OTHER_KEY, "/v1/verifications").await;
    assert!(list.0 == 200 && !list.1.contains("ver_"), "{}", list.1);
    assert_eq!(whole.server.read_as(OTHER_KEY, "/v1/calls").await.0, 403);
    let (status, busy) = whole.server.create(&whole.request(&to)).await;
    assert_eq!((status, &busy["code"]), (409, &json!("already_pending")), "{busy:#}");
    whole.server.outcome(&id).await;
    whole.carrier.all_over().await;
    whole.check(&[&to], &[]).await;
}
