//! Aggregations and function calls.

use std::ops::Range;

use super::Parser;
use crate::promql::ast::{Aggregate, AggregateOp, Call, Expr, ExprKind, Reduction, Type};
use crate::promql::{Error, functions};

impl Parser {
    /// An aggregation, whose name is read; `None` where it is another name.
    pub(super) fn aggregate(&mut self, name: &str, start: usize) -> Result<Option<ExprKind>, Error> {
        let Some(shape) = Shape::of(name) else { return Ok(None) };
        let mut grouping = self.grouping()?;
        self.expect("(")?;
        let args = self.args()?;
        if grouping.is_none() {
            grouping = self.grouping()?;
        }
        let (op, expr) = shape.filled(args, name, start..self.end())?;
        check_type(&expr, Type::Vector, name)?;
        let (without, labels) = grouping.unwrap_or_default();
        Ok(Some(ExprKind::Aggregate(Box::new(Aggregate { op, expr, without, labels }))))
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
        for (arg, wanted) in args.iter().zip(function.args.iter().chain(function.args.last().into_iter().cycle())) {
            check_type(arg, *wanted, name)?;
        }
        Ok(ExprKind::Call(Call { function, args }))
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

/// An aggregation by name, before its parameter is known.
enum Shape {
    Reduce(Reduction),
    /// A number before the vector.
    Number(fn(Expr) -> AggregateOp),
    /// A label's name before the vector.
    Label,
}

impl Shape {
    fn of(name: &str) -> Option<Self> {
        Some(match name {
            "sum" => Self::Reduce(Reduction::Sum),
            "avg" => Self::Reduce(Reduction::Avg),
            "min" => Self::Reduce(Reduction::Min),
            "max" => Self::Reduce(Reduction::Max),
            "count" => Self::Reduce(Reduction::Count),
            "group" => Self::Reduce(Reduction::Group),
            "stddev" => Self::Reduce(Reduction::Stddev),
            "stdvar" => Self::Reduce(Reduction::Stdvar),
            "topk" => Self::Number(AggregateOp::TopK),
            "bottomk" => Self::Number(AggregateOp::BottomK),
            "quantile" => Self::Number(AggregateOp::Quantile),
            "count_values" => Self::Label,
            _ => return None,
        })
    }

    /// The aggregation with its parameter, and the vector.
    fn filled(self, args: Vec<Expr>, name: &str, span: Range<usize>) -> Result<(AggregateOp, Expr), Error> {
        let found = args.len();
        let mut args = args.into_iter();
        match (self, args.next(), args.next(), args.next()) {
            (Self::Reduce(reduction), Some(expr), None, None) => Ok((AggregateOp::Reduce(reduction), expr)),
            (Self::Number(op), Some(param), Some(expr), None) => {
                check_type(&param, Type::Scalar, name)?;
                Ok((op(param), expr))
            }
            (Self::Label, Some(param), Some(expr), None) => match &param.unwrapped().kind {
                ExprKind::String(label) if label.is_empty() => Err(Error::new("a label name is empty", param.span)),
                ExprKind::String(label) => Ok((AggregateOp::CountValues(label.clone()), expr)),
                _ => Err(wrong_type(&param, Type::String, name)),
            },
            (Self::Reduce(_), ..) => Err(Error::new(format!("{name} takes 1 argument, not {found}"), span)),
            _ => Err(Error::new(format!("{name} takes 2 arguments, not {found}"), span)),
        }
    }
}

fn check_type(arg: &Expr, wanted: Type, name: &str) -> Result<(), Error> {
    if arg.value_type() == wanted { Ok(()) } else { Err(wrong_type(arg, wanted, name)) }
}

fn wrong_type(arg: &Expr, wanted: Type, name: &str) -> Error {
    Error::new(format!("{name} wants {wanted} here, and this is {}", arg.value_type()), arg.span.clone())
}
