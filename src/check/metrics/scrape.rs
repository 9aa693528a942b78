//! Scrapes of the canary, and of the stable revision beside it: fetched here, kept by `window`.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use promeval::exposition::Format;
use tokio::time::Instant;

use crate::check::context::{AskError, Context};
use crate::http::{Answer, Client, Header, Request, RequestLimits};
use crate::outcome::Cause;
use crate::plan::Metrics;

/// What a Prometheus server asks for, so that the canary answers the gate as it would answer one.
const ACCEPT: &str = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
                      text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.1";

/// What one scrape brought.
pub(in crate::check) struct Scraped {
    pub(in crate::check) body: Vec<u8>,
    /// Nothing where the answer has no content type.
    pub(in crate::check) format: Option<Format>,
    /// Milliseconds since the Unix epoch.
    pub(in crate::check) at: i64,
}

/// Scrapes one target, with the cookies that it sets: behind a load balancer they lead to the same instance.
pub(in crate::check) struct Scraper {
    client: Client,
    request: Request,
    limits: RequestLimits,
    cookies: Vec<(String, String)>,
}

impl Scraper {
    pub(in crate::check) fn new(client: Client, metrics: &Metrics, limits: RequestLimits) -> Self {
        let mut request = metrics.request.clone();
        if !client.sends("accept") && !request.headers.iter().any(|header| header.is("accept")) {
            request.headers.push(Header::plain("Accept", ACCEPT));
        }
        Self { client, request, limits, cookies: Vec::new() }
    }

    /// One scrape, tried again until the deadline while that may help; with the number of attempts.
    pub(in crate::check) async fn scrape(
        &mut self,
        context: &Context<'_>,
        deadline: Instant,
    ) -> (Result<Scraped, AskError>, u32) {
        let mut request = self.request.clone();
        if !self.cookies.is_empty() {
            let cookies: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
            request.headers = with_cookies(request.headers, &cookies.join("; "));
        }
        let what = self.client.shown(&request);
        let attempt = async |deadline| {
            let at = now();
            let answer = self.client.ask(&request, self.limits, deadline).await?;
            if answer.status != 200 {
                let said = match (&answer.advice, answer.shown_location(), answer.excerpt()) {
                    (Some(advice), ..) => format!("; {}", advice.text),
                    (None, Some(location), _) => format!(", to {location:?} (redirects are not followed here)"),
                    (None, None, body) if body.is_empty() => "; the body is empty".into(),
                    (None, None, body) => format!("; the body: {body}"),
                };
                let text = format!("{}, want 200{said}", answer.status);
                return Err(AskError::answer(&answer, Cause::wanting(text, 200, answer.status)));
            }
            let format = format(&answer).map_err(|cause| AskError::Permanent(format!("200, but {cause}").into()))?;
            Ok((answer, format, at))
        };
        let (result, attempts) = context.attempt_until(deadline, &what, attempt).await;
        let result = result.map(|(answer, format, at)| {
            self.keep_cookies(&answer);
            Scraped { body: answer.body, format, at }
        });
        let result = result.map_err(|error| error.about(&what));
        (result, attempts)
    }

    fn keep_cookies(&mut self, answer: &Answer) {
        for value in answer.headers.get_all("set-cookie") {
            let mut parts = value.to_str().unwrap_or_default().split(';').map(|part| part.split_once('='));
            let Some(Some((name, value))) = parts.next() else { continue };
            let (name, value) = (name.trim().to_owned(), value.trim().to_owned());
            self.cookies.retain(|(known, _)| *known != name);
            let is_over = |(name, value): (&str, &str)| match &*name.trim().to_ascii_lowercase() {
                "max-age" => value.trim().parse::<i64>().is_ok_and(|seconds| seconds <= 0),
                "expires" => httpdate::parse_http_date(value.trim()).is_ok_and(|until| until <= SystemTime::now()),
                _ => false,
            };
            if !parts.flatten().any(is_over) {
                self.cookies.push((name, value));
            }
        }
    }
}

/// The headers with cookies behind those that they hold already: of two headers of a name only the last would be sent.
fn with_cookies(headers: Vec<Header>, cookies: &str) -> Vec<Header> {
    let (own, mut headers): (Vec<Header>, Vec<Header>) = headers.into_iter().partition(|header| header.is("cookie"));
    let all = own.last().map_or_else(|| cookies.to_owned(), |own| format!("{}; {cookies}", own.value()));
    headers.push(Header::secret("Cookie", &all));
    headers
}

/// Scrapes a URL once, for the `query` command: the body, and the format that it says it has.
///
/// # Errors
/// Why there is no whole answer that can be metrics.
pub(crate) async fn scrape_once(
    client: &Client,
    url: &url::Url,
    headers: &[Header],
) -> Result<(Vec<u8>, Option<Format>), String> {
    let mut request = Request::get("");
    request.headers.extend_from_slice(headers);
    if !client.sends("accept") && !headers.iter().any(|header| header.is("accept")) {
        request.headers.push(Header::plain("Accept", ACCEPT));
    }
    let limits = RequestLimits { time: Duration::from_secs(30), body: 64 * 1024 * 1024 };
    let asked = client.ask_url(url, &request, limits, Instant::now() + limits.time).await;
    let answer = asked.map_err(|failure| failure.to_string())?;
    if answer.status != 200 {
        return Err(format!("{}, want 200; the body: {}", answer.status, answer.excerpt()));
    }
    let format = format(&answer)?;
    Ok((answer.body, format))
}

/// The time: milliseconds since the Unix epoch.
pub(crate) fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// The format that the answer says it has; nothing where it says nothing.
fn format(answer: &Answer) -> Result<Option<Format>, String> {
    let format = match &*answer.media_type() {
        // It marks its end itself, and is refused without the mark.
        "application/openmetrics-text" => return Ok(Some(Format::OpenMetrics)),
        "text/plain" => Some(Format::Prometheus),
        "" => None,
        other => {
            return Err(format!(
                "the answer is {other}, not metrics (want text/plain or application/openmetrics-text): {}",
                answer.excerpt()
            ));
        }
    };
    if answer.is_end_marked {
        return Ok(format);
    }
    Err("nothing marks the end of the body (no Content-Length, not chunked): metrics that were cut off between two lines would look \
         whole"
        .into())
}
