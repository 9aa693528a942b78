//! The parts of the Cloud Run Admin API v2 that tell which revision an address serves.
//!
//! Reference: <https://cloud.google.com/run/docs/reference/rest/v2/projects.locations.services>. A missing number is 0, a
//! missing flag is false, and a name may be short or full.

use serde::Deserialize;

use super::deployment::short;
use crate::http::Address;
use crate::outcome::{Share, shares};

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
    /// When it was deleted; empty where it was not.
    pub(super) delete_time: String,
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
    /// As those of a service.
    pub(super) generation: String,
    pub(super) observed_generation: String,
    pub(super) reconciling: bool,
    pub(super) delete_time: String,
    /// Its containers, and its labels: only told of, so that whatever is there is taken.
    pub(super) containers: serde_json::Value,
    pub(super) labels: serde_json::Value,
}

impl Revision {
    /// The image of its first container, which is the one that is asked.
    pub(super) fn image(&self) -> Option<String> {
        self.containers.pointer("/0/image")?.as_str().map(str::to_owned)
    }

    /// The commit that it was built of, where whoever deployed it said so.
    pub(super) fn commit(&self) -> Option<String> {
        self.labels.get("commit-sha")?.as_str().map(str::to_owned)
    }
}

impl Service {
    /// The short name of the revision that an entry is of.
    pub(super) fn revision_of(&self, status: &TrafficStatus) -> String {
        let latest = status.revision.is_empty() && status.kind.ends_with("_LATEST");
        short(if latest { &self.latest_ready_revision } else { &status.revision })
    }

    /// The share of the traffic that a revision has, over all of its entries.
    fn percent(&self, revision: &str) -> u64 {
        let entries = self.traffic_statuses.iter().filter(|status| self.revision_of(status) == revision);
        entries.map(|status| u64::from(status.percent)).sum()
    }

    /// The addresses that answer from every revision with traffic.
    pub(super) fn shared(&self) -> Vec<Address> {
        self.urls.iter().chain([&self.uri]).filter_map(|url| Address::parse(url).ok()).collect()
    }

    /// Which revisions have which share of the traffic, or at least a tag.
    pub(super) fn shares(&self) -> Vec<Share> {
        let share = |status: &TrafficStatus| Share {
            revision: self.revision_of(status),
            percent: status.percent,
            tag: Some(status.tag.clone()).filter(|tag| !tag.is_empty()),
        };
        self.traffic_statuses.iter().map(share).collect()
    }

    /// What serves, in one line.
    fn serving(&self) -> String {
        shares(&self.shares())
    }

    /// Whether it takes traffic from everywhere; nothing where the API does not say.
    pub(super) fn is_open(&self) -> Option<bool> {
        match &*self.ingress {
            "" | "INGRESS_TRAFFIC_UNSPECIFIED" => None,
            ingress => Some(ingress == "INGRESS_TRAFFIC_ALL"),
        }
    }

    /// What must be the same at the end as it was at first: which changes were asked for, what serves, and where.
    pub(super) fn fingerprint(&self) -> String {
        let mut entries: Vec<String> = self
            .traffic_statuses
            .iter()
            .map(|status| {
                let at = if status.uri.is_empty() { String::new() } else { format!(" at {}", status.uri) };
                format!("{}={} {}%{at}", status.tag, self.revision_of(status), status.percent)
            })
            .chain(self.urls.iter().chain([&self.uri]).filter(|url| !url.is_empty()).cloned())
            .collect();
        entries.sort();
        format!("generation {}, {}", self.generation, entries.join(", "))
    }
}

/// How a deployment stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum RevisionState {
    /// The revision is ready and serves as it should: the addresses that it alone answers at, the one to be verified first.
    Proven(Vec<Address>),
    /// The revision is ready and serves as it should, at no address that the API would name.
    Unaddressed(Nowhere),
    /// Not yet.
    Pending(String),
    /// It is not what was deployed, or it failed.
    Wrong(String),
    /// What the API says proves nothing: it contradicts itself or leaves out what counts.
    Unseen(String),
}

/// Why a revision has no address of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Nowhere {
    pub(crate) why: String,
    /// Whether the deployment lacks what should be there, rather than the API an answer.
    pub(crate) wrong: bool,
}

/// Compares what is deployed with what should be.
pub(super) fn revision_state(deployment: &super::Deployment, service: &Service, revision: &Revision) -> RevisionState {
    if let Some(state) = readiness(deployment, service, revision) {
        return state;
    }
    let name = &deployment.revision;
    let all: u64 = service.traffic_statuses.iter().map(|status| u64::from(status.percent)).sum();
    if all != 100 {
        let why = format!("the shares of the traffic add up to {all} %: it is {}", service.serving());
        return RevisionState::Unseen(why);
    }
    let mut shares = service.traffic_statuses.iter().filter(|status| status.percent > 0);
    if let Some(nobody) = shares.find(|status| service.revision_of(status).is_empty()) {
        let why = format!("the Cloud Run Admin API names no revision that has {} % of the traffic", nobody.percent);
        return RevisionState::Unseen(why);
    }
    if let Some(state) = tag_is_not_its(deployment, service) {
        return state;
    }
    let percent = service.percent(name);
    match deployment.percent.map(u64::from).filter(|wanted| *wanted != percent) {
        None => addressed(deployment, service, percent),
        Some(wanted) => RevisionState::Wrong(format!(
            "{name} has {percent} % of the traffic, want {wanted} %; it is {}",
            service.serving()
        )),
    }
}

/// What is wrong with the tag, where it is there and not the revision's alone. With all of the traffic the tag does not count.
fn tag_is_not_its(deployment: &super::Deployment, service: &Service) -> Option<RevisionState> {
    let (name, tag) = (&deployment.revision, &deployment.tag);
    if deployment.takes_all() && service.percent(name) == 100 {
        return None;
    }
    let mut entries = service.traffic_statuses.iter().filter(|status| status.tag == *tag);
    let first = service.revision_of(entries.next()?);
    if entries.any(|status| service.revision_of(status) != first) {
        let why = format!("the tag {tag} is there more than once: the traffic is {}", service.serving());
        return Some(RevisionState::Unseen(why));
    }
    if first.is_empty() {
        return Some(RevisionState::Unseen(format!("the Cloud Run Admin API names no revision for the tag {tag}")));
    }
    (first != *name).then(|| RevisionState::Wrong(format!("the tag {tag} points to {first}, and {name} was deployed")))
}

/// Why the revision or the service is not ready; nothing where both are.
fn readiness(deployment: &super::Deployment, service: &Service, revision: &Revision) -> Option<RevisionState> {
    let (name, service_name) = (&deployment.revision, &deployment.service);
    for (what, deleted) in [
        (format!("the revision {name}"), &revision.delete_time),
        (format!("the service {service_name}"), &service.delete_time),
    ] {
        if !deleted.is_empty() {
            return Some(RevisionState::Wrong(format!("{what} is deleted (since {deleted})")));
        }
    }
    ready_condition(name, revision)
        .or_else(|| service_readiness(service_name, service))
        .or_else(|| revision_change(name, revision))
}

fn ready_condition(name: &str, revision: &Revision) -> Option<RevisionState> {
    let pending = |why: String| Some(RevisionState::Pending(why));
    let mut ready = revision.conditions.iter().filter(|condition| condition.kind == "Ready");
    let Some(condition) = ready.next() else {
        return pending(format!("the revision {name} has no Ready condition yet"));
    };
    if ready.any(|other| other.state != condition.state) {
        return Some(RevisionState::Unseen(format!("the revision {name} has several Ready conditions that differ")));
    }
    match &*condition.state {
        "CONDITION_SUCCEEDED" => None,
        "CONDITION_FAILED" => {
            Some(RevisionState::Wrong(format!("the revision {name} is not ready: {}", reason(condition))))
        }
        _ => pending(format!("the revision {name} is not ready yet: {}", reason(condition))),
    }
}

/// Whether the revision itself is still changing; where the API does not say, its condition is enough.
fn revision_change(name: &str, revision: &Revision) -> Option<RevisionState> {
    let (generation, observed) = (&revision.generation, &revision.observed_generation);
    if revision.reconciling {
        return Some(RevisionState::Pending(format!("the revision {name} is still reconciling")));
    }
    let is_behind = !observed.is_empty() && observed != generation;
    is_behind.then(|| RevisionState::Pending(behind(&format!("revision {name}"), generation, observed)))
}

fn service_readiness(name: &str, service: &Service) -> Option<RevisionState> {
    let pending = |why: String| Some(RevisionState::Pending(why));
    if service.reconciling {
        return pending(format!("the service {name} is still reconciling"));
    }
    if service.generation.is_empty() {
        let why = format!("the Cloud Run Admin API names no generation of the service {name}");
        return Some(RevisionState::Unseen(why));
    }
    if service.observed_generation != service.generation {
        return pending(behind(&format!("service {name}"), &service.generation, &service.observed_generation));
    }
    match &service.terminal_condition {
        None => pending(format!("the service {name} has no terminal condition yet")),
        Some(condition) => match &*condition.state {
            "CONDITION_SUCCEEDED" => None,
            "CONDITION_FAILED" => {
                Some(RevisionState::Wrong(format!("the service {name} is not ready: {}", reason(condition))))
            }
            _ => pending(format!("the service {name} is not ready: {}", reason(condition))),
        },
    }
}

/// What is said of something whose newest change is not taken up.
fn behind(what: &str, generation: &str, observed: &str) -> String {
    let or_none = |text: &str| if text.is_empty() { "none" } else { text }.to_owned();
    let (generation, observed) = (or_none(generation), or_none(observed));
    format!("the {what} has not taken up its newest change yet (generation {generation}, observed {observed})")
}

/// What a condition says of itself.
fn reason(condition: &Condition) -> String {
    let why = [&condition.revision_reason, &condition.reason].into_iter().find(|why| !why.is_empty());
    let why = why.map_or(String::new(), |why| format!(" ({why})"));
    let said = [&*condition.message, &*condition.state].into_iter().find(|said| !said.trim().is_empty());
    format!("{}{why}", said.unwrap_or("no reason is given"))
}

/// The addresses that the revision alone answers at.
fn addressed(deployment: &super::Deployment, service: &Service, percent: u64) -> RevisionState {
    let (name, tag) = (&deployment.revision, &deployment.tag);
    let nowhere = |why: String, wrong: bool| RevisionState::Unaddressed(Nowhere { why, wrong });
    let (own, others): (Vec<_>, Vec<_>) =
        service.traffic_statuses.iter().partition(|status| service.revision_of(status) == *name);
    let (tagged, untagged): (Vec<_>, Vec<_>) = own.into_iter().partition(|status| status.tag == *tag);
    let named = tagged.iter().chain(&untagged).map(|status| &status.uri);
    let shared = [&service.uri].into_iter().chain(&service.urls);
    // With all of the traffic, the service's own addresses are what users meet; otherwise they answer from others too.
    let (first, then): (Vec<_>, Vec<_>) = match (percent == 100, deployment.takes_all()) {
        (true, true) => (shared.collect(), named.collect()),
        (true, false) => (named.collect(), shared.collect()),
        (false, _) => (named.collect(), Vec::new()),
    };
    let mut foreign: Vec<Address> = others.iter().filter_map(|status| Address::parse(&status.uri).ok()).collect();
    if percent < 100 {
        foreign.extend(service.shared());
    }
    let mut alone = Vec::new();
    for (index, written) in first.into_iter().chain(then).filter(|uri| !uri.is_empty()).enumerate() {
        match Address::parse(written) {
            // Of the addresses besides the one that is to be verified, those that prove nothing are of no use.
            Ok(address) if index > 0 && foreign.iter().any(|other| address.same_origin(other)) => {}
            Err(_) if index > 0 => {}
            Ok(address) if foreign.iter().any(|other| address.same_origin(other)) => {
                let why = format!("{} answers from other revisions than {name} too", address.shown());
                return nowhere(format!("no address serves {name} alone: {why}"), false);
            }
            Ok(address) => alone.push(address),
            Err(error) => {
                return nowhere(
                    format!("the Cloud Run Admin API names an address that cannot be used: {error}"),
                    false,
                );
            }
        }
    }
    if service.default_uri_disabled {
        return nowhere(
            format!(
                "the addresses under run.app of the service {} are switched off (defaultUriDisabled), and no other is known to \
                 serve {name} alone",
                deployment.service
            ),
            false,
        );
    }
    if !alone.is_empty() {
        return RevisionState::Proven(alone);
    }
    if !tagged.is_empty() {
        return nowhere(format!("the Cloud Run Admin API names no address for the tag {tag} of {name}"), false);
    }
    nowhere(
        format!(
            "no address serves {name} alone: there is no tag {tag}, and the traffic is {}; give the revision the tag \
             (canaryRevisionTags), or pass --tag",
            service.serving()
        ),
        true,
    )
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

    /// A service of these entries; another revision has the rest of the traffic.
    fn service(entries: &serde_json::Value) -> Service {
        let mut entries = entries.as_array().unwrap().clone();
        let shares = entries.iter().filter_map(|entry| entry["percent"].as_u64()).sum::<u64>();
        if shares < 100 {
            entries.push(serde_json::json!({"revision": "app-0", "percent": 100 - shares}));
        }
        serde_json::from_value(serde_json::json!({
            "name": "app", "uri": "https://app", "generation": "7", "observedGeneration": "7", "terminalCondition": {"state": "CONDITION_SUCCEEDED"}, "trafficStatuses": entries
        }))
        .unwrap()
    }

    fn proven(address: &str) -> RevisionState {
        RevisionState::Proven(vec![Address::parse(address).unwrap()])
    }

    #[test]
    fn an_entry_is_of_the_revision_that_it_names() {
        let mut service = service(&serde_json::json!([]));
        service.latest_ready_revision = "app-9".into();
        let of = |kind: &str, revision: &str| {
            let entry = serde_json::json!({"type": kind, "revision": revision, "percent": 100});
            service.revision_of(&serde_json::from_value(entry).unwrap())
        };
        assert_eq!(of("TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST", ""), "app-9");
        assert_eq!(of("TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST", "app-2"), "app-2");
        // Where it names none, nobody has its traffic.
        assert_eq!(of("TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION", ""), "");
    }

    #[test]
    fn a_revision_that_took_up_its_newest_change_is_proven() {
        let entries = serde_json::json!([{"revision": "app-2", "tag": "canary", "uri": "https://canary---app"}]);
        let state_of = |generation: &str, observed: &str| {
            let revision = Revision {
                generation: generation.into(),
                observed_generation: observed.into(),
                ..revision("CONDITION_SUCCEEDED")
            };
            revision_state(&deployment(None, "canary"), &service(&entries), &revision)
        };
        for (generation, observed) in [("2", "2"), ("2", ""), ("", "")] {
            assert_eq!(state_of(generation, observed), proven("https://canary---app"), "{generation:?} {observed:?}");
        }
        assert!(matches!(state_of("2", "1"), RevisionState::Pending(why) if why.contains("generation 2, observed 1")));
    }

    #[test]
    fn further_addresses_that_prove_nothing_are_left_out() {
        for further in ["https://app", "https://", "https://prior---app"] {
            let entries = serde_json::json!([
                {"revision": "app-1", "percent": 80, "tag": "prior", "uri": "https://prior---app"},
                {"revision": "app-2", "tag": "canary", "uri": "https://canary---app"},
                {"revision": "app-2", "percent": 20, "uri": further},
            ]);
            let found =
                revision_state(&deployment(Some(20), "canary"), &service(&entries), &revision("CONDITION_SUCCEEDED"));
            assert_eq!(found, proven("https://canary---app"), "{further}");
        }
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
        assert_eq!(state_of(Some(20), "canary"), proven("https://canary---app"));
        assert_eq!(state_of(None, "canary"), proven("https://canary---app"));
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
        assert_eq!(revision_state(&deployment(Some(100), "stable"), &all, &succeeded()), proven("https://app"));
        let untagged =
            service(&serde_json::json!([{"revision": "app-2", "percent": 20}, {"revision": "app-1", "percent": 80}]));
        assert!(
            matches!(revision_state(&deployment(Some(20), "canary"), &untagged, &succeeded()), RevisionState::Unaddressed(nowhere) if nowhere.wrong && nowhere.why.contains("no address serves app-2 alone"))
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
        assert_eq!(state(|_| {}), proven("https://canary---app"));
        let behind = state(|service| service.observed_generation = "6".into());
        assert!(matches!(behind, RevisionState::Pending(why) if why.contains("generation 7, observed 6")));
        let none = state(|service| service.observed_generation.clear());
        assert!(matches!(none, RevisionState::Pending(why) if why.contains("generation 7, observed none")));
        let neither = state(|service| (service.generation, service.observed_generation) = Default::default());
        assert!(matches!(neither, RevisionState::Unseen(why) if why.contains("names no generation")));
        let without = state(|service| service.terminal_condition = None);
        assert!(matches!(without, RevisionState::Pending(why) if why.contains("no terminal condition")));
    }

    #[test]
    fn what_is_deleted_contradicts_itself_or_is_on_its_way_is_not_proven() {
        let entries =
            serde_json::json!([{"revision": "app-2", "percent": 20, "tag": "canary", "uri": "https://app-2"}]);
        let state = |edit: fn(&mut Service, &mut Revision)| {
            let (mut service, mut revision) = (service(&entries), revision("CONDITION_SUCCEEDED"));
            edit(&mut service, &mut revision);
            revision_state(&deployment(None, "canary"), &service, &revision)
        };
        let deleted = state(|service, _| service.delete_time = "2026-01-01T00:00:00Z".into());
        assert!(matches!(deleted, RevisionState::Wrong(why) if why.contains("the service app is deleted (since 2026")));
        let deleted = state(|_, revision| revision.delete_time = "2026-01-01T00:00:00Z".into());
        assert!(matches!(deleted, RevisionState::Wrong(why) if why.contains("the revision app-2 is deleted")));
        let both = state(|_, revision| {
            let failed = Condition { kind: "Ready".into(), state: "CONDITION_FAILED".into(), ..Condition::default() };
            revision.conditions.push(failed);
        });
        assert!(matches!(both, RevisionState::Unseen(why) if why.contains("several Ready conditions")));
        let moving = state(|_, revision| revision.reconciling = true);
        assert!(matches!(moving, RevisionState::Pending(why) if why.contains("app-2 is still reconciling")));
        let behind = state(|_, revision| {
            (revision.generation, revision.observed_generation) = ("2".into(), "1".into());
        });
        assert!(matches!(behind, RevisionState::Pending(why) if why.contains("generation 2, observed 1")));
        let short = state(|service, _| service.traffic_statuses[1].percent = 40);
        assert!(matches!(short, RevisionState::Unseen(why) if why.contains("add up to 60 %")));
        let nobody = state(|service, _| service.traffic_statuses[1].revision = String::new());
        assert!(matches!(nobody, RevisionState::Unseen(why) if why.contains("names no revision that has 80 %")));
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
        let full = state("projects/p/locations/r/services/app/revisions/app-2");
        assert!(matches!(full, RevisionState::Proven(alone) if alone[0].shown() == "https://app"));
        assert!(matches!(state("app-1"), RevisionState::Wrong(why) if why.contains("points to app-1")));
    }

    #[test]
    fn an_answer_that_proves_nothing_is_not_taken_for_a_proof() {
        let tag = |revision: &str, uri: &str| serde_json::json!({"revision": revision, "tag": "canary", "uri": uri});
        let share = |revision: &str, percent: u32| serde_json::json!({"revision": revision, "percent": percent});
        let prior = serde_json::json!({"revision": "app-1", "tag": "prior", "uri": "https://canary---app"});
        let own = || tag("app-2", "https://canary---app");
        for (entries, piece) in [
            (vec![share("app-2", u32::MAX), share("app-2", 21), own()], "add up to 4294967316 %"),
            (vec![share("app-2", 20), share("app-1", 81), own()], "add up to 101 %"),
            (vec![own(), tag("app-1", "https://canary---app")], "the tag canary is there more than once"),
            (vec![tag("app-1", "https://canary---app"), own()], "the tag canary is there more than once"),
            (vec![tag("", "https://canary---app")], "names no revision for the tag canary"),
            (vec![tag("app-2", "https://app")], "https://app answers from other revisions"),
            (vec![tag("app-2", "https://app/")], "https://app answers from other revisions"),
            (
                vec![serde_json::json!({"revision": "app-2", "percent": 20, "uri": "https://app"})],
                "from other revisions",
            ),
            (vec![own(), prior], "https://canary---app answers from other revisions"),
            (vec![tag("app-2", "")], "names no address for the tag canary of app-2"),
            (vec![tag("app-2", "nowhere")], "an address that cannot be used"),
        ] {
            let service = service(&serde_json::Value::Array(entries));
            let state = revision_state(&deployment(None, "canary"), &service, &revision("CONDITION_SUCCEEDED"));
            match state {
                RevisionState::Unseen(why) | RevisionState::Unaddressed(Nowhere { why, wrong: false }) => {
                    assert!(why.contains(piece), "{why}");
                }
                other => panic!("{piece}: {other:?}"),
            }
        }
    }

    #[test]
    fn every_address_of_the_revision_alone_is_known() {
        let blue = serde_json::json!({"revision": "app-2", "tag": "blue", "uri": "https://blue---app"});
        let canary = serde_json::json!({"revision": "app-2", "tag": "canary", "uri": "https://canary---app"});
        let shown = |percent: u32, wanted: u32| {
            let share = serde_json::json!({"revision": "app-2", "percent": percent});
            let mut service = service(&serde_json::json!([share, blue, canary]));
            service.urls.push("https://app-2nd".into());
            match revision_state(&deployment(Some(wanted), "canary"), &service, &revision("CONDITION_SUCCEEDED")) {
                RevisionState::Proven(alone) => alone.iter().map(|address| address.shown().to_owned()).collect(),
                other => vec![format!("{other:?}")],
            }
        };
        assert_eq!(shown(20, 20), ["https://canary---app", "https://blue---app"]);
        let all = ["https://app", "https://app-2nd", "https://canary---app", "https://blue---app"];
        assert_eq!(shown(100, 100), all);
    }

    #[test]
    fn a_change_of_the_traffic_or_of_the_service_shows() {
        let entries = |percent: u32| serde_json::json!([{"revision": "app-2", "percent": percent}, {"revision": "app-1", "percent": 100 - percent}]);
        let first = service(&entries(20));
        assert_eq!(first.fingerprint(), service(&entries(20)).fingerprint());
        assert_ne!(first.fingerprint(), service(&entries(30)).fingerprint());
        assert_ne!(first.fingerprint(), Service { generation: "8".into(), ..first.clone() }.fingerprint());
        assert_ne!(first.fingerprint(), Service { uri: "https://other".into(), ..first.clone() }.fingerprint());
        let mut elsewhere = first.clone();
        elsewhere.traffic_statuses[0].uri = "https://other".into();
        assert_ne!(first.fingerprint(), elsewhere.fingerprint());
    }
}
