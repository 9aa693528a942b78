//! Dates in UTC of seconds since the Unix epoch, in the proleptic Gregorian calendar.

const DAY: i64 = 86_400;

/// Year, month and day.
fn civil(seconds: i64) -> (i64, i64, i64) {
    // Counted from 1 March of year 0, so that the leap day is the last of a year; an era is 400 years.
    let days = seconds.div_euclid(DAY) + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (era * 400 + year_of_era + i64::from(month <= 2), month, day)
}

fn is_leap(year: i64) -> bool {
    (year % 4 == 0 && year % 100 != 0) || year % 400 == 0
}

fn length(year: i64, month: i64) -> i64 {
    match month {
        2 => 28 + i64::from(is_leap(year)),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

pub(in crate::promql) fn year(seconds: i64) -> i64 {
    civil(seconds).0
}

pub(in crate::promql) fn month(seconds: i64) -> i64 {
    civil(seconds).1
}

pub(in crate::promql) fn day_of_month(seconds: i64) -> i64 {
    civil(seconds).2
}

pub(in crate::promql) fn days_in_month(seconds: i64) -> i64 {
    let (year, month, _) = civil(seconds);
    length(year, month)
}

/// Counted from 1.
pub(in crate::promql) fn day_of_year(seconds: i64) -> i64 {
    let (year, month, day) = civil(seconds);
    (1..month).map(|month| length(year, month)).sum::<i64>() + day
}

/// Sunday is 0.
pub(in crate::promql) fn day_of_week(seconds: i64) -> i64 {
    (seconds.div_euclid(DAY) + 4).rem_euclid(7)
}

pub(in crate::promql) fn hour(seconds: i64) -> i64 {
    seconds.rem_euclid(DAY) / 3600
}

pub(in crate::promql) fn minute(seconds: i64) -> i64 {
    seconds.rem_euclid(3600) / 60
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        // Seconds, then year, month, day, day of the week, day of the year, days in the month, hour, minute (GNU date's).
        for (seconds, wanted) in [
            (0, [1970, 1, 1, 4, 1, 31, 0, 0]),
            (-1, [1969, 12, 31, 3, 365, 31, 23, 59]),
            (951_782_400, [2000, 2, 29, 2, 60, 29, 0, 0]),
            (1_456_790_399, [2016, 2, 29, 1, 60, 29, 23, 59]),
            (4_107_542_400, [2100, 3, 1, 1, 60, 31, 0, 0]),
            (1_230_768_000, [2009, 1, 1, 4, 1, 31, 0, 0]),
            (1_798_761_540, [2026, 12, 31, 4, 365, 31, 23, 59]),
        ] {
            let functions = [year, month, day_of_month, day_of_week, day_of_year, days_in_month, hour, minute];
            assert_eq!(functions.map(|function| function(seconds)), wanted, "{seconds}");
        }
    }
}
