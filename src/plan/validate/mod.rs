//! From the keys of a checks file to a plan that needs no more checking. Every mistake is collected; a part that has one
//! is nothing, and what depends on it is not complained about.

mod http;
mod metrics;
mod policy;
mod smoke;
mod source;
mod thresholds;

use super::file::{self, File};
use super::meaning::duration;
use super::mistakes::Mistakes;
use super::written::Key;
use super::{CheckSpec, Kind, Lookup, Plan, PlanInput, Ready, Stage, code};
use crate::outcome::{Place, Severity};

/// What validation works with.
pub(super) struct Context<'a, 't> {
    pub(super) input: &'a PlanInput,
    pub(super) lookup: &'a dyn Lookup,
    pub(super) mistakes: &'a mut Mistakes<'t>,
}

/// Makes the plan. `spare` are the limits of an added check where those of `readiness` cannot be used. Nothing where there
/// are mistakes.
pub(super) fn plan(file: File, spare: file::Http, context: &mut Context<'_, '_>) -> Option<Plan> {
    let timeout = match &context.input.timeout {
        Some(written) => duration(written)
            .map_err(|message| context.mistakes.add(code::DURATION, None, format!("--timeout: {message}")))
            .ok(),
        None => file.timeout.get().map(|timeout| timeout.meant),
    };
    let headers = http::headers(file.headers, context);
    let defaults = http::defaults(file.readiness.at().map_or(spare, |at| at.value.clone()));
    let mut checks = vec![
        ready(file.ready, context),
        http::check("health", file.health, Stage::Healthy, context),
        http::check("readiness", file.readiness, Stage::SideBySide, context),
        metrics::check(file.metrics, context),
        smoke::check(file.smoke, context),
    ];
    checks.extend(http::added(file.http, &defaults, context));
    let checks: Vec<CheckSpec> = checks.into_iter().collect::<Option<_>>()?;
    if !checks.iter().any(|check| check.policy.enabled && check.policy.severity == Severity::Block) {
        let message = "no enabled check blocks, so that the gate would pass whatever the canary does; enable one with severity: block";
        context.mistakes.whole(code::CONFLICT, message);
    }
    Some(Plan { timeout: timeout?, headers: headers?, checks })
}

impl Context<'_, '_> {
    fn conflict(&mut self, place: Option<Place>, message: impl Into<String>) {
        self.mistakes.add(code::CONFLICT, place, message);
    }
}

fn ready(keys: Key<file::Ready>, context: &mut Context<'_, '_>) -> Option<CheckSpec> {
    let place = context.mistakes.source(keys.place());
    let keys = keys.get()?;
    let policy = policy::of(policy::keys!(keys, severity: Key::of(Severity::Block), retries: Key::Absent), context);
    let kind = Kind::Ready(Ready { path: keys.path.get()?.meant.0 });
    Some(CheckSpec { name: "ready".into(), policy: policy?, stage: Stage::Serves, kind, place })
}
