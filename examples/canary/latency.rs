//! An application that takes its time: delays that vary as those of a real one do, and are the same in every run.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::thread;
use std::time::Duration;

use super::app::{ITEMS, answer};
use super::server::{Reply, Request};

/// What the items take, in the median.
const MEDIAN: Duration = Duration::from_millis(25);

/// The spread of the logarithm of the delays.
const SIGMA: f64 = 0.3;

/// The healthy application, which takes so many times as long as the steady one for its items.
pub fn delayed(request: &Request, factor: f64) -> Reply {
    if request.path == ITEMS {
        // Twelve uniform numbers add up to nearly a normal one.
        let normal: f64 = (0..12).map(|part| uniform(request, &format!("delay {part}"))).sum::<f64>() - 6.0;
        thread::sleep(MEDIAN.mul_f64(factor * (SIGMA * normal).exp()));
    }
    answer(request)
}

/// True for one in so many requests.
pub fn drawn(request: &Request, what: &str, one_in: u32) -> bool {
    uniform(request, what) < 1.0 / f64::from(one_in)
}

/// A number from 0 to 1 that is drawn for the request: by its trace, or by how many of its path came before.
fn uniform(request: &Request, what: &str) -> f64 {
    let mut hasher = DefaultHasher::new();
    match request.headers.get("traceparent") {
        Some(trace) => (trace, what).hash(&mut hasher),
        None => (request.before, what).hash(&mut hasher),
    }
    // The upper 32 bits.
    let drawn = u32::try_from(hasher.finish() >> 32).unwrap_or_default();
    f64::from(drawn) / f64::from(u32::MAX)
}
