//! Secrets: references in the checks file, values in memory, and nothing of them in what is written.

use std::cell::RefCell;
use std::fmt;
use std::path::Path;
use std::rc::Rc;

/// A request header. A value that comes from a reference is never shown.
#[derive(Clone)]
pub struct Header {
    /// The header's name.
    pub name: String,
    /// Its value, references resolved.
    pub value: String,
    secret: bool,
}

impl fmt::Debug for Header {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = if self.secret { "***" } else { &self.value };
        write!(f, "{}: {value}", self.name)
    }
}

/// Headers that carry secrets: their values must be references.
const SECRET_NAMES: [&str; 8] = [
    "authorization",
    "proxy-authorization",
    "x-serverless-authorization",
    "cookie",
    "x-api-key",
    "api-key",
    "x-auth-token",
    "x-goog-iap-jwt-assertion",
];

/// Where references are looked up.
pub trait Lookup {
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
    fn text(&self, path: &Path) -> Result<String, String>;
}

impl Header {
    /// A header of the gate's own.
    pub(crate) fn plain(name: &str, value: &str) -> Self {
        Self { name: name.to_owned(), value: value.to_owned(), secret: false }
    }

    /// Makes a header of a value as the checks file writes it: plain, or with a reference `env:NAME` or `file:PATH` alone
    /// or behind a scheme (`Bearer env:NAME`).
    ///
    /// # Errors
    /// A malformed name or value, a secret that stands inline, a reference that leads nowhere.
    pub(super) fn resolve(name: &str, written: &str, lookup: &dyn Lookup) -> Result<Self, String> {
        if name.is_empty()
            || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
        {
            return Err(format!("{name:?} is no header name"));
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
                let found = found.map_err(|error| format!("the header {name}: {error}"))?;
                (scheme.map_or(found.clone(), |scheme| format!("{scheme} {found}")), true)
            }
            None if SECRET_NAMES.contains(&&*name.to_ascii_lowercase()) => {
                return Err(format!(
                    "the header {name} carries a secret, and secrets are never written inline: use \"env:NAME\", \
                     \"file:/path\", or either behind a scheme such as \"Bearer env:NAME\""
                ));
            }
            None => (written.to_owned(), false),
        };
        if value.bytes().any(|byte| byte.is_ascii_control() && byte != b'\t') {
            return Err(format!("the value of the header {name} holds a control character"));
        }
        Ok(Self { name: name.to_owned(), value, secret })
    }
}

/// Replaces secrets in text that is going to be written. Clones know the same secrets, also those that come later.
#[derive(Clone, Debug, Default)]
pub struct Redactor {
    secrets: Rc<RefCell<Vec<Secret>>>,
}

#[derive(Clone)]
struct Secret(String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl Redactor {
    /// Makes a redactor for the secret headers among those given: for the whole value, and for what stands behind a scheme.
    pub(super) fn new<'h>(headers: impl Iterator<Item = &'h Header>) -> Self {
        let redactor = Self::default();
        for header in headers.filter(|header| header.secret) {
            redactor.hide(&header.value);
            if let Some((_, bare)) = header.value.rsplit_once(' ') {
                redactor.hide(bare);
            }
        }
        redactor
    }

    /// Hides one more secret. Text of fewer than four characters is not hidden: it would blank out ordinary words.
    pub fn hide(&self, secret: &str) {
        let mut secrets = self.secrets.borrow_mut();
        if secret.chars().count() >= 4 && !secrets.iter().any(|known| known.0 == secret) {
            secrets.push(Secret(secret.to_owned()));
            // The longest first, so that no secret is left over behind a shorter one inside it.
            secrets.sort_by_key(|known| std::cmp::Reverse(known.0.len()));
        }
    }

    /// The text with every secret replaced.
    #[must_use]
    pub fn clean(&self, text: String) -> String {
        self.secrets
            .borrow()
            .iter()
            .fold(text, |text, secret| if text.contains(&secret.0) { text.replace(&secret.0, "***") } else { text })
    }
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
        fn text(&self, path: &Path) -> Result<String, String> {
            self.file(&path.display().to_string())
        }
    }

    #[test]
    fn references_are_resolved_and_secrets_never_stand_inline() {
        for (name, written, wanted) in [
            ("X-Team", "blue", Ok("blue")),
            ("Authorization", "env:TOKEN", Ok("s3cret-value")),
            ("Authorization", "Bearer env:TOKEN", Ok("Bearer s3cret-value")),
            ("X-Custom", "file:/token", Ok("from-file")),
            ("Authorization", "Bearer abc", Err("never written inline")),
            ("cookie", "a=b", Err("never written inline")),
            ("X-Custom", "env:MISSING", Err("MISSING is not set")),
            ("bad name", "x", Err("no header name")),
            ("X-Bad", "a\nb", Err("control character")),
        ] {
            let found = Header::resolve(name, written, &Fixed);
            match wanted {
                Ok(value) => assert_eq!(found.unwrap().value, value, "{name}: {written}"),
                Err(piece) => assert!(found.unwrap_err().contains(piece), "{name}: {written}"),
            }
        }
    }

    #[test]
    fn a_secret_is_shown_nowhere() {
        let header = Header::resolve("Authorization", "Bearer env:TOKEN", &Fixed).unwrap();
        let redactor = Redactor::new([&header].into_iter());
        assert_eq!(redactor.clean("got Bearer s3cret-value and s3cret-value".into()), "got *** and ***");
        assert!(!format!("{header:?} {redactor:?}").contains("s3cret"));
    }
}
