//! Long-running operations: asked about until they are done.
//!
//! Reference: <https://google.aip.dev/151>.

use std::time::Duration;

use serde::Deserialize;
use tokio::time::Instant;

use super::Api;
use super::api::{ApiError, ApiErrorKind};
use crate::http::{Attempt, RetryPolicy, retry_until};

/// How often an operation is asked about, and an API that has trouble with it.
const POLL: RetryPolicy =
    RetryPolicy { retries: None, initial: Duration::from_millis(500), max: Duration::from_secs(10) };

/// What a method answers whose work goes on.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct Operation {
    /// The full name, as the API's paths have it.
    #[serde(default)]
    pub(crate) name: String,
    #[serde(default)]
    done: bool,
    error: Option<OperationError>,
}

/// <https://cloud.google.com/apis/design/errors>
#[derive(Clone, Debug, Default, Deserialize)]
struct OperationError {
    #[serde(default)]
    code: i64,
    #[serde(default)]
    message: String,
}

/// How an operation ended, or that nobody knows.
#[derive(Clone, Debug)]
pub(crate) enum Ended {
    Done,
    /// The operation failed: what the API says of it.
    Failed(String),
    /// It was not seen to end; what happened has to be read from what it was about.
    Unknown(String),
}

impl Operation {
    /// How it ended; nothing where it goes on.
    pub(crate) fn ended(&self) -> Option<Ended> {
        self.done.then(|| ended(self.clone()))
    }
}

impl Api {
    /// Waits for an operation. `version` is that of the API's paths, such as `v1`.
    pub(crate) async fn wait(&self, operation: Operation, version: &str, deadline: Instant) -> Ended {
        self.wait_by(operation, version, POLL, deadline).await
    }

    /// As [`Api::wait`], asking by a schedule of one's own.
    pub(crate) async fn wait_by(
        &self,
        operation: Operation,
        version: &str,
        policy: RetryPolicy,
        deadline: Instant,
    ) -> Ended {
        if operation.done {
            return ended(operation);
        }
        if operation.name.is_empty() {
            return Ended::Unknown(format!("{} answers with an operation that has no name", self.name()));
        }
        let path = format!("/{version}/{}", operation.name);
        let attempt = async |deadline| match self.get::<Operation>(&path, deadline).await {
            Ok(operation) if operation.done => Attempt::Done(ended(operation)),
            Ok(_) => Attempt::Again("the operation is not done".to_owned(), None),
            Err(ApiError { kind: ApiErrorKind::Transient, retry_after, ref message, .. }) => {
                Attempt::Again(message.clone(), retry_after)
            }
            Err(error) => Attempt::Done(Ended::Unknown(error.to_string())),
        };
        let tried = retry_until(policy, deadline, |_| {}, attempt).await;
        tried.result.unwrap_or_else(|gave_up| Ended::Unknown(gave_up.to_string()))
    }
}

fn ended(operation: Operation) -> Ended {
    match operation.error {
        None => Ended::Done,
        Some(OperationError { code, message }) => Ended::Failed(format!("{message} (code {code})")),
    }
}
