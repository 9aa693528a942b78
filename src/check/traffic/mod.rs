//! `traffic`: requests of the gate's own, on an open schedule, to the canary and to the stable revision beside it.

mod again;
mod compared;
mod drive;
mod judge;
mod limits;
mod measured;
mod schedule;
mod series;
mod users;

use std::hash::{BuildHasher as _, RandomState};
use std::pin::pin;
use std::time::Duration;

pub(super) use again::{judge_by_another, judge_recorded};
use drive::{Drive, Sent};
use futures_util::future::{Either, select};
use judge::Judge;
pub(crate) use series::healthy as healthy_traffic;
use users::Users;

use super::context::{Context, Finding};
use super::locate::Canary;
use super::metrics::{baseline_client, now};
use crate::http::Client;
use crate::outcome::{Event, Observation, Status, TrafficEnd, TrafficStep};
use crate::plan::{Baseline, Compare, ToldBy, Traffic};

/// How often a person hears how far it is, and what was measured becomes a sample of its series.
const TOLD: Duration = Duration::from_secs(5);

/// How often it is looked at, past its time, whether enough is proven.
const LOOK: Duration = Duration::from_secs(1);

/// `told_by` says what tells in an answer which revision gave it, where the plan does.
pub(super) async fn check(
    context: &Context<'_>,
    canary: &Canary,
    traffic: &Traffic,
    told_by: Option<&ToldBy>,
) -> Finding {
    let (stable, note) = match stable(canary, &traffic.compare) {
        Ok(found) => found,
        Err(why) => return Finding::new(Status::Error, 0, why),
    };
    let users = traffic.counters.as_ref().zip(stable.clone());
    let mut users =
        users.map(|(counters, stable)| Users::new(context, traffic, counters, canary.client.clone(), stable));
    let seed = traffic.seed.unwrap_or_else(|| drawn(canary));
    let is_paired = stable.is_some();
    let revision = canary.deployed.as_ref().map(|(_, revision)| revision.as_str());
    let told = match (told_by, revision) {
        (Some(ToldBy::Header(header)), Some(revision)) => Some((header.as_str(), revision)),
        _ => None,
    };
    // Both sides over HTTP/1.1, each request with a connection to itself: on one that many share, they would wait for each other,
    // and for what the server allows at once, and that is not what is measured.
    let sides = (canary.client.clone().over_http1(), stable.map(Client::over_http1));
    let drive = Drive::new(context, traffic, sides, seed, told);
    let names: Vec<String> = traffic.requests.iter().map(|planned| canary.client.shown(&planned.request)).collect();
    let is_recorded = context.observer.records();
    let judge = Judge::new(traffic, names.clone(), is_paired, seed, now());
    let mut run = Run { context, traffic, drive, judge, is_recorded };
    run.record(TrafficStep::Began { seed, is_paired, names, note: note.clone().map(Box::new) });
    let ended = match &mut users {
        None => run.measure().await,
        Some(users) => {
            let ended = match select(pin!(run.measure()), pin!(users.watch())).await {
                Either::Left((ended, _)) => ended,
                Either::Right((never, _)) => match never {},
            };
            users.look().await;
            run.record(users.seen().step());
            ended
        }
    };
    run.record(TrafficStep::Ended { how: ended.clone() });
    let told = users.map(|users| users.seen().observation(traffic));
    let mut finding = run.judge.finding(&ended, told);
    finding.observations.extend(note);
    finding
}

struct Run<'r> {
    context: &'r Context<'r>,
    traffic: &'r Traffic,
    drive: Drive<'r>,
    judge: Judge<'r>,
    /// Whether somebody keeps what is measured.
    is_recorded: bool,
}

impl Run<'_> {
    async fn measure(&mut self) -> TrafficEnd {
        let planned = self.traffic.warm_up + self.traffic.duration;
        self.tell(Duration::ZERO);
        if let Some(ended) = self.through(Duration::ZERO, planned).await {
            return ended;
        }
        if self.looks_enough(planned, true) {
            return self.end(false).await;
        }
        // What is not proven yet gets as long again.
        let last = planned + self.traffic.extension();
        let mut now = planned;
        while now < last {
            let next = (now + LOOK).min(last);
            if let Some(ended) = self.through(now, next).await {
                return ended;
            }
            now = next;
            if self.looks_enough(now, false) {
                break;
            }
        }
        self.end(true).await
    }

    fn looks_enough(&self, at: Duration, is_planned_end: bool) -> bool {
        self.record(TrafficStep::Looked { at, is_planned_end });
        self.judge.proves_enough(is_planned_end)
    }

    /// Measures from one moment of the schedule to another; with how it ended, where that was early.
    async fn through(&mut self, from: Duration, end: Duration) -> Option<TrafficEnd> {
        let mut now = from;
        while now < end {
            now = (now + TOLD).min(end);
            while let Some(sent) = self.drive.until(now).await {
                if let Some(ended) = self.take(sent).await {
                    return Some(ended);
                }
            }
            if let Err(why) = self.sample() {
                return Some(TrafficEnd::Unkept(why));
            }
            self.tell(now);
        }
        None
    }

    /// The answers to what is in flight still.
    async fn end(&mut self, extended: bool) -> TrafficEnd {
        while let Some(sent) = self.drive.rest().await {
            if let Some(ended) = self.take(sent).await {
                return ended;
            }
        }
        match self.sample() {
            Ok(()) => TrafficEnd::InTime { extended },
            Err(why) => TrafficEnd::Unkept(why),
        }
    }

    async fn take(&mut self, sent: Sent) -> Option<TrafficEnd> {
        let is_proven = self.hand_on(sent);
        if self.judge.is_too_much() {
            return Some(TrafficEnd::TooMuch);
        }
        if !is_proven {
            return None;
        }
        let answer = self.judge.answers;
        // What runs was sent in good faith, and counts.
        while let Some(sent) = self.drive.rest().await {
            self.hand_on(sent);
        }
        Some(self.sample().map_or_else(TrafficEnd::Unkept, |()| TrafficEnd::Proven { answer }))
    }

    fn hand_on(&mut self, sent: Sent) -> bool {
        if self.is_recorded {
            let shape = sent.shape.as_ref().and_then(|shape| serde_json::to_value(shape).ok());
            let answer = Box::new(sent.seen.clone());
            self.context.observer.hear(&Event::Answered { check: self.context.check, answer, shape });
        }
        self.judge.take(sent)
    }

    fn record(&self, step: TrafficStep) {
        if self.is_recorded {
            self.context.observer.hear(&Event::Traffic { check: self.context.check, step });
        }
    }

    /// What was measured so far becomes a sample of its series.
    fn sample(&mut self) -> Result<(), String> {
        let at = self.judge.moment(now());
        self.record(TrafficStep::Sampled { at });
        self.judge.sample(at)
    }

    /// Tells how far it is at a time since the start of the schedule.
    fn tell(&self, done: Duration) {
        let planned = self.traffic.warm_up + self.traffic.duration;
        let of = if done > planned { planned + self.traffic.extension() } else { planned };
        let traffic = self.judge.by_now(done, of, self.context.observer.follows());
        self.context.observer.hear(&Event::Measured { check: self.context.check, traffic });
    }
}

/// The stable revision, where it is to be asked and its own address is known; with what there is to say of it.
///
/// # Errors
/// That it must be asked, and is not known.
fn stable(canary: &Canary, compare: &Compare) -> Result<(Option<Client>, Option<Observation>), String> {
    let (baseline, must): (Option<&Baseline>, bool) = match compare {
        Compare::Off => return Ok((None, None)),
        Compare::Auto(baseline) => (baseline.as_ref(), false),
        Compare::On(baseline) => (baseline.as_ref(), true),
    };
    let found = match baseline {
        Some(baseline) => baseline_client(canary, baseline),
        None => canary.stable.as_ref().map(|stable| stable.client.clone()).ok_or_else(|| {
            "the stable revision's own address is not known: no revision has the tag prior or stable, or the Cloud Run Admin API \
             could not be asked; name it in traffic.baseline"
                .to_owned()
        }),
    };
    match found {
        Ok(client) => Ok((Some(client), None)),
        Err(why) if must => Err(why),
        Err(why) => {
            let status = if baseline.is_some() { Status::Warn } else { Status::Pass };
            Ok((None, Some(Observation::note("comparison", status, format!("not made: {why}")))))
        }
    }
}

/// The seed of a rollout: a run that is repeated draws the same. Without one it is drawn.
fn drawn(canary: &Canary) -> u64 {
    let number = match &canary.deployed {
        // FNV-1a: <http://www.isthe.com/chongo/tech/comp/fnv/>.
        Some((service, revision)) => format!("{service}/{revision}")
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)),
        None => RandomState::new().hash_one(0),
    };
    // As the checks file can say it.
    number & u64::from(u32::MAX)
}
