//! A body while it comes in: decoded as it arrives, bounded, whole or refused.

use std::io::{self, Write};

use flate2::write::MultiGzDecoder;
use reqwest::header::{CONTENT_ENCODING, CONTENT_LENGTH, HeaderMap, TRANSFER_ENCODING};

use super::failure::{Failure, FailureKind};

/// The codings that a request accepts: what [`Body`] decodes.
pub(super) const ACCEPTED: &str = "gzip";

/// A body of which parts have come.
pub(super) struct Body {
    decoder: Decoder,
    limit: u64,
    /// As they came, before they are decoded.
    received: u64,
}

enum Decoder {
    Plain(Bounded),
    /// Every member, one behind the other; what follows the last one is an error.
    Gzip(Box<MultiGzDecoder<Bounded>>),
    /// In a coding that is not decoded here, and with why: judged as it came, it would be taken for text.
    Refused(String),
}

/// Takes bytes up to a limit.
struct Bounded {
    bytes: Vec<u8>,
    limit: u64,
    full: bool,
}

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if (self.bytes.len() + bytes.len()) as u64 > self.limit {
            self.full = true;
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Body {
    /// Begins a body, coded as the answer's header says.
    ///
    /// # Errors
    /// A transfer coding other than `chunked`: where the body ends could not be told.
    pub(super) fn new(headers: &HeaderMap, limit: u64) -> Result<Self, Failure> {
        let transfer: Vec<String> = codings(headers, TRANSFER_ENCODING).collect();
        if !transfer.is_empty() && transfer != ["chunked"] {
            let transfer = transfer.join(", ");
            let message = format!("the body has the transfer coding {transfer:?}; want chunked alone");
            return Err(Failure::new(FailureKind::Encoding, message));
        }
        if !transfer.is_empty() && headers.contains_key(CONTENT_LENGTH) {
            // Whoever stands between goes by the one or the other, and sees another end.
            let message = "the answer has both Content-Length and Transfer-Encoding: where its body ends is unclear";
            return Err(Failure::new(FailureKind::Protocol, message));
        }
        let content: Vec<String> =
            codings(headers, CONTENT_ENCODING).filter(|coding| !coding.is_empty() && coding != "identity").collect();
        let bounded = Bounded { bytes: Vec::with_capacity(announced(headers, limit)), limit, full: false };
        let decoder = match content.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
            [] => Decoder::Plain(bounded),
            ["gzip" | "x-gzip"] => Decoder::Gzip(Box::new(MultiGzDecoder::new(bounded))),
            several => Decoder::Refused(format!(
                "the body has the content coding {}, which is not decoded; the request asked for gzip or none",
                several.join(", ")
            )),
        };
        Ok(Self { decoder, limit, received: 0 })
    }

    /// Begins a body that is left in whatever coding it comes in.
    pub(super) fn undecoded(limit: u64) -> Self {
        Self { decoder: Decoder::Plain(Bounded { bytes: Vec::new(), limit, full: false }), limit, received: 0 }
    }

    /// How many bytes have come, before decoding.
    pub(super) fn received(&self) -> u64 {
        self.received
    }

    pub(super) fn push(&mut self, chunk: &[u8]) -> Result<(), Failure> {
        self.received += chunk.len() as u64;
        if self.received > self.limit {
            // Also of a coded body: one that decodes to less than it weighs is made to waste time.
            return Err(Failure::too_large(self.limit));
        }
        let written = match &mut self.decoder {
            Decoder::Plain(bounded) => bounded.write_all(chunk),
            Decoder::Gzip(decoder) => decoder.write_all(chunk),
            Decoder::Refused(_) if chunk.is_empty() => Ok(()),
            Decoder::Refused(why) => return Err(Failure::new(FailureKind::Encoding, why.clone())),
        };
        written.map_err(|error| self.failure(&error))
    }

    /// The whole body.
    pub(super) fn finish(mut self) -> Result<Vec<u8>, Failure> {
        if self.received == 0 {
            return Ok(Vec::new());
        }
        if let Decoder::Gzip(decoder) = &mut self.decoder
            && let Err(error) = decoder.try_finish()
        {
            return Err(self.failure(&error));
        }
        match self.decoder {
            Decoder::Plain(bounded) => Ok(bounded.bytes),
            Decoder::Gzip(mut decoder) => Ok(std::mem::take(&mut decoder.get_mut().bytes)),
            Decoder::Refused(_) => Ok(Vec::new()),
        }
    }

    fn failure(&self, error: &io::Error) -> Failure {
        let is_full = match &self.decoder {
            Decoder::Plain(bounded) => bounded.full,
            Decoder::Gzip(decoder) => decoder.get_ref().full,
            Decoder::Refused(_) => false,
        };
        if is_full {
            return Failure::too_large(self.limit);
        }
        // Of a stream that ends too early the library says no more than of one that is damaged.
        Failure::new(FailureKind::Encoding, format!("the body cannot be decompressed: it is cut or damaged ({error})"))
    }
}

/// A whole body, decoded as the answer's header says.
///
/// # Errors
/// A coding that is not decoded, bytes that are not in it, or more of them than the limit.
pub(crate) fn decoded(headers: &HeaderMap, bytes: &[u8], limit: u64) -> Result<Vec<u8>, Failure> {
    let mut body = Body::new(headers, limit)?;
    body.push(bytes)?;
    body.finish()
}

/// The codings that a header names, over all of its lines, in lower case; also an empty one.
fn codings(headers: &HeaderMap, name: reqwest::header::HeaderName) -> impl Iterator<Item = String> {
    let values = headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    let codings: Vec<String> = values
        .flat_map(|value| value.split(',').map(|coding| coding.trim().to_ascii_lowercase()).collect::<Vec<_>>())
        .collect();
    codings.into_iter()
}

/// How many bytes a body says it has, as far as they would be read. Room that grows by doubling is copied on the way, and both
/// copies are there meanwhile: side by side that is tens of megabytes. Room that is never filled takes no memory.
fn announced(headers: &HeaderMap, limit: u64) -> usize {
    let length = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    usize::try_from(length.unwrap_or(0).min(limit)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    type Headers = Vec<(&'static str, &'static str)>;

    fn gzip(text: &str) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    }

    fn decoded(headers: &[(&'static str, &'static str)], bytes: &[u8], step: usize) -> Result<String, String> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        let mut body = Body::new(&map, 1000).map_err(|failure| failure.to_string())?;
        for chunk in bytes.chunks(step) {
            body.push(chunk).map_err(|failure| failure.to_string())?;
        }
        body.finish().map(|bytes| String::from_utf8(bytes).unwrap()).map_err(|failure| failure.to_string())
    }

    #[test]
    fn a_body_is_decoded_whole_or_refused() {
        let (one, two) = (gzip("first\n"), [gzip("first\n"), gzip("second\n")].concat());
        let damaged = {
            let mut bytes = gzip("some text that is long enough to be damaged in the middle");
            let middle = bytes.len() / 2;
            bytes[middle] ^= 0x55;
            bytes
        };
        let bomb = gzip(&" ".repeat(5000));
        let full = "x".repeat(1000);
        let with = |bytes: &[u8], tail: &[u8]| [bytes, tail].concat();
        let coding = |value| vec![("content-encoding", value)];
        let cases: Vec<(Headers, Vec<u8>, Result<&str, &str>)> = vec![
            (vec![], b"plain".to_vec(), Ok("plain")),
            (coding("identity"), b"plain".to_vec(), Ok("plain")),
            (coding("gzip"), one.clone(), Ok("first\n")),
            (coding("GZIP"), one.clone(), Ok("first\n")),
            (coding("x-gzip"), two.clone(), Ok("first\nsecond\n")),
            (coding("gzip, identity"), two, Ok("first\nsecond\n")),
            (coding("gzip"), Vec::new(), Ok("")),
            (coding("gzip"), with(&one, b"garbage"), Err("cannot be decompressed")),
            (coding("gzip"), with(&one, b"\0"), Err("cannot be decompressed")),
            (coding("gzip"), one[..one.len() - 1].to_vec(), Err("it is cut or damaged")),
            (coding("gzip"), one[..5].to_vec(), Err("it is cut or damaged")),
            (coding("gzip"), with(&one, &one[..15]), Err("it is cut or damaged")),
            (coding("gzip"), damaged, Err("cannot be decompressed")),
            (coding("gzip"), b"not compressed".to_vec(), Err("cannot be decompressed")),
            (coding("gzip"), bomb, Err("larger than the 1000 B")),
            // The limit itself may come, of what is sent and of what it decodes to; not one byte more of either.
            (vec![], b"x".repeat(1000), Ok(&full)),
            (coding("gzip"), gzip(&full), Ok(&full)),
            (coding("gzip"), gzip(&format!("{full}x")), Err("larger than the 1000 B")),
            (coding("gzip"), gzip("").repeat(60), Err("larger than the 1000 B")),
            (vec![], vec![b'x'; 1001], Err("larger than the 1000 B")),
            (coding("br"), one.clone(), Err("the content coding br, which is not decoded")),
            (coding("gzip, gzip"), one.clone(), Err("the content coding gzip, gzip")),
            (vec![("content-encoding", "gzip"), ("content-encoding", "zstd")], one.clone(), Err("gzip, zstd")),
            (vec![("transfer-encoding", "chunked")], b"plain".to_vec(), Ok("plain")),
            (vec![("transfer-encoding", "gzip, chunked")], one.clone(), Err("the transfer coding \"gzip, chunked\"")),
            (vec![("transfer-encoding", "")], b"plain".to_vec(), Err("the transfer coding \"\"")),
            (vec![("transfer-encoding", "chunked, ")], b"plain".to_vec(), Err("the transfer coding \"chunked, \"")),
            (coding("br"), Vec::new(), Ok("")),
        ];
        for (headers, bytes, wanted) in cases {
            for step in [1, 7, 4096] {
                let found = decoded(&headers, &bytes, step);
                match wanted {
                    Ok(text) => assert_eq!(found.as_deref(), Ok(text), "{headers:?}"),
                    Err(piece) => {
                        assert!(found.as_ref().is_err_and(|error| error.contains(piece)), "{headers:?}: {found:?}");
                    }
                }
            }
        }
        let coded: HeaderMap = [(CONTENT_ENCODING, "gzip".parse().unwrap())].into_iter().collect();
        assert_eq!(super::decoded(&coded, &one, 1000).unwrap(), b"first\n");
        // Nothing is in no coding, whichever is named.
        let br: HeaderMap = [(CONTENT_ENCODING, "br".parse().unwrap())].into_iter().collect();
        assert_eq!(super::decoded(&br, b"", 1000).map_err(|failure| failure.to_string()), Ok(Vec::new()));
    }
}
