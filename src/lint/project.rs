//! What the files say together: pipelines with their phases, targets, automations, profiles, services, builds.

use super::at::At;
use super::file::{File, Kind, base};
use super::gate::{Gate, ReadArgs};
use crate::plan::Plan;

/// The documents of all files, as rules ask for them.
#[derive(Default)]
pub(crate) struct Project<'a> {
    pub(crate) pipelines: Vec<Pipeline<'a>>,
    pub(crate) targets: Vec<Target<'a>>,
    pub(crate) automations: Vec<Automation<'a>>,
    pub(crate) skaffolds: Vec<Skaffold<'a>>,
    pub(crate) services: Vec<At<'a>>,
    pub(crate) builds: Vec<Build<'a>>,
    pub(crate) policies: Vec<At<'a>>,
    pub(crate) coordinates: Vec<Coordinate<'a>>,
    pub(crate) dockerfiles: Vec<&'a File>,
    /// What the gate checks: by the checks file, or by its default. Nothing where the file has mistakes.
    pub(crate) plan: Option<&'a Plan>,
    /// The paths of all files that are there.
    pub(crate) paths: Vec<&'a str>,
}

pub(crate) struct Pipeline<'a> {
    pub(crate) at: At<'a>,
    pub(crate) name: Option<At<'a>>,
    pub(crate) stages: Vec<Stage<'a>>,
}

pub(crate) struct Stage<'a> {
    pub(crate) at: At<'a>,
    pub(crate) target: Option<At<'a>>,
    /// The mapping of a canary strategy.
    pub(crate) canary: Option<At<'a>>,
    pub(crate) phases: Vec<Phase<'a>>,
}

pub(crate) struct Phase<'a> {
    pub(crate) at: At<'a>,
    pub(crate) id: String,
    /// What it says of its share, and the share.
    pub(crate) percentage: Option<At<'a>>,
    pub(crate) percent: Option<u64>,
    pub(crate) profiles: Vec<At<'a>>,
    /// The actions before and after the deploy, by their names, each with the usage of its execution config.
    pub(crate) actions: Vec<(&'static str, At<'a>)>,
    /// What says that it is verified.
    pub(crate) verify: Option<At<'a>>,
    pub(crate) verified: Verified,
}

/// How a phase is verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verified {
    No,
    /// By Skaffold's stanza.
    Stanza,
    /// By tasks of its own.
    Tasks,
}

pub(crate) struct Target<'a> {
    pub(crate) at: At<'a>,
    pub(crate) name: Option<At<'a>>,
    pub(crate) location: Option<At<'a>>,
}

pub(crate) struct Automation<'a> {
    pub(crate) at: At<'a>,
    pub(crate) name: Option<At<'a>>,
    pub(crate) rules: Vec<AutomationRule<'a>>,
}

/// A rule of an automation.
pub(crate) struct AutomationRule<'a> {
    /// `advanceRollout`, `repairRollout`, … without an ending.
    pub(crate) kind: &'a str,
    pub(crate) at: At<'a>,
}

pub(crate) struct Skaffold<'a> {
    pub(crate) at: At<'a>,
    pub(crate) base: Vec<Case<'a>>,
    pub(crate) actions: Vec<Action<'a>>,
    pub(crate) profiles: Vec<Profile<'a>>,
    /// The manifests that it renders, by path or pattern.
    pub(crate) manifests: Vec<At<'a>>,
}

pub(crate) struct Profile<'a> {
    pub(crate) at: At<'a>,
    pub(crate) name: Option<At<'a>>,
    /// Its own verify list, which replaces that of the whole.
    pub(crate) cases: Option<Vec<Case<'a>>>,
    /// Its own custom actions, which replace those of the whole.
    pub(crate) actions: Option<Vec<Action<'a>>>,
    pub(crate) verify: Option<At<'a>>,
}

/// A custom action, which a phase runs before or after its deploy.
pub(crate) struct Action<'a> {
    pub(crate) at: At<'a>,
    pub(crate) name: Option<At<'a>>,
    pub(crate) timeout: Option<At<'a>>,
    /// Its containers that run the gate.
    pub(crate) gates: Vec<Gate<'a>>,
    /// The images of its containers.
    pub(crate) images: Vec<At<'a>>,
}

/// One container that verifies.
pub(crate) struct Case<'a> {
    pub(crate) at: At<'a>,
    pub(crate) name: Option<At<'a>>,
    pub(crate) image: Option<At<'a>>,
    pub(crate) timeout: Option<At<'a>>,
    pub(crate) gate: Option<Gate<'a>>,
}

pub(crate) struct Build<'a> {
    pub(crate) at: At<'a>,
    /// The steps that run the gate.
    pub(crate) gates: Vec<Gate<'a>>,
}

/// A line of `pipeline.env`.
pub(crate) struct Coordinate<'a> {
    pub(crate) at: crate::outcome::Source,
    pub(crate) name: &'a str,
    pub(crate) value: &'a str,
}

impl<'a> Project<'a> {
    pub(crate) fn add(&mut self, kind: Kind, at: At<'a>, read: &ReadArgs<'_>) {
        match kind {
            Kind::Pipeline => self.pipelines.push(Pipeline {
                at,
                name: at.path(&["metadata", "name"]),
                stages: at.list(&["serialPipeline", "stages"]).map(stage).collect(),
            }),
            Kind::Target => self.targets.push(Target {
                at,
                name: at.path(&["metadata", "name"]),
                location: at.path(&["run", "location"]),
            }),
            Kind::Automation => self.automations.push(Automation {
                at,
                name: at.path(&["metadata", "name"]),
                rules: at.list(&["rules"]).flat_map(rules).collect(),
            }),
            Kind::Skaffold => self.skaffolds.push(skaffold(at, read)),
            Kind::Service => self.services.push(at),
            Kind::Build => self.builds.push(Build {
                at,
                gates: at
                    .list(&["steps"])
                    .filter_map(|step| Gate::of(step_image(at, step), step.get("args"), step, read))
                    .collect(),
            }),
            Kind::Policy => self.policies.push(at),
            Kind::Deploy(_) | Kind::Broken | Kind::Other => {}
        }
    }

    pub(crate) fn stages(&self) -> impl Iterator<Item = &Stage<'a>> {
        self.pipelines.iter().flat_map(|pipeline| &pipeline.stages)
    }

    pub(crate) fn phases(&self) -> impl Iterator<Item = (&Stage<'a>, &Phase<'a>)> {
        self.stages().flat_map(|stage| stage.phases.iter().map(move |phase| (stage, phase)))
    }

    pub(crate) fn profiles(&self) -> impl Iterator<Item = &Profile<'a>> {
        self.skaffolds.iter().flat_map(|skaffold| &skaffold.profiles)
    }

    pub(crate) fn profile(&self, name: &str) -> Option<&Profile<'a>> {
        self.profiles().find(|profile| profile.name.and_then(At::text) == Some(name))
    }

    pub(crate) fn target(&self, name: &str) -> Option<&Target<'a>> {
        self.targets.iter().find(|target| target.name.and_then(At::text) == Some(name))
    }

    /// The containers that verify a phase.
    pub(crate) fn cases(&self, phase: &Phase<'a>) -> Vec<&Case<'a>> {
        let mut names = phase.profiles.iter().rev().filter_map(|name| name.text());
        let own = names.find_map(|name| self.profile(name)?.cases.as_ref());
        match own {
            Some(cases) => cases.iter().collect(),
            None => self.skaffolds.iter().flat_map(|skaffold| &skaffold.base).collect(),
        }
    }

    /// Every container that verifies something.
    pub(crate) fn all_cases(&self) -> impl Iterator<Item = &Case<'a>> {
        let own = self.profiles().flat_map(|profile| profile.cases.iter().flatten());
        self.skaffolds.iter().flat_map(|skaffold| &skaffold.base).chain(own)
    }

    /// The custom actions that a phase can run.
    pub(crate) fn actions(&self, phase: &Phase<'a>) -> Vec<&Action<'a>> {
        let mut names = phase.profiles.iter().rev().filter_map(|name| name.text());
        match names.find_map(|name| self.profile(name)?.actions.as_ref()) {
            Some(actions) => actions.iter().collect(),
            None => self.skaffolds.iter().flat_map(|skaffold| &skaffold.actions).collect(),
        }
    }

    /// Every custom action.
    pub(crate) fn all_actions(&self) -> impl Iterator<Item = &Action<'a>> {
        let own = self.profiles().flat_map(|profile| profile.actions.iter().flatten());
        self.skaffolds.iter().flat_map(|skaffold| &skaffold.actions).chain(own)
    }

    /// Every action with the phases that run it, and the usage of the execution config that it runs by.
    pub(crate) fn acts(&self) -> impl Iterator<Item = (&Stage<'a>, &Phase<'a>, &Action<'a>, &'static str)> {
        self.phases().flat_map(move |(stage, phase)| {
            self.actions(phase).into_iter().flat_map(move |action| {
                let name = action.name.and_then(At::text);
                let uses = phase.actions.iter().filter(move |(_, other)| name.is_some() && other.text() == name);
                uses.map(move |(usage, _)| (stage, phase, action, *usage))
            })
        })
    }

    /// Every run of the gate with the phases that it verifies.
    pub(crate) fn gates(&self) -> impl Iterator<Item = (&Stage<'a>, &Phase<'a>, &Case<'a>, &Gate<'a>)> {
        self.phases().filter(|(_, phase)| phase.verified == Verified::Stanza).flat_map(move |(stage, phase)| {
            let cases = self.cases(phase).into_iter();
            cases.filter_map(move |case| Some((stage, phase, case, case.gate.as_ref()?)))
        })
    }

    /// The pipeline that an automation belongs to.
    pub(crate) fn pipeline_of(&self, automation: &Automation<'a>) -> Option<&Pipeline<'a>> {
        let (pipeline, _) = automation.name?.text()?.split_once('/')?;
        self.pipelines.iter().find(|other| other.name.and_then(At::text) == Some(pipeline))
    }

    /// The stages whose target an automation selects.
    pub(crate) fn stages_of(&self, automation: &Automation<'a>) -> Vec<&Stage<'a>> {
        let Some(pipeline) = self.pipeline_of(automation) else { return Vec::new() };
        let selected: Vec<At<'_>> = automation.at.list(&["selector", "targets"]).collect();
        let fits = |stage: &&Stage<'a>| {
            selected.iter().any(|selector| match selector.get("id").and_then(At::text) {
                Some("*") => true,
                Some(id) => stage.target.and_then(At::text) == Some(id),
                // By labels.
                None => self.selects(*selector, stage),
            })
        };
        pipeline.stages.iter().filter(fits).collect()
    }

    fn selects(&self, selector: At<'a>, stage: &Stage<'a>) -> bool {
        let Some(target) = stage.target.and_then(At::text).and_then(|name| self.target(name)) else { return false };
        let mut labels = selector.get("labels").into_iter().flat_map(At::pairs).peekable();
        labels.peek().is_some()
            && labels.all(|label| target.at.text_at(&["metadata", "labels", label.key]) == label.value.text())
    }

    pub(crate) fn coordinate(&self, name: &str) -> Option<&Coordinate<'a>> {
        self.coordinates.iter().find(|coordinate| coordinate.name == name)
    }

    /// Whether a file is there that a path or pattern of a document in `beside` names.
    pub(crate) fn has_path(&self, beside: &str, pattern: &str) -> bool {
        let folder = beside.strip_suffix(base(beside)).unwrap_or_default();
        let wanted = format!("{folder}{}", pattern.trim_start_matches("./"));
        self.paths.iter().any(|path| super::path_fits(&wanted, path))
    }
}

/// The image of a build's step; of one that is a substitution, what that is by default.
fn step_image<'a>(build: At<'a>, step: At<'a>) -> Option<&'a str> {
    let name = step.text_at(&["name"])?;
    let substitution = name.strip_prefix("${").and_then(|rest| rest.strip_suffix('}')).or(name.strip_prefix('$'));
    substitution.and_then(|key| build.text_at(&["substitutions", key])).or(Some(name))
}

fn stage(at: At<'_>) -> Stage<'_> {
    let profiles: Vec<At<'_>> = at.list(&["profiles"]).collect();
    let canary = at.path(&["strategy", "canary"]);
    let verified = |at: At<'_>| match (at.get("verify"), at.get("verifyConfig")) {
        (_, Some(_)) => Verified::Tasks,
        (Some(verify), _) if verify.is_mapping() => Verified::Tasks,
        (Some(verify), _) if verify.is_true() => Verified::Stanza,
        _ => Verified::No,
    };
    let mut phases = Vec::new();
    if let Some(canary) = canary {
        for phase in canary.list(&["customCanaryDeployment", "phaseConfigs"]) {
            let percentage = phase.get("percentage");
            phases.push(Phase {
                at: phase,
                id: phase.get("phaseId").and_then(At::text).unwrap_or_default().to_owned(),
                percentage,
                percent: percentage.and_then(At::whole),
                profiles: profiles.iter().copied().chain(phase.list(&["profiles"])).collect(),
                actions: actions(phase),
                verify: phase.get("verify").or(phase.get("verifyConfig")),
                verified: verified(phase),
            });
        }
        if let Some(simple) = canary.get("canaryDeployment") {
            let same = |at: At<'_>| (simple.get("verify").or(simple.get("verifyConfig")), verified(at));
            for percentage in simple.list(&["percentages"]) {
                let (verify, verified) = same(simple);
                phases.push(Phase {
                    at: percentage,
                    id: format!("canary-{}", percentage.text().unwrap_or_default()),
                    percentage: Some(percentage),
                    percent: percentage.whole(),
                    profiles: profiles.clone(),
                    actions: actions(simple),
                    verify,
                    verified,
                });
            }
            phases.push(stable(simple, &profiles, verified(simple)));
        }
    } else {
        let standard = at.path(&["strategy", "standard"]).unwrap_or(at);
        phases.push(stable(standard, &profiles, verified(standard)));
    }
    Stage { at, target: at.get("targetId"), canary, phases }
}

/// The actions that a phase names.
fn actions(at: At<'_>) -> Vec<(&'static str, At<'_>)> {
    let before = at.list(&["predeploy", "actions"]).map(|at| ("PREDEPLOY", at));
    before.chain(at.list(&["postdeploy", "actions"]).map(|at| ("POSTDEPLOY", at))).collect()
}

/// The last phase, which nobody writes.
fn stable<'a>(at: At<'a>, profiles: &[At<'a>], verified: Verified) -> Phase<'a> {
    Phase {
        at,
        id: "stable".into(),
        percentage: None,
        percent: Some(100),
        profiles: profiles.to_vec(),
        actions: actions(at),
        verify: at.get("verify").or(at.get("verifyConfig")),
        verified,
    }
}

fn rules(at: At<'_>) -> impl Iterator<Item = AutomationRule<'_>> {
    at.pairs().map(|pair| AutomationRule { kind: pair.key.trim_end_matches("Rule"), at: pair.value })
}

fn skaffold<'a>(at: At<'a>, read: &ReadArgs<'_>) -> Skaffold<'a> {
    let cases = |at: At<'a>| at.list(&["verify"]).map(|at| case(at, read)).collect::<Vec<_>>();
    let acts = |at: At<'a>| at.list(&["customActions"]).map(|at| action(at, read)).collect::<Vec<_>>();
    let profiles = at.list(&["profiles"]);
    let profiles: Vec<Profile<'_>> = profiles
        .map(|profile| Profile {
            at: profile,
            name: profile.get("name"),
            cases: profile.get("verify").map(|_| cases(profile)),
            actions: profile.get("customActions").map(|_| acts(profile)),
            verify: profile.get("verify"),
        })
        .collect();
    let own = profiles.iter().flat_map(|profile| profile.at.list(&["manifests", "rawYaml"]));
    let manifests = at.list(&["manifests", "rawYaml"]).chain(own).collect();
    Skaffold { at, base: cases(at), actions: acts(at), profiles, manifests }
}

fn action<'a>(at: At<'a>, read: &ReadArgs<'_>) -> Action<'a> {
    let containers: Vec<At<'a>> = at.list(&["containers"]).collect();
    let gate = |container: &At<'a>| {
        Gate::of(container.get("image").and_then(At::text), container.get("args"), *container, read)
    };
    Action {
        at,
        name: at.get("name"),
        timeout: at.get("timeout"),
        gates: containers.iter().filter_map(gate).collect(),
        images: containers.iter().filter_map(|container| container.get("image")).collect(),
    }
}

fn case<'a>(at: At<'a>, read: &ReadArgs<'_>) -> Case<'a> {
    let container = at.get("container");
    let image = container.and_then(|container| container.get("image"));
    let args = container.and_then(|container| container.get("args"));
    Case {
        at,
        name: at.get("name"),
        image,
        timeout: at.get("timeout"),
        gate: Gate::of(image.and_then(At::text), args, at, read),
    }
}
