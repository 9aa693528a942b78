//! What happens while a run goes on: told as it happens, to whoever keeps, prints or logs it.

use std::time::Duration;

use super::{Answered, Asked, Judged, Observation, Round, Serving, Status, ThresholdVerdict, TrafficStep};

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
        /// How long it may take.
        limit: Duration,
    },
    /// An attempt brought nothing final and is going to be repeated.
    Retrying {
        check: CheckId,
        attempt: u32,
        /// The most attempts, where the plan limits them.
        of: Option<u32>,
        cause: String,
        /// The same in a word or two: `503`.
        brief: String,
        next_in: Duration,
    },
    /// One scrape of a window is in.
    Sampled {
        check: CheckId,
        scrape: u32,
        of: u32,
        /// What the thresholds say by now; nothing where nobody follows them, or where asking takes too long.
        values: Vec<ValueNow>,
    },
    /// What one round of scrapes brought, as text; only where somebody records it.
    Scraped { check: CheckId, round: Round },
    /// When thresholds were judged over the scrapes, and with what; only where somebody records it.
    Judged { check: CheckId, judged: Judged },
    /// What a Prometheus server answered to an expression; only where somebody records it.
    Asked { check: CheckId, asked: Asked },
    /// What came of a request of the traffic, with what its answer is made of; only where somebody records it.
    Answered { check: CheckId, answer: Box<Answered>, shape: Option<serde_json::Value> },
    /// What else the traffic check did; only where somebody records it.
    Traffic { check: CheckId, step: TrafficStep },
    /// So much traffic has been measured.
    Measured { check: CheckId, traffic: TrafficNow },
    Ended {
        check: CheckId,
        status: Status,
        attempts: u32,
        /// One line: why it ended so.
        detail: String,
        observations: Vec<Observation>,
    },
    /// Not looked at.
    Skipped { check: CheckId, why: String },
    /// A check that had ended ends differently by what was seen later.
    Overturned { check: CheckId, status: Status, why: String },
}

/// How far the traffic is.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct TrafficNow {
    /// Both revisions together.
    pub(crate) requests: usize,
    pub(crate) failed: usize,
    /// Pairs of which both were answered; nothing where the canary alone is asked.
    pub(crate) pairs: Option<usize>,
    /// How much of its time is over.
    pub(crate) done: Duration,
    pub(crate) of: Duration,
    /// What the limits and the thresholds say by now; nothing where nobody follows them.
    pub(crate) values: Vec<ValueNow>,
}

/// What a threshold says in the middle of a window.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ValueNow {
    pub(crate) name: String,
    pub(crate) verdict: ThresholdVerdict,
    /// The worst element's.
    pub(crate) value: Option<f64>,
    /// The same in words, where it has a unit.
    pub(crate) said: Option<String>,
    /// What is wanted of it: `<= 2`.
    pub(crate) wanted: Option<String>,
}

impl ValueNow {
    /// What an observation says of a threshold; nothing where it is of something else.
    pub(crate) fn of(observation: &Observation) -> Option<Self> {
        let seen = observation.threshold()?;
        Some(Self {
            name: observation.name.clone(),
            verdict: seen.verdict,
            value: seen.elements.first().map(|worst| worst.value),
            said: None,
            wanted: observation.expected.clone(),
        })
    }
}

/// Hears what happens.
pub(crate) trait Observer {
    fn hear(&self, event: &Event);

    /// Whether it shows values as they change: they are not computed for nobody.
    fn follows(&self) -> bool {
        false
    }

    /// Whether it records what was scraped, asked and answered.
    fn records(&self) -> bool {
        false
    }
}
