//! What must hold of bodies in gzip, whatever the bytes.

use std::io::Read as _;

use flate2::read::MultiGzDecoder;
use reqwest::header::{CONTENT_ENCODING, HeaderMap, HeaderValue};

use super::body::Body;

/// Far more than the compression of small inputs comes to, and small enough that bombs meet it.
const LIMIT: u64 = 64 * 1024;

/// However a body is cut on its way, it is decoded alike, within its limit; and what is taken is what another reader of gzip
/// makes of it.
pub(crate) fn gzip(bytes: &[u8]) {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    let decoded = |size: usize| {
        let mut body = Body::new(&headers, LIMIT)?;
        bytes.chunks(size).try_for_each(|chunk| body.push(chunk))?;
        body.finish()
    };
    let whole = decoded(usize::MAX);
    for size in [1, 7] {
        let pieces = decoded(size);
        assert_eq!(whole.as_ref().ok(), pieces.as_ref().ok(), "in pieces of {size}");
    }
    let mut reference = Vec::new();
    let read = MultiGzDecoder::new(bytes).take(LIMIT + 1).read_to_end(&mut reference);
    match whole {
        Ok(decoded) if bytes.is_empty() => assert!(decoded.is_empty()),
        Ok(decoded) => {
            assert!(decoded.len() as u64 <= LIMIT);
            assert!(read.is_ok(), "another reader refuses it: {read:?}");
            assert_eq!(decoded, reference);
        }
        Err(failure) => {
            assert!(!failure.to_string().is_empty());
            let fits = reference.len() as u64 <= LIMIT && bytes.len() as u64 <= LIMIT;
            assert!(read.is_err() || !fits, "another reader takes it: {failure}");
        }
    }
}
