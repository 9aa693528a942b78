//! What a scalar is: the core schema of YAML 1.2, in which `yes`, `on` and `0o` alone are text.
//!
//! <https://yaml.org/spec/1.2.2/#103-core-schema>

use std::fmt;

use crate::text;

/// A scalar as it is written.
#[derive(Clone, Debug)]
pub(crate) struct Scalar {
    pub(crate) text: String,
    pub(crate) style: Style,
}

/// How a scalar is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    /// Not written at all: `key:` with nothing behind it.
    Missing,
    /// Without quotes: the text says what it is.
    Plain,
    /// In quotes, or tagged as a string.
    Quoted,
    /// A block of lines, `|` or `>`, in which nothing is escaped.
    Block,
}

/// What a scalar is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Meaning {
    Null,
    Bool(bool),
    Whole(i128),
    Float(f64),
    Text,
}

impl Scalar {
    pub(crate) fn meaning(&self) -> Meaning {
        match self.style {
            Style::Missing => Meaning::Null,
            Style::Quoted | Style::Block => Meaning::Text,
            Style::Plain => plain(&self.text),
        }
    }
}

fn plain(text: &str) -> Meaning {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Meaning::Null,
        "true" | "True" | "TRUE" => return Meaning::Bool(true),
        "false" | "False" | "FALSE" => return Meaning::Bool(false),
        ".nan" | ".NaN" | ".NAN" => return Meaning::Float(f64::NAN),
        _ => {}
    }
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    if matches!(unsigned, ".inf" | ".Inf" | ".INF") {
        return Meaning::Float(if text.starts_with('-') { f64::NEG_INFINITY } else { f64::INFINITY });
    }
    let radix = |prefix: &str, radix| i128::from_str_radix(text.strip_prefix(prefix)?, radix).ok();
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if let Some(whole) = radix("0x", 16).or_else(|| radix("0o", 8)).filter(|whole| *whole >= 0) {
        return Meaning::Whole(whole);
    }
    if digits(unsigned) {
        // What is too large for this is too large for everything that the files ask for.
        return text.parse().map_or_else(|_| Meaning::Float(text.parse().unwrap_or(f64::INFINITY)), Meaning::Whole);
    }
    let (mantissa, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let either = |text: &str| text.is_empty() || digits(text);
    let float = either(whole)
        && either(fraction)
        && (digits(whole) || digits(fraction))
        && digits(exponent.strip_prefix(['+', '-']).unwrap_or(exponent));
    match text.parse() {
        Ok(number) if float => Meaning::Float(number),
        _ => Meaning::Text,
    }
}

/// As a sentence names what was found: `30`, `the text "yes"`, `null`.
impl fmt::Display for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.style, self.meaning()) {
            (Style::Missing, _) => f.write_str("nothing"),
            (_, Meaning::Text) => write!(f, "the text {:?}", text::cut(&self.text, 40)),
            _ => f.write_str(&text::cut(&self.text, 40)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scalar_is_what_the_core_schema_says() {
        for (text, wanted) in [
            ("", Meaning::Null),
            ("~", Meaning::Null),
            ("NULL", Meaning::Null),
            ("True", Meaning::Bool(true)),
            ("false", Meaning::Bool(false)),
            ("yes", Meaning::Text),
            ("on", Meaning::Text),
            ("nil", Meaning::Text),
            ("30", Meaning::Whole(30)),
            ("-1", Meaning::Whole(-1)),
            ("+7", Meaning::Whole(7)),
            ("007", Meaning::Whole(7)),
            ("0x1F", Meaning::Whole(31)),
            ("0o17", Meaning::Whole(15)),
            ("0x-1", Meaning::Text),
            ("1_000", Meaning::Text),
            ("1.5", Meaning::Float(1.5)),
            (".5", Meaning::Float(0.5)),
            ("1.", Meaning::Float(1.0)),
            ("1e3", Meaning::Float(1000.0)),
            ("-.inf", Meaning::Float(f64::NEG_INFINITY)),
            ("inf", Meaning::Text),
            ("nan", Meaning::Text),
            (".", Meaning::Text),
            ("-", Meaning::Text),
            ("1e", Meaning::Text),
            ("30s", Meaning::Text),
            ("1.2.3", Meaning::Text),
        ] {
            assert_eq!(plain(text), wanted, "{text:?}");
        }
        assert!(matches!(plain(".nan"), Meaning::Float(number) if number.is_nan()));
        assert!(matches!(plain(&"9".repeat(60)), Meaning::Float(number) if number > 1e59));
    }

    #[test]
    fn what_was_found_is_named_as_it_is_written() {
        let scalar = |text: &str, style| Scalar { text: text.into(), style }.to_string();
        assert_eq!(scalar("30", Style::Plain), "30");
        assert_eq!(scalar("30", Style::Quoted), "the text \"30\"");
        assert_eq!(scalar("yes", Style::Plain), "the text \"yes\"");
        assert_eq!(scalar("a\nb", Style::Block), "the text \"a\\nb\"");
        assert_eq!(scalar("~", Style::Plain), "~");
        assert_eq!(scalar("~", Style::Missing), "nothing");
    }
}
