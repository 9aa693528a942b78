//! Thresholds: those of the checks file, of the command line, and the alerts of a rules file.

use std::collections::BTreeMap;
use std::path::Path;

use super::Context;
use crate::outcome::Severity;
use crate::plan::mistakes::Mistakes;
use crate::plan::written::{At, Key, List, Map};
use crate::plan::{Alert, OnNoData, Record, Rule, Threshold, ThresholdExpr, code, file, promql_message, rules};

/// The thresholds of the checks file.
pub(super) fn of_file(keys: Key<List<file::Threshold>>, context: &mut Context<'_, '_>) -> Option<Vec<Threshold>> {
    let thresholds: Vec<Option<Threshold>> =
        keys.get()?.items.into_iter().map(|keys| threshold(keys.value, context)).collect();
    thresholds.into_iter().collect()
}

fn threshold(keys: file::Threshold, context: &mut Context<'_, '_>) -> Option<Threshold> {
    if let (Some(At { value: OnNoData::Fail, place, .. }), Some(At { value: Severity::Warn, .. })) =
        (keys.on_no_data.at(), keys.severity.at())
    {
        let message =
            "on_no_data: fail on a threshold with severity: warn; a threshold that must have data is severity: block";
        context.conflict(*place, message);
    }
    let written = keys.expr.0?;
    let comparison =
        ThresholdExpr::parse(&written.value).map_err(|error| context.mistakes.expression(&written, &error)).ok()?;
    let severity = keys.severity.or_absent()?.unwrap_or(Severity::Block);
    Some(Threshold {
        name: keys.name.or_absent()?,
        rule: Rule::Holds(comparison),
        severity,
        on_no_data: keys.on_no_data.or_absent()?.unwrap_or(OnNoData::of(severity)),
        place: context.mistakes.source(written.place),
    })
}

/// The thresholds of a flag.
pub(super) fn of_flag(
    name: &str,
    expressions: &[String],
    severity: Severity,
    context: &mut Context<'_, '_>,
) -> Vec<Threshold> {
    let mut thresholds = Vec::new();
    for expression in expressions {
        match ThresholdExpr::parse(expression) {
            Ok(comparison) => thresholds.push(Threshold {
                name: None,
                rule: Rule::Holds(comparison),
                severity,
                on_no_data: OnNoData::of(severity),
                place: None,
            }),
            Err(error) => {
                let message = format!("{name} {expression:?}: {}", promql_message(&error, expression.trim()));
                context.mistakes.add(code::PROMQL, None, message);
            }
        }
    }
    thresholds
}

/// The alerts of a rules file as thresholds, and its recording rules. The file lies beside the checks file.
pub(super) fn of_rules(
    rules: &At<String>,
    severities: Key<Map<Severity>>,
    context: &mut Context<'_, '_>,
) -> Option<(Vec<Threshold>, Vec<Record>)> {
    let checks = context.input.file.as_ref().map(|(name, _)| Path::new(name));
    let path = checks.and_then(Path::parent).unwrap_or(Path::new("")).join(&rules.value);
    let name = path.display().to_string();
    let text = match context.lookup.text(&path) {
        Ok(text) => text,
        Err(error) => {
            context.mistakes.add(code::RULES, rules.place, format!("the rules file {name}: {}", error.message));
            return None;
        }
    };
    let mut mistakes = Mistakes::of(Some((&name, &text)));
    let rules = rules::parse(&text, &mut mistakes);
    context.mistakes.absorb(mistakes);
    let severities: BTreeMap<String, Severity> =
        severities.get()?.0.into_iter().map(|(label, severity)| (label, severity.value)).collect();
    let threshold = |alert: Alert| {
        let severity = severities.get(&alert.severity).copied().unwrap_or(Severity::Block);
        let (name, place) = (Some(alert.name.clone()), alert.place.clone());
        Threshold { name, rule: Rule::Silent(alert), severity, on_no_data: OnNoData::of(severity), place }
    };
    let rules = rules?;
    Some((rules.alerts.into_iter().map(threshold).collect(), rules.records))
}

/// The metric names that blocking comparisons read, sorted.
pub(super) fn names_of_blocking(thresholds: &[Threshold]) -> Vec<String> {
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
