"""The presets' training step in PyTorch, tuned by hand: what `steps.py` measures the trainer against.

Channels-last, bfloat16 autocast, the fused optimizer where PyTorch has one, ReLU in place, dataset in memory as
channels-last float32, glibc told to keep freed memory (steps.py sets it). Prints one JSON line.
"""

import argparse
import json
import time

import numpy
import torch
from torch import nn


def block(*layers, drop):
    return [*layers, nn.Dropout(drop)]


def relu():
    return nn.ReLU(inplace=True)


def question():
    layers = []
    for inputs, filters in [(3, 32), (32, 64), (64, 128)]:
        layers += [nn.Conv2d(inputs, filters, 3, padding=1), relu(), nn.Conv2d(filters, filters, 3, padding=1), relu()]
        layers += block(nn.MaxPool2d(2), drop=0.2)
    layers += [nn.Flatten(), *block(nn.Linear(2048, 1024), relu(), drop=0.5)]
    return [*layers, *block(nn.Linear(1024, 512), relu(), drop=0.5), nn.Linear(512, 10)]


def strided():
    layers = []
    for inputs, filters, drop in [(3, 96, 0.2), (96, 192, 0.5)]:
        layers += [nn.Conv2d(inputs, filters, 3), relu()]
        layers += block(nn.Conv2d(filters, filters, 3, stride=2), relu(), drop=drop)
    return [*layers, nn.Flatten(), nn.BatchNorm1d(4800, eps=1e-3, momentum=0.01), nn.Linear(4800, 256), relu(),
            nn.Linear(256, 10)]  # fmt: skip


def small():
    layers = block(nn.Conv2d(3, 32, 3), relu(), drop=0.1)
    layers += block(nn.Conv2d(32, 64, 5, stride=2, bias=False), relu(), drop=0.2)
    return [*layers, nn.Flatten(), *block(nn.Linear(64 * 13 * 13, 128), relu(), drop=0.3), nn.Linear(128, 10)]


def thin():
    layers = block(nn.Conv2d(3, 64, 4, padding="same"), nn.MaxPool2d(2), relu(), drop=0.25)
    layers += block(nn.Conv2d(64, 64, 2, padding="same"), relu(), drop=0.25)
    layers += block(nn.Conv2d(64, 32, 3, padding="same"), relu(), drop=0.25)
    layers += block(nn.Conv2d(32, 32, 3, padding="same"), relu(), nn.MaxPool2d(2), drop=0.15)
    layers += [nn.Flatten(), *block(nn.Linear(2048, 64), relu(), drop=0.25)]
    return [*layers, *block(nn.Linear(64, 64), nn.Tanh(), drop=0.25), nn.Linear(64, 10)]


class Residual(nn.Sequential):
    def forward(self, x):
        return x + super().forward(x)


class Concat(nn.ModuleList):
    def forward(self, x):
        return torch.cat([branch(x) for branch in self], 1)


class Scale(nn.Module):
    def forward(self, x):
        return x * 0.125


def normed_conv(inputs, filters, kernel=3, stride=1, groups=1):
    conv = nn.Conv2d(inputs, filters, kernel, stride, kernel // 2, groups=groups, bias=False)
    return [conv, nn.BatchNorm2d(filters), relu()]


def resnet9():
    def residual(filters):
        return Residual(*normed_conv(filters, filters), *normed_conv(filters, filters))

    layers = [*normed_conv(3, 64), *normed_conv(64, 128), nn.MaxPool2d(2), residual(128)]
    layers += [*normed_conv(128, 256), nn.MaxPool2d(2), *normed_conv(256, 512), nn.MaxPool2d(2), residual(512)]
    return [*layers, nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Linear(512, 10, bias=False), Scale()]


def mobile():
    layers, inputs = normed_conv(3, 32), 32
    plan = [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2), (1024, 1)]
    for filters, stride in plan:
        layers += normed_conv(inputs, inputs, 3, stride, inputs) + normed_conv(inputs, filters, 1)
        inputs = filters
    return [*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(1024, 10)]


def branched():
    def silu():
        return nn.SiLU(inplace=True)

    layers = [nn.Conv2d(3, 32, 3, padding=1), nn.GroupNorm(8, 32), silu()]
    layers += [Concat([nn.Conv2d(32, 32, 3, padding=1), nn.Conv2d(32, 32, 1)])]
    layers += [Residual(nn.GroupNorm(8, 64), silu(), nn.Conv2d(64, 64, 3, padding=1)), nn.MaxPool2d(2)]
    layers += [Residual(nn.GroupNorm(8, 64), silu(), nn.Conv2d(64, 64, 3, padding=1, groups=4))]
    layers += [nn.GroupNorm(8, 64), silu()]
    return [*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10)]


def shorten(layer):
    """Keras' MaxNorm of 3."""
    lengths = layer.weight.square().sum(1, keepdim=True).sqrt()
    layer.weight.mul_(lengths.clamp(max=3.0) / (lengths + 1e-7))


def main():
    parser = argparse.ArgumentParser()
    presets = ["question", "strided", "small", "thin", "resnet9", "mobile", "branched"]
    parser.add_argument("preset", choices=presets)
    parser.add_argument("--data", required=True, help="folder with data_batch_1.bin")
    parser.add_argument("--examples", type=int, required=True)
    parser.add_argument("--batch-size", type=int, required=True)
    parser.add_argument("--epochs", type=int, required=True)
    parser.add_argument("--precision", choices=["float32", "bfloat16"], required=True)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--profile", action="store_true", help="adds the share of convolutions and matrix products")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)

    raw = numpy.fromfile(f"{args.data}/data_batch_1.bin", numpy.uint8, args.examples * 3073).reshape(-1, 3073)
    labels = torch.from_numpy(raw[:, 0].astype(numpy.int64))
    pixels = torch.from_numpy(raw[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1).copy()).flatten(1).float() / 255

    network = nn.Sequential(*globals()[args.preset]()).to(memory_format=torch.channels_last)
    normed = [layer for layer in network if isinstance(layer, nn.Linear)][:-1] if args.preset == "question" else []
    if args.preset == "thin":
        optimizer = torch.optim.Adadelta(network.parameters(), 1.0, 0.95, 1e-7, foreach=True)
    else:
        optimizer = torch.optim.Adam(network.parameters(), 1e-3, eps=1e-7, fused=True)
    bfloat16 = torch.autocast("cpu", torch.bfloat16, enabled=args.precision == "bfloat16")

    def epoch():
        loss_sum = torch.zeros((), dtype=torch.float64)
        hits = torch.zeros((), dtype=torch.int64)
        for rows in torch.randperm(len(labels)).split(args.batch_size):
            x = pixels.index_select(0, rows).view(-1, 32, 32, 3).permute(0, 3, 1, 2)
            y = labels.index_select(0, rows)
            optimizer.zero_grad(set_to_none=True)
            with bfloat16:
                logits = network(x)
                loss = nn.functional.cross_entropy(logits, y)
            loss.backward()
            optimizer.step()
            with torch.no_grad():
                for layer in normed:
                    shorten(layer)
            loss_sum += loss.detach() * len(y)
            hits += (logits.detach().argmax(1) == y).sum()
        return loss_sum.item(), hits.item()

    rates = []
    for _ in range(args.epochs):
        began = time.perf_counter()
        epoch()
        rates.append(len(labels) / (time.perf_counter() - began))
    found = {"pictures_per_second": rates}
    if args.profile:
        with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
            epoch()
        times = {event.key: event.self_cpu_time_total for event in profile.key_averages()}
        products = ["mkldnn_convolution", "convolution_backward", "addmm", "mm", "bmm"]
        # oneDNN's convolutions stand under these names too.
        products += ["convolution_overrideable", "thnn_conv2d", "mkldnn_linear", "mkldnn_linear_backward"]
        found["share"] = sum(times.get(f"aten::{name}", 0) for name in products) / sum(times.values())
    print(json.dumps(found))


main()
