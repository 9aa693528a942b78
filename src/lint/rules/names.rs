//! Names: each once, of the form that the APIs take, and the same in every file.

use super::rule;
use super::targets::location_of;
use crate::lint::at::At;
use crate::lint::finding::{Found, Rule};
use crate::lint::project::Project;
use crate::text::cut;

rule!(
    DUPLICATE_ID,
    "duplicate-id",
    Error,
    High,
    "two of a kind have one name",
    "The later one replaces the other, or the tool refuses both. A target may be in a pipeline once.",
    "Give each a name of its own."
);
rule!(
    NAME_FORM,
    "name-form",
    Error,
    High,
    "a name of a form that the API does not take",
    "Cloud Deploy and Cloud Run take lower case, digits and dashes, a letter first, up to 63 characters (49 for a service).",
    "Write the name in that form."
);
rule!(
    COORDINATES,
    "coordinates",
    Error,
    High,
    "pipeline.env, a build by hand and the pipeline's files have different names for one thing",
    "The commands that use the one ask for a project, pipeline, target or service that the others do not make.",
    "Write the same name in all of them; `canary-gate init` writes them from one set of parameters."
);
rule!(
    SUBSTITUTIONS,
    "substitutions",
    Error,
    Medium,
    "a substitution of a build is used and not declared, declared and not used, or of another form",
    "Cloud Build refuses the build, unless it is given on the command line or ALLOW_LOOSE is set.",
    "Declare each `_NAME` (capitals, digits, underscores) that is used, with a default, and none besides."
);

pub(super) const RULES: &[&Rule] = &[&DUPLICATE_ID, &NAME_FORM, &COORDINATES, &SUBSTITUTIONS];

pub(super) fn check(project: &Project<'_>, found: &mut Found) {
    once(project.pipelines.iter().filter_map(|pipeline| pipeline.name), "pipeline", found);
    once(project.targets.iter().filter_map(|target| target.name), "target", found);
    once(project.automations.iter().filter_map(|automation| automation.name), "automation", found);
    once(project.services.iter().filter_map(|service| service.path(&["metadata", "name"])), "service", found);
    for pipeline in &project.pipelines {
        once(pipeline.stages.iter().filter_map(|stage| stage.target), "target of the pipeline", found);
        for stage in &pipeline.stages {
            once(stage.phases.iter().filter_map(|phase| phase.at.get("phaseId")), "phase", found);
        }
    }
    for automation in &project.automations {
        once(automation.rules.iter().filter_map(|rule| rule.at.get("id").or(rule.at.get("name"))), "rule", found);
    }
    for skaffold in &project.skaffolds {
        once(skaffold.profiles.iter().filter_map(|profile| profile.name), "profile", found);
        once(skaffold.base.iter().filter_map(|case| case.name), "verify container", found);
        for profile in &skaffold.profiles {
            once(profile.cases.iter().flatten().filter_map(|case| case.name), "verify container", found);
        }
    }
    forms(project, found);
    coordinates(project, found);
    for build in &project.builds {
        substitutions(build.at, found);
    }
}

fn once<'a>(names: impl Iterator<Item = At<'a>>, kind: &str, found: &mut Found) {
    let mut seen: Vec<At<'_>> = Vec::new();
    for at in names.filter(|at| at.text().is_some()) {
        match seen.iter().find(|other| other.text() == at.text()) {
            Some(other) => {
                let message = format!("there is another {kind} {}", at.shown());
                found.add(&DUPLICATE_ID, at.source(), message).beside(other.source(), "the first");
            }
            None => seen.push(at),
        }
    }
}

fn forms(project: &Project<'_>, found: &mut Found) {
    let mut check = |at: Option<At<'_>>, longest: usize| {
        let Some((at, text)) = at.and_then(|at| Some((at, at.text()?))) else { return };
        if !is_name(text, longest) {
            let message = format!(
                "{:?} is not lower case, digits and dashes with a letter first, up to {longest} characters",
                cut(text, 80)
            );
            found.add(&NAME_FORM, at.source(), message);
        }
    };
    project.pipelines.iter().for_each(|pipeline| check(pipeline.name, 63));
    project.targets.iter().for_each(|target| check(target.name, 63));
    project.phases().for_each(|(_, phase)| check(phase.at.get("phaseId"), 63));
    project.services.iter().for_each(|service| check(service.path(&["metadata", "name"]), 49));
}

pub(crate) fn is_name(text: &str, longest: usize) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=longest).contains(&text.len())
        && text.bytes().all(plain)
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && !text.ends_with('-')
}

fn coordinates(project: &Project<'_>, found: &mut Found) {
    let locations =
        || project.targets.iter().filter_map(|target| Some((location_of(target.location?.text()?)?, target.location?)));
    let names = |list: Vec<Option<At<'_>>>| {
        list.into_iter().flatten().filter_map(|at| Some((at.text()?.to_owned(), at.source()))).collect::<Vec<_>>()
    };
    let services = names(project.services.iter().map(|service| service.path(&["metadata", "name"])).collect());
    let regions: Vec<_> = locations().map(|((_, region), at)| (region.to_owned(), at.source())).collect();
    let images = names(project.all_cases().map(|case| case.image).collect());
    let known = [
        ("PROJECT", locations().map(|((project, _), at)| (project.to_owned(), at.source())).collect()),
        ("REGION", regions.clone()),
        ("SERVICE", services.clone()),
        ("PIPELINE", names(project.pipelines.iter().map(|pipeline| pipeline.name).collect())),
        ("TARGET", names(project.targets.iter().map(|target| target.name).collect())),
        ("IMAGE", images.clone()),
    ];
    for (name, there) in &known {
        let Some(coordinate) = project.coordinate(name) else { continue };
        if let Some((other, place)) =
            there.first().filter(|_| !there.iter().any(|(value, _)| value == coordinate.value))
        {
            let message =
                format!("{name} is {:?} here and {:?} in the pipeline", cut(coordinate.value, 60), cut(other, 60));
            found.add(&COORDINATES, coordinate.at.clone(), message).beside(place.clone(), "the pipeline");
        }
    }
    for build in project.builds.iter().filter(|build| !build.gates.is_empty()) {
        for (name, there) in [("_SERVICE", &services), ("_REGION", &regions), ("_IMAGE", &images)] {
            let Some(at) = build.at.path(&["substitutions", name]) else { continue };
            // What is given with each build, and a reference in full, say nothing here.
            let given = |value: &&str| value.is_empty() || value.contains('/');
            let Some(value) = at.text().filter(|value| !given(value)) else { continue };
            if let Some((other, place)) = there.first().filter(|_| !there.iter().any(|(known, _)| known == value)) {
                let message = format!("{name} is {:?} here and {:?} in the pipeline", cut(value, 60), cut(other, 60));
                found.add(&COORDINATES, at.source(), message).beside(place.clone(), "the pipeline");
            }
        }
    }
}

fn substitutions(build: At<'_>, found: &mut Found) {
    let mut used: Vec<(String, At<'_>)> = Vec::new();
    for pair in build.pairs().filter(|pair| pair.key != "substitutions") {
        collect(pair.value, &mut used);
    }
    let declared = || build.get("substitutions").into_iter().flat_map(At::pairs);
    // Values may use others.
    declared().for_each(|pair| collect(pair.value, &mut used));
    let loose = build.text_at(&["options", "substitutionOption"]) == Some("ALLOW_LOOSE");
    for pair in declared() {
        let form = pair.key.strip_prefix('_').is_some_and(|rest| {
            !rest.is_empty()
                && rest.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_')
        });
        if !form {
            let message = format!("the substitution {:?} is not an underscore, capitals and digits", cut(pair.key, 40));
            found.add(&SUBSTITUTIONS, build.source_at(pair.place), message);
        } else if !loose && !used.iter().any(|(name, _)| name == pair.key) {
            found.add(
                &SUBSTITUTIONS,
                build.source_at(pair.place),
                format!("nothing uses the substitution {:?}", cut(pair.key, 40)),
            );
        }
    }
    for (name, at) in &used {
        if !loose && !declared().any(|pair| pair.key == name) {
            found.add(&SUBSTITUTIONS, at.source(), format!("the substitution {:?} is not declared", cut(name, 40)));
        }
    }
}

/// The substitutions that texts use, `$_NAME` or `${_NAME}`; `$$` is a dollar sign.
fn collect<'a>(at: At<'a>, used: &mut Vec<(String, At<'a>)>) {
    at.items().for_each(|item| collect(item, used));
    at.pairs().for_each(|pair| collect(pair.value, used));
    let text = at.text().unwrap_or_default().replace("$$", "");
    for piece in text.split('$').skip(1) {
        let piece = piece.strip_prefix('{').unwrap_or(piece);
        let name: String = piece.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
        if name.starts_with('_') {
            used.push((name, at));
        }
    }
}
