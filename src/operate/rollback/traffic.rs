//! One change of the traffic, under the etag that was read; what became of it is read, never guessed.

use tokio::time::{Instant, sleep};

use super::{Asked, Plan, Step, Tell, by_whom, changed};
use crate::google::run_traffic::{self, ServiceTraffic, Shifted, TrafficEntry};
use crate::google::{ApiErrorKind, Ended, Operation};
use crate::operate::watch::Apis;
use crate::operate::{Stop, is_late, with_time_to_look};
use crate::outcome::shares;
use crate::text;

/// So often a service is looked at that shows nothing of the change, where its answer was lost or its operation failed.
const LOOKS: u32 = 3;

/// Asks for the change and waits until it serves.
///
/// # Errors
/// What stands instead.
pub(super) async fn shift(
    asked: &Asked,
    cloud: &Apis,
    plan: &Plan,
    entries: &[TrafficEntry],
    revision: &str,
    tell: Tell<'_>,
) -> Result<ServiceTraffic, Stop> {
    tell(Step::Asking);
    let until = with_time_to_look(asked.deadline);
    let answer = run_traffic::set_traffic(&cloud.run, &plan.service, entries, false, until).await;
    let under_way = match answer {
        Ok(operation) => Asking::Taken(operation),
        Err(error) if error.kind == ApiErrorKind::Conflict => Asking::Refused(error.to_string()),
        Err(error) if error.is_refusal && error.kind != ApiErrorKind::Transient => {
            return Err(Stop::Unseen(format!("{error}; nothing was changed")));
        }
        Err(error) => {
            tell(Step::Lost(error.to_string()));
            Asking::Lost(error.to_string())
        }
    };
    Reading { asked, cloud, revision, tell }.until_it_serves(plan, under_way).await
}

/// What is known of the change.
enum Asking {
    /// The API works on it.
    Taken(Operation),
    /// Nobody knows whether it was taken.
    Lost(String),
    /// The service is not as it was read.
    Refused(String),
}

/// Waits until a revision serves that a rollout deployed; its tags are the rollout's matter.
///
/// # Errors
/// What stands instead.
pub(super) async fn settle(
    asked: &Asked,
    cloud: &Apis,
    revision: &str,
    tell: Tell<'_>,
) -> Result<ServiceTraffic, Stop> {
    let (mut looks, mut last) = (0, None);
    loop {
        let service = match asked.service(cloud).await {
            Err(_) if last.is_some() && is_late(asked.deadline) => return Err(too_late(last.as_deref())),
            service => service?,
        };
        match service.has_all(revision, &service.tags()) {
            Shifted::Done => return Ok(service),
            Shifted::NotYet(why) => {
                wait(asked, &why, tell).await?;
                last = Some(why);
            }
            Shifted::Otherwise => {
                looks += 1;
                if looks >= LOOKS {
                    return Err(Stop::NotDone(format!(
                        "the rollout succeeded, and {revision}, which it deployed, does not have the traffic: it is {}",
                        shares(&service.shares())
                    )));
                }
                wait(asked, "the traffic is not the rollout's yet", tell).await?;
            }
        }
    }
}

/// Waits for the next look.
///
/// # Errors
/// The end of the time.
async fn wait(asked: &Asked, why: &str, tell: Tell<'_>) -> Result<(), Stop> {
    let left = asked.deadline.saturating_duration_since(Instant::now());
    if left <= asked.poll {
        return Err(too_late(Some(why)));
    }
    tell(Step::Waiting(why.to_owned()));
    sleep(asked.poll).await;
    Ok(())
}

/// What is said at the end of the time; with what was seen last.
fn too_late(last: Option<&str>) -> Stop {
    let last = last.unwrap_or_default();
    Stop::NotDone(format!("it is not done in its time: {last}. Look again: the change may still happen"))
}

struct Reading<'r> {
    asked: &'r Asked,
    cloud: &'r Apis,
    revision: &'r str,
    tell: Tell<'r>,
}

impl Reading<'_> {
    async fn until_it_serves(&self, plan: &Plan, mut asking: Asking) -> Result<ServiceTraffic, Stop> {
        let tags = plan.service.tags();
        let mut failed: Option<String> = None;
        let (mut looks, mut last): (u32, Option<String>) = (0, None);
        loop {
            if let (Asking::Taken(operation), None) = (&mut asking, &failed) {
                failed = self.look_at(operation).await;
            }
            let service = self.asked.service(self.cloud).await.map_err(|error| match &last {
                Some(last) if is_late(self.asked.deadline) => too_late(Some(last)),
                _ => {
                    Stop::Unseen(format!("the change was asked for, and whether it serves could not be seen: {error}"))
                }
            })?;
            let is_unchanged = service.etag == plan.service.etag;
            let (why, is_final) = match (service.has_all(self.revision, &tags), &asking) {
                (Shifted::Done, _) => return Ok(service),
                (Shifted::NotYet(why), _) => (why, false),
                (Shifted::Otherwise, Asking::Refused(why)) if is_unchanged => {
                    return Err(Stop::NotDone(format!("{why}; the service is as it was: nothing was changed")));
                }
                (Shifted::Otherwise, Asking::Refused(why)) => {
                    return Err(Stop::NotDone(format!("{}: {why}", changed(&service))));
                }
                (Shifted::Otherwise, Asking::Lost(why)) if is_unchanged => (why.clone(), true),
                (Shifted::Otherwise, Asking::Taken(_)) if is_unchanged => {
                    ("the service does not show the change yet".to_owned(), false)
                }
                (Shifted::Otherwise, _) => return Err(Stop::NotDone(self.overtaken(&service))),
            };
            if failed.is_some() || is_final {
                looks += 1;
            }
            if looks >= LOOKS {
                return Err(Stop::NotDone(match (&failed, is_unchanged) {
                    (Some(failed), _) => {
                        format!("the change failed: {failed}; the traffic is {}, and {why}", shares(&service.shares()))
                    }
                    (None, _) => format!(
                        "the answer to the change was lost ({why}), and the service is still as it was ({}): if it was taken, it may still happen. \
                         Run it again: it looks first, and changes what is as it was read",
                        text::counted(LOOKS as usize, "look")
                    ),
                }));
            }
            wait(self.asked, &why, self.tell).await?;
            last = Some(why);
        }
    }

    /// Why the operation failed, where it did. An API that does not tell is no failure: what serves is read besides.
    async fn look_at(&self, operation: &mut Operation) -> Option<String> {
        if operation.ended().is_none() && !operation.name.is_empty() {
            let path = format!("/v2/{}", operation.name);
            if let Ok(read) = self.cloud.run.get::<Operation>(&path, self.asked.deadline).await {
                *operation = read;
            }
        }
        match operation.ended() {
            Some(Ended::Failed(why)) => Some(why),
            Some(Ended::Done | Ended::Unknown(_)) | None => None,
        }
    }

    /// What is said where somebody changed the traffic behind this change.
    fn overtaken(&self, service: &ServiceTraffic) -> String {
        format!(
            "the traffic was changed again behind this change ({}): it is {}, and {} was wanted with 100 %. Look, and run it again",
            by_whom(service),
            shares(&service.shares()),
            self.revision
        )
    }
}
