//! The command with which a person sees what was not good: `curl` for a request, `canary-gate query` for a threshold. Secrets
//! are references in it, as the checks file has them.

use promeval::labels::METRIC_NAME;
use promeval::promql::Expr;
use promeval::promql::ast::{ExprKind, Type};

use super::context::Finding;
use super::metrics::is_made_by_a_rule;
use crate::http::{Client, Header, Request};
use crate::outcome::{Observation, Seen, Status};
use crate::plan::{CheckSpec, Kind, Metrics, MetricsSource, Plan, Rule, Threshold};
use crate::text;

/// A body that is longer is left for the person to write.
const LONGEST_BODY: usize = 1000;

/// Labels that only the gate's own scrapes have.
const OF_A_SCRAPE: [&str; 3] = ["job", "instance", "target"];

/// Adds to everything that is not good the command that shows it, where there is one.
pub(super) fn add(finding: &mut Finding, plan: &Plan, spec: &CheckSpec, client: &Client) {
    if is_good(finding.status) && finding.observations.iter().all(|observation| is_good(observation.status)) {
        return;
    }
    let asking = Asking { plan, client };
    match &spec.kind {
        Kind::Ready(ready) => asking.requests(finding, &[Request::get(&ready.path)]),
        Kind::Http(check) => asking.requests(finding, std::slice::from_ref(&check.request)),
        Kind::Smoke(smoke) => {
            let page = smoke.page.iter().map(Request::get);
            let requests: Vec<Request> =
                smoke.requests.iter().map(|(request, _)| request.clone()).chain(page).collect();
            asking.requests(finding, &requests);
        }
        Kind::Metrics(metrics) => asking.metrics(finding, metrics),
        // What so many requests measured no single one shows.
        Kind::Traffic(_) => {}
    }
}

fn is_good(status: Status) -> bool {
    matches!(status, Status::Pass | Status::Skipped)
}

struct Asking<'p> {
    plan: &'p Plan,
    client: &'p Client,
}

impl Asking<'_> {
    fn requests(&self, finding: &mut Finding, requests: &[Request]) {
        for observation in &mut finding.observations {
            if observation.seen == Seen::Request && !is_good(observation.status) {
                let request = requests.iter().find(|request| self.client.shown(request) == observation.name);
                observation.reproduce = request.and_then(|request| self.curl(request));
            }
        }
    }

    fn metrics(&self, finding: &mut Finding, metrics: &Metrics) {
        if finding.observations.is_empty() && matches!(metrics.source, MetricsSource::Scrape) {
            // The scrape itself: it is what the check's own line tells of.
            let name = self.client.shown(&metrics.request);
            let mut scrape = Observation::new(Seen::Request, name, finding.status, &finding.detail);
            scrape.reproduce = self.curl(&metrics.request);
            scrape.is_quoted = true;
            finding.observations.push(scrape);
        }
        let seen = finding.observations.iter_mut().filter(|observation| observation.threshold().is_some());
        for (observation, threshold) in seen.zip(&metrics.thresholds).filter(|(seen, _)| !is_good(seen.status)) {
            observation.reproduce = self.query(metrics, threshold);
        }
    }

    fn curl(&self, request: &Request) -> Option<String> {
        let mut words = vec!["curl -sS -i".to_owned()];
        if request.method != "GET" {
            words.push(format!("-X {}", text::shell(&request.method)));
        }
        for header in self.plan.headers.iter().chain(&request.headers) {
            words.push(format!("-H {}", expanded(header)?));
        }
        words.extend(self.client.signs().then(|| format!("-H \"Authorization: Bearer {TOKEN}\"")));
        match request.body.as_deref().map(String::from_utf8_lossy) {
            None => {}
            Some(body) if body.len() > LONGEST_BODY || body.contains('\n') => words.push("--data-binary @BODY".into()),
            Some(body) => words.push(format!("--data-binary {}", text::shell(&body))),
        }
        words.push(text::shell(self.client.address().at(&request.path).as_str()));
        Some(words.join(" "))
    }

    fn query(&self, metrics: &Metrics, threshold: &Threshold) -> Option<String> {
        let expr = threshold.rule.expr();
        let asks_a_server = matches!(metrics.source, MetricsSource::Prometheus(..));
        if !asks_a_server && !is_plain(metrics, expr) {
            return None;
        }
        let mut words = vec!["canary-gate query".to_owned(), text::shell(&on_one_line(side(&threshold.rule))?)];
        let file = self.plan.file.as_ref().map(|file| format!("--checks {}", text::shell(file)));
        if asks_a_server {
            words.push(file?);
            return Some(words.join(" "));
        }
        if let Some(file) = file {
            words.extend([file, format!("--url {}", text::shell(self.client.address().shown()))]);
        } else {
            for header in self.plan.headers.iter().chain(&metrics.request.headers) {
                words.push(format!("--header {}", text::shell(&format!("{}: {}", header.name(), header.written()?))));
            }
            words.push(format!("--url {}", text::shell(self.client.address().at(&metrics.request.path).as_str())));
        }
        if let Some(window) = metrics.window {
            let length = humantime::format_duration(window.length).to_string().replace(' ', "");
            words.push(format!("--window {length}"));
        }
        if self.client.signs() {
            words.insert(0, format!("ID_TOKEN=\"{TOKEN}\""));
            words.push("--header 'Authorization: Bearer env:ID_TOKEN'".into());
        }
        Some(words.join(" "))
    }
}

/// A token of the person who asks.
const TOKEN: &str = "$(gcloud auth print-identity-token)";

/// Whether a scrape by hand has what an expression reads: no series of rules, no labels that the gate adds.
fn is_plain(metrics: &Metrics, expr: &Expr) -> bool {
    let added = |label: &str| {
        OF_A_SCRAPE.contains(&label) || metrics.labels.iter().any(|(name, _)| name == label && name != METRIC_NAME)
    };
    let selectors = expr.selectors();
    metrics.baseline.is_none()
        && selectors.iter().all(|selector| {
            !selector.matchers.iter().any(|matcher| added(&matcher.label)) && !is_made_by_a_rule(metrics, selector)
        })
}

/// What of a threshold shows the value: the side that is not its limit; of an alert, all of it.
fn side(rule: &Rule) -> &str {
    let Rule::Holds(comparison) = rule else { return rule.source() };
    let parts = comparison.parts();
    let is_limit =
        |side: &Expr| side.value_type() == Type::Scalar || matches!(side.unwrapped().kind, ExprKind::Number(_));
    let side = if is_limit(&parts.lhs) { &parts.rhs } else { &parts.lhs };
    comparison.source.get(side.span.clone()).unwrap_or(&comparison.source)
}

/// An expression without its line feeds; nothing where a comment may end at one.
fn on_one_line(expression: &str) -> Option<String> {
    let has_lines = expression.contains('\n');
    let lines = || expression.lines().map(str::trim).collect::<Vec<_>>().join(" ");
    match (has_lines, expression.contains('#')) {
        (false, _) => Some(expression.to_owned()),
        (true, false) => Some(lines()),
        (true, true) => None,
    }
}

/// A header as a word of the shell, which looks its reference up; nothing for a secret that no reference leads to.
fn expanded(header: &Header) -> Option<String> {
    let written = header.written()?;
    let (scheme, last) = written.rsplit_once(' ').map_or(("", written), |(scheme, last)| (scheme, last));
    let looked_up = match last.split_once(':') {
        Some(("env", variable)) if header.is_secret() => format!("${{{variable}}}"),
        Some(("file", path)) if header.is_secret() => format!("$(cat {})", text::shell(path)),
        _ => return Some(text::shell(&format!("{}: {written}", header.name()))),
    };
    let blank = if scheme.is_empty() { "" } else { " " };
    let mut quoted = String::new();
    for c in scheme.chars() {
        if matches!(c, '"' | '\\' | '$' | '`') {
            quoted.push('\\');
        }
        quoted.push(c);
    }
    Some(format!("\"{}: {quoted}{blank}{looked_up}\"", header.name()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::ThresholdExpr;

    #[test]
    fn the_side_with_the_value_is_what_is_asked_for() {
        for (source, wanted) in [
            ("sum(f) <= 2", "sum(f)"),
            ("2 >= sum(f)", "sum(f)"),
            ("((sum(f) or vector(0)) <= 2)", "(sum(f) or vector(0))"),
            ("a < on(x) b", "a"),
            ("rate(a[5m]) > -0.5", "rate(a[5m])"),
        ] {
            let rule = Rule::Holds(ThresholdExpr::parse(source).unwrap());
            assert_eq!(side(&rule), wanted);
        }
        assert_eq!(on_one_line("a\n  + b").as_deref(), Some("a + b"));
        assert_eq!(on_one_line("a # why\n + b"), None);
    }

    #[test]
    fn a_secret_is_a_reference_in_a_command() {
        let secret = |written: &str| Header::secret("Authorization", "t0ken").written_as(written);
        for (header, wanted) in [
            (Header::plain("X-Team", "it's blue"), Some("'X-Team: it'\\''s blue'")),
            (secret("env:TOKEN"), Some("\"Authorization: ${TOKEN}\"")),
            (secret("Bearer env:TOKEN"), Some("\"Authorization: Bearer ${TOKEN}\"")),
            (secret("`id` env:T"), Some("\"Authorization: \\`id\\` ${T}\"")),
            (secret("file:/run/t"), Some("\"Authorization: $(cat /run/t)\"")),
            (Header::secret("Authorization", "t0ken"), None),
        ] {
            assert_eq!(expanded(&header).as_deref(), wanted);
        }
    }
}
