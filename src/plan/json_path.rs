//! A path to one value in a JSON document: the singular queries of RFC 9535.

use std::fmt;

use serde_json::Value;

/// A path such as `$.status`, `$.checks[0].name` or `$['any key']`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct JsonPath {
    source: String,
    steps: Vec<Step>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Name(String),
    Index(i64),
}

impl JsonPath {
    /// Reads a path.
    ///
    /// # Errors
    /// What it is instead; queries that find several values are refused.
    pub(crate) fn parse(source: &str) -> Result<Self, String> {
        let wrong = || format!("{source:?} is not a path to one JSON value: write $.status, $.list[0] or $['any key']");
        let mut rest = source.strip_prefix('$').ok_or_else(wrong)?;
        let mut steps = Vec::new();
        while !rest.is_empty() {
            let (step, after) = if let Some(name) = rest.strip_prefix('.') {
                let end = name.find(['.', '[']).unwrap_or(name.len());
                let plain = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
                if end == 0 || !name[..end].chars().all(plain) {
                    return Err(wrong());
                }
                (Step::Name(name[..end].to_owned()), &name[end..])
            } else {
                let inside = rest.strip_prefix('[').ok_or_else(wrong)?;
                if let Some(quote @ ('\'' | '"')) = inside.chars().next() {
                    let (name, after) = inside[1..].split_once(&format!("{quote}]")).ok_or_else(wrong)?;
                    (Step::Name(name.to_owned()), after)
                } else {
                    let (index, after) = inside.split_once(']').ok_or_else(wrong)?;
                    (Step::Index(index.parse().map_err(|_| wrong())?), after)
                }
            };
            steps.push(step);
            rest = after;
        }
        Ok(Self { source: source.to_owned(), steps })
    }

    /// The value that the path leads to.
    pub(crate) fn find<'v>(&self, document: &'v Value) -> Option<&'v Value> {
        self.steps.iter().try_fold(document, |value, step| match step {
            Step::Name(name) => value.as_object()?.get(name),
            Step::Index(index) => {
                let list = value.as_array()?;
                let index = if *index < 0 {
                    list.len().checked_sub(usize::try_from(-index).ok()?)?
                } else {
                    usize::try_from(*index).ok()?
                };
                list.get(index)
            }
        })
    }
}

impl fmt::Display for JsonPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.source)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_leads_to_one_value() {
        let document = serde_json::json!({"a": {"b c": [1, {"d": "x"}]}, "status": "ok", "n": null});
        for (path, wanted) in [
            ("$.status", Some("\"ok\"")),
            ("$.a['b c'][1].d", Some("\"x\"")),
            ("$[\"a\"][\"b c\"][-2]", Some("1")),
            ("$.n", Some("null")),
            ("$.missing", None),
            ("$.status.deeper", None),
            ("$.a['b c'][2]", None),
        ] {
            let found = JsonPath::parse(path).unwrap().find(&document).map(ToString::to_string);
            assert_eq!(found.as_deref(), wanted, "{path}");
        }
        for path in ["", "status", "$.", "$..a", "$.a[*]", "$.a[", "$['a]", "$.a b", "$[x]"] {
            assert!(JsonPath::parse(path).is_err(), "{path}");
        }
    }
}
