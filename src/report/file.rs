//! Reports to files: proven writable before any request is made, written whole or not at all, and never those of an older
//! run: from the start on, the file says that this one is not finished.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
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
            .map(|written| written.parse().map_err(|error| format!("--report: {error}")))
            .collect::<Result<_, _>>()?;
        for (index, spec) in specs.iter().enumerate() {
            if specs[..index].iter().any(|other| other.is_of(spec)) {
                let place = spec.path.as_ref().map_or("standard output".into(), |path| path.display().to_string());
                return Err(format!("--report: two reports go to {place}"));
            }
        }
        Ok(specs)
    }
}

impl ReportSpec {
    /// Refuses to write over what the run reads. `inputs` are the flags that name files, and those.
    ///
    /// # Errors
    /// The first file that would be both.
    pub(crate) fn spares(&self, inputs: &[(&str, Option<&Path>)]) -> Result<(), String> {
        let Some(report) = &self.path else { return Ok(()) };
        // Checks and rules are YAML; no report is, and which files the plan reads is not known yet.
        let is_yaml = report.extension().is_some_and(|extension| extension == "yml" || extension == "yaml");
        if is_yaml && fs::metadata(report).is_ok_and(|metadata| metadata.is_file() && metadata.len() > 0) {
            return Err(format!("--report {}: the file is YAML, and would be written over", report.display()));
        }
        for (flag, input) in inputs.iter().filter_map(|(flag, input)| Some((flag, (*input)?))) {
            // What is not a file cannot be written over: a terminal may be both.
            if is_one(report, input) && !fs::metadata(report).is_ok_and(|metadata| !metadata.is_file()) {
                let (report, input) = (report.display(), input.display());
                return Err(format!(
                    "--report {report} and {flag} {input} are one file: what is read would be written over"
                ));
            }
        }
        Ok(())
    }

    pub(crate) fn format(&self) -> Format {
        self.format
    }

    /// Whether it goes to standard output.
    pub(crate) fn is_standard_output(&self) -> bool {
        self.path.is_none()
    }

    /// Whether both go to one place.
    fn is_of(&self, other: &Self) -> bool {
        match (&self.path, &other.path) {
            (Some(path), Some(other)) => is_one(path, other),
            (None, None) => true,
            _ => false,
        }
    }
}

/// Whether two paths lead to one file, which need not exist yet.
fn is_one(path: &Path, other: &Path) -> bool {
    match (fs::metadata(path), fs::metadata(other)) {
        (Ok(path), Ok(other)) => (path.dev(), path.ino()) == (other.dev(), other.ino()),
        _ => place_of(path) == place_of(other),
    }
}

/// Where a path really leads, by whatever path that is written: links followed, in the folder's own name.
fn place_of(path: &Path) -> PathBuf {
    let path = followed(path).unwrap_or_else(|_| path.to_owned());
    match (fs::canonicalize(folder_of(&path)), path.file_name()) {
        (Ok(folder), Some(name)) => folder.join(name),
        _ => path,
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
            // By whatever name: written as a file, it would cut what the summary writes there.
            "-" | "/dev/stdout" | "/dev/fd/1" | "/proc/self/fd/1" => Ok(Self { format, path: None }),
            path => Ok(Self { format, path: Some(path.into()) }),
        }
    }
}

/// A report that is going to be written.
#[derive(Debug)]
pub(crate) struct ReportFile {
    spec: ReportSpec,
    place: Place,
}

/// Where it goes.
#[derive(Debug)]
enum Place {
    Stdout,
    /// A regular file, or the name of one to come: it is replaced by one that was written beside it.
    File(Replaced),
    /// A regular file in a folder that takes no other beside it: written over.
    Over(PathBuf),
    /// A device or a pipe: written into, never replaced.
    Stream(File, PathBuf),
}

/// A file that takes another's name when it is whole.
#[derive(Debug)]
struct Replaced {
    /// Symbolic links followed.
    path: PathBuf,
    /// Whether there was a file before.
    existed: bool,
}

/// Does not wait for somebody to read a pipe.
const O_NONBLOCK: i32 = 0o4000;

impl ReportFile {
    /// Proves that the report can be written, by writing what stands until there is a verdict. Where the path is a folder, a
    /// record takes a new file in it, named by `record`.
    ///
    /// # Errors
    /// Why it cannot. An older report is then removed where that is possible: it must not be taken for this run's.
    pub(crate) fn open(mut spec: ReportSpec, unfinished: impl AsRef<[u8]>, record: &str) -> Result<Self, String> {
        let unfinished = unfinished.as_ref();
        if let (Format::Markdown, Some(path)) = (spec.format, &mut spec.path)
            && (path.is_dir() || path.as_os_str().as_encoded_bytes().ends_with(b"/"))
        {
            let new = new_file(path, record);
            *path = new.map_err(|error| cannot(path, &error.to_string()))?;
            let place = Place::File(Replaced { path: path.clone(), existed: false });
            replace(path, unfinished).map_err(|error| cannot(path, &error.to_string()))?;
            return Ok(Self { spec, place });
        }
        let Some(path) = &spec.path else {
            return Ok(Self { spec, place: Place::Stdout });
        };
        let place = Place::open(path).map_err(|why| cannot(path, &why))?;
        match &place {
            Place::File(replaced) => {
                if let Err(error) = replace(&replaced.path, unfinished) {
                    if replaced.existed {
                        let _ = fs::remove_file(&replaced.path);
                    }
                    return Err(cannot(path, &error.to_string()));
                }
            }
            Place::Over(path) => fs::write(path, unfinished).map_err(|error| cannot(path, &error.to_string()))?,
            Place::Stdout | Place::Stream(..) => {}
        }
        Ok(Self { spec, place })
    }

    pub(crate) fn format(&self) -> Format {
        self.spec.format
    }

    /// Whether it goes to a file and not to standard output.
    pub(crate) fn is_file(&self) -> bool {
        self.spec.path.is_some()
    }

    /// Writes the report: to standard output or into a stream, or to its file as a whole.
    ///
    /// # Errors
    /// Why it could not be written. The file then holds what was written at first.
    pub(crate) fn write(self, text: impl AsRef<[u8]>) -> Result<(), String> {
        let bytes = text.as_ref();
        match self.place {
            Place::Stdout => {
                let mut out = io::stdout();
                let written = out.write_all(bytes).and_then(|()| out.flush());
                written.map_err(|error| format!("standard output cannot be written: {error}"))
            }
            Place::File(Replaced { path, .. }) => replace(&path, bytes).map_err(|error| could_not(&path, &error)),
            Place::Over(path) => fs::write(&path, bytes).map_err(|error| could_not(&path, &error)),
            Place::Stream(mut stream, path) => stream.write_all(bytes).map_err(|error| could_not(&path, &error)),
        }
    }

    /// Takes back what was written at first, where there was no file before: a run that never began leaves none.
    pub(crate) fn withdraw(self) -> Option<Self> {
        match &self.place {
            Place::File(Replaced { path, existed: false }) => {
                let _ = fs::remove_file(path);
                None
            }
            Place::File(_) | Place::Over(_) => Some(self),
            Place::Stdout | Place::Stream(..) => None,
        }
    }
}

impl Place {
    fn open(path: &Path) -> Result<Self, String> {
        let text = |error: io::Error| error.to_string();
        let metadata = fs::metadata(path).ok();
        if metadata.as_ref().is_some_and(fs::Metadata::is_dir) {
            return Err("this is a folder; name a file in it".into());
        }
        path.file_name().ok_or("the path names no file")?;
        if let Some(kind) = metadata.as_ref().map(fs::Metadata::file_type).filter(|kind| !kind.is_file()) {
            // Opened without waiting, to learn whether anybody reads; then as it is written.
            let mut options = OpenOptions::new();
            options.write(true);
            let open = options.clone().custom_flags(O_NONBLOCK).open(path);
            let stream = open.and_then(|_| options.open(path)).map_err(|error| {
                if kind.is_fifo() { format!("nobody reads the pipe ({error})") } else { error.to_string() }
            })?;
            return Ok(Self::Stream(stream, path.to_owned()));
        }
        // What is there belongs to some process: its file is not ours to replace.
        if path.starts_with("/dev") || path.starts_with("/proc") {
            return OpenOptions::new().write(true).open(path).map(|_| Self::Over(path.to_owned())).map_err(text);
        }
        let (path, existed) = (followed(path)?, metadata.is_some());
        let folder = folder_of(&path);
        if !folder.is_dir() {
            return Err(format!("there is no folder {}", folder.display()));
        }
        if existed {
            OpenOptions::new().write(true).open(&path).map_err(text)?;
            let beside = partial(&path);
            if OpenOptions::new().write(true).create_new(true).open(&beside).is_err() {
                return Ok(Self::Over(path));
            }
            let _ = fs::remove_file(beside);
        }
        Ok(Self::File(Replaced { path, existed }))
    }
}

/// A file in a folder that no other run has, also not one of this moment: `NAME.md`, else `NAME-2.md` and so on.
fn new_file(folder: &Path, name: &str) -> io::Result<PathBuf> {
    let mut number = 1_u64;
    loop {
        let suffix = if number == 1 { String::new() } else { format!("-{number}") };
        let path = folder.join(format!("{name}{suffix}.md"));
        match OpenOptions::new().write(true).create_new(true).open(&path) {
            Ok(_) => return Ok(path),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => number += 1,
            Err(error) => return Err(error),
        }
    }
}

/// The path with symbolic links followed, also to a file that does not exist yet.
fn followed(path: &Path) -> Result<PathBuf, String> {
    const MOST: usize = 40;
    let mut path = path.to_owned();
    for _ in 0..MOST {
        let Ok(target) = fs::read_link(&path) else { return Ok(path) };
        path = folder_of(&path).join(target);
    }
    Err(format!("over {MOST} symbolic links"))
}

/// Writes a file beside another and gives it that one's name.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let beside = partial(path);
    let before = fs::metadata(path).ok().map(|metadata| metadata.permissions());
    let written = write_new(&beside, bytes, before).and_then(|()| fs::rename(&beside, path));
    if written.is_err() {
        let _ = fs::remove_file(&beside);
    }
    written
}

/// Creates the file, which may be read by those who could before. What lies there under its name, a link above all, is nobody's
/// report and goes.
fn write_new(path: &Path, bytes: &[u8], before: Option<Permissions>) -> io::Result<()> {
    const NEW: u32 = 0o666;
    let mode = before.as_ref().map_or(NEW, Permissions::mode);
    let _ = fs::remove_file(path);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    if let Some(before) = before {
        file.set_permissions(before)?;
    }
    file.write_all(bytes)?;
    file.sync_all()
}

/// The name of what is written beside a file, until it is whole.
fn partial(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    folder_of(path).join(format!(".{name}.{}.partial", std::process::id()))
}

fn cannot(path: &Path, why: &str) -> String {
    format!("the report {} cannot be written: {why}", path.display())
}

fn could_not(path: &Path, error: &io::Error) -> String {
    format!("the report {} could not be written: {error}", path.display())
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}
