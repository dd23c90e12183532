#!/usr/bin/env python3
"""Exports sweeps and reads them with the tools that they are exported to.

    python tests/ecosystem/export.py SWEEP

Needs optuna, optuna-dashboard, tensorboard, mlflow, wandb, pandas, polars, duckdb and pyarrow. Every number that a tool shows
is compared with trials.csv and epochs.csv. The servers are local: real ones of MLflow and optuna-dashboard, and one that keeps
what `wandb sync` uploads. Where there is chromium, it opens optuna-dashboard; SCREENSHOTS names a folder for what it shows.
"""

import contextlib
import csv
import glob
import gzip
import http.server
import json
import math
import os
import pathlib
import shutil
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


@contextlib.contextmanager
def dashboard(path):
    """A real optuna-dashboard on an exported file. Gives its address."""
    port = free_port()
    with open("dashboard.log", "w") as log:
        command = [pathlib.Path(sys.executable).parent / "optuna-dashboard", path, "--port", str(port)]
        server = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
    try:
        url = f"http://127.0.0.1:{port}"
        for _ in range(300):
            assert server.poll() is None, pathlib.Path("dashboard.log").read_text()[-3000:]
            with contextlib.suppress(OSError):
                fetched(f"{url}/api/studies")
                break
            time.sleep(0.2)
        yield url
    finally:
        os.killpg(server.pid, 15)
        server.wait()


def fetched(url):
    with urllib.request.urlopen(url, timeout=30) as answer:
        return json.load(answer)


def check_dashboard(folder):
    """optuna-dashboard has each trial with its state, types and curve, and its page shows the best one."""
    table = {int(row["trial"]): row for row in rows(f"{folder}/trials.csv")}
    expected = curves(folder, "val_loss")
    with dashboard(f"{folder}/optuna.jsonl") as url:
        (study,) = fetched(f"{url}/api/studies")["study_summaries"]
        assert study["study_name"] == pathlib.Path(folder).name and study["directions"] == ["minimize"]
        study = fetched(f"{url}/api/studies/{study['study_id']}?after=0")
        assert study["objective_names"] == ["val_loss"], study["objective_names"]
        own = {int(next(one["value"] for one in trial["user_attrs"] if one["key"] == "trial")): trial for trial in study["trials"]}
        assert own.keys() == table.keys()
        for number, trial in own.items():
            assert trial["state"] == {"finished": "Complete", "failed": "Fail"}[table[number]["status"]], trial["state"]
            curve = {point["step"]: point["value"] for point in trial["intermediate_values"]}
            assert curve == expected.get(number, {}), (number, curve)
            types = {one["name"]: one["param_external_pytyp"] for one in trial["params"]}
            assert types["width"] == "<class 'int'>" and types["rate"] == "<class 'float'>", types
            assert ("momentum" in types) == (table[number]["kind"] == "deep")
        best = min(min(curve.values()) for curve in expected.values())
        assert [trial["values"] for trial in study["best_trials"]][0] == [best], study["best_trials"]
        shown = ""
        if browser := shutil.which("chromium"):
            command = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=20000",
                       "--window-size=1400,1700", f"--user-data-dir={os.getcwd()}/profile"]
            page = f"{url}/dashboard/studies/0"
            text = subprocess.run([*command, "--dump-dom", page], capture_output=True, text=True, timeout=120).stdout
            assert "Best Trial" in text and str(best) in text and "Hyperparameter Importance" in text, text[:2000]
            if pictures := os.environ.get("SCREENSHOTS"):
                shot = f"--screenshot={pictures}/optuna-dashboard.png"
                subprocess.run([*command, shot, page], capture_output=True, timeout=120, check=True)
            shown = "; its page shows the best in chromium"
    print(f"optuna-dashboard: {len(own)} trials with states, types and curves{shown}")


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


def check_follow(folder, running, url):
    """An export that follows a sweep ends with it, and has all of it."""
    while not os.path.exists(f"{folder}/journal.jsonl"):
        time.sleep(0.05)
    path = pathlib.Path(f"{folder}/optuna.jsonl")
    follow = lambda *words: subprocess.Popen([SWEEP, "export", folder, *words, "--follow"], stdout=subprocess.PIPE, text=True)
    following = follow("--to", "optuna")
    others = [follow("--to", tool) for tool in ("tensorboard", "wandb", "parquet", "sqlite")]
    others.append(follow("--to", "mlflow", "--url", url))
    while not path.exists():
        time.sleep(0.05)
    seen, grown, counts = b"", 0, set()
    with dashboard(path) as page:
        while following.poll() is None:
            now = path.read_bytes()
            assert now.startswith(seen), "what a dashboard has read stays"
            grown += now != seen
            seen = now
            counts.add(len(fetched(f"{page}/api/studies/0?after=0")["trials"]))
            time.sleep(0.05)
        last = len(fetched(f"{page}/api/studies/0?after=0")["trials"])
    assert running.wait() in (0, 1) and following.returncode == 0
    trials = rows(f"{folder}/trials.csv")
    assert last == len(trials) and grown > 1 and len(counts) > 2, (last, grown, counts)
    for other in others:
        assert other.wait() == 0, other.args
    # Once more: what has followed is complete, and not doubled.
    said = sweep("export", folder, "--to", "mlflow", "--url", url)
    assert f"sent 0 trials; {len(trials)} had been sent before" in said, said
    check_tensorboard(folder)
    check_tables(folder)
    found = glob.glob(f"{folder}/wandb/offline-run-*/*.wandb")
    assert len(found) == len(trials), found
    print(f"follow: the file grew {grown} times while the sweep ran, and an open dashboard showed {sorted(counts)} trials")


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
        # As docs/reference/commands.md advises: SQLite then waits for the disk once per write, not three times.
        with contextlib.closing(sqlite3.connect("mlflow.db")) as database:
            assert database.execute("PRAGMA journal_mode = WAL").fetchone() == ("wal",)
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
    assert f"sent 0 trials; {len(table)} had been sent before" in said, said
    client = mlflow.MlflowClient(url)
    experiment = client.get_experiment_by_name(name)
    find = lambda: client.search_runs([experiment.experiment_id], max_results=1000)
    # An export that was killed leaves a run without its last tag: it is made anew, and no run is there twice.
    client.update_run(find()[0].info.run_id, status="RUNNING")
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


HOSTILE = r"""
import json, sys
values = json.load(open(sys.argv[1]))
print(json.dumps({"epoch": 0, "note": 1}), flush=True) if values["mode"] == "silent" else None
if values["mode"] == "silent":
    sys.exit(0)
for epoch in range(1, 4):
    row = {"epoch": epoch, "val_loss": values["my-rate.x"] / epoch, "f<1": epoch, "f>1": 2 * epoch, "a//b": 3 * epoch,
           "it's \"x\"": 0.5, "grün 2": 0.25, "LR": 1, "lr": 2, "cost": epoch}
    if values["mode"] == "nan":
        row["val_loss"] = float("nan") if epoch > 1 else 1.0
    print(json.dumps(row), flush=True)
"""
HOSTILE_FILE = r"""
name: hostile
command: [python3, hostile.py, "${{args_json_file}}"]
method: grid
repeats: 2
retries: 0
metric: [{{name: val_loss, goal: minimize}}, {{name: cost, goal: maximize}}]
devices: {{gpus: none}}
parameters:
  my-rate.x: {{values: [1.5, {more}]}}
  mode: {{values: [plain, nan, silent]}}
  shape: {{value: [1, 2]}}
  LR: {{value: a}}
  lr: {{value: "b\nc"}}
"""


def check_hostile(url):
    """Odd names, values that are not finite, trials without epochs, repeats, two metrics, and a sweep that was extended."""
    pathlib.Path("hostile.py").write_text(HOSTILE)
    pathlib.Path("hostile.yaml").write_text(HOSTILE_FILE.format(more="2.5"))
    sweep("run", "hostile.yaml", "--progress", "none", code=1)
    folder, odd = "results/hostile", "my-rate.x"
    sweep("export", folder, "--to", "optuna")
    pathlib.Path("hostile.yaml").write_text(HOSTILE_FILE.format(more="2.5, 7"))
    sweep("extend", folder, "hostile.yaml", "--yes", "--run", "--progress", "none", code=1)
    for tool in ("optuna", "tensorboard", "wandb", "parquet", "sqlite"):
        sweep("export", folder, "--to", tool)
    sweep("export", folder, "--to", "mlflow", "--url", url)
    table = {int(row["trial"]): row for row in rows(f"{folder}/trials.csv")}
    assert len(table) == 18, len(table)
    # Optuna: two objectives, one distribution for all trials, repeats as trials of their own.
    backend = optuna.storages.journal.JournalFileBackend(f"{folder}/optuna.jsonl")
    study = optuna.load_study(study_name="hostile", storage=optuna.storages.JournalStorage(backend))
    names = [direction.name for direction in study.directions]
    assert names == ["MINIMIZE", "MAXIMIZE"] and study.metric_names == ["val_loss", "cost"], names
    assert len(study.trials) == 18 and {trial.user_attrs["trial"] for trial in study.trials} == table.keys()
    assert {trial.user_attrs.get("repeat") for trial in study.trials} == {None, 2}
    complete = {trial.user_attrs["trial"]: trial for trial in study.trials if trial.state.name == "COMPLETE"}
    for number, trial in complete.items():
        row = table[number]
        assert trial.params[odd] == float(row[odd]) and trial.user_attrs["lr"] == "b\nc", trial
        assert trial.values == [float(row["best_val_loss"]), float(row["best_cost"])], (trial.values, row)
    assert len({str(trial.distributions[odd]) for trial in study.trials}) == 1
    plain = [number for number, row in table.items() if row["mode"] == "plain"]
    assert set(plain) <= complete.keys() and not any(table[number]["mode"] == "silent" for number in complete)
    with dashboard(f"{folder}/optuna.jsonl") as page:
        assert len(fetched(f"{page}/api/studies/0?after=0")["trials"]) == 18
    # TensorBoard
    runs = EventMultiplexer().AddRunsFromDirectory(f"{folder}/tensorboard").Reload()
    scalars = runs.Runs()[f"{plain[0]:04}"]["scalars"]
    assert {"f<1", "f>1", "a//b", "it's \"x\"", "LR", "lr", "cost"} <= set(scalars), scalars
    # MLflow: each metric under a name of its own.
    client = mlflow.MlflowClient(url)
    found = client.search_runs([client.get_experiment_by_name("hostile").experiment_id], max_results=1000)
    found = {int(run.data.tags["sweep.trial"]): run for run in found}
    assert found.keys() == table.keys()
    metrics = found[plain[0]].data.metrics
    assert metrics["f_1"] == 3 and metrics["f_1_2"] == 6 and metrics["a/_/b"] == 9 and metrics["it_s _x_"] == 0.5, metrics
    assert found[plain[0]].data.params["lr"] == "b\nc" and found[plain[0]].data.params["my-rate.x"] == "1.5"
    # Tables
    trials = polars.read_parquet(f"{folder}/parquet/trials.parquet")
    assert trials[odd].to_list() == [float(row[odd]) for row in table.values()]
    with contextlib.closing(sqlite3.connect(f"{folder}/sweep.sqlite")) as database:
        lines = database.execute('SELECT "it\'s ""x""", "grün 2" FROM epochs WHERE trial = ?', [plain[0]]).fetchall()
    assert lines == [(0.5, 0.25)] * 3, lines
    print("hostile: 18 trials with odd names, two metrics, repeats and an extension, in every tool")


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
        check_dashboard("results/many")
        check_tensorboard("results/many")
        check_tables("results/many")
        check_wandb("results/many")
        check_import()
        write_large("results/large")
        measure("results/large")
        with mlflow_server() as url:
            check_mlflow("results/many", "results/large", url)
            running = subprocess.Popen([SWEEP, "run", "slow.yaml", "--progress", "none"], stdout=subprocess.DEVNULL)
            check_follow("results/slow", running, url)
            check_hostile(url)
    print("9 passed, 0 failed")


if __name__ == "__main__":
    main()
