//! Targets, and the stages that deploy to them.

use super::rule;
use crate::lint::at::At;
use crate::lint::finding::{Found, Rule};
use crate::lint::project::Project;
use crate::text::{cut, similar};

rule!(
    UNKNOWN_TARGET,
    "unknown-target",
    Error,
    High,
    "a stage deploys to a target that no file has",
    "`gcloud deploy apply` accepts the pipeline, which then reports that its targets are not ready, and every release fails.",
    "Name a target that is there, or add its document."
);
rule!(
    UNUSED_TARGET,
    "unused-target",
    Warning,
    Medium,
    "a target that no stage deploys to",
    "It is kept up to date and never deployed to; often it is one half of a renaming.",
    "Use it in a stage, or take it away."
);
rule!(
    TARGET_LOCATION,
    "target-location",
    Error,
    High,
    "a target does not say where it is",
    "A target has exactly one of `run`, `gke`, `anthosCluster`, `multiTarget` and `customTarget`; that of Cloud Run is the full name of a location.",
    "Write `run: {location: projects/PROJECT/locations/REGION}`."
);
rule!(
    TWO_TARGETS,
    "two-targets",
    Error,
    Medium,
    "two stages deploy the same service to one place",
    "The second deploy makes another revision than the one that was verified, and a rollback of the first applies an older \
     manifest with its older shares: what was verified is not what is promoted.",
    "Use one target with a canary strategy of two phases."
);

pub(super) const RULES: &[&Rule] = &[&UNKNOWN_TARGET, &UNUSED_TARGET, &TARGET_LOCATION, &TWO_TARGETS];

pub(super) fn check(project: &Project<'_>, found: &mut Found) {
    stages(project, found);
    let used: Vec<&str> = project.stages().filter_map(|stage| stage.target?.text()).collect();
    let child = |name: &str| {
        project
            .targets
            .iter()
            .any(|other| other.at.list(&["multiTarget", "targetIds"]).any(|id| id.text() == Some(name)))
    };
    for target in &project.targets {
        if let Some((at, name)) = target.name.and_then(|at| Some((at, at.text()?)))
            && !project.pipelines.is_empty()
            && !used.contains(&name)
            && !child(name)
        {
            found.add(&UNUSED_TARGET, at.source(), format!("no stage deploys to the target {:?}", cut(name, 40)));
        }
        let places = ["run", "gke", "anthosCluster", "multiTarget", "customTarget"];
        let there = places.iter().filter(|key| target.at.get(key).is_some()).count();
        if there != 1 {
            let message = format!("the target has {there} of {}; want one", places.join(", "));
            found.add(&TARGET_LOCATION, target.at.source(), message);
        }
        if let Some(location) = target.location
            && location.text().is_none_or(|text| location_of(text).is_none())
        {
            let message = format!("wants projects/PROJECT/locations/REGION, found {}", location.shown());
            found.add(&TARGET_LOCATION, location.source(), message);
        }
    }
}

/// The project and the region of a location.
pub(super) fn location_of(text: &str) -> Option<(&str, &str)> {
    let (project, region) = text.strip_prefix("projects/")?.split_once("/locations/")?;
    (!project.is_empty() && !region.is_empty() && !project.contains('/') && !region.contains('/'))
        .then_some((project, region))
}

fn stages(project: &Project<'_>, found: &mut Found) {
    for pipeline in &project.pipelines {
        let mut places: Vec<(&str, At<'_>)> = Vec::new();
        for stage in &pipeline.stages {
            let Some((at, name)) = stage.target.and_then(|at| Some((at, at.text()?))) else { continue };
            let Some(target) = project.target(name) else {
                let names = project.targets.iter().filter_map(|target| target.name?.text());
                let hint =
                    similar(name, names).first().map_or(String::new(), |near| format!("; did you mean {near:?}?"));
                found.add(&UNKNOWN_TARGET, at.source(), format!("no file has the target {:?}{hint}", cut(name, 40)));
                continue;
            };
            let Some(location) = target.location.and_then(At::text) else { continue };
            match places.iter().find(|(other, _)| *other == location) {
                // One target twice is reported as a duplicate.
                Some((_, other)) if other.text() == at.text() => {}
                Some((_, other)) => {
                    let message = format!("this stage deploys to {location}, as the one of {} does", other.shown());
                    found.add(&TWO_TARGETS, at.source(), message).beside(other.source(), "the other stage");
                }
                None => places.push((location, at)),
            }
        }
    }
}
