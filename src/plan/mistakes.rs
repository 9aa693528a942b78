//! The mistakes of one file, collected on the way from its text to a plan.

use std::cmp::Ordering;

use promeval::promql::Error as PromqlError;

use super::code;
use super::written::At;
use super::yaml::locate;
use crate::outcome::{Diagnostic, Place, Source};
use crate::text::{self, CUT};

/// The mistakes of one file.
#[derive(Debug, Default)]
pub(super) struct Mistakes<'t> {
    /// Its name and its text; nothing for the embedded default, which nobody can be pointed into.
    file: Option<(&'t str, &'t str)>,
    found: Vec<Diagnostic>,
}

impl<'t> Mistakes<'t> {
    pub(super) fn of(file: Option<(&'t str, &'t str)>) -> Self {
        Self { file, found: Vec::new() }
    }

    /// Whether there is a file for places to point into.
    pub(super) fn has_file(&self) -> bool {
        self.file.is_some()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    pub(super) fn count(&self) -> usize {
        self.found.len()
    }

    /// A mistake at a place of the file; without one, of the command line or of the whole.
    pub(super) fn add(&mut self, code: &'static str, place: Option<Place>, message: impl Into<String>) {
        self.push(Diagnostic::new(code, place, message));
    }

    /// A mistake of the file as a whole.
    pub(super) fn whole(&mut self, code: &'static str, message: impl Into<String>) {
        let name = self.file.map_or("default.yaml", |(name, _)| name);
        self.push(Diagnostic::new(code, None, message).in_file(name));
    }

    pub(super) fn push(&mut self, mut mistake: Diagnostic) {
        if let Some(short) = shortened(&mistake.message) {
            mistake.message = short;
        }
        // An address may stand at any key, also where none is wanted.
        mistake.message = text::covered(&mistake.message, &[]);
        self.found.push(match self.file {
            Some((name, _)) if mistake.place.is_some() => mistake.in_file(name),
            _ => mistake,
        });
    }

    /// A mistake in an expression, at its true place in the file, with carets under it.
    pub(super) fn expression(&mut self, written: &At<String>, error: &PromqlError) {
        let (Some(start), Some((_, text))) = (written.place, self.file) else {
            return self.add(code::PROMQL, None, error.message.clone());
        };
        // The parser is given the expression without the white space around it.
        let value = &written.value;
        let margin = value.len() - value.trim_start().len();
        let from = value.floor_char_boundary(margin + error.span.start);
        let to = value.floor_char_boundary(margin + error.span.end).max(from);
        let place = locate::inside(text, start, written.block, value, from);
        let width = value[from..to].split('\n').next().unwrap_or_default().chars().count();
        let shown = locate::carets(text, place, width);
        self.add(code::PROMQL, Some(place), format!("{}\n{shown}", error.message));
    }

    /// Where the file says something; nothing for what nobody wrote.
    pub(super) fn source(&self, place: Option<Place>) -> Option<Source> {
        let (name, _) = self.file?;
        Some(Source { file: name.to_owned(), place: place? })
    }

    /// The mistakes of a file that this one names.
    pub(super) fn absorb(&mut self, other: Mistakes<'_>) {
        self.found.extend(other.found);
    }

    /// Every mistake once: those of the file in the order of their places, then those of the files that it names, then
    /// those without a file.
    pub(super) fn sorted(self) -> Vec<Diagnostic> {
        let Self { file, mut found } = self;
        let own = file.map(|(name, _)| name);
        let rank = |mistake: &Diagnostic| match &mistake.file {
            Some(name) if Some(&**name) == own => 0,
            Some(_) => 1,
            None => 2,
        };
        found.sort_by(|a, b| {
            let files = rank(a).cmp(&rank(b)).then_with(|| a.file.cmp(&b.file));
            files.then_with(|| by_place(a.place, b.place)).then_with(|| a.message.cmp(&b.message))
        });
        // What an alias repeats, or what the checks of a list take from one place, is one mistake.
        found.dedup();
        found
    }
}

/// A sentence that repeats a text of the file without end, less its middle. The lines that are shown behind it stay.
fn shortened(message: &str) -> Option<String> {
    const KEPT: usize = 300;
    let (sentence, shown) = message.split_at(message.find('\n').unwrap_or(message.len()));
    let length = sentence.chars().count();
    let at = |index| sentence.char_indices().nth(index).map(|(at, _)| at);
    let (head, tail) = (at(KEPT)?, at(length.checked_sub(KEPT).filter(|tail| *tail > KEPT)?)?);
    Some(format!("{}{CUT}{}{shown}", &sentence[..head], &sentence[tail..]))
}

fn by_place(a: Option<Place>, b: Option<Place>) -> Ordering {
    a.is_none().cmp(&b.is_none()).then(a.cmp(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_without_end_loses_its_middle() {
        let long = format!("{:?} is not a duration\n  shown", "ü".repeat(10_000));
        let short = shortened(&long).unwrap();
        assert!(short.chars().count() < 650 && short.starts_with("\"ü"), "{short}");
        assert!(short.ends_with("ü\" is not a duration\n  shown"), "{short}");
        assert_eq!(shortened("short\nlines"), None);
    }

    #[test]
    fn mistakes_come_in_the_order_of_their_places_and_once() {
        let mut mistakes = Mistakes::of(Some(("b.yaml", "")));
        let mut rules = Mistakes::of(Some(("a.rules", "")));
        let place = |line, column| Some(Place { line, column });
        mistakes.add(code::CONFLICT, None, "flags");
        rules.add(code::PROMQL, place(1, 1), "rule");
        mistakes.absorb(rules);
        mistakes.whole(code::EMPTY, "whole");
        for at in [place(10, 1), place(2, 9), place(2, 3), place(10, 1)] {
            mistakes.add(code::PATH, at, "path");
        }
        let shown: Vec<String> = mistakes.sorted().iter().map(ToString::to_string).collect();
        assert_eq!(
            shown,
            [
                "b.yaml:2:3: path [path]",
                "b.yaml:2:9: path [path]",
                "b.yaml:10:1: path [path]",
                "b.yaml: whole [empty]",
                "a.rules:1:1: rule [promql]",
                "flags [conflict]",
            ]
        );
    }
}
