//! `canary-gate release`

use clap::Args;

use super::CloudArgs;

/// `canary-gate release`
#[derive(Args, Debug)]
#[command(after_help = super::after_help!(
    "canary-gate release --image emergence-app=REPOSITORY/app@sha256:… --image canary-gate=REPOSITORY/canary-gate@sha256:…\n  \
     canary-gate release --name rel-7 --image …    (again, after an answer was lost: it makes no second one)",
    "0  the phase and its verify job succeeded, and the revision has its share of the traffic\n  \
     1  it is seen not to be so: rendering, verification or the rollout failed, or it was rolled back\n  \
     2  an error of usage, or lint has findings; nothing was uploaded or made\n  \
     3  it could not be seen: an API refuses or does not answer, the time was up, or it was interrupted (the rollout goes on)"
))]
pub struct Release {
    /// What an image's name in the manifests stands for, by digest; may be repeated (the environment twin takes one a line)
    #[arg(long, env = "CANARY_GATE_IMAGE", value_name = "NAME=IMAGE@sha256:DIGEST")]
    pub(crate) image: Vec<String>,
    /// The release's name; the same name with the same content is the same release [default: rel-YYYYMMDD-HHMMSS, in UTC]
    #[arg(long, env = "CANARY_GATE_RELEASE", value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// How it is followed.
    #[command(flatten)]
    pub(crate) follow: FollowArgs,
    /// What it is about, and how Google Cloud is reached.
    #[command(flatten)]
    pub(crate) cloud: CloudArgs,
}

/// How a rollout is followed.
#[derive(Args, Clone, Debug)]
pub struct FollowArgs {
    /// The phase that has to be verified
    #[arg(long, env = "CANARY_GATE_UNTIL", value_name = "PHASE", default_value = "stable")]
    pub(crate) until: String,
    /// The limit for everything; the rollout goes on behind it
    #[arg(
        long,
        env = "CANARY_GATE_TIMEOUT",
        value_name = "DURATION",
        default_value = "2h",
        allow_hyphen_values = true
    )]
    pub(crate) timeout: String,
    /// How long to wait from one look to the next
    #[arg(long, env = "CANARY_GATE_POLL", value_name = "DURATION", default_value = "5s", allow_hyphen_values = true)]
    pub(crate) poll: String,
}
