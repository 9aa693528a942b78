//! Documents that are meant for one of the tools and that none of them knows.

use super::rule;
use crate::lint::at::At;
use crate::lint::file::{Kind, base};
use crate::lint::finding::{Found, Rule};
use crate::outcome::Source;
use crate::text::cut;

rule!(
    UNKNOWN_DOCUMENT,
    "unknown-document",
    Error,
    High,
    "a document of a kind that none of the tools has",
    "gcloud refuses the file, or what the document was for is simply not there: without its automation, for one, nothing is \
     rolled back.",
    "Write `apiVersion` and `kind` as the tool has them, or move the document out of the pipeline's files."
);

rule!(
    EMPTY_FILE,
    "empty-file",
    Error,
    High,
    "one of the pipeline's files says nothing",
    "What it was for is not there, and a tool that is given it refuses it or does nothing.",
    "Fill the file, or take it away."
);

pub(super) const RULES: &[&Rule] = &[&UNKNOWN_DOCUMENT, &EMPTY_FILE];

/// A file without a document; `named`: whether Skaffold renders it.
pub(in crate::lint) fn empty(file: &str, named: bool, found: &mut Found) {
    if named || belongs(file) {
        let at = Source { file: file.to_owned(), place: crate::lint::FIRST };
        found.add(&EMPTY_FILE, at, "the file holds no document");
    }
}

/// Whether a file is one of the pipeline's by its name.
pub(in crate::lint) fn belongs(name: &str) -> bool {
    let stem = base(name).rsplit_once('.').map_or(name, |(stem, _)| stem);
    ["clouddeploy", "targets", "skaffold", "verify", "cloudbuild", "iam"].contains(&stem)
}

/// `belongs`: whether the file has other documents of the tools, or a name that says so.
pub(in crate::lint) fn check(at: At<'_>, kind: Kind, belongs: bool, found: &mut Found) {
    let word = |key: &str| at.get(key).and_then(At::text).unwrap_or_default();
    let (version, name) = (word("apiVersion"), word("kind"));
    let foreign = kind == Kind::Other && belongs && (version.is_empty() || name.is_empty());
    if kind != Kind::Broken && !foreign {
        return;
    }
    let message = match (version, name) {
        ("", "") => "the document has neither apiVersion nor kind that a tool of the pipeline knows".to_owned(),
        ("", name) => format!("the document of kind {:?} has no apiVersion", cut(name, 40)),
        (version, "") => format!("the document of apiVersion {:?} has no kind", cut(version, 60)),
        (version, name) => format!("no tool of the pipeline knows {:?} of {:?}", cut(name, 40), cut(version, 60)),
    };
    found.add(&UNKNOWN_DOCUMENT, at.source(), message);
}
