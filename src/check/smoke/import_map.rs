//! Import maps: where a module's specifier leads. <https://html.spec.whatwg.org/#import-maps>. Pure.

use std::collections::hash_map::RandomState;
use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher as _, Hasher as _};

use serde_json::{Map, Value};
use url::Url;

use crate::text;

/// The largest import map that is read: its tree takes a multiple of its text.
const LARGEST: usize = 1 << 20;

/// The longest specifier that is looked up.
const LONGEST: usize = 8192;

/// How much of a specifier a sentence shows.
const SHOWN: usize = 200;

/// The import maps of a page, merged.
#[derive(Clone, Debug, Default)]
pub(super) struct ImportMap {
    imports: Names,
    /// By the URL of the importing script, or of a folder above it.
    scopes: HashMap<String, Names>,
    /// The hashes of those scopes that are folders.
    scope_folders: HashSet<u64>,
    integrity: HashMap<String, String>,
    hasher: RandomState,
}

/// Where names lead.
#[derive(Clone, Debug, Default)]
struct Names {
    addresses: HashMap<String, Option<Url>>,
    /// The hashes of those names that are folders.
    folders: HashSet<u64>,
}

impl Names {
    /// Takes over what is not there yet.
    fn extend(&mut self, addresses: impl Iterator<Item = (String, Option<Url>)>, hasher: &RandomState) {
        for (name, address) in addresses {
            self.folders.extend(as_folder(&name, hasher));
            self.addresses.entry(name).or_insert(address);
        }
    }

    /// What is said of a name: of the very name, or of the longest of the folders in front of it.
    fn mapped(&self, name: &str, folders: &[(usize, u64)]) -> Option<Mapped> {
        if let Some(found) = self.addresses.get(name) {
            return Some(Mapped { url: found.clone(), by_name: true });
        }
        let mut folders = folders.iter().rev().filter(|(end, hash)| *end < name.len() && self.folders.contains(hash));
        let (end, address) =
            folders.find_map(|(end, _)| self.addresses.get(&name[..*end]).map(|address| (*end, address.as_ref())))?;
        let url = address.and_then(|address| address.join(&name[end..]).ok());
        Some(Mapped { url, by_name: false })
    }
}

/// What a map says of a name.
struct Mapped {
    url: Option<Url>,
    by_name: bool,
}

/// Where a specifier leads.
#[derive(Debug)]
pub(super) struct Led {
    pub(super) url: Url,
    /// Whether a map names the module itself, not only its folder.
    pub(super) by_name: bool,
}

/// The hash of a name that is a folder.
fn as_folder(name: &str, hasher: &RandomState) -> Option<u64> {
    folders(name, hasher).last().filter(|(end, _)| *end == name.len()).map(|(_, hash)| *hash)
}

/// The folders in front of a name: where each ends, and its hash, so that a long name is hashed once.
fn folders(name: &str, hasher: &RandomState) -> Vec<(usize, u64)> {
    let (mut end, mut state) = (0, hasher.build_hasher());
    let pieces = name.split_inclusive('/').filter(|piece| piece.ends_with('/'));
    let folder = |piece: &str| {
        end += piece.len();
        state.write(piece.as_bytes());
        (end, state.finish())
    };
    pieces.map(folder).collect()
}

impl ImportMap {
    /// Adds a map; what an earlier one says of the same name stays.
    ///
    /// # Errors
    /// Why a browser drops the map.
    pub(super) fn add(&mut self, text: &str, base: &Url) -> Result<(), String> {
        if text.len() > LARGEST {
            return Err(format!("it is larger than the {LARGEST} bytes that are read"));
        }
        let document: Value = serde_json::from_str(text).map_err(|error| format!("it is not JSON ({error})"))?;
        let Value::Object(document) = document else { return Err("it is not a JSON object".into()) };
        let part = |name: &str| match document.get(name) {
            None => Ok(None),
            Some(Value::Object(part)) => Ok(Some(part)),
            Some(_) => Err(format!("its {name:?} is not a JSON object")),
        };
        self.imports.extend(addresses(part("imports")?, base), &self.hasher);
        for (scope, of_scope) in part("scopes")?.into_iter().flatten() {
            let Value::Object(of_scope) = of_scope else { return Err(format!("its scope {scope:?} is not an object")) };
            if let Ok(scope) = base.join(scope) {
                let scope = String::from(scope);
                self.scope_folders.extend(as_folder(&scope, &self.hasher));
                self.scopes.entry(scope).or_default().extend(addresses(Some(of_scope), base), &self.hasher);
            }
        }
        for (address, value) in part("integrity")?.into_iter().flatten() {
            if let (Ok(url), Some(value)) = (base.join(address), value.as_str()) {
                self.integrity.entry(url.into()).or_insert_with(|| value.to_owned());
            }
        }
        Ok(())
    }

    /// What the map demands of a module's body.
    pub(super) fn integrity(&self, url: &Url) -> &str {
        self.integrity.get(url.as_str()).map_or("", String::as_str)
    }

    /// Where a specifier leads that the script at `base` names.
    ///
    /// # Errors
    /// Why it leads nowhere.
    pub(super) fn resolve(&self, specifier: &str, base: &Url) -> Result<Led, String> {
        if specifier.len() > LONGEST {
            return Err(format!("a specifier of {} bytes is longer than the {LONGEST} that are read", specifier.len()));
        }
        let url = as_url(specifier, base);
        let name = url.as_ref().map_or(specifier, Url::as_str);
        // Folders mean nothing to an address of another scheme.
        let is_special = ["http:", "https:", "file:"].iter().any(|scheme| name.starts_with(scheme));
        let has_folders = !self.imports.folders.is_empty() || !self.scopes.is_empty();
        let folders =
            if has_folders && (url.is_none() || is_special) { folders(name, &self.hasher) } else { Vec::new() };
        for names in self.scopes_of(base.as_str()).chain([&self.imports]) {
            match names.mapped(name, &folders) {
                Some(Mapped { url: Some(url), by_name }) => return Ok(Led { url, by_name }),
                Some(Mapped { url: None, .. }) => {
                    return Err(format!("the import map leads {:?} nowhere", text::cut(specifier, SHOWN)));
                }
                None => {}
            }
        }
        let url = url.map(|url| Led { url, by_name: false });
        url.ok_or_else(|| {
            let specifier = text::cut(specifier, SHOWN);
            format!("{specifier:?} is neither an address nor in an import map: no browser can load it")
        })
    }
}

impl ImportMap {
    /// The scopes that a script is in, the closest first.
    fn scopes_of<'m>(&'m self, base: &'m str) -> impl Iterator<Item = &'m Names> {
        let above = if self.scopes.is_empty() { Vec::new() } else { folders(base, &self.hasher) };
        let above = above.into_iter().rev().filter(|(_, hash)| self.scope_folders.contains(hash));
        let own = self.scopes.get(base).filter(|_| !base.ends_with('/'));
        own.into_iter().chain(above.filter_map(|(end, _)| self.scopes.get(&base[..end])))
    }
}

fn addresses(part: Option<&Map<String, Value>>, base: &Url) -> impl Iterator<Item = (String, Option<Url>)> {
    part.into_iter().flatten().map(|(name, address)| {
        let found = address.as_str().and_then(|address| as_url(address, base));
        let name = as_url(name, base).map_or_else(|| name.clone(), String::from);
        // A folder must lead to a folder.
        let found = found.filter(|url| !name.ends_with('/') || url.as_str().ends_with('/'));
        (name, found)
    })
}

/// A specifier that is an address: absolute, or with a slash or dots in front.
fn as_url(specifier: &str, base: &Url) -> Option<Url> {
    let is_relative = ["/", "./", "../"].iter().any(|start| specifier.starts_with(start));
    if is_relative { base.join(specifier).ok() } else { Url::parse(specifier).ok() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn specifiers_lead_where_the_map_says() {
        let page = Url::parse("https://example.com/app/").unwrap();
        let mut map = ImportMap::default();
        let text = r#"{
            "imports": {"react": "/vendor/react.js", "lib/": "./lib/", "./old.js": "/new.js", "none": null, "bad": "react"},
            "scopes": {"/app/legacy/": {"react": "/vendor/react-16.js"}},
            "integrity": {"/vendor/react.js": "sha256-x"}
        }"#;
        map.add(text, &page).unwrap();
        map.add(r#"{"imports": {"react": "/other.js", "vue": "https://cdn.example.net/vue.js"}}"#, &page).unwrap();
        for (specifier, base, wanted) in [
            ("react", "https://example.com/assets/x.js", Ok("https://example.com/vendor/react.js")),
            ("react", "https://example.com/app/legacy/x.js", Ok("https://example.com/vendor/react-16.js")),
            ("lib/a/b.js", "https://example.com/assets/x.js", Ok("https://example.com/app/lib/a/b.js")),
            ("./y.js", "https://example.com/assets/x.js", Ok("https://example.com/assets/y.js")),
            ("../y.js?v=1", "https://example.com/assets/x.js", Ok("https://example.com/y.js?v=1")),
            ("/app/old.js", "https://example.com/assets/x.js", Ok("https://example.com/new.js")),
            ("vue", "https://example.com/assets/x.js", Ok("https://cdn.example.net/vue.js")),
            ("https://cdn.example.net/z.js", "https://example.com/x.js", Ok("https://cdn.example.net/z.js")),
            ("data:text/javascript,1", "https://example.com/x.js", Ok("data:text/javascript,1")),
            ("svelte", "https://example.com/x.js", Err("neither an address nor in an import map")),
            ("y.js", "https://example.com/x.js", Err("neither an address nor in an import map")),
            ("none", "https://example.com/x.js", Err("leads \"none\" nowhere")),
            ("bad", "https://example.com/x.js", Err("leads \"bad\" nowhere")),
        ] {
            let found = map.resolve(specifier, &Url::parse(base).unwrap());
            match wanted {
                Ok(url) => assert_eq!(found.unwrap().url.as_str(), url, "{specifier}"),
                Err(piece) => {
                    assert!(found.as_ref().is_err_and(|error| error.contains(piece)), "{specifier}: {found:?}");
                }
            }
        }
        assert!(map.resolve("react", &page).unwrap().by_name && !map.resolve("lib/a.js", &page).unwrap().by_name);
        assert_eq!(map.integrity(&Url::parse("https://example.com/vendor/react.js").unwrap()), "sha256-x");
    }

    #[test]
    fn long_specifiers_are_looked_up_in_linear_time() {
        let page = Url::parse("https://example.com/").unwrap();
        let mut map = ImportMap::default();
        map.add(r#"{"imports": {"x/": "/x/", "0/a/a/": "/a/"}, "scopes": {"/": {"y/": "/y/"}}}"#, &page).unwrap();
        let tail = "a/".repeat(4000);
        let began = std::time::Instant::now();
        for index in 1..200 {
            assert!(map.resolve(&format!("{index}/{tail}"), &page).is_err());
        }
        assert!(began.elapsed() < std::time::Duration::from_secs(5), "{:?}", began.elapsed());
        assert!(map.resolve(&format!("0/{tail}b.js"), &page).unwrap().url.as_str().ends_with("/a/b.js"));
        assert!(map.resolve(&"a".repeat(8193), &page).unwrap_err().contains("longer than the 8192"));
    }

    #[test]
    fn a_map_that_a_browser_drops_is_named() {
        let page = Url::parse("https://example.com/").unwrap();
        for (text, piece) in [
            ("{", "not JSON"),
            ("[]", "not a JSON object"),
            (r#"{"imports": []}"#, "\"imports\" is not"),
            (r#"{"scopes": {"/a/": 1}}"#, "scope \"/a/\""),
        ] {
            let error = ImportMap::default().add(text, &page).unwrap_err();
            assert!(error.contains(piece), "{text}: {error}");
        }
    }
}
