//! How the cloud misbehaves: for which requests, how often, and in what way.

use super::State;
use crate::canary::server::Request;

/// A fault.
pub struct Fault {
    /// The method, and a piece of the path that a request has to have.
    pub method: &'static str,
    pub path: &'static str,
    /// How many requests that fit are answered well first, and how many are not then.
    pub after: usize,
    pub times: usize,
    pub act: Act,
}

/// What happens.
#[derive(Clone, Copy)]
pub enum Act {
    /// An error in place of an answer, with its reason and how long to wait, where these are not empty.
    Reply { status: u16, name: &'static str, reason: &'static str, retry_after: &'static str },
    /// No answer.
    Hang,
    /// The connection ends, and nothing was done.
    Close,
    /// What was asked is done, and the connection ends before the answer.
    Lose,
    /// A page in place of the list.
    Page(&'static str),
    /// Somebody else changes something, just before the request is looked at.
    Meanwhile(fn(&mut State)),
}

impl Fault {
    /// A fault of the first request that fits.
    pub fn first(method: &'static str, path: &'static str, act: Act) -> Self {
        Self { method, path, after: 0, times: 1, act }
    }

    /// A fault of every request that fits.
    pub fn always(method: &'static str, path: &'static str, act: Act) -> Self {
        Self { times: usize::MAX, ..Self::first(method, path, act) }
    }
}

/// The fault of a request, if there is one; it is counted.
pub fn of(faults: &mut [Fault], request: &Request) -> Option<Act> {
    for fault in faults {
        if request.method != fault.method || !request.path.contains(fault.path) {
            continue;
        }
        if fault.after > 0 {
            fault.after -= 1;
        } else if fault.times > 0 {
            fault.times -= 1;
            return Some(fault.act);
        }
    }
    None
}
