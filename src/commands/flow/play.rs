//! Owns `flow play`: a call on the terminal. Each line that is typed is what the callee keys; an empty one is silence.

use std::io::{self, BufRead};

use super::{Casting, show::judge, verdict};
use crate::{
    callflow::{Accept, Heard, Line, Script, Then},
    commands::{
        Exit, Outcome,
        output::{Mark, Output, plain},
    },
    dtmf::Digit,
    outcome::Mode,
};

/// Most answers of one call: more than any flow asks for.
const MAX_ANSWERS: usize = 64;

#[derive(Debug, clap::Args)]
pub(in crate::commands) struct Play {
    #[command(flatten)]
    casting: Casting,
}

pub(super) fn run(arguments: &Play, out: &mut Output) -> Outcome {
    let flow = match arguments.casting.flow(out)? {
        Ok(flow) => flow,
        Err(exit) => return Ok(exit),
    };
    let saying = arguments.casting.saying();
    let wanted = flow.language_for(&arguments.casting.locale);
    out.note(&format!("{} in {wanted}. Type keys and Enter; Enter alone is silence, h hangs up.", flow.id()))?;
    if flow.mode() == Mode::Match {
        out.note(&format!("The screen shows {}.", arguments.casting.code.expose()))?;
    }
    let mut lines = io::stdin().lock().lines();
    let mut at = flow.begin().to;
    let mut result = flow.begin().verdict;
    for _ in 0..MAX_ANSWERS {
        let script = flow.script(&at, &saying);
        hear(&script, out)?;
        let Then::Gather(gather) = &script.then else { break };
        let typed = match lines.next() {
            Some(typed) => typed?.trim().to_owned(),
            None => String::from("h"),
        };
        if typed == "h" {
            out.note(&out.paint_note("(hung up)", Mark::Faint))?;
            break;
        }
        if !typed.chars().all(|c| Digit::from_char(c).is_some()) {
            out.note("Keys are 0-9, * and #.")?;
            continue;
        }
        let heard = match gather.accept {
            // One key is asked for: the first one counts, the others are too late.
            Accept::OneKey => typed.chars().next().and_then(Digit::from_char).map_or(Heard::Silence, Heard::Key),
            Accept::Entry { end, .. } => {
                let entry = typed.strip_suffix(end.as_char());
                judge(entry.unwrap_or(&typed), entry.is_some(), &arguments.casting.code)
            }
        };
        let moved = flow.hear(&at, heard);
        if let Some(said) = moved.verdict {
            out.note(&format!("  → {}", verdict(said)))?;
            result = result.or(Some(said));
        }
        at = moved.to;
    }
    let result = result.map_or_else(|| String::from("nothing was decided"), verdict);
    out.line(&format!("Result: {result}"))?;
    Ok(Exit::Done)
}

/// Prints what the callee hears.
fn hear(script: &Script, out: &mut Output) -> io::Result<()> {
    let asked: &[Line] = match &script.then {
        Then::Gather(gather) => &gather.prompt,
        Then::HangUp => &[],
    };
    for line in script.before.iter().chain(asked) {
        match line {
            Line::Say { text, .. } => out.line(&format!("☎  {}", plain(text)))?,
            Line::Play { recording, .. } => out.line(&format!("☎  [recording {}]", plain(recording)))?,
            Line::SpokenDigits { digits, .. } => {
                let spaced: Vec<String> = digits.0.iter().map(|digit| digit.as_char().to_string()).collect();
                out.line(&format!("☎  {}", spaced.join(" ")))?;
            }
            Line::Pause(_) => {}
        }
    }
    match &script.then {
        Then::Gather(gather) => {
            let what = match gather.accept {
                Accept::OneKey => "a key",
                Accept::Entry { .. } => "digits, then #",
            };
            out.note(&out.paint_note(&format!("   ({what}, {} s)", gather.wait.as_secs()), Mark::Faint))
        }
        Then::HangUp => out.note(&out.paint_note("   (the call ends)", Mark::Faint)),
    }
}
