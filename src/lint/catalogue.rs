//! All rules, and their texts: what `lint explain` prints and docs/lint.md holds.

use super::finding::Rule;
use super::ignore::{BAD_IGNORE, UNUSED_IGNORE};
use super::{rules, schema};
use crate::text;

const SCHEMAS: &[&Rule] = &[
    &schema::UNKNOWN_KEY,
    &schema::MISSING_KEY,
    &schema::WRONG_TYPE,
    &schema::UNKNOWN_VALUE,
    &schema::DUPLICATE_KEY,
    &schema::AUTOMATION_WAIT,
];
const IGNORES: &[&Rule] = &[&BAD_IGNORE, &UNUSED_IGNORE];

/// Every rule, in the order of the documents.
pub(crate) fn all() -> impl Iterator<Item = &'static Rule> {
    SCHEMAS.iter().chain(rules::ALL.iter().copied().flatten()).chain(IGNORES).copied()
}

pub(crate) fn named(id: &str) -> Option<&'static Rule> {
    all().find(|rule| rule.id == id)
}

/// That there is no such rule.
pub(crate) fn unknown(id: &str) -> String {
    let near = text::similar(id, all().map(|rule| rule.id)).first().copied();
    let hint = near
        .map_or_else(|| "`canary-gate lint explain` lists them".to_owned(), |near| format!("did you mean {near:?}?"));
    format!("there is no rule {:?}; {hint}", text::cut(id, 40))
}

/// What a rule is about.
pub(crate) fn explain(rule: &Rule) -> String {
    format!(
        "## {}\n\n{}: {}. Confidence: {}.\n\n{}\n\n{}\n",
        rule.id,
        match rule.level {
            super::finding::Level::Error => "Error",
            super::finding::Level::Warning => "Warning",
        },
        rule.what,
        rule.confidence.word(),
        rule.why,
        rule.fix
    )
}

/// What stands before the rules in the document.
const INTRODUCTION: &str = include_str!("introduction.md");

/// The document of all rules.
pub(crate) fn document() -> String {
    let rows: String = all()
        .map(|rule| format!("| [`{}`](#{}) | {} | {} |\n", rule.id, rule.id, rule.level.word(), rule.what))
        .collect();
    let texts: Vec<String> = all().map(explain).collect();
    format!("{INTRODUCTION}\n| rule | level | what is wrong |\n|---|---|---|\n{rows}\n{}", texts.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_has_one_id_and_all_of_its_texts() {
        let mut ids: Vec<&str> = all().map(|rule| rule.id).collect();
        let count = ids.len();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), count);
        for rule in all() {
            assert!(rule.id.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'), "{}", rule.id);
            for text in [rule.what, rule.why, rule.fix] {
                assert!(text.len() > 15, "{}: {text:?}", rule.id);
            }
            assert!(rule.why.ends_with('.') && rule.fix.ends_with('.') && !rule.what.ends_with('.'), "{}", rule.id);
        }
    }

    #[test]
    fn the_document_is_that_of_the_rules() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/lint.md");
        let written = std::fs::read_to_string(path).unwrap_or_default();
        assert!(written == document(), "docs/lint.md is another one: canary-gate lint explain > docs/lint.md");
    }
}
