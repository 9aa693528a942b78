//! Reports in every format from one run, records in a folder, and the table of them.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use std::thread;

use crate::canary::google::{World, environment};
use crate::canary::{FAULTS, Fault};
use crate::checks::Checks;
use crate::gate::Gate;

fn read(folder: &Path, name: &str) -> String {
    fs::read_to_string(folder.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The Markdown files of a folder, sorted.
fn records(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let is_record = |name: &String| name.starts_with("20") && Path::new(name).extension().is_some_and(|md| md == "md");
    let mut names: Vec<String> = names.filter(is_record).collect();
    names.sort();
    names
}

#[test]
fn one_run_writes_every_format() {
    let canary = Fault::named("failures-split").unwrap().start();
    let checks = Checks::fast().threshold("sum(memory_analysis_failure_total) <= 2");
    let names = ["junit=r.xml", "markdown=r.md", "tap=r.tap", "github=-"];
    let mut gate = Gate::verify(&canary.url(), checks);
    let folder = gate.folder().to_owned();
    gate.command().args(names.iter().flat_map(|name| ["--report", name]));
    let output = gate.command().output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let wanted = [
        ("report.json", "\"verdict\": \"fail\""),
        ("r.xml", "<failure message=\"3, want &lt;= 2\" type=\"fail\""),
        ("r.md", "\nverdict: fail\n"),
        ("r.tap", "\nnot ok 5 - metrics: sum(memory_analysis_failure_total) <= 2\n"),
    ];
    for (name, piece) in wanted {
        let text = read(&folder, name);
        assert!(text.contains(piece), "{name}: {text}");
    }
    // Standard output is the workflow's.
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert!(stdout.lines().all(|line| line.starts_with("::")), "{stdout}");
    assert!(stdout.contains("::error file=checks.yaml,line="), "{stdout}");
}

#[test]
fn a_threshold_is_annotated_where_the_checks_file_has_it() {
    let canary = Fault::named("failures-split").unwrap().start();
    let mut gate =
        Gate::new().args(["verify", "--url", &canary.url(), "--checks", "checks.yaml", "--report", "github=-"]);
    gate.file(
        "checks.yaml",
        "metrics:\n  thresholds:\n    - name: failures\n      expr: sum(memory_analysis_failure_total) <= 2\n",
    );
    let ran = gate.run();
    assert!(
        ran.stdout.contains("::error file=checks.yaml,line=4,col=13,title=metrics%3A failures::3, want <= 2"),
        "{}",
        ran.stdout
    );
}

#[test]
fn two_runs_of_one_rollout_never_share_a_record() {
    let canary = FAULTS[0].start();
    let google = World::of(&canary).serve();
    let folder = tempfile::tempdir().unwrap();
    let report = format!("markdown={}/", folder.path().display());
    let run = || {
        let mut gate = Gate::new().args(["verify", "--checks", "checks.yaml", "--report", &report]);
        gate.file("checks.yaml", Checks::fast().to_string());
        environment(&google).into_iter().fold(gate, |gate, (name, value)| gate.env(name, &value)).run()
    };
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| assert_eq!(run().code, 0));
        }
    });
    let names = records(folder.path());
    assert_eq!(names.len(), 4, "{names:?}");
    for name in &names {
        assert!(read(folder.path(), name).contains("\nverdict: pass\n"), "{name}");
    }
    let history = || Gate::new().args(["history", &folder.path().display().to_string()]).run();
    let first = history();
    assert!(first.code == 0 && first.stdout.ends_with("README.md: 4 records\n"), "{}{}", first.stdout, first.stderr);
    let readme = read(folder.path(), "README.md");
    assert_eq!(readme.matches("| active (").count(), 1, "{readme}");
    assert_eq!(readme.matches("| archived |").count(), 3, "{readme}");
    assert_eq!(history().code, 0);
    assert_eq!(read(folder.path(), "README.md"), readme);
}

#[test]
fn a_record_that_is_malformed_is_named_and_left_alone() {
    let mut gate = Gate::new();
    gate.file("2026-01-01-a.md", "# The first\n");
    let bad = "---\ndate: [\n---\nmine\n";
    gate.file("2026-01-02-b.md", bad);
    gate.file("README.md", "# Ours\n\nWords.\n");
    let folder = gate.folder().to_owned();
    gate.command().args(["history", "."]);
    let output = gate.command().output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    assert!(stderr.contains("2026-01-02-b.md is left out: its front matter cannot be read"), "{stderr}");
    assert_eq!(read(&folder, "2026-01-02-b.md"), bad);
    let readme = read(&folder, "README.md");
    assert!(readme.starts_with("# Ours\n\nWords.\n\n<!-- canary-gate history: begin -->\n"), "{readme}");
    // A place for the table that cannot be is told of, and nothing is written.
    gate.file("README.md", "<!-- canary-gate history: begin -->\n");
    let output = gate.command().output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(read(&folder, "README.md"), "<!-- canary-gate history: begin -->\n");
    let nowhere = Gate::new().args(["history", "nowhere"]).run();
    assert_eq!(nowhere.code, 2, "{}", nowhere.stderr);
}

#[test]
fn what_is_no_text_is_named_and_a_linked_readme_stays_a_link() {
    let folder = tempfile::tempdir().unwrap();
    let (records, real) = (folder.path().join("records"), folder.path().join("real.md"));
    fs::create_dir(&records).unwrap();
    fs::write(&real, "# ours\n").unwrap();
    symlink(&real, records.join("README.md")).unwrap();
    symlink(folder.path().join("nowhere"), records.join("2026-01-02-gone.md")).unwrap();
    fs::write(records.join("2026-01-03-latin.md"), b"# caf\xe9\n").unwrap();
    fs::write(records.join(OsStr::from_bytes(b"2026-01-04-\xff.md")), "# x\n").unwrap();
    // A character on the edge of what is read of a record is no mistake.
    fs::write(records.join("2026-01-05-long.md"), format!("# long\n{}", "é".repeat(64 * 1024))).unwrap();
    fs::create_dir(records.join("2026-01-06-folder.md")).unwrap();
    let ran = Gate::new().args(["history", records.to_str().unwrap()]).run();
    assert_eq!((ran.code, ran.stderr.lines().count()), (0, 3), "{}{}", ran.stdout, ran.stderr);
    for piece in [
        "2026-01-02-gone.md is left out: No such file",
        "latin.md is left out: it is not UTF-8",
        "its name is not UTF-8",
    ] {
        assert!(ran.stderr.contains(piece), "{}", ran.stderr);
    }
    assert!(fs::symlink_metadata(records.join("README.md")).unwrap().is_symlink());
    let text = fs::read_to_string(&real).unwrap();
    assert!(text.starts_with("# ours\n") && text.contains("| [2026-01-05](2026-01-05-long.md) |"), "{text}");
}

#[test]
fn a_folder_takes_records_only() {
    let canary = FAULTS[0].start();
    for (report, piece) in [
        ("json=.", "this is a folder; name a file in it"),
        ("markdown=nowhere/", "the report nowhere/ cannot be written"),
    ] {
        let ran = Gate::new().args(["verify", "--url", &canary.url(), "--report", report]).run();
        assert!(ran.code == 2 && ran.stderr.contains(piece), "{report}: {}", ran.stderr);
    }
    // An error of usage leaves no record.
    let mut gate = Gate::new();
    let folder = gate.folder().to_owned();
    gate.command().args(["verify", "--url", &canary.url(), "--timeout", "soon", "--report", "markdown=."]);
    assert_eq!(gate.command().output().unwrap().status.code(), Some(2));
    assert!(records(&folder).is_empty());
    // A run that is ended leaves one that says so.
    let hangs = Fault::named("health-hangs").unwrap().start();
    let mut gate = Gate::new();
    let folder = gate.folder().to_owned();
    gate.command().args(["verify", "--url", &hangs.url(), "--report", "markdown=."]);
    let mut child = gate.command().spawn().unwrap();
    while records(&folder).is_empty() || !read(&folder, &records(&folder)[0]).contains("not finished") {
        thread::sleep(std::time::Duration::from_millis(5));
    }
    assert!(Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(3));
    let names = records(&folder);
    assert!(names.len() == 1 && read(&folder, &names[0]).contains("interrupted by SIGTERM"), "{names:?}");
}

#[test]
fn the_summary_and_the_reports_link_to_the_console() {
    let canary = Fault::named("failures-3").unwrap().start();
    let google = World::of(&canary).serve();
    let mut gate = Gate::new().args(["verify", "--checks", "checks.yaml", "--report", "json=report.json"]);
    gate.file("checks.yaml", Checks::fast().to_string());
    gate.command().args(["--report", "markdown=r.md"]);
    let folder = gate.folder().to_owned();
    gate = environment(&google).into_iter().fold(gate, |gate, (name, value)| gate.env(name, &value));
    let output = gate.command().output().unwrap();
    let ran = gate.ran(&output);
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    let logs = ran.report["links"].as_array().unwrap().iter().find(|link| link["name"] == "logs").unwrap();
    let url = logs["url"].as_str().unwrap();
    assert!(url.starts_with("https://console.cloud.google.com/logs/query;query="), "{url}");
    assert!(ran.stdout.contains(&format!("logs      {url}\n")), "{}", ran.stdout);
    assert!(read(&folder, "r.md").contains(&format!("- [logs]({url})\n")));
}

#[test]
fn a_window_is_drawn_for_whoever_asks_for_the_page() {
    let canary = Fault::named("failures-split").unwrap().start();
    let checks = Checks::watching()
        .set("metrics.window", "900ms")
        .threshold("sum(memory_analysis_failure_total) <= 2")
        .threshold("memory_analysis_cache_size >= 0")
        .threshold("lost_total < 1");
    let mut gate = Gate::verify(&canary.url(), checks);
    gate.command().args(["--report", "html=r.html"]);
    let folder = gate.folder().to_owned();
    let output = gate.command().output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let page = read(&folder, "r.html");
    // What has no data has no curve.
    assert_eq!(page.matches("<figure>").count(), 2, "{page}");
    // Four scrapes, and each of them over the limit.
    assert_eq!(page.matches("<circle").count(), 4, "{page}");
    assert!(page.contains("default-src 'none'") && !page.contains("<script"), "{page}");
}
