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
    /// The full name. An answer without it is not a service, whatever else it is.
    pub(super) name: String,
    /// Counts the changes that were asked for, and those that were taken up.
    pub(super) generation: String,
    pub(super) observed_generation: String,
    /// The service's own address, and all of them.
    pub(super) uri: String,
    pub(super) urls: Vec<String>,
    /// Whether the addresses under run.app are switched off.
    pub(super) default_uri_disabled: bool,
    /// Whether a change is under way.
    pub(super) reconciling: bool,
    /// The state of the newest change.
    pub(super) terminal_condition: Option<Condition>,
    /// What an entry of type LATEST stands for.
    pub(super) latest_ready_revision: String,
    /// What serves, as it is now.
    pub(super) traffic_statuses: Vec<TrafficStatus>,
    /// Who may reach it: `INGRESS_TRAFFIC_ALL` or narrower.
    pub(super) ingress: String,
}

/// One entry of what serves.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct TrafficStatus {
    /// `TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION`, or `…_LATEST`, which names no revision.
    #[serde(rename = "type")]
    pub(super) kind: String,
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
    /// The full name. An answer without it is not a revision, whatever else it is.
    pub(super) name: String,
    /// Its conditions.
    pub(super) conditions: Vec<Condition>,
    /// Whether clients stick to it.
    pub(super) session_affinity: bool,
}

impl Service {
    /// The short name of the revision that an entry is of.
    pub(super) fn revision_of(&self, status: &TrafficStatus) -> String {
        let latest = status.revision.is_empty() && status.kind.ends_with("_LATEST");
        short(if latest { &self.latest_ready_revision } else { &status.revision })
    }

    /// The share of the traffic that a revision has, over all of its entries.
    fn percent(&self, revision: &str) -> u32 {
        let entries = self.traffic_statuses.iter().filter(|status| self.revision_of(status) == revision);
        entries.map(|status| status.percent).sum()
    }

    /// The entry of a tag.
    fn tagged(&self, tag: &str) -> Option<&TrafficStatus> {
        self.traffic_statuses.iter().find(|status| status.tag == tag)
    }

    /// What serves, in one line.
    fn serving(&self) -> String {
        let entry = |status: &TrafficStatus| {
            let tag = if status.tag.is_empty() { String::new() } else { format!(" (tag {})", status.tag) };
            format!("{} % {}{tag}", status.percent, self.revision_of(status))
        };
        self.traffic_statuses.iter().map(entry).collect::<Vec<_>>().join(", ")
    }

    /// Whether it takes traffic from everywhere; nothing where the API does not say.
    pub(super) fn is_open(&self) -> Option<bool> {
        match &*self.ingress {
            "" | "INGRESS_TRAFFIC_UNSPECIFIED" => None,
            ingress => Some(ingress == "INGRESS_TRAFFIC_ALL"),
        }
    }

    /// What must be the same at the end as it was at first: which changes were asked for, and what serves.
    pub(super) fn fingerprint(&self) -> String {
        let mut entries: Vec<String> = self
            .traffic_statuses
            .iter()
            .map(|status| format!("{}={} {}%", status.tag, self.revision_of(status), status.percent))
            .collect();
        entries.sort();
        format!("generation {}, {}", self.generation, entries.join(", "))
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
    if let Some(state) = readiness(deployment, service, revision) {
        return state;
    }
    let name = &deployment.revision;
    let percent = service.percent(name);
    let address = match address(deployment, service, percent) {
        Ok(address) => address,
        Err(why) => return RevisionState::Wrong(why),
    };
    match deployment.percent.filter(|wanted| *wanted != percent) {
        None => RevisionState::Proven(address),
        Some(wanted) => RevisionState::Wrong(format!(
            "{name} has {percent} % of the traffic, want {wanted} %; it is {}",
            service.serving()
        )),
    }
}

/// Why the revision or the service is not ready; nothing where both are.
fn readiness(deployment: &super::Deployment, service: &Service, revision: &Revision) -> Option<RevisionState> {
    let (name, service_name) = (&deployment.revision, &deployment.service);
    let reason = |condition: &Condition| {
        let why = [&condition.revision_reason, &condition.reason].into_iter().find(|why| !why.is_empty());
        let why = why.map_or(String::new(), |why| format!(" ({why})"));
        format!("{}{why}", if condition.message.is_empty() { &condition.state } else { &condition.message })
    };
    let pending = |why: String| Some(RevisionState::Pending(why));
    let ready = revision.conditions.iter().find(|condition| condition.kind == "Ready");
    match ready.map(|condition| (&*condition.state, condition)) {
        Some(("CONDITION_SUCCEEDED", _)) => {}
        Some(("CONDITION_FAILED", condition)) => {
            return Some(RevisionState::Wrong(format!("the revision {name} is not ready: {}", reason(condition))));
        }
        Some((_, condition)) => return pending(format!("the revision {name} is not ready yet: {}", reason(condition))),
        None => return pending(format!("the revision {name} has no Ready condition yet")),
    }
    if service.reconciling {
        return pending(format!("the service {service_name} is still reconciling"));
    }
    if service.observed_generation != service.generation {
        return pending(format!(
            "the service {service_name} has not taken up its newest change yet (generation {}, observed {})",
            service.generation, service.observed_generation
        ));
    }
    match &service.terminal_condition {
        None => pending(format!("the service {service_name} has no terminal condition yet")),
        Some(condition) => match &*condition.state {
            "CONDITION_SUCCEEDED" => None,
            "CONDITION_FAILED" => {
                let why = format!("the service {service_name} is not ready: {}", reason(condition));
                Some(RevisionState::Wrong(why))
            }
            _ => pending(format!("the service {service_name} is not ready: {}", reason(condition))),
        },
    }
}

/// The address that the revision alone answers at.
fn address(deployment: &super::Deployment, service: &Service, percent: u32) -> Result<String, String> {
    let (name, tag) = (&deployment.revision, &deployment.tag);
    // With all of the traffic, the service's own address is what users meet.
    if deployment.takes_all() && percent == 100 {
        return Ok(service.uri.clone());
    }
    if let Some(status) = service.tagged(tag) {
        let other = service.revision_of(status);
        if other != *name {
            return Err(format!("the tag {tag} points to {other}, and {name} was deployed"));
        }
        if !status.uri.is_empty() {
            return Ok(status.uri.clone());
        }
    }
    let mut entries = service.traffic_statuses.iter();
    let by_revision = entries.find(|status| service.revision_of(status) == *name && !status.uri.is_empty());
    by_revision.map(|status| status.uri.clone()).ok_or_else(|| {
        format!(
            "no address serves {name} alone: there is no tag {tag}, and the traffic is {}; give the revision the tag \
             (canaryRevisionTags), or pass --tag",
            service.serving()
        )
    })
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
            "name": "app", "uri": "https://app", "generation": "7", "observedGeneration": "7", "terminalCondition": {"state": "CONDITION_SUCCEEDED"}, "trafficStatuses": entries
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
    #[test]
    fn what_is_not_taken_up_yet_is_not_proven() {
        let entries =
            serde_json::json!([{"revision": "app-2", "percent": 20, "tag": "canary", "uri": "https://canary---app"}]);
        let state = |edit: fn(&mut Service)| {
            let mut service = service(&entries);
            edit(&mut service);
            revision_state(&deployment(None, "canary"), &service, &revision("CONDITION_SUCCEEDED"))
        };
        assert_eq!(state(|_| {}), RevisionState::Proven("https://canary---app".into()));
        let behind = state(|service| service.observed_generation = "6".into());
        assert!(matches!(behind, RevisionState::Pending(why) if why.contains("generation 7, observed 6")));
        let without = state(|service| service.terminal_condition = None);
        assert!(matches!(without, RevisionState::Pending(why) if why.contains("no terminal condition")));
    }

    #[test]
    fn an_entry_of_the_latest_revision_is_of_the_latest_ready_one() {
        let latest = "TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST";
        let entries = serde_json::json!([
            {"type": latest, "percent": 100},
            {"type": latest, "tag": "canary", "uri": "https://canary---app"}
        ]);
        let state = |latest: &str| {
            let service = Service { latest_ready_revision: latest.into(), ..service(&entries) };
            revision_state(&deployment(Some(100), "canary"), &service, &revision("CONDITION_SUCCEEDED"))
        };
        assert_eq!(
            state("projects/p/locations/r/services/app/revisions/app-2"),
            RevisionState::Proven("https://app".into())
        );
        assert!(matches!(state("app-1"), RevisionState::Wrong(why) if why.contains("points to app-1")));
    }

    #[test]
    fn a_change_of_the_traffic_or_of_the_service_shows() {
        let entries = |percent: u32| serde_json::json!([{"revision": "app-2", "percent": percent}, {"revision": "app-1", "percent": 100 - percent}]);
        let first = service(&entries(20));
        assert_eq!(first.fingerprint(), service(&entries(20)).fingerprint());
        assert_ne!(first.fingerprint(), service(&entries(30)).fingerprint());
        assert_ne!(first.fingerprint(), Service { generation: "8".into(), ..first.clone() }.fingerprint());
    }
}
