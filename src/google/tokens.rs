//! Tokens of Google Cloud: access tokens for its APIs, identity tokens for private services. From the metadata server, or by
//! whatever credentials a person or a CI system has; identity tokens, where that server has none, from the IAM Credentials API.
//!
//! Tokens are kept in memory until they expire and are known to the redactor from their first moment on.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;
use std::rc::Rc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::api::ApiErrorKind;
use super::credentials::{CredentialsFile, Issued};
use super::metadata::{PATIENCE, said};
use super::{Api, Metadata};
use crate::http::{Attempt, Client, Request, RequestLimits, retry_until};
use crate::text::Redactor;

/// A token that expires sooner than this is asked for anew.
const MARGIN: Duration = Duration::from_mins(1);

/// A token is not kept longer than this, whatever is said of it.
const LONGEST: Duration = Duration::from_hours(24);

const INFO_LIMITS: RequestLimits = RequestLimits { time: Duration::from_secs(5), body: 64 * 1024 };

/// Where access tokens come from.
#[expect(clippy::large_enum_variant, reason = "there is one of it")]
pub(crate) enum TokenSource {
    /// The machine's service account.
    Metadata(Rc<Metadata>),
    /// Application default credentials.
    File(Box<CredentialsFile>),
    /// A token that a person passed: read anew when it is refused, for whoever wrote it may have written another.
    Given { read: Box<dyn Fn() -> Result<String, String>>, from: String, oauth: Client },
    /// What was named as a source and cannot be used.
    Unusable(String),
}

/// Access tokens for Google's APIs.
pub(crate) struct AccessTokens {
    source: TokenSource,
    redactor: Redactor,
    /// Locked while one is fetched, so that requests side by side share it.
    kept: Mutex<Option<Kept>>,
}

struct Kept {
    token: String,
    expiry: SystemTime,
    account: Option<String>,
}

/// Whose access tokens are used, and where they come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Whose {
    /// By an address, where it is known.
    pub(crate) account: Option<String>,
    /// As a sentence says it: `the metadata server`, `a service account's key in FILE`.
    pub(crate) source: String,
}

impl fmt::Display for Whose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.account {
            Some(account) => write!(f, "{account}, by {}", self.source),
            None => write!(f, "an account that is not named, by {}", self.source),
        }
    }
}

#[derive(Deserialize)]
struct AccessToken {
    access_token: String,
    expires_in: u64,
}

impl AccessTokens {
    pub(crate) fn new(source: TokenSource, redactor: Redactor) -> Self {
        Self { source, redactor, kept: Mutex::default() }
    }

    /// A token that is good for a minute at least, as far as its source says when it ends.
    ///
    /// # Errors
    /// Why there is none.
    pub(super) async fn get(&self, deadline: Instant) -> Result<String, String> {
        let mut kept = self.kept.lock().await;
        if let Some(Kept { token, expiry, .. }) = &*kept
            && is_fresh(*expiry)
        {
            return Ok(token.clone());
        }
        let issued = match &self.source {
            TokenSource::Metadata(metadata) => of_the_machine(metadata, deadline).await?,
            TokenSource::File(file) => file.issue(deadline).await?,
            TokenSource::Given { read, from, .. } => {
                let token = usable(&read()?).map_err(|why| format!("the access token of {from} {why}"))?;
                Issued { token, lifetime: LONGEST, account: None }
            }
            TokenSource::Unusable(why) => return Err(why.clone()),
        };
        self.redactor.hide(&issued.token);
        let token = issued.token.clone();
        let expiry = SystemTime::now() + issued.lifetime.min(LONGEST);
        *kept = Some(Kept { token: issued.token, expiry, account: issued.account });
        Ok(token)
    }

    /// Drops the token that is kept.
    pub(super) async fn drop_kept(&self) {
        *self.kept.lock().await = None;
    }

    /// Drops a token that was refused, unless another has taken its place.
    pub(super) async fn forget(&self, refused: &str) {
        let mut kept = self.kept.lock().await;
        if kept.as_ref().is_some_and(|kept| kept.token == refused) {
            *kept = None;
        }
    }

    /// The project that pays for the calls, where that is not the one of the account.
    pub(super) fn quota_project(&self) -> Option<&str> {
        match &self.source {
            TokenSource::File(file) => file.quota_project(),
            _ => None,
        }
    }

    /// Why there never is a token; nothing where there may be one.
    pub(crate) fn unusable(&self) -> Option<&str> {
        match &self.source {
            TokenSource::Unusable(why) => Some(why),
            TokenSource::Metadata(_) | TokenSource::File(_) | TokenSource::Given { .. } => None,
        }
    }

    /// Whose the tokens are. Where their source does not say it, Google is asked.
    pub(crate) async fn whose(&self, deadline: Instant) -> Whose {
        let source = match &self.source {
            TokenSource::Metadata(_) => "the metadata server".into(),
            TokenSource::File(file) => file.shown(),
            TokenSource::Given { from, .. } => from.clone(),
            TokenSource::Unusable(why) => why.clone(),
        };
        Whose { account: self.account(deadline).await, source }
    }

    /// The account that the tokens are of, by its address.
    pub(super) async fn account(&self, deadline: Instant) -> Option<String> {
        match &self.source {
            TokenSource::Metadata(metadata) => {
                let answer = metadata.account("email", deadline).await.ok()?;
                (answer.status == 200).then(|| String::from_utf8_lossy(&answer.body).trim().to_owned())
            }
            TokenSource::File(_) => {
                self.get(deadline).await.ok()?;
                self.kept.lock().await.as_ref()?.account.clone()
            }
            TokenSource::Given { oauth, .. } => {
                let token = self.get(deadline).await.ok()?;
                // In the body: an address is written down on its way.
                let body = format!("access_token={token}");
                let request = Request::post("/tokeninfo", "application/x-www-form-urlencoded", body);
                let answer = oauth.ask(&request, INFO_LIMITS, deadline).await.ok()?;
                let said: serde_json::Value = serde_json::from_slice(&answer.body).ok()?;
                said["email"].as_str().map(str::to_owned)
            }
            TokenSource::Unusable(_) => None,
        }
    }
}

/// A token of the machine's service account.
async fn of_the_machine(metadata: &Metadata, deadline: Instant) -> Result<Issued, String> {
    let answer = metadata.account("token", deadline).await?;
    let malformed = |error| format!("the metadata server's token is malformed: {error}");
    let token: AccessToken = match answer.status {
        200 => serde_json::from_slice(&answer.body).map_err(malformed)?,
        status => {
            return Err(format!("the metadata server answers {status} for an access token{}", said(&answer)));
        }
    };
    let access_token =
        usable(&token.access_token).map_err(|why| format!("the metadata server's access token {why}"))?;
    Ok(Issued { token: access_token, lifetime: Duration::from_secs(token.expires_in), account: None })
}

/// Identity tokens, each for one audience.
pub(crate) struct IdentityTokens {
    /// Nothing where the account is not the machine's.
    metadata: Option<Rc<Metadata>>,
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
        metadata: Option<Rc<Metadata>>,
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
        let token = match &self.metadata {
            Some(metadata) => self.of_the_machine(metadata, audience, deadline).await?,
            None => self.generate(audience, deadline).await?,
        };
        self.redactor.hide(&token);
        let expiry = expiry(&token).unwrap_or_else(|| SystemTime::now() + MARGIN);
        self.kept.borrow_mut().insert(audience.to_owned(), (token.clone(), expiry));
        Ok(token)
    }

    async fn of_the_machine(&self, metadata: &Metadata, audience: &str, deadline: Instant) -> Result<String, String> {
        let encoded: String = url::form_urlencoded::byte_serialize(audience.as_bytes()).collect();
        let answer = metadata.account(&format!("identity?audience={encoded}&format=full"), deadline).await?;
        match answer.status {
            200 => usable(&String::from_utf8_lossy(&answer.body))
                .map_err(|why| format!("the metadata server's identity token {why}")),
            // Cloud Build's metadata server has access tokens, and no identity ones.
            404 => self.generate(audience, deadline).await,
            status => Err(format!("the metadata server answers {status} for an identity token{}", said(&answer))),
        }
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
        let account = account.ok_or_else(|| match &self.metadata {
            Some(_) => "the metadata server does not name its service account".to_owned(),
            None => "the access token does not say whose it is".to_owned(),
        })?;
        if !account.ends_with(".gserviceaccount.com") {
            return Err(format!(
                "{account} is no service account, and only for such is an identity token made: pass one in CANARY_GATE_ID_TOKEN \
                 (gcloud auth print-identity-token)"
            ));
        }
        let path = format!("/v1/projects/-/serviceAccounts/{account}:generateIdToken");
        let body = serde_json::json!({"audience": audience, "includeEmail": true});
        let attempt = async |deadline| match self.iam.post::<IdToken>(&path, &body, deadline).await {
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
pub(super) fn usable(written: &str) -> Result<String, &'static str> {
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
    UNIX_EPOCH.checked_add(Duration::from_secs(claims::<Claims>(token)?.exp))
}

/// What an identity token claims. It is not verified.
pub(super) fn claims<C: DeserializeOwned>(token: &str) -> Option<C> {
    let payload = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?.trim_end_matches('=')).ok()?;
    serde_json::from_slice(&payload).ok()
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
