//! Runs Prometheus's own evaluation tests, where the folder that holds its `.test` files is named by `PROMQL_TESTS`.
//!
//! Every evaluation that needs neither native histograms nor a feature flag that is off by default must give what the file
//! says. The others are counted by reason.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "outside production code")]

#[path = "suite/file.rs"]
mod file;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::{env, fs};

use file::{Command, Eval, Line, Values, Wanted};
use promeval::number::format_value;
use promeval::promql::{QueryRange, range_query};
use promeval::{Element, Evaluator, Expr, Labels, Point, Series, Storage, Value, parse};

/// How far two values may be apart, relative to them: the files round theirs.
const TOLERANCE: f64 = 1e-6;

/// Evaluations, by file and line, that give what they give only under the feature flag promql-delayed-name-removal: nothing in
/// their words shows it.
const DELAYED_NAME_REMOVAL: [(&str, &[usize]); 2] =
    [("name_label_dropping.test", &[59, 64, 69, 74, 89, 115, 119, 123]), ("type_and_unit.test", &[77, 92, 222, 237])];

/// What a file has loaded so far.
#[derive(Default)]
struct Loaded {
    storage: Storage,
    native: Vec<Labels>,
    start_timestamps: Vec<Labels>,
}

/// How an evaluation ended.
enum End {
    Passed,
    /// It needs what this crate has not.
    Needs(String),
    Failed(String),
}

#[test]
fn prometheus_s_own_tests_pass() {
    let Some(folder) = env::var_os("PROMQL_TESTS").map(PathBuf::from) else {
        println!("skipped: PROMQL_TESTS names no folder with Prometheus's .test files");
        return;
    };
    let mut files: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "test"));
    files.sort();
    assert!(!files.is_empty(), "{} has no .test files", folder.display());
    let (mut total, mut passed) = (0, 0);
    let mut needs: BTreeMap<String, usize> = BTreeMap::new();
    let mut failed = Vec::new();
    for path in &files {
        let mut loaded = Loaded::default();
        for command in file::commands(&fs::read_to_string(path).unwrap()) {
            let eval = match command {
                Command::Clear => {
                    loaded = Loaded::default();
                    continue;
                }
                Command::Load { step, series, with_native } => {
                    for line in series {
                        loaded.load(line, step, with_native);
                    }
                    continue;
                }
                Command::Eval(eval) => eval,
            };
            total += 1;
            let name = path.file_name().unwrap().display().to_string();
            let delayed = DELAYED_NAME_REMOVAL.iter().any(|(file, lines)| *file == name && lines.contains(&eval.line));
            match loaded.run(&eval) {
                End::Passed => passed += 1,
                End::Needs(reason) => *needs.entry(reason).or_default() += 1,
                End::Failed(_) if delayed => {
                    *needs.entry("feature flag promql-delayed-name-removal".into()).or_default() += 1;
                }
                End::Failed(how) => {
                    failed.push(format!("{name}:{}: {}\n    {how}", eval.line, eval.expression));
                }
            }
        }
    }
    println!("{passed} of {total} evaluations pass");
    for (reason, count) in &needs {
        println!("{count:5} need {reason}");
    }
    assert!(failed.is_empty(), "{} fail\n{}", failed.len(), failed.join("\n"));
}

impl Loaded {
    fn load(&mut self, line: Line, step: i64, with_native: bool) {
        match line.values {
            Values::Native => self.native.push(line.labels),
            Values::StartTimestamps => self.start_timestamps.push(line.labels),
            Values::Floats(values) => {
                let bucket = line.labels.metric_name().strip_suffix("_bucket").map(str::to_owned);
                if let Some(name) = bucket.filter(|_| with_native) {
                    let mut labels = line.labels.clone();
                    labels.set("le", "");
                    labels.set("__name__", &name);
                    self.native.push(labels);
                }
                for (index, value) in values.iter().enumerate() {
                    if let Some(value) = *value {
                        let time = i64::try_from(index).unwrap() * step;
                        self.storage.append(&line.labels, Point { time, value }).unwrap();
                    }
                }
            }
        }
    }

    fn run(&self, eval: &Eval) -> End {
        let expr = match parse(&eval.expression) {
            Ok(expr) => expr,
            Err(error) => {
                return match refusal(&error.message) {
                    Some(reason) => End::Needs(reason),
                    None if eval.fails => End::Passed,
                    None => End::Failed(format!("refused: {error}")),
                };
            }
        };
        let reads = |labels: &Labels| expr.selectors().iter().any(|selector| selector.matches(labels));
        if self.native.iter().any(reads) || eval.wants_native() {
            return End::Needs("native histograms".into());
        }
        if self.start_timestamps.iter().any(reads) {
            return End::Needs("feature flag use-start-timestamps".into());
        }
        match (eval.check(&self.storage, &expr), eval.fails) {
            (Ok(()), _) => End::Passed,
            (Err(how), _) => End::Failed(how),
        }
    }
}

/// The reason in a message that refuses what this crate has not.
fn refusal(message: &str) -> Option<String> {
    if message.contains("native histograms") {
        return Some("native histograms".into());
    }
    let (_, flag) = message.split_once("(feature flag ")?;
    Some(format!("feature flag {}", flag.split(')').next()?))
}

impl Eval {
    fn wants_native(&self) -> bool {
        let (Wanted::Series(lines) | Wanted::Range { series: lines, .. }) = &self.wanted else { return false };
        lines.iter().any(|line| matches!(line.values, Values::Native))
    }

    fn check(&self, storage: &Storage, expr: &Expr) -> Result<(), String> {
        let (start, end, step) = self.times;
        let found = if step > 0 {
            range_query(storage, expr, QueryRange { start, end, step }).map(Value::Matrix)
        } else {
            Evaluator::new(storage, start).value(expr)
        };
        match (found, self.fails) {
            (Err(_), true) => Ok(()),
            (Err(error), false) => Err(format!("refused: {error}")),
            (Ok(found), true) => Err(format!("want a refusal, found {found:?}")),
            (Ok(found), false) => self.compare(found),
        }
    }

    fn compare(&self, found: Value) -> Result<(), String> {
        let (start, _, step) = self.times;
        let differ = |wanted: String, found: String| Err(format!("want {wanted}\n    found {found}"));
        match (&self.wanted, found) {
            (Wanted::Scalar(wanted), Value::Scalar(found)) if same(*wanted, found) => Ok(()),
            (Wanted::Scalar(wanted), found) => differ(format_value(*wanted), format!("{found:?}")),
            (Wanted::String(wanted), Value::String(found)) if *wanted == found => Ok(()),
            (Wanted::String(wanted), found) => differ(wanted.clone(), format!("{found:?}")),
            (wanted, Value::Vector(found)) => {
                let wanted = match wanted {
                    Wanted::Series(lines) => lines.iter().map(|line| (&line.labels, line.points(start, 1))).collect(),
                    _ => Vec::new(),
                };
                let one = |element: &Element| vec![Point { time: start, value: element.value }];
                let found: Vec<_> = found.iter().map(|element| (&element.labels, one(element))).collect();
                compare_series(wanted, found, self.ordered)
            }
            (wanted, Value::Matrix(found)) => {
                let wanted = match wanted {
                    Wanted::Series(lines) => {
                        lines.iter().map(|line| (&line.labels, line.points(start, step))).collect()
                    }
                    Wanted::Range { start, step, series } => {
                        series.iter().map(|line| (&line.labels, line.points(*start, *step))).collect()
                    }
                    _ => Vec::new(),
                };
                let found = found.iter().map(|Series { labels, points }| (labels, points.clone())).collect();
                compare_series(wanted, found, false)
            }
            (_, found) => differ("series".into(), format!("{found:?}")),
        }
    }
}

impl Line {
    fn points(&self, start: i64, step: i64) -> Vec<Point> {
        let Values::Floats(values) = &self.values else { return Vec::new() };
        let at = |index: usize| start + i64::try_from(index).unwrap() * step;
        let point = |(index, value): (usize, &Option<f64>)| Some(Point { time: at(index), value: (*value)? });
        values.iter().enumerate().filter_map(point).collect()
    }
}

/// A series to compare.
type Shown<'l> = (&'l Labels, Vec<Point>);

fn compare_series(mut wanted: Vec<Shown>, mut found: Vec<Shown>, ordered: bool) -> Result<(), String> {
    // A series that is listed without a value is none.
    wanted.retain(|(_, points)| !points.is_empty());
    if !ordered {
        wanted.sort_by_key(|(labels, _)| *labels);
        found.sort_by_key(|(labels, _)| *labels);
    }
    let alike = |(wanted, found): (&Shown, &Shown)| {
        let points = |(a, b): (&Point, &Point)| a.time == b.time && same(a.value, b.value);
        wanted.0 == found.0 && wanted.1.len() == found.1.len() && wanted.1.iter().zip(&found.1).all(points)
    };
    if wanted.len() == found.len() && wanted.iter().zip(&found).all(alike) {
        return Ok(());
    }
    let show = |series: &[Shown]| {
        let one = |(labels, points): &Shown| {
            let points: Vec<_> =
                points.iter().map(|point| format!("{}@{}", format_value(point.value), point.time)).collect();
            format!("{labels} {}", points.join(" "))
        };
        series.iter().map(one).collect::<Vec<_>>().join("; ")
    };
    Err(format!("want  {}\n    found {}", show(&wanted), show(&found)))
}

fn same(wanted: f64, found: f64) -> bool {
    if wanted == found || (wanted.is_nan() && found.is_nan()) {
        return true;
    }
    (wanted - found).abs() / (wanted.abs() + found.abs()).min(f64::MAX) < TOLERANCE
}
