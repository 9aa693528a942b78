//! The names and labels of a sample, read again from the text.
//!
//! An exposition keeps only where each sample's series begins and ends: the places of all names and values took twice as much
//! memory as the text. What was parsed once is well-formed, so that nothing can fail here.

use std::borrow::Cow;

use super::scan::{Span, is_metric_name_byte, unquoted, without_quotes};

/// The labels between two places of a text, as pairs of name and value.
#[derive(Clone)]
pub(super) struct Written<'e> {
    text: &'e str,
    at: usize,
    end: usize,
    /// The metric's name, where it is among the labels and was met.
    pub(super) metric: Option<Span>,
}

impl<'e> Written<'e> {
    /// The labels of a series that begins at `start`; those of an exemplar where `start` is at the brace.
    pub(super) fn new(text: &'e str, start: usize, end: usize) -> Self {
        let name = metric_name_length(&text.as_bytes()[start..end]);
        Self { text, at: start + name, end, metric: None }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes()[..self.end].get(self.at).copied()
    }

    fn skip(&mut self, bytes: &[u8]) {
        while self.peek().is_some_and(|byte| bytes.contains(&byte)) {
            self.at += 1;
        }
    }

    /// The next label's places in the text.
    pub(super) fn next_spans(&mut self) -> Option<(Span, Span)> {
        loop {
            self.skip(b" \t{,}");
            let quoted = self.peek()? == b'"';
            let name = if quoted { without_quotes(self.text, self.at) } else { unquoted(self.text, self.at) };
            self.at = name.end() + usize::from(quoted);
            self.skip(b" \t");
            if self.peek() != Some(b'=') {
                self.metric = Some(name);
                continue;
            }
            self.at += 1;
            self.skip(b" \t");
            let value = without_quotes(self.text, self.at);
            self.at = value.end() + 1;
            return Some((name, value));
        }
    }
}

impl<'e> Iterator for Written<'e> {
    type Item = (Cow<'e, str>, Cow<'e, str>);

    fn next(&mut self) -> Option<Self::Item> {
        let (name, value) = self.next_spans()?;
        Some((name.text(self.text), value.text(self.text)))
    }
}

/// The metric's name of a series.
pub(super) fn metric_name(text: &str, start: usize, end: usize) -> Span {
    let length = metric_name_length(&text.as_bytes()[start..end]);
    if length > 0 {
        return Span::new(start, start + length, false);
    }
    let mut labels = Written::new(text, start, end);
    while labels.metric.is_none() && labels.next_spans().is_some() {}
    labels.metric.unwrap_or(Span::new(start, start, false))
}

fn metric_name_length(bytes: &[u8]) -> usize {
    bytes.iter().position(|byte| !is_metric_name_byte(*byte)).unwrap_or(bytes.len())
}
