//! Operators between scalars and vectors, and how the elements of two vectors are matched.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use foldhash::fast::RandomState;

use super::label_set::LabelSet;
use super::texts::Texts;
use super::{Element, Evaluation, Found, Item, Value};
use crate::labels::Labels;
use crate::promql::Error;
use crate::promql::ast::{Binary, BinaryOp, Group, Matching, SetOp};
use crate::promql::duration::QueryRange;
use crate::series::Storage;
use crate::symbols::Symbol;

/// What an operator makes of a left and a right value, and of the value that a filter would keep; nothing where the
/// comparison filters the element away.
type Combine<'c> = &'c dyn Fn(f64, f64, f64) -> Option<f64>;

impl<'s> Evaluation<'s> {
    pub(super) fn binary(&mut self, binary: &Binary, time: i64, span: &Range<usize>) -> Result<Found<'s>, Error> {
        match binary.op {
            BinaryOp::Set(op) => {
                let (lhs, rhs) = (self.vector(&binary.lhs, time)?, self.vector(&binary.rhs, time)?);
                let labels = MatchedLabels::new(&binary.matching, &mut self.texts);
                self.distinct(sets(op, &labels, lhs, rhs), span).map(Found::Vector)
            }
            BinaryOp::Arithmetic(op) => self.combine(binary, time, span, &|lhs, rhs, _| Some(op.apply(lhs, rhs))),
            BinaryOp::Compare(op) if binary.returns_bool => {
                self.combine(binary, time, span, &|lhs, rhs, _| Some(f64::from(op.holds(lhs, rhs))))
            }
            BinaryOp::Compare(op) => {
                self.combine(binary, time, span, &|lhs, rhs, kept| op.holds(lhs, rhs).then_some(kept))
            }
        }
    }

    fn combine(
        &mut self,
        binary: &Binary,
        time: i64,
        span: &Range<usize>,
        combine: Combine,
    ) -> Result<Found<'s>, Error> {
        let items = match (self.eval(&binary.lhs, time)?, self.eval(&binary.rhs, time)?) {
            (Found::Scalar(lhs), Found::Scalar(rhs)) => {
                let value = combine(lhs, rhs, lhs);
                let filtered = || Error::new("comparisons between scalars must use bool", span.clone());
                return value.map(Found::Scalar).ok_or_else(filtered);
            }
            (Found::Vector(lhs), Found::Scalar(rhs)) => {
                self.with_scalar(binary, lhs, span, |value| combine(value, rhs, value))?
            }
            (Found::Scalar(lhs), Found::Vector(rhs)) => {
                self.with_scalar(binary, rhs, span, |value| combine(lhs, value, value))?
            }
            (Found::Vector(lhs), Found::Vector(rhs)) => {
                let combined = self.vectors(binary, lhs, rhs, span, combine)?;
                self.distinct(combined, span)?
            }
            _ => return Err(Error::new("operators take scalars and instant vectors", span.clone())),
        };
        Ok(Found::Vector(items))
    }

    fn with_scalar(
        &self,
        binary: &Binary,
        mut items: Vec<Item<'s>>,
        span: &Range<usize>,
        result: impl Fn(f64) -> Option<f64>,
    ) -> Result<Vec<Item<'s>>, Error> {
        items.retain_mut(|item| result(item.value).map(|value| item.value = value).is_some());
        if filters(binary) { Ok(items) } else { self.nameless(items, span) }
    }

    fn vectors(
        &mut self,
        binary: &Binary,
        lhs: Vec<Item<'s>>,
        rhs: Vec<Item<'s>>,
        span: &Range<usize>,
        combine: Combine,
    ) -> Result<Vec<Item<'s>>, Error> {
        if lhs.is_empty() || rhs.is_empty() {
            return Ok(Vec::new());
        }
        let mut matched: HashSet<(LabelSet, Option<LabelSet>), RandomState> = HashSet::default();
        let mut results = Vec::new();
        for pair in self.pairs(binary, lhs, rhs, span)?.met {
            let (unique, message) = if binary.matching.group.is_none() {
                let message =
                    "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)";
                ((pair.key, None), message)
            } else {
                let message = "multiple matches for labels: grouping labels must ensure unique matches";
                ((pair.key, Some(pair.labels.clone())), message)
            };
            if !matched.insert(unique) {
                return Err(Error::new(format!("{message}: {}", self.shown(&pair.labels)), span.clone()));
            }
            // After the check: what a comparison filters away must match as uniquely as what it keeps.
            if let Some(value) = combine(pair.left, pair.right, pair.left) {
                results.push(Item { labels: pair.labels, value });
            }
        }
        Ok(results)
    }

    fn pairs(
        &mut self,
        binary: &Binary,
        lhs: Vec<Item<'s>>,
        rhs: Vec<Item<'s>>,
        span: &Range<usize>,
    ) -> Result<Pairs<'s>, Error> {
        let matching = &binary.matching;
        let matched = MatchedLabels::new(matching, &mut self.texts);
        let include = self.texts.symbols(&matching.include);
        let swapped = matching.group == Some(Group::Right);
        // "one" is the side whose elements may be matched several times.
        let (many, one) = if swapped { (rhs, lhs) } else { (lhs, rhs) };
        let mut ones: HashMap<LabelSet, &Item, RandomState> = HashMap::default();
        for item in &one {
            let key = matched.of(&item.labels);
            if let Some(other) = ones.insert(key.clone(), item) {
                let side = if swapped { "left" } else { "right" };
                let [key, other, labels] = [&key, &other.labels, &item.labels].map(|labels| self.shown(labels));
                let message = format!(
                    "found duplicate series for the match group {key} on the {side} hand-side of the operation: \
                     [{other}, {labels}]; many-to-many matching not allowed: matching labels must be unique on one side"
                );
                return Err(Error::new(message, span.clone()));
            }
        }
        let mut pairs = Pairs { met: Vec::new(), alone: Vec::new() };
        for item in many {
            let key = matched.of(&item.labels);
            let Some(other) = ones.get(&key) else {
                pairs.alone.push(item);
                continue;
            };
            let (left, right) = if swapped { (other.value, item.value) } else { (item.value, other.value) };
            let mut labels = item.labels;
            if !filters(binary) {
                labels = labels.without_metric_name(&self.texts);
            }
            if matching.group.is_none() {
                labels = if matching.on { labels.only(&matched.names) } else { labels.without(&matched.names) };
            }
            for label in &include {
                self.texts.set(&mut labels, *label, other.labels.value_of(*label));
            }
            pairs.met.push(Pair { key, labels, left, right });
        }
        Ok(pairs)
    }
}

/// One element of a comparison: what stood on both sides.
#[derive(Clone, Debug, PartialEq)]
pub struct Compared {
    /// The labels that the comparison gives it.
    pub labels: Labels,
    /// The value on the left of the operator.
    pub left: f64,
    /// The value on the right of the operator.
    pub right: f64,
}

/// All elements of a comparison, none filtered away.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Comparison {
    /// The elements that found a counterpart.
    pub compared: Vec<Compared>,
    /// The elements that found none; a query drops them silently.
    pub alone: Vec<Element>,
}

/// Pairs the elements that a comparison compares.
///
/// # Errors
/// Many-to-many matches, and several elements on the left that match one on the right without `group_left`.
pub fn compare(binary: &Binary, lhs: Value, rhs: Value) -> Result<Comparison, Error> {
    let span = binary.lhs.span.start..binary.rhs.span.end;
    let with = |elements: Vec<Element>, sides: &dyn Fn(f64) -> (f64, f64)| {
        let one = |element: Element| {
            let (left, right) = sides(element.value);
            Compared { labels: element.labels, left, right }
        };
        Comparison { compared: elements.into_iter().map(one).collect(), alone: Vec::new() }
    };
    match (lhs, rhs) {
        (Value::Vector(lhs), Value::Scalar(rhs)) => Ok(with(lhs, &|value| (value, rhs))),
        (Value::Scalar(lhs), Value::Vector(rhs)) => Ok(with(rhs, &|value| (lhs, value))),
        (Value::Vector(lhs), Value::Vector(rhs)) => {
            let storage = Storage::default();
            let mut evaluation = Evaluation::new(&storage, QueryRange::instant(0));
            let mut items = |elements: Vec<Element>| -> Vec<Item> {
                let one = |Element { labels, value }| Item { labels: evaluation.texts.label_set(&labels), value };
                elements.into_iter().map(one).collect()
            };
            let (lhs, rhs) = (items(lhs), items(rhs));
            let pairs = evaluation.pairs(binary, lhs, rhs, &span)?;
            let mut keys: HashSet<&LabelSet, RandomState> = HashSet::default();
            let unique = pairs.met.iter().all(|pair| binary.matching.group.is_some() || keys.insert(&pair.key));
            if !unique {
                let message = "several elements on the left side match one on the right: use group_left, or aggregate";
                return Err(Error::new(message, span));
            }
            let texts = &mut evaluation.texts;
            let one = |pair: Pair| Compared { labels: texts.labels(&pair.labels), left: pair.left, right: pair.right };
            let compared = pairs.met.into_iter().map(one).collect();
            let one = |item: Item| Element { labels: texts.labels(&item.labels), value: item.value };
            Ok(Comparison { compared, alone: pairs.alone.into_iter().map(one).collect() })
        }
        _ => Err(Error::new("a comparison needs an instant vector", span)),
    }
}

/// Whether a comparison holds; an operator that does not compare never does.
#[must_use]
pub fn holds(op: BinaryOp, lhs: f64, rhs: f64) -> bool {
    matches!(op, BinaryOp::Compare(op) if op.holds(lhs, rhs))
}

/// Whether the operator keeps or drops elements instead of giving new values.
fn filters(binary: &Binary) -> bool {
    binary.op.is_comparison() && !binary.returns_bool
}

/// The labels by which elements are matched.
struct MatchedLabels {
    on: bool,
    names: Vec<Symbol>,
}

impl MatchedLabels {
    fn new(matching: &Matching, texts: &mut Texts) -> Self {
        Self { on: matching.on, names: texts.symbols(&matching.labels) }
    }

    fn of<'s>(&self, labels: &LabelSet<'s>) -> LabelSet<'s> {
        let labels = labels.clone();
        if self.on { labels.only(&self.names) } else { labels.without(&self.names).without(&[Symbol::METRIC_NAME]) }
    }
}

fn sets<'s>(op: SetOp, matched: &MatchedLabels, lhs: Vec<Item<'s>>, rhs: Vec<Item<'s>>) -> Vec<Item<'s>> {
    let keys = |items: &[Item<'s>]| -> HashSet<LabelSet<'s>, RandomState> {
        items.iter().map(|item| matched.of(&item.labels)).collect()
    };
    let wanted = match op {
        SetOp::Or => {
            let left = keys(&lhs);
            let added = rhs.into_iter().filter(|item| !left.contains(&matched.of(&item.labels)));
            return lhs.into_iter().chain(added).collect();
        }
        SetOp::And => true,
        SetOp::Unless => false,
    };
    let right = keys(&rhs);
    lhs.into_iter().filter(|item| right.contains(&matched.of(&item.labels)) == wanted).collect()
}

/// Two matched elements.
struct Pair<'s> {
    key: LabelSet<'s>,
    labels: LabelSet<'s>,
    left: f64,
    right: f64,
}

/// How the elements of two vectors are matched.
struct Pairs<'s> {
    met: Vec<Pair<'s>>,
    /// Elements of the many side without a counterpart.
    alone: Vec<Item<'s>>,
}
