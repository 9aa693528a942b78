//! Whether an answer is what was wanted, in a sentence that says what came and what was wanted.

use serde_json::Value;

use crate::plan::{Expect, JsonExpect, JsonWanted};
use crate::probe::Answer;

/// What was seen that is good, or the first thing that is not.
pub(super) fn judge(expect: &Expect, answer: &Answer) -> Result<String, String> {
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
            return Err(format!("{status}, want {wanted}: {advice}"));
        }
        let body = answer.excerpt();
        let body = if body.is_empty() || !redirect.is_empty() { String::new() } else { format!(": {body}") };
        return Err(format!("{status}{redirect}, want {wanted}{body}"));
    }
    for (name, pattern) in &expect.headers {
        match answer.header(name) {
            None => {
                return Err(format!("{status}, but there is no header {name}, want {:?}", pattern.source));
            }
            Some(value) if !pattern.regex.is_match(value) => {
                return Err(format!("{status}, but the header {name} is {value:?}, want {:?}", pattern.source));
            }
            Some(_) => {}
        }
    }
    if !expect.body.is_empty() {
        let text = String::from_utf8_lossy(&answer.body);
        for pattern in &expect.body {
            if !pattern.regex.is_match(&text) {
                return Err(format!(
                    "{status}, but the body holds nothing like {:?}: {}",
                    pattern.source,
                    answer.excerpt()
                ));
            }
        }
    }
    let mut seen = vec![status.to_string()];
    if !expect.json.is_empty() {
        let document: Value = serde_json::from_slice(&answer.body)
            .map_err(|error| format!("{status}, but the body is no JSON ({error}): {}", answer.excerpt()))?;
        for wanted in &expect.json {
            seen.push(judge_json(wanted, &document).map_err(|cause| format!("{status}, but {cause}"))?);
        }
    }
    Ok(seen.join(", "))
}

fn judge_json(expect: &JsonExpect, document: &Value) -> Result<String, String> {
    let path = &expect.path;
    let found = path.find(document);
    match (&expect.wanted, found) {
        (JsonWanted::Exists(true), Some(_)) => Ok(format!("{path} exists")),
        (JsonWanted::Exists(false), None) => Ok(format!("{path} does not exist")),
        (JsonWanted::Exists(false), Some(value)) => Err(format!("{path} is {}, want it not there", shown(value))),
        (JsonWanted::Exists(true), None) => Err(format!("{path} is not there")),
        (JsonWanted::Equals(wanted), Some(value)) if value == wanted => Ok(format!("{path} is {}", shown(value))),
        (JsonWanted::Equals(wanted), Some(value)) => Err(format!("{path} is {}, want {}", shown(value), shown(wanted))),
        (JsonWanted::Equals(wanted), None) => {
            Err(format!("{path} is not there, want {}{}", shown(wanted), kind(document)))
        }
        (JsonWanted::Matches(pattern), Some(Value::String(text))) if pattern.regex.is_match(text) => {
            Ok(format!("{path} is {text:?}"))
        }
        (JsonWanted::Matches(pattern), Some(value)) => {
            Err(format!("{path} is {}, want a string like {:?}", shown(value), pattern.source))
        }
        (JsonWanted::Matches(pattern), None) => {
            Err(format!("{path} is not there, want a string like {:?}", pattern.source))
        }
    }
}

/// Says so where the document is no object at all.
fn kind(document: &Value) -> &'static str {
    match document {
        Value::Object(_) => "",
        Value::Array(_) => " (the answer is an array)",
        _ => " (the answer is no object)",
    }
}

fn shown(value: &Value) -> String {
    const SHOWN: usize = 80;
    let text = value.to_string();
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
