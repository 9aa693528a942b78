//! What a scrape holds by name, to say why a selector found nothing.

use std::collections::BTreeSet;

use promeval::exposition::{Exposition, Summary, WarningKind};
use promeval::labels::METRIC_NAME;
use promeval::number::format_value;
use promeval::promql::ast::{Matcher, Selector};
use promeval::series::Storage;

/// The metric names that were declared, and those that had samples.
#[derive(Clone, Debug, Default)]
pub(crate) struct Inventory {
    summary: Summary,
    /// Counters with a value that no counter can have, and the first such value.
    bad_counters: Vec<(String, f64)>,
}

impl Inventory {
    /// What an exposition holds.
    pub(crate) fn new(exposition: &Exposition<'_>) -> Self {
        let bad = exposition.warnings().iter().filter(|warning| warning.kind == WarningKind::BadCounter);
        let value = |name: &str| {
            let mut samples = exposition.samples();
            let first = samples.find(|sample| {
                let value = sample.value();
                (value < 0.0 || value.is_nan()) && *sample.name() == *name
            });
            first.map_or(f64::NAN, |sample| sample.value())
        };
        let bad_counters = bad.map(|warning| (warning.name.clone(), value(&warning.name))).collect();
        Self { summary: Summary::new(exposition), bad_counters }
    }

    /// Whether a family or a metric of this name is declared by a `# TYPE` line.
    pub(crate) fn declares(&self, name: &str) -> bool {
        self.summary.declares(name)
    }

    /// Whether a metric of this name has samples.
    pub(crate) fn has_samples(&self, name: &str) -> bool {
        self.summary.samples_of(name) > 0
    }

    /// The value of a declared counter that no counter can have: below 0, or no number at all.
    pub(super) fn bad_counter(&self, name: &str) -> Option<String> {
        let (_, value) = self.bad_counters.iter().find(|(bad, _)| bad == name)?;
        Some(format_value(*value))
    }

    /// How many names have samples.
    pub(crate) fn names(&self) -> usize {
        self.summary.names()
    }

    /// How many samples there are.
    pub(crate) fn samples(&self) -> usize {
        self.summary.samples()
    }

    /// Names like the given one, best first.
    pub(crate) fn similar(&self, name: &str) -> Vec<&str> {
        const SHOWN: usize = 3;
        let mut found = self.summary.similar(name);
        found.retain(|other| *other != name);
        found.truncate(SHOWN);
        found
    }

    /// Why a selector finds no sample, as a clause of a sentence; nothing where its metric and labels are there.
    pub(crate) fn absence(&self, selector: &Selector, storage: &Storage) -> Option<String> {
        let Some(name) = selector.metric_name() else {
            let any = storage.series().any(|series| selector.wants(series.labels.metric_name()));
            return (!any).then(|| "no metric name matches its pattern".to_owned());
        };
        if self.summary.samples_of(name) == 0 {
            if self.declares(name) {
                return Some(format!(
                    "{name} is declared but has no sample yet (write \"or vector(0)\" where none means zero)"
                ));
            }
            let similar = self.similar(name);
            let hint = if similar.is_empty() { String::new() } else { format!("; similar: {}", similar.join(", ")) };
            return Some(format!("there is no metric {name}{hint}"));
        }
        let others: Vec<&Matcher> = selector.matchers.iter().filter(|matcher| matcher.label != METRIC_NAME).collect();
        let holds = |matcher: &Matcher, label: &str| matcher.test.holds(label);
        let matched = storage
            .named(name)
            .any(|series| others.iter().all(|matcher| holds(matcher, series.labels.get(&matcher.label))));
        if matched {
            return None;
        }
        let unmatched = others
            .iter()
            .find(|matcher| !storage.named(name).any(|series| holds(matcher, series.labels.get(&matcher.label))));
        let Some(matcher) = unmatched else {
            return Some(format!("no series of {name} has all of the labels asked for together"));
        };
        let values: BTreeSet<&str> = storage.named(name).map(|series| series.labels.get(&matcher.label)).collect();
        Some(format!("no series of {name} has the wanted label {}; its values are {}", matcher.label, listed(&values)))
    }
}

/// The first few values in quotes.
fn listed(values: &BTreeSet<&str>) -> String {
    const SHOWN: usize = 8;
    let mut text: Vec<String> = values.iter().take(SHOWN).map(|value| format!("{value:?}")).collect();
    if values.len() > SHOWN {
        text.push(format!("… ({} in all)", values.len()));
    }
    text.join(", ")
}
