//! `canary-gate init`: writes a pipeline's files from a few names. Everything is looked at before anything is written, and no
//! file that is there is touched.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::Path;

use super::{CommandError, Session};
use crate::cli::Init;
use crate::lint::{is_account_id, is_name};
use crate::outcome::Exit;
use crate::text::{counted, cut};

/// The files, with names between double braces.
const FILES: [(&str, &str); 7] = [
    ("clouddeploy.yaml", include_str!("init/clouddeploy.yaml")),
    ("targets.yaml", include_str!("init/targets.yaml")),
    ("skaffold.yaml", include_str!("init/skaffold.yaml")),
    ("manifests/service.yaml", include_str!("init/service.yaml")),
    ("verify.yaml", include_str!("init/verify.yaml")),
    ("iam.yaml", include_str!("init/iam.yaml")),
    ("pipeline.env", include_str!("init/pipeline.env")),
];

pub(crate) fn run(session: &Session, args: &Init) -> Result<Exit, CommandError> {
    let names = names(args)?;
    let files: Vec<(&str, String)> = FILES.iter().map(|(name, text)| (*name, filled(text, &names))).collect();
    let there: Vec<&str> =
        files.iter().map(|(name, _)| *name).filter(|name| args.folder.join(name).symlink_metadata().is_ok()).collect();
    if !there.is_empty() {
        let message = format!("{} is there already; nothing is written", there.join(", "));
        return Err(CommandError::usage(message));
    }
    for (name, text) in &files {
        write(&args.folder.join(name), text)?;
        session.print(&format!("{}\n", args.folder.join(name).display()))?;
    }
    session
        .print(&format!("{} written; next: . ./pipeline.env, and docs/pipeline.md\n", counted(files.len(), "file")))?;
    Ok(Exit::Pass)
}

/// The names, each of the form that its API takes.
fn names(args: &Init) -> Result<[(&'static str, String); 6], CommandError> {
    let or =
        |given: &Option<String>, ending: &str| given.clone().unwrap_or_else(|| format!("{}-{ending}", args.service));
    let names = [
        ("project", args.project.clone()),
        ("region", args.region.clone()),
        ("service", args.service.clone()),
        ("pipeline", or(&args.pipeline, "pipeline")),
        ("target", or(&args.target, "run")),
        ("account", or(&args.account, "runtime")),
    ];
    let mut wrong = Vec::new();
    for (name, value) in &names {
        let (right, form) = match *name {
            "project" | "account" => (is_account_id(value), "6 to 30 characters"),
            "service" => (is_name(value, 49), "up to 49 characters"),
            _ => (is_name(value, 63), "up to 63 characters"),
        };
        if !right {
            let value = cut(value, 80);
            wrong.push(format!("--{name}: {value:?} is not lower case, digits and dashes with a letter first, {form}"));
        }
    }
    if wrong.is_empty() { Ok(names) } else { Err(CommandError::usage(wrong.join("\n"))) }
}

fn filled(text: &str, names: &[(&str, String)]) -> String {
    names.iter().fold(text.to_owned(), |text, (name, value)| text.replace(&format!("{{{{{name}}}}}"), value))
}

/// Writes a new file.
fn write(path: &Path, text: &str) -> Result<(), CommandError> {
    let failed =
        |error: std::io::Error| CommandError::no_verdict(format!("{} cannot be written: {error}", path.display()));
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(failed)?;
    }
    let mut file = OpenOptions::new().write(true).create_new(true).open(path).map_err(failed)?;
    file.write_all(text.as_bytes()).map_err(failed)
}
