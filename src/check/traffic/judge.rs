//! What the traffic comes to: answers are taken one by one, live ones and recorded ones alike. Pure.

use std::collections::BTreeMap;
use std::time::Duration;

use promeval::exposition::Format;

use super::compared::Compared;
use super::drive::Sent;
use super::measured::Measured;
use super::{limits, series};
use crate::check::context::Finding;
use crate::check::metrics::{Scraped, WindowState};
use crate::outcome::{Observation, Side, Status, TrafficEnd, TrafficNow, ValueNow, worst};
use crate::plan::Traffic;

/// With more requests, what they say by now is not told: sorting them takes time in which others are due.
const FOLLOWED: usize = 20_000;

/// What was seen so far.
pub(super) struct Judge<'t> {
    traffic: &'t Traffic,
    /// The plan's requests as sentences name them.
    names: Vec<String>,
    seed: u64,
    pub(super) measured: Measured,
    compared: Option<Compared>,
    /// The series, where thresholds read them.
    series: Option<Box<WindowState>>,
    /// How many answers there were.
    pub(super) answers: usize,
    /// When the series were sampled last: milliseconds since the epoch.
    seen_at: i64,
}

impl<'t> Judge<'t> {
    /// Of traffic that began at a time, in milliseconds since the epoch.
    pub(super) fn new(traffic: &'t Traffic, names: Vec<String>, is_paired: bool, seed: u64, began: i64) -> Self {
        let series = (!traffic.judged.thresholds.is_empty())
            .then(|| Box::new(WindowState::new(traffic.judged.clone(), BTreeMap::new(), false)));
        Self {
            traffic,
            names,
            seed,
            measured: Measured::default(),
            compared: is_paired.then(|| Compared::new(traffic, seed)),
            series,
            answers: 0,
            seen_at: began,
        }
    }

    /// Takes what came of a request; true where the comparison has proven the canary to be bad.
    pub(super) fn take(&mut self, sent: Sent) -> bool {
        let seen = &sent.seen;
        let name = self.names.get(seen.request).map_or("", String::as_str);
        let path = self.traffic.requests.get(seen.request).map_or("", |planned| &planned.request.path);
        self.measured.add(seen, name, path);
        self.answers += 1;
        self.compared.as_mut().is_some_and(|compared| compared.take(sent))
    }

    pub(super) fn is_too_much(&self) -> bool {
        self.measured.bytes > self.traffic.max_bytes
    }

    /// A moment for a sample of the series: no two are of one.
    pub(super) fn moment(&self, now: i64) -> i64 {
        now.max(self.seen_at.saturating_add(1))
    }

    /// What was measured so far becomes a sample of its series, at a moment after those before.
    ///
    /// # Errors
    /// Why it cannot be kept.
    pub(super) fn sample(&mut self, at: i64) -> Result<(), String> {
        self.seen_at = at;
        let Some(series) = &mut self.series else { return Ok(()) };
        let body = series::exposition(&self.measured).into_bytes();
        series.add(Side::Canary, &Scraped { body, format: Some(Format::Prometheus), at })
    }

    /// Whether going on would tell nothing that has to be known. A comparison is looked at when the planned time is over and
    /// at the very end: each look more would be one more chance to be wrong.
    pub(super) fn proves_enough(&self, is_planned_end: bool) -> bool {
        let is_unproven = self.compared.as_ref().is_some_and(|compared| !is_planned_end || compared.is_unproven());
        !is_unproven && limits::are_proven(&self.measured, &self.traffic.limits)
    }

    /// How far it is, with what its limits and thresholds say where somebody follows them. The tests of the comparison take
    /// too long for that: requests are due meanwhile.
    pub(super) fn by_now(&self, done: Duration, of: Duration, is_followed: bool) -> TrafficNow {
        let count = |side| self.measured.of(side).map_or((0, 0), |answers| (answers.requests, answers.failed));
        let (requests, failed) = count(Side::Canary);
        let (beside, beside_failed) = count(Side::Stable);
        let pairs = self.compared.as_ref().map(Compared::pairs);
        let mut values = Vec::new();
        if is_followed && requests > 0 && requests <= FOLLOWED {
            values = limits::by_now(&self.measured, &self.traffic.limits);
            values.extend(self.compared.as_ref().and_then(Compared::by_now));
            let series = self.series.iter().flat_map(|series| series.thresholds(self.seen_at));
            values.extend(series.filter_map(|seen| ValueNow::of(&seen)));
        }
        TrafficNow { requests: requests + beside, failed: failed + beside_failed, pairs, done, of, values }
    }

    /// What it comes to. `users` says what real users got meanwhile.
    pub(super) fn finding(&self, ended: &TrafficEnd, users: Option<Observation>) -> Finding {
        let sent = self.measured.of(Side::Canary).map_or(0, |answers| answers.requests);
        let attempts = u32::try_from(sent).unwrap_or(u32::MAX);
        let stopped = match ended {
            TrafficEnd::TooMuch => {
                let most = bytesize::ByteSize(self.traffic.max_bytes);
                Some(format!(
                    "the traffic was stopped: its bodies are over {most} together (max_bytes); lower the rate or raise it"
                ))
            }
            TrafficEnd::Unkept(why) => Some(why.clone()),
            TrafficEnd::InTime { .. } | TrafficEnd::Proven { .. } => limits::lag(&self.measured, self.traffic.max_lag)
                .or_else(|| limits::crowded(&self.measured, self.traffic.max_in_flight)),
        };
        let notes = limits::notes(&self.measured, &self.traffic.limits, ended, self.seed);
        if let Some(why) = stopped {
            // Nothing is judged by numbers that are not the service's.
            return Finding::new(Status::Error, attempts, why).seeing(notes);
        }
        let mut observations = limits::observations(&self.measured, &self.traffic.limits);
        if let Some(compared) = &self.compared {
            let compared = compared.observations(&self.names, self.traffic);
            // What ended it is told first: the limits had no time to be proven.
            let at = if matches!(ended, TrafficEnd::Proven { .. }) { 0 } else { observations.len() };
            observations.splice(at..at, compared);
        }
        observations.extend(users);
        if let Some(series) = &self.series {
            observations.extend(series.thresholds(self.seen_at));
        }
        if observations.is_empty() {
            let why = "nothing was judged: there is no limit, no threshold, and no stable revision to compare with";
            return Finding::new(Status::Error, attempts, why).seeing(notes);
        }
        observations.extend(notes);
        let (status, detail) = worst(&observations).unwrap_or_else(|| (Status::Pass, limits::held(&observations)));
        Finding::new(status, attempts, detail).seeing(observations)
    }
}
