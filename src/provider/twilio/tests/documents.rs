//! What is said in TwiML: accepted documents, and the same elements as Twilio's own library writes.

use roxmltree::{Document, Node};

use super::*;
use crate::{
    callflow::{Accept, Flows, Gather, Line, SpokenCode, Then, Wording},
    dtmf::Digit,
};

pub(super) fn say(text: &str) -> Line {
    Line::Say { prompt: "p".into(), text: text.into(), takes: Duration::from_secs(2), wording: Wording::default() }
}

pub(super) fn script(language: &str, before: Vec<Line>, then: Then) -> Script {
    Script { language: language.into(), before, then }
}

pub(super) fn ask(prompt: Vec<Line>, accept: Accept) -> Then {
    Then::Gather(Gather { prompt, accept, wait: Duration::from_millis(4500) })
}

const KEYS: &str = "https://verify.example.com/webhooks/main/T/keys/1";

fn body(more: &str, script: &Script) -> String {
    let reply = dialect(&format!("connection_overrides = \"\"\n{more}")).render(script, KEYS);
    assert_eq!((reply.status, reply.content_type), (200, "text/xml; charset=utf-8"));
    reply.body
}

#[test]
fn one_key() {
    let asked = script(
        "ja",
        vec![Line::Pause(Duration::from_millis(500))],
        ask(vec![say("シャープを押してください。")], Accept::OneKey),
    );
    assert_eq!(
        body("", &asked),
        concat!(
            r#"<?xml version="1.0" encoding="UTF-8"?><Response><Pause length="1"/>"#,
            r#"<Gather input="dtmf" numDigits="1" finishOnKey="" timeout="5" actionOnEmptyResult="true" "#,
            r#"action="https://verify.example.com/webhooks/main/T/keys/1" method="POST">"#,
            r#"<Say voice="Polly.Kazuha-Neural" language="ja-JP">シャープを押してください。</Say></Gather>"#,
            r#"<Redirect method="POST">https://verify.example.com/webhooks/main/T/keys/1</Redirect></Response>"#
        )
    );
}

#[test]
fn an_entry_reports_its_end() {
    let asked =
        script("en", vec![], ask(vec![say("Digits, then pound.")], Accept::Entry { max: 7, end: Digit::POUND }));
    let body = body("", &asked);
    assert!(body.contains(r#"numDigits="7" finishOnKey="" "#), "{body}");
}

#[test]
fn the_end() {
    let end = script("en-GB", vec![say("Confirmed. Goodbye.")], Then::HangUp);
    assert_eq!(
        body("", &end),
        concat!(
            r#"<?xml version="1.0" encoding="UTF-8"?><Response>"#,
            r#"<Say voice="Polly.Amy-Neural" language="en-GB">Confirmed. Goodbye.</Say><Hangup/></Response>"#
        )
    );
}

#[test]
fn digits_one_by_one() {
    let code = || Line::SpokenDigits {
        digits: SpokenCode("407".parse().unwrap()),
        pause: Duration::from_millis(500),
        takes: Duration::from_secs(3),
    };
    let spoken =
        script("de", vec![say("Ihr Code:"), code(), Line::Pause(Duration::from_secs(1)), code()], Then::HangUp);
    let marked = body("", &spoken);
    let digits = concat!(
        r#"<say-as interpret-as="digits">4</say-as><break time="500ms"/>"#,
        r#"<say-as interpret-as="digits">0</say-as><break time="500ms"/><say-as interpret-as="digits">7</say-as>"#
    );
    assert_eq!(marked.matches(digits).count(), 2, "{marked}");
    assert!(marked.contains(r#"<Pause length="1"/>"#));
    let plain = body("ssml = false\npause = false", &spoken);
    assert_eq!(
        plain.matches(r#"<Say voice="Polly.Vicki-Neural" language="de-DE">4, 0, 7</Say>"#).count(),
        2,
        "{plain}"
    );
    assert!(!plain.contains("<Pause") && !plain.contains("break"), "{plain}");
}

#[test]
fn recordings() {
    let play = Line::Play { recording: "dir/a b&c.wav".into(), takes: Duration::from_secs(2) };
    let played = script("en", vec![play], Then::HangUp);
    let with = body("recordings_url = \"https://cdn.example.com/r/\"", &played);
    assert!(with.contains("<Play>https://cdn.example.com/r/dir%2Fa%20b%26c.wav</Play>"), "{with}");
    assert!(dialect("recordings_url = \"https://cdn.example.com/r\"").capabilities().recordings);
    assert!(!dialect("").capabilities().recordings);
    assert!(body("", &played).ends_with("<Response><Hangup/></Response>"));
}

#[test]
fn voices_by_language() {
    let voice = |more: &str, language: &str| {
        let body = body(more, &script(language, vec![say("x")], Then::HangUp));
        let start = body.find("<Say").unwrap();
        body[start..body.find(">x<").unwrap() + 1].to_owned()
    };
    for language in ["en", "en-GB", "ja", "de", "fr", "es", "pt", "it", "ko", "zh-CN", "hi"] {
        assert!(voice("", language).contains("voice=\"Polly."), "{language}");
    }
    // Each language of the built-in flows has a voice of its own, and a region that differs speaks like it does.
    let mut spoken = BTreeMap::new();
    for flow in Flows::from_sources(&[]).unwrap().iter() {
        for language in flow.languages() {
            spoken.insert(language.to_owned(), voice("", language));
        }
    }
    for (language, voice) in &spoken {
        assert!(voice.contains("voice=\"Polly."), "{language}: {voice}");
        let same = spoken.values().filter(|other| *other == voice).count();
        assert_eq!(same, 1, "{language} has the voice of another: {voice}");
    }
    assert_eq!(voice("", "es-419"), r#"<Say voice="Polly.Mia-Neural" language="es-MX">"#);
    assert_eq!(voice("", "ja-JP"), voice("", "ja"));
    assert_eq!(voice("", "zh-CN"), r#"<Say voice="Polly.Zhiyu-Neural" language="cmn-CN">"#);
    assert_eq!(voice("", "sv"), "<Say>");
    let own = "[voices]\nja = { voice = \"Polly.Mizuki\", language = \"ja-JP\" }\nsv = { language = \"sv-SE\" }";
    assert_eq!(voice(own, "ja"), r#"<Say voice="Polly.Mizuki" language="ja-JP">"#);
    assert_eq!(voice(own, "sv"), r#"<Say language="sv-SE">"#);
}

#[test]
fn apologies_are_whole_documents_in_every_language() {
    let mut texts = std::collections::BTreeSet::new();
    for language in ["en", "ja", "de", "fr", "es", "pt", "it", "ko", "zh-CN", "hi", "", "xx-<&"] {
        let reply = dialect("").apologize(language);
        let document = Document::parse(&reply.body).unwrap();
        let names: Vec<_> = document.root_element().children().map(|node| node.tag_name().name()).collect();
        assert_eq!((names, reply.status), (vec!["Say", "Hangup"], 200), "{language}");
        texts.insert(document.root_element().first_element_child().unwrap().text().unwrap().to_owned());
    }
    assert_eq!(texts.len(), 10);
    let voice = |language| dialect("").apologize(language).body.split_once("<Say").unwrap().1.to_owned();
    assert!(voice("es-419").contains("es-MX") && voice("sv").contains("en-US"), "words and voice are of one language");
}

#[test]
fn our_urls_carry_the_connection_overrides() {
    let asked = script("en", vec![], ask(vec![say("x")], Accept::OneKey));
    let body = dialect("").render(&asked, KEYS).body;
    let document = Document::parse(&body).unwrap();
    let gather = document.root_element().first_element_child().unwrap();
    let url = format!("{KEYS}{}", config("").fragment());
    assert_eq!(gather.attribute("action"), Some(url.as_str()));
    assert_eq!(gather.next_sibling_element().unwrap().text(), Some(url.as_str()));
}

/// An element as text whose attributes are sorted.
pub(super) fn tree(node: Node<'_, '_>) -> String {
    let mut attributes: Vec<_> = node.attributes().map(|a| format!(" {}={:?}", a.name(), a.value())).collect();
    attributes.sort();
    let inside: String = node
        .children()
        .map(|child| if child.is_text() { child.text().unwrap_or_default().to_owned() } else { tree(child) })
        .collect();
    let name = node.tag_name().name();
    format!("<{name}{}>{inside}</{name}>", attributes.concat())
}

/// The first element `name` of a document of Twilio's own library.
fn reference(id: &str, name: &str) -> String {
    let all: Value =
        serde_json::from_str(include_str!("../../../../tests/providers/twilio/call-flow-xml.json")).unwrap();
    let found = all["documents"].as_array().unwrap().iter().find(|document| document["id"] == id).unwrap();
    let document = Document::parse(found["xml"].as_str().unwrap()).unwrap();
    let node = document.descendants().find(|node| node.has_tag_name(name)).unwrap();
    tree(node)
}

fn ours(more: &str, script: &Script, keys_url: &str, name: &str) -> String {
    let reply = dialect(&format!("connection_overrides = \"\"\n{more}")).render(script, keys_url);
    let document = Document::parse(&reply.body).unwrap();
    let node = document.descendants().find(|node| node.has_tag_name(name)).unwrap();
    tree(node)
}

#[test]
fn the_same_elements_as_the_carriers_own_library_writes() {
    let mizuki = "[voices]\nja = { voice = \"Polly.Mizuki\", language = \"ja-JP\" }";
    let prompt = vec![say("確認するには、シャープを押してください。"), Line::Pause(Duration::from_secs(1))];
    let asked = Then::Gather(Gather { prompt, accept: Accept::OneKey, wait: Duration::from_secs(10) });
    let keys = "https://verify.example.com/twilio/gather/01J?t=a&n=1";
    assert_eq!(ours(mizuki, &script("ja", vec![], asked), keys, "Gather"), reference("press-hash-ja", "Gather"));

    let awkward = script("xx", vec![say("AT&T <test> \"quote\" 'apos' é 電話")], Then::HangUp);
    assert_eq!(
        ours("", &awkward, keys, "Response"),
        reference("escaping", "Response").replace("</Response>", "<Hangup></Hangup></Response>")
    );

    let asked = script("xx", vec![], ask(vec![], Accept::OneKey));
    let keys = "https://verify.example.com/twilio/voice/01J?try=2";
    assert_eq!(ours("", &asked, keys, "Redirect"), reference("redirect", "Redirect"));
    assert_eq!(ours("", &script("xx", vec![], Then::HangUp), keys, "Response"), reference("hangup", "Response"));

    let paused = script("xx", vec![Line::Pause(Duration::from_secs(2))], Then::HangUp);
    assert_eq!(ours("", &paused, keys, "Pause"), reference("pause-play", "Pause"));

    let one =
        Line::SpokenDigits { digits: SpokenCode("1".parse().unwrap()), pause: Duration::ZERO, takes: Duration::ZERO };
    let spoken = script("xx", vec![one], Then::HangUp);
    assert_eq!(ours("", &spoken, keys, "say-as"), reference("ssml", "say-as").replace("123456", "1"));
}
