//! Which stored series a selector matches.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use super::{Storage, pairs_of};
use crate::labels::METRIC_NAME;
use crate::promql::ast::{Matcher, Selector, Test};
use crate::symbols::{Pair, Symbol, Symbols};

impl Storage {
    /// The series that a selector matches, those of one name after the other.
    pub(crate) fn matching<'a>(&'a self, selector: &'a Selector) -> impl Iterator<Item = u32> + use<'a> {
        let (names, others): (Vec<&Matcher>, Vec<&Matcher>) =
            selector.matchers.iter().partition(|matcher| matcher.label == METRIC_NAME);
        let mut tests: Vec<Prepared> = others.iter().map(|matcher| Prepared::new(matcher, &self.symbols)).collect();
        let fits = move |(symbol, _): &(&Symbol, &u32)| {
            names.iter().all(|matcher| matcher.test.holds(self.symbols.get(**symbol)))
        };
        // One name is looked up; a pattern is held against each name once, not against each series.
        let named: Vec<u32> = if let Some(name) = selector.metric_name() {
            let known = self.symbols.find(name).and_then(|symbol| self.name_indices.get_key_value(&symbol));
            known.into_iter().filter(&fits).map(|(_, index)| *index).collect()
        } else {
            let mut found: Vec<u32> = self.name_indices.iter().filter(&fits).map(|(_, index)| *index).collect();
            found.sort_unstable();
            found
        };
        let series = named.into_iter().flat_map(|index| self.names[index as usize].series.iter().copied());
        series.filter(move |series| {
            let pairs = pairs_of(&self.pairs, &self.series, *series as usize);
            tests.iter_mut().all(|test| test.holds(pairs, &self.symbols))
        })
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
    /// A pattern, and what it said of each value: a tenth of the time where series share values.
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
