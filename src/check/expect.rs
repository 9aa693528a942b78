//! Whether an answer is what was wanted, in a sentence that says what came and what was wanted.

use serde_json::Value;

use super::json::{self, Document, Found};
use crate::http::Answer;
use crate::outcome::Cause;
use crate::plan::{Expect, JsonExpect, JsonWanted};

/// What was seen that is good, or the first thing that is not.
pub(super) fn judge(expect: &Expect, answer: &Answer) -> Result<String, Cause> {
    let status = answer.status;
    if !expect.status.contains(&status) {
        let wanted = expect.status.iter().map(u16::to_string).collect::<Vec<_>>().join(" or ");
        let redirect = match answer.shown_location() {
            Some(location) if (300..400).contains(&status) => {
                format!(" to {location:?} (redirects are not followed here)")
            }
            _ => String::new(),
        };
        if let Some(advice) = &answer.advice {
            return Err(Cause::wanting(format!("{status}, want {wanted}; {}", advice.text), wanted, status));
        }
        let body = answer.excerpt();
        let body = if body.is_empty() || !redirect.is_empty() { String::new() } else { format!("; the body: {body}") };
        return Err(Cause::wanting(format!("{status}{redirect}, want {wanted}{body}"), wanted, status));
    }
    for (name, pattern) in &expect.headers {
        let wanted = pattern.source();
        match answer.header(name) {
            None => {
                let text = format!("{status}, but there is no header {name}, want {wanted:?}");
                return Err(Cause::wanting(text, wanted, "no such header"));
            }
            Some(value) if !pattern.matches(&value) => {
                let text = format!("{status}, but the header {name} is {value:?}, want {wanted:?}");
                return Err(Cause::wanting(text, wanted, value));
            }
            Some(_) => {}
        }
    }
    if !expect.body.is_empty() {
        let body = String::from_utf8_lossy(&answer.body);
        if let Some(pattern) = expect.body.iter().find(|pattern| !pattern.matches(&body)) {
            let (wanted, excerpt) = (pattern.source(), answer.excerpt());
            let text = format!("{status}, but nothing in the body matches {wanted:?}: {excerpt}");
            return Err(Cause::wanting(text, wanted, excerpt));
        }
    }
    let mut seen = vec![status.to_string()];
    for wanted in &expect.json {
        let judged = judge_json(wanted, answer)
            .map_err(|cause| Cause { text: format!("{status}, but {}", cause.text), ..cause });
        seen.push(judged?);
    }
    if !answer.is_end_marked {
        seen.push("the end of the body is not marked (no Content-Length, not chunked)".into());
    }
    Ok(seen.join(", "))
}

fn judge_json(expect: &JsonExpect, answer: &Answer) -> Result<String, Cause> {
    let path = &expect.path;
    let comparand = match &expect.wanted {
        JsonWanted::Equals(wanted) => Some(wanted),
        JsonWanted::Matches(_) | JsonWanted::Exists(_) => None,
    };
    let (found, document) = json::find(&answer.body, path, comparand).map_err(|error| {
        Cause::wanting(format!("the body is not JSON ({error}): {}", answer.excerpt()), "JSON", error)
    })?;
    let actual = found.as_ref().map_or("nothing".to_owned(), Found::to_string);
    let wanted = match &expect.wanted {
        JsonWanted::Exists(true) => "any value".to_owned(),
        JsonWanted::Exists(false) => "no such value".to_owned(),
        JsonWanted::Equals(wanted) => json::shown(wanted),
        JsonWanted::Matches(pattern) => format!("a string like {:?}", pattern.source()),
    };
    let good = match (&expect.wanted, &found) {
        (JsonWanted::Exists(exists), found) => found.is_some() == *exists,
        (JsonWanted::Equals(wanted), Some(found)) => found.equals(wanted),
        (JsonWanted::Matches(pattern), Some(Found::Scalar(Value::String(text)))) => pattern.matches(text),
        (JsonWanted::Equals(_) | JsonWanted::Matches(_), _) => false,
    };
    match (good, &found, &expect.wanted) {
        (true, _, JsonWanted::Exists(true)) => Ok(format!("{path} exists")),
        (true, _, JsonWanted::Exists(false)) => Ok(format!("{path} does not exist")),
        (true, ..) => Ok(format!("{path} is {actual}")),
        (false, Some(_), _) => Err(Cause::wanting(format!("{path} is {actual}, want {wanted}"), wanted, actual)),
        (false, None, _) => {
            let whole = match document {
                Document::Object => "",
                Document::Array => " (the answer is an array)",
                Document::Scalar => " (the answer is not an object)",
            };
            Err(Cause::wanting(format!("{path} is not there, want {wanted}{whole}"), wanted, actual))
        }
    }
}

#[cfg(test)]
mod tests {
    use promeval::Pattern;

    use super::*;
    use crate::plan::JsonPath;

    fn json(path: &str, wanted: JsonWanted) -> Expect {
        Expect { json: vec![JsonExpect { path: JsonPath::parse(path).unwrap(), wanted }], ..Expect::ok() }
    }

    #[test]
    fn an_answer_is_judged_by_what_was_wanted() {
        let equals = |path: &str, value: serde_json::Value| json(path, JsonWanted::Equals(value));
        let like = |path: &str, pattern: &str| json(path, JsonWanted::Matches(Pattern::new(pattern).unwrap()));
        let header = |pattern: &str| Expect {
            headers: vec![("x-version".into(), Pattern::new(pattern).unwrap())],
            ..Expect::ok()
        };
        let body = |pattern: &str| Expect { body: vec![Pattern::unanchored(pattern).unwrap()], ..Expect::ok() };
        let ok = r#"{"status":"ok","n":1,"list":[{"a":"b"}],"none":null}"#;
        #[rustfmt::skip]
        let cases: Vec<(Expect, u16, &str, Result<&str, &str>)> = vec![
            (Expect::ok(), 200, "", Ok("200")),
            (Expect::ok(), 503, "no instance", Err("503, want 200; the body: no instance")),
            (Expect { status: vec![200, 204], ..Expect::ok() }, 404, "", Err("404, want 200 or 204")),
            (Expect::ok(), 302, "", Err("302 to \"/login?***\" (redirects are not followed here), want 200")),
            (equals("$.status", "ok".into()), 200, ok, Ok("200, $.status is \"ok\"")),
            (equals("$.status", "up".into()), 200, ok, Err("200, but $.status is \"ok\", want \"up\"")),
            (equals("$.missing", "up".into()), 200, ok, Err("200, but $.missing is not there, want \"up\"")),
            (equals("$.status", "ok".into()), 200, "[]", Err("want \"ok\" (the answer is an array)")),
            (equals("$.status", "ok".into()), 200, "7", Err("want \"ok\" (the answer is not an object)")),
            (equals("$.status", "ok".into()), 200, "<html>", Err("200, but the body is not JSON")),
            (equals("$.none", serde_json::Value::Null), 200, ok, Ok("200, $.none is null")),
            (like("$.list[0].a", "[a-z]"), 200, ok, Ok("200, $.list[0].a is \"b\"")),
            (like("$.list[0].a", "[0-9]"), 200, ok, Err("is \"b\", want a string like \"[0-9]\"")),
            (like("$.n", "1"), 200, ok, Err("$.n is 1, want a string like \"1\"")),
            (json("$.n", JsonWanted::Exists(true)), 200, ok, Ok("200, $.n exists")),
            (json("$.n", JsonWanted::Exists(false)), 200, ok, Err("$.n is 1, want no such value")),
            (json("$.error", JsonWanted::Exists(false)), 200, ok, Ok("200, $.error does not exist")),
            (header("v[0-9]+"), 200, "", Ok("200")),
            (header("[0-9]+"), 200, "", Err("200, but the header x-version is \"v42\", want \"[0-9]+\"")),
            (body("stat"), 200, ok, Ok("200")),
            (body("stat$"), 200, "status", Err("200, but nothing in the body matches \"stat$\": status")),
        ];
        for (expect, status, text, wanted) in cases {
            let answer = Answer::of(status, &[("x-version", "v42"), ("location", "/login?token=hunter2")], text);
            let found = judge(&expect, &answer).map_err(|cause| cause.text);
            match wanted {
                Ok(seen) => assert_eq!(found.as_deref(), Ok(seen)),
                Err(piece) => assert!(found.as_ref().is_err_and(|cause| cause.contains(piece)), "{piece}: {found:?}"),
            }
        }
    }
}
