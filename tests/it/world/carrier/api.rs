//! Owns the carrier's API: strict about what is asked, scripted about what it answers.

use std::{collections::BTreeMap, io, sync::Arc, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Method, Request, Response, body::Incoming, header};
use serde_json::json;
use tokio::sync::watch;

use super::{Call, CallState, Callee, Create, World, player};

type Answer = Response<Full<Bytes>>;

/// Answers one request. An error cuts the connection.
pub(super) async fn serve(world: Arc<World>, request: Request<Incoming>) -> Result<Answer, io::Error> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    if !authorized(&world, parts.headers.get(header::AUTHORIZATION)) {
        return Ok(error(401, 20003, "Authenticate"));
    }
    let account = format!("/2010-04-01/Accounts/{}", world.settings.account_sid);
    let Some(path) = parts.uri.path().strip_prefix(account.as_str()) else {
        return Ok(error(404, 20404, "The requested resource was not found"));
    };
    {
        let mut book = world.book();
        if book.too_many > 0 {
            book.too_many -= 1;
            return Ok(error(429, 20429, "Too Many Requests"));
        }
    }
    let form = || {
        let content_type = parts.headers.get(header::CONTENT_TYPE).map(|value| value.to_str().unwrap_or_default());
        if content_type.is_none_or(|kind| !kind.starts_with("application/x-www-form-urlencoded")) {
            world.violation(format!("content type {content_type:?}"));
        }
        url::form_urlencoded::parse(&body).into_owned().collect::<Vec<(String, String)>>()
    };
    match (&parts.method, path) {
        (&Method::POST, "/Calls.json") => create(&world, form()).await,
        (&Method::GET, ".json") => {
            Ok(answer(200, &json!({"sid": world.settings.account_sid, "status": "active", "friendly_name": "test"})))
        }
        (&Method::POST, path) => match path.strip_prefix("/Calls/").and_then(|path| path.strip_suffix(".json")) {
            Some(sid) => Ok(update(&world, sid, &form())),
            None => Ok(error(404, 20404, "The requested resource was not found")),
        },
        (method, path) => {
            world.violation(format!("{method} {path}"));
            Ok(error(404, 20404, "The requested resource was not found"))
        }
    }
}

fn authorized(world: &World, given: Option<&header::HeaderValue>) -> bool {
    let settings = &world.settings;
    let account = Some((&settings.account_sid, &settings.auth_token));
    let key = settings.api_key.as_ref().map(|(sid, secret)| (sid, secret));
    [account, key].into_iter().flatten().any(|(user, password)| {
        let wanted = format!("Basic {}", STANDARD.encode(format!("{user}:{password}")));
        given.is_some_and(|given| given.as_bytes() == wanted.as_bytes())
    })
}

async fn create(world: &Arc<World>, form: Vec<(String, String)>) -> Result<Answer, io::Error> {
    let (to, from) = match checked(world, &form) {
        Ok(numbers) => numbers,
        Err((status, code, message)) => {
            world.violation(format!("create: {code} {message}: {form:?}"));
            return Ok(error(status, code, message));
        }
    };
    let create = {
        let mut book = world.book();
        book.create_requests.push(to.clone());
        book.creates.get_mut(&to).and_then(std::collections::VecDeque::pop_front).unwrap_or(Create::Taken)
    };
    let place = |after| place(world, &to, &from, &form, after);
    match create {
        Create::Taken => Ok(answer(201, &described(world, &place(Duration::ZERO), None))),
        Create::Fails(status) => Ok(error(status, 20500, "Internal Server Error")),
        Create::FailsAfterPlacing(status) => {
            place(Duration::ZERO);
            Ok(error(status, 20500, "Internal Server Error"))
        }
        Create::Refused(status, code) => Ok(error(status, code, "refused as scripted")),
        Create::Cut { placed } => {
            placed.then(|| place(Duration::ZERO));
            Err(io::Error::other("cut"))
        }
        Create::Silence { placed } => {
            placed.then(|| place(Duration::ZERO));
            std::future::pending::<Result<Answer, io::Error>>().await
        }
        Create::Garbage => {
            place(Duration::ZERO);
            let mut garbage = Response::new(Full::new(Bytes::from_static(b"<html>It works!</html>")));
            *garbage.status_mut() = hyper::StatusCode::CREATED;
            Ok(garbage)
        }
        Create::NoSid => {
            let mut described = described(world, &place(Duration::ZERO), None);
            described.as_object_mut().unwrap().remove("sid");
            Ok(answer(201, &described))
        }
        Create::Queued { told, dialled_after } => Ok(answer(201, &described(world, &place(dialled_after), Some(told)))),
    }
}

/// Places a call: from here on the telephone may ring.
fn place(world: &Arc<World>, to: &str, from: &str, form: &[(String, String)], dialled_after: Duration) -> Arc<Call> {
    let (call, callee) = {
        let mut book = world.book();
        book.next_sid += 1;
        let call = Arc::new(Call {
            sid: format!("CA{:032x}", 0xfedc_ba98_0000_0000_u128 + u128::from(book.next_sid)),
            to: to.to_owned(),
            from: from.to_owned(),
            request: form.to_vec(),
            ended: watch::Sender::new(false),
            state: std::sync::Mutex::new(CallState { status: String::from("queued"), ..CallState::default() }),
        });
        book.calls.push(Arc::clone(&call));
        let callees = book.callees.entry(to.to_owned()).or_default();
        let callee = if callees.len() > 1 { callees.pop_front() } else { callees.front().cloned() };
        (call, callee.unwrap_or_else(|| Callee::presses(["#"])))
    };
    world.spawn(player::play(Arc::clone(world), Arc::clone(&call), callee, dialled_after));
    call
}

fn update(world: &World, sid: &str, form: &[(String, String)]) -> Answer {
    let [(name, wanted)] = form else {
        world.violation(format!("update: {form:?}"));
        return error(400, 20001, "Invalid parameter");
    };
    let call = {
        let mut book = world.book();
        book.update_requests.push((sid.to_owned(), wanted.clone()));
        book.calls.iter().find(|call| call.sid == sid).cloned()
    };
    let Some(call) = call else { return error(404, 20404, "The requested resource was not found") };
    let status = call.state().status.clone();
    let can_end = match (name.as_str(), wanted.as_str()) {
        ("Status", "canceled") => matches!(status.as_str(), "queued" | "initiated" | "ringing"),
        ("Status", "completed") => !call.is_over(),
        _ => {
            world.violation(format!("update: {name}={wanted}"));
            return error(400, 20001, "Invalid parameter");
        }
    };
    if !can_end {
        return error(400, 21220, "Call is not in-progress. Cannot redirect.");
    }
    call.state().hung_up_by_request = true;
    call.ended.send_replace(true);
    let mut described = described(world, &call, None);
    if wanted == "canceled" {
        described["status"] = json!("canceled");
    }
    answer(200, &described)
}

/// The numbers of a request for a call, or what is wrong with it: HTTP status, code, message.
fn checked(world: &World, form: &[(String, String)]) -> Result<(String, String), (u16, u32, &'static str)> {
    let mut once = BTreeMap::new();
    for (name, value) in form {
        if !PARAMETERS.contains(&name.as_str()) {
            return Err((400, 20001, "unknown parameter"));
        }
        if name == "StatusCallbackEvent" {
            if !["initiated", "ringing", "answered", "completed"].contains(&value.as_str()) {
                return Err((400, 21626, "StatusCallbackEvent"));
            }
        } else if once.insert(name.as_str(), value.as_str()).is_some() {
            return Err((400, 20001, "repeated parameter"));
        }
    }
    let get = |name: &str| once.get(name).copied();
    // A plus sign that was not escaped arrives as a space.
    let to = get("To").filter(|to| is_number(to)).ok_or((400, 21211, "To"))?;
    let from = get("From").filter(|from| is_number(from)).ok_or((400, 21212, "From"))?;
    if !world.settings.from.iter().any(|own| own == from) {
        return Err((400, 21210, "From is not verified"));
    }
    get("Url").filter(|url| is_url(url)).ok_or((400, 21205, "Url"))?;
    let optional_urls = ["FallbackUrl", "StatusCallback", "AsyncAmdStatusCallback"];
    if optional_urls.iter().filter_map(|name| get(name)).any(|url| !is_url(url)) {
        return Err((400, 21609, "a callback URL"));
    }
    let methods = ["Method", "FallbackMethod", "StatusCallbackMethod", "AsyncAmdStatusCallbackMethod"];
    if methods.iter().filter_map(|name| get(name)).any(|method| method != "POST") {
        return Err((400, 20001, "only POST is played here"));
    }
    let in_range = |name: &str, most: u64| {
        get(name).is_none_or(|value| value.parse::<u64>().is_ok_and(|seconds| (1..=most).contains(&seconds)))
    };
    if !in_range("Timeout", 600) || !in_range("TimeLimit", 14_400) {
        return Err((400, 21208, "Timeout"));
    }
    let dialled = get("SendDigits").unwrap_or("0");
    if !(1..=32).contains(&dialled.len()) || !dialled.chars().all(|c| "0123456789ABCD#*wW".contains(c)) {
        return Err((400, 20001, "SendDigits"));
    }
    if get("MachineDetection").is_some_and(|kind| kind != "Enable") || get("AsyncAmd").is_some_and(|on| on != "true") {
        return Err((400, 20001, "MachineDetection"));
    }
    Ok((to.to_owned(), from.to_owned()))
}

fn is_number(text: &str) -> bool {
    text.strip_prefix('+').is_some_and(|digits| {
        (7..=15).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit()) && !digits.starts_with('0')
    })
}

fn is_url(text: &str) -> bool {
    url::Url::parse(text).is_ok_and(|url| {
        matches!(url.scheme(), "http" | "https") && url.host_str().is_some_and(|host| !host.contains('_'))
    })
}

/// The call as the API describes it: numbers as text, as it does.
fn described(world: &World, call: &Call, queue_time: Option<Duration>) -> serde_json::Value {
    let state = call.state();
    json!({
        "sid": call.sid,
        "account_sid": world.settings.account_sid,
        "api_version": "2010-04-01",
        "status": state.status,
        "to": call.to,
        "from": call.from,
        "direction": "outbound-api",
        "duration": null,
        "price": null,
        "price_unit": "USD",
        "answered_by": null,
        "start_time": state.rang_at.map(|_| "Tue, 24 Nov 2026 04:00:00 +0000"),
        "queue_time": queue_time.unwrap_or_default().as_millis().to_string(),
        "date_created": "Tue, 24 Nov 2026 04:00:00 +0000",
        "uri": format!("/2010-04-01/Accounts/{}/Calls/{}.json", world.settings.account_sid, call.sid),
    })
}

fn error(status: u16, code: u32, message: &str) -> Answer {
    let more_info = format!("https://www.twilio.com/docs/errors/{code}");
    answer(status, &json!({"code": code, "message": message, "more_info": more_info, "status": status}))
}

fn answer(status: u16, body: &serde_json::Value) -> Answer {
    let mut answer = Response::new(Full::new(Bytes::from(body.to_string())));
    *answer.status_mut() = hyper::StatusCode::from_u16(status).unwrap();
    answer.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
    answer
}

/// The parameters of the API's description that are played here.
const PARAMETERS: [&str; 17] = [
    "To",
    "From",
    "Url",
    "Method",
    "FallbackUrl",
    "FallbackMethod",
    "StatusCallback",
    "StatusCallbackEvent",
    "StatusCallbackMethod",
    "Timeout",
    "TimeLimit",
    "SendDigits",
    "MachineDetection",
    "AsyncAmd",
    "AsyncAmdStatusCallback",
    "AsyncAmdStatusCallbackMethod",
    "MachineDetectionTimeout",
];
