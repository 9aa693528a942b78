//! Thresholds: those of the checks file, of the command line, and the alerts of rules files.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::Context;
use crate::outcome::{Place, Severity};
use crate::plan::meaning::RulesPath;
use crate::plan::mistakes::Mistakes;
use crate::plan::rules::{self, Rules};
use crate::plan::written::{At, Key, List, Map, Meant};
use crate::plan::{Alert, OnNoData, Rule, RuleStep, Threshold, ThresholdExpr, code, file, glob, promql_message};

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

/// The alerts of rules files as thresholds, and all rules in their order, in which alerts are counted from 0. The files lie
/// beside the checks file. `thresholds` are the others, which may read what rules record; nothing where these are wrong.
pub(super) fn of_rules(
    paths: &At<List<Meant<RulesPath>>>,
    severities: Key<Map<Severity>>,
    thresholds: Option<&[Threshold]>,
    context: &mut Context<'_, '_>,
) -> Option<(Vec<Threshold>, Vec<RuleStep>)> {
    let before = context.mistakes.count();
    let mut files: Vec<(PathBuf, Option<Place>)> = Vec::new();
    for path in &paths.value.items {
        for file in files_of(path, context) {
            if !files.iter().any(|(known, _)| *known == file) {
                files.push((file, path.place));
            }
        }
    }
    let mut rules = Rules::default();
    for (path, place) in files {
        let name = path.display().to_string();
        match context.lookup.text(&path) {
            Ok(text) => {
                let mut mistakes = Mistakes::of(Some((&name, &text)));
                rules::parse(&text, &mut rules, &mut mistakes);
                context.mistakes.absorb(mistakes);
            }
            Err(error) => {
                context.mistakes.add(code::RULES, place, format!("the rules file {name}: {}", error.message));
            }
        }
    }
    if !paths.value.whole || context.mistakes.count() > before {
        return None;
    }
    if rules.alerts.is_empty() && thresholds.is_some_and(|thresholds| !reads_a_record(thresholds, &rules.steps)) {
        let message =
            "the rules have no alert, and no threshold reads what they record, so that they would gate nothing";
        context.mistakes.add(code::RULES, paths.place, message);
        return None;
    }
    let severities: BTreeMap<String, Severity> =
        severities.get()?.0.into_iter().map(|(label, severity)| (label, severity.value)).collect();
    let threshold = |alert: Alert| {
        let severity = severities.get(&alert.severity).copied().unwrap_or(Severity::Block);
        let (name, place) = (Some(alert.name.clone()), alert.place.clone());
        Threshold { name, rule: Rule::Silent(alert), severity, on_no_data: OnNoData::of(severity), place }
    };
    Some((rules.alerts.into_iter().map(threshold).collect(), rules.steps))
}

fn reads_a_record(thresholds: &[Threshold], steps: &[RuleStep]) -> bool {
    let selectors: Vec<_> = thresholds.iter().flat_map(|threshold| threshold.rule.expr().selectors()).collect();
    steps.iter().any(|step| match step {
        RuleStep::Record(record) => selectors.iter().any(|selector| selector.wants(&record.name)),
        RuleStep::Alert(_) => false,
    })
}

/// The files that a path or a pattern names.
fn files_of(path: &At<Meant<RulesPath>>, context: &mut Context<'_, '_>) -> Vec<PathBuf> {
    let checks = context.input.file.as_ref().map(|(name, _)| Path::new(name));
    let written = &path.value.written;
    let beside = checks.and_then(Path::parent).unwrap_or(Path::new(""));
    if !glob::is_glob(written) {
        return vec![beside.join(written)];
    }
    // The folder of the checks file is as it is, whatever its name holds.
    let names = |folder: &Path| context.lookup.names(&beside.join(folder));
    let found = glob::expand(Path::new(written), &names);
    if found.is_empty() {
        context.mistakes.add(code::RULES, path.place, format!("no rules file fits {written:?}"));
    }
    found.iter().map(|path| beside.join(path)).collect()
}

/// The metric names that blocking comparisons read and that an application declares, sorted: a scrape gives some of its own, and
/// rules record others.
pub(super) fn names_of_blocking(thresholds: &[Threshold], rules: &[RuleStep]) -> Vec<String> {
    const OF_SCRAPES: [&str; 3] = ["up", "scrape_samples_scraped", "scrape_samples_post_metric_relabeling"];
    const OF_ALERTS: [&str; 2] = ["ALERTS", "ALERTS_FOR_STATE"];
    let recorded =
        |name: &String| rules.iter().any(|step| matches!(step, RuleStep::Record(record) if record.name == *name));
    let made = |name: &String| OF_SCRAPES.contains(&&**name) || OF_ALERTS.contains(&&**name) || recorded(name);
    let blocking = thresholds.iter().filter(|threshold| threshold.severity == Severity::Block);
    let comparisons = blocking.filter_map(|threshold| match &threshold.rule {
        Rule::Holds(comparison) => Some(comparison),
        Rule::Silent(_) => None,
    });
    let mut names: Vec<String> = comparisons.flat_map(ThresholdExpr::metric_names).collect();
    names.retain(|name| !made(name));
    names.sort();
    names.dedup();
    names
}
