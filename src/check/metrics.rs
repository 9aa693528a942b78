//! `metrics`: the scrape is well-formed, the families are declared, the thresholds hold, at once or over a window.

use tokio::time::{Instant, sleep_until};

use super::prometheus_api::Api;
use super::scrape::{Missed, Scraper, now};
use super::thresholds::{note, worst};
use super::watch::{Side, Watch};
use super::{Context, Finding};
use crate::outcome::{Observation, Status};
use crate::plan::{Baseline, Metrics, MetricsSource};
use crate::probe::Probe;

pub(super) async fn check(
    context: &Context<'_>,
    probe: &Probe,
    others: &[(String, Probe)],
    metrics: &Metrics,
) -> Finding {
    let source = match &metrics.source {
        MetricsSource::Scrape => {
            let mut sides = vec![(Side::Canary, Scraper::new(probe.clone(), metrics))];
            if let Some(baseline) = &metrics.baseline {
                match baseline_probe(probe, baseline, others) {
                    Ok(probe) => sides.push((Side::Stable, Scraper::new(probe, metrics))),
                    Err(cause) => return Finding::new(Status::Error, 0, cause),
                }
            }
            Source::Scrape { sides, watch: Watch::new(metrics) }
        }
        MetricsSource::Prometheus(target, headers) => match Api::new(probe, target, headers, metrics) {
            Ok(api) => Source::Api(api),
            Err(cause) => return Finding::new(Status::Error, 0, cause),
        },
    };
    watch(context, metrics, source).await
}

/// The probe of the stable revision; `others` are the tags of other revisions that the Cloud Run Admin API names.
fn baseline_probe(probe: &Probe, baseline: &Baseline, others: &[(String, Probe)]) -> Result<Probe, String> {
    match baseline {
        Baseline::Address(target) => probe.toward(target.clone(), None),
        Baseline::Tag(tag) => {
            let found = others.iter().find(|(known, _)| known == tag).map(|(_, probe)| probe.clone());
            found.ok_or_else(|| {
                let known: Vec<&str> = others.iter().map(|(tag, _)| &**tag).collect();
                let known = if known.is_empty() { "none is known".to_owned() } else { format!("there are {}", known.join(", ")) };
                format!(
                    "the baseline's tag {tag:?} is of no other revision ({known}): tags are known where the Cloud Run Admin API \
                     can be asked; give an address instead"
                )
            })
        }
    }
}

/// Where the values come from.
enum Source<'p> {
    Scrape { sides: Vec<(Side, Scraper)>, watch: Watch<'p> },
    Api(Api<'p>),
}

async fn watch(context: &Context<'_>, metrics: &Metrics, mut source: Source<'_>) -> Finding {
    let began = Instant::now();
    let (mut attempts, mut failed) = (0, 0);
    let ticks = metrics.window.map_or(1, |window| {
        // A window and an interval are a day at most.
        u32::try_from(window.length.as_millis() / window.interval.as_millis().max(1))
            .unwrap_or(u32::MAX)
            .saturating_add(1)
    });
    let allowed = metrics.window.map_or(0, |window| window.max_failed_scrapes);
    let mut time = now();
    for tick in 0..ticks {
        let mut deadline = context.deadline;
        if let Some(window) = metrics.window {
            sleep_until(began + window.interval * tick).await;
            deadline = deadline.min(began + window.interval * (tick + 1));
        }
        time = now();
        let (missed, tries) = source.sample(context, deadline, time).await;
        attempts += tries;
        match missed {
            None => {}
            Some(Missed::Lasting(cause)) => return Finding::new(Status::Fail, attempts, cause),
            Some(Missed::Passing(cause)) => {
                failed += 1;
                if failed > allowed {
                    let count = if metrics.window.is_none() {
                        String::new()
                    } else {
                        format!("{failed} of {} scrapes failed, over the {allowed} that may; the last: ", tick + 1)
                    };
                    return Finding::new(Status::Fail, attempts, format!("{count}{cause}"));
                }
            }
        }
        // The time of the newest sample: what is evaluated must not be older than what was seen.
        time = time.max(now());
        let last = tick + 1 == ticks;
        if ticks > 1 {
            context.ledger.progress(context.name, &format!("scrape {} of {ticks}", tick + 1));
        }
        if !last && metrics.window.is_some_and(|window| window.fail_fast) {
            let observations = source.thresholds(context, time).await;
            if observations
                .iter()
                .any(|observation| observation.status == Status::Fail && !is_without_data(observation))
            {
                let early = format!("stopped after {} of {ticks} scrapes (fail_fast)", tick + 1);
                return source.finding(context, time, attempts, &[early]).await;
            }
        }
    }
    if failed == ticks {
        return Finding::new(Status::Fail, attempts, format!("all {ticks} scrapes failed"));
    }
    let counted = if failed > 0 { vec![format!("{failed} of {ticks} scrapes failed")] } else { Vec::new() };
    source.finding(context, time, attempts, &counted).await
}

/// Too early in a window there is no data yet; that fails at its end only.
fn is_without_data(observation: &Observation) -> bool {
    use crate::outcome::ThresholdVerdict;
    observation.threshold.as_ref().is_some_and(|seen| seen.verdict == ThresholdVerdict::NoData)
}

impl Source<'_> {
    /// Takes one sample of everything; with the number of attempts.
    async fn sample(&mut self, context: &Context<'_>, deadline: Instant, time: i64) -> (Option<Missed>, u32) {
        match self {
            Self::Api(api) => api.sample(context, deadline, time).await,
            Self::Scrape { sides, watch } => {
                let scrapes =
                    sides.iter_mut().map(async |(side, scraper)| (*side, scraper.scrape(context, deadline).await));
                let scraped = futures_util::future::join_all(scrapes).await;
                let (mut missed, mut attempts) = (None, 0);
                let mut newest = time;
                for (side, (result, tries)) in scraped {
                    attempts = attempts.max(tries);
                    let of_side = |cause: String| {
                        if side == Side::Stable { format!("the stable revision: {cause}") } else { cause }
                    };
                    match result {
                        Ok(scraped) => {
                            newest = newest.max(scraped.at);
                            if let Err(cause) = watch.add(side, &scraped) {
                                let cause = of_side(format!("GET {}: {cause}", watch.path()));
                                return (Some(Missed::Lasting(cause)), attempts);
                            }
                        }
                        Err(Missed::Lasting(cause)) => return (Some(Missed::Lasting(of_side(cause))), attempts),
                        Err(Missed::Passing(cause)) => {
                            watch.missed(side, time);
                            missed = Some(Missed::Passing(of_side(cause)));
                        }
                    }
                }
                watch.evaluate(newest);
                (missed, attempts)
            }
        }
    }

    async fn thresholds(&mut self, context: &Context<'_>, time: i64) -> Vec<Observation> {
        match self {
            Self::Scrape { watch, .. } => watch.thresholds(time),
            Self::Api(api) => api.thresholds(context, time).await,
        }
    }

    async fn finding(mut self, context: &Context<'_>, time: i64, attempts: u32, said: &[String]) -> Finding {
        let (mut observations, seen) = match &mut self {
            Self::Scrape { watch, .. } => {
                let seen = format!("{} samples of {} metrics", watch.inventory().samples(), watch.inventory().names());
                (watch.observations(time), seen)
            }
            Self::Api(api) => (api.thresholds(context, time).await, format!("asked of {}", api.address())),
        };
        observations.extend(said.iter().map(|said| note("window", Status::Pass, said.clone())));
        if let Self::Api(api) = &self {
            observations.extend(api.notes());
        }
        let (status, detail) = summary(&observations, &seen);
        Finding::new(status, attempts, detail).seeing(observations)
    }
}

/// The worst first; where all is well, what was seen.
fn summary(observations: &[Observation], seen: &str) -> (Status, String) {
    if let Some(worst) = worst(observations) {
        return worst;
    }
    let thresholds: Vec<&Observation> =
        observations.iter().filter(|observation| observation.threshold.is_some()).collect();
    let held = match thresholds.as_slice() {
        [] => "no thresholds".into(),
        [only] => format!("{}: {}", only.name, only.detail),
        several => format!("{} thresholds hold", several.len()),
    };
    (Status::Pass, format!("{held}; {seen}"))
}
