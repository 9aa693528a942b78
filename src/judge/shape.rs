//! The shape of an answer: status, media type, the keys and types of its JSON. Values, order, ids and times have none.

mod difference;
mod json;

pub(crate) use difference::{Noise, Weight, compare, noise};
pub(crate) use json::Json;

use serde::{Deserialize, Serialize};

/// The most bytes of a body that are read as JSON.
pub(crate) const MOST_BYTES: usize = 1 << 20;

/// What an answer looks like, whatever it says.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub(crate) struct Shape {
    pub(crate) status: u16,
    /// In lower case, without its parameters.
    pub(crate) media_type: Option<String>,
    pub(crate) body: Body,
}

/// What a body looks like.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Body {
    /// Nothing at all.
    Empty,
    /// Its media type is not one of JSON: only that is compared.
    Other,
    Json(Json),
    /// It is said to be JSON, and is not.
    NotJson,
    /// It is said to be JSON, and is more than is read. It cannot be compared.
    TooMuch,
}

impl Shape {
    /// Whether the keys and types of its JSON are known.
    pub(crate) fn is_json(&self) -> bool {
        matches!(self.body, Body::Json(_))
    }

    /// The shape of an answer with this `Content-Type` and body.
    pub(crate) fn new(status: u16, content_type: Option<&str>, body: &str) -> Self {
        let media_type = content_type
            .and_then(|value| value.split(';').next())
            .map(|value| value.trim().to_ascii_lowercase())
            .filter(|value| !value.is_empty());
        let is_json = media_type.as_deref().is_some_and(|media_type| {
            media_type.strip_prefix("application/").is_some_and(|kind| kind == "json" || kind.ends_with("+json"))
        });
        let body = if body.is_empty() {
            Body::Empty
        } else if !is_json {
            Body::Other
        } else if body.len() > MOST_BYTES {
            Body::TooMuch
        } else {
            match serde_json::from_str(body) {
                Ok(value) => Json::new(&value).map_or(Body::TooMuch, Body::Json),
                Err(_) => Body::NotJson,
            }
        };
        Self { status, media_type, body }
    }
}
