//! Which revision was stable before. Pure: rollouts, records and the service are passed in.
//!
//! In this order: what the newest rollout found when it began; what the last successful one deployed; a record of a deployment;
//! the tag `prior`; the one other revision with traffic. Never the newest but one that is ready: a canary that failed is ready too. Where
//! what is known contradicts itself, nothing is chosen.

use std::collections::BTreeSet;
use std::fmt;

use super::past::{Fate, Past, Recorded};
use crate::google::run_traffic::ServiceTraffic;
use crate::google::short;

/// The most candidates that are told.
const CANDIDATES: usize = 6;

/// Where to go back to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum To {
    /// Whatever was stable before.
    Previous,
    Revision(String),
    Release(String),
}

/// Where the traffic goes, and why there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Choice {
    pub(crate) revision: String,
    /// The release that made it, where a rollout that succeeded tells.
    pub(crate) release: Option<String>,
    pub(crate) by: By,
    /// What besides speaks for it or should be known of it.
    pub(crate) notes: Vec<Note>,
}

/// What a choice rests on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum By {
    /// A person.
    Given,
    /// The rollout that is named found it serving when it began.
    BeforeRollout(String),
    /// The rollout that is named deployed it, and was the last that succeeded.
    LastSuccess(String),
    /// The rollout that is named rolled back to it already.
    RolledBack(String),
    /// The record that is named says that it had everything, verified.
    Record(String),
    /// The tag `prior`.
    PriorTag,
    /// It is the only one with traffic beside the newest.
    OtherWithTraffic,
}

/// What should be known of a choice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Note {
    /// A record says that it was verified.
    Recorded(String),
    /// The rollout that is named deployed it and failed, or was rolled back.
    WasBad(String),
    /// The last rollout that succeeded deployed another revision.
    LastSuccessWas(String),
}

/// Why nothing is chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Undecided {
    pub(crate) why: Why,
    /// Revisions that it may be, each with what speaks for it.
    pub(crate) candidates: Vec<(String, String)>,
}

/// The reasons of [`Undecided`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    /// There is no earlier success.
    NothingBefore,
    /// The traffic is on a revision that no rollout knows.
    Foreign(String),
    /// The traffic is neither on what the newest rollout deployed nor on what was before it.
    Elsewhere { serving: String, newest: String },
    /// What was before is known to be bad.
    KnownBad { revision: String, by: String },
    /// Two things say two revisions.
    Contradiction { one: String, other: String },
    /// The release never succeeded on the target.
    NeverSucceeded(String),
    /// No rollout tells which revision is meant.
    NoRevision(String),
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NothingBefore => f.write_str("nothing says which revision was stable before"),
            Self::Foreign(revision) => {
                write!(f, "{revision} has traffic, and no rollout of the target made it: somebody deployed it by hand")
            }
            Self::Elsewhere { serving, newest } => write!(
                f,
                "the traffic is on {serving}, and not on {newest}, which the newest rollout deployed: somebody moved it by hand"
            ),
            Self::KnownBad { revision, by } => {
                write!(f, "the revision before is {revision}, and it is bad itself: {by} failed or was rolled back")
            }
            Self::Contradiction { one, other } => {
                write!(f, "two revisions may have been stable before: {one}, {other}")
            }
            Self::NeverSucceeded(release) => write!(f, "the release {release} never succeeded on the target"),
            Self::NoRevision(rollout) => {
                write!(f, "the rollout {rollout} does not say which revision it deployed")
            }
        }
    }
}

/// What is known.
pub(crate) struct Known<'k> {
    pub(crate) service: &'k ServiceTraffic,
    /// The rollouts of the target, the newest first.
    pub(crate) rollouts: &'k [Past],
    /// Records of deployments, the newest first.
    pub(crate) records: &'k [Recorded],
}

impl Known<'_> {
    /// Chooses.
    ///
    /// # Errors
    /// Why nothing is chosen, with the candidates.
    pub(crate) fn choose(&self, to: &To) -> Result<Choice, Undecided> {
        match to {
            To::Revision(revision) => Ok(self.given(revision.clone(), None)),
            To::Release(release) => self.of_release(release),
            To::Previous => match self.touched().next() {
                Some(newest) => self.before(newest),
                None => self.without_rollouts(),
            },
        }
    }

    /// The rollouts that deployed something.
    fn touched(&self) -> impl Iterator<Item = &Past> {
        self.rollouts.iter().filter(|past| past.deployed)
    }

    fn good(&self) -> impl Iterator<Item = &Past> {
        self.touched().filter(|past| past.is_good())
    }

    /// The newest rollout that deployed a revision and was no success, where none of that revision was one.
    fn bad(&self, revision: &str) -> Option<&Past> {
        let of = |past: &&Past| past.revision.as_deref() == Some(revision);
        if self.good().any(|past| of(&past)) {
            return None;
        }
        self.touched().filter(|past| past.fate != Fate::Unfinished || past.rolled_back).find(of)
    }

    /// The release whose rollout made a revision, the newest success first.
    fn release_of(&self, revision: &str) -> Option<String> {
        let success = self.good().find(|past| past.revision.as_deref() == Some(revision))?;
        Some(success.release.clone())
    }

    fn undecided(&self, why: Why) -> Undecided {
        let mut candidates: Vec<(String, String)> = Vec::new();
        let mut add = |revision: &str, what: String| match candidates.iter_mut().find(|(known, _)| known == revision) {
            Some((_, known)) => *known = format!("{known}; {what}"),
            None => candidates.push((revision.to_owned(), what)),
        };
        for (revision, percent) in self.service.with_traffic() {
            add(&revision, format!("has {percent} % of the traffic"));
        }
        if let Some(revision) = self.service.tagged(PRIOR) {
            add(&revision, format!("has the tag {PRIOR}"));
        }
        for past in self.good() {
            if let Some(revision) = &past.revision {
                add(revision, format!("{} succeeded", past.id));
            }
        }
        for record in self.records.iter().filter(|record| record.is_stable()) {
            add(&record.revision, format!("verified with all of the traffic, says {}", record.file));
        }
        candidates.truncate(CANDIDATES);
        Undecided { why, candidates }
    }

    fn given(&self, revision: String, release: Option<String>) -> Choice {
        let bad = self.bad(&revision).map(|past| Note::WasBad(past.id.clone()));
        let release = release.or_else(|| self.release_of(&revision));
        let notes = bad.into_iter().chain(self.recorded(&revision)).collect();
        Choice { revision, release, by: By::Given, notes }
    }

    fn recorded(&self, revision: &str) -> Option<Note> {
        let record = self.records.iter().find(|record| record.revision == revision)?;
        record.is_stable().then(|| Note::Recorded(record.file.clone()))
    }

    fn of_release(&self, release: &str) -> Result<Choice, Undecided> {
        let of = |past: &&Past| past.release == release;
        let success = self.touched().filter(of).find(|past| past.fate == Fate::Succeeded);
        let success = success.ok_or_else(|| self.undecided(Why::NeverSucceeded(release.to_owned())))?;
        let revision = success.revision.clone();
        let revision = revision.ok_or_else(|| self.undecided(Why::NoRevision(success.id.clone())))?;
        let mut choice = self.given(revision, Some(release.to_owned()));
        if success.rolled_back && !choice.notes.iter().any(|note| matches!(note, Note::WasBad(_))) {
            choice.notes.push(Note::WasBad(success.id.clone()));
        }
        Ok(choice)
    }

    /// What was before the newest rollout.
    fn before(&self, newest: &Past) -> Result<Choice, Undecided> {
        let mut known: BTreeSet<&str> = BTreeSet::new();
        for past in self.touched() {
            known.extend(past.revision.as_deref().into_iter().chain(past.previous.as_deref()));
        }
        let serving = self.service.with_traffic();
        if let Some((foreign, _)) = serving.iter().find(|(revision, _)| !known.contains(&***revision)) {
            return Err(self.undecided(Why::Foreign(foreign.clone())));
        }
        let (choice, left) = self.by_rollouts(newest)?;
        let is_there = |revision: &str| serving.contains_key(revision);
        let has_all = serving.len() == 1 && is_there(&choice.revision);
        if !has_all && !left.as_deref().is_some_and(is_there) {
            let serving: Vec<String> = serving.keys().cloned().collect();
            let newest = newest.revision.clone().unwrap_or_else(|| "any revision".into());
            return Err(self.undecided(Why::Elsewhere { serving: serving.join(" and "), newest }));
        }
        if let Some(record) = self.records.iter().find(|record| record.revision == choice.revision)
            && record.verdict == Some(false)
        {
            let (revision, by) = (choice.revision, format!("the record {}", record.file));
            return Err(self.undecided(Why::KnownBad { revision, by }));
        }
        Ok(choice)
    }

    /// Where to go back to from a rollout, and the revision that is left by it; nothing is left where a rollback was well already.
    fn by_rollouts(&self, newest: &Past) -> Result<(Choice, Option<String>), Undecided> {
        let choice = |revision: &str, by: By, mut notes: Vec<Note>| {
            notes.extend(self.recorded(revision));
            Choice { revision: revision.to_owned(), release: self.release_of(revision), by, notes }
        };
        if let Some(undone) = &newest.rollback_of {
            if newest.is_good() {
                let revision = newest.revision.as_deref();
                let revision = revision.ok_or_else(|| self.undecided(Why::NoRevision(newest.id.clone())))?;
                return Ok((choice(revision, By::RolledBack(newest.id.clone()), Vec::new()), None));
            }
            // A rollback that failed: what it was to undo still is. What it found serving was that.
            let undone = self.older(newest).find(|past| past.id == *undone);
            return self.by_rollouts(undone.ok_or_else(|| self.undecided(Why::NothingBefore))?);
        }
        let left = newest.revision.clone();
        let last = self.older(newest).find(|past| past.is_good() && past.revision != left);
        if let Some(found) = newest.previous.as_deref().filter(|found| left.as_deref() != Some(*found)) {
            if let Some(bad) = self.bad(found) {
                let (revision, by) = (found.to_owned(), bad.id.clone());
                return Err(self.undecided(Why::KnownBad { revision, by }));
            }
            let other = last.and_then(|past| past.revision.clone()).filter(|revision| revision != found);
            let notes = other.map(Note::LastSuccessWas).into_iter().collect();
            return Ok((choice(found, By::BeforeRollout(newest.id.clone()), notes), left));
        }
        let last = last.ok_or_else(|| self.undecided(Why::NothingBefore))?;
        let revision = last.revision.as_deref();
        let revision = revision.ok_or_else(|| self.undecided(Why::NoRevision(last.id.clone())))?;
        Ok((choice(revision, By::LastSuccess(last.id.clone()), Vec::new()), left))
    }

    /// The rollouts that deployed something before one.
    fn older<'s>(&'s self, newest: &'s Past) -> impl Iterator<Item = &'s Past> {
        self.touched().skip_while(|past| past.id != newest.id).skip(1)
    }

    /// By records and the service alone.
    fn without_rollouts(&self) -> Result<Choice, Undecided> {
        let serving = self.service.with_traffic();
        let only = serving.iter().next().filter(|_| serving.len() == 1).map(|(revision, _)| revision.clone());
        let choice = |revision: String, by: By| {
            let notes = self.recorded(&revision).into_iter().filter(|_| !matches!(by, By::Record(_))).collect();
            Choice { revision, release: None, by, notes }
        };
        // A rollback that is written down, and that still stands.
        if let Some(newest) = self.records.first()
            && newest.is_stable()
            && newest.rolled_back.is_some()
            && only.as_ref() == Some(&newest.revision)
        {
            return Ok(choice(newest.revision.clone(), By::Record(newest.file.clone())));
        }
        let tagged = self.service.tagged(PRIOR);
        if let (Some(tagged), Some(only)) = (&tagged, &only)
            && tagged == only
        {
            return Ok(choice(tagged.clone(), By::PriorTag));
        }
        let newest = self.newest_with_traffic()?;
        let record = self.records.iter().find(|record| record.is_stable() && record.revision != newest);
        let other = serving.keys().find(|revision| **revision != newest).filter(|_| serving.len() == 2).cloned();
        let tagged = tagged.filter(|tagged| *tagged != newest);
        let said: Vec<(String, By)> = [
            record.map(|record| (record.revision.clone(), By::Record(record.file.clone()))),
            tagged.map(|revision| (revision, By::PriorTag)),
            other.map(|revision| (revision, By::OtherWithTraffic)),
        ]
        .into_iter()
        .flatten()
        .collect();
        let Some((revision, by)) = said.first().cloned() else { return Err(self.undecided(Why::NothingBefore)) };
        if let Some((other, _)) = said.iter().find(|(other, _)| *other != revision) {
            return Err(self.undecided(Why::Contradiction { one: revision, other: other.clone() }));
        }
        let failed = |record: &&Recorded| record.revision == revision && record.verdict == Some(false);
        // Whatever is known of a revision, its newest record tells.
        let newest_of = self.records.iter().find(|record| record.revision == revision);
        if let Some(record) = newest_of.filter(failed) {
            let by = format!("the record {}", record.file);
            return Err(self.undecided(Why::KnownBad { revision, by }));
        }
        Ok(choice(revision, by))
    }

    /// The revision that the traffic is taken from: the newest, by the tag `canary` and by when it was made.
    fn newest_with_traffic(&self) -> Result<String, Undecided> {
        let serving = self.service.with_traffic();
        let with_traffic = |revision: &String| serving.contains_key(revision);
        let tagged = self.service.tagged(CANARY).filter(with_traffic);
        let created = Some(short(&self.service.latest_created_revision)).filter(with_traffic);
        match (tagged, created) {
            (Some(one), Some(other)) if one != other => {
                Err(self.undecided(Why::Contradiction { one: other, other: one }))
            }
            (Some(newest), _) | (None, Some(newest)) => Ok(newest),
            (None, None) => Err(self.undecided(Why::NothingBefore)),
        }
    }
}

const PRIOR: &str = "prior";
const CANARY: &str = "canary";

#[cfg(test)]
mod tests;
