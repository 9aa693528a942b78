//! Judges recorded scrapes again, by the thresholds of the same plan or of another one. Pure.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use promeval::exposition::Format;

use super::api::{PrometheusApi, Recorded, Server};
use super::concluded;
use super::record::Reads;
use super::scrape::Scraped;
use super::source::take;
use super::window::WindowState;
use crate::check::context::AskError;
use crate::evidence::Tape;
use crate::outcome::{Course, Judged, Observation, Round, ScrapeFormat, Seen, Status, bounds};
use crate::plan::{Metrics, MetricsSource, RuleStep};

/// What the scrapes of a check come to, by its thresholds and by the families that it requires.
#[derive(Debug)]
pub(crate) struct Again {
    thresholds: Vec<Observation>,
    families: Vec<Observation>,
    /// How each threshold went over the window; nothing where nobody asked for that.
    courses: Vec<Vec<Course>>,
}

/// Judges the rounds of a check; how its thresholds went over the window only where what was `recorded` tells it.
///
/// # Errors
/// Why they cannot be judged by these thresholds.
pub(crate) fn judge_again(
    metrics: &Arc<Metrics>,
    tape: Tape,
    judged: &Judged,
    recorded: &[Observation],
) -> Result<Again, String> {
    let is_asked = !tape.asked.is_empty();
    match &metrics.source {
        MetricsSource::Scrape if is_asked => return Err("a server was asked when it was recorded".into()),
        MetricsSource::Scrape => {}
        MetricsSource::Prometheus(..) if !is_asked && !metrics.thresholds.is_empty() => {
            return Err("the evidence does not hold what the server answered".into());
        }
        MetricsSource::Prometheus(..) => return asked_again(metrics, tape, judged),
    }
    if let Some(kept) = &judged.kept {
        let is_made = |name: &str| {
            let made = |step: &RuleStep| matches!(step, RuleStep::Record(record) if record.name == name);
            metrics.rules.iter().any(made)
        };
        if let Some(name) = Reads::new(metrics).lacks(kept, is_made) {
            return Err(format!("{name} was not recorded: the scrapes were too large to be kept whole"));
        }
    }
    let courses = recorded.iter().any(has_courses);
    let labels = judged.labels.iter().cloned().collect();
    let mut state = WindowState::new(metrics.clone(), labels, courses);
    for Round { time, sides } in tape.rounds {
        let scraped = sides.into_iter().map(|seen| {
            let scrape = seen.scrape.ok_or_else(|| AskError::Transient("it failed".into(), None));
            let scraped = scrape.map(|scrape| Scraped {
                body: scrape.text.into_bytes(),
                format: scrape.format.map(|format| match format {
                    ScrapeFormat::Prometheus => Format::Prometheus,
                    ScrapeFormat::OpenMetrics => Format::OpenMetrics,
                }),
                at: scrape.at,
            });
            (seen.side, scraped)
        });
        match take(&mut state, scraped.collect(), "a recorded scrape", time) {
            Err(missed) if !missed.is_transient => return Err(missed.into_error().cause().text),
            Ok(()) | Err(_) => {}
        }
    }
    let families = state.families();
    let courses = if courses { state.courses() } else { Vec::new() };
    Ok(Again { thresholds: state.thresholds(judged.time), families, courses })
}

/// Judges what a server answered: by other thresholds where they ask for the same.
fn asked_again(metrics: &Metrics, tape: Tape, judged: &Judged) -> Result<Again, String> {
    if let Some(family) = metrics.require.first() {
        return Err(format!(
            "{family} is required, and a server was asked, which does not tell families: say require: []"
        ));
    }
    let mut api = PrometheusApi::new(Server::Recorded(Recorded::new(tape.asked)), metrics);
    let thresholds = at_once(async {
        for Round { time, .. } in tape.rounds {
            // Of an evaluation that failed, its alerts know.
            let _ = api.evaluate_alerts(None, time).await;
        }
        api.observations(judged.time).await
    });
    if let Server::Recorded(recorded) = api.server()
        && let Some(missing) = recorded.missing()
    {
        return Err(missing);
    }
    let thresholds = thresholds.map_err(|error| error.cause().text)?;
    // What the server warned of stands as it was recorded.
    let thresholds = thresholds.into_iter().filter(|seen| seen.threshold().is_some()).collect();
    Ok(Again { thresholds, families: Vec::new(), courses: Vec::new() })
}

/// The result of what waits for nothing.
fn at_once<T>(work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(result) = work.as_mut().poll(&mut context) {
            return result;
        }
    }
}

impl Again {
    /// What each threshold says, in the order of the plan.
    pub(crate) fn thresholds(self) -> Vec<Observation> {
        self.thresholds
    }

    /// What the check saw, with its thresholds as they are judged now; all else stays as it was recorded. Nothing where the
    /// record does not hold the same thresholds.
    pub(crate) fn in_place(mut self, recorded: &[Observation]) -> Option<Vec<Observation>> {
        let is_threshold = |seen: &&Observation| seen.threshold().is_some();
        let before: Vec<&Observation> = recorded.iter().filter(is_threshold).collect();
        if before.len() != self.thresholds.len() {
            return None;
        }
        self.draw();
        for (now, before) in self.thresholds.iter_mut().zip(before) {
            // The command that shows a threshold is the same, whatever its value is.
            now.reproduce = before.reproduce.clone().filter(|_| !is_good(now.status));
        }
        let mut thresholds = self.thresholds.into_iter();
        let now = |seen: &Observation| if seen.threshold().is_some() { thresholds.next() } else { Some(seen.clone()) };
        let mut observations: Vec<Observation> = recorded.iter().map(now).collect::<Option<_>>()?;
        bounds::observations(&mut observations);
        Some(observations)
    }

    /// What the check would have seen by another plan: its families and thresholds, and all else as it was recorded.
    pub(crate) fn instead(mut self, recorded: &[Observation]) -> Vec<Observation> {
        self.draw();
        let is_other = |seen: &&Observation| !matches!(seen.seen, Seen::Threshold(_) | Seen::Family);
        let others = recorded.iter().filter(is_other).cloned();
        let mut observations: Vec<Observation> =
            self.families.into_iter().chain(self.thresholds).chain(others).collect();
        bounds::observations(&mut observations);
        observations
    }

    /// Tells of the thresholds how they went over the window.
    fn draw(&mut self) {
        let courses = std::mem::take(&mut self.courses);
        for (threshold, courses) in self.thresholds.iter_mut().zip(courses) {
            if let Seen::Threshold(seen) = &mut threshold.seen {
                seen.courses = courses;
            }
        }
    }
}

fn has_courses(seen: &Observation) -> bool {
    seen.threshold().is_some_and(|seen| !seen.courses.is_empty())
}

fn is_good(status: Status) -> bool {
    matches!(status, Status::Pass | Status::Skipped)
}

/// What observations come to, and why in one line.
pub(crate) fn conclusion(observations: &[Observation], judged: &Judged) -> (Status, String) {
    let (status, mut detail) = concluded(observations, &judged.seen);
    bounds::sentence(&mut detail);
    (status, detail)
}
