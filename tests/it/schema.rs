//! A validator for the part of JSON Schema that this project's schemas use. It panics at a keyword that it does not know: a
//! schema is never checked in part.

use serde_json::Value;

pub struct Schema(pub Value);

impl Schema {
    /// Reads a schema at the repository's root.
    pub fn named(file: &str) -> Self {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
        Self(serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap())
    }

    /// What is wrong with a value, each with its place as a JSON pointer.
    pub fn errors(&self, value: &Value) -> Vec<String> {
        let mut errors = Vec::new();
        self.validate(&self.0, value, "", &mut errors);
        errors
    }

    fn valid(&self, schema: &Value, value: &Value) -> bool {
        let mut errors = Vec::new();
        self.validate(schema, value, "", &mut errors);
        errors.is_empty()
    }

    fn validate(&self, schema: &Value, value: &Value, place: &str, errors: &mut Vec<String>) {
        let Some(keywords) = schema.as_object() else {
            assert!(schema.is_boolean(), "{schema} is not a schema");
            if schema == false {
                errors.push(format!("{place}: nothing is allowed here"));
            }
            return;
        };
        for (keyword, wanted) in keywords {
            let list = || wanted.as_array().unwrap_or_else(|| panic!("{keyword} of {place} is not a list"));
            let holds = match &**keyword {
                "$schema" | "$id" | "$defs" | "title" | "description" | "default" | "examples" => true,
                "$ref" => {
                    let pointer = wanted.as_str().unwrap().trim_start_matches('#');
                    let schema = self.0.pointer(pointer).unwrap_or_else(|| panic!("{pointer} leads nowhere"));
                    self.validate(schema, value, place, errors);
                    true
                }
                "type" if wanted.is_array() => list().iter().any(|name| is_a(name, value)),
                "type" => is_a(wanted, value),
                "enum" => list().contains(value),
                "const" => wanted == value,
                "anyOf" => list().iter().any(|schema| self.valid(schema, value)),
                "oneOf" => list().iter().filter(|schema| self.valid(schema, value)).count() == 1,
                "minimum" => value.as_f64().is_none_or(|number| number >= wanted.as_f64().unwrap()),
                "maximum" => value.as_f64().is_none_or(|number| number <= wanted.as_f64().unwrap()),
                "format" => match wanted.as_str().unwrap() {
                    "date-time" => value.as_str().is_none_or(|text| humantime::parse_rfc3339(text).is_ok()),
                    "uint8" | "uint" | "uint32" | "uint64" | "double" => value.is_null() || value.is_number(),
                    other => panic!("the format {other:?} is not known here"),
                },
                "required" => {
                    let missing = |name: &&Value| value.is_object() && value.get(name.as_str().unwrap()).is_none();
                    errors.extend(list().iter().filter(missing).map(|name| format!("{place}: {name} is missing")));
                    true
                }
                "properties" => {
                    for (name, schema) in wanted.as_object().unwrap() {
                        if let Some(value) = value.get(name) {
                            self.validate(schema, value, &format!("{place}/{name}"), errors);
                        }
                    }
                    true
                }
                "additionalProperties" => {
                    let listed = |name: &String| schema["properties"].get(name).is_some();
                    for (name, value) in value.as_object().into_iter().flatten().filter(|(name, _)| !listed(name)) {
                        self.validate(wanted, value, &format!("{place}/{name}"), errors);
                    }
                    true
                }
                "items" => {
                    for (index, value) in value.as_array().into_iter().flatten().enumerate() {
                        self.validate(wanted, value, &format!("{place}/{index}"), errors);
                    }
                    true
                }
                other => panic!("the keyword {other:?} is not known here"),
            };
            if !holds {
                errors.push(format!("{place}: {value} does not satisfy {keyword}: {wanted}"));
            }
        }
    }
}

fn is_a(name: &Value, value: &Value) -> bool {
    match name.as_str().unwrap() {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "string" => value.is_string(),
        "number" => value.is_number(),
        "integer" => value.is_u64() || value.is_i64(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("the type {other:?} is not known here"),
    }
}

#[test]
fn what_a_schema_forbids_is_found() {
    use serde_json::json;
    let schema = Schema(json!({
        "$defs": {"Word": {"type": ["string", "null"], "enum": ["a", "b", null]}},
        "type": "object",
        "properties": {
            "word": {"$ref": "#/$defs/Word"},
            "count": {"type": "integer", "minimum": 0, "maximum": 9, "format": "uint8"},
            "list": {"type": "array", "items": {"oneOf": [{"const": 1}, {"type": "boolean"}]}},
            "at": {"format": "date-time"},
            "value": {"anyOf": [{"type": "number"}, {"type": "null"}]}
        },
        "additionalProperties": false,
        "required": ["count"]
    }));
    let sound = json!({"word": "a", "count": 9, "list": [1, true], "at": "2026-11-26T12:00:00Z", "value": 1.5});
    assert_eq!(schema.errors(&sound), [""; 0]);
    for (name, value, place) in [
        ("word", json!("c"), "/word: "),
        ("word", json!(1), "/word: "),
        ("count", json!(10), "/count: "),
        ("count", json!(-1), "/count: "),
        ("count", json!(0.5), "/count: "),
        ("list", json!([1, 2]), "/list/1: "),
        ("list", json!({}), "/list: "),
        ("at", json!("yesterday"), "/at: "),
        ("value", json!("1"), "/value: "),
        ("extra", json!(1), "/extra: "),
    ] {
        let mut wrong = sound.clone();
        wrong[name] = value;
        let errors = schema.errors(&wrong);
        assert!(!errors.is_empty() && errors.iter().all(|error| error.starts_with(place)), "{wrong}: {errors:?}");
    }
    assert_eq!(schema.errors(&json!({})), [": \"count\" is missing"]);
}
