//! `canary-gate watch`

use clap::Args;

use super::CloudArgs;
use super::release::FollowArgs;

/// `canary-gate watch`
#[derive(Args, Debug)]
#[command(after_help = super::after_help!(
    "canary-gate watch\n  canary-gate watch rel-20261127-100000-to-emergence-run-0001 --until canary",
    "0  the phase and its verify job succeeded, and the revision has its share of the traffic\n  \
     1  it is seen not to be so: rendering, verification or the rollout failed, or it was rolled back\n  \
     2  an error of usage\n  \
     3  it could not be seen: there is no such rollout, an API refuses or does not answer, the time was up, or it was interrupted (the\n     \
     rollout goes on)"
))]
pub struct Watch {
    /// The rollout, by its short or full name [default: the newest to the target that has not ended]
    #[arg(value_name = "ROLLOUT")]
    pub(crate) rollout: Option<String>,
    /// How it is followed.
    #[command(flatten)]
    pub(crate) follow: FollowArgs,
    /// What it is about, and how Google Cloud is reached.
    #[command(flatten)]
    pub(crate) cloud: CloudArgs,
}
