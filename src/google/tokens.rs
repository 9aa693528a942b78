//! Tokens of Google Cloud: access tokens for its APIs, identity tokens for private services. From the metadata server;
//! identity tokens, where that one has none, from the IAM Credentials API.
//!
//! Tokens are kept in memory until they expire and are known to the redactor from their first moment on.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::api::ApiErrorKind;
use super::metadata::{PATIENCE, said};
use super::{Api, Metadata};
use crate::http::{Attempt, retry_until};
use crate::text::Redactor;

/// A token that expires sooner than this is asked for anew.
const MARGIN: Duration = Duration::from_mins(1);

/// Access tokens of the machine's service account.
pub(crate) struct AccessTokens {
    metadata: Rc<Metadata>,
    redactor: Redactor,
    /// Locked while one is fetched, so that requests side by side share it.
    kept: Mutex<Option<(String, SystemTime)>>,
}

#[derive(Deserialize)]
struct AccessToken {
    access_token: String,
    expires_in: u64,
}

impl AccessTokens {
    pub(crate) fn new(metadata: Rc<Metadata>, redactor: Redactor) -> Self {
        Self { metadata, redactor, kept: Mutex::default() }
    }

    /// A token that is good for a minute at least.
    ///
    /// # Errors
    /// Why there is none.
    pub(super) async fn get(&self, deadline: Instant) -> Result<String, String> {
        let mut kept = self.kept.lock().await;
        if let Some((token, expiry)) = &*kept
            && is_fresh(*expiry)
        {
            return Ok(token.clone());
        }
        let answer = self.metadata.account("token", deadline).await?;
        let malformed = |error| format!("the metadata server's token is malformed: {error}");
        let token: AccessToken = match answer.status {
            200 => serde_json::from_slice(&answer.body).map_err(malformed)?,
            status => {
                return Err(format!("the metadata server answers {status} for an access token{}", said(&answer)));
            }
        };
        let access_token =
            usable(&token.access_token).map_err(|why| format!("the metadata server's access token {why}"))?;
        self.redactor.hide(&access_token);
        let expiry = SystemTime::now() + Duration::from_secs(token.expires_in.min(86_400));
        *kept = Some((access_token.clone(), expiry));
        Ok(access_token)
    }

    /// Drops the token that is kept.
    pub(super) async fn drop_kept(&self) {
        *self.kept.lock().await = None;
    }

    /// Drops a token that was refused, unless another has taken its place.
    pub(super) async fn forget(&self, refused: &str) {
        let mut kept = self.kept.lock().await;
        if kept.as_ref().is_some_and(|(token, _)| token == refused) {
            *kept = None;
        }
    }

    /// The account that the tokens are of, by its address.
    pub(super) async fn account(&self, deadline: Instant) -> Option<String> {
        let answer = self.metadata.account("email", deadline).await.ok()?;
        (answer.status == 200).then(|| String::from_utf8_lossy(&answer.body).trim().to_owned())
    }
}

/// Identity tokens, each for one audience.
pub(crate) struct IdentityTokens {
    metadata: Rc<Metadata>,
    access: Rc<AccessTokens>,
    iam: Api,
    /// What a person passed; it stands for any audience.
    given: Option<String>,
    redactor: Redactor,
    kept: RefCell<HashMap<String, (String, SystemTime)>>,
}

#[derive(Deserialize)]
struct IdToken {
    token: String,
}

impl IdentityTokens {
    /// # Errors
    /// What is wrong with the token that was given.
    pub(crate) fn new(
        metadata: Rc<Metadata>,
        access: Rc<AccessTokens>,
        iam: Api,
        given: Option<&str>,
        redactor: Redactor,
    ) -> Result<Self, String> {
        let given = given.map(usable).transpose()?;
        if let Some(token) = &given {
            redactor.hide(token);
        }
        Ok(Self { metadata, access, iam, given, redactor, kept: RefCell::default() })
    }

    /// A token for an audience that is good for a minute at least, where it says when it expires.
    ///
    /// # Errors
    /// Why there is none, and what to grant.
    pub(super) async fn get(&self, audience: &str, deadline: Instant) -> Result<String, String> {
        if let Some(token) = &self.given {
            return Ok(token.clone());
        }
        if let Some((token, expiry)) = self.kept.borrow().get(audience)
            && is_fresh(*expiry)
        {
            return Ok(token.clone());
        }
        let encoded: String = url::form_urlencoded::byte_serialize(audience.as_bytes()).collect();
        let answer = self.metadata.account(&format!("identity?audience={encoded}&format=full"), deadline).await?;
        let token = match answer.status {
            200 => usable(&String::from_utf8_lossy(&answer.body))
                .map_err(|why| format!("the metadata server's identity token {why}"))?,
            // Cloud Build's metadata server has access tokens, and no identity ones.
            404 => self.generate(audience, deadline).await?,
            status => {
                return Err(format!("the metadata server answers {status} for an identity token{}", said(&answer)));
            }
        };
        self.redactor.hide(&token);
        let expiry = expiry(&token).unwrap_or_else(|| SystemTime::now() + MARGIN);
        self.kept.borrow_mut().insert(audience.to_owned(), (token.clone(), expiry));
        Ok(token)
    }

    /// Drops a token that was refused.
    pub(super) fn forget(&self, audience: &str) {
        self.kept.borrow_mut().remove(audience);
    }

    /// The account that the tokens are of, for a sentence.
    pub(super) async fn account(&self, deadline: Instant) -> String {
        self.access.account(deadline).await.unwrap_or_else(|| "the account of the token".into())
    }

    /// A token by the IAM Credentials API.
    async fn generate(&self, audience: &str, deadline: Instant) -> Result<String, String> {
        let account = self.access.account(deadline).await;
        let account = account.ok_or("the metadata server does not name its service account")?;
        let path = format!("/v1/projects/-/serviceAccounts/{account}:generateIdToken");
        let body = serde_json::json!({"audience": audience, "includeEmail": true});
        let attempt = async || match self.iam.post::<IdToken>(&path, &body, deadline).await {
            Err(error) if error.kind == ApiErrorKind::Transient => {
                let asked = error.retry_after;
                Attempt::Again(error, asked)
            }
            result => Attempt::Done(result),
        };
        let tried = retry_until(PATIENCE, deadline, |_| {}, attempt).await;
        match tried.result.map_err(|gave_up| gave_up.to_string())? {
            Ok(token) => usable(&token.token).map_err(|why| format!("the IAM Credentials API's identity token {why}")),
            Err(error) if error.kind == ApiErrorKind::Forbidden => Err(format!(
                "{account} may not make identity tokens for itself: grant it roles/iam.serviceAccountOpenIdTokenCreator on itself \
                 (gcloud iam service-accounts add-iam-policy-binding {account} --member=serviceAccount:{account} \
                 --role=roles/iam.serviceAccountOpenIdTokenCreator): {error}"
            )),
            Err(error) => Err(error.to_string()),
        }
    }
}

/// A token as it is sent: without what stands around it where it was kept in a file.
///
/// # Errors
/// Why it is none: one that HTTP would not carry, or a page that came in its place.
fn usable(written: &str) -> Result<String, &'static str> {
    let token = written.trim_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
    match token {
        "" => Err("is empty"),
        token if token.bytes().all(is_allowed) => Ok(token.to_owned()),
        _ => Err("is no token: it holds what no token may hold, such as blanks, line ends or markup"),
    }
}

fn is_fresh(expiry: SystemTime) -> bool {
    expiry > SystemTime::now() + MARGIN
}

/// When an identity token expires, as it says itself. It is not verified: whoever is asked with it does that.
fn expiry(token: &str) -> Option<SystemTime> {
    #[derive(Deserialize)]
    struct Claims {
        exp: u64,
    }
    let payload = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?.trim_end_matches('=')).ok()?;
    let claims: Claims = serde_json::from_slice(&payload).ok()?;
    UNIX_EPOCH.checked_add(Duration::from_secs(claims.exp))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_token_is_taken_for_one() {
        for (written, wanted) in [
            ("\u{feff} ya29.a-b_c~d+e/f= \r\n", Some("ya29.a-b_c~d+e/f=")),
            ("", None),
            (" \n", None),
            ("<html>sign in</html>", None),
            ("a\nb", None),
            ("a b", None),
            ("a\u{fffd}", None),
            ("a\0", None),
        ] {
            assert_eq!(usable(written).ok().as_deref(), wanted, "{written:?}");
        }
    }

    #[test]
    fn the_expiry_is_what_the_token_says() {
        let token = |claims: &str| format!("e30.{}.signature", URL_SAFE_NO_PAD.encode(claims));
        for (token, wanted) in [
            (token(r#"{"exp":1000}"#), Some(1000)),
            (token(r#"{"iat":1000}"#), None),
            (token(&format!("{{\"exp\":{}}}", u64::MAX)), None),
            ("opaque".into(), None),
            ("a.!.b".into(), None),
        ] {
            assert_eq!(expiry(&token), wanted.map(|seconds| UNIX_EPOCH + Duration::from_secs(seconds)), "{token}");
        }
    }
}
