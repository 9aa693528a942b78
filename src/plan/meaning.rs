//! What the texts of a checks file mean: durations, sizes, paths, methods, patterns, addresses.

use std::time::Duration;

use promeval::Pattern;

use super::written::Meaning;
use super::{Baseline, JsonPath, code};
use crate::http::Address;

/// The longest duration that is taken: what is longer is a slip of the unit.
const LONGEST: Duration = Duration::from_hours(24);

/// A duration as the checks file and the flags write it: greater than 0, at most a day.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn duration(written: &str) -> Result<Duration, String> {
    match humantime::parse_duration(written) {
        Ok(duration) if duration.is_zero() => Err(format!("the duration {written:?} must be greater than 0")),
        Ok(duration) if duration > LONGEST => Err(format!("the duration {written:?} is over a day")),
        Ok(duration) => Ok(duration),
        Err(error) => Err(format!("{written:?} is not a duration ({error}); write it as 500ms, 30s, 2m or 1h 30m")),
    }
}

impl Meaning for Duration {
    const CODE: &'static str = code::DURATION;
    const WANTED: &str = "a duration such as 30s";

    fn of(written: &str) -> Result<Self, String> {
        duration(written)
    }
}

/// A number of bytes, greater than 0.
#[derive(Clone, Copy, Debug)]
pub(super) struct Size(pub(super) u64);

impl Meaning for Size {
    const CODE: &'static str = code::SIZE;
    const WANTED: &str = "a size such as 64MiB";

    fn of(written: &str) -> Result<Self, String> {
        match written.parse::<bytesize::ByteSize>() {
            Ok(size) if size.as_u64() == 0 => Err(format!("the size {written:?} must be greater than 0")),
            Ok(size) if size.as_u64() > 1 << 30 => Err(format!("the size {written:?} is over 1GiB")),
            Ok(size) => Ok(Self(size.as_u64())),
            Err(_) => Err(format!("{written:?} is not a size; write it as 512KiB or 64MiB")),
        }
    }
}

/// How often something is done, a second.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rate(pub(super) f64);

impl Meaning for Rate {
    const CODE: &'static str = code::NUMBER;
    const WANTED: &str = "a rate such as 10/s";

    fn of(written: &str) -> Result<Self, String> {
        let malformed = || format!("{written:?} is not a rate; write it as 10/s, 90/m or 0.5/s");
        let (number, unit) = written.split_once('/').ok_or_else(malformed)?;
        let seconds = match unit.trim() {
            "s" => 1.0,
            "m" => 60.0,
            _ => return Err(malformed()),
        };
        let number: f64 = number.trim().parse().map_err(|_| malformed())?;
        if !number.is_finite() {
            return Err(malformed());
        }
        if number <= 0.0 {
            return Err(format!("the rate {written:?} must be greater than 0"));
        }
        Ok(Self(number / seconds))
    }
}

/// A path of the canary, with its query.
#[derive(Clone, Debug)]
pub(super) struct Path(pub(super) String);

impl Meaning for Path {
    const CODE: &'static str = code::PATH;
    const WANTED: &str = "a path such as /health";

    fn of(written: &str) -> Result<Self, String> {
        if !written.starts_with('/') || written.starts_with("//") {
            return Err(format!("the path {written:?} must start with one slash: the host is the canary's"));
        }
        if written.contains('#') || written.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return Err(format!("the path {written:?} holds white space or a fragment"));
        }
        Ok(Self(written.to_owned()))
    }
}

/// A request method.
#[derive(Clone, Debug)]
pub(super) struct Method(pub(super) String);

impl Meaning for Method {
    const CODE: &'static str = code::UNKNOWN_VALUE;
    const WANTED: &str = "a method such as GET";

    fn of(written: &str) -> Result<Self, String> {
        const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
        if METHODS.contains(&written) {
            return Ok(Self(written.to_owned()));
        }
        Err(format!("unknown method {written:?}; want one of {}", METHODS.join(", ")))
    }
}

/// A pattern that a whole text must match.
#[derive(Clone, Debug)]
pub(super) struct Whole(pub(super) Pattern);

impl Meaning for Whole {
    const CODE: &'static str = code::PATTERN;
    const WANTED: &str = "a pattern such as v[0-9]+";

    fn of(written: &str) -> Result<Self, String> {
        Pattern::new(written).map(Self)
    }
}

/// A pattern that must occur in a text.
#[derive(Clone, Debug)]
pub(super) struct Within(pub(super) Pattern);

impl Meaning for Within {
    const CODE: &'static str = code::PATTERN;
    const WANTED: &str = Whole::WANTED;

    fn of(written: &str) -> Result<Self, String> {
        Pattern::unanchored(written).map(Self)
    }
}

impl Meaning for JsonPath {
    const CODE: &'static str = code::JSON_PATH;
    const WANTED: &str = "a path into JSON such as $.status";

    fn of(written: &str) -> Result<Self, String> {
        Self::parse(written)
    }
}

impl Meaning for Address {
    const CODE: &'static str = code::ADDRESS;
    const WANTED: &str = "an address such as https://prometheus.example.com";

    fn of(written: &str) -> Result<Self, String> {
        Self::parse(written)
    }
}

impl Meaning for Baseline {
    const CODE: &'static str = code::ADDRESS;
    const WANTED: &str = "an address such as https://stable.example.com, or a tag such as stable";

    /// What is neither is refused as an address.
    fn of(written: &str) -> Result<Self, String> {
        let tag = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if !written.is_empty() && written.bytes().all(tag) {
            return Ok(Self::Tag(written.to_owned()));
        }
        Address::parse(written).map(Self::Address)
    }
}

/// The name of an added check.
#[derive(Clone, Debug)]
pub(super) struct Name(pub(super) String);

impl Meaning for Name {
    const CODE: &'static str = code::NAME;
    const WANTED: &str = "a name such as search";

    fn of(written: &str) -> Result<Self, String> {
        if written.trim().is_empty() || written.chars().any(char::is_control) {
            return Err("the name of a check is empty or holds a control character".into());
        }
        Ok(Self(written.to_owned()))
    }
}

/// The path of a rules file, or a pattern of several.
#[derive(Clone, Debug)]
pub(super) struct RulesPath;

impl Meaning for RulesPath {
    const CODE: &'static str = code::PATH;
    const WANTED: &str = "the path of a rules file, such as alerts.yml";

    fn of(written: &str) -> Result<Self, String> {
        if written.trim().is_empty() { Err("the path of a rules file is empty".into()) } else { Ok(Self) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_mean_what_they_say() {
        for (written, wanted) in [("500ms", 500), ("1m 30s", 90_000), ("24h", 86_400_000)] {
            assert_eq!(duration(written), Ok(Duration::from_millis(wanted)), "{written}");
        }
        for (written, wanted) in [("512KiB", 524_288), ("1MB", 1_000_000), ("100", 100), ("1GiB", 1 << 30)] {
            assert_eq!(Size::of(written).unwrap().0, wanted, "{written}");
        }
        for (written, wanted) in [("10/s", 10.0), ("90/m", 1.5), ("0.5 / s", 0.5)] {
            assert!((Rate::of(written).unwrap().0 - wanted).abs() < f64::EPSILON, "{written}");
        }
        for written in ["/", "/a/b?c=d", "/ü"] {
            assert_eq!(Path::of(written).unwrap().0, written);
        }
        assert!(matches!(Baseline::of("stable-2"), Ok(Baseline::Tag(tag)) if tag == "stable-2"));
        assert!(matches!(Baseline::of("https://a.example.com"), Ok(Baseline::Address(_))));
    }

    #[test]
    fn texts_that_mean_nothing_say_why() {
        type Refused = fn(&str) -> Option<String>;
        let cases: [(Refused, &str, &str); 18] = [
            (|text| duration(text).err(), "30", "is not a duration"),
            (|text| duration(text).err(), "0s", "greater than 0"),
            (|text| duration(text).err(), "25h", "over a day"),
            (|text| Size::of(text).err(), "0", "greater than 0"),
            (|text| Size::of(text).err(), "2GiB", "over 1GiB"),
            (|text| Size::of(text).err(), "lots", "is not a size"),
            (|text| Rate::of(text).err(), "10", "is not a rate"),
            (|text| Rate::of(text).err(), "10/h", "is not a rate"),
            (|text| Rate::of(text).err(), "inf/s", "is not a rate"),
            (|text| Rate::of(text).err(), "0/s", "greater than 0"),
            (|text| Path::of(text).err(), "a", "one slash"),
            (|text| Path::of(text).err(), "//a", "one slash"),
            (|text| Path::of(text).err(), "/a b", "white space"),
            (|text| Path::of(text).err(), "/a#b", "fragment"),
            (|text| Method::of(text).err(), "get", "want one of GET"),
            (|text| Whole::of(text).err(), "(", "invalid regular expression"),
            (|text| Name::of(text).err(), " ", "is empty"),
            (|text| Baseline::of(text).err(), "Stable", "has no scheme"),
        ];
        for (refused, written, piece) in cases {
            let message = refused(written).unwrap();
            assert!(message.contains(piece), "{written}: {message}");
        }
    }
}
