"""XGBoost, which prints its rounds."""

import argparse
import json
from pathlib import Path

import xgboost
from data import load

parser = argparse.ArgumentParser()
parser.add_argument("--eta", type=float, default=0.3)
args = parser.parse_args()

train, val = [xgboost.DMatrix(*part) for part in load()]
seen = {}
params = {"objective": "binary:logistic", "eval_metric": "logloss", "eta": args.eta, "nthread": 1}
xgboost.train(params, train, 6, evals=[(train, "train"), (val, "eval")], evals_result=seen)
losses = zip(seen["train"]["logloss"], seen["eval"]["logloss"])
Path("history.json").write_text(json.dumps([{"train_loss": one, "val_loss": other} for one, other in losses]))
