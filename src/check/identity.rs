//! Which revision answers, told by its answers: routing follows the API by some seconds, and an address that the API does not
//! know can be proven in no other way.

use super::context::{AskError, Context};
use super::json::{self, Found};
use super::locate::Canary;
use crate::http::{Answer, Request};
use crate::outcome::{Cause, Observation, Status};
use crate::plan::{Identity, ToldBy};

/// So many answers in a row show that routing has followed.
const FOLLOWED: u32 = 2;

/// So many show that no other revision is behind an address that nobody knows: with a fifth of the traffic, that many come by
/// chance once in two hundred million times.
const ALONE: u32 = 12;

/// Why answers do not prove the revision.
pub(super) struct Unproven {
    pub(super) error: AskError,
    /// Whether the last answer that told its revision was another's.
    pub(super) is_another: bool,
}

/// Asks until enough answers in a row are of the deployed revision.
///
/// # Errors
/// What came instead, when the time was up.
pub(super) async fn prove(
    context: &Context<'_>,
    canary: &Canary,
    revision: &str,
    identity: &Identity,
) -> Result<Observation, Unproven> {
    let request = Request::get(&identity.path);
    let what = canary.client.shown(&request);
    let wanted = if canary.is_proven() { FOLLOWED } else { ALONE };
    let (mut in_a_row, mut is_another) = (0, false);
    let attempt = async || {
        while in_a_row < wanted {
            let answer = context.ask(&canary.client, &request).await?;
            let told = told(&answer, &identity.told_by);
            // An error may be of whatever stands between: it does not show where requests go.
            let is_good = answer.status < 400;
            if is_good && short(told.as_deref().unwrap_or_default()) == revision {
                (in_a_row, is_another) = (in_a_row + 1, false);
                continue;
            }
            in_a_row = 0;
            is_another = is_good && told.is_some();
            let came = match told.filter(|told| !told.is_empty()) {
                _ if !is_good => format!("{}, and an error does not show which revision answers", answer.status),
                Some(other) => format!("the answer is of {other}"),
                None => format!("{}, and the answer does not say which revision it is of", answer.status),
            };
            let cause = Cause::wanting(format!("{came}, want {revision}"), revision, came);
            return Err(AskError::Transient(cause, None));
        }
        Ok(())
    };
    let (result, _) = context.attempt(&what, attempt).await;
    result.map_err(|error| Unproven { error: error.about(&what), is_another })?;
    let detail = format!("{wanted} answers in a row are of {revision}");
    Ok(Observation::note("revision", Status::Pass, detail))
}

/// The revision that an answer says it is of.
pub(crate) fn told(answer: &Answer, by: &ToldBy) -> Option<String> {
    match by {
        // Two that differ tell nothing.
        ToldBy::Header(name) => {
            let mut values = answer.headers.get_all(name).iter();
            let first = values.next()?;
            let first = values.all(|value| value == first).then_some(first)?;
            Some(String::from_utf8_lossy(first.as_bytes()).trim().to_owned())
        }
        ToldBy::Json(path) => match json::find(&answer.body, path, None).ok()?.0? {
            Found::Scalar(serde_json::Value::String(value)) => Some(value),
            Found::Scalar(_) | Found::Container { .. } => None,
        },
    }
}

/// The last piece of a resource name.
pub(crate) fn short(name: &str) -> &str {
    name.trim().rsplit('/').next().unwrap_or(name)
}
