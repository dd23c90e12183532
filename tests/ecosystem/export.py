#!/usr/bin/env python3
"""Exports sweeps and reads them with the tools that they are exported to.

    python tests/ecosystem/export.py SWEEP

Needs optuna and tensorboard. Every number that a tool shows is compared with trials.csv and epochs.csv.
"""

import csv
import json
import math
import os
import pathlib
import subprocess
import sys
import tempfile
import time

import optuna
from tensorboard.backend.event_processing.event_multiplexer import EventMultiplexer
from tensorboard.plugins.hparams import plugin_data_pb2

SWEEP = pathlib.Path(sys.argv[1]).resolve()
PROGRAM = """
import json, sys, time
values = json.load(open(sys.argv[1]))
if values.get("kind") == "broken":
    sys.exit("this kind does not work")
for epoch in range(1, 6):
    loss = (values["rate"] - 0.1) ** 2 + values["width"] / epoch
    print(json.dumps({"epoch": epoch, "val_loss": loss, "f1": 1 / (1 + loss)}), flush=True)
    time.sleep(float(sys.argv[2]))
"""
FILE = """
name: {name}
command: [python3, program.py, "${{args_json_file}}", "{pause}"]
method: random
run_cap: {trials}
seed: 3
metric: {{name: val_loss, goal: minimize}}
devices: {{gpus: none}}
parameters:
  rate: {{distribution: log_uniform_values, min: 0.001, max: 1}}
  width: {{distribution: int_uniform, min: 1, max: 9}}
  kind: {{values: [plain, deep, broken, null, true, 3]}}
  momentum: {{distribution: q_uniform, min: 0, max: 0.9, q: 0.1, when: kind == "deep"}}
  fixed: {{value: 7}}
"""


def sweep(*words, code=0):
    """Runs `sweep` and returns what it printed."""
    done = subprocess.run([SWEEP, *words], capture_output=True, text=True)
    assert done.returncode in (code, 1), f"sweep {words}: {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout


def rows(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def curves(folder, column):
    """The values of a column of epochs.csv by trial and epoch."""
    found = {}
    for row in rows(f"{folder}/epochs.csv"):
        if row[column]:
            found.setdefault(int(row["trial"]), {})[int(row["epoch"])] = float(row[column])
    return found


def check_optuna(folder):
    path = f"{folder}/optuna.jsonl"
    sweep("export", folder, "--to", "optuna")
    before = pathlib.Path(path).read_bytes()
    sweep("export", folder, "--to", "optuna")
    assert pathlib.Path(path).read_bytes() == before, "a second export changes nothing"
    backend = optuna.storages.journal.JournalFileBackend(path)
    study = optuna.load_study(study_name=pathlib.Path(folder).name, storage=optuna.storages.JournalStorage(backend))
    trials = {trial.user_attrs["trial"]: trial for trial in study.trials}
    table = {int(row["trial"]): row for row in rows(f"{folder}/trials.csv")}
    assert trials.keys() == table.keys() and study.direction == optuna.study.StudyDirection.MINIMIZE
    assert study.metric_names == ["val_loss"]
    states = {"finished": "COMPLETE", "stopped": "PRUNED", "failed": "FAIL"}
    expected = curves(folder, "val_loss")
    for number, row in table.items():
        trial = trials[number]
        assert trial.state.name == states[row["status"]], (number, trial.state, row["status"])
        assert trial.intermediate_values == expected.get(number, {}), number
        if trial.state.name == "COMPLETE":
            assert trial.value == min(expected[number].values())
            assert isinstance(trial.params["width"], int) and str(trial.params["width"]) == row["width"]
            assert math.isclose(trial.params["rate"], float(row["rate"]))
            assert trial.user_attrs["fixed"] == 7
            assert ("momentum" in trial.params) == (row["kind"] == "deep") == bool(row["momentum"])
    kinds = {type(trial.params["kind"]) for trial in study.trials}
    assert {str, int, bool} <= kinds, kinds
    best = min(expected, key=lambda number: min(expected[number].values()))
    assert study.best_trial.user_attrs["trial"] == best
    complete = [trial for trial in study.trials if trial.state.name == "COMPLETE"]
    importances = optuna.importance.get_param_importances(
        study, params=["rate", "width"], evaluator=optuna.importance.PedAnovaImportanceEvaluator()
    )
    print(f"optuna: {len(trials)} trials, {len(complete)} complete, importances {importances}")


def check_tensorboard(folder):
    out = f"{folder}/tensorboard"
    sweep("export", folder, "--to", "tensorboard")
    table = {int(row["trial"]): row for row in rows(f"{folder}/trials.csv")}
    runs = EventMultiplexer().AddRunsFromDirectory(out).Reload()
    assert {int(run) for run in runs.Runs() if run != "."} == table.keys(), runs.Runs().keys()
    expected = curves(folder, "val_loss")
    for number in table:
        wanted = expected.get(number, {})
        # epochs.csv has no column for metrics of other names.
        scores = {epoch: 1 / (1 + loss) for epoch, loss in wanted.items()}
        for name, values in (("val_loss", wanted), ("f1", scores)):
            is_there = name in runs.Runs()[f"{number:04}"]["scalars"]
            read = {event.step: event.value for event in runs.Scalars(f"{number:04}", name)} if is_there else {}
            assert read.keys() == values.keys(), (number, name, read, values)
            assert all(math.isclose(read[step], values[step], rel_tol=1e-6) for step in read)

    def plugin(run, tag):
        content = runs.SummaryMetadata(run, tag).plugin_data.content
        return plugin_data_pb2.HParamsPluginData.FromString(content)

    experiment = plugin(".", "_hparams_/experiment").experiment
    assert {info.name for info in experiment.hparam_infos} == {"rate", "width", "kind", "momentum", "fixed"}, experiment
    assert {"val_loss", "f1"} <= {info.name.tag for info in experiment.metric_infos}, experiment
    for number, row in table.items():
        started = plugin(f"{number:04}", "_hparams_/session_start_info").session_start_info
        assert started.hparams["width"].number_value == float(row["width"])
        ended = plugin(f"{number:04}", "_hparams_/session_end_info").session_end_info
        assert ended.status == (1 if row["status"] == "finished" else 2), (row["status"], ended)
    print(f"tensorboard: {len(table)} runs with curves and parameters")


def check_follow(folder, running):
    """An export that follows a sweep ends with it, and has all of it."""
    while not os.path.exists(f"{folder}/journal.jsonl"):
        time.sleep(0.05)
    path = pathlib.Path(f"{folder}/optuna.jsonl")
    following = subprocess.Popen([SWEEP, "export", folder, "--to", "optuna", "--follow"], stdout=subprocess.PIPE, text=True)
    seen, grown = b"", 0
    while following.poll() is None:
        now = path.read_bytes() if path.exists() else b""
        assert now.startswith(seen), "what a dashboard has read stays"
        grown += now != seen
        seen = now
        time.sleep(0.05)
    assert running.wait() in (0, 1) and following.returncode == 0
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    trials = [line for line in lines if line["op_code"] == 4]
    assert len(trials) == len(rows(f"{folder}/trials.csv")) and grown > 1, (len(trials), grown)
    print(f"follow: the file grew {grown} times while the sweep ran")


def main():
    with tempfile.TemporaryDirectory() as work:
        os.chdir(work)
        pathlib.Path("program.py").write_text(PROGRAM)
        pathlib.Path("many.yaml").write_text(FILE.format(name="many", trials=24, pause=0))
        pathlib.Path("slow.yaml").write_text(FILE.format(name="slow", trials=12, pause=0.3))
        sweep("run", "many.yaml", "--progress", "none")
        check_optuna("results/many")
        check_tensorboard("results/many")
        running = subprocess.Popen([SWEEP, "run", "slow.yaml", "--progress", "none"], stdout=subprocess.DEVNULL)
        check_follow("results/slow", running)
    print("3 passed, 0 failed")


if __name__ == "__main__":
    main()
