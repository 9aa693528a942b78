//! `scripts/deploy.sh`: what it does one after the other, with stand-ins for docker and gcloud that write down how they were called, and the
//! real gate against a cloud on loopback.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use crate::canary::cloud::Cloud;
use crate::canary::cloud::deploy::{End, UID};
use crate::canary::cloud::names::release;
use crate::gate::Ran;
use crate::release::{digest, settled};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// A run of the script.
struct Script<'c> {
    cloud: &'c Cloud,
    folder: tempfile::TempDir,
}

impl<'c> Script<'c> {
    fn new(cloud: &'c Cloud) -> Self {
        let script = Self { cloud, folder: tempfile::tempdir().unwrap() };
        script.stand_in("docker", "");
        script.stand_in(
            "gcloud",
            &format!(
                "case \"$*\" in\n'auth list'*) echo ada@example.com;;\n*'images describe'*) echo \"${{5%%:*}}@{}\";;\nesac",
                digest()
            ),
        );
        script
    }

    /// A program that writes down how it is called, and then does what it is told.
    fn stand_in(&self, name: &str, then: &str) {
        let path = self.folder.path().join(name);
        let log = self.log();
        fs::write(&path, format!("#!/bin/bash\necho \"{name} $*\" >> '{}'\n{then}\n", log.display())).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn log(&self) -> std::path::PathBuf {
        self.folder.path().join("log")
    }

    /// How the stand-ins were called, each by its first words.
    fn calls(&self) -> Vec<String> {
        let log = fs::read_to_string(self.log()).unwrap_or_default();
        log.lines().map(|line| line.split(' ').take(4).collect::<Vec<_>>().join(" ")).collect()
    }

    fn run(&self, args: &[&str]) -> Ran {
        let path = format!("{}:/usr/bin:/bin", self.folder.path().display());
        let gate = env!("CARGO_BIN_EXE_canary-gate");
        let mut command = Command::new("bash");
        command.arg(format!("{ROOT}/scripts/deploy.sh")).args(["--dir", ROOT]).args(args).env_clear();
        command.env("PATH", path).env("CANARY_GATE", gate).current_dir(self.folder.path());
        command.env("TEST_COMMAND", format!("echo 'tests run' >> '{}'", self.log().display()));
        command.env("CANARY_GATE_POLL", "10ms").env("CANARY_GATE_TIMEOUT", "30s").envs(self.cloud.environment());
        let output = command.output().unwrap();
        Ran {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            report: serde_json::Value::Null,
        }
    }

    fn released(&self) -> usize {
        let state = self.cloud.state();
        let prefix = release("rel-");
        state.resources.keys().filter(|name| name.starts_with(&prefix) && !name.contains("/rollouts/")).count()
    }
}

#[test]
fn it_goes_from_the_checks_to_a_proven_release() {
    let cloud = settled().serve();
    let script = Script::new(&cloud);
    let ran = script.run(&[]);
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    let calls = script.calls();
    let wanted = [
        "docker info",
        "gcloud auth list --filter=status:ACTIVE",
        "gcloud deploy rollouts list",
        "tests run",
        "docker build --tag europe-west1-docker.pkg.dev/emergence-469005/images/emergence-app:deploy-",
        "docker push europe-west1-docker.pkg.dev/emergence-469005/images/emergence-app:deploy-",
        "gcloud artifacts docker images",
        "gcloud artifacts docker images",
    ];
    assert_eq!(calls.len(), wanted.len(), "{calls:?}");
    for (call, wanted) in calls.iter().zip(wanted) {
        assert!(call.starts_with(wanted), "{call}, want {wanted}");
    }
    assert!(
        ran.stderr.contains("deploy: as ada@example.com") && ran.stderr.contains("deploy: released rel-"),
        "{}",
        ran.stderr
    );
    assert_eq!((ran.stdout.matches("PASS in").count(), script.released()), (2, 1), "{}", ran.stdout);
    assert!(
        cloud.state().storage.objects.keys().all(|name| name.starts_with(&format!("{UID}_clouddeploy/source/rel-")))
    );
    // Nothing is built where the image is there.
    let script = Script::new(&cloud);
    fs::remove_file(script.folder.path().join("docker")).unwrap();
    let ran = script.run(&["--skip-tests", "--skip-build", "--image-tag", "v7"]);
    assert!(script.calls().iter().all(|call| call.starts_with("gcloud")), "{:?}", script.calls());
    assert_eq!(ran.code, 0, "{}", ran.stderr);
}

type Break = fn(&Script<'_>);

#[test]
fn what_fails_on_the_way_ends_it_before_anything_is_released() {
    let cloud = settled().serve();
    #[rustfmt::skip]
    let cases: &[(&[&str], Break, &str)] = &[
        (&["--image-tag", "a b"], |_| {}, "is not a tag"),
        (&["--image-tag"], |_| {}, "--image-tag needs a value"),
        (&["--fast"], |_| {}, "there is no option --fast"),
        (&["--skip-build"], |_| {}, "--skip-build needs --image-tag"),
        (&["--context", "/nowhere"], |_| {}, "/nowhere is not a folder"),
        (&[], |script| script.stand_in("docker", "exit 1"), "docker does not answer"),
        (&[], |script| script.stand_in("docker", "[ \"$1\" != build ]"), "the build failed"),
        (&[], |script| script.stand_in("docker", "[ \"$1\" != push ]"), "the push failed"),
        (&[], |script| script.stand_in("gcloud", ""), "nobody is signed in"),
        (&[], |script| script.stand_in("gcloud", "exit 1"), "gcloud does not say who is signed in"),
        (&[], |script| script.stand_in("gcloud", "echo x"), "another canary is active: x"),
        (&[], |script| script.stand_in("gcloud", "[[ \"$*\" == *describe* ]] && exit 1; [ \"$1\" != auth ] || echo x"), "has no digest in the repository"),
        (&[], |script| script.stand_in("gcloud", "[ \"$1\" != auth ] || echo x"), "the repository gives no digest, but nothing"),
        (&["--manual-approval"], |_| {}, "asks on a terminal, and there is none"),
    ];
    for (args, broken, piece) in cases {
        let script = Script::new(&cloud);
        broken(&script);
        let ran = script.run(args);
        assert!(ran.code == 2 && ran.stderr.contains(piece), "{args:?}, want {piece}: {} {}", ran.code, ran.stderr);
        assert_eq!(script.released(), 0, "{piece}");
    }
    // A canary that fails.
    let mut state = settled();
    let failed = End::Failed { cause: "EXECUTION_FAILED", message: "", results: &[("summary", "FAIL in 9s: metrics")] };
    state.deploy.script.jobs = vec![("canary/verify", vec![failed, failed])];
    let failing = state.serve();
    let script = Script::new(&failing);
    let ran = script.run(&[]);
    assert!(ran.code == 1 && ran.stdout.contains("FAIL in 9s: metrics"), "{}{}", ran.stdout, ran.stderr);
    assert!(
        ran.stderr.contains("is not proven (exit 1)") && !ran.stderr.contains("deploy: released"),
        "{}",
        ran.stderr
    );
    assert!(Path::new(&format!("{ROOT}/scripts/deploy.sh")).metadata().unwrap().permissions().mode() & 0o111 != 0);
}
