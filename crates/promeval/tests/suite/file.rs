//! Reads Prometheus's `.test` files: series to load, and evaluations with what they give.

use std::collections::VecDeque;

use promeval::promql::ast::{ExprKind, Test};
use promeval::series::STALE;
use promeval::{Labels, parse};

/// One command of a file.
pub enum Command {
    Clear,
    /// Series, one after the other, with the milliseconds between their values; and whether the loader also makes native
    /// histograms with custom buckets of them.
    Load {
        step: i64,
        series: Vec<Line>,
        with_native: bool,
    },
    Eval(Eval),
}

/// A series and its values.
pub struct Line {
    pub labels: Labels,
    pub values: Values,
}

/// What is written behind a series.
pub enum Values {
    /// A value at each step, `None` where there is no sample.
    Floats(Vec<Option<f64>>),
    /// At least one of them is a native histogram.
    Native,
    /// Start timestamps of the samples on the next line.
    StartTimestamps,
}

/// An evaluation.
pub struct Eval {
    pub line: usize,
    pub expression: String,
    /// The first and the last time, and the step; an instant evaluation has no step.
    pub times: (i64, i64, i64),
    pub fails: bool,
    pub ordered: bool,
    pub wanted: Wanted,
}

/// What an evaluation gives.
pub enum Wanted {
    Nothing,
    Scalar(f64),
    String(String),
    Series(Vec<Line>),
    /// A range vector, with the time of its first value and its step.
    Range {
        start: i64,
        step: i64,
        series: Vec<Line>,
    },
}

pub fn commands(text: &str) -> Vec<Command> {
    // A comment ends a block, as a blank line does.
    let bare = |line: &str| if line.trim().starts_with('#') { String::new() } else { line.trim().to_owned() };
    let mut lines: VecDeque<(usize, String)> = text.lines().map(bare).enumerate().collect();
    let mut found = Vec::new();
    while let Some((index, line)) = lines.pop_front() {
        if line.is_empty() {
            continue;
        }
        let mut block = Vec::new();
        while !line.starts_with("clear") && lines.front().is_some_and(|(_, line)| !line.is_empty()) {
            block.extend(lines.pop_front().map(|(_, line)| line));
        }
        found.push(command(index + 1, &line, &block));
    }
    found
}

fn command(number: usize, line: &str, block: &[String]) -> Command {
    let mut words = line.split_whitespace();
    match words.next() {
        Some("clear") => Command::Clear,
        Some(word @ ("load" | "load_with_nhcb")) => Command::Load {
            step: time(words.next().expect("a load has a step")),
            series: block.iter().map(|line| series(line)).collect(),
            with_native: word != "load",
        },
        Some(word) if word.starts_with("eval") => Command::Eval(eval(number, word, line, block)),
        _ => panic!("line {number}: cannot read {line:?}"),
    }
}

fn eval(line: usize, command: &str, text: &str, block: &[String]) -> Eval {
    let mut rest = text[command.len()..].trim();
    let mut word = || {
        let (word, after) = rest.split_once(char::is_whitespace).expect("an evaluation has an expression");
        rest = after.trim_start();
        word.to_owned()
    };
    let times = if word() == "instant" {
        assert_eq!(word(), "at", "line {line}");
        let at = time(&word());
        (at, at, 0)
    } else {
        let mut after = |wanted: &str| {
            assert_eq!(word(), wanted, "line {line}");
            time(&word())
        };
        (after("from"), after("to"), after("step"))
    };
    let mut eval = Eval {
        line,
        expression: rest.to_owned(),
        times,
        fails: command == "eval_fail",
        ordered: command == "eval_ordered",
        wanted: Wanted::Nothing,
    };
    let mut lines = Vec::new();
    let mut range = None;
    for line in block {
        if let Some(text) = line.strip_prefix("expect string ") {
            match parse(text.trim()).expect("a string").kind {
                ExprKind::String(text) => eval.wanted = Wanted::String(text),
                _ => panic!("{text:?} is not a string"),
            }
        } else if let Some(times) = line.strip_prefix("expect range vector ") {
            let words: Vec<_> = times.split_whitespace().collect();
            range = Some((time(words[1]), time(words[5])));
        } else if line.starts_with("expect fail") {
            eval.fails = true;
        } else if line.starts_with("expect ordered") {
            eval.ordered = true;
        } else if line.starts_with("expect ") || line.starts_with("expected_fail") {
            // Warnings, infos and the words of failures are Prometheus's own.
        } else if let Some(value) = number(line) {
            eval.wanted = Wanted::Scalar(value);
        } else {
            lines.push(series(line));
        }
    }
    if let Some((start, step)) = range {
        eval.wanted = Wanted::Range { start, step, series: lines };
    } else if !lines.is_empty() {
        eval.wanted = Wanted::Series(lines);
    }
    eval
}

/// A duration such as `1m30s`, or seconds, in milliseconds.
pub fn time(text: &str) -> i64 {
    let (negative, text) = text.strip_prefix('-').map_or((false, text), |text| (true, text));
    match parse(text).map(|expr| expr.kind) {
        #[expect(clippy::cast_possible_truncation, reason = "small whole numbers")]
        Ok(ExprKind::Number(seconds)) => (seconds * 1000.0).round() as i64 * if negative { -1 } else { 1 },
        _ => panic!("{text:?} is not a duration"),
    }
}

fn number(text: &str) -> Option<f64> {
    let (negative, magnitude) = match text.strip_prefix('-') {
        Some(magnitude) => (true, magnitude),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    match parse(magnitude).ok()?.kind {
        ExprKind::Number(value) => Some(if negative { -value } else { value }),
        _ => None,
    }
}

/// A series with its values.
fn series(line: &str) -> Line {
    let end = end_of_labels(line);
    let (labels, rest) = line.split_at(end);
    let values = if rest.starts_with("@st") {
        Values::StartTimestamps
    } else if rest.contains("{{") {
        Values::Native
    } else {
        Values::Floats(rest.split_whitespace().flat_map(values).collect())
    };
    Line { labels: labels_of(labels), values }
}

fn end_of_labels(line: &str) -> usize {
    let mut quote = None;
    let mut braces = false;
    let mut escaped = false;
    for (at, c) in line.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quote.is_some() => escaped = true,
            '"' | '\'' | '`' if quote == Some(c) => quote = None,
            '"' | '\'' | '`' if quote.is_none() && braces => quote = Some(c),
            '{' if quote.is_none() && line[at..].starts_with("{{") => return at,
            '{' => braces = true,
            '}' if quote.is_none() => return at + 1,
            ' ' | '\t' | '@' if !braces => {
                let rest = line[at..].trim_start();
                // Blanks may be between the name and the braces.
                return if rest.starts_with('{') && !rest.starts_with("{{") {
                    at + line[at..].find('}').expect("a closing brace") + 1
                } else {
                    at
                };
            }
            _ => {}
        }
    }
    line.len()
}

/// Reads a label set as a selector, with one more matcher so that no set is empty.
fn labels_of(text: &str) -> Labels {
    const PROBE: &str = "probe__";
    let text = text.trim();
    let (name, inside) = match text.split_once('{') {
        Some((name, inside)) => (name, inside.strip_suffix('}').expect("a closing brace").trim()),
        None => (text, ""),
    };
    let comma = if inside.is_empty() || inside.ends_with(',') { "" } else { "," };
    let source = format!("{name}{{{inside}{comma}{PROBE}=\"x\"}}");
    let expr = parse(&source).unwrap_or_else(|error| panic!("{text}: {error}"));
    let pairs = expr.selectors()[0].matchers.iter().map(|matcher| match &matcher.test {
        Test::Equal(value) => (matcher.label.clone(), value.clone()),
        _ => panic!("{text:?} is not a label set"),
    });
    Labels::new(pairs.filter(|(label, _)| label != PROBE))
}

/// One word of a series: `_`, `stale`, `1`, `1x3`, `1+2x3` and the like.
fn values(word: &str) -> Vec<Option<f64>> {
    let times = word.rfind('x').and_then(|at| Some((at, word[at + 1..].parse::<usize>().ok()?)));
    // 0x3 is zero four times, not a hexadecimal number.
    let (base, count) = match times {
        Some((at, count)) => (&word[..at], Some(count)),
        None => (word, None),
    };
    match base {
        "_" => return vec![None; count.unwrap_or(1)],
        "stale" => return vec![Some(STALE); count.unwrap_or(0) + 1],
        _ => {}
    }
    let sign = base
        .char_indices()
        .skip(1)
        .find(|(at, c)| matches!(c, '+' | '-') && !matches!(base.as_bytes()[at - 1], b'e' | b'E') && count.is_some());
    let (start, step) = match sign {
        Some((at, _)) => (&base[..at], number(&base[at..]).unwrap_or_else(|| panic!("{word:?}"))),
        None => (base, 0.0),
    };
    let start = number(start).unwrap_or_else(|| panic!("{word:?} is not a value"));
    let mut value = start;
    (0..=count.unwrap_or(0))
        .map(|_| {
            let this = value;
            value += step;
            Some(this)
        })
        .collect()
}
