//! `canary-gate audit`: the checklist after a deploy.

use std::cell::RefCell;
use std::convert::Infallible;
use std::path::Path;
use std::rc::Rc;
use std::time::{Duration, Instant, SystemTime};

use super::coordinates::Coordinates;
use super::history::entries;
use super::process::{checks_file, time_of};
use super::session::{Cloud, variable};
use super::signals::Signals;
use super::verify::{clients, ended, open_all, publish, pulse, write_reports};
use super::{CommandError, Session};
use crate::check::{Everyone, Ledger};
use crate::cli::Audit as Args;
use crate::google::deploy::Deploy;
use crate::google::{AccessAuth, named, short};
use crate::http::{Transport, stood_still};
use crate::observe::{self, Progress};
use crate::operate::audit::{Apis, Audit, Delete, Known, Names, PipelineNames, Recorded};
use crate::outcome::{CheckId, Exit, Observer, Purpose, Summary, Unfinished};
use crate::plan::{Plan, PlanInput, reserve};
use crate::report::{Entry, Format, Newest, ReportFile, ReportSpec, newest_record, record_name};

pub(crate) fn run(session: &Session, args: &Args) -> Result<Exit, CommandError> {
    let (started_at, began) = (SystemTime::now(), Instant::now());
    let prepared = Prepared::new(session, args)?;
    let runtime = session.runtime()?;
    let mut signals = {
        let _inside = runtime.enter();
        Signals::listen()?
    };
    // Last of all that can be wrong: an older report is never taken for this run's.
    let reports = open_reports(args, &prepared, started_at)?;
    let summary = runtime.block_on(summarize(session, args, prepared, (started_at, began), &mut signals));
    let (mut summary, reports) = match summary {
        Ok(summary) => (summary.redacted(&session.redactor), reports),
        Err(error) => {
            let kept: Vec<ReportFile> = reports.into_iter().filter_map(ReportFile::withdraw).collect();
            let unfinished = Unfinished { cause: error.message.clone(), exit: error.exit };
            let summary = unseen(started_at, unfinished).redacted(&session.redactor);
            let failed = write_reports(&summary, kept, None);
            return Err(failed.into_iter().fold(error, |first, then| first.and(&then)));
        }
    };
    let failed = publish(session, &mut summary, reports, None);
    runtime.shutdown_background();
    ended(&summary, failed)
}

/// Everything that can be wrong before a request is made, done and found good.
struct Prepared {
    plan: Plan,
    names: Names,
    timeout: Duration,
    patience: Duration,
    delete: Delete,
    /// The records of the folder as they were before this run wrote any.
    records: Option<Vec<Entry>>,
    reports: Vec<ReportSpec>,
    transport: Transport,
    cloud: Cloud,
}

impl Prepared {
    fn new(session: &Session, args: &Args) -> Result<Self, CommandError> {
        let usage = CommandError::usage;
        let (timeout, patience) = (time_of("--timeout", &args.timeout)?, time_of("--patience", &args.patience)?);
        let delete = match (args.delete_old, args.yes) {
            (false, false) => Delete::No,
            (true, false) => Delete::Show,
            (true, true) => Delete::Yes,
            (false, true) => return Err(usage("--yes says yes to --delete-old, which is not given".into())),
        };
        let names = names(args)?;
        let input = PlanInput { file: args.checks.as_deref().map(checks_file).transpose()?, ..PlanInput::default() };
        let plan = input.plan(&session.lookup())?;
        if !plan.audit.rows().iter().any(|row| row.enabled) {
            return Err(usage(
                "the checks file switches every row of the audit off: nothing would be looked at".into(),
            ));
        }
        let records = args.records.as_deref().map(entries).transpose()?;
        let reports = ReportSpec::all(&args.report).map_err(usage)?;
        if reports.iter().any(|spec| spec.format() == Format::Evidence) {
            return Err(usage("--report: evidence is of a run of verify".into()));
        }
        let inputs: [(&str, Option<&Path>); 3] = [
            ("--checks", args.checks.as_deref().filter(|path| path.as_os_str() != "-")),
            ("--ca-file", args.cloud.network.ca_file.as_deref()),
            ("--access-token-file", args.cloud.access.access_token_file.as_deref()),
        ];
        reports.iter().try_for_each(|spec| spec.spares(&inputs)).map_err(usage)?;
        let (transport, cloud) = session.cloud(&args.cloud)?;
        Ok(Self { plan, names, timeout, patience, delete, records, reports, transport, cloud })
    }
}

/// What is audited, by its names.
fn names(args: &Args) -> Result<Names, CommandError> {
    let usage = CommandError::usage;
    let coordinates = Coordinates::read(&args.cloud.coordinates)?;
    let (project, region, service) = (coordinates.project()?, coordinates.region()?, coordinates.service()?);
    let given = |flag: &str, given: Option<&String>, name: &str| {
        let written = given.cloned().or_else(|| variable(name)).map(|written| short(&written));
        written.map(|written| named(flag, written)).transpose().map_err(usage)
    };
    let revision = given("revision", args.revision.as_ref(), "CLOUD_RUN_REVISION")?;
    let release = given("release", args.release.as_ref(), "CLOUD_DEPLOY_RELEASE")?;
    if !coordinates.has_pipeline() {
        if release.is_some() {
            return Err(usage(
                "the release is given, and its pipeline is not known: pass --pipeline and --target".into(),
            ));
        }
        if revision.is_none() {
            return Err(usage(
                "the revision that should have the traffic is not known: pass --revision, or --pipeline and --target for that of \
                 the newest rollout"
                    .into(),
            ));
        }
        return Ok(Names { project, region, service, revision, pipeline: None });
    }
    // A pipeline may be elsewhere than what it deploys; its job's environment says so.
    let of_pipeline = |flag: &str, given: Option<&String>, names: &[&str], other: &str| {
        let own = names.iter().find_map(|name| variable(name)).filter(|_| given.is_none());
        own.map_or_else(|| Ok(other.to_owned()), |own| named(flag, short(&own)).map_err(usage))
    };
    let home = ["CLOUD_DEPLOY_PROJECT_ID", "CLOUD_DEPLOY_PROJECT"];
    let own_project = of_pipeline("project", args.cloud.coordinates.project.as_ref(), &home, &project)?;
    let own_region =
        of_pipeline("region", args.cloud.coordinates.region.as_ref(), &["CLOUD_DEPLOY_LOCATION"], &region)?;
    let (pipeline, target) = (coordinates.pipeline()?, coordinates.target()?);
    let name = format!("projects/{own_project}/locations/{own_region}/deliveryPipelines/{pipeline}");
    // The environment's rollout is that of the environment's release.
    let rollout = match &args.release {
        Some(_) => None,
        None => given("rollout", None, "CLOUD_DEPLOY_ROLLOUT")?,
    };
    let rollout =
        release.as_ref().zip(rollout).map(|(release, rollout)| format!("{name}/releases/{release}/rollouts/{rollout}"));
    let release = release.map(|release| format!("{name}/releases/{release}"));
    let pipeline = Some(PipelineNames { name, target, release, rollout });
    Ok(Names { project, region, service, revision, pipeline })
}

fn unseen(started_at: SystemTime, unfinished: Unfinished) -> Summary {
    Summary { purpose: Purpose::Audit, ..Summary::unseen(started_at, unfinished) }
}

/// The reports that were asked for, each in place as that of a run that is not finished.
fn open_reports(args: &Args, prepared: &Prepared, started_at: SystemTime) -> Result<Vec<ReportFile>, CommandError> {
    let unfinished = Unfinished { cause: "not finished".into(), exit: Exit::NoVerdict };
    let summary = unseen(started_at, unfinished);
    let facts = crate::outcome::DeploymentFacts {
        release: args.release.clone().or_else(|| variable("CLOUD_DEPLOY_RELEASE")).map(|release| short(&release)),
        revision: prepared.names.revision.clone().or_else(|| Some(prepared.names.service.clone())),
        ..crate::outcome::DeploymentFacts::default()
    };
    let record = format!("{}-audit", record_name(started_at, Some(&facts), None));
    open_all(prepared.reports.iter().cloned(), &summary, &record)
}

/// Fills the rows until they are full or a signal comes.
async fn summarize(
    session: &Session,
    args: &Args,
    prepared: Prepared,
    (started_at, began): (SystemTime, Instant),
    signals: &mut Signals,
) -> Result<Summary, CommandError> {
    let Prepared { plan, names, timeout, patience, delete, records, transport, cloud, .. } = prepared;
    let rows: Vec<String> = plan.audit.rows().iter().map(|row| row.name.to_owned()).collect();
    let ledger = Ledger::of_audit(&plan.audit, timeout);
    let ids: Vec<CheckId> = ledger.ids().collect();
    let log = observe::Log::new(&rows, &session.redactor);
    let progress = (!session.quiet && !observe::Log::is_on())
        .then(|| Progress::new(&rows, &session.redactor, Session::can_draw()));
    let mut observers: Vec<&dyn Observer> = vec![&ledger];
    if observe::Log::is_on() {
        observers.push(&log);
    }
    observers.extend(progress.iter().map(|progress| progress as &dyn Observer));
    let everyone = Everyone(observers);
    let recorded = records
        .as_deref()
        .map(|records| move |release: Option<&str>, revision: &str| recorded(records, release, revision));
    let client = clients(args.audience.clone(), args.auth, &plan, transport, cloud.identity.clone());
    let audit = Audit {
        plan: &plan,
        names,
        apis: Apis {
            deploy: Deploy::new(cloud.deploy.clone()),
            run: cloud.run.clone(),
            logging: cloud.logging.clone(),
            monitoring: cloud.monitoring.clone(),
            tokens: cloud.access.clone(),
        },
        client,
        access: Rc::new(AccessAuth::new(cloud.access.clone())),
        records: recorded.as_ref().map(|recorded| recorded as &dyn Fn(Option<&str>, &str) -> Recorded),
        wait: args.wait,
        patience,
        deadline: (began + timeout.saturating_sub(reserve(timeout))).into(),
        delete,
        known: RefCell::default(),
    };
    let unfinished = tokio::select! {
        biased;
        signal = signals.next() => {
            Some(Unfinished { cause: format!("interrupted by {signal}"), exit: Exit::NoVerdict })
        }
        () = audit.run(&ids, &everyone) => None,
        never = pulse(progress.as_ref()) => { let never: Infallible = never; match never {} }
    };
    let Known { url, facts } = audit.known.borrow().clone();
    Ok(Summary {
        purpose: Purpose::Audit,
        url,
        deployment: Some(facts),
        started_at,
        duration: began.elapsed(),
        stood_still: stood_still(),
        checks: ledger.outcomes(),
        unfinished,
    })
}

/// What the records say of a release or a revision.
fn recorded(records: &[Entry], release: Option<&str>, revision: &str) -> Recorded {
    match newest_record(records, release, revision) {
        Newest::Good(file) => Recorded::Good(file),
        Newest::Bad(file, why) => Recorded::Bad(file, why),
        Newest::Missing { records, unreadable } => Recorded::Missing(records, unreadable),
    }
}
