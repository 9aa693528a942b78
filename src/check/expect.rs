//! Whether an answer is what was wanted, in a sentence that says what came and what was wanted.

use serde_json::Value;

use crate::http::Answer;
use crate::outcome::Cause;
use crate::plan::{Expect, JsonExpect, JsonWanted};
use crate::text;

/// What was seen that is good, or the first thing that is not.
pub(super) fn judge(expect: &Expect, answer: &Answer) -> Result<String, Cause> {
    let status = answer.status;
    if !expect.status.contains(&status) {
        let wanted = expect.status.iter().map(u16::to_string).collect::<Vec<_>>().join(" or ");
        let redirect = match answer.header("location") {
            Some(location) if (300..400).contains(&status) => {
                format!(" to {location:?} (redirects are not followed here)")
            }
            _ => String::new(),
        };
        if let Some(advice) = &answer.advice {
            return Err(Cause::wanting(format!("{status}, want {wanted}: {}", advice.text), wanted, status));
        }
        let body = answer.excerpt();
        let body = if body.is_empty() || !redirect.is_empty() { String::new() } else { format!(": {body}") };
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
            let text = format!("{status}, but the body holds nothing like {wanted:?}: {excerpt}");
            return Err(Cause::wanting(text, wanted, excerpt));
        }
    }
    let mut seen = vec![status.to_string()];
    if !expect.json.is_empty() {
        let document: Value = serde_json::from_slice(&answer.body)
            .map_err(|error| format!("{status}, but the body is not JSON ({error}): {}", answer.excerpt()))?;
        for wanted in &expect.json {
            let judged = judge_json(wanted, &document);
            seen.push(judged.map_err(|cause| Cause { text: format!("{status}, but {}", cause.text), ..cause })?);
        }
    }
    Ok(seen.join(", "))
}

fn judge_json(expect: &JsonExpect, document: &Value) -> Result<String, Cause> {
    let path = &expect.path;
    let found = path.find(document);
    let actual = found.map_or("nothing".to_owned(), shown);
    match (&expect.wanted, found) {
        (JsonWanted::Exists(true), Some(_)) => Ok(format!("{path} exists")),
        (JsonWanted::Exists(false), None) => Ok(format!("{path} does not exist")),
        (JsonWanted::Exists(false), Some(_)) => {
            Err(Cause::wanting(format!("{path} is {actual}, want no such value"), "nothing", actual))
        }
        (JsonWanted::Exists(true), None) => Err(Cause::wanting(format!("{path} is not there"), "any value", actual)),
        (JsonWanted::Equals(wanted), Some(value)) if value == wanted => Ok(format!("{path} is {actual}")),
        (JsonWanted::Equals(wanted), Some(_)) => {
            let wanted = shown(wanted);
            Err(Cause::wanting(format!("{path} is {actual}, want {wanted}"), wanted, actual))
        }
        (JsonWanted::Equals(wanted), None) => {
            let wanted = shown(wanted);
            Err(Cause::wanting(format!("{path} is not there, want {wanted}{}", kind(document)), wanted, actual))
        }
        (JsonWanted::Matches(pattern), Some(Value::String(text))) if pattern.matches(text) => {
            Ok(format!("{path} is {text:?}"))
        }
        (JsonWanted::Matches(pattern), Some(_)) => {
            let wanted = pattern.source();
            Err(Cause::wanting(format!("{path} is {actual}, want a string like {wanted:?}"), wanted, actual))
        }
        (JsonWanted::Matches(pattern), None) => {
            let wanted = pattern.source();
            Err(Cause::wanting(format!("{path} is not there, want a string like {wanted:?}"), wanted, actual))
        }
    }
}

/// Says so where the document is no object at all.
fn kind(document: &Value) -> &'static str {
    match document {
        Value::Object(_) => "",
        Value::Array(_) => " (the answer is an array)",
        _ => " (the answer is not an object)",
    }
}

fn shown(value: &Value) -> String {
    const SHOWN: usize = 80;
    text::cut(&value.to_string(), SHOWN).into_owned()
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
            (Expect::ok(), 503, "no instance", Err("503, want 200: no instance")),
            (Expect { status: vec![200, 204], ..Expect::ok() }, 404, "", Err("404, want 200 or 204")),
            (Expect::ok(), 302, "", Err("302 to \"/login\" (redirects are not followed here), want 200")),
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
            (body("stat$"), 200, "status", Err("200, but the body holds nothing like \"stat$\": status")),
        ];
        for (expect, status, text, wanted) in cases {
            let answer = Answer::of(status, &[("x-version", "v42"), ("location", "/login")], text);
            let found = judge(&expect, &answer).map_err(|cause| cause.text);
            match wanted {
                Ok(seen) => assert_eq!(found.as_deref(), Ok(seen)),
                Err(piece) => assert!(found.as_ref().is_err_and(|cause| cause.contains(piece)), "{piece}: {found:?}"),
            }
        }
    }
}
