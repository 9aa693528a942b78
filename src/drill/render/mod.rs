//! A drill written down: one file a format, each a function of what it came to.

mod json;
mod junit;
mod markdown;
mod text;

use super::Drill;

/// A format that a drill can be written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Text,
    Json,
    Junit,
    Markdown,
}

/// A drill in a format. It is redacted already.
///
/// # Errors
/// Why it cannot be made.
pub(crate) fn render(drill: &Drill, format: Format) -> Result<String, String> {
    match format {
        Format::Text => Ok(text::render(drill)),
        Format::Json => Ok(json::render(drill)),
        Format::Junit => junit::render(drill),
        Format::Markdown => Ok(markdown::render(drill)),
    }
}

/// Whom the drill is of.
fn subject(drill: &Drill) -> &str {
    drill.url.as_deref().unwrap_or("the embedded sample")
}
