//! Alerts over the evaluations of a window: which are active, since when, and which fire. Pure.

use std::collections::HashMap;
use std::time::Duration;

use crate::plan::Alert;
use promeval::labels::Labels;
use promeval::promql::Element;

/// What is known of one alert.
#[derive(Clone, Debug, Default)]
pub(super) struct Activity {
    /// Since when each element is active, in milliseconds since the epoch, and its newest value.
    active: HashMap<Labels, (i64, f64)>,
    first: i64,
    /// At the first evaluation, rates have no data yet.
    second: Option<i64>,
    evaluations: u32,
    newest: i64,
    /// Why an evaluation failed, if one did.
    error: Option<String>,
}

/// An element of an alert that fires.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Firing {
    pub(super) labels: Labels,
    pub(super) value: f64,
    /// How long it has been active.
    pub(super) since: Duration,
}

impl Activity {
    /// Notes one evaluation.
    pub(super) fn evaluated(&mut self, time: i64, result: Result<Vec<Element>, String>) {
        self.evaluations += 1;
        match self.evaluations {
            1 => self.first = time,
            2 => self.second = Some(time),
            _ => {}
        }
        self.newest = time;
        match result {
            Ok(elements) => {
                let mut before = std::mem::take(&mut self.active);
                for element in elements {
                    let since = before.remove(&element.labels).map_or(time, |(since, _)| since);
                    self.active.insert(element.labels, (since, element.value));
                }
            }
            Err(error) => self.error = Some(error),
        }
    }

    pub(super) fn error(&self) -> Option<&str> {
        self.error.as_deref()
    }

    /// The elements that fire, the largest value first. An alert that has to be active for longer than the window lasts
    /// fires when it was active in every evaluation but the first: the gate cannot wait to see it end.
    pub(super) fn firing(&self, alert: &Alert) -> Vec<Firing> {
        let age = |since: i64| Duration::from_millis(u64::try_from(self.newest - since).unwrap_or(0));
        let watched = age(self.first);
        let needed = if alert.hold <= watched { alert.hold } else { age(self.second.unwrap_or(self.newest)) };
        let mut firing: Vec<Firing> = self
            .active
            .iter()
            .map(|(labels, (since, value))| Firing { labels: labels.clone(), value: *value, since: age(*since) })
            .filter(|firing| firing.since >= needed)
            .collect();
        firing.sort_by(|a, b| b.value.total_cmp(&a.value).then_with(|| a.labels.cmp(&b.labels)));
        firing
    }

    /// Elements that are active, but not for long enough.
    pub(super) fn pending(&self, alert: &Alert) -> usize {
        self.active.len() - self.firing(alert).len()
    }
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
            severity: String::new(),
            summary: String::new(),
            place: None,
        }
    }

    #[test]
    fn an_alert_fires_when_it_was_active_long_enough() {
        let active = || Ok(vec![Element { labels: Labels::default(), value: 2.0 }]);
        let run = |states: &[bool]| {
            let mut activity = Activity::default();
            for (index, on) in (0..).zip(states) {
                activity.evaluated(index * 5000, if *on { active() } else { Ok(Vec::new()) });
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
            let activity = run(states);
            assert_eq!(!activity.firing(&alert(hold)).is_empty(), fires, "{states:?} for {hold} s");
        }
        assert_eq!(run(&[false, false, true]).pending(&alert(10)), 1);
    }
}
