//! The phases of a canary: their shares, their tags, who owns the traffic, and whether anything verifies them.

use super::rule;
use crate::lint::at::At;
use crate::lint::finding::{Found, Rule};
use crate::lint::project::{Project, Stage, Verified};
use crate::text::cut;

rule!(
    PHASE_PERCENTAGES,
    "phase-percentages",
    Error,
    High,
    "the percentages of the phases do not rise to 100",
    "Cloud Deploy refuses the pipeline, or a later phase takes traffic away from a revision that was verified with more.",
    "Let each phase have more than the one before; a custom canary ends with 100, and `percentages` ends below 100."
);
rule!(
    STABLE_PHASE,
    "stable-phase",
    Error,
    High,
    "the last phase of a custom canary is not named `stable`",
    "A rollback begins at the phase `stable` of the release before; where there is none, it cannot.",
    "Name the phase of 100 % `stable`."
);
rule!(
    PHASE_UNVERIFIED,
    "phase-unverified",
    Warning,
    High,
    "nothing verifies a phase",
    "The phase ends as soon as the revision is deployed, and what serves then has been checked by nobody.",
    "Set `verify: true`, with a verify stanza in the phase's profile."
);
rule!(
    EXPECTED_PERCENT,
    "expected-percent",
    Error,
    High,
    "the gate expects another share of the traffic than its phase gives",
    "The gate waits for a share that never comes, and every rollout fails at this phase.",
    "Give `--expect-percent` the percentage of the phase."
);
rule!(
    NO_EXPECTED_PERCENT,
    "no-expected-percent",
    Warning,
    Medium,
    "the gate is not told what share of the traffic its phase gives",
    "It then passes whatever the share is, also where somebody has changed the traffic by hand.",
    "Add `--expect-percent=` with the percentage of the phase."
);
rule!(
    PHASE_TAG,
    "phase-tag",
    Error,
    High,
    "the gate asks for a tag that the pipeline does not set",
    "Below 100 % the gate reaches the new revision by the tag of the phase's name, or of `--tag`. Without the tag no address \
     serves the revision alone, and there is no verdict.",
    "Add the tag to `canaryRevisionTags`, or pass `--tag` with one that is there."
);
rule!(
    REVISION_TAGS,
    "revision-tags",
    Error,
    High,
    "one tag is set on two revisions",
    "A tag points to one revision. Where the canary's is also that of the one before, the gate may be asking the old one.",
    "Give each of `canaryRevisionTags`, `priorRevisionTags` and `stableRevisionTags` tags of its own."
);
rule!(
    TRAFFIC_CONTROL,
    "traffic-control",
    Error,
    High,
    "a canary on Cloud Run without `automaticTrafficControl: true`",
    "Nobody then divides the traffic: the share is whatever the manifest says, and the phases differ in name only.",
    "Set `strategy.canary.runtimeConfig.cloudRun.automaticTrafficControl: true`."
);
rule!(
    TRAFFIC_STANZA,
    "traffic-stanza",
    Error,
    High,
    "a manifest has a `traffic` stanza although Cloud Deploy owns the traffic",
    "The two contradict each other: the stanza is overwritten, or the rollout fails.",
    "Take `spec.traffic` out of the manifest."
);

pub(super) const RULES: &[&Rule] = &[
    &PHASE_PERCENTAGES,
    &STABLE_PHASE,
    &PHASE_UNVERIFIED,
    &EXPECTED_PERCENT,
    &NO_EXPECTED_PERCENT,
    &PHASE_TAG,
    &REVISION_TAGS,
    &TRAFFIC_CONTROL,
    &TRAFFIC_STANZA,
];

pub(super) fn check(project: &Project<'_>, found: &mut Found) {
    for stage in project.stages() {
        let Some(canary) = stage.canary else { continue };
        shares(stage, canary, found);
        tags(canary, found);
        control(project, stage, canary, found);
        for phase in stage.phases.iter().filter(|phase| phase.verified == Verified::No) {
            let at = phase.verify.unwrap_or(phase.at);
            found.add(&PHASE_UNVERIFIED, at.source(), format!("nothing verifies the phase {:?}", phase.id));
        }
    }
    gates(project, found);
}

fn shares(stage: &Stage<'_>, canary: At<'_>, found: &mut Found) {
    let custom = canary.get("customCanaryDeployment");
    if let (None, None) = (custom, canary.get("canaryDeployment")) {
        found.add(
            &PHASE_PERCENTAGES,
            canary.source(),
            "the canary has neither canaryDeployment nor customCanaryDeployment",
        );
    }
    let mut before: Option<(u64, At<'_>)> = None;
    for phase in &stage.phases {
        let Some((at, percent)) = phase.percentage.zip(phase.percent) else { continue };
        let last = custom.is_some() && stage.phases.last().is_some_and(|last| last.id == phase.id);
        let wrong = match before {
            _ if percent > 100 => Some("is over 100".to_owned()),
            Some((other, _)) if percent <= other => Some(format!("is not more than {other}, that of the phase before")),
            _ if last && percent != 100 => Some("is that of the last phase, which must be 100".to_owned()),
            _ if percent == 100 && !last => Some("is 100 before the last phase".to_owned()),
            _ => None,
        };
        if let Some(wrong) = wrong {
            let added = found.add(&PHASE_PERCENTAGES, at.source(), format!("the percentage {percent} {wrong}"));
            if let Some((_, other)) = before {
                added.beside(other.source(), "the phase before");
            }
        }
        before = Some((percent, at));
    }
    if let Some(last) = stage.phases.last()
        && custom.is_some()
        && last.id != "stable"
    {
        let at = last.at.get("phaseId").unwrap_or(last.at);
        let message = format!("the last phase is {:?}, and a rollback looks for \"stable\"", cut(&last.id, 40));
        found.add(&STABLE_PHASE, at.source(), message);
    }
}

fn tags(canary: At<'_>, found: &mut Found) {
    let Some(cloud_run) = canary.path(&["runtimeConfig", "cloudRun"]) else { return };
    let lists = ["canaryRevisionTags", "priorRevisionTags", "stableRevisionTags"];
    let mut seen: Vec<At<'_>> = Vec::new();
    for tag in lists.iter().flat_map(|list| cloud_run.list(&[list])) {
        match seen.iter().find(|other| other.text() == tag.text()) {
            Some(other) => {
                let message = format!("{} is set on another revision too", tag.shown());
                found.add(&REVISION_TAGS, tag.source(), message).beside(other.source(), "the same tag");
            }
            None => seen.push(tag),
        }
    }
}

fn control(project: &Project<'_>, stage: &Stage<'_>, canary: At<'_>, found: &mut Found) {
    let cloud_run = canary.path(&["runtimeConfig", "cloudRun"]);
    let target = stage.target.and_then(At::text).and_then(|name| project.target(name));
    let on_cloud_run = cloud_run.is_some() || target.is_some_and(|target| target.at.get("run").is_some());
    if !on_cloud_run {
        return;
    }
    let automatic = cloud_run.and_then(|cloud_run| cloud_run.get("automaticTrafficControl"));
    if !automatic.is_some_and(At::is_true) {
        let at = automatic.or(cloud_run).unwrap_or(canary);
        found.add(
            &TRAFFIC_CONTROL,
            at.source(),
            "Cloud Deploy is not told to divide the traffic: automaticTrafficControl: true",
        );
        return;
    }
    for traffic in project.services.iter().filter_map(|service| service.path(&["spec", "traffic"])) {
        let added = found.add(
            &TRAFFIC_STANZA,
            traffic.key_source(),
            "Cloud Deploy owns the traffic, and the manifest divides it too",
        );
        if let Some(automatic) = automatic {
            added.beside(automatic.key_source(), "Cloud Deploy divides it");
        }
    }
}

fn gates(project: &Project<'_>, found: &mut Found) {
    for (stage, phase, _, gate) in project.gates() {
        let Some(args) = gate.known().filter(|args| !args.audits) else { continue };
        match (args.expect_percent, phase.percent) {
            (Some(expected), Some(percent)) if u64::from(expected) != percent => {
                let message = format!("the gate expects {expected} %, and the phase {:?} has {percent} %", phase.id);
                let place = phase.percentage.unwrap_or(phase.at).source();
                found
                    .add(&EXPECTED_PERCENT, gate.flag("--expect-percent").source(), message)
                    .beside(place, "the phase");
            }
            (None, Some(percent)) => {
                let message = format!("the gate is not told that the phase {:?} has {percent} %", phase.id);
                let place = phase.percentage.unwrap_or(phase.at).source();
                found.add(&NO_EXPECTED_PERCENT, gate.args.key_source(), message).beside(place, "the phase");
            }
            _ => {}
        }
        let Some(cloud_run) = stage.canary.and_then(|canary| canary.path(&["runtimeConfig", "cloudRun"])) else {
            continue;
        };
        let below = phase.percent.is_none_or(|percent| percent < 100);
        let list = if below { "canaryRevisionTags" } else { "stableRevisionTags" };
        let Some(tag) = args.tag.as_deref().or(below.then_some(&*phase.id)) else { continue };
        if !cloud_run.list(&[list]).any(|known| known.text() == Some(tag)) {
            let message =
                format!("in the phase {:?} the gate asks for the tag {tag:?}, which {list} does not have", phase.id);
            let place = cloud_run.get(list).unwrap_or(cloud_run).key_source();
            found.add(&PHASE_TAG, gate.flag("--tag").key_source(), message).beside(place, "the tags");
        }
    }
}
