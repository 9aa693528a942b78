//! What is wrong in a pipeline's files, each by itself and together: pure, from their texts.
//!
//! The files become documents with places ([`file`]); these are held to their schemas ([`schema`]) and then to each
//! other ([`rules`], over what they say together: [`project`]).

mod at;
mod catalogue;
mod file;
mod finding;
mod fix;
mod gate;
mod ignore;
mod project;
mod render;
mod rules;
mod schema;

use std::collections::BTreeMap;

use crate::outcome::{Diagnostic, Place, Source};
use crate::plan::{Plan, code, fits};
use at::At;
pub(crate) use catalogue::{document, explain, named, unknown};
pub(crate) use file::{COORDINATES, File, MAX_FILE, is_dockerfile, is_yaml};
use file::{Kind, Parsed, base, parse};
pub(crate) use finding::Finding;
use finding::Found;
pub(crate) use gate::GateArgs;
use gate::ReadArgs;
use project::{Coordinate, Project};
pub(crate) use render::{Format, Report};
pub(crate) use rules::{is_account_id, is_name};
use schema::Tables;

/// Reads a checks file as the gate does.
type ReadChecks<'a> = dyn Fn(&File) -> Result<Plan, Vec<Diagnostic>> + 'a;

/// What is linted.
pub(crate) struct Input<'a> {
    pub(crate) files: &'a [File],
    /// The paths of everything in the folder, those that are not read too.
    pub(crate) paths: &'a [String],
    pub(crate) read_args: &'a ReadArgs<'a>,
    pub(crate) read_checks: &'a ReadChecks<'a>,
    /// What the gate checks where no file says otherwise.
    pub(crate) default: &'a Plan,
}

/// The manifests that Skaffold renders, by path or pattern from the folder: files that belong to the pipeline too.
pub(crate) fn manifests(files: &[File]) -> Vec<String> {
    let mut paths = Vec::new();
    for file in files.iter().filter(|file| is_yaml(&file.name)) {
        let Ok(parsed) = parse(file) else { continue };
        for root in &parsed.roots {
            let at = At::root(&file.name, root);
            if Kind::of(at) == Kind::Skaffold {
                let own = at.list(&["manifests", "rawYaml"]);
                let all = own.chain(at.list(&["profiles"]).flat_map(|profile| profile.list(&["manifests", "rawYaml"])));
                let folder = file.name.strip_suffix(base(&file.name)).unwrap_or_default();
                paths.extend(all.filter_map(At::text).map(|path| format!("{folder}{}", path.trim_start_matches("./"))));
            }
        }
    }
    paths
}

/// The images that a pipeline's manifests and Skaffold's configurations name, each with its place.
pub(crate) fn images(files: &[File]) -> Vec<(String, Source)> {
    let rendered = manifests(files);
    let mut images = Vec::new();
    for file in files.iter().filter(|file| is_yaml(&file.name)) {
        let Ok(parsed) = parse(file) else { continue };
        for root in &parsed.roots {
            let at = At::root(&file.name, root);
            let containers: Vec<At<'_>> = match Kind::of(at) {
                Kind::Skaffold => {
                    let all: Vec<At<'_>> = std::iter::once(at).chain(at.list(&["profiles"])).collect();
                    let verify =
                        all.iter().flat_map(|at| at.list(&["verify"])).filter_map(|case| case.get("container"));
                    let actions = all.iter().flat_map(|at| at.list(&["customActions"]));
                    verify.chain(actions.flat_map(|action| action.list(&["containers"]))).collect()
                }
                _ if rendered.iter().any(|pattern| path_fits(pattern, &file.name)) => {
                    let spec = ["spec", "template", "spec"];
                    let template = at.path(&spec).into_iter();
                    let kinds = ["containers", "initContainers"];
                    template.flat_map(|spec| kinds.into_iter().flat_map(move |kind| spec.list(&[kind]))).collect()
                }
                _ => continue,
            };
            let named = containers.into_iter().filter_map(|container| container.get("image"));
            images.extend(named.filter_map(|image| Some((image.text()?.to_owned(), image.source()))));
        }
    }
    images
}

/// The keys of Skaffold's configurations by which they take sources besides the manifests that [`manifests`] names.
pub(crate) fn other_sources(files: &[File]) -> Vec<String> {
    let mut keys = Vec::new();
    for file in files {
        let Ok(parsed) = parse(file) else { continue };
        for root in &parsed.roots {
            let at = At::root(&file.name, root);
            for at in std::iter::once(at).chain(at.list(&["profiles"])) {
                let own = at.get("manifests").into_iter().flat_map(At::pairs).filter(|pair| pair.key != "rawYaml");
                keys.extend(own.map(|pair| format!("manifests.{}", pair.key)));
                keys.extend(at.get("requires").map(|_| "requires".to_owned()));
            }
        }
    }
    keys
}

/// Whether a path fits a path or pattern.
pub(crate) fn path_fits(pattern: &str, path: &str) -> bool {
    let (mut parts, mut names) = (pattern.split('/'), path.split('/'));
    loop {
        match (parts.next(), names.next()) {
            // `**`: of folders below, all files.
            (None, None) | (Some("**"), Some(_)) => return true,
            (Some(part), Some(name)) if part == name || fits(part, name) => {}
            _ => return false,
        }
    }
}

/// Everything that is wrong, in the order of the files and of their lines.
///
/// # Errors
/// A file that cannot be read, or files of which none is a pipeline's.
pub(crate) fn lint(input: &Input<'_>) -> Result<Vec<Finding>, Diagnostic> {
    let mut found = Found::default();
    let tables = Tables::read();
    let parsed: Vec<Parsed<'_>> =
        input.files.iter().filter(|file| is_yaml(&file.name)).map(parse).collect::<Result<_, _>>()?;
    let mut project = Project { paths: input.paths.iter().map(|path| &**path).collect(), ..Project::default() };
    let mut known = 0;
    let rendered = manifests(input.files);
    for file in &parsed {
        let kinds: Vec<(At<'_>, Kind)> =
            file.roots.iter().map(|root| At::root(file.name, root)).map(|at| (at, Kind::of(at))).collect();
        let named = rendered.iter().any(|pattern| path_fits(pattern, file.name));
        let belongs =
            named || rules::documents::belongs(file.name) || kinds.iter().any(|(_, kind)| kind.table().is_some());
        if kinds.is_empty() {
            rules::documents::empty(file.name, named, &mut found);
        }
        known += kinds.iter().filter(|(_, kind)| !matches!(kind, Kind::Other)).count();
        for (at, kind) in kinds {
            if let Some(table) = kind.table().filter(|_| is_in_tables(at, kind)) {
                tables.check(at, table, &mut found);
            }
            rules::documents::check(at, kind, belongs, &mut found);
            project.add(kind, at, input.read_args);
        }
        for slip in file.slips.iter().filter(|_| belongs) {
            let at = Source { file: file.name.to_owned(), place: slip.place.unwrap_or(FIRST) };
            found.add(&schema::DUPLICATE_KEY, at, slip.message.clone());
        }
    }
    if known == 0 {
        let count = crate::text::counted(parsed.len(), "YAML file");
        let message = format!(
            "there is no pipeline here: {count}, and no document of Cloud Deploy, Skaffold, Cloud Run or Cloud Build in it"
        );
        return Err(Diagnostic::new(code::EMPTY, None, message));
    }
    project.coordinates =
        input.files.iter().filter(|file| base(&file.name) == COORDINATES).flat_map(coordinates).collect();
    project.dockerfiles = input.files.iter().filter(|file| is_dockerfile(&file.name)).collect();
    let plan = rules::checks::plan(input, &project, &mut found);
    project.plan = plan.as_ref();
    rules::check(&project, &mut found);
    ignore::apply(&parsed, &mut found);
    let mut findings = found.0;
    findings.sort_by(|a, b| {
        let files = a.at.file.cmp(&b.at.file).then(a.at.place.cmp(&b.at.place));
        files.then(a.rule.id.cmp(b.rule.id)).then_with(|| a.message.cmp(&b.message))
    });
    findings.dedup_by(|a, b| a.at == b.at && a.rule.id == b.rule.id && a.message == b.message);
    Ok(findings)
}

/// Whether the tables speak of a document's version: Skaffold's older configurations have other keys.
fn is_in_tables(at: At<'_>, kind: Kind) -> bool {
    kind != Kind::Skaffold || at.text_at(&["apiVersion"]).is_some_and(|version| version.starts_with("skaffold/v4beta"))
}

/// The first place of a file.
const FIRST: Place = Place { line: 1, column: 1 };

/// The files with the changes made that are certain.
pub(crate) fn fixed(files: &[File], findings: &[Finding]) -> Vec<File> {
    let mut edits: BTreeMap<&str, Vec<fix::Edit>> = BTreeMap::new();
    for finding in findings.iter().filter(|finding| finding.ignored.is_none()) {
        edits.entry(&finding.at.file).or_default().extend(finding.edit.clone());
    }
    let changed = files.iter().filter_map(|file| {
        let text = fix::apply(&file.text, edits.get(&*file.name)?);
        (text != file.text).then(|| File { name: file.name.clone(), text })
    });
    changed.collect()
}

/// The lines of `pipeline.env`.
fn coordinates(file: &File) -> impl Iterator<Item = Coordinate<'_>> {
    coordinate_lines(&file.text).map(|(number, name, value)| {
        let at = Source { file: file.name.clone(), place: Place { line: number, column: 1 } };
        Coordinate { at, name, value }
    })
}

/// The number, the name and the value of each line `NAME=VALUE`, as a shell reads them.
pub(crate) fn coordinate_lines(text: &str) -> impl Iterator<Item = (u64, &str, &str)> {
    text.lines().zip(1..).filter_map(|(line, number)| {
        let line = line.trim();
        let (name, value) = line.split_once('=').filter(|_| !line.starts_with('#'))?;
        Some((number, name.trim(), value.trim().trim_matches(['"', '\''])))
    })
}
