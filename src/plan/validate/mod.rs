//! From the keys of a checks file to a plan that needs no more checking. Every mistake is collected; a part that has one
//! is nothing, and what depends on it is not complained about.

mod audit;
mod http;
mod metrics;
mod policy;
mod smoke;
mod source;
mod thresholds;
mod traffic;

use std::time::Duration;

use super::file::{self, File};
use super::meaning::duration;
use super::mistakes::Mistakes;
use super::written::{At, Key};
use super::{CheckSpec, Identity, Kind, Lookup, Plan, PlanInput, Ready, STANDARD_INPUT, Stage, ToldBy, code, reserve};
use crate::outcome::{Place, Severity};

/// The position of the metrics among the built-in checks.
const METRICS: usize = 3;

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
    let own_metrics = file
        .metrics
        .at()
        .is_some_and(|metrics| metrics.value.require.place().is_some() || metrics.value.thresholds.place().is_some());
    let baseline = file.metrics.at().map_or(Key::Absent, |metrics| metrics.value.baseline.clone());
    let defaults = http::defaults(file.readiness.at().map_or(spare, |at| at.value.clone()));
    let mut checks = vec![
        ready(file.ready, file.identity, context),
        http::check("health", file.health, Stage::Healthy, context),
        http::check("readiness", file.readiness, Stage::SideBySide, context),
        metrics::check(file.metrics, context),
        smoke::check(file.smoke, context),
        traffic::check(file.traffic, baseline, context),
    ];
    let audit = audit::audit(file.audit, checks[METRICS].as_ref(), own_metrics, context);
    checks.extend(http::added(file.http, &defaults, context));
    let mut checks: Vec<CheckSpec> = checks.into_iter().collect::<Option<_>>()?;
    // It is off unless somebody asks for it: nobody misses it then.
    checks.retain(|check| !matches!(check.kind, Kind::Traffic(_)) || check.policy.enabled);
    if !checks.iter().any(|check| check.policy.enabled && check.policy.severity == Severity::Block) {
        let message = "no enabled check blocks, so that the gate would pass whatever the canary does; enable one with severity: block";
        context.mistakes.whole(code::CONFLICT, message);
    }
    let timeout = timeout?;
    windows_fit(timeout, &checks, context);
    let file = context.input.file.as_ref().map(|(name, _)| name.clone()).filter(|name| name != STANDARD_INPUT);
    Some(Plan { timeout, file, headers: headers?, checks, audit: audit? })
}

/// What the limit of the whole run would cut cannot pass: that is said before any request.
fn windows_fit(timeout: Duration, checks: &[CheckSpec], context: &mut Context<'_, '_>) {
    let written = |duration| humantime::format_duration(duration);
    // The traffic is measured after everything else.
    let mut before = Duration::ZERO;
    for check in checks.iter().filter(|check| check.policy.enabled) {
        let (what, length) = match &check.kind {
            Kind::Metrics(metrics) => {
                let Some(window) = metrics.window else { continue };
                before = window.length;
                (format!("the window of the metrics ({})", written(window.length)), window.length)
            }
            Kind::Traffic(traffic) => {
                let (measured, more) = (traffic.warm_up + traffic.duration, traffic.extension());
                let after = if before.is_zero() {
                    String::new()
                } else {
                    format!(", after the window of the metrics ({})", written(before))
                };
                let what = format!("the traffic ({}, and up to {} more{after})", written(measured), written(more));
                (what, before + measured + more)
            }
            Kind::Ready(_) | Kind::Http(_) | Kind::Smoke(_) => continue,
        };
        if length >= timeout.saturating_sub(reserve(timeout)) {
            let message = format!(
                "{what} does not fit into the limit of the whole run ({}), of which a part is kept for the summary; raise timeout \
                 (--timeout)",
                written(timeout)
            );
            context.conflict(check.place.as_ref().map(|source| source.place), message);
        }
    }
}

fn identity(keys: At<file::Identity>, context: &mut Context<'_, '_>) -> Option<Identity> {
    let At { value: keys, place, .. } = keys;
    let told_by = match (keys.header.or_absent()?, keys.json.or_absent()?) {
        (Some(header), None) => ToldBy::Header(header),
        (None, Some(path)) => ToldBy::Json(path.meant),
        _ => {
            context.conflict(place, "identity wants exactly one of header and json");
            return None;
        }
    };
    Some(Identity { path: keys.path.0?.value.meant.0, told_by })
}

impl Context<'_, '_> {
    fn conflict(&mut self, place: Option<Place>, message: impl Into<String>) {
        self.mistakes.add(code::CONFLICT, place, message);
    }
}

fn ready(
    keys: Key<file::Ready>,
    identity: Key<Option<file::Identity>>,
    context: &mut Context<'_, '_>,
) -> Option<CheckSpec> {
    let place = context.mistakes.source(keys.place());
    let keys = keys.get()?;
    let policy = policy::of(policy::keys!(keys, severity: Key::of(Severity::Block), retries: Key::Absent), context);
    let identity = match identity.present_or_null()? {
        None => None,
        Some(identity) => Some(self::identity(identity, context)?),
    };
    let kind = Kind::Ready(Ready { path: keys.path.get()?.meant.0, identity });
    Some(CheckSpec { name: "ready".into(), policy: policy?, stage: Stage::Serves, kind, place })
}
