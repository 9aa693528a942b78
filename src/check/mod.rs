//! The checks, and the order in which they run: ready, health, then the others side by side, all under one deadline.

mod alerts;
mod expect;
mod health;
mod ledger;
mod metrics;
mod page;
mod prometheus_api;
mod ready;
mod scrape;
mod smoke;
mod thresholds;
mod watch;

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::Instant;

pub use ledger::Ledger;
pub use scrape::scrape_once;

use crate::outcome::{Observation, Status};
use crate::plan::{Bounds, Plan};
use crate::probe::{Probe, shown};

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
    probe: &'r Probe,
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

/// What is kept back of the global limit for the summary and the reports.
fn reserve(timeout: Duration) -> Duration {
    (timeout / 10).min(Duration::from_secs(1))
}

/// Runs the plan. What was found stands in the ledger, also if this future is dropped before its end.
pub async fn run(plan: &Plan, probe: &Probe, ledger: &Ledger) {
    let runner =
        Runner { plan, probe, ledger, deadline: Instant::now() + plan.timeout.saturating_sub(reserve(plan.timeout)) };
    if !runner.run("ready", &plan.ready.bounds, async |context| ready::check(&context, &plan.ready).await).await {
        return runner.skip_rest("ready");
    }
    if !runner.run("health", &plan.health.bounds, async |context| health::check(&context, &plan.health).await).await {
        return runner.skip_rest("health");
    }
    let readiness =
        runner.run("readiness", &plan.readiness.bounds, async |context| health::check(&context, &plan.readiness).await);
    let metrics =
        runner.run("metrics", &plan.metrics.bounds, async |context| metrics::check(&context, &plan.metrics).await);
    let smoke = runner.run("smoke", &plan.smoke.bounds, async |context| smoke::check(&context, &plan.smoke).await);
    let mut side_by_side: Vec<Pin<Box<dyn Future<Output = bool>>>> =
        vec![Box::pin(readiness), Box::pin(metrics), Box::pin(smoke)];
    for check in &plan.http {
        side_by_side.push(Box::pin(
            runner.run(&check.name, &check.bounds, async |context| health::check(&context, check).await),
        ));
    }
    join_all(side_by_side).await;
}

struct Runner<'r> {
    plan: &'r Plan,
    probe: &'r Probe,
    ledger: &'r Ledger,
    deadline: Instant,
}

impl<'r> Runner<'r> {
    /// Runs one check and writes its outcome down; false where it failed and blocks.
    async fn run(&self, name: &'r str, bounds: &'r Bounds, check: impl AsyncFnOnce(Context<'r>) -> Finding) -> bool {
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
            check(Context { probe: self.probe, ledger: self.ledger, name, deadline }).await
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
        self.ledger.end(name, finding);
        !(failed && bounds.blocking)
    }

    fn skip_rest(&self, failed: &str) {
        self.ledger.skip_waiting(&format!("not run, because {failed} failed"));
    }
}
