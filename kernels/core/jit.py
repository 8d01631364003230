"""The JIT policy: the only file that names numba.njit and its options, and says why."""

import functools
import hashlib
import os
import stat
import threading
import warnings
from pathlib import Path

import llvmlite
import numba
import numpy as np
from numba.core import caching, config, types

from . import machine

OPTIONS = {
    "nogil": True,  # a team's threads run side by side
    "error_model": "numpy",  # x / 0 is infinite, as in NumPy; no branch to raise from a hot loop
    "fastmath": False,  # it may reorder sums and drop NaN; fused multiply-adds are written out instead
}


def stamp() -> str:
    """Digest of all that decides what code comes out beyond Numba's own key of signature and processor."""
    digest = hashlib.sha256()
    for source in sorted(Path(__file__).parents[1].rglob("*.py")):
        digest.update(source.name.encode() + b"\0" + source.read_bytes() + b"\0")
    settings = (numba.__version__, llvmlite.__version__, machine.vector_bytes(), sorted(OPTIONS.items()))
    numba_settings = (config.BOUNDSCHECK, config.OPT, config.CPU_NAME, config.CPU_FEATURES, config.ENABLE_AVX)
    digest.update(repr((settings, numba_settings)).encode())
    return digest.hexdigest()[:24]


@functools.cache
def code_folder() -> Path | None:
    """Folder of the code compiled from just these sources; None, with one warning, where there is none."""
    try:
        folder = machine.cache_folder() / "code" / stamp()
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        probe = folder / f".probe-{os.getpid()}"
        probe.touch()
        probe.unlink()
        state = folder.stat()
        # cache files are pickles: whoever can write them can run code as this user
        if hasattr(os, "getuid") and (state.st_uid != os.getuid() or state.st_mode & stat.S_IWOTH):
            raise PermissionError(f"{folder} can be written by other users")
        return folder
    except (OSError, RuntimeError) as error:
        warnings.warn(
            f"fastmlp compiles anew in every process, because its cache folder cannot be used ({error}); "
            "set FASTMLP_CACHE to a folder that only you can write",
            stacklevel=2,
        )
        return None


class _Locator(caching._CacheLocator):
    """Puts a function's compiled code into the folder of the present stamp."""

    def __init__(self, folder):
        self._folder = folder

    def get_cache_path(self):
        return str(self._folder)

    def get_source_stamp(self):
        return self._folder.name

    def get_disambiguator(self):
        return "k"

    @classmethod
    def from_function(cls, py_func, py_file):
        return cls(code_folder())


class _CacheImpl(caching.CompileResultCacheImpl):
    _locator_classes = [_Locator]


class _Cache(caching.FunctionCache):
    _impl_class = _CacheImpl

    def load_overload(self, sig, target_context):
        try:
            return super().load_overload(sig, target_context)
        except Exception:  # damaged files say so in many ways: compile anew, and write over them
            self.flush()
            return None


def kernel(body):
    """Compile a function of the lower floor at its first call, to be called by other kernels."""
    return numba.njit(**OPTIONS)(body)


class Entry:
    """A kernel that Python calls: cached on disk, one variant a set of dtypes, whatever the arrays' layout.

    Every array is taken as strided and, unless named in `outputs`, as read-only; so neither a
    memory map nor another layout compiles anything new.
    """

    def __init__(self, body, outputs):
        functools.update_wrapper(self, body)
        self.dispatcher = numba.njit(**OPTIONS)(body)
        self._outputs = outputs
        self._names = body.__code__.co_varnames[: body.__code__.co_argcount]
        self._compiling = threading.Lock()
        self._ready = set()  # kinds of arguments that there is a variant for
        self._call = self._compile_and_call

    def __call__(self, *args):
        try:
            return self._call(*args)
        except TypeError:  # no variant for these dtypes yet
            return self._compile_and_call(*args)

    def _compile_and_call(self, *args):
        self.compile(*args)
        return self.dispatcher(*args)

    def compile(self, *args):
        """Have the variant for these arguments ready, from the cache or compiled."""
        kinds = tuple((arg.dtype, arg.ndim) if isinstance(arg, np.ndarray) else type(arg) for arg in args)
        with self._compiling:
            if kinds in self._ready:
                return
            signature = tuple(self._normal_type(*pair) for pair in zip(self._names, args, strict=True))
            if not self.dispatcher.signatures and code_folder() is not None:
                self.dispatcher._cache = _Cache(self.dispatcher.py_func)
            self.dispatcher.disable_compile(False)
            self.dispatcher.compile(signature)
            self.dispatcher.disable_compile()  # from now on arguments are converted to a variant that exists
            self._call = self.dispatcher
            self._ready.add(kinds)

    def _normal_type(self, name, arg):
        kind = numba.typeof(arg)
        if not isinstance(kind, types.Array):
            return kind
        return types.Array(kind.dtype, kind.ndim, "A", readonly=name not in self._outputs)


def entry(*outputs):
    """Decorator of a kernel that Python calls; `outputs` are the names of the arrays that it writes."""
    return lambda body: Entry(body, outputs)
