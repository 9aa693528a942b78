//! Regular expressions in RE2's syntax, as Prometheus uses them.

use std::fmt;

use regex_lite::Regex;

/// A regular expression in RE2's syntax, in linear time.
///
/// Classes such as `\d` are those of ASCII. What the engine could not do as RE2 does is refused rather than taken for
/// something else: Unicode classes (`\p{…}`) and `(?i)` with letters beyond ASCII.
///
/// ```
/// use promeval::Pattern;
///
/// let whole = Pattern::new("5..")?;
/// assert!(whole.matches("503") && !whole.matches("status 503"));
/// let anywhere = Pattern::unanchored("5..")?;
/// assert!(anywhere.matches("status 503"));
/// # Ok::<(), String>(())
/// ```
#[derive(Clone)]
pub struct Pattern {
    source: String,
    anchored: bool,
    regex: Regex,
    /// What the pattern comes to, where that can be told without the engine.
    simple: Option<Simple>,
}

/// The patterns of most matchers. Held against 2,700 names, they take a twentieth of the engine's time.
#[derive(Clone)]
enum Simple {
    Anything,
    /// One of these texts.
    OneOf(Vec<String>),
    /// This text, and at least so many bytes behind it.
    Beginning(String, usize),
}

impl Simple {
    fn of(source: &str) -> Option<Self> {
        let plain =
            |text: &str| !text.contains(['\\', '.', '+', '*', '?', '(', ')', '[', ']', '{', '}', '^', '$', '|']);
        let beginning = |rest: &str, least: usize| {
            let text = source.strip_suffix(rest).filter(|text| plain(text))?;
            Some(if text.is_empty() && least == 0 { Self::Anything } else { Self::Beginning(text.to_owned(), least) })
        };
        let one_of = || {
            let texts = source.split('|').map(|text| Some(text.to_owned()).filter(|text| plain(text)));
            texts.collect::<Option<_>>().map(Self::OneOf)
        };
        beginning(".*", 0).or_else(|| beginning(".+", 1)).or_else(one_of)
    }

    fn matches(&self, text: &str) -> bool {
        match self {
            Self::Anything => true,
            Self::OneOf(texts) => texts.iter().any(|known| known == text),
            Self::Beginning(beginning, least) => {
                text.strip_prefix(&**beginning).is_some_and(|rest| rest.len() >= *least)
            }
        }
    }
}

impl Pattern {
    /// A pattern of the whole text, as in a matcher: anchored at both ends, and a dot matches a line feed too.
    ///
    /// # Errors
    /// What is wrong with the pattern, or not supported.
    pub fn new(source: &str) -> Result<Self, String> {
        let adapted = sound(source)?;
        let regex = compile(source, &format!("^(?s:{adapted})$"))?;
        Ok(Self { source: source.to_owned(), anchored: true, regex, simple: Simple::of(source) })
    }

    /// A pattern that is found anywhere in the text.
    ///
    /// # Errors
    /// As [`Pattern::new`].
    pub fn unanchored(source: &str) -> Result<Self, String> {
        let regex = compile(source, &sound(source)?)?;
        Ok(Self { source: source.to_owned(), anchored: false, regex, simple: None })
    }

    /// Whether the text matches.
    pub fn matches(&self, text: &str) -> bool {
        self.simple.as_ref().map_or_else(|| self.regex.is_match(text), |simple| simple.matches(text))
    }

    /// The pattern as it was written.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The template with `$1`, `${1}` and `${name}` replaced by what the groups caught; `None` where the text does not
    /// match.
    pub(crate) fn expand(&self, text: &str, template: &str) -> Option<String> {
        let captures = self.regex.captures(text)?;
        let mut expanded = String::new();
        captures.expand(template, &mut expanded);
        Some(expanded)
    }
}

/// What the engine takes for the pattern. Checked on its own, so that an unbalanced parenthesis cannot pair with one that
/// is put around it.
fn sound(source: &str) -> Result<String, String> {
    if folds_beyond_ascii(source) {
        let message = "(?i) is supported with ASCII letters only";
        return Err(format!("invalid regular expression {source:?}: {message}"));
    }
    let adapted = adapted(source);
    compile(source, &adapted)?;
    Ok(adapted)
}

fn compile(source: &str, adapted: &str) -> Result<Regex, String> {
    Regex::new(adapted).map_err(|error| format!("invalid regular expression {source:?}: {error}"))
}

/// Escapes what RE2 takes literally and the engine does not: a brace that does not begin a repetition, as in `/items/{id}`, and a
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
                // An escape is kept whole, the braces of \x{…} included.
                length = rest.char_indices().nth(2).map_or(rest.len(), |(at, _)| at);
                if rest[length..].starts_with('{') && matches!(&rest[..length], "\\x" | "\\p" | "\\P") {
                    length += rest[length..].find('}').map_or(rest.len() - length, |end| end + 1);
                }
            }
            ('[', false) => {
                in_class = true;
                // A closing bracket right at the start is literal.
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

/// Whether the case of letters beyond ASCII would count, which the engine cannot fold.
fn folds_beyond_ascii(source: &str) -> bool {
    let folds = source.match_indices("(?").any(|(at, _)| {
        let flags = &source[at + 2..];
        let end = flags.find([':', ')', '<', '-']).unwrap_or(0);
        flags[..end].contains('i')
    });
    folds && (!source.is_ascii() || source.split("\\x").skip(1).any(escapes_beyond_ascii))
}

/// Whether the digits of a `\x` escape name a character beyond ASCII.
fn escapes_beyond_ascii(digits: &str) -> bool {
    let code = match digits.strip_prefix('{') {
        Some(inside) => inside.split('}').next(),
        None => digits.get(..2),
    };
    code.and_then(|code| u32::from_str_radix(code, 16).ok()).is_some_and(|code| code > 0x7f)
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.source)
    }
}

/// Patterns are equal when they are written the same and anchored the same.
impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        (&self.source, self.anchored) == (&other.source, other.anchored)
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
    fn what_can_be_told_without_the_engine_is_what_the_engine_says() {
        let texts = ["", "a", "b", "ab", "abc", "a\nb", "é", "a.*", "a|b"];
        for (source, is_simple) in [
            (".*", true),
            (".+", true),
            ("a", true),
            ("", true),
            ("a|b", true),
            ("a||é", true),
            ("a.*", true),
            ("a.+", true),
            ("a.", false),
            ("a|b.*", false),
            ("(a|b)", false),
            (r"a\.*", false),
            ("[ab].*", false),
        ] {
            let pattern = Pattern::new(source).unwrap();
            assert_eq!(pattern.simple.is_some(), is_simple, "{source}");
            for text in texts {
                assert_eq!(pattern.matches(text), pattern.regex.is_match(text), "{source} on {text:?}");
            }
        }
    }

    #[test]
    fn what_the_engine_cannot_do_as_re2_does_is_refused() {
        for pattern in ["(", ")", "a)(b", "*", "[b-a]", r"\pL", r"\p{Greek}", "(?i)é", r"(?i)\xe9", r"\Qa\E"] {
            assert!(Pattern::new(pattern).is_err(), "{pattern}");
            assert!(Pattern::unanchored(pattern).is_err(), "{pattern}");
        }
    }

    #[test]
    fn an_unanchored_pattern_is_found_anywhere() {
        for (pattern, text, wanted) in [
            ("b", "abc", true),
            ("^b", "abc", false),
            ("a.c", "a\nc", false),
            ("(?s)a.c", "xa\nc", true),
            ("/{id}", "a/{id}", true),
        ] {
            assert_eq!(Pattern::unanchored(pattern).unwrap().matches(text), wanted, "{pattern} in {text:?}");
        }
        assert_ne!(Pattern::unanchored("a"), Pattern::new("a"));
        assert_eq!(Pattern::unanchored("a").unwrap().source(), "a");
    }

    #[test]
    fn templates_are_expanded() {
        let pattern = Pattern::new("(.*)-(?P<tail>.*)").unwrap();
        assert_eq!(pattern.expand("a-b", "$2:${1}x$$y${tail}$none"), Some("b:ax$yb".into()));
        assert_eq!(pattern.expand("ab", "$1"), None);
    }
}
