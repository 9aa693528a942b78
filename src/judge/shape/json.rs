//! The keys and types of a JSON value, as a tree.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// The most places of one shape: beyond, a body is data keyed by ids rather than a shape.
const MOST_PLACES: usize = 20_000;

/// What stands at a place: every type that was seen there, and what lies below.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(into = "Flat", try_from = "Flat")]
pub(crate) struct Json {
    pub(super) types: Types,
    /// Of objects.
    pub(super) fields: BTreeMap<String, Json>,
    /// Of arrays: the union of their elements' shapes.
    pub(super) elements: Option<Box<Json>>,
}

/// The same tree as a list, so that it can be written and read again however deep it is.
#[derive(Serialize, Deserialize)]
struct Flat(Vec<Node>);

/// A place: that above it by its position in the list, the key there (none where it stands for the elements of an array), and
/// its types. The first has nothing above it.
#[derive(Serialize, Deserialize)]
struct Node(usize, Option<String>, Types);

/// The deepest that is read again: deeper than the reader of JSON goes.
const DEEPEST: usize = 200;

impl From<Json> for Flat {
    fn from(json: Json) -> Self {
        let mut nodes = Vec::new();
        let mut waiting = vec![(0, None, json)];
        while let Some((above, key, Json { types, fields, elements })) = waiting.pop() {
            let index = nodes.len();
            nodes.push(Node(above, key, types));
            waiting.extend(fields.into_iter().map(|(key, below)| (index, Some(key), below)));
            waiting.extend(elements.map(|below| (index, None, *below)));
        }
        Self(nodes)
    }
}

impl TryFrom<Flat> for Json {
    type Error = &'static str;

    fn try_from(Flat(nodes): Flat) -> Result<Self, &'static str> {
        let mut depths: Vec<usize> = Vec::with_capacity(nodes.len());
        for (index, Node(above, ..)) in nodes.iter().enumerate() {
            let depth = match depths.get(*above) {
                Some(depth) => depth + 1,
                None if index == 0 => 0,
                None => return Err("a place of a shape stands before what is above it"),
            };
            if depth > DEEPEST {
                return Err("a shape is too deep");
            }
            depths.push(depth);
        }
        let mut built: Vec<Self> = Vec::with_capacity(nodes.len());
        built.extend(nodes.iter().map(|Node(.., types)| Self { types: *types, ..Self::default() }));
        // What is below stands later in the list.
        for (index, Node(above, key, _)) in nodes.into_iter().enumerate().skip(1).rev() {
            let below = std::mem::take(&mut built[index]);
            match key {
                Some(key) => drop(built[above].fields.insert(key, below)),
                None => built[above].elements = Some(Box::new(below)),
            }
        }
        built.into_iter().next().ok_or("a shape has no place")
    }
}

/// A set of JSON's types.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub(super) struct Types(u8);

impl Types {
    pub(super) const NULL: Self = Self(1);
    const NAMES: [&'static str; 6] = ["null", "a boolean", "a number", "a string", "an array", "an object"];

    fn of(value: &Value) -> Self {
        Self(match value {
            Value::Null => 1,
            Value::Bool(_) => 1 << 1,
            Value::Number(_) => 1 << 2,
            Value::String(_) => 1 << 3,
            Value::Array(_) => 1 << 4,
            Value::Object(_) => 1 << 5,
        })
    }

    pub(super) fn without_null(self) -> Self {
        Self(self.0 & !Self::NULL.0)
    }

    pub(super) fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub(super) fn has_object(self) -> bool {
        self.0 >> 5 & 1 == 1
    }

    /// Those of these that are not among the others.
    pub(super) fn without(self, others: Self) -> Self {
        Self(self.0 & !others.0)
    }

    /// `a number or a string`.
    pub(super) fn shown(self) -> String {
        let names = Self::NAMES.iter().enumerate().filter(|(bit, _)| self.0 >> bit & 1 == 1);
        names.map(|(_, name)| *name).collect::<Vec<_>>().join(" or ")
    }
}

impl Json {
    /// `None` where it has too many places.
    pub(super) fn new(value: &Value) -> Option<Self> {
        let mut shape = Self::default();
        shape.add(value, &mut 0)?;
        Some(shape)
    }

    /// Makes this shape the union of itself and a value's. The reader of JSON has bounded the depth.
    fn add(&mut self, value: &Value, places: &mut usize) -> Option<()> {
        self.types.0 |= Types::of(value).0;
        match value {
            Value::Object(members) => {
                for (key, member) in members {
                    if !self.fields.contains_key(key) {
                        *places += 1;
                        if *places > MOST_PLACES {
                            return None;
                        }
                    }
                    self.fields.entry(key.clone()).or_default().add(member, places)?;
                }
            }
            Value::Array(members) => {
                for member in members {
                    self.elements.get_or_insert_default().add(member, places)?;
                }
            }
            _ => {}
        }
        Some(())
    }
}
