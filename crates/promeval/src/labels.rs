//! The label set that identifies a series.

use std::fmt;
use std::sync::Arc;

/// The label that holds a metric's name.
pub const METRIC_NAME: &str = "__name__";

/// The labels that say what a metric is. Whatever gives new values drops them together.
pub(crate) const METADATA: [&str; 3] = [METRIC_NAME, "__type__", "__unit__"];

/// A label set: sorted by name, each name once, no empty values (an empty value is the same as no label).
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Labels(Vec<(Arc<str>, Arc<str>)>);

impl Labels {
    /// Makes a label set of pairs in any order. If a name is given twice, the last value wins.
    #[must_use]
    pub fn new<N: Into<Arc<str>>, V: Into<Arc<str>>>(pairs: impl IntoIterator<Item = (N, V)>) -> Self {
        let mut labels = Self(pairs.into_iter().map(|(name, value)| (name.into(), value.into())).collect());
        labels.0.sort_by(|a, b| a.0.cmp(&b.0));
        labels.0.reverse();
        labels.0.dedup_by(|a, b| a.0 == b.0);
        labels.0.reverse();
        labels.0.retain(|(_, value)| !value.is_empty());
        labels
    }

    /// Of pairs that are sorted by their names, each name once, without empty values.
    pub(crate) fn of_sorted(pairs: Vec<(Arc<str>, Arc<str>)>) -> Self {
        Self(pairs)
    }

    /// The value of a label; empty where the label is missing.
    #[must_use]
    pub fn get(&self, name: &str) -> &str {
        self.position(name).map_or("", |at| &self.0[at].1)
    }

    /// The metric's name; empty where it has none.
    #[must_use]
    pub fn metric_name(&self) -> &str {
        self.get(METRIC_NAME)
    }

    /// Sets a label; an empty value removes it.
    pub fn set(&mut self, name: &str, value: &str) {
        match (self.position(name), value.is_empty()) {
            (Ok(at), true) => drop(self.0.remove(at)),
            (Ok(at), false) => self.0[at].1 = value.into(),
            (Err(_), true) => {}
            (Err(at), false) => self.0.insert(at, (name.into(), value.into())),
        }
    }

    /// The same labels without the metric's name, and without the labels for its type and unit.
    #[must_use]
    pub fn without_metric_name(mut self) -> Self {
        self.0.retain(|(name, _)| !METADATA.contains(&&**name));
        self
    }

    /// Names and values, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (&**name, &**value))
    }

    /// Whether there are no labels.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn position(&self, name: &str) -> Result<usize, usize> {
        self.0.binary_search_by(|(other, _)| (**other).cmp(name))
    }
}

/// The values of a label set, however it is kept.
pub trait LabelValues {
    /// The value of a label; empty where the label is missing.
    fn value_of(&self, name: &str) -> &str;
}

impl LabelValues for Labels {
    fn value_of(&self, name: &str) -> &str {
        self.get(name)
    }
}

/// As PromQL writes a series: `name{label="value"}`.
impl fmt::Display for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_series(f, self.metric_name(), self.iter())
    }
}

/// Writes a series as PromQL does.
pub(crate) fn write_series<'l>(
    f: &mut fmt::Formatter<'_>,
    name: &str,
    labels: impl Iterator<Item = (&'l str, &'l str)>,
) -> fmt::Result {
    let plain = is_legacy_name(name);
    let mut parts = Vec::new();
    if plain {
        f.write_str(name)?;
    } else if !name.is_empty() {
        parts.push(quote(name));
    }
    for (label, value) in labels.filter(|(label, _)| *label != METRIC_NAME) {
        let label = if is_legacy_label(label) { label.to_owned() } else { quote(label) };
        parts.push(format!("{label}={}", quote(value)));
    }
    if parts.is_empty() && plain {
        return Ok(());
    }
    write!(f, "{{{}}}", parts.join(", "))
}

/// A double-quoted string with backslash, quote and line feed escaped.
#[must_use]
pub(crate) fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '\\' => quoted.push_str("\\\\"),
            '"' => quoted.push_str("\\\""),
            '\n' => quoted.push_str("\\n"),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// Whether a metric name needs no quotes: `[a-zA-Z_:][a-zA-Z0-9_:]*`.
#[must_use]
pub fn is_legacy_name(name: &str) -> bool {
    is_legacy(name, |byte| byte == b':')
}

/// Whether a label name needs no quotes: `[a-zA-Z_][a-zA-Z0-9_]*`.
#[must_use]
pub(crate) fn is_legacy_label(name: &str) -> bool {
    is_legacy(name, |_| false)
}

fn is_legacy(name: &str, also: impl Fn(u8) -> bool) -> bool {
    let start = |byte: u8| byte.is_ascii_alphabetic() || byte == b'_' || also(byte);
    name.bytes().next().is_some_and(start) && name.bytes().all(|byte| start(byte) || byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_set_is_sorted_and_has_no_empty_values() {
        let mut labels = Labels::new([("b", "2"), ("a", "1"), ("c", ""), ("a", "3")]);
        assert_eq!(labels.iter().collect::<Vec<_>>(), [("a", "3"), ("b", "2")]);
        labels.set("aa", "x");
        labels.set("b", "");
        labels.set("zz", "");
        assert_eq!(labels.iter().collect::<Vec<_>>(), [("a", "3"), ("aa", "x")]);
        assert_eq!(labels.get("missing"), "");
    }

    #[test]
    fn a_series_is_shown_as_promql_writes_it() {
        for (pairs, wanted) in [
            (vec![("__name__", "up")], "up"),
            (vec![("__name__", "up"), ("job", "a\"b\\c\nd")], r#"up{job="a\"b\\c\nd"}"#),
            (vec![("job", "x")], r#"{job="x"}"#),
            (vec![("__name__", "my.metric"), ("a.b", "c")], r#"{"my.metric", "a.b"="c"}"#),
            (vec![], "{}"),
        ] {
            assert_eq!(Labels::new(pairs).to_string(), wanted);
        }
    }
}
