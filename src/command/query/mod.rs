//! `canary-gate query`: one PromQL expression over a live scrape or a saved exposition.

mod input;
mod render;

use promeval::exposition::Exposition;
use promeval::promql::{Error, Evaluator};
use promeval::series::{Storage, milliseconds};
use promeval::{Expr, Format, Value, parse};

use self::input::{Input, Text};
use super::{CommandError, Session};
use crate::check::now;
use crate::cli::{Query, QueryFormat};
use crate::judge::Inventory;
use crate::outcome::Exit;
use crate::text;

pub(crate) fn run(session: &Session, args: &Query) -> Result<Exit, CommandError> {
    let expr = parse(&args.expr).map_err(|error| rejected(args, &error))?;
    let time = args.time.as_deref().map(time).transpose().map_err(CommandError::usage)?;
    let texts = match Input::read(session, args, time)? {
        Input::Texts(texts) => texts,
        Input::Answer(value, time) => {
            show(session, args, &value, time)?;
            return Ok(Exit::Pass);
        }
    };
    let selectors = expr.selectors();
    let (mut storage, mut inventory, mut newest) = (Storage::default(), Inventory::default(), None);
    for text in &texts {
        let exposition = parsed(args, text)?;
        let stamped = exposition.samples().filter_map(|sample| sample.timestamp()).map(milliseconds).max();
        // Samples without a time of their own are taken to be from the moment that is asked about.
        let taken_at = text.at.or(time).or(stamped).unwrap_or_else(now);
        newest = newest.max(Some(taken_at));
        let wanted = |name: &str| selectors.iter().any(|selector| selector.wants(name));
        let stored = storage.ingest(&exposition, taken_at, &[], wanted);
        stored.map_err(|full| CommandError::usage(format!("{}: {full}", text.name)))?;
        inventory = Inventory::new(&exposition);
    }
    let time = time.or(newest).unwrap_or_else(now);
    let value = Evaluator::new(&storage, time).value(&expr).map_err(|error| rejected(args, &error))?;
    show(session, args, &value, time)?;
    if args.format == QueryFormat::Table && is_empty(&value) {
        session.complain(&format!("empty result: {}", why_empty(&expr, &inventory, &storage)));
    }
    Ok(Exit::Pass)
}

fn show(session: &Session, args: &Query, value: &Value, time: i64) -> Result<(), CommandError> {
    session.print(&match args.format {
        QueryFormat::Json => {
            let json = render::as_json(value, time, &session.redactor).to_string();
            format!("{}\n", text::escaped_json(&json))
        }
        QueryFormat::Table => render::as_table(value, &session.redactor),
    })
}

/// The expression with carets under what is wrong.
fn rejected(args: &Query, error: &Error) -> CommandError {
    let caret = error.caret(&args.expr).replace('\n', "\n  ");
    CommandError::usage(format!("{error} (column {})\n  {caret}", error.column(&args.expr)))
}

fn parsed<'t>(args: &Query, text: &'t Text) -> Result<Exposition<'t>, CommandError> {
    let format = args.exposition.or(text.format).unwrap_or_else(|| Format::of_file(&text.body));
    Exposition::parse(&text.body, format).map_err(|error| {
        let caret = " ".repeat(error.column.min(121) - 1);
        let excerpt = if error.column <= 120 { format!("\n  {}\n  {caret}^", error.excerpt) } else { String::new() };
        CommandError::usage(format!("{}:{}:{}: {}{excerpt}", text.name, error.line, error.column, error.cause))
    })
}

/// A time as Prometheus's HTTP API takes it, in milliseconds since the epoch.
fn time(written: &str) -> Result<i64, String> {
    if let Some(seconds) = promeval::number::parse_float(written).filter(|seconds| seconds.abs() < 9e15) {
        return Ok(milliseconds(seconds));
    }
    let (local, offset) = split_offset(written);
    let since =
        humantime::parse_rfc3339_weak(&local).ok().and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
    since.and_then(|since| Some(i64::try_from(since.as_millis()).ok()? - offset)).ok_or_else(|| {
        format!("--time {written:?} is neither a number of seconds since the Unix epoch nor a time such as 2026-01-31T12:00:00Z")
    })
}

/// A time as RFC 3339 writes it, without its offset from UTC, and that offset in milliseconds.
fn split_offset(written: &str) -> (String, i64) {
    let offset = || {
        let (local, offset) = written.split_at_checked(written.len().checked_sub(6)?)?;
        let sign = match offset.as_bytes() {
            [b'+', ..] => 1,
            [b'-', ..] if local.contains(':') => -1,
            _ => return None,
        };
        let (hours, minutes) = offset[1..].split_once(':')?;
        let (hours, minutes): (u8, u8) = (hours.parse().ok()?, minutes.parse().ok()?);
        (hours < 24 && minutes < 60)
            .then(|| (format!("{local}Z"), sign * (i64::from(hours) * 3_600_000 + i64::from(minutes) * 60_000)))
    };
    offset().unwrap_or_else(|| (written.to_owned(), 0))
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Vector(elements) => elements.is_empty(),
        Value::Matrix(series) => series.is_empty(),
        Value::Scalar(_) | Value::String(_) => false,
    }
}

/// Why there is nothing.
fn why_empty(expr: &Expr, inventory: &Inventory, storage: &Storage) -> String {
    let absences: Vec<String> =
        expr.selectors().into_iter().filter_map(|selector| inventory.absence(selector, storage)).collect();
    if absences.is_empty() { "no element is left".to_owned() } else { text::joined(absences, usize::MAX, "; ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_seconds_or_rfc_3339_with_any_offset() {
        for (written, wanted) in [
            ("0", Some(0)),
            ("-5", Some(-5_000)),
            ("1970-01-01T00:01:00Z", Some(60_000)),
            ("1970-01-02T02:00:00+02:00", Some(86_400_000)),
            ("1970-01-01T22:30:00-01:30", Some(86_400_000)),
            ("1970-01-02T02:00:00+02:99", None),
            ("1970-01-02", None),
            ("", None),
        ] {
            assert_eq!(time(written).ok(), wanted, "{written}");
        }
    }
}
