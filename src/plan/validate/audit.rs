//! The keys of `audit`.

use std::time::Duration;

use super::Context;
use crate::outcome::Severity;
use crate::plan::file;
use crate::plan::written::{At, Key, List, Meant};
use crate::plan::{Audit, AuditRow, CheckSpec, Kind, OnNothing, code};

/// Values are sampled once a minute: a shorter span holds one sample, and a rate of nothing.
const SPANS: (Duration, Duration) = (Duration::from_mins(2), Duration::from_hours(1));

/// What is shown later than this is not shown.
const LONGEST_LAG: Duration = Duration::from_mins(30);

const MAX_REVISIONS: u32 = 1000;

const MAX_INTERVAL: Duration = Duration::from_mins(10);

/// Takes the keys that every row has out of those of one.
macro_rules! row {
    ($name:literal, $keys:expr, $context:ident) => {{
        let keys = $keys;
        let place = keys.place();
        let keys = keys.get();
        let row = keys.as_ref().and_then(|keys| {
            let (enabled, severity, on_no_data) = (&keys.enabled, &keys.severity, &keys.on_no_data);
            row($name, place, enabled, severity, on_no_data, $context)
        });
        (row, keys)
    }};
}

/// Checks the keys. `own_metrics` is whether the file has metrics of its own, so that the default's families are not its.
pub(super) fn audit(
    keys: Key<file::Audit>,
    metrics: Option<&CheckSpec>,
    own_metrics: bool,
    context: &mut Context<'_, '_>,
) -> Option<Audit> {
    let keys = keys.get()?;
    let span = within(&keys.span, "audit.span", SPANS, context);
    let lag = within(&keys.lag, "audit.lag", (Duration::ZERO, LONGEST_LAG), context);
    let (traffic, _) = row!("traffic", keys.traffic, context);
    let (pin, _) = row!("pin", keys.pin, context);
    let (tags, tag_keys) = row!("tags", keys.tags, context);
    let (services, _) = row!("services", keys.services, context);
    let (revisions, revision_keys) = row!("revisions", keys.revisions, context);
    let (health, _) = row!("health", keys.health, context);
    let (exposed, exposed_keys) = row!("metrics", keys.metrics, context);
    let (logs, _) = row!("logs", keys.logs, context);
    let (new_errors, _) = row!("new-errors", keys.new_errors, context);
    let (errors, error_keys) = row!("errors", keys.errors, context);
    let (latency, latency_keys) = row!("latency", keys.latency, context);
    let (memory, memory_keys) = row!("memory", keys.memory, context);
    let (cold_start, cold_start_keys) = row!("cold-start", keys.cold_start, context);
    let (startup_probe, _) = row!("startup-probe", keys.startup_probe, context);
    let (record, _) = row!("record", keys.record, context);
    let max_revisions = revision_keys.and_then(|keys| revisions_of(&keys.max, context));
    let errors_limit = error_keys.and_then(|keys| share("audit.errors.limit", &keys.limit, context));
    let memory_limit = memory_keys.and_then(|keys| share("audit.memory.limit", &keys.limit, context));
    let exposed_keys = exposed_keys?;
    let interval =
        within(&exposed_keys.interval, "audit.metrics.interval", (Duration::from_millis(1), MAX_INTERVAL), context);
    let families = families(exposed_keys.families, metrics, own_metrics);
    let moving = names(exposed_keys.moving);
    Some(Audit {
        span: span?,
        lag: lag?,
        min_requests: keys.min_requests.get()?,
        traffic: traffic?,
        pin: pin?,
        tags: tags?,
        kept_tags: names(tag_keys?.keep)?,
        services: services?,
        revisions: revisions?,
        max_revisions: max_revisions?,
        health: health?,
        metrics: exposed?,
        families: families?,
        moving: moving?,
        interval: interval?,
        logs: logs?,
        new_errors: new_errors?,
        errors: errors?,
        errors_limit: errors_limit?,
        latency: latency?,
        latency_limit: latency_keys?.limit.get()?.meant,
        memory: memory?,
        memory_limit: memory_limit?,
        cold_start: cold_start?,
        cold_start_limit: cold_start_keys?.limit.get()?.meant,
        startup_probe: startup_probe?,
        record: record?,
    })
}

fn row(
    name: &'static str,
    place: Option<crate::outcome::Place>,
    enabled: &Key<bool>,
    severity: &Key<Severity>,
    on_no_data: &Key<OnNothing>,
    context: &mut Context<'_, '_>,
) -> Option<AuditRow> {
    let place = context.mistakes.source(place);
    Some(AuditRow {
        name,
        enabled: enabled.at()?.value,
        severity: severity.at()?.value,
        on_no_data: on_no_data.at()?.value,
        place,
    })
}

/// A time that is not too short or too long for what it is.
fn within(
    key: &Key<Meant<Duration>>,
    what: &str,
    (least, most): (Duration, Duration),
    context: &mut Context<'_, '_>,
) -> Option<Duration> {
    let At { value, place, .. } = key.at()?;
    if (least..=most).contains(&value.meant) {
        return Some(value.meant);
    }
    let shown = |duration| humantime::format_duration(duration).to_string();
    let wanted = if least.is_zero() {
        format!("at most {}", shown(most))
    } else {
        format!("{} to {}", shown(least), shown(most))
    };
    context.mistakes.add(code::DURATION, *place, format!("{what} is {}; want {wanted}", value.written));
    None
}

fn share(what: &str, key: &Key<f64>, context: &mut Context<'_, '_>) -> Option<f64> {
    let At { value, place, .. } = key.at()?;
    if (0.0..=1.0).contains(value) {
        return Some(*value);
    }
    context.mistakes.add(code::NUMBER, *place, format!("{what} is {value}; want a share from 0 to 1, such as 0.01"));
    None
}

fn revisions_of(key: &Key<u32>, context: &mut Context<'_, '_>) -> Option<usize> {
    let At { value, place, .. } = key.at()?;
    if !(1..=MAX_REVISIONS).contains(value) {
        let message = format!("audit.revisions.max is {value}; want 1 to {MAX_REVISIONS}");
        context.mistakes.add(code::NUMBER, *place, message);
        return None;
    }
    usize::try_from(*value).ok()
}

fn names(key: Key<List<String>>) -> Option<Vec<String>> {
    let List { items, whole } = key.get()?;
    whole.then(|| items.into_iter().map(|item| item.value).collect())
}

/// The families that must be exposed.
fn families(key: Key<Option<List<String>>>, metrics: Option<&CheckSpec>, own_metrics: bool) -> Option<Vec<String>> {
    let is_own = key.place().is_some();
    let required = || match &metrics?.kind {
        Kind::Metrics(metrics) => Some(metrics.require.clone()),
        Kind::Ready(_) | Kind::Http(_) | Kind::Smoke(_) | Kind::Traffic(_) => None,
    };
    match key.get()? {
        Some(_) if own_metrics && !is_own => required(),
        Some(List { items, whole }) => whole.then(|| items.into_iter().map(|item| item.value).collect()),
        None => required(),
    }
}
