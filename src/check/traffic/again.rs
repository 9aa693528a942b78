//! Judges recorded traffic again: by the same plan, or by the limits, the thresholds and the comparison of another one. Pure.

use std::time::Duration;

use serde_json::Value;

use super::drive::Sent;
use super::judge::Judge;
use super::users::UsersSeen;
use crate::check::context::Finding;
use crate::evidence::TrafficLine;
use crate::judge::shape::Shape;
use crate::outcome::{Answered, Observation, TrafficEnd, TrafficStep};
use crate::plan::{Compare, Traffic};
use crate::text;

/// The most answers that all samples of the series together are made of: whoever writes a file may want this to take for ever.
const WORK: usize = 100_000_000;

/// The most answers that are judged again. With the number of pairs, what a comparison takes grows by its square.
const LINES: usize = 30_000;

/// What was due may be sent so long after a proof that the gate had no time to hear of.
const MOMENT: Duration = Duration::from_secs(2);

/// The most times that it is looked at whether enough is proven: twice as many as a run has seconds to go on for.
const LOOKS: usize = 250;

/// What recorded traffic comes to by its own plan.
///
/// # Errors
/// Why it cannot be judged.
pub(in crate::check) fn judge_recorded(
    traffic: &Traffic,
    recorded: &[TrafficLine],
    shapes: &[Value],
) -> Result<Finding, String> {
    Replay::new(traffic, recorded, shapes)?.run(false)
}

/// What traffic that was sent by one plan comes to by another: its limits, thresholds, counters and comparison. How it was sent
/// stays as it was.
///
/// # Errors
/// Why it cannot be judged so.
pub(in crate::check) fn judge_by_another(
    how: &Traffic,
    wanted: &Traffic,
    recorded: &[TrafficLine],
    shapes: &[Value],
) -> Result<Finding, String> {
    let sent = |traffic: &Traffic| -> Vec<_> {
        let asked = traffic.requests.iter().map(|planned| {
            let request = &planned.request;
            (request.method.clone(), request.path.clone(), request.body.clone(), planned.expect.clone())
        });
        asked.collect()
    };
    if sent(how) != sent(wanted) {
        return Err("its requests, or what they expect, are others than those that were recorded".into());
    }
    let counted = |traffic: &Traffic| {
        let counters = traffic.counters.as_ref();
        counters.map(|counters| (counters.request.path.clone(), counters.requests.clone(), counters.errors.clone()))
    };
    if wanted.counters.is_some() && counted(how) != counted(wanted) {
        return Err("its counters of users' requests are others than those that were recorded".into());
    }
    let traffic = Traffic {
        limits: wanted.limits,
        judged: wanted.judged.clone(),
        counters: wanted.counters.clone(),
        compare: wanted.compare.clone(),
        min_difference: wanted.min_difference,
        max_lag: wanted.max_lag,
        on_unproven: wanted.on_unproven,
        ..how.clone()
    };
    Replay::new(&traffic, recorded, shapes)?.run(true)
}

struct Replay<'t> {
    traffic: &'t Traffic,
    judge: Judge<'t>,
    note: Option<Observation>,
    is_paired: bool,
    steps: &'t [TrafficLine],
    shapes: Vec<Shape>,
}

/// Where another plan would have ended the traffic.
struct Cut {
    end: TrafficEnd,
    /// What was due until then was sent.
    at: Duration,
}

impl<'t> Replay<'t> {
    fn new(traffic: &'t Traffic, recorded: &'t [TrafficLine], shapes: &[Value]) -> Result<Self, String> {
        if recorded.len() > LINES {
            return Err(format!("there are more than {LINES} answers, which is too much to be judged again"));
        }
        let shape = |shape: &Value| {
            serde_json::from_value::<Shape>(shape.clone())
                .map_err(|why| format!("a recorded shape cannot be read: {why}"))
        };
        let shapes: Vec<Shape> = shapes.iter().map(shape).collect::<Result<_, _>>()?;
        let [TrafficLine::Step(TrafficStep::Began { seed, is_paired, names, note }), steps @ ..] = recorded else {
            return Err("the evidence does not hold how its traffic began".into());
        };
        if names.len() != traffic.requests.len() {
            return Err("the recorded plan has other requests".into());
        }
        let is_compared = *is_paired && !matches!(traffic.compare, Compare::Off);
        if !is_paired && matches!(traffic.compare, Compare::On(_)) {
            return Err("the stable revision was not asked when it was recorded".into());
        }
        let judge = Judge::new(traffic, names.clone(), is_compared, *seed, i64::MIN);
        Ok(Self { traffic, judge, note: note.as_deref().cloned(), is_paired: *is_paired, steps, shapes })
    }

    fn run(mut self, by_another: bool) -> Result<Finding, String> {
        let (mut cut, mut users, mut ended, mut work): (Option<Cut>, _, _, usize) = (None, None, None, 0);
        let (mut newest, mut last_look, mut proof) = (i64::MIN, None, None);
        let proven_at = self.steps.iter().find_map(|step| match step {
            TrafficLine::Step(TrafficStep::Ended { how: TrafficEnd::Proven { answer } }) => Some(*answer),
            _ => None,
        });
        // Of a run that is cut, the first sample behind that is the last one, with what was in flight still.
        let mut last_sample = None;
        let mut looks = 0;
        for step in self.steps {
            match step {
                TrafficLine::Answer(answer, shape) => {
                    if cut.as_ref().is_some_and(|cut| answer.due > cut.at) {
                        continue;
                    }
                    let took = answer.since_due.saturating_add(answer.setup.unwrap_or_default());
                    let came = answer.due.saturating_add(took);
                    let is_proven = self.judge.take(self.sent(answer, *shape)?);
                    // What was sent by then is all that follows a proof; each answer more would take all before it once more.
                    if proof.is_some_and(|proof| answer.due > proof) {
                        return Err("it goes on behind the proof that ends it".into());
                    }
                    proof = proof.or(is_proven.then_some(came.saturating_add(MOMENT)));
                    if is_proven && by_another && cut.is_none() {
                        let number = self.judge.answers;
                        // What the run itself ended with ended it at this very moment.
                        let at = if proven_at == Some(number) { Duration::MAX } else { came };
                        cut = Some(Cut { end: TrafficEnd::Proven { answer: number }, at });
                    }
                }
                TrafficLine::Step(TrafficStep::Sampled { at }) => {
                    work = work.saturating_add(self.judge.answers);
                    if *at <= newest {
                        return Err("its samples are not in their order".into());
                    }
                    if work > WORK {
                        return Err("it is too much to be judged again".into());
                    }
                    newest = *at;
                    if cut.as_ref().is_some_and(|cut| cut.at != Duration::MAX) {
                        last_sample = last_sample.or(Some(*at));
                    } else {
                        self.judge.sample(*at)?;
                    }
                }
                TrafficLine::Step(TrafficStep::Looked { at, is_planned_end }) if by_another && cut.is_none() => {
                    last_look = Some(*at);
                    looks += 1;
                    if looks > LOOKS {
                        return Err("it is too much to be judged again".into());
                    }
                    if self.judge.proves_enough(*is_planned_end) {
                        let end = TrafficEnd::InTime { extended: !is_planned_end };
                        // What is due at that moment is not sent any more.
                        cut = Some(Cut { end, at: at.saturating_sub(Duration::from_nanos(1)) });
                    }
                }
                TrafficLine::Step(TrafficStep::Looked { .. }) => {}
                TrafficLine::Step(TrafficStep::Users { intervals, trouble }) => {
                    users = Some(UsersSeen::new(intervals, trouble.clone()));
                }
                TrafficLine::Step(TrafficStep::Ended { how }) => ended = Some(how.clone()),
                TrafficLine::Step(TrafficStep::Began { .. }) => return Err("its traffic begins twice".into()),
            }
        }
        if let Some(at) = last_sample {
            self.judge.sample(at)?;
        }
        let ended = ended.ok_or("the evidence does not hold the end of its traffic")?;
        if self.judge.is_too_much() && !matches!(ended, TrafficEnd::TooMuch) {
            return Err("it tells of more bytes than its plan lets come".into());
        }
        let end = match cut {
            Some(cut) => cut.end,
            None if by_another => self.as_long(ended, last_look)?,
            None => ended,
        };
        let is_counted = self.traffic.counters.is_some() && !matches!(self.traffic.compare, Compare::Off);
        if is_counted && self.is_paired && users.is_none() {
            return Err("the evidence does not hold what its users got".into());
        }
        let users = users.filter(|_| is_counted).map(|users| users.observation(self.traffic));
        let mut finding = self.judge.finding(&end, users);
        finding.observations.extend(self.note);
        Ok(finding)
    }

    /// The end that was recorded, where another plan would not have gone on behind it.
    fn as_long(&self, ended: TrafficEnd, last_look: Option<Duration>) -> Result<TrafficEnd, String> {
        let last = self.traffic.warm_up + self.traffic.duration + self.traffic.extension();
        match ended {
            TrafficEnd::InTime { .. } if last_look.is_some_and(|look| look >= last) => Ok(ended),
            TrafficEnd::InTime { .. } => Err(format!(
                "by these limits it would have gone on for up to {}, and what was recorded ends before",
                text::duration(last)
            )),
            TrafficEnd::Proven { .. } => Err(
                "it ended early, when the canary was proven to be bad by its own limits; by these it would have gone on".into(),
            ),
            TrafficEnd::TooMuch | TrafficEnd::Unkept(_) => Ok(ended),
        }
    }

    fn sent(&self, answer: &Answered, shape: Option<usize>) -> Result<Sent, String> {
        if answer.request >= self.traffic.requests.len() {
            return Err("it tells of a request that is not in its plan".into());
        }
        let known = |number: usize| self.shapes.get(number).cloned().ok_or("a recorded shape is missing");
        Ok(Sent { seen: answer.clone(), shape: shape.map(known).transpose()? })
    }
}
