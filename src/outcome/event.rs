//! What happens while a run goes on: told as it happens, to whoever keeps, prints or logs it.

use std::time::Duration;

use super::{Observation, Serving, Status};

/// A check of the running plan: its position in the plan's list. Only the ledger hands these out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct CheckId(pub(in crate::outcome) usize);

impl CheckId {
    /// Every check of a plan of so many.
    pub(crate) fn all(count: usize) -> impl Iterator<Item = Self> {
        (0..count).map(Self)
    }

    pub(crate) fn index(self) -> usize {
        self.0
    }
}

/// Something that happened. Sentences are for people and hold whatever the canary said: whoever writes them somewhere
/// redacts and escapes them.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    /// The canary's address is known.
    Located {
        address: String,
        /// What the Admin API says of the service; nothing where it was not asked, or did not answer.
        serving: Option<Serving>,
    },
    Started {
        check: CheckId,
    },
    /// An attempt brought nothing final and is going to be repeated.
    Retrying {
        check: CheckId,
        attempt: u32,
        /// The most attempts, where the plan limits them.
        of: Option<u32>,
        cause: String,
        next_in: Duration,
    },
    /// One scrape of a window is in.
    Sampled {
        check: CheckId,
        scrape: u32,
        of: u32,
    },
    /// So much traffic has been measured, both revisions together.
    Measured {
        check: CheckId,
        requests: usize,
        failed: usize,
    },
    Ended {
        check: CheckId,
        status: Status,
        attempts: u32,
        /// One line: why it ended so.
        detail: String,
        observations: Vec<Observation>,
    },
    /// Not looked at.
    Skipped {
        check: CheckId,
        why: String,
    },
    /// A check that had ended ends differently by what was seen later.
    Overturned {
        check: CheckId,
        status: Status,
        why: String,
    },
}

/// Hears what happens.
pub(crate) trait Observer {
    fn hear(&self, event: &Event);
}
