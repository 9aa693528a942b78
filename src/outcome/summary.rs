//! What a whole run came to, and its verdict.

use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use super::{Exit, Link, Observation, Seen, Severity, Source, Status, Verdict, links};
use crate::text::Redactor;

/// What one check came to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Outcome {
    pub(crate) name: String,
    pub(crate) status: Status,
    pub(crate) severity: Severity,
    /// How many times it was tried; 0 where it was not.
    pub(crate) attempts: u32,
    /// When it started, since the run began; nothing where it did not.
    pub(crate) started: Option<Duration>,
    /// Its first attempts that brought nothing final, in their order; at most as many as a report keeps.
    #[serde(default)]
    pub(crate) retries: Vec<Retry>,
    pub(crate) duration: Duration,
    /// How long it was allowed to take.
    pub(crate) limit: Duration,
    /// One line: why it ended so.
    pub(crate) detail: String,
    /// What it saw on the way.
    pub(crate) observations: Vec<Observation>,
    /// Where the checks file speaks of it.
    pub(crate) place: Option<Source>,
}

/// An attempt that brought nothing final and was repeated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Retry {
    /// Counted from 1.
    pub(crate) attempt: u32,
    /// When it had failed, since the run began.
    pub(crate) at: Duration,
    /// Why, in one line.
    pub(crate) cause: String,
}

/// What is known of the deployment, by short names. A member is left out where it is not known.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct DeploymentFacts {
    /// The project, by id or number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) project: Option<String>,
    /// The region.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) region: Option<String>,
    /// The Cloud Run service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) service: Option<String>,
    /// The revision that was deployed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) revision: Option<String>,
    /// The rollout's phase.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) phase: Option<String>,
    /// Cloud Deploy's release.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) release: Option<String>,
    /// Cloud Deploy's rollout.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) rollout: Option<String>,
    /// Cloud Deploy's delivery pipeline.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) pipeline: Option<String>,
    /// The pipeline's project, by id or number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) pipeline_project: Option<String>,
    /// The pipeline's region.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) pipeline_region: Option<String>,
    /// The target of the rollout.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) target: Option<String>,
    /// The share of the traffic that the revision had to have, in percent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) share: Option<u32>,
    /// Of a rollback: the revision that the traffic was taken back from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) rolled_back: Option<String>,
    /// What the Cloud Run Admin API said of the service; left out where it could not be asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) serving: Option<Serving>,
}

/// What the Cloud Run Admin API said of a service when the canary was located.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct Serving {
    /// The revision's image, as it was deployed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) image: Option<String>,
    /// The commit that the revision's label `commit-sha` names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) commit: Option<String>,
    /// Which revisions had which share of the traffic.
    pub(crate) traffic: Vec<Share>,
}

/// A revision's share of the traffic.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct Share {
    /// The revision's short name.
    pub(crate) revision: String,
    /// In percent.
    pub(crate) percent: u32,
    /// The tag of the entry, if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) tag: Option<String>,
}

/// Who has what, in one line: `80 % app-41, 20 % app-42 (tag canary)`.
pub(crate) fn shares(traffic: &[Share]) -> String {
    let entry = |Share { revision, percent, tag }: &Share| {
        let tag = tag.as_ref().map_or(String::new(), |tag| format!(" (tag {tag})"));
        format!("{percent} % {revision}{tag}")
    };
    if traffic.is_empty() { "of nobody".into() } else { traffic.iter().map(entry).collect::<Vec<_>>().join(", ") }
}

/// The phase of what is no rollout's: the traffic goes back.
const ROLLBACK: &str = "rollback";

impl DeploymentFacts {
    /// Those of a rollback of a service.
    pub(crate) fn of_rollback(project: &str, region: &str, service: &str) -> Self {
        let text = |text: &str| Some(text.to_owned());
        Self {
            project: text(project),
            region: text(region),
            service: text(service),
            phase: text(ROLLBACK),
            ..Self::default()
        }
    }

    /// Whether a rollback is told of, and no canary.
    pub(crate) fn is_rollback(&self) -> bool {
        self.phase.as_deref() == Some(ROLLBACK)
    }

    /// What is known, with its name, in the order of the report.
    pub(crate) fn known(&self) -> impl Iterator<Item = (&'static str, &str)> {
        [
            ("project", &self.project),
            ("region", &self.region),
            ("service", &self.service),
            ("revision", &self.revision),
            ("phase", &self.phase),
            ("release", &self.release),
            ("rollout", &self.rollout),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value.as_deref()?)))
    }
}

/// What a run is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub(crate) enum Purpose {
    /// Whether a canary may take all the traffic.
    #[default]
    Verify,
    /// Whether a deployment is as it should be, when it has all the traffic.
    Audit,
}

/// What a whole run came to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Summary {
    /// What the run is for.
    #[serde(default)]
    pub(crate) purpose: Purpose,
    /// The canary's address; nothing where it was not found.
    pub(crate) url: Option<String>,
    /// The deployment that was verified; nothing where only an address was given.
    pub(crate) deployment: Option<DeploymentFacts>,
    /// When the run began.
    pub(crate) started_at: SystemTime,
    /// How long it took.
    pub(crate) duration: Duration,
    /// How long the gate itself stood still in that time, for want of a CPU; nothing where it is not worth a word.
    #[serde(default)]
    pub(crate) stood_still: Option<Duration>,
    /// The checks in their order.
    pub(crate) checks: Vec<Outcome>,
    /// Why the run did not come to its end, if it did not.
    pub(crate) unfinished: Option<Unfinished>,
}

/// What kept a run from its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Unfinished {
    /// `interrupted by SIGTERM`, `not finished`, an error of usage.
    pub(crate) cause: String,
    pub(crate) exit: Exit,
}

impl Summary {
    /// The verdict: a pass only where every check that blocks passed or was switched off by the plan.
    pub(crate) fn verdict(&self) -> Verdict {
        let mut verdict = Verdict::Pass;
        for check in &self.checks {
            match check.status {
                Status::Pass | Status::Warn | Status::Skipped => {}
                Status::Fail => {
                    return if self.unfinished.is_some() { Verdict::Error } else { Verdict::Fail };
                }
                Status::Error => verdict = Verdict::Error,
            }
        }
        let seen = self.checks.iter().any(|check| matches!(check.status, Status::Pass | Status::Warn));
        if self.unfinished.is_some() || !seen { Verdict::Error } else { verdict }
    }

    /// How the process ends.
    pub(crate) fn exit(&self) -> Exit {
        self.unfinished.as_ref().map_or_else(|| self.verdict().into(), |unfinished| unfinished.exit)
    }

    /// The summary without secrets: they are taken out of every text that comes from outside or is a sentence, before any
    /// report is made of it. What the reports add of their own is left alone, so that it can always be read.
    pub(crate) fn redacted(mut self, redactor: &Redactor) -> Self {
        self.texts(&mut |text| *text = redactor.clean(text));
        self
    }

    /// The share of the traffic that the deployed revision has: what the Admin API said, else what it had to have.
    pub(crate) fn share(&self) -> Option<u32> {
        let facts = self.deployment.as_ref()?;
        let has = |serving: &Serving| {
            let own = |share: &&Share| facts.revision.as_ref() == Some(&share.revision);
            serving.traffic.iter().filter(own).map(|share| share.percent).sum()
        };
        facts.serving.as_ref().filter(|serving| !serving.traffic.is_empty()).map(has).or(facts.share)
    }

    /// The pages of the Cloud Console that show what was deployed, and its logs while the run went on.
    pub(crate) fn links(&self) -> Vec<Link> {
        let of = |facts| links::links(facts, self.started_at, self.duration);
        self.deployment.as_ref().map(of).unwrap_or_default()
    }

    /// Edits every text.
    fn texts(&mut self, edit: &mut dyn FnMut(&mut String)) {
        let Self { purpose: _, url, deployment, started_at: _, duration: _, stood_still: _, checks, unfinished } = self;
        url.iter_mut().for_each(&mut *edit);
        if let Some(facts) = deployment {
            let DeploymentFacts { project, region, service, revision, phase, release, rollout, .. } = facts;
            [project, region, service, revision, phase, release, rollout].into_iter().flatten().for_each(&mut *edit);
            let DeploymentFacts { pipeline, pipeline_project, pipeline_region, target, rolled_back, serving, .. } =
                facts;
            [pipeline, pipeline_project, pipeline_region, target, rolled_back]
                .into_iter()
                .flatten()
                .for_each(&mut *edit);
            if let Some(Serving { image, commit, traffic }) = serving {
                [image, commit].into_iter().flatten().for_each(&mut *edit);
                for Share { revision, percent: _, tag } in traffic {
                    edit(revision);
                    tag.iter_mut().for_each(&mut *edit);
                }
            }
        }
        unfinished.iter_mut().map(|unfinished| &mut unfinished.cause).for_each(&mut *edit);
        for check in checks {
            edit(&mut check.name);
            edit(&mut check.detail);
            check.retries.iter_mut().map(|retry| &mut retry.cause).for_each(&mut *edit);
            check.place.iter_mut().map(|place| &mut place.file).for_each(&mut *edit);
            for observation in &mut check.observations {
                let Observation {
                    name,
                    detail,
                    expected,
                    actual,
                    place,
                    seen,
                    interval: _,
                    reproduce,
                    is_quoted: _,
                    status: _,
                } = observation;
                [Some(name), Some(detail), expected.as_mut(), actual.as_mut(), reproduce.as_mut()]
                    .into_iter()
                    .flatten()
                    .for_each(&mut *edit);
                place.iter_mut().map(|place| &mut place.file).for_each(&mut *edit);
                if let Seen::Threshold(seen) = seen {
                    edit(&mut seen.expression);
                    let courses = seen.courses.iter_mut().flat_map(|course| &mut course.labels);
                    for (name, value) in seen.elements.iter_mut().flat_map(|element| &mut element.labels).chain(courses)
                    {
                        edit(name);
                        edit(value);
                    }
                }
            }
        }
    }

    /// A run of which nothing was seen.
    pub(crate) fn unseen(started_at: SystemTime, unfinished: Unfinished) -> Self {
        Self {
            purpose: Purpose::default(),
            url: None,
            deployment: None,
            started_at,
            duration: Duration::ZERO,
            stood_still: None,
            checks: Vec::new(),
            unfinished: Some(unfinished),
        }
    }

    /// The warnings, a sentence each: observations that warn, and checks that warn by themselves.
    pub(crate) fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        for check in &self.checks {
            let before = warnings.len();
            for observation in check.observations.iter().filter(|observation| observation.status == Status::Warn) {
                warnings.push(format!("{}: {}: {}", check.name, observation.name, observation.detail));
            }
            if check.status == Status::Warn && warnings.len() == before {
                warnings.push(format!("{}: {}", check.name, check.detail));
            }
        }
        warnings
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary(statuses: &[Status], interrupted: Option<&'static str>) -> Summary {
        let check = |status: &Status| Outcome {
            name: "x".into(),
            status: *status,
            severity: Severity::Block,
            attempts: 1,
            started: Some(Duration::ZERO),
            retries: Vec::new(),
            duration: Duration::ZERO,
            limit: Duration::ZERO,
            detail: String::new(),
            observations: Vec::new(),
            place: None,
        };
        Summary {
            purpose: Purpose::Verify,
            url: None,
            deployment: None,
            started_at: SystemTime::UNIX_EPOCH,
            duration: Duration::ZERO,
            stood_still: None,
            checks: statuses.iter().map(check).collect(),
            unfinished: interrupted
                .map(|signal| Unfinished { cause: format!("interrupted by {signal}"), exit: Exit::NoVerdict }),
        }
    }

    #[test]
    fn only_what_was_seen_to_be_good_passes() {
        use Status::{Error, Fail, Pass, Skipped, Warn};
        for (statuses, interrupted, wanted) in [
            (&[Pass, Pass][..], None, Verdict::Pass),
            (&[Pass, Warn, Skipped], None, Verdict::Pass),
            (&[Pass, Fail, Skipped], None, Verdict::Fail),
            (&[Error, Fail], None, Verdict::Fail),
            (&[Pass, Error], None, Verdict::Error),
            (&[Skipped, Skipped], None, Verdict::Error),
            (&[], None, Verdict::Error),
            (&[Pass, Pass], Some("SIGTERM"), Verdict::Error),
            (&[Pass, Fail], Some("SIGTERM"), Verdict::Error),
        ] {
            assert_eq!(summary(statuses, interrupted).verdict(), wanted, "{statuses:?} {interrupted:?}");
        }
    }
}
