//! Scrapes of the canary, and of the stable revision beside it: fetched here, kept by `watch`.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

use super::Context;
use crate::plan::{Header, Metrics, Request, RequestLimits, Retry};
use crate::probe::{Answer, Attempt, Probe, Tried, until};
use promeval::exposition::Format;

/// What a Prometheus server asks for, so that the canary answers the gate as it would answer one.
const ACCEPT: &str = "application/openmetrics-text;version=1.0.0;q=0.6,text/plain;version=1.0.0;q=0.4,\
                      text/plain;version=0.0.4;q=0.3,*/*;q=0.1";

/// What one scrape brought.
pub(super) struct Scraped {
    pub(super) body: Vec<u8>,
    /// Nothing where the answer has no content type.
    pub(super) format: Option<Format>,
    /// Milliseconds since the Unix epoch.
    pub(super) at: i64,
}

/// Why a scrape brought nothing.
pub(super) enum Missed {
    /// The next one may do better.
    Passing(String),
    /// It will not mend.
    Lasting(String),
}

/// Scrapes one target, with the cookies that it sets: behind a load balancer they lead to the same instance.
pub(super) struct Scraper {
    probe: Probe,
    request: Request,
    limits: RequestLimits,
    retry: Retry,
    cookies: Vec<(String, String)>,
}

impl Scraper {
    pub(super) fn new(probe: Probe, metrics: &Metrics) -> Self {
        let mut request = metrics.request.clone();
        if !request.headers.iter().any(|header| header.name.eq_ignore_ascii_case("accept")) {
            request.headers.push(Header::plain("Accept", ACCEPT));
        }
        let (limits, retry) = (metrics.bounds.request, metrics.bounds.retry);
        Self { probe, request, limits, retry, cookies: Vec::new() }
    }

    /// One scrape, tried again until the deadline while that may help; with the number of attempts.
    pub(super) async fn scrape(&mut self, context: &Context<'_>, deadline: Instant) -> (Result<Scraped, Missed>, u32) {
        let mut request = self.request.clone();
        if !self.cookies.is_empty() {
            let cookies: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
            request.headers.push(Header::plain("Cookie", &cookies.join("; ")));
        }
        let what = format!("GET {}", self.request.path);
        let attempt = async |_| {
            let at = now();
            match self.probe.ask(&request, self.limits, deadline).await {
                Ok(answer) if answer.status == 200 => Attempt::Done(Ok((answer, at))),
                Ok(answer) => {
                    let said = answer.advice.clone().unwrap_or_else(|| answer.excerpt());
                    let cause = format!("{what}: {}, want 200: {said}", answer.status);
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
        };
        let note = |attempt, cause: &str| context.note(attempt, cause);
        let tried: Tried<Result<(Answer, i64), String>> = until(self.retry, deadline, note, attempt).await;
        let result = match tried.result {
            Ok(Ok((answer, at))) => {
                self.keep_cookies(&answer);
                let format = format(&answer).map_err(|cause| Missed::Lasting(format!("{what}: 200, but {cause}")));
                format.map(|format| Scraped { body: answer.body, format, at })
            }
            Ok(Err(cause)) => Err(Missed::Lasting(cause)),
            Err(cause) => Err(Missed::Passing(cause)),
        };
        (result, tried.attempts)
    }

    fn keep_cookies(&mut self, answer: &Answer) {
        for value in answer.headers.get_all("set-cookie") {
            let cookie = value.to_str().unwrap_or_default().split(';').next().unwrap_or_default();
            let Some((name, value)) = cookie.split_once('=') else { continue };
            let (name, value) = (name.trim().to_owned(), value.trim().to_owned());
            self.cookies.retain(|(known, _)| *known != name);
            self.cookies.push((name, value));
        }
    }
}

/// Scrapes a target's own URL once, for the `query` command: the body and the format that it says it has.
///
/// # Errors
/// Why there is no whole answer that can be metrics.
pub async fn scrape_once(probe: &Probe) -> Result<(Vec<u8>, Option<Format>), String> {
    let accept = vec![Header::plain("Accept", ACCEPT)];
    let request = Request::get("", accept);
    let limits = RequestLimits { time: Duration::from_secs(30), body: 64 * 1024 * 1024 };
    let url = probe.target().url.clone();
    let asked = probe.ask_url(&url, &request, limits, Instant::now() + limits.time).await;
    let answer = asked.map_err(|failure| failure.to_string())?;
    if answer.status != 200 {
        return Err(format!("{}, want 200: {}", answer.status, answer.excerpt()));
    }
    let format = format(&answer)?;
    Ok((answer.body, format))
}

/// The time: milliseconds since the Unix epoch.
#[must_use]
pub fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// The format that the answer says it has; nothing where it says nothing.
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
