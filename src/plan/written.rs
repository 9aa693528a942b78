//! What the types of a file are made of: keys that may be left out or wrong, lists and maps that keep what is right of
//! them, and texts that mean something.
//!
//! They are read by [`super::yaml`] alone, which has reported what is wrong before they hear of it.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

use super::yaml::{KEY, LIST, LIST_OR_ONE, MUST, ONE_OF};
use crate::outcome::Place;

/// A value and its place.
#[derive(Clone, Debug)]
pub(super) struct At<T> {
    pub(super) value: T,
    /// Nothing where the value does not come from a file.
    pub(super) place: Option<Place>,
    /// Whether it is written as a block of lines.
    pub(super) block: bool,
}

impl<T> At<T> {
    pub(super) fn nowhere(value: T) -> Self {
        Self { value, place: None, block: false }
    }
}

/// The value of a key.
#[derive(Clone, Debug)]
pub(super) enum Key<T> {
    Absent,
    /// There, but not usable; the mistake is reported.
    Wrong,
    Given(At<T>),
}

impl<T> Key<T> {
    pub(super) fn of(value: T) -> Self {
        Self::Given(At::nowhere(value))
    }

    pub(super) fn at(&self) -> Option<&At<T>> {
        match self {
            Self::Given(at) => Some(at),
            Self::Absent | Self::Wrong => None,
        }
    }

    pub(super) fn into_at(self) -> Option<At<T>> {
        match self {
            Self::Given(at) => Some(at),
            Self::Absent | Self::Wrong => None,
        }
    }

    /// The value; nothing where there is none to go on with.
    pub(super) fn get(self) -> Option<T> {
        self.into_at().map(|at| at.value)
    }

    /// The value of a key that has no default; nothing where it is wrong.
    pub(super) fn or_absent(self) -> Option<Option<T>> {
        match self {
            Self::Absent => Some(None),
            Self::Wrong => None,
            Self::Given(at) => Some(Some(at.value)),
        }
    }

    pub(super) fn place(&self) -> Option<Place> {
        self.at()?.place
    }

    pub(super) fn is_wrong(&self) -> bool {
        matches!(self, Self::Wrong)
    }
}

impl<T> Key<Option<T>> {
    /// The value with its place, or that it is null; nothing where there is none to go on with.
    pub(super) fn present_or_null(self) -> Option<Option<At<T>>> {
        let At { value, place, block } = self.into_at()?;
        Some(value.map(|value| At { value, place, block }))
    }

    /// The value with its place; nothing where it is null, absent or wrong.
    pub(super) fn present(self) -> Option<At<T>> {
        self.present_or_null()?
    }
}

/// A value that must be there: nothing where it is missing or wrong, which is reported.
#[derive(Clone, Debug)]
pub(super) struct Must<T>(pub(super) Option<At<T>>);

/// A list without those of its items that are wrong.
#[derive(Clone, Debug)]
pub(super) struct List<T> {
    pub(super) items: Vec<At<T>>,
    /// Whether none was.
    pub(super) whole: bool,
}

/// What a list is made of.
pub(super) trait Item {
    /// A list, as an example.
    const EXAMPLE: &str;
    /// Whether an item alone is plain enough for a list of one.
    const ALONE: bool;
}

/// A mapping with any keys, without the values that are wrong.
#[derive(Clone, Debug)]
pub(super) struct Map<T>(pub(super) Vec<(String, At<T>)>);

impl<T> Default for Map<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

/// A text that means something.
pub(super) trait Meaning: Sized {
    /// The code of a text that does not.
    const CODE: &'static str;
    /// What it should be, with an example.
    const WANTED: &str;

    /// # Errors
    /// Why it means nothing.
    fn of(written: &str) -> Result<Self, String>;
}

/// A text and what it means.
#[derive(Clone, Debug)]
pub(super) struct Meant<T> {
    pub(super) written: String,
    pub(super) meant: T,
}

struct KeyVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for KeyVisitor<T> {
    type Value = Key<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_none<E>(self) -> Result<Key<T>, E> {
        Ok(Key::Absent)
    }

    fn visit_unit<E>(self) -> Result<Key<T>, E> {
        Ok(Key::Wrong)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<Key<T>, A::Error> {
        let mut number = || Ok(parts.next_element::<u64>()?.unwrap_or_default());
        let (line, column, block) = (number()?, number()?, number()?);
        let place = (line > 0).then_some(Place { line, column });
        // An error here is among the mistakes already.
        Ok(match parts.next_element() {
            Ok(Some(value)) => Key::Given(At { value, place, block: block > 0 }),
            Ok(None) | Err(_) => Key::Wrong,
        })
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Key<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(KEY, KeyVisitor(PhantomData))
    }
}

/// A key of which the file must have one of several: none is missed where an unknown key may have been meant for it.
pub(super) fn one_of<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Key<T>, D::Error> {
    deserializer.deserialize_newtype_struct(ONE_OF, KeyVisitor(PhantomData))
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Must<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let key = deserializer.deserialize_newtype_struct(MUST, KeyVisitor(PhantomData))?;
        Ok(Self(key.into_at()))
    }
}

struct ListVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de> + Item> Visitor<'de> for ListVisitor<T> {
    type Value = List<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a list such as {}", T::EXAMPLE)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<List<T>, A::Error> {
        let mut list = List { items: Vec::new(), whole: true };
        while let Some(Must(item)) = seq.next_element()? {
            match item {
                Some(item) => list.items.push(item),
                None => list.whole = false,
            }
        }
        Ok(list)
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, alone: D) -> Result<List<T>, D::Error> {
        let Must(item) = Must::deserialize(alone)?;
        Ok(List { whole: item.is_some(), items: item.into_iter().collect() })
    }
}

impl<'de, T: Deserialize<'de> + Item> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = if T::ALONE { LIST_OR_ONE } else { LIST };
        deserializer.deserialize_newtype_struct(name, ListVisitor(PhantomData))
    }
}

struct MapVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for MapVisitor<T> {
    type Value = Map<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a mapping such as {name: value}")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Map<T>, A::Error> {
        let mut entries = Vec::new();
        while let Some((key, Must(value))) = map.next_entry()? {
            entries.extend(value.map(|value| (key, value)));
        }
        Ok(Map(entries))
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Map<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MapVisitor(PhantomData))
    }
}

struct MeantVisitor<T>(PhantomData<T>);

impl<T: Meaning> Visitor<'_> for MeantVisitor<T> {
    type Value = Meant<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(T::WANTED)
    }

    fn visit_str<E: serde::de::Error>(self, written: &str) -> Result<Meant<T>, E> {
        Ok(Meant { meant: T::of(written).map_err(E::custom)?, written: written.to_owned() })
    }
}

impl<'de, T: Meaning> Deserialize<'de> for Meant<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(T::CODE, MeantVisitor(PhantomData))
    }
}
