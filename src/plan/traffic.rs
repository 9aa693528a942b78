//! What the traffic check asks for, and what must hold of the answers.

use std::sync::Arc;
use std::time::Duration;

use promeval::promql::Expr;

use super::{Baseline, Expect, Metrics, OnNoData};
use crate::http::Request;

/// Requests of the gate's own, on an open schedule, to the canary and to the stable revision beside it.
#[derive(Clone, Debug)]
pub(crate) struct Traffic {
    /// At least one.
    pub(crate) requests: Vec<TrafficRequest>,
    /// Requests a second, both revisions together.
    pub(crate) rate: f64,
    pub(crate) duration: Duration,
    pub(crate) warm_up: Duration,
    /// Both revisions together.
    pub(crate) max_in_flight: usize,
    /// How far the gate itself may be behind the schedule, in 99 of 100 requests.
    pub(crate) max_lag: Duration,
    /// Of all bodies together.
    pub(crate) max_bytes: u64,
    pub(crate) compare: Compare,
    /// How much slower the canary must be, in time, for the comparison to fail it: less matters to nobody.
    pub(crate) min_difference: Duration,
    /// The counters of real users' traffic.
    pub(crate) counters: Option<TrafficCounters>,
    pub(crate) limits: TrafficLimits,
    /// The thresholds over what was measured, as the metrics of a scrape are judged.
    pub(crate) judged: Arc<Metrics>,
    pub(crate) on_unproven: OnNoData,
    /// Of the order of requests; of the rollout where there is none.
    pub(crate) seed: Option<u64>,
}

impl Traffic {
    /// The longest time that it goes on where nothing is proven yet.
    pub(crate) fn extension(&self) -> Duration {
        extension(self.duration)
    }
}

/// As long again, two minutes at most.
pub(super) fn extension(duration: Duration) -> Duration {
    duration.min(Duration::from_mins(2))
}

/// Whether the stable revision is asked too.
#[derive(Clone, Debug)]
pub(crate) enum Compare {
    /// Never.
    Off,
    /// Where its own address is known.
    Auto(Option<Baseline>),
    /// Without it there is no verdict.
    On(Option<Baseline>),
}

/// One request of the traffic.
#[derive(Clone, Debug)]
pub(crate) struct TrafficRequest {
    pub(crate) request: Request,
    /// Greater than 0.
    pub(crate) weight: f64,
    /// Any status below 400 where there is nothing.
    pub(crate) expect: Option<Expect>,
}

/// Where both revisions count what real users got.
#[derive(Clone, Debug)]
pub(crate) struct TrafficCounters {
    /// The scrape.
    pub(crate) request: Request,
    /// How many requests there were so far, and how many of them failed.
    pub(crate) requests: Expr,
    pub(crate) errors: Expr,
}

/// What the canary must keep by itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TrafficLimits {
    /// The share of requests that may fail.
    pub(crate) errors: Option<f64>,
    pub(crate) p95: Option<Duration>,
    pub(crate) first_answer: Option<Duration>,
}
