//! What is known of each check at any moment: also a run that is interrupted has something to show.

use std::cell::RefCell;

use tokio::time::Instant;

use super::Finding;
use crate::outcome::{Outcome, Status};
use crate::plan::{Bounds, CHECK_NAMES, Plan, Redactor};

/// The state of every check, written while they run.
pub struct Ledger {
    entries: RefCell<Vec<Entry>>,
    redactor: Redactor,
    address: RefCell<Option<String>>,
    /// Hears, in one line, of what happens.
    progress: Box<dyn Fn(&str)>,
}

struct Entry {
    outcome: Outcome,
    state: State,
}

enum State {
    Waiting,
    Running { since: Instant, last: String },
    Ended,
}

impl Ledger {
    /// A ledger with every check of the plan waiting. `progress` hears of what happens, a line at a time.
    pub fn new(plan: &Plan, progress: impl Fn(&str) + 'static) -> Self {
        let names = CHECK_NAMES.into_iter().chain(plan.http.iter().map(|check| &*check.name));
        let entries = names.zip(plan.bounds()).map(|(name, bounds)| Entry::new(name, bounds));
        Self {
            entries: RefCell::new(entries.collect()),
            redactor: plan.redactor.clone(),
            address: RefCell::default(),
            progress: Box::new(progress),
        }
    }

    /// The outcomes so far. What still ran or waited is an error: it was not seen.
    pub fn outcomes(&self) -> Vec<Outcome> {
        let entries = self.entries.borrow();
        let outcome = |entry: &Entry| {
            let mut outcome = entry.outcome.clone();
            match &entry.state {
                State::Ended => {}
                State::Waiting => outcome.detail = "not run: the gate was interrupted before".into(),
                State::Running { since, last } => {
                    outcome.status = Status::Error;
                    outcome.duration = since.elapsed();
                    let last = if last.is_empty() { String::new() } else { format!("; the last attempt: {last}") };
                    outcome.detail = format!("interrupted{last}");
                }
            }
            outcome
        };
        entries.iter().map(outcome).collect()
    }

    pub(super) fn start(&self, name: &str) {
        self.edit(name, |entry| entry.state = State::Running { since: Instant::now(), last: String::new() });
    }

    pub(super) fn attempted(&self, name: &str, attempt: u32, cause: &str) {
        let cause = self.redactor.clean(cause.to_owned());
        (self.progress)(&format!("{name}: attempt {attempt}: {cause}"));
        self.edit(name, |entry| {
            entry.outcome.attempts = attempt;
            if let State::Running { last, .. } = &mut entry.state {
                *last = cause;
            }
        });
    }

    /// The address that the canary was found at.
    pub(super) fn found(&self, address: &str) {
        self.address.replace(Some(address.to_owned()));
    }

    /// The address that the canary was found at, if it had to be found out.
    pub fn address(&self) -> Option<String> {
        self.address.borrow().clone()
    }

    /// Whether `ready` saw the deployed revision serve.
    pub(super) fn identity_is_proven(&self) -> bool {
        let entries = self.entries.borrow();
        let mut seen =
            entries.iter().filter(|entry| entry.outcome.name == "ready").flat_map(|entry| &entry.outcome.observations);
        seen.any(|observation| observation.name == "identity" && observation.status == Status::Pass)
    }

    /// Replaces what a check came to.
    pub(super) fn overturn(&self, name: &str, status: Status, why: &str) {
        let why = self.redactor.clean(why.to_owned());
        (self.progress)(&format!("{name}: {}: {why}", status.word()));
        self.edit(name, |entry| {
            entry.outcome.status = status;
            entry.outcome.detail = why;
        });
    }

    pub(super) fn progress(&self, name: &str, what: &str) {
        (self.progress)(&format!("{name}: {}", self.redactor.clean(what.to_owned())));
    }

    pub(super) fn end(&self, name: &str, finding: Finding) {
        let detail = self.redactor.clean(finding.detail);
        (self.progress)(&format!("{name}: {}: {detail}", finding.status.word()));
        self.edit(name, |entry| {
            if let State::Running { since, .. } = entry.state {
                entry.outcome.duration = since.elapsed();
            }
            entry.state = State::Ended;
            entry.outcome.status = finding.status;
            entry.outcome.attempts = finding.attempts;
            entry.outcome.detail = detail;
            entry.outcome.observations = finding.observations;
            for observation in &mut entry.outcome.observations {
                observation.detail = self.redactor.clean(std::mem::take(&mut observation.detail));
                observation.name = self.redactor.clean(std::mem::take(&mut observation.name));
                for (_, value) in observation
                    .threshold
                    .iter_mut()
                    .flat_map(|seen| &mut seen.elements)
                    .flat_map(|element| &mut element.labels)
                {
                    *value = self.redactor.clean(std::mem::take(value));
                }
            }
        });
    }

    pub(super) fn skip(&self, name: &str, why: &str) {
        self.edit(name, |entry| entry.skip(why));
    }

    pub(super) fn skip_waiting(&self, why: &str) {
        for entry in self.entries.borrow_mut().iter_mut().filter(|entry| matches!(entry.state, State::Waiting)) {
            entry.skip(why);
        }
    }

    fn edit(&self, name: &str, edit: impl FnOnce(&mut Entry)) {
        if let Some(entry) = self.entries.borrow_mut().iter_mut().find(|entry| entry.outcome.name == name) {
            edit(entry);
        }
    }
}

impl Entry {
    fn new(name: &str, bounds: &Bounds) -> Self {
        let outcome = Outcome {
            name: name.to_owned(),
            status: Status::Error,
            blocking: bounds.blocking,
            attempts: 0,
            duration: std::time::Duration::ZERO,
            limit: bounds.limit,
            detail: String::new(),
            observations: Vec::new(),
        };
        Self { outcome, state: State::Waiting }
    }

    fn skip(&mut self, why: &str) {
        self.outcome.status = Status::Skipped;
        why.clone_into(&mut self.outcome.detail);
        self.state = State::Ended;
    }
}
