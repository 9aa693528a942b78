//! The front end as a browser would load it: pages and assets as they are met in the wild, each with its verdict and cause.

use std::collections::HashMap;
use std::sync::Arc;

use crate::canary::app::{answer, gzip};
use crate::canary::server::{Canary, Reply, Start};
use crate::checks::Checks;
use crate::gate::{Gate, Ran, each};

pub const JS: &str = "text/javascript; charset=utf-8";
pub const CSS: &str = "text/css";

/// A page and the files beside it; the rest is the healthy application.
#[derive(Clone, Default)]
pub struct Site {
    page_type: &'static str,
    page_headers: Vec<(&'static str, &'static str)>,
    page: Vec<u8>,
    files: HashMap<String, File>,
}

/// Its status, type, body and one more header.
type File = (u16, &'static str, Vec<u8>, Option<(&'static str, String)>);

/// A page with a doctype in front.
pub fn page(html: &str) -> Site {
    raw("text/html; charset=utf-8", format!("<!doctype html>{html}"))
}

/// A page of any bytes and type.
pub fn raw(page_type: &'static str, body: impl Into<Vec<u8>>) -> Site {
    Site { page_type, page: body.into(), ..Site::default() }
}

impl Site {
    pub fn header(mut self, name: &'static str, value: &'static str) -> Self {
        self.page_headers.push((name, value));
        self
    }

    pub fn file(mut self, path: &str, media_type: &'static str, body: impl Into<Vec<u8>>) -> Self {
        self.files.insert(path.into(), (200, media_type, body.into(), None));
        self
    }

    pub fn js(self, path: &str, body: &str) -> Self {
        self.file(path, JS, body)
    }

    pub fn status(mut self, path: &str, status: u16) -> Self {
        self.files.insert(path.into(), (status, "application/json", b"{}".to_vec(), None));
        self
    }

    pub fn redirect(mut self, path: &str, to: &str) -> Self {
        self.files.insert(path.into(), (302, "", Vec::new(), Some(("Location", to.into()))));
        self
    }

    pub fn coded(mut self, path: &str, media_type: &'static str, coding: &str, body: Vec<u8>) -> Self {
        self.files.insert(path.into(), (200, media_type, body, Some(("Content-Encoding", coding.into()))));
        self
    }

    pub fn start_with(self, start: Start) -> Canary {
        let handler = move |request: &crate::canary::server::Request| {
            if request.path == "/" {
                let reply = Reply::new(200, self.page_type, self.page.clone());
                return self.page_headers.iter().fold(reply, |reply, (name, value)| reply.header(name, value));
            }
            let target = if request.query.is_empty() {
                request.path.clone()
            } else {
                format!("{}?{}", request.path, request.query)
            };
            let Some((status, media_type, body, header)) = self.files.get(&target) else { return answer(request) };
            let reply = Reply::new(*status, media_type, body.clone());
            header.iter().fold(reply, |reply, (name, value)| reply.header(name, value))
        };
        Canary::start_with(Arc::new(handler), start)
    }

    pub fn start(self) -> Canary {
        self.start_with(Start::default())
    }
}

pub struct Case {
    name: &'static str,
    site: Site,
    checks: Checks,
    status: &'static str,
    /// Pieces of the detail, or of an observation that is not good.
    pieces: &'static [&'static str],
}

pub fn case(name: &'static str, site: Site, status: &'static str, pieces: &'static [&'static str]) -> Case {
    Case { name, site, checks: Checks::fast(), status, pieces }
}

impl Case {
    pub fn with(mut self, path: &str, value: impl Into<serde_json::Value>) -> Self {
        self.checks = self.checks.set(path, value);
        self
    }
}

/// What the smoke check said, and all that it saw that is not good.
pub fn said(ran: &Ran) -> String {
    let mut text = ran.detail("smoke").to_owned();
    for seen in ran.check("smoke")["observations"].as_array().unwrap() {
        if seen["status"] != "pass" {
            text += &format!("\n{} {}: {}", seen["status"], seen["name"], seen["detail"]).replace("\\\"", "'");
        }
    }
    text
}

pub fn judge_all(cases: &[Case]) {
    each(cases, |case| {
        let canary = case.site.clone().start();
        let ran = Gate::verify(&canary.url(), &case.checks).run();
        let said = said(&ran);
        let exit = i32::from(case.status == "fail");
        let missing = case.pieces.iter().find(|piece| !said.contains(**piece));
        if ran.code == exit && ran.status("smoke") == case.status && missing.is_none() {
            return Ok(());
        }
        let status = ran.status("smoke");
        Err(format!(
            "{}: exit {} and {status}, want {} with {:?}:\n{said}\n",
            case.name, ran.code, case.status, case.pieces
        ))
    });
}

#[test]
fn a_page_of_which_nothing_was_loaded_is_not_a_silent_pass() {
    let foreign = "<script src=https://localhost:8012/a.js></script><script src=https://localhost:8012/b.js></script>\
                   <link rel=stylesheet href=https://localhost:8012/a.css>";
    judge_all(&[
        case(
            "all of another origin",
            page(foreign),
            "warn",
            &["2 requests answered, 0 assets loaded, 3 of other origins not loaded", "none of the 3"],
        ),
        case(
            "a base of another host",
            page("<base href=https://cdn.example.net/><script src=app.js></script>"),
            "warn",
            &["0 assets loaded, 1 of other origins not loaded", "https://cdn.example.net/app.js"],
        ),
        case("no asset at all", page("<p>Welcome"), "warn", &["0 assets loaded", "names no script and no style sheet"]),
        case("only inert ones", page("<template><script src=/x.js></script></template>"), "warn", &["0 assets loaded"]),
        case(
            "min_assets blocks",
            page(foreign),
            "fail",
            &["0 loaded, want at least 1 (min_assets)", "3 of other origins"],
        )
        .with("smoke.min_assets", 1),
        case(
            "min_assets is not reached",
            page("<script src=/x.js></script>").js("/x.js", "1"),
            "fail",
            &["1 loaded, want at least 2"],
        )
        .with("smoke.min_assets", 2),
        case(
            "min_assets is reached",
            page("<script src=/x.js></script>").js("/x.js", "1"),
            "pass",
            &["1 asset loaded"],
        )
        .with("smoke.min_assets", 1),
        case("no asset is wanted", page("<p>Welcome"), "pass", &["2 requests answered, 0 assets loaded"])
            .with("smoke.min_assets", 0),
        case("assets are off", page("<p>Welcome"), "pass", &["2 requests answered"]).with("smoke.assets", false),
        case(
            "own and foreign ones",
            page("<script src=/x.js></script><script src=//cdn.example.net/y.js></script>").js("/x.js", "1"),
            "pass",
            &["1 asset loaded, 1 of other origins not loaded"],
        ),
        case(
            "one that is missing is the cause",
            page("<script src=/x.js></script>").status("/x.js", 404),
            "fail",
            &["script /x.js: 404"],
        ),
    ]);
}

#[test]
fn a_page_is_html_or_named_as_what_it_is() {
    let utf16: Vec<u8> = "<!doctype html>".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let script = "<!doctype html><script src=/x.js></script>";
    judge_all(&[
        case("text", raw("text/html", "OK"), "fail", &["the page is not HTML: OK"]),
        case(
            "JSON",
            raw("text/html", r#"{"detail":"Not Found"}"#),
            "fail",
            &["the page is JSON, labelled as text/html"],
        ),
        case(
            "UTF-16 with a mark",
            raw("text/html", [b"\xff\xfe".to_vec(), utf16.clone()].concat()),
            "fail",
            &["in UTF-16"],
        ),
        case("UTF-16 without one", raw("text/html", utf16), "fail", &["binary or in UTF-16"]),
        case(
            "gzip that no header names",
            raw("text/html", gzip(script.as_bytes())),
            "fail",
            &["compressed with gzip, and no Content-Encoding"],
        ),
        case("an image", raw("text/html", b"\x89PNG\r\n\x1a\n\0\0".to_vec()), "fail", &["a PNG image"]),
        case(
            "an error of a bucket",
            raw("text/html", "<?xml version='1.0'?><Error><Code>NoSuchKey</Code></Error>"),
            "fail",
            &["not HTML"],
        ),
        case("a charset that is not read", raw("text/html; charset=utf-16", script), "fail", &["charset", "utf-16"]),
        case(
            "a charset that the page names",
            raw("text/html", "<!doctype html><meta charset=gb18030>"),
            "fail",
            &["charset", "gb18030"],
        ),
        case(
            "a download",
            raw("text/html", script).header("Content-Disposition", "attachment; filename=x"),
            "fail",
            &["sent as a download"],
        ),
        case(
            "a byte order mark",
            raw("text/html", format!("\u{feff}{script}")).js("/x.js", "1"),
            "pass",
            &["1 asset loaded"],
        ),
        case(
            "Latin-1",
            raw("text/html; charset=iso-8859-1", [script.as_bytes(), b"\xe4"].concat()).js("/x.js", "1"),
            "pass",
            &["1 asset"],
        ),
        case(
            "garbled UTF-8",
            raw("text/html; charset=utf-8", [script.as_bytes(), b"\xe4"].concat()).js("/x.js", "1"),
            "warn",
            &["labelled UTF-8 and is not"],
        ),
        case(
            "no doctype",
            raw("text/html", "<html><script src=/x.js></script>").js("/x.js", "1"),
            "pass",
            &["1 asset"],
        ),
    ]);
}

#[test]
fn the_body_of_an_asset_is_looked_at() {
    let script = page("<script src=/x.js></script>");
    let sheet = page("<link rel=stylesheet href=/x.css>");
    let of = |body: &[u8]| script.clone().file("/x.js", JS, body);
    let styled = |body: &[u8]| sheet.clone().file("/x.css", CSS, body);
    judge_all(&[
        case(
            "HTML behind a mark",
            of("\u{feff}<!doctype html>".as_bytes()),
            "fail",
            &["an HTML page: the file is missing"],
        ),
        case("HTML behind a comment", of(b"<!-- v7 -->\n<!doctype html>"), "fail", &["an HTML page"]),
        case("HTML behind a prolog", of(b"<?xml version='1.0'?><html>"), "fail", &["an HTML page"]),
        case("HTML that begins with head", of(b"<head><title>x</title></head>"), "fail", &["an HTML page"]),
        case("XML", of(b"<?xml version='1.0'?><Error/>"), "fail", &["the body is XML"]),
        case(
            "gzip that no header names",
            of(&gzip(b"run()")),
            "fail",
            &["compressed with gzip, and no Content-Encoding"],
        ),
        case("gzip", script.clone().coded("/x.js", JS, "gzip", gzip(b"run()")), "pass", &["1 asset"]),
        case(
            "gzip twice, named once",
            script.clone().coded("/x.js", JS, "gzip", gzip(&gzip(b"run()"))),
            "fail",
            &["compressed with gzip"],
        ),
        case(
            "brotli",
            script.clone().coded("/x.js", JS, "br", b"\x0b\x02\x80run()\x03".to_vec()),
            "fail",
            &["content coding br"],
        ),
        case("NUL", of(b"run\0()"), "fail", &["binary: byte 3 is NUL"]),
        case("not UTF-8", of(b"run('\xe4')"), "fail", &["not UTF-8: byte 5"]),
        case("UTF-16", of(b"\xfe\xff\0r"), "fail", &["in UTF-16"]),
        case("JSON", of(br#"{"detail":"Not Found"}"#), "fail", &["JSON: a script is missing"]),
        case("a sentence", of(b"404 page not found\n"), "fail", &["not a script: 404 page not found"]),
        case("a comment in the old way", of(b"<!--\nrun()\n//-->"), "pass", &["1 asset"]),
        case("an object in brackets", of(b"({a:1})"), "pass", &["1 asset"]),
        case("a style sheet that is a sentence", styled(b"Not Found"), "fail", &["not a style sheet: Not Found"]),
        case("a style sheet that is JSON", styled(b"{\"a\":1}"), "fail", &["JSON: a style sheet is missing"]),
        case("an empty style sheet", styled(b""), "warn", &["style sheet /x.css: 200, but it is empty"]),
        case("a style sheet of comments", styled(b"/* nothing */"), "pass", &["1 asset"]),
        case(
            "nosniff and a wrong type",
            script.clone().file("/x.js", "text/plain", "run()"),
            "fail",
            &["of type text/plain"],
        ),
    ]);
}

#[test]
fn what_a_browser_refuses_is_a_failure() {
    let wrong = "sha384-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    let with =
        |integrity: &str| page(&format!("<script src=/x.js integrity='{integrity}'></script>")).js("/x.js", "run()\n");
    let own = right_hash(b"run()\n");
    judge_all(&[
        case("integrity that fits", with(&own), "pass", &["1 asset"]),
        case("integrity that does not", with(wrong), "fail", &["its integrity attribute does not fit", "the body is sha384-"]),
        case("one of several fits", with(&format!("{wrong} {own}")), "pass", &["1 asset"]),
        case("the strongest decides", with(&format!("{own} sha512-AAAA")), "fail", &["the body is sha512-"]),
        case("an unknown algorithm demands nothing", with("md5-AAAA"), "pass", &["1 asset"]),
        case(
            "one of two elements does not fit",
            page(&format!("<script src=/x.js integrity='{own}'></script><script src=/x.js integrity='{wrong}'></script>"))
                .js("/x.js", "run()\n"),
            "fail",
            &["does not fit"],
        ),
        case(
            "an import map's integrity",
            page(&format!("<script type=importmap>{{\"imports\":{{\"x\":\"/x.js\"}},\"integrity\":{{\"/x.js\":\"{wrong}\"}}}}</script><script type=module>import 'x'</script>"))
                .js("/x.js", "run()\n"),
            "fail",
            &["does not fit"],
        ),
        case("a file: address", page("<script src=file:///C:/x.js></script>"), "fail", &["no browser loads it from a file: address"]),
        case("an address that is none", page("<script src='http://['></script>"), "fail", &["its address is not a URL"]),
        case("data: and blob: are no requests", page("<script src=data:text/javascript,1></script>"), "warn", &["0 assets loaded"]),
    ]);
}

fn right_hash(body: &[u8]) -> String {
    use base64::Engine as _;
    let digest = ring::digest::digest(&ring::digest::SHA384, body);
    format!("sha384-{}", base64::engine::general_purpose::STANDARD.encode(digest))
}

#[test]
fn credentials_in_an_address_are_refused_and_not_shown() {
    let canary = Canary::start(Arc::new(|request| {
        if request.path == "/" {
            let host = &request.headers["host"];
            let html = format!("<!doctype html><script src=http://user:hunter2@{host}/x.js></script>");
            return Reply::new(200, "text/html", html);
        }
        answer(request)
    }));
    let ran = Gate::verify(&canary.url(), Checks::fast()).run();
    assert_eq!(ran.status("smoke"), "fail", "{}", said(&ran));
    assert!(ran.detail("smoke").contains("holds credentials"), "{}", said(&ran));
    assert!(!ran.everything().contains("hunter2"));
    assert!(canary.seen().iter().all(|request| request.path != "/x.js"));
}

#[test]
fn a_policy_under_which_the_pages_scripts_cannot_run_is_warned_of() {
    const CSP: &str = "Content-Security-Policy";
    let site = || page("<script src=/x.js></script>").js("/x.js", "1");
    let nonced = || page("<script nonce=abc src=/x.js></script>").js("/x.js", "1");
    judge_all(&[
        case("self", site().header(CSP, "default-src 'self'"), "pass", &["1 asset"]),
        case(
            "another origin",
            site().header(CSP, "script-src https://cdn.example.net"),
            "warn",
            &["1 of its scripts cannot load", "script-src https://cdn.example.net"],
        ),
        case("by default", site().header(CSP, "default-src 'none'; style-src 'self'"), "warn", &["default-src 'none'"]),
        case(
            "strict-dynamic alone",
            site().header(CSP, "script-src 'self' 'strict-dynamic'"),
            "warn",
            &["'strict-dynamic'"],
        ),
        case(
            "strict-dynamic with a nonce",
            nonced().header(CSP, "script-src 'strict-dynamic' 'nonce-abc'"),
            "pass",
            &["1 asset"],
        ),
        case("another nonce", nonced().header(CSP, "script-src 'nonce-xyz'"), "warn", &["nonce-xyz"]),
        case(
            "every policy applies",
            site().header(CSP, "script-src 'self'").header(CSP, "script-src 'none'"),
            "warn",
            &["script-src 'none'"],
        ),
        case(
            "two in one header",
            site().header(CSP, "script-src 'self', script-src 'none'"),
            "warn",
            &["script-src 'none'"],
        ),
        case(
            "only reported",
            site().header("Content-Security-Policy-Report-Only", "script-src 'none'"),
            "pass",
            &["1 asset"],
        ),
        case(
            "in the page",
            page("<meta http-equiv=content-security-policy content=\"script-src 'none'\"><script src=/x.js></script>")
                .js("/x.js", "1"),
            "warn",
            &["script-src 'none'"],
        ),
    ]);
}

#[test]
fn imports_are_followed() {
    let entry =
        |source: &str| page("<script type=module src=/assets/index.js></script>").js("/assets/index.js", source);
    let missing = || entry("import{a}from\"./chunk.js\";a()").status("/assets/chunk.js", 404);
    judge_all(&[
        case(
            "one that is there",
            entry("import{a}from\"./chunk.js\"").js("/assets/chunk.js", "export const a=1"),
            "pass",
            &["2 assets loaded"],
        ),
        case(
            "one that is missing warns",
            missing(),
            "warn",
            &["script /assets/chunk.js (imported by /assets/index.js): 404"],
        ),
        case("or blocks", missing(), "fail", &["imported by /assets/index.js): 404"]).with("smoke.imports", "block"),
        case("or is not followed", missing(), "pass", &["1 asset loaded"]).with("smoke.imports", "off"),
        case(
            "the page for a missing one",
            entry("import'./chunk.js'").file("/assets/chunk.js", "text/html", "<!doctype html>"),
            "warn",
            &["of type text/html"],
        ),
        case(
            "an import of an import",
            entry("import'./a.js'").js("/assets/a.js", "export*from'./b.js'").status("/assets/b.js", 404),
            "warn",
            &["/assets/b.js (imported by /assets/a.js): 404"],
        ),
        case(
            "in a circle",
            entry("import'./a.js'").js("/assets/a.js", "import'./index.js';import'./a.js'"),
            "pass",
            &["2 assets loaded"],
        ),
        case(
            "a dynamic one is not followed",
            entry("import('./chunk.js')").status("/assets/chunk.js", 404),
            "pass",
            &["1 asset"],
        ),
        case(
            "one in a string",
            entry("const s=\"import './chunk.js'\"").status("/assets/chunk.js", 404),
            "pass",
            &["1 asset"],
        ),
        case(
            "of another origin",
            entry("import'https://esm.example.net/x.js'"),
            "pass",
            &["1 asset loaded, 1 of other origins"],
        ),
        case("a bare one", entry("import React from 'react'"), "warn", &["neither an address nor in an import map"]),
        case("a bare one blocks", entry("import React from 'react'"), "fail", &["'react' is neither"])
            .with("smoke.imports", "block"),
        case("a query is kept", entry("import'./a.js?v=2'").js("/assets/a.js?v=2", "1"), "pass", &["2 assets"]),
        case(
            "JSON by its type",
            entry("import a from './a.json' with {type:'json'}").file("/assets/a.json", "application/json", "[1]"),
            "pass",
            &["2 assets"],
        ),
        case(
            "a classic script imports nothing",
            page("<script src=/x.js></script>").js("/x.js", "a\nimport './y.js'"),
            "pass",
            &["1 asset"],
        ),
    ]);
}

#[test]
fn what_the_page_asks_for_and_where_its_import_map_leads_is_followed() {
    let entry =
        |source: &str| page("<script type=module src=/assets/index.js></script>").js("/assets/index.js", source);
    let map =
        |json: &str| page(&format!("<script type=importmap>{json}</script><script type=module>import 'app'</script>"));
    judge_all(&[
        case(
            "a style sheet's",
            page("<link rel=stylesheet href=/a.css>").file("/a.css", CSS, "@import 'b.css';").status("/b.css", 404),
            "warn",
            &["/b.css (imported by /a.css): 404"],
        ),
        case(
            "a preload that is missing warns",
            page("<link rel=preload as=script href=/p.js><script src=/x.js></script>")
                .js("/x.js", "1")
                .status("/p.js", 404),
            "warn",
            &["script /p.js: 404"],
        ),
        case(
            "a modulepreload that is missing fails",
            page("<link rel=modulepreload href=/p.js>").status("/p.js", 404),
            "fail",
            &["script /p.js: 404"],
        ),
        case(
            "a preload that the page needs fails",
            page("<link rel=preload as=script href=/p.js><script src=/p.js></script>").status("/p.js", 404),
            "fail",
            &["script /p.js: 404"],
        ),
        case(
            "a module in the page",
            page("<script type=module>import './m.js'</script>").status("/m.js", 404),
            "fail",
            &["script /m.js: 404"],
        ),
        case("a map's module", map(r#"{"imports":{"app":"/app.js"}}"#).js("/app.js", "1"), "pass", &["1 asset"]),
        case(
            "a map's module is missing",
            map(r#"{"imports":{"app":"/app.js"}}"#).status("/app.js", 404),
            "fail",
            &["script /app.js: 404"],
        ),
        case("a map without it", map(r#"{"imports":{}}"#), "fail", &["neither an address nor in an import map"]),
        case("a map that is broken", map("{"), "fail", &["import map: it is not JSON"]),
        case(
            "against the address after a redirect",
            entry("import'./b.js'")
                .redirect("/assets/index.js", "/v2/index.js")
                .js("/v2/index.js", "import'./b.js'")
                .js("/v2/b.js", "1"),
            "pass",
            &["2 assets"],
        ),
        case(
            "over the number",
            entry("import'./a.js';import'./b.js'").js("/assets/a.js", "1").js("/assets/b.js", "1"),
            "warn",
            &["1 import not followed", "/assets/b.js"],
        )
        .with("smoke.max_assets", 2),
    ]);
}

#[test]
fn redirects_of_assets_are_judged_by_where_they_end() {
    let site = || page("<script src=/x.js></script>");
    judge_all(&[
        case("in the origin", site().redirect("/x.js", "/y.js").js("/y.js", "1"), "pass", &["1 asset"]),
        case(
            "to a store of files",
            site().redirect("/x.js", "https://storage.example.net/bucket/x.js"),
            "warn",
            &["0 assets loaded, 1 of other origins"],
        ),
        case(
            "to a login",
            site().redirect("/x.js", "https://login.example.net/start?next=x.js"),
            "fail",
            &["redirects to another origin"],
        ),
        case("without end", site().redirect("/x.js", "/x.js"), "fail", &["redirects over 5 times"]),
    ]);
}

#[test]
fn the_keys_are_checked() {
    for (checks, piece) in [
        ("smoke: {imports: sometimes}", "unknown value \"sometimes\""),
        ("smoke: {min_assets: 201}", "min_assets is 201; want at most max_assets, 200"),
        ("smoke: {min_assets: -1}", "checks.yaml:1:"),
    ] {
        let ran = Gate::verify("http://127.0.0.1:1", checks).run();
        assert!(ran.code == 2 && ran.stderr.contains(piece), "{checks}: {} {}", ran.code, ran.stderr);
    }
}

#[test]
fn an_asset_in_the_clear_on_a_page_of_tls_is_refused() {
    let key = rcgen::generate_simple_self_signed(vec!["127.0.0.1".into()]).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![key.cert.der().clone()], key.signing_key.serialize_der().try_into().unwrap())
        .unwrap();
    let config = Arc::new(config);
    let mixed =
        || page("<script src=/x.js></script><script src=http://cdn.example.net/y.js></script>").js("/x.js", "1");
    for (site, status, piece) in [
        (mixed(), "fail", "browsers refuse it as mixed content"),
        (mixed().header("Content-Security-Policy", "upgrade-insecure-requests"), "pass", "1 of other origins"),
        (
            page("<script src=/x.js></script>").redirect("/x.js", "http://cdn.example.net/x.js"),
            "fail",
            "browsers refuse http://",
        ),
    ] {
        let canary = site.start_with(Start { tls: Some(config.clone()), ..Start::default() });
        let mut gate = Gate::verify(&canary.url(), Checks::fast()).args(["--ca-file", "ca.pem"]);
        gate.file("ca.pem", key.cert.pem());
        let ran = gate.run();
        assert_eq!(ran.status("smoke"), status, "{}\n{}", said(&ran), ran.stderr);
        assert!(said(&ran).contains(piece), "{}", said(&ran));
    }
}
