//! Answers made up by hand, and how they differ.

use super::*;

fn json(body: &str) -> Shape {
    Shape::new(200, Some("application/json; charset=utf-8"), body)
}

fn sentences(canary: &Shape, stable: &Shape, noise: &Noise) -> Vec<String> {
    compare(canary, stable, noise).into_iter().map(|difference: Difference| difference.sentence).collect()
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
    let breaks = |canary, stable| compare(&json(canary), &json(stable), &Noise::default())[0].breaks;
    assert!(!breaks(r#"{"a": 1}"#, "{}"));
    assert!(breaks("{}", r#"{"a": 1}"#));
    assert!(breaks(r#"{"a": 1}"#, r#"{"a": ""}"#));
}

#[test]
fn status_and_media_type_come_first() {
    let none = Noise::default();
    let page = Shape::new(200, Some("Text/HTML"), "<p>");
    assert_eq!(sentences(&page, &json("{}"), &none), ["the media type is text/html, stable's is application/json"]);
    assert_eq!(sentences(&Shape::new(200, None, ""), &page, &none), ["the media type is none, stable's is text/html"]);
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
    let big = format!("[\"{}\"]", "x".repeat(MOST_BYTES));
    assert_eq!(json(&big).body, Body::TooMuch);
    let wide = (0..20_001).map(|key| format!("\"{key}\": 1")).collect::<Vec<_>>().join(",");
    assert_eq!(json(&format!("{{{wide}}}")).body, Body::TooMuch);
    assert_eq!(json(&"[".repeat(100_000)).body, Body::NotJson);
    // Many elements of one shape are few places.
    let long = format!("[{}]", vec!["{\"a\": 1}"; 30_000].join(","));
    assert!(matches!(json(&long).body, Body::Json(_)));
    let many = (0..50).map(|key| format!("\"{key}\": 1")).collect::<Vec<_>>().join(",");
    assert_eq!(compare(&json("{}"), &json(&format!("{{{many}}}")), &Noise::default()).len(), 20);
}
