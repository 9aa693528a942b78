//! What real users got meanwhile: the counters of both revisions, scraped now and then, and their errors held against the share of
//! the traffic that each revision had.

use std::convert::Infallible;
use std::time::Duration;

use futures_util::future::join;
use promeval::exposition::{Exposition, Format};
use promeval::promql::{Evaluator, Expr, Value};
use promeval::series::{Storage, Target};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep, timeout_at};

use crate::check::context::Context;
use crate::check::metrics::{Scraped, Scraper};
use crate::http::Client;
use crate::judge::compare::counters::{Counted, Interval, compare_counters};
use crate::judge::{Inventory, unread};
use crate::outcome::{Observation, Seen, Status, TrafficStep};
use crate::plan::{Traffic, TrafficCounters};
use crate::text;

/// From one scrape to the next. A counter tells as much of a minute as of its seconds; what moves between the revisions does not.
const EVERY: Duration = Duration::from_secs(10);

/// The probability with which a canary that is no worse fails.
const LEVEL: f64 = 0.01;

pub(super) struct Users<'u> {
    context: &'u Context<'u>,
    counters: &'u TrafficCounters,
    canary: Scraper,
    stable: Scraper,
    /// What both had counted at the newest scrape of both.
    last: Option<[Counts; 2]>,
    seen: UsersSeen,
}

/// What was counted between scrapes.
#[derive(Clone, Debug, Default)]
pub(super) struct UsersSeen {
    intervals: Vec<Interval>,
    /// Why an interval is missing, the newest.
    trouble: Option<String>,
}

/// Requests and errors so far.
#[derive(Clone, Copy)]
struct Counts {
    requests: f64,
    errors: f64,
}

impl<'u> Users<'u> {
    pub(super) fn new(
        context: &'u Context<'u>,
        traffic: &'u Traffic,
        counters: &'u TrafficCounters,
        canary: Client,
        stable: Client,
    ) -> Self {
        let mut metrics = (*traffic.judged).clone();
        metrics.request = counters.request.clone();
        let scraper = |client| Scraper::new(client, &metrics, context.policy.request);
        let (canary, stable) = (scraper(canary), scraper(stable));
        Self { context, counters, canary, stable, last: None, seen: UsersSeen::default() }
    }

    /// Scrapes again and again.
    pub(super) async fn watch(&mut self) -> Infallible {
        loop {
            self.look().await;
            sleep(EVERY).await;
        }
    }

    /// One more scrape of both.
    pub(super) async fn look(&mut self) {
        let deadline = self.context.deadline().min(Instant::now() + self.context.policy.request.time);
        let scrapes = join(self.canary.scrape(self.context, deadline), self.stable.scrape(self.context, deadline));
        let ((canary, _), (stable, _)) = scrapes.await;
        let [canary, stable] = [("canary", canary), ("stable", stable)]
            .map(|(side, scraped)| scraped.map_err(|error| format!("{side}: {}", error.cause())));
        let counted = match (canary, stable) {
            (Ok(canary), Ok(stable)) => {
                let [requests, errors] = [&self.counters.requests, &self.counters.errors].map(Clone::clone);
                let count = move || {
                    let of = |side: &str, scraped: &Scraped| {
                        count(scraped, &requests, &errors).map_err(|why| format!("{side}: {why}"))
                    };
                    Ok([of("canary", &canary)?, of("stable", &stable)?])
                };
                let late = || "they could not be evaluated in time".to_owned();
                match timeout_at(deadline, spawn_blocking(count)).await {
                    Ok(Ok(counted)) => counted,
                    Ok(Err(_)) | Err(_) => Err(late()),
                }
            }
            (Err(why), _) | (_, Err(why)) => Err(why),
        };
        match counted {
            Ok(now) => {
                if let Some(before) = self.last.replace(now) {
                    self.between(before, now);
                }
            }
            Err(why) => self.seen.trouble = Some(why),
        }
    }

    fn between(&mut self, before: [Counts; 2], now: [Counts; 2]) {
        let fell = |(before, now): (&Counts, &Counts)| now.requests < before.requests || now.errors < before.errors;
        if before.iter().zip(&now).any(fell) {
            self.seen.trouble = Some("counters went down: a process restarted, or another instance answered".into());
            return;
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "counts that do not fall")]
        let more = |of: fn(&Counts) -> f64, side: usize| (of(&now[side]) - of(&before[side])).round() as usize;
        self.seen.intervals.push(Interval {
            canary_requests: more(|counts| counts.requests, 0),
            canary_errors: more(|counts| counts.errors, 0),
            stable_requests: more(|counts| counts.requests, 1),
            stable_errors: more(|counts| counts.errors, 1),
        });
    }

    pub(super) fn seen(&self) -> &UsersSeen {
        &self.seen
    }
}

impl UsersSeen {
    pub(super) fn new(intervals: &[[usize; 4]], trouble: Option<String>) -> Self {
        let interval = |&[canary_requests, canary_errors, stable_requests, stable_errors]: &[usize; 4]| Interval {
            canary_requests,
            canary_errors,
            stable_requests,
            stable_errors,
        };
        Self { intervals: intervals.iter().map(interval).collect(), trouble }
    }

    /// The same to be kept.
    pub(super) fn step(&self) -> TrafficStep {
        let counts = |one: &Interval| [one.canary_requests, one.canary_errors, one.stable_requests, one.stable_errors];
        TrafficStep::Users { intervals: self.intervals.iter().map(counts).collect(), trouble: self.trouble.clone() }
    }

    /// What they say.
    pub(super) fn observation(&self, traffic: &Traffic) -> Observation {
        let sum = |of: fn(&Interval) -> usize| self.intervals.iter().map(of).sum::<usize>();
        let seen = format!(
            "{} of {} failed on the canary, {} of {} on stable, in {}",
            sum(|one| one.canary_errors),
            text::counted(sum(|one| one.canary_requests), "request"),
            sum(|one| one.stable_errors),
            text::counted(sum(|one| one.stable_requests), "request"),
            text::counted(self.intervals.len(), "interval"),
        );
        let trouble = self.trouble.as_ref().map_or(String::new(), |why| format!("; not all was seen: {why}"));
        let (status, detail) = match compare_counters(&self.intervals, LEVEL) {
            Counted::Fail { p } => {
                (Status::Fail, format!("{seen}: more than the canary's share of the traffic explains (p = {p:.4})"))
            }
            Counted::Pass { .. } => (Status::Pass, format!("{seen}: at most 1 % more on the canary is proven (95 %)")),
            Counted::NoData { p, needed } => {
                let needed =
                    needed.map_or(String::new(), |needed| format!(", about {needed} requests of the canary needed"));
                let p = if p.is_nan() { String::new() } else { format!(" (p = {p:.4})") };
                (traffic.on_unproven.status(), format!("no data: {seen}{p}{needed}"))
            }
        };
        Observation::new(Seen::Measure, "users' errors beside stable", status, format!("{detail}{trouble}"))
    }
}

/// What one scrape has counted.
fn count(scraped: &Scraped, requests: &Expr, errors: &Expr) -> Result<Counts, String> {
    let format = scraped.format.unwrap_or_else(|| Format::of_file(&scraped.body));
    let exposition =
        Exposition::parse(&scraped.body, format).map_err(|error| format!("the metrics are malformed: {error}"))?;
    let mut storage = Storage::default();
    let mut target = Target::new::<String, String>([]).honor_timestamps(false);
    target.scraped(&mut storage, &exposition, scraped.at).map_err(|full| full.to_string())?;
    let value = |expr: &Expr| match Evaluator::new(&storage, scraped.at).value(expr) {
        Ok(Value::Scalar(value)) => Ok(Some(value)),
        Ok(Value::Vector(elements)) => {
            Ok((!elements.is_empty()).then(|| elements.iter().map(|element| element.value).sum::<f64>()))
        }
        Ok(_) => Err("it is not an instant vector".to_owned()),
        Err(error) => Err(error.message),
    };
    let requests = value(requests)?.ok_or("counters.requests has no element")?;
    let inventory = Inventory::new(&exposition);
    let unknown = errors.selectors().into_iter().filter_map(|selector| selector.metric_name());
    if let Some(name) = unknown.into_iter().find(|name| !inventory.declares(name) && !inventory.has_samples(name)) {
        return Err(format!("there is no metric {name}"));
    }
    if let Some(why) = unread(errors, &storage, &inventory, scraped.at) {
        return Err(why);
    }
    // Before the first error there may be no such series.
    let errors = value(errors)?.unwrap_or(0.0);
    if !(requests.is_finite() && errors.is_finite()) || errors < 0.0 || requests < errors {
        return Err(format!("{errors} errors of {requests} requests cannot be counts"));
    }
    Ok(Counts { requests, errors })
}
