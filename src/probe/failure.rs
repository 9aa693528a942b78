//! Why a request brought no whole answer, in words for the person on call.

use std::error::Error;
use std::fmt;
use std::io;
use std::time::Duration;

/// What kept an answer from coming.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What kind of thing.
    pub kind: FailureKind,
    message: String,
}

/// The kinds of failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureKind {
    /// Nothing listens there.
    Refused,
    /// The connection was closed or reset before the answer was whole.
    Closed,
    /// The host has no address.
    Dns,
    /// TLS could not be agreed on.
    Tls,
    /// The time was up.
    Timeout,
    /// The body is larger than allowed.
    TooLarge,
    /// The body cannot be decompressed.
    Encoding,
    /// Something else.
    Other,
}

impl Failure {
    pub(super) fn new(kind: FailureKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    pub(super) fn timed_out(after: Duration, by_deadline: bool) -> Self {
        let why = if by_deadline { ", when the check's time was up" } else { "" };
        Self::new(FailureKind::Timeout, format!("no whole answer within {}{why}", shown(after)))
    }

    pub(super) fn too_large(limit: u64) -> Self {
        let limit = bytesize::ByteSize(limit);
        Self::new(FailureKind::TooLarge, format!("the body is larger than the {limit} that are read (decompressed)"))
    }

    /// Whether the same request may do better later.
    #[must_use]
    pub fn may_pass_by_itself(&self) -> bool {
        match self.kind {
            FailureKind::Refused | FailureKind::Closed | FailureKind::Dns | FailureKind::Tls | FailureKind::Timeout => {
                true
            }
            FailureKind::TooLarge | FailureKind::Encoding | FailureKind::Other => false,
        }
    }

    /// What the client says of a request that brought no answer.
    pub(super) fn of(error: &reqwest::Error) -> Self {
        let chain = chain(error);
        let last = chain.last().cloned().unwrap_or_default();
        let found_io = source_of::<io::Error>(error).map(io::Error::kind);
        if source_of::<rustls::Error>(error).is_some() || chain.iter().any(|part| part.contains("certificate")) {
            return Self::new(FailureKind::Tls, format!("TLS failed: {last}"));
        }
        if chain.iter().any(|part| part.starts_with("dns error") || part.contains("failed to lookup")) {
            return Self::new(FailureKind::Dns, format!("the host name does not resolve: {last}"));
        }
        let handshake = error.is_connect() && error.url().is_some_and(|url| url.scheme() == "https");
        match found_io {
            Some(io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset) if handshake => Self::new(
                FailureKind::Tls,
                "TLS failed: the connection was closed during the handshake; does the port speak plain http?",
            ),
            Some(io::ErrorKind::ConnectionRefused) => {
                Self::new(FailureKind::Refused, "the connection was refused: nothing listens there")
            }
            Some(io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted | io::ErrorKind::BrokenPipe) => {
                Self::new(FailureKind::Closed, "the connection was reset before an answer came")
            }
            Some(io::ErrorKind::UnexpectedEof) => {
                Self::new(FailureKind::Closed, "the connection was closed before an answer came")
            }
            Some(io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable) => {
                Self::new(FailureKind::Refused, format!("the host cannot be reached: {last}"))
            }
            _ if error.is_timeout() => Self::new(FailureKind::Timeout, "the connection timed out"),
            _ if chain.iter().any(|part| part.contains("connection closed") || part.contains("IncompleteMessage")) => {
                Self::new(FailureKind::Closed, "the connection was closed before an answer came")
            }
            _ if error.is_connect() => Self::new(FailureKind::Refused, format!("the connection failed: {last}")),
            _ => Self::new(FailureKind::Other, format!("the answer is no HTTP: {last}")),
        }
    }

    /// What the client says when a body breaks off.
    pub(super) fn of_body(error: &reqwest::Error, read: usize) -> Self {
        let chain = chain(error);
        let last = chain.last().cloned().unwrap_or_default();
        let compressed = ["gzip", "deflate", "corrupt", "invalid", "checksum"];
        let reset = matches!(source_of::<io::Error>(error).map(io::Error::kind), Some(io::ErrorKind::ConnectionReset));
        if !reset
            && chain.iter().any(|part| compressed.iter().any(|word| part.contains(word)) && !part.contains("chunk"))
        {
            return Self::new(FailureKind::Encoding, format!("the body cannot be decompressed: {last}"));
        }
        let how = if reset { "reset" } else { "closed" };
        Self::new(
            FailureKind::Closed,
            format!("the connection was {how} in mid-body, after {read} bytes: the answer is cut"),
        )
    }
}

/// A duration for a sentence, to the millisecond.
pub(crate) fn shown(duration: Duration) -> String {
    let milliseconds = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let rounded = if milliseconds >= 10_000 { milliseconds - milliseconds % 100 } else { milliseconds };
    humantime::format_duration(Duration::from_millis(rounded)).to_string()
}

/// The messages of an error and of its sources.
fn chain(error: &reqwest::Error) -> Vec<String> {
    let mut messages = vec![error.to_string()];
    let mut source = error.source();
    while let Some(inner) = source {
        messages.push(inner.to_string());
        source = inner.source();
    }
    messages
}

/// The innermost error of a type in the chain; an `io::Error` may wrap another error that its `source` skips.
fn source_of<E: Error + 'static>(error: &reqwest::Error) -> Option<&E> {
    let mut found = None;
    let mut source = error.source();
    while let Some(inner) = source {
        found = inner.downcast_ref::<E>().or(found);
        let wrapped = inner.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        if let Some(wrapped) = wrapped {
            found = wrapped.downcast_ref::<E>().or(found);
        }
        source = inner.source();
    }
    found
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for Failure {}
