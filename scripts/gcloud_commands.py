#!/usr/bin/env python3
"""Asks the installed gcloud whether it parses every gcloud command of the documents. Nothing is sent anywhere.

Usage: scripts/gcloud_commands.py FILE...
"""
import json
import re
import subprocess
import sys


def commands(text):
    """Every `gcloud …` in the indented lines of a document, as it is written, to its own end."""
    text = re.sub(r"\\\n\s*", " ", text)
    for line in text.splitlines():
        if not line.startswith("    ") and not line.startswith("\t"):
            continue
        for start in (match.start() for match in re.finditer(r"(?<![\w.#-])gcloud [a-z]", line)):
            depth, quote, end = 0, None, len(line)
            for at in range(start, len(line)):
                char = line[at]
                if char == "(":
                    depth += 1
                elif char == ")":
                    depth -= 1
                elif char == '"' and depth == 0:
                    quote = None if quote else char
                if depth < 0 or not quote and depth == 0 and (char in ";|" or line[at : at + 2] == "&&"):
                    end = at
                    break
            yield line[start:end].strip()


def filled(command):
    """A command with something in the place of what the shell would put there."""
    command = re.sub(r'\$\(email "?\$?\w[\w-]*"?\)', "account@project-1.iam.gserviceaccount.com", command)
    command = re.sub(r"\$\((?:[^()]|\([^()]*\))*\)", "value", command)
    command = command.replace("$REGION", "europe-west1").replace("$PROJECT", "project-1").replace("$2", "roles/run.viewer")
    return re.sub(r"\$\{?\w+\}?", "value", command).replace("…", "").replace("...", "value")


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    found, refused = 0, 0
    for name in sys.argv[1:]:
        for command in commands(open(name, encoding="utf-8").read()):
            found += 1
            asked = subprocess.run(["gcloud", "meta", "lint-gcloud-commands", "--command-string", filled(command)],
                                   capture_output=True, text=True, timeout=120, check=False)
            answer = json.loads(asked.stdout or "[{}]")[0]
            if not answer.get("success"):
                refused += 1
                why = answer.get("error_message") or asked.stderr
                print(f"REFUSED {name}: {command}\n  {why}")
    print(f"gcloud parses {found - refused} of {found} commands")
    sys.exit(1 if refused or not found else 0)


main()
