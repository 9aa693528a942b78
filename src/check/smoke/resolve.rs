//! Where what a script or a style sheet imports leads: worked out beside the reading of its body, and kept small. Pure.

use std::collections::HashSet;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;

use url::Url;

use super::apart::Stop;
use super::asset::{Asset, AssetKind, Need, Place, path_of};
use super::import_map::ImportMap;
use super::integrity::Integrity;
use super::page::Several;
use super::script::{self, Import};
use crate::text;

/// What the page says of where imports lead.
pub(super) struct Resolver {
    pub(super) page: Url,
    /// Whether `http:` addresses are asked for by `https:`.
    pub(super) upgrade: bool,
    pub(super) import_map: ImportMap,
    /// At most so many assets of one script are kept.
    pub(super) most: usize,
    pub(super) hasher: RandomState,
}

/// Where the imports of one script or style sheet lead.
#[derive(Debug, Default)]
pub(super) struct Resolved {
    /// Those of the page's own origin, each once.
    pub(super) own: Vec<Asset>,
    /// How many more there are.
    pub(super) omitted: usize,
    /// Those of other origins, as their hashes.
    pub(super) foreign: HashSet<u64>,
    /// Why some lead nowhere.
    pub(super) broken: Several<String>,
    /// Why the rest was not looked at.
    pub(super) unclear: Option<&'static str>,
}

impl Resolver {
    /// What the body of an asset imports that was answered at `base`.
    pub(super) fn imports(&self, asset: &Asset, body: &[u8], base: &Url, stop: &Stop) -> Resolved {
        let mut resolved = Resolved::default();
        let mut seen = HashSet::new();
        let importer = path_of(base);
        let mut is_late = false;
        let mut found = |import: Import| {
            is_late = is_late || stop.is_set();
            if !is_late {
                self.resolve(&import, asset.kind, base, &importer, &mut seen, &mut resolved);
            }
        };
        let unclear = match asset.kind {
            AssetKind::Script if asset.module => script::imports(body, &mut found),
            AssetKind::StyleSheet => script::sheet_imports(body, &mut found),
            AssetKind::Script | AssetKind::Json | AssetKind::Wasm => None,
        };
        resolved.unclear = if is_late { Some("time ran out") } else { unclear };
        resolved
    }

    fn resolve(
        &self,
        import: &Import,
        kind: AssetKind,
        base: &Url,
        importer: &str,
        seen: &mut HashSet<u64>,
        resolved: &mut Resolved,
    ) {
        let (led, need) = if kind == AssetKind::StyleSheet {
            (base.join(&import.specifier).map_err(|error| error.to_string()), Need::Imported)
        } else {
            match self.import_map.resolve(&import.specifier, base) {
                // What the page's own map names, the page names.
                Ok(led) => (Ok(led.url), if led.by_name { Need::Named } else { Need::Imported }),
                Err(why) => (Err(why), Need::Imported),
            }
        };
        let url = match led.map(|url| Place::of(url, &self.page, self.upgrade)) {
            Ok(Place::Own(url)) => url,
            Ok(Place::Foreign(url)) => {
                resolved.foreign.insert(self.hash(&url));
                return;
            }
            Ok(Place::Inline) => return,
            Ok(Place::Refused(why)) => {
                let shown = text::cut(&import.specifier, 200);
                return resolved.broken.add(format!("it imports {shown:?}: {why}"));
            }
            Err(why) => {
                return resolved.broken.add(format!("it imports what cannot be found: {}", text::cut(&why, 300)));
            }
        };
        if !seen.insert(self.hasher.hash_one((&url, import.kind))) {
            return;
        }
        if resolved.own.len() > self.most {
            resolved.omitted += 1;
            return;
        }
        let demanded = Integrity::parse(self.import_map.integrity(&url));
        resolved.own.push(Asset {
            url,
            kind: import.kind,
            need,
            module: import.kind != AssetKind::StyleSheet,
            integrity: if demanded.hashes.is_empty() { Vec::new() } else { vec![demanded] },
            importer: Some(importer.to_owned()),
        });
    }

    /// An address as a number: a hostile site can name millions.
    pub(super) fn hash(&self, url: &Url) -> u64 {
        self.hasher.hash_one(url)
    }
}
