//! What `OpenMetrics` requires of the samples of one family together: names, groups, order, values, buckets.

use std::collections::{HashMap, HashSet};

use foldhash::fast::RandomState;

use super::{Format, Kind, WarningKind};
use crate::number::parse_float;

/// The names that the families so far have claimed: those of their samples, and their own.
#[derive(Default)]
pub(super) struct Claims(HashMap<String, Use, RandomState>);

/// What a family has a name for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Use {
    Samples,
    /// Its own name, which none of its samples has.
    Family,
}

/// What came of a claim.
pub(super) enum Claim {
    New,
    /// Another family has the same name, and samples of other names.
    SharesName,
    /// The name that another family has.
    Clashes(String),
}

impl Claims {
    /// Claims the names of a family: the bare one, and one for each ending that its kind has.
    pub(super) fn claim(&mut self, closed: &Closed) -> Claim {
        let suffixes = closed.kind.suffixes(Format::OpenMetrics);
        let mut claim = Claim::New;
        let bare = (!suffixes.contains(&"")).then_some(("", Use::Family));
        for (suffix, new) in bare.into_iter().chain(suffixes.iter().map(|suffix| (*suffix, Use::Samples))) {
            let name = format!("{}{suffix}", closed.name);
            match self.0.get(&name).map(|known| *known == Use::Family || new == Use::Family) {
                None => drop(self.0.insert(name, new)),
                // Right behind the other one: elsewhere it is a family whose lines are not together.
                Some(true) if closed.is_declared && closed.after_samples => {
                    claim = Claim::SharesName;
                    if new == Use::Samples {
                        self.0.insert(name, new);
                    }
                }
                Some(_) => return Claim::Clashes(name),
            }
        }
        claim
    }
}

/// A family whose lines are over.
pub(super) struct Closed {
    pub(super) name: String,
    pub(super) kind: Kind,
    /// Whether it has a `# TYPE` line.
    pub(super) is_declared: bool,
    /// Whether it began with metadata after the samples of a family of the same name.
    pub(super) after_samples: bool,
    /// What clients write otherwise than the format wants it, and the offset of the first case.
    pub(super) odd: Option<(WarningKind, usize)>,
}

/// What the rules need to know about a sample, besides its name and labels.
pub(super) struct Told {
    /// A hash of the labels that all samples of one metric share.
    pub(super) group: u64,
    pub(super) value: f64,
    /// NaN where there is none.
    pub(super) timestamp: f64,
    pub(super) exemplar: bool,
    /// The offset of its line.
    pub(super) start: usize,
}

/// One family while its lines are read.
pub(super) struct FamilyRules {
    pub(super) name: String,
    pub(super) kind: Kind,
    /// The offset of the family's first line.
    pub(super) start: usize,
    pub(super) is_declared: bool,
    /// Whether it began with metadata after the samples of a family of the same name.
    pub(super) after_samples: bool,
    groups: HashSet<u64, RandomState>,
    group: Option<(u64, f64)>,
    buckets: Option<Buckets>,
    quantiles: Quantiles,
    odd: Option<(WarningKind, usize)>,
}

/// The quantiles and the sum of one summary at one timestamp.
#[derive(Default)]
struct Quantiles {
    /// The offset of the first negative value.
    negative: Option<usize>,
    counted: bool,
}

/// The buckets of one histogram at one timestamp.
#[derive(Default)]
struct Buckets {
    bound: Option<f64>,
    value: f64,
    count: Option<f64>,
    sum: Option<f64>,
    gauge_sum: Option<f64>,
    negative: bool,
    /// The offset of the first line.
    start: usize,
}

impl FamilyRules {
    pub(super) fn new(name: String, start: usize, after_samples: bool) -> Self {
        let (groups, group, buckets, quantiles, odd) = (HashSet::default(), None, None, Quantiles::default(), None);
        let kind = Kind::Unknown;
        Self { name, kind, start, is_declared: false, after_samples, groups, group, buckets, quantiles, odd }
    }

    pub(super) fn has_samples(&self) -> bool {
        self.group.is_some()
    }

    /// Whether a sample of this name belongs to the family.
    pub(super) fn owns(&self, sample: &str) -> bool {
        let suffix = sample.strip_prefix(&*self.name);
        suffix.is_some_and(|suffix| self.kind.suffixes(Format::OpenMetrics).contains(&suffix))
    }

    /// The label that tells the samples of one metric apart.
    pub(super) fn grouping_label(&self, sample: &str) -> Option<&str> {
        match self.kind {
            Kind::Summary if sample == self.name => Some("quantile"),
            Kind::StateSet => Some(&self.name),
            Kind::Histogram | Kind::GaugeHistogram if sample.ends_with("_bucket") => Some("le"),
            _ => None,
        }
    }

    /// Why a sample that the family does not own is not right, where it lacks the ending that the kind wants.
    pub(super) fn ending_is_missing(&self, sample: &str) -> Option<String> {
        let (word, ending) = match self.kind {
            Kind::Counter => ("counter", "_total"),
            Kind::Info => ("info", "_info"),
            _ => return None,
        };
        let name = &self.name;
        if sample != name {
            return None;
        }
        Some(match name.strip_suffix(ending) {
            Some(family) => format!(
                "the {word} {name:?} is declared with the ending of its samples: the TYPE line must name {family:?}"
            ),
            None => format!("the sample of the {word} {name:?} has no ending: it must be named \"{name}{ending}\""),
        })
    }

    /// Checks one sample that the family owns; `marked` is the value of its grouping label.
    pub(super) fn sample(&mut self, sample: &str, marked: Option<&str>, told: &Told) -> Result<(), String> {
        let suffix = &sample[self.name.len()..];
        let bound = self.check_marker(suffix, marked)?;
        self.check_group(told)?;
        self.check_value(suffix, told)?;
        if matches!(self.kind, Kind::Histogram | Kind::GaugeHistogram) {
            let buckets = self.buckets.get_or_insert_with(|| Buckets { start: told.start, ..Buckets::default() });
            buckets.sample(suffix, bound, told.value)?;
        }
        if self.kind == Kind::Summary {
            self.quantiles.counted |= suffix == "_count";
            if told.value < 0.0 {
                self.quantiles.negative.get_or_insert(told.start);
            }
        }
        Ok(())
    }

    /// Checks the label that the kind requires; returns a bucket's bound.
    fn check_marker(&self, suffix: &str, marked: Option<&str>) -> Result<f64, String> {
        match self.kind {
            Kind::Histogram | Kind::GaugeHistogram if suffix == "_bucket" => {
                let Some(le) = marked else {
                    return Err("a bucket has no le label".into());
                };
                let bound = parse_float(le).filter(|bound| !bound.is_nan());
                match bound {
                    Some(bound) if bound == f64::INFINITY && le != "+Inf" => {
                        Err(format!("the le label {le:?} must be written +Inf"))
                    }
                    Some(bound) => Ok(bound),
                    None => Err(format!("the le label {le:?} is not a number")),
                }
            }
            Kind::Summary if suffix.is_empty() => {
                let quantile = marked.and_then(parse_float);
                match (marked, quantile) {
                    (None, _) => Err("a quantile has no quantile label".into()),
                    (_, Some(quantile)) if (0.0..=1.0).contains(&quantile) => Ok(quantile),
                    (Some(text), _) => Err(format!("the quantile label {text:?} is not between 0 and 1")),
                }
            }
            Kind::StateSet if marked.is_none() => Err(format!("a state has no label {:?}", self.name)),
            _ => Ok(f64::NAN),
        }
    }

    /// The samples of a metric are together, and their timestamps do not go backwards.
    fn check_group(&mut self, told: &Told) -> Result<(), String> {
        // The samples of an info family cannot be told apart: each of them is a metric.
        let group = if self.kind == Kind::Info { 0 } else { told.group };
        let before = self.group.replace((group, told.timestamp));
        let Some((last, timestamp)) = before else {
            self.groups.insert(group);
            return Ok(());
        };
        if last == group {
            if timestamp.is_nan() != told.timestamp.is_nan() {
                return Err("samples with and without a timestamp in one metric".into());
            }
            if timestamp > told.timestamp && self.kind != Kind::Info {
                return Err("the timestamps of one metric go backwards".into());
            }
        } else if !self.groups.insert(group) {
            return Err("the samples of one metric are not together".into());
        }
        if last != group || (timestamp.to_bits() != told.timestamp.to_bits()) {
            self.close_metric()?;
        }
        Ok(())
    }

    fn check_value(&self, suffix: &str, told: &Told) -> Result<(), String> {
        let value = told.value;
        let counts = matches!(suffix, "_total" | "_sum" | "_count" | "_bucket" | "_gcount");
        if value.is_nan() && (counts || suffix == "_gsum") {
            return Err("a value that only counts up cannot be NaN".into());
        }
        // What is negative may be in a sum: the metric as a whole shows it.
        let is_sum = suffix == "_sum" && matches!(self.kind, Kind::Histogram | Kind::Summary);
        if value < 0.0 && counts && !is_sum {
            return Err("a value that only counts up cannot be negative".into());
        }
        if matches!(suffix, "_count" | "_bucket" | "_gcount") && value.fract() != 0.0 {
            return Err("a count of observations must be a whole number".into());
        }
        match self.kind {
            Kind::StateSet if value != 0.0 && value != 1.0 => return Err("the value of a state must be 0 or 1".into()),
            #[expect(clippy::float_cmp, reason = "the specification asks for exactly 1")]
            Kind::Info if value != 1.0 => return Err("the value of an info must be 1".into()),
            _ => {}
        }
        let carries = match self.kind {
            Kind::Histogram | Kind::GaugeHistogram => suffix == "_bucket",
            Kind::Counter => suffix == "_total",
            _ => false,
        };
        if told.exemplar && !carries {
            return Err("only buckets and the _total of a counter may have exemplars".into());
        }
        Ok(())
    }

    /// Checks what only all samples of one metric show.
    fn close_metric(&mut self) -> Result<(), String> {
        let quantiles = std::mem::take(&mut self.quantiles);
        if let Some(start) = quantiles.negative {
            // Of negative observations the Go client makes a whole summary all the same.
            if !quantiles.counted {
                return Err("a quantile or a sum without a count cannot be negative".into());
            }
            self.odd.get_or_insert((WarningKind::NegativeSummary, start));
        }
        let Some(buckets) = self.buckets.take() else { return Ok(()) };
        if buckets.negative && self.kind == Kind::Histogram {
            let kind = if buckets.sum.is_some() { WarningKind::NegativeBounds } else { WarningKind::NoSum };
            if buckets.count.is_some() {
                self.odd.get_or_insert((kind, buckets.start));
            }
        }
        buckets.close()
    }

    /// Checks what only the whole family shows.
    pub(super) fn close(mut self, unit: Option<&str>) -> Result<Closed, String> {
        self.close_metric()?;
        if let Some(unit) = unit.filter(|unit| !unit.is_empty()) {
            let fits = self.name.strip_suffix(unit).is_some_and(|rest| rest.ends_with('_'));
            if !fits {
                return Err(format!("the unit {unit:?} is not the end of the name {:?}", self.name));
            }
            if matches!(self.kind, Kind::Info | Kind::StateSet) {
                return Err("a family of this type has no unit".into());
            }
        }
        let Self { name, kind, is_declared, after_samples, odd, .. } = self;
        Ok(Closed { name, kind, is_declared, after_samples, odd })
    }
}

impl Buckets {
    fn sample(&mut self, suffix: &str, bound: f64, value: f64) -> Result<(), String> {
        match suffix {
            "_bucket" => {
                self.negative |= bound < 0.0;
                if self.bound.is_some_and(|before| bound <= before) {
                    return Err("the buckets are not in the order of their bounds".into());
                }
                if value < self.value {
                    return Err("the buckets are not cumulative: the value falls".into());
                }
                (self.bound, self.value) = (Some(bound), value);
            }
            "_count" | "_gcount" => self.count = Some(value),
            "_sum" if value < 0.0 && !self.negative => {
                return Err("the sum of values that have no negative bucket cannot be negative".into());
            }
            "_sum" => self.sum = Some(value),
            "_gsum" => self.gauge_sum = Some(value),
            _ => {}
        }
        Ok(())
    }

    fn close(self) -> Result<(), String> {
        let fail = |cause: &str| Err(cause.to_owned());
        #[expect(clippy::float_cmp, reason = "both are whole numbers")]
        match self {
            Self { bound, .. } if bound != Some(f64::INFINITY) => fail("the +Inf bucket is missing"),
            Self { count: Some(count), value, .. } if count != value => fail("the count differs from the +Inf bucket"),
            Self { sum: Some(_), count: None, .. } => fail("there is a _sum without a _count"),
            Self { gauge_sum: Some(_), count: None, .. } => fail("there is a _gsum without a _gcount"),
            Self { negative: false, sum: None, gauge_sum: None, count: Some(_), .. } => {
                fail("there is a count without a sum")
            }
            Self { negative: false, gauge_sum: Some(sum), .. } if sum < 0.0 => {
                fail("the _gsum is negative and no bucket is")
            }
            _ => Ok(()),
        }
    }
}
