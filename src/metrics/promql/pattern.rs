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
        // Alone first, so that an unbalanced parenthesis cannot pair with the anchors'.
        let error = |error| format!("invalid regular expression {source:?}: {error}");
        Regex::new(source).map_err(error)?;
        let regex = Regex::new(&format!("^(?s:{source})$")).map_err(error)?;
        Ok(Self {
            source: source.to_owned(),
            regex,
        })
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
