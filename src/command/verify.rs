//! `canary-gate verify`: the gate.

use std::convert::Infallible;
use std::io::Write as _;
use std::rc::Rc;
use std::sync::mpsc::{self, RecvTimeoutError, TryRecvError};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use tokio::runtime::Runtime;
use tokio::time::sleep;

use super::afterwards::Afterwards;
use super::process::checks_file;
use super::session::Google;
use super::signals::Signals;
use super::watchdog::Watchdog;
use super::{CommandError, Session};
use crate::check::{self, Everyone, Ledger, MakeClient, Route};
use crate::cli::{CredentialArgs, GoogleArgs, PlanArgs, Verify};
use crate::evidence::{Noting, Recorder, Written, bare};
use crate::google::{Auth, AuthMode, CloudRun, Deployment, Given, IdentityTokens, ServiceFacts};
use crate::http::{Address, Credentials, Transport, Witness, stood_still};
use crate::observe::{self, Progress};
use crate::outcome::{DeploymentFacts, Exit, Observer, Purpose, Summary, Unfinished};
use crate::plan::{Baseline, CheckSpec, Compare, Kind, Plan, PlanInput};
use crate::report::{self, Format, ReportFile, ReportSpec};
use crate::text;

pub(crate) fn run(session: &Session, args: &Verify) -> Result<Exit, CommandError> {
    let runtime = session.runtime()?;
    // First of all: whatever is written from here on is cleaned up after.
    let mut signals = {
        let _inside = runtime.enter();
        Signals::listen()?
    };
    let (started_at, began) = (SystemTime::now(), Instant::now());
    let reports = open_reports(args, started_at)?;
    let prepared = match interruptible(session, args, &runtime, &mut signals, || Prepared::new(session, args)) {
        Ok(prepared) => prepared,
        Err(error) => {
            let kept: Vec<ReportFile> = reports.into_iter().filter_map(ReportFile::withdraw).collect();
            let unfinished = Unfinished { cause: error.message.clone(), exit: error.exit };
            let summary = Summary::unseen(started_at, unfinished).redacted(&session.redactor);
            let failed = write_reports(&summary, kept, None);
            return Err(failed.into_iter().fold(error, |first, then| first.and(&then)));
        }
    };
    let _watchdog = Watchdog::new(prepared.plan.timeout.saturating_sub(began.elapsed()));
    let courses = reports.iter().any(|report| report.format().draws_courses());
    let summary = runtime.block_on(summarize(session, &prepared, (started_at, began), &mut signals, courses));
    let mut summary = summary.redacted(&session.redactor);
    let failed = publish(session, &mut summary, reports, prepared.recorder.as_deref());
    tell(session, &runtime, &prepared.afterwards, &summary, &mut signals);
    // What was still being computed is of no use any more, and need not be waited for.
    runtime.shutdown_background();
    ended(&summary, failed)
}

/// The exit code, when all is written; or what went wrong.
pub(super) fn ended(summary: &Summary, failed: Vec<CommandError>) -> Result<Exit, CommandError> {
    observe::Log::verdict(summary);
    match failed.into_iter().reduce(|first, then| first.and(&then)) {
        None => Ok(summary.exit()),
        Some(error) => Err(CommandError { exit: error.exit.max(summary.exit()), ..error }),
    }
}

/// Tells whoever wants to know, when all is written: whatever becomes of that, the verdict stands.
fn tell(session: &Session, runtime: &Runtime, afterwards: &Afterwards, summary: &Summary, signals: &mut Signals) {
    let failed = runtime.block_on(async {
        tokio::select! {
            failed = afterwards.tell(summary) => failed,
            signal = signals.next() => vec![format!("interrupted by {signal} while others were told of the outcome")],
        }
    });
    for why in &failed {
        session.complain(why);
    }
}

/// Reads the run's input, which may never come: from a pipe that nobody writes into, a terminal, a file system that hangs. A
/// signal, or the end of the run's time, ends the process meanwhile; the reports stay those of a run that is not finished.
fn interruptible<T>(
    session: &Session,
    args: &Verify,
    runtime: &Runtime,
    signals: &mut Signals,
    read: impl FnOnce() -> T,
) -> T {
    const SOON: Duration = Duration::from_millis(50);
    /// Where no flag says it: what the file says is not known yet.
    const DEFAULT_LIMIT: Duration = Duration::from_mins(10);
    if args.plan.checks.is_none() && args.network.ca_file.is_none() && args.google.credentials.id_token_file.is_none() {
        // There is nothing to wait for, and a thread costs more than all the rest of this.
        return read();
    }
    let limit = args.plan.timeout.as_deref().and_then(|written| humantime::parse_duration(written).ok());
    let limit = limit.unwrap_or(DEFAULT_LIMIT);
    let (is_read, waiting) = mpsc::channel::<()>();
    thread::scope(|scope| {
        scope.spawn(move || {
            // Mostly it is there at once.
            if waiting.recv_timeout(SOON) != Err(RecvTimeoutError::Timeout) {
                return;
            }
            let read = async {
                while waiting.try_recv() != Err(TryRecvError::Disconnected) {
                    sleep(SOON / 10).await;
                }
            };
            let cause = runtime.block_on(async {
                tokio::select! {
                    biased;
                    () = read => None,
                    signal = signals.next() => Some(format!("interrupted by {signal}")),
                    () = sleep(limit) => Some(format!("the run's time of {} was up", text::duration(limit))),
                }
            });
            if let Some(cause) = cause {
                session.complain(&format!("{cause} while the input was read"));
                std::process::exit(Exit::NoVerdict.code().into());
            }
        });
        let result = read();
        drop(is_read);
        result
    })
}

/// The reports that were asked for, each in place as that of a run that is not finished.
fn open_reports(args: &Verify, started_at: SystemTime) -> Result<Vec<ReportFile>, CommandError> {
    let unfinished = Unfinished { cause: "not finished".into(), exit: Exit::NoVerdict };
    let summary = Summary::unseen(started_at, unfinished);
    let specs = ReportSpec::all(&args.reports.report).map_err(CommandError::usage)?;
    let inputs = [
        ("--checks", args.plan.checks.as_deref().filter(|path| path.as_os_str() != "-")),
        ("--ca-file", args.network.ca_file.as_deref()),
        ("--id-token-file", args.google.credentials.id_token_file.as_deref()),
    ];
    specs.iter().try_for_each(|spec| spec.spares(&inputs)).map_err(CommandError::usage)?;
    let record = record(args, started_at);
    open_all(specs, &summary, &record)
}

/// Opens reports, each with what stands until there is a verdict. Where one cannot be written there is no run: the others are taken
/// back, and one that replaced an older report says why.
///
/// # Errors
/// Why it cannot be written.
pub(super) fn open_all(
    specs: impl IntoIterator<Item = ReportSpec>,
    unfinished: &Summary,
    record: &str,
) -> Result<Vec<ReportFile>, CommandError> {
    let mut opened = Vec::new();
    for spec in specs {
        let file = rendered(spec.format(), unfinished, None).and_then(|bytes| ReportFile::open(spec, bytes, record));
        match file.map_err(CommandError::usage) {
            Ok(file) => opened.push(file),
            Err(error) => {
                let kept: Vec<ReportFile> = opened.into_iter().filter_map(ReportFile::withdraw).collect();
                let why = Unfinished { cause: error.message.clone(), exit: error.exit };
                let failed = write_reports(&Summary { unfinished: Some(why), ..unfinished.clone() }, kept, None);
                return Err(failed.into_iter().fold(error, |first, then| first.and(&then)));
            }
        }
    }
    Ok(opened)
}

/// A report; of evidence what was recorded, where anything was.
///
/// # Errors
/// Why it cannot be made.
fn rendered(format: Format, summary: &Summary, recorder: Option<&Recorder>) -> Result<Vec<u8>, String> {
    if format == Format::Evidence {
        return Ok(recorder.map_or_else(|| bare(summary), |recorder| recorder.end(summary)));
    }
    format.render(summary).map(String::into_bytes)
}

/// What the record of this run is called in a folder of records. What is wrong with the arguments is told later.
fn record(args: &Verify, started_at: SystemTime) -> String {
    let variable = |name: &str| std::env::var(name).ok();
    let deployment = Deployment::read(&given(&args.google), &variable).ok().flatten();
    let host = args.url.as_deref().and_then(|url| Address::parse(url).ok()).map(|url| url.host().to_owned());
    report::record_name(started_at, deployment.map(|deployment| deployment.facts()).as_ref(), host.as_deref())
}

/// Everything that can be wrong before a request is made, done and found good.
struct Prepared {
    plan: Plan,
    route: Route,
    access: Rc<dyn Credentials>,
    /// The address, where it was given.
    url: Option<String>,
    deployment: Option<DeploymentFacts>,
    /// Where evidence is asked for.
    recorder: Option<Rc<Recorder>>,
    afterwards: Afterwards,
}

impl Prepared {
    fn new(session: &Session, args: &Verify) -> Result<Self, CommandError> {
        let usage = CommandError::usage;
        let written_as = if args.url_from_environment { "CANARY_GATE_URL" } else { "--url" };
        let url = args.url.as_deref().map(Address::parse).transpose();
        let url = url.map_err(|error| usage(format!("{written_as}: {error}")))?;
        let variable = |name: &str| std::env::var(name).ok();
        let deployment = match &url {
            Some(_) if Deployment::is_elsewhere(&variable) => None,
            _ => Deployment::read(&given(&args.google), &variable).map_err(usage)?,
        };
        let (plan, written) = plan(session, &args.plan)?;
        let is_recorded = ReportSpec::all(&args.reports.report).map_err(usage)?;
        let drawn = is_recorded.iter().any(|spec| spec.format().draws_courses());
        let is_recorded = is_recorded.iter().any(|spec| spec.format() == Format::Evidence);
        let recorder = is_recorded.then(|| Rc::new(Recorder::new(written.drawn(drawn), &session.redactor)));
        match (&url, &deployment) {
            (Some(_), None) => needs_no_deployment(&args.google, &plan)?,
            (Some(_), Some(_)) if args.url_from_environment => {
                return Err(usage(
                    "CANARY_GATE_URL is set where a deployment is to be verified: an address that leaks into a rollout's environment \
                     must not decide what is looked at; unset it, or pass --url to verify that address of the deployment"
                        .into(),
                ));
            }
            _ => {}
        }
        if deployment.is_none() {
            needs_a_stable_address(&plan, url.as_ref())?;
        }
        let transport = session.transport(args.network.ca_file.as_deref())?;
        // What is told afterwards is no part of the evidence.
        let afterwards = Afterwards::new(session, &args.reports, &args.google.credentials.access, &transport)?;
        let transport = transport.witnessed(recorder.clone().map(|recorder| recorder as Rc<dyn Witness>));
        let Google { run, identity, access } = session.google(&args.google, &transport)?;
        let (shown, facts) =
            (url.as_ref().map(|url| url.shown().to_owned()), deployment.as_ref().map(Deployment::facts));
        let CredentialArgs { audience, auth, .. } = &args.google.credentials;
        let client = clients(audience.clone(), *auth, &plan, transport, identity);
        let route = match (url, deployment) {
            (Some(url), None) => Route::Direct(client(url, &ServiceFacts::default()).map_err(usage)?),
            (given, Some(deployment)) => {
                let cloud = CloudRun::new(deployment, run);
                Route::CloudRun { cloud, given, require_identity: args.google.require_identity, client }
            }
            (None, None) => {
                return Err(usage(
                    "no canary to verify: pass --url URL (or set CANARY_GATE_URL), or --service, --region, --project, --revision \
                     and --tag; in Cloud Deploy its environment says them"
                        .into(),
                ));
            }
        };
        Ok(Self { plan, route, access, url: shown, deployment: facts, recorder, afterwards })
    }
}

/// An address alone has no deployment to be held against: what asks for that must not be dropped without a word.
fn needs_no_deployment(args: &GoogleArgs, plan: &Plan) -> Result<(), CommandError> {
    let tells = |check: &CheckSpec| matches!(&check.kind, Kind::Ready(ready) if ready.identity.is_some());
    let asks = if args.require_identity {
        "--require-identity"
    } else if args.expect_percent.is_some() {
        "--expect-percent"
    } else if plan.checks.iter().any(tells) {
        "identity in the checks file"
    } else {
        return Ok(());
    };
    Err(CommandError::usage(format!(
        "{asks} needs a deployment to be proven: beside --url pass --service, --region, --project, --revision and --tag too"
    )))
}

/// Beside an address alone no tag of another revision is known: a comparison that must be made needs an address.
fn needs_a_stable_address(plan: &Plan, url: Option<&Address>) -> Result<(), CommandError> {
    for check in plan.checks.iter().filter(|check| check.policy.enabled) {
        let Kind::Traffic(traffic) = &check.kind else { continue };
        let why = match &traffic.compare {
            Compare::On(None) => "there is none".to_owned(),
            Compare::On(Some(Baseline::Tag(tag))) => {
                format!("the tag {tag:?} is known to the Cloud Run Admin API only")
            }
            Compare::On(Some(Baseline::Address(stable))) if url.is_some_and(|url| stable.is_same_place(url)) => {
                format!("{} is the canary's own", stable.shown())
            }
            Compare::On(Some(Baseline::Address(_))) | Compare::Auto(_) | Compare::Off => continue,
        };
        return Err(CommandError::usage(format!(
            "traffic.compare: on needs the stable revision's address, and {why}: name an address in traffic.baseline, or verify a \
             deployment (--service, --region, --project, --revision and --tag)"
        )));
    }
    Ok(())
}

fn given(args: &GoogleArgs) -> Given {
    Given {
        project: args.project.clone(),
        region: args.region.clone(),
        service: args.service.clone(),
        revision: args.revision.clone(),
        tag: args.tag.clone(),
        percent: args.expect_percent,
    }
}

/// The plan as it is meant, and as it is written.
pub(super) fn plan(session: &Session, args: &PlanArgs) -> Result<(Plan, Written), CommandError> {
    let input = PlanInput {
        file: args.checks.as_deref().map(checks_file).transpose()?,
        timeout: args.timeout.clone(),
        window: args.window.clone(),
        traffic: args.traffic,
        thresholds: args.threshold.clone(),
        warnings: args.warn.clone(),
    };
    let lookup = session.lookup();
    let noting = Noting::new(&lookup);
    let plan = input.plan(&noting)?;
    let written = noting.written(input, &plan);
    Ok((plan, written))
}

/// Makes the client of an address, with tokens for the audience: that of the flag, of the service, or the address itself.
pub(super) fn clients(
    audience: Option<String>,
    mode: AuthMode,
    plan: &Plan,
    transport: Transport,
    tokens: Rc<IdentityTokens>,
) -> MakeClient {
    let headers = plan.headers.clone();
    let taken = headers.iter().any(|header| header.is("authorization"));
    Box::new(move |address, service: &ServiceFacts| {
        let own = address.shown().to_owned();
        // Of a tagged address, the audience is the service's: the host without the tag.
        let untagged = address.host().split_once("---").and_then(|(_, host)| address.at_host(host));
        let untagged = untagged.map(|address| address.shown().to_owned());
        let mut audiences: Vec<String> =
            audience.iter().cloned().chain(service.audience.clone()).chain(untagged).chain([own]).collect();
        audiences.dedup();
        audiences.truncate(2);
        let auth = Auth::new(mode, tokens.clone(), audiences, taken, service.open);
        Ok(transport.client(address, &headers)?.with_credentials(Rc::new(auth)))
    })
}

/// Runs the checks until they end or a signal comes. The time of the run began with its input.
async fn summarize(
    session: &Session,
    prepared: &Prepared,
    (started_at, began): (SystemTime, Instant),
    signals: &mut Signals,
    courses: bool,
) -> Summary {
    let names: Vec<String> = prepared.plan.checks.iter().map(|check| check.name.clone()).collect();
    let ledger = Ledger::new(&prepared.plan);
    let log = observe::Log::new(&names, &session.redactor);
    let progress = (!session.quiet && !observe::Log::is_on())
        .then(|| Progress::new(&names, &session.redactor, Session::can_draw()));
    let mut observers: Vec<&dyn Observer> = vec![&ledger];
    if observe::Log::is_on() {
        observers.push(&log);
    }
    observers.extend(prepared.recorder.as_deref().map(|recorder| recorder as &dyn Observer));
    observers.extend(progress.iter().map(|progress| progress as &dyn Observer));
    let everyone = Everyone(observers);
    let Prepared { plan, route, access, .. } = prepared;
    let unfinished = tokio::select! {
        // A signal that is there already comes first.
        biased;
        signal = signals.next() => {
            Some(Unfinished { cause: format!("interrupted by {signal}"), exit: Exit::NoVerdict })
        }
        () = check::run(plan, route, access, &ledger, &everyone, began.into(), courses) => None,
        never = pulse(progress.as_ref()) => match never {},
    };
    Summary {
        purpose: Purpose::Verify,
        url: prepared.url.clone().or_else(|| ledger.address()),
        deployment: prepared.deployment.clone().map(|facts| DeploymentFacts { serving: ledger.serving(), ..facts }),
        started_at,
        duration: began.elapsed(),
        stood_still: stood_still(),
        checks: ledger.outcomes(),
        unfinished,
    }
}

/// Keeps the progress going, where there is one.
pub(super) async fn pulse(progress: Option<&Progress>) -> Infallible {
    match progress {
        Some(progress) => progress.pulse().await,
        None => std::future::pending().await,
    }
}

/// Prints the summary (it is redacted) and writes the reports; with what went wrong.
pub(super) fn publish(
    session: &Session,
    summary: &mut Summary,
    reports: Vec<ReportFile>,
    recorder: Option<&Recorder>,
) -> Vec<CommandError> {
    // Files first: what is printed must not say that all is well where a report is missing.
    let (files, streams): (Vec<_>, Vec<_>) = reports.into_iter().partition(ReportFile::is_file);
    let mut failed = write_reports(summary, files, recorder);
    if let (Some(error), None, Exit::Pass) = (failed.first(), &summary.unfinished, summary.exit()) {
        summary.unfinished = Some(Unfinished { cause: session.redactor.clean(&error.message), exit: error.exit });
    }
    // Where a report takes standard output, the summary for the person moves to standard error.
    let to_stdout = streams.is_empty();
    let text = report::console(summary, session.style(to_stdout), Session::columns(to_stdout));
    if to_stdout {
        failed.extend(session.print(&text).err());
    } else if !session.logs_json {
        // Between the entries of a log that a machine reads, it would be none.
        let _ = writeln!(std::io::stderr(), "{text}");
    }
    failed.extend(write_reports(summary, streams, recorder));
    failed
}

/// Writes the reports; with what went wrong. Whoever reads one must not take an old one for this run's.
pub(super) fn write_reports(
    summary: &Summary,
    reports: Vec<ReportFile>,
    recorder: Option<&Recorder>,
) -> Vec<CommandError> {
    let write = |file: ReportFile| {
        let bytes = rendered(file.format(), summary, recorder)?;
        file.write(bytes)
    };
    reports.into_iter().filter_map(|file| write(file).map_err(CommandError::no_verdict).err()).collect()
}
