//! Cloud Logging v2: `entries:list`, with the filters that are used. What does not fit is looked at and leaves pages empty.

use serde_json::{Value, json};

use super::names::{PROJECT, REGION, SERVICE};
use super::{State, body, error};
use crate::canary::server::{Reply, Request};

/// The entries, in the order of their times.
#[derive(Default)]
pub struct Logged {
    pub entries: Vec<Value>,
    /// How many empty pages with a token come before the first entry of every list.
    pub empty_pages: usize,
}

/// An entry of a revision.
pub fn entry(revision: &str, timestamp: &str, severity: &str, text: &str) -> Value {
    json!({
        "insertId": format!("{revision}-{timestamp}-{}", text.len()),
        "logName": format!("projects/{PROJECT}/logs/run.googleapis.com%2Fstderr"),
        "timestamp": timestamp, "receiveTimestamp": timestamp, "severity": severity, "textPayload": text,
        "resource": {"type": "cloud_run_revision", "labels": {
            "project_id": PROJECT, "location": REGION, "service_name": SERVICE, "configuration_name": SERVICE,
            "revision_name": revision,
        }},
    })
}

/// An entry of a request.
pub fn request(revision: &str, timestamp: &str, severity: &str, agent: &str, status: u16) -> Value {
    let mut entry = entry(revision, timestamp, severity, "");
    entry.as_object_mut().expect("an entry").remove("textPayload");
    entry["logName"] = json!(format!("projects/{PROJECT}/logs/run.googleapis.com%2Frequests"));
    entry["httpRequest"] = json!({"requestMethod": "GET", "requestUrl": "https://app.example/api/items?token=s3cret-query",
        "status": status, "userAgent": agent, "latency": "0.1s"});
    entry
}

pub fn answer(state: &State, request: &Request) -> Option<Reply> {
    if (&*request.method, &*request.path) != ("POST", "/v2/entries:list") {
        return None;
    }
    let body = body(request);
    if body["resourceNames"] != json!([format!("projects/{PROJECT}")]) {
        return Some(error(400, "INVALID_ARGUMENT", "resource_names has no project that is known"));
    }
    let filter = body["filter"].as_str().unwrap_or_default();
    let mut found: Vec<&Value> = state.logging.entries.iter().filter(|entry| fits(entry, filter)).collect();
    found.sort_by_key(|entry| entry["timestamp"].as_str().unwrap_or_default().to_owned());
    if body["orderBy"] == "timestamp desc" {
        found.reverse();
    }
    let asked = body["pageSize"].as_u64().and_then(|size| usize::try_from(size).ok()).filter(|size| *size > 0);
    let size = if state.page > 0 { state.page } else { asked.unwrap_or(50) };
    let from: usize = body["pageToken"].as_str().and_then(|token| token.parse().ok()).unwrap_or(0);
    // The first pages are those in which nothing was found.
    let empty = state.logging.empty_pages;
    if from < empty {
        return Some(Reply::json(200, &json!({"nextPageToken": (from + 1).to_string()}).to_string()));
    }
    let at = from - empty;
    let page: Vec<&&Value> = found.iter().skip(at).take(size).collect();
    let mut answer = json!({});
    if !page.is_empty() {
        answer["entries"] = json!(page);
    }
    if at + size < found.len() {
        answer["nextPageToken"] = json!((from + size).to_string());
    }
    Some(Reply::json(200, &answer.to_string()))
}

/// Whether an entry fits a filter of comparisons that `AND` joins.
fn fits(entry: &Value, filter: &str) -> bool {
    const SEVERITIES: [&str; 9] =
        ["DEFAULT", "DEBUG", "INFO", "NOTICE", "WARNING", "ERROR", "CRITICAL", "ALERT", "EMERGENCY"];
    let rank = |severity: &str| SEVERITIES.iter().position(|known| *known == severity).unwrap_or(0);
    filter.split(" AND ").all(|term| {
        let (at, operator) = [">=", "<", "="]
            .iter()
            .filter_map(|operator| Some((term.find(operator)?, *operator)))
            .min_by_key(|(at, _)| *at)
            .unwrap_or_else(|| panic!("the fake does not know the filter {filter:?}"));
        let (field, value) = (term[..at].trim(), term[at + operator.len()..].trim().trim_matches('"'));
        let found = field.split('.').fold(entry, |entry, key| &entry[key]).as_str().unwrap_or_default();
        match (field, operator) {
            ("severity", ">=") => rank(found) >= rank(value),
            // Times of one form sort as texts.
            ("timestamp", ">=") => found >= value,
            ("timestamp", "<") => found < value,
            (_, "=") => found == value,
            _ => panic!("the fake does not know the filter {filter:?}"),
        }
    })
}
