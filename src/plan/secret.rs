//! Secrets are references in the checks file: resolved here, never written inline.

use std::path::Path;

use super::code;
use crate::http::Header;
use crate::outcome::Diagnostic;

/// Headers by which a request is framed.
const FRAMING: [&str; 3] = ["connection", "content-length", "transfer-encoding"];

/// How the names of headers end that carry secrets, for lines that are shown.
pub(super) const SECRET_ENDINGS: [&str; 15] = [
    "authorization",
    "cookie",
    "api-key",
    "apikey",
    "-auth",
    "-assertion",
    "-credential",
    "-credentials",
    "-jwt",
    "-key",
    "-password",
    "-secret",
    "-session",
    "-signature",
    "-token",
];

/// Whether a header carries a secret, by the words of its name: its value must be a reference.
fn carries_a_secret(name: &str) -> bool {
    const WORDS: [&str; 14] = [
        "apikey",
        "assertion",
        "auth",
        "authorization",
        "cookie",
        "credential",
        "credentials",
        "jwt",
        "passwd",
        "password",
        "secret",
        "session",
        "signature",
        "token",
    ];
    /// Keys of something else than a door.
    const OTHER_KEYS: [&str; 3] = ["idempotency-key", "x-idempotency-key", "sec-websocket-key"];
    let name = name.to_ascii_lowercase();
    let mut words = name.split(['-', '_', '.']);
    words.any(|word| WORDS.contains(&word) || (word == "key" && !OTHER_KEYS.contains(&&*name)))
}

/// Where references are looked up.
pub(crate) trait Lookup {
    /// The value of an environment variable.
    ///
    /// # Errors
    /// Why there is none.
    fn env(&self, name: &str) -> Result<String, String>;
    /// The content of a file, without the line feed at its end.
    ///
    /// # Errors
    /// Why it cannot be read.
    fn file(&self, path: &str) -> Result<String, String>;
    /// The whole text of a file that a checks file names.
    ///
    /// # Errors
    /// Why it cannot be read.
    fn text(&self, path: &Path) -> Result<String, Diagnostic>;
    /// The names in a folder; none where it cannot be read.
    fn names(&self, folder: &Path) -> Vec<String>;
}

/// Checks the name of a header.
///
/// # Errors
/// A name that no header can have.
pub(super) fn header_name(name: &str) -> Result<(), Diagnostic> {
    if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)) {
        // What stands behind a blank may be a value whose colon was forgotten.
        let (first, rest) = name.split_at(name.find(char::is_whitespace).unwrap_or(name.len()));
        let cut = if rest.is_empty() { "" } else { "…" };
        let message = format!("\"{}{cut}\" is not a header name", first.escape_debug());
        return Err(Diagnostic::new(code::HEADER, None, message));
    }
    Ok(())
}

/// Makes a header of a value as the checks file writes it: plain, or with a reference `env:NAME` or `file:PATH` alone
/// or behind a scheme (`Bearer env:NAME`).
///
/// # Errors
/// A malformed name or value, a secret written inline, a reference that leads nowhere.
pub(crate) fn header(name: &str, written: &str, lookup: &dyn Lookup) -> Result<Header, Diagnostic> {
    let fail = |code, message| Err(Diagnostic::new(code, None, message));
    header_name(name)?;
    if FRAMING.contains(&&*name.to_ascii_lowercase()) {
        return fail(code::HEADER, format!("the header {name} is the client's own: it says how the request is sent"));
    }
    if let Some((reference @ ("env" | "file"), "")) = written.rsplit(' ').next().and_then(|last| last.split_once(':')) {
        return fail(code::SECRET, format!("the header {name}: {reference}: names nothing"));
    }
    let (scheme, last) = match written.rsplit_once(' ') {
        Some((scheme, last)) => (Some(scheme), last),
        None => (None, written),
    };
    let found = match last.split_once(':') {
        Some(("env", variable)) => Some(lookup.env(variable)),
        Some(("file", path)) => Some(lookup.file(path)),
        _ => None,
    };
    let (value, secret) = match found {
        Some(found) => {
            let found = match found {
                Ok(found) => found,
                Err(error) => return fail(code::SECRET, format!("the header {name}: {error}")),
            };
            (scheme.map_or(found.clone(), |scheme| format!("{scheme} {found}")), true)
        }
        None if carries_a_secret(name) => {
            let message = format!(
                "the header {name} carries a secret, and secrets are never written inline: use \"env:NAME\", \
                 \"file:/path\", or either behind a scheme such as \"Bearer env:NAME\""
            );
            return fail(code::SECRET, message);
        }
        None => (written.to_owned(), false),
    };
    if value.bytes().any(|byte| byte.is_ascii_control() && byte != b'\t') {
        return fail(code::HEADER, format!("the value of the header {name} holds a control character"));
    }
    Ok(if secret { Header::secret(name, &value).written_as(written) } else { Header::plain(name, &value) })
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixed;

    impl Lookup for Fixed {
        fn env(&self, name: &str) -> Result<String, String> {
            if name == "TOKEN" { Ok("s3cret-value".into()) } else { Err(format!("{name} is not set")) }
        }
        fn file(&self, path: &str) -> Result<String, String> {
            if path == "/token" { Ok("from-file".into()) } else { Err(format!("{path} cannot be read")) }
        }
        fn text(&self, path: &Path) -> Result<String, Diagnostic> {
            self.file(&path.display().to_string()).map_err(|error| Diagnostic::new(code::FILE, None, error))
        }
        fn names(&self, _: &Path) -> Vec<String> {
            Vec::new()
        }
    }

    #[test]
    fn references_are_resolved_and_secrets_are_never_written_inline() {
        for (name, written, wanted) in [
            ("X-Team", "blue", Ok("blue")),
            ("Authorization", "env:TOKEN", Ok("s3cret-value")),
            ("Authorization", "Bearer env:TOKEN", Ok("Bearer s3cret-value")),
            ("X-Custom", "file:/token", Ok("from-file")),
            ("Authorization", "Bearer abc", Err("never written inline")),
            ("cookie", "a=b", Err("never written inline")),
            ("X-Goog-Api-Key", "abc", Err("never written inline")),
            ("PRIVATE-TOKEN", "abc", Err("never written inline")),
            ("X-Auth", "abc", Err("never written inline")),
            ("Idempotency-Key", "abc", Ok("abc")),
            ("X-Author", "me", Ok("me")),
            ("X-Custom", "env:MISSING", Err("MISSING is not set")),
            ("bad name", "x", Err("not a header name")),
            ("X-Bad", "a\nb", Err("control character")),
        ] {
            let found = header(name, written, &Fixed);
            match wanted {
                Ok(value) => assert_eq!(found.unwrap().value(), value, "{name}: {written}"),
                Err(piece) => assert!(found.unwrap_err().message.contains(piece), "{name}: {written}"),
            }
        }
    }
}
