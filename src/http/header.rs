//! A request header that knows whether it may be shown.

use std::fmt;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

/// A request header.
#[derive(Clone)]
pub(crate) struct Header {
    name: String,
    value: String,
    secret: bool,
    /// How a person wrote the value of a secret: by reference.
    written: Option<String>,
}

impl Header {
    /// A header that anybody may see.
    pub(crate) fn plain(name: &str, value: &str) -> Self {
        Self { name: name.to_owned(), value: value.to_owned(), secret: false, written: None }
    }

    /// A header whose value is never shown.
    pub(crate) fn secret(name: &str, value: &str) -> Self {
        Self { name: name.to_owned(), value: value.to_owned(), secret: true, written: None }
    }

    /// `Authorization: Bearer …`; always secret.
    pub(crate) fn bearer(token: &str) -> Self {
        Self::bearer_as("Authorization", token)
    }

    /// A bearer token under another header's name; always secret.
    pub(crate) fn bearer_as(name: &str, token: &str) -> Self {
        Self::secret(name, &format!("Bearer {token}"))
    }

    /// Whether this is the header of a name, whatever the case.
    pub(crate) fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }

    /// The same header with how a person wrote its value.
    pub(crate) fn written_as(self, written: &str) -> Self {
        Self { written: Some(written.to_owned()), ..self }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn is_secret(&self) -> bool {
        self.secret
    }

    /// The value as it may be shown: of a secret, the reference to it, if there is one.
    pub(crate) fn written(&self) -> Option<&str> {
        if self.secret { self.written.as_deref() } else { Some(&self.value) }
    }

    pub(crate) fn value(&self) -> &str {
        &self.value
    }
}

impl fmt::Debug for Header {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = if self.secret { "***" } else { &self.value };
        write!(f, "{}: {value}", self.name)
    }
}

/// The headers as the client takes them; of a name given twice, the last value stands.
///
/// # Errors
/// A name or a value that HTTP does not allow.
pub(super) fn map(headers: &[Header]) -> Result<HeaderMap, String> {
    let mut map = HeaderMap::new();
    for header in headers {
        let name = HeaderName::from_bytes(header.name.as_bytes())
            .map_err(|_| format!("{:?} is not a header name", header.name))?;
        let mut value =
            HeaderValue::from_str(&header.value).map_err(|_| format!("the value of the header {name} is malformed"))?;
        value.set_sensitive(true);
        map.insert(name, value);
    }
    Ok(map)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bearer_token_is_secret_by_construction() {
        let header = Header::bearer("t0ken");
        assert_eq!(format!("{header:?}"), "Authorization: ***");
        assert_eq!(format!("{:?}", Header::plain("Accept", "text/html")), "Accept: text/html");
    }
}
