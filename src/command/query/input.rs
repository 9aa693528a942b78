//! What a query is evaluated over: a file, or scrapes of a canary; or the answer of a Prometheus server.

use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use promeval::{Format, Value};
use tokio::time::{Instant, sleep_until};

use crate::check::{ask_prometheus, now, scrape_once};
use crate::cli::Query;
use crate::command::process::{checks_file, whole_file, whole_input};
use crate::command::{CommandError, Session};
use crate::google::AccessAuth;
use crate::http::{Address, Client, Request};
use crate::plan::{self, ApiToken, Kind, Lookup, Metrics, MetricsSource, Plan, PlanInput};

/// The time between two scrapes where no checks file says it.
const INTERVAL: Duration = Duration::from_secs(5);

/// The largest exposition that the parser counts.
const MAX_EXPOSITION: u64 = 2 * 1024 * 1024 * 1024;

/// What a query is evaluated over.
pub(super) enum Input {
    Texts(Vec<Text>),
    /// A server has evaluated it, at a time in milliseconds since the epoch.
    Answer(Value, i64),
}

/// An exposition.
pub(super) struct Text {
    /// As an error calls it.
    pub(super) name: String,
    pub(super) body: Vec<u8>,
    /// What the answer says that it is.
    pub(super) format: Option<Format>,
    /// When it was scraped, where there are several; in milliseconds since the epoch.
    pub(super) at: Option<i64>,
}

impl Input {
    /// # Errors
    /// A file that cannot be read, arguments that are wrong, a scrape that failed.
    pub(super) fn read(session: &Session, args: &Query, time: Option<i64>) -> Result<Self, CommandError> {
        if let Some(path) = &args.file {
            let body = read(path)?;
            return Ok(Self::Texts(vec![Text { name: path.display().to_string(), body, format: None, at: None }]));
        }
        let lookup = session.lookup();
        let plan = args.checks.as_deref().map(|path| plan(path, args, &lookup)).transpose()?;
        let metrics = plan.as_ref().and_then(metrics_of);
        let url = args.url.as_deref().map(Address::parse).transpose();
        let url = url.map_err(|error| CommandError::usage(format!("--url: {error}")))?;
        let transport = session.transport(args.network.ca_file.as_deref())?;
        let mut headers = plan.as_ref().map(|plan| plan.headers.clone()).unwrap_or_default();
        let runtime = session.runtime()?;
        if let Some(MetricsSource::Prometheus(address, token)) = metrics.map(|metrics| &metrics.source) {
            scrapes_nothing(args)?;
            let header = match token {
                ApiToken::Header(header) => Some(header.clone()),
                ApiToken::None | ApiToken::Google => None,
            };
            let mut client = transport.client(address.clone(), header.as_slice()).map_err(CommandError::usage)?;
            if matches!(token, ApiToken::Google) {
                let (_, access) = session.access(&args.access, &transport)?;
                client = client.with_credentials(Rc::new(AccessAuth::new(access)));
            }
            let time = time.unwrap_or_else(now);
            let answer = runtime.block_on(ask_prometheus(&client, &args.expr, time));
            let (value, warnings) = answer.map_err(CommandError::no_verdict)?;
            for warning in warnings {
                session.complain(&format!("the server warns: {warning}"));
            }
            return Ok(Self::Answer(value, time));
        }
        for (index, written) in args.header.iter().enumerate() {
            let number = if args.header.len() > 1 { format!(" {}", index + 1) } else { String::new() };
            let header = header(written, &lookup);
            headers.push(header.map_err(|error| CommandError::usage(format!("--header{number}: {error}")))?);
        }
        let url = url.ok_or_else(|| CommandError::usage("pass --url URL or --file PATH"))?;
        let client = transport.client(url, &headers).map_err(CommandError::usage)?;
        let scrapes = Scrapes { client, request: metrics.map(|metrics| metrics.request.clone()) };
        let window = match (&args.window, metrics.and_then(|metrics| metrics.window)) {
            (Some(written), planned) => {
                let length =
                    plan::duration(written).map_err(|error| CommandError::usage(format!("--window: {error}")))?;
                Some((length, planned.map_or(INTERVAL, |planned| planned.interval).min(length)))
            }
            (None, _) => None,
        };
        runtime.block_on(scrapes.take(window)).map(Self::Texts).map_err(CommandError::no_verdict)
    }
}

/// Flags of scrapes have no meaning where a server is asked: they must not be dropped without a word.
fn scrapes_nothing(args: &Query) -> Result<(), CommandError> {
    let given = [
        ("--url", args.url.is_some()),
        ("--header", !args.header.is_empty()),
        ("--window", args.window.is_some()),
        ("--exposition", args.exposition.is_some()),
    ];
    match given.into_iter().find(|(_, is_given)| *is_given) {
        None => Ok(()),
        Some((flag, _)) => {
            let why = "does not apply: the checks file says source: prometheus, and a server evaluates the expression";
            Err(CommandError::usage(format!("{flag} {why}")))
        }
    }
}

/// Scrapes of one canary.
struct Scrapes {
    client: Client,
    /// By a checks file; the address itself where there is none.
    request: Option<Request>,
}

impl Scrapes {
    /// One scrape, or one each interval until the window ends.
    async fn take(&self, window: Option<(Duration, Duration)>) -> Result<Vec<Text>, String> {
        let url = match &self.request {
            Some(request) => self.client.address().at(&request.path),
            None => self.client.address().url().clone(),
        };
        let headers = self.request.as_ref().map(|request| request.headers.clone()).unwrap_or_default();
        let (length, interval) = window.unwrap_or((Duration::ZERO, INTERVAL));
        let began = Instant::now();
        let mut texts = Vec::new();
        let mut next = Duration::ZERO;
        while next <= length {
            sleep_until(began + next).await;
            let at = now();
            let scraped = scrape_once(&self.client, &url, &headers).await;
            let (body, format) = scraped.map_err(|message| format!("GET {url}: {message}"))?;
            texts.push(Text { name: url.to_string(), body, format, at: window.map(|_| at) });
            next += interval;
        }
        Ok(texts)
    }
}

fn plan(path: &Path, args: &Query, lookup: &dyn Lookup) -> Result<Plan, CommandError> {
    let input = PlanInput { file: Some(checks_file(path)?), window: args.window.clone(), ..PlanInput::default() };
    Ok(input.plan(lookup)?)
}

fn metrics_of(plan: &Plan) -> Option<&Metrics> {
    plan.checks.iter().find_map(|check| match &check.kind {
        Kind::Metrics(metrics) => Some(&**metrics),
        Kind::Ready(_) | Kind::Http(_) | Kind::Smoke(_) | Kind::Traffic(_) => None,
    })
}

fn header(written: &str, lookup: &dyn Lookup) -> Result<crate::http::Header, String> {
    // It is not shown: it may be a secret.
    let (name, value) = written.split_once(':').ok_or("it has no colon; write it as \"Name: value\"")?;
    plan::header(name.trim(), value.trim(), lookup).map_err(|mistake| mistake.message)
}

/// A whole file; `-` is standard input.
fn read(path: &Path) -> Result<Vec<u8>, CommandError> {
    let is_input = path.as_os_str() == "-";
    let body = if is_input { whole_input(MAX_EXPOSITION) } else { whole_file(path, MAX_EXPOSITION) };
    body.map_err(|error| CommandError::usage(format!("--file: {error}")))
}
