#!/usr/bin/env python3
"""A user's program: it trains and evaluates image classifiers in PyTorch, and knows no hwgen.

    python inference_app.py train    --data digits.npz --weights weights.pt
    python inference_app.py evaluate --data digits.npz --weights weights.pt [--models mlp,vgg]
    python inference_app.py folder   --folder imagenet --models resnet18,resnet50 [--images 500]

The last two print one line of JSON: for each model its answers (-1 where a score is NaN), the true
labels, and how many multiplications its layers had. Digits are answered by the network that has not
seen them in training: of five, each was trained without a fifth of the images. A folder holds what
is public, where a person has it: torchvision's weights by their names (``resnet18-*.pth`` or
``resnet18.pth``), and ``val/<class>/*.JPEG`` or CIFAR's Python batches.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable
from pathlib import Path

import inference_data as data
import numpy as np
import torch
from inference_models import MODELS, count_multiplications
from torch import Tensor, nn

EPOCHS, BATCH, RATE = 16, 64, 3e-3
SHIFT = 1  # pixels, that images are moved by in training, at the most
EVALUATED_AT_ONCE = 256
FOLDER_BATCH = 16


def main() -> None:
    """Do what the command line says."""
    options = parsed()
    torch.set_num_threads(1)
    try:
        if options.verb == "train":
            train_all(options)
        else:
            found = evaluate_digits(options) if options.verb == "evaluate" else folder(options)
            print(json.dumps({"torch": torch.__version__, "models": found}))
    except data.DataError as error:
        sys.exit(f"inference_app: error: {error}")


def parsed() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("verb", choices=("train", "evaluate", "folder"))
    parser.add_argument("--data", type=Path, help="the digits' file")
    parser.add_argument("--weights", type=Path, help="of the digits' networks")
    parser.add_argument("--folder", type=Path, help="with weights and pictures")
    parser.add_argument("--models", help="names, with commas")
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--images", type=int, default=1 << 62, help="so many of all, at the most")
    options = parser.parse_args()
    needed = ("folder", "models") if options.verb == "folder" else ("data", "weights")
    for name in needed:
        if getattr(options, name) is None:
            parser.error(f"{options.verb} needs --{name}")
    return options


def names(options: argparse.Namespace) -> list[str]:
    """Return the digits' models that are asked for."""
    chosen = options.models.split(",") if options.models else list(MODELS)
    for name in chosen:
        if name not in MODELS:
            raise data.DataError(f"unknown model {name!r}; known are {', '.join(MODELS)}")
    return chosen


def train_all(options: argparse.Namespace) -> None:
    """Train every model on every fold's rest, and write their weights."""
    pixels, labels = map(torch.from_numpy, data.digits(options.data))
    held_out = data.folds(labels.numpy())
    states = {}
    for name in names(options):
        for fold in range(data.FOLDS):
            chosen = torch.from_numpy(np.flatnonzero(held_out != fold))
            torch.manual_seed(100 * fold + 1)
            model = MODELS[name]()
            train(model, pixels[chosen], labels[chosen], options.epochs)
            states[f"{name}.{fold}"] = model.state_dict()
    torch.save(states, options.weights)


def train(model: nn.Module, pixels: Tensor, labels: Tensor, epochs: int) -> None:
    """Train by Adam with a rate that rises and falls."""
    steps = epochs * -(-len(labels) // BATCH)
    optimiser = torch.optim.AdamW(model.parameters(), weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, max_lr=RATE, total_steps=steps)
    model.train()
    for _ in range(epochs):
        for chosen in torch.randperm(len(labels)).split(BATCH):
            scores = model(shifted(pixels[chosen]))
            loss = nn.functional.cross_entropy(scores, labels[chosen])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()


def shifted(pixels: Tensor) -> Tensor:
    """Move a batch by up to a pixel, the background coming in at the borders."""
    background = float(pixels.min())
    padded = nn.functional.pad(pixels, [SHIFT] * 4, value=background)
    down, right = torch.randint(0, 2 * SHIFT + 1, (2,)).tolist()
    return padded[..., down : down + pixels.shape[2], right : right + pixels.shape[3]]


@torch.no_grad()
def answers(model: nn.Module, batches: Iterable[Tensor]) -> tuple[list[int], int]:
    """Return the class of each image, -1 where a score is NaN, and the multiplications."""
    model.eval()
    count = count_multiplications(model)
    found: list[int] = []
    for batch in batches:
        scores = model(batch)
        # NaN is no answer, where argmax would take it for the largest.
        chosen = torch.where(scores.isnan().any(dim=1), -1, scores.argmax(dim=1))
        found += chosen.tolist()
    return found, count.multiplications


def evaluate_digits(options: argparse.Namespace) -> dict[str, dict]:
    """Answer every digit by the network that has not seen it."""
    pixels, labels = map(torch.from_numpy, data.digits(options.data))
    held_out = data.folds(labels.numpy())
    states = torch.load(options.weights, weights_only=True)
    results = {}
    for name in names(options):
        found = np.empty(len(labels), dtype=np.int64)
        shown = np.zeros(len(labels), dtype=bool)
        macs = 0
        for fold in range(data.FOLDS):
            chosen = np.flatnonzero(held_out == fold)[: max(1, options.images // data.FOLDS)]
            model = MODELS[name]()
            model.load_state_dict(states[f"{name}.{fold}"])
            batches = pixels[torch.from_numpy(chosen)].split(EVALUATED_AT_ONCE)
            found[chosen], more = answers(model, batches)
            shown[chosen] = True
            macs += more
        results[name] = {
            "macs": macs,
            "answers": found[shown].tolist(),
            "labels": labels.numpy()[shown].tolist(),
        }
    return results


def folder(options: argparse.Namespace) -> dict[str, dict]:
    """Evaluate torchvision's models on the pictures of a folder."""
    pictures = data.open_pictures(options.folder).sample(options.images)
    results = {}
    for name in options.models.split(","):
        model = torchvision_model(name, options.folder)
        batches = map(torch.from_numpy, pictures.batches(FOLDER_BATCH))
        found, macs = answers(model, batches)
        results[name] = {"macs": macs, "answers": found, "labels": pictures.labels}
    return results


def torchvision_model(name: str, place: Path) -> nn.Module:
    """Return a model of torchvision with the weights that a folder has for it."""
    try:
        from torchvision import models
    except ImportError:
        raise data.DataError(
            "torchvision, which has the models, is not installed for this Python;"
            " pip install torchvision, or apt-get install python3-torchvision"
        ) from None
    if not callable(make := getattr(models, name, None)) or not name.islower():
        raise data.DataError(f"torchvision has no model {name!r}; one is resnet18")
    files = sorted([*place.glob(f"{name}.pth"), *place.glob(f"{name}-*.pth")])
    if not files:
        raise data.DataError(f"{place} has no weights of {name}: {name}-*.pth or {name}.pth")
    state = torch.load(files[0], map_location="cpu", weights_only=True)
    state = renamed(state) if name.startswith("densenet") else state
    last = [value for key, value in state.items() if key.endswith("weight")][-1]
    model = make(num_classes=len(last))
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        lines = str(error).splitlines()
        raise data.DataError(f"{files[0]} does not fit {name}: {' '.join(lines[:2])}") from None
    return model


def renamed(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return DenseNet weights by today's names: published files say norm.1 for norm1."""
    found = {}
    for key, value in state.items():
        for word in ("norm", "relu", "conv"):
            for number in "12":
                key = key.replace(f".{word}.{number}.", f".{word}{number}.")
        found[key] = value
    return found


if __name__ == "__main__":
    main()
