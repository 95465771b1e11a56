"""A transformer block that looks up values by keys in its context, in NumPy alone.

    python scripts/experiments/attention_app.py [--outlier X] [--train] [--weights FILE]

A sequence is 32 pairs (a key, a value), then 32 queries, each one of the keys; the block (four
heads of attention, a perceptron, both with residual paths) must name each query's value. One
channel of all activations is held at ``--outlier``, as channels in language models are far larger
than others; the weights that it meets are of the size of the others. It answers 8192 queries and
prints:

    accuracy: 0.9907
    attention error: 2.1e-03
    output error: 3.3e-03
    multiplications: 130023424

Errors are root mean squares relative to the rms value in float64 (NumPy's BLAS, weights and input
rounded to bf16 in any case), of what attention adds to its input, and of the scores less their
mean. Weights are trained once, in float32, and kept with the test and its float64 results in a file
(by default in the user's caches). ``--train`` trains anew.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path

import numpy as np

PAIRS, KEYS, VALUES = 32, 64, 32
WIDTH, HEADS, HIDDEN = 64, 4, 128
BATCH, RATE, BETAS, TESTS = 32, 2e-3, (0.9, 0.98), 256
LAYERS = {
    "query": (WIDTH, WIDTH),
    "key": (WIDTH, WIDTH),
    "value": (WIDTH, WIDTH),
    "mix": (WIDTH, WIDTH),
    "up": (WIDTH, HIDDEN),
    "down": (HIDDEN, WIDTH),
    "scores": (WIDTH, VALUES),
}
Arrays = dict[str, np.ndarray]


def default_weights(outlier: float) -> Path:
    """Where weights are kept when no file is named."""
    home = os.environ.get("HWGEN_CACHE") or os.environ.get("XDG_CACHE_HOME")
    folder = (Path(home) if home else Path.home() / ".cache") / "hwgen-attention"
    return folder / f"block-{WIDTH}-{HEADS}-{outlier:g}.npz"


def sequences(random: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Keys (count, pairs), values (count, pairs), and which pair each query asks for."""
    keys = np.stack([random.permutation(KEYS)[:PAIRS] for _ in range(count)])
    values = random.integers(VALUES, size=(count, PAIRS))
    return keys, values, random.integers(PAIRS, size=(count, PAIRS))


def embed(
    weights: Arrays, keys: np.ndarray, values: np.ndarray, asked: np.ndarray, outlier: float
) -> np.ndarray:
    """Activations (count, 2 * pairs, width): pairs, then queries."""
    pairs = weights["keys"][keys] + weights["values"][values]
    queries = weights["keys"][np.take_along_axis(keys, asked, axis=1)] + weights["role"]
    whole = np.concatenate([pairs, queries], axis=1)
    whole[:, :, 0] = outlier
    return whole


class Block:
    """The block's forward pass, and how many multiplications its products have had."""

    def __init__(self, weights: Arrays) -> None:
        self.weights = weights
        self.multiplications = 0

    def product(self, one: np.ndarray, other: np.ndarray) -> np.ndarray:
        """Multiply matrices, or stacks of them."""
        self.multiplications += one.size * other.shape[-1]
        return one @ other

    def layer(self, values: np.ndarray, name: str) -> np.ndarray:
        """Multiply the activations of all tokens by a matrix of weights."""
        weight = self.weights[name]
        flat = self.product(values.reshape(-1, len(weight)), weight)
        return flat.reshape(*values.shape[:-1], -1)

    def heads(self, values: np.ndarray) -> np.ndarray:
        """Cut (count, tokens, width) into (count, heads, tokens, width / heads)."""
        count, tokens, _ = values.shape
        cut = values.reshape(count, tokens, HEADS, -1).transpose(0, 2, 1, 3)
        return np.ascontiguousarray(cut)

    def forward(self, tokens: np.ndarray) -> Arrays:
        """All values on the way to the scores of the queries' values."""
        count = len(tokens)
        query, key, value = (
            self.heads(self.layer(tokens, name)) for name in ("query", "key", "value")
        )
        logits = self.product(query, np.ascontiguousarray(key.transpose(0, 1, 3, 2)))
        chance = softmax(logits / np.sqrt(logits.dtype.type(WIDTH // HEADS)))
        mixed = self.product(chance, value).transpose(0, 2, 1, 3).reshape(count, -1, WIDTH)
        attention = self.layer(mixed, "mix")
        middle = (tokens + attention)[:, PAIRS:]
        hidden = np.maximum(self.layer(middle, "up"), 0)
        last = middle + self.layer(hidden, "down")
        return {
            "query": query,
            "key": key,
            "value": value,
            "chance": chance,
            "mixed": mixed,
            "attention": attention,
            "middle": middle,
            "hidden": hidden,
            "last": last,
            "scores": self.layer(last, "scores"),
        }


def softmax(logits: np.ndarray) -> np.ndarray:
    """Probabilities along the last axis."""
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def gradients(block: Block, tokens: np.ndarray, answers: np.ndarray) -> Arrays:
    """Derivatives of the mean cross-entropy by the block's weights, and by its input."""
    at, found, weights = block.forward(tokens), {}, block.weights

    def back(name: str, values: np.ndarray, error: np.ndarray) -> np.ndarray:
        found[name] = values.reshape(-1, values.shape[-1]).T @ error.reshape(-1, error.shape[-1])
        return error @ weights[name].T

    error = softmax(at["scores"])
    np.put_along_axis(
        error, answers[..., None], np.take_along_axis(error, answers[..., None], 2) - 1, 2
    )
    error /= answers.size
    last = back("scores", at["last"], error)
    hidden = back("down", at["hidden"], last) * (at["hidden"] > 0)
    middle = last + back("up", at["middle"], hidden)
    whole = np.concatenate([np.zeros_like(middle), middle], axis=1)
    mixed = block.heads(back("mix", at["mixed"], whole))
    chance = at["chance"]
    by_chance = mixed @ at["value"].transpose(0, 1, 3, 2)
    logits = chance * (by_chance - (by_chance * chance).sum(axis=-1, keepdims=True))
    logits /= np.float32(np.sqrt(WIDTH // HEADS))
    parts = {
        "query": logits @ at["key"],
        "key": logits.transpose(0, 1, 3, 2) @ at["query"],
        "value": chance.transpose(0, 1, 3, 2) @ mixed,
    }
    for name, part in parts.items():
        flat = part.transpose(0, 2, 1, 3).reshape(tokens.shape)
        whole = whole + back(name, tokens, flat)
    return found | {"tokens": whole}


def train(outlier: float, steps: int) -> Arrays:
    """Train from fixed random weights with Adam; return them, rounded to bf16."""
    random = np.random.default_rng(1)
    weights = {
        name: (random.normal(size=shape) / np.sqrt(shape[0])).astype(np.float32)
        for name, shape in LAYERS.items()
    }
    for name, count in (("keys", KEYS), ("values", VALUES), ("role", 1)):
        weights[name] = random.normal(size=(count, WIDTH)).astype(np.float32)
    moments = {
        name: (np.zeros_like(value), np.zeros_like(value)) for name, value in weights.items()
    }
    for step in range(1, steps + 1):
        keys, values, asked = sequences(random, BATCH)
        tokens = embed(weights, keys, values, asked, outlier)
        answers = np.take_along_axis(values, asked, axis=1)
        slopes = gradients(Block(weights), tokens, answers)
        slopes |= embedding_gradients(weights, slopes.pop("tokens"), keys, values, asked)
        rate = RATE * min(1, step / 100, 3 * (1 - step / (steps + 1)))
        for name, slope in slopes.items():
            held = abs(outlier) if name in LAYERS else 1.0
            adam(weights[name], moments[name], slope, rate, step, held)
    return {name: to_bf16(value) for name, value in weights.items()}


def embedding_gradients(
    weights: Arrays, tokens: np.ndarray, keys: np.ndarray, values: np.ndarray, asked: np.ndarray
) -> Arrays:
    """Derivatives by the embeddings; the channel that is held gets none."""
    tokens[:, :, 0] = 0
    found = {name: np.zeros_like(weights[name]) for name in ("keys", "values", "role")}
    pairs, queries = tokens[:, :PAIRS], tokens[:, PAIRS:]
    np.add.at(found["keys"], keys, pairs)
    np.add.at(found["values"], values, pairs)
    np.add.at(found["keys"], np.take_along_axis(keys, asked, axis=1), queries)
    found["role"][0] = queries.sum(axis=(0, 1))
    return found


def adam(
    weight: np.ndarray,
    moments: np.ndarray,
    slope: np.ndarray,
    rate: float,
    step: int,
    held: float,
) -> None:
    """Take a step in place; weights that the large channel meets take smaller ones."""
    for moment, beta, value in zip(moments, BETAS, (slope, slope * slope), strict=True):
        moment += np.float32(1 - beta) * (value - moment)
    first, second = (
        moment / np.float32(1 - beta**step) for moment, beta in zip(moments, BETAS, strict=True)
    )
    change = np.float32(rate) * first / (np.sqrt(second) + np.float32(1e-8))
    change[0] /= np.float32(max(1.0, held))
    weight -= change


def to_bf16(values: np.ndarray) -> np.ndarray:
    """Round to bfloat16, ties to even."""
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32)
    bits = (bits + 0x7FFF + ((bits >> 16) & 1)) & np.uint32(0xFFFF0000)
    return bits.view(np.float32)


def save(weights: Arrays, outlier: float, path: Path) -> None:
    """Write weights and test, with what float64 makes of it; aside first."""
    keys, values, asked = sequences(np.random.default_rng(2), TESTS)
    tokens = to_bf16(embed(weights, keys, values, asked, outlier))
    wide = {name: value.astype(np.float64) for name, value in weights.items()}
    at = Block(wide).forward(tokens.astype(np.float64))
    path.parent.mkdir(parents=True, exist_ok=True)
    test = {
        "test_tokens": tokens,
        "test_answers": np.take_along_axis(values, asked, axis=1),
        "test_attention": at["attention"],
        "test_scores": at["scores"],
    }
    with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".npz", delete=False) as aside:
        np.savez(aside, **weights, **test)
    Path(aside.name).replace(path)


def relative_error(found: np.ndarray, true: np.ndarray) -> float:
    """Root mean square of the difference, relative to that of the true values."""
    return float(np.sqrt(((found - true) ** 2).mean() / (true**2).mean()))


def main() -> None:
    """Answer the test's queries and print how well."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--outlier", type=float, default=64.0)
    parser.add_argument("--train", action="store_true", help="train anew")
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--weights", type=Path)
    options = parser.parse_args()
    path = options.weights or default_weights(options.outlier)
    if options.train or not path.exists():
        save(train(options.outlier, options.steps), options.outlier, path)
    with np.load(path) as file:
        data = {name: file[name] for name in file.files}
    np.seterr(all="ignore")  # NaN is no answer, and is seen below
    block = Block({name: value for name, value in data.items() if not name.startswith("test_")})
    at = block.forward(data["test_tokens"])
    answers = np.where(np.isnan(at["scores"]).any(axis=-1), -1, at["scores"].argmax(axis=-1))
    centred, true = (
        scores - scores.mean(axis=-1, keepdims=True)
        for scores in (at["scores"], data["test_scores"])
    )
    print(f"accuracy: {(answers == data['test_answers']).mean():.4f}")
    print(f"attention error: {relative_error(at['attention'], data['test_attention']):.3e}")
    print(f"output error: {relative_error(centred, true):.3e}")
    print(f"multiplications: {block.multiplications}")


if __name__ == "__main__":
    main()
