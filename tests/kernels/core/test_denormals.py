"""Denormals: they are zero in compiled code, in each thread, and to its caller they are what they were."""

import time

import llvmlite.binding as llvm
import numpy as np
import pytest
from llvmlite import ir

from fastmlp import MLP, SGD, Adam, DataLoader, set_num_threads
from fastmlp.kernels import scan
from fastmlp.kernels.core.denormals import emit_flush
from fastmlp.kernels.core.jit import callable_kernel

DTYPES = pytest.mark.parametrize("dtype", [np.float32, np.float64])


@callable_kernel
def product(x, factor, out):
    for i in range(x.size):
        out[i] = x[i] * factor


@DTYPES
def test_what_is_too_small_is_zero_going_in_and_coming_out(dtype):
    info = np.finfo(dtype)
    x = np.array([info.tiny, info.smallest_subnormal, info.tiny * 2, -info.tiny], dtype)
    out = np.full(4, np.nan, dtype)
    product(x, dtype(0.5), out)
    assert out.tolist() == [0, 0, info.tiny, 0]
    product(x, dtype(2.0), out)
    assert out.tolist() == [2 * info.tiny, 0, 4 * info.tiny, -2 * info.tiny]


@DTYPES
def test_a_caller_has_denormals_again(dtype):
    halved = np.array([np.finfo(dtype).tiny], dtype)
    scan(halved[None])
    assert halved[0] / 2 > 0
    assert product(halved, dtype(1), halved) is None and (halved * dtype(0.5))[0] > 0


@pytest.mark.parametrize("n_threads", [1, 2])
def test_what_a_step_makes_too_small_is_zero_in_every_thread(n_threads):
    # by Adam, whose second moments are squares
    tiny = float(np.finfo(np.float32).tiny)
    set_num_threads(n_threads)
    try:
        model = MLP([64, 128, 10], dtype=np.float32, seed=0)
        loader = DataLoader(np.full((64, 64), 1e-18, np.float32), np.arange(64) % 10, 32)
        model.run_epoch(loader, np.arange(64), 1e-3, np.empty(2), Adam())
        seconds = np.concatenate([v.ravel() for v in model._kept.pairs(1)[0]])
    finally:
        set_num_threads(None)
    assert not np.any((seconds > 0) & (seconds < tiny))
    assert np.any(seconds == 0) and np.any(seconds > tiny)


@pytest.mark.parametrize(
    ("architecture", "expected"),
    [
        ("x86_64", ["llvm.x86.sse.stmxcsr", "or i32 %", ", 32832", "llvm.x86.sse.ldmxcsr"]),
        ("aarch64", ["llvm.aarch64.get.fpcr", ", 16777216", "llvm.aarch64.set.fpcr"]),
        ("riscv64", []),
    ],
)
def test_code_of_each_architecture(architecture, expected):
    module = ir.Module()
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), []), "f")
    builder = ir.IRBuilder(function.append_basic_block())
    emit_flush(builder, architecture)()
    builder.ret_void()
    llvm.parse_assembly(str(module)).verify()
    text, place = str(function), 0
    for piece in expected:
        place = text.index(piece, place)
    assert text.count("call") == (3 if expected else 0)


def by_steps(model, X, y, optimizer):
    model.forward(X, y)
    model.backward()
    model.step(optimizer)


WORK = {
    "epoch": lambda model, X, y, optimizer: model.run_epoch(
        DataLoader(X, y, 64), np.arange(len(X)), 0.0, np.empty(8), optimizer
    ),
    "steps": by_steps,
    "inference": lambda model, X, y, optimizer: model.logits(X),
}


@DTYPES
@pytest.mark.parametrize("optimizer", [SGD(0.0), Adam(0.0)], ids=["sgd", "adam"])
@pytest.mark.parametrize("work", WORK)
def test_denormals_cost_at_most_four_times_what_others_do(work, optimizer, dtype, threads):
    """Where they are not flushed it is ten times and more; processor time, which others do not take."""
    threads(1)
    rng, tiny = np.random.default_rng(0), np.finfo(dtype).tiny
    X, y = rng.uniform(0.1, 0.9, (512, 256)).astype(dtype), rng.integers(10, size=512)

    def seconds(of_inputs, of_weights):
        model, taken = MLP([256, 128, 10], seed=0, dtype=dtype), []
        model.set_weights([w * dtype(of_weights) for w in model.get_weights()])
        inputs = X * dtype(of_inputs)
        for _ in range(6):  # compiled by the first
            began = time.thread_time()
            WORK[work](model, inputs, y, optimizer)
            taken.append(time.thread_time() - began)
        return min(taken)

    normal, root = seconds(1, 1), tiny**0.5 / 8
    for scales in ((tiny, 1), (1, tiny), (tiny, tiny), (root, root)):  # the last ones' products are denormals
        assert seconds(*scales) <= 4 * normal
