//! What a rule is, and what it found.

use crate::outcome::Source;

use super::fix::Edit;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    /// A tool or an API refuses it, or the rollout does not do what the files say.
    Error,
    /// It works until something goes wrong, or does something else than it seems to.
    Warning,
}

impl Level {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

/// How sure it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Confidence {
    /// The files say so.
    High,
    /// The files say so, unless something outside of them makes it good.
    Medium,
    /// It is unusual, and may be meant.
    Low,
}

impl Confidence {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::High => "high",
            Self::Medium => "medium",
            Self::Low => "low",
        }
    }
}

/// A rule. Its texts are what `lint explain` prints and docs/lint.md holds.
#[derive(Debug)]
pub(crate) struct Rule {
    pub(crate) id: &'static str,
    pub(crate) level: Level,
    pub(crate) confidence: Confidence,
    /// What is wrong, as a title.
    pub(crate) what: &'static str,
    /// Why it bites.
    pub(crate) why: &'static str,
    /// What to do.
    pub(crate) fix: &'static str,
}

/// Something that a rule found.
#[derive(Clone, Debug)]
pub(crate) struct Finding {
    pub(crate) rule: &'static Rule,
    pub(crate) at: Source,
    pub(crate) message: String,
    /// The other places that it takes, each with what is there.
    pub(crate) beside: Vec<(Source, String)>,
    /// What makes it good for certain.
    pub(crate) edit: Option<Edit>,
    /// Why a comment says to ignore it.
    pub(crate) ignored: Option<Ignored>,
}

/// A comment that takes a finding away.
#[derive(Clone, Debug)]
pub(crate) struct Ignored {
    pub(crate) at: Source,
    pub(crate) reason: String,
}

/// What was found.
#[derive(Debug, Default)]
pub(crate) struct Found(pub(super) Vec<Finding>);

impl Found {
    pub(super) fn add(&mut self, rule: &'static Rule, at: Source, message: impl Into<String>) -> Added<'_> {
        self.0.push(Finding { rule, at, message: message.into(), beside: Vec::new(), edit: None, ignored: None });
        Added(self)
    }
}

/// The finding that was added last, for what only some have.
pub(super) struct Added<'f>(&'f mut Found);

impl Added<'_> {
    /// The other place that it takes.
    pub(super) fn beside(self, at: Source, note: impl Into<String>) -> Self {
        if let Some(finding) = self.0.0.last_mut() {
            finding.beside.push((at, note.into()));
        }
        self
    }

    /// What makes it good for certain.
    pub(super) fn edit(self, edit: Option<Edit>) -> Self {
        if let Some(finding) = self.0.0.last_mut() {
            finding.edit = edit;
        }
        self
    }
}
