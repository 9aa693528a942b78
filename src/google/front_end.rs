//! Answers of Cloud Run's front end, told apart from the application's own: both come through the same servers.

use crate::http::Answer;

/// Why the front end answered in the application's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Whoever asks may not invoke the service.
    Private,
    /// The service takes no traffic from where the gate runs.
    Ingress,
}

/// What to do about it.
pub(super) const INGRESS: &str = "this is the front end's own answer: the service's ingress may be internal, and the gate runs outside; \
                                  run the verify job in a private pool of the service's network";

/// Whether the front end answered: its pages are HTML with wording of their own, and its 401 has a challenge.
pub(super) fn refusal(answer: &Answer) -> Option<Refusal> {
    let body = String::from_utf8_lossy(&answer.body[..answer.body.len().min(4096)]);
    let html = answer.media_type() == "text/html";
    let challenge = answer.header("www-authenticate").is_some_and(|value| value.starts_with("Bearer"));
    let no_permission = html && body.contains("does not have permission to get URL");
    match answer.status {
        401 if challenge && (no_permission || answer.body.is_empty() || html) => Some(Refusal::Private),
        403 if no_permission => Some(Refusal::Private),
        403 if html && body.contains("Access is forbidden") => Some(Refusal::Ingress),
        404 if html && body.contains("The requested URL") && body.contains("was not found on this server") => {
            Some(Refusal::Ingress)
        }
        _ => None,
    }
}
