//! Judges a recorded run again: by its own plan, or by the thresholds and limits of another one. Pure.

use std::fmt;
use std::sync::Arc;

use serde_json::Value;

use super::context::Finding;
use super::metrics::{By, conclusion, gap, judge_again};
use super::traffic::{judge_by_another, judge_recorded};
use crate::evidence::{Bundle, Tape, TrafficLine, Written};
use crate::outcome::{
    Judged, Observation, Outcome, Seen, Severity, Status, Summary, TrafficStep, Verdict, bounds, effect,
};
use crate::plan::{CheckSpec, HttpCheck, Kind, Metrics, Plan, Ready, Smoke, Traffic};
use crate::text;

/// A run that was judged again.
#[derive(Debug)]
pub(crate) struct Replayed {
    /// As it was recorded.
    pub(crate) recorded: Summary,
    /// As it is judged now.
    pub(crate) now: Summary,
    /// What was not judged again, and stands as it was recorded.
    pub(crate) unjudged: Vec<Unjudged>,
    /// What is judged otherwise than it was recorded, although the plan is the same.
    pub(crate) differs: Vec<String>,
}

/// A check that was not judged again.
#[derive(Debug)]
pub(crate) struct Unjudged {
    pub(crate) check: String,
    why: String,
    /// Whether a pass is none without it: nobody looked, or what was seen is not there. What the gate itself could not keep, a secret
    /// above all, it had seen.
    is_gap: bool,
}

impl fmt::Display for Unjudged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.check, self.why)
    }
}

impl Unjudged {
    fn gap(check: &str, why: impl Into<String>) -> Self {
        Self { check: check.into(), why: why.into(), is_gap: true }
    }
}

impl Replayed {
    /// Whether it says pass, and something that this takes was not judged.
    pub(crate) fn is_open(&self) -> bool {
        self.now.verdict() == Verdict::Pass && self.unjudged.iter().any(|unjudged| unjudged.is_gap)
    }

    /// Whether something that was not judged may make it another verdict.
    pub(crate) fn may_be_otherwise(&self) -> bool {
        let stands = |check: &Outcome| self.unjudged.iter().any(|unjudged| unjudged.check == check.name);
        let fails = |check: &Outcome| check.status == Status::Fail && !stands(check);
        let is_certain = self.now.verdict() == Verdict::Fail && self.now.checks.iter().any(fails);
        !self.unjudged.is_empty() && !is_certain
    }
}

/// Judges a run by its own plan. `courses` says whether somebody wants to see how thresholds went over a window: they are drawn where
/// the run drew them, and on demand where it was not asked to.
pub(crate) fn replay(bundle: Bundle, courses: bool) -> Replayed {
    let plan = own_plan(&bundle);
    let Bundle { schema, written, mut tapes, shapes, summary: recorded, gate, .. } = bundle;
    let (mut now, mut unjudged, mut differs) = (recorded.clone(), Vec::new(), Vec::new());
    let is_masked = written.is_some() && plan.is_err();
    // A run that was asked for them drew what there was time for.
    let courses = courses && written.as_ref().is_some_and(Written::is_undrawn);
    for (index, outcome) in now.checks.iter_mut().enumerate() {
        let kind = plan.as_ref().map_err(Clone::clone).and_then(|plan| kind_of(plan.checks.get(index), outcome));
        let name = outcome.name.clone();
        let Some(tape) = tapes.remove(&index).filter(is_judged) else {
            // It stands as it was seen; what was good by what is not here is told.
            if let (Ok(kind @ (Kind::Metrics(_) | Kind::Traffic(_))), Status::Pass | Status::Warn) =
                (kind, outcome.status)
            {
                // The first gates kept no traffic.
                let is_gap = schema > 1 || matches!(kind, Kind::Metrics(_));
                unjudged.push(Unjudged { check: name, why: format!("{} of it were recorded", missing(kind)), is_gap });
            }
            continue;
        };
        let is_gap = !is_masked && tape.unusable.is_none();
        let judged = kind.and_then(|kind| match kind {
            Kind::Metrics(metrics) => judged_in_place(outcome, tape, metrics, courses),
            Kind::Traffic(traffic) => traffic_in_place(outcome, &tape, traffic, &shapes),
            Kind::Ready(_) | Kind::Http(_) | Kind::Smoke(_) => Err(NO_SUCH_CHECK.into()),
        });
        match judged {
            Ok(judged) if !is_same(&judged, outcome) => {
                let (status, detail) = (outcome.status.word(), &outcome.detail);
                differs.push(format!("{name}: it was {status} by canary-gate {gate}: {detail}"));
                *outcome = judged;
            }
            Ok(judged) => *outcome = judged,
            Err(why) => unjudged.push(Unjudged { check: name, why, is_gap }),
        }
    }
    unjudged.extend(untold(&recorded, &plan, is_masked));
    Replayed { recorded, now, unjudged, differs }
}

/// What a run that came to its end tells of nowhere: a plan, and an outcome of every check in it.
fn untold(recorded: &Summary, plan: &Result<Plan, String>, is_masked: bool) -> Vec<Unjudged> {
    match plan {
        _ if recorded.unfinished.is_some() || is_masked => Vec::new(),
        Err(why) => vec![Unjudged::gap("the run", why)],
        Ok(plan) => {
            // Of a run that was stopped, not all was run.
            let is_whole = recorded.verdict() == Verdict::Pass;
            let is_told = |spec: &&CheckSpec| {
                let mut outcomes = recorded.checks.iter().filter(|outcome| outcome.name == spec.name);
                outcomes.any(|outcome| !is_whole || outcome.status != Status::Skipped)
            };
            let untold = plan.checks.iter().filter(|spec| spec.policy.enabled && !is_told(spec));
            untold.map(|spec| Unjudged::gap(&spec.name, "the evidence does not tell what it came to")).collect()
        }
    }
}

/// Judges a run by the thresholds, the families and the limits of another plan; how it was scraped and what was sent stays as it
/// was, and so does what a request or a page came to, where the other plan asks for the same. `courses` as for [`replay`].
pub(crate) fn replay_by(bundle: Bundle, plan: &Plan, courses: bool) -> Replayed {
    let own = own_plan(&bundle);
    let Bundle { mut tapes, shapes, summary: recorded, .. } = bundle;
    let (mut now, mut unjudged) = (recorded.clone(), Vec::new());
    for (index, outcome) in now.checks.iter_mut().enumerate() {
        let tape = tapes.remove(&index).filter(is_judged);
        let Some(spec) = plan.checks.iter().find(|spec| spec.name == outcome.name) else { continue };
        let how = own.as_ref().ok().and_then(|own| own.checks.get(index)).filter(|how| how.name == outcome.name);
        match &spec.kind {
            Kind::Metrics(_) if !spec.policy.enabled => {
                (outcome.status, outcome.detail) = (Status::Skipped, "switched off in the checks file".into());
                outcome.observations.clear();
                continue;
            }
            Kind::Metrics(_) => {}
            // Off is what it is where a file says nothing of it: what it came to stands.
            Kind::Traffic(_) if spec.policy.enabled => {}
            Kind::Traffic(_) => continue,
            Kind::Ready(_) | Kind::Http(_) | Kind::Smoke(_) => {
                match standing(outcome, how, spec) {
                    Ok(standing) => *outcome = standing,
                    Err(why) => unjudged.push(Unjudged::gap(&outcome.name, why)),
                }
                continue;
            }
        }
        let Some(tape) = tape else {
            // Whatever the thresholds are, it was not well; only what was good had to be seen.
            if is_good(outcome.status) && !was_stopped(&recorded, outcome) {
                unjudged.push(Unjudged::gap(&outcome.name, format!("{} of it were recorded", missing(&spec.kind))));
            }
            continue;
        };
        let judged = match (&spec.kind, how.map(|how| &how.kind)) {
            (Kind::Metrics(wanted), Some(Kind::Metrics(how))) => otherwise(how, wanted)
                .and_then(|metrics| judged_instead(outcome, tape, &Arc::new(metrics), spec, courses)),
            (Kind::Metrics(wanted), _) => judged_instead(outcome, tape, wanted, spec, courses),
            (Kind::Traffic(wanted), Some(Kind::Traffic(how))) => {
                traffic_instead(outcome, &tape, (how, wanted), spec, &shapes)
            }
            _ => Err(own.as_ref().err().cloned().unwrap_or_else(|| NO_SUCH_CHECK.into())),
        };
        match judged {
            Ok(judged) => *outcome = judged,
            Err(why) => unjudged.push(Unjudged::gap(&outcome.name, why)),
        }
    }
    for spec in plan.checks.iter().filter(|spec| spec.policy.enabled) {
        if !recorded.checks.iter().any(|outcome| outcome.name == spec.name) {
            unjudged.push(Unjudged::gap(&spec.name, "the recorded run has no such check"));
        }
    }
    unjudged.extend(never_run(&recorded, &now, own.as_ref().ok()));
    Replayed { recorded, now, unjudged, differs: Vec::new() }
}

/// What a check that nobody can ask again came to, by another plan: what was recorded, where that plan says nothing of it or asks
/// for the same.
///
/// # Errors
/// Why what was recorded does not tell it.
fn standing(outcome: &Outcome, how: Option<&CheckSpec>, spec: &CheckSpec) -> Result<Outcome, String> {
    if spec.place.is_none() || !spec.policy.enabled {
        return Ok(outcome.clone());
    }
    let how = how.ok_or(NO_SUCH_CHECK)?;
    if !how.policy.enabled && outcome.status == Status::Skipped {
        return Err("it was switched off when it was recorded".into());
    }
    if !asks_the_same(&how.kind, &spec.kind) {
        return Err("what it asks for or expects is other than what was recorded".into());
    }
    let severity = spec.policy.severity;
    if outcome.status == Status::Warn && (severity, outcome.severity) == (Severity::Block, Severity::Warn) {
        return Err("when it was recorded it could only warn, and it did".into());
    }
    Ok(Outcome { status: effect(outcome.status, severity), severity, place: spec.place.clone(), ..outcome.clone() })
}

fn asks_the_same(how: &Kind, wanted: &Kind) -> bool {
    match (how, wanted) {
        (Kind::Ready(Ready { path, identity: _ }), Kind::Ready(wanted)) => *path == wanted.path,
        (Kind::Http(how), Kind::Http(wanted)) => {
            let asked = |HttpCheck { request, expect, retry_everything: _, takes_page }: &HttpCheck| {
                (request.method.clone(), request.path.clone(), request.body.clone(), expect.clone(), *takes_page)
            };
            asked(how) == asked(wanted)
        }
        (Kind::Smoke(how), Kind::Smoke(wanted)) => {
            let asked = |smoke: &Smoke| {
                let requests = smoke.requests.iter();
                let requests: Vec<_> =
                    requests.map(|(request, expect)| (request.path.clone(), expect.clone())).collect();
                let bounds = (smoke.min_assets, smoke.max_assets, smoke.max_redirects);
                (requests, smoke.page.clone(), smoke.assets, smoke.asset_skew, smoke.imports, bounds)
            };
            asked(how) == asked(wanted)
        }
        _ => false,
    }
}

const NO_SUCH_CHECK: &str = "the recorded plan has no such check";

/// What was left out of the run because of a failure that is none any more: nobody saw it.
fn never_run(recorded: &Summary, now: &Summary, own: Option<&Plan>) -> Vec<Unjudged> {
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
        .map(|(_, check)| {
            Unjudged::gap(&check.name, format!("it was not run, because {} did not pass", stopped_by.name))
        })
        .collect()
}

fn is_good(status: Status) -> bool {
    matches!(status, Status::Pass | Status::Warn | Status::Skipped)
}

fn missing(kind: &Kind) -> &'static str {
    if matches!(kind, Kind::Traffic(_)) { "no answers" } else { "no scrapes" }
}

/// Whether two outcomes say the same; a NaN is one, also if it is not equal to itself, and what was only drawn for one of them says
/// nothing else.
fn is_same(a: &Outcome, b: &Outcome) -> bool {
    let are_drawn = has_courses(a) && has_courses(b);
    let text = |outcome: &Outcome| {
        let mut outcome = outcome.clone();
        for seen in &mut outcome.observations {
            if let (Seen::Threshold(seen), false) = (&mut seen.seen, are_drawn) {
                seen.courses.clear();
            }
        }
        serde_json::to_string(&outcome).ok()
    };
    text(a) == text(b)
}

/// Whether an outcome tells how its thresholds went over a window.
fn has_courses(outcome: &Outcome) -> bool {
    let drawn = |seen: &Observation| seen.threshold().is_some_and(|seen| !seen.courses.is_empty());
    outcome.observations.iter().any(drawn)
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
///
/// # Errors
/// Why that is not what the one would have looked at.
fn otherwise(how: &Metrics, wanted: &Metrics) -> Result<Metrics, String> {
    let (was, path) = (&how.request.path, &wanted.request.path);
    if wanted.says_path && was != path {
        return Err(format!("{was} was scraped when it was recorded, and not {path}"));
    }
    if wanted.baseline.is_some() && how.baseline.is_none() {
        return Err("the stable revision was not scraped when it was recorded".into());
    }
    if let Some(window) = wanted.window {
        let wanted = text::duration(window.length);
        match how.window {
            None => return Err(format!("it was scraped once when it was recorded, and not watched for {wanted}")),
            Some(how) if how.length < window.length => {
                let was = text::duration(how.length);
                return Err(format!("it was watched for {was} when it was recorded, and not for {wanted}"));
            }
            Some(_) => {}
        }
    }
    Ok(Metrics {
        require: wanted.require.clone(),
        thresholds: wanted.thresholds.clone(),
        rules: wanted.rules.clone(),
        ..how.clone()
    })
}

fn usable(tape: &Tape) -> Result<&Judged, String> {
    match (&tape.unusable, &tape.judged) {
        (Some(why), _) => Err(why.clone()),
        (None, Some(judged)) => Ok(judged),
        (None, None) => Err("its thresholds were not judged".into()),
    }
}

/// How a check was judged, where all that it was judged over is there.
fn whole(metrics: &Metrics, tape: &Tape) -> Result<Judged, String> {
    let judged = usable(tape)?;
    gap(metrics, tape, judged).map_or_else(|| Ok(judged.clone()), Err)
}

/// An outcome with its thresholds judged again.
fn judged_in_place(outcome: &Outcome, tape: Tape, metrics: &Arc<Metrics>, courses: bool) -> Result<Outcome, String> {
    let judged = whole(metrics, &tape)?;
    let again = judge_again(metrics, tape, &judged, courses || has_courses(outcome), By::ItsOwn)?;
    let observations =
        again.in_place(&outcome.observations).ok_or("the record holds other thresholds than its plan")?;
    Ok(concluded(outcome, observations, outcome, &judged))
}

/// An outcome by other thresholds.
fn judged_instead(
    outcome: &Outcome,
    tape: Tape,
    metrics: &Arc<Metrics>,
    spec: &CheckSpec,
    courses: bool,
) -> Result<Outcome, String> {
    let judged = whole(metrics, &tape)?;
    let again = judge_again(metrics, tape, &judged, courses || has_courses(outcome), By::Others)?;
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
