//! How the elements of two vectors are matched: `on`, `ignoring`, `group_left`, `group_right`.

use super::Parser;
use crate::labels::is_legacy_label;
use crate::promql::Error;
use crate::promql::ast::{BinaryOp, Group, Matching};
use crate::promql::lexer::Token;
use crate::promql::refused;

impl Parser {
    pub(super) fn matching(&mut self, op: BinaryOp) -> Result<Matching, Error> {
        let mut matching = Matching::default();
        let word = self.keyword();
        if !matches!(word.as_deref(), Some("on" | "ignoring")) {
            self.refuse_fill()?;
            return Ok(matching);
        }
        matching.on = word.as_deref() == Some("on");
        self.next();
        matching.labels = self.label_list()?;
        let place = self.place();
        matching.group = match self.keyword().as_deref() {
            Some("group_left") => Some(Group::Left),
            Some("group_right") => Some(Group::Right),
            _ => {
                self.refuse_fill()?;
                return Ok(matching);
            }
        };
        self.next();
        if op.is_set() {
            return Err(Error::new(format!("grouping is not allowed for {}", op.symbol()), place));
        }
        if matches!(self.peek(), Token::Symbol("(")) {
            matching.include = self.label_list()?;
        }
        self.refuse_fill()?;
        let both = matching.include.iter().find(|label| matching.on && matching.labels.contains(label));
        match both {
            Some(label) => Err(Error::new(format!("the label {label:?} is in both on and the grouping"), place)),
            None => Ok(matching),
        }
    }

    /// A fill modifier: `fill` and the like followed by a parenthesis. Alone it is a metric's name.
    fn refuse_fill(&self) -> Result<(), Error> {
        let called = matches!(self.tokens.get(self.at + 1), Some((Token::Symbol("("), _)));
        let fill = self.keyword().filter(|word| called && matches!(&**word, "fill" | "fill_left" | "fill_right"));
        match fill.and_then(|word| refused::of(&word)) {
            Some(message) => Err(Error::new(message, self.place())),
            None => Ok(()),
        }
    }

    /// Labels in parentheses.
    pub(super) fn label_list(&mut self) -> Result<Vec<String>, Error> {
        self.expect("(")?;
        let mut labels = Vec::new();
        loop {
            if self.eat(")") {
                return Ok(labels);
            }
            match self.peek().clone() {
                Token::Ident(name) if is_legacy_label(&name) => labels.push(name),
                Token::String(name) if !name.is_empty() => labels.push(name),
                _ => return Err(self.unexpected("a label name or \")\"")),
            }
            self.next();
            if !self.eat(",") && !matches!(self.peek(), Token::Symbol(")")) {
                return Err(self.unexpected("\",\" or \")\""));
            }
        }
    }
}
