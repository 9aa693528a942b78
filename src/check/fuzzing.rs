//! What must hold of pages and of values in JSON, whatever the bytes.

#![allow(clippy::panic, reason = "outside production code")]

use serde_json::Value;

use super::json::{Found, find};
use super::smoke;
use crate::plan::{JsonPath, JsonStep};

/// As [`smoke::fuzzing::html`].
pub(crate) fn html(bytes: &[u8]) {
    smoke::fuzzing::html(bytes);
}

/// A path on the first line, and a text: what is found there is what stands in the text as a tree, or a key is given twice.
pub(crate) fn json(bytes: &[u8]) {
    let end = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
    let (path, text) = (&bytes[..end], bytes.get(end + 1..).unwrap_or_default());
    let Some(path) = std::str::from_utf8(path).ok().and_then(|path| JsonPath::parse(path).ok()) else { return };
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let found = find(text, &path, None);
    // What is passed over is read less closely than a tree; what is a tree is never refused.
    let Ok(tree) = serde_json::from_slice::<Value>(text) else { return };
    let found = match found {
        Ok((found, _)) => found,
        Err(why) => return assert!(why.contains("given twice"), "{why}"),
    };
    agree(found.as_ref(), at(&tree, &path));
    // Without keys that are given twice, all of it is equal to itself.
    let text = tree.to_string();
    let Ok(tree) = serde_json::from_str::<Value>(&text) else { return };
    let there = at(&tree, &path);
    match find(text.as_bytes(), &path, there) {
        Ok((found, _)) => {
            agree(found.as_ref(), there);
            assert!(there.is_none_or(|value| found.is_some_and(|found| found.equals(value))), "{path}: {text}");
        }
        Err(why) => panic!("{why}: {text}"),
    }
}

fn at<'v>(tree: &'v Value, path: &JsonPath) -> Option<&'v Value> {
    path.steps().iter().try_fold(tree, |value, step| match step {
        JsonStep::Name(name) => value.as_object()?.get(name),
        JsonStep::Index(index) => {
            let list = value.as_array()?;
            let from_end = || usize::try_from(index.unsigned_abs()).ok().and_then(|back| list.len().checked_sub(back));
            list.get(usize::try_from(*index).ok().or_else(from_end)?)
        }
    })
}

fn agree(found: Option<&Found>, there: Option<&Value>) {
    match (found, there) {
        (None, None) => {}
        (Some(Found::Container { is_array, .. }), Some(value)) => {
            assert!(if *is_array { value.is_array() } else { value.is_object() });
        }
        (Some(found @ Found::Scalar(_)), Some(value)) => assert!(found.equals(value), "{found} is not {value}"),
        (found, there) => panic!("{found:?} was found, and there is {there:?}"),
    }
}
