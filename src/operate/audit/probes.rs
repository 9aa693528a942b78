//! Whether the application is well: the gate's own health check on the service's address, and what Cloud Run asks of a container
//! that starts.

use serde_json::Value;

use super::Audit;
use super::row::Seen;
use super::subject::Subject;
use crate::check::Alone;
use crate::google::ServiceFacts;
use crate::http::{Address, Client};
use crate::outcome::{CheckId, Observer, Status};
use crate::plan::CheckSpec;

impl Audit<'_> {
    /// The plan's own health check, on the address that users have.
    pub(super) async fn health(&self, subject: &Subject, check: Option<CheckId>, observer: &dyn Observer) -> Seen {
        let (Some(spec), Some(check)) = (self.spec("health"), check) else {
            return Seen::none("the plan has no health check");
        };
        if !spec.policy.enabled {
            return Seen::not_asked("health is switched off in the checks file");
        }
        let client = match self.service_client(subject) {
            Ok(client) => client,
            Err(why) => return Seen::none(why),
        };
        let alone = Alone { spec, client: &client, access: &self.access, observer, check, deadline: self.deadline };
        let Some(told) = alone.ask().await else { return Seen::none("the plan has no health check") };
        let seen = match told.status {
            Status::Pass => Seen::good(told.detail),
            Status::Fail => Seen::bad(told.detail),
            Status::Warn | Status::Skipped | Status::Error => Seen::none(told.detail),
        };
        seen.seeing(told.observations).attempted(told.attempts)
    }

    /// The check of the plan with this name.
    pub(super) fn spec(&self, name: &str) -> Option<&CheckSpec> {
        self.plan.checks.iter().find(|check| check.name == name)
    }

    /// A client of the service's own address.
    ///
    /// # Errors
    /// Why there is none.
    pub(super) fn service_client(&self, subject: &Subject) -> Result<Client, String> {
        let service = subject.service.as_ref().map_err(ToString::to_string)?;
        if service.uri.is_empty() {
            return Err("the Cloud Run Admin API names no address of the service".into());
        }
        let address = Address::parse(&service.uri)
            .map_err(|error| format!("the Cloud Run Admin API names an address that cannot be used: {error}"))?;
        let open = match &*service.ingress {
            "" | "INGRESS_TRAFFIC_UNSPECIFIED" => None,
            ingress => Some(ingress == "INGRESS_TRAFFIC_ALL"),
        };
        let facts = ServiceFacts { audience: Some(service.uri.clone()), open, shared: Vec::new() };
        (self.client)(address, &facts)
    }
}

/// The startup probe asks the application.
pub(super) fn startup_probe(subject: &Subject) -> Seen {
    let kept = match &subject.kept {
        Ok(kept) => kept,
        Err(why) if why.is_missing => return Seen::bad(why.to_string()),
        Err(why) => return Seen::none(why.to_string()),
    };
    // The container that takes the requests is the one with a port.
    let has_ports = |container: &&Value| container["ports"].as_array().is_some_and(|ports| !ports.is_empty());
    let Some(container) = kept.containers.iter().find(has_ports).or(kept.containers.first()) else {
        return Seen::none("the Cloud Run Admin API names no container of the revision");
    };
    let probe = &container["startupProbe"];
    if let Some(http) = probe["httpGet"].as_object() {
        return Seen::good(format!("HTTP GET {}", http.get("path").and_then(Value::as_str).unwrap_or("/")));
    }
    if probe["grpc"].is_object() {
        return Seen::good("by gRPC's health checking");
    }
    if probe["tcpSocket"].is_object() {
        return Seen::bad(
            "the startup probe asks for the port only (tcpSocket): it passes before the application is there",
        );
    }
    Seen::bad(
        "there is no startup probe: Cloud Run then asks for the port only, which passes before the application is there",
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::ask::InVain;
    use super::*;
    use crate::google::RevisionKept;

    #[test]
    fn only_a_probe_that_asks_the_application_is_good() {
        let probed = |containers: Value| {
            let kept: RevisionKept = serde_json::from_value(json!({ "containers": containers })).unwrap();
            let nobody = || InVain::because("not asked");
            let subject = Subject {
                service: Err(nobody()),
                revision: Err(nobody()),
                kept: Ok(kept),
                deployed: None,
                since: Err(nobody()),
            };
            format!("{:?}", startup_probe(&subject))
        };
        let http = json!({"httpGet": {"path": "/health"}});
        for (containers, wanted) in [
            (json!([{"startupProbe": http}]), "Good"),
            (json!([{"startupProbe": {"grpc": {}}}]), "Good"),
            (json!([{"startupProbe": {"tcpSocket": {"port": 8080}}}]), "Bad"),
            (json!([{}]), "Bad"),
            (json!([]), "Unseen"),
            // A sidecar's probe is not the application's.
            (
                json!([{"startupProbe": http}, {"ports": [{"containerPort": 8080}], "startupProbe": {"tcpSocket": {}}}]),
                "Bad",
            ),
        ] {
            assert!(probed(containers.clone()).contains(&format!("answer: {wanted}")), "{containers}");
        }
    }
}
