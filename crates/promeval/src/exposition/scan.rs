//! The pieces that both formats are made of: names, label sets, numbers.

use std::borrow::Cow;
use std::collections::HashSet;

use super::{Exposition, ParseError, RawLabel};
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
    fn new(start: usize, end: usize, escaped: bool) -> Self {
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
    pub(super) fn is_escaped(self) -> bool {
        self.length & ESCAPED != 0
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

/// The byte ends a piece of a quoted string.
const STOP: u8 = 0b1_0000;

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
            b'"' | b'\\' | b'\n' => STOP,
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

/// A label set as it was read.
pub(super) struct LabelSet {
    pub(super) first: u32,
    pub(super) count: u32,
    /// A quoted metric name inside the braces.
    pub(super) name: Option<Span>,
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
    pub(super) fn label_set(&mut self, into: &mut Exposition, name_inside: bool) -> Result<LabelSet, ParseError> {
        let first = into.labels.len();
        let mut name = None;
        let mut after_comma = false;
        loop {
            self.skip_blanks_between_tokens();
            let empty = first == into.labels.len() && name.is_none();
            if self.peek() == Some(b'}') && (!after_comma || (self.style == Style::Prometheus && !empty)) {
                self.at += 1;
                break;
            }
            self.one_label(into, name_inside, &mut name)?;
            self.skip_blanks_between_tokens();
            after_comma = self.eat(b',');
            if !after_comma && self.peek() != Some(b'}') {
                return Err(self.wrong("want ',' or '}' after a label"));
            }
        }
        if let Some(twice) = twice_named(self.text, &into.labels[first..]) {
            let cause = format!("the label {:?} is duplicated", twice.text(self.text));
            return Err(ParseError::at(self.text, twice.start(), cause));
        }
        // A text has fewer labels than bytes, and `text_of` bounds those.
        #[expect(clippy::cast_possible_truncation, reason = "bounded by the text's length")]
        Ok(LabelSet { first: first as u32, count: (into.labels.len() - first) as u32, name })
    }

    fn one_label(
        &mut self,
        into: &mut Exposition,
        name_inside: bool,
        metric: &mut Option<Span>,
    ) -> Result<(), ParseError> {
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
                None => Ok(()),
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
        into.labels.push(RawLabel { name, value });
        Ok(())
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

/// The first quote, backslash or line feed. Most label values are short: looking at their bytes one by one is quicker than
/// calling the vector search, which is for the long ones.
fn stop(bytes: &[u8]) -> Option<usize> {
    const SHORT: usize = 24;
    let (near, far) = bytes.split_at(bytes.len().min(SHORT));
    let found = near.iter().position(|byte| NAMES[usize::from(*byte)] & STOP != 0);
    found.or_else(|| memchr::memchr3(b'"', b'\\', b'\n', far).map(|at| near.len() + at))
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
