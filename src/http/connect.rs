//! What the HTTP client calls while it connects, with errors that keep their kind and with the moments noted.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use rustls::client::{ClientSessionMemoryCache, ClientSessionStore, Tls12ClientSessionValue, Tls13ClientSessionValue};
use rustls::pki_types::ServerName;
use rustls::{NamedGroup, client};
use tower_layer::Layer;
use tower_service::Service;

use super::timing::Clock;

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

/// Notes when a connection is made.
#[derive(Clone)]
pub(super) struct Connects;

impl<S> Layer<S> for Connects {
    type Service = Connecting<S>;

    fn layer(&self, inner: S) -> Connecting<S> {
        Connecting { inner }
    }
}

#[derive(Clone)]
pub(super) struct Connecting<S> {
    inner: S,
}

impl<R, S: Service<R>> Service<R> for Connecting<S>
where
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: R) -> Self::Future {
        let (clock, connecting) = (Clock::current(), self.inner.call(request));
        Box::pin(async move {
            let connection = connecting.await?;
            if let Some(clock) = clock {
                clock.connected();
            }
            Ok(connection)
        })
    }
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
