//! Metrics, all pure: exposition text to samples, samples to series, PromQL over series.
//!
//! Nothing in here reads the clock, the network or the environment: bytes and times are passed in.

pub mod decision;
pub mod exposition;
pub mod inventory;
pub mod labels;
pub mod number;
pub mod promql;
pub mod series;
