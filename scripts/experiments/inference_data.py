"""What the classifiers are shown: scikit-learn's digits, or a folder with ImageNet or CIFAR.

Only NumPy is needed, and Pillow where pictures are read.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["DataError", "Pictures", "digits", "folds", "open_pictures", "save_digits"]

FOLDS, SEED = 5, 7
_SUFFIXES = {".jpeg", ".jpg", ".png"}
# Means and standard deviations of the channels, of the training sets.
_IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_CIFAR = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)
_SHORT_SIDE, _CROP = 256, 224
# A CIFAR batch: the file, and what its labels are called.
_BATCHES = (("test_batch", b"labels"), ("test", b"fine_labels"))
_BATCH_FOLDERS = ("", "cifar-10-batches-py", "cifar-100-python")
_PICKLED = {
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    ("_codecs", "encode"),
}


class DataError(Exception):
    """Data are missing or are not what they should be."""


def save_digits(path: Path) -> None:
    """Write scikit-learn's 1797 digits to a file, for a Python without scikit-learn.

    Raises
    ------
    DataError
        If scikit-learn is not installed.
    """
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        raise DataError(
            "scikit-learn, which holds the digits, is not installed; pip install 'hwgen[demo]'"
        ) from None
    data = load_digits()
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, images=data.images.astype(np.uint8), labels=data.target.astype(np.int64))


def digits(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return (n, 1, 8, 8) float32 pixels, of mean 0 and deviation 1 overall, and (n,) labels."""
    with np.load(path) as file:
        pixels, labels = file["images"].astype(np.float32), file["labels"]
    pixels = (pixels - pixels.mean()) / pixels.std()
    return pixels[:, None].astype(np.float32), labels


def folds(labels: np.ndarray) -> np.ndarray:
    """Return which fold holds each image out: 0 to 4, each class spread evenly, shuffled."""
    random = np.random.default_rng(SEED)
    found = np.empty(len(labels), dtype=np.int64)
    start = 0
    for label in np.unique(labels):
        members = random.permutation(np.flatnonzero(labels == label))
        found[members] = (start + np.arange(len(members))) % FOLDS
        start += len(members)
    return found


class Pictures:
    """Pictures of a folder, in batches.

    Parameters
    ----------
    kind : str
        "imagenet" or "cifar".
    items : sequence
        Paths of pictures, or (3, 32, 32) arrays of bytes.
    labels : sequence of int
    """

    def __init__(self, kind: str, items: Any, labels: list[int]) -> None:
        self.kind, self._items, self.labels = kind, items, labels

    def __len__(self) -> int:
        return len(self.labels)

    def sample(self, count: int) -> Pictures:
        """Return ``count`` of them, evenly spread over the whole, which is ordered by class."""
        if count >= len(self):
            return self
        chosen = [index * len(self) // count for index in range(count)]
        items, labels = [self._items[i] for i in chosen], [self.labels[i] for i in chosen]
        return Pictures(self.kind, items, labels)

    def batches(self, size: int) -> Iterator[np.ndarray]:
        """Yield (n, 3, h, w) float32, normalised as torchvision's training does it."""
        mean, deviation = _IMAGENET if self.kind == "imagenet" else _CIFAR
        scale = np.array([mean, deviation], dtype=np.float32)[:, None, :, None, None]
        for start in range(0, len(self), size):
            items = self._items[start : start + size]
            pixels = np.stack([_read(x) if isinstance(x, Path) else x for x in items])
            yield ((pixels.astype(np.float32) / 255 - scale[0]) / scale[1]).astype(np.float32)


def open_pictures(folder: Path) -> Pictures:
    """Find the pictures in a folder: ``val/<class>/*.JPEG``, or CIFAR's Python batches.

    Classes of the first are numbered in the order of their names, as torchvision does.

    Raises
    ------
    DataError
        If there is neither.
    """
    for inner in _BATCH_FOLDERS:
        for name, labels in _BATCHES:
            if (path := folder / inner / name).is_file():
                return _cifar(path, labels)
    classes = sorted(path for path in folder.glob("val/*") if path.is_dir())
    items = [
        (path, label)
        for label, place in enumerate(classes)
        for path in sorted(place.iterdir())
        if path.suffix.lower() in _SUFFIXES
    ]
    if not items:
        raise DataError(
            f"{folder} has no pictures; it needs val/<class>/*.JPEG as ImageNet's validation set"
            " has them, or cifar-10-batches-py/test_batch, or cifar-100-python/test"
        )
    return Pictures("imagenet", [path for path, _ in items], [label for _, label in items])


def _cifar(path: Path, labels: bytes) -> Pictures:
    try:
        batch = _Arrays(io.BytesIO(path.read_bytes()), encoding="bytes").load()
        pixels = np.asarray(batch[b"data"], dtype=np.uint8).reshape(-1, 3, 32, 32)
        found = [int(label) for label in batch[labels]]
    except (pickle.UnpicklingError, KeyError, ValueError, TypeError, EOFError) as error:
        raise DataError(f"{path} is no batch of CIFAR's Python version: {error}") from None
    if len(found) != len(pixels):
        raise DataError(f"{path} has {len(pixels)} pictures and {len(found)} labels")
    return Pictures("cifar", pixels, found)


class _Arrays(pickle.Unpickler):
    """Reads arrays and plain values, and runs nothing else that a file may hold."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _PICKLED:
            raise pickle.UnpicklingError(f"it holds {module}.{name}")
        return super().find_class(module, name)


def _read(path: Path) -> np.ndarray:
    """Return a picture's middle, (3, 224, 224) bytes, the shorter side made 256 first."""
    try:
        from PIL import Image
    except ImportError:
        raise DataError(
            "Pillow, which reads pictures, is not installed; pip install pillow"
        ) from None
    with Image.open(path) as file:
        picture = file.convert("RGB")
    scale = _SHORT_SIDE / min(picture.size)
    width, height = (max(_SHORT_SIDE, int(side * scale)) for side in picture.size)
    picture = picture.resize((width, height), Image.Resampling.BILINEAR)
    left, top = round((width - _CROP) / 2), round((height - _CROP) / 2)
    picture = picture.crop((left, top, left + _CROP, top + _CROP))
    return np.asarray(picture).transpose(2, 0, 1)
