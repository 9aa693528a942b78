//! What `release` and `watch` tell while they go on: one line a transition, and the sentences of it.

use std::cell::RefCell;
use std::io::{self, Write as _};
use std::time::Duration;

use tokio::time::Instant;

use super::Session;
use crate::google::deploy::{AutomationRunState, RenderState, RepairState, RolloutState};
use crate::google::short;
use crate::observe::Log;
use crate::operate::watch::{Cause, Happened, job_is, phase_is, rollout_is};
use crate::text;

/// How long the same trouble is told of once.
const OFTEN: Duration = Duration::from_secs(30);

/// Writes lines to standard error, redacted and escaped; to the log, where there is one.
pub(super) struct Teller<'s> {
    session: &'s Session,
    began: Instant,
    /// When trouble was last told of, so that it is not told at every look.
    troubled: RefCell<Option<Instant>>,
    /// Why jobs failed, for the end.
    causes: RefCell<Vec<String>>,
}

impl<'s> Teller<'s> {
    pub(super) fn new(session: &'s Session) -> Self {
        Self { session, began: Instant::now(), troubled: RefCell::default(), causes: RefCell::default() }
    }

    /// Since the beginning.
    pub(super) fn took(&self) -> String {
        text::duration(Duration::from_secs(self.began.elapsed().as_secs()))
    }

    /// Why jobs failed so far, a line each.
    pub(super) fn causes(&self) -> Vec<String> {
        self.causes.borrow().clone()
    }

    pub(super) fn say(&self, said: &str) {
        if self.session.quiet {
            return;
        }
        let clean = self.session.redactor.clean(said);
        if Log::is_on() {
            tracing::info!("{clean}");
            return;
        }
        // A standard error that is gone wants to know nothing.
        let _ = writeln!(io::stderr(), "+{} {}", self.took(), text::escaped_lines(&clean));
    }

    pub(super) fn tell(&self, happened: &Happened) {
        if let Happened::Trouble(_) = happened {
            let before = self.troubled.replace(Some(Instant::now()));
            if before.is_some_and(|before| before.elapsed() < OFTEN) {
                self.troubled.replace(before);
                return;
            }
        }
        let said = said(happened);
        if let Happened::Job { cause: Some(_), .. } = happened {
            self.causes.borrow_mut().push(said.clone());
        }
        self.say(&said);
    }
}

/// The sentence of what happened.
pub(super) fn said(happened: &Happened) -> String {
    let behind = |why: &str| if why.is_empty() { String::new() } else { format!(": {why}") };
    match happened {
        Happened::Rendering { release, state, why } => {
            format!("release {}: {}{}", short(release), rendering(*state), behind(why))
        }
        Happened::Rollout { rollout, state, why } => {
            let why = if *state == RolloutState::Failed { behind(why) } else { String::new() };
            format!("rollout {} {}{why}", short(rollout), rollout_is(*state))
        }
        Happened::ApprovalWanted { rollout } => {
            format!("rollout {} wants an approval: {}", short(rollout), gcloud("approve", rollout, ""))
        }
        Happened::Phase { phase, state, why } => format!("phase {phase} {}{}", phase_is(*state), behind(why)),
        Happened::Job { phase, job, state, cause } => {
            let because = cause.as_ref().map_or(String::new(), because);
            format!("phase {phase}: the {job} job {}{because}", job_is(*state))
        }
        Happened::AdvanceWanted { rollout, phase } => {
            let command = gcloud("advance", rollout, &format!(" --phase-id={phase}"));
            format!("rollout {} waits to be advanced to the phase {phase}: {command}", short(rollout))
        }
        Happened::Advance { from, to, rule, state, why } => {
            format!("automation ({rule}) advances from {from} to {to}: {}{}", run_is(*state), behind(why))
        }
        Happened::Retry { phase, job, attempt, of, state, why } => {
            let of = if of.is_empty() { String::new() } else { format!(" of {of}") };
            format!(
                "automation tries the {job} job of {phase} again, attempt {attempt}{of}: {}{}",
                repair_is(*state),
                behind(why)
            )
        }
        Happened::Rollback { to, state, why } => {
            let to = if to.is_empty() { String::new() } else { format!(" by the rollout {to}") };
            format!("automation rolls back{to}: {}{}", repair_is(*state), behind(why))
        }
        Happened::Repair { state, why } => format!("automation's repair: {}{}", run_is(*state), behind(why)),
        Happened::RolledBack { rollout, by } => {
            format!("rollout {} is rolled back by {}, which is followed now", short(rollout), short(by))
        }
        Happened::Trouble(why) => format!("{why}; it is asked again"),
        Happened::Unseen(why) => why.clone(),
    }
}

/// What is known of a job's failure: first what the job said itself.
fn because(cause: &Cause) -> String {
    let Cause { kind, message, told, source, build } = cause;
    let own: Vec<&str> = [&**kind, &**message].into_iter().filter(|part| !part.is_empty()).collect();
    let own = if own.is_empty() { String::new() } else { format!(" ({})", own.join(": ")) };
    let build = if build.is_empty() { String::new() } else { format!("; its build is {build}") };
    match &told[..] {
        [] => format!("{own}; what it said is not known: {source}{build}"),
        [line] => format!("{own}: {line} (from {source})"),
        lines => format!("{own}, by {source}:\n  {}", lines.join("\n  ")),
    }
}

/// The command of a person for a rollout that waits.
fn gcloud(verb: &str, rollout: &str, more: &str) -> String {
    let pieces: Vec<&str> = rollout.split('/').collect();
    match pieces[..] {
        [_, project, _, region, _, pipeline, _, release, _, rollout] => format!(
            "gcloud deploy rollouts {verb} {rollout} --release={release} --delivery-pipeline={pipeline} --region={region} \
             --project={project}{more}"
        ),
        _ => format!("gcloud deploy rollouts {verb} {rollout}{more}"),
    }
}

fn rendering(state: RenderState) -> &'static str {
    match state {
        RenderState::InProgress => "its manifests are being rendered",
        RenderState::Succeeded => "its manifests are rendered",
        RenderState::Failed => "its manifests could not be rendered",
        RenderState::Unknown => "its rendering is in a state that is not known",
    }
}

fn run_is(state: AutomationRunState) -> &'static str {
    match state {
        AutomationRunState::Succeeded => "done",
        AutomationRunState::Cancelled => "cancelled",
        AutomationRunState::Failed => "failed",
        AutomationRunState::InProgress => "in progress",
        AutomationRunState::Pending => "pending",
        AutomationRunState::Aborted => "aborted",
        AutomationRunState::Unknown => "in a state that is not known",
    }
}

fn repair_is(state: RepairState) -> &'static str {
    match state {
        RepairState::Succeeded => "done",
        RepairState::Cancelled => "cancelled",
        RepairState::Failed => "failed",
        RepairState::InProgress => "in progress",
        RepairState::Pending => "pending",
        RepairState::Aborted => "aborted",
        RepairState::Unknown => "in a state that is not known",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_never_just_failed() {
        let job = |cause: Cause| {
            said(&Happened::Job {
                phase: "canary".into(),
                job: "verify".into(),
                state: crate::google::deploy::JobState::Failed,
                cause: Some(cause),
            })
        };
        let known = Cause {
            kind: "EXECUTION_FAILED".into(),
            message: "skaffold failed".into(),
            told: vec!["FAIL in 9s: metrics".into()],
            source: "the job's results".into(),
            build: "b".into(),
        };
        assert_eq!(
            job(known.clone()),
            "phase canary: the verify job failed (EXECUTION_FAILED: skaffold failed): FAIL in 9s: metrics (from the job's results)"
        );
        let silent = Cause { told: vec![], source: "its log is empty".into(), ..known };
        assert_eq!(
            job(silent),
            "phase canary: the verify job failed (EXECUTION_FAILED: skaffold failed); what it said is not known: its log is empty; \
             its build is b"
        );
        let name = "projects/p/locations/r/deliveryPipelines/d/releases/e/rollouts/o";
        assert_eq!(
            said(&Happened::AdvanceWanted { rollout: name.into(), phase: "stable".into() }),
            "rollout o waits to be advanced to the phase stable: gcloud deploy rollouts advance o --release=e \
             --delivery-pipeline=d --region=r --project=p --phase-id=stable"
        );
    }
}
