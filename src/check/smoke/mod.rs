//! `smoke`: the front end's pages answer, and every script and style sheet that a browser would load for the page loads as
//! what it is.

mod apart;
mod asset;
mod assets;
mod fetch;
#[cfg(any(test, fuzzing))]
pub(super) mod fuzzing;
mod import_map;
mod integrity;
mod page;
mod policy;
mod resolve;
mod script;
mod skew;
mod sniff;

pub(in crate::check) use self::sniff::markup;
use futures_util::stream::{self, StreamExt as _};
use url::Url;

use self::assets::Loaded;
use self::fetch::{End, Fetch, Fetched, elsewhere};
use self::page::Page;
use super::context::{AskError, Context, Finding};
use super::expect::judge;
use super::locate::Canary;
use crate::http::Request;
use crate::outcome::{Observation, Seen, Status, worst};
use crate::plan::{Expect, Smoke};
use crate::text;

pub(super) async fn check(context: &Context<'_>, canary: &Canary, smoke: &Smoke) -> Finding {
    let fetch = Fetch { context, client: &canary.client, smoke };
    let Asked { mut attempts, mut observations, page } = pages(&fetch).await;
    let (mut loaded, mut foreign) = (0, 0);
    if let Some(page) = page.filter(|_| smoke.assets) {
        let url = page.url.clone();
        let own: Vec<Url> = page.assets.iter().map(|asset| asset.url.clone()).collect();
        let assets = assets::load(&fetch, page).await;
        attempts = attempts.max(assets.attempts);
        (loaded, foreign) = (assets.good, assets.foreign);
        let too_few = too_few(&assets, smoke.min_assets, &url);
        observations.extend(assets.observations);
        observations.extend(too_few);
        if let Some(stable) = &canary.stable {
            observations.extend(skew::between(&fetch, stable, &url, &own).await);
        }
    }
    let requests = observations.iter().filter(|observation| observation.seen == Seen::Request).count();
    let counted = counted(requests, loaded, foreign);
    let (status, detail) = match worst(&observations) {
        None => (Status::Pass, counted),
        Some((Status::Warn, why)) => (Status::Warn, format!("{counted}; {why}")),
        Some(worse) => worse,
    };
    Finding::new(status, attempts, detail).seeing(observations)
}

/// What came of the pages.
struct Asked {
    /// The most that one took.
    attempts: u32,
    observations: Vec<Observation>,
    /// The one whose assets are loaded.
    page: Option<Page>,
}

/// Asks for every page.
async fn pages(fetch: &Fetch<'_>) -> Asked {
    let smoke = fetch.smoke;
    let listed = |page: &String| smoke.requests.iter().any(|(request, _)| request.path == *page);
    let unlisted = smoke.page.iter().filter(|page| !listed(page)).map(|page| (Request::get(page), Expect::ok()));
    let requests: Vec<(Request, Expect)> = smoke.requests.iter().cloned().chain(unlisted).collect();
    let answered: Vec<(&Request, Fetched<Answered>)> = stream::iter(requests.iter().map(async |(request, expect)| {
        let url = fetch.client.address().at(&request.path);
        (request, fetch.get(&url, async |end| one(fetch, request, expect, end).await).await)
    }))
    .buffered(smoke.concurrency)
    .collect()
    .await;
    let mut asked = Asked { attempts: 1, observations: Vec::new(), page: None };
    let mut notes = Vec::new();
    for (request, fetched) in answered {
        asked.attempts = asked.attempts.max(fetched.attempts);
        let failed = fetched.result.as_ref().err().map(AskError::status);
        let result = fetched.result.map_err(AskError::cause).map(|answered| {
            notes.extend(answered.note);
            asked.page = asked.page.take().or(answered.page);
            answered.seen
        });
        let seen = Observation::of(Seen::Request, fetch.client.shown(request), result);
        asked.observations.push(Observation { status: failed.unwrap_or(seen.status), ..seen });
    }
    asked.observations.extend(notes);
    asked
}

/// A page that answered as it should.
struct Answered {
    /// What is good about it.
    seen: String,
    note: Option<Observation>,
    /// What it loads, where it is the one whose assets count.
    page: Option<Page>,
}

async fn one(fetch: &Fetch<'_>, request: &Request, expect: &Expect, end: End) -> Result<Answered, AskError> {
    let answer = match end {
        End::Answer(answer) => answer,
        End::Elsewhere(to) => return Err(AskError::Permanent(elsewhere(&to))),
    };
    let seen = judge(expect, &answer).map_err(|cause| AskError::answer(&answer, cause))?;
    if fetch.smoke.page.as_ref() != Some(&request.path) {
        return Ok(Answered { seen, note: None, page: None });
    }
    let (note, most) = (skew::cached(&answer), fetch.smoke.max_assets);
    let page = fetch.judge(answer, move |answer, stop| page::read(answer, most, stop)).await?;
    Ok(Answered { seen, note, page: Some(page) })
}

/// What is to be said of a page of which too little was loaded to have been seen to work.
fn too_few(assets: &Loaded, min_assets: Option<usize>, page: &Url) -> Option<Observation> {
    let (loaded, foreign) = (assets.needed, assets.foreign);
    let note = |status, detail: String| Some(Observation::note("assets", status, detail));
    if let Some(least) = min_assets {
        let detail = format!("{loaded} loaded, want at least {least} (min_assets){}", others(foreign));
        return if loaded < least { note(Status::Fail, detail) } else { None };
    }
    let has_failed = assets.observations.iter().any(|observation| observation.status == Status::Fail);
    if loaded > 0 || has_failed {
        return None;
    }
    let next = "so that the page was not seen to work; say with smoke.min_assets how many it needs (0: none)";
    let detail = if foreign == 0 {
        format!("the page names no script and no style sheet, {next}")
    } else {
        let origin = page.origin().ascii_serialization();
        format!("none of the {foreign} that the page names is of its own origin, {origin}, {next}")
    };
    note(Status::Warn, detail)
}

/// What was seen.
fn counted(requests: usize, loaded: usize, foreign: usize) -> String {
    let (requests, assets) = (text::counted(requests, "request"), text::counted(loaded, "asset"));
    format!("{requests} answered, {assets} loaded{}", others(foreign))
}

fn others(foreign: usize) -> String {
    if foreign == 0 { String::new() } else { format!(", {foreign} of other origins not loaded") }
}
