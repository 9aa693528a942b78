//! Cloud Monitoring v1: the Prometheus API's `query`, of the values that a test says there are.

use serde_json::{Value, json};

use super::names::PROJECT;
use super::{State, body, error};
use crate::canary::server::{Reply, Request};

/// The values that there are.
pub struct Values {
    /// By a piece of the expression, the first that fits; an empty answer where none does.
    pub values: Vec<(&'static str, Answer)>,
}

/// What comes back.
#[derive(Clone, Copy)]
pub enum Answer {
    Value(&'static str),
    /// A value, with a warning beside it.
    Warned(&'static str),
    /// Several values.
    Several,
    Empty,
    /// A page in place of JSON.
    Html,
    /// An answer of another kind.
    Matrix,
}

impl Default for Values {
    /// Those of a healthy revision; nothing started lately.
    fn default() -> Self {
        Self {
            values: vec![
                ("response_code_class", Answer::Value("0.002")),
                ("request_count", Answer::Value("312.5")),
                ("request_latencies", Answer::Value("420.5")),
                ("container_memory_utilizations", Answer::Value("0.41")),
            ],
        }
    }
}

impl Values {
    /// The same with another answer for what holds a piece.
    pub fn with(mut self, piece: &'static str, answer: Answer) -> Self {
        self.values.insert(0, (piece, answer));
        self
    }
}

pub fn answer(state: &State, request: &Request) -> Option<Reply> {
    let path = format!("/v1/projects/{PROJECT}/location/global/prometheus/api/v1/query");
    if (&*request.method, &*request.path) != ("POST", &*path) {
        return None;
    }
    let body = body(request);
    let (Some(query), Some(time)) = (body["query"].as_str(), body["time"].as_str()) else {
        return Some(error(400, "INVALID_ARGUMENT", "query and time are wanted"));
    };
    let Ok(at) = time.parse::<f64>() else {
        return Some(error(400, "INVALID_ARGUMENT", "invalid parameter \"time\""));
    };
    let found = state.monitoring.values.iter().find(|(piece, _)| query.contains(piece));
    let vector = |values: &[&str]| {
        let result: Vec<Value> = values.iter().map(|value| json!({"metric": {}, "value": [at, value]})).collect();
        json!({"status": "success", "data": {"resultType": "vector", "result": result}})
    };
    Some(match found.map_or(Answer::Empty, |(_, answer)| *answer) {
        Answer::Value(value) => Reply::json(200, &vector(&[value]).to_string()),
        Answer::Several => Reply::json(200, &vector(&["1", "2"]).to_string()),
        Answer::Empty => Reply::json(200, &vector(&[]).to_string()),
        Answer::Warned(value) => {
            let mut answer = vector(&[value]);
            answer["warnings"] = json!(["some series could not be read"]);
            Reply::json(200, &answer.to_string())
        }
        Answer::Html => Reply::new(200, "text/html", "<html><title>Sign in</title></html>"),
        Answer::Matrix => {
            Reply::json(200, &json!({"status": "success", "data": {"resultType": "matrix", "result": []}}).to_string())
        }
    })
}
