//! The static imports of a module script, and the `@import`s of a style sheet: found by a small scanner that knows comments,
//! strings, templates and regular expressions, and nothing else of the languages. Pure.
//!
//! `import(…)` is not followed: whether it ever runs, only running the script tells.

use std::collections::HashSet;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;

use super::asset::AssetKind;
use super::sniff::without_mark;

/// Something that a script or a style sheet imports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Import {
    /// As it is written.
    pub(super) specifier: String,
    pub(super) kind: AssetKind,
}

/// The most imports of one script.
const MOST: usize = 2000;

/// How many bytes may be looked at more than once: a slash that turns out to be a division, a word that is no import.
const BUDGET: usize = 4 << 20;

/// Passes on the static imports of a module script, each once; with why the rest was not looked at.
pub(super) fn imports(source: &[u8], mut found: impl FnMut(Import)) -> Option<&'static str> {
    let source = without_mark(source);
    let mut scanner = Scanner { text: source, at: 0, open: Vec::new(), before: Before::Start, spent: 0, last: *b"  " };
    let mut seen = Seen::default();
    if source.starts_with(b"#!") {
        scanner.line();
    }
    loop {
        match scanner.next() {
            Next::End => return None,
            Next::Unclear(why) => return Some(why),
            Next::Import(import) => match seen.add(&import) {
                Ok(true) => found(import),
                Ok(false) => {}
                Err(why) => return Some(why),
            },
        }
    }
}

/// Which imports were seen. Hashes: together they can be as long as the script.
#[derive(Default)]
struct Seen {
    hashes: HashSet<u64>,
    hasher: RandomState,
}

impl Seen {
    /// Whether one is new.
    ///
    /// # Errors
    /// There are too many.
    fn add(&mut self, import: &Import) -> Result<bool, &'static str> {
        if self.hashes.len() == MOST {
            return Err("it imports more than is followed");
        }
        Ok(self.hashes.insert(self.hasher.hash_one((&import.specifier, import.kind))))
    }
}

enum Next {
    Import(Import),
    End,
    Unclear(&'static str),
}

/// What stands before a slash, which decides whether it begins a regular expression.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Before {
    Start,
    /// A value: the slash divides.
    Value,
    /// An operator, an opening bracket, a word such as `return`.
    Operator,
    /// A word that a bracket follows and a value does not: `if (…)`.
    Condition,
}

/// A bracket that is open.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Open {
    /// `(`; whether `if`, `while` or the like stands before it.
    Paren {
        condition: bool,
    },
    Square,
    /// `{`; whether it is a value, such as an object.
    Brace {
        value: bool,
    },
    /// `${` inside a template.
    Template,
}

struct Scanner<'s> {
    text: &'s [u8],
    at: usize,
    open: Vec<Open>,
    before: Before,
    /// Bytes looked at in vain.
    spent: usize,
    /// The last two signs, where nothing else stands behind them.
    last: [u8; 2],
}

impl Scanner<'_> {
    fn peek(&self, ahead: usize) -> u8 {
        self.text.get(self.at + ahead).copied().unwrap_or(0)
    }

    /// Skips to the end of the line.
    fn line(&mut self) {
        self.at += self.text[self.at..].iter().position(|byte| *byte == b'\n').unwrap_or(self.text.len() - self.at);
    }

    /// Skips blanks and comments.
    fn blank(&mut self) {
        loop {
            match (self.peek(0), self.peek(1)) {
                (b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c, _) => self.at += 1,
                // A no-break space and a byte order mark.
                (0xc2, 0xa0) => self.at += 2,
                (0xef, 0xbb) if self.peek(2) == 0xbf => self.at += 3,
                (b'/', b'/') => self.line(),
                (b'/', b'*') => {
                    let rest = &self.text[self.at + 2..];
                    let end = super::sniff::find(rest, b"*/").map_or(rest.len(), |end| end + 2);
                    self.at += 2 + end;
                }
                _ => return,
            }
        }
    }

    /// Goes on to the next import.
    fn next(&mut self) -> Next {
        loop {
            self.blank();
            let Some(byte) = self.text.get(self.at).copied() else {
                return if self.open.is_empty() { Next::End } else { Next::Unclear("its brackets do not match") };
            };
            if self.spent > BUDGET {
                return Next::Unclear("it cannot be told apart where its regular expressions end");
            }
            let last = std::mem::replace(&mut self.last, *b"  ");
            match byte {
                b'"' | b'\'' => {
                    if self.string().is_none() {
                        return Next::Unclear("a string does not end");
                    }
                    self.before = Before::Value;
                }
                b'`' => {
                    self.at += 1;
                    if !self.template() {
                        return Next::Unclear("a template does not end");
                    }
                }
                b'/' => self.slash(),
                _ if is_word(byte) => {
                    if let Some(import) = self.word(last) {
                        return Next::Import(import);
                    }
                }
                _ => {
                    if !self.punctuation(byte, last) {
                        return Next::Unclear("its brackets do not match");
                    }
                }
            }
        }
    }

    fn punctuation(&mut self, byte: u8, last: [u8; 2]) -> bool {
        self.at += 1;
        self.last = [last[1], byte];
        match byte {
            b'(' => {
                self.open.push(Open::Paren { condition: self.before == Before::Condition });
                self.before = Before::Operator;
            }
            b'[' => {
                self.open.push(Open::Square);
                self.before = Before::Operator;
            }
            b'{' => {
                // Behind a parenthesis, a word, an arrow or a brace stands a block.
                let block = matches!(last, [_, b')' | b'{' | b'}' | b';']) || last == *b"=>";
                let value = self.before == Before::Operator && !block;
                self.open.push(Open::Brace { value });
                self.before = Before::Operator;
            }
            b')' => match self.open.pop() {
                Some(Open::Paren { condition }) => {
                    self.before = if condition { Before::Operator } else { Before::Value };
                }
                _ => return false,
            },
            b']' => match self.open.pop() {
                Some(Open::Square) => self.before = Before::Value,
                _ => return false,
            },
            b'}' => match self.open.pop() {
                Some(Open::Brace { value }) => self.before = if value { Before::Value } else { Before::Start },
                Some(Open::Template) => return self.template(),
                _ => return false,
            },
            b'+' | b'-' if self.peek(0) == byte => {
                // Behind a value it stays one: `a++ / 2`.
                self.at += 1;
            }
            b';' => self.before = Before::Start,
            b'.' if self.peek(0).is_ascii_digit() => self.before = Before::Value,
            _ => self.before = Before::Operator,
        }
        true
    }

    /// Reads a string; nothing where it does not end.
    fn string(&mut self) -> Option<&[u8]> {
        let quote = self.peek(0);
        let start = self.at + 1;
        let mut at = start;
        loop {
            match self.text.get(at)? {
                b'\\' if self.text[at..].starts_with(b"\\\r\n") => at += 3,
                b'\\' => at += 2,
                b'\n' => return None,
                byte if *byte == quote => break,
                _ => at += 1,
            }
        }
        self.at = at + 1;
        Some(&self.text[start..at])
    }

    /// Reads the text of a template up to its end or to `${`; false where it does not end.
    fn template(&mut self) -> bool {
        loop {
            match (self.text.get(self.at), self.peek(1)) {
                (None, _) => return false,
                (Some(b'\\'), _) => self.at += 2,
                (Some(b'`'), _) => {
                    self.at += 1;
                    self.before = Before::Value;
                    return true;
                }
                (Some(b'$'), b'{') => {
                    self.at += 2;
                    self.open.push(Open::Template);
                    self.before = Before::Operator;
                    return true;
                }
                _ => self.at += 1,
            }
        }
    }

    /// Reads a regular expression, or a division.
    fn slash(&mut self) {
        if self.before != Before::Value && self.regex() {
            self.before = Before::Value;
            return;
        }
        self.at += 1;
        self.before = Before::Operator;
    }

    /// Reads a regular expression; false, and nothing read, where the line ends first.
    fn regex(&mut self) -> bool {
        let (mut at, mut class) = (self.at + 1, false);
        loop {
            match self.text.get(at) {
                None | Some(b'\n' | b'\r') => {
                    self.spent += at - self.at;
                    return false;
                }
                Some(b'\\') => at += 1,
                Some(b'[') => class = true,
                Some(b']') => class = false,
                Some(b'/') if !class => break,
                Some(_) => {}
            }
            at += 1;
        }
        self.at = at + 1;
        while is_word(self.peek(0)) {
            self.at += 1;
        }
        true
    }

    /// Reads a word, and the import that it begins.
    fn word(&mut self, last: [u8; 2]) -> Option<Import> {
        let start = self.at;
        while is_word(self.peek(0)) {
            self.at += 1;
        }
        let word = &self.text[start..self.at];
        if last[1] == b'.' && last[0] != b'.' {
            self.before = Before::Value;
            return None;
        }
        self.before = match word {
            b"if" | b"while" | b"for" | b"with" => Before::Condition,
            b"return" | b"typeof" | b"case" | b"in" | b"of" | b"delete" | b"void" | b"throw" | b"new" | b"do"
            | b"else" | b"instanceof" | b"yield" | b"await" | b"default" | b"extends" => Before::Operator,
            _ => Before::Value,
        };
        if !self.open.is_empty() || !matches!(word, b"import" | b"export") {
            return None;
        }
        let (word_is_import, after) = (word == b"import", self.at);
        let found = if word_is_import { self.import() } else { self.export() };
        if found.is_none() {
            self.spent += self.at - after;
            self.at = after;
        } else {
            self.before = Before::Start;
        }
        found
    }

    /// Behind `import`: `"x"`, or names and `from "x"`.
    fn import(&mut self) -> Option<Import> {
        self.blank();
        let is_source = self.is_source();
        if !matches!(self.peek(0), b'"' | b'\'') {
            self.clause()?;
        }
        let import = self.specifier()?;
        Some(if is_source { Import { kind: AssetKind::Wasm, ..import } } else { import })
    }

    /// Whether `source x from "y"` follows, where `source` is no name itself.
    fn is_source(&self) -> bool {
        let Some(rest) = self.text[self.at..].strip_prefix(b"source") else { return false };
        let name = rest.trim_ascii_start();
        let length = name.iter().take_while(|byte| is_word(**byte)).count();
        let is_from = &name[..length] == b"from" && !name[length..].trim_ascii_start().starts_with(b"from");
        name.len() < rest.len() && length > 0 && !is_from
    }

    /// Behind `export`: `* from "x"`, `* as y from "x"`, `{…} from "x"`.
    fn export(&mut self) -> Option<Import> {
        self.blank();
        if !matches!(self.peek(0), b'*' | b'{') {
            return None;
        }
        self.clause()?;
        self.specifier()
    }

    /// Names in front of `from`, and that word.
    fn clause(&mut self) -> Option<()> {
        let mut words = 0;
        loop {
            self.blank();
            match self.peek(0) {
                b'*' => self.at += 1,
                b',' => {
                    self.at += 1;
                    words = 0;
                }
                b'{' => {
                    self.at += 1;
                    loop {
                        self.blank();
                        match self.peek(0) {
                            b'}' => break,
                            b',' => self.at += 1,
                            b'"' | b'\'' => _ = self.string()?,
                            byte if is_word(byte) => self.at += 1,
                            _ => return None,
                        }
                    }
                    self.at += 1;
                }
                byte if is_word(byte) => {
                    let start = self.at;
                    while is_word(self.peek(0)) {
                        self.at += 1;
                    }
                    let is_from = &self.text[start..self.at] == b"from";
                    let from = self.at;
                    self.blank();
                    if is_from && matches!(self.peek(0), b'"' | b'\'') {
                        self.at = from;
                        return Some(());
                    }
                    // `defer * as x`, `x as y`: never more.
                    words += 1;
                    if words > 4 {
                        return None;
                    }
                }
                _ => return None,
            }
        }
    }

    /// The string behind, and what `with {type: …}` says of it.
    fn specifier(&mut self) -> Option<Import> {
        self.blank();
        if !matches!(self.peek(0), b'"' | b'\'') {
            return None;
        }
        let raw = self.string()?.to_vec();
        let specifier = unescaped(&String::from_utf8_lossy(&raw));
        let end = self.at;
        self.blank();
        let attributes = self.text[self.at..].starts_with(b"with") || self.text[self.at..].starts_with(b"assert");
        let kind = attributes.then(|| self.attributes()).flatten();
        if kind.is_none() {
            self.at = end;
        }
        Some(Import { specifier, kind: kind.unwrap_or(AssetKind::Script) })
    }

    /// `with {type: "json"}`.
    fn attributes(&mut self) -> Option<AssetKind> {
        while is_word(self.peek(0)) {
            self.at += 1;
        }
        self.blank();
        if self.peek(0) != b'{' {
            return None;
        }
        self.at += 1;
        let mut kind = AssetKind::Script;
        loop {
            self.blank();
            match self.peek(0) {
                b'}' => break,
                b'"' | b'\'' => match self.string()? {
                    b"json" => kind = AssetKind::Json,
                    b"css" => kind = AssetKind::StyleSheet,
                    _ => {}
                },
                byte if is_word(byte) || matches!(byte, b':' | b',') => self.at += 1,
                _ => return None,
            }
        }
        self.at += 1;
        Some(kind)
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$' | b'#' | b'@' | 0x80..)
}

/// What a string of a script means: <https://tc39.es/ecma262/#sec-literals-string-literals>.
fn unescaped(raw: &str) -> String {
    let mut units: Vec<u16> = Vec::with_capacity(raw.len());
    let mut rest = raw;
    let add = |units: &mut Vec<u16>, c: char| units.extend_from_slice(c.encode_utf16(&mut [0; 2]));
    while let Some(c) = rest.chars().next() {
        rest = &rest[c.len_utf8()..];
        if c != '\\' {
            add(&mut units, c);
            continue;
        }
        let Some(escape) = rest.chars().next() else { break };
        rest = &rest[escape.len_utf8()..];
        // How many hexadecimal digits follow, and how much is skipped in front of them and behind.
        let digits = match escape {
            'x' => Some((0, 2)),
            'u' if rest.starts_with('{') => rest.find('}').map(|end| (1, end - 1)),
            'u' => Some((0, 4)),
            _ => None,
        };
        let hex = |(skipped, length): (usize, usize)| rest.get(skipped..skipped + length);
        let code = digits.and_then(hex).and_then(|hex| u32::from_str_radix(hex, 16).ok());
        if let (Some((skipped, length)), Some(code)) = (digits, code) {
            rest = &rest[2 * skipped + length..];
            match (u16::try_from(code), char::from_u32(code)) {
                // It may be half of a pair.
                (Ok(unit), _) => units.push(unit),
                (Err(_), c) => c.into_iter().for_each(|c| add(&mut units, c)),
            }
            continue;
        }
        match escape {
            'n' => add(&mut units, '\n'),
            't' => add(&mut units, '\t'),
            'r' => add(&mut units, '\r'),
            'b' => add(&mut units, '\u{8}'),
            'f' => add(&mut units, '\u{c}'),
            'v' => add(&mut units, '\u{b}'),
            '0' => add(&mut units, '\0'),
            // The line goes on.
            '\r' => rest = rest.strip_prefix('\n').unwrap_or(rest),
            '\n' | '\u{2028}' | '\u{2029}' => {}
            other => add(&mut units, other),
        }
    }
    String::from_utf16_lossy(&units)
}

/// What a string of a style sheet means: <https://drafts.csswg.org/css-syntax/#consume-escaped-code-point>.
fn sheet_unescaped(raw: &str) -> String {
    let mut text = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(c) = rest.chars().next() {
        rest = &rest[c.len_utf8()..];
        if c != '\\' {
            text.push(c);
            continue;
        }
        let digits = rest.bytes().take(6).take_while(u8::is_ascii_hexdigit).count();
        if digits > 0 {
            let code = u32::from_str_radix(&rest[..digits], 16).ok().and_then(char::from_u32);
            text.push(code.unwrap_or(char::REPLACEMENT_CHARACTER));
            rest = &rest[digits..];
            rest = rest.strip_prefix(|c: char| c.is_ascii_whitespace()).unwrap_or(rest);
        } else if let Some(c) = rest.chars().next() {
            rest = &rest[c.len_utf8()..];
            text.extend(Some(c).filter(|c| !matches!(c, '\n' | '\r')));
        }
    }
    text
}

/// Passes on the addresses that a style sheet imports, each once: its `@import` rules stand in front of all others. With why
/// the rest was not looked at.
pub(super) fn sheet_imports(source: &[u8], mut found: impl FnMut(Import)) -> Option<&'static str> {
    let mut scanner =
        Scanner { text: without_mark(source), at: 0, open: Vec::new(), before: Before::Start, spent: 0, last: *b"  " };
    let mut seen = Seen::default();
    loop {
        scanner.sheet_blank();
        let rest = &scanner.text[scanner.at..];
        let is = |name: &[u8]| {
            rest.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name))
                && !rest.get(name.len()).is_some_and(|byte| is_word(*byte) || *byte == b'-')
        };
        if is(b"@import") {
            scanner.at += b"@import".len();
            scanner.sheet_blank();
            let specifier = scanner.sheet_address().filter(|address| !address.is_empty());
            if let Some(specifier) = specifier {
                let import = Import { specifier, kind: AssetKind::StyleSheet };
                match seen.add(&import) {
                    Ok(true) => found(import),
                    Ok(false) => {}
                    Err(why) => return Some(why),
                }
            }
        } else if !is(b"@charset") && !is(b"@layer") {
            return None;
        }
        let rest = &scanner.text[scanner.at..];
        match rest.iter().position(|byte| matches!(byte, b';' | b'{')) {
            Some(end) if rest[end] == b';' => scanner.at += end + 1,
            _ => return None,
        }
    }
}

impl Scanner<'_> {
    /// Skips what means nothing in a style sheet.
    fn sheet_blank(&mut self) {
        loop {
            let rest = &self.text[self.at..];
            if rest.starts_with(b"/*") {
                self.blank();
            } else if rest.first().is_some_and(u8::is_ascii_whitespace) {
                self.at += 1;
            } else if rest.starts_with(b"<!--") || rest.starts_with(b"-->") {
                self.at += if rest[0] == b'<' { 4 } else { 3 };
            } else {
                return;
            }
        }
    }

    /// `"x"`, `url("x")` or `url(x)`.
    fn sheet_address(&mut self) -> Option<String> {
        let is_url = self.text[self.at..].get(..4).is_some_and(|start| start.eq_ignore_ascii_case(b"url("));
        if is_url {
            self.at += 4;
            self.sheet_blank();
        }
        let raw = if matches!(self.peek(0), b'"' | b'\'') {
            self.string()?.to_vec()
        } else if is_url {
            let rest = &self.text[self.at..];
            let end = rest.iter().position(|byte| *byte == b')')?;
            let raw = rest[..end].trim_ascii().to_vec();
            self.at += end;
            raw
        } else {
            return None;
        };
        Some(sheet_unescaped(&String::from_utf8_lossy(&raw)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(source: &str) -> (Vec<Import>, Option<&'static str>) {
        let mut found = Vec::new();
        let unclear = imports(source.as_bytes(), |import| found.push(import));
        (found, unclear)
    }

    fn found(source: &str) -> Vec<String> {
        let (found, unclear) = all(source);
        assert_eq!(unclear, None, "{source}");
        found.into_iter().map(|import| import.specifier).collect()
    }

    #[test]
    fn static_imports_are_found() {
        for (source, wanted) in [
            ("import './a.js'", &["./a.js"][..]),
            ("import\"./a.js\";import{b as c}from\"./b.js\";", &["./a.js", "./b.js"]),
            ("import a from './a.js'\nimport * as b from \"./b.js\"", &["./a.js", "./b.js"]),
            ("import a,{b,c as d}from'./a.js';import e,*as f from'./b.js'", &["./a.js", "./b.js"]),
            ("import {\n  a, // one\n  b /* two */,\n} from /* here */ './a.js';", &["./a.js"]),
            ("import { \"string name\" as a } from './a.js'", &["./a.js"]),
            ("import from from './a.js'", &["./a.js"]),
            ("import {from} from './a.js'", &["./a.js"]),
            ("import defer * as a from './a.js'; import source b from './b.js'", &["./a.js", "./b.js"]),
            ("import $ from './jquery.js'; import _ from './lodash.js'", &["./jquery.js", "./lodash.js"]),
            ("export * from './a.js';export*as b from'./b.js';export{c}from'./c.js'", &["./a.js", "./b.js", "./c.js"]),
            ("export {}; export default 1; export const a = 1; export { a as b };", &[]),
            ("export {a}\nfrom\n'./a.js'", &["./a.js"]),
            ("#!/usr/bin/env node\nimport './a.js'", &["./a.js"]),
            ("\u{feff}/*! licence */import './a.js'", &["./a.js"]),
            ("import './a.js'; import './a.js'", &["./a.js"]),
            ("import 'a' with { type: 'json' }; import './b.js'", &["a", "./b.js"]),
            (r"import './\u002e/x.js'", &["././x.js"]),
            (r"import './\x61\u0062\u{63}\ud83d\ude00.js'", &["./abc😀.js"]),
            ("import './a\\\r\n.js'; import './b\\\n.js'", &["./a.js", "./b.js"]),
            ("import source w from './w.wasm'; import defer * as d from './d.js'", &["./w.wasm", "./d.js"]),
            ("import source from './a.js'; import source, {b} from './b.js'", &["./a.js", "./b.js"]),
            ("const a = 1\nimport './late.js'\nfoo()", &["./late.js"]),
            ("a() // see b.\nimport './a.js' /* or c. */\nexport * from './b.js'", &["./a.js", "./b.js"]),
            ("f(...x);import './a.js'", &["./a.js"]),
        ] {
            assert_eq!(found(source), wanted, "{source}");
        }
    }

    #[test]
    fn what_only_looks_like_an_import_is_not_one() {
        for source in [
            "import('./a.js')",
            "const a = await import('./a.js')",
            "import.meta.url; import.meta.env",
            "// import './a.js'",
            "/* import './a.js' */",
            "const s = \"import './a.js'\"",
            "const s = 'it\\'s import \"./a.js\"'",
            "const t = `import './a.js'`",
            "const t = `${`import './b.js'`} import './a.js'`",
            "const t = `${{a: '}'}} import './a.js'`",
            "x.import './a.js'",
            "x.\nexport\n{a}",
            "const r = /import '.\\/a.js'/",
            "const r = /[/'\"`]/; const s = \"import './a.js'\"",
            "function f(){ import './a.js' }",
            "if (a) /'/.test(b); const s = \"import './a.js'\"",
            "a = b / c; d = \"/ import './a.js'\"",
            "a = (b) / c; d = \"/ import './a.js'\"",
            "a = b[0] / c; d = \"/ import './a.js'\"",
            "a = x++ / c; d = \"/ import './a.js'\"",
            "a = {} / c; d = \"/ import './a.js'\"",
            "return /\"/.x; const s = \"import './a.js'\"",
            "a = b ? /'/ : /\"/; const s = \"import './a.js'\"",
            "()=>{}\n/'/.test(x); const s = \"import './a.js'\"",
            "function f(){}\n/'/.test(x); const s = \"import './a.js'\"",
            "$import './a.js'",
            "imports './a.js'",
            "import a b c d e f from './a.js'",
        ] {
            assert_eq!(found(source), [""; 0], "{source}");
        }
    }

    #[test]
    fn what_cannot_be_followed_is_said() {
        for source in
            ["import './a.js'; const s = 'open", "import './a.js'; `open", "import './a.js'; )", "import './a.js'; {"]
        {
            let (found, unclear) = all(source);
            assert!(unclear.is_some(), "{source}");
            assert_eq!(found.len(), 1, "{source}");
        }
    }

    #[test]
    fn hostile_scripts_take_linear_time() {
        let most = 2 << 20;
        for piece in ["/[", "import ", "import{", "(", "`${", "export{a", "/*/", "a/", "<!--", "import a,", "'\\"] {
            let source = piece.repeat(most / piece.len());
            let began = std::time::Instant::now();
            let _ = imports(source.as_bytes(), drop);
            let _ = sheet_imports(source.as_bytes(), drop);
            assert!(began.elapsed() < std::time::Duration::from_secs(5), "{piece}: {:?}", began.elapsed());
        }
    }

    #[test]
    fn attributes_and_phases_say_what_is_imported() {
        let kinds = |source: &str| all(source).0.into_iter().map(|import| import.kind).collect::<Vec<_>>();
        assert_eq!(
            kinds(
                "import a from './a.json' with {type:'json'};import b from './b.css' assert { type: \"css\" };import './c.js'"
            ),
            [AssetKind::Json, AssetKind::StyleSheet, AssetKind::Script]
        );
        assert_eq!(kinds("import source w from './w.wasm'"), [AssetKind::Wasm]);
    }

    #[test]
    fn style_sheets_import_in_front_of_their_rules() {
        let found = |source: &str| {
            let mut found = Vec::new();
            let _ = sheet_imports(source.as_bytes(), |import| found.push(import.specifier));
            found
        };
        for (source, wanted) in [
            (
                "@import 'a.css';@import url(b.css) print; @import url( \"c.css\" ) layer(x);",
                &["a.css", "b.css", "c.css"][..],
            ),
            ("@charset \"utf-8\"; /* c */ @layer a, b; @IMPORT 'a.css';", &["a.css"]),
            (r"@import '\61 .css'; @import url(b\.css);", &["a.css", "b.css"]),
            ("body{} @import 'late.css';", &[]),
            ("/* @import 'a.css'; */", &[]),
            ("@layer a { } @import 'late.css';", &[]),
            ("@import-x 'a.css';", &[]),
            ("@import 'open", &[]),
            ("", &[]),
        ] {
            assert_eq!(found(source), wanted, "{source}");
        }
    }
}
