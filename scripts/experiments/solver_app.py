"""Solvers of linear systems and of least squares, in NumPy alone, as a user writes them.

    python scripts/experiments/solver_app.py cg --conditions 1e2,1e4 [--dtype float32] [--scale]

Methods: ``cg`` conjugate gradients; ``refine`` Cholesky's decomposition and iterative refinement;
``normal`` least squares by the normal equations, in float64 after the products; ``qr`` least
squares by Householder's reflections. For each condition and seed it prints a line:

    condition 1e+04 seed 0: iterations 85, residual 1.2e-07, error 3.1e-04

``residual`` is |b - A x| / |b| (of least squares |A'(b - A x)| / (|A| |b|)), ``error``
|x - x*| / |x*|, both with sums in NumPy's long doubles. Matrices have geometrically spaced
singular values from 1 down, and elements that the dtype holds; those of least squares are float32
in any case. Problems and their solutions x* are made once and kept in a file (by default in the
user's caches). All sums of products but the two figures' are BLAS calls, and those of the tiny
triangular systems of ``normal``.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path

import numpy as np

SIZE, OBSERVATIONS, UNKNOWNS = 128, 400, 12
MOST_ITERATIONS = 20  # of conjugate gradients, times the size
MOST_REFINEMENTS = 30
TOLERANCE = {"float32": 1e-6, "float64": 1e-12}
METHODS = ("cg", "refine", "normal", "qr")


def default_folder() -> Path:
    """Where problems are kept when no folder is named."""
    home = os.environ.get("HWGEN_CACHE") or os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "hwgen-solver"


def orthogonal(random: np.random.Generator, rows: int, cols: int) -> np.ndarray:
    """Random orthonormal columns."""
    return np.linalg.qr(random.normal(size=(rows, cols)))[0]


def system(condition: float, dtype: str, seed: int) -> dict[str, np.ndarray]:
    """A symmetric positive definite matrix, a right side, and the solution to 18 digits or so."""
    random = np.random.default_rng(seed)
    basis = orthogonal(random, SIZE, SIZE)
    matrix = (basis * np.geomspace(1, 1 / condition, SIZE)) @ basis.T
    matrix = ((matrix + matrix.T) / 2).astype(dtype)
    right = (matrix.astype(np.float64) @ random.normal(size=SIZE)).astype(dtype)
    wide, solution = matrix.astype(np.float64), np.zeros(SIZE, np.longdouble)
    for _ in range(8):  # each adds the digits that float64 has beyond the condition's
        rest = right - exact_product(matrix, solution)
        solution += np.linalg.solve(wide, rest.astype(np.float64))
    return {"matrix": matrix, "right": right, "solution": solution.astype(np.float64)}


def least_squares(condition: float, seed: int) -> dict[str, np.ndarray]:
    """Observations in float32 with noise, and their least-squares solution."""
    random = np.random.default_rng(seed)
    left, right = orthogonal(random, OBSERVATIONS, UNKNOWNS), orthogonal(random, UNKNOWNS, UNKNOWNS)
    matrix = ((left * np.geomspace(20, 20 / condition, UNKNOWNS)) @ right.T).astype(np.float32)
    wide = matrix.astype(np.float64)
    observed = (wide @ random.normal(size=UNKNOWNS)).astype(np.float32)
    observed += (1e-3 * random.normal(size=OBSERVATIONS)).astype(np.float32)
    # The augmented system of Bjorck, refined: r + A x = b, A' r = 0.
    upper, lower = np.zeros((UNKNOWNS, UNKNOWNS)), np.eye(OBSERVATIONS)
    whole = np.block([[lower, wide], [wide.T, upper]])
    sought = np.zeros(OBSERVATIONS + UNKNOWNS, np.longdouble)
    given = np.concatenate([observed, np.zeros(UNKNOWNS)]).astype(np.longdouble)
    for _ in range(8):
        rest = given - exact_product(whole, sought)
        sought += np.linalg.solve(whole, rest.astype(np.float64))
    solution = sought[OBSERVATIONS:].astype(np.float64)
    return {"matrix": matrix, "right": observed, "solution": solution}


def exact_product(matrix: np.ndarray, vector: np.ndarray) -> np.ndarray:
    """A x in long doubles, without BLAS."""
    return (matrix.astype(np.longdouble) * vector.astype(np.longdouble)).sum(axis=1)


def problem(
    folder: Path, method: str, condition: float, dtype: str, seed: int
) -> dict[str, np.ndarray]:
    """Read a problem, or make it and keep it: aside first, as several programs may start."""
    square = method in ("cg", "refine")
    kind = f"{dtype}-{SIZE}" if square else f"lsq-{OBSERVATIONS}-{UNKNOWNS}"
    path = folder / f"{kind}-{condition:.0e}-{seed}.npz"
    if not path.exists():
        made = system(condition, dtype, seed) if square else least_squares(condition, seed)
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder, suffix=".npz", delete=False) as aside:
            np.savez(aside, **made)
        Path(aside.name).replace(path)
    with np.load(path) as file:
        return {name: file[name] for name in ("matrix", "right", "solution")}


def exponent(vector: np.ndarray) -> int:
    """The power of two just above the largest element; 0 for zeros."""
    return int(np.frexp(np.abs(vector).max())[1])


def times(matrix: np.ndarray, vector: np.ndarray, *, scale: bool) -> np.ndarray:
    """A x, if asked for with x brought to about 1 meanwhile."""
    if not scale:
        return matrix @ vector
    shift = exponent(vector)
    return np.ldexp(matrix @ np.ldexp(vector, -shift), shift)


def dot(one: np.ndarray, other: np.ndarray, *, scale: bool) -> np.floating:
    """The product of two vectors, alike; float64, whose range holds any float32 squared."""
    if not scale:
        return one @ other
    shifts = exponent(one), exponent(other)
    product = np.ldexp(one, -shifts[0]) @ np.ldexp(other, -shifts[1])
    return np.ldexp(np.float64(product), sum(shifts))


def conjugate_gradients(
    matrix: np.ndarray, right: np.ndarray, *, scale: bool
) -> tuple[np.ndarray, int]:
    """Hestenes and Stiefel, until the recursive residual is small, or nothing moves any more."""
    kind = right.dtype.type
    goal = TOLERANCE[right.dtype.name] * np.sqrt((right * right).sum())
    x, rest, way = np.zeros_like(right), right.copy(), right.copy()
    square = dot(rest, rest, scale=scale)
    for iteration in range(MOST_ITERATIONS * len(right)):
        if np.sqrt(square) <= goal:
            return x, iteration
        image = times(matrix, way, scale=scale)
        bend = dot(way, image, scale=scale)
        if not bend > 0:  # the arithmetic has lost the direction, or it is NaN
            return x, iteration
        step = kind(square / bend)
        x += step * way
        rest -= step * image
        before, square = square, dot(rest, rest, scale=scale)
        way = rest + kind(square / before) * way
    return x, MOST_ITERATIONS * len(right)


def cholesky(matrix: np.ndarray) -> np.ndarray:
    """The lower triangle L of A = L L', row products by BLAS; NaN where A is not definite."""
    lower = np.zeros_like(matrix)
    for place in range(len(matrix)):
        column = matrix[place:, place] - lower[place:, :place] @ lower[place, :place]
        lower[place:, place] = column / np.sqrt(column[0])
    return lower


def substitute(lower: np.ndarray, right: np.ndarray) -> np.ndarray:
    """x of L L' x = b."""
    x = right.copy()
    for place in range(len(x)):
        x[place] = (x[place] - lower[place, :place] @ x[:place]) / lower[place, place]
    for place in reversed(range(len(x))):
        x[place] -= lower[place + 1 :, place] @ x[place + 1 :]
        x[place] /= lower[place, place]
    return x


def refined(matrix: np.ndarray, right: np.ndarray, *, scale: bool) -> tuple[np.ndarray, int]:
    """Solve with corrections, until these no longer halve; b is the last column of the product.

    So b - A x is one sum of products, whose rounding is all that stands between x and the solution
    (N. J. Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed., section 12.1).
    """
    lower = cholesky(matrix)
    whole = np.column_stack([matrix, right])
    x, last = substitute(lower, right), np.inf
    least = np.finfo(right.dtype).eps
    for step in range(MOST_REFINEMENTS):
        rest = whole @ np.append(-x, right.dtype.type(1))
        shift = exponent(rest) if scale and np.isfinite(rest).all() else 0
        change = np.ldexp(substitute(lower, np.ldexp(rest, -shift)), shift)
        size = np.abs(change).max() / np.abs(x).max()
        if not size < last / 2:
            return x, step
        x, last = x + change, size
        if size <= least:
            return x, step + 1
    return x, MOST_REFINEMENTS


def normal_equations(matrix: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Least squares from A'A and A'b: two products; what follows is tiny, and is float64."""
    gram, image = matrix.T @ matrix, matrix.T @ right
    order = len(gram)
    lower, x = np.zeros((order, order)), image.astype(np.float64)
    for place in range(order):
        done = (lower[place:, :place] * lower[place, :place]).sum(axis=1)
        column = gram[place:, place] - done
        lower[place:, place] = column / np.sqrt(column[0])
        x[place] = (x[place] - (lower[place, :place] * x[:place]).sum()) / lower[place, place]
    for place in reversed(range(order)):
        x[place] -= (lower[place + 1 :, place] * x[place + 1 :]).sum()
        x[place] /= lower[place, place]
    return x


def householder(matrix: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Least squares by reflections (Golub and Van Loan, Matrix Computations, section 5.3.2)."""
    work = np.column_stack([matrix, right])
    order = matrix.shape[1]
    for place in range(order):
        mirror = work[place:, place].copy()
        length = np.sqrt(mirror @ mirror)
        mirror[0] += np.copysign(length, mirror[0])
        mirror /= np.abs(mirror).max()
        square = mirror @ mirror
        work[place:, place:] -= np.outer(mirror * (2 / square), mirror @ work[place:, place:])
    x = work[:order, order].copy()
    for place in reversed(range(order)):
        x[place] -= work[place, place + 1 : order] @ x[place + 1 :]
        x[place] /= work[place, place]
    return x


def solve(
    method: str, given: dict[str, np.ndarray], dtype: str, *, scale: bool
) -> tuple[np.ndarray, int]:
    """Return the solution and the number of iterations; none of the direct methods."""
    matrix, right = given["matrix"].astype(dtype), given["right"].astype(dtype)
    if method == "cg":
        return conjugate_gradients(matrix, right, scale=scale)
    if method == "refine":
        return refined(matrix, right, scale=scale)
    direct = normal_equations if method == "normal" else householder
    return direct(matrix, right), 0


def length(vector: np.ndarray) -> float:
    """Euclidean norm, without BLAS."""
    return float(np.sqrt((vector.astype(np.longdouble) ** 2).sum()))


def main() -> None:
    """Solve, and print how far that came."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("method", choices=METHODS)
    parser.add_argument("--conditions", default="1e4")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--dtype", choices=tuple(TOLERANCE), default="float32")
    parser.add_argument("--scale", action="store_true", help="bring vectors to about 1 by 2**n")
    parser.add_argument("--problems", type=Path, default=default_folder())
    options = parser.parse_args()
    np.seterr(all="ignore")  # NaN is an answer here: it is printed
    for condition in map(float, options.conditions.split(",")):
        for seed in range(options.seeds):
            given = problem(options.problems, options.method, condition, options.dtype, seed)
            x, iterations = solve(options.method, given, options.dtype, scale=options.scale)
            matrix, right = given["matrix"], given["right"]
            rest = right - exact_product(matrix, x)
            residual = length(rest) / length(right)
            if matrix.shape[0] != matrix.shape[1]:
                size = length(matrix.ravel()) * length(right)
                residual = length(exact_product(matrix.T, rest)) / size
            error = length(x - given["solution"]) / length(given["solution"])
            print(
                f"condition {condition:.0e} seed {seed}: iterations {iterations},"
                f" residual {residual:.3e}, error {error:.3e}",
                flush=True,
            )


if __name__ == "__main__":
    main()
