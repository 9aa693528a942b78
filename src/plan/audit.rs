//! What `canary-gate audit` holds a deployment to: the rows of its checklist and their limits.

use std::time::Duration;

use serde::Deserialize;

use crate::outcome::{Severity, Source, Status};

/// The checklist.
#[derive(Clone, Debug)]
pub(crate) struct Audit {
    /// Of logs and values, from when the revision took the traffic.
    pub(crate) span: Duration,
    /// How long after the span its values can be asked for.
    pub(crate) lag: Duration,
    /// How many requests of the span there must be for the values to say anything.
    pub(crate) min_requests: u32,
    pub(crate) traffic: AuditRow,
    pub(crate) pin: AuditRow,
    pub(crate) tags: AuditRow,
    /// Tags that may point to any revision.
    pub(crate) kept_tags: Vec<String>,
    pub(crate) services: AuditRow,
    pub(crate) revisions: AuditRow,
    pub(crate) max_revisions: usize,
    pub(crate) health: AuditRow,
    pub(crate) metrics: AuditRow,
    /// The families that must be exposed.
    pub(crate) families: Vec<String>,
    /// The counters that must grow, each of them; none: any counter of the families.
    pub(crate) moving: Vec<String>,
    /// From one scrape to the other.
    pub(crate) interval: Duration,
    pub(crate) logs: AuditRow,
    pub(crate) new_errors: AuditRow,
    pub(crate) errors: AuditRow,
    /// A share.
    pub(crate) errors_limit: f64,
    pub(crate) latency: AuditRow,
    pub(crate) latency_limit: Duration,
    pub(crate) memory: AuditRow,
    /// A share.
    pub(crate) memory_limit: f64,
    pub(crate) cold_start: AuditRow,
    pub(crate) cold_start_limit: Duration,
    pub(crate) startup_probe: AuditRow,
    pub(crate) record: AuditRow,
}

/// What every row of the checklist has.
#[derive(Clone, Debug)]
pub(crate) struct AuditRow {
    /// As the reports name it.
    pub(crate) name: &'static str,
    /// Off: the row is skipped.
    pub(crate) enabled: bool,
    pub(crate) severity: Severity,
    pub(crate) on_no_data: OnNothing,
    /// Where the checks file speaks of it.
    pub(crate) place: Option<Source>,
}

/// What a row comes to that has nothing to be seen: too little traffic, no start, no entry. What could not be looked at is no
/// verdict, whatever the plan says.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub(crate) enum OnNothing {
    /// No verdict: exit code 3.
    Error,
    /// A warning.
    Warn,
    /// As if it had been good; the row says that it was not seen.
    Pass,
}

impl OnNothing {
    /// What it does to the row.
    pub(crate) fn status(self) -> Status {
        match self {
            Self::Error => Status::Error,
            Self::Warn => Status::Warn,
            Self::Pass => Status::Pass,
        }
    }
}

impl Audit {
    /// The rows in the order of the reports.
    pub(crate) fn rows(&self) -> [&AuditRow; 15] {
        [
            &self.traffic,
            &self.pin,
            &self.tags,
            &self.services,
            &self.revisions,
            &self.startup_probe,
            &self.health,
            &self.metrics,
            &self.logs,
            &self.new_errors,
            &self.errors,
            &self.latency,
            &self.memory,
            &self.cold_start,
            &self.record,
        ]
    }
}
