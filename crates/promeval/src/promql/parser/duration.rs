//! Durations: ranges, steps and offsets, and the arithmetic inside them.

use super::Parser;
use crate::promql::Error;
use crate::promql::ast::{ArithmeticOp, BinaryOp};
use crate::promql::duration::{Duration, DurationExpr, DurationKind, QueryRange, Role};
use crate::promql::lexer::Token;
use crate::promql::operators::POWER;
use crate::series::milliseconds;

/// The longest duration that Prometheus counts, in seconds.
const LONGEST: f64 = 9_223_372_036.0;

impl Parser {
    /// What stands in brackets: an expression of durations, or of numbers of seconds.
    pub(super) fn duration(&mut self, role: Role, wanted: &str) -> Result<Duration, Error> {
        let expr = self.duration_expr(0, wanted)?;
        known(expr, role)
    }

    /// What follows `offset`. An operator after it is one between vectors, as in `a offset 5m + b`, unless the offset begins
    /// with a parenthesis: then Prometheus reads on, and `a offset (5m) * 2` goes 10 minutes back.
    pub(super) fn offset(&mut self) -> Result<Duration, Error> {
        const WANTED: &str = "a duration such as 5m";
        let expr = if matches!(self.peek(), Token::Symbol("(")) {
            self.duration_expr(0, WANTED)?
        } else {
            self.signed(Self::duration_primary, WANTED)?
        };
        known(expr, Role::Offset)
    }

    fn duration_expr(&mut self, least: u8, wanted: &str) -> Result<DurationExpr, Error> {
        self.descend()?;
        let mut lhs = self.signed(Self::duration_power, wanted)?;
        while let Some(op) = self.duration_operator().filter(|op| BinaryOp::Arithmetic(*op).precedence() >= least) {
            self.count_operator()?;
            self.next();
            let rhs = self.duration_expr(BinaryOp::Arithmetic(op).precedence() + 1, wanted)?;
            lhs = arithmetic(op, lhs, rhs);
        }
        self.ascend();
        Ok(lhs)
    }

    /// A power binds more tightly than a sign, and groups from the right.
    fn duration_power(&mut self, wanted: &str) -> Result<DurationExpr, Error> {
        let lhs = self.duration_primary(wanted)?;
        if self.duration_operator() != Some(ArithmeticOp::Pow) {
            return Ok(lhs);
        }
        self.count_operator()?;
        self.next();
        let rhs = self.duration_expr(POWER, wanted)?;
        Ok(arithmetic(ArithmeticOp::Pow, lhs, rhs))
    }

    fn duration_operator(&self) -> Option<ArithmeticOp> {
        let Token::Symbol(symbol) = self.peek() else { return None };
        match BinaryOp::of(symbol) {
            Some(BinaryOp::Arithmetic(op)) => Some(op),
            _ => None,
        }
    }

    fn signed(
        &mut self,
        operand: impl Fn(&mut Self, &str) -> Result<DurationExpr, Error>,
        wanted: &str,
    ) -> Result<DurationExpr, Error> {
        let start = self.place().start;
        let mut negative = false;
        let mut signed = false;
        while let Token::Symbol(sign @ ("-" | "+")) = *self.peek() {
            self.next();
            negative ^= sign == "-";
            signed = true;
        }
        let mut expr = operand(self, wanted)?;
        if negative {
            let span = start..expr.span.end;
            expr = DurationExpr { kind: DurationKind::Negate(Box::new(expr)), span };
        } else if signed {
            expr.span.start = start;
        }
        Ok(expr)
    }

    fn duration_primary(&mut self, wanted: &str) -> Result<DurationExpr, Error> {
        let start = self.place().start;
        let error = self.unexpected(wanted);
        let (token, place) = self.next();
        let kind = match token {
            #[expect(clippy::cast_precision_loss, reason = "durations are far below 2^53")]
            Token::Duration(milliseconds) => DurationKind::Seconds(milliseconds as f64 / 1000.0),
            Token::Number(seconds) if seconds.abs() <= LONGEST => DurationKind::Seconds(seconds),
            Token::Number(_) => return Err(Error::new("the duration is too long", place)),
            Token::Symbol("(") => {
                let inner = self.duration_expr(0, wanted)?;
                self.expect(")")?;
                inner.kind
            }
            Token::Ident(word) => self.duration_word(&word.to_ascii_lowercase(), error)?,
            _ => return Err(error),
        };
        Ok(DurationExpr { kind, span: start..self.end() })
    }

    /// `step()`, `range()`, `min_of(a, b)` or `max_of(a, b)`, whose name is read.
    fn duration_word(&mut self, word: &str, error: Error) -> Result<DurationKind, Error> {
        type Choice = fn(Box<DurationExpr>, Box<DurationExpr>) -> DurationKind;
        let choice: Choice = match word {
            "step" | "range" => {
                self.expect("(")?;
                self.expect(")")?;
                return Ok(if word == "step" { DurationKind::Step } else { DurationKind::Range });
            }
            "min_of" => DurationKind::MinOf,
            "max_of" => DurationKind::MaxOf,
            _ => return Err(error),
        };
        self.expect("(")?;
        let first = self.duration_expr(0, "a duration such as 5m")?;
        self.expect(",")?;
        let second = self.duration_expr(0, "a duration such as 5m")?;
        self.expect(")")?;
        Ok(choice(Box::new(first), Box::new(second)))
    }
}

fn arithmetic(op: ArithmeticOp, lhs: DurationExpr, rhs: DurationExpr) -> DurationExpr {
    let span = lhs.span.start..rhs.span.end;
    DurationExpr { kind: DurationKind::Arithmetic(op, Box::new(lhs), Box::new(rhs)), span }
}

/// Calculates what the query's range does not change.
fn known(expr: DurationExpr, role: Role) -> Result<Duration, Error> {
    if expr.depends_on_query() {
        return Ok(Duration::OfQuery(Box::new(expr)));
    }
    let fixed = expr.milliseconds(&QueryRange::instant(0), role)?;
    // A number alone is rounded to milliseconds; a calculation was cut to them.
    let literal = match expr.kind {
        DurationKind::Seconds(seconds) => Some(seconds),
        DurationKind::Negate(inner) => match inner.kind {
            DurationKind::Seconds(seconds) => Some(-seconds),
            _ => None,
        },
        _ => None,
    };
    Ok(Duration::Fixed(literal.map_or(fixed, milliseconds)))
}
