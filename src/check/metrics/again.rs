//! Judges recorded scrapes again, by the thresholds of the same plan or of another one. Pure.

use std::sync::Arc;

use promeval::exposition::Format;

use super::concluded;
use super::record::Reads;
use super::scrape::Scraped;
use super::source::take;
use super::window::WindowState;
use crate::check::context::AskError;
use crate::outcome::{Course, Judged, Observation, Round, ScrapeFormat, Seen, Status, bounds};
use crate::plan::{Metrics, RuleStep};

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
    rounds: Vec<Round>,
    judged: &Judged,
    recorded: &[Observation],
) -> Result<Again, String> {
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
    for Round { time, sides } in rounds {
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
