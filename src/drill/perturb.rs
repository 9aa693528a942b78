//! Values that a threshold never saw: what its selectors read, driven to extremes, lost, or made no number.

use std::collections::BTreeMap;

use promeval::exposition::{Exposition, Format, Kind};
use promeval::labels::METRIC_NAME;
use promeval::number::format_value;
use promeval::promql::ast::{Matcher, Selector, Test};

use super::exposition::{Change, edited, family_of, is_sample, kind_of, labels, parsed};

/// The step of values that are high, from scrape to scrape, where a threshold names no number above 10.
pub(super) const STEP: f64 = 1e12;

/// The step of a histogram's observations beside [`STEP`].
const OBSERVATIONS: f64 = 1e6;

/// What becomes of the series that selectors read.
#[derive(Clone, Debug)]
pub(super) struct Perturbation {
    pub(super) selectors: Vec<Selector>,
    pub(super) value: Value,
    /// How far values that are high rise, from scrape to scrape.
    pub(super) step: f64,
}

/// The ways in which series are changed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Value {
    /// High from the first scrape on, and higher with each; of a histogram, more and more observations under its highest bound.
    High,
    /// Zero; of a histogram, more and more observations under its lowest bound.
    Low,
    /// Far below zero, where the metric is no counter.
    Below,
    /// High and zero in turn.
    UpAndDown,
    /// This very value.
    Exactly(f64),
    /// This very value in the first series, and zero in the others.
    One(f64),
    NotANumber,
    /// Gone, with its family.
    Lost,
}

impl Value {
    /// In a word or two.
    pub(super) fn word(self) -> String {
        match self {
            Self::High => "high".into(),
            Self::Low => "low".into(),
            Self::Below => "below zero".into(),
            Self::UpAndDown => "up and down".into(),
            Self::Exactly(value) => format!("at {}", format_value(value)),
            Self::One(value) => format!("at {} in one series and 0 in the others", format_value(value)),
            Self::NotANumber => "NaN".into(),
            Self::Lost => "lost".into(),
        }
    }
}

/// The step that is higher than whatever an expression of these numbers compares, however they divide and multiply.
pub(super) fn step_beyond(numbers: &[f64]) -> f64 {
    const HIGHEST: f64 = 100.0;
    let digits = numbers.iter().filter(|number| number.is_finite() && **number != 0.0);
    let digits: f64 = digits.map(|number| number.abs().log10().abs()).sum();
    STEP * 10_f64.powf(digits.min(HIGHEST).floor())
}

/// The values that are tried for these numbers: each, and just above and below it.
pub(super) fn about(numbers: &[f64]) -> Vec<Value> {
    let about = |number: &f64| {
        let a_little = number.abs().max(1.0) * 1e-6;
        let beside = [*number, number + a_little, number - a_little].map(Value::Exactly);
        let one = Value::One(*number);
        // There is nothing beside infinity.
        if number.is_finite() { [&beside[..], &[one]].concat() } else { vec![beside[0], one] }
    };
    numbers.iter().flat_map(about).collect()
}

impl Perturbation {
    /// The text as it is at a scrape, counted from 0; nothing where it has no series that is read, and none can be made.
    ///
    /// # Errors
    /// A text that is no exposition.
    pub(super) fn applied(
        &self,
        text: &str,
        format: Format,
        given: &[(String, String)],
        scrape: usize,
    ) -> Result<Option<String>, String> {
        #[expect(clippy::cast_precision_loss, reason = "there are few scrapes")]
        let number = (scrape + 1) as f64;
        let high = self.step * number;
        let is_up = self.value == Value::High || self.value == Value::UpAndDown && scrape.is_multiple_of(2);
        let of_histograms: Vec<Selector> = self.selectors.iter().filter_map(of_a_histogram).collect();
        let text = self.with_made(text, format, given)?;
        let exposition = parsed(&text, format)?;
        let highest = highest_bounds(&exposition);
        let (mut changed, mut ones) = (0, 0);
        let result = edited(&text, format, given, &mut |line| {
            let is_histogram = of_histograms.iter().any(|selector| matches_without_bound(selector, line.labels));
            let is_read = self.selectors.iter().any(|selector| selector.matches(line.labels));
            if !is_read && !is_histogram {
                return Change::Keep;
            }
            let name = line.labels.metric_name();
            let change = match self.value {
                Value::Lost => Change::Drop,
                Value::NotANumber => Change::To(f64::NAN),
                // What counts is never below zero, and one histogram of several is not told from the others.
                Value::Exactly(value) | Value::One(value) if value < 0.0 && (line.is_counter || is_histogram) => {
                    Change::Keep
                }
                Value::One(_) if is_histogram => Change::Keep,
                Value::Exactly(value) => Change::To(value),
                Value::One(value) => {
                    ones += 1;
                    Change::To(if ones == 1 { value } else { 0.0 })
                }
                Value::UpAndDown if !is_up => Change::To(0.0),
                Value::High | Value::UpAndDown | Value::Low | Value::Below if is_histogram => {
                    let more = OBSERVATIONS * (high / STEP);
                    let base = name.trim_end_matches("_bucket").trim_end_matches("_count").trim_end_matches("_sum");
                    let highest = highest.get(base).copied().unwrap_or(f64::INFINITY);
                    let bound = bound(line.labels.get("le"));
                    match bound {
                        Some(bound) if is_up && bound < highest => Change::Keep,
                        None if name.ends_with("_sum") => {
                            Change::To(line.value + if is_up { more * highest } else { 0.0 })
                        }
                        _ => Change::To(line.value + more),
                    }
                }
                Value::High | Value::UpAndDown => Change::To(high),
                Value::Low => Change::To(0.0),
                Value::Below if line.is_counter => Change::Keep,
                Value::Below => Change::To(-high),
            };
            changed += usize::from(change != Change::Keep);
            change
        })?;
        // One series alone is the whole of it.
        if changed == 0 || ones == 1 {
            return Ok(None);
        }
        if self.value != Value::Lost {
            return Ok(Some(result));
        }
        // A family without a sample is another thing than none.
        let mut lost = result;
        for name in self.selectors.iter().filter_map(Selector::metric_name) {
            let is_left = parsed(&lost, format)?.samples_of(name).len_at_least_one();
            if !is_left && let Some(without) = super::exposition::without_family(&lost, format, name)? {
                lost = without;
            }
        }
        Ok(Some(lost))
    }

    /// The text with a series for each selector that finds none, where its family is there: counters of errors often begin to
    /// be with the first error. A label that no series of the family has would be a mistake of the expression, and is not made.
    fn with_made(&self, text: &str, format: Format, given: &[(String, String)]) -> Result<String, String> {
        let mut made = text.to_owned();
        if matches!(self.value, Value::Lost | Value::NotANumber) {
            return Ok(made);
        }
        for selector in &self.selectors {
            let exposition = parsed(&made, format)?;
            let Some(name) = selector.metric_name().map(str::to_owned) else { continue };
            let mut known: BTreeMap<String, String> = BTreeMap::new();
            let (mut is_there, mut has_samples) = (false, false);
            for sample in exposition.samples_of(&name) {
                has_samples = true;
                let own = sample.labels().map(|(name, value)| (name.into_owned(), value.into_owned()));
                let own: Vec<(String, String)> = own.collect();
                is_there |= selector.matches(&labels(&name, own.iter().cloned(), given));
                known.extend(own);
            }
            let is_simple =
                matches!(kind_of(&exposition, &name), Some(Kind::Counter | Kind::Gauge | Kind::Unknown) | None);
            let Some(family) = family_of(&exposition, &name).filter(|_| !is_there && is_simple) else { continue };
            let Some(pairs) = fitting(selector, &known, has_samples, given) else { continue };
            let pairs: Vec<String> = pairs.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
            let line = format!("{name}{{{}}} 0\n", pairs.join(","));
            made = inserted(&made, &family, &line);
        }
        Ok(made)
    }
}

trait AtLeastOne {
    fn len_at_least_one(self) -> bool;
}

impl<I: Iterator> AtLeastOne for I {
    fn len_at_least_one(mut self) -> bool {
        self.next().is_some()
    }
}

/// A line behind the declaration of a family.
fn inserted(text: &str, family: &str, line: &str) -> String {
    let is_declared = |line: &str| {
        let mut words = line.split_whitespace();
        words.next() == Some("#")
            && matches!(words.next(), Some("TYPE" | "HELP" | "UNIT"))
            && words.next() == Some(family)
    };
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let last = lines.iter().rposition(|line| !is_sample(line) && is_declared(line)).map_or(lines.len(), |at| at + 1);
    [lines[..last].concat().as_str(), line, lines[last..].concat().as_str()].concat()
}

/// Labels that a selector finds; nothing where none can be thought of.
fn fitting(
    selector: &Selector,
    known: &BTreeMap<String, String>,
    has_samples: bool,
    given: &[(String, String)],
) -> Option<Vec<(String, String)>> {
    let mut pairs = known.clone();
    for Matcher { label, test } in selector.matchers.iter().filter(|matcher| matcher.label != METRIC_NAME) {
        if let Some((_, value)) = given.iter().find(|(name, _)| name == label) {
            if !test.holds(value) {
                return None;
            }
            continue;
        }
        if has_samples && !known.contains_key(label) {
            return None;
        }
        pairs.insert(label.clone(), value_for(test, known.get(label).map(String::as_str))?);
    }
    Some(pairs.into_iter().collect())
}

/// A label's value that a test takes.
fn value_for(test: &Test, known: Option<&str>) -> Option<String> {
    const USUAL: [&str; 16] = [
        "500", "503", "404", "400", "200", "5xx", "4xx", "error", "failed", "failure", "timeout", "true", "false",
        "GET", "POST", "other",
    ];
    let written: Vec<String> = match test {
        Test::Equal(value) => vec![value.clone()],
        Test::Matches(pattern) | Test::DoesNotMatch(pattern) => {
            let plain = |piece: &str| -> String {
                let zeros = piece
                    .replace("[0-9]", "0")
                    .replace("\\d", "0")
                    .replace(".*", "x")
                    .replace(".+", "x")
                    .replace('.', "0");
                zeros.chars().filter(|c| !"^$()?+*\\".contains(*c)).collect()
            };
            pattern.source().split('|').map(plain).collect()
        }
        Test::NotEqual(_) => Vec::new(),
    };
    let mut all = known.into_iter().chain(written.iter().map(String::as_str)).chain(USUAL);
    all.find(|value| !value.is_empty() && test.holds(value)).map(str::to_owned)
}

/// The selector of all series of the histogram whose buckets a selector reads.
fn of_a_histogram(selector: &Selector) -> Option<Selector> {
    let base = selector.metric_name()?.strip_suffix("_bucket")?.to_owned();
    let mut all = selector.clone();
    all.matchers.retain(|matcher| matcher.label != METRIC_NAME && matcher.label != "le");
    let name = Matcher { label: METRIC_NAME.into(), test: Test::Equal(base) };
    all.matchers.push(name);
    Some(all)
}

fn matches_without_bound(histogram: &Selector, labels: &promeval::labels::Labels) -> bool {
    histogram.matchers.iter().all(|matcher| match &matcher.test {
        Test::Equal(base) if matcher.label == METRIC_NAME => {
            let rest = labels.metric_name().strip_prefix(&**base);
            matches!(rest, Some("_bucket" | "_count" | "_sum"))
        }
        test => test.holds(labels.get(&matcher.label)),
    })
}

fn bound(written: &str) -> Option<f64> {
    if written == "+Inf" { Some(f64::INFINITY) } else { written.parse().ok() }
}

/// The highest bounds of histograms that are numbers.
fn highest_bounds(exposition: &Exposition<'_>) -> BTreeMap<String, f64> {
    let mut highest: BTreeMap<String, f64> = BTreeMap::new();
    for sample in exposition.samples() {
        let name = sample.name();
        let Some(base) = name.strip_suffix("_bucket") else { continue };
        let le = sample.labels().find(|(name, _)| name == "le").and_then(|(_, value)| bound(&value));
        if let Some(le) = le.filter(|le| le.is_finite()) {
            let known = highest.entry(base.to_owned()).or_insert(le);
            *known = known.max(le);
        }
    }
    highest
}

#[cfg(test)]
mod tests {
    use promeval::promql::parse;

    use super::*;

    fn applied(text: &str, expr: &str, value: Value, scrape: usize) -> Option<String> {
        let selectors = parse(expr).unwrap().selectors().into_iter().cloned().collect();
        Perturbation { selectors, value, step: STEP }.applied(text, Format::Prometheus, &[], scrape).unwrap()
    }

    #[test]
    fn what_is_read_is_changed_and_nothing_else() {
        let text = "# TYPE a counter\na{x=\"1\"} 5\na{x=\"2\"} 6\n# TYPE b gauge\nb 1\n";
        for (expr, value, wanted) in [
            ("a", Value::Low, Some("# TYPE a counter\na{x=\"1\"} 0\na{x=\"2\"} 0\n# TYPE b gauge\nb 1\n")),
            (
                "a{x=\"2\"}",
                Value::High,
                Some("# TYPE a counter\na{x=\"1\"} 5\na{x=\"2\"} 2000000000000\n# TYPE b gauge\nb 1\n"),
            ),
            (
                "b",
                Value::Below,
                Some("# TYPE a counter\na{x=\"1\"} 5\na{x=\"2\"} 6\n# TYPE b gauge\nb -2000000000000\n"),
            ),
            ("b", Value::Lost, Some("# TYPE a counter\na{x=\"1\"} 5\na{x=\"2\"} 6\n")),
            ("a{x=\"2\"}", Value::Lost, Some("# TYPE a counter\na{x=\"1\"} 5\n# TYPE b gauge\nb 1\n")),
            ("c", Value::High, None),
            // A label that no series of the family has is a slip.
            ("a{y=\"1\"}", Value::High, None),
        ] {
            assert_eq!(applied(text, expr, value, 1).as_deref(), wanted, "{expr} {value:?}");
        }
    }

    #[test]
    fn a_series_that_begins_with_the_first_error_is_made() {
        let text = "# TYPE http_total counter\nhttp_total{code=\"200\"} 5\n# TYPE none_total counter\n";
        let made = applied(text, "http_total{code=~\"5..\"}", Value::High, 0).unwrap();
        assert!(made.contains("http_total{code=\"500\"} 1000000000000\nhttp_total{code=\"200\"} 5\n"), "{made}");
        let made = applied(text, "none_total{kind!=\"x\"}", Value::High, 0).unwrap();
        assert!(made.contains("none_total{kind=\"500\"} 1000000000000\n"), "{made}");
    }

    #[test]
    fn a_histogram_stays_one() {
        let text = "# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"2\"} 2\nh_bucket{le=\"+Inf\"} 2\nh_sum 2\nh_count 2\n";
        let high = applied(text, "h_bucket", Value::High, 0).unwrap();
        assert!(
            high.contains("le=\"1\"} 1\n") && high.contains("le=\"2\"} 1000002\n") && high.contains("h_count 1000002"),
            "{high}"
        );
        let low = applied(text, "h_bucket", Value::Low, 0).unwrap();
        assert!(low.contains("le=\"1\"} 1000001\n") && low.contains("h_sum 2\n"), "{low}");
    }
}
