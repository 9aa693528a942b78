//! What a command of Google Cloud is about: project, region, pipeline, target and service, by flags, else by Cloud Deploy's
//! environment, else by `pipeline.env` in the pipeline's folder.

use std::path::Path;

use super::CommandError;
use super::process::whole_file;
use super::session::variable;
use crate::cli::CoordinateArgs;
use crate::google::run_traffic::ServiceName;
use crate::google::{named, short};
use crate::lint::{COORDINATES, coordinate_lines};

/// The largest `pipeline.env`.
const MAX_FILE: u64 = 64 * 1024;

/// The names of a pipeline and of what it deploys, each valid in the APIs' paths. A command asks for those that it needs.
pub(super) struct Coordinates<'a> {
    args: &'a CoordinateArgs,
    /// The lines of `pipeline.env`, where there is one.
    file: Vec<(String, String)>,
}

/// One coordinate: its flag, what it is called in Cloud Deploy's environment, and in `pipeline.env`.
struct Name {
    flag: &'static str,
    variables: &'static [&'static str],
    line: &'static str,
}

const PROJECT: Name = Name {
    flag: "project",
    variables: &["CLOUD_RUN_PROJECT", "CLOUD_DEPLOY_PROJECT_ID", "CLOUD_DEPLOY_PROJECT"],
    line: "PROJECT",
};
const REGION: Name =
    Name { flag: "region", variables: &["CLOUD_RUN_LOCATION", "CLOUD_DEPLOY_LOCATION"], line: "REGION" };
const PIPELINE: Name = Name { flag: "pipeline", variables: &["CLOUD_DEPLOY_DELIVERY_PIPELINE"], line: "PIPELINE" };
const TARGET: Name = Name { flag: "target", variables: &["CLOUD_DEPLOY_TARGET"], line: "TARGET" };
const SERVICE: Name = Name { flag: "service", variables: &["CLOUD_RUN_SERVICE"], line: "SERVICE" };

impl<'a> Coordinates<'a> {
    /// # Errors
    /// A `pipeline.env` that is there and cannot be read; a folder that is not there.
    pub(super) fn read(args: &'a CoordinateArgs) -> Result<Self, CommandError> {
        if !args.dir.is_dir() {
            return Err(CommandError::usage(format!("--dir: {} is not a folder", args.dir.display())));
        }
        let path = args.dir.join(COORDINATES);
        let file = if path.is_file() { lines(&path).map_err(CommandError::usage)? } else { Vec::new() };
        Ok(Self { args, file })
    }

    /// # Errors
    /// A project that nobody names, or what is no name of one; as of the others.
    pub(super) fn project(&self) -> Result<String, CommandError> {
        self.find(&PROJECT, self.args.project.as_deref())
    }

    pub(super) fn region(&self) -> Result<String, CommandError> {
        self.find(&REGION, self.args.region.as_deref())
    }

    pub(super) fn pipeline(&self) -> Result<String, CommandError> {
        self.find(&PIPELINE, self.args.pipeline.as_deref())
    }

    pub(super) fn target(&self) -> Result<String, CommandError> {
        self.find(&TARGET, self.args.target.as_deref())
    }

    pub(super) fn service(&self) -> Result<String, CommandError> {
        self.find(&SERVICE, self.args.service.as_deref())
    }

    /// The service, with where it is.
    ///
    /// # Errors
    /// As of its parts.
    pub(super) fn service_name(&self) -> Result<ServiceName, CommandError> {
        Ok(ServiceName { project: self.project()?, region: self.region()?, service: self.service()? })
    }

    /// The full name of the pipeline.
    ///
    /// # Errors
    /// As of its parts.
    pub(super) fn pipeline_name(&self) -> Result<String, CommandError> {
        let (project, region) = (self.project()?, self.region()?);
        Ok(format!("projects/{project}/locations/{region}/deliveryPipelines/{}", self.pipeline()?))
    }

    /// Whether anybody names a pipeline.
    pub(super) fn has_pipeline(&self) -> bool {
        self.written(&PIPELINE, self.args.pipeline.as_deref()).is_some()
    }

    fn written(&self, name: &Name, given: Option<&str>) -> Option<String> {
        let variables = || name.variables.iter().find_map(|name| variable(name));
        let line = || self.file.iter().find(|(line, _)| line == name.line).map(|(_, value)| value.clone());
        given.map(str::to_owned).or_else(|| variables().map(|value| short(&value))).or_else(line)
    }

    fn find(&self, name: &Name, given: Option<&str>) -> Result<String, CommandError> {
        let Name { flag, line, .. } = name;
        let written = self.written(name, given).ok_or_else(|| {
            let file = self.args.dir.join(COORDINATES);
            CommandError::usage(format!(
                "the {flag} is not known: pass --{flag}, or name it as {line} in {}",
                file.display()
            ))
        })?;
        named(flag, written).map_err(CommandError::usage)
    }
}

/// `NAME=VALUE` lines, as a shell reads them.
fn lines(path: &Path) -> Result<Vec<(String, String)>, String> {
    let text = String::from_utf8(whole_file(path, MAX_FILE)?)
        .map_err(|_| format!("the file {} is not UTF-8 text", path.display()))?;
    let lines = coordinate_lines(&text).filter(|(_, _, value)| !value.is_empty());
    Ok(lines.map(|(_, name, value)| (name.to_owned(), value.to_owned())).collect())
}
