//! canary-gate decides whether a freshly deployed canary may take all the traffic. A PASS is proof; a FAIL names its cause.
//!
//! Data runs one way: arguments → [`plan`] → [`target`] → [`check`] (by way of [`probe`] and [`promeval`]) → [`outcome`] →
//! [`report`] → exit code. `docs/architecture.md` shows it on a page.

pub mod check;
pub mod cli;
pub mod judge;
pub mod outcome;
pub mod plan;
pub mod probe;
pub mod report;
pub mod run;
pub mod target;
