//! What the faults act upon: what the plan asks of the service, and what the service answers where it is healthy.

use std::collections::BTreeSet;
use std::time::Duration;

use super::faults::At;
use super::perturb::Perturbation;
use crate::http::Address;
use crate::plan::{CheckSpec, Identity, JsonExpect, Kind, Metrics, Plan, Smoke, Traffic};

/// An answer of the healthy service.
#[derive(Clone, Debug)]
pub(super) struct Answered {
    /// The path and the query.
    pub(super) target: String,
    pub(super) status: u16,
    pub(super) media_type: String,
}

/// What the faults act upon.
pub(super) struct Subject {
    pub(super) plan: Plan,
    pub(super) address: Address,
    /// In the order in which they were asked for.
    pub(super) answered: Vec<Answered>,
    /// The labels that the gate gives the series of a scrape.
    pub(super) labels: Vec<(String, String)>,
    /// What makes a blocking threshold fail, or else any; nothing where nothing does.
    pub(super) over: Option<Perturbation>,
}

impl Subject {
    fn checks(&self) -> impl Iterator<Item = (usize, &CheckSpec)> {
        self.plan.checks.iter().enumerate().filter(|(_, check)| check.policy.enabled)
    }

    pub(super) fn metrics(&self) -> Option<&Metrics> {
        self.checks().find_map(|(_, check)| match &check.kind {
            Kind::Metrics(metrics) => Some(&**metrics),
            _ => None,
        })
    }

    fn smoke(&self) -> Option<&Smoke> {
        self.checks().find_map(|(_, check)| match &check.kind {
            Kind::Smoke(smoke) => Some(smoke),
            _ => None,
        })
    }

    fn traffic(&self) -> Option<&Traffic> {
        self.checks().find_map(|(_, check)| match &check.kind {
            Kind::Traffic(traffic) => Some(&**traffic),
            _ => None,
        })
    }

    /// How much slower the traffic may be without that it matters.
    pub(super) fn least_difference(&self) -> Duration {
        self.traffic().map(|traffic| traffic.min_difference).unwrap_or_default()
    }

    pub(super) fn identity(&self) -> Option<&Identity> {
        identity(&self.plan)
    }

    /// What the health check expects of its JSON.
    pub(super) fn health(&self) -> &[JsonExpect] {
        let found = self.checks().find_map(|(_, check)| match &check.kind {
            Kind::Http(http) if check.name == "health" => Some(&*http.expect.json),
            _ => None,
        });
        found.unwrap_or_default()
    }

    /// A path of the plan as it is asked for.
    fn target(&self, path: &str) -> String {
        let url = self.address.at(path);
        url[url::Position::BeforePath..url::Position::AfterQuery].to_owned()
    }

    /// Where a fault is played; nothing where that is everywhere.
    ///
    /// # Errors
    /// Why it cannot be played to this plan, or to this service.
    pub(super) fn targets(&self, at: At) -> Result<Option<BTreeSet<String>>, String> {
        let named = |wanted: &str| {
            let known = self.plan.checks.iter().find(|check| check.name == wanted);
            let found = self.checks().find_map(|(_, check)| match &check.kind {
                Kind::Http(http) if check.name == wanted => Some(self.target(&http.request.path)),
                _ => None,
            });
            let why = if known.is_some() { "is not drilled" } else { "is not in the plan" };
            found.map(|path| vec![path]).ok_or_else(|| format!("the check {wanted} {why}"))
        };
        let smoke = || self.smoke().ok_or_else(|| "the check smoke is not drilled".to_owned());
        let page = || smoke()?.page.clone().ok_or_else(|| "the plan loads no page".to_owned());
        let paths: Vec<String> = match at {
            At::Everything => return Ok(None),
            At::Health => named("health")?,
            At::Readiness => named("readiness")?,
            At::Http => {
                let added = self.checks().filter_map(|(_, check)| match &check.kind {
                    Kind::Http(http) if !is_built_in(check) => Some(self.target(&http.request.path)),
                    _ => None,
                });
                Some(added.collect::<Vec<_>>())
                    .filter(|paths| !paths.is_empty())
                    .ok_or("the plan adds no HTTP check")?
            }
            At::Metrics => {
                let metrics = self.metrics().ok_or("the check metrics is not drilled")?;
                vec![self.target(&metrics.request.path)]
            }
            At::Page => vec![self.target(&page()?)],
            At::Listed => {
                let smoke = smoke()?;
                let others = smoke.requests.iter().filter(|(request, _)| smoke.page.as_ref() != Some(&request.path));
                let others: Vec<String> = others.map(|(request, _)| self.target(&request.path)).collect();
                Some(others).filter(|others| !others.is_empty()).ok_or("the smoke check asks for the page alone")?
            }
            At::Script => vec![self.asset(smoke()?, is_script, "script")?],
            At::Style => vec![self.asset(smoke()?, is_style, "style sheet")?],
            At::Identity => {
                let identity = self.identity().ok_or("the plan does not say what tells the revision (identity)")?;
                vec![self.target(&identity.path)]
            }
            At::Traffic => {
                let traffic = self.traffic().ok_or("the check traffic is not drilled")?;
                traffic.requests.iter().map(|asked| self.target(&asked.request.path)).collect()
            }
        };
        Ok(Some(paths.into_iter().collect()))
    }

    /// The first asset of a kind that the page loads.
    fn asset(&self, smoke: &Smoke, is_it: fn(&str) -> bool, word: &str) -> Result<String, String> {
        let asked: BTreeSet<String> = smoke.requests.iter().map(|(request, _)| self.target(&request.path)).collect();
        let mut assets = self.answered.iter().filter(|answer| is_it(&answer.media_type));
        let first = assets.find(|answer| !asked.contains(&answer.target));
        first
            .map(|answer| answer.target.clone())
            .ok_or_else(|| format!("the page loads no {word} of the service's own"))
    }

    /// The checks that ask where a fault is played, by their positions in the plan.
    pub(super) fn touched(&self, at: At, targets: Option<&BTreeSet<String>>) -> BTreeSet<usize> {
        let asks = |check: &CheckSpec| {
            let Some(targets) = targets else { return true };
            if at == At::Traffic || matches!(check.kind, Kind::Traffic(_)) {
                // The traffic's paths may be those of other checks too, which ask there once or twice.
                return at == At::Traffic && matches!(check.kind, Kind::Traffic(_));
            }
            let is_hit = |path: &String| targets.contains(&self.target(path));
            match &check.kind {
                Kind::Ready(ready) => {
                    is_hit(&ready.path) || ready.identity.as_ref().is_some_and(|identity| is_hit(&identity.path))
                }
                Kind::Http(http) => is_hit(&http.request.path),
                Kind::Metrics(metrics) => is_hit(&metrics.request.path),
                Kind::Smoke(smoke) => {
                    matches!(at, At::Page | At::Listed | At::Script | At::Style)
                        || smoke.page.as_ref().is_some_and(is_hit)
                        || smoke.requests.iter().any(|(request, _)| is_hit(&request.path))
                }
                Kind::Traffic(_) => false,
            }
        };
        self.checks().filter(|(_, check)| asks(check)).map(|(index, _)| index).collect()
    }
}

/// Whether a fault is meant for a check: others that ask at the same place may well take what they get.
pub(super) fn is_meant_for(at: At, check: &CheckSpec) -> bool {
    match at {
        At::Everything => true,
        At::Health => check.name == "health",
        At::Readiness => check.name == "readiness",
        At::Http => matches!(check.kind, Kind::Http(_)) && !is_built_in(check),
        At::Metrics => matches!(check.kind, Kind::Metrics(_)),
        At::Page | At::Listed | At::Script | At::Style => matches!(check.kind, Kind::Smoke(_)),
        At::Identity => matches!(check.kind, Kind::Ready(_)),
        At::Traffic => matches!(check.kind, Kind::Traffic(_)),
    }
}

/// What tells the revision of an answer, where a plan says it.
pub(super) fn identity(plan: &Plan) -> Option<&Identity> {
    plan.checks.iter().find_map(|check| match &check.kind {
        Kind::Ready(ready) => ready.identity.as_ref(),
        _ => None,
    })
}

fn is_built_in(check: &CheckSpec) -> bool {
    matches!(&*check.name, "health" | "readiness")
}

fn is_script(media_type: &str) -> bool {
    media_type.ends_with("javascript") || media_type.ends_with("ecmascript")
}

fn is_style(media_type: &str) -> bool {
    media_type == "text/css"
}
