//! When a record is of, as people write it: days, and RFC 3339 in any zone. Pure.

/// When something was, so that it can be sorted: seconds since the Unix epoch, and whether a time of the day is known.
pub(super) type Moment = (i64, bool);

/// The moment that a text begins with: a day, and where it is understood, the time of the day as RFC 3339 writes it.
pub(super) fn moment(text: &str) -> Option<Moment> {
    const DAY: i64 = 24 * 60 * 60;
    let (day, time) = text.split_at_checked(10)?;
    let start = days(day)? * DAY;
    let Some((seconds, zone)) = time.strip_prefix(['T', 't', ' ']).and_then(time_of_day) else {
        return Some((start, false));
    };
    Some((start + seconds - zone, true))
}

/// The seconds of a time such as `10:00`, `10:00:00.5Z` and `10:00:00+02:00`, and those that its zone is ahead of UTC.
fn time_of_day(text: &str) -> Option<(i64, i64)> {
    let two = |text: &str, most: i64| {
        let is_number = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse::<i64>().ok().filter(|number| is_number && *number <= most)
    };
    let clock = |text: &str| Some(two(text.get(..2)?, 23)? * 3600 + two(text.get(2..)?.strip_prefix(':')?, 59)? * 60);
    let end = text.find(|c: char| !(c.is_ascii_digit() || matches!(c, ':' | '.'))).unwrap_or(text.len());
    let (time, zone) = text.split_at(end);
    let seconds = match time.get(5..)?.strip_prefix(':') {
        None if time.len() == 5 => 0,
        None => return None,
        Some(rest) => two(rest.split('.').next()?, 60)?,
    };
    let zone = match zone.trim() {
        "" | "Z" | "z" => 0,
        zone => match zone.split_at_checked(1)? {
            ("+", ahead) => clock(ahead)?,
            ("-", behind) => -clock(behind)?,
            _ => return None,
        },
    };
    Some((clock(time.get(..5)?)? + seconds, zone))
}

/// The days since the Unix epoch at a day such as `2026-01-31`.
fn days(text: &str) -> Option<i64> {
    let time = is_day(text).then(|| humantime::parse_rfc3339(&format!("{text}T00:00:00Z")).ok())??;
    let since = |ahead: std::time::Duration| i64::try_from(ahead.as_secs() / (24 * 60 * 60)).ok();
    time.duration_since(std::time::SystemTime::UNIX_EPOCH).ok().and_then(since)
}

/// Whether a text is written as a day is, such as `2026-01-31`.
pub(super) fn is_day(text: &str) -> bool {
    let number = |range: std::ops::Range<usize>| {
        let digits = text.get(range)?;
        digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse::<u32>().ok())?
    };
    let dashes = text.as_bytes().get(4) == Some(&b'-') && text.as_bytes().get(7) == Some(&b'-');
    let day = (number(0..4), number(5..7), number(8..10));
    text.len() == 10 && dashes && matches!(day, (Some(_), Some(1..=12), Some(1..=31)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_times_in_any_zone_are_understood() {
        const DAY: i64 = 24 * 60 * 60;
        for (text, wanted) in [
            ("1970-01-02", Some((DAY, false))),
            ("1970-01-02T00:00:10Z", Some((DAY + 10, true))),
            ("1970-01-02 00:00:10.75z", Some((DAY + 10, true))),
            ("1970-01-02t01:00", Some((DAY + 3600, true))),
            ("1970-01-02T01:00:00+01:30", Some((DAY - 1800, true))),
            ("1970-01-02T01:00:00-01:00", Some((DAY + 7200, true))),
            // What is no time leaves the day.
            ("1970-01-02T25:00:00Z", Some((DAY, false))),
            ("1970-01-02T01:00:00+1", Some((DAY, false))),
            ("1970-01-02T1:00é", Some((DAY, false))),
            ("1970-01-02 (a Friday)", Some((DAY, false))),
            ("1970-02-30", None),
            ("yesterday", None),
            ("1970-01-0é", None),
            ("", None),
        ] {
            assert_eq!(moment(text), wanted, "{text}");
        }
    }
}
