//! Where the values of thresholds come from: scrapes of the canary (and of the stable revision beside it), or a Prometheus
//! HTTP API.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, timeout_at};

use super::api::{PrometheusApi, Server};
use super::record::Recording;
use super::scrape::{Scraped, Scraper};
use super::window::WindowState;
use crate::check::context::{AskError, Context};
use crate::check::locate::Canary;
use crate::http::Client;
use crate::outcome::{Cause, Event, Judged, Observation, Round, Seen, Side};
use crate::plan::{ApiToken, Baseline, Metrics, MetricsSource};
use crate::text;

/// What it takes to tell of scrapes that failed.
const MOMENT: Duration = Duration::from_millis(200);

pub(super) enum Source<'p> {
    Scrape { sides: Vec<(Side, Scraper)>, what: String, state: State, recording: Option<Recording> },
    Api { api: Box<PrometheusApi<'p>>, address: String },
}

/// What the scrapes add up to. Text of megabytes is parsed and judged beside the thread of the I/O, so that limits and
/// signals hold meanwhile.
pub(super) struct State {
    kept: Option<Box<WindowState>>,
    /// The bytes of all scrapes so far.
    bytes: usize,
    /// How often the expressions read them.
    reads: usize,
}

/// With no more text to be read than this, judging takes less time than another thread does to begin.
const SMALL: usize = 256 * 1024;

impl State {
    /// Lets the state do something until a deadline. What is not done by then is given up, and the state with it.
    async fn compute<T: Send + 'static>(
        &mut self,
        deadline: Instant,
        work: impl FnOnce(&mut WindowState) -> T + Send + 'static,
    ) -> Result<T, AskError> {
        let late = || AskError::Permanent("the metrics could not be judged in the time that there is".into());
        let mut state = self.kept.take().ok_or_else(late)?;
        if self.bytes.saturating_mul(self.reads.max(1)) <= SMALL {
            let result = work(&mut state);
            self.kept = Some(state);
            return Ok(result);
        }
        let done = spawn_blocking(move || {
            let result = work(&mut state);
            (state, result)
        });
        // Also at the end of the time it takes a moment to say what went wrong; the runner lets nothing pass that is late.
        let deadline = deadline.max(Instant::now() + MOMENT);
        let (state, result) = timeout_at(deadline, done).await.map_err(|_| late())?.map_err(|_| late())?;
        self.kept = Some(state);
        Ok(result)
    }
}

/// A scrape, or an evaluation by a server, that is missing.
pub(super) struct Missed {
    /// Whether not the canary is what was not seen.
    is_beside: bool,
    /// Whether the next one may do better.
    pub(super) is_transient: bool,
    error: AskError,
}

impl From<AskError> for Missed {
    fn from(error: AskError) -> Self {
        Self { is_beside: false, is_transient: matches!(error, AskError::Transient(..)), error }
    }
}

impl Missed {
    /// What a server beside the canary did not tell: it may do so the next time.
    pub(super) fn by_server(error: AskError) -> Self {
        Self { is_beside: true, is_transient: true, error }
    }

    /// The same with what is said of it instead.
    pub(super) fn saying(self, say: impl FnOnce(Cause) -> String) -> Self {
        Self { error: AskError::Permanent(say(self.error.cause()).into()), ..self }
    }

    /// Why a check ends with it: that something beside the canary is not to be seen is no failure of the canary.
    pub(super) fn into_error(self) -> AskError {
        if self.is_beside { self.error.beside() } else { self.error }
    }
}

impl<'p> Source<'p> {
    /// # Errors
    /// Why there is none: a baseline that is not known, a header that HTTP does not allow.
    pub(super) fn new(canary: &Canary, metrics: &'p Arc<Metrics>, context: &'p Context<'p>) -> Result<Self, String> {
        match &metrics.source {
            MetricsSource::Scrape => {
                let scraper = |client| Scraper::new(client, metrics, context.policy.request);
                let labels_of = |client: &Client| labels(canary, client, &metrics.labels);
                let mut labels = BTreeMap::from([(Side::Canary, labels_of(&canary.client))]);
                let mut sides = vec![(Side::Canary, scraper(canary.client.clone()))];
                if let Some(baseline) = &metrics.baseline {
                    let client = baseline_client(canary, baseline)?;
                    labels.insert(Side::Stable, labels_of(&client));
                    sides.push((Side::Stable, scraper(client)));
                    for (side, labels) in &mut labels {
                        labels.push(("target".into(), side.word().into()));
                    }
                }
                let reads = metrics.reads();
                let state = State {
                    kept: Some(Box::new(WindowState::new(metrics.clone(), labels, context.courses))),
                    bytes: 0,
                    reads,
                };
                let what = canary.client.shown(&metrics.request);
                let recording = context.observer.records().then(|| Recording::new(metrics));
                Ok(Self::Scrape { sides, what, state, recording })
            }
            MetricsSource::Prometheus(address, token) => {
                let header = match token {
                    ApiToken::Header(header) => Some(header.clone()),
                    ApiToken::None | ApiToken::Google => None,
                };
                // The canary's own headers are not for this server.
                let client = canary.client.elsewhere(address.clone(), header.as_slice())?;
                let client = match token {
                    ApiToken::Google => client.with_credentials(context.access.clone()),
                    ApiToken::None | ApiToken::Header(_) => client,
                };
                let address = client.address().shown().to_owned();
                let api = Box::new(PrometheusApi::new(Server::Live(Box::new(client), context), metrics));
                Ok(Self::Api { api, address })
            }
        }
    }

    /// Takes one sample of everything; with the number of attempts.
    pub(super) async fn sample(
        &mut self,
        context: &Context<'_>,
        deadline: Instant,
        time: i64,
    ) -> (Result<(), Missed>, u32) {
        let (sides, what, state, recording) = match self {
            Self::Api { api, .. } => {
                if context.observer.records() {
                    // When it was asked: what it answered is told by whoever asks.
                    let round = Round { time, sides: Vec::new() };
                    context.observer.hear(&Event::Scraped { check: context.check, round });
                }
                let (result, attempts) = api.evaluate_alerts(Some(deadline), time).await;
                return (result.map_err(Missed::by_server), attempts);
            }
            Self::Scrape { sides, what, state, recording } => (sides, what, state, recording),
        };
        let scrapes = sides.iter_mut().map(async |(side, scraper)| (*side, scraper.scrape(context, deadline).await));
        let scraped = join_all(scrapes).await;
        let attempts = scraped.iter().map(|(_, (_, attempts))| *attempts).max().unwrap_or(0);
        let scraped: Vec<(Side, Result<Scraped, AskError>)> =
            scraped.into_iter().map(|(side, (result, _))| (side, result)).collect();
        if let Some(recording) = recording {
            let round = recording.round(time, &scraped);
            context.observer.hear(&Event::Scraped { check: context.check, round });
        }
        let bytes =
            |(_, scraped): &(Side, Result<Scraped, AskError>)| scraped.as_ref().map_or(0, |scraped| scraped.body.len());
        state.bytes += scraped.iter().map(bytes).sum::<usize>();
        let what = what.clone();
        let taken = state.compute(context.deadline(), move |state| take(state, scraped, &what, time)).await;
        (taken.map_err(Missed::from).and_then(|taken| taken), attempts)
    }

    /// What the thresholds say at a time; a server is asked until a deadline.
    ///
    /// # Errors
    /// Why that could not be told.
    pub(super) async fn thresholds(
        &mut self,
        context: &Context<'_>,
        deadline: Instant,
        time: i64,
    ) -> Result<Vec<Observation>, Missed> {
        match self {
            Self::Scrape { state, .. } => {
                Ok(state.compute(context.deadline(), move |state| state.thresholds(time)).await?)
            }
            Self::Api { api, .. } => api.thresholds(Some(deadline), time).await.map_err(Missed::by_server),
        }
    }

    pub(super) fn is_scraped(&self) -> bool {
        matches!(self, Self::Scrape { .. })
    }

    /// What a sample is called.
    pub(super) fn sample_word(&self) -> &'static str {
        match self {
            Self::Scrape { .. } => "scrape",
            Self::Api { .. } => "evaluation",
        }
    }

    /// Why a check ends whose window could not be had as a whole: of a server beside the canary it is no failure of the canary.
    pub(super) fn lost(&self, text: String) -> AskError {
        match self {
            Self::Scrape { .. } => AskError::Permanent(text.into()),
            Self::Api { .. } => AskError::Unseen(text.into()),
        }
    }

    /// All that was seen, and what it was seen in.
    ///
    /// # Errors
    /// Why that could not be told.
    pub(super) async fn observations(
        &mut self,
        context: &Context<'_>,
        time: i64,
    ) -> Result<(Vec<Observation>, String), AskError> {
        match self {
            Self::Scrape { state, recording, .. } => {
                let observe = move |state: &mut WindowState| {
                    let inventory = state.inventory();
                    let (samples, names) = (inventory.samples(), inventory.names());
                    let seen = format!("{} of {}", text::counted(samples, "sample"), text::counted(names, "metric"));
                    (state.observations(time), seen, state.labels())
                };
                let (observations, seen, labels) = state.compute(context.deadline(), observe).await?;
                if let Some(recording) = recording {
                    let judged = Judged { time, seen: seen.clone(), labels, kept: recording.kept() };
                    context.observer.hear(&Event::Judged { check: context.check, judged });
                }
                Ok((observations, seen))
            }
            Self::Api { api, address } => {
                let observations = api.observations(time).await?;
                let seen = format!("asked of {address}");
                if context.observer.records() {
                    let judged = Judged { time, seen: seen.clone(), labels: Vec::new(), kept: None };
                    context.observer.hear(&Event::Judged { check: context.check, judged });
                }
                Ok((observations, seen))
            }
        }
    }
}

impl Source<'_> {
    /// Adds to the thresholds how they went over the window. They are for drawing: what takes too long is left out.
    pub(super) async fn add_courses(&mut self, context: &Context<'_>, observations: &mut [Observation]) {
        const LONGEST: Duration = Duration::from_secs(1);
        // What a server is asked was asked at the end only.
        let Self::Scrape { state, .. } = self else { return };
        // A check that ends late does not pass: there must be time to spare.
        let deadline = Instant::now() + LONGEST;
        if deadline + MOMENT >= context.deadline() {
            return;
        }
        let Ok(courses) = state.compute(deadline, |state| state.courses()).await else { return };
        let seen = observations.iter_mut().filter_map(|observation| match &mut observation.seen {
            Seen::Threshold(seen) => Some(seen),
            _ => None,
        });
        for (seen, courses) in seen.zip(courses) {
            seen.courses = courses;
        }
    }
}

/// Takes in what the sides brought at a time, and evaluates rules and alerts.
///
/// # Errors
/// A scrape that is missing, or cannot be taken in.
pub(super) fn take(
    state: &mut WindowState,
    scraped: Vec<(Side, Result<Scraped, AskError>)>,
    what: &str,
    time: i64,
) -> Result<(), Missed> {
    let (mut result, mut newest) = (Ok(()), time);
    for (side, scraped) in scraped {
        let added = scraped.and_then(|scraped| {
            newest = newest.max(scraped.at);
            let added = state.add(side, &scraped);
            added.map_err(|cause| AskError::Permanent(format!("{what}: {cause}").into()))
        });
        let Err(error) = added else { continue };
        let error = if side == Side::Stable { error.about("the stable revision") } else { error };
        let missed = Missed { is_beside: side == Side::Stable, ..Missed::from(error) };
        if !missed.is_transient {
            return Err(missed);
        }
        state.missed(side, time);
        result = Err(missed);
    }
    state.evaluate(newest).map_err(|cause| AskError::Permanent(cause.into()))?;
    result
}

/// The labels that a scrape configuration would give the series of an address: the job is the service, the instance the
/// address, and over them what the plan says.
fn labels(canary: &Canary, client: &Client, planned: &[(String, String)]) -> Vec<(String, String)> {
    let address = client.address();
    let job = canary.deployed.as_ref().map_or(address.host(), |(service, _)| service);
    let own = [("job".to_owned(), job.to_owned()), ("instance".to_owned(), address.host_and_port())];
    let kept = own.into_iter().filter(|(name, _)| !planned.iter().any(|(other, _)| other == name));
    kept.chain(planned.iter().cloned()).collect()
}

/// The client of the stable revision: at the canary's own address it would be the canary.
///
/// # Errors
/// Why there is none.
pub(in crate::check) fn baseline_client(canary: &Canary, baseline: &Baseline) -> Result<Client, String> {
    let tag = match baseline {
        Baseline::Address(address) if address.is_same_place(canary.client.address()) => {
            return Err(format!(
                "the baseline {} is the canary's own address: it cannot be compared with itself",
                address.shown()
            ));
        }
        Baseline::Address(address) => return canary.client.toward(address.clone()),
        Baseline::Tag(tag) => tag,
    };
    let found = canary.others.iter().find(|(known, _)| known == tag).map(|(_, client)| client.clone());
    found.ok_or_else(|| {
        let known: Vec<&str> = canary.others.iter().map(|(tag, _)| &**tag).collect();
        let known = if known.is_empty() { "none is known".to_owned() } else { format!("there are {}", known.join(", ")) };
        format!(
            "the baseline's tag {tag:?} belongs to no other revision ({known}): tags are known where the Cloud Run Admin API can be \
             asked; give an address instead"
        )
    })
}
