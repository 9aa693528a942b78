//! What an expression asks for and an evaluation cannot see: samples out of its time, selectors that nothing satisfies,
//! counters that are none. Whatever stands around them, an answer from them is no evidence.

use std::cell::RefCell;
use std::collections::HashMap;
use std::time::Duration;

use promeval::labels::Labels;
use promeval::number::format_value;
use promeval::promql::ast::{BinaryOp, Expr, ExprKind, Selector, SetOp};
use promeval::promql::{Compared, Element, Evaluator, Unseen, Value, compare};
use promeval::series::Storage;

use super::bucket_quantiles::untold;
use super::reads::unread;
use super::{Inventory, Shown};
use crate::text;

/// Which samples that an expression reads are out of the evaluation's time; nothing where none is.
pub(super) fn out_of_time(expr: &Expr, storage: &Storage, time: i64) -> Option<String> {
    let unseen = Evaluator::new(storage, time).unseen(expr).unwrap_or_default();
    unseen.last().map(|farthest| shown(farthest, unseen.len(), time))
}

/// Which counter that an expression reads has a value that no counter can have.
pub(super) fn bad_counter(expr: &Expr, inventory: &Inventory) -> Option<String> {
    let selectors = expr.selectors();
    let mut bad = inventory.bad_counters();
    let (name, value) = bad.find(|(name, _)| selectors.iter().any(|selector| selector.wants(name)))?;
    Some(format!("the counter {name} is {}, which no counter can be", format_value(value)))
}

fn shown(unseen: &Unseen<'_>, count: usize, time: i64) -> String {
    let (labels, age) = (unseen.series.labels.to_labels(), unseen.age());
    let series = Shown::of(std::iter::once(&labels)).prefix(&labels);
    let series = series.trim_end();
    let distance = text::duration(Duration::from_millis(age.unsigned_abs()));
    let more = if count > 1 { format!(" (and {} more series)", count - 1) } else { String::new() };
    let back = text::duration(Duration::from_millis((unseen.until - unseen.after).unsigned_abs()));
    if unseen.until < time {
        let before = text::duration(Duration::from_millis((time - unseen.until).unsigned_abs()));
        format!(
            "what is read ends {before} before the evaluation (by an offset, an @ or the steps of a subquery), and {series} has no sample \
             there{more}"
        )
    } else if age > 0 {
        format!("the newest sample of {series} is {distance} old by its timestamp, and {back} are looked back{more}")
    } else {
        format!("the samples of {series} are {distance} ahead by their timestamps{more}")
    }
}

/// A rule that makes series.
pub(crate) struct Made<'r> {
    /// The rule's name.
    pub(crate) name: &'r str,
    /// What it evaluates.
    pub(crate) expr: &'r Expr,
    /// Why it could not be evaluated, if so.
    pub(crate) error: Option<&'r str>,
    /// Whether it is an alert, whose states are asked for; otherwise its series are those of a recording rule.
    pub(crate) is_state: bool,
}

/// What there is to tell whether an expression was seen at all.
pub(crate) struct Evidence<'e> {
    storage: &'e Storage,
    inventory: &'e Inventory,
    /// In milliseconds since the epoch.
    time: i64,
    /// The rules that make the series that a selector asks for; nothing where these come from scrapes.
    rules: &'e dyn Fn(&Selector) -> Option<Vec<Made<'e>>>,
    /// By the expressions of rules: each is looked at once, however many read it.
    sights: RefCell<HashMap<*const Expr, Sight>>,
}

/// What is known of a rule that is read.
#[derive(Clone)]
enum Sight {
    /// It is being looked at: it reads itself, through others or not.
    Open,
    Clear,
    /// Why it can tell nothing.
    Blind(String),
}

impl<'e> Evidence<'e> {
    pub(crate) fn new(
        storage: &'e Storage,
        inventory: &'e Inventory,
        time: i64,
        rules: &'e dyn Fn(&Selector) -> Option<Vec<Made<'e>>>,
    ) -> Self {
        Self { storage, inventory, time, rules, sights: RefCell::default() }
    }

    /// Why it says nothing that an alert has no element: a selector that it needs was never satisfied, a rule that it reads
    /// failed or is blind itself, or what it reads cannot be seen.
    pub(crate) fn blind_spot(&self, expr: &Expr) -> Option<String> {
        match self.sight(expr, true) {
            Sight::Blind(why) => Some(why),
            Sight::Open | Sight::Clear => None,
        }
    }

    /// Why a rule that an expression reads could not be evaluated, or is blind.
    pub(crate) fn broken_rule(&self, expr: &Expr) -> Option<String> {
        let selectors = expr.selectors().into_iter();
        selectors.filter_map(|selector| (self.rules)(selector)).find_map(|made| self.unmade(&made))
    }

    /// Why none of the rules that make a series could.
    fn unmade(&self, made: &[Made<'_>]) -> Option<String> {
        if let Some((name, error)) = made.iter().find_map(|rule| Some((rule.name, rule.error?))) {
            return Some(format!("the rule {name} cannot be evaluated: {error}"));
        }
        if made.is_empty() {
            return Some("no alert of the rules has the labels that are asked for".into());
        }
        let mut first = None;
        for rule in made {
            match self.sight(rule.expr, rule.is_state) {
                Sight::Open => {}
                Sight::Clear => return None,
                Sight::Blind(why) => drop(first.get_or_insert_with(|| format!("of the rule {}: {why}", rule.name))),
            }
        }
        Some(first.unwrap_or_else(|| "the rules that would make it only read one another".into()))
    }

    /// What is known of a rule's expression. Of an alert only the elements count, of a recording rule their values too.
    fn sight(&self, expr: &Expr, is_alert: bool) -> Sight {
        let key = std::ptr::from_ref(expr);
        if let Some(known) = self.sights.borrow().get(&key) {
            return known.clone();
        }
        self.sights.borrow_mut().insert(key, Sight::Open);
        let why = self
            .unsatisfied(expr)
            .or_else(|| self.incomparable(expr))
            .or_else(|| unread(expr, self.storage, self.inventory, self.time))
            .or_else(|| out_of_time(expr, self.storage, self.time))
            .or_else(|| bad_counter(expr, self.inventory))
            .or_else(|| untold(expr, self.storage, self.time, |unbounded| self.is_told(expr, is_alert, unbounded)));
        let sight = why.map_or(Sight::Clear, Sight::Blind);
        self.sights.borrow_mut().insert(key, sight.clone());
        sight
    }

    /// Whether an evaluation comes to the same as the evidence's own.
    fn is_told(&self, expr: &Expr, is_alert: bool, other: &Evaluator<'_>) -> bool {
        let found = [&Evaluator::new(self.storage, self.time), other].map(|evaluator| match evaluator.value(expr) {
            Ok(Value::Vector(elements)) => elements,
            Ok(Value::Scalar(value)) => vec![Element { labels: Labels::default(), value }],
            _ => Vec::new(),
        });
        let bits = |element: &Element| if is_alert { 0 } else { element.value.to_bits() };
        let alike = |(own, other): (&Element, &Element)| own.labels == other.labels && bits(own) == bits(other);
        found[0].len() == found[1].len() && found[0].iter().zip(&found[1]).all(alike)
    }

    fn check(&self, selector: &Selector) -> Option<String> {
        let satisfied = || self.storage.series().any(|series| selector.matches(&series.labels));
        if let Some(made) = (self.rules)(selector) {
            if let Some(why) = self.unmade(&made) {
                return Some(why);
            }
            // Alerts and filters give series only when there is something to tell.
            if satisfied() || made.iter().any(|rule| rule.is_state || filters(rule.expr)) {
                return None;
            }
            let name = selector.metric_name()?;
            let any = self.storage.named(name).next().is_some();
            return any.then(|| format!("the rule {name} gives no series with the labels that are asked for"));
        }
        if satisfied() {
            return None;
        }
        match selector.metric_name() {
            // Declared, and nothing has happened yet: that is known.
            Some(name) if self.inventory.is_untouched(name) => None,
            _ => Some(
                self.inventory.absence(selector, self.storage).unwrap_or_else(|| "no series was ever selected".into()),
            ),
        }
    }

    /// Why a comparison that decides the expression compares nothing but what is not a number.
    fn incomparable(&self, expr: &Expr) -> Option<String> {
        let ExprKind::Binary(binary) = &expr.unwrapped().kind else { return None };
        match binary.op {
            BinaryOp::Compare(..) => {
                let evaluator = Evaluator::new(self.storage, self.time);
                let sides = evaluator.value(&binary.lhs).and_then(|lhs| Ok((lhs, evaluator.value(&binary.rhs)?)));
                let compared = sides.and_then(|(lhs, rhs)| compare(binary, lhs, rhs)).ok()?.compared;
                let is_nan = |element: &Compared| element.left.is_nan() || element.right.is_nan();
                (!compared.is_empty() && compared.iter().all(is_nan))
                    .then(|| "what it compares is NaN (0/0, or a quantile of nothing): nothing happened that it could tell of".into())
            }
            BinaryOp::Set(SetOp::Unless) => self.incomparable(&binary.lhs),
            BinaryOp::Set(SetOp::And) => self.incomparable(&binary.lhs).or_else(|| self.incomparable(&binary.rhs)),
            BinaryOp::Set(SetOp::Or) => {
                self.incomparable(&binary.lhs).and_then(|why| self.incomparable(&binary.rhs).map(|_| why))
            }
            BinaryOp::Arithmetic(_) => None,
        }
    }

    /// Why a selector without which the expression cannot tell anything was never satisfied.
    fn unsatisfied(&self, expr: &Expr) -> Option<String> {
        match &expr.kind {
            ExprKind::Selector(selector) | ExprKind::Matrix(selector, _) => self.check(selector),
            ExprKind::Binary(binary) => {
                let left = || self.unsatisfied(&binary.lhs);
                let right = || self.unsatisfied(&binary.rhs);
                match binary.op {
                    // What is taken away need not be there.
                    BinaryOp::Set(SetOp::Unless) => left(),
                    // Of two names for one thing, one is enough; of two conditions, each must be seen.
                    BinaryOp::Set(SetOp::Or) if !(compares(&binary.lhs) && compares(&binary.rhs)) => {
                        // A constant is no other name for it.
                        let is_constant = |side: &Expr| side.selectors().is_empty();
                        match (is_constant(&binary.lhs), is_constant(&binary.rhs)) {
                            (true, _) => right(),
                            (false, true) => left(),
                            (false, false) => left().and_then(|why| right().map(|_| why)),
                        }
                    }
                    _ => left().or_else(right),
                }
            }
            // What is asked to be absent need not be there.
            ExprKind::Call(call) if call.name().starts_with("absent") => None,
            _ => expr.children().into_iter().find_map(|child| self.unsatisfied(child)),
        }
    }
}

fn compares(expr: &Expr) -> bool {
    let own = matches!(&expr.kind, ExprKind::Binary(binary) if matches!(binary.op, BinaryOp::Compare(..)));
    own || expr.children().into_iter().any(compares)
}

/// Whether an expression may have no element although all that it reads is there.
fn filters(expr: &Expr) -> bool {
    let own = match &expr.kind {
        ExprKind::Binary(binary) => match binary.op {
            BinaryOp::Compare(..) => !binary.returns_bool,
            BinaryOp::Set(op) => op != SetOp::Or,
            BinaryOp::Arithmetic(_) => false,
        },
        ExprKind::Call(call) => call.name().starts_with("absent"),
        _ => false,
    };
    own || expr.children().into_iter().any(filters)
}
