//! `canary-gate query`: one expression over a file or a live scrape.

use std::sync::Arc;

use serde_json::json;

use crate::canary::Fault;
use crate::canary::server::{Canary, Reply, Request};
use crate::gate::{Gate, Ran};
use crate::raw::Raw;

const SERIES: &str = "\
# TYPE requests_total counter
requests_total{code=\"200\"} 0 1000
requests_total{code=\"200\"} 60 61000
requests_total{code=\"500\"} 0 1000
requests_total{code=\"500\"} 6 61000
# TYPE temperature gauge
temperature NaN 61000
# TYPE idle_total counter
";

fn query(series: &str, args: &[&str]) -> Ran {
    let mut gate = Gate::new().args(["query", "--file", "series.txt"]).args(args.iter().copied());
    gate.file("series.txt", series);
    gate.run()
}

#[test]
fn json_is_what_prometheus_answers() {
    #[rustfmt::skip]
    let cases = [
        ("requests_total{code=\"200\"}", r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{"__name__":"requests_total","code":"200"},"value":[61,"60"]}]}}"#),
        ("1 / 0", r#"{"status":"success","data":{"resultType":"scalar","result":[61,"+Inf"]}}"#),
        ("temperature", r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{"__name__":"temperature"},"value":[61,"NaN"]}]}}"#),
        ("\"text\"", r#"{"status":"success","data":{"resultType":"string","result":[61,"text"]}}"#),
        ("missing", r#"{"status":"success","data":{"resultType":"vector","result":[]}}"#),
        ("requests_total{code=\"500\"}[2m]", r#"{"status":"success","data":{"resultType":"matrix","result":[{"metric":{"__name__":"requests_total","code":"500"},"values":[[1,"0"],[61,"6"]]}]}}"#),
        ("sum(increase(requests_total[1m10s]))", r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[61,"66"]}]}}"#),
        ("-requests_total{code=\"500\"} ^ 2", r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{"code":"500"},"value":[61,"-36"]}]}}"#),
        ("-time()", r#"{"status":"success","data":{"resultType":"scalar","result":[61,"-61"]}}"#),
        ("label_join(temperature, \"x\", \"-\")", r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{"__name__":"temperature"},"value":[61,"NaN"]}]}}"#),
    ];
    for (expr, wanted) in cases {
        let ran = query(SERIES, &["--format", "json", expr]);
        assert_eq!((ran.code, ran.stdout.trim()), (0, wanted), "{expr}: {}", ran.stderr);
    }
}

#[test]
fn the_time_may_be_given() {
    let at = |time: &str| query(SERIES, &["--format", "json", "--time", time, "sum(requests_total)"]).stdout;
    assert!(at("1.5").contains(r#"[1.5,"0"]"#), "{}", at("1.5"));
    assert!(at("300").contains(r#"[300,"66"]"#));
    // The sample is gone exactly five minutes later: the lookback is open on the left.
    assert!(at("361").contains(r#""result":[]"#));
    assert!(at("360.999").contains(r#""66""#));
    assert_eq!(query(SERIES, &["--time", "soon", "up"]).code, 2);
}

#[test]
fn a_table_is_for_a_person() {
    let ran = query(SERIES, &["requests_total"]);
    assert_eq!(ran.stdout, "requests_total{code=\"200\"}  60\nrequests_total{code=\"500\"}  6\n");
    for (expr, why) in [
        ("request_total", "empty result: there is no metric request_total; similar: requests_total"),
        ("idle_total", "idle_total is declared but has no sample yet"),
        (
            "requests_total{code=\"404\"}",
            "no series of requests_total has the wanted label code; its values are \"200\", \"500\"",
        ),
        ("requests_total > 100", "empty result: no element is left"),
    ] {
        let ran = query(SERIES, &[expr]);
        assert_eq!((ran.code, &*ran.stdout), (0, ""), "{expr}");
        assert!(ran.stderr.contains(why), "{expr}: {}", ran.stderr);
    }
}

#[test]
fn what_is_rejected_is_shown_with_its_place() {
    for (expr, wanted) in [
        (
            "sum(requests_total",
            "unexpected end of the expression, want \",\" or \")\" (column 19)\n  sum(requests_total\n                    ^",
        ),
        ("rate(requests_total)", "rate wants a range vector here, and this is an instant vector"),
        ("requests_total + on(code) requests_total{code=~\".+\"} == ", "unexpected end"),
        (
            "holt_winters(a[5m], 1, 2)",
            "the function holt_winters is experimental in Prometheus; it is not supported here",
        ),
        ("info(a)", "not supported here"),
        ("histogram_avg(a)", "works on native histograms"),
        ("limitk(1, a)", "limitk is experimental"),
        ("1 + on(code) requests_total", "need an instant vector on both sides"),
        ("sum(requests_total) without", "unexpected end"),
        ("{}", "at least one matcher"),
        ("a[0s]", "a range must be greater than 0"),
        ("a offset", "want a duration"),
        ("", "the expression is empty"),
    ] {
        let ran = query(SERIES, &["--", expr]);
        assert_eq!(ran.code, 2, "{expr}: {}", ran.stdout);
        assert!(ran.stderr.contains(wanted), "{expr}: {}", ran.stderr);
    }
    let many = query(SERIES, &["requests_total * on() requests_total"]);
    assert!(many.code == 2 && many.stderr.contains("many-to-many matching not allowed"), "{}", many.stderr);
    let file = query("up 1\nup{ 2\n", &["up"]);
    assert_eq!(file.code, 2);
    assert!(file.stderr.contains("series.txt:2:5: want a label name, found '2'\n  up{ 2\n      ^"), "{}", file.stderr);
}

#[test]
fn the_format_of_a_file_is_found_out_or_given() {
    let openmetrics = "# TYPE a counter\na_total 1 60\n# EOF\n";
    assert_eq!(query(openmetrics, &["a_total"]).stdout, "a_total  1\n");
    let ran = query(openmetrics, &["--exposition", "prometheus", "--format", "json", "a_total"]);
    assert!(ran.stdout.contains(r#"[0.06,"1"]"#), "milliseconds there: {}", ran.stdout);
    assert_eq!(query("a 1\n", &["--exposition", "openmetrics", "a"]).code, 2);
}

#[test]
fn a_live_scrape_is_queried() {
    let canary = Fault::named("failures-split").unwrap().start();
    let url = format!("{}/api/metrics", canary.url());
    let ran = Gate::new().args(["query", "sum by (provider) (memory_analysis_failure_total)", "--url", &url]).run();
    assert_eq!(ran.stdout, "{provider=\"anthropic\"}  1\n{provider=\"openai\"}     2\n", "{}", ran.stderr);
    let missing = Gate::new().args(["query", "up", "--url", &format!("{}/nowhere", canary.url())]).run();
    assert_eq!(missing.code, 3);
    assert!(missing.stderr.contains("404, want 200"), "{}", missing.stderr);
}

#[test]
fn a_scrape_is_asked_for_and_refused_as_in_the_gate() {
    let canary = Canary::start(Arc::new(|_: &Request| Reply::new(200, "text/plain", "m 1\n")));
    let ran = Gate::new().args(["query", "m", "--url", &canary.url(), "--header", "Accept: text/plain"]).run();
    assert_eq!((ran.code, &*canary.seen()[0].headers["accept"]), (0, "text/plain"), "{}", ran.stderr);
    let unmarked = Raw::start(|_| Some(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\nm 1\n".to_vec()));
    let ran = Gate::new().args(["query", "m", "--url", &unmarked.url()]).run();
    assert!(ran.code == 3 && ran.stderr.contains("nothing marks the end of the body"), "{}", ran.stderr);
}

#[test]
fn a_server_is_asked_with_nothing_that_is_for_scrapes_and_its_warnings_are_shown() {
    let server = Canary::start(Arc::new(|request: &Request| {
        let (_, time) = crate::prometheus::asked(request);
        let result = json!([{"metric": {}, "value": [time, "7"]}]);
        let data = json!({"resultType": "vector", "result": result});
        Reply::json(200, &json!({"status": "success", "warnings": ["store-1 is down"], "data": data}).to_string())
    }));
    let checks = format!("metrics: {{source: prometheus, url: \"{}\", require: []}}\n", server.url());
    for (args, code, piece) in [
        (&[][..], 0, "the server warns: store-1 is down"),
        (&["--url", "http://127.0.0.1:1"], 2, "--url does not apply"),
        (&["--header", "X-A: b"], 2, "--header does not apply"),
        (&["--url", "http://127.0.0.1:1", "--window", "5s"], 2, "does not apply"),
    ] {
        let mut gate = Gate::new().args(["query", "m", "--checks", "checks.yaml"]).args(args.iter().copied());
        gate.file("checks.yaml", &checks);
        let ran = gate.run();
        assert_eq!(ran.code, code, "{args:?}: {}", ran.stderr);
        assert!(ran.stderr.contains(piece), "{args:?}: {}", ran.stderr);
    }
}

#[test]
fn a_secret_in_a_label_is_hidden_and_numbers_stay() {
    let canary = Canary::start(Arc::new(|request: &Request| {
        let sent = request.headers.get("x-secret").cloned().unwrap_or_default();
        Reply::new(200, "text/plain", format!("m{{a=\"{sent}\",b=\"\u{202e}\"}} 30000\n"))
    }));
    for (format, wanted) in [
        ("json", r#""metric":{"__name__":"m","a":"***","b":"\u202e"},"value":["#),
        ("json", r#","30000"]"#),
        ("table", "m{a=\"***\", b=\"\\u{202e}\"}  30000\n"),
    ] {
        let gate = Gate::new().args(["query", "m", "--url", &canary.url(), "--header", "X-Secret: env:S"]);
        let ran = gate.args(["--format", format]).env("S", "30000").run();
        assert!(ran.stdout.contains(wanted), "{}{}", ran.stdout, ran.stderr);
    }
}
