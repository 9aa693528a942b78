//! The real binary against real servers on loopback, asserting on exit code, report and what people read. One crate, so
//! that the sample canary is compiled once.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "outside production code")]

#[path = "../../examples/canary/mod.rs"]
mod canary;
mod checks;
mod crowd;
mod forward;
mod gate;
mod http2_server;
mod raw;

mod afterwards;
mod alerts;
mod audit;
mod bad_input;
mod bounded;
mod bounds;
mod cloud;
mod credentials;
mod deploy;
mod documents;
mod drill;
mod evidence;
mod faults;
mod formats;
mod front_end;
mod front_end_bounds;
mod front_end_skew;
mod front_end_wild;
mod hostile;
mod http2;
mod identity;
mod init;
mod kept_alive;
mod layers;
mod lint;
mod mistakes;
mod output;
mod pipeline;

mod plan;
mod prometheus;
mod protocol;
mod proxy;
mod query;
mod release;
mod replay;
mod replay_unseen;
mod report;
mod report_file;
mod reproduce;
mod rollback;
mod schema;
mod standstill;
mod traffic;
mod unread;
mod watch;
mod window;
