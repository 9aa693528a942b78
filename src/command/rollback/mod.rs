//! `canary-gate rollback`: shows what it would do, asks, does it, and checks the service afterwards.

mod ask;
mod service;
mod shown;

use std::cell::RefCell;
use std::io::{IsTerminal as _, Write as _, stderr, stdin};
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use tokio::time::Instant as Moment;

use super::coordinates::Coordinates;
use super::process::time_of;
use super::signals::Signals;
use super::verify::{ended, open_all, publish, write_reports};
use super::{CommandError, Session};
use crate::cli::Rollback as Args;
use crate::google::run_traffic::ServiceName;
use crate::google::{named, short};
use crate::http::stood_still;
use crate::operate::Stop;
use crate::operate::rollback::{Asked, Done, How, Plan, Recorded, Step, To};
use crate::operate::watch::Apis;
use crate::outcome::{DeploymentFacts, Exit, Outcome, Purpose, Summary, Unfinished};
use crate::report::{self, Format, ReportFile, ReportSpec};
use service::Checking;

pub(crate) fn run(session: &Session, args: &Args) -> Result<Exit, CommandError> {
    let runtime = session.runtime()?;
    let mut signals = {
        let _inside = runtime.enter();
        Signals::listen()?
    };
    let began = (SystemTime::now(), Instant::now());
    let rollback = Rollback::new(session, args, began)?;
    let reports = if args.dry_run { Vec::new() } else { rollback.open_reports(args)? };
    let ran = runtime.block_on(rollback.run(&mut signals));
    runtime.shutdown_background();
    let mut summary = match ran {
        Ran::Summary(summary) => summary.redacted(&session.redactor),
        Ran::Shown => return Ok(Exit::Pass),
        Ran::Unanswered(error) => {
            let kept: Vec<ReportFile> = reports.into_iter().filter_map(ReportFile::withdraw).collect();
            let unfinished = Unfinished { cause: error.message.clone(), exit: error.exit };
            let summary = Summary::unseen(began.0, unfinished).redacted(&session.redactor);
            let failed = write_reports(&summary, kept, None);
            return Err(failed.into_iter().fold(error, |first, then| first.and(&then)));
        }
    };
    let failed = publish(session, &mut summary, reports, None);
    ended(&summary, failed)
}

/// What a run comes to.
enum Ran {
    /// Something was done, or could not be.
    Summary(Box<Summary>),
    /// The plan was shown, and that was all that was wanted.
    Shown,
    /// Nobody said yes.
    Unanswered(CommandError),
}

/// Everything that can be wrong before a request is made, done and found good.
struct Rollback<'r> {
    session: &'r Session,
    args: &'r Args,
    asked: Asked,
    apis: Apis,
    checking: Checking,
    began: (SystemTime, Instant),
    /// Whether standard output is a report's.
    stdout_is_taken: bool,
    /// What stands at this moment, for whoever interrupts.
    stands: RefCell<String>,
    /// What happened, for the record.
    steps: RefCell<Vec<String>>,
    /// What is repeated is told once.
    last: RefCell<String>,
}

impl<'r> Rollback<'r> {
    fn new(session: &'r Session, args: &'r Args, began: (SystemTime, Instant)) -> Result<Self, CommandError> {
        let usage = CommandError::usage;
        let timeout = time_of("--timeout", &args.timeout)?;
        let (poll, settle) = (time_of("--poll", &args.poll)?, time_of("--settle", &args.settle)?);
        if settle >= timeout {
            return Err(usage(format!("--settle {} leaves nothing of --timeout {}", args.settle, args.timeout)));
        }
        let coordinates = Coordinates::read(&args.cloud.coordinates)?;
        let service = coordinates.service_name()?;
        let pipeline =
            if coordinates.has_pipeline() { Some((coordinates.pipeline_name()?, coordinates.target()?)) } else { None };
        let to = to(args)?;
        if let (To::Release(_), None) = (&to, &pipeline) {
            return Err(usage(
                "--to-release needs the pipeline that the release is of: pass --pipeline and --target".into(),
            ));
        }
        let records = args.records.as_deref().map(|folder| records(session, folder)).transpose()?.unwrap_or_default();
        let (transport, cloud) = session.cloud(&args.cloud)?;
        let checking = Checking::new(session, args, transport, &cloud, settle)?;
        let specs = ReportSpec::all(&args.report).map_err(CommandError::usage)?;
        if specs.iter().any(|spec| spec.format() == Format::Evidence) {
            return Err(usage("--report: evidence is of verify; a rollback has the other formats".into()));
        }
        Ok(Self {
            session,
            args,
            asked: Asked {
                service,
                pipeline,
                traffic_only: args.traffic_only,
                to,
                records,
                poll,
                deadline: Moment::from_std(began.1) + timeout,
            },
            apis: super::watch::apis(cloud),
            checking,
            began,
            stdout_is_taken: specs.iter().any(ReportSpec::is_standard_output),
            stands: RefCell::new("nothing was changed".into()),
            steps: RefCell::default(),
            last: RefCell::default(),
        })
    }

    fn open_reports(&self, args: &Args) -> Result<Vec<ReportFile>, CommandError> {
        let specs = ReportSpec::all(&args.report).map_err(CommandError::usage)?;
        let inputs = [
            ("--checks", args.checks.as_deref().filter(|path| path.as_os_str() != "-")),
            ("--ca-file", args.cloud.network.ca_file.as_deref()),
            ("--access-token-file", args.cloud.access.access_token_file.as_deref()),
        ];
        specs.iter().try_for_each(|spec| spec.spares(&inputs)).map_err(CommandError::usage)?;
        let unfinished = Unfinished { cause: "not finished".into(), exit: Exit::NoVerdict };
        let summary = Summary::unseen(self.began.0, unfinished);
        let service = &self.asked.service.service;
        let record = report::record_name(self.began.0, None, Some(&format!("rollback-{service}")));
        open_all(specs, &summary, &record)
    }

    async fn run(&self, signals: &mut Signals) -> Ran {
        let plan = tokio::select! {
            biased;
            signal = signals.next() => return self.interrupted(signal),
            () = tokio::time::sleep_until(self.asked.deadline) => Err(Stop::Unseen("the time was up while it was planned".into())),
            plan = self.planned() => plan,
        };
        let plan = match plan {
            Ok(plan) => plan,
            Err(stop) => return self.ended(None, &Err(stop), Vec::new()),
        };
        self.show(&shown::plan(&self.asked, &plan));
        if self.args.dry_run {
            self.show("the APIs would take it; nothing was changed (--dry-run)\n");
            return Ran::Shown;
        }
        let changes_nothing = matches!(plan.how, How::Already | How::Follow(_)) && plan.cancel.is_empty();
        if !changes_nothing && !self.args.yes {
            if !(stdin().is_terminal() && stderr().is_terminal()) {
                let why = "there is no terminal to ask on: pass --yes to do this; nothing was changed";
                return Ran::Unanswered(CommandError::usage(why));
            }
            let answer = tokio::select! {
                biased;
                signal = signals.next() => return self.interrupted(signal),
                () = tokio::time::sleep_until(self.asked.deadline) => Err("nobody answered in time".to_owned()),
                answer = ask::yes("Roll back?") => answer,
            };
            match answer {
                Ok(true) => {}
                Ok(false) => {
                    let error = CommandError { exit: Exit::Fail, message: "nothing was changed".into() };
                    return Ran::Unanswered(error);
                }
                Err(why) => return Ran::Unanswered(CommandError::usage(format!("{why}; nothing was changed"))),
            }
        }
        tokio::select! {
            biased;
            signal = signals.next() => self.interrupted(signal),
            (done, checks) = self.carried_out(&plan) => self.ended(Some(&plan), &done, checks),
        }
    }

    /// The plan; of a dry run, validated by the APIs.
    async fn planned(&self) -> Result<Plan, Stop> {
        let plan = Box::pin(self.asked.plan(&self.apis)).await?;
        if self.args.dry_run {
            self.asked.validate(&self.apis, &plan).await?;
        }
        Ok(plan)
    }

    /// Does it, and checks the service: at once and once more after some seconds. What serves has to be the same all along.
    async fn carried_out(&self, plan: &Plan) -> (Result<Done, Stop>, Vec<Outcome>) {
        let done = match self.asked.carry_out(&self.apis, plan, &|step| self.hear(&step)).await {
            Ok(done) => done,
            Err(stop) => return (Err(stop), Vec::new()),
        };
        *self.stands.borrow_mut() = format!("{} has all of the traffic; the checks had not ended", done.revision);
        let tags = done.service.tags();
        let mut checks = Vec::new();
        for round in [service::Round::First, service::Round::Again] {
            if round == service::Round::Again {
                if service::failed(&checks) {
                    break;
                }
                tokio::time::sleep(self.checking.settle.min(left(self.asked.deadline))).await;
            }
            let round = self.checking.run(self.session, &done.service, self.asked.deadline, round);
            checks.extend(Box::pin(round).await);
            if let Err(stop) = self.asked.still(&self.apis, &done.revision, Some(&tags)).await {
                return (Err(stop), checks);
            }
        }
        (Ok(done), checks)
    }

    /// Tells of a step, once.
    fn hear(&self, step: &Step) {
        match step {
            Step::Asking | Step::Lost(_) | Step::Rollout(_) => {
                *self.stands.borrow_mut() = shown::standing(&self.asked, step);
            }
            Step::Cancelled(_) => *self.stands.borrow_mut() = shown::standing(&self.asked, step),
            Step::Cancelling(_) | Step::Terminating(_) | Step::Waiting(_) | Step::Happened(_) => {}
        }
        let line = shown::step(step);
        if *self.last.borrow() == line {
            return;
        }
        self.last.borrow_mut().clone_from(&line);
        if !matches!(step, Step::Waiting(_)) {
            self.steps.borrow_mut().push(line.clone());
        }
        if !self.session.quiet && !self.session.logs_json {
            self.session.complain(&line);
        }
    }

    /// Writes for the person who decides: to standard output, unless a report takes it.
    fn show(&self, text: &str) {
        let text = crate::text::escaped_lines(&self.session.redactor.clean(text));
        let text = format!("{}\n", text.trim_end());
        if self.stdout_is_taken {
            let _ = stderr().write_all(text.as_bytes());
        } else if let Err(error) = self.session.print(&text) {
            self.session.complain(&error.message);
        }
    }

    fn interrupted(&self, signal: &str) -> Ran {
        let cause = format!("interrupted by {signal}: {}", self.stands.borrow());
        let unfinished = Unfinished { cause, exit: Exit::NoVerdict };
        Ran::Summary(Box::new(Summary { deployment: Some(self.facts()), ..Summary::unseen(self.began.0, unfinished) }))
    }

    fn facts(&self) -> DeploymentFacts {
        let ServiceName { project, region, service } = &self.asked.service;
        let mut facts = DeploymentFacts::of_rollback(project, region, service);
        if let Some((pipeline, target)) = &self.asked.pipeline {
            facts.pipeline = Some(short(pipeline));
            facts.pipeline_project = Some(project.clone());
            facts.pipeline_region = Some(region.clone());
            facts.target = Some(target.clone());
        }
        facts
    }

    fn ended(&self, plan: Option<&Plan>, done: &Result<Done, Stop>, checks: Vec<Outcome>) -> Ran {
        let mut facts = self.facts();
        let mut url = None;
        if let (Some(plan), Ok(done)) = (plan, done) {
            facts.revision = Some(done.revision.clone());
            facts.release = plan.choice.as_ref().and_then(|choice| choice.release.clone());
            facts.rollout.clone_from(&done.rollout);
            facts.share = Some(100);
            facts.rolled_back = shown::left(&plan.service, &done.revision);
            facts.serving = Some(crate::outcome::Serving {
                image: plan.image.clone(),
                commit: None,
                traffic: done.service.shares(),
            });
            url = Some(done.service.uri.clone()).filter(|uri| !uri.is_empty());
        }
        let outcome = shown::outcome(&self.asked, plan, done, &self.steps.borrow(), self.began.1.elapsed());
        let unfinished = checks.is_empty() && done.is_ok();
        let summary = Summary {
            purpose: Purpose::Verify,
            url,
            deployment: Some(facts),
            started_at: self.began.0,
            duration: self.began.1.elapsed(),
            stood_still: stood_still(),
            checks: std::iter::once(outcome).chain(checks).collect(),
            unfinished: unfinished
                .then(|| Unfinished { cause: "the service was not checked".into(), exit: Exit::NoVerdict }),
        };
        Ran::Summary(Box::new(summary))
    }
}

/// Where to.
fn to(args: &Args) -> Result<To, CommandError> {
    let name = |flag: &str, written: &str| {
        named(flag, short(written)).map_err(|_| {
            let form = "lower-case letters, digits and hyphens";
            CommandError::usage(format!("--to-{flag}: {written:?} is not the name of a {flag}: {form}"))
        })
    };
    match (&args.to_revision, &args.to_release) {
        (Some(revision), _) => Ok(To::Revision(name("revision", revision)?)),
        (None, Some(release)) => Ok(To::Release(name("release", release)?)),
        (None, None) => Ok(To::Previous),
    }
}

/// What a folder of records says. One that cannot be read is named: it may be the one that counts.
fn records(session: &Session, folder: &Path) -> Result<Vec<Recorded>, CommandError> {
    let entries = super::history::entries(folder)
        .map_err(|error| CommandError { message: format!("--records: {}", error.message), ..error })?;
    let (told, unreadable) = report::told(&entries);
    for report::Unreadable { file, why } in unreadable {
        session.complain(&format!("{} is left out: {why}", folder.join(file).display()));
    }
    let recorded = |told: report::Told| Recorded {
        file: told.file,
        revision: told.revision,
        verdict: told.passed,
        share: told.share,
        rolled_back: told.rolled_back,
    };
    Ok(told.into_iter().map(recorded).collect())
}

/// How much time there is still.
fn left(deadline: Moment) -> Duration {
    deadline.saturating_duration_since(Moment::now())
}
