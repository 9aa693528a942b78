//! Links to the Cloud Console, for what is known of a deployment by name. Pure.

use std::time::{Duration, SystemTime};

use super::DeploymentFacts;

/// A page of the Cloud Console.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Link {
    /// What it shows, in a word.
    pub(crate) name: &'static str,
    pub(crate) url: String,
}

const CONSOLE: &str = "https://console.cloud.google.com";

/// How much of the logs is shown before and after the run.
const AROUND: Duration = Duration::from_mins(1);

/// The pages of a deployment; each only where all of its names are known.
pub(super) fn links(facts: &DeploymentFacts, began: SystemTime, took: Duration) -> Vec<Link> {
    let pages = [
        ("service", service(facts, "metrics")),
        ("revision", facts.revision.as_ref().and_then(|_| service(facts, "revisions"))),
        ("logs", logs(facts, began, took)),
        ("rollout", rollout(facts)),
        ("pipeline", pipeline(facts)),
    ];
    pages.into_iter().filter_map(|(name, url)| Some(Link { name, url: url? })).collect()
}

fn service(facts: &DeploymentFacts, page: &str) -> Option<String> {
    let (project, region) = (named(facts.project.as_ref())?, named(facts.region.as_ref())?);
    let service = named(facts.service.as_ref())?;
    Some(format!("{CONSOLE}/run/detail/{region}/{service}/{page}?project={project}"))
}

/// The logs of the revision while the run went on.
fn logs(facts: &DeploymentFacts, began: SystemTime, took: Duration) -> Option<String> {
    let project = named(facts.project.as_ref())?;
    let (service, revision) = (facts.service.as_ref()?, facts.revision.as_ref()?);
    named(Some(service)).and(named(Some(revision)))?;
    let at = |time| humantime::format_rfc3339_seconds(time).to_string();
    let (from, to) = (at(began.checked_sub(AROUND)?), at(began.checked_add(took)?.checked_add(AROUND)?));
    let query = format!(
        "resource.type=\"cloud_run_revision\"\nresource.labels.service_name=\"{service}\"\n\
         resource.labels.revision_name=\"{revision}\"\ntimestamp>=\"{from}\"\ntimestamp<=\"{to}\""
    );
    let (query, from, to) = (encoded(&query), encoded(&from), encoded(&to));
    Some(format!("{CONSOLE}/logs/query;query={query};startTime={from};endTime={to}?project={project}"))
}

fn pipeline(facts: &DeploymentFacts) -> Option<String> {
    let project = named(facts.pipeline_project.as_ref())?;
    Some(format!("{}?project={project}", pipeline_path(facts)?))
}

fn rollout(facts: &DeploymentFacts) -> Option<String> {
    let project = named(facts.pipeline_project.as_ref())?;
    let (release, rollout) = (named(facts.release.as_ref())?, named(facts.rollout.as_ref())?);
    Some(format!("{}/releases/{release}/rollouts/{rollout}?project={project}", pipeline_path(facts)?))
}

fn pipeline_path(facts: &DeploymentFacts) -> Option<String> {
    let (region, pipeline) = (named(facts.pipeline_region.as_ref())?, named(facts.pipeline.as_ref())?);
    Some(format!("{CONSOLE}/deploy/delivery-pipelines/{region}/{pipeline}"))
}

/// A name for a URL; nothing for what cannot be one, such as a name of which a part was hidden.
fn named(name: Option<&String>) -> Option<String> {
    let name = name?;
    let is_of_a_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':');
    (!name.is_empty() && name.bytes().all(is_of_a_name)).then(|| encoded(name))
}

/// Text for a URL: everything but letters, digits and `-._~` in percent.
fn encoded(text: &str) -> String {
    let one = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        other => format!("%{other:02X}"),
    };
    text.bytes().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> DeploymentFacts {
        let text = |text: &str| Some(text.to_owned());
        DeploymentFacts {
            project: text("example.com:shop"),
            region: text("europe-west1"),
            service: text("shop"),
            revision: text("shop-00042-xyz"),
            release: text("rel-042"),
            rollout: text("rel-042-to-run-0001"),
            pipeline: text("shop-pipeline"),
            pipeline_project: text("deploy-1"),
            pipeline_region: text("europe-west4"),
            ..DeploymentFacts::default()
        }
    }

    fn of(facts: &DeploymentFacts) -> Vec<(&'static str, String)> {
        let began = SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_726_154);
        links(facts, began, Duration::from_secs(125)).into_iter().map(|link| (link.name, link.url)).collect()
    }

    #[test]
    fn every_page_is_that_of_its_names_and_the_logs_are_those_of_the_run() {
        let links = of(&facts());
        for (name, wanted) in [
            ("service", "/run/detail/europe-west1/shop/metrics?project=example.com%3Ashop"),
            ("revision", "/run/detail/europe-west1/shop/revisions?project=example.com%3Ashop"),
            (
                "rollout",
                "/deploy/delivery-pipelines/europe-west4/shop-pipeline/releases/rel-042/rollouts/rel-042-to-run-0001?project=deploy-1",
            ),
            ("pipeline", "/deploy/delivery-pipelines/europe-west4/shop-pipeline?project=deploy-1"),
        ] {
            assert!(links.contains(&(name, format!("{CONSOLE}{wanted}"))), "{name}: {links:?}");
        }
        let (_, logs) = links.iter().find(|(name, _)| *name == "logs").unwrap();
        for piece in [
            "revision_name%3D%22shop-00042-xyz%22",
            "timestamp%3E%3D%222026-11-26T20%3A48%3A14Z%22",
            ";endTime=2026-11-26T20%3A52%3A19Z?project=example.com%3Ashop",
        ] {
            assert!(logs.contains(piece), "{logs}");
        }
    }

    #[test]
    fn nothing_is_linked_whose_names_are_not_all_known() {
        let names = |facts: &DeploymentFacts| of(facts).into_iter().map(|(name, _)| name).collect::<Vec<_>>();
        assert_eq!(names(&DeploymentFacts::default()), [""; 0]);
        assert_eq!(names(&DeploymentFacts { region: None, ..facts() }), ["logs", "rollout", "pipeline"]);
        assert_eq!(names(&DeploymentFacts { pipeline: None, ..facts() }), ["service", "revision", "logs"]);
        let hidden = |text: &str| DeploymentFacts { service: Some(text.into()), ..facts() };
        assert_eq!(names(&hidden("***")), ["rollout", "pipeline"]);
        assert_eq!(names(&hidden("a/../b\"c")), ["rollout", "pipeline"]);
    }
}
