//! What the flows that come with the program say, in every language.

use std::fmt::Write;

use ringproof::{
    callflow::{Accept, CallFlow, Flows, Heard, Line, Listening, Saying, Script, Then, Verdict},
    dtmf::{Digit, Digits},
    outcome::{Mode, Purpose},
};

/// Every language that a flow that is shipped has to have, with the name of the `#` key that is heard in it.
const LANGUAGES: [(&str, &str); 13] = [
    ("en", "pound"),
    ("en-GB", "hash"),
    ("ja", "シャープ"),
    ("de", "Raute"),
    ("fr", "dièse"),
    ("es", "almohadilla"),
    ("es-419", "numeral"),
    ("pt", "jogo da velha"),
    ("pt-PT", "cardinal"),
    ("it", "cancelletto"),
    ("ko", "우물 정자"),
    ("zh-CN", "井号键"),
    ("hi", "हैश"),
];

/// Every other name of the key, which must not be heard in a language that calls it otherwise.
fn other_names(language: &str) -> impl Iterator<Item = &'static str> {
    let own = LANGUAGES.iter().find(|(l, _)| *l == language).unwrap().1;
    LANGUAGES.iter().map(|(_, name)| *name).filter(move |name| *name != own)
}

fn flows() -> Flows {
    Flows::from_sources(&[]).unwrap()
}

fn code() -> Digits {
    "428571".parse().unwrap()
}

fn saying<'a>(locale: &'a str, code: &'a Digits) -> Saying<'a> {
    Saying {
        locale,
        brand: "Contoso",
        purpose: Purpose::Enrolment,
        purpose_text: None,
        last_digits: "5678",
        code: Some(code),
    }
}

/// Calls that show every prompt. `-` is silence, `=` the right code, `x` a wrong one.
fn calls(mode: Mode) -> &'static [&'static str] {
    match mode {
        Mode::Confirm => &["#", "*1#", "---", "0#1", "0#-", "01#", "0-"],
        Mode::Match => &["=", "*x=", "xxx", "---", "0#1", "0#5", "01=", "0-"],
        Mode::Speak => &["#-", "#**", "#7*-", "*1#-", "---", "0#1", "01#-", "0-"],
    }
}

fn lines(script: &Script) -> Vec<&Line> {
    let asked: &[Line] = match &script.then {
        Then::Gather(gather) => &gather.prompt,
        Then::HangUp => &[],
    };
    script.before.iter().chain(asked).collect()
}

fn texts(script: &Script) -> String {
    let said = |line: &&Line| match line {
        Line::Say { text, .. } => Some(text.clone()),
        Line::Play { .. } | Line::SpokenDigits { .. } | Line::Pause(_) => None,
    };
    lines(script).iter().filter_map(said).collect::<Vec<_>>().join(" ")
}

fn heard(key: char) -> Heard {
    match key {
        '-' => Heard::Silence,
        '=' => Heard::RightCode,
        'x' => Heard::Other,
        key => Heard::Key(Digit::from_char(key).unwrap()),
    }
}

fn write_script(out: &mut String, script: &Script) {
    let mut write_line = |line: &Line, cut: &str| {
        let seconds = line.speaking_time().as_secs_f32();
        match line {
            Line::Say { prompt, text, .. } => writeln!(out, "  {seconds:4.1} s{cut} {prompt}: {text}"),
            Line::Play { recording, .. } => writeln!(out, "  {seconds:4.1} s{cut} ({recording})"),
            Line::SpokenDigits { digits, .. } => writeln!(out, "  {seconds:4.1} s{cut} {} digits", digits.0.len()),
            Line::Pause(_) => writeln!(out, "  {seconds:4.1} s{cut}"),
        }
        .unwrap();
    };
    script.before.iter().for_each(|line| write_line(line, " "));
    match &script.then {
        Then::Gather(gather) => {
            gather.prompt.iter().for_each(|line| write_line(line, "?"));
            let accept = match gather.accept {
                Accept::OneKey => "a key".to_owned(),
                Accept::Entry { max, end } => format!("up to {max} keys, {} the last", end.as_char()),
            };
            writeln!(out, "  waits {} s for {accept}", gather.wait.as_secs()).unwrap();
        }
        Then::HangUp => writeln!(out, "  hangs up").unwrap(),
    }
}

fn shown(verdict: Verdict) -> String {
    match verdict {
        Verdict::Verify => "verified".to_owned(),
        Verdict::Deny(reason) => format!("denied {reason}"),
        Verdict::Fail(reason) => format!("failed {reason}"),
        Verdict::Block => "no more calls".to_owned(),
        Verdict::Told => "the code is told".to_owned(),
    }
}

/// The calls of a flow in one language, as they are heard.
fn transcript(flow: &CallFlow, language: &str) -> String {
    let code = code();
    let mut out = String::new();
    for purpose in Purpose::ALL {
        for text in [None, Some("{brand} & <b>7</b>")] {
            let saying = Saying { purpose: *purpose, purpose_text: text, ..saying(language, &code) };
            writeln!(out, "for {purpose}{}", if text.is_some() { ", with a text" } else { "" }).unwrap();
            write_script(&mut out, &flow.script(&flow.begin().to, &saying));
        }
    }
    let saying = saying(language, &code);
    for keys in calls(flow.mode()) {
        writeln!(out, "\n{keys}").unwrap();
        let mut at = flow.begin().to;
        for key in keys.chars() {
            let moved = flow.hear(&at, heard(key));
            writeln!(out, "{key}{}", moved.verdict.map(|v| format!(" → {}", shown(v))).unwrap_or_default()).unwrap();
            write_script(&mut out, &flow.script(&moved.to, &saying));
            at = moved.to;
        }
    }
    out
}

#[test]
fn what_is_heard() {
    for flow in flows().iter() {
        for (language, _) in LANGUAGES {
            let transcript = transcript(flow, language);
            insta::with_settings!({ snapshot_path => "../../callflows", prepend_module_to_snapshot => false, omit_expression => true }, {
                insta::assert_snapshot!(format!("{}.{language}", flow.id()), transcript);
            });
        }
    }
}

#[test]
fn every_language_is_there() {
    for flow in flows().iter() {
        let mut have: Vec<&str> = flow.languages().collect();
        have.sort_unstable();
        let mut wanted: Vec<&str> = LANGUAGES.iter().map(|(language, _)| *language).collect();
        wanted.sort_unstable();
        assert_eq!(have, wanted, "{}", flow.id());
    }
}

/// Where the `#` key is asked for, it is called what people of that language call it, and nothing else.
#[test]
fn the_key_has_its_local_name() {
    let code = code();
    for flow in flows().iter() {
        for (language, name) in LANGUAGES {
            for keys in ["", "0"] {
                let at = keys.chars().fold(flow.begin().to, |at, key| flow.hear(&at, heard(key)).to);
                let text = texts(&flow.script(&at, &saying(language, &code)));
                assert!(text.contains(name), "{} {language}: {text}", flow.id());
                for other in other_names(language) {
                    assert!(!text.contains(other), "{} {language}: {text}", flow.id());
                }
            }
        }
    }
}

/// No prompt says in one language what another one is asked for: each text is in the script of its language.
#[test]
fn no_text_is_left_in_another_language() {
    let script_of = |language: &str| match language.split('-').next().unwrap() {
        "ja" => |c: char| ('\u{3040}'..='\u{30ff}').contains(&c),
        "ko" => |c: char| ('\u{ac00}'..='\u{d7af}').contains(&c),
        "zh" => |c: char| ('\u{4e00}'..='\u{9fff}').contains(&c),
        "hi" => |c: char| ('\u{900}'..='\u{97f}').contains(&c),
        _ => |c: char| c.is_ascii_alphabetic(),
    };
    let code = code();
    for flow in flows().iter() {
        for (language, _) in LANGUAGES {
            let own = script_of(language);
            for keys in calls(flow.mode()) {
                let mut at = flow.begin().to;
                for key in keys.chars() {
                    at = flow.hear(&at, heard(key)).to;
                    let script = flow.script(&at, &Saying { brand: "", ..saying(language, &code) });
                    assert_eq!(script.language, language);
                    for line in lines(&script) {
                        let Line::Say { prompt, text, takes, .. } = line else { continue };
                        let letters = text.chars().filter(|c| c.is_alphabetic() && !is_mark(*c)).count();
                        let mine = text.chars().filter(|c| own(*c)).count();
                        assert!(mine * 10 >= letters * 3, "{} {language} {prompt}: {text}", flow.id());
                        assert!(takes.as_secs() < 12, "{} {language} {prompt}", flow.id());
                    }
                }
            }
        }
    }
}

fn is_mark(c: char) -> bool {
    ('\u{900}'..='\u{903}').contains(&c) || ('\u{93a}'..='\u{94f}').contains(&c)
}

/// Who calls is said first, in every language and for every purpose; a repeated request gets the same script.
#[test]
fn who_calls_is_said_first() {
    let code = code();
    for flow in flows().iter() {
        for (language, _) in LANGUAGES {
            for purpose in Purpose::ALL {
                let saying = Saying { purpose: *purpose, ..saying(language, &code) };
                let script = flow.script(&flow.begin().to, &saying);
                assert_eq!(script, flow.script(&flow.begin().to, &saying));
                let first = texts(&script);
                let at = first.find("Contoso").unwrap();
                assert!(first[..at].chars().count() < 15, "{first}");
            }
        }
    }
}

/// A code is heard twice, digit by digit, only after a key, and only where it is to be spoken.
#[test]
fn a_code_is_spoken_twice() {
    let code = code();
    let spoken =
        |script: &Script| lines(script).iter().filter(|line| matches!(line, Line::SpokenDigits { .. })).count();
    for flow in flows().iter() {
        let begin = flow.begin();
        assert_eq!(spoken(&flow.script(&begin.to, &saying("en", &code))), 0);
        let pressed = flow.hear(&begin.to, heard('#'));
        let script = flow.script(&pressed.to, &saying("en", &code));
        if flow.mode() == Mode::Speak {
            assert_eq!((pressed.verdict, spoken(&script)), (Some(Verdict::Told), 2));
            let digits = script.before.iter().find_map(|line| match line {
                Line::SpokenDigits { digits, pause, takes } => Some((digits.0.same_as(&code), *pause, *takes)),
                Line::Say { .. } | Line::Play { .. } | Line::Pause(_) => None,
            });
            let (same, pause, takes) = digits.unwrap();
            assert!(same && pause.as_millis() == 500 && takes.as_secs() == 5, "{pause:?} {takes:?}");
            // Not part of the question: no key cuts it short.
            assert!(matches!(&script.then, Then::Gather(gather) if gather.prompt.len() == 1));
        } else {
            assert_eq!(spoken(&script), 0);
        }
    }
}

/// How many keys are taken where a code is asked for depends on the code.
#[test]
fn an_entry_is_as_long_as_the_code() {
    let flows = flows();
    let flow = flows.iter().find(|flow| flow.mode() == Mode::Match).unwrap();
    let at = flow.begin().to;
    assert_eq!(flow.listening(&at), Listening::Code(Digit::POUND));
    for (code, max) in [("428571", 7), ("12345678", 9), ("", 2), ("12345678901234567890123456789012", 32)] {
        let code: Digits = code.parse().unwrap();
        let Then::Gather(gather) = flow.script(&at, &saying("ja", &code)).then else { panic!() };
        assert_eq!(gather.accept, Accept::Entry { max, end: Digit::POUND });
    }
}
