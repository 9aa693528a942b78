//! `canary-gate verify`: the gate.

use std::io::{IsTerminal as _, Write as _};
use std::path::Path;
use std::rc::Rc;
use std::time::{Instant, SystemTime};

use tokio::signal::unix::{SignalKind, signal};

use super::{NO_VERDICT, USAGE, fail, print, runtime};
use crate::check::{self, Approach, Ledger};
use crate::cli::{AuthWhen, Verify};
use crate::outcome::Summary;
use crate::plan::{Lookup, Plan, Source, read_file};
use crate::probe::{Probe, read_ca_file};
use crate::report::{self, ReportFile, Style};
use crate::target::{Auth, AuthMode, CloudRun, Deployment, Given, Target, Tokens};

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
    approach: Approach,
    /// The address, where it was given.
    url: Option<String>,
    facts: Vec<(String, String)>,
    reports: Vec<ReportFile>,
}

impl Prepared {
    fn new(args: &Verify) -> Result<Self, String> {
        let given = Given {
            project: filled(args.project.as_ref()),
            region: filled(args.region.as_ref()),
            service: filled(args.service.as_ref()),
            revision: filled(args.revision.as_ref()),
            tag: filled(args.tag.as_ref()),
            percent: args.expect_percent,
        };
        let url = filled(args.url.as_ref()).as_deref().map(Target::parse).transpose()?;
        let deployment = match &url {
            // An address by hand beats all that the environment says.
            Some(_) => None,
            None => Deployment::read(&given, &|name| std::env::var(name).ok())?,
        };
        let file = match &args.checks {
            Some(path) => Some((path.display().to_string(), read_file(path).map_err(|error| error.to_string())?)),
            None => None,
        };
        let source = Source {
            file,
            timeout: args.timeout.clone(),
            window: filled(args.window.as_ref()),
            thresholds: args.threshold.clone(),
            warnings: args.warn.clone(),
        };
        let plan = source.plan(&Process).map_err(|error| error.to_string())?;
        let ca = args.ca_file.as_deref().map(read_ca_file).transpose()?;
        let tokens = Rc::new(tokens(args, ca.as_deref(), &plan)?);
        let facts = deployment.as_ref().map(Deployment::facts).unwrap_or_default();
        let shown = url.as_ref().map(|url| url.shown().to_owned());
        let make = probes(args, &plan, ca.clone(), tokens.clone());
        let approach = match (url, deployment) {
            (Some(url), _) => Approach::Direct(make(url, None)?),
            (None, Some(deployment)) => {
                let api = Probe::new(endpoint("--run-endpoint", &args.run_endpoint)?, &[], ca.as_deref())?;
                Approach::CloudRun { cloud: CloudRun::new(deployment, args.require_identity, api, tokens), probe: make }
            }
            (None, None) => {
                return Err(
                    "no canary to verify: pass --url URL (or set CANARY_GATE_URL), or --service, --region, --project, \
                            --revision and --tag; in Cloud Deploy its environment says them"
                        .into(),
                );
            }
        };
        // Last, so that no other error leaves a file behind.
        let reports = args.reports()?.into_iter().map(ReportFile::open).collect::<Result<_, _>>()?;
        Ok(Self { plan, approach, url: shown, facts, reports })
    }
}

/// A value that is not empty: a build's substitution that nobody set is an empty variable.
fn filled(value: Option<&String>) -> Option<String> {
    value.filter(|value| !value.trim().is_empty()).cloned()
}

fn endpoint(flag: &str, written: &str) -> Result<Target, String> {
    Target::parse(written).map_err(|error| format!("{flag}: {error}"))
}

/// Where tokens come from.
fn tokens(args: &Verify, ca: Option<&[u8]>, plan: &Plan) -> Result<Tokens, String> {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.trim().is_empty());
    let host = variable("GCE_METADATA_HOST").unwrap_or_else(|| "metadata.google.internal".into());
    let metadata = Target::parse(&format!("http://{host}")).map_err(|error| format!("GCE_METADATA_HOST: {error}"))?;
    let given = match &args.id_token_file {
        Some(path) => {
            Some(Process.file(&path.display().to_string()).map_err(|error| format!("--id-token-file: {error}"))?)
        }
        None => variable("CANARY_GATE_ID_TOKEN").map(|token| token.trim().to_owned()),
    };
    let iam = Probe::new(endpoint("--iam-endpoint", &args.iam_endpoint)?, &[], ca)?;
    Ok(Tokens::new(Probe::direct(metadata)?, iam, given, plan.redactor.clone()))
}

type MakeProbe = Box<dyn Fn(Target, Option<String>) -> Result<Probe, String>>;

/// Makes the probe of an address, with tokens for the audience: that of the flag, of the service, or the address itself.
fn probes(args: &Verify, plan: &Plan, ca: Option<Vec<u8>>, tokens: Rc<Tokens>) -> MakeProbe {
    let mode = match args.auth {
        AuthWhen::Auto => AuthMode::Auto,
        AuthWhen::Always => AuthMode::Always,
        AuthWhen::Never => AuthMode::Never,
    };
    let (headers, audience) = (plan.headers.clone(), args.audience.clone());
    let taken = headers.iter().any(|header| header.name.eq_ignore_ascii_case("authorization"));
    Box::new(move |target, service| {
        let own = target.shown().to_owned();
        // Of a tagged address, the audience is the service's: the host without the tag.
        let untagged =
            own.split_once("---").and_then(|(tag, host)| Some(format!("{}://{host}", tag.split_once("://")?.0)));
        let mut audiences: Vec<String> = audience.iter().cloned().chain(service).chain(untagged).chain([own]).collect();
        audiences.dedup();
        audiences.truncate(2);
        let auth = Auth::new(mode, tokens.clone(), audiences, taken);
        Ok(Probe::new(target, &headers, ca.as_deref())?.with_auth(auth))
    })
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
        () = check::run(&prepared.plan, &prepared.approach, &ledger) => None,
        _ = interrupt.recv() => Some("SIGINT"),
        _ = terminate.recv() => Some("SIGTERM"),
    };
    Ok(Summary {
        url: prepared.url.clone().or_else(|| ledger.address()).unwrap_or_default(),
        deployment: prepared.facts.clone(),
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
