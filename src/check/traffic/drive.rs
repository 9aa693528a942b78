//! Sends what is due when it is due, and brings what came of it. The answers do not move the schedule: a service that slows
//! down is asked as often as before, or it would be asked least when it is worst.

use std::collections::VecDeque;
use std::time::Duration;

use futures_util::future::LocalBoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::schedule::{Due, Schedule};
use crate::check::context::Context;
use crate::check::expect;
use crate::http::{Answer, Client, Failure, FailureKind, Header, Standstill};
use crate::judge::shape::Shape;
use crate::outcome::{Answered, Side};
use crate::plan::Traffic;
use crate::text;

/// A body of so many bytes is looked at on the thread of the I/O; a larger one beside it.
const SMALL: usize = 16 * 1024;

/// What came of a request.
pub(super) struct Sent {
    pub(super) seen: Answered,
    /// Of an answer: what it is made of.
    pub(super) shape: Option<Shape>,
}

/// One side: where it is asked, and what waits for it.
struct Lane {
    side: Side,
    client: Client,
    running: usize,
    /// When a request ended last.
    ended: Option<Instant>,
    /// Due, and kept waiting: as many run as may.
    waiting: VecDeque<Due>,
}

pub(super) struct Drive<'d> {
    context: &'d Context<'d>,
    traffic: &'d Traffic,
    began: Instant,
    schedule: Schedule,
    next: Option<Due>,
    lanes: Vec<Lane>,
    /// How many requests of one side run at once.
    most: usize,
    /// The header that tells the revision of an answer, and the canary's.
    told: Option<(&'d str, &'d str)>,
    running: FuturesUnordered<LocalBoxFuture<'d, Sent>>,
    /// What is to be handed on before anything else.
    ready: VecDeque<Sent>,
}

impl<'d> Drive<'d> {
    pub(super) fn new(
        context: &'d Context<'d>,
        traffic: &'d Traffic,
        (canary, stable): (Client, Option<Client>),
        seed: u64,
        told: Option<(&'d str, &'d str)>,
    ) -> Self {
        let sides = [Some((Side::Canary, canary)), stable.map(|client| (Side::Stable, client))];
        let lane = |(side, client)| Lane { side, client, running: 0, ended: None, waiting: VecDeque::new() };
        let lanes: Vec<Lane> = sides.into_iter().flatten().map(lane).collect();
        let most = (traffic.max_in_flight / lanes.len()).max(1);
        let mut schedule = Schedule::new(&traffic.requests, traffic.rate, lanes.len() > 1, seed);
        let next = schedule.next();
        let (running, ready, began) = (FuturesUnordered::new(), VecDeque::new(), Instant::now());
        Self { context, traffic, began, schedule, next, lanes, most, told, running, ready }
    }

    /// The next thing that came of a request, with everything sent meanwhile that is due before `end` (since the start); nothing
    /// at `end`.
    pub(super) async fn until(&mut self, end: Duration) -> Option<Sent> {
        let end_at = self.began + end;
        loop {
            self.send_due(end);
            if let Some(sent) = self.ready.pop_front() {
                return Some(sent);
            }
            if Instant::now() >= end_at {
                return None;
            }
            let next = self.next.as_ref().map_or(end_at, |due| self.began + due.at).min(end_at);
            // What waits too long fails at that moment, whatever else happens.
            let patience =
                self.lanes.iter().filter_map(|lane| lane.waiting.front()).map(|due| self.gives_up(due)).min();
            let next = patience.map_or(next, |patience| next.min(patience));
            tokio::select! {
                biased;
                Some(sent) = self.running.next() => return Some(self.ended(sent)),
                () = sleep_until(next) => {}
            }
        }
    }

    /// The next thing that came of what runs still; nothing where nothing does.
    pub(super) async fn rest(&mut self) -> Option<Sent> {
        self.send_due(Duration::ZERO);
        if let Some(sent) = self.ready.pop_front() {
            return Some(sent);
        }
        if let Some(sent) = self.running.next().await {
            return Some(self.ended(sent));
        }
        None
    }

    fn gives_up(&self, due: &Due) -> Instant {
        self.began + due.at + self.context.policy.request.time
    }

    fn ended(&mut self, sent: Sent) -> Sent {
        for lane in self.lanes.iter_mut().filter(|lane| lane.side == sent.seen.side) {
            lane.running -= 1;
            lane.ended = Some(Instant::now());
        }
        sent
    }

    /// Sends what is due before `end` and may run, and gives up what has waited for as long as a request may take.
    fn send_due(&mut self, end: Duration) {
        let now = Instant::now();
        while let Some(due) = self.next.take_if(|due| due.at < end && self.began + due.at <= now) {
            self.next = self.schedule.next();
            for index in 0..self.lanes.len() {
                if self.lanes[index].side == due.side {
                    let waits = self.lanes[index].running >= self.most || !self.lanes[index].waiting.is_empty();
                    if waits {
                        self.lanes[index].waiting.push_back(due.clone());
                    } else {
                        let lag = now.saturating_duration_since(self.began + due.at);
                        self.send(index, due.clone(), Some(lag));
                    }
                }
            }
        }
        for index in 0..self.lanes.len() {
            while let Some(due) = self.lanes[index].waiting.front() {
                if self.gives_up(due) <= now {
                    let Some(due) = self.lanes[index].waiting.pop_front() else { break };
                    let time = self.context.policy.request.time;
                    let is_crowded = self.lanes[index].ended.is_some_and(|ended| now.duration_since(ended) < time);
                    let sent = self.unsent(due, is_crowded);
                    self.ready.push_back(sent);
                } else if self.lanes[index].running < self.most {
                    let Some(due) = self.lanes[index].waiting.pop_front() else { break };
                    self.send(index, due, None);
                } else {
                    break;
                }
            }
        }
    }

    fn send(&mut self, lane: usize, due: Due, lag: Option<Duration>) {
        let Self { context, traffic, began, told, .. } = *self;
        self.lanes[lane].running += 1;
        let (client, due_at) = (self.lanes[lane].client.clone(), began + due.at);
        let is_warm_up = due.at < traffic.warm_up;
        self.running.push(Box::pin(async move {
            let planned = &traffic.requests[due.request];
            let request = planned.request.clone();
            let request =
                request.with(Header::plain("X-Canary-Gate", "1")).with(Header::plain("traceparent", &due.traceparent));
            let (sent_at, standstill) = (Instant::now(), Standstill::begin());
            // What is in flight when the check's time is up has its own time all the same: the limit of the check allows for it.
            let asked = client.ask(&request, context.policy.request, context.deadline()).await;
            let whole = sent_at.elapsed();
            // A gate that stands still while it waits is as late as one that sends late.
            let lag = lag.map(|lag| lag.max(standstill.lost()));
            let setup = asked.as_ref().ok().and_then(|answer| answer.timing.setup());
            let latency = asked.as_ref().map_or(whole, |answer| answer.timing.latency());
            let waited = sent_at.saturating_duration_since(due_at);
            let is_unmarked = asked.as_ref().is_ok_and(|answer| !answer.is_end_marked);
            let was_cut_off = asked.as_ref().is_ok_and(|answer| answer.was_cut_off);
            let (code, failure, bytes, shape) = match asked {
                Ok(answer) => {
                    let failure = planned.expect.as_ref().map_or_else(
                        || unexpected(&answer),
                        |expect| expect::judge(expect, &answer).err().map(|cause| cause.text),
                    );
                    let of_another =
                        told.filter(|_| due.side == Side::Canary).and_then(|told| of_another(&answer, told));
                    let failure = failure.or(of_another);
                    let (code, bytes) = (answer.status.to_string(), answer.body.len() as u64);
                    (code, failure, bytes, shape(answer, context.deadline()).await)
                }
                Err(failure) => {
                    // So much was read before it was too much.
                    let bytes = if failure.kind == FailureKind::TooLarge { context.policy.request.body } else { 0 };
                    (word(&failure).to_owned(), Some(failure.to_string()), bytes, None)
                }
            };
            let is_bad = failure.is_some();
            let seen = Answered {
                traceparent: if is_bad { due.traceparent } else { String::new() },
                is_warm_up,
                since_due: waited + latency,
                latency,
                setup,
                lag,
                code,
                failure,
                bytes,
                is_unmarked,
                was_cut_off,
                is_crowded: false,
                due: due.at,
                pair: due.pair,
                side: due.side,
                request: due.request,
            };
            Sent { seen, shape }
        }));
    }

    /// A request that never could be sent, since those before it never ended.
    fn unsent(&self, due: Due, is_crowded: bool) -> Sent {
        let waited = self.context.policy.request.time;
        let (most, time) = (self.most, text::duration(self.context.policy.request.time));
        let cause = if is_crowded {
            format!("not sent within {time}: {most} were in flight all the time (max_in_flight)")
        } else {
            format!("not sent: {most} were in flight for {time} without an answer")
        };
        let is_warm_up = due.at < self.traffic.warm_up;
        let seen = Answered {
            due: due.at,
            pair: due.pair,
            side: due.side,
            request: due.request,
            traceparent: due.traceparent,
            is_warm_up,
            since_due: waited,
            latency: waited,
            setup: None,
            lag: None,
            code: "unsent".into(),
            failure: Some(cause),
            bytes: 0,
            is_unmarked: false,
            was_cut_off: false,
            is_crowded,
        };
        Sent { seen, shape: None }
    }
}

/// Where nothing else is wanted: any status from 200 to 299. A redirect is not the answer.
fn unexpected(answer: &Answer) -> Option<String> {
    if (200..300).contains(&answer.status) {
        return None;
    }
    let said = match (&answer.advice, answer.shown_location()) {
        (Some(advice), _) => advice.text.clone(),
        (None, Some(location)) => format!("to {location:?} (redirects are not followed here)"),
        (None, None) => answer.excerpt(),
    };
    Some(if said.is_empty() { answer.status.to_string() } else { format!("{}: {said}", answer.status) })
}

/// Why an answer is not the canary's, where a header tells its revision.
fn of_another(answer: &Answer, (header, revision): (&str, &str)) -> Option<String> {
    let told = answer.header(header)?;
    let is_it = told == revision || told.ends_with(&format!("/{revision}"));
    (!is_it).then(|| format!("the answer is of {told} ({header}), not of {revision}"))
}

async fn shape(answer: Answer, deadline: Instant) -> Option<Shape> {
    let is_small = answer.body.len() <= SMALL;
    let read = move || Shape::new(answer.status, Some(&answer.media_type()), &String::from_utf8_lossy(&answer.body));
    if is_small {
        return Some(read());
    }
    timeout_at(deadline, spawn_blocking(read)).await.ok()?.ok()
}

/// What stands for the status where there is none.
fn word(failure: &Failure) -> &'static str {
    match failure.kind {
        FailureKind::Refused => "refused",
        FailureKind::Closed => "closed",
        FailureKind::Dns => "dns",
        FailureKind::Tls => "tls",
        FailureKind::Timeout => "timeout",
        FailureKind::TooLarge => "too_large",
        FailureKind::Encoding => "encoding",
        FailureKind::Protocol => "protocol",
        FailureKind::Proxy => "proxy",
        FailureKind::Request => "request",
        FailureKind::Credentials => "credentials",
    }
}
