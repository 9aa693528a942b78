//! What is asked for.

use super::Header;

/// A request.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// The HTTP method.
    pub(crate) method: String,
    /// The path and query, behind the path of the address that is asked.
    pub(crate) path: String,
    /// Sent besides those that every request of the client carries.
    pub(crate) headers: Vec<Header>,
    pub(crate) body: Option<Vec<u8>>,
}

impl Request {
    pub(crate) fn get(path: impl Into<String>) -> Self {
        Self { method: "GET".into(), path: path.into(), headers: Vec::new(), body: None }
    }

    pub(crate) fn post(path: impl Into<String>, media_type: &str, body: String) -> Self {
        Self::with_body("POST", path, media_type, body)
    }

    pub(crate) fn with_body(method: &str, path: impl Into<String>, media_type: &str, body: impl Into<Vec<u8>>) -> Self {
        let headers = vec![Header::plain("Content-Type", media_type)];
        Self { method: method.into(), path: path.into(), headers, body: Some(body.into()) }
    }

    pub(crate) fn with(mut self, header: Header) -> Self {
        self.headers.push(header);
        self
    }
}
