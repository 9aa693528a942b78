//! Google Cloud as far as the commands around the gate reach it, faked on loopback: Cloud Deploy v1, the Cloud Run Admin API v2,
//! Cloud Logging v2, Cloud Monitoring's Prometheus API, Cloud Storage, OAuth, and the metadata server. The resources have the
//! shapes of the discovery documents; etags, operations, page tokens and request ids mean what they mean there.
//!
//! Nothing goes by the clock: what takes time takes a number of requests.

pub mod deploy;
pub mod faults;
pub mod logging;
pub mod monitoring;
pub mod names;
pub mod oauth;
pub mod record;
pub mod resources;
pub mod run;
pub mod run_v1;
pub mod storage;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use serde_json::{Value, json};

use super::google::{ACCESS, ACCOUNT};
use super::server::{Body, Canary, Reply, Request};
use faults::{Act, Fault};
use names::{PROJECT, REGION};

/// What the cloud holds, and how it misbehaves. A test sets it up, and reads it afterwards.
#[derive(Default)]
pub struct State {
    /// Every resource by its full name, such as `projects/P/locations/R/services/S`.
    pub resources: BTreeMap<String, Value>,
    /// What is still going on, by the name of its operation.
    pub operations: BTreeMap<String, run::Pending>,
    /// What is behind Cloud Deploy's resources.
    pub deploy: deploy::World,
    /// What Cloud Storage holds.
    pub storage: storage::Stored,
    /// What Cloud Logging and Cloud Monitoring know.
    pub logging: logging::Logged,
    pub monitoring: monitoring::Values,
    /// The regions that the Cloud Run Admin API cannot reach.
    pub unreachable: Vec<&'static str>,
    /// How it misbehaves.
    pub faults: Vec<Fault>,
    /// Requests that changed something, in their order: `PATCH /v2/…`.
    pub changes: Vec<String>,
    /// Why changes of a service fail, where they do.
    pub run_fails: Option<&'static str>,
    /// How many times an operation is asked about until it is done.
    pub slow: usize,
    /// Access tokens that are taken.
    pub tokens: Vec<String>,
    /// The most items of a page; 0 is the API's own.
    pub page: usize,
    /// Counts what gets a name of its own.
    pub serial: u64,
}

/// A running cloud.
pub struct Cloud {
    pub server: Canary,
    state: Arc<Mutex<State>>,
}

impl State {
    /// The sample world: the service with its stable revision, and the pipeline.
    pub fn sample() -> Self {
        let mut state = Self { slow: 1, tokens: vec![ACCESS.into()], ..Self::default() };
        run::sample(&mut state);
        deploy::sample(&mut state);
        state
    }

    pub fn serve(self) -> Cloud {
        let state = Arc::new(Mutex::new(self));
        let shared = state.clone();
        let server = Canary::start(Arc::new(move |request: &Request| {
            let mut state = shared.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            answer(&mut state, request)
        }));
        Cloud { server, state }
    }

    /// A number that no other thing has.
    pub fn next(&mut self) -> u64 {
        self.serial += 1;
        self.serial
    }
}

impl Cloud {
    /// What it holds now.
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// The environment in which a command asks this cloud and no other.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        let url = self.server.url();
        let endpoints = ["DEPLOY", "RUN", "IAM", "LOGGING", "MONITORING", "STORAGE", "OAUTH"];
        let mut environment = vec![
            ("GCE_METADATA_HOST", url.trim_start_matches("http://").to_owned()),
            ("CANARY_GATE_PROJECT", PROJECT.to_owned()),
            ("CANARY_GATE_REGION", REGION.to_owned()),
        ];
        environment.extend(endpoints.map(|name| (endpoint(name), url.clone())));
        environment
    }
}

fn endpoint(name: &str) -> &'static str {
    match name {
        "DEPLOY" => "CANARY_GATE_DEPLOY_ENDPOINT",
        "RUN" => "CANARY_GATE_RUN_ENDPOINT",
        "IAM" => "CANARY_GATE_IAM_ENDPOINT",
        "LOGGING" => "CANARY_GATE_LOGGING_ENDPOINT",
        "MONITORING" => "CANARY_GATE_MONITORING_ENDPOINT",
        "STORAGE" => "CANARY_GATE_STORAGE_ENDPOINT",
        _ => "CANARY_GATE_OAUTH_ENDPOINT",
    }
}

/// Answers a request, as whichever API it is for.
fn answer(state: &mut State, request: &Request) -> Reply {
    let act = faults::of(&mut state.faults, request);
    match act {
        Some(Act::Reply { status, name, reason, retry_after }) => {
            let reply = error_with(status, name, "the fake says no", reason);
            return if retry_after.is_empty() { reply } else { reply.header("Retry-After", retry_after) };
        }
        Some(Act::Hang) => return Reply::new(200, "", "").body(Body::Hang),
        Some(Act::Close) => return Reply::new(200, "", "").body(Body::Close),
        Some(Act::Page(page)) => return Reply::json(200, page),
        Some(Act::Meanwhile(change)) => change(state),
        Some(Act::Lose) => {
            // The change is made, and its answer never arrives.
            route(state, request);
            return Reply::new(200, "", "").body(Body::Close);
        }
        None => {}
    }
    route(state, request)
}

fn route(state: &mut State, request: &Request) -> Reply {
    if let Some(reply) = metadata(request).or_else(|| oauth::answer(state, request)) {
        return reply;
    }
    let given = request.headers.get("authorization").and_then(|header| header.strip_prefix("Bearer "));
    if !given.is_some_and(|given| state.tokens.iter().any(|token| token == given)) {
        return error(401, "UNAUTHENTICATED", "Request had invalid authentication credentials.");
    }
    if is_change(request) {
        let query = if request.query.is_empty() { String::new() } else { format!("?{}", request.query) };
        state.changes.push(format!("{} {}{query}", request.method, request.path));
    }
    let found = run::answer(state, request)
        .or_else(|| deploy::answer(state, request))
        .or_else(|| storage::answer(state, request))
        .or_else(|| run_v1::answer(state, request))
        .or_else(|| logging::answer(state, request))
        .or_else(|| monitoring::answer(state, request));
    let reply = found.unwrap_or_else(|| error(404, "NOT_FOUND", "Requested entity was not found."));
    record::add(request, &reply);
    reply
}

/// Whether a request is to change something: reading by POST and what is only validated are not.
fn is_change(request: &Request) -> bool {
    let validated = request.query.contains("validateOnly=true") || body(request)["validateOnly"] == true;
    let reads = request.path == "/v2/entries:list" || request.path.ends_with("/prometheus/api/v1/query");
    request.method != "GET" && !validated && !reads
}

/// The metadata server.
fn metadata(request: &Request) -> Option<Reply> {
    let what = request.path.strip_prefix("/computeMetadata/v1/instance/service-accounts/default/")?;
    Some(match what {
        "email" => Reply::new(200, "application/text", ACCOUNT),
        "token" => {
            let token = json!({"access_token": ACCESS, "expires_in": 3599, "token_type": "Bearer"});
            Reply::json(200, &token.to_string())
        }
        "identity" => Reply::new(200, "text/html", super::google::id_token("https://audience", 4_000_000_000)),
        _ => Reply::new(404, "text/html", "not found"),
    })
}

/// An error in the form that all the APIs share.
pub fn error(status: u16, name: &str, message: &str) -> Reply {
    error_with(status, name, message, "")
}

fn error_with(status: u16, name: &str, message: &str, reason: &str) -> Reply {
    let mut error = json!({"code": status, "message": message, "status": name});
    if !reason.is_empty() {
        let kind = "type.googleapis.com/google.rpc.ErrorInfo";
        error["details"] = json!([{"@type": kind, "reason": reason, "domain": "googleapis.com"}]);
    }
    Reply::json(status, &json!({ "error": error }).to_string())
}

/// The value of a query's parameter, decoded.
pub fn parameter(request: &Request, name: &str) -> Option<String> {
    let pairs = url::form_urlencoded::parse(request.query.as_bytes());
    pairs.into_owned().find(|(key, _)| key == name).map(|(_, value)| value)
}

/// The JSON of a request's body.
pub fn body(request: &Request) -> Value {
    serde_json::from_slice(&request.body).unwrap_or_default()
}
