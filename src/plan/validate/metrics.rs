//! The keys of `metrics`: thresholds, rules files, windows, and where the values come from.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use super::{Limits, duration_at, fail, flag, headers, path, policy, required};
use crate::http::{Address, Request};
use crate::outcome::{Diagnostic, Severity};
use crate::plan::file::{self, At, Text};
use crate::plan::{
    Alert, Baseline, CheckPolicy, CheckSpec, Kind, Lookup, Metrics, MetricsSource, OnNoData, PlanInput, Record, Rule,
    Stage, Threshold, ThresholdExpr, Window, header, promql_message, rules,
};

pub(super) fn check(keys: file::Metrics, input: &PlanInput, lookup: &dyn Lookup) -> Result<CheckSpec, Diagnostic> {
    let mut thresholds = Vec::new();
    for threshold in keys.thresholds.unwrap_or_default() {
        thresholds.push(from_file(threshold)?);
    }
    thresholds.extend(from_flags("--threshold", &input.thresholds, Severity::Block)?);
    thresholds.extend(from_flags("--warn", &input.warnings, Severity::Warn)?);
    let mut records = Vec::new();
    if let Some(rules) = keys.rules.flatten() {
        let severities = required(keys.severities)?;
        let (alerts, recorded) = rules_file(&rules, &severities, input, lookup)?;
        thresholds.extend(alerts);
        records = recorded;
    }
    let require = match keys.require.flatten() {
        Some(names) => names.into_iter().map(|name| name.value).collect(),
        None => names_of_blocking(&thresholds),
    };
    let limits = limits!(keys, None);
    let mut request = Request::get(path(&required(keys.path)?)?);
    request.headers = headers(keys.headers, lookup)?;
    let mut policy = policy(keys.enabled, keys.severity, limits)?;
    let mut length = keys.window.flatten();
    if let Some(written) = &input.window {
        let text = At::nowhere(written.clone());
        // The limit of the file was made for another window, or for none: this one is allowed its own time on top.
        policy.limit += duration_at(&text).map_err(|error| flag("--window", error))?;
        length = Some(text);
    }
    let window = window(&policy, length, keys.interval, keys.fail_fast, keys.max_failed_scrapes)?;
    let baseline = keys.baseline.flatten().map(|text| baseline_of(&text)).transpose()?;
    let source = metrics_source(keys.source, keys.url.flatten(), keys.token.flatten(), baseline.is_some(), lookup)?;
    let on_command_line = input.thresholds.iter().chain(&input.warnings).count();
    if !policy.enabled && on_command_line > 0 {
        let message = "--threshold and --warn are given, but the checks file switches metrics off";
        return fail(None, message);
    }
    let instance = required(keys.instance)?;
    let metrics = Metrics { request, require, thresholds, records, window, instance, baseline, source };
    let kind = Kind::Metrics(Arc::new(metrics));
    Ok(CheckSpec { name: "metrics".into(), policy, stage: Stage::SideBySide, kind })
}

/// The thresholds of a flag.
fn from_flags(name: &str, expressions: &[String], severity: Severity) -> Result<Vec<Threshold>, Diagnostic> {
    let threshold = |expression: &String| {
        let parsed = ThresholdExpr::parse(expression).map_err(|error| {
            let message = format!("{name} {expression:?}: {}", promql_message(&error, expression.trim()));
            Diagnostic::new("promql", None, message)
        })?;
        let on_no_data = OnNoData::of(severity);
        Ok(Threshold { name: None, rule: Rule::Holds(parsed), severity, on_no_data, place: None })
    };
    expressions.iter().map(threshold).collect()
}

/// The metric names that blocking comparisons read, sorted.
fn names_of_blocking(thresholds: &[Threshold]) -> Vec<String> {
    let blocking = thresholds.iter().filter(|threshold| threshold.severity == Severity::Block);
    let comparisons = blocking.filter_map(|threshold| match &threshold.rule {
        Rule::Holds(comparison) => Some(comparison),
        Rule::Silent(_) => None,
    });
    let mut names: Vec<String> = comparisons.flat_map(ThresholdExpr::metric_names).collect();
    names.sort();
    names.dedup();
    names
}

fn window(
    policy: &CheckPolicy,
    length: Option<Text>,
    interval: Option<Text>,
    fail_fast: Option<bool>,
    max_failed_scrapes: Option<u32>,
) -> Result<Option<Window>, Diagnostic> {
    let interval_text = required(interval)?;
    let interval = duration_at(&interval_text)?;
    let Some(text) = length else { return Ok(None) };
    let length = duration_at(&text)?;
    if length >= policy.limit {
        let message = format!(
            "metrics.window ({}) does not fit into metrics.timeout ({}), which also covers the last scrape; raise the timeout",
            text.value,
            humantime::format_duration(policy.limit)
        );
        return fail(text.place, message);
    }
    if interval > length {
        let place = interval_text.place.or(text.place);
        return fail(
            place,
            format!("metrics.interval ({}) is longer than metrics.window ({})", interval_text.value, text.value),
        );
    }
    let (fail_fast, max_failed_scrapes) = (required(fail_fast)?, required(max_failed_scrapes)?);
    Ok(Some(Window { length, interval, fail_fast, max_failed_scrapes }))
}

/// An address, or a tag: what is neither is refused as an address.
fn baseline_of(text: &Text) -> Result<Baseline, Diagnostic> {
    let tag = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if !text.value.is_empty() && text.value.bytes().all(tag) {
        return Ok(Baseline::Tag(text.value.clone()));
    }
    address(text).map(Baseline::Address)
}

fn address(text: &Text) -> Result<Address, Diagnostic> {
    Address::parse(&text.value).map_err(|message| Diagnostic::new("invalid", text.place, message))
}

fn metrics_source(
    source: Option<At<file::MetricsSource>>,
    url: Option<Text>,
    token: Option<Text>,
    baseline: bool,
    lookup: &dyn Lookup,
) -> Result<MetricsSource, Diagnostic> {
    let source = required(source)?;
    if source.value == file::MetricsSource::Scrape {
        return match url.or(token) {
            None => Ok(MetricsSource::Scrape),
            Some(text) => fail(text.place, "metrics.url and metrics.token belong to source: prometheus"),
        };
    }
    let Some(url) = url else {
        return fail(source.place, "source: prometheus needs metrics.url, the address in front of /api/v1/query");
    };
    if baseline {
        return fail(
            source.place,
            "baseline is scraped, and source: prometheus scrapes nothing; tell revisions apart by their labels there",
        );
    }
    let bearer = |text: Text| {
        if !text.value.starts_with("env:") && !text.value.starts_with("file:") {
            return fail(
                text.place,
                "metrics.token is a secret, and secrets are never written inline: use \"env:NAME\" or \"file:/path\"",
            );
        }
        let value = format!("Bearer {}", text.value);
        header("Authorization", &value, lookup).map_err(|message| Diagnostic::new("invalid", text.place, message))
    };
    Ok(MetricsSource::Prometheus(address(&url)?, token.map(bearer).transpose()?.into_iter().collect()))
}

/// The alerts of a rules file as thresholds, and its recording rules.
fn rules_file(
    rules: &Text,
    severities: &BTreeMap<String, Severity>,
    input: &PlanInput,
    lookup: &dyn Lookup,
) -> Result<(Vec<Threshold>, Vec<Record>), Diagnostic> {
    let beside = input.file.as_ref().and_then(|(name, _)| Path::new(name).parent()).unwrap_or(Path::new(""));
    let path = beside.join(&rules.value);
    let text = lookup
        .text(&path)
        .map_err(|error| Diagnostic::new("rules", rules.place, format!("the rules file: {error}")))?;
    let rules = rules::parse(&text).map_err(|error| error.in_file(&path.display().to_string()))?;
    let threshold = |alert: Alert| {
        let severity = severities.get(&alert.severity).copied().unwrap_or(Severity::Block);
        let (name, place) = (Some(alert.name.clone()), alert.place);
        Threshold { name, rule: Rule::Silent(alert), severity, on_no_data: OnNoData::of(severity), place }
    };
    Ok((rules.alerts.into_iter().map(threshold).collect(), rules.records))
}

fn from_file(keys: file::Threshold) -> Result<Threshold, Diagnostic> {
    let place = keys.expr.place;
    let comparison = ThresholdExpr::parse(&keys.expr.value)
        .map_err(|error| Diagnostic::new("promql", place, promql_message(&error, keys.expr.value.trim())))?;
    let severity = keys.severity.unwrap_or(Severity::Block);
    if (keys.on_no_data, severity) == (Some(OnNoData::Fail), Severity::Warn) {
        let message =
            "on_no_data: fail on a threshold with severity: warn; a threshold that must have data is severity: block";
        return fail(place, message);
    }
    let on_no_data = keys.on_no_data.unwrap_or(OnNoData::of(severity));
    Ok(Threshold { name: keys.name, rule: Rule::Holds(comparison), severity, on_no_data, place })
}
