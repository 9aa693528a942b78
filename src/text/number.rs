//! Numbers for people: four significant digits, and more only where a comparison needs them. Pure.

use promeval::number::format_value;

/// The significant digits of a number in a sentence.
const DIGITS: usize = 4;

/// The significant digits that tell any two numbers apart.
const ALL: usize = 17;

/// A number with at most four significant digits.
pub(crate) fn number(value: f64) -> String {
    format_value(rounded(value, DIGITS))
}

/// Two numbers that are compared, with so few digits that it is still seen how they compare: of a value just over its limit,
/// four might show the limit.
pub(crate) fn beside(value: f64, limit: f64) -> (String, String) {
    let tells =
        |digits: &usize| rounded(value, *digits).partial_cmp(&rounded(limit, *digits)) == value.partial_cmp(&limit);
    let digits = (DIGITS..ALL).find(tells).unwrap_or(ALL);
    (format_value(rounded(value, digits)), format_value(rounded(limit, digits)))
}

fn rounded(value: f64, digits: usize) -> f64 {
    if !value.is_finite() || digits >= ALL {
        return value;
    }
    format!("{value:.*e}", digits.saturating_sub(1)).parse().unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_reads_four_digits() {
        for (value, wanted) in [
            (0.0, "0"),
            (3.0, "3"),
            (0.9, "0.9"),
            (0.912_345_678, "0.9123"),
            (0.1 + 0.2, "0.3"),
            (12.345, "12.35"),
            (-1_234.567, "-1235"),
            (123_456.0, "123500"),
            (0.000_123_456, "0.0001235"),
            (1.234_567e-9, "1.235e-09"),
            (f64::INFINITY, "+Inf"),
            (f64::NAN, "NaN"),
        ] {
            assert_eq!(number(value), wanted);
        }
    }

    #[test]
    fn two_numbers_are_told_apart_where_they_differ() {
        for (value, limit, wanted) in [
            (0.5, 0.8, ("0.5", "0.8")),
            (0.912_345_678, 0.8, ("0.9123", "0.8")),
            (2.000_01, 2.0, ("2.00001", "2")),
            (0.1 + 0.2, 0.3, ("0.30000000000000004", "0.3")),
            (1_000_001.0, 1_000_000.0, ("1000001", "1000000")),
            (2.0, 2.0, ("2", "2")),
            (f64::NAN, 1.0, ("NaN", "1")),
            (f64::INFINITY, 0.333_333, ("+Inf", "0.3333")),
        ] {
            assert_eq!(beside(value, limit), (wanted.0.to_owned(), wanted.1.to_owned()));
        }
    }
}
