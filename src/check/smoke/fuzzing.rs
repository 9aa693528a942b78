//! What must hold of pages and of what they load, whatever the bytes.

use std::collections::HashSet;

use url::Url;

use super::apart::Stop;
use super::import_map::ImportMap;
use super::{page, script, sniff};
use crate::http::Answer;

/// The most assets that are kept.
const MOST: usize = 20;

/// A page has no more assets than are kept, each once and of its own origin; imports are named once; every refusal says why.
pub(in crate::check) fn html(bytes: &[u8]) {
    for media_type in ["text/html", "application/xhtml+xml", "text/html; charset=iso-8859-1"] {
        let mut answer = Answer::of(200, &[("content-type", media_type)], "");
        answer.body = bytes.to_vec();
        match page::read(&answer, MOST, &Stop::never()) {
            Ok(page) => {
                assert!(page.assets.len() <= MOST && page.assets.len() <= page.own);
                // One that is a script and a style sheet is judged as each.
                let assets: HashSet<_> = page.assets.iter().map(|asset| (&asset.url, asset.kind)).collect();
                assert_eq!(assets.len(), page.assets.len(), "an asset stands there twice");
                assert!(page.assets.iter().all(|asset| asset.url.origin() == page.url.origin()));
                assert!(page.foreign.shown.iter().all(|(_, url)| url.origin() != page.url.origin()));
                assert!(page.warnings.iter().all(|(name, detail)| !name.is_empty() && !detail.is_empty()));
            }
            Err(cause) => assert!(!cause.text.is_empty()),
        }
    }
    let mut seen = HashSet::new();
    script::imports(bytes, |import| assert!(seen.insert(import.specifier.clone()), "{import:?} twice"));
    let mut seen = HashSet::new();
    script::sheet_imports(bytes, |import| assert!(seen.insert(import.specifier.clone()), "{import:?} twice"));
    sniff::script(bytes);
    sniff::is_without_rule(bytes);
    let text = String::from_utf8_lossy(bytes);
    if let Ok(base) = Url::parse("https://canary.example.com/app/") {
        let mut map = ImportMap::default();
        if map.add(&text, &base).is_ok() {
            for specifier in ["app", "app/", "app/part.js", "./a.js", "/a.js", "https://other.example.com/a.js"] {
                let _ = map.resolve(specifier, &base);
            }
        }
    }
}
