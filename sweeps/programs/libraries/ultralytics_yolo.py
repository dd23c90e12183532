"""Ultralytics' YOLO, with a network from its configuration and eight images made here."""

import argparse
import csv
import json
from pathlib import Path

import cv2
import numpy
from ultralytics import YOLO

parser = argparse.ArgumentParser()
parser.add_argument("--lr0", type=float, default=0.01)
args = parser.parse_args()

draw = numpy.random.default_rng(0)
for number in range(8):
    for part in ("images", "labels"):
        Path(part).mkdir(exist_ok=True)
    image = draw.integers(0, 60, size=(32, 32, 3), dtype="uint8")
    image[8:24, 8:24] = 255
    cv2.imwrite(f"images/{number}.png", image)
    Path(f"labels/{number}.txt").write_text("0 0.5 0.5 0.5 0.5\n")
Path("tiny.yaml").write_text(f"path: {Path().absolute()}\ntrain: images\nval: images\nnames: {{0: square}}\n")

model = YOLO("yolov8n.yaml")
model.train(
    data="tiny.yaml", epochs=2, imgsz=32, batch=4, workers=0, plots=False, device="cpu", optimizer="SGD", lr0=args.lr0,
    project=str(Path("runs").absolute()), verbose=False,
)
[results] = Path("runs").glob("*/results.csv")
with results.open() as file:
    rows = [{name.strip(): float(value) for name, value in row.items()} for row in csv.DictReader(file)]
history = [{name: row[name] for name in ("train/box_loss", "val/box_loss", "metrics/mAP50(B)")} for row in rows]
Path("history.json").write_text(json.dumps(history))
