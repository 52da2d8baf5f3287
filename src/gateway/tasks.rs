//! Owns the tasks of the gateway: all of them are spawned here, are told to stop here, and are waited for at the stop.

use std::{future::Future, time::Duration};

use tokio::task::JoinHandle;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// The tasks of one gateway.
#[derive(Default)]
pub(super) struct Tasks {
    tracker: TaskTracker,
    stopping: CancellationToken,
}

impl Tasks {
    /// Runs a task that is waited for at the stop.
    pub(super) fn spawn<F>(&self, task: F) -> JoinHandle<F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        self.tracker.spawn(task)
    }

    /// Becomes true at the stop.
    pub(super) fn is_stopping(&self) -> bool {
        self.stopping.is_cancelled()
    }

    /// Runs `work` unless we are to stop before it is done; `None` then. Only for work that loses nothing when dropped.
    pub(super) async fn unless_stopping<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        self.stopping.run_until_cancelled(work).await
    }

    /// Tells all tasks to stop.
    pub(super) fn stop(&self) {
        self.stopping.cancel();
        self.tracker.close();
    }

    /// Waits until all tasks are over, at most so long. False when some are not.
    pub(super) async fn over_within(&self, at_most: Duration) -> bool {
        tokio::time::timeout(at_most, self.tracker.wait()).await.is_ok()
    }
}
