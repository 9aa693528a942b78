//! The traffic of a Cloud Run service by the Admin API v2: read, and changed under the etag that was read.
//!
//! Reference: <https://cloud.google.com/run/docs/reference/rest/v2/projects.locations.services/patch>. The list of a change takes
//! the place of the whole list: an entry that is left out loses its tag.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tokio::time::Instant;

use super::api::{ApiError, ApiErrorKind};
use super::deployment::short;
use super::run_api::Condition;
use super::{Api, Operation};
use crate::outcome::Share;

const BY_REVISION: &str = "TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION";
const LATEST: &str = "TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST";

/// A service by its names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ServiceName {
    pub(crate) project: String,
    pub(crate) region: String,
    pub(crate) service: String,
}

impl ServiceName {
    /// `projects/P/locations/R/services/S`
    pub(crate) fn full(&self) -> String {
        format!("projects/{}/locations/{}/services/{}", self.project, self.region, self.service)
    }
}

/// A service, as far as its traffic goes.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct ServiceTraffic {
    /// The full name. An answer without it is not a service.
    pub(crate) name: String,
    /// What a change has to name, so that it is one of this very state.
    pub(crate) etag: String,
    /// Counts the changes that were asked for, and those that were taken up.
    pub(crate) generation: String,
    pub(crate) observed_generation: String,
    /// Whether a change is under way.
    pub(crate) reconciling: bool,
    /// What is asked for, and what serves.
    pub(crate) traffic: Vec<TrafficEntry>,
    pub(crate) traffic_statuses: Vec<TrafficEntry>,
    conditions: Vec<Condition>,
    pub(crate) latest_ready_revision: String,
    pub(crate) latest_created_revision: String,
    /// Who changed it last, and when.
    pub(crate) last_modifier: String,
    pub(crate) update_time: String,
    /// The service's own address.
    pub(crate) uri: String,
    pub(crate) ingress: String,
    pub(crate) delete_time: String,
}

/// An entry of the traffic. What is not known of it is kept as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct TrafficEntry {
    /// `TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION`, or `…_LATEST`, which names no revision.
    #[serde(rename = "type", skip_serializing_if = "String::is_empty")]
    kind: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    revision: String,
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) percent: u32,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) tag: String,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(percent: &u32) -> bool {
    *percent == 0
}

impl TrafficEntry {
    /// Whether it goes to whatever revision is the newest that is ready.
    pub(crate) fn is_latest(&self) -> bool {
        self.revision.is_empty() && self.kind != BY_REVISION
    }
}

/// Whether a change of the traffic has happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Shifted {
    Done,
    /// It is on its way: what is still lacking.
    NotYet(String),
    /// The traffic that is asked for is another.
    Otherwise,
}

impl ServiceTraffic {
    /// The short name of the revision that an entry is of.
    pub(crate) fn revision_of(&self, entry: &TrafficEntry) -> String {
        short(if entry.is_latest() { &self.latest_ready_revision } else { &entry.revision })
    }

    /// What serves: every entry with its revision.
    pub(crate) fn shares(&self) -> Vec<Share> {
        let share = |entry: &TrafficEntry| Share {
            revision: self.revision_of(entry),
            percent: entry.percent,
            tag: Some(entry.tag.clone()).filter(|tag| !tag.is_empty()),
        };
        self.traffic_statuses.iter().map(share).collect()
    }

    /// What is asked for. A service of which nobody says anything sends everything to its newest ready revision.
    fn asked(&self) -> Vec<TrafficEntry> {
        let all = TrafficEntry { kind: LATEST.into(), percent: 100, ..TrafficEntry::default() };
        if self.traffic.is_empty() { vec![all] } else { self.traffic.clone() }
    }

    /// The revisions with traffic, by what serves; a tag alone is no traffic.
    pub(crate) fn with_traffic(&self) -> BTreeMap<String, u32> {
        self.percents(&self.traffic_statuses)
    }

    fn percents(&self, entries: &[TrafficEntry]) -> BTreeMap<String, u32> {
        let mut percents = BTreeMap::new();
        for entry in entries.iter().filter(|entry| entry.percent > 0) {
            let percent: &mut u32 = percents.entry(self.revision_of(entry)).or_default();
            *percent = percent.saturating_add(entry.percent);
        }
        percents
    }

    /// The tags, each with what it stands for: a revision, or the newest one.
    fn tags_of(entries: &[TrafficEntry]) -> Vec<(String, String)> {
        let tagged = entries.iter().filter(|entry| !entry.tag.is_empty());
        let stands = |entry: &TrafficEntry| if entry.is_latest() { LATEST.to_owned() } else { short(&entry.revision) };
        let mut tags: Vec<(String, String)> = tagged.map(|entry| (entry.tag.clone(), stands(entry))).collect();
        tags.sort();
        tags
    }

    /// The tags that are asked for, each with what it stands for.
    pub(crate) fn tags(&self) -> Vec<(String, String)> {
        Self::tags_of(&self.traffic)
    }

    /// The revision that a tag stands for.
    pub(crate) fn tagged(&self, tag: &str) -> Option<String> {
        self.asked().iter().find(|entry| entry.tag == tag).map(|entry| self.revision_of(entry))
    }

    /// Whether all traffic goes to whatever is newest, so that the next deploy takes it.
    pub(crate) fn follows_latest(&self) -> bool {
        self.asked().iter().filter(|entry| entry.percent > 0).all(TrafficEntry::is_latest)
    }

    /// The list that gives a revision everything: one entry for that, and every tag's entry at nothing, as it is otherwise.
    pub(crate) fn all_to(&self, revision: &str) -> Vec<TrafficEntry> {
        let all = TrafficEntry {
            kind: BY_REVISION.into(),
            revision: revision.into(),
            percent: 100,
            ..TrafficEntry::default()
        };
        let tagged = self.traffic.iter().filter(|entry| !entry.tag.is_empty());
        let kept = tagged.map(|entry| TrafficEntry { percent: 0, ..entry.clone() });
        std::iter::once(all).chain(kept).collect()
    }

    /// Whether a revision has everything, with these tags. What is asked for decides whether it may still come; what serves, whether it
    /// is there. The service's own readiness is left alone: the newest revision may have failed, and that is no matter here.
    pub(crate) fn has_all(&self, revision: &str, tags: &[(String, String)]) -> Shifted {
        let asked = self.asked();
        let wanted = BTreeMap::from([(revision.to_owned(), 100)]);
        if self.percents(&asked) != wanted || Self::tags_of(&asked) != tags {
            return Shifted::Otherwise;
        }
        match self.is_settled() {
            Some(why) => Shifted::NotYet(why),
            None => Shifted::Done,
        }
    }

    /// Why what serves is not yet what is asked for; nothing where it is.
    pub(crate) fn is_settled(&self) -> Option<String> {
        let asked = self.asked();
        let routes = self.conditions.iter().find(|condition| condition.kind == "RoutesReady");
        if self.reconciling {
            return Some("the service is still reconciling".into());
        }
        if self.generation.is_empty() || self.observed_generation != self.generation {
            let (generation, observed) = (&self.generation, &self.observed_generation);
            return Some(format!(
                "the service has not taken up its newest change (generation {generation}, observed {observed})"
            ));
        }
        if self.percents(&self.traffic_statuses) != self.percents(&asked)
            || Self::tags_of(&self.traffic_statuses) != Self::tags_of(&asked)
        {
            return Some("what serves is not what is asked for".into());
        }
        match routes.map(|routes| (&*routes.state, &*routes.message)) {
            Some(("CONDITION_SUCCEEDED", _)) => None,
            Some((state, message)) => Some(format!("its routes are not ready: {message} ({state})")),
            None => Some("the Cloud Run Admin API does not say whether its routes are ready".into()),
        }
    }
}

/// What makes a revision unfit to get traffic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Unfit {
    Deleted(String),
    NotReady(String),
}

/// A revision as far as it may get traffic.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct RevisionFacts {
    name: String,
    conditions: Vec<Condition>,
    delete_time: String,
    containers: Value,
}

impl RevisionFacts {
    pub(crate) fn short(&self) -> String {
        short(&self.name)
    }

    pub(crate) fn image(&self) -> Option<String> {
        self.containers.pointer("/0/image")?.as_str().map(str::to_owned)
    }

    /// Why it may get none; nothing where it may.
    pub(crate) fn unfit(&self) -> Option<Unfit> {
        if !self.delete_time.is_empty() {
            return Some(Unfit::Deleted(self.delete_time.clone()));
        }
        let ready: Vec<&Condition> = self.conditions.iter().filter(|condition| condition.kind == "Ready").collect();
        match &*ready {
            [] => Some(Unfit::NotReady("it has no Ready condition".into())),
            ready => {
                let bad = ready.iter().find(|condition| condition.state != "CONDITION_SUCCEEDED")?;
                Some(Unfit::NotReady(format!("{} ({})", bad.message, bad.state)))
            }
        }
    }
}

/// Reads a service.
///
/// # Errors
/// Why there is no answer.
pub(crate) async fn service(api: &Api, name: &ServiceName, deadline: Instant) -> Result<ServiceTraffic, ApiError> {
    let path = format!("/v2/{}", name.full());
    let service: ServiceTraffic = api.get(&path, deadline).await?;
    // What is not of this name is no answer to what was asked. A project may be written by its number.
    let of_project = |name: &str| name.split_once("/locations/").map(|(_, rest)| rest.to_owned());
    let full = name.full();
    if of_project(&service.name) != of_project(&full) || service.etag.is_empty() {
        return Err(api.unusable(&path));
    }
    // What is changed is what was asked for, by the name that was given.
    Ok(ServiceTraffic { name: full, ..service })
}

/// Reads a revision.
///
/// # Errors
/// Why there is no answer.
pub(crate) async fn revision(
    api: &Api,
    name: &ServiceName,
    revision: &str,
    deadline: Instant,
) -> Result<RevisionFacts, ApiError> {
    let path = format!("/v2/{}/revisions/{revision}", name.full());
    let found: RevisionFacts = api.get(&path, deadline).await?;
    if found.short() != revision {
        return Err(api.unusable(&path));
    }
    Ok(found)
}

/// Asks for a traffic list in place of the one that was read; with `validate_only`, whether that would be taken.
///
/// # Errors
/// [`ApiErrorKind::Conflict`] where the service is not as it was read. After one that is [`ApiErrorKind::Transient`], nobody
/// knows whether the change was made: that has to be read.
pub(crate) async fn set_traffic(
    api: &Api,
    read: &ServiceTraffic,
    traffic: &[TrafficEntry],
    validate_only: bool,
    deadline: Instant,
) -> Result<Operation, ApiError> {
    let validate = if validate_only { "&validateOnly=true" } else { "" };
    let path = format!("/v2/{}?updateMask=traffic{validate}", read.name);
    let traffic = serde_json::to_value(traffic)
        .map_err(|error| ApiError::new(ApiErrorKind::Permanent, format!("the traffic cannot be written: {error}")))
        .map_err(|error| ApiError { is_refusal: true, ..error })?;
    let body = json!({"name": read.name, "etag": read.etag, "traffic": traffic});
    api.patch(&path, &body, deadline).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(traffic: &Value) -> ServiceTraffic {
        serde_json::from_value(json!({
            "name": "projects/p/locations/r/services/app", "generation": "7", "observedGeneration": "7", "etag": "e",
            "latestReadyRevision": "projects/p/locations/r/services/app/revisions/app-3",
            "conditions": [{"type": "RoutesReady", "state": "CONDITION_SUCCEEDED"}],
            "traffic": traffic, "trafficStatuses": traffic,
        }))
        .unwrap()
    }

    fn shifted(service: &ServiceTraffic, revision: &str) -> Value {
        serde_json::to_value(service.all_to(revision)).unwrap()
    }

    #[test]
    fn every_tag_is_kept_as_it_is_and_has_nothing() {
        let all = json!({"type": BY_REVISION, "revision": "app-1", "percent": 100});
        for (before, after) in [
            (json!([]), json!([all])),
            (json!([{"type": LATEST, "percent": 100}]), json!([all])),
            // A tag that stands on an entry with traffic: the entry is split.
            (
                json!([{"type": BY_REVISION, "revision": "app-1", "percent": 80, "tag": "stable"}, {"type": LATEST, "percent": 20, "tag": "next"}]),
                json!([all, {"type": BY_REVISION, "revision": "app-1", "tag": "stable"}, {"type": LATEST, "tag": "next"}]),
            ),
            // What nobody here knows of an entry is kept.
            (
                json!([{"type": BY_REVISION, "revision": "app-2", "percent": 100}, {"type": BY_REVISION, "revision": "app-2", "tag": "a", "newField": {"x": 1}}]),
                json!([all, {"type": BY_REVISION, "revision": "app-2", "tag": "a", "newField": {"x": 1}}]),
            ),
            // An entry without traffic and tag says nothing.
            (
                json!([{"type": BY_REVISION, "revision": "app-2", "percent": 100}, {"type": BY_REVISION, "revision": "app-3"}]),
                json!([all]),
            ),
        ] {
            assert_eq!(shifted(&service(&before), "app-1"), after, "{before}");
        }
    }

    #[test]
    fn a_change_is_done_when_it_serves() {
        let traffic = json!([
            {"type": BY_REVISION, "revision": "app-1", "percent": 100}, {"type": LATEST, "tag": "next"},
        ]);
        let tags = [("next".to_owned(), LATEST.to_owned())];
        let good = service(&traffic);
        assert_eq!(good.has_all("app-1", &tags), Shifted::Done);
        let with = |edit: &dyn Fn(&mut ServiceTraffic)| {
            let mut service = good.clone();
            edit(&mut service);
            service.has_all("app-1", &tags)
        };
        let not_yet = |shifted| matches!(shifted, Shifted::NotYet(_));
        assert!(not_yet(with(&|service| service.reconciling = true)));
        assert!(not_yet(with(&|service| service.observed_generation = "6".into())));
        assert!(not_yet(with(&|service| service.observed_generation = String::new())));
        assert!(not_yet(with(&|service| service.conditions[0].state = "CONDITION_FAILED".into())));
        assert!(not_yet(with(&|service| service.conditions.clear())));
        assert!(not_yet(with(&|service| service.traffic_statuses[0].percent = 99)));
        assert!(not_yet(with(&|service| service.traffic_statuses[1].tag = "other".into())));
        assert_eq!(with(&|service| service.traffic[0].percent = 99), Shifted::Otherwise);
        assert_eq!(with(&|service| service.traffic[1].tag = "other".into()), Shifted::Otherwise);
        assert_eq!(with(&|service| service.traffic.truncate(1)), Shifted::Otherwise);
        assert_eq!(good.has_all("app-3", &tags), Shifted::Otherwise);
        // Entries may be merged or split on the way; what counts is who has what.
        let split = json!([
            {"type": BY_REVISION, "revision": "projects/p/locations/r/services/app/revisions/app-1", "percent": 60},
            {"type": BY_REVISION, "revision": "app-1", "percent": 40}, {"type": LATEST, "tag": "next"},
        ]);
        assert_eq!(service(&split).has_all("app-1", &tags), Shifted::Done);
    }

    #[test]
    fn latest_is_the_newest_ready_revision_and_a_tag_is_no_traffic() {
        let found = service(
            &json!([{"type": LATEST, "percent": 100}, {"type": BY_REVISION, "revision": "app-1", "tag": "old"}]),
        );
        assert_eq!(found.with_traffic(), BTreeMap::from([("app-3".to_owned(), 100)]));
        assert_eq!(found.has_all("app-3", &[("old".into(), "app-1".into())]), Shifted::Done);
        assert!(found.follows_latest());
        assert_eq!(found.tagged("old").as_deref(), Some("app-1"));
        assert!(service(&json!([])).follows_latest());
    }
}
