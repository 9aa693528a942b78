//! Proves that the gate can fail: plays faults between it and a healthy service, one at a time, and tells which check catches
//! which, and what nothing catches.

#[expect(
    clippy::unnecessary_wraps,
    reason = "whatever is made of an answer has one shape, so that the catalogue can hold it"
)]
mod answers;
mod exposition;
mod faults;
mod perturb;
mod play;
mod proxy;
mod reads;
mod render;
mod sample;
mod service;
mod subject;
mod thresholds;
mod verdict;
mod waits;
mod wire;

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, StreamExt as _};
use ring::rand::{SecureRandom as _, SystemRandom};
use tokio::time::Instant;

use faults::At;
use perturb::Perturbation;
use play::{Gate, Ran, run, touching};
use proxy::{Forwarding, Interference};
use service::Pace;
use subject::Subject;
use thresholds::Scrapes;

use crate::check::{short, told};
use crate::http::{Client, Credentials, Request, RequestLimits, Transport};
use crate::outcome::{Outcome, Verdict};
use crate::plan::{Kind, Metrics, Plan};

pub(crate) use faults::{FAULTS, Fault, named};
pub(crate) use render::{Format, render};
pub(crate) use service::Service;
pub(crate) use verdict::{Drill, Made, Played};
use verdict::{Proven, Seen};

/// How many faults are played side by side.
const SIDE_BY_SIDE: usize = 4;

/// What a drill works with.
pub(crate) struct Stage<'d> {
    pub(crate) service: &'d Service,
    /// As the plan is written.
    pub(crate) plan: Plan,
    pub(crate) transport: &'d Transport,
    pub(crate) access: &'d Rc<dyn Credentials>,
    /// The faults that are wanted.
    pub(crate) wanted: Vec<&'static Fault>,
    /// Hears of each fault when it was played.
    pub(crate) tell: &'d dyn Fn(&Played),
}

/// Plays the faults. What is known by then stands in `drill` also where this is dropped before its end.
///
/// # Errors
/// Why there is nothing to be proven: a service that is not healthy, or a machine that lacks something.
pub(crate) async fn drill(stage: Stage<'_>, drill: &RefCell<Drill>) -> Result<(), String> {
    let (plan, left_out) = waits::asking_only(stage.plan);
    let (plan, windows) = waits::shorter_windows(plan);
    drill.borrow_mut().notes.extend(left_out.into_iter().chain(windows));
    let address = stage.service.address()?;
    let key = key()?;
    let pace = Pace::new();
    let forwarding = Forwarding { service: stage.service, key: &key, limits: widest(&plan), pace: Some(&pace) };
    let revision = revision(&forwarding, &plan, drill).await?;
    let gate =
        Gate { transport: stage.transport, access: stage.access, address: &address, revision: revision.as_deref() };
    let company = Company { gate, forwarding, drill };
    // Without a fault, with the time that the plan gives.
    let quiet = without_traffic(&plan);
    let first = company.healthy(&quiet, "without a fault").await?;
    let (plan, note) = waits::shorter_waits(plan, first.log.slowest, &first.outcomes);
    drill.borrow_mut().notes.push(note);
    let scrapes = first.scrapes;
    let (proven, over) = prove(&plan, scrapes.clone()).await?;
    drill.borrow_mut().thresholds = proven;
    let labels = scrapes.as_ref().map(Scrapes::labels).unwrap_or_default();
    let subject = Subject { plan, address: address.clone(), answered: first.log.answered, labels, over };
    // Once more with the time that the drill gives.
    let quiet = without_traffic(&subject.plan);
    let healthy = company.healthy(&quiet, "with the shorter waits of the drill").await?.outcomes;
    let scene = Scene { company: &company, subject: &subject, healthy: &healthy, tell: stage.tell };
    scene.play_all(&stage.wanted).await?;
    // What was well at first has to be well in the end: otherwise not the faults may be what was seen.
    company.healthy(&quiet, "after the last fault").await?;
    Ok(())
}

/// What says to the proxy that the gate is asking.
fn key() -> Result<String, String> {
    let mut bytes = [0; 16];
    SystemRandom::new().fill(&mut bytes).map_err(|_| "this system gives no random numbers")?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// The widest limits that the plan gives to a request.
fn widest(plan: &Plan) -> RequestLimits {
    let checks = plan.checks.iter().filter(|check| check.policy.enabled).map(|check| check.policy.request);
    let least = RequestLimits { time: Duration::from_secs(1), body: 1024 * 1024 };
    checks.fold(least, |widest, own| RequestLimits { time: widest.time.max(own.time), body: widest.body.max(own.body) })
}

/// The revision that answers, by its own word, where the plan says what tells it.
///
/// # Errors
/// That the service does not say it.
async fn revision(forwarding: &Forwarding<'_>, plan: &Plan, drill: &RefCell<Drill>) -> Result<Option<String>, String> {
    let Forwarding { service, key: _, limits, pace } = *forwarding;
    let (Some(identity), Service::Own(client)) = (subject::identity(plan), service) else { return Ok(None) };
    let client: &Client = client;
    if let Some(pace) = pace {
        pace.turn().await;
    }
    drill.borrow_mut().requests += 1;
    let request = Request::get(&identity.path);
    let what = client.shown(&request);
    let answer = client.ask(&request, limits, Instant::now() + limits.time).await;
    let answer = answer.map_err(|failure| format!("the service is not healthy: {what}: {failure}"))?;
    let told = told(&answer, &identity.told_by).filter(|told| !told.is_empty());
    let told = told.ok_or_else(|| {
        format!(
            "the service is not healthy: {what}: {}, and the answer does not say which revision it is of",
            answer.status
        )
    })?;
    Ok(Some(short(&told).to_owned()))
}

/// Tries what makes each threshold of the plan fail; with what makes one over the metrics do so.
///
/// # Errors
/// That it could not be done to its end.
async fn prove(plan: &Plan, scrapes: Option<Scrapes>) -> Result<(Vec<Proven>, Option<Perturbation>), String> {
    let checks = plan.checks.iter().filter(|check| check.policy.enabled);
    let tried: Vec<(String, Arc<Metrics>, Option<Scrapes>)> = checks
        .filter_map(|check| match &check.kind {
            Kind::Metrics(metrics) => Some((check.name.clone(), metrics.clone(), scrapes.clone())),
            Kind::Traffic(traffic) => {
                let paths = traffic.requests.iter().map(|asked| &*asked.request.path);
                Some((check.name.clone(), traffic.judged.clone(), Some(thresholds::of_traffic(paths))))
            }
            Kind::Ready(_) | Kind::Http(_) | Kind::Smoke(_) => None,
        })
        .collect();
    // Beside the thread of the I/O, so that limits and signals hold meanwhile.
    let proving = tokio::task::spawn_blocking(move || {
        let (mut proven, mut over) = (Vec::new(), None);
        for (name, metrics, scrapes) in &tried {
            let Some(scrapes) = scrapes else { continue };
            let (own, by) = thresholds::prove(name, metrics, scrapes);
            proven.extend(own);
            over = over.or(by.filter(|_| name == "metrics"));
        }
        (proven, over)
    });
    proving.await.map_err(|error| format!("the thresholds could not be tried: {error}"))
}

/// What goes on for minutes is run where a fault touches it, and once without.
fn without_traffic(plan: &Plan) -> Plan {
    let mut plan = plan.clone();
    for check in &mut plan.checks {
        check.policy.enabled &= !matches!(check.kind, Kind::Traffic(_));
    }
    plan
}

/// The gate and the service.
struct Company<'c> {
    gate: Gate<'c>,
    forwarding: Forwarding<'c>,
    drill: &'c RefCell<Drill>,
}

impl Company<'_> {
    async fn run(&self, plan: &Plan, interference: Option<Interference<'_>>) -> Result<Ran, String> {
        // The traffic has a schedule of its own, and is measured by the time of its answers.
        let has_traffic =
            plan.checks.iter().any(|check| check.policy.enabled && matches!(check.kind, Kind::Traffic(_)));
        let pace = self.forwarding.pace.filter(|_| !has_traffic);
        let ran = Box::pin(run(
            &self.gate,
            plan,
            Forwarding { pace, ..self.forwarding },
            interference,
            interference.is_none(),
        ))
        .await?;
        let mut drill = self.drill.borrow_mut();
        drill.requests += ran.log.forwarded;
        for refused in &ran.log.refused {
            let note = format!("{refused} was not let through: a drill sends GET and HEAD only");
            if !drill.notes.contains(&note) {
                drill.notes.push(note);
            }
        }
        Ok(ran)
    }

    /// A run without a fault.
    ///
    /// # Errors
    /// That it does not pass, and why.
    async fn healthy(&self, plan: &Plan, when: &str) -> Result<Ran, String> {
        let ran = self.run(plan, None).await?;
        let why = match (ran.log.troubles.first(), ran.verdict()) {
            (None, (Verdict::Pass, _)) => return Ok(ran),
            (Some(trouble), _) => trouble.clone(),
            (None, (_, why)) => why,
        };
        Err(format!("the service is not healthy {when}, and nothing can be proven of it: {why}"))
    }
}

/// The faults, and who hears of them.
struct Scene<'s> {
    company: &'s Company<'s>,
    subject: &'s Subject,
    healthy: &'s [Outcome],
    tell: &'s dyn Fn(&Played),
}

/// A fault that was played, and what each check said.
struct Shown {
    fault: &'static Fault,
    made: Made,
    outcomes: Vec<Outcome>,
}

impl Scene<'_> {
    async fn play_all(&self, wanted: &[&'static Fault]) -> Result<(), String> {
        let (alone, together): (Vec<_>, Vec<_>) = wanted.iter().copied().partition(|fault| fault.at == At::Traffic);
        let mut shown: Vec<Shown> = Vec::new();
        let mut playing = stream::iter(together.into_iter().map(|fault| self.play(fault))).buffered(SIDE_BY_SIDE);
        while let Some(one) = playing.next().await {
            // What was not the fault's doing may have been that of the others beside it.
            self.take(&mut shown, one?);
        }
        drop(playing);
        let unclear: Vec<usize> = (0..shown.len()).filter(|at| matches!(shown[*at].made, Made::Unclear(_))).collect();
        for at in unclear {
            let again = self.play(shown[at].fault).await?;
            self.replace(&mut shown, at, again);
        }
        // Its measure without a fault.
        let mut unfit = None;
        if !alone.is_empty() && self.subject.targets(At::Traffic).is_ok() {
            let only: BTreeSet<usize> = self.subject.touched(At::Traffic, Some(&BTreeSet::new()));
            let plan = touching(&self.subject.plan, &only);
            unfit = self.company.healthy(&plan, "under the plan's traffic").await.err();
        }
        for fault in alone {
            let one = match &unfit {
                // What it says of the other faults stays.
                Some(why) => Shown { fault, made: Made::Unclear(why.clone()), outcomes: Vec::new() },
                None => self.play(fault).await?,
            };
            self.take(&mut shown, one);
        }
        self.company.drill.borrow_mut().checks = self.checks(&shown);
        Ok(())
    }

    fn take(&self, shown: &mut Vec<Shown>, one: Shown) {
        let played = Played { name: one.fault.name, about: one.fault.about, made: one.made.clone() };
        (self.tell)(&played);
        self.company.drill.borrow_mut().faults.push(played);
        shown.push(one);
    }

    fn replace(&self, shown: &mut [Shown], at: usize, again: Shown) {
        self.company.drill.borrow_mut().faults[at].made = again.made.clone();
        shown[at] = again;
    }

    async fn play(&self, fault: &'static Fault) -> Result<Shown, String> {
        let left_out = |why: String| Shown { fault, made: Made::LeftOut(why), outcomes: Vec::new() };
        let targets = match self.subject.targets(fault.at) {
            Ok(targets) => targets,
            Err(why) => return Ok(left_out(why)),
        };
        if fault.at == At::Identity && self.company.gate.revision.is_none() {
            return Ok(left_out("the embedded sample has no revisions".into()));
        }
        let touched = self.subject.touched(fault.at, targets.as_ref());
        let plan = touching(&self.subject.plan, &touched);
        // Where it is played everywhere, the traffic would wait for what does not come.
        let plan = if fault.at == At::Traffic { plan } else { without_traffic(&plan) };
        let interference = Interference { fault, targets: targets.as_ref(), subject: self.subject };
        let ran = self.company.run(&plan, Some(interference)).await?;
        let made = ran.made(fault, &interference, &touched, self.healthy);
        Ok(Shown { fault, made, outcomes: ran.outcomes })
    }

    /// How often each check failed by the faults that are meant for it.
    fn checks(&self, shown: &[Shown]) -> Vec<Seen> {
        use crate::outcome::Status;
        let enabled = self.subject.plan.checks.iter().enumerate().filter(|(_, check)| check.policy.enabled);
        let seen = enabled.map(|(index, check)| {
            let mut seen = Seen { name: check.name.clone(), faults: 0, failed: 0 };
            for one in shown.iter().filter(|one| subject::is_meant_for(one.fault.at, check)) {
                if !matches!(one.made, Made::Caught(_) | Made::Warned { .. } | Made::Missed) {
                    continue;
                }
                let Some(outcome) = one.outcomes.get(index).filter(|outcome| outcome.status != Status::Skipped) else {
                    continue;
                };
                seen.faults += 1;
                let is_new = self.healthy.get(index).is_none_or(|healthy| healthy.detail != outcome.detail);
                seen.failed += usize::from(match outcome.status {
                    Status::Fail | Status::Error => true,
                    Status::Warn => is_new,
                    Status::Pass | Status::Skipped => false,
                });
            }
            seen
        });
        seen.filter(|seen| seen.faults > 0).collect()
    }
}
