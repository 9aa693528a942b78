//! What a real Prometheus made of random alerts, replayed: the same bodies at the same moments give the same samples.
//!
//! `tests/alerts/README.md` tells the format, `scripts/alerts_oracle.py` records it anew.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use promeval::exposition::Format;

use super::scrape::Scraped;
use super::window::WindowState;
use crate::outcome::{Diagnostic, Side, ThresholdVerdict};
use crate::plan::{Kind, Lookup, Metrics, PlanInput};

/// One target and its rules. Times are milliseconds.
#[derive(Default)]
struct Scenario {
    rules: String,
    /// With whether they failed.
    scrapes: Vec<(i64, bool)>,
    /// Each series with its values by the scrape, as they are written; `_` where it is not there.
    exposed: Vec<(String, Vec<String>)>,
    evaluations: Vec<i64>,
    /// The same by the evaluation, of what the rules gave.
    given: Vec<(String, Vec<String>)>,
}

impl Scenario {
    fn read(block: &str) -> Self {
        let mut scenario = Self::default();
        let row = |line: &str| {
            let (series, values) = line.trim().rsplit_once(" = ").unwrap();
            (series.to_owned(), values.split(' ').map(str::to_owned).collect())
        };
        let mut part = "";
        for line in block.lines() {
            match line.split_once(' ') {
                Some(("", row_text)) => match part {
                    "scenario" => scenario.rules.push_str(&format!("{}\n", &row_text[3..])),
                    "scrapes" => scenario.exposed.push(row(row_text)),
                    _ => scenario.given.push(row(row_text)),
                },
                Some((name, times)) => {
                    part = name;
                    let time = |time: &str| (time.trim_end_matches('!').parse().unwrap(), time.ends_with('!'));
                    let times = times.split(' ').map(time);
                    match name {
                        "scrapes" => scenario.scrapes = times.collect(),
                        _ => scenario.evaluations = times.map(|(time, _)| time).collect(),
                    }
                }
                None => part = line,
            }
        }
        scenario
    }

    fn body(&self, scrape: usize) -> String {
        let there = self.exposed.iter().filter(|(_, values)| values[scrape] != "_");
        there.map(|(series, values)| format!("{series} {}\n", values[scrape])).collect()
    }

    /// What the rules give at each evaluation, by the series; and what the gate says of the alerts at the end.
    fn replayed(&self) -> (Vec<BTreeMap<String, f64>>, BTreeMap<String, ThresholdVerdict>) {
        let metrics = self.metrics();
        let labels = vec![("job".to_owned(), "app".to_owned()), ("instance".to_owned(), "i".to_owned())];
        let mut state = WindowState::new(metrics, BTreeMap::from([(Side::Canary, labels)]), false);
        let mut scrapes = self.scrapes.iter().enumerate().peekable();
        let mut given = Vec::new();
        for time in &self.evaluations {
            while let Some((index, (at, failed))) = scrapes.next_if(|(_, (at, _))| at <= time) {
                if *failed {
                    state.missed(Side::Canary, *at);
                } else {
                    let body = self.body(index).into_bytes();
                    let scraped = Scraped { body, format: Some(Format::Prometheus), at: *at };
                    state.add(Side::Canary, &scraped).unwrap();
                }
            }
            state.evaluate(*time).unwrap();
            given.push(state.given_at(*time));
        }
        let end = *self.evaluations.last().unwrap();
        let verdicts = state.thresholds(end).into_iter().skip(1);
        // What fires when an evaluation fails goes on firing, and gives no sample.
        let verdicts = verdicts.filter(|seen| !state.failed(&seen.name));
        let verdicts = verdicts.map(|seen| (seen.name.clone(), seen.threshold().unwrap().verdict)).collect();
        (given, verdicts)
    }

    fn metrics(&self) -> Arc<Metrics> {
        // A window that is never over, in which everything is kept.
        let checks = "timeout: 3h\nmetrics: {rules: r.yml, window: 1h, interval: 1s, timeout: 2h, \
                      thresholds: [{expr: 'count({__name__=~\".+\"}) > 0'}]}";
        let input = PlanInput { file: Some(("c.yaml".into(), checks.into())), ..PlanInput::default() };
        let plan = input.plan(&Files(&self.rules)).unwrap_or_else(|mistakes| panic!("{}\n{mistakes:#?}", self.rules));
        let metrics = plan.checks.iter().find_map(|check| match &check.kind {
            Kind::Metrics(metrics) => Some(metrics.clone()),
            _ => None,
        });
        metrics.unwrap()
    }

    /// What differs from what the server gave.
    fn differences(&self) -> Vec<String> {
        let mut different = Vec::new();
        let (replayed, verdicts) = self.replayed();
        for (name, verdict) in verdicts {
            let state = format!("ALERTS{{alertname=\"{name}\", alertstate=\"firing\"");
            let fires =
                self.given.iter().any(|(series, values)| series.starts_with(&state) && *values.last().unwrap() != "_");
            if fires != (verdict == ThresholdVerdict::Fail) && (fires || verdict != ThresholdVerdict::NoData) {
                different.push(format!("{name} fires: {fires}, and the gate says {verdict:?}"));
            }
        }
        for (index, (mine, time)) in replayed.into_iter().zip(&self.evaluations).enumerate() {
            let mut wanted = BTreeMap::new();
            for (series, values) in self.given.iter().filter(|(_, values)| values[index] != "_") {
                let value: f64 = values[index].replace("Inf", "inf").parse().unwrap();
                wanted.insert(series.clone(), value);
            }
            let close = |a: f64, b: f64| a == b || a.is_nan() && b.is_nan() || (a - b).abs() <= 1e-12 * a.abs();
            let same =
                mine.len() == wanted.len() && mine.iter().zip(&wanted).all(|((a, x), (b, y))| a == b && close(*x, *y));
            if !same {
                let only = |a: &BTreeMap<String, f64>, b: &BTreeMap<String, f64>| -> Vec<String> {
                    let lacks =
                        |(series, value): &(&String, &f64)| b.get(*series).is_none_or(|other| !close(**value, *other));
                    a.iter().filter(lacks).map(|(series, value)| format!("{series} {value}")).collect()
                };
                different.push(format!(
                    "at {time}: only here {:?}, only there {:?}",
                    only(&mine, &wanted),
                    only(&wanted, &mine)
                ));
            }
        }
        different
    }
}

struct Files<'t>(&'t str);

impl Lookup for Files<'_> {
    fn env(&self, _: &str) -> Result<String, String> {
        Ok("secret".into())
    }
    fn file(&self, _: &str) -> Result<String, String> {
        Ok("secret".into())
    }
    fn text(&self, _: &Path) -> Result<String, Diagnostic> {
        Ok(self.0.to_owned())
    }
    fn names(&self, _: &Path) -> Vec<String> {
        Vec::new()
    }
}

#[test]
fn alerts_are_those_of_prometheus() {
    let folder = std::env::var_os("ALERTS_CORPUS")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/alerts"), PathBuf::from);
    let files = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
    let files: Vec<PathBuf> = files.filter(|path| path.extension().is_some_and(|ending| ending == "txt")).collect();
    let (mut scenarios, mut samples, mut wrong) = (0, 0, Vec::new());
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        for block in text.split("\n\n") {
            let scenario = Scenario::read(block);
            scenarios += 1;
            samples += scenario.given.iter().flat_map(|(_, values)| values).filter(|value| *value != "_").count();
            let differences = scenario.differences();
            if !differences.is_empty() {
                wrong.push(format!("{}:\n{block}\n{}", file.display(), differences.join("\n")));
            }
        }
    }
    println!("{scenarios} scenarios, {samples} samples");
    assert!(wrong.is_empty(), "{} of {scenarios} differ:\n{}", wrong.len(), wrong[..wrong.len().min(5)].join("\n\n"));
    assert!(std::env::var_os("ALERTS_CORPUS").is_some() || scenarios >= 200, "{scenarios} scenarios");
}
