//! Why a request brought no whole answer, in words for the person on call.

use std::error::Error;
use std::fmt;
use std::io;
use std::time::Duration;

use hyper_util::client::legacy::Error as ClientError;
use rustls::{AlertDescription, CertificateError, InvalidMessage, PeerIncompatible};

use super::connect::Unresolved;
use super::standstill::Standstill;
use super::timing::Ends;
use crate::text;

/// What kept an answer from coming.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) kind: FailureKind,
    /// The status of the answer whose body could not be taken.
    pub(crate) status: Option<u16>,
    /// Whether the server wants the request over HTTP/1.1.
    pub(super) wants_http1: bool,
    /// Whether the connection ended with nothing said of the request.
    is_unanswered: bool,
    /// The connection that carried the request, where that is known.
    pub(super) carried_by: Option<Ends>,
    message: String,
}

/// The kinds of failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FailureKind {
    /// Nothing listens there, or the host cannot be reached.
    Refused,
    /// The connection was closed or reset before the answer was whole.
    Closed,
    /// The host's name has no address.
    Dns,
    /// TLS could not be agreed on.
    Tls,
    /// The time was up.
    Timeout,
    /// The body is larger than allowed.
    TooLarge,
    /// The body is in a coding that is not decoded, or is damaged.
    Encoding,
    /// What came is not HTTP.
    Protocol,
    /// The proxy that the environment names cannot be used: the address behind it was not seen.
    Proxy,
    /// The request cannot be sent as it is.
    Request,
    /// The gate has no credentials for the service: nothing was asked.
    Credentials,
}

impl Failure {
    pub(super) fn new(kind: FailureKind, message: impl Into<String>) -> Self {
        Self { kind, status: None, wants_http1: false, is_unanswered: false, carried_by: None, message: message.into() }
    }

    /// The connection ended before anything of an answer came.
    fn unanswered(message: &str) -> Self {
        Self { is_unanswered: true, ..Self::new(FailureKind::Closed, message) }
    }

    /// Whether the connection ended with nothing said of the request: what the server saw of it, nobody knows.
    pub(super) fn was_unanswered(&self) -> bool {
        self.is_unanswered
    }

    /// A stream of HTTP/2 was reset before the body's end, with a code that the HTTP library takes for an end.
    pub(super) fn of_reset(read: u64) -> Self {
        Self::new(
            FailureKind::Closed,
            format!("the server reset the stream in mid-body (RST_STREAM), after {read} bytes: the answer is cut"),
        )
    }

    /// The same failure of the body of an answer with this status.
    pub(super) fn of_answer(mut self, status: u16) -> Self {
        self.message = format!("{status}, and {}", self.message);
        Self { status: Some(status), ..self }
    }

    /// The same failure on the way to a proxy, which is none of the address behind it.
    pub(super) fn of_proxy(self, proxy: &str) -> Self {
        // The client does not tell the status that the proxy answered.
        let message = if self.message.ends_with("tunnel error: unsuccessful") {
            "it refuses the tunnel to the address (CONNECT)"
        } else if self.message.ends_with("proxy authorization required") {
            "it wants credentials (write them as http://user:password@host:port)"
        } else {
            &self.message
        };
        Self { kind: FailureKind::Proxy, message: format!("the proxy {proxy}: {message}"), ..self }
    }

    pub(super) fn timed_out(after: Duration, by_deadline: bool, standstill: Standstill) -> Self {
        if after.is_zero() {
            return Self::new(FailureKind::Timeout, "not asked: the check's time was up");
        }
        let why = if by_deadline { ", all the time that was left" } else { "" };
        let still = standstill.told().map_or(String::new(), |still| format!(" ({still} meanwhile)"));
        let after = text::duration(after);
        Self::new(FailureKind::Timeout, format!("no whole answer within {after}{why}{still}"))
    }

    pub(super) fn too_large(limit: u64) -> Self {
        let limit = bytesize::ByteSize(limit);
        Self::new(FailureKind::TooLarge, format!("the body is larger than the {limit} that are read (decompressed)"))
    }

    /// Whether the same request may do better later.
    pub(crate) fn is_transient(&self) -> bool {
        match self.kind {
            FailureKind::Refused
            | FailureKind::Closed
            | FailureKind::Dns
            | FailureKind::Proxy
            | FailureKind::Tls
            | FailureKind::Timeout => true,
            // What a server sends that is in trouble says nothing of what it sends later.
            FailureKind::TooLarge | FailureKind::Encoding => self.status.is_some_and(is_transient),
            FailureKind::Protocol | FailureKind::Request | FailureKind::Credentials => false,
        }
    }

    /// What the client says of a request that brought no answer.
    pub(super) fn of(error: &reqwest::Error) -> Self {
        let failure = Self::explained(error);
        // Where no connection came about, there is none that could have been closed meanwhile.
        let connection = source_of::<ClientError>(error).and_then(ClientError::connect_info);
        let carried_by = connection.and_then(Ends::of_connection);
        Self { is_unanswered: failure.is_unanswered && !error.is_connect(), carried_by, ..failure }
    }

    fn explained(error: &reqwest::Error) -> Self {
        let last = innermost(error);
        if let Some(unresolved) = source_of::<Unresolved>(error) {
            return Self::new(FailureKind::Dns, format!("the host name does not resolve: {unresolved}"));
        }
        if let Some(tls) = source_of::<rustls::Error>(error) {
            return Self::new(FailureKind::Tls, format!("TLS failed: {}", explained(tls)));
        }
        let found_http2 = source_of::<h2::Error>(error);
        if let Some(failure) = found_http2.and_then(of_http2) {
            return failure;
        }
        let found_io = found_http2.and_then(h2::Error::get_io).or(source_of::<io::Error>(error)).map(io::Error::kind);
        let found_http = source_of::<hyper::Error>(error);
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
                Self::unanswered("the connection was reset before an answer came")
            }
            Some(io::ErrorKind::UnexpectedEof) => Self::unanswered("the connection was closed before an answer came"),
            Some(io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable) => {
                Self::new(FailureKind::Refused, format!("the host cannot be reached: {last}"))
            }
            _ if error.is_timeout() => Self::new(FailureKind::Timeout, "the connection timed out"),
            _ if found_http
                .is_some_and(|http| http.is_incomplete_message() || http.is_closed() || http.is_canceled()) =>
            {
                Self::unanswered("the connection was closed before an answer came")
            }
            _ if error.is_connect() => Self::new(FailureKind::Refused, format!("the connection failed: {last}")),
            _ => {
                // What begins as HTTP is not TLS.
                let hint = if last.contains("version") { "; does the port speak TLS?" } else { "" };
                Self::new(FailureKind::Protocol, format!("the answer cannot be read as HTTP: {last}{hint}"))
            }
        }
    }

    /// What the client says when a body breaks off.
    pub(super) fn of_body(error: &reqwest::Error, read: u64) -> Self {
        let http2 = source_of::<h2::Error>(error);
        if let Some(failure) = http2.and_then(of_http2) {
            let message = format!("{} in mid-body, after {read} bytes: the answer is cut", failure.message);
            return Self { message, ..failure };
        }
        let kind = http2.and_then(h2::Error::get_io).or(source_of::<io::Error>(error)).map(io::Error::kind);
        if matches!(kind, Some(io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData)) {
            let last = innermost(error);
            return Self::new(
                FailureKind::Protocol,
                format!("the body's chunks are malformed after {read} bytes: {last}"),
            );
        }
        let how = if kind == Some(io::ErrorKind::ConnectionReset) { "reset" } else { "closed" };
        Self::new(
            FailureKind::Closed,
            format!("the connection was {how} in mid-body, after {read} bytes: the answer is cut"),
        )
    }
}

/// What an error of HTTP/2 says, where it is more than the connection's end.
fn of_http2(error: &h2::Error) -> Option<Failure> {
    let code = error.reason()?;
    // Codes that are not known have no name.
    let code = format!("{code:?}");
    let is_over_http1 = error.reason() == Some(h2::Reason::HTTP_1_1_REQUIRED);
    let (kind, message) = match (error.is_remote(), error.is_go_away()) {
        (true, true) => (FailureKind::Closed, format!("the server ended the connection (GOAWAY, {code})")),
        (true, false) => (FailureKind::Closed, format!("the server reset the stream (RST_STREAM, {code})")),
        (false, true) if error.reason() == Some(h2::Reason::ENHANCE_YOUR_CALM) => (
            FailureKind::Protocol,
            format!(
                "the server sends more than the gate takes: a header of over 400 KiB, or a flood (the gate ends it with {code})"
            ),
        ),
        (false, true) => (
            FailureKind::Protocol,
            format!("what the server sends is not HTTP/2, which it agreed to in TLS (the gate ends it with {code})"),
        ),
        (false, false) => (
            FailureKind::Protocol,
            format!("the answer breaks the rules of HTTP/2 or of its bounds (the gate resets it with {code})"),
        ),
    };
    Some(Failure { wants_http1: is_over_http1 && error.is_remote(), ..Failure::new(kind, message) })
}

/// Whether a status says that the same request may do better later.
pub(super) fn is_transient(status: u16) -> bool {
    matches!(status, 408 | 425 | 429 | 500..=599)
}

/// What an engineer would say of an error of TLS.
fn explained(error: &rustls::Error) -> String {
    match error {
        rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType | InvalidMessage::UnknownProtocolVersion) => {
            "the port does not speak TLS; does it speak plain http?".into()
        }
        rustls::Error::AlertReceived(AlertDescription::ProtocolVersion)
        | rustls::Error::PeerIncompatible(
            PeerIncompatible::Tls12NotOffered
            | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig
            | PeerIncompatible::ServerDoesNotSupportTls12Or13,
        ) => "the server speaks neither TLS 1.2 nor 1.3".into(),
        rustls::Error::AlertReceived(AlertDescription::HandshakeFailure) => {
            "the server refuses the handshake: it shares no version or cipher suite with the gate (TLS 1.2 and 1.3)"
                .into()
        }
        rustls::Error::AlertReceived(AlertDescription::NoApplicationProtocol) | rustls::Error::NoApplicationProtocol => {
            "the server speaks none of the protocols that the gate offers (ALPN): HTTP/1.1 alone where a request says its host or is \
             of the traffic check, and HTTP/2 too elsewhere"
                .into()
        }
        rustls::Error::AlertReceived(AlertDescription::CertificateRequired) => {
            "the server demands a client certificate, which the gate has none of".into()
        }
        rustls::Error::InvalidCertificate(certificate) => match certificate {
            CertificateError::UnknownIssuer => {
                format!("the certificate's issuer is not trusted ({error}); name its CA with --ca-file")
            }
            CertificateError::Other(_) => format!(
                "the certificate cannot be trusted ({error}); a self-signed one is trusted by its CA in --ca-file only"
            ),
            CertificateError::UnsupportedSignatureAlgorithmContext { .. } => {
                format!("the certificate is signed by an algorithm that is not trusted, such as SHA-1 ({error})")
            }
            _ => error.to_string(),
        },
        _ => error.to_string(),
    }
}

/// The message of the innermost error.
fn innermost(error: &reqwest::Error) -> String {
    let mut last: &dyn Error = error;
    while let Some(source) = last.source() {
        last = source;
    }
    last.to_string()
}

/// The innermost error of a type in the chain; an `io::Error` may wrap another error that its `source` skips, and that one
/// another.
fn source_of<E: Error + 'static>(error: &reqwest::Error) -> Option<&E> {
    let mut found = None;
    let mut next = error.source();
    while let Some(inner) = next {
        found = inner.downcast_ref::<E>().or(found);
        let wrapped = inner.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        next = match wrapped {
            Some(wrapped) => Some(wrapped),
            None => inner.source(),
        };
    }
    found
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for Failure {}
