//! Words to a well-typed tree.
//!
//! Precedence, from the tightest: `^` (right to left), unary minus, `* / % atan2`, `+ -`, comparisons, `and unless`, `or`.

mod call;
mod duration;
mod matching;
mod selector;

use std::ops::Range;

use super::Error;
use super::ast::{Binary, BinaryOp, Expr, ExprKind, Type};
use super::lexer::{Token, tokens};
use super::operators::POWER;
use super::refused;
use selector::{named, shift_of};

/// How deep expressions may be nested: far over what people write, far under what the stack holds.
const DEPTH: usize = 100;

/// How many binary operators an expression may have: a chain of them is as deep a tree as it is long.
const OPERATORS: usize = 500;

/// Parses an expression and checks its types.
///
/// # Errors
/// What is wrong and where.
pub fn parse(source: &str) -> Result<Expr, Error> {
    let mut parser = Parser { tokens: tokens(source)?, at: 0, depth: 0, operators: 0 };
    if *parser.peek() == Token::End {
        return Err(Error::new("the expression is empty", 0..source.len()));
    }
    let expr = parser.expr(0)?;
    match parser.peek() {
        Token::End => Ok(expr),
        _ => Err(parser.unexpected("an operator or the end")),
    }
}

struct Parser {
    tokens: Vec<(Token, Range<usize>)>,
    at: usize,
    depth: usize,
    operators: usize,
}

impl Parser {
    fn peek(&self) -> &Token {
        &self.tokens[self.at].0
    }

    fn place(&self) -> Range<usize> {
        self.tokens[self.at].1.clone()
    }

    /// Where the word before ends.
    fn end(&self) -> usize {
        self.at.checked_sub(1).map_or(0, |before| self.tokens[before].1.end)
    }

    fn next(&mut self) -> (Token, Range<usize>) {
        let token = self.tokens[self.at].clone();
        // The end stays the last word.
        self.at = (self.at + 1).min(self.tokens.len() - 1);
        token
    }

    fn eat(&mut self, symbol: &str) -> bool {
        let found = matches!(self.peek(), Token::Symbol(other) if *other == symbol);
        if found {
            self.next();
        }
        found
    }

    fn expect(&mut self, symbol: &str) -> Result<(), Error> {
        if self.eat(symbol) { Ok(()) } else { Err(self.unexpected(&format!("{symbol:?}"))) }
    }

    /// The next word in lower case if it is a name: keywords are the same in any case.
    fn keyword(&self) -> Option<String> {
        match self.peek() {
            Token::Ident(word) => Some(word.to_ascii_lowercase()),
            _ => None,
        }
    }

    fn eat_keyword(&mut self, keyword: &str) -> bool {
        let found = self.keyword().as_deref() == Some(keyword);
        if found {
            self.next();
        }
        found
    }

    fn unexpected(&self, wanted: &str) -> Error {
        let found = match self.peek() {
            Token::End => "end of the expression".into(),
            Token::Ident(word) => format!("{word:?}"),
            Token::Number(_) => "number".into(),
            Token::Duration(_) => "duration".into(),
            Token::String(_) => "string".into(),
            Token::Symbol(symbol) => format!("{symbol:?}"),
        };
        Error::new(format!("unexpected {found}, want {wanted}"), self.place())
    }

    fn expr(&mut self, weakest: u8) -> Result<Expr, Error> {
        self.descend()?;
        let mut lhs = self.unary()?;
        while let Some(op) = self.binary_op().filter(|op| op.precedence() >= weakest) {
            let place = self.place();
            self.count_operator()?;
            self.next();
            self.refuse_trim(op, &place)?;
            lhs = self.binary(lhs, op, place)?;
        }
        self.ascend();
        Ok(lhs)
    }

    fn descend(&mut self) -> Result<(), Error> {
        self.depth += 1;
        if self.depth > DEPTH {
            return Err(Error::new(format!("the expression is nested more than {DEPTH} levels deep"), self.place()));
        }
        Ok(())
    }

    fn ascend(&mut self) {
        self.depth -= 1;
    }

    fn count_operator(&mut self) -> Result<(), Error> {
        self.operators += 1;
        if self.operators > OPERATORS {
            let message = format!("the expression has more than {OPERATORS} operators");
            return Err(Error::new(message, self.place()));
        }
        Ok(())
    }

    fn binary_op(&self) -> Option<BinaryOp> {
        match self.peek() {
            Token::Symbol(symbol) => BinaryOp::of(symbol),
            Token::Ident(word) => BinaryOp::of(&word.to_ascii_lowercase()),
            _ => None,
        }
    }

    fn binary(&mut self, lhs: Expr, op: BinaryOp, place: Range<usize>) -> Result<Expr, Error> {
        let returns_bool = self.eat_keyword("bool");
        if returns_bool && !op.is_comparison() {
            return Err(Error::new("bool is allowed only after a comparison", place));
        }
        let matching_start = self.at;
        let matching = self.matching(op)?;
        let matching_given = self.at > matching_start;
        let precedence = op.precedence();
        let rhs = self.expr(if precedence == POWER { precedence } else { precedence + 1 })?;
        for side in [&lhs, &rhs] {
            let found = side.value_type();
            if !matches!(found, Type::Scalar | Type::Vector) {
                let message = format!("{} takes scalars and instant vectors, and this is {found}", op.symbol());
                return Err(Error::new(message, side.span.clone()));
            }
        }
        let scalars = [&lhs, &rhs].map(|side| side.value_type() == Type::Scalar);
        if op.is_comparison() && scalars == [true, true] && !returns_bool {
            return Err(Error::new("comparisons between scalars must use bool", place));
        }
        if op.is_set() && scalars.contains(&true) {
            return Err(Error::new(format!("{} takes instant vectors, and one side is a scalar", op.symbol()), place));
        }
        if matching_given && scalars.contains(&true) {
            return Err(Error::new("on, ignoring and grouping need an instant vector on both sides", place));
        }
        let span = lhs.span.start..rhs.span.end;
        Ok(Expr { kind: ExprKind::Binary(Box::new(Binary { op, lhs, rhs, returns_bool, matching })), span })
    }

    /// `</` or `>/`, which cut buckets off a native histogram; the first sign is read.
    fn refuse_trim(&self, op: BinaryOp, place: &Range<usize>) -> Result<(), Error> {
        let trims = matches!(self.peek(), Token::Symbol("/")) && self.place().start == place.end;
        match refused::of(&format!("{}/", op.symbol())).filter(|_| trims) {
            Some(message) => Err(Error::new(message, place.start..place.end + 1)),
            None => Ok(()),
        }
    }

    fn unary(&mut self) -> Result<Expr, Error> {
        let start = self.place().start;
        let negative = matches!(self.peek(), Token::Symbol("-"));
        if !negative && !matches!(self.peek(), Token::Symbol("+")) {
            return self.postfix();
        }
        self.next();
        let operand = self.expr(POWER)?;
        let span = start..operand.span.end;
        let found = operand.value_type();
        if !matches!(found, Type::Scalar | Type::Vector) {
            return Err(Error::new(
                format!("a sign applies to scalars and instant vectors, and this is {found}"),
                span,
            ));
        }
        let kind = match operand.kind {
            ExprKind::Number(value) => ExprKind::Number(if negative { -value } else { value }),
            _ if negative => ExprKind::Negate(Box::new(operand)),
            kind => kind,
        };
        Ok(Expr { kind, span })
    }

    /// A primary expression and the ranges and time shifts after it.
    fn postfix(&mut self) -> Result<Expr, Error> {
        let mut expr = self.primary()?;
        loop {
            let place = self.place();
            if self.eat("[") {
                expr = self.bracket(expr, place.start)?;
            } else if self.eat_keyword("offset") {
                let offset = self.offset()?;
                let shift = shift_of(&mut expr, "offset", &place)?;
                if shift.offset.replace(offset).is_some() {
                    return Err(Error::new("offset is given twice", place));
                }
            } else if self.eat("@") {
                let at = self.at_time()?;
                let shift = shift_of(&mut expr, "@", &place)?;
                if shift.at.replace(at).is_some() {
                    return Err(Error::new("@ is given twice", place));
                }
            } else {
                let modifier = self.keyword().filter(|word| matches!(&**word, "anchored" | "smoothed"));
                if let Some(message) = modifier.and_then(|word| refused::of(&word)) {
                    return Err(Error::new(message, place));
                }
                return Ok(expr);
            }
            expr.span.end = self.end();
        }
    }

    fn primary(&mut self) -> Result<Expr, Error> {
        let start = self.place().start;
        let error = self.unexpected("an expression");
        let (token, _) = self.next();
        let kind = match token {
            Token::Number(value) => ExprKind::Number(value),
            #[expect(clippy::cast_precision_loss, reason = "durations are far below 2^53")]
            Token::Duration(milliseconds) => ExprKind::Number(milliseconds as f64 / 1000.0),
            Token::String(text) => ExprKind::String(text),
            Token::Symbol("(") => {
                let inner = self.expr(0)?;
                self.expect(")")?;
                ExprKind::Paren(Box::new(inner))
            }
            Token::Symbol("{") => ExprKind::Selector(self.selector(None, start)?),
            Token::Ident(word) => self.word(word, start)?,
            Token::Symbol(_) | Token::End => return Err(error),
        };
        Ok(Expr { kind, span: start..self.end() })
    }

    /// An aggregation, a function call or a metric's name.
    fn word(&mut self, word: String, start: usize) -> Result<ExprKind, Error> {
        let place = start..self.end();
        let called = matches!(self.peek(), Token::Symbol("("));
        let lower = word.to_ascii_lowercase();
        let grouped = matches!(self.keyword().as_deref(), Some("by" | "without"));
        if (called || grouped)
            && let Some(aggregate) = self.aggregate(&lower, start)?
        {
            return Ok(aggregate);
        }
        let limits = (called || grouped) && matches!(&*lower, "limitk" | "limit_ratio");
        if let Some(message) = limits.then(|| refused::of(&lower)).flatten() {
            return Err(Error::new(message, place));
        }
        if called {
            return self.call(&word, place);
        }
        // Any other keyword may be a metric's name.
        if matches!(&*lower, "on" | "ignoring" | "group_left" | "group_right" | "bool" | "atan2") {
            return Err(Error::new(format!("the keyword {word:?} is out of place"), place));
        }
        let braces = self.eat("{");
        if braces { self.selector(Some(word), start).map(ExprKind::Selector) } else { Ok(named(word)) }
    }
}
