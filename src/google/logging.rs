//! Cloud Logging: the log entries of one revision in a span of time, read page by page to their end.
//!
//! Reference: <https://cloud.google.com/logging/docs/reference/v2/rest/v2/entries/list>.

use std::time::SystemTime;

use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::Api;
use super::api::ApiError;

/// The entries of a page. They may be large, and an answer is bounded.
const PAGE: u32 = 50;

/// Which entries.
#[derive(Clone, Debug)]
pub(crate) struct LogQuery<'q> {
    pub(crate) project: &'q str,
    pub(crate) region: &'q str,
    pub(crate) service: &'q str,
    pub(crate) revision: &'q str,
    /// From when on, and until when.
    pub(crate) span: (SystemTime, SystemTime),
    /// Only those of severity ERROR and above.
    pub(crate) only_errors: bool,
}

/// One entry, as far as it is shown.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct LogEntry {
    pub(crate) timestamp: String,
    pub(crate) severity: String,
    text_payload: Option<String>,
    json_payload: Value,
    proto_payload: Value,
    http_request: Value,
    resource: Value,
}

/// One page of entries, and the token of the next one. An empty page with a token is not the end.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct LogPage {
    pub(crate) entries: Vec<LogEntry>,
    #[serde(rename = "nextPageToken")]
    pub(crate) next: String,
}

impl LogEntry {
    /// Whether it is of a revision.
    pub(crate) fn is_of(&self, revision: &str) -> bool {
        self.resource["labels"]["revision_name"] == revision
    }

    /// Whether it tells of a request that the gate itself sent.
    pub(crate) fn is_of_the_gate(&self) -> bool {
        self.http_request["userAgent"].as_str().is_some_and(|agent| agent.starts_with("canary-gate/"))
    }

    /// What it says, in one line. Of a request's address the query is left out: it may hold what is secret.
    pub(crate) fn line(&self) -> String {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let said = self
            .text_payload
            .clone()
            .or_else(|| text(&self.json_payload["message"]))
            .or_else(|| text(&self.json_payload["msg"]))
            .or_else(|| text(&self.json_payload))
            .or_else(|| text(&self.proto_payload["status"]["message"]))
            .or_else(|| self.request())
            .or_else(|| self.json_payload.is_object().then(|| self.json_payload.to_string()))
            .unwrap_or_else(|| "an entry without a text".into());
        said.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or("an empty entry").to_owned()
    }

    fn request(&self) -> Option<String> {
        let request = self.http_request.as_object()?;
        let url = request.get("requestUrl").and_then(Value::as_str).unwrap_or_default();
        let method = request.get("requestMethod").and_then(Value::as_str).unwrap_or("a request");
        let status =
            request.get("status").and_then(Value::as_u64).map_or("no status".into(), |status| status.to_string());
        Some(format!("{method} {}: {status}", url.split(['?', '#']).next().unwrap_or_default()))
    }
}

impl LogQuery<'_> {
    /// The filter, in Logging's query language. The names are valid in the APIs' paths, and hold nothing that would end a text.
    pub(crate) fn filter(&self) -> String {
        let (from, until) = self.span;
        let at = |time| humantime::format_rfc3339_millis(time);
        let errors = if self.only_errors { " AND severity>=ERROR" } else { "" };
        format!(
            "resource.type=\"cloud_run_revision\" AND resource.labels.service_name=\"{}\" AND resource.labels.location=\"{}\" AND \
             resource.labels.revision_name=\"{}\"{errors} AND timestamp>=\"{}\" AND timestamp<\"{}\"",
            self.service,
            self.region,
            self.revision,
            at(from),
            at(until)
        )
    }
}

impl Api {
    /// One page of log entries, the oldest first; the first one where the token is empty.
    ///
    /// # Errors
    /// Why there is no answer.
    pub(crate) async fn log_page(
        &self,
        query: &LogQuery<'_>,
        token: &str,
        deadline: Instant,
    ) -> Result<LogPage, ApiError> {
        let mut body = json!({
            "resourceNames": [format!("projects/{}", query.project)],
            "filter": query.filter(),
            "orderBy": "timestamp asc",
            "pageSize": PAGE,
        });
        if !token.is_empty() {
            body["pageToken"] = token.into();
        }
        self.post("/v2/entries:list", &body, deadline).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_one_line_without_the_query_of_a_request() {
        for (entry, wanted) in [
            (json!({"textPayload": "\n  Traceback: x\n  more"}), "Traceback: x"),
            (json!({"jsonPayload": {"message": "no database", "code": 7}}), "no database"),
            (json!({"jsonPayload": {"code": 7}}), "{\"code\":7}"),
            (json!({"protoPayload": {"status": {"message": "The request was aborted"}}}), "The request was aborted"),
            (
                json!({"httpRequest": {"requestMethod": "GET", "requestUrl": "https://a.example/x?token=s3cret", "status": 503}}),
                "GET https://a.example/x: 503",
            ),
            (json!({"textPayload": ""}), "an empty entry"),
            (json!({}), "an entry without a text"),
        ] {
            let read: LogEntry = serde_json::from_value(entry.clone()).unwrap();
            assert_eq!(read.line(), wanted, "{entry}");
        }
    }

    #[test]
    fn only_the_gates_own_requests_are_the_gates() {
        for (agent, wanted) in [("canary-gate/2.0", true), ("curl canary-gate/2.0", false), ("", false)] {
            let read: LogEntry = serde_json::from_value(json!({"httpRequest": {"userAgent": agent}})).unwrap();
            assert_eq!(read.is_of_the_gate(), wanted, "{agent}");
        }
        let by_text: LogEntry = serde_json::from_value(json!({"textPayload": "canary-gate/2.0 was here"})).unwrap();
        assert!(!by_text.is_of_the_gate());
    }
}
