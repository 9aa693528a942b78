//! `canary-gate lint`: reads a pipeline's folder, and says what is wrong in it.

use std::path::{Path, PathBuf};

use super::process::NoSecrets;
use super::{CommandError, Session};
use crate::cli::{GateCommand, Lint, LintCommand, LintFormat, gate_arguments};
use crate::lint::{self, COORDINATES, File, Finding, GateArgs, Input, MAX_FILE, Report};
use crate::outcome::{Diagnostic, Exit};
use crate::plan::{PlanInput, code, read_file};
use crate::text;

/// The most files of a folder that are looked at.
const MOST: usize = 20_000;
/// The most files that are read.
const MOST_READ: usize = 1_000;
/// How often changes are made and looked at again: one may show another.
const ROUNDS: usize = 5;

pub(crate) fn run(session: &Session, args: &Lint) -> Result<Exit, CommandError> {
    if let Some(LintCommand::Explain { id }) = &args.command {
        let text = match id {
            None => lint::document(),
            Some(id) => lint::explain(lint::named(id).ok_or_else(|| CommandError::usage(lint::unknown(id)))?),
        };
        session.print(&text)?;
        return Ok(Exit::Pass);
    }
    let paths = listed(&args.folder)?;
    let mut files = read(&args.folder, &paths)?;
    let mut findings = found(&args.folder, &files, &paths)?;
    let mut fixed: Vec<String> = Vec::new();
    for _ in 0..ROUNDS {
        let changed = if args.fix { lint::fixed(&files, &findings) } else { Vec::new() };
        if changed.is_empty() {
            break;
        }
        let mut after = files.clone();
        for file in &changed {
            if let Some(old) = after.iter_mut().find(|other| other.name == file.name) {
                old.text.clone_from(&file.text);
            }
        }
        // What does not make it better is not written.
        let better = found(&args.folder, &after, &paths).ok().filter(|after| open(after) < open(&findings));
        let Some(better) = better else { break };
        for file in changed {
            write(&args.folder.join(&file.name), &file.text)?;
            if !fixed.contains(&file.name) {
                fixed.push(file.name);
            }
        }
        (files, findings) = (after, better);
    }
    let folder = prefix(&args.folder);
    let report = Report { findings: &findings, files: files.len(), fixed: &fixed, folder: &folder };
    let shown = report.render(match args.format {
        LintFormat::Text => lint::Format::Text,
        LintFormat::Json => lint::Format::Json,
        LintFormat::Sarif => lint::Format::Sarif,
        LintFormat::Github => lint::Format::Github,
    });
    // What the files say may hold anything.
    session.print(&if args.format == LintFormat::Json || args.format == LintFormat::Sarif {
        text::escaped_json(&shown)
    } else {
        text::escaped_lines(&shown)
    })?;
    Ok(if open(&findings) == 0 { Exit::Pass } else { Exit::Fail })
}

/// A folder's pipeline without findings.
pub(super) struct Checked {
    pub(super) files: Vec<File>,
    /// The paths of all files in the folder.
    pub(super) paths: Vec<String>,
}

/// Reads a folder's pipeline.
///
/// # Errors
/// What `lint` finds in it: the findings are printed to standard error.
pub(super) fn checked(session: &Session, folder: &Path) -> Result<Checked, CommandError> {
    let paths = listed(folder)?;
    let files = read(folder, &paths)?;
    let findings = found(folder, &files, &paths)?;
    let open = open(&findings);
    if open == 0 {
        return Ok(Checked { files, paths });
    }
    let prefix = prefix(folder);
    let report = Report { findings: &findings, files: files.len(), fixed: &[], folder: &prefix };
    session.complain(report.render(lint::Format::Text).trim_end());
    let count = text::counted(open, "finding");
    Err(CommandError::usage(format!("the pipeline in {} has {count}: nothing was made", folder.display())))
}

/// What stands before a file's name, as whoever runs the gate writes it.
fn prefix(folder: &Path) -> String {
    let folder = folder.display().to_string();
    if folder == "." { String::new() } else { format!("{}/", folder.trim_end_matches('/')) }
}

fn open(findings: &[Finding]) -> usize {
    findings.iter().filter(|finding| finding.ignored.is_none()).count()
}

fn found(folder: &Path, files: &[File], paths: &[String]) -> Result<Vec<Finding>, CommandError> {
    let checks = |file: &File| {
        // Rules files are looked for beside it.
        let name = folder.join(&file.name).display().to_string();
        let input = PlanInput { file: Some((name.clone(), file.text.clone())), ..PlanInput::default() };
        input.plan(&NoSecrets).map_err(|mut mistakes| {
            for mistake in &mut mistakes {
                if mistake.file.as_deref() == Some(&*name) {
                    mistake.file = Some(file.name.clone());
                }
            }
            mistakes
        })
    };
    let arguments = |words: &[String]| {
        gate_arguments(words).map(|command| match command {
            GateCommand::Verify(verify) => GateArgs {
                audits: false,
                wait: false,
                timeout: verify.plan.timeout,
                window: verify.plan.window,
                expect_percent: verify.google.expect_percent,
                require_identity: verify.google.require_identity,
                tag: verify.google.tag,
                checks: verify.plan.checks.map(|path| path.display().to_string()),
                url: verify.url.is_some(),
            },
            GateCommand::Audit(audit) => GateArgs {
                audits: true,
                wait: audit.wait,
                timeout: Some(audit.timeout),
                checks: audit.checks.map(|path| path.display().to_string()),
                ..GateArgs::default()
            },
        })
    };
    let default = PlanInput::default().plan(&NoSecrets)?;
    let input = Input { files, paths, read_args: &arguments, read_checks: &checks, default: &default };
    Ok(lint::lint(&input)?)
}

/// The paths of a folder's files, without hidden ones and what builds leave.
fn listed(folder: &Path) -> Result<Vec<String>, CommandError> {
    const LEFT: [&str; 3] = ["target", "node_modules", "vendor"];
    const DEEPEST: usize = 6;
    let error = |path: &Path, error: &std::io::Error| {
        CommandError::usage(format!("the folder {} cannot be read: {error}", path.display()))
    };
    let mut paths = Vec::new();
    let mut waiting = vec![(folder.to_owned(), String::new(), 0)];
    while let Some((path, name, depth)) = waiting.pop() {
        let entries = match std::fs::read_dir(&path) {
            Ok(entries) => entries,
            Err(why) if depth == 0 => return Err(error(&path, &why)),
            Err(_) => continue,
        };
        for entry in entries.flatten() {
            let Ok(own) = entry.file_name().into_string() else { continue };
            if own.starts_with('.') || LEFT.contains(&&*own) {
                continue;
            }
            let full = if name.is_empty() { own } else { format!("{name}/{own}") };
            match entry.file_type() {
                Ok(kind) if kind.is_dir() && depth < DEEPEST => waiting.push((entry.path(), full, depth + 1)),
                Ok(kind) if kind.is_dir() => {}
                _ => paths.push(full),
            }
            if paths.len() > MOST {
                return Err(CommandError::usage(format!(
                    "{} holds over {MOST} files; name the pipeline's folder",
                    folder.display()
                )));
            }
        }
    }
    paths.sort();
    Ok(paths)
}

/// The files that are a pipeline's by where they are, and the manifests that these name.
fn read(folder: &Path, paths: &[String]) -> Result<Vec<File>, CommandError> {
    let own = |path: &&String| {
        let inside = path.strip_prefix("gate/").unwrap_or(path);
        !path.contains('/') && (lint::is_yaml(path) || path.as_str() == COORDINATES)
            || !inside.contains('/') && lint::is_dockerfile(inside)
    };
    let mut files = all(folder, paths.iter().filter(own))?;
    let patterns = lint::manifests(&files);
    let named = |path: &&String| {
        patterns.iter().any(|pattern| lint::path_fits(pattern, path)) && !files.iter().any(|file| file.name == **path)
    };
    let manifests = all(folder, paths.iter().filter(|path| lint::is_yaml(path)).filter(named))?;
    files.extend(manifests);
    if files.is_empty() {
        return Err(CommandError::usage(format!("there is no YAML file in {}", folder.display())));
    }
    Ok(files)
}

fn all<'a>(folder: &Path, names: impl Iterator<Item = &'a String>) -> Result<Vec<File>, CommandError> {
    let mut files = Vec::new();
    for name in names {
        if files.len() == MOST_READ {
            return Err(CommandError::usage(format!(
                "{} holds over {MOST_READ} YAML files; name the pipeline's folder",
                folder.display()
            )));
        }
        let path: PathBuf = if folder == Path::new(".") { name.into() } else { folder.join(name) };
        // A pipe or a device may never end.
        if !std::fs::metadata(&path).is_ok_and(|metadata| metadata.is_file()) {
            let why = Diagnostic::new(code::FILE, None, "this is not a file that can be read");
            return Err(why.in_file(&path.display().to_string()).into());
        }
        files.push(File { name: name.clone(), text: read_file(&path, MAX_FILE)? });
    }
    Ok(files)
}

/// Writes a file as a whole or not at all.
fn write(path: &Path, text: &str) -> Result<(), CommandError> {
    let failed =
        |error: std::io::Error| CommandError::no_verdict(format!("{} cannot be written: {error}", path.display()));
    // Through a link, into the file that it leads to.
    let path = std::fs::canonicalize(path).map_err(failed)?;
    let mut beside = path.clone().into_os_string();
    beside.push(".new");
    let permissions = std::fs::metadata(&path).map_err(failed)?.permissions();
    std::fs::write(&beside, text)
        .and_then(|()| std::fs::set_permissions(&beside, permissions))
        .and_then(|()| std::fs::rename(&beside, &path))
        .map_err(failed)
}
