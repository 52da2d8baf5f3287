//! The demo with a SIP telephone of one's own: it rings instead of the one on the page, and the page follows the call.

use std::time::Duration;

use super::{driver::Desk, look};
use crate::world::sip::{
    baresip::{Over, Softphone},
    until,
};

/// Longest wait for speech.
const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_softphone_rings_and_the_page_says_done() {
    let mut phone = Softphone::start(Over::Udp).await;
    let address = format!("sip:phone@127.0.0.1:{}", phone.port());
    let desk = Desk::open_with(&["--sip", &address]).await;
    desk.size(1280, 900).await;
    desk.go("/demo/add/phone?method=phone").await;
    desk.until_says("#softphone", &address).await;
    desk.tab_to("#number").await;
    desk.keys("090-1234-5678").await;
    desk.until_says("#number-message", "+81 90-").await;
    look(&desk, "softphone-1-phone").await;
    desk.keys(&fantoccini::key::Key::Enter.to_string()).await;
    phone.in_a_call().await;
    desk.until("the page knows it", "return document.getElementById('stages')?.dataset.stage === 'prompting'").await;
    look(&desk, "softphone-2-talking").await;
    // Two seconds of the question in Japanese: keys in the first second are ignored.
    until("speech", PATIENCE, || phone.heard().iter().filter(|sample| sample.abs() > 100).count() > 16_000).await;
    phone.press('#');
    desk.until_shown(".outcome.done").await;
    look(&desk, "softphone-3-done").await;
    assert_eq!(desk.complaints().await, Vec::<String>::new());
    desk.close().await;
}
