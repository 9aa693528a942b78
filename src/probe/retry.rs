//! When to try again: exponential backoff with jitter, as long as there is time.

use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBuilder};
use tokio::time::Instant;

use super::failure::shown;
use crate::plan::Retry;

/// With less time left than this, no further attempt is made.
const SHORTEST: Duration = Duration::from_millis(50);

/// What one attempt came to.
#[derive(Clone, Debug)]
pub enum Attempt<T> {
    /// The end, good or bad.
    Done(T),
    /// Not yet.
    Again {
        /// What was seen, for the person if time runs out.
        cause: String,
        /// How long the server asks to wait.
        after: Option<Duration>,
    },
}

/// What all attempts came to.
#[derive(Clone, Debug)]
pub struct Tried<T> {
    /// The end, or why there is none.
    pub result: Result<T, String>,
    /// How many attempts were made.
    pub attempts: u32,
}

/// Tries until an attempt is done, the retries are used up, or the next one would begin after the deadline. `note` hears
/// of each attempt that is to be repeated.
pub async fn until<T>(
    retry: Retry,
    deadline: Instant,
    mut note: impl FnMut(u32, &str),
    mut attempt: impl AsyncFnMut(u32) -> Attempt<T>,
) -> Tried<T> {
    let schedule = ExponentialBuilder::default()
        .with_min_delay(retry.initial)
        .with_max_delay(retry.max)
        .with_factor(2.0)
        .with_jitter();
    let schedule = match retry.retries {
        Some(times) => schedule.with_max_times(times as usize),
        None => schedule.without_max_times(),
    };
    let mut delays = schedule.build();
    let mut attempts = 0;
    let mut before: Option<String> = None;
    let why = loop {
        attempts += 1;
        let (cause, after) = match attempt(attempts).await {
            Attempt::Done(result) => {
                return Tried { result: Ok(result), attempts };
            }
            Attempt::Again { cause, after } => (cause, after),
        };
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero()
            && let Some(before) = before
        {
            // The attempt was cut off in the middle: what the one before saw says more.
            break format!("{before} (time ran out during attempt {attempts})");
        }
        note(attempts, &cause);
        let Some(delay) = delays.next() else {
            break format!("{cause} (attempt {attempts} of {attempts})");
        };
        let asked = after.unwrap_or_default();
        if asked >= left.max(SHORTEST) {
            break format!("{cause} (the server asks to wait {}, and {} are left)", shown(asked), shown(left));
        }
        if left < SHORTEST {
            break format!("{cause} (time ran out after {attempts} attempt{})", if attempts == 1 { "" } else { "s" });
        }
        // A wait longer than what is left is cut in half of that, so that the end of the time is not slept away.
        let delay = if delay >= left { left / 2 } else { delay };
        tokio::time::sleep(delay.max(asked)).await;
        before = Some(cause);
    };
    Tried { result: Err(why), attempts }
}
