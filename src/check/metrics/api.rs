//! Thresholds asked of a Prometheus HTTP API: <https://prometheus.io/docs/prometheus/latest/querying/api/>.

mod quantiles;

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use futures_util::future::join;
use futures_util::{StreamExt as _, stream};
use promeval::labels::Labels;
use promeval::number::{format_time, parse_float};
use promeval::promql::ast::Binary;
use promeval::promql::{Element, Expr, Value, compare};
use serde::Deserialize;
use tokio::time::Instant;

use super::alerts::Activity;
use super::presence::{Need, Question, Wanted};
use super::rules::elements;
use super::thresholds::{alerted, compared};
use crate::check::context::{AskError, Context};
use crate::http::{Answer, Client, Request, RequestLimits};
use crate::judge::{Decision, decide};
use crate::outcome::{Observation, Status, ThresholdVerdict};
use crate::plan::{Metrics, Rule};
use crate::text;

/// How many questions a server has to answer at one time.
const AT_ONCE: usize = 8;

/// How many different selectors it is asked for.
const SELECTORS: usize = 200;

/// How far from the time of an evaluation its values may be, in seconds.
const NEAR: f64 = 60.0;

/// Asks one server.
pub(super) struct PrometheusApi<'p> {
    client: Client,
    metrics: &'p Metrics,
    /// One for each threshold; only those of alerts are used.
    activities: Vec<Activity>,
    /// What the server warned of, each once.
    warnings: RefCell<Vec<String>>,
}

#[derive(Deserialize)]
struct Response {
    status: String,
    data: Option<Data>,
    error: Option<String>,
    #[serde(rename = "errorType")]
    error_type: Option<String>,
    warnings: Option<Vec<String>>,
    /// Where a part of the storage did not answer, as servers of several nodes say it.
    #[serde(rename = "isPartial", alias = "partial")]
    is_partial: Option<serde_json::Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Data {
    result_type: String,
    result: serde_json::Value,
}

#[derive(Deserialize)]
struct Sample {
    metric: BTreeMap<String, String>,
    value: Option<(f64, String)>,
}

/// Why there is no value.
enum QueryError {
    /// The server was not reached, or answers what it cannot: that is no failure of the canary.
    Unseen(AskError),
    /// The server's answer has no value to be judged: it cannot evaluate the expression, or saw only a part.
    NoValue(String),
}

impl QueryError {
    /// What can be told of a threshold all the same.
    fn told(self) -> Result<String, AskError> {
        match self {
            Self::Unseen(error) => Err(error),
            Self::NoValue(text) => Ok(text),
        }
    }
}

/// A threshold that was asked of the server.
enum Asked {
    /// With whether both sides have a value.
    Comparison(Decision, bool),
    Alert,
}

/// Whether there are series, or why that cannot be told; by the query that asks for them.
type Found = HashMap<String, Result<bool, String>>;

impl<'p> PrometheusApi<'p> {
    pub(super) fn new(client: Client, metrics: &'p Metrics) -> Self {
        let activities = vec![Activity::new(metrics.window); metrics.thresholds.len()];
        Self { client, metrics, activities, warnings: RefCell::default() }
    }

    pub(super) fn address(&self) -> &str {
        self.client.address().shown()
    }

    /// Evaluates the alerts, each of which remembers; thresholds are evaluated when they are wanted. With the most attempts
    /// that one took.
    ///
    /// # Errors
    /// Why the server could not be asked for one of them: that one stays as it was.
    pub(super) async fn evaluate_alerts(
        &mut self,
        context: &Context<'_>,
        deadline: Instant,
        time: i64,
    ) -> (Result<(), AskError>, u32) {
        let thresholds = self.metrics.thresholds.iter().enumerate();
        let alerts: Vec<_> = thresholds
            .filter_map(|(index, threshold)| match &threshold.rule {
                Rule::Silent(alert) => Some((index, alert)),
                Rule::Holds(_) => None,
            })
            .collect();
        let asked = alerts.iter().map(|(_, alert)| self.query(context, &alert.source, time, deadline));
        let answers: Vec<_> = stream::iter(asked).buffered(AT_ONCE).collect().await;
        let (mut result, mut attempts) = (Ok(()), 1);
        for ((index, alert), (answer, tries)) in alerts.into_iter().zip(answers) {
            attempts = attempts.max(tries);
            let activity = &mut self.activities[index];
            let evaluated = match answer {
                Ok(value) => elements(value),
                Err(QueryError::NoValue(why)) => Err(why),
                Err(QueryError::Unseen(error)) => {
                    activity.skipped();
                    result = result.and(Err(error));
                    continue;
                }
            };
            // Why an evaluation failed is told at the end.
            let _ = activity.evaluated(alert, time, evaluated);
        }
        (result, attempts)
    }

    /// What the thresholds say at a time, by the values alone.
    ///
    /// # Errors
    /// Why the server could not be asked.
    pub(super) async fn thresholds(
        &self,
        context: &Context<'_>,
        deadline: Instant,
        time: i64,
    ) -> Result<Vec<Observation>, AskError> {
        let asked = self.ask(context, deadline, time).await?;
        Ok(self.observed(asked, &|_, _| None))
    }

    /// What the thresholds say at a time, where the server has what they read.
    ///
    /// # Errors
    /// Why the server could not be asked.
    pub(super) async fn observations(&self, context: &Context<'_>, time: i64) -> Result<Vec<Observation>, AskError> {
        let asked = self.ask(context, context.deadline, time).await?;
        let thresholds = self.metrics.thresholds.iter().zip(&self.activities).zip(&asked);
        let needs: Vec<Option<Need>> = thresholds
            .map(|((threshold, activity), asked)| {
                let is_open = match (&threshold.rule, asked) {
                    (Rule::Silent(alert), _) => activity.error().is_none() && activity.firing(alert).is_empty(),
                    (_, Asked::Comparison(decision, has_values)) => {
                        *has_values && decision.verdict != ThresholdVerdict::Fail
                    }
                    (_, Asked::Alert) => false,
                };
                is_open.then(|| Need::of(threshold.rule.expr(), threshold.rule.source()))
            })
            .collect();
        let found = self.look(context, needs.iter().flatten(), time).await?;
        let mut untold = Vec::with_capacity(asked.len());
        for (index, asked) in asked.iter().enumerate() {
            let is_open = needs[index].is_some();
            untold.push(if is_open { self.untold(context, index, asked, time).await? } else { None });
        }
        let missing = |index: usize, is_event: bool| {
            let need: Option<&Need> = needs[index].as_ref();
            let lacks = need.and_then(|need| need.missing(&|wanted| lack(&found, wanted, is_event)));
            lacks.or_else(|| untold[index].clone())
        };
        let mut observations = self.observed(asked, &missing);
        let warnings = self.warnings.borrow();
        observations.extend(warnings.iter().map(|warning| Observation::note("prometheus", Status::Warn, warning)));
        Ok(observations)
    }

    /// Asks for both sides of each comparison.
    async fn ask(&self, context: &Context<'_>, deadline: Instant, time: i64) -> Result<Vec<Asked>, AskError> {
        let asked = self.metrics.thresholds.iter().map(async |threshold| {
            let Rule::Holds(comparison) = &threshold.rule else { return Ok(Asked::Alert) };
            let parts = comparison.parts();
            let sides = [&parts.lhs, &parts.rhs].map(|side| part(&comparison.source, side).to_owned());
            let (decision, has_values) = self.decide(context, parts, &sides, (time, deadline)).await?;
            Ok(Asked::Comparison(decision, has_values))
        });
        let asked: Vec<Result<Asked, AskError>> = stream::iter(asked).buffered(AT_ONCE).collect().await;
        asked.into_iter().collect()
    }

    /// Decides a comparison of two expressions at a time and until a deadline; with whether there were values to be compared.
    ///
    /// # Errors
    /// Why the server could not be asked.
    async fn decide(
        &self,
        context: &Context<'_>,
        parts: &Binary,
        [lhs, rhs]: &[String; 2],
        (time, deadline): (i64, Instant),
    ) -> Result<(Decision, bool), AskError> {
        let sides = join(self.query(context, lhs, time, deadline), self.query(context, rhs, time, deadline));
        let met = match sides.await {
            ((Ok(lhs), _), (Ok(rhs), _)) => compare(parts, lhs, rhs).map_err(|error| error.message),
            ((Err(error), _), _) | (_, (Err(error), _)) => Err(error.told()?),
        };
        let has_values = met.is_ok();
        let empty = || "the expression has no element: its parts find each other in no label".to_owned();
        Ok((decide(parts, met, empty), has_values))
    }

    /// `missing` says of a threshold, by its number, what it lacks; and whether what reports and has no such series is as good
    /// as a zero.
    fn observed(&self, asked: Vec<Asked>, missing: &dyn Fn(usize, bool) -> Option<String>) -> Vec<Observation> {
        let mut observations = Vec::with_capacity(asked.len());
        let activities = self.metrics.thresholds.iter().zip(&self.activities);
        for (index, ((threshold, activity), asked)) in activities.zip(asked).enumerate() {
            match (&threshold.rule, asked) {
                (Rule::Holds(comparison), Asked::Comparison(mut decision, _)) => {
                    let holds = decision.verdict == ThresholdVerdict::Pass;
                    if let Some(why) = missing(index, holds).filter(|_| holds || decision.seen.is_empty()) {
                        (decision.verdict, decision.why) = (ThresholdVerdict::NoData, why);
                    }
                    observations.push(compared(threshold, comparison, decision));
                }
                (Rule::Silent(alert), _) => {
                    observations.push(alerted(threshold, alert, activity, missing(index, false)));
                }
                (Rule::Holds(_), Asked::Alert) => {}
            }
        }
        observations
    }

    /// Asks for the series of selectors, of each once; and for their things, where there are none.
    ///
    /// # Errors
    /// Why the server could not be asked.
    async fn look(
        &self,
        context: &Context<'_>,
        needs: impl Iterator<Item = &Need>,
        time: i64,
    ) -> Result<Found, AskError> {
        let wanted: Vec<&Wanted> = needs.flat_map(Need::wanted).collect();
        let mut known = HashSet::new();
        let whole = wanted.iter().map(|wanted| &wanted.whole);
        let whole: Vec<&Question> = whole.filter(|question| known.insert(&*question.query)).take(SELECTORS).collect();
        let mut found = self.look_for(context, &whole, time).await?;
        let things = wanted.iter().filter(|wanted| found.get(&wanted.whole.query) == Some(&Ok(false)));
        let things = things.filter_map(|wanted| wanted.thing.as_ref());
        let things: Vec<&Question> = things.filter(|question| known.insert(&*question.query)).collect();
        found.extend(self.look_for(context, &things, time).await?);
        Ok(found)
    }

    async fn look_for(&self, context: &Context<'_>, questions: &[&Question], time: i64) -> Result<Found, AskError> {
        let asked = questions.iter().map(async |question| {
            let found = match self.query(context, &question.query, time, context.deadline).await.0 {
                Ok(Value::Vector(elements)) => Ok(elements.iter().any(|element| element.value > 0.0)),
                Ok(_) => Err("the server answers a count that is not an instant vector".into()),
                Err(error) => Err(error.told()?),
            };
            Ok((question.query.clone(), found))
        });
        let found: Vec<Result<_, AskError>> = stream::iter(asked).buffered(AT_ONCE).collect().await;
        found.into_iter().collect()
    }

    async fn query(
        &self,
        context: &Context<'_>,
        expr: &str,
        time: i64,
        deadline: Instant,
    ) -> (Result<Value, QueryError>, u32) {
        let request = request(expr, time);
        let what = format!("POST {}/api/v1/query", self.address());
        let limits = context.policy.request;
        let attempt = async || answered(&self.client.ask(&request, limits, deadline).await?);
        let (result, attempts) = context.attempt_until(deadline, &what, attempt).await;
        let result =
            result.map_err(|error| QueryError::Unseen(error.about(&what).beside())).and_then(|mut response| {
                let mut known = self.warnings.borrow_mut();
                for warning in response.warnings.take().unwrap_or_default() {
                    if !known.contains(&warning) {
                        known.push(warning);
                    }
                }
                value(response, time).map_err(|error| QueryError::NoValue(format!("{what}: {error}")))
            });
        (result, attempts)
    }
}

/// A part of an expression, as it is written.
fn part<'s>(source: &'s str, expr: &Expr) -> &'s str {
    source.get(expr.span.clone()).unwrap_or_default()
}

/// Why it cannot be said that a server has the series of a selector. Of events, those of the thing are enough.
fn lack(found: &Found, wanted: &Wanted, is_event: bool) -> Option<String> {
    let Wanted { whole, thing } = wanted;
    let unknown = |why: &String| format!("{}, or it cannot be told: {why}", whole.lack);
    match found.get(&whole.query) {
        Some(Ok(true)) => None,
        Some(Err(why)) => Some(unknown(why)),
        None => Some(format!(
            "the thresholds read more than {SELECTORS} different selectors, and the server is asked for no more"
        )),
        Some(Ok(false)) => match thing.as_ref().filter(|_| is_event) {
            None if is_event => Some(format!("{}: what holds is what is written for none", whole.lack)),
            None => Some(whole.lack.clone()),
            Some(thing) => match found.get(&thing.query) {
                Some(Ok(true)) => None,
                Some(Err(why)) => Some(unknown(why)),
                Some(Ok(false)) | None => Some(format!("{}: what holds is what is written for none", thing.lack)),
            },
        },
    }
}

/// Asks a server one expression once, for the `query` command; with what the server warned of.
///
/// # Errors
/// Why there is no value.
pub(crate) async fn ask_prometheus(client: &Client, expr: &str, time: i64) -> Result<(Value, Vec<String>), String> {
    let request = request(expr, time);
    let limits = RequestLimits { time: Duration::from_secs(30), body: 64 * 1024 * 1024 };
    let what = format!("POST {}/api/v1/query", client.address().shown());
    let asked = client.ask(&request, limits, Instant::now() + limits.time).await;
    let answer = asked.map_err(|failure| format!("{what}: {failure}"))?;
    let mut response = answered(&answer).map_err(|error| format!("{what}: {}", error.cause()))?;
    let warnings = response.warnings.take().unwrap_or_default();
    Ok((value(response, time).map_err(|error| format!("{what}: {error}"))?, warnings))
}

/// The value in a Prometheus server's answer to an expression at a time, in milliseconds since the Unix epoch; with what the
/// server warned of.
///
/// # Errors
/// Why there is no value.
pub(crate) fn prometheus_value(answer: serde_json::Value, time: i64) -> Result<(Value, Vec<String>), String> {
    let read = serde_json::from_value::<Response>(answer);
    let mut response = read.map_err(|error| format!("the answer is not that of a Prometheus HTTP API ({error})"))?;
    let warnings = response.warnings.take().unwrap_or_default();
    Ok((value(response, time)?, warnings))
}

fn request(expr: &str, time: i64) -> Request {
    let body = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("query", expr)
        .append_pair("time", &format_time(time))
        .finish();
    Request::post("/api/v1/query", "application/x-www-form-urlencoded", body)
}

/// What a server answers to an expression: a value, or that it cannot evaluate it. Whatever else it answers says nothing of
/// what it was asked for.
fn answered(answer: &Answer) -> Result<Response, AskError> {
    let status = answer.status;
    if let Some(advice) = &answer.advice {
        return Err(AskError::answer(answer, format!("{status}: {}", advice.text)));
    }
    let body = answer.body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&answer.body);
    let read = serde_json::from_slice::<Response>(body);
    let failed = |response: &Response| response.status != "success";
    match read {
        Ok(response) if status == 200 && !failed(&response) => Ok(response),
        Ok(response) if matches!(status, 400 | 422) && failed(&response) => Ok(response),
        Ok(response) if failed(&response) => Err(AskError::answer(answer, format!("{status}: {}", refusal(&response)))),
        Err(error) if matches!(status, 200 | 400 | 422) => {
            let text =
                format!("{status}: the answer is not that of a Prometheus HTTP API ({error}): {}", answer.excerpt());
            Err(AskError::Permanent(text.into()))
        }
        _ => Err(AskError::answer(answer, format!("{status}, want 200: {}", answer.excerpt()))),
    }
}

fn refusal(response: &Response) -> String {
    let kind = response.error_type.as_ref().unwrap_or(&response.status);
    format!("{kind}: {}", response.error.as_deref().unwrap_or_default())
}

/// The value of an evaluation at a time.
fn value(response: Response, time: i64) -> Result<Value, String> {
    if response.status != "success" {
        return Err(refusal(&response));
    }
    if response.is_partial.as_ref().is_some_and(is_true) {
        return Err("the server answers from a part of its storage only (isPartial)".into());
    }
    #[expect(clippy::cast_precision_loss, reason = "milliseconds since the epoch are far below 2^53")]
    let asked = time as f64 / 1000.0;
    let number = |(at, text): (f64, String)| {
        if (at - asked).abs() > NEAR {
            let distance = text::duration(Duration::try_from_secs_f64((at - asked).abs().round()).unwrap_or_default());
            let way = if at < asked { "before" } else { "after" };
            return Err(format!("the server answers a value of {distance} {way} the time that it is asked for"));
        }
        parse_float(&text).ok_or_else(|| format!("the server answers {text:?}, which is not a number"))
    };
    let data = response.data.ok_or("the server answers no data")?;
    let malformed = |error: serde_json::Error| format!("the server's result is malformed: {error}");
    match &*data.result_type {
        "scalar" => Ok(Value::Scalar(number(serde_json::from_value(data.result).map_err(malformed)?)?)),
        "vector" => {
            let samples: Vec<Sample> = serde_json::from_value(data.result).map_err(malformed)?;
            let element = |sample: Sample| {
                let value = sample.value.ok_or("the server answers a native histogram, which has no limit to hold")?;
                Ok(Element { labels: Labels::new(sample.metric), value: number(value)? })
            };
            samples.into_iter().map(element).collect::<Result<_, String>>().map(Value::Vector)
        }
        other => Err(format!("the server answers a {other}, not an instant vector")),
    }
}

fn is_true(value: &serde_json::Value) -> bool {
    match value {
        serde_json::Value::Bool(is_true) => *is_true,
        serde_json::Value::Number(number) => number.as_f64() != Some(0.0),
        serde_json::Value::String(text) => !matches!(&*text.to_ascii_lowercase(), "" | "false" | "0" | "no"),
        serde_json::Value::Null => false,
        serde_json::Value::Array(_) | serde_json::Value::Object(_) => true,
    }
}
