//! Operators between scalars and vectors, and how the elements of two vectors are matched.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use super::{Element, Evaluator, Value, distinct};
use crate::labels::{Labels, METRIC_NAME};
use crate::promql::Error;
use crate::promql::ast::{Binary, BinaryOp, Group, Matching, SetOp};

/// What an operator makes of a left and a right value, and of the value that a filter would keep; nothing where the
/// comparison filters the element away.
type Combine<'c> = &'c dyn Fn(f64, f64, f64) -> Option<f64>;

impl Evaluator<'_> {
    pub(super) fn binary(&self, binary: &Binary, time: i64, span: &Range<usize>) -> Result<Value, Error> {
        match binary.op {
            BinaryOp::Set(op) => {
                let (lhs, rhs) = (self.vector(&binary.lhs, time)?, self.vector(&binary.rhs, time)?);
                distinct(sets(op, &binary.matching, lhs, rhs), span).map(Value::Vector)
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

    fn combine(&self, binary: &Binary, time: i64, span: &Range<usize>, combine: Combine) -> Result<Value, Error> {
        let elements = match (self.eval(&binary.lhs, time)?, self.eval(&binary.rhs, time)?) {
            (Value::Scalar(lhs), Value::Scalar(rhs)) => {
                let value = combine(lhs, rhs, lhs);
                let filtered = || Error::new("comparisons between scalars must use bool", span.clone());
                return value.map(Value::Scalar).ok_or_else(filtered);
            }
            (Value::Vector(lhs), Value::Scalar(rhs)) => with_scalar(binary, lhs, |value| combine(value, rhs, value)),
            (Value::Scalar(lhs), Value::Vector(rhs)) => with_scalar(binary, rhs, |value| combine(lhs, value, value)),
            (Value::Vector(lhs), Value::Vector(rhs)) => vectors(binary, lhs, rhs, span, combine)?,
            _ => return Err(Error::new("operators take scalars and instant vectors", span.clone())),
        };
        distinct(elements, span).map(Value::Vector)
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
            let pairs = pairs(binary, lhs, rhs, &span)?;
            let mut keys = HashSet::new();
            let unique = pairs.met.iter().all(|pair| binary.matching.group.is_some() || keys.insert(&pair.key));
            if !unique {
                let message = "several elements on the left side match one on the right: use group_left, or aggregate";
                return Err(Error::new(message, span));
            }
            let one = |pair: Pair| Compared { labels: pair.labels, left: pair.left, right: pair.right };
            Ok(Comparison { compared: pairs.met.into_iter().map(one).collect(), alone: pairs.alone })
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

fn with_scalar(binary: &Binary, elements: Vec<Element>, result: impl Fn(f64) -> Option<f64>) -> Vec<Element> {
    let one = |element: Element| {
        let value = result(element.value)?;
        let labels = if filters(binary) { element.labels } else { element.labels.without_metric_name() };
        Some(Element { labels, value })
    };
    elements.into_iter().filter_map(one).collect()
}

/// The labels by which elements are matched.
fn signature(matching: &Matching, labels: &Labels) -> Labels {
    let mut labels = labels.clone();
    if matching.on {
        labels.keep(&matching.labels);
    } else {
        labels.remove(&matching.labels);
        labels.set(METRIC_NAME, "");
    }
    labels
}

fn sets(op: SetOp, matching: &Matching, lhs: Vec<Element>, rhs: Vec<Element>) -> Vec<Element> {
    let signature = |element: &Element| signature(matching, &element.labels);
    let wanted = match op {
        SetOp::Or => {
            let left: HashSet<Labels> = lhs.iter().map(signature).collect();
            let added = rhs.into_iter().filter(|element| !left.contains(&signature(element)));
            return lhs.into_iter().chain(added).collect();
        }
        SetOp::And => true,
        SetOp::Unless => false,
    };
    let right: HashSet<Labels> = rhs.iter().map(signature).collect();
    lhs.into_iter().filter(|element| right.contains(&signature(element)) == wanted).collect()
}

fn vectors(
    binary: &Binary,
    lhs: Vec<Element>,
    rhs: Vec<Element>,
    span: &Range<usize>,
    combine: Combine,
) -> Result<Vec<Element>, Error> {
    if lhs.is_empty() || rhs.is_empty() {
        return Ok(Vec::new());
    }
    let mut matched: HashSet<(Labels, Option<Labels>)> = HashSet::new();
    let mut results = Vec::new();
    for pair in pairs(binary, lhs, rhs, span)?.met {
        let (unique, message) = if binary.matching.group.is_none() {
            let message = "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)";
            ((pair.key, None), message)
        } else {
            let message = "multiple matches for labels: grouping labels must ensure unique matches";
            ((pair.key, Some(pair.labels.clone())), message)
        };
        if !matched.insert(unique) {
            return Err(Error::new(format!("{message}: {}", pair.labels), span.clone()));
        }
        // After the check: what a comparison filters away must match as uniquely as what it keeps.
        if let Some(value) = combine(pair.left, pair.right, pair.left) {
            results.push(Element { labels: pair.labels, value });
        }
    }
    Ok(results)
}

/// Two matched elements.
struct Pair {
    key: Labels,
    labels: Labels,
    left: f64,
    right: f64,
}

/// How the elements of two vectors are matched.
struct Pairs {
    met: Vec<Pair>,
    /// Elements of the many side without a counterpart.
    alone: Vec<Element>,
}

fn pairs(binary: &Binary, lhs: Vec<Element>, rhs: Vec<Element>, span: &Range<usize>) -> Result<Pairs, Error> {
    let matching = &binary.matching;
    let swapped = matching.group == Some(Group::Right);
    // "one" is the side whose elements may be matched several times.
    let (many, one) = if swapped { (rhs, lhs) } else { (lhs, rhs) };
    let mut ones: HashMap<Labels, &Element> = HashMap::new();
    for element in &one {
        let key = signature(matching, &element.labels);
        if let Some(other) = ones.insert(key.clone(), element) {
            let side = if swapped { "left" } else { "right" };
            let message = format!(
                "found duplicate series for the match group {key} on the {side} hand-side of the operation: [{}, {}]; \
                 many-to-many matching not allowed: matching labels must be unique on one side",
                other.labels, element.labels
            );
            return Err(Error::new(message, span.clone()));
        }
    }
    let mut pairs = Pairs { met: Vec::new(), alone: Vec::new() };
    for element in many {
        let key = signature(matching, &element.labels);
        let Some(other) = ones.get(&key) else {
            pairs.alone.push(element);
            continue;
        };
        let (left, right) = if swapped { (other.value, element.value) } else { (element.value, other.value) };
        let labels = result_labels(binary, element.labels, &other.labels);
        pairs.met.push(Pair { key, labels, left, right });
    }
    Ok(pairs)
}

fn result_labels(binary: &Binary, mut labels: Labels, one: &Labels) -> Labels {
    let matching = &binary.matching;
    if !filters(binary) {
        labels.drop_metric_name();
    }
    if matching.group.is_none() {
        if matching.on {
            labels.keep(&matching.labels);
        } else {
            labels.remove(&matching.labels);
        }
    }
    for label in &matching.include {
        labels.set(label, one.get(label));
    }
    labels
}
