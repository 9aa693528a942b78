//! What is deployed, by Cloud Deploy's environment or by hand. Pure: the environment is passed in.

use crate::http::Address;
use crate::outcome::DeploymentFacts;

/// A revision of a Cloud Run service in a rollout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Deployment {
    /// The project, by id or number.
    pub(crate) project: String,
    /// The region.
    pub(crate) region: String,
    /// The service's short name.
    pub(crate) service: String,
    /// The revision's short name.
    pub(crate) revision: String,
    /// The tag that serves the revision.
    pub(crate) tag: String,
    /// The rollout's phase.
    pub(crate) phase: Option<String>,
    /// The release's short name.
    pub(crate) release: Option<String>,
    /// The rollout's short name.
    pub(crate) rollout: Option<String>,
    /// The service's own addresses.
    pub(crate) service_urls: Vec<Address>,
    /// How much of the traffic the revision must have.
    pub(crate) percent: Option<u32>,
    /// The delivery pipeline that the rollout is of, by short names.
    pub(crate) pipeline: Pipeline,
}

/// A delivery pipeline, as far as the environment tells of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Pipeline {
    pub(crate) name: Option<String>,
    /// By id where that is known, else by number.
    pub(crate) project: Option<String>,
    pub(crate) region: Option<String>,
    /// The target of the rollout.
    pub(crate) target: Option<String>,
}

/// What a person gave by hand; it beats the environment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Given {
    /// `--project`
    pub(crate) project: Option<String>,
    /// `--region`
    pub(crate) region: Option<String>,
    /// `--service`
    pub(crate) service: Option<String>,
    /// `--revision`
    pub(crate) revision: Option<String>,
    /// `--tag`
    pub(crate) tag: Option<String>,
    /// `--expect-percent`
    pub(crate) percent: Option<u32>,
}

impl Deployment {
    /// Reads the deployment; nothing where neither Cloud Deploy nor the person says anything of one.
    ///
    /// # Errors
    /// What is missing or contradictory.
    pub(crate) fn read(given: &Given, env: &dyn Fn(&str) -> Option<String>) -> Result<Option<Self>, String> {
        let environment = Environment { get: &|name| env(name).filter(|value| !value.trim().is_empty()) };
        let in_cloud_deploy = environment.has("CLOUD_RUN_SERVICE") || environment.has("CLOUD_DEPLOY_ROLLOUT");
        if !given.names_a_deployment() && !in_cloud_deploy {
            return Ok(None);
        }
        if let Some(kind) = environment.foreign_target() {
            return Err(format!(
                "TARGET_TYPE is {kind:?}: the gate verifies Cloud Run services; pass --url for anything else"
            ));
        }
        let project = environment
            .part(given.project.as_ref(), "CLOUD_RUN_PROJECT", "project", "project")
            .or_else(|error| environment.first(&["CLOUD_DEPLOY_PROJECT_ID", "CLOUD_DEPLOY_PROJECT"]).ok_or(error))
            .and_then(|name| named("project", name))?;
        let region = environment
            .part(given.region.as_ref(), "CLOUD_RUN_LOCATION", "location", "region")
            .or_else(|error| environment.first(&["CLOUD_DEPLOY_LOCATION"]).ok_or(error))
            .and_then(|name| named("region", name))?;
        let service = environment
            .part(given.service.as_ref(), "CLOUD_RUN_SERVICE", "service", "service")
            .and_then(|name| named("service", name))?;
        let revision = environment
            .part(given.revision.as_ref(), "CLOUD_RUN_REVISION", "revision", "revision")
            .and_then(|name| named("revision", name))?;
        if !revision.starts_with(&format!("{service}-")) && given.revision.is_none() {
            return Err(format!(
                "the revision {revision} does not belong to the service {service}: one of CLOUD_RUN_REVISION and CLOUD_RUN_SERVICE is wrong"
            ));
        }
        let phase = environment.short("CLOUD_DEPLOY_PHASE");
        Ok(Some(Self {
            project,
            region,
            service,
            revision,
            tag: tag(given.tag.as_ref().or(phase.as_ref()))?,
            phase,
            release: environment.short("CLOUD_DEPLOY_RELEASE"),
            rollout: environment.short("CLOUD_DEPLOY_ROLLOUT"),
            service_urls: environment.service_urls()?,
            percent: given.percent,
            pipeline: environment.pipeline(),
        }))
    }

    /// Whether the environment is that of a rollout to something else than Cloud Run.
    pub(crate) fn is_elsewhere(env: &dyn Fn(&str) -> Option<String>) -> bool {
        Environment { get: env }.foreign_target().is_some()
    }

    /// Whether the service's own address answers from the revision alone.
    pub(crate) fn takes_all(&self) -> bool {
        self.percent == Some(100) || (self.percent.is_none() && self.phase.as_deref() == Some("stable"))
    }

    /// The tagged address, built from the service's own: the host gets the tag in front.
    pub(crate) fn built_address(&self) -> Option<Address> {
        if self.takes_all() {
            return self.service_urls.first().cloned();
        }
        self.service_urls.iter().find_map(|address| tagged(address, &self.tag))
    }

    /// The facts for the summary and the reports.
    pub(crate) fn facts(&self) -> DeploymentFacts {
        DeploymentFacts {
            project: Some(self.project.clone()),
            region: Some(self.region.clone()),
            service: Some(self.service.clone()),
            revision: Some(self.revision.clone()),
            phase: self.phase.clone(),
            release: self.release.clone(),
            rollout: self.rollout.clone(),
            pipeline: self.pipeline.name.clone(),
            pipeline_project: self.pipeline.project.clone(),
            pipeline_region: self.pipeline.region.clone(),
            target: self.pipeline.target.clone(),
            share: self.percent.or_else(|| self.takes_all().then_some(100)),
            rolled_back: None,
            serving: None,
        }
    }
}

impl Given {
    fn names_a_deployment(&self) -> bool {
        [&self.project, &self.region, &self.service, &self.revision, &self.tag].iter().any(|part| part.is_some())
    }
}

/// Cloud Deploy's environment: <https://cloud.google.com/deploy/docs/verify-deployment>. An empty variable counts as not set.
struct Environment<'e> {
    get: &'e dyn Fn(&str) -> Option<String>,
}

impl Environment<'_> {
    fn get(&self, name: &str) -> Option<String> {
        (self.get)(name)
    }

    /// The kind of target, where it is not Cloud Run.
    fn foreign_target(&self) -> Option<String> {
        self.get("TARGET_TYPE").filter(|kind| !kind.trim().is_empty() && !kind.eq_ignore_ascii_case("run"))
    }

    fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    fn first(&self, names: &[&str]) -> Option<String> {
        names.iter().find_map(|name| self.get(name))
    }

    /// The short form of a resource name.
    fn short(&self, name: &str) -> Option<String> {
        self.get(name).map(|value| short(&value))
    }

    fn pipeline(&self) -> Pipeline {
        Pipeline {
            name: self.short("CLOUD_DEPLOY_DELIVERY_PIPELINE"),
            project: self.first(&["CLOUD_DEPLOY_PROJECT_ID", "CLOUD_DEPLOY_PROJECT"]),
            region: self.short("CLOUD_DEPLOY_LOCATION"),
            target: self.short("CLOUD_DEPLOY_TARGET"),
        }
    }

    /// One part of the revision's name: given by hand, in a variable of its own, or inside the service's full name.
    fn part(&self, given: Option<&String>, name: &str, kind: &str, flag: &str) -> Result<String, String> {
        let alone = given.cloned().or_else(|| self.get(name)).map(|value| short(&value));
        let inside = || component(&self.get("CLOUD_RUN_SERVICE")?, kind);
        alone
            .or_else(inside)
            .ok_or_else(|| format!("the {kind} is not known: pass --{flag}, or set {name} as Cloud Deploy does"))
    }

    fn service_urls(&self) -> Result<Vec<Address>, String> {
        let urls = self.get("CLOUD_RUN_SERVICE_URLS").unwrap_or_default();
        let urls = urls.split(',').map(str::trim).filter(|url| !url.is_empty());
        urls.map(|url| Address::parse(url).map_err(|error| format!("CLOUD_RUN_SERVICE_URLS: {error}"))).collect()
    }
}

fn tag(written: Option<&String>) -> Result<String, String> {
    let tag =
        written.ok_or("the revision's tag is not known: pass --tag, or set CLOUD_DEPLOY_PHASE as Cloud Deploy does")?;
    if !tag.is_empty() && tag.bytes().all(is_of_a_name) {
        Ok(tag.clone())
    } else {
        Err(format!("{tag:?} is not a Cloud Run tag: lower-case letters, digits and hyphens; pass --tag"))
    }
}

/// A name that stands in the API's paths, as Google Cloud gives names. A project's may hold the domain that it is of.
pub(crate) fn named(flag: &str, name: String) -> Result<String, String> {
    let of_a_domain = |byte| flag == "project" && matches!(byte, b'.' | b':');
    let ends = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = name.as_bytes();
    if ends(bytes.first()) && ends(bytes.last()) && bytes.iter().all(|byte| is_of_a_name(*byte) || of_a_domain(*byte)) {
        return Ok(name);
    }
    Err(format!("{name:?} is not the name of a {flag}: lower-case letters, digits and hyphens; pass --{flag}"))
}

fn is_of_a_name(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-'
}

/// The last piece of a resource name.
pub(crate) fn short(name: &str) -> String {
    name.trim().trim_end_matches('/').rsplit('/').next().unwrap_or(name).to_owned()
}

/// The piece behind `projects/`, `locations/` or `services/`.
fn component(name: &str, kind: &str) -> Option<String> {
    let mut pieces = name.split('/').skip_while(|piece| piece.strip_suffix('s') != Some(kind));
    pieces.nth(1).map(str::to_owned)
}

/// A service's address with a tag in front, for both forms of host that Cloud Run gives: `SERVICE-HASH-REGION.a.run.app` and
/// `SERVICE-NUMBER.REGION.run.app`. Nothing for another domain.
fn tagged(address: &Address, tag: &str) -> Option<Address> {
    let host = address.host();
    if !host.ends_with(".run.app") || host.contains("---") {
        return None;
    }
    address.at_host(&format!("{tag}---{host}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(env: &[(&str, &str)], given: &Given) -> Result<Option<Deployment>, String> {
        Deployment::read(given, &|name| {
            env.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        })
    }

    const ENV: &[(&str, &str)] = &[
        ("TARGET_TYPE", "RUN"),
        ("CLOUD_RUN_SERVICE", "emergence-app"),
        (
            "CLOUD_RUN_SERVICE_URLS",
            "https://emergence-app-abc123-ew.a.run.app,https://emergence-app-42.europe-west1.run.app",
        ),
        ("CLOUD_RUN_REVISION", "emergence-app-00042-xyz"),
        ("CLOUD_RUN_LOCATION", "europe-west1"),
        ("CLOUD_RUN_PROJECT", "emergence-469005"),
        ("CLOUD_DEPLOY_PHASE", "canary"),
        (
            "CLOUD_DEPLOY_ROLLOUT",
            "projects/1/locations/europe-west1/deliveryPipelines/p/releases/r/rollouts/r-to-run-0001",
        ),
    ];

    #[test]
    fn cloud_deploys_environment_is_read() {
        let deployment = read(ENV, &Given::default()).unwrap().unwrap();
        assert_eq!(deployment.rollout.as_deref(), Some("r-to-run-0001"));
        assert_eq!((&*deployment.tag, deployment.takes_all()), ("canary", false));
        assert_eq!(deployment.built_address().unwrap().shown(), "https://canary---emergence-app-abc123-ew.a.run.app");
        let full: Vec<_> = ENV
            .iter()
            .filter(|(name, _)| !matches!(*name, "CLOUD_RUN_PROJECT" | "CLOUD_RUN_LOCATION"))
            .map(|(name, value)| match *name {
                "CLOUD_RUN_SERVICE" => (*name, "projects/42/locations/europe-west1/services/emergence-app"),
                "CLOUD_RUN_REVISION" => (*name, "projects/42/locations/x/services/y/revisions/emergence-app-00042-xyz"),
                _ => (*name, *value),
            })
            .collect();
        let deployment = read(&full, &Given::default()).unwrap().unwrap();
        assert_eq!(
            (&*deployment.project, &*deployment.region, &*deployment.revision),
            ("42", "europe-west1", "emergence-app-00042-xyz")
        );
    }

    #[test]
    fn what_is_missing_or_contradictory_is_named() {
        assert_eq!(read(&[], &Given::default()), Ok(None));
        for (name, value, piece) in [
            ("TARGET_TYPE", "GKE", "TARGET_TYPE is \"GKE\""),
            ("CLOUD_RUN_REVISION", "", "the revision is not known: pass --revision"),
            ("CLOUD_RUN_REVISION", "other-00001-abc", "does not belong to the service emergence-app"),
            ("CLOUD_DEPLOY_PHASE", "", "the revision's tag is not known"),
            ("CLOUD_DEPLOY_PHASE", "Canary 20", "is not a Cloud Run tag"),
            (
                "CLOUD_RUN_SERVICE_URLS",
                "emergence-app",
                "CLOUD_RUN_SERVICE_URLS: the URL \"emergence-app\" has no scheme",
            ),
        ] {
            let env: Vec<_> =
                ENV.iter().map(|(known, old)| (*known, if *known == name { value } else { old })).collect();
            let error = read(&env, &Given::default()).unwrap_err();
            assert!(error.contains(piece), "{name}: {error}");
        }
        for (given, piece) in [
            (Given { revision: Some(String::new()), ..Given::default() }, "\"\" is not the name of a revision"),
            (Given { revision: Some("..".into()), ..Given::default() }, "\"..\" is not the name of a revision"),
            (Given { service: Some("app?x=1".into()), ..Given::default() }, "\"app?x=1\" is not the name of a service"),
            (Given { project: Some("a b".into()), ..Given::default() }, "\"a b\" is not the name of a project"),
            (Given { region: Some("EU".into()), ..Given::default() }, "\"EU\" is not the name of a region"),
            (Given { tag: Some(String::new()), ..Given::default() }, "\"\" is not a Cloud Run tag"),
        ] {
            let error = read(ENV, &given).unwrap_err();
            assert!(error.contains(piece), "{error}");
        }
        let given = Given { project: Some("example.com:app-1".into()), ..Given::default() };
        assert_eq!(read(ENV, &given).unwrap().unwrap().project, "example.com:app-1");
        let given = Given { service: Some("app".into()), ..Given::default() };
        assert!(read(&[], &given).unwrap_err().contains("the project is not known"));
    }

    #[test]
    fn no_address_is_built_for_another_domain() {
        let env: Vec<_> = ENV
            .iter()
            .map(|(name, value)| {
                (*name, if *name == "CLOUD_RUN_SERVICE_URLS" { "https://app.example.com" } else { value })
            })
            .collect();
        assert_eq!(read(&env, &Given::default()).unwrap().unwrap().built_address(), None);
        let all = Given { percent: Some(100), ..Given::default() };
        assert_eq!(read(&env, &all).unwrap().unwrap().built_address().unwrap().shown(), "https://app.example.com");
    }
}
