//! The board and the page of health over HTTP: from a call log of known content to the figures on the page, for those who
//! may see them; nothing settled yet; the store gone.

use std::time::Duration;

use http::StatusCode;

use super::{
    console::{page, signed_in},
    world::{By, REQUEST, World},
};

/// Three are verified and one finds the line busy, in one minute; then the minutes go on.
async fn a_log() -> World {
    let world = World::new().await;
    // To the beginning of a minute.
    world.clock.advance(Duration::from_secs(20));
    for n in 0..3 {
        let (_, order) = world.create(&format!(r#"{{"to": "+8190222233{n:02}"}}"#)).await;
        world.clock.advance(Duration::from_secs(4));
        world.verified(&order).await;
    }
    let (_, order) = world.create(REQUEST).await;
    world.carrier_says(&order, "status", "busy").await;
    world.clock.advance(Duration::from_secs(120));
    world
}

/// What a page says: its text without mark-up, one space between words.
fn words(html: &str) -> String {
    let main = html.split_once("<main").expect("a page").1;
    let pieces = main.split('<').map(|piece| piece.split_once('>').map_or("", |(_, text)| text));
    let text = pieces.collect::<Vec<_>>().join(" ").replace("&#38;", "&").replace("&#62;", ">");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

async fn says(world: &World, cookie: &str, path: &str) -> String {
    let answer = page(world, cookie, path).await;
    assert_eq!(answer.status, StatusCode::OK, "{path}: {answer:?}");
    words(&answer.text)
}

#[tokio::test]
async fn the_board_says_what_the_log_came_to() {
    let world = a_log().await;
    let cookie = signed_in(&world, 4).await;
    for (range, told) in [
        ("", "75% verified in the last hour (3 of 4)."),
        ("?range=hour", "Most in one minute: 4, from"),
        ("?range=day", "75% verified in the last day (3 of 4)."),
        ("?range=week", "Most in six hours: 4, from"),
        ("?range=year", "75% verified in the last hour (3 of 4)."),
    ] {
        let board = says(&world, &cookie, &format!("/board{range}")).await;
        for part in [
            told,
            "Verified 3 Failed 1",
            "Sum 3 1 0 0 0",
            "Sum 4 75%",
            "Most often: the line was busy (1).",
            "Japan 4 75%",
            "main 4 75%",
            "All of it is Japan: 75% verified.",
            "No prefix has enough verifications to be judged.",
        ] {
            assert!(board.contains(part), "{range}: {part} is missing: {board}");
        }
    }
    let html = page(&world, &cookie, "/board").await.text;
    assert_eq!(html.matches("<svg class=\"chart\"").count(), 5, "five charts");
    assert_eq!(html.matches("<details id=").count(), 5, "and their tables");
    assert!(html.contains("href=\"/voice/console/calls?since="), "rows lead to their calls");
    assert!(!html.contains("5678") && !html.contains("2222"), "no number is on it");
}

#[tokio::test]
async fn a_prefix_that_behaves_oddly_comes_first() {
    let world = World::new().await;
    for n in 0..40 {
        let (to, is_good) = if n < 20 { ("+818022223", false) } else { ("+817022223", true) };
        let (_, order) = world.create(&format!(r#"{{"to": "{to}{n:03}"}}"#)).await;
        if is_good { world.verified(&order).await } else { drop(world.carrier_says(&order, "status", "busy").await) }
    }
    let cookie = signed_in(&world, 4).await;
    let board = says(&world, &cookie, "/board").await;
    assert!(board.contains("Prefixes that behave oddly: 2. Look at them first."), "{board}");
    assert!(board.contains("+81802 … Odd: fewer than elsewhere Japan 20 0% 100%"), "{board}");
}

#[tokio::test]
async fn a_client_sees_its_own_figures_and_no_other() {
    let world = a_log().await;
    let (own, other) = (signed_in(&world, 0).await, signed_in(&world, 1).await);
    assert!(says(&world, &own, "/board").await.contains("(3 of 4)"));
    for path in ["/board", "/board?client=enrolment", "/board?range=week&client=enrolment"] {
        let board = says(&world, &other, path).await;
        assert!(
            board.contains("Client other only") && board.contains("No verification was settled"),
            "{path}: {board}"
        );
        assert!(!board.contains("enrolment"), "{path}: {board}");
    }
    let admin = signed_in(&world, 4).await;
    assert!(says(&world, &admin, "/board?client=").await.contains("(3 of 4)"), "all of them");
    assert!(says(&world, &admin, "/board?client=other").await.contains("Nothing to show yet"));
    let one = page(&world, &admin, "/board?range=day&client=enrolment").await.text;
    assert!(one.contains("<option selected>enrolment</option>"), "{one}");
    assert!(one.contains("range=week&#38;client=enrolment"), "another range keeps the client: {one}");
}

#[tokio::test]
async fn a_board_without_figures_says_so_in_both_languages() {
    let world = World::new().await;
    let cookie = signed_in(&world, 4).await;
    let board = says(&world, &cookie, "/board?range=week").await;
    assert!(board.contains("No verification was settled in the last week.") && board.contains("Nothing to show yet"));
    let html = page(&world, &cookie, "/board").await.text;
    assert!(
        !html.contains("class=\"chart\"") && !html.contains("prefixes-head"),
        "an empty chart says nothing: {html}"
    );
    let japanese = says(&world, &format!("{cookie}; __Host-ringproof_taste=ja.auto.UTC"), "/board").await;
    assert!(japanese.contains("過去 1 時間に結果が出た電話確認はありません。"), "{japanese}");
}

#[tokio::test]
async fn health_says_that_all_is_well() {
    let world = a_log().await;
    let cookie = signed_in(&world, 4).await;
    let health = says(&world, &cookie, "/health").await;
    for part in
        ["Nothing: all is well.", "main Usable", "0% (0 of 4)", "This process takes work.", "No webhook was refused."]
    {
        assert!(health.contains(part), "{part} is missing: {health}");
    }
    let japanese = says(&world, &format!("{cookie}; __Host-ringproof_taste=ja.dark.UTC"), "/health").await;
    assert!(japanese.contains("対応は必要ありません。"), "{japanese}");
}

#[tokio::test]
async fn health_says_what_to_do_and_where() {
    let world = a_log().await;
    let (_, order) = world.create(REQUEST).await;
    let path = format!("/webhooks/main/{}/status", order.token.to_path());
    let forged = world.request(By::Nobody, "POST", &path).header("x-signature", "forged");
    assert_eq!(world.send(forged.body("busy".into()).unwrap()).await.status, StatusCode::FORBIDDEN);
    let cookie = signed_in(&world, 4).await;
    let html = page(&world, &cookie, "/health").await.text;
    let health = words(&html);
    assert!(health.contains("To look after: 1"), "{health}");
    assert!(health.contains("Webhooks for “main” are refused"), "{health}");
    assert!(health.contains("main bad_signature 1"), "{health}");
    assert!(html.contains("/docs/runbooks/RingproofWebhooksRefused.md"), "{html}");
}

#[tokio::test]
async fn health_says_what_stands_against_calls() {
    let world = World::guarded(ringproof::guard::Settings::default()).await;
    let cookie = signed_in(&world, 4).await;
    assert!(says(&world, &cookie, "/health").await.contains("Nothing stands against calls, or for them."));
    let bar = r#"{"about": {"country": "US"}, "sense": "deny", "seconds": 3600, "why": "a burst <of> calls"}"#;
    assert_eq!(world.post(By::Admin, "/v1/limits/bar", bar).await.status, StatusCode::NO_CONTENT);
    let health = says(&world, &cookie, "/health").await;
    for part in [
        "What stands against calls, or for them: 1",
        "not made",
        "by an operator",
        "Spent in the last hour 0.00 of 1000.00 USD",
        "all calls to one number 30/1h 60/1d",
    ] {
        assert!(health.contains(part), "{part} is missing: {health}");
    }
    assert!(page(&world, &cookie, "/health").await.text.contains("a burst &#60;of&#62; calls"));
    world.store.set_away(true);
    assert!(says(&world, &cookie, "/health").await.contains("The limits are kept in the store"));
}

#[tokio::test]
async fn health_is_for_those_who_see_all_clients() {
    let world = a_log().await;
    for key in [0, 3] {
        let cookie = signed_in(&world, key).await;
        let answer = page(&world, &cookie, "/health").await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN);
        assert!(
            answer.text.contains("needs a key with the scope admin") && !answer.text.contains("Usable"),
            "{answer:?}"
        );
    }
}

#[tokio::test]
async fn a_store_that_is_gone_is_said_to_be() {
    let world = a_log().await;
    let cookie = signed_in(&world, 4).await;
    world.store.set_away(true);
    let board = page(&world, &cookie, "/board?range=day").await;
    assert_eq!(board.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(words(&board.text).contains("The store does not answer"), "{board:?}");
    assert!(board.text.contains("href=\"/voice/console/board?range=day\""), "one can load it again: {}", board.text);
    let health = says(&world, &cookie, "/health").await;
    assert!(health.contains("To look after: 1 The store does not write"), "{health}");
    assert!(health.contains("This process takes no work") && health.contains("Could not be delivered –"), "{health}");
    world.store.set_away(false);
    assert!(says(&world, &cookie, "/board").await.contains("(3 of 4)"));
    assert!(says(&world, &cookie, "/health").await.contains("all is well"));
}
