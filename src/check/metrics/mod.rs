//! `metrics`: the scrape is well-formed, the families are declared, the thresholds hold, at once or over a window.

mod again;
mod alerts;
mod api;
mod courses;
mod instances;
mod presence;
mod record;
#[cfg(test)]
mod replay;
mod rules;
mod scrape;
mod source;
mod stamps;
mod thresholds;
mod window;

use std::sync::Arc;

use tokio::time::{Instant, sleep_until};

pub(super) use again::conclusion;
pub(crate) use again::{By, gap, judge_again};
pub(crate) use api::{ask_prometheus, prometheus_value};
pub(super) use rules::is_made_by_a_rule;
pub(super) use scrape::{Scraped, Scraper};
pub(crate) use scrape::{now, scrape_once};
pub(super) use source::baseline_client;
use source::{Missed, Source};
pub(super) use window::WindowState;

use super::context::{AskError, Context, Finding};
use super::locate::Canary;
use crate::http::Standstill;
use crate::outcome::{Event, Observation, Status, ThresholdVerdict, ValueNow, worst};
use crate::plan::{Metrics, Window};
use crate::text;

pub(super) async fn check<'c>(context: &'c Context<'c>, canary: &Canary, metrics: &'c Arc<Metrics>) -> Finding {
    let source = match Source::new(canary, metrics, context) {
        Ok(source) => source,
        Err(cause) => return Finding::new(Status::Error, 0, cause),
    };
    let mut sampling =
        Sampling { context, source, attempts: 0, failed: 0, unseen_end: None, time: now(), too_slow: false };
    let said = match metrics.window {
        None => sampling.once().await,
        Some(window) => sampling.watch(window).await,
    };
    let found = match said {
        Ok(said) => sampling.finding(said).await,
        Err(error) => Err(error),
    };
    found.unwrap_or_else(|error| Finding::new(error.status(), sampling.attempts, error.cause().text))
}

/// The samples that are taken, and how that went.
struct Sampling<'c> {
    context: &'c Context<'c>,
    source: Source<'c>,
    /// Over all samples.
    attempts: u32,
    failed: u32,
    /// Why the end of the window was not seen.
    unseen_end: Option<AskError>,
    /// The time of the newest sample, in milliseconds since the epoch.
    time: i64,
    /// Whether what the thresholds say by now takes too long to be computed only to be shown.
    too_slow: bool,
}

impl Sampling<'_> {
    /// One sample.
    ///
    /// # Errors
    /// Why there is none.
    async fn once(&mut self) -> Result<Option<String>, AskError> {
        self.sample(self.context.deadline()).await.map(|()| None).map_err(Missed::into_error)
    }

    /// Samples at the interval until the window ends; with what there is to say of it.
    ///
    /// # Errors
    /// What made the window fail as a whole.
    async fn watch(&mut self, window: Window) -> Result<Option<String>, AskError> {
        // What the gate stands still for makes the window longer: it takes no scrape away.
        let (began, standstill) = (Instant::now(), Standstill::begin());
        let (ticks, word) = (window.scrapes(), self.source.sample_word());
        for tick in 0..ticks {
            let start = began + window.interval * tick + standstill.lost();
            if start >= self.context.deadline() {
                // What there was no time for is not a scrape that may fail.
                return Err(self.cut(tick, ticks));
            }
            sleep_until(start).await;
            // The last one has all the time that is left: it shows what the metrics are at the end.
            let is_last = tick + 1 == ticks;
            let next = if is_last && self.source.is_scraped() {
                self.context.deadline()
            } else {
                began + window.interval * (tick + 1) + standstill.lost()
            };
            let end = self.context.deadline().min(next);
            let seen = match self.sample(end).await {
                // What they say after the last one is told at the end.
                Ok(()) if !is_last => self.by_now(window, end).await,
                sampled => sampled.map(|()| Vec::new()),
            };
            let values = seen.iter().flatten().filter_map(ValueNow::of).collect();
            let (check, scrape) = (self.context.check, tick + 1);
            self.context.observer.hear(&Event::Sampled { check, scrape, of: ticks, values });
            match seen {
                Ok(seen) if window.fail_fast && seen.iter().any(fails) => {
                    return Ok(Some(stopped_early(scrape, ticks, word)));
                }
                Ok(_) => {}
                Err(missed) if missed.is_transient && is_last && self.source.is_scraped() => {
                    let say = |cause| {
                        format!("the last of {ticks} {word}s failed: nothing shows the metrics at the end: {cause}")
                    };
                    // What was seen before may tell more.
                    self.unseen_end = Some(missed.saying(say).into_error());
                    self.failed += 1;
                }
                Err(missed) if missed.is_transient && Instant::now() >= self.context.deadline() => {
                    return Err(self.cut(tick, ticks));
                }
                Err(missed) if missed.is_transient => {
                    self.failed += 1;
                    let (failed, allowed) = (self.failed, window.max_failed_scrapes);
                    if failed > allowed {
                        let say = |cause| {
                            let done = tick + 1;
                            format!("{failed} of {done} {word}s failed, over the {allowed} that may; the last: {cause}")
                        };
                        return Err(missed.saying(say).into_error());
                    }
                }
                Err(missed) => return Err(missed.into_error()),
            }
        }
        if self.failed == ticks {
            return Err(self.source.lost(format!("all {ticks} {word}s failed")));
        }
        Ok((self.failed > 0).then(|| format!("{} of {ticks} {word}s failed", self.failed)))
    }

    fn cut(&self, done: u32, ticks: u32) -> AskError {
        let limit = text::duration(self.context.policy.limit);
        let word = self.source.sample_word();
        let why = format!("the time was up (the check has {limit})");
        self.source.lost(format!("the window was cut after {done} of {ticks} {word}s: {why}"))
    }

    async fn sample(&mut self, deadline: Instant) -> Result<(), Missed> {
        let began = now();
        let (result, attempts) = self.source.sample(self.context, deadline, began).await;
        self.attempts += attempts;
        // The time of the newest sample: what is evaluated must not be older than what was seen. At a scrape that failed
        // nothing was: what its end of all series would make of a threshold is no evidence.
        if result.is_ok() {
            self.time = began.max(now());
        }
        result
    }

    /// What the thresholds say in the middle of a window, where somebody wants to know it; a server is asked until a deadline.
    /// What takes much of the time between two scrapes is not computed only to be shown, and a server is not asked for that.
    async fn by_now(&mut self, window: Window, deadline: Instant) -> Result<Vec<Observation>, Missed> {
        let shown = !self.too_slow && self.source.is_scraped() && self.context.observer.follows();
        if !shown && !window.fail_fast {
            return Ok(Vec::new());
        }
        let began = Instant::now();
        let seen = self.source.thresholds(self.context, deadline, self.time).await;
        self.too_slow |= began.elapsed() > window.interval / 10;
        seen
    }

    async fn finding(&mut self, said: Option<String>) -> Result<Finding, AskError> {
        let (mut observations, seen) = self.source.observations(self.context, self.time).await?;
        if let Some(error) = &self.unseen_end {
            observations.push(Observation::note("the end", error.status(), error.clone().cause().text));
        }
        if self.context.courses {
            self.source.add_courses(self.context, &mut observations).await;
        }
        observations.extend(said.map(|said| Observation::note(WINDOW, Status::Pass, said)));
        let (status, detail) = concluded(&observations, &seen);
        Ok(Finding::new(status, self.attempts, detail).seeing(observations))
    }
}

/// What there is to say of a window as a whole stands under this name.
const WINDOW: &str = "window";

/// That the first failure ended a window.
fn stopped_early(samples: u32, planned: u32, word: &str) -> String {
    format!("stopped after {samples} of {planned} {word}s (fail_fast)")
}

/// Whether a blocking threshold fails already. Too early in a window there is no data yet, which fails at its end only.
fn fails(observation: &Observation) -> bool {
    observation.status == Status::Fail
        && observation.threshold().is_some_and(|seen| seen.verdict == ThresholdVerdict::Fail)
}

/// What observations come to, and why in one line.
fn concluded(observations: &[Observation], seen: &str) -> (Status, String) {
    worst(observations).unwrap_or_else(|| (Status::Pass, held(observations, seen)))
}

/// What was seen where all is well.
fn held(observations: &[Observation], seen: &str) -> String {
    let thresholds: Vec<&Observation> =
        observations.iter().filter(|observation| observation.threshold().is_some()).collect();
    let held = match thresholds.as_slice() {
        [] => "no thresholds".into(),
        [only] => format!("{}: {}", only.name, only.detail),
        several => format!("{} thresholds hold", several.len()),
    };
    format!("{held}; {seen}")
}
