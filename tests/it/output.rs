//! What the gate writes while it runs and how it is told to: progress, log, colour, help, and nothing of a secret anywhere.

use std::sync::Arc;

use serde_json::Value;

use crate::canary::app::answer;
use crate::canary::google::{ACCESS, SERVICE_URL, World, environment, id_token};
use crate::canary::server::{Canary, Reply, Request};
use crate::canary::{FAULTS, Fault};
use crate::checks::Checks;
use crate::gate::{Gate, Ran};

fn healthy() -> Canary {
    FAULTS[0].start()
}

#[test]
fn progress_is_a_line_for_each_thing_that_happens_unless_quiet() {
    let canary = Fault::named("health-flapping").unwrap().start();
    let ran = Gate::verify(&canary.url(), Checks::fast()).run();
    assert!(ran.stderr.contains("health: attempt 1 of 6: GET /api/health: 503, want 200"), "{}", ran.stderr);
    assert!(ran.stderr.contains("health: pass: GET /api/health: 200"), "{}", ran.stderr);
    for quiet in [
        Gate::verify(&canary.url(), Checks::fast()).args(["-q"]),
        Gate::verify(&canary.url(), Checks::fast()).env("CANARY_GATE_QUIET", "yes"),
    ] {
        let ran = quiet.run();
        assert_eq!((ran.code, &*ran.stderr), (0, ""));
        assert!(ran.stdout.contains("PASS in"));
    }
}

fn log_lines(ran: &Ran) -> Vec<Value> {
    ran.stderr.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"))).collect()
}

#[test]
fn the_log_is_one_json_object_a_line_as_cloud_logging_reads_it() {
    let canary = Fault::named("failures-3").unwrap().start();
    let ran = Gate::verify(&canary.url(), Checks::fast()).args(["--log-format", "json", "--log-level", "debug"]).run();
    assert_eq!(ran.code, 1);
    let lines = log_lines(&ran);
    assert!(
        lines
            .iter()
            .all(|line| line["severity"].is_string() && line["message"].is_string() && line["time"].is_string())
    );
    let failed = lines.iter().find(|line| line["severity"] == "ERROR").unwrap();
    assert_eq!(
        (&failed["labels"]["check"], &failed["message"]),
        (&"metrics".into(), &"metrics: fail: analysis failures: 3, want <= 2".into())
    );
    let requests: Vec<&Value> =
        lines.iter().map(|line| &line["httpRequest"]).filter(|request| !request.is_null()).collect();
    assert_eq!(requests.len(), canary.seen().len(), "{}", ran.stderr);
    for request in requests {
        assert_eq!((&request["requestMethod"], &request["status"]), (&"GET".into(), &200.into()));
        assert!(
            request["latency"].as_str().unwrap().ends_with('s') && request["responseSize"].is_string(),
            "{request}"
        );
    }
    let first = lines.iter().find(|line| !line["httpRequest"].is_null()).unwrap();
    assert!(first["connect"].is_number() && first["first_byte"].is_number() && first["body"].is_number(), "{first}");
    // At info, requests are left out; JSON alone means info.
    let ran = Gate::verify(&canary.url(), Checks::fast()).env("CANARY_GATE_LOG_FORMAT", "json").run();
    assert!(log_lines(&ran).iter().all(|line| line["httpRequest"].is_null()) && !ran.stderr.is_empty());
}

#[test]
fn the_log_takes_the_place_of_the_progress() {
    let canary = healthy();
    for (gate, piece) in [
        (Gate::verify(&canary.url(), Checks::fast()).args(["-v"]), "DEBUG answered method=GET url="),
        (Gate::verify(&canary.url(), Checks::fast()).args(["--log-level", "info"]), " INFO  health: pass"),
        (Gate::verify(&canary.url(), Checks::fast()).env("RUST_LOG", "canary_gate=debug"), "DEBUG answered"),
    ] {
        let ran = gate.run();
        assert!(ran.stderr.contains(piece), "{}", ran.stderr);
        assert!(!ran.stderr.lines().any(|line| line.starts_with('+')), "{}", ran.stderr);
    }
    let ran = Gate::verify(&canary.url(), Checks::fast()).env("RUST_LOG", "a=b=c").run();
    assert_eq!(ran.code, 2);
    assert!(ran.stderr.contains("RUST_LOG \"a=b=c\" cannot be read"), "{}", ran.stderr);
}

#[test]
fn the_log_is_a_complete_record_of_the_run() {
    let canary = Fault::named("failures-3").unwrap().start();
    let checks = Checks::fast().set("smoke.enabled", false);
    let ran = Gate::verify(&canary.url(), &checks).args(["--log-format", "json", "--report", "json=-"]).run();
    // The summary would stand between the entries.
    let lines = log_lines(&ran);
    assert_eq!(serde_json::from_str::<Value>(&ran.stdout).unwrap()["verdict"], "fail");
    let with =
        |message: &str| lines.iter().find(|line| line["message"] == message).unwrap_or_else(|| panic!("{message}"));
    assert_eq!(with("metrics: started")["severity"], "INFO");
    assert_eq!(with("smoke: skipped: switched off in the checks file")["labels"]["check"], "smoke");
    let last = lines.last().unwrap();
    assert_eq!((&last["severity"], &last["exit_code"]), (&"ERROR".into(), &1.into()), "{last}");
    assert!(last["message"].as_str().unwrap().starts_with("FAIL in "), "{last}");
    // What is found before a request is an entry too.
    let lines = log_lines(&Gate::verify("nowhere", "").args(["--log-format", "json"]).run());
    assert!(lines.last().unwrap()["message"].as_str().unwrap().contains("no scheme"), "{lines:?}");
}

#[test]
fn a_secret_that_is_an_ordinary_word_breaks_no_report() {
    let secret = "a\"b\\c";
    let canary = Canary::start(Arc::new(|request: &Request| match &*request.path {
        "/health/readiness" => Reply::json(400, &request.headers.get("x-secret").cloned().unwrap_or_default()),
        _ => answer(request),
    }));
    for secret in ["30000", "pass", "verdict", "INFO", "error", "message", secret] {
        let checks = Checks::fast().set("headers.X-Secret", "env:SECRET");
        for more in [&[][..], &["--log-format", "json"]] {
            let ran = Gate::verify(&canary.url(), &checks).args(more.iter().copied()).env("SECRET", secret).run();
            assert!(
                ran.report["verdict"].is_string() && ran.report["checks"][0]["limit_ms"].is_number(),
                "{}",
                ran.stderr
            );
            assert!(ran.stdout.contains("  pass  ") && !ran.stdout.contains("a\\\"b"), "{}", ran.stdout);
            if !more.is_empty() {
                assert!(log_lines(&ran).iter().all(|line| line["severity"].is_string()), "{}", ran.stderr);
            }
        }
    }
}

#[test]
fn what_is_refused_is_named_without_its_credentials() {
    let url = "https://user:hunter2@ho st/";
    for (args, checks, wanted) in [
        (&["verify", "--url", url][..], "", "--url: the URL \"https://***@ho st/\" cannot be read"),
        (&["verify", "--url", "https://h/?token=hunter2"], "", "--url: the URL \"https://h/?***\" has a query"),
        (&["query", "up", "--url", "user:hunter2@h"], "", "--url: the URL \"***@h\" has no scheme"),
        (
            &["query", "up", "--url", "http://h", "--header", "Authorization Bearer hunter2"],
            "",
            "--header: it has no colon",
        ),
        (
            &["query", "up", "--url", "http://h", "--header", "A B hunter2: x"],
            "",
            "--header: \"A…\" is not a header name",
        ),
        (
            &["checks", "--validate", "checks.yaml"],
            "metrics: {source: prometheus, url: \"ftp://user:hunter2@h\"}",
            "checks.yaml:1:36: the URL \"ftp://***@h\" has the scheme \"ftp\"",
        ),
        (&["checks", "--validate", "checks.yaml"], "metrics: {baseline: \"//u:hunter2@h\"}", "the URL \"//***@h\""),
        (
            &["checks", "--validate", "checks.yaml"],
            "{headers: {X-Api-Key: hunter2}, metrics: {thresholds: [{name: a, expr: \"up ==\"}]}}",
            "X-Api-Key: *******}",
        ),
        (&["checks", "--validate", "checks.yaml"], "timeout: \"https://u:hunter2@h\"", "is not a duration"),
        (&["checks", "--validate", "checks.yaml"], "headers: {X-Api-Key hunter2}", "headers.X-Api-Key… wants text"),
    ] {
        let mut gate = Gate::new().args(args.iter().copied());
        gate.file("checks.yaml", checks);
        let ran = gate.run();
        assert_eq!(ran.code, 2, "{args:?}");
        assert!(ran.stderr.contains(wanted) && !ran.everything().contains("hunter2"), "{args:?}: {}", ran.stderr);
    }
}

#[test]
fn one_failure_is_told_once() {
    let ran = Gate::new().args(["verify", "--url", "http://127.0.0.1:1", "--timeout", "1s"]).run();
    let table = ran.stdout.split("NO VERDICT").next().unwrap().split("FAIL in").next().unwrap();
    assert_eq!(table.matches("127.0.0.1:1 ").count() + table.matches("refused").count(), 1, "{}", ran.stdout);
}

/// A canary that repeats its caller's token wherever it can.
fn talkative(wanted: String) -> Canary {
    Canary::start(Arc::new(move |request: &Request| {
        let sent = request.headers.get("authorization").cloned().unwrap_or_default();
        if sent != wanted {
            return Reply::new(401, "text/html", "<html>").header("WWW-Authenticate", "Bearer error=\"invalid_token\"");
        }
        match &*request.path {
            "/health/readiness" => Reply::json(400, &format!(r#"{{"you sent":"{sent}"}}"#)),
            "/api/metrics" => Reply::new(200, "text/plain", format!("# TYPE m gauge\nm{{token=\"{sent}\"}} 5\n")),
            _ => answer(request),
        }
    }))
}

#[test]
fn nothing_that_is_written_holds_a_token() {
    let token = id_token(SERVICE_URL, 4_000_000_000);
    let canary = talkative(format!("Bearer {token}"));
    let google = World { identity: 404, ..World::of(&canary) }.serve();
    let checks = Checks::fast().set("metrics.require", Value::Array(Vec::new())).threshold("m < 1");
    for more in [&["--log-level", "trace"][..], &["--log-level", "trace", "--log-format", "json"], &[]] {
        let mut gate = Gate::new()
            .args(["verify", "--checks", "checks.yaml", "--report", "json=report.json"])
            .args(more.iter().copied());
        gate.file("checks.yaml", checks.to_string());
        let ran = environment(&google).into_iter().fold(gate, |gate, (name, value)| gate.env(name, &value)).run();
        assert_eq!(ran.code, 1, "{}", ran.stderr);
        let written = ran.everything();
        for secret in [ACCESS, &token, "eyJ"] {
            assert!(!written.contains(secret), "{secret}: {written}");
        }
        assert!(written.contains("***"), "{written}");
    }
    assert!(google.seen().iter().any(|request| request.path.ends_with(":generateIdToken")));
}

#[test]
fn colour_is_as_people_expect_it() {
    let canary = healthy();
    let coloured = |args: &[&str], env: &[(&str, &str)]| {
        let gate = Gate::new().args(["verify", "-q", "--url", &canary.url()]).args(args.iter().copied());
        let ran = env.iter().fold(gate, |gate, (name, value)| gate.env(name, value)).run();
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        ran.stdout.contains('\u{1b}')
    };
    // Standard output is no terminal here.
    for (args, env, wanted) in [
        (&[][..], &[][..], false),
        (&["--color", "always"], &[], true),
        (&["--color", "always"], &[("NO_COLOR", "1")], true),
        (&[], &[("CLICOLOR_FORCE", "1")], true),
        (&[], &[("CLICOLOR_FORCE", "0")], false),
        (&[], &[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")], false),
        (&["--color", "never"], &[("CLICOLOR_FORCE", "1")], false),
        (&[], &[("CANARY_GATE_COLOR", "always")], true),
    ] {
        assert_eq!(coloured(args, env), wanted, "{args:?} {env:?}");
    }
}

#[test]
fn an_unknown_variable_of_the_gates_own_is_named() {
    let canary = healthy();
    let ran = Gate::verify(&canary.url(), "").env("CANARY_GATE_TRESHOLD", "sum(x) < 1").run();
    assert_eq!(ran.code, 2);
    assert!(
        ran.stderr.contains("CANARY_GATE_TRESHOLD is not one of the gate's; did you mean CANARY_GATE_THRESHOLD?"),
        "{}",
        ran.stderr
    );
    assert!(canary.seen().is_empty());
}

/// The environment twins of every command's flags, as its help names them.
fn twins(command: &str) -> Vec<String> {
    let help = Gate::new().args([command, "--help"]).run().stdout;
    let names = help.split("[env: ").skip(1).map(|rest| rest.split(['=', ']']).next().unwrap().to_owned());
    names.collect()
}

#[test]
fn an_empty_variable_counts_as_not_set_for_every_flag() {
    let canary = healthy();
    let names = twins("verify");
    assert!(names.len() > 20, "{names:?}");
    let url = canary.url();
    let mut gate = Gate::new().args(["verify", "--url", &url]);
    for name in &names {
        gate = gate.env(name, "");
    }
    let ran = gate.run();
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let mut gate = Gate::new().args(["query", "1", "--file", "-"]);
    for name in twins("query") {
        gate = gate.env(&name, " ");
    }
    assert_eq!(gate.run().code, 0);
}

#[test]
fn booleans_of_the_environment_are_as_people_write_them() {
    let canary = healthy();
    for (value, code, wanted) in [
        ("1", 0, true),
        ("yes", 0, true),
        ("true", 0, true),
        ("0", 0, false),
        ("no", 0, false),
        ("false", 0, false),
        ("maybe", 2, false),
    ] {
        let ran = Gate::new().args(["verify", "--url", &canary.url()]).env("CANARY_GATE_QUIET", value).run();
        assert_eq!(ran.code, code, "{value}: {}", ran.stderr);
        assert_eq!(ran.stderr.is_empty(), wanted, "{value}: {}", ran.stderr);
    }
}

#[test]
fn help_and_version_say_what_a_person_looks_for() {
    for command in
        [&["--help"][..], &["verify", "--help"], &["query", "--help"], &["checks", "--help"], &["schema", "--help"]]
    {
        let ran = Gate::new().args(command.iter().copied()).run();
        assert_eq!(ran.code, 0);
        for piece in ["Examples:", "Exit codes:", "Output:"] {
            assert!(ran.stdout.contains(piece), "{command:?}: {}", ran.stdout);
        }
        // The exit codes are those of the command.
        let gate = matches!(command[0], "--help" | "verify");
        assert_eq!(ran.stdout.contains("the only one that promotes"), gate, "{command:?}: {}", ran.stdout);
        assert!(!ran.stdout.contains("<http") && !ran.stdout.contains("<file"), "{command:?}: {}", ran.stdout);
        let coloured =
            Gate::new().args(command.iter().copied()).args(["--color", "never"]).env("CLICOLOR_FORCE", "1").run();
        assert!(!coloured.stdout.contains('\u{1b}'), "{command:?}");
    }
    let ran = Gate::new().args(["verify", "--help"]).run();
    for heading in ["Plan:", "Deployment and Google Cloud:", "Reports:", "Network:"] {
        assert!(ran.stdout.contains(heading), "{}", ran.stdout);
    }
    let ran = Gate::new().args(["--version"]).run();
    assert!(ran.stdout.starts_with(concat!("canary-gate ", env!("CARGO_PKG_VERSION"), " (commit ")), "{}", ran.stdout);
    assert!(ran.stdout.contains("linux"), "{}", ran.stdout);
}

#[test]
fn the_schemas_are_printed_as_they_are_in_the_repository() {
    for of in ["checks", "report"] {
        let ran = Gate::new().args(["schema", of]).run();
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("{of}.schema.json"));
        assert_eq!((ran.code, ran.stdout), (0, std::fs::read_to_string(path).unwrap()));
    }
}

#[test]
fn what_a_canary_says_cannot_draw_on_the_terminal() {
    let evil = "\u{1b}]52;c;ZXZpbA==\u{7}\r\n::error::x\u{202e}";
    let canary = Canary::start(Arc::new(move |request: &Request| match &*request.path {
        "/health/readiness" => Reply::new(400, "text/plain", evil),
        "/api/metrics" => {
            Reply::new(200, "text/plain", format!("# TYPE m gauge\nm{{a=\"{}\"}} 5\n", "\u{1b}[2J\u{9b}1m"))
        }
        _ => answer(request),
    }));
    let checks = Checks::fast().set("metrics.require", Value::Array(Vec::new())).threshold("m < 1");
    for more in [&[][..], &["-v"], &["--log-format", "json"]] {
        let ran = Gate::verify(&canary.url(), &checks).args(more.iter().copied()).run();
        assert_eq!(ran.code, 1);
        let bad = |text: &str| text.chars().any(|c| (c.is_control() && c != '\n') || c == '\u{202e}');
        assert!(!bad(&ran.stdout) && !bad(&ran.stderr), "{:?}", ran.stdout);
        assert!(
            !ran.stdout.lines().chain(ran.stderr.lines()).any(|line| line.starts_with("::error")),
            "{}",
            ran.stdout
        );
    }
    let ran = Gate::new().args(["query", "m", "--url", &format!("{}/api/metrics", canary.url())]).run();
    assert!(ran.code == 0 && !ran.stdout.contains('\u{1b}'), "{:?}", ran.stdout);
}

#[test]
fn a_flag_beats_the_variables_that_cannot_stand_beside_it() {
    let canary = FAULTS[0].start();
    for (name, value) in [("CANARY_GATE_QUIET", "0"), ("CANARY_GATE_QUIET", "1"), ("CANARY_GATE_QUIET", "off")] {
        let ran = Gate::verify(&canary.url(), Checks::fast()).args(["-v"]).env(name, value).run();
        assert_eq!(ran.code, 0, "{name}={value}: {}", ran.stderr);
    }
    let mut gate = Gate::new();
    gate.file("m.prom", "m 1\n");
    gate.command().args(["query", "--file", "m.prom", "m"]);
    for (name, value) in
        [("CANARY_GATE_URL", "http://127.0.0.1:1"), ("CANARY_GATE_CHECKS", "none.yaml"), ("CANARY_GATE_WINDOW", "1s")]
    {
        gate.command().env(name, value);
    }
    let ran = gate.run();
    assert_eq!((ran.code, ran.stdout.trim()), (0, "m  1"), "{}", ran.stderr);
}
