//! The assets that a page names, and what these import: loaded, and looked at for what they are.

use std::cell::Cell;
use std::collections::hash_map::RandomState;
use std::collections::{HashMap, HashSet};
use std::hash::BuildHasher as _;
use std::sync::Arc;

use futures_util::stream::{self, StreamExt as _};
use tokio::sync::Semaphore;
use url::Url;

use super::asset::{Asset, Good, Need, judge, path_of};
use super::fetch::{End, Fetch, Fetched, elsewhere};
use super::page::{Page, Several};
use super::resolve::{Resolved, Resolver};
use crate::check::context::AskError;
use crate::outcome::{Cause, Observation, Seen, Severity, Status, effect};
use crate::text;

/// How far imports of imports are followed.
const DEEPEST: usize = 32;

/// A body of more bytes than this is large.
const LARGE: usize = 1 << 20;

/// How many bodies are held side by side once a large one was seen.
const LARGE_AT_ONCE: usize = 2;

/// What came of a page's assets.
pub(super) struct Loaded {
    /// The most that one took.
    pub(super) attempts: u32,
    pub(super) observations: Vec<Observation>,
    /// How many came as what they are.
    pub(super) good: usize,
    /// How many of these the page, or what it loads, asks for, and not only ahead of time.
    pub(super) needed: usize,
    /// How many are of other origins, and were not looked at.
    pub(super) foreign: usize,
}

/// What came of one asset.
enum Came {
    /// Good, with the path that answered, and what it imports.
    Good(Good, String, Resolved),
    /// It is at another origin.
    Foreign(Url),
}

/// An asset, and what came of it.
struct Entry {
    asset: Asset,
    result: Option<Result<Came, AskError>>,
}

struct Loader<'f> {
    fetch: &'f Fetch<'f>,
    page: Page,
    resolver: Arc<Resolver>,
    entries: Vec<Entry>,
    /// The places of the entries, by the hashes of their addresses and kinds.
    known: HashMap<u64, usize>,
    /// Whether a large body was seen.
    large: bool,
    attempts: u32,
    /// Addresses of other origins that were counted, those of the page aside.
    abroad: HashSet<u64>,
    observations: Vec<Observation>,
    /// Imports that lead nowhere, and those that were not followed.
    broken: Several<(String, String)>,
    omitted: Several<String>,
}

/// Loads what the page names, and what that imports.
pub(super) async fn load(fetch: &Fetch<'_>, page: Page) -> Loaded {
    let most = fetch.smoke.max_assets;
    if page.own > most {
        let why = format!("the page names {} assets, over the {most} that are loaded (max_assets)", page.own);
        let observations = vec![Observation::of(Seen::Asset, "assets", Err(why.into()))];
        return Loaded { attempts: 1, observations, good: 0, needed: 0, foreign: page.foreign.count };
    }
    let mut page = page;
    let resolver = Resolver {
        page: page.url.clone(),
        upgrade: page.upgrade,
        import_map: std::mem::take(&mut page.import_map),
        most,
        hasher: RandomState::new(),
    };
    let mut loader = Loader {
        fetch,
        resolver: Arc::new(resolver),
        large: false,
        entries: Vec::new(),
        known: HashMap::new(),
        attempts: 1,
        abroad: HashSet::new(),
        observations: Vec::new(),
        broken: Several::default(),
        omitted: Several::default(),
        page,
    };
    let mut wave = Vec::new();
    for asset in std::mem::take(&mut loader.page.assets) {
        wave.extend(loader.add(asset));
    }
    let mut depth = 0;
    while !wave.is_empty() {
        depth += 1;
        wave = loader.load(&wave, depth <= DEEPEST).await;
    }
    loader.finish()
}

impl Loader<'_> {
    /// Adds an asset; its place where it is new.
    fn add(&mut self, asset: Asset) -> Option<usize> {
        let key = self.resolver.hasher.hash_one((&asset.url, asset.kind));
        if let Some(known) = self.known.get(&key) {
            self.entries[*known].asset.merge(asset);
            return None;
        }
        if self.entries.len() == self.fetch.smoke.max_assets {
            self.omitted.add(path_of(&asset.url));
            return None;
        }
        self.known.insert(key, self.entries.len());
        self.entries.push(Entry { asset, result: None });
        Some(self.entries.len() - 1)
    }

    /// Loads some, side by side, and answers with the places of what they import, where that is followed.
    async fn load(&mut self, wave: &[usize], goes_deeper: bool) -> Vec<usize> {
        let (fetch, charset, resolver) = (self.fetch, self.page.charset, &self.resolver.clone());
        let follows = fetch.smoke.imports.is_some();
        let (slots, large) = (&Semaphore::new(LARGE_AT_ONCE), &Cell::new(self.large));
        let one = async |place: usize, asset: Asset| {
            // Once a body was large, few are held side by side.
            let _slot = if large.get() { slots.acquire().await.ok() } else { None };
            let judged = async |end| match end {
                End::Answer(answer) => {
                    large.set(large.get() || answer.body.len() > LARGE);
                    let (asset, resolver) = (asset.clone(), resolver.clone());
                    let judged = fetch.judge(answer, move |answer, stop| {
                        let good = judge(&asset, answer, charset)?;
                        let imports = follows.then(|| resolver.imports(&asset, &answer.body, &answer.url, stop));
                        Ok(Came::Good(good, path_of(&answer.url), imports.unwrap_or_default()))
                    });
                    judged.await
                }
                End::Elsewhere(to) => redirected(&asset.url, to).map_err(AskError::Permanent),
            };
            (place, fetch.get(&asset.url, judged).await)
        };
        let wanted: Vec<(usize, Asset)> =
            wave.iter().map(|place| (*place, self.entries[*place].asset.clone())).collect();
        let loading =
            stream::iter(wanted.into_iter().map(|(place, asset)| one(place, asset))).buffered(fetch.smoke.concurrency);
        let mut loading = std::pin::pin!(loading);
        let mut next = Vec::new();
        while let Some((place, Fetched { mut result, attempts })) = loading.next().await {
            self.attempts = self.attempts.max(attempts);
            match &mut result {
                Ok(Came::Good(_, path, resolved)) => {
                    let name = format!("{} {path}", self.entries[place].asset.kind.word());
                    next.extend(self.imported(&name, std::mem::take(resolved), goes_deeper));
                }
                Ok(Came::Foreign(to)) => _ = self.abroad.insert(resolver.hash(to)),
                Err(_) => {}
            }
            self.entries[place].result = Some(result);
        }
        self.large = large.get();
        next
    }

    /// Takes over what a script or a style sheet imports; with the places of what is new.
    fn imported(&mut self, name: &str, resolved: Resolved, goes_deeper: bool) -> Vec<usize> {
        if let Some(why) = resolved.unclear {
            let detail = format!("its imports cannot be followed whole: {why}");
            self.observations.push(Observation::note(name, Status::Warn, detail));
        }
        self.abroad.extend(resolved.foreign);
        self.broken.extend(resolved.broken, |why| (name.to_owned(), why));
        self.omitted.count += resolved.omitted;
        let mut new = Vec::new();
        for asset in resolved.own {
            if goes_deeper {
                new.extend(self.add(asset));
            } else {
                self.omitted.add(path_of(&asset.url));
            }
        }
        new
    }

    fn finish(self) -> Loaded {
        let of_imports = self.fetch.smoke.imports.unwrap_or(Severity::Warn);
        let (mut good_ones, mut needed) = (0, 0);
        let mut observations = Vec::new();
        for Entry { asset, result } in self.entries {
            let name = asset.shown();
            let Some(result) = result else { continue };
            needed += usize::from(matches!(result, Ok(Came::Good(..))) && asset.need != Need::Preloaded);
            observations.push(match result {
                Ok(Came::Good(Good { doubt: Some(doubt), .. }, ..)) => {
                    good_ones += 1;
                    Observation::new(Seen::Asset, name, Status::Warn, doubt)
                }
                Ok(Came::Good(good, ..)) => {
                    good_ones += 1;
                    Observation::of(Seen::Asset, name, Ok(good.seen))
                }
                Ok(Came::Foreign(to)) => {
                    let detail =
                        format!("it redirects to {}, of another origin: not loaded", text::cut(to.as_str(), 200));
                    Observation::note(&name, Status::Skipped, detail)
                }
                Err(error) => {
                    let severity = match asset.need {
                        Need::Named => Severity::Block,
                        Need::Imported => of_imports,
                        Need::Preloaded => Severity::Warn,
                    };
                    let status = effect(error.status(), severity);
                    Observation { status, ..Observation::of(Seen::Asset, name, Err(error.cause())) }
                }
            });
        }
        let page = self.page;
        let refused = |kept: Several<(String, String)>, severity: Severity, observations: &mut Vec<Observation>| {
            let status = effect(Status::Fail, severity);
            let more = kept.more();
            for (name, why) in kept.shown {
                observations.push(Observation::new(Seen::Asset, name, status, why));
            }
            if more > 0 {
                observations.push(Observation::new(Seen::Asset, "assets", status, format!("{more} more of the kind")));
            }
        };
        refused(page.refused, Severity::Block, &mut observations);
        refused(self.broken, of_imports, &mut observations);
        if let Some(first) = self.omitted.shown.first() {
            let detail = format!(
                "{} not followed, the first is {first}: the page loads more than max_assets, or imports lie over {DEEPEST} deep",
                text::counted(self.omitted.count, "import")
            );
            observations.push(Observation::note("imports", Status::Warn, detail));
        }
        observations.extend(self.observations);
        observations.extend(page.warnings.into_iter().map(|(name, why)| Observation::note(name, Status::Warn, why)));
        let more = page.foreign.more() + self.abroad.len();
        let foreign = page.foreign.count + self.abroad.len();
        for (kind, url) in page.foreign.shown {
            let name = format!("{} {}", kind.word(), text::cut(url.as_str(), 200));
            observations.push(Observation::note(&name, Status::Skipped, "of another origin: not loaded"));
        }
        if more > 0 {
            let detail = format!("{more} more of other origins: not loaded");
            observations.push(Observation::note("assets", Status::Skipped, detail));
        }
        Loaded { attempts: self.attempts, observations, good: good_ones, needed, foreign }
    }
}

/// An asset that is answered with an address of another origin: a store of files keeps its name, and a place to log in does
/// not.
fn redirected(from: &Url, to: Url) -> Result<Came, Cause> {
    let file = |url: &Url| url.path_segments().and_then(|mut segments| segments.next_back()).map(str::to_owned);
    if from.scheme() == "https" && to.scheme() == "http" {
        let to = text::cut(to.as_str(), 200).into_owned();
        return Err(format!("it redirects to {to:?}: browsers refuse http:// on a page of https://").into());
    }
    if matches!(to.scheme(), "http" | "https")
        && file(from).is_some_and(|name| !name.is_empty())
        && file(from) == file(&to)
    {
        return Ok(Came::Foreign(to));
    }
    Err(elsewhere(&to))
}
