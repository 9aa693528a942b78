//! canary-gate: arguments to exit code.

use std::process::ExitCode;

use canary_gate::cli::Cli;
use canary_gate::run::run;

fn main() -> ExitCode {
    run(Cli::read()).code().into()
}
