//! The Google APIs that the gate calls, faked on loopback: the metadata server, the Cloud Run Admin API v2, and IAM
//! Credentials, with the JSON shapes of their discovery documents, and with faults.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::server::{Body, Canary, Reply, Request};

pub const ACCESS: &str = "ya29.access-token-of-the-fake";
pub const ACCOUNT: &str = "verifier@emergence-469005.iam.gserviceaccount.com";
pub const DEPLOYED: &str = "emergence-app-00042-new";
pub const PRIOR: &str = "emergence-app-00041-old";
pub const SERVICE_URL: &str = "https://emergence-app-abc123-ew.a.run.app";

/// An identity token for an audience, with the claims that the gate reads. `expires` is in seconds since the Unix epoch.
pub fn id_token(audience: &str, expires: u64) -> String {
    let encode = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let claims = json!({"aud": audience, "email": ACCOUNT, "exp": expires});
    format!("{}.{}.{}", encode(json!({"alg": "RS256"})), encode(claims), URL_SAFE_NO_PAD.encode("signature"))
}

/// What the APIs answer, and how they misbehave.
#[derive(Clone)]
pub struct World {
    /// The addresses behind the tags `canary` and `prior`; with an empty one, there is no tag `prior`.
    pub canary: String,
    pub prior: String,
    /// The revision that the tag `canary` points to, and the share of the deployed one in percent.
    pub tagged: &'static str,
    pub percent: u32,
    /// The state of the revision's condition `Ready`.
    pub ready: &'static str,
    pub reconciling: bool,
    /// Whether the revision has session affinity.
    pub sticky: bool,
    /// The status that the Admin API answers to its n-th request, counted from 0; with 0, it never answers.
    pub api: fn(usize) -> u16,
    /// The statuses of the metadata server for access tokens and for identity tokens, and of IAM Credentials.
    pub token: u16,
    pub identity: u16,
    pub iam: u16,
    /// The request to the Admin API from which on the tag `canary` points to the prior revision.
    pub moves_at: usize,
    /// Where the service accepts traffic from.
    pub ingress: &'static str,
    /// When identity tokens expire, in seconds since the Unix epoch.
    pub expires: u64,
    /// Edits what the API says of the service or the revision, given the number of the request.
    pub edit: fn(usize, &mut Value),
    /// Replaces the answer of the Admin API, given the number of the request; `None` keeps it.
    pub instead: fn(usize) -> Option<Reply>,
}

impl World {
    pub fn of(canary: &Canary) -> Self {
        Self {
            canary: canary.url(),
            prior: String::new(),
            tagged: DEPLOYED,
            percent: 20,
            ready: "CONDITION_SUCCEEDED",
            reconciling: false,
            sticky: false,
            api: |_| 200,
            token: 200,
            identity: 200,
            iam: 200,
            moves_at: usize::MAX,
            ingress: "INGRESS_TRAFFIC_ALL",
            expires: 4_000_000_000,
            edit: |_, _| {},
            instead: |_| None,
        }
    }

    pub fn serve(self) -> Canary {
        let asked = AtomicUsize::new(0);
        Canary::start(Arc::new(move |request: &Request| self.answer(request, &asked)))
    }

    fn answer(&self, request: &Request, asked: &AtomicUsize) -> Reply {
        let path = &*request.path;
        if let Some(what) = path.strip_prefix("/computeMetadata/v1/instance/service-accounts/default/") {
            if request.headers.get("metadata-flavor").map(String::as_str) != Some("Google") {
                return Reply::new(403, "text/html", "Missing Metadata-Flavor:Google header.");
            }
            let audience =
                request.query.strip_prefix("audience=").and_then(|rest| rest.split('&').next()).unwrap_or_default();
            let audience = audience.replace("%3A", ":").replace("%2F", "/");
            return match what {
                "email" => Reply::new(200, "application/text", ACCOUNT),
                "token" if self.token != 200 => Reply::new(self.token, "text/html", "no token"),
                "token" => Reply::json(
                    200,
                    &json!({"access_token": ACCESS, "expires_in": 3599, "token_type": "Bearer"}).to_string(),
                ),
                "identity" if self.identity != 200 => Reply::new(self.identity, "text/html", "not found"),
                "identity" => Reply::new(200, "text/html", id_token(&audience, self.expires)),
                _ => Reply::new(404, "text/html", "not found"),
            };
        }
        if request.headers.get("authorization").map(String::as_str) != Some(&format!("Bearer {ACCESS}")) {
            return error(401, "UNAUTHENTICATED");
        }
        if path.ends_with(":generateIdToken") {
            let body: Value = serde_json::from_slice(&request.body).unwrap();
            let token = id_token(body["audience"].as_str().unwrap(), self.expires);
            return if self.iam == 200 {
                Reply::json(200, &json!({"token": token}).to_string())
            } else {
                error(self.iam, "PERMISSION_DENIED")
            };
        }
        let number = asked.fetch_add(1, Ordering::SeqCst);
        if let Some(reply) = (self.instead)(number) {
            return reply;
        }
        match (self.api)(number) {
            200 => {}
            0 => return Reply::new(200, "", "").body(Body::Hang),
            status => return error(status, "the API says no"),
        }
        let service = "/v2/projects/emergence-469005/locations/europe-west1/services/emergence-app";
        if path == service {
            let mut service = self.service(number >= self.moves_at);
            (self.edit)(number, &mut service);
            Reply::json(200, &service.to_string())
        } else if path == format!("{service}/revisions/{DEPLOYED}") {
            let ready = json!({"type": "Ready", "state": self.ready, "message": "Deploying revision.", "revisionReason": "CONTAINER_MISSING"});
            let mut revision = json!({"name": path, "generation": "1", "conditions": [ready], "sessionAffinity": self.sticky, "logUri": "https://x"});
            (self.edit)(number, &mut revision);
            Reply::json(200, &revision.to_string())
        } else {
            error(404, "Resource not found")
        }
    }

    fn service(&self, moved: bool) -> Value {
        let kind = "TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION";
        let tagged = if moved { PRIOR } else { self.tagged };
        let mut statuses = vec![
            json!({"type": kind, "revision": DEPLOYED, "percent": self.percent}),
            json!({"type": kind, "revision": tagged, "tag": "canary", "uri": self.canary}),
        ];
        if self.percent < 100 {
            statuses.push(json!({"type": kind, "revision": PRIOR, "percent": 100 - self.percent}));
        }
        if !self.prior.is_empty() {
            statuses.push(json!({"type": kind, "revision": PRIOR, "tag": "prior", "uri": self.prior}));
        }
        json!({
            "name": "projects/emergence-469005/locations/europe-west1/services/emergence-app",
            "generation": "42", "observedGeneration": "42", "uri": SERVICE_URL, "urls": [SERVICE_URL],
            "ingress": self.ingress, "reconciling": self.reconciling,
            "latestReadyRevision": format!("projects/emergence-469005/locations/europe-west1/services/emergence-app/revisions/{DEPLOYED}"),
            "terminalCondition": {"type": "Ready", "state": "CONDITION_SUCCEEDED"},
            "trafficStatuses": statuses
        })
    }
}

fn error(status: u16, message: &str) -> Reply {
    let named = match status {
        401 => "UNAUTHENTICATED",
        403 => "PERMISSION_DENIED",
        404 => "NOT_FOUND",
        429 => "RESOURCE_EXHAUSTED",
        _ => "UNKNOWN",
    };
    Reply::json(status, &json!({"error": {"code": status, "message": message, "status": named}}).to_string())
}

/// Cloud Deploy's environment of a verify job in the canary phase, pointed at the fakes.
pub fn environment(google: &Canary) -> Vec<(&'static str, String)> {
    let address = google.url();
    let host = address.trim_start_matches("http://").to_owned();
    let fixed = [
        ("TARGET_TYPE", "RUN"),
        ("CLOUD_RUN_SERVICE", "emergence-app"),
        ("CLOUD_RUN_SERVICE_URLS", SERVICE_URL),
        ("CLOUD_RUN_REVISION", DEPLOYED),
        ("CLOUD_RUN_LOCATION", "europe-west1"),
        ("CLOUD_RUN_PROJECT", "emergence-469005"),
        ("CLOUD_DEPLOY_PHASE", "canary"),
        ("CLOUD_DEPLOY_RELEASE", "release-7"),
        ("CLOUD_DEPLOY_ROLLOUT", "release-7-to-run-0001"),
    ];
    let pointed = [
        ("CANARY_GATE_RUN_ENDPOINT", address.clone()),
        ("CANARY_GATE_IAM_ENDPOINT", address),
        ("GCE_METADATA_HOST", host),
    ];
    fixed.into_iter().map(|(name, value)| (name, value.to_owned())).chain(pointed).collect()
}
