#!/usr/bin/env python3
"""Prints the licenses of all crates that are compiled into sweep and sweep-trainer. Equal texts are printed once."""

import json
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
FONT = ROOT / "crates/sweep-report/src/charts/font/OFL.txt"
NAMES = ("LICENSE", "LICENCE", "COPYING", "NOTICE", "UNLICENSE", "COPYRIGHT")


def compiled():
    """The crates of others that the programs contain, by their names."""
    command = ["cargo", "metadata", "--format-version=1", "--locked", "--filter-platform=x86_64-unknown-linux-gnu"]
    told = json.loads(subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout)
    nodes = {node["id"]: node for node in told["resolve"]["nodes"]}
    packages = {package["id"]: package for package in told["packages"]}
    open_ids = [id for id in told["workspace_members"] if packages[id]["name"] in ("sweep", "sweep-trainer")]
    seen = set()
    while open_ids:
        id = open_ids.pop()
        if id in seen:
            continue
        seen.add(id)
        for dependency in nodes[id]["deps"]:
            if any(kind["kind"] is None for kind in dependency["dep_kinds"]):
                open_ids.append(dependency["pkg"])
    others = (packages[id] for id in seen if packages[id]["source"])
    return sorted(others, key=lambda package: (package["name"], package["version"]))


def main():
    holders = {}  # the crates under each text
    for package in compiled():
        folder = pathlib.Path(package["manifest_path"]).parent
        files = sorted(path for path in folder.iterdir() if path.is_file() and path.name.upper().startswith(NAMES))
        name = f"{package['name']} {package['version']} ({package['license'] or 'see the text'})"
        texts = ["\n".join(line.rstrip() for line in path.read_text("utf-8", "replace").splitlines()) for path in files]
        for text in texts or ["(The crate comes without the text of its license.)"]:
            holders.setdefault(text.strip(), []).append(name)
    holders.setdefault(FONT.read_text().strip(), []).append("Inter, the font of the charts (OFL-1.1)")
    rule = "\n\n" + "-" * 80 + "\n\n"
    parts = ("\n".join([*names, "", text]) for text, names in holders.items())
    print(rule.join(["Licenses of the crates that sweep and sweep-trainer contain", *parts]))


if __name__ == "__main__":
    sys.exit(main())
