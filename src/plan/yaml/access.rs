//! Lists, mappings and structs of a tree, as serde walks through them.

use serde::de::value::{StrDeserializer, U64Deserializer};
use serde::de::{DeserializeSeed, Deserializer, IntoDeserializer as _, MapAccess, SeqAccess, Visitor};

use super::super::code;
use super::deserializer::{Error, Here, KEY, MUST, Step};
use crate::text::{cut, similar};
use crate::yaml::{Edge, Entry, Style, Value};

/// The longest key that is repeated in a message.
const SHOWN: usize = 60;

/// The items of a list.
pub(super) struct Items<'r, 'm, 't> {
    list: Here<'r, 'm, 't>,
    edges: &'r [Edge],
    next: usize,
}

impl<'r, 'm, 't> Items<'r, 'm, 't> {
    pub(super) fn new(list: Here<'r, 'm, 't>, edges: &'r [Edge]) -> Self {
        Self { list, edges, next: 0 }
    }
}

impl<'de> SeqAccess<'de> for Items<'_, '_, '_> {
    type Error = Error;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Error> {
        let Some(item) = self.edges.get(self.next) else { return Ok(None) };
        let step = Step::Item(self.list.step, self.next);
        self.next += 1;
        seed.deserialize(self.list.inner(item, &step)).map(Some)
    }
}

/// A value with its place: the line, the column, whether it is a block of lines, and then the value itself. Line 0 stands
/// for no place.
pub(super) struct Placed<'r, 'm, 't> {
    here: Here<'r, 'm, 't>,
    next: usize,
}

impl<'r, 'm, 't> Placed<'r, 'm, 't> {
    pub(super) fn new(here: Here<'r, 'm, 't>) -> Self {
        Self { here, next: 0 }
    }
}

impl<'de> SeqAccess<'de> for Placed<'_, '_, '_> {
    type Error = Error;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Error> {
        let node = self.here.node;
        let block = matches!(&node.value, Value::Scalar(scalar) if scalar.style == Style::Block);
        let place = Some(node.place).filter(|_| self.here.reader.places);
        let number = match self.next {
            0 => place.map_or(0, |place| place.line),
            1 => place.map_or(0, |place| place.column),
            2 => u64::from(block),
            3 => {
                self.next += 1;
                return seed.deserialize(self.here).map(Some);
            }
            _ => return Ok(None),
        };
        self.next += 1;
        let number: U64Deserializer<Error> = number.into_deserializer();
        seed.deserialize(number).map(Some)
    }
}

/// The keys and values of a mapping with any keys.
pub(super) struct Pairs<'r, 'm, 't> {
    mapping: Here<'r, 'm, 't>,
    entries: &'r [Entry],
    next: usize,
}

impl<'r, 'm, 't> Pairs<'r, 'm, 't> {
    pub(super) fn new(mapping: Here<'r, 'm, 't>, entries: &'r [Entry]) -> Self {
        Self { mapping, entries, next: 0 }
    }
}

impl<'de> MapAccess<'de> for Pairs<'_, '_, '_> {
    type Error = Error;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Error> {
        let Some(entry) = self.entries.get(self.next) else { return Ok(None) };
        let key: StrDeserializer<'_, Error> = entry.key.as_str().into_deserializer();
        seed.deserialize(key).map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Error> {
        let Some(entry) = self.entries.get(self.next) else { return Err(Error::Reported) };
        self.next += 1;
        let step = Step::Key(self.mapping.step, &entry.key);
        seed.deserialize(self.mapping.inner(&entry.value, &step))
    }
}

/// The keys of a struct: those that the mapping has, then those that it lacks. Unknown ones are reported and left out.
pub(super) struct Fields<'r, 'm, 't> {
    mapping: Here<'r, 'm, 't>,
    known: Vec<&'r Entry>,
    next: usize,
    absent: Vec<(&'static str, Lack)>,
}

/// Why a key is not there.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Lack {
    /// Nobody wrote it.
    Left,
    /// Nobody wrote it; but there is an unknown key that may have been meant for it.
    Doubtful,
    /// An unknown key is similar to it.
    Mistyped,
}

impl<'r, 'm, 't> Fields<'r, 'm, 't> {
    pub(super) fn new(mapping: Here<'r, 'm, 't>, entries: &'r [Entry], fields: &'static [&'static str]) -> Self {
        let (known, unknown): (Vec<&Entry>, Vec<&Entry>) =
            entries.iter().partition(|entry| fields.contains(&&*entry.key));
        let there = |field: &str| known.iter().any(|entry| entry.key == field);
        let mut absent: Vec<(&'static str, Lack)> =
            fields.iter().filter(|field| !there(field)).map(|field| (*field, Lack::Left)).collect();
        for entry in unknown {
            let meant = similar(&entry.key, fields.iter().copied()).first().copied();
            let hint = match meant {
                Some(name) => format!("did you mean {name:?}?"),
                None => format!("the keys here are {}", fields.join(", ")),
            };
            let message = format!("unknown key {:?}; {hint}", cut(&entry.key, SHOWN));
            mapping.report(code::UNKNOWN_KEY, entry.key_place, message);
            for (field, lack) in &mut absent {
                match meant {
                    Some(name) if name == *field => *lack = Lack::Mistyped,
                    None if *lack == Lack::Left => *lack = Lack::Doubtful,
                    Some(_) | None => {}
                }
            }
        }
        Self { mapping, known, next: 0, absent }
    }
}

impl<'de> MapAccess<'de> for Fields<'_, '_, '_> {
    type Error = Error;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Error> {
        let key = match (self.known.get(self.next), self.absent.last()) {
            (Some(entry), _) => entry.key.as_str(),
            (None, Some((field, _))) => field,
            (None, None) => return Ok(None),
        };
        let key: StrDeserializer<'_, Error> = key.into_deserializer();
        seed.deserialize(key).map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Error> {
        if let Some(entry) = self.known.get(self.next) {
            self.next += 1;
            let step = Step::Key(self.mapping.step, &entry.key);
            return seed.deserialize(self.mapping.inner(&entry.value, &step));
        }
        let Some((field, lack)) = self.absent.pop() else { return Err(Error::Reported) };
        seed.deserialize(Absent { mapping: self.mapping, field, lack })
    }
}

/// A key that is not there: none where it may be left out, a unit where it counts as a mistake that is reported.
struct Absent<'r, 'm, 't> {
    mapping: Here<'r, 'm, 't>,
    field: &'static str,
    lack: Lack,
}

impl<'de> Deserializer<'de> for Absent<'_, '_, '_> {
    type Error = Error;

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value, Error> {
        let reported = match self.lack {
            Lack::Left => false,
            // A key of a section has a default, whatever the unknown one was meant for.
            Lack::Doubtful => name != KEY,
            Lack::Mistyped => true,
        };
        if reported {
            return visitor.visit_unit();
        }
        if name != MUST {
            return visitor.visit_none();
        }
        let message = match self.mapping.step {
            Step::Root => format!("the key {:?} is missing", self.field),
            step => format!("the key {:?} is missing in {step}", self.field),
        };
        self.mapping.report(code::MISSING_KEY, self.mapping.node.place, message);
        visitor.visit_unit()
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_newtype_struct(KEY, visitor)
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct seq
        tuple tuple_struct map struct enum identifier ignored_any
    }
}
