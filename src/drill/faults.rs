//! The faults, one a row: what the service does, whom it does it to, and how it is played.

use super::answers::{
    as_json, degraded, elsewhere, emptied, ended_in_a_line, fallback, family_lost, html_as_text, malformed,
    not_numbers, of_another, over_a_limit, stale, texted,
};
use super::subject::Subject;
use super::wire::{Manner, Reply};

/// One way for a service to be ill.
pub(crate) struct Fault {
    /// As `--only` and `--skip` name it.
    pub(crate) name: &'static str,
    /// What the service does, with the service as the subject.
    pub(crate) about: &'static str,
    pub(super) at: At,
    pub(super) play: Play,
    /// Why a warning is all that the plan or the gate wants to make of it; nothing where it has to fail.
    pub(super) warns: Option<&'static str>,
}

/// Whom a fault is played to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum At {
    Everything,
    Health,
    Readiness,
    /// The checks that a person added under `http`.
    Http,
    Metrics,
    /// The page whose assets are loaded.
    Page,
    /// The other requests of the smoke check.
    Listed,
    /// The first script that the page loads.
    Script,
    /// The first style sheet.
    Style,
    /// What tells the revision.
    Identity,
    Traffic,
}

/// How a fault changes answers.
#[derive(Clone, Copy)]
pub(super) enum Play {
    /// Another status, with the body as it is.
    Status(u16),
    /// The same, from the second answer of a path on.
    Later(u16),
    /// The same, for one answer in so many.
    Share(u16, usize),
    /// Each answer takes longer by this share of its time, and by twice what matters to the plan at the least.
    Slower(f64),
    /// Another manner of sending it.
    Manner(Manner),
    /// A redirect.
    Redirect(&'static str),
    /// A content coding that the body is not in.
    Coding,
    /// The decoded answer, changed. It gets the number of the answer, counted from 0.
    ///
    /// # Errors
    /// Why this service cannot have the fault.
    Edit(fn(&mut Reply, &Subject, usize) -> Result<(), String>),
}

impl Play {
    /// Whether the gate gets no whole answer where it is played.
    pub(super) fn breaks(self) -> bool {
        matches!(self, Self::Coding | Self::Manner(_))
    }

    /// Whether it needs nothing of the healthy answer.
    pub(super) fn is_alone(self) -> bool {
        matches!(self, Self::Manner(Manner::Hang | Manner::Close) | Self::Redirect(_))
    }
}

const fn fault(name: &'static str, about: &'static str, at: At, play: Play) -> Fault {
    Fault { name, about, at, play, warns: None }
}

const NO_ASSETS: &str = "smoke.min_assets: null only warns; a number makes it fail";
const RESTARTS: &str = "a restart in mid-window is for the thresholds to judge";

/// Every fault, in the order in which they are told.
pub(crate) static FAULTS: &[Fault] = &[
    fault("unavailable", "answers 503 to everything", At::Everything, Play::Status(503)),
    fault("hanging", "takes connections and never answers", At::Everything, Play::Manner(Manner::Hang)),
    fault("closing", "closes connections without an answer", At::Everything, Play::Manner(Manner::Close)),
    fault("health-degraded", "reports another status in its health answer", At::Health, Play::Edit(degraded)),
    fault("health-500", "answers 500 with a healthy body", At::Health, Play::Status(500)),
    fault("health-404", "has no health endpoint", At::Health, Play::Status(404)),
    fault("health-hangs", "never answers health requests", At::Health, Play::Manner(Manner::Hang)),
    fault("health-page", "answers its page for a missing health endpoint", At::Health, Play::Edit(fallback)),
    fault("health-redirects", "redirects the health check to a login", At::Health, Play::Redirect("/login")),
    fault("health-empty", "answers an empty body for its health", At::Health, Play::Edit(emptied)),
    fault("health-falls", "is healthy when asked first, and answers 500 later", At::Health, Play::Later(500)),
    fault("readiness-503", "is not ready", At::Readiness, Play::Status(503)),
    fault("readiness-hangs", "never answers on readiness", At::Readiness, Play::Manner(Manner::Hang)),
    fault("readiness-page", "answers its page for a missing readiness endpoint", At::Readiness, Play::Edit(fallback)),
    fault("http-500", "answers 500 to the added checks", At::Http, Play::Status(500)),
    fault("http-404", "answers 404 to the added checks", At::Http, Play::Status(404)),
    fault("http-page", "answers its page to the added checks", At::Http, Play::Edit(fallback)),
    fault("metrics-500", "answers 500 for its metrics", At::Metrics, Play::Status(500)),
    fault("metrics-401", "wants a login for its metrics", At::Metrics, Play::Status(401)),
    fault("metrics-page", "answers its page in place of metrics", At::Metrics, Play::Edit(fallback)),
    fault("metrics-page-as-text", "answers its page, labelled as metrics", At::Metrics, Play::Edit(html_as_text)),
    fault("metrics-json", "labels its metrics as JSON", At::Metrics, Play::Edit(as_json)),
    fault("metrics-empty", "exposes nothing", At::Metrics, Play::Edit(emptied)),
    fault("metrics-malformed", "exposes a line without a value", At::Metrics, Play::Edit(malformed)),
    fault("metrics-cut", "ends its metrics in the middle of a line", At::Metrics, Play::Edit(ended_in_a_line)),
    fault("metrics-broken-off", "breaks off in the middle of its metrics", At::Metrics, Play::Manner(Manner::Cut)),
    fault("metrics-reset", "resets the connection in its metrics", At::Metrics, Play::Manner(Manner::Reset)),
    fault("metrics-drip", "sends its metrics a byte at a time", At::Metrics, Play::Manner(Manner::Drip)),
    fault("metrics-coding", "says gzip of metrics that are plain", At::Metrics, Play::Coding),
    fault("metrics-stale", "exposes samples of an hour ago", At::Metrics, Play::Edit(stale)),
    fault("metrics-lost-family", "has lost a family that is read", At::Metrics, Play::Edit(family_lost)),
    fault("metrics-nan", "exposes NaN for what blocking thresholds read", At::Metrics, Play::Edit(not_numbers)),
    fault("metrics-over-limit", "exposes values over a limit", At::Metrics, Play::Edit(over_a_limit)),
    Fault {
        warns: Some(RESTARTS),
        ..fault(
            "metrics-restart",
            "starts its counters again in mid-window",
            At::Metrics,
            Play::Edit(super::answers::restarted),
        )
    },
    fault("page-500", "answers 500 for its page", At::Page, Play::Status(500)),
    fault("page-empty", "answers an empty page", At::Page, Play::Edit(emptied)),
    fault("page-text", "answers two words for its page", At::Page, Play::Edit(texted)),
    fault("page-broken-off", "breaks off in the middle of its page", At::Page, Play::Manner(Manner::Cut)),
    fault("page-redirects", "redirects its page elsewhere", At::Page, Play::Redirect("https://login.example.com/")),
    Fault {
        warns: Some(NO_ASSETS),
        ..fault("page-assets-elsewhere", "sends browsers elsewhere for its assets", At::Page, Play::Edit(elsewhere))
    },
    fault("listed-404", "does not know the other pages", At::Listed, Play::Status(404)),
    fault("script-404", "has lost a script", At::Script, Play::Status(404)),
    fault("script-page", "answers its page for a lost script", At::Script, Play::Edit(fallback)),
    fault("script-empty", "serves an empty script", At::Script, Play::Edit(emptied)),
    fault("style-404", "has lost a style sheet", At::Style, Play::Status(404)),
    fault("style-page", "answers its page for a lost style sheet", At::Style, Play::Edit(fallback)),
    fault("wrong-revision", "is another revision", At::Identity, Play::Edit(of_another)),
    fault("traffic-errors", "answers 500 to 2 % of the traffic", At::Traffic, Play::Share(500, 50)),
    fault(
        "traffic-slower",
        "takes half as long again for each answer, and twice traffic.min_difference at the least",
        At::Traffic,
        Play::Slower(0.5),
    ),
];

/// The fault of a name.
pub(crate) fn named(name: &str) -> Option<&'static Fault> {
    FAULTS.iter().find(|fault| fault.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique() {
        for (index, fault) in FAULTS.iter().enumerate() {
            assert!(
                named(fault.name).is_some_and(|first| std::ptr::eq(first, &raw const FAULTS[index])),
                "{}",
                fault.name
            );
        }
    }

    #[test]
    fn the_document_has_them_all() {
        let document = include_str!("../../docs/drill.md");
        for Fault { name, about, .. } in FAULTS {
            assert!(document.contains(&format!("| `{name}` | {about} |")), "{name}");
        }
        let rows = document.lines().filter(|line| line.starts_with("| `") && line.matches('|').count() == 4);
        assert!(rows.count() >= FAULTS.len());
    }
}
