//! Files as they are given, and what kind of document is in each.

use crate::outcome::{Diagnostic, Place};
use crate::yaml::{Edge, Limits, Value, build, code};

use super::at::At;

/// A file: its path in the folder, and its text.
#[derive(Clone, Debug)]
pub(crate) struct File {
    pub(crate) name: String,
    pub(crate) text: String,
}

/// The largest file that is read.
pub(crate) const MAX_FILE: u64 = 1024 * 1024;

const LIMITS: Limits = Limits { nodes: 20_000, several: true, noun: "pipeline's file" };

/// The most values, with those that aliases repeat.
const MOST: usize = 100_000;

/// A file whose text has been read.
pub(crate) struct Parsed<'a> {
    pub(crate) name: &'a str,
    pub(crate) text: &'a str,
    pub(crate) roots: Vec<Edge>,
    pub(crate) comments: Vec<(Place, String)>,
    /// What is wrong in it and can be read over: keys that are written twice.
    pub(crate) slips: Vec<Diagnostic>,
}

/// The name of a file without its folders.
pub(crate) fn base(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}

/// Whether a file's name says that it is YAML.
pub(crate) fn is_yaml(name: &str) -> bool {
    let ending = name.rsplit_once('.').map(|(_, ending)| ending);
    ending.is_some_and(|ending| ending.eq_ignore_ascii_case("yaml") || ending.eq_ignore_ascii_case("yml"))
}

/// Whether a file builds an image.
pub(crate) fn is_dockerfile(name: &str) -> bool {
    base(name) == "Dockerfile" || base(name).starts_with("Dockerfile.") || base(name).ends_with(".Dockerfile")
}

/// The file that holds the pipeline's coordinates for shells.
pub(crate) const COORDINATES: &str = "pipeline.env";

/// Reads a file of YAML.
///
/// # Errors
/// A text that is not YAML, or over a limit.
pub(super) fn parse(file: &File) -> Result<Parsed<'_>, Diagnostic> {
    let (name, text) = (&*file.name, &*file.text);
    let mut slips = Vec::new();
    let Some(built) = build(text, LIMITS, &mut slips) else {
        let mut why = slips.pop().unwrap_or_else(|| Diagnostic::new(code::YAML, None, "the file is not valid YAML"));
        if text.contains("{{") {
            why.help = Some("it looks like a template; render it first, and lint what comes out".into());
        }
        return Err(why.in_file(name));
    };
    let mut left = MOST;
    if !built.roots.iter().all(|root| fits(root, &mut left)) {
        let message = format!("the aliases of the file repeat over {MOST} values; no {} is that large", LIMITS.noun);
        return Err(Diagnostic::new(code::YAML, None, message).in_file(name));
    }
    Ok(Parsed { name, text, roots: built.roots, comments: built.comments, slips })
}

/// Whether a tree has so few values, each counted as often as it is used.
fn fits(edge: &Edge, left: &mut usize) -> bool {
    *left = left.saturating_sub(1);
    *left > 0
        && match &edge.node.value {
            Value::Scalar(_) => true,
            Value::List(items) => items.iter().all(|item| fits(item, left)),
            Value::Mapping(entries) => entries.iter().all(|entry| fits(&entry.value, left)),
        }
}

/// What kind of document a root is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Pipeline,
    Target,
    Automation,
    /// Another one of Cloud Deploy's, by the name of its table.
    Deploy(&'static str),
    Skaffold,
    Service,
    Build,
    Policy,
    /// Meant for one of these tools, and none of its documents.
    Broken,
    /// Something else.
    Other,
}

impl Kind {
    /// The table of its keys.
    pub(crate) fn table(self) -> Option<&'static str> {
        Some(match self {
            Self::Pipeline => "DeliveryPipeline",
            Self::Target => "Target",
            Self::Automation => "Automation",
            Self::Deploy(table) => table,
            Self::Skaffold => "Skaffold",
            Self::Service => "Service",
            Self::Build => "CloudBuild",
            Self::Policy => "Policy",
            Self::Broken | Self::Other => return None,
        })
    }

    pub(crate) fn of(root: At<'_>) -> Self {
        let version = root.get("apiVersion").and_then(At::text).unwrap_or_default();
        let kind = root.get("kind").and_then(At::text).unwrap_or_default();
        let has = |key: &str| root.get(key).is_some();
        match (version.split_once('/').unwrap_or((version, "")), kind) {
            (("deploy.cloud.google.com", "v1" | "v1beta1"), "DeliveryPipeline") => Self::Pipeline,
            (("deploy.cloud.google.com", "v1" | "v1beta1"), "Target") => Self::Target,
            (("deploy.cloud.google.com", "v1" | "v1beta1"), "Automation") => Self::Automation,
            (("deploy.cloud.google.com", "v1" | "v1beta1"), "CustomTargetType") => Self::Deploy("CustomTargetType"),
            (("deploy.cloud.google.com", "v1" | "v1beta1"), "DeployPolicy") => Self::Deploy("DeployPolicy"),
            (("skaffold", number), "Config") if is_skaffold(number) => Self::Skaffold,
            (("serving.knative.dev", "v1"), "Service") => Self::Service,
            (("deploy.cloud.google.com" | "skaffold" | "serving.knative.dev", _), _)
            | (_, "DeliveryPipeline" | "Automation") => Self::Broken,
            // A Kubernetes service has no template.
            (_, "Service") if root.path(&["spec", "template"]).is_some() => Self::Broken,
            _ if ["serialPipeline", "executionConfigs", "customCanaryDeployment"].into_iter().any(has) => Self::Broken,
            _ if has("rules") && has("selector") => Self::Broken,
            _ if has("profiles") && has("manifests") => Self::Broken,
            _ if version.is_empty() && root.get("steps").is_some_and(At::is_list) => Self::Build,
            _ if version.is_empty() && root.get("bindings").is_some_and(At::is_list) => Self::Policy,
            _ => Self::Other,
        }
    }
}

/// Whether a version of Skaffold's configuration exists.
fn is_skaffold(version: &str) -> bool {
    let rest = version.strip_prefix('v').unwrap_or_default();
    let (major, minor) = rest.split_once("beta").or_else(|| rest.split_once("alpha")).unwrap_or((rest, "1"));
    let number = |text: &str| text.parse::<u8>().is_ok_and(|number| (1..=30).contains(&number));
    number(major) && number(minor)
}
