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
        // A link stays one: what it leads to is written.
        let target = fs::canonicalize(&path).unwrap_or_else(|_| path.clone());
        let written = replace(&target, history.readme.as_bytes());
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
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let is_markdown = path.extension().is_some_and(|extension| extension == "md");
        // What is there and is no file is no record; a link that leads nowhere was one.
        let is_other = fs::metadata(&path).is_ok_and(|metadata| !metadata.is_file());
        if !is_markdown || name.starts_with('.') || name == README || is_other {
            continue;
        }
        let is_named = path.file_name().is_some_and(|name| name.to_str().is_some());
        let text = if is_named { read(&path) } else { Err("its name is not UTF-8".into()) };
        entries.push(Entry { file: name, text });
    }
    entries.sort_by(|a, b| a.file.cmp(&b.file));
    Ok(entries)
}

/// The beginning of a record.
fn read(path: &Path) -> Result<String, String> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(RECORD).read_to_end(&mut bytes));
    read.map_err(|error| error.to_string())?;
    let end = match std::str::from_utf8(&bytes) {
        Ok(text) => text.len(),
        // A character that the end of what is read has cut.
        Err(error) if error.error_len().is_none() && bytes.len() as u64 == RECORD => error.valid_up_to(),
        Err(_) => return Err("it is not UTF-8 text".into()),
    };
    bytes.truncate(end);
    String::from_utf8(bytes).map_err(|error| error.to_string())
}
