//! One of Google's REST APIs: asked with an access token, its errors read for their kind and their reason.

use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::time::Instant;

use super::AccessTokens;
use crate::http::{Answer, Client, Header, Request, RequestLimits};

const LIMITS: RequestLimits = RequestLimits { time: Duration::from_secs(10), body: 4 * 1024 * 1024 };

/// An API at its endpoint.
#[derive(Clone)]
pub(crate) struct Api {
    /// As a sentence calls it: `the Cloud Run Admin API`.
    name: &'static str,
    client: Client,
    tokens: Rc<AccessTokens>,
}

/// Why an API answered nothing that can be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ApiError {
    pub(crate) kind: ApiErrorKind,
    pub(super) message: String,
    /// Whether it is the API's own word, or nothing was sent: then nothing was done either. Without it, what was asked may have been.
    pub(crate) is_refusal: bool,
    /// How long the API asks to wait.
    pub(crate) retry_after: Option<Duration>,
}

/// The kinds of [`ApiError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ApiErrorKind {
    /// It may answer later.
    Transient,
    /// It does not answer whoever asks.
    Denied,
    /// As it does not, for want of a role.
    Forbidden,
    /// There is no such thing.
    Missing,
    /// It is not as whoever asks believes: something changed meanwhile, is there already, or does not allow this now.
    Conflict,
    /// It will not answer this, however often it is asked.
    Permanent,
}

impl ApiError {
    pub(super) fn new(kind: ApiErrorKind, message: String) -> Self {
        Self { kind, message, is_refusal: false, retry_after: None }
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// The body of an error: <https://cloud.google.com/apis/design/errors>. What is not of its form in it is passed over.
#[derive(Default)]
pub(super) struct ErrorBody {
    message: String,
    status: String,
    /// The reason of the first detail that has one, and what it is about.
    reason: String,
    metadata: Value,
}

impl ErrorBody {
    pub(super) fn read(body: &[u8]) -> Self {
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        // A stream's error is the only element of an array.
        let error = &body.get(0).unwrap_or(&body)["error"];
        let text = |value: &Value| value.as_str().unwrap_or_default().trim().to_owned();
        let details = error["details"].as_array().map(Vec::as_slice).unwrap_or_default();
        let detail = details.iter().find(|detail| !text(&detail["reason"]).is_empty()).unwrap_or(&Value::Null);
        Self {
            message: text(&error["message"]),
            status: text(&error["status"]),
            reason: text(&detail["reason"]),
            metadata: detail["metadata"].clone(),
        }
    }

    /// The kind of the error behind a status. Pages that are no error of the API come from elsewhere: they say nothing of
    /// what was asked for.
    pub(super) fn kind(&self, answer: &Answer) -> ApiErrorKind {
        match answer.status {
            403 if matches!(&*self.reason, "RATE_LIMIT_EXCEEDED" | "RESOURCE_QUOTA_EXCEEDED") => {
                ApiErrorKind::Transient
            }
            403 if self.status == "PERMISSION_DENIED" && matches!(&*self.reason, "" | "IAM_PERMISSION_DENIED") => {
                ApiErrorKind::Forbidden
            }
            401 | 403 => ApiErrorKind::Denied,
            404 if self.status == "NOT_FOUND" => ApiErrorKind::Missing,
            409 | 412 => ApiErrorKind::Conflict,
            400 if self.status == "FAILED_PRECONDITION" => ApiErrorKind::Conflict,
            _ if answer.is_transient() => ApiErrorKind::Transient,
            _ => ApiErrorKind::Permanent,
        }
    }

    /// What the reason asks for.
    pub(super) fn advice(&self) -> String {
        let of = |name: &str| self.metadata[name].as_str().unwrap_or_default();
        match &*self.reason {
            "" => String::new(),
            "SERVICE_DISABLED" if !of("service").is_empty() && !of("consumer").is_empty() => {
                let project = project(of("consumer"));
                format!(" (enable the API: gcloud services enable {} --project={project})", of("service"))
            }
            reason => format!(" ({reason})"),
        }
    }
}

impl Api {
    pub(crate) fn new(name: &'static str, client: Client, tokens: Rc<AccessTokens>) -> Self {
        Self { name, client, tokens }
    }

    /// As a sentence calls it.
    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    /// Reads a resource.
    ///
    /// # Errors
    /// Why there is no answer.
    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str, deadline: Instant) -> Result<T, ApiError> {
        self.call(&Request::get(path), deadline).await
    }

    /// Calls a method with a JSON body.
    ///
    /// # Errors
    /// Why there is no answer.
    pub(crate) async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &serde_json::Value,
        deadline: Instant,
    ) -> Result<T, ApiError> {
        self.call(&Request::post(path, "application/json", body.to_string()), deadline).await
    }

    /// Changes the parts of a resource that the path's `updateMask` names.
    ///
    /// # Errors
    /// Why there is no answer. After one that is [`ApiErrorKind::Transient`], nobody knows whether the change was made.
    pub(crate) async fn patch<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &serde_json::Value,
        deadline: Instant,
    ) -> Result<T, ApiError> {
        self.call(&Request::with_body("PATCH", path, "application/json", body.to_string()), deadline).await
    }

    /// Deletes a resource.
    ///
    /// # Errors
    /// As of [`Api::patch`].
    pub(crate) async fn delete<T: DeserializeOwned>(&self, path: &str, deadline: Instant) -> Result<T, ApiError> {
        self.call(&Request { method: "DELETE".into(), ..Request::get(path) }, deadline).await
    }

    /// Uploads bytes.
    ///
    /// # Errors
    /// As of [`Api::patch`].
    pub(crate) async fn upload<T: DeserializeOwned>(
        &self,
        path: &str,
        media_type: &str,
        body: Vec<u8>,
        deadline: Instant,
    ) -> Result<T, ApiError> {
        self.call(&Request::with_body("POST", path, media_type, body), deadline).await
    }

    /// The error for an answer that does not fit the question.
    pub(super) fn unusable(&self, path: &str) -> ApiError {
        ApiError::new(
            ApiErrorKind::Transient,
            format!("{} answers {} with something else", self.name, self.client.shown(&Request::get(path))),
        )
    }

    /// One call. A token that is refused may have expired on the way: it is taken afresh once.
    async fn call<T: DeserializeOwned>(&self, request: &Request, deadline: Instant) -> Result<T, ApiError> {
        let (mut answer, token) = self.send(request, deadline).await?;
        if answer.status == 401 {
            self.tokens.forget(&token).await;
            (answer, _) = self.send(request, deadline).await?;
        }
        if answer.status == 200 {
            return serde_json::from_slice(&answer.body).map_err(|error| {
                let message =
                    format!("{} answers no JSON of its kind for {}: {error}", self.name, self.client.shown(request));
                ApiError::new(ApiErrorKind::Transient, message)
            });
        }
        Err(self.refusal(request, &answer))
    }

    /// The answer, and the token that it was asked for with.
    async fn send(&self, request: &Request, deadline: Instant) -> Result<(Answer, String), ApiError> {
        let token = self.tokens.get(deadline).await.map_err(|why| ApiError {
            is_refusal: true,
            ..ApiError::new(ApiErrorKind::Denied, format!("{} cannot be asked: {why}", self.name))
        })?;
        let mut request = request.clone().with(Header::bearer(&token));
        if let Some(project) = self.tokens.quota_project() {
            request = request.with(Header::plain("X-Goog-User-Project", project));
        }
        let asked = self.client.ask(&request, LIMITS, deadline).await;
        asked.map(|answer| (answer, token)).map_err(|failure| {
            let kind = if failure.is_transient() { ApiErrorKind::Transient } else { ApiErrorKind::Permanent };
            ApiError::new(kind, format!("{}: {failure}", self.name))
        })
    }

    fn refusal(&self, request: &Request, answer: &Answer) -> ApiError {
        let error = ErrorBody::read(&answer.body);
        let said = [error.message.clone(), error.status.clone(), answer.excerpt()];
        let said = said.into_iter().find(|said| !said.is_empty()).map_or(String::new(), |said| format!(": {said}"));
        let asked = self.client.shown(request);
        let message = format!("{} answers {} for {asked}{said}{}", self.name, answer.status, error.advice());
        let is_refusal = (400..500).contains(&answer.status) && !error.status.is_empty();
        ApiError { kind: error.kind(answer), message, is_refusal, retry_after: answer.retry_after() }
    }
}

/// The project of a consumer, which is written `projects/ID`.
fn project(consumer: &str) -> &str {
    consumer.strip_prefix("projects/").unwrap_or(consumer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_read_for_its_kind_and_its_words() {
        let denied = r#"{"error":{"message":"no","status":"PERMISSION_DENIED","details":[{"reason":"REASON"}]}}"#;
        let because = |reason: &str| denied.replace("REASON", reason);
        let json = |status: &str| format!(r#"{{"error":{{"message":"no","status":"{status}"}}}}"#);
        for (status, body, kind, message, advice) in [
            (404, json("NOT_FOUND"), ApiErrorKind::Missing, "no", ""),
            (404, "<html>nothing here".into(), ApiErrorKind::Permanent, "", ""),
            (403, json("PERMISSION_DENIED"), ApiErrorKind::Forbidden, "no", ""),
            (403, because("IAM_PERMISSION_DENIED"), ApiErrorKind::Forbidden, "no", " (IAM_PERMISSION_DENIED)"),
            (403, because("SERVICE_DISABLED"), ApiErrorKind::Denied, "no", " (SERVICE_DISABLED)"),
            (403, because("RATE_LIMIT_EXCEEDED"), ApiErrorKind::Transient, "no", " (RATE_LIMIT_EXCEEDED)"),
            (403, "<html>".into(), ApiErrorKind::Denied, "", ""),
            (401, json("UNAUTHENTICATED"), ApiErrorKind::Denied, "no", ""),
            (503, String::new(), ApiErrorKind::Transient, "", ""),
            (400, format!("[{}]", json("INVALID_ARGUMENT")), ApiErrorKind::Permanent, "no", ""),
            (400, r#"{"error":{"message":"no","details":[{"reason":7}]}}"#.into(), ApiErrorKind::Permanent, "no", ""),
        ] {
            let error = ErrorBody::read(body.as_bytes());
            assert_eq!(error.kind(&Answer::of(status, &[], &body)), kind, "{status} {body}");
            assert_eq!((&*error.message, &*error.advice()), (message, advice), "{status} {body}");
        }
    }
}
