//! What a page loads, and whether a body is what it should be. Pure.

use url::Url;

use super::integrity::Integrity;
use super::sniff::{self, Charset, Script};
use crate::http::Answer;
use crate::outcome::Cause;
use crate::text;

/// What an asset must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum AssetKind {
    Script,
    StyleSheet,
    /// What a script imports with `type: "json"`.
    Json,
    /// What a script imports by `import source`.
    Wasm,
}

/// The media types of scripts: <https://mimesniff.spec.whatwg.org/#javascript-mime-type>.
pub(super) const SCRIPT_TYPES: [&str; 16] = [
    "text/javascript",
    "application/javascript",
    "application/x-javascript",
    "text/ecmascript",
    "application/ecmascript",
    "application/x-ecmascript",
    "text/x-javascript",
    "text/x-ecmascript",
    "text/javascript1.0",
    "text/javascript1.1",
    "text/javascript1.2",
    "text/javascript1.3",
    "text/javascript1.4",
    "text/javascript1.5",
    "text/jscript",
    "text/livescript",
];

impl AssetKind {
    /// Whether a browser takes a body of a media type for this.
    fn takes(self, media_type: &str) -> bool {
        match self {
            Self::Script => SCRIPT_TYPES.contains(&media_type),
            Self::StyleSheet => media_type == "text/css",
            Self::Wasm => media_type == "application/wasm",
            Self::Json => matches!(media_type, "application/json" | "text/json") || media_type.ends_with("+json"),
        }
    }

    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Script => "script",
            Self::StyleSheet => "style sheet",
            Self::Json => "JSON module",
            Self::Wasm => "WebAssembly module",
        }
    }
}

/// Who wants an asset, the least urgent first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Need {
    /// The page asks for it ahead of time.
    Preloaded,
    /// Only a script or a style sheet names it.
    Imported,
    /// The page names it.
    Named,
}

/// Something that a page loads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Asset {
    pub(super) url: Url,
    pub(super) kind: AssetKind,
    pub(super) need: Need,
    /// Whether what it imports is loaded with it.
    pub(super) module: bool,
    /// What its elements demand of the body.
    pub(super) integrity: Vec<Integrity>,
    /// The path of what imports it, where the page does not name it.
    pub(super) importer: Option<String>,
}

impl Asset {
    /// Takes over what another element, or another script, wants of the same asset.
    pub(super) fn merge(&mut self, other: Self) {
        self.need = self.need.max(other.need);
        self.module |= other.module;
        for integrity in other.integrity {
            if !self.integrity.contains(&integrity) {
                self.integrity.push(integrity);
            }
        }
    }

    /// For a sentence: `script /assets/x.js`.
    pub(super) fn shown(&self) -> String {
        let importer = self.importer.as_ref().map(|importer| format!(" (imported by {importer})")).unwrap_or_default();
        format!("{} {}{importer}", self.kind.word(), path_of(&self.url))
    }
}

/// A URL's path and query, cut for a sentence.
pub(super) fn path_of(url: &Url) -> String {
    let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
    text::cut(&format!("{}{query}", url.path()), 200).into_owned()
}

/// Where an address leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// To the page's own origin.
    Own(Url),
    /// To another one, without credentials.
    Foreign(Url),
    /// Nowhere: the address holds what it names.
    Inline,
    /// No browser follows it.
    Refused(String),
}

impl Place {
    /// `upgrade`: whether the page asks for `http:` addresses by `https:`.
    pub(super) fn of(mut url: Url, page: &Url, upgrade: bool) -> Self {
        url.set_fragment(None);
        if matches!(url.scheme(), "data" | "blob") {
            return Self::Inline;
        }
        if !matches!(url.scheme(), "http" | "https") {
            return Self::Refused(format!("no browser loads it from a {}: address", url.scheme()));
        }
        if page.scheme() == "https" && url.scheme() == "http" {
            if upgrade {
                let _ = url.set_scheme("https");
            } else if !is_this_machine(&url) {
                let text = "it is named by http:// on a page of https://: browsers refuse it as mixed content";
                return Self::Refused(text.into());
            }
        }
        let has_credentials = !url.username().is_empty() || url.password().is_some();
        if !is_same_origin(&url, page) {
            let _ = (url.set_username(""), url.set_password(None));
            return Self::Foreign(url);
        }
        if has_credentials {
            return Self::Refused("its address holds credentials: browsers refuse it".into());
        }
        Self::Own(url)
    }
}

/// As comparing origins, which would copy the host's name.
fn is_same_origin(one: &Url, other: &Url) -> bool {
    (one.scheme(), one.host_str(), one.port()) == (other.scheme(), other.host_str(), other.port())
}

/// Whether a URL leads to the machine of whoever follows it.
pub(super) fn is_this_machine(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(url::Host::Ipv4(address)) => address.is_loopback() || address.is_unspecified(),
        Some(url::Host::Ipv6(address)) => address.is_loopback() || address.is_unspecified(),
        None => false,
    }
}

/// Whether a URL leads to where only a developer's machine or network leads: `localhost`, `10.0.0.7`, `//assets/x.js`.
pub(super) fn is_private(url: &Url) -> bool {
    let is_private_name = |name: &str| {
        let last = name.trim_end_matches('.').rsplit('.').next().unwrap_or_default();
        !name.trim_end_matches('.').contains('.') || matches!(last, "local" | "internal" | "lan")
    };
    is_this_machine(url)
        || match url.host() {
            Some(url::Host::Domain(name)) => is_private_name(name),
            Some(url::Host::Ipv4(address)) => address.is_private() || address.is_link_local(),
            Some(url::Host::Ipv6(_)) | None => false,
        }
}

/// A good asset.
#[derive(Debug)]
pub(super) struct Good {
    /// What is good about it.
    pub(super) seen: String,
    /// Why it is not quite: nothing to see in it.
    pub(super) doubt: Option<String>,
}

/// Judges an answer for an asset. `charset` is the page's.
///
/// # Errors
/// What it is instead.
pub(super) fn judge(asset: &Asset, answer: &Answer, charset: Charset) -> Result<Good, Cause> {
    let (status, kind, body) = (answer.status, asset.kind, &*answer.body);
    let wanted = kind.word();
    if status != 200 {
        return Err(Cause::wanting(format!("{status}, want 200"), 200, status));
    }
    let media_type = answer.media_type();
    let markup = sniff::markup(body);
    if !kind.takes(&media_type) {
        let found =
            if media_type.is_empty() { "without a content type".to_owned() } else { format!("of type {media_type}") };
        let is_page = markup == Some("an HTML page");
        let why = if is_page { ": the page is answered for a file that is missing" } else { "" };
        return Err(Cause::wanting(format!("200, but it is {found}, want a {wanted}{why}"), wanted, media_type));
    }
    let labelled = |what: &str, why: &str| {
        Err(Cause::wanting(format!("200 and {media_type}, but the body is {what}{why}"), wanted, what))
    };
    if let Some(what) = sniff::magic(body) {
        return labelled(what, "");
    }
    if let Some(what) = markup {
        let why = if what == "XML" { "" } else { ": the file is missing" };
        return labelled(what, why);
    }
    if kind == AssetKind::Wasm {
        return if body.starts_with(b"\0asm") {
            Ok(Good { seen: format!("200, {media_type}, {} bytes", body.len()), doubt: None })
        } else {
            labelled("not WebAssembly", &excerpt(answer))
        };
    }
    if let Some(at) = body.iter().position(|byte| *byte == 0) {
        return labelled("binary", &format!(": byte {at} is NUL"));
    }
    let content_type = answer.header("content-type").unwrap_or_default();
    let declared = sniff::charset_parameter(&content_type);
    let charset = match declared.filter(|_| kind != AssetKind::Json).map(Charset::of) {
        Some(Ok(charset)) => charset,
        Some(Err(what)) => return labelled(&what, ""),
        None => charset,
    };
    // Modules are UTF-8 whatever else is said.
    if (charset == Charset::Utf8 || asset.module)
        && let Err(error) = std::str::from_utf8(body)
    {
        return labelled("not UTF-8", &format!(": byte {} begins no character", error.valid_up_to()));
    }
    let script = if kind == AssetKind::Script { sniff::script(body) } else { Script::Runs };
    match kind {
        AssetKind::Script if sniff::is_json(body) => return labelled("JSON", ": a script is missing"),
        AssetKind::StyleSheet if sniff::is_json(body) => return labelled("JSON", ": a style sheet is missing"),
        AssetKind::Script if script == Script::Broken => return labelled("not a script", &excerpt(answer)),
        AssetKind::StyleSheet if sniff::is_without_rule(body) => {
            return labelled("not a style sheet", &excerpt(answer));
        }
        AssetKind::Json if !sniff::is_json_value(body) => return labelled("not JSON", &excerpt(answer)),
        _ => {}
    }
    // Bundlers write style sheets without a byte, and scripts of one line feed.
    let is_empty = sniff::without_mark(body).trim_ascii().is_empty();
    if body.is_empty() && kind != AssetKind::StyleSheet {
        return Err(Cause::wanting("200, but it is empty", wanted, "nothing"));
    }
    for integrity in &asset.integrity {
        integrity.check(body).map_err(|why| Cause::from(format!("200 and {media_type}, but {why}")))?;
    }
    let doubt = match script {
        _ if is_empty => Some("200, but it is empty".to_owned()),
        Script::Idle(what) => Some(format!("200, but it does nothing, it is {what}: {}", answer.excerpt())),
        Script::Runs | Script::Broken => None,
    };
    Ok(Good { seen: format!("200, {media_type}, {} bytes", body.len()), doubt })
}

fn excerpt(answer: &Answer) -> String {
    format!(": {}", answer.excerpt())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A piece of what is seen, or of the cause.
    type Wanted = Result<&'static str, &'static str>;

    fn asset(kind: AssetKind, module: bool) -> Asset {
        let url = Url::parse("https://example.com/assets/x").unwrap();
        Asset { url, kind, need: Need::Named, module, integrity: Vec::new(), importer: None }
    }

    fn judged(kind: AssetKind, media_type: &str, body: &[u8]) -> Result<String, String> {
        let mut answer = Answer::of(200, &[("content-type", media_type)], "");
        answer.body = body.to_vec();
        let judged = judge(&asset(kind, true), &answer, Charset::Utf8);
        judged.map(|good| good.doubt.unwrap_or(good.seen)).map_err(|cause| cause.text)
    }

    #[test]
    fn a_body_is_what_it_should_be_or_named() {
        use AssetKind::{Json, Script, StyleSheet, Wasm};
        let (js, css) = ("text/javascript", "text/css; charset=utf-8");
        #[rustfmt::skip]
        let cases: &[(AssetKind, &str, &[u8], Wanted)] = &[
            (Script, js, b"run()", Ok("5 bytes")),
            (Script, js, b"\xef\xbb\xbfrun()", Ok("8 bytes")),
            (Script, "application/x-ecmascript", b"run()", Ok("5 bytes")),
            (Script, js, b"", Err("it is empty")),
            (Script, js, b"\n", Ok("it is empty")),
            (Script, js, b"\x1f\x8b\x08\0\0", Err("compressed with gzip, and no Content-Encoding says so")),
            (Script, js, b"\x28\xb5\x2f\xfd\0", Err("compressed with zstd")),
            (Script, js, b"\xff\xfer\0u\0n\0", Err("in UTF-16")),
            (Script, js, b"run\0()", Err("binary: byte 3 is NUL")),
            (Script, js, b"run('\xe4')", Err("not UTF-8: byte 5")),
            (Script, js, "run('ä')".as_bytes(), Ok("9 bytes")),
            (Script, js, b"<!doctype html>", Err("an HTML page: the file is missing")),
            (Script, js, b"<?xml version='1.0'?><Error/>", Err("but the body is XML")),
            (Script, js, br#"{"detail":"Not Found"}"#, Err("JSON: a script is missing")),
            (Script, js, b"Not Found", Err("not a script: Not Found")),
            (Script, js, b"404: Not Found", Err("not a script: 404: Not Found")),
            (Script, js, b"// build 7", Ok("it does nothing, it is nothing but comments: // build 7")),
            (Script, "text/javascript; charset=gbk", b"run()", Err("in the charset \"gbk\"")),
            (Script, "text/plain", b"run()", Err("of type text/plain, want a script")),
            (Script, "", b"run()", Err("without a content type")),
            (Script, "application/json", b"{}", Err("of type application/json, want a script")),
            (StyleSheet, css, b"a{}", Ok("3 bytes")),
            (StyleSheet, css, b"", Ok("it is empty")),
            (StyleSheet, css, b"/* nothing yet */", Ok("17 bytes")),
            (StyleSheet, css, b"404 page not found", Err("not a style sheet: 404 page not found")),
            (StyleSheet, css, b"<html>", Err("an HTML page")),
            (StyleSheet, css, br#"{"detail":"Not Found"}"#, Err("JSON: a style sheet is missing")),
            (Json, "application/json", b"[1]", Ok("3 bytes")),
            (Json, "application/json", b"1", Ok("1 bytes")),
            (Json, "application/json", b"{", Err("not JSON")),
            (Wasm, "application/wasm", b"\0asm\x01\0\0\0", Ok("8 bytes")),
            (Wasm, "application/wasm", b"Not Found", Err("not WebAssembly: Not Found")),
            (Json, "text/html", b"<html>", Err("of type text/html, want a JSON module")),
        ];
        for (kind, media_type, body, wanted) in cases {
            let found = judged(*kind, media_type, body);
            let holds = match wanted {
                Ok(piece) => found.as_ref().is_ok_and(|seen| seen.contains(piece)),
                Err(piece) => found.as_ref().is_err_and(|cause| cause.contains(piece)),
            };
            assert!(holds, "{kind:?} {media_type} {:?}: {found:?}", String::from_utf8_lossy(body));
        }
    }

    #[test]
    fn latin_1_is_text_where_it_is_declared_and_no_module() {
        let mut answer = Answer::of(200, &[("content-type", "text/javascript; charset=iso-8859-1")], "");
        answer.body = b"run('\xe4')".to_vec();
        assert!(judge(&asset(AssetKind::Script, false), &answer, Charset::Utf8).is_ok());
        assert!(judge(&asset(AssetKind::Script, true), &answer, Charset::Utf8).is_err());
    }

    #[test]
    fn addresses_of_a_developer_are_known() {
        for (url, wanted) in [
            ("https://localhost:8012/x.js", true),
            ("http://127.0.0.1/x.js", true),
            ("http://192.168.1.7:5173/x.js", true),
            ("https://assets/x.js", true),
            ("https://web.default.svc.cluster.local/x.js", true),
            ("https://cdn.example.net/x.js", false),
            ("https://203.0.113.7/x.js", false),
        ] {
            assert_eq!(is_private(&Url::parse(url).unwrap()), wanted, "{url}");
        }
    }

    #[test]
    fn addresses_lead_where_a_browser_goes() {
        let page = Url::parse("https://example.com/app/").unwrap();
        for (written, upgrade, wanted) in [
            ("x.js?v=1#top", false, "own https://example.com/app/x.js?v=1"),
            ("//example.com/x.js", false, "own https://example.com/x.js"),
            ("https://EXAMPLE.com:443/x.js", false, "own https://example.com/x.js"),
            ("//cdn.example.net/x.js", false, "foreign https://cdn.example.net/x.js"),
            ("https://localhost:8012/x.js", false, "foreign https://localhost:8012/x.js"),
            ("http://localhost:8012/x.js", false, "foreign http://localhost:8012/x.js"),
            ("http://example.com/x.js", false, "refused: it is named by http:// on a page of https://"),
            ("http://example.com/x.js", true, "own https://example.com/x.js"),
            ("https://user:pw@cdn.example.net/x.js", false, "foreign https://cdn.example.net/x.js"),
            ("https://user:pw@example.com/x.js", false, "refused: its address holds credentials"),
            ("data:text/javascript,1", false, "inline"),
            ("blob:https://example.com/1-2", false, "inline"),
            ("file:///C:/x.js", false, "refused: no browser loads it from a file: address"),
        ] {
            let found = match Place::of(page.join(written).unwrap(), &page, upgrade) {
                Place::Own(url) => format!("own {url}"),
                Place::Foreign(url) => format!("foreign {url}"),
                Place::Inline => "inline".into(),
                Place::Refused(why) => format!("refused: {why}"),
            };
            assert!(found.starts_with(wanted), "{written}: {found}");
        }
    }
}
