//! The Cloud Run Admin API v1, as far as it lists the services of all regions at once, which v2 does not.

use serde_json::{Value, json};

use super::names::PROJECT;
use super::{State, parameter};
use crate::canary::server::{Reply, Request};

pub fn answer(state: &State, request: &Request) -> Option<Reply> {
    if (&*request.method, &*request.path) != ("GET", &*format!("/v1/projects/{PROJECT}/locations/-/services")) {
        return None;
    }
    let of = |name: &String| {
        let parts: Vec<&str> = name.split('/').collect();
        let [_, project, _, region, "services", service] = parts[..] else { return None };
        Some(json!({
            "apiVersion": "serving.knative.dev/v1", "kind": "Service",
            "metadata": {"name": service, "namespace": project, "labels": {"cloud.googleapis.com/location": region}},
        }))
    };
    let items: Vec<Value> = state.resources.keys().filter_map(of).collect();
    let asked = parameter(request, "limit").and_then(|limit| limit.parse().ok()).unwrap_or(100);
    let size: usize = if state.page > 0 { state.page.min(asked) } else { asked };
    let from: usize = parameter(request, "continue").and_then(|token| token.parse().ok()).unwrap_or(0);
    let page: Vec<&Value> = items.iter().skip(from).take(size).collect();
    let mut answer =
        json!({"apiVersion": "serving.knative.dev/v1", "kind": "ServiceList", "metadata": {}, "items": page});
    if from + size < items.len() {
        answer["metadata"]["continue"] = json!((from + size).to_string());
    }
    if !state.unreachable.is_empty() {
        answer["unreachable"] = json!(state.unreachable);
    }
    Some(Reply::json(200, &answer.to_string()))
}
