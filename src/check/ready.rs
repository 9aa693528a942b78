//! `ready`: the canary serves. Any HTTP answer other than 502, 503 and 504 will do; all else is "not yet".

use super::{Context, Finding};
use crate::outcome::Status;
use crate::plan::{Ready, Request};
use crate::probe::{Attempt, FailureKind, Probe, until};

pub(super) async fn check(context: &Context<'_>, probe: &Probe, ready: &Ready) -> Finding {
    let request = Request::get(&ready.path, Vec::new());
    let what = format!("GET {}", ready.path);
    let attempt = async |_| match probe.ask(&request, ready.bounds.request, context.deadline).await {
        Ok(answer) if matches!(answer.status, 502..=504) => {
            Attempt::Again { cause: format!("{what}: {}, still starting", answer.status), after: answer.retry_after() }
        }
        Ok(answer) => Attempt::Done(format!("{what}: {}", answer.status)),
        // The status line and the headers came, so it serves; what its body is worth is for the other checks to say.
        Err(failure) if matches!(failure.kind, FailureKind::TooLarge | FailureKind::Encoding) => {
            Attempt::Done(format!("{what}: an answer ({failure})"))
        }
        Err(failure) => Attempt::Again { cause: format!("{what}: {failure}"), after: None },
    };
    let tried =
        until(ready.bounds.retry, context.deadline, |attempt, cause| context.note(attempt, cause), attempt).await;
    match tried.result {
        Ok(detail) => Finding::new(Status::Pass, tried.attempts, detail),
        Err(cause) => Finding::new(Status::Fail, tried.attempts, cause),
    }
}
