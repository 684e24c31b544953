//! Stopping: the first signal asks, the deadline insists.

use std::{process::ExitCode, time::Duration};

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::logs::with_causes;

/// How long tasks have to finish what they hold.
pub const GRACE: Duration = Duration::from_secs(10);

/// A process's tasks. One that ends by itself, a panic included, stops all of them.
#[derive(Clone, Debug, Default)]
pub struct Tasks {
    tracker: TaskTracker,
    stop: CancellationToken,
    failed: CancellationToken,
}

impl Tasks {
    /// No task yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Cancelled when the process is to stop.
    pub fn stop_token(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// Runs a task that is to last until the process stops.
    pub fn spawn<E: std::error::Error + Send + 'static>(
        &self,
        name: &'static str,
        task: impl Future<Output = Result<(), E>> + Send + 'static,
    ) {
        let (stop, failed) = (self.stop.clone(), self.failed.clone());
        let guard = stop.clone().drop_guard();
        self.tracker.spawn(async move {
            // Marks failure first and unmarks on a clean end, so that a panic leaves the mark.
            let mark = failed.drop_guard();
            let outcome = task.await;
            if let Err(error) = &outcome {
                tracing::error!(
                    task = name,
                    error = with_causes(error),
                    "a task gave up; stopping"
                );
            }
            if outcome.is_ok() && stop.is_cancelled() {
                mark.disarm();
            }
            drop(guard);
        });
    }

    /// Runs until `stop_requested` resolves or a task gives up, then drains within `grace`. Ending
    /// because a task gave up is a failure, so that a supervisor restarts the process.
    pub async fn run_until(
        self,
        stop_requested: impl Future<Output = ()>,
        grace: Duration,
    ) -> ExitCode {
        tokio::select! {
            () = stop_requested => (),
            () = self.stop.cancelled() => (),
        }
        self.stop.cancel();
        self.tracker.close();
        let drained = tokio::time::timeout(grace, self.tracker.wait())
            .await
            .is_ok();
        if !drained {
            tracing::error!(
                grace_ms = u64::try_from(grace.as_millis()).unwrap_or(u64::MAX),
                "tasks did not stop in time"
            );
        }
        if self.failed.is_cancelled() || !drained {
            ExitCode::FAILURE
        } else {
            ExitCode::SUCCESS
        }
    }
}

/// Resolves on the first SIGINT or SIGTERM.
pub async fn stop_signal() {
    let (Ok(mut interrupt), Ok(mut terminate)) = (
        signal(SignalKind::interrupt()),
        signal(SignalKind::terminate()),
    ) else {
        tracing::error!("signals cannot be received; stop the process with SIGKILL");
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => (),
        _ = terminate.recv() => (),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_success(code: ExitCode) -> bool {
        format!("{code:?}") == format!("{:?}", ExitCode::SUCCESS)
    }

    #[tokio::test]
    async fn work_in_flight_finishes_before_the_process_ends() {
        let tasks = Tasks::new();
        let (done_tx, mut done_rx) = tokio::sync::oneshot::channel();
        let stop = tasks.stop_token();
        tasks.spawn("worker", async move {
            stop.cancelled().await;
            tokio::time::sleep(Duration::from_millis(20)).await;
            done_tx.send(()).unwrap();
            Ok::<(), std::io::Error>(())
        });
        assert!(is_success(
            tasks
                .run_until(std::future::ready(()), Duration::from_secs(1))
                .await
        ));
        assert!(done_rx.try_recv().is_ok());
    }

    #[tokio::test]
    async fn a_task_that_ends_by_itself_fails_the_process() {
        let tasks = Tasks::new();
        tasks.spawn("worker", async { Ok::<(), std::io::Error>(()) });
        assert!(!is_success(
            tasks
                .run_until(std::future::pending(), Duration::from_secs(1))
                .await
        ));
    }

    #[tokio::test]
    async fn a_task_that_panics_fails_the_process() {
        let tasks = Tasks::new();
        tasks.spawn::<std::io::Error>("worker", async { panic!("on purpose") });
        assert!(!is_success(
            tasks
                .run_until(std::future::pending(), Duration::from_secs(1))
                .await
        ));
    }

    #[tokio::test]
    async fn a_task_that_does_not_stop_fails_the_process_at_the_deadline() {
        let tasks = Tasks::new();
        tasks.spawn(
            "worker",
            std::future::pending::<Result<(), std::io::Error>>(),
        );
        assert!(!is_success(
            tasks
                .run_until(std::future::ready(()), Duration::from_millis(10))
                .await
        ));
    }
}
