"""The JIT policy: the only file that names numba.njit and its options, and says why."""

import contextlib
import ctypes
import functools
import gc
import hashlib
import os
import pkgutil
import sys
import threading
import warnings
from pathlib import Path

import llvmlite
import llvmlite.binding as llvm
import numba
import numpy as np
from llvmlite.binding import ffi
from numba.core import caching, codegen, compiler, config, typed_passes, types
from numba.core.compiler_lock import global_compiler_lock

from . import cache, machine
from .denormals import FlushingLowering

OPTIONS = {
    "nogil": True,  # threads run side by side
    "error_model": "numpy",  # x / 0 is infinite, as in NumPy; no branch to raise from a hot loop
    "fastmath": False,  # it may reorder sums and drop NaN; fused multiply-adds are written out instead
    "_nrt": False,  # no counts of references: kernels allocate nothing, and the caller holds the arrays
}


def _digest_sources() -> str | None:
    """Digest of the modules of the lower floor as their loader has them, be it byte code or a zip.

    None where loaders do not tell.
    """
    digest, folders = hashlib.sha256(), [(__package__.rpartition(".")[0], Path(__file__).parents[1])]
    try:
        for package, folder in folders:
            for found in pkgutil.iter_modules([str(folder)], f"{package}."):
                spec = found.module_finder.find_spec(found.name)
                digest.update(found.name.encode() + b"\0" + spec.loader.get_data(spec.origin) + b"\0")
                if found.ispkg:
                    folders.append((found.name, Path(spec.origin).parent))
    except (AttributeError, OSError):
        return None
    return digest.hexdigest() if len(folders) > 1 else None


_SOURCES = _digest_sources()  # now, because what is compiled later is the code that is being imported


def stamp() -> str:
    """Digest of all that decides what code comes out beyond Numba's own key of signature and processor."""
    versions = sys.implementation.cache_tag, getattr(sys, "abiflags", ""), np.__version__
    versions += numba.__version__, llvmlite.__version__
    settings = [
        machine.VECTOR_BYTES,
        sorted(OPTIONS.items()),
        *(getattr(config, name, None) for name in _SETTINGS),
    ]
    return hashlib.sha256(repr((_SOURCES, versions, settings)).encode()).hexdigest()[:24]


_SETTINGS = """BOUNDSCHECK OPT CPU_NAME CPU_FEATURES ENABLE_AVX LOOP_VECTORIZE SLP_VECTORIZE USING_SVML
    DEBUGINFO_DEFAULT""".split()


@functools.cache
def code_folder() -> Path | None:
    """Folder of the code compiled from just these sources; None, with one warning, where there is none.

    None, without one, where the files have changed since they were imported. It may be root's, filled when a
    system was made, and not to be written here.
    """
    try:
        if _SOURCES is None:
            raise RuntimeError("its own sources cannot be read")
        if _digest_sources() != _SOURCES:
            return None
        folder = machine.cache_folder() / "code" / stamp()
        machine.make_folder(folder)
        # cache files are pickles: whoever can write them can run code as this user
        if place := cache.open_to_others(folder):
            raise PermissionError(f"{place} can be written by other users")
        return folder
    except (OSError, RuntimeError) as error:
        _warn_once(error)
        return None


def _warn_once(error: Exception) -> None:
    global _has_warned
    if not _has_warned:
        _has_warned = True
        warnings.warn(
            f"fastmlp compiles anew in every process, because its cache folder cannot be used ({error}); "
            "set FASTMLP_CACHE to a folder that only you can write",
            stacklevel=3,
        )


_has_warned = False


class _Locator(caching._CacheLocator):
    """Puts a function's compiled code into the folder of the present stamp."""

    def __init__(self, folder):
        self._folder = folder

    def ensure_cache_path(self):
        machine.make_folder(self._folder)  # which somebody may have cleared

    def get_cache_path(self):
        return str(self._folder)

    def get_source_stamp(self):
        return self._folder.name

    def get_disambiguator(self):
        return ""

    @classmethod
    def from_function(cls, py_func, py_file):
        return cls(code_folder())


class _CacheImpl(caching.CompileResultCacheImpl):
    """How a variant's code is kept: in our folder, whatever place Numba's settings name."""

    def __init__(self, body, variant):
        self._lineno, self._locator = body.__code__.co_firstlineno, _Locator(code_folder())
        self._filename_base = f"{body.__module__}.{body.__name__}-{variant}"


class _Cache(caching.FunctionCache):
    """The file of one variant, whose name no other has: processes that compile do not collide."""

    def __init__(self, body, signature):
        # the processor too: a folder may serve several machines
        variant = repr((signature, machine.processor(), machine.features())).encode()
        self._impl_class = functools.partial(_CacheImpl, variant=hashlib.sha256(variant).hexdigest()[:16])
        super().__init__(body)
        self._cache_file = cache.CodeFile(Path(self._cache_path, f"{self._impl.filename_base}.code"))

    def load_overload(self, sig, target_context):
        with contextlib.suppress(Exception):  # what cannot be loaded is compiled anew, and written over
            return super().load_overload(sig, target_context)

    def save_overload(self, sig, data):
        try:
            super().save_overload(sig, data)
        except OSError as error:  # a full disk, a quota, a folder of root's
            _warn_once(error)


class _LinkedLibrary(codegen.JITCodeLibrary):
    """Code that becomes part of its callers': linked, optimized and made machine code there alone."""

    def _optimize_functions(self, ll_module):
        pass

    def finalize(self):
        self._finalized = True

    def _get_module_for_linking(self):
        for function in self._final_module.functions:
            if not function.is_declaration and function.linkage == llvm.Linkage.external:
                function.linkage = "linkonce_odr"  # may go where it is inlined
        return self._final_module

    def get_pointer_to_function(self, name):
        """Address of what Python calls: there is none, so that the call raises TypeError."""
        return ctypes.cast(ctypes.pythonapi.PyErr_BadArgument, ctypes.c_void_p).value

    @property
    def codegen(self):
        """What makes code, but looks for none of this function's own."""
        return _NoEnvironment(self._codegen)


class _NoEnvironment:
    """A code generator that sets no environments, which only code that raises would need."""

    def __init__(self, codegen):
        self._codegen = codegen

    def __getattr__(self, name):
        return getattr(self._codegen, name)

    def set_env(self, name, env):
        pass


class _LinkingLibrary(codegen.JITCodeLibrary):
    """Code that has all that it calls linked in, whatever is between."""

    def add_linking_library(self, library):
        if library not in self._linking_libraries:
            super().add_linking_library(library)
            if isinstance(library, _LinkedLibrary):
                for deeper in library._linking_libraries:
                    self.add_linking_library(deeper)

    def _optimize_final_module(self):
        # names count what a process compiles: two entries of the cache may use one for different functions
        for function in self._final_module.functions:
            if not function.is_declaration and function.linkage == llvm.Linkage.linkonce_odr:
                function.linkage = "internal"
        super()._optimize_final_module()


# Passes of Numba's that have nothing to do in a kernel, which has no closure, no `with`, no array expression,
# and counts no references, for which IRLegalization would say where variables end.
_IDLE_PASSES = set(
    """WithLifting InlineClosureLikes RewriteDynamicRaises MakeFunctionToJitFunction InlineInlinables
    FindLiterallyCalls LiteralUnroll LiteralPropagationSubPipelinePass InlineOverloads NopythonRewrites
    NoPythonSupportedFeatureValidation IRLegalization DumpParforDiagnostics""".split()
)


class _Compiler(compiler.Compiler):
    """Numba's own compiler without what a kernel does not need, and with a library of our kind."""

    library_class: type = _LinkingLibrary
    lowering_class: type = typed_passes.NativeLowering

    def define_pipelines(self):
        state = self.state
        state.library = self.library_class(state.targetctx.codegen(), state.func_id.func_qualname)
        state.library.enable_object_caching()
        pipelines = super().define_pipelines()
        for pipeline in pipelines:
            pipeline.passes = [
                (self.lowering_class if each is typed_passes.NativeLowering else each, description)
                for each, description in pipeline.passes
                if each.__name__ not in _IDLE_PASSES
            ]
            pipeline.finalize()
        return pipelines


class _EntryCompiler(_Compiler):
    """The same for kernels that Python calls, in which denormals are flushed."""

    lowering_class = FlushingLowering


class _KernelCompiler(_Compiler):
    """The same for kernels that are called by kernels alone."""

    library_class = _LinkedLibrary


def kernel(body):
    """Compile a function of the lower floor at its first call, to be called by other kernels alone.

    Numba would optimize each, with all that it calls, and make machine code and wrappers for Python and C of
    it: of half the time of compiling there is no use.
    """
    options = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True, **OPTIONS}
    dispatcher = numba.njit(pipeline_class=_KernelCompiler, **options)(body)
    resolve = getattr(dispatcher, "get_call_template", None)
    if resolve is not None:  # literals make no variants; without the JIT nothing does
        dispatcher.get_call_template = lambda args, kws: resolve([*map(types.unliteral, args)], kws)
    return dispatcher


def callable_kernel(body):
    """Compile a function at its first call, which may come from Python too."""
    return numba.njit(pipeline_class=_EntryCompiler, no_cfunc_wrapper=True, **OPTIONS)(body)


_compiling = threading.RLock()
# All that a compilation holds, from the outermost on.
_LOCKS = _compiling, global_compiler_lock._lock, ffi.lib._lock._lock


def _wait_for_compilations():
    """Hold them during a fork: a child would wait for ever for what a thread held that it does not have."""
    for lock in _LOCKS:
        lock.acquire()


def _let_compile():
    for lock in reversed(_LOCKS):
        if lock._is_owned():  # not where Ctrl-C came before it was
            lock.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_wait_for_compilations, after_in_parent=_let_compile, after_in_child=_let_compile
    )


@contextlib.contextmanager
def _without_collections():
    """Garbage is not looked for, which would take a tenth of the time of compiling."""
    enabled = gc.isenabled()
    try:
        gc.disable()
        yield
    finally:
        if enabled:
            gc.enable()


@contextlib.contextmanager
def _told():
    """Say on a terminal, once, why a program seems to stand still, where the body takes long."""
    if _has_told or sys.stderr is None or not sys.stderr.isatty():
        yield
        return
    timer = threading.Timer(SECONDS_UNTOLD, _tell)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _tell():
    global _has_told
    _has_told, folder = True, code_folder()
    is_kept = folder is not None and os.access(folder, os.W_OK)
    kept = f"once; kept in {folder}" if is_kept else "as every process does"
    # where a progress bar may be, which goes on in the next line
    print(f"\r\x1b[Kfastmlp compiles for this machine, {kept}", file=sys.stderr, flush=True)


SECONDS_UNTOLD = 1.0
_has_told = False


class Entry:
    """A kernel that Python calls: cached on disk, one variant a set of dtypes, whatever the arrays' layout.

    Every array is taken as strided and, unless named in `outputs`, as read-only; so neither a
    memory map nor another layout compiles anything new.
    """

    def __init__(self, body, outputs):
        functools.update_wrapper(self, body)
        self.dispatcher = callable_kernel(body)
        self._outputs = outputs
        self._names = body.__code__.co_varnames[: body.__code__.co_argcount]
        self._ready = set()  # kinds of arguments that there is a variant for
        self._call = self._compile_and_call

    def __call__(self, *args):
        """Call the variant for these arguments, compiled at the first call."""
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
        if kinds in self._ready:  # without waiting for a compilation of others
            return
        with _compiling, _told(), _without_collections():
            signature = tuple(self._normal_type(*pair) for pair in zip(self._names, args, strict=True))
            if signature not in self.dispatcher.overloads:  # int and np.int64 have one variant
                # on a dispatcher of its own, for other threads may be calling the one that everybody calls
                compiler = callable_kernel(self.dispatcher.py_func)
                if code_folder() is not None:
                    compiler._cache = _Cache(compiler.py_func, signature)
                compiler.compile(signature)
                self.dispatcher.add_overload(compiler.overloads[signature])
                self.dispatcher.disable_compile()  # arguments are converted to a variant that exists
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
