//! The keys of `audit`.

use std::time::Duration;

use serde::Deserialize;

use crate::outcome::Severity;
use crate::plan::OnNothing;
use crate::plan::written::{Key, List, Meant};

/// The keys of `audit`: the checklist of `canary-gate audit`, row by row.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, expecting = "a mapping such as {span: 5m}")]
pub(in crate::plan) struct Audit {
    /// The span of logs and values that is looked at, from when the revision took the traffic.
    pub(in crate::plan) span: Key<Meant<Duration>>,
    /// How long after the span its values are asked for: Cloud Monitoring shows them minutes late.
    pub(in crate::plan) lag: Key<Meant<Duration>>,
    /// How many requests of the span the rows errors, latency and memory want to have been served: with fewer there is no data.
    pub(in crate::plan) min_requests: Key<u32>,
    /// All traffic is on one revision, which is the release's.
    pub(in crate::plan) traffic: Key<Row>,
    /// The traffic follows the newest revision, or Cloud Deploy moves it.
    pub(in crate::plan) pin: Key<Row>,
    /// No tag points to a revision that does not serve, but for those that Cloud Deploy sets.
    pub(in crate::plan) tags: Key<Tags>,
    /// No other region has a service of this name.
    pub(in crate::plan) services: Key<Row>,
    /// Few revisions are kept.
    pub(in crate::plan) revisions: Key<Revisions>,
    /// The gate's own health check passes on the service's address.
    pub(in crate::plan) health: Key<Row>,
    /// The families are exposed, their counters move, and the histograms are well formed.
    pub(in crate::plan) metrics: Key<Exposed>,
    /// The revision logged no error in the span.
    pub(in crate::plan) logs: Key<Row>,
    /// No kind of error is new: one that the revision before did not log in a span of the same length.
    pub(in crate::plan) new_errors: Key<Row>,
    /// The share of answers of class 5xx.
    pub(in crate::plan) errors: Key<Ratio>,
    /// The 95th percentile of the latency.
    pub(in crate::plan) latency: Key<Time>,
    /// The 95th percentile of the instances' memory, as a share of their limit.
    pub(in crate::plan) memory: Key<Ratio>,
    /// The 95th percentile of the time that instances took to start.
    pub(in crate::plan) cold_start: Key<Time>,
    /// The startup probe asks the application, and not only for its port.
    pub(in crate::plan) startup_probe: Key<Row>,
    /// A record of the deployment is in the folder of --records.
    pub(in crate::plan) record: Key<Row>,
}

/// The keys that every row has.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, expecting = "a mapping such as {severity: warn}")]
pub(in crate::plan) struct Row {
    /// Off: the row is skipped.
    pub(in crate::plan) enabled: Key<bool>,
    /// Whether a failure fails the audit.
    pub(in crate::plan) severity: Key<Severity>,
    /// What it comes to that there is nothing to be seen: too little traffic, no start, no entry. What could not be looked at is
    /// never good.
    pub(in crate::plan) on_no_data: Key<OnNothing>,
}

/// The keys of `audit.tags`.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, expecting = "a mapping such as {keep: [preview]}")]
pub(in crate::plan) struct Tags {
    /// Off: the row is skipped.
    pub(in crate::plan) enabled: Key<bool>,
    /// Whether a failure fails the audit.
    pub(in crate::plan) severity: Key<Severity>,
    /// What it comes to that there is nothing to be seen: too little traffic, no start, no entry. What could not be looked at is
    /// never good.
    pub(in crate::plan) on_no_data: Key<OnNothing>,
    /// Tags that may point to any revision, besides those that the pipeline sets.
    pub(in crate::plan) keep: Key<List<String>>,
}

/// The keys of `audit.revisions`.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, expecting = "a mapping such as {max: 3}")]
pub(in crate::plan) struct Revisions {
    /// Off: the row is skipped.
    pub(in crate::plan) enabled: Key<bool>,
    /// Whether a failure fails the audit.
    pub(in crate::plan) severity: Key<Severity>,
    /// What it comes to that there is nothing to be seen: too little traffic, no start, no entry. What could not be looked at is
    /// never good.
    pub(in crate::plan) on_no_data: Key<OnNothing>,
    /// How many revisions may be kept.
    pub(in crate::plan) max: Key<u32>,
}

/// The keys of `audit.metrics`. Path, headers and limits are those of metrics.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, expecting = "a mapping such as {families: [requests_total]}")]
pub(in crate::plan) struct Exposed {
    /// Off: the row is skipped.
    pub(in crate::plan) enabled: Key<bool>,
    /// Whether a failure fails the audit.
    pub(in crate::plan) severity: Key<Severity>,
    /// What it comes to that there is nothing to be seen: too little traffic, no start, no entry. What could not be looked at is
    /// never good.
    pub(in crate::plan) on_no_data: Key<OnNothing>,
    /// The families that must be exposed; those of metrics.require where it is null.
    pub(in crate::plan) families: Key<Option<List<String>>>,
    /// Counters that must grow from one scrape to the other, each of them; where there are none, any counter of the families.
    pub(in crate::plan) moving: Key<List<String>>,
    /// The time between the two scrapes.
    pub(in crate::plan) interval: Key<Meant<Duration>>,
}

/// The keys of a row with a share as its limit.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, expecting = "a mapping such as {limit: 0.01}")]
pub(in crate::plan) struct Ratio {
    /// Off: the row is skipped.
    pub(in crate::plan) enabled: Key<bool>,
    /// Whether a failure fails the audit.
    pub(in crate::plan) severity: Key<Severity>,
    /// What it comes to that there is nothing to be seen: too little traffic, no start, no entry. What could not be looked at is
    /// never good.
    pub(in crate::plan) on_no_data: Key<OnNothing>,
    /// The largest share that passes, from 0 to 1.
    pub(in crate::plan) limit: Key<f64>,
}

/// The keys of a row with a time as its limit.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, expecting = "a mapping such as {limit: 2s}")]
pub(in crate::plan) struct Time {
    /// Off: the row is skipped.
    pub(in crate::plan) enabled: Key<bool>,
    /// Whether a failure fails the audit.
    pub(in crate::plan) severity: Key<Severity>,
    /// What it comes to that there is nothing to be seen: too little traffic, no start, no entry. What could not be looked at is
    /// never good.
    pub(in crate::plan) on_no_data: Key<OnNothing>,
    /// The longest time that passes.
    pub(in crate::plan) limit: Key<Meant<Duration>>,
}
