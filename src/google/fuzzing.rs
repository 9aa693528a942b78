//! What must hold of the APIs' answers, whatever the bytes.

#![allow(clippy::panic, reason = "outside production code")]

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::api::ErrorBody;
use super::deploy::{AutomationRun, JobRun, Pipeline, Release, Rollout};
use super::deployment::{Deployment, Pipeline as OfPipeline};
use super::logging::LogPage;
use super::operation::Operation;
use super::run_api::{Revision, RevisionState, Service, revision_state};
use super::run_inventory::{RevisionKept, ServiceNow};
use super::run_traffic::{RevisionFacts, ServiceTraffic};
use crate::http::{Address, Answer};

const REVISION: &str = "app-2";
const TAG: &str = "canary";
const PERCENT: u64 = 20;

fn read<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    serde_json::from_slice(bytes).ok()
}

/// A service and a revision, one a line: they prove a deployment only if they say so, by a second reading of the same
/// text. Any other answer is taken or refused, and shown.
pub(crate) fn api(bytes: &[u8]) {
    let end = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
    let (service, revision) = (&bytes[..end], bytes.get(end + 1..).unwrap_or_default());
    if let (Some(service), Some(revision)) = (read::<Service>(service), read::<Revision>(revision)) {
        let state = revision_state(&deployment(), &service, &revision);
        if let RevisionState::Proven(addresses) = &state {
            assert!(!addresses.is_empty());
        }
        if matches!(state, RevisionState::Proven(_) | RevisionState::Unaddressed(_)) {
            proves(bytes, end);
        }
        let _ = (service.shared(), service.shares(), service.is_open(), service.fingerprint());
        let _ = (revision.image(), revision.commit());
    }
    resources(service);
    for status in [200, 400, 401, 403, 404, 409, 429, 503] {
        let error = ErrorBody::read(service);
        let _ = (error.kind(&Answer::of(status, &[], "")), error.advice());
    }
}

/// The resources that the other commands read.
fn resources(bytes: &[u8]) {
    if let Some(pipeline) = read::<Pipeline>(bytes) {
        pipeline.targets().iter().for_each(|target| _ = pipeline.percentage(target, "canary-20"));
    }
    if let Some(service) = read::<ServiceTraffic>(bytes) {
        let tags = service.tags();
        let _ = (service.shares(), service.with_traffic(), service.tagged(TAG), service.follows_latest());
        let _ = (service.has_all(REVISION, &tags), service.is_settled(), service.all_to(REVISION));
    }
    if let Some(service) = read::<ServiceNow>(bytes) {
        let _ = (service.shares(), service.uses(REVISION), service.unsettled(), service.serving());
    }
    if let Some(revision) = read::<RevisionFacts>(bytes) {
        let _ = (revision.short(), revision.image(), revision.unfit());
    }
    if let Some(operation) = read::<Operation>(bytes) {
        let _ = operation.ended();
    }
    let _ = (read::<Release>(bytes), read::<Rollout>(bytes), read::<JobRun>(bytes), read::<AutomationRun>(bytes));
    let _ = (read::<RevisionKept>(bytes), read::<LogPage>(bytes));
}

/// Holds the proof against the text itself.
fn proves(bytes: &[u8], end: usize) {
    let [Some(service), Some(revision)] = [read::<Value>(&bytes[..end]), read::<Value>(&bytes[end + 1..])] else {
        panic!("it is not JSON");
    };
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let entries = list(&service["trafficStatuses"]);
    let share = |entry: &Value| entry["percent"].as_u64().unwrap_or_default();
    assert_eq!(entries.iter().map(share).sum::<u64>(), 100, "{service}");
    let latest = service["latestReadyRevision"].as_str().unwrap_or_default();
    let own = |entry: &&Value| {
        let named = entry["revision"].as_str().unwrap_or_default();
        let named = if named.is_empty() { latest } else { named };
        named.rsplit('/').next() == Some(REVISION)
    };
    assert_eq!(entries.iter().filter(own).map(share).sum::<u64>(), PERCENT, "{service}");
    assert!(entries.iter().filter(|entry| entry["tag"] == TAG).all(|entry| own(&entry)), "{service}");
    assert!(service["reconciling"] != true && revision["reconciling"] != true);
    let conditions = list(&revision["conditions"]);
    assert!(
        conditions.iter().any(|condition| condition["type"] == "Ready" && condition["state"] == "CONDITION_SUCCEEDED"),
        "{revision}"
    );
    assert_eq!(service["terminalCondition"]["state"], "CONDITION_SUCCEEDED", "{service}");
    assert_eq!(service["generation"], service["observedGeneration"], "{service}");
    assert!([&service, &revision].iter().all(|of| of["deleteTime"].as_str().unwrap_or_default().is_empty()));
}

fn deployment() -> Deployment {
    Deployment {
        project: "project".into(),
        region: "europe-west1".into(),
        service: "app".into(),
        revision: REVISION.into(),
        tag: TAG.into(),
        phase: None,
        release: None,
        rollout: None,
        service_urls: Address::parse("https://app-1.example.com").into_iter().collect(),
        percent: u32::try_from(PERCENT).ok(),
        pipeline: OfPipeline::default(),
    }
}
