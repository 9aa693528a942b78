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
    hidden: BTreeMap<(Stamper, String), Hidden>,
    /// When each was scraped last with samples that have no timestamp.
    unstamped: BTreeMap<Stamper, i64>,
    /// Whether there were any.
    pub(super) any: bool,
}

/// Why a sample is not what an evaluation sees.
struct Hidden {
    why: String,
    /// Whether it is ahead of the gate's clock, and not behind what was there before it.
    is_ahead: bool,
}

/// What is known of the samples' series beside their timestamps.
pub(super) struct Stored<'s> {
    /// Whether anything reads a metric of this name.
    pub(super) reads: &'s dyn Fn(&str) -> bool,
    /// The time of the newest point that is stored of a sample's series.
    pub(super) newest: &'s dyn Fn(&Sample<'_>) -> Option<i64>,
}

/// How many series of one scrape are looked up in what is stored: more of them would tell nothing new.
const LOOKED_UP: usize = 100;

impl Stamps {
    /// Takes in the timestamps of a scrape, before it is stored.
    pub(super) fn add(
        &mut self,
        stamper: Stamper,
        exposition: &Exposition<'_>,
        at: i64,
        honored: bool,
        stored: &Stored<'_>,
    ) {
        self.hidden.retain(|(other, _), _| *other != stamper);
        let unstamped = self.unstamped.get(&stamper).copied();
        if !exposition.has_timestamps() {
            self.unstamped.insert(stamper, at);
            return self.overtaken(stamper, exposition, at);
        }
        let mut looked_up = 0;
        for sample in exposition.samples() {
            let Some(stamp) = sample.timestamp().map(milliseconds) else {
                self.unstamped.insert(stamper, at);
                continue;
            };
            self.any = true;
            if !honored {
                return;
            }
            let name = sample.name().into_owned();
            if !(stored.reads)(&name) {
                continue;
            }
            if stamp <= at + SKEW {
                let newest = self.newest.entry(name.clone()).or_insert(i64::MIN);
                *newest = stamp.max(*newest);
            }
            // One that had no timestamp before is in none of the books here.
            let is_suspect = unstamped.is_some_and(|before| stamp < before) && looked_up < LOOKED_UP;
            let before = if is_suspect && !self.series.contains_key(&key(stamper, &sample)) {
                looked_up += 1;
                (stored.newest)(&sample).filter(|newest| stamp < *newest)
            } else {
                None
            };
            let why = match before {
                Some(before) => Some(older(before - stamp)),
                None => self.hides(stamper, &sample, stamp, at),
            };
            if let Some(why) = why {
                self.hidden.insert((stamper, name), Hidden { why, is_ahead: stamp > at + SKEW });
            }
        }
        self.overtaken(stamper, exposition, at);
    }

    /// Notes samples without a timestamp of series that have one ahead, which is what an evaluation goes on to see.
    fn overtaken(&mut self, stamper: Stamper, exposition: &Exposition<'_>, at: i64) {
        let is_ahead = |(other, stamp): (&(Stamper, String), &(i64, f64))| other.0 == stamper && stamp.0 > at;
        // Few have any: mostly no sample is looked at for this.
        if !self.series.iter().any(is_ahead) {
            return;
        }
        for sample in exposition.samples().filter(|sample| sample.timestamp().is_none()) {
            let Some((ahead, _)) = self.series.get(&key(stamper, &sample)).filter(|(stamp, _)| *stamp > at) else {
                continue;
            };
            let why = format!(
                "has a sample that is {} ahead by its timestamp, and another without one",
                distance(ahead - at)
            );
            self.hidden.insert((stamper, sample.name().into_owned()), Hidden { why, is_ahead: false });
        }
    }

    /// Why a sample is not what an evaluation sees, if so.
    fn hides(&mut self, stamper: Stamper, sample: &Sample<'_>, stamp: i64, at: i64) -> Option<String> {
        if stamp > at + SKEW {
            return Some(format!("has a sample that is {} ahead by its timestamp", distance(stamp - at)));
        }
        let key = key(stamper, sample);
        let value = sample.value();
        match self.series.get(&key) {
            // What was stored stays what is seen, however often the next scrapes say otherwise.
            Some((before, _)) if stamp < *before => Some(older(before - stamp)),
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
        self.hidden(expr, |_| true)
    }

    /// As [`Stamps::hidden_from`], where it is behind what was there before it: to an evaluation it looks as if it were gone.
    pub(super) fn behind(&self, expr: &Expr) -> Option<String> {
        self.hidden(expr, |hidden| !hidden.is_ahead)
    }

    fn hidden(&self, expr: &Expr, is_meant: impl Fn(&Hidden) -> bool) -> Option<String> {
        let selectors = expr.selectors();
        let mut hidden = self.hidden.iter().filter(|((_, name), hidden)| wants(&selectors, name) && is_meant(hidden));
        hidden.next().map(|((_, name), Hidden { why, .. })| format!("{name} {why}"))
    }
}

/// What tells a series from others.
fn key(stamper: Stamper, sample: &Sample<'_>) -> (Stamper, String) {
    let labels: Vec<_> = sample.labels().collect();
    (stamper, format!("{}{labels:?}", sample.name()))
}

fn older(milliseconds: i64) -> String {
    format!("has a sample that is {} older by its timestamp than the one before", distance(milliseconds))
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
            (["e 0 31000\n", "e 50\n"], Some("e has a sample that is 29s ahead")),
            (["e 0\n", "e 50 500\n"], Some("e has a sample that is 500ms older")),
            (["f 0\n", "e 50 500\n"], None),
            (["f 0\n", "e 50\ne 0 31000\n"], Some("e has a sample that is 29s ahead")),
            (["f 0 1000\n", "f 50 1000\n"], None),
        ] {
            let mut stamps = Stamps::default();
            for (number, scrape) in scrapes.iter().enumerate() {
                let exposition = Exposition::parse(scrape.as_bytes(), Format::Prometheus).unwrap();
                let newest = |sample: &Sample<'_>| (sample.name() == "e" && scrapes[0] == "e 0\n").then_some(1000);
                let stored = Stored { reads: &|_| true, newest: &newest };
                stamps.add((Side::Canary, 0), &exposition, 1000 + 1000 * i64::try_from(number).unwrap(), true, &stored);
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
            stamps.add(
                (Side::Canary, instance),
                &exposition,
                3000,
                true,
                &Stored { reads: &|_| true, newest: &|_| None },
            );
        }
        assert_eq!(stamps.hidden_from(&parse("sum(e) < 5").unwrap()), None);
    }

    #[test]
    fn only_what_is_read_says_what_time_it_is() {
        let mut stamps = Stamps::default();
        let exposition = Exposition::parse(b"e 0\ng 1 41000\n", Format::Prometheus).unwrap();
        stamps.add((Side::Canary, 0), &exposition, 1000, true, &Stored { reads: &|_| true, newest: &|_| None });
        assert_eq!(stamps.now(&parse("e < 1").unwrap(), 1000), 1000);
        assert_eq!(stamps.now(&parse("g < 1").unwrap(), 1000), 41000);
    }
}
