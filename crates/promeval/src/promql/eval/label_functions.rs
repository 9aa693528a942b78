//! `label_replace` and `label_join`.

use super::Element;
use crate::Pattern;
use crate::labels::Labels;

/// Sets `target` to the template, expanded by what `pattern` caught in `source`, where it matches.
pub(super) fn replace(
    elements: Vec<Element>,
    target: &str,
    template: &str,
    source: &str,
    pattern: &Pattern,
) -> Vec<Element> {
    let replaced = |mut element: Element| {
        if let Some(value) = pattern.expand(element.labels.get(source), template) {
            element.labels.set(target, &value);
        }
        element
    };
    elements.into_iter().map(replaced).collect()
}

/// Sets `target` to the values of the sources, joined.
pub(super) fn join(elements: Vec<Element>, target: &str, separator: &str, sources: &[&str]) -> Vec<Element> {
    let joined = |labels: &Labels| sources.iter().map(|source| labels.get(source)).collect::<Vec<_>>().join(separator);
    let set = |mut element: Element| {
        let value = joined(&element.labels);
        element.labels.set(target, &value);
        element
    };
    elements.into_iter().map(set).collect()
}
