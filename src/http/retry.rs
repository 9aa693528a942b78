//! When to try again: exponential backoff with jitter, as long as there is time.

use std::fmt;
use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBuilder};
use tokio::time::Instant;

use super::{RetryPolicy, Standstill};
use crate::text;

/// With less time left than this, no further attempt is made.
const SHORTEST: Duration = Duration::from_millis(50);

/// What one attempt came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Attempt<T, E> {
    /// The end, good or bad.
    Done(T),
    /// Not yet: the cause, and how long the server asks to wait.
    Again(E, Option<Duration>),
}

/// What all attempts came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tried<T, E> {
    pub(crate) result: Result<T, GaveUp<E>>,
    /// How many attempts were made.
    pub(crate) attempts: u32,
}

/// Why there is no further attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GaveUp<E> {
    /// What the last attempt saw; of an attempt that was cut off by the end of the time, what the one before it saw.
    pub(crate) last: E,
    pub(crate) why: Why,
}

/// What ended the attempts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    /// The plan allows no more.
    Exhausted { attempts: u32 },
    /// The server asks to wait longer than there is time.
    AsksTooLong { asked: Duration, left: Duration },
    /// There is no time for another.
    TimeUp { attempts: u32 },
    /// The time ended in the middle of one.
    CutOff { attempt: u32 },
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exhausted { attempts } => write!(f, "attempt {attempts} of {attempts}"),
            Self::AsksTooLong { asked, left } => {
                write!(f, "the server asks to wait {}, and {} are left", text::duration(*asked), text::duration(*left))
            }
            Self::TimeUp { attempts } => {
                write!(f, "time ran out after {}", text::counted(*attempts as usize, "attempt"))
            }
            Self::CutOff { attempt } => write!(f, "time ran out during attempt {attempt}"),
        }
    }
}

impl<E: fmt::Display> fmt::Display for GaveUp<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.last, self.why)
    }
}

/// An attempt that is going to be repeated.
#[derive(Debug)]
pub(crate) struct Retrying<'e, E> {
    pub(crate) attempt: u32,
    /// The most attempts, where the policy limits them.
    pub(crate) of: Option<u32>,
    pub(crate) cause: &'e E,
    pub(crate) next_in: Duration,
}

/// Tries until an attempt is done, the retries are used up, or the next one would begin after the deadline. `note` hears
/// of each attempt that is going to be repeated, and each attempt is given the deadline: what the gate itself stands still for is added.
pub(crate) async fn retry_until<T, E>(
    policy: RetryPolicy,
    deadline: Instant,
    mut note: impl FnMut(Retrying<'_, E>),
    mut attempt: impl AsyncFnMut(Instant) -> Attempt<T, E>,
) -> Tried<T, E> {
    let schedule = ExponentialBuilder::default()
        .with_min_delay(policy.initial)
        .with_max_delay(policy.max)
        .with_factor(2.0)
        .with_jitter();
    let schedule = match policy.retries {
        Some(times) => schedule.with_max_times(times as usize),
        None => schedule.without_max_times(),
    };
    let mut delays = schedule.build();
    let of = policy.retries.map(|retries| retries.saturating_add(1));
    let mut attempts = 0;
    let mut before: Option<E> = None;
    let standstill = Standstill::begin();
    let gave_up = loop {
        attempts += 1;
        let until = standstill.fair(deadline);
        let (cause, asked) = match attempt(until).await {
            Attempt::Done(result) => return Tried { result: Ok(result), attempts },
            Attempt::Again(cause, asked) => (cause, asked.unwrap_or_default()),
        };
        let left = standstill.fair(deadline).saturating_duration_since(Instant::now());
        // What the gate stood still for may have moved the deadline on since.
        if Instant::now() >= until
            && let Some(before) = before
        {
            break GaveUp { last: before, why: Why::CutOff { attempt: attempts } };
        }
        let Some(delay) = delays.next() else {
            break GaveUp { last: cause, why: Why::Exhausted { attempts } };
        };
        if asked >= left.max(SHORTEST) {
            break GaveUp { last: cause, why: Why::AsksTooLong { asked, left } };
        }
        if left < SHORTEST {
            break GaveUp { last: cause, why: Why::TimeUp { attempts } };
        }
        // A wait longer than what is left is cut to half of that, so that the end of the time is not slept away.
        let delay = if delay >= left { left / 2 } else { delay }.max(asked);
        note(Retrying { attempt: attempts, of, cause: &cause, next_in: delay });
        tokio::time::sleep(delay).await;
        if standstill.fair(deadline).saturating_duration_since(Instant::now()) < SHORTEST / 2 {
            // The machine was too busy to wake in time: what an attempt would see now is the end of the time.
            break GaveUp { last: cause, why: Why::TimeUp { attempts } };
        }
        before = Some(cause);
    };
    Tried { result: Err(gave_up), attempts }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: RetryPolicy =
        RetryPolicy { retries: Some(5), initial: Duration::from_secs(1), max: Duration::from_secs(10) };

    /// Attempts that fail so many times, each taking its time; with the waits between them.
    async fn tried(
        policy: RetryPolicy,
        limit: Duration,
        failures: u32,
        takes: Duration,
        asks: Option<Duration>,
    ) -> (Tried<&'static str, String>, Vec<Duration>) {
        let (mut waits, mut number) = (Vec::new(), 0);
        let deadline = Instant::now() + limit;
        let tried = retry_until(
            policy,
            deadline,
            |retrying| waits.push(retrying.next_in),
            async |_| {
                number += 1;
                tokio::time::sleep_until((Instant::now() + takes).min(deadline)).await;
                if number > failures { Attempt::Done("done") } else { Attempt::Again(format!("cause {number}"), asks) }
            },
        )
        .await;
        (tried, waits)
    }

    const LONG: Duration = Duration::from_hours(1);

    #[tokio::test(start_paused = true)]
    async fn the_waits_double_up_to_the_longest() {
        let (tried, waits) = tried(POLICY, LONG, 5, Duration::ZERO, None).await;
        assert_eq!((tried.result, tried.attempts), (Ok("done"), 6));
        for (wait, least) in waits.iter().zip([1, 2, 4, 8, 10]) {
            let least = Duration::from_secs(least);
            assert!((least..least * 2 + Duration::from_secs(1)).contains(wait), "{waits:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_ends_the_attempts_is_said() {
        let second = Duration::from_secs(1);
        let endless = RetryPolicy { retries: None, ..POLICY };
        for (policy, limit, takes, asks, wanted) in [
            (POLICY, LONG, Duration::ZERO, None, "cause 6 (attempt 6 of 6)"),
            (RetryPolicy { retries: Some(0), ..POLICY }, LONG, Duration::ZERO, None, "cause 1 (attempt 1 of 1)"),
            (
                POLICY,
                second * 30,
                Duration::ZERO,
                Some(second * 60),
                "cause 1 (the server asks to wait 1m, and 30s are left)",
            ),
            (endless, second, second * 2, None, "cause 1 (time ran out after 1 attempt)"),
        ] {
            let (tried, _) = tried(policy, limit, u32::MAX, takes, asks).await;
            assert_eq!(tried.result.unwrap_err().to_string(), wanted);
        }
        let (tried, _) = tried(endless, second * 20, u32::MAX, second * 7, None).await;
        let gave_up = tried.result.unwrap_err();
        assert!(matches!(gave_up.why, Why::CutOff { attempt } if attempt == tried.attempts), "{gave_up}");
        assert_eq!(gave_up.last, format!("cause {}", tried.attempts - 1));
    }

    #[tokio::test(start_paused = true)]
    async fn the_servers_wait_is_kept() {
        let (tried, waits) = tried(POLICY, LONG, 1, Duration::ZERO, Some(Duration::from_secs(90))).await;
        assert_eq!((tried.attempts, waits), (2, vec![Duration::from_secs(90)]));
    }

    #[tokio::test(start_paused = true)]
    async fn no_attempt_is_made_that_could_only_see_the_end_of_the_time() {
        let limit = Duration::from_secs(1);
        for (asks, attempts) in [(990, 1), (960, 2)] {
            let (tried, _) = tried(POLICY, limit, u32::MAX, Duration::ZERO, Some(Duration::from_millis(asks))).await;
            assert_eq!((tried.attempts, tried.result.unwrap_err().last), (attempts, format!("cause {attempts}")));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn no_attempt_begins_after_the_deadline() {
        let began = Instant::now();
        let endless = RetryPolicy { retries: None, ..POLICY };
        tried(endless, Duration::from_secs(9), u32::MAX, Duration::ZERO, None).await;
        assert!(began.elapsed() <= Duration::from_secs(9));
    }
}
