//! What Cloud Monitoring counted of the revision: errors, latency, memory, cold starts; each with a guard against too little.

use std::time::{Duration, UNIX_EPOCH};

use promeval::Value;

use super::Audit;
use super::ask::InVain;
use super::row::Seen;
use super::subject::Subject;
use crate::check::prometheus_value;
use crate::outcome::{ElementSeen, Observation, Seen as Kind, ThresholdSeen, ThresholdVerdict};
use crate::plan;
use crate::plan::AuditRow;
use crate::text;

const MONITORING_VIEWER: &str = "roles/monitoring.viewer";

/// Starts are rarer than requests: they are looked for in so many spans, up to the end of the one that is looked at.
const SPANS_OF_STARTS: u32 = 3;

/// One row: what is asked, what it is called, and what it must not exceed.
struct Limit<'a> {
    row: &'a AuditRow,
    expression: String,
    /// As the API has it.
    limit: f64,
    /// How a value is told.
    shown: fn(f64) -> String,
    /// Whether there may be nothing to be counted.
    is_rare: bool,
}

/// Why there is no value that says anything.
#[derive(Clone, Debug)]
pub(super) enum NoValue {
    /// There is nothing to be judged.
    Nothing(String),
    Unseen(InVain),
}

impl From<InVain> for NoValue {
    fn from(why: InVain) -> Self {
        Self::Unseen(why)
    }
}

impl From<NoValue> for Seen {
    fn from(why: NoValue) -> Self {
        match why {
            NoValue::Nothing(why) => Self::nothing(why),
            NoValue::Unseen(why) => Self::none(why.to_string()),
        }
    }
}

impl Audit<'_> {
    /// How many requests the revision served in the span, when the values are there.
    ///
    /// # Errors
    /// Why that could not be seen.
    pub(super) async fn requests(&self, subject: &Subject, checklist: &plan::Audit) -> Result<f64, NoValue> {
        let series = self.series(subject)?;
        let time = self.evaluated_at(subject).await?;
        let expression =
            format!("sum(increase(run_googleapis_com:request_count{{{series}}}[{}]))", seconds(checklist.span));
        let requests = self.value(&expression, time).await?;
        let requests =
            requests.ok_or_else(|| NoValue::Nothing("Cloud Monitoring counts no request of the span".into()))?;
        if !requests.is_finite() || requests < f64::from(checklist.min_requests) {
            return Err(NoValue::Nothing(format!(
                "{} requests in {}, want at least {}: so few say nothing",
                text::number(requests),
                text::duration(checklist.span),
                checklist.min_requests
            )));
        }
        Ok(requests)
    }

    pub(super) async fn error_ratio(
        &self,
        subject: &Subject,
        requests: impl Future<Output = Result<f64, NoValue>>,
    ) -> Seen {
        self.guarded(subject, requests, |series, span| {
            let count =
                |more: &str| format!("sum(increase(run_googleapis_com:request_count{{{series}{more}}}[{span}]))");
            Limit {
                row: &self.plan.audit.errors,
                expression: format!("({} or vector(0)) / {}", count(",response_code_class=\"5xx\""), count("")),
                limit: self.plan.audit.errors_limit,
                shown: percent,
                is_rare: false,
            }
        })
        .await
    }

    pub(super) async fn latency(
        &self,
        subject: &Subject,
        requests: impl Future<Output = Result<f64, NoValue>>,
    ) -> Seen {
        self.guarded(subject, requests, |series, span| Limit {
            row: &self.plan.audit.latency,
            expression: p95("request_latencies", series, span),
            limit: self.plan.audit.latency_limit.as_secs_f64() * 1000.0,
            shown: milliseconds,
            is_rare: false,
        })
        .await
    }

    pub(super) async fn memory(&self, subject: &Subject, requests: impl Future<Output = Result<f64, NoValue>>) -> Seen {
        self.guarded(subject, requests, |series, span| Limit {
            row: &self.plan.audit.memory,
            expression: p95("container_memory_utilizations", series, span),
            limit: self.plan.audit.memory_limit,
            shown: percent,
            is_rare: false,
        })
        .await
    }

    /// How long instances took to start. Often none did.
    pub(super) async fn cold_start(&self, subject: &Subject) -> Seen {
        let checklist = &self.plan.audit;
        let asked = async {
            let series = self.series(subject)?;
            let time = self.evaluated_at(subject).await?;
            let span = seconds(checklist.span * SPANS_OF_STARTS);
            let limit = Limit {
                row: &checklist.cold_start,
                expression: p95("container_startup_latencies", &series, &span),
                limit: checklist.cold_start_limit.as_secs_f64() * 1000.0,
                shown: milliseconds,
                is_rare: true,
            };
            Ok::<_, InVain>(self.held(limit, time, "").await)
        };
        asked.await.unwrap_or_else(|why| Seen::none(why.to_string()))
    }

    /// A row that says nothing of too few requests.
    async fn guarded<'l>(
        &'l self,
        subject: &Subject,
        requests: impl Future<Output = Result<f64, NoValue>>,
        limit: impl FnOnce(&str, &str) -> Limit<'l>,
    ) -> Seen {
        let asked = async {
            let requests = requests.await?;
            let series = self.series(subject)?;
            let time = self.evaluated_at(subject).await?;
            let of = format!(" (of {} requests)", text::number(requests));
            Ok::<_, NoValue>(self.held(limit(&series, &seconds(self.plan.audit.span)), time, &of).await)
        };
        asked.await.unwrap_or_else(Seen::from)
    }

    /// Holds a value against its limit.
    async fn held(&self, Limit { row, expression, limit, shown, is_rare }: Limit<'_>, time: i64, of: &str) -> Seen {
        let wanted = shown(limit);
        let value = self.value(&expression, time).await;
        let (verdict, said) = match &value {
            Err(why) => (ThresholdVerdict::NoData, why.to_string()),
            Ok(None) => (ThresholdVerdict::NoData, "Cloud Monitoring has no value".to_owned()),
            Ok(Some(value)) if value.is_nan() => {
                (ThresholdVerdict::NoData, "the value is NaN: there is nothing that it could be computed of".to_owned())
            }
            Ok(Some(value)) if *value < 0.0 => (
                ThresholdVerdict::NoData,
                format!("the value is {}, and nothing that is counted is below 0", text::number(*value)),
            ),
            Ok(Some(value)) => {
                let verdict = if *value <= limit { ThresholdVerdict::Pass } else { ThresholdVerdict::Fail };
                (verdict, format!("{}, want <= {wanted}{of}", shown(*value)))
            }
        };
        // Of what is rare there may be nothing; of requests that were counted there is something.
        let is_nothing = is_rare && value.as_ref().is_ok_and(|value| value.is_none_or(f64::is_nan));
        let value = value.ok().flatten().filter(|value| *value >= 0.0);
        let seen = ThresholdSeen {
            expression: format!("{expression} <= {limit}"),
            verdict,
            severity: row.severity,
            compared: usize::from(value.is_some()),
            elements: value
                .map(|value| ElementSeen { labels: Vec::new(), value, limit: Some(limit) })
                .into_iter()
                .collect(),
            courses: Vec::new(),
        };
        let answered = match verdict {
            ThresholdVerdict::Pass => Seen::good(said.clone()),
            ThresholdVerdict::Fail => Seen::bad(said.clone()),
            ThresholdVerdict::NoData if is_nothing => Seen::nothing(said.clone()),
            ThresholdVerdict::NoData => Seen::none(said.clone()),
        };
        let status = answered.status(row);
        let observation = Observation {
            expected: Some(format!("<= {wanted}")),
            actual: value.map(shown),
            is_quoted: true,
            ..Observation::new(Kind::Threshold(seen), row.name, status, said)
        };
        answered.seeing(vec![observation])
    }

    /// One value at a time; nothing where the answer is empty.
    ///
    /// # Errors
    /// Why there is none that says anything: also an answer with a warning is of a part only.
    async fn value(&self, expression: &str, time: i64) -> Result<Option<f64>, InVain> {
        let ask = async |deadline| self.apis.monitoring.promql(&self.names.project, expression, time, deadline).await;
        let answer = self.ask(MONITORING_VIEWER, ask).await?;
        let said = |why: String| InVain::because(format!("Cloud Monitoring: {why}"));
        let (value, warnings) = prometheus_value(answer, time).map_err(said)?;
        if !warnings.is_empty() {
            return Err(said(format!("the answer comes with a warning: {}", text::joined(&warnings, 3, "; "))));
        }
        match value {
            Value::Scalar(value) => Ok(Some(value)),
            Value::Vector(elements) if elements.len() > 1 => {
                Err(said(format!("{} values, where one was asked for", elements.len())))
            }
            Value::Vector(elements) => Ok(elements.first().map(|element| element.value)),
            Value::Matrix(_) | Value::String(_) => Err(said("the answer is no instant value".into())),
        }
    }

    /// When the values are evaluated: at the end of the span, in milliseconds since the Unix epoch. It is waited for until they
    /// are there.
    async fn evaluated_at(&self, subject: &Subject) -> Result<i64, InVain> {
        let (since, _) = subject.since.as_ref().map_err(Clone::clone)?;
        let end = *since + self.plan.audit.span;
        self.until(end + self.plan.audit.lag, "the values of the span").await.map_err(InVain::because)?;
        let at = end.duration_since(UNIX_EPOCH).map(|at| at.as_millis()).unwrap_or_default();
        i64::try_from(at).map_err(|_| InVain::because("the end of the span is no time"))
    }

    /// The labels of the revision's series.
    fn series(&self, subject: &Subject) -> Result<String, InVain> {
        let revision = subject.revision.as_ref().map_err(Clone::clone)?;
        let (service, region) = (&self.names.service, &self.names.region);
        Ok(format!(
            "monitored_resource=\"cloud_run_revision\",service_name=\"{service}\",location=\"{region}\",revision_name=\"{revision}\""
        ))
    }
}

fn p95(metric: &str, series: &str, span: &str) -> String {
    format!("histogram_quantile(0.95, sum by (le) (increase(run_googleapis_com:{metric}_bucket{{{series}}}[{span}])))")
}

/// As PromQL writes a duration.
fn seconds(span: Duration) -> String {
    format!("{}s", span.as_secs())
}

fn percent(share: f64) -> String {
    format!("{} %", text::number(share * 100.0))
}

fn milliseconds(value: f64) -> String {
    match Duration::try_from_secs_f64(value / 1000.0) {
        Ok(time) => text::duration(time),
        Err(_) => format!("{} ms", text::number(value)),
    }
}
