#!/usr/bin/env python3
"""Holds recorded traffic with the fake cloud to Google's discovery documents: every request and every answer.

    FAKE_CLOUD_RECORD=/tmp/traffic.jsonl cargo test --test it -- audit release rollback
    scripts/discovery.py /tmp/traffic.jsonl [--documents FOLDER_OR_WHEEL]

Each line of the record is {"method", "path", "query", "body", "status", "answer"}. A request has to be one of a method of a
document, with parameters and a body that it knows; an answer of status 200 has to have the keys, types and words of the method's
response. The documents are those of the package google-api-python-client; where they cannot be had, that is said, and nothing is
held to them.
"""

import argparse
import collections
import glob
import json
import os
import re
import subprocess
import sys
import tempfile
import urllib.parse
import zipfile

NAMES = ["clouddeploy.v1", "run.v1", "run.v2", "logging.v2", "monitoring.v1", "storage.v1", "iamcredentials.v1"]
# Words that no document has, written by tests on purpose: whatever is not known proves nothing.
UNKNOWN_ON_PURPOSE = {"GLORIOUS"}
# What every method takes, by the documents' own "parameters".
FOLDER = "googleapiclient/discovery_cache/documents"


def documents(place):
    """The documents by their names, from a wheel or a folder; from the package registry where none is named."""
    if place is None:
        place = tempfile.mkdtemp()
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", place, "google-api-python-client"]
        try:
            subprocess.run(command, check=True, timeout=120, capture_output=True)
        except (subprocess.SubprocessError, OSError) as error:
            print(f"skipped: the discovery documents cannot be had ({type(error).__name__})")
            sys.exit(0)
    wheels = [place] if place.endswith(".whl") else glob.glob(os.path.join(place, "*.whl"))
    found = {}
    for name in NAMES:
        if wheels:
            found[name] = json.loads(zipfile.ZipFile(wheels[0]).read(f"{FOLDER}/{name}.json"))
        else:
            with open(os.path.join(place, f"{name}.json"), encoding="utf-8") as file:
                found[name] = json.load(file)
    return found


def methods(name, document, resources):
    """Every method as (document, method, pattern of its path)."""
    for resource in resources.values():
        for method in resource.get("methods", {}).values():
            # Of one document all paths stand behind its own.
            base = "/" + document.get("servicePath", "")
            yield name, method, pattern(base + method.get("flatPath", method["path"]))
            for protocol in method.get("mediaUpload", {}).get("protocols", {}).values():
                yield name, method, pattern(protocol["path"])
        yield from methods(name, document, resource.get("resources", {}))


def pattern(path):
    pieces = re.split(r"(\{\+?[^}]+\})", path.replace("//", "/"))
    written = "".join(
        "(?:.+)" if piece.startswith("{+") else "(?:[^/]+)" if piece.startswith("{") else re.escape(piece) for piece in pieces
    )
    return re.compile(written + r"\Z")


class Judge:
    def __init__(self, found):
        self.documents = found
        self.methods = [one for name, document in found.items() for one in methods(name, document, document["resources"])]
        self.wrong = collections.Counter()
        self.seen = collections.Counter()

    def judge(self, line):
        method = self.method(line)
        if method is None:
            self.wrong[f"{line['method']} {line['path']}: no document has such a method"] += 1
            return
        name, method = method
        self.seen[method["id"]] += 1
        known = {**self.documents[name].get("parameters", {}), **method.get("parameters", {})}
        for key, value in urllib.parse.parse_qsl(line["query"], keep_blank_values=True):
            where = f"{method['id']}: the parameter {key}"
            if key not in known:
                self.wrong[f"{where} is not known"] += 1
            elif known[key]["type"] in ("integer", "number") and not re.fullmatch(r"-?[0-9.]+", value):
                self.wrong[f"{where} is {value!r}, not a number"] += 1
            elif known[key]["type"] == "boolean" and value not in ("true", "false"):
                self.wrong[f"{where} is {value!r}, not a boolean"] += 1
        body = line["body"]
        if body not in (None, "") and not isinstance(body, str):
            if "request" not in method:
                self.wrong[f"{method['id']}: takes no body"] += 1
            else:
                self.fits(name, method["request"], body, f"{method['id']}: the request")
        if line["status"] == 200 and "response" in method and line["answer"] is not None:
            # The body of an HttpBody is whatever the method says, and no JSON of its own form.
            if method["response"].get("$ref") != "HttpBody":
                self.fits(name, method["response"], line["answer"], f"{method['id']}: the answer")

    def method(self, line):
        # As it is sent: an encoded slash is a part of a name.
        fitting = [(n, m) for n, m, p in self.methods if m["httpMethod"] == line["method"] and p.match(line["path"])]
        # A path with a method of its own (`:cancel`) is that method's before it is a resource with a colon in its name.
        fitting.sort(key=lambda one: (":" not in one[1]["path"].split("/")[-1], NAMES.index(one[0])))
        return fitting[0] if fitting else None

    def fits(self, name, schema, value, where):
        if "$ref" in schema:
            schema = self.documents[name]["schemas"][schema["$ref"]]
        kind = schema.get("type", "any")
        types = {"object": dict, "array": list, "string": str, "boolean": bool, "integer": int, "number": (int, float)}
        if kind == "any":
            return
        right = isinstance(value, types[kind]) and not (kind in ("integer", "number") and isinstance(value, bool))
        if not right:
            self.wrong[f"{where} is {json.dumps(value)[:60]}, not of type {kind}"] += 1
            return
        if kind == "array":
            for item in value:
                self.fits(name, schema["items"], item, f"{where}[]")
        elif kind == "object":
            for key, item in value.items():
                if key in schema.get("properties", {}):
                    self.fits(name, schema["properties"][key], item, f"{where}.{key}")
                elif "additionalProperties" in schema:
                    self.fits(name, schema["additionalProperties"], item, f"{where}.*")
                else:
                    self.wrong[f"{where}.{key} is not known"] += 1
        elif "enum" in schema and value not in schema["enum"] and value not in UNKNOWN_ON_PURPOSE:
            self.wrong[f"{where} is {value!r}, none of {', '.join(schema['enum'][:6])}, …"] += 1


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("record")
    parser.add_argument("--documents", help="a folder of the documents, or the package's wheel or the folder it is in")
    arguments = parser.parse_args()
    judge = Judge(documents(arguments.documents))
    with open(arguments.record, encoding="utf-8") as file:
        for line in file:
            judge.judge(json.loads(line))
    for method, count in sorted(judge.seen.items()):
        print(f"{count:7}  {method}")
    if not judge.seen:
        sys.exit("nothing was recorded: that proves nothing")
    for why, count in sorted(judge.wrong.items()):
        print(f"wrong ({count} times): {why}")
    print(f"{sum(judge.seen.values())} exchanges of {len(judge.seen)} methods, {len(judge.wrong)} kinds of mistakes")
    sys.exit(1 if judge.wrong else 0)


main()
