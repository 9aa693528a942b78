//! A page as the pieces that matter here. Of a tag only the attributes are kept that are read: a tag may have millions.

use std::convert::Infallible;

use html5gum::emitters::callback::{CallbackEmitter, CallbackEvent};
use html5gum::{Span, State, Tokenizer};

/// The attributes that are read.
const READ: [&[u8]; 16] = [
    b"src",
    b"href",
    b"xlink:href",
    b"srcdoc",
    b"rel",
    b"as",
    b"type",
    b"language",
    b"nomodule",
    b"nonce",
    b"integrity",
    b"disabled",
    b"content",
    b"http-equiv",
    b"charset",
    b"shadowrootmode",
];

/// The longest name of an element that is told apart from others.
const LONGEST_NAME: usize = 64;

/// A piece of a page.
pub(super) enum Piece {
    Tag(Tag),
    /// Behind the tag of a script or a style sheet.
    Text(Vec<u8>),
    End(Vec<u8>),
    /// The name of the document's type.
    Doctype(Vec<u8>),
}

/// A start tag.
#[derive(Default)]
pub(super) struct Tag {
    /// In lower case, as those of its attributes.
    pub(super) name: Vec<u8>,
    pub(super) self_closing: bool,
    attributes: Vec<(&'static [u8], Vec<u8>)>,
}

impl Tag {
    pub(super) fn attribute(&self, name: &[u8]) -> Option<&[u8]> {
        self.attributes.iter().find(|(known, _)| *known == name).map(|(_, value)| &**value)
    }
}

type Pieces<'h, F> = Tokenizer<html5gum::StringReader<'h>, CallbackEmitter<F, Piece>>;

/// The pieces of a page. Whoever reads a tag says how its content is read, by [`text_state`].
pub(super) fn pieces(html: &[u8]) -> Pieces<'_, impl FnMut(CallbackEvent<'_>, Span<()>) -> Option<Piece>> {
    let mut tag: Option<Tag> = None;
    let mut value: Option<usize> = None;
    let mut wants_text = false;
    let emitter = CallbackEmitter::new(move |event: CallbackEvent<'_>, _: Span<()>| -> Option<Piece> {
        match event {
            CallbackEvent::OpenStartTag { name } => {
                wants_text = matches!(name, b"script" | b"style");
                value = None;
                tag = Some(Tag { name: cut(name), ..Tag::default() });
                None
            }
            CallbackEvent::AttributeName { name } => {
                value = None;
                if let (Some(tag), Some(known)) = (&mut tag, READ.into_iter().find(|known| *known == name))
                    && tag.attribute(name).is_none()
                {
                    value = Some(tag.attributes.len());
                    tag.attributes.push((known, Vec::new()));
                }
                None
            }
            CallbackEvent::AttributeValue { value: text } => {
                if let (Some(tag), Some(at)) = (&mut tag, value.take()) {
                    tag.attributes[at].1 = text.to_vec();
                }
                None
            }
            CallbackEvent::CloseStartTag { self_closing } => {
                tag.take().map(|tag| Piece::Tag(Tag { self_closing, ..tag }))
            }
            CallbackEvent::EndTag { name } => {
                tag = None;
                Some(Piece::End(cut(name)))
            }
            CallbackEvent::String { value } => wants_text.then(|| Piece::Text(value.to_vec())),
            CallbackEvent::Doctype { name, .. } => Some(Piece::Doctype(cut(name))),
            CallbackEvent::Comment { .. } | CallbackEvent::Error(_) => None,
        }
    });
    Tokenizer::new_with_emitter(html, emitter)
}

fn cut(name: &[u8]) -> Vec<u8> {
    name[..name.len().min(LONGEST_NAME)].to_vec()
}

/// A piece that was read: reading from memory cannot fail.
pub(super) fn read(piece: Result<Piece, Infallible>) -> Piece {
    match piece {
        Ok(piece) => piece,
        Err(never) => match never {},
    }
}

/// How a browser reads what is in an element: as text.
pub(super) fn text_state(name: &[u8]) -> Option<State> {
    match name {
        b"textarea" | b"title" => Some(State::RcData),
        b"plaintext" => Some(State::PlainText),
        b"script" => Some(State::ScriptData),
        b"style" | b"iframe" | b"xmp" | b"noembed" | b"noframes" | b"noscript" => Some(State::RawText),
        _ => None,
    }
}
