//! Evaluates PromQL in memory: exposition text to samples, samples to series, expressions over series.
//!
//! Nothing in here reads the clock, the network or the environment: bytes and times are passed in.

pub mod exposition;
pub mod labels;
pub mod number;
mod pattern;
pub mod promql;
pub mod series;

pub use pattern::Pattern;
