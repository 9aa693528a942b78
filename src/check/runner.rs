//! Runs the checks of a plan: stage by stage, those of one stage side by side, all under one deadline.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use futures_util::future::{join, join_all};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::context::{Context, Finding};
use super::locate::{Canary, Route, locate, prove_again};
use super::{Ledger, http, identity, metrics, ready, reproduce, smoke, traffic};
use crate::google::ServiceFacts;
use crate::http::{Credentials, watch_standstills};
use crate::outcome::{CheckId, Event, Observer, Status, bounds, effect};
use crate::plan::{CheckSpec, Identity, Kind, Plan, Stage, ToldBy, reserve};
use crate::text;

/// For so long, what was seen to be well counts as well.
const MOMENT: Duration = Duration::from_secs(1);

/// Several observers as one; they hear in their order.
pub(crate) struct Everyone<'o>(pub(crate) Vec<&'o dyn Observer>);

impl Observer for Everyone<'_> {
    fn hear(&self, event: &Event) {
        for observer in &self.0 {
            observer.hear(event);
        }
    }

    fn follows(&self) -> bool {
        self.0.iter().any(|observer| observer.follows())
    }

    fn records(&self) -> bool {
        self.0.iter().any(|observer| observer.records())
    }
}

/// Hears nothing: attempts that are made once more are not those of the check.
struct Silence;

impl Observer for Silence {
    fn hear(&self, _: &Event) {}
}

/// Runs the plan, in its time from `began` on. `observer` hears what happens, and so does the ledger through it: what was found stands
/// there also if this future is dropped before its end. `courses` says whether somebody wants to see how thresholds went over a window.
pub(crate) async fn run(
    plan: &Plan,
    route: &Route,
    access: &Rc<dyn Credentials>,
    ledger: &Ledger,
    observer: &dyn Observer,
    began: Instant,
    courses: bool,
) {
    let deadline = began + plan.timeout.saturating_sub(reserve(plan.timeout));
    let runner = Runner { plan, access, ledger, observer, courses, deadline };
    let running = Box::pin(runner.run(route));
    tokio::select! {
        biased;
        // It has to look before anything begins.
        never = watch_standstills(deadline) => match never {},
        () = running => {}
    }
}

struct Runner<'r> {
    plan: &'r Plan,
    access: &'r Rc<dyn Credentials>,
    ledger: &'r Ledger,
    observer: &'r dyn Observer,
    courses: bool,
    deadline: Instant,
}

/// A check that has started.
struct Running<'r> {
    spec: &'r CheckSpec,
    context: Context<'r>,
    /// How long it may take: its own time, in what is left of the run.
    limit: Duration,
}

/// How many checks of a stage go on.
struct Waiting {
    going: Cell<usize>,
    ended: Notify,
}

impl Waiting {
    fn for_all_of<'r>(checks: impl Iterator<Item = (CheckId, &'r CheckSpec)>) -> Self {
        Self { going: Cell::new(checks.filter(|(_, spec)| spec.policy.enabled).count()), ended: Notify::new() }
    }

    async fn counted(&self, spec: &CheckSpec, check: impl Future<Output = bool>) -> bool {
        let passed = check.await;
        self.going.set(self.going.get().saturating_sub(usize::from(spec.policy.enabled)));
        self.ended.notify_one();
        passed
    }

    /// Waits until one check alone goes on; false where none was waited for.
    async fn last_one(&self) -> bool {
        let several = self.going.get() > 1;
        while self.going.get() > 1 {
            self.ended.notified().await;
        }
        several
    }
}

impl<'r> Runner<'r> {
    async fn run(&self, route: &Route) {
        let Some((id, spec)) = self.checks(Stage::Serves).next() else { return };
        self.open_connections(route, spec);
        let Some(canary) = Box::pin(self.reach(id, spec, route)).await else { return self.skip_waiting(&spec.name) };
        let well_since = Instant::now();
        let is_fresh = || well_since.elapsed() < MOMENT;
        let mut proven = None;
        for stage in [Stage::Healthy, Stage::SideBySide, Stage::Measured] {
            let waiting = Waiting::for_all_of(self.checks(stage));
            let checks = self.checks(stage).map(|(id, spec)| waiting.counted(spec, self.check(id, spec, &canary)));
            let last_look = async {
                // What is measured afterwards takes longer than a look counts.
                let is_last =
                    stage == Stage::SideBySide && !self.checks(Stage::Measured).any(|(_, spec)| spec.policy.enabled);
                if !is_last || !waiting.last_one().await || !is_fresh() {
                    return None;
                }
                Some(prove_again(route, &canary, spec.policy.retry, self.patience(spec)).await)
            };
            let (ended, looked) = join(join_all(checks), last_look).await;
            proven = proven.or(looked);
            if stage == Stage::SideBySide {
                canary.client.close_unneeded();
            }
            let failed = self.checks(stage).zip(ended).find(|(_, passed)| !passed);
            if let Some(((_, failed), _)) = failed {
                self.skip_waiting(&failed.name);
                if stage == Stage::Healthy {
                    return;
                }
                break;
            }
        }
        // What was seen to be well a moment ago is not asked again: that would be a round trip for nothing.
        let is_old = !is_fresh();
        let healthy = self.checks(Stage::Healthy).filter(|_| is_old);
        let proof = async {
            match proven {
                Some(looked) if looked.is_err() || !is_old => looked,
                _ => prove_again(route, &canary, spec.policy.retry, self.patience(spec)).await,
            }
        };
        let again = join_all(healthy.map(|(id, spec)| self.ask_again(id, spec, &canary)));
        let (mut proven, _) = join(proof, again).await;
        if proven.is_ok() {
            proven = self.answers_again(id, spec, &canary).await;
        }
        if let Err((status, why)) = proven {
            self.observer.hear(&Event::Overturned { check: id, status, why });
        }
    }

    /// When the last look has to be done: it has the patience of the first one.
    fn patience(&self, spec: &CheckSpec) -> Instant {
        self.deadline.min(Instant::now() + spec.policy.limit)
    }

    /// Opens the connections that the checks will need while earlier answers are awaited: to an address that is located yet, the one
    /// that the environment implies, and those of the checks that run side by side.
    fn open_connections(&self, route: &Route, first: &CheckSpec) {
        let client = match route {
            Route::Direct(client) | Route::Answers(client, _) => client.clone(),
            Route::CloudRun { cloud, given, client, .. } => {
                let implied = given.clone().or_else(|| cloud.deployment.built_address());
                let Some(Ok(client)) = implied.map(|address| client(address, &ServiceFacts::default())) else { return };
                client.open(first.policy.request.time);
                client
            }
        };
        let side_by_side = self.checks(Stage::SideBySide).filter(|(_, spec)| spec.policy.enabled);
        let requests: usize = side_by_side.map(|(_, spec)| requests_at_once(&spec.kind)).sum();
        client.open_more(requests.saturating_sub(1), first.policy.limit);
    }

    /// Where answers tell their revision, asks for it once more before the verdict.
    async fn answers_again(&self, id: CheckId, spec: &'r CheckSpec, canary: &Canary) -> Result<(), (Status, String)> {
        let (Some(identity), Some((_, revision))) = (identity_of(spec), &canary.deployed) else { return Ok(()) };
        let context = self.last_look(id, spec);
        let proven = identity::prove(&context, canary, revision, identity).await;
        proven.map(drop).map_err(|identity::Unproven { error, is_another }| {
            if is_another {
                (error.status(), format!("the rollout changed under the gate: {}", error.cause()))
            } else {
                let why = "the identity could not be proven once more before the verdict";
                (Status::Error, format!("{why}: {}", error.cause()))
            }
        })
    }

    /// Asks once more, before the verdict, what was well at first: the rest may have taken minutes.
    async fn ask_again(&self, id: CheckId, spec: &'r CheckSpec, canary: &Canary) {
        let Kind::Http(check) = &spec.kind else { return };
        if !spec.policy.enabled || !self.ledger.passed(id) {
            return;
        }
        if let Err(late) = self.in_time() {
            let why =
                format!("it was well at first, and could not be asked once more before the verdict: {}", late.detail);
            let status = effect(Status::Error, spec.policy.severity);
            return self.observer.hear(&Event::Overturned { check: id, status, why });
        }
        let context = self.last_look(id, spec);
        let finding = http::check(&context, &canary.client, check).await;
        if finding.status != Status::Pass {
            let how = match finding.status {
                Status::Error => "could not be asked once more before the verdict",
                _ => "is not at the end",
            };
            let why = format!("it was well at first, and {how}: {}", finding.detail);
            let status = effect(finding.status, spec.policy.severity);
            self.observer.hear(&Event::Overturned { check: id, status, why });
        }
    }

    /// What a check is asked once more with: its own patience, in what is left of the run.
    fn last_look(&self, id: CheckId, spec: &'r CheckSpec) -> Context<'r> {
        Context::begin((&Silence, id), &spec.policy, self.access, false, self.deadline)
    }

    fn checks(&self, stage: Stage) -> impl Iterator<Item = (CheckId, &'r CheckSpec)> {
        self.ledger.ids().zip(&self.plan.checks).filter(move |(_, spec)| spec.stage == stage)
    }

    /// Locates the canary, in the time of the check that it serves, and runs that check; nothing where it does not pass.
    async fn reach(&self, id: CheckId, spec: &'r CheckSpec, route: &Route) -> Option<Canary> {
        if let (Route::Direct(client), false) = (route, spec.policy.enabled) {
            self.switched_off(id);
            return Some(Canary::direct(client.clone()));
        }
        let running = self.start(id, spec);
        let (canary, finding) = match self.in_time() {
            Err(late) => (None, late),
            Ok(()) => match locate(&running.context, route, identity_of(spec).is_some()).await {
                Err(finding) => (None, finding),
                Ok(canary) => {
                    // Where the address has to be located, that is a part of being ready, and cannot be switched off.
                    let finding = if spec.policy.enabled {
                        self.kind(&running.context, &canary, spec).await
                    } else {
                        ready::located(&running.context, &canary, identity_of(spec)).await
                    };
                    (Some(canary), finding)
                }
            },
        };
        let passed = self.end(&running, finding);
        canary.filter(|_| passed)
    }

    /// Runs one check; false where it blocks and did not pass.
    async fn check(&self, id: CheckId, spec: &'r CheckSpec, canary: &Canary) -> bool {
        if !spec.policy.enabled {
            self.switched_off(id);
            return true;
        }
        let running = self.start(id, spec);
        let finding = match self.in_time() {
            Ok(()) => self.kind(&running.context, canary, spec).await,
            Err(late) => late,
        };
        self.end(&running, finding)
    }

    /// What a check finds, with the commands that show it.
    async fn kind(&self, context: &Context<'_>, canary: &Canary, spec: &CheckSpec) -> Finding {
        let identity = self.plan.checks.iter().find_map(identity_of);
        let told_by = identity.map(|identity| &identity.told_by);
        let mut finding = kind(context, canary, &spec.kind, told_by).await;
        reproduce::add(&mut finding, self.plan, spec, &canary.client);
        finding
    }

    fn start(&self, id: CheckId, spec: &'r CheckSpec) -> Running<'r> {
        let limit = spec.policy.limit.min(self.deadline.saturating_duration_since(Instant::now()));
        self.observer.hear(&Event::Started { check: id, limit });
        let told = (self.observer, id);
        let context = Context::begin(told, &spec.policy, self.access, self.courses, self.deadline);
        Running { spec, context, limit }
    }

    /// A check that never starts was not seen: it is no failure of the canary, and no pass.
    fn in_time(&self) -> Result<(), Finding> {
        if Instant::now() < self.deadline {
            return Ok(());
        }
        let detail = format!("not run: {}", self.used_up());
        Err(Finding::new(Status::Error, 0, detail))
    }

    fn used_up(&self) -> String {
        format!("the limit of {} for the whole run was used up", text::duration(self.plan.timeout))
    }

    /// Tells how a check ended; false where it blocks and did not pass.
    fn end(&self, running: &Running<'_>, finding: Finding) -> bool {
        let Running { spec, context, limit } = running;
        let Finding { mut status, attempts, mut detail, mut observations } = finding;
        bounds::sentence(&mut detail);
        bounds::observations(&mut observations);
        let now = Instant::now();
        if now > context.deadline() && matches!(status, Status::Pass | Status::Warn) {
            // What came too late was not seen in time: it may not pass.
            status = if context.is_ended_by_the_run() { Status::Error } else { Status::Fail };
            detail = format!("it ended after its limit of {}: {detail}", text::duration(*limit));
        }
        let is_bad = status == Status::Fail || (status == Status::Error && attempts > 0);
        if is_bad && context.is_ended_by_the_run() && self.deadline <= now + Duration::from_millis(100) {
            detail = format!("{detail}; {}", self.used_up());
        }
        let status = effect(status, spec.policy.severity);
        self.observer.hear(&Event::Ended { check: context.check, status, attempts, detail, observations });
        !matches!(status, Status::Fail | Status::Error)
    }

    fn switched_off(&self, id: CheckId) {
        self.observer.hear(&Event::Skipped { check: id, why: "switched off in the checks file".into() });
    }

    fn skip_waiting(&self, failed: &str) {
        for check in self.ledger.waiting() {
            let why = format!("not run, because {failed} did not pass");
            self.observer.hear(&Event::Skipped { check, why });
        }
    }
}

/// How many requests a check sends at once at its start.
fn requests_at_once(kind: &Kind) -> usize {
    match kind {
        Kind::Ready(_) | Kind::Http(_) | Kind::Metrics(_) => 1,
        Kind::Smoke(smoke) => smoke.requests.len().min(smoke.concurrency),
        Kind::Traffic(_) => 0,
    }
}

/// What tells the revision of an answer, where the plan says it.
fn identity_of(spec: &CheckSpec) -> Option<&Identity> {
    match &spec.kind {
        Kind::Ready(ready) => ready.identity.as_ref(),
        Kind::Http(_) | Kind::Metrics(_) | Kind::Smoke(_) | Kind::Traffic(_) => None,
    }
}

/// What a check does, by its kind. `told_by` says what tells in an answer which revision gave it, where the plan does.
async fn kind(context: &Context<'_>, canary: &Canary, kind: &Kind, told_by: Option<&ToldBy>) -> Finding {
    match kind {
        Kind::Ready(ready) => ready::check(context, canary, ready).await,
        Kind::Http(check) => http::check(context, &canary.client, check).await,
        Kind::Metrics(metrics) => metrics::check(context, canary, metrics).await,
        Kind::Smoke(smoke) => smoke::check(context, canary, smoke).await,
        Kind::Traffic(traffic) => Box::pin(traffic::check(context, canary, traffic, told_by)).await,
    }
}
