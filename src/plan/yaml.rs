//! YAML read strictly, within bounds, with errors in words of our own and with places.

use serde::de::DeserializeOwned;
use serde_saphyr::{Error as YamlError, Location};

use crate::outcome::{Diagnostic, Place};
use crate::text::similar;

/// Reads YAML into the types of a file, strictly and within bounds; nothing where the text holds nothing.
pub(super) fn read<T: DeserializeOwned>(text: &str) -> Result<Option<T>, Diagnostic> {
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

fn yaml_error(error: &YamlError) -> Diagnostic {
    let place = error.location().and_then(place);
    let names = |expected: &[&str]| expected.join(", ");
    let (code, message) = match error.without_snippet() {
        YamlError::SerdeUnknownField { field, expected, .. } => {
            let hint = similar(field, expected.iter().copied()).first().map_or_else(
                || format!("the keys here are {}", names(expected)),
                |name| format!("did you mean {name:?}?"),
            );
            ("unknown-key", format!("unknown key {field:?}; {hint}"))
        }
        YamlError::SerdeUnknownVariant { variant, expected, .. } => {
            ("unknown-value", format!("unknown value {variant:?}; want one of {}", names(expected)))
        }
        YamlError::SerdeMissingField { field, .. } => ("missing-key", format!("the key {field:?} is missing")),
        YamlError::DuplicateMappingKey { key: Some(key), .. } => {
            ("duplicate-key", format!("the key {key:?} is duplicated"))
        }
        YamlError::MultipleDocuments { .. } => ("yaml", "the file holds several YAML documents; want one".into()),
        YamlError::Budget { breach, .. } => {
            ("yaml", format!("the file is larger, deeper or more repetitive than a checks file may be ({breach:?})"))
        }
        other => ("yaml", without_position(&other.to_string())),
    };
    Diagnostic::new(code, place, message)
}

/// A place as a person counts; nothing where the reader knows none.
pub(super) fn place(location: Location) -> Option<Place> {
    let place = Place { line: location.line(), column: location.column() };
    (place.line > 0).then_some(place)
}

/// The reader's own sentence without the position that it puts into it: the place stands in front already.
fn without_position(message: &str) -> String {
    let first = message.lines().next().unwrap_or(message);
    let cut = first.find(" at line ").or_else(|| first.find(", line ")).unwrap_or(first.len());
    first[..cut].trim_start_matches("error: ").to_owned()
}
