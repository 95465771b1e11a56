"""The import hook: acts once after a package of interest has been imported, and keeps notes.

Costs a dictionary look-up an import, and nothing else until such a package appears. Notes go to
``unreachable.<pid>.json`` in the run's folder: a list of {"what", "why", "calls"}.
"""

import _thread
import atexit
import os
import sys

_run = os.environ.get("HWGEN_RUN", "")  # the program may change it later
_notes = {}
_lock = _thread.RLock()  # of the notes and their file; cheaper to import than threading
_last = []  # functions that add notes when the program ends
_forks = [_notes.clear]  # functions that forget what a child's parent will report


def note(what, why, calls=0):
    """Note that products of ``what`` do not reach BLAS; further calls are added up."""
    with _lock:
        _notes[what, why] = _notes.get((what, why), 0) + calls
        write()


def at_end(function):
    """Have ``function`` called when the program ends, in time to add notes."""
    _last.append(function)


def at_fork(function):
    """Have ``function`` called in every child that the program forks."""
    _forks.append(function)


def write():
    """Write the notes; a run whose folder is gone already is over.

    Nothing is imported here, not even json: a child that is forked while another thread imports
    would wait for that thread for ever.
    """
    entries = [
        f'{{"what": {_quoted(what)}, "why": {_quoted(why)}, "calls": {calls}}}'
        for (what, why), calls in list(_notes.items())
    ]
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        file = os.open(f"{_run}/unreachable.{os.getpid()}.json", flags, 0o666)
    except OSError:
        return
    try:
        os.write(file, f"[{', '.join(entries)}]".encode("ascii"))
    except OSError:
        pass
    finally:
        os.close(file)


def _quoted(text):
    """Return a string as JSON has it."""
    plain = set(map(chr, range(32, 127))) - {'"', "\\"}
    letters = (c if c in plain else f"\\u{min(ord(c), 0xFFFD):04x}" for c in text)
    return f'"{"".join(letters)}"'


def install(folder):
    """Watch imports; the modules that act on them lie in ``folder``."""
    sys.meta_path.insert(0, _Watch(folder))
    atexit.register(_end)
    if hasattr(os, "register_at_fork"):
        # A child starts its own notes: the parent reports what it knew until here.
        os.register_at_fork(after_in_child=_forget)


def _end():
    for function in _last:
        function()


def _forget():
    global _lock
    # Another thread of the parent may have had the old one.
    _lock = _thread.RLock()
    for function in _forks:
        function()


def _unreachable(why):
    def act(module):
        note(module.__name__, why)

    return act


def _module(name):
    """Return an action: import our module ``name`` and have it act."""

    def act(module):
        __import__(name).act(module)

    return act


_XLA = "imported; XLA compiles its own products, which call no BLAS"
_ACTIONS = {
    "torch": _module("hwgen_hook_torch"),
    "numpy.linalg._linalg": _module("hwgen_hook_numpy"),
    "numpy.linalg.linalg": _module("hwgen_hook_numpy"),  # until NumPy 1
    "jaxlib": _unreachable(_XLA),
    "onnxruntime": _unreachable("imported; its own kernels (MLAS) call no BLAS"),
    "tensorflow": _unreachable("imported; its own kernels (Eigen, oneDNN) call no BLAS"),
    "cupy": _unreachable("imported; computes on a GPU"),
}


class _Watch:
    """A finder that finds nothing itself, but adds an action to what the others find."""

    def __init__(self, folder):
        self._folder = folder

    def find_spec(self, name, path=None, target=None):
        """Find as the finders behind this one do."""
        action = _ACTIONS.get(name)
        if action is None:
            return None
        for finder in sys.meta_path:
            find = getattr(finder, "find_spec", None)
            if finder is self or find is None:
                continue
            spec = find(name, path, target)
            if spec is not None:
                self._add(spec.loader, action)
                return spec
        return None

    def _add(self, loader, action):
        """Have ``loader`` call ``action`` after it has filled the module, once."""
        if not hasattr(loader, "exec_module"):
            return

        def exec_module(module):
            del loader.exec_module
            loader.exec_module(module)
            self._act(action, module)

        loader.exec_module = exec_module

    def _act(self, action, module):
        # Whatever goes wrong here must not stop a program that has nothing to do with it.
        sys.path.insert(0, self._folder)
        try:
            action(module)
        except Exception as error:
            note(module.__name__, f"its products are not routed: {error}")
        finally:
            sys.path.remove(self._folder)
