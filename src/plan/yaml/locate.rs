//! Places inside of scalars: from an offset in the value to the line and column of the file that it comes from.

use std::iter;

use crate::outcome::Place;
use crate::plan::secret::SECRET_ENDINGS;
use crate::text::covered;

const BLANKS: [char; 4] = [' ', '\t', '\r', '\n'];

/// The most characters of a line that are shown.
const SHOWN: usize = 120;

/// The place of the byte `offset` of a scalar's value. `start` is the place of the scalar, which is a block of lines or
/// else says by its first character how it is quoted. Where the text does not hold the value as expected, it is the last
/// place that is certain.
pub(in crate::plan) fn inside(text: &str, start: Place, block: bool, value: &str, offset: usize) -> Place {
    let Some(source) = from(text, start) else { return start };
    let quote = source.chars().next().filter(|c| matches!(c, '"' | '\''));
    let at = if block { in_block(source, value, offset) } else { in_flow(source, quote, value, offset) };
    let before = source.get(..at).unwrap_or(source);
    let characters = |text: &str| u64::try_from(text.chars().count()).unwrap_or(u64::MAX);
    match before.rsplit_once('\n') {
        Some((lines, line)) => {
            let breaks = u64::try_from(lines.matches('\n').count() + 1).unwrap_or(u64::MAX);
            Place { line: start.line + breaks, column: 1 + characters(line) }
        }
        None => Place { line: start.line, column: start.column + characters(before) },
    }
}

/// The text from a place on.
fn from(text: &str, place: Place) -> Option<&str> {
    let line = usize::try_from(place.line.checked_sub(1)?).ok()?;
    let column = usize::try_from(place.column.checked_sub(1)?).ok()?;
    let line_start = iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).nth(line)?;
    let rest = &text[line_start..];
    rest.char_indices().map(|(at, _)| at).chain([rest.len()]).nth(column).map(|at| &rest[at..])
}

/// In a block, every line of the source is in the value, less its indentation.
fn in_block(source: &str, value: &str, offset: usize) -> usize {
    let (mut at, mut read, mut last) = (0, 0, 0);
    for line in source.split_inclusive('\n') {
        let content = line.trim();
        let begin = at + line.len() - line.trim_start().len();
        at += line.len();
        if content.is_empty() {
            continue;
        }
        let rest = &value[read..];
        let skipped = rest.len() - rest.trim_start().len();
        if !rest[skipped..].starts_with(content) {
            break;
        }
        let from = read + skipped;
        if offset < from {
            break;
        }
        read = from + content.len();
        last = begin + content.len();
        if offset < read {
            return begin + (offset - from);
        }
    }
    // Behind the last line that it can be in.
    last
}

/// In a plain or quoted scalar, line breaks are folded and, between double quotes, characters are escaped.
fn in_flow(source: &str, quote: Option<char>, value: &str, offset: usize) -> usize {
    let mut at = quote.map_or(0, char::len_utf8);
    let mut read = 0;
    while read < offset {
        let Some(rest) = source.get(at..).filter(|rest| !rest.is_empty()) else { break };
        let run = rest.len() - rest.trim_start_matches(BLANKS).len();
        let breaks = rest[..run].matches('\n').count();
        if breaks > 0 {
            // One break is a blank; each one more is a line feed.
            read += if breaks == 1 { 1 } else { breaks - 1 };
            if read > offset {
                return at;
            }
            at += run;
        } else if run > 0 {
            let blanks = run.min(offset - read);
            at += blanks;
            read += blanks;
        } else if let Some(next) = continued(rest, quote) {
            at += next;
        } else {
            at += written_width(rest, quote);
            read += value.get(read..).and_then(|rest| rest.chars().next()).map_or(1, char::len_utf8);
        }
    }
    // What follows a line that is continued begins on the next one.
    at + source.get(at..).and_then(|rest| continued(rest, quote)).unwrap_or_default()
}

/// The bytes of a line break that is escaped, and of the blanks before what follows.
fn continued(rest: &str, quote: Option<char>) -> Option<usize> {
    let after = rest.strip_prefix("\\\n").or_else(|| rest.strip_prefix("\\\r\n"))?;
    (quote == Some('"')).then(|| rest.len() - after.trim_start_matches(BLANKS).len())
}

/// The bytes that the source has for the next character of a quoted value.
fn written_width(rest: &str, quote: Option<char>) -> usize {
    let mut characters = rest.chars();
    let first = characters.next();
    let escape = match (quote, first, characters.next()) {
        (Some('\''), Some('\''), Some('\'')) => return 2,
        (Some('"'), Some('\\'), Some(escape)) => escape,
        _ => return first.map_or(1, char::len_utf8),
    };
    let digits = match escape {
        'x' => 2,
        'u' => 4,
        'U' => 8,
        _ => 0,
    };
    (1 + escape.len_utf8() + digits).min(rest.len())
}

/// The line of a place, with carets under so many of its characters. Of a long line, the part around the place.
pub(in crate::plan) fn carets(text: &str, place: Place, width: usize) -> String {
    let index = |number: u64| usize::try_from(number.saturating_sub(1)).unwrap_or(usize::MAX);
    let line = text.split('\n').nth(index(place.line)).unwrap_or_default().trim_end();
    let line: Vec<char> = covered(line, &SECRET_ENDINGS).chars().collect();
    let column = index(place.column).min(line.len());
    let indent = line.iter().take_while(|c| c.is_whitespace()).count();
    let from = if line.len() - indent <= SHOWN { indent } else { column.saturating_sub(SHOWN / 2).max(indent) };
    let from = from.min(column);
    let shown = &line[from..line.len().min(from + SHOWN)];
    let width = width.min((from + shown.len()).saturating_sub(column)).max(1);
    let (before, after) =
        (if from > indent { "…" } else { "" }, if from + shown.len() < line.len() { "…" } else { "" });
    let margin: String = line[from..column].iter().map(|c| if *c == '\t' { '\t' } else { ' ' }).collect();
    let margin = format!("{}{margin}", before.replace('…', " "));
    format!("  {before}{}{after}\n  {margin}{}", shown.iter().collect::<String>(), "^".repeat(width))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The place of what stands between `«` and the next character in a YAML document, whatever its style.
    fn found(yaml: &str, value: &str, needle: &str) -> (u64, u64) {
        let block = yaml.contains('|') || yaml.contains('>');
        let begin = if block { yaml.find('\n').unwrap() + 1 } else { yaml.find(": ").unwrap() + 2 };
        let begin = begin + yaml[begin..].len() - yaml[begin..].trim_start().len();
        let line = yaml[..begin].matches('\n').count() as u64 + 1;
        let column = yaml[..begin].rsplit('\n').next().unwrap().chars().count() as u64 + 1;
        let place = inside(yaml, Place { line, column }, block, value, value.find(needle).unwrap());
        (place.line, place.column)
    }

    #[test]
    fn the_place_inside_of_a_scalar_is_that_of_the_file() {
        for (yaml, value, needle, wanted) in [
            ("a: up == !\n", "up == !", "!", (1, 10)),
            ("a: ü == !\n", "ü == !", "!", (1, 9)),
            ("a: up\n  == 1\n   !\n", "up == 1 !", "!", (3, 4)),
            ("a: up\n\n\n  !\n", "up\n\n!", "!", (4, 3)),
            ("a: 'it''s !'\n", "it's !", "!", (1, 11)),
            ("a: 'up\n  ''x'' !'\n", "up 'x' !", "!", (2, 9)),
            ("a: \"{x=\\\"y\\\"} !\"\n", "{x=\"y\"} !", "!", (1, 15)),
            ("a: \"\\u0061\\x62 !\"\n", "ab !", "!", (1, 16)),
            ("a: \"up \\\n   + !\"\n", "up + !", "!", (2, 6)),
            ("a: \"up\n  \n  !\"\n", "up\n!", "!", (3, 3)),
            ("a: |\n  up\n    == !\n", "up\n  == !\n", "!", (3, 8)),
            ("a: |\n  up\n\n  == !\n", "up\n\n== !\n", "!", (4, 6)),
            ("a: >-\n  up\n  == !\n", "up == !", "!", (3, 6)),
            ("a: >\n  up\n    more\n  == !\n", "up\n  more\n== !\n", "!", (4, 6)),
            ("a: |\r\n  up\r\n  == !\r\n", "up\n== !\n", "!", (3, 6)),
        ] {
            assert_eq!(found(yaml, value, needle), wanted, "{yaml:?}");
        }
    }

    #[test]
    fn the_end_of_a_value_is_behind_its_last_character() {
        let place = |line, column| Place { line, column };
        assert_eq!(inside("a: up ==\n", place(1, 4), false, "up ==", 5), place(1, 9));
        assert_eq!(inside("a: |\n  up\n  ==\n", place(2, 3), true, "up\n==\n", 5), place(3, 5));
        assert_eq!(inside("a: 'up =='\n", place(1, 4), false, "up ==", 5), place(1, 10));
        assert_eq!(inside("a", place(7, 4), false, "up", 1), place(7, 4));
    }

    #[test]
    fn carets_stand_under_the_place() {
        let place = |line, column| Place { line, column };
        assert_eq!(carets("a: 1\n  b: up == !\n", place(2, 12), 1), "  b: up == !\n           ^");
        assert_eq!(carets("\tü\tup\n", place(1, 4), 9), "  ü\tup\n   \t^^");
        assert_eq!(carets("a: up ==", place(1, 9), 0), "  a: up ==\n          ^");
        let long = format!("a: {}!{}", "x".repeat(500), "y".repeat(500));
        let flow = "{headers: {Cookie: hunter2}, expr: up ==}";
        let shown = carets(flow, place(1, 41), 1);
        assert!(shown.starts_with("  {headers: {Cookie: *******}, expr: up ==}\n") && !shown.contains("hunter2"));
        let shown = carets(&long, place(1, 504), 1);
        let (line, caret) = shown.split_once('\n').unwrap();
        assert!(line.chars().count() < 130, "{line}");
        assert_eq!(line.chars().nth(caret.chars().count() - 1), Some('!'));
    }
}
