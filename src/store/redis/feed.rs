//! Owns the subscription to the changes that other ringproofs make: a connection of its own, made again when it is lost.
//! Whoever listens is told `Unknown` after each gap. What changed is not known here.

use std::time::Duration;

use futures_util::StreamExt;
use redis::{
    RedisError,
    aio::{PubSubSink, PubSubStream},
};
use tokio::{
    sync::broadcast,
    time::{sleep, timeout},
};

use super::{
    super::{Changed, StoreError},
    faults,
    keys::CHANGES,
    link::DECISION_TIMEOUT,
    servers::Source,
};
use crate::id::VerificationId;

/// How often a silent subscription is asked whether it is alive.
const PING_EVERY: Duration = Duration::from_secs(5);
/// Wait before connecting again, doubled up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// A subscription that stands.
pub(super) struct Feed {
    source: Source,
    sink: PubSubSink,
    stream: PubSubStream,
}

impl Feed {
    pub(super) async fn open(source: Source) -> Result<Self, StoreError> {
        match timeout(DECISION_TIMEOUT, subscribe(&source)).await {
            Ok(Ok((sink, stream))) => Ok(Self { source, sink, stream }),
            Ok(Err(error)) => Err(faults::judge(&error).into_error()),
            Err(_) => Err(StoreError::Timeout),
        }
    }

    /// Passes changes on, for ever.
    pub(super) async fn run(mut self, changes: broadcast::Sender<Changed>) {
        loop {
            self.pass_on(&changes).await;
            let mut pause = FIRST_PAUSE;
            loop {
                sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
                if let Ok(Ok((sink, stream))) = timeout(DECISION_TIMEOUT, subscribe(&self.source)).await {
                    (self.sink, self.stream) = (sink, stream);
                    break;
                }
            }
            // Nobody may be listening.
            let _ = changes.send(Changed::Unknown);
        }
    }

    /// Passes changes on until the subscription is lost.
    async fn pass_on(&mut self, changes: &broadcast::Sender<Changed>) {
        loop {
            match timeout(PING_EVERY, self.stream.next()).await {
                Ok(Some(message)) => {
                    let bare = std::str::from_utf8(message.get_payload_bytes()).unwrap_or_default();
                    let id: Result<VerificationId, _> = format!("ver_{bare}").parse();
                    let _ = changes.send(id.map_or(Changed::Unknown, Changed::Verification));
                }
                Ok(None) => return,
                Err(_) => {
                    let answered = timeout(DECISION_TIMEOUT, self.sink.ping::<()>()).await;
                    if !matches!(answered, Ok(Ok(()))) {
                        return;
                    }
                }
            }
        }
    }
}

async fn subscribe(source: &Source) -> Result<(PubSubSink, PubSubStream), RedisError> {
    let (mut sink, stream) = source.client().await?.get_async_pubsub().await?.split();
    sink.subscribe(CHANGES).await?;
    Ok((sink, stream))
}
