//! Names that somebody may have meant.

/// The names most similar to a given one, best first; none where nothing is close.
pub fn similar<'n>(name: &str, names: impl Iterator<Item = &'n str>) -> Vec<&'n str> {
    const CLOSE: f64 = 0.8;
    let score = |other: &str| {
        // One slip is close however short the name is.
        let slip = strsim::osa_distance(name, other) == 1;
        strsim::jaro_winkler(name, other).max(if slip { CLOSE } else { 0.0 })
    };
    let mut scored: Vec<(f64, &str)> =
        names.map(|other| (score(other), other)).filter(|(score, _)| *score >= CLOSE).collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(b.1)));
    scored.into_iter().map(|(_, other)| other).collect()
}
