//! Keys and types by the official schemas: a table that `scripts/schemas.py` refreshes.

use std::collections::HashMap;

use crate::text::{cut, similar};
use crate::yaml::{Meaning, Style};

use super::at::{At, Pair};
use super::finding::{Confidence, Found, Level, Rule};
use super::fix::Edit;

const TABLES: &str = include_str!("schema/tables.txt");

pub(super) const UNKNOWN_KEY: Rule = Rule {
    id: "unknown-key",
    level: Level::Error,
    confidence: Confidence::High,
    what: "a key that the schema does not have",
    why: "Skaffold and most of gcloud refuse it. Inside the rules of an automation gcloud drops it without a word: with a slip in \
          `sourcePhases`, for one, every phase advances.",
    fix: "Write the key that was meant, or take it away.",
};

pub(super) const MISSING_KEY: Rule = Rule {
    id: "missing-key",
    level: Level::Error,
    confidence: Confidence::High,
    what: "a key that must be there is not",
    why: "The tool or the API refuses the document, often only when a release is rendered or a rollout is under way.",
    fix: "Add the key, as the schema has it.",
};

pub(super) const WRONG_TYPE: Rule = Rule {
    id: "wrong-type",
    level: Level::Error,
    confidence: Confidence::High,
    what: "a value of another type than the schema's",
    why: "The client refuses it or, where it reads `null` or nothing, goes on as if the key had not been written.",
    fix: "Write the value as the schema wants it: numbers and booleans without quotes, lists as lists.",
};

pub(super) const UNKNOWN_VALUE: Rule = Rule {
    id: "unknown-value",
    level: Level::Error,
    confidence: Confidence::High,
    what: "a word that is none of those that are possible",
    why: "The API refuses it when the file is applied.",
    fix: "Write one of the words that the message lists.",
};

pub(super) const DUPLICATE_KEY: Rule = Rule {
    id: "duplicate-key",
    level: Level::Error,
    confidence: Confidence::High,
    what: "a key is written twice in one mapping",
    why: "Readers differ: some take the first, some the last, some refuse the file.",
    fix: "Keep one of them.",
};

pub(super) const AUTOMATION_WAIT: Rule = Rule {
    id: "automation-wait",
    level: Level::Error,
    confidence: Confidence::High,
    what: "a `wait` that is not in whole minutes",
    why: "gcloud reads digits and an `m` there and nothing else: `0s`, `1h` and `0` are refused, although the API's own form is seconds.",
    fix: "Write whole minutes: `0m`, `1m`, `60m`.",
};

/// A key of a type.
struct Field<'t> {
    name: &'t str,
    must: bool,
    of: &'t str,
}

/// The tables, read.
pub(super) struct Tables(HashMap<&'static str, Vec<Field<'static>>>);

impl Tables {
    pub(super) fn read() -> Self {
        let mut types: HashMap<&str, Vec<Field<'_>>> = HashMap::new();
        let mut current: Vec<Field<'_>> = Vec::new();
        let mut name = "";
        for line in TABLES.lines().filter(|line| !line.starts_with('#')).chain([":"]) {
            if let Some(next) = line.strip_prefix(':') {
                types.insert(name, std::mem::take(&mut current));
                name = next;
            } else if let Some((key, of)) = line.split_once(' ') {
                let must = key.strip_suffix('!');
                current.push(Field { name: must.unwrap_or(key), must: must.is_some(), of });
            }
        }
        Self(types)
    }

    /// Holds a document to its table.
    pub(super) fn check(&self, at: At<'_>, of: &str, found: &mut Found) {
        self.value(at, of, Reader::of(of), found);
    }

    fn value(&self, at: At<'_>, of: &str, reader: Reader, found: &mut Found) {
        let inside = |open: char, close: char| of.strip_prefix(open).and_then(|rest| rest.strip_suffix(close));
        if let Some(item) = inside('[', ']') {
            if reader == Reader::Skaffold && at.meaning() == Some(Meaning::Null) {
                // Its reader takes nothing for an empty list.
                return;
            }
            if !at.is_list() {
                return wrong(at, "a list", found);
            }
            at.items().for_each(|inner| self.value(inner, item, reader, found));
        } else if let Some(item) = inside('{', '}') {
            if !at.is_mapping() {
                return wrong(at, "a mapping", found);
            }
            at.pairs().for_each(|pair| self.value(pair.value, item, reader, found));
        } else if let Some(fields) = self.0.get(of) {
            if at.is_mapping() {
                self.mapping(at, fields, reader, found);
            } else if !(reader == Reader::Skaffold && at.meaning() == Some(Meaning::Null)) {
                wrong(at, "a mapping", found);
            }
        } else if let Some(words) = of.strip_prefix('=') {
            match at.text() {
                None => wrong(at, &format!("one of {}", words.replace('|', ", ")), found),
                Some(word) if words.split('|').any(|known| known == word) => {}
                Some(word) => {
                    let message = format!("{:?} is not one of {}", cut(word, 40), words.replace('|', ", "));
                    found.add(&UNKNOWN_VALUE, at.source(), message);
                }
            }
        } else {
            scalar(at, of, found);
        }
    }

    fn mapping(&self, at: At<'_>, fields: &[Field<'_>], reader: Reader, found: &mut Found) {
        for pair in at.pairs() {
            match fields.iter().find(|field| reader.same(field.name, pair.key)) {
                Some(field) => self.value(pair.value, field.of, reader, found),
                None => unknown(at, pair, fields, found),
            }
        }
        let there = |name: &str| at.pairs().any(|pair| reader.same(name, pair.key));
        for field in fields.iter().filter(|field| field.must && !there(field.name)) {
            found.add(&MISSING_KEY, at.key_source(), format!("the key {:?} is missing here", field.name));
        }
    }
}

/// Whose reader it is: they differ in what they let pass.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reader {
    Skaffold,
    CloudBuild,
    Other,
}

impl Reader {
    fn of(table: &str) -> Self {
        match table {
            "Skaffold" => Self::Skaffold,
            "CloudBuild" => Self::CloudBuild,
            _ => Self::Other,
        }
    }

    /// Cloud Build takes `camelCase` and `snake_case`.
    fn same(self, known: &str, written: &str) -> bool {
        let plain = |text: &str| text.replace('_', "").to_ascii_lowercase();
        known == written || self == Self::CloudBuild && written.contains('_') && plain(known) == plain(written)
    }
}

fn unknown(at: At<'_>, pair: Pair<'_>, fields: &[Field<'_>], found: &mut Found) {
    let names = || fields.iter().map(|field| field.name);
    let meant = similar(pair.key, names()).first().copied();
    let hint = match meant {
        Some(name) => format!("did you mean {name:?}?"),
        None => format!("the keys here are {}", names().collect::<Vec<_>>().join(", ")),
    };
    let edit = meant.filter(|name| is_slip(name, pair.key) && at.get(name).is_none()).map(|name| Edit::Replace {
        place: pair.place,
        old: pair.key.to_owned(),
        new: name.to_owned(),
    });
    let message = format!("unknown key {:?}; {hint}", cut(pair.key, 40));
    found.add(&UNKNOWN_KEY, at.source_at(pair.place), message).edit(edit);
}

/// Whether two names differ in case, dashes or a plural only.
fn is_slip(name: &str, written: &str) -> bool {
    let plain = |text: &str| text.replace(['_', '-'], "").to_ascii_lowercase().trim_end_matches('s').to_owned();
    plain(name) == plain(written)
}

fn wrong(at: At<'_>, wanted: &str, found: &mut Found) {
    found.add(&WRONG_TYPE, at.source(), format!("wants {wanted}, found {}", at.shown()));
}

fn scalar(at: At<'_>, of: &str, found: &mut Found) {
    let text = at.text();
    let meaning = at.meaning();
    let (wanted, right) = match of {
        "string" => ("text", meaning == Some(Meaning::Text)),
        "scalar" => ("text", text.is_some()),
        "boolean" => ("true or false", matches!(meaning, Some(Meaning::Bool(_)))),
        "integer" => ("a whole number", matches!(meaning, Some(Meaning::Whole(_)))),
        "number" => ("a number", matches!(meaning, Some(Meaning::Whole(_) | Meaning::Float(_)))),
        "duration" => {
            let right =
                text.is_some_and(|text| text.strip_suffix('s').is_some_and(|digits| digits.parse::<f64>().is_ok()));
            ("seconds such as 600s", right)
        }
        "minutes" => return minutes(at, found),
        _ => return,
    };
    if right {
        return;
    }
    // What is quoted without need, and what lacks its quotes, says for certain what it means.
    let edit = match (of, at.style(), text) {
        ("integer", Some(Style::Quoted), Some(text)) if text.parse::<u32>().is_ok() => {
            Some((quoted(text), text.to_owned()))
        }
        ("boolean", Some(Style::Quoted), Some("true" | "false")) => text.map(|text| (quoted(text), text.to_owned())),
        ("string", Some(Style::Plain), Some(text)) => Some((text.to_owned(), quoted(text))),
        _ => None,
    };
    let edit = edit.map(|(old, new)| Edit::Replace { place: at.place(), old, new });
    found.add(&WRONG_TYPE, at.source(), format!("wants {wanted}, found {}", at.shown())).edit(edit);
}

fn quoted(text: &str) -> String {
    format!("\"{text}\"")
}

/// `^\d+m$`, as gcloud reads it.
fn minutes(at: At<'_>, found: &mut Found) {
    let Some(text) = at.text() else { return wrong(at, "minutes such as 1m", found) };
    let number = |unit: &str| text.strip_suffix(unit).and_then(|digits| digits.parse::<u64>().ok());
    if text
        .strip_suffix('m')
        .is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()))
    {
        return;
    }
    let whole = match (number("s"), number("h"), number("")) {
        (Some(seconds), _, _) if seconds % 60 == 0 => Some(seconds / 60),
        (_, Some(hours), _) => hours.checked_mul(60),
        (_, _, Some(0)) => Some(0),
        _ => None,
    };
    let edit = whole.filter(|_| at.style() == Some(Style::Plain)).map(|whole| Edit::Replace {
        place: at.place(),
        old: text.to_owned(),
        new: format!("{whole}m"),
    });
    let message = format!("{:?} is not a number of minutes such as 1m", cut(text, 40));
    found.add(&AUTOMATION_WAIT, at.source(), message).edit(edit);
}
