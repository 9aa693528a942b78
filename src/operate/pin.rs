//! Whether the traffic is pinned: to a revision by name, so that the next deploy reports success while the old revision serves.

use crate::google::run_traffic::ServiceTraffic;

/// Traffic that stays where it is, whatever is deployed by hand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pin {
    /// The revisions that it is pinned to, each with its share in percent.
    pub(crate) to: Vec<(String, u32)>,
    /// The newest revision that is ready; it has none of the traffic, or not all of it.
    pub(crate) newest: String,
}

/// The pin of a service; nothing where its traffic goes to the newest revision by itself, or is as Cloud Deploy's last rollout left
/// it (`deployed` is that rollout's revision): the next rollout moves it then.
pub(crate) fn pin(service: &ServiceTraffic, deployed: Option<&str>) -> Option<Pin> {
    let to: Vec<(String, u32)> = service.with_traffic().into_iter().collect();
    let is_deployed = matches!(&*to, [(revision, _)] if deployed == Some(&**revision));
    if service.follows_latest() || to.is_empty() || is_deployed {
        return None;
    }
    Some(Pin { to, newest: crate::google::short(&service.latest_ready_revision) })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn a_pin_is_traffic_by_name_that_no_rollout_gave() {
        let by_name = |revision: &str, percent: u32| json!({"type": "TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION", "revision": revision, "percent": percent});
        let latest = |percent: u32| json!({"type": "TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST", "percent": percent});
        let pinned = |traffic: Value, deployed: Option<&str>| {
            let service = json!({
                "latestReadyRevision": "projects/p/locations/r/services/app/revisions/app-3",
                "traffic": traffic, "trafficStatuses": traffic,
            });
            pin(&serde_json::from_value(service).unwrap(), deployed).map(|pin| (pin.to, pin.newest))
        };
        let to = |revision: &str| Some((vec![(revision.to_owned(), 100)], "app-3".to_owned()));
        assert_eq!(pinned(json!([by_name("app-1", 100)]), None), to("app-1"));
        assert_eq!(pinned(json!([by_name("app-1", 100)]), Some("app-3")), to("app-1"));
        assert_eq!(pinned(json!([by_name("app-3", 100)]), Some("app-3")), None);
        assert_eq!(pinned(json!([by_name("app-3", 100)]), None), to("app-3"));
        assert_eq!(pinned(json!([latest(100)]), None), None);
        // The next deploy takes a part of it, and the rest stays where it is.
        let shared = Some((vec![("app-1".to_owned(), 80), ("app-3".to_owned(), 20)], "app-3".to_owned()));
        assert_eq!(pinned(json!([latest(20), by_name("app-1", 80)]), None), shared);
        assert_eq!(pinned(json!([latest(100), by_name("app-1", 0)]), None), None);
        assert_eq!(pinned(json!([by_name("app-3", 20), by_name("app-1", 80)]), Some("app-3")), shared);
        assert_eq!(pinned(json!([]), None), None);
    }
}
