//! What cannot be linted is refused in one sentence, with exit code 2.

use super::{Files, lint, own};

fn refused(files: &Files, piece: &str) {
    let ran = lint(files, &[]);
    assert_eq!(ran.code, 2, "{piece}: {}{}", ran.stdout, ran.stderr);
    assert_eq!(ran.stdout, "");
    assert_eq!(ran.stderr.lines().count(), 1, "{}", ran.stderr);
    assert!(ran.stderr.contains(piece), "{piece}: {}", ran.stderr);
}

fn with(name: &str, text: &str) -> Files {
    let mut files = own();
    files.insert(name.into(), text.into());
    files
}

#[test]
fn what_is_no_pipeline_is_refused_in_a_sentence() {
    refused(&Files::new(), "there is no YAML file in");
    let other = "services:\n  web: {image: shop}\n";
    refused(&[("compose.yaml".to_owned(), other.to_owned())].into(), "there is no pipeline here: 1 YAML file");
    refused(&with("clouddeploy.yaml", "a: \0"), "the file is binary");
    refused(&with("more.yaml", &"#".repeat(2 << 20)), "the file is over 1 MiB");
    refused(&with("skaffold.yaml", "a: [b"), "the file is not valid YAML");
    refused(
        &with("skaffold.yaml", "{{- if .Values.on }}\na: b\n{{- end }}\n"),
        "it looks like a template; render it first",
    );
    let mut bomb = "a: &a [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for (name, inner) in ["b", "c", "d", "e", "f"].into_iter().zip(["a", "b", "c", "d", "e"]) {
        bomb += &format!("{name}: &{name} [{}]\n", vec![format!("*{inner}"); 10].join(", "));
    }
    refused(&with("targets.yaml", &bomb), "the aliases of the file repeat over");
    refused(&with("targets.yaml", &format!("a: {}{}", "[".repeat(100), "]".repeat(100))), "nested over 32 levels");
}

#[test]
fn a_folder_that_is_not_there_and_files_that_are_none_are_refused() {
    let ran = lint(&own(), &["no-such-folder"]);
    assert_eq!(ran.code, 2);
    assert!(ran.stderr.contains("the folder no-such-folder cannot be read"), "{}", ran.stderr);
    let ran = lint(&own(), &["clouddeploy.yaml"]);
    assert_eq!(ran.code, 2, "{}", ran.stderr);
    let gate = super::gate(&own());
    std::fs::create_dir(gate.folder().join("more.yaml")).unwrap();
    let ran = gate.args(["lint"]).run();
    assert_eq!(ran.code, 0, "a folder is no file: {}", ran.stderr);
}

#[test]
fn a_file_of_100_megabytes_and_a_binary_one_are_refused_at_once() {
    for bytes in [vec![b'a'; 100 << 20], vec![0xff; 1000]] {
        let mut gate = super::gate(&own());
        gate.file("data.yaml", &bytes);
        let ran = gate.args(["lint"]).run();
        assert_eq!(ran.code, 2);
        assert!(ran.stderr.contains("data.yaml: the file is"), "{}", ran.stderr);
        assert_eq!(ran.stderr.lines().count(), 1);
    }
}
