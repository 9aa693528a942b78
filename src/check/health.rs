//! One request and what must come back: `health`, `readiness`, and the HTTP checks that a checks file adds.

use super::expect::judge;
use super::{Context, Finding};
use crate::outcome::Status;
use crate::plan::HttpCheck;
use crate::probe::{Attempt, Probe, until};

pub(super) async fn check(context: &Context<'_>, probe: &Probe, check: &HttpCheck) -> Finding {
    let request = &check.request;
    let what = format!("{} {}", request.method, request.path);
    let attempt = async |_| match probe.ask(request, check.bounds.request, context.deadline).await {
        Ok(answer) => match judge(&check.expect, &answer) {
            Ok(seen) => Attempt::Done(Ok(format!("{what}: {seen}"))),
            Err(cause) if check.retry_everything || answer.may_pass_by_itself() => {
                Attempt::Again { cause: format!("{what}: {cause}"), after: answer.retry_after() }
            }
            Err(cause) => Attempt::Done(Err(format!("{what}: {cause}"))),
        },
        Err(failure) if check.retry_everything || failure.may_pass_by_itself() => {
            Attempt::Again { cause: format!("{what}: {failure}"), after: None }
        }
        Err(failure) => Attempt::Done(Err(format!("{what}: {failure}"))),
    };
    let tried =
        until(check.bounds.retry, context.deadline, |attempt, cause| context.note(attempt, cause), attempt).await;
    match tried.result {
        Ok(Ok(detail)) => Finding::new(Status::Pass, tried.attempts, detail),
        Ok(Err(cause)) | Err(cause) => Finding::new(Status::Fail, tried.attempts, cause),
    }
}
