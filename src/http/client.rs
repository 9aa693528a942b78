//! Sends requests to one address: each bounded in time and bytes, with its answer read whole.

use std::cell::OnceCell;
use std::net::SocketAddr;
use std::rc::Rc;

use reqwest::Method;
use reqwest::header::{ACCEPT_ENCODING, CONTENT_LENGTH, HeaderMap, HeaderValue, TRANSFER_ENCODING};
use tokio::time::Instant;
use tracing::Instrument as _;
use url::Url;

use super::body::{ACCEPTED, Body};
use super::connect::{Connects, Resolver};
use super::failure::{Failure, FailureKind};
use super::proxy::{Proxies, own_answer};
use super::timing::Clock;
use crate::outcome::Exchange;

use super::{Address, Answer, Credentials, Header, Request, RequestLimits, header, tls};

/// The most header fields of an answer. Their bytes are bounded by the HTTP library, at some 400 KiB.
const MAX_HEADERS: usize = 4096;

/// Connections, by way of proxies or without them, that trust the same CAs. Clones share the connections.
///
/// Each of the two is set up when it is needed first: a run seldom needs both, and a millisecond counts.
#[derive(Clone)]
pub(crate) struct Transport {
    tls: rustls::ClientConfig,
    proxies: Rc<Proxies>,
    proxied: Connections,
    direct: Connections,
    witness: Option<Rc<dyn Witness>>,
}

/// Is told of every request and what came of it.
pub(crate) trait Witness {
    fn saw(&self, exchange: Exchange);
}

type Connections = Rc<OnceCell<reqwest::Client>>;

impl Transport {
    /// Sets up TLS. `ca` is a file's name with its certificates in PEM, which are trusted besides the public CAs.
    ///
    /// # Errors
    /// Certificates that cannot be used; a proxy that the environment names and that cannot be one.
    pub(crate) fn new(ca: Option<(&std::path::Path, &[u8])>) -> Result<Self, String> {
        let extra = ca.map(|(path, pem)| tls::certificates(path, pem)).transpose()?;
        let tls = tls::config(extra.unwrap_or_default())?;
        let proxies = Rc::new(Proxies::new(&|name| std::env::var(name).ok())?);
        Ok(Self { tls, proxies, proxied: Rc::default(), direct: Rc::default(), witness: None })
    }

    /// The same connections, whose clients tell a witness what they do.
    pub(crate) fn witnessed(self, witness: Option<Rc<dyn Witness>>) -> Self {
        Self { witness, ..self }
    }

    /// A client for an address, by way of the proxy that the environment names; an address of this machine is asked
    /// directly, since a proxy for the world cannot reach it.
    ///
    /// # Errors
    /// A header that HTTP does not allow.
    pub(crate) fn client(&self, address: Address, headers: &[Header]) -> Result<Client, String> {
        let is_direct = address.is_loopback();
        let (transport, headers) = (self.clone(), header::map(headers)?);
        Ok(Client { transport, is_direct, address, headers, credentials: None, detour: None, is_undecoded: false })
    }

    /// A client that uses no proxy, whatever the environment says.
    pub(crate) fn direct_client(&self, address: Address) -> Client {
        let (transport, headers) = (self.clone(), HeaderMap::new());
        Client { transport, is_direct: true, address, headers, credentials: None, detour: None, is_undecoded: false }
    }

    fn connections(&self, is_direct: bool) -> Result<&reqwest::Client, Failure> {
        let kept = if is_direct { &self.direct } else { &self.proxied };
        if let Some(connections) = kept.get() {
            return Ok(connections);
        }
        let builder = reqwest::Client::builder()
            .tls_backend_preconfigured(self.tls.clone())
            .dns_resolver(Resolver)
            .connector_layer(Connects)
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("canary-gate/", env!("CARGO_PKG_VERSION")))
            .http1_max_headers(MAX_HEADERS)
            .http1_only();
        let built = if is_direct { builder.no_proxy() } else { builder }.build();
        let built = built.map_err(|error| {
            Failure::new(FailureKind::Request, format!("the HTTP client cannot be set up: {error}"))
        })?;
        Ok(kept.get_or_init(|| built))
    }
}

/// Asks one address.
#[derive(Clone)]
pub(crate) struct Client {
    transport: Transport,
    is_direct: bool,
    address: Address,
    headers: HeaderMap,
    credentials: Option<Rc<dyn Credentials>>,
    /// Where requests to its own origin go instead, in the clear: to a port of this machine.
    detour: Option<SocketAddr>,
    /// Whether bodies are left in whatever coding they came.
    is_undecoded: bool,
}

impl Client {
    /// The same client, whose requests to its own origin go to a port of this machine instead, in the clear, while all that
    /// is said and judged is of the address. It has no credentials: whoever stands there has those.
    pub(crate) fn by_way_of(self, detour: SocketAddr) -> Self {
        Self { detour: Some(detour), is_direct: true, credentials: None, ..self }
    }

    /// The same client, which leaves bodies in the coding that they came in: for whoever passes them on.
    pub(crate) fn undecoded(self) -> Self {
        Self { is_undecoded: true, ..self }
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
        self.authorized(url, request, limits, deadline).await
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
        match tokio::time::timeout(time, self.exchange(url, request, credentials, limits.body)).await {
            Ok(answer) => answer,
            Err(_) => Err(Failure::timed_out(time, time < limits.time)),
        }
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
        let secure = url.scheme() == "https" || self.address.is_loopback();
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

    /// One exchange, as a span of the log.
    async fn exchange(
        &self,
        url: &Url,
        request: &Request,
        credentials: Option<Header>,
        max_body: u64,
    ) -> Result<Answer, Failure> {
        let clock = Clock::new();
        let span = tracing::debug_span!("request", method = request.method, url = url.as_str());
        let sent = self.send(url, request, credentials, max_body, &clock).instrument(span.clone());
        let answer = clock.clone().measure(sent).await;
        let elapsed = clock.since_start();
        if let Some(witness) = &self.transport.witness {
            let answered = answer.as_ref().ok();
            witness.saw(Exchange {
                method: request.method.clone(),
                url: url.to_string(),
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

    async fn send(
        &self,
        url: &Url,
        request: &Request,
        credentials: Option<Header>,
        max_body: u64,
        clock: &Clock,
    ) -> Result<Answer, Failure> {
        let malformed = |message: String| Failure::new(FailureKind::Request, message);
        let method = Method::from_bytes(request.method.as_bytes()).map_err(|error| malformed(error.to_string()))?;
        let mut headers = self.headers.clone();
        headers.extend(header::map(&request.headers).map_err(malformed)?);
        headers.extend(header::map(credentials.as_slice()).map_err(malformed)?);
        headers.entry(ACCEPT_ENCODING).or_insert(HeaderValue::from_static(ACCEPTED));
        let connections = self.transport.connections(self.is_direct)?;
        let sent_to = self.sent_to(url);
        let mut builder = connections.request(method, sent_to.clone()).headers(headers);
        if let Some(body) = &request.body {
            builder = builder.body(body.clone());
        }
        let proxy = || self.transport.proxies.toward(url).filter(|_| !self.is_direct);
        let mut response = builder.send().await.map_err(|error| {
            let failure = Failure::of(&error);
            // Until a connection stands, only the proxy was met.
            match proxy().filter(|_| error.is_connect()) {
                Some(proxy) => failure.of_proxy(&proxy),
                None => failure,
            }
        })?;
        let first_byte = clock.since_start();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        // Through a tunnel, nothing of the proxy's own arrives.
        if sent_to.scheme() == "http"
            && let Some(why) = own_answer(status, &headers)
            && let Some(proxy) = proxy()
        {
            return Err(Failure::new(FailureKind::Proxy, why).of_proxy(&proxy));
        }
        let body = if self.is_undecoded { Ok(Body::undecoded(max_body)) } else { Body::new(&headers, max_body) };
        let body = match body {
            Ok(body) => whole(&mut response, body).await,
            Err(failure) => Err(failure),
        };
        let body = body.map_err(|failure| failure.of_answer(status))?;
        let is_end_marked = sent_to.scheme() == "https"
            || headers.contains_key(CONTENT_LENGTH)
            || headers.contains_key(TRANSFER_ENCODING)
            || (body.is_empty() && (request.method == "HEAD" || matches!(status, 204 | 304)));
        let timing = clock.timing(first_byte);
        Ok(Answer { url: url.clone(), status, headers, body, advice: None, timing, is_end_marked })
    }
}

/// The body of an answer, whole.
async fn whole(response: &mut reqwest::Response, mut body: Body) -> Result<Vec<u8>, Failure> {
    loop {
        let chunk = response.chunk().await.map_err(|error| Failure::of_body(&error, body.received()))?;
        let Some(chunk) = chunk else { return body.finish() };
        body.push(&chunk)?;
    }
}
