//! Cloud Monitoring's Prometheus API: one expression at one time.
//!
//! Reference: <https://cloud.google.com/monitoring/api/ref_v3/rest/v1/projects.location.prometheus.api.v1/query>. What comes back
//! has the form of a Prometheus server's answer.

use promeval::number::format_time;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::Api;
use super::api::ApiError;

impl Api {
    /// Asks one expression at a time, which is in milliseconds since the Unix epoch.
    ///
    /// # Errors
    /// Why there is no answer.
    pub(crate) async fn promql(
        &self,
        project: &str,
        expression: &str,
        time: i64,
        deadline: Instant,
    ) -> Result<Value, ApiError> {
        let path = format!("/v1/projects/{project}/location/global/prometheus/api/v1/query");
        let body = json!({"query": expression, "time": format_time(time), "timeout": "10s"});
        self.post(&path, &body, deadline).await
    }
}
