//! The checks file: its own mistakes, and whether the gate is given it.

use super::rule;
use crate::lint::Input;
use crate::lint::at::At;
use crate::lint::file::{File, base};
use crate::lint::finding::{Found, Rule};
use crate::lint::gate::Gate;
use crate::lint::project::Project;
use crate::outcome::Source;
use crate::plan::{Kind, Plan};
use crate::text::cut;

rule!(
    CHECKS_FILE,
    "checks-file",
    Error,
    High,
    "a checks file with mistakes",
    "The gate names them and ends with exit code 2 before it has asked anything: every rollout fails.",
    "`canary-gate checks --validate FILE` names them too; docs/checks.md has the codes."
);
rule!(
    CHECKS_UNUSED,
    "checks-unused",
    Warning,
    Medium,
    "a checks file is there, and no gate of the pipeline is given it",
    "The verify jobs run the embedded default plan instead.",
    "Put the file into an image built `FROM` the gate's, and add `--checks=/checks.yaml` to the arguments."
);
rule!(
    CHECKS_MISSING,
    "checks-missing",
    Warning,
    Low,
    "the gate is given a checks file that is not here",
    "Whether it is in the gate's image, and right, cannot be seen.",
    "Keep the file beside the pipeline's files, under the same name."
);
rule!(
    RESERVED_PATH,
    "reserved-path",
    Warning,
    High,
    "a check asks for a path that Cloud Run keeps for itself",
    "On run.app `/eventlog`, `/_ah/…` and paths that end in `z` never reach the container: the front end answers 404 for it.",
    "Let the application serve the same under another path, such as /health."
);

pub(super) const RULES: &[&Rule] = &[&CHECKS_FILE, &CHECKS_UNUSED, &CHECKS_MISSING, &RESERVED_PATH];

/// What the gates of the pipeline check.
pub(in crate::lint) fn plan(input: &Input<'_>, project: &Project<'_>, found: &mut Found) -> Option<Plan> {
    let gates = || {
        project
            .all_cases()
            .filter_map(|case| case.gate.as_ref())
            .chain(project.all_actions().flat_map(|action| &action.gates))
            .chain(project.builds.iter().flat_map(|build| &build.gates))
    };
    let named = || gates().filter_map(|gate| Some((gate, gate.known()?.checks.as_deref()?)));
    let file =
        |name: &str| input.files.iter().find(|file| base(&file.name) == base(name) && crate::lint::is_yaml(&file.name));
    for (gate, name) in named().filter(|(_, name)| file(name).is_none()) {
        let message = format!("the file {:?} is not here", cut(base(name), 60));
        found.add(&CHECKS_MISSING, gate.flag("--checks").source(), message);
    }
    let given = named().find_map(|(_, name)| file(name));
    let loose = || input.files.iter().find(|file| matches!(&*file.name, "checks.yaml" | "checks.yml"));
    let Some(file) = given.or_else(loose) else { return Some(input.default.clone()) };
    if given.is_none()
        && let Some(gate) = gates().next()
    {
        let at = Source { file: file.name.clone(), place: crate::lint::FIRST };
        found.add(&CHECKS_UNUSED, at, "no gate of the pipeline is given this file").beside(place(gate), "the gate");
    }
    read(input, file, found)
}

fn place(gate: &Gate<'_>) -> Source {
    gate.args.key_source()
}

fn read(input: &Input<'_>, file: &File, found: &mut Found) -> Option<Plan> {
    match (input.read_checks)(file) {
        Ok(plan) => Some(plan),
        Err(mistakes) => {
            for mistake in mistakes {
                let name = mistake.file.unwrap_or_else(|| file.name.clone());
                let at = Source { file: name, place: mistake.place.unwrap_or(crate::lint::FIRST) };
                let sentence = mistake.message.lines().next().unwrap_or_default();
                found.add(&CHECKS_FILE, at, format!("{sentence} ({})", mistake.code));
            }
            None
        }
    }
}

pub(super) fn check(project: &Project<'_>, found: &mut Found) {
    let Some(plan) = project.plan else { return };
    for check in plan.checks.iter().filter(|check| check.policy.enabled) {
        let paths: Vec<&str> = match &check.kind {
            Kind::Http(check) => vec![&check.request.path],
            Kind::Ready(ready) => vec![&ready.path],
            Kind::Metrics(metrics) => vec![&metrics.request.path],
            Kind::Smoke(smoke) => smoke.requests.iter().map(|(request, _)| &*request.path).collect(),
            Kind::Traffic(traffic) => traffic.requests.iter().map(|asked| &*asked.request.path).collect(),
        };
        for path in paths.into_iter().filter(|path| is_reserved(path)) {
            // The embedded default has none.
            let Some(at) = check.place.clone() else { continue };
            found.add(&RESERVED_PATH, at, format!("{} asks for {:?}", check.name, cut(path, 60)));
        }
    }
}

fn is_reserved(path: &str) -> bool {
    let path = path.split('?').next().unwrap_or(path);
    path.ends_with('z') || path == "/eventlog" || path.starts_with("/_ah/")
}

/// The path that a check asks for, and where the checks file speaks of it.
pub(super) fn path<'p>(project: &Project<'p>, name: &str) -> Option<(&'p str, Option<Source>)> {
    let plan: &'p Plan = project.plan?;
    let check = plan.checks.iter().find(|check| check.name == name && check.policy.enabled)?;
    match &check.kind {
        Kind::Http(http) => Some((&http.request.path, check.place.clone())),
        _ => None,
    }
}

/// Where an image says which one it is, for whoever compares them.
pub(super) fn image(at: Option<At<'_>>) -> Option<(&str, At<'_>)> {
    at.and_then(|at| Some((at.text()?, at)))
}
