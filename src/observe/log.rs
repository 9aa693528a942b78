//! The log: one line an event on standard error, for people or, as JSON, for Cloud Logging.
//!
//! The members of the JSON are those that Cloud Logging gives a meaning:
//! <https://cloud.google.com/logging/docs/structured-logging#special-payload-fields>.

use std::fmt::{Debug, Write as _};
use std::io::{self, Write as _};
use std::str::FromStr as _;
use std::time::SystemTime;

use clap::ValueEnum;
use serde_json::{Map, Value, json};
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::{Level, Subscriber, span};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use tracing_subscriber::registry::LookupSpan;

use crate::outcome::{Event, Observer, Status, Summary, Verdict};
use crate::report;
use crate::text::{self, Redactor};

/// The levels of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogLevel {
    /// No log.
    Off,
    /// What kept the gate from a verdict.
    Error,
    /// What is bad.
    Warn,
    /// What happens to the checks.
    Info,
    /// Requests, with their times.
    Debug,
    /// Everything, the HTTP library's own steps too.
    Trace,
}

/// The formats of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// For Cloud Logging.
    Json,
}

/// What the command line asks for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    /// How often -v is given.
    pub(crate) verbose: u8,
    pub(crate) level: Option<LogLevel>,
    pub(crate) format: Option<LogFormat>,
}

/// Starts the log, where one is wanted. `rust_log` is the value of `RUST_LOG`: it counts where no flag names a level.
///
/// # Errors
/// A `RUST_LOG` that cannot be read.
pub(crate) fn start(asked: Asked, rust_log: Option<&str>, redactor: &Redactor) -> Result<(), String> {
    let Some(targets) = targets(asked, rust_log)? else { return Ok(()) };
    let writer = Writer { format: asked.format.unwrap_or(LogFormat::Text), redactor: redactor.clone() };
    let subscriber = tracing_subscriber::registry().with(writer.with_filter(targets));
    // A second log in one process (a library's user may have set up the first) is not needed.
    let _ = tracing::subscriber::set_global_default(subscriber);
    Ok(())
}

/// What is logged; nothing where no log is wanted.
fn targets(asked: Asked, rust_log: Option<&str>) -> Result<Option<Targets>, String> {
    let level = match (asked.level, asked.verbose) {
        (Some(level), _) => Some(filter(level)),
        (None, 0) => None,
        (None, 1) => Some(LevelFilter::DEBUG),
        (None, _) => Some(LevelFilter::TRACE),
    };
    let level = match (level, rust_log, asked.format) {
        (None, Some(written), _) => {
            let targets = Targets::from_str(written);
            return targets.map(Some).map_err(|error| format!("RUST_LOG {written:?} cannot be read: {error}"));
        }
        (None, None, Some(LogFormat::Json)) => Some(LevelFilter::INFO),
        (level, ..) => level.filter(|level| *level != LevelFilter::OFF),
    };
    // What the HTTP library says of itself is for whoever asks for everything.
    let others = |level: LevelFilter| if level == LevelFilter::TRACE { level } else { level.min(LevelFilter::WARN) };
    Ok(level.map(|level| Targets::new().with_target("canary_gate", level).with_default(others(level))))
}

fn filter(level: LogLevel) -> LevelFilter {
    match level {
        LogLevel::Off => LevelFilter::OFF,
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    }
}

/// Logs what it hears of the checks.
pub(crate) struct Log {
    names: Vec<String>,
    redactor: Redactor,
}

impl Log {
    /// `names` are those of the checks, in the plan's order.
    pub(crate) fn new(names: &[String], redactor: &Redactor) -> Self {
        Self { names: names.to_vec(), redactor: redactor.clone() }
    }

    /// Logs how the run ended: the last entry. The summary is redacted.
    pub(crate) fn verdict(summary: &Summary) {
        let (headline, exit_code) = (report::headline(summary), summary.exit().code());
        match summary.verdict() {
            Verdict::Pass if summary.warnings().is_empty() => tracing::info!(exit_code, "{headline}"),
            Verdict::Pass => tracing::warn!(exit_code, "{headline}"),
            Verdict::Fail | Verdict::Error => tracing::error!(exit_code, "{headline}"),
        }
    }

    /// Logs what keeps a command from its end; false where such entries are not wanted.
    pub(crate) fn complaint(redactor: &Redactor, message: &str) -> bool {
        tracing::error!("{}", redactor.clean(message));
        tracing::enabled!(Level::ERROR)
    }

    /// Whether there is a log: it takes the place of the progress.
    pub(crate) fn is_on() -> bool {
        tracing::level_filters::STATIC_MAX_LEVEL != LevelFilter::OFF && LevelFilter::current() != LevelFilter::OFF
    }
}

impl Observer for Log {
    fn hear(&self, event: &Event) {
        let sentence = super::sentence(event, &self.names, &self.redactor);
        let (check, status) = match event {
            // Evidence is for whoever records it.
            Event::Scraped { .. }
            | Event::Judged { .. }
            | Event::Asked { .. }
            | Event::Answered { .. }
            | Event::Traffic { .. } => return,
            Event::Located { .. } => (None, None),
            Event::Started { check, .. }
            | Event::Retrying { check, .. }
            | Event::Sampled { check, .. }
            | Event::Measured { check, .. }
            | Event::Skipped { check, .. } => (Some(check), None),
            Event::Ended { check, status, .. } | Event::Overturned { check, status, .. } => {
                (Some(check), Some(*status))
            }
        };
        let check = check.and_then(|check| self.names.get(check.index())).map(|name| self.redactor.clean(name));
        match status {
            Some(Status::Fail | Status::Error) => tracing::error!(check, "{sentence}"),
            Some(Status::Warn) => tracing::warn!(check, "{sentence}"),
            Some(Status::Pass | Status::Skipped) | None => tracing::info!(check, "{sentence}"),
        }
    }
}

/// Writes events, redacted and escaped.
struct Writer {
    format: LogFormat,
    redactor: Redactor,
}

/// The fields of an event or a span, in their order.
#[derive(Clone, Default)]
struct Fields(Map<String, Value>);

impl Fields {
    /// Takes secrets out of the texts, and out of nothing else: numbers and names are no place for one.
    fn clean(&mut self, redactor: &Redactor) {
        for value in self.0.values_mut() {
            if let Value::String(text) = value {
                *text = redactor.clean(text);
            }
        }
    }
}

impl Visit for Fields {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.0.insert(field.name().into(), json!(value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.0.insert(field.name().into(), json!(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.0.insert(field.name().into(), json!(value));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name().into(), json!(value));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.insert(field.name().into(), json!(format!("{value:?}")));
    }
}

impl<S: Subscriber + for<'s> LookupSpan<'s>> Layer<S> for Writer {
    fn on_new_span(&self, attributes: &span::Attributes<'_>, id: &span::Id, context: Context<'_, S>) {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(fields);
        }
    }

    fn on_event(&self, event: &tracing::Event<'_>, context: Context<'_, S>) {
        let mut fields = Fields::default();
        if let Some(span) = context.event_span(event)
            && let Some(of_span) = span.extensions().get::<Fields>()
        {
            fields = of_span.clone();
        }
        event.record(&mut fields);
        // What is told of the run is redacted in its parts: words of the gate's own stay.
        if event.metadata().target() != module_path!() {
            fields.clean(&self.redactor);
        }
        let time = humantime::format_rfc3339_micros(SystemTime::now()).to_string();
        let level = *event.metadata().level();
        let line = match self.format {
            LogFormat::Text => text::escaped(&as_text(&time, level, fields)).into_owned(),
            LogFormat::Json => text::escaped_json(&as_json(&time, level, fields).to_string()),
        };
        let _ = writeln!(io::stderr(), "{line}");
    }
}

fn as_text(time: &str, level: Level, Fields(mut fields): Fields) -> String {
    let message = fields.remove("message");
    let message = message.as_ref().and_then(Value::as_str).unwrap_or_default();
    let mut line = format!("{time} {level:5} {message}");
    for (name, value) in fields {
        let _ = match value {
            Value::String(text) => write!(line, " {name}={text}"),
            other => write!(line, " {name}={other}"),
        };
    }
    line
}

fn as_json(time: &str, level: Level, Fields(mut fields): Fields) -> Value {
    let severity = match level {
        Level::ERROR => "ERROR",
        Level::WARN => "WARNING",
        Level::INFO => "INFO",
        Level::DEBUG | Level::TRACE => "DEBUG",
    };
    let mut entry = json!({"severity": severity, "time": time, "message": fields.remove("message")});
    let (method, url) = (fields.remove("method"), fields.remove("url"));
    let (status, bytes) = (fields.remove("status"), fields.remove("bytes"));
    if fields.contains_key("latency") {
        let latency = fields.remove("latency").and_then(|latency| latency.as_f64());
        let request = json!({
            "requestMethod": method,
            "requestUrl": url,
            "status": status,
            // A 64-bit number is a string in Google's JSON.
            "responseSize": bytes.map(|bytes| bytes.to_string()),
            "latency": latency.map(|latency| format!("{latency:.6}s")),
        });
        entry["httpRequest"] = Value::Object(
            request.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null()).map(clone).collect(),
        );
    }
    if let Some(check) = fields.remove("check") {
        entry["labels"] = json!({"check": check});
    }
    for (name, value) in fields {
        entry[name] = value;
    }
    entry
}

fn clone((name, value): (&String, &Value)) -> (String, Value) {
    (name.clone(), value.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flag_beats_rust_log_and_json_alone_means_info() {
        let asked = |verbose, level, format| Asked { verbose, level, format };
        for (asked, rust_log, wanted) in [
            (asked(0, None, None), None, None),
            (asked(1, None, None), None, Some("canary_gate=debug,warn")),
            (asked(2, None, None), Some("error"), Some("canary_gate=trace,trace")),
            (asked(2, Some(LogLevel::Warn), None), None, Some("canary_gate=warn,warn")),
            (asked(2, Some(LogLevel::Off), None), Some("trace"), None),
            (asked(0, None, None), Some("canary_gate=debug"), Some("canary_gate=debug")),
            (asked(0, None, Some(LogFormat::Json)), None, Some("canary_gate=info,warn")),
            (asked(0, None, Some(LogFormat::Text)), None, None),
        ] {
            let found = targets(asked, rust_log).unwrap().map(|targets| targets.to_string());
            assert_eq!(found.as_deref(), wanted, "{asked:?} {rust_log:?}");
        }
        assert!(
            targets(asked(0, None, None), Some("a=b=c")).unwrap_err().starts_with("RUST_LOG \"a=b=c\" cannot be read")
        );
    }

    #[test]
    fn a_request_is_an_entry_of_cloud_logging() {
        let fields = json!({
            "method": "GET", "url": "https://a/", "status": 200, "bytes": 30000, "latency": 0.25, "tls": 0.1, "message": "answered a30000"
        });
        let Value::Object(fields) = fields else { panic!() };
        let mut fields = Fields(fields);
        let redactor = Redactor::default();
        for secret in ["30000", "latency", "message"] {
            redactor.hide(secret);
        }
        fields.clean(&redactor);
        let wanted = json!({
            "severity": "DEBUG", "time": "2026-01-01T00:00:00Z", "message": "answered a***", "tls": 0.1,
            "httpRequest": {
                "requestMethod": "GET", "requestUrl": "https://a/", "status": 200, "responseSize": "30000", "latency": "0.250000s"
            }
        });
        assert_eq!(as_json("2026-01-01T00:00:00Z", Level::DEBUG, fields), wanted);
    }
}
