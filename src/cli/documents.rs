//! `canary-gate completions` and `canary-gate man`

use clap::Args;
use clap_complete::Shell;

/// `canary-gate completions`
#[derive(Args, Debug)]
#[command(after_help = super::after_help!(
    "canary-gate completions bash > /etc/bash_completion.d/canary-gate\n  \
     canary-gate completions zsh > ~/.zfunc/_canary-gate",
    "0  printed\n  2  an error of usage\n  3  standard output could not be written"
))]
pub struct Completions {
    /// The shell
    #[arg(value_name = "SHELL")]
    pub(crate) shell: Shell,
}

/// `canary-gate man`
#[derive(Args, Debug)]
#[command(after_help = super::after_help!(
    "canary-gate man | man -l -\n  canary-gate man verify > canary-gate-verify.1",
    "0  printed\n  2  an error of usage, or a command that there is not\n  3  standard output could not be written"
))]
pub struct Man {
    /// A command; the page of the whole where it is left out
    #[arg(value_name = "COMMAND")]
    pub(crate) command: Option<String>,
}
