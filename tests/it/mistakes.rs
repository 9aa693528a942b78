//! `canary-gate checks --validate`: every mistake of a checks file and of its rules file, with nothing asked of anybody.

use std::io::Write as _;
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::canary::Fault;
use crate::gate::{Gate, Ran, each};

/// Validates text from standard input.
fn validate(text: impl AsRef<[u8]>) -> Ran {
    let mut gate = Gate::new().args(["checks", "--validate", "-"]);
    let command = gate.command().stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // A gate that has read enough may be gone.
    let _ = child.stdin.take().unwrap().write_all(text.as_ref());
    gate.ran(&child.wait_with_output().unwrap())
}

const FIVE: &str = "\
timeout: 30
health:
  enabled: yes
  expect:
    status: {is: 200}
metrics:
  thresholds:
    - expr: |
        sum(a)
          <= b c
  tresholds: []
";

#[test]
fn five_mistakes_are_five_lines_in_the_order_of_the_file() {
    let wanted = "\
canary-gate: 5 mistakes:
checks.yaml:1:10: timeout wants a duration such as 30s, found 30 [wrong-type]
checks.yaml:3:12: health.enabled wants true or false, found the text \"yes\" [wrong-type]
checks.yaml:5:13: health.expect.status wants a list such as [200], found a mapping [wrong-type]
checks.yaml:10:16: unexpected \"c\", want an operator or the end [promql]
  <= b c
       ^
checks.yaml:11:3: unknown key \"tresholds\"; did you mean \"thresholds\"? [unknown-key]
";
    let mut gate = Gate::new();
    gate.file("checks.yaml", FIVE);
    let ran = gate.args(["checks", "--validate", "checks.yaml"]).run();
    assert_eq!((ran.code, &*ran.stderr, &*ran.stdout), (2, wanted, ""));
    // A run says the same before its first request.
    let canary = Fault::named("none").unwrap().start();
    let ran = Gate::verify(&canary.url(), FIVE).run();
    assert_eq!((ran.code, &*ran.stderr), (2, wanted));
    assert!(canary.seen().is_empty() && ran.report.is_null());
    let ran = validate(FIVE);
    assert_eq!((ran.code, ran.stderr), (2, wanted.replace("checks.yaml", "standard input")));
}

#[test]
fn a_file_without_a_mistake_is_said_to_be_one_in_a_line() {
    let printed = Gate::new().args(["checks"]).run().stdout;
    for text in [&*printed, "headers: {Authorization: \"Bearer env:NOT_SET\", X-Key: \"file:/no/such/file\"}\n"] {
        let ran = validate(text);
        let wanted = "standard input: no mistake; 5 checks enabled\n";
        assert_eq!((ran.code, &*ran.stdout, &*ran.stderr), (0, wanted, ""), "{text}");
    }
}

#[test]
fn scalars_are_taken_for_lists_of_one() {
    let ran = validate(
        "health: {expect: {status: 200, body: x}}\nmetrics: {require: up, thresholds: []}\nsmoke: {page: null}\n",
    );
    assert_eq!(ran.code, 0, "{}", ran.stderr);
}

#[test]
fn the_mistakes_of_a_rules_file_carry_its_own_name() {
    let rules = "\
groups:
- name: app
  rules:
  - alert: Errors
    expr: >-
      sum(rate(errors_total[1m]))
      > > 1
    for: 5
  - alert: null
    expr: up == 0
    labels: {severity: null}
";
    let mut gate = Gate::new();
    std::fs::create_dir(gate.folder().join("gate")).unwrap();
    gate.file("gate/checks.yaml", "timeout: 5\nmetrics: {rules: app.rules}\n");
    gate.file("gate/app.rules", rules);
    let ran = gate.args(["checks", "--validate", "gate/checks.yaml"]).run();
    let places: Vec<&str> = ran.stderr.lines().filter_map(|line| line.split(": ").next()).collect();
    let files: Vec<&&str> = places.iter().filter(|place| place.starts_with("gate/")).collect();
    assert_eq!(
        files,
        [
            &"gate/checks.yaml:1:10",
            &"gate/app.rules:7:9",
            &"gate/app.rules:8:10",
            &"gate/app.rules:9:12",
            &"gate/app.rules:11:24",
        ],
        "{}",
        ran.stderr
    );
    assert_eq!(ran.code, 2);
    assert!(ran.stderr.contains("groups[0].rules[1].alert wants text, found null [wrong-type]"), "{}", ran.stderr);
    assert!(!ran.stderr.contains("deserialize"), "{}", ran.stderr);
    let ran = validate("metrics: {rules: missing.rules}\n");
    assert!(ran.stderr.contains("standard input:1:18: the rules file missing.rules: "), "{}", ran.stderr);
}

/// The examples of `docs/checks.md` are what the code says.
#[test]
fn the_example_of_each_code_has_that_mistake_alone() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/checks.md");
    let text = std::fs::read_to_string(path).unwrap();
    let examples: Vec<(String, String)> = text
        .lines()
        .filter_map(|line| {
            let cells: Vec<&str> = line.strip_prefix("| `")?.split('|').map(str::trim).collect();
            let (code, example) = (cells[0].trim_end_matches('`'), cells[2].trim_matches('`'));
            (!example.is_empty()).then(|| (code.to_owned(), example.to_owned()))
        })
        .collect();
    assert!(examples.len() >= 20, "{}", examples.len());
    each(&examples, |(code, example)| {
        let ran = validate(example);
        let codes = ran.stderr.matches(&format!("[{code}]")).count();
        let one = ran.stderr.starts_with("canary-gate: standard input:") && codes == 1;
        if ran.code == 2 && one { Ok(()) } else { Err(format!("{code}: {example}: {}", ran.stderr)) }
    });
}

#[test]
fn whatever_is_fed_is_answered_soon_and_short() {
    let bomb = {
        let mut text =
            "http: [{name: a, path: /, expect: {json: [{path: $.a, equals: [&a [x,x,x,x,x,x,x,x,x]".to_owned();
        for (name, of) in [("b", "a"), ("c", "b"), ("d", "c"), ("e", "d"), ("f", "e"), ("g", "f"), ("h", "g")] {
            text += &format!(", &{name} [{}]", vec![format!("*{of}"); 9].join(","));
        }
        text + "]}]}}]\n"
    };
    let keys: String = (0..50_000).map(|index| format!("k{index}: 1\n")).collect();
    let few_keys: String = (0..5_000).map(|index| format!("k{index}: 1\n")).collect();
    let cases: Vec<(&str, Vec<u8>, &str)> = vec![
        ("alias bomb", bomb.into_bytes(), "repeat over 50000 values"),
        ("100 MB", vec![b'#'; 100_000_000], "over 1 MiB"),
        ("binary", vec![0x7f, b'E', b'L', b'F', 0xff], "not UTF-8"),
        ("nul", b"timeout: 1s\n\0".to_vec(), "binary"),
        ("deep", "[".repeat(1_000_000).into_bytes(), "nested over 32 levels"),
        ("deep mappings", "{a: ".repeat(200_000).into_bytes(), "nested over 32 levels"),
        ("many keys", keys.into_bytes(), "over 20000 values"),
        ("unknown keys", few_keys.into_bytes(), "5000 mistakes"),
        ("a long word", format!("timeout: {}\n", "x".repeat(1_000_000)).into_bytes(), "is not a duration"),
        (
            "a long line",
            format!("metrics: {{thresholds: [{{expr: \"up {} )\"}}]}}\n", " ".repeat(500_000)).into_bytes(),
            "promql",
        ),
    ];
    for (name, text, piece) in cases {
        let began = Instant::now();
        let ran = validate(&text);
        assert!(ran.code == 2 && ran.stderr.contains(piece), "{name}: {}", ran.stderr);
        assert!(ran.stderr.len() < 20_000, "{name}: {} bytes", ran.stderr.len());
        // Unoptimized and beside other tests; what is not bounded takes minutes.
        assert!(began.elapsed() < Duration::from_secs(20), "{name}: {:?}", began.elapsed());
    }
}
