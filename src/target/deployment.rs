//! What is deployed, by Cloud Deploy's environment or by hand. Pure: the environment is passed in.

use url::Url;

use super::Target;

/// A revision of a Cloud Run service in a rollout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deployment {
    /// The project, by id or number.
    pub project: String,
    /// The region.
    pub region: String,
    /// The service's short name.
    pub service: String,
    /// The revision's short name.
    pub revision: String,
    /// The tag that serves the revision.
    pub tag: String,
    /// The rollout's phase.
    pub phase: Option<String>,
    /// The release's short name.
    pub release: Option<String>,
    /// The rollout's short name.
    pub rollout: Option<String>,
    /// The service's own addresses.
    pub service_urls: Vec<Target>,
    /// How much of the traffic the revision must have.
    pub percent: Option<u32>,
}

/// What a person gave by hand; it beats the environment.
#[derive(Clone, Debug, Default)]
pub struct Given {
    /// `--project`
    pub project: Option<String>,
    /// `--region`
    pub region: Option<String>,
    /// `--service`
    pub service: Option<String>,
    /// `--revision`
    pub revision: Option<String>,
    /// `--tag`
    pub tag: Option<String>,
    /// `--expect-percent`
    pub percent: Option<u32>,
}

impl Deployment {
    /// Reads the deployment; nothing where neither Cloud Deploy nor the person says anything of one.
    ///
    /// # Errors
    /// What is missing or contradictory.
    pub fn read(given: &Given, env: &dyn Fn(&str) -> Option<String>) -> Result<Option<Self>, String> {
        let env = |name: &str| env(name).filter(|value| !value.trim().is_empty());
        let by_hand = [&given.project, &given.region, &given.service, &given.revision, &given.tag]
            .iter()
            .any(|part| part.is_some());
        let in_cloud_deploy = env("CLOUD_RUN_SERVICE").is_some() || env("CLOUD_DEPLOY_ROLLOUT").is_some();
        if !by_hand && !in_cloud_deploy {
            return Ok(None);
        }
        if let Some(kind) = env("TARGET_TYPE").filter(|kind| !kind.eq_ignore_ascii_case("run")) {
            return Err(format!(
                "TARGET_TYPE is {kind:?}: the gate verifies Cloud Run services; pass --url for anything else"
            ));
        }
        let full = env("CLOUD_RUN_SERVICE").filter(|name| name.contains('/'));
        let inside = |kind: &str| full.as_deref().and_then(|name| component(name, kind));
        let part =
            |given: &Option<String>, name: &str, kind: &str, flag: &str| {
                given.clone().or_else(|| env(name)).map(|value| short(&value)).or_else(|| inside(kind)).ok_or_else(
                    || format!("the {kind} is not known: pass --{flag}, or set {name} as Cloud Deploy does"),
                )
            };
        let project = part(&given.project, "CLOUD_RUN_PROJECT", "project", "project");
        let project =
            project.or_else(|error| env("CLOUD_DEPLOY_PROJECT_ID").or(env("CLOUD_DEPLOY_PROJECT")).ok_or(error))?;
        let region = part(&given.region, "CLOUD_RUN_LOCATION", "location", "region");
        let region = region.or_else(|error| env("CLOUD_DEPLOY_LOCATION").ok_or(error))?;
        let service = part(&given.service, "CLOUD_RUN_SERVICE", "service", "service")?;
        let revision = part(&given.revision, "CLOUD_RUN_REVISION", "revision", "revision")?;
        if !revision.starts_with(&format!("{service}-")) && given.revision.is_none() {
            return Err(format!(
                "the revision {revision} is none of the service {service}: one of CLOUD_RUN_REVISION and CLOUD_RUN_SERVICE is wrong"
            ));
        }
        let phase = env("CLOUD_DEPLOY_PHASE").map(|phase| short(&phase));
        let tag = given
            .tag
            .clone()
            .or_else(|| phase.clone())
            .ok_or("the revision's tag is not known: pass --tag, or set CLOUD_DEPLOY_PHASE as Cloud Deploy does")?;
        if !tag.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-') {
            return Err(format!("{tag:?} is no Cloud Run tag: lower-case letters, digits and hyphens; pass --tag"));
        }
        let urls = env("CLOUD_RUN_SERVICE_URLS").unwrap_or_default();
        let urls = urls.split(',').map(str::trim).filter(|url| !url.is_empty());
        let service_urls = urls
            .map(|url| Target::parse(url).map_err(|error| format!("CLOUD_RUN_SERVICE_URLS: {error}")))
            .collect::<Result<_, _>>()?;
        let optional = |name: &str| env(name).map(|value| short(&value));
        let (release, rollout) = (optional("CLOUD_DEPLOY_RELEASE"), optional("CLOUD_DEPLOY_ROLLOUT"));
        Ok(Some(Self {
            project,
            region,
            service,
            revision,
            tag,
            phase,
            release,
            rollout,
            service_urls,
            percent: given.percent,
        }))
    }

    /// Whether the service's own address answers from the revision alone.
    #[must_use]
    pub fn takes_all(&self) -> bool {
        self.percent == Some(100) || (self.percent.is_none() && self.phase.as_deref() == Some("stable"))
    }

    /// The tagged address, built from the service's own: the host gets the tag in front.
    #[must_use]
    pub fn built_address(&self) -> Option<Target> {
        if self.takes_all() {
            return self.service_urls.first().cloned();
        }
        self.service_urls.iter().find_map(|target| tagged(target, &self.tag))
    }

    /// The facts for the summary and the reports, in their order.
    #[must_use]
    pub fn facts(&self) -> Vec<(String, String)> {
        let facts = [
            ("project", Some(&self.project)),
            ("region", Some(&self.region)),
            ("service", Some(&self.service)),
            ("revision", Some(&self.revision)),
            ("phase", self.phase.as_ref()),
            ("release", self.release.as_ref()),
            ("rollout", self.rollout.as_ref()),
        ];
        facts.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?.clone()))).collect()
    }
}

/// The last piece of a resource name.
#[must_use]
pub fn short(name: &str) -> String {
    name.trim().trim_end_matches('/').rsplit('/').next().unwrap_or(name).to_owned()
}

/// The piece behind `projects/`, `locations/` or `services/`.
fn component(name: &str, kind: &str) -> Option<String> {
    let mut pieces = name.split('/').skip_while(|piece| piece.strip_suffix('s') != Some(kind));
    pieces.nth(1).map(str::to_owned)
}

/// A service's address with a tag in front, for both forms of host that Cloud Run gives: `SERVICE-HASH-REGION.a.run.app` and
/// `SERVICE-NUMBER.REGION.run.app`. Nothing for another domain.
fn tagged(target: &Target, tag: &str) -> Option<Target> {
    let host = target.url.host_str()?;
    if !host.ends_with(".run.app") || host.contains("---") {
        return None;
    }
    let mut url: Url = target.url.clone();
    url.set_host(Some(&format!("{tag}---{host}"))).ok()?;
    Some(Target { url })
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
            ("CLOUD_RUN_REVISION", "other-00001-abc", "is none of the service emergence-app"),
            ("CLOUD_DEPLOY_PHASE", "", "the revision's tag is not known"),
            ("CLOUD_DEPLOY_PHASE", "Canary 20", "is no Cloud Run tag"),
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
