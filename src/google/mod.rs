//! Google Cloud: its APIs, its tokens, its front end, and what Cloud Deploy says of a rollout.

mod api;
mod auth;
mod credentials;
pub(crate) mod deploy;
mod deployment;
mod front_end;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod locate;
mod logging;
mod metadata;
mod monitoring;
mod operation;
mod paged;
mod run_api;
mod run_inventory;
pub(crate) mod run_traffic;
mod tokens;

pub(crate) use api::{Api, ApiError, ApiErrorKind};
pub use auth::AuthMode;
pub(crate) use auth::{AccessAuth, Auth};
pub(crate) use credentials::CredentialsFile;
pub(crate) use deployment::{Deployment, Given, Pipeline as OfPipeline, named, short};
pub(crate) use locate::{CloudRun, Located, Proof, ServiceFacts, Unproven};
pub(crate) use logging::{LogEntry, LogPage, LogQuery};
pub(crate) use metadata::Metadata;
pub(crate) use operation::{Ended, Operation};
pub(crate) use run_inventory::{RevisionKept, ServiceNow, TrafficEntry};
pub(crate) use tokens::{AccessTokens, IdentityTokens, TokenSource};
