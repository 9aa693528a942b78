//! A value in a file, with its place: what rules walk along.

use crate::outcome::{Place, Source};
use crate::yaml::{Edge, Meaning, Node, Scalar, Style, Value};

/// A value in a file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct At<'a> {
    pub(crate) file: &'a str,
    node: &'a Node,
    /// Where its key is, if it has one.
    key: Option<Place>,
}

/// A key and its value.
#[derive(Clone, Copy)]
pub(crate) struct Pair<'a> {
    pub(crate) key: &'a str,
    pub(crate) place: Place,
    pub(crate) value: At<'a>,
}

impl<'a> At<'a> {
    pub(crate) fn root(file: &'a str, edge: &'a Edge) -> Self {
        Self { file, node: &edge.node, key: None }
    }

    /// The value's own place: of a block of lines, that of its key.
    pub(crate) fn place(self) -> Place {
        self.node.place
    }

    pub(crate) fn source(self) -> Source {
        self.source_at(self.place())
    }

    pub(crate) fn source_at(self, place: Place) -> Source {
        Source { file: self.file.to_owned(), place }
    }

    /// The place of its key, or its own.
    pub(crate) fn key_source(self) -> Source {
        self.source_at(self.key.unwrap_or(self.node.place))
    }

    pub(crate) fn pairs(self) -> impl Iterator<Item = Pair<'a>> {
        let entries = match &self.node.value {
            Value::Mapping(entries) => &entries[..],
            Value::Scalar(_) | Value::List(_) => &[],
        };
        entries.iter().map(move |entry| Pair {
            key: &entry.key,
            place: entry.key_place,
            value: At { file: self.file, node: &entry.value.node, key: Some(entry.key_place) },
        })
    }

    pub(crate) fn get(self, key: &str) -> Option<Self> {
        self.pairs().find(|pair| pair.key == key).map(|pair| pair.value)
    }

    /// The value at the end of a path of keys.
    pub(crate) fn path(self, keys: &[&str]) -> Option<Self> {
        keys.iter().try_fold(self, |at, key| at.get(key))
    }

    /// The items of a list; none of anything else.
    pub(crate) fn items(self) -> impl Iterator<Item = Self> {
        let items = match &self.node.value {
            Value::List(items) => &items[..],
            Value::Scalar(_) | Value::Mapping(_) => &[],
        };
        items.iter().map(move |edge| At { file: self.file, node: &edge.node, key: None })
    }

    /// The items of the list at a path of keys.
    pub(crate) fn list(self, keys: &[&str]) -> impl Iterator<Item = Self> + use<'a> {
        self.path(keys).into_iter().flat_map(Self::items)
    }

    fn scalar(self) -> Option<&'a Scalar> {
        match &self.node.value {
            Value::Scalar(scalar) => Some(scalar),
            Value::List(_) | Value::Mapping(_) => None,
        }
    }

    pub(crate) fn meaning(self) -> Option<Meaning> {
        self.scalar().map(Scalar::meaning)
    }

    /// The text of a scalar that is not null.
    pub(crate) fn text(self) -> Option<&'a str> {
        self.scalar().filter(|scalar| scalar.meaning() != Meaning::Null).map(|scalar| &*scalar.text)
    }

    /// The text at the end of a path of keys.
    pub(crate) fn text_at(self, keys: &[&str]) -> Option<&'a str> {
        self.path(keys)?.text()
    }

    pub(crate) fn whole(self) -> Option<u64> {
        match self.meaning()? {
            Meaning::Whole(number) => u64::try_from(number).ok(),
            _ => None,
        }
    }

    pub(crate) fn is_true(self) -> bool {
        self.meaning() == Some(Meaning::Bool(true))
    }

    pub(crate) fn is_list(self) -> bool {
        matches!(self.node.value, Value::List(_))
    }

    pub(crate) fn is_mapping(self) -> bool {
        matches!(self.node.value, Value::Mapping(_))
    }

    /// How it is written: in quotes, plain, or as a block of lines.
    pub(crate) fn style(self) -> Option<Style> {
        self.scalar().map(|scalar| scalar.style)
    }

    /// As a sentence names what was found.
    pub(crate) fn shown(self) -> String {
        match &self.node.value {
            Value::Scalar(scalar) => scalar.to_string(),
            Value::List(_) => "a list".into(),
            Value::Mapping(_) => "a mapping".into(),
        }
    }
}
