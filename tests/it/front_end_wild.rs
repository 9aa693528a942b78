//! Front ends as the common tools build them, and the ways in which they break: each with the verdict that a browser would give.

use crate::front_end::{CSS, Case, JS, Site, case, judge_all, page};

const CSP: &str = "Content-Security-Policy";

/// What a bundler puts around its chunks.
const VITE: &str = "const __vite__mapDeps=(i,m=__vite__mapDeps,d=(m.f||(m.f=[\"assets/lazy.js\"])))=>i.map(i=>d[i]);\
                    import{r as e,j as t}from\"./vendor.js\";const n=/^[/'\"`]$/;var r=(a,b)=>a/b/2;\
                    t(()=>e(()=>import(\"./lazy.js\"),__vite__mapDeps([0])),`a${n}b`);export{r as default};\n//# sourceMappingURL=x.map";

fn vite() -> Site {
    page(
        "<html><head><link rel=icon href=/vite.svg><script type=module crossorigin src=/assets/index.js></script>\
         <link rel=modulepreload crossorigin href=/assets/vendor.js>\
         <link rel=stylesheet crossorigin href=/assets/index.css>\
         <script type=module>import.meta.url;import(\"_\").catch(()=>1);(async function*(){})().next();window.m=true</script>\
         <script type=module>!function(){if(window.m)return;document.write('<script src=\"/legacy.js\">')}();</script></head>\
         <body><div id=root></div><script nomodule crossorigin src=/assets/polyfills-legacy.js></script>\
         <script nomodule id=vite-legacy-entry data-src=/assets/index-legacy.js>System.import('x')</script></body></html>",
    )
    .js("/assets/index.js", VITE)
    .js("/assets/vendor.js", "export const r=1,j=2;")
    .file("/assets/index.css", CSS, "#root{margin:0}")
}

fn next() -> Site {
    page(
        "<html><head><link rel=preload as=script fetchPriority=low href='/_next/static/chunks/webpack.js?dpl=7'>\
         <link rel=stylesheet href='/_next/static/css/app.css?dpl=7' data-precedence=next>\
         <script src='/_next/static/chunks/main.js?dpl=7' async></script>\
         <script src='/_next/static/chunks/polyfills.js?dpl=7' noModule></script></head><body>\
         <script src='/_next/static/chunks/webpack.js?dpl=7' id=_R_ async></script>\
         <script>(self.__next_f=self.__next_f||[]).push([0])</script>\
         <script id=__NEXT_DATA__ type=application/json>{\"page\":\"/\"}</script></body></html>",
    )
    .js("/_next/static/chunks/webpack.js?dpl=7", "(()=>{\"use strict\"})();")
    .js("/_next/static/chunks/main.js?dpl=7", "(self.webpackChunk_N_E=self.webpackChunk_N_E||[]).push([[1],{}]);")
    .file("/_next/static/css/app.css?dpl=7", CSS, "body{}")
}

fn angular(base: &str) -> Site {
    page(&format!(
        "<html><head><base href='{base}'><link rel=stylesheet href=styles.css media=print onload=\"this.media='all'\">\
         <noscript><link rel=stylesheet href=styles.css></noscript></head><body><app-root></app-root>\
         <link rel=modulepreload href=chunk-AB.js><script src=polyfills.js type=module></script><script src=main.js type=module>\
         </script></body></html>"
    ))
    .js("/main.js", "import{a as s}from\"./chunk-AB.js\";s();")
    .js("/polyfills.js", "var a=globalThis;")
    .js("/chunk-AB.js", "export{a};function a(){}")
    .file("/styles.css", CSS, "body{margin:0}")
}

fn bundlers() -> Vec<Case> {
    vec![
        case("Vite with its legacy plugin", vite(), "pass", &["3 assets loaded"]),
        case("Vite, a chunk of the entry is gone", vite().status("/assets/vendor.js", 404), "fail", &["/assets/vendor.js: 404"]),
        case(
            "Vite, its sources are served unbuilt",
            page("<script type=module src=/src/main.tsx></script>").file("/src/main.tsx", "video/mp2t", "import React from 'react'"),
            "fail",
            &["of type video/mp2t, want a script"],
        ),
        case("Vite, a public path of //", page("<script type=module src=//assets/index.js></script>"), "warn", &["0 assets loaded, 1 of other origins"]),
        case("webpack, a public path of undefined", page("<script defer src=undefined/main.js></script>"), "fail", &["/undefined/main.js: 404"]),
        case(
            "Create React App",
            page("<link rel=manifest href=/manifest.json><script defer=defer src=/static/js/main.js></script>\
                  <noscript>You need to enable JavaScript to run this app.</noscript>")
            .js("/static/js/main.js", "/*! For license information please see main.js.LICENSE.txt */\n(()=>{var e={}})();"),
            "pass",
            &["1 asset loaded"],
        ),
        case("a placeholder that nobody filled in", page("<script src=%PUBLIC_URL%/main.js></script>"), "fail", &["404"]),
        case("Next", next(), "pass", &["3 assets loaded"]),
        case("Next, another deployment answers", next().status("/_next/static/chunks/main.js?dpl=7", 404), "fail", &["main.js?dpl=7: 404"]),
        case("Angular", angular("/"), "pass", &["4 assets loaded"]),
        case("Angular without global styles", angular("/").file("/styles.css", CSS, ""), "warn", &["/styles.css: 200, but it is empty"]),
        case("Angular built for another folder", angular("/app/").file("/app/main.js", "text/html", "<!doctype html>"), "fail", &["/app/main.js"]),
        case(
            "SvelteKit",
            page("<link href=/_app/immutable/entry/start.js rel=modulepreload><script>{Promise.all([import('/_app/immutable/entry/start.js')])}</script>")
                .js("/_app/immutable/entry/start.js", "import'../chunks/a.js';").js("/_app/immutable/chunks/a.js", "export{};"),
            "pass",
            &["2 assets loaded"],
        ),
        case(
            "React Router, a module in the page",
            page("<script type=module async>import \"/assets/manifest.js\";\nimport * as route0 from \"/assets/root.js\";\n\
                  window.__m={root:route0};\n\nimport(\"/assets/entry.client.js\");</script>")
            .js("/assets/manifest.js", "window.x=1").status("/assets/root.js", 404),
            "fail",
            &["script /assets/root.js: 404"],
        ),
        case(
            "Nuxt, with an import map of its entry",
            page("<script type=importmap>{\"imports\":{\"#entry\":\"/_nuxt/x.js\"}}</script><script type=module src=/_nuxt/y.js crossorigin></script>")
                .js("/_nuxt/x.js", "export const a=1").js("/_nuxt/y.js", "import{a}from\"#entry\""),
            "pass",
            &["2 assets loaded"],
        ),
        case(
            "Rails, with pins and a shim from elsewhere",
            page("<script type=importmap data-turbo-track=reload>{\"imports\":{\"application\":\"/assets/application.js\",\"controllers/\":\"/assets/controllers/\"}}</script>\
                  <link rel=modulepreload href=/assets/application.js><script src=https://ga.jspm.io/shims.js async></script>\
                  <script type=module>import \"application\"</script>")
            .js("/assets/application.js", "import \"controllers/a.js\"").js("/assets/controllers/a.js", "1"),
            "pass",
            &["2 assets loaded, 1 of other origins"],
        ),
    ]
}

fn servers() -> Vec<Case> {
    let script = || page("<script src=/x.js></script>");
    vec![
        case("the fallback behind a comment of its build", script().file("/x.js", JS, "<!-- built 2026 -->\n<!doctype html>"), "fail", &["an HTML page"]),
        case("a proxy that answers in text", script().file("/x.js", JS, "no healthy upstream"), "fail", &["not a script: no healthy upstream"]),
        case("types that a slim image does not know", script().file("/x.js", "text/plain; charset=utf-8", "run()"), "fail", &["of type text/plain"]),
        case("a bucket's error", script().file("/x.js", JS, "<?xml version='1.0' encoding='UTF-8'?><Error><Code>NoSuchKey</Code></Error>"), "fail", &["XML"]),
        case("a message of an error", script().file("/x.js", JS, "Error: file not found"), "fail", &["not a script: Error: file not found"]),
        case("a script of PHP that was not run", script().file("/x.js", JS, "<?php echo 1;"), "fail", &["/x.js: 200 and text/javascript, but the body is"]),
        case("a string in place of a script", script().file("/x.js", JS, "\"Not Found\""), "warn", &["it does nothing, it is one value alone"]),
        case("a script of comments", script().file("/x.js", JS, "/* nothing */"), "warn", &["it is nothing but comments"]),
        case("a message as a style sheet", page("<link rel=stylesheet href=/x.css>").file("/x.css", CSS, "Error { not found }"), "fail", &["not a style sheet"]),
        case("a charset of one byte a character", script().file("/x.js", "text/javascript; charset=windows-1251", "run()"), "pass", &["1 asset"]),
        case("a map's entry that nothing imports", page("<script type=importmap>{\"imports\":{\"data\":\"/gone.json\"}}</script><script src=/x.js></script>").js("/x.js", "1"), "pass", &["1 asset"]),
        case("a map's data, imported as data", page("<script type=importmap>{\"imports\":{\"data\":\"/d.json\"}}</script><script type=module>import d from 'data' with {type:'json'}</script>").file("/d.json", "application/json", "[1]"), "pass", &["1 asset"]),
        case("a map's module that only a script imports is gone", page("<script type=importmap>{\"imports\":{\"app\":\"/gone.js\"}}</script><script type=module src=/x.js></script>").js("/x.js", "import 'app'").status("/gone.js", 404), "fail", &["/gone.js (imported by /x.js): 404"]),
        case("a page that goes on at once", script().js("/x.js", "1").header("Refresh", "0; url=/gone"), "warn", &["it goes on to /gone by itself"]),
        case("a script of a drawing is gone", page("<svg><script href=/gone.js></script></svg>").status("/gone.js", 404), "fail", &["/gone.js: 404"]),
        case("what is only preloaded is not needed", page("<link rel=preload as=script href=/x.js>").js("/x.js", "1"), "fail", &["0 loaded, want at least 1"]).with("smoke.min_assets", 1),
        case("a path that wants a login", script().redirect("/x.js", "/login").file("/login", "text/html", "<!doctype html>"), "fail", &["of type text/html"]),
        case("a warning of PHP in front of the script", script().file("/x.js", JS, "<br />\n<b>Warning</b>: x\nrun()"), "fail", &["an HTML page"]),
        case("a component that nobody asked for", page("<template><link rel=stylesheet href=/gone.css></template><script src=/x.js></script>").js("/x.js", "1"), "pass", &["1 asset"]),
        case("a comment for old browsers", page("<!--[if lt IE 9]><script src=/shim.js></script><![endif]--><script src=/x.js></script>").js("/x.js", "1"), "pass", &["1 asset"]),
        case("a single file", page("<style>body{}</style><script>run()</script>"), "warn", &["names no script and no style sheet"]),
        case("a single file that is meant", page("<script>run()</script>"), "pass", &["0 assets"]).with("smoke.min_assets", 0),
        case("a type that only a loader runs", page("<script type=1a2b-text/javascript src=/gone.js></script><script src=/x.js></script>").js("/x.js", "1"), "pass", &["1 asset"]),
        case("fonts from elsewhere", page("<link rel=stylesheet href='https://fonts.example.com/css2?family=A'><script src=/x.js></script>").js("/x.js", "1"), "pass", &["1 of other origins"]),
        case(
            "helmet's policy",
            script().js("/x.js", "1").header(CSP, "default-src 'self';base-uri 'self';script-src 'self';script-src-attr 'none';style-src 'self' https: 'unsafe-inline';upgrade-insecure-requests"),
            "pass",
            &["1 asset"],
        ),
        case(
            "a policy whose nonce nobody filled in",
            page("<script nonce='' src=/x.js></script>").js("/x.js", "1").header(CSP, "script-src 'nonce-r4nd0m' 'strict-dynamic' https: 'unsafe-inline'"),
            "warn",
            &["1 of its scripts cannot load"],
        ),
        case("a policy for another host", script().js("/x.js", "1").header(CSP, "script-src https://app.example.com"), "warn", &["https://app.example.com"]),
        case("a sandbox", script().js("/x.js", "1").header(CSP, "sandbox"), "warn", &["sandbox without allow-scripts"]),
        case(
            "a theme that is imported",
            page("<style>@import url('/theme.css') layer(base);</style>").file("/theme.css", CSS, "@import \"./fonts.css\";").file("/fonts.css", CSS, "a{}"),
            "pass",
            &["2 assets loaded"],
        ),
        case("a script tag that closes itself", page("<script src=/x.js /><link rel=stylesheet href=/gone.css></script>").js("/x.js", "1"), "pass", &["1 asset"]),
    ]
}

#[test]
fn what_bundlers_build_is_judged_as_a_browser_would() {
    judge_all(&bundlers());
}

#[test]
fn what_servers_do_to_it_is_judged_as_a_browser_would() {
    judge_all(&servers());
}
