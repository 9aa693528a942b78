//! `canary-gate history`: the table of a folder of deployment records, in its README.md.

use std::fs::{self, File};
use std::io::{ErrorKind, Read as _};
use std::path::Path;

use super::{CommandError, Session};
use crate::cli::History as Args;
use crate::outcome::Exit;
use crate::report::{Entry, History, Unreadable, replace};
use crate::text;

/// How much of a record is read: its front matter and its heading.
const RECORD: u64 = 64 * 1024;

const README: &str = "README.md";

pub(crate) fn run(session: &Session, args: &Args) -> Result<Exit, CommandError> {
    let folder = &args.folder;
    let path = folder.join(README);
    let entries = entries(folder)?;
    let usage = |why: &str| CommandError::usage(format!("{}: {why}", path.display()));
    let readme = match fs::read_to_string(&path) {
        Ok(text) => Some(text),
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(error) => return Err(usage(&error.to_string())),
    };
    let history = History::of(&entries, readme.as_deref()).map_err(|why| usage(&why))?;
    if readme.as_ref() != Some(&history.readme) {
        let written = replace(&path, history.readme.as_bytes());
        written
            .map_err(|error| CommandError::no_verdict(format!("{} could not be written: {error}", path.display())))?;
    }
    for Unreadable { file, why } in &history.unreadable {
        session.complain(&format!("{} is left out: {why}", folder.join(file).display()));
    }
    session.print(&format!("{}: {}\n", path.display(), text::counted(history.records, "record")))?;
    Ok(Exit::Pass)
}

/// The Markdown files of a folder, but for its README.md, sorted by name.
pub(super) fn entries(folder: &Path) -> Result<Vec<Entry>, CommandError> {
    let usage = |path: &Path, error: &std::io::Error| CommandError::usage(format!("{}: {error}", path.display()));
    let mut entries = Vec::new();
    for found in fs::read_dir(folder).map_err(|error| usage(folder, &error))? {
        let path = found.map_err(|error| usage(folder, &error))?.path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
        let is_markdown = path.extension().is_some_and(|extension| extension == "md");
        if !is_markdown || name.starts_with('.') || name == README || !path.is_file() {
            continue;
        }
        let mut bytes = Vec::new();
        let read = File::open(&path).and_then(|file| file.take(RECORD).read_to_end(&mut bytes));
        read.map_err(|error| usage(&path, &error))?;
        entries.push(Entry { file: name.to_owned(), text: String::from_utf8_lossy(&bytes).into_owned() });
    }
    entries.sort_by(|a, b| a.file.cmp(&b.file));
    Ok(entries)
}
