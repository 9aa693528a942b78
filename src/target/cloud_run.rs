//! Asks the Cloud Run Admin API where the deployed revision answers, and whether it is what serves there.

use std::rc::Rc;
use std::time::Duration;

use serde::de::DeserializeOwned;
use tokio::time::Instant;

use super::run_api::{Revision, Service, Standing, TrafficStatus, standing};
use super::token::Tokens;
use super::{Deployment, Target};
use crate::plan::{Header, Request, RequestLimits, Retry};
use crate::probe::{Attempt, Probe, Tried, until};

const LIMITS: RequestLimits = RequestLimits { time: Duration::from_secs(10), body: 4 * 1024 * 1024 };

/// A deployment and the API that tells of it.
pub struct CloudRun {
    /// What was deployed.
    pub deployment: Deployment,
    /// Whether an identity that cannot be proven is an error.
    pub require_identity: bool,
    api: Probe,
    tokens: Rc<Tokens>,
}

/// What is known of the canary's address.
pub enum Established {
    /// It serves the deployed revision.
    Proven {
        /// The address.
        address: Target,
        /// The service's own address: what identity tokens are for.
        audience: String,
        /// The tags of other revisions, and their addresses.
        others: Vec<(String, Target)>,
        /// Whether clients stick to a revision.
        sticky: bool,
        /// Whether the service takes traffic of its own network only.
        internal: bool,
    },
    /// It should serve it; nobody could be asked.
    Unproven(Target, String),
    /// It does not serve it.
    Wrong(String),
    /// It is not known.
    Unknown(String),
}

/// Why the API tells nothing.
enum Silent {
    /// It may tell later.
    Passing(String),
    /// It will not tell whoever asks.
    Denied(String),
    /// There is no such service or revision.
    Missing(String),
}

impl CloudRun {
    /// Makes one for a deployment.
    #[must_use]
    pub fn new(deployment: Deployment, require_identity: bool, api: Probe, tokens: Rc<Tokens>) -> Self {
        Self { deployment, require_identity, api, tokens }
    }

    /// Finds the address, waiting for the revision to be ready; with the number of attempts.
    pub async fn establish(&self, retry: Retry, deadline: Instant, note: impl FnMut(u32, &str)) -> (Established, u32) {
        let attempt = async |_| match self.look(deadline).await {
            Ok((service, revision)) => match standing(&self.deployment, &service, &revision) {
                Standing::Proven(address) => Attempt::Done(self.proven(&address, &service, &revision)),
                Standing::Pending(why) => Attempt::Again { cause: why, after: None },
                Standing::Wrong(why) => Attempt::Done(Established::Wrong(why)),
            },
            Err(Silent::Passing(why)) => Attempt::Again { cause: why, after: None },
            Err(Silent::Denied(why)) => Attempt::Done(self.unproven(why)),
            Err(Silent::Missing(why)) => Attempt::Done(Established::Wrong(why)),
        };
        let Tried { result, attempts } = until(retry, deadline, note, attempt).await;
        let established = match result {
            Ok(established) => established,
            Err(why) if why.starts_with(API_TROUBLE) => Established::Unknown(why),
            Err(why) => Established::Wrong(why),
        };
        (established, attempts)
    }

    fn proven(&self, address: &str, service: &Service, revision: &Revision) -> Established {
        let other = |status: &TrafficStatus| {
            let differs = super::deployment::short(&status.revision) != self.deployment.revision;
            let address = Target::parse(&status.uri).ok().filter(|_| differs && !status.tag.is_empty())?;
            Some((status.tag.clone(), address))
        };
        let others = service.traffic_statuses.iter().filter_map(other).collect();
        match Target::parse(address) {
            Ok(address) => Established::Proven {
                address,
                audience: service.uri.clone(),
                others,
                sticky: revision.session_affinity,
                internal: !matches!(&*service.ingress, "" | "INGRESS_TRAFFIC_ALL" | "INGRESS_TRAFFIC_UNSPECIFIED"),
            },
            Err(error) => Established::Unknown(format!("{API_TROUBLE} names an address that cannot be used: {error}")),
        }
    }

    fn unproven(&self, why: String) -> Established {
        let grant = "grant the account roles/run.viewer on the service";
        if self.require_identity {
            return Established::Unknown(format!(
                "the identity of the canary cannot be proven (--require-identity): {why}; {grant}"
            ));
        }
        match self.deployment.built_address() {
            Some(address) => Established::Unproven(address, why),
            None => Established::Unknown(format!(
                "the canary's own address is not known: {why}, and none can be built of CLOUD_RUN_SERVICE_URLS; {grant}, or pass --url \
                 (the service's address answers from other revisions too)"
            )),
        }
    }

    /// Looks once more at the end: whether the address still serves the deployed revision.
    ///
    /// # Errors
    /// What changed; true where the canary is to blame, false where nobody could be asked.
    pub async fn recheck(&self, retry: Retry, deadline: Instant) -> Result<(), (String, bool)> {
        let (established, _) = self.establish(Retry { retries: Some(3), ..retry }, deadline, |_, _| {}).await;
        match established {
            Established::Proven { .. } => Ok(()),
            Established::Wrong(why) => Err((why, true)),
            Established::Unproven(_, why) | Established::Unknown(why) => Err((why, false)),
        }
    }

    async fn look(&self, deadline: Instant) -> Result<(Service, Revision), Silent> {
        let Deployment { project, region, service, revision, .. } = &self.deployment;
        let path = format!("/v2/projects/{project}/locations/{region}/services/{service}");
        let service: Service = self.get(&path, deadline).await?;
        let revision: Revision = self.get(&format!("{path}/revisions/{revision}"), deadline).await?;
        Ok((service, revision))
    }

    async fn get<T: DeserializeOwned>(&self, path: &str, deadline: Instant) -> Result<T, Silent> {
        for last in [false, true] {
            let token = self
                .tokens
                .access()
                .await
                .map_err(|why| Silent::Denied(format!("{API_TROUBLE} cannot be asked: {why}")))?;
            let headers = vec![Header::plain("Authorization", &format!("Bearer {token}"))];
            let request = Request::get(path, headers);
            let answer = self
                .api
                .ask(&request, LIMITS, deadline)
                .await
                .map_err(|failure| Silent::Passing(format!("{API_TROUBLE}: {failure}")))?;
            let says = || format!("{API_TROUBLE} answers {} for {path}: {}", answer.status, message(&answer.body));
            return match answer.status {
                200 => serde_json::from_slice(&answer.body)
                    .map_err(|error| Silent::Passing(format!("{API_TROUBLE} answers no JSON of its kind: {error}"))),
                401 if !last => {
                    // The token may have expired on the way.
                    self.tokens.forget_access();
                    continue;
                }
                401 | 403 => Err(Silent::Denied(says())),
                404 => Err(Silent::Missing(says())),
                _ => Err(Silent::Passing(says())),
            };
        }
        Err(Silent::Denied(format!("{API_TROUBLE} refuses every token")))
    }
}

const API_TROUBLE: &str = "the Cloud Run Admin API";

/// The message of an API's error.
fn message(body: &[u8]) -> String {
    let document: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    document["error"]["message"].as_str().unwrap_or("no message").to_owned()
}
