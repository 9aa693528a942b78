//! The words of a PromQL expression.

use std::ops::Range;

use super::Error;

/// A word.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    /// A name or keyword; may contain colons.
    Ident(String),
    /// A number.
    Number(f64),
    /// A duration in milliseconds.
    Duration(i64),
    /// A quoted string, decoded.
    String(String),
    /// An operator or punctuation.
    Symbol(&'static str),
    /// The end of the expression.
    End,
}

/// Longest first: the first that matches is taken.
const SYMBOLS: &[&str] = &[
    "==", "!=", "<=", ">=", "=~", "!~", "+", "-", "*", "/", "%", "^", "<", ">", "=", "(", ")", "{", "}", "[", "]", ",",
    "@",
];

/// The words of the source, each with its place; the last one is [`Token::End`].
pub(super) fn tokens(source: &str) -> Result<Vec<(Token, Range<usize>)>, Error> {
    let mut found = Vec::new();
    let mut at = 0;
    let mut brackets = 0_u32;
    while let Some(c) = source[at..].chars().next() {
        let rest = &source[at..];
        let (token, length) = match c {
            ' ' | '\t' | '\r' | '\n' => {
                at += 1;
                continue;
            }
            '#' => {
                at += rest.find('\n').unwrap_or(rest.len());
                continue;
            }
            '"' | '\'' | '`' => string(rest, c).map_err(|(message, length)| Error::new(message, at..at + length))?,
            ':' if brackets > 0 => (Token::Symbol(":"), 1),
            '0'..='9' => number(rest).map_err(|(message, length)| Error::new(message, at..at + length))?,
            '.' if rest[1..].starts_with(|c: char| c.is_ascii_digit()) => {
                number(rest).map_err(|(message, length)| Error::new(message, at..at + length))?
            }
            'a'..='z' | 'A'..='Z' | '_' | ':' => {
                let colons = brackets == 0;
                let part = |c: char| c.is_ascii_alphanumeric() || c == '_' || (colons && c == ':');
                let word = &rest[..rest.find(|c| !part(c)).unwrap_or(rest.len())];
                let token = match &*word.to_ascii_lowercase() {
                    "inf" => Token::Number(f64::INFINITY),
                    "nan" => Token::Number(f64::NAN),
                    _ => Token::Ident(word.to_owned()),
                };
                (token, word.len())
            }
            c => match SYMBOLS.iter().find(|symbol| rest.starts_with(**symbol)) {
                Some(symbol) => (Token::Symbol(symbol), symbol.len()),
                None => return Err(Error::new(format!("unexpected character {c:?}"), at..at + c.len_utf8())),
            },
        };
        match token {
            Token::Symbol("[") => brackets += 1,
            Token::Symbol("]") => brackets = brackets.saturating_sub(1),
            _ => {}
        }
        found.push((token, at..at + length));
        at += length;
    }
    found.push((Token::End, at..at));
    Ok(found)
}

/// A word and its length; or a message and the length of what it is about.
type Lexed = Result<(Token, usize), (String, usize)>;

fn number(rest: &str) -> Lexed {
    let word = &rest[..number_length(rest)];
    let bad = || Err((format!("bad number or duration: {word:?}"), word.len()));
    if let Some(digits) = word.strip_prefix("0x").or_else(|| word.strip_prefix("0X")) {
        let digits = digits.strip_prefix('_').unwrap_or(digits);
        let Some(digits) = without_separators(digits, |c| c.is_ascii_hexdigit()) else {
            return bad();
        };
        return match i64::from_str_radix(&digits, 16) {
            #[expect(clippy::cast_precision_loss, reason = "as Prometheus reads it")]
            Ok(value) => Ok((Token::Number(value as f64), word.len())),
            Err(_) => bad(),
        };
    }
    if let Some(duration) = duration(word) {
        return match duration {
            Some(milliseconds) => Ok((Token::Duration(milliseconds), word.len())),
            None => Err((format!("the duration {word:?} is too long"), word.len())),
        };
    }
    let Some(plain) = without_separators(word, |c| c.is_ascii_digit()) else {
        return bad();
    };
    let octal = plain.len() > 1 && plain.starts_with('0') && plain.bytes().all(|byte| byte.is_ascii_digit());
    if octal && let Ok(value) = i64::from_str_radix(&plain, 8) {
        // A leading zero means octal, as in Go; with an 8 or 9 in it the number is decimal after all.
        #[expect(clippy::cast_precision_loss, reason = "as Prometheus reads it")]
        return Ok((Token::Number(value as f64), word.len()));
    }
    match plain.parse::<f64>() {
        Ok(value) if value.is_finite() && !plain.ends_with(|c: char| c.is_ascii_alphabetic()) => {
            Ok((Token::Number(value), word.len()))
        }
        _ => bad(),
    }
}

/// Letters, digits, dots and separators, and the sign of an exponent.
fn number_length(rest: &str) -> usize {
    let bytes = rest.as_bytes();
    let hexadecimal = rest.starts_with("0x") || rest.starts_with("0X");
    let mut length = 0;
    while let Some(byte) = bytes.get(length) {
        let exponent_sign = matches!(byte, b'+' | b'-')
            && !hexadecimal
            && matches!(bytes[length - 1], b'e' | b'E')
            && bytes[..length - 1].iter().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'_'));
        if !(byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_') || exponent_sign) {
            break;
        }
        length += 1;
    }
    length
}

/// The digits without `_`, which is allowed only between two digits.
fn without_separators(word: &str, digit: impl Fn(char) -> bool) -> Option<String> {
    let chars: Vec<char> = word.chars().collect();
    let between = |at: usize| at > 0 && digit(chars[at - 1]) && chars.get(at + 1).is_some_and(|c| digit(*c));
    let sound = chars.iter().enumerate().all(|(at, c)| *c != '_' || between(at));
    sound.then(|| word.replace('_', ""))
}

/// A duration such as `1h30m` in milliseconds: units from the largest to the smallest, each at most once. The inner `None`
/// says that it is too long for Prometheus.
pub(super) fn duration(word: &str) -> Option<Option<i64>> {
    const UNITS: [(&str, i64); 7] = [
        ("y", 365 * 86_400_000),
        ("w", 7 * 86_400_000),
        ("d", 86_400_000),
        ("h", 3_600_000),
        ("m", 60_000),
        ("s", 1000),
        ("ms", 1),
    ];
    // Prometheus counts durations in 64 bits of nanoseconds.
    const LONGEST: i64 = i64::MAX / 1_000_000;
    let mut rest = word;
    let mut total = Some(0_i64);
    let mut next = 0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).filter(|digits| *digits > 0)?;
        let unit_length = rest[digits..].find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len() - digits);
        let unit = &rest[digits..digits + unit_length];
        let index = UNITS.iter().position(|(name, _)| *name == unit).filter(|index| *index >= next)?;
        let amount = rest[..digits].parse::<i64>().ok().and_then(|amount| amount.checked_mul(UNITS[index].1));
        total =
            total.zip(amount).and_then(|(total, amount)| total.checked_add(amount)).filter(|total| *total <= LONGEST);
        next = index + 1;
        rest = &rest[digits + unit_length..];
    }
    (!word.is_empty()).then_some(total)
}

fn string(rest: &str, quote: char) -> Lexed {
    let mut decoded = String::new();
    let mut chars = rest.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        match c {
            c if c == quote => return Ok((Token::String(decoded), at + 1)),
            '\n' if quote != '`' => return Err(("the string is not closed on its line".into(), at)),
            '\\' if quote != '`' => {
                let (c, length) = escape(&rest[at + 1..], quote)
                    .ok_or_else(|| ("unknown escape in the string".to_owned(), at + 2))?;
                decoded.push(c);
                for _ in 0..length {
                    chars.next();
                }
            }
            c => decoded.push(c),
        }
    }
    Err(("the string is not closed".into(), rest.len()))
}

/// The character that an escape stands for, and the length of the escape after the backslash (ASCII throughout).
fn escape(rest: &str, quote: char) -> Option<(char, usize)> {
    let simple = match rest.chars().next()? {
        'a' => '\u{7}',
        'b' => '\u{8}',
        'f' => '\u{c}',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'v' => '\u{b}',
        '\\' => '\\',
        c @ ('"' | '\'') if c == quote => c,
        'x' => return coded(rest, 1, 2, 16),
        'u' => return coded(rest, 1, 4, 16),
        'U' => return coded(rest, 1, 8, 16),
        '0'..='7' => return coded(rest, 0, 3, 8),
        _ => return None,
    };
    Some((simple, 1))
}

fn coded(rest: &str, start: usize, digits: usize, radix: u32) -> Option<(char, usize)> {
    let code = u32::from_str_radix(rest.get(start..start + digits)?, radix).ok()?;
    // A byte escape above ASCII would be half a character here.
    let half = digits < 4 && code > 0x7f;
    char::from_u32(code).filter(|_| !half).map(|c| (c, start + digits))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first(source: &str) -> Option<Token> {
        tokens(source).ok().filter(|tokens| tokens.len() == 2).map(|tokens| tokens[0].0.clone())
    }

    #[test]
    fn numbers_are_read_as_go_reads_them() {
        for (source, wanted) in [
            ("1", 1.0),
            (".5", 0.5),
            ("5.", 5.0),
            ("1e3", 1000.0),
            ("1E-3", 0.001),
            ("0x1F", 31.0),
            ("0755", 493.0),
            ("08", 8.0),
            ("1_000", 1000.0),
            ("0x_ff_ff", 65535.0),
            ("Inf", f64::INFINITY),
            ("iNF", f64::INFINITY),
        ] {
            assert_eq!(first(source), Some(Token::Number(wanted)), "{source}");
        }
        for source in ["1__0", "1_", "0x", "1e", "1ex", "5mm", "1m1h", "1h1h", "1.5h", "1x", "0xg"] {
            assert_eq!(first(source), None, "{source}");
        }
    }

    #[test]
    fn durations_add_up() {
        for (source, wanted) in
            [("5m", 300_000), ("1h30m", 5_400_000), ("1d2ms", 86_400_002), ("0s", 0), ("1y", 31_536_000_000)]
        {
            assert_eq!(first(source), Some(Token::Duration(wanted)), "{source}");
        }
        assert!(tokens("300y").is_err());
    }

    #[test]
    fn strings_are_decoded() {
        for (source, wanted) in
            [(r#""a\"b""#, "a\"b"), (r"'a\'b'", "a'b"), (r"`a\n'b`", r"a\n'b"), (r#""\x41\u00e9\101\t""#, "AéA\t")]
        {
            assert_eq!(first(source), Some(Token::String(wanted.into())), "{source}");
        }
        for source in [r#""\q""#, r#""\'""#, "\"a\nb\"", "\"open", r#""\xff""#, r#""\u12""#] {
            assert_eq!(first(source), None, "{source}");
        }
    }

    #[test]
    fn a_colon_is_part_of_a_name_but_not_of_a_range() {
        assert_eq!(first("a:b"), Some(Token::Ident("a:b".into())));
        let tokens: Vec<_> = tokens("x[5m:1m]").unwrap().into_iter().map(|(token, _)| token).collect();
        assert_eq!(tokens[3], Token::Symbol(":"));
    }
}
