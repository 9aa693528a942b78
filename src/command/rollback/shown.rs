//! A rollback in words: the plan, the steps, what stands, and what it came to.

use std::fmt::Write as _;
use std::time::Duration;

use crate::command::told::said;
use crate::google::run_traffic::{ServiceName, ServiceTraffic};
use crate::google::short;
use crate::operate::rollback::{Asked, By, Done, How, Note, Plan, Step, by_whom};
use crate::operate::{Stop, pin};
use crate::outcome::{Observation, Outcome, Severity, Status, shares};

/// The plan, as a person decides by it.
pub(super) fn plan(asked: &Asked, plan: &Plan) -> String {
    let ServiceName { project, region, service } = &asked.service;
    let mut text = format!("service {service} in {region}, project {project}\n");
    let mut line = |name: &str, value: &str| {
        let _ = writeln!(text, "  {name:<8} {value}");
    };
    line("now", &shares(&plan.service.shares()));
    line("changed", &format!("last by {}", by_whom(&plan.service)));
    if let Some(choice) = &plan.choice {
        let release = choice.release.as_ref().map_or(String::new(), |release| format!(" (release {release})"));
        line("then", &format!("100 % {}{release}", choice.revision));
        line("because", &because(&choice.by));
        for note in &choice.notes {
            line("note", &noted(note));
        }
    }
    if let Some(image) = &plan.image {
        line("image", image);
    }
    if let How::Traffic(_) = &plan.how {
        let tags: Vec<String> =
            plan.service.tags().into_iter().map(|(tag, at)| format!("{tag} at {}", of(&at))).collect();
        line("tags", &if tags.is_empty() { "none".into() } else { format!("kept as they are: {}", tags.join(", ")) });
    }
    if let Some(target) = &plan.unowned {
        line("note", &format!("nothing was rolled out to the target {target}: Cloud Deploy does not own the service"));
    }
    if let Some(why) = &plan.unasked {
        line("note", &format!("Cloud Deploy could not be asked what it does: {why}"));
    }
    if let Some((rollout, run)) = &plan.repaired {
        let what = if matches!(plan.how, How::Release(_)) {
            "what is done by hand ends that".into()
        } else {
            let pipeline = asked.pipeline.as_ref().map(|(name, _)| short(name)).unwrap_or_default();
            format!(
                "it may move the traffic again, unless it is ended: gcloud deploy automation-runs cancel {run} \
                 --delivery-pipeline={pipeline}{}",
                places(&asked.service)
            )
        };
        line("note", &format!("automation is repairing {rollout}; {what}"));
    }
    for past in &plan.cancel {
        line("first", &format!("cancel the rollout {}, which has not ended", past.id));
    }
    line("how", &how(plan));
    text
}

/// What a tag stands for.
fn of(revision: &str) -> &str {
    if revision.ends_with("_LATEST") { "the newest revision" } else { revision }
}

fn how(plan: &Plan) -> String {
    match &plan.how {
        How::Already => "nothing: it is there already".into(),
        How::Traffic(_) => "change the service's traffic, and nothing else of it".into(),
        How::Release(rollback) => format!(
            "roll the target {} back to the release {} by the rollout {}, which undoes {}",
            rollback.target,
            rollback.release,
            rollback.rollout,
            rollback.undone()
        ),
        How::Follow(past) => format!("follow {}, which is a rollback and under way", past.id),
    }
}

fn because(by: &By) -> String {
    match by {
        By::Given => "it was named".into(),
        By::BeforeRollout(rollout) => format!("it served when {rollout} began"),
        By::LastSuccess(rollout) => format!("{rollout} deployed it, the last rollout before that succeeded"),
        By::RolledBack(rollout) => format!("{rollout} rolled back to it"),
        By::Record(file) => format!("the record {file} says that it was verified with all of the traffic"),
        By::PriorTag => "it has the tag prior".into(),
        By::OtherWithTraffic => "it is the one with traffic beside the newest".into(),
    }
}

fn noted(note: &Note) -> String {
    match note {
        Note::Recorded(file) => format!("the record {file} says that it was verified"),
        Note::WasBad(rollout) => format!("{rollout} deployed it and failed, or was rolled back"),
        Note::LastSuccessWas(revision) => format!("the last rollout that succeeded deployed {revision}"),
    }
}

/// A step, in a line.
pub(super) fn step(step: &Step) -> String {
    match step {
        Step::Cancelling(rollout) => format!("cancelling {rollout}"),
        Step::Terminating(run) => format!("ending the job run {run}, which keeps the rollout from its end"),
        Step::Cancelled(rollout) => format!("{rollout} has ended"),
        Step::Asking => "asking for the change".into(),
        Step::Lost(why) => format!("no answer to the change ({why}): what became of it is read"),
        Step::Waiting(why) => format!("waiting: {why}"),
        Step::Rollout(rollout) => format!("following {rollout}"),
        Step::Happened(happened) => said(happened),
    }
}

/// What stands after a step, for whoever interrupts there.
pub(super) fn standing(asked: &Asked, step: &Step) -> String {
    let look = format!("gcloud run services describe {}{}", asked.service.service, places(&asked.service));
    match step {
        Step::Cancelled(rollout) | Step::Cancelling(rollout) => {
            format!("the rollout {rollout} was cancelled, and the traffic was not changed")
        }
        Step::Rollout(rollout) => format!("the rollout {rollout} goes on by itself; run it again to follow it"),
        Step::Terminating(_) | Step::Asking | Step::Lost(_) | Step::Waiting(_) | Step::Happened(_) => {
            format!("the change was asked for and may happen; look ({look}), or run it again")
        }
    }
}

fn places(name: &ServiceName) -> String {
    format!(" --region={} --project={}", name.region, name.project)
}

/// The revision that the traffic was taken from: the newest with traffic, else the one with the most; nothing where there was none.
pub(super) fn left(before: &ServiceTraffic, to: &str) -> Option<String> {
    let mut others = before.with_traffic();
    others.remove(to);
    let newest = short(&before.latest_created_revision);
    if others.contains_key(&newest) {
        return Some(newest);
    }
    others.into_iter().max_by_key(|(_, percent)| *percent).map(|(revision, _)| revision)
}

/// What it came to, as a check of the report.
pub(super) fn outcome(
    asked: &Asked,
    plan: Option<&Plan>,
    done: &Result<Done, Stop>,
    steps: &[String],
    took: Duration,
) -> Outcome {
    let note = |name: &str, status: Status, detail: String| Observation::note(name, status, detail);
    let mut observations = Vec::new();
    if let Some(plan) = plan {
        observations.push(note("was", Status::Pass, shares(&plan.service.shares())));
    }
    observations.extend(steps.iter().map(|step| note("step", Status::Pass, step.clone())));
    let (status, detail) = match done {
        Ok(done) => {
            observations.push(note("is", Status::Pass, shares(&done.service.shares())));
            observations.push(pinned(asked, plan, done));
            (Status::Pass, succeeded(plan, done))
        }
        Err(Stop::NotDone(why)) => (Status::Fail, why.clone()),
        Err(Stop::Unseen(why)) => (Status::Error, why.clone()),
    };
    // The first line is the sentence; what stands under it are the candidates.
    let mut lines = detail.lines();
    let detail = lines.next().unwrap_or_default().to_owned();
    observations.extend(lines.map(|line| note("candidate", status, line.trim().to_owned())));
    Outcome {
        name: "rollback".into(),
        status,
        severity: Severity::Block,
        attempts: 1,
        started: Some(Duration::ZERO),
        retries: Vec::new(),
        duration: took,
        limit: took.max(Duration::from_millis(1)),
        detail,
        observations,
        place: None,
    }
}

fn succeeded(plan: Option<&Plan>, done: &Done) -> String {
    let revision = &done.revision;
    match (plan.map(|plan| &plan.how), &done.rollout) {
        (Some(How::Already), _) => format!("{revision} had all of the traffic already"),
        (_, Some(rollout)) => format!("{revision} has all of the traffic, by the rollout {rollout}"),
        (_, None) => format!("{revision} has all of the traffic"),
    }
}

/// What is pinned, and how that ends.
fn pinned(asked: &Asked, plan: Option<&Plan>, done: &Done) -> Observation {
    let by_pipeline = asked.pipeline.is_some() && !asked.traffic_only;
    let by_rollout = done.rollout.is_some()
        || by_pipeline && plan.and_then(|plan| plan.choice.as_ref()).is_some_and(|choice| choice.release.is_some());
    let deployed = by_rollout.then_some(&*done.revision);
    let Some(pin) = pin(&done.service, deployed) else {
        let why = if by_rollout {
            "nothing: the traffic is Cloud Deploy's, and the next rollout moves it"
        } else {
            "nothing: the traffic goes to the newest revision by itself"
        };
        return Observation::note("pinned", Status::Pass, why);
    };
    let to: Vec<String> = pin.to.iter().map(|(revision, percent)| format!("{percent} % {revision}")).collect();
    let command =
        format!("gcloud run services update-traffic {} --to-latest{}", asked.service.service, places(&asked.service));
    let next = if asked.pipeline.is_some() {
        "Cloud Deploy does not know of it, and its next rollout moves the traffic; a deploy by hand does not, and reports success while the \
         old revision serves"
    } else {
        "the next deploy reports success while the old revision serves"
    };
    let detail = format!(
        "the traffic is pinned: {}; {next}. When the newest revision ({}) is well, this unpins",
        to.join(", "),
        pin.newest
    );
    Observation { reproduce: Some(command), ..Observation::note("pinned", Status::Warn, detail) }
}
