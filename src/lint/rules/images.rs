//! Images: pinned, provided, and the gate's built as Skaffold runs it.

use super::checks::image;
use super::rule;
use crate::lint::at::At;
use crate::lint::finding::{Found, Rule};
use crate::lint::gate::is_gate;
use crate::lint::project::Project;
use crate::outcome::{Place, Source};
use crate::text::cut;

rule!(
    IMAGE_BY_TAG,
    "image-by-tag",
    Warning,
    High,
    "an image is named by a tag, or by nothing, where it is deployed",
    "A tag can be moved: a rollback deploys what it points to then, and what was verified is not what runs.",
    "Write a bare name that the release pins (`--images=NAME=…@sha256:…`), or the digest itself."
);
rule!(
    IMAGE_NOT_PROVIDED,
    "image-not-provided",
    Error,
    Medium,
    "nothing provides an image by its name",
    "The bare name reaches Cloud Run as it is, is looked for on Docker Hub, and the deployment fails.",
    "Name it in `--images` of the release (in pipeline.env, SERVICE and IMAGE are the names that the documents use), or build it in skaffold.yaml."
);
rule!(
    GATE_IMAGES_DIFFER,
    "gate-images-differ",
    Warning,
    Medium,
    "two verify stanzas run the gate from different images",
    "One release then has two gates, of which one may be without the checks file or of another version.",
    "Name the same image in every profile."
);
rule!(
    ENV_DROPPED,
    "env-dropped",
    Error,
    High,
    "an image built from the gate's sets ENV or CMD",
    "Skaffold runs a verify container with an environment of its own, so that what the image sets is lost; a CMD is added behind the arguments where none are given.",
    "Pass it as arguments of the verify stanza: `--checks=/checks.yaml`."
);

pub(super) const RULES: &[&Rule] = &[&IMAGE_BY_TAG, &IMAGE_NOT_PROVIDED, &GATE_IMAGES_DIFFER, &ENV_DROPPED];

pub(super) fn check(project: &Project<'_>, found: &mut Found) {
    let services =
        project.services.iter().flat_map(|service| service.list(&["spec", "template", "spec", "containers"]));
    let deployed = services.filter_map(|container| image(container.get("image")));
    let acting = project.all_actions().flat_map(|action| action.images.iter().filter_map(|at| image(Some(*at))));
    let verifying = project.all_cases().filter_map(|case| image(case.image)).chain(acting);
    let provided = provided(project);
    for (name, at) in deployed.chain(verifying) {
        let last = name.rsplit('/').next().unwrap_or(name);
        if !name.contains("@sha256:") && (name.contains('/') || last.contains(':')) {
            found.add(&IMAGE_BY_TAG, at.source(), format!("{:?} has no digest", cut(name, 80)));
        } else if !name.contains('@')
            && let Some((names, place)) = &provided
            && !names.contains(&name)
        {
            let message = format!("nothing provides the image {:?}; provided are {}", cut(name, 60), names.join(", "));
            found.add(&IMAGE_NOT_PROVIDED, at.source(), message).beside(place.clone(), "what is provided");
        }
    }
    let audits = project.all_actions().filter(|action| !action.gates.is_empty()).flat_map(|action| &action.images);
    let audits = audits.filter(|at| at.text().is_some_and(is_gate)).filter_map(|at| image(Some(*at)));
    let verifying = project.all_cases().filter(|case| case.gate.is_some()).filter_map(|case| image(case.image));
    let mut gates = verifying.chain(audits);
    if let Some((first, place)) = gates.next() {
        for (name, at) in gates.filter(|(name, _)| *name != first) {
            let message = format!("the gate is {:?} here and {:?} in another stanza", cut(name, 60), cut(first, 60));
            found.add(&GATE_IMAGES_DIFFER, at.source(), message).beside(place.source(), "the other stanza");
        }
    }
    dockerfiles(project, found);
}

/// The names that a release gives images, and where; nothing where no file says so.
fn provided<'a>(project: &Project<'a>) -> Option<(Vec<&'a str>, Source)> {
    let mut names = Vec::new();
    let mut place = None;
    for coordinate in ["SERVICE", "IMAGE"].iter().filter_map(|name| project.coordinate(name)) {
        names.push(coordinate.value);
        place.get_or_insert_with(|| coordinate.at.clone());
    }
    for build in &project.builds {
        for (at, list) in build
            .at
            .list(&["steps"])
            .flat_map(|step| step.list(&["args"]))
            .filter_map(|at| Some((at, at.text()?.strip_prefix("--images=")?)))
        {
            names.extend(list.split(',').filter_map(|pair| Some(pair.split_once('=')?.0)));
            place.get_or_insert_with(|| at.source());
        }
    }
    let place = place?;
    let built = project.skaffolds.iter().flat_map(|skaffold| skaffold.at.list(&["build", "artifacts"]));
    names.extend(built.filter_map(|artifact| artifact.get("image").and_then(At::text)));
    Some((names, place))
}

/// Whether an image that another is built from is the gate's: by its name, or by that of the argument that names it.
fn is_base(image: &str) -> bool {
    is_gate(image) || image.starts_with('$') && image.contains("GATE")
}

fn dockerfiles(project: &Project<'_>, found: &mut Found) {
    for file in &project.dockerfiles {
        let mut of_gate = false;
        for (line, number) in file.text.lines().zip(1..) {
            let mut words = line.split_whitespace();
            let word = words.next().unwrap_or_default().to_ascii_uppercase();
            match &*word {
                "FROM" => of_gate = words.find(|word| !word.starts_with("--")).is_some_and(is_base),
                "ENV" | "CMD" if of_gate => {
                    let at = Source { file: file.name.clone(), place: Place { line: number, column: 1 } };
                    found.add(
                        &ENV_DROPPED,
                        at,
                        format!("{word} in an image of the gate does not reach the verify job as it is"),
                    );
                }
                _ => {}
            }
        }
    }
}
