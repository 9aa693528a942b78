//! One run of the plan through the proxy, and what it says of the fault that was played.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Arc;
use std::time::SystemTime;

use tokio::time::Instant;

use super::faults::Fault;
use super::proxy::{Forwarding, Interference, KEY, Log, Proxy};
use super::thresholds::Scrapes;
use super::verdict::{Cause, Made};
use crate::check::{self, Everyone, Ledger, Route};
use crate::http::{Address, Client, Credentials, Header, Transport, Witness};
use crate::outcome::{
    Event, Exchange, Judged, Observer, Outcome, Purpose, Round, Seen, Severity, Status, Summary, Verdict,
};
use crate::plan::{Baseline, Compare, Kind, Metrics, Plan};
use crate::text;

/// How the gate asks the proxy.
pub(super) struct Gate<'g> {
    pub(super) transport: &'g Transport,
    pub(super) access: &'g Rc<dyn Credentials>,
    /// The service's address, which all is judged by.
    pub(super) address: &'g Address,
    /// The revision that answers are to be of, by the service's own word.
    pub(super) revision: Option<&'g str>,
}

/// One run.
pub(super) struct Ran {
    pub(super) outcomes: Vec<Outcome>,
    pub(super) log: Log,
    pub(super) scrapes: Option<Scrapes>,
    exchanges: Vec<Exchange>,
}

/// Keeps what the gate says of its requests.
#[derive(Default)]
struct Exchanges(RefCell<Vec<Exchange>>);

impl Witness for Exchanges {
    fn saw(&self, exchange: Exchange) {
        self.0.borrow_mut().push(exchange);
    }
}

/// Keeps the scrapes of a run.
#[derive(Default)]
struct Kept {
    rounds: RefCell<Vec<Round>>,
    judged: RefCell<Option<Judged>>,
}

impl Observer for Kept {
    fn hear(&self, event: &Event) {
        match event {
            Event::Scraped { round, .. } => self.rounds.borrow_mut().push(round.clone()),
            Event::Judged { judged, .. } => *self.judged.borrow_mut() = Some(judged.clone()),
            _ => {}
        }
    }

    fn records(&self) -> bool {
        true
    }
}

/// Runs a plan through a proxy of its own; the service as it is stands for the stable revision beside it.
///
/// # Errors
/// What this machine lacks for it.
pub(super) async fn run(
    gate: &Gate<'_>,
    plan: &Plan,
    forwarding: Forwarding<'_>,
    interference: Option<Interference<'_>>,
    keep: bool,
) -> Result<Ran, String> {
    let proxy = Proxy::open(forwarding, interference).await?;
    let beside = Proxy::open(forwarding, None).await?;
    let stable = format!("http://{}{}", beside.address()?, gate.address.url().path());
    let plan = beside_itself(plan, &Baseline::Address(Address::parse(&stable)?));
    let exchanges = Rc::new(Exchanges::default());
    let transport = gate.transport.clone().witnessed(Some(exchanges.clone()));
    let headers: Vec<Header> = plan.headers.iter().cloned().chain([Header::secret(KEY, forwarding.key)]).collect();
    let client: Client = transport.client(gate.address.clone(), &headers)?.by_way_of(proxy.address()?);
    let route = match gate.revision {
        Some(revision) => Route::Answers(client, (gate.address.host().to_owned(), revision.to_owned())),
        None => Route::Direct(client),
    };
    let (ledger, kept) = (Ledger::new(&plan), Kept::default());
    let mut observers: Vec<&dyn Observer> = vec![&ledger];
    if keep {
        observers.push(&kept);
    }
    let everyone = Everyone(observers);
    tokio::select! {
        () = check::run(&plan, &route, gate.access, &ledger, &everyone, Instant::now(), false) => {}
        never = proxy.serve() => match never {},
        never = beside.serve() => match never {},
    }
    let outcomes = ledger.outcomes();
    let (rounds, judged) = (kept.rounds.take(), kept.judged.take());
    let scrapes = judged.map(|judged| Scrapes { rounds, judged });
    let (mut log, other) = (proxy.into_log(), beside.into_log());
    log.forwarded += other.forwarded;
    log.troubles.extend(other.troubles.into_iter().map(|why| format!("{why} (beside it)")));
    log.refused.extend(other.refused);
    log.slowest = log.slowest.max(other.slowest);
    let exchanges = exchanges.0.take();
    Ok(Ran { outcomes, log, scrapes, exchanges })
}

/// The plan with the service itself as the stable revision, at an address of its own.
fn beside_itself(plan: &Plan, stable: &Baseline) -> Plan {
    let mut plan = plan.clone();
    for check in &mut plan.checks {
        match &mut check.kind {
            Kind::Metrics(metrics) if metrics.baseline.is_some() => {
                *metrics = Arc::new(Metrics { baseline: Some(stable.clone()), ..(**metrics).clone() });
            }
            Kind::Traffic(traffic) if !matches!(traffic.compare, Compare::Off) => {
                traffic.compare = Compare::On(Some(stable.clone()));
            }
            _ => {}
        }
    }
    plan
}

/// The plan with those checks alone that a fault touches, and those that the others wait for.
pub(super) fn touching(plan: &Plan, touched: &BTreeSet<usize>) -> Plan {
    use crate::plan::Stage;
    let mut plan = plan.clone();
    for (index, check) in plan.checks.iter_mut().enumerate() {
        let is_waited_for = matches!(check.stage, Stage::Serves | Stage::Healthy);
        check.policy.enabled &= is_waited_for || touched.contains(&index);
    }
    plan
}

impl Ran {
    /// What the gate would end with, and why where that is no pass.
    pub(super) fn verdict(&self) -> (Verdict, String) {
        let summary = Summary {
            purpose: Purpose::Verify,
            url: None,
            deployment: None,
            started_at: SystemTime::UNIX_EPOCH,
            duration: std::time::Duration::ZERO,
            stood_still: None,
            checks: self.outcomes.clone(),
            unfinished: None,
        };
        let bad = self.outcomes.iter().filter(|outcome| is_bad(outcome));
        let why: Vec<String> = bad.map(|outcome| format!("{}: {}", outcome.name, outcome.detail)).collect();
        let why = if why.is_empty() { "no check was run".into() } else { why.join("; ") };
        (summary.verdict(), why)
    }

    /// What the gate made of a fault. `healthy` are the outcomes without one, and `touched` the checks that ask where it is
    /// played.
    pub(super) fn made(
        &self,
        fault: &Fault,
        interference: &Interference<'_>,
        touched: &BTreeSet<usize>,
        healthy: &[Outcome],
    ) -> Made {
        if let Some(why) = &self.log.impossible {
            return Made::LeftOut(why.clone());
        }
        if let Some(why) = self.log.troubles.first() {
            return Made::Unclear(format!("the service itself did not answer as before: {why}"));
        }
        if self.log.touched == 0 {
            return Made::LeftOut("it was not played: the plan asks too little there".into());
        }
        if let Some(accident) = self.accident(fault, interference) {
            return Made::Unclear(accident);
        }
        if let Some(late) = self.outcomes.iter().find(|outcome| is_late(outcome) && !fault.play.breaks()) {
            let limit = text::duration(late.limit);
            return Made::Unclear(format!(
                "{} used up its time of {limit}, and not by the fault: {}",
                late.name, late.detail
            ));
        }
        let checks = || self.outcomes.iter().enumerate();
        let cause = |outcome: &Outcome| Cause {
            check: outcome.name.clone(),
            status: outcome.status,
            why: outcome.detail.clone(),
        };
        let other = checks().find(|(index, outcome)| is_bad(outcome) && !touched.contains(index));
        if let Some((_, other)) = other {
            return Made::Unclear(format!(
                "{} failed, which does not ask where it is played: {}",
                other.name, other.detail
            ));
        }
        let bad: Vec<Cause> =
            checks().filter(|(_, outcome)| is_bad(outcome)).map(|(_, outcome)| cause(outcome)).collect();
        if !bad.is_empty() && self.verdict().0 != Verdict::Pass {
            return Made::Caught(bad);
        }
        let is_new = |index: &usize, outcome: &Outcome| {
            let before = healthy.get(*index);
            outcome.status == Status::Warn
                && before.is_none_or(|before| (before.status, &before.detail) != (outcome.status, &outcome.detail))
        };
        let warned: Vec<&Outcome> = checks()
            .filter(|(index, outcome)| touched.contains(index) && is_new(index, outcome))
            .map(|(_, outcome)| outcome)
            .collect();
        if warned.is_empty() {
            return Made::Missed;
        }
        let meant = fault.warns.map(str::to_owned).or_else(|| warned.iter().find_map(|outcome| meant(outcome)));
        Made::Warned { by: warned.into_iter().map(cause).collect(), meant }
    }

    /// An exchange that went wrong where no fault was played, or where one was that lets it come to its end: what followed from
    /// that shows nothing of the fault.
    fn accident(&self, fault: &Fault, interference: &Interference<'_>) -> Option<String> {
        self.exchanges.iter().find_map(|exchange| {
            let failure = exchange.failure.as_ref()?;
            let url = url::Url::parse(&exchange.url).ok()?;
            let target = &url[url::Position::BeforePath..url::Position::AfterQuery];
            if fault.play.breaks() && interference.is_at(target) {
                return None;
            }
            Some(format!("{} {} brought no answer, and not by the fault: {failure}", exchange.method, url.path()))
        })
    }
}

fn is_bad(outcome: &Outcome) -> bool {
    matches!(outcome.status, Status::Fail | Status::Error)
}

/// Whether a check did not end well because its time was up.
fn is_late(outcome: &Outcome) -> bool {
    is_bad(outcome) && outcome.duration >= outcome.limit
}

/// Why the plan wants no more than a warning of a check.
fn meant(outcome: &Outcome) -> Option<String> {
    if outcome.severity == Severity::Warn {
        return Some(format!("{}.severity: warn", outcome.name));
    }
    let mut warned = outcome.observations.iter().filter(|seen| seen.status == Status::Warn);
    let is_threshold = |seen: &Seen| matches!(seen, Seen::Threshold(seen) if seen.severity == Severity::Warn);
    let first = warned.next()?;
    let all = std::iter::once(first).chain(warned).all(|seen| is_threshold(&seen.seen));
    all.then(|| format!("the threshold {} only warns", first.name))
}
