//! The Prometheus text format, 0.0.4 and 1.0.0.

use std::borrow::Cow;
use std::collections::HashMap;

use super::duplicates::Seen;
use super::error::line_of;
use super::scan::{Cursor, Span, Style, unescape};
use super::{Exposition, Family, Format, Kind, ParseError, RawSample};
use crate::number::parse_go_float;

pub(super) fn parse(text: &str) -> Result<Exposition<'_>, ParseError> {
    let lines = memchr::memchr_iter(b'\n', text.as_bytes()).count();
    let mut parser = Parser {
        cursor: Cursor::new(text, Style::Prometheus),
        exposition: Exposition::new(text, lines, Format::Prometheus),
        names: HashMap::new(),
        current: ("", Checked::Nothing),
        seen: Seen::new(lines),
    };
    while parser.cursor.at < text.len() {
        parser.line()?;
    }
    Ok(parser.exposition)
}

struct Parser<'a> {
    cursor: Cursor<'a>,
    exposition: Exposition<'a>,
    names: HashMap<Cow<'a, str>, Named>,
    /// The name of the sample before, as written, and what its labels are checked for: families come in runs.
    current: (&'a str, Checked),
    seen: Seen,
}

/// What is known of one name.
#[derive(Default)]
struct Named {
    family: Option<usize>,
    has_samples: bool,
}

/// The label whose value must be a number.
#[derive(Clone, Copy, PartialEq)]
enum Checked {
    Nothing,
    Le,
    Quantile,
}

impl<'a> Parser<'a> {
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
        self.cursor.at += 1;
        self.cursor.skip_blanks();
        match self.cursor.word() {
            "HELP" => self.help(),
            "TYPE" => self.kind(),
            _ => self.rest_of_line().map(drop),
        }
    }

    fn help(&mut self) -> Result<(), ParseError> {
        let (start, family) = self.family("HELP")?;
        let text = unescape(self.rest_of_line()?);
        if self.exposition.families[family].help.replace(text).is_some() {
            let cause = format!("a second HELP line for {:?}", self.exposition.families[family].name);
            return Err(ParseError::at(self.cursor.text, start, cause));
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
                let cause = format!("unknown type {word:?}: want counter, gauge, histogram, summary or untyped");
                return Err(ParseError::at(self.cursor.text, word_at, cause));
            }
        };
        let name = self.exposition.families[family].name.clone();
        let fail = |cause| Err(ParseError::at(self.cursor.text, start, cause));
        if self.exposition.families[family].kind.replace(kind).is_some() {
            return fail(format!("a second TYPE line for {name:?}"));
        }
        if self.names.get(&*name).is_some_and(|named| named.has_samples) {
            return fail(format!("the TYPE line for {name:?} comes after its samples"));
        }
        #[expect(clippy::cast_possible_truncation, reason = "bounded by the text's length")]
        self.exposition.types.push((start as u32, kind));
        // What the samples in this run are checked for may just have changed.
        self.current = ("", Checked::Nothing);
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
        let name = name.text(self.cursor.text);
        let families = &mut self.exposition.families;
        let named = self.names.entry(name.clone()).or_default();
        let index = *named.family.get_or_insert_with(|| {
            families.push(Family { name: name.into_owned(), kind: None, help: None, unit: None, first_sample: 0 });
            families.len() - 1
        });
        Ok((start, index))
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
        let mut name = self.cursor.name(true);
        self.cursor.skip_blanks();
        #[expect(clippy::cast_possible_truncation, reason = "bounded by the text's length")]
        let mut labels = (self.exposition.labels.len() as u32, 0);
        if self.cursor.eat(b'{') {
            let set = self.cursor.label_set(&mut self.exposition, name.is_none())?;
            labels = (set.first, set.count);
            name = name.or(set.name);
            if name.is_none() {
                return Err(ParseError::at(self.cursor.text, start, "the metric has no name"));
            }
            self.cursor.skip_blanks();
        } else if name.is_some() && self.cursor.at == start + name.map_or(0, |name| name.raw(self.cursor.text).len()) {
            let cause = format!("invalid metric name or missing value: {} follows the name", self.cursor.found());
            return Err(self.cursor.error(cause));
        }
        let Some(name) = name else {
            let cause = format!("want a metric name, found {}", self.cursor.found());
            return Err(ParseError::at(self.cursor.text, start, cause));
        };
        let value = self.cursor.value("value")?;
        let timestamp = self.timestamp()?;
        let sample = RawSample { name, first_label: labels.0, label_count: labels.1, value, timestamp };
        self.exposition.samples.push(sample);
        self.check(start, &sample)
    }

    /// Milliseconds after the value, if any, and the end of the line.
    fn timestamp(&mut self) -> Result<f64, ParseError> {
        if self.cursor.eat(b'\n') {
            return Ok(f64::NAN);
        }
        self.cursor.skip_blanks();
        let start = self.cursor.at;
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

    fn check(&mut self, start: usize, sample: &RawSample) -> Result<(), ParseError> {
        let text = self.cursor.text;
        if self.current.0.as_bytes() != sample.name.bytes(text) {
            let checked = self.begin_name(sample.name);
            self.check_names(start)?;
            self.current = (sample.name.raw(text), checked);
        }
        let label = match self.current.1 {
            Checked::Nothing => None,
            Checked::Le => Some("le"),
            Checked::Quantile => Some("quantile"),
        };
        if let Some(label) = label {
            self.check_number_label(label, sample)?;
        }
        match self.seen.note(&self.exposition) {
            None => Ok(()),
            Some(index) => {
                let first = line_of(text, self.exposition.samples[index as usize].name.start()).0;
                let cause = format!("the series is already on line {first}, with the same timestamp");
                Err(ParseError::at(text, start, cause))
            }
        }
    }

    fn check_number_label(&self, label: &str, sample: &RawSample) -> Result<(), ParseError> {
        let text = self.cursor.text;
        let first = sample.first_label as usize;
        for raw in &self.exposition.labels[first..first + sample.label_count as usize] {
            let value = raw.value.text(text);
            if raw.name.text(text) == label && parse_go_float(&value).is_none() {
                let cause = format!("the {label} label {value:?} is not a number");
                return Err(ParseError::at(text, raw.value.start(), cause));
            }
        }
        Ok(())
    }

    /// Notes that a name has samples, and finds out what their labels must satisfy.
    fn begin_name(&mut self, name: Span) -> Checked {
        let name = name.text(self.cursor.text);
        let kind_of = |name: &str| {
            let family = self.names.get(name).and_then(|named| named.family)?;
            self.exposition.families[family].kind
        };
        let is_bucket_of = |base: &str| kind_of(base) == Some(Kind::Histogram);
        let checked = if kind_of(&name) == Some(Kind::Summary) {
            Checked::Quantile
        } else if name.strip_suffix("_bucket").is_some_and(is_bucket_of) {
            Checked::Le
        } else {
            Checked::Nothing
        };
        self.names.entry(name).or_default().has_samples = true;
        checked
    }

    /// Each name takes memory, so that their number is bounded.
    fn check_names(&self, start: usize) -> Result<(), ParseError> {
        if self.names.len() <= MAX_NAMES {
            return Ok(());
        }
        let cause = format!("more than {MAX_NAMES} metric names: it looks as if label values went into metric names");
        Err(ParseError::at(self.cursor.text, start, cause))
    }
}

/// The largest number of different metric names in one exposition.
const MAX_NAMES: usize = 1 << 21;

const CUT: &str = "the last line does not end in a line feed: the body is cut";
