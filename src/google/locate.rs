//! Asks the Cloud Run Admin API where the deployed revision answers, and whether it is what serves there.

use std::fmt;

use futures_util::future::join;
use tokio::time::Instant;

use super::api::{ApiError, ApiErrorKind};
use super::deployment::short;
use super::run_api::{Nowhere, Revision, RevisionState, Service, TrafficStatus, revision_state};
use super::{Api, Deployment};
use crate::http::{Address, Attempt, GaveUp, RetryPolicy, Retrying, Tried, retry_until};
use crate::outcome::Serving;

/// A deployment and the API that tells of it.
pub(crate) struct CloudRun {
    pub(crate) deployment: Deployment,
    api: Api,
}

/// The proof that the deployed revision serves as it should, and where it does so alone; what else the API says of the service.
#[derive(Clone, Debug)]
pub(crate) struct Proof {
    /// What the revision alone answers at, the address to be verified first.
    pub(crate) alone: Vec<Address>,
    /// Why there is no such address.
    pub(crate) nowhere: Option<Nowhere>,
    /// What the API says of the whole service.
    pub(crate) facts: ServiceFacts,
    /// The tags of other revisions, and their addresses.
    pub(crate) others: Vec<(String, Address)>,
    /// Whether clients stick to a revision.
    pub(crate) sticky: bool,
    /// For whoever reads the reports.
    pub(crate) serving: Serving,
    /// What must be the same at the end as it is now: generation, traffic and addresses.
    pub(crate) fingerprint: String,
}

/// What is known of a service as a whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ServiceFacts {
    /// The service's own address: what identity tokens are for.
    pub(crate) audience: Option<String>,
    /// Whether it takes traffic from everywhere; nothing where nobody says so.
    pub(crate) open: Option<bool>,
    /// The addresses that answer from every revision with traffic.
    pub(crate) shared: Vec<Address>,
}

/// Why there is no proof.
#[derive(Clone, Debug)]
pub(crate) enum Unproven {
    /// The API says that the revision does not serve as it should, or not yet.
    Wrong(String),
    /// The API does not answer whoever asks; with whether a role is what is lacking.
    Denied { why: String, lacks_role: bool },
    /// The API gives no answer that could be used.
    Unreachable(String),
}

/// What was found, and in how many attempts.
pub(crate) struct Located {
    pub(crate) proof: Result<Proof, Unproven>,
    pub(crate) attempts: u32,
}

/// What may pass by itself.
pub(crate) enum NotYet {
    /// The revision or the service is on its way.
    Pending(String),
    /// The API has trouble.
    Trouble(ApiError),
}

impl fmt::Display for NotYet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pending(why) => f.write_str(why),
            Self::Trouble(error) => error.fmt(f),
        }
    }
}

impl CloudRun {
    pub(crate) fn new(deployment: Deployment, api: Api) -> Self {
        Self { deployment, api }
    }

    /// Finds the address, waiting for the revision to be ready.
    pub(crate) async fn locate(
        &self,
        policy: RetryPolicy,
        deadline: Instant,
        note: impl FnMut(Retrying<'_, NotYet>),
    ) -> Located {
        let attempt = async |deadline| match self.look(deadline).await {
            Ok((service, revision)) => match revision_state(&self.deployment, &service, &revision) {
                RevisionState::Proven(alone) => Attempt::Done(Ok(self.proof(alone, None, &service, &revision))),
                RevisionState::Unaddressed(nowhere) => {
                    Attempt::Done(Ok(self.proof(Vec::new(), Some(nowhere), &service, &revision)))
                }
                RevisionState::Unseen(why) => Attempt::Done(Err(Unproven::Unreachable(why))),
                RevisionState::Pending(why) => Attempt::Again(NotYet::Pending(why), None),
                RevisionState::Wrong(why) => Attempt::Done(Err(Unproven::Wrong(why))),
            },
            Err(error) => match error.kind {
                ApiErrorKind::Transient => {
                    let asked = error.retry_after;
                    Attempt::Again(NotYet::Trouble(error), asked)
                }
                ApiErrorKind::Denied | ApiErrorKind::Forbidden => {
                    let lacks_role = error.kind == ApiErrorKind::Forbidden;
                    Attempt::Done(Err(Unproven::Denied { why: error.to_string(), lacks_role }))
                }
                ApiErrorKind::Missing => Attempt::Done(Err(Unproven::Wrong(error.to_string()))),
                ApiErrorKind::Permanent | ApiErrorKind::Conflict => {
                    Attempt::Done(Err(Unproven::Unreachable(error.to_string())))
                }
            },
        };
        let Tried { result, attempts } = retry_until(policy, deadline, note, attempt).await;
        let proof = result.unwrap_or_else(|gave_up: GaveUp<NotYet>| {
            let why = gave_up.to_string();
            Err(match gave_up.last {
                NotYet::Pending(_) => Unproven::Wrong(why),
                NotYet::Trouble(_) => Unproven::Unreachable(why),
            })
        });
        Located { proof, attempts }
    }

    fn proof(&self, alone: Vec<Address>, nowhere: Option<Nowhere>, service: &Service, revision: &Revision) -> Proof {
        let other = |status: &TrafficStatus| {
            let differs = service.revision_of(status) != self.deployment.revision;
            let address = Address::parse(&status.uri).ok().filter(|_| differs && !status.tag.is_empty())?;
            Some((status.tag.clone(), address))
        };
        Proof {
            alone,
            nowhere,
            facts: ServiceFacts {
                audience: Some(service.uri.clone()).filter(|uri| !uri.is_empty()),
                open: service.is_open(),
                shared: service.shared(),
            },
            others: service.traffic_statuses.iter().filter_map(other).collect(),
            sticky: revision.session_affinity,
            serving: Serving { image: revision.image(), commit: revision.commit(), traffic: service.shares() },
            fingerprint: service.fingerprint(),
        }
    }

    async fn look(&self, deadline: Instant) -> Result<(Service, Revision), ApiError> {
        let Deployment { project, region, service, revision, .. } = &self.deployment;
        let path = format!("/v2/projects/{project}/locations/{region}/services/{service}");
        let revision_path = format!("{path}/revisions/{revision}");
        let (found, ready) =
            join(self.api.get::<Service>(&path, deadline), self.api.get::<Revision>(&revision_path, deadline)).await;
        let (found, ready) = (found?, ready?);
        // What is not of this name is not an answer to what was asked, however well it reads.
        if short(&found.name) != *service {
            return Err(self.api.unusable(&path));
        }
        if short(&ready.name) != *revision {
            return Err(self.api.unusable(&revision_path));
        }
        Ok((found, ready))
    }
}
