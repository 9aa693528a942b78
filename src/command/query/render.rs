//! The result of a query: lines for a person, or what Prometheus's HTTP API answers.

use std::fmt::Write as _;

use promeval::labels::Labels;
use promeval::number::{format_time, format_value};
use promeval::series::Point;
use promeval::{Element, Value};
use serde_json::{Map, Value as Json, json};

use crate::judge::order;
use crate::text::{Redactor, escaped};

/// `{"status":"success","data":…}`. Texts are redacted, numbers are not.
pub(super) fn as_json(value: &Value, time: i64, redactor: &Redactor) -> Json {
    let at = |time: i64, value: f64| json!([timestamp(time), format_value(value)]);
    let metric = |labels: &Labels| {
        // The key of the name is Prometheus's own.
        let key = |name: &str| if name == "__name__" { name.to_owned() } else { redactor.clean(name) };
        let one = |(name, value): (&str, &str)| (key(name), redactor.clean(value).into());
        Json::Object(labels.iter().map(one).collect::<Map<_, _>>())
    };
    let (kind, result) = match value {
        Value::Scalar(scalar) => ("scalar", at(time, *scalar)),
        Value::String(text) => ("string", json!([timestamp(time), redactor.clean(text)])),
        Value::Vector(elements) => {
            let one = |element: &Element| json!({"metric": metric(&element.labels), "value": at(time, element.value)});
            ("vector", elements.iter().map(one).collect())
        }
        Value::Matrix(series) => {
            let values = |points: &[Point]| points.iter().map(|point| at(point.time, point.value)).collect::<Vec<_>>();
            let all =
                series.iter().map(|series| json!({"metric": metric(&series.labels), "values": values(&series.points)}));
            ("matrix", all.collect())
        }
    };
    json!({"status": "success", "data": {"resultType": kind, "result": result}})
}

/// Seconds as a JSON number: whole where they are whole.
fn timestamp(time: i64) -> Json {
    if time % 1000 == 0 {
        json!(time / 1000)
    } else {
        format_time(time).parse::<f64>().map_or(Json::Null, |seconds| json!(seconds))
    }
}

/// One line an element or a point, redacted as [`as_json`] is.
pub(super) fn as_table(value: &Value, redactor: &Redactor) -> String {
    let shown = |text: &str| escaped(&redactor.clean(text)).into_owned();
    match value {
        Value::Scalar(scalar) => format!("{}\n", format_value(*scalar)),
        Value::String(text) => format!("{}\n", shown(text)),
        Value::Vector(elements) => {
            let mut elements: Vec<&Element> = elements.iter().collect();
            // What no function has sorted is read by its labels.
            if elements.is_sorted_by_key(|element| &element.labels) {
                elements.sort_by(|a, b| order(&a.labels, &b.labels));
            }
            let rows: Vec<(String, f64)> =
                elements.iter().map(|element| (shown(&element.labels.to_string()), element.value)).collect();
            let width = rows.iter().map(|(labels, _)| labels.chars().count()).max().unwrap_or(0);
            rows.iter().fold(String::new(), |mut text, (labels, value)| {
                let _ = writeln!(text, "{labels:width$}  {}", format_value(*value));
                text
            })
        }
        Value::Matrix(series) => series.iter().fold(String::new(), |mut text, series| {
            let _ = writeln!(text, "{}", shown(&series.labels.to_string()));
            for point in &series.points {
                let _ = writeln!(text, "  {} @{}", format_value(point.value), format_time(point.time));
            }
            text
        }),
    }
}
