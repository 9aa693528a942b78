//! From a checks file's text to a plan.

use std::fs::File as FsFile;
use std::io::Read as _;
use std::path::Path;

use super::file::{self, File};
use super::mistakes::Mistakes;
use super::overlay::Overlay as _;
use super::secret::Lookup;
use super::validate::{self, Context};
use super::written::Key;
use super::{DEFAULT, Plan, code, yaml};
use crate::outcome::Diagnostic;

/// The largest checks file that is read.
pub(crate) const MAX_FILE: u64 = 1024 * 1024;

/// The largest rules file that is read: those of a whole company may be in one.
pub(crate) const MAX_RULES: u64 = 4 * MAX_FILE;

/// What a checks file is called that comes from standard input.
pub(crate) const STANDARD_INPUT: &str = "standard input";

/// What a plan is made of, besides the embedded default.
#[derive(Clone, Debug, Default)]
pub(crate) struct PlanInput {
    /// The checks file: its name and its text.
    pub(crate) file: Option<(String, String)>,
    /// Replaces the limit for the whole run.
    pub(crate) timeout: Option<String>,
    /// Replaces the window of the metrics.
    pub(crate) window: Option<String>,
    /// Whether the traffic check is on, whatever the file says.
    pub(crate) traffic: bool,
    /// Blocking thresholds, added to the others.
    pub(crate) thresholds: Vec<String>,
    /// Warning thresholds, added to the others.
    pub(crate) warnings: Vec<String>,
}

/// Reads a checks file or a rules file of so many bytes at most.
///
/// # Errors
/// A file that is missing, a folder, too large, empty, or not text.
pub(crate) fn read_file(path: &Path, most: u64) -> Result<String, Diagnostic> {
    let fail = |message: String| Err(Diagnostic::new(code::FILE, None, message).in_file(&path.display().to_string()));
    let file = match FsFile::open(path) {
        Ok(file) => file,
        Err(error) => return fail(format!("the file cannot be opened: {error}")),
    };
    if file.metadata().is_ok_and(|metadata| metadata.is_dir()) {
        return fail("this is a folder; name a file in it".into());
    }
    let mut bytes = Vec::new();
    if let Err(error) = file.take(most + 1).read_to_end(&mut bytes) {
        return fail(format!("the file cannot be read: {error}"));
    }
    text_of(bytes, most).map_err(|error| error.in_file(&path.display().to_string()))
}

/// The text of a checks file or a rules file.
///
/// # Errors
/// Bytes that are too many, or not text.
pub(crate) fn text_of(bytes: Vec<u8>, most: u64) -> Result<String, Diagnostic> {
    let fail = |message: &str| Err(Diagnostic::new(code::FILE, None, message));
    if bytes.len() as u64 > most {
        return fail(&format!("the file is over {} MiB; no plan is that large", most / MAX_FILE));
    }
    let Ok(text) = String::from_utf8(bytes) else {
        return fail("the file is not UTF-8 text; is it the right file?");
    };
    if text.contains('\0') {
        return fail("the file is binary; is it the right file?");
    }
    Ok(text)
}

impl PlanInput {
    /// Makes the plan: the command line over the checks file over the embedded default.
    ///
    /// # Errors
    /// Everything that is wrong, in the order of its places, without what is only a consequence of something else.
    pub(crate) fn plan(&self, lookup: &dyn Lookup) -> Result<Plan, Vec<Diagnostic>> {
        let mut mistakes = Mistakes::of(self.file.as_ref().map(|(name, text)| (&**name, &**text)));
        let plan = self.read(lookup, &mut mistakes);
        match plan {
            Some(plan) if mistakes.is_empty() => return Ok(plan),
            None if mistakes.is_empty() => {
                mistakes.add(code::DEFECT, None, "the embedded default plan lacks a key; this is a defect of the gate");
            }
            Some(_) | None => {}
        }
        Err(mistakes.sorted())
    }

    fn read(&self, lookup: &dyn Lookup, mistakes: &mut Mistakes<'_>) -> Option<Plan> {
        // Nobody can be pointed into it: its values have no places.
        let mut own = Mistakes::default();
        let default: Option<File> = parse(DEFAULT, &mut own);
        mistakes.absorb(own);
        let default = default?;
        let spare: file::Http = match &default.readiness {
            Key::Given(readiness) => readiness.value.clone(),
            Key::Absent | Key::Wrong => return None,
        };
        let file = match &self.file {
            None => default,
            Some((_, text)) => parse(text, mistakes)?.over(default),
        };
        validate::plan(file, spare, &mut Context { input: self, lookup, mistakes })
    }
}

/// The texts of a front matter, key by key: what stands between the first two lines of `---` of a document.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn front_matter(text: &str) -> Result<Vec<(String, String)>, String> {
    let mut mistakes = Mistakes::default();
    let texts = yaml::texts(text, &mut mistakes);
    match (texts, mistakes.sorted().first()) {
        (Some(texts), None) => Ok(texts),
        (_, Some(mistake)) => Err(mistake.message.lines().next().unwrap_or_default().to_owned()),
        (None, None) => Err("it is not a mapping of keys".into()),
    }
}

/// A file of blanks and comments is null: with nothing to say it is a slip, not a plan.
fn parse(text: &str, mistakes: &mut Mistakes<'_>) -> Option<File> {
    let empty = "the checks file is empty; `canary-gate checks` prints the default to start from";
    yaml::read(text, yaml::Bounds::PLAN, mistakes, empty)
}

#[cfg(test)]
mod tests;
