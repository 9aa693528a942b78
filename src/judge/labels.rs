//! Labels as sentences show them: without what a scrape gives every series alike.

use std::cmp::Ordering;

use promeval::labels::Labels;
use promeval::number::parse_float;

/// The labels that tell targets apart; of one target they say nothing.
const TARGET: [&str; 2] = ["instance", "job"];

/// Shows the labels of elements that are listed together.
pub(crate) struct Shown(Vec<&'static str>);

impl Shown {
    /// `all` are the labels of every element that is listed.
    pub(crate) fn of<'l>(all: impl Iterator<Item = &'l Labels>) -> Self {
        let all: Vec<&Labels> = all.collect();
        let same = |name: &&str| {
            let mut values = all.iter().map(|labels| labels.get(name));
            values.next().is_none_or(|first| values.all(|value| value == first))
        };
        Self(TARGET.into_iter().filter(same).collect())
    }

    /// The labels with a blank behind them; nothing where there are none.
    pub(crate) fn prefix(&self, labels: &Labels) -> String {
        let mut labels = labels.clone();
        for name in &self.0 {
            labels.set(name, "");
        }
        if labels.is_empty() { String::new() } else { format!("{labels} ") }
    }
}

/// Labels whose values are numbers: the bounds of buckets, and quantiles.
const NUMBERS: [&str; 2] = ["le", "quantile"];

/// The order in which a person reads series: those of one histogram beside each other, by the bounds of its buckets.
pub(crate) fn order(a: &Labels, b: &Labels) -> Ordering {
    let is_number = |name: &str| NUMBERS.contains(&name);
    let others = |labels: &Labels| -> Vec<(String, String)> {
        let others = labels.iter().filter(|(name, _)| !is_number(name));
        others.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    };
    let bounds = || NUMBERS.iter().map(|name| by_number(a.get(name), b.get(name))).find(|order| order.is_ne());
    others(a).cmp(&others(b)).then_with(|| bounds().unwrap_or(Ordering::Equal))
}

/// Two texts as numbers, which come before what is none.
pub(super) fn by_number(a: &str, b: &str) -> Ordering {
    match (parse_float(a), parse_float(b)) {
        (Some(one), Some(other)) => one.total_cmp(&other).then_with(|| a.cmp(b)),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => a.cmp(b),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_read_by_their_bounds() {
        let bucket = |name: &str, le: &str| Labels::new([("__name__", name), ("le", le)]);
        let mut all = [bucket("b", "10"), bucket("a", "+Inf"), bucket("a", "2.5"), bucket("a", "10"), bucket("b", "x")];
        all.sort_by(order);
        let read: Vec<String> =
            all.iter().map(|labels| format!("{}{}", labels.metric_name(), labels.get("le"))).collect();
        assert_eq!(read, ["a2.5", "a10", "a+Inf", "b10", "bx"]);
    }

    #[test]
    fn what_is_the_same_everywhere_is_left_out() {
        let labels = |instance: &str, x: &str| Labels::new([("job", "app"), ("instance", instance), ("x", x)]);
        let (one, two) = ([labels("a", "1"), labels("a", "2")], [labels("a", "1"), labels("b", "1")]);
        assert_eq!(Shown::of(one.iter()).prefix(&one[0]), "{x=\"1\"} ");
        assert_eq!(Shown::of(two.iter()).prefix(&two[1]), "{instance=\"b\", x=\"1\"} ");
        assert_eq!(Shown::of(one[..1].iter()).prefix(&labels("a", "")), "");
    }
}
