//! Alerts over the evaluations of a window: which are active, since when, and which fire; as a Prometheus server has it.
//! Pure.

use std::collections::HashMap;
use std::time::Duration;

use crate::plan::{Alert, Window, template};
use promeval::labels::{Labels, METRIC_NAME};
use promeval::promql::Element;

/// The series of pending and firing alerts.
pub(super) const ALERTS: &str = "ALERTS";

/// The series that tell since when they are.
pub(super) const ALERTS_FOR_STATE: &str = "ALERTS_FOR_STATE";

/// Of both series: the alert.
pub(super) const ALERT_NAME: &str = "alertname";

/// Of [`ALERTS`]: [`PENDING`] or [`FIRING`].
pub(super) const ALERT_STATE: &str = "alertstate";

pub(super) const PENDING: &str = "pending";
pub(super) const FIRING: &str = "firing";

/// What is known of one alert.
#[derive(Clone, Debug)]
pub(super) struct Activity {
    /// By the labels of the alert.
    active: HashMap<Labels, Active>,
    /// How many evaluations there will be.
    planned: u32,
    evaluations: u32,
    first: i64,
    /// At the first evaluation, rates have no data yet.
    second: Option<i64>,
    newest: i64,
    /// Why an evaluation failed, if one did.
    error: Option<String>,
}

/// One pending or firing element. Times are milliseconds since the epoch.
#[derive(Clone, Debug)]
struct Active {
    element: Labels,
    /// The newest one.
    value: f64,
    since: i64,
    fires: bool,
    /// Since when the expression does not have it any more, and it is kept firing.
    kept: Option<i64>,
}

/// An element of an alert that fires.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Firing {
    /// Those of the element: the alert's own are the same for all of them.
    pub(super) labels: Labels,
    pub(super) value: f64,
    /// How long it has been active.
    pub(super) since: Duration,
    /// How long it has been kept firing.
    pub(super) kept: Option<Duration>,
}

impl Activity {
    /// Of an alert that is evaluated at every scrape of a window, or once.
    pub(super) fn new(window: Option<Window>) -> Self {
        Self {
            active: HashMap::new(),
            planned: window.map_or(1, |window| window.scrapes()),
            evaluations: 0,
            first: 0,
            second: None,
            newest: 0,
            error: None,
        }
    }

    /// Notes one evaluation.
    ///
    /// # Errors
    /// Why it failed; the states of before stay.
    pub(super) fn evaluated(
        &mut self,
        alert: &Alert,
        time: i64,
        result: Result<Vec<Element>, String>,
    ) -> Result<(), String> {
        self.evaluations += 1;
        match self.evaluations {
            1 => self.first = time,
            2 => self.second = Some(time),
            _ => {}
        }
        self.newest = time;
        let updated = result.and_then(|elements| self.update(alert, time, elements));
        if let Err(error) = &updated {
            self.error = Some(error.clone());
        }
        updated
    }

    /// Notes an evaluation that was not to be had: nothing is known of it.
    pub(super) fn skipped(&mut self) {
        self.planned = self.planned.saturating_sub(1);
    }

    fn update(&mut self, alert: &Alert, time: i64, elements: Vec<Element>) -> Result<(), String> {
        let mut now = HashMap::with_capacity(elements.len());
        for Element { labels, value } in elements {
            if now.insert(identity(alert, &labels, value), (labels, value)).is_some() {
                return Err("two of its elements have the same labels when the alert's own are set".into());
            }
        }
        let within = |from: i64, limit: Duration| age(from, time) < limit;
        self.active.retain(|labels, active| {
            if let Some((element, value)) = now.remove(labels) {
                (active.element, active.value, active.kept) = (element, value, None);
                return true;
            }
            let kept = active.fires && !alert.keep_firing.is_zero();
            kept && within(*active.kept.get_or_insert(time), alert.keep_firing)
        });
        for (labels, (element, value)) in now {
            self.active.insert(labels, Active { element, value, since: time, fires: false, kept: None });
        }
        for active in self.active.values_mut() {
            active.fires |= !within(active.since, alert.hold);
        }
        if alert.limit > 0 && self.active.len() > alert.limit {
            let count = self.active.len();
            self.active.clear();
            return Err(format!(
                "{count} of its elements are pending or firing, over the {} of its group's limit",
                alert.limit
            ));
        }
        Ok(())
    }

    /// The series that the newest evaluation gives.
    pub(super) fn series(&self, alert: &Alert) -> impl Iterator<Item = (Labels, f64)> {
        self.active.iter().flat_map(|(labels, active)| {
            let mut labels = Labels::new(own(alert).chain(labels.iter()).chain([(METRIC_NAME, ALERTS_FOR_STATE)]));
            #[expect(clippy::cast_precision_loss, reason = "seconds since the epoch are far below 2^53")]
            let since = active.since.div_euclid(1000) as f64;
            let for_state = (labels.clone(), since);
            labels.set(METRIC_NAME, ALERTS);
            labels.set(ALERT_STATE, if active.fires { FIRING } else { PENDING });
            [(labels, 1.0), for_state]
        })
    }

    pub(super) fn error(&self) -> Option<&str> {
        self.error.as_deref()
    }

    /// Whether all evaluations are done, and lasted for less than the alert has to be active. It then fires when it was
    /// active in every evaluation but the first: the gate cannot wait to see it end.
    pub(super) fn is_capped(&self, alert: &Alert) -> bool {
        self.evaluations >= self.planned && age(self.first, self.newest) < alert.hold
    }

    fn fires(&self, alert: &Alert, active: &Active) -> bool {
        active.fires || self.is_capped(alert) && active.since <= self.second.unwrap_or(self.newest)
    }

    /// The elements that fire, the largest value first.
    pub(super) fn firing(&self, alert: &Alert) -> Vec<Firing> {
        let fires = self.active.values().filter(|active| self.fires(alert, active));
        let mut firing: Vec<Firing> = fires
            .map(|active| Firing {
                labels: active.element.clone(),
                value: active.value,
                since: age(active.since, self.newest),
                kept: active.kept.map(|kept| age(kept, self.newest)),
            })
            .collect();
        firing.sort_by(|a, b| b.value.total_cmp(&a.value).then_with(|| a.labels.cmp(&b.labels)));
        firing
    }

    /// How many elements are active, but not for long enough; and how long the oldest of them is.
    pub(super) fn pending(&self, alert: &Alert) -> (usize, Duration) {
        let pending = self.active.values().filter(|active| !self.fires(alert, active));
        let ages = pending.map(|active| age(active.since, self.newest));
        ages.fold((0, Duration::ZERO), |(count, oldest), age| (count + 1, oldest.max(age)))
    }
}

/// The labels that tell the elements of an alert apart: those of the element, less its name, under those of the alert.
fn identity(alert: &Alert, element: &Labels, value: f64) -> Labels {
    let mut labels = element.clone();
    labels.set(METRIC_NAME, "");
    for (name, written) in &alert.labels {
        if template::is_template(written) {
            labels.set(name, &template::fill(written, element, value));
        } else {
            labels.set(name, written);
        }
    }
    labels.set(ALERT_NAME, &alert.name);
    labels
}

/// The alert's own labels as they are written: a template that comes to nothing stays in the series, as on a server.
fn own(alert: &Alert) -> impl Iterator<Item = (&str, &str)> {
    alert.labels.iter().map(|(name, value)| (&**name, &**value))
}

fn age(since: i64, time: i64) -> Duration {
    Duration::from_millis(u64::try_from(time - since).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use promeval::promql::parse;

    fn alert(hold: u64) -> Alert {
        Alert {
            name: "A".into(),
            expr: parse("x > 1").unwrap(),
            source: "x > 1".into(),
            hold: Duration::from_secs(hold),
            keep_firing: Duration::ZERO,
            limit: 0,
            labels: Vec::new(),
            severity: String::new(),
            summary: String::new(),
            place: None,
        }
    }

    fn window(scrapes: usize) -> Window {
        let interval = Duration::from_secs(5);
        let length = interval * u32::try_from(scrapes - 1).unwrap();
        Window { length, interval, fail_fast: false, max_failed_scrapes: 0 }
    }

    /// Evaluates an alert every five seconds, with the values of its elements by their label `a`.
    fn watched(alert: &Alert, evaluations: &[&[(&str, f64)]]) -> Activity {
        let mut activity = Activity::new(Some(window(evaluations.len())));
        for (index, elements) in (0..).zip(evaluations) {
            let element = |(a, value): &(&str, f64)| Element {
                labels: Labels::new([("a", *a), (METRIC_NAME, "x")]),
                value: *value,
            };
            let _ = activity.evaluated(alert, index * 5000, Ok(elements.iter().map(element).collect()));
        }
        activity
    }

    #[test]
    fn an_alert_fires_when_it_was_active_long_enough() {
        let active = || Ok(vec![Element { labels: Labels::default(), value: 2.0 }]);
        let run = |states: &[bool], hold: u64| {
            let mut activity = Activity::new(Some(window(states.len())));
            for (index, on) in (0..).zip(states) {
                activity.evaluated(&alert(hold), index * 5000, if *on { active() } else { Ok(Vec::new()) }).unwrap();
            }
            activity
        };
        for (states, hold, fires) in [
            (&[true][..], 0, true),
            (&[true], 300, true),
            (&[true, true, true], 10, true),
            (&[false, true, true], 10, false),
            (&[false, true, true], 5, true),
            (&[true, false, true], 5, false),
            (&[true, true, true], 300, true),
            (&[false, true, true], 300, true),
            (&[true, false, true], 300, false),
            (&[true, true, false], 0, false),
        ] {
            let activity = run(states, hold);
            assert_eq!(!activity.firing(&alert(hold)).is_empty(), fires, "{states:?} for {hold} s");
        }
        assert_eq!(run(&[false, false, true], 10).pending(&alert(10)), (1, Duration::ZERO));
        assert_eq!(run(&[false, true, true], 10).pending(&alert(10)), (1, Duration::from_secs(5)));
    }

    #[test]
    fn a_window_that_is_not_over_caps_nothing() {
        let active = || Ok(vec![Element { labels: Labels::default(), value: 2.0 }]);
        let (alert, mut activity) = (alert(8), Activity::new(Some(window(3))));
        for (index, fires) in [false, false, true].into_iter().enumerate() {
            activity.evaluated(&alert, i64::try_from(index * 5000).unwrap(), active()).unwrap();
            assert_eq!(!activity.firing(&alert).is_empty(), fires, "evaluation {index}");
            assert!(!activity.is_capped(&alert));
        }
    }

    #[test]
    fn an_alert_is_kept_firing() {
        let on: &[(&str, f64)] = &[("1", 2.0)];
        for (keep, evaluations, fires) in [
            (0, &[on, &[]][..], false),
            (10, &[on, &[]], true),
            (10, &[on, &[], &[]], true),
            (10, &[on, &[], &[], &[]], false),
            (10, &[on, &[], on, &[], &[]], true),
            (5, &[on, &[], &[]], false),
        ] {
            let alert = Alert { keep_firing: Duration::from_secs(keep), ..alert(0) };
            let firing = watched(&alert, evaluations).firing(&alert);
            assert_eq!(!firing.is_empty(), fires, "{keep}: {evaluations:?}");
            assert!(firing.iter().all(|firing| firing.value == 2.0 && firing.kept.is_some()), "{firing:?}");
        }
        // What is pending is not kept.
        let alert = Alert { keep_firing: Duration::from_secs(100), ..alert(10) };
        assert_eq!(watched(&alert, &[on, on, &[]]).firing(&alert), []);
    }

    #[test]
    fn more_than_the_limit_is_a_failure_of_the_rule() {
        let alert = Alert { limit: 1, ..alert(0) };
        let activity = watched(&alert, &[&[("1", 2.0)]]);
        assert_eq!((activity.error(), activity.firing(&alert).len()), (None, 1));
        let activity = watched(&alert, &[&[("1", 2.0)], &[("1", 2.0), ("2", 3.0)]]);
        assert_eq!(activity.firing(&alert), []);
        assert!(activity.error().unwrap().contains("2 of its elements are pending or firing, over the 1"));
    }

    #[test]
    fn an_alert_gives_series_under_its_own_labels() {
        let labels = [("team", "{{ $labels.a }}-{{ $value }}"), ("gone", "{{ $labels.none }}"), ("severity", "page")];
        let labels: Vec<(String, String)> = labels.map(|(name, value)| (name.into(), value.into())).into();
        let alert = Alert { labels, ..alert(5) };
        let shown = |activity: &Activity| {
            let mut shown: Vec<String> =
                activity.series(&alert).map(|(labels, value)| format!("{labels} {value}")).collect();
            shown.sort();
            shown
        };
        let rest = "alertname=\"A\"";
        let end = "gone=\"{{ $labels.none }}\", severity=\"page\", team=\"1-2\"} ";
        assert_eq!(
            shown(&watched(&alert, &[&[], &[("1", 2.0)]])),
            [
                format!("ALERTS_FOR_STATE{{a=\"1\", {rest}, {end}5"),
                format!("ALERTS{{a=\"1\", {rest}, alertstate=\"pending\", {end}1"),
            ]
        );
        let activity = watched(&alert, &[&[("1", 2.0)], &[("1", 2.0)]]);
        assert!(shown(&activity)[1].contains("alertstate=\"firing\""), "{:?}", shown(&activity));
        // A label with the value is another alert each time.
        assert!(shown(&watched(&alert, &[&[("1", 2.0)], &[("1", 3.0)]]))[1].contains("pending"));
        let same = Alert { labels: vec![("a".into(), "x".into())], ..alert.clone() };
        let activity = watched(&same, &[&[("1", 2.0), ("2", 2.0)]]);
        assert!(activity.error().unwrap().contains("the same labels"), "{:?}", activity.error());
    }
}
