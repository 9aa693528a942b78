//! The Cloud Run Admin API v2: services with traffic, revisions, operations.
//!
//! A change of the traffic is taken up at once and has happened when its operation is done.

use serde_json::{Value, json};

use super::names::{SERVICE, location, revision, service};
use super::{State, body, error, parameter, resources};
use crate::canary::google::{DEPLOYED, PRIOR, SERVICE_URL};
use crate::canary::server::{Reply, Request};

const BY_REVISION: &str = "TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION";
const LATEST: &str = "TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST";

/// A change that is under way.
pub struct Pending {
    /// How many times it is still asked about until it is done.
    pub left: usize,
    /// The service that it changes.
    pub service: String,
    /// Why it fails in the end, where it does.
    pub fails: Option<&'static str>,
}

/// The service after a canary that failed: the stable revision has 80 %, the canary 20 %, each with its tag.
pub fn sample(state: &mut State) {
    for (name, number) in [(PRIOR, "41"), (DEPLOYED, "42")] {
        state.resources.insert(revision(name), self::revision_of(name, number));
    }
    let traffic = json!([
        {"type": BY_REVISION, "revision": DEPLOYED, "percent": 20, "tag": "canary"},
        {"type": BY_REVISION, "revision": PRIOR, "percent": 80},
        {"type": BY_REVISION, "revision": PRIOR, "tag": "stable"},
    ]);
    let service = json!({
        "name": service(), "uid": "5e5f0000-0000-4000-8000-000000000001",
        "generation": "42", "observedGeneration": "42", "etag": "\"etag-42\"",
        "createTime": "2026-01-05T10:00:00.000000Z", "updateTime": "2026-11-20T10:00:00.000000Z",
        "creator": "deployer@emergence-469005.iam.gserviceaccount.com",
        "lastModifier": "deployer@emergence-469005.iam.gserviceaccount.com",
        "ingress": "INGRESS_TRAFFIC_ALL", "uri": SERVICE_URL, "urls": [SERVICE_URL],
        "latestReadyRevision": revision(DEPLOYED), "latestCreatedRevision": revision(DEPLOYED),
        "template": {"containers": [{
            "image": format!("img/{SERVICE}@sha256:{}", "42".repeat(32)),
            "startupProbe": {"httpGet": {"path": "/api/health", "port": 8080}},
        }]},
        "terminalCondition": {"type": "Ready", "state": "CONDITION_SUCCEEDED"},
        "conditions": [{"type": "RoutesReady", "state": "CONDITION_SUCCEEDED"}],
        "traffic": traffic,
    });
    state.resources.insert(self::service(), service);
    settle(state, &self::service());
}

fn revision_of(name: &str, number: &str) -> Value {
    json!({
        "name": revision(name), "uid": format!("5e5f0000-0000-4000-8000-0000000000{number}"),
        "generation": "1", "observedGeneration": "1", "etag": format!("\"etag-{number}\""),
        "createTime": format!("2026-11-{}T10:00:00.000000Z", if number == "42" { "20" } else { "12" }),
        "service": SERVICE,
        "containers": [{"image": format!("img/{SERVICE}@sha256:{}", number.repeat(32))}],
        "conditions": [{"type": "Ready", "state": "CONDITION_SUCCEEDED"}],
    })
}

/// Makes what serves what was asked for.
pub fn settle(state: &mut State, name: &str) {
    let Some(service) = state.resources.get_mut(name) else { return };
    let statuses: Vec<Value> = service["traffic"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|entry| {
            let mut status = entry.clone();
            if let Some(tag) = entry["tag"].as_str() {
                status["uri"] = json!(SERVICE_URL.replace("https://", &format!("https://{tag}---")));
            }
            status
        })
        .collect();
    service["trafficStatuses"] = json!(statuses);
    service["observedGeneration"] = service["generation"].clone();
    service["reconciling"] = json!(false);
}

/// Somebody changes the service: its etag and generation are others from now on.
pub fn touch(state: &mut State, name: &str) {
    let Some(service) = state.resources.get_mut(name) else { return };
    let before = service["generation"].as_str().and_then(|text| text.parse::<u64>().ok());
    let generation = before.unwrap_or_default() + 1;
    service["generation"] = json!(generation.to_string());
    service["etag"] = json!(format!("\"etag-{generation}\""));
}

pub fn answer(state: &mut State, request: &Request) -> Option<Reply> {
    let name = request.path.strip_prefix("/v2/")?;
    let kind = name.rsplit('/').nth(1)?;
    Some(match (&*request.method, kind) {
        ("GET", "operations") => operation(state, name),
        ("POST", "operations") => operation(state, name.trim_end_matches(":wait")),
        ("GET", "services") => {
            happen(state, name);
            resources::get(state, name)
        }
        ("GET", "revisions") => resources::get(state, name),
        ("GET", _) if name.ends_with("/revisions") => resources::list(state, request, name, "revisions"),
        ("GET", _) if name.ends_with("/services") => resources::list(state, request, name, "services"),
        ("PATCH", "services") => patch(state, request, name),
        ("DELETE", "revisions") => delete(state, request, name),
        _ => return None,
    })
}

/// A change goes on whoever looks at it: also at the service alone.
fn happen(state: &mut State, name: &str) {
    let pending = state.operations.values_mut().find(|pending| pending.service == name && pending.fails.is_none());
    let Some(pending) = pending else { return };
    if pending.left > 0 {
        pending.left -= 1;
    } else if state.resources.get(name).is_some_and(|service| service["reconciling"] == true) {
        settle(state, name);
    }
}

fn operation(state: &mut State, name: &str) -> Reply {
    let Some(pending) = state.operations.get_mut(name) else {
        return error(404, "NOT_FOUND", "The operation was not found");
    };
    if pending.left > 0 {
        pending.left -= 1;
        return Reply::json(200, &json!({"name": name, "done": false}).to_string());
    }
    let (service, fails) = (pending.service.clone(), pending.fails);
    if let Some(why) = fails {
        return Reply::json(
            200,
            &json!({"name": name, "done": true, "error": {"code": 9, "message": why}}).to_string(),
        );
    }
    settle(state, &service);
    let response = state.resources.get(&service).cloned().unwrap_or_default();
    Reply::json(200, &json!({"name": name, "done": true, "response": response}).to_string())
}

fn patch(state: &mut State, request: &Request, name: &str) -> Reply {
    let body = body(request);
    let Some(service) = state.resources.get(name).cloned() else {
        return error(404, "NOT_FOUND", &format!("Resource '{name}' was not found"));
    };
    let mask = parameter(request, "updateMask").unwrap_or_default();
    if mask != "traffic" {
        return error(400, "INVALID_ARGUMENT", &format!("the fake changes the traffic only, not {mask:?}"));
    }
    if let Some(etag) = body["etag"].as_str().filter(|etag| !etag.is_empty())
        && service["etag"] != etag
    {
        return error(409, "ABORTED", "Conflict for resource: the etag is not that of the current version");
    }
    if let Err(why) = valid(state, name, &body["traffic"]) {
        return error(400, "INVALID_ARGUMENT", &why);
    }
    if parameter(request, "validateOnly").as_deref() == Some("true") {
        let operation = format!("{}/operations/validate-{}", location(), state.next());
        return Reply::json(200, &json!({"name": operation, "done": true, "response": service}).to_string());
    }
    touch(state, name);
    let id = format!("{}/operations/{}", location(), state.next());
    if let Some(service) = state.resources.get_mut(name) {
        service["traffic"] = body["traffic"].clone();
        service["reconciling"] = json!(true);
    }
    let left = state.slow;
    let fails = state.run_fails;
    state.operations.insert(id.clone(), Pending { left, service: name.to_owned(), fails });
    Reply::json(200, &json!({"name": id, "done": false}).to_string())
}

/// What the API refuses of a traffic list.
fn valid(state: &State, service: &str, traffic: &Value) -> Result<(), String> {
    let entries = traffic.as_array().ok_or("traffic is not a list")?;
    let total: u64 = entries.iter().map(|entry| entry["percent"].as_u64().unwrap_or_default()).sum();
    if total != 100 {
        return Err(format!("traffic percentages must add up to 100, and are {total}"));
    }
    let mut tags = std::collections::BTreeSet::new();
    for entry in entries {
        if let Some(tag) = entry["tag"].as_str()
            && !tags.insert(tag)
        {
            return Err(format!("the tag {tag} stands twice"));
        }
        let name = entry["revision"].as_str().unwrap_or_default();
        match entry["type"].as_str().unwrap_or_default() {
            LATEST if name.is_empty() => {}
            BY_REVISION if state.resources.contains_key(&format!("{service}/revisions/{name}")) => {}
            BY_REVISION => return Err(format!("the revision {name:?} does not exist")),
            kind => return Err(format!("{kind:?} does not go with the revision {name:?}")),
        }
    }
    Ok(())
}

fn delete(state: &mut State, request: &Request, name: &str) -> Reply {
    let Some(resource) = state.resources.get(name) else {
        return error(404, "NOT_FOUND", &format!("Resource '{name}' was not found"));
    };
    if let Some(etag) = parameter(request, "etag").filter(|etag| resource["etag"] != **etag) {
        return error(
            409,
            "ABORTED",
            &format!("Conflict for resource: the etag {etag} is not that of the current version"),
        );
    }
    let short = name.rsplit('/').next().unwrap_or_default();
    let (parent, _) = name.split_once("/revisions/").unwrap_or((name, ""));
    let serves = state.resources.get(parent).and_then(|service| service["trafficStatuses"].as_array());
    if serves.into_iter().flatten().any(|entry| entry["revision"] == short) {
        return error(400, "FAILED_PRECONDITION", &format!("Revision '{short}' cannot be deleted: it serves traffic"));
    }
    state.resources.remove(name);
    let id = format!("{}/operations/{}", location(), state.next());
    Reply::json(200, &json!({"name": id, "done": true, "response": {}}).to_string())
}
