//! What the HTTP client calls while it connects, with errors that keep their kind and with the moments noted.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use hyper::rt::{Read, ReadBuf};
use hyper_util::client::legacy::connect::Connection;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use rustls::client::{ClientSessionMemoryCache, ClientSessionStore, Tls12ClientSessionValue, Tls13ClientSessionValue};
use rustls::pki_types::ServerName;
use rustls::{NamedGroup, client};
use tower_layer::Layer;
use tower_service::Service;

use super::timing::{Clock, Ends};
use super::warm::Warm;

/// The host's name has no address.
#[derive(Debug)]
pub(super) struct Unresolved(pub(super) io::Error);

impl fmt::Display for Unresolved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The resolver's own prefix says nothing that a person could use.
        let message = self.0.to_string();
        f.write_str(message.strip_prefix("failed to lookup address information: ").unwrap_or(&message))
    }
}

impl std::error::Error for Unresolved {}

/// The system's resolver.
pub(super) struct Resolver;

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let clock = Clock::current();
        Box::pin(async move {
            if let Some(clock) = &clock {
                clock.looks_up();
            }
            // The port is replaced by that of the address.
            let found = tokio::net::lookup_host((name.as_str(), 0)).await;
            let addresses: Vec<_> = found.map_err(Unresolved)?.collect();
            if let Some(clock) = &clock {
                clock.resolved();
            }
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

/// Notes when a connection is made and what it speaks, gives those that were opened before, and keeps those that are for later.
#[derive(Clone)]
pub(super) struct Connects(pub(super) Arc<Warm>);

impl<S> Layer<S> for Connects {
    type Service = Connecting<S>;

    fn layer(&self, inner: S) -> Connecting<S> {
        Connecting { inner, warm: self.0.clone() }
    }
}

#[derive(Clone)]
pub(super) struct Connecting<S> {
    inner: S,
    warm: Arc<Warm>,
}

/// A connection was made, and is kept: no request goes over it yet.
#[derive(Debug)]
struct Kept;

impl fmt::Display for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the connection is kept for later")
    }
}

impl std::error::Error for Kept {}

type BoxError = Box<dyn std::error::Error + Send + Sync>;

impl<R, S> Service<R> for Connecting<S>
where
    S: Service<R, Error = BoxError>,
    S::Response: Connection + Read + Unpin + Send + 'static,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: R) -> Self::Future {
        let (clock, connecting, warm) = (Clock::current(), self.inner.call(request), self.warm.clone());
        Box::pin(async move {
            let Some(clock) = clock else { return connecting.await };
            if clock.only_opens {
                // Before anything waits: what needs it meanwhile finds that it is under way.
                let Some(later) = warm.begin(&clock.place) else { return Err(Kept.into()) };
                let connection = connecting.await?;
                warm.speaks(&clock.place, connection.connected().is_negotiated_h2());
                // Nothing waits for it where the run is over.
                let _ = later.send(Box::new(connection));
                return Err(Kept.into());
            }
            while let Some(opened) = warm.take(&clock.place).await {
                if let Ok(mut connection) = opened.downcast::<S::Response>()
                    && is_open(&mut *connection)
                {
                    return Ok(*connection);
                }
            }
            let connection = connecting.await?;
            warm.speaks(&clock.place, connection.connected().is_negotiated_h2());
            if clock.is_current() {
                clock.connected(Ends::of_connection(&connection.connected()));
            }
            Ok(connection)
        })
    }
}

/// Whether a connection on which nothing was asked is as it was. Of HTTP/1.1, a server that speaks first says that it is closing; of
/// HTTP/2, it speaks first always, and what it says is for whoever takes the connection.
fn is_open(connection: &mut (impl Connection + Read + Unpin)) -> bool {
    if connection.connected().is_negotiated_h2() {
        return true;
    }
    let mut byte = [0];
    let mut read = ReadBuf::new(&mut byte);
    let mut context = Context::from_waker(Waker::noop());
    Pin::new(connection).poll_read(&mut context, read.unfilled()).is_pending()
}

/// Keeps TLS sessions, and notes when a handshake begins: that is when it is asked which group to offer.
#[derive(Debug)]
pub(super) struct Sessions(ClientSessionMemoryCache);

impl Sessions {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self(client::ClientSessionMemoryCache::new(64)))
    }
}

impl ClientSessionStore for Sessions {
    fn set_kx_hint(&self, server_name: ServerName<'static>, group: NamedGroup) {
        self.0.set_kx_hint(server_name, group);
    }

    fn kx_hint(&self, server_name: &ServerName<'_>) -> Option<NamedGroup> {
        if let Some(clock) = Clock::current() {
            clock.shakes_hands();
        }
        self.0.kx_hint(server_name)
    }

    fn set_tls12_session(&self, server_name: ServerName<'static>, value: Tls12ClientSessionValue) {
        self.0.set_tls12_session(server_name, value);
    }

    fn tls12_session(&self, server_name: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        self.0.tls12_session(server_name)
    }

    fn remove_tls12_session(&self, server_name: &ServerName<'static>) {
        self.0.remove_tls12_session(server_name);
    }

    fn insert_tls13_ticket(&self, server_name: ServerName<'static>, value: Tls13ClientSessionValue) {
        self.0.insert_tls13_ticket(server_name, value);
    }

    fn take_tls13_ticket(&self, server_name: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        self.0.take_tls13_ticket(server_name)
    }
}
