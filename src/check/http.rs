//! One request and what must come back: `health`, `readiness`, and the HTTP checks that a checks file adds.

use super::context::{AskError, Context, Finding};
use super::expect::judge;
use crate::http::Client;
use crate::plan::HttpCheck;

pub(super) async fn check(context: &Context<'_>, client: &Client, check: &HttpCheck) -> Finding {
    let request = &check.request;
    let attempt = async || {
        let asked = match context.ask(client, request).await {
            Ok(answer) => judge(&check.expect, &answer).map_err(|cause| AskError::answer(&answer, cause)),
            Err(failure) => Err(failure.into()),
        };
        asked.map_err(|error| if check.retry_everything { error.transient() } else { error })
    };
    let what = client.shown(request);
    let (result, attempts) = context.attempt(&what, attempt).await;
    Finding::of_request(&what, result, attempts)
}
