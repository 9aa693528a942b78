//! What a page is, and what a browser would load for it. Pure.

mod reader;
mod tags;

use url::Url;

use self::reader::Reader;
use super::apart::Stop;
use super::asset::{Asset, AssetKind};
use super::import_map::ImportMap;
use super::sniff::{self, Charset};
use crate::http::Answer;
use crate::outcome::Cause;

/// How many things of one kind are named; the rest is counted.
const SHOWN: usize = 10;

/// Things of one kind: the first few, and how many there are.
#[derive(Debug)]
pub(super) struct Several<T> {
    pub(super) shown: Vec<T>,
    pub(super) count: usize,
}

impl<T> Default for Several<T> {
    fn default() -> Self {
        Self { shown: Vec::new(), count: 0 }
    }
}

impl<T> Several<T> {
    pub(super) fn add(&mut self, thing: T) {
        if self.shown.len() < SHOWN {
            self.shown.push(thing);
        }
        self.count += 1;
    }

    /// Takes over others, each made into what is kept here.
    pub(super) fn extend<O>(&mut self, others: Several<O>, kept: impl FnMut(O) -> T) {
        let count = self.count + others.count;
        others.shown.into_iter().map(kept).for_each(|thing| self.add(thing));
        self.count = count;
    }

    /// How many are not named.
    pub(super) fn more(&self) -> usize {
        self.count - self.shown.len()
    }
}

/// A page that a browser would show, and what it loads. Its body is no longer held.
#[derive(Debug)]
pub(super) struct Page {
    /// Where it was answered.
    pub(super) url: Url,
    pub(super) charset: Charset,
    /// Those of its own origin, each once, in the order of the page; at most as many as are loaded.
    pub(super) assets: Vec<Asset>,
    /// How many there are of its own origin.
    pub(super) own: usize,
    /// Those of other origins.
    pub(super) foreign: Several<(AssetKind, Url)>,
    /// What no browser loads: its name, and why.
    pub(super) refused: Several<(String, String)>,
    /// What a person should know: a name, and a sentence.
    pub(super) warnings: Vec<(&'static str, String)>,
    pub(super) import_map: ImportMap,
    /// Whether `http:` addresses are asked for by `https:`.
    pub(super) upgrade: bool,
}

/// Reads an answer as a page. At most so many assets are kept.
///
/// # Errors
/// What it is instead of a page, or that the time was up.
pub(super) fn read(answer: &Answer, most: usize, stop: &Stop) -> Result<Page, Cause> {
    let status = answer.status;
    let media_type = answer.media_type();
    let no_page = |what: &str| Cause::wanting(format!("{status}, but the page is {what}"), "a page", what);
    if !matches!(&*media_type, "text/html" | "application/xhtml+xml") {
        let found = if media_type.is_empty() { "without a content type" } else { &media_type };
        let text = format!("{status}, but the page is {found}, want text/html");
        return Err(Cause::wanting(text, "text/html", found));
    }
    let disposition = answer.header("content-disposition").unwrap_or_default();
    if disposition.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("attachment")) {
        return Err(no_page("sent as a download (Content-Disposition: attachment)"));
    }
    let body = sniff::without_mark(&answer.body);
    if body.iter().all(u8::is_ascii_whitespace) {
        return Err(no_page("empty"));
    }
    if let Some(what) = sniff::magic(body) {
        return Err(no_page(what));
    }
    if body[..body.len().min(4096)].contains(&0) {
        return Err(no_page("binary or in UTF-16 (it holds NUL bytes), want HTML in UTF-8"));
    }
    if sniff::is_json(body) {
        return Err(no_page(&format!("JSON, labelled as {media_type}: {}", answer.excerpt())));
    }
    let marked = body.len() < answer.body.len();
    let content_type = answer.header("content-type").unwrap_or_default();
    let declared = sniff::charset_parameter(&content_type);
    // A byte order mark beats the header, and the header beats what the page says.
    let charset = match declared {
        _ if marked => Some(Charset::Utf8),
        Some(label) => Some(Charset::of(label).map_err(|what| no_page(&what))?),
        None => None,
    };
    let mut reader = Reader::new(answer, charset, most);
    if let Some(value) = answer.header("refresh") {
        reader.refresh(&value);
    }
    let is_whole = reader.read(body, stop);
    if !is_whole {
        return Err("time ran out while the page was read".into());
    }
    if let Some(what) = reader.refusal() {
        return Err(no_page(&what));
    }
    if !reader.is_html() {
        return Err(no_page(&format!("not HTML: {}", answer.excerpt())));
    }
    let is_garbled = charset == Some(Charset::Utf8) && std::str::from_utf8(body).is_err();
    let mut page = reader.finish();
    if media_type == "application/xhtml+xml" {
        let why =
            "it is XHTML, and whether it is well-formed was not looked at: where it is not, browsers show an error";
        page.warnings.push(("page", why.into()));
    }
    if let Some(at) = body.iter().position(|byte| *byte == 0) {
        page.warnings.push(("page", format!("byte {at} of it is NUL, which no page in text holds")));
    }
    if is_garbled {
        page.warnings.push(("page", "it is labelled UTF-8 and is not: some of its text is garbled".into()));
    }
    Ok(page)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::smoke::asset::Need;

    fn answered(content_type: &str, body: &[u8]) -> Answer {
        let mut answer = Answer::of(200, &[("content-type", content_type)], "");
        answer.url = Url::parse("https://example.com/app/").unwrap();
        answer.body = body.to_vec();
        answer
    }

    fn page(html: &str) -> Page {
        read(&answered("text/html", format!("<!doctype html>{html}").as_bytes()), 100, &Stop::never()).unwrap()
    }

    fn found(html: &str) -> Vec<(String, AssetKind)> {
        page(html).assets.into_iter().map(|asset| (asset.url.to_string(), asset.kind)).collect()
    }

    #[test]
    fn a_page_is_html_or_named_as_what_it_is() {
        #[rustfmt::skip]
        let cases: &[(&str, &[u8], Result<(), &str>)] = &[
            ("text/html", b"<!doctype html><p>x", Ok(())),
            ("text/html", b"\xef\xbb\xbf<!DOCTYPE HTML PUBLIC \"x\"><p>x", Ok(())),
            ("text/html; charset=UTF-8", b"<html><p>\xc3\xa4", Ok(())),
            ("text/html; charset=ISO-8859-1", b"<html><p>\xe4", Ok(())),
            ("text/html", b"Welcome, <a href=/login>log in</a>", Ok(())),
            ("text/html", b"<app-root></app-root>", Ok(())),
            ("application/xhtml+xml", b"<?xml version='1.0'?><html xmlns='http://www.w3.org/1999/xhtml'>", Ok(())),
            ("text/plain", b"<!doctype html>", Err("the page is text/plain, want text/html")),
            ("", b"<!doctype html>", Err("without a content type")),
            ("text/html", b" \n", Err("the page is empty")),
            ("text/html", b"\xef\xbb\xbf\n", Err("the page is empty")),
            ("text/html", b"OK", Err("not HTML: OK")),
            ("text/html", b"Internal Server Error", Err("not HTML: Internal Server Error")),
            ("text/html", b"Traceback: File \"<string>\", line 1", Err("not HTML")),
            ("text/html", br#"{"detail":"<b>Not Found</b>"}"#, Err("JSON, labelled as text/html")),
            ("text/html", b"<?xml version='1.0'?><Error><Code>NoSuchKey</Code></Error>", Err("not HTML")),
            ("text/html", b"<!DOCTYPE plist><plist></plist>", Err("not HTML")),
            ("text/html", b"\xff\xfe<\0h\0t\0m\0l\0", Err("in UTF-16")),
            ("text/html", b"<\0h\0t\0m\0l\0>\0", Err("binary or in UTF-16")),
            ("text/html", b"\x1f\x8b\x08\0\0", Err("compressed with gzip, and no Content-Encoding says so")),
            ("text/html", b"\x89PNG\r\n", Err("a PNG image")),
            ("text/html; charset=utf-16", b"<!doctype html>", Err("in the charset \"utf-16\"")),
            ("text/html; charset=shift_jis", b"<!doctype html>", Err("in the charset \"shift_jis\"")),
            ("text/html", b"<!doctype html><meta charset=gb18030>", Err("in the charset \"gb18030\"")),
            ("text/html", b"<!doctype html><meta http-equiv=content-type content='text/html; charset=big5'>", Err("\"big5\"")),
            ("text/html; charset=utf-8", b"<!doctype html><meta charset=gb18030>", Ok(())),
        ];
        for (content_type, body, wanted) in cases {
            let found =
                read(&answered(content_type, body), 100, &Stop::never()).map(|_| ()).map_err(|cause| cause.text);
            let holds = match wanted {
                Ok(()) => found.is_ok(),
                Err(piece) => found.as_ref().is_err_and(|cause| cause.contains(piece)),
            };
            assert!(holds, "{content_type} {:?}: {found:?}", String::from_utf8_lossy(body));
        }
    }

    #[test]
    fn scripts_style_sheets_and_preloaded_modules_are_found() {
        let html = r#"<HTML><head>
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
            ]
        );
        let foreign = page(html).foreign;
        assert_eq!((foreign.count, foreign.shown[0].1.as_str()), (1, "https://cdn.example.net/lib.js"));
    }

    #[test]
    fn what_a_browser_does_not_load_is_not_looked_at() {
        for html in [
            "<template><script src=/x.js></script><link rel=stylesheet href=/x.css></template>",
            "<template><template></template><script src=/x.js></script></template>",
            "<noscript><link rel=stylesheet href=/x.css></noscript>",
            "<script nomodule src=/x.js></script>",
            "<script type=text/template src=/x.js></script>",
            "<script type='text/javascript; charset=utf-8' src=/x.js></script>",
            "<script language=vbscript src=/x.js></script>",
            "<script src></script><script src=' '></script><link rel=stylesheet href>",
            "<script src='data:text/javascript,1'></script>",
            "<link rel=stylesheet disabled href=/x.css>",
            "<link rel=stylesheet type=text/less href=/x.less>",
            "<link rel=preload as=font href=/x.woff2><link rel=prefetch as=script href=/x.js>",
            "<link rel=manifest href=/x.json>",
            "<textarea><script src=/x.js></script></textarea>",
            "<title><script src=/x.js></script></title>",
            "<iframe><script src=/x.js></script></iframe>",
            "<plaintext><script src=/x.js></script>",
            "<p data-x='<script src=/x.js></script>'>",
            "<script>/*<!--<script>*/'</script><script src=/x.js></script>'",
        ] {
            assert_eq!(found(html), [], "{html}");
        }
        for html in [
            "<script type=module nomodule src=/x.js></script>",
            "<script type=' Module ' src=/x.js></script>",
            "<script type='' src=/x.js></script>",
            "<script language=JavaScript src=/x.js></script>",
            "<template shadowrootmode=open><script src=/x.js></script></template>",
            "<svg><title/></svg><script src=/x.js></script>",
            "<svg><style/><path d=''/></svg><script src=/x.js></script>",
            "<template></template><script src=/x.js></script>",
            "<link rel=preload as=script href=/x.js>",
            "<body><script src=' /x.js\n'></script>",
            "<link rel='modulepreload' href=/x.js>",
            "<p title=\"'\"><script src=/x.js></script>",
            "<svg><script href=/x.js></script></svg>",
            "<svg><script xlink:href=/x.js /></svg>",
            "<svg><div><script src=/x.js></script>",
            "<svg><p><textarea><script src=/no.js></textarea><script src=/x.js></script>",
            "<svg></p><template><script src=/no.js></script></template><script src=/x.js></script>",
            "<svg><foreignObject><textarea><script src=/no.js></script></textarea></foreignObject></svg><script src=/x.js></script>",
            "<svg><foreignObject><style>a{content:\"<script src=/no.js>\"}</style></foreignObject></svg><script src=/x.js></script>",
            "<svg><desc><template><script src=/no.js></script></template></desc></svg><script src=/x.js></script>",
        ] {
            assert_eq!(found(html), [("https://example.com/x.js".to_owned(), AssetKind::Script)], "{html}");
        }
    }

    #[test]
    fn addresses_are_resolved_against_the_first_base() {
        let html = "<base target=_blank><base href=/other/><base href=/third/><script src=x.js></script>";
        assert_eq!(found(html)[0].0, "https://example.com/other/x.js");
        let html = "<script src=a.js></script><base href=//cdn.example.net/y/><script src=x.js></script>";
        assert_eq!(page(html).foreign.shown[0].1.as_str(), "https://cdn.example.net/y/x.js");
        assert_eq!(found(html)[0].0, "https://example.com/app/a.js");
        assert_eq!(
            found("<base href='http://['><base href=/third/><script src=x.js></script>")[0].0,
            "https://example.com/app/x.js"
        );
        assert_eq!(found("<base href='data:x,y'><script src=x.js></script>")[0].0, "https://example.com/app/x.js");
    }

    #[test]
    fn addresses_of_a_developer_are_warned_of() {
        let html = "<script src=/x.js></script><script src=//assets/y.js></script><script src=//cdn.example.net/z.js>";
        let warnings = page(html).warnings;
        assert!(
            warnings.len() == 1 && warnings[0].1.contains("1 of its assets at an address that only"),
            "{warnings:?}"
        );
    }

    #[test]
    fn what_is_not_looked_at_is_warned_of() {
        for (html, wanted) in [
            ("<meta http-equiv=refresh content='0; url=/gone'>", Some("goes on to /gone by itself")),
            ("<meta http-equiv=Refresh content=\"1;URL='https://example.net/x'\">", Some("https://example.net/x")),
            ("<meta http-equiv=refresh content=0>", None),
            ("<meta http-equiv=refresh content='0; url=/app/'>", None),
            ("<meta http-equiv=refresh content='1800; url=/logout'>", None),
            ("<iframe srcdoc='<script src=/x.js></script>'></iframe>", Some("srcdoc")),
            ("<frameset><frame src=/x></frameset>", Some("a frameset")),
            ("<script type=importmap src=/map.json></script>", Some("ignore its import map")),
        ] {
            let warnings = page(html).warnings;
            let holds = match wanted {
                Some(piece) => warnings.len() == 1 && warnings[0].1.contains(piece),
                None => warnings.is_empty(),
            };
            assert!(holds, "{html}: {warnings:?}");
        }
        let nul = format!("<!doctype html><p>{}\0", " ".repeat(5000));
        let page = read(&answered("text/html", nul.as_bytes()), 100, &Stop::never()).unwrap();
        assert!(page.warnings[0].1.contains("is NUL"), "{:?}", page.warnings);
    }

    #[test]
    fn elements_of_xml_close_themselves() {
        let xml =
            "<html xmlns='http://www.w3.org/1999/xhtml'><script src='/a.js'/><style/><script src='/m.js'/></html>";
        let page = read(&answered("application/xhtml+xml", xml.as_bytes()), 100, &Stop::never()).unwrap();
        assert_eq!(page.assets.len(), 2);
        assert!(page.warnings[0].1.contains("XHTML"), "{:?}", page.warnings);
    }

    #[test]
    fn who_wants_an_asset_is_known() {
        let needs =
            |html: &str| page(html).assets.into_iter().map(|asset| (asset.need, asset.module)).collect::<Vec<_>>();
        assert_eq!(needs("<link rel=preload as=script href=/x.js>"), [(Need::Preloaded, true)]);
        assert_eq!(needs("<link rel=preload as=style href=/x.css>"), [(Need::Preloaded, false)]);
        let both = "<link rel=preload as=script href=/x.js><script src=/x.js></script>";
        assert_eq!(needs(both), [(Need::Named, true)]);
        assert_eq!(needs("<script type=module>import '/x.js'</script>"), [(Need::Named, true)]);
        assert_eq!(needs("<style>@import '/x.css';</style>"), [(Need::Named, false)]);
        assert_eq!(needs("<script>import('/x.js')</script>"), []);
    }

    #[test]
    fn import_maps_name_modules_and_lead_to_them() {
        let html = r#"<script type=importmap>{"imports":{"app":"/app.js","lib/":"/lib/"}}</script>
            <script type=module>import 'app'; import 'lib/x.js'; import './y.js'</script>"#;
        let urls: Vec<String> = found(html).into_iter().map(|(url, _)| url).collect();
        assert_eq!(
            urls,
            ["https://example.com/app.js", "https://example.com/lib/x.js", "https://example.com/app/y.js"]
        );
        let bare = page("<script type=module>import 'react'</script>");
        assert!(bare.refused.shown[0].1.contains("\"react\" is neither"), "{:?}", bare.refused);
        let broken = page("<script type=importmap>{</script>");
        assert!(broken.refused.shown[0].1.contains("not JSON"), "{:?}", broken.refused);
    }

    #[test]
    fn policies_that_keep_scripts_from_running_are_warned_of() {
        let with = |policy: &str, html: &str| {
            let mut answer = answered("text/html", format!("<!doctype html>{html}").as_bytes());
            answer.headers.insert("content-security-policy", policy.parse().unwrap());
            read(&answer, 100, &Stop::never()).unwrap().warnings
        };
        let script = "<script src=/x.js></script>";
        for (policy, html, wanted) in [
            ("script-src 'self'", script, None),
            ("script-src 'self'", "<script src=/x.js></script><script>go()</script>", Some("1 of its scripts")),
            (
                "script-src 'strict-dynamic'",
                "<script src=/x.js></script><script>go()</script>",
                Some("2 of its scripts"),
            ),
            ("script-src 'nonce-a' 'strict-dynamic'", "<script nonce=a src=/x.js></script>", None),
            ("default-src 'none'", "<link rel=stylesheet href=/x.css>", Some("1 of its style sheets")),
            (
                "img-src *",
                "<meta http-equiv=Content-Security-Policy content=\"script-src 'none'\"><script src=/x.js></script>",
                Some("script-src 'none'"),
            ),
            (
                "img-src *",
                "<script src=/x.js></script><meta http-equiv=Content-Security-Policy content=\"script-src 'none'\">",
                None,
            ),
            (
                "img-src *",
                "<body><meta http-equiv=Content-Security-Policy content=\"script-src 'none'\"><script src=/x.js></script>",
                None,
            ),
        ] {
            let warnings = with(policy, html);
            match wanted {
                None => assert!(warnings.is_empty(), "{policy} {html}: {warnings:?}"),
                Some(piece) => {
                    assert!(warnings.len() == 1 && warnings[0].1.contains(piece), "{policy} {html}: {warnings:?}");
                }
            }
        }
        assert_eq!(with("upgrade-insecure-requests", "<script src=http://example.com/x.js></script>"), []);
    }

    #[test]
    fn what_is_too_much_is_counted() {
        let named = |n| format!("<script src=/{n}.js></script><script src=//a.example/{n}></script>");
        let html: String = (0..5000).chain(0..5000).map(named).collect();
        let page = page(&html);
        assert_eq!((page.assets.len(), page.own, page.foreign.count), (100, 5000, 5000));
        assert_eq!(page.foreign.shown.len(), SHOWN);
    }
}
