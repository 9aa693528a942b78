//! Subresource integrity: whether a body is what a page says. <https://www.w3.org/TR/sri/>. Pure.

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use ring::digest::{Algorithm, SHA256, SHA384, SHA512, digest};

/// Browsers take both alphabets, with padding or without.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// The algorithms, the weakest first.
const ALGORITHMS: [(&str, &Algorithm); 3] = [("sha256", &SHA256), ("sha384", &SHA384), ("sha512", &SHA512)];

/// One digest, as `integrity` and Content-Security-Policy write it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Hash {
    /// A place in [`ALGORITHMS`].
    strength: usize,
    value: Vec<u8>,
}

impl Hash {
    /// Reads `sha384-…`; nothing where it is not of a known algorithm.
    pub(super) fn parse(written: &str) -> Option<Self> {
        let (name, rest) = written.split_once('-')?;
        let strength = ALGORITHMS.iter().position(|(known, _)| known.eq_ignore_ascii_case(name))?;
        let value = rest.split('?').next().unwrap_or_default().replace('-', "+").replace('_', "/");
        Some(Self { strength, value: BASE64.decode(value).ok()? })
    }

    pub(super) fn fits(&self, body: &[u8]) -> bool {
        digest(ALGORITHMS[self.strength].1, body).as_ref() == self.value
    }
}

/// What an `integrity` attribute demands: of the hashes given, those of the strongest algorithm, any of which will do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Integrity {
    pub(super) hashes: Vec<Hash>,
}

impl Integrity {
    /// Reads the attribute. One without a known algorithm demands nothing.
    pub(super) fn parse(attribute: &str) -> Self {
        let mut hashes: Vec<Hash> = attribute.split_ascii_whitespace().filter_map(Hash::parse).collect();
        let strongest = hashes.iter().map(|hash| hash.strength).max();
        hashes.retain(|hash| Some(hash.strength) == strongest);
        Self { hashes }
    }

    /// The sentence about a body that does not fit.
    ///
    /// # Errors
    /// What was computed, and that it is not what is demanded.
    pub(super) fn check(&self, body: &[u8]) -> Result<(), String> {
        let Some(first) = self.hashes.first() else { return Ok(()) };
        if self.hashes.iter().any(|hash| hash.fits(body)) {
            return Ok(());
        }
        let (name, algorithm) = ALGORITHMS[first.strength];
        let actual = BASE64.encode(digest(algorithm, body));
        Err(format!("its integrity attribute does not fit, so that browsers refuse it: the body is {name}-{actual}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(name: &str, body: &str) -> String {
        let (_, algorithm) = ALGORITHMS.iter().find(|(known, _)| *known == name).unwrap();
        format!("{name}-{}", BASE64.encode(digest(algorithm, body.as_bytes())))
    }

    #[test]
    fn the_strongest_hash_decides_and_any_of_them_will_do() {
        let of = |name| written(name, "body");
        let wrong = |name| written(name, "another body");
        for (attribute, fits) in [
            (String::new(), true),
            (of("sha256"), true),
            (of("sha384"), true),
            (of("sha512"), true),
            (of("sha384").trim_end_matches('=').replace('+', "-").replace('/', "_"), true),
            (format!("{}?ct=text/javascript", of("sha256")), true),
            (wrong("sha256"), false),
            (format!("{} {}", wrong("sha384"), of("sha384")), true),
            (format!("{} {}", of("sha256"), wrong("sha512")), false),
            (format!("{} {}", wrong("sha256"), of("sha512")), true),
            ("md5-1B2M2Y8AsgTpgAmY7PhCfg==".into(), true),
            ("sha256-".into(), false),
            ("nonsense".into(), true),
        ] {
            assert_eq!(Integrity::parse(&attribute).check(b"body").is_ok(), fits, "{attribute}");
        }
    }
}
