//! The `OpenMetrics` 1.0 text format: its lines. What the lines of one family must satisfy together is in
//! `openmetrics_rules`.

use super::duplicates::Seen;
use super::error::line_of;
use super::openmetrics_rules::{FamilyRules, Names};
use super::scan::{Cursor, Style, unescape};
use super::{Exposition, Family, Format, Kind, ParseError, RawExemplar, RawSample};

/// The longest exemplar label set, in characters of names and values.
const EXEMPLAR_LABELS: usize = 128;

pub(super) fn parse(text: &str) -> Result<Exposition<'_>, ParseError> {
    let lines = memchr::memchr_iter(b'\n', text.as_bytes()).count();
    let mut parser = Parser {
        cursor: Cursor::new(text, Style::OpenMetrics),
        exposition: Exposition::new(text, lines, Format::OpenMetrics),
        rules: None,
        names: Names::default(),
        seen: Seen::new(lines),
    };
    while !parser.line()? {}
    Ok(parser.exposition)
}

struct Parser<'a> {
    cursor: Cursor<'a>,
    exposition: Exposition<'a>,
    /// The rules of the family that the lines before belong to.
    rules: Option<FamilyRules>,
    names: Names,
    seen: Seen,
}

impl Parser<'_> {
    /// One line; true at the end.
    fn line(&mut self) -> Result<bool, ParseError> {
        match self.cursor.peek() {
            None => Err(self.cursor.error("the last line is not '# EOF': the body is cut")),
            Some(b'\n') => Err(self.cursor.error("a blank line")),
            Some(b'#') => self.comment(),
            Some(_) => self.sample().map(|()| false),
        }
    }

    fn comment(&mut self) -> Result<bool, ParseError> {
        let start = self.cursor.at;
        let rest = &self.cursor.text[start..];
        if let Some(after) = rest.strip_prefix("# EOF") {
            self.close_family()?;
            self.cursor.at += rest.len() - after.len();
            return match after {
                "" | "\n" => Ok(true),
                _ => Err(self.cursor.error("text after '# EOF'")),
            };
        }
        self.cursor.at += 1;
        let words = ["HELP", "TYPE", "UNIT"];
        let word = if self.cursor.eat(b' ') { self.cursor.word() } else { "" };
        if !words.contains(&word) || !self.cursor.eat(b' ') {
            let cause =
                "want '# HELP name text', '# TYPE name type', '# UNIT name unit' or '# EOF': there are no comments";
            return Err(ParseError::at(self.cursor.text, start, cause));
        }
        let family = self.metadata_family(start)?;
        let text_at = self.cursor.at;
        let rest = &self.cursor.text[text_at..];
        let Some(length) = memchr::memchr(b'\n', rest.as_bytes()) else {
            self.cursor.at = self.cursor.text.len();
            return Err(self.cursor.error("the body is cut: the line does not end in a line feed"));
        };
        self.cursor.at += length + 1;
        self.metadata(word, family, &rest[..length], start, text_at)?;
        Ok(false)
    }

    /// The family that a metadata line names; the cursor ends behind the blank after the name.
    fn metadata_family(&mut self, start: usize) -> Result<usize, ParseError> {
        let text = self.cursor.text;
        let quoted = self.cursor.peek() == Some(b'"');
        let name = if quoted { Some(self.cursor.quoted("metric name")?) } else { self.cursor.name(true) };
        let Some(name) = name.filter(|name| !name.raw(text).is_empty()) else {
            return Err(self.cursor.error(format!("want a metric name, found {}", self.cursor.found())));
        };
        if !self.cursor.eat(b' ') {
            let cause = format!("want a blank after the metric name, found {}", self.cursor.found());
            return Err(self.cursor.error(cause));
        }
        let name = name.text(text).into_owned();
        if let Some(rules) = self.rules.as_ref().filter(|rules| rules.name == name) {
            if rules.has_samples() {
                return Err(ParseError::at(text, start, format!("metadata for {name:?} after its samples")));
            }
        } else {
            self.open_family(name, start)?;
        }
        Ok(self.exposition.families.len() - 1)
    }

    fn metadata(
        &mut self,
        word: &str,
        family: usize,
        rest: &str,
        start: usize,
        rest_at: usize,
    ) -> Result<(), ParseError> {
        let text = self.cursor.text;
        let family = &mut self.exposition.families[family];
        let twice = match word {
            "HELP" => family.help.replace(unescape(rest)).is_some(),
            "UNIT" => family.unit.replace(rest.to_owned()).is_some(),
            _ => {
                let kind = match rest {
                    "counter" => Kind::Counter,
                    "gauge" => Kind::Gauge,
                    "histogram" => Kind::Histogram,
                    "gaugehistogram" => Kind::GaugeHistogram,
                    "summary" => Kind::Summary,
                    "info" => Kind::Info,
                    "stateset" => Kind::StateSet,
                    "unknown" => Kind::Unknown,
                    _ => {
                        let wanted = "counter, gauge, histogram, gaugehistogram, summary, info, stateset or unknown";
                        return Err(ParseError::at(text, rest_at, format!("unknown type {rest:?}: want {wanted}")));
                    }
                };
                if let Some(rules) = &mut self.rules {
                    rules.kind = kind;
                }
                #[expect(clippy::cast_possible_truncation, reason = "bounded by the text's length")]
                self.exposition.types.push((start as u32, kind));
                family.kind.replace(kind).is_some()
            }
        };
        if twice {
            return Err(ParseError::at(text, start, format!("a second {word} line for {:?}", family.name)));
        }
        Ok(())
    }

    fn open_family(&mut self, name: String, start: usize) -> Result<(), ParseError> {
        self.close_family()?;
        // Fewer samples than bytes, and those are bounded by 2^31.
        #[expect(clippy::cast_possible_truncation, reason = "bounded by the text's length")]
        let first_sample = self.exposition.samples.len() as u32;
        self.rules = Some(FamilyRules::new(name.clone(), start));
        self.exposition.families.push(Family { name, kind: None, help: None, unit: None, first_sample });
        Ok(())
    }

    fn close_family(&mut self) -> Result<(), ParseError> {
        let Some(rules) = self.rules.take() else { return Ok(()) };
        let start = rules.start;
        let unit = self.exposition.families.last().and_then(|family| family.unit.as_deref());
        let closed = rules.close(unit).and_then(|name| self.names.claim(name));
        closed.map_err(|cause| ParseError::at(self.cursor.text, start, cause))
    }

    fn sample(&mut self) -> Result<(), ParseError> {
        let text = self.cursor.text;
        let start = self.cursor.at;
        let mut name = self.cursor.name(true);
        #[expect(clippy::cast_possible_truncation, reason = "bounded by the text's length")]
        let mut labels = (self.exposition.labels.len() as u32, 0);
        if self.cursor.eat(b'{') {
            let set = self.cursor.label_set(&mut self.exposition, name.is_none())?;
            labels = (set.first, set.count);
            name = name.or(set.name);
        }
        let Some(name) = name else {
            return Err(ParseError::at(text, start, "want a metric name"));
        };
        if !self.cursor.eat(b' ') {
            let cause = format!("want a blank before the value, found {}", self.cursor.found());
            return Err(self.cursor.error(cause));
        }
        let value = self.cursor.value("value")?;
        let mut timestamp = f64::NAN;
        if self.cursor.peek() == Some(b' ') && !self.cursor.text[self.cursor.at..].starts_with(" #") {
            self.cursor.at += 1;
            timestamp = self.timestamp()?;
        }
        self.exposition.samples.push(RawSample {
            name,
            first_label: labels.0,
            label_count: labels.1,
            value,
            timestamp,
        });
        let exemplar = self.cursor.peek() == Some(b' ');
        if exemplar {
            self.cursor.at += 1;
            self.exemplar()?;
        }
        match self.cursor.peek() {
            Some(b'\n') => self.cursor.at += 1,
            None => {
                return Err(self.cursor.error("the body is cut: the line does not end in a line feed"));
            }
            Some(_) => return Err(self.cursor.error("text after the sample")),
        }
        self.check(start, exemplar)
    }

    fn timestamp(&mut self) -> Result<f64, ParseError> {
        let start = self.cursor.at;
        let seconds = self.cursor.value("timestamp")?;
        if seconds.is_finite() {
            return Ok(seconds);
        }
        Err(ParseError::at(self.cursor.text, start, "the timestamp is not a finite number of seconds"))
    }

    fn exemplar(&mut self) -> Result<(), ParseError> {
        let start = self.cursor.at;
        if !self.cursor.text[start..].starts_with("# {") {
            return Err(self.cursor.error("want an exemplar: '# {labels} value'"));
        }
        self.cursor.at += 3;
        let set = self.cursor.label_set(&mut self.exposition, false)?;
        let pairs = self.exposition.label_pairs(set.first, set.count);
        let length: usize = pairs.map(|(name, value)| name.chars().count() + value.chars().count()).sum();
        if length > EXEMPLAR_LABELS {
            let cause = format!("the exemplar's labels have {length} characters, over {EXEMPLAR_LABELS}");
            return Err(ParseError::at(self.cursor.text, start, cause));
        }
        if !self.cursor.eat(b' ') {
            return Err(self.cursor.error("want a blank before the exemplar's value"));
        }
        let value = self.cursor.value("exemplar's value")?;
        let timestamp = if self.cursor.eat(b' ') { self.timestamp()? } else { f64::NAN };
        // The sample that the exemplar belongs to was pushed just before.
        #[expect(clippy::cast_possible_truncation, reason = "bounded by the text's length")]
        let sample = (self.exposition.samples.len() - 1) as u32;
        let exemplar = RawExemplar { first_label: set.first, label_count: set.count, value, timestamp };
        self.exposition.exemplars.insert(sample, exemplar);
        Ok(())
    }

    fn check(&mut self, start: usize, exemplar: bool) -> Result<(), ParseError> {
        let text = self.cursor.text;
        let Some(sample) = self.exposition.samples.last().copied() else {
            return Ok(());
        };
        let name = sample.name.text(text);
        if !self.rules.as_ref().is_some_and(|rules| rules.owns(&name)) {
            // The new family's first sample is the one just read.
            self.open_family(name.clone().into_owned(), start)?;
            if let Some(family) = self.exposition.families.last_mut() {
                family.first_sample -= 1;
            }
        }
        let Some(rules) = &mut self.rules else { return Ok(()) };
        let grouping = rules.grouping_label(&name).map(str::to_owned);
        let group = self.seen.labels_hash(&self.exposition, &sample, grouping.as_deref());
        let labels = self.exposition.label_pairs(sample.first_label, sample.label_count);
        let told = super::openmetrics_rules::Told { group, value: sample.value, timestamp: sample.timestamp, exemplar };
        rules.sample(&name, labels, &told).map_err(|cause| ParseError::at(text, start, cause))?;
        if let Some(index) = self.seen.note(&self.exposition) {
            let first = line_of(text, self.exposition.samples[index as usize].name.start()).0;
            let cause = format!("the series is already on line {first}, with the same timestamp");
            return Err(ParseError::at(text, start, cause));
        }
        Ok(())
    }
}
