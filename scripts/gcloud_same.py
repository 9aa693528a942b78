#!/usr/bin/env python3
"""Holds the gate's requests against those of the real gcloud: both do the same thing to the same cloud on loopback
(`cargo run --example cloud`), and every request that changes something is compared by method, path, query and body. No cloud is reached.

Usage: scripts/gcloud_same.py [PART...]   (default: all; build first: cargo build --bin canary-gate --example cloud)
Exit: 0 the same but for differences that are meant and named below, 1 another difference, 2 gcloud is not installed.
"""
import json, os, pathlib, re, shutil, subprocess, sys, tempfile, time
from urllib.parse import parse_qsl

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILT = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "debug"
PROJECT, REGION, PIPELINE, TARGET = "emergence-469005", "europe-west1", "emergence-pipeline", "emergence-run"
TOKEN = "ya29.access-token-of-the-fake"
DIGEST = "sha256:" + "ab" * 32
IMAGES = {"canary-gate": f"repo/gate@{DIGEST}", "emergence-app": f"repo/app@{DIGEST}"}
# What differs on purpose: (part, where, why).
MEANT = {
    ("release", "query requestId"): "the gate's requests can be sent again: the same id makes no second release or rollout",
    ("release", "query alt"): "gcloud asks for JSON by name; that is the APIs' default",
    ("release", "query uploadType"): "gcloud sends an object and its description in one body of two parts, the gate the object alone",
    ("release", "query ifGenerationMatch"): "the gate never overwrites an object: its name is that of its content",
    ("release", "query name"): "gcloud names the object by time and chance, the gate by release and content",
    ("release", "query enableObjectRetention"): "gcloud writes the API's default out",
    ("release", "body skaffoldConfigUri"): "gcloud names the object by time and chance, the gate by release and content",
    ("release", "body upload"): "the bytes differ as the archives do; tests/it/release.rs unpacks the gate's",
    ("release", "body name"): "gcloud repeats the rollout's name, which the path says",
    ("rollback", "query alt"): "gcloud asks for JSON by name; that is the API's default",
    ("rollback", "body rollbackConfig"): "gcloud sends the whole rollout back that the validation answered; the gate says what counts of it",
}


class Cloud:
    """The cloud on loopback, and the requests that it got."""

    def __init__(self, *args):
        self.out = tempfile.NamedTemporaryFile("w+", delete=False)
        self.process = subprocess.Popen([BUILT / "examples" / "cloud", *args], stdout=self.out)
        while not (text := pathlib.Path(self.out.name).read_text()).count("\n"):
            time.sleep(0.05)
        self.url = text.splitlines()[0]

    def changes(self):
        time.sleep(0.3)  # The last lines are written within 20 ms of their requests.
        self.process.terminate()
        self.process.wait()
        lines = pathlib.Path(self.out.name).read_text().splitlines()[1:]
        os.unlink(self.out.name)
        # Whose a token is, is asked by POST.
        requests = [json.loads(line) for line in lines]
        return [request for request in requests if request["method"] != "GET" and request["path"] != "/tokeninfo"]


def gate(cloud, *args, codes=(0,)):
    env = {"PATH": os.environ["PATH"], "CANARY_GATE_ACCESS_TOKEN": TOKEN, "GCE_METADATA_HOST": cloud.url.removeprefix("http://")}
    for api in ("DEPLOY", "RUN", "IAM", "LOGGING", "MONITORING", "STORAGE", "OAUTH"):
        env[f"CANARY_GATE_{api}_ENDPOINT"] = cloud.url
    ran = subprocess.run([BUILT / "canary-gate", *args], env=env, cwd=ROOT, capture_output=True, text=True, timeout=120)
    if ran.returncode not in codes:
        sys.exit(f"gcloud_same: canary-gate {' '.join(args)}: exit {ran.returncode}\n{ran.stdout}{ran.stderr}")


def gcloud(cloud, *args):
    with tempfile.TemporaryDirectory() as home:
        token = pathlib.Path(home) / "token"
        token.write_text(TOKEN)
        env = {**os.environ, "HOME": home, "CLOUDSDK_CONFIG": home, "CLOUDSDK_AUTH_ACCESS_TOKEN_FILE": str(token),
               "CLOUDSDK_CORE_DISABLE_PROMPTS": "1", "CLOUDSDK_CORE_PROJECT": PROJECT, "CLOUDSDK_CORE_DISABLE_USAGE_REPORTING": "true",
               "CLOUDSDK_COMPONENT_MANAGER_DISABLE_UPDATE_CHECK": "true"}
        for api, path in (("CLOUDDEPLOY", "/"), ("RUN", "/"), ("STORAGE", "/storage/v1/"), ("CLOUDRESOURCEMANAGER", "/"), ("SERVICEUSAGE", "/")):
            env[f"CLOUDSDK_API_ENDPOINT_OVERRIDES_{api}"] = cloud.url + path
        ran = subprocess.run(["gcloud", *args], env=env, capture_output=True, text=True, timeout=240)
    if ran.returncode:
        print(f"gcloud_same: gcloud {' '.join(args)}: exit {ran.returncode}\n{ran.stdout}{ran.stderr}")


def release():
    mine, theirs = Cloud("settled"), Cloud("settled")
    images = [word for name, image in IMAGES.items() for word in ("--image", f"{name}={image}")]
    gate(mine, "release", "--name", "rel-1", "--poll", "20ms", *images)
    with tempfile.TemporaryDirectory() as source:
        shutil.copy(ROOT / "skaffold.yaml", source)
        shutil.copytree(ROOT / "manifests", pathlib.Path(source) / "manifests")
        gcloud(theirs, "deploy", "releases", "create", "rel-1", f"--project={PROJECT}", f"--region={REGION}",
               f"--delivery-pipeline={PIPELINE}", f"--source={source}", "--skaffold-file=skaffold.yaml", f"--to-target={TARGET}",
               "--images=" + ",".join(f"{name}={image}" for name, image in IMAGES.items()))
    return mine.changes(), theirs.changes()


def rollback():
    """By `:rollbackTarget`, which gcloud calls in its alpha track: the others make an ordinary rollout that begins in its last phase."""
    mine, theirs = Cloud(), Cloud()
    # The service's address leads nowhere: what comes after the rollback fails, and is no matter here.
    gate(mine, "rollback", "--yes", "--poll", "20ms", "--settle", "100ms", "--timeout", "5s", codes=(1, 3))
    gcloud(theirs, "alpha", "deploy", "targets", "rollback", TARGET, f"--project={PROJECT}", f"--region={REGION}",
           f"--delivery-pipeline={PIPELINE}", "--release=release-41", f"--rollout-id=release-41-to-{TARGET}-0002",
           "--starting-phase-id=stable", "--description=Rollback from release-42")
    return mine.changes(), theirs.changes()


PARTS = {"release": release, "rollback": rollback}


def differences(mine, theirs):
    """Where two requests differ, as (where, the gate's, gcloud's)."""
    if (mine["method"], mine["path"]) != (theirs["method"], theirs["path"]):
        yield "path", f"{mine['method']} {mine['path']}", f"{theirs['method']} {theirs['path']}"
    queries = dict(parse_qsl(mine["query"])), dict(parse_qsl(theirs["query"]))
    for key in sorted(set(queries[0]) | set(queries[1])):
        if queries[0].get(key) != queries[1].get(key):
            yield f"query {key}", queries[0].get(key), queries[1].get(key)
    bodies = mine["body"], theirs["body"]
    if not all(isinstance(body, dict) for body in bodies):
        if bodies[0] != bodies[1]:
            yield "body upload", *bodies
        return
    by_image = lambda value: sorted(value, key=json.dumps) if isinstance(value, list) else value
    for key in sorted(set(bodies[0]) | set(bodies[1])):
        if by_image(bodies[0].get(key)) != by_image(bodies[1].get(key)):
            yield f"body {key}", bodies[0].get(key), bodies[1].get(key)


def main():
    if not shutil.which("gcloud"):
        print("gcloud_same: gcloud is not installed")
        return 2
    wrong = 0
    for part in sys.argv[1:] or PARTS:
        mine, theirs = PARTS[part]()
        print(f"{part}: {len(mine)} changing requests of the gate, {len(theirs)} of gcloud")
        wrong += abs(len(mine) - len(theirs))
        for number, (own, other) in enumerate(zip(mine, theirs), 1):
            path = re.sub(r"^/v\d/projects/[^/]+/locations/[^/]+", "…", own["path"])
            found = list(differences(own, other))
            print(f"{number}. {own['method']} {path}: {'the same' if not found else 'the same but for'}")
            for where, gates, gclouds in found:
                why = MEANT.get((part, where))
                wrong += why is None
                print(f"   {where}: {json.dumps(gates)} | gcloud {json.dumps(gclouds)}\n      {'meant: ' + why if why else 'NOT MEANT'}")
        for request in mine[len(theirs):] + theirs[len(mine):]:
            print(f"   only one of them: {request['method']} {request['path']}")
    print(f"gcloud_same: {wrong} differences that are not meant")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
