//! What the scrapes of a window add up to: series, instances, alerts, and what a person should know of them. Pure.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use promeval::exposition::{Exposition, Format, Sample, Warning};
use promeval::labels::METRIC_NAME;
use promeval::promql::ast::Selector;
use promeval::promql::{Evaluator, Expr};
use promeval::series::{RuleSeries, Storage, StoredSeries, Target};

use super::alerts::Activity;
#[cfg(test)]
use super::alerts::{ALERTS, ALERTS_FOR_STATE};
use super::courses;
use super::instances::Instances;
use super::rules::{Makers, elements, exprs, recorded};
use super::scrape::Scraped;
use super::stamps::{Stamps, Stored};
use super::thresholds::{alerted, compared, missing_families};
use crate::judge::{Evidence, Inventory, decide_over};
use crate::outcome::{Course, Observation, Side, Status, ThresholdVerdict};
use crate::plan::{Metrics, Rule, RuleStep, Threshold};
use crate::text;

/// What one rule has given so far.
#[derive(Default)]
struct RuleState {
    /// Whether it is evaluated.
    needed: bool,
    /// Whether another recording rule has its name.
    shares_name: bool,
    series: RuleSeries,
    /// Why an evaluation failed, if one did.
    error: Option<String>,
}

/// The scrapes so far.
pub(in crate::check) struct WindowState {
    metrics: Arc<Metrics>,
    /// The labels that a scrape configuration would give each side's series, by the side.
    labels: BTreeMap<Side, Vec<(String, String)>>,
    storage: Storage,
    /// What anything reads: only that is stored.
    read: Vec<Selector>,
    /// What the canary's newest scrape holds.
    inventory: Inventory,
    /// What the stable revision's newest scrape holds.
    stable: Inventory,
    /// What is not as its format wants it in that scrape, and is taken all the same.
    warnings: Vec<Warning>,
    /// The instances met, in their order.
    instances: BTreeMap<Side, Instances>,
    /// One for each rule.
    rules: Vec<RuleState>,
    /// The order in which they are evaluated.
    order: Vec<usize>,
    /// One for each threshold; only those of alerts are used.
    activities: Vec<Activity>,
    stamps: Stamps,
    /// Whether a scrape came without a content type.
    untyped: bool,
    /// When rules and thresholds could be evaluated: the times of the scrapes.
    times: Vec<i64>,
}

impl WindowState {
    /// `courses` says whether somebody wants to see how thresholds went over the window.
    pub(in crate::check) fn new(
        metrics: Arc<Metrics>,
        labels: BTreeMap<Side, Vec<(String, String)>>,
        courses: bool,
    ) -> Self {
        let makers = Makers::new(&metrics);
        let (needed, shared_names) = (makers.needed(), makers.shared_names());
        let selectors: Vec<Selector> = once(exprs(&metrics, &needed).flat_map(|expr| expr.selectors()).map(by_name));
        let mut storage = Storage::default().keeping(&selectors);
        // Beside a baseline, and with rules, scrapes and evaluations may follow on the one that counts in the end.
        let is_alone = metrics.baseline.is_none() && metrics.rules.is_empty() && !courses;
        if is_alone && !exprs(&metrics, &needed).any(Expr::reads_past) {
            storage = storage.newest_two();
        }
        Self {
            storage,
            read: selectors,
            order: if metrics.window.is_some() { (0..metrics.rules.len()).collect() } else { makers.order() },
            inventory: Inventory::default(),
            stable: Inventory::default(),
            warnings: Vec::new(),
            instances: BTreeMap::new(),
            rules: needed
                .into_iter()
                .zip(shared_names)
                .map(|(needed, shares_name)| RuleState { needed, shares_name, ..RuleState::default() })
                .collect(),
            activities: vec![Activity::new(metrics.window); metrics.thresholds.len()],
            stamps: Stamps::default(),
            untyped: false,
            times: Vec::new(),
            metrics,
            labels,
        }
    }

    /// Takes in one scrape.
    ///
    /// # Errors
    /// Why the text is not an exposition, or is more than can be kept.
    pub(in crate::check) fn add(&mut self, side: Side, scraped: &Scraped) -> Result<(), String> {
        let format = scraped.format.unwrap_or_else(|| Format::of_file(&scraped.body));
        self.untyped |= scraped.format.is_none();
        let exposition = Exposition::parse(&scraped.body, format)
            .map_err(|error| format!("200, but the metrics are malformed: {error}"))?;
        if side == Side::Canary {
            self.inventory = Inventory::new(&exposition);
            self.warnings = exposition.warnings().to_vec();
        } else {
            self.stable = Inventory::new(&exposition);
        }
        self.inventory.doubt(&self.stable);
        let Self { metrics, labels, instances, storage, stamps, read, .. } = self;
        let instances = instances.entry(side).or_default();
        let make = |number| target(metrics, labels, side, number);
        let index = instances.met(&exposition, scraped.at, &metrics.instance, metrics.window.is_some(), make);
        let own = instances.labels(index);
        let newest = |sample: &Sample<'_>| {
            let name = sample.name();
            let labels: Vec<_> = sample.labels().collect();
            let is_it = |series: &StoredSeries<'_>| {
                own.iter().all(|(name, value)| series.labels.get(name) == *value)
                    && labels.iter().all(|(name, value)| series.labels.get(name) == value)
            };
            storage.named(&name).find(is_it)?.points.last().map(|point| point.time)
        };
        let reads = |name: &str| read.iter().any(|selector| selector.wants(name));
        let stored = Stored { reads: &reads, newest: &newest };
        stamps.add((side, index), &exposition, scraped.at, metrics.honor_timestamps, &stored);
        let stored = instances.store(index, storage, &exposition, scraped.at);
        stored.map_err(|full| format!("200, but the metrics are too many: {full}"))
    }

    /// Notes a scrape that failed: what was known of the side has no value from then on.
    pub(super) fn missed(&mut self, side: Side, at: i64) {
        let Self { metrics, labels, instances, storage, .. } = self;
        instances.entry(side).or_default().missed(storage, at, || target(metrics, labels, side, 0));
    }

    /// Evaluates the rules at the time of a scrape, one after the other: each sees what those before it gave.
    ///
    /// # Errors
    /// Series of rules that are more than can be kept.
    pub(super) fn evaluate(&mut self, time: i64) -> Result<(), String> {
        let metrics = Arc::clone(&self.metrics);
        self.times.push(time);
        // Of two rules that give the same series at one time, the first is what counts.
        let mut given = HashSet::new();
        for position in 0..self.order.len() {
            let index = self.order[position];
            let step = &metrics.rules[index];
            if !self.rules[index].needed {
                continue;
            }
            let time = self.stamps.now(rule_expr(&metrics, step), time);
            let evaluated = |expr| {
                let value = Evaluator::new(&self.storage, time).value(expr).map_err(|error| error.message);
                value.and_then(elements)
            };
            let (name, series) = match step {
                RuleStep::Record(record) => match evaluated(&record.expr).and_then(|made| recorded(record, made)) {
                    Ok(mut series) => {
                        if self.rules[index].shares_name {
                            series.retain(|(labels, _)| given.insert(labels.clone()));
                        }
                        (&record.name, series)
                    }
                    Err(error) => {
                        self.rules[index].error = Some(error);
                        continue;
                    }
                },
                RuleStep::Alert(threshold) => {
                    let Rule::Silent(alert) = &metrics.thresholds[*threshold].rule else { continue };
                    let elements = evaluated(&alert.expr);
                    let activity = &mut self.activities[*threshold];
                    // A rule that fails writes nothing, and ends nothing. Why it failed is told at the end.
                    if let Err(error) = activity.evaluated(alert, time, elements) {
                        self.rules[index].error = Some(error);
                        continue;
                    }
                    (&alert.name, activity.series(alert).collect())
                }
            };
            self.rules[index]
                .series
                .write(&mut self.storage, series, time)
                .map_err(|full| format!("the series of the rule {name} are too many: {full}"))?;
            self.stamps.written(name, time);
        }
        Ok(())
    }

    /// Whether an evaluation of an alert failed.
    #[cfg(test)]
    pub(super) fn failed(&self, alert: &str) -> bool {
        let mut thresholds = self.metrics.thresholds.iter().zip(&self.activities);
        thresholds.any(|(threshold, activity)| threshold.label() == alert && activity.error().is_some())
    }

    /// What the rules gave at a time, by the series.
    #[cfg(test)]
    pub(super) fn given_at(&self, time: i64) -> BTreeMap<String, f64> {
        let rules = self.metrics.rules.iter();
        let records = rules.filter_map(|step| match step {
            RuleStep::Record(record) => Some(&*record.name),
            RuleStep::Alert(_) => None,
        });
        let names: HashSet<&str> = records.chain([ALERTS, ALERTS_FOR_STATE]).collect();
        let series = self.storage.series().filter(|series| names.contains(series.labels.metric_name()));
        let given = series.filter_map(|series| {
            let point = series.points.iter().find(|point| point.time == time && !point.is_stale())?;
            Some((series.labels.to_string(), point.value))
        });
        given.collect()
    }

    /// What the thresholds say at a time.
    pub(in crate::check) fn thresholds(&self, time: i64) -> Vec<Observation> {
        let makers = Makers::new(&self.metrics);
        let made = |selector: &Selector| makers.of(selector, |index| self.rules[index].error.as_deref());
        let evidence = |time| Evidence::new(&self.storage, &self.inventory, time, &made);
        // Few expressions read what is ahead of the gate's clock; the others share what is known of rules.
        let (own_time, shared) = (time, evidence(time));
        let observe = |(threshold, activity): (&Threshold, &Activity)| {
            let expr = threshold.rule.expr();
            let time = self.stamps.now(expr, time);
            let ahead = (time != own_time).then(|| evidence(time));
            let evidence = ahead.as_ref().unwrap_or(&shared);
            match &threshold.rule {
                Rule::Holds(comparison) => {
                    let mut decision = decide_over(expr, comparison.parts(), &self.storage, &self.inventory, time);
                    if decision.verdict != ThresholdVerdict::Fail
                        && let Some(why) = evidence.broken_rule(expr)
                    {
                        (decision.verdict, decision.why) = (ThresholdVerdict::NoData, why);
                    }
                    let hidden = match decision.verdict {
                        ThresholdVerdict::Fail => None,
                        ThresholdVerdict::Pass => self.stamps.hidden_from(expr),
                        ThresholdVerdict::NoData => self.stamps.behind(expr),
                    };
                    if let Some(why) = hidden {
                        (decision.verdict, decision.why) = (ThresholdVerdict::NoData, why);
                    }
                    compared(threshold, comparison, decision)
                }
                Rule::Silent(alert) => {
                    let blind = self.stamps.behind(expr).or_else(|| evidence.blind_spot(expr));
                    let blind = blind.or_else(|| self.stamps.hidden_from(expr));
                    alerted(threshold, alert, activity, blind)
                }
            }
        };
        self.metrics.thresholds.iter().zip(&self.activities).map(observe).collect()
    }

    /// The families that are missing in the newest scrape.
    pub(super) fn families(&self) -> Vec<Observation> {
        missing_families(&self.metrics, &self.inventory)
    }

    /// The labels that a scrape configuration would give each side's series.
    pub(super) fn labels(&self) -> Vec<(Side, Vec<(String, String)>)> {
        self.labels.iter().map(|(side, labels)| (*side, labels.clone())).collect()
    }

    /// How each threshold went over the window.
    pub(super) fn courses(&self) -> Vec<Vec<Course>> {
        let course = |threshold: &Threshold| {
            let times = self.times.iter().map(|time| self.stamps.now(threshold.rule.expr(), *time));
            courses::of(&threshold.rule, &self.storage, times)
        };
        self.metrics.thresholds.iter().map(course).collect()
    }

    /// All observations at the end.
    pub(super) fn observations(&self, time: i64) -> Vec<Observation> {
        let mut observations = self.families();
        observations.extend(self.thresholds(time));
        if self.inventory.is_empty() {
            let detail = "the exposition is empty: it has neither a sample nor a # TYPE line";
            observations.push(Observation::note("exposition", Status::Fail, detail));
        }
        if self.untyped {
            let detail = "the answer has no Content-Type; Prometheus 3 refuses such a scrape";
            observations.push(Observation::note("content type", Status::Warn, detail));
        }
        if !self.warnings.is_empty() {
            let detail = text::joined(self.warnings.iter().map(ToString::to_string), 5, "; ");
            observations.push(Observation::note("exposition", Status::Warn, detail));
        }
        if self.stamps.any && !self.metrics.honor_timestamps {
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
        let has_baseline = self.metrics.baseline.is_some();
        let notes = self.instances.iter().flat_map(|(side, instances)| {
            let name = if has_baseline { format!("instances of {}", side.word()) } else { "instances".into() };
            instances.notes(&name, &self.metrics.instance)
        });
        notes.collect()
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

/// What a rule evaluates.
fn rule_expr<'m>(metrics: &'m Metrics, step: &'m RuleStep) -> &'m Expr {
    match step {
        RuleStep::Record(record) => &record.expr,
        RuleStep::Alert(threshold) => metrics.thresholds[*threshold].rule.expr(),
    }
}

/// The selector of all series of the same names: what other labels there are is told where none fits.
fn by_name(selector: &Selector) -> Selector {
    let mut selector = selector.clone();
    selector.matchers.retain(|matcher| matcher.label == METRIC_NAME);
    selector
}

/// The selectors without those that ask for a name once more.
fn once(selectors: impl Iterator<Item = Selector>) -> Vec<Selector> {
    let mut names = HashSet::new();
    let is_new = |selector: &Selector| match selector.metric_name() {
        Some(name) if selector.matchers.len() == 1 => names.insert(name.to_owned()),
        Some(_) | None => true,
    };
    selectors.filter(is_new).collect()
}

/// The target that an instance is, by the labels of its side. Behind one address the first instance has its name.
fn target(metrics: &Metrics, labels: &BTreeMap<Side, Vec<(String, String)>>, side: Side, number: usize) -> Target {
    let labels = labels.get(&side).into_iter().flatten().map(|(name, value)| {
        let several = number > 0 && name == "instance";
        (name.clone(), if several { format!("{value}#{}", number + 1) } else { value.clone() })
    });
    Target::new(labels).honor_timestamps(metrics.honor_timestamps)
}
