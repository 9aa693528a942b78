//! Samples with timestamps of their own: what time it is by them, and which of them hide what the newest scrape says. Pure.

use std::collections::BTreeMap;
use std::time::Duration;

use promeval::exposition::{Exposition, Sample};
use promeval::promql::Expr;
use promeval::promql::ast::Selector;
use promeval::series::milliseconds;

use crate::outcome::Side;
use crate::text;

/// How far the clock of a canary may be ahead of the gate's: its newest sample is then what time it is.
const SKEW: i64 = 60_000;

/// One instance of a side, by its number: what it stamps says nothing of another's stamps.
pub(super) type Stamper = (Side, usize);

/// The timestamps of samples.
#[derive(Default)]
pub(super) struct Stamps {
    /// For each series, its newest timestamp and the value there.
    series: BTreeMap<(Stamper, String), (i64, f64)>,
    /// For each metric, the newest timestamp that is ahead of the gate's clock by no more than a skew.
    newest: BTreeMap<String, i64>,
    /// For each metric whose newest sample is not what an evaluation sees, why.
    hidden: BTreeMap<(Stamper, String), String>,
    /// Whether there were any.
    pub(super) any: bool,
}

impl Stamps {
    /// Takes in the timestamps of a scrape.
    pub(super) fn add(&mut self, stamper: Stamper, exposition: &Exposition<'_>, at: i64, honored: bool) {
        self.hidden.retain(|(other, _), _| *other != stamper);
        let stamped = exposition.samples().filter_map(|sample| Some((sample.timestamp().map(milliseconds)?, sample)));
        for (stamp, sample) in stamped {
            self.any = true;
            if !honored {
                return;
            }
            let name = sample.name().into_owned();
            if stamp <= at + SKEW {
                let newest = self.newest.entry(name.clone()).or_insert(i64::MIN);
                *newest = stamp.max(*newest);
            }
            if let Some(why) = self.hides(stamper, &sample, stamp, at) {
                self.hidden.insert((stamper, name), why);
            }
        }
    }

    /// Why a sample is not what an evaluation sees, if so.
    fn hides(&mut self, stamper: Stamper, sample: &Sample<'_>, stamp: i64, at: i64) -> Option<String> {
        if stamp > at + SKEW {
            return Some(format!("has a sample that is {} ahead by its timestamp", distance(stamp - at)));
        }
        let labels: Vec<_> = sample.labels().collect();
        let key = (stamper, format!("{}{labels:?}", sample.name()));
        let value = sample.value();
        match self.series.get(&key) {
            // What was stored stays what is seen, however often the next scrapes say otherwise.
            Some((before, _)) if stamp < *before => Some(format!(
                "has a sample that is {} older by its timestamp than the one before",
                distance(before - stamp)
            )),
            Some((before, known)) if stamp == *before => (value.to_bits() != known.to_bits())
                .then(|| "changes its value and not its timestamp: what came first is what counts".into()),
            _ => {
                self.series.insert(key, (stamp, value));
                None
            }
        }
    }

    /// Notes what a rule wrote at a time.
    pub(super) fn written(&mut self, name: &str, time: i64) {
        self.newest.insert(name.to_owned(), time);
    }

    /// The time of an evaluation: the gate's own, or that of what the expression reads where that is a little ahead.
    pub(super) fn now(&self, expr: &Expr, time: i64) -> i64 {
        let selectors = expr.selectors();
        let read = self.newest.iter().filter(|(name, _)| wants(&selectors, name));
        read.map(|(_, newest)| *newest).max().unwrap_or(time).max(time)
    }

    /// Which metric that an expression reads has a newest sample that is not what the evaluation sees, and why.
    pub(super) fn hidden_from(&self, expr: &Expr) -> Option<String> {
        let selectors = expr.selectors();
        let mut hidden = self.hidden.iter().filter(|((_, name), _)| wants(&selectors, name));
        hidden.next().map(|((_, name), why)| format!("{name} {why}"))
    }
}

fn wants(selectors: &[&Selector], name: &str) -> bool {
    selectors.iter().any(|selector| selector.wants(name))
}

fn distance(milliseconds: i64) -> String {
    text::duration(Duration::from_millis(milliseconds.unsigned_abs()))
}

#[cfg(test)]
mod tests {
    use promeval::exposition::Format;
    use promeval::promql::parse;

    use super::*;

    #[test]
    fn a_newest_sample_that_is_not_seen_is_told() {
        for (scrapes, wanted) in [
            (["e 0 1000\n", "e 50 1000\n"], Some("e changes its value and not its timestamp")),
            (["e 0 1000\n", "e 0 1000\n"], None),
            (["e 0 1000\n", "e 50 2000\n"], None),
            (["e 0 2000\n", "e 50 1000\n"], Some("e has a sample that is 1s older")),
            (["e 0\n", "e 0 1000\ne 50 700000\n"], Some("e has a sample that is 11m 38s ahead")),
            (["e 0 1000\n", "e 50\n"], None),
            (["f 0 1000\n", "f 50 1000\n"], None),
        ] {
            let mut stamps = Stamps::default();
            for (number, scrape) in scrapes.iter().enumerate() {
                let exposition = Exposition::parse(scrape.as_bytes(), Format::Prometheus).unwrap();
                stamps.add((Side::Canary, 0), &exposition, 1000 + 1000 * i64::try_from(number).unwrap(), true);
            }
            let found = stamps.hidden_from(&parse("sum(e) < 5").unwrap());
            match wanted {
                Some(piece) => {
                    assert!(found.as_ref().is_some_and(|why| why.starts_with(piece)), "{scrapes:?}: {found:?}");
                }
                None => assert_eq!(found, None, "{scrapes:?}"),
            }
        }
    }

    #[test]
    fn instances_have_clocks_of_their_own() {
        let mut stamps = Stamps::default();
        for (instance, scrape) in [(0, "e 7 2000\n"), (1, "e 0 1500\n"), (0, "e 8 3000\n"), (1, "e 0 2500\n")] {
            let exposition = Exposition::parse(scrape.as_bytes(), Format::Prometheus).unwrap();
            stamps.add((Side::Canary, instance), &exposition, 3000, true);
        }
        assert_eq!(stamps.hidden_from(&parse("sum(e) < 5").unwrap()), None);
    }

    #[test]
    fn only_what_is_read_says_what_time_it_is() {
        let mut stamps = Stamps::default();
        let exposition = Exposition::parse(b"e 0\ng 1 41000\n", Format::Prometheus).unwrap();
        stamps.add((Side::Canary, 0), &exposition, 1000, true);
        assert_eq!(stamps.now(&parse("e < 1").unwrap(), 1000), 1000);
        assert_eq!(stamps.now(&parse("g < 1").unwrap(), 1000), 41000);
    }
}
