//! Where the values of thresholds come from: scrapes, or a Prometheus HTTP API.

use super::Context;
use crate::http::{Address, Header};
use crate::plan::file::MetricsSource as Written;
use crate::plan::written::{At, Key, Meant};
use crate::plan::{Baseline, MetricsSource, code, header};

/// The keys that say it.
pub(super) struct Keys<'k> {
    pub(super) source: &'k Key<Written>,
    pub(super) url: Key<Option<Meant<Address>>>,
    pub(super) token: Key<Option<String>>,
    pub(super) baseline: &'k Key<Option<Meant<Baseline>>>,
}

pub(super) fn of(keys: Keys<'_>, context: &mut Context<'_, '_>) -> Option<MetricsSource> {
    let Keys { source, url, token, baseline } = keys;
    let source = source.at()?;
    if source.value == Written::Scrape {
        let written = [url.present().map(|url| url.place), token.present().map(|token| token.place)];
        for place in written.into_iter().flatten() {
            context.conflict(place, "metrics.url and metrics.token belong to source: prometheus");
        }
        return Some(MetricsSource::Scrape);
    }
    if baseline.at().is_some_and(|baseline| baseline.value.is_some()) {
        let message =
            "baseline is scraped, and source: prometheus scrapes nothing; tell revisions apart by their labels there";
        context.conflict(source.place, message);
    }
    if url.at().is_some_and(|url| url.value.is_none()) {
        let message = "source: prometheus needs metrics.url, the address in front of /api/v1/query";
        context.conflict(source.place, message);
    }
    let headers = match token.present_or_null()? {
        None => Vec::new(),
        Some(token) => vec![bearer(&token, context)?],
    };
    Some(MetricsSource::Prometheus(url.get()??.meant, headers))
}

fn bearer(token: &At<String>, context: &mut Context<'_, '_>) -> Option<Header> {
    if !token.value.starts_with("env:") && !token.value.starts_with("file:") {
        let message =
            "metrics.token is a secret, and secrets are never written inline: use \"env:NAME\" or \"file:/path\"";
        context.mistakes.add(code::SECRET, token.place, message);
        return None;
    }
    match header("Authorization", &format!("Bearer {}", token.value), context.lookup) {
        Ok(header) => Some(header),
        Err(mut mistake) => {
            mistake.place = token.place;
            context.mistakes.push(mistake);
            None
        }
    }
}
