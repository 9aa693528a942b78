//! The Prometheus text format, 0.0.4 and 1.0.0.

use std::collections::HashSet;

use super::duplicates::{Hashes, Keys};
use super::error::line_of;
use super::names::MAX_NAMES;
use super::scan::{Cursor, LabelSet, Span, Style, unescape};
use super::{Exposition, Family, Format, Kind, ParseError, RawSample, WarningKind, same_value};
use crate::number::parse_go_float;

pub(super) fn parse(text: &str) -> Result<Exposition<'_>, ParseError> {
    let lines = memchr::memchr_iter(b'\n', text.as_bytes()).count();
    let mut parser = Parser {
        cursor: Cursor::new(text, Style::Prometheus),
        exposition: Exposition::new(text, lines, Format::Prometheus),
        labels: LabelSet::default(),
        run: Run::default(),
        hashes: Hashes::default(),
        keys: Keys::new(lines),
        early_buckets: HashSet::new(),
    };
    let parsed = parser.lines();
    // What is repeated is in front of the line that cannot be read.
    parser.drop_repeated()?;
    parsed?;
    parser.check_early_buckets()?;
    Ok(parser.exposition)
}

struct Parser<'a> {
    cursor: Cursor<'a>,
    exposition: Exposition<'a>,
    labels: LabelSet,
    run: Run<'a>,
    hashes: Hashes,
    keys: Keys,
    /// The names of buckets that were met before their histogram's `# TYPE` line.
    early_buckets: HashSet<String>,
}

/// What is known of the name of the sample before: families come in runs.
#[derive(Default)]
struct Run<'a> {
    /// The name as written.
    raw: &'a str,
    /// Its index among the names.
    name: usize,
    hash: u64,
    /// The label whose value must be a number, if there is one.
    number: Option<&'static str>,
    is_counter: bool,
}

impl<'a> Parser<'a> {
    fn lines(&mut self) -> Result<(), ParseError> {
        while self.cursor.at < self.cursor.text.len() {
            self.line()?;
        }
        Ok(())
    }

    /// Drops samples that say again what an earlier one says.
    fn drop_repeated(&mut self) -> Result<(), ParseError> {
        let text = self.cursor.text;
        let repeated = std::mem::take(&mut self.keys).repeated(&self.exposition);
        for (first, later) in &repeated {
            let [first, later] = [first, later].map(|index| self.exposition.samples[*index]);
            if !same_value(first.value, later.value) {
                let line = line_of(text, first.start()).0;
                let cause = format!("the series is already on line {line}, with the same timestamp and another value");
                return Err(ParseError::at(text, later.start(), cause));
            }
            let name = later.name(text).text(text);
            self.exposition.warnings.add(WarningKind::Duplicate, &name, later.start());
        }
        let indices: Vec<usize> = repeated.into_iter().map(|(_, later)| later).collect();
        self.exposition.remove(&indices);
        Ok(())
    }

    fn line(&mut self) -> Result<(), ParseError> {
        self.cursor.skip_blanks();
        match self.cursor.peek() {
            Some(b'\n') => {
                self.cursor.at += 1;
                Ok(())
            }
            Some(b'#') => self.comment(),
            Some(_) => self.sample(),
            None => Err(self.cursor.error(CUT)),
        }
    }

    fn comment(&mut self) -> Result<(), ParseError> {
        let start = self.cursor.at;
        self.cursor.at += 1;
        self.cursor.skip_blanks();
        match self.cursor.word() {
            "HELP" => self.help(),
            "TYPE" => self.kind(),
            word => {
                if matches!(word, "EOF" | "UNIT") {
                    self.exposition.warnings.add(WarningKind::OpenMetricsText, &format!("# {word}"), start);
                }
                self.rest_of_line().map(drop)
            }
        }
    }

    fn help(&mut self) -> Result<(), ParseError> {
        let (start, family) = self.family("HELP")?;
        let text = unescape(self.rest_of_line()?);
        let name = &self.exposition.families[family].name;
        if self.exposition.families[family].help.is_none() {
            self.exposition.families[family].help = Some(text);
        } else if self.exposition.has_samples(name) {
            let cause = format!("a second HELP line for {name:?}, after its samples");
            return Err(ParseError::at(self.cursor.text, start, cause));
        } else {
            self.exposition.warnings.add(WarningKind::SecondHelp, name, start);
        }
        Ok(())
    }

    fn kind(&mut self) -> Result<(), ParseError> {
        let (start, family) = self.family("TYPE")?;
        let word_at = self.cursor.at;
        let word = self.rest_of_line()?.trim_end_matches([' ', '\t']);
        let kind = match word {
            "counter" => Kind::Counter,
            "gauge" => Kind::Gauge,
            "histogram" => Kind::Histogram,
            "summary" => Kind::Summary,
            "untyped" => Kind::Unknown,
            _ => {
                let known = "counter, gauge, histogram, summary or untyped";
                let cause = match word {
                    "unknown" | "info" | "stateset" | "gaugehistogram" => {
                        format!("the type {word} is of OpenMetrics{OPEN_METRICS}, which has {known}")
                    }
                    _ => format!("unknown type {word:?}: want {known}"),
                };
                return Err(ParseError::at(self.cursor.text, word_at, cause));
            }
        };
        let Exposition { families, text, .. } = &mut self.exposition;
        let (name, text) = (&families[family].name, *text);
        let fail = |cause| Err(ParseError::at(text, start, cause));
        if families[family].kind.is_some() {
            return fail(format!("a second TYPE line for {name:?}"));
        }
        if self.exposition.has_samples(&self.exposition.families[family].name) {
            let name = &self.exposition.families[family].name;
            return fail(format!("the TYPE line for {name:?} comes after its samples"));
        }
        let buckets = format!("{}_bucket", self.exposition.families[family].name);
        if kind == Kind::Histogram && self.exposition.has_samples(&buckets) {
            self.early_buckets.insert(buckets);
        }
        self.exposition.families[family].kind = Some(kind);
        #[expect(clippy::cast_possible_truncation, reason = "bounded by the text's length")]
        self.exposition.types.push((start as u32, kind));
        // What the samples in this run are checked for may just have changed.
        self.run = Run::default();
        Ok(())
    }

    /// The family that a metadata line names, made if it is new; the cursor ends behind the blanks after the name.
    fn family(&mut self, word: &str) -> Result<(usize, usize), ParseError> {
        self.cursor.skip_blanks();
        let start = self.cursor.at;
        let name = if self.cursor.peek() == Some(b'"') {
            Some(self.cursor.quoted("metric name")?)
        } else {
            self.cursor.name(true)
        };
        let Some(name) = name else {
            let cause = format!("want a metric name after {word}, found {}", self.cursor.found());
            return Err(self.cursor.error(cause));
        };
        if !matches!(self.cursor.peek(), Some(b' ' | b'\t' | b'\n') | None) {
            let cause = format!("invalid metric name after {word}: {} may not be part of it", self.cursor.found());
            return Err(self.cursor.error(cause));
        }
        self.cursor.skip_blanks();
        let Exposition { families, names, .. } = &mut self.exposition;
        let named = names.enter(self.cursor.text, name);
        let index = *names.list[named].family.get_or_insert_with(|| {
            let name = name.text(self.cursor.text).into_owned();
            families.push(Family { name, kind: None, help: None, unit: None, first_sample: 0 });
            // A text has fewer families than bytes, and those are bounded by 2^31.
            u32::try_from(families.len() - 1).unwrap_or(u32::MAX)
        });
        Ok((start, index as usize))
    }

    fn rest_of_line(&mut self) -> Result<&'a str, ParseError> {
        let rest = &self.cursor.text[self.cursor.at..];
        let Some(length) = memchr::memchr(b'\n', rest.as_bytes()) else {
            self.cursor.at = self.cursor.text.len();
            return Err(self.cursor.error(CUT));
        };
        self.cursor.at += length + 1;
        Ok(&rest[..length])
    }

    fn sample(&mut self) -> Result<(), ParseError> {
        let start = self.cursor.at;
        let mut name = self.cursor.metric_name(self.run.raw);
        let mut end = self.cursor.at;
        self.cursor.skip_blanks();
        if self.cursor.eat(b'{') {
            self.cursor.label_set(&mut self.labels, name.is_none())?;
            end = self.cursor.at;
            name = name.or(self.labels.name);
            if name.is_none() {
                return Err(ParseError::at(self.cursor.text, start, "the metric has no name"));
            }
            self.cursor.skip_blanks();
        } else if name.is_some() && self.cursor.at == end {
            let cause = format!("invalid metric name or missing value: {} follows the name", self.cursor.found());
            return Err(self.cursor.error(cause));
        } else {
            self.labels.clear();
        }
        let Some(name) = name else {
            let cause = format!("want a metric name, found {}", self.cursor.found());
            return Err(ParseError::at(self.cursor.text, start, cause));
        };
        let value = self.cursor.value("value")?;
        let timestamp = self.timestamp()?;
        self.exposition.push(RawSample::new(start, end, value), timestamp);
        self.check(name, start, value, timestamp)
    }

    /// Milliseconds after the value, if any, and the end of the line.
    fn timestamp(&mut self) -> Result<f64, ParseError> {
        if self.cursor.eat(b'\n') {
            return Ok(f64::NAN);
        }
        self.cursor.skip_blanks();
        let start = self.cursor.at;
        if self.cursor.peek() == Some(b'#') {
            return Err(self.cursor.error(format!("an exemplar is of OpenMetrics{OPEN_METRICS}, which has none")));
        }
        let word = self.cursor.word();
        let mut timestamp = f64::NAN;
        if !word.is_empty() {
            let milliseconds: i64 = word.parse().map_err(|_| {
                let cause = format!("the timestamp {word:?} is not a whole number of milliseconds");
                ParseError::at(self.cursor.text, start, cause)
            })?;
            #[expect(clippy::cast_precision_loss, reason = "exact for the next 280,000 years")]
            let seconds = milliseconds as f64 / 1000.0;
            timestamp = seconds;
        }
        self.cursor.skip_blanks();
        match self.cursor.peek() {
            Some(b'\n') => {
                self.cursor.at += 1;
                Ok(timestamp)
            }
            None => Err(self.cursor.error(CUT)),
            Some(_) => Err(self.cursor.error("text after the value and the timestamp")),
        }
    }

    fn check(&mut self, name: Span, start: usize, value: f64, timestamp: f64) -> Result<(), ParseError> {
        let text = self.cursor.text;
        if self.run.raw.as_bytes() != name.bytes(text) {
            self.run = self.begin_run(name);
            self.check_names(start)?;
        }
        if let Some(label) = self.run.number {
            self.check_number_label(label)?;
        }
        let series = self.run.hash.wrapping_add(self.labels.hash());
        self.keys.add(&self.hashes, series, timestamp);
        self.exposition.names.list[self.run.name].samples += 1;
        if self.run.is_counter && (value < 0.0 || value.is_nan()) {
            self.exposition.warnings.add(WarningKind::BadCounter, &name.text(text), start);
        }
        Ok(())
    }

    /// Buckets in front of the line that makes a histogram of them are held to it as those behind it are.
    fn check_early_buckets(&self) -> Result<(), ParseError> {
        if self.early_buckets.is_empty() {
            return Ok(());
        }
        let samples = self.exposition.samples();
        let buckets = samples.filter(|sample| self.early_buckets.contains(&*sample.name()));
        for label in buckets.flat_map(|sample| sample.written()).filter(|label| label.name() == "le") {
            number_label("le", self.cursor.text, label.value_span())?;
        }
        Ok(())
    }

    fn check_number_label(&self, label: &str) -> Result<(), ParseError> {
        let text = self.cursor.text;
        self.labels
            .labels
            .iter()
            .filter(|raw| raw.name.is(text, label))
            .try_for_each(|raw| number_label(label, text, raw.value))
    }

    /// Notes that a name has samples, from the newest on, and finds out what they must satisfy.
    fn begin_run(&mut self, span: Span) -> Run<'a> {
        let text = self.cursor.text;
        let name = span.text(text);
        let kind_of = |name: &str| {
            let index = self.exposition.names.find(text, name)?;
            let family = self.exposition.names.list[index].family?;
            self.exposition.families[family as usize].kind
        };
        let kind = kind_of(&name);
        let number = if kind == Some(Kind::Summary) {
            Some("quantile")
        } else if name.strip_suffix("_bucket").is_some_and(|base| kind_of(base) == Some(Kind::Histogram)) {
            Some("le")
        } else {
            None
        };
        let is_total = || name.strip_suffix("_total").is_some_and(|base| kind_of(base) == Some(Kind::Counter));
        let is_counter = kind == Some(Kind::Counter) || is_total();
        let hash = self.hashes.of_name(&name);
        let index = self.exposition.names.enter(text, span);
        let entry = &mut self.exposition.names.list[index];
        if entry.samples == 0 {
            // A text has fewer samples than bytes, and those are bounded by 2^31.
            entry.first = u32::try_from(self.exposition.samples.len() - 1).unwrap_or(u32::MAX);
        }
        Run { raw: span.raw(text), name: index, hash, number, is_counter }
    }

    /// Each name takes memory, so that their number is bounded.
    fn check_names(&self, start: usize) -> Result<(), ParseError> {
        if self.exposition.names.list.len() <= MAX_NAMES {
            return Ok(());
        }
        let cause = format!("more than {MAX_NAMES} metric names: it looks as if label values went into metric names");
        Err(ParseError::at(self.cursor.text, start, cause))
    }
}

fn number_label(label: &str, text: &str, value: Span) -> Result<(), ParseError> {
    let number = value.text(text);
    if parse_go_float(&number).is_some() {
        return Ok(());
    }
    Err(ParseError::at(text, value.start(), format!("the {label} label {number:?} is not a number")))
}

const CUT: &str = "the last line does not end in a line feed: the body is cut";

/// Behind a name of something that the other format has.
const OPEN_METRICS: &str =
    " (its content type is application/openmetrics-text), and this is the Prometheus text format";
