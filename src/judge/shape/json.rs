//! The keys and types of a JSON value, as a tree.

use serde_json::Value;
use std::collections::BTreeMap;

/// The most places of one shape: beyond, a body is data keyed by ids rather than a shape.
const MOST_PLACES: usize = 20_000;

/// What stands at a place: every type that was seen there, and what lies below.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Json {
    pub(super) types: Types,
    /// Of objects.
    pub(super) fields: BTreeMap<String, Json>,
    /// Of arrays: the union of their elements' shapes.
    pub(super) elements: Option<Box<Json>>,
}

/// A set of JSON's types.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
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
