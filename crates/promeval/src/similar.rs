//! Names that somebody may have meant.

/// The longest name that is compared, in bytes: nobody slips in a longer one.
const LONGEST: usize = 256;

/// How many names are compared as a whole; the others are told apart by their letters alone, which takes a hundredth of the time.
const COMPARED: usize = 20_000;

/// How alike two names are that are similar.
const CLOSE: f64 = 0.8;

/// The names most similar to a given one, best first, the same name aside; none where nothing is close.
///
/// Takes time linear in the number of names, in whatever way they are chosen.
pub fn similar<'n>(name: &str, names: impl Iterator<Item = &'n str>) -> Vec<&'n str> {
    if name.len() > LONGEST {
        return Vec::new();
    }
    let letters = Letters::of(name);
    let may_be_close = |other: &&str| other.len() <= LONGEST && letters.may_be_close(&Letters::of(other));
    let score = |other: &str| {
        // One slip is close however short the name is.
        let slip = name.len().abs_diff(other.len()) <= SLIP && strsim::osa_distance(name, other) == 1;
        strsim::jaro_winkler(name, other).max(if slip { CLOSE } else { 0.0 })
    };
    let others = names.filter(|other| *other != name).filter(may_be_close).take(COMPARED);
    let mut scored: Vec<(f64, &str)> =
        others.map(|other| (score(other), other)).filter(|(score, _)| *score >= CLOSE).collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(b.1)));
    scored.into_iter().map(|(_, other)| other).collect()
}

/// The most bytes by which one character more or less, or another one, changes the length.
const SLIP: usize = 4;

/// How often each byte is in a name, and how long it is.
struct Letters {
    counts: [u8; 64],
    length: usize,
}

impl Letters {
    fn of(name: &str) -> Self {
        let mut counts = [0_u8; 64];
        for byte in name.bytes() {
            let count = &mut counts[usize::from(byte % 64)];
            *count = count.saturating_add(1);
        }
        Self { counts, length: name.len() }
    }

    /// False where the names cannot be close: Jaro and Winkler's measure grows with the letters that both have.
    fn may_be_close(&self, other: &Self) -> bool {
        let both = |(a, b): (&u8, &u8)| usize::from(*a.min(b));
        let common: usize = self.counts.iter().zip(&other.counts).map(both).sum();
        let (shorter, longer) = (self.length.min(other.length), self.length.max(other.length));
        if longer - shorter <= SLIP && common + SLIP >= longer {
            return true;
        }
        #[expect(clippy::cast_precision_loss, reason = "names are short")]
        let part = |length: usize| common as f64 / length.max(1) as f64;
        let jaro = (part(self.length) + part(other.length) + 1.0) / 3.0;
        // Winkler's bonus for the same beginning is at most four tenths of what is missing.
        jaro + 0.4 * (1.0 - jaro) >= CLOSE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_closest_name_comes_first_and_never_the_name_itself() {
        let names = ["requests_total", "request_total", "requests_seconds", "up", "errors_total"];
        assert_eq!(similar("requests_total", names.into_iter())[0], "request_total");
        assert_eq!(similar("ip", names.into_iter()), ["up"]);
        assert!(similar("something_else", names.into_iter()).is_empty());
        assert!(similar(&"x".repeat(1000), names.into_iter()).is_empty());
    }

    #[test]
    fn letters_tell_apart_only_what_is_not_close() {
        let close = |a: &str, b: &str| strsim::jaro_winkler(a, b) >= CLOSE || strsim::osa_distance(a, b) == 1;
        let names =
            ["a", "b", "ab", "abc", "memory_total", "memory_totl", "mem_total", "memorytotal", "x_y_z", "total"];
        for a in names {
            for b in names.into_iter().filter(|b| close(a, b)) {
                assert!(Letters::of(a).may_be_close(&Letters::of(b)), "{a} {b}");
            }
        }
    }
}
