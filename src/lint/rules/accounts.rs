//! Accounts and their roles: what each may do, where a policy says so.

use super::rule;
use super::targets::location_of;
use crate::lint::at::At;
use crate::lint::finding::{Found, Rule};
use crate::lint::gate::Gate;
use crate::lint::project::Project;
use crate::text::cut;

rule!(
    ACCOUNT_ID,
    "account-id",
    Error,
    High,
    "a service account that cannot exist",
    "Its id has 6 to 30 characters: lower case, digits and dashes, a letter first. The account cannot be created, or is another one than meant.",
    "Write `ID@PROJECT.iam.gserviceaccount.com` with an id of that form."
);
rule!(
    ACCOUNT_PROJECT,
    "account-project",
    Warning,
    Low,
    "a service account is of another project than the target",
    "It may be meant; more often it is what is left of a copied file.",
    "Name an account of the target's project."
);
rule!(
    GATE_ACCOUNT,
    "gate-account",
    Warning,
    Medium,
    "the gate runs as the account that deploys, or as the project's default one",
    "The gate changes nothing and needs no right to: as the deployer, or as the default account, which may do almost anything, a mistake in what it runs can change what it verifies.",
    "Give VERIFY an execution config with an account of its own."
);
rule!(
    GATE_MAY_WRITE,
    "gate-may-write",
    Warning,
    High,
    "the gate's account may change what it verifies",
    "It needs to look and to invoke, and nothing else.",
    "Grant roles/run.viewer and roles/run.invoker instead."
);
rule!(
    ROLE_PERMISSION,
    "role-permission",
    Error,
    High,
    "an account lacks a permission that a rule or a job needs",
    "The rule is accepted and fails when it is needed: roles/clouddeploy.releaser, for one, may roll back and may not retry a job.",
    "Grant a role that has the permission, or a custom role with it."
);

pub(super) const RULES: &[&Rule] = &[&ACCOUNT_ID, &ACCOUNT_PROJECT, &GATE_ACCOUNT, &GATE_MAY_WRITE, &ROLE_PERMISSION];

const ADVANCE: &str = "clouddeploy.rollouts.advance";
const CREATE: &str = "clouddeploy.rollouts.create";
const RETRY: &str = "clouddeploy.rollouts.retryJob";
const ROLLBACK: &str = "clouddeploy.rollouts.rollback";
const RUN: &str = "storage.objects.create";
const LOG: &str = "logging.logEntries.create";
const LOOK: &str = "run.services.get";
/// What an audit reads besides: rollouts, logs, values.
const ROLLOUTS: &str = "clouddeploy.rollouts.get";
const LOGS: &str = "logging.logEntries.list";
const VALUES: &str = "monitoring.timeSeries.list";
const INVOKE: &str = "run.routes.invoke";
const DEPLOY: &str = "run.services.update";

/// Roles, and which of the permissions above each has. Source: the vendor's pages "IAM roles and permissions" of Cloud Deploy
/// and "Cloud Run IAM roles", 2026.
pub(super) const ROLES: [(&str, &[&str]); 21] = [
    ("roles/owner", &[ADVANCE, CREATE, RETRY, ROLLBACK, RUN, LOG, LOOK, INVOKE, DEPLOY, ROLLOUTS, LOGS, VALUES]),
    ("roles/editor", &[ADVANCE, CREATE, RETRY, ROLLBACK, RUN, LOG, LOOK, INVOKE, DEPLOY, ROLLOUTS, LOGS, VALUES]),
    ("roles/viewer", &[LOOK, ROLLOUTS, LOGS, VALUES]),
    ("roles/clouddeploy.admin", &[ADVANCE, CREATE, RETRY, ROLLBACK, ROLLOUTS]),
    ("roles/clouddeploy.editor", &[ADVANCE, CREATE, RETRY, ROLLBACK, ROLLOUTS]),
    ("roles/clouddeploy.operator", &[ADVANCE, CREATE, RETRY, ROLLBACK, ROLLOUTS]),
    ("roles/clouddeploy.releaser", &[ADVANCE, CREATE, ROLLBACK, ROLLOUTS]),
    ("roles/clouddeploy.developer", &[ROLLOUTS]),
    ("roles/clouddeploy.approver", &[ROLLOUTS]),
    ("roles/clouddeploy.viewer", &[ROLLOUTS]),
    ("roles/clouddeploy.jobRunner", &[RUN, LOG]),
    ("roles/run.admin", &[LOOK, INVOKE, DEPLOY]),
    ("roles/run.developer", &[LOOK, INVOKE, DEPLOY]),
    ("roles/run.invoker", &[INVOKE]),
    ("roles/run.viewer", &[LOOK]),
    ("roles/logging.viewer", &[LOGS]),
    ("roles/monitoring.viewer", &[VALUES]),
    ("roles/logging.logWriter", &[LOG]),
    ("roles/artifactregistry.reader", &[]),
    ("roles/iam.serviceAccountUser", &[]),
    ("roles/iam.serviceAccountOpenIdTokenCreator", &[]),
];

/// What an account holds by the policies that are here.
struct Held<'a> {
    roles: Vec<At<'a>>,
}

impl<'a> Held<'a> {
    fn of(project: &Project<'a>, account: &str) -> Self {
        let bindings = project.policies.iter().flat_map(|policy| policy.list(&["bindings"]));
        let is_member = |at: &At<'a>| {
            at.list(&["members"])
                .any(|member| member.text().and_then(|text| text.strip_prefix("serviceAccount:")) == Some(account))
        };
        Self { roles: bindings.filter(is_member).filter_map(|binding| binding.get("role")).collect() }
    }

    /// Whether it has a permission; nothing where a role is none of those that are known.
    fn has(&self, permission: &str) -> Option<bool> {
        let known = |role: &At<'_>| {
            ROLES.iter().find(|(name, _)| role.text() == Some(name)).map(|(_, permissions)| *permissions)
        };
        let all: Vec<Option<&[&str]>> = self.roles.iter().map(known).collect();
        if all.iter().flatten().any(|permissions| permissions.contains(&permission)) {
            return Some(true);
        }
        all.iter().all(Option::is_some).then_some(false)
    }
}

pub(super) fn check(project: &Project<'_>, found: &mut Found) {
    let home =
        project.targets.iter().find_map(|target| Some((location_of(target.location?.text()?)?.0, target.location?)));
    let mut accounts: Vec<At<'_>> = Vec::new();
    for target in &project.targets {
        accounts.extend(target.at.list(&["executionConfigs"]).filter_map(|config| config.get("serviceAccount")));
        jobs(project, target.at, found);
        default_account(project, target.at, found);
    }
    accounts.extend(project.automations.iter().filter_map(|automation| automation.at.get("serviceAccount")));
    accounts.extend(
        project.services.iter().filter_map(|service| service.path(&["spec", "template", "spec", "serviceAccountName"])),
    );
    for at in accounts {
        let Some(text) = at.text() else { continue };
        let account = text.rsplit('/').next().unwrap_or(text);
        match account.split_once('@') {
            Some((id, domain)) if is_id(id) && is_domain(domain) => {
                if let (Some(own), Some((wanted, place))) = (domain.strip_suffix(".iam.gserviceaccount.com"), home)
                    && own != wanted
                {
                    let message =
                        format!("the account is of the project {:?}, and the target of {wanted:?}", cut(own, 40));
                    found.add(&ACCOUNT_PROJECT, at.source(), message).beside(place.source(), "the target");
                }
            }
            _ => {
                let message = format!(
                    "{:?} is not a service account: ID@PROJECT.iam.gserviceaccount.com, the id of 6 to 30 characters",
                    cut(text, 80)
                );
                found.add(&ACCOUNT_ID, at.source(), message);
            }
        }
    }
    for automation in &project.automations {
        let Some((at, account)) = automation.at.get("serviceAccount").and_then(|at| Some((at, at.text()?))) else {
            continue;
        };
        for rule in &automation.rules {
            let steps = |key: &str| rule.at.list(&["repairPhases"]).any(|step| step.get(key).is_some());
            let needed: Vec<&str> = match rule.kind {
                "advanceRollout" => vec![ADVANCE],
                "repairRollout" => [(RETRY, "retry"), (ROLLBACK, "rollback")]
                    .iter()
                    .filter(|(_, key)| steps(key))
                    .map(|(permission, _)| *permission)
                    .collect(),
                "promoteRelease" | "timedPromoteRelease" => vec![CREATE],
                _ => Vec::new(),
            };
            for permission in needed {
                lacks(project, account, permission, rule.at.key_source(), (at, "the account"), found);
            }
        }
    }
}

/// Whether the gate runs as nobody in particular.
fn default_account(project: &Project<'_>, target: At<'_>, found: &mut Found) {
    let name = target.text_at(&["metadata", "name"]);
    let verified = project.gates().any(|(stage, ..)| stage.target.and_then(At::text) == name);
    let verifies = |config: &At<'_>| config.list(&["usages"]).any(|usage| usage.text() == Some("VERIFY"));
    let own =
        target.list(&["executionConfigs"]).any(|config| verifies(&config) && config.get("serviceAccount").is_some());
    if verified && !own {
        let at = target.get("executionConfigs").unwrap_or(target).key_source();
        found.add(&GATE_ACCOUNT, at, "no account is named for VERIFY: the gate runs as the project's default one");
    }
}

/// Whether the accounts of a target's jobs may do them, and the gate's no more.
fn jobs(project: &Project<'_>, target: At<'_>, found: &mut Found) {
    let configs =
        || target.list(&["executionConfigs"]).filter_map(|config| Some((config, config.get("serviceAccount")?)));
    let uses = |config: At<'_>, name: &str| config.list(&["usages"]).any(|usage| usage.text() == Some(name));
    let name = target.text_at(&["metadata", "name"]);
    let is_audited = project.acts().any(|(stage, _, action, usage)| {
        let audits = |gate: &Gate<'_>| usage == "POSTDEPLOY" && gate.known().is_some_and(|args| args.audits);
        stage.target.and_then(At::text) == name && action.gates.iter().any(audits)
    });
    // What is done after a deploy and has no execution config of its own is done in that of the deploy.
    let has_own = target.list(&["executionConfigs"]).any(|config| uses(config, "POSTDEPLOY"));
    let audits = |config: &At<'_>| uses(*config, if has_own { "POSTDEPLOY" } else { "DEPLOY" });
    if is_audited && !has_own {
        let at = target.get("executionConfigs").unwrap_or(target).key_source();
        found.add(&GATE_ACCOUNT, at, "no account is named for POSTDEPLOY: the audit runs as the account that deploys");
    }
    for (config, at) in configs() {
        let Some(account) = at.text() else { continue };
        let mut needed = vec![RUN, LOG];
        if uses(config, "DEPLOY") {
            needed.push(DEPLOY);
        }
        if uses(config, "VERIFY") {
            needed.extend([LOOK]);
        }
        if is_audited && audits(&config) {
            needed.extend([LOOK, ROLLOUTS, LOGS, VALUES]);
        }
        for permission in needed {
            lacks(
                project,
                account,
                permission,
                at.source(),
                (config.get("usages").unwrap_or(config), "what it does"),
                found,
            );
        }
        if !uses(config, "VERIFY") {
            continue;
        }
        let deployer =
            configs().find(|(_, other)| other.text() == at.text()).filter(|(other, _)| uses(*other, "DEPLOY"));
        if let Some((other, _)) = deployer {
            let message = format!("the gate runs as {account}, which deploys");
            found.add(&GATE_ACCOUNT, at.source(), message).beside(other.source(), "the deployer");
        } else if Held::of(project, account).has(DEPLOY) == Some(true) {
            let held = Held::of(project, account);
            let role = held.roles.iter().find(|role| {
                ROLES.iter().any(|(name, permissions)| role.text() == Some(name) && permissions.contains(&DEPLOY))
            });
            let message = format!("the gate's account {account} may change the service");
            let added = found.add(&GATE_MAY_WRITE, role.map_or(at.source(), |role| role.source()), message);
            added.beside(at.source(), "the gate's account");
        }
    }
}

fn lacks(
    project: &Project<'_>,
    account: &str,
    permission: &str,
    place: crate::outcome::Source,
    other: (At<'_>, &str),
    found: &mut Found,
) {
    let Some(policy) = project.policies.first() else { return };
    let held = Held::of(project, account);
    if held.has(permission) == Some(false) {
        let roles: Vec<&str> = held.roles.iter().filter_map(|role| role.text()).collect();
        let has = if roles.is_empty() { "no role".to_owned() } else { roles.join(", ") };
        let message = format!("{account} has {has} and needs {permission}");
        let role = held.roles.first().copied().unwrap_or(*policy);
        found
            .add(&ROLE_PERMISSION, place, message)
            .beside(other.0.source(), other.1)
            .beside(role.source(), "the policy");
    }
}

/// Whether a service account, or a project, may have this id.
pub(crate) fn is_id(id: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (6..=30).contains(&id.len()) && id.bytes().all(plain) && id.starts_with(|c: char| c.is_ascii_lowercase()) && !id.ends_with('-')
        // The accounts that Google makes begin with the project's number.
        || id.len() >= 6 && id.ends_with("-compute") && id.bytes().all(plain)
}

fn is_domain(domain: &str) -> bool {
    domain
        .strip_suffix(".gserviceaccount.com")
        .is_some_and(|own| own == "developer" || own.strip_suffix(".iam").is_some_and(|project| !project.is_empty()))
}
