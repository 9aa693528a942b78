//! One HTTP request, bounded in time and bytes; and the schedule of its repetition.

mod failure;
mod front_end;
mod retry;
mod tls;

use std::rc::Rc;
use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Method};
use tokio::time::Instant;
use url::Url;

pub(crate) use failure::shown;
pub use failure::{Failure, FailureKind};
pub use retry::{Attempt, Tried, until};
pub use tls::read_ca_file;

use crate::plan::{Header, Request, RequestLimits};
use crate::target::{Auth, Target};

/// Asks one target.
#[derive(Clone)]
pub struct Probe {
    client: Client,
    target: Target,
    headers: HeaderMap,
    extra_ca: Option<Vec<u8>>,
    auth: Option<Rc<Auth>>,
}

/// An answer, its body whole.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The URL that answered.
    pub url: Url,
    /// The HTTP status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, decompressed.
    pub body: Vec<u8>,
    /// What to do about the answer, where Cloud Run's front end gave it and not the application.
    pub advice: Option<String>,
}

impl Answer {
    /// A header's value, where it is there and text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The media type in lower case, without its parameters.
    #[must_use]
    pub fn media_type(&self) -> String {
        let value = self.header("content-type").unwrap_or_default();
        value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
    }

    /// How long the server asks to wait.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        let value = self.header("retry-after")?.trim();
        if let Ok(seconds) = value.parse() {
            return Some(Duration::from_secs(seconds));
        }
        let until = httpdate::parse_http_date(value).ok()?;
        Some(until.duration_since(std::time::SystemTime::now()).unwrap_or_default())
    }

    /// Whether the status says that the same request may do better later.
    #[must_use]
    pub fn may_pass_by_itself(&self) -> bool {
        matches!(self.status, 408 | 425 | 429 | 500..=599)
    }

    /// The start of the body as one line, for a message.
    #[must_use]
    pub fn excerpt(&self) -> String {
        const SHOWN: usize = 120;
        let text = String::from_utf8_lossy(&self.body[..self.body.len().min(4 * SHOWN)]);
        let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let mut shown: String = line.chars().filter(|c| !c.is_control()).take(SHOWN).collect();
        if line.chars().nth(SHOWN).is_some() {
            shown.push('…');
        }
        shown
    }
}

impl Probe {
    /// Makes a probe. `extra_ca` holds certificates in PEM that are trusted besides the public CAs.
    ///
    /// # Errors
    /// A malformed certificate or header, or a TLS set-up that the machine refuses.
    pub fn new(target: Target, headers: &[Header], extra_ca: Option<&[u8]>) -> Result<Self, String> {
        // A proxy for the world cannot reach this machine's own addresses.
        let direct = target.is_loopback();
        Self::build(target, headers, extra_ca, direct)
    }

    /// Makes a probe that uses no proxy, whatever the environment says: for tokens.
    ///
    /// # Errors
    /// As [`Probe::new`].
    pub fn direct(target: Target) -> Result<Self, String> {
        Self::build(target, &[], None, true)
    }

    fn build(target: Target, headers: &[Header], extra_ca: Option<&[u8]>, direct: bool) -> Result<Self, String> {
        let mut builder = Client::builder()
            .tls_backend_preconfigured(tls::config(extra_ca)?)
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("canary-gate/", env!("CARGO_PKG_VERSION")))
            .http1_only();
        if direct {
            builder = builder.no_proxy();
        }
        let client = builder.build().map_err(|error| format!("the HTTP client cannot be set up: {error}"))?;
        Ok(Self { client, target, headers: header_map(headers)?, extra_ca: extra_ca.map(<[u8]>::to_vec), auth: None })
    }

    /// A probe for another target that trusts the same CAs, with the same headers or others.
    ///
    /// # Errors
    /// As [`Probe::new`].
    pub fn toward(&self, target: Target, headers: Option<&[Header]>) -> Result<Self, String> {
        let other = Self::new(target, headers.unwrap_or_default(), self.extra_ca.as_deref())?;
        Ok(if headers.is_none() { Self { headers: self.headers.clone(), ..other } } else { other })
    }

    /// The same probe with tokens for a private service.
    #[must_use]
    pub fn with_auth(self, auth: Auth) -> Self {
        Self { auth: Some(Rc::new(auth)), ..self }
    }

    /// The target.
    #[must_use]
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// Sends a request of the plan to the target. It ends at the request's own limit or at `deadline`, whichever comes
    /// first, with the body read whole.
    ///
    /// # Errors
    /// Why there is no whole answer.
    pub async fn ask(&self, request: &Request, limits: RequestLimits, deadline: Instant) -> Result<Answer, Failure> {
        self.ask_url(&self.target.at(&request.path), request, limits, deadline).await
    }

    /// Sends a request to a URL of the target's origin.
    ///
    /// # Errors
    /// Why there is no whole answer.
    pub async fn ask_url(
        &self,
        url: &Url,
        request: &Request,
        limits: RequestLimits,
        deadline: Instant,
    ) -> Result<Answer, Failure> {
        let left = deadline.saturating_duration_since(Instant::now());
        let time = limits.time.min(left);
        match tokio::time::timeout(time, self.authorized(url, request, limits.body)).await {
            Ok(answer) => answer,
            Err(_) => Err(Failure::timed_out(time, time < limits.time)),
        }
    }

    /// One exchange, with a token where the service wants one; an answer of Cloud Run's own comes with advice.
    async fn authorized(&self, url: &Url, request: &Request, max_body: u64) -> Result<Answer, Failure> {
        // Tokens go to the target's own origin only, and never in the clear to another machine.
        let secure = url.scheme() == "https" || self.target.is_loopback();
        let auth = self.auth.as_ref().filter(|_| secure && url.origin() == self.target.url.origin());
        let mut answer = self.exchange(url, request, max_body, auth).await?;
        while let Some(auth) = auth.filter(|auth| matches!(answer.status, 401 | 403) && auth.escalate(answer.status)) {
            answer = self.exchange(url, request, max_body, Some(auth)).await?;
        }
        answer.advice = match front_end::refusal(&answer) {
            Some(front_end::Refusal::Private) => match auth {
                Some(auth) => Some(auth.advice().await),
                None => Some("the service is private".into()),
            },
            Some(front_end::Refusal::Ingress) => Some(front_end::INGRESS.into()),
            None => None,
        };
        Ok(answer)
    }

    async fn exchange(
        &self,
        url: &Url,
        request: &Request,
        max_body: u64,
        auth: Option<&Rc<Auth>>,
    ) -> Result<Answer, Failure> {
        let malformed = |message: String| Failure::new(FailureKind::Other, message);
        let method = Method::from_bytes(request.method.as_bytes()).map_err(|error| malformed(error.to_string()))?;
        let mut headers = self.headers.clone();
        headers.extend(header_map(&request.headers).map_err(malformed)?);
        if let Some(auth) = auth
            && let Some(header) = auth.header().await
        {
            headers.extend(header_map(&[header]).map_err(malformed)?);
        }
        let mut builder = self.client.request(method, url.clone()).headers(headers);
        if let Some(body) = &request.body {
            builder = builder.body(body.clone());
        }
        let mut response = builder.send().await.map_err(|error| Failure::of(&error))?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let mut body = Vec::new();
        loop {
            let chunk = response.chunk().await.map_err(|error| Failure::of_body(&error, body.len()))?;
            let Some(chunk) = chunk else { break };
            if (body.len() + chunk.len()) as u64 > max_body {
                return Err(Failure::too_large(max_body));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Answer { url: url.clone(), status, headers, body, advice: None })
    }
}

fn header_map(headers: &[Header]) -> Result<HeaderMap, String> {
    let mut map = HeaderMap::new();
    for header in headers {
        let name = HeaderName::from_bytes(header.name.as_bytes())
            .map_err(|_| format!("{:?} is no header name", header.name))?;
        let mut value =
            HeaderValue::from_str(&header.value).map_err(|_| format!("the value of the header {name} is malformed"))?;
        value.set_sensitive(true);
        map.insert(name, value);
    }
    Ok(map)
}
