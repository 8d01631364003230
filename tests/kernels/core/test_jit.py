"""Compiled code: never stale, cached where it can be, one variant for all layouts, and no spills."""

import gc
import os
import re
import sys

import numpy as np
import pytest
from arenas import Network
from code_steps import HIGHER, LOWER, STEP, step
from numba.core import event
from numba.core.errors import NumbaError
from products import kernel_of
from trees import copy_tree, edit, python

from fastmlp import kernels
from fastmlp.kernels.core import jit, machine, threads, tile


def run(code, **where):
    child = python("-W", "always", "-c", code, **where)
    assert child.returncode == 0, child.stderr
    return child


def test_an_edited_kernel_never_runs_its_old_code(tmp_path):
    tree = copy_tree(tmp_path / "tree")
    cache = tmp_path / "cache"
    value, compiled, _ = step(tree=tree, cache=cache)
    assert value == -1 and compiled > 0
    assert step(tree=tree, cache=cache)[:2] == (-1, 0)
    edit(tree / "kernels" / "optimizers.py", LOWER, HIGHER)
    value, compiled, _ = step(tree=tree, cache=cache)
    assert value == 1 and compiled > 0
    # what the edited file is made of counts as well
    simd = tree / "kernels" / "core" / "simd.py"
    edit(simd, "return fused(builder, *args)", "return builder.fsub(args[2], args[2])")
    assert step(tree=tree, cache=cache)[0] == 0


@pytest.fixture
def folder(monkeypatch, tmp_path):
    """The folder of compiled code as this process would now choose it."""
    monkeypatch.setenv("FASTMLP_CACHE", str(tmp_path))
    return jit.code_folder.__wrapped__


def test_the_folder_is_named_by_the_stamp_and_written_by_its_owner_alone(folder, tmp_path):
    before = os.umask(0)
    try:
        folder()
    finally:
        os.umask(before)
    assert folder() == tmp_path / "code" / jit.stamp()
    assert not list(folder().iterdir())
    if os.name == "posix":
        assert folder().stat().st_mode & 0o777 == folder().parent.stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize(
    "option", [("fastmath", True), ("boundscheck", True), ("error_model", "python")], ids=str
)
def test_an_option_changes_the_stamp(option, monkeypatch):
    before = jit.stamp()
    monkeypatch.setitem(jit.OPTIONS, *option)
    assert jit.stamp() != before


STAMP = """
import os
from fastmlp.kernels.core import jit, simd
stamps = [jit.stamp()]
for width in ("64", "32", "16"):
    os.environ["FASTMLP_VECTOR_BYTES"] = width
    stamps.append(jit.stamp())
print(simd.VECTOR_BYTES, *sorted(set(stamps)))
"""


def test_the_stamp_is_of_the_vectors_that_the_process_began_with():
    found = [run(STAMP, FASTMLP_VECTOR_BYTES=width).stdout.split() for width in ("64", "32", "16")]
    assert [width for width, *_ in found] == ["64", "32", "16"]
    assert all(len(stamps) == 1 for _, *stamps in found)  # whatever is set after the import
    assert len({stamp for _, stamp in found}) == 3


@pytest.mark.parametrize("name", jit._SETTINGS)
def test_a_setting_of_numba_changes_the_stamp(name, monkeypatch):
    before = jit.stamp()
    monkeypatch.setattr(machine.config, name, "another")
    assert jit.stamp() != before


@pytest.mark.parametrize(
    ("of", "name"),
    [(sys.implementation, "cache_tag"), (np, "__version__"), (jit.numba, "__version__"), (sys, "abiflags")],
)
def test_another_version_changes_the_stamp(of, name, monkeypatch):
    before = jit.stamp()
    monkeypatch.setattr(of, name, "another", raising=False)
    assert jit.stamp() != before


LABELS = """
import sys
import numpy as np
from fastmlp import kernels
labels = np.zeros(int(sys.argv[1]), np.int64)
kernels.softmax_cross_entropy(np.zeros((3, 2)), labels, np.zeros((3, 2)), np.zeros(3))
"""


def test_bounds_checks_see_an_index_beyond_the_labels(tmp_path):
    assert python("-c", LABELS, "3", cache=tmp_path).returncode == 0
    child = python("-c", LABELS, "1", cache=tmp_path, NUMBA_BOUNDSCHECK="1")
    assert child.returncode == 1
    assert child.stderr.strip().splitlines()[-1].startswith("IndexError")
    assert len(list((tmp_path / "code").iterdir())) == 2


TWO_KERNELS = (
    STEP + "kernels.scan(np.zeros((1, 1), np.uint8)), kernels.linear_forward(*(np.zeros((1, 1)),) * 4)\n"
)
# homeless on every platform
HOMELESS = "import pathlib\ndef home(): raise RuntimeError('no home')\npathlib.Path.home = home\n"
NO_HOME = {"HOME": None, "XDG_CACHE_HOME": None, "FASTMLP_CACHE": None, "LOCALAPPDATA": None}


@pytest.mark.parametrize("case", ["unwritable", "no home"])
def test_without_a_folder_it_runs_uncached_with_one_warning(case, tmp_path):
    if case == "unwritable":
        (tmp_path / "file").touch()  # even a superuser, whom no permission stops, makes no folder in a file
        child = run(TWO_KERNELS, cache=tmp_path / "file" / "cache")
    else:
        child = run(HOMELESS + TWO_KERNELS, **NO_HOME)
    assert child.stdout.split()[0] == "-1.0"
    assert child.stderr.count("UserWarning") == child.stderr.count("compiles anew in every process") == 1


@pytest.mark.skipif(os.name != "posix", reason="needs permissions")
def test_a_folder_that_others_can_write_is_not_used(folder):
    folder().chmod(0o777)
    with pytest.warns(UserWarning, match="can be written by other users.*set FASTMLP_CACHE"):
        assert folder() is None


def all_signatures():
    """Every variant that exists of every kernel."""
    modules = [module for name, module in sys.modules.items() if name.startswith("fastmlp.kernels.")]
    dispatchers = {
        getattr(value, "dispatcher", None) for module in modules for value in vars(module).values()
    }
    return {(id(each), signature) for each in dispatchers - {None} for signature in each.signatures}


def every_kernel(layout, sizes, n):
    """Call every kernel on arrays of a layout."""
    rng = np.random.default_rng(0)
    draw = lambda *shape: rng.standard_normal(shape).astype(np.float32)  # noqa: E731
    given = {
        "C": lambda a: a,
        "F": np.asfortranarray,
        "apart": lambda a: np.repeat(a, 2, axis=0)[::2],
        "read-only": lambda a: np.frombuffer(a.tobytes(), a.dtype).reshape(a.shape),
    }[layout]
    rows = given if layout != "F" else lambda a: a  # layers want rows that are contiguous
    n_in, n_out = sizes[0], sizes[-1]
    x, w, b, dy = rows(draw(n, n_in)), rows(draw(n_in, n_out)), given(draw(n_out)), rows(draw(n, n_out))
    labels, y = given(rng.integers(n_out, size=n)), draw(n, n_out)
    kernels.linear_relu_forward(x, w, given(b[:]) if layout != "apart" else b.copy(), y)
    kernels.linear_relu_backward(x, w, y, draw(n, n_out), draw(n, n_in), draw(n_in, n_out), draw(n_out))
    kernels.linear_backward(x, w, dy.copy(), None, draw(n_in, n_out), draw(n_out))
    kernels.softmax_cross_entropy(rows(draw(n, n_out)), labels, y, np.empty(n))
    kernels.sgd_step(draw(n_in, n_out), rows(draw(n_in, n_out)), np.float32(0.1))
    kernels.sgd_step(draw(n_out), draw(n_out), 0.1)
    pixels = given(rng.integers(0, 256, (n, n_in)).astype(np.uint8))
    masks = np.empty((n, -(-n_in // 64)), np.uint64)
    kernels.scan(pixels)
    kernels.zero_masks(pixels, masks)
    network = Network(sizes, 4)
    network.train(pixels, labels, given(np.arange(n)), scale=1 / 255, masks=given(masks))
    network.train(pixels, labels, given(np.arange(n)), scale=1 / 255)
    if layout == "read-only":
        network.arena.flags.writeable = False
    network.infer(pixels, 1 / 255)


def test_another_layout_width_depth_or_number_of_threads_compiles_nothing(threads):
    threads(3)  # with parked threads
    every_kernel("C", (5, 7, 3), 10)
    threads(None)
    every_kernel("C", (5, 7, 3), 10)
    signatures = all_signatures()
    with event.install_recorder("numba:compile") as compiled:
        for layout in ("F", "apart", "read-only"):
            every_kernel(layout, (5, 7, 3), 10)
        every_kernel("C", (70, 1, 17, 9, 2), 33)
        every_kernel("F", (1, 1), 1)
        threads(3)
        every_kernel("read-only", (9, 8, 4), 129)
    assert not compiled.buffer
    assert all_signatures() == signatures


ASSEMBLY = """
import arenas
from fastmlp.kernels import epoch
x, labels = arenas.draw(9, (20, 40, 3))
arenas.Network((20, 40, 3), 9).train(x, labels)
(assembly,) = epoch._train_epoch.dispatcher.inspect_asm().values()
print(assembly)
"""
FRAMES = """
import functools
import re
import arenas
import numpy as np
from fastmlp import kernels
from fastmlp.kernels import epoch, inference, linear
x, labels = arenas.draw(9, (20, 40, 30, 3))
network = arenas.Network((20, 40, 30, 3), 9)
network.train(x, labels)
network.infer(x)
kernels.linear_backward(*(np.ones((9, 9), np.float32) for _ in range(5)), np.ones(9, np.float32))
def deepest(assembly):
    name, *rest = re.split(r"^(\\w\\S+):$", assembly, flags=re.MULTILINE)
    bodies = dict(zip(rest[::2], rest[1::2]))

    @functools.cache
    def depth(name):
        sizes = re.findall(r"sub[ql]?\\s+\\$(\\d+), %rsp", bodies[name])
        saved = 8 * (1 + bodies[name].count("pushq"))
        called = {*re.findall(r"(?:callq|jmp|movabsq)\\s+\\$?([\\w.]+)", bodies[name])} & {*bodies} - {name}
        return sum(map(int, sizes)) + saved + max(map(depth, called), default=0)

    return max(map(depth, bodies))


for entry in (epoch._train_epoch, inference._infer, linear._linear_backward):
    (assembly,) = entry.dispatcher.inspect_asm().values()
    print(deepest(assembly))
"""


@pytest.mark.skipif(threads.ARCHITECTURE not in threads.X86, reason="reads the code of x86")
def test_the_deepest_frames_of_compiled_code_take_16_kib_of_stack_at_most(tmp_path):
    sizes = [int(line) for line in run(FRAMES, cache=tmp_path).stdout.split()]
    assert len(sizes) == 3 and all(1024 < size <= 16 * 1024 for size in sizes), sizes


AVX512 = pytest.mark.skipif(
    machine.vector_bytes() != 64 or "+avx512f" not in machine.features(), reason="reads the code of AVX-512"
)


def hot_loops(assembly, n_sums):
    """Bodies of the innermost loops that add to so many sums in whole AVX-512 registers, or on the stack."""
    bodies = re.findall(r"^(\.L\w+):\n((?:(?!\.L\w+:).*\n)*?)\s+j\w+\s+\1\n", assembly, re.MULTILINE)
    sums = [re.findall(r"vfmadd\w+\s.*(%zmm\d+)$", body, re.MULTILINE) for _, body in bodies]
    # the exponential has many fused multiply-adds as well, but in a few registers
    return [
        body
        for (_, body), z in zip(bodies, sums, strict=True)
        if len(z) >= n_sums and len({*z}) >= n_sums // 2
    ]


def spills(body):
    """Stores of whole registers: a loop that only adds up has none, unless it has run out of registers."""
    return re.findall(r"vmov\w+\s+%zmm\d+, \S*\(.*\)", body)


@AVX512
def test_the_hot_loops_of_an_epoch_keep_their_sums_in_registers(tmp_path):
    assembly, n_sums = run(ASSEMBLY, cache=tmp_path).stdout, tile.ROWS[0] * tile.WIDE
    assert len(hot_loops(assembly, n_sums)) >= 3  # forward, gradient of the input, gradient and step
    loops = hot_loops(assembly, n_sums // 2)
    assert not any(spills(body) for body in loops)


@AVX512
@pytest.mark.parametrize(("rows", "spilt"), [(tile.ROWS[0], False), (16, True)])
def test_a_tile_too_large_for_the_registers_is_found_out(rows, spilt, monkeypatch):
    monkeypatch.setattr(tile, "ROWS", (rows, *tile.ROWS[1:]))
    product = kernel_of(tile.make_product("clamp"))
    one = np.ones((1, 1), np.float32)
    product(one, one, one[0], one.copy(), one[0, 0])
    (assembly,) = product.inspect_asm().values()
    loops = hot_loops(assembly, rows * 2)
    assert loops
    assert any(spills(body) for body in loops) == spilt


def test_a_kernel_that_allocates_is_not_compiled():
    @jit.callable_kernel
    def allocating(n):
        return np.empty(n).size

    with pytest.raises(NumbaError, match="empty"):
        allocating(2)


def test_a_kernel_that_is_called_by_several_ways_and_with_literals_has_one_variant():
    @jit.kernel
    def deepest(x, n):
        return x * n

    @jit.kernel
    def left(x):
        return deepest(x, 2)

    @jit.kernel
    def right(x, n):
        return deepest(x, n) + deepest(x, 3)

    @jit.callable_kernel
    def first(x, n):
        return left(x) + right(x, n)

    @jit.callable_kernel
    def second(x):
        return right(x, 1)

    assert first(1.0, 10) == 15 and second(1.0) == 4
    assert [len(each.overloads) for each in (deepest, left, right)] == [1, 1, 1]


@pytest.mark.parametrize("enabled", [True, False])
def test_garbage_is_collected_after_compiling_as_before(enabled):
    @jit.entry("y")
    def fill(y, value):
        y[0] = value.no_such_attribute

    before = gc.isenabled()
    try:
        (gc.enable if enabled else gc.disable)()
        with pytest.raises(NumbaError, match="no_such_attribute"):
            fill.compile(np.zeros(1), 1.0)
        assert gc.isenabled() == enabled
    finally:
        (gc.enable if before else gc.disable)()


def test_kernels_are_called_by_kernels_alone():
    @jit.kernel
    def inner(x):
        return x + 1

    @jit.callable_kernel
    def outer(x):
        return inner(x)

    assert outer(2) == 3
    with pytest.raises(TypeError):
        inner(2)
