//! Owns where log lines and measurements go. Log lines leave through a bounded queue that drops: a sink that does not
//! read never stops a call. Only this crate's own lines are written, whatever the filter says, because only its types
//! are known to mask numbers and secrets; libraries may log what they are given. What is logged is decided elsewhere.
//! Spans have their own way, [`traces`].

mod exposition;
mod measurements;
mod traces;

use std::{
    io::{self, IsTerminal, Write},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
    time::Duration,
};

pub use exposition::openmetrics;
pub use measurements::{Kind, MEASUREMENTS, Measurement};
pub use traces::{Config as TracesConfig, Sampler, Traces, TracesError, start_traces};

use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use serde::Deserialize;
use tracing_subscriber::{
    Layer,
    filter::{LevelFilter, Targets},
    fmt::MakeWriter,
    layer::SubscriberExt,
    util::{SubscriberInitExt, TryInitError},
};

/// Log lines that may wait to be written. At a few hundred bytes a line that is some megabytes at most.
const MAX_WAITING_LINES: usize = 8192;
/// How long lines are gathered before they are written together: at the price of that delay, a busy program makes a
/// hundred writes a second at most, and nobody who logs has to wake the thread that writes.
const GATHER: Duration = Duration::from_millis(10);
/// Bytes that are written at once, at least, while more wait.
const WRITTEN_AT_ONCE: usize = 64 * 1024;
/// How long the last lines may take at the end of the program.
const LAST_LINES: Duration = Duration::from_secs(1);
/// Upper bounds of the histograms of durations, in seconds: from a Redis command to the life of a verification.
const SECONDS: [f64; 17] =
    [0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 180.0, 600.0];

/// `[logs]`: what is logged, and how it is written. Log lines go to the standard error.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// `error`, `warn`, `info`, `debug` or `trace`; also parts of the program by name, as in
    /// `info,ringproof::access=debug`, where `access` has a line for each HTTP request.
    pub level: String,
    /// `json`, one object a line; `pretty`, for people; `auto`, pretty on a terminal and JSON elsewhere.
    pub format: Format,
}

impl Default for Config {
    fn default() -> Self {
        Self { level: String::from("info"), format: Format::Auto }
    }
}

/// How a log line is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// For people on a terminal, JSON elsewhere.
    Auto,
    /// One JSON object a line.
    Json,
    /// For people.
    Pretty,
}

/// A level that is none.
#[derive(Debug, thiserror::Error)]
#[error("logs.level: write error, warn, info, debug or trace, or parts as in info,ringproof::access=debug")]
pub struct BadLevel;

impl Config {
    /// What is wrong. Empty when nothing is.
    #[must_use]
    pub fn faults(&self) -> Vec<String> {
        filter(&self.level).err().map(|fault| fault.to_string()).into_iter().collect()
    }
}

/// Why log lines cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The level is none.
    #[error(transparent)]
    Level(#[from] BadLevel),
    /// The thread that writes cannot be started.
    #[error("the thread that writes log lines cannot be started")]
    Thread(#[source] io::Error),
    /// Somebody else has set up logging in this process.
    #[error("log lines are written somewhere else already")]
    Taken(#[from] TryInitError),
}

/// Keeps log lines flowing; what waits at its end is written then.
#[must_use = "log lines are written as long as this lives"]
pub struct Logs {
    queue: Queue,
    done: Receiver<()>,
}

/// Begins to write log lines to the standard error.
///
/// # Errors
/// Why that is not possible.
pub fn start_logs(config: &Config) -> Result<Logs, LogError> {
    let filter = filter(&config.level)?;
    let terminal = io::stderr().is_terminal();
    let pretty = match config.format {
        Format::Auto => terminal,
        Format::Json => false,
        Format::Pretty => true,
    };
    let (queue, done) = start_writer(io::stderr()).map_err(LogError::Thread)?;
    let layer = tracing_subscriber::fmt::layer().with_writer(queue.clone());
    let registry = tracing_subscriber::registry();
    // Not `init`: that would take in what libraries write through the `log` crate, which may hold full numbers.
    if pretty {
        registry.with(layer.with_ansi(terminal && colour_wanted()).with_filter(filter)).try_init()?;
    } else {
        registry.with(layer.json().flatten_event(true).with_current_span(false).with_filter(filter)).try_init()?;
    }
    Ok(Logs { queue, done })
}

impl Drop for Logs {
    fn drop(&mut self) {
        // A sink that does not read must not keep the program from ending: at most this long.
        if self.queue.sender.try_send(Item::Last).is_ok() {
            let _in_time = self.done.recv_timeout(LAST_LINES);
        }
    }
}

/// Whether colours are wanted at all (<https://no-color.org>).
pub fn colour_wanted() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// The filter of a level: nothing but our own lines passes.
fn filter(level: &str) -> Result<Targets, BadLevel> {
    let mut ours = Targets::new().with_default(LevelFilter::OFF);
    for part in level.split(',') {
        let (target, level) = part.trim().split_once('=').unwrap_or_else(|| (OURS, part.trim()));
        if level.is_empty() || (target != OURS && !target.starts_with("ringproof::")) {
            return Err(BadLevel);
        }
        ours = ours.with_target(target, level.parse::<LevelFilter>().map_err(|_| BadLevel)?);
    }
    Ok(ours)
}

/// What the targets of our own lines begin with.
const OURS: &str = "ringproof";

enum Item {
    Line(Vec<u8>),
    Last,
}

/// The way to the thread that writes.
#[derive(Clone)]
struct Queue {
    sender: SyncSender<Item>,
    dropped: Arc<AtomicU64>,
}

impl Queue {
    fn put(&self, line: &[u8]) {
        match self.sender.try_send(Item::Line(line.to_vec())) {
            Ok(()) => {}
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                self.dropped.fetch_add(1, Ordering::Relaxed);
                metrics::counter!("ringproof_log_lines_dropped_total").increment(1);
            }
        }
    }
}

/// A log line that is being put together. It is handed on whole.
struct Line<'a>(&'a Queue);

impl Write for Line<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.put(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Queue {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Line<'a> {
        Line(self)
    }
}

/// Starts the thread that writes to `sink`. What comes back is the way to it, and where it says that all is written.
fn start_writer(mut sink: impl Write + Send + 'static) -> io::Result<(Queue, Receiver<()>)> {
    let (sender, lines) = sync_channel(MAX_WAITING_LINES);
    let (finished, done) = sync_channel(1);
    let dropped = Arc::new(AtomicU64::new(0));
    let queue = Queue { sender, dropped: Arc::clone(&dropped) };
    let work = move || {
        let mut text = Vec::new();
        while let Ok(Item::Line(line)) = lines.recv() {
            text.extend_from_slice(&line);
            std::thread::park_timeout(GATHER);
            let mut last = false;
            while text.len() < WRITTEN_AT_ONCE && !last {
                match lines.try_recv() {
                    Ok(Item::Line(line)) => text.extend_from_slice(&line),
                    Ok(Item::Last) => last = true,
                    Err(_) => break,
                }
            }
            let lost = dropped.swap(0, Ordering::Relaxed);
            if lost > 0 {
                let _in_memory =
                    writeln!(text, "{{\"level\":\"WARN\",\"message\":\"log lines were dropped\",\"lines\":{lost}}}");
            }
            // A sink that is gone takes nothing more; lines are then read and forgotten.
            let _gone = sink.write_all(&text);
            text.clear();
            if last {
                break;
            }
        }
        let _gone = sink.flush();
        let _nobody_waits = finished.try_send(());
    };
    std::thread::Builder::new().name(String::from("logs")).spawn(work)?;
    Ok((queue, done))
}

/// Begins to keep measurements. What comes back renders them in the Prometheus text format; [`openmetrics`] puts
/// that into the other.
///
/// # Errors
/// Somebody else keeps measurements in this process.
pub fn start_metrics() -> Result<PrometheusHandle, BuildError> {
    let recorder = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix(String::from("_seconds")), &SECONDS)?
        .install_recorder()?;
    exposition::describe();
    Ok(recorder)
}

#[cfg(test)]
mod tests {
    use std::sync::{Mutex, mpsc::channel};

    use super::*;

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let mut kept = self.0.lock().map_err(|_| io::Error::other("poisoned"))?;
            kept.extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(level: &str, work: impl FnOnce()) -> String {
        let kept = Kept::default();
        let (queue, done) = start_writer(kept.clone()).unwrap();
        let layer = tracing_subscriber::fmt::layer().with_writer(queue.clone()).json().flatten_event(true);
        let subscriber = tracing_subscriber::registry().with(layer.with_filter(filter(level).unwrap()));
        tracing::subscriber::with_default(subscriber, work);
        drop(Logs { queue, done });
        let bytes = kept.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn only_our_own_lines_are_written() {
        let text = logged("trace", || {
            tracing::info!(target: "ringproof::gateway", count = 3, "ours\u{1b}[31m\nforged");
            tracing::error!(target: "rlibphonenumber", "theirs +819012345678");
        });
        assert_eq!(text.lines().count(), 1, "{text}");
        let line: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!((line["message"].as_str(), line["count"].as_i64()), (Some("ours\u{1b}[31m\nforged"), Some(3)));
    }

    #[test]
    fn levels_are_read() {
        let quiet = logged("warn,ringproof::access=debug", || {
            tracing::info!(target: "ringproof::gateway", "too low");
            tracing::debug!(target: "ringproof::access", "access");
        });
        assert!(quiet.contains("access") && !quiet.contains("too low"), "{quiet}");
        for bad in ["", "loud", "ringproof=7=8", "info,ringproof=loud", "rlibphonenumber=trace"] {
            assert!(filter(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_sink_that_does_not_read_stops_nobody() {
        struct Stuck(Receiver<()>);
        impl Write for Stuck {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                let _released = self.0.recv();
                Ok(bytes.len())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let (release, stuck) = channel();
        let (queue, _done) = start_writer(Stuck(stuck)).unwrap();
        // As many as the thread may have taken, as many as may wait, and as many that are too many.
        for _ in 0..WRITTEN_AT_ONCE / 5 + 2 * MAX_WAITING_LINES {
            queue.put(b"line\n");
        }
        let dropped = queue.dropped.load(Ordering::Relaxed);
        assert!(dropped + 10 >= MAX_WAITING_LINES as u64, "{dropped}");
        drop(release);
    }
}
