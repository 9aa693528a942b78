//! YAML as a tree whose nodes know their places, within bounds. What a text means is up to whoever reads it.

mod scalar;
mod tree;

pub(crate) use scalar::{Meaning, Scalar, Style};
pub(crate) use tree::{Edge, Entry, Limits, MAX_DEPTH, Node, Value, build};

/// The codes of what is wrong with a text.
pub(crate) mod code {
    pub(crate) const YAML: &str = "yaml";
    pub(crate) const DUPLICATE_KEY: &str = "duplicate-key";
    pub(crate) const WRONG_TYPE: &str = "wrong-type";
}
