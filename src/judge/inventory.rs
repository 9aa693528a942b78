//! What a scrape holds by name, to say why a selector found nothing.

use std::collections::{BTreeMap, BTreeSet};

use promeval::exposition::{Exposition, Kind};
use promeval::labels::METRIC_NAME;
use promeval::number::format_value;
use promeval::promql::ast::{Matcher, Selector};
use promeval::promql::similar;
use promeval::series::Storage;

/// The ending of a counter's samples.
const TOTAL: &str = "_total";

/// The metric names that were declared, and those that had samples.
#[derive(Clone, Debug, Default)]
pub(crate) struct Inventory {
    declared: BTreeSet<String>,
    families: BTreeSet<String>,
    kinds: BTreeMap<String, Kind>,
    sampled: BTreeMap<String, usize>,
    /// Counters with a value that no counter can have, and that value.
    bad_counters: BTreeMap<String, f64>,
}

impl Inventory {
    /// Adds what an exposition holds.
    pub(crate) fn add(&mut self, exposition: &Exposition<'_>) {
        self.declared.extend(exposition.declared_names());
        let declared = exposition.families().iter().filter(|family| family.kind.is_some());
        for family in declared.clone() {
            self.families.insert(family.name.clone());
            self.kinds.extend(family.kind.map(|kind| (family.name.clone(), kind)));
            if family.kind == Some(Kind::Counter) {
                // A counter goes by two names: with the ending of its samples, and without.
                let other = family.name.strip_suffix(TOTAL).map(str::to_owned);
                self.declared.insert(other.unwrap_or_else(|| format!("{}{TOTAL}", family.name)));
            }
        }
        let counters: BTreeSet<String> = declared
            .filter(|family| family.kind == Some(Kind::Counter))
            .flat_map(|family| [family.name.clone(), format!("{}{TOTAL}", family.name)])
            .collect();
        // Samples of one name mostly follow each other.
        let mut last = (String::new(), false);
        for sample in exposition.samples() {
            let name = sample.name();
            if last.0 != *name {
                last = (name.clone().into_owned(), counters.contains(&*name));
            }
            let value = sample.value();
            if last.1 && (value < 0.0 || value.is_nan()) {
                self.bad_counters.insert(last.0.clone(), value);
            }
            match self.sampled.get_mut(&*name) {
                Some(count) => *count += 1,
                None => drop(self.sampled.insert(name.into_owned(), 1)),
            }
        }
    }

    /// Whether a family or a metric of this name is declared by a `# TYPE` line.
    pub(crate) fn declares(&self, name: &str) -> bool {
        self.families.contains(name) || self.declared.contains(name)
    }

    /// Whether a metric of this name has samples.
    pub(crate) fn has_samples(&self, name: &str) -> bool {
        self.sampled.contains_key(name)
    }

    /// The value of a declared counter that no counter can have: below 0, or no number at all.
    pub(super) fn bad_counter(&self, name: &str) -> Option<String> {
        self.bad_counters.get(name).map(|value| format_value(*value))
    }

    /// How many names have samples.
    pub(crate) fn names(&self) -> usize {
        self.sampled.len()
    }

    /// How many samples there are.
    pub(crate) fn samples(&self) -> usize {
        self.sampled.values().sum()
    }

    /// Names like the given one, best first.
    pub(crate) fn similar(&self, name: &str) -> Vec<&str> {
        const SHOWN: usize = 3;
        let names: BTreeSet<&str> =
            self.sampled.keys().chain(&self.declared).chain(&self.families).map(|name| &**name).collect();
        let names = names.into_iter().filter(|other| *other != name);
        let mut found = similar(name, names);
        found.truncate(SHOWN);
        found
    }

    /// Whether a name is declared, and nothing has happened yet that it would have a sample of.
    pub(super) fn is_untouched(&self, name: &str) -> bool {
        self.declares(name) && !self.has_samples(name) && self.parts(name).is_none()
    }

    /// Where the samples of a family are whose own name none has.
    fn parts(&self, name: &str) -> Option<String> {
        let (kind, suffixes) = match self.kinds.get(name)? {
            kind @ (Kind::Histogram | Kind::GaugeHistogram) => (kind, "_bucket, _sum and _count"),
            kind @ Kind::Summary => (kind, "_sum and _count"),
            _ => return None,
        };
        let what = match kind {
            Kind::Summary => "a summary without quantiles",
            _ => "a histogram",
        };
        let wanted = if *kind == Kind::Summary { "" } else { "; write {name}_bucket for its buckets" };
        let wanted = wanted.replace("{name}", name);
        Some(format!("{name} is {what} and no series: its samples end in {suffixes}{wanted}"))
    }

    /// What is said of a name that is declared and has no sample.
    fn unsampled(&self, name: &str) -> String {
        let kind = self.kinds.get(name).or_else(|| self.kinds.get(name.strip_suffix(TOTAL)?));
        let why = match kind {
            // Only there is nothing as good as zero.
            Some(Kind::Counter) if counts_failures(name) => " (write \"or vector(0)\" where none means zero)",
            Some(Kind::Counter) => ": nothing was counted; ask for it when there was traffic",
            Some(Kind::Gauge) => ": no value was set",
            _ => ": nothing was observed; ask for it when there was traffic",
        };
        format!("{name} is declared but has no sample yet{why}")
    }

    /// Why a selector finds no sample, as a clause of a sentence; nothing where its metric and labels are there.
    pub(crate) fn absence(&self, selector: &Selector, storage: &Storage) -> Option<String> {
        let Some(name) = selector.metric_name() else {
            let any = storage.series().any(|series| selector.wants(series.labels.metric_name()));
            return (!any).then(|| "no metric name matches its pattern".to_owned());
        };
        if !self.sampled.contains_key(name) {
            if let Some(parts) = self.parts(name) {
                return Some(parts);
            }
            if self.declares(name) {
                return Some(self.unsampled(name));
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

/// Whether a counter counts what should not happen, by its name.
fn counts_failures(name: &str) -> bool {
    const STEMS: [&str; 16] = [
        "abort",
        "crash",
        "denied",
        "discard",
        "drop",
        "err",
        "exception",
        "exhaust",
        "fail",
        "invalid",
        "lost",
        "panic",
        "refuse",
        "reject",
        "timed",
        "timeout",
    ];
    name.to_ascii_lowercase()
        .split(|c: char| !c.is_ascii_alphanumeric())
        .any(|word| STEMS.iter().any(|stem| word.starts_with(stem)))
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
