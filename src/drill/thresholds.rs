//! Whether a threshold can fail: each is judged over the scrapes of the healthy run, with what it reads driven to extremes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use promeval::exposition::Format;
use promeval::number::format_value;

use super::perturb::{Perturbation, Value, about, step_beyond};
use super::reads::{counts, read};
use super::verdict::{Fails, Proven};
use crate::check::{By, healthy_traffic, judge_again, now};
use crate::evidence::Tape;
use crate::outcome::{
    Judged, Observation, Round, Scrape, ScrapeFormat, Severity, Side, SideSeen, Status, ThresholdVerdict,
};
use crate::plan::{Metrics, Rule, Threshold};

/// The most selectors of an expression that are changed one by one.
const ALONE: usize = 12;

/// The most numbers of an expression that are tried as values.
const NUMBERS: usize = 12;

/// How long it may take, for all thresholds of a check. Mostly it takes milliseconds.
const LONGEST: Duration = Duration::from_mins(1);

/// The scrapes of the healthy run.
#[derive(Clone)]
pub(super) struct Scrapes {
    pub(super) rounds: Vec<Round>,
    pub(super) judged: Judged,
}

impl Scrapes {
    /// The labels that the gate gives the canary's series.
    pub(super) fn labels(&self) -> Vec<(String, String)> {
        let own = self.judged.labels.iter().find(|(side, _)| *side == Side::Canary);
        own.map(|(_, labels)| labels.clone()).unwrap_or_default()
    }
}

/// What traffic to these paths would be measured as, where all is well.
pub(super) fn of_traffic<'p>(paths: impl Iterator<Item = &'p str>) -> Scrapes {
    let time = now();
    let scrape = Scrape { at: time, format: Some(ScrapeFormat::Prometheus), text: healthy_traffic(paths) };
    let sides = vec![SideSeen { side: Side::Canary, scrape: Some(scrape) }];
    let judged = Judged { time, seen: String::new(), labels: vec![(Side::Canary, Vec::new())], kept: None };
    Scrapes { rounds: vec![Round { time, sides }], judged }
}

/// What is known of the thresholds of a check, and what makes one of them fail: a blocking one, if any.
pub(super) fn prove(check: &str, metrics: &Metrics, scrapes: &Scrapes) -> (Vec<Proven>, Option<Perturbation>) {
    let began = Instant::now();
    let (mut proven, mut over): (Vec<Proven>, Option<(Severity, Perturbation)>) = (Vec::new(), None);
    for (index, threshold) in metrics.thresholds.iter().enumerate() {
        let told = |fails| Proven {
            check: check.to_owned(),
            name: threshold.label().to_owned(),
            expression: threshold.rule.source().to_owned(),
            severity: threshold.severity,
            place: threshold.place.clone(),
            fails,
        };
        if began.elapsed() > LONGEST {
            proven.push(told(Fails::Unknown("there was no time left to try it".into())));
            continue;
        }
        let one = One::new(metrics, index, scrapes);
        let (fails, by) = one.tried(threshold, began + LONGEST);
        if let Some(by) = by
            && over
                .as_ref()
                .is_none_or(|(severity, _)| *severity != Severity::Block && threshold.severity == Severity::Block)
        {
            over = Some((threshold.severity, by));
        }
        proven.push(told(fails));
    }
    (proven, over.map(|(_, by)| by))
}

/// One threshold, judged alone.
struct One<'s> {
    metrics: Arc<Metrics>,
    selectors: Vec<promeval::promql::ast::Selector>,
    /// The numbers of the expression.
    numbers: Vec<f64>,
    /// How far values that are high rise, from scrape to scrape.
    step: f64,
    scrapes: &'s Scrapes,
    labels: Vec<(String, String)>,
}

impl<'s> One<'s> {
    fn new(metrics: &Metrics, index: usize, scrapes: &'s Scrapes) -> Self {
        // An alert is a step of the rules by its position among the thresholds: all of them stay where there are rules.
        let alone =
            if metrics.rules.is_empty() { vec![metrics.thresholds[index].clone()] } else { metrics.thresholds.clone() };
        let (selectors, numbers) = read(metrics, metrics.thresholds[index].rule.expr());
        let metrics = Arc::new(Metrics { thresholds: alone, ..metrics.clone() });
        let step = step_beyond(&numbers);
        Self { metrics, selectors, numbers, step, scrapes, labels: scrapes.labels() }
    }

    fn tried(&self, threshold: &Threshold, until: Instant) -> (Fails, Option<Perturbation>) {
        let Some(healthy) = self.judged(None, threshold) else {
            return (Fails::Unknown("its scrapes could not be judged again".into()), None);
        };
        if verdict(&healthy) == Some(ThresholdVerdict::Fail) {
            return (Fails::Already(healthy.detail), None);
        }
        let mut tried = 0;
        let mut is_moved = false;
        for perturbation in self.values() {
            if Instant::now() > until {
                return (Fails::Unknown("there was no time left to try it to the end".into()), None);
            }
            let Some(seen) = self.judged(Some(&perturbation), threshold) else { continue };
            tried += 1;
            is_moved |= values(&seen) != values(&healthy);
            if verdict(&seen) == Some(ThresholdVerdict::Fail) {
                let what = match &*perturbation.selectors {
                    [only] => only.metric_name().unwrap_or("what it reads").to_owned(),
                    _ => "what it reads".to_owned(),
                };
                let by = format!("{what} {}: {}", perturbation.value.word(), seen.detail);
                return (Fails::ByValue(by), Some(perturbation));
            }
        }
        let all = |value| Perturbation { selectors: self.selectors.clone(), value, step: self.step };
        let without = |value| {
            let seen = self.judged(Some(&all(value)), threshold)?;
            (!matches!(seen.status, Status::Pass | Status::Skipped)).then_some(seen.detail)
        };
        let lost = without(Value::Lost);
        // What counts series, and not what they say, can fail by their loss alone.
        let is_alert = matches!(threshold.rule, Rule::Silent(_));
        let counts = counts(&self.metrics, threshold.rule.expr(), is_alert);
        if let (Some(lost), true, true, false) = (&lost, tried > 0, counts, is_moved) {
            return (Fails::ByLoss(lost.clone()), None);
        }
        let when = match (&lost, without(Value::NotANumber)) {
            (None, None) => "their loss and NaN change nothing either",
            (Some(_), None) => "only their loss is seen",
            (None, Some(_)) => "only NaN is seen",
            (Some(_), Some(_)) => "only their loss and NaN are seen",
        };
        let why = if tried == 0 {
            "it reads nothing that the service exposes".to_owned()
        } else {
            #[expect(clippy::cast_precision_loss, reason = "there are few scrapes")]
            let highest = self.step * self.scrapes.rounds.len() as f64;
            format!("it holds in {tried} trials, with values up to {}; {when}", format_value(highest))
        };
        (Fails::Never(why), None)
    }

    /// The values that are tried: each selector's series alone, then all together.
    fn values(&self) -> Vec<Perturbation> {
        let mut kinds = vec![Value::High, Value::Low, Value::Below, Value::One(self.step), Value::UpAndDown];
        // The last ones stand nearest to what is compared.
        let first = self.numbers.len().saturating_sub(NUMBERS);
        kinds.extend(about(&self.numbers[first..]));
        let alone = self.selectors.iter().take(ALONE).map(|selector| vec![selector.clone()]);
        let together = (self.selectors.len() > 1).then(|| self.selectors.clone());
        let groups: Vec<_> = alone.chain(together).collect();
        let of = |selectors: &Vec<_>| {
            let selectors = selectors.clone();
            kinds
                .iter()
                .map(move |value| Perturbation { selectors: selectors.clone(), value: *value, step: self.step })
                .collect::<Vec<_>>()
        };
        groups.iter().flat_map(of).collect()
    }

    /// What the threshold says over the scrapes; nothing where they cannot be changed in this way.
    fn judged(&self, by: Option<&Perturbation>, threshold: &Threshold) -> Option<Observation> {
        let mut rounds = self.scrapes.rounds.clone();
        for (number, round) in rounds.iter_mut().enumerate() {
            let own = round.sides.iter_mut().filter(|side| side.side == Side::Canary);
            for scrape in own.filter_map(|side| side.scrape.as_mut()) {
                let format = match scrape.format {
                    Some(ScrapeFormat::OpenMetrics) => Format::OpenMetrics,
                    Some(ScrapeFormat::Prometheus) | None => Format::Prometheus,
                };
                if let Some(by) = by {
                    scrape.text = by.applied(&scrape.text, format, &self.labels, number).ok()??;
                }
            }
        }
        let seen =
            judge_again(&self.metrics, Tape { rounds, ..Tape::default() }, &self.scrapes.judged, false, By::ItsOwn)
                .ok()?
                .thresholds();
        let is_it = |(own, _): &(&Threshold, Observation)| {
            own.label() == threshold.label() && own.rule.source() == threshold.rule.source()
        };
        self.metrics.thresholds.iter().zip(seen).find(is_it).map(|(_, seen)| seen)
    }
}

fn verdict(seen: &Observation) -> Option<ThresholdVerdict> {
    seen.threshold().map(|seen| seen.verdict)
}

/// What a threshold compared, as text: NaN is not equal to itself.
fn values(seen: &Observation) -> String {
    let elements = seen.threshold().map(|seen| &seen.elements);
    format!("{:?}", elements.into_iter().flatten().map(|element| (element.value, element.limit)).collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::outcome::Diagnostic;
    use crate::plan::{Kind, Lookup, PlanInput};

    const EXPOSED: &str = "# TYPE size gauge\nsize 40\n# TYPE hits_total counter\nhits_total{of=\"a\"} 7\nhits_total{of=\"b\"} 7\n\
                           # TYPE load gauge\nload{of=\"a\"} 2\nload{of=\"b\"} 2\nload{of=\"c\"} 2\n";

    /// One rules file, and nothing else.
    struct Rules;

    impl Lookup for Rules {
        fn env(&self, _: &str) -> Result<String, String> {
            Err("there is none".into())
        }
        fn file(&self, _: &str) -> Result<String, String> {
            Err("there is none".into())
        }
        fn text(&self, _: &Path) -> Result<String, Diagnostic> {
            Ok("groups: [{name: g, rules: [{record: mib, expr: size / 1024^2}]}]\n".into())
        }
        fn names(&self, _: &Path) -> Vec<String> {
            Vec::new()
        }
    }

    /// Four scrapes, a second apart.
    fn tried(expr: &str) -> Fails {
        let rules = if expr.contains("mib") { "rules: r.yml, " } else { "" };
        let checks = format!(
            "metrics: {{{rules}window: 3s, interval: 1s, require: [], thresholds: [{{name: t, expr: '{expr}'}}]}}"
        );
        let input = PlanInput { file: Some(("c.yaml".into(), checks)), ..PlanInput::default() };
        let plan = input.plan(&Rules).unwrap_or_else(|mistakes| panic!("{mistakes:?}"));
        let kinds = plan.checks.into_iter().map(|check| check.kind);
        let metrics = kinds.filter_map(|kind| if let Kind::Metrics(metrics) = kind { Some(metrics) } else { None });
        let mut scrapes = of_traffic(std::iter::empty());
        let first = scrapes.judged.time;
        let round = |number: i64| {
            let mut round = scrapes.rounds[0].clone();
            round.time = first + 1000 * number;
            let scrape = round.sides[0].scrape.as_mut().unwrap();
            (scrape.at, scrape.text) = (round.time, EXPOSED.into());
            round
        };
        scrapes.rounds = (0..4).map(round).collect();
        scrapes.judged.time = first + 3000;
        let (proven, _) = prove("metrics", &metrics.last().unwrap(), &scrapes);
        proven.into_iter().next().unwrap().fails
    }

    #[test]
    fn a_threshold_that_some_value_fails_is_told_so() {
        for (expr, wanted) in [
            ("size < 4 * 1024^4", "size high: "),
            ("size <= 4398046511104", "size high: "),
            ("mib < 4 * 1024^4", "size high: "),
            // Milliseconds since 1970.
            ("size < 1700000000000", "size high: "),
            ("size / 1000 - time() < 300", "size high: "),
            ("sum(size) != bool 12.5 == 1", "size at 12.5: "),
            ("sum(load) != bool 12.5 == 1", "load at 12.5 in one series and 0 in the others: "),
            ("(size <= bool 5) + (size >= bool 10) == 1", "size at 5.000005: "),
            ("(size < bool 10) + (size > bool 10) == 1", "size at 10: "),
            ("stddev(load) < 4 * 1024^4", "load at "),
            ("sum(resets(hits_total[3s])) < 1", "hits_total up and down: "),
            ("sum(rate(hits_total[3s])) < 4 * 1024^4", "hits_total high: "),
        ] {
            let seen = tried(expr);
            assert!(matches!(&seen, Fails::ByValue(said) if said.starts_with(wanted)), "{expr}: {seen:?}");
        }
    }

    #[test]
    fn a_threshold_that_no_value_fails_is_told_so() {
        for (expr, wanted) in [
            // Counters are never below zero.
            (
                "sum(hits_total) > -1",
                "it holds in 4 trials, with values up to 4000000000000; only their loss and NaN are seen",
            ),
            ("sum(hits_total) >= 0", "it holds in "),
            // What is compared does not move, and yet no series are counted.
            ("sum(hits_total) >= bool 0 == 1", "it holds in "),
            ("mib * 0 <= 0", "it holds in "),
            ("missing < 5", "it reads nothing"),
        ] {
            let seen = tried(expr);
            assert!(matches!(&seen, Fails::Never(said) if said.starts_with(wanted)), "{expr}: {seen:?}");
        }
        for expr in ["count(load) >= 3", "count(load) / 3 >= 1", "count(load unless missing) > 1"] {
            let seen = tried(expr);
            assert!(matches!(&seen, Fails::ByLoss(_)), "{expr}: {seen:?}");
        }
    }
}
