//! What a scrape holds by name, to say why a selector found nothing.

use std::collections::{BTreeMap, BTreeSet};

use promeval::exposition::{Exposition, Kind, Summary};
use promeval::labels::METRIC_NAME;
use promeval::promql::ast::{Matcher, Selector};
use promeval::series::Storage;

use super::labels::by_number;

/// The ending of a counter's samples.
const TOTAL: &str = "_total";

/// The metric names that were declared, and those that had samples.
#[derive(Clone, Debug, Default)]
pub(crate) struct Inventory {
    summary: Summary,
    /// Counters, and counts of histograms and summaries, with a value that no count can be: the first one of each name.
    bad_counters: BTreeMap<String, f64>,
}

impl Inventory {
    /// What an exposition holds.
    pub(crate) fn new(exposition: &Exposition<'_>) -> Self {
        let mut bad_counters = BTreeMap::new();
        let bad = exposition.samples().filter(|sample| !(0.0..f64::INFINITY).contains(&sample.value()));
        let mut seen = None;
        for sample in bad {
            let name = sample.name();
            // Neighbours mostly have one name: its kind is looked up once.
            if seen.as_ref() != Some(&name) && counts(&name, |family| exposition.kind_of(family)) {
                bad_counters.entry(name.clone().into_owned()).or_insert(sample.value());
            }
            seen = Some(name);
        }
        Self { summary: Summary::new(exposition), bad_counters }
    }

    /// Whether samples of this name only ever go up from 0.
    pub(super) fn counts(&self, name: &str) -> bool {
        counts(name, |family| self.summary.kind_of(family))
    }

    /// Whether a family or a metric of this name is declared by a `# TYPE` line.
    pub(crate) fn declares(&self, name: &str) -> bool {
        self.summary.declares(name)
    }

    /// Whether a metric of this name has samples.
    pub(crate) fn has_samples(&self, name: &str) -> bool {
        self.summary.samples_of(name) > 0
    }

    /// Takes over the counters of another scrape whose value no counter can have.
    pub(crate) fn doubt(&mut self, other: &Self) {
        for (name, value) in &other.bad_counters {
            self.bad_counters.entry(name.clone()).or_insert(*value);
        }
    }

    /// The counters whose value no counter can have (below 0, infinite or not a number), and that value.
    pub(super) fn bad_counters(&self) -> impl Iterator<Item = (&str, f64)> {
        self.bad_counters.iter().map(|(name, value)| (&**name, *value))
    }

    /// The names of a family's samples that have samples, other than the given one, which is of the same family.
    pub(super) fn relatives(&self, name: &str) -> Vec<String> {
        const ENDINGS: [&str; 6] = ["", TOTAL, "_bucket", "_count", "_sum", "_created"];
        let base = ENDINGS[1..].iter().find_map(|ending| name.strip_suffix(ending)).unwrap_or(name);
        let names = ENDINGS.iter().flat_map(|ending| [format!("{base}{ending}"), format!("{name}{ending}")]);
        let names = names.chain(escaped(name));
        // Two families that are declared beside each other are not one.
        let is_family = |name: &str| self.summary.kind_of(name).is_some();
        let apart = |other: &str| is_family(name) && is_family(other);
        let others = names.filter(|other| other != name && self.has_samples(other) && !apart(other));
        others.collect::<BTreeSet<String>>().into_iter().collect()
    }

    /// Whether nothing is declared and nothing has samples.
    pub(crate) fn is_empty(&self) -> bool {
        self.summary.is_empty()
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

    /// Whether a name is declared, and nothing has happened yet that it would have a sample of.
    pub(super) fn is_untouched(&self, name: &str) -> bool {
        self.declares(name) && !self.has_samples(name) && self.parts(name).is_none()
    }

    /// Where the samples of a family are whose own name none has.
    fn parts(&self, name: &str) -> Option<String> {
        let (kind, suffixes) = match self.summary.kind_of(name)? {
            kind @ (Kind::Histogram | Kind::GaugeHistogram) => (kind, "_bucket, _sum and _count"),
            kind @ Kind::Summary => (kind, "_sum and _count"),
            _ => return None,
        };
        let what = match kind {
            Kind::Summary => "a summary without quantiles",
            _ => "a histogram",
        };
        let wanted = if kind == Kind::Summary { "" } else { "; write {name}_bucket for its buckets" };
        let wanted = wanted.replace("{name}", name);
        Some(format!("{name} is {what} and no series: its samples end in {suffixes}{wanted}"))
    }

    /// What is said of a name that is declared and has no sample.
    fn unsampled(&self, name: &str) -> String {
        let kind_of = |name: &str| self.summary.kind_of(name);
        let kind = kind_of(name).or_else(|| kind_of(name.strip_suffix(TOTAL)?));
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
        // The scrape itself gives series too, such as up.
        if self.summary.samples_of(name) == 0 && storage.named(name).next().is_none() {
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

/// What an exporter that takes no UTF-8 in names makes of a name: <https://prometheus.io/docs/instrumenting/escaping_schemes/>.
fn escaped(name: &str) -> Vec<String> {
    let is_legacy = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    if name.chars().all(is_legacy) {
        return Vec::new();
    }
    let with = |escape: fn(char) -> String| -> String {
        name.chars().map(|c| if is_legacy(c) { c.to_string() } else { escape(c) }).collect()
    };
    let values = with(|c| format!("_{:x}_", u32::from(c))).replace("__", "_");
    let dots = name.replace('_', "__").replace('.', "_dot_");
    vec![
        with(|_| "_".into()),
        format!("U__{}", with(|c| format!("_{:x}_", u32::from(c)))),
        format!("U__{values}"),
        dots,
    ]
}

/// Whether samples of this name only ever go up from 0, by the kinds of families.
fn counts(name: &str, kind_of: impl Fn(&str) -> Option<Kind>) -> bool {
    let is = |name: Option<&str>, wanted: &[Kind]| name.and_then(&kind_of).is_some_and(|kind| wanted.contains(&kind));
    is(Some(name), &[Kind::Counter])
        || is(name.strip_suffix(TOTAL), &[Kind::Counter])
        || is(name.strip_suffix("_bucket"), &[Kind::Histogram])
        || is(name.strip_suffix("_count"), &[Kind::Histogram, Kind::Summary])
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
    let mut values: Vec<&str> = values.iter().copied().collect();
    // The bounds of buckets are numbers.
    values.sort_by(|a, b| by_number(a, b));
    let mut text: Vec<String> = values.iter().take(SHOWN).map(|value| format!("{value:?}")).collect();
    if values.len() > SHOWN {
        text.push(format!("… ({} in all)", values.len()));
    }
    text.join(", ")
}
