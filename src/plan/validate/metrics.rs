//! The keys of `metrics`.

use std::sync::Arc;
use std::time::Duration;

use super::{Context, http, policy, source, thresholds};
use crate::http::Request;
use crate::outcome::Severity;
use crate::plan::meaning::duration;
use crate::plan::written::{At, Key, Map, Meant};
use crate::plan::{CheckPolicy, CheckSpec, Kind, Metrics, RuleStep, Stage, Threshold, Window, code, file};

pub(super) fn check(keys: Key<file::Metrics>, context: &mut Context<'_, '_>) -> Option<CheckSpec> {
    let place = context.mistakes.source(keys.place());
    let mut keys = keys.get()?;
    let own_limit = keys.timeout.place().is_some();
    let (own_require, own_thresholds) = (keys.require.place().is_some(), keys.thresholds.place().is_some());
    let judged = judged(&mut keys, context);
    let has_baseline = keys.baseline.at().is_some_and(|baseline| baseline.value.is_some());
    let labels = labels(std::mem::replace(&mut keys.labels, Key::Absent), has_baseline, context);
    let headers = http::headers(keys.headers, context);
    let policy = policy::of(policy::keys!(keys, severity: keys.severity, retries: Key::Absent), context);
    let written = WindowKeys {
        // A limit that the file states is meant for all of the check; the default's was made for one scrape.
        has_own_limit: own_limit,
        length: keys.window,
        interval: keys.interval,
        fail_fast: keys.fail_fast,
        max_failed_scrapes: keys.max_failed_scrapes,
    };
    let windowed = window(written, policy, context);
    let origin = source::Keys { source: &keys.source, url: keys.url, token: keys.token, baseline: &keys.baseline };
    let source = source::of(origin, context);
    let on_command_line = !context.input.thresholds.is_empty() || !context.input.warnings.is_empty();
    let (policy, window) = windowed?;
    if !policy.enabled && on_command_line {
        context.conflict(None, "--threshold and --warn are given, but the checks file switches metrics off");
    }
    let (thresholds, rules) = judged?;
    let read = thresholds::names_of_blocking(&thresholds, &rules);
    let flags: Vec<Threshold> = thresholds
        .iter()
        .filter(|threshold| context.input.thresholds.iter().any(|flag| flag.trim() == threshold.rule.source()))
        .cloned()
        .collect();
    let of_flags = on_command_line.then(|| thresholds::names_of_blocking(&flags, &rules));
    let require = match keys.require.get()? {
        // What the embedded default requires belongs to its own thresholds.
        None => read,
        Some(_) if !own_require && own_thresholds => read,
        Some(names) => {
            let mut all: Vec<String> = names.items.into_iter().map(|name| name.value).collect();
            // What a flag reads is not known to the file; an empty list says that nothing is required.
            let added = if own_require { of_flags.filter(|_| !all.is_empty()).unwrap_or_default() } else { read };
            let added: Vec<String> = added.into_iter().filter(|name| !all.contains(name)).collect();
            all.extend(added);
            all
        }
    };
    let says_path = keys.path.place().is_some();
    let request = Request { headers: headers?, ..Request::get(keys.path.get()?.meant.0) };
    let metrics = Metrics {
        request,
        says_path,
        require,
        thresholds,
        rules,
        window,
        labels: labels?,
        honor_timestamps: keys.honor_timestamps.get()?,
        instance: keys.instance.get()?,
        baseline: keys.baseline.get()?.map(|baseline| baseline.meant),
        source: source?,
    };
    let kind = Kind::Metrics(Arc::new(metrics));
    Some(CheckSpec { name: "metrics".into(), policy, stage: Stage::SideBySide, kind, place })
}

/// The thresholds, wherever they come from, and the rules in the order of evaluation.
fn judged(keys: &mut file::Metrics, context: &mut Context<'_, '_>) -> Option<(Vec<Threshold>, Vec<RuleStep>)> {
    let take = |key: &mut Key<_>| std::mem::replace(key, Key::Absent);
    let written = thresholds::of_file(take(&mut keys.thresholds), context);
    let input = context.input;
    let blocking = thresholds::of_flag("--threshold", &input.thresholds, Severity::Block, context);
    let warning = thresholds::of_flag("--warn", &input.warnings, Severity::Warn, context);
    let known = written.map(|mut all| {
        all.extend(blocking);
        all.extend(warning);
        all
    });
    let severities = std::mem::replace(&mut keys.severities, Key::Absent);
    let ruled = match std::mem::replace(&mut keys.rules, Key::Absent).present_or_null()? {
        Some(rules) => thresholds::of_rules(&rules, severities, known.as_deref(), context),
        None => Some((Vec::new(), Vec::new())),
    };
    let (alerts, steps) = ruled?;
    let mut all = known?;
    let before = all.len();
    all.extend(alerts);
    let placed = |step: RuleStep| match step {
        RuleStep::Alert(index) => RuleStep::Alert(before + index),
        RuleStep::Record(_) => step,
    };
    Some((all, steps.into_iter().map(placed).collect()))
}

/// The labels of targets: any name but the metric's.
fn labels(keys: Key<Map<String>>, has_baseline: bool, context: &mut Context<'_, '_>) -> Option<Vec<(String, String)>> {
    let mut labels = Vec::new();
    for (name, value) in keys.or_absent()?.unwrap_or_default().0 {
        if name.is_empty() || name == "__name__" {
            let message = format!("{name:?} is not a label that a series can be given");
            context.mistakes.add(code::NAME, value.place, message);
        }
        if name == "target" && has_baseline {
            context.conflict(value.place, "beside a baseline the label target says which revision a series is of");
        }
        labels.push((name, value.value));
    }
    Some(labels)
}

/// A scrape takes its time, however near the canary is.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(100);

struct WindowKeys {
    has_own_limit: bool,
    length: Key<Option<Meant<Duration>>>,
    interval: Key<Meant<Duration>>,
    fail_fast: Key<bool>,
    max_failed_scrapes: Key<u32>,
}

/// The window, and the policy with the time that it takes.
fn window(
    keys: WindowKeys,
    policy: Option<CheckPolicy>,
    context: &mut Context<'_, '_>,
) -> Option<(CheckPolicy, Option<Window>)> {
    let mut added = Duration::ZERO;
    let length = match &context.input.window {
        None => {
            let length = keys.length.present_or_null();
            if let (Some(Some(length)), false) = (&length, keys.has_own_limit) {
                added = length.value.meant;
            }
            length
        }
        Some(written) => match duration(written) {
            Ok(meant) => {
                // The limit of the file was made for another window, or for none: this one is allowed its own time on top.
                added = meant;
                Some(Some(At::nowhere(Meant { written: written.clone(), meant })))
            }
            Err(message) => {
                context.mistakes.add(code::DURATION, None, format!("--window: {message}"));
                None
            }
        },
    };
    let (length, interval) = (length?, keys.interval.into_at()?);
    let policy = policy.map(|policy| CheckPolicy { limit: policy.limit + added, ..policy });
    let Some(length) = length else { return Some((policy?, None)) };
    let (window, step) = (&length.value, &interval.value);
    if let Some(limit) = policy.as_ref().map(|policy| policy.limit).filter(|limit| window.meant >= *limit) {
        let message = format!(
            "metrics.window ({}) does not fit into metrics.timeout ({}), which also covers the last scrape; raise the timeout",
            window.written,
            humantime::format_duration(limit)
        );
        context.conflict(length.place, message);
    }
    if step.meant < SHORTEST_INTERVAL {
        let message = format!(
            "metrics.interval ({}) is shorter than {}, in which no scrape can be made",
            step.written,
            humantime::format_duration(SHORTEST_INTERVAL)
        );
        context.conflict(interval.place.or(length.place), message);
    }
    if step.meant > window.meant {
        let message = format!("metrics.interval ({}) is longer than metrics.window ({})", step.written, window.written);
        context.conflict(interval.place.or(length.place), message);
    }
    let window = Window {
        length: window.meant,
        interval: step.meant,
        fail_fast: keys.fail_fast.get()?,
        max_failed_scrapes: keys.max_failed_scrapes.get()?,
    };
    Some((policy?, Some(window)))
}
