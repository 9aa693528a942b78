//! The rules that hold documents against each other, by what they are about.

mod accounts;
mod automation;
pub(super) mod checks;
pub(super) mod documents;
mod gate;
mod images;
mod limits;
mod names;
mod phases;
mod profiles;
mod service;
mod targets;

pub(crate) use accounts::is_id as is_account_id;
pub(crate) use names::is_name;

use super::finding::{Found, Rule};
use super::project::Project;

/// Declares a rule: its name in code, its id, level and confidence; what is wrong, why it bites, and the fix.
macro_rules! rule {
    ($name:ident, $id:literal, $level:ident, $confidence:ident, $what:literal, $why:literal, $fix:literal $(,)?) => {
        pub(super) const $name: crate::lint::finding::Rule = crate::lint::finding::Rule {
            id: $id,
            level: crate::lint::finding::Level::$level,
            confidence: crate::lint::finding::Confidence::$confidence,
            what: $what,
            why: $why,
            fix: $fix,
        };
    };
}
use rule;

/// Every rule of this folder, by its file.
pub(super) const ALL: [&[&Rule]; 12] = [
    documents::RULES,
    names::RULES,
    targets::RULES,
    phases::RULES,
    profiles::RULES,
    automation::RULES,
    limits::RULES,
    gate::RULES,
    checks::RULES,
    images::RULES,
    service::RULES,
    accounts::RULES,
];

pub(super) fn check(project: &Project<'_>, found: &mut Found) {
    names::check(project, found);
    targets::check(project, found);
    phases::check(project, found);
    profiles::check(project, found);
    automation::check(project, found);
    limits::check(project, found);
    gate::check(project, found);
    checks::check(project, found);
    images::check(project, found);
    service::check(project, found);
    accounts::check(project, found);
}
