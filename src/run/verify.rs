//! `canary-gate verify`: the gate.

use std::io::{IsTerminal as _, Write as _};
use std::path::Path;
use std::time::{Instant, SystemTime};

use tokio::signal::unix::{SignalKind, signal};

use super::{NO_VERDICT, USAGE, fail, print, runtime};
use crate::check::{self, Ledger};
use crate::cli::Verify;
use crate::outcome::Summary;
use crate::plan::{Lookup, Plan, Source, read_file};
use crate::probe::{Probe, read_ca_file};
use crate::report::{self, ReportFile, Style};
use crate::target::Target;

pub(super) fn run(args: &Verify) -> u8 {
    let prepared = match Prepared::new(args) {
        Ok(prepared) => prepared,
        Err(message) => return fail(USAGE, &message),
    };
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(message) => return fail(NO_VERDICT, &message),
    };
    match runtime.block_on(summarize(&prepared)) {
        Ok(summary) => publish(&summary, prepared.reports),
        Err(message) => fail(NO_VERDICT, &message),
    }
}

/// Everything that can be wrong before a request is made, done and found good.
struct Prepared {
    plan: Plan,
    probe: Probe,
    reports: Vec<ReportFile>,
}

impl Prepared {
    fn new(args: &Verify) -> Result<Self, String> {
        let Some(url) = &args.url else {
            return Err("no canary to verify: pass --url URL (or set CANARY_GATE_URL)".into());
        };
        let target = Target::parse(url)?;
        let file = match &args.checks {
            Some(path) => Some((path.display().to_string(), read_file(path).map_err(|error| error.to_string())?)),
            None => None,
        };
        let source = Source {
            file,
            timeout: args.timeout.clone(),
            thresholds: args.threshold.clone(),
            warnings: args.warn.clone(),
        };
        let plan = source.plan(&Process).map_err(|error| error.to_string())?;
        let ca = args.ca_file.as_deref().map(read_ca_file).transpose()?;
        let probe = Probe::new(target, &plan.headers, ca.as_deref())?;
        // Last, so that no other error leaves a file behind.
        let reports = args.reports()?.into_iter().map(ReportFile::open).collect::<Result<_, _>>()?;
        Ok(Self { plan, probe, reports })
    }
}

/// References in the checks file are looked up in the process's environment and files.
struct Process;

impl Lookup for Process {
    fn env(&self, name: &str) -> Result<String, String> {
        match std::env::var(name) {
            Ok(value) if !value.is_empty() => Ok(value),
            Ok(_) => Err(format!("the environment variable {name} is empty")),
            Err(error) => Err(format!("the environment variable {name} cannot be used: {error}")),
        }
    }

    fn file(&self, path: &str) -> Result<String, String> {
        let text = std::fs::read_to_string(path).map_err(|error| format!("the file {path} cannot be read: {error}"))?;
        let text = text.trim_end_matches(['\n', '\r']);
        if text.is_empty() { Err(format!("the file {path} is empty")) } else { Ok(text.to_owned()) }
    }

    fn text(&self, path: &Path) -> Result<String, String> {
        read_file(path).map_err(|error| error.to_string())
    }
}

/// Runs the checks until they end or a signal comes.
async fn summarize(prepared: &Prepared) -> Result<Summary, String> {
    let listen = |kind, name| signal(kind).map_err(|error| format!("{name} cannot be listened for: {error}"));
    let mut interrupt = listen(SignalKind::interrupt(), "SIGINT")?;
    let mut terminate = listen(SignalKind::terminate(), "SIGTERM")?;
    let ledger = Ledger::new(&prepared.plan, |line| {
        let _ = writeln!(std::io::stderr(), "{line}");
    });
    let (started_at, began) = (SystemTime::now(), Instant::now());
    let interrupted = tokio::select! {
        () = check::run(&prepared.plan, &prepared.probe, &ledger) => None,
        _ = interrupt.recv() => Some("SIGINT"),
        _ = terminate.recv() => Some("SIGTERM"),
    };
    Ok(Summary {
        url: prepared.probe.target().shown().to_owned(),
        started_at,
        duration: began.elapsed(),
        checks: ledger.outcomes(),
        interrupted,
    })
}

/// Prints the summary, writes the reports, and answers with the exit code.
fn publish(summary: &Summary, reports: Vec<ReportFile>) -> u8 {
    // Where a report takes standard output, the summary for the person moves to standard error.
    let to_stdout = reports.iter().all(|report| report.spec.path.is_some());
    let colourless = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let terminal = if to_stdout { std::io::stdout().is_terminal() } else { std::io::stderr().is_terminal() };
    let style = if terminal && !colourless { Style::Coloured } else { Style::Plain };
    let text = report::console(summary, style);
    let mut code = summary.verdict().exit_code();
    if to_stdout {
        code = code.max(print(&text));
    } else {
        let _ = writeln!(std::io::stderr(), "{text}");
    }
    for file in reports {
        let written = report::json(summary)
            .map_err(|error| format!("the report cannot be made: {error}"))
            .and_then(|text| file.write(&text));
        if let Err(message) = written {
            // Whoever reads the report must not take an old one for this run's.
            code = code.max(fail(NO_VERDICT, &message));
        }
    }
    code
}
