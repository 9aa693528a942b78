//! The gate's own checks on the service's address, after a rollback.

use std::convert::Infallible;
use std::rc::Rc;
use std::time::Duration;

use tokio::time::Instant;

use super::left;
use crate::check::{self, Everyone, Ledger, Route};
use crate::cli::Rollback as Args;
use crate::command::CommandError;
use crate::command::process::checks_file;
use crate::command::session::{Cloud, Session};
use crate::google::run_traffic::ServiceTraffic;
use crate::google::{AccessAuth, Auth, AuthMode, IdentityTokens};
use crate::http::{Address, Credentials, Transport};
use crate::observe::{self, Progress};
use crate::outcome::{Observer, Outcome, Severity, Status};
use crate::plan::{Kind, Plan, PlanInput};

/// What is checked, and with what.
pub(super) struct Checking {
    plan: Plan,
    transport: Transport,
    identity: Rc<IdentityTokens>,
    access: Rc<dyn Credentials>,
    /// How long to wait before the second round.
    pub(super) settle: Duration,
}

/// Which time it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Round {
    First,
    Again,
}

impl Checking {
    /// # Errors
    /// Every mistake of the checks file.
    pub(super) fn new(
        session: &Session,
        args: &Args,
        transport: Transport,
        cloud: &Cloud,
        settle: Duration,
    ) -> Result<Self, CommandError> {
        let file = args.checks.as_deref().map(checks_file).transpose()?;
        let mut plan = PlanInput { file, ..PlanInput::default() }.plan(&session.lookup())?;
        // Thresholds are made for a canary: what they say of an old revision nobody asked, unless the file is one for this.
        plan.checks.retain(|spec| match spec.kind {
            Kind::Ready(_) | Kind::Http(_) | Kind::Smoke(_) => true,
            Kind::Metrics(_) | Kind::Traffic(_) => spec.place.is_some(),
        });
        let access = Rc::new(AccessAuth::new(cloud.access.clone()));
        Ok(Self { plan, transport, identity: cloud.identity.clone(), access, settle })
    }

    /// Runs the checks in what is left of the time.
    pub(super) async fn run(
        &self,
        session: &Session,
        service: &ServiceTraffic,
        deadline: Instant,
        round: Round,
    ) -> Vec<Outcome> {
        let mut plan = self.plan.clone();
        plan.timeout = plan.timeout.min(left(deadline)).max(Duration::from_millis(1));
        let route = match self.route(service) {
            Ok(route) => route,
            Err(why) => return vec![unreachable(why)],
        };
        let names: Vec<String> = plan.checks.iter().map(|check| check.name.clone()).collect();
        let ledger = Ledger::new(&plan);
        let log = observe::Log::new(&names, &session.redactor);
        let progress = (!session.quiet && !observe::Log::is_on())
            .then(|| Progress::new(&names, &session.redactor, Session::can_draw()));
        let mut observers: Vec<&dyn Observer> = vec![&ledger];
        if observe::Log::is_on() {
            observers.push(&log);
        }
        observers.extend(progress.iter().map(|progress| progress as &dyn Observer));
        let everyone = Everyone(observers);
        tokio::select! {
            () = check::run(&plan, &route, &self.access, &ledger, &everyone, Instant::now(), false) => {}
            never = pulse(progress.as_ref()) => match never {},
        }
        let mut outcomes = ledger.outcomes();
        if round == Round::Again {
            for outcome in &mut outcomes {
                outcome.name.push_str(" again");
            }
        }
        outcomes
    }

    fn route(&self, service: &ServiceTraffic) -> Result<Route, String> {
        let address = Address::parse(&service.uri).map_err(|why| format!("the service's address: {why}"))?;
        let headers = &self.plan.headers;
        let taken = headers.iter().any(|header| header.is("authorization"));
        let open = match &*service.ingress {
            "" | "INGRESS_TRAFFIC_UNSPECIFIED" => None,
            ingress => Some(ingress == "INGRESS_TRAFFIC_ALL"),
        };
        let audiences = vec![service.uri.clone()];
        let auth = Auth::new(AuthMode::Auto, self.identity.clone(), audiences, taken, open);
        let client = self.transport.client(address, headers)?.with_credentials(Rc::new(auth));
        Ok(Route::Direct(client))
    }
}

/// Whether a check was not well.
pub(super) fn failed(checks: &[Outcome]) -> bool {
    checks.iter().any(|check| matches!(check.status, Status::Fail | Status::Error))
}

/// What stands for the checks where there is no address for them.
fn unreachable(why: String) -> Outcome {
    Outcome {
        name: "address".into(),
        status: Status::Error,
        severity: Severity::Block,
        attempts: 0,
        started: None,
        retries: Vec::new(),
        duration: Duration::ZERO,
        limit: Duration::ZERO,
        detail: why,
        observations: Vec::new(),
        place: None,
    }
}

/// Keeps the progress going, where there is one.
async fn pulse(progress: Option<&Progress>) -> Infallible {
    match progress {
        Some(progress) => progress.pulse().await,
        None => std::future::pending().await,
    }
}
