"""A small convolutional network that reads handwritten digits, in NumPy alone.

    python scripts/experiments/digits_app.py [--train] [--epochs N] [--weights FILE]

It classifies the 360 test images of scikit-learn's 8 x 8 digits and prints, for hwgen tailor:

    accuracy: 0.9778

Weights are trained once, in float64, and kept in a file with the test images (by default in the
user's caches), so that a second start takes a fraction of a second: run it once before it is
tailored to. ``--train`` trains anew. Convolutions are unfolded into matrix products, so all
arithmetic worth mention is GEMM.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path

import numpy as np

SIDE, CLASSES, TESTS = 8, 10, 360
KERNEL, CHANNELS, HIDDEN = 3, 12, 48
POOLED = 3  # side after 3 x 3 convolution (6 x 6) and 2 x 2 pooling
BATCH, RATE = 64, 0.1
KINDS = ("kernel", "kernel_bias", "hidden", "hidden_bias", "last", "last_bias")


def default_weights() -> Path:
    """Where weights are kept when no file is named."""
    home = os.environ.get("HWGEN_CACHE") or os.environ.get("XDG_CACHE_HOME")
    folder = Path(home) if home else Path.home() / ".cache"
    return folder / "hwgen-digits" / f"weights-{KERNEL}-{CHANNELS}-{HIDDEN}.npz"


def images() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Training images and labels, then those of the test, in a fixed order."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    order = np.random.default_rng(7).permutation(len(digits.target))
    pixels = (digits.images[order] / 16.0).astype(np.float32)
    labels = digits.target[order]
    return pixels[TESTS:], labels[TESTS:], pixels[:TESTS], labels[:TESTS]


def unfold(pixels: np.ndarray) -> np.ndarray:
    """Patches of the kernel's size: (n, 8, 8) to (n * 36, 9)."""
    windows = np.lib.stride_tricks.sliding_window_view(pixels, (KERNEL, KERNEL), axis=(1, 2))
    return np.ascontiguousarray(windows.reshape(-1, KERNEL * KERNEL))


def pool(maps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Largest of each 2 x 2 square, flattened, and which of the four it was."""
    count = len(maps)
    squares = maps.reshape(count, POOLED, 2, POOLED, 2, CHANNELS).transpose(0, 1, 3, 5, 2, 4)
    squares = squares.reshape(count, POOLED * POOLED * CHANNELS, 4)
    return squares.max(axis=2), squares.argmax(axis=2)


def forward(weights: dict[str, np.ndarray], pixels: np.ndarray) -> dict[str, np.ndarray]:
    """All layers' values, by name."""
    patches = unfold(pixels)
    maps = np.maximum(patches @ weights["kernel"] + weights["kernel_bias"], 0)
    features, places = pool(maps.reshape(len(pixels), SIDE - 2, SIDE - 2, CHANNELS))
    hidden = np.maximum(features @ weights["hidden"] + weights["hidden_bias"], 0)
    scores = hidden @ weights["last"] + weights["last_bias"]
    return {
        "patches": patches,
        "features": features,
        "places": places,
        "hidden": hidden,
        "scores": scores,
    }


def gradients(
    weights: dict[str, np.ndarray], pixels: np.ndarray, labels: np.ndarray
) -> dict[str, np.ndarray]:
    """Derivatives of the mean cross-entropy by each weight."""
    at = forward(weights, pixels)
    count = len(labels)
    shifted = np.exp(at["scores"] - at["scores"].max(axis=1, keepdims=True))
    error = shifted / shifted.sum(axis=1, keepdims=True)
    error[np.arange(count), labels] -= 1
    error /= count
    found = {"last": at["hidden"].T @ error, "last_bias": error.sum(axis=0)}
    error = (error @ weights["last"].T) * (at["hidden"] > 0)
    found |= {"hidden": at["features"].T @ error, "hidden_bias": error.sum(axis=0)}
    error = (error @ weights["hidden"].T) * (at["features"] > 0)
    squares = np.zeros((*error.shape, 4))
    np.put_along_axis(squares, at["places"][..., None], error[..., None], axis=2)
    squares = squares.reshape(count, POOLED, POOLED, CHANNELS, 2, 2)
    maps = squares.transpose(0, 1, 4, 2, 5, 3).reshape(-1, CHANNELS)
    return found | {"kernel": at["patches"].T @ maps, "kernel_bias": maps.sum(axis=0)}


def train(epochs: int) -> dict[str, np.ndarray]:
    """Train with momentum from fixed random weights; return them and what to test with."""
    pixels, labels, _, _ = images()
    pixels = pixels.astype(np.float64)
    random = np.random.default_rng(1)
    sizes = (KERNEL * KERNEL, CHANNELS), (POOLED * POOLED * CHANNELS, HIDDEN), (HIDDEN, CLASSES)
    weights = {}
    for name, (inputs, outputs) in zip(KINDS[::2], sizes, strict=True):
        weights[name] = random.normal(size=(inputs, outputs)) * np.sqrt(2 / inputs)
        weights[f"{name}_bias"] = np.zeros(outputs)
    speed = {name: np.zeros_like(value) for name, value in weights.items()}
    for _ in range(epochs):
        order = random.permutation(len(labels))
        for start in range(0, len(order), BATCH):
            chosen = order[start : start + BATCH]
            for name, slope in gradients(weights, pixels[chosen], labels[chosen]).items():
                speed[name] = 0.9 * speed[name] - RATE * slope
                weights[name] += speed[name]
    _, _, pixels, labels = images()
    found = {name: value.astype(np.float32) for name, value in weights.items()}
    return found | {"pixels": pixels, "labels": labels}


def save(weights: dict[str, np.ndarray], path: Path) -> None:
    """Write what was trained, aside first: several programs may start at once."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".npz", delete=False) as aside:
        np.savez(aside, **weights)
    Path(aside.name).replace(path)


def load(path: Path) -> dict[str, np.ndarray]:
    """Read the weights, and the test's images and labels."""
    with np.load(path) as file:
        return {name: file[name] for name in (*KINDS, "pixels", "labels")}


def main() -> None:
    """Classify the test images and print the accuracy."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--train", action="store_true", help="train anew")
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--weights", type=Path, default=default_weights())
    options = parser.parse_args()
    if options.train or not options.weights.exists():
        save(train(options.epochs), options.weights)
    data = load(options.weights)
    scores = forward(data, data["pixels"])["scores"]
    # NaN is no answer, where argmax would take it for the largest.
    answers = np.where(np.isnan(scores).any(axis=1), -1, scores.argmax(axis=1))
    accuracy = (answers == data["labels"]).mean()
    print(f"accuracy: {accuracy:.4f}")


if __name__ == "__main__":
    main()
