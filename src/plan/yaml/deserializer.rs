//! serde's way into a tree. A mistake is reported where it is found, with its key and its place; the error that serde then
//! carries says only that it was, so that whoever can do without the value ([`KEY`]) goes on.

use std::cell::{Cell, RefCell};
use std::fmt;

use serde::de::{self, Deserializer, IntoDeserializer as _, Visitor};

use super::super::code;
use super::super::mistakes::Mistakes;
use super::access::{Fields, Items, Pairs, Placed};
use crate::outcome::{Diagnostic, Place};
use crate::text::{CUT, cut};
use crate::yaml::{Edge, MAX_DEPTH, Meaning, Node, Scalar, Value};

/// Names of newtypes that ask for more than a value. This one is a value with its place, and can be left out.
pub(in crate::plan) const KEY: &str = "a key";
/// As [`KEY`], but may not be left out.
pub(in crate::plan) const MUST: &str = "a key that must be there";
/// As [`KEY`]; one of several of which the file must have one.
pub(in crate::plan) const ONE_OF: &str = "one of several keys";
/// A list.
pub(in crate::plan) const LIST: &str = "a list";
/// A list, or a scalar for a list of one.
pub(in crate::plan) const LIST_OR_ONE: &str = "a list or one";

/// The longest text of a file that is repeated in a message.
const SHOWN: usize = 60;

/// What one reading shares.
pub(super) struct Reader<'m, 't> {
    /// Whether values know their places.
    pub(super) places: bool,
    /// The most values that are read: what is over it is an alias bomb.
    pub(super) most: usize,
    pub(super) visits: Cell<usize>,
    pub(super) mistakes: RefCell<&'m mut Mistakes<'t>>,
}

/// The way from the root to a value.
pub(super) enum Step<'r> {
    Root,
    Key(&'r Step<'r>, &'r str),
    Item(&'r Step<'r>, usize),
}

impl Step<'_> {
    fn depth(&self) -> usize {
        match self {
            Self::Root => 0,
            Self::Key(parent, _) | Self::Item(parent, _) => 1 + parent.depth(),
        }
    }
}

impl Step<'_> {
    /// Whether a secret may be written here, against the rules: what is found is not repeated.
    fn is_secret(&self) -> bool {
        match self {
            Self::Root => false,
            Self::Key(parent, key) => matches!(*key, "headers" | "token") || parent.is_secret(),
            Self::Item(parent, _) => parent.is_secret(),
        }
    }
}

/// A key as a sentence names it: what stands behind a blank may be a header's value whose colon was forgotten.
fn shown(key: &str) -> String {
    match key.split_once(char::is_whitespace) {
        Some((first, _)) => format!("{}{CUT}", cut(first, SHOWN)),
        None => cut(key, SHOWN).into_owned(),
    }
}

impl fmt::Display for Step<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => f.write_str("the file"),
            Self::Key(Step::Root, key) => f.write_str(&shown(key)),
            Self::Key(parent, key) => write!(f, "{parent}.{}", shown(key)),
            Self::Item(parent, index) => write!(f, "{parent}[{index}]"),
        }
    }
}

/// A value that is being read.
#[derive(Clone, Copy)]
pub(super) struct Here<'r, 'm, 't> {
    pub(super) node: &'r Node,
    /// Where the alias is used that led here, if one did.
    pub(super) alias: Option<Place>,
    pub(super) step: &'r Step<'r>,
    pub(super) reader: &'r Reader<'m, 't>,
}

/// Why a value cannot be read.
#[derive(Debug)]
pub(super) enum Error {
    /// For a reason that is among the mistakes already.
    Reported,
    Message(String),
    /// It is something else than this.
    Wanted(String),
}

impl de::Error for Error {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::Message(message.to_string())
    }
    fn invalid_type(_: de::Unexpected<'_>, wanted: &dyn de::Expected) -> Self {
        Self::Wanted(wanted.to_string())
    }
    fn invalid_value(_: de::Unexpected<'_>, wanted: &dyn de::Expected) -> Self {
        Self::Wanted(wanted.to_string())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reported => f.write_str("reported"),
            Self::Message(message) => f.write_str(message),
            Self::Wanted(wanted) => write!(f, "wants {wanted}"),
        }
    }
}

impl std::error::Error for Error {}

impl<'r, 'm, 't> Here<'r, 'm, 't> {
    pub(super) fn new(edge: &'r Edge, step: &'r Step<'r>, reader: &'r Reader<'m, 't>) -> Self {
        Self { node: &edge.node, alias: edge.alias, step, reader }
    }

    /// A value inside of this one.
    pub(super) fn inner<'i>(&self, edge: &'i Edge, step: &'i Step<'i>) -> Here<'i, 'm, 't>
    where
        'r: 'i,
    {
        Here { node: &edge.node, alias: self.alias.or(edge.alias), step, reader: self.reader }
    }

    /// Reports a mistake. What an alias led to is told with where it is used.
    pub(super) fn report(&self, code: &'static str, place: Place, message: impl Into<String>) -> Error {
        let mut mistake = Diagnostic::new(code, self.reader.places.then_some(place), message);
        mistake.help = self.alias.map(|place| format!("it is used by the alias at {place}"));
        self.reader.mistakes.borrow_mut().push(mistake);
        Error::Reported
    }

    pub(super) fn wrong_type(&self, wanted: impl fmt::Display) -> Error {
        let found: &dyn fmt::Display = match &self.node.value {
            Value::Scalar(scalar) if scalar.meaning() == Meaning::Text && self.step.is_secret() => &"text",
            Value::Scalar(scalar) => scalar,
            Value::List(_) => &"a list",
            Value::Mapping(_) => &"a mapping",
        };
        self.report(code::WRONG_TYPE, self.node.place, format!("{} wants {wanted}, found {found}", self.step))
    }

    /// Counts a value against the bounds.
    fn enter(&self) -> Result<(), Error> {
        let (visits, most) = (self.reader.visits.get(), self.reader.most);
        self.reader.visits.set(visits.saturating_add(1));
        let message = if self.step.depth() > MAX_DEPTH {
            format!("the file is nested over {MAX_DEPTH} levels deep; no plan is that deep")
        } else if visits == most {
            format!("the aliases of the file repeat over {most} values; no plan is that large")
        } else if visits > most {
            return Err(Error::Reported);
        } else {
            return Ok(());
        };
        Err(self.report(code::YAML, self.node.place, message))
    }

    fn scalar(&self, wanted: impl fmt::Display) -> Result<&'r Scalar, Error> {
        self.enter()?;
        match &self.node.value {
            Value::Scalar(scalar) => Ok(scalar),
            Value::List(_) | Value::Mapping(_) => Err(self.wrong_type(wanted)),
        }
    }

    /// Reports what has not been.
    pub(super) fn settle<T>(&self, code: &'static str, result: Result<T, Error>) -> Result<T, Error> {
        result.map_err(|error| match error {
            Error::Reported => Error::Reported,
            Error::Message(message) => self.report(code, self.node.place, message),
            Error::Wanted(wanted) => self.wrong_type(wanted),
        })
    }

    fn whole<'de, V: Visitor<'de>>(self, visitor: V, most: u64) -> Result<V::Value, Error> {
        match self.scalar("a whole number")?.meaning() {
            Meaning::Whole(number) => match u64::try_from(number).ok().filter(|number| *number <= most) {
                Some(number) => self.settle(code::NUMBER, visitor.visit_u64(number)),
                None if number < 0 => Err(self.wrong_type("a whole number, 0 or more")),
                None => Err(self.wrong_type(format!("a whole number up to {most}"))),
            },
            _ => Err(self.wrong_type("a whole number")),
        }
    }

    /// A text that means something. A number that does not is of the wrong type, and a text names its own mistake.
    fn meaning<'de, V: Visitor<'de>>(self, code: &'static str, visitor: V) -> Result<V::Value, Error> {
        let wanted = (&visitor as &dyn de::Expected).to_string();
        let scalar = self.scalar(&wanted)?;
        match scalar.meaning() {
            Meaning::Null => Err(self.wrong_type(wanted)),
            Meaning::Text => self.settle(code, visitor.visit_str(&scalar.text)),
            Meaning::Bool(_) | Meaning::Whole(_) | Meaning::Float(_) => {
                visitor.visit_str(&scalar.text).map_err(|_: Error| self.wrong_type(wanted))
            }
        }
    }

    fn list<'de, V: Visitor<'de>>(self, visitor: V, or_one: bool) -> Result<V::Value, Error> {
        self.enter()?;
        match &self.node.value {
            Value::List(items) => visitor.visit_seq(Items::new(self, items)),
            Value::Scalar(scalar) if or_one && scalar.meaning() != Meaning::Null => visitor.visit_newtype_struct(self),
            Value::Scalar(_) | Value::Mapping(_) => Err(self.wrong_type(&visitor as &dyn de::Expected)),
        }
    }
}

macro_rules! whole {
    ($($method:ident: $type:ident),*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            self.whole(visitor, u64::from($type::MAX))
        })*
    };
}

impl<'de> Deserializer<'de> for Here<'_, '_, '_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.enter()?;
        let scalar = match &self.node.value {
            Value::List(items) => return visitor.visit_seq(Items::new(self, items)),
            Value::Mapping(entries) => return visitor.visit_map(Pairs::new(self, entries)),
            Value::Scalar(scalar) => scalar,
        };
        let result = match scalar.meaning() {
            Meaning::Null => visitor.visit_unit(),
            Meaning::Bool(value) => visitor.visit_bool(value),
            Meaning::Whole(number) => match (u64::try_from(number), i64::try_from(number)) {
                (Ok(number), _) => visitor.visit_u64(number),
                (_, Ok(number)) => visitor.visit_i64(number),
                _ => return Err(self.wrong_type("a number that JSON has")),
            },
            Meaning::Float(number) if number.is_finite() => visitor.visit_f64(number),
            Meaning::Float(_) => return Err(self.wrong_type("a number that JSON has")),
            Meaning::Text => visitor.visit_str(&scalar.text),
        };
        self.settle(code::WRONG_TYPE, result)
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.scalar("true or false")?.meaning() {
            Meaning::Bool(value) => self.settle(code::WRONG_TYPE, visitor.visit_bool(value)),
            _ => Err(self.wrong_type("true or false")),
        }
    }

    whole! { deserialize_u8: u8, deserialize_u16: u16, deserialize_u32: u32, deserialize_u64: u64 }

    /// Every scalar but null is text as well: `body: 404`.
    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let scalar = self.scalar("text")?;
        if scalar.meaning() == Meaning::Null {
            return Err(self.wrong_type("text"));
        }
        self.settle(code::WRONG_TYPE, visitor.visit_str(&scalar.text))
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match &self.node.value {
            Value::Scalar(scalar) if scalar.meaning() == Meaning::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value, Error> {
        match name {
            KEY | MUST | ONE_OF => visitor.visit_seq(Placed::new(self)),
            LIST => self.list(visitor, false),
            LIST_OR_ONE => self.list(visitor, true),
            code => self.meaning(code, visitor),
        }
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.enter()?;
        match &self.node.value {
            Value::Mapping(entries) => visitor.visit_map(Pairs::new(self, entries)),
            Value::Scalar(_) | Value::List(_) => Err(self.wrong_type(&visitor as &dyn de::Expected)),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.enter()?;
        match &self.node.value {
            Value::Mapping(entries) => {
                let fields = Fields::new(self, entries, fields);
                self.settle(code::WRONG_TYPE, visitor.visit_map(fields))
            }
            Value::Scalar(_) | Value::List(_) => Err(self.wrong_type(&visitor as &dyn de::Expected)),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        let wanted = || format!("one of {}", variants.join(", "));
        let scalar = self.scalar(wanted())?;
        if scalar.meaning() != Meaning::Text {
            return Err(self.wrong_type(wanted()));
        }
        if !variants.contains(&&*scalar.text) {
            let message = format!("unknown value {:?}; want {}", cut(&scalar.text, SHOWN), wanted());
            return Err(self.report(code::UNKNOWN_VALUE, self.node.place, message));
        }
        let name: de::value::StrDeserializer<'_, Error> = scalar.text.as_str().into_deserializer();
        self.settle(code::UNKNOWN_VALUE, visitor.visit_enum(name))
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.list(visitor, false)
    }

    serde::forward_to_deserialize_any! {
        i8 i16 i32 i64 i128 u128 f32 f64 char bytes byte_buf unit unit_struct tuple tuple_struct identifier ignored_any
    }
}
