//! Samples back to exposition text: parsing what is printed gives the same samples and families.

use std::borrow::Cow;
use std::fmt;

use super::{Exposition, Family, Format, RawSample, Written};
use crate::labels::{is_legacy_label, is_legacy_name, quote};
use crate::number::format_value;

impl fmt::Display for Exposition<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.format {
            Format::Prometheus => {
                self.families.iter().try_for_each(|family| self.print_family(f, family))?;
                self.print_samples(f, 0, self.samples.len())
            }
            Format::OpenMetrics => {
                for (index, family) in self.families.iter().enumerate() {
                    let end =
                        self.families.get(index + 1).map_or(self.samples.len(), |next| next.first_sample as usize);
                    self.print_family(f, family)?;
                    self.print_samples(f, family.first_sample as usize, end)?;
                }
                f.write_str("# EOF\n")
            }
        }
    }
}

impl Exposition<'_> {
    fn print_family(&self, f: &mut fmt::Formatter<'_>, family: &Family) -> fmt::Result {
        let name = if is_legacy_name(&family.name) { family.name.clone() } else { quote(&family.name) };
        if let Some(kind) = family.kind {
            writeln!(f, "# TYPE {name} {}", kind.word(self.format))?;
        }
        if let Some(unit) = &family.unit {
            writeln!(f, "# UNIT {name} {unit}")?;
        }
        if let Some(help) = &family.help {
            writeln!(f, "# HELP {name} {}", help.replace('\\', "\\\\").replace('\n', "\\n"))?;
        }
        Ok(())
    }

    fn print_samples(&self, f: &mut fmt::Formatter<'_>, start: usize, end: usize) -> fmt::Result {
        for index in start..end {
            self.print_sample(f, self.samples[index], self.timestamp(index))?;
            #[expect(clippy::cast_possible_truncation, reason = "bounded by the text's length")]
            if let Some(exemplar) = self.exemplars.get(&(index as u32)) {
                f.write_str(" # ")?;
                let labels: Vec<_> = Written::new(self.text, exemplar.start, exemplar.end).map(label).collect();
                write!(f, "{{{}}} {}", labels.join(","), format_value(exemplar.value))?;
                if !exemplar.timestamp.is_nan() {
                    write!(f, " {}", exemplar.timestamp)?;
                }
            }
            f.write_str("\n")?;
        }
        Ok(())
    }

    fn print_sample(&self, f: &mut fmt::Formatter<'_>, sample: RawSample, timestamp: f64) -> fmt::Result {
        let name = sample.name(self.text).text(self.text);
        let legacy = is_legacy_name(&name);
        let inside = (!legacy).then(|| quote(&name));
        let labels = sample.labels(self.text).map(label);
        let parts: Vec<String> = inside.into_iter().chain(labels).collect();
        if legacy {
            f.write_str(&name)?;
        }
        if !parts.is_empty() {
            write!(f, "{{{}}}", parts.join(","))?;
        }
        write!(f, " {}", format_value(sample.value))?;
        match self.format {
            _ if timestamp.is_nan() => Ok(()),
            Format::OpenMetrics => write!(f, " {timestamp}"),
            #[expect(clippy::cast_possible_truncation, reason = "read from a whole number of milliseconds")]
            Format::Prometheus => write!(f, " {}", (timestamp * 1000.0).round() as i64),
        }
    }
}

fn label((name, value): (Cow<'_, str>, Cow<'_, str>)) -> String {
    let name = if is_legacy_label(&name) { name.into_owned() } else { quote(&name) };
    format!("{name}={}", quote(&value))
}
