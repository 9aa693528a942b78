//! From a checks file's text to a plan.

use std::fs::File as FsFile;
use std::io::Read as _;
use std::path::Path;

use serde::de::DeserializeOwned;
use serde_saphyr::Error as YamlError;

use super::file::{File, Place};
use super::overlay::Overlay as _;
use super::secret::Lookup;
use super::{DEFAULT, Plan, PlanError, validate};
use promeval::promql::similar;

/// The largest checks file that is read.
const MAX_FILE: u64 = 1024 * 1024;

/// What a plan is made of, besides the embedded default.
#[derive(Clone, Debug, Default)]
pub struct Source {
    /// The checks file: its name and its text.
    pub file: Option<(String, String)>,
    /// Replaces the limit for the whole run.
    pub timeout: Option<String>,
    /// Replaces the window of the metrics.
    pub window: Option<String>,
    /// Blocking thresholds, added to the others.
    pub thresholds: Vec<String>,
    /// Warning thresholds, added to the others.
    pub warnings: Vec<String>,
}

/// Reads a checks file or a rules file.
///
/// # Errors
/// A file that is missing, a folder, too large, empty, or not text.
pub fn read_file(path: &Path) -> Result<String, PlanError> {
    let fail = |message: String| Err(PlanError::new(Place::default(), message).in_file(&path.display().to_string()));
    let file = match FsFile::open(path) {
        Ok(file) => file,
        Err(error) => return fail(format!("the file cannot be opened: {error}")),
    };
    if file.metadata().is_ok_and(|metadata| metadata.is_dir()) {
        return fail("this is a folder; name a file in it".into());
    }
    let mut bytes = Vec::new();
    if let Err(error) = file.take(MAX_FILE + 1).read_to_end(&mut bytes) {
        return fail(format!("the file cannot be read: {error}"));
    }
    if bytes.len() as u64 > MAX_FILE {
        return fail("the file is over 1 MiB; no plan is that large".into());
    }
    let Ok(text) = String::from_utf8(bytes) else {
        return fail("the file is not UTF-8 text; is it the right file?".into());
    };
    if text.contains('\0') {
        return fail("the file is binary; is it the right file?".into());
    }
    Ok(text)
}

impl Source {
    /// Makes the plan: the command line over the checks file over the embedded default.
    ///
    /// # Errors
    /// The first thing that is wrong, with its place.
    pub fn plan(&self, lookup: &dyn Lookup) -> Result<Plan, PlanError> {
        let default = parse(DEFAULT).map_err(|error| error.in_file("default.yaml"))?;
        let name = self.file.as_ref().map_or("default.yaml", |(name, _)| name);
        let in_file = |error: PlanError| {
            if error.place.is_some() { error.in_file(name) } else { error }
        };
        let file = match &self.file {
            None => default,
            Some((name, text)) => parse(text).map_err(|error| error.in_file(name))?.over(default),
        };
        validate::plan(file, self, lookup).map_err(in_file)
    }
}

/// Reads YAML into the types of a file, strictly and within bounds; nothing where the text holds nothing.
pub(super) fn yaml<T: DeserializeOwned>(text: &str) -> Result<Option<T>, PlanError> {
    let mut options = serde_saphyr::options! { with_snippet: false, strict_booleans: true };
    if let Some(budget) = &mut options.budget {
        // A plan is small: what is over this is a bomb or another file.
        budget.max_nodes = 20_000;
        budget.max_events = 100_000;
        budget.max_depth = 32;
        budget.max_documents = 8;
        budget.max_aliases = 1_000;
    }
    options.alias_limits.max_total_replayed_events = 20_000;
    serde_saphyr::from_str_with_options::<Option<T>>(text, options).map_err(|error| yaml_error(&error))
}

fn parse(text: &str) -> Result<File, PlanError> {
    // A file of blanks and comments is null: with nothing to say it is a slip, not a plan.
    yaml(text)?.ok_or_else(|| {
        let message = "the checks file is empty; `canary-gate checks` prints the default to start from";
        PlanError::new(Place::default(), message)
    })
}

fn yaml_error(error: &YamlError) -> PlanError {
    let place = error
        .location()
        .map_or(Place::default(), |location| Place { line: location.line(), column: location.column() });
    let names = |expected: &[&str]| expected.join(", ");
    let message = match error.without_snippet() {
        YamlError::SerdeUnknownField { field, expected, .. } => {
            let hint = similar(field, expected.iter().copied()).first().map_or_else(
                || format!("the keys here are {}", names(expected)),
                |name| format!("did you mean {name:?}?"),
            );
            format!("unknown key {field:?}; {hint}")
        }
        YamlError::SerdeUnknownVariant { variant, expected, .. } => {
            format!("unknown value {variant:?}; want one of {}", names(expected))
        }
        YamlError::SerdeMissingField { field, .. } => format!("the key {field:?} is missing"),
        YamlError::DuplicateMappingKey { key: Some(key), .. } => format!("the key {key:?} stands twice"),
        YamlError::MultipleDocuments { .. } => "the file holds several YAML documents; want one".into(),
        YamlError::Budget { breach, .. } => {
            format!("the file is larger, deeper or more repetitive than a checks file may be ({breach:?})")
        }
        other => without_position(&other.to_string()),
    };
    PlanError::new(place, message)
}

/// The reader's own sentence without the position that it puts into it: the place stands in front already.
fn without_position(message: &str) -> String {
    let first = message.lines().next().unwrap_or(message);
    let cut = first.find(" at line ").or_else(|| first.find(", line ")).unwrap_or(first.len());
    first[..cut].trim_start_matches("error: ").to_owned()
}
