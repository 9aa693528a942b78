//! `canary-gate watch`: follows a rollout to its own end. `release` follows its own in the same way.

use tokio::time::Instant;

use super::coordinates::Coordinates;
use super::process::time_of;
use super::session::Cloud;
use super::signals::Signals;
use super::told::Teller;
use super::{CommandError, Session};
use crate::cli::{FollowArgs, Watch};
use crate::google::deploy::{Deploy, RolloutState};
use crate::google::{AccessTokens, named, short};
use crate::operate::Stop;
use crate::operate::watch::{Apis, Asked, Ended, Follower, Happened, find, job_is, newest, rollout_is};
use crate::outcome::Exit;
use crate::text;

/// How long it may take to learn whose the account is: that is only told.
const WHOSE: std::time::Duration = std::time::Duration::from_secs(10);

pub(crate) fn run(session: &Session, args: &Watch) -> Result<Exit, CommandError> {
    let runtime = session.runtime()?;
    let mut signals = {
        let _inside = runtime.enter();
        Signals::listen()?
    };
    let which = Which::read(args)?;
    let (asked, apis, access) = {
        let (_, cloud) = session.cloud(&args.cloud)?;
        let access = cloud.access.clone();
        (asked(&args.follow, which.project(), None)?, apis(cloud), access)
    };
    let teller = Teller::new(session);
    let ended = runtime.block_on(async {
        let tell = |happened| teller.tell(&happened);
        let followed = async {
            tell_whose(&teller, &access, asked.deadline).await;
            let rollout = match which.name(&apis, &asked, &tell).await {
                Ok(rollout) => rollout,
                Err(stop) => return Err(stopped(&stop)),
            };
            Box::pin(follow(session, &apis, &asked, &rollout, &teller)).await
        };
        tokio::select! {
            ended = followed => ended,
            signal = signals.next() => Err(CommandError::no_verdict(format!(
                "interrupted by {signal}; nothing was changed, and the rollout goes on: {}", which.resume()
            ))),
        }
    });
    runtime.shutdown_background();
    ended
}

/// Which rollout is meant.
enum Which {
    /// By its full name.
    Full(String),
    /// By its short name, in a pipeline.
    Short { pipeline: String, id: String },
    /// The newest to a target of a pipeline that has not ended.
    Newest { pipeline: String, target: String },
}

impl Which {
    fn read(args: &Watch) -> Result<Self, CommandError> {
        if let Some(full) = args.rollout.as_ref().filter(|name| name.contains('/')) {
            return Self::full(full);
        }
        let coordinates = Coordinates::read(&args.cloud.coordinates)?;
        let pipeline = coordinates.pipeline_name()?;
        Ok(match &args.rollout {
            Some(id) => {
                let id = named("rollout", id.clone());
                let id = id.map_err(|why| CommandError::usage(why.replace("; pass --rollout", "")))?;
                Self::Short { pipeline, id }
            }
            None => Self::Newest { pipeline, target: coordinates.target()? },
        })
    }

    fn full(name: &str) -> Result<Self, CommandError> {
        let kinds = ["projects", "locations", "deliveryPipelines", "releases", "rollouts"];
        let pieces: Vec<&str> = name.split('/').collect();
        let is_whole = pieces.len() == 2 * kinds.len()
            && pieces.chunks(2).zip(kinds).all(|(pair, kind)| pair[0] == kind)
            && pieces.chunks(2).all(|pair| named("project", pair[1].to_owned()).is_ok());
        if is_whole {
            return Ok(Self::Full(name.to_owned()));
        }
        Err(CommandError::usage(format!(
            "{name:?} is not the name of a rollout: a short one, or \
             projects/P/locations/R/deliveryPipelines/D/releases/R/rollouts/NAME"
        )))
    }

    /// The project whose logs are asked.
    fn project(&self) -> &str {
        let (Self::Full(name) | Self::Short { pipeline: name, .. } | Self::Newest { pipeline: name, .. }) = self;
        name.split('/').nth(1).unwrap_or_default()
    }

    async fn name(&self, apis: &Apis, asked: &Asked, tell: &dyn Fn(Happened)) -> Result<String, Stop> {
        match self {
            Self::Full(name) => Ok(name.clone()),
            Self::Short { pipeline, id } => find(&apis.deploy, pipeline, id, asked, tell).await,
            Self::Newest { pipeline, target } => newest(&apis.deploy, pipeline, target, asked, tell).await,
        }
    }

    /// The command that follows it again.
    fn resume(&self) -> String {
        match self {
            Self::Full(name) => resume(name),
            Self::Short { id, .. } => resume(id),
            Self::Newest { .. } => "canary-gate watch".into(),
        }
    }
}

/// The command that follows a rollout.
pub(super) fn resume(rollout: &str) -> String {
    format!("canary-gate watch {}", text::shell(rollout))
}

/// How a rollout is followed.
pub(super) fn asked(args: &FollowArgs, project: &str, service: Option<String>) -> Result<Asked, CommandError> {
    let until = named("phase", args.until.clone());
    let until = until.map_err(|why| CommandError::usage(why.replace("--phase", "--until")))?;
    let (timeout, poll) = (time_of("--timeout", &args.timeout)?, time_of("--poll", &args.poll)?);
    Ok(Asked { project: project.to_owned(), service, until, poll, deadline: Instant::now() + timeout })
}

pub(super) fn apis(cloud: Cloud) -> Apis {
    Apis { deploy: Deploy::new(cloud.deploy), run: cloud.run, storage: cloud.storage, logging: cloud.logging }
}

/// Says by whose account the APIs are asked.
pub(super) async fn tell_whose(teller: &Teller<'_>, access: &AccessTokens, deadline: Instant) {
    // The first request says why there is none.
    if access.unusable().is_some() {
        return;
    }
    let whose = access.whose(deadline.min(Instant::now() + WHOSE)).await;
    teller.say(&format!("asking as {whose}"));
}

/// Why a command ends early.
pub(super) fn stopped(stop: &Stop) -> CommandError {
    let exit = match stop {
        Stop::NotDone(_) => Exit::Fail,
        Stop::Unseen(_) => Exit::NoVerdict,
    };
    CommandError { exit, message: stop.to_string() }
}

/// Follows a rollout, by its full name, and says how it ended.
///
/// # Errors
/// It could not be seen.
pub(super) async fn follow(
    session: &Session,
    apis: &Apis,
    asked: &Asked,
    rollout: &str,
    teller: &Teller<'_>,
) -> Result<Exit, CommandError> {
    teller.say(&format!("following {rollout}"));
    let tell = |happened| teller.tell(&happened);
    let ended = Box::pin(Follower { apis, asked, tell: &tell }.follow(rollout)).await;
    let (name, took) = (short(rollout), teller.took());
    let (exit, said) = match ended {
        Ended::Proven { revision, percent, passed_over } => {
            let until = &asked.until;
            let mut proven = format!(
                "PASS in {took}: {name}: the phase {until} is verified, and {revision} has {percent} % of the traffic\n"
            );
            for (phase, state) in passed_over {
                proven
                    .push_str(&format!("  but the verify job of the phase {phase} in front of it {}\n", job_is(state)));
            }
            (Exit::Pass, proven)
        }
        Ended::Not { why, rollbacks } => {
            let mut said = format!("FAIL in {took}: {name}: {why}\n");
            for cause in teller.causes() {
                said.push_str(&format!("  {}\n", cause.replace('\n', "\n  ")));
            }
            for (by, state) in rollbacks {
                said.push_str(&format!("  its rollback {} {}{}\n", short(&by), rollout_is(state), stands(state)));
            }
            (Exit::Fail, said)
        }
        Ended::Unseen(why) => {
            let causes: String = teller.causes().iter().map(|cause| format!("\n{cause}")).collect();
            let message = format!("{name}: {why}; to follow it again: {}{causes}", resume(rollout));
            return Err(CommandError::no_verdict(message));
        }
    };
    session.print(&text::escaped_lines(&session.redactor.clean(&said)))?;
    Ok(exit)
}

/// What a rollback that did not succeed leaves behind.
fn stands(state: RolloutState) -> &'static str {
    if state == RolloutState::Succeeded { "" } else { ": the traffic may still be on the revision that failed" }
}
