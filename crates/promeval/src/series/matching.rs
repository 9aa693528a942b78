//! Which stored series a selector matches.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use super::{Storage, pairs_of};
use crate::labels::METRIC_NAME;
use crate::promql::ast::{Matcher, Selector, Test};
use crate::symbols::{Pair, Symbol, Symbols};

impl Storage {
    /// The series that a selector matches, those of one name after the other.
    pub(crate) fn matching(&self, selector: &Selector) -> Vec<u32> {
        let mut found = Vec::new();
        self.for_each_matching(selector, |series| found.push(series));
        found
    }

    /// Visits the series that a selector matches, those of one name after the other.
    pub(crate) fn for_each_matching(&self, selector: &Selector, mut visit: impl FnMut(u32)) {
        let (names, others): (Vec<&Matcher>, Vec<&Matcher>) =
            selector.matchers.iter().partition(|matcher| matcher.label == METRIC_NAME);
        let mut tests: Vec<Prepared> = others.iter().map(|matcher| Prepared::new(matcher, &self.symbols)).collect();
        // One name is looked up; a pattern is held against each name once, not against each series.
        for index in self.names_of(selector.metric_name(), &names) {
            let series = &self.names[index as usize].series;
            if tests.is_empty() {
                for series in series {
                    visit(*series);
                }
                continue;
            }
            for series in series {
                let pairs = pairs_of(&self.pairs, &self.series, *series as usize);
                if tests.iter_mut().all(|test| test.holds(pairs, &self.symbols)) {
                    visit(*series);
                }
            }
        }
    }

    /// The indices of the metric names that satisfy all matchers; `only` where one of them asks for exactly this name.
    fn names_of(&self, only: Option<&str>, matchers: &[&Matcher]) -> Vec<u32> {
        let fits = |(symbol, _): &(&Symbol, &u32)| {
            matchers.iter().all(|matcher| matcher.test.holds(self.symbols.get(**symbol)))
        };
        if let Some(name) = only {
            let known = self.symbols.find(name).and_then(|symbol| self.name_indices.get_key_value(&symbol));
            return known.into_iter().filter(fits).map(|(_, index)| *index).collect();
        }
        let mut found: Vec<u32> = self.name_indices.iter().filter(fits).map(|(_, index)| *index).collect();
        found.sort_unstable();
        found
    }
}

/// A matcher whose texts were looked up, so that most series are told by comparing numbers.
struct Prepared<'q> {
    /// Nothing where no series has the label.
    label: Option<Symbol>,
    test: PreparedTest<'q>,
}

enum PreparedTest<'q> {
    /// `=`; nothing where no series has the value.
    Equal(Option<Symbol>),
    /// `!=`
    NotEqual(Option<Symbol>),
    /// A pattern, and what it said of each value: most series share them.
    Pattern(&'q Test, HashMap<Symbol, bool, RandomState>),
}

impl<'q> Prepared<'q> {
    fn new(matcher: &'q Matcher, symbols: &Symbols) -> Self {
        let test = match &matcher.test {
            Test::Equal(value) => PreparedTest::Equal(symbols.find(value)),
            Test::NotEqual(value) => PreparedTest::NotEqual(symbols.find(value)),
            pattern => PreparedTest::Pattern(pattern, HashMap::default()),
        };
        Self { label: symbols.find(&matcher.label), test }
    }

    fn holds(&mut self, pairs: &[Pair], symbols: &Symbols) -> bool {
        let own = self.label.and_then(|label| pairs.iter().find(|(name, _)| *name == label));
        let value = own.map_or(Symbol::EMPTY, |(_, value)| *value);
        match &mut self.test {
            PreparedTest::Equal(wanted) => *wanted == Some(value),
            PreparedTest::NotEqual(unwanted) => *unwanted != Some(value),
            PreparedTest::Pattern(test, known) => *known.entry(value).or_insert_with(|| test.holds(symbols.get(value))),
        }
    }
}
