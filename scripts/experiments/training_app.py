"""Train a small network on handwritten digits, in NumPy alone, and print how it does.

    python scripts/experiments/training_app.py [--seeds N] [--epochs N] [--loss-scale L] [--dynamic]

A perceptron with two hidden layers learns scikit-learn's 8 x 8 digits with momentum; 360 images are
kept for the test. Every product of matrices, forward and backward, is a BLAS call in float32.
Weights and their updates are float32 too, as in training with 8-bit products: gradients are
multiplied by ``--loss-scale`` on the way back and divided by it before the update. With
``--dynamic`` the scale is halved, and the step left out, where a gradient is not finite, and
doubled after 100 good steps, as frameworks do. For each seed it prints:

    seed 0: accuracy 0.9750, loss 0.1031, skipped 0, scale 256

and at the end ``multiplications: N``, those of all products. A test image whose scores are not
finite counts as wrong. The images are read once and kept in a file (by default in the user's
caches).
"""

from __future__ import annotations

import argparse
import os
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

TESTS, CLASSES = 360, 10
SIZES = (64, 96, 64, CLASSES)
BATCH, RATE, MOMENTUM = 64, 0.1, 0.9
PATIENCE = 100  # good steps before a dynamic scale is doubled
SCALES = 1.0, 2.0**24  # of a dynamic scale


def default_file() -> Path:
    """Where the images are kept when no file is named."""
    home = os.environ.get("HWGEN_CACHE") or os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "hwgen-digits" / "images.npz"


def images(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Images and labels in a fixed order, those of the test last."""
    if not path.exists():
        from sklearn.datasets import load_digits

        digits = load_digits()
        order = np.random.default_rng(7).permutation(len(digits.target))
        pixels = (digits.data[order] / 16.0).astype(np.float32)
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".npz", delete=False) as aside:
            np.savez(aside, pixels=pixels, labels=digits.target[order])
        Path(aside.name).replace(path)
    with np.load(path) as file:
        return file["pixels"], file["labels"]


@dataclass(slots=True)
class Network:
    """Weights, their momentum, and how many multiplications the products have had."""

    weights: list[np.ndarray]
    biases: list[np.ndarray]
    speeds: list[np.ndarray] = field(default_factory=list)
    multiplications: int = 0

    @classmethod
    def random(cls, random: np.random.Generator) -> Network:
        """Return a network that has learned nothing."""
        pairs = list(zip(SIZES[:-1], SIZES[1:], strict=True))
        weights = [
            (random.normal(size=pair) * np.sqrt(2 / pair[0])).astype(np.float32) for pair in pairs
        ]
        biases = [np.zeros(size, np.float32) for size in SIZES[1:]]
        return cls(weights, biases, [np.zeros_like(value) for value in weights + biases])

    def product(self, one: np.ndarray, other: np.ndarray) -> np.ndarray:
        """Multiply two matrices."""
        self.multiplications += one.shape[0] * one.shape[1] * other.shape[1]
        return one @ other

    def forward(self, pixels: np.ndarray) -> list[np.ndarray]:
        """The input and every layer's values, scores last."""
        values = [pixels]
        for place, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            value = self.product(values[-1], weight) + bias
            values.append(np.maximum(value, 0) if place + 2 < len(SIZES) else value)
        return values

    def gradients(self, pixels: np.ndarray, labels: np.ndarray, scale: float) -> list[np.ndarray]:
        """Derivatives of the mean loss by weights, then biases, times ``scale``."""
        values = self.forward(pixels)
        error = softmax(values[-1])
        error[np.arange(len(labels)), labels] -= 1
        error *= np.float32(scale / len(labels))
        by_weight, by_bias = [], []
        for place in reversed(range(len(self.weights))):
            # The error first: where the two factors' formats differ, it has that of A.
            by_weight.append(self.product(error.T, values[place]).T)
            by_bias.append(error.sum(axis=0))
            if place:
                error = self.product(error, self.weights[place].T) * (values[place] > 0)
        return by_weight[::-1] + by_bias[::-1]

    def update(self, gradients: list[np.ndarray], scale: float) -> None:
        """Take a step, in place."""
        for value, speed, slope in zip(
            self.weights + self.biases, self.speeds, gradients, strict=True
        ):
            speed *= np.float32(MOMENTUM)
            speed -= np.float32(RATE / scale) * slope
            value += speed


def softmax(scores: np.ndarray) -> np.ndarray:
    """Probabilities of classes."""
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def train(
    pixels: np.ndarray, labels: np.ndarray, options: argparse.Namespace, seed: int
) -> tuple[Network, int, float]:
    """Return a trained network, the steps that were left out, and the last scale."""
    random = np.random.default_rng(seed)
    network = Network.random(random)
    scale, good, skipped = options.loss_scale, 0, 0
    for _ in range(options.epochs):
        order = random.permutation(len(labels))
        for start in range(0, len(order) - BATCH + 1, BATCH):
            chosen = order[start : start + BATCH]
            gradients = network.gradients(pixels[chosen], labels[chosen], scale)
            if options.dynamic and not all(np.isfinite(slope).all() for slope in gradients):
                scale, good, skipped = max(scale / 2, SCALES[0]), 0, skipped + 1
                continue
            network.update(gradients, scale)
            good += 1
            if options.dynamic and good % PATIENCE == 0:
                scale = min(scale * 2, SCALES[1])
    return network, skipped, scale


def main() -> None:
    """Train once for each seed, and print how each network does."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--loss-scale", type=float, default=256.0)
    parser.add_argument("--dynamic", action="store_true")
    parser.add_argument("--images", type=Path, default=default_file())
    options = parser.parse_args()
    np.seterr(all="ignore")  # NaN and infinity are seen where they matter
    pixels, labels = images(options.images)
    multiplications = 0
    for seed in range(options.seeds):
        network, skipped, scale = train(pixels[:-TESTS], labels[:-TESTS], options, seed)
        scores = network.forward(pixels[-TESTS:])[-1]
        right = (scores.argmax(axis=1) == labels[-TESTS:]) & np.isfinite(scores).all(axis=1)
        chance = softmax(scores)[np.arange(TESTS), labels[-TESTS:]]
        loss = float(-np.log(np.maximum(chance, 1e-30)).mean())
        print(
            f"seed {seed}: accuracy {right.mean():.4f}, loss {loss:.4f},"
            f" skipped {skipped}, scale {scale:g}",
            flush=True,
        )
        multiplications += network.multiplications
    print(f"multiplications: {multiplications}")


if __name__ == "__main__":
    main()
