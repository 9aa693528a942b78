//! A sample canary on loopback, verified by the gate: the first thing to run.
//!
//! `cargo run --release --example demo` verifies a healthy canary and exits 0. `-- --fault NAME` shows a failure, `-- --list`
//! lists them all, and what follows a second `--` goes to the gate: `-- --fault failures-3 -- --timeout 20s`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "outside production code")]

#[path = "canary/mod.rs"]
mod canary;

use std::process::ExitCode;

use canary::google::{PRIOR, World, environment};
use canary::{FAULTS, Fault};
use canary_gate::cli::Cli;
use canary_gate::run::run;
use clap::Parser;

/// Verifies a sample canary.
#[derive(Parser)]
struct Demo {
    /// How the canary misbehaves
    #[arg(long, value_name = "NAME", default_value = "none")]
    fault: String,
    /// List all faults and exit
    #[arg(long)]
    list: bool,
    /// Print the address and serve, until the process is ended
    #[arg(long)]
    serve: bool,
    /// With --serve: fake Google's APIs too. They answer that the canary is the deployed revision (right), that it is not
    /// (wrong), or that there is no token (no-token). Cloud Deploy's environment is printed after the address
    #[arg(long, value_name = "WORLD", requires = "serve")]
    cloud: Option<String>,
    /// Arguments passed on to the gate
    #[arg(last = true)]
    gate: Vec<String>,
}

fn main() -> ExitCode {
    let demo = Demo::parse();
    if demo.list {
        for fault in FAULTS {
            println!("{:26} {}", fault.name, fault.about);
        }
        return ExitCode::SUCCESS;
    }
    let Some(fault) = Fault::named(&demo.fault) else {
        eprintln!("there is no fault {:?}; --list shows them all", demo.fault);
        return ExitCode::from(2);
    };
    let canary = fault.start();
    if demo.serve {
        println!("{}", canary.url());
        let google = demo.cloud.as_deref().map(|world| {
            let mut google = World::of(&canary);
            match world {
                "right" => {}
                "wrong" => google.tagged = PRIOR,
                "no-token" => google.token = 500,
                other => panic!("there is no world {other:?}"),
            }
            google.serve()
        });
        for (name, value) in google.iter().flat_map(environment) {
            println!("{name}={value}");
        }
        loop {
            std::thread::park();
        }
    }
    println!("The sample canary, which {}, is at {}. What the gate says about it:\n", fault.about, canary.url());
    let arguments = ["canary-gate", "verify", "--url", &canary.url()].map(str::to_owned);
    run(Cli::parse_from(arguments.into_iter().chain(demo.gate))).code().into()
}
