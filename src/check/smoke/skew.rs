//! Asset skew: while two revisions share the traffic, a page of one asks the other for its assets, unless clients stick to
//! one. No check of the canary alone can see that.

use futures_util::future::join;
use futures_util::stream::{self, StreamExt as _};
use tokio::time::Instant;
use url::Url;

use super::apart::apart;
use super::asset::path_of;
use super::fetch::Fetch;
use super::{page, sniff};
use crate::check::locate::Stable;
use crate::http::{Answer, Client, Request};
use crate::outcome::{Observation, Severity, Status};
use crate::text;

/// A page that is kept for longer than this outlives a rollout.
const LONG: u64 = 3600;

/// A warning where browsers may keep the page beyond the rollout: its assets are gone then.
pub(super) fn cached(page: &Answer) -> Option<Observation> {
    let value = page.header("cache-control")?.to_ascii_lowercase();
    let mut directives = value.split(',').map(str::trim);
    let kept = directives.any(|directive| {
        let age = directive.strip_prefix("max-age=").or_else(|| directive.strip_prefix("s-maxage="));
        directive == "immutable" || age.and_then(|age| age.parse::<u64>().ok()).is_some_and(|age| age > LONG)
    });
    let detail = format!(
        "the page may be kept by browsers and caches for long (Cache-Control: {value}), and its hashed assets go with the next \
         revision; send no-cache with HTML"
    );
    kept.then(|| Observation::note("page", Status::Warn, detail))
}

/// Asks each revision for the other's assets, both side by side.
pub(super) async fn between(fetch: &Fetch<'_>, stable: &Stable, page: &Url, own: &[Url]) -> Vec<Observation> {
    if stable.sticky {
        return Vec::new();
    }
    // Half of the time that is left: a stable revision that hangs must not cost the canary its verdict.
    let left = fetch.context.deadline().saturating_duration_since(Instant::now());
    let context = fetch.context.within(left / 2);
    let fetch = &Fetch { context: &context, ..*fetch };
    let of_the_canary = missing(fetch, &stable.client, "the stable revision", own);
    let of_the_stable = async {
        match others(fetch, stable, page).await {
            Ok(theirs) => missing(fetch, fetch.client, "the canary", &theirs).await,
            Err(why) => vec![unseen(&format!("the stable revision{why}"))],
        }
    };
    let (mut observations, more) = join(of_the_canary, of_the_stable).await;
    observations.extend(more);
    observations
}

/// What could not be asked is not the canary's fault, and not good either.
fn unseen(why: &str) -> Observation {
    Observation::note("asset skew", Status::Warn, format!("not known: {why}"))
}

/// The assets of the stable revision's page.
async fn others(fetch: &Fetch<'_>, stable: &Stable, page: &Url) -> Result<Vec<Url>, String> {
    let path = path(page);
    let answer = fetch.context.ask(&stable.client, &Request::get(&path)).await;
    let answer = answer.map_err(|failure| format!(": {failure}"))?;
    if answer.status != 200 {
        return Err(format!(" answers {} for {}", answer.status, path_of(page)));
    }
    let most = fetch.smoke.max_assets;
    let read = apart(answer.body.len(), fetch.context.deadline(), move |stop| page::read(&answer, most, stop)).await;
    let page = read.and_then(|page| page.map_err(|cause| cause.text)).map_err(|why| format!("'s page: {why}"))?;
    Ok(page.assets.into_iter().map(|asset| asset.url).collect())
}

/// What a side says to an asset of the other's page.
enum Said {
    Has,
    Lacks,
    Unknown(String),
}

async fn ask(fetch: &Fetch<'_>, side: &Client, path: &str) -> Said {
    match fetch.context.ask(side, &Request::get(path)).await {
        Ok(answer) if answer.status == 200 && sniff::markup(&answer.body).is_none() => Said::Has,
        Ok(answer) if answer.is_transient() || matches!(answer.status, 401 | 403) => {
            Said::Unknown(format!("it answers {}", answer.status))
        }
        Ok(_) => Said::Lacks,
        Err(failure) => Said::Unknown(failure.to_string()),
    }
}

/// What is to be said where a side lacks assets of the other's page, or does not answer.
async fn missing(fetch: &Fetch<'_>, side: &Client, name: &str, wanted: &[Url]) -> Vec<Observation> {
    let asked: Vec<(String, Said)> = stream::iter(wanted.iter().map(async |url| {
        let path = path(url);
        let said = ask(fetch, side, &path).await;
        (text::cut(&path, 200).into_owned(), said)
    }))
    .buffered(fetch.smoke.concurrency)
    .collect()
    .await;
    let lacking: Vec<&str> =
        asked.iter().filter(|(_, said)| matches!(said, Said::Lacks)).map(|(path, _)| &**path).collect();
    let unknown: Vec<String> = asked
        .iter()
        .filter_map(|(path, said)| match said {
            Said::Unknown(why) => Some(format!("{name} cannot be asked for {path}: {why}")),
            Said::Has | Said::Lacks => None,
        })
        .collect();
    let mut observations = Vec::new();
    if !lacking.is_empty() {
        let detail = format!(
            "{name} lacks {}, which the other revision's page names: while both serve, pages break for clients that meet both; set \
             run.googleapis.com/sessionAffinity: \"true\", keep the assets of the revision before, or serve them from a bucket",
            text::joined(&lacking, 1, ", ")
        );
        let status = match fetch.smoke.asset_skew {
            Severity::Block => Status::Fail,
            Severity::Warn => Status::Warn,
        };
        observations.push(Observation::note("asset skew", status, detail));
    }
    if !unknown.is_empty() {
        observations.push(unseen(&text::joined(&unknown, 1, "; ")));
    }
    observations
}

/// A URL's path and query, whole.
fn path(url: &Url) -> String {
    match url.query() {
        Some(query) => format!("{}?{query}", url.path()),
        None => url.path().to_owned(),
    }
}
