//! What a page is, and what it loads: its scripts, style sheets and preloaded modules. Pure.

use std::convert::Infallible;

use html5gum::{DefaultEmitter, StartTag, Token, Tokenizer};
use url::Url;

use crate::http::Answer;
use crate::outcome::Cause;

/// Whether an answer is a page that a browser would show.
///
/// # Errors
/// What it is instead.
pub(super) fn check(answer: &Answer) -> Result<(), Cause> {
    let media_type = answer.media_type();
    if !matches!(&*media_type, "text/html" | "application/xhtml+xml") {
        let found = if media_type.is_empty() { "without a content type" } else { &media_type };
        let text = format!("{}, but the page is {found}, want text/html", answer.status);
        return Err(Cause::wanting(text, "text/html", found));
    }
    if answer.body.iter().all(u8::is_ascii_whitespace) {
        return Err(Cause::wanting(format!("{}, but the page is empty", answer.status), "a page", "nothing"));
    }
    Ok(())
}

/// What an asset must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AssetKind {
    Script,
    StyleSheet,
}

impl AssetKind {
    /// The media types that a browser runs or applies.
    pub(super) fn media_types(self) -> &'static [&'static str] {
        match self {
            Self::Script => &[
                "text/javascript",
                "application/javascript",
                "application/x-javascript",
                "text/ecmascript",
                "application/ecmascript",
            ],
            Self::StyleSheet => &["text/css"],
        }
    }

    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Script => "script",
            Self::StyleSheet => "style sheet",
        }
    }
}

/// Something that a page loads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Asset {
    pub(super) url: Url,
    pub(super) kind: AssetKind,
}

/// What a page loads, each URL once, in the order of the page. `page` is the URL that it came from.
///
/// # Errors
/// An address that is not a URL.
pub(super) fn assets(html: &[u8], page: &Url) -> Result<Vec<Asset>, String> {
    let mut emitter = DefaultEmitter::default();
    emitter.naively_switch_states(true);
    let tokens = Tokenizer::new_with_emitter(html, emitter);
    let mut base = None;
    let mut found: Vec<Asset> = Vec::new();
    for token in tokens {
        let token: Result<Token, Infallible> = token;
        let Ok(Token::StartTag(tag)) = token else { continue };
        if &**tag.name == b"base" && base.is_none() {
            base = attribute(&tag, b"href").and_then(|href| page.join(&href).ok());
        }
        let Some((address, kind)) = loaded(&tag) else { continue };
        let url = base.as_ref().unwrap_or(page).join(address.trim());
        let mut url = url.map_err(|error| format!("the page names a {} at {address:?}: {error}", kind.word()))?;
        url.set_fragment(None);
        if !found.iter().any(|asset| asset.url == url && asset.kind == kind) {
            found.push(Asset { url, kind });
        }
    }
    Ok(found)
}

/// The address that a tag loads, if it loads a script or a style sheet.
fn loaded(tag: &StartTag<()>) -> Option<(String, AssetKind)> {
    match &**tag.name {
        b"script" => {
            let address = attribute(tag, b"src").filter(|address| !address.trim().is_empty())?;
            let kind = attribute(tag, b"type").unwrap_or_default();
            let essence = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
            // Any other type is a block of data, which no browser loads.
            let runs =
                essence.is_empty() || essence == "module" || AssetKind::Script.media_types().contains(&&*essence);
            runs.then_some((address, AssetKind::Script))
        }
        b"link" => {
            let address = attribute(tag, b"href").filter(|address| !address.trim().is_empty())?;
            let relations = attribute(tag, b"rel").unwrap_or_default().to_ascii_lowercase();
            let is = |wanted: &str| relations.split_ascii_whitespace().any(|relation| relation == wanted);
            if is("stylesheet") {
                Some((address, AssetKind::StyleSheet))
            } else if is("modulepreload") {
                Some((address, AssetKind::Script))
            } else {
                None
            }
        }
        _ => None,
    }
}

fn attribute(tag: &StartTag<()>, name: &[u8]) -> Option<String> {
    let found = tag.attributes.iter().find(|(key, _)| ***key == name)?;
    Some(String::from_utf8_lossy(&found.1.value).into_owned())
}

/// Whether a body is a page: what a single-page application answers for everything that it does not have.
pub(super) fn looks_like_html(body: &[u8]) -> bool {
    let start = String::from_utf8_lossy(&body[..body.len().min(256)]).trim_start().to_ascii_lowercase();
    start.starts_with("<!doctype html") || start.starts_with("<html")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(html: &str) -> Vec<(String, AssetKind)> {
        let page = Url::parse("https://example.com/app/").unwrap();
        assets(html.as_bytes(), &page).unwrap().into_iter().map(|asset| (asset.url.to_string(), asset.kind)).collect()
    }

    #[test]
    fn scripts_style_sheets_and_preloaded_modules_are_found() {
        let html = r#"<!doctype html><HTML><head>
            <link rel="stylesheet" href="/assets/a.css"><LINK REL='StyleSheet alternate' HREF=b.css>
            <link rel=modulepreload href="../assets/m.js"><link rel="icon" href="/favicon.ico">
            <script type="module" src="/assets/x.js?v=1&amp;w=2"></script>
            <script src="https://cdn.example.net/lib.js"></script>
            <script>document.write('<script src="/inline.js"></script>')</script>
            <script type="application/json" src="/data.json"></script>
            <!-- <script src="/commented.js"></script> -->
            <style>/* <link rel=stylesheet href=/in-style.css> */</style>
            <script src="/assets/x.js?v=1&amp;w=2"></script>"#;
        let script = |url: &str| (url.to_owned(), AssetKind::Script);
        let sheet = |url: &str| (url.to_owned(), AssetKind::StyleSheet);
        assert_eq!(
            found(html),
            [
                sheet("https://example.com/assets/a.css"),
                sheet("https://example.com/app/b.css"),
                script("https://example.com/assets/m.js"),
                script("https://example.com/assets/x.js?v=1&w=2"),
                script("https://cdn.example.net/lib.js"),
            ]
        );
    }

    #[test]
    fn addresses_are_resolved_against_the_base() {
        let html = "<base href=/other/><script src=x.js></script>";
        assert_eq!(found(html)[0].0, "https://example.com/other/x.js");
    }

    #[test]
    fn a_page_is_known_by_its_start() {
        for (body, wanted) in
            [("<!DOCTYPE html><p>", true), ("\n <HTML lang=en>", true), ("console.log(1)", false), ("", false)]
        {
            assert_eq!(looks_like_html(body.as_bytes()), wanted, "{body}");
        }
    }
}
