//! The parts of the Cloud Run Admin API v2 that tell which revision an address serves.
//!
//! Reference: <https://cloud.google.com/run/docs/reference/rest/v2/projects.locations.services>. A missing number is 0, a
//! missing flag is false, and a name may be short or full.

use serde::Deserialize;

use super::deployment::short;

/// A service.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Service {
    /// The service's own address.
    pub uri: String,
    /// Whether a change is under way.
    pub reconciling: bool,
    /// The state of the newest change.
    pub terminal_condition: Option<Condition>,
    /// What serves, as it is now.
    pub traffic_statuses: Vec<TrafficStatus>,
    /// Who may reach it: `INGRESS_TRAFFIC_ALL` or narrower.
    pub ingress: String,
}

/// One entry of what serves.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TrafficStatus {
    /// The revision, by a short or full name.
    pub revision: String,
    /// The share of the traffic.
    pub percent: u32,
    /// The tag, if the entry has one.
    pub tag: String,
    /// The tag's address.
    pub uri: String,
}

/// A condition of a service or a revision.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Condition {
    /// Of a revision: `Ready` is the one that sums up.
    #[serde(rename = "type")]
    pub kind: String,
    /// `CONDITION_SUCCEEDED`, `CONDITION_FAILED`, or on the way.
    pub state: String,
    /// For a person.
    pub message: String,
    /// Of a revision: why.
    pub revision_reason: String,
    /// Why.
    pub reason: String,
}

/// A revision.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Revision {
    /// Its conditions.
    pub conditions: Vec<Condition>,
    /// Whether clients stick to it.
    pub session_affinity: bool,
}

impl Service {
    /// The share of the traffic that a revision has, over all of its entries.
    #[must_use]
    pub fn percent(&self, revision: &str) -> u32 {
        self.traffic_statuses
            .iter()
            .filter(|status| short(&status.revision) == revision)
            .map(|status| status.percent)
            .sum()
    }

    /// The entry of a tag.
    #[must_use]
    pub fn tagged(&self, tag: &str) -> Option<&TrafficStatus> {
        self.traffic_statuses.iter().find(|status| status.tag == tag)
    }

    /// What serves, in one line.
    #[must_use]
    pub fn serving(&self) -> String {
        let entry = |status: &TrafficStatus| {
            let tag = if status.tag.is_empty() { String::new() } else { format!(" (tag {})", status.tag) };
            format!("{} % {}{tag}", status.percent, short(&status.revision))
        };
        self.traffic_statuses.iter().map(entry).collect::<Vec<_>>().join(", ")
    }
}

/// How a deployment stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The revision is ready and serves where it should: its address.
    Proven(String),
    /// Not yet.
    Pending(String),
    /// It is not what was deployed, or it failed.
    Wrong(String),
}

/// Compares what is deployed with what should be.
#[must_use]
pub fn standing(deployment: &super::Deployment, service: &Service, revision: &Revision) -> Standing {
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
            return Standing::Wrong(format!("the revision {name} is not ready: {}", reason(condition)));
        }
        Some((_, condition)) => {
            return Standing::Pending(format!("the revision {name} is not ready yet: {}", reason(condition)));
        }
        None => return Standing::Pending(format!("the revision {name} has no Ready condition yet")),
    }
    if service.reconciling {
        return Standing::Pending(format!("the service {} is still reconciling", deployment.service));
    }
    if let Some(condition) =
        service.terminal_condition.as_ref().filter(|condition| condition.state != "CONDITION_SUCCEEDED")
    {
        let message = format!("the service {} is not ready: {}", deployment.service, reason(condition));
        return if condition.state == "CONDITION_FAILED" {
            Standing::Wrong(message)
        } else {
            Standing::Pending(message)
        };
    }
    let percent = service.percent(name);
    let address = match service.tagged(&deployment.tag) {
        // With all of the traffic, the service's own address is what users meet.
        _ if deployment.takes_all() && percent == 100 => service.uri.clone(),
        Some(status) if short(&status.revision) != *name => {
            let other = short(&status.revision);
            return Standing::Wrong(format!("the tag {} points to {other}, and {name} was deployed", deployment.tag));
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
                    return Standing::Wrong(format!(
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
        return Standing::Wrong(format!(
            "{name} has {percent} % of the traffic, want {wanted} %; it is {}",
            service.serving()
        ));
    }
    Standing::Proven(address)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::{Deployment, Given};

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
        let standing_of = |percent, tag: &str| standing(&deployment(percent, tag), &service(&entries), &succeeded());
        assert_eq!(standing_of(Some(20), "canary"), Standing::Proven("https://canary---app".into()));
        assert_eq!(standing_of(None, "canary"), Standing::Proven("https://canary---app".into()));
        assert!(
            matches!(standing_of(Some(50), "canary"), Standing::Wrong(why) if why.contains("20 % of the traffic, want 50 %"))
        );
        assert!(
            matches!(standing_of(Some(20), "prior"), Standing::Wrong(why) if why.contains("points to app-1, and app-2 was deployed"))
        );
        let pending = standing(&deployment(None, "canary"), &service(&entries), &revision("CONDITION_RECONCILING"));
        assert!(matches!(pending, Standing::Pending(why) if why.contains("pulling the image")));
        let failed = standing(&deployment(None, "canary"), &service(&entries), &revision("CONDITION_FAILED"));
        assert!(matches!(failed, Standing::Wrong(why) if why.contains("is not ready: pulling the image")));
        let mut reconciling = service(&entries);
        reconciling.reconciling = true;
        assert!(matches!(standing(&deployment(None, "canary"), &reconciling, &succeeded()), Standing::Pending(_)));
        let all = service(&serde_json::json!([{"revision": "app-2", "percent": 100}]));
        assert_eq!(
            standing(&deployment(Some(100), "stable"), &all, &succeeded()),
            Standing::Proven("https://app".into())
        );
        let untagged =
            service(&serde_json::json!([{"revision": "app-2", "percent": 20}, {"revision": "app-1", "percent": 80}]));
        assert!(
            matches!(standing(&deployment(Some(20), "canary"), &untagged, &succeeded()), Standing::Wrong(why) if why.contains("no address serves app-2 alone"))
        );
    }
}
