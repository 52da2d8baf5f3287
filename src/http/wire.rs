//! Owns the view below HTTP: how slowly the head of a request may arrive and an answer be taken, and whether a head
//! said its length in two ways, which the parser above resolves without a word. It changes no byte.

use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::{Instant, Sleep, sleep_until},
};

/// How much of what was received since the last request is kept, in bytes: as much as a head may have.
const MAX_KEPT_BYTES: usize = 16 * 1024;

/// What the connection is in the middle of; shared by the wire and by those who answer.
#[derive(Debug, Clone)]
pub(super) struct Heads(Arc<Mutex<Reading>>);

#[derive(Debug)]
struct Reading {
    at: At,
    received: Vec<u8>,
    head_timeout: Duration,
}

#[derive(Debug, Clone, Copy)]
enum At {
    /// Between requests.
    Idle,
    /// A head is arriving and has to be there by then.
    Head(Instant),
    /// A request is being worked on.
    Request,
}

impl Heads {
    /// Of a new connection: its first head has `head_timeout` from now on.
    pub(super) fn new(head_timeout: Duration) -> Self {
        let at = At::Head(Instant::now() + head_timeout);
        Self(Arc::new(Mutex::new(Reading { at, received: Vec::new(), head_timeout })))
    }

    /// A head has been read. Whether its length is told in one way only: of a request in chunks the whole head must have
    /// been seen here, and hold no other length.
    pub(super) fn request_began(&self, chunked: bool) -> bool {
        let mut reading = self.lock();
        reading.at = At::Request;
        let plain = !chunked
            || (holds(&reading.received, b"transfer-encoding") && !holds(&reading.received, b"content-length"));
        reading.received.clear();
        plain
    }

    /// The request has been answered.
    pub(super) fn request_ended(&self) {
        self.lock().at = At::Idle;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Reading> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn received(&self, bytes: &[u8]) {
        let mut reading = self.lock();
        match reading.at {
            At::Request => return,
            At::Idle => reading.at = At::Head(Instant::now() + reading.head_timeout),
            At::Head(_) => {}
        }
        let room = MAX_KEPT_BYTES.saturating_sub(reading.received.len());
        reading.received.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
    }

    fn deadline(&self) -> Option<Instant> {
        match self.lock().at {
            At::Head(deadline) => Some(deadline),
            At::Idle | At::Request => None,
        }
    }
}

/// Whether a header of this name stands in a head: at the beginning of a line, before a colon.
fn holds(head: &[u8], name: &[u8]) -> bool {
    head.split(|byte| *byte == b'\n').any(|line| {
        line.split_at_checked(name.len())
            .is_some_and(|(start, rest)| start.eq_ignore_ascii_case(name) && rest.first() == Some(&b':'))
    })
}

/// A connection whose heads are watched.
#[derive(Debug)]
pub(super) struct Wire {
    stream: TcpStream,
    heads: Heads,
    head_timer: Option<Pin<Box<Sleep>>>,
    write_timer: Option<Pin<Box<Sleep>>>,
    write_timeout: Duration,
}

impl Wire {
    pub(super) const fn new(stream: TcpStream, heads: Heads, write_timeout: Duration) -> Self {
        Self { stream, heads, head_timer: None, write_timer: None, write_timeout }
    }

    /// Ends what takes too long: polls the timer that belongs to something that is not ready.
    fn overdue(timer: &mut Option<Pin<Box<Sleep>>>, deadline: Instant, cx: &mut Context<'_>) -> Poll<io::Error> {
        let timer = timer.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        if timer.deadline() != deadline {
            timer.as_mut().reset(deadline);
        }
        ready!(timer.as_mut().poll(cx));
        Poll::Ready(io::ErrorKind::TimedOut.into())
    }

    /// Whether what was written is being taken; an error when it has not been for too long.
    fn watch_write<T>(&mut self, written: Poll<io::Result<T>>, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.write_timer = None;
            return written;
        }
        let deadline =
            self.write_timer.as_ref().map_or_else(|| Instant::now() + self.write_timeout, |timer| timer.deadline());
        Self::overdue(&mut self.write_timer, deadline, cx).map(Err)
    }
}

impl AsyncRead for Wire {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = buffer.filled().len();
        let read = Pin::new(&mut this.stream).poll_read(cx, buffer);
        if read.is_ready() {
            if let Some(new) = buffer.filled().get(before..).filter(|new| !new.is_empty()) {
                this.heads.received(new);
            }
            return read;
        }
        match this.heads.deadline() {
            Some(deadline) => Self::overdue(&mut this.head_timer, deadline, cx).map(Err),
            None => Poll::Pending,
        }
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.watch_write(written, cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, parts);
        self.watch_write(written, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
