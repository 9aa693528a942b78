//! Requests that are answered at the same time: counted, and held until there are enough of them.

use std::sync::{Condvar, Mutex};
use std::time::Duration;

/// Far longer than it takes, so that only a request that never comes uses it up.
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
    /// Holds a request until so many have been here at once, and a moment more, in which one too many would be seen.
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
