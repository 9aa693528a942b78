#!/usr/bin/env python3
"""Refreshes src/lint/schema/tables.txt, the keys and types that `canary-gate lint` knows, from the official schemas.

Usage: scripts/schemas.py SKAFFOLD_SCHEMA     (https://skaffold.dev/schemas/v4beta7.json, saved)

Cloud Deploy, Cloud Build and Cloud Run: their discovery documents, as google-api-python-client carries them.
"""
import json
import pathlib
import re
import subprocess
import sys
import tempfile
import zipfile

OUT = pathlib.Path(__file__).parent.parent / "src/lint/schema/tables.txt"
SCALARS = {"string": "string", "integer": "integer", "number": "number", "boolean": "boolean", "any": "any"}


def discovery_type(prefix, value):
    if "$ref" in value:
        return prefix + value["$ref"]
    kind = value.get("type")
    if kind == "array":
        return f"[{discovery_type(prefix, value['items'])}]"
    if kind == "object":
        extra = value.get("additionalProperties")
        return "{" + discovery_type(prefix, extra) + "}" if extra else "any"
    if "enum" in value:
        names = [name for name in value["enum"] if not name.endswith("_UNSPECIFIED")]
        return "=" + "|".join(names)
    if value.get("format") in ("int64", "uint64"):
        return "integer"
    if value.get("format") == "google-duration":
        return "duration"
    return SCALARS[kind]


def discovery(document, prefix, skip=()):
    """Types of a discovery document: name -> [(field, required, type)]. What only the server sets is left out."""
    types = {}
    for name, schema in document["schemas"].items():
        fields = []
        for field, value in schema.get("properties", {}).items():
            about = value.get("description", "")
            if value.get("readOnly") or about.startswith("Output only") or field in skip:
                continue
            fields.append((field, about.startswith("Required"), discovery_type(prefix, value)))
        types[prefix + name] = fields
    return types


def skaffold_type(value):
    if "$ref" in value:
        return "skaffold." + value["$ref"].rsplit("/", 1)[1]
    kind = value.get("type")
    if kind == "array":
        return f"[{skaffold_type(value['items'])}]"
    if kind == "object":
        extra = value.get("additionalProperties")
        return "{" + skaffold_type(extra) + "}" if extra else "any"
    if "enum" in value:
        return "=" + "|".join(value["enum"])
    # Skaffold's reader takes every scalar for text.
    return {"string": "scalar"}.get(kind, SCALARS.get(kind, "any"))


def skaffold(document):
    types = {}
    for name, schema in document["definitions"].items():
        fields = {}
        for part in [schema, *schema.get("anyOf", [])]:
            for field, value in part.get("properties", {}).items():
                fields[field] = (field, field in schema.get("required", []), skaffold_type(value))
        types["skaffold." + name] = list(fields.values())
    return types


def roots(types):
    """The documents as the tools read them, which is not always as the APIs do."""
    deploy = "deploy."
    types["Metadata"] = [("name", True, "string"), ("annotations", False, "{string}"), ("labels", False, "{string}")]
    head = [("apiVersion", True, "string"), ("kind", True, "string"), ("metadata", True, "Metadata")]
    outside = {"name", "annotations", "labels", "etag", "targetId", "customTargetTypeId"}
    for kind in ("DeliveryPipeline", "Target", "Automation", "CustomTargetType"):
        types[kind] = head + [field for field in types[deploy + kind] if field[0] not in outside]
    types["DeployPolicy"] = head + [(name, False, "any") for name in ("description", "suspended", "selectors", "rules")]
    # gcloud takes older names of automation rules besides the API's, and `name` for `id`.
    rules = []
    for field, required, kind in types[deploy + "AutomationRule"]:
        rules += [(field, required, kind), (field.removesuffix("Rule"), False, kind)]
        types[kind] = [("name", False, "string")] + [
            (name, needed and name != "id", "minutes" if name == "wait" else of) for name, needed, of in types[kind]]
    types[deploy + "AutomationRule"] = rules
    types[deploy + "Retry"] = [(name, needed, "minutes" if name == "wait" else of) for name, needed, of in types[deploy + "Retry"]]
    # gcloud prefixes what is written without BACKOFF_MODE_.
    types[deploy + "Retry"] = [
        (name, needed, of + "|LINEAR|EXPONENTIAL" if name == "backoffMode" else of) for name, needed, of in types[deploy + "Retry"]]
    types["Skaffold"] = types["skaffold.SkaffoldConfig"]
    types["CloudBuild"] = types["build.Build"]
    knative = [("name", True, "string"), ("namespace", False, "string"), ("annotations", False, "{string}"), ("labels", False, "{string}")]
    types["run.ObjectMeta"] = [(name, name == "name", of) for name, _, of in knative]
    types["run.TemplateMeta"] = [(name, False, of) for name, _, of in knative]
    types["run.RevisionTemplate"] = [
        (name, name == "spec", "run.TemplateMeta" if name == "metadata" else of) for name, _, of in types["run.RevisionTemplate"]]
    types["run.ServiceSpec"] = [(name, name == "template", of) for name, _, of in types["run.ServiceSpec"]]
    types["Service"] = [(name, name != "status", "any" if name == "status" else of) for name, _, of in types["run.Service"]]
    types["Policy"] = [(name, name == "bindings", "any" if name == "auditConfigs" else of) for name, _, of in types["iam.Policy"]]
    return ["DeliveryPipeline", "Target", "Automation", "CustomTargetType", "DeployPolicy", "Skaffold", "CloudBuild", "Service", "Policy"]


def reached(types, names):
    order, waiting = [], list(names)
    while waiting:
        name = waiting.pop(0)
        if name in order or name not in types:
            continue
        order.append(name)
        waiting += [part for _, _, of in types[name] for part in re.findall(r"[\w.]+", of) if not of.startswith("=")]
    return order


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "google-api-python-client", "-d", folder], check=True)
        wheel = zipfile.ZipFile(next(pathlib.Path(folder).glob("*.whl")))
        documents = {api: json.loads(wheel.read(f"googleapiclient/discovery_cache/documents/{api}.json"))
                     for api in ("clouddeploy.v1", "cloudbuild.v1", "run.v1")}
    types = {}
    types |= discovery(documents["clouddeploy.v1"], "deploy.")
    types |= discovery(documents["cloudbuild.v1"], "build.")
    types |= discovery(documents["run.v1"], "run.")
    types |= {name: fields for name, fields in discovery(documents["run.v1"], "iam.").items() if name in ("iam.Policy", "iam.Binding", "iam.Expr")}
    types |= skaffold(json.loads(pathlib.Path(sys.argv[1]).read_text()))
    revisions = ", ".join(f"{api} of {document['revision']}" for api, document in documents.items())
    lines = ["# Keys and types by the official schemas; made by scripts/schemas.py, not by hand.",
             f"# {revisions}; skaffold/v4beta7.",
             "# A type, then its keys; `!` marks those that must be there. [T] is a list, {T} a mapping, =A|B one of several words."]
    for name in reached(types, roots(types)):
        lines.append(f":{name}")
        lines += sorted(f"{field}{'!' if needed else ''} {of}" for field, needed, of in types[name])
    OUT.write_text("\n".join(lines) + "\n")
    print(f"schemas: {OUT.name}: {sum(line[0] == ':' for line in lines)} types, {len(lines)} lines")


main()
