//! The connections of a run: their kinds, each set up when it is needed first, and what they have in common.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::HeaderMap;
use tokio::time::timeout;
use url::Url;

use super::connect::{Connects, Resolver};
use super::failure::{Failure, FailureKind};
use super::proxy::Proxies;
use super::timing::Clock;
use super::warm::{Place, Warm};
use super::{Address, Client, Header, header, tls};
use crate::outcome::Exchange;

/// The most header fields of an answer. The HTTP library makes room for so many at each head, informational ones included: with
/// 4,096 a flood of those kept the gate busy for eight seconds before it could look at its clock. Servers take a hundred themselves.
pub(super) const MAX_HEADERS: usize = 512;

/// The most bytes that they have together over HTTP/2; over HTTP/1.1 the HTTP library bounds them at some 400 KiB too.
const MAX_HEADER_BYTES: u32 = 400 * 1024;

/// Connections, by way of proxies or without them, that trust the same CAs. Clones share the connections.
///
/// Each kind is set up when it is needed first: a run seldom needs them all, and a millisecond counts.
#[derive(Clone)]
pub(crate) struct Transport {
    tls: rustls::ClientConfig,
    pub(super) proxies: Rc<Proxies>,
    pools: Rc<[Pool; Kind::COUNT]>,
    warm: Arc<Warm>,
    pub(super) witness: Option<Rc<dyn Witness>>,
}

/// Is told of every request and what came of it.
pub(crate) trait Witness {
    fn saw(&self, exchange: Exchange);
}

/// What a request wants of its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Kind {
    /// By way of no proxy.
    pub(super) is_direct: bool,
    /// HTTP/2 is not offered.
    pub(super) only_http1: bool,
    /// A connection of its own, made for it.
    pub(super) is_new: bool,
}

impl Kind {
    const COUNT: usize = 8;

    fn index(self) -> usize {
        usize::from(self.is_direct) | usize::from(self.only_http1) << 1 | usize::from(self.is_new) << 2
    }

    pub(super) fn place(self, url: &Url) -> Place {
        Place::new(url, self.is_direct, self.only_http1)
    }
}

/// Connections of one kind; nothing until they are needed.
#[derive(Default)]
struct Pool {
    connections: RefCell<Option<reqwest::Client>>,
    /// How often they were given up.
    generation: Cell<u32>,
}

impl Transport {
    /// Sets up TLS. `ca` is a file's name with its certificates in PEM, which are trusted besides the public CAs.
    ///
    /// # Errors
    /// Certificates that cannot be used; a proxy that the environment names and that cannot be one.
    pub(crate) fn new(ca: Option<(&std::path::Path, &[u8])>) -> Result<Self, String> {
        let extra = ca.map(|(path, pem)| tls::certificates(path, pem)).transpose()?;
        let tls = tls::config(extra.unwrap_or_default())?;
        let proxies = Rc::new(Proxies::new(&|name| std::env::var(name).ok())?);
        Ok(Self { tls, proxies, pools: Rc::default(), warm: Arc::default(), witness: None })
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
        Ok(Client::new(self.clone(), is_direct, address, header::map(headers)?))
    }

    /// A client that uses no proxy, whatever the environment says.
    pub(crate) fn direct_client(&self, address: Address) -> Client {
        Client::new(self.clone(), true, address, HeaderMap::new())
    }

    /// The connections of a kind, and which generation they are of.
    pub(super) fn connections(&self, kind: Kind) -> Result<(reqwest::Client, u32), Failure> {
        let pool = &self.pools[kind.index()];
        let mut connections = pool.connections.borrow_mut();
        let connections = match &*connections {
            Some(connections) => connections.clone(),
            None => connections.insert(self.set_up(kind)?).clone(),
        };
        Ok((connections, pool.generation.get()))
    }

    fn set_up(&self, kind: Kind) -> Result<reqwest::Client, Failure> {
        let mut tls = self.tls.clone();
        if kind.only_http1 {
            tls.alpn_protocols.retain(|protocol| protocol != b"h2");
        }
        let mut builder = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .dns_resolver(Resolver)
            .connector_layer(Connects(self.warm.clone()))
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("canary-gate/", env!("CARGO_PKG_VERSION")))
            .http1_max_headers(MAX_HEADERS)
            .http2_max_header_list_size(MAX_HEADER_BYTES);
        if kind.is_direct {
            builder = builder.no_proxy();
        }
        if kind.is_new {
            builder = builder.pool_max_idle_per_host(0);
        }
        builder
            .build()
            .map_err(|error| Failure::new(FailureKind::Request, format!("the HTTP client cannot be set up: {error}")))
    }

    /// Gives up connections on which an answer did not come in time: over HTTP/2 one connection carries every request, and the
    /// next one would wait on it as well. What runs on them still is left to itself.
    pub(super) fn give_up(&self, kind: Kind, generation: u32) {
        let pool = &self.pools[kind.index()];
        // Of several that wait on one connection, only the first gives it up.
        if pool.generation.get() == generation {
            pool.generation.set(generation.wrapping_add(1));
            *pool.connections.borrow_mut() = None;
        }
    }

    /// Opens a connection that a request will need.
    pub(super) fn open(&self, kind: Kind, url: &Url, within: Duration) {
        if let Some(opening) = self.opening(kind, url) {
            tokio::spawn(timeout(within, opening));
        }
    }

    /// Opens more of them, when one has shown that it carries a single request at a time.
    pub(super) fn open_more(&self, kind: Kind, url: &Url, more: usize, within: Duration) {
        let openings: Option<Vec<_>> = (0..more).map(|_| self.opening(kind, url)).collect();
        let Some(openings) = openings else { return };
        let (warm, place) = (self.warm.clone(), kind.place(url));
        tokio::spawn(timeout(within, async move {
            if !warm.protocol(&place).await {
                futures_util::future::join_all(openings).await;
            }
        }));
    }

    /// Closes the connections that were opened and not needed.
    pub(super) fn close_unneeded(&self) {
        self.warm.clear();
    }

    /// Opens a connection and keeps it. What goes wrong is told by the request that needs it.
    fn opening(&self, kind: Kind, url: &Url) -> Option<impl Future<Output = ()> + Send + use<>> {
        let (connections, _) = self.connections(Kind { is_new: true, ..kind }).ok()?;
        let clock = Clock::opening(kind.place(url));
        let request = connections.get(url.clone()).build().ok()?;
        Some(async move {
            // It ends with the connection: nothing is ever sent on it here.
            let _ = clock.measure(connections.execute(request)).await;
        })
    }
}
