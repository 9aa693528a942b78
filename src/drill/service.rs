//! The healthy service behind the faults: the embedded sample, or a person's own. Nothing but GET and HEAD reaches it.

use std::cell::Cell;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::sample;
use super::wire::{Asked, Manner, Reply};
use crate::http::{Address, Client, Header, Request, RequestLimits};

/// The most requests a second that reach it on the whole, whatever is played side by side.
pub(super) const RATE: u32 = 100;

/// So many may come at once after a pause.
const BURST: u32 = 20;

/// Headers that are of one connection only: <https://www.rfc-editor.org/rfc/rfc9110#section-7.6.1>. The length of a body is
/// that of the bytes that are sent on.
const OF_ONE_CONNECTION: [&str; 9] = [
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "content-length",
];

/// Who answers.
pub(crate) enum Service {
    /// The embedded sample.
    Sample,
    /// A person's own, which leaves bodies in the coding that they come in.
    Own(Box<Client>),
}

impl Service {
    /// A service behind a client.
    pub(crate) fn own(client: Client) -> Self {
        Self::Own(Box::new(client.undecoded()))
    }

    /// The address that it is known by.
    ///
    /// # Errors
    /// A defect of the gate, in a sentence.
    pub(super) fn address(&self) -> Result<Address, String> {
        match self {
            Self::Sample => Address::parse(sample::ADDRESS),
            Self::Own(client) => Ok(client.address().clone()),
        }
    }

    /// Passes a request on.
    ///
    /// # Errors
    /// Why there is no whole answer.
    pub(super) async fn answer(&self, asked: &Asked, limits: RequestLimits, key: &str) -> Result<Reply, String> {
        let client = match self {
            Self::Sample => return Ok(sample::answer(&asked.target)),
            Self::Own(client) => client,
        };
        let mut url = client.address().url().clone();
        let (path, query) =
            asked.target.split_once('?').map_or((&*asked.target, None), |(path, query)| (path, Some(query)));
        url.set_path(path);
        url.set_query(query);
        let is_own = |name: &str| {
            is_of_one_connection(name) || name.eq_ignore_ascii_case("host") || name.eq_ignore_ascii_case(key)
        };
        let headers = asked.headers.iter().filter(|(name, _)| !is_own(name));
        let headers = headers.map(|(name, value)| Header::secret(name, value)).collect();
        let request = Request { method: asked.method.clone(), path: asked.target.clone(), headers, body: None };
        let answer = client.ask_url(&url, &request, limits, Instant::now() + limits.time).await;
        let answer = answer.map_err(|failure| failure.to_string())?;
        let headers = answer.headers.iter().filter(|(name, _)| !is_of_one_connection(name.as_str()));
        Ok(Reply {
            status: answer.status,
            headers: headers.map(|(name, value)| (name.to_string(), value.as_bytes().to_vec())).collect(),
            body: answer.body,
            manner: Manner::Whole,
            after: Duration::ZERO,
        })
    }
}

fn is_of_one_connection(name: &str) -> bool {
    OF_ONE_CONNECTION.iter().any(|known| name.eq_ignore_ascii_case(known))
}

/// Keeps requests to the service apart, so that a drill is no load.
pub(super) struct Pace {
    next: Cell<Instant>,
}

impl Pace {
    pub(super) fn new() -> Self {
        Self { next: Cell::new(Instant::now()) }
    }

    /// Waits for the next request's turn.
    pub(super) async fn turn(&self) {
        let step = Duration::from_secs(1) / RATE;
        let now = Instant::now();
        let earliest = now.checked_sub(step * BURST).unwrap_or(now);
        let turn = self.next.get().max(earliest);
        self.next.set(turn + step);
        sleep_until(turn).await;
    }
}
