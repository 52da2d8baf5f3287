//! Owns playing one call: the line, what the callee hears, and what the callee does about it.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, sleep};

use super::{
    Call, World,
    callee::{Act, Callee, Line, When},
    courier,
    twiml::{self, Gather, Verb},
};

/// How a call ended: the status of the API and the SIP status behind it.
struct Over(&'static str, u16);

/// Why playing stops.
enum Stop {
    /// The callee hung up, the document said so, or it came to its end.
    Done,
    /// A request of the API ended the call.
    Requested,
}

/// Plays a call from dialling to its end.
pub(super) async fn play(world: Arc<World>, call: Arc<Call>, callee: Callee, dialled_after: Duration) {
    let mut player = Player { world, call, acts: callee.acts.clone().into_iter(), ahead: String::new() };
    let over = match player.line(&callee, dialled_after).await {
        Ok(over) => over,
        Err(over) => over,
    };
    player.end(&over);
}

struct Player {
    world: Arc<World>,
    call: Arc<Call>,
    acts: std::vec::IntoIter<Act>,
    /// Keys pressed after a question was answered: the next question gets them.
    ahead: String,
}

impl Player {
    async fn line(&mut self, callee: &Callee, dialled_after: Duration) -> Result<Over, Over> {
        let canceled = || Over("canceled", 487);
        self.wait(dialled_after).await.map_err(|_| canceled())?;
        self.status("initiated");
        self.wait(Duration::from_millis(500)).await.map_err(|_| canceled())?;
        match callee.line {
            Line::Busy => return Ok(Over("busy", 486)),
            Line::Fails(sip) => return Ok(Over("failed", sip)),
            Line::Answers(_) | Line::AnswersAndDrops | Line::Declines(_) | Line::RingsOut => {}
        }
        self.call.state().rang_at = Some(self.world.started.elapsed());
        self.status("ringing");
        let limit = Duration::from_secs(self.seconds("Timeout").unwrap_or(60));
        let rings_for = match callee.line {
            Line::Answers(after) | Line::Declines(after) => after,
            Line::AnswersAndDrops => Duration::from_secs(1),
            Line::RingsOut | Line::Busy | Line::Fails(_) => Duration::MAX,
        };
        self.wait(rings_for.min(limit)).await.map_err(|_| canceled())?;
        if rings_for > limit {
            return Ok(Over("no-answer", 487));
        }
        if matches!(callee.line, Line::Declines(_)) {
            return Ok(Over("busy", 603));
        }
        self.answered(callee).await;
        Ok(Over("completed", 200))
    }

    async fn answered(&mut self, callee: &Callee) {
        self.call.state().answered_at = Some(Instant::now());
        self.status("in-progress");
        if callee.line == Line::AnswersAndDrops {
            return;
        }
        if self.call.param("AsyncAmd") == Some("true") {
            courier::machine_detection(&self.world, &self.call, callee.answered_by);
        }
        // The wrong extension, or none: the switchboard's own voice goes on and nobody presses anything.
        let dialled = self.call.param("SendDigits").map(|digits| digits.trim_start_matches(['w', 'W']));
        if callee.extension.is_some() && callee.extension != dialled {
            self.acts = Vec::new().into_iter();
        }
        let limit = Duration::from_secs(self.seconds("TimeLimit").unwrap_or(4 * 60 * 60));
        let world = Arc::clone(&self.world);
        let flow = self.call.param("Url").unwrap_or_default().to_owned();
        tokio::select! {
            _ = self.documents(flow) => {}
            () = sleep(world.real(limit)) => {}
        }
    }

    /// Plays the document at `url` and those it leads to.
    async fn documents(&mut self, url: String) -> Result<(), Stop> {
        let mut next = (url, Vec::new());
        for _ in 0..MAX_DOCUMENTS {
            let (url, extra) = next;
            let document = tokio::select! {
                document = courier::document(&self.world, &self.call, &url, &extra) => document,
                stop = self.hung_up() => return Err(stop),
            };
            let Some((content_type, body)) = document else { return Err(Stop::Done) };
            let verbs = match twiml::read(&content_type, &body) {
                Ok(verbs) => verbs,
                Err(error) => {
                    self.world.violation(format!("document: {error}\n{body}"));
                    return Err(Stop::Done);
                }
            };
            next = self.verbs(&url, verbs).await?;
        }
        self.world.violation(format!("more than {MAX_DOCUMENTS} documents in one call"));
        Err(Stop::Done)
    }

    /// Plays verbs until one leads to another document: its URL and what is posted there.
    async fn verbs(&mut self, url: &str, verbs: Vec<Verb>) -> Result<(String, Vec<(String, String)>), Stop> {
        for verb in verbs {
            match verb {
                Verb::Audio(heard, time) => self.hear(heard, time).await?,
                Verb::Hangup => return Err(Stop::Done),
                Verb::Redirect(to) => return Ok((to, Vec::new())),
                Verb::Gather(gather) => {
                    if let Some(digits) = self.gather(&gather).await? {
                        let action = gather.action.clone().unwrap_or_else(|| url.to_owned());
                        let finished = gather.finish_on_key.map(String::from).unwrap_or_default();
                        let extra = [("Digits", digits), ("FinishedOnKey", finished), ("msg", "Gather End".to_owned())];
                        return Ok((action, extra.map(|(name, value)| (name.to_owned(), value)).into()));
                    }
                }
            }
        }
        Err(Stop::Done)
    }

    /// Something is played that no key cuts short.
    async fn hear(&mut self, heard: String, time: Duration) -> Result<(), Stop> {
        match self.acts.as_slice().first() {
            Some(Act::HangUp(When::AtOnce)) => return Err(Stop::Done),
            Some(Act::HangUp(When::Amid)) => {
                self.wait(time / 2).await?;
                return Err(Stop::Done);
            }
            Some(Act::HangUp(When::After) | Act::Press(..) | Act::Wait) | None => {}
        }
        if !heard.is_empty() {
            self.call.state().heard.push(heard);
        }
        self.wait(time).await
    }

    /// Plays a question. `None` when nothing was entered and that is not to be told.
    async fn gather(&mut self, gather: &Gather) -> Result<Option<String>, Stop> {
        let act = if self.ahead.is_empty() { self.acts.next() } else { None };
        let prompt: Duration = gather.prompt.iter().map(duration).sum();
        let (keys, at) = match act {
            None if !self.ahead.is_empty() => (std::mem::take(&mut self.ahead), Duration::ZERO),
            None | Some(Act::Wait) => (String::new(), prompt),
            Some(Act::Press(keys, when)) => (keys.to_owned(), moment(when, prompt)),
            Some(Act::HangUp(when)) => {
                self.prompt(gather, moment(when, prompt)).await?;
                return Err(Stop::Done);
            }
        };
        self.prompt(gather, at).await?;
        let mut digits = String::new();
        let mut finished = false;
        let mut rest = keys.chars();
        for key in rest.by_ref() {
            self.call.state().pressed.push(key);
            finished = gather.finish_on_key == Some(key);
            if !finished {
                digits.push(key);
                finished = gather.num_digits == Some(digits.len());
            }
            if finished {
                break;
            }
            self.wait(KEY_GAP).await?;
        }
        self.ahead = rest.collect();
        if !finished {
            self.wait(gather.timeout).await?;
        }
        Ok(if digits.is_empty() && !gather.action_on_empty_result { None } else { Some(digits) })
    }

    /// Plays a prompt until a moment in it, or whole.
    async fn prompt(&mut self, gather: &Gather, until: Duration) -> Result<(), Stop> {
        if until > Duration::ZERO {
            let heard = gather.prompt.iter().filter_map(|verb| match verb {
                Verb::Audio(heard, _) if !heard.is_empty() => Some(heard.clone()),
                Verb::Audio(..) | Verb::Gather(_) | Verb::Redirect(_) | Verb::Hangup => None,
            });
            self.call.state().heard.extend(heard);
        }
        self.wait(until).await
    }

    /// Lets time of the carrier pass, unless the call is ended meanwhile.
    async fn wait(&self, time: Duration) -> Result<(), Stop> {
        tokio::select! {
            () = sleep(self.world.real(time)) => Ok(()),
            stop = self.hung_up() => Err(stop),
        }
    }

    async fn hung_up(&self) -> Stop {
        let mut ended = self.call.ended.subscribe();
        ended.wait_for(|ended| *ended).await.ok();
        Stop::Requested
    }

    fn status(&self, status: &'static str) {
        self.call.state().status = status.to_owned();
        courier::status(&self.world, &self.call, status, None);
    }

    fn end(&self, over: &Over) {
        let Over(status, sip) = *over;
        courier::status(&self.world, &self.call, status, Some(sip));
        self.call.state().status = status.to_owned();
    }

    fn seconds(&self, name: &str) -> Option<u64> {
        self.call.param(name).and_then(|value| value.parse().ok())
    }
}

fn duration(verb: &Verb) -> Duration {
    match verb {
        Verb::Audio(_, time) => *time,
        Verb::Gather(_) | Verb::Redirect(_) | Verb::Hangup => Duration::ZERO,
    }
}

fn moment(when: When, prompt: Duration) -> Duration {
    match when {
        When::AtOnce => Duration::ZERO,
        When::Amid => prompt / 2,
        When::After => prompt + Duration::from_secs(1),
    }
}

/// Time between two keys.
const KEY_GAP: Duration = Duration::from_millis(300);
/// Most documents of one call; more is a loop.
const MAX_DOCUMENTS: usize = 40;
