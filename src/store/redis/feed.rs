//! Owns the subscription to the changes that other ringproofs make: a connection of its own, made again when it is lost,
//! on which only verifications are heard of that somebody here follows. Whoever listens is told `Unknown` after each
//! gap. What changed is not known here.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures_util::StreamExt;
use redis::{
    RedisError,
    aio::{PubSubSink, PubSubStream},
};
use tokio::{
    sync::{Notify, broadcast, oneshot},
    time::{sleep, timeout},
};

use super::{
    super::{Changed, StoreError},
    faults,
    keys::{self, CHANGES},
    link::DECISION_TIMEOUT,
    servers::Source,
};
use crate::id::VerificationId;

/// How often a silent subscription is asked whether it is alive.
const PING_EVERY: Duration = Duration::from_secs(5);
/// Wait before connecting again, doubled up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// Most channels of one command.
const CHANNELS_AT_ONCE: usize = 512;

/// Which verifications are followed here, and by how many. As large as there are those who wait.
#[derive(Default)]
pub(super) struct Followed {
    wishes: Mutex<Wishes>,
    news: Notify,
}

#[derive(Default)]
struct Wishes {
    followers: BTreeMap<VerificationId, usize>,
    /// Who waits until the subscription stands.
    joining: Vec<(VerificationId, oneshot::Sender<()>)>,
    leaving: Vec<VerificationId>,
    connected: bool,
}

impl Followed {
    /// Follows a verification from here on. Once what comes back is over, no change is missed without an `Unknown`:
    /// either the subscription stands, or there is no connection, and when there is one again everybody is told to look.
    pub(super) fn follow(&self, id: VerificationId) -> impl Future<Output = ()> + Send + 'static {
        let joined = {
            let mut wishes = self.lock();
            *wishes.followers.entry(id).or_default() += 1;
            wishes.connected.then(|| {
                let (join, joined) = oneshot::channel();
                wishes.joining.push((id, join));
                joined
            })
        };
        self.news.notify_one();
        async move {
            if let Some(joined) = joined {
                // An error means that the connection was lost, and then everybody is told to look.
                let _ = joined.await;
            }
        }
    }

    /// One follows it no longer.
    pub(super) fn leave(&self, id: VerificationId) {
        let mut wishes = self.lock();
        let Some(followers) = wishes.followers.get_mut(&id) else { return };
        *followers -= 1;
        if *followers == 0 {
            wishes.followers.remove(&id);
            if wishes.connected {
                wishes.leaving.push(id);
                drop(wishes);
                self.news.notify_one();
            }
        }
    }

    /// From here on wishes are for a connection that stands; those it has to begin with.
    fn connected(&self) -> Vec<VerificationId> {
        let mut wishes = self.lock();
        wishes.connected = true;
        wishes.followers.keys().copied().collect()
    }

    /// Wishes wait for the next connection.
    fn disconnected(&self) {
        let mut wishes = self.lock();
        wishes.connected = false;
        wishes.joining.clear();
        wishes.leaving.clear();
    }

    fn lock(&self) -> MutexGuard<'_, Wishes> {
        self.wishes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A subscription that stands.
pub(super) struct Feed {
    source: Source,
    sink: PubSubSink,
    stream: PubSubStream,
    followed: Arc<Followed>,
}

impl Feed {
    pub(super) async fn open(source: Source, followed: Arc<Followed>) -> Result<Self, StoreError> {
        match timeout(DECISION_TIMEOUT, subscribe(&source)).await {
            Ok(Ok((sink, stream))) => Ok(Self { source, sink, stream, followed }),
            Ok(Err(error)) => Err(faults::judge(&error).into_error()),
            Err(_) => Err(StoreError::Timeout),
        }
    }

    /// Passes changes on, for ever.
    pub(super) async fn run(mut self, changes: broadcast::Sender<Changed>) {
        let mut missed = false;
        loop {
            let followed = self.followed.connected();
            if self.tell(Subscription::Begin, &followed).await.is_some() {
                if missed || !followed.is_empty() {
                    // Nobody may be listening.
                    let _ = changes.send(Changed::Unknown);
                }
                self.pass_on(&changes).await;
            }
            missed = true;
            self.followed.disconnected();
            let mut pause = FIRST_PAUSE;
            loop {
                sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
                if let Ok(Ok((sink, stream))) = timeout(DECISION_TIMEOUT, subscribe(&self.source)).await {
                    (self.sink, self.stream) = (sink, stream);
                    break;
                }
            }
        }
    }

    /// Passes changes on until the subscription is lost.
    async fn pass_on(&mut self, changes: &broadcast::Sender<Changed>) {
        let followed = Arc::clone(&self.followed);
        loop {
            tokio::select! {
                message = timeout(PING_EVERY, self.stream.next()) => match message {
                    Ok(Some(message)) => {
                        let id = keys::changed(message.get_channel_name());
                        let _ = changes.send(id.map_or(Changed::Unknown, Changed::Verification));
                    }
                    Ok(None) => return,
                    Err(_) => {
                        let answered = timeout(DECISION_TIMEOUT, self.sink.ping::<()>()).await;
                        if !matches!(answered, Ok(Ok(()))) {
                            return;
                        }
                    }
                },
                () = followed.news.notified() => if self.fulfil(&followed).await.is_none() {
                    return;
                },
            }
        }
    }

    /// Subscribes to what is followed now and was not, and the other way round. `None` when the connection is lost.
    async fn fulfil(&mut self, followed: &Followed) -> Option<()> {
        let (joining, begin, end) = {
            let mut wishes = followed.lock();
            let joining = std::mem::take(&mut wishes.joining);
            let leaving = std::mem::take(&mut wishes.leaving);
            let begin = joining.iter().map(|(id, _)| *id).filter(|id| wishes.followers.contains_key(id));
            let end = leaving.into_iter().filter(|id| !wishes.followers.contains_key(id));
            let (begin, end): (Vec<_>, Vec<_>) = (begin.collect(), end.collect());
            (joining, begin, end)
        };
        // What is subscribed to twice is heard once. Whoever leaves from here on is among those of the next time.
        self.tell(Subscription::End, &end).await?;
        self.tell(Subscription::Begin, &begin).await?;
        for (_, join) in joining {
            // Whoever waited may have gone.
            let _ = join.send(());
        }
        Some(())
    }

    async fn tell(&mut self, what: Subscription, ids: &[VerificationId]) -> Option<()> {
        for ids in ids.chunks(CHANNELS_AT_ONCE) {
            let channels: Vec<String> = ids.iter().map(|id| keys::changes_of(*id)).collect();
            let told = async {
                match what {
                    Subscription::Begin => self.sink.subscribe(&channels).await,
                    Subscription::End => self.sink.unsubscribe(&channels).await,
                }
            };
            timeout(DECISION_TIMEOUT, told).await.ok()?.ok()?;
        }
        Some(())
    }
}

#[derive(Clone, Copy)]
enum Subscription {
    Begin,
    End,
}

/// A connection that is subscribed to what nobody publishes: it only listens from the first moment on, and can be asked
/// whether it is alive.
async fn subscribe(source: &Source) -> Result<(PubSubSink, PubSubStream), RedisError> {
    let (mut sink, stream) = source.client().await?.get_async_pubsub().await?.split();
    sink.subscribe(CHANGES).await?;
    Ok((sink, stream))
}
