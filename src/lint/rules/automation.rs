//! Automations: what they select, what they advance, and whether they repair what is verified.

use super::rule;
use crate::lint::at::At;
use crate::lint::finding::{Found, Rule};
use crate::lint::project::{Automation, AutomationRule, Phase, Project, Stage, Verified};
use crate::text::{cut, similar};

rule!(
    AUTOMATION_PIPELINE,
    "automation-pipeline",
    Error,
    High,
    "an automation belongs to a pipeline that no file has",
    "Its name is `PIPELINE/AUTOMATION`. gcloud refuses another form, and the API a pipeline that does not exist.",
    "Begin `metadata.name` with the pipeline's name and a slash."
);
rule!(
    AUTOMATION_TARGET,
    "automation-target",
    Error,
    High,
    "an automation selects no target of its pipeline",
    "It is accepted and never runs: a canary that passed stays where it is, and one that failed is not rolled back.",
    "Select the stage's target by its id, or by labels that it has."
);
rule!(
    UNKNOWN_PHASE,
    "unknown-phase",
    Error,
    High,
    "a rule of an automation names a phase that the pipeline does not have",
    "The rule is accepted and never applies.",
    "Name a phase that is there."
);
rule!(
    EVERY_PHASE,
    "every-phase",
    Warning,
    Medium,
    "an `advanceRolloutRule` without `sourcePhases`",
    "It advances every phase. That is also what is left where gcloud has dropped a misspelt `sourcePhases`.",
    "Name the phases that may be advanced."
);
rule!(
    ADVANCE_UNVERIFIED,
    "advance-unverified",
    Warning,
    High,
    "an automation advances a phase that nothing verifies",
    "The canary gets all of the traffic by itself, and nothing has looked at it.",
    "Set `verify: true` in the phase, or leave it to a person to advance it."
);
rule!(
    NOT_ADVANCED,
    "not-advanced",
    Warning,
    Low,
    "no automation advances a verified phase",
    "The rollout waits there for somebody to advance it, with the traffic divided between two revisions. That may be meant.",
    "Name the phase in `sourcePhases` of an `advanceRolloutRule`."
);
rule!(
    NO_REPAIR,
    "no-repair",
    Warning,
    High,
    "no automation repairs a verified phase",
    "A failed verify ends the rollout where it is: the revision that failed keeps its share of the traffic until somebody rolls it back.",
    "Name the phase, and the job `verify`, in a `repairRolloutRule` that retries and rolls back."
);
rule!(
    NO_ROLLBACK,
    "no-rollback",
    Warning,
    High,
    "a repair rule does not end with a rollback",
    "When the retries are used up the failed revision keeps its traffic. What stands behind a rollback is not reached.",
    "Let `repairPhases` end with `rollback`."
);
rule!(
    ROLLBACK_PENDING,
    "rollback-pending",
    Warning,
    High,
    "a rollback without `disableRollbackIfRolloutPending: true`",
    "Where a newer rollout is already waiting for the target, the automation rolls back over it: the fix that somebody has just \
     released goes away with the revision that failed.",
    "Add `disableRollbackIfRolloutPending: true` to `rollback`."
);
rule!(
    ROLLBACK_PHASE,
    "rollback-phase",
    Error,
    High,
    "a rollback begins at another phase than `stable`",
    "The release before then gets a share of the traffic only, and the revision that failed keeps the rest.",
    "Write `destinationPhase: stable`, or leave it out."
);
rule!(
    RETRY_ATTEMPTS,
    "retry-attempts",
    Error,
    High,
    "a retry with fewer than 1 or more than 10 attempts",
    "With 0 the retry is skipped without a word, and over 10 the API refuses the rule.",
    "Write a number from 1 to 10."
);
rule!(
    UNKNOWN_JOB,
    "unknown-job",
    Error,
    High,
    "a repair rule names a job that no phase has",
    "The rule is accepted, and the job that was meant is not repaired.",
    "Name jobs of predeploy, deploy, verify, analysis, postdeploy."
);
rule!(
    RULE_COUNT,
    "rule-count",
    Error,
    High,
    "an item of `rules` does not hold exactly one rule with an id",
    "The API wants one kind of rule in each, and an id or a name that the log of the automation's runs shows.",
    "Write one of advanceRolloutRule, repairRolloutRule, promoteReleaseRule and timedPromoteReleaseRule, with a name."
);
rule!(
    SUSPENDED,
    "suspended",
    Warning,
    Medium,
    "a pipeline or an automation is suspended",
    "It is there and does nothing.",
    "Write `suspended: false`, or take the key away."
);

pub(super) const RULES: &[&Rule] = &[
    &AUTOMATION_PIPELINE,
    &AUTOMATION_TARGET,
    &UNKNOWN_PHASE,
    &EVERY_PHASE,
    &ADVANCE_UNVERIFIED,
    &NOT_ADVANCED,
    &NO_REPAIR,
    &NO_ROLLBACK,
    &ROLLBACK_PENDING,
    &ROLLBACK_PHASE,
    &RETRY_ATTEMPTS,
    &UNKNOWN_JOB,
    &RULE_COUNT,
    &SUSPENDED,
];

const JOBS: [&str; 5] = ["predeploy", "deploy", "verify", "analysis", "postdeploy"];

pub(super) fn check(project: &Project<'_>, found: &mut Found) {
    for automation in &project.automations {
        selection(project, automation, found);
        for rule in &automation.rules {
            phases(project, automation, rule, found);
            match rule.kind {
                "advanceRollout" => advance(project, automation, rule, found),
                "repairRollout" => repair(rule, found),
                _ => {}
            }
        }
        for at in automation.at.list(&["rules"]) {
            let named = at.pairs().all(|pair| pair.value.get("id").or(pair.value.get("name")).is_some());
            if at.pairs().count() != 1 || !named {
                found.add(&RULE_COUNT, at.source(), "wants one rule, with a name");
            }
        }
    }
    for stage in project.stages() {
        covered(project, stage, found);
    }
    let documents = project.pipelines.iter().map(|pipeline| pipeline.at);
    for at in documents.chain(project.automations.iter().map(|automation| automation.at)) {
        if let Some(suspended) = at.get("suspended").filter(|suspended| suspended.is_true()) {
            found.add(&SUSPENDED, suspended.source(), "it is suspended");
        }
    }
}

fn selection(project: &Project<'_>, automation: &Automation<'_>, found: &mut Found) {
    let Some(name) = automation.name else { return };
    let Some(pipeline) = project.pipeline_of(automation) else {
        let written = name.text().unwrap_or_default();
        let message = match written.split_once('/') {
            Some((pipeline, _)) => format!("no file has the pipeline {:?}", cut(pipeline, 40)),
            None => format!("wants PIPELINE/AUTOMATION, found {:?}", cut(written, 40)),
        };
        let added = found.add(&AUTOMATION_PIPELINE, name.source(), message);
        if let Some(other) = project.pipelines.first().and_then(|pipeline| pipeline.name) {
            added.beside(other.source(), "a pipeline that is there");
        }
        return;
    };
    if project.stages_of(automation).is_empty() {
        let selector = automation.at.get("selector");
        let at = selector.map_or(automation.at.source(), At::key_source);
        let added = found.add(&AUTOMATION_TARGET, at, "no stage of the pipeline has a target that this selects");
        if let Some(stage) = pipeline.stages.first() {
            added.beside(stage.target.unwrap_or(stage.at).source(), "a stage of the pipeline");
        }
    }
}

/// The phases that a rule names.
fn named<'a>(rule: &AutomationRule<'a>) -> impl Iterator<Item = At<'a>> {
    let key = if rule.kind == "advanceRollout" { "sourcePhases" } else { "phases" };
    rule.at.list(&[key])
}

fn phases(project: &Project<'_>, automation: &Automation<'_>, rule: &AutomationRule<'_>, found: &mut Found) {
    let stages = project.stages_of(automation);
    let known: Vec<&str> = stages.iter().flat_map(|stage| &stage.phases).map(|phase| &*phase.id).collect();
    if known.is_empty() {
        return;
    }
    for at in named(rule) {
        let Some(name) = at.text().filter(|name| *name != "*" && !known.contains(name)) else { continue };
        let hint = similar(name, known.iter().copied())
            .first()
            .map_or(String::new(), |near| format!("; did you mean {near:?}?"));
        let added =
            found.add(&UNKNOWN_PHASE, at.source(), format!("the pipeline has no phase {:?}{hint}", cut(name, 40)));
        if let Some(stage) = stages.first() {
            added.beside(stage.at.source(), "the stage");
        }
    }
}

fn advance(project: &Project<'_>, automation: &Automation<'_>, rule: &AutomationRule<'_>, found: &mut Found) {
    if named(rule).next().is_none() {
        found.add(&EVERY_PHASE, rule.at.key_source(), "without sourcePhases every phase is advanced");
    }
    for stage in project.stages_of(automation) {
        let last = stage.phases.len().saturating_sub(1);
        for phase in &stage.phases[..last] {
            if phase.verified == Verified::No && applies(rule, phase) {
                let at = named(rule).find(|at| at.text() == Some(&phase.id)).unwrap_or(rule.at);
                let message = format!("the phase {:?} is advanced, and nothing verifies it", phase.id);
                found.add(&ADVANCE_UNVERIFIED, at.source(), message).beside(phase.at.source(), "the phase");
            }
        }
    }
}

fn applies(rule: &AutomationRule<'_>, phase: &Phase<'_>) -> bool {
    let mut names = named(rule).peekable();
    names.peek().is_none() || names.any(|name| matches!(name.text(), Some(name) if name == "*" || name == phase.id))
}

fn repair(rule: &AutomationRule<'_>, found: &mut Found) {
    for job in rule.at.list(&["jobs"]) {
        if let Some(name) = job.text().filter(|name| *name != "*" && !JOBS.contains(name)) {
            let message = format!("{:?} is not one of {}", cut(name, 40), JOBS.join(", "));
            found.add(&UNKNOWN_JOB, job.source(), message);
        }
    }
    let steps: Vec<At<'_>> = rule.at.list(&["repairPhases"]).collect();
    if steps.last().is_none_or(|step| step.get("rollback").is_none()) {
        let at = rule.at.get("repairPhases").unwrap_or(rule.at).key_source();
        found.add(&NO_ROLLBACK, at, "the repair does not end with a rollback");
    }
    for step in steps {
        if let Some(attempts) = step.path(&["retry", "attempts"])
            && attempts
                .text()
                .and_then(|text| text.parse::<u64>().ok())
                .is_some_and(|number| !(1..=10).contains(&number))
        {
            found.add(
                &RETRY_ATTEMPTS,
                attempts.source(),
                format!("wants 1 to 10 attempts, found {}", attempts.shown()),
            );
        }
        let Some(rollback) = step.get("rollback") else { continue };
        if let Some(phase) = rollback.get("destinationPhase").filter(|phase| phase.text() != Some("stable")) {
            found.add(&ROLLBACK_PHASE, phase.source(), format!("the rollback begins at {}", phase.shown()));
        }
        let key = "disableRollbackIfRolloutPending";
        let disable = rollback.get(key);
        if !disable.is_some_and(At::is_true) {
            let at = disable.map_or(rollback.key_source(), At::source);
            let message = "the rollback also goes over a newer rollout that is waiting";
            found.add(&ROLLBACK_PENDING, at, message).edit(pending(rollback, disable));
        }
    }
}

/// The key that a rollback lacks, as a line below its first one.
fn pending(rollback: At<'_>, disable: Option<At<'_>>) -> Option<crate::lint::fix::Edit> {
    use crate::lint::fix::Edit;
    let key = "disableRollbackIfRolloutPending";
    if let Some(disable) = disable {
        let old = disable.text().filter(|_| disable.meaning() == Some(crate::yaml::Meaning::Bool(false)))?;
        return Some(Edit::Replace { place: disable.place(), old: old.to_owned(), new: "true".into() });
    }
    // Only where it is a block of lines: then its own place is that of its key, and its first key is below that.
    let first = rollback.pairs().next()?;
    let is_block = rollback.place() == rollback.key_source().place && first.place.line > rollback.place().line;
    let alone = first.value.text().is_some() && first.value.place().line == first.place.line;
    (is_block && alone).then(|| Edit::Below { place: first.place, line: format!("{key}: true") })
}

/// Whether every verified phase of a stage is repaired, and advanced where others are.
fn covered(project: &Project<'_>, stage: &Stage<'_>, found: &mut Found) {
    let selects = |automation: &&Automation<'_>| {
        project.stages_of(automation).iter().any(|other| other.at.source() == stage.at.source())
    };
    let rules: Vec<&AutomationRule<'_>> =
        project.automations.iter().filter(selects).flat_map(|automation| &automation.rules).collect();
    let of = |kind: &str, phase: &Phase<'_>| {
        rules.iter().any(|rule| {
            let mut jobs = rule.at.list(&["jobs"]).peekable();
            let verifies = jobs.peek().is_none() || jobs.any(|job| matches!(job.text(), Some("*" | "verify")));
            rule.kind == kind && applies(rule, phase) && (kind != "repairRollout" || verifies)
        })
    };
    let last = stage.phases.len().saturating_sub(1);
    for (index, phase) in stage.phases.iter().enumerate().filter(|(_, phase)| phase.verified != Verified::No) {
        if !of("repairRollout", phase) {
            let message = format!("the phase {:?} is verified, and nothing is done where that fails", phase.id);
            found.add(&NO_REPAIR, phase.verify.unwrap_or(phase.at).source(), message);
        }
        if index < last && !rules.is_empty() && !of("advanceRollout", phase) {
            let message = format!("the phase {:?} is verified, and no automation advances it", phase.id);
            found.add(&NOT_ADVANCED, phase.at.source(), message);
        }
    }
}
