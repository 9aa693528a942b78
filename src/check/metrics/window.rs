//! What the scrapes of a window add up to: series, instances, alerts, and what a person should know of them. Pure.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use promeval::exposition::{Exposition, Format, Kind, Warning};
use promeval::labels::METRIC_NAME;
use promeval::number::format_value;
use promeval::promql::ast::Selector;
use promeval::promql::{Element, Evaluator, Expr, Value};
use promeval::series::{RuleSeries, Storage, Target, milliseconds};

use super::alerts::Activity;
use super::scrape::Scraped;
use super::thresholds::{alerted, compared, missing_families};
use crate::judge::{Inventory, blind_spot, decide_over};
use crate::outcome::{Observation, Status};
use crate::plan::{Metrics, Rule, Threshold};
use crate::text;

/// How far the clock of a canary may be ahead of the gate's: its newest sample is then what time it is.
const SKEW: i64 = 60_000;

/// An instance that was not met for so long, in milliseconds, is taken to be gone: its series end. It is less than the five
/// minutes after which its samples would be too old to be seen.
const GONE: i64 = 240_000;

/// Whose scrape it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Side {
    Canary,
    Stable,
}

impl Side {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Canary => "canary",
            Self::Stable => "stable",
        }
    }
}

/// One instance that answers at an address.
struct Instance {
    /// What tells it from others; nothing where its metrics do not.
    key: Option<String>,
    scrapes: u32,
    target: Target,
    /// When it was scraped last.
    last: i64,
}

/// The scrapes so far.
pub(super) struct WindowState {
    metrics: Arc<Metrics>,
    /// The labels that a scrape configuration would give each side's series, by the side.
    labels: BTreeMap<Side, Vec<(String, String)>>,
    storage: Storage,
    /// What the canary's newest scrape holds.
    inventory: Inventory,
    /// What is not as its format wants it in that scrape, and is taken all the same.
    warnings: Vec<Warning>,
    /// The instances met, in their order.
    instances: BTreeMap<Side, Vec<Instance>>,
    /// One for each recording rule.
    records: Vec<RuleSeries>,
    /// One for each threshold; only those of alerts are used.
    activities: Vec<Activity>,
    /// The newest stamp of a sample that is ahead of the gate's clock by no more than a skew.
    newest: i64,
    /// Whether samples had timestamps of their own.
    stamped: bool,
    /// Whether a scrape came without a content type.
    untyped: bool,
    /// Whether a counter went down from one scrape of an instance to the next.
    fell: Option<String>,
    counters: BTreeMap<(Side, String), f64>,
}

impl WindowState {
    pub(super) fn new(metrics: Arc<Metrics>, labels: BTreeMap<Side, Vec<(String, String)>>) -> Self {
        let selectors: Vec<Selector> = exprs(&metrics).flat_map(|expr| expr.selectors()).map(by_name).collect();
        Self {
            storage: Storage::default().keeping(&selectors),
            inventory: Inventory::default(),
            warnings: Vec::new(),
            instances: BTreeMap::new(),
            records: vec![RuleSeries::default(); metrics.records.len()],
            activities: vec![Activity::default(); metrics.thresholds.len()],
            newest: i64::MIN,
            stamped: false,
            untyped: false,
            fell: None,
            counters: BTreeMap::new(),
            metrics,
            labels,
        }
    }

    /// Takes in one scrape.
    ///
    /// # Errors
    /// Why the text is not an exposition, or is more than can be kept.
    pub(super) fn add(&mut self, side: Side, scraped: &Scraped) -> Result<(), String> {
        let format = scraped.format.unwrap_or_else(|| Format::of_file(&scraped.body));
        self.untyped |= scraped.format.is_none();
        let exposition = Exposition::parse(&scraped.body, format)
            .map_err(|error| format!("200, but the metrics are malformed: {error}"))?;
        if side == Side::Canary {
            self.inventory = Inventory::new(&exposition);
            self.warnings = exposition.warnings().to_vec();
        }
        if self.metrics.window.is_some() {
            self.watch_counters(side, &exposition);
        }
        self.stamped |= exposition.samples().any(|sample| sample.timestamp().is_some());
        let stamps = exposition.samples().filter_map(|sample| sample.timestamp()).map(milliseconds);
        let honored = stamps.filter(|stamp| self.metrics.honor_timestamps && *stamp <= scraped.at + SKEW);
        let newest = honored.max();
        self.newest = self.newest.max(newest.unwrap_or(i64::MIN));
        let index = self.met(side, &exposition, scraped.at);
        let known = self.instances.entry(side).or_default();
        let mut stored = Ok(());
        for (number, instance) in known.iter_mut().enumerate() {
            let result = if number == index {
                instance.target.scraped(&mut self.storage, &exposition, scraped.at)
            } else if scraped.at - instance.last > GONE {
                instance.target.failed(&mut self.storage, scraped.at)
            } else {
                Ok(())
            };
            stored = stored.and(result);
        }
        stored.map_err(|full| format!("200, but the metrics are too many: {full}"))
    }

    /// Notes a scrape that failed: what was known of the side has no value from then on.
    pub(super) fn missed(&mut self, side: Side, at: i64) {
        let known = self.instances.entry(side).or_default();
        if known.is_empty() {
            known.push(Instance {
                key: None,
                scrapes: 0,
                target: target(&self.metrics, &self.labels, side, 0),
                last: at,
            });
        }
        for instance in known {
            // What is too much to be kept is told of when there is something to keep.
            let _ = instance.target.failed(&mut self.storage, at);
        }
    }

    /// The number of the instance that answered.
    fn met(&mut self, side: Side, exposition: &Exposition<'_>, at: i64) -> usize {
        let mut samples = exposition.samples();
        let key =
            samples.find(|sample| sample.name() == self.metrics.instance).map(|sample| format_value(sample.value()));
        let known = self.instances.entry(side).or_default();
        // What stands for scrapes that failed before anybody answered is whoever answers first.
        known.retain(|instance| instance.scrapes > 0);
        let index = known.iter().position(|other| other.key == key).unwrap_or_else(|| {
            let target = target(&self.metrics, &self.labels, side, known.len());
            known.push(Instance { key, scrapes: 0, target, last: at });
            known.len() - 1
        });
        known[index].scrapes += 1;
        known[index].last = at;
        index
    }

    /// Where instances cannot be told apart, a counter that falls is the only sign of a second one.
    fn watch_counters(&mut self, side: Side, exposition: &Exposition<'_>) {
        if exposition.samples().any(|sample| sample.name() == self.metrics.instance) {
            return;
        }
        let counters = exposition.families().iter().filter(|family| family.kind == Some(Kind::Counter));
        let names: HashSet<String> = counters
            .flat_map(|family| {
                Kind::Counter.suffixes(exposition.format()).iter().map(|suffix| format!("{}{suffix}", family.name))
            })
            .filter(|name| !name.ends_with("_created"))
            .collect();
        let mut sums: BTreeMap<String, f64> = BTreeMap::new();
        for sample in exposition.samples().filter(|sample| names.contains(&*sample.name())) {
            *sums.entry(sample.name().into_owned()).or_default() += sample.value();
        }
        for (name, sum) in sums {
            let before = self.counters.insert((side, name.clone()), sum);
            if before.is_some_and(|before| sum < before) {
                self.fell.get_or_insert(name);
            }
        }
    }

    /// The time of an evaluation: the gate's own, or that of a canary whose clock is a little ahead.
    fn now(&self, time: i64) -> i64 {
        time.max(self.newest)
    }

    /// Evaluates the recording rules and the alerts at the time of a scrape.
    ///
    /// # Errors
    /// Recorded series that are more than can be kept.
    pub(super) fn evaluate(&mut self, time: i64) -> Result<(), String> {
        let time = self.now(time);
        for (record, series) in self.metrics.records.iter().zip(&mut self.records) {
            // A rule that fails makes no series; what reads it then has no data.
            let Ok(Value::Vector(elements)) = Evaluator::new(&self.storage, time).value(&record.expr) else { continue };
            let named = elements.into_iter().map(|Element { mut labels, value }| {
                labels.set(METRIC_NAME, &record.name);
                for (name, value) in &record.labels {
                    labels.set(name, value);
                }
                (labels, value)
            });
            series
                .write(&mut self.storage, named, time)
                .map_err(|full| format!("the recorded series {} are too many: {full}", record.name))?;
        }
        for (threshold, activity) in self.metrics.thresholds.iter().zip(&mut self.activities) {
            if let Rule::Silent(alert) = &threshold.rule {
                let result = match Evaluator::new(&self.storage, time).value(&alert.expr) {
                    Ok(Value::Vector(elements)) => Ok(elements),
                    Ok(_) => Err("it is not an instant vector".to_owned()),
                    Err(error) => Err(error.message),
                };
                activity.evaluated(time, result);
            }
        }
        Ok(())
    }

    /// What the thresholds say at a time.
    pub(super) fn thresholds(&self, time: i64) -> Vec<Observation> {
        let time = self.now(time);
        let observe = |(threshold, activity): (&Threshold, &Activity)| match &threshold.rule {
            Rule::Holds(comparison) => {
                let (expr, parts) = (comparison.expr(), comparison.parts());
                let decision = decide_over(expr, parts, &self.storage, &self.inventory, time);
                compared(threshold, comparison, decision)
            }
            Rule::Silent(alert) => {
                let recorded = |name: &str| self.metrics.records.iter().any(|record| record.name == name);
                let blind = blind_spot(&alert.expr, &self.storage, &self.inventory, time, &recorded);
                alerted(threshold, alert, activity, blind)
            }
        };
        self.metrics.thresholds.iter().zip(&self.activities).map(observe).collect()
    }

    /// All observations at the end.
    pub(super) fn observations(&self, time: i64) -> Vec<Observation> {
        let mut observations = missing_families(&self.metrics, &self.inventory);
        observations.extend(self.thresholds(time));
        if self.untyped {
            let detail = "the answer has no Content-Type; Prometheus 3 refuses such a scrape";
            observations.push(Observation::note("content type", Status::Warn, detail));
        }
        if !self.warnings.is_empty() {
            let detail = text::joined(self.warnings.iter().map(ToString::to_string), 5, "; ");
            observations.push(Observation::note("exposition", Status::Warn, detail));
        }
        if self.stamped && !self.metrics.honor_timestamps {
            let detail = "samples with timestamps were taken as of the scrape (honor_timestamps: false)";
            observations.push(Observation::note("timestamps", Status::Pass, detail));
        }
        if self.metrics.window.is_some() {
            observations.extend(self.instances_met());
            observations.extend(self.stopped_traffic(time));
        }
        observations
    }

    fn instances_met(&self) -> Vec<Observation> {
        let mut notes = Vec::new();
        for (side, known) in &self.instances {
            let scrapes: Vec<String> = known.iter().map(|instance| instance.scrapes.to_string()).collect();
            let name = if self.metrics.baseline.is_some() {
                format!("instances of {}", side.word())
            } else {
                "instances".into()
            };
            let detail = match scrapes.as_slice() {
                [only] => format!("one instance answered all {only} scrapes"),
                several => format!(
                    "{} instances answered, with {} scrapes: each is a series of its own, and rates are of what it gave",
                    several.len(),
                    several.join(", ")
                ),
            };
            notes.push(Observation::note(&name, Status::Pass, detail));
        }
        if let Some(counter) = &self.fell {
            let detail = format!(
                "{counter} went down between two scrapes, and there is no {} to tell instances apart: \
                 the rates may mix several",
                self.metrics.instance
            );
            notes.push(Observation::note("instances", Status::Warn, detail));
        }
        notes
    }

    /// Says where the counters behind a threshold moved at first and then no more.
    fn stopped_traffic(&self, time: i64) -> Vec<Observation> {
        let Some(window) = self.metrics.window else { return Vec::new() };
        let half = i64::try_from(window.length.as_millis() / 2).unwrap_or(i64::MAX);
        let mut notes = Vec::new();
        for threshold in &self.metrics.thresholds {
            let selectors = threshold.rule.expr().ranges();
            let series = self
                .storage
                .series()
                .filter(|series| selectors.iter().any(|selector| selector.matches(&series.labels)));
            let moves = series.flat_map(|series| series.points.windows(2));
            let last =
                moves.filter(|pair| pair[0].value.to_bits() != pair[1].value.to_bits()).map(|pair| pair[1].time).max();
            if let Some(last) = last.filter(|last| time - last > half) {
                #[expect(clippy::cast_precision_loss, reason = "a window is far below 2^53 milliseconds")]
                let ago = (time - last) as f64 / 1000.0;
                let detail = format!(
                    "what {:?} counts moved last {ago:.0} s before the end: traffic stopped in mid-window",
                    threshold.label()
                );
                notes.push(Observation::note("traffic", Status::Pass, detail));
            }
        }
        notes
    }

    pub(super) fn inventory(&self) -> &Inventory {
        &self.inventory
    }
}

fn exprs(metrics: &Metrics) -> impl Iterator<Item = &Expr> {
    let thresholds = metrics.thresholds.iter().map(|threshold| threshold.rule.expr());
    thresholds.chain(metrics.records.iter().map(|record| &record.expr))
}

/// The selector of all series of the same names: what other labels there are is told where none fits.
fn by_name(selector: &Selector) -> Selector {
    let mut selector = selector.clone();
    selector.matchers.retain(|matcher| matcher.label == METRIC_NAME);
    selector
}

/// The target that an instance is, by the labels of its side. Behind one address the first instance has its name.
fn target(metrics: &Metrics, labels: &BTreeMap<Side, Vec<(String, String)>>, side: Side, number: usize) -> Target {
    let labels = labels.get(&side).into_iter().flatten().map(|(name, value)| {
        let several = number > 0 && name == "instance";
        (name.clone(), if several { format!("{value}#{}", number + 1) } else { value.clone() })
    });
    Target::new(labels).honor_timestamps(metrics.honor_timestamps)
}
