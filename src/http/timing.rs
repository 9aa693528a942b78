//! Where the time of a request went: looking the host up, connecting, TLS, waiting for the first byte, reading the body.
//!
//! The HTTP client tells nothing of this by itself. What is measured comes from the three places that it calls on the way:
//! the resolver, a layer around its connector, and the store of TLS sessions, which is asked when a handshake begins. A
//! request on a connection that was there already has none of the three, and neither has one that began to connect and was
//! then given a connection that another request had done with: the ends of the connection that carried it tell.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use http::Extensions;
use hyper_util::client::legacy::connect::{Connected, HttpInfo};

use super::warm::Place;

/// The times of one request. Those of the connection are missing where it was there already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Timing {
    /// Looking the host's name up.
    pub(crate) dns: Option<Duration>,
    /// From then on to the connection (through a proxy, to the end of its tunnel).
    pub(crate) connect: Option<Duration>,
    /// The TLS handshake.
    pub(crate) tls: Option<Duration>,
    /// From the start of the request to the end of the answer's header.
    pub(crate) first_byte: Duration,
    /// From then on to the last byte of the body.
    pub(crate) body: Duration,
}

impl Timing {
    /// Setting up the connection; nothing where it was there already.
    pub(crate) fn setup(&self) -> Option<Duration> {
        let phases = [self.dns, self.connect, self.tls];
        phases.iter().any(Option::is_some).then(|| phases.iter().flatten().sum())
    }

    /// From the request to the last byte of the answer, without setting up the connection.
    pub(crate) fn latency(&self) -> Duration {
        (self.first_byte + self.body).saturating_sub(self.setup().unwrap_or_default())
    }
}

tokio::task_local! {
    static CLOCK: Arc<Clock>;
}

/// The two ends of a connection, which tell it from every other that is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ends {
    here: SocketAddr,
    there: SocketAddr,
}

impl Ends {
    /// Of the connection that brought an answer; nothing where it did not know them any more.
    pub(super) fn of_answer(extensions: &Extensions) -> Option<Self> {
        extensions.get::<HttpInfo>().map(|info| Self { here: info.local_addr(), there: info.remote_addr() })
    }

    /// Of a connection; nothing where the other side has reset it.
    pub(super) fn of_connection(connected: &Connected) -> Option<Self> {
        let mut extensions = Extensions::new();
        connected.get_extras(&mut extensions);
        Self::of_answer(&extensions)
    }
}

/// Collects the moments of one request, in microseconds since its start; 0 where nothing was noted.
pub(super) struct Clock {
    /// Where the request goes.
    pub(super) place: Place,
    /// Whether it only opens a connection, for requests to come.
    pub(super) only_opens: bool,
    began: Instant,
    dns: AtomicU64,
    resolved: AtomicU64,
    handshake: AtomicU64,
    connected: AtomicU64,
    /// The ends of the connection that the request made.
    made: OnceLock<Option<Ends>>,
}

impl Clock {
    /// Of a request.
    pub(super) fn new(place: Place) -> Arc<Self> {
        Self::begin(place, false)
    }

    /// Of a connection that is opened for requests to come.
    pub(super) fn opening(place: Place) -> Arc<Self> {
        Self::begin(place, true)
    }

    fn begin(place: Place, only_opens: bool) -> Arc<Self> {
        let zero = || AtomicU64::new(0);
        let (dns, resolved, handshake, connected) = (zero(), zero(), zero(), zero());
        Arc::new(Self {
            place,
            only_opens,
            began: Instant::now(),
            dns,
            resolved,
            handshake,
            connected,
            made: OnceLock::new(),
        })
    }

    /// The clock of the request that is being polled; nothing where a connection is made on behalf of none.
    pub(super) fn current() -> Option<Arc<Self>> {
        CLOCK.try_with(Arc::clone).ok()
    }

    /// Runs a request under this clock.
    pub(super) async fn measure<T>(self: Arc<Self>, request: impl Future<Output = T>) -> T {
        CLOCK.scope(self, request).await
    }

    pub(super) fn since_start(&self) -> Duration {
        self.began.elapsed()
    }

    pub(super) fn looks_up(&self) {
        self.note(&self.dns);
    }

    pub(super) fn resolved(&self) {
        self.note(&self.resolved);
    }

    pub(super) fn shakes_hands(&self) {
        self.note(&self.handshake);
    }

    pub(super) fn connected(&self, ends: Option<Ends>) {
        self.note(&self.connected);
        let _ = self.made.set(ends);
    }

    /// Whether the connection that carried the request is the one that it made. One that it made may have come too late: another
    /// was free, and carried it.
    pub(super) fn was_carried_by_its_own(&self, carried_by: Option<Ends>) -> bool {
        self.made.get().is_some_and(|made| made.is_none() || carried_by.is_none() || *made == carried_by)
    }

    /// Whether the request of this clock is the one that is being polled: a connection that it began, and that another then
    /// took it off, is made on behalf of none.
    pub(super) fn is_current(self: &Arc<Self>) -> bool {
        CLOCK.try_with(|current| Arc::ptr_eq(current, self)).unwrap_or(false)
    }

    fn note(&self, moment: &AtomicU64) {
        let elapsed = u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX);
        moment.store(elapsed.max(1), Ordering::Relaxed);
    }

    /// The times of the request, given when the answer's header came and over which connection.
    pub(super) fn timing(&self, first_byte: Duration, carried_by: Option<Ends>) -> Timing {
        let at = |moment: &AtomicU64| Some(moment.load(Ordering::Relaxed)).filter(|at| *at > 0);
        let between = |from: u64, to: Option<u64>| Some(Duration::from_micros(to?.saturating_sub(from)));
        let (looked_up, resolved) = (at(&self.dns), at(&self.resolved));
        let (handshake, connected) = (at(&self.handshake), at(&self.connected));
        let body = self.since_start().saturating_sub(first_byte);
        if !self.was_carried_by_its_own(carried_by) {
            return Timing { first_byte, body, ..Timing::default() };
        }
        Timing {
            dns: looked_up.and_then(|from| between(from, resolved)),
            connect: between(resolved.unwrap_or(0), handshake.or(connected)),
            tls: handshake.and_then(|from| between(from, connected)),
            first_byte,
            body,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_phases_are_the_spans_between_the_moments() {
        let place = || Place::new(&url::Url::parse("https://canary.example.com").unwrap(), true, false);
        let clock = Clock::new(place());
        let set = |moment: &AtomicU64, at| moment.store(at, Ordering::Relaxed);
        set(&clock.dns, 10);
        set(&clock.resolved, 30);
        set(&clock.handshake, 100);
        let ends = |port| {
            let there = SocketAddr::from(([127, 0, 0, 1], 80));
            Some(Ends { here: SocketAddr::from(([127, 0, 0, 1], port)), there })
        };
        clock.connected(ends(5000));
        set(&clock.connected, 400);
        let micros = Duration::from_micros;
        // A connection that was reset has no ends any more.
        for carried_by in [ends(5000), None] {
            let timing = clock.timing(micros(500), carried_by);
            assert_eq!(
                (timing.dns, timing.connect, timing.tls),
                (Some(micros(20)), Some(micros(70)), Some(micros(300)))
            );
            let measured = Timing { body: micros(50), ..timing };
            assert_eq!((measured.setup(), measured.latency()), (Some(micros(390)), micros(160)));
        }
        // One that was there; one that was given another's while it began to connect, and one after it had connected.
        let (there, began) = (Clock::new(place()), Clock::new(place()));
        set(&began.dns, 10);
        set(&began.resolved, 30);
        set(&began.handshake, 100);
        for reused in [there, began, clock] {
            let reused = reused.timing(micros(500), ends(5001));
            assert_eq!(reused.setup(), None);
            assert_eq!((reused.dns, reused.connect, reused.tls), (None, None, None));
        }
    }
}
