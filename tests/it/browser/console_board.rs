//! The board and the page of health in a real browser: in both languages and colours, wide and small, full and empty, by
//! keyboard alone, and kept fresh without being loaded again.

use std::time::Duration;

use fantoccini::key::Key;
use serde_json::{Value, json};

use super::{driver::Desk, look};
use crate::world::program::{Serving, Settings};

/// Calls that are over at once. What the callee does stands at the end of the number.
const CARRIERS: &str = "[[carriers]]\nname = \"main\"\nkind = \"simulator\"\nspeed = 500\nfrom = [\"+815012345678\"]\ncountries = [\"*\"]\n";

/// Four agree, and four do not: nobody answers, busy, declined, reported.
const CALLED: [&str; 8] = [
    "+819012341111",
    "+819012341112",
    "+819012341113",
    "+12015551114",
    "+819012340001",
    "+819012340002",
    "+12015550003",
    "+819012340005",
];

/// Longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn operators_look_at_the_board_and_at_health() {
    let settings = Settings::new("memory:", CARRIERS);
    let _serving = Serving::start(&settings);
    let desk = Desk::at(settings.url()).await;
    desk.size(1280, 900).await;
    desk.go("/console/board").await;
    desk.find("[name=key]").await.send_keys(&format!("{}{}", settings.key(), Key::Enter)).await.unwrap();
    desk.until_says("h1", "集計").await;
    desk.until_says(".nothing", "表示するデータがまだありません").await;
    look(&desk, "board-ja-empty").await;
    let client = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build().unwrap();
    all_are_settled(&client, &settings).await;
    it_comes_up_to_date_by_itself(&desk).await;
    a_table_opens_by_keyboard_and_stays_open(&desk).await;
    for (language, theme) in [("ja", "light"), ("ja", "dark"), ("en", "dark"), ("en", "light")] {
        dress(&desk, language, theme).await;
        for place in ["board", "health"] {
            desk.go(&format!("/console/{place}")).await;
            look(&desk, &format!("{place}-{language}-{theme}")).await;
            desk.size(320, 800).await;
            look(&desk, &format!("{place}-{language}-{theme}-small")).await;
            desk.size(1280, 900).await;
        }
    }
    desk.until_says("#fresh .verdict", "Nothing: all is well.").await;
    desk.until_says("[aria-labelledby=carriers-head] tbody", "Usable").await;
    it_waits_while_it_is_paused(&desk).await;
    assert_eq!(desk.complaints().await, Vec::<String>::new());
    desk.close().await;
}

/// Asks for them all and waits for what comes of each.
async fn all_are_settled(client: &reqwest::Client, settings: &Settings) {
    let base = format!("{}/v1/verifications", settings.url());
    let ask = async |to: &str| {
        let asked = client.post(&base).bearer_auth(settings.key()).json(&json!({ "to": to })).send().await.unwrap();
        let mut document: Value = asked.error_for_status().unwrap().json().await.unwrap();
        while document["status"] == "pending" {
            let url = format!("{base}/{}?wait=10", document["id"].as_str().unwrap());
            document = client.get(url).bearer_auth(settings.key()).send().await.unwrap().json().await.unwrap();
        }
    };
    tokio::time::timeout(PATIENCE, futures_util::future::join_all(CALLED.map(ask))).await.expect("all are settled");
}

/// As when somebody comes back to a page that was hidden.
async fn comes_back(desk: &Desk) {
    desk.run("document.dispatchEvent(new Event('visibilitychange'))").await;
}

async fn it_comes_up_to_date_by_itself(desk: &Desk) {
    desk.run("window.stayed = true; document.activeElement.blur()").await;
    comes_back(desk).await;
    desk.until_says("#fresh .verdict", "（8 件中 4 件）").await;
    assert_eq!(desk.run("return window.stayed").await, true, "the page was not loaded again");
    assert_eq!(desk.run("return document.querySelectorAll('svg.chart').length").await, 5);
}

async fn a_table_opens_by_keyboard_and_stays_open(desk: &Desk) {
    let open = "return document.getElementById('statuses-table').open";
    desk.tab_to("#statuses-table summary").await;
    desk.keys(&Key::Enter.to_string()).await;
    desk.until("the table is open", open).await;
    let sums = desk.text("#statuses-table tfoot").await;
    let sums: Vec<&str> = sums.split_whitespace().collect();
    assert_eq!(sums, ["合計", "4", "3", "1", "0", "0"]);
    look(desk, "board-ja-table").await;
    desk.run("window.old = document.getElementById('statuses-table'); document.activeElement.blur()").await;
    comes_back(desk).await;
    desk.until("it is another table", "return document.getElementById('statuses-table') !== window.old").await;
    assert_eq!(desk.run(open).await, true, "and still open");
}

async fn it_waits_while_it_is_paused(desk: &Desk) {
    desk.tab_to("#fresh-pause").await;
    desk.keys(&Key::Enter.to_string()).await;
    desk.until("it is paused", "return document.getElementById('fresh-pause').ariaPressed === 'true'").await;
    desk.run("window.asked = 0; const real = fetch; window.fetch = (...of) => { asked += 1; return real(...of); }")
        .await;
    comes_back(desk).await;
    assert_eq!(desk.run("return window.asked").await, 0, "nothing is fetched");
    desk.keys(&Key::Enter.to_string()).await;
    desk.run("document.activeElement.blur()").await;
    comes_back(desk).await;
    assert_eq!(desk.run("return window.asked").await, 1);
}

/// Has pages shown in this language and these colours from the next one on, as the switches do.
async fn dress(desk: &Desk, language: &str, theme: &str) {
    let send = "const [fields, done] = arguments; \
                fetch('/console/taste', { method: 'POST', body: new URLSearchParams(fields), redirect: 'manual' }) \
                .then((answer) => done(answer.type), (fault) => done(String(fault)))";
    let fields = json!({ "language": language, "theme": theme });
    assert_eq!(desk.browser.execute_async(send, vec![fields]).await.unwrap(), "opaqueredirect");
}
