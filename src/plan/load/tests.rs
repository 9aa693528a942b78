//! From a file's text to a plan or to all of its mistakes.

use std::path::Path;
use std::time::Duration;

use super::*;
use crate::plan::{CheckSpec, Kind, Metrics, RuleStep};

/// Every secret is there, and one rules file.
struct Fixed;

impl Lookup for Fixed {
    fn env(&self, _: &str) -> Result<String, String> {
        Ok("secret".into())
    }
    fn file(&self, _: &str) -> Result<String, String> {
        Ok("secret".into())
    }
    fn text(&self, path: &Path) -> Result<String, Diagnostic> {
        match path.to_str() {
            Some("dir/app.rules") => {
                Ok("groups:\n- name: a\n  rules:\n  - alert: Down\n    expr: >-\n      up\n      == 0\n".into())
            }
            Some("dir/bad.rules") => {
                Ok("groups:\n- name: a\n  rules:\n  - alert: Down\n    expr: >-\n      up\n      == (\n    for: 30\n"
                    .into())
            }
            Some("dir/more/records.yml") => Ok("groups: [{name: r, rules: [{record: r, expr: up}]}]\n".into()),
            Some("dir/more/alerts.yml") => Ok("groups: [{name: a, rules: [{alert: Slow, expr: r > 1}]}]\n".into()),
            _ => Err(Diagnostic::new(code::FILE, None, "the file cannot be opened")),
        }
    }
    fn names(&self, folder: &Path) -> Vec<String> {
        match folder.to_str() {
            Some("dir/more") => vec!["records.yml".into(), "alerts.yml".into(), "notes.txt".into()],
            _ => Vec::new(),
        }
    }
}

fn input(text: &str) -> PlanInput {
    PlanInput { file: Some(("dir/c.yaml".into(), text.into())), ..PlanInput::default() }
}

fn mistakes(input: &PlanInput) -> Vec<String> {
    let Err(mistakes) = input.plan(&Fixed) else { return Vec::new() };
    mistakes.iter().map(ToString::to_string).collect()
}

fn check<'p>(plan: &'p Plan, name: &str) -> &'p CheckSpec {
    plan.checks.iter().find(|check| check.name == name).unwrap()
}

fn metrics(plan: &Plan) -> &Metrics {
    match &check(plan, "metrics").kind {
        Kind::Metrics(metrics) => metrics,
        _ => panic!("metrics are another kind"),
    }
}

#[test]
fn the_embedded_default_is_a_plan_without_places() {
    let plan = PlanInput::default().plan(&Fixed).unwrap();
    assert_eq!(plan.checks.len(), 5);
    assert!(plan.checks.iter().all(|check| check.place.is_none()));
    assert!(metrics(&plan).thresholds.iter().all(|threshold| threshold.place.is_none()));
}

#[test]
fn places_stay_after_validation() {
    let text = "health: {timeout: 1m}\nmetrics:\n  rules: app.rules\n  thresholds:\n  - expr: |\n      up > 0\n\
                http:\n- name: more\n  path: /\n";
    let plan = input(text).plan(&Fixed).unwrap();
    let shown = |place: &Option<crate::outcome::Source>| {
        place.as_ref().map_or("nowhere".to_owned(), |source| format!("{}:{}", source.file, source.place))
    };
    let checks: Vec<_> = plan.checks.iter().map(|check| (&*check.name, shown(&check.place))).collect();
    let nowhere = || "nowhere".to_owned();
    assert_eq!(
        checks,
        [
            ("ready", nowhere()),
            ("health", "dir/c.yaml:1:9".into()),
            ("readiness", nowhere()),
            ("metrics", "dir/c.yaml:2:1".into()),
            ("smoke", nowhere()),
            ("more", "dir/c.yaml:8:3".into()),
        ]
    );
    let thresholds: Vec<_> = metrics(&plan).thresholds.iter().map(|threshold| shown(&threshold.place)).collect();
    assert_eq!(thresholds, ["dir/c.yaml:6:7", "dir/app.rules:6:7"]);
}

#[test]
fn every_mistake_is_reported_in_the_order_of_its_place() {
    let text = "timeout: 30\nhelth: {}\nhealth:\n  expect: {status: ok}\n  backoff: {initial: 1m, max: 1s}\nmetrics:\n  \
                thresholds:\n  - expr: sum(a) >\n  - {name: x, exp: up > 0}\n  rules: bad.rules\nsmoke: {concurrency: 0}\n";
    let found = mistakes(&input(text));
    let starts: Vec<&str> = found.iter().map(|mistake| mistake.split([';', ',', '(']).next().unwrap()).collect();
    assert_eq!(
        starts,
        [
            "dir/c.yaml:1:10: timeout wants a duration such as 30s",
            "dir/c.yaml:2:1: unknown key \"helth\"",
            "dir/c.yaml:4:20: health.expect.status wants a whole number",
            "dir/c.yaml:5:22: backoff.initial ",
            "dir/c.yaml:8:19: unexpected end of the expression",
            "dir/c.yaml:9:15: unknown key \"exp\"",
            "dir/c.yaml:11:22: concurrency is 0",
            "dir/bad.rules:7:11: unexpected end of the expression",
            "dir/bad.rules:8:10: groups[0].rules[0].for wants a duration such as 5m",
        ],
        "{found:#?}"
    );
}

#[test]
fn consequences_of_a_mistake_are_not_reported() {
    for text in [
        "metrics: {sorce: prometheus, url: \"https://p.example.com\"}",
        "metrics: {source: promethius, url: \"https://p.example.com\"}",
        "metrics: {source: prometheus, url: [1]}",
        "metrics: {source: prometheus, ulr: \"https://p.example.com\"}",
        "metrics: {window: 10s, timeout: 5}",
        "metrics: {windw: 10s, interval: 20s}",
        "health: {backoff: {initial: 1h, maxx: 2h}}",
        "health: {backoff: {initial: 1h, max: 2}}",
        "health: {expect: {json: [{path: $.a, equal: 1}]}}",
        "health: {expect: {json: [{path: $.a, is: 1}]}}",
        "health: {expect: {json: [{pth: $.a, equals: 1}]}}",
        "health: {expect: {status: [[]]}}",
        "smoke: {requests: [{pth: /}], page: null}",
        "http: [{nam: a, path: /}]",
        "http: [{name: a, path: x}, {name: b, path: /}]",
        "http: [{name: a, url: /}]",
        "readiness: 5\nhttp: [{name: a, path: /}]",
        "readiness: {backoff: {initial: 1h}}\nhttp: [{name: a, path: /}, {name: b, path: /}]",
        "metrics: {rules: app.rules, severities: {critical: blok}}",
        "metrics: {rules: {file: app.rules}}",
        "metrics: {thresholds: [{expr: up > 0, severity: [], on_no_data: fail}]}",
        "{ready: {enabled: no}, health: {enabled: false}, readiness: {enabled: false}, metrics: {enabled: false}, \
         smoke: {enabled: false}}",
    ] {
        let found = mistakes(&input(text));
        assert_eq!(found.len(), 1, "{text}: {found:#?}");
    }
}

#[test]
fn no_mistake_points_into_the_embedded_default() {
    for (text, wanted) in [
        ("metrics: {timeout: 5s,\n  window: 10s}", "dir/c.yaml:2:11: metrics.window (10s) does not fit"),
        ("metrics: {window: 3s}", "dir/c.yaml:1:19: metrics.interval (5s) is longer than metrics.window (3s)"),
        ("metrics:\n  interval: 20s\n  window: 10s", "dir/c.yaml:2:13: metrics.interval (20s) is longer"),
        ("health: {backoff: {initial: 1h}}", "dir/c.yaml:1:29: backoff.initial (1h) is longer"),
        ("health: {backoff: {max: 1ms}}", "dir/c.yaml:1:25: backoff.initial (1s) is longer"),
        ("smoke: {requests: []\n, page: null}", "dir/c.yaml:2:9: smoke has neither"),
        ("metrics: {source: prometheus}", "dir/c.yaml:1:19: source: prometheus needs metrics.url"),
        ("metrics: {token: \"env:A\"}", "dir/c.yaml:1:18: metrics.url and metrics.token belong to"),
        ("http: [{name: a, path: /, backoff: {initial: 1h}}]", "dir/c.yaml:1:46: backoff.initial (1h)"),
    ] {
        let found = mistakes(&input(text));
        assert!(found.len() == 1 && found[0].starts_with(wanted), "{text}: {found:#?}");
    }
}

#[test]
fn a_mistake_in_an_expression_has_its_true_place() {
    let rules = |style: &str| format!("metrics:\n  thresholds:\n  - expr: {style}\n    severity: warn\n");
    for (style, wanted) in [
        ("sum(a) > b c", "3:22"),
        ("sum(a)\n      > b c", "4:11"),
        ("'sum(a)\n      > b c'", "4:11"),
        ("\"sum(a)\n      > b c\"", "4:11"),
        ("\"{x=\\\"1\\\"} > b c\"", "3:26"),
        ("'{x=''1''} > b c'", "3:26"),
        ("|\n      sum(a)\n        > b c", "5:13"),
        ("|-\n\n      sum(a)\n\n      > b c", "7:11"),
        (">\n      sum(a)\n      > b c", "5:11"),
        (">-\n      sum(a)\n\n        > b c\n", "6:13"),
        ("|2\n      sum(a)\n      > b c", "5:11"),
        ("\"{x=\\\"ä\\\"} \\\n      > b c\"", "4:11"),
        ("&e |\n      sum(a)\n      > b c", "5:11"),
        ("# why\n      sum(a) > b c", "4:18"),
    ] {
        let found = mistakes(&input(&rules(style)));
        let start = format!("dir/c.yaml:{wanted}: unexpected");
        assert!(found.len() == 1 && found[0].starts_with(&start), "{style}: {found:#?}");
        let lines: Vec<&str> = found[0].lines().collect();
        let under = lines[1].chars().nth(lines[2].chars().position(|c| c == '^').unwrap()).unwrap();
        assert!(under == 'c', "{style}: {}", found[0]);
    }
}

#[test]
fn a_file_over_the_default_changes_what_it_says() {
    let default = PlanInput::default().plan(&Fixed).unwrap();
    let plan =
        input("health: {timeout: 1m, backoff: {max: 3s}}\nmetrics: {require: a, thresholds: []}").plan(&Fixed).unwrap();
    let (new, old) = (&check(&plan, "health").policy, &check(&default, "health").policy);
    assert_eq!((new.limit, new.retry.max), (Duration::from_mins(1), Duration::from_secs(3)));
    assert_eq!((new.retry.initial, new.retry.retries), (old.retry.initial, old.retry.retries));
    assert_eq!((metrics(&plan).require.as_slice(), metrics(&plan).thresholds.len()), (&["a".to_owned()][..], 0));
    assert_eq!(check(&plan, "smoke").policy.limit, check(&default, "smoke").policy.limit);
}

#[test]
fn flags_are_checked_with_the_file() {
    let flags = PlanInput {
        timeout: Some("soon".into()),
        window: Some("0s".into()),
        thresholds: vec!["up".into(), "up > 0".into()],
        warnings: vec!["up >".into()],
        ..input("timeout: 30")
    };
    let found = mistakes(&flags);
    let starts: Vec<&str> = found.iter().map(|mistake| mistake.split(' ').next().unwrap()).collect();
    assert_eq!(starts, ["dir/c.yaml:1:10:", "--threshold", "--timeout:", "--warn", "--window:"], "{found:#?}");
}

#[test]
fn no_text_makes_the_reader_panic_or_point_outside_of_it() {
    let default: Vec<char> = DEFAULT.chars().collect();
    let odd: Vec<char> = "[]{}:,&*!|>'\"%@`#-?~<=\\ \n\t\r\u{e9}\u{feff}\u{1f600}0a".chars().collect();
    // A fixed sequence of numbers: what fails once fails again.
    let mut state: usize = 1;
    let mut next = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    for round in 0..400 {
        let mut text = default.clone();
        for _ in 0..=next(4) {
            let at = next(text.len());
            match next(3) {
                0 => text[at] = odd[next(odd.len())],
                1 => text.insert(at, odd[next(odd.len())]),
                _ => drop(text.drain(at..(at + 1 + next(12)).min(text.len()))),
            }
        }
        let text: String = text.into_iter().collect();
        let lines: Vec<&str> = text.split(['\n', '\r']).collect();
        for mistake in input(&text).plan(&Fixed).err().unwrap_or_default() {
            let Some(place) = mistake.place.filter(|_| mistake.file.as_deref() == Some("dir/c.yaml")) else { continue };
            let line = usize::try_from(place.line - 1).unwrap();
            assert!(line <= lines.len(), "round {round}: {mistake}");
            let longest = lines.iter().map(|line| line.chars().count()).max().unwrap_or_default();
            assert!(usize::try_from(place.column).unwrap() <= longest + 2, "round {round}: {mistake}");
        }
    }
}

#[test]
fn rules_come_from_several_files_in_their_order() {
    let steps = |rules: &str| -> Vec<String> {
        let plan = input(&format!("metrics: {{thresholds: [{{expr: up > 0}}], rules: {rules}}}")).plan(&Fixed).unwrap();
        let metrics = metrics(&plan);
        let shown = |step: &RuleStep| match step {
            RuleStep::Record(record) => format!("record {}", record.name),
            RuleStep::Alert(index) => format!("alert {}", metrics.thresholds[*index].label()),
        };
        metrics.rules.iter().map(shown).collect()
    };
    assert_eq!(steps("app.rules"), ["alert Down"]);
    assert_eq!(steps("[app.rules, more/*.yml]"), ["alert Down", "alert Slow", "record r"]);
    assert_eq!(steps("[more/records.yml, 'more/*.yml', more/alerts.yml]"), ["record r", "alert Slow"]);
    for (rules, wanted) in [
        ("none/*.yml", "dir/c.yaml:1:18: no rules file fits \"none/*.yml\""),
        ("[app.rules, 'more/*.yaml']", "dir/c.yaml:1:30: no rules file fits \"more/*.yaml\""),
        ("more/records.yml", "dir/c.yaml:1:18: the rules have no alert, and no threshold reads"),
        ("[app.rules, none.yml]", "dir/c.yaml:1:30: the rules file dir/none.yml: the file cannot be opened"),
        ("''", "dir/c.yaml:1:18: the path of a rules file is empty"),
        ("[[app.rules]]", "dir/c.yaml:1:19: metrics.rules[0] wants the path of a rules file, such as alerts.yml"),
    ] {
        let found = mistakes(&input(&format!("metrics: {{rules: {rules}}}")));
        assert!(found.len() == 1 && found[0].starts_with(wanted), "{rules}: {found:#?}");
    }
}

#[test]
fn a_rules_file_of_four_megabytes_is_read() {
    let mut text = String::from("groups:\n- name: a\n  rules:\n");
    let mut index = 0;
    while text.len() < 4_000_000 {
        text.push_str(&format!("  - alert: A{index}\n    expr: up == {index}\n    labels: {{severity: page}}\n"));
        index += 1;
    }
    let mut mistakes = Mistakes::of(Some(("a.rules", &text)));
    let mut rules = crate::plan::rules::Rules::default();
    crate::plan::rules::parse(&text, &mut rules, &mut mistakes);
    assert!(mistakes.is_empty() && rules.alerts.len() == index, "{:?}", mistakes.sorted().first());
    let bytes = |most: u64| text_of(vec![b'a'; usize::try_from(most + 1).unwrap()], most).unwrap_err().message;
    assert_eq!(bytes(MAX_FILE), "the file is over 1 MiB; no plan is that large");
    assert_eq!(bytes(MAX_RULES), "the file is over 4 MiB; no plan is that large");
}
