//! Changes to a file's text that are certain: comments, order and everything else stay as they are.

use crate::outcome::Place;

/// A change to the file of a finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Edit {
    /// What stands at a place, and what takes its place.
    Replace { place: Place, old: String, new: String },
    /// A line below the line of a place, as far to the right as the place.
    Below { place: Place, line: String },
    /// Takes a comment away that begins at a place, with its line where nothing else is on it.
    WithoutComment(Place),
}

impl Edit {
    fn place(&self) -> Place {
        match self {
            Self::Replace { place, .. } | Self::Below { place, .. } | Self::WithoutComment(place) => *place,
        }
    }
}

/// The text with its changes made; those that do not fit what is there are left out.
pub(crate) fn apply(text: &str, edits: &[Edit]) -> String {
    let mut lines: Vec<String> = text.split_inclusive('\n').map(str::to_owned).collect();
    let mut edits: Vec<&Edit> = edits.iter().collect();
    // From the end, so that the places of those before stay right.
    edits.sort_by_key(|edit| std::cmp::Reverse(edit.place()));
    edits.dedup();
    for edit in edits {
        let place = edit.place();
        let index = |number: u64| usize::try_from(number.saturating_sub(1)).unwrap_or(usize::MAX);
        let (row, column) = (index(place.line), index(place.column));
        let Some(line) = lines.get(row) else { continue };
        let Some(at) = line.char_indices().map(|(at, _)| at).chain([line.len()]).nth(column) else { continue };
        let (before, rest) = line.split_at(at);
        match edit {
            Edit::Replace { old, new, .. } => {
                if let Some(rest) = rest.strip_prefix(&**old) {
                    lines[row] = format!("{before}{new}{rest}");
                }
            }
            Edit::Below { line: new, .. } => {
                let new = format!("{}{new}\n", " ".repeat(column));
                if !line.ends_with('\n') {
                    lines[row].push('\n');
                }
                lines.insert(row + 1, new);
            }
            Edit::WithoutComment(_) if before.trim().is_empty() => {
                lines.remove(row);
            }
            Edit::WithoutComment(_) => lines[row] = format!("{}\n", before.trim_end()),
        }
    }
    lines.concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_made_where_they_fit_and_nowhere_else() {
        let place = |line, column| Place { line, column };
        let text = "a: 1 # one\n# gone\nb:\n  ü: \"20\" # two\n";
        let edits = [
            Edit::WithoutComment(place(1, 6)),
            Edit::WithoutComment(place(2, 1)),
            Edit::Replace { place: place(4, 6), old: "\"20\"".into(), new: "20".into() },
            Edit::Below { place: place(4, 3), line: "c: true".into() },
            Edit::Replace { place: place(1, 1), old: "b".into(), new: "c".into() },
            Edit::Replace { place: place(9, 1), old: "b".into(), new: "c".into() },
        ];
        assert_eq!(apply(text, &edits), "a: 1\nb:\n  ü: 20 # two\n  c: true\n");
        let below = Edit::Below { place: place(1, 3), line: "b: 2".into() };
        assert_eq!(apply("- a: 1", &[below.clone(), below]), "- a: 1\n  b: 2\n");
    }
}
