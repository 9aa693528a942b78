//! `ready`: the canary serves. Any HTTP answer other than 502, 503 and 504 will do; all else is "not yet".

use super::context::{AskError, Context, Finding};
use super::locate::Canary;
use crate::http::{FailureKind, Request};
use crate::outcome::{Cause, Status};
use crate::plan::Ready;

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
        Err(failure) if matches!(failure.kind, FailureKind::TooLarge | FailureKind::Encoding) => {
            Ok(format!("an answer ({failure})"))
        }
        Err(failure) => Err(AskError::from(failure).transient()),
    };
    let (result, attempts) = context.attempt(&what, attempt).await;
    let mut finding = Finding::of_request(&what, result, attempts.max(canary.attempts));
    if finding.status == Status::Pass
        && let Some(identity) = canary.identity()
    {
        finding.status = identity.status;
        finding.detail = format!("{}; identity {}", finding.detail, identity.detail);
    }
    finding.observations.splice(0..0, canary.notes.clone());
    finding
}

/// What is left to say where the plan switches the check off and the canary had to be located all the same.
pub(super) fn located(canary: &Canary) -> Option<Finding> {
    let identity = canary.identity()?;
    Some(Finding::new(identity.status, canary.attempts, identity.detail.clone()).seeing(canary.notes.clone()))
}
