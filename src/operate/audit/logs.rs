//! What the revision logged: no errors in the span, and none of a kind that the revision before did not have.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use super::ask::InVain;
use super::row::Seen;
use super::subject::Subject;
use super::{Audit, template};
use crate::google::{LogEntry, LogPage, LogQuery};
use crate::outcome::{Observation, Status};
use crate::plan;
use crate::text;

const LOGGING_VIEWER: &str = "roles/logging.viewer";

/// How long after the end of a span its entries are all there.
const SETTLES: Duration = Duration::from_mins(1);

/// The most errors that are looked at: more of them say nothing more.
const MOST_ERRORS: usize = 1000;

/// The most pages of one question: an empty page costs nothing, and they must end.
const MOST_PAGES: usize = 200;

/// The most kinds of errors that are told apart.
const MOST_KINDS: usize = 100;

/// How many lines are shown, and how much of each.
const SHOWN: usize = 5;
const LINE: usize = 200;

/// The errors of a revision in a span.
#[derive(Clone, Debug, Default)]
pub(super) struct Errors {
    /// Without the gate's own.
    count: usize,
    /// Whether there are more than were looked at.
    has_more: bool,
    /// Of requests that the gate itself sent.
    own: usize,
    /// The first ones: time, severity and line.
    first: Vec<(String, String, String)>,
    /// One line of each kind, by its template.
    kinds: BTreeMap<String, String>,
    /// Whether anything at all of the revision was seen.
    has_entries: bool,
}

impl Errors {
    fn add(&mut self, entry: &LogEntry) {
        self.has_entries = true;
        if entry.is_of_the_gate() {
            self.own += 1;
            return;
        }
        self.count += 1;
        let line = shown(&entry.line());
        if self.first.len() < SHOWN {
            self.first.push((entry.timestamp.clone(), entry.severity.clone(), line.clone()));
        }
        if self.kinds.len() < MOST_KINDS {
            self.kinds.entry(template::of(&entry.line())).or_insert(line);
        }
    }

    fn left_out(&self) -> String {
        match self.own {
            0 => String::new(),
            1 => "; 1 of the gate's own requests left out".into(),
            own => format!("; {own} of the gate's own requests left out"),
        }
    }
}

impl Audit<'_> {
    /// The errors of the revision in the span, when they are all there.
    ///
    /// # Errors
    /// Why they could not be seen.
    pub(super) async fn errors(&self, subject: &Subject, checklist: &plan::Audit) -> Result<Errors, InVain> {
        let revision = subject.revision.as_ref().map_err(Clone::clone)?;
        let (since, _) = subject.since.as_ref().map_err(Clone::clone)?;
        let until = *since + checklist.span;
        self.until(until + SETTLES, "the logs of the span").await.map_err(InVain::because)?;
        self.errors_of(revision, (*since, until)).await
    }

    /// No error was logged, and something was.
    pub(super) async fn logs(&self, subject: &Subject, errors: impl Future<Output = Result<Errors, InVain>>) -> Seen {
        let errors = match errors.await {
            Ok(errors) => errors,
            Err(why) => return Seen::none(why.to_string()),
        };
        let span = span(subject, self.plan.audit.span);
        if errors.count > 0 {
            let at_least = if errors.has_more { "at least " } else { "" };
            let count = text::counted(errors.count, "error");
            let first = errors.first.first().map_or(String::new(), |(.., line)| format!(", the first: {line}"));
            let observed = errors
                .first
                .iter()
                .map(|(time, severity, line)| Observation::note(time, Status::Fail, format!("{severity}: {line}")));
            return Seen::bad(format!("{at_least}{count} in {span}{first}{}", errors.left_out()))
                .seeing(observed.collect());
        }
        if errors.has_entries {
            return Seen::good(format!("no error in {span}{}", errors.left_out()));
        }
        Seen::nothing(format!(
            "there is no entry of the revision in {span}, of any severity: that nothing failed is not seen by that"
        ))
    }

    /// No kind of error is new.
    pub(super) async fn new_errors(
        &self,
        subject: &Subject,
        errors: impl Future<Output = Result<Errors, InVain>>,
    ) -> Seen {
        let errors = match errors.await {
            Ok(errors) => errors,
            Err(why) => return Seen::none(why.to_string()),
        };
        if errors.count == 0 {
            return if errors.has_entries {
                Seen::good("no error, and so no new kind")
            } else {
                Seen::nothing("there is no entry of the revision")
            };
        }
        let Some(previous) = subject.previous() else {
            return Seen::nothing("which revision was before this one is not known");
        };
        let Ok((since, _)) = &subject.since else { return Seen::none("it is not known when it took the traffic") };
        // A span of the same length, the last one in which that revision served.
        let span = (*since - self.plan.audit.span, *since);
        let before = match self.errors_of(&previous, span).await {
            Ok(before) if before.has_entries => before,
            Ok(_) => return Seen::nothing(format!("there is no entry of {previous} in the span before")),
            Err(why) => return Seen::none(why.to_string()),
        };
        let new: Vec<&String> =
            errors.kinds.iter().filter(|(kind, _)| !before.kinds.contains_key(*kind)).map(|(_, line)| line).collect();
        let full = |errors: &Errors| errors.has_more || errors.kinds.len() >= MOST_KINDS;
        if new.is_empty() {
            let kinds = text::counted(errors.kinds.len(), "kind");
            if full(&errors) {
                return Seen::none(format!(
                    "{kinds} of errors, none of them new, and there are more than were looked at"
                ));
            }
            return Seen::good(format!("{kinds} of errors, which {previous} had too"));
        }
        if full(&before) {
            return Seen::none(format!("{previous} had more errors than were looked at: which are new is not known"));
        }
        let observed = new.iter().take(SHOWN).map(|line| Observation::note("new", Status::Warn, line.as_str()));
        let kinds = text::counted(new.len(), "kind");
        Seen::bad(format!("{kinds} of errors that {previous} did not have, such as: {}", new[0]))
            .seeing(observed.collect())
    }

    /// The errors of a revision in a span; where there are none, whether there is any entry.
    async fn errors_of(&self, revision: &str, span: (SystemTime, SystemTime)) -> Result<Errors, InVain> {
        let mut errors = Errors::default();
        let whole = self
            .entries(revision, span, true, |entry| {
                errors.add(entry);
                errors.count < MOST_ERRORS
            })
            .await?;
        errors.has_more = !whole;
        if !errors.has_entries {
            let mut is_there = false;
            self.entries(revision, span, false, |_| {
                is_there = true;
                false
            })
            .await?;
            errors.has_entries = is_there;
        }
        Ok(errors)
    }

    /// Reads entries, page by page, for as long as `visit` wants more; with whether it saw all of them. Entries of other revisions
    /// are no answer to what was asked: then nothing was seen.
    async fn entries(
        &self,
        revision: &str,
        span: (SystemTime, SystemTime),
        only_errors: bool,
        mut visit: impl FnMut(&LogEntry) -> bool,
    ) -> Result<bool, InVain> {
        let names = &self.names;
        let query = LogQuery {
            project: &names.project,
            region: &names.region,
            service: &names.service,
            revision,
            span,
            only_errors,
        };
        let mut token = String::new();
        for _ in 0..MOST_PAGES {
            let ask = async |deadline| self.apis.logging.log_page(&query, &token, deadline).await;
            let LogPage { entries, next } = self.ask(LOGGING_VIEWER, ask).await?;
            for entry in &entries {
                // One that does not say whose it is might be an error of this revision.
                if !entry.is_of(revision) {
                    return Err(InVain::because(format!(
                        "Cloud Logging: an entry is not of {revision}, which alone was asked for"
                    )));
                }
                if !visit(entry) {
                    return Ok(false);
                }
            }
            if next.is_empty() {
                return Ok(true);
            }
            if next == token {
                return Err(InVain::because("Cloud Logging: a page names itself as the next one"));
            }
            token = next;
        }
        Err(InVain::because(format!("Cloud Logging: the entries have over {MOST_PAGES} pages")))
    }
}

/// A line as it may be shown: cut, and without what looks like credentials. What an application logs, nobody has looked through.
fn shown(line: &str) -> String {
    const NAMES: [&str; 9] =
        ["authorization", "cookie", "api-key", "api_key", "apikey", "password", "secret", "token", "credential"];
    let line = text::covered(&text::cut(line, LINE), &NAMES);
    let mut words: Vec<String> = Vec::new();
    for word in line.split(' ') {
        let is_bearer = words.last().is_some_and(|before| {
            let before = before.trim_start_matches(['"', '\'', '(', '=']).to_ascii_lowercase();
            before.ends_with("bearer") || before.ends_with("basic")
        });
        // Of `name=value` and of a token by its form nothing is shown behind the name.
        let named = word.split_once('=').filter(|(name, value)| {
            let name = name.to_ascii_lowercase();
            !value.is_empty() && NAMES.iter().any(|secret| name.ends_with(secret))
        });
        let by_form = ["eyJ", "ya29.", "ghp_", "AKIA", "AIza", "xoxb-"].iter().find(|start| word.contains(**start));
        words.push(match (is_bearer && !word.is_empty(), named, by_form) {
            (true, ..) => "***".into(),
            (_, Some((name, _)), _) => format!("{name}=***"),
            (.., Some(start)) => format!("{}***", &word[..word.find(*start).unwrap_or(0)]),
            _ => word.to_owned(),
        });
    }
    words.join(" ")
}

/// The span in words.
fn span(subject: &Subject, length: Duration) -> String {
    let length = text::duration(length);
    match &subject.since {
        Ok((since, by)) => format!("{length} from {} ({by})", humantime::format_rfc3339_seconds(*since)),
        Err(_) => length,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_like_credentials_is_not_shown() {
        for (line, wanted) in [
            ("GET https://user:hunter2@a.example/x failed", "GET https://************@a.example/x failed"),
            ("sent Authorization: abc.def", "sent Authorization: *******"),
            ("sent Bearer abc.def to x", "sent Bearer *** to x"),
            ("login failed password=hunter2 for ada", "login failed password=*** for ada"),
            ("header eyJhbGciOi.x.y refused", "header *** refused"),
            ("no database at 10.0.0.7:5432", "no database at 10.0.0.7:5432"),
        ] {
            assert_eq!(shown(line), wanted, "{line}");
        }
        assert!(shown(&"x".repeat(100_000)).chars().count() <= LINE + 1);
    }
}
