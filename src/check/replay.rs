//! Judges a recorded run again: by its own plan, or by the thresholds of another one. Pure.

use std::sync::Arc;

use super::metrics::{conclusion, judge_again};
use crate::evidence::{Bundle, Tape};
use crate::outcome::{Judged, Observation, Outcome, Status, Summary, effect};
use crate::plan::{CheckSpec, Kind, Metrics, Plan};

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
    let Bundle { mut tapes, summary: recorded, gate, .. } = bundle;
    let (mut now, mut unjudged, mut differs) = (recorded.clone(), Vec::new(), Vec::new());
    for (index, outcome) in now.checks.iter_mut().enumerate() {
        // What has no scrapes that were judged stands as it was seen.
        let Some(tape) = tapes.remove(&index).filter(is_judged) else { continue };
        let metrics = plan.as_ref().map_err(Clone::clone).and_then(|plan| metrics_of(plan.checks.get(index), outcome));
        let name = outcome.name.clone();
        match metrics.and_then(|metrics| judged_in_place(outcome, tape, &metrics)) {
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

/// Judges a run by the thresholds and the families of another plan; how it was scraped stays as it was.
pub(crate) fn replay_by(bundle: Bundle, plan: &Plan) -> Replayed {
    let own = own_plan(&bundle);
    let Bundle { mut tapes, summary: recorded, .. } = bundle;
    let (mut now, mut unjudged) = (recorded.clone(), Vec::new());
    for (index, outcome) in now.checks.iter_mut().enumerate() {
        let tape = tapes.remove(&index).filter(is_judged);
        let spec = plan.checks.iter().find(|spec| spec.name == outcome.name);
        let Some((spec, Kind::Metrics(wanted))) = spec.map(|spec| (spec, &spec.kind)) else { continue };
        if !spec.policy.enabled {
            (outcome.status, outcome.detail) = (Status::Skipped, "switched off in the checks file".into());
            outcome.observations.clear();
            continue;
        }
        let Some(tape) = tape else {
            // Whatever the thresholds are, it was not well; only what was good had to be seen.
            if matches!(outcome.status, Status::Pass | Status::Warn | Status::Skipped)
                && !was_stopped(&recorded, outcome)
            {
                unjudged.push(format!("{}: no scrapes of it were recorded", outcome.name));
            }
            continue;
        };
        let how = own.as_ref().ok().and_then(|own| metrics_of(own.checks.get(index), outcome).ok());
        let metrics = Arc::new(otherwise(how.as_ref().unwrap_or(wanted), wanted));
        match judged_instead(outcome, tape, &metrics, spec) {
            Ok(judged) => *outcome = judged,
            Err(why) => unjudged.push(format!("{}: {why}", outcome.name)),
        }
    }
    for spec in plan.checks.iter().filter(|spec| spec.policy.enabled && matches!(spec.kind, Kind::Metrics(_))) {
        if !recorded.checks.iter().any(|outcome| outcome.name == spec.name) {
            unjudged.push(format!("{}: the recorded run has no such check", spec.name));
        }
    }
    Replayed { recorded, now, unjudged, differs: Vec::new() }
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
    tape.judged.is_some() || tape.unusable.is_some()
}

/// Whether a check was left out because of what failed before it.
fn was_stopped(summary: &Summary, outcome: &Outcome) -> bool {
    outcome.status == Status::Skipped && summary.checks.iter().any(|check| check.status == Status::Fail)
}

fn metrics_of(spec: Option<&CheckSpec>, outcome: &Outcome) -> Result<Arc<Metrics>, String> {
    match spec {
        Some(CheckSpec { name, kind: Kind::Metrics(metrics), .. }) if *name == outcome.name => Ok(metrics.clone()),
        _ => Err("the recorded plan has no such check".into()),
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
    let again = judge_again(metrics, tape.rounds, &judged, &outcome.observations)?;
    let observations =
        again.in_place(&outcome.observations).ok_or("the record holds other thresholds than its plan")?;
    Ok(concluded(outcome, observations, outcome, &judged))
}

/// An outcome by other thresholds.
fn judged_instead(outcome: &Outcome, tape: Tape, metrics: &Arc<Metrics>, spec: &CheckSpec) -> Result<Outcome, String> {
    let judged = usable(&tape)?.clone();
    let again = judge_again(metrics, tape.rounds, &judged, &outcome.observations)?;
    let observations = again.instead(&outcome.observations);
    let by = Outcome { severity: spec.policy.severity, place: spec.place.clone(), ..outcome.clone() };
    Ok(concluded(outcome, observations, &by, &judged))
}

/// The outcome with other observations, and what these come to. What ended otherwise than its observations say, such as
/// after its limit, stays so.
fn concluded(recorded: &Outcome, observations: Vec<Observation>, by: &Outcome, judged: &Judged) -> Outcome {
    let (status, detail) = conclusion(&recorded.observations, judged);
    let is_ordinary = (effect(status, recorded.severity), &detail) == (recorded.status, &recorded.detail);
    let (status, detail) =
        if is_ordinary { conclusion(&observations, judged) } else { (recorded.status, recorded.detail.clone()) };
    Outcome { status: effect(status, by.severity), detail, observations, ..by.clone() }
}
