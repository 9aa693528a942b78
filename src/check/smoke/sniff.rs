//! What bytes are, whatever they are labelled: compressed, binary, markup, JSON or a sentence. Pure.

/// The byte order mark of UTF-8, which is skipped.
const BOM: &[u8] = b"\xef\xbb\xbf";

pub(super) fn without_mark(body: &[u8]) -> &[u8] {
    body.strip_prefix(BOM).unwrap_or(body)
}

/// A body without what a script's and a page's readers skip in front: white space of any kind, and byte order marks.
fn without_blanks(mut body: &[u8]) -> &[u8] {
    loop {
        let (first, rest) = match body {
            [first, rest @ ..] if first.is_ascii() => (char::from(*first), rest),
            _ => {
                let start = &body[..body.len().min(4)];
                let Some(first) = start.utf8_chunks().next().and_then(|chunk| chunk.valid().chars().next()) else {
                    return body;
                };
                (first, &body[first.len_utf8()..])
            }
        };
        if !first.is_whitespace() && first != '\u{feff}' {
            return body;
        }
        body = rest;
    }
}

/// What the first bytes say of a body that is not text as it came.
pub(super) fn magic(body: &[u8]) -> Option<&'static str> {
    const MAGIC: [(&[u8], &str); 8] = [
        (b"\x1f\x8b", "compressed with gzip, and no Content-Encoding says so"),
        (b"\x28\xb5\x2f\xfd", "compressed with zstd, and no Content-Encoding says so"),
        (b"\xfe\xff", "in UTF-16, which is not read; want UTF-8"),
        (b"\xff\xfe", "in UTF-16, which is not read; want UTF-8"),
        (b"\x89PNG", "a PNG image"),
        (b"%PDF-", "a PDF file"),
        (b"PK\x03\x04", "a ZIP file"),
        (b"\x7fELF", "a program"),
    ];
    MAGIC.iter().find(|(start, _)| body.starts_with(start)).map(|(_, what)| *what)
}

/// What a body of markup is, in place of a script or a style sheet. Comments and an XML declaration may stand in front.
pub(in crate::check) fn markup(body: &[u8]) -> Option<&'static str> {
    let mut rest = without_blanks(body);
    loop {
        let end = if rest.starts_with(b"<!--") {
            find(&rest[4..], b"-->").map(|at| at + 7)
        } else if rest.starts_with(b"<?") {
            find(rest, b"?>").map(|at| at + 2)
        } else {
            break;
        };
        rest = without_blanks(&rest[end?..]);
    }
    let inside = rest.strip_prefix(b"<")?;
    let word: Vec<u8> = inside.iter().take(16).take_while(|b| is_name(**b)).map(u8::to_ascii_lowercase).collect();
    match &*word {
        b"!doctype" => Some("an HTML page"),
        name if is_html(name) => Some("an HTML page"),
        [b'a'..=b'z', ..] => Some("XML"),
        _ => None,
    }
}

fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'!' | b'-')
}

/// Whether an element is one of HTML. (SVG and the elements of feeds and error documents are not.)
pub(super) fn is_html(name: &[u8]) -> bool {
    const NAMES: &[&[u8]] = &[
        b"html",
        b"head",
        b"body",
        b"title",
        b"base",
        b"link",
        b"meta",
        b"style",
        b"script",
        b"noscript",
        b"template",
        b"div",
        b"span",
        b"p",
        b"a",
        b"img",
        b"picture",
        b"h1",
        b"h2",
        b"h3",
        b"h4",
        b"h5",
        b"h6",
        b"header",
        b"footer",
        b"main",
        b"nav",
        b"section",
        b"article",
        b"aside",
        b"ul",
        b"ol",
        b"li",
        b"dl",
        b"table",
        b"form",
        b"input",
        b"button",
        b"label",
        b"select",
        b"textarea",
        b"br",
        b"hr",
        b"b",
        b"i",
        b"u",
        b"em",
        b"strong",
        b"small",
        b"pre",
        b"code",
        b"center",
        b"font",
        b"iframe",
        b"frameset",
        b"canvas",
        b"video",
        b"audio",
        b"figure",
        b"blockquote",
        b"details",
        b"dialog",
        b"address",
        b"object",
        b"embed",
        b"tt",
    ];
    NAMES.contains(&name) || (name.contains(&b'-') && !name.starts_with(b"!"))
}

/// Whether a body is a JSON object or array, and nothing else.
pub(super) fn is_json(body: &[u8]) -> bool {
    let text = without_mark(body).trim_ascii();
    matches!(text.first(), Some(b'{' | b'[')) && serde_json::from_slice::<serde::de::IgnoredAny>(text).is_ok()
}

/// Whether a body is any JSON value.
pub(super) fn is_json_value(body: &[u8]) -> bool {
    serde_json::from_slice::<serde::de::IgnoredAny>(without_mark(body)).is_ok()
}

/// What a body can be that is labelled as a script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Script {
    Runs,
    /// It is one, and does nothing; with what it is.
    Idle(&'static str),
    /// It is none: every browser says that its syntax is wrong.
    Broken,
}

/// Looks at how a body begins, comments aside.
pub(super) fn script(body: &[u8]) -> Script {
    let start = without_blanks(body);
    let mut text = without_blanks(start.strip_prefix(b"#!").map_or(start, after_line));
    let is_bare = text.is_empty();
    loop {
        let rest = match text {
            [b'/', b'/', ..] | [b'<', b'!', b'-', b'-', ..] | [b'-', b'-', b'>', ..] => after_line(text),
            [b'/', b'*', rest @ ..] => match find(rest, b"*/") {
                Some(end) => &rest[end + 2..],
                None => return Script::Broken,
            },
            _ => break,
        };
        text = without_blanks(rest);
    }
    let Some(first) = text.first() else {
        return if is_bare { Script::Runs } else { Script::Idle("nothing but comments") };
    };
    // Placeholders of templates, and what stands in front of markup, of PHP and of a merge that failed.
    if matches!(first, b'<' | b'>' | b'%' | b'=' | b'*' | b'&' | b'|' | b'?' | b',' | b'.' | b':' | b')' | b']' | b'}')
        && !text.starts_with(b"...")
        && !(text[0] == b'.' && text.get(1).is_some_and(u8::is_ascii_digit))
    {
        return Script::Broken;
    }
    if is_sentence(text) || is_status(text) || text.starts_with(b"{{") {
        return Script::Broken;
    }
    match literal(text.trim_ascii_end()) {
        Some("use strict" | "use client" | "use server") | None => Script::Runs,
        Some(_) => Script::Idle("one value alone"),
    }
}

fn after_line(text: &[u8]) -> &[u8] {
    text.iter().position(|byte| matches!(byte, b'\n' | b'\r')).map_or(b"", |end| &text[end..])
}

/// The text of a lone string, or of `null` and its like.
fn literal(text: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(text).ok()?.trim_end_matches(';').trim_end();
    if matches!(text, "null" | "true" | "false" | "undefined") {
        return Some(text);
    }
    let quote = text.chars().next().filter(|first| matches!(first, '"' | '\'' | '`'))?;
    let inside = text.strip_prefix(quote)?.strip_suffix(quote)?;
    (!inside.contains([quote, '\\', '\n'])).then_some(inside)
}

/// Whether a body begins as `404: …` does: a number is no label.
fn is_status(text: &[u8]) -> bool {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    digits > 0 && text[digits..].trim_ascii_start().starts_with(b":")
}

/// Whether a text begins with two words side by side, as a sentence does and a script cannot: `Not Found`; or names an
/// error, and goes on in words: `Error: file not found`.
fn is_sentence(text: &[u8]) -> bool {
    /// A word of JavaScript that another word may follow.
    const LEADING: &[&[u8]] = &[
        b"async",
        b"await",
        b"case",
        b"class",
        b"const",
        b"default",
        b"delete",
        b"do",
        b"else",
        b"enum",
        b"export",
        b"for",
        b"function",
        b"import",
        b"let",
        b"new",
        b"return",
        b"static",
        b"throw",
        b"typeof",
        b"using",
        b"var",
        b"void",
        b"yield",
    ];
    let word = |text: &[u8]| text.iter().take_while(|byte| byte.is_ascii_alphanumeric()).count();
    let first = word(text);
    if first == 0 {
        return false;
    }
    let rest = &text[first..];
    if let Some(rest) = rest.strip_prefix(b":") {
        // Behind a label.
        return is_sentence(&rest[rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count()..]);
    }
    let blanks = rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    let second = &rest[blanks..];
    let second = &second[..word(second)];
    let joins = matches!(second, b"in" | b"of" | b"instanceof" | b"as" | b"from");
    blanks > 0 && !second.is_empty() && !joins && !LEADING.contains(&&text[..first])
}

/// Whether a style sheet holds something besides comments, and not one rule.
pub(super) fn is_without_rule(body: &[u8]) -> bool {
    let mut rest = without_mark(body);
    while let Some(at) = find(rest, b"/*") {
        if !rest[..at].trim_ascii().is_empty() {
            break;
        }
        let Some(end) = find(&rest[at + 2..], b"*/") else { return false };
        rest = &rest[at + 2 + end + 2..];
    }
    !rest.trim_ascii().is_empty() && (!rest.iter().any(|byte| matches!(byte, b'{' | b'@')) || is_message(rest))
}

/// Whether a body that has a brace is still none of rules: `404: {"x":1}` begins with a number, and in `Error { not found }`
/// nothing is declared.
fn is_message(body: &[u8]) -> bool {
    let text = without_blanks(body);
    if text.first().is_some_and(u8::is_ascii_digit) {
        return true;
    }
    let Some(open) = text.iter().position(|byte| *byte == b'{') else { return false };
    let block = &text[open + 1..];
    let Some(close) = block.iter().position(|byte| *byte == b'}') else { return false };
    let (inside, behind) = (block[..close].trim_ascii(), block[close + 1..].trim_ascii());
    let is_text = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b' ' | b'.' | b',' | b'\'' | b'"' | b'-');
    !text.starts_with(b"@") && behind.is_empty() && !inside.is_empty() && inside.iter().all(is_text)
}

/// Where a short piece begins.
pub(super) fn find(text: &[u8], piece: &[u8]) -> Option<usize> {
    let first = *piece.first()?;
    let mut from = 0;
    loop {
        let at = from + text.get(from..)?.iter().position(|byte| *byte == first)?;
        if text[at..].starts_with(piece) {
            return Some(at);
        }
        from = at + 1;
    }
}

/// Which bytes of a text are read, by the label of its charset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Charset {
    Utf8,
    /// Each byte is a character, and those of ASCII are what they are there: windows-1252 and the others of its kind. What the
    /// other bytes are does not matter here.
    Latin1,
}

impl Charset {
    /// The charset of a label, as the Encoding standard maps it.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn of(label: &str) -> Result<Self, String> {
        let label = label.trim_matches(|c: char| c.is_ascii_whitespace() || matches!(c, '"' | '\''));
        match &*label.to_ascii_lowercase() {
            "utf-8" | "utf8" | "unicode-1-1-utf-8" | "x-unicode20utf8" | "unicode11utf8" | "unicode20utf8" => {
                Ok(Self::Utf8)
            }
            "us-ascii" | "ascii" | "ansi_x3.4-1968" | "iso-8859-1" | "iso8859-1" | "iso_8859-1" | "iso88591"
            | "latin1" | "l1" | "windows-1252" | "cp1252" | "x-cp1252" => Ok(Self::Latin1),
            label if is_single_byte(label) => Ok(Self::Latin1),
            _ => Err(format!("in the charset {label:?}, which is not read; want UTF-8")),
        }
    }

    /// The text of some bytes.
    pub(super) fn text(self, bytes: &[u8]) -> String {
        match self {
            Self::Utf8 => String::from_utf8_lossy(bytes).into_owned(),
            Self::Latin1 => bytes.iter().map(|byte| char::from(*byte)).collect(),
        }
    }
}

/// Whether a label is of another encoding in which each byte is a character: <https://encoding.spec.whatwg.org/#names-and-labels>.
fn is_single_byte(label: &str) -> bool {
    const ISO: [&str; 14] = ["2", "3", "4", "5", "6", "7", "8", "8-i", "9", "10", "13", "14", "15", "16"];
    const OTHERS: [&str; 23] = [
        "cp866",
        "ibm866",
        "866",
        "koi8-r",
        "koi8",
        "koi8_r",
        "cskoi8r",
        "koi8-u",
        "koi8-ru",
        "macintosh",
        "mac",
        "x-mac-roman",
        "x-mac-cyrillic",
        "x-mac-ukrainian",
        "latin2",
        "latin3",
        "latin4",
        "latin5",
        "latin6",
        "l2",
        "l9",
        "cyrillic",
        "greek",
    ];
    let windows = ["windows-", "cp", "x-cp"].iter().find_map(|start| label.strip_prefix(start));
    let iso = ["iso-8859-", "iso8859-", "iso_8859-"].iter().find_map(|start| label.strip_prefix(start));
    windows.is_some_and(|page| {
        matches!(page, "874" | "1250" | "1251" | "1252" | "1253" | "1254" | "1255" | "1256" | "1257" | "1258")
    }) || iso.is_some_and(|part| ISO.contains(&part) || part == "11")
        || label == "tis-620"
        || OTHERS.contains(&label)
}

/// The value of a Content-Type's charset parameter.
pub(super) fn charset_parameter(content_type: &str) -> Option<&str> {
    content_type.split(';').skip(1).find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("charset").then(|| value.trim().trim_matches(['"', '\'']))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_is_known_whatever_stands_in_front() {
        for (body, wanted) in [
            ("<!DOCTYPE html><p>", Some("an HTML page")),
            ("\n <HTML lang=en>", Some("an HTML page")),
            ("\u{feff}<!doctype html>", Some("an HTML page")),
            ("<!-- build 7 -->\n<!-- x --><html>", Some("an HTML page")),
            ("<?xml version=\"1.0\"?>\n<html xmlns=\"x\">", Some("an HTML page")),
            ("<head><title>x</title>", Some("an HTML page")),
            ("<script>1</script>", Some("an HTML page")),
            ("<app-root></app-root>", Some("an HTML page")),
            ("<?xml version='1.0'?><Error><Code>NoSuchKey</Code></Error>", Some("XML")),
            ("<svg xmlns='x'/>", Some("XML")),
            ("\u{feff}\u{feff}\u{a0}\u{2028}<!doctype html>", Some("an HTML page")),
            ("console.log('<html>')", None),
            ("<!-- hidden from old browsers\nrun()\n//-->", None),
            ("<!--\nrun()", None),
            ("a < b", None),
            ("", None),
        ] {
            assert_eq!(markup(body.as_bytes()), wanted, "{body}");
        }
    }

    #[test]
    fn what_cannot_be_a_script_is_known() {
        use Script::{Broken, Idle, Runs};
        let (comments, value) = (Idle("nothing but comments"), Idle("one value alone"));
        for (body, wanted) in [
            ("Not Found", Broken),
            ("404 page not found\n", Broken),
            ("404: Not Found", Broken),
            ("404: {}", Broken),
            ("Error: file not found", Broken),
            ("no healthy upstream", Broken),
            ("// build 7\nNot Found", Broken),
            ("<?php echo 1;", Broken),
            ("<% %><html>", Broken),
            ("<!-- x <html>", comments),
            ("<<<<<<< HEAD\nrun()", Broken),
            ("{{ url }} not", Broken),
            ("{% block x %}", Runs),
            ("%PUBLIC_URL%", Broken),
            ("/* cut", Broken),
            ("\u{feff}\u{feff}\u{a0}<!doctype html>", Broken),
            ("/* x */", comments),
            ("// build", comments),
            ("\"Not Found\"", value),
            ("null", value),
            ("'use strict';", Runs),
            ("\"a\".concat(\"b\")", Runs),
            ("\n", Runs),
            ("#!/usr/bin/env node\nrun()", Runs),
            ("<!--\nrun()\n-->", Runs),
            ("<!-- hidden\nrun()\n//-->", Runs),
            ("/x/.test(y)", Runs),
            ("a: for (;;) break a", Runs),
            ("a: b", Runs),
            ("var a = 1", Runs),
            ("export const app = 1;", Runs),
            ("async function x() {}", Runs),
            ("a in b", Runs),
            ("a\nb", Runs),
            ("/* c */ x()", Runs),
            ("/*! x */(()=>{})()", Runs),
            ("1", Runs),
            ("{x}", Runs),
            ("~function(){}()", Runs),
        ] {
            assert_eq!(script(body.as_bytes()), wanted, "{body}");
        }
        for (body, wanted) in [
            ("{\"detail\":\"Not Found\"}", true),
            ("\u{feff} [1]", true),
            ("{a:1}", false),
            ("\"use strict\"", false),
            ("[1].map(f)", false),
        ] {
            assert_eq!(is_json(body.as_bytes()), wanted, "{body}");
        }
    }

    #[test]
    fn what_cannot_be_a_style_sheet_is_known() {
        for (body, wanted) in [
            ("404 page not found", true),
            ("/* only a comment */", false),
            ("/* a */ /* b */ a{}", false),
            ("/* a */ oops", true),
            ("@import \"x\";", false),
            ("Error { not found }", true),
            ("404: {\"x\":1}", true),
            ("a{}", false),
            ("a{b:c}", false),
            ("a{&b{c:d}}", false),
            ("@media print{a{b:c}}", false),
            ("", false),
        ] {
            assert_eq!(is_without_rule(body.as_bytes()), wanted, "{body}");
        }
    }

    #[test]
    fn charsets_are_read_or_refused() {
        for (content_type, wanted) in [
            ("text/html; charset=utf-8", Some(Ok(Charset::Utf8))),
            ("text/html;Charset=\"UTF-8\"", Some(Ok(Charset::Utf8))),
            ("text/html; x=y; charset=ISO-8859-1", Some(Ok(Charset::Latin1))),
            ("text/html; charset=utf-16le", Some(Err("in the charset \"utf-16le\", which is not read; want UTF-8"))),
            ("text/html; charset=windows-1251", Some(Ok(Charset::Latin1))),
            ("text/html; charset=iso-8859-2", Some(Ok(Charset::Latin1))),
            ("text/html; charset=ISO-8859-15", Some(Ok(Charset::Latin1))),
            ("text/html; charset=koi8-r", Some(Ok(Charset::Latin1))),
            (
                "text/html; charset=iso-8859-12",
                Some(Err("in the charset \"iso-8859-12\", which is not read; want UTF-8")),
            ),
            ("text/html", None),
        ] {
            let found = charset_parameter(content_type).map(Charset::of);
            assert_eq!(found, wanted.map(|wanted| wanted.map_err(str::to_owned)), "{content_type}");
        }
    }
}
