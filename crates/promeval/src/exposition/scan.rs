//! The pieces that both formats are made of: names, label sets, numbers.

use std::borrow::Cow;
use std::collections::HashSet;
use std::hash::{BuildHasher as _, Hasher as _};

use foldhash::fast::RandomState;

use super::ParseError;
use crate::labels::METRIC_NAME;
use crate::number::parse_float;

/// A piece of the text; where it is a quoted string with escapes, they are decoded on the way out.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    start: u32,
    /// The top bit says whether there are escapes.
    length: u32,
}

const ESCAPED: u32 = 1 << 31;

impl Span {
    pub(super) fn new(start: usize, end: usize, escaped: bool) -> Self {
        // `text_of` refuses a text whose offsets do not fit in 31 bits.
        #[expect(clippy::cast_possible_truncation, reason = "checked when the text came in")]
        Self { start: start as u32, length: (end - start) as u32 | if escaped { ESCAPED } else { 0 } }
    }

    pub(super) fn start(self) -> usize {
        self.start as usize
    }

    pub(super) fn end(self) -> usize {
        self.start() + (self.length & !ESCAPED) as usize
    }

    /// The piece as written, escapes and all.
    pub(super) fn raw(self, text: &str) -> &str {
        &text[self.start()..self.end()]
    }

    /// The piece as written, as bytes: without the checks that cutting a string takes.
    pub(super) fn bytes(self, text: &str) -> &[u8] {
        &text.as_bytes()[self.start()..self.end()]
    }

    /// Whether there are escapes, so that the bytes are not the text.
    fn is_escaped(self) -> bool {
        self.length & ESCAPED != 0
    }

    fn is_empty(self) -> bool {
        self.length & !ESCAPED == 0
    }

    /// Whether the piece is this text.
    pub(super) fn is(self, text: &str, wanted: &str) -> bool {
        if self.is_escaped() { self.text(text) == wanted } else { self.bytes(text) == wanted.as_bytes() }
    }

    /// The same piece in a text that is moved by so many bytes.
    fn moved(self, by: usize) -> Self {
        #[expect(clippy::cast_possible_truncation, reason = "checked when the text came in")]
        Self { start: self.start + by as u32, ..self }
    }

    pub(super) fn text(self, text: &str) -> Cow<'_, str> {
        let raw = self.raw(text);
        if self.length & ESCAPED == 0 { Cow::Borrowed(raw) } else { Cow::Owned(unescape(raw)) }
    }
}

/// Decodes `\\`, `\"` and `\n`; any other backslash is kept.
pub(super) fn unescape(raw: &str) -> String {
    let mut decoded = String::with_capacity(raw.len());
    let mut chars = raw.chars();
    while let Some(c) = chars.next() {
        match (c, chars.clone().next()) {
            ('\\', Some(escaped @ ('\\' | '"' | 'n'))) => {
                decoded.push(if escaped == 'n' { '\n' } else { escaped });
                chars.next();
            }
            _ => decoded.push(c),
        }
    }
    decoded
}

/// The body as text.
pub(super) fn text_of(body: &[u8]) -> Result<&str, ParseError> {
    if body.len() >= ESCAPED as usize {
        return Err(ParseError::at("", 0, format!("the body has {} bytes, over the 2 GiB that are read", body.len())));
    }
    std::str::from_utf8(body).map_err(|error| {
        let valid = String::from_utf8_lossy(&body[..error.valid_up_to()]);
        ParseError::at(&valid, valid.len(), format!("byte {:#04x} is not UTF-8", body[error.valid_up_to()]))
    })
}

/// How much the format allows inside a label set.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    /// Blanks around every token, a comma after the last label; only the three known escapes.
    Prometheus,
    /// No blanks, no comma after the last label; a backslash before another character is kept.
    OpenMetrics,
}

/// The byte may be part of a label's name.
const LABEL: u8 = 0b0011;
/// The byte may be part of a metric's name.
const METRIC: u8 = 0b1100;
/// The byte may be the first one.
const START: u8 = 0b0101;

/// What each byte may be in a name: a table, because this is asked of most bytes of a text.
#[expect(clippy::cast_possible_truncation, reason = "the index of a byte")]
static NAMES: [u8; 256] = {
    let mut names = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        names[byte] = match byte as u8 {
            b'a'..=b'z' | b'A'..=b'Z' | b'_' => LABEL | METRIC,
            b'0'..=b'9' => (LABEL | METRIC) & !START,
            b':' => METRIC,
            _ => 0,
        };
        byte += 1;
    }
    names
};

/// A place in the text.
pub(super) struct Cursor<'a> {
    pub(super) text: &'a str,
    pub(super) at: usize,
    style: Style,
}

/// A label of the line that is read.
#[derive(Clone, Copy, Debug)]
pub(super) struct RawLabel {
    pub(super) name: Span,
    pub(super) value: Span,
    /// Of name and value; zero where the value is empty, which is the same as no label.
    pub(super) hash: u64,
}

/// The labels of the line that is read, and those of the line before that are not yet replaced.
///
/// A line mostly has the labels of the one before it, with some other values. What is the same bytes is neither read nor hashed
/// again: that halved the parse time of ordinary expositions.
#[derive(Default)]
pub(super) struct LabelSet {
    pub(super) labels: Vec<RawLabel>,
    /// A quoted metric name inside the braces.
    pub(super) name: Option<Span>,
    /// Seeded anew in each process, so that nobody can choose labels that collide.
    state: RandomState,
}

impl LabelSet {
    /// Forgets the line before, whose labels a line without braces does not have.
    pub(super) fn clear(&mut self) {
        self.labels.clear();
        self.name = None;
    }

    /// A hash that no order of the labels changes.
    pub(super) fn hash(&self) -> u64 {
        self.labels.iter().fold(0, |sum: u64, label| sum.wrapping_add(label.hash))
    }

    /// Puts a label at a place.
    fn put(&mut self, text: &str, at: usize, name: Span, value: Span) {
        let mut label = RawLabel { name, value, hash: 0 };
        if !value.is_empty() {
            let mut hasher = self.state.build_hasher();
            if label.is_plain() {
                hasher.write(&text.as_bytes()[name.start()..value.end()]);
            } else {
                hasher.write(format!("{}=\"{}", name.text(text), value.text(text)).as_bytes());
            }
            label.hash = hasher.finish();
        }
        self.replace(at, label);
    }

    fn replace(&mut self, at: usize, label: RawLabel) {
        match self.labels.get_mut(at) {
            Some(before) => *before = label,
            None => self.labels.push(label),
        }
    }
}

impl RawLabel {
    /// Whether it is written `name="value"`, without blanks, escapes and other quotes: nothing else has two bytes between.
    fn is_plain(&self) -> bool {
        self.name.end() + 2 == self.value.start() && !self.name.is_escaped() && !self.value.is_escaped()
    }
}

impl<'a> Cursor<'a> {
    pub(super) fn new(text: &'a str, style: Style) -> Self {
        Self { text, at: 0, style }
    }

    pub(super) fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// Steps over a byte if it is the next one.
    pub(super) fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    /// Steps over blanks and tabs.
    pub(super) fn skip_blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t')) {
            self.at += 1;
        }
    }

    fn skip_blanks_between_tokens(&mut self) {
        if self.style == Style::Prometheus {
            self.skip_blanks();
        }
    }

    pub(super) fn error(&self, cause: impl Into<String>) -> ParseError {
        ParseError::at(self.text, self.at, cause)
    }

    /// What was wanted here, and what was found. Apart and cold: making messages must not slow down parsing.
    #[cold]
    #[inline(never)]
    pub(super) fn wrong(&self, wanted: &str) -> ParseError {
        self.error(format!("{wanted}, found {}", self.found()))
    }

    #[cold]
    #[inline(never)]
    fn unclosed(&self, what: &str, hint: &str) -> ParseError {
        self.error(format!("the {what} has no closing quote{hint}"))
    }

    #[cold]
    #[inline(never)]
    fn bad_escape(&self, what: &str) -> ParseError {
        self.error(format!("invalid escape in the {what}: only \\\\, \\\" and \\n exist"))
    }

    #[cold]
    #[inline(never)]
    fn named_twice(&self, start: usize, other: &str) -> ParseError {
        ParseError::at(self.text, start, format!("the metric name is set twice: {other}"))
    }

    /// What stands here, for a message.
    pub(super) fn found(&self) -> String {
        match self.text[self.text.floor_char_boundary(self.at)..].chars().next() {
            None => "the end of the body".into(),
            Some('\n') => "the end of the line".into(),
            Some(c) => format!("{c:?}"),
        }
    }

    /// A name without quotes; `colon` where a colon may be part of it.
    pub(super) fn name(&mut self, colon: bool) -> Option<Span> {
        let bytes = self.text.as_bytes();
        let start = self.at;
        let wanted = if colon { METRIC } else { LABEL };
        let class = |byte: &u8| NAMES[usize::from(*byte)];
        if bytes.get(start).is_none_or(|byte| class(byte) & wanted & START == 0) {
            return None;
        }
        let rest = bytes[start..].iter().position(|byte| class(byte) & wanted == 0);
        self.at = rest.map_or(bytes.len(), |length| start + length);
        Some(Span::new(start, self.at, false))
    }

    /// A metric's name without quotes, which is mostly that of the line before.
    pub(super) fn metric_name(&mut self, before: &str) -> Option<Span> {
        let rest = &self.text.as_bytes()[self.at..];
        let same = !before.is_empty() && rest.starts_with(before.as_bytes());
        if same && rest.get(before.len()).is_none_or(|byte| !is_metric_name_byte(*byte)) {
            let start = self.at;
            self.at += before.len();
            return Some(Span::new(start, self.at, false));
        }
        self.name(true)
    }

    /// A quoted string; the opening quote is next.
    pub(super) fn quoted(&mut self, what: &str) -> Result<Span, ParseError> {
        let bytes = self.text.as_bytes();
        self.at += 1;
        let start = self.at;
        let mut escaped = false;
        loop {
            let Some(found) = stop(&bytes[self.at..]) else {
                self.at = bytes.len();
                return Err(self.unclosed(what, ""));
            };
            self.at += found;
            match bytes[self.at] {
                b'"' => {
                    self.at += 1;
                    return Ok(Span::new(start, self.at - 1, escaped));
                }
                b'\n' => return Err(self.unclosed(what, " (a line feed is written \\n)")),
                _ => {
                    let next = bytes.get(self.at + 1).copied();
                    let known = matches!(next, Some(b'\\' | b'"' | b'n'));
                    if !known && (self.style == Style::Prometheus || matches!(next, None | Some(b'\n'))) {
                        return Err(self.bad_escape(what));
                    }
                    escaped |= known;
                    self.at += 1 + usize::from(known);
                }
            }
        }
    }

    /// The labels after an opening brace, up to and with the closing one. `name_inside`: a quoted metric name may be
    /// among them.
    pub(super) fn label_set(&mut self, into: &mut LabelSet, name_inside: bool) -> Result<(), ParseError> {
        let mut count = 0;
        let mut same_names = into.name.take().is_none();
        let mut after_comma = false;
        loop {
            self.skip_blanks_between_tokens();
            let empty = count == 0 && into.name.is_none();
            if self.peek() == Some(b'}') && (!after_comma || (self.style == Style::Prometheus && !empty)) {
                self.at += 1;
                break;
            }
            let before = into.labels.get(count).filter(|label| label.is_plain()).copied();
            if let Some(same) = before.and_then(|before| self.same_label(before)) {
                into.replace(count, same);
                count += 1;
            } else if let Some(name) = before.and_then(|before| self.same_label_name(before.name)) {
                into.put(self.text, count, name, self.quoted("label value")?);
                count += 1;
            } else if let Some((name, value)) = self.one_label(name_inside, &mut into.name)? {
                into.put(self.text, count, name, value);
                count += 1;
                same_names = false;
            }
            self.skip_blanks_between_tokens();
            after_comma = self.eat(b',');
            if !after_comma && self.peek() != Some(b'}') {
                return Err(self.wrong("want ',' or '}' after a label"));
            }
        }
        into.labels.truncate(count);
        // Where the names are those of the line before, they have been found to differ.
        if !same_names && let Some(twice) = twice_named(self.text, &into.labels) {
            let cause = format!("the label {:?} is duplicated", twice.text(self.text));
            return Err(ParseError::at(self.text, twice.start(), cause));
        }
        Ok(())
    }

    /// Steps over a label that is written as one of the line before.
    fn same_label(&mut self, before: RawLabel) -> Option<RawLabel> {
        let bytes = self.text.as_bytes();
        let written = &bytes[before.name.start()..=before.value.end()];
        if !bytes[self.at..].starts_with(written) {
            return None;
        }
        let by = self.at - before.name.start();
        self.at += written.len();
        Some(RawLabel { name: before.name.moved(by), value: before.value.moved(by), hash: before.hash })
    }

    /// Steps over a label's name and the equals sign, where the name is that of a label of the line before.
    fn same_label_name(&mut self, before: Span) -> Option<Span> {
        let rest = self.text.as_bytes()[self.at..].strip_prefix(before.bytes(self.text))?;
        if !rest.starts_with(b"=\"") {
            return None;
        }
        let name = before.moved(self.at - before.start());
        self.at = name.end() + 1;
        Some(name)
    }

    /// Name and value of a label; nothing where it is the quoted name of the metric.
    fn one_label(&mut self, name_inside: bool, metric: &mut Option<Span>) -> Result<Option<(Span, Span)>, ParseError> {
        let start = self.at;
        let quoted = self.peek() == Some(b'"');
        let name = if quoted {
            self.quoted("name")?
        } else {
            self.name(false).ok_or_else(|| self.wrong("want a label name"))?
        };
        let text = self.text;
        if name.bytes(text).is_empty() {
            return Err(ParseError::at(text, start, "a name is empty"));
        }
        self.skip_blanks_between_tokens();
        if quoted && matches!(self.peek(), Some(b',' | b'}')) {
            if !name_inside {
                return Err(self.named_twice(start, "before the braces and in them"));
            }
            return match metric.replace(name) {
                None => Ok(None),
                Some(_) => Err(self.named_twice(start, "both times in the braces")),
            };
        }
        if !self.eat(b'=') {
            return Err(self.wrong("want '=' after a label name"));
        }
        self.skip_blanks_between_tokens();
        if self.peek() != Some(b'"') {
            return Err(self.wrong("want a label value in double quotes"));
        }
        let value = self.quoted("label value")?;
        if name.bytes(text) == METRIC_NAME.as_bytes() {
            return Err(ParseError::at(text, start, "the label name __name__ is reserved"));
        }
        Ok(Some((name, value)))
    }

    /// The next run of bytes up to a blank or the line's end.
    pub(super) fn word(&mut self) -> &'a str {
        let bytes = self.text.as_bytes();
        let start = self.at;
        let length = bytes[start..].iter().position(|byte| matches!(byte, b' ' | b'\t' | b'\n'));
        self.at = length.map_or(bytes.len(), |length| start + length);
        &self.text[start..self.at]
    }

    /// A sample's value.
    pub(super) fn value(&mut self, what: &str) -> Result<f64, ParseError> {
        let start = self.at;
        let word = self.word();
        parse_float(word).ok_or_else(|| {
            let cause = if word.is_empty() {
                format!("the {what} is missing")
            } else {
                format!("the {what} {word:?} is not a number")
            };
            ParseError::at(self.text, start, cause)
        })
    }
}

/// A quoted string of well-formed text; the opening quote is at `at`.
pub(super) fn without_quotes(text: &str, at: usize) -> Span {
    until_quote(text, at + 1)
}

/// The rest of a quoted string of well-formed text, behind its opening quote.
pub(super) fn until_quote(text: &str, start: usize) -> Span {
    let bytes = text.as_bytes();
    let (mut end, mut escaped) = (start, false);
    while let Some(found) = stop(&bytes[end..]) {
        end += found;
        if bytes[end] != b'\\' {
            break;
        }
        let known = matches!(bytes.get(end + 1), Some(b'\\' | b'"' | b'n'));
        escaped |= known;
        end += 1 + usize::from(known);
    }
    Span::new(start, end, escaped)
}

/// A label name without quotes.
pub(super) fn unquoted(text: &str, at: usize) -> Span {
    let bytes = &text.as_bytes()[at..];
    let length = bytes.iter().position(|byte| NAMES[usize::from(*byte)] & LABEL == 0);
    Span::new(at, at + length.unwrap_or(bytes.len()), false)
}

pub(super) fn is_metric_name_byte(byte: u8) -> bool {
    NAMES[usize::from(byte)] & METRIC != 0
}

/// The first quote, backslash or line feed. Label values are mostly short: eight bytes at a time are looked at before the vector
/// search is called, which is for the long ones. Byte by byte took a tenth of the parse time more.
fn stop(bytes: &[u8]) -> Option<usize> {
    const SHORT: usize = 64;
    let mut at = 0;
    while let Some(word) = bytes[at..].first_chunk::<8>().filter(|_| at < SHORT) {
        let word = u64::from_le_bytes(*word);
        let found = zeros(word ^ each(b'"')) | zeros(word ^ each(b'\\')) | zeros(word ^ each(b'\n'));
        if found != 0 {
            return Some(at + (found.trailing_zeros() / 8) as usize);
        }
        at += 8;
    }
    memchr::memchr3(b'"', b'\\', b'\n', &bytes[at..]).map(|found| at + found)
}

/// Eight times the same byte.
const fn each(byte: u8) -> u64 {
    u64::from_le_bytes([byte; 8])
}

/// The top bit of each byte that is zero is set; above the lowest of them, others may be.
const fn zeros(word: u64) -> u64 {
    word.wrapping_sub(each(1)) & !word & each(0x80)
}

fn same_name(text: &str, a: Span, b: Span) -> bool {
    if a.is_escaped() || b.is_escaped() { a.text(text) == b.text(text) } else { a.bytes(text) == b.bytes(text) }
}

/// The first label whose name an earlier one has. Long sets get a hash set, so that none is quadratic.
fn twice_named(text: &str, labels: &[RawLabel]) -> Option<Span> {
    const COMPARED: usize = 32;
    if labels.len() <= COMPARED {
        let has_an_equal = |(at, label): &(usize, &RawLabel)| {
            labels[..*at].iter().any(|other| same_name(text, other.name, label.name))
        };
        return labels.iter().enumerate().find(has_an_equal).map(|(_, label)| label.name);
    }
    let mut seen = HashSet::new();
    labels.iter().map(|label| label.name).find(|name| !seen.insert(name.text(text)))
}
