//! The ways in which the sample canary can be told to misbehave, and a few that only look like misbehaviour.

use std::sync::LazyLock;
use std::time::Duration;

use super::app::{self, Traffic, answer, answer_with, gzip};
use super::latency::{delayed, drawn};
use super::server::{Body, Canary, Reply, Request, Start};

pub struct Fault {
    pub name: &'static str,
    /// What the canary does, with the canary as the subject.
    pub about: &'static str,
    reply: fn(&Request) -> Reply,
    /// Makes what would take too long to make while a request waits.
    prepare: fn(),
    listen_after: Duration,
}

impl Fault {
    pub fn named(name: &str) -> Option<&'static Self> {
        FAULTS.iter().find(|fault| fault.name == name)
    }

    /// Starts a canary with this fault.
    pub fn start(&self) -> Canary {
        (self.prepare)();
        let reply = self.reply;
        let start = Start { listen_after: self.listen_after, tls: None };
        Canary::start_with(std::sync::Arc::new(reply), start)
    }
}

const fn fault(name: &'static str, about: &'static str, reply: fn(&Request) -> Reply) -> Fault {
    Fault { name, about, reply, prepare: || {}, listen_after: Duration::ZERO }
}

const DRIP: Duration = Duration::from_millis(20);

/// 200 MB, compressed.
static BOMB: LazyLock<Vec<u8>> = LazyLock::new(|| gzip(&vec![b' '; 200_000_000]));

/// The healthy application, except at one path.
fn at(path: &str, request: &Request, reply: impl FnOnce() -> Reply) -> Reply {
    if request.path == path { reply() } else { answer(request) }
}

fn health(request: &Request, body: &str) -> Reply {
    at("/api/health", request, || Reply::json(200, body))
}

/// The metrics as text, edited.
fn metrics(request: &Request, edit: impl FnOnce(String) -> String) -> Reply {
    at("/api/metrics", request, || Reply::new(200, app::TEXT, edit(app::metrics(&Traffic::default()))))
}

fn traffic(request: &Request, change: impl FnOnce(&mut Traffic)) -> Reply {
    let mut traffic = Traffic::default();
    change(&mut traffic);
    answer_with(request, &traffic)
}

fn script(request: &Request, reply: impl FnOnce() -> Reply) -> Reply {
    at(app::SCRIPT, request, reply)
}

fn html(body: impl Into<Vec<u8>>) -> Reply {
    Reply::new(200, "text/html", body)
}

fn without_family(text: &str, name: &str) -> String {
    let of_family = |line: &&str| {
        line.contains(&format!("# TYPE {name} ")) || line.contains(&format!("# HELP {name} ")) || line.starts_with(name)
    };
    text.lines().filter(|line| !of_family(line)).map(|line| format!("{line}\n")).collect()
}

/// The application's own metrics, followed by 20 MB of labelled counters.
fn large(mut text: String) -> String {
    text.push_str("# TYPE filler_total counter\n");
    let mut index = 0;
    while text.len() < 20_000_000 {
        text.push_str(&format!(
            "filler_total{{method=\"GET\",path=\"/api/v1/items/{index}\",status=\"200\"}} {index}\n"
        ));
        index += 1;
    }
    text
}

/// Every fault, the healthy canary first.
pub static FAULTS: &[Fault] = &[
    fault("none", "is healthy", answer),
    // ready
    Fault {
        listen_after: Duration::from_secs(1),
        ..fault("late-listening", "refuses connections at first, then serves", answer)
    },
    fault("starting", "answers 503 while it starts, then serves", |request| {
        if request.since_first < Duration::from_millis(500) {
            Reply::new(503, "text/plain", "starting")
        } else {
            answer(request)
        }
    }),
    fault("never-up", "answers 503 to everything, forever", |_| Reply::new(503, "text/plain", "no instance")),
    fault("bad-gateway", "answers 502 to everything, forever", |_| Reply::new(502, "text/plain", "bad gateway")),
    fault("hanging", "accepts connections and never answers", |_| Reply::new(200, "", "").body(Body::Hang)),
    fault("closing", "accepts connections and closes them", |_| Reply::new(200, "", "").body(Body::Close)),
    fault("root-404", "answers 404 for /: it serves, but has no front end", |request| {
        at("/", request, || Reply::json(404, "{}"))
    }),
    fault("root-redirects", "redirects / to a page on the same origin", |request| match &*request.path {
        "/" => Reply::new(302, "", "").header("Location", "/app/"),
        "/app/" => html(app::page()),
        _ => answer(request),
    }),
    // health
    fault("health-degraded", "reports the status degraded", |request| health(request, r#"{"status":"degraded"}"#)),
    fault("health-nested-ok", "reports a failure, with an ok deeper in the answer", |request| {
        health(request, r#"{"status":"fail","db":{"status":"ok"}}"#)
    }),
    fault("health-plain-text", "answers plain text that contains \"status\":\"ok\"", |request| {
        at("/api/health", request, || Reply::new(200, "text/plain", "all well: \"status\":\"ok\""))
    }),
    fault("health-array", "answers an array", |request| health(request, r#"[{"status":"ok"}]"#)),
    fault("health-almost-ok", "reports the status ok! (with an exclamation mark)", |request| {
        health(request, r#"{"status":"ok!"}"#)
    }),
    fault("health-500", "answers 500 with an ok body", |request| {
        at("/api/health", request, || Reply::json(500, r#"{"status":"ok"}"#))
    }),
    fault("health-404", "has no health endpoint", |request| at("/api/health", request, || Reply::json(404, "{}"))),
    fault("health-flapping", "fails three times, then recovers", |request| {
        if request.path == "/api/health" && request.before < 3 {
            return Reply::json(503, r#"{"status":"starting"}"#);
        }
        answer(request)
    }),
    fault("health-degraded-then-ok", "reports the status starting twice, then ok", |request| {
        if request.path == "/api/health" && request.before < 2 {
            return Reply::json(200, r#"{"status":"starting"}"#);
        }
        answer(request)
    }),
    fault("health-hangs-once", "never answers the first health request", |request| {
        if request.path == "/api/health" && request.before == 0 {
            return Reply::new(200, "", "").body(Body::Hang);
        }
        answer(request)
    }),
    fault("health-hangs", "never answers health requests", |request| {
        at("/api/health", request, || Reply::new(200, "", "").body(Body::Hang))
    }),
    fault("health-drips", "answers one byte at a time, without end", |request| {
        at("/api/health", request, || Reply::json(200, "").body(Body::Drip(b" ".to_vec(), DRIP)))
    }),
    fault("health-redirects", "redirects the health check to a login page", |request| {
        at("/api/health", request, || Reply::new(302, "", "").header("Location", "/login"))
    }),
    fault("rate-limited", "answers 429 with Retry-After once, then recovers", |request| {
        if request.path == "/api/health" && request.before == 0 {
            return Reply::json(429, "{}").header("Retry-After", "1");
        }
        answer(request)
    }),
    // readiness
    fault("not-ready", "answers 503 on readiness, forever", |request| {
        at("/health/readiness", request, || Reply::json(503, r#"{"ready":false}"#))
    }),
    fault("ready-later", "answers 503 on readiness twice, then 200", |request| {
        if request.path == "/health/readiness" && request.before < 2 {
            return Reply::json(503, r#"{"ready":false}"#);
        }
        answer(request)
    }),
    fault("readiness-204", "answers 204 on readiness", |request| {
        at("/health/readiness", request, || Reply::new(204, "", ""))
    }),
    fault("readiness-redirects", "redirects readiness", |request| {
        at("/health/readiness", request, || Reply::new(301, "", "").header("Location", "/health/readiness/"))
    }),
    fault("readiness-rate-limited", "asks for a longer wait than there is time", |request| {
        at("/health/readiness", request, || Reply::json(429, "{}").header("Retry-After", "3600"))
    }),
    // metrics
    fault("failures-2", "has two failures: exactly the limit", |request| {
        traffic(request, |traffic| traffic.failures = vec![("openai", "timeout", 2)])
    }),
    fault("failures-3", "has three failures of one kind", |request| {
        traffic(request, |traffic| traffic.failures = vec![("openai", "timeout", 3)])
    }),
    fault("failures-split", "has three failures, split across labels as 2 and 1", |request| {
        traffic(request, |traffic| traffic.failures = vec![("openai", "timeout", 2), ("anthropic", "rate_limit", 1)])
    }),
    fault("failures-odd-label", "has five failures under a label value with a comma, a brace and quotes", |request| {
        traffic(request, |traffic| traffic.failures = vec![("openai", "a, b} \"c\" 0", 5)])
    }),
    fault("hit-rate-80", "has a cache hit rate of exactly 80 %", |request| {
        traffic(request, |traffic| (traffic.cache_hits, traffic.cache_misses) = (80, 20))
    }),
    fault("hit-rate-low", "has a cache hit rate of 50 %", |request| {
        traffic(request, |traffic| (traffic.cache_hits, traffic.cache_misses) = (50, 50))
    }),
    fault("no-traffic", "is fresh: no failures and no cache lookups yet", |request| {
        traffic(request, |traffic| {
            *traffic = Traffic { failures: vec![], cache_hits: 0, cache_misses: 0, analyses: 0 };
        })
    }),
    fault("family-missing", "has lost the counter of failures", |request| {
        metrics(request, |text| without_family(&text, "memory_analysis_failure_total"))
    }),
    fault("failures-nan", "exposes NaN as the number of failures", |request| {
        metrics(request, |text| {
            without_family(&text, "memory_analysis_failure_total")
                + "# TYPE memory_analysis_failure_total counter\nmemory_analysis_failure_total NaN\n"
        })
    }),
    fault("duplicate-series", "exposes one series twice", |request| {
        metrics(request, |text| text + "memory_analysis_cache_size 41\n")
    }),
    fault("metrics-cut", "ends the metrics in the middle of a line", |request| {
        metrics(request, |text| text.trim_end_matches('\n').to_owned())
    }),
    fault("metrics-malformed", "exposes a line without a value", |request| {
        metrics(request, |text| text + "broken_metric\n")
    }),
    fault("metrics-html", "answers an HTML page instead of metrics", |request| {
        at("/api/metrics", request, || html(app::page()))
    }),
    fault("metrics-html-as-text", "answers an HTML page as text/plain", |request| metrics(request, |_| app::page())),
    fault("metrics-json", "answers JSON instead of metrics", |request| {
        at("/api/metrics", request, || Reply::json(200, r#"{"memory_analysis_failure_total":0}"#))
    }),
    fault("metrics-empty", "answers an empty body", |request| metrics(request, |_| String::new())),
    fault("metrics-untyped", "sends metrics without a content type", |request| {
        at("/api/metrics", request, || Reply::new(200, "", app::metrics(&Traffic::default())))
    }),
    fault("metrics-gzip", "compresses its metrics", |request| {
        at("/api/metrics", request, || {
            let body = gzip(app::metrics(&Traffic::default()).as_bytes());
            Reply::new(200, app::TEXT, body).header("Content-Encoding", "gzip")
        })
    }),
    fault("metrics-bad-gzip", "declares gzip and sends plain text", |request| {
        at("/api/metrics", request, || {
            Reply::new(200, app::TEXT, app::metrics(&Traffic::default())).header("Content-Encoding", "gzip")
        })
    }),
    Fault {
        prepare: || _ = LazyLock::force(&BOMB),
        ..fault("metrics-bomb", "sends 200 kB that decompress to 200 MB", |request| {
            at("/api/metrics", request, || Reply::new(200, app::TEXT, BOMB.clone()).header("Content-Encoding", "gzip"))
        })
    },
    fault("metrics-openmetrics", "speaks OpenMetrics", |request| {
        at("/api/metrics", request, || Reply::new(200, app::OPENMETRICS, app::openmetrics(&Traffic::default())))
    }),
    fault("metrics-openmetrics-cut", "speaks OpenMetrics and leaves out the final # EOF", |request| {
        at("/api/metrics", request, || {
            let text = app::openmetrics(&Traffic::default());
            Reply::new(200, app::OPENMETRICS, text.trim_end_matches("# EOF\n"))
        })
    }),
    fault("metrics-large", "exposes 20 MB of metrics", |request| metrics(request, large)),
    fault("metrics-endless", "sends metrics without end", |request| {
        at("/api/metrics", request, || Reply::new(200, app::TEXT, "").body(Body::Endless(vec![b'#'; 65536])))
    }),
    fault("metrics-drip", "sends metrics one byte at a time", |request| {
        at("/api/metrics", request, || {
            Reply::new(200, app::TEXT, "").body(Body::Drip(app::metrics(&Traffic::default()).into_bytes(), DRIP))
        })
    }),
    fault("metrics-reset", "resets the connection in the middle of the body, every time", |request| {
        at("/api/metrics", request, || {
            Reply::new(200, app::TEXT, "").body(Body::Reset(app::metrics(&Traffic::default()).into_bytes()))
        })
    }),
    fault("metrics-reset-once", "resets the connection in the middle of the body, once", |request| {
        if request.path == "/api/metrics" && request.before == 0 {
            return Reply::new(200, app::TEXT, "").body(Body::Reset(app::metrics(&Traffic::default()).into_bytes()));
        }
        answer(request)
    }),
    fault(
        "metrics-short-body",
        "sends fewer bytes than Content-Length promises, ending at the end of a line",
        |request| {
            at("/api/metrics", request, || {
                let text = app::metrics(&Traffic::default());
                let length = text.len() + 500;
                Reply::new(200, app::TEXT, "").body(Body::Cut(text.into_bytes(), length))
            })
        },
    ),
    fault("metrics-401", "requires authentication for its metrics", |request| {
        at("/api/metrics", request, || Reply::json(401, r#"{"detail":"unauthorized"}"#))
    }),
    fault("metrics-500-once", "answers 500 for metrics once", |request| {
        if request.path == "/api/metrics" && request.before == 0 { Reply::json(500, "{}") } else { answer(request) }
    }),
    // smoke
    fault("page-empty", "answers an empty page", |request| at("/", request, || html("  \n"))),
    fault("page-json", "answers JSON for the page", |request| at("/", request, || Reply::json(200, "{}"))),
    fault("assets-404", "has no /assets/", |request| at("/assets/", request, || Reply::json(404, "{}"))),
    fault("script-missing", "answers 404 for a script that the page names", |request| {
        script(request, || Reply::json(404, "{}"))
    }),
    fault("script-fallback", "answers the page for a missing script", |request| script(request, || html(app::page()))),
    fault("script-fallback-as-script", "answers the page for a missing script, labelled as JavaScript", |request| {
        script(request, || Reply::new(200, "text/javascript", app::page()))
    }),
    fault("script-empty", "serves an empty script", |request| {
        script(request, || Reply::new(200, "text/javascript", ""))
    }),
    fault("style-wrong-type", "serves the style sheet as text/plain", |request| {
        at(app::STYLE, request, || Reply::new(200, "text/plain", "body {}"))
    }),
    fault("module-missing", "answers 404 for a preloaded module", |request| {
        at(app::VENDOR, request, || Reply::json(404, "{}"))
    }),
    fault("script-503-once", "answers 503 for a script once", |request| {
        if request.path == app::SCRIPT && request.before == 0 { Reply::json(503, "{}") } else { answer(request) }
    }),
    fault("redirect-loop", "redirects the page to itself", |request| {
        at("/", request, || Reply::new(302, "", "").header("Location", "/?again"))
    }),
    fault("redirect-elsewhere", "redirects the page to another origin", |request| {
        at("/", request, || Reply::new(302, "", "").header("Location", "https://login.example.com/"))
    }),
    fault("page-text", "answers text for the page, labelled as HTML", |request| at("/", request, || html("OK"))),
    fault("page-gzip-unlabelled", "compresses the page and does not say so", |request| {
        at("/", request, || html(gzip(app::page().as_bytes())))
    }),
    fault("page-without-assets", "answers a page that names no script and no style sheet", |request| {
        at("/", request, || html("<!doctype html><title>Sample</title><p>Welcome"))
    }),
    fault("assets-elsewhere", "names all assets at an address of a developer's machine", |request| {
        at("/", request, || html(app::page().replace("\"/assets/", "\"https://localhost:8012/assets/")))
    }),
    fault("base-elsewhere", "sends browsers to another host for its assets, by a base element", |request| {
        at("/", request, || html(app::page().replace("<head>", "<head><base href=\"https://cdn.example.net/\">")))
    }),
    fault("import-missing", "answers 404 for a module that only the entry script imports", |request| {
        match &*request.path {
            "/" => html(app::page().replace("rel=\"modulepreload\"", "rel=\"prefetch\"")),
            app::VENDOR => Reply::json(404, "{}"),
            _ => answer(request),
        }
    }),
    fault("import-bare", "serves an entry script that imports a package by its name", |request| {
        script(request, || Reply::new(200, "text/javascript", "import React from \"react\";React"))
    }),
    fault("script-json", "serves JSON in place of a script", |request| {
        script(request, || Reply::new(200, "text/javascript", r#"{"detail":"Not Found"}"#))
    }),
    fault("script-gzip-unlabelled", "compresses a script and does not say so", |request| {
        script(request, || Reply::new(200, "text/javascript", gzip(app::script().as_bytes())))
    }),
    fault("script-not-text", "serves a script that holds NUL bytes", |request| {
        script(request, || Reply::new(200, "text/javascript", "export\0"))
    }),
    fault("integrity-broken", "serves another script than the page's integrity attribute demands", |request| {
        at("/", request, || html(app::page().replace("type=\"module\"", "type=\"module\" integrity=\"sha384-AAAA\"")))
    }),
    fault("csp-blocks", "sends a Content-Security-Policy under which its own scripts cannot run", |request| {
        at("/", request, || html(app::page()).header("Content-Security-Policy", "script-src 'strict-dynamic'"))
    }),
    // traffic: what is only seen beside a stable revision, or by many requests
    fault("steady", "takes some milliseconds for each answer, some more and some less", |request| {
        delayed(request, 1.0)
    }),
    fault("slower-by-third", "takes 1.3 times as long as the steady one", |request| delayed(request, 1.3)),
    fault("twice-as-slow", "takes twice as long as the steady one", |request| delayed(request, 2.0)),
    fault("slow-tail", "takes six times as long as the steady one for one in eight requests", |request| {
        delayed(request, if drawn(request, "tail", 8) { 6.0 } else { 1.0 })
    }),
    fault("cold-start", "is five times slower in its first requests, then as the steady one", |request| {
        delayed(request, if request.before < 8 { 5.0 } else { 1.0 })
    }),
    fault("some-errors", "answers 500 for one in eight items, and the steady one's answers else", |request| {
        if request.path == app::ITEMS && drawn(request, "error", 8) {
            return Reply::json(500, r#"{"detail":"no connection left in the pool"}"#);
        }
        delayed(request, 1.0)
    }),
    fault("type-changed", "gives the price of an item as a text", |request| match &*request.path {
        app::ITEMS => Reply::json(200, &app::items().replace("9.5", "\"9.5\"")),
        _ => answer(request),
    }),
    fault("route-removed", "does not know the items any more", |request| {
        at(app::ITEMS, request, || Reply::json(404, r#"{"detail":"Not Found"}"#))
    }),
    fault("items-hang", "never answers for one in eight items", |request| match &*request.path {
        app::ITEMS if drawn(request, "hang", 8) => Reply::new(200, "", "").body(Body::Hang),
        _ => delayed(request, 1.0),
    }),
    fault("items-rate-limited", "answers 429 for every other of the items", |request| match &*request.path {
        app::ITEMS if request.before % 2 == 1 => Reply::json(429, r#"{"detail":"Rate exceeded."}"#),
        _ => delayed(request, 1.0),
    }),
];
