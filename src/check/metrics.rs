//! `metrics`: the scrape is well-formed, the families are declared, the thresholds hold.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

use super::thresholds::{evaluate, missing_families};
use super::{Context, Finding};
use crate::metrics::exposition::{Exposition, Format};
use crate::metrics::inventory::Inventory;
use crate::metrics::series::Storage;
use crate::outcome::{Observation, ObservationKind, Status};
use crate::plan::{Header, Metrics, Request, RequestLimits};
use crate::probe::{Answer, Attempt, Probe, until};

/// What a Prometheus server asks for, so that the canary answers the gate as it would answer one.
const ACCEPT: &str = "application/openmetrics-text;version=1.0.0;q=0.6,text/plain;version=1.0.0;q=0.4,\
                      text/plain;version=0.0.4;q=0.3,*/*;q=0.1";

pub(super) async fn check(context: &Context<'_>, metrics: &Metrics) -> Finding {
    let mut request = metrics.request.clone();
    if !request.headers.iter().any(|header| header.name.eq_ignore_ascii_case("accept")) {
        request.headers.push(Header::plain("Accept", ACCEPT));
    }
    let attempt = async |_| scrape(context, metrics, &request).await;
    let tried =
        until(metrics.bounds.retry, context.deadline, |attempt, cause| context.note(attempt, cause), attempt).await;
    let fail = |cause| Finding::new(Status::Fail, tried.attempts, cause);
    let (answer, scraped_at) = match tried.result {
        Ok(Ok(scraped)) => scraped,
        Ok(Err(cause)) | Err(cause) => return fail(cause),
    };
    match judge(metrics, &answer, scraped_at) {
        Ok((status, detail, observations)) => Finding::new(status, tried.attempts, detail).seeing(observations),
        Err(cause) => fail(format!("GET {}: 200, but {cause}", request.path)),
    }
}

/// Scrapes a target's own URL once, for the `query` command: the body and the format that it says it has.
///
/// # Errors
/// Why there is no whole answer that can be metrics.
pub async fn scrape_once(probe: &Probe) -> Result<(Vec<u8>, Option<Format>), String> {
    let accept = vec![Header::plain("Accept", ACCEPT)];
    let request = Request { method: "GET".into(), path: String::new(), headers: accept, body: None };
    let limits = RequestLimits { time: Duration::from_secs(30), body: 64 * 1024 * 1024 };
    let url = probe.target().url.clone();
    let answer = probe
        .ask_url(&url, &request, limits, Instant::now() + limits.time)
        .await
        .map_err(|failure| failure.to_string())?;
    if answer.status != 200 {
        return Err(format!("{}, want 200: {}", answer.status, answer.excerpt()));
    }
    let format = format(&answer)?;
    Ok((answer.body, format))
}

type Scraped = Result<(Answer, i64), String>;

async fn scrape(context: &Context<'_>, metrics: &Metrics, request: &Request) -> Attempt<Scraped> {
    let what = format!("GET {}", request.path);
    let scraped_at = now();
    match context.probe.ask(request, metrics.bounds.request, context.deadline).await {
        Ok(answer) if answer.status == 200 => Attempt::Done(Ok((answer, scraped_at))),
        Ok(answer) => {
            let cause = format!("{what}: {}, want 200: {}", answer.status, answer.excerpt());
            if answer.may_pass_by_itself() {
                Attempt::Again { cause, after: answer.retry_after() }
            } else {
                Attempt::Done(Err(cause))
            }
        }
        Err(failure) if failure.may_pass_by_itself() => {
            Attempt::Again { cause: format!("{what}: {failure}"), after: None }
        }
        Err(failure) => Attempt::Done(Err(format!("{what}: {failure}"))),
    }
}

/// Milliseconds since the Unix epoch.
fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// The format that the answer says it has; nothing where it says nothing.
///
/// # Errors
/// An answer that says it is something else than metrics.
fn format(answer: &Answer) -> Result<Option<Format>, String> {
    match &*answer.media_type() {
        "application/openmetrics-text" => Ok(Some(Format::OpenMetrics)),
        "text/plain" => Ok(Some(Format::Prometheus)),
        "" => Ok(None),
        other => Err(format!(
            "the answer is {other}, not metrics (want text/plain or application/openmetrics-text): {}",
            answer.excerpt()
        )),
    }
}

fn judge(metrics: &Metrics, answer: &Answer, scraped_at: i64) -> Result<(Status, String, Vec<Observation>), String> {
    let format = format(answer)?;
    let exposition = Exposition::parse(&answer.body, format.unwrap_or_else(|| Format::of_file(&answer.body)))
        .map_err(|error| format!("the metrics are malformed: {error}"))?;
    let mut inventory = Inventory::default();
    inventory.add(&exposition);
    let mut storage = Storage::default();
    let thresholds = || metrics.thresholds.iter().flat_map(|threshold| threshold.comparison.expr().selectors());
    storage.ingest(&exposition, scraped_at, true, &[], |name| thresholds().any(|selector| selector.wants(name)));
    let mut observations = missing_families(metrics, &inventory);
    observations.extend(evaluate(metrics, &storage, &inventory, scraped_at));
    if format.is_none() {
        observations.push(Observation {
            kind: ObservationKind::Note,
            name: "content type".into(),
            status: Status::Warn,
            detail: "the answer has no Content-Type; Prometheus 3 refuses such a scrape".into(),
            threshold: None,
        });
    }
    let (status, detail) = summary(&observations, &inventory);
    Ok((status, detail, observations))
}

/// The worst first; where all is well, what was seen.
fn summary(observations: &[Observation], inventory: &Inventory) -> (Status, String) {
    for status in [Status::Fail, Status::Warn] {
        let mut bad = observations.iter().filter(|observation| observation.status == status);
        if let Some(first) = bad.next() {
            let more = bad.count();
            let more = if more > 0 { format!(" (and {more} more)") } else { String::new() };
            return (status, format!("{}: {}{more}", first.name, first.detail));
        }
    }
    let thresholds: Vec<&Observation> =
        observations.iter().filter(|observation| observation.threshold.is_some()).collect();
    let seen = format!("{} samples of {} metrics", inventory.samples(), inventory.names());
    let held = match thresholds.as_slice() {
        [] => "no thresholds".into(),
        [only] => format!("{}: {}", only.name, only.detail),
        several => format!("{} thresholds hold", several.len()),
    };
    (Status::Pass, format!("{held}; {seen}"))
}
