"""Where trials run: processes of this machine, or the workers of a Dask cluster."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager

from hwgen.errors import ToolError
from hwgen.explore.trial import die_with_parent

__all__ = ["pool"]

_CONNECT_S = 30


@contextmanager
def pool(jobs: int, dask: str | None = None) -> Iterator[Executor]:
    """Yield what trials are handed to; it is gone afterwards, with whatever still ran.

    Parameters
    ----------
    jobs : int
        Processes of this machine.
    dask : str, optional
        A scheduler's address, ``host:port``; its workers need this hwgen and the program at the
        same paths.

    Raises
    ------
    ToolError
        If Dask is not installed, or no scheduler answers.
    """
    if dask is not None:
        with _cluster(dask) as executor:
            yield executor
        return
    context = multiprocessing.get_context("spawn")
    executor = ProcessPoolExecutor(jobs, mp_context=context, initializer=_start_worker)
    try:
        yield executor
    except BaseException:
        # Not to wait for trials whose results nobody will take.
        workers = list(multiprocessing.active_children())
        executor.shutdown(wait=False, cancel_futures=True)
        for worker in workers:
            worker.kill()
        raise
    executor.shutdown()


def _start_worker() -> None:
    """Leave interrupts to the process that waits for us, and end when it does."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    die_with_parent()


@contextmanager
def _cluster(address: str) -> Iterator[Executor]:
    try:
        from distributed import Client
    except ImportError:
        raise ToolError(
            "--dask needs the package distributed, which is not installed",
            hint="install it with: pip install 'hwgen[explore]'",
        ) from None
    try:
        client = Client(address, timeout=_CONNECT_S)
    except (OSError, TimeoutError, ValueError) as error:
        raise ToolError(
            f"no Dask scheduler answers at {address}: {error}",
            hint="start one with dask scheduler, and give --dask host:port as it prints them",
        ) from None
    with client:
        # A program that is run twice must run twice: Dask takes equal calls for one.
        yield client.get_executor(pure=False)
