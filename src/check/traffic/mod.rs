//! `traffic`: requests of the gate's own, on an open schedule, to the canary and to the stable revision beside it.

mod compared;
mod drive;
mod limits;
mod measured;
mod schedule;
mod series;
mod users;

use std::collections::BTreeMap;
use std::hash::{BuildHasher as _, RandomState};
use std::pin::pin;
use std::time::Duration;

use compared::Compared;
use drive::{Drive, Sent};
use futures_util::future::{Either, select};
use measured::Measured;
use promeval::exposition::Format;
pub(crate) use series::healthy as healthy_traffic;
use users::Users;

use super::context::{Context, Finding};
use super::locate::Canary;
use super::metrics::{Scraped, WindowState, baseline_client, now};
use crate::http::Client;
use crate::outcome::{Event, Observation, Side, Status, worst};
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
    let compared = is_paired.then(|| Compared::new(traffic, seed));
    let revision = canary.deployed.as_ref().map(|(_, revision)| revision.as_str());
    let told = match (told_by, revision) {
        (Some(ToldBy::Header(header)), Some(revision)) => Some((header.as_str(), revision)),
        _ => None,
    };
    let drive = Drive::new(context, traffic, (canary.client.clone(), stable), seed, told);
    let series = (!traffic.judged.thresholds.is_empty())
        .then(|| Box::new(WindowState::new(traffic.judged.clone(), BTreeMap::new(), false)));
    let mut run = Run {
        context,
        traffic,
        client: &canary.client,
        drive,
        measured: Measured::default(),
        compared,
        series,
        seen_at: now(),
    };
    let ended = match &mut users {
        None => run.measure().await,
        Some(users) => {
            let ended = match select(pin!(run.measure()), pin!(users.watch())).await {
                Either::Left((ended, _)) => ended,
                Either::Right((never, _)) => match never {},
            };
            users.look().await;
            ended
        }
    };
    let told = users.map(|users| users.observation(traffic));
    let mut finding = run.finding(&ended, seed, told);
    finding.observations.extend(note);
    finding
}

/// How the measuring ended.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Ended {
    /// In its time, or in what was added to it.
    InTime { extended: bool },
    /// Early: the comparison had proven the canary bad.
    Proven,
    /// More bytes came than may.
    TooMuch,
    /// What was measured cannot be kept.
    Unkept(String),
}

struct Run<'r> {
    context: &'r Context<'r>,
    traffic: &'r Traffic,
    /// Shows requests as sentences do.
    client: &'r Client,
    drive: Drive<'r>,
    measured: Measured,
    compared: Option<Compared>,
    /// The series, where thresholds read them.
    series: Option<Box<WindowState>>,
    /// When the series were sampled last: milliseconds since the epoch.
    seen_at: i64,
}

impl Run<'_> {
    async fn measure(&mut self) -> Ended {
        let planned = self.traffic.warm_up + self.traffic.duration;
        if let Some(ended) = self.through(Duration::ZERO, planned).await {
            return ended;
        }
        let enough = self.proves_enough(true);
        if enough {
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
            if self.proves_enough(false) {
                break;
            }
        }
        self.end(true).await
    }

    /// Whether going on would tell nothing that has to be known. A comparison is looked at when the planned time is over and
    /// at the very end: each look more would be one more chance to be wrong.
    fn proves_enough(&self, at_planned_end: bool) -> bool {
        let is_unproven = self.compared.as_ref().is_some_and(|compared| !at_planned_end || compared.is_unproven());
        !is_unproven && limits::are_proven(&self.measured, &self.traffic.limits)
    }

    /// Measures from one moment of the schedule to another; with how it ended, where that was early.
    async fn through(&mut self, from: Duration, end: Duration) -> Option<Ended> {
        let mut now = from;
        while now < end {
            now = (now + TOLD).min(end);
            while let Some(sent) = self.drive.until(now).await {
                if let Some(ended) = self.take(sent).await {
                    return Some(ended);
                }
            }
            if let Err(why) = self.sample() {
                return Some(Ended::Unkept(why));
            }
            self.tell();
        }
        None
    }

    /// The answers to what is in flight still.
    async fn end(&mut self, extended: bool) -> Ended {
        while let Some(sent) = self.drive.rest().await {
            if let Some(ended) = self.take(sent).await {
                return ended;
            }
        }
        match self.sample() {
            Ok(()) => Ended::InTime { extended },
            Err(why) => Ended::Unkept(why),
        }
    }

    async fn take(&mut self, sent: Sent) -> Option<Ended> {
        self.note(&sent);
        if self.measured.bytes > self.traffic.max_bytes {
            return Some(Ended::TooMuch);
        }
        let proven = self.compared.as_mut().is_some_and(|compared| compared.take(sent));
        if !proven {
            return None;
        }
        // What runs was sent in good faith, and counts.
        while let Some(sent) = self.drive.rest().await {
            self.note(&sent);
            if let Some(compared) = &mut self.compared {
                compared.take(sent);
            }
        }
        Some(self.sample().map_or_else(Ended::Unkept, |()| Ended::Proven))
    }

    fn note(&mut self, sent: &Sent) {
        let planned = &self.traffic.requests[sent.due.request].request;
        self.measured.add(sent, || self.client.shown(planned), &planned.path);
    }

    /// What was measured so far becomes a sample of its series.
    fn sample(&mut self) -> Result<(), String> {
        let Some(series) = &mut self.series else { return Ok(()) };
        // No two samples of one moment.
        self.seen_at = now().max(self.seen_at + 1);
        let body = series::exposition(&self.measured).into_bytes();
        series.add(Side::Canary, &Scraped { body, format: Some(Format::Prometheus), at: self.seen_at })
    }

    fn tell(&self) {
        let count = |side| self.measured.of(side).map_or((0, 0), |answers| (answers.requests, answers.failed));
        let (requests, failed) = count(Side::Canary);
        let (beside, beside_failed) = count(Side::Stable);
        self.context.observer.hear(&Event::Measured {
            check: self.context.check,
            requests: requests + beside,
            failed: failed + beside_failed,
        });
    }

    fn finding(&self, ended: &Ended, seed: u64, users: Option<Observation>) -> Finding {
        let sent = self.measured.of(Side::Canary).map_or(0, |answers| answers.requests);
        let attempts = u32::try_from(sent).unwrap_or(u32::MAX);
        let stopped = match ended {
            Ended::TooMuch => {
                let most = bytesize::ByteSize(self.traffic.max_bytes);
                Some(format!(
                    "the traffic was stopped: its bodies are over {most} together (max_bytes); lower the rate or raise it"
                ))
            }
            Ended::Unkept(why) => Some(why.clone()),
            Ended::InTime { .. } | Ended::Proven => limits::lag(&self.measured, self.traffic.max_lag)
                .or_else(|| limits::crowded(&self.measured, self.traffic.max_in_flight)),
        };
        let notes = limits::notes(&self.measured, ended, seed);
        if let Some(why) = stopped {
            // Nothing is judged by numbers that are not the service's.
            return Finding::new(Status::Error, attempts, why).seeing(notes);
        }
        let mut observations = limits::observations(&self.measured, &self.traffic.limits);
        if let Some(compared) = &self.compared {
            let compared = compared.observations(self.client, self.traffic);
            // What ended it is told first: the limits had no time to be proven.
            let at = if *ended == Ended::Proven { 0 } else { observations.len() };
            observations.splice(at..at, compared);
        }
        observations.extend(users);
        if let Some(series) = &self.series {
            observations.extend(series.thresholds(self.seen_at));
        }
        if observations.is_empty() {
            let why = "nothing was judged: there is no limit, no threshold, and no stable revision to compare with";
            return Finding::new(Status::Error, attempts, why).seeing(notes);
        }
        observations.extend(notes);
        let (status, detail) = worst(&observations).unwrap_or_else(|| (Status::Pass, limits::held(&observations)));
        Finding::new(status, attempts, detail).seeing(observations)
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
