//! Aggregations and function calls.

use std::ops::Range;

use super::Parser;
use crate::promql::ast::{Aggregate, AggregateOp, Expr, ExprKind, Type};
use crate::promql::{Error, functions};

impl Parser {
    pub(super) fn aggregate(&mut self, op: AggregateOp, name: &str, start: usize) -> Result<ExprKind, Error> {
        let mut grouping = self.grouping()?;
        self.expect("(")?;
        let mut args = self.args()?;
        if grouping.is_none() {
            grouping = self.grouping()?;
        }
        let span = start..self.end();
        let wanted = 1 + usize::from(op.param().is_some());
        if args.len() != wanted {
            let message =
                format!("{name} takes {wanted} argument{}, not {}", if wanted == 1 { "" } else { "s" }, args.len());
            return Err(Error::new(message, span));
        }
        let Some(expr) = args.pop() else {
            return Err(Error::new(format!("{name} needs an argument"), span));
        };
        let param = args.pop();
        for (arg, wanted) in [(Some(&expr), Some(Type::Vector)), (param.as_ref(), op.param())] {
            check_type(arg.zip(wanted), name)?;
        }
        let (without, labels) = grouping.unwrap_or_default();
        Ok(ExprKind::Aggregate(Box::new(Aggregate { op, param, expr, without, labels })))
    }

    /// `by (…)` or `without (…)`; true for without.
    pub(super) fn grouping(&mut self) -> Result<Option<(bool, Vec<String>)>, Error> {
        let without = match self.keyword().as_deref() {
            Some("by") => false,
            Some("without") => true,
            _ => return Ok(None),
        };
        self.next();
        Ok(Some((without, self.label_list()?)))
    }

    pub(super) fn call(&mut self, name: &str, place: Range<usize>) -> Result<ExprKind, Error> {
        let function = functions::find(name).map_err(|message| Error::new(message, place.clone()))?;
        self.expect("(")?;
        let args = self.args()?;
        let (least, most) = (function.args.len() - function.optional, function.args.len());
        if args.len() < least || (args.len() > most && !function.repeats) {
            let wanted = match (least, most) {
                _ if function.repeats => format!("at least {least}"),
                (least, most) if least < most => format!("{least} or {most}"),
                _ => least.to_string(),
            };
            let message =
                format!("{name} takes {wanted} argument{}, not {}", if wanted == "1" { "" } else { "s" }, args.len());
            return Err(Error::new(message, place.start..self.end()));
        }
        for (index, arg) in args.iter().enumerate() {
            let wanted = function.args.get(index).or(function.args.last()).copied();
            check_type(Some(arg).zip(wanted), name)?;
        }
        Ok(ExprKind::Call(function, args))
    }

    /// Arguments up to and with the closing parenthesis.
    pub(super) fn args(&mut self) -> Result<Vec<Expr>, Error> {
        let mut args = Vec::new();
        if self.eat(")") {
            return Ok(args);
        }
        loop {
            args.push(self.expr(0)?);
            if self.eat(")") {
                return Ok(args);
            }
            if !self.eat(",") {
                return Err(self.unexpected("\",\" or \")\""));
            }
        }
    }
}

fn check_type(arg: Option<(&Expr, Type)>, name: &str) -> Result<(), Error> {
    let Some((arg, wanted)) = arg else { return Ok(()) };
    let found = arg.value_type();
    if found == wanted {
        return Ok(());
    }
    Err(Error::new(format!("{name} wants {wanted} here, and this is {found}"), arg.span.clone()))
}
