//! Text for people: cutting, joining, escaping. Pure.

mod credentials;
mod number;
mod redact;
mod width;

use std::borrow::Cow;
use std::time::Duration;

pub(crate) use credentials::{covered, shown_url};
pub(crate) use number::{beside, number};
pub(crate) use promeval::similar;
pub(crate) use redact::Redactor;
pub(crate) use width::{columns, cut_to, hanging};

/// What stands for a secret.
const MASK: &str = "***";

/// What stands where a text was cut.
pub(crate) const CUT: char = '…';

/// The first few items joined, and how many more there are: `a; b and 3 more`.
pub(crate) fn joined<T: AsRef<str>>(
    items: impl IntoIterator<Item = T, IntoIter: ExactSizeIterator>,
    shown: usize,
    separator: &str,
) -> String {
    let mut items = items.into_iter();
    let first: Vec<T> = items.by_ref().take(shown).collect();
    let text = first.iter().map(AsRef::as_ref).collect::<Vec<_>>().join(separator);
    match items.len() {
        0 => text,
        more => format!("{text} and {more} more"),
    }
}

/// At most so many characters, with an ellipsis where something was cut.
pub(crate) fn cut(text: &str, characters: usize) -> Cow<'_, str> {
    match text.char_indices().nth(characters) {
        Some((end, _)) => Cow::Owned(format!("{}{CUT}", &text[..end])),
        None => Cow::Borrowed(text),
    }
}

/// The lines of a text as one, with single blanks between its words.
pub(crate) fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The text with every character escaped that could move the cursor, start a control sequence or reorder what is shown:
/// control characters (line feeds too), bidirectional and zero-width marks. A terminal then shows what is there. So does a build
/// system, which would take what stands behind `##` for a command to itself.
pub(crate) fn escaped(text: &str) -> Cow<'_, str> {
    if !text.contains(is_unsafe) && commands(text).next().is_none() {
        return Cow::Borrowed(text);
    }
    let (mut safe, mut commands) = (String::with_capacity(text.len() + 16), commands(text).peekable());
    for (at, c) in text.char_indices() {
        if commands.next_if_eq(&at).is_some() {
            safe.extend(c.escape_unicode());
        } else if is_unsafe(c) {
            safe.extend(c.escape_default());
        } else {
            safe.push(c);
        }
    }
    Cow::Owned(safe)
}

/// Where a build system would find a command in a text, anywhere in a line: the second mark of `##[error]` (GitHub Actions),
/// `##vso[task.complete]` (Azure Pipelines) and their like.
fn commands(text: &str) -> impl Iterator<Item = usize> {
    const LONGEST: usize = 20;
    let is_command = |at: &usize| {
        let behind = text.as_bytes()[at + 1..].iter();
        behind.take(LONGEST).find(|byte| !byte.is_ascii_alphabetic()) == Some(&b'[')
    };
    let marks = text.match_indices('#').map(|(at, _)| at);
    marks.filter(move |at| *at > 0 && text.as_bytes()[at - 1] == b'#').filter(is_command)
}

/// As [`escaped`], for text of several lines: line feeds stay.
pub(crate) fn escaped_lines(text: &str) -> String {
    text.split('\n').map(escaped).collect::<Vec<_>>().join("\n")
}

/// As [`escaped`], for JSON that is written already: it stays JSON, and says the same.
pub(crate) fn escaped_json(json: &str) -> String {
    let (mut safe, mut commands) = (String::with_capacity(json.len()), commands(json).peekable());
    for (at, c) in json.char_indices() {
        // The white space between the members of indented JSON is no text.
        if (is_unsafe(c) && c != '\n') || commands.next_if_eq(&at).is_some() {
            safe.extend(c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")));
        } else {
            safe.push(c);
        }
    }
    safe
}

/// A word of the shell that means this text.
pub(crate) fn shell(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_./:@%+=,-".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}

fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{fffe}' | '\u{ffff}')
        // What else shows nothing: joiners, fillers of Hangul and Khmer, selectors, tags.
        || matches!(c, '\u{34f}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}' | '\u{3164}' | '\u{ffa0}' | '\u{e0000}'..='\u{e0fff}')
}

/// `1 request`, `2 requests`.
pub(crate) fn counted(count: usize, thing: &str) -> String {
    if count == 1 { format!("1 {thing}") } else { format!("{count} {thing}s") }
}

/// A duration for a sentence, to the millisecond; to a tenth of a second from 10 s on.
pub(crate) fn duration(duration: Duration) -> String {
    const DAYS: Duration = Duration::from_hours(100 * 24);
    if duration > DAYS {
        return "over 100 days".into();
    }
    let milliseconds = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let rounded = if milliseconds >= 10_000 { milliseconds - milliseconds % 100 } else { milliseconds };
    humantime::format_duration(Duration::from_millis(rounded)).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_say_how_much_was_left_out() {
        assert_eq!(joined(["a", "b"], 3, "; "), "a; b");
        assert_eq!(joined(["a", "b", "c", "d"], 2, ", "), "a, b and 2 more");
        assert_eq!(joined([""; 0], 2, ", "), "");
    }

    #[test]
    fn text_is_cut_between_characters() {
        for (text, characters, wanted) in [("abc", 3, "abc"), ("abcd", 3, "abc…"), ("äöü", 2, "äö…"), ("", 0, "")]
        {
            assert_eq!(cut(text, characters), wanted);
        }
    }

    #[test]
    fn nothing_that_a_terminal_obeys_is_left() {
        for (text, wanted) in [
            ("plain, é, 中", "plain, é, 中"),
            ("a\nPASS", "a\\nPASS"),
            ("\u{1b}]52;c;x\u{7}", "\\u{1b}]52;c;x\\u{7}"),
            ("a\rb\tc\u{7f}\u{9b}", "a\\rb\\tc\\u{7f}\\u{9b}"),
            ("\u{202e}evil\u{200b}", "\\u{202e}evil\\u{200b}"),
            ("\u{180e}\u{3164}\u{e0041}", "\\u{180e}\\u{3164}\\u{e0041}"),
            // Nor what a build system does.
            ("a ##[stop-commands]x", "a #\\u{23}[stop-commands]x"),
            ("##vso[task.complete result=Succeeded]", "#\\u{23}vso[task.complete result=Succeeded]"),
            ("###[x] ##\n[y]", "##\\u{23}[x] ##\\n[y]"),
            ("# a [b] ## c [d]", "# a [b] ## c [d]"),
        ] {
            assert_eq!(escaped(text), wanted);
            assert_eq!(escaped(wanted), wanted);
        }
        assert_eq!(escaped_lines("a\nb\rc"), "a\nb\\rc");
    }

    #[test]
    fn json_stays_json_where_it_is_escaped() {
        let value = serde_json::json!({ "a\u{200b}": "\u{202e}\u{2028}\u{85}\u{feff}\u{7f}\n\"é\u{1f600} ##[x]" });
        for written in [value.to_string(), format!("{value:#}")] {
            let json = escaped_json(&written);
            assert!(!json.chars().any(|c| is_unsafe(c) && c != '\n') && !json.contains("##["), "{json}");
            assert_eq!(serde_json::from_str::<serde_json::Value>(&json).unwrap(), value, "{json}");
        }
    }

    #[test]
    fn a_word_of_the_shell_means_what_it_says() {
        for (text, wanted) in [
            ("https://h/a?b=1", "'https://h/a?b=1'"),
            ("a-b_c.d/e:f", "a-b_c.d/e:f"),
            ("it's", "'it'\\''s'"),
            ("$(id) `id` \"x\"", "'$(id) `id` \"x\"'"),
            ("", "''"),
        ] {
            assert_eq!(shell(text), wanted);
        }
    }

    #[test]
    fn durations_and_counts_read_as_sentences_do() {
        assert_eq!(duration(Duration::from_micros(2_345_678)), "2s 345ms");
        assert_eq!(duration(Duration::from_millis(12_345)), "12s 300ms");
        assert_eq!(duration(Duration::from_secs(u64::MAX)), "over 100 days");
        assert_eq!((counted(1, "request"), counted(2, "request")), ("1 request".into(), "2 requests".into()));
    }
}
