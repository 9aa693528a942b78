//! YAML as a tree whose nodes know their places. What an alias names is shared, not copied: its place is where it is
//! written, and each use remembers its own.

use std::collections::{HashMap, HashSet};
use std::mem;
use std::rc::Rc;

use granit_parser::{ErrorKind, Event, Marker, Options, Parser, ScalarStyle, Span, StructureStyle, Tag};

use super::code;
use super::scalar::{Scalar, Style};
use crate::outcome::{Diagnostic, Place};
use crate::text::cut;

const MAX_ALIASES: usize = 1_000;
pub(crate) const MAX_DEPTH: usize = 32;

/// What a text may hold.
#[derive(Clone, Copy)]
pub(crate) struct Limits {
    /// The most values.
    pub(crate) nodes: usize,
    /// Whether it may hold several documents.
    pub(crate) several: bool,
    /// What the text is, for the sentence about one that is too large: "plan".
    pub(crate) noun: &'static str,
}

/// A node of the tree.
#[derive(Debug)]
pub(crate) struct Node {
    /// Of a block mapping or list behind a key: that of the key, which is what a person looks for.
    pub(crate) place: Place,
    pub(crate) value: Value,
}

#[derive(Debug)]
pub(crate) enum Value {
    Scalar(Scalar),
    List(Vec<Edge>),
    Mapping(Vec<Entry>),
}

/// A key and its value.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) key_place: Place,
    pub(crate) value: Edge,
}

/// The way to a node.
#[derive(Clone, Debug)]
pub(crate) struct Edge {
    pub(crate) node: Rc<Node>,
    /// Where the alias is used that leads to it.
    pub(crate) alias: Option<Place>,
}

/// What a text holds.
#[derive(Debug, Default)]
pub(crate) struct Built {
    /// The roots of its documents, without those that are nothing or null.
    pub(crate) roots: Vec<Edge>,
    /// Its comments in their order: the place of the `#`, and what follows it.
    pub(crate) comments: Vec<(Place, String)>,
}

/// Builds the tree; nothing where the text is not YAML or over a limit, which is then the last mistake.
pub(crate) fn build(text: &str, limits: Limits, mistakes: &mut Vec<Diagnostic>) -> Option<Built> {
    let mut options = Options::default();
    // A file may begin with as many lines of comment as it likes.
    options.max_buffered_comment_events = text.len();
    let mut builder = Builder {
        mistakes,
        open: Vec::new(),
        anchors: HashMap::new(),
        built: Built::default(),
        nodes: 0,
        aliases: 0,
        limits,
    };
    for event in Parser::new_from_str_with_options(text, options) {
        match event {
            Ok((event, span)) => builder.event(event, span)?,
            Err(error) => {
                let place = place(*error.marker());
                return match error.kind() {
                    ErrorKind::RecursionLimitExceeded => builder.too_deep(place),
                    _ => builder.stop(place, format!("the file is not valid YAML: {}", error.info())),
                };
            }
        }
    }
    let is_null = |edge: &Edge| match &edge.node.value {
        Value::Scalar(scalar) => scalar.meaning() == super::scalar::Meaning::Null,
        Value::List(_) | Value::Mapping(_) => false,
    };
    builder.built.roots.retain(|root| !is_null(root));
    Some(builder.built)
}

fn place(marker: Marker) -> Place {
    let number = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
    Place { line: number(marker.line()), column: number(marker.col()).saturating_add(1) }
}

struct Builder<'m> {
    mistakes: &'m mut Vec<Diagnostic>,
    open: Vec<Open>,
    anchors: HashMap<usize, Rc<Node>>,
    built: Built,
    nodes: usize,
    aliases: usize,
    limits: Limits,
}

/// A list or a mapping that has not ended.
struct Open {
    place: Place,
    anchor: usize,
    content: Content,
}

enum Content {
    List(Vec<Edge>),
    Mapping { entries: Vec<Entry>, merged: Vec<Edge>, seen: HashMap<String, Place>, key: Option<Edge> },
}

impl Builder<'_> {
    /// Nothing where reading has to stop.
    fn event(&mut self, event: Event<'_>, span: Span) -> Option<()> {
        let start = place(span.start);
        match event {
            Event::DocumentStart(..) if !self.built.roots.is_empty() && !self.limits.several => {
                self.stop(start, "the file holds several YAML documents; want one")
            }
            Event::Comment(text, _) => {
                self.built.comments.push((start, text.into_owned()));
                Some(())
            }
            Event::Scalar(text, style, anchor, tag) => {
                self.count(start)?;
                let text_tag = self.tag(tag.as_deref(), start)?;
                let missing = span.is_empty() && style == ScalarStyle::Plain;
                let style = match style {
                    ScalarStyle::Literal | ScalarStyle::Folded => Style::Block,
                    ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted => Style::Quoted,
                    ScalarStyle::Plain if text_tag => Style::Quoted,
                    ScalarStyle::Plain if missing => Style::Missing,
                    ScalarStyle::Plain => Style::Plain,
                };
                let place = if missing { self.key_place().unwrap_or(start) } else { start };
                let value = Value::Scalar(Scalar { text: text.into_owned(), style });
                self.complete(Node { place, value }, anchor);
                Some(())
            }
            Event::SequenceStart(style, anchor, tag) => {
                self.open(start, style, anchor, tag.as_deref(), Content::List(Vec::new()))
            }
            Event::MappingStart(style, anchor, tag) => {
                let content =
                    Content::Mapping { entries: Vec::new(), merged: Vec::new(), seen: HashMap::new(), key: None };
                self.open(start, style, anchor, tag.as_deref(), content)
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let Open { place, anchor, content } = self.open.pop()?;
                let value = match content {
                    Content::List(items) => Value::List(items),
                    Content::Mapping { entries, merged, .. } => Value::Mapping(self.merge(entries, merged)),
                };
                self.complete(Node { place, value }, anchor);
                Some(())
            }
            Event::Alias(anchor) => {
                self.count(start)?;
                self.aliases += 1;
                if self.aliases > MAX_ALIASES {
                    return self.stop(
                        start,
                        format!("the file has over {MAX_ALIASES} aliases; no {} needs them", self.limits.noun),
                    );
                }
                let Some(node) = self.anchors.get(&anchor).cloned() else {
                    return self.stop(start, "the alias is inside of what it names");
                };
                self.attach(Edge { node, alias: Some(start) });
                Some(())
            }
            _ => Some(()),
        }
    }

    fn stop<T>(&mut self, place: Place, message: impl Into<String>) -> Option<T> {
        self.report(code::YAML, place, message);
        None
    }

    fn report(&mut self, code: &'static str, place: Place, message: impl Into<String>) {
        self.mistakes.push(Diagnostic::new(code, Some(place), message));
    }

    fn too_deep<T>(&mut self, place: Place) -> Option<T> {
        self.stop(
            place,
            format!("the file is nested over {MAX_DEPTH} levels deep; no {} is that deep", self.limits.noun),
        )
    }

    fn count(&mut self, place: Place) -> Option<()> {
        self.nodes += 1;
        let Limits { nodes, noun, .. } = self.limits;
        if self.nodes > nodes {
            return self.stop(place, format!("the file has over {nodes} values; no {noun} is that large"));
        }
        Some(())
    }

    /// Whether a tag makes a plain scalar text.
    fn tag(&mut self, tag: Option<&Tag>, place: Place) -> Option<bool> {
        match tag.map(Tag::core_suffix) {
            None | Some(Some("null" | "bool" | "int" | "float" | "seq" | "map")) => Some(false),
            Some(Some("str")) => Some(true),
            Some(_) => {
                let tag = tag.map(Tag::original).unwrap_or_default();
                self.stop(place, format!("the tag {} has no meaning here", cut(&tag, 40)))
            }
        }
    }

    /// The place of the key whose value comes next.
    fn key_place(&self) -> Option<Place> {
        match &self.open.last()?.content {
            Content::Mapping { key: Some(key), .. } => Some(key.alias.unwrap_or(key.node.place)),
            Content::Mapping { .. } | Content::List(_) => None,
        }
    }

    fn open(
        &mut self,
        start: Place,
        style: StructureStyle,
        anchor: usize,
        tag: Option<&Tag>,
        content: Content,
    ) -> Option<()> {
        self.count(start)?;
        self.tag(tag, start)?;
        if self.open.len() >= MAX_DEPTH {
            return self.too_deep(start);
        }
        let place = self.key_place().filter(|_| style == StructureStyle::Block).unwrap_or(start);
        self.open.push(Open { place, anchor, content });
        Some(())
    }

    fn complete(&mut self, node: Node, anchor: usize) {
        let node = Rc::new(node);
        if anchor > 0 {
            self.anchors.insert(anchor, Rc::clone(&node));
        }
        self.attach(Edge { node, alias: None });
    }

    /// Puts a node where it belongs: into the list or the mapping around it.
    fn attach(&mut self, edge: Edge) {
        let Some(Open { content, .. }) = self.open.last_mut() else {
            self.built.roots.push(edge);
            return;
        };
        let (entries, merged, seen, key) = match content {
            Content::List(items) => {
                items.push(edge);
                return;
            }
            Content::Mapping { entries, merged, seen, key } => (entries, merged, seen, key),
        };
        let Some(key) = mem::take(key) else {
            *key = Some(edge);
            return;
        };
        let key_place = key.alias.unwrap_or(key.node.place);
        let Value::Scalar(Scalar { text, style }) = &key.node.value else {
            self.report(code::WRONG_TYPE, key_place, "a key is text, and this is a list or a mapping");
            return;
        };
        if text == "<<" && *style == Style::Plain {
            merged.push(edge);
            return;
        }
        if let Some(first) = seen.get(text) {
            let message = format!("the key {:?} is duplicated; the first one is at {first}", cut(text, 40));
            self.mistakes.push(Diagnostic::new(code::DUPLICATE_KEY, Some(key_place), message));
            return;
        }
        seen.insert(text.clone(), key_place);
        entries.push(Entry { key: text.clone(), key_place, value: edge });
    }

    /// Adds what `<<` brings in: the keys that the mapping itself does not have, those of an earlier one first.
    fn merge(&mut self, mut entries: Vec<Entry>, merged: Vec<Edge>) -> Vec<Entry> {
        if merged.is_empty() {
            return entries;
        }
        let mut keys: HashSet<String> = entries.iter().map(|entry| entry.key.clone()).collect();
        for edge in merged {
            let parts = match &edge.node.value {
                Value::List(items) => items.clone(),
                Value::Mapping(_) | Value::Scalar(_) => vec![edge],
            };
            for part in parts {
                let Value::Mapping(brought) = &part.node.value else {
                    let message = "<< wants a mapping or a list of mappings, each by its alias";
                    self.report(code::WRONG_TYPE, part.alias.unwrap_or(part.node.place), message);
                    continue;
                };
                for entry in brought {
                    if keys.contains(&entry.key) {
                        continue;
                    }
                    keys.insert(entry.key.clone());
                    let mut entry = entry.clone();
                    entry.value.alias = part.alias.or(entry.value.alias);
                    entries.push(entry);
                    // A chain of merges may not grow without end either.
                    self.nodes += 1;
                }
            }
        }
        entries
    }
}
