//! The assets that a page names, and what these import: loaded, and looked at for what they are.

use std::collections::{HashMap, HashSet};

use futures_util::stream::{self, StreamExt as _};
use url::Url;

use super::asset::{Asset, AssetKind, Good, Need, Place, judge, path_of};
use super::fetch::{End, Fetch, Fetched, elsewhere};
use super::page::{Page, Several};
use crate::check::context::AskError;
use crate::outcome::{Cause, Observation, Seen, Severity, Status, effect};
use crate::text;

/// How far imports of imports are followed.
const DEEPEST: usize = 32;

/// What came of a page's assets.
pub(super) struct Loaded {
    /// The most that one took.
    pub(super) attempts: u32,
    pub(super) observations: Vec<Observation>,
    /// How many came as what they are.
    pub(super) good: usize,
    /// How many are of other origins, and were not looked at.
    pub(super) foreign: usize,
}

/// What came of one asset.
enum Came {
    /// Good, with where it was answered.
    Good(Url, Good),
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
    entries: Vec<Entry>,
    known: HashMap<(Url, AssetKind), usize>,
    attempts: u32,
    /// Addresses of other origins that were counted, those of the page aside.
    abroad: HashSet<Url>,
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
        return Loaded { attempts: 1, observations, good: 0, foreign: page.foreign.count };
    }
    let mut loader = Loader {
        fetch,
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
    for depth in 0.. {
        let imported = loader.load(&wave).await;
        wave = Vec::new();
        for asset in imported {
            if depth < DEEPEST {
                wave.extend(loader.add(asset));
            } else {
                loader.omitted.add(path_of(&asset.url));
            }
        }
        if wave.is_empty() {
            break;
        }
    }
    loader.finish()
}

impl Loader<'_> {
    /// Adds an asset; its place where it is new.
    fn add(&mut self, asset: Asset) -> Option<usize> {
        let key = (asset.url.clone(), asset.kind);
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

    /// Loads some, side by side, and answers with what they import.
    async fn load(&mut self, wave: &[usize]) -> Vec<Asset> {
        let (fetch, charset) = (self.fetch, self.page.charset);
        let one = async |place: usize, asset: Asset| {
            let fetched = fetch
                .get(&asset.url, async |end| match end {
                    End::Answer(answer) => {
                        let (asset, url) = (asset.clone(), answer.url.clone());
                        let good = fetch.judge(answer, move |answer, _| judge(&asset, answer, charset)).await?;
                        Ok(Came::Good(url, good))
                    }
                    End::Elsewhere(to) => redirected(&asset.url, to).map_err(AskError::Permanent),
                })
                .await;
            (place, fetched)
        };
        let wanted: Vec<(usize, Asset)> =
            wave.iter().map(|place| (*place, self.entries[*place].asset.clone())).collect();
        let loaded: Vec<(usize, Fetched<Came>)> =
            stream::iter(wanted.into_iter().map(|(place, asset)| one(place, asset)))
                .buffered(fetch.smoke.concurrency)
                .collect()
                .await;
        let mut imported = Vec::new();
        for (place, fetched) in loaded {
            self.attempts = self.attempts.max(fetched.attempts);
            let mut result = fetched.result;
            match &mut result {
                Ok(Came::Good(url, good)) => {
                    let imports = std::mem::take(&mut good.imports);
                    if fetch.smoke.imports.is_some() {
                        imported.extend(self.imported(&url.clone(), place, imports));
                    }
                }
                Ok(Came::Foreign(to)) => _ = self.abroad.insert(to.clone()),
                Err(_) => {}
            }
            self.entries[place].result = Some(result);
        }
        imported
    }

    /// What a script or a style sheet imports of the page's own origin.
    fn imported(&mut self, base: &Url, place: usize, imports: super::script::Imports) -> Vec<Asset> {
        let kind = self.entries[place].asset.kind;
        let importer = path_of(base);
        let name = format!("{} {importer}", kind.word());
        if let Some(why) = imports.unclear {
            let detail = format!("its imports cannot be followed whole: {why}");
            self.observations.push(Observation::note(&name, Status::Warn, detail));
        }
        let mut own = Vec::new();
        for import in imports.found {
            let resolved = match kind {
                AssetKind::StyleSheet => base.join(&import.specifier).map_err(|error| error.to_string()),
                AssetKind::Script | AssetKind::Json => self.page.import_map.resolve(&import.specifier, base),
            };
            let shown = text::cut(&import.specifier, 200).into_owned();
            match resolved.map(|url| Place::of(url, &self.page.url, self.page.upgrade)) {
                Ok(Place::Own(url)) => own.push(Asset {
                    url,
                    kind: import.kind,
                    need: Need::Imported,
                    module: import.kind != AssetKind::StyleSheet,
                    integrity: Vec::new(),
                    importer: Some(importer.clone()),
                }),
                Ok(Place::Foreign(url)) => _ = self.abroad.insert(url),
                Ok(Place::Inline) => {}
                Ok(Place::Refused(why)) => self.broken.add((name.clone(), format!("it imports {shown:?}: {why}"))),
                Err(why) => {
                    let why = text::cut(&why, 300).into_owned();
                    self.broken.add((name.clone(), format!("it imports what cannot be found: {why}")));
                }
            }
        }
        own
    }

    fn finish(self) -> Loaded {
        let of_imports = self.fetch.smoke.imports.unwrap_or(Severity::Warn);
        let mut good_ones = 0;
        let mut observations = Vec::new();
        for Entry { asset, result } in self.entries {
            let name = asset.shown();
            let Some(result) = result else { continue };
            observations.push(match result {
                Ok(Came::Good(_, Good { doubt: Some(doubt), .. })) => {
                    good_ones += 1;
                    Observation::new(Seen::Asset, name, Status::Warn, doubt)
                }
                Ok(Came::Good(_, good)) => {
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
        Loaded { attempts: self.attempts, observations, good: good_ones, foreign }
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
