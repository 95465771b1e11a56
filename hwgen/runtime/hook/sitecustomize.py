"""Started by Python itself: installs hwgen's hook, then hands over to any other sitecustomize."""

import os
import sys

# hwgen run has put the whole path of this folder on the module path. Neither pathlib nor importlib
# here: they take longer to import than all the rest.
HERE = __file__.rpartition("/")[0]


def _hand_over():
    """Import the ``sitecustomize`` that ours stands in front of, if there is one."""
    ours = sys.modules.pop("sitecustomize")
    try:
        __import__("sitecustomize")
    except ImportError as error:
        if error.name != "sitecustomize":
            raise
    finally:
        sys.modules.setdefault("sitecustomize", ours)


if os.environ.get("HWGEN_RUN"):
    import hwgen_hook

    hwgen_hook.install(HERE)
sys.path[:] = [entry for entry in sys.path if entry != HERE]
_hand_over()
