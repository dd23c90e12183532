"""A loop that writes to TensorBoard with TensorFlow: one name in two folders."""

import argparse
import json
from pathlib import Path

import tensorflow as tf

parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, default=0.1)
args = parser.parse_args()

train = tf.summary.create_file_writer("logs/train")
validation = tf.summary.create_file_writer("logs/validation")
history, weight = [], 4.0
for epoch in range(3):
    weight -= args.lr * weight
    with train.as_default():
        tf.summary.scalar("loss", weight**2, step=epoch)
    with validation.as_default():
        tf.summary.scalar("loss", tf.constant(weight**2 + 1), step=epoch)
    history.append({"train_loss": weight**2, "val_loss": weight**2 + 1})
Path("history.json").write_text(json.dumps(history))
