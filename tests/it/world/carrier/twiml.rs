//! Owns reading TwiML: strictly, as far as a telephone call needs it.

use std::time::Duration;

use roxmltree::{Document, Node};

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verb {
    /// Something is heard: what, and for how long.
    Audio(String, Duration),
    Gather(Gather),
    /// Go on with the document at this URL.
    Redirect(String),
    Hangup,
}

/// A question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Gather {
    pub(super) prompt: Vec<Verb>,
    pub(super) num_digits: Option<usize>,
    /// Ends an entry without being part of it.
    pub(super) finish_on_key: Option<char>,
    pub(super) timeout: Duration,
    /// `None`: the URL of this document.
    pub(super) action: Option<String>,
    pub(super) action_on_empty_result: bool,
}

/// Reads a document. The error is what Twilio would have reported.
pub(super) fn read(content_type: &str, body: &str) -> Result<Vec<Verb>, String> {
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    if !matches!(media_type, "text/xml" | "application/xml") {
        return Err(format!("12300: content type `{media_type}`"));
    }
    if body.len() > 64 * 1024 {
        return Err(format!("11750: {} bytes", body.len()));
    }
    let document = Document::parse(body).map_err(|error| format!("12100: {error}"))?;
    let root = document.root_element();
    if root.tag_name().name() != "Response" {
        return Err(format!("12100: root element `{}`", root.tag_name().name()));
    }
    known_attributes(root, &[])?;
    elements(root)?.into_iter().map(verb).collect()
}

fn elements<'a, 'd>(parent: Node<'a, 'd>) -> Result<Vec<Node<'a, 'd>>, String> {
    let stray = parent.children().find(|node| node.is_text() && !node.text().unwrap_or_default().trim().is_empty());
    match stray {
        Some(text) => Err(format!("12200: text outside a verb: {:?}", text.text())),
        None => Ok(parent.children().filter(Node::is_element).collect()),
    }
}

fn verb(node: Node<'_, '_>) -> Result<Verb, String> {
    match node.tag_name().name() {
        "Say" => say(node),
        "Play" => {
            known_attributes(node, &["loop"])?;
            let url = text(node);
            url::Url::parse(&url).map_err(|error| format!("12100: Play {url:?}: {error}"))?;
            Ok(Verb::Audio(format!("▶ {url}"), Duration::from_secs(3)))
        }
        "Pause" => {
            known_attributes(node, &["length"])?;
            Ok(Verb::Audio(String::new(), Duration::from_secs(number(node, "length")?.unwrap_or(1))))
        }
        "Redirect" => {
            known_attributes(node, &["method"])?;
            method(node)?;
            Ok(Verb::Redirect(absolute(&text(node))?))
        }
        "Hangup" => known_attributes(node, &[]).map(|()| Verb::Hangup),
        "Gather" => gather(node).map(Verb::Gather),
        other => Err(format!("12200: verb `{other}`")),
    }
}

/// Speech with the elements of SSML that we know; a code is heard digit by digit.
fn say(node: Node<'_, '_>) -> Result<Verb, String> {
    known_attributes(node, &["voice", "language"])?;
    let mut heard = String::new();
    let mut silence = Duration::ZERO;
    for part in node.children() {
        match part.tag_name().name() {
            "" => heard.push_str(part.text().unwrap_or_default()),
            "break" => {
                known_attributes(part, &["time"])?;
                let ms = part.attribute("time").and_then(|time| time.strip_suffix("ms")).and_then(|ms| ms.parse().ok());
                silence += Duration::from_millis(ms.ok_or("13520: break without a time in ms")?);
                heard.push(' ');
            }
            "say-as" => {
                known_attributes(part, &["interpret-as"])?;
                if part.attribute("interpret-as") != Some("digits") {
                    return Err(format!("13520: say-as {:?}", part.attribute("interpret-as")));
                }
                heard.push_str(&text(part));
            }
            other => return Err(format!("13520: `{other}` inside Say")),
        }
    }
    if heard.trim().is_empty() || heard.chars().count() > 4096 {
        return Err(format!("13520: Say with {} characters", heard.chars().count()));
    }
    let speaking = Duration::from_millis(70) * u32::try_from(heard.chars().count()).unwrap();
    Ok(Verb::Audio(heard, speaking + silence))
}

fn gather(node: Node<'_, '_>) -> Result<Gather, String> {
    let known = ["input", "numDigits", "finishOnKey", "timeout", "actionOnEmptyResult", "action", "method"];
    known_attributes(node, &known)?;
    method(node)?;
    if node.attribute("input") != Some("dtmf") {
        return Err(format!("13331: input {:?}", node.attribute("input")));
    }
    let finish_on_key = match node.attribute("finishOnKey") {
        None => Some('#'),
        Some("") => None,
        Some(key) if key.len() == 1 && "0123456789#*".contains(key) => key.chars().next(),
        Some(other) => return Err(format!("13310: finishOnKey {other:?}")),
    };
    let prompt = elements(node)?.into_iter().map(verb).collect::<Result<Vec<_>, _>>()?;
    if !prompt.iter().all(|verb| matches!(verb, Verb::Audio(..))) {
        return Err(String::from("12200: only Say, Play and Pause go into Gather"));
    }
    Ok(Gather {
        prompt,
        num_digits: number(node, "numDigits")?.map(|most| usize::try_from(most).unwrap()),
        finish_on_key,
        timeout: Duration::from_secs(number(node, "timeout")?.unwrap_or(5)),
        action: node.attribute("action").map(absolute).transpose()?,
        action_on_empty_result: match node.attribute("actionOnEmptyResult") {
            None | Some("false") => false,
            Some("true") => true,
            Some(other) => return Err(format!("13338: actionOnEmptyResult {other:?}")),
        },
    })
}

fn known_attributes(node: Node<'_, '_>, known: &[&str]) -> Result<(), String> {
    match node.attributes().find(|attribute| !known.contains(&attribute.name())) {
        Some(other) => Err(format!("12200: attribute `{}` of `{}`", other.name(), node.tag_name().name())),
        None => Ok(()),
    }
}

fn method(node: Node<'_, '_>) -> Result<(), String> {
    match node.attribute("method") {
        None | Some("POST") => Ok(()),
        Some(other) => Err(format!("12100: method {other:?} is not played here")),
    }
}

fn number(node: Node<'_, '_>, name: &str) -> Result<Option<u64>, String> {
    let parse = |text: &str| text.parse().ok().filter(|n| *n > 0).ok_or_else(|| format!("13313: {name} {text:?}"));
    node.attribute(name).map(parse).transpose()
}

fn absolute(text: &str) -> Result<String, String> {
    url::Url::parse(text).map(|_| text.to_owned()).map_err(|error| format!("11100: {text:?}: {error}"))
}

fn text(node: Node<'_, '_>) -> String {
    node.text().unwrap_or_default().to_owned()
}
