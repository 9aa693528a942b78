//! Quantiles that their buckets do not tell, as a server is asked for them: beyond the highest bound, or of buckets that fall.

use std::collections::BTreeSet;

use promeval::labels::Labels;
use promeval::promql::{Element, Expr, Value};

use super::{Asked, PrometheusApi, part};
use crate::check::context::AskError;
use crate::check::metrics::rules::elements;
use crate::judge::{beyond_bounds, buckets_of, falling, unbounded};
use crate::outcome::ThresholdVerdict;
use crate::plan::{Rule, ThresholdExpr};

impl PrometheusApi<'_> {
    /// Why what a threshold says is no evidence, because buckets do not tell the quantiles that it reads.
    ///
    /// # Errors
    /// Why the server could not be asked.
    pub(super) async fn untold(&self, index: usize, asked: &Asked, time: i64) -> Result<Option<String>, AskError> {
        let rule = &self.metrics.thresholds[index].rule;
        if let Some(why) = self.falling(rule.expr(), rule.source(), time).await? {
            return Ok(Some(why));
        }
        match (rule, asked) {
            (Rule::Holds(comparison), Asked::Comparison(decision, _)) if decision.verdict == ThresholdVerdict::Pass => {
                self.untold_comparison(comparison, time).await
            }
            (Rule::Silent(alert), _) => self.untold_alert(&alert.expr, &alert.source, time).await,
            (Rule::Holds(_), _) => Ok(None),
        }
    }

    async fn untold_comparison(&self, comparison: &ThresholdExpr, time: i64) -> Result<Option<String>, AskError> {
        let (parts, source) = (comparison.parts(), &comparison.source);
        let sides = [&parts.lhs, &parts.rhs].map(|side| (unbounded(side, source), side));
        if sides.iter().all(|(unbounded, _)| unbounded.is_none()) {
            return Ok(None);
        }
        let sides = sides.map(|(unbounded, side)| unbounded.unwrap_or_else(|| part(source, side).to_owned()));
        let (decision, _) = self.decide(parts, &sides, (time, None)).await?;
        Ok((decision.verdict != ThresholdVerdict::Pass).then(|| beyond_bounds(None)))
    }

    async fn untold_alert(&self, expr: &Expr, source: &str, time: i64) -> Result<Option<String>, AskError> {
        let Some(unbounded) = unbounded(expr, source) else { return Ok(None) };
        let mut found = Vec::new();
        for text in [source, &unbounded] {
            let labels = |elements: Vec<Element>| elements.into_iter().map(|element| element.labels).collect();
            let value = match self.query(text, time, None).await.0 {
                Ok(value) => elements(value),
                Err(error) => Err(error.told()?),
            };
            found.push(value.map(labels));
        }
        let found: Vec<Result<BTreeSet<Labels>, String>> = found;
        Ok((found[0] != found[1]).then(|| beyond_bounds(None)))
    }

    /// Which buckets that an expression reads are not cumulative.
    ///
    /// # Errors
    /// Why the server could not be asked.
    async fn falling(&self, expr: &Expr, source: &str, time: i64) -> Result<Option<String>, AskError> {
        for buckets in buckets_of(expr) {
            match self.query(part(source, buckets), time, None).await.0 {
                Ok(Value::Vector(elements)) => {
                    if let Some(why) = falling(buckets, elements) {
                        return Ok(Some(why));
                    }
                }
                Ok(_) => {}
                Err(error) => drop(error.told()?),
            }
        }
        Ok(None)
    }
}
