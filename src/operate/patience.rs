//! Reading with patience: an API that has trouble is asked again, as long as there is time.

use std::time::Duration;

use tokio::time::Instant;

use crate::google::{ApiError, ApiErrorKind};
use crate::http::{Attempt, RetryPolicy, retry_until};

const PATIENCE: RetryPolicy =
    RetryPolicy { retries: None, initial: Duration::from_millis(250), max: Duration::from_secs(10) };

/// Whether the time is as good as over: what fails then fails for want of time.
pub(crate) fn is_late(deadline: Instant) -> bool {
    const LATE: Duration = Duration::from_millis(100);
    deadline.saturating_duration_since(Instant::now()) <= LATE
}

/// Until when a change may take to be answered, so that there is time to look at what became of it where it is not.
pub(crate) fn with_time_to_look(deadline: Instant) -> Instant {
    const LONGEST: Duration = Duration::from_secs(10);
    let left = deadline.saturating_duration_since(Instant::now());
    deadline.checked_sub((left / 3).min(LONGEST)).unwrap_or(deadline)
}

/// Asks until there is an answer or an error that does not pass by itself. Only for what changes nothing.
///
/// # Errors
/// The last error, at the end of the time too.
pub(crate) async fn patiently<T>(
    deadline: Instant,
    ask: impl AsyncFnMut() -> Result<T, ApiError>,
) -> Result<T, ApiError> {
    persistently(PATIENCE, deadline, |_| {}, ask).await
}

/// As [`patiently`], by a schedule of one's own; `note` hears of each answer that is going to be asked for again. Also for what
/// is made once however often it is asked for.
///
/// # Errors
/// As there.
pub(crate) async fn persistently<T>(
    policy: RetryPolicy,
    deadline: Instant,
    mut note: impl FnMut(&ApiError),
    mut ask: impl AsyncFnMut() -> Result<T, ApiError>,
) -> Result<T, ApiError> {
    let attempt = async |_| match ask().await {
        Err(error) if error.kind == ApiErrorKind::Transient => {
            let asked = error.retry_after;
            Attempt::Again(error, asked)
        }
        result => Attempt::Done(result),
    };
    let tried = retry_until(policy, deadline, |retrying| note(retrying.cause), attempt).await;
    tried.result.unwrap_or_else(|gave_up| Err(gave_up.last))
}
