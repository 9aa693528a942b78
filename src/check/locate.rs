//! Locates the canary and proves which revision serves it, before the checks; and proves it once more after them.

use tokio::time::Instant;

use super::context::{Context, Finding};
use crate::google::{CloudRun, Located, Proof, ServiceFacts, Unproven};
use crate::http::{Address, Client, RetryPolicy, Retrying};
use crate::outcome::{Event, Observation, Serving, Status};

/// Makes a client for an address, with tokens for the service that is known behind it.
pub(crate) type MakeClient = Box<dyn Fn(Address, &ServiceFacts) -> Result<Client, String>>;

/// How the gate comes to the canary.
#[expect(clippy::large_enum_variant, reason = "there is one in a process")]
pub(crate) enum Route {
    /// By an address that was given, and nothing else.
    Direct(Client),
    /// By an address whose answers are to be those of a revision: the service and the revision, by short names.
    Answers(Client, (String, String)),
    /// By what the Cloud Run Admin API says of a deployment.
    CloudRun {
        cloud: CloudRun,
        /// An address that was given besides: it is the one that is verified, and it has to be proven like any other.
        given: Option<Address>,
        /// Whether an identity that cannot be proven is an error.
        require_identity: bool,
        client: MakeClient,
    },
}

/// The canary, located.
pub(super) struct Canary {
    pub(super) client: Client,
    /// The revision that serves the rest of the traffic, where its own address is known.
    pub(super) stable: Option<Stable>,
    /// Every tag of another revision.
    pub(super) others: Vec<(String, Client)>,
    /// The service and the revision that was deployed, by short names; nothing where only an address is known.
    pub(super) deployed: Option<(String, String)>,
    /// What was proven of the identity, to be compared at the end; nothing where it is not proven.
    proven: Option<String>,
    /// How often the API was asked.
    pub(super) attempts: u32,
    /// What the API says of the service, for the reports.
    serving: Option<Serving>,
    /// What to say of the location; of a deployment, its identity first.
    pub(super) notes: Vec<Observation>,
}

/// The revision that serves the rest of the traffic.
#[derive(Clone)]
pub(super) struct Stable {
    pub(super) client: Client,
    /// Whether clients stick to one of the two.
    pub(super) sticky: bool,
}

impl Canary {
    pub(super) fn direct(client: Client) -> Self {
        Self {
            client,
            stable: None,
            others: Vec::new(),
            deployed: None,
            proven: None,
            attempts: 0,
            serving: None,
            notes: Vec::new(),
        }
    }

    /// Whether it is proven by the API which revision answers at the address.
    pub(super) fn is_proven(&self) -> bool {
        self.proven.is_some()
    }
}

/// Locates the canary. Where its answers tell their revision, they may prove later what the API cannot.
///
/// # Errors
/// The finding of the check in whose time it was looked for.
pub(super) async fn locate(context: &Context<'_>, route: &Route, answers_tell: bool) -> Result<Canary, Finding> {
    let locating = match route {
        Route::Direct(client) => return Ok(Canary::direct(client.clone())),
        Route::Answers(client, deployed) => {
            return Ok(Canary { deployed: Some(deployed.clone()), ..Canary::direct(client.clone()) });
        }
        Route::CloudRun { cloud, given, require_identity, client } => {
            let require_identity = *require_identity && !answers_tell;
            Locating { cloud, given: given.as_ref(), require_identity, answers_tell, client }
        }
    };
    let policy = context.policy.retry;
    let note = |retrying: Retrying<'_, _>| context.retrying(None, None, &retrying);
    let Located { proof, attempts } = locating.cloud.locate(policy, context.deadline(), note).await;
    let located = match proof {
        Ok(proof) => locating.known(proof),
        Err(Unproven::Wrong(why)) => Err((Status::Fail, why)),
        Err(Unproven::Unreachable(why)) => Err((Status::Error, why)),
        Err(Unproven::Denied { why, lacks_role }) => locating.unknown(&why, if lacks_role { GRANT } else { "" }),
    };
    let canary = match located {
        Ok(canary) => Canary { attempts, ..canary },
        Err((status, why)) => return Err(Finding::new(status, attempts, why)),
    };
    let address = canary.client.address().shown().to_owned();
    context.observer.hear(&Event::Located { address, serving: canary.serving.clone() });
    Ok(canary)
}

/// What the canary is located by.
struct Locating<'r> {
    cloud: &'r CloudRun,
    given: Option<&'r Address>,
    /// Whether an identity that the API cannot prove is an error.
    require_identity: bool,
    /// Whether the answers tell their revision.
    answers_tell: bool,
    client: &'r MakeClient,
}

/// The canary, or how the check ends that needs it.
type Found = Result<Canary, (Status, String)>;

const GRANT: &str = "; grant the account roles/run.viewer on the service";

impl Locating<'_> {
    fn deployed(&self) -> (String, String) {
        let deployment = &self.cloud.deployment;
        (deployment.service.clone(), deployment.revision.clone())
    }

    fn make(&self, address: Address, facts: &ServiceFacts) -> Result<Client, (Status, String)> {
        (self.client)(address, facts).map_err(|why| (Status::Error, why))
    }

    /// Where the API tells of the service.
    fn known(&self, proof: Proof) -> Found {
        let revision = &self.cloud.deployment.revision;
        let address = match (self.given.or(proof.alone.first()), &proof.nowhere) {
            (Some(address), _) => address.clone(),
            (None, Some(nowhere)) if nowhere.wrong => return Err((Status::Fail, nowhere.why.clone())),
            (None, nowhere) => {
                let why =
                    nowhere.as_ref().map_or("the canary's own address is not known", |nowhere| nowhere.why.as_str());
                return Err((Status::Error, why.to_owned()));
            }
        };
        let (proven, identity) = match self.serves(&address, &proof) {
            Ok(()) => {
                let detail = format!("proven: {} serves {revision}", address.shown());
                (Some(proof.fingerprint.clone()), Observation::note("identity", Status::Pass, detail))
            }
            Err(Doubt::Another(why)) => return Err((Status::Fail, why)),
            Err(Doubt::Unknown(why)) => (None, self.not_proven(&address, &why, "")?),
        };
        let mut notes = vec![identity];
        if proof.facts.open == Some(false) {
            let detail = "the service takes internal traffic only: from outside its network the front end answers 404 or 403; run \
                          the gate in a private pool";
            notes.push(Observation::note("ingress", Status::Pass, detail));
        }
        let client = self.make(address, &proof.facts)?;
        let other = |(tag, address)| Some((tag, self.make(address, &proof.facts).ok()?));
        let others: Vec<(String, Client)> = proof.others.into_iter().filter_map(other).collect();
        let stable = ["prior", "stable"].into_iter().find_map(|tag| others.iter().find(|(known, _)| known == tag));
        let stable = stable.map(|(_, client)| Stable { client: client.clone(), sticky: proof.sticky });
        let (deployed, serving) = (Some(self.deployed()), Some(proof.serving));
        Ok(Canary { client, stable, others, deployed, proven, attempts: 0, serving, notes })
    }

    /// Whether the deployed revision alone answers at an address.
    fn serves(&self, address: &Address, proof: &Proof) -> Result<(), Doubt> {
        let revision = &self.cloud.deployment.revision;
        if proof.alone.iter().any(|own| address.same_origin(own)) {
            return Ok(());
        }
        if let Some((tag, _)) = proof.others.iter().find(|(_, other)| address.same_origin(other)) {
            let why = format!("{} is the address of the tag {tag}, which is not of {revision}", address.shown());
            return Err(Doubt::Another(why));
        }
        if proof.facts.shared.iter().any(|shared| address.same_origin(shared)) {
            let why = format!(
                "{} answers from every revision with traffic, and not from {revision} alone{}",
                address.shown(),
                proof.alone.first().map_or(String::new(), |own| format!("; {} does", own.shown()))
            );
            return Err(Doubt::Another(why));
        }
        match &proof.nowhere {
            // A deployment that lacks its tag is wrong, unless the answers can show which revision they are of.
            Some(nowhere) if nowhere.wrong && !self.answers_tell => Err(Doubt::Another(nowhere.why.clone())),
            Some(nowhere) => Err(Doubt::Unknown(nowhere.why.clone())),
            None => Err(Doubt::Unknown("the Cloud Run Admin API knows no such address of the service".into())),
        }
    }

    /// Where nobody may be asked: the address that was given, or that the deployment's names imply.
    fn unknown(&self, why: &str, grant: &str) -> Found {
        let deployment = &self.cloud.deployment;
        if let Some(percent) = deployment.percent {
            let unseen = format!(
                "it cannot be seen whether {} has {percent} % of the traffic (--expect-percent): {why}{grant}",
                deployment.revision
            );
            return Err((Status::Error, unseen));
        }
        let Some(address) = self.given.cloned().or_else(|| deployment.built_address()) else {
            let why = format!(
                "the canary's own address is not known: {why}, and none can be built of CLOUD_RUN_SERVICE_URLS{grant}; otherwise pass \
                 --url (the service's address answers from other revisions too)"
            );
            return Err((Status::Error, if self.require_identity { required(&why) } else { why }));
        };
        let identity = self.not_proven(&address, why, grant)?;
        let audience = deployment.service_urls.first().map(|url| url.shown().to_owned());
        let client = self.make(address, &ServiceFacts { audience, ..ServiceFacts::default() })?;
        Ok(Canary { deployed: Some(self.deployed()), notes: vec![identity], ..Canary::direct(client) })
    }

    /// What to say where the identity is not proven: a warning, unless it has to be.
    fn not_proven(&self, address: &Address, why: &str, grant: &str) -> Result<Observation, (Status, String)> {
        if self.require_identity {
            return Err((Status::Error, required(&format!("{why}{grant}"))));
        }
        let revision = &self.cloud.deployment.revision;
        let detail = format!("not proven that {} serves {revision}: {why}{grant}", address.shown());
        Ok(Observation::note("identity", Status::Warn, detail))
    }
}

/// Why an address is not known to be the deployed revision's.
enum Doubt {
    /// It is known to be something else.
    Another(String),
    /// Nobody knows what it is.
    Unknown(String),
}

fn required(why: &str) -> String {
    format!("the identity of the canary cannot be proven (--require-identity): {why}")
}

/// Proves the identity once more before the verdict: a rollout that changed under the gate is no PASS.
///
/// # Errors
/// What the check that located the canary ends with instead.
pub(super) async fn prove_again(
    route: &Route,
    canary: &Canary,
    policy: RetryPolicy,
    deadline: Instant,
) -> Result<(), (Status, String)> {
    // What was not proven at first is said already.
    let (Route::CloudRun { cloud, .. }, Some(before)) = (route, &canary.proven) else { return Ok(()) };
    let changed = |why: String| Err((Status::Fail, format!("the rollout changed under the gate: {why}")));
    match cloud.locate(policy, deadline, |_| {}).await.proof {
        Ok(Proof { nowhere: Some(nowhere), .. }) => changed(nowhere.why),
        Ok(proof) if proof.fingerprint == *before => Ok(()),
        Ok(proof) => changed(format!("it was {before}, and is {} now", proof.fingerprint)),
        Err(Unproven::Wrong(why)) => changed(why),
        Err(Unproven::Denied { why, .. } | Unproven::Unreachable(why)) => {
            let why = format!("the identity could not be proven once more before the verdict: {why}");
            Err((Status::Error, why))
        }
    }
}
