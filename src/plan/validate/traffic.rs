//! The keys of `traffic`.

use std::sync::Arc;
use std::time::Duration;

use super::{Context, http, thresholds};
use promeval::promql::ast::Type;
use promeval::promql::{Error, parse};

use crate::http::{Request, RequestLimits, RetryPolicy};
use crate::outcome::Place;
use crate::plan::file;
use crate::plan::traffic::extension;
use crate::plan::written::{At, Key, List, Meant};
use crate::plan::{
    Baseline, CheckPolicy, CheckSpec, Compare, Kind, Metrics, MetricsSource, Stage, Threshold, Traffic,
    TrafficCounters, TrafficLimits, TrafficRequest, Window, code,
};

/// The most requests a second: beyond it the gate itself would be what is measured.
const MAX_RATE: f64 = 1000.0;

/// The most requests in all, however long the traffic is.
const MAX_REQUESTS: f64 = 200_000.0;

/// How often what was measured becomes a sample of its series.
const SAMPLED: Duration = Duration::from_secs(5);

/// Checks the keys. `baseline` is that of the metrics, for where the traffic has none of its own.
pub(super) fn check(
    keys: Key<file::Traffic>,
    baseline: Key<Option<Meant<Baseline>>>,
    context: &mut Context<'_, '_>,
) -> Option<CheckSpec> {
    let place = context.mistakes.source(keys.place());
    let mut keys = keys.get()?;
    let enabled = keys.enabled.at().is_some_and(|enabled| enabled.value) || context.input.traffic;
    let requests = requests(std::mem::replace(&mut keys.requests, Key::Absent), context);
    let thresholds = thresholds::of_file(std::mem::replace(&mut keys.thresholds, Key::Absent), context);
    let times = times(&keys, enabled, context);
    let limits = limits(keys.limits, context);
    let max_in_flight = in_flight(&keys.max_in_flight, context);
    let compare = compare(keys.compare.get()?, keys.baseline, baseline, context);
    if let (Some(requests), Some(times), true) = (&requests, &times, enabled) {
        are_asked(
            requests,
            times,
            !matches!(compare, Some(Compare::Off)),
            place.as_ref().map(|source| source.place),
            context,
        );
    }
    if let Some(thresholds) = &thresholds {
        names_are_known(thresholds, context);
    }
    let counters = counters(keys.counters, context);
    let times = times?;
    let request = RequestLimits { time: keys.request_timeout.get()?.meant, body: keys.max_body.get()?.meant.0 };
    // Besides the traffic itself: the last answers, and what is computed of them.
    let limit = times.warm_up + times.duration + extension(times.duration) + request.time + Duration::from_secs(5);
    // Nothing is tried again: a request that fails is what is measured.
    let retry = RetryPolicy { retries: Some(0), initial: Duration::from_millis(250), max: Duration::from_secs(5) };
    let policy = CheckPolicy { enabled, severity: keys.severity.get()?, limit, request, retry };
    let window = Window { length: times.duration, interval: SAMPLED, fail_fast: false, max_failed_scrapes: 0 };
    let judged = Metrics {
        request: Request::get("/"),
        says_path: false,
        require: Vec::new(),
        thresholds: thresholds?,
        rules: Vec::new(),
        window: Some(window),
        labels: Vec::new(),
        honor_timestamps: false,
        instance: String::new(),
        baseline: None,
        source: MetricsSource::Scrape,
    };
    let traffic = Traffic {
        requests: requests?,
        rate: times.rate,
        duration: times.duration,
        warm_up: times.warm_up,
        max_in_flight: max_in_flight?,
        max_lag: keys.max_lag.get()?.meant,
        max_bytes: keys.max_bytes.get()?.meant.0,
        compare: compare?,
        min_difference: keys.min_difference.get()?.meant,
        counters: counters?,
        limits: limits?,
        judged: Arc::new(judged),
        on_unproven: keys.on_unproven.get()?,
        seed: keys.seed.present_or_null()?.map(|seed| u64::from(seed.value)),
    };
    let kind = Kind::Traffic(Box::new(traffic));
    Some(CheckSpec { name: "traffic".into(), policy, stage: Stage::Measured, kind, place })
}

fn requests(keys: Key<List<file::TrafficRequest>>, context: &mut Context<'_, '_>) -> Option<Vec<TrafficRequest>> {
    let place = keys.place();
    let List { items, whole } = keys.get()?;
    if items.is_empty() && whole {
        context.conflict(place, "traffic.requests is empty, so that nothing would be asked; name at least one request");
        return None;
    }
    let requests: Vec<Option<TrafficRequest>> = items.into_iter().map(|item| request(item, context)).collect();
    requests.into_iter().collect::<Option<_>>().filter(|_| whole)
}

fn request(
    At { value: keys, place, .. }: At<file::TrafficRequest>,
    context: &mut Context<'_, '_>,
) -> Option<TrafficRequest> {
    let weight = match keys.weight {
        Key::Absent => Some(1.0),
        Key::Wrong => None,
        Key::Given(weight) if weight.value > 0.0 && weight.value <= 1e6 => Some(weight.value),
        Key::Given(weight) => {
            let message = format!(
                "weight is {}; want more than 0 and at most 1000000: a request that is never sent proves nothing",
                weight.value
            );
            context.mistakes.add(code::NUMBER, weight.place, message);
            None
        }
    };
    let headers = http::headers(keys.headers, context);
    let expect = match keys.expect {
        Key::Absent => Some(None),
        expect => http::expect(expect, context).map(Some),
    };
    let body = keys.body.or_absent()?;
    let stated = keys.method.at().map(|method| (method.value.meant.0.clone(), method.place));
    if keys.method.is_wrong() {
        return None;
    }
    let repeatable = keys.repeatable.or_absent()?.unwrap_or(false);
    if body.is_some() && stated.is_none() {
        context.conflict(place, "a request of traffic has a body and no method; state the method");
        return None;
    }
    if let Some((method, place)) = stated.as_ref().filter(|(method, _)| method != "GET" && method != "HEAD")
        && !repeatable
    {
        let message = format!(
            "traffic would send {method} again and again, to both revisions and with all its effects; where that does no harm, say \
             repeatable: true"
        );
        context.conflict(*place, message);
        return None;
    }
    let method = stated.map_or_else(|| "GET".to_owned(), |(method, _)| method);
    let request =
        Request { method, path: keys.path.0?.value.meant.0, headers: headers?, body: body.map(String::into_bytes) };
    Some(TrafficRequest { request, weight: weight?, expect: expect? })
}

/// A request that is asked once or never shows nothing.
fn are_asked(
    requests: &[TrafficRequest],
    times: &Times,
    is_paired: bool,
    place: Option<Place>,
    context: &mut Context<'_, '_>,
) {
    const LEAST: f64 = 3.0;
    let whole: f64 = requests.iter().map(|request| request.weight).sum();
    let each = times.rate * times.duration.as_secs_f64() / if is_paired { 2.0 } else { 1.0 };
    for asked in requests {
        let often = each * asked.weight / whole;
        if often < LEAST {
            let message = format!(
                "traffic asks {} {} {often:.1} times of each revision, too seldom to show anything; give it more weight, or raise rate or \
                 duration",
                asked.request.method, asked.request.path
            );
            context.conflict(place, message);
        }
    }
}

/// What is measured has these names and no others: another one is a slip.
fn names_are_known(thresholds: &[Threshold], context: &mut Context<'_, '_>) {
    const NAMES: [&str; 6] = [
        "canary_gate_requests_total",
        "canary_gate_request_duration_seconds",
        "canary_gate_request_duration_seconds_bucket",
        "canary_gate_request_duration_seconds_sum",
        "canary_gate_request_duration_seconds_count",
        "canary_gate_first_answer_seconds",
    ];
    for threshold in thresholds {
        for selector in threshold.rule.expr().selectors() {
            if !NAMES.iter().any(|name| selector.wants(name)) {
                let asked = selector.metric_name().unwrap_or("such a name");
                let message =
                    format!("{}: traffic measures no {asked}; there are {}", threshold.label(), NAMES.join(", "));
                context.mistakes.add(code::NAME, threshold.place.as_ref().map(|source| source.place), message);
            }
        }
    }
}

struct Times {
    rate: f64,
    duration: Duration,
    warm_up: Duration,
}

fn times(keys: &file::Traffic, enabled: bool, context: &mut Context<'_, '_>) -> Option<Times> {
    let rate = keys.rate.at()?;
    if rate.value.meant.0 > MAX_RATE {
        let message = format!("rate is {}; want at most {MAX_RATE}/s", rate.value.written);
        context.mistakes.add(code::NUMBER, rate.place, message);
        return None;
    }
    let duration = keys.duration.at()?;
    let warm_up = keys.warm_up.at()?.value.as_ref().map_or(Duration::ZERO, |warm_up| warm_up.meant);
    let (per_second, length) = (rate.value.meant.0, duration.value.meant);
    let all = per_second * (warm_up + length + extension(length)).as_secs_f64();
    if enabled && all > MAX_REQUESTS {
        let message = format!(
            "{} for {} are {all:.0} requests with the warm-up and what may be added; want at most {MAX_REQUESTS}",
            rate.value.written, duration.value.written
        );
        context.mistakes.add(code::NUMBER, duration.place.or(rate.place), message);
        return None;
    }
    if enabled && per_second * length.as_secs_f64() < 1.0 {
        let message = format!(
            "{} for {} is not one request: nothing would be measured",
            rate.value.written, duration.value.written
        );
        context.conflict(duration.place.or(rate.place), message);
        return None;
    }
    Some(Times { rate: per_second, duration: length, warm_up })
}

fn limits(keys: Key<file::Limits>, context: &mut Context<'_, '_>) -> Option<TrafficLimits> {
    let keys = keys.get()?;
    let errors = keys.errors.present_or_null()?;
    if let Some(errors) = &errors
        && !(errors.value > 0.0 && errors.value < 1.0)
    {
        let message = format!(
            "limits.errors is {}; want a share between 0 and 1, such as 0.01 (no number of requests proves that none ever fails)",
            errors.value
        );
        context.mistakes.add(code::NUMBER, errors.place, message);
        return None;
    }
    Some(TrafficLimits {
        errors: errors.map(|errors| errors.value),
        p95: keys.p95.get()?.map(|p95| p95.meant),
        first_answer: keys.first_answer.get()?.map(|first| first.meant),
    })
}

fn counters(keys: Key<Option<file::Counters>>, context: &mut Context<'_, '_>) -> Option<Option<TrafficCounters>> {
    let Some(At { value: keys, .. }) = keys.present_or_null()? else { return Some(None) };
    let mut expression = |written: Option<At<String>>| {
        let written = written?;
        let parsed = parse(written.value.trim()).and_then(|expr| match expr.value_type() {
            Type::Vector | Type::Scalar => Ok(expr),
            found => Err(Error::new(format!("a count is an instant vector, and this is {found}"), expr.span)),
        });
        parsed.map_err(|error| context.mistakes.expression(&written, &error)).ok()
    };
    let (requests, errors) = (expression(keys.requests.0), expression(keys.errors.0));
    let request = Request::get(keys.path.0?.value.meant.0);
    Some(Some(TrafficCounters { request, requests: requests?, errors: errors? }))
}

fn in_flight(key: &Key<u32>, context: &mut Context<'_, '_>) -> Option<usize> {
    let number = key.at()?;
    if !(2..=1000).contains(&number.value) {
        let message = format!("max_in_flight is {}; want 2 to 1000", number.value);
        context.mistakes.add(code::NUMBER, number.place, message);
        return None;
    }
    usize::try_from(number.value).ok()
}

fn compare(
    written: file::Compare,
    own: Key<Option<Meant<Baseline>>>,
    of_metrics: Key<Option<Meant<Baseline>>>,
    context: &mut Context<'_, '_>,
) -> Option<Compare> {
    let own = own.present_or_null()?;
    if let (Some(own), file::Compare::Off) = (&own, written) {
        context.conflict(own.place, "traffic.baseline is given, and compare: off asks the canary alone");
        return None;
    }
    let baseline = own.or(of_metrics.present()).map(|baseline| baseline.value.meant);
    Some(match written {
        file::Compare::Off => Compare::Off,
        file::Compare::Auto => Compare::Auto(baseline),
        file::Compare::On => Compare::On(baseline),
    })
}
