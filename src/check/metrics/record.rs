//! What of the scrapes is kept, so that thresholds can be judged again: whole texts where they are small, and otherwise the
//! lines of the metrics that anything reads. Pure.

use std::collections::BTreeSet;

use promeval::exposition::Format;
use promeval::promql::Expr;
use promeval::promql::ast::Selector;

use super::scrape::Scraped;
use crate::check::context::AskError;
use crate::outcome::{Round, Scrape, ScrapeFormat, Side, SideSeen};
use crate::plan::{Metrics, RuleStep};

/// The texts of a whole window are kept as they are up to so many bytes.
const WHOLE: usize = 6 * 1024 * 1024;

/// The endings that the samples of a family add to its name.
const ENDINGS: [&str; 5] = ["_total", "_bucket", "_count", "_sum", "_created"];

/// What is read of scrapes, by metric.
pub(super) struct Reads {
    /// Names, with and without the endings of samples.
    names: BTreeSet<String>,
    /// Selectors that name no metric.
    patterns: Vec<Selector>,
}

impl Reads {
    pub(super) fn new(metrics: &Metrics) -> Self {
        let mut reads = Self { names: BTreeSet::new(), patterns: Vec::new() };
        let thresholds = metrics.thresholds.iter().map(|threshold| threshold.rule.expr());
        let records = metrics.rules.iter().filter_map(|step| match step {
            RuleStep::Record(record) => Some(&record.expr),
            RuleStep::Alert(_) => None,
        });
        let exprs: Vec<&Expr> = thresholds.chain(records).collect();
        for selector in exprs.iter().flat_map(|expr| expr.selectors()) {
            match selector.metric_name() {
                Some(name) => reads.read(name),
                None => reads.patterns.push(selector.clone()),
            }
        }
        for name in metrics.require.iter().chain([&metrics.instance]) {
            reads.read(name);
        }
        reads
    }

    fn read(&mut self, name: &str) {
        self.names.insert(name.to_owned());
        self.names.insert(base(name).to_owned());
    }

    fn wants(&self, name: &str) -> bool {
        self.names.contains(name)
            || self.names.contains(base(name))
            || self.patterns.iter().any(|selector| selector.wants(name))
    }

    /// The name of something that is read and whose lines were not kept; nothing where all were.
    pub(super) fn lacks(&self, kept: &[String], made: impl Fn(&str) -> bool) -> Option<String> {
        let known: BTreeSet<&str> = kept.iter().map(|name| &**name).collect();
        if !self.patterns.is_empty() {
            return Some("metrics by a pattern".into());
        }
        let is_kept = |name: &str| known.contains(name) || known.contains(base(name));
        self.names.iter().find(|name| !is_kept(name) && !made(name)).cloned()
    }

    /// The lines of a text that are read, and those that declare families.
    fn of(&self, text: &str) -> String {
        let mut kept = String::new();
        let (mut before, mut is_wanted) = ("", false);
        for line in text.split_inclusive('\n') {
            let is_kept = if line.starts_with('#') {
                !line.trim_start_matches(['#', ' ', '\t']).starts_with("HELP")
            } else if line.starts_with('{') {
                // A quoted name; there are few.
                true
            } else {
                let name = line.split(['{', ' ', '\t', '\n', '\r']).next().unwrap_or_default();
                if name != before {
                    (before, is_wanted) = (name, self.wants(name));
                }
                is_wanted
            };
            if is_kept {
                kept.push_str(line);
            }
        }
        kept
    }
}

fn base(name: &str) -> &str {
    ENDINGS.iter().find_map(|ending| name.strip_suffix(ending)).unwrap_or(name)
}

/// Keeps the scrapes of one check.
pub(super) struct Recording {
    reads: Reads,
    scrapes: usize,
    /// Whether texts are kept whole: the first scrape decides, since a series must not end where others begin.
    is_whole: Option<bool>,
}

impl Recording {
    pub(super) fn new(metrics: &Metrics) -> Self {
        let scrapes = metrics.window.map_or(1, |window| window.scrapes());
        let scrapes = usize::try_from(scrapes).unwrap_or(usize::MAX);
        Self { reads: Reads::new(metrics), scrapes, is_whole: None }
    }

    /// What is kept of a round of scrapes.
    pub(super) fn round(&mut self, time: i64, scraped: &[(Side, Result<Scraped, AskError>)]) -> Round {
        let bytes: usize = scraped.iter().filter_map(|(_, scraped)| Some(scraped.as_ref().ok()?.body.len())).sum();
        let is_whole = match self.is_whole {
            None if bytes > 0 => *self.is_whole.insert(bytes.saturating_mul(self.scrapes) <= WHOLE),
            known => known.unwrap_or(true),
        };
        let kept = |scraped: &Scraped| {
            let text = String::from_utf8_lossy(&scraped.body);
            Scrape {
                at: scraped.at,
                format: scraped.format.map(|format| match format {
                    Format::Prometheus => ScrapeFormat::Prometheus,
                    Format::OpenMetrics => ScrapeFormat::OpenMetrics,
                }),
                text: if is_whole { text.into_owned() } else { self.reads.of(&text) },
            }
        };
        let sides = scraped
            .iter()
            .map(|(side, scraped)| SideSeen { side: *side, scrape: scraped.as_ref().ok().map(kept) })
            .collect();
        Round { time, sides }
    }

    /// The metrics whose lines were kept; nothing where all were.
    pub(super) fn kept(&self) -> Option<Vec<String>> {
        (self.is_whole == Some(false)).then(|| self.reads.names.iter().cloned().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_large_scrape_only_what_is_read_is_kept() {
        let names = ["errors_total", "errors", "lag"].map(str::to_owned).into();
        let reads = Reads { names, patterns: Vec::new() };
        let text = "# HELP errors x\n# TYPE errors counter\nerrors_total{a=\"1\"} 1\nerrors_created 5\nother 2\n\
                    # TYPE lag histogram\nlag_bucket{le=\"1\"} 2\nlag_sum 3\nlagging 4\n{\"q.x\"} 5\n# EOF\n";
        let wanted = "# TYPE errors counter\nerrors_total{a=\"1\"} 1\nerrors_created 5\n\
                      # TYPE lag histogram\nlag_bucket{le=\"1\"} 2\nlag_sum 3\n{\"q.x\"} 5\n# EOF\n";
        assert_eq!(reads.of(text), wanted);
        let kept = ["errors_total", "errors"].map(str::to_owned);
        assert_eq!(reads.lacks(&kept, |_| false).as_deref(), Some("lag"));
        assert_eq!(reads.lacks(&kept, |name| name == "lag"), None);
    }
}
