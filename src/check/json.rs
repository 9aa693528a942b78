//! One value of a JSON text, looked up while the text is read: no tree is built, however large the text is.

use std::collections::{BTreeSet, VecDeque};
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use crate::plan::{JsonPath, JsonStep};
use crate::text;

/// How much of a value a sentence shows.
const SHOWN: usize = 80;

/// What stands at the end of a path.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Found {
    /// A string, a number, true, false or null.
    Scalar(Value),
    /// An array or an object: whether it equals what was asked for.
    Container { is_array: bool, equal: bool },
}

impl Found {
    /// Whether it is the very value; `1` equals `1.0`.
    pub(super) fn equals(&self, wanted: &Value) -> bool {
        match self {
            Self::Scalar(found) => same(found, wanted),
            Self::Container { equal, .. } => *equal,
        }
    }
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Scalar(value) => f.write_str(&shown(value)),
            Self::Container { is_array: true, .. } => f.write_str("an array"),
            Self::Container { is_array: false, .. } => f.write_str("an object"),
        }
    }
}

/// A value for a sentence.
pub(super) fn shown(value: &Value) -> String {
    match value {
        // Cut before it is quoted: a string may have megabytes.
        Value::String(string) => {
            text::cut(&Value::from(&*text::cut(string, 2 * SHOWN)).to_string(), SHOWN).into_owned()
        }
        other => text::cut(&other.to_string(), SHOWN).into_owned(),
    }
}

/// What a text holds as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Document {
    Object,
    Array,
    Scalar,
}

/// Looks a path up in a whole JSON text. `wanted` is what a container at its end is compared with.
///
/// # Errors
/// Text that is not JSON, or a key on the way of the path that is given twice: then nobody can say which one counts.
pub(super) fn find(body: &[u8], path: &JsonPath, wanted: Option<&Value>) -> Result<(Option<Found>, Document), String> {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    let document = match body.iter().find(|byte| !byte.is_ascii_whitespace()) {
        Some(b'{') => Document::Object,
        Some(b'[') => Document::Array,
        _ => Document::Scalar,
    };
    let mut reader = serde_json::Deserializer::from_slice(body);
    let found = Find { steps: path.steps(), wanted }.deserialize(&mut reader);
    let found = found.and_then(|found| reader.end().map(|()| found));
    found.map(|found| (found, document)).map_err(|error| error.to_string())
}

/// Reads one value and keeps of it what the path leads to.
#[derive(Clone, Copy)]
struct Find<'p> {
    steps: &'p [JsonStep],
    wanted: Option<&'p Value>,
}

impl<'de> DeserializeSeed<'de> for Find<'_> {
    type Value = Option<Found>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl Find<'_> {
    fn scalar(self, value: impl Into<Value>) -> Option<Found> {
        self.steps.is_empty().then(|| Found::Scalar(value.into()))
    }

    /// An element of the array that the first step leads into.
    fn element<'de, A: SeqAccess<'de>>(self, mut elements: A, index: i64) -> Result<Option<Found>, A::Error> {
        let inner = Find { steps: &self.steps[1..], ..self };
        if let Ok(index) = usize::try_from(index) {
            for _ in 0..index {
                if elements.next_element::<IgnoredAny>()?.is_none() {
                    return Ok(None);
                }
            }
            let found = elements.next_element_seed(inner)?.flatten();
            while elements.next_element::<IgnoredAny>()?.is_some() {}
            return Ok(found);
        }
        // From the end: what the last few lead to is kept until the end is seen.
        let last = usize::try_from(index.unsigned_abs()).unwrap_or(usize::MAX);
        let mut kept = VecDeque::new();
        while let Some(found) = elements.next_element_seed(inner)? {
            if kept.len() == last {
                kept.pop_front();
            }
            kept.push_back(found);
        }
        Ok(if kept.len() == last { kept.pop_front().flatten() } else { None })
    }
}

impl<'de> Visitor<'de> for Find<'_> {
    type Value = Option<Found>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(self.scalar(Value::Null))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
        Ok(self.scalar(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Self::Value, E> {
        Ok(self.scalar(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Self::Value, E> {
        Ok(self.scalar(value))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Self::Value, E> {
        Ok(self.scalar(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Self::Value, E> {
        Ok(self.scalar(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Self::Value, A::Error> {
        match self.steps.first() {
            Some(JsonStep::Index(index)) => self.element(elements, *index),
            Some(JsonStep::Name(_)) => {
                while elements.next_element::<IgnoredAny>()?.is_some() {}
                Ok(None)
            }
            None => {
                let equal = Compare(self.wanted).visit_seq(elements)?;
                Ok(Some(Found::Container { is_array: true, equal }))
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
        let Some(step) = self.steps.first() else {
            let equal = Compare(self.wanted).visit_map(entries)?;
            return Ok(Some(Found::Container { is_array: false, equal }));
        };
        let (mut found, mut met) = (None, false);
        while let Some(key) = entries.next_key::<std::borrow::Cow<'de, str>>()? {
            if !matches!(step, JsonStep::Name(name) if **name == *key) {
                entries.next_value::<IgnoredAny>()?;
                continue;
            }
            if met {
                return Err(A::Error::custom(format_args!("the key {key:?} is given twice, so that it says nothing")));
            }
            met = true;
            found = entries.next_value_seed(Find { steps: &self.steps[1..], ..self })?;
        }
        Ok(found)
    }
}

/// Reads one value and says whether it is the very one; nothing is wanted where the answer does not matter.
#[derive(Clone, Copy)]
struct Compare<'v>(Option<&'v Value>);

impl<'de> DeserializeSeed<'de> for Compare<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl Compare<'_> {
    fn is(self, found: impl Into<Value>) -> bool {
        self.0.is_some_and(|wanted| same(&found.into(), wanted))
    }
}

impl<'de> Visitor<'de> for Compare<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<bool, E> {
        Ok(self.is(Value::Null))
    }

    fn visit_bool<E>(self, value: bool) -> Result<bool, E> {
        Ok(self.is(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<bool, E> {
        Ok(self.is(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<bool, E> {
        Ok(self.is(value))
    }

    fn visit_f64<E>(self, value: f64) -> Result<bool, E> {
        Ok(self.is(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<bool, E> {
        Ok(self.0.and_then(Value::as_str) == Some(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<bool, A::Error> {
        let wanted = self.0.and_then(Value::as_array);
        let (mut equal, mut count) = (wanted.is_some(), 0);
        while let Some(same) = elements.next_element_seed(Compare(wanted.and_then(|list| list.get(count))))? {
            equal &= same;
            count += 1;
        }
        Ok(equal && wanted.is_some_and(|list| list.len() == count))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<bool, A::Error> {
        let wanted = self.0.and_then(Value::as_object);
        let (mut equal, mut met) = (wanted.is_some(), BTreeSet::new());
        while let Some(key) = entries.next_key::<std::borrow::Cow<'de, str>>()? {
            let known = wanted.and_then(|map| map.get_key_value(&*key));
            // A key that is given twice does not stand for another one that is missing.
            equal &= known.is_some_and(|(key, _)| met.insert(key));
            equal &= entries.next_value_seed(Compare(known.map(|(_, value)| value)))?;
        }
        Ok(equal && wanted.is_some_and(|map| map.len() == met.len()))
    }
}

/// Whether two scalars are the same; numbers by their value, however they are written.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => match (a.as_i128(), b.as_i128()) {
            (Some(a), Some(b)) => a == b,
            _ => a.as_f64() == b.as_f64(),
        },
        _ => a == b,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn found(body: &str, path: &str, wanted: &Value) -> Result<Option<(String, bool)>, String> {
        let path = JsonPath::parse(path).unwrap();
        let (found, _) = find(body.as_bytes(), &path, Some(wanted))?;
        Ok(found.map(|found| (found.to_string(), found.equals(wanted))))
    }

    #[test]
    fn a_path_leads_to_one_value() {
        let document = r#"{"a": {"b c": [1, {"d": "x"}]}, "status": "ok", "n": null, "big": 9007199254740993}"#;
        for (path, wanted, shown, equal) in [
            ("$.status", json!("ok"), "\"ok\"", true),
            ("$.status", json!("OK"), "\"ok\"", false),
            ("$.a['b c'][1].d", json!("x"), "\"x\"", true),
            ("$[\"a\"][\"b c\"][-2]", json!(1.0), "1", true),
            ("$.a['b c'][-1]", json!({"d": "x"}), "an object", true),
            ("$.a['b c'][-1]", json!({"d": "x", "e": 1}), "an object", false),
            ("$.a['b c']", json!([1, {"d": "x"}]), "an array", true),
            ("$.a['b c']", json!([1]), "an array", false),
            ("$.n", json!(null), "null", true),
            ("$.big", json!(9_007_199_254_740_992_u64), "9007199254740993", false),
        ] {
            assert_eq!(found(document, path, &wanted), Ok(Some((shown.into(), equal))), "{path} {wanted}");
        }
        for path in ["$.missing", "$.status.deeper", "$.a['b c'][2]", "$.a['b c'][-3]", "$.a[0]", "$.status[0]"] {
            assert_eq!(found(document, path, &json!(1)), Ok(None), "{path}");
        }
    }

    #[test]
    fn a_value_is_the_wanted_one_all_the_way_down() {
        let document = json!({"b": true, "i": -1, "u": 7, "f": 0.5, "s": "x", "n": null, "l": [1, {"k": "v"}]});
        let is = |wanted: &Value| found(&format!(r#"{{"a": {document}}}"#), "$.a", wanted).unwrap().unwrap().1;
        assert!(is(&document));
        for (key, others) in [
            ("b", vec![json!(false), json!("true"), json!(1)]),
            ("i", vec![json!(1), json!(-2), json!("-1")]),
            ("u", vec![json!(8), json!(7.5), json!("7")]),
            ("f", vec![json!(0.25), json!(0)]),
            ("s", vec![json!("y"), json!(null)]),
            ("n", vec![json!(0), json!(""), json!(false)]),
            // A difference at the front, at the end, and in what is deeper; more and fewer.
            (
                "l",
                vec![json!([2, {"k": "v"}]), json!([1, {"k": "w"}]), json!([1]), json!([1, {"k": "v"}, 2]), json!({})],
            ),
        ] {
            for other in others {
                let mut wanted = document.clone();
                wanted[key] = other;
                assert!(!is(&wanted), "{wanted}");
            }
            let mut fewer = document.clone();
            fewer.as_object_mut().unwrap().shift_remove(key);
            assert!(!is(&fewer), "{fewer}");
        }
        // One key given twice is not two keys.
        let wanted = json!({"x": 1, "y": 2});
        for twice in [r#"{"a": {"x": 1, "x": 1}}"#, r#"{"a": {"x": 1, "y": 2, "x": 1}}"#, r#"{"a": {"x": 3, "x": 1}}"#]
        {
            assert_eq!(found(twice, "$.a", &wanted), Ok(Some(("an object".into(), false))), "{twice}");
        }
    }

    #[test]
    fn an_object_and_a_list_are_told_from_text() {
        let path = JsonPath::parse("$.a").unwrap();
        for (body, document) in [("{}", Document::Object), (" [1]", Document::Array), ("\"{\"", Document::Scalar)] {
            assert_eq!(find(body.as_bytes(), &path, None), Ok((None, document)), "{body}");
        }
    }

    #[test]
    fn a_key_that_is_given_twice_says_nothing() {
        let twice = r#"{"status": "fail", "status": "ok", "other": 1, "other": 2, "deep": {"x": 1, "x": 1}}"#;
        assert!(found(twice, "$.status", &json!("ok")).unwrap_err().contains("the key \"status\" is given twice"));
        assert!(found(twice, "$.deep.x", &json!(1)).unwrap_err().contains("the key \"x\" is given twice"));
        // What the path does not cross is of no account.
        assert_eq!(found(r#"{"a": 1, "b": 1, "b": 2}"#, "$.a", &json!(1)), Ok(Some(("1".into(), true))));
        assert_eq!(found(r#"{"a": {"b": 1, "b": 1}}"#, "$.a", &json!({"b": 1})), Ok(Some(("an object".into(), false))));
    }

    #[test]
    fn the_whole_text_must_be_json() {
        for body in ["", "{", "{\"a\": 1} x", "{\"a\": 01}", "<html>", "{\"a\": 1}\u{0}", "{'a': 1}", "{\"a\": NaN}"] {
            assert!(found(body, "$.a", &json!(1)).is_err(), "{body}");
        }
        assert!(found(&"[".repeat(100_000), "$.a", &json!(1)).is_err());
        assert_eq!(found("\u{feff}{\"a\": 1}", "$.a", &json!(1)), Ok(Some(("1".into(), true))));
    }

    #[test]
    fn what_is_shown_is_short() {
        let long = format!("{{\"a\": \"{}\"}}", "x".repeat(5_000_000));
        let (text, _) = found(&long, "$.a", &json!(1)).unwrap().unwrap();
        assert!(text.chars().count() <= SHOWN + 1 && text.ends_with('…'), "{text}");
    }
}
