//! OAuth 2.0: tokens for a person's refresh token, a service account's signed claim, and another system's token.

use serde_json::json;

use super::State;
use crate::canary::google::id_token;
use crate::canary::server::{Reply, Request};

/// The person behind the refresh token.
pub const PERSON: &str = "ada@example.com";
/// What is taken for a person's refresh token, and for another system's token.
pub const REFRESH: &str = "1//refresh-token-of-the-fake";
pub const SUBJECT: &str = "subject-token-of-the-fake";

/// Answers `/token`, `/v1/token` (the exchange), `/tokeninfo` and `…:generateAccessToken`; nothing for anything else.
pub fn answer(state: &mut State, request: &Request) -> Option<Reply> {
    let fields: Vec<(String, String)> = url::form_urlencoded::parse(&request.body).into_owned().collect();
    let field = |name: &str| fields.iter().find(|(key, _)| key == name).map(|(_, value)| &**value).unwrap_or_default();
    let refused =
        |why: &str| Reply::json(400, &json!({"error": "invalid_grant", "error_description": why}).to_string());
    let mut issue = |with: serde_json::Value| {
        let token = format!("ya29.issued-by-the-fake-{}", state.next());
        state.tokens.push(token.clone());
        let mut answer = json!({"access_token": token, "expires_in": 3599, "token_type": "Bearer"});
        for (key, value) in with.as_object().into_iter().flatten() {
            answer[key] = value.clone();
        }
        Reply::json(200, &answer.to_string())
    };
    Some(match (&*request.path, field("grant_type")) {
        ("/token", "refresh_token") if field("refresh_token") == REFRESH => {
            let claims = id_token("client", 4_000_000_000);
            issue(json!({"id_token": claims, "scope": "openid email"}))
        }
        ("/token", "urn:ietf:params:oauth:grant-type:jwt-bearer") if field("assertion").split('.').count() == 3 => {
            issue(json!({}))
        }
        ("/token", _) => refused("Bad Request"),
        ("/v1/token", _) if field("subject_token") == SUBJECT => {
            issue(json!({"issued_token_type": "urn:ietf:params:oauth:token-type:access_token"}))
        }
        ("/v1/token", _) => refused("The subject token is not valid"),
        ("/tokeninfo", _) => Reply::json(200, &json!({"email": PERSON, "expires_in": "3000"}).to_string()),
        (path, _) if path.ends_with(":generateAccessToken") => {
            let token = format!("ya29.impersonated-by-the-fake-{}", state.next());
            state.tokens.push(token.clone());
            Reply::json(200, &json!({"accessToken": token, "expireTime": "2999-01-01T00:00:00Z"}).to_string())
        }
        _ => return None,
    })
}
