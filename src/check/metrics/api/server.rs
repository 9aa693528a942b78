//! Who answers expressions: a Prometheus server, or the record of what one answered.

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};

use promeval::labels::Labels;
use promeval::number::{format_value, parse_float};
use promeval::promql::{Element, Evaluator, Value, parse};
use promeval::series::Storage;
use tokio::time::Instant;

use super::{QueryError, answered, request, value};
use crate::check::context::{AskError, Context};
use crate::http::Client;
use crate::outcome::{Asked, Event, ServerAnswer};

/// Answers expressions.
pub(in crate::check::metrics) enum Server<'c> {
    Live(Box<Client>, &'c Context<'c>),
    Recorded(Recorded),
}

/// What a server answered, by the expression and the time.
pub(in crate::check::metrics) struct Recorded {
    answers: RefCell<HashMap<(String, i64), VecDeque<ServerAnswer>>>,
    /// What it was not asked for, the first.
    missing: RefCell<Option<String>>,
}

impl Recorded {
    pub(in crate::check::metrics) fn new(asked: Vec<Asked>) -> Self {
        let mut answers = HashMap::<_, VecDeque<ServerAnswer>>::new();
        for Asked { expr, time, answer } in asked {
            answers.entry((expr, time)).or_default().push_back(answer);
        }
        Self { answers: RefCell::new(answers), missing: RefCell::default() }
    }

    /// What it was asked for and cannot tell.
    pub(in crate::check::metrics) fn missing(&self) -> Option<String> {
        self.missing.borrow().clone()
    }

    fn answer(&self, expr: &str, time: i64) -> Result<Value, QueryError> {
        let mut answers = self.answers.borrow_mut();
        let known = answers.get_mut(&(expr.to_owned(), time)).and_then(|answers| {
            // The same may have been asked twice; the last answer stands.
            if answers.len() > 1 { answers.pop_front() } else { answers.front().cloned() }
        });
        match known {
            Some(answer) => told(answer),
            None => constant(expr, time).ok_or_else(|| {
                let what = format!("the server was not asked for {expr} when it was recorded");
                self.missing.borrow_mut().get_or_insert_with(|| what.clone());
                QueryError::Unseen(AskError::Unseen(what.into()))
            }),
        }
    }
}

/// What reads no series is the same everywhere: a limit that was not asked for.
fn constant(expr: &str, time: i64) -> Option<Value> {
    let parsed = parse(expr).ok()?;
    if !parsed.selectors().is_empty() {
        return None;
    }
    Evaluator::new(&Storage::default(), time).value(&parsed).ok()
}

impl Server<'_> {
    /// What it answers, with the number of attempts and what it warned of.
    pub(super) async fn answer(
        &self,
        expr: &str,
        time: i64,
        deadline: Option<Instant>,
    ) -> (Result<Value, QueryError>, u32, Vec<String>) {
        let (client, context) = match self {
            Self::Recorded(recorded) => return (recorded.answer(expr, time), 1, Vec::new()),
            Self::Live(client, context) => (client, context),
        };
        let request = request(expr, time);
        let what = format!("POST {}/api/v1/query", client.address().shown());
        let deadline = deadline.unwrap_or(context.deadline());
        let limits = context.policy.request;
        let attempt = async |deadline| answered(&client.ask(&request, limits, deadline).await?);
        let (result, attempts) = context.attempt_until(deadline, &what, attempt).await;
        let mut warnings = Vec::new();
        let result =
            result.map_err(|error| QueryError::Unseen(error.about(&what).beside())).and_then(|mut response| {
                warnings = response.warnings.take().unwrap_or_default();
                value(response, time).map_err(|error| QueryError::NoValue(format!("{what}: {error}")))
            });
        if context.observer.records() {
            let asked = Asked { expr: expr.to_owned(), time, answer: kept(&result) };
            context.observer.hear(&Event::Asked { check: context.check, asked });
        }
        (result, attempts, warnings)
    }
}

/// An answer as it is kept.
fn kept(result: &Result<Value, QueryError>) -> ServerAnswer {
    match result {
        Ok(Value::Scalar(value)) => ServerAnswer::Scalar(format_value(*value)),
        Ok(Value::Vector(elements)) => {
            let element = |element: &Element| {
                let labels = element.labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
                (labels.collect(), format_value(element.value))
            };
            ServerAnswer::Vector(elements.iter().map(element).collect())
        }
        Ok(_) => ServerAnswer::NoValue("the server answers no instant vector".into()),
        Err(QueryError::NoValue(why)) => ServerAnswer::NoValue(why.clone()),
        Err(QueryError::Unseen(error)) => ServerAnswer::Unseen(error.clone().cause().text),
    }
}

/// A kept answer as it was.
fn told(answer: ServerAnswer) -> Result<Value, QueryError> {
    let number = |text: &str| {
        parse_float(text).ok_or_else(|| QueryError::NoValue(format!("{text:?} in the evidence is not a number")))
    };
    match answer {
        ServerAnswer::Scalar(value) => number(&value).map(Value::Scalar),
        ServerAnswer::Vector(elements) => {
            let element = |(labels, value): (Vec<(String, String)>, String)| {
                Ok(Element { labels: Labels::new(labels), value: number(&value)? })
            };
            elements.into_iter().map(element).collect::<Result<_, _>>().map(Value::Vector)
        }
        ServerAnswer::NoValue(why) => Err(QueryError::NoValue(why)),
        ServerAnswer::Unseen(why) => Err(QueryError::Unseen(AskError::Unseen(why.into()))),
    }
}
