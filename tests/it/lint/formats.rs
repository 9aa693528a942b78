//! The formats, comments that ignore, and changes that are made.

use serde_json::Value;

use super::{changed, gate, lint, own, rules};

const BROKEN: &str = "@ clouddeploy.yaml\n-wait: 0m\n+wait: 0s # canary-gate: ignore[automation-wait] another client reads it\n\
                      @ skaffold.yaml\n---expect-percent=20\n+--expect-percent=25\n";

#[test]
fn every_format_tells_both_places_and_what_is_ignored() {
    let files = changed(BROKEN).unwrap();
    let ran = lint(&files, &["--format", "text"]);
    assert_eq!(ran.code, 1);
    for piece in [
        "skaffold.yaml:24:15: error: the gate expects 25 %, and the phase \"canary\" has 20 % [expected-percent]\n  clouddeploy.yaml:22:29: the phase\n  why: ",
        "clouddeploy.yaml:49:13: ignored [automation-wait]: another client reads it\n",
        "7 files, 1 finding, 1 ignored\n",
    ] {
        assert!(ran.stdout.contains(piece), "{piece}\n{}", ran.stdout);
    }

    let sarif: Value = serde_json::from_str(&lint(&files, &["--format", "sarif"]).stdout).unwrap();
    assert_eq!(sarif["version"], "2.1.0");
    let results = sarif["runs"][0]["results"].as_array().unwrap();
    assert_eq!(results.len(), 2);
    assert_eq!(results[0]["suppressions"][0]["justification"], "another client reads it");
    assert_eq!(results[0]["suppressions"][0]["kind"], "inSource");
    assert_eq!(results[1]["suppressions"], serde_json::json!([]));
    assert_eq!(results[1]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"], "skaffold.yaml");
    assert_eq!(results[1]["relatedLocations"][0]["physicalLocation"]["region"]["startLine"], 22);
    for result in results {
        let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
        assert_eq!(sarif["runs"][0]["tool"]["driver"]["rules"][index]["id"], result["ruleId"]);
    }

    let json: Value = serde_json::from_str(&lint(&files, &["--format", "json"]).stdout).unwrap();
    assert_eq!((&json["open"], &json["files"]), (&1.into(), &7.into()));
    assert_eq!(json["findings"][0]["ignored"]["reason"], "another client reads it");
    assert_eq!(json["findings"][1]["beside"][0]["file"], "clouddeploy.yaml");

    let github = lint(&files, &["--format", "github"]).stdout;
    assert!(
        github.contains(
            "::error file=skaffold.yaml,line=24,col=15,title=canary-gate expected-percent::the gate expects 25 %25, and"
        ),
        "{github}"
    );
    assert!(github.contains("%0Aclouddeploy.yaml:22:29: the phase%0Awhy: "), "{github}");
    assert!(github.contains("::notice file=clouddeploy.yaml,line=49,col=13,title=canary-gate automation-wait::ignored: another client reads it\n"));
}

#[test]
fn files_in_a_folder_are_named_with_it() {
    let files = changed(BROKEN).unwrap();
    let mut gate = gate(&files);
    let folder = gate.folder().to_str().unwrap().to_owned();
    gate.command().current_dir("/");
    let ran = gate.args(["lint", &folder]).run();
    assert!(ran.stdout.contains(&format!("{folder}/skaffold.yaml:24:15: error")), "{}", ran.stdout);
}

#[test]
fn changes_that_are_certain_are_made_and_nothing_else() {
    let section = "@ clouddeploy.yaml\n-wait: 0m\n+wait: 0s # at once\n\
                   @ clouddeploy.yaml\n-            disableRollbackIfRolloutPending: true\n+            # The last step.\n\
                   @ clouddeploy.yaml\n-percentage: 20\n+percentage: \"20\" # a fifth\n\
                   @ clouddeploy.yaml\n-      phases: [canary, stable]\n+      Phases: [canary, stable]\n\
                   @ targets.yaml\n-kind: Target\n+kind: Target # canary-gate: ignore[unknown-key] nothing is unknown\n";
    let files = changed(section).unwrap();
    let found = rules(&files);
    for rule in ["automation-wait", "rollback-pending", "wrong-type", "unknown-key", "unused-ignore"] {
        assert!(found.iter().any(|id| id == rule), "{rule}: {found:?}");
    }
    let gate = gate(&files);
    let folder = gate.folder().to_owned();
    let mut gate = gate.args(["lint", "--fix"]);
    let output = gate.command().output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.contains("clouddeploy.yaml: changed") && said.contains("clean"), "{said}");
    let after = std::fs::read_to_string(folder.join("clouddeploy.yaml")).unwrap();
    let own = own();
    let wanted = own["clouddeploy.yaml"]
        .replacen("wait: 0m", "wait: 0m # at once", 1)
        .replacen("percentage: 20", "percentage: 20 # a fifth", 1)
        .replacen(
            "            disableRollbackIfRolloutPending: true",
            "            disableRollbackIfRolloutPending: true\n            # The last step.",
            1,
        );
    assert_eq!(after, wanted);
    assert_eq!(std::fs::read_to_string(folder.join("targets.yaml")).unwrap(), own["targets.yaml"]);
    assert_eq!(std::fs::read_to_string(folder.join("skaffold.yaml")).unwrap(), own["skaffold.yaml"]);
}

#[test]
fn without_fix_nothing_is_written() {
    let files = changed("@ clouddeploy.yaml\n-wait: 0m\n+wait: 0s\n").unwrap();
    let gate = gate(&files);
    let folder = gate.folder().to_owned();
    let mut gate = gate.args(["lint"]);
    assert_eq!(gate.command().output().unwrap().status.code(), Some(1));
    assert_eq!(std::fs::read_to_string(folder.join("clouddeploy.yaml")).unwrap(), files["clouddeploy.yaml"]);
}

#[test]
fn a_rule_that_does_not_exist_is_an_error_of_usage() {
    let ran = lint(&own(), &["explain", "rollback-pendin"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (2, ""));
    assert!(ran.stderr.contains("did you mean \"rollback-pending\"?"), "{}", ran.stderr);
}
