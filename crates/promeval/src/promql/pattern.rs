//! Regular expressions as Prometheus uses them: RE2 syntax, anchored at both ends, a dot that matches line feeds.

use std::fmt;

use regex_lite::Regex;

/// An anchored pattern.
#[derive(Clone)]
pub struct Pattern {
    source: String,
    regex: Regex,
}

impl Pattern {
    /// Compiles a pattern.
    ///
    /// # Errors
    /// What is wrong with it. Unicode classes (`\p{…}`) and Unicode case folding are refused, not taken for ASCII.
    pub fn new(source: &str) -> Result<Self, String> {
        if folds_beyond_ascii(source) {
            return Err(format!(
                "invalid regular expression {source:?}: (?i) with other letters than ASCII is not supported"
            ));
        }
        let adapted = adapted(source);
        // Alone first, so that an unbalanced parenthesis cannot pair with the anchors'.
        let error = |error| format!("invalid regular expression {source:?}: {error}");
        Regex::new(&adapted).map_err(error)?;
        let regex = Regex::new(&format!("^(?s:{adapted})$")).map_err(error)?;
        Ok(Self { source: source.to_owned(), regex })
    }

    /// Whether the whole text matches.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        self.regex.is_match(text)
    }

    /// The template with `$1`, `${1}` and `${name}` replaced by what the groups caught; nothing where the text does not
    /// match.
    #[must_use]
    pub fn expand(&self, text: &str, template: &str) -> Option<String> {
        let captures = self.regex.captures(text)?;
        let mut expanded = String::new();
        captures.expand(template, &mut expanded);
        Some(expanded)
    }
}

/// Escapes what RE2 takes literally and the engine does not: a brace that begins no repetition, as in `/items/{id}`, and a
/// bracket inside a class.
fn adapted(source: &str) -> String {
    let mut adapted = String::with_capacity(source.len());
    let mut rest = source;
    // Whether this is inside a class.
    let mut in_class = false;
    while let Some(c) = rest.chars().next() {
        let mut length = c.len_utf8();
        match (c, in_class) {
            ('\\', _) => {
                // An escape stays whole, with the braces of \x{…}.
                length = rest.char_indices().nth(2).map_or(rest.len(), |(at, _)| at);
                if rest[length..].starts_with('{') && matches!(&rest[..length], "\\x" | "\\p" | "\\P") {
                    length += rest[length..].find('}').map_or(rest.len() - length, |end| end + 1);
                }
            }
            ('[', false) => {
                in_class = true;
                // A bracket that closes stands for itself right at the start.
                length += usize::from(rest[length..].starts_with('^'));
                length += usize::from(rest[length..].starts_with(']'));
            }
            ('[', true) if rest.starts_with("[:") => length = rest.find(":]").map_or(length, |end| end + 2),
            ('[', true) => adapted.push('\\'),
            (']', true) => in_class = false,
            ('{', false) if !begins_repetition(rest) => adapted.push('\\'),
            _ => {}
        }
        adapted.push_str(&rest[..length]);
        rest = &rest[length..];
    }
    adapted
}

/// `{3}`, `{3,}` or `{3,5}`.
fn begins_repetition(rest: &str) -> bool {
    let Some((inside, _)) = rest[1..].split_once('}') else { return false };
    let (least, most) = inside.split_once(',').unwrap_or((inside, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    !least.is_empty() && digits(least) && digits(most)
}

/// The engine folds the case of ASCII letters only; where that would match otherwise than RE2, the pattern is refused.
fn folds_beyond_ascii(source: &str) -> bool {
    let flags = source.match_indices("(?").any(|(at, _)| {
        let flags = &source[at + 2..];
        let end = flags.find([':', ')', '<', '-']).unwrap_or(0);
        flags[..end].contains('i')
    });
    flags && !source.is_ascii()
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.source)
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_anchored_and_span_lines() {
        for (pattern, text, wanted) in [
            ("a|b", "a", true),
            ("a|b", "ab", false),
            ("5..", "503", true),
            ("5..", "1503", false),
            (".*", "line\nfeed", true),
            ("", "", true),
            ("(?i)get", "GeT", true),
            (r"\d+", "42", true),
            (r"\d+", "٤", false),
            ("a.c", "aéc", true),
            ("[[:alpha:]]+", "abc", true),
            ("/items/{id}", "/items/{id}", true),
            ("a{2}b{1,}c{0,1}", "aabb", true),
            ("[[{]+", "[{", true),
            ("[^]a]", "b", true),
            (r"\x{41}\{", "A{", true),
        ] {
            let compiled = Pattern::new(pattern).unwrap();
            assert_eq!(compiled.matches(text), wanted, "{pattern} on {text:?}");
        }
    }

    #[test]
    fn what_the_engine_cannot_do_as_re2_does_is_refused() {
        for pattern in ["(", ")", "a)(b", "*", "[b-a]", r"\pL", r"\p{Greek}", "(?i)é", r"\Qa\E"] {
            assert!(Pattern::new(pattern).is_err(), "{pattern}");
        }
    }

    #[test]
    fn templates_are_expanded() {
        let pattern = Pattern::new("(.*)-(?P<tail>.*)").unwrap();
        assert_eq!(pattern.expand("a-b", "$2:${1}x$$y${tail}$none"), Some("b:ax$yb".into()));
        assert_eq!(pattern.expand("ab", "$1"), None);
    }
}
