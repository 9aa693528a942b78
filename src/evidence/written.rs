//! A plan as it is written: the checks file, the flags, and every file that the checks file names; and as it was meant.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::outcome::{Diagnostic, Severity};
use crate::plan::{CheckSpec, Compare, Kind, Lookup, Metrics, Plan, PlanInput, Traffic, code};
use crate::text::Redactor;

/// A plan as it is written.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Written {
    /// The checks file: its name and its text.
    file: Option<(String, String)>,
    timeout: Option<String>,
    window: Option<String>,
    /// Whether `--traffic` was given.
    #[serde(default)]
    traffic: bool,
    thresholds: Vec<String>,
    warnings: Vec<String>,
    /// The files that the checks file names, by their paths.
    texts: BTreeMap<String, String>,
    /// What is in folders that it looks into.
    names: BTreeMap<String, Vec<String>>,
    /// What it means, for people.
    meant: Value,
    /// Whether something of it was masked: it may not mean the same any more.
    masked: bool,
    /// Whether a report was asked for that draws how thresholds went over a window; nothing where that was not kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    drawn: Option<bool>,
}

/// Looks references up, and notes what files were read on the way; values behind references are not kept.
pub(crate) struct Noting<'l> {
    lookup: &'l dyn Lookup,
    texts: RefCell<BTreeMap<String, String>>,
    names: RefCell<BTreeMap<String, Vec<String>>>,
}

impl<'l> Noting<'l> {
    pub(crate) fn new(lookup: &'l dyn Lookup) -> Self {
        Self { lookup, texts: RefCell::default(), names: RefCell::default() }
    }

    /// What was read, with what it was read for.
    pub(crate) fn written(self, input: PlanInput, plan: &Plan) -> Written {
        let PlanInput { file, timeout, window, traffic, thresholds, warnings } = input;
        Written {
            file,
            timeout,
            window,
            traffic,
            thresholds,
            warnings,
            texts: self.texts.into_inner(),
            names: self.names.into_inner(),
            meant: meant(plan),
            masked: false,
            drawn: None,
        }
    }
}

impl Lookup for Noting<'_> {
    fn env(&self, name: &str) -> Result<String, String> {
        self.lookup.env(name)
    }

    fn file(&self, path: &str) -> Result<String, String> {
        self.lookup.file(path)
    }

    fn text(&self, path: &Path) -> Result<String, Diagnostic> {
        let text = self.lookup.text(path)?;
        self.texts.borrow_mut().insert(path.display().to_string(), text.clone());
        Ok(text)
    }

    fn names(&self, folder: &Path) -> Vec<String> {
        let names = self.lookup.names(folder);
        self.names.borrow_mut().insert(folder.display().to_string(), names.clone());
        names
    }
}

/// What was read, read again: no file is opened, and every reference leads somewhere.
impl Lookup for Written {
    fn env(&self, _name: &str) -> Result<String, String> {
        Ok("secret".into())
    }

    fn file(&self, _path: &str) -> Result<String, String> {
        Ok("secret".into())
    }

    fn text(&self, path: &Path) -> Result<String, Diagnostic> {
        let path = path.display().to_string();
        let missing = || Diagnostic::new(code::FILE, None, "the evidence does not hold it").in_file(&path);
        self.texts.get(&path).cloned().ok_or_else(missing)
    }

    fn names(&self, folder: &Path) -> Vec<String> {
        self.names.get(&folder.display().to_string()).cloned().unwrap_or_default()
    }
}

impl Written {
    /// Notes whether a report was asked for that draws how thresholds went over a window.
    pub(crate) fn drawn(self, drawn: bool) -> Self {
        Self { drawn: Some(drawn), ..self }
    }

    /// Whether nobody asked the run for such a report, so that one that is made of its evidence need not be like another.
    pub(crate) fn is_undrawn(&self) -> bool {
        self.drawn == Some(false)
    }

    /// The plan.
    ///
    /// # Errors
    /// Why there is none any more.
    pub(crate) fn plan(&self) -> Result<Plan, String> {
        if self.masked {
            return Err("it held a secret, which was masked".into());
        }
        let Self { file, timeout, window, traffic, thresholds, warnings, .. } = self.clone();
        let plan = PlanInput { file, timeout, window, traffic, thresholds, warnings }.plan(self);
        plan.map_err(|mistakes| mistakes.first().map_or_else(String::new, ToString::to_string))
    }

    /// The same without secrets.
    pub(super) fn redacted(mut self, redactor: &Redactor) -> Self {
        let mut masked = false;
        let mut clean = |text: &mut String| {
            let cleaned = redactor.clean(text);
            masked |= cleaned != *text;
            *text = cleaned;
        };
        if let Some((name, text)) = &mut self.file {
            clean(name);
            clean(text);
        }
        self.timeout.iter_mut().chain(&mut self.window).for_each(&mut clean);
        self.thresholds.iter_mut().chain(&mut self.warnings).for_each(&mut clean);
        self.names.values_mut().flatten().for_each(&mut clean);
        let keys = |mut path: String| {
            clean(&mut path);
            path
        };
        let (texts, names) = (std::mem::take(&mut self.texts), std::mem::take(&mut self.names));
        let mut keys = keys;
        self.texts = texts.into_iter().map(|(path, text)| (keys(path), keys(text))).collect();
        self.names = names.into_iter().map(|(folder, names)| (keys(folder), names)).collect();
        clean_json(&mut self.meant, redactor);
        Self { masked, ..self }
    }
}

/// Takes the secrets out of the texts of a value; keys are the gate's own words.
pub(super) fn clean_json(value: &mut Value, redactor: &Redactor) {
    match value {
        Value::String(text) => *text = redactor.clean(text),
        Value::Array(items) => items.iter_mut().for_each(|item| clean_json(item, redactor)),
        Value::Object(members) => members.values_mut().for_each(|member| clean_json(member, redactor)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// A plan with everything that was left to its defaults.
fn meant(plan: &Plan) -> Value {
    let seconds = |duration: std::time::Duration| duration.as_secs_f64();
    let check = |spec: &CheckSpec| {
        let mut check = json!({
            "name": spec.name,
            "enabled": spec.policy.enabled,
            "blocking": spec.policy.severity == Severity::Block,
            "limit_s": seconds(spec.policy.limit),
            "request_s": seconds(spec.policy.request.time),
            "retries": spec.policy.retry.retries,
        });
        match &spec.kind {
            Kind::Ready(ready) => check["path"] = json!(ready.path),
            Kind::Http(http) => {
                check["path"] = json!(http.request.path);
                check["status"] = json!(http.expect.status);
            }
            Kind::Metrics(metrics) => check["metrics"] = metrics_meant(metrics),
            Kind::Smoke(smoke) => {
                let paths: Vec<&str> = smoke.requests.iter().map(|(request, _)| &*request.path).collect();
                check["paths"] = json!(paths);
                check["page"] = json!(smoke.page);
            }
            Kind::Traffic(traffic) => check["traffic"] = traffic_meant(traffic),
        }
        check
    };
    json!({"limit_s": seconds(plan.timeout), "checks": plan.checks.iter().map(check).collect::<Vec<Value>>()})
}

fn traffic_meant(traffic: &Traffic) -> Value {
    let paths: Vec<&str> = traffic.requests.iter().map(|request| &*request.request.path).collect();
    let compare = match traffic.compare {
        Compare::Off => "off",
        Compare::Auto(_) => "auto",
        Compare::On(_) => "on",
    };
    json!({
        "paths": paths,
        "rate": traffic.rate,
        "duration_s": traffic.duration.as_secs_f64(),
        "warm_up_s": traffic.warm_up.as_secs_f64(),
        "compare": compare,
        "min_difference_s": traffic.min_difference.as_secs_f64(),
        "errors": traffic.limits.errors,
        "p95_s": traffic.limits.p95.map(|limit| limit.as_secs_f64()),
        "first_answer_s": traffic.limits.first_answer.map(|limit| limit.as_secs_f64()),
        "thresholds": thresholds_meant(&traffic.judged),
    })
}

fn metrics_meant(metrics: &Metrics) -> Value {
    json!({
        "path": metrics.request.path,
        "require": metrics.require,
        "thresholds": thresholds_meant(metrics),
        "window_s": metrics.window.map(|window| window.length.as_secs_f64()),
        "interval_s": metrics.window.map(|window| window.interval.as_secs_f64()),
        "instance": metrics.instance,
        "labels": metrics.labels,
        "honor_timestamps": metrics.honor_timestamps,
    })
}

fn thresholds_meant(metrics: &Metrics) -> Vec<Value> {
    let threshold = |threshold: &crate::plan::Threshold| {
        json!({
            "name": threshold.label(),
            "expr": threshold.rule.source(),
            "blocking": threshold.severity == Severity::Block,
            "no_data": threshold.on_no_data.status(),
        })
    };
    metrics.thresholds.iter().map(threshold).collect()
}
