//! The process's environment and files, as plans look references up in them.

use std::env::VarError;
use std::fs::File;
use std::io::{Read, stdin};
use std::path::Path;
use std::time::Duration;

use bytesize::ByteSize;

use super::CommandError;
use crate::outcome::Diagnostic;
use crate::plan::{Lookup, MAX_FILE, MAX_RULES, STANDARD_INPUT, code, duration, read_file, text_of};
use crate::text::Redactor;

/// The largest file that a secret is read from.
const MAX_SECRET: u64 = 64 * 1024;

/// Looks references up. Whatever it finds behind one is a secret, and known to the redactor before anybody else.
pub(super) struct Process<'s> {
    pub(super) redactor: &'s Redactor,
}

impl Lookup for Process<'_> {
    fn env(&self, name: &str) -> Result<String, String> {
        match std::env::var(name) {
            Ok(value) if !value.is_empty() => {
                self.redactor.hide(&value);
                Ok(value)
            }
            Ok(_) => Err(format!("the environment variable {name} is empty")),
            Err(error) => Err(unusable(name, &error)),
        }
    }

    fn file(&self, path: &str) -> Result<String, String> {
        let text = secret_file(path)?;
        self.redactor.hide(&text);
        Ok(text)
    }

    fn text(&self, path: &Path) -> Result<String, Diagnostic> {
        read_file(path, MAX_RULES)
    }

    fn names(&self, folder: &Path) -> Vec<String> {
        names(folder)
    }
}

/// Why a variable cannot be used, without its value: the error holds that.
fn unusable(name: &str, error: &VarError) -> String {
    match error {
        VarError::NotPresent => format!("the environment variable {name} is not set"),
        VarError::NotUnicode(_) => format!("the environment variable {name} is not UTF-8"),
    }
}

/// The text of a file that holds a secret, without the line ends behind it. Whoever reads it hides what is secret in it.
///
/// # Errors
/// A file that cannot be read, is large, empty, or not text.
pub(super) fn secret_file(path: &str) -> Result<String, String> {
    let bytes = whole_file(Path::new(path), MAX_SECRET)?;
    let text = String::from_utf8(bytes).map_err(|_| format!("the file {path} is not UTF-8 text"))?;
    let text = text.trim_end_matches(['\n', '\r']);
    if text.is_empty() {
        return Err(format!("the file {path} is empty"));
    }
    Ok(text.to_owned())
}

/// Validates without secrets: every reference is taken to lead somewhere.
pub(super) struct NoSecrets;

impl Lookup for NoSecrets {
    fn env(&self, _name: &str) -> Result<String, String> {
        Ok("secret".into())
    }

    fn file(&self, _path: &str) -> Result<String, String> {
        Ok("secret".into())
    }

    fn text(&self, path: &Path) -> Result<String, Diagnostic> {
        read_file(path, MAX_RULES)
    }

    fn names(&self, folder: &Path) -> Vec<String> {
        names(folder)
    }
}

/// The names in a folder; none where it cannot be read, so that a pattern finds nothing in it.
fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().into_string().ok()).collect()
}

/// The time that a flag says.
///
/// # Errors
/// What is no time, with the flag.
pub(super) fn time_of(flag: &str, written: &str) -> Result<Duration, CommandError> {
    duration(written).map_err(|why| CommandError::usage(format!("{flag}: {why}")))
}

/// A whole file of so many bytes at most.
///
/// # Errors
/// A file that cannot be read, or has more.
pub(super) fn whole_file(path: &Path, most: u64) -> Result<Vec<u8>, String> {
    let fail = |error| format!("the file {} cannot be read: {error}", path.display());
    whole(&mut File::open(path).map_err(fail)?, &path.display().to_string(), most)
}

/// As [`whole_file`], of standard input.
///
/// # Errors
/// As there.
pub(super) fn whole_input(most: u64) -> Result<Vec<u8>, String> {
    whole(&mut stdin(), "-", most)
}

fn whole(source: &mut dyn Read, name: &str, most: u64) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let read = source.take(most + 1).read_to_end(&mut bytes);
    read.map_err(|error| format!("the file {name} cannot be read: {error}"))?;
    if bytes.len() as u64 > most {
        return Err(format!("the file {name} is larger than the {} that are read", ByteSize(most)));
    }
    Ok(bytes)
}

/// The name and the text of a checks file; `-` is standard input.
///
/// # Errors
/// A file that is missing, a folder, too large, or not text.
pub(super) fn checks_file(path: &Path) -> Result<(String, String), Diagnostic> {
    if path.as_os_str() != "-" {
        return Ok((path.display().to_string(), read_file(path, MAX_FILE)?));
    }
    let name = STANDARD_INPUT;
    let mut bytes = Vec::new();
    let read = stdin().take(MAX_FILE + 1).read_to_end(&mut bytes);
    read.map_err(|error| Diagnostic::new(code::FILE, None, format!("it cannot be read: {error}")).in_file(name))?;
    Ok((name.to_owned(), text_of(bytes, MAX_FILE).map_err(|error| error.in_file(name))?))
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;
    use std::os::unix::ffi::OsStringExt as _;

    use super::*;

    #[test]
    fn a_variable_that_cannot_be_used_is_named_and_its_value_is_not() {
        let value = OsString::from_vec(b"hunter2\xff".to_vec());
        for (error, wanted) in [
            (VarError::NotPresent, "the environment variable TOKEN is not set"),
            (VarError::NotUnicode(value), "the environment variable TOKEN is not UTF-8"),
        ] {
            assert_eq!(unusable("TOKEN", &error), wanted);
        }
    }
}
