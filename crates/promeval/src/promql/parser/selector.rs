//! Selectors and what follows them: matchers, ranges, subqueries, offsets and `@`.

use std::ops::Range;

use super::Parser;
use crate::Pattern;
use crate::labels::{METRIC_NAME, is_legacy_label};
use crate::promql::Error;
use crate::promql::ast::{At, Duration, Expr, ExprKind, Matcher, Selector, Shift, Subquery, Test, Type};
use crate::promql::duration::Role;
use crate::promql::lexer::Token;
use crate::series::milliseconds;

/// Prometheus's default evaluation interval: the step of a subquery that names none.
const DEFAULT_STEP: i64 = 60_000;

impl Parser {
    /// `[range]` or `[range:step]`; the bracket is read.
    pub(super) fn bracket(&mut self, expr: Expr, start: usize) -> Result<Expr, Error> {
        let range = self.duration(Role::Range, "a range such as 5m")?;
        let span = expr.span.start..start;
        if !self.eat(":") {
            self.expect("]")?;
            return match expr.kind {
                ExprKind::Selector(selector) if selector.shift != Shift::default() => {
                    Err(Error::new("offset and @ go after the range", span))
                }
                ExprKind::Selector(selector) => Ok(Expr { kind: ExprKind::Matrix(selector, range), span }),
                _ => Err(Error::new("a range goes after a selector; a subquery is written [range:step]", span)),
            };
        }
        let without_step = matches!(self.peek(), Token::Symbol("]"));
        let step =
            if without_step { Duration::Fixed(DEFAULT_STEP) } else { self.duration(Role::Step, "a step such as 1m")? };
        self.expect("]")?;
        if expr.value_type() != Type::Vector {
            let message = format!("a subquery needs an instant vector, and this is {}", expr.value_type());
            return Err(Error::new(message, span));
        }
        let shift = Shift::default();
        Ok(Expr { kind: ExprKind::Subquery(Box::new(Subquery { expr, range, step, shift })), span })
    }

    pub(super) fn at_time(&mut self) -> Result<At, Error> {
        if let Some(at) = match self.keyword().as_deref() {
            Some("start") => Some(At::Start),
            Some("end") => Some(At::End),
            _ => None,
        } {
            self.next();
            self.expect("(")?;
            self.expect(")")?;
            return Ok(at);
        }
        let negative = self.eat("-");
        if !negative {
            self.eat("+");
        }
        let error = self.unexpected("a time in seconds, start() or end()");
        let (token, place) = self.next();
        let seconds = match token {
            Token::Number(seconds) => seconds,
            #[expect(clippy::cast_precision_loss, reason = "durations are far below 2^53")]
            Token::Duration(milliseconds) => milliseconds as f64 / 1000.0,
            _ => return Err(error),
        };
        if !seconds.is_finite() || seconds.abs() > 9e15 {
            return Err(Error::new("the time of @ is out of range", place));
        }
        Ok(At::Time(milliseconds(if negative { -seconds } else { seconds })))
    }

    /// The matchers after an opening brace.
    pub(super) fn selector(&mut self, name: Option<String>, start: usize) -> Result<Selector, Error> {
        let mut matchers: Vec<Matcher> = name.into_iter().map(name_matcher).collect();
        let named_before = !matchers.is_empty();
        loop {
            if self.eat("}") {
                break;
            }
            let place = self.place();
            let error = self.unexpected("a label name or \"}\"");
            let label = match self.next().0 {
                Token::Ident(label) if is_legacy_label(&label) => label,
                Token::String(name) if matches!(self.peek(), Token::Symbol("," | "}")) => {
                    if matchers.iter().any(|matcher| matcher.label == METRIC_NAME) {
                        return Err(Error::new("the metric name must not be set twice", place));
                    }
                    matchers.push(name_matcher(name));
                    self.end_of_matcher()?;
                    continue;
                }
                Token::String(label) if !label.is_empty() => label,
                _ => return Err(error),
            };
            if label == METRIC_NAME && named_before {
                return Err(Error::new("the metric name must not be set twice", place));
            }
            matchers.push(self.matcher(label)?);
            self.end_of_matcher()?;
        }
        if matchers.iter().all(|matcher| matcher.test.holds("")) {
            let message = "a selector needs at least one matcher that the empty value does not satisfy";
            return Err(Error::new(message, start..self.end()));
        }
        Ok(Selector { matchers, shift: Shift::default() })
    }

    pub(super) fn end_of_matcher(&mut self) -> Result<(), Error> {
        if self.eat(",") || matches!(self.peek(), Token::Symbol("}")) {
            Ok(())
        } else {
            Err(self.unexpected("\",\" or \"}\""))
        }
    }

    pub(super) fn matcher(&mut self, label: String) -> Result<Matcher, Error> {
        let wanted = self.unexpected("=, !=, =~ or !~");
        let Token::Symbol(op) = self.next().0 else {
            return Err(wanted);
        };
        let error = self.unexpected("a string in quotes");
        let (token, place) = self.next();
        let Token::String(value) = token else { return Err(error) };
        let pattern = |value: &str| Pattern::new(value).map_err(|message| Error::new(message, place.clone()));
        let test = match op {
            "=" => Test::Equal(value),
            "!=" => Test::NotEqual(value),
            "=~" => Test::Matches(pattern(&value)?),
            "!~" => Test::DoesNotMatch(pattern(&value)?),
            _ => return Err(wanted),
        };
        Ok(Matcher { label, test })
    }
}

pub(super) fn named(name: String) -> ExprKind {
    ExprKind::Selector(Selector { matchers: vec![name_matcher(name)], shift: Shift::default() })
}

pub(super) fn name_matcher(name: String) -> Matcher {
    Matcher { label: METRIC_NAME.into(), test: Test::Equal(name) }
}

pub(super) fn shift_of<'e>(expr: &'e mut Expr, word: &str, place: &Range<usize>) -> Result<&'e mut Shift, Error> {
    match &mut expr.kind {
        ExprKind::Selector(selector) | ExprKind::Matrix(selector, _) => Ok(&mut selector.shift),
        ExprKind::Subquery(subquery) => Ok(&mut subquery.shift),
        _ => Err(Error::new(format!("{word} is allowed only after a selector or a subquery"), place.clone())),
    }
}
