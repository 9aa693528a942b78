//! Who has the traffic, what holds it there, and which tags are left over.

use super::ask::InVain;
use super::row::Seen;
use super::subject::{RUN_VIEWER, Subject};
use super::{Audit, Names};
use crate::google::{ServiceNow, TrafficEntry, short};
use crate::outcome::{Observation, Status};
use crate::text;

/// All traffic is on one revision, and it is the release's.
pub(super) fn traffic(subject: &Subject) -> Seen {
    let service = match settled(subject) {
        Ok(service) => service,
        Err(seen) => return seen,
    };
    let revision = match &subject.revision {
        Ok(revision) => revision,
        Err(why) => return Seen::none(why.to_string()),
    };
    if let Some(why) = subject.disagreement().or_else(|| subject.undone()) {
        return Seen::bad(why);
    }
    let shares = service.shares();
    if shares.len() != 1 || !shares.contains_key(revision) {
        return Seen::bad(format!("the traffic is {}, want 100 % on {revision}", service.serving()));
    }
    let kept = match &subject.kept {
        Ok(kept) => kept,
        Err(why) if why.is_missing => return Seen::bad(why.to_string()),
        Err(why) => return Seen::none(why.to_string()),
    };
    if !kept.delete_time.is_empty() {
        return Seen::bad(format!("{revision} is deleted (since {})", kept.delete_time));
    }
    match kept.conditions.iter().find(|condition| condition.kind == "Ready") {
        None => Seen::none(format!("{revision} has no Ready condition")),
        Some(ready) if ready.state == "CONDITION_SUCCEEDED" => {
            let by =
                subject.rollout().map_or(String::new(), |rollout| format!(", as {} left it", short(&rollout.name)));
            Seen::good(format!("100 % on {revision}{by}"))
        }
        Some(ready) if ready.state == "CONDITION_FAILED" => {
            Seen::bad(format!("{revision} has the traffic and is not ready: {}", ready.message))
        }
        Some(ready) => Seen::none(format!("{revision} is not ready yet: {}", ready.message)),
    }
}

/// The traffic follows the newest revision, or Cloud Deploy moves it.
pub(super) fn pin(audit: &Audit<'_>, subject: &Subject) -> Seen {
    let service = match settled(subject) {
        Ok(service) => service,
        Err(seen) => return seen,
    };
    let holds = |entry: &&TrafficEntry| entry.percent > 0 && !(entry.is_latest() && entry.revision.is_empty());
    let Some(pinned) = service.traffic_statuses.iter().find(holds) else {
        return Seen::good("the traffic follows the newest revision");
    };
    let (pinned, newest) = (service.revision_of(pinned), short(&service.latest_created_revision));
    let others = if newest == pinned { String::new() } else { format!(", and {newest} is newer and serves nobody") };
    let deployed = match &subject.deployed {
        None => {
            return Seen::bad(format!(
                "the traffic is pinned to {pinned}{others}: what is deployed next serves nobody until it is unpinned: {}",
                unpin(&audit.names)
            ));
        }
        Some(deployed) => &deployed.rollout,
    };
    let rollout = match deployed {
        Ok(rollout) => rollout,
        Err(why) => {
            return Seen::none(format!("the traffic is on {pinned} by name, and who put it there is not known: {why}"));
        }
    };
    let name = short(&rollout.name);
    let deployed = short(&rollout.metadata.cloud_run.revision);
    if deployed.is_empty() {
        return Seen::none(format!(
            "the traffic is on {pinned} by name, and Cloud Deploy names no revision of the rollout {name}"
        ));
    }
    if deployed != pinned {
        return Seen::bad(format!(
            "the traffic is pinned to {pinned}, which the rollout {name} did not deploy{others}; unpin it: {}",
            unpin(&audit.names)
        ));
    }
    if newest != pinned && rollout.rollback_of_rollout.is_empty() {
        return Seen::bad(format!(
            "{newest} was made after {pinned}, to which the rollout {name} holds the traffic, and serves nobody; release it by \
             Cloud Deploy, or delete it"
        ));
    }
    Seen::good(format!("Cloud Deploy holds the traffic on {pinned} ({name}) and moves it by its next release"))
}

/// No tag points to a revision without traffic, but for those that the pipeline sets and those that may.
pub(super) fn tags(audit: &Audit<'_>, subject: &Subject) -> Seen {
    let service = match settled(subject) {
        Ok(service) => service,
        Err(seen) => return seen,
    };
    let shares = service.shares();
    let own: Vec<(&str, String)> = service
        .traffic_statuses
        .iter()
        .filter(|entry| !entry.tag.is_empty())
        .map(|entry| (&*entry.tag, service.revision_of(entry)))
        .collect();
    let is_left = |(tag, revision): &&(&str, String)| {
        !shares.contains_key(revision) && !audit.plan.audit.kept_tags.iter().any(|kept| kept == tag)
    };
    let left: Vec<&(&str, String)> = own.iter().filter(is_left).collect();
    if left.is_empty() {
        return Seen::good(format!("{}, none of them stale", text::counted(own.len(), "tag")));
    }
    let set: &[String] = match subject.deployed.as_ref().map(|deployed| &deployed.tags) {
        None => &[],
        Some(Ok(tags)) => tags,
        Some(Err(why)) => return Seen::none(format!("which tags the pipeline sets is not known: {why}")),
    };
    let stale: Vec<&&(&str, String)> = left.iter().filter(|(tag, _)| !set.iter().any(|own| own == tag)).collect();
    if stale.is_empty() {
        let kept = left.iter().map(|(tag, revision)| format!("{tag} → {revision}"));
        return Seen::good(format!("the pipeline's own: {}", kept.collect::<Vec<_>>().join(", ")));
    }
    let names = &audit.names;
    let observed = stale.iter().map(|(tag, revision)| {
        let detail = format!("points to {revision}, which serves nobody");
        Observation {
            reproduce: Some(format!(
                "gcloud run services update-traffic {} --remove-tags={tag} --region={} --project={}",
                names.service, names.region, names.project
            )),
            ..Observation::note(tag, Status::Warn, detail)
        }
    });
    let shown: Vec<String> = stale.iter().map(|(tag, revision)| format!("{tag} → {revision}")).collect();
    Seen::bad(format!("{}: {}", text::counted(stale.len(), "stale tag"), text::joined(&shown, 5, ", ")))
        .seeing(observed.collect())
}

impl Audit<'_> {
    /// No other region has a service of the name.
    pub(super) async fn services(&self) -> Seen {
        let Names { project, region, service, .. } = &self.names;
        let ask = async |deadline| self.apis.run.regions_of(project, service, deadline).await;
        let regions = match self.ask(RUN_VIEWER, ask).await {
            Ok(regions) => regions,
            Err(why) => return Seen::none(why.to_string()),
        };
        // The list must hold what is known to be there, or it is not the list that was asked for.
        if !regions.contains(region) {
            return Seen::none(format!("the list of the services of {project} does not hold {service} in {region}"));
        }
        let others: Vec<&String> = regions.iter().filter(|other| *other != region).collect();
        if others.is_empty() {
            return Seen::good(format!("{service} is in {region} alone, of all regions of {project}"));
        }
        Seen::bad(format!("{service} is also in {}", text::joined(&others, 10, ", ")))
    }
}

/// The service, where what the API says of it is what serves; what the row comes to, where not.
pub(super) fn settled(subject: &Subject) -> Result<&ServiceNow, Seen> {
    let service = subject.service.as_ref().map_err(unseen)?;
    if !service.delete_time.is_empty() {
        return Err(Seen::bad(format!("the service is deleted (since {})", service.delete_time)));
    }
    match service.unsettled() {
        Some(why) => Err(Seen::none(why)),
        None => Ok(service),
    }
}

/// A service that is not there is no matter of not seeing it.
fn unseen(why: &InVain) -> Seen {
    if why.is_missing { Seen::bad(why.to_string()) } else { Seen::none(why.to_string()) }
}

fn unpin(Names { project, region, service, .. }: &Names) -> String {
    format!("gcloud run services update-traffic {service} --to-latest --region={region} --project={project}")
}
