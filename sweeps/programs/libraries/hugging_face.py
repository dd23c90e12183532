"""Hugging Face's Trainer with a tiny model from a config."""

import argparse
import json
from pathlib import Path

import numpy
import torch
from transformers import BertConfig, BertForSequenceClassification, Trainer, TrainingArguments

parser = argparse.ArgumentParser()
parser.add_argument("--learning_rate", type=float, default=1e-3)
parser.add_argument("--save", action="store_true")
args = parser.parse_args()

torch.manual_seed(0)
draw = numpy.random.default_rng(0)
texts = draw.integers(1, 30, size=(120, 8))
rows = [{"input_ids": torch.tensor(text), "labels": int(text[0] > 15)} for text in texts]
config = BertConfig(vocab_size=30, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16)
trainer = Trainer(
    model=BertForSequenceClassification(config),
    args=TrainingArguments(
        output_dir="out", num_train_epochs=3, per_device_train_batch_size=20, learning_rate=args.learning_rate,
        eval_strategy="epoch", logging_strategy="epoch", save_strategy="epoch" if args.save else "no", report_to="none", use_cpu=True, disable_tqdm=True,
    ),
    train_dataset=rows[:90],
    eval_dataset=rows[90:],
    compute_metrics=lambda out: {"accuracy": float((out.predictions.argmax(1) == out.label_ids).mean())},
)
trainer.train()
log = trainer.state.log_history
losses = [row["loss"] for row in log if "loss" in row]
evals = [row for row in log if "eval_loss" in row]
history = [
    {"train_loss": loss, "val_loss": row["eval_loss"], "val_accuracy": row["eval_accuracy"]} for loss, row in zip(losses, evals)
]
Path("history.json").write_text(json.dumps(history))
