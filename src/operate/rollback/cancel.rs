//! Ends a rollout that has not ended: otherwise a rollback waits behind it, or it moves the traffic again.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::{Past, Step, Tell};
use crate::google::ApiErrorKind;
use crate::google::deploy::{Deploy, JobRunState, Rollout, RolloutState};
use crate::operate::{Stop, patiently};

/// So often a rollout is looked at that is being cancelled, until its jobs are ended.
const LOOKS: u32 = 3;

/// Cancels, and waits until it has ended. A job that keeps it from its end is terminated.
///
/// # Errors
/// What keeps it from its end; or that it succeeded meanwhile, which is another state than the one that was planned for.
pub(super) async fn cancel(
    deploy: &Deploy,
    past: &Past,
    poll: Duration,
    deadline: Instant,
    tell: Tell<'_>,
) -> Result<(), Stop> {
    let read = async || patiently(deadline, async || deploy.get::<Rollout>(&past.name, deadline).await).await;
    tell(Step::Cancelling(past.id.clone()));
    let mut rollout = read().await?;
    if !rollout.state.is_final() && rollout.state != RolloutState::Cancelling {
        match deploy.cancel(&past.name, deadline).await {
            Ok(()) => {}
            // What became of it is read.
            Err(error) if matches!(error.kind, ApiErrorKind::Transient | ApiErrorKind::Conflict) => {}
            Err(error) => {
                return Err(Stop::Unseen(format!("the rollout {} could not be cancelled: {error}", past.id)));
            }
        }
        rollout = read().await?;
    }
    let mut looks = 0;
    loop {
        match rollout.state {
            RolloutState::Succeeded => {
                return Err(Stop::NotDone(format!(
                    "the rollout {} succeeded before it could be cancelled; the traffic was not changed from here. Run it again",
                    past.id
                )));
            }
            state if state.is_final() => break,
            _ => {}
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left <= poll {
            return Err(Stop::NotDone(format!(
                "the rollout {} did not end after it was cancelled: it is {:?}; the traffic was not changed from here",
                past.id, rollout.state
            )));
        }
        looks += 1;
        if looks == LOOKS {
            terminate(deploy, past, &rollout, deadline, tell).await?;
        }
        sleep(poll).await;
        rollout = read().await?;
    }
    tell(Step::Cancelled(past.id.clone()));
    Ok(())
}

/// Ends the runs of a rollout's jobs that are still running.
async fn terminate(
    deploy: &Deploy,
    past: &Past,
    rollout: &Rollout,
    deadline: Instant,
    tell: Tell<'_>,
) -> Result<(), Stop> {
    if rollout.state != RolloutState::Cancelling {
        return Err(Stop::NotDone(format!(
            "the rollout {} was asked to end, and is still {:?}; the traffic was not changed from here. Run it again",
            past.id, rollout.state
        )));
    }
    let runs = patiently(deadline, async || deploy.job_runs(&past.name, deadline).await).await?;
    for run in runs.iter().filter(|run| run.state == JobRunState::InProgress) {
        tell(Step::Terminating(crate::google::short(&run.name)));
        match deploy.terminate(&run.name, deadline).await {
            Err(error) if !matches!(error.kind, ApiErrorKind::Transient | ApiErrorKind::Conflict) => {
                return Err(Stop::Unseen(format!(
                    "the rollout {} is being cancelled, and its job {} could not be ended: {error}",
                    past.id, run.job_id
                )));
            }
            _ => {}
        }
    }
    Ok(())
}
