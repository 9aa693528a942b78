//! The `OpenMetrics` 1.0 text format: its lines. What the lines of one family must satisfy together is in
//! `openmetrics_rules`.

use super::duplicates::{Hashes, Seen};
use super::error::line_of;
use super::names::MAX_NAMES;
use super::openmetrics_rules::{Claim, Claims, Closed, FamilyRules, Told};
use super::scan::{Cursor, LabelSet, Span, Style, unescape};
use super::{Exposition, Family, Format, Kind, ParseError, RawExemplar, RawSample, WarningKind, Written, same_value};

/// The longest exemplar label set, in characters of names and values.
const EXEMPLAR_LABELS: usize = 128;

pub(super) fn parse(text: &str) -> Result<Exposition<'_>, ParseError> {
    let lines = memchr::memchr_iter(b'\n', text.as_bytes()).count();
    let mut parser = Parser {
        cursor: Cursor::new(text, Style::OpenMetrics),
        exposition: Exposition::new(text, lines, Format::OpenMetrics),
        labels: LabelSet::default(),
        exemplar_labels: LabelSet::default(),
        run: Run::default(),
        rules: None,
        claims: Claims::default(),
        hashes: Hashes::default(),
        seen: Seen::default(),
    };
    while !parser.line()? {}
    Ok(parser.exposition)
}

struct Parser<'a> {
    cursor: Cursor<'a>,
    exposition: Exposition<'a>,
    labels: LabelSet,
    exemplar_labels: LabelSet,
    run: Run<'a>,
    /// The rules of the family that the lines before belong to.
    rules: Option<FamilyRules>,
    claims: Claims,
    hashes: Hashes,
    seen: Seen,
}

/// What is known of the name of the sample before: families come in runs.
#[derive(Default)]
struct Run<'a> {
    /// The name as written.
    raw: &'a str,
    /// Its index among the names.
    name: usize,
    hash: u64,
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
        let current = self.rules.as_ref().filter(|rules| rules.name == name);
        let after_samples = current.is_some_and(FamilyRules::has_samples);
        if current.is_none() || after_samples {
            self.open_family(name, start, after_samples)?;
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
        let Exposition { families, types, .. } = &mut self.exposition;
        let family = &mut families[family];
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
                    (rules.kind, rules.is_declared) = (kind, true);
                }
                #[expect(clippy::cast_possible_truncation, reason = "bounded by the text's length")]
                types.push((start as u32, kind));
                family.kind.replace(kind).is_some()
            }
        };
        if twice {
            return Err(ParseError::at(text, start, format!("a second {word} line for {:?}", family.name)));
        }
        Ok(())
    }

    fn open_family(&mut self, name: String, start: usize, after_samples: bool) -> Result<(), ParseError> {
        self.close_family()?;
        // Fewer samples than bytes, and those are bounded by 2^31.
        #[expect(clippy::cast_possible_truncation, reason = "bounded by the text's length")]
        let first_sample = self.exposition.samples.len() as u32;
        self.rules = Some(FamilyRules::new(name.clone(), start, after_samples));
        self.exposition.families.push(Family { name, kind: None, help: None, unit: None, first_sample });
        Ok(())
    }

    fn close_family(&mut self) -> Result<(), ParseError> {
        let Some(rules) = self.rules.take() else { return Ok(()) };
        let (text, start, after_samples) = (self.cursor.text, rules.start, rules.after_samples);
        let unit = self.exposition.families.last().and_then(|family| family.unit.as_deref());
        let fail = |cause| ParseError::at(text, start, cause);
        let closed: Closed = rules.close(unit).map_err(fail)?;
        match self.claims.claim(&closed) {
            Claim::New => {}
            Claim::SharesName => self.exposition.warnings.add(WarningKind::SharedName, &closed.name, start),
            Claim::Clashes(_) if after_samples => {
                return Err(fail(format!("metadata for {:?} after its samples", closed.name)));
            }
            Claim::Clashes(clash) => {
                return Err(fail(format!(
                    "the name {clash:?} of this family belongs to an earlier one, or its lines are not together"
                )));
            }
        }
        if let Some((kind, at)) = closed.odd {
            self.exposition.warnings.add(kind, &closed.name, at);
        }
        Ok(())
    }

    fn sample(&mut self) -> Result<(), ParseError> {
        let text = self.cursor.text;
        let start = self.cursor.at;
        let mut name = self.cursor.metric_name(self.run.raw);
        if self.cursor.eat(b'{') {
            self.cursor.label_set(&mut self.labels, name.is_none())?;
            name = name.or(self.labels.name);
        } else {
            self.labels.clear();
        }
        let end = self.cursor.at;
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
        let exemplar = if self.cursor.eat(b' ') { Some(self.exemplar()?) } else { None };
        match self.cursor.peek() {
            Some(b'\n') => self.cursor.at += 1,
            None => {
                return Err(self.cursor.error("the body is cut: the line does not end in a line feed"));
            }
            Some(_) => return Err(self.cursor.error("text after the sample")),
        }
        let sample = self.exposition.samples.len();
        self.exposition.push(RawSample::new(start, end, value), timestamp);
        self.check(name, start, Told { group: 0, value, timestamp, exemplar: exemplar.is_some(), start })?;
        if let Some(exemplar) = exemplar.filter(|_| sample < self.exposition.samples.len()) {
            // Fewer samples than bytes, and those are bounded by 2^31.
            self.exposition.exemplars.insert(u32::try_from(sample).unwrap_or(u32::MAX), exemplar);
        }
        Ok(())
    }

    fn timestamp(&mut self) -> Result<f64, ParseError> {
        let start = self.cursor.at;
        let seconds = self.cursor.value("timestamp")?;
        if seconds.is_finite() {
            return Ok(seconds);
        }
        Err(ParseError::at(self.cursor.text, start, "the timestamp is not a finite number of seconds"))
    }

    fn exemplar(&mut self) -> Result<RawExemplar, ParseError> {
        let start = self.cursor.at;
        if !self.cursor.text[start..].starts_with("# {") {
            return Err(self.cursor.error("want an exemplar: '# {labels} value'"));
        }
        self.cursor.at += 3;
        let labels = self.cursor.at - 1;
        self.cursor.label_set(&mut self.exemplar_labels, false)?;
        let end = self.cursor.at;
        let pairs = Written::new(self.cursor.text, labels, end);
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
        Ok(RawExemplar { start: labels, end, value, timestamp })
    }

    fn check(&mut self, span: Span, start: usize, mut told: Told) -> Result<(), ParseError> {
        let text = self.cursor.text;
        let fail = |cause| ParseError::at(text, start, cause);
        let name = span.text(text);
        if !self.rules.as_ref().is_some_and(|rules| rules.owns(&name)) {
            if let Some(cause) = self.rules.as_ref().and_then(|rules| rules.ending_is_missing(&name)) {
                return Err(fail(cause));
            }
            // The new family's first sample is the one just read.
            self.open_family(name.clone().into_owned(), start, false)?;
            if let Some(family) = self.exposition.families.last_mut() {
                family.first_sample -= 1;
            }
        }
        self.begin_run(span, start)?;
        let hash = self.run.hash.wrapping_add(self.labels.hash());
        if let Some(index) = self.seen.note(&self.hashes, &self.exposition, hash) {
            let before = self.exposition.samples[index];
            if !same_value(before.value, told.value) {
                let first = line_of(text, before.start()).0;
                let cause = format!("the series is already on line {first}, with the same timestamp and another value");
                return Err(fail(cause));
            }
            self.exposition.pop();
            self.exposition.warnings.add(WarningKind::Duplicate, &name, start);
            return Ok(());
        }
        self.exposition.names.list[self.run.name].samples += 1;
        let Some(rules) = &mut self.rules else { return Ok(()) };
        let marker = rules.grouping_label(&name);
        let marked = marker.and_then(|marker| self.labels.labels.iter().find(|label| label.name.is(text, marker)));
        told.group = self.labels.hash().wrapping_sub(marked.map_or(0, |label| label.hash));
        let marked = marked.map(|label| label.value.text(text));
        rules.sample(&name, marked.as_deref(), &told).map_err(fail)
    }

    /// Notes the name of the newest sample.
    fn begin_run(&mut self, span: Span, start: usize) -> Result<(), ParseError> {
        let text = self.cursor.text;
        if self.run.raw.as_bytes() == span.bytes(text) {
            return Ok(());
        }
        let Exposition { names, samples, .. } = &mut self.exposition;
        let name = names.enter(text, span);
        if names.list.len() > MAX_NAMES {
            let cause =
                format!("more than {MAX_NAMES} metric names: it looks as if label values went into metric names");
            return Err(ParseError::at(text, start, cause));
        }
        if names.list[name].samples == 0 {
            // A text has fewer samples than bytes, and those are bounded by 2^31.
            names.list[name].first = u32::try_from(samples.len() - 1).unwrap_or(u32::MAX);
        }
        self.run = Run { raw: span.raw(text), name, hash: self.hashes.of_name(&span.text(text)) };
        Ok(())
    }
}
