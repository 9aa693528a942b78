//! Text for a terminal of so many columns: measured, cut and wrapped between words. Pure.

use std::fmt::Write as _;

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use super::CUT;

/// With fewer columns than this beside what stands in front, text begins on a line of its own.
const NARROW: usize = 30;

/// How far it is then indented.
const INDENT: usize = 4;

/// How many columns a text takes; it is escaped.
pub(crate) fn columns(text: &str) -> usize {
    text.width()
}

/// The text in so many columns: cut between two words where that leaves most of it, with an ellipsis.
pub(crate) fn cut_to(text: &str, most: usize) -> String {
    if columns(text) <= most {
        return text.to_owned();
    }
    let room = most.saturating_sub(1);
    let mut used = 0;
    let fits = |(_, c): &(usize, char)| {
        used += c.width().unwrap_or(0);
        used <= room
    };
    let end = text.char_indices().take_while(fits).last().map_or(0, |(at, c)| at + c.len_utf8());
    let (kept, rest) = text.split_at(end);
    let kept = match kept.rfind(' ') {
        Some(blank) if !rest.starts_with(' ') && blank > end / 2 => &kept[..blank],
        _ => kept,
    };
    format!("{}{CUT}", kept.trim_end_matches([' ', '·']))
}

/// Text behind something that takes `used` columns, in lines that are broken between words; the lines after the first are
/// indented as the first is, or a little where there is no room for that. A word that is too long is left whole.
pub(crate) fn hanging(text: &str, used: usize, most: Option<usize>) -> String {
    let Some(most) = most else { return text.to_owned() };
    if used + columns(text) <= most {
        return text.to_owned();
    }
    let is_narrow = most < used + NARROW;
    let indent = if is_narrow { INDENT } else { used };
    let (mut lines, mut at) = (String::with_capacity(text.len() + 64), used);
    if is_narrow && used > INDENT {
        let _ = write!(lines, "\n{:indent$}", "");
        at = indent;
    }
    let mut is_first = true;
    for word in text.split(' ') {
        let width = columns(word);
        if !is_first && at + 1 + width > most {
            let _ = write!(lines, "\n{:indent$}", "");
            at = indent;
        } else if !is_first {
            lines.push(' ');
            at += 1;
        }
        lines.push_str(word);
        at += width;
        is_first = false;
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_cut_between_words() {
        for (text, most, wanted) in [
            ("health 4/6", 10, "health 4/6"),
            ("health 4/6 · 503 · next in 6 s", 24, "health 4/6 · 503 · next…"),
            ("health 4/6 · 503 · next in 6 s", 19, "health 4/6 · 503…"),
            ("averylongwordwithoutanything", 10, "averylong…"),
            ("日本語のテキスト", 9, "日本語の…"),
            ("", 0, ""),
        ] {
            let cut = cut_to(text, most);
            assert_eq!(cut, wanted);
            assert!(columns(&cut) <= most, "{cut}");
        }
    }

    #[test]
    fn lines_hang_behind_what_stands_in_front() {
        let text = "three thresholds hold and another one does not";
        assert_eq!(hanging(text, 10, None), text);
        assert_eq!(hanging(text, 10, Some(60)), text);
        assert_eq!(hanging(text, 4, Some(40)), "three thresholds hold and another\n    one does not");
        assert_eq!(hanging(text, 30, Some(40)), "\n    three thresholds hold and another\n    one does not");
        assert_eq!(hanging("a https://canary.example.com/long", 0, Some(12)), "a\n    https://canary.example.com/long");
        for most in [20, 40, 60, 80] {
            for used in [0, 4, 41] {
                let lines = hanging(text, used, Some(most));
                assert!(lines.split('\n').skip(1).all(|line| columns(line) <= most), "{most} {used}: {lines}");
                assert_eq!(lines.split_whitespace().collect::<Vec<_>>(), text.split(' ').collect::<Vec<_>>());
            }
        }
    }
}
