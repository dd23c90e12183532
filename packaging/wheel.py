#!/usr/bin/env python3
"""Writes the wheel of sweep from target/package, where packaging/build put the programs.

    packaging/wheel.py [--out FOLDER]

The wheel has no Python code beside its entry point, so that one wheel serves every Python 3. Its bytes depend on its
files alone: equal programs make equal wheels.
"""

import argparse
import base64
import hashlib
import pathlib
import re
import sys
import zipfile

import symbols

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILT = ROOT / "target/package"
# `sweep`, and a trainer for each kind of libtorch (src/agent/libtorch.rs).
PROGRAMS = sorted((BUILT / "bin").glob("sweep*"))
# The versions of PyTorch that the trainers were tried with (scripts/libtorch-matrix). src/agent/libtorch.rs names the same.
OLDEST = "2.11" if BUILT / "bin/sweep-trainer-2.11" in PROGRAMS else "2.13"
TORCH = f">={OLDEST},<2.16"
ABOUT = [
    "Metadata-Version: 2.4",
    "Name: sweep-hpo",
    "Version: {version}",
    "Summary: {summary}",
    "License-Expression: MIT OR Apache-2.0",
    "License-File: LICENSE-APACHE",
    "License-File: LICENSE-MIT",
    "License-File: THIRD-PARTY",
    "Keywords: hyperparameter,tuning,sweep,machine-learning,gpu",
    "Classifier: Environment :: Console",
    "Classifier: Operating System :: POSIX :: Linux",
    "Classifier: Programming Language :: Rust",
    "Classifier: Topic :: Scientific/Engineering :: Artificial Intelligence",
    "Requires-Python: >=3.8",
    "Provides-Extra: torch",
    f'Requires-Dist: torch{TORCH}; extra == "torch"',
    "Description-Content-Type: text/markdown",
]


def contents(version, summary, tag):
    """The files of the wheel: name, bytes, and whether it is a program."""
    info = f"sweep_hpo-{version}.dist-info"
    for source in sorted((ROOT / "packaging/sweep_hpo").glob("*.py")):
        yield f"sweep_hpo/{source.name}", source.read_bytes(), False
    for program in PROGRAMS:
        yield f"sweep_hpo/bin/{program.name}", program.read_bytes(), True
    for shared in sorted(path for path in (BUILT / "share").rglob("*") if path.is_file()):
        # In the package, since pip would leave empty folders behind elsewhere.
        yield f"sweep_hpo/{shared.relative_to(BUILT)}", shared.read_bytes(), False
    for name in ("LICENSE-APACHE", "LICENSE-MIT"):
        yield f"{info}/licenses/{name}", (ROOT / name).read_bytes(), False
    yield f"{info}/licenses/THIRD-PARTY", (BUILT / "THIRD-PARTY").read_bytes(), False
    about = "\n".join(ABOUT).format(version=version, summary=summary)
    yield f"{info}/METADATA", (about + "\n\n" + (ROOT / "README.md").read_text()).encode(), False
    yield f"{info}/WHEEL", f"Wheel-Version: 1.0\nGenerator: sweep\nRoot-Is-Purelib: false\nTag: {tag}\n".encode(), False
    yield f"{info}/entry_points.txt", b"[console_scripts]\nsweep = sweep_hpo:main\n", False


def write(path, files, record):
    """Writes the archive, with the checksum of every file in `record`."""
    rows = []
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as wheel:

        def put(name, data, mode):
            entry = zipfile.ZipInfo(name)  # of 1980, whenever it was made
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = (0o100000 | mode) << 16
            wheel.writestr(entry, data)

        for name, data, is_program in files:
            digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
            rows.append(f"{name},sha256={digest},{len(data)}\n")
            put(name, data, 0o755 if is_program else 0o644)
        put(record, "".join([*rows, f"{record},,\n"]).encode(), 0o644)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=pathlib.Path, default=ROOT / "target/package/dist")
    out = parser.parse_args().out
    manifest = (ROOT / "Cargo.toml").read_text()
    version = re.search(r'^\[workspace\.package\]\nversion = "(.+)"', manifest, re.M).group(1)
    summary = re.search(r'^description = "(.+)"', manifest, re.M).group(1)
    major, minor = symbols.glibc(PROGRAMS)
    tag = f"py3-none-manylinux_{major}_{minor}_x86_64"
    out.mkdir(parents=True, exist_ok=True)
    path = out / f"sweep_hpo-{version}-{tag}.whl"
    write(path, contents(version, summary, tag), f"sweep_hpo-{version}.dist-info/RECORD")
    print(path)


if __name__ == "__main__":
    sys.exit(main())
