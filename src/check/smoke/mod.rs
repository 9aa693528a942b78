//! `smoke`: the front end's pages answer, and every script and style sheet that the page names loads as what it is.

mod assets;
mod fetch;
mod page;
mod skew;

use futures_util::stream::{self, StreamExt as _};

use self::assets::Loaded;
use self::fetch::{Fetch, Fetched};
use super::context::{AskError, Context, Finding};
use super::expect::judge;
use super::locate::Canary;
use crate::http::{Answer, Request};
use crate::outcome::{Observation, Seen, Status, worst};
use crate::plan::{Expect, Smoke};
use crate::text;

pub(super) async fn check(context: &Context<'_>, canary: &Canary, smoke: &Smoke) -> Finding {
    let fetch = Fetch { context, client: &canary.client, smoke };
    let (mut attempts, mut observations, page) = pages(&fetch).await;
    if let Some(page) = page {
        observations.extend(skew::cached(&page));
        if smoke.assets {
            let Loaded { attempts: tries, observations: seen, own } = assets::load(&fetch, &page).await;
            attempts = attempts.max(tries);
            observations.extend(seen);
            if let Some(stable) = &canary.stable {
                observations.extend(skew::between(&fetch, stable, &page, &own).await);
            }
        }
    }
    let (status, detail) = worst(&observations).unwrap_or_else(|| (Status::Pass, counted(&observations)));
    Finding::new(status, attempts, detail).seeing(observations)
}

/// Asks for every page; with the most attempts that one took, what was seen, and the page whose assets count.
async fn pages(fetch: &Fetch<'_>) -> (u32, Vec<Observation>, Option<Answer>) {
    let smoke = fetch.smoke;
    let listed = |page: &String| smoke.requests.iter().any(|(request, _)| request.path == *page);
    let unlisted = smoke.page.iter().filter(|page| !listed(page)).map(|page| (Request::get(page), Expect::ok()));
    let requests: Vec<(Request, Expect)> = smoke.requests.iter().cloned().chain(unlisted).collect();
    let answered: Vec<(&Request, Fetched)> = stream::iter(requests.iter().map(async |(request, expect)| {
        let url = fetch.client.address().at(&request.path);
        (request, fetch.get(&url, |answer| judge(expect, answer)).await)
    }))
    .buffered(smoke.concurrency)
    .collect()
    .await;
    let (mut attempts, mut observations, mut page) = (1, Vec::new(), None);
    for (request, fetched) in answered {
        attempts = attempts.max(fetched.attempts);
        let is_page = smoke.page.as_ref() == Some(&request.path);
        let result = fetched.result.map_err(AskError::cause).and_then(|(answer, seen)| {
            if is_page {
                page::check(&answer)?;
                page = Some(answer);
            }
            Ok(seen)
        });
        observations.push(Observation::of(Seen::Request, fetch.client.shown(request), result));
    }
    (attempts, observations, page)
}

/// What was seen where all is well.
fn counted(observations: &[Observation]) -> String {
    let count = |seen: &Seen| observations.iter().filter(|observation| observation.seen == *seen).count();
    let (requests, assets) = (count(&Seen::Request), count(&Seen::Asset));
    format!("{} answered, {} loaded", text::counted(requests, "request"), text::counted(assets, "asset"))
}
