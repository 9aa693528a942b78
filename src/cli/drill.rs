//! `canary-gate drill`

use clap::Args;
use clap::builder::BoolishValueParser;

use super::groups::{CredentialArgs, NetworkArgs, PlanArgs};

/// `canary-gate drill`
#[derive(Args, Debug)]
#[command(after_help = super::after_help!(
    "canary-gate drill                                 (the default plan, on an embedded sample)\n  \
     canary-gate drill --url https://staging.example.com --checks checks.yaml --report json=drill.json\n  \
     canary-gate drill --url https://staging.example.com --checks checks.yaml --only health-degraded",
    "0  every fault that was played is caught, or warned of where the plan wants no more; every threshold and check can fail\n  \
     1  a fault is missed, or a threshold or a check is vacuous\n  \
     2  an error of usage or of the checks file, found before any request is made\n  \
     3  nothing is proven: the service is not healthy, a fault could not be told from something else, or the drill was interrupted"
))]
pub struct Drill {
    /// The address of a healthy service, to which nothing but GET and HEAD is sent [default: an embedded sample]
    #[arg(long, env = "CANARY_GATE_URL", value_name = "URL")]
    pub(crate) url: Option<String>,
    /// What is checked.
    #[command(flatten)]
    pub(crate) plan: PlanArgs,
    /// Play this fault; may be repeated (the environment twin takes one a line) [default: all]
    #[arg(long, env = "CANARY_GATE_DRILL_ONLY", value_name = "FAULT")]
    pub(crate) only: Vec<String>,
    /// Leave this fault out; may be repeated (the environment twin takes one a line)
    #[arg(long, env = "CANARY_GATE_DRILL_SKIP", value_name = "FAULT")]
    pub(crate) skip: Vec<String>,
    /// List the faults and exit
    #[arg(long, env = "CANARY_GATE_DRILL_LIST", value_parser = BoolishValueParser::new())]
    pub(crate) list: bool,
    /// Write a report: json, junit or markdown, as FORMAT=PATH, - for standard output; may be repeated (the environment twin
    /// takes one a line)
    #[arg(long, env = "CANARY_GATE_REPORT", value_name = "FORMAT=PATH")]
    pub(crate) report: Vec<String>,
    /// How requests to a private service prove who sends them.
    #[command(flatten)]
    pub(crate) credentials: CredentialArgs,
    /// How the network is reached.
    #[command(flatten)]
    pub(crate) network: NetworkArgs,
}
