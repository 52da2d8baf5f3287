//! What holds for every script and every text: the document is well-formed, small enough, and has the elements of the
//! script whatever the texts hold.

use proptest::prelude::*;
use roxmltree::Document;

use super::{documents::script, *};
use crate::{
    callflow::{Accept, Gather, Line, SpokenCode, Then, Wording},
    dtmf::Digit,
};

/// Texts as an attacker would choose them.
fn nasty() -> impl Strategy<Value = String> {
    let markup = prop::sample::select(vec![
        "</Say><Hangup/>",
        "<Redirect>",
        "&amp;",
        "&#0;",
        "]]>",
        "<![CDATA[",
        "<!--",
        "-->",
        "\0",
        "\u{1b}[2J",
        "\u{fffe}",
        "\"",
        "'",
        "&",
        "\r\n",
        "\u{202e}",
        "<?xml?>",
        "<!DOCTYPE x>",
        "%0a",
        "{brand}",
        "\u{10ffff}",
        " ",
    ]);
    prop::collection::vec(prop_oneof![markup.prop_map(str::to_owned), any::<String>()], 0..6)
        .prop_map(|parts| parts.concat())
}

fn line() -> impl Strategy<Value = Line> {
    let ms = || (0_u64..20_000).prop_map(Duration::from_millis);
    prop_oneof![
        (nasty(), ms()).prop_map(|(text, takes)| Line::Say {
            prompt: "p".into(),
            text,
            takes,
            wording: Wording::default()
        }),
        (nasty(), ms()).prop_map(|(recording, takes)| Line::Play { recording, takes }),
        ("[0-9]{0,32}", ms()).prop_map(|(digits, pause)| Line::SpokenDigits {
            digits: SpokenCode(digits.parse().unwrap()),
            pause,
            takes: pause
        }),
        ms().prop_map(Line::Pause),
    ]
}

fn any_script() -> impl Strategy<Value = Script> {
    let lines = || prop::collection::vec(line(), 0..8);
    let accept =
        prop_oneof![Just(Accept::OneKey), (1_u8..=32).prop_map(|max| Accept::Entry { max, end: Digit::POUND })];
    let gather = (lines(), accept, 0_u64..100_000)
        .prop_map(|(prompt, accept, ms)| Then::Gather(Gather { prompt, accept, wait: Duration::from_millis(ms) }));
    (lines(), prop_oneof![Just(Then::HangUp), gather], nasty())
        .prop_map(|(before, then, language)| script(&language, before, then))
}

/// The script with every text replaced by a plain one.
fn tamed(wild: &Script) -> Script {
    let tame = |lines: &[Line]| {
        lines
            .iter()
            .map(|line| match line {
                Line::Say { takes, .. } => {
                    Line::Say { prompt: "p".into(), text: "x".into(), takes: *takes, wording: Wording::default() }
                }
                Line::Play { takes, .. } => Line::Play { recording: "x".into(), takes: *takes },
                Line::SpokenDigits { .. } | Line::Pause(_) => line.clone(),
            })
            .collect()
    };
    let then = match &wild.then {
        Then::HangUp => Then::HangUp,
        Then::Gather(gather) => Then::Gather(Gather { prompt: tame(&gather.prompt), ..gather.clone() }),
    };
    script(&wild.language, tame(&wild.before), then)
}

/// Depth, name and attributes of an element.
type Element = (usize, String, Vec<(String, String)>);

/// All elements in order; texts are left out.
fn elements(body: &str) -> Vec<Element> {
    let document = Document::parse(body).unwrap();
    let elements = document.descendants().filter(roxmltree::Node::is_element);
    elements
        .map(|node| {
            let attributes = node.attributes().map(|a| (a.name().to_owned(), a.value().to_owned())).collect();
            (node.ancestors().count(), node.tag_name().name().to_owned(), attributes)
        })
        .collect()
}

const KEYS: &str = "https://verify.example.com/webhooks/main/T/keys/1";
const FULL: &str = "recordings_url = \"https://cdn.example.com\"";

proptest! {
    #[test]
    fn texts_never_change_the_elements(wild in any_script()) {
        for more in [FULL, "ssml = false\npause = false"] {
            let dialect = dialect(more);
            let (nasty, plain) = (dialect.render(&wild, KEYS), dialect.render(&tamed(&wild), KEYS));
            prop_assert_eq!(elements(&nasty.body), elements(&plain.body));
            prop_assert_eq!(&nasty, &dialect.render(&wild, KEYS), "the same script is the same document");
        }
    }

    #[test]
    fn documents_stay_below_the_limit(mut wild in any_script(), times in 1_usize..4000) {
        wild.before.extend(std::iter::repeat_n(Line::Say { prompt: "p".into(), text: "\"".repeat(times), takes: Duration::ZERO, wording: Wording::default() }, 40));
        let digits = SpokenCode("1".repeat(32).parse().unwrap());
        let spoken = Line::SpokenDigits { digits, pause: Duration::from_secs(99), takes: Duration::ZERO };
        wild.before.extend(std::iter::repeat_n(spoken, 40));
        let body = dialect(FULL).render(&wild, KEYS).body;
        prop_assert!(body.len() < 64_000, "{} bytes", body.len());
        prop_assert!(Document::parse(&body).is_ok());
    }

    #[test]
    fn what_is_said_is_what_is_heard(text in "[^\\p{C}\\r]{0,200}") {
        let said = script("en", vec![Line::Say { prompt: "p".into(), text: text.clone(), takes: Duration::ZERO, wording: Wording::default() }], Then::HangUp);
        let body = dialect("").render(&said, KEYS).body;
        let document = Document::parse(&body).unwrap();
        let heard = document.descendants().find(|node| node.has_tag_name("Say")).unwrap();
        prop_assert_eq!(heard.text().unwrap_or_default(), text);
    }
}
