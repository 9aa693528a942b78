//! Replays the recorded corpus in tests/promql/: every expression has the answer that Prometheus gave. The format is told
//! in tests/promql/README.md.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "outside production code")]

use std::fs;
use std::path::Path;

use promeval::number::format_value;
use promeval::promql::ast::ExprKind;
use promeval::promql::{QueryRange, range_query};
use promeval::series::STALE;
use promeval::{Element, Evaluator, Labels, Point, Series, Storage, Value, parse};

/// How far two numbers may be apart, relative to them: mathematical functions differ in the last digit.
const TOLERANCE: f64 = 1e-12;

#[test]
fn the_corpus_is_answered_as_prometheus_answers_it() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/promql");
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "txt"));
    files.sort();
    let mut cases = 0;
    let mut wrong = Vec::new();
    for file in &files {
        let text = fs::read_to_string(file).unwrap();
        for case in cases_of(&text) {
            cases += 1;
            if let Err(found) = case.check() {
                let (name, line) = (file.file_name().unwrap().display(), case.line);
                let wanted = case.wanted.join("\n    ");
                wrong.push(format!("{name}:{line}: {}\n  want\n    {wanted}\n  found\n    {found}", case.expression));
            }
        }
    }
    assert!(cases > 900, "the corpus has {cases} cases");
    assert!(wrong.is_empty(), "{} of {cases} cases differ\n{}", wrong.len(), wrong.join("\n"));
}

struct Case<'t> {
    line: usize,
    expression: &'t str,
    /// An instant query has a step of 0.
    times: QueryRange,
    ordered: bool,
    wanted: Vec<&'t str>,
    storage: std::rc::Rc<Storage>,
}

fn cases_of(text: &str) -> Vec<Case<'_>> {
    let mut cases = Vec::new();
    let mut storage = std::rc::Rc::new(Storage::default());
    let mut lines = text.lines().enumerate().peekable();
    while let Some((index, line)) = lines.next() {
        let mut indented = Vec::new();
        while let Some((_, line)) = lines.next_if(|(_, line)| line.starts_with("    ")) {
            indented.push(line.trim_start());
        }
        if let Some(step) = line.strip_prefix("data every ") {
            let mut loaded = Storage::default();
            for series in &indented {
                load(&mut loaded, series, time(step));
            }
            storage = std::rc::Rc::new(loaded);
        } else if let Some(case) = line.strip_prefix("at ") {
            let (at, expression) = case.split_once(": ").unwrap();
            let (at, ordered) = at.strip_suffix(" in order").map_or((at, false), |at| (at, true));
            // The words after the time say which Prometheus can be asked.
            let at = at.split_once(" since ").map_or(at, |(at, _)| at);
            let (line, times, storage) = (index + 1, QueryRange::instant(time(at)), storage.clone());
            cases.push(Case { line, expression, times, ordered, wanted: indented, storage });
        } else if let Some(case) = line.strip_prefix("from ") {
            let (range, expression) = case.split_once(": ").unwrap();
            let range = range.split_once(" since ").map_or(range, |(range, _)| range);
            let words: Vec<&str> = range.split(' ').collect();
            let times = QueryRange { start: time(words[0]), end: time(words[2]), step: time(words[4]) };
            let (line, storage) = (index + 1, storage.clone());
            cases.push(Case { line, expression, times, ordered: false, wanted: indented, storage });
        } else {
            assert!(line.is_empty() || line.starts_with('#'), "cannot read {line:?}");
        }
    }
    cases
}

/// A duration such as `1m30s` in milliseconds.
fn time(text: &str) -> i64 {
    match parse(text).unwrap().kind {
        #[expect(clippy::cast_possible_truncation, reason = "small whole numbers")]
        ExprKind::Number(seconds) => (seconds * 1000.0).round() as i64,
        _ => panic!("{text:?} is not a duration"),
    }
}

/// Reads a label set by parsing it as a selector.
fn labels(text: &str) -> Labels {
    if text == "{}" {
        return Labels::default();
    }
    let expr = parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    let selectors = expr.selectors();
    Labels::new(selectors[0].matchers.iter().map(|matcher| match &matcher.test {
        promeval::promql::ast::Test::Equal(value) => (matcher.label.clone(), value.clone()),
        _ => panic!("{text:?} is not a label set"),
    }))
}

fn load(storage: &mut Storage, line: &str, step: i64) {
    let (name, values) = line.rsplit_once(" = ").unwrap();
    let labels = labels(name);
    let mut time = 0;
    for value in values.split(' ').flat_map(run) {
        if let Some(value) = value {
            storage.append(&labels, Point { time, value }).unwrap();
        }
        time += step;
    }
}

/// The values that a word stands for, `None` for no sample.
fn run(word: &str) -> Vec<Option<f64>> {
    let number = |text: &str| text.parse::<f64>().unwrap_or_else(|_| panic!("{word:?} is not a value"));
    let Some((values, count)) = word.split_once('x') else {
        return vec![match word {
            "_" => None,
            "stale" => Some(STALE),
            word => Some(number(word)),
        }];
    };
    let sign = values.char_indices().skip(1).find(|(at, c)| "+-".contains(*c) && !values[..*at].ends_with('e'));
    let (first, step) = sign.map_or((values, "0"), |(at, _)| values.split_at(at));
    (0..=count.parse::<u32>().unwrap()).map(|index| Some(number(first) + number(step) * f64::from(index))).collect()
}

impl Case<'_> {
    /// What was found, where it is not what is wanted.
    fn check(&self) -> Result<(), String> {
        let found = parse(self.expression).and_then(|expr| match self.times.step {
            0 => Evaluator::new(&self.storage, self.times.start).value(&expr),
            _ => range_query(&self.storage, &expr, self.times).map(Value::Matrix),
        });
        let right = match (&found, self.wanted.as_slice()) {
            (Err(error), [wanted]) => {
                wanted.strip_prefix("refused: ").is_some_and(|piece| error.message.contains(piece))
            }
            (Ok(Value::Scalar(value)), [wanted]) => {
                wanted.strip_prefix("scalar ").is_some_and(|wanted| close(*value, wanted))
            }
            (Ok(Value::String(text)), [wanted]) => wanted.strip_prefix("string ") == Some(&*format!("{text:?}")),
            (Ok(Value::Vector(elements)), ["nothing"]) => elements.is_empty(),
            (Ok(Value::Matrix(series)), ["nothing"]) => series.is_empty(),
            (Ok(Value::Vector(elements)), wanted) => self.same_elements(elements, wanted),
            (Ok(Value::Matrix(series)), wanted) => same_series(series, wanted),
            (Err(_) | Ok(Value::Scalar(_) | Value::String(_)), _) => false,
        };
        if right { Ok(()) } else { Err(shown(found)) }
    }

    fn same_elements(&self, found: &[Element], wanted: &[&str]) -> bool {
        let mut found: Vec<&Element> = found.iter().collect();
        let mut wanted: Vec<(Labels, &str)> = wanted
            .iter()
            .filter_map(|line| line.rsplit_once(" = "))
            .map(|(name, value)| (labels(name), value))
            .collect();
        if !self.ordered {
            found.sort_by(|a, b| a.labels.cmp(&b.labels));
            wanted.sort_by(|a, b| a.0.cmp(&b.0));
        }
        let same =
            |(found, wanted): (&&Element, &(Labels, &str))| found.labels == wanted.0 && close(found.value, wanted.1);
        found.len() == wanted.len() && found.iter().zip(&wanted).all(same)
    }
}

fn same_series(found: &[Series], wanted: &[&str]) -> bool {
    let same = |line: &&str| {
        let Some((name, points)) = line.rsplit_once(" = ") else { return false };
        let labels = labels(name);
        let Some(series) = found.iter().find(|series| series.labels == labels) else { return false };
        let points: Vec<_> = points.split(' ').filter_map(|point| point.split_once('@')).collect();
        series.points.len() == points.len()
            && series
                .points
                .iter()
                .zip(points)
                .all(|(point, (value, seconds))| close(point.value, value) && point.time == time(seconds))
    };
    found.len() == wanted.len() && wanted.iter().all(same)
}

fn close(found: f64, wanted: &str) -> bool {
    let wanted: f64 = wanted.parse().unwrap();
    found == wanted
        || (found.is_nan() && wanted.is_nan())
        || (found - wanted).abs() <= TOLERANCE * found.abs().max(wanted.abs())
}

fn shown(found: Result<Value, promeval::promql::Error>) -> String {
    match found {
        Err(error) => format!("refused: {error}"),
        Ok(Value::Scalar(value)) => format!("scalar {}", format_value(value)),
        Ok(Value::String(text)) => format!("string {text:?}"),
        Ok(Value::Vector(elements)) => {
            let line = |element: &Element| format!("{} = {}", element.labels, format_value(element.value));
            elements.iter().map(line).collect::<Vec<_>>().join("\n    ")
        }
        Ok(Value::Matrix(series)) => series
            .iter()
            .map(|series| format!("{} = {:?}", series.labels, series.points))
            .collect::<Vec<_>>()
            .join("\n    "),
    }
}

#[test]
fn a_subquery_of_too_many_steps_is_refused_before_it_is_evaluated() {
    let storage = Storage::default();
    let expr = parse("count_over_time(vector(1)[1y:1ms])").unwrap();
    let began = std::time::Instant::now();
    let error = Evaluator::new(&storage, 1_700_000_000_000).value(&expr).unwrap_err();
    assert!(began.elapsed().as_millis() < 500, "{:?}", began.elapsed());
    let wanted = "a range of 31536000 s in steps of 0.001 s has 31536000000 evaluations, and the expression may read 50000000 samples in all";
    assert_eq!((error.message.as_str(), error.span), (wanted, 16..33));
}
