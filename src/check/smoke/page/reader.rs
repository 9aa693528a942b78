//! Reads a page's tags one by one, as a browser with scripting does.

use std::collections::HashMap;
use std::collections::hash_map::{Entry, RandomState};
use std::hash::BuildHasher as _;

use url::Url;

use super::tags::{Piece, Tag, pieces, text_state};
use super::{Page, Several, tags};
use crate::check::smoke::apart::Stop;
use crate::check::smoke::asset::{Asset, AssetKind, Need, Place, SCRIPT_TYPES, is_private, path_of};
use crate::check::smoke::import_map::ImportMap;
use crate::check::smoke::integrity::Integrity;
use crate::check::smoke::policy::{Element, Policies, Use};
use crate::check::smoke::script;
use crate::check::smoke::sniff::{self, Charset};
use crate::http::Answer;
use crate::text;

/// How many pieces are read between two looks at the clock.
const BETWEEN_LOOKS: usize = 64;

/// An element whose text is read before it means anything.
enum Open {
    /// A script in the page; whether it is a module, and its nonce.
    Inline {
        module: bool,
        nonce: String,
    },
    ImportMap {
        nonce: String,
    },
    Style,
}

/// An element of SVG or `math`, as far as it decides what is in it.
struct Foreign {
    name: Vec<u8>,
    /// Whether HTML is in it.
    holds_html: bool,
}

/// Whether an element of SVG or `math` holds HTML: <https://html.spec.whatwg.org/#html-integration-point>.
fn holds_html(name: &[u8]) -> bool {
    matches!(name, b"foreignobject" | b"desc" | b"title" | b"mi" | b"mo" | b"mn" | b"ms" | b"mtext")
}

/// Whether an element ends SVG and `math` around it: <https://html.spec.whatwg.org/#parsing-main-inforeign>.
fn breaks_out(name: &[u8]) -> bool {
    const NAMES: &[&[u8]] = &[
        b"b",
        b"big",
        b"blockquote",
        b"body",
        b"br",
        b"center",
        b"code",
        b"dd",
        b"div",
        b"dl",
        b"dt",
        b"em",
        b"embed",
        b"h1",
        b"h2",
        b"h3",
        b"h4",
        b"h5",
        b"h6",
        b"head",
        b"hr",
        b"i",
        b"img",
        b"li",
        b"listing",
        b"menu",
        b"meta",
        b"nobr",
        b"ol",
        b"p",
        b"pre",
        b"ruby",
        b"s",
        b"small",
        b"span",
        b"strong",
        b"strike",
        b"sub",
        b"sup",
        b"table",
        b"tt",
        b"u",
        b"ul",
        b"var",
    ];
    NAMES.contains(&name)
}

pub(super) struct Reader {
    page: Page,
    most: usize,
    /// Nothing until it is known.
    charset: Option<Charset>,
    base: Option<Url>,
    policies: Policies,
    /// Which assets were seen, and which place those have that are kept. Hashes: a page can name a million.
    seen: HashMap<u64, Option<usize>>,
    hasher: RandomState,
    /// Whether an element gave a base, be it a good one.
    has_base: bool,
    /// Whether the page is XML, where any element may close itself.
    is_xml: bool,
    /// How deep in templates.
    template: usize,
    /// The open elements of SVG and `math`, and those in them that hold HTML again.
    foreign: Vec<Foreign>,
    templates: Vec<bool>,
    in_head: bool,
    first_tag: Option<Vec<u8>>,
    doctype: Option<Vec<u8>>,
    /// A charset that is not read.
    refusal: Option<String>,
    blocked_scripts: Blocked,
    blocked_sheets: Blocked,
    local: Several<String>,
}

/// What a policy keeps from loading.
#[derive(Default)]
struct Blocked {
    count: usize,
    first: Option<(String, String)>,
}

impl Blocked {
    fn warning(&self, what: &str) -> Option<(&'static str, String)> {
        let (name, directive) = self.first.as_ref()?;
        let detail = format!(
            "{} of its {what} cannot load under its Content-Security-Policy, the first is {name}: {}",
            self.count,
            text::cut(directive, 200)
        );
        Some(("page", detail))
    }
}

impl Reader {
    pub(super) fn new(answer: &Answer, charset: Option<Charset>, most: usize) -> Self {
        let mut policies = Policies::default();
        for value in answer.headers.get_all("content-security-policy") {
            policies.add(&String::from_utf8_lossy(value.as_bytes()));
        }
        let page = Page {
            url: answer.url.clone(),
            charset: charset.unwrap_or(Charset::Utf8),
            assets: Vec::new(),
            own: 0,
            foreign: Several::default(),
            refused: Several::default(),
            warnings: Vec::new(),
            import_map: ImportMap::default(),
            upgrade: policies.upgrades(),
        };
        Self {
            page,
            most,
            charset,
            base: None,
            policies,
            seen: HashMap::new(),
            hasher: RandomState::new(),
            has_base: false,
            is_xml: answer.media_type() == "application/xhtml+xml",
            template: 0,
            foreign: Vec::new(),
            templates: Vec::new(),
            in_head: true,
            first_tag: None,
            doctype: None,
            refusal: None,
            blocked_scripts: Blocked::default(),
            blocked_sheets: Blocked::default(),
            local: Several::default(),
        }
    }

    /// Reads the whole page; false where the time was up first.
    pub(super) fn read(&mut self, html: &[u8], stop: &Stop) -> bool {
        let mut pieces = pieces(html);
        let mut open = None;
        let mut text = Vec::new();
        let mut count = 0_usize;
        while let Some(piece) = pieces.next() {
            count += 1;
            if count.is_multiple_of(BETWEEN_LOOKS) && stop.is_set() {
                return false;
            }
            match tags::read(piece) {
                Piece::Tag(tag) => {
                    let is_foreign = self.enter(&tag);
                    let is_closed = tag.self_closing && (is_foreign || self.is_xml);
                    if !is_foreign
                        && !is_closed
                        && let Some(state) = text_state(&tag.name)
                    {
                        pieces.set_state(state);
                    }
                    text = Vec::new();
                    open = self.start(&tag, is_foreign, is_closed).filter(|_| !is_closed);
                }
                Piece::Text(piece) if open.is_some() => text = piece,
                Piece::Text(_) => {}
                Piece::End(name) => {
                    if let Some(open) = open.take() {
                        self.text(open, &text);
                        text = Vec::new();
                    }
                    self.end(&name);
                }
                Piece::Doctype(name) => {
                    if self.doctype.is_none() && self.first_tag.is_none() {
                        self.doctype = Some(name.to_ascii_lowercase());
                    }
                }
            }
        }
        true
    }

    pub(super) fn is_html(&self) -> bool {
        match (&self.doctype, &self.first_tag) {
            (Some(name), _) => name == b"html",
            (None, Some(tag)) => sniff::is_html(tag),
            (None, None) => false,
        }
    }

    pub(super) fn refusal(&mut self) -> Option<String> {
        self.refusal.take()
    }

    pub(super) fn finish(mut self) -> Page {
        for asset in self.page.assets.iter_mut().filter(|asset| asset.module) {
            let demanded = Integrity::parse(self.page.import_map.integrity(&asset.url));
            if !demanded.hashes.is_empty() && asset.integrity.is_empty() {
                asset.integrity.push(demanded);
            }
        }
        self.page.warnings.extend(self.blocked_scripts.warning("scripts"));
        self.page.warnings.extend(self.blocked_sheets.warning("style sheets"));
        if let Some(first) = self.local.shown.first() {
            let detail = format!(
                "{} of its assets at an address that only a developer's machine or network knows, the first is {first}",
                self.local.count
            );
            self.page.warnings.push(("page", detail));
        }
        self.page
    }

    /// Takes note of where a tag leaves or enters SVG and `math`; whether its element is of these.
    fn enter(&mut self, tag: &Tag) -> bool {
        let name = &*tag.name;
        if self.is_foreign() && breaks_out(name) && !self.is_xml {
            self.break_out();
        }
        let is_root = matches!(name, b"svg" | b"math");
        let is_foreign = self.is_foreign() || is_root;
        if is_foreign && !tag.self_closing && (is_root || holds_html(name)) {
            self.foreign.push(Foreign { name: name.to_vec(), holds_html: !is_root });
        }
        is_foreign
    }

    fn is_foreign(&self) -> bool {
        self.foreign.last().is_some_and(|element| !element.holds_html)
    }

    fn break_out(&mut self) {
        while self.is_foreign() {
            self.foreign.pop();
        }
    }

    fn start(&mut self, tag: &Tag, is_foreign: bool, is_closed: bool) -> Option<Open> {
        let name = &*tag.name;
        if self.first_tag.is_none() {
            self.first_tag = Some(name.to_vec());
        }
        match name {
            b"template" if !is_foreign && !is_closed => {
                // The content of a shadow root is alive.
                let inert = self.attribute(tag, b"shadowrootmode").is_none();
                self.templates.push(inert);
                self.template += usize::from(inert);
                return None;
            }
            b"body" | b"frameset" => self.in_head = false,
            _ => {}
        }
        if self.template > 0 {
            return None;
        }
        match name {
            b"script" if is_foreign => return self.script(tag, is_foreign),
            b"style" => return Some(Open::Style),
            _ if is_foreign => {}
            b"base" if !self.has_base => {
                let href = self.attribute(tag, b"href");
                self.has_base = href.is_some();
                let base = href.and_then(|href| self.page.url.join(&href).ok());
                self.base = base.filter(|base| !matches!(base.scheme(), "data" | "javascript"));
            }
            b"meta" => self.meta(tag),
            b"link" => self.link(tag),
            b"script" => return self.script(tag, is_foreign),
            b"iframe" if self.attribute(tag, b"srcdoc").is_some() => {
                self.warn("it holds a frame with a page of its own (iframe srcdoc), which is not looked at".into());
            }
            b"frameset" => self.warn("it is a frameset: its frames are not loaded".into()),
            _ => {}
        }
        None
    }

    /// Says once what a person should know of the page.
    fn warn(&mut self, why: String) {
        if !self.page.warnings.iter().any(|(_, known)| *known == why) && self.page.warnings.len() < 10 {
            self.page.warnings.push(("page", why));
        }
    }

    /// What `Refresh` says: a page that goes on elsewhere at once is not the one that people see.
    pub(super) fn refresh(&mut self, value: &str) {
        /// Within so many seconds it is at once.
        const SOON: u32 = 5;
        let value = value.trim();
        let digits = value.bytes().take_while(u8::is_ascii_digit).count();
        let rest = value[digits..].trim_start_matches(|c: char| c.is_ascii_digit() || c == '.').trim_start();
        let rest = rest.strip_prefix([';', ',']).unwrap_or(rest).trim_start();
        let address = match rest.get(..3) {
            Some(start) if start.eq_ignore_ascii_case("url") => {
                rest[3..].trim_start().strip_prefix('=').unwrap_or(rest)
            }
            _ => rest,
        };
        let address = address.trim().trim_matches(['"', '\'']);
        if address.is_empty() || !value[..digits].parse::<u32>().is_ok_and(|seconds| seconds <= SOON) {
            return;
        }
        if let Ok(to) = self.base().join(address).map(|to| Place::of(to, &self.page.url, true)) {
            let to = match to {
                Place::Own(url) if url == self.page.url => return,
                Place::Own(url) => path_of(&url),
                Place::Foreign(url) => text::cut(url.as_str(), 200).into_owned(),
                Place::Inline | Place::Refused(_) => return,
            };
            self.warn(format!(
                "it goes on to {to} by itself (Refresh): what is there is not looked at; name that as smoke.page"
            ));
        }
    }

    fn end(&mut self, name: &[u8]) {
        if let Some(at) = self.foreign.iter().rposition(|element| element.name == name) {
            self.foreign.truncate(at);
        }
        match name {
            b"template" => {
                if let Some(inert) = self.templates.pop() {
                    self.template -= usize::from(inert);
                }
            }
            b"p" | b"br" if self.is_foreign() && !self.is_xml => self.break_out(),
            b"head" => self.in_head = false,
            _ => {}
        }
    }

    fn attribute(&self, tag: &Tag, name: &[u8]) -> Option<String> {
        Some(self.charset.unwrap_or(Charset::Utf8).text(tag.attribute(name)?))
    }

    fn address(&self, tag: &Tag, name: &[u8]) -> Option<String> {
        self.attribute(tag, name).filter(|address| !address.trim().is_empty())
    }

    fn meta(&mut self, tag: &Tag) {
        let content = self.attribute(tag, b"content").unwrap_or_default();
        let equivalent = self.attribute(tag, b"http-equiv").unwrap_or_default().to_ascii_lowercase();
        let label = self.attribute(tag, b"charset").or_else(|| {
            let parameter = (equivalent == "content-type").then(|| sniff::charset_parameter(&content)).flatten();
            parameter.map(str::to_owned)
        });
        if let (None, Some(label)) = (self.charset, label) {
            // A page whose tags can be read is not in UTF-16, whatever it says.
            let label = if label.to_ascii_lowercase().starts_with("utf-16") { "utf-8" } else { &label };
            match Charset::of(label) {
                Ok(charset) => (self.charset, self.page.charset) = (Some(charset), charset),
                Err(what) => self.refusal = self.refusal.take().or(Some(what)),
            }
        }
        if equivalent == "refresh" {
            self.refresh(&content);
        }
        if equivalent == "content-security-policy" && self.in_head {
            self.policies.add_meta(&content);
            self.page.upgrade = self.policies.upgrades();
        }
    }

    fn link(&mut self, tag: &Tag) {
        let Some(address) = self.address(tag, b"href") else { return };
        let relations = self.attribute(tag, b"rel").unwrap_or_default().to_ascii_lowercase();
        let is = |wanted: &str| relations.split_ascii_whitespace().any(|relation| relation == wanted);
        let destination = self.attribute(tag, b"as").unwrap_or_default().to_ascii_lowercase();
        let (kind, need, module) = if is("stylesheet") {
            let media_type = self.attribute(tag, b"type").unwrap_or_default();
            let other = !matches!(&*media_type.trim().to_ascii_lowercase(), "" | "text/css");
            if other || self.attribute(tag, b"disabled").is_some() {
                return;
            }
            (AssetKind::StyleSheet, Need::Named, false)
        } else if is("modulepreload") {
            match &*destination {
                "" | "script" => (AssetKind::Script, Need::Named, true),
                "style" => (AssetKind::StyleSheet, Need::Named, false),
                "json" => (AssetKind::Json, Need::Named, true),
                _ => return,
            }
        } else if is("preload") {
            match &*destination {
                // Whether it is a module, the page does not say; a script that is none imports nothing.
                "script" => (AssetKind::Script, Need::Preloaded, true),
                "style" => (AssetKind::StyleSheet, Need::Preloaded, false),
                _ => return,
            }
        } else {
            return;
        };
        self.load(tag, &address, kind, need, module);
    }

    fn script(&mut self, tag: &Tag, is_foreign: bool) -> Option<Open> {
        let language = || self.attribute(tag, b"language").filter(|language| !language.is_empty());
        let kind = match self.attribute(tag, b"type") {
            Some(kind) => kind.trim().to_ascii_lowercase(),
            None => language().map(|language| format!("text/{}", language.to_ascii_lowercase())).unwrap_or_default(),
        };
        let nonce = || self.attribute(tag, b"nonce").unwrap_or_default();
        let module = match &*kind {
            "module" => true,
            "importmap" if self.attribute(tag, b"src").is_some() => {
                self.warn("browsers ignore its import map, for that has a src".into());
                return None;
            }
            "importmap" => return Some(Open::ImportMap { nonce: nonce() }),
            "" => false,
            kind if SCRIPT_TYPES.contains(&kind) => false,
            // A block of data, which no browser runs.
            _ => return None,
        };
        if !module && self.attribute(tag, b"nomodule").is_some() {
            return None;
        }
        let address = if is_foreign {
            self.attribute(tag, b"href").or_else(|| self.attribute(tag, b"xlink:href"))
        } else {
            self.attribute(tag, b"src")
        };
        let Some(address) = address else {
            // What a script in the page says is read where it imports, or where a policy wants its hash.
            return (module || !self.policies.is_empty()).then(|| Open::Inline { module, nonce: nonce() });
        };
        if address.trim().is_empty() {
            return None;
        }
        self.load(tag, &address, AssetKind::Script, Need::Named, module);
        None
    }

    /// An element that loads something.
    fn load(&mut self, tag: &Tag, address: &str, kind: AssetKind, need: Need, module: bool) {
        let url = match self.base().join(address) {
            Ok(url) => url,
            Err(error) => {
                let name = format!("{} {:?}", kind.word(), text::cut(address, 200));
                return self.page.refused.add((name, format!("its address is not a URL: {error}")));
            }
        };
        let integrity = Integrity::parse(&self.attribute(tag, b"integrity").unwrap_or_default());
        if !self.policies.is_empty() && need == Need::Named {
            let nonce = self.attribute(tag, b"nonce").unwrap_or_default();
            let used = if kind == AssetKind::StyleSheet { Use::StyleSheet } else { Use::Script };
            let element = Element { used, url: Some(&url), text: b"", nonce: &nonce, integrity: &integrity };
            self.hold(&element, || format!("{} {}", kind.word(), path_of(&url)));
        }
        let integrity = if integrity.hashes.is_empty() { Vec::new() } else { vec![integrity] };
        let asset = asset(url, kind, need);
        self.add(Asset { module, integrity, ..asset });
    }

    fn base(&self) -> &Url {
        self.base.as_ref().unwrap_or(&self.page.url)
    }

    /// Counts what a policy refuses.
    fn hold(&mut self, element: &Element<'_>, name: impl FnOnce() -> String) {
        let Some(directive) = self.policies.refusal(element, &self.page.url) else { return };
        let blocked = match element.used {
            Use::Script => &mut self.blocked_scripts,
            Use::StyleSheet => &mut self.blocked_sheets,
        };
        blocked.count += 1;
        blocked.first.get_or_insert_with(|| (name(), directive));
    }

    /// Adds what the page loads.
    fn add(&mut self, mut asset: Asset) {
        let (place, is_own) = match Place::of(asset.url.clone(), &self.page.url, self.page.upgrade) {
            Place::Inline => return,
            Place::Refused(why) => {
                let mut url = asset.url;
                let _ = (url.set_username(""), url.set_password(None));
                let name = format!("{} {}", asset.kind.word(), text::cut(url.as_str(), 200));
                return self.page.refused.add((name, why));
            }
            Place::Own(url) => (url, true),
            Place::Foreign(url) => (url, false),
        };
        asset.url = place;
        let hash = self.hasher.hash_one((&asset.url, asset.kind));
        match self.seen.entry(hash) {
            Entry::Occupied(known) => {
                if let Some(known) = known.get().and_then(|at| self.page.assets.get_mut(at)) {
                    known.merge(asset);
                }
            }
            Entry::Vacant(vacant) if is_own => {
                self.page.own += 1;
                let kept = self.page.assets.len() < self.most;
                vacant.insert(kept.then_some(self.page.assets.len()));
                if kept {
                    self.page.assets.push(asset);
                }
            }
            Entry::Vacant(vacant) => {
                vacant.insert(None);
                if is_private(&asset.url) && !is_private(&self.page.url) {
                    self.local.add(format!("{} {}", asset.kind.word(), text::cut(asset.url.as_str(), 200)));
                }
                self.page.foreign.add((asset.kind, asset.url));
            }
        }
    }

    /// An element whose text has ended.
    fn text(&mut self, open: Open, text: &[u8]) {
        let none = Integrity::default();
        let element = |nonce| Element { used: Use::Script, url: None, text, nonce, integrity: &none };
        match open {
            Open::Style => {
                let base = self.base().clone();
                let _ = script::sheet_imports(text, |import| {
                    if let Ok(url) = base.join(&import.specifier) {
                        self.add(asset(url, AssetKind::StyleSheet, Need::Named));
                    }
                });
            }
            Open::ImportMap { nonce } => {
                self.hold(&element(&nonce), || "its import map".into());
                let base = self.base().clone();
                if let Err(why) = self.page.import_map.add(&String::from_utf8_lossy(text), &base) {
                    self.page.refused.add(("import map".into(), why));
                }
            }
            Open::Inline { module, nonce } => {
                self.hold(&element(&nonce), || "a script in the page itself".into());
                if module {
                    self.module(text);
                }
            }
        }
    }

    /// A module in the page itself: what it imports, the page names.
    fn module(&mut self, source: &[u8]) {
        let base = self.base().clone();
        let unclear = script::imports(source, |import| match self.page.import_map.resolve(&import.specifier, &base) {
            Ok(led) => {
                let asset = asset(led.url, import.kind, Need::Named);
                self.add(Asset { module: import.kind != AssetKind::StyleSheet, ..asset });
            }
            Err(why) => self.page.refused.add(("module in the page".into(), text::cut(&why, 300).into_owned())),
        });
        if let Some(why) = unclear.filter(|_| self.page.warnings.is_empty()) {
            self.page.warnings.push(("page", format!("a module in the page cannot be followed whole: {why}")));
        }
    }
}

fn asset(url: Url, kind: AssetKind, need: Need) -> Asset {
    Asset { url, kind, need, module: kind == AssetKind::Json, integrity: Vec::new(), importer: None }
}
