//! Where the values of thresholds come from: scrapes of the canary (and of the stable revision beside it), or a Prometheus
//! HTTP API.

use futures_util::future::join_all;
use tokio::time::Instant;

use super::api::PrometheusApi;
use super::scrape::Scraper;
use super::window::{Side, WindowState};
use crate::check::context::{AskError, Context};
use crate::check::locate::Canary;
use crate::http::Client;
use crate::outcome::Observation;
use crate::plan::{Baseline, Metrics, MetricsSource};

pub(super) enum Source<'p> {
    Scrape { sides: Vec<(Side, Scraper)>, state: Box<WindowState<'p>> },
    Api(Box<PrometheusApi<'p>>),
}

impl<'p> Source<'p> {
    /// # Errors
    /// Why there is none: a baseline that is not known, a header that HTTP does not allow.
    pub(super) fn new(canary: &Canary, metrics: &'p Metrics, context: &Context<'_>) -> Result<Self, String> {
        match &metrics.source {
            MetricsSource::Scrape => {
                let scraper = |client| Scraper::new(client, metrics, context.policy.request);
                let mut sides = vec![(Side::Canary, scraper(canary.client.clone()))];
                if let Some(baseline) = &metrics.baseline {
                    sides.push((Side::Stable, scraper(baseline_client(canary, baseline)?)));
                }
                Ok(Self::Scrape { sides, state: Box::new(WindowState::new(metrics)) })
            }
            MetricsSource::Prometheus(address, headers) => {
                // The canary's own headers are not for this server.
                let client = canary.client.elsewhere(address.clone(), headers)?;
                Ok(Self::Api(Box::new(PrometheusApi::new(client, metrics))))
            }
        }
    }

    /// Takes one sample of everything; with the number of attempts.
    pub(super) async fn sample(
        &mut self,
        context: &Context<'_>,
        deadline: Instant,
        time: i64,
    ) -> (Result<(), AskError>, u32) {
        let (sides, state) = match self {
            Self::Api(api) => return (Ok(()), api.evaluate_alerts(context, deadline, time).await),
            Self::Scrape { sides, state } => (sides, state),
        };
        let scrapes = sides.iter_mut().map(async |(side, scraper)| (*side, scraper.scrape(context, deadline).await));
        let scraped = join_all(scrapes).await;
        let (mut result, mut attempts, mut newest) = (Ok(()), 0, time);
        for (side, (scraped, tries)) in scraped {
            attempts = attempts.max(tries);
            let added = scraped.and_then(|scraped| {
                newest = newest.max(scraped.at);
                let added = state.add(side, &scraped);
                added.map_err(|cause| AskError::Permanent(format!("GET {}: {cause}", state.path()).into()))
            });
            let Err(error) = added else { continue };
            let error = if side == Side::Stable { error.about("the stable revision") } else { error };
            if !matches!(error, AskError::Transient(..)) {
                return (Err(error), attempts);
            }
            state.missed(side, time);
            result = Err(error);
        }
        state.evaluate(newest);
        (result, attempts)
    }

    /// What the thresholds say at a time.
    pub(super) async fn thresholds(&mut self, context: &Context<'_>, time: i64) -> Vec<Observation> {
        match self {
            Self::Scrape { state, .. } => state.thresholds(time),
            Self::Api(api) => api.thresholds(context, time).await,
        }
    }

    /// All that was seen, and what it was seen in.
    pub(super) async fn observations(&mut self, context: &Context<'_>, time: i64) -> (Vec<Observation>, String) {
        match self {
            Self::Scrape { state, .. } => {
                let inventory = state.inventory();
                let seen = format!("{} samples of {} metrics", inventory.samples(), inventory.names());
                (state.observations(time), seen)
            }
            Self::Api(api) => {
                let mut observations = api.thresholds(context, time).await;
                observations.extend(api.notes());
                (observations, format!("asked of {}", api.address()))
            }
        }
    }
}

/// The client of the stable revision.
fn baseline_client(canary: &Canary, baseline: &Baseline) -> Result<Client, String> {
    let tag = match baseline {
        Baseline::Address(address) => return canary.client.toward(address.clone()),
        Baseline::Tag(tag) => tag,
    };
    let found = canary.others.iter().find(|(known, _)| known == tag).map(|(_, client)| client.clone());
    found.ok_or_else(|| {
        let known: Vec<&str> = canary.others.iter().map(|(tag, _)| &**tag).collect();
        let known = if known.is_empty() { "none is known".to_owned() } else { format!("there are {}", known.join(", ")) };
        format!(
            "the baseline's tag {tag:?} is of no other revision ({known}): tags are known where the Cloud Run Admin API can be \
             asked; give an address instead"
        )
    })
}
