//! Ends a process that nobody lets end: what it prints is not read, or what it writes to does not answer. A write of that kind
//! heeds neither deadlines nor signals.

use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

use crate::outcome::Exit;

/// For what is said after the end of the run's time.
const GRACE: Duration = Duration::from_secs(5);

/// Lets the process live for as long as this is kept, and for no longer than it may take.
pub(super) struct Watchdog {
    _kept: Sender<()>,
}

impl Watchdog {
    /// `limit` is what is left of the run's time. Whatever was written so far stays: a report says that the run is not finished, or
    /// what it came to.
    pub(super) fn new(limit: Duration) -> Self {
        let (kept, gone) = channel();
        let watch = move || {
            if gone.recv_timeout(limit + GRACE) == Err(RecvTimeoutError::Timeout) {
                std::process::exit(Exit::NoVerdict.code().into());
            }
        };
        // Where there is no thread to be had, the run goes on without it.
        let _ = thread::Builder::new().spawn(watch);
        Self { _kept: kept }
    }
}
