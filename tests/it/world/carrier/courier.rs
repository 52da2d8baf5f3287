//! Owns the webhooks of the carrier: what is in them, their signatures, who tries how often, and what may go wrong.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use tokio::time::{Instant, sleep};

use super::{Call, World};

/// What goes wrong with webhooks.
#[derive(Debug, Clone, Default)]
pub(crate) struct Trouble {
    /// Everything is sent twice at the same time.
    pub(crate) duplicate: bool,
    /// Status callbacks overtake each other: each waits up to this long, by chance from the seed.
    pub(crate) shuffle: Option<(u64, Duration)>,
    /// Status callbacks are held back until the call is over and then come last first.
    pub(crate) backwards: bool,
    /// Status callbacks are not sent at all.
    pub(crate) no_statuses: bool,
    /// The answers to so many requests for a document get lost: they are asked for again.
    pub(crate) lost_answers: u32,
    /// Everything waits so long before it is sent, in real time.
    pub(crate) delay: Duration,
}

/// A webhook that was sent.
#[derive(Debug, Clone)]
pub(crate) struct Posted {
    /// The URL, as the gateway told it.
    pub(crate) url: String,
    /// The parameters.
    pub(crate) params: Vec<(String, String)>,
    /// The signature.
    pub(crate) signature: String,
    /// What came back; `None` while it is under way, and when nothing did come back.
    pub(crate) reply: Option<Reply>,
}

impl Posted {
    /// The value of a parameter.
    pub(crate) fn param(&self, name: &str) -> Option<&str> {
        self.params.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }
}

/// The answer to a webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reply {
    /// The HTTP status; 0 when there was no answer.
    pub(crate) status: u16,
    /// Its content type.
    pub(crate) content_type: String,
    /// Its body.
    pub(crate) body: String,
}

/// The document at `url`; `extra` is told beside what is always told. `None` when neither the URL nor the fallback of the
/// call gives one: the callee hears "an application error has occurred" and the call ends.
pub(super) async fn document(
    world: &Arc<World>,
    call: &Arc<Call>,
    url: &str,
    extra: &[(String, String)],
) -> Option<(String, String)> {
    let mut params = about(world, call, "in-progress");
    params.extend(extra.iter().cloned());
    if let Some(reply) = fetch(world, url, &params).await {
        return Some((reply.content_type, reply.body));
    }
    let fallback = call.param("FallbackUrl")?.to_owned();
    let mut params = about(world, call, "in-progress");
    params.extend([pair("ErrorCode", "11200"), pair("ErrorUrl", url)]);
    let reply = fetch(world, &fallback, &params).await;
    if reply.is_none() {
        world.violation(format!("11200: neither {url} nor the fallback gave a document"));
    }
    reply.map(|reply| (reply.content_type, reply.body))
}

/// Tells that the call has come to `status`, where that was asked for.
pub(super) fn status(world: &Arc<World>, call: &Arc<Call>, status: &str, sip: Option<u16>) {
    let event = match status {
        "initiated" | "ringing" => status,
        "in-progress" => "answered",
        _ => "completed",
    };
    let asked: Vec<_> = call.request.iter().filter(|(name, _)| name == "StatusCallbackEvent").collect();
    let wanted = asked.iter().any(|(_, value)| value == event) || (asked.is_empty() && event == "completed");
    let Some(url) = call.param("StatusCallback").filter(|_| wanted).map(str::to_owned) else { return };
    let mut params = about(world, call, status);
    let (sequence, talked) = {
        let mut state = call.state();
        state.sequence += 1;
        (state.sequence - 1, state.answered_at.map(|at| at.elapsed().mul_f64(world.settings.speed)))
    };
    params.extend([
        pair("CallbackSource", "call-progress-events"),
        pair("SequenceNumber", &sequence.to_string()),
        pair("Timestamp", "Tue, 24 Nov 2026 04:00:00 +0000"),
    ]);
    if let Some(sip) = sip {
        params.push(pair("SipResponseCode", &sip.to_string()));
    }
    if let Some(talked) = talked.filter(|_| status == "completed") {
        params.extend([pair("CallDuration", &talked.as_secs().to_string()), pair("Duration", "1")]);
    }
    let trouble = world.book().trouble.clone();
    if trouble.no_statuses {
        return;
    }
    world.book().under_way += 1;
    let (world, call) = (Arc::clone(world), Arc::clone(call));
    Arc::clone(&world).spawn(async move {
        sleep(trouble.shuffle.map_or(Duration::ZERO, |(seed, most)| by_chance(seed, sequence, most))).await;
        if trouble.backwards {
            while !call.is_over() {
                sleep(Duration::from_millis(2)).await;
            }
            sleep(Duration::from_millis(30) * (8_u32.saturating_sub(sequence))).await;
        }
        post(&world, &url, &params).await;
        world.book().under_way -= 1;
    });
}

/// Tells what answered.
pub(super) fn machine_detection(world: &Arc<World>, call: &Arc<Call>, answered_by: &str) {
    let Some(url) = call.param("AsyncAmdStatusCallback").map(str::to_owned) else { return };
    let params = vec![
        pair("AccountSid", &world.settings.account_sid),
        pair("AnsweredBy", answered_by),
        pair("CallSid", &call.sid),
        pair("MachineDetectionDuration", "3200"),
    ];
    world.book().under_way += 1;
    let world = Arc::clone(world);
    Arc::clone(&world).spawn(async move {
        sleep(world.real(Duration::from_secs(3))).await;
        post(&world, &url, &params).await;
        world.book().under_way -= 1;
    });
}

/// Sends a webhook once more, byte for byte.
pub(super) async fn send_again(world: &World, posted: &Posted) -> Reply {
    let url = posted.url.split('#').next().unwrap_or_default();
    let headers = [("content-type", FORM), ("x-twilio-signature", posted.signature.as_str())];
    send_raw(world, url, &headers, &encode(&posted.params)).await
}

/// Sends parameters signed with `token`.
pub(super) async fn send(world: &World, url: &str, params: &[(String, String)], token: &str) -> Reply {
    let url = url.split('#').next().unwrap_or_default();
    let signature = sign(token, url, params);
    send_raw(world, url, &[("content-type", FORM), ("x-twilio-signature", &signature)], &encode(params)).await
}

/// Sends anything.
pub(super) async fn send_raw(world: &World, url: &str, headers: &[(&str, &str)], body: &str) -> Reply {
    let mut request = world.client.post(url).body(body.to_owned());
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let Ok(answer) = request.send().await else { return Reply::none() };
    let status = answer.status().as_u16();
    let content_type = answer.headers().get("content-type").map(|value| value.to_str().unwrap_or_default().to_owned());
    match answer.text().await {
        Ok(body) => Reply { status, content_type: content_type.unwrap_or_default(), body },
        Err(_) => Reply::none(),
    }
}

impl Reply {
    fn none() -> Self {
        Self { status: 0, content_type: String::new(), body: String::new() }
    }
}

/// Asks for a document as often as the URL's connection overrides allow, and longer when nobody listens at all.
async fn fetch(world: &Arc<World>, url: &str, params: &[(String, String)]) -> Option<Reply> {
    let patience = Instant::now() + world.settings.patience;
    let mut tries = 1 + overrides(url, "rc").and_then(|count| count.parse().ok()).unwrap_or(1_u32);
    loop {
        let reply = post(world, url, params).await;
        let lost = {
            let mut book = world.book();
            let lost = book.trouble.lost_answers > 0 && reply.status != 0;
            book.trouble.lost_answers -= u32::from(lost);
            lost
        };
        match reply.status {
            200 | 201 if !lost => return Some(reply),
            0 if Instant::now() < patience => sleep(Duration::from_millis(20)).await,
            // What was lost was lost on the way: it does not count against the overrides.
            _ if lost => {}
            _ => {
                tries -= 1;
                if tries == 0 || (400..500).contains(&reply.status) {
                    return None;
                }
            }
        }
    }
}

/// A connection override in the fragment of a URL.
fn overrides<'a>(url: &'a str, name: &str) -> Option<&'a str> {
    let (_, fragment) = url.split_once('#')?;
    fragment.split('&').filter_map(|part| part.split_once('=')).find(|(key, _)| *key == name).map(|(_, value)| value)
}

/// Signs, sends, and writes down a webhook; twice, where that is the trouble.
async fn post(world: &Arc<World>, url: &str, params: &[(String, String)]) -> Reply {
    let trouble = world.book().trouble.clone();
    sleep(trouble.delay).await;
    let signature = sign(&world.settings.auth_token, url.split('#').next().unwrap_or_default(), params);
    let posted = Posted { url: url.to_owned(), params: params.to_vec(), signature, reply: None };
    if trouble.duplicate {
        let (one, _) = tokio::join!(deliver(world, posted.clone()), deliver(world, posted));
        one
    } else {
        deliver(world, posted).await
    }
}

async fn deliver(world: &Arc<World>, posted: Posted) -> Reply {
    let index = {
        let mut book = world.book();
        book.posted.push(posted.clone());
        book.posted.len() - 1
    };
    let reply = send_again(world, &posted).await;
    if reply.status >= 500 {
        world.violation(format!("webhook answered {}", reply.status));
    }
    world.book().posted[index].reply = Some(reply.clone());
    reply
}

/// What is always told about a call.
fn about(world: &World, call: &Call, status: &str) -> Vec<(String, String)> {
    vec![
        pair("AccountSid", &world.settings.account_sid),
        pair("ApiVersion", "2010-04-01"),
        pair("CallSid", &call.sid),
        pair("CallStatus", status),
        pair("Called", &call.to),
        pair("CalledCity", ""),
        pair("Caller", &call.from),
        pair("Direction", "outbound-api"),
        pair("From", &call.from),
        pair("To", &call.to),
    ]
}

fn sign(token: &str, url: &str, params: &[(String, String)]) -> String {
    let distinct: BTreeSet<&(String, String)> = params.iter().collect();
    let mut signed = url.to_owned();
    for (name, value) in distinct {
        signed.push_str(name);
        signed.push_str(value);
    }
    let mut mac = Hmac::<Sha1>::new_from_slice(token.as_bytes()).unwrap();
    mac.update(signed.as_bytes());
    STANDARD.encode(mac.finalize().into_bytes())
}

fn encode(params: &[(String, String)]) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(params).finish()
}

fn pair(name: &str, value: &str) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

/// Up to `most`, always the same for the same seed and number.
fn by_chance(seed: u64, number: u32, most: Duration) -> Duration {
    let mixed = (seed ^ u64::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    most.mul_f64(f64::from(u32::try_from(mixed >> 40).unwrap()) / f64::from(1_u32 << 24))
}

const FORM: &str = "application/x-www-form-urlencoded; charset=utf-8";
