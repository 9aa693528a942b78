//! `canary-gate replay`: recorded runs, judged again without a network.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use super::process::{NoSecrets, checks_file};
use super::verify::{ended, publish};
use super::{CommandError, Session};
use crate::check::{Replayed, replay, replay_by};
use crate::cli::Replay;
use crate::evidence::Bundle;
use crate::http::Address;
use crate::outcome::{Exit, Status, Summary, Unfinished, Verdict};
use crate::plan::{Plan, PlanInput};
use crate::report::{Format, ReportFile, ReportSpec, record_name};
use crate::text;

pub(crate) fn run(session: &Session, args: &Replay) -> Result<Exit, CommandError> {
    let plan = args.checks.as_deref().map(plan).transpose()?;
    let specs = ReportSpec::all(&args.report).map_err(CommandError::usage)?;
    if specs.iter().any(|spec| spec.format() == Format::Evidence) {
        return Err(CommandError::usage("--report: evidence is written by verify, and only read here"));
    }
    let files = files(&args.paths)?;
    let read_too = args.checks.as_deref().filter(|path| path.as_os_str() != "-");
    let inputs = files.iter().map(|path| ("the evidence", Some(&**path))).chain([("--checks", read_too)]);
    let inputs: Vec<(&str, Option<&Path>)> = inputs.collect();
    specs.iter().try_for_each(|spec| spec.spares(&inputs)).map_err(CommandError::usage)?;
    let courses = specs.iter().any(|spec| spec.format().draws_courses());
    let judged = |path: &PathBuf| -> Result<Replayed, CommandError> {
        let bundle = read(path).map_err(|why| CommandError::usage(format!("{}: {why}", path.display())))?;
        Ok(match &plan {
            Some(plan) => replay_by(bundle, plan, courses),
            None => replay(bundle, courses),
        })
    };
    if let [file] = files.as_slice() {
        return one(session, judged(file)?, specs);
    }
    if !specs.is_empty() {
        return Err(CommandError::usage(format!(
            "--report is of one run, and there are {}: name one file",
            files.len()
        )));
    }
    let mut table = Table::new(plan.is_some());
    let mut wrong: Option<CommandError> = None;
    for file in &files {
        match judged(file) {
            Ok(replayed) => table.add(&file.display().to_string(), &replayed),
            Err(error) => wrong = Some(wrong.map_or_else(|| error.clone(), |first| first.and(&error))),
        }
    }
    session.print(&text::escaped_lines(&table.text()))?;
    wrong.map_or(Ok(table.exit), |error| Err(CommandError { exit: Exit::Usage, ..error }))
}

fn plan(path: &Path) -> Result<Plan, CommandError> {
    Ok(PlanInput { file: Some(checks_file(path)?), ..PlanInput::default() }.plan(&NoSecrets)?)
}

/// The files that are named, and those of the folders that are named, in the order of their names.
fn files(paths: &[PathBuf]) -> Result<Vec<PathBuf>, CommandError> {
    let cannot =
        |path: &Path, error: &dyn std::fmt::Display| CommandError::usage(format!("{}: {error}", path.display()));
    let mut files = Vec::new();
    for path in paths {
        if !path.is_dir() {
            files.push(path.clone());
            continue;
        }
        let entries = fs::read_dir(path).map_err(|error| cannot(path, &error))?;
        let is_hidden = |path: &Path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        let mut inside: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        inside.retain(|file| file.is_file() && !is_hidden(file));
        inside.sort();
        if inside.is_empty() {
            return Err(cannot(path, &"there is no evidence in this folder"));
        }
        files.extend(inside);
    }
    Ok(files)
}

fn read(path: &Path) -> Result<Bundle, String> {
    let file = File::open(path).map_err(|error| error.to_string())?;
    Bundle::read(file)
}

/// Shows one run as the gate showed it.
fn one(session: &Session, replayed: Replayed, specs: Vec<ReportSpec>) -> Result<Exit, CommandError> {
    for why in &replayed.unjudged {
        session.complain(&format!("not judged again: {why}"));
    }
    for what in &replayed.differs {
        session.complain(&format!("judged otherwise than it was recorded: {what}"));
    }
    let open = replayed.is_open().then(|| {
        let gaps: Vec<String> = replayed.unjudged.iter().map(ToString::to_string).collect();
        Unfinished { cause: format!("not judged again: {}", gaps.join("; ")), exit: Exit::NoVerdict }
    });
    let mut summary = replayed.now;
    // What was not judged is no pass, whoever reads it.
    summary.unfinished = summary.unfinished.or(open);
    let host = summary.url.as_deref().and_then(|url| Address::parse(url).ok()).map(|url| url.host().to_owned());
    let record = record_name(summary.started_at, summary.deployment.as_ref(), host.as_deref());
    let open = |spec: ReportSpec| {
        let text = spec.format().render(&summary)?;
        ReportFile::open(spec, text, &record)
    };
    let reports: Vec<ReportFile> =
        specs.into_iter().map(open).collect::<Result<_, _>>().map_err(CommandError::usage)?;
    let failed = publish(session, &mut summary, reports, None);
    ended(&summary, failed)
}

/// What several runs come to.
struct Table {
    by_others: bool,
    lines: Vec<String>,
    /// Runs that passed when they were recorded, and of these those that would fail now.
    healthy: usize,
    would_fail: usize,
    /// The same of the others, and those that would pass now.
    failed: usize,
    would_pass: usize,
    unjudged: usize,
    exit: Exit,
}

impl Table {
    fn new(by_others: bool) -> Self {
        let (healthy, would_fail, failed, would_pass, unjudged) = (0, 0, 0, 0, 0);
        Self { by_others, lines: Vec::new(), healthy, would_fail, failed, would_pass, unjudged, exit: Exit::Pass }
    }

    fn add(&mut self, file: &str, replayed: &Replayed) {
        let Replayed { recorded, now, unjudged, differs } = replayed;
        let (before, after) = (recorded.verdict(), now.verdict());
        let line = |what: &str, why: &str| {
            let started = humantime::format_rfc3339_seconds(recorded.started_at);
            format!("{started}  {what:13}  {}: {why}", subject(recorded, file))
        };
        if !self.by_others {
            let exit = now.exit();
            self.exit = self.exit.max(if replayed.is_open() { exit.max(Exit::NoVerdict) } else { exit });
            let noted = differs.iter().map(|what| format!("; judged otherwise than it was recorded: {what}"));
            let noted: String = noted.chain(unjudged.iter().map(|why| format!("; not judged again: {why}"))).collect();
            self.lines.push(line(word(after), &format!("{}{noted}", why(now))));
        } else if replayed.may_be_otherwise() {
            self.unjudged += 1;
            self.exit = Exit::NoVerdict;
            let why: Vec<String> = unjudged.iter().map(ToString::to_string).collect();
            self.lines.push(line("not judged", &why.join("; ")));
        } else {
            let is_healthy = before == Verdict::Pass;
            let (all, changed) = if is_healthy {
                (&mut self.healthy, &mut self.would_fail)
            } else {
                (&mut self.failed, &mut self.would_pass)
            };
            *all += 1;
            if (after == Verdict::Pass) != is_healthy {
                *changed += 1;
                self.lines.push(line(&format!("{} → {}", word(before), word(after)), &why(now)));
            }
        }
    }

    fn text(&self) -> String {
        let mut lines = self.lines.clone();
        if self.by_others {
            let releases = |count: usize, kind: &str| text::counted(count, &format!("{kind} release"));
            lines.push(format!("would have failed {} of {}", self.would_fail, releases(self.healthy, "healthy")));
            if self.failed > 0 {
                lines.push(format!("would have passed {} of {}", self.would_pass, releases(self.failed, "failed")));
            }
            if self.unjudged > 0 {
                lines.push(format!("could not judge {}", text::counted(self.unjudged, "more release")));
            }
        }
        lines.into_iter().map(|line| line + "\n").collect()
    }
}

fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "pass",
        Verdict::Fail => "fail",
        Verdict::Error => "no verdict",
    }
}

/// What was verified, in a word or two.
fn subject(summary: &Summary, file: &str) -> String {
    let facts = summary.deployment.as_ref();
    let known = facts.and_then(|facts| facts.release.clone().or_else(|| facts.revision.clone()));
    known.map_or_else(|| file.to_owned(), |known| format!("{known} ({file})"))
}

/// What decided.
fn why(summary: &Summary) -> String {
    if let Some(unfinished) = &summary.unfinished {
        return unfinished.cause.clone();
    }
    let decided = [Status::Fail, Status::Error].into_iter().find_map(|status| {
        let check = summary.checks.iter().find(|check| check.status == status)?;
        Some(format!("{}: {}", check.name, check.detail))
    });
    decided.unwrap_or_else(|| text::counted(summary.warnings().len(), "warning"))
}
