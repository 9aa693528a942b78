//! The gate's own arguments.

use super::rule;
use crate::lint::at::At;
use crate::lint::finding::{Found, Rule};
use crate::lint::gate::Gate;
use crate::lint::project::Project;
use crate::text::one_line;

rule!(
    GATE_ARGUMENTS,
    "gate-arguments",
    Error,
    High,
    "the gate refuses its own arguments",
    "Every verify job ends with exit code 2 before it has asked anything.",
    "Write the arguments as `canary-gate verify --help` has them."
);
rule!(
    NO_IDENTITY,
    "no-identity",
    Warning,
    Medium,
    "the gate runs in a rollout without `--require-identity`",
    "Where the Cloud Run Admin API cannot say which revision answers, the gate warns and passes: what was verified may be another revision.",
    "Add `--require-identity`, and give the gate's account roles/run.viewer."
);
rule!(
    GATE_URL,
    "gate-url",
    Warning,
    Medium,
    "the gate has `--url` in a rollout",
    "The address is the same for every release; in a rollout the gate finds the revision that was deployed by itself.",
    "Take `--url` away."
);

rule!(
    BUILD_ACCOUNT,
    "build-account",
    Warning,
    Medium,
    "a build that runs the gate names no account",
    "It then runs as the project's default account, for which Cloud Build gives out no identity tokens: a private service answers 403.",
    "Write `serviceAccount:` with the gate's account in full."
);
rule!(
    BUILD_LOGS,
    "build-logs",
    Error,
    High,
    "a build with an account of its own does not say where its log goes",
    "Cloud Build refuses it.",
    "Write `options: {logging: CLOUD_LOGGING_ONLY}`, or a `logsBucket`."
);

rule!(
    AUDIT_AT_ONCE,
    "audit-at-once",
    Warning,
    High,
    "an audit runs right after a deploy and does not wait",
    "What a revision logged and served in its first minutes cannot be seen before they are over: rows are without data, and the job fails.",
    "Add `--wait`, and limits that leave time for it."
);

pub(super) const RULES: &[&Rule] =
    &[&BUILD_ACCOUNT, &BUILD_LOGS, &GATE_ARGUMENTS, &NO_IDENTITY, &GATE_URL, &AUDIT_AT_ONCE];

pub(super) fn check(project: &Project<'_>, found: &mut Found) {
    let cases = project.all_cases().filter_map(|case| case.gate.as_ref());
    let actions = project.all_actions().flat_map(|action| &action.gates);
    for gate in cases.chain(actions).chain(project.builds.iter().flat_map(|build| &build.gates)) {
        if let Err(message) = &gate.read {
            found.add(&GATE_ARGUMENTS, at(gate, message), format!("the gate says: {}", one_line(message)));
        }
    }
    for build in &project.builds {
        let account = build.at.get("serviceAccount");
        if let Some(gate) = build.gates.first().filter(|_| account.is_none()) {
            found.add(&BUILD_ACCOUNT, gate.args.key_source(), "the build names no serviceAccount");
        }
        let logs = build
            .at
            .get("logsBucket")
            .or(build.at.path(&["options", "logging"]))
            .or(build.at.path(&["options", "defaultLogsBucketBehavior"]));
        if let (Some(account), None) = (account, logs) {
            found.add(
                &BUILD_LOGS,
                account.key_source(),
                "the build has an account, and no options.logging or logsBucket",
            );
        }
    }
    for (_, _, _, gate) in project.gates() {
        let Some(args) = gate.known().filter(|args| !args.audits) else { continue };
        if !args.require_identity {
            found.add(&NO_IDENTITY, gate.args.key_source(), "a revision that cannot be proven passes with a warning");
        }
        if args.url {
            found.add(&GATE_URL, gate.flag("--url").source(), "the address is that of no particular revision");
        }
    }
    audits(project, found);
}

fn audits(project: &Project<'_>, found: &mut Found) {
    for (_, phase, action, _) in project.acts() {
        for gate in &action.gates {
            if gate.known().is_some_and(|args| args.audits && !args.wait) {
                let message =
                    format!("the audit of the phase {:?} looks before there is anything to be seen", phase.id);
                found.add(&AUDIT_AT_ONCE, gate.args.key_source(), message);
            }
        }
    }
}

/// The argument that a message of the gate is about, or all of them.
fn at(gate: &Gate<'_>, message: &str) -> crate::outcome::Source {
    let named = |text: &str| text.len() > 2 && message.contains(text.split('=').next().unwrap_or(text));
    let argument = gate.args.items().find(|at| at.text().is_some_and(named));
    argument.map_or(gate.args.key_source(), At::source)
}
