//! Asking an API until it answers, as far as that may help; and why it did not, with what to grant.

use std::fmt;
use std::time::Duration;

use tokio::time::Instant;

use super::Audit;
use crate::google::{ApiError, ApiErrorKind};
use crate::http::{Attempt, RetryPolicy, retry_until};

const POLICY: RetryPolicy =
    RetryPolicy { retries: None, initial: Duration::from_millis(250), max: Duration::from_secs(10) };

/// Why something could not be asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct InVain {
    /// The API says that there is no such thing.
    pub(super) is_missing: bool,
    why: String,
}

impl InVain {
    pub(super) fn because(why: impl Into<String>) -> Self {
        Self { is_missing: false, why: why.into() }
    }
}

impl fmt::Display for InVain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.why)
    }
}

impl Audit<'_> {
    /// Until when an API that has trouble is asked.
    pub(super) fn patient_until(&self) -> Instant {
        self.deadline.min(Instant::now() + self.patience)
    }

    /// Asks until there is an answer, or no patience any more. `role` is what whoever asks needs.
    ///
    /// # Errors
    /// Why there is none; with the role where it is what lacks.
    pub(super) async fn ask<T>(
        &self,
        role: &str,
        mut ask: impl AsyncFnMut(Instant) -> Result<T, ApiError>,
    ) -> Result<T, InVain> {
        let deadline = self.patient_until();
        let attempt = async |deadline| match ask(deadline).await {
            Err(error) if error.kind == ApiErrorKind::Transient => {
                let asked = error.retry_after;
                Attempt::Again(error, asked)
            }
            answered => Attempt::Done(answered),
        };
        match retry_until(POLICY, deadline, |_| {}, attempt).await.result {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => {
                let grant = if error.kind == ApiErrorKind::Forbidden { self.grant(role).await } else { String::new() };
                Err(InVain { is_missing: error.kind == ApiErrorKind::Missing, why: format!("{error}{grant}") })
            }
            Err(gave_up) => Err(InVain::because(gave_up.to_string())),
        }
    }

    /// What to grant to whom.
    async fn grant(&self, role: &str) -> String {
        let whose = self.apis.tokens.whose(self.patient_until()).await;
        let whom = whose.account.unwrap_or_else(|| "the account that asks".into());
        format!("; grant {role} to {whom}")
    }
}
