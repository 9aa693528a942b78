//! Thresholds asked of a Prometheus HTTP API: <https://prometheus.io/docs/prometheus/latest/querying/api/>.

use std::collections::BTreeSet;
use std::time::Duration;

use promeval::labels::Labels;
use promeval::number::{format_time, parse_float};
use promeval::promql::ast::{Binary, BinaryOp, ExprKind, SetOp};
use promeval::promql::{Element, Expr, Value, compare};
use serde::Deserialize;
use tokio::time::Instant;

use super::alerts::Activity;
use super::rules::elements;
use super::thresholds::{alerted, compared};
use crate::check::context::{AskError, Context};
use crate::http::{Answer, Client, Request, RequestLimits};
use crate::judge::{Decision, beyond_bounds, buckets_of, decide, falling, unbounded};
use crate::outcome::{Observation, Status, ThresholdVerdict};
use crate::plan::{Metrics, Rule, ThresholdExpr};

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

/// Why there is no value.
enum QueryError {
    /// The server was not reached, or answers what it cannot: that is no failure of the canary.
    Unseen(AskError),
    /// The server answers that it cannot evaluate the expression.
    Refused(String),
}

impl QueryError {
    fn text(self) -> String {
        match self {
            Self::Unseen(error) => error.cause().text,
            Self::Refused(text) => text,
        }
    }

    /// What can be told of a threshold all the same.
    fn told(self) -> Result<String, AskError> {
        match self {
            Self::Unseen(error) => Err(error),
            Self::Refused(text) => Ok(text),
        }
    }
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
            let _ = self.activities[index].evaluated(alert, time, result.map_err(QueryError::text).and_then(elements));
        }
        attempts
    }

    /// What the thresholds say at a time.
    ///
    /// # Errors
    /// Why the server could not be asked.
    pub(super) async fn thresholds(&mut self, context: &Context<'_>, time: i64) -> Result<Vec<Observation>, AskError> {
        let mut observations = Vec::new();
        for (index, threshold) in self.metrics.thresholds.iter().enumerate() {
            observations.push(match &threshold.rule {
                Rule::Silent(alert) => {
                    let mut blind = self.missing(context, &alert.expr, time).await?;
                    if blind.is_none() && self.activities[index].firing(alert).is_empty() {
                        blind = self.untold(context, &alert.expr, &alert.source, time).await?;
                    }
                    alerted(threshold, alert, &self.activities[index], blind)
                }
                Rule::Holds(comparison) => {
                    let parts = comparison.parts();
                    let sides = [&parts.lhs, &parts.rhs].map(|side| part(&comparison.source, side).to_owned());
                    let mut decision = self.decide(context, parts, sides, time).await?;
                    if decision.verdict == ThresholdVerdict::Pass
                        && let Some(why) = self.untold_comparison(context, comparison, time).await?
                    {
                        (decision.verdict, decision.why) = (ThresholdVerdict::NoData, why);
                    }
                    if decision.verdict == ThresholdVerdict::Pass
                        && let Some(missing) = self.missing(context, comparison.expr(), time).await?
                    {
                        self.warn(format!("{}: {missing}: what holds is what is written for none", threshold.label()));
                    }
                    compared(threshold, comparison, decision)
                }
            });
        }
        Ok(observations)
    }

    /// Decides a comparison of two expressions.
    ///
    /// # Errors
    /// Why the server could not be asked.
    async fn decide(
        &mut self,
        context: &Context<'_>,
        parts: &Binary,
        [lhs, rhs]: [String; 2],
        time: i64,
    ) -> Result<Decision, AskError> {
        let lhs = self.query(context, &lhs, time, context.deadline).await.0;
        let rhs = self.query(context, &rhs, time, context.deadline).await.0;
        let met = match (lhs, rhs) {
            (Ok(lhs), Ok(rhs)) => compare(parts, lhs, rhs).map_err(|error| error.message),
            (Err(error), _) | (_, Err(error)) => Err(error.told()?),
        };
        Ok(decide(parts, met, || "the server has no series for it".to_owned()))
    }

    /// Why a comparison that holds is no evidence, because buckets do not tell the quantiles that it reads.
    ///
    /// # Errors
    /// Why the server could not be asked.
    async fn untold_comparison(
        &mut self,
        context: &Context<'_>,
        comparison: &ThresholdExpr,
        time: i64,
    ) -> Result<Option<String>, AskError> {
        let (parts, source) = (comparison.parts(), &comparison.source);
        if let Some(why) = self.falling(context, comparison.expr(), source, time).await? {
            return Ok(Some(why));
        }
        let sides = [&parts.lhs, &parts.rhs].map(|side| (unbounded(side, source), side));
        if sides.iter().all(|(unbounded, _)| unbounded.is_none()) {
            return Ok(None);
        }
        let sides = sides.map(|(unbounded, side)| unbounded.unwrap_or_else(|| part(source, side).to_owned()));
        let decision = self.decide(context, parts, sides, time).await?;
        Ok((decision.verdict != ThresholdVerdict::Pass).then(|| beyond_bounds(None)))
    }

    /// Why it says nothing that an alert has no element, because buckets do not tell the quantiles that it reads.
    ///
    /// # Errors
    /// Why the server could not be asked.
    async fn untold(
        &mut self,
        context: &Context<'_>,
        expr: &Expr,
        source: &str,
        time: i64,
    ) -> Result<Option<String>, AskError> {
        if let Some(why) = self.falling(context, expr, source, time).await? {
            return Ok(Some(why));
        }
        let Some(unbounded) = unbounded(expr, source) else { return Ok(None) };
        let mut found = Vec::new();
        for text in [source, &unbounded] {
            let labels = |elements: Vec<Element>| elements.into_iter().map(|element| element.labels).collect();
            let value = self.query(context, text, time, context.deadline).await.0;
            let labels: Result<BTreeSet<Labels>, String> =
                value.map_err(QueryError::text).and_then(elements).map(labels);
            found.push(labels);
        }
        Ok((found[0] != found[1]).then(|| beyond_bounds(None)))
    }

    /// Which buckets that an expression reads are not cumulative.
    ///
    /// # Errors
    /// Why the server could not be asked.
    async fn falling(
        &mut self,
        context: &Context<'_>,
        expr: &Expr,
        source: &str,
        time: i64,
    ) -> Result<Option<String>, AskError> {
        for buckets in buckets_of(expr) {
            match self.query(context, part(source, buckets), time, context.deadline).await.0 {
                Ok(Value::Vector(elements)) => {
                    if let Some(why) = falling(buckets, elements) {
                        return Ok(Some(why));
                    }
                }
                Ok(_) => {}
                Err(error) => drop(error.told()?),
            }
        }
        Ok(None)
    }

    /// Which metric that an expression cannot do without the server has no series of.
    ///
    /// # Errors
    /// Why the server could not be asked.
    async fn missing(&mut self, context: &Context<'_>, expr: &Expr, time: i64) -> Result<Option<String>, AskError> {
        let selectors = expr.selectors();
        let names: BTreeSet<&str> = selectors.iter().filter_map(|selector| selector.metric_name()).collect();
        let mut missing = Vec::new();
        for name in &names {
            let bare = format!("count({{__name__={name:?}}})");
            match self.query(context, &bare, time, context.deadline).await.0 {
                Ok(Value::Vector(elements)) if elements.is_empty() => missing.push(*name),
                Ok(_) => {}
                Err(error) => drop(error.told()?),
            }
        }
        // Of names that stand for each other, or of what is to be absent, one may be missing.
        let is_missing = if has_alternatives(expr) { missing.len() == names.len() } else { !missing.is_empty() };
        let is_missing = is_missing && !missing.is_empty();
        Ok(is_missing.then(|| format!("the server has no series of {}", missing.join(", "))))
    }

    fn warn(&mut self, warning: String) {
        if !self.warnings.contains(&warning) {
            self.warnings.push(warning);
        }
    }

    /// What the server warned of.
    pub(super) fn notes(&self) -> Vec<Observation> {
        self.warnings.iter().map(|warning| Observation::note("prometheus", Status::Warn, warning)).collect()
    }

    async fn query(
        &mut self,
        context: &Context<'_>,
        expr: &str,
        time: i64,
        deadline: Instant,
    ) -> (Result<Value, QueryError>, u32) {
        let request = request(expr, time);
        let what = format!("POST {}/api/v1/query", self.address());
        let limits = context.policy.request;
        let attempt = async || match self.client.ask(&request, limits, deadline).await {
            Ok(answer) if answer.advice.is_some() => {
                let advice = answer.advice.as_ref().map_or("", |advice| &*advice.text);
                Err(AskError::answer(&answer, format!("{}: {advice}", answer.status)))
            }
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
        let result = result.map_err(|error| QueryError::Unseen(error.about(&what).beside())).and_then(|response| {
            for warning in &response.warnings {
                self.warn(warning.clone());
            }
            value(response).map_err(|error| QueryError::Refused(format!("{what}: {error}")))
        });
        (result, attempts)
    }
}

/// A part of an expression, as it is written.
fn part<'s>(source: &'s str, expr: &Expr) -> &'s str {
    source.get(expr.span.clone()).unwrap_or_default()
}

/// Whether an expression may be told although a metric that it names has no series.
fn has_alternatives(expr: &Expr) -> bool {
    let own = match &expr.kind {
        ExprKind::Binary(binary) => matches!(binary.op, BinaryOp::Set(SetOp::Or | SetOp::Unless)),
        ExprKind::Call(call) => call.name().starts_with("absent"),
        _ => false,
    };
    own || expr.children().into_iter().any(has_alternatives)
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
