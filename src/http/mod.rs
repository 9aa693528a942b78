//! HTTP: one request, bounded in time and bytes, and the schedule of its repetition. The only room that opens connections.

mod address;
mod answer;
mod body;
mod client;
mod connect;
mod credentials;
mod failure;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod header;
mod limits;
mod proxy;
mod request;
mod retry;
mod standstill;
mod timing;
mod tls;
mod transport;
mod warm;

pub(crate) use address::Address;
pub(crate) use answer::{Advice, Answer};
pub(crate) use body::decoded;
pub(crate) use client::Client;
pub(crate) use credentials::{Credentials, Local, Round};
pub(crate) use failure::{Failure, FailureKind};
pub(crate) use header::Header;
pub(crate) use limits::{RequestLimits, RetryPolicy};
pub(crate) use proxy::proxy_secrets;
pub(crate) use request::Request;
pub(crate) use retry::{Attempt, GaveUp, Retrying, Tried, Why, retry_until};
pub(crate) use standstill::{Standstill, stood_still, watch_standstills};
pub(crate) use transport::{Transport, Witness};
