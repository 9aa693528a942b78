//! Thresholds asked of a Prometheus HTTP API: <https://prometheus.io/docs/prometheus/latest/querying/api/>.

use std::time::Duration;

use promeval::labels::Labels;
use promeval::number::{format_time, parse_float};
use promeval::promql::{Element, Expr, Value, compare};
use serde::Deserialize;
use tokio::time::Instant;

use super::alerts::Activity;
use super::rules::elements;
use super::thresholds::{alerted, compared};
use crate::check::context::{AskError, Context};
use crate::http::{Answer, Client, Request, RequestLimits};
use crate::judge::decide;
use crate::outcome::{Observation, Status};
use crate::plan::{Metrics, Rule};

/// Asks one server.
pub(super) struct PrometheusApi<'p> {
    client: Client,
    metrics: &'p Metrics,
    /// One for each threshold; only those of alerts are used.
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

impl<'p> PrometheusApi<'p> {
    pub(super) fn new(client: Client, metrics: &'p Metrics) -> Self {
        let activities = vec![Activity::new(metrics.window); metrics.thresholds.len()];
        Self { client, metrics, activities, warnings: Vec::new() }
    }

    pub(super) fn address(&self) -> &str {
        self.client.address().shown()
    }

    /// Evaluates the alerts, each of which remembers; thresholds are evaluated when they are wanted. With the most attempts
    /// that one took.
    pub(super) async fn evaluate_alerts(&mut self, context: &Context<'_>, deadline: Instant, time: i64) -> u32 {
        let mut attempts = 1;
        for index in 0..self.metrics.thresholds.len() {
            let Rule::Silent(alert) = &self.metrics.thresholds[index].rule else { continue };
            let (result, tries) = self.query(context, &alert.source, time, deadline).await;
            attempts = attempts.max(tries);
            // Why an evaluation failed is told at the end.
            let _ = self.activities[index].evaluated(alert, time, result.and_then(elements));
        }
        attempts
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
        self.warnings.iter().map(|warning| Observation::note("prometheus", Status::Warn, warning)).collect()
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
        let request = request(expr, time);
        let what = format!("POST {}/api/v1/query", self.address());
        let limits = context.policy.request;
        let attempt = async || match self.client.ask(&request, limits, deadline).await {
            // A server's own 503 (a query that timed out or was aborted) is JSON and an answer.
            Ok(answer) if answer.is_transient() && !(answer.status == 503 && is_json(&answer)) => {
                Err(AskError::answer(&answer, format!("{}: {}", answer.status, answer.excerpt())))
            }
            Ok(answer) => read(&answer.body).map_err(|error| {
                AskError::Permanent(format!("{}: {error}: {}", answer.status, answer.excerpt()).into())
            }),
            Err(failure) => Err(failure.into()),
        };
        let (result, attempts) = context.attempt_until(deadline, &what, attempt).await;
        let result = result.map_err(|error| error.about(&what).cause().text).and_then(|response| {
            for warning in &response.warnings {
                if !self.warnings.contains(warning) {
                    self.warnings.push(warning.clone());
                }
            }
            value(response).map_err(|error| format!("{what}: {error}"))
        });
        (result, attempts)
    }
}

/// Asks a server one expression once, for the `query` command.
///
/// # Errors
/// Why there is no value.
pub(crate) async fn ask_prometheus(client: &Client, expr: &str, time: i64) -> Result<Value, String> {
    let request = request(expr, time);
    let limits = RequestLimits { time: Duration::from_secs(30), body: 64 * 1024 * 1024 };
    let what = format!("POST {}/api/v1/query", client.address().shown());
    let asked = client.ask(&request, limits, Instant::now() + limits.time).await;
    let answer = asked.map_err(|failure| format!("{what}: {failure}"))?;
    let response = read(&answer.body).map_err(|error| format!("{what}: {}: {error}", answer.status))?;
    value(response).map_err(|error| format!("{what}: {error}"))
}

fn request(expr: &str, time: i64) -> Request {
    let body = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("query", expr)
        .append_pair("time", &format_time(time))
        .finish();
    Request::post("/api/v1/query", "application/x-www-form-urlencoded", body)
}

fn is_json(answer: &Answer) -> bool {
    answer.media_type() == "application/json"
}

fn read(body: &[u8]) -> Result<Response, String> {
    serde_json::from_slice(body).map_err(|error| format!("the answer is not that of a Prometheus HTTP API ({error})"))
}

fn value(response: Response) -> Result<Value, String> {
    if response.status != "success" {
        let kind = response.error_type.unwrap_or_else(|| response.status.clone());
        return Err(format!("{kind}: {}", response.error.unwrap_or_default()));
    }
    let number =
        |text: &str| parse_float(text).ok_or_else(|| format!("the server answers {text:?}, which is not a number"));
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
        other => Err(format!("the server answers a {other}, not an instant vector")),
    }
}
