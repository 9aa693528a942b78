//! The rows: what each saw, and what that comes to by the plan.

use futures_util::future::LocalBoxFuture;
use tokio::time::{Instant, timeout_at};

use crate::outcome::{CheckId, Event, Observation, Observer, Status, effect};
use crate::plan;
use crate::plan::AuditRow;

/// The three answers of a row, of which *no data* has two causes; and that it was not asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Good,
    Bad,
    /// It was looked at, and there is nothing to be judged: too little traffic, no start, no entry.
    Nothing,
    /// It could not be looked at.
    Unseen,
    /// Nobody wants to know.
    NotAsked,
}

/// What a row saw.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    answer: Answer,
    detail: String,
    observations: Vec<Observation>,
    attempts: u32,
}

impl Seen {
    fn new(answer: Answer, detail: impl Into<String>) -> Self {
        Self { answer, detail: detail.into(), observations: Vec::new(), attempts: 1 }
    }

    pub(super) fn good(detail: impl Into<String>) -> Self {
        Self::new(Answer::Good, detail)
    }

    pub(super) fn bad(detail: impl Into<String>) -> Self {
        Self::new(Answer::Bad, detail)
    }

    /// No data, because there is nothing: what that comes to, the plan says.
    pub(super) fn nothing(detail: impl Into<String>) -> Self {
        Self::new(Answer::Nothing, detail)
    }

    /// No data, because it could not be looked at: no plan makes that good.
    pub(super) fn none(detail: impl Into<String>) -> Self {
        Self::new(Answer::Unseen, detail)
    }

    pub(super) fn not_asked(detail: impl Into<String>) -> Self {
        Self::new(Answer::NotAsked, detail)
    }

    pub(super) fn seeing(mut self, observations: Vec<Observation>) -> Self {
        self.observations = observations;
        self
    }

    pub(super) fn attempted(mut self, attempts: u32) -> Self {
        self.attempts = attempts;
        self
    }

    pub(super) fn is_good(&self) -> bool {
        self.answer == Answer::Good
    }

    /// What it does to the verdict.
    pub(super) fn status(&self, row: &AuditRow) -> Status {
        match self.answer {
            Answer::Good => Status::Pass,
            Answer::Bad => effect(Status::Fail, row.severity),
            Answer::Nothing => effect(row.on_no_data.status(), row.severity),
            Answer::Unseen => effect(Status::Error, row.severity),
            Answer::NotAsked => Status::Skipped,
        }
    }
}

/// The rows of a checklist, while they are filled.
pub(super) struct Rows<'r> {
    rows: Vec<(&'r AuditRow, CheckId)>,
    observer: &'r dyn Observer,
    deadline: Instant,
}

impl<'r> Rows<'r> {
    pub(super) fn new(
        checklist: &'r plan::Audit,
        ids: &[CheckId],
        observer: &'r dyn Observer,
        deadline: Instant,
    ) -> Self {
        let rows = checklist.rows().into_iter().zip(ids.iter().copied()).collect();
        Self { rows, observer, deadline }
    }

    /// The id of a row.
    pub(super) fn id(&self, row: &AuditRow) -> Option<CheckId> {
        self.rows.iter().find(|(own, _)| own.name == row.name).map(|(_, id)| *id)
    }

    /// Fills a row by what is done for it, in the time that there is.
    pub(super) async fn fill(&self, name: &str, work: LocalBoxFuture<'_, Seen>) {
        let Some((row, check)) = self.rows.iter().find(|(row, _)| row.name == name).copied() else { return };
        if !row.enabled {
            return self.observer.hear(&Event::Skipped { check, why: "switched off in the checks file".into() });
        }
        let limit = self.deadline.saturating_duration_since(Instant::now());
        self.observer.hear(&Event::Started { check, limit });
        let late = |_| Seen::none("the time of the audit was up before it was seen");
        let seen = timeout_at(self.deadline, work).await.unwrap_or_else(late);
        let status = seen.status(row);
        let Seen { answer, mut detail, observations, attempts } = seen;
        match answer {
            Answer::NotAsked => return self.observer.hear(&Event::Skipped { check, why: detail }),
            Answer::Nothing | Answer::Unseen => detail = format!("no data: {detail}"),
            Answer::Good | Answer::Bad => {}
        }
        crate::outcome::bounds::sentence(&mut detail);
        self.observer.hear(&Event::Ended { check, status, attempts, detail, observations });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::Severity;
    use crate::plan::OnNothing;

    #[test]
    fn only_what_was_seen_to_be_good_passes_unless_the_plan_says_so() {
        use Severity::{Block, Warn};
        let row = |severity, on_no_data| AuditRow { name: "x", enabled: true, severity, on_no_data, place: None };
        for (seen, severity, on_no_data, wanted) in [
            (Seen::good(""), Block, OnNothing::Error, Status::Pass),
            (Seen::bad(""), Block, OnNothing::Pass, Status::Fail),
            (Seen::bad(""), Warn, OnNothing::Pass, Status::Warn),
            (Seen::none(""), Block, OnNothing::Error, Status::Error),
            (Seen::none(""), Block, OnNothing::Warn, Status::Error),
            (Seen::none(""), Block, OnNothing::Pass, Status::Error),
            (Seen::none(""), Warn, OnNothing::Error, Status::Warn),
            (Seen::nothing(""), Block, OnNothing::Error, Status::Error),
            (Seen::nothing(""), Block, OnNothing::Warn, Status::Warn),
            (Seen::nothing(""), Block, OnNothing::Pass, Status::Pass),
            (Seen::nothing(""), Warn, OnNothing::Error, Status::Warn),
            (Seen::not_asked(""), Block, OnNothing::Pass, Status::Skipped),
        ] {
            assert_eq!(seen.status(&row(severity, on_no_data)), wanted, "{seen:?} {severity:?} {on_no_data:?}");
        }
    }
}
