//! One of Google's REST APIs: asked with an access token, its errors read for their kind and their reason.

use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;
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
    message: String,
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
    /// There is no such thing.
    Missing,
    /// It will not answer this, however often it is asked.
    Permanent,
}

impl ApiError {
    fn new(kind: ApiErrorKind, message: String) -> Self {
        Self { kind, message, retry_after: None }
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// The body of an error: <https://cloud.google.com/apis/design/errors>.
#[derive(Default, Deserialize)]
#[serde(default)]
struct ErrorBody {
    error: ErrorStatus,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ErrorStatus {
    message: String,
    status: String,
    details: Vec<ErrorDetail>,
}

/// A detail; of the kinds that there are, `google.rpc.ErrorInfo` has a reason.
#[derive(Default, Deserialize)]
#[serde(default)]
struct ErrorDetail {
    reason: String,
    metadata: serde_json::Map<String, serde_json::Value>,
}

impl Api {
    pub(crate) fn new(name: &'static str, client: Client, tokens: Rc<AccessTokens>) -> Self {
        Self { name, client, tokens }
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

    /// The error for an answer that is no answer to what was asked.
    pub(super) fn unusable(&self, path: &str) -> ApiError {
        ApiError::new(ApiErrorKind::Transient, format!("{} answers {path} with something else", self.name))
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
                let message = format!("{} answers no JSON of its kind for {}: {error}", self.name, request.path);
                ApiError::new(ApiErrorKind::Transient, message)
            });
        }
        Err(self.refusal(request, &answer))
    }

    /// The answer, and the token that it was asked for with.
    async fn send(&self, request: &Request, deadline: Instant) -> Result<(Answer, String), ApiError> {
        let token = self
            .tokens
            .get(deadline)
            .await
            .map_err(|why| ApiError::new(ApiErrorKind::Denied, format!("{} cannot be asked: {why}", self.name)))?;
        let request = request.clone().with(Header::bearer(&token));
        let asked = self.client.ask(&request, LIMITS, deadline).await;
        asked.map(|answer| (answer, token)).map_err(|failure| {
            let kind = if failure.is_transient() { ApiErrorKind::Transient } else { ApiErrorKind::Permanent };
            ApiError::new(kind, format!("{}: {failure}", self.name))
        })
    }

    fn refusal(&self, request: &Request, answer: &Answer) -> ApiError {
        let ErrorBody { error } = serde_json::from_slice(&answer.body).unwrap_or_default();
        let kind = match answer.status {
            401 | 403 => ApiErrorKind::Denied,
            404 => ApiErrorKind::Missing,
            _ if answer.is_transient() => ApiErrorKind::Transient,
            _ => ApiErrorKind::Permanent,
        };
        let said = match (error.message.is_empty(), error.status.is_empty()) {
            (false, _) => error.message,
            (true, false) => error.status,
            (true, true) => answer.excerpt(),
        };
        let advice = advice(&error.details);
        let message = format!("{} answers {} for {}: {said}{advice}", self.name, answer.status, request.path);
        ApiError { kind, message, retry_after: answer.retry_after() }
    }
}

/// What the reason of an error asks for.
fn advice(details: &[ErrorDetail]) -> String {
    let Some(detail) = details.iter().find(|detail| !detail.reason.is_empty()) else { return String::new() };
    let of = |name: &str| detail.metadata.get(name).and_then(|value| value.as_str()).unwrap_or_default();
    match &*detail.reason {
        "SERVICE_DISABLED" => {
            format!(" (enable the API: gcloud services enable {} --project={})", of("service"), project(of("consumer")))
        }
        reason => format!(" ({reason})"),
    }
}

/// The project of a consumer, which is written `projects/ID`.
fn project(consumer: &str) -> &str {
    consumer.strip_prefix("projects/").unwrap_or(consumer)
}
