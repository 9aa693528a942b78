//! What others are told after a run: a chat's webhook, and Cloud Deploy by its results file. Whatever becomes of it is told, and
//! changes nothing of the verdict.

use std::time::Duration;

use futures_util::future::join;
use serde_json::json;
use tokio::time::Instant;
use url::Url;

use super::session::variable;
use super::{CommandError, Session};
use crate::cli::{AccessArgs, ReportArgs};
use crate::google::{Api, ApiErrorKind};
use crate::http::{Address, Attempt, Client, Request, RequestLimits, RetryPolicy, Transport, retry_until};
use crate::outcome::Summary;
use crate::plan::Lookup as _;
use crate::report;

/// For all of it.
const LIMIT: Duration = Duration::from_secs(10);

/// For all of it, where whoever runs the gate has ended it and waits.
const SHORT_LIMIT: Duration = Duration::from_secs(2);

const REQUEST: RequestLimits = RequestLimits { time: Duration::from_secs(5), body: 64 * 1024 };

const PATIENCE: RetryPolicy =
    RetryPolicy { retries: Some(4), initial: Duration::from_millis(250), max: Duration::from_secs(2) };

/// A path of so many bytes is no ordinary one.
const LONG_PATH: usize = 16;

/// What Cloud Deploy names the folder by that takes a job's results.
const OUTPUT: &str = "CLOUD_DEPLOY_OUTPUT_GCS_PATH";

/// Whom to tell.
pub(super) struct Afterwards {
    webhook: Option<(Client, Url)>,
    /// Where results go; or why that cannot be used.
    results: Option<Result<Results, String>>,
}

struct Results {
    storage: Api,
    /// Of the method that writes the file.
    path: String,
}

impl Afterwards {
    /// # Errors
    /// A webhook that is not a reference or leads to no URL, an endpoint that is not an address.
    pub(super) fn new(
        session: &Session,
        args: &ReportArgs,
        access: &AccessArgs,
        transport: &Transport,
    ) -> Result<Self, CommandError> {
        let usage = |flag: &str, why: String| CommandError::usage(format!("{flag}: {why}"));
        let webhook = args.notify.as_deref().map(|written| webhook(session, written, transport)).transpose();
        let webhook = webhook.map_err(|why| usage("--notify", why))?;
        let endpoint = Address::parse(&args.storage_endpoint).map_err(|why| usage("--storage-endpoint", why))?;
        let results = match variable(OUTPUT).map(|folder| file_in(&folder)) {
            None => None,
            Some(Err(why)) => Some(Err(why)),
            Some(Ok(path)) => {
                let client = transport.client(endpoint, &[]).map_err(CommandError::usage)?;
                let (_, access) = session.access(access, transport)?;
                Some(Ok(Results { storage: Api::new("Cloud Storage", client, access), path }))
            }
        };
        Ok(Self { webhook, results })
    }

    /// Tells of a run whose summary is redacted; with what went wrong, a sentence each.
    pub(super) async fn tell(&self, summary: &Summary) -> Vec<String> {
        let limit = if summary.unfinished.is_some() { SHORT_LIMIT } else { LIMIT };
        let deadline = Instant::now() + limit;
        let (chat, results) = join(self.chat(summary, deadline), self.results(summary, deadline)).await;
        let told = [
            ("the notification could not be sent", chat),
            ("Cloud Deploy's results.json could not be written", results),
        ];
        told.into_iter().filter_map(|(what, told)| Some(format!("{what}: {}", told.err()?))).collect()
    }

    async fn chat(&self, summary: &Summary, deadline: Instant) -> Result<(), String> {
        let Some((client, url)) = &self.webhook else { return Ok(()) };
        let body = json!({ "text": report::message(summary) }).to_string();
        let request = Request::post(url.path(), "application/json; charset=UTF-8", body);
        let attempt = async |deadline| match client.ask_url(url, &request, REQUEST, deadline).await {
            Ok(answer) if (200..300).contains(&answer.status) => Attempt::Done(Ok(())),
            Ok(answer) if answer.is_transient() => {
                Attempt::Again(format!("the webhook answers {}", answer.status), answer.retry_after())
            }
            Ok(answer) => Attempt::Done(Err(format!("the webhook answers {}: {}", answer.status, answer.excerpt()))),
            Err(failure) if failure.is_transient() => Attempt::Again(failure.to_string(), None),
            Err(failure) => Attempt::Done(Err(failure.to_string())),
        };
        let tried = retry_until(PATIENCE, deadline, |_| {}, attempt).await;
        tried.result.unwrap_or_else(|gave_up| Err(gave_up.to_string()))
    }

    async fn results(&self, summary: &Summary, deadline: Instant) -> Result<(), String> {
        let Some(results) = &self.results else { return Ok(()) };
        let Results { storage, path } = results.as_ref().map_err(Clone::clone)?;
        let metadata = json!({
            "verdict": summary.verdict().word(),
            "exit_code": summary.exit().code().to_string(),
            "summary": report::headline(summary),
        });
        let body = json!({ "metadata": metadata });
        let attempt = async |deadline| match storage.post::<serde_json::Value>(path, &body, deadline).await {
            Ok(_) => Attempt::Done(Ok(())),
            Err(error) if error.kind == ApiErrorKind::Transient => {
                let asked = error.retry_after;
                Attempt::Again(error.to_string(), asked)
            }
            Err(error) => Attempt::Done(Err(error.to_string())),
        };
        let tried = retry_until(PATIENCE, deadline, |_| {}, attempt).await;
        tried.result.unwrap_or_else(|gave_up| Err(gave_up.to_string()))
    }
}

/// The webhook behind a reference. Its URL is a secret: whoever has it may write into the chat.
fn webhook(session: &Session, written: &str, transport: &Transport) -> Result<(Client, Url), String> {
    let lookup = session.lookup();
    let found = match written.split_once(':') {
        Some(("env", name)) if !name.is_empty() => lookup.env(name)?,
        Some(("file", path)) if !path.is_empty() => lookup.file(path)?,
        _ => return Err("a webhook's URL is a secret: pass env:NAME or file:/path, where it is found".into()),
    };
    let url = Url::parse(found.trim()).map_err(|error| format!("what {written} holds is not a URL: {error}"))?;
    // Also the parts that an error may show; a short path would blank out others.
    if url.path().len() >= LONG_PATH {
        session.redactor.hide(url.path());
    }
    url.query().iter().for_each(|query| session.redactor.hide(query));
    let has_credentials = !url.username().is_empty() || url.password().is_some();
    if !matches!(url.scheme(), "http" | "https") || has_credentials {
        return Err(format!("what {written} holds is not the https URL of a webhook"));
    }
    let address = Address::parse(&url.origin().ascii_serialization())?;
    if !address.keeps_secrets() {
        return Err(format!("what {written} holds would be sent in the clear: it has to be https"));
    }
    Ok((transport.client(address, &[])?, url))
}

/// The path of Cloud Storage's method that writes `results.json` into a folder such as `gs://bucket/folder`.
fn file_in(folder: &str) -> Result<String, String> {
    let named = folder.strip_prefix("gs://").and_then(|rest| {
        let (bucket, path) = rest.split_once('/').unwrap_or((rest, ""));
        let is_named = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        (!bucket.is_empty() && bucket.bytes().all(is_named)).then_some((bucket, path.trim_matches('/')))
    });
    let (bucket, path) = named.ok_or_else(|| format!("{OUTPUT} is {folder:?}, and not such as gs://bucket/folder"))?;
    let name = if path.is_empty() { "results.json".to_owned() } else { format!("{path}/results.json") };
    let name: String = url::form_urlencoded::byte_serialize(name.as_bytes()).collect();
    Ok(format!("/upload/storage/v1/b/{bucket}/o?uploadType=media&name={name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_go_into_the_folder_that_is_named() {
        let upload = "/upload/storage/v1/b/b-1/o?uploadType=media&name=";
        for (folder, wanted) in [
            ("gs://b-1/a/b c", Some("a%2Fb+c%2Fresults.json")),
            ("gs://b-1/a/", Some("a%2Fresults.json")),
            ("gs://b-1", Some("results.json")),
            ("gs://", None),
            ("/local/folder", None),
            ("gs://b?x/a", None),
        ] {
            assert_eq!(file_in(folder).ok(), wanted.map(|name| format!("{upload}{name}")), "{folder}");
        }
    }
}
