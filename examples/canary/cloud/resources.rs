//! Resources by their full names: read, and listed page by page, with the filters that are used.

use serde_json::{Value, json};

use super::{State, error, parameter};
use crate::canary::server::{Reply, Request};

/// A resource, or that there is none.
pub fn get(state: &State, name: &str) -> Reply {
    match state.resources.get(name) {
        Some(resource) => Reply::json(200, &resource.to_string()),
        None => error(404, "NOT_FOUND", &format!("Resource '{name}' was not found")),
    }
}

/// A page of a collection such as `projects/P/locations/R/services/S/revisions`; a `-` stands for every name. The page's token
/// is the place in the list.
pub fn list(state: &State, request: &Request, collection: &str, key: &str) -> Reply {
    let filter = parameter(request, "filter").unwrap_or_default();
    let mut items: Vec<&Value> = state
        .resources
        .iter()
        .filter(|(name, _)| is_in(name, collection))
        .map(|(_, resource)| resource)
        .filter(|resource| fits(resource, &filter))
        .collect();
    let order = parameter(request, "orderBy").unwrap_or_default();
    if let Some(field) = order.split_whitespace().next() {
        // The API's own field names may be written in either case.
        let field = format!("{}{}", field[..1].to_ascii_lowercase(), &field[1..]);
        items.sort_by_key(|resource| resource[&field].as_str().unwrap_or_default().to_owned());
        if order.ends_with("desc") {
            items.reverse();
        }
    }
    let asked =
        parameter(request, "pageSize").and_then(|size| size.parse().ok()).filter(|size| *size > 0).unwrap_or(50);
    let size = if state.page > 0 { asked.min(state.page) } else { asked };
    let from: usize = match parameter(request, "pageToken").map(|token| token.parse()) {
        None => 0,
        Some(Ok(from)) => from,
        Some(Err(_)) => return error(400, "INVALID_ARGUMENT", "The page token is not valid"),
    };
    let page: Vec<&Value> = items.iter().skip(from).take(size).copied().collect();
    let mut answer = json!({});
    if !page.is_empty() {
        answer[key] = json!(page);
    }
    if from + size < items.len() {
        answer["nextPageToken"] = json!((from + size).to_string());
    }
    Reply::json(200, &answer.to_string())
}

/// Whether a resource is an item of a collection.
fn is_in(name: &str, collection: &str) -> bool {
    let (names, wanted): (Vec<&str>, Vec<&str>) = (name.split('/').collect(), collection.split('/').collect());
    names.len() == wanted.len() + 1 && wanted.iter().zip(&names).all(|(wanted, name)| *wanted == "-" || wanted == name)
}

/// Whether a resource fits a filter of comparisons by `=` and `!=` that `AND` joins.
fn fits(resource: &Value, filter: &str) -> bool {
    let terms = filter.replace(['(', ')'], " ");
    let mut terms = terms.split(" AND ").map(str::trim).filter(|term| !term.is_empty());
    terms.all(|term| {
        let (field, value, wanted) = match (term.split_once("!="), term.split_once('=')) {
            (Some((field, value)), _) => (field, value, false),
            (None, Some((field, value))) => (field, value, true),
            (None, None) => panic!("the fake does not know the filter {filter:?}"),
        };
        let found = field.trim().split('.').fold(resource, |resource, key| &resource[key]);
        (found.as_str().unwrap_or_default() == value.trim().trim_matches('"')) == wanted
    })
}
