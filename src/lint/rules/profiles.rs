//! Skaffold's profiles and manifests, and the phases that use them.

use super::rule;
use crate::lint::at::At;
use crate::lint::finding::{Found, Rule};
use crate::lint::project::{Project, Verified};
use crate::text::{cut, similar};

rule!(
    UNKNOWN_PROFILE,
    "unknown-profile",
    Error,
    High,
    "a phase uses a profile that skaffold.yaml does not have",
    "The release is rendered once for each phase, and rendering fails: no release can be made.",
    "Name a profile that is there, or add it to skaffold.yaml."
);
rule!(
    UNUSED_PROFILE,
    "unused-profile",
    Warning,
    Medium,
    "a profile that no phase uses",
    "What it holds, a verify stanza for one, is never run.",
    "Name it in a phase, give it an activation, or take it away."
);
rule!(
    VERIFY_WITHOUT_STANZA,
    "verify-without-stanza",
    Error,
    High,
    "a phase is verified, and Skaffold has no verify stanza for it",
    "The verify job has nothing to run, and the rollout fails.",
    "Add a `verify` list to the phase's profile, or to the whole of skaffold.yaml."
);
rule!(
    STANZA_WITHOUT_VERIFY,
    "stanza-without-verify",
    Warning,
    High,
    "a profile has a verify stanza, and no phase that uses it is verified",
    "The stanza is never run: the gate is there and looks at nothing.",
    "Set `verify: true` in the phase."
);
rule!(
    UNKNOWN_ACTION,
    "unknown-action",
    Error,
    High,
    "a phase runs an action that Skaffold does not have for it",
    "The job before or after the deploy has nothing to run, and the rollout fails when the deploy is done.",
    "Name an action of `customActions` in the phase's profile, or in the whole of skaffold.yaml."
);
rule!(
    UNUSED_ACTION,
    "unused-action",
    Warning,
    Medium,
    "a custom action that no phase runs",
    "It is there and never run: an audit, for one, looks at nothing.",
    "Name it in `postdeploy: {actions: […]}` of a phase, or take it away."
);
rule!(
    MANIFEST_MISSING,
    "manifest-missing",
    Error,
    High,
    "Skaffold renders a file that is not there",
    "Rendering fails, and with it every release.",
    "Name a file that is there. Paths are relative to skaffold.yaml."
);
rule!(
    SERVICE_COUNT,
    "service-count",
    Error,
    High,
    "the manifests of a Cloud Run target do not hold exactly one service",
    "Cloud Deploy deploys one service or job to a target of Cloud Run; without one, or with several, rendering fails.",
    "Let the manifests of each release hold one service."
);
rule!(
    NO_SKAFFOLD_DEPLOYER,
    "no-deployer",
    Error,
    High,
    "skaffold.yaml does not deploy to Cloud Run, and the target is one of Cloud Run",
    "Without `deploy.cloudrun`, Skaffold deploys by kubectl, and the deploy job fails.",
    "Write `deploy: {cloudrun: {}}`."
);

pub(super) const RULES: &[&Rule] = &[
    &UNKNOWN_PROFILE,
    &UNUSED_PROFILE,
    &VERIFY_WITHOUT_STANZA,
    &STANZA_WITHOUT_VERIFY,
    &UNKNOWN_ACTION,
    &UNUSED_ACTION,
    &MANIFEST_MISSING,
    &SERVICE_COUNT,
    &NO_SKAFFOLD_DEPLOYER,
];

pub(super) fn check(project: &Project<'_>, found: &mut Found) {
    used(project, found);
    stanzas(project, found);
    actions(project, found);
    manifests(project, found);
}

fn actions(project: &Project<'_>, found: &mut Found) {
    for (_, phase) in project.phases() {
        let known: Vec<&str> =
            project.actions(phase).iter().filter_map(|action| action.name.and_then(At::text)).collect();
        for (_, at) in &phase.actions {
            let Some(name) = at.text().filter(|name| !known.contains(name)) else { continue };
            let hint = similar(name, known.iter().copied());
            let hint = hint.first().map_or(String::new(), |near| format!("; did you mean {near:?}?"));
            let message = format!("Skaffold has no action {:?} for the phase {:?}{hint}", cut(name, 40), phase.id);
            found.add(&UNKNOWN_ACTION, at.source(), message);
        }
    }
    if project.pipelines.is_empty() {
        return;
    }
    for action in project.all_actions() {
        let Some((at, name)) = action.name.and_then(|at| Some((at, at.text()?))) else { continue };
        let is_run =
            project.phases().any(|(_, phase)| phase.actions.iter().any(|(_, other)| other.text() == Some(name)));
        if !is_run {
            found.add(&UNUSED_ACTION, at.source(), format!("no phase runs the action {:?}", cut(name, 40)));
        }
    }
}

fn used(project: &Project<'_>, found: &mut Found) {
    let mut seen: Vec<At<'_>> = Vec::new();
    for (_, phase) in project.phases() {
        for at in &phase.profiles {
            let Some(name) = at.text() else { continue };
            if project.profile(name).is_none() && !seen.iter().any(|other| other.source() == at.source()) {
                let names = project.profiles().filter_map(|profile| profile.name?.text());
                let hint =
                    similar(name, names).first().map_or(String::new(), |near| format!("; did you mean {near:?}?"));
                let message = format!("no skaffold.yaml has the profile {:?}{hint}", cut(name, 40));
                let added = found.add(&UNKNOWN_PROFILE, at.source(), message);
                if let Some(skaffold) = project.skaffolds.first() {
                    added.beside(skaffold.at.get("profiles").unwrap_or(skaffold.at).key_source(), "the profiles");
                }
            }
            seen.push(*at);
        }
    }
    if project.pipelines.is_empty() {
        return;
    }
    for profile in project.profiles() {
        let Some((at, name)) = profile.name.and_then(|at| Some((at, at.text()?))) else { continue };
        let by_itself = profile.at.get("activation").is_some();
        if !by_itself && !seen.iter().any(|other| other.text() == Some(name)) {
            found.add(&UNUSED_PROFILE, at.source(), format!("no phase uses the profile {:?}", cut(name, 40)));
        }
    }
}

fn stanzas(project: &Project<'_>, found: &mut Found) {
    for (_, phase) in project.phases() {
        if phase.verified == Verified::Stanza && project.cases(phase).is_empty() {
            let at = phase.verify.unwrap_or(phase.at);
            let message = format!("the phase {:?} is verified, and no profile of it has a verify stanza", phase.id);
            let added = found.add(&VERIFY_WITHOUT_STANZA, at.source(), message);
            let profile = phase.profiles.iter().filter_map(|name| project.profile(name.text()?)).next_back();
            if let Some(profile) = profile {
                added.beside(profile.at.source(), "the profile");
            }
        }
    }
    for profile in project.profiles() {
        let Some((verify, name)) = profile.verify.zip(profile.name.and_then(At::text)) else { continue };
        let users = || {
            project
                .phases()
                .map(|(_, phase)| phase)
                .filter(|phase| phase.profiles.iter().any(|other| other.text() == Some(name)))
        };
        let Some(first) = users().next() else { continue };
        if profile.cases.as_ref().is_some_and(|cases| !cases.is_empty())
            && users().all(|phase| phase.verified != Verified::Stanza)
        {
            let message = format!(
                "the profile {:?} has a verify stanza, and the phase {:?} is not verified by it",
                cut(name, 40),
                first.id
            );
            found.add(&STANZA_WITHOUT_VERIFY, verify.key_source(), message).beside(first.at.source(), "the phase");
        }
    }
}

fn manifests(project: &Project<'_>, found: &mut Found) {
    for skaffold in &project.skaffolds {
        for at in &skaffold.manifests {
            let Some(path) = at.text() else { continue };
            // What is fetched from elsewhere cannot be looked for.
            if !path.contains("://") && !project.has_path(at.file, path) {
                found.add(&MANIFEST_MISSING, at.source(), format!("there is no file {:?} here", cut(path, 80)));
            }
        }
    }
    let Some(target) = project.targets.iter().find(|target| target.at.get("run").is_some()) else { return };
    let Some(skaffold) = project.skaffolds.first() else { return };
    let renders =
        |at: At<'_>| at.get("manifests").is_some_and(|manifests| manifests.pairs().any(|pair| pair.key != "rawYaml"));
    let otherwise = renders(skaffold.at) || skaffold.profiles.iter().any(|profile| renders(profile.at));
    if project.services.is_empty() && !otherwise {
        let at = skaffold.manifests.first().copied().unwrap_or(skaffold.at);
        let message = "no manifest that Skaffold renders holds a Cloud Run service";
        found.add(&SERVICE_COUNT, at.source(), message).beside(target.at.source(), "the target of Cloud Run");
    }
    let mut services = project.services.iter().filter(|service| {
        skaffold.manifests.iter().any(|at| {
            at.text().is_some_and(|pattern| crate::lint::path_fits(pattern.trim_start_matches("./"), service.file))
        })
    });
    let own = skaffold.at.path(&["manifests", "rawYaml"]).is_some();
    if let (true, Some(first), Some(second)) = (own, services.next(), services.next()) {
        let message = "a second service is rendered for one target of Cloud Run";
        found.add(&SERVICE_COUNT, second.source(), message).beside(first.source(), "the first");
    }
    let deploys = |at: At<'_>| at.path(&["deploy", "cloudrun"]).is_some();
    if project.pipelines.len() == 1
        && !deploys(skaffold.at)
        && !skaffold.profiles.iter().any(|profile| deploys(profile.at))
    {
        let at = skaffold.at.get("deploy").map_or(skaffold.at.source(), At::key_source);
        let message = "skaffold.yaml has no deploy.cloudrun";
        found.add(&NO_SKAFFOLD_DEPLOYER, at, message).beside(target.at.source(), "the target of Cloud Run");
    }
}
