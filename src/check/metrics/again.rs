//! Judges recorded scrapes again, by the thresholds of the same plan or of another one. Pure.

use std::collections::BTreeSet;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use promeval::exposition::Format;

use super::api::{PrometheusApi, Recorded, Server};
use super::record::Reads;
use super::scrape::Scraped;
use super::source::take;
use super::window::WindowState;
use super::{WINDOW, concluded, fails, stopped_early};
use crate::check::context::AskError;
use crate::evidence::Tape;
use crate::outcome::{Course, Judged, Observation, Round, ScrapeFormat, Seen, Side, Status, bounds};
use crate::plan::{Metrics, MetricsSource, RuleStep};

/// What the scrapes of a check come to, by its thresholds and by the families that it requires.
#[derive(Debug)]
pub(crate) struct Again {
    thresholds: Vec<Observation>,
    families: Vec<Observation>,
    /// How each threshold went over the window; nothing where nobody asked for that.
    courses: Vec<Vec<Course>>,
    /// That other thresholds would have ended the window early.
    stopped: Option<String>,
}

/// Whose thresholds recorded scrapes are judged by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum By {
    /// Those of the run: it ended where they ended it.
    ItsOwn,
    /// Others: where the first failure ends a window, they may have ended it elsewhere.
    Others,
}

/// Why a recording is not what a gate leaves behind of a check that was judged; nothing where it is. A round that is missing was not
/// looked at.
pub(crate) fn gap(metrics: &Metrics, tape: &Tape, judged: &Judged) -> Option<String> {
    let (planned, rounds) = (metrics.window.map_or(1, |window| window.scrapes()), &tape.rounds);
    let may_end_early = metrics.window.is_some_and(|window| window.fail_fast) && !rounds.is_empty();
    let count = u32::try_from(rounds.len()).unwrap_or(u32::MAX);
    if count > planned || (count < planned && !may_end_early) {
        return Some(format!("the evidence holds {count} of its {planned} scrapes"));
    }
    // The time of the newest that was had is the time of the judgement; what failed behind it changes nothing of that.
    let is_good = |round: &&Round| round.sides.iter().all(|seen| seen.scrape.is_some());
    let newest = rounds.iter().rfind(is_good);
    let is_scraped = matches!(metrics.source, MetricsSource::Scrape);
    let is_ahead = is_scraped && newest.is_some_and(|round| round.time > judged.time);
    if is_ahead || rounds.windows(2).any(|pair| pair[0].time > pair[1].time) {
        return Some("its scrapes are not in their order".into());
    }
    let sides: Vec<Side> = judged.labels.iter().map(|(side, _)| *side).collect();
    let is_whole = |round: &Round| round.sides.iter().map(|seen| seen.side).eq(sides.iter().copied());
    if !rounds.iter().all(is_whole) {
        return Some("the evidence does not hold every side of its scrapes".into());
    }
    (is_scraped && (sides.is_empty() || newest.is_none())).then(|| "the evidence holds none of its scrapes".into())
}

/// Judges the rounds of a check. `courses` says whether somebody wants to see how its thresholds went over the window.
///
/// # Errors
/// Why they cannot be judged by these thresholds.
pub(crate) fn judge_again(
    metrics: &Arc<Metrics>,
    tape: Tape,
    judged: &Judged,
    courses: bool,
    by: By,
) -> Result<Again, String> {
    let is_asked = !tape.asked.is_empty();
    match &metrics.source {
        MetricsSource::Scrape if is_asked => return Err("a server was asked when it was recorded".into()),
        MetricsSource::Scrape => {}
        MetricsSource::Prometheus(..) if !is_asked && !metrics.thresholds.is_empty() => {
            return Err("the evidence does not hold what the server answered".into());
        }
        MetricsSource::Prometheus(..) => return asked_again(metrics, tape, judged, by),
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
    let labels = judged.labels.iter().cloned().collect();
    let mut state = WindowState::new(metrics.clone(), labels, courses);
    let mut watched = Watched::new(metrics, &tape, by);
    let (mut end, rounds) = (judged.time, tape.rounds.len());
    for (index, Round { time, sides }) in tape.rounds.into_iter().enumerate() {
        let newest = sides.iter().filter_map(|seen| Some(seen.scrape.as_ref()?.at)).fold(time, i64::max);
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
            // Of the last one, the gate knows when it judged it.
            Ok(()) if watched.may_end() => {
                end = if index + 1 == rounds { judged.time } else { newest };
                if watched.ends(index + 1, &state.thresholds(end)) {
                    break;
                }
            }
            Ok(()) | Err(_) => {}
        }
    }
    let stopped = watched.end("scrape")?;
    let families = state.families();
    let courses = if courses { state.courses() } else { Vec::new() };
    Ok(Again {
        thresholds: state.thresholds(if stopped.is_some() { end } else { judged.time }),
        families,
        courses,
        stopped,
    })
}

/// A window that the first failure ends, watched with other thresholds than those that it was recorded with.
struct Watched {
    /// How many samples it has, where it may end before them.
    planned: Option<u32>,
    recorded: u32,
    stopped: Option<u32>,
}

impl Watched {
    fn new(metrics: &Metrics, tape: &Tape, by: By) -> Self {
        let window = metrics.window.filter(|window| window.fail_fast && by == By::Others);
        let recorded = u32::try_from(tape.rounds.len()).unwrap_or(u32::MAX);
        Self { planned: window.map(|window| window.scrapes()), recorded, stopped: None }
    }

    fn may_end(&self) -> bool {
        self.planned.is_some() && self.stopped.is_none()
    }

    /// Whether what is seen at a sample ends it.
    fn ends(&mut self, sample: usize, seen: &[Observation]) -> bool {
        let sample = u32::try_from(sample).unwrap_or(u32::MAX);
        if self.planned.is_some_and(|planned| sample < planned) && seen.iter().any(fails) {
            self.stopped = Some(sample);
        }
        self.stopped.is_some()
    }

    /// Where it ended early, in words.
    ///
    /// # Errors
    /// It ended early when it was recorded, and would not have by these thresholds: nobody saw the rest.
    fn end(&self, word: &str) -> Result<Option<String>, String> {
        let Some(planned) = self.planned else { return Ok(None) };
        match self.stopped {
            Some(sample) => Ok(Some(stopped_early(sample, planned, word))),
            None if self.recorded < planned => Err(format!(
                "it was {} when it was recorded; by these thresholds it would have gone on",
                stopped_early(self.recorded, planned, word)
            )),
            None => Ok(None),
        }
    }
}

/// Judges what a server answered: by other thresholds where they ask for the same.
fn asked_again(metrics: &Metrics, tape: Tape, judged: &Judged, by: By) -> Result<Again, String> {
    if let Some(family) = metrics.require.first() {
        return Err(format!(
            "{family} is required, and a server was asked, which does not tell families: say require: []"
        ));
    }
    let mut watched = Watched::new(metrics, &tape, by);
    // When the thresholds were asked for: at each time that is no round's, and at the end of those.
    let asked: BTreeSet<i64> = tape.asked.iter().map(|asked| asked.time).collect();
    let mut ends = tape.rounds.iter().skip(1).map(|round| round.time).collect::<Vec<i64>>();
    ends.push(judged.time.saturating_add(1));
    let mut api = PrometheusApi::new(Server::Recorded(Recorded::new(tape.asked)), metrics);
    let thresholds = at_once(async {
        for (index, (Round { time, .. }, next)) in tape.rounds.into_iter().zip(ends).enumerate() {
            // Of an evaluation that failed, its alerts know.
            let (evaluated, _) = api.evaluate_alerts(None, time).await;
            let of_round = if time < next { asked.range(time..next).next_back() } else { None };
            let Some(then) = of_round.filter(|_| evaluated.is_ok() && watched.may_end()) else { continue };
            if let Ok(seen) = api.thresholds(None, *then).await
                && watched.ends(index + 1, &seen)
            {
                return Ok(seen);
            }
        }
        api.observations(judged.time).await
    });
    if let Server::Recorded(recorded) = api.server()
        && let Some(missing) = recorded.missing()
    {
        return Err(missing);
    }
    let thresholds = thresholds.map_err(|error| error.cause().text)?;
    let stopped = watched.end("evaluation")?;
    // What the server warned of stands as it was recorded.
    let thresholds = thresholds.into_iter().filter(|seen| seen.threshold().is_some()).collect();
    Ok(Again { thresholds, families: Vec::new(), courses: Vec::new(), stopped })
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
        let stopped = self.stopped.map(|said| Observation::note(WINDOW, Status::Pass, said));
        let is_other = |seen: &&Observation| {
            let is_replaced = stopped.is_some() && seen.name == WINDOW;
            !(is_replaced || matches!(seen.seen, Seen::Threshold(_) | Seen::Family))
        };
        let others: Vec<Observation> = recorded.iter().filter(is_other).cloned().collect();
        let mut observations: Vec<Observation> =
            self.families.into_iter().chain(self.thresholds).chain(others).chain(stopped).collect();
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

fn is_good(status: Status) -> bool {
    matches!(status, Status::Pass | Status::Skipped)
}

/// What observations come to, and why in one line.
pub(crate) fn conclusion(observations: &[Observation], judged: &Judged) -> (Status, String) {
    let (status, mut detail) = concluded(observations, &judged.seen);
    bounds::sentence(&mut detail);
    (status, detail)
}
