//! The codes of mistakes: stable words for machines and for looking a mistake up. `docs/checks.md` has a line for each.

use crate::yaml::code as yaml;

macro_rules! codes {
    ($($name:tt = $word:expr),* $(,)?) => {
        $(pub(crate) const $name: &str = $word;)*
        #[cfg(test)]
        const ALL: &[&str] = &[$($word),*];
    };
}

codes! {
    FILE = "file",
    EMPTY = "empty",
    YAML = yaml::YAML,
    UNKNOWN_KEY = "unknown-key",
    // Found before the file has a meaning.
    _ = yaml::DUPLICATE_KEY,
    MISSING_KEY = "missing-key",
    WRONG_TYPE = yaml::WRONG_TYPE,
    UNKNOWN_VALUE = "unknown-value",
    NUMBER = "number",
    DURATION = "duration",
    SIZE = "size",
    PATH = "path",
    ADDRESS = "address",
    HEADER = "header",
    SECRET = "secret",
    PATTERN = "pattern",
    JSON_PATH = "json-path",
    PROMQL = "promql",
    NAME = "name",
    RULES = "rules",
    CONFLICT = "conflict",
    DEFECT = "defect",
}

#[test]
fn the_codes_are_those_of_the_documents() {
    let table = include_str!("../../docs/checks.md").lines();
    let documented: Vec<&str> = table.filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
    assert_eq!(documented, ALL);
}
