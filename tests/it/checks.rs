//! Checks files for tests: YAML that is read once and then set key by key.

use std::fmt::{self, Display, Formatter};

use serde_json::{Map, Value};

/// The default plan with waits short enough for tests. A test of the waits themselves sets its own.
const FAST: &str = "
ready: {timeout: 2s, request_timeout: 500ms, backoff: {initial: 20ms, max: 50ms}}
health: {timeout: 5s, request_timeout: 500ms, backoff: {initial: 10ms, max: 20ms}}
readiness: {timeout: 1s, request_timeout: 500ms, backoff: {initial: 20ms, max: 50ms}}
metrics: {timeout: 4s, request_timeout: 2s, max_body: 8MiB, backoff: {initial: 20ms, max: 50ms}}
smoke: {timeout: 4s, request_timeout: 2s, backoff: {initial: 20ms, max: 50ms}}
";

/// A window of eleven scrapes, with no required family and no threshold yet. Even a busy machine answers a scrape within
/// the interval.
const WATCHING: &str = "
smoke: {enabled: false}
metrics:
  require: []
  timeout: 20s
  window: 3s
  interval: 300ms
  backoff: {initial: 10ms, max: 20ms}
  thresholds: []
";

/// A checks file, as a tree.
#[derive(Clone)]
pub struct Checks(Value);

impl Checks {
    pub fn fast() -> Self {
        Self::read(FAST)
    }

    pub fn watching() -> Self {
        Self::read(WATCHING)
    }

    pub fn read(yaml: &str) -> Self {
        Self(serde_saphyr::from_str(yaml).unwrap_or_else(|error| panic!("{error}\n{yaml}")))
    }

    /// Sets the value at a path of keys and list positions, such as `http.0.path`. Missing keys are added.
    pub fn set(mut self, path: &str, value: impl Into<Value>) -> Self {
        let mut place = &mut self.0;
        for step in path.split('.') {
            place = match place {
                Value::Array(list) => {
                    let index: usize = step.parse().unwrap_or_else(|_| panic!("{path}: {step:?} is not a position"));
                    &mut list[index]
                }
                other => {
                    if other.is_null() {
                        *other = Value::Object(Map::new());
                    }
                    let map = other.as_object_mut().unwrap_or_else(|| panic!("{path}: no mapping holds {step:?}"));
                    map.entry(step).or_insert(Value::Null)
                }
            };
        }
        *place = value.into();
        self
    }

    /// Adds a threshold that blocks.
    pub fn threshold(mut self, expr: &str) -> Self {
        let thresholds = &mut self.0["metrics"]["thresholds"];
        if thresholds.is_null() {
            *thresholds = Value::Array(Vec::new());
        }
        let thresholds = thresholds.as_array_mut().expect("a list of thresholds");
        thresholds.push(serde_json::json!({ "expr": expr }));
        self
    }
}

/// Block style, one key per line. Scalars and keys are written as JSON, which is YAML too.
impl Display for Checks {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write(f, &self.0, 0)
    }
}

fn write(f: &mut Formatter<'_>, value: &Value, indent: usize) -> fmt::Result {
    let margin = " ".repeat(indent);
    match value {
        Value::Object(map) if !map.is_empty() => map.iter().try_for_each(|(key, value)| {
            write!(f, "\n{margin}{}:", Value::from(&**key))?;
            write(f, value, indent + 2)
        }),
        Value::Array(list) if !list.is_empty() => list.iter().try_for_each(|value| {
            write!(f, "\n{margin}-")?;
            write(f, value, indent + 2)
        }),
        scalar => write!(f, " {scalar}"),
    }
}

#[test]
fn what_is_set_is_written() {
    let checks = Checks::read("a: {b: [x, {c: 1}]}\nd: null\n");
    let text = checks.set("a.b.1.c", "two: #2").set("d.e", false).set("f", serde_json::json!([])).to_string();
    assert_eq!(
        text,
        "\n\"a\":\n  \"b\":\n    - \"x\"\n    -\n      \"c\": \"two: #2\"\n\"d\":\n  \"e\": false\n\"f\": []"
    );
    assert_eq!(Checks::read(&text).to_string(), text);
}
