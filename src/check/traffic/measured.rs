//! What was measured: every value is kept until the end, so that quantiles are exact.

use std::collections::BTreeMap;

use crate::outcome::{Answered, Side};

/// How many different causes of failures are kept with their numbers.
const CAUSES: usize = 20;

/// What one side answered.
#[derive(Default)]
pub(super) struct Answers {
    pub(super) requests: usize,
    pub(super) failed: usize,
    /// Why, and how often, in the order in which the causes came.
    pub(super) causes: Vec<(String, usize)>,
    /// The first failure with its request and its trace.
    pub(super) first_failure: Option<String>,
    /// Seconds since the moment when each request was due.
    pub(super) since_due: Vec<f64>,
    /// Whether each of those ended well.
    is_good: Vec<bool>,
    /// Seconds since each request was sent.
    pub(super) latencies: Vec<f64>,
    /// By the request's path: what the series are made of.
    pub(super) paths: BTreeMap<String, Path>,
}

/// What one side answered at a path.
#[derive(Default)]
pub(super) struct Path {
    /// How often, by the status or what kept an answer from coming.
    pub(super) codes: BTreeMap<String, usize>,
    pub(super) since_due: Vec<f64>,
}

/// What both sides answered.
#[derive(Default)]
pub(super) struct Measured {
    pub(super) judged: BTreeMap<Side, Answers>,
    pub(super) warm_up: BTreeMap<Side, Answers>,
    /// How long it took from the moment when the first request was due to the first good answer, in seconds.
    pub(super) first_answers: BTreeMap<Side, f64>,
    /// Setting up each connection, in seconds.
    pub(super) setups: Vec<f64>,
    /// How long the gate itself was behind its schedule, in seconds.
    pub(super) lags: Vec<f64>,
    /// Of all bodies.
    pub(super) bytes: u64,
    /// How many bodies had an end that nothing marks.
    pub(super) unmarked: usize,
    /// How many requests of each side were asked once more, since a connection was closed as they went out.
    pub(super) cut_off: BTreeMap<Side, usize>,
    /// How many requests of each side could not be sent, since too few may run at once.
    pub(super) crowded: BTreeMap<Side, usize>,
    /// When the first request of each side was due, in seconds.
    first_due: BTreeMap<Side, f64>,
}

impl Measured {
    /// Notes what came of a request; `what` says which it was, where that is told.
    pub(super) fn add(&mut self, sent: &Answered, what: &str, path: &str) {
        let part = if sent.is_warm_up { &mut self.warm_up } else { &mut self.judged };
        part.entry(sent.side).or_default().add(sent, what, path);
        let due = sent.due.as_secs_f64();
        let first_due = self.first_due.entry(sent.side).or_insert(due);
        *first_due = first_due.min(due);
        if sent.failure.is_none() {
            // Until then nobody was answered.
            let since_due = sent.since_due.saturating_add(sent.setup.unwrap_or_default());
            let since_first = due - *first_due + since_due.as_secs_f64();
            self.first_answers.entry(sent.side).or_insert(since_first);
        }
        self.unmarked += usize::from(sent.is_unmarked);
        *self.cut_off.entry(sent.side).or_default() += usize::from(sent.was_cut_off);
        *self.crowded.entry(sent.side).or_default() += usize::from(sent.is_crowded);
        self.setups.extend(sent.setup.map(|setup| setup.as_secs_f64()));
        self.lags.extend(sent.lag.map(|lag| lag.as_secs_f64()));
        self.bytes = self.bytes.saturating_add(sent.bytes);
    }

    pub(super) fn of(&self, side: Side) -> Option<&Answers> {
        self.judged.get(&side)
    }
}

impl Answers {
    /// Seconds since the moment when each request was due, of those that ended well.
    pub(super) fn good_since_due(&self) -> impl Iterator<Item = f64> {
        self.since_due.iter().zip(&self.is_good).filter(|(_, is_good)| **is_good).map(|(seconds, _)| *seconds)
    }

    fn add(&mut self, sent: &Answered, what: &str, path: &str) {
        self.requests += 1;
        if let Some(failure) = &sent.failure {
            self.failed += 1;
            let cause = format!("{what}: {failure}");
            if self.first_failure.is_none() {
                self.first_failure = Some(format!("{cause} (traceparent {})", sent.traceparent));
            }
            if let Some((_, count)) = self.causes.iter_mut().find(|(known, _)| *known == cause) {
                *count += 1;
            } else if self.causes.len() < CAUSES {
                self.causes.push((cause, 1));
            }
        }
        let since_due = sent.since_due.as_secs_f64();
        self.since_due.push(since_due);
        self.is_good.push(sent.failure.is_none());
        self.latencies.push(sent.latency.as_secs_f64());
        let path = self.paths.entry(path.to_owned()).or_default();
        *path.codes.entry(sent.code.clone()).or_default() += 1;
        path.since_due.push(since_due);
    }
}
