//! Google Cloud: its APIs, its tokens, its front end, and what Cloud Deploy says of a rollout.

mod api;
mod auth;
mod deployment;
mod front_end;
mod locate;
mod metadata;
mod run_api;
mod tokens;

pub(crate) use api::{Api, ApiErrorKind};
pub use auth::AuthMode;
pub(crate) use auth::{AccessAuth, Auth};
pub(crate) use deployment::{Deployment, Given};
pub(crate) use locate::{CloudRun, Located, Proof, ServiceFacts, Unproven};
pub(crate) use metadata::Metadata;
pub(crate) use tokens::{AccessTokens, IdentityTokens};
