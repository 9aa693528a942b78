//! The names of the sample world.

pub const PROJECT: &str = "emergence-469005";
pub const REGION: &str = "europe-west1";
pub const SERVICE: &str = "emergence-app";
pub const PIPELINE: &str = "emergence-pipeline";
pub const TARGET: &str = "emergence-run";

/// `projects/P/locations/R`.
pub fn location() -> String {
    format!("projects/{PROJECT}/locations/{REGION}")
}

/// The service's full name.
pub fn service() -> String {
    format!("{}/services/{SERVICE}", location())
}

/// A revision's full name.
pub fn revision(short: &str) -> String {
    format!("{}/revisions/{short}", service())
}

/// The pipeline's full name.
pub fn pipeline() -> String {
    format!("{}/deliveryPipelines/{PIPELINE}", location())
}

/// A release's full name.
pub fn release(short: &str) -> String {
    format!("{}/releases/{short}", pipeline())
}

/// A rollout's full name.
pub fn rollout(release: &str, short: &str) -> String {
    format!("{}/rollouts/{short}", self::release(release))
}
