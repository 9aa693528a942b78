//! The service: its probes against the checks, and its annotations.

use super::checks;
use super::rule;
use crate::lint::at::At;
use crate::lint::finding::{Found, Rule};
use crate::lint::project::Project;
use crate::text::{cut, similar};

rule!(
    PROBE_PATH,
    "probe-path",
    Warning,
    Medium,
    "a probe and the check of the same thing ask for different paths",
    "Cloud Run calls the container healthy or ready by one path and the gate by another: the gate fails revisions that serve, or asks for what is not there.",
    "Let the startup and liveness probes ask as the check `health` does, and the readiness probe as `readiness` does."
);
rule!(
    PROBE_TCP,
    "probe-tcp",
    Warning,
    Medium,
    "the startup probe is a TCP probe, or there is none",
    "A port is open long before the application answers: the revision is called ready minutes early and gets traffic that it cannot serve.",
    "Give the container a `startupProbe` with `httpGet`."
);
rule!(
    PROBE_PORT,
    "probe-port",
    Warning,
    Medium,
    "a probe asks another port than the one that serves",
    "What answers there is not what users get.",
    "Probe the container's own port, or leave the port out."
);
rule!(
    UNKNOWN_ANNOTATION,
    "unknown-annotation",
    Warning,
    Medium,
    "an annotation that Cloud Run does not know, and that is similar to one of its own",
    "Annotations are not checked: a slip is kept as it is and has no effect.",
    "Write the annotation that was meant."
);
rule!(
    SCALE,
    "scale",
    Error,
    High,
    "the limits of scaling are no numbers, or the least is over the most",
    "Cloud Run refuses the service, and the deploy job fails.",
    "Write whole numbers in quotes, the least not over the most."
);

rule!(
    PROBE_ACTION,
    "probe-action",
    Error,
    High,
    "a probe does not say what it asks, or says it twice",
    "Cloud Run wants one of httpGet, grpc and tcpSocket in a probe, and refuses the service otherwise.",
    "Write one of them."
);
rule!(
    PROBE_TIMES,
    "probe-times",
    Error,
    High,
    "the times of a probe do not fit",
    "Cloud Run refuses a probe whose timeout is over its period, and a startup probe that takes over 240 seconds in all.",
    "Let `timeoutSeconds` be at most `periodSeconds`, and `failureThreshold` times `periodSeconds` at most 240 for startup."
);

rule!(
    RESOURCE_LIMITS,
    "resource-limits",
    Error,
    High,
    "a limit of a resource that Cloud Run does not have",
    "Cloud Run refuses the service, or the container gets the default of what was meant.",
    "Limit `cpu`, `memory` and `nvidia.com/gpu`."
);

pub(super) const RULES: &[&Rule] =
    &[&RESOURCE_LIMITS, &PROBE_ACTION, &PROBE_TIMES, &PROBE_PATH, &PROBE_TCP, &PROBE_PORT, &UNKNOWN_ANNOTATION, &SCALE];

/// Annotations of Cloud Run, by its reference of the service's YAML.
const ANNOTATIONS: [&str; 39] = [
    "autoscaling.knative.dev/maxScale",
    "autoscaling.knative.dev/minScale",
    "run.googleapis.com/automatic-updates",
    "run.googleapis.com/base-images",
    "run.googleapis.com/binary-authorization",
    "run.googleapis.com/binary-authorization-breakglass",
    "run.googleapis.com/build-base-image",
    "run.googleapis.com/build-enable-automatic-updates",
    "run.googleapis.com/build-environment-variables",
    "run.googleapis.com/build-function-target",
    "run.googleapis.com/build-image-uri",
    "run.googleapis.com/build-service-account",
    "run.googleapis.com/build-source-location",
    "run.googleapis.com/build-worker-pool",
    "run.googleapis.com/client-name",
    "run.googleapis.com/client-version",
    "run.googleapis.com/cloudsql-instances",
    "run.googleapis.com/container-dependencies",
    "run.googleapis.com/cpu-throttling",
    "run.googleapis.com/custom-audiences",
    "run.googleapis.com/default-url-disabled",
    "run.googleapis.com/description",
    "run.googleapis.com/encryption-key",
    "run.googleapis.com/execution-environment",
    "run.googleapis.com/gpu-zonal-redundancy-disabled",
    "run.googleapis.com/health-check-disabled",
    "run.googleapis.com/ingress",
    "run.googleapis.com/invoker-iam-disabled",
    "run.googleapis.com/launch-stage",
    "run.googleapis.com/manualInstanceCount",
    "run.googleapis.com/maxScale",
    "run.googleapis.com/minScale",
    "run.googleapis.com/network-interfaces",
    "run.googleapis.com/scalingMode",
    "run.googleapis.com/secrets",
    "run.googleapis.com/sessionAffinity",
    "run.googleapis.com/startup-cpu-boost",
    "run.googleapis.com/vpc-access-connector",
    "run.googleapis.com/vpc-access-egress",
];

pub(super) fn check(project: &Project<'_>, found: &mut Found) {
    for service in &project.services {
        let template = service.path(&["spec", "template"]);
        let own = |at: Option<At<'_>>| at.and_then(|at| at.path(&["metadata", "annotations"])).is_some();
        for annotations in [Some(*service), template]
            .into_iter()
            .filter(|at| own(*at))
            .flatten()
            .filter_map(|at| at.path(&["metadata", "annotations"]))
        {
            annotation(annotations, found);
        }
        let Some(container) = template.and_then(|template| {
            template
                .list(&["spec", "containers"])
                .find(|at| at.get("ports").is_some())
                .or_else(|| template.list(&["spec", "containers"]).next())
        }) else {
            continue;
        };
        resources(container, found);
        probes(project, container, found);
    }
}

fn resources(container: At<'_>, found: &mut Found) {
    const KNOWN: [&str; 3] = ["cpu", "memory", "nvidia.com/gpu"];
    let limits = container.path(&["resources", "limits"]).into_iter();
    for pair in limits.flat_map(At::pairs).filter(|pair| !KNOWN.contains(&pair.key)) {
        let message = format!("{:?} is not one of {}", cut(pair.key, 40), KNOWN.join(", "));
        found.add(&RESOURCE_LIMITS, pair.value.key_source(), message);
    }
}

fn annotation(annotations: At<'_>, found: &mut Found) {
    for pair in annotations.pairs() {
        let known = ANNOTATIONS.contains(&pair.key);
        let own = pair.key.split('/').next_back().unwrap_or(pair.key);
        let names = ANNOTATIONS.iter().filter_map(|name| name.split('/').next_back());
        if !known && let Some(near) = similar(own, names).first() {
            let full = ANNOTATIONS.iter().find(|name| name.ends_with(&format!("/{near}"))).copied().unwrap_or(near);
            let message = format!("Cloud Run does not know {:?}; did you mean {full:?}?", cut(pair.key, 60));
            found.add(&UNKNOWN_ANNOTATION, annotations.source_at(pair.place), message);
        }
    }
    let scale = |name: &str| annotations.get(&format!("autoscaling.knative.dev/{name}"));
    let number = |at: At<'_>| at.text().and_then(|text| text.parse::<u32>().ok());
    let (least, most) = (scale("minScale"), scale("maxScale"));
    for at in [least, most].into_iter().flatten().filter(|at| number(*at).is_none()) {
        found.add(&SCALE, at.source(), format!("wants a whole number in quotes, found {}", at.shown()));
    }
    if let (Some((low, at)), Some((high, other))) =
        (least.and_then(|at| Some((number(at)?, at))), most.and_then(|at| Some((number(at)?, at))))
        && low > high
    {
        found
            .add(&SCALE, at.source(), format!("the least is {low}, and the most is {high}"))
            .beside(other.source(), "the most");
    }
}

fn probes(project: &Project<'_>, container: At<'_>, found: &mut Found) {
    let startup = container.get("startupProbe");
    if startup.is_none_or(|probe| probe.get("httpGet").is_none() && probe.get("grpc").is_none()) {
        let at = startup.map_or(container.source(), At::key_source);
        found.add(&PROBE_TCP, at, "the container counts as started as soon as its port is open");
    }
    let ports = container.list(&["ports"]).next();
    let port = ports.and_then(|port| port.get("containerPort"));
    for (probe, check) in [("startupProbe", "health"), ("livenessProbe", "health"), ("readinessProbe", "readiness")] {
        times(container.get(probe), probe, found);
        let Some(get) = container.path(&[probe, "httpGet"]) else { continue };
        if let Some((path, wanted, place)) = get.get("path").and_then(|at| {
            let (wanted, place) = checks::path(project, check)?;
            Some((at, wanted, place))
        }) && path.text().is_some_and(|text| text != wanted)
        {
            let message = format!("{probe} asks for {}, and the check {check} for {wanted:?}", path.shown());
            let added = found.add(&PROBE_PATH, path.source(), message);
            if let Some(place) = place {
                added.beside(place, "the check");
            }
        }
        let Some(own) = get.get("port") else { continue };
        let serving = port.and_then(At::whole).unwrap_or(8080);
        if own.whole().is_some_and(|own| own != serving) {
            let message = format!("{probe} asks port {}, and the container serves at {serving}", own.shown());
            let added = found.add(&PROBE_PORT, own.source(), message);
            if let Some(port) = port {
                added.beside(port.source(), "the port");
            }
        }
    }
}

/// What a probe asks, and whether its times fit.
fn times(probe: Option<At<'_>>, name: &str, found: &mut Found) {
    let Some(probe) = probe else { return };
    let actions = ["httpGet", "grpc", "tcpSocket", "exec"].iter().filter(|key| probe.get(key).is_some()).count();
    if actions != 1 {
        found.add(
            &PROBE_ACTION,
            probe.key_source(),
            format!("{name} has {actions} of httpGet, grpc and tcpSocket; want one"),
        );
    }
    let number = |key: &str, default: u64| probe.get(key).map_or(Some(default), At::whole);
    let (period, timeout) = (number("periodSeconds", 10), number("timeoutSeconds", 1));
    let Some((period, timeout)) = period.zip(timeout) else { return };
    if timeout > period {
        let at = probe.get("timeoutSeconds").unwrap_or(probe);
        let message = format!("{name} waits {timeout} s for an answer, and asks every {period} s");
        let added = found.add(&PROBE_TIMES, at.source(), message);
        if let Some(period) = probe.get("periodSeconds") {
            added.beside(period.source(), "the period");
        }
    }
    let whole = number("failureThreshold", 3).map(|count| count.saturating_mul(period));
    if name == "startupProbe" && whole.is_some_and(|whole| whole > 240) {
        let at = probe.get("failureThreshold").or(probe.get("periodSeconds")).unwrap_or(probe);
        found.add(
            &PROBE_TIMES,
            at.source(),
            format!("{name} takes {} s in all, and may take 240 s", whole.unwrap_or_default()),
        );
    }
}
