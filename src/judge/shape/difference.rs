//! How two answers differ in shape, but for what differs between two answers of stable.

use super::json::{Json, Types};
use super::{Body, Shape};
use std::collections::BTreeSet;

/// The most differences that are told of one pair of answers.
const MOST: usize = 20;

/// One difference of the canary's answer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Difference {
    /// Where: `status`, `media type`, `body`, or a JSON path.
    pub(crate) place: String,
    pub(crate) sentence: String,
    pub(crate) weight: Weight,
}

/// What a difference does to a client of stable.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Weight {
    /// A key that is new breaks none.
    New,
    /// Nothing is there where stable has something: one answer may, and not all of them.
    Hollow,
    /// It may break on it.
    Breaks,
}

/// The places that differ between two answers of stable to the same request: what differs there says nothing of a canary.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Noise {
    /// These and whatever lies below them.
    places: BTreeSet<String>,
    /// Objects keyed by what is no part of a shape, such as ids: which keys they have, and what lies below those.
    maps: BTreeSet<String>,
}

impl Noise {
    /// The places that differed.
    pub(crate) fn places(&self) -> impl Iterator<Item = &str> {
        self.places.iter().map(String::as_str)
    }

    /// The same without what is no map.
    pub(crate) fn maps_only(self) -> Self {
        Self { places: BTreeSet::new(), maps: self.maps }
    }

    /// Also takes what differed between two other answers.
    pub(crate) fn add(&mut self, other: Self) {
        self.places.extend(other.places);
        self.maps.extend(other.maps);
    }
}

/// What differs between two answers of stable.
pub(crate) fn noise(one: &Shape, other: &Shape) -> Noise {
    let mut noise = Noise::default();
    if one.status != other.status {
        noise.places.insert("status".to_owned());
    }
    if one.media_type != other.media_type {
        noise.places.insert("media type".to_owned());
    }
    match (&one.body, &other.body) {
        (Body::Json(one), Body::Json(other)) => noise_of_json("$", one, other, &mut noise),
        (one, other) if std::mem::discriminant(one) != std::mem::discriminant(other) => {
            noise.places.insert("body".to_owned());
        }
        _ => {}
    }
    noise
}

fn noise_of_json(path: &str, one: &Json, other: &Json, noise: &mut Noise) {
    if has_more(one.types, other.types) || has_more(other.types, one.types) {
        noise.places.insert(path.to_owned());
        return;
    }
    let both: Vec<&String> = one.fields.keys().filter(|key| other.fields.contains_key(*key)).collect();
    let alone: Vec<(&String, &Json)> = (one.fields.iter().filter(|(key, _)| !other.fields.contains_key(*key)))
        .chain(other.fields.iter().filter(|(key, _)| !one.fields.contains_key(*key)))
        .collect();
    if !alone.is_empty() && one.types.has_object() && other.types.has_object() {
        if is_map(one, other, both.len()) {
            noise.maps.insert(path.to_owned());
            return;
        }
        // Keys that come and go, in an object of which the others stay.
        noise.places.extend(alone.iter().map(|(key, _)| below(path, key)));
    }
    for key in both {
        noise_of_json(&below(path, key), &one.fields[key], &other.fields[key], noise);
    }
    if let (Some(one), Some(other)) = (&one.elements, &other.elements) {
        noise_of_json(&format!("{path}[]"), one, other, noise);
    }
}

/// An object whose keys differ is keyed by ids where its values are all of one kind, or no key stays.
fn is_map(one: &Json, other: &Json, both: usize) -> bool {
    let mut values = one.fields.values().chain(other.fields.values()).filter(|value| value.types != Types::NULL);
    let Some(first) = values.next() else { return true };
    both == 0 || values.all(|value| alike(first, value))
}

/// Of one type, and objects with a key in common.
fn alike(one: &Json, other: &Json) -> bool {
    one.types.without_null() == other.types.without_null()
        && (one.fields.is_empty() && other.fields.is_empty()
            || one.fields.keys().any(|key| other.fields.contains_key(key)))
}

/// How the canary's answer differs from stable's to the same request.
pub(crate) fn compare(canary: &Shape, stable: &Shape, noise: &Noise) -> Vec<Difference> {
    let mut found = Found { differences: Vec::new(), noise };
    if canary.status != stable.status {
        found.breaking("status", format!("status {}, stable's is {}", canary.status, stable.status));
        // Another status has another body.
        return found.differences;
    }
    if canary.media_type != stable.media_type {
        let shown = |shape: &Shape| shape.media_type.clone().unwrap_or_else(|| "none".to_owned());
        found.breaking("media type", format!("the media type is {}, stable's is {}", shown(canary), shown(stable)));
        return found.differences;
    }
    match (&canary.body, &stable.body) {
        (Body::Json(canary), Body::Json(stable)) => found.json("$", canary, stable),
        (Body::Empty, stable) if *stable != Body::Empty => {
            found.breaking("body", "the body is empty, stable's is not".to_owned());
        }
        (Body::NotJson, Body::Json(_) | Body::TooMuch) => {
            found.breaking("body", "the body is not JSON, stable's is".to_owned());
        }
        _ => {}
    }
    found.differences
}

struct Found<'a> {
    differences: Vec<Difference>,
    noise: &'a Noise,
}

impl Found<'_> {
    fn breaking(&mut self, place: &str, sentence: String) {
        self.add(place, sentence, Weight::Breaks);
    }

    fn add(&mut self, place: &str, sentence: String, weight: Weight) {
        if self.differences.len() < MOST && !self.noise.places.contains(place) {
            self.differences.push(Difference { place: place.to_owned(), sentence, weight });
        }
    }

    fn json(&mut self, path: &str, canary: &Json, stable: &Json) {
        if self.noise.places.contains(path) {
            return;
        }
        if has_more(canary.types, stable.types) {
            let sentence = format!("{path} is {}, stable's is {}", canary.types.shown(), stable.types.shown());
            self.breaking(path, sentence);
            return;
        }
        // Without an object on either side there is nothing whose keys could be missing.
        if canary.types.has_object() && stable.types.has_object() && !self.noise.maps.contains(path) {
            self.fields(path, canary, stable);
        }
        if canary.types == Types::NULL && stable.types != Types::NULL {
            self.add(path, format!("{path} is null, stable has {}", stable.types.shown()), Weight::Hollow);
        }
        match (&canary.elements, &stable.elements) {
            (Some(canary), Some(stable)) => self.json(&format!("{path}[]"), canary, stable),
            (None, Some(_)) if canary.types == stable.types => {
                self.add(path, format!("{path} is empty, stable's is not"), Weight::Hollow);
            }
            _ => {}
        }
    }

    fn fields(&mut self, path: &str, canary: &Json, stable: &Json) {
        for (key, field) in &stable.fields {
            let place = below(path, key);
            match canary.fields.get(key) {
                Some(own) => self.json(&place, own, field),
                None => self.breaking(&place, format!("{place} is missing, stable has {}", field.types.shown())),
            }
        }
        for (key, field) in canary.fields.iter().filter(|(key, _)| !stable.fields.contains_key(*key)) {
            let place = below(path, key);
            self.add(&place, format!("{place} is new: {}", field.types.shown()), Weight::New);
        }
    }
}

/// Whether one has a type that the other has not. A null is no type of its own: a value may be absent on either side.
fn has_more(one: Types, other: Types) -> bool {
    let other = other.without_null();
    !other.is_empty() && !one.without_null().without(other).is_empty()
}

/// The path of a key below a path: `$.items`, `$["a key"]`.
fn below(path: &str, key: &str) -> String {
    let mut characters = key.chars();
    let is_name = characters.next().is_some_and(|first| first.is_alphabetic() || first == '_')
        && characters.all(|c| c.is_alphanumeric() || c == '_');
    if is_name { format!("{path}.{key}") } else { format!("{path}[{key:?}]") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(body: &str) -> Shape {
        Shape::new(200, Some("application/json; charset=utf-8"), body)
    }

    fn sentences(canary: &Shape, stable: &Shape, noise: &Noise) -> Vec<String> {
        let found = compare(canary, stable, noise).into_iter();
        found.filter(|difference| difference.weight != Weight::Hollow).map(|difference| difference.sentence).collect()
    }

    #[test]
    fn keys_and_types_are_compared_and_values_are_silent() {
        for (canary, stable, wanted) in [
            // Values, order, ids, times.
            (r#"{"id": 1, "at": "10:00"}"#, r#"{"at": "11:00", "id": 2}"#, &[][..]),
            ("[1, 2, 3]", "[4]", &[]),
            (r#"{"a": 1.5}"#, r#"{"a": 2}"#, &[]),
            (r#"{"a": true}"#, r#"{"a": false}"#, &[]),
            // Nothing to compare.
            (r#"{"items": []}"#, r#"{"items": [{"price": 1}]}"#, &[]),
            (r#"{"items": [{"price": 1}]}"#, r#"{"items": []}"#, &[]),
            // A null beside a type.
            (r#"{"a": null}"#, r#"{"a": 1}"#, &[]),
            (r#"{"a": {"b": 1}}"#, r#"{"a": null}"#, &[]),
            (r#"{"a": null}"#, r#"{"a": {"b": 1}}"#, &[]),
            ("[null, 1]", "[2]", &[]),
            // Elements are one shape together.
            (r#"[{"a": 1}, {"b": 1}]"#, r#"[{"a": 1, "b": 2}]"#, &[]),
            ("[1]", r#"["a", 1]"#, &[]),
            (
                r#"{"items": [{"price": "1"}]}"#,
                r#"{"items": [{"price": 1}]}"#,
                &["$.items[].price is a string, stable's is a number"],
            ),
            (r#"["a", 1]"#, "[1]", &["$[] is a number or a string, stable's is a number"]),
            (r#"{"a": 1}"#, "[]", &["$ is an object, stable's is an array"]),
            ("{}", r#"{"a": {"b": 1}}"#, &["$.a is missing, stable has an object"]),
            (r#"{"a": 1, "new": []}"#, r#"{"a": 1}"#, &["$.new is new: an array"]),
            (r#"{"a b": "1"}"#, r#"{"a b": 1}"#, &[r#"$["a b"] is a string, stable's is a number"#]),
            ("<html>", "{}", &["the body is not JSON, stable's is"]),
            ("{}", "<html>", &[]),
        ] {
            assert_eq!(sentences(&json(canary), &json(stable), &Noise::default()), wanted, "{canary} {stable}");
        }
    }

    #[test]
    fn only_what_is_new_breaks_nobody() {
        let weight = |canary, stable| compare(&json(canary), &json(stable), &Noise::default())[0].weight;
        assert_eq!(weight(r#"{"a": 1}"#, "{}"), Weight::New);
        assert_eq!(weight("{}", r#"{"a": 1}"#), Weight::Breaks);
        assert_eq!(weight(r#"{"a": 1}"#, r#"{"a": ""}"#), Weight::Breaks);
        assert_eq!(weight("", r#"{"a": ""}"#), Weight::Breaks);
        assert_eq!(weight(r#"{"a": null}"#, r#"{"a": ""}"#), Weight::Hollow);
        assert_eq!(weight(r#"{"a": []}"#, r#"{"a": [1]}"#), Weight::Hollow);
    }

    #[test]
    fn status_and_media_type_come_first() {
        let none = Noise::default();
        let page = Shape::new(200, Some("Text/HTML"), "<p>");
        assert_eq!(sentences(&page, &json("{}"), &none), ["the media type is text/html, stable's is application/json"]);
        assert_eq!(
            sentences(&Shape::new(200, None, ""), &page, &none),
            ["the media type is none, stable's is text/html"]
        );
        assert_eq!(sentences(&Shape::new(400, None, ""), &page, &none), ["status 400, stable's is 200"]);
        assert_eq!(sentences(&page, &Shape::new(200, Some("text/html; charset=x"), "<b>"), &none), [""; 0]);
    }

    #[test]
    fn what_differs_between_two_answers_of_stable_is_silent() {
        for (one, other, canary, wanted) in [
            // A key that comes and goes.
            (
                r#"{"a": 1, "b": "x", "warning": "y"}"#,
                r#"{"a": 1, "b": "x"}"#,
                r#"{"a": 1}"#,
                &["$.b is missing, stable has a string"][..],
            ),
            // A map keyed by ids, and a record beside it.
            (
                r#"{"users": {"1": {"name": "a"}, "2": {"name": "b"}}, "n": 2}"#,
                r#"{"users": {"2": {"name": "b"}, "3": {"name": "c"}}, "n": 2}"#,
                r#"{"users": {"4": {"name": "d"}}, "n": "2"}"#,
                &["$.n is a string, stable's is a number"],
            ),
            (r#"{"a": {"x": 1}}"#, r#"{"a": {"y": "1"}}"#, r#"{"a": {"z": []}}"#, &[]),
            (r#"{"days": {"mon": 1, "tue": 2}}"#, r#"{"days": {"tue": 2}}"#, r#"{"days": {"wed": 3}}"#, &[]),
            // A type that changes.
            (
                r#"{"a": 1, "b": 1}"#,
                r#"{"a": "1", "b": 1}"#,
                r#"{"a": [], "b": []}"#,
                &["$.b is an array, stable's is a number"],
            ),
            (r#"{"a": [1]}"#, r#"{"a": ["1"]}"#, r#"{"a": [[]]}"#, &[]),
            ("{}", "<html>", "<html>", &[]),
        ] {
            let stable = json(one);
            let noise = noise(&stable, &json(other));
            assert_eq!(sentences(&json(canary), &stable, &noise), wanted, "{one} {other} {canary}");
            assert_eq!(sentences(&stable, &stable, &noise), [""; 0]);
        }
        let (ok, busy) = (json("{}"), Shape::new(503, Some("text/plain"), ""));
        let mut both = Noise::default();
        both.add(noise(&ok, &busy));
        assert_eq!(sentences(&busy, &ok, &both), [""; 0]);
    }

    #[test]
    fn bodies_are_bounded() {
        let big = format!("[\"{}\"]", "x".repeat(super::super::MOST_BYTES));
        assert_eq!(json(&big).body, Body::TooMuch);
        let wide = (0..20_001).map(|key| format!("\"{key}\": 1")).collect::<Vec<_>>().join(",");
        assert_eq!(json(&format!("{{{wide}}}")).body, Body::TooMuch);
        assert_eq!(json(&"[".repeat(100_000)).body, Body::NotJson);
        // Many elements of one shape are few places.
        let long = format!("[{}]", vec!["{\"a\": 1}"; 30_000].join(","));
        assert!(matches!(json(&long).body, Body::Json(_)));
        let many = (0..50).map(|key| format!("\"{key}\": 1")).collect::<Vec<_>>().join(",");
        assert_eq!(compare(&json("{}"), &json(&format!("{{{many}}}")), &Noise::default()).len(), MOST);
    }
}
