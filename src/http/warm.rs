//! Connections that are opened before a request needs them, so that it does not wait for them.
//!
//! No request is sent on one and no token goes with it. They are few, they are kept for one place each, and one that the server
//! has closed meanwhile is dropped.

use std::any::Any;
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, oneshot};
use url::{Origin, Url};

/// The most that are kept or under way at once.
const MOST: usize = 8;

/// What connections are alike for: the origin, and how it is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    origin: Origin,
    /// By way of no proxy.
    is_direct: bool,
    /// HTTP/2 is not offered.
    only_http1: bool,
}

impl Place {
    pub(super) fn new(url: &Url, is_direct: bool, only_http1: bool) -> Self {
        Self { origin: url.origin(), is_direct, only_http1 }
    }
}

/// A connection, of the client's own type.
type Opened = Box<dyn Any + Send>;

#[derive(Default)]
pub(super) struct Warm {
    state: Mutex<State>,
    /// Some place's protocol has become known.
    told: Notify,
}

#[derive(Default)]
struct State {
    /// In the order in which they were begun; each is there, or will be, or failed.
    kept: VecDeque<(Place, oneshot::Receiver<Opened>)>,
    /// Whether the newest connection to a place speaks HTTP/2.
    speaks_http2: Vec<(Place, bool)>,
}

impl Warm {
    /// Makes room for a connection that is going to be opened; nothing where there are enough.
    pub(super) fn begin(&self, place: &Place) -> Option<oneshot::Sender<Opened>> {
        let mut state = self.state();
        if state.kept.len() >= MOST {
            return None;
        }
        let (opened, kept) = oneshot::channel();
        state.kept.push_back((place.clone(), kept));
        Some(opened)
    }

    /// A connection to a place, also one that is still being opened; nothing where there is none, or it failed.
    pub(super) async fn take(&self, place: &Place) -> Option<Opened> {
        loop {
            let kept = {
                let mut state = self.state();
                let at = state.kept.iter().position(|(known, _)| known == place)?;
                state.kept.remove(at)?.1
            };
            if let Ok(opened) = kept.await {
                return Some(opened);
            }
        }
    }

    /// Closes whatever nothing has needed.
    pub(super) fn clear(&self) {
        let kept = std::mem::take(&mut self.state().kept);
        drop(kept);
    }

    /// Notes what a new connection speaks.
    pub(super) fn speaks(&self, place: &Place, http2: bool) {
        let mut state = self.state();
        match state.speaks_http2.iter_mut().find(|(known, _)| known == place) {
            Some((_, known)) => *known = http2,
            None => state.speaks_http2.push((place.clone(), http2)),
        }
        drop(state);
        self.told.notify_waiters();
    }

    /// Whether a place speaks HTTP/2, when a connection has shown it.
    pub(super) async fn protocol(&self, place: &Place) -> bool {
        loop {
            let told = self.told.notified();
            let found = self.state().speaks_http2.iter().find(|(known, _)| known == place).map(|(_, http2)| *http2);
            match found {
                Some(http2) => return http2,
                None => told.await,
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(url: &str, is_direct: bool) -> Place {
        Place::new(&Url::parse(url).unwrap(), is_direct, false)
    }

    #[tokio::test]
    async fn connections_are_taken_in_their_order_at_their_place_alone() {
        let warm = Warm::default();
        let (here, there) = (place("https://a.example.com/x", true), place("https://a.example.com/", false));
        for number in 0..3_u8 {
            warm.begin(&here).unwrap().send(Box::new(number)).unwrap();
        }
        // One that failed is passed over.
        drop(warm.begin(&here).unwrap());
        warm.begin(&here).unwrap().send(Box::new(3_u8)).unwrap();
        assert!(warm.take(&there).await.is_none());
        for number in 0..4_u8 {
            let taken = warm.take(&place("https://a.example.com:443/y", true)).await.unwrap();
            assert_eq!(*taken.downcast::<u8>().unwrap(), number);
        }
        assert!(warm.take(&here).await.is_none());
    }

    #[tokio::test]
    async fn one_that_is_being_opened_is_waited_for_and_there_are_never_many() {
        let warm = Warm::default();
        let here = place("https://a.example.com", true);
        let under_way: Vec<_> = std::iter::from_fn(|| warm.begin(&here)).collect();
        assert_eq!(under_way.len(), MOST);
        let (taken, ()) = tokio::join!(warm.take(&here), async {
            for opened in under_way {
                opened.send(Box::new(())).unwrap();
            }
        });
        assert!(taken.is_some());
        warm.clear();
        assert!(warm.take(&here).await.is_none());
    }

    #[tokio::test]
    async fn what_a_place_speaks_is_waited_for() {
        let warm = Warm::default();
        let here = place("https://a.example.com", true);
        let (http2, ()) = tokio::join!(warm.protocol(&here), async {
            warm.speaks(&place("https://b.example.com", true), true);
            warm.speaks(&here, false);
        });
        assert!(!http2);
        warm.speaks(&here, true);
        assert!(warm.protocol(&here).await);
    }
}
