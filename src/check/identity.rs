//! Whom the gate verifies: the address is found out and proven before the checks, and proven once more after them.

use tokio::time::Instant;

use super::ledger::Ledger;
use super::thresholds::note;
use super::{Approach, Context, Finding, ready};
use crate::outcome::Status;
use crate::plan::Ready;
use crate::probe::Probe;
use crate::target::{Established, Target};

/// Where the canary was found.
pub(super) struct Found {
    pub(super) probe: Probe,
    /// The stable revision beside it.
    pub(super) neighbour: Option<Neighbour>,
    /// Every tag of another revision.
    pub(super) others: Vec<(String, Probe)>,
}

/// The revision that serves the rest of the traffic.
pub(super) struct Neighbour {
    pub(super) probe: Probe,
    /// Whether clients stick to one of the two.
    pub(super) sticky: bool,
}

/// The `ready` check: the revision is ready where the API can be asked, and its address serves. With the probe for the
/// address that was found out.
pub(super) async fn ready(context: &Context<'_>, approach: &Approach, plan: &Ready) -> (Finding, Option<Found>) {
    let (cloud, make) = match approach {
        Approach::Direct(probe) => return (ready::check(context, probe, plan).await, None),
        Approach::CloudRun { cloud, probe } => (cloud, probe),
    };
    let bounds = &plan.bounds;
    let (established, attempts) =
        cloud.establish(bounds.retry, context.deadline, |attempt, cause| context.note(attempt, cause)).await;
    let (mut beside, mut clients_stick, mut outside) = (None, false, false);
    let (address, audience, identity) = match established {
        Established::Wrong(why) => return (Finding::new(Status::Fail, attempts, why), None),
        Established::Unknown(why) => return (Finding::new(Status::Error, attempts, why), None),
        Established::Proven { address, audience, others, sticky, internal } => {
            outside = internal;
            (beside, clients_stick) = (Some((others, audience.clone())), sticky);
            let detail = format!("proven: {} serves {}", address.shown(), cloud.deployment.revision);
            (address, Some(audience), note("identity", Status::Pass, detail))
        }
        Established::Unproven(address, why) => {
            let audience = cloud.deployment.service_urls.first().map(|url| url.shown().to_owned());
            let detail = format!(
                "not proven that {} serves {}: {why} (roles/run.viewer on the service lets the gate prove it)",
                address.shown(),
                cloud.deployment.revision
            );
            (address, audience, note("identity", Status::Warn, detail))
        }
    };
    context.ledger.found(address.shown());
    let probe = match make(address, audience) {
        Ok(probe) => probe,
        Err(why) => return (Finding::new(Status::Error, attempts, why), None),
    };
    let others: Vec<(String, Probe)> = beside.map_or(Vec::new(), |(others, audience)| {
        let probe = |(tag, target): (String, Target)| Some((tag, make(target, Some(audience.clone())).ok()?));
        others.into_iter().filter_map(probe).collect()
    });
    let stable = ["prior", "stable"].into_iter().find_map(|tag| others.iter().find(|(known, _)| known == tag));
    let neighbour = stable.map(|(_, probe)| Neighbour { probe: probe.clone(), sticky: clients_stick });
    if !bounds.enabled {
        return (
            Finding::new(identity.status, attempts, identity.detail.clone()).seeing(vec![identity]),
            Some(Found { probe, neighbour, others }),
        );
    }
    let mut finding = ready::check(context, &probe, plan).await;
    finding.attempts = finding.attempts.max(attempts);
    if finding.status == Status::Pass {
        finding.status = identity.status;
        finding.detail = format!("{}; identity {}", finding.detail, identity.detail);
    }
    let mut seen = vec![identity];
    if outside {
        let detail = "the service takes internal traffic only: from outside its network the front end answers 404 or 403; run the \
                      gate in a private pool"
            .to_owned();
        seen.push(note("ingress", Status::Pass, detail));
    }
    (finding.seeing(seen), Some(Found { probe, neighbour, others }))
}

/// Proves the identity once more before the verdict: a rollout that changed under the gate is no PASS.
pub(super) async fn recheck(approach: &Approach, plan: &Ready, ledger: &Ledger, deadline: Instant) {
    let Approach::CloudRun { cloud, .. } = approach else { return };
    if !ledger.identity_is_proven() {
        // What was not proven at first is said already.
        return;
    }
    if let Err((why, changed)) = cloud.recheck(plan.bounds.retry, deadline).await {
        let (status, what) = if changed {
            (Status::Fail, "the rollout changed under the gate")
        } else {
            (Status::Error, "the identity could not be proven once more before the verdict")
        };
        ledger.overturn("ready", status, &format!("{what}: {why}"));
    }
}
