#!/usr/bin/env python3
"""Exports sweeps and reads them with the tools that they are exported to.

    python tests/ecosystem/export.py SWEEP

Needs optuna, tensorboard, mlflow, wandb, pandas, polars, duckdb and pyarrow. Every number that a tool shows is compared with
trials.csv and epochs.csv. The servers are local: a real one of MLflow, and one that keeps what `wandb sync` uploads.
"""

import contextlib
import csv
import gzip
import http.server
import json
import math
import os
import pathlib
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

import duckdb
import mlflow
import optuna
import pandas
import polars
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


def check_tables(folder):
    """pandas, polars and DuckDB read Parquet; sqlite3, pandas and DuckDB-like SQL read SQLite. Both have the same tables."""
    sweep("export", folder, "--to", "parquet")
    sweep("export", folder, "--to", "sqlite")
    table = {int(row["trial"]): row for row in rows(f"{folder}/trials.csv")}
    expected = curves(folder, "val_loss")
    frames = {
        "pandas": pandas.read_parquet(f"{folder}/parquet/trials.parquet").to_dict("records"),
        "polars": polars.read_parquet(f"{folder}/parquet/trials.parquet").to_dicts(),
        "duckdb": duckdb.sql(f"SELECT * FROM '{folder}/parquet/trials.parquet'").df().to_dict("records"),
    }
    with contextlib.closing(sqlite3.connect(f"{folder}/sweep.sqlite")) as database:
        frames["sqlite"] = pandas.read_sql("SELECT * FROM trials", database).to_dict("records")
        lines = database.execute("SELECT trial, epoch, val_loss FROM epochs").fetchall()
    for tool, read in frames.items():
        assert {row["trial"] for row in read} == table.keys(), tool
        for row in read:
            known = table[row["trial"]]
            assert row["width"] == int(known["width"]) and isinstance(row["width"], int), (tool, row["width"])
            assert row["rate"] == float(known["rate"]) and row["status"] == known["status"], tool
            assert row["fixed"] == 7 and row["seed"] == int(known["seed"]), tool
            best = row["best_val_loss"]
            assert (best == float(known["best_val_loss"])) if known["best_val_loss"] else pandas.isna(best), tool
    types = polars.read_parquet(f"{folder}/parquet/trials.parquet").schema
    assert types["rate"] == polars.Float64 and types["width"] == polars.Int64 and types["status"] == polars.String, types
    parquet = duckdb.sql(f"SELECT trial, epoch, val_loss FROM '{folder}/parquet/epochs.parquet'").fetchall()
    for read in (lines, parquet):
        assert {(trial, epoch): value for trial, epoch, value in read} == {
            (trial, epoch): value for trial, values in expected.items() for epoch, value in values.items()
        }
    print(f"tables: {len(table)} trials with their types, {len(lines)} epochs")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def mlflow_server():
    port = free_port()
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--backend-store-uri",
               "sqlite:///mlflow.db", "--artifacts-destination", "artifacts", "--workers", "2"]
    with open("mlflow.log", "w") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
    try:
        url = f"http://127.0.0.1:{port}"
        # It imports for minutes where other programs take the processor.
        deadline = time.time() + 900
        while True:
            assert server.poll() is None and time.time() < deadline, pathlib.Path("mlflow.log").read_text()[-3000:]
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"{url}/health", timeout=1).read()
                break
            time.sleep(0.2)
        yield url
    finally:
        os.killpg(server.pid, 15)
        server.wait()


def check_mlflow(folder, large, url):
    name = pathlib.Path(folder).name
    said = sweep("export", folder, "--to", "mlflow", "--url", url)
    table = {int(row["trial"]): row for row in rows(f"{folder}/trials.csv")}
    assert f"sent {len(table)} trials" in said, said
    said = sweep("export", folder, "--to", "mlflow", "--url", url)
    assert f"sent 0 trials; {len(table)} were there already" in said, said
    client = mlflow.MlflowClient(url)
    experiment = client.get_experiment_by_name(name)
    find = lambda: client.search_runs([experiment.experiment_id], max_results=1000)
    # An export that was killed leaves a run without its last tag: it is made anew, and no run is there twice.
    client.delete_tag(find()[0].info.run_id, "sweep.ended")
    assert "sent 1 trial" in sweep("export", folder, "--to", "mlflow", "--url", url)
    runs = {int(run.data.tags["sweep.trial"]): run for run in find()}
    assert runs.keys() == table.keys() and len(find()) == len(table)
    expected, states = curves(folder, "val_loss"), {"finished": "FINISHED", "stopped": "KILLED", "failed": "FAILED"}
    for number, run in runs.items():
        row = table[number]
        assert run.info.status == states[row["status"]], (number, run.info.status)
        assert run.data.params["width"] == row["width"] and run.data.params["fixed"] == "7"
        assert float(run.data.params["rate"]) == float(row["rate"])
        history = client.get_metric_history(run.info.run_id, "val_loss")
        assert {point.step: point.value for point in history} == expected.get(number, {}), number
    best = client.search_runs([experiment.experiment_id], order_by=["metrics.best_val_loss ASC"], max_results=1)[0]
    assert int(best.data.tags["sweep.trial"]) == min(expected, key=lambda number: min(expected[number].values()))
    began = time.time()
    sweep("export", large, "--to", "mlflow", "--url", url)
    print(f"mlflow: {len(table)} runs; 1,000 trials of 50 epochs in {time.time() - began:.1f} s")


class Cloud(http.server.BaseHTTPRequestHandler):
    """What `wandb sync` needs of a server. It keeps the runs, their rows, and their summaries."""

    protocol_version = "HTTP/1.1"
    runs = {}

    def log_message(self, *_):
        pass

    def do_GET(self):
        self.reply({})

    def do_PUT(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.reply({})

    def reply(self, answer):
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        if "/graphql" in self.path:
            asked = json.loads(body)
            query, given = asked["query"], asked.get("variables") or {}
            data = {"project": None, "model": None, "entity": None}
            if "upsertBucket" in query:
                run = Cloud.runs.setdefault(given["name"], {"rows": []})
                run.update({key: value for key, value in given.items() if value is not None})
                owner = {"id": "p", "name": given["project"], "entity": {"id": "e", "name": "me"}}
                bucket = {"id": "UnVuOjE=", "name": given["name"], "displayName": given["displayName"], "description": None,
                          "config": "{}", "sweepName": None, "project": owner, "historyLineCount": 0}
                data = {"upsertBucket": {"bucket": bucket, "inserted": True}}
            elif "viewer" in query:
                data = {"viewer": {"id": "u", "entity": "me", "username": "me", "flags": "{}", "teams": {"edges": []}}}
            elif "createRunFiles" in query:
                data = {"createRunFiles": {"runID": "1", "uploadHeaders": [], "files": []}}
            return self.reply({"data": data})
        if self.path.endswith("/file_stream"):
            sent, run = json.loads(body), Cloud.runs[self.path.split("/")[4]]
            files = sent.get("files") or {}
            run["rows"] += [json.loads(line) for line in files.get("wandb-history.jsonl", {}).get("content", [])]
            for line in files.get("wandb-summary.json", {}).get("content", []):
                run["summary"] = json.loads(line)
            if "exitcode" in sent:
                run["exitcode"] = sent["exitcode"]
        self.reply({})


def check_wandb(folder):
    sweep("export", folder, "--to", "wandb")
    files = {path: path.read_bytes() for path in pathlib.Path(folder, "wandb").glob("offline-run-*/*.wandb")}
    sweep("export", folder, "--to", "wandb")
    assert all(path.read_bytes() == bytes for path, bytes in files.items()), "a second export changes nothing"
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Cloud)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    variables = dict(os.environ, WANDB_BASE_URL=f"http://127.0.0.1:{server.server_port}", WANDB_API_KEY="a" * 40)
    command = [pathlib.Path(sys.executable).with_name("wandb"), "sync", *(path.parent for path in files)]
    done = subprocess.run(command, env=variables, capture_output=True, text=True)
    server.shutdown()
    assert done.returncode == 0, done.stdout + done.stderr
    table = {int(row["trial"]): row for row in rows(f"{folder}/trials.csv")}
    runs = {int(name.rsplit("-", 1)[1]): run for name, run in Cloud.runs.items()}
    assert runs.keys() == table.keys(), (runs.keys(), done.stderr)
    expected = curves(folder, "val_loss")
    for number, run in runs.items():
        row = table[number]
        config = {name: entry["value"] for name, entry in json.loads(run["config"]).items()}
        assert config["width"] == int(row["width"]) and config["rate"] == float(row["rate"]) and config["fixed"] == 7
        assert run["displayName"] == f"trial {number:04}" and run["project"] == run["groupName"] == pathlib.Path(folder).name
        assert {line["epoch"]: line["val_loss"] for line in run["rows"]} == expected.get(number, {}), (number, run["rows"])
        assert run["exitcode"] == (row["status"] == "failed"), (number, run["exitcode"])
        if number in expected:
            assert run["summary"]["best_val_loss"] == min(expected[number].values()), run["summary"]
    print(f"wandb: {len(runs)} runs as `wandb sync` uploads them")


def check_import():
    """Studies of real Optuna, in both of its storages, and an older table, make `tpe` begin where they ended."""
    space = {"rate": optuna.distributions.FloatDistribution(0.001, 1, log=True),
             "width": optuna.distributions.IntDistribution(1, 9),
             "kind": optuna.distributions.CategoricalDistribution(["plain", "deep", "broken", None, True, 3]),
             "momentum": optuna.distributions.FloatDistribution(0, 0.9, step=0.1)}

    def objective(trial):
        rate = trial.suggest_float("rate", 0.001, 1, log=True)
        width = trial.suggest_int("width", 1, 9)
        kind = trial.suggest_categorical("kind", space["kind"].choices)
        if kind == "deep":
            trial.suggest_float("momentum", 0, 0.9, step=0.1)
        if trial.number == 3:
            raise optuna.TrialPruned()
        return (rate - 0.1) ** 2 + width / 5

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    journal = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend("old.jsonl"))
    for storage in (journal, "sqlite:///old.db"):
        study = optuna.create_study(study_name="old", storage=storage, sampler=optuna.samplers.RandomSampler(seed=1))
        study.optimize(objective, n_trials=30)
    study.trials_dataframe().to_csv("old.csv")
    file = FILE.replace("method: random", "method: tpe")
    for kind, source in (("optuna", "old.jsonl"), ("optuna", "old.db"), ("csv", "old.csv")):
        name = source.replace(".", "-")
        pathlib.Path(f"{name}.yaml").write_text(file.format(name=name, trials=8, pause=0))
        said = sweep("import", kind, source, f"{name}.yaml")
        assert "imported 29 trials" in said, said
        assert "imported 0 trials" in sweep("import", kind, source, f"results/{name}"), "twice is once"
        entry = json.loads(pathlib.Path(f"results/{name}/journal.jsonl").read_text().splitlines()[1])
        finished = [trial for trial in study.trials if trial.value is not None]
        for read, trial in zip(entry["trials"], finished, strict=True):
            wanted = dict(trial.params, fixed=7)
            assert math.isclose(read["value"], trial.value) and read["settings"].keys() == wanted.keys(), (read, wanted)
            assert all(read["settings"][key] == value or math.isclose(read["settings"][key], value)
                       for key, value in wanted.items()), (read, wanted)
        sweep("resume", f"results/{name}", "--progress", "none")
        trials = rows(f"results/{name}/trials.csv")
        assert len(trials) == 8, "imported trials are no trials of the sweep"
        report = pathlib.Path(f"results/{name}/report.md").read_text()
        assert f"29 trials of {source} were imported" in report, report
        # The study has found that a small width is best; a search that begins anew spreads its first ten.
        assert sum(int(row["width"]) <= 3 for row in trials) >= 5, [row["width"] for row in trials]
    print("import: 29 finished trials from a journal, a database and a table")


def write_large(folder):
    """A sweep of 1,000 trials of 50 epochs, without training."""
    os.makedirs(folder)
    pathlib.Path(folder, "sweep.yaml").write_text(FILE.format(name="large", trials=1000, pause=0))
    lines = [{"is": "sweep", "format": 1, "version": "0.1.0", "name": "large", "at": 1.0, "base": "/"},
             {"is": "run", "at": 1.0, "version": "0.1.0", "host": "h", "pid": 1, "slots": ["cpu:0"]}]
    for trial in range(1, 1001):
        attempt, settings = {"trial": trial, "number": 1}, {"rate": 0.5 / trial, "width": 1 + trial % 9, "kind": "plain", "fixed": 7}
        lines.append({"is": "started", "at": 60.0 * trial, "attempt": attempt, "slot": "cpu:0", "settings": settings})
        lines += [{"is": "row", "attempt": attempt, "metrics": {"epoch": epoch, "val_loss": 1 / epoch + settings["rate"], "train_loss": 1 / epoch},
                   "others": {"f1": 1 - 1 / epoch}} for epoch in range(1, 51)]
        lines.append({"is": "ended", "at": 60.0 * trial + 50, "attempt": attempt, "outcome": "finished"})
    pathlib.Path(folder, "journal.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def measure(large):
    for tool in ("optuna", "tensorboard", "wandb", "parquet", "sqlite"):
        began = time.time()
        sweep("export", large, "--to", tool)
        print(f"{tool}: 1,000 trials of 50 epochs in {time.time() - began:.2f} s")


def main():
    with tempfile.TemporaryDirectory() as work:
        os.chdir(work)
        pathlib.Path("program.py").write_text(PROGRAM)
        pathlib.Path("many.yaml").write_text(FILE.format(name="many", trials=24, pause=0))
        pathlib.Path("slow.yaml").write_text(FILE.format(name="slow", trials=12, pause=0.3))
        sweep("run", "many.yaml", "--progress", "none")
        check_optuna("results/many")
        check_tensorboard("results/many")
        check_tables("results/many")
        check_wandb("results/many")
        check_import()
        write_large("results/large")
        measure("results/large")
        with mlflow_server() as url:
            check_mlflow("results/many", "results/large", url)
        running = subprocess.Popen([SWEEP, "run", "slow.yaml", "--progress", "none"], stdout=subprocess.DEVNULL)
        check_follow("results/slow", running)
    print("7 passed, 0 failed")


if __name__ == "__main__":
    main()
