//! Locates the canary and proves which revision serves it, before the checks; and proves it once more after them.

use tokio::time::Instant;

use super::context::{Context, Finding};
use crate::google::{CloudRun, Located, Proof, Unproven};
use crate::http::{Address, Client, RetryPolicy};
use crate::outcome::{Event, Observation, Status};

/// Makes a client for an address, with tokens for the audience (its own where none is given).
pub(crate) type MakeClient = Box<dyn Fn(Address, Option<String>) -> Result<Client, String>>;

/// How the gate comes to the canary.
#[expect(clippy::large_enum_variant, reason = "there is one in a process")]
pub(crate) enum Route {
    /// By an address that was given.
    Direct(Client),
    /// By what the Cloud Run Admin API says of a deployment.
    CloudRun {
        cloud: CloudRun,
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
    /// Whether it is proven which revision answers at the address.
    pub(super) is_proven: bool,
    /// How often the API was asked.
    pub(super) attempts: u32,
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
        Self { client, stable: None, others: Vec::new(), is_proven: false, attempts: 0, notes: Vec::new() }
    }

    /// What is known of the identity; nothing where nobody asked for one.
    pub(super) fn identity(&self) -> Option<&Observation> {
        self.notes.first()
    }
}

/// Locates the canary.
///
/// # Errors
/// The finding of the check in whose time it was looked for.
pub(super) async fn locate(context: &Context<'_>, route: &Route) -> Result<Canary, Finding> {
    let (cloud, require_identity, make) = match route {
        Route::Direct(client) => return Ok(Canary::direct(client.clone())),
        Route::CloudRun { cloud, require_identity, client } => (cloud, *require_identity, client),
    };
    let policy = context.policy.retry;
    let Located { proof, attempts } =
        cloud.locate(policy, context.deadline, |retrying| context.retrying(None, &retrying)).await;
    let error = |why: String| Finding::new(Status::Error, attempts, why);
    let canary = match proof {
        Ok(proof) => proven(cloud, proof, make, attempts).map_err(error)?,
        Err(Unproven::Wrong(why)) => return Err(Finding::new(Status::Fail, attempts, why)),
        Err(Unproven::Unreachable(why)) => return Err(error(why)),
        Err(Unproven::Denied(why)) => unproven(cloud, &why, require_identity, make, attempts).map_err(error)?,
    };
    context.observer.hear(&Event::Located { address: canary.client.address().shown().to_owned() });
    Ok(canary)
}

fn proven(cloud: &CloudRun, proof: Proof, make: &MakeClient, attempts: u32) -> Result<Canary, String> {
    let detail = format!("proven: {} serves {}", proof.address.shown(), cloud.deployment.revision);
    let mut notes = vec![Observation::note("identity", Status::Pass, detail)];
    if proof.internal {
        let detail = "the service takes internal traffic only: from outside its network the front end answers 404 or 403; run the \
                      gate in a private pool";
        notes.push(Observation::note("ingress", Status::Pass, detail));
    }
    let audience = &proof.audience;
    let client = make(proof.address, Some(audience.clone()))?;
    let other = |(tag, address)| Some((tag, make(address, Some(audience.clone())).ok()?));
    let others: Vec<(String, Client)> = proof.others.into_iter().filter_map(other).collect();
    let stable = ["prior", "stable"].into_iter().find_map(|tag| others.iter().find(|(known, _)| known == tag));
    let stable = stable.map(|(_, client)| Stable { client: client.clone(), sticky: proof.sticky });
    Ok(Canary { client, stable, others, is_proven: true, attempts, notes })
}

/// Where nobody may be asked: the address that the deployment's names imply, unless the identity has to be proven.
fn unproven(
    cloud: &CloudRun,
    why: &str,
    require_identity: bool,
    make: &MakeClient,
    attempts: u32,
) -> Result<Canary, String> {
    let grant = "grant the account roles/run.viewer on the service";
    if require_identity {
        return Err(format!("the identity of the canary cannot be proven (--require-identity): {why}; {grant}"));
    }
    let deployment = &cloud.deployment;
    let address = deployment.built_address().ok_or_else(|| {
        format!(
            "the canary's own address is not known: {why}, and none can be built of CLOUD_RUN_SERVICE_URLS; {grant}, or pass --url \
             (the service's address answers from other revisions too)"
        )
    })?;
    let detail = format!(
        "not proven that {} serves {}: {why} (roles/run.viewer on the service lets the gate prove it)",
        address.shown(),
        deployment.revision
    );
    let audience = deployment.service_urls.first().map(|url| url.shown().to_owned());
    let notes = vec![Observation::note("identity", Status::Warn, detail)];
    let client = make(address, audience)?;
    Ok(Canary { client, stable: None, others: Vec::new(), is_proven: false, attempts, notes })
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
    let Route::CloudRun { cloud, .. } = route else { return Ok(()) };
    if !canary.is_proven {
        // What was not proven at first is said already.
        return Ok(());
    }
    let located = cloud.locate(RetryPolicy { retries: Some(3), ..policy }, deadline, |_| {}).await;
    match located.proof {
        Ok(_) => Ok(()),
        Err(Unproven::Wrong(why)) => Err((Status::Fail, format!("the rollout changed under the gate: {why}"))),
        Err(Unproven::Denied(why) | Unproven::Unreachable(why)) => {
            let why = format!("the identity could not be proven once more before the verdict: {why}");
            Err((Status::Error, why))
        }
    }
}
