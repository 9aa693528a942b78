//! Thresholds asked of a Prometheus HTTP API: <https://prometheus.io/docs/prometheus/latest/querying/api/>.

use serde::Deserialize;
use tokio::time::Instant;

use super::Context;
use super::alerts::Activity;
use super::scrape::Missed;
use super::thresholds::{alerted, compared, note};
use crate::judge::decision::decide;
use crate::outcome::{Observation, Status};
use crate::plan::{Header, Metrics, Request, Rule};
use crate::probe::{Attempt, Probe, until};
use crate::target::Target;
use promeval::labels::Labels;
use promeval::number::{format_time, parse_float};
use promeval::promql::{Element, Expr, Value, compare};

/// Asks one server.
pub(super) struct Api<'p> {
    probe: Probe,
    metrics: &'p Metrics,
    headers: Vec<Header>,
    activities: Vec<Activity>,
    /// What the server warned of, each once.
    warnings: Vec<String>,
}

#[derive(Deserialize)]
struct Response {
    status: String,
    data: Option<Data>,
    error: Option<String>,
    #[serde(rename = "errorType")]
    error_type: Option<String>,
    #[serde(default)]
    warnings: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Data {
    result_type: String,
    result: serde_json::Value,
}

#[derive(Deserialize)]
struct Sample {
    metric: std::collections::BTreeMap<String, String>,
    value: Option<(serde_json::Value, String)>,
}

impl<'p> Api<'p> {
    pub(super) fn new(
        probe: &Probe,
        target: &Target,
        headers: &[Header],
        metrics: &'p Metrics,
    ) -> Result<Self, String> {
        let mut headers = headers.to_vec();
        headers.push(Header::plain("Content-Type", "application/x-www-form-urlencoded"));
        // The canary's own headers are not for this server.
        let probe = probe.toward(target.clone(), Some(&[]))?;
        let activities = vec![Activity::default(); metrics.thresholds.len()];
        Ok(Self { probe, metrics, headers, activities, warnings: Vec::new() })
    }

    pub(super) fn address(&self) -> &str {
        self.probe.target().shown()
    }

    /// Evaluates the alerts; thresholds are evaluated when they are wanted.
    pub(super) async fn sample(
        &mut self,
        context: &Context<'_>,
        deadline: Instant,
        time: i64,
    ) -> (Option<Missed>, u32) {
        let mut attempts = 1;
        for index in 0..self.metrics.thresholds.len() {
            let Rule::Silent(alert) = &self.metrics.thresholds[index].rule else { continue };
            let (result, tries) = self.query(context, &alert.source, time, deadline).await;
            attempts = attempts.max(tries);
            let elements = match result {
                Ok(Value::Vector(elements)) => Ok(elements),
                Ok(_) => Err("the server answers no instant vector".to_owned()),
                Err(cause) => Err(cause),
            };
            self.activities[index].evaluated(time, elements);
        }
        (None, attempts)
    }

    pub(super) async fn thresholds(&mut self, context: &Context<'_>, time: i64) -> Vec<Observation> {
        let mut observations = Vec::new();
        for (index, threshold) in self.metrics.thresholds.iter().enumerate() {
            observations.push(match &threshold.rule {
                Rule::Silent(alert) => alerted(threshold, alert, &self.activities[index], None),
                Rule::Holds(comparison) => {
                    let parts = comparison.parts();
                    let lhs = self.side(context, &parts.lhs, &comparison.source, time).await;
                    let rhs = self.side(context, &parts.rhs, &comparison.source, time).await;
                    let sides = lhs.and_then(|lhs| Ok((lhs, rhs?)));
                    let met = sides.and_then(|(lhs, rhs)| compare(parts, lhs, rhs).map_err(|error| error.message));
                    let decision = decide(parts, met, || "the server has no series for it".to_owned());
                    compared(threshold, comparison, decision)
                }
            });
        }
        observations
    }

    /// What the server warned of.
    pub(super) fn notes(&self) -> Vec<Observation> {
        self.warnings.iter().map(|warning| note("prometheus", Status::Warn, warning.clone())).collect()
    }

    async fn side(&mut self, context: &Context<'_>, side: &Expr, source: &str, time: i64) -> Result<Value, String> {
        let source = source.get(side.span.clone()).unwrap_or_default();
        self.query(context, source, time, context.deadline).await.0
    }

    async fn query(
        &mut self,
        context: &Context<'_>,
        expr: &str,
        time: i64,
        deadline: Instant,
    ) -> (Result<Value, String>, u32) {
        let body = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("query", expr)
            .append_pair("time", &format_time(time))
            .finish();
        let path = "/api/v1/query".to_owned();
        let request = Request { method: "POST".into(), path, headers: self.headers.clone(), body: Some(body) };
        let what = format!("POST {}/api/v1/query", self.address());
        let bounds = &self.metrics.bounds;
        let attempt = async |_| match self.probe.ask(&request, bounds.request, deadline).await {
            Ok(answer)
                if answer.may_pass_by_itself() && answer.status != 503 || answer.status == 503 && !is_json(&answer) =>
            {
                Attempt::Again {
                    cause: format!("{what}: {}: {}", answer.status, answer.excerpt()),
                    after: answer.retry_after(),
                }
            }
            Ok(answer) => Attempt::Done(
                read(&answer.body).map_err(|error| format!("{what}: {}: {error}: {}", answer.status, answer.excerpt())),
            ),
            Err(failure) if failure.may_pass_by_itself() => {
                Attempt::Again { cause: format!("{what}: {failure}"), after: None }
            }
            Err(failure) => Attempt::Done(Err(format!("{what}: {failure}"))),
        };
        let tried = until(bounds.retry, deadline, |attempt, cause| context.note(attempt, cause), attempt).await;
        let result = tried.result.unwrap_or_else(Err).and_then(|response| {
            for warning in &response.warnings {
                if !self.warnings.contains(warning) {
                    self.warnings.push(warning.clone());
                }
            }
            value(response).map_err(|error| format!("{what}: {error}"))
        });
        (result, tried.attempts)
    }
}

fn is_json(answer: &crate::probe::Answer) -> bool {
    answer.media_type() == "application/json"
}

fn read(body: &[u8]) -> Result<Response, String> {
    serde_json::from_slice(body).map_err(|error| format!("the answer is none of a Prometheus HTTP API ({error})"))
}

fn value(response: Response) -> Result<Value, String> {
    if response.status != "success" {
        let kind = response.error_type.unwrap_or_else(|| response.status.clone());
        return Err(format!("{kind}: {}", response.error.unwrap_or_default()));
    }
    let number =
        |text: &str| parse_float(text).ok_or_else(|| format!("the server answers {text:?}, which is no number"));
    let data = response.data.ok_or("the server answers no data")?;
    let malformed = |error: serde_json::Error| format!("the server's result is malformed: {error}");
    match &*data.result_type {
        "scalar" => {
            let (_, text): (serde_json::Value, String) = serde_json::from_value(data.result).map_err(malformed)?;
            Ok(Value::Scalar(number(&text)?))
        }
        "vector" => {
            let samples: Vec<Sample> = serde_json::from_value(data.result).map_err(malformed)?;
            let element = |sample: Sample| {
                let (_, text) =
                    sample.value.ok_or("the server answers a native histogram, which has no limit to hold")?;
                Ok(Element { labels: Labels::new(sample.metric), value: number(&text)? })
            };
            samples.into_iter().map(element).collect::<Result<_, String>>().map(Value::Vector)
        }
        other => Err(format!("the server answers a {other}, no instant vector")),
    }
}
