//! Owns the two writes of a verification in Redis, create and commit: their keys and arguments, and how the answers of
//! their scripts read. What they compare and write stands in the scripts.

use std::time::Duration;

use redis::Value;

use super::{
    super::{Commit, Committed, Created, StoreError, change::Change, listing::short_time, rows::Row},
    Redis, guarded, keys,
    link::Link,
    ms, number, scripts, tallies, time, unreadable, whole, whole_ms, wire,
};
use crate::{guard::step::Answer, id::VerificationId, store::Store, time::Timestamp};

impl Redis {
    /// What follows a value, as `write.lua` takes it: keys, and arguments.
    fn following(change: &Change) -> (Vec<String>, Vec<Vec<u8>>) {
        let partition = change.id.partition();
        let keep_effects = change.keep_for.max(change.keep_records_for);
        let (mut keys, mut arguments) = (Vec::new(), Vec::new());
        for effect in &change.effects {
            let (outbox, key) = (keys::outbox(partition), keys::effect(effect.id));
            arguments.extend([
                b"e".to_vec(),
                outbox.clone().into_bytes(),
                key.clone().into_bytes(),
                effect.id.to_string().into_bytes(),
                number(whole_ms(effect.due_after)),
                ms(keep_effects),
                wire::effect_tail(effect),
            ]);
            keys.extend([outbox, key]);
        }
        for record in &change.records {
            let (log, index) = (keys::log(partition), keys::log_index(partition));
            let row = Row::of(&record.record);
            arguments.extend([
                b"l".to_vec(),
                log.clone().into_bytes(),
                ms(change.keep_records_for),
                record.place.as_bytes().to_vec(),
                wire::entry_tail(record),
                index.clone().into_bytes(),
                keys::log_blocks(partition).into_bytes(),
                [row.class.as_slice(), &row.marks].concat(),
            ]);
            keys.extend([log, index]);
        }
        tallies::following(change, &mut keys, &mut arguments);
        if !change.settle.is_empty() {
            let settle = guarded::settle_arguments(&change.settle);
            arguments.extend([b"s".to_vec(), number(settle.len() as u64)]);
            arguments.extend(settle);
        }
        if let Some(held) = change.number.filter(|_| change.release) {
            let hold = keys::hold(held);
            arguments.extend([b"h".to_vec(), hold.clone().into_bytes(), change.id.as_bytes().to_vec()]);
            keys.push(hold);
        }
        (keys, arguments)
    }

    /// Creates. In a cluster the guard is asked before, in a script of its own: what it counts lies in one slot, the value
    /// in another.
    pub(super) async fn create_one(&self, commit: Commit<'_>) -> Result<Created, StoreError> {
        let mut change = Change::of(commit)?;
        let apart = matches!(self.link, Link::Cluster(_));
        if !apart || change.take.is_empty() {
            return self.create_alone(&change).await;
        }
        if let Some(held) = self.held_by_another(&change).await? {
            return Ok(held);
        }
        let take = std::mem::take(&mut change.take);
        let (at, seen) = match guarded::admit(&self.link, &take).await? {
            (_, Answer::Refused(stop)) => return Ok(Created::Barred(stop)),
            (at, Answer::Allowed { seen }) => (at, seen),
        };
        let created = self.create_alone(&change).await;
        match created {
            Ok(Created::Done(_)) => Ok(Created::Admitted { at, seen }),
            // Perhaps it is written: what was counted for it stays.
            Err(_) => created,
            Ok(_) => {
                guarded::settle(&self.link, &guarded::undone(&take, at)).await?;
                created
            }
        }
    }

    /// Who holds the number of a new verification, if that is another one.
    async fn held_by_another(&self, change: &Change) -> Result<Option<Created>, StoreError> {
        let Some(held) = change.number else { return Ok(None) };
        let holder: Option<Vec<u8>> = self.link.read(redis::cmd("GET").arg(keys::hold(held))).await?;
        let holder = holder.as_deref().and_then(wire::holder).filter(|(by, _)| *by != change.id);
        match holder {
            Some((by, client)) => self.number_held(by, client).await.map(Some),
            None => Ok(None),
        }
    }

    /// A hold for an alternate number does not know whose it is.
    async fn number_held(&self, by: VerificationId, client: String) -> Result<Created, StoreError> {
        let client = if client.is_empty() {
            self.load(by).await?.map(|holder| holder.request.client).unwrap_or_default()
        } else {
            client
        };
        Ok(Created::NumberHeld { by, client })
    }

    async fn create_alone(&self, change: &Change) -> Result<Created, StoreError> {
        let partition = change.id.partition();
        let client = keys::client(partition, &change.client);
        let reference = change.reference.as_ref();
        let reference =
            reference.map_or_else(|| client.clone(), |name| keys::reference(partition, &change.client, name));
        // A value without a number holds nothing that others ask for.
        let hold = change.number.map_or_else(|| keys::no_hold(change.id), keys::hold);
        let keep_index = change.keep_for.saturating_add(INDEX_MARGIN);
        let mut keys = vec![keys::value(change.id), keys::deadlines(partition), hold, client, reference];
        let mut arguments = vec![
            wire::value(change, self.mark()),
            ms(change.keep_for),
            change.id.bare().into_bytes(),
            [change.id.as_bytes(), change.client.as_bytes()].concat(),
            change.deadline.map(|at| number(at.as_ms())).unwrap_or_default(),
            ms(keep_index),
            short_time(change.id.made_at().minus(keep_index)).to_vec(),
        ];
        let guard = guarded::take_arguments(&change.take);
        arguments.push(number(guard.len() as u64));
        arguments.extend(guard);
        let (more_keys, more_arguments) = Self::following(change);
        keys.extend(more_keys);
        arguments.extend(more_arguments);
        let answer: Value = self.link.run(&scripts::CREATE, &keys, &arguments).await?;
        if let Value::Int(now @ 1..) = answer {
            self.tell(change.id);
            return Ok(Created::Done(time(now)));
        }
        if let Value::Int(_) = answer {
            return Ok(Created::Exists);
        }
        if let Value::Array(_) = answer {
            return Ok(match guarded::admitted(answer, &change.take)? {
                (_, Answer::Refused(stop)) => Created::Barred(stop),
                (at, Answer::Allowed { seen }) => {
                    self.tell(change.id);
                    Created::Admitted { at, seen }
                }
            });
        }
        let holder: Vec<u8> = redis::from_redis_value(answer).map_err(|error| unreadable(&error.to_string()))?;
        let (by, client) = wire::holder(&holder).ok_or_else(|| unreadable("a hold"))?;
        self.number_held(by, client).await
    }

    /// Commits. In a cluster the guard is asked before and told after, in scripts of its own.
    pub(super) async fn commit_one(&self, commit: Commit<'_>) -> Result<Committed, StoreError> {
        let mut change = Change::of(commit)?;
        let apart = matches!(self.link, Link::Cluster(_));
        if !apart || (change.take.is_empty() && change.settle.is_empty()) {
            return self.commit_alone(&change).await;
        }
        let (take, settle) = (std::mem::take(&mut change.take), std::mem::take(&mut change.settle));
        let mut at = None;
        if !take.is_empty() {
            match guarded::admit(&self.link, &take).await? {
                (_, Answer::Refused(stop)) => return Ok(Committed::Barred(stop)),
                (now, Answer::Allowed { .. }) => at = Some(now),
            }
        }
        let committed = self.commit_alone(&change).await?;
        match (&committed, at) {
            (Committed::Done(_), _) if settle.is_empty() => {}
            (Committed::Done(_), _) => {
                // The change is written: what is not set right stays counted until its time has passed.
                if let Err(fault) = guarded::settle(&self.link, &settle).await {
                    tracing::warn!(%fault, "what the guard counted could not be set right; it is forgotten in time");
                }
            }
            (_, Some(at)) => {
                guarded::settle(&self.link, &guarded::undone(&take, at)).await?;
            }
            (_, None) => {}
        }
        Ok(committed)
    }

    async fn commit_alone(&self, change: &Change) -> Result<Committed, StoreError> {
        let Some(from) = change.revision.checked_sub(1) else { return Ok(Committed::Conflict) };
        let mut keys = vec![keys::value(change.id), keys::deadlines(change.id.partition())];
        let optional = |time: Option<Timestamp>| time.map(|time| number(time.as_ms())).unwrap_or_default();
        let mut arguments = vec![
            from.to_be_bytes().to_vec(),
            wire::value(change, self.mark()),
            ms(change.keep_for),
            change.id.bare().into_bytes(),
            optional(change.deadline),
            optional(change.before),
            change.spends.map(|turn| number(turn.into())).unwrap_or_default(),
        ];
        let guard = guarded::take_arguments(&change.take);
        arguments.push(number(guard.len() as u64));
        arguments.extend(guard);
        let (more_keys, more_arguments) = Self::following(change);
        keys.extend(more_keys);
        arguments.extend(more_arguments);
        let answer: Value = self.link.run(&scripts::COMMIT, &keys, &arguments).await?;
        if let Value::Array(_) = answer {
            let (_, Answer::Refused(stop)) = guarded::admitted(answer, &change.take)? else {
                return Err(unreadable("an answer to a commit"));
            };
            return Ok(Committed::Barred(stop));
        }
        Ok(match whole(Some(answer))? {
            now @ 1.. => {
                self.tell(change.id);
                Committed::Done(time(now))
            }
            CONFLICT | 0 => Committed::Conflict,
            SPENT => Committed::Spent,
            late => Committed::TooLate(time(late.saturating_neg())),
        })
    }
}

const CONFLICT: i64 = -1;
const SPENT: i64 = -2;
/// How long index entries outlast what was known of the value's life when they were written.
const INDEX_MARGIN: Duration = Duration::from_hours(1);
