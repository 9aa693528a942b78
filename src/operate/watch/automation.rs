//! What automation does with a rollout: advances, retries, rollbacks.

use std::collections::BTreeMap;

use super::Follower;
use super::event::Happened;
use crate::google::ApiErrorKind;
use crate::google::deploy::{AutomationRun, AutomationRunState, PhaseState, RepairState, Rollout, RolloutState};

/// The automation runs that were seen.
#[derive(Default)]
pub(super) struct Runs {
    /// What was told of each, and whether it has ended.
    known: BTreeMap<String, Known>,
    /// They cannot be read, which was told.
    blind: bool,
}

#[derive(Default)]
struct Known {
    state: Option<AutomationRunState>,
    attempts: BTreeMap<String, RepairState>,
    rollback: Option<RepairState>,
}

impl Runs {
    /// Reads the runs that act on a rollout, and tells what is new of them.
    pub(super) async fn tell_of(&mut self, rollout: &Rollout, follower: &Follower<'_>) {
        let automation = &rollout.metadata.automation;
        let mut names: Vec<&String> =
            automation.advance_automation_runs.iter().chain(&automation.repair_automation_runs).collect();
        let active = &rollout.active_repair_automation_run;
        if !active.is_empty() && !names.contains(&active) {
            names.push(active);
        }
        for name in names {
            let known = self.known.entry(name.clone()).or_default();
            if self.blind || known.state.is_some_and(is_over) {
                continue;
            }
            match follower.apis.deploy.get::<AutomationRun>(name, follower.asked.deadline).await {
                Ok(run) => known.changes(&run).into_iter().for_each(|happened| (follower.tell)(happened)),
                // It is asked again with the next look.
                Err(error) if error.kind == ApiErrorKind::Transient => {}
                Err(error) => {
                    self.blind = true;
                    (follower.tell)(Happened::Unseen(format!("what automation does cannot be read: {error}")));
                }
            }
        }
    }
}

fn is_over(state: AutomationRunState) -> bool {
    match state {
        AutomationRunState::Succeeded
        | AutomationRunState::Cancelled
        | AutomationRunState::Failed
        | AutomationRunState::Aborted => true,
        AutomationRunState::InProgress | AutomationRunState::Pending | AutomationRunState::Unknown => false,
    }
}

impl Known {
    /// What is new of a run. Pure.
    fn changes(&mut self, run: &AutomationRun) -> Vec<Happened> {
        let mut changes = Vec::new();
        let moved = self.state.replace(run.state) != Some(run.state);
        if let Some(advance) = run.advance_rollout_operation.as_ref().filter(|_| moved) {
            changes.push(Happened::Advance {
                from: advance.source_phase.clone(),
                to: advance.destination_phase.clone(),
                rule: run.rule_id.clone(),
                state: run.state,
                why: run.state_description.clone(),
            });
        }
        let Some(repair) = &run.repair_rollout_operation else { return changes };
        for step in &repair.repair_phases {
            for attempt in step.retry.iter().flat_map(|retry| &retry.attempts) {
                if self.attempts.insert(attempt.attempt.clone(), attempt.state) != Some(attempt.state) {
                    changes.push(Happened::Retry {
                        phase: repair.phase_id.clone(),
                        job: repair.job_id.clone(),
                        attempt: attempt.attempt.clone(),
                        of: step.retry.as_ref().map(|retry| retry.total_attempts.clone()).unwrap_or_default(),
                        state: attempt.state,
                        why: attempt.state_desc.clone(),
                    });
                }
            }
            if let Some(rollback) = &step.rollback
                && !matches!(rollback.state, RepairState::Pending | RepairState::Unknown)
                && self.rollback.replace(rollback.state) != Some(rollback.state)
            {
                changes.push(Happened::Rollback {
                    to: rollback.rollout_id.clone(),
                    state: rollback.state,
                    why: rollback.state_desc.clone(),
                });
            }
        }
        if moved && is_over(run.state) {
            changes.push(Happened::Repair { state: run.state, why: run.state_description.clone() });
        }
        changes
    }
}

/// The phase of a rollout in progress that nobody has begun, behind one that succeeded.
pub(super) fn waits_for_an_advance(rollout: &Rollout) -> Option<String> {
    let is_over = |state: PhaseState| matches!(state, PhaseState::Succeeded | PhaseState::Skipped);
    let next = rollout.phases.iter().position(|phase| !is_over(phase.state))?;
    let waits = rollout.state == RolloutState::InProgress
        && rollout.phases[next].state == PhaseState::Pending
        && rollout.phases[..next].iter().any(|phase| phase.state == PhaseState::Succeeded);
    waits.then(|| rollout.phases[next].id.clone())
}
