//! Sends requests to one address: each bounded in time and bytes, with its answer read whole.

use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::poll_fn;
use hyper::body::Body as _;
use reqwest::header::{ACCEPT_ENCODING, CONTENT_LENGTH, HeaderMap, HeaderValue, TRANSFER_ENCODING};
use reqwest::{Method, Version};
use tokio::time::Instant;
use tracing::Instrument as _;
use url::Url;

use super::body::{ACCEPTED, Body};
use super::failure::{Failure, FailureKind};
use super::proxy::own_answer;
use super::timing::{Clock, Ends};
use super::transport::{Kind, MAX_HEADERS};
use crate::outcome::Exchange;

use super::{Address, Answer, Credentials, Header, Request, RequestLimits, Standstill, Transport, header};

/// Headers that are about the connection, which HTTP/2 has no place for, and the host, which it wants to be the address's own.
const OF_HTTP1: [&str; 8] =
    ["connection", "expect", "host", "keep-alive", "proxy-connection", "te", "transfer-encoding", "upgrade"];

/// Asks one address.
#[derive(Clone)]
pub(crate) struct Client {
    transport: Transport,
    is_direct: bool,
    /// Whether HTTP/2 is not spoken, also where the server would.
    only_http1: bool,
    address: Address,
    headers: HeaderMap,
    credentials: Option<Rc<dyn Credentials>>,
    /// Where requests to its own origin go instead, in the clear: to a port of this machine.
    detour: Option<SocketAddr>,
    /// Whether bodies are left in whatever coding they came.
    is_undecoded: bool,
}

impl Client {
    pub(super) fn new(transport: Transport, is_direct: bool, address: Address, headers: HeaderMap) -> Self {
        let (only_http1, credentials) = (false, None);
        Self { transport, is_direct, only_http1, address, headers, credentials, detour: None, is_undecoded: false }
    }

    /// The same client, whose requests to its own origin go to a port of this machine instead, in the clear, while all that
    /// is said and judged is of the address. It has no credentials: whoever stands there has those.
    pub(crate) fn by_way_of(self, detour: SocketAddr) -> Self {
        Self { detour: Some(detour), is_direct: true, credentials: None, ..self }
    }

    /// The same client, which leaves bodies in the coding that they came in: for whoever passes them on.
    pub(crate) fn undecoded(self) -> Self {
        Self { is_undecoded: true, ..self }
    }

    /// The same client over HTTP/1.1 alone: each request has a connection to itself while it runs.
    pub(crate) fn over_http1(self) -> Self {
        Self { only_http1: true, ..self }
    }

    /// Opens a connection to the address before a request needs it; of TLS only, whose handshake is worth it.
    pub(crate) fn open(&self, within: Duration) {
        let kind = self.kind(&self.headers);
        if self.is_worth_opening() {
            self.transport.open(kind, self.address.url(), within);
        }
    }

    /// Opens more of them, when one has shown that it carries a single request at a time. No request is sent on any.
    pub(crate) fn open_more(&self, more: usize, within: Duration) {
        let kind = self.kind(&self.headers);
        if self.is_worth_opening() {
            self.transport.open_more(kind, self.address.url(), more, within);
        }
    }

    fn is_worth_opening(&self) -> bool {
        self.address.url().scheme() == "https" && self.detour.is_none()
    }

    /// Closes the connections that were opened and not needed.
    pub(crate) fn close_unneeded(&self) {
        self.transport.close_unneeded();
    }

    /// The kind of connection that a request with these headers needs.
    fn kind(&self, headers: &HeaderMap) -> Kind {
        let only_http1 = self.only_http1 || OF_HTTP1.iter().any(|name| headers.contains_key(*name));
        Kind { is_direct: self.is_direct, only_http1, is_new: false }
    }

    /// The same client with credentials for requests to its own origin.
    pub(crate) fn with_credentials(self, credentials: Rc<dyn Credentials>) -> Self {
        Self { credentials: Some(credentials), ..self }
    }

    /// A client for another address with the same headers, and without credentials: those are for this one.
    pub(crate) fn toward(&self, address: Address) -> Result<Self, String> {
        Ok(Self { headers: self.headers.clone(), ..self.transport.client(address, &[])? })
    }

    /// A client for another service, with headers of its own.
    ///
    /// # Errors
    /// A header that HTTP does not allow.
    pub(crate) fn elsewhere(&self, address: Address, headers: &[Header]) -> Result<Self, String> {
        self.transport.client(address, headers)
    }

    /// A request with its whole path, for a sentence: `GET /base/api/health`.
    pub(crate) fn shown(&self, request: &Request) -> String {
        let url = self.address.at(&request.path);
        let query = url.query().map_or(String::new(), |query| format!("?{query}"));
        format!("{} {}{query}", request.method, url.path())
    }

    /// Whether it sends a header of this name with every request.
    pub(crate) fn sends(&self, name: &str) -> bool {
        self.headers.contains_key(name)
    }

    /// Whether the next request carries credentials.
    pub(crate) fn signs(&self) -> bool {
        let first = self.credentials.as_ref().and_then(|credentials| credentials.rounds().first().copied());
        first.is_some_and(|round| round.key.is_some())
    }

    pub(crate) fn address(&self) -> &Address {
        &self.address
    }

    /// Sends a request to the address. It ends at the request's own limit or at `deadline`, whichever comes first, with
    /// the body read whole.
    ///
    /// # Errors
    /// Why there is no whole answer.
    pub(crate) async fn ask(
        &self,
        request: &Request,
        limits: RequestLimits,
        deadline: Instant,
    ) -> Result<Answer, Failure> {
        self.ask_url(&self.address.at(&request.path), request, limits, deadline).await
    }

    /// As [`Client::ask`], to a URL of the address's origin instead of the request's path.
    ///
    /// # Errors
    /// Why there is no whole answer.
    pub(crate) async fn ask_url(
        &self,
        url: &Url,
        request: &Request,
        limits: RequestLimits,
        deadline: Instant,
    ) -> Result<Answer, Failure> {
        Box::pin(self.authorized(url, request, limits, deadline)).await
    }

    /// One exchange, within its limits.
    async fn bounded(
        &self,
        url: &Url,
        request: &Request,
        credentials: Option<Header>,
        limits: RequestLimits,
        deadline: Instant,
    ) -> Result<Answer, Failure> {
        let left = deadline.saturating_duration_since(Instant::now());
        let time = limits.time.min(left);
        let prepared = self.prepare(url, request, credentials.as_slice())?;
        let (kind, generation) = (prepared.kind, self.transport.connections(prepared.kind)?.1);
        let standstill = Standstill::begin();
        if let Some(answer) = standstill.wait(Instant::now() + time, self.exchange(prepared, limits.body)).await {
            return answer;
        }
        if url.scheme() == "https" && !kind.only_http1 {
            self.transport.give_up(kind, generation);
        }
        Err(Failure::timed_out(time, time < limits.time, standstill))
    }

    /// One exchange, with credentials where the service wants them, and with advice where not the application answered. The
    /// time that it takes to get credentials is none of the service's.
    async fn authorized(
        &self,
        url: &Url,
        request: &Request,
        limits: RequestLimits,
        deadline: Instant,
    ) -> Result<Answer, Failure> {
        // Credentials go to the address's own origin only, and never in the clear to another machine.
        let secure = self.address.keeps_secrets();
        let credentials = self.credentials.as_ref().filter(|_| secure && url.origin() == self.address.url().origin());
        let Some(credentials) = credentials else {
            return self.bounded(url, request, None, limits, deadline).await;
        };
        // A part of the time is kept for the request itself, and for saying what was lacking.
        let left = deadline.saturating_duration_since(Instant::now());
        let tokens_by = deadline.checked_sub(left / 8).unwrap_or(deadline);
        let (mut last, mut trouble) = (None, None);
        for round in credentials.rounds() {
            let header = match tokio::time::timeout_at(tokens_by, credentials.header(round, tokens_by)).await {
                Ok(Ok(header)) => header,
                Ok(Err(why)) => {
                    trouble = Some(why);
                    None
                }
                Err(_) => {
                    trouble = Some("no answer came in time".into());
                    None
                }
            };
            if header.is_none() && round.key.is_some() && last.is_some() {
                // There are no such credentials: the request would be the one that was refused.
                break;
            }
            let answer = match self.bounded(url, request, header, limits, deadline).await {
                Err(_) if trouble.is_some() && Instant::now() >= deadline => {
                    let why = trouble.unwrap_or_default();
                    return Err(Failure::new(
                        FailureKind::Credentials,
                        format!("no token could be had in time: {why}"),
                    ));
                }
                answer => answer?,
            };
            let refused = credentials.refused(&answer, round);
            if !refused && trouble.is_none() {
                credentials.accepted(round);
            }
            last = Some((answer, round));
            if !refused || trouble.is_some() {
                break;
            }
        }
        let Some((mut answer, round)) = last else {
            return self.bounded(url, request, None, limits, deadline).await;
        };
        answer.advice = credentials.advice(&answer, round, trouble.as_deref(), tokens_by).await;
        Ok(answer)
    }

    /// A request as it is sent.
    ///
    /// # Errors
    /// What HTTP does not allow in it.
    fn prepare(&self, url: &Url, request: &Request, credentials: &[Header]) -> Result<Prepared, Failure> {
        let malformed = |message: String| Failure::new(FailureKind::Request, message);
        let method = Method::from_bytes(request.method.as_bytes()).map_err(|error| malformed(error.to_string()))?;
        let mut headers = self.headers.clone();
        headers.extend(header::map(&request.headers).map_err(malformed)?);
        headers.extend(header::map(credentials).map_err(malformed)?);
        headers.entry(ACCEPT_ENCODING).or_insert(HeaderValue::from_static(ACCEPTED));
        let kind = self.kind(&headers);
        let (url, sent_to, body) = (url.clone(), self.sent_to(url), request.body.clone());
        Ok(Prepared { kind, method, url, sent_to, headers, body })
    }

    /// One exchange, as a span of the log.
    async fn exchange(&self, request: Prepared, max_body: u64) -> Result<Answer, Failure> {
        let (began, method, url) = (Instant::now(), request.method.to_string(), request.url.to_string());
        let span = tracing::debug_span!("request", method, url);
        let answer = self.sent(request, max_body).instrument(span.clone()).await;
        let elapsed = began.elapsed();
        if let Some(witness) = &self.transport.witness {
            let answered = answer.as_ref().ok();
            witness.saw(Exchange {
                method,
                url,
                status: answered.map(|answer| answer.status),
                bytes: answered.map_or(0, |answer| answer.body.len() as u64),
                took: elapsed,
                failure: answer.as_ref().err().map(ToString::to_string),
            });
        }
        span.in_scope(|| match &answer {
            Ok(answer) => {
                let timing = answer.timing;
                tracing::debug!(
                    status = answer.status,
                    bytes = answer.body.len(),
                    protocol = ?answer.version,
                    latency = elapsed.as_secs_f64(),
                    dns = timing.dns.map(|time| time.as_secs_f64()),
                    connect = timing.connect.map(|time| time.as_secs_f64()),
                    tls = timing.tls.map(|time| time.as_secs_f64()),
                    first_byte = timing.first_byte.as_secs_f64(),
                    body = timing.body.as_secs_f64(),
                    "answered"
                );
            }
            Err(failure) => tracing::debug!(latency = elapsed.as_secs_f64(), cause = %failure, "no answer"),
        });
        answer
    }

    /// Where a request for a URL really goes.
    fn sent_to(&self, url: &Url) -> Url {
        let detour = self.detour.filter(|_| url.origin() == self.address.url().origin());
        let other = detour.and_then(|detour| {
            let mut other = Url::parse(&format!("http://{detour}")).ok()?;
            other.set_path(url.path());
            other.set_query(url.query());
            Some(other)
        });
        other.unwrap_or_else(|| url.clone())
    }

    /// The answer to a request. Where a connection that was there already is closed as the request goes out, it is asked once
    /// more on a new one, if it changes nothing: the server may have closed it before it saw the request
    /// (<https://www.rfc-editor.org/rfc/rfc9110#section-9.2.2>). Where HTTP/2 will not do for it, it goes over HTTP/1.1.
    async fn sent(&self, request: Prepared, max_body: u64) -> Result<Answer, Failure> {
        let kind = request.kind;
        let (failure, is_new) = match self.timed(&request, kind, max_body).await {
            Ok(answer) => return Ok(answer),
            Err(failure) => failure,
        };
        let again = if failure.wants_http1 && !kind.only_http1 {
            Kind { only_http1: true, ..kind }
        } else if failure.was_unanswered() && !is_new && request.is_safe() {
            Kind { is_new: true, ..kind }
        } else {
            return Err(failure);
        };
        tracing::debug!(cause = %failure, "asked once more on a new connection");
        let answer = self.timed(&request, again, max_body).await.map_err(|(failure, _)| failure)?;
        Ok(Answer { was_cut_off: again.is_new, ..answer })
    }

    /// Sends a request under a clock of its own. A failure comes with whether it was that of a connection made for the request.
    async fn timed(&self, request: &Prepared, kind: Kind, max_body: u64) -> Result<Answer, (Failure, bool)> {
        let clock = Clock::new(kind.place(&request.sent_to));
        let answer = clock.clone().measure(self.send(request, kind, max_body, &clock)).await;
        answer.map_err(|failure| {
            let is_new = clock.was_carried_by_its_own(failure.carried_by);
            (failure, is_new)
        })
    }

    async fn send(&self, request: &Prepared, kind: Kind, max_body: u64, clock: &Arc<Clock>) -> Result<Answer, Failure> {
        let Prepared { method, url, sent_to, headers, body, .. } = request;
        let (connections, _) = self.transport.connections(kind)?;
        let mut builder = connections.request(method.clone(), sent_to.clone()).headers(headers.clone());
        if let Some(body) = body {
            builder = builder.body(body.clone());
        }
        let proxy = || self.transport.proxies.toward(url).filter(|_| !self.is_direct);
        let response = builder.send().await.map_err(|error| {
            let failure = Failure::of(&error);
            // Until a connection stands, only the proxy was met.
            match proxy().filter(|_| error.is_connect()) {
                Some(proxy) => failure.of_proxy(&proxy),
                None => failure,
            }
        })?;
        let (first_byte, carried_by) = (clock.since_start(), Ends::of_answer(response.extensions()));
        let (status, version, headers) = (response.status().as_u16(), response.version(), response.headers().clone());
        // Through a tunnel, nothing of the proxy's own arrives.
        if sent_to.scheme() == "http"
            && let Some(why) = own_answer(status, &headers)
            && let Some(proxy) = proxy()
        {
            return Err(Failure::new(FailureKind::Proxy, why).of_proxy(&proxy));
        }
        if headers.len() > MAX_HEADERS {
            return Err(Failure::new(
                FailureKind::Protocol,
                format!("the answer has over {MAX_HEADERS} header fields"),
            ));
        }
        let body = if self.is_undecoded { Ok(Body::undecoded(max_body)) } else { Body::new(&headers, max_body) };
        let body = match body {
            Ok(body) => whole(response, body).await,
            Err(failure) => Err(failure),
        };
        let body = body.map_err(|failure| failure.of_answer(status))?;
        let is_end_marked = sent_to.scheme() == "https"
            || headers.contains_key(CONTENT_LENGTH)
            || headers.contains_key(TRANSFER_ENCODING)
            || (body.is_empty() && (*method == Method::HEAD || matches!(status, 204 | 304)));
        let timing = clock.timing(first_byte, carried_by);
        let url = url.clone();
        Ok(Answer { url, status, version, headers, body, advice: None, timing, is_end_marked, was_cut_off: false })
    }
}

/// A request as it is sent.
struct Prepared {
    kind: Kind,
    method: Method,
    url: Url,
    /// Where it really goes.
    sent_to: Url,
    headers: HeaderMap,
    body: Option<Vec<u8>>,
}

impl Prepared {
    /// Whether it asks and changes nothing, so that it may be sent twice: <https://www.rfc-editor.org/rfc/rfc9110#section-9.2.1>. What
    /// changes something is for whoever asked for it to look at.
    fn is_safe(&self) -> bool {
        [Method::GET, Method::HEAD, Method::OPTIONS, Method::TRACE].contains(&self.method)
    }
}

/// The body of an answer, whole.
async fn whole(response: reqwest::Response, mut body: Body) -> Result<Vec<u8>, Failure> {
    let is_http2 = response.version() == Version::HTTP_2;
    let mut frames = reqwest::Body::from(response);
    loop {
        match poll_fn(|context| Pin::new(&mut frames).poll_frame(context)).await {
            Some(Ok(frame)) => {
                if let Ok(bytes) = frame.into_data() {
                    body.push(&bytes)?;
                }
            }
            Some(Err(error)) => return Err(Failure::of_body(&error, body.received())),
            // The HTTP library takes some resets of a stream for its end, which is marked otherwise.
            None if is_http2 && !frames.is_end_stream() => return Err(Failure::of_reset(body.received())),
            None => return body.finish(),
        }
    }
}
