"""Starts the program `sweep`, which is in this package."""

import importlib.util
import os
import sys

FOLDER = os.path.dirname(os.path.abspath(__file__))


def main():
    """Replaces this process by `sweep`, with the same arguments."""
    program = os.path.join(FOLDER, "bin", "sweep")
    # sweep-trainer looks for libtorch in the `torch` beside this package. An environment can have it elsewhere, for
    # example in the site-packages of the system.
    if not os.path.isdir(os.path.join(FOLDER, "..", "torch", "lib")):
        torch = importlib.util.find_spec("torch")
        if torch and torch.submodule_search_locations:
            os.environ.setdefault("SWEEP_LIBTORCH", list(torch.submodule_search_locations)[0])
    try:
        os.execv(program, ["sweep", *sys.argv[1:]])
    except OSError as error:
        sys.exit(f"error: {program} cannot be started: {error}\n  install it again: pip install --force-reinstall sweep-hpo")
