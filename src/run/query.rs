//! `canary-gate query`: one PromQL expression over a live scrape or a saved exposition.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::{Map, Value as Json, json};

use super::{NO_VERDICT, USAGE, fail, print, runtime};
use crate::check::{now, scrape_once};
use crate::cli::{ExpositionFormat, Query, QueryFormat};
use crate::judge::inventory::Inventory;
use crate::probe::{Probe, read_ca_file};
use crate::target::Target;
use promeval::exposition::{Exposition, Format};
use promeval::labels::Labels;
use promeval::number::{format_time, format_value, parse_float};
use promeval::promql::{Element, Error, Evaluator, Expr, Value, parse};
use promeval::series::{Storage, milliseconds};

pub(super) fn run(args: &Query) -> u8 {
    let expr = match parse(&args.expr) {
        Ok(expr) => expr,
        Err(error) => return rejected(args, &error),
    };
    let time = match args.time.as_deref().map(time).transpose() {
        Ok(time) => time,
        Err(message) => return fail(USAGE, &message),
    };
    let scraped_at = now();
    let read = match (&args.file, &args.url) {
        (Some(path), _) => read(path).map_err(|message| (USAGE, message)),
        (None, Some(url)) => scrape(url, args.ca_file.as_deref()),
        (None, None) => Err((USAGE, "pass --url URL or --file PATH".into())),
    };
    let (body, format) = match read {
        Ok(read) => read,
        Err((code, message)) => return fail(code, &message),
    };
    let format = match args.exposition {
        Some(ExpositionFormat::Prometheus) => Format::Prometheus,
        Some(ExpositionFormat::Openmetrics) => Format::OpenMetrics,
        None => format.unwrap_or_else(|| Format::of_file(&body)),
    };
    let exposition = match Exposition::parse(&body, format) {
        Ok(exposition) => exposition,
        Err(error) => {
            let name = args
                .file
                .as_ref()
                .map_or_else(|| args.url.clone().unwrap_or_default(), |path| path.display().to_string());
            let caret = " ".repeat(error.column.min(121) - 1);
            let excerpt =
                if error.column <= 120 { format!("\n  {}\n  {caret}^", error.excerpt) } else { String::new() };
            let message = format!("{name}:{}:{}: {}{excerpt}", error.line, error.column, error.cause);
            return fail(USAGE, &message);
        }
    };
    // Samples without a time of their own are taken to be from the moment that is asked about.
    let taken_at = time.or_else(|| newest(&exposition)).unwrap_or(scraped_at);
    let mut storage = Storage::default().keeping(expr.selectors());
    if let Err(full) = storage.ingest(&exposition, taken_at, &[], |_| true) {
        return fail(NO_VERDICT, &full.to_string());
    }
    match Evaluator::new(&storage, taken_at).value(&expr) {
        Err(error) => rejected(args, &error),
        Ok(value) => match args.format {
            QueryFormat::Json => print(&format!("{}\n", as_json(&value, taken_at))),
            QueryFormat::Table => {
                let code = print(&as_table(&value));
                if is_empty(&value) {
                    explain(&expr, &exposition, &storage);
                }
                code
            }
        },
    }
}

/// The expression with carets under what is wrong; as JSON too, where JSON is asked for.
fn rejected(args: &Query, error: &Error) -> u8 {
    let caret = error.caret(&args.expr).replace('\n', "\n  ");
    fail(USAGE, &format!("{error} (column {})\n  {caret}", error.column(&args.expr)))
}

fn time(written: &str) -> Result<i64, String> {
    let seconds = parse_float(written).filter(|seconds| seconds.abs() < 9e15);
    seconds.map(milliseconds).ok_or_else(|| format!("--time {written:?} is no number of seconds since the Unix epoch"))
}

fn newest(exposition: &Exposition<'_>) -> Option<i64> {
    exposition.samples().filter_map(|sample| sample.timestamp()).map(milliseconds).max()
}

type Body = (Vec<u8>, Option<Format>);

fn read(path: &Path) -> Result<Body, String> {
    let body = std::fs::read(path).map_err(|error| format!("the file {} cannot be read: {error}", path.display()))?;
    Ok((body, None))
}

fn scrape(url: &str, ca_file: Option<&Path>) -> Result<Body, (u8, String)> {
    let usage = |message| (USAGE, message);
    let target = Target::parse(url).map_err(usage)?;
    let ca = ca_file.map(read_ca_file).transpose().map_err(usage)?;
    let probe = Probe::new(target, &[], ca.as_deref()).map_err(usage)?;
    let missed = |message: String| (NO_VERDICT, format!("GET {url}: {message}"));
    let runtime = runtime().map_err(|message| (NO_VERDICT, message))?;
    runtime.block_on(scrape_once(&probe)).map_err(missed)
}

fn as_json(value: &Value, time: i64) -> Json {
    let at = |time: i64, value: f64| json!([timestamp(time), format_value(value)]);
    let metric = |labels: &Labels| {
        Json::Object(labels.iter().map(|(name, value)| (name.to_owned(), value.into())).collect::<Map<_, _>>())
    };
    let (kind, result) = match value {
        Value::Scalar(scalar) => ("scalar", at(time, *scalar)),
        Value::String(text) => ("string", json!([timestamp(time), text])),
        Value::Vector(elements) => {
            let one = |element: &Element| json!({"metric": metric(&element.labels), "value": at(time, element.value)});
            ("vector", elements.iter().map(one).collect())
        }
        Value::Matrix(series) => {
            let values = |points: &[promeval::series::Point]| {
                points.iter().map(|point| at(point.time, point.value)).collect::<Vec<_>>()
            };
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

fn as_table(value: &Value) -> String {
    match value {
        Value::Scalar(scalar) => format!("{}\n", format_value(*scalar)),
        Value::String(text) => format!("{text}\n"),
        Value::Vector(elements) => {
            let rows: Vec<(String, f64)> =
                elements.iter().map(|element| (element.labels.to_string(), element.value)).collect();
            let width = rows.iter().map(|(labels, _)| labels.chars().count()).max().unwrap_or(0);
            rows.iter().fold(String::new(), |mut text, (labels, value)| {
                let _ = writeln!(text, "{labels:width$}  {}", format_value(*value));
                text
            })
        }
        Value::Matrix(series) => series.iter().fold(String::new(), |mut text, series| {
            let _ = writeln!(text, "{}", series.labels);
            for point in &series.points {
                let _ = writeln!(text, "  {} @{}", format_value(point.value), format_time(point.time));
            }
            text
        }),
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Vector(elements) => elements.is_empty(),
        Value::Matrix(series) => series.is_empty(),
        Value::Scalar(_) | Value::String(_) => false,
    }
}

/// Says, beside the empty result, why there is nothing.
fn explain(expr: &Expr, exposition: &Exposition<'_>, storage: &Storage) {
    let mut inventory = Inventory::default();
    inventory.add(exposition);
    let absences: Vec<String> =
        expr.selectors().into_iter().filter_map(|selector| inventory.absence(selector, storage)).collect();
    let why = match absences.as_slice() {
        [] => "no element is left".to_owned(),
        several => several.join("; "),
    };
    fail(0, &format!("empty result: {why}"));
}
