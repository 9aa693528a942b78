//! A path to one value in a JSON document: the singular queries of RFC 9535.

use std::fmt;

/// A path such as `$.status`, `$.checks[0].name` or `$['any key']`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct JsonPath {
    source: String,
    steps: Vec<Step>,
}

/// One step of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Into a member of an object.
    Name(String),
    /// Into an element of an array; below 0, counted from its end.
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

    /// The steps from the whole document to the value.
    pub(crate) fn steps(&self) -> &[Step] {
        &self.steps
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
        let name = |name: &str| Step::Name(name.into());
        for (path, steps) in [
            ("$", vec![]),
            ("$.status", vec![name("status")]),
            ("$.a['b c'][1].d", vec![name("a"), name("b c"), Step::Index(1), name("d")]),
            ("$[\"a\"][-2]", vec![name("a"), Step::Index(-2)]),
        ] {
            assert_eq!(JsonPath::parse(path).unwrap().steps(), steps, "{path}");
        }
        for path in ["", "status", "$.", "$..a", "$.a[*]", "$.a[", "$['a]", "$.a b", "$[x]"] {
            assert!(JsonPath::parse(path).is_err(), "{path}");
        }
    }
}
