//! The metadata server of the machine that the gate runs on.

use std::time::Duration;

use tokio::time::Instant;

use crate::http::{
    Address, Answer, Attempt, Client, FailureKind, Header, Request, RequestLimits, RetryPolicy, Transport, retry_until,
};

const LIMITS: RequestLimits = RequestLimits { time: Duration::from_secs(3), body: 64 * 1024 };

/// The server may be slow while a machine starts: five tries, as Google's own clients make them.
pub(super) const PATIENCE: RetryPolicy =
    RetryPolicy { retries: Some(4), initial: Duration::from_millis(100), max: Duration::from_millis(800) };

/// The server, asked without any proxy: what it answers is for this machine alone.
pub(crate) struct Metadata {
    client: Client,
}

impl Metadata {
    pub(crate) fn new(transport: &Transport, address: Address) -> Self {
        Self { client: transport.direct_client(address) }
    }

    /// What is known of the default service account: `token`, `email`, `identity?audience=…`.
    ///
    /// # Errors
    /// Why the server gives no answer.
    pub(super) async fn account(&self, what: &str, deadline: Instant) -> Result<Answer, String> {
        let path = format!("/computeMetadata/v1/instance/service-accounts/default/{what}");
        let request = Request::get(path).with(Header::plain("Metadata-Flavor", "Google"));
        let attempt = async |deadline| match self.client.ask(&request, LIMITS, deadline).await {
            Ok(answer) if answer.is_transient() => {
                let asked = answer.retry_after();
                Attempt::Again(format!("the metadata server answers {}{}", answer.status, said(&answer)), asked)
            }
            Ok(answer) => Attempt::Done(Ok(answer)),
            // Nothing of that name, or nothing that listens: waiting does not help.
            Err(failure) if matches!(failure.kind, FailureKind::Dns | FailureKind::Refused) => Attempt::Done(Err(
                format!("there is no metadata server, so that no token can be had (not on Google Cloud?): {failure}"),
            )),
            Err(failure) => Attempt::Again(format!("the metadata server: {failure}"), None),
        };
        let tried = retry_until(PATIENCE, deadline, |_| {}, attempt).await;
        tried.result.unwrap_or_else(|gave_up| Err(gave_up.to_string()))
    }
}

/// What an answer says, behind a colon; nothing where it says nothing.
pub(super) fn said(answer: &Answer) -> String {
    let excerpt = answer.excerpt();
    if excerpt.is_empty() { excerpt } else { format!(": {excerpt}") }
}
