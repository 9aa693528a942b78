//! Work on a body apart from the thread of I/O, so that deadlines and signals hold while it goes on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Semaphore;
use tokio::time::Instant;

/// Less than this is worked on at once: a thread would cost more.
const SMALL: usize = 64 << 10;

/// One large body is worked on at a time: what is made of several at once would add to the bodies that are there already.
static WORKING: Semaphore = Semaphore::const_new(1);

/// Says when the work is no longer wanted: its time is up, or whoever asked for it has gone.
#[derive(Clone)]
pub(super) struct Stop {
    deadline: Instant,
    gone: Arc<AtomicBool>,
}

impl Stop {
    pub(super) fn is_set(&self) -> bool {
        self.gone.load(Ordering::Relaxed) || Instant::now() >= self.deadline
    }

    /// Never set, for tests of the work.
    #[cfg(any(test, fuzzing))]
    pub(super) fn never() -> Self {
        Self { deadline: Instant::now() + std::time::Duration::from_hours(1), gone: Arc::default() }
    }
}

/// Sets the flag when the future that holds it is dropped.
struct Gone(Arc<AtomicBool>);

impl Drop for Gone {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Works on so many bytes. The work looks at its [`Stop`] now and then.
///
/// # Errors
/// The time was up first.
pub(super) async fn apart<T: Send + 'static>(
    bytes: usize,
    deadline: Instant,
    work: impl FnOnce(&Stop) -> T + Send + 'static,
) -> Result<T, String> {
    let stop = Stop { deadline, gone: Arc::default() };
    if bytes < SMALL {
        return Ok(work(&stop));
    }
    let _gone = Gone(stop.gone.clone());
    let working = async {
        // It is never closed.
        let _turn = WORKING.acquire().await.ok();
        tokio::task::spawn_blocking(move || work(&stop)).await
    };
    match tokio::time::timeout_at(deadline, working).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(error)) => Err(format!("the body could not be read: {error}")),
        Err(_) => Err("time ran out while the body was read".into()),
    }
}
