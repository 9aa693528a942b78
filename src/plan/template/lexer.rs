//! The actions of a template, and their tokens: those of Go's `text/template`.

use crate::text::cut;

/// The longest piece of a template that is repeated in a message.
const SHOWN: usize = 40;

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Kind {
    /// A keyword, a constant or a function.
    Word,
    /// `$x`, or `$` alone.
    Variable,
    /// `.x`.
    Field,
    /// `.` alone.
    Dot,
    Number,
    /// A string or a character.
    Text,
    Pipe,
    Open,
    Close,
    Comma,
    /// `:=` or `=`.
    Declare,
}

/// A token of an action.
#[derive(Clone, Copy, Debug)]
pub(super) struct Token<'t> {
    pub(super) kind: Kind,
    pub(super) text: &'t str,
    /// Whether no white space is in front of it.
    pub(super) glued: bool,
}

/// What stands between double braces, one after the other; comments are left out.
pub(super) fn actions(template: &str) -> Result<Vec<Vec<Token<'_>>>, String> {
    let mut actions = Vec::new();
    let mut rest = template;
    while let Some((_, from)) = rest.split_once("{{") {
        // A dash with a blank behind it trims what is in front.
        let marker = from.strip_prefix('-').and_then(|from| from.strip_prefix(char::is_whitespace));
        let from = marker.unwrap_or(from);
        if let Some(comment) = from.strip_prefix("/*") {
            let (_, behind) = comment.split_once("*/").ok_or("a comment is not closed")?;
            let marker = behind.strip_prefix(char::is_whitespace).and_then(|behind| behind.strip_prefix('-'));
            rest = marker.unwrap_or(behind).strip_prefix("}}").ok_or("a comment ends before its action does")?;
            continue;
        }
        let mut lexer = Lexer { rest: from, tokens: Vec::new(), glued: false };
        while lexer.token()? {}
        rest = lexer.rest;
        actions.push(lexer.tokens);
    }
    Ok(actions)
}

struct Lexer<'t> {
    rest: &'t str,
    tokens: Vec<Token<'t>>,
    glued: bool,
}

impl Lexer<'_> {
    /// Reads a token; false at the end of the action, which is read too.
    fn token(&mut self) -> Result<bool, String> {
        let trimmed = self.rest.trim_start();
        let spaced = trimmed.len() < self.rest.len();
        // A blank and a dash in front of the end trim what is behind.
        let end = trimmed.strip_prefix('-').filter(|_| spaced).unwrap_or(trimmed);
        if let Some(behind) = end.strip_prefix("}}") {
            self.rest = behind;
            return Ok(false);
        }
        self.glued = !spaced && !self.tokens.is_empty();
        self.rest = trimmed;
        let Some(first) = trimmed.chars().next() else { return Err("an action is not closed: }} is missing".into()) };
        let second = trimmed[first.len_utf8()..].chars().next();
        match first {
            '|' => self.push(Kind::Pipe, 1),
            '(' => self.push(Kind::Open, 1),
            ')' => self.push(Kind::Close, 1),
            ',' => self.push(Kind::Comma, 1),
            '=' => self.push(Kind::Declare, 1),
            ':' if second == Some('=') => self.push(Kind::Declare, 2),
            '"' => self.quoted('"')?,
            '\'' => self.quoted('\'')?,
            '`' => match trimmed[1..].find('`') {
                Some(length) => self.push(Kind::Text, length + 2),
                None => return Err("a raw string is not closed".into()),
            },
            '.' if second.is_some_and(|c| c.is_ascii_digit()) => self.number()?,
            '.' => self.name(Kind::Field, 1)?,
            '$' => self.name(Kind::Variable, 1)?,
            '+' | '-' | '0'..='9' => self.number()?,
            _ if is_letter(first) => self.name(Kind::Word, 0)?,
            _ => return Err(format!("{first:?} means nothing in an action")),
        }
        Ok(true)
    }

    fn push(&mut self, kind: Kind, length: usize) {
        let (text, rest) = self.rest.split_at(length);
        self.tokens.push(Token { kind, text, glued: self.glued });
        self.rest = rest;
    }

    /// A name behind as many characters as its sign has.
    fn name(&mut self, kind: Kind, sign: usize) -> Result<(), String> {
        let length = self.rest[sign..].find(|c| !is_letter(c)).map_or(self.rest.len(), |length| sign + length);
        let behind = self.rest[length..].chars().next();
        let ends = behind.is_none_or(|c| c.is_whitespace() || matches!(c, '.' | ',' | '|' | ':' | ')' | '('));
        if !ends && !self.rest[length..].starts_with("}}") {
            let behind = behind.unwrap_or_default();
            return Err(format!("{behind:?} cannot follow {:?}", cut(&self.rest[..length], SHOWN)));
        }
        self.push(if kind == Kind::Field && length == 1 { Kind::Dot } else { kind }, length);
        Ok(())
    }

    fn number(&mut self) -> Result<(), String> {
        let mut before = ' ';
        let mut belongs = |c: char| {
            let sign = matches!(c, '+' | '-') && matches!(before, ' ' | 'e' | 'E' | 'p' | 'P');
            before = c;
            sign || c.is_ascii_alphanumeric() || matches!(c, '.' | '_')
        };
        let length = self.rest.find(|c| !belongs(c)).unwrap_or(self.rest.len());
        let text = &self.rest[..length];
        if !is_number(text) {
            return Err(format!("{:?} is not a number", cut(text, SHOWN)));
        }
        self.push(Kind::Number, length);
        Ok(())
    }

    /// A string or a character, with the escapes of Go.
    fn quoted(&mut self, quote: char) -> Result<(), String> {
        let mut characters = 0;
        let mut rest = self.rest[1..].char_indices();
        while let Some((at, c)) = rest.next() {
            match c {
                _ if c == quote => {
                    if quote == '\'' && characters != 1 {
                        return Err("a character in single quotes is one character".into());
                    }
                    self.push(Kind::Text, at + 2);
                    return Ok(());
                }
                '\n' => break,
                '\\' => {
                    let (_, escaped) = rest.next().unwrap_or_default();
                    let (digits, radix) = match escaped {
                        'x' => (2, 16),
                        'u' => (4, 16),
                        'U' => (8, 16),
                        '0'..='7' => (2, 8),
                        'a' | 'b' | 'f' | 'n' | 'r' | 't' | 'v' | '\\' => (0, 16),
                        _ if escaped == quote => (0, 16),
                        _ => return Err(format!("\\{escaped} is not an escape")),
                    };
                    for _ in 0..digits {
                        if !rest.next().is_some_and(|(_, digit)| digit.is_digit(radix)) {
                            return Err(format!("\\{escaped} is not followed by enough digits"));
                        }
                    }
                }
                _ => {}
            }
            characters += 1;
        }
        Err("a string is not closed".into())
    }
}

fn is_letter(c: char) -> bool {
    c == '_' || c.is_alphanumeric()
}

fn is_number(text: &str) -> bool {
    let unsigned = text.trim_start_matches(['+', '-']).trim_end_matches('i');
    if text.contains("__") || text.ends_with('_') || text.len() - text.trim_start_matches(['+', '-']).len() > 1 {
        return false;
    }
    let plain: String = unsigned.chars().filter(|c| *c != '_').collect();
    let radix = |prefix: [&str; 2], radix: u32| {
        let digits = prefix.iter().find_map(|prefix| plain.strip_prefix(prefix));
        digits.map(|digits| !digits.is_empty() && digits.chars().all(|c| c.is_digit(radix)))
    };
    let whole = radix(["0x", "0X"], 16).or_else(|| radix(["0o", "0O"], 8)).or_else(|| radix(["0b", "0B"], 2));
    whole.unwrap_or_else(|| plain.starts_with(|c: char| c.is_ascii_digit() || c == '.') && plain.parse::<f64>().is_ok())
}
