//! Names and ids that are the same for the same release, so that asking twice makes one. Pure.

use std::time::SystemTime;

use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};

use super::source::hex;

/// The namespace of the request ids: any fixed UUID serves.
const NAMESPACE: [u8; 16] =
    [0x6b, 0xa7, 0xb8, 0x11, 0x9d, 0xad, 0x11, 0xd1, 0x80, 0xb4, 0x00, 0xc0, 0x4f, 0xd4, 0x30, 0xc8];

/// A UUID of what a request asks for: version 5 of RFC 9562.
pub(super) fn request_id(parts: &[&str]) -> String {
    let mut named = NAMESPACE.to_vec();
    named.extend(parts.join("\n").as_bytes());
    let sum = digest(&SHA1_FOR_LEGACY_USE_ONLY, &named);
    let mut bytes = sum.as_ref()[..16].to_vec();
    bytes[6] = bytes[6] & 0x0f | 0x50;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex = hex(&bytes);
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

/// `rel-YYYYMMDD-HHMMSS`, in UTC.
pub(crate) fn release_id(now: SystemTime) -> String {
    let time = humantime::format_rfc3339_seconds(now).to_string();
    let digits: String = time.chars().filter(char::is_ascii_digit).collect();
    format!("rel-{}-{}", &digits[..8], &digits[8..])
}

/// The first rollout of a release to a target.
pub(crate) fn rollout_id(release: &str, target: &str) -> String {
    format!("{release}-to-{target}-0001")
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    #[test]
    fn ids_are_of_what_is_asked_for() {
        // The namespace of URLs: what other makers of such ids give too.
        assert_eq!(request_id(&["https://example.com/"]), "dd2c1780-811a-5296-81c5-178a0ef488bc");
        assert_eq!(request_id(&["a", "b"]), request_id(&["a", "b"]));
        assert_ne!(request_id(&["a", "b"]), request_id(&["a", "c"]));
        let now = UNIX_EPOCH + Duration::from_secs(1_795_739_628);
        assert_eq!(release_id(now), "rel-20261127-003348");
        assert_eq!(rollout_id("rel-1", "run"), "rel-1-to-run-0001");
    }
}
