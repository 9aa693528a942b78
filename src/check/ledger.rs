//! What is known of each check at any moment: also a run that is interrupted has something to show.

use std::cell::RefCell;
use std::time::Duration;

use tokio::time::Instant;

use crate::outcome::{CheckId, Event, Observer, Outcome, Retry, Serving, Severity, Source, Status};
use crate::plan::{Audit, AuditRow, CheckSpec, Plan};

/// The state of every check, folded from what is heard while they run.
pub(crate) struct Ledger {
    entries: RefCell<Vec<Entry>>,
    address: RefCell<Option<String>>,
    serving: RefCell<Option<Serving>>,
    /// When the run began.
    began: Instant,
}

/// The most attempts of a check that are kept with their causes: a window may have thousands.
const RETRIES: usize = 100;

struct Entry {
    outcome: Outcome,
    state: State,
}

enum State {
    Waiting,
    Running { since: Instant, last: Option<String> },
    Ended,
}

impl Ledger {
    /// Every check of the plan, waiting.
    pub(crate) fn new(plan: &Plan) -> Self {
        Self::of(plan.checks.iter().map(Entry::new).collect())
    }

    /// Every row of an audit's checklist, waiting. All of them have the time of the whole audit.
    pub(crate) fn of_audit(audit: &Audit, limit: Duration) -> Self {
        let entry = |row: &AuditRow| Entry::waiting(row.name, row.severity, limit, row.place.clone());
        Self::of(audit.rows().into_iter().map(entry).collect())
    }

    fn of(entries: Vec<Entry>) -> Self {
        Self {
            entries: RefCell::new(entries),
            address: RefCell::default(),
            serving: RefCell::default(),
            began: Instant::now(),
        }
    }

    /// The ids of the checks, in the plan's order.
    pub(crate) fn ids(&self) -> impl Iterator<Item = CheckId> + use<> {
        CheckId::all(self.entries.borrow().len())
    }

    /// The checks that have not started.
    pub(super) fn waiting(&self) -> Vec<CheckId> {
        let entries = self.entries.borrow();
        self.ids().filter(|id| matches!(entries[id.index()].state, State::Waiting)).collect()
    }

    /// Whether a check has ended well.
    pub(super) fn passed(&self, check: CheckId) -> bool {
        let entries = self.entries.borrow();
        entries
            .get(check.index())
            .is_some_and(|entry| matches!(entry.state, State::Ended) && entry.outcome.status == Status::Pass)
    }

    /// The address that the canary was found at, if it had to be located.
    pub(crate) fn address(&self) -> Option<String> {
        self.address.borrow().clone()
    }

    /// What the Admin API said of the service, if it did.
    pub(crate) fn serving(&self) -> Option<Serving> {
        self.serving.borrow().clone()
    }

    /// The outcomes so far. What still ran or waited is an error: it was not seen.
    pub(crate) fn outcomes(&self) -> Vec<Outcome> {
        self.entries.borrow().iter().map(Entry::outcome).collect()
    }
}

impl Observer for Ledger {
    fn hear(&self, event: &Event) {
        let edit = |check: CheckId, edit: &mut dyn FnMut(&mut Entry)| {
            if let Some(entry) = self.entries.borrow_mut().get_mut(check.index()) {
                edit(entry);
            }
        };
        match event {
            Event::Located { address, serving } => {
                self.address.replace(Some(address.clone()));
                self.serving.replace(serving.clone());
            }
            Event::Started { check, .. } => edit(*check, &mut |entry| {
                entry.state = State::Running { since: Instant::now(), last: None };
                entry.outcome.started = Some(self.began.elapsed());
            }),
            Event::Retrying { check, attempt, cause, .. } => edit(*check, &mut |entry| {
                entry.outcome.attempts = *attempt;
                if entry.outcome.retries.len() < RETRIES {
                    let retry = Retry { attempt: *attempt, at: self.began.elapsed(), cause: cause.clone() };
                    entry.outcome.retries.push(retry);
                }
                if let State::Running { last, .. } = &mut entry.state {
                    *last = Some(cause.clone());
                }
            }),
            Event::Sampled { .. } | Event::Measured { .. } | Event::Scraped { .. } | Event::Judged { .. } => {}
            Event::Ended { check, status, attempts, detail, observations } => edit(*check, &mut |entry| {
                if let State::Running { since, .. } = entry.state {
                    entry.outcome.duration = since.elapsed();
                }
                entry.state = State::Ended;
                entry.outcome.status = *status;
                entry.outcome.attempts = *attempts;
                entry.outcome.detail.clone_from(detail);
                entry.outcome.observations.clone_from(observations);
            }),
            Event::Skipped { check, why } => edit(*check, &mut |entry| {
                entry.state = State::Ended;
                entry.outcome.status = Status::Skipped;
                entry.outcome.detail.clone_from(why);
            }),
            Event::Overturned { check, status, why } => edit(*check, &mut |entry| {
                entry.outcome.status = *status;
                entry.outcome.detail.clone_from(why);
                entry.outcome.observations.iter_mut().for_each(|observation| observation.is_quoted = false);
            }),
        }
    }
}

impl Entry {
    fn new(spec: &CheckSpec) -> Self {
        Self::waiting(&spec.name, spec.policy.severity, spec.policy.limit, spec.place.clone())
    }

    fn waiting(name: &str, severity: Severity, limit: Duration, place: Option<Source>) -> Self {
        let outcome = Outcome {
            name: name.to_owned(),
            status: Status::Error,
            severity,
            attempts: 0,
            started: None,
            retries: Vec::new(),
            duration: Duration::ZERO,
            limit,
            detail: String::new(),
            observations: Vec::new(),
            place,
        };
        Self { outcome, state: State::Waiting }
    }

    fn outcome(&self) -> Outcome {
        let mut outcome = self.outcome.clone();
        match &self.state {
            State::Ended => {}
            State::Waiting => outcome.detail = "not run: the gate was interrupted before".into(),
            State::Running { since, last } => {
                outcome.duration = since.elapsed();
                outcome.detail = match last {
                    Some(last) => format!("interrupted; the last attempt: {last}"),
                    None => "interrupted".into(),
                };
            }
        }
        outcome
    }
}
