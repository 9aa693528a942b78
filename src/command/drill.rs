//! `canary-gate drill`: proves that the gate can fail.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Instant, SystemTime};

use super::signals::Signals;
use super::verify::{clients, plan};
use super::{CommandError, Session};
use crate::cli::Drill as Args;
use crate::drill::{self, Drill, FAULTS, Fault, Played, Service, Stage};
use crate::google::{AccessAuth, ServiceFacts};
use crate::http::{Address, Credentials};
use crate::outcome::Exit;
use crate::report::{Format, ReportFile, ReportSpec};
use crate::text;

pub(crate) fn run(session: &Session, args: &Args) -> Result<Exit, CommandError> {
    if args.list {
        let width = FAULTS.iter().map(|fault| fault.name.len()).max().unwrap_or(0);
        let lines: String = FAULTS.iter().map(|fault| format!("{:width$}  {}\n", fault.name, fault.about)).collect();
        session.print(&lines)?;
        return Ok(Exit::Pass);
    }
    let wanted = wanted(args)?;
    let specs = specs(args)?;
    let url = args.url.as_deref().map(Address::parse).transpose();
    let url = url.map_err(|error| CommandError::usage(format!("--url: {error}")))?;
    let (plan, _) = plan(session, &args.plan)?;
    let transport = session.transport(args.network.ca_file.as_deref())?;
    let (identity, access) = session.credentials(&args.credentials, &transport)?;
    let access: Rc<dyn Credentials> = Rc::new(AccessAuth::new(access));
    let shown = url.as_ref().map(|url| url.shown().to_owned());
    let service = match url {
        None => Service::Sample,
        Some(url) => {
            // The plan's own headers come with each request of the gate; the credentials are added behind the proxy.
            let client =
                clients(args.credentials.audience.clone(), args.credentials.auth, &plan, transport.clone(), identity);
            Service::own(client(url, &ServiceFacts::default()).map_err(CommandError::usage)?)
        }
    };
    // From here on a signal is heard: what is read before may never come, and a signal ends that.
    let runtime = session.runtime()?;
    let mut signals = {
        let _inside = runtime.enter();
        Signals::listen()?
    };
    let (started_at, began) = (SystemTime::now(), Instant::now());
    let mut unfinished = Drill::new(shown.clone(), started_at);
    unfinished.stopped = Some("not finished".into());
    let reports = open(specs, &unfinished)?;
    let limit = plan.timeout;
    let drilled = RefCell::new(Drill::new(shown, started_at));
    let (count, told) = (wanted.len(), RefCell::new(0));
    let tell = |played: &Played| {
        *told.borrow_mut() += 1;
        if !session.quiet {
            let made = &played.made;
            session.complain(&format!("{} of {count}: {}: {}", told.borrow(), played.name, made.word()));
        }
    };
    let stage = Stage { service: &service, plan, transport: &transport, access: &access, wanted, tell: &tell };
    let stopped = runtime.block_on(async {
        tokio::select! {
            biased;
            signal = signals.next() => Some(format!("interrupted by {signal}")),
            ended = tokio::time::timeout(limit, drill::drill(stage, &drilled)) => match ended {
                Ok(ended) => ended.err(),
                Err(_) => Some(format!("the time of {} was up (--timeout)", text::duration(limit))),
            },
        }
    });
    // What was still being computed is of no use any more, and need not be waited for.
    runtime.shutdown_background();
    let mut drilled = drilled.into_inner();
    drilled.stopped = stopped;
    drilled.duration = began.elapsed();
    publish(session, &drilled.redacted(&session.redactor), reports)
}

/// The faults that are asked for.
fn wanted(args: &Args) -> Result<Vec<&'static Fault>, CommandError> {
    for (flag, names) in [("--only", &args.only), ("--skip", &args.skip)] {
        for name in names {
            if drill::named(name).is_none() {
                let similar = text::similar(name, FAULTS.iter().map(|fault| fault.name));
                let hint = similar
                    .first()
                    .map_or("--list names them all".into(), |similar| format!("did you mean {similar}?"));
                return Err(CommandError::usage(format!("{flag}: there is no fault {name:?}; {hint}")));
            }
        }
    }
    let is_wanted = |fault: &&Fault| {
        let is_in = |names: &[String]| names.iter().any(|name| name == fault.name);
        (args.only.is_empty() || is_in(&args.only)) && !is_in(&args.skip)
    };
    let wanted: Vec<&'static Fault> = FAULTS.iter().filter(is_wanted).collect();
    if wanted.is_empty() {
        return Err(CommandError::usage("--only and --skip leave no fault to be played"));
    }
    Ok(wanted)
}

fn specs(args: &Args) -> Result<Vec<ReportSpec>, CommandError> {
    let specs = ReportSpec::all(&args.report).map_err(CommandError::usage)?;
    for spec in &specs {
        format_of(spec.format())?;
    }
    let inputs = [
        ("--checks", args.plan.checks.as_deref().filter(|path| path.as_os_str() != "-")),
        ("--ca-file", args.network.ca_file.as_deref()),
        ("--id-token-file", args.credentials.id_token_file.as_deref()),
    ];
    specs.iter().try_for_each(|spec| spec.spares(&inputs)).map_err(CommandError::usage)?;
    Ok(specs)
}

/// A drill's format.
///
/// # Errors
/// One that a drill is not written in.
fn format_of(format: Format) -> Result<drill::Format, CommandError> {
    match format {
        Format::Json => Ok(drill::Format::Json),
        Format::Junit => Ok(drill::Format::Junit),
        Format::Markdown => Ok(drill::Format::Markdown),
        Format::Html | Format::Tap | Format::Github | Format::Evidence => Err(CommandError::usage(format!(
            "--report: a drill is written as json, junit or markdown, and not as {}",
            format.name()
        ))),
    }
}

fn open(specs: Vec<ReportSpec>, unfinished: &Drill) -> Result<Vec<ReportFile>, CommandError> {
    specs
        .into_iter()
        .map(|spec| {
            let text = drill::render(unfinished, format_of(spec.format())?).map_err(CommandError::no_verdict)?;
            ReportFile::open(spec, text, "drill").map_err(CommandError::usage)
        })
        .collect()
}

/// Writes the reports, and prints the drill: where a report takes standard output, to standard error.
fn publish(session: &Session, drilled: &Drill, reports: Vec<ReportFile>) -> Result<Exit, CommandError> {
    let to_stdout = reports.iter().all(ReportFile::is_file);
    let text = drill::render(drilled, drill::Format::Text).map_err(CommandError::no_verdict)?;
    let mut failed: Vec<CommandError> = Vec::new();
    for report in reports {
        let rendered = format_of(report.format())
            .and_then(|format| drill::render(drilled, format).map_err(CommandError::no_verdict));
        let written = rendered.and_then(|text| report.write(text).map_err(CommandError::no_verdict));
        failed.extend(written.err());
    }
    if to_stdout {
        failed.extend(session.print(&text).err());
    } else {
        session.complain(&text);
    }
    match failed.into_iter().reduce(|first, then| first.and(&then)) {
        None => Ok(drilled.exit()),
        Some(error) => Err(CommandError { exit: error.exit.max(drilled.exit()), ..error }),
    }
}
