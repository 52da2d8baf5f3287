//! Owns a bad line: a UDP relay between the program and its trunk that loses datagrams by a rule, so that a run can be
//! repeated.

use std::{
    collections::BTreeSet,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::{net::UdpSocket, task::JoinHandle};

/// What becomes of a datagram.
pub(crate) enum Fate {
    /// It arrives.
    Passes,
    /// It is lost.
    Lost,
    /// It arrives, and once more.
    Twice,
}

/// A line, until it is dropped.
pub(crate) struct Relay {
    port: u16,
    lost: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Relay {
    /// A line to the callee at `port` where everything is lost the first time it is sent, in both directions.
    pub(crate) async fn losing_all_once(port: u16) -> Self {
        let mut seen = BTreeSet::new();
        Self::start(port, move |datagram| if seen.insert(datagram.to_vec()) { Fate::Lost } else { Fate::Passes }).await
    }

    /// A line that brings everything twice.
    pub(crate) async fn repeating(port: u16) -> Self {
        Self::start(port, |_| Fate::Twice).await
    }

    #[expect(clippy::disallowed_methods, reason = "a line of a test lives as long as the test")]
    async fn start(callee: u16, mut fate: impl FnMut(&[u8]) -> Fate + Send + 'static) -> Self {
        let near = UdpSocket::bind(("127.0.0.1", 0)).await.unwrap();
        let far = UdpSocket::bind(("127.0.0.1", 0)).await.unwrap();
        let port = near.local_addr().unwrap().port();
        let callee = SocketAddr::from(([127, 0, 0, 1], callee));
        let lost = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&lost);
        let task = tokio::spawn(async move {
            let mut caller = None;
            let (mut out, mut back) = ([0; 65_536], [0; 65_536]);
            loop {
                let (socket, to, datagram) = tokio::select! {
                    Ok((length, from)) = near.recv_from(&mut out) => {
                        caller = Some(from);
                        (&far, callee, &out[..length])
                    }
                    Ok((length, _)) = far.recv_from(&mut back) => {
                        let Some(caller) = caller else { continue };
                        (&near, caller, &back[..length])
                    }
                };
                let times = match fate(datagram) {
                    Fate::Passes => 1,
                    Fate::Lost => 0,
                    Fate::Twice => 2,
                };
                counted.fetch_add(usize::from(times == 0), Ordering::Relaxed);
                for _ in 0..times {
                    // The other side may be gone already.
                    socket.send_to(datagram, to).await.ok();
                }
            }
        });
        Self { port, lost, task }
    }

    /// Where the program reaches its trunk.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// How many datagrams were lost.
    pub(crate) fn lost(&self) -> usize {
        self.lost.load(Ordering::Relaxed)
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.task.abort();
    }
}
