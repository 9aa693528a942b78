//! `ready`: the canary serves. Any HTTP answer other than 502, 503 and 504 will do; all else is "not yet".

use super::context::{AskError, Context, Finding};
use super::identity;
use super::locate::Canary;
use crate::http::{FailureKind, Request};
use crate::outcome::{Cause, Observation, Status};
use crate::plan::{Identity, Ready};

/// Whether the canary serves; with the proof of which revision it is, where that was asked for.
pub(super) async fn check(context: &Context<'_>, canary: &Canary, ready: &Ready) -> Finding {
    let request = Request::get(&ready.path);
    let what = canary.client.shown(&request);
    let attempt = async || match context.ask(&canary.client, &request).await {
        Ok(answer) if matches!(answer.status, 502..=504) => {
            let cause = Cause::wanting(
                format!("{}, still starting", answer.status),
                "any status but 502, 503 and 504",
                answer.status,
            );
            Err(AskError::Transient(cause, answer.retry_after()))
        }
        Ok(answer) => Ok(answer.status.to_string()),
        // The status line and the header came, so it serves; what its body is worth is for the other checks to say.
        Err(failure)
            if matches!(failure.kind, FailureKind::TooLarge | FailureKind::Encoding)
                && failure.status.is_some_and(|status| !matches!(status, 502..=504)) =>
        {
            Ok(format!("an answer ({failure})"))
        }
        Err(failure) => Err(AskError::from(failure).transient()),
    };
    let (result, attempts) = context.attempt(&what, attempt).await;
    let mut finding = Finding::of_request(&what, result, attempts.max(canary.attempts));
    if finding.status == Status::Pass {
        let identified = identified(context, canary, ready.identity.as_ref()).await;
        identified.told(&mut finding);
    }
    finding
}

/// What is known of the identity, by the API and by the answers.
struct Identified {
    notes: Vec<Observation>,
    /// The worst of it, in one clause; nothing where nobody asked for an identity.
    said: Option<(Status, String)>,
}

async fn identified(context: &Context<'_>, canary: &Canary, identity: Option<&Identity>) -> Identified {
    let mut notes = canary.notes.clone();
    let said = |notes: &[Observation]| {
        notes.first().map(|identity| (identity.status, format!("identity {}", identity.detail)))
    };
    let (Some(identity), Some((_, revision))) = (identity, &canary.deployed) else {
        let said = said(&notes);
        return Identified { notes, said };
    };
    match identity::prove(context, canary, revision, identity).await {
        Ok(note) => {
            // Answers prove what the API could not.
            if let Some(first) = notes.first_mut().filter(|_| !canary.is_proven()) {
                first.status = Status::Pass;
                first.detail = format!("proven by its answers: {} serves {revision}", canary.client.address().shown());
            }
            let said = said(&notes);
            notes.push(note);
            Identified { notes, said }
        }
        Err(identity::Unproven { error, .. }) => Identified { notes, said: Some((error.status(), error.cause().text)) },
    }
}

impl Identified {
    fn told(self, finding: &mut Finding) {
        if let Some((status, clause)) = self.said {
            finding.status = status;
            finding.detail = match status {
                Status::Pass | Status::Warn => format!("{}; {clause}", finding.detail),
                Status::Fail | Status::Error | Status::Skipped => clause,
            };
        }
        finding.observations.splice(0..0, self.notes);
    }
}

/// What is left of the check where the plan switches it off and the canary had to be located all the same: which revision
/// it is.
pub(super) async fn located(context: &Context<'_>, canary: &Canary, identity: Option<&Identity>) -> Finding {
    let mut finding = Finding::new(Status::Pass, canary.attempts, "located");
    identified(context, canary, identity).await.told(&mut finding);
    finding
}
