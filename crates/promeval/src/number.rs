//! Numbers as Prometheus reads and writes them.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Reads a float as the exposition formats and `le` labels write it: decimal digits with an optional exponent, or
/// `Inf`/`NaN` in any case. Hexadecimal, digit separators, blanks and numbers too large for a float are refused.
#[must_use]
pub fn parse_float(text: &str) -> Option<f64> {
    let bytes = text.as_bytes();
    if !bytes.is_empty() && bytes.len() <= 15 && bytes.iter().all(u8::is_ascii_digit) {
        // Counters are mostly short integers, exact in a float: skipping the general parser is a third of the parse time.
        let integer = bytes.iter().fold(0_u64, |sum, digit| sum * 10 + u64::from(digit - b'0'));
        #[expect(clippy::cast_precision_loss, reason = "15 digits are exact")]
        return Some(integer as f64);
    }
    let value: f64 = text.parse().ok()?;
    let named = bytes.last().is_some_and(u8::is_ascii_alphabetic);
    (named || value.is_finite()).then_some(value)
}

/// Reads a float as Go does, and so Prometheus the bounds of buckets: besides what [`parse_float`] takes, digits may be
/// separated by `_`, and a hexadecimal mantissa has an exponent of two, as in `0x1p-3`.
#[must_use]
pub fn parse_go_float(text: &str) -> Option<f64> {
    let (negative, magnitude) = match text.strip_prefix('-') {
        Some(magnitude) => (true, magnitude),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let hexadecimal = magnitude.strip_prefix("0x").or_else(|| magnitude.strip_prefix("0X"));
    if hexadecimal.is_none() && !text.contains('_') {
        return parse_float(text);
    }
    let digits = hexadecimal.unwrap_or(magnitude);
    if !separators_are_between_digits(digits, hexadecimal.is_some()) {
        return None;
    }
    let digits = digits.replace('_', "");
    let value = if hexadecimal.is_some() {
        hexadecimal_float(&digits)?
    } else {
        // A sign was taken off already, and none but digits have separators.
        digits.starts_with(|c: char| c.is_ascii_digit() || c == '.').then(|| parse_float(&digits)).flatten()?
    };
    Some(if negative { -value } else { value })
}

/// Whether each `_` is between two digits; the prefix of a hexadecimal number counts as one.
fn separators_are_between_digits(digits: &str, hexadecimal: bool) -> bool {
    let is_digit = |byte: u8| byte.is_ascii_digit() || (hexadecimal && byte.is_ascii_hexdigit());
    let bytes = digits.as_bytes();
    let after_digit = |at: usize| at.checked_sub(1).map_or(hexadecimal, |before| is_digit(bytes[before]));
    let before_digit = |at: usize| bytes.get(at + 1).is_some_and(|byte| is_digit(*byte));
    bytes.iter().enumerate().all(|(at, byte)| *byte != b'_' || (after_digit(at) && before_digit(at)))
}

/// `1.8p-3`: hexadecimal digits with an optional point, times a power of two.
fn hexadecimal_float(digits: &str) -> Option<f64> {
    let (mantissa, exponent) = digits.split_once(['p', 'P'])?;
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = || whole.chars().chain(fraction.chars());
    digits().next()?;
    // More digits than a float holds are rounded twice here: bounds are not written that way.
    let mantissa = digits().try_fold(0.0_f64, |sum, digit| Some(sum * 16.0 + f64::from(digit.to_digit(16)?)))?;
    let exponent: i32 = exponent.parse().ok()?;
    let shift = exponent.checked_sub(i32::try_from(fraction.len()).ok()?.checked_mul(4)?)?;
    let value = mantissa * 2.0_f64.powi(shift.clamp(-1100, 1100));
    value.is_finite().then_some(value)
}

/// Writes a sample value as Prometheus's HTTP API does: the shortest decimal that reads back the same, `+Inf`, `-Inf`,
/// `NaN`, and an exponent below 1e-6 and from 1e21 on.
#[must_use]
pub fn format_value(value: f64) -> String {
    let magnitude = value.abs();
    if magnitude != 0.0 && magnitude.is_finite() && !(1e-6..1e21).contains(&magnitude) {
        return exponent_form(value);
    }
    format_plain(value)
}

/// Writes a value without an exponent, as `count_values` writes it into a label.
#[must_use]
pub(crate) fn format_plain(value: f64) -> String {
    if value.is_nan() {
        "NaN".into()
    } else if value.is_infinite() {
        if value > 0.0 { "+Inf".into() } else { "-Inf".into() }
    } else {
        format!("{value}")
    }
}

/// The bound of a bucket or a quantile as Prometheus 3 stores it: `1` as `1.0`, `1000000` as `1e+06`. What is not a number stays
/// as it is.
pub(crate) fn open_metrics_float(text: Cow<'_, str>) -> Cow<'_, str> {
    // Most bounds are written in this way already: they need neither reading nor writing.
    if text == "+Inf" || is_short_decimal(&text) {
        return text;
    }
    let Some(value) = parse_go_float(&text) else { return text };
    let magnitude = value.abs();
    let plain = magnitude == 0.0 || !magnitude.is_finite() || (1e-4..1e6).contains(&magnitude);
    let mut written = if plain { format_plain(value) } else { exponent_form(value) };
    if written.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-') {
        written.push_str(".0");
    }
    Cow::Owned(written)
}

/// Such as `0.25` or `10.0`: no more digits than a float holds, none that could be left out.
fn is_short_decimal(text: &str) -> bool {
    let Some((whole, fraction)) = text.split_once('.') else { return false };
    let digits = |text: &str| !text.is_empty() && text.len() <= 6 && text.bytes().all(|byte| byte.is_ascii_digit());
    let small = whole == "0" && (fraction.starts_with("0000") || fraction == "0");
    let leading = whole.len() > 1 && whole.starts_with('0');
    digits(whole) && digits(fraction) && !small && !leading && (fraction == "0" || !fraction.ends_with('0'))
}

/// Scientific notation with the exponent's sign and at least two digits: `1e-07`.
fn exponent_form(value: f64) -> String {
    let rust = format!("{value:e}");
    let Some((mantissa, exponent)) = rust.split_once('e') else {
        return rust;
    };
    let (sign, digits) = match exponent.strip_prefix('-') {
        Some(digits) => ('-', digits),
        None => ('+', exponent),
    };
    format!("{mantissa}e{sign}{digits:0>2}")
}

/// Writes milliseconds since the Unix epoch as the HTTP API writes a time: seconds, with three decimals where needed.
#[must_use]
pub fn format_time(milliseconds: i64) -> String {
    let sign = if milliseconds < 0 { "-" } else { "" };
    let magnitude = milliseconds.unsigned_abs();
    let mut text = format!("{sign}{}", magnitude / 1000);
    if !magnitude.is_multiple_of(1000) {
        let _ = write!(text, ".{:03}", magnitude % 1000);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_are_read_as_the_formats_allow() {
        for (text, wanted) in [
            ("0", 0.0),
            ("42", 42.0),
            ("-3e3", -3000.0),
            (".5", 0.5),
            ("5.", 5.0),
            ("+1.5E-2", 0.015),
            ("123456789012345678", 123_456_789_012_345_680.0),
            ("+Inf", f64::INFINITY),
            ("-inf", f64::NEG_INFINITY),
            ("Infinity", f64::INFINITY),
        ] {
            assert_eq!(parse_float(text), Some(wanted), "{text}");
        }
        assert!(parse_float("NaN").is_some_and(f64::is_nan));
        for text in ["", " 1", "1 ", "1_000", "0x1", "0x1p-3", "1e400", "-1e400", "1e", "e5", "--1", "1,5", "١"] {
            assert_eq!(parse_float(text), None, "{text}");
        }
    }

    #[test]
    fn bounds_are_read_as_go_reads_them() {
        for (text, wanted) in [
            ("1", 1.0),
            ("+Inf", f64::INFINITY),
            ("1_0", 10.0),
            ("-1_000.5", -1000.5),
            ("1e1_0", 1e10),
            ("0x1p-3", 0.125),
            ("0X1.8P1", 3.0),
            ("-0x_fp0", -15.0),
        ] {
            assert_eq!(parse_go_float(text), Some(wanted), "{text}");
        }
        for text in ["", "_1", "1_", "1__0", "1_.5", "0x1", "0xp1", "0x1pz", "--1_0", "+-1_0", "Inf_", "1_e5", "x"] {
            assert_eq!(parse_go_float(text), None, "{text}");
        }
    }

    #[test]
    fn values_are_written_as_the_http_api_does() {
        for (value, wanted) in [
            (0.0, "0"),
            (-0.0, "-0"),
            (0.1, "0.1"),
            (1e-6, "0.000001"),
            (1e-7, "1e-07"),
            (1.5e-10, "1.5e-10"),
            (1e20, "100000000000000000000"),
            (1e21, "1e+21"),
            (-2.5e300, "-2.5e+300"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
            (f64::NAN, "NaN"),
            (1.0 / 3.0, "0.3333333333333333"),
        ] {
            assert_eq!(format_value(value), wanted);
        }
        assert_eq!(format_plain(1e21), "1000000000000000000000");
    }

    #[test]
    fn bounds_are_written_as_prometheus_stores_them() {
        for (text, wanted) in [
            ("1", "1.0"),
            ("0", "0.0"),
            ("-1", "-1.0"),
            ("1.0", "1.0"),
            ("1.00", "1.0"),
            ("01.5", "1.5"),
            ("0.0", "0.0"),
            ("0.25", "0.25"),
            ("0.0001", "0.0001"),
            ("0.00001", "1e-05"),
            ("100000", "100000.0"),
            ("1000000", "1e+06"),
            ("1e6", "1e+06"),
            ("1234567.5", "1.2345675e+06"),
            ("2.5e-3", "0.0025"),
            ("1e21", "1e+21"),
            ("Inf", "+Inf"),
            ("+Inf", "+Inf"),
            ("-inf", "-Inf"),
            ("NaN", "NaN"),
            ("1_0", "10.0"),
            ("x", "x"),
            ("", ""),
        ] {
            assert_eq!(open_metrics_float(text.into()), wanted, "{text}");
        }
    }

    #[test]
    fn times_are_written_in_seconds() {
        for (milliseconds, wanted) in [(0, "0"), (1500, "1.500"), (1_435_781_451_781, "1435781451.781"), (-1, "-0.001")]
        {
            assert_eq!(format_time(milliseconds), wanted);
        }
    }
}
