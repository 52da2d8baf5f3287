//! What a callee hears of the flows that come with the program, and of a customer's own recordings.

use std::{collections::BTreeMap, fs};

use sha2::{Digest as _, Sha256};

use super::*;
use crate::{
    callflow::{CallFlow, Fixed, Flows, Heard, Position, Rule, Saying},
    dtmf::{Digit, Digits},
    outcome::Purpose,
    sip::{media::clip, sdp::Codec},
};

/// Largest size of all clips together.
const LARGEST_BYTES: usize = 12_000_000;
/// How a clip's time may be to the estimate; measured are 0.6 to 1.4 (see docs/prompts.md).
const NEAR_THE_ESTIMATE: std::ops::RangeInclusive<f64> = 0.5..=1.5;

fn flows() -> Flows {
    Flows::from_sources(&[]).unwrap()
}

fn saying<'a>(locale: &'a str, brand: &'a str, code: &'a Digits) -> Saying<'a> {
    Saying { locale, brand, purpose: Purpose::Enrolment, purpose_text: None, last_digits: "5678", code: Some(code) }
}

fn code() -> Digits {
    "428571".parse().unwrap()
}

fn voice() -> Voice {
    Voice::load(None, "Contoso").0
}

/// A folder with these recordings, each a tone of its own length in samples, and with these texts.
fn folder(recordings: &[(&str, usize)], texts: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, samples) in recordings {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, clip::write(&tone(*samples))).unwrap();
    }
    for (name, text) in texts {
        fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

fn tone(samples: usize) -> Vec<u8> {
    (0..samples).map(|n| Codec::Pcmu.encode(if n % 20 < 10 { 9_000 } else { -9_000 })).collect()
}

/// The samples of each clip.
fn lengths(sounds: &[Sound]) -> Vec<usize> {
    let length = |sound: &Sound| match sound {
        Sound::Clip(clip) => Some(clip.len()),
        Sound::Silence(_) => None,
    };
    sounds.iter().filter_map(length).collect()
}

#[test]
fn every_text_of_every_flow_has_a_clip() {
    let voice = voice();
    for flow in flows().iter() {
        assert_eq!(voice.faults(flow), [], "run `make prompts`");
    }
    for locale in flows().get("press-pound").unwrap().languages() {
        assert_eq!(voice.apology(locale).len(), 1, "{locale}");
    }
    assert_eq!(voice.apology("nl"), voice.apology("en"));
}

#[test]
fn clips_are_as_their_manifests_say_and_can_be_heard() {
    let mut size = 0;
    for shipped in shipped_clips() {
        let name = format!("{}/{}", shipped.language, shipped.file);
        size += shipped.wav.len();
        let samples = clip::read(shipped.wav).unwrap_or_else(|why| panic!("{name} {why}"));
        assert_eq!(clip::flaws(&samples), [], "{name}");
        assert_eq!(clip::duration(&samples).as_millis(), u128::from(shipped.duration_ms), "{name}");
        let checksum: String = Sha256::digest(shipped.wav).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(checksum, shipped.sha256, "{name}");
        let peak = samples.iter().map(|coded| i32::from(Codec::Pcmu.decode(*coded)).abs()).max().unwrap();
        // -3 dBFS, as coarse as mu-law is there.
        assert!((22_000..=24_500).contains(&peak), "{name}: {peak}");
        let silent = samples.iter().take_while(|coded| i32::from(Codec::Pcmu.decode(**coded)).abs() < 300).count();
        assert!(silent < 2_400, "{name} begins with {silent} samples of silence");
    }
    assert!(size > 1_000_000 && size < LARGEST_BYTES, "{size}");
}

#[test]
fn no_clip_is_left_that_nobody_says() {
    let flows = flows();
    let mut said: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for text in flows.iter().flat_map(|flow| flow.spoken()) {
        for part in &text.parts {
            if let Fixed::Text(words) = part {
                said.entry(text.language.to_owned()).or_default().push(library::key_of(words).to_owned());
            }
        }
    }
    for shipped in shipped_clips() {
        let word = shipped.text == "{brand}" || shipped.text.chars().count() == 1;
        let apology = callflow::apology(&shipped.language) == shipped.text;
        let texts = said.get(&shipped.language).unwrap();
        assert!(word || apology || texts.contains(&shipped.text), "{} {}", shipped.language, shipped.text);
    }
}

#[test]
fn clips_take_about_as_long_as_is_estimated() {
    let flows = flows();
    let code = code();
    let voice = voice();
    for flow in flows.iter() {
        for locale in flow.languages() {
            let saying = saying(locale, "Contoso", &code);
            for line in every_line(flow, &saying) {
                let Line::Say { prompt, text, takes, wording } = &line else { continue };
                let sounds = voice.say(flow.language_for(locale), prompt, text, wording).unwrap().unwrap();
                let samples: u32 = sounds.iter().map(Sound::samples).sum();
                let ratio = f64::from(samples) / 8_000.0 / takes.as_secs_f64();
                // A word or two take as long as the voice likes.
                let short = takes.as_secs_f64() < 1.5;
                assert!(short || NEAR_THE_ESTIMATE.contains(&ratio), "{} {locale} {prompt}: {ratio:.2}", flow.id());
            }
        }
    }
}

/// What is heard on calls that press many keys.
fn every_line(flow: &CallFlow, saying: &Saying<'_>) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut seen: Vec<Position> = Vec::new();
    let mut todo = vec![flow.begin().to];
    while let Some(at) = todo.pop().filter(|_| seen.len() < 200) {
        if seen.contains(&at) {
            continue;
        }
        let script = flow.script(&at, saying);
        if let Then::Gather(gather) = script.then {
            lines.extend(gather.prompt);
            let keys = ['#', '0', '1', '*', '9'].map(|key| Heard::Key(Digit::from_char(key).unwrap()));
            let heard = keys.into_iter().chain([Heard::RightCode, Heard::Other, Heard::Silence]);
            todo.extend(heard.map(|heard| flow.hear(&at, heard).to));
        }
        lines.extend(script.before);
        seen.push(at);
    }
    lines
}

#[test]
fn a_code_is_recited_digit_by_digit() {
    let flows = flows();
    let flow = flows.get("speak-code").unwrap();
    let code = code();
    let told = flow.hear(&flow.begin().to, Heard::Key(Digit::POUND)).to;
    let sounds = voice().sounds(&flow.script(&told, &saying("ja-JP", "Contoso", &code))).unwrap();
    let pause = Sound::Silence(Duration::from_millis(500));
    assert_eq!(sounds.before.iter().filter(|sound| **sound == pause).count(), 10);
    let digit = |digit| voice().library.key("ja", digit).map(Sound::Clip).unwrap();
    let recited: Vec<_> = sounds.before.iter().filter(|sound| "428571".chars().any(|d| digit(d) == **sound)).collect();
    assert_eq!(recited.len(), 12);
    assert_eq!(*recited[0], digit('4'));
}

#[test]
fn a_customers_recordings_come_first() {
    let recordings = [
        ("en/brand.wav", 5_001),
        ("en/brand.fabrikam-bank.wav", 5_002),
        ("en/press-pound.how.wav", 5_003),
        ("en/press-pound.wrong-key.wav", 5_005),
    ];
    let folder = folder(&recordings, &[]);
    let (voice, faults) = Voice::load(Some(folder.path()), " Contoso ");
    assert_eq!(faults, []);
    let flows = flows();
    let flow = flows.get("press-pound").unwrap();
    let code = code();
    let heard = |locale, brand| {
        let sounds = voice.sounds(&flow.script(&flow.begin().to, &saying(locale, brand, &code))).unwrap();
        lengths(&sounds.prompt)
    };
    let own =
        |locale, brand| heard(locale, brand).into_iter().filter(|n| (5_001..=5_005).contains(n)).collect::<Vec<_>>();
    assert_eq!(own("en-US", "Contoso"), [5_001, 5_003]);
    assert_eq!(own("en-US", "Fabrikam Bank"), [5_002, 5_003]);
    // Somebody else's brand is never said by the usual one's recording.
    assert_eq!(own("en-US", "Northwind"), [5_003]);
    // There the flow itself says something else than in `en`.
    assert_eq!(own("en-GB", "Contoso"), [5_001]);
    assert_eq!(own("ja", "Contoso"), [0_usize; 0]);
    assert_eq!(heard("en-US", "Northwind").len(), heard("en-US", "Contoso").len());
    assert_eq!(voice.unused(&flows), []);
}

#[test]
fn a_whole_prompt_names_the_usual_brand_only() {
    let folder = folder(&[("en/press-pound.greeting.wav", 5_000), ("en/press-pound.greeting.sign_in.wav", 6_000)], &[]);
    let (voice, _) = Voice::load(Some(folder.path()), "Contoso");
    let flows = flows();
    let flow = flows.get("press-pound").unwrap();
    let code = code();
    let heard = |purpose, brand| {
        let saying = Saying { purpose, ..saying("en", brand, &code) };
        lengths(&voice.sounds(&flow.script(&flow.begin().to, &saying)).unwrap().prompt)[0]
    };
    assert_eq!(heard(Purpose::Enrolment, "Contoso"), 5_000);
    assert_eq!(heard(Purpose::SignIn, "Contoso"), 6_000);
    assert!(heard(Purpose::SignIn, "Fabrikam") < 10_000 && heard(Purpose::SignIn, "Fabrikam") != 6_000);
}

#[test]
fn a_clients_own_text_is_left_out_unless_it_was_recorded() {
    let flows = flows();
    let flow = flows.get("press-pound").unwrap();
    let code = code();
    let saying = Saying { purpose_text: Some("300 euros, to Fabrikam"), ..saying("en", "Contoso", &code) };
    let script = flow.script(&flow.begin().to, &saying);
    let without = voice().sounds(&script).unwrap();
    assert_eq!(without.left_out, 1);
    let folder = folder(&[("en/purpose.300-euros-to-fabrikam.wav", 5_000)], &[]);
    let (voice, _) = Voice::load(Some(folder.path()), "Contoso");
    let with = voice.sounds(&script).unwrap();
    assert_eq!(with.left_out, 0);
    assert_eq!(lengths(&with.prompt).len(), lengths(&without.prompt).len() + 2);
}

#[test]
fn pauses_are_where_sentences_end() {
    let flows = flows();
    let flow = flows.get("press-pound").unwrap();
    let code = code();
    let sounds = voice().sounds(&flow.script(&flow.begin().to, &saying("en", "Contoso", &code))).unwrap();
    let shape: Vec<_> = sounds
        .prompt
        .iter()
        .map(|sound| match sound {
            Sound::Clip(_) => 0,
            Sound::Silence(silence) => silence.as_millis(),
        })
        .collect();
    // This is | brand | . This phone … | If you asked …
    assert_eq!(shape, [0, 0, 350, 0, 300, 0]);
}

/// A flow of a customer's own, in a language that nobody has clips of.
const OWN: &str = r##"<callflow xmlns="urn:ringproof:callflow:1" id="own" mode="confirm"><step id="a"><gather times="1">
<say prompt="hi"/><play recording="jingle.wav" takes="1s"/><on key="#"><verify say="bye"/></on></gather><fail reason="no_input" say="bye"/></step>
<prompts><prompt id="hi"><text lang="nl">Met {brand}, druk op hekje.</text></prompt>
<prompt id="bye"><text lang="nl">Dag.</text></prompt></prompts></callflow>"##;

#[test]
fn what_is_missing_is_told_at_its_text() {
    let flow = CallFlow::parse("own.xml", OWN).unwrap();
    let code = code();
    let script = flow.script(&flow.begin().to, &saying("nl", "Contoso", &code));
    let missing = voice().sounds(&script).unwrap_err();
    assert_eq!(missing, Missing::Part { language: "nl".into(), prompt: "hi".into(), part: 1 });
    assert_eq!(missing.to_string(), "prompt `hi` has no recording in `nl` of its part 1");
    let told: Vec<_> = voice().faults(&flow).iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "own.xml:2:19: there is no recording `jingle.wav` for `nl` [audio]\n    add it to the folder of recordings, or to that of the language in it",
            "own.xml:3:26: prompt `hi` has no recording in `nl` of \"Met\" [audio]\n    record nl/own.hi.1.wav, or use a carrier that speaks",
            "own.xml:3:26: prompt `hi` has no recording in `nl` of \"druk op hekje.\" [audio]\n    record nl/own.hi.2.wav, or use a carrier that speaks",
            "own.xml:3:26: there are no words in `nl` for who calls [audio]\n    record nl/brand.wav: it completes every sentence with {brand} in it",
            "own.xml:4:18: prompt `bye` has no recording in `nl` of \"Dag.\" [audio]\n    record nl/own.bye.wav, or use a carrier that speaks",
        ]
    );
    let recordings =
        [("nl/own.hi.1.wav", 5_000), ("nl/own.hi.2.wav", 5_000), ("nl/brand.wav", 900), ("nl/own.bye.wav", 5_000)];
    let folder = folder(&recordings, &[("nl/own.bye.txt", "Dag."), ("nl/own.hi.2.txt", "toets hekje")]);
    fs::write(folder.path().join("jingle.wav"), clip::write(&tone(8_000))).unwrap();
    let (voice, faults) = Voice::load(Some(folder.path()), "Contoso");
    assert_eq!(faults, []);
    assert_eq!(lengths(&voice.sounds(&script).unwrap().prompt), [5_000, 900, 5_000, 8_000]);
    let told: Vec<_> = voice.faults(&flow).into_iter().map(|fault| (fault.line, fault.rule, fault.message)).collect();
    let path = folder.path().join("nl/own.hi.2.wav");
    let message = format!("{} says something else: the text was \"toets hekje\"", path.display());
    assert_eq!(told, [(3, Rule::Audio, message)]);
}

#[test]
fn bad_recordings_are_told() {
    let recordings = [("en/press-pound.how.wav", 13 * 8_000), ("en/pres-pound.how.wav", 8_000), ("en/brand.wav", 100)];
    let folder = folder(&recordings, &[("en/broken.wav", "no sound")]);
    let (voice, faults) = Voice::load(Some(folder.path()), "Contoso");
    let short = |faults: Vec<Diagnostic>| {
        let name = |path: &str| path.rsplit('/').next().unwrap_or_default().to_owned();
        faults.into_iter().map(|fault| (name(&fault.file), name(&fault.message))).collect::<Vec<_>>()
    };
    let told = |file: &str, message: &str| (file.to_owned(), message.to_owned());
    assert_eq!(short(faults), [told("broken.wav", "is no WAV file")]);
    let flows = flows();
    assert_eq!(
        short(voice.faults(flows.get("press-pound").unwrap())),
        [told("press-pound.xml", "press-pound.how.wav is longer than 12 s")]
    );
    assert_eq!(short(voice.common_faults()), [told("brand.wav", "is silent")]);
    assert_eq!(short(voice.unused(&flows)), [told("pres-pound.how.wav", "no flow plays this recording")]);
}
