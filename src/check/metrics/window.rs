//! What the scrapes of a window add up to: series, instances, alerts, and what a person should know of them. Pure.

use std::collections::{BTreeMap, HashSet};

use promeval::exposition::{Exposition, Format, Kind};
use promeval::labels::Labels;
use promeval::number::format_value;
use promeval::promql::{Element, Evaluator, Expr, Value};
use promeval::series::{Point, Storage};

use super::alerts::Activity;
use super::scrape::Scraped;
use super::thresholds::{alerted, compared, missing_families};
use crate::judge::{Inventory, decide_over};
use crate::outcome::{Observation, Status};
use crate::plan::{Metrics, Rule, Threshold};

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

/// The scrapes so far.
pub(super) struct WindowState<'p> {
    metrics: &'p Metrics,
    storage: Storage,
    /// What the canary's newest scrape holds.
    inventory: Inventory,
    /// The instances met, in their order, each with its number of scrapes.
    instances: BTreeMap<Side, Vec<(Option<String>, u32)>>,
    /// One for each threshold; only those of alerts are used.
    activities: Vec<Activity>,
    /// Whether a scrape came without a content type.
    untyped: bool,
    /// Whether a counter went down from one scrape of an instance to the next.
    fell: Option<String>,
    counters: BTreeMap<(Side, String), f64>,
}

impl<'p> WindowState<'p> {
    pub(super) fn new(metrics: &'p Metrics) -> Self {
        Self {
            metrics,
            storage: Storage::default(),
            inventory: Inventory::default(),
            instances: BTreeMap::new(),
            activities: vec![Activity::default(); metrics.thresholds.len()],
            untyped: false,
            fell: None,
            counters: BTreeMap::new(),
        }
    }

    /// Takes in one scrape.
    ///
    /// # Errors
    /// Why the text is not an exposition.
    pub(super) fn add(&mut self, side: Side, scraped: &Scraped) -> Result<(), String> {
        let format = scraped.format.unwrap_or_else(|| Format::of_file(&scraped.body));
        self.untyped |= scraped.format.is_none();
        let exposition = Exposition::parse(&scraped.body, format)
            .map_err(|error| format!("200, but the metrics are malformed: {error}"))?;
        if side == Side::Canary {
            self.inventory = Inventory::default();
            self.inventory.add(&exposition);
        }
        let instance = self.met(side, &exposition);
        let mut extra = Vec::new();
        if self.metrics.baseline.is_some() {
            extra.push(("target", side.word()));
        }
        if self.metrics.window.is_some() {
            extra.push(("instance", &*instance));
            self.watch_counters(side, &exposition);
        }
        let exprs: Vec<&Expr> = self.exprs().collect();
        let selectors: Vec<_> = exprs.iter().flat_map(|expr| expr.selectors()).collect();
        self.storage
            .ingest(&exposition, scraped.at, &extra, |name| selectors.iter().any(|selector| selector.wants(name)))
            .map_err(|full| full.to_string())?;
        self.up(&extra, scraped.at, 1.0);
        Ok(())
    }

    /// Notes a scrape that failed.
    pub(super) fn missed(&mut self, side: Side, at: i64) {
        let extra = if self.metrics.baseline.is_some() { vec![("target", side.word())] } else { Vec::new() };
        self.up(&extra, at, 0.0);
    }

    /// The series `up`, which a Prometheus server makes of its scrapes, and alerts read.
    fn up(&mut self, extra: &[(&str, &str)], time: i64, value: f64) {
        let name = ("__name__", "up");
        let _ = self.storage.append(&Labels::new(extra.iter().copied().chain([name])), Point { time, value });
    }

    fn exprs(&self) -> impl Iterator<Item = &'p Expr> {
        let metrics = self.metrics;
        let thresholds = metrics.thresholds.iter().map(|threshold| threshold.rule.expr());
        thresholds.chain(metrics.records.iter().map(|record| &record.expr))
    }

    /// The number of the instance that answered, counted from 1.
    fn met(&mut self, side: Side, exposition: &Exposition<'_>) -> String {
        let mut samples = exposition.samples();
        let key =
            samples.find(|sample| sample.name() == self.metrics.instance).map(|sample| format_value(sample.value()));
        let known = self.instances.entry(side).or_default();
        let index = known.iter().position(|(other, _)| *other == key).unwrap_or_else(|| {
            known.push((key, 0));
            known.len() - 1
        });
        known[index].1 += 1;
        (index + 1).to_string()
    }

    /// Where instances cannot be told apart, a counter that falls is the only sign of a second one.
    fn watch_counters(&mut self, side: Side, exposition: &Exposition<'_>) {
        let anonymous = self.instances.get(&side).is_some_and(|known| known.iter().any(|(key, _)| key.is_none()));
        if !anonymous {
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

    /// Evaluates the recording rules and the alerts at the time of a scrape.
    pub(super) fn evaluate(&mut self, time: i64) {
        for record in &self.metrics.records {
            // A rule that fails makes no series; what reads it then has no data.
            let Ok(Value::Vector(elements)) = Evaluator::new(&self.storage, time).value(&record.expr) else { continue };
            for Element { mut labels, value } in elements {
                labels.set("__name__", &record.name);
                for (name, value) in &record.labels {
                    labels.set(name, value);
                }
                let _ = self.storage.append(&labels, Point { time, value });
            }
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
    }

    /// What the thresholds say at a time.
    pub(super) fn thresholds(&self, time: i64) -> Vec<Observation> {
        let observe = |(threshold, activity): (&Threshold, &Activity)| match &threshold.rule {
            Rule::Holds(comparison) => {
                let (expr, parts) = (comparison.expr(), comparison.parts());
                compared(threshold, comparison, decide_over(expr, parts, &self.storage, &self.inventory, time))
            }
            Rule::Silent(alert) => alerted(threshold, alert, activity, self.unseen(&alert.expr)),
        };
        self.metrics.thresholds.iter().zip(&self.activities).map(observe).collect()
    }

    /// Which metric of an alert does not exist at all: that it does not fire then says nothing.
    fn unseen(&self, expr: &Expr) -> Option<String> {
        let known = |name: &str| self.inventory.declares(name) || self.storage.named(name).next().is_some();
        let recorded = |name: &str| self.metrics.records.iter().any(|record| record.name == name);
        let selectors = expr.selectors();
        let mut missing = selectors
            .into_iter()
            .filter(|selector| selector.metric_name().is_some_and(|name| !known(name) && !recorded(name)));
        missing.next().and_then(|selector| self.inventory.absence(selector, &self.storage))
    }

    /// All observations at the end.
    pub(super) fn observations(&self, time: i64) -> Vec<Observation> {
        let mut observations = missing_families(self.metrics, &self.inventory);
        observations.extend(self.thresholds(time));
        if self.untyped {
            let detail = "the answer has no Content-Type; Prometheus 3 refuses such a scrape";
            observations.push(Observation::note("content type", Status::Warn, detail));
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
            let scrapes: Vec<String> = known.iter().map(|(_, count)| count.to_string()).collect();
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

    /// The path that is scraped.
    pub(super) fn path(&self) -> &str {
        &self.metrics.request.path
    }

    pub(super) fn inventory(&self) -> &Inventory {
        &self.inventory
    }
}
