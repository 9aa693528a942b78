//! What a drill came to: plain data, and the exit code.

use std::time::{Duration, SystemTime};

use crate::outcome::{Exit, Severity, Source, Status};
use crate::text::Redactor;

/// A whole drill.
#[derive(Clone, Debug)]
pub(crate) struct Drill {
    /// The service's address; nothing for the embedded sample.
    pub(crate) url: Option<String>,
    pub(crate) started_at: SystemTime,
    pub(crate) duration: Duration,
    /// What is not as the plan says it: shorter waits, checks that are left out.
    pub(crate) notes: Vec<String>,
    /// In the order of the catalogue.
    pub(crate) faults: Vec<Played>,
    pub(crate) thresholds: Vec<Proven>,
    pub(crate) checks: Vec<Seen>,
    /// How many requests reached the service.
    pub(crate) requests: usize,
    /// Why it did not come to its end, if it did not.
    pub(crate) stopped: Option<String>,
}

/// A fault, and what the gate made of it.
#[derive(Clone, Debug)]
pub(crate) struct Played {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    pub(crate) made: Made,
}

/// What the gate made of a fault.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Made {
    /// It does not promote, and says why: the checks that failed by the fault.
    Caught(Vec<Cause>),
    /// It promotes, with a warning; `meant` is why the plan wants no more than that, if it does.
    Warned { by: Vec<Cause>, meant: Option<String> },
    /// It promotes without a word.
    Missed,
    /// Not played, and why.
    LeftOut(String),
    /// Something else than the fault was seen.
    Unclear(String),
}

impl Made {
    /// As it stands in the reports.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self::Caught(_) => "caught",
            Self::Warned { .. } => "warned",
            Self::Missed => "MISSED",
            Self::LeftOut(_) => "left out",
            Self::Unclear(_) => "unclear",
        }
    }

    /// Whether the plan lets the fault through.
    pub(crate) fn is_missed(&self) -> bool {
        matches!(self, Self::Missed | Self::Warned { meant: None, .. })
    }

    pub(crate) fn is_played(&self) -> bool {
        !matches!(self, Self::LeftOut(_))
    }

    /// What is to be said of it, in a line.
    pub(crate) fn said(&self) -> String {
        let causes = |causes: &[Cause]| {
            let said: Vec<String> = causes.iter().map(|cause| format!("{}: {}", cause.check, cause.why)).collect();
            said.join("; ")
        };
        match self {
            Self::Caught(by) | Self::Warned { by, meant: None } => causes(by),
            Self::Warned { by, meant: Some(meant) } => format!("{} ({meant})", causes(by)),
            Self::Missed => "no check fails".into(),
            Self::LeftOut(why) | Self::Unclear(why) => why.clone(),
        }
    }
}

/// A check that saw a fault, and what it says.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Cause {
    pub(crate) check: String,
    pub(crate) status: Status,
    pub(crate) why: String,
}

/// A threshold, and whether it can fail.
#[derive(Clone, Debug)]
pub(crate) struct Proven {
    pub(crate) check: String,
    pub(crate) name: String,
    pub(crate) expression: String,
    pub(crate) severity: Severity,
    /// Where the checks file says it.
    pub(crate) place: Option<Source>,
    pub(crate) fails: Fails,
}

/// Whether a threshold can fail.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Fails {
    /// By a value: which, and what it then says.
    ByValue(String),
    /// By the loss of what it counts: what it then says.
    ByLoss(String),
    /// It fails without a fault.
    Already(String),
    /// Nothing that was tried makes it fail: why that is.
    Never(String),
    /// It was not tried: why.
    Unknown(String),
}

impl Fails {
    /// As it stands in the reports.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self::ByValue(_) | Self::ByLoss(_) | Self::Already(_) => "can fail",
            Self::Never(_) => "VACUOUS",
            Self::Unknown(_) => "not tried",
        }
    }

    pub(crate) fn is_vacuous(&self) -> bool {
        matches!(self, Self::Never(_))
    }

    /// What is to be said of it, in a line.
    pub(crate) fn said(&self) -> String {
        match self {
            Self::ByValue(by) => by.clone(),
            Self::ByLoss(by) => format!("it counts series; without them: {by}"),
            Self::Already(why) => format!("it fails without a fault: {why}"),
            Self::Never(why) | Self::Unknown(why) => why.clone(),
        }
    }
}

/// A check, and how many of the faults that are meant for it make it fail.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) name: String,
    /// So many faults that are meant for it were played.
    pub(crate) faults: usize,
    /// So many of them made it fail; of a check that only warns, warn.
    pub(crate) failed: usize,
}

impl Seen {
    pub(crate) fn is_vacuous(&self) -> bool {
        self.faults > 0 && self.failed == 0
    }
}

impl Drill {
    /// Of nothing yet.
    pub(crate) fn new(url: Option<String>, started_at: SystemTime) -> Self {
        Self {
            url,
            started_at,
            duration: Duration::ZERO,
            notes: Vec::new(),
            faults: Vec::new(),
            thresholds: Vec::new(),
            checks: Vec::new(),
            requests: 0,
            stopped: None,
        }
    }

    /// How the process ends: what is known to be let through comes before what could not be told.
    pub(crate) fn exit(&self) -> Exit {
        if self.stopped.is_some() {
            return Exit::NoVerdict;
        }
        let is_let_through = self.faults.iter().any(|played| played.made.is_missed())
            || self.thresholds.iter().any(|threshold| threshold.fails.is_vacuous())
            || self.checks.iter().any(Seen::is_vacuous);
        let is_unclear = self.faults.iter().any(|played| matches!(played.made, Made::Unclear(_)))
            || self.thresholds.iter().any(|threshold| matches!(threshold.fails, Fails::Unknown(_)))
            || self.proves_nothing().is_some();
        if is_let_through {
            Exit::Fail
        } else if is_unclear {
            Exit::NoVerdict
        } else {
            Exit::Pass
        }
    }

    /// Why the whole of it proves nothing, beside what is said of each fault, threshold and check.
    pub(super) fn proves_nothing(&self) -> Option<&str> {
        let is_played = self.faults.iter().any(|played| played.made.is_played());
        self.stopped.as_deref().or_else(|| (!is_played).then_some("no fault was played"))
    }

    /// The verdict in a line.
    pub(crate) fn headline(&self) -> String {
        if let Some(why) = &self.stopped {
            return format!("NO VERDICT: {why}");
        }
        let count = |is_it: fn(&Made) -> bool| self.faults.iter().filter(|played| is_it(&played.made)).count();
        let played = count(Made::is_played);
        let caught = count(|made| matches!(made, Made::Caught(_)));
        let mut said = vec![format!("{caught} of {played} faults caught")];
        let mut add = |count: usize, word: &str| {
            if count > 0 {
                said.push(format!("{count} {word}"));
            }
        };
        add(count(|made| matches!(made, Made::Warned { .. })), "warned of");
        add(count(|made| matches!(made, Made::Missed)), "missed");
        add(count(|made| matches!(made, Made::Unclear(_))), "unclear");
        add(self.faults.len() - played, "left out");
        let thresholds = self.thresholds.iter().filter(|threshold| threshold.fails.is_vacuous()).count();
        add(thresholds, if thresholds == 1 { "vacuous threshold" } else { "vacuous thresholds" });
        let checks = self.checks.iter().filter(|check| check.is_vacuous()).count();
        add(checks, if checks == 1 { "vacuous check" } else { "vacuous checks" });
        let word = match self.exit() {
            Exit::Pass => "PASS",
            Exit::Fail => "FAIL",
            Exit::Usage | Exit::NoVerdict => "NO VERDICT",
        };
        format!("{word}: {}", said.join(", "))
    }

    /// The drill without secrets.
    pub(crate) fn redacted(mut self, redactor: &Redactor) -> Self {
        let clean = |text: &mut String| *text = redactor.clean(text);
        self.url.iter_mut().chain(&mut self.notes).chain(&mut self.stopped).for_each(clean);
        for played in &mut self.faults {
            let (by, said): (&mut [Cause], Option<&mut String>) = match &mut played.made {
                Made::Caught(by) => (by, None),
                Made::Warned { by, meant } => (by, meant.as_mut()),
                Made::LeftOut(why) | Made::Unclear(why) => (&mut [], Some(why)),
                Made::Missed => (&mut [], None),
            };
            by.iter_mut().flat_map(|cause| [&mut cause.check, &mut cause.why]).chain(said).for_each(clean);
        }
        for Proven { name, expression, fails, check, place, severity: _ } in &mut self.thresholds {
            [name, expression, check].into_iter().for_each(clean);
            place.iter_mut().map(|place| &mut place.file).for_each(clean);
            match fails {
                Fails::ByValue(said)
                | Fails::ByLoss(said)
                | Fails::Already(said)
                | Fails::Never(said)
                | Fails::Unknown(said) => clean(said),
            }
        }
        self.checks.iter_mut().for_each(|check| clean(&mut check.name));
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drill(made: &[Made], fails: &[Fails]) -> Drill {
        let mut drill = Drill::new(None, SystemTime::UNIX_EPOCH);
        drill.faults = made.iter().map(|made| Played { name: "x", about: "is ill", made: made.clone() }).collect();
        drill.thresholds = fails
            .iter()
            .map(|fails| Proven {
                check: "metrics".into(),
                name: "t".into(),
                expression: "a < 1".into(),
                severity: Severity::Block,
                place: None,
                fails: fails.clone(),
            })
            .collect();
        drill
    }

    #[test]
    fn only_what_was_caught_or_meant_to_warn_passes() {
        let caught = || Made::Caught(Vec::new());
        let warned = |meant: Option<&str>| Made::Warned { by: Vec::new(), meant: meant.map(str::to_owned) };
        let never = || Fails::Never(String::new());
        for (made, fails, wanted) in [
            (vec![caught()], vec![Fails::ByValue(String::new())], Exit::Pass),
            (vec![caught(), warned(Some("so it is"))], vec![], Exit::Pass),
            (vec![caught(), warned(None)], vec![], Exit::Fail),
            (vec![caught(), Made::Missed], vec![], Exit::Fail),
            (vec![caught(), Made::LeftOut(String::new())], vec![], Exit::Pass),
            (vec![caught(), Made::Unclear(String::new())], vec![], Exit::NoVerdict),
            (vec![Made::Missed, Made::Unclear(String::new())], vec![], Exit::Fail),
            (vec![Made::LeftOut(String::new())], vec![], Exit::NoVerdict),
            (vec![], vec![], Exit::NoVerdict),
            (vec![caught()], vec![never()], Exit::Fail),
            (vec![caught()], vec![Fails::Unknown(String::new())], Exit::NoVerdict),
        ] {
            assert_eq!(drill(&made, &fails).exit(), wanted, "{made:?} {fails:?}");
        }
        let mut stopped = drill(&[Made::Missed], &[]);
        stopped.stopped = Some("interrupted".into());
        assert_eq!(stopped.exit(), Exit::NoVerdict);
        let mut vacuous = drill(&[caught()], &[]);
        vacuous.checks = vec![Seen { name: "x".into(), faults: 2, failed: 0 }];
        assert_eq!(vacuous.exit(), Exit::Fail);
        assert_eq!(vacuous.headline(), "FAIL: 1 of 1 faults caught, 1 vacuous check");
    }
}
