"""NumPy: counts the calls of numpy.linalg that compute inside LAPACK, out of reach of BLAS."""

import hwgen_hook

_WHY = "LAPACK calls its BLAS inside one library"


class _Counted:
    """Stands for NumPy's module of LAPACK functions and counts their calls."""

    def __init__(self, module):
        self._module = module
        self.calls = {}  # after the first one of each

    def __getattr__(self, name):
        function = getattr(self._module, name)
        if not callable(function):
            return function
        calls = self.calls

        def counted(*operands, **options):
            if name not in calls:
                # At once: a worker of multiprocessing ends without a word.
                calls[name] = 0
                hwgen_hook.note("numpy.linalg." + name, _WHY, 1)
            else:
                calls[name] += 1
            return function(*operands, **options)

        self.__dict__[name] = counted
        return counted


def act(module):
    """Put the counter in place of the LAPACK functions that ``numpy.linalg`` calls."""
    counted = _Counted(module._umath_linalg)
    module._umath_linalg = counted

    def report():
        for name, calls in sorted(counted.calls.items()):
            hwgen_hook.note("numpy.linalg." + name, _WHY, calls)

    hwgen_hook.at_end(report)
    hwgen_hook.at_fork(counted.calls.clear)
