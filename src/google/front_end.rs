//! Answers of Google's own front end, told apart from the application's: both come through the same servers.

use crate::http::Answer;

/// Why the front end answered in the application's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Whoever asks may not invoke the service.
    Private,
    /// Identity-Aware Proxy stands in front of the service and lets nobody in without its own token.
    Proxy,
    /// The path is the front end's own: it never reaches a container.
    Reserved,
    /// No container is behind the address for whoever asks from here.
    NotFound,
}

/// Whether the front end answered: its pages are HTML with wording of their own, and its 401 has a challenge.
pub(super) fn refusal(answer: &Answer) -> Option<Refusal> {
    let said = |name: &str, value: &str| answer.header(name).is_some_and(|found| found.eq_ignore_ascii_case(value));
    if said("x-goog-iap-generated-response", "true") {
        return Some(Refusal::Proxy);
    }
    let body = String::from_utf8_lossy(&answer.body[..answer.body.len().min(4096)]);
    let html = answer.media_type() == "text/html";
    // A request without a token is answered 403: whoever challenges it is the application.
    let challenge = answer
        .header("www-authenticate")
        .is_some_and(|value| value.starts_with("Bearer") && value.contains("error=\"invalid_token\""));
    let no_permission = html && body.contains("does not have permission to get URL");
    match answer.status {
        401 if challenge && (no_permission || answer.body.is_empty() || html) => Some(Refusal::Private),
        403 if no_permission => Some(Refusal::Private),
        403 if html && body.contains("Access is forbidden") => Some(Refusal::NotFound),
        404 if html && body.contains("The requested URL") && body.contains("was not found on this server") => {
            let host = answer.url.host_str().unwrap_or_default();
            let reserved = host.ends_with(".run.app") && is_reserved(answer.url.path());
            Some(if reserved { Refusal::Reserved } else { Refusal::NotFound })
        }
        _ => None,
    }
}

/// Whether a path never reaches a container under run.app: <https://cloud.google.com/run/docs/known-issues>.
fn is_reserved(path: &str) -> bool {
    path.ends_with('z') || path == "/eventlog" || path.starts_with("/_ah/")
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOT_FOUND: &str =
        "<html><title>Error 404 (Not Found)!!1</title>The requested URL <code>/</code> was not found on this server.";
    const NO_PERMISSION: &str =
        "<html>Your client does not have permission to get URL <code>/</code> from this server.";
    const HTML: (&str, &str) = ("content-type", "text/html; charset=UTF-8");
    const CHALLENGE: (&str, &str) = ("www-authenticate", "Bearer error=\"invalid_token\"");

    #[test]
    fn the_front_ends_own_answers_are_known() {
        for (status, headers, body, wanted) in [
            (403, &[HTML][..], NO_PERMISSION, Some(Refusal::Private)),
            (401, &[HTML, CHALLENGE], "<html>", Some(Refusal::Private)),
            (401, &[CHALLENGE], "", Some(Refusal::Private)),
            (404, &[HTML], NOT_FOUND, Some(Refusal::NotFound)),
            (403, &[HTML], "<html>Access is forbidden.", Some(Refusal::NotFound)),
            (401, &[HTML, ("x-goog-iap-generated-response", "true")], "Invalid IAP credentials", Some(Refusal::Proxy)),
            // An application's own.
            (401, &[("content-type", "application/json"), ("www-authenticate", "Bearer")], "{\"detail\":\"no\"}", None),
            (401, &[HTML], "<html>log in", None),
            (401, &[HTML, ("www-authenticate", "Bearer")], "<html>log in", None),
            (401, &[("www-authenticate", "Bearer realm=\"app\"")], "", None),
            (403, &[HTML], "<html>forbidden", None),
            (404, &[HTML], "<html>no such page", None),
            (404, &[("content-type", "application/json")], NOT_FOUND, None),
            (200, &[HTML], NOT_FOUND, None),
        ] {
            assert_eq!(refusal(&Answer::of(status, headers, body)), wanted, "{status} {headers:?} {body}");
        }
    }

    #[test]
    fn reserved_paths_are_known_where_they_are() {
        let answer = |url: &str| Answer { url: url.parse().unwrap(), ..Answer::of(404, &[HTML], NOT_FOUND) };
        for (url, wanted) in [
            ("https://app-abc-ew.a.run.app/healthz", Refusal::Reserved),
            ("https://app-abc-ew.a.run.app/eventlog", Refusal::Reserved),
            ("https://app-abc-ew.a.run.app/_ah/health", Refusal::Reserved),
            ("https://app-abc-ew.a.run.app/health", Refusal::NotFound),
            ("https://app.example.com/healthz", Refusal::NotFound),
        ] {
            assert_eq!(refusal(&answer(url)), Some(wanted), "{url}");
        }
    }
}
