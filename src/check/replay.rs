//! Judges a recorded run again: by its own plan, or by the thresholds and limits of another one. Pure.

use std::sync::Arc;

use serde_json::Value;

use super::context::Finding;
use super::metrics::{conclusion, judge_again};
use super::traffic::{judge_by_another, judge_recorded};
use crate::evidence::{Bundle, Tape, TrafficLine};
use crate::outcome::{Judged, Observation, Outcome, Status, Summary, TrafficStep, bounds, effect};
use crate::plan::{CheckSpec, Kind, Metrics, Plan, Traffic};

/// A run that was judged again.
#[derive(Debug)]
pub(crate) struct Replayed {
    /// As it was recorded.
    pub(crate) recorded: Summary,
    /// As it is judged now.
    pub(crate) now: Summary,
    /// Why a check was not judged again: it stands as it was recorded.
    pub(crate) unjudged: Vec<String>,
    /// What is judged otherwise than it was recorded, although the plan is the same.
    pub(crate) differs: Vec<String>,
}

/// Judges a run by its own plan.
pub(crate) fn replay(bundle: Bundle) -> Replayed {
    let plan = own_plan(&bundle);
    let Bundle { mut tapes, shapes, summary: recorded, gate, .. } = bundle;
    let (mut now, mut unjudged, mut differs) = (recorded.clone(), Vec::new(), Vec::new());
    for (index, outcome) in now.checks.iter_mut().enumerate() {
        let kind = plan.as_ref().map_err(Clone::clone).and_then(|plan| kind_of(plan.checks.get(index), outcome));
        let name = outcome.name.clone();
        let Some(tape) = tapes.remove(&index).filter(is_judged) else {
            // It stands as it was seen; what was good by what is not here is told.
            if let (Ok(kind @ (Kind::Metrics(_) | Kind::Traffic(_))), Status::Pass | Status::Warn) =
                (kind, outcome.status)
            {
                unjudged.push(format!("{name}: {} of it were recorded", missing(kind)));
            }
            continue;
        };
        let judged = kind.and_then(|kind| match kind {
            Kind::Metrics(metrics) => judged_in_place(outcome, tape, metrics),
            Kind::Traffic(traffic) => traffic_in_place(outcome, &tape, traffic, &shapes),
            Kind::Ready(_) | Kind::Http(_) | Kind::Smoke(_) => Err(NO_SUCH_CHECK.into()),
        });
        match judged {
            Ok(judged) if !is_same(&judged, outcome) => {
                let (status, detail) = (outcome.status.word(), &outcome.detail);
                differs.push(format!("{name}: it was {status} by canary-gate {gate}: {detail}"));
                *outcome = judged;
            }
            Ok(_) => {}
            Err(why) => unjudged.push(format!("{name}: {why}")),
        }
    }
    Replayed { recorded, now, unjudged, differs }
}

/// Judges a run by the thresholds, the families and the limits of another plan; how it was scraped and what was sent stays as it
/// was.
pub(crate) fn replay_by(bundle: Bundle, plan: &Plan) -> Replayed {
    let own = own_plan(&bundle);
    let Bundle { mut tapes, shapes, summary: recorded, .. } = bundle;
    let (mut now, mut unjudged) = (recorded.clone(), Vec::new());
    for (index, outcome) in now.checks.iter_mut().enumerate() {
        let tape = tapes.remove(&index).filter(is_judged);
        let Some(spec) = plan.checks.iter().find(|spec| spec.name == outcome.name) else { continue };
        let how = own.as_ref().ok().and_then(|own| kind_of(own.checks.get(index), outcome).ok());
        match &spec.kind {
            Kind::Metrics(_) if !spec.policy.enabled => {
                (outcome.status, outcome.detail) = (Status::Skipped, "switched off in the checks file".into());
                outcome.observations.clear();
                continue;
            }
            Kind::Metrics(_) => {}
            // Off is what it is where a file says nothing of it: what it came to stands.
            Kind::Traffic(_) if spec.policy.enabled => {}
            Kind::Traffic(_) | Kind::Ready(_) | Kind::Http(_) | Kind::Smoke(_) => continue,
        }
        let Some(tape) = tape else {
            // Whatever the thresholds are, it was not well; only what was good had to be seen.
            if is_good(outcome.status) && !was_stopped(&recorded, outcome) {
                unjudged.push(format!("{}: {} of it were recorded", outcome.name, missing(&spec.kind)));
            }
            continue;
        };
        let judged = match (&spec.kind, how) {
            (Kind::Metrics(wanted), how) => {
                let how = if let Some(Kind::Metrics(how)) = how { how } else { wanted };
                judged_instead(outcome, tape, &Arc::new(otherwise(how, wanted)), spec)
            }
            (Kind::Traffic(wanted), Some(Kind::Traffic(how))) => {
                traffic_instead(outcome, &tape, (how, wanted), spec, &shapes)
            }
            _ => Err(own.as_ref().err().cloned().unwrap_or_else(|| NO_SUCH_CHECK.into())),
        };
        match judged {
            Ok(judged) => *outcome = judged,
            Err(why) => unjudged.push(format!("{}: {why}", outcome.name)),
        }
    }
    let is_judged_by =
        |spec: &&CheckSpec| spec.policy.enabled && matches!(spec.kind, Kind::Metrics(_) | Kind::Traffic(_));
    for spec in plan.checks.iter().filter(is_judged_by) {
        if !recorded.checks.iter().any(|outcome| outcome.name == spec.name) {
            unjudged.push(format!("{}: the recorded run has no such check", spec.name));
        }
    }
    unjudged.extend(never_run(&recorded, &now, own.as_ref().ok()));
    Replayed { recorded, now, unjudged, differs: Vec::new() }
}

const NO_SUCH_CHECK: &str = "the recorded plan has no such check";

/// What was left out of the run because of a failure that is none any more: nobody saw it.
fn never_run(recorded: &Summary, now: &Summary, own: Option<&Plan>) -> Vec<String> {
    let is_bad = |check: &&Outcome| matches!(check.status, Status::Fail | Status::Error);
    let Some(stopped_by) = recorded.checks.iter().find(is_bad) else { return Vec::new() };
    if now.checks.iter().any(|check| is_bad(&check)) {
        return Vec::new();
    }
    let checks = now.checks.iter().enumerate().filter(|(_, check)| check.status == Status::Skipped);
    let was_on = |index: usize| {
        own.is_none_or(|own| own.checks.get(index).is_none_or(|spec| spec.policy.enabled))
            && recorded.checks.get(index).is_some_and(|check| check.status == Status::Skipped)
    };
    checks
        .filter(|(index, _)| was_on(*index))
        .map(|(_, check)| format!("{}: it was not run, because {} did not pass", check.name, stopped_by.name))
        .collect()
}

fn is_good(status: Status) -> bool {
    matches!(status, Status::Pass | Status::Warn | Status::Skipped)
}

fn missing(kind: &Kind) -> &'static str {
    if matches!(kind, Kind::Traffic(_)) { "no answers" } else { "no scrapes" }
}

/// Whether two outcomes say the same; a NaN is one, also if it is not equal to itself.
fn is_same(a: &Outcome, b: &Outcome) -> bool {
    let text = |outcome| serde_json::to_string(outcome).ok();
    text(a) == text(b)
}

fn own_plan(bundle: &Bundle) -> Result<Plan, String> {
    let written = bundle.written.as_ref().ok_or("the evidence holds no plan")?;
    written.plan().map_err(|why| format!("the recorded plan cannot be read again: {why}"))
}

fn is_judged(tape: &Tape) -> bool {
    let is_end = |line: &TrafficLine| matches!(line, TrafficLine::Step(TrafficStep::Ended { .. }));
    tape.judged.is_some() || tape.unusable.is_some() || tape.traffic.iter().any(is_end)
}

/// Whether a check was left out because of what failed before it.
fn was_stopped(summary: &Summary, outcome: &Outcome) -> bool {
    outcome.status == Status::Skipped && summary.checks.iter().any(|check| check.status == Status::Fail)
}

fn kind_of<'p>(spec: Option<&'p CheckSpec>, outcome: &Outcome) -> Result<&'p Kind, String> {
    match spec {
        Some(CheckSpec { name, kind, .. }) if *name == outcome.name => Ok(kind),
        _ => Err(NO_SUCH_CHECK.into()),
    }
}

/// The thresholds of one plan over what was scraped by another.
fn otherwise(how: &Metrics, wanted: &Metrics) -> Metrics {
    Metrics {
        require: wanted.require.clone(),
        thresholds: wanted.thresholds.clone(),
        rules: wanted.rules.clone(),
        ..how.clone()
    }
}

fn usable(tape: &Tape) -> Result<&Judged, String> {
    match (&tape.unusable, &tape.judged) {
        (Some(why), _) => Err(why.clone()),
        (None, Some(judged)) => Ok(judged),
        (None, None) => Err("its thresholds were not judged".into()),
    }
}

/// An outcome with its thresholds judged again.
fn judged_in_place(outcome: &Outcome, tape: Tape, metrics: &Arc<Metrics>) -> Result<Outcome, String> {
    let judged = usable(&tape)?.clone();
    let again = judge_again(metrics, tape, &judged, &outcome.observations)?;
    let observations =
        again.in_place(&outcome.observations).ok_or("the record holds other thresholds than its plan")?;
    Ok(concluded(outcome, observations, outcome, &judged))
}

/// An outcome by other thresholds.
fn judged_instead(outcome: &Outcome, tape: Tape, metrics: &Arc<Metrics>, spec: &CheckSpec) -> Result<Outcome, String> {
    let judged = usable(&tape)?.clone();
    let again = judge_again(metrics, tape, &judged, &outcome.observations)?;
    let observations = again.instead(&outcome.observations);
    let by = Outcome { severity: spec.policy.severity, place: spec.place.clone(), ..outcome.clone() };
    Ok(concluded(outcome, observations, &by, &judged))
}

/// The outcome with other observations, and what these come to. What ended otherwise than its observations say, such as
/// after its limit, stays so.
fn concluded(recorded: &Outcome, observations: Vec<Observation>, by: &Outcome, judged: &Judged) -> Outcome {
    let (status, detail) = conclusion(&recorded.observations, judged);
    let is_ordinary = (effect(status, recorded.severity), &detail) == (recorded.status, &recorded.detail);
    let (status, detail) = if is_ordinary || is_good(recorded.status) {
        conclusion(&observations, judged)
    } else {
        (recorded.status, recorded.detail.clone())
    };
    Outcome { status: effect(status, by.severity), detail, observations, ..by.clone() }
}

/// What recorded traffic comes to by its own plan, in the words of a report.
fn own_traffic(tape: &Tape, traffic: &Traffic, shapes: &[Value]) -> Result<Finding, String> {
    match &tape.unusable {
        Some(why) => Err(why.clone()),
        None => judge_recorded(traffic, &tape.traffic, shapes).map(bounded),
    }
}

fn bounded(mut finding: Finding) -> Finding {
    bounds::sentence(&mut finding.detail);
    bounds::observations(&mut finding.observations);
    finding
}

/// An outcome with its traffic judged again. What ended otherwise than its traffic says, such as after its limit, stays so.
fn traffic_in_place(outcome: &Outcome, tape: &Tape, traffic: &Traffic, shapes: &[Value]) -> Result<Outcome, String> {
    let Finding { status, detail, observations, attempts } = own_traffic(tape, traffic, shapes)?;
    let is_late = !is_good(outcome.status)
        && outcome.observations == observations
        && outcome.detail.ends_with(&format!(": {detail}"));
    let (status, detail) = if is_late || outcome.detail.starts_with(&format!("{detail}; ")) {
        (outcome.status, outcome.detail.clone())
    } else {
        (effect(status, outcome.severity), detail)
    };
    Ok(Outcome { status, attempts, detail, observations, ..outcome.clone() })
}

/// An outcome by other limits, thresholds and comparison of its traffic.
fn traffic_instead(
    outcome: &Outcome,
    tape: &Tape,
    (how, wanted): (&Traffic, &Traffic),
    spec: &CheckSpec,
    shapes: &[Value],
) -> Result<Outcome, String> {
    let own = traffic_in_place(outcome, tape, how, shapes)?;
    let as_judged = own_traffic(tape, how, shapes)?;
    let Finding { status, detail, observations, attempts } =
        bounded(judge_by_another(how, wanted, &tape.traffic, shapes)?);
    let is_ordinary = own.status == effect(as_judged.status, outcome.severity) && own.detail == as_judged.detail;
    let (status, detail) =
        if is_ordinary { (effect(status, spec.policy.severity), detail) } else { (own.status, own.detail) };
    let (severity, place) = (spec.policy.severity, spec.place.clone());
    Ok(Outcome { status, severity, attempts, detail, observations, place, ..outcome.clone() })
}
