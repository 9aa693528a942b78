//! `smoke`: the front end's pages answer, and every script and style sheet that the page names loads as what it is.

use futures_util::stream::{self, StreamExt as _};
use url::Url;

use super::expect::judge;
use super::identity::Neighbour;
use super::page::{Asset, assets, looks_like_html};
use super::thresholds::{note, worst};
use super::{Context, Finding, skew};
use crate::outcome::{Observation, ObservationKind, Status};
use crate::plan::{Expect, Request, Smoke};
use crate::probe::{Answer, Attempt, Probe, until};

pub(super) async fn check(
    context: &Context<'_>,
    probe: &Probe,
    neighbour: Option<&Neighbour>,
    smoke: &Smoke,
) -> Finding {
    let fetch = Fetch { context, probe, smoke };
    let mut pages = vec![];
    if let Some(page) = &smoke.page
        && !smoke.requests.iter().any(|(request, _)| request.path == *page)
    {
        let request = Request::get(page, Vec::new());
        let expect = Expect { status: vec![200], json: Vec::new(), headers: Vec::new(), body: Vec::new() };
        pages.push((request, expect));
    }
    let requests = smoke.requests.iter().chain(&pages);
    let answered: Vec<(&Request, Fetched)> = stream::iter(requests.map(async |(request, expect)| {
        let url = probe.target().at(&request.path);
        (request, fetch.get(url, &request.path, |answer| judge(expect, answer)).await)
    }))
    .buffered(smoke.concurrency)
    .collect()
    .await;
    let mut attempts = 1;
    let mut observations = Vec::new();
    let mut page = None;
    for (request, fetched) in answered {
        attempts = attempts.max(fetched.attempts);
        let is_page = smoke.page.as_ref() == Some(&request.path);
        let result = fetched.result.and_then(|(answer, seen)| {
            if is_page {
                check_page(&answer)?;
                page = Some(answer);
            }
            Ok(seen)
        });
        observations.push(observation(ObservationKind::Request, format!("GET {}", request.path), result));
    }
    if let Some(page) = page {
        observations.extend(skew::cached(&page));
        if smoke.assets {
            let (tries, seen, own) = load_assets(&fetch, &page).await;
            attempts = attempts.max(tries);
            observations.extend(seen);
            if let Some(neighbour) = neighbour {
                observations.extend(skew::between(context, smoke, probe, neighbour, &page, &own).await);
            }
        }
    }
    let (status, detail) = summary(&observations);
    Finding::new(status, attempts, detail).seeing(observations)
}

/// Fetches with retries and redirects within the origin.
struct Fetch<'c> {
    context: &'c Context<'c>,
    probe: &'c Probe,
    smoke: &'c Smoke,
}

struct Fetched {
    /// The last answer and what is good about it, or what is not.
    result: Result<(Answer, String), String>,
    attempts: u32,
}

impl Fetch<'_> {
    async fn get(&self, url: Url, path: &str, judge: impl Fn(&Answer) -> Result<String, String>) -> Fetched {
        let attempt = async |_| match self.follow(&url).await {
            Ok(answer) => match judge(&answer) {
                Ok(seen) => Attempt::Done(Ok((answer, seen))),
                Err(cause) if answer.may_pass_by_itself() => Attempt::Again { cause, after: answer.retry_after() },
                Err(cause) => Attempt::Done(Err(cause)),
            },
            Err((cause, true)) => Attempt::Again { cause, after: None },
            Err((cause, false)) => Attempt::Done(Err(cause)),
        };
        let note = |attempt, cause: &str| self.context.note(attempt, &format!("GET {path}: {cause}"));
        let tried = until(self.smoke.bounds.retry, self.context.deadline, note, attempt).await;
        Fetched { result: tried.result.unwrap_or_else(Err), attempts: tried.attempts }
    }

    /// The answer at the end of the redirects; or the cause, and whether it may pass by itself.
    async fn follow(&self, url: &Url) -> Result<Answer, (String, bool)> {
        let request = Request::get("", Vec::new());
        let mut url = url.clone();
        for _ in 0..=self.smoke.max_redirects {
            let asked = self.probe.ask_url(&url, &request, self.smoke.bounds.request, self.context.deadline).await;
            let answer = asked.map_err(|failure| (failure.to_string(), failure.may_pass_by_itself()))?;
            let redirects = matches!(answer.status, 301 | 302 | 303 | 307 | 308);
            let Some(location) = answer.header("location").filter(|_| redirects) else {
                return Ok(answer);
            };
            let next = url.join(location).map_err(|error| (format!("it redirects to {location:?}: {error}"), false))?;
            if next.origin() != url.origin() {
                return Err((format!("it redirects to another origin, {location:?}, which is not followed"), false));
            }
            url = next;
        }
        Err((format!("it redirects over {} times, the last time to {}", self.smoke.max_redirects, url.path()), false))
    }
}

fn check_page(answer: &Answer) -> Result<(), String> {
    let media_type = answer.media_type();
    if !matches!(&*media_type, "text/html" | "application/xhtml+xml") {
        let found = if media_type.is_empty() { "without a content type" } else { &media_type };
        return Err(format!("{}, but the page is {found}, want text/html", answer.status));
    }
    if answer.body.iter().all(u8::is_ascii_whitespace) {
        return Err(format!("{}, but the page is empty", answer.status));
    }
    Ok(())
}

/// Loads what the page names; answers with the most attempts that one took, the observations, and the assets of its origin.
async fn load_assets(fetch: &Fetch<'_>, page: &Answer) -> (u32, Vec<Observation>, Vec<Asset>) {
    let failed = |detail: String| vec![observation(ObservationKind::Asset, "assets".into(), Err(detail))];
    let found = match assets(&page.body, &page.url) {
        Ok(found) => found,
        Err(cause) => return (1, failed(cause), Vec::new()),
    };
    let (own, foreign): (Vec<Asset>, Vec<Asset>) =
        found.into_iter().partition(|asset| asset.url.origin() == page.url.origin());
    if own.len() > fetch.smoke.max_assets {
        let cause = format!(
            "the page names {} assets, over the {} that are loaded (max_assets)",
            own.len(),
            fetch.smoke.max_assets
        );
        return (1, failed(cause), Vec::new());
    }
    let loaded: Vec<(&Asset, Fetched)> = stream::iter(own.iter().map(async |asset| {
        let fetched = fetch.get(asset.url.clone(), asset.url.path(), |answer| check_asset(asset, answer)).await;
        (asset, fetched)
    }))
    .buffered(fetch.smoke.concurrency)
    .collect()
    .await;
    let attempts = loaded.iter().map(|(_, fetched)| fetched.attempts).max().unwrap_or(1);
    let mut observations: Vec<Observation> = loaded
        .into_iter()
        .map(|(asset, fetched)| {
            let name = format!("{} {}", asset.kind.word(), asset.url.path());
            observation(ObservationKind::Asset, name, fetched.result.map(|(_, seen)| seen))
        })
        .collect();
    observations.extend(foreign.into_iter().map(|asset| {
        note(&format!("{} {}", asset.kind.word(), asset.url), Status::Skipped, "of another origin: not loaded".into())
    }));
    (attempts, observations, own)
}

fn check_asset(asset: &Asset, answer: &Answer) -> Result<String, String> {
    let status = answer.status;
    if status != 200 {
        return Err(format!("{status}, want 200"));
    }
    let media_type = answer.media_type();
    let fallback = looks_like_html(&answer.body);
    if !asset.kind.media_types().contains(&&*media_type) {
        let found =
            if media_type.is_empty() { "without a content type".to_owned() } else { format!("of type {media_type}") };
        let cause = if fallback { ": the page is answered for a file that is missing" } else { "" };
        return Err(format!("200, but it is {found}, want a {}{cause}", asset.kind.word()));
    }
    if fallback {
        return Err(format!("200 and {media_type}, but the body is an HTML page: the file is missing"));
    }
    if answer.body.is_empty() {
        return Err("200, but it is empty".into());
    }
    Ok(format!("200, {media_type}, {} bytes", answer.body.len()))
}

fn observation(kind: ObservationKind, name: String, result: Result<String, String>) -> Observation {
    let (status, detail) = match result {
        Ok(seen) => (Status::Pass, seen),
        Err(cause) => (Status::Fail, cause),
    };
    Observation { kind, name, status, detail, threshold: None }
}

fn summary(observations: &[Observation]) -> (Status, String) {
    if let Some(worst) = worst(observations) {
        return worst;
    }
    let count = |kind| observations.iter().filter(|observation| observation.kind == kind).count();
    let (requests, assets) = (count(ObservationKind::Request), count(ObservationKind::Asset));
    (Status::Pass, format!("{requests} requests answered, {assets} assets loaded"))
}
