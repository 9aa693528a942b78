//! What bytes are, whatever they are labelled: compressed, binary, markup, JSON or a sentence. Pure.

/// The byte order mark of UTF-8, which is skipped.
const BOM: &[u8] = b"\xef\xbb\xbf";

pub(super) fn without_mark(body: &[u8]) -> &[u8] {
    body.strip_prefix(BOM).unwrap_or(body)
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
pub(super) fn markup(body: &[u8]) -> Option<&'static str> {
    let mut rest = without_mark(body).trim_ascii_start();
    loop {
        let end = if rest.starts_with(b"<!--") {
            find(&rest[4..], b"-->").map(|at| at + 7)
        } else if rest.starts_with(b"<?") {
            find(rest, b"?>").map(|at| at + 2)
        } else {
            break;
        };
        rest = rest[end?..].trim_ascii_start();
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

/// Whether a body begins with two words side by side, as a sentence does and a script cannot: `Not Found`.
pub(super) fn is_sentence(body: &[u8]) -> bool {
    /// A word of JavaScript that another word may follow.
    const LEADING: &[&[u8]] = &[
        b"async",
        b"await",
        b"class",
        b"const",
        b"delete",
        b"do",
        b"else",
        b"enum",
        b"export",
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
        b"for",
    ];
    let text = without_mark(body).trim_ascii_start();
    let word = |text: &[u8]| text.iter().take_while(|byte| byte.is_ascii_alphanumeric()).count();
    let first = word(text);
    let rest = &text[first..];
    let blanks = rest.iter().take_while(|byte| **byte == b' ').count();
    let second = &rest[blanks..];
    let second = &second[..word(second)];
    let joins = matches!(second, b"in" | b"of" | b"instanceof");
    first > 0 && blanks > 0 && !second.is_empty() && !joins && !LEADING.contains(&&text[..first])
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
    !rest.trim_ascii().is_empty() && !rest.iter().any(|byte| matches!(byte, b'{' | b'@'))
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
    /// Each byte is a character: ISO 8859-1 and windows-1252, which browsers take for the same.
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
        for (body, wanted) in [
            ("Not Found", true),
            ("404 page not found\n", true),
            ("no healthy upstream", true),
            ("var a = 1", false),
            ("export const app = 1;", false),
            ("async function x() {}", false),
            ("a in b", false),
            ("a\nb", false),
            ("/* c */ x()", false),
            ("1", false),
            ("\"use strict\";", false),
        ] {
            assert_eq!(is_sentence(body.as_bytes()), wanted, "{body}");
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
            ("text/html", None),
        ] {
            let found = charset_parameter(content_type).map(Charset::of);
            assert_eq!(found, wanted.map(|wanted| wanted.map_err(str::to_owned)), "{content_type}");
        }
    }
}
