//! Import maps: where a module's specifier leads. <https://html.spec.whatwg.org/#import-maps>. Pure.

use std::collections::HashMap;

use serde_json::{Map, Value};
use url::Url;

/// The largest import map that is read: its tree takes a multiple of its text.
const LARGEST: usize = 1 << 20;

/// The longest specifier that is looked up.
const LONGEST: usize = 8192;

/// The import maps of a page, merged.
#[derive(Clone, Debug, Default)]
pub(super) struct ImportMap {
    imports: HashMap<String, Option<Url>>,
    /// By the URL of the importing script, or of a folder above it.
    scopes: Vec<(String, HashMap<String, Option<Url>>)>,
    integrity: HashMap<String, String>,
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
        for (name, address) in addresses(part("imports")?, base) {
            self.imports.entry(name).or_insert(address);
        }
        for (scope, of_scope) in part("scopes")?.into_iter().flatten() {
            let Value::Object(of_scope) = of_scope else { return Err(format!("its scope {scope:?} is not an object")) };
            if let Ok(scope) = base.join(scope) {
                self.scopes.push((scope.into(), addresses(Some(of_scope), base).collect()));
            }
        }
        self.scopes.sort_by_key(|(scope, _)| std::cmp::Reverse(scope.len()));
        for (address, value) in part("integrity")?.into_iter().flatten() {
            if let (Ok(url), Some(value)) = (base.join(address), value.as_str()) {
                self.integrity.entry(url.into()).or_insert_with(|| value.to_owned());
            }
        }
        Ok(())
    }

    /// Every module that the map names; folders are not.
    pub(super) fn modules(&self) -> impl Iterator<Item = &Url> {
        let scoped = self.scopes.iter().flat_map(|(_, of_scope)| of_scope);
        let named = self.imports.iter().chain(scoped).filter(|(name, _)| !name.ends_with('/'));
        named.filter_map(|(_, address)| address.as_ref())
    }

    /// What the map demands of a module's body.
    pub(super) fn integrity(&self, url: &Url) -> &str {
        self.integrity.get(url.as_str()).map_or("", String::as_str)
    }

    /// Where a specifier leads that the script at `base` names.
    ///
    /// # Errors
    /// Why it leads nowhere.
    pub(super) fn resolve(&self, specifier: &str, base: &Url) -> Result<Url, String> {
        if specifier.len() > LONGEST {
            return Err(format!("a specifier of {} bytes is longer than the {LONGEST} that are read", specifier.len()));
        }
        let url = as_url(specifier, base);
        let name = url.as_ref().map_or(specifier, Url::as_str);
        let scoped = self.scopes.iter().filter(|(scope, _)| {
            scope == base.as_str() || (scope.ends_with('/') && base.as_str().starts_with(scope.as_str()))
        });
        for map in scoped.map(|(_, of_scope)| of_scope).chain([&self.imports]) {
            match mapped(map, name, url.is_none()) {
                Some(Some(found)) => return Ok(found),
                Some(None) => return Err(format!("the import map leads {specifier:?} nowhere")),
                None => {}
            }
        }
        url.ok_or_else(|| format!("{specifier:?} is neither an address nor in an import map: no browser can load it"))
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

/// What a map says of a name: the very name, or the longest folder in front of it.
fn mapped(map: &HashMap<String, Option<Url>>, name: &str, is_bare: bool) -> Option<Option<Url>> {
    if let Some(found) = map.get(name) {
        return Some(found.clone());
    }
    let is_special = ["http:", "https:", "file:"].iter().any(|scheme| name.starts_with(scheme));
    if !is_bare && !is_special {
        return None;
    }
    let slashes = name.match_indices('/').map(|(at, _)| &name[..=at]);
    let folder = slashes.rev().find(|folder| folder.len() < name.len() && map.contains_key(*folder))?;
    let address = map.get(folder)?.as_ref();
    Some(address.and_then(|address| address.join(&name[folder.len()..]).ok()))
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
                Ok(url) => assert_eq!(found.unwrap().as_str(), url, "{specifier}"),
                Err(piece) => {
                    assert!(found.as_ref().is_err_and(|error| error.contains(piece)), "{specifier}: {found:?}");
                }
            }
        }
        assert_eq!(map.modules().count(), 4);
        assert_eq!(map.integrity(&Url::parse("https://example.com/vendor/react.js").unwrap()), "sha256-x");
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
