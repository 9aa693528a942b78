//! Cloud Storage: buckets, and objects that are uploaded whole, in pieces or with their metadata, and read.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::{State, body, error, parameter};
use crate::canary::server::{Reply, Request};

/// What is stored.
#[derive(Default)]
pub struct Stored {
    pub buckets: BTreeSet<String>,
    /// By `BUCKET/NAME`.
    pub objects: BTreeMap<String, Object>,
    /// Uploads that were announced: what they will be called, and its media type.
    announced: BTreeMap<String, (String, String)>,
}

/// An object.
#[derive(Clone, Debug)]
pub struct Object {
    pub bytes: Vec<u8>,
    pub media_type: String,
    pub generation: u64,
}

pub fn answer(state: &mut State, request: &Request) -> Option<Reply> {
    if let Some(rest) = request
        .path
        .strip_prefix("/upload/storage/v1/b/")
        .or_else(|| request.path.strip_prefix("/resumable/upload/storage/v1/b/"))
    {
        return Some(upload(state, request, rest.split('/').next()?));
    }
    let rest = request.path.strip_prefix("/storage/v1/b").or_else(|| request.path.strip_prefix("/b"))?;
    let pieces: Vec<&str> = rest.split('/').filter(|piece| !piece.is_empty()).collect();
    Some(match (&*request.method, &*pieces) {
        ("POST", []) => {
            let name = body(request)["name"].as_str().unwrap_or_default().to_owned();
            if !state.storage.buckets.insert(name.clone()) {
                return Some(error(
                    409,
                    "ALREADY_EXISTS",
                    "Your previous request to create the named bucket succeeded",
                ));
            }
            Reply::json(200, &bucket(&name).to_string())
        }
        ("GET", []) => {
            let items: Vec<Value> = state.storage.buckets.iter().map(|name| bucket(name)).collect();
            Reply::json(200, &json!({"kind": "storage#buckets", "items": items}).to_string())
        }
        ("GET", [name]) if state.storage.buckets.contains(*name) => Reply::json(200, &bucket(name).to_string()),
        ("GET", [name, "o"]) if state.storage.buckets.contains(*name) => {
            let prefix = parameter(request, "prefix").unwrap_or_default();
            let of = format!("{name}/{prefix}");
            let objects = state.storage.objects.iter().filter(|(key, _)| key.starts_with(&of));
            let items: Vec<Value> = objects.map(|(key, object)| metadata(key, object)).collect();
            Reply::json(200, &json!({"kind": "storage#objects", "items": items}).to_string())
        }
        ("GET", [bucket, "o", name @ ..]) => {
            let encoded = name.join("/");
            let name = decoded(&encoded);
            let key = format!("{bucket}/{name}");
            match state.storage.objects.get(&key) {
                None => error(404, "NOT_FOUND", &format!("No such object: {key}")),
                Some(object) if parameter(request, "alt").as_deref() == Some("media") => {
                    Reply::new(200, &object.media_type, object.bytes.clone())
                }
                Some(object) => Reply::json(200, &metadata(&key, object).to_string()),
            }
        }
        ("GET", [..]) => error(404, "NOT_FOUND", "The specified bucket does not exist."),
        _ => return None,
    })
}

fn bucket(name: &str) -> Value {
    json!({"kind": "storage#bucket", "id": name, "name": name, "projectNumber": "42", "location": "EUROPE-WEST1",
        "selfLink": format!("https://www.googleapis.com/storage/v1/b/{name}"), "storageClass": "STANDARD"})
}

fn metadata(key: &str, object: &Object) -> Value {
    let (bucket, name) = key.split_once('/').unwrap_or((key, ""));
    json!({"kind": "storage#object", "bucket": bucket, "name": name, "contentType": object.media_type,
        "size": object.bytes.len().to_string(), "generation": object.generation.to_string(), "metageneration": "1",
        "id": format!("{key}/{}", object.generation), "timeCreated": "2026-11-27T10:00:00.000Z",
        "updated": "2026-11-27T10:00:00.000Z", "etag": format!("etag-{}", object.generation)})
}

fn decoded(text: &str) -> String {
    url::form_urlencoded::parse(format!("x={}", text.replace('+', "%2B")).as_bytes())
        .next()
        .map(|(_, value)| value.into_owned())
        .unwrap_or_default()
}

fn upload(state: &mut State, request: &Request, bucket: &str) -> Reply {
    if !state.storage.buckets.contains(bucket) {
        return error(404, "NOT_FOUND", "The specified bucket does not exist.");
    }
    if let Some(id) = parameter(request, "upload_id") {
        let Some((key, media_type)) = state.storage.announced.remove(&id) else {
            return error(404, "NOT_FOUND", "there is no such upload");
        };
        return keep(state, key, media_type, request.body.clone(), None);
    }
    let media_type = request.headers.get("content-type").cloned().unwrap_or_default();
    let only_new = parameter(request, "ifGenerationMatch");
    match parameter(request, "uploadType").as_deref() {
        Some("media") => {
            let name = parameter(request, "name").unwrap_or_default();
            keep(state, format!("{bucket}/{name}"), media_type, request.body.clone(), only_new.as_deref())
        }
        Some("multipart") => match parts(&media_type, &request.body) {
            Some((described, media_type, bytes)) => {
                let name = described["name"].as_str().map(str::to_owned).or_else(|| parameter(request, "name"));
                keep(state, format!("{bucket}/{}", name.unwrap_or_default()), media_type, bytes, only_new.as_deref())
            }
            None => error(400, "INVALID_ARGUMENT", "this is not a body of two parts"),
        },
        Some("resumable") => {
            let name = body(request)["name"].as_str().map(str::to_owned).or_else(|| parameter(request, "name"));
            let media_type = request.headers.get("x-upload-content-type").cloned().unwrap_or_default();
            let id = format!("upload-{}", state.next());
            let host = request.headers.get("host").cloned().unwrap_or_default();
            let place = format!("http://{host}/upload/storage/v1/b/{bucket}/o?uploadType=resumable&upload_id={id}");
            state.storage.announced.insert(id, (format!("{bucket}/{}", name.unwrap_or_default()), media_type));
            Reply::json(200, "{}").header("Location", &place)
        }
        other => error(400, "INVALID_ARGUMENT", &format!("{other:?} is no way of uploading")),
    }
}

/// The description of an object, its media type and its bytes, out of a `multipart/related` body.
fn parts(media_type: &str, body: &[u8]) -> Option<(Value, String, Vec<u8>)> {
    let boundary = media_type.split("boundary=").nth(1)?.trim_matches(['"', '\'', ' ']);
    let mark = format!("--{boundary}");
    let find = |from: usize, what: &[u8]| {
        body[from..].windows(what.len()).position(|window| window == what).map(|at| at + from)
    };
    let first = find(0, mark.as_bytes())?;
    let second = find(first + mark.len(), mark.as_bytes())?;
    let last = find(second + mark.len(), mark.as_bytes())?;
    let split = |from: usize, to: usize| {
        let (at, length) = match (find(from, b"\r\n\r\n"), find(from, b"\n\n")) {
            (Some(at), _) if at < to => (at, 4),
            (_, Some(at)) if at < to => (at, 2),
            _ => return None,
        };
        let head = String::from_utf8_lossy(&body[from..at]).into_owned();
        let content = &body[at + length..to];
        let content = content.strip_suffix(b"\r\n").or_else(|| content.strip_suffix(b"\n")).unwrap_or(content);
        Some((head, content.to_vec()))
    };
    let (_, described) = split(first + mark.len(), second)?;
    let (head, bytes) = split(second + mark.len(), last)?;
    let own = head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-type:").map(str::to_owned));
    Some((serde_json::from_slice(&described).ok()?, own.unwrap_or_default().trim().to_owned(), bytes))
}

fn keep(state: &mut State, key: String, media_type: String, bytes: Vec<u8>, only_new: Option<&str>) -> Reply {
    if only_new == Some("0") && state.storage.objects.contains_key(&key) {
        return error(412, "FAILED_PRECONDITION", "At least one of the pre-conditions you specified did not hold.");
    }
    let object = Object { bytes, media_type, generation: state.next() };
    let answer = metadata(&key, &object);
    state.storage.objects.insert(key, object);
    Reply::json(200, &answer.to_string())
}
