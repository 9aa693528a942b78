//! Counts the requests that are being answered at the same time, and holds them until there are enough.

use std::sync::{Condvar, Mutex};
use std::time::Duration;

/// Far longer than the requests need to arrive: only a missing request uses it up.
const PATIENCE: Duration = Duration::from_secs(8);

#[derive(Default)]
struct Count {
    now: usize,
    most: usize,
}

#[derive(Default)]
pub struct Crowd {
    count: Mutex<Count>,
    changed: Condvar,
}

impl Crowd {
    /// Holds a request until this many have been held at once, and for a moment more, in which an excess one would show.
    pub fn hold(&self, until: usize) {
        let mut count = self.count.lock().unwrap();
        count.now += 1;
        count.most = count.most.max(count.now);
        self.changed.notify_all();
        drop(self.changed.wait_timeout_while(count, PATIENCE, |count| count.most < until).unwrap());
        std::thread::sleep(Duration::from_millis(20));
        self.count.lock().unwrap().now -= 1;
    }

    /// The largest number of requests at once.
    pub fn most(&self) -> usize {
        self.count.lock().unwrap().most
    }
}
