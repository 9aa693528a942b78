#!/usr/bin/env python3
"""Writes an image of the Docker Engine as an archive that depends on the source alone, and prints its digest.

An engine puts the time of the build, its own version and the names of its containers into an image's configuration. Here only what
runs the image stays, with the source's time; the layers stay as they are, byte by byte. The archive is an OCI image layout that
`docker load` takes, too.

Usage: scripts/image_archive.py IMAGE SECONDS OUT.tar      SECONDS: the source's time, since the Unix epoch
"""
import datetime
import hashlib
import io
import json
import subprocess
import sys
import tarfile

KEPT = ["User", "ExposedPorts", "Env", "Entrypoint", "Cmd", "Volumes", "WorkingDir", "Labels", "StopSignal"]


def written(value):
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def main():
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    image, seconds, out = sys.argv[1:]
    created = datetime.datetime.fromtimestamp(int(seconds), datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    saved = subprocess.run(["docker", "save", image], check=True, capture_output=True).stdout
    with tarfile.open(fileobj=io.BytesIO(saved)) as archive:
        read = lambda name: archive.extractfile(name).read()
        (entry,) = json.loads(read("manifest.json"))
        config = json.loads(read(entry["Config"]))
        layers = [read(name) for name in entry["Layers"]]

    blobs = {}

    def stored(content, kind):
        digest = hashlib.sha256(content).hexdigest()
        blobs[f"blobs/sha256/{digest}"] = content
        return {"mediaType": f"application/vnd.oci.image.{kind}", "digest": f"sha256:{digest}", "size": len(content)}

    described = [stored(layer, "layer.v1.tar") for layer in layers]
    diff_ids = [layer["digest"] for layer in described]
    if diff_ids != config["rootfs"]["diff_ids"]:
        sys.exit(f"{image}: the layers are not those of its configuration")
    described_config = stored(written({
        "architecture": config["architecture"],
        "os": config["os"],
        "created": created,
        "config": {key: value for key, value in config["config"].items() if key in KEPT and value},
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
        "history": [{"created": created, "created_by": "Dockerfile"} for _ in diff_ids],
    }), "config.v1+json")
    manifest = stored(written({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": described_config,
        "layers": described,
    }), "manifest.v1+json")
    path = lambda descriptor: "blobs/" + descriptor["digest"].replace(":", "/")
    files = blobs | {
        "oci-layout": written({"imageLayoutVersion": "1.0.0"}),
        "index.json": written({"schemaVersion": 2, "manifests": [manifest]}),
        "manifest.json": written([{"Config": path(described_config), "RepoTags": None, "Layers": [path(layer) for layer in described]}]),
    }
    with tarfile.open(out, "w", format=tarfile.USTAR_FORMAT) as archive:
        for name, content in sorted(files.items()):
            header = tarfile.TarInfo(name)
            header.size, header.mtime, header.mode = len(content), int(seconds), 0o644
            archive.addfile(header, io.BytesIO(content))
    print(manifest["digest"])


main()
