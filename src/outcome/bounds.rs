//! How much of what was seen is kept: a canary may say megabytes, and a person reads a screen. Cut once, for every sink.

use super::{Observation, Seen, Status};
use crate::text::cut;

/// The longest sentence, in characters.
const SENTENCE: usize = 2_000;

/// The longest name or label value.
const NAME: usize = 500;

/// The most observations of a check.
const OBSERVATIONS: usize = 500;

/// A sentence that holds what a canary said, cut where it is too long.
pub(crate) fn sentence(text: &mut String) {
    shorten(text, SENTENCE);
}

/// A word or two of what a canary said, cut where it is too long.
pub(crate) fn name(text: &mut String) {
    shorten(text, NAME);
}

/// What a check saw, cut where it is too much: what is good goes first, and a note says how much was left out.
pub(crate) fn observations(observations: &mut Vec<Observation>) {
    if observations.len() > OBSERVATIONS {
        let left_out = observations.len() - OBSERVATIONS;
        let is_good = |status| matches!(status, Status::Pass | Status::Skipped);
        let mut bad_room = OBSERVATIONS;
        let bad = observations.iter().filter(|observation| !is_good(observation.status)).count();
        let mut good_room = OBSERVATIONS.saturating_sub(bad);
        observations.retain(|observation| {
            let room = if is_good(observation.status) { &mut good_room } else { &mut bad_room };
            let kept = *room > 0;
            *room = room.saturating_sub(1);
            kept
        });
        let detail = format!("{left_out} more observations were left out");
        observations.push(Observation::note("left out", Status::Pass, detail));
    }
    for observation in observations {
        let Observation { name, detail, expected, actual, seen, .. } = observation;
        shorten(name, NAME);
        shorten(detail, SENTENCE);
        for text in [expected, actual].into_iter().flatten() {
            shorten(text, NAME);
        }
        if let Seen::Threshold(seen) = seen {
            shorten(&mut seen.expression, SENTENCE);
            let courses = seen.courses.iter_mut().flat_map(|course| &mut course.labels);
            for (name, value) in seen.elements.iter_mut().flat_map(|element| &mut element.labels).chain(courses) {
                shorten(name, NAME);
                shorten(value, NAME);
            }
        }
    }
}

fn shorten(text: &mut String, characters: usize) {
    if text.len() > characters
        && let std::borrow::Cow::Owned(short) = cut(text, characters)
    {
        *text = short;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_bad_is_kept_and_what_is_left_out_is_counted() {
        let seen = |status| Observation::note("x", status, "y".repeat(3_000));
        let mut all: Vec<Observation> = (0..2_000).map(|_| seen(Status::Pass)).collect();
        all.extend([seen(Status::Fail), seen(Status::Warn)]);
        observations(&mut all);
        assert_eq!(all.len(), OBSERVATIONS + 1);
        assert_eq!(all.iter().filter(|one| one.status == Status::Fail || one.status == Status::Warn).count(), 2);
        assert_eq!(all.last().unwrap().detail, "1502 more observations were left out");
        assert!(all[0].detail.chars().count() == SENTENCE + 1 && all[0].detail.ends_with('…'));
        let mut few = vec![seen(Status::Pass)];
        observations(&mut few);
        assert_eq!(few.len(), 1);
    }
}
