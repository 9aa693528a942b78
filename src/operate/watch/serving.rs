//! Whether the revision of a rollout serves: by the Cloud Run Admin API, never by the rollout's word.

use tokio::time::Instant;

use crate::google::deploy::{PhaseState, Release, Rollout};
use crate::google::{Api, CloudRun, Deployment, Located, Unproven, short};
use crate::http::RetryPolicy;
use crate::outcome::Serving;

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Serves {
    Yes { revision: String, percent: u32 },
    No(String),
    Unseen(String),
}

/// Asks whether the revision of a rollout is ready and has the share of a phase, or that of a phase of the same rollout behind it which
/// has begun already.
pub(super) async fn serves(
    run: &Api,
    release: &Release,
    rollout: &Rollout,
    until: &str,
    policy: RetryPolicy,
    deadline: Instant,
) -> Serves {
    let deployed = &rollout.metadata.cloud_run;
    let (service, revision) = (&deployed.service, short(&deployed.revision));
    let pieces: Vec<&str> = service.split('/').collect();
    let ["projects", project, "locations", region, "services", name] = pieces[..] else {
        return Serves::Unseen(format!("the rollout does not say which Cloud Run service it deployed ({service:?})"));
    };
    if revision.is_empty() {
        return Serves::Unseen("the rollout does not say which revision it deployed".into());
    }
    let shares = shares(release, rollout, until);
    if shares.is_empty() {
        return Serves::Unseen(format!("the pipeline does not say which share the phase {until} has"));
    }
    let deployment = Deployment {
        project: project.into(),
        region: region.into(),
        service: name.into(),
        revision: revision.clone(),
        tag: until.into(),
        phase: Some(until.into()),
        release: None,
        rollout: None,
        service_urls: Vec::new(),
        percent: None,
        pipeline: crate::google::OfPipeline::default(),
    };
    let Located { proof, .. } = CloudRun::new(deployment, run.clone()).locate(policy, deadline, |_| {}).await;
    match proof {
        // Without traffic, and without an address of its own, it serves nobody.
        Ok(proof) if proof.alone.is_empty() && shares.contains(&0) => {
            Serves::No(format!("{revision} has no address of its own: the tag {until} is not there"))
        }
        Ok(proof) => has_share(&revision, &proof.serving, &shares, release),
        Err(Unproven::Wrong(why)) => Serves::No(why),
        Err(Unproven::Denied { why, .. } | Unproven::Unreachable(why)) => Serves::Unseen(why),
    }
}

/// The shares that the revision may have: that of the phase, and those of phases behind it that have begun.
fn shares(release: &Release, rollout: &Rollout, until: &str) -> Vec<u32> {
    let own = rollout.phases.iter().position(|phase| phase.id == until).unwrap_or(usize::MAX);
    let phases = rollout.phases.iter().enumerate().filter(|(index, phase)| {
        *index == own
            || *index > own && !matches!(phase.state, PhaseState::Pending | PhaseState::Skipped | PhaseState::Unknown)
    });
    let pipeline = &release.delivery_pipeline_snapshot;
    phases.filter_map(|(_, phase)| pipeline.percentage(&rollout.target_id, &phase.id)).collect()
}

fn has_share(revision: &str, serving: &Serving, shares: &[u32], release: &Release) -> Serves {
    let entries = serving.traffic.iter().filter(|share| share.revision == revision);
    let percent: u32 = entries.map(|share| share.percent).sum();
    let all: Vec<String> = serving
        .traffic
        .iter()
        .filter(|share| share.percent > 0)
        .map(|share| format!("{} % {}", share.percent, share.revision))
        .collect();
    if !shares.contains(&percent) {
        let wanted: Vec<String> = shares.iter().map(|share| format!("{share} %")).collect();
        let (wanted, all) = (wanted.join(" or "), all.join(", "));
        return Serves::No(format!("{revision} has {percent} % of the traffic, want {wanted}; it is {all}"));
    }
    // Where both name a digest: the revision is one of this release.
    let digest = |image: &str| image.split_once('@').map(|(_, digest)| digest.to_owned());
    let released: Vec<String> = release.build_artifacts.iter().filter_map(|artifact| digest(&artifact.tag)).collect();
    match serving.image.as_deref().and_then(digest) {
        Some(image) if !released.is_empty() && !released.contains(&image) => {
            Serves::No(format!("{revision} serves the image {image}, which is none of the release's"))
        }
        _ => Serves::Yes { revision: revision.to_owned(), percent },
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::outcome::Share;

    fn release() -> Release {
        let canary = json!({"customCanaryDeployment": {"phaseConfigs": [
            {"phaseId": "canary", "percentage": 20}, {"phaseId": "stable", "percentage": 100},
        ]}});
        serde_json::from_value(json!({
            "buildArtifacts": [{"image": "app", "tag": "repo/app@sha256:11"}],
            "deliveryPipelineSnapshot": {"serialPipeline": {"stages": [{"targetId": "run", "strategy": {"canary": canary}}]}},
        }))
        .unwrap()
    }

    fn rollout(stable: &str) -> Rollout {
        let phases = json!([{"id": "canary", "state": "SUCCEEDED"}, {"id": "stable", "state": stable}]);
        serde_json::from_value(json!({"targetId": "run", "phases": phases})).unwrap()
    }

    #[test]
    fn a_share_is_that_of_the_phase_or_of_one_behind_it_that_has_begun() {
        let release = release();
        for (stable, until, wanted) in [
            ("PENDING", "canary", vec![20]),
            ("IN_PROGRESS", "canary", vec![20, 100]),
            ("SUCCEEDED", "stable", vec![100]),
            ("SUCCEEDED", "other", vec![]),
            ("WONDERFUL", "canary", vec![20]),
        ] {
            assert_eq!(shares(&release, &rollout(stable), until), wanted, "{stable} {until}");
        }
    }

    #[test]
    fn another_share_or_another_image_is_not_this_release() {
        let serving = |percent: u32, image: Option<&str>| Serving {
            image: image.map(str::to_owned),
            commit: None,
            traffic: vec![
                Share { revision: "a".into(), percent, tag: None },
                Share { revision: "a".into(), percent: 0, tag: Some("stable".into()) },
            ],
        };
        let found = |percent: u32, image: Option<&str>| has_share("a", &serving(percent, image), &[100], &release());
        let yes = Serves::Yes { revision: "a".into(), percent: 100 };
        assert_eq!(found(100, Some("repo/app@sha256:11")), yes);
        assert_eq!(found(100, None), yes);
        assert!(matches!(found(20, None), Serves::No(_)));
        assert!(matches!(found(100, Some("repo/app@sha256:22")), Serves::No(_)));
        // What the API does not know of has no share.
        assert!(matches!(has_share("b", &serving(100, None), &[100], &release()), Serves::No(_)));
    }
}
