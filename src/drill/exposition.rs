//! Expositions changed sample by sample, as text: everything that is not changed stays as it was written.

use promeval::exposition::{Exposition, Format, Kind};
use promeval::labels::{Labels, METRIC_NAME};
use promeval::number::format_value;

/// A sample, as a change is asked for.
pub(super) struct Line<'l> {
    /// With the metric's name, and with the labels that the gate gives.
    pub(super) labels: &'l Labels,
    pub(super) value: f64,
    pub(super) is_counter: bool,
}

/// What becomes of a sample.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Change {
    Keep,
    Drop,
    To(f64),
    /// A value with a timestamp as the format writes it.
    At(f64, String),
}

/// The text with its samples changed. `given` are labels that the gate gives to each.
///
/// # Errors
/// A text that is no exposition.
pub(super) fn edited(
    text: &str,
    format: Format,
    given: &[(String, String)],
    change: &mut dyn FnMut(&Line<'_>) -> Change,
) -> Result<String, String> {
    let exposition = parsed(text, format)?;
    let mut samples = exposition.samples();
    let mut out = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        let Some(sample) = Some(line).filter(|line| is_sample(line)).and_then(|_| samples.next()) else {
            out.push_str(line);
            continue;
        };
        let name = sample.name();
        let labels = labels(&name, sample.labels().map(|(name, value)| (name.into_owned(), value.into_owned())), given);
        let seen = Line { labels: &labels, value: sample.value(), is_counter: is_counter(&exposition, &name) };
        let (key, rest) = line.split_at(key_end(line));
        let (_, after) = first_word(rest);
        match change(&seen) {
            Change::Keep => out.push_str(line),
            Change::Drop => {}
            Change::To(value) => {
                let timestamp = first_word(after).0;
                let timestamp = if timestamp.starts_with('#') { "" } else { timestamp };
                out += format!("{key} {} {timestamp}", format_value(value)).trim_end();
                out.push('\n');
            }
            Change::At(value, timestamp) => out += &format!("{key} {} {timestamp}\n", format_value(value)),
        }
    }
    Ok(out)
}

/// The labels of a sample by all of their names.
pub(super) fn labels(name: &str, own: impl Iterator<Item = (String, String)>, given: &[(String, String)]) -> Labels {
    let own = own.filter(|(name, _)| !given.iter().any(|(other, _)| other == name));
    let given = given.iter().filter(|(_, value)| !value.is_empty()).cloned();
    Labels::new(own.chain(given).chain([(METRIC_NAME.to_owned(), name.to_owned())]).collect::<Vec<_>>())
}

/// The text without a family, its declaration included; nothing where it has none of the name.
///
/// # Errors
/// A text that is no exposition.
pub(super) fn without_family(text: &str, format: Format, name: &str) -> Result<Option<String>, String> {
    let exposition = parsed(text, format)?;
    let family = family_of(&exposition, name);
    let is_of = |line: &str| {
        let mut words = line.split([' ', '\t', '{', '\n']);
        match words.next() {
            Some("#") => {
                matches!(words.next(), Some("TYPE" | "HELP" | "UNIT"))
                    && words.next().is_some_and(|of| of == name || family.as_deref() == Some(of))
            }
            Some(own) => own == name || (family.is_some() && family_of(&exposition, own) == family),
            None => false,
        }
    };
    let kept: String = text.split_inclusive('\n').filter(|line| !is_of(line)).collect();
    Ok((kept.len() < text.len()).then_some(kept))
}

/// The family that declares a sample's name.
pub(super) fn family_of(exposition: &Exposition<'_>, name: &str) -> Option<String> {
    let is_its = |family: &&promeval::exposition::Family| {
        let rest = name.strip_prefix(&*family.name);
        rest.is_some_and(|rest| {
            matches!(rest, "" | "_total" | "_bucket" | "_count" | "_sum" | "_created" | "_gcount" | "_gsum")
        })
    };
    // The longest name, where one begins with another.
    exposition.families().iter().filter(is_its).max_by_key(|family| family.name.len()).map(|family| family.name.clone())
}

pub(super) fn kind_of(exposition: &Exposition<'_>, name: &str) -> Option<Kind> {
    exposition.kind_of(&family_of(exposition, name)?)
}

fn is_counter(exposition: &Exposition<'_>, name: &str) -> bool {
    match kind_of(exposition, name) {
        Some(Kind::Counter) => !name.ends_with("_created"),
        Some(Kind::Histogram | Kind::Summary) => {
            ["_bucket", "_count", "_sum"].iter().any(|ending| name.ends_with(ending))
        }
        _ => false,
    }
}

/// # Errors
/// A text that is no exposition.
pub(super) fn parsed(text: &str, format: Format) -> Result<Exposition<'_>, String> {
    let exposition =
        Exposition::parse(text.as_bytes(), format).map_err(|error| format!("the metrics are malformed: {error}"))?;
    let lines = text.lines().filter(|line| is_sample(line)).count();
    if lines == exposition.samples().len() {
        Ok(exposition)
    } else {
        Err("the samples of the metrics are not one a line".into())
    }
}

pub(super) fn is_sample(line: &str) -> bool {
    let line = line.trim();
    !line.is_empty() && !line.starts_with('#')
}

/// Where the name and the labels of a sample end.
fn key_end(line: &str) -> usize {
    let start = line.len() - line.trim_start().len();
    let (mut is_quoted, mut is_escaped, mut is_inside) = (false, false, false);
    for (at, c) in line.char_indices().skip(start) {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' if is_quoted => is_escaped = true,
            '"' => is_quoted = !is_quoted,
            _ if is_quoted => {}
            '{' => is_inside = true,
            '}' => return at + 1,
            // In front of the labels there may be blanks.
            ' ' | '\t' if !is_inside && !line[at..].trim_start().starts_with('{') => return at,
            _ => {}
        }
    }
    line.len()
}

/// The first word of a text, and what follows it.
fn first_word(text: &str) -> (&str, &str) {
    let text = text.trim_start();
    text.split_at(text.find(char::is_whitespace).unwrap_or(text.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_changed_and_all_else_stays() {
        let text =
            "# HELP a x\n# TYPE a counter\na{b=\"} 7 \\\" {\",c=\"d\"} 1 1700000000000\na 2\n# TYPE g gauge\ng {} 3\n";
        let mut seen = Vec::new();
        let changed = edited(text, Format::Prometheus, &[("job".into(), "x".into())], &mut |line| {
            seen.push((line.labels.get("c").to_owned(), line.labels.get("job").to_owned(), line.is_counter));
            if line.value > 1.0 { Change::To(f64::NAN) } else { Change::To(5.0) }
        });
        let wanted = "# HELP a x\n# TYPE a counter\na{b=\"} 7 \\\" {\",c=\"d\"} 5 1700000000000\na NaN\n# TYPE g gauge\ng {} NaN\n";
        assert_eq!(changed.unwrap(), wanted);
        let label = |text: &str| text.to_owned();
        assert_eq!(
            seen,
            [(label("d"), label("x"), true), (label(""), label("x"), true), (label(""), label("x"), false)]
        );
    }

    #[test]
    fn a_family_goes_with_its_declaration() {
        let text = "# TYPE a counter\na_total 1\n# TYPE a_b gauge\na_b 2\n# EOF\n";
        let lost = without_family(text, Format::OpenMetrics, "a_total").unwrap();
        assert_eq!(lost.as_deref(), Some("# TYPE a_b gauge\na_b 2\n# EOF\n"));
        assert_eq!(without_family(text, Format::OpenMetrics, "c").unwrap(), None);
    }
}
