//! Owns the one connection for commands: making it, making it again, and the limits on time. It repeats what is safe to
//! repeat; every script here is. It knows no key and no meaning.

use std::{sync::PoisonError, time::Duration};

use redis::{
    AsyncConnectionConfig, Cmd, ErrorKind, FromRedisValue, RedisError, Value,
    aio::{ConnectionLike, MultiplexedConnection},
    cluster_async::ClusterConnection,
};
use tokio::time::{Instant, sleep_until, timeout_at};

use super::{
    super::StoreError,
    faults::{self, Fault},
    scripts::Script,
    servers::Source,
};

/// Longest wait for one answer, and for a connection.
pub(super) const COMMAND_TIMEOUT: Duration = Duration::from_millis(500);
/// Longest wait for what was asked, with all repetitions.
pub(super) const DECISION_TIMEOUT: Duration = Duration::from_secs(2);
/// Waits before repetitions; the last one goes on.
const PAUSES_MS: [u64; 4] = [10, 50, 150, 300];

/// The connection for commands.
pub(super) enum Link {
    /// To one server.
    One(Box<One>),
    /// To a cluster. The library keeps its connections.
    Cluster(ClusterConnection),
}

/// A connection to one server that is made again when it is lost. The server is asked for anew each time, since a
/// sentinel may name another one.
pub(super) struct One {
    source: Source,
    current: std::sync::Mutex<Option<Live>>,
    connecting: tokio::sync::Mutex<Connecting>,
}

#[derive(Clone)]
struct Live {
    number: u64,
    connection: MultiplexedConnection,
}

/// How often it was tried to connect, and what came of the last time.
#[derive(Default)]
struct Connecting {
    attempts: u64,
    fault: Option<Fault>,
}

impl Link {
    pub(super) async fn open(source: Source) -> Result<Self, StoreError> {
        if let Source::Cluster(client, _) = &source {
            let connected = tokio::time::timeout(DECISION_TIMEOUT, client.get_async_connection()).await;
            return match connected {
                Ok(Ok(connection)) => Ok(Self::Cluster(connection)),
                Ok(Err(error)) => Err(faults::judge(&error).into_error()),
                Err(_) => Err(StoreError::Timeout),
            };
        }
        let one = One { source, current: std::sync::Mutex::default(), connecting: tokio::sync::Mutex::default() };
        one.live().await.map_err(Fault::into_error)?;
        Ok(Self::One(Box::new(one)))
    }

    /// Runs a script with its keys and arguments, within the limit.
    pub(super) async fn run<T: FromRedisValue>(
        &self,
        script: &Script,
        keys: &[String],
        arguments: &[Vec<u8>],
    ) -> Result<T, StoreError> {
        let first = evaluate("EVALSHA", script.sha(), keys, arguments);
        let whole = || evaluate("EVAL", script.text, keys, arguments);
        self.until_answered(first, Some(&whole)).await
    }

    /// Runs a plain command, which must only read.
    pub(super) async fn read<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, StoreError> {
        self.until_answered(command.clone(), None).await
    }

    /// What `INFO` says of each server; `None` for one that does not let us ask.
    pub(super) async fn settings(&self, source: &Source) -> Result<Vec<Option<String>>, StoreError> {
        let info = redis::cmd("INFO");
        let Source::Cluster(_, nodes) = source else {
            let answer = tokio::time::timeout(DECISION_TIMEOUT, self.query(&info)).await;
            let answer = answer.map_err(|_| StoreError::Timeout)?;
            let answer = permitted(answer).map_err(|error| faults::judge(&error).into_error())?;
            return Ok(vec![redis::from_redis_value(answer).unwrap_or_default()]);
        };
        let mut answers = Vec::with_capacity(nodes.count());
        for _ in 0..nodes.count() {
            let asked = async {
                let mut connection = source.client().await?.get_multiplexed_async_connection().await?;
                permitted(connection.req_packed_command(&info).await)
            };
            // A node that is down is the cluster's business.
            if let Ok(Ok(answer)) = tokio::time::timeout(DECISION_TIMEOUT, asked).await {
                answers.push(redis::from_redis_value(answer).unwrap_or_default());
            }
        }
        Ok(answers)
    }

    /// Asks until there is an answer, the fault does not pass, or the time is over. `whole` makes the command that
    /// brings the script along, for a server that does not know it.
    async fn until_answered<T: FromRedisValue>(
        &self,
        mut command: Cmd,
        whole: Option<&(dyn Fn() -> Cmd + Sync)>,
    ) -> Result<T, StoreError> {
        let end = Instant::now() + DECISION_TIMEOUT;
        let mut pauses = PAUSES_MS.into_iter();
        let mut pause = Duration::ZERO;
        // Once nobody can tell whether it was done, that stays the answer.
        let mut unknown = false;
        loop {
            let Ok(answer) = timeout_at(end, self.query(&command)).await else { return Err(StoreError::Timeout) };
            let fault = match answer.map(redis::from_redis_value::<T>) {
                Ok(Ok(value)) => return Ok(value),
                Ok(Err(error)) => return Err(StoreError::Unreadable(error.to_string())),
                Err(error) if error.kind() == ErrorKind::Server(redis::ServerErrorKind::NoScript) => {
                    match whole {
                        Some(whole) => command = whole(),
                        None => return Err(faults::judge(&error).into_error()),
                    }
                    continue;
                }
                Err(error) => faults::judge(&error),
            };
            unknown |= fault.unknown;
            pause = pauses.next().map_or(pause, Duration::from_millis);
            let next = Instant::now() + pause;
            if !fault.passing || next >= end {
                return Err(if unknown { StoreError::Timeout } else { fault.into_error() });
            }
            sleep_until(next).await;
        }
    }

    async fn query(&self, command: &Cmd) -> Result<Value, RedisError> {
        match self {
            Self::Cluster(connection) => {
                connection.clone().req_packed_command(command).await.and_then(Value::extract_error)
            }
            Self::One(one) => one.query(command).await,
        }
    }
}

impl One {
    async fn query(&self, command: &Cmd) -> Result<Value, RedisError> {
        let mut live = self.live().await.map_err(|fault| fault.error)?;
        let answer = live.connection.req_packed_command(command).await.and_then(Value::extract_error);
        if let Err(error) = &answer
            && (error.is_timeout() || error.is_unrecoverable_error() || self.source.moves_on(error))
        {
            self.drop_connection(live.number);
        }
        answer
    }

    async fn live(&self) -> Result<Live, Fault> {
        if let Some(live) = self.now() {
            return Ok(live);
        }
        let seen = self.connecting.try_lock().map(|connecting| connecting.attempts).unwrap_or(u64::MAX);
        let mut connecting = self.connecting.lock().await;
        if let Some(live) = self.now() {
            return Ok(live);
        }
        // Who waited while others tried shares what came of it, so that a crowd does not queue up for the limit each.
        if seen != connecting.attempts
            && let Some(fault) = &connecting.fault
        {
            return Err(fault.clone());
        }
        connecting.attempts += 1;
        match self.connect().await {
            Ok(connection) => {
                let live = Live { number: connecting.attempts, connection };
                *self.current.lock().unwrap_or_else(PoisonError::into_inner) = Some(live.clone());
                connecting.fault = None;
                Ok(live)
            }
            Err(error) => {
                let fault = faults::judge(&error);
                connecting.fault = Some(fault.clone());
                Err(fault)
            }
        }
    }

    async fn connect(&self) -> Result<MultiplexedConnection, RedisError> {
        let settings = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(COMMAND_TIMEOUT))
            .set_response_timeout(Some(COMMAND_TIMEOUT));
        let client = self.source.client().await?;
        client.get_multiplexed_async_connection_with_config(&settings).await
    }

    fn now(&self) -> Option<Live> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn drop_connection(&self, number: u64) {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        current.take_if(|live| live.number == number);
    }
}

/// Turns a refusal for want of rights into nothing.
fn permitted(answer: Result<Value, RedisError>) -> Result<Value, RedisError> {
    match answer {
        Err(error) if error.code() == Some("NOPERM") => Ok(Value::Nil),
        other => other,
    }
}

fn evaluate(command: &str, script: &str, keys: &[String], arguments: &[Vec<u8>]) -> Cmd {
    let mut command = redis::cmd(command);
    command.arg(script).arg(keys.len()).arg(keys).arg(arguments);
    command
}
