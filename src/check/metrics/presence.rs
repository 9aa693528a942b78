//! What a Prometheus server must have for its answer to an expression to be evidence: series of each selector. Pure.

use promeval::labels::{METRIC_NAME, is_legacy_name};
use promeval::number::format_time;
use promeval::promql::Expr;
use promeval::promql::ast::{At, BinaryOp, Duration, ExprKind, Matcher, Selector, SetOp, Shift, Test};

use crate::judge::needs_two_samples;

/// Parts of the names of labels that say whose series they are, rather than what happened.
const IDENTITY: [&str; 18] = [
    "job",
    "instance",
    "service",
    "revision",
    "version",
    "release",
    "deployment",
    "configuration",
    "pod",
    "namespace",
    "cluster",
    "project",
    "location",
    "region",
    "target",
    "track",
    "env",
    "app",
];

/// Labels of which every value is there from the beginning.
const FIXED: [&str; 2] = ["le", "quantile"];

/// What must be there.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Need {
    Series(Wanted),
    All(Vec<Need>),
    /// Names that stand for each other.
    Any(Vec<Need>),
}

/// A selector, and how a server is asked for its series.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Wanted {
    /// By all of its matchers.
    pub(super) whole: Question,
    /// By what says whose series they are, with any value of the other labels: of what reports, a series that is absent
    /// counts none. Nothing where that is the whole.
    pub(super) thing: Option<Question>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Question {
    /// An expression that has an element if there are series.
    pub(super) query: String,
    /// What is said where there are none.
    pub(super) lack: String,
}

impl Need {
    /// What an expression needs. The source is what it was read from.
    pub(super) fn of(expr: &Expr, source: &str) -> Self {
        Reader { source, subqueries: Vec::new() }.need(expr, false)
    }

    /// Every selector of it.
    pub(super) fn wanted(&self) -> Vec<&Wanted> {
        match self {
            Self::Series(wanted) => vec![wanted],
            Self::All(needs) | Self::Any(needs) => needs.iter().flat_map(Self::wanted).collect(),
        }
    }

    /// What is missing, where it is told of each selector whether that is.
    pub(super) fn missing(&self, lack: &impl Fn(&Wanted) -> Option<String>) -> Option<String> {
        match self {
            Self::Series(wanted) => lack(wanted),
            Self::All(needs) => needs.iter().find_map(|need| need.missing(lack)),
            Self::Any(needs) => {
                let missing: Option<Vec<String>> = needs.iter().map(|need| need.missing(lack)).collect();
                missing?.into_iter().next()
            }
        }
    }
}

/// Reads an expression's selectors, inside of what they are evaluated over.
struct Reader<'s> {
    source: &'s str,
    /// What stands behind the expression of each subquery around a selector: `[1h:1m] offset 5m`, the outermost first.
    subqueries: Vec<&'s str>,
}

impl Reader<'_> {
    /// `of_two` says whether one sample of a range tells nothing.
    fn need(&mut self, expr: &Expr, of_two: bool) -> Need {
        match &expr.kind {
            ExprKind::Selector(selector) => Need::Series(self.wanted(selector, None, false)),
            ExprKind::Matrix(selector, range) => Need::Series(self.wanted(selector, Some(range), of_two)),
            ExprKind::Subquery(subquery) => {
                let behind = self.source.get(subquery.expr.span.end..expr.span.end).unwrap_or_default();
                self.subqueries.push(behind);
                let need = self.need(&subquery.expr, false);
                self.subqueries.pop();
                need
            }
            // What is asked to be absent need not be there, nor what is taken away.
            ExprKind::Call(call) if call.name().starts_with("absent") => Need::All(Vec::new()),
            ExprKind::Call(call) => {
                let of_two = needs_two_samples(call.name());
                Need::All(call.args().iter().map(|argument| self.need(argument, of_two)).collect())
            }
            ExprKind::Binary(binary) if binary.op == BinaryOp::Set(SetOp::Unless) => self.need(&binary.lhs, false),
            ExprKind::Binary(binary) => {
                let sides = [&binary.lhs, &binary.rhs];
                // Of two names for one thing, one is enough; of two conditions, each must be seen. What reads nothing, as
                // vector(0), stands for no name.
                let alternatives = binary.op == BinaryOp::Set(SetOp::Or)
                    && sides.iter().all(|side| !side.selectors().is_empty())
                    && !sides.iter().all(|side| compares(side));
                let needs = sides.into_iter().map(|side| self.need(side, false)).collect();
                if alternatives { Need::Any(needs) } else { Need::All(needs) }
            }
            ExprKind::Paren(inner) => self.need(inner, of_two),
            _ => Need::All(expr.children().into_iter().map(|child| self.need(child, false)).collect()),
        }
    }

    fn wanted(&self, selector: &Selector, range: Option<&Duration>, of_two: bool) -> Wanted {
        let question = |matchers: &[Matcher]| self.question(matchers, &selector.shift, range, of_two);
        let thing = of_thing(&selector.matchers);
        Wanted { whole: question(&selector.matchers), thing: (thing != selector.matchers).then(|| question(&thing)) }
    }

    fn question(&self, matchers: &[Matcher], shift: &Shift, range: Option<&Duration>, of_two: bool) -> Question {
        let range = range.map(|range| format!("[{}]", self.duration(range)));
        let read = format!("{}{}{}", asked(matchers), range.as_deref().unwrap_or_default(), self.shift(shift));
        let read = match range {
            None => read,
            Some(_) if of_two => format!("count_over_time({read}) > 1"),
            Some(_) => format!("count_over_time({read})"),
        };
        let subqueries = self.subqueries.iter().rev();
        let read = subqueries.fold(read, |read, behind| format!("count_over_time(({read}){behind})"));
        let samples = if of_two { "two samples of one series in the range" } else { "series" };
        let lack = format!("the server has no {samples} of {}", shown(matchers));
        Question { query: format!("count({read})"), lack }
    }

    fn duration(&self, duration: &Duration) -> String {
        match duration {
            Duration::Fixed(milliseconds) => format!("{milliseconds}ms"),
            Duration::OfQuery(expr) => format!("({})", self.source.get(expr.span.clone()).unwrap_or_default()),
        }
    }

    fn shift(&self, shift: &Shift) -> String {
        let offset = shift.offset.as_ref().map(|offset| format!(" offset {}", self.duration(offset)));
        let at = shift.at.map(|at| match at {
            At::Time(time) => format!(" @ {}", format_time(time)),
            At::Start => " @ start()".into(),
            At::End => " @ end()".into(),
        });
        offset.into_iter().chain(at).collect()
    }
}

fn compares(expr: &Expr) -> bool {
    let own = matches!(&expr.kind, ExprKind::Binary(binary) if matches!(binary.op, BinaryOp::Compare(..)));
    own || expr.children().into_iter().any(compares)
}

/// The matchers of the thing whose series are asked for. It must have the other labels: what asks for one that nothing has
/// is mistaken.
fn of_thing(matchers: &[Matcher]) -> Vec<Matcher> {
    let mut thing: Vec<Matcher> = Vec::with_capacity(matchers.len());
    for matcher in matchers {
        let label = matcher.label.to_ascii_lowercase();
        let is_identity =
            label == METRIC_NAME || FIXED.contains(&&*label) || IDENTITY.iter().any(|part| label.contains(part));
        let kept = if is_identity {
            matcher.clone()
        } else if matcher.test.holds("") {
            continue;
        } else {
            Matcher { label: matcher.label.clone(), test: Test::NotEqual(String::new()) }
        };
        if !thing.contains(&kept) {
            thing.push(kept);
        }
    }
    thing
}

/// Matchers as a server reads them, whatever the name is.
fn asked(matchers: &[Matcher]) -> String {
    let (names, others): (Vec<&Matcher>, Vec<&Matcher>) =
        matchers.iter().partition(|matcher| matcher.label == METRIC_NAME);
    let written: Vec<String> = others.into_iter().chain(names).map(written).collect();
    format!("{{{}}}", written.join(","))
}

/// Matchers as a person writes them.
fn shown(matchers: &[Matcher]) -> String {
    let name = matchers.iter().position(
        |matcher| matches!(&matcher.test, Test::Equal(name) if matcher.label == METRIC_NAME && is_legacy_name(name)),
    );
    let others: Vec<String> = matchers
        .iter()
        .enumerate()
        .filter(|(index, _)| Some(*index) != name)
        .map(|(_, other)| written(other))
        .collect();
    let name = match name.map(|index| &matchers[index].test) {
        Some(Test::Equal(name)) => name,
        _ => "",
    };
    if others.is_empty() { name.to_owned() } else { format!("{name}{{{}}}", others.join(",")) }
}

fn written(matcher: &Matcher) -> String {
    let (op, value) = match &matcher.test {
        Test::Equal(value) => ("=", &**value),
        Test::NotEqual(value) => ("!=", &**value),
        Test::Matches(pattern) => ("=~", pattern.source()),
        Test::DoesNotMatch(pattern) => ("!~", pattern.source()),
    };
    let label = &matcher.label;
    // Only newer servers read a name in quotes.
    let label = if is_legacy_name(label) && !label.contains(':') { label.clone() } else { quoted(label) };
    format!("{label}{op}{}", quoted(value))
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}

#[cfg(test)]
mod tests {
    use promeval::promql::parse;

    use super::*;

    fn questions(source: &str) -> Vec<(String, Option<String>)> {
        let need = Need::of(&parse(source).unwrap(), source);
        let asked = |wanted: &&Wanted| (wanted.whole.query.clone(), wanted.thing.clone().map(|thing| thing.query));
        need.wanted().iter().map(asked).collect()
    }

    #[test]
    fn a_selector_is_asked_for_with_its_reach_and_by_its_thing() {
        for (source, whole, thing) in [
            ("errs", r#"count({__name__="errs"})"#, None),
            ("{__name__=\"inf\", a=\"\"}", r#"count({a="",__name__="inf"})"#, Some(r#"count({__name__="inf"})"#)),
            ("errs{revision=\"r\"}", r#"count({revision="r",__name__="errs"})"#, None),
            (
                "errs{revision=\"r\", code=\"500\"}",
                r#"count({revision="r",code="500",__name__="errs"})"#,
                Some(r#"count({revision="r",code!="",__name__="errs"})"#),
            ),
            (
                "{\"app.errs\", code=~\"5..\", code!=\"599\", \"my.job\"=~'a\\\\d'}",
                r#"count({code=~"5..",code!="599","my.job"=~"a\\d",__name__="app.errs"})"#,
                Some(r#"count({code!="","my.job"=~"a\\d",__name__="app.errs"})"#),
            ),
            ("{__name__=~\"errs.*\"}", r#"count({__name__=~"errs.*"})"#, None),
            ("b{le=\"0.5\"}", r#"count({le="0.5",__name__="b"})"#, None),
            ("errs offset 5m @ 12.5", r#"count({__name__="errs"} offset 300000ms @ 12.500)"#, None),
            ("max_over_time(a[5m])", r#"count(count_over_time({__name__="a"}[300000ms]))"#, None),
            (
                "rate((a[5m] offset -1m))",
                r#"count(count_over_time({__name__="a"}[300000ms] offset -60000ms) > 1)"#,
                None,
            ),
            ("max_over_time(a[5m:1m] offset 1h)", r#"count(count_over_time(({__name__="a"})[5m:1m] offset 1h))"#, None),
            (
                "max_over_time((rate(a[1m]))[5m:] @ end())",
                r#"count(count_over_time((count_over_time({__name__="a"}[60000ms]) > 1)[5m:] @ end()))"#,
                None,
            ),
            (
                "max_over_time(sum_over_time(a[5m:1m])[1h:5m])",
                r#"count(count_over_time((count_over_time(({__name__="a"})[5m:1m]))[1h:5m]))"#,
                None,
            ),
        ] {
            assert_eq!(questions(source), [(whole.to_owned(), thing.map(str::to_owned))], "{source}");
            for query in [Some(whole), thing].into_iter().flatten() {
                assert!(parse(query).is_ok(), "{query}: {:?}", parse(query));
            }
        }
    }

    #[test]
    fn each_selector_is_needed_but_alternatives_and_what_is_to_be_absent() {
        for (source, has, wanted) in [
            ("(sum(a) or vector(0)) <= 2", "", Some("series of a")),
            ("(sum(a) or vector(0)) <= 2", "a", None),
            ("(sum(a) or vector(0)) + (sum(b) or vector(0)) <= 2", "a", Some("series of b")),
            ("(sum(a) or vector(0)) + (sum(b) or vector(0)) <= 2", "b", Some("series of a")),
            ("(a or b) <= 2", "b", None),
            ("(a or b) <= 2", "", Some("series of a")),
            ("(a or b * 0 or vector(0)) <= 2", "b", None),
            ("a > 1 or b > 1", "a", Some("series of b")),
            ("a unless b", "a", None),
            ("a unless b", "b", Some("series of a")),
            ("absent(a)", "", None),
            ("a{x=\"1\\\"\"} < 1", "", Some("series of a{x=\"1\\\"\"}")),
            ("rate(a[1m]) < 1", "", Some("two samples of one series in the range of a")),
            ("vector(1) > 0", "", None),
        ] {
            let need = Need::of(&parse(source).unwrap(), source);
            let lack = |wanted: &Wanted| {
                let is_there = wanted.whole.query.contains(&format!("__name__=\"{has}\""));
                (!is_there).then(|| wanted.whole.lack.clone())
            };
            let missing = need.missing(&lack);
            assert_eq!(missing, wanted.map(|piece| format!("the server has no {piece}")), "{source}, {has:?} is there");
        }
    }
}
