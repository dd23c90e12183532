"""Keras 3 on PyTorch, with model.fit alone."""

import argparse
import json
import os
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "torch")
import keras
from data import load

parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, default=0.01)
args = parser.parse_args()

keras.utils.set_random_seed(0)
train, val = load()
model = keras.Sequential([keras.layers.Dense(16, activation="relu"), keras.layers.Dense(2, activation="softmax")])
model.compile(keras.optimizers.Adam(args.lr), "sparse_categorical_crossentropy", metrics=["accuracy"])
fit = model.fit(*train, validation_data=val, epochs=4, batch_size=50, verbose=2)
names = {"loss": "train_loss", "accuracy": "train_accuracy", "val_loss": "val_loss", "val_accuracy": "val_accuracy"}
history = [{own: fit.history[name][epoch] for name, own in names.items()} for epoch in range(4)]
Path("history.json").write_text(json.dumps(history))
