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
    pub(crate) body: Option<String>,
}

impl Request {
    pub(crate) fn get(path: impl Into<String>) -> Self {
        Self { method: "GET".into(), path: path.into(), headers: Vec::new(), body: None }
    }

    pub(crate) fn post(path: impl Into<String>, media_type: &str, body: String) -> Self {
        let headers = vec![Header::plain("Content-Type", media_type)];
        Self { method: "POST".into(), path: path.into(), headers, body: Some(body) }
    }

    pub(crate) fn with(mut self, header: Header) -> Self {
        self.headers.push(header);
        self
    }
}
