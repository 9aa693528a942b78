//! canary-gate decides whether a freshly deployed canary may take all the traffic. A PASS is proof; a FAIL names its cause.
//!
//! A library for the binary, its examples and its tests. `docs/architecture.md` shows the rooms on a page.

mod check;
pub mod cli;
mod command;
mod drill;
mod evidence;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;
mod google;
mod http;
mod judge;
mod lint;
mod observe;
mod operate;
mod outcome;
mod plan;
mod report;
pub mod run;
mod text;
mod yaml;

pub use outcome::Exit;
pub use plan::DEFAULT as DEFAULT_PLAN;
