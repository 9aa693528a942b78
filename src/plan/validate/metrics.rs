//! The keys of `metrics`: thresholds, rules files, windows, and where the values come from.

use std::collections::BTreeMap;
use std::path::Path;

use super::{Limits, bounds, duration, fail, flag, headers, path, required};
use crate::plan::file::{self, At, OnNoData, Place, Severity, Text};
use crate::plan::load::Source;
use crate::plan::secret::{Header, Lookup};
use crate::plan::{
    Alert, Baseline, Bounds, Comparison, Metrics, MetricsSource, NoData, PlanError, Record, Request, Rule, Threshold,
    Window, promql_message, rules,
};
use crate::target::Target;

pub(super) fn metrics(keys: file::Metrics, source: &Source, lookup: &dyn Lookup) -> Result<Metrics, PlanError> {
    let mut thresholds = Vec::new();
    for threshold in keys.thresholds.unwrap_or_default() {
        thresholds.push(from_file(threshold)?);
    }
    for (name, expressions, blocking) in
        [("--threshold", &source.thresholds, true), ("--warn", &source.warnings, false)]
    {
        for expression in expressions {
            let comparison = Comparison::parse(expression).map_err(|error| {
                PlanError::new(
                    Place::default(),
                    format!("{name} {expression:?}: {}", promql_message(&error, expression.trim())),
                )
            })?;
            let on_no_data = if blocking { NoData::Fail } else { NoData::Warn };
            thresholds.push(Threshold { name: None, rule: Rule::Holds(comparison), blocking, on_no_data });
        }
    }
    let mut records = Vec::new();
    if let Some(rules) = keys.rules.flatten() {
        let severities = required(keys.severities)?;
        let (alerts, recorded) = rules_file(&rules, &severities, source, lookup)?;
        thresholds.extend(alerts);
        records = recorded;
    }
    let named = || {
        let blocking = thresholds.iter().filter(|threshold| threshold.blocking);
        let comparisons = blocking.filter_map(|threshold| match &threshold.rule {
            Rule::Holds(comparison) => Some(comparison),
            Rule::Silent(_) => None,
        });
        let mut names: Vec<String> = comparisons.flat_map(Comparison::metric_names).collect();
        names.sort();
        names.dedup();
        names
    };
    let require = match keys.require.flatten() {
        Some(names) => names.into_iter().map(|name| name.value).collect(),
        None => named(),
    };
    let limits = limits!(keys, None);
    let request = Request::get(path(&required(keys.path)?)?, headers(keys.headers, lookup)?);
    let bounds = bounds(keys.enabled, keys.severity, limits)?;
    let mut bounds = bounds;
    let mut length = keys.window.flatten();
    if let Some(written) = &source.window {
        let text = At::nowhere(written.clone());
        // The limit of the file was made for another window, or for none: this one is allowed its own time on top.
        bounds.limit += duration(&text).map_err(|error| flag("--window", error))?;
        length = Some(text);
    }
    let window = window(&bounds, length, keys.interval, keys.fail_fast, keys.max_failed_scrapes)?;
    let baseline = keys.baseline.flatten().map(|text| baseline_of(&text)).transpose()?;
    let origin = metrics_source(keys.source, keys.url.flatten(), keys.token.flatten(), baseline.is_some(), lookup)?;
    let on_command_line = source.thresholds.iter().chain(&source.warnings).count();
    if !bounds.enabled && on_command_line > 0 {
        let message = "--threshold and --warn are given, but the checks file switches metrics off";
        return fail(Place::default(), message);
    }
    let instance = required(keys.instance)?;
    Ok(Metrics { bounds, request, require, thresholds, records, window, instance, baseline, source: origin })
}

fn window(
    bounds: &Bounds,
    length: Option<Text>,
    interval: Option<Text>,
    fail_fast: Option<bool>,
    max_failed_scrapes: Option<u32>,
) -> Result<Option<Window>, PlanError> {
    let interval_text = required(interval)?;
    let interval = duration(&interval_text)?;
    let Some(text) = length else { return Ok(None) };
    let length = duration(&text)?;
    if length >= bounds.limit {
        let message = format!(
            "metrics.window ({}) does not fit into metrics.timeout ({}), which also covers the last scrape; raise the timeout",
            text.value,
            humantime::format_duration(bounds.limit)
        );
        return fail(text.place, message);
    }
    if interval > length {
        let place = if interval_text.place.line > 0 { interval_text.place } else { text.place };
        return fail(
            place,
            format!("metrics.interval ({}) is longer than metrics.window ({})", interval_text.value, text.value),
        );
    }
    let (fail_fast, max_failed_scrapes) = (required(fail_fast)?, required(max_failed_scrapes)?);
    Ok(Some(Window { length, interval, fail_fast, max_failed_scrapes }))
}

/// An address, or a tag: what is neither is refused as an address.
fn baseline_of(text: &Text) -> Result<Baseline, PlanError> {
    let tag = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if !text.value.is_empty() && text.value.bytes().all(tag) {
        return Ok(Baseline::Tag(text.value.clone()));
    }
    address(text).map(Baseline::Address)
}

fn address(text: &Text) -> Result<Target, PlanError> {
    Target::parse(&text.value).map_err(|message| PlanError::new(text.place, message))
}

fn metrics_source(
    source: Option<At<file::MetricsSource>>,
    url: Option<Text>,
    token: Option<Text>,
    baseline: bool,
    lookup: &dyn Lookup,
) -> Result<MetricsSource, PlanError> {
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
    let header = |text: Text| {
        if !text.value.starts_with("env:") && !text.value.starts_with("file:") {
            return fail(
                text.place,
                "metrics.token is a secret, and secrets are never written inline: use \"env:NAME\" or \"file:/path\"",
            );
        }
        let value = format!("Bearer {}", text.value);
        Header::resolve("Authorization", &value, lookup).map_err(|message| PlanError::new(text.place, message))
    };
    Ok(MetricsSource::Prometheus(address(&url)?, token.map(header).transpose()?.into_iter().collect()))
}

/// The alerts of a rules file as thresholds, and its recording rules.
fn rules_file(
    rules: &Text,
    severities: &BTreeMap<String, Severity>,
    source: &Source,
    lookup: &dyn Lookup,
) -> Result<(Vec<Threshold>, Vec<Record>), PlanError> {
    let beside = source.file.as_ref().and_then(|(name, _)| Path::new(name).parent()).unwrap_or(Path::new(""));
    let path = beside.join(&rules.value);
    let text = lookup.text(&path).map_err(|error| PlanError::new(rules.place, format!("the rules file: {error}")))?;
    let rules = rules::parse(&text).map_err(|error| error.in_file(&path.display().to_string()))?;
    let threshold = |alert: Alert| {
        let blocking = severities.get(&alert.severity) != Some(&Severity::Warn);
        let on_no_data = if blocking { NoData::Fail } else { NoData::Warn };
        Threshold { name: Some(alert.name.clone()), rule: Rule::Silent(alert), blocking, on_no_data }
    };
    Ok((rules.alerts.into_iter().map(threshold).collect(), rules.records))
}

fn from_file(keys: file::Threshold) -> Result<Threshold, PlanError> {
    let comparison = Comparison::parse(&keys.expr.value)
        .map_err(|error| PlanError::new(keys.expr.place, promql_message(&error, keys.expr.value.trim())))?;
    let blocking = keys.severity != Some(Severity::Warn);
    let on_no_data = match (keys.on_no_data, blocking) {
        (Some(OnNoData::Fail), false) => {
            let message = "on_no_data: fail on a threshold with severity: warn; a threshold that must have data is severity: block";
            return fail(keys.expr.place, message);
        }
        (Some(OnNoData::Fail) | None, true) => NoData::Fail,
        (Some(OnNoData::Warn), _) | (None, false) => NoData::Warn,
        (Some(OnNoData::Pass), _) => NoData::Pass,
    };
    Ok(Threshold { name: keys.name, rule: Rule::Holds(comparison), blocking, on_no_data })
}
