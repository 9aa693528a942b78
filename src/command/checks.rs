//! `canary-gate checks`: the embedded default plan, or every mistake of a checks file.

use super::process::{NoSecrets, checks_file};
use super::{CommandError, Session};
use crate::cli::Checks;
use crate::outcome::Exit;
use crate::plan::{DEFAULT, PlanInput};
use crate::text;

pub(crate) fn run(session: &Session, args: &Checks) -> Result<Exit, CommandError> {
    let Some(path) = &args.validate else {
        session.print(DEFAULT)?;
        return Ok(Exit::Pass);
    };
    let file = checks_file(path)?;
    let name = file.0.clone();
    let plan = PlanInput { file: Some(file), ..PlanInput::default() }.plan(&NoSecrets)?;
    let enabled = plan.checks.iter().filter(|check| check.policy.enabled).count();
    session.print(&format!("{name}: no mistake; {} enabled\n", text::counted(enabled, "check")))?;
    Ok(Exit::Pass)
}
