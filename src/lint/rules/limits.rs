//! Limits in time: one around the other, each longer than what is inside of it.

use std::time::Duration;

use super::rule;
use crate::lint::at::At;
use crate::lint::finding::{Found, Rule};
use crate::lint::gate::Gate;
use crate::lint::project::{Project, Stage, Verified};
use crate::text::{self, cut};

rule!(
    LIMITS_NEST,
    "limits-nest",
    Error,
    High,
    "a limit is not longer than the one inside of it",
    "Whoever is around ends the gate without grace: the rollout fails, and there is neither a verdict nor a report that says why.",
    "Let the limits nest: the gate's `--timeout` < `timeout` in skaffold.yaml (seconds) < `executionTimeout` of the target; by hand, the gate's < `timeout` of the build."
);
rule!(
    NO_SKAFFOLD_LIMIT,
    "no-limit",
    Warning,
    Medium,
    "a verify stanza without a `timeout`",
    "Skaffold then waits as long as the job does, and a container that hangs takes the whole of `executionTimeout`.",
    "Write `timeout:` in seconds, more than the gate's own limit."
);
rule!(
    WINDOW_FIT,
    "window-fit",
    Error,
    High,
    "the gate watches the metrics for longer than it may run",
    "The window can never be watched to its end, and no run passes.",
    "Make `--window` shorter, or `--timeout` and the limits around it longer."
);
rule!(
    EXECUTION_TIMEOUT,
    "execution-timeout",
    Error,
    High,
    "an `executionTimeout` below 10 minutes or over a day",
    "Cloud Deploy refuses the target.",
    "Write seconds from 600s to 86400s."
);
rule!(
    EXECUTION_USAGES,
    "execution-usages",
    Error,
    High,
    "the execution configs of a target do not cover what its jobs do, each once",
    "A target that lists RENDER or DEPLOY must list VERIFY as well, if something is verified: Cloud Deploy refuses what is missing or there twice.",
    "Name RENDER, DEPLOY and VERIFY, each in one execution config."
);

pub(super) const RULES: &[&Rule] =
    &[&LIMITS_NEST, &NO_SKAFFOLD_LIMIT, &WINDOW_FIT, &EXECUTION_TIMEOUT, &EXECUTION_USAGES];

/// What a job has where nothing is written.
const EXECUTION: u64 = 3600;
/// What a build has where nothing is written.
const BUILD: u64 = 600;

pub(super) fn check(project: &Project<'_>, found: &mut Found) {
    for (stage, _, case, gate) in project.gates() {
        let own = limit(project, gate);
        if let Some((own, at)) = &own {
            if let Some(around) = case.timeout.and_then(At::whole) {
                nest(found, (*own, *at), (around, case.timeout.unwrap_or(case.at)), "the gate", "Skaffold");
            }
            let (around, place) = execution(project, stage, "VERIFY");
            if case.timeout.is_none() {
                nest(found, (*own, *at), (around, place), "the gate", "the job");
            }
        }
        window(project, gate, found);
    }
    for (stage, phase) in project.phases().filter(|(_, phase)| phase.verified == Verified::Stanza) {
        for case in project.cases(phase) {
            let Some((inside, at)) = case.timeout.and_then(|at| Some((at.whole()?, at))) else {
                if case.timeout.is_none() {
                    found.add(&NO_SKAFFOLD_LIMIT, case.at.source(), "the container has no timeout");
                }
                continue;
            };
            nest(found, (Duration::from_secs(inside), at), execution(project, stage, "VERIFY"), "Skaffold", "the job");
        }
    }
    actions(project, found);
    for build in &project.builds {
        let around = build.at.get("timeout");
        let seconds = around.map_or(Some(BUILD), |at| seconds(at.text()?));
        for gate in &build.gates {
            if let (Some(own), Some(seconds)) = (limit(project, gate), seconds) {
                nest(found, own, (seconds, around.unwrap_or(build.at)), "the gate", "the build");
            }
            window(project, gate, found);
        }
    }
    for target in &project.targets {
        configs(project, target.at, found);
    }
}

/// The limits of custom actions, around those of the gates in them.
fn actions(project: &Project<'_>, found: &mut Found) {
    for (stage, _, action, usage) in project.acts() {
        let around = action.timeout.and_then(|at| Some((at.whole()?, at)));
        let job = execution(project, stage, usage);
        if action.timeout.is_none() {
            found.add(&NO_SKAFFOLD_LIMIT, action.at.source(), "the action has no timeout");
        }
        for gate in &action.gates {
            if let Some(own) = limit(project, gate) {
                let (around, name) = around.map_or((job, "the job"), |around| (around, "Skaffold"));
                nest(found, own, around, "the gate", name);
            }
        }
        if let Some((seconds, at)) = around {
            nest(found, (Duration::from_secs(seconds), at), job, "Skaffold", "the job");
        }
    }
}

/// The gate's own limit, and where it is written.
fn limit<'a>(project: &Project<'_>, gate: &Gate<'a>) -> Option<(Duration, At<'a>)> {
    let args = gate.known()?;
    match &args.timeout {
        Some(_) => Some((args.limit()?, gate.flag("--timeout"))),
        None => Some((project.plan?.timeout, gate.args)),
    }
}

fn nest(found: &mut Found, inside: (Duration, At<'_>), around: (u64, At<'_>), own: &str, other: &str) {
    let limit = Duration::from_secs(around.0);
    if inside.0 >= limit {
        let message =
            format!("{own} may take {}, and {other} ends it after {}", text::duration(inside.0), text::duration(limit));
        found.add(&LIMITS_NEST, inside.1.source(), message).beside(around.1.source(), format!("the limit of {other}"));
    }
}

fn window(project: &Project<'_>, gate: &Gate<'_>, found: &mut Found) {
    let Some(args) = gate.known() else { return };
    let Some(window) = args.window.as_deref().and_then(|written| crate::plan::duration(written).ok()) else { return };
    if let Some((limit, at)) = limit(project, gate)
        && window >= limit
    {
        let message =
            format!("the gate watches for {} and may run for {}", text::duration(window), text::duration(limit));
        found.add(&WINDOW_FIT, gate.flag("--window").source(), message).beside(at.source(), "the gate's limit");
    }
}

fn seconds(written: &str) -> Option<u64> {
    written.strip_suffix('s')?.split('.').next()?.parse().ok()
}

/// How long a job of a stage may take, and where that is written. What is done around a deploy and has no execution config of its
/// own is done in that of the deploy.
fn execution<'a>(project: &Project<'a>, stage: &Stage<'a>, usage: &str) -> (u64, At<'a>) {
    let target = stage.target.and_then(At::text).and_then(|name| project.target(name));
    let configs: Vec<At<'a>> = target.into_iter().flat_map(|target| target.at.list(&["executionConfigs"])).collect();
    let of = |wanted: &str| {
        configs.iter().copied().find(|at| at.list(&["usages"]).any(|usage| usage.text() == Some(wanted)))
    };
    match of(usage).or_else(|| of("DEPLOY").filter(|_| usage != "VERIFY")) {
        Some(config) => {
            let written = config.get("executionTimeout");
            (written.and_then(|at| seconds(at.text()?)).unwrap_or(EXECUTION), written.unwrap_or(config))
        }
        None => (EXECUTION, target.map_or(stage.at, |target| target.at)),
    }
}

fn configs(project: &Project<'_>, target: At<'_>, found: &mut Found) {
    let mut seen: Vec<At<'_>> = Vec::new();
    for config in target.list(&["executionConfigs"]) {
        if let Some(at) = config.get("executionTimeout")
            && let Some(text) = at.text()
            && seconds(text).is_some_and(|seconds| !(600..=86_400).contains(&seconds))
        {
            found.add(&EXECUTION_TIMEOUT, at.source(), format!("wants 600s to 86400s, found {:?}", cut(text, 40)));
        }
        for usage in config.list(&["usages"]) {
            if let Some(other) = seen.iter().find(|other| other.text() == usage.text()) {
                let added = found.add(&EXECUTION_USAGES, usage.source(), format!("{} is covered twice", usage.shown()));
                added.beside(other.source(), "the first");
            }
            seen.push(usage);
        }
    }
    let lists = |name: &str| seen.iter().any(|usage| usage.text() == Some(name));
    let Some(configs) = target.get("executionConfigs").filter(|_| !seen.is_empty()) else { return };
    let verified = project.phases().any(|(_, phase)| phase.verified != Verified::No);
    let missing: Vec<&str> = ["RENDER", "DEPLOY", "VERIFY"]
        .into_iter()
        .filter(|name| !lists(name) && (*name != "VERIFY" || verified))
        .collect();
    if !missing.is_empty() {
        let message = format!("no execution config has the usage {}", missing.join(", "));
        found.add(&EXECUTION_USAGES, configs.key_source(), message);
    }
}
