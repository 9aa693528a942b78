//! The assets that a page names: loaded, and looked at for what they are.

use futures_util::stream::{self, StreamExt as _};

use super::fetch::{Fetch, Fetched};
use super::page::{Asset, assets, looks_like_html};
use crate::check::context::AskError;
use crate::http::Answer;
use crate::outcome::{Cause, Observation, Seen, Status};

/// What came of a page's assets.
pub(super) struct Loaded {
    /// The most that one took.
    pub(super) attempts: u32,
    pub(super) observations: Vec<Observation>,
    /// Those of the page's own origin.
    pub(super) own: Vec<Asset>,
}

impl Loaded {
    /// None was loaded.
    fn none(cause: String) -> Self {
        let observations = vec![Observation::of(Seen::Asset, "assets", Err(cause.into()))];
        Self { attempts: 1, observations, own: Vec::new() }
    }
}

/// Loads what the page names.
pub(super) async fn load(fetch: &Fetch<'_>, page: &Answer) -> Loaded {
    let found = match assets(&page.body, &page.url) {
        Ok(found) => found,
        Err(cause) => return Loaded::none(cause),
    };
    let (own, foreign): (Vec<Asset>, Vec<Asset>) =
        found.into_iter().partition(|asset| asset.url.origin() == page.url.origin());
    let most = fetch.smoke.max_assets;
    if own.len() > most {
        let count = own.len();
        return Loaded::none(format!("the page names {count} assets, over the {most} that are loaded (max_assets)"));
    }
    let loaded: Vec<(&Asset, Fetched)> =
        stream::iter(own.iter().map(async |asset| (asset, fetch.get(&asset.url, |answer| check(asset, answer)).await)))
            .buffered(fetch.smoke.concurrency)
            .collect()
            .await;
    let attempts = loaded.iter().map(|(_, fetched)| fetched.attempts).max().unwrap_or(1);
    let seen = loaded.into_iter().map(|(asset, fetched)| {
        let name = format!("{} {}", asset.kind.word(), asset.url.path());
        let result = fetched.result.map(|(_, seen)| seen).map_err(AskError::cause);
        Observation::of(Seen::Asset, name, result)
    });
    let foreign = foreign.into_iter().map(|asset| {
        let name = format!("{} {}", asset.kind.word(), asset.url);
        Observation::note(&name, Status::Skipped, "of another origin: not loaded")
    });
    let observations = seen.chain(foreign).collect();
    Loaded { attempts, observations, own }
}

fn check(asset: &Asset, answer: &Answer) -> Result<String, Cause> {
    let status = answer.status;
    if status != 200 {
        return Err(Cause::wanting(format!("{status}, want 200"), 200, status));
    }
    let media_type = answer.media_type();
    let fallback = looks_like_html(&answer.body);
    if !asset.kind.media_types().contains(&&*media_type) {
        let found =
            if media_type.is_empty() { "without a content type".to_owned() } else { format!("of type {media_type}") };
        let why = if fallback { ": the page is answered for a file that is missing" } else { "" };
        let text = format!("200, but it is {found}, want a {}{why}", asset.kind.word());
        return Err(Cause::wanting(text, asset.kind.word(), media_type));
    }
    if fallback {
        let text = format!("200 and {media_type}, but the body is an HTML page: the file is missing");
        return Err(Cause::wanting(text, asset.kind.word(), "an HTML page"));
    }
    if answer.body.is_empty() {
        return Err(Cause::wanting("200, but it is empty", asset.kind.word(), "nothing"));
    }
    Ok(format!("200, {media_type}, {} bytes", answer.body.len()))
}
