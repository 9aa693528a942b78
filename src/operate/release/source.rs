//! The sources of a release as one archive: the same files make the same bytes, whoever packs them and whenever.
//!
//! The format is ustar (POSIX 1003.1), in gzip: what Cloud Deploy unpacks.

use std::io::{self, Write as _};

use flate2::{Compression, GzBuilder};
use ring::digest::{SHA256, digest};

/// The size of a block; the archive ends with two that are empty.
const BLOCK: usize = 512;

/// An archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Source {
    pub(crate) bytes: Vec<u8>,
    /// The paths in it, in their order.
    pub(crate) files: Vec<String>,
    /// The SHA-256 of what is in it, in hexadecimal digits: that of the archive before it is compressed.
    pub(crate) digest: String,
}

/// Packs files, by their paths with `/` between folders.
///
/// # Errors
/// A path that is too long for the format.
pub(crate) fn pack(mut files: Vec<(String, Vec<u8>)>) -> Result<Source, String> {
    files.sort();
    let mut archive = Vec::new();
    for (path, bytes) in &files {
        archive.extend(header(path, bytes.len())?);
        archive.extend(bytes);
        archive.resize(archive.len().next_multiple_of(BLOCK), 0);
    }
    archive.resize(archive.len() + 2 * BLOCK, 0);
    let digest = hex(digest(&SHA256, &archive).as_ref());
    let bytes = gzip(&archive).map_err(|error| format!("the sources cannot be packed: {error}"))?;
    Ok(Source { bytes, files: files.into_iter().map(|(path, _)| path).collect(), digest })
}

fn gzip(bytes: &[u8]) -> io::Result<Vec<u8>> {
    // No time and no name: nothing but the content counts.
    let mut gzip = GzBuilder::new().mtime(0).write(Vec::new(), Compression::best());
    gzip.write_all(bytes)?;
    gzip.finish()
}

/// The block in front of a file. Owner and time are the same for all.
fn header(path: &str, size: usize) -> Result<[u8; BLOCK], String> {
    let mut block = [0; BLOCK];
    let (prefix, name) = split(path).ok_or_else(|| format!("the path {path} is too long for an archive"))?;
    let mut put = |at: usize, text: &str| block[at..at + text.len()].copy_from_slice(text.as_bytes());
    put(0, name);
    put(100, "0000644\0");
    put(108, "0000000\0");
    put(116, "0000000\0");
    put(124, &format!("{size:011o}\0"));
    put(136, "00000000000\0");
    // The sum is made with blanks in its own place.
    put(148, "        ");
    put(156, "0");
    put(257, "ustar\x0000");
    put(345, prefix);
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    Ok(block)
}

/// A path as the format's prefix and name.
fn split(path: &str) -> Option<(&str, &str)> {
    const NAME: usize = 100;
    const PREFIX: usize = 155;
    if path.len() <= NAME {
        return Some(("", path));
    }
    let halves = path.match_indices('/').map(|(at, _)| (&path[..at], &path[at + 1..]));
    halves.into_iter().find(|(prefix, name)| prefix.len() <= PREFIX && name.len() <= NAME && !name.is_empty())
}

/// Bytes in hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    #[test]
    fn the_same_files_make_the_same_archive_in_any_order() {
        let file = |path: &str, text: &str| (path.to_owned(), text.as_bytes().to_vec());
        let one = pack(vec![file("b/c.yaml", "x: 1\n"), file("a.yaml", "")]).unwrap();
        let other = pack(vec![file("a.yaml", ""), file("b/c.yaml", "x: 1\n")]).unwrap();
        assert_eq!(one, other);
        assert_eq!(one.files, ["a.yaml", "b/c.yaml"]);
        let changed = pack(vec![file("a.yaml", ""), file("b/c.yaml", "x: 2\n")]).unwrap();
        assert_ne!(one.digest, changed.digest);
        let renamed = pack(vec![file("a.yaml", ""), file("b/d.yaml", "x: 1\n")]).unwrap();
        assert_ne!(one.digest, renamed.digest);
        let mut archive = Vec::new();
        flate2::read::GzDecoder::new(&*one.bytes).read_to_end(&mut archive).unwrap();
        assert_eq!(archive.len(), 5 * BLOCK, "two headers, one block of content, two of the end");
        assert_eq!(&archive[257..262], b"ustar");
        assert_eq!(&archive[2 * BLOCK..2 * BLOCK + 5], b"x: 1\n");
    }

    #[test]
    fn long_paths_are_split_or_refused() {
        let long = format!("{}/{}", "a".repeat(120), "b".repeat(90));
        assert_eq!(split(&long), Some((&*"a".repeat(120), &*"b".repeat(90))));
        assert_eq!(split("a/b"), Some(("", "a/b")));
        assert!(pack(vec![("c".repeat(101), vec![])]).unwrap_err().contains("too long"));
    }
}
