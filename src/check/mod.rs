//! The checks, and the order in which they run: ready, health, then the others side by side, all under one deadline.

mod alerts;
mod expect;
mod health;
mod identity;
mod ledger;
mod metrics;
mod page;
mod prometheus_api;
mod ready;
mod scrape;
mod skew;
mod smoke;
mod thresholds;
mod watch;

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::Instant;

pub use ledger::Ledger;
pub use scrape::{now, scrape_once};

use crate::outcome::{Observation, Status};
use crate::plan::{Bounds, Plan};
use crate::probe::{Probe, shown};
use crate::target::{CloudRun, Target};

/// What a check found.
#[derive(Clone, Debug)]
pub(crate) struct Finding {
    status: Status,
    detail: String,
    attempts: u32,
    observations: Vec<Observation>,
}

impl Finding {
    fn new(status: Status, attempts: u32, detail: impl Into<String>) -> Self {
        Self { status, detail: detail.into(), attempts, observations: Vec::new() }
    }

    fn seeing(mut self, observations: Vec<Observation>) -> Self {
        self.observations = observations;
        self
    }
}

/// What a check works with.
#[derive(Clone, Copy)]
pub(crate) struct Context<'r> {
    ledger: &'r Ledger,
    /// The check's name.
    name: &'r str,
    /// When the check's time is up.
    deadline: Instant,
}

impl Context<'_> {
    /// Notes an attempt that is going to be repeated.
    fn note(&self, attempt: u32, cause: &str) {
        self.ledger.attempted(self.name, attempt, cause);
    }
}

/// How the gate comes to the canary.
#[expect(clippy::large_enum_variant, reason = "there is one in a process")]
pub enum Approach {
    /// By an address that was given.
    Direct(Probe),
    /// By what the Cloud Run Admin API says of a deployment.
    CloudRun {
        /// The deployment and its API.
        cloud: CloudRun,
        /// Makes a probe for an address and the audience of its tokens.
        probe: Box<dyn Fn(Target, Option<String>) -> Result<Probe, String>>,
    },
}

/// What is kept back of the global limit for the summary and the reports.
fn reserve(timeout: Duration) -> Duration {
    (timeout / 10).min(Duration::from_secs(1))
}

/// Runs the plan. What was found stands in the ledger, also if this future is dropped before its end.
pub async fn run(plan: &Plan, approach: &Approach, ledger: &Ledger) {
    let runner = Runner { plan, ledger, deadline: Instant::now() + plan.timeout.saturating_sub(reserve(plan.timeout)) };
    let mut found = None;
    let ready = async |context: Context<'_>| {
        let (finding, place) = identity::ready(&context, approach, &plan.ready).await;
        found = place;
        finding
    };
    // Where the address has to be found out, that is part of being ready, and cannot be switched off.
    let bounds = Bounds {
        enabled: plan.ready.bounds.enabled || matches!(approach, Approach::CloudRun { .. }),
        ..plan.ready.bounds.clone()
    };
    let passed = runner.run("ready", &bounds, ready).await;
    let direct = match approach {
        Approach::Direct(probe) => Some(identity::Found { probe: probe.clone(), neighbour: None, others: Vec::new() }),
        Approach::CloudRun { .. } => None,
    };
    let Some(found) = found.or(direct).filter(|_| passed) else { return runner.skip_rest("ready") };
    let (probe, neighbour) = (&found.probe, found.neighbour.as_ref());
    if !runner
        .run("health", &plan.health.bounds, async |context| health::check(&context, probe, &plan.health).await)
        .await
    {
        return runner.skip_rest("health");
    }
    let readiness = runner.run("readiness", &plan.readiness.bounds, async |context| {
        health::check(&context, probe, &plan.readiness).await
    });
    let metrics = runner.run("metrics", &plan.metrics.bounds, async |context| {
        metrics::check(&context, probe, &found.others, &plan.metrics).await
    });
    let smoke = runner
        .run("smoke", &plan.smoke.bounds, async |context| smoke::check(&context, probe, neighbour, &plan.smoke).await);
    let mut side_by_side: Vec<Pin<Box<dyn Future<Output = bool>>>> =
        vec![Box::pin(readiness), Box::pin(metrics), Box::pin(smoke)];
    for check in &plan.http {
        side_by_side.push(Box::pin(
            runner.run(&check.name, &check.bounds, async |context| health::check(&context, probe, check).await),
        ));
    }
    join_all(side_by_side).await;
    identity::recheck(approach, &plan.ready, ledger, runner.deadline).await;
}

struct Runner<'r> {
    plan: &'r Plan,
    ledger: &'r Ledger,
    deadline: Instant,
}

impl<'r> Runner<'r> {
    /// Runs one check and writes its outcome down; false where it blocks and did not pass.
    async fn run(&self, name: &'r str, bounds: &Bounds, check: impl AsyncFnOnce(Context<'r>) -> Finding) -> bool {
        if !bounds.enabled {
            self.ledger.skip(name, "switched off in the checks file");
            return true;
        }
        self.ledger.start(name);
        let own = Instant::now() + bounds.limit;
        let deadline = own.min(self.deadline);
        let mut finding = if self.deadline <= Instant::now() {
            Finding::new(Status::Fail, 0, "not tried")
        } else {
            check(Context { ledger: self.ledger, name, deadline }).await
        };
        let failed = finding.status == Status::Fail;
        if failed && self.deadline < own && self.deadline <= Instant::now() + Duration::from_millis(100) {
            finding
                .detail
                .push_str(&format!("; the limit of {} for the whole run was used up", shown(self.plan.timeout)));
        }
        if failed && !bounds.blocking {
            finding.status = Status::Warn;
        }
        let passed = !matches!(finding.status, Status::Fail | Status::Error);
        self.ledger.end(name, finding);
        passed
    }

    fn skip_rest(&self, failed: &str) {
        self.ledger.skip_waiting(&format!("not run, because {failed} did not pass"));
    }
}
