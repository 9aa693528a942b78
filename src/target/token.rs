//! Tokens of Google Cloud: an access token for the Admin API, identity tokens for private services. From the metadata
//! server, and for identity, where that one has none, from the IAM Credentials API.
//!
//! Tokens are kept in memory until they expire, hidden from everything that is written, and sent to one origin only.

use std::cell::RefCell;
use std::collections::HashMap;
use std::pin::Pin;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use tokio::time::Instant;

use crate::plan::{Header, Redactor, Request, RequestLimits};
use crate::probe::{Answer, Failure, Probe};

/// Off Google Cloud nothing answers there: it is given up quickly.
const METADATA: RequestLimits = RequestLimits { time: Duration::from_secs(1), body: 64 * 1024 };
const API: RequestLimits = RequestLimits { time: Duration::from_secs(5), body: 64 * 1024 };

/// A token that expires sooner than this is asked for anew.
const MARGIN: Duration = Duration::from_mins(1);

/// How often a token is asked for while the server is busy.
const TRIES: u32 = 3;

/// When a token is sent to the canary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthMode {
    /// After an answer of 401 or 403.
    Auto,
    /// With every request.
    Always,
    /// Never.
    Never,
}

/// Gets tokens.
pub struct Tokens {
    metadata: Probe,
    iam: Probe,
    given: Option<String>,
    redactor: Redactor,
    access: RefCell<Option<(String, SystemTime)>>,
    identity: RefCell<HashMap<String, (String, SystemTime)>>,
}

#[derive(Deserialize)]
struct AccessToken {
    access_token: String,
    expires_in: u64,
}

#[derive(Deserialize)]
struct IdToken {
    token: String,
}

impl Tokens {
    /// `given` is an identity token that a person passed; it stands for any audience.
    #[must_use]
    pub fn new(metadata: Probe, iam: Probe, given: Option<String>, redactor: Redactor) -> Self {
        if let Some(token) = &given {
            redactor.hide(token);
        }
        Self { metadata, iam, given, redactor, access: RefCell::default(), identity: RefCell::default() }
    }

    /// An access token for Google's APIs.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn access(&self) -> Result<String, String> {
        if let Some((token, expiry)) = &*self.access.borrow()
            && fresh(*expiry)
        {
            return Ok(token.clone());
        }
        let answer = self.ask_metadata("token").await?;
        let malformed = |error| format!("the metadata server's token is malformed: {error}");
        let token: AccessToken = match answer.status {
            200 => serde_json::from_slice(&answer.body).map_err(malformed)?,
            status => {
                return Err(format!("the metadata server answers {status} for an access token: {}", answer.excerpt()));
            }
        };
        self.redactor.hide(&token.access_token);
        let expiry = SystemTime::now() + Duration::from_secs(token.expires_in);
        self.access.replace(Some((token.access_token.clone(), expiry)));
        Ok(token.access_token)
    }

    /// Drops a token that was refused.
    pub fn forget_access(&self) {
        self.access.replace(None);
    }

    /// The account that the tokens are of.
    pub async fn account(&self) -> Option<String> {
        let answer = self.ask_metadata("email").await.ok()?;
        (answer.status == 200).then(|| String::from_utf8_lossy(&answer.body).trim().to_owned())
    }

    /// An identity token for an audience.
    ///
    /// # Errors
    /// Why there is none, and what to grant.
    pub async fn identity(&self, audience: &str) -> Result<String, String> {
        if let Some(token) = &self.given {
            return Ok(token.clone());
        }
        if let Some((token, expiry)) = self.identity.borrow().get(audience)
            && fresh(*expiry)
        {
            return Ok(token.clone());
        }
        let encoded: String = url::form_urlencoded::byte_serialize(audience.as_bytes()).collect();
        let answer = self.ask_metadata(&format!("identity?audience={encoded}&format=full")).await?;
        let token = match answer.status {
            200 => String::from_utf8_lossy(&answer.body).trim().to_owned(),
            // Cloud Build's metadata server has access tokens, and no identity ones.
            404 => self.generate(audience).await?,
            status => {
                return Err(format!(
                    "the metadata server answers {status} for an identity token: {}",
                    answer.excerpt()
                ));
            }
        };
        self.redactor.hide(&token);
        let expiry = expiry(&token).unwrap_or_else(|| SystemTime::now() + MARGIN);
        self.identity.borrow_mut().insert(audience.to_owned(), (token.clone(), expiry));
        Ok(token)
    }

    /// An identity token by the IAM Credentials API.
    async fn generate(&self, audience: &str) -> Result<String, String> {
        let account = self.account().await.ok_or("the metadata server does not name its service account")?;
        let access = self.access().await?;
        let request = Request {
            method: "POST".into(),
            path: format!("/v1/projects/-/serviceAccounts/{account}:generateIdToken"),
            headers: vec![
                Header::plain("Authorization", &format!("Bearer {access}")),
                Header::plain("Content-Type", "application/json"),
            ],
            body: Some(serde_json::json!({"audience": audience, "includeEmail": true}).to_string()),
        };
        let answer = patiently(&self.iam, &request, API)
            .await
            .map_err(|failure| format!("the IAM Credentials API: {failure}"))?;
        match answer.status {
            200 => {
                let token: IdToken = serde_json::from_slice(&answer.body)
                    .map_err(|error| format!("the IAM Credentials API's token is malformed: {error}"))?;
                Ok(token.token)
            }
            403 => Err(format!(
                "{account} may not make identity tokens for itself: grant it roles/iam.serviceAccountOpenIdTokenCreator on itself \
                 (gcloud iam service-accounts add-iam-policy-binding {account} --member=serviceAccount:{account} \
                 --role=roles/iam.serviceAccountOpenIdTokenCreator)"
            )),
            status => Err(format!("the IAM Credentials API answers {status}: {}", answer.excerpt())),
        }
    }

    async fn ask_metadata(&self, what: &str) -> Result<Answer, String> {
        let path = format!("/computeMetadata/v1/instance/service-accounts/default/{what}");
        let headers = vec![Header::plain("Metadata-Flavor", "Google")];
        let request = Request::get(path, headers);
        let asked = patiently(&self.metadata, &request, METADATA).await;
        asked.map_err(|failure| {
            format!("there is no metadata server, so that no token can be had (not on Google Cloud?): {failure}")
        })
    }
}

/// A few tries while the server is busy. (Boxed: a probe may itself ask for tokens, though these probes do not.)
fn patiently<'p>(
    probe: &'p Probe,
    request: &'p Request,
    limits: RequestLimits,
) -> Pin<Box<dyn Future<Output = Result<Answer, Failure>> + 'p>> {
    Box::pin(async move {
        let mut tries = 0;
        loop {
            tries += 1;
            let answer = probe.ask(request, limits, Instant::now() + limits.time).await;
            match &answer {
                Ok(answer) if answer.may_pass_by_itself() && tries < TRIES => {
                    tokio::time::sleep(Duration::from_millis(200) * tries).await;
                }
                _ => return answer,
            }
        }
    })
}

fn fresh(expiry: SystemTime) -> bool {
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
    Some(UNIX_EPOCH + Duration::from_secs(claims.exp))
}

/// Whether and how requests to one canary carry a token.
pub struct Auth {
    mode: AuthMode,
    tokens: std::rc::Rc<Tokens>,
    /// What the token is for: the service's address, and the tagged one if that is refused.
    audiences: Vec<String>,
    header: &'static str,
    /// The audience in use; nothing while no token is sent.
    using: RefCell<Option<usize>>,
    trouble: RefCell<Option<String>>,
}

impl Auth {
    /// `taken` where the plan sets Authorization itself: Cloud Run then reads another header.
    #[must_use]
    pub fn new(mode: AuthMode, tokens: std::rc::Rc<Tokens>, audiences: Vec<String>, taken: bool) -> Self {
        let header = if taken { "X-Serverless-Authorization" } else { "Authorization" };
        let using = RefCell::new((mode == AuthMode::Always).then_some(0));
        Self { mode, tokens, audiences, header, using, trouble: RefCell::default() }
    }

    /// The header to send, if any.
    pub async fn header(&self) -> Option<Header> {
        let audience = self.audiences.get((*self.using.borrow())?)?.clone();
        match self.tokens.identity(&audience).await {
            Ok(token) => Some(Header::plain(self.header, &format!("Bearer {token}"))),
            Err(error) => {
                self.trouble.replace(Some(error));
                None
            }
        }
    }

    /// Whether the request should be sent once more, after an answer of 401 or 403.
    #[must_use]
    pub fn escalate(&self, status: u16) -> bool {
        let mut using = self.using.borrow_mut();
        if self.mode == AuthMode::Never || self.trouble.borrow().is_some() {
            return false;
        }
        let next = match *using {
            None => 0,
            Some(index) if status == 401 => index + 1,
            Some(_) => return false,
        };
        if next < self.audiences.len() {
            *using = Some(next);
        }
        next < self.audiences.len()
    }

    /// What to do about a refusal by Cloud Run itself.
    pub async fn advice(&self) -> String {
        if let Some(trouble) = &*self.trouble.borrow() {
            return format!("the service is private, and there is no identity token for it: {trouble}");
        }
        if self.using.borrow().is_none() {
            return "the service is private, and no token was sent (--auth never)".into();
        }
        let account = self.tokens.account().await.unwrap_or_else(|| "the account of the token".into());
        format!("the service is private: grant roles/run.invoker to {account}")
    }
}
