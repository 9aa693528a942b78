//! What a check works with, and what it comes to.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use tokio::time::Instant;

use crate::http::{
    Answer, Attempt, Client, Credentials, Failure, FailureKind, Request, Retrying, Standstill, Why, retry_until,
};
use crate::outcome::{Cause, CheckId, Event, Observation, Observer, Seen, Status, bounds};
use crate::plan::CheckPolicy;

/// What a check found.
#[derive(Clone, Debug)]
pub(super) struct Finding {
    pub(super) status: Status,
    pub(super) attempts: u32,
    /// One line: why it ended so.
    pub(super) detail: String,
    pub(super) observations: Vec<Observation>,
}

impl Finding {
    pub(super) fn new(status: Status, attempts: u32, detail: impl Into<String>) -> Self {
        Self { status, attempts, detail: detail.into(), observations: Vec::new() }
    }

    /// What came of one request: a pass with what was seen, or a failure with its cause.
    pub(super) fn of_request(what: &str, result: Result<String, AskError>, attempts: u32) -> Self {
        let failed = result.as_ref().err().map(AskError::status);
        let mut observation = Observation::of(Seen::Request, what, result.map_err(AskError::cause));
        observation.status = failed.unwrap_or(observation.status);
        observation.is_quoted = true;
        let detail = format!("{what}: {}", observation.detail);
        Self::new(observation.status, attempts, detail).seeing(vec![observation])
    }

    pub(super) fn seeing(mut self, observations: Vec<Observation>) -> Self {
        self.observations = observations;
        self
    }
}

/// Why something that was asked for did not come as it should.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum AskError {
    /// The next attempt may do better; with how long the server asks to wait.
    Transient(Cause, Option<Duration>),
    /// Permanent: retrying cannot help.
    Permanent(Cause),
    /// The gate lacks what it takes to see the canary: permanent, and no failure of the canary.
    Unseen(Cause),
}

impl AskError {
    /// An answer that is not what was wanted: whether it may do better later, its status says.
    pub(super) fn answer(answer: &Answer, cause: impl Into<Cause>) -> Self {
        let cause = cause.into();
        if answer.advice.as_ref().is_some_and(|advice| advice.unseen) {
            Self::Unseen(cause)
        } else if answer.is_transient() {
            Self::Transient(cause, answer.retry_after())
        } else {
            Self::Permanent(cause)
        }
    }

    pub(super) fn cause(self) -> Cause {
        match self {
            Self::Transient(cause, _) | Self::Permanent(cause) | Self::Unseen(cause) => cause,
        }
    }

    /// What it comes to where nothing else does.
    pub(super) fn status(&self) -> Status {
        match self {
            Self::Transient(..) | Self::Permanent(_) => Status::Fail,
            Self::Unseen(_) => Status::Error,
        }
    }

    /// The same error with what it is about in front.
    pub(super) fn about(self, what: &str) -> Self {
        match self {
            Self::Transient(cause, asked) => Self::Transient(cause.about(what), asked),
            Self::Permanent(cause) => Self::Permanent(cause.about(what)),
            Self::Unseen(cause) => Self::Unseen(cause.about(what)),
        }
    }

    /// The same error of something that stands beside the canary: not seeing it is no failure of the canary.
    pub(super) fn beside(self) -> Self {
        Self::Unseen(self.cause())
    }

    /// Whatever it was, another attempt may do better.
    pub(super) fn transient(self) -> Self {
        match self {
            Self::Transient(..) | Self::Unseen(_) => self,
            Self::Permanent(cause) => Self::Transient(cause, None),
        }
    }
}

impl From<Failure> for AskError {
    fn from(failure: Failure) -> Self {
        let cause = Cause::from(failure.to_string());
        if matches!(failure.kind, FailureKind::Proxy | FailureKind::Credentials) {
            Self::Unseen(cause)
        } else if failure.is_transient() {
            Self::Transient(cause, None)
        } else {
            Self::Permanent(cause)
        }
    }
}

/// What a check works with.
#[derive(Clone, Copy)]
pub(super) struct Context<'r> {
    pub(super) observer: &'r dyn Observer,
    pub(super) check: CheckId,
    pub(super) policy: &'r CheckPolicy,
    /// The access tokens of the machine's service account.
    pub(super) access: &'r Rc<dyn Credentials>,
    /// Whether somebody wants to see how thresholds went over a window.
    pub(super) courses: bool,
    /// When the check's time is up, for all that the gate knew when it began.
    deadline: Instant,
    /// When the time of the whole run is up.
    run_ends: Instant,
    standstill: Standstill,
}

impl<'r> Context<'r> {
    /// That of a check which begins now, and has its own time in what is left of the run.
    pub(super) fn begin(
        (observer, check): (&'r dyn Observer, CheckId),
        policy: &'r CheckPolicy,
        access: &'r Rc<dyn Credentials>,
        courses: bool,
        run_ends: Instant,
    ) -> Self {
        let deadline = Instant::now() + policy.limit;
        Self { observer, check, policy, access, courses, deadline, run_ends, standstill: Standstill::begin() }
    }

    /// The same for a part of it that has so much of its time.
    pub(super) fn within(&self, limit: Duration) -> Self {
        let deadline = self.deadline().min(Instant::now() + limit);
        Self { deadline, standstill: Standstill::begin(), ..*self }
    }

    /// When the check's time is up: the gate's own standstills are none of it, and the end of the run is.
    pub(super) fn deadline(&self) -> Instant {
        self.standstill.fair(self.deadline).min(self.run_ends)
    }

    /// Whether the end of the run is what ends the check.
    pub(super) fn is_ended_by_the_run(&self) -> bool {
        self.run_ends <= self.standstill.fair(self.deadline)
    }

    /// Sends one request, within the check's limits for one and within its time.
    pub(super) async fn ask(&self, client: &Client, request: &Request) -> Result<Answer, Failure> {
        client.ask(request, self.policy.request, self.deadline()).await
    }

    /// Attempts something until it is done, permanently not to be had, or the check's time or retries are used up; with
    /// the number of attempts. `what` says in a word what is attempted.
    pub(super) async fn attempt<T>(
        &self,
        what: &str,
        mut attempt: impl AsyncFnMut() -> Result<T, AskError>,
    ) -> (Result<T, AskError>, u32) {
        self.attempt_until(self.deadline(), what, async |_| attempt().await).await
    }

    /// As [`Context::attempt`], with less time than the check has: each attempt is given when it is up.
    pub(super) async fn attempt_until<T>(
        &self,
        deadline: Instant,
        what: &str,
        mut attempt: impl AsyncFnMut(Instant) -> Result<T, AskError>,
    ) -> (Result<T, AskError>, u32) {
        let began = Cell::new(Instant::now());
        let attempt = async |deadline| {
            began.set(Instant::now());
            match attempt(deadline).await {
                Ok(value) => Attempt::Done(Ok(value)),
                Err(AskError::Transient(cause, asked)) => Attempt::Again(cause, asked),
                Err(error) => Attempt::Done(Err(error)),
            }
        };
        let note = |retrying: Retrying<'_, Cause>| {
            let brief = retrying.cause.wanted.as_ref().map(|(_, came)| came.clone());
            self.retrying(Some(what), brief, &retrying);
        };
        let tried = retry_until(self.policy.retry, deadline, note, attempt).await;
        let result = tried.result.unwrap_or_else(|gave_up| {
            let text = gave_up.to_string();
            let cut = Instant::now() >= self.deadline() && !matches!(gave_up.why, Why::CutOff { .. });
            let cause = Cause { text, ..gave_up.last };
            // What the run's own limit cut before the canary had the time of one request says nothing of the canary.
            let had = self.deadline().saturating_duration_since(began.get());
            if cut && self.is_ended_by_the_run() && had < self.policy.request.time {
                return Err(AskError::Unseen(cause));
            }
            // Nor does what the gate's own standstill left of the run, too little for the check.
            if let Some(still) = self.standstill.told()
                && self.is_ended_by_the_run()
                && matches!(gave_up.why, Why::TimeUp { .. } | Why::CutOff { .. } | Why::AsksTooLong { .. })
            {
                let text = format!("{}; {still}, and the run's time was up", cause.text);
                return Err(AskError::Unseen(Cause { text, ..cause }));
            }
            Err(AskError::Transient(cause, None))
        });
        (result, tried.attempts)
    }

    /// Tells of an attempt that is going to be repeated; `brief` is its cause in a word, where there is one.
    pub(super) fn retrying<E: ToString>(&self, what: Option<&str>, brief: Option<String>, retrying: &Retrying<'_, E>) {
        let mut cause = retrying.cause.to_string();
        bounds::sentence(&mut cause);
        let mut brief = brief.unwrap_or_else(|| cause.clone());
        bounds::name(&mut brief);
        self.observer.hear(&Event::Retrying {
            check: self.check,
            attempt: retrying.attempt,
            of: retrying.of,
            cause: what.map_or(cause.clone(), |what| format!("{what}: {cause}")),
            brief,
            next_in: retrying.next_in,
        });
    }
}
