//! Labels as sentences show them: without what a scrape gives every series alike.

use promeval::labels::Labels;

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_the_same_everywhere_is_left_out() {
        let labels = |instance: &str, x: &str| Labels::new([("job", "app"), ("instance", instance), ("x", x)]);
        let (one, two) = ([labels("a", "1"), labels("a", "2")], [labels("a", "1"), labels("b", "1")]);
        assert_eq!(Shown::of(one.iter()).prefix(&one[0]), "{x=\"1\"} ");
        assert_eq!(Shown::of(two.iter()).prefix(&two[1]), "{instance=\"b\", x=\"1\"} ");
        assert_eq!(Shown::of(one[..1].iter()).prefix(&labels("a", "")), "");
    }
}
