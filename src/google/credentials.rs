//! Application default credentials: the files by which a person, a service account's key or a CI system gets access tokens.
//!
//! The formats are those of Google's own clients: <https://google.aip.dev/auth/4110>, <https://google.aip.dev/auth/4117>.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject as _;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::metadata::{PATIENCE, said};
use crate::http::{Address, Attempt, Client, Header, Request, RequestLimits, Transport, retry_until};
use crate::text::Redactor;

const LIMITS: RequestLimits = RequestLimits { time: Duration::from_secs(10), body: 256 * 1024 };
/// What a token is for.
const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";
/// How long a signed claim holds; the most that is taken.
const LIFETIME: Duration = Duration::from_hours(1);

/// A credentials file, as it is written.
#[derive(Clone, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Written {
    AuthorizedUser(User),
    ServiceAccount(Key),
    ExternalAccount(External),
    ImpersonatedServiceAccount { service_account_impersonation_url: String, source_credentials: Box<Written> },
}

/// A person, by a refresh token.
#[derive(Clone, Deserialize)]
struct User {
    client_id: String,
    client_secret: String,
    refresh_token: String,
    quota_project_id: Option<String>,
}

/// A service account, by its private key.
#[derive(Clone, Deserialize)]
#[expect(clippy::struct_field_names, reason = "the names are the format's")]
struct Key {
    client_email: String,
    private_key: String,
    private_key_id: Option<String>,
    token_uri: Option<String>,
}

/// Somebody whom another system vouches for: a CI system's own identity.
#[derive(Clone, Deserialize)]
struct External {
    audience: String,
    subject_token_type: String,
    token_url: String,
    credential_source: Source,
    service_account_impersonation_url: Option<String>,
}

/// Where the other system's token is.
#[derive(Clone, Deserialize)]
struct Source {
    file: Option<String>,
    url: Option<String>,
    #[serde(default)]
    headers: serde_json::Map<String, Value>,
    format: Option<Format>,
}

#[derive(Clone, Deserialize)]
struct Format {
    #[serde(rename = "type")]
    kind: String,
    subject_token_field_name: Option<String>,
}

/// Credentials that access tokens can be had by.
pub(crate) struct CredentialsFile {
    written: Written,
    /// The file, as a sentence calls it.
    file: String,
    transport: Transport,
    /// Where a person's refresh token is taken, and a service account's claim that names no other place.
    oauth: Client,
    /// Reads a file of another system's token.
    read: fn(&str) -> Result<String, String>,
    redactor: Redactor,
}

/// A token that was just had.
pub(super) struct Issued {
    pub(super) token: String,
    pub(super) lifetime: Duration,
    /// Whose it is, by an address, where that is said.
    pub(super) account: Option<String>,
}

/// What a token's server answers.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
struct Answered {
    #[serde(alias = "accessToken")]
    access_token: String,
    expires_in: Option<u64>,
    /// When it ends, in place of how long it lasts.
    #[serde(rename = "expireTime")]
    expire_time: Option<String>,
    id_token: Option<String>,
}

impl CredentialsFile {
    /// Reads a credentials file.
    ///
    /// # Errors
    /// What is wrong with it; no value of it is shown.
    pub(crate) fn parse(
        text: &str,
        file: &str,
        transport: Transport,
        oauth: Client,
        read: fn(&str) -> Result<String, String>,
        redactor: Redactor,
    ) -> Result<Self, String> {
        let value: Value = serde_json::from_str(text)
            .map_err(|error| format!("{file} is not JSON (line {}, column {})", error.line(), error.column()))?;
        let kind = value["type"].as_str().unwrap_or_default().to_owned();
        if !matches!(
            &*kind,
            "authorized_user" | "service_account" | "external_account" | "impersonated_service_account"
        ) {
            return Err(format!(
                "{file} holds credentials of the type {kind:?}; taken are authorized_user, service_account, external_account and \
                 impersonated_service_account"
            ));
        }
        let written: Written = serde_json::from_value(value).map_err(|error| {
            // Any other error may quote a value, and that may be a secret.
            let error = error.to_string();
            let why = if error.starts_with("missing field") { &error } else { "a key has a value of the wrong kind" };
            format!("{file} is not a whole {kind} file: {why}")
        })?;
        let credentials = Self { written, file: file.to_owned(), transport, oauth, read, redactor };
        credentials.hide(&credentials.written);
        credentials.check(&credentials.written)?;
        Ok(credentials)
    }

    fn hide(&self, written: &Written) {
        match written {
            Written::AuthorizedUser(user) => {
                self.redactor.hide(&user.refresh_token);
                self.redactor.hide(&user.client_secret);
            }
            Written::ServiceAccount(key) => self.redactor.hide(&key.private_key),
            Written::ExternalAccount(external) => {
                for value in external.credential_source.headers.values().filter_map(Value::as_str) {
                    self.redactor.hide(value);
                }
            }
            Written::ImpersonatedServiceAccount { source_credentials, .. } => self.hide(source_credentials),
        }
    }

    /// # Errors
    /// What could be found wrong without asking anybody.
    fn check(&self, written: &Written) -> Result<(), String> {
        match written {
            Written::AuthorizedUser(_) => Ok(()),
            Written::ServiceAccount(key) => {
                self.key(key)?;
                key.token_uri.as_deref().map_or(Ok(()), |url| self.client(url).map(drop))
            }
            Written::ExternalAccount(external) => {
                self.client(&external.token_url)?;
                if let Some(url) = &external.service_account_impersonation_url {
                    self.client(url)?;
                }
                match &external.credential_source {
                    Source { file: Some(_), .. } => Ok(()),
                    Source { url: Some(url), .. } => Address::parse(url).map(drop).map_err(|why| self.wrong(&why)),
                    Source { .. } => {
                        Err(self.wrong("its credential_source names neither a file nor a url; nothing else is taken"))
                    }
                }
            }
            Written::ImpersonatedServiceAccount { service_account_impersonation_url, source_credentials } => {
                self.client(service_account_impersonation_url)?;
                self.check(source_credentials)
            }
        }
    }

    fn wrong(&self, why: &str) -> String {
        format!("{}: {why}", self.file)
    }

    /// The kind, and where it is from.
    pub(super) fn shown(&self) -> String {
        let kind = match &self.written {
            Written::AuthorizedUser(_) => "a person's credentials",
            Written::ServiceAccount(_) => "a service account's key",
            Written::ExternalAccount(_) => "an external account",
            Written::ImpersonatedServiceAccount { .. } => "a service account that is impersonated",
        };
        format!("{kind} in {}", self.file)
    }

    /// The project that pays for the calls, where the file names one.
    pub(super) fn quota_project(&self) -> Option<&str> {
        match &self.written {
            Written::AuthorizedUser(user) => user.quota_project_id.as_deref(),
            _ => None,
        }
    }

    /// Gets a token.
    ///
    /// # Errors
    /// Why there is none.
    pub(super) async fn issue(&self, deadline: Instant) -> Result<Issued, String> {
        self.issue_by(&self.written, deadline).await
    }

    async fn issue_by(&self, written: &Written, deadline: Instant) -> Result<Issued, String> {
        match written {
            Written::AuthorizedUser(user) => {
                let fields = [
                    ("grant_type", "refresh_token"),
                    ("client_id", &user.client_id),
                    ("client_secret", &user.client_secret),
                    ("refresh_token", &user.refresh_token),
                ];
                self.token(&self.oauth, form("/token", &fields), deadline)
                    .await
                    .map_err(|why| format!("{why} (gcloud auth application-default login makes new credentials)"))
            }
            Written::ServiceAccount(key) => {
                let (client, path) = match &key.token_uri {
                    Some(url) => (self.client(url)?, ""),
                    None => (self.oauth.clone(), "/token"),
                };
                let assertion = self.assertion(key, client.address().at(path).as_str())?;
                let fields = [("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"), ("assertion", &assertion)];
                let issued = self.token(&client, form(path, &fields), deadline).await?;
                Ok(Issued { account: Some(key.client_email.clone()), ..issued })
            }
            Written::ExternalAccount(external) => {
                let subject = self.subject_token(&external.credential_source, deadline).await?;
                let fields = [
                    ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
                    ("requested_token_type", "urn:ietf:params:oauth:token-type:access_token"),
                    ("audience", &external.audience),
                    ("scope", SCOPE),
                    ("subject_token_type", &external.subject_token_type),
                    ("subject_token", &subject),
                ];
                let issued = self.token(&self.client(&external.token_url)?, form("", &fields), deadline).await?;
                match &external.service_account_impersonation_url {
                    Some(url) => self.impersonate(url, &issued.token, deadline).await,
                    None => Ok(issued),
                }
            }
            Written::ImpersonatedServiceAccount { service_account_impersonation_url: url, source_credentials } => {
                let own = Box::pin(self.issue_by(source_credentials, deadline)).await?;
                self.impersonate(url, &own.token, deadline).await
            }
        }
    }

    /// A service account's token for whoever may act as it.
    async fn impersonate(&self, url: &str, token: &str, deadline: Instant) -> Result<Issued, String> {
        let body = json!({ "scope": [SCOPE], "lifetime": format!("{}s", LIFETIME.as_secs()) });
        let request = Request::post("", "application/json", body.to_string()).with(Header::bearer(token));
        let issued = self.token(&self.client(url)?, request, deadline).await?;
        Ok(Issued { account: impersonated(url).or(issued.account), ..issued })
    }

    /// The token that the other system gave.
    async fn subject_token(&self, source: &Source, deadline: Instant) -> Result<String, String> {
        let text = match (&source.file, &source.url) {
            (Some(file), _) => (self.read)(file)?,
            (None, Some(url)) => {
                // What it answers may stand behind a query.
                let url = url::Url::parse(url).map_err(|error| self.wrong(&error.to_string()))?;
                let client = self.toward(&url.origin().ascii_serialization())?;
                let mut request = Request::get(url.path());
                for (name, value) in &source.headers {
                    request = request.with(Header::secret(name, value.as_str().unwrap_or_default()));
                }
                let asked = client.ask_url(&url, &request, LIMITS, deadline).await;
                let answer = asked.map_err(|failure| self.wrong(&format!("its credential_source: {failure}")))?;
                if answer.status != 200 {
                    let why = format!("its credential_source answers {}{}", answer.status, said(&answer));
                    return Err(self.wrong(&why));
                }
                String::from_utf8_lossy(&answer.body).into_owned()
            }
            (None, None) => String::new(),
        };
        let token = match &source.format {
            Some(Format { kind, subject_token_field_name }) if kind == "json" => {
                let field = subject_token_field_name.as_deref().unwrap_or("access_token");
                let value: Value = serde_json::from_str(&text).unwrap_or_default();
                value[field].as_str().map(str::to_owned).ok_or_else(|| {
                    self.wrong(&format!("its credential_source gives no JSON with a text under {field:?}"))
                })?
            }
            _ => text.trim().to_owned(),
        };
        if token.is_empty() {
            return Err(self.wrong("its credential_source gives an empty token"));
        }
        self.redactor.hide(&token);
        Ok(token)
    }

    /// A claim that a service account signs about itself.
    fn assertion(&self, key: &Key, audience: &str) -> Result<String, String> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let header = json!({ "alg": "RS256", "typ": "JWT", "kid": key.private_key_id });
        let claims = json!({
            "iss": key.client_email, "scope": SCOPE, "aud": audience, "iat": now, "exp": now + LIFETIME.as_secs(),
        });
        let encode = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", encode(header), encode(claims));
        let pair = self.key(key)?;
        let mut signature = vec![0; pair.public().modulus_len()];
        pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature)
            .map_err(|_| self.wrong("its private key cannot sign"))?;
        Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }

    fn key(&self, key: &Key) -> Result<RsaKeyPair, String> {
        let unusable = |()| self.wrong("its private_key is not an RSA key in PEM (PKCS #8)");
        let der = PrivatePkcs8KeyDer::from_pem_slice(key.private_key.as_bytes()).map_err(|_| unusable(()))?;
        RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()).map_err(|_| unusable(()))
    }

    /// # Errors
    /// An address that is none, or one that secrets would be sent to in the clear.
    fn client(&self, url: &str) -> Result<Client, String> {
        let address = Address::parse(url).map_err(|why| self.wrong(&why))?;
        if !address.keeps_secrets() {
            return Err(
                self.wrong(&format!("{} would be sent secrets in the clear: it has to be https", address.shown()))
            );
        }
        self.transport.client(address, &[])
    }

    fn toward(&self, origin: &str) -> Result<Client, String> {
        let address = Address::parse(origin).map_err(|why| self.wrong(&why))?;
        self.transport.client(address, &[])
    }

    /// Asks a token's server, again where it has trouble.
    async fn token(&self, client: &Client, request: Request, deadline: Instant) -> Result<Issued, String> {
        let place = client.shown(&request);
        let whom = format!("{}{}", client.address().host(), place.trim_start_matches("POST "));
        let attempt = async |deadline| match client.ask(&request, LIMITS, deadline).await {
            Ok(answer) if answer.is_transient() => {
                Attempt::Again(format!("{whom} answers {}{}", answer.status, said(&answer)), answer.retry_after())
            }
            Ok(answer) => Attempt::Done(Ok(answer)),
            Err(failure) if failure.is_transient() => Attempt::Again(format!("{whom}: {failure}"), None),
            Err(failure) => Attempt::Done(Err(format!("{whom}: {failure}"))),
        };
        let tried = retry_until(PATIENCE, deadline, |_| {}, attempt).await;
        let answer = tried.result.unwrap_or_else(|gave_up| Err(gave_up.to_string()))?;
        if answer.status != 200 {
            return Err(format!(
                "{whom} gives no access token for {}: {}{}",
                self.shown(),
                answer.status,
                said(&answer)
            ));
        }
        let answered: Answered = serde_json::from_slice(&answer.body)
            .map_err(|_| format!("{whom} answers no access token for {}, but something else", self.shown()))?;
        let until = |time: String| humantime::parse_rfc3339_weak(&time).ok()?.duration_since(SystemTime::now()).ok();
        let lifetime = answered.expires_in.map(Duration::from_secs).or_else(|| answered.expire_time.and_then(until));
        let token =
            super::tokens::usable(&answered.access_token).map_err(|why| format!("the access token of {whom} {why}"))?;
        self.redactor.hide(&token);
        let account = answered.id_token.as_deref().and_then(email);
        Ok(Issued { token, lifetime: lifetime.unwrap_or_default(), account })
    }
}

impl fmt::Debug for CredentialsFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown())
    }
}

fn form(path: &str, fields: &[(&str, &str)]) -> Request {
    let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    Request::post(path, "application/x-www-form-urlencoded", body)
}

/// The account of `…/serviceAccounts/ACCOUNT:generateAccessToken`.
fn impersonated(url: &str) -> Option<String> {
    let name = url.rsplit_once("/serviceAccounts/")?.1;
    Some(name.split_once(':').map_or(name, |(name, _)| name).to_owned())
}

/// The address inside an identity token. It is only told of.
fn email(token: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Claims {
        email: String,
    }
    Some(super::tokens::claims::<Claims>(token)?.email)
}
