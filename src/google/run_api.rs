//! The parts of the Cloud Run Admin API v2 that tell which revision an address serves.
//!
//! Reference: <https://cloud.google.com/run/docs/reference/rest/v2/projects.locations.services>. A missing number is 0, a
//! missing flag is false, and a name may be short or full.

use serde::Deserialize;

use super::deployment::short;

/// A service.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Service {
    /// The service's own address.
    pub(super) uri: String,
    /// Whether a change is under way.
    pub(super) reconciling: bool,
    /// The state of the newest change.
    pub(super) terminal_condition: Option<Condition>,
    /// What serves, as it is now.
    pub(super) traffic_statuses: Vec<TrafficStatus>,
    /// Who may reach it: `INGRESS_TRAFFIC_ALL` or narrower.
    pub(super) ingress: String,
}

/// One entry of what serves.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct TrafficStatus {
    /// The revision, by a short or full name.
    pub(super) revision: String,
    /// The share of the traffic.
    pub(super) percent: u32,
    /// The tag, if the entry has one.
    pub(super) tag: String,
    /// The tag's address.
    pub(super) uri: String,
}

/// A condition of a service or a revision.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Condition {
    /// Of a revision: `Ready` is the one that sums up.
    #[serde(rename = "type")]
    pub(super) kind: String,
    /// `CONDITION_SUCCEEDED`, `CONDITION_FAILED`, or on the way.
    pub(super) state: String,
    /// For a person.
    pub(super) message: String,
    /// Of a revision: why.
    pub(super) revision_reason: String,
    /// Why.
    pub(super) reason: String,
}

/// A revision.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Revision {
    /// Its conditions.
    pub(super) conditions: Vec<Condition>,
    /// Whether clients stick to it.
    pub(super) session_affinity: bool,
}

impl Service {
    /// The share of the traffic that a revision has, over all of its entries.
    pub(super) fn percent(&self, revision: &str) -> u32 {
        self.traffic_statuses
            .iter()
            .filter(|status| short(&status.revision) == revision)
            .map(|status| status.percent)
            .sum()
    }

    /// The entry of a tag.
    pub(super) fn tagged(&self, tag: &str) -> Option<&TrafficStatus> {
        self.traffic_statuses.iter().find(|status| status.tag == tag)
    }

    /// What serves, in one line.
    pub(super) fn serving(&self) -> String {
        let entry = |status: &TrafficStatus| {
            let tag = if status.tag.is_empty() { String::new() } else { format!(" (tag {})", status.tag) };
            format!("{} % {}{tag}", status.percent, short(&status.revision))
        };
        self.traffic_statuses.iter().map(entry).collect::<Vec<_>>().join(", ")
    }
}

/// How a deployment stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum RevisionState {
    /// The revision is ready and serves where it should: its address.
    Proven(String),
    /// Not yet.
    Pending(String),
    /// It is not what was deployed, or it failed.
    Wrong(String),
}

/// Compares what is deployed with what should be.
pub(super) fn revision_state(deployment: &super::Deployment, service: &Service, revision: &Revision) -> RevisionState {
    let name = &deployment.revision;
    let ready = revision.conditions.iter().find(|condition| condition.kind == "Ready");
    let reason = |condition: &Condition| {
        let why = [&condition.revision_reason, &condition.reason].into_iter().find(|why| !why.is_empty());
        let why = why.map_or(String::new(), |why| format!(" ({why})"));
        format!("{}{why}", if condition.message.is_empty() { &condition.state } else { &condition.message })
    };
    match ready.map(|condition| (&*condition.state, condition)) {
        Some(("CONDITION_SUCCEEDED", _)) => {}
        Some(("CONDITION_FAILED", condition)) => {
            return RevisionState::Wrong(format!("the revision {name} is not ready: {}", reason(condition)));
        }
        Some((_, condition)) => {
            return RevisionState::Pending(format!("the revision {name} is not ready yet: {}", reason(condition)));
        }
        None => return RevisionState::Pending(format!("the revision {name} has no Ready condition yet")),
    }
    if service.reconciling {
        return RevisionState::Pending(format!("the service {} is still reconciling", deployment.service));
    }
    if let Some(condition) =
        service.terminal_condition.as_ref().filter(|condition| condition.state != "CONDITION_SUCCEEDED")
    {
        let message = format!("the service {} is not ready: {}", deployment.service, reason(condition));
        return if condition.state == "CONDITION_FAILED" {
            RevisionState::Wrong(message)
        } else {
            RevisionState::Pending(message)
        };
    }
    let percent = service.percent(name);
    let address = match service.tagged(&deployment.tag) {
        // With all of the traffic, the service's own address is what users meet.
        _ if deployment.takes_all() && percent == 100 => service.uri.clone(),
        Some(status) if short(&status.revision) != *name => {
            let other = short(&status.revision);
            return RevisionState::Wrong(format!(
                "the tag {} points to {other}, and {name} was deployed",
                deployment.tag
            ));
        }
        Some(status) if !status.uri.is_empty() => status.uri.clone(),
        _ => {
            let by_revision = service
                .traffic_statuses
                .iter()
                .find(|status| short(&status.revision) == *name && !status.uri.is_empty());
            match by_revision {
                Some(status) => status.uri.clone(),
                None => {
                    return RevisionState::Wrong(format!(
                        "no address serves {name} alone: there is no tag {}, and the traffic is {}; give the revision the tag \
                         (canaryRevisionTags), or pass --tag",
                        deployment.tag,
                        service.serving()
                    ));
                }
            }
        }
    };
    if let Some(wanted) = deployment.percent.filter(|wanted| *wanted != percent) {
        return RevisionState::Wrong(format!(
            "{name} has {percent} % of the traffic, want {wanted} %; it is {}",
            service.serving()
        ));
    }
    RevisionState::Proven(address)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::google::{Deployment, Given};

    fn deployment(percent: Option<u32>, tag: &str) -> Deployment {
        let given = Given {
            project: Some("p".into()),
            region: Some("r".into()),
            service: Some("app".into()),
            revision: Some("app-2".into()),
            tag: Some(tag.into()),
            percent,
        };
        Deployment::read(&given, &|_| None).unwrap().unwrap()
    }

    fn revision(state: &str) -> Revision {
        serde_json::from_value(
            serde_json::json!({"conditions": [{"type": "Ready", "state": state, "message": "pulling the image"}]}),
        )
        .unwrap()
    }

    fn service(entries: &serde_json::Value) -> Service {
        serde_json::from_value(serde_json::json!({
            "uri": "https://app", "generation": "7", "terminalCondition": {"state": "CONDITION_SUCCEEDED"}, "trafficStatuses": entries
        }))
        .unwrap()
    }

    #[test]
    fn a_deployment_is_proven_pending_or_wrong() {
        let entries = serde_json::json!([
            {"type": "TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION", "revision": "app-1", "percent": 80},
            {"revision": "projects/p/locations/r/services/app/revisions/app-2", "percent": 20},
            {"revision": "app-2", "tag": "canary", "uri": "https://canary---app"},
            {"revision": "app-1", "tag": "prior", "uri": "https://prior---app"}
        ]);
        let succeeded = || revision("CONDITION_SUCCEEDED");
        let state_of = |percent, tag: &str| revision_state(&deployment(percent, tag), &service(&entries), &succeeded());
        assert_eq!(state_of(Some(20), "canary"), RevisionState::Proven("https://canary---app".into()));
        assert_eq!(state_of(None, "canary"), RevisionState::Proven("https://canary---app".into()));
        assert!(
            matches!(state_of(Some(50), "canary"), RevisionState::Wrong(why) if why.contains("20 % of the traffic, want 50 %"))
        );
        assert!(
            matches!(state_of(Some(20), "prior"), RevisionState::Wrong(why) if why.contains("points to app-1, and app-2 was deployed"))
        );
        let pending =
            revision_state(&deployment(None, "canary"), &service(&entries), &revision("CONDITION_RECONCILING"));
        assert!(matches!(pending, RevisionState::Pending(why) if why.contains("pulling the image")));
        let failed = revision_state(&deployment(None, "canary"), &service(&entries), &revision("CONDITION_FAILED"));
        assert!(matches!(failed, RevisionState::Wrong(why) if why.contains("is not ready: pulling the image")));
        let mut reconciling = service(&entries);
        reconciling.reconciling = true;
        assert!(matches!(
            revision_state(&deployment(None, "canary"), &reconciling, &succeeded()),
            RevisionState::Pending(_)
        ));
        let all = service(&serde_json::json!([{"revision": "app-2", "percent": 100}]));
        assert_eq!(
            revision_state(&deployment(Some(100), "stable"), &all, &succeeded()),
            RevisionState::Proven("https://app".into())
        );
        let untagged =
            service(&serde_json::json!([{"revision": "app-2", "percent": 20}, {"revision": "app-1", "percent": 80}]));
        assert!(
            matches!(revision_state(&deployment(Some(20), "canary"), &untagged, &succeeded()), RevisionState::Wrong(why) if why.contains("no address serves app-2 alone"))
        );
    }
}
