//! What there is of a Cloud Run service: its traffic with everything that owns it, the revisions that are kept, the services of
//! its name in other regions; and the deletion of a revision.
//!
//! Reference: <https://cloud.google.com/run/docs/reference/rest/v2/projects.locations.services>, and, of all regions at once,
//! version 1 of the same API, which alone lists them together.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;
use tokio::time::Instant;

use super::api::{ApiError, ApiErrorKind};
use super::{Api, Operation, short};

/// The most pages of the services of a project.
const MOST_PAGES: usize = 100;

/// A service, as far as its traffic goes.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct ServiceNow {
    /// The full name. An answer without it is not a service, whatever else it is.
    pub(crate) name: String,
    pub(crate) generation: String,
    pub(crate) observed_generation: String,
    pub(crate) reconciling: bool,
    pub(crate) uri: String,
    pub(crate) latest_ready_revision: String,
    pub(crate) latest_created_revision: String,
    /// What was asked for, and what serves.
    pub(crate) traffic: Vec<TrafficEntry>,
    pub(crate) traffic_statuses: Vec<TrafficEntry>,
    pub(crate) ingress: String,
    pub(crate) delete_time: String,
}

/// One entry of the traffic.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct TrafficEntry {
    #[serde(rename = "type")]
    pub(crate) kind: String,
    /// Short or full; empty where the entry follows the latest revision.
    pub(crate) revision: String,
    pub(crate) percent: u32,
    pub(crate) tag: String,
}

/// A revision that is kept.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct RevisionKept {
    /// The full name.
    pub(crate) name: String,
    pub(crate) etag: String,
    pub(crate) create_time: String,
    pub(crate) delete_time: String,
    pub(crate) reconciling: bool,
    /// Each with its probes and ports.
    pub(crate) containers: Vec<Value>,
    pub(crate) conditions: Vec<RevisionCondition>,
}

/// A condition of a revision: `Ready` is the one that sums up.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct RevisionCondition {
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) state: String,
    pub(crate) message: String,
}

impl TrafficEntry {
    /// Whether it follows the latest revision.
    pub(crate) fn is_latest(&self) -> bool {
        self.kind.ends_with("_LATEST")
    }
}

impl ServiceNow {
    /// The short name of the revision that an entry is of.
    pub(crate) fn revision_of(&self, entry: &TrafficEntry) -> String {
        let latest = entry.revision.is_empty() && entry.is_latest();
        short(if latest { &self.latest_ready_revision } else { &entry.revision })
    }

    /// The share of the traffic that each revision has, over all of its entries; those with none are left out.
    pub(crate) fn shares(&self) -> BTreeMap<String, u64> {
        let mut shares = BTreeMap::new();
        for entry in self.traffic_statuses.iter().filter(|entry| entry.percent > 0) {
            *shares.entry(self.revision_of(entry)).or_default() += u64::from(entry.percent);
        }
        shares
    }

    /// Whether a revision serves, is to serve, or is reached by a tag.
    pub(crate) fn uses(&self, revision: &str) -> bool {
        self.traffic.iter().chain(&self.traffic_statuses).any(|entry| self.revision_of(entry) == revision)
    }

    /// Why what the API says of the traffic is not what serves yet; nothing where it is.
    pub(crate) fn unsettled(&self) -> Option<String> {
        if self.reconciling {
            return Some("the service is still reconciling".into());
        }
        if self.generation.is_empty() || self.generation != self.observed_generation {
            return Some(format!(
                "the service has not taken up its newest change yet (generation {:?}, observed {:?})",
                self.generation, self.observed_generation
            ));
        }
        let all: u64 = self.shares().values().sum();
        (all != 100).then(|| format!("the shares of the traffic add up to {all} %: it is {}", self.serving()))
    }

    /// What serves, in one line.
    pub(crate) fn serving(&self) -> String {
        let entry = |entry: &TrafficEntry| {
            let tag = if entry.tag.is_empty() { String::new() } else { format!(" (tag {})", entry.tag) };
            format!("{} % {}{tag}", entry.percent, self.revision_of(entry))
        };
        let entries: Vec<String> = self.traffic_statuses.iter().map(entry).collect();
        if entries.is_empty() { "of nobody".into() } else { entries.join(", ") }
    }
}

impl Api {
    /// A service of the Cloud Run Admin API.
    ///
    /// # Errors
    /// Why there is no answer.
    pub(crate) async fn run_service(&self, name: &str, deadline: Instant) -> Result<ServiceNow, ApiError> {
        let path = format!("/v2/{name}");
        let service: ServiceNow = self.get(&path, deadline).await?;
        if short(&service.name) == short(name) { Ok(service) } else { Err(self.unusable(&path)) }
    }

    /// One revision.
    ///
    /// # Errors
    /// Why there is no answer.
    pub(crate) async fn run_revision(&self, name: &str, deadline: Instant) -> Result<RevisionKept, ApiError> {
        let path = format!("/v2/{name}");
        let revision: RevisionKept = self.get(&path, deadline).await?;
        if short(&revision.name) == short(name) { Ok(revision) } else { Err(self.unusable(&path)) }
    }

    /// The revisions of a service that are not deleted, the newest first.
    ///
    /// # Errors
    /// Why there is no whole list.
    pub(crate) async fn run_revisions(&self, service: &str, deadline: Instant) -> Result<Vec<RevisionKept>, ApiError> {
        let path = format!("/v2/{service}/revisions?pageSize=100");
        let items = self.list(&path, "revisions", deadline).await?;
        let read: Result<Vec<RevisionKept>, _> = items.into_iter().map(serde_json::from_value).collect();
        let mut revisions = read.map_err(|_| self.unusable(&path))?;
        if revisions.iter().any(|revision| revision.name.is_empty()) {
            return Err(self.unusable(&path));
        }
        revisions.retain(|revision| revision.delete_time.is_empty());
        revisions.sort_by(|a, b| b.create_time.cmp(&a.create_time).then_with(|| b.name.cmp(&a.name)));
        Ok(revisions)
    }

    /// The regions in which a project has a service of a name. Only version 1 of the API lists all of them at once; it names the
    /// regions that it could not reach.
    ///
    /// # Errors
    /// Why there is no whole list.
    pub(crate) async fn regions_of(
        &self,
        project: &str,
        service: &str,
        deadline: Instant,
    ) -> Result<Vec<String>, ApiError> {
        let path = format!("/v1/projects/{project}/locations/-/services?limit=100");
        let not_whole = |why: &str| {
            let message = format!("{}: the list of {path} cannot be read whole: {why}", self.name());
            Err(ApiError::new(ApiErrorKind::Permanent, message))
        };
        let mut regions = Vec::new();
        let mut token = String::new();
        for _ in 0..MOST_PAGES {
            let encoded: String = url::form_urlencoded::byte_serialize(token.as_bytes()).collect();
            let asked = if token.is_empty() { path.clone() } else { format!("{path}&continue={encoded}") };
            let page: Value = self.get(&asked, deadline).await?;
            if page["kind"] != "ServiceList" {
                return Err(self.unusable(&path));
            }
            let missed: Vec<&str> =
                page["unreachable"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
            if !missed.is_empty() {
                return not_whole(&format!("the API could not reach {}", missed.join(", ")));
            }
            for item in page["items"].as_array().into_iter().flatten() {
                let metadata = &item["metadata"];
                if metadata["name"] == service {
                    let region = metadata["labels"]["cloud.googleapis.com/location"].as_str();
                    regions.push(region.unwrap_or("a region that is not named").to_owned());
                }
            }
            let next = page["metadata"]["continue"].as_str().unwrap_or_default();
            if next.is_empty() {
                regions.sort();
                return Ok(regions);
            }
            if next == token {
                return not_whole("a page names itself as the next one");
            }
            next.clone_into(&mut token);
        }
        not_whole(&format!("it has over {MOST_PAGES} pages"))
    }

    /// Deletes a revision that is still as it was read.
    ///
    /// # Errors
    /// As of [`Api::patch`]; a conflict where it is not.
    pub(crate) async fn delete_revision(
        &self,
        revision: &RevisionKept,
        deadline: Instant,
    ) -> Result<Operation, ApiError> {
        let etag: String = url::form_urlencoded::byte_serialize(revision.etag.as_bytes()).collect();
        self.delete(&format!("/v2/{}?etag={etag}", revision.name), deadline).await
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn service(entries: &Value) -> ServiceNow {
        serde_json::from_value(json!({
            "name": "projects/p/locations/r/services/app", "generation": "7", "observedGeneration": "7",
            "latestReadyRevision": "projects/p/locations/r/services/app/revisions/app-2", "trafficStatuses": entries,
        }))
        .unwrap()
    }

    #[test]
    fn shares_are_summed_for_each_revision_and_tags_alone_are_none() {
        let latest = "TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST";
        for (entries, wanted) in [
            (json!([{"revision": "app-2", "percent": 100}]), vec![("app-2", 100)]),
            (json!([{"type": latest, "percent": 100}]), vec![("app-2", 100)]),
            (json!([{"type": latest, "percent": 60}, {"revision": "app-2", "percent": 40}]), vec![("app-2", 100)]),
            (json!([{"revision": "app-2", "percent": 100}, {"revision": "app-1", "tag": "old"}]), vec![("app-2", 100)]),
            (
                json!([{"revision": "app-1", "percent": 80}, {"revision": "app-2", "percent": 20}]),
                vec![("app-1", 80), ("app-2", 20)],
            ),
        ] {
            let shares = service(&entries).shares();
            let shares: Vec<(&str, u64)> = shares.iter().map(|(name, share)| (&**name, *share)).collect();
            assert_eq!(shares, wanted, "{entries}");
        }
    }

    #[test]
    fn what_is_not_settled_proves_nothing() {
        let whole = || service(&json!([{"revision": "app-2", "percent": 100}]));
        assert_eq!(whole().unsettled(), None);
        let why = |edit: fn(&mut ServiceNow)| {
            let mut service = whole();
            edit(&mut service);
            service.unsettled().unwrap_or_default()
        };
        assert!(why(|service| service.reconciling = true).contains("reconciling"));
        assert!(why(|service| service.observed_generation = "6".into()).contains("not taken up"));
        assert!(why(|service| service.generation.clear()).contains("not taken up"));
        assert!(why(|service| service.traffic_statuses[0].percent = 90).contains("add up to 90 %"));
        assert!(why(|service| service.traffic_statuses.clear()).contains("of nobody"));
    }
}
