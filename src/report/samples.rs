//! Summaries of every kind, for the tests of every format: their texts are held to the files in `golden/`.

use std::path::Path;
use std::time::{Duration, SystemTime};

use super::Format;
use crate::outcome::{
    Course, CoursePoint, DeploymentFacts, ElementSeen, Exit, IntervalSeen, IntervalUnit, Observation, Outcome, Place,
    Purpose, Retry, Seen, Serving, Severity, Share, Source, Status, Summary, ThresholdSeen, ThresholdVerdict,
    Unfinished,
};

/// Control characters, the ends of CDATA and comments, markup, Markdown, directives of TAP and of workflows, YAML.
pub(super) const HOSTILE: &str = "\u{1b}[31m\0\u{7}\u{202e}]]>--><script>alert(1)</script>&lt;\"' | a | `b` **c** \
                                  [d](javascript:e) # SKIP %0A\r\n::error::x\n---\n...\nnot ok 1\u{fffe}";

fn check(name: &str, status: Status, detail: &str) -> Outcome {
    Outcome {
        name: name.into(),
        status,
        severity: Severity::Block,
        attempts: u32::from(status != Status::Skipped),
        started: (status != Status::Skipped).then_some(Duration::from_millis(20)),
        retries: Vec::new(),
        duration: Duration::from_millis(1_234),
        limit: Duration::from_secs(30),
        detail: detail.into(),
        observations: Vec::new(),
        place: None,
    }
}

fn threshold(name: &str, expression: &str, status: Status, elements: &[(&str, f64, f64)], detail: &str) -> Observation {
    let verdict = match (status, elements) {
        (_, []) => ThresholdVerdict::NoData,
        (Status::Pass, _) => ThresholdVerdict::Pass,
        _ => ThresholdVerdict::Fail,
    };
    let element = |(provider, value, limit): &(&str, f64, f64)| ElementSeen {
        labels: if provider.is_empty() { Vec::new() } else { vec![("provider".into(), (*provider).into())] },
        value: *value,
        limit: Some(*limit),
    };
    let severity = if status == Status::Warn { Severity::Warn } else { Severity::Block };
    let (compared, elements) = (elements.len(), elements.iter().map(element).collect());
    let seen =
        ThresholdSeen { expression: expression.into(), verdict, severity, compared, elements, courses: Vec::new() };
    let place = Some(Source { file: "checks.yaml".into(), place: Place { line: 12, column: 9 } });
    let side = expression.split(" <").next().unwrap_or_default();
    let reproduce = (status != Status::Pass)
        .then(|| format!("canary-gate query '{side}' --url https://canary---shop-abc123-ew.a.run.app/metrics"));
    Observation { place, reproduce, ..Observation::new(Seen::Threshold(seen), name, status, detail) }
}

fn request(name: &str, status: Status, detail: &str) -> Observation {
    let reproduce = (status != Status::Pass).then(|| {
        let path = name.trim_start_matches("GET ");
        format!("curl -sS -i -H \"Authorization: Bearer $TOKEN\" 'https://canary---shop-abc123-ew.a.run.app{path}'")
    });
    Observation { is_quoted: true, reproduce, ..Observation::new(Seen::Request, name, status, detail) }
}

fn facts() -> DeploymentFacts {
    let text = |text: &str| Some(text.to_owned());
    let share = |revision: &str, percent, tag: &str| Share { revision: revision.into(), percent, tag: text(tag) };
    DeploymentFacts {
        project: text("shop-1234"),
        region: text("europe-west1"),
        service: text("shop"),
        revision: text("shop-00042-xyz"),
        phase: text("canary"),
        release: text("rel-042"),
        rollout: text("rel-042-to-run-0001"),
        pipeline: text("shop-pipeline"),
        pipeline_project: text("shop-1234"),
        pipeline_region: text("europe-west1"),
        target: text("run"),
        share: Some(20),
        rolled_back: None,
        serving: Some(Serving {
            image: text("europe-west1-docker.pkg.dev/shop-1234/images/shop:1.4.2@sha256:0123456789abcdef"),
            commit: text("0e5c1a2"),
            traffic: vec![share("shop-00041-abc", 80, "stable"), share("shop-00042-xyz", 20, "canary")],
        }),
    }
}

fn summary(checks: Vec<Outcome>) -> Summary {
    Summary {
        purpose: Purpose::Verify,
        url: Some("https://canary---shop-abc123-ew.a.run.app".into()),
        deployment: None,
        // 2026-11-26 20:49:14 UTC
        started_at: SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_726_154),
        duration: Duration::from_millis(125_678),
        stood_still: None,
        checks,
        unfinished: None,
    }
}

fn hit_rate(status: Status, value: f64, detail: &str) -> Observation {
    threshold("cache hit rate", "sum(hits) / (sum(hits) + sum(misses)) > 0.8", status, &[("", value, 0.8)], detail)
}

/// A measure of the traffic beside stable's.
fn beside(name: &str, status: Status, (low, estimate, high): (f64, f64, f64), detail: &str) -> Observation {
    let is_share = name == "errors";
    let (unit, tolerated, bound) =
        if is_share { (IntervalUnit::Share, 0.0, 0.01) } else { (IntervalUnit::Ratio, 1.1, 1.25) };
    let interval = IntervalSeen { unit, estimate, low, high, tolerated, bound, pairs: 600 };
    let mut seen = Observation::new(Seen::Measure, format!("{name} beside stable"), status, detail);
    seen.expected = Some(if is_share { "<= +1.00 %".into() } else { "<= 1.25×".into() });
    seen.interval = Some(Box::new(interval));
    seen
}

fn traffic(latency: Observation) -> Outcome {
    let mut traffic = check("traffic", latency.status, &format!("{}: {}", latency.name, latency.detail));
    let errors =
        beside("errors", Status::Pass, (-0.0007, 0.0, 0.005), "+0.00 % of requests [-0.07, 0.50] over 600 pairs");
    traffic.observations = vec![latency, errors];
    traffic
}

fn pass() -> Summary {
    let mut ready = check("ready", Status::Pass, "GET /: 200; identity proven");
    let retry = |attempt, at, cause: &str| Retry { attempt, at: Duration::from_millis(at), cause: cause.into() };
    ready.attempts = 3;
    ready.retries = vec![retry(1, 120, "GET /: 503, still starting"), retry(2, 640, "GET /: 503, still starting")];
    ready.observations =
        vec![Observation::note("identity", Status::Pass, "proven"), request("GET /", Status::Pass, "200")];
    let mut metrics = check("metrics", Status::Pass, "2 thresholds hold; 67 samples of 22 metrics");
    metrics.observations = vec![
        threshold("failures", "(sum(f) or vector(0)) <= 2", Status::Pass, &[("", 1.0, 2.0)], "1, want <= 2"),
        hit_rate(Status::Pass, 0.912_345_678, "0.9123, want > 0.8"),
    ];
    Summary {
        deployment: Some(facts()),
        ..summary(vec![
            ready,
            metrics,
            check("smoke", Status::Skipped, "switched off"),
            traffic(beside("latency", Status::Pass, (0.97, 1.02, 1.08), "1.02× [0.97, 1.08] over 600 pairs")),
        ])
    }
}

fn warn() -> Summary {
    let mut metrics = check("metrics", Status::Warn, "cache hit rate: 0.5, want > 0.8");
    metrics.observations = vec![hit_rate(Status::Warn, 0.5, "0.5, want > 0.8")];
    let mut health = check("health", Status::Warn, "GET /health: 500, want 200");
    health.severity = Severity::Warn;
    let unproven = "1.1× [0.93, ∞] over 600 pairs: at most 1.25× is not proven, about 900 needed";
    let latency = beside("latency", Status::Warn, (0.93, 1.1, f64::INFINITY), unproven);
    summary(vec![check("ready", Status::Pass, "GET /: 200"), health, metrics, traffic(latency)])
}

/// Two sides over a window, of which one passes its limit.
fn courses() -> Vec<Course> {
    let side = |target: &str, step: f64| {
        let point = |number: i32| {
            let value = if number == 7 { f64::NAN } else { 0.1 + step * f64::from(number) };
            CoursePoint { at: i64::from(number) * 5_000, value, limit: 0.5, holds: value.is_nan() || value < 0.5 }
        };
        Course { labels: vec![("target".into(), target.into())], points: (0..25).map(point).collect() }
    };
    vec![side("canary", 0.02), side("stable", 0.001)]
}

/// A threshold with courses: two minutes, a sample every five seconds.
fn watched(name: &str) -> Observation {
    let mut latency = threshold(name, "latency < 0.5", Status::Fail, &[("", 0.58, 0.5)], "0.58, want < 0.5");
    if let Seen::Threshold(seen) = &mut latency.seen {
        seen.courses = courses();
    }
    latency
}

fn fail() -> Summary {
    let mut metrics = check("metrics", Status::Fail, "failures: {provider=\"a\"} 3, want <= 2 (and 1 more)");
    metrics.observations = vec![
        threshold(
            "failures",
            "sum by (provider) (f) <= 2",
            Status::Fail,
            &[("a", 3.0, 2.0), ("b", 1.0, 2.0)],
            "{provider=\"a\"} 3, want <= 2",
        ),
        threshold("lost < 1", "lost < 1", Status::Fail, &[], "no data: there is no metric lost"),
        hit_rate(Status::Pass, 0.9, "0.9, want > 0.8"),
        watched("latency"),
    ];
    let mut readiness = check("readiness", Status::Fail, "GET /health/readiness: 404, want 200");
    readiness.observations = vec![request("GET /health/readiness", Status::Fail, "404, want 200")];
    Summary {
        deployment: Some(facts()),
        ..summary(vec![
            check("ready", Status::Pass, "GET /: 200"),
            readiness,
            metrics,
            traffic(beside(
                "latency",
                Status::Fail,
                (1.31, 1.42, 1.55),
                "1.42× [1.31, 1.55] over 600 pairs: slower than the tolerated 1.10× (p < 0.0001)",
            )),
        ])
    }
}

fn error() -> Summary {
    summary(vec![
        check("ready", Status::Error, "the Cloud Run Admin API cannot be reached: refused"),
        check("health", Status::Skipped, "not run, because ready did not pass"),
    ])
}

fn interrupted() -> Summary {
    let unfinished = Some(Unfinished { cause: "interrupted by SIGTERM".into(), exit: Exit::NoVerdict });
    let health = check("health", Status::Error, "interrupted; the last attempt: GET /health: 503, want 200");
    Summary { unfinished, ..summary(vec![check("ready", Status::Pass, "GET /: 200"), health]) }
}

/// A run that has only begun.
fn unseen() -> Summary {
    let unfinished = Some(Unfinished { cause: "not finished".into(), exit: Exit::NoVerdict });
    Summary { url: None, duration: Duration::ZERO, unfinished, ..summary(Vec::new()) }
}

/// A canary that says of everything what harms most.
fn saying(said: &str) -> Summary {
    let mut metrics = check(said, Status::Fail, said);
    metrics.retries = vec![Retry { attempt: 1, at: Duration::from_millis(100), cause: said.into() }];
    metrics.observations = vec![
        threshold(said, said, Status::Fail, &[(said, f64::INFINITY, f64::NAN)], said),
        request(said, Status::Fail, said),
        Observation::note(said, Status::Warn, said),
    ];
    metrics.place = Some(Source { file: said.into(), place: Place { line: 1, column: 1 } });
    let text = || Some(said.to_owned());
    let facts = DeploymentFacts { release: text(), revision: text(), service: text(), phase: text(), ..facts() };
    let skipped = check("smoke", Status::Skipped, said);
    Summary { url: text(), deployment: Some(facts), ..summary(vec![metrics, skipped]) }
}

/// Every kind of summary, by name.
pub(super) fn all() -> [(&'static str, Summary); 7] {
    [
        ("pass", pass()),
        ("warn", warn()),
        ("fail", fail()),
        ("error", error()),
        ("interrupted", interrupted()),
        ("unseen", unseen()),
        ("hostile", saying(HOSTILE)),
    ]
}

/// 20 thresholds over two minutes.
pub(super) fn large() -> Summary {
    let mut metrics = check("metrics", Status::Fail, "latency 0: 0.58, want < 0.5 (and 19 more)");
    metrics.observations = (0..20).map(|number| watched(&format!("latency {number}"))).collect();
    Summary { deployment: Some(facts()), ..summary(vec![metrics]) }
}

/// 10 KB of it in every text.
pub(super) fn endless() -> Summary {
    saying(&HOSTILE.repeat(10_240 / HOSTILE.len() + 1))
}

/// The formats that are made of a summary: evidence is recorded.
fn of_a_summary() -> impl Iterator<Item = Format> {
    Format::ALL.into_iter().filter(|format| *format != Format::Evidence)
}

#[test]
fn every_format_of_every_kind_is_as_it_was() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/report/golden");
    let mut differing = String::new();
    for format in of_a_summary() {
        for (name, summary) in all() {
            let text = format.render(&summary).unwrap();
            let file = folder.join(format!("{name}.{}", format.name()));
            if std::env::var_os("UPDATE_GOLDEN").is_some() {
                std::fs::write(&file, &text).unwrap();
            }
            if std::fs::read_to_string(&file).unwrap_or_default() != text {
                differing += &format!("{}:\n{text}\n", file.display());
            }
        }
    }
    assert!(
        differing.is_empty(),
        "{differing}\nUPDATE_GOLDEN=1 cargo test --lib writes them anew; look at what changed"
    );
}

#[test]
fn no_format_lets_a_canary_draw_or_break_out() {
    for format in of_a_summary() {
        for summary in [saying(HOSTILE), endless()] {
            let text = format.render(&summary).unwrap();
            let bad = |c: char| (c.is_control() && c != '\n') || matches!(c, '\u{202e}' | '\u{fffe}');
            assert!(!text.chars().any(bad), "{format:?}: {:?}", text.chars().find(|c| bad(*c)));
            for line in text.lines() {
                assert!(!line.starts_with("not ok 1\\") && !line.starts_with("::error::x"), "{format:?}: {line}");
            }
            // The commands stand in a block of code.
            let text = text.split("\n## To see the same").next().unwrap();
            let is_markup = matches!(format, Format::Junit | Format::Markdown | Format::Html);
            assert!(!is_markup || !text.contains("<script>alert"), "{format:?}");
        }
    }
}
