//! Where and why an exposition is malformed.

use std::fmt;

/// The first thing in an exposition that its format forbids.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseError {
    /// Counted from 1.
    pub line: usize,
    /// In characters, counted from 1.
    pub column: usize,
    /// What was found and what the format wants.
    pub cause: String,
    /// The line, shortened where it is long.
    pub excerpt: String,
}

/// The longest piece of a line that an error shows, in characters.
const EXCERPT: usize = 120;

impl ParseError {
    /// Makes an error for the place at `offset` bytes into `text`.
    pub(super) fn at(text: &str, offset: usize, cause: impl Into<String>) -> Self {
        let (line, start) = line_of(text, offset);
        let offset = text.floor_char_boundary(offset);
        let whole = text[start..].lines().next().unwrap_or_default();
        let mut excerpt: String = whole.chars().take(EXCERPT).map(|c| if c.is_control() { ' ' } else { c }).collect();
        if whole.chars().nth(EXCERPT).is_some() {
            excerpt.push('…');
        }
        Self { line, column: text[start..offset].chars().count() + 1, cause: cause.into(), excerpt }
    }
}

/// The number of the line that holds a byte, counted from 1, and the offset at which that line starts.
pub(super) fn line_of(text: &str, offset: usize) -> (usize, usize) {
    let before = &text.as_bytes()[..offset.min(text.len())];
    let start = memchr::memrchr(b'\n', before).map_or(0, |at| at + 1);
    (memchr::memchr_iter(b'\n', before).count() + 1, start)
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}: {}: {}", self.line, self.column, self.cause, self.excerpt)
    }
}

impl std::error::Error for ParseError {}
