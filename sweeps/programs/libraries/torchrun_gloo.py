"""Two processes with torchrun and gloo. Rank 0 prints."""

import argparse
import json
from pathlib import Path

import torch
import torch.distributed as dist

parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, default=0.1)
args = parser.parse_args()

dist.init_process_group("gloo")
rank, weight, history = dist.get_rank(), torch.tensor(4.0), []
for epoch in range(1, 4):
    gradient = weight + rank
    dist.all_reduce(gradient)
    weight = weight - args.lr * gradient / dist.get_world_size()
    if rank == 0:
        print(f"epoch {epoch}: val_loss {weight.item() ** 2:.6f}", flush=True)
        history.append({"val_loss": weight.item() ** 2})
if rank == 0:
    Path("history.json").write_text(json.dumps(history))
dist.destroy_process_group()
