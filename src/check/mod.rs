//! The checks: a list in stages, run under one deadline. Each is a function of its context, the canary and its part of the
//! plan, and comes to a finding.

mod alone;
mod context;
mod expect;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod http;
mod identity;
mod json;
mod ledger;
mod locate;
mod metrics;
mod ready;
mod replay;
mod reproduce;
mod runner;
mod smoke;
mod traffic;

pub(crate) use alone::{Alone, ScrapeAlone};
pub(crate) use identity::{short, told};
pub(crate) use ledger::Ledger;
pub(crate) use locate::{MakeClient, Route};
pub(crate) use metrics::{By, ask_prometheus, judge_again, now, prometheus_value, scrape_once};
pub(crate) use replay::{Replayed, replay, replay_by};
pub(crate) use runner::{Everyone, run};
pub(crate) use traffic::healthy_traffic;
