//! Lists that an API hands out page by page, read to their end.

use serde::Deserialize;
use serde_json::Value;
use tokio::time::Instant;

use super::Api;
use super::api::{ApiError, ApiErrorKind};

/// The most pages of one list.
const MOST_PAGES: usize = 200;

/// One page. An empty one with a token is not the end: the API looked at a part and found nothing in it.
#[derive(Deserialize)]
struct Page {
    #[serde(rename = "nextPageToken", default)]
    next: String,
    #[serde(default)]
    unreachable: Vec<String>,
    #[serde(flatten)]
    rest: serde_json::Map<String, Value>,
}

impl Api {
    /// All items of a list. `path` may have a query; `key` names the items of a page.
    ///
    /// # Errors
    /// Why there is no whole list: also a place that the API could not reach, or a list without an end.
    pub(crate) async fn list(&self, path: &str, key: &str, deadline: Instant) -> Result<Vec<Value>, ApiError> {
        let mut items = Vec::new();
        let mut token = String::new();
        for _ in 0..MOST_PAGES {
            let sign = if path.contains('?') { '&' } else { '?' };
            let encoded: String = url::form_urlencoded::byte_serialize(token.as_bytes()).collect();
            let asked = if token.is_empty() { path.to_owned() } else { format!("{path}{sign}pageToken={encoded}") };
            let page: Page = self.get(&asked, deadline).await?;
            take(page, key, &mut items, &mut token).map_err(|why| self.not_whole(path, &why))?;
            if token.is_empty() {
                return Ok(items);
            }
        }
        Err(self.not_whole(path, &format!("it has over {MOST_PAGES} pages")))
    }

    fn not_whole(&self, path: &str, why: &str) -> ApiError {
        ApiError::new(
            ApiErrorKind::Permanent,
            format!("{}: the list of {path} cannot be read whole: {why}", self.name()),
        )
    }
}

/// Takes a page's items, and its token in place of the one before.
fn take(page: Page, key: &str, items: &mut Vec<Value>, token: &mut String) -> Result<(), String> {
    if !page.unreachable.is_empty() {
        return Err(format!("the API could not reach {}", page.unreachable.join(", ")));
    }
    if !page.next.is_empty() && page.next == *token {
        return Err("a page names itself as the next one".into());
    }
    *token = page.next;
    let mut rest = page.rest;
    match rest.remove(key) {
        None | Some(Value::Null) => Ok(()),
        Some(Value::Array(found)) => {
            items.extend(found);
            Ok(())
        }
        Some(_) => Err(format!("{key} is not a list")),
    }
}
