//! How many revisions are kept; and the deletion of old ones, each looked at again just before, never one that is of use.

use std::time::Duration;

use super::ask::InVain;
use super::row::Seen;
use super::subject::{RUN_VIEWER, Subject, service_name};
use super::traffic::{settled, traffic};
use super::{Audit, Delete};
use crate::google::{ApiErrorKind, Ended, RevisionKept, ServiceNow, short};
use crate::outcome::{Observation, Status};
use crate::text;

/// How long a deletion may take.
const DELETION: Duration = Duration::from_mins(1);

impl Audit<'_> {
    pub(super) async fn revisions(&self, subject: &Subject) -> Seen {
        let all = match self.kept().await {
            Ok(all) => all,
            Err(why) => return Seen::none(why.to_string()),
        };
        // The one that is audited has to be among them, or this is not its service's list.
        if let Ok(own) = &subject.revision
            && !all.iter().any(|revision| short(&revision.name) == *own)
        {
            return Seen::none(format!("the list of the revisions does not hold {own}"));
        }
        if all.is_empty() {
            return Seen::none("the list of the revisions is empty, and a service that serves has one");
        }
        let max = self.plan.audit.max_revisions;
        let kept = |count: usize| format!("{} kept, want at most {max}", text::counted(count, "revision"));
        if all.len() <= max {
            return Seen::good(kept(all.len()));
        }
        if self.delete == Delete::No {
            return Seen::bad(format!("{}; --delete-old shows which could be deleted", kept(all.len())));
        }
        let old = match self.old(subject, &all) {
            Ok(old) => old,
            Err(why) => return Seen::bad(format!("{}; none is deleted: {why}", kept(all.len()))),
        };
        if self.delete == Delete::Show {
            let observed = old.iter().map(|revision| {
                let detail =
                    format!("made {}; of no use any more, and would be deleted with --yes", revision.create_time);
                Observation::note(&short(&revision.name), Status::Warn, detail)
            });
            let count = old.len();
            return Seen::bad(format!("{}; --yes would delete {count}", kept(all.len()))).seeing(observed.collect());
        }
        let mut observed = Vec::new();
        for revision in old {
            let name = short(&revision.name);
            match self.delete_one(subject, revision).await {
                Ok(said) => observed.push(Observation::note(&name, Status::Pass, said)),
                Err(why) => {
                    // What was not as it was believed to be may be so elsewhere.
                    observed.push(Observation::note(
                        &name,
                        Status::Fail,
                        format!("not deleted: {why}; no other one was"),
                    ));
                    break;
                }
            }
        }
        let deleted = observed.iter().filter(|seen| seen.status == Status::Pass).count();
        let trouble = observed.last().filter(|seen| seen.status != Status::Pass);
        let trouble = trouble.map(|seen| format!("; {} is {}", seen.name, seen.detail)).unwrap_or_default();
        let seen = match self.kept().await {
            Ok(left) if left.len() <= max => Seen::good(format!("{deleted} deleted, {}", kept(left.len()))),
            Ok(left) => Seen::bad(format!("{deleted} deleted, {}{trouble}", kept(left.len()))),
            Err(why) => Seen::none(format!("{deleted} deleted{trouble}; how many are left could not be seen: {why}")),
        };
        seen.seeing(observed)
    }

    async fn kept(&self) -> Result<Vec<RevisionKept>, InVain> {
        let name = service_name(self);
        self.ask(RUN_VIEWER, async |deadline| self.apis.run.run_revisions(&name, deadline).await).await
    }

    /// Which revisions are to be deleted, the oldest first: those that are too many, and of no use.
    ///
    /// # Errors
    /// Why that cannot be said.
    fn old<'k>(&self, subject: &Subject, all: &'k [RevisionKept]) -> Result<Vec<&'k RevisionKept>, String> {
        let service = settled(subject).map_err(|_| "what the service's traffic is could not be seen".to_owned())?;
        if !traffic(subject).is_good() {
            return Err("the traffic is not on the release's revision alone".into());
        }
        let own = subject.revision.as_ref().map_err(ToString::to_string)?;
        let previous = subject
            .previous()
            .ok_or("which revision a rollback would go back to is not known: no rollout and no tag prior names it")?;
        let is_of_use = |revision: &RevisionKept| {
            let name = short(&revision.name);
            name == *own || name == previous || serves(service, &name) || revision.reconciling
        };
        let too_many = all.len().saturating_sub(self.plan.audit.max_revisions);
        let old: Vec<&RevisionKept> = all.iter().rev().filter(|revision| !is_of_use(revision)).take(too_many).collect();
        if old.is_empty() {
            Err("each of them serves, has a tag, is the newest, or is what a rollback needs".into())
        } else {
            Ok(old)
        }
    }

    /// Deletes a revision that is still of no use; with what to say of it.
    ///
    /// # Errors
    /// Why it is not deleted, or not known to be.
    async fn delete_one(&self, subject: &Subject, listed: &RevisionKept) -> Result<String, String> {
        let name = short(&listed.name);
        // Minutes may have passed, and somebody else may have changed the traffic.
        let service =
            self.ask(RUN_VIEWER, async |deadline| self.apis.run.run_service(&service_name(self), deadline).await);
        let service = service.await.map_err(|why| why.to_string())?;
        if let Some(why) = service.unsettled() {
            return Err(why);
        }
        if serves(&service, &name) {
            return Err("it serves, or has a tag, by now".into());
        }
        if subject.revision.as_ref().is_ok_and(|own| *own == name) {
            return Err("it is the release's".into());
        }
        if listed.etag.is_empty() {
            return Err("the API names no etag of it: another one could be deleted in its place".into());
        }
        let deadline = self.deadline.min(tokio::time::Instant::now() + DELETION);
        let said = match self.apis.run.delete_revision(listed, deadline).await {
            Ok(operation) => match self.apis.run.wait(operation, "v2", deadline).await {
                Ended::Done => "deleted".to_owned(),
                Ended::Failed(why) => return Err(why),
                Ended::Unknown(why) => format!("deleted (its operation was not seen to end: {why})"),
            },
            Err(error) if error.kind == ApiErrorKind::Conflict => {
                return Err(format!("somebody changed it meanwhile: {error}"));
            }
            // Nobody knows whether it was done: that is looked up.
            Err(error) if error.kind == ApiErrorKind::Transient || !error.is_refusal => {
                format!("deleted (the answer was lost: {error})")
            }
            Err(error) if error.kind == ApiErrorKind::Missing => "gone already".to_owned(),
            Err(error) if error.kind == ApiErrorKind::Forbidden => {
                return Err(format!("{error}; grant roles/run.developer to whoever deletes"));
            }
            Err(error) => return Err(error.to_string()),
        };
        let look = async |deadline| self.apis.run.run_revision(&listed.name, deadline).await;
        match self.ask(RUN_VIEWER, look).await {
            Err(why) if why.is_missing => Ok(said),
            Ok(still) if !still.delete_time.is_empty() => Ok(said),
            Ok(_) => Err("it is still there".into()),
            Err(why) => Err(format!("whether it is there could not be seen: {why}")),
        }
    }
}

/// Whether the service has a use for a revision: traffic, a tag, or it is the newest one.
fn serves(service: &ServiceNow, revision: &str) -> bool {
    let latest = [&service.latest_ready_revision, &service.latest_created_revision];
    service.uses(revision) || latest.iter().any(|latest| short(latest) == revision)
}
