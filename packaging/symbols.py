#!/usr/bin/env python3
"""Checks that programs need no newer C library than they promise.

    packaging/symbols.py PROGRAM…

Prints the newest version of each library's symbols that a program needs, and fails above the limits. Needs readelf.
"""

import re
import subprocess
import sys

# glibc 2.28 is that of RHEL 8 and of PyTorch's own wheels; the libstdc++ of RHEL 8 has GLIBCXX_3.4.25.
LIMITS = {"GLIBC": (2, 28), "GLIBCXX": (3, 4, 25), "CXXABI": (1, 3, 11), "GCC": (7, 0, 0)}


def needed(program):
    """The newest version that the program needs, by name of the version's family."""
    text = subprocess.run(["readelf", "-VW", program], check=True, capture_output=True, text=True).stdout
    newest = {}
    for family, version in re.findall(r"Name: ([A-Z]+)_([0-9.]+)\s", text):
        newest[family] = max(newest.get(family, ()), tuple(map(int, version.split("."))))
    return newest


def glibc(programs):
    """The glibc that all of these programs run with."""
    return max((needed(program).get("GLIBC", (2, 17)) for program in programs), default=(2, 17))


def main(programs):
    failed = False
    for program in programs:
        newest = needed(program)
        print(program, *(f"{family}_{'.'.join(map(str, version))}" for family, version in sorted(newest.items())))
        for family, version in newest.items():
            if version > LIMITS.get(family, (0,)):
                limit = ".".join(map(str, LIMITS.get(family, ("none",))))
                print(f"  {family}_{'.'.join(map(str, version))} is above the limit {limit}: build it on an older system")
                failed = True
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]) if len(sys.argv) > 1 else __doc__)
