//! Which rollout is meant.

use super::{Asked, Happened};
use crate::google::deploy::{Deploy, Rollout};
use crate::google::{ApiError, short};
use crate::operate::{Stop, persistently};
use crate::text;

/// The full name of the rollout of a pipeline that has a short name.
///
/// # Errors
/// There is none, or several have it, or they cannot be read.
pub(crate) async fn find(
    deploy: &Deploy,
    pipeline: &str,
    id: &str,
    asked: &Asked,
    tell: &dyn Fn(Happened),
) -> Result<String, Stop> {
    let all = rollouts(deploy, pipeline, "", asked, tell).await?;
    let mut own: Vec<&str> = all.iter().map(|rollout| &*rollout.name).filter(|name| short(name) == id).collect();
    match (own.pop(), own.is_empty()) {
        (Some(name), true) => Ok(name.to_owned()),
        (Some(name), false) => {
            own.push(name);
            Err(Stop::Unseen(format!("several rollouts are called {id}: name one in full: {}", own.join(", "))))
        }
        (None, _) => {
            let names: Vec<String> = all.iter().map(|rollout| short(&rollout.name)).collect();
            let similar = text::similar(id, names.iter().map(String::as_str));
            let hint = similar.first().map_or(String::new(), |similar| format!("; did you mean {similar}?"));
            Err(Stop::Unseen(format!("the pipeline {} has no rollout {id}{hint}", short(pipeline))))
        }
    }
}

/// The full name of the newest rollout to a target that has not ended.
///
/// # Errors
/// There is none, or they cannot be read.
pub(crate) async fn newest(
    deploy: &Deploy,
    pipeline: &str,
    target: &str,
    asked: &Asked,
    tell: &dyn Fn(Happened),
) -> Result<String, Stop> {
    let all = rollouts(deploy, pipeline, target, asked, tell).await?;
    let by_time = |rollout: &&Rollout| humantime::parse_rfc3339(&rollout.create_time).ok();
    if let Some(newest) = all.iter().filter(|rollout| !rollout.state.is_final()).max_by_key(by_time) {
        return Ok(newest.name.clone());
    }
    Err(Stop::Unseen(match all.iter().max_by_key(by_time) {
        Some(last) => {
            let last = short(&last.name);
            format!("every rollout to {target} has ended; the newest is {last}: canary-gate watch {last}")
        }
        None => format!("there is no rollout to {target}"),
    }))
}

/// The rollouts of all releases of a pipeline, to a target where one is named.
///
/// # Errors
/// They cannot be read.
pub(crate) async fn rollouts(
    deploy: &Deploy,
    pipeline: &str,
    target: &str,
    asked: &Asked,
    tell: &dyn Fn(Happened),
) -> Result<Vec<Rollout>, Stop> {
    let filter = if target.is_empty() { String::new() } else { format!("targetId=\"{target}\"") };
    let all = format!("{pipeline}/releases/-");
    let read = async || deploy.rollouts(&all, &filter, "", asked.deadline).await;
    let note = |error: &ApiError| tell(Happened::Trouble(error.to_string()));
    let found = persistently(asked.policy(), asked.deadline, note, read).await?;
    // Whatever a filter does: another target's rollout is none of this one's.
    Ok(found.into_iter().filter(|rollout| target.is_empty() || short(&rollout.target_id) == target).collect())
}
