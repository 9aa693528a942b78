//! `canary-gate init`: the pipeline's files from a few names, all or none.

use std::path::Path;

use crate::gate::Gate;

const FILES: [&str; 7] = [
    "clouddeploy.yaml",
    "targets.yaml",
    "skaffold.yaml",
    "manifests/service.yaml",
    "verify.yaml",
    "iam.yaml",
    "pipeline.env",
];

const EXAMPLE: [&str; 13] = [
    "init",
    "--project",
    "emergence-469005",
    "--region",
    "europe-west1",
    "--service",
    "emergence-app",
    "--pipeline",
    "emergence-pipeline",
    "--target",
    "emergence-run",
    "--account",
    "emergence-app",
];

#[test]
fn the_repositorys_own_files_are_those_of_the_example() {
    let mut gate = Gate::new().args(EXAMPLE);
    assert!(gate.command().output().unwrap().status.success());
    for file in FILES {
        let written = std::fs::read_to_string(gate.folder().join(file)).unwrap();
        let own = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap();
        assert_eq!(written, own, "{file}: change it and its template in src/command/init alike");
    }
}

#[test]
fn other_names_stand_everywhere_and_lint_clean() {
    // A name that is also a word of the files, and ids that are too short for an account.
    for service in ["canary", "shop", "stable", "a"] {
        let mut gate = Gate::new().args([
            "init",
            "deploy",
            "--project",
            "my-project",
            "--region",
            "us-central1",
            "--service",
            service,
        ]);
        let output = gate.command().output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let folder = gate.folder().join("deploy");
        for file in FILES {
            let text = std::fs::read_to_string(folder.join(file)).unwrap();
            assert!(
                !text.contains("emergence") && !text.contains("europe-west1") && !text.contains("{{"),
                "{file}: {text}"
            );
        }
        let text = |file: &str| std::fs::read_to_string(folder.join(file)).unwrap();
        assert!(text("manifests/service.yaml").contains(&format!("\n  name: {service}\n")));
        assert!(text("manifests/service.yaml").contains(&format!("{service}-runtime@my-project.iam")));
        assert!(text("clouddeploy.yaml").contains("phaseId: canary\n"), "the strategy keeps its words");
        assert!(text("clouddeploy.yaml").contains("phaseId: stable\n"), "the strategy keeps its words");
        let ran = Gate::new().args(["lint", folder.to_str().unwrap()]).run();
        assert_eq!(ran.code, 0, "{service}: {}{}", ran.stdout, ran.stderr);
    }
}

#[test]
fn nothing_is_written_where_anything_is_wrong() {
    for (name, value, piece) in [
        ("--project", "Shop", "--project: \"Shop\" is not lower case"),
        ("--region", "us central1", "--region: "),
        ("--service", "shop/../x", "--service: "),
        ("--account", "shop", "--account: \"shop\" is not lower case, digits and dashes with a letter first, 6 to 30"),
        ("--target", "run_1", "--target: \"run_1\""),
    ] {
        let mut args = EXAMPLE.to_vec();
        let at = args.iter().position(|arg| *arg == name).unwrap();
        args[at + 1] = value;
        let mut gate = Gate::new().args(args);
        let output = gate.command().output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(piece), "{piece}: {said}");
        assert_eq!(std::fs::read_dir(gate.folder()).unwrap().count(), 0);
    }
    let mut gate = Gate::new().args(EXAMPLE);
    gate.file("targets.yaml", "mine: true\n");
    let output = gate.command().output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("targets.yaml is there already; nothing is written"));
    assert_eq!(std::fs::read_dir(gate.folder()).unwrap().count(), 1);
}
