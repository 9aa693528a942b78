//! What the faults make of healthy answers. Each says why where an answer cannot be made ill in its way.

use serde_json::Value;

use super::exposition::{Change, Line, edited};
use super::perturb::{Perturbation, STEP, Value as Played};
use super::subject::Subject;
use super::wire::Reply;
use crate::plan::{JsonExpect, JsonStep, JsonWanted, Metrics, ToldBy};
use promeval::exposition::Format;
use promeval::promql::ast::Selector;

/// What a single-page application answers for whatever it does not know.
const FALLBACK: &str =
    "<!doctype html>\n<html lang=\"en\"><head><title>App</title></head><body><div id=\"root\"></div></body></html>\n";

type Made = Result<(), String>;

/// The page in place of whatever was asked for.
pub(super) fn fallback(reply: &mut Reply, _: &Subject, _: usize) -> Made {
    if reply.media_type() == "text/html" {
        return Err("the healthy answer is a page itself".into());
    }
    reply.set("Content-Type", "text/html; charset=utf-8");
    reply.body = FALLBACK.into();
    Ok(())
}

pub(super) fn html_as_text(reply: &mut Reply, _: &Subject, _: usize) -> Made {
    reply.body = FALLBACK.into();
    Ok(())
}

pub(super) fn as_json(reply: &mut Reply, _: &Subject, _: usize) -> Made {
    reply.set("Content-Type", "application/json");
    Ok(())
}

pub(super) fn emptied(reply: &mut Reply, _: &Subject, _: usize) -> Made {
    if reply.body.is_empty() {
        return Err("the healthy answer is empty".into());
    }
    reply.body.clear();
    Ok(())
}

pub(super) fn texted(reply: &mut Reply, _: &Subject, _: usize) -> Made {
    reply.body = b"It works".to_vec();
    Ok(())
}

/// A base element sends browsers elsewhere for what the page names by a path.
pub(super) fn elsewhere(reply: &mut Reply, _: &Subject, _: usize) -> Made {
    const BASE: &[u8] = b"<base href=\"https://assets.example.net/\">";
    let lower = reply.body.to_ascii_lowercase();
    let find = |piece: &[u8]| lower.windows(piece.len()).position(|window| window == piece);
    let open = find(b"<head").or_else(|| find(b"<!doctype"));
    let end = |at: usize| lower[at..].iter().position(|byte| *byte == b'>').map(|length| at + length + 1);
    let at = open.and_then(end).unwrap_or(0);
    reply.body.splice(at..at, BASE.iter().copied());
    Ok(())
}

/// A health answer that says otherwise than it should: in its status, and in whatever the plan expects a value of.
pub(super) fn degraded(reply: &mut Reply, subject: &Subject, _: usize) -> Made {
    let mut health: Value = serde_json::from_slice(&reply.body).map_err(|_| "the health answer is not JSON")?;
    let healthy = health.clone();
    if let Some(status) = health.get_mut("status").filter(|status| status.is_string()) {
        *status = "degraded".into();
    }
    for expected in subject.health() {
        unexpected(&mut health, expected);
    }
    if health == healthy {
        return Err("the health answer has no status, and the plan expects no value of it".into());
    }
    reply.body = health.to_string().into_bytes();
    Ok(())
}

/// Makes a value another than what is expected of it.
fn unexpected(document: &mut Value, expected: &JsonExpect) {
    let Some((last, steps)) = expected.path.steps().split_last() else { return };
    let parent = steps.iter().try_fold(document, |value, step| inside(value, step));
    let Some(parent) = parent else { return };
    if matches!(expected.wanted, JsonWanted::Exists(true)) {
        if let (Value::Object(members), JsonStep::Name(name)) = (parent, last) {
            members.shift_remove(name);
        }
        return;
    }
    let Some(value) = inside(parent, last) else { return };
    let other = match &expected.wanted {
        JsonWanted::Exists(_) => return,
        JsonWanted::Matches(pattern) => {
            ["degraded", "", "0"].into_iter().find(|text| !pattern.matches(text)).map(Value::from)
        }
        JsonWanted::Equals(wanted) => [Value::from("degraded"), Value::Null].into_iter().find(|other| other != wanted),
    };
    if let Some(other) = other {
        *value = match (&*value, other) {
            // Of its own type, where that is another value.
            (Value::Bool(is), _) => (!is).into(),
            (Value::Number(number), _) => (number.as_f64().unwrap_or_default() + 1.0).into(),
            (_, other) => other,
        };
    }
}

fn inside<'v>(value: &'v mut Value, step: &JsonStep) -> Option<&'v mut Value> {
    match (value, step) {
        (Value::Object(members), JsonStep::Name(name)) => members.get_mut(name),
        (Value::Array(elements), JsonStep::Index(index)) => {
            let length = i64::try_from(elements.len()).ok()?;
            let at = if *index < 0 { length + index } else { *index };
            elements.get_mut(usize::try_from(at).ok()?)
        }
        _ => None,
    }
}

/// The revision that answers, changed to another one.
pub(super) fn of_another(reply: &mut Reply, subject: &Subject, _: usize) -> Made {
    const OTHER: &str = "another-00001-abc";
    let identity = subject.identity().ok_or("the plan does not say what tells the revision")?;
    match &identity.told_by {
        ToldBy::Header(name) => reply.set(name, OTHER),
        ToldBy::Json(path) => {
            let mut document: Value = serde_json::from_slice(&reply.body).map_err(|_| "the answer is not JSON")?;
            let told = path.steps().iter().try_fold(&mut document, |value, step| inside(value, step));
            *told.ok_or("the answer does not tell its revision")? = OTHER.into();
            reply.body = document.to_string().into_bytes();
        }
    }
    Ok(())
}

/// The metrics of a healthy answer: the text, and how it is written.
fn metrics(reply: &Reply) -> Result<(String, Format), String> {
    let text = String::from_utf8(reply.body.clone()).map_err(|_| "the metrics are not text")?;
    let format = match &*reply.media_type() {
        "application/openmetrics-text" => Format::OpenMetrics,
        _ => Format::Prometheus,
    };
    Ok((text, format))
}

fn edit(reply: &mut Reply, subject: &Subject, change: &mut dyn FnMut(&Line<'_>) -> Change) -> Made {
    let (text, format) = metrics(reply)?;
    reply.body = edited(&text, format, &subject.labels, change)?.into_bytes();
    Ok(())
}

pub(super) fn malformed(reply: &mut Reply, _: &Subject, _: usize) -> Made {
    reply.body.splice(0..0, *b"broken_metric\n");
    Ok(())
}

pub(super) fn ended_in_a_line(reply: &mut Reply, _: &Subject, _: usize) -> Made {
    let text = String::from_utf8(std::mem::take(&mut reply.body)).map_err(|_| "the metrics are not text")?;
    let last = text.lines().rfind(|line| !line.starts_with('#') && line.len() > 2);
    let last = last.ok_or("the healthy metrics have no sample")?;
    let at = last.as_ptr() as usize - text.as_ptr() as usize;
    reply.body = text.as_bytes()[..at + last.len() - 1].to_vec();
    Ok(())
}

/// How long ago what is stale was seen.
const AGO: i64 = 3600 * 1000;

pub(super) fn stale(reply: &mut Reply, subject: &Subject, _: usize) -> Made {
    let (_, format) = metrics(reply)?;
    let at = crate::check::now() - AGO;
    edit(reply, subject, &mut |line| {
        let seconds = at / 1000;
        let written = if format == Format::OpenMetrics { seconds.to_string() } else { at.to_string() };
        Change::At(line.value, written)
    })
}

/// The selectors of blocking thresholds, or of any where none blocks.
fn selectors(metrics: &Metrics) -> Vec<Selector> {
    use crate::outcome::Severity;
    let of = |severity: Option<Severity>| -> Vec<Selector> {
        let thresholds = metrics.thresholds.iter();
        let thresholds = thresholds.filter(|threshold| severity.is_none_or(|wanted| threshold.severity == wanted));
        thresholds.flat_map(|threshold| super::reads::read(metrics, threshold.rule.expr()).0).collect()
    };
    let blocking = of(Some(Severity::Block));
    if blocking.is_empty() { of(None) } else { blocking }
}

/// One family that a blocking threshold reads, or that the plan requires, with its declaration.
pub(super) fn family_lost(reply: &mut Reply, subject: &Subject, _: usize) -> Made {
    let plan = subject.metrics().ok_or("there are no metrics")?;
    let (text, format) = metrics(reply)?;
    let read = selectors(plan);
    let read = read.iter().filter_map(Selector::metric_name).chain(plan.require.iter().map(String::as_str));
    for name in read {
        let lost = super::exposition::without_family(&text, format, name)?;
        if let Some(lost) = lost {
            reply.body = lost.into_bytes();
            return Ok(());
        }
    }
    Err("no threshold reads a family by its name, and none is required".into())
}

fn perturbed(reply: &mut Reply, subject: &Subject, scrape: usize, perturbation: &Perturbation) -> Made {
    let (text, format) = metrics(reply)?;
    let made = perturbation.applied(&text, format, &subject.labels, scrape)?;
    reply.body = made.ok_or("nothing that is exposed is read")?.into_bytes();
    Ok(())
}

pub(super) fn not_numbers(reply: &mut Reply, subject: &Subject, scrape: usize) -> Made {
    let plan = subject.metrics().ok_or("there are no metrics")?;
    let perturbation = Perturbation { selectors: selectors(plan), value: Played::NotANumber, step: STEP };
    perturbed(reply, subject, scrape, &perturbation)
}

pub(super) fn over_a_limit(reply: &mut Reply, subject: &Subject, scrape: usize) -> Made {
    let over = subject.over.as_ref().ok_or("no value that was tried makes a threshold fail")?;
    perturbed(reply, subject, scrape, over)
}

/// Counters that begin again from zero at every other scrape.
pub(super) fn restarted(reply: &mut Reply, subject: &Subject, scrape: usize) -> Made {
    let plan = subject.metrics().ok_or("there are no metrics")?;
    if plan.window.is_none() {
        return Err("the plan looks at one scrape, and not at a window".into());
    }
    let mut counters = 0;
    let is_low = scrape % 2 == 1;
    edit(reply, subject, &mut |line| {
        if !line.is_counter || line.value <= 0.0 {
            return Change::Keep;
        }
        counters += 1;
        if is_low { Change::To(0.0) } else { Change::Keep }
    })?;
    if counters == 0 { Err("no counter has counted anything".into()) } else { Ok(()) }
}
