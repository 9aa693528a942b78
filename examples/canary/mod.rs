//! A sample canary: a real HTTP server on loopback that behaves like an application with a JSON health check, a Prometheus
//! endpoint and a front end, and that can be told to misbehave. The demo and the tests share it.

#![allow(dead_code, unused_imports, reason = "the demo uses only a part of it")]

pub mod app;
pub mod cloud;
pub mod faults;
pub mod google;
pub mod latency;
pub mod server;

pub use faults::{FAULTS, Fault};
pub use server::{Canary, Request};
