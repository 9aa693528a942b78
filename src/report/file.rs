//! Reports to files: proven writable before any request is made, and written whole or not at all.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::Format;

/// What report to write, and where: `FORMAT=PATH`, with `-` for standard output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ReportSpec {
    format: Format,
    /// The file; standard output where there is none.
    path: Option<PathBuf>,
}

impl ReportSpec {
    /// The reports that a command line asks for.
    ///
    /// # Errors
    /// The first one that is malformed, or a second one for the same place.
    pub(crate) fn all(written: &[String]) -> Result<Vec<Self>, String> {
        let specs: Vec<Self> = written
            .iter()
            .map(|written| written.parse().map_err(|error| format!("--report {error}")))
            .collect::<Result<_, _>>()?;
        for (index, spec) in specs.iter().enumerate() {
            if specs[..index].iter().any(|other| other.path == spec.path) {
                let place = spec.path.as_ref().map_or("standard output".into(), |path| path.display().to_string());
                return Err(format!("--report: two reports go to {place}"));
            }
        }
        Ok(specs)
    }
}

impl FromStr for ReportSpec {
    type Err = String;

    fn from_str(written: &str) -> Result<Self, String> {
        let how = "write it as json=PATH, or json=- for standard output";
        let (name, path) = written.split_once('=').ok_or_else(|| format!("{written:?} names no file; {how}"))?;
        let format = Format::named(name).ok_or_else(|| {
            let names = Format::ALL.map(Format::name).join(", ");
            format!("unknown report format {name:?}; there is {names}")
        })?;
        match path {
            "" => Err(format!("{written:?} names no file; {how}")),
            "-" => Ok(Self { format, path: None }),
            path => Ok(Self { format, path: Some(path.into()) }),
        }
    }
}

/// A report that is going to be written.
#[derive(Debug)]
pub(crate) struct ReportFile {
    spec: ReportSpec,
    staged: Option<Staged>,
}

/// A file beside the report, which takes its name when it is whole.
#[derive(Debug)]
struct Staged {
    file: File,
    path: PathBuf,
    named: bool,
}

impl ReportFile {
    pub(crate) fn format(&self) -> Format {
        self.spec.format
    }

    /// Whether it goes to a file and not to standard output.
    pub(crate) fn is_file(&self) -> bool {
        self.spec.path.is_some()
    }

    /// Proves that the report can be written.
    ///
    /// # Errors
    /// Why it cannot.
    pub(crate) fn open(spec: ReportSpec) -> Result<Self, String> {
        let Some(path) = &spec.path else {
            return Ok(Self { spec, staged: None });
        };
        let fail = |why: String| format!("the report {} cannot be written: {why}", path.display());
        if path.is_dir() {
            return Err(fail("this is a folder; name a file in it".into()));
        }
        let name = path.file_name().ok_or_else(|| fail("the path names no file".into()))?.to_string_lossy();
        let folder = folder_of(path);
        if !folder.is_dir() {
            return Err(fail(format!("there is no folder {}", folder.display())));
        }
        let beside = folder.join(format!(".{name}.{}.partial", std::process::id()));
        let file =
            OpenOptions::new().write(true).create_new(true).open(&beside).map_err(|error| fail(error.to_string()))?;
        Ok(Self { spec, staged: Some(Staged { file, path: beside, named: false }) })
    }

    /// Writes the report: to standard output, or to its file as a whole.
    ///
    /// # Errors
    /// Why it could not be written.
    pub(crate) fn write(mut self, text: &str) -> Result<(), String> {
        let Some((staged, path)) = self.staged.as_mut().zip(self.spec.path.as_ref()) else {
            return std::io::stdout()
                .write_all(text.as_bytes())
                .map_err(|error| format!("standard output cannot be written: {error}"));
        };
        let fail = |error| format!("the report {} could not be written: {error}", path.display());
        staged.file.write_all(text.as_bytes()).and_then(|()| staged.file.sync_all()).map_err(fail)?;
        std::fs::rename(&staged.path, path).map_err(fail)?;
        staged.named = true;
        Ok(())
    }
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        if !self.named {
            // Nothing else can be done about a leftover than to try to remove it.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}
