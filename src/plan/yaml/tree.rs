//! YAML as a tree whose nodes know their places. What an alias names is shared, not copied: its place is where it is
//! written, and each use remembers its own.

use std::collections::{HashMap, HashSet};
use std::mem;
use std::rc::Rc;

use granit_parser::{ErrorKind, Event, Marker, Options, Parser, ScalarStyle, Span, StructureStyle, Tag};

use super::super::code;
use super::super::mistakes::Mistakes;
use super::scalar::{Scalar, Style};
use crate::outcome::Place;
use crate::text::cut;

const MAX_ALIASES: usize = 1_000;
pub(super) const MAX_DEPTH: usize = 32;

/// A node of the tree.
#[derive(Debug)]
pub(super) struct Node {
    /// Of a block mapping or list behind a key: that of the key, which is what a person looks for.
    pub(super) place: Place,
    pub(super) value: Value,
}

#[derive(Debug)]
pub(super) enum Value {
    Scalar(Scalar),
    List(Vec<Edge>),
    Mapping(Vec<Entry>),
}

/// A key and its value.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) key_place: Place,
    pub(super) value: Edge,
}

/// The way to a node.
#[derive(Clone, Debug)]
pub(super) struct Edge {
    pub(super) node: Rc<Node>,
    /// Where the alias is used that leads to it.
    pub(super) alias: Option<Place>,
}

/// What a text holds.
#[derive(Debug)]
pub(super) enum Built {
    Tree(Edge),
    /// Nothing, or null.
    Nothing,
}

/// Builds the tree; nothing where the text is not YAML or over a bound, which is then the last mistake.
pub(super) fn build(text: &str, most: usize, mistakes: &mut Mistakes<'_>) -> Option<Built> {
    let mut options = Options::default();
    options.set_emit_comments(false);
    let mut builder =
        Builder { mistakes, open: Vec::new(), anchors: HashMap::new(), root: None, nodes: 0, aliases: 0, most };
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
    let root = builder.root.take();
    let is_null = |edge: &Edge| match &edge.node.value {
        Value::Scalar(scalar) => scalar.meaning() == super::scalar::Meaning::Null,
        Value::List(_) | Value::Mapping(_) => false,
    };
    Some(root.filter(|root| !is_null(root)).map_or(Built::Nothing, Built::Tree))
}

fn place(marker: Marker) -> Place {
    let number = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
    Place { line: number(marker.line()), column: number(marker.col()).saturating_add(1) }
}

struct Builder<'m, 't> {
    mistakes: &'m mut Mistakes<'t>,
    open: Vec<Open>,
    anchors: HashMap<usize, Rc<Node>>,
    root: Option<Edge>,
    nodes: usize,
    aliases: usize,
    /// The most nodes.
    most: usize,
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

impl Builder<'_, '_> {
    /// Nothing where reading has to stop.
    fn event(&mut self, event: Event<'_>, span: Span) -> Option<()> {
        let start = place(span.start);
        match event {
            Event::DocumentStart(..) if self.root.is_some() => {
                self.stop(start, "the file holds several YAML documents; want one")
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
                    return self.stop(start, format!("the file has over {MAX_ALIASES} aliases; no plan needs them"));
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
        self.mistakes.add(code::YAML, Some(place), message);
        None
    }

    fn too_deep<T>(&mut self, place: Place) -> Option<T> {
        self.stop(place, format!("the file is nested over {MAX_DEPTH} levels deep; no plan is that deep"))
    }

    fn count(&mut self, place: Place) -> Option<()> {
        self.nodes += 1;
        if self.nodes > self.most {
            return self.stop(place, format!("the file has over {} values; no plan is that large", self.most));
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
            self.root = Some(edge);
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
            self.mistakes.add(code::WRONG_TYPE, Some(key_place), "a key is text, and this is a list or a mapping");
            return;
        };
        if text == "<<" && *style == Style::Plain {
            merged.push(edge);
            return;
        }
        if let Some(first) = seen.get(text) {
            let message = format!("the key {:?} is duplicated; the first one is at {first}", cut(text, 40));
            self.mistakes.add(code::DUPLICATE_KEY, Some(key_place), message);
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
                    self.mistakes.add(code::WRONG_TYPE, Some(part.alias.unwrap_or(part.node.place)), message);
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
