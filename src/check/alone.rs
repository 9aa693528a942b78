//! Checks of a plan by themselves, outside of a run of the gate: one request and what must come back, and one scrape.

use std::rc::Rc;

use promeval::exposition::Format;
use tokio::time::Instant;

use super::context::{AskError, Context};
use super::http;
use super::metrics::{Scraped, Scraper};
use crate::http::{Client, Credentials};
use crate::outcome::{CheckId, Observation, Observer, Status};
use crate::plan::{CheckSpec, Kind};

/// Whom and for how long.
#[derive(Clone, Copy)]
pub(crate) struct Alone<'r> {
    pub(crate) spec: &'r CheckSpec,
    pub(crate) client: &'r Client,
    pub(crate) access: &'r Rc<dyn Credentials>,
    pub(crate) observer: &'r dyn Observer,
    pub(crate) check: CheckId,
    /// When the time of the whole run is up.
    pub(crate) deadline: Instant,
}

/// What one check came to.
pub(crate) struct Told {
    pub(crate) status: Status,
    pub(crate) attempts: u32,
    pub(crate) detail: String,
    pub(crate) observations: Vec<Observation>,
}

/// Scrapes one target again and again, with the cookies that it sets.
pub(crate) struct ScrapeAlone(Scraper);

impl<'r> Alone<'r> {
    fn context(&self) -> Context<'r> {
        let told = (self.observer, self.check);
        Context::begin(told, &self.spec.policy, self.access, false, self.deadline)
    }

    /// Asks what an HTTP check asks. Nothing where it is a check of another kind.
    pub(crate) async fn ask(&self) -> Option<Told> {
        let Kind::Http(check) = &self.spec.kind else { return None };
        let finding = http::check(&self.context(), self.client, check).await;
        let (status, attempts) = (finding.status, finding.attempts);
        Some(Told { status, attempts, detail: finding.detail, observations: finding.observations })
    }

    /// What scrapes as the check of the metrics does. Nothing where it is a check of another kind.
    pub(crate) fn scraper(&self) -> Option<ScrapeAlone> {
        let Kind::Metrics(metrics) = &self.spec.kind else { return None };
        Some(ScrapeAlone(Scraper::new(self.client.clone(), metrics, self.spec.policy.request)))
    }
}

impl ScrapeAlone {
    /// One scrape: the body, and the format that it says it has.
    ///
    /// # Errors
    /// Why there is none, and whether that is a failure of the target.
    pub(crate) async fn scrape(&mut self, alone: &Alone<'_>) -> Result<(Vec<u8>, Option<Format>), (Status, String)> {
        let context = alone.context();
        let (scraped, _) = self.0.scrape(&context, context.deadline()).await;
        match scraped {
            Ok(Scraped { body, format, .. }) => Ok((body, format)),
            Err(error) => Err((AskError::status(&error), error.cause().text)),
        }
    }
}
