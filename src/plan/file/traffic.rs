//! The keys of `traffic`.

use std::time::Duration;

use serde::Deserialize;

use super::{Expect, Threshold};
use crate::outcome::Severity;
use crate::plan::meaning::{Method, Path, Rate, Size};
use crate::plan::written::{Item, Key, List, Map, Meant, Must};
use crate::plan::{Baseline, OnNoData};

/// The keys of `traffic`.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, expecting = "a mapping such as {rate: 10/s, duration: 2m}")]
pub(in crate::plan) struct Traffic {
    /// Off: the check is skipped.
    pub(in crate::plan) enabled: Key<bool>,
    /// Whether a failure blocks.
    pub(in crate::plan) severity: Key<Severity>,
    /// What is asked for, each as often as its weight says.
    pub(in crate::plan) requests: Key<List<TrafficRequest>>,
    /// Requests a second, both revisions together, on an open schedule: 10/s, 90/m.
    pub(in crate::plan) rate: Key<Meant<Rate>>,
    /// How long the traffic is measured. Where it has not proven what it should by then, it goes on for as long again, two
    /// minutes at most.
    pub(in crate::plan) duration: Key<Meant<Duration>>,
    /// Traffic before that, which is not judged: connections are made, code and caches get warm. Its first answer is the cold start.
    pub(in crate::plan) warm_up: Key<Option<Meant<Duration>>>,
    /// How many requests run at once, both revisions together.
    pub(in crate::plan) max_in_flight: Key<u32>,
    /// How far the gate itself may be behind its schedule, in 99 of 100 requests: beyond it there is no data.
    pub(in crate::plan) max_lag: Key<Meant<Duration>>,
    /// How many bytes of bodies are read in all.
    pub(in crate::plan) max_bytes: Key<Meant<Size>>,
    /// Whether the stable revision is asked the same at the same time: where its own address is known, always, or never.
    pub(in crate::plan) compare: Key<Compare>,
    /// The stable revision's address or tag. Where it is null, that of metrics, and then the tags prior and stable.
    pub(in crate::plan) baseline: Key<Option<Meant<Baseline>>>,
    /// What the canary must keep, whatever the stable revision does.
    pub(in crate::plan) limits: Key<Limits>,
    /// How much slower the canary must be, in time, for the comparison to fail it: two instances of the same code differ by some
    /// milliseconds, which are a large share of a quick answer.
    pub(in crate::plan) min_difference: Key<Meant<Duration>>,
    /// Counters of real users' requests, which both revisions expose: their errors are held against the share of the traffic.
    pub(in crate::plan) counters: Key<Option<Counters>>,
    /// PromQL comparisons over what was measured.
    pub(in crate::plan) thresholds: Key<List<Threshold>>,
    /// What it does that the comparison could neither prove the canary good nor bad.
    pub(in crate::plan) on_unproven: Key<OnNoData>,
    /// Makes the order of requests the same again; of the rollout where it is null.
    pub(in crate::plan) seed: Key<Option<u32>>,
    /// The limit for one request.
    pub(in crate::plan) request_timeout: Key<Meant<Duration>>,
    /// The largest body, decompressed.
    pub(in crate::plan) max_body: Key<Meant<Size>>,
}

/// Whether the stable revision is asked too.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub(in crate::plan) enum Compare {
    /// Where its own address is known.
    Auto,
    /// It must be known.
    On,
    /// The canary alone is asked.
    Off,
}

/// A request of the traffic.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, expecting = "a mapping such as {path: /api/items, weight: 3}")]
pub(in crate::plan) struct TrafficRequest {
    /// The path that is asked for, with its query.
    pub(in crate::plan) path: Must<Meant<Path>>,
    /// GET where it is left out.
    pub(in crate::plan) method: Key<Meant<Method>>,
    /// How often, beside the weights of the others; 1 where it is left out.
    pub(in crate::plan) weight: Key<f64>,
    /// Sent with the request; secrets as "env:NAME" or "<file:/path>".
    pub(in crate::plan) headers: Key<Map<String>>,
    /// Sent with the request.
    pub(in crate::plan) body: Key<String>,
    /// That the request may be sent many times to both revisions, though its method may change something.
    pub(in crate::plan) repeatable: Key<bool>,
    /// What the answer must be; any status below 400 where it is left out.
    pub(in crate::plan) expect: Key<Expect>,
}

/// Where both revisions count what real users got.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(
    deny_unknown_fields,
    expecting = "a mapping such as {path: /metrics, requests: sum(a_total), errors: sum(b_total)}"
)]
pub(in crate::plan) struct Counters {
    /// The path that is scraped.
    pub(in crate::plan) path: Must<Meant<Path>>,
    /// PromQL: how many requests there were so far.
    pub(in crate::plan) requests: Must<String>,
    /// PromQL: how many of them failed.
    pub(in crate::plan) errors: Must<String>,
}

/// What the canary must keep by itself.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, expecting = "a mapping such as {errors: 0.01, p95: 2s}")]
pub(in crate::plan) struct Limits {
    /// The share of requests that may fail; proven with 95 % confidence, or there is no data.
    pub(in crate::plan) errors: Key<Option<f64>>,
    /// The latency that 95 % of the requests must keep, from the moment at which they were due.
    pub(in crate::plan) p95: Key<Option<Meant<Duration>>>,
    /// How long the very first answer may take: the cold start.
    pub(in crate::plan) first_answer: Key<Option<Meant<Duration>>>,
}

impl Item for TrafficRequest {
    const EXAMPLE: &str = "[{path: /api/items, weight: 3}]";
    const ALONE: bool = false;
}
