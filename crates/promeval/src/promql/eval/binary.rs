//! Operators between scalars and vectors, and how the elements of two vectors find each other.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use super::{Element, Evaluator, Value, distinct};
use crate::labels::{Labels, METRIC_NAME};
use crate::promql::Error;
use crate::promql::ast::{Binary, BinaryOp, Group, Matching};

impl Evaluator<'_> {
    pub(super) fn binary(&self, binary: &Binary, time: i64, span: &Range<usize>) -> Result<Value, Error> {
        let (lhs, rhs) = (self.eval(&binary.lhs, time)?, self.eval(&binary.rhs, time)?);
        let elements = match (lhs, rhs) {
            (Value::Scalar(lhs), Value::Scalar(rhs)) => return Ok(Value::Scalar(scalars(binary.op, lhs, rhs))),
            (Value::Vector(lhs), Value::Scalar(rhs)) => {
                let result = |value| (scalars(binary.op, value, rhs), value);
                with_scalar(binary, lhs, result)
            }
            (Value::Scalar(lhs), Value::Vector(rhs)) => {
                let result = |value| (scalars(binary.op, lhs, value), value);
                with_scalar(binary, rhs, result)
            }
            (Value::Vector(lhs), Value::Vector(rhs)) if binary.op.is_set() => sets(binary, lhs, rhs),
            (Value::Vector(lhs), Value::Vector(rhs)) => vectors(binary, lhs, rhs, span)?,
            _ => return Err(Error::new("operators join scalars and instant vectors", span.clone())),
        };
        distinct(elements, span).map(Value::Vector)
    }
}

/// One element of a comparison: what stood on both sides.
#[derive(Clone, Debug, PartialEq)]
pub struct Compared {
    /// What identifies it.
    pub labels: Labels,
    /// The left side.
    pub left: f64,
    /// The right side.
    pub right: f64,
}

/// All elements of a comparison, none filtered away.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Comparison {
    /// What met something to be compared with.
    pub compared: Vec<Compared>,
    /// What met nothing on the other side, which a query would drop without a word.
    pub alone: Vec<Element>,
}

/// Tells what a comparison compares with what.
///
/// # Errors
/// Many-to-many matches, and several elements of the left side that meet one of the right without saying so.
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
                let message = "several elements of the left side meet one of the right: say group_left, or aggregate";
                return Err(Error::new(message, span));
            }
            let one = |pair: Pair| Compared { labels: pair.labels, left: pair.left, right: pair.right };
            Ok(Comparison { compared: pairs.met.into_iter().map(one).collect(), alone: pairs.alone })
        }
        _ => Err(Error::new("a comparison needs an instant vector", span)),
    }
}

/// The result of an operator; of a comparison, 1 or 0.
fn scalars(op: BinaryOp, lhs: f64, rhs: f64) -> f64 {
    match op {
        BinaryOp::Add => lhs + rhs,
        BinaryOp::Sub => lhs - rhs,
        BinaryOp::Mul => lhs * rhs,
        BinaryOp::Div => lhs / rhs,
        BinaryOp::Mod => lhs % rhs,
        BinaryOp::Pow => lhs.powf(rhs),
        BinaryOp::Atan2 => lhs.atan2(rhs),
        BinaryOp::And | BinaryOp::Or | BinaryOp::Unless => f64::NAN,
        comparison => f64::from(u8::from(holds(comparison, lhs, rhs))),
    }
}

/// Whether a comparison holds; with NaN, only `!=` does.
#[must_use]
#[expect(clippy::float_cmp, reason = "that is what the operators mean")]
pub fn holds(op: BinaryOp, lhs: f64, rhs: f64) -> bool {
    match op {
        BinaryOp::Equal => lhs == rhs,
        BinaryOp::NotEqual => lhs != rhs,
        BinaryOp::Less => lhs < rhs,
        BinaryOp::LessOrEqual => lhs <= rhs,
        BinaryOp::Greater => lhs > rhs,
        BinaryOp::GreaterOrEqual => lhs >= rhs,
        _ => false,
    }
}

/// `result` gives what the operator makes of a value, and the value that a filtering comparison keeps.
fn with_scalar(binary: &Binary, elements: Vec<Element>, result: impl Fn(f64) -> (f64, f64)) -> Vec<Element> {
    let filters = binary.op.is_comparison() && !binary.returns_bool;
    let one = |element: Element| {
        let (value, kept) = result(element.value);
        if filters {
            return (value != 0.0).then_some(Element { value: kept, labels: element.labels });
        }
        Some(Element { value, labels: element.labels.without_metric_name() })
    };
    elements.into_iter().filter_map(one).collect()
}

/// The labels by which elements find each other.
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

fn sets(binary: &Binary, lhs: Vec<Element>, rhs: Vec<Element>) -> Vec<Element> {
    let signature = |element: &Element| signature(&binary.matching, &element.labels);
    if binary.op == BinaryOp::Or {
        let left: HashSet<Labels> = lhs.iter().map(signature).collect();
        let added = rhs.into_iter().filter(|element| !left.contains(&signature(element)));
        return lhs.into_iter().chain(added).collect();
    }
    let right: HashSet<Labels> = rhs.iter().map(signature).collect();
    let wanted = binary.op == BinaryOp::And;
    lhs.into_iter().filter(|element| right.contains(&signature(element)) == wanted).collect()
}

fn vectors(binary: &Binary, lhs: Vec<Element>, rhs: Vec<Element>, span: &Range<usize>) -> Result<Vec<Element>, Error> {
    if lhs.is_empty() || rhs.is_empty() {
        return Ok(Vec::new());
    }
    let filters = binary.op.is_comparison() && !binary.returns_bool;
    let pairs = pairs(binary, lhs, rhs, span)?.met;
    let kept = pairs.into_iter().filter(|pair| !filters || holds(binary.op, pair.left, pair.right));
    let mut matched: HashSet<Labels> = HashSet::new();
    let mut results = Vec::new();
    for pair in kept {
        let (unique, message) = match binary.matching.group {
            None => {
                let message =
                    "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)";
                (pair.key, message)
            }
            Some(_) => (pair.labels.clone(), "multiple matches for labels: grouping labels must ensure unique matches"),
        };
        if !matched.insert(unique) {
            return Err(Error::new(format!("{message}: {}", pair.labels), span.clone()));
        }
        let value = if filters { pair.left } else { scalars(binary.op, pair.left, pair.right) };
        results.push(Element { labels: pair.labels, value });
    }
    Ok(results)
}

/// Two elements that found each other.
struct Pair {
    key: Labels,
    labels: Labels,
    left: f64,
    right: f64,
}

/// How the elements of two vectors find each other.
struct Pairs {
    met: Vec<Pair>,
    /// Elements of the side with many that met none.
    alone: Vec<Element>,
}

fn pairs(binary: &Binary, lhs: Vec<Element>, rhs: Vec<Element>, span: &Range<usize>) -> Result<Pairs, Error> {
    let matching = &binary.matching;
    let swapped = matching.group == Some(Group::Right);
    // "one" is the side of which each element may be met several times.
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
    if !binary.op.is_comparison() || binary.returns_bool {
        labels.set(METRIC_NAME, "");
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
