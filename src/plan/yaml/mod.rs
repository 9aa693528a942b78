//! YAML read strictly and within bounds: every mistake at its place, in words of our own.
//!
//! The text becomes a tree whose nodes know their places (`crate::yaml`); the types of a file are then made from it in one go
//! by [`deserializer`], which reports what does not fit and goes on with the next key.

mod access;
mod deserializer;
pub(super) mod locate;

use std::cell::{Cell, RefCell};

use serde::de::DeserializeOwned;

pub(super) use deserializer::{KEY, LIST, LIST_OR_ONE, MUST, ONE_OF};

use super::code;
use super::mistakes::Mistakes;
use crate::yaml::{Entry, Limits, Value, build};
use deserializer::{Here, Reader, Step};

/// What a file may hold: what is over it is a bomb or another file.
#[derive(Clone, Copy)]
pub(super) struct Bounds {
    /// The most values.
    nodes: usize,
    /// The most values that are read, with those that aliases repeat.
    visits: usize,
}

impl Bounds {
    /// A checks file is small.
    pub(super) const PLAN: Self = Self { nodes: 20_000, visits: 50_000 };
    /// A rules file has up to four megabytes of short rules.
    pub(super) const RULES: Self = Self { nodes: 1_000_000, visits: 1_000_000 };
}

/// Reads YAML into the types of a file; nothing where the text cannot be one at all. `empty` is said of a text that holds
/// nothing.
pub(super) fn read<T: DeserializeOwned>(
    text: &str,
    bounds: Bounds,
    mistakes: &mut Mistakes<'_>,
    empty: &str,
) -> Option<T> {
    let mut found = Vec::new();
    let built = build(text, Limits { nodes: bounds.nodes, several: false, noun: "plan" }, &mut found);
    for mistake in found {
        mistakes.push(mistake);
    }
    let Some(root) = built?.roots.into_iter().next() else {
        mistakes.whole(code::EMPTY, empty);
        return None;
    };
    let places = mistakes.has_file();
    let reader = Reader { places, most: bounds.visits, visits: Cell::new(0), mistakes: RefCell::new(mistakes) };
    T::deserialize(Here::new(&root, &Step::Root, &reader)).ok()
}

/// The scalars of a mapping as texts, key by key; lists and mappings in it are left out. Nothing where it is not a mapping.
pub(super) fn texts(text: &str, mistakes: &mut Mistakes<'_>) -> Option<Vec<(String, String)>> {
    let mut found = Vec::new();
    let built = build(text, Limits { nodes: Bounds::PLAN.nodes, several: false, noun: "record" }, &mut found);
    for mistake in found {
        mistakes.push(mistake);
    }
    let root = built?.roots.into_iter().next()?;
    let Value::Mapping(entries) = &root.node.value else { return None };
    let scalar = |entry: &Entry| match &entry.value.node.value {
        Value::Scalar(scalar) => Some((entry.key.clone(), scalar.text.clone())),
        Value::List(_) | Value::Mapping(_) => None,
    };
    Some(entries.iter().filter_map(scalar).collect())
}

#[cfg(test)]
mod tests;
