#!/usr/bin/env python3
"""Compares `method: tpe` or `bayes` with Optuna's TPE on COCO's suites bbob and bbob-mixint, on 24 functions each.

    pip install optuna coco-experiment
    scripts/bench/search.py PROGRAM [--method bayes] [--suite bbob] [--dimension 5] [--slots 1 8] [--trials 100] [--seeds 3] [--first 1]

PROGRAM is crates/sweep-scheduler/examples/propose.rs, built with `cargo build --release -p sweep-scheduler --example propose`.
Trials take log-normal times (sigma 0.5) in virtual time. Optuna gets every value as soon as its trial has ended. The
method waits for results as its `lag` says; the share of slot time that this costs is the last column.

Prints, for each number of slots and each group of functions, how often each optimizer has the better value after all
trials, and the p value of Wilcoxon's signed-rank test on the differences of ranks over functions and seeds.
"""

import argparse
import heapq
import json
import math
import random
import subprocess

import cocoex
import optuna

GROUPS = {"separable": range(1, 6), "moderate": range(6, 10), "ill-conditioned": range(10, 15),
          "multimodal": range(15, 20), "weak structure": range(20, 25)}
SIGMA = 0.5
# The default `lag`, as a multiple of the other slots.
PER_SLOT = {"tpe": 2, "bayes": 3}


def problems(suite, dimension):
    for problem in cocoex.Suite(suite, "instances: 1", f"dimensions: {dimension}"):
        yield problem


def space(problem):
    whole = problem.number_of_integer_variables
    low, high = problem.lower_bounds, problem.upper_bounds
    return [{"name": f"x{at:02}", "min": float(low[at]), "max": float(high[at]), "whole": at < whole}
            for at in range(problem.dimension)]


def value(problem, axes, point):
    return float(problem([point[axis["name"]] for axis in axes]))


def ours(program, method, problem, axes, seed, trials, lag):
    best, values = math.inf, []
    command = [program, json.dumps(axes), str(seed), str(lag), method]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as run:
        for _ in range(trials):
            values.append(value(problem, axes, json.loads(run.stdout.readline())))
            best = min(best, values[-1])
            run.stdin.write(f"{values[-1]!r}\n")
            run.stdin.flush()
        run.stdin.close()
    return best


def optunas(problem, axes, seed, trials, slots):
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed))
    durations, running, begun, now, best = random.Random(seed), [], 0, 0.0, math.inf
    while begun < trials or running:
        if begun < trials and len(running) < slots:
            trial, begun = study.ask(), begun + 1
            point = {axis["name"]: trial.suggest_int(axis["name"], int(axis["min"]), int(axis["max"])) if axis["whole"]
                     else trial.suggest_float(axis["name"], axis["min"], axis["max"]) for axis in axes}
            found = value(problem, axes, point)
            best = min(best, found)
            heapq.heappush(running, (now + durations.lognormvariate(0, SIGMA), begun, trial, found))
        else:
            now, _, trial, found = heapq.heappop(running)
            study.tell(trial, found)
    return best


def idle(slots, lag, trials, startup=10, runs=20):
    """The share of slot time spent waiting, until the last trial begins."""
    total = 0.0
    for seed in range(runs):
        chance, ends, free = random.Random(seed), [], [0.0] * slots
        busy = 0.0
        for number in range(trials):
            slot = heapq.heappop(free)
            needs = number - lag
            start = max([slot] + ends[:needs]) if needs > 0 and number - lag >= startup else slot
            took = chance.lognormvariate(0, SIGMA)
            ends.append(start + took)
            busy += took
            heapq.heappush(free, start + took)
            last = start
        busy -= sum(max(end - last, 0) for end in ends)
        total += 1 - busy / (slots * last)
    return total / runs


def wilcoxon(differences):
    """The two-sided p value by the normal approximation, with ties."""
    nonzero = sorted((abs(one), one) for one in differences if one)
    if len(nonzero) < 6:
        return 1.0
    ranks, at = [0.0] * len(nonzero), 0
    while at < len(nonzero):
        end = at
        while end < len(nonzero) and nonzero[end][0] == nonzero[at][0]:
            end += 1
        ranks[at:end] = [(at + end + 1) / 2] * (end - at)
        at = end
    plus = sum(rank for rank, (_, one) in zip(ranks, nonzero) if one > 0)
    n = len(nonzero)
    mean, deviation = n * (n + 1) / 4, math.sqrt(n * (n + 1) * (2 * n + 1) / 24)
    return math.erfc(abs(plus - mean) / deviation / math.sqrt(2))


def compare(options, slots):
    lag = options.lag if options.lag is not None else PER_SLOT[options.method] * (slots - 1)
    rows = []
    for number, problem in enumerate(problems(options.suite, options.dimension), start=1):
        if number not in options.functions:
            continue
        axes = space(problem)
        for seed in range(options.first, options.first + options.seeds):
            mine = ours(options.program, options.method, problem, axes, seed, options.trials, lag)
            theirs = math.nan if options.alone else optunas(problem, axes, seed, options.trials, slots)
            rows.append((number, seed, mine, theirs))
            if options.raw:
                print(json.dumps({"suite": options.suite, "dimension": options.dimension, "slots": slots, "lag": lag,
                                  "function": number, "seed": seed, options.method: mine, "optuna": theirs}), flush=True)
    return rows, idle(slots, lag, options.trials)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("--method", choices=list(PER_SLOT), default="bayes")
    parser.add_argument("--suite", default="bbob")
    parser.add_argument("--dimension", type=int, default=5)
    parser.add_argument("--slots", type=int, nargs="+", default=[1, 8])
    parser.add_argument("--trials", type=int, default=100)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--functions", type=int, nargs="+", default=list(range(1, 25)))
    parser.add_argument("--lag", type=int)
    parser.add_argument("--alone", action="store_true", help="leave Optuna out")
    parser.add_argument("--raw", action="store_true", help="also print every value")
    options = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    print(f"{options.suite}, {options.dimension} dimensions, {options.trials} trials, {options.seeds} seeds, "
          f"Optuna {optuna.__version__}")
    print(f"| slots | functions | `{options.method}` better | Optuna better | p | slots idle |\n|---|---|---|---|---|---|")
    for slots in options.slots:
        rows, waits = compare(options, slots)
        for group, numbers in [*GROUPS.items(), ("all", range(1, 25))]:
            part = [row for row in rows if row[0] in numbers]
            # Values of different functions are not comparable: the relative difference is, by its sign and size.
            relative = [(theirs - mine) / max(abs(theirs), abs(mine), 1e-12) for _, _, mine, theirs in part]
            wins, losses = sum(one > 0 for one in relative), sum(one < 0 for one in relative)
            print(f"| {slots} | {group} | {wins} | {losses} | {wilcoxon(relative):.3f} | {waits:.1%} |", flush=True)


main()
