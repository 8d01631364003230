"""What the processor can do at most, and the tile at its work: loops to be timed in turn."""

import time

import numpy as np
from numba.core import types
from numba.extending import intrinsic

from . import threads
from .jit import entry
from .matrix import Matrix, address, rows_of, transposed
from .simd import I64, VECTOR_BYTES, constant, fused, load_vector, store_vector, vector_of
from .tile import MANY_REGISTERS, product, product_step, tile_vectors

# Chains of fused multiply-adds in flight: at least as many as hide the latency of one on every unit (2 units
# of 4 cycles, or 4 of 4), at most what fits in the registers beside two operands.
CHAINS = (12, 16, 20, 24) if MANY_REGISTERS else (12, 13, 14)
# Fused multiply-adds of vectors in a run on each thread: about 1 ms; and with several threads, which take
# some 30 µs to wake, about 4 ms.
FMAS, FMAS_TOGETHER = 1 << 23, 1 << 25


def rate(n_chains, dtype=np.float32, fmas=None):
    """Floating-point operations a second, of one run on as many threads as are set, all at once."""
    n_threads = threads.thread_count(FMAS_TOGETHER << 10)
    n = (fmas or (FMAS if n_threads == 1 else FMAS_TOGETHER)) // n_chains
    lanes = VECTOR_BYTES // np.dtype(dtype).itemsize
    ones, sums = np.ones((2, lanes), dtype), np.zeros((n_threads, lanes), dtype)
    start = time.perf_counter()
    threads.parallel(_run, n_threads, ones, sums, n_chains, n)
    seconds = time.perf_counter() - start
    took_part = np.count_nonzero(sums[:, 0])
    return 2 * lanes * n_chains * n * took_part / seconds


def measure(dtype=np.float32, runs=20):
    """Best of so many runs of each loop."""
    for n_chains in CHAINS:  # compiles, and wakes the processor
        rate(n_chains, dtype, FMAS // 64)
    return max(rate(n_chains, dtype) for _ in range(runs) for n_chains in CHAINS)


@entry("sums")
def _run(operands, sums, n_chains, n, sync, thread, n_threads):
    threads.barrier(sync, n_threads)
    _chains(address(operands, 0, 0), address(operands, 1, 0), n_chains, n, address(sums, thread, 0))


@intrinsic
def _chains(typingctx, factor, term, n_chains, n, total):
    """Run n_chains chains of n >= 1 steps acc = fma(factor, acc, term); store the sum of all acc.

    Chain c starts at term + c. With ones in both operands a chain counts its own steps: nothing is left out,
    overflows or becomes denormal, and the result says how many steps there were.
    """

    def generate(context, builder, signature, args):
        factor, term, n_chains, n, total = args
        vector = vector_of(factor.type.pointee)
        operands = [load_vector(builder, pointer, vector) for pointer in (factor, term)]
        done = builder.append_basic_block("done")
        for count in CHAINS:
            with builder.if_then(builder.icmp_signed("==", n_chains, I64(count))):
                store_vector(builder, _emit_chains(builder, *operands, count, n), total)
        builder.branch(done)
        builder.position_at_end(done)
        return context.get_dummy_value()

    whole = types.intp
    return types.void(factor, term, whole, whole, total), generate


def _emit_chains(builder, factor, term, count, n):
    """Emit the loop over so many chains; the sum of them all."""
    # apart from the start, or the compiler would keep one chain for all
    starts = [builder.fadd(term, constant(term.type, float(chain))) for chain in range(count)]
    before, loop, after = (
        builder.block,
        builder.append_basic_block("chains"),
        builder.append_basic_block("end"),
    )
    builder.branch(loop)
    builder.position_at_end(loop)
    left = builder.phi(I64)
    sums = [builder.phi(term.type) for _ in starts]
    following = [builder.sub(left, I64(1))] + [fused(builder, factor, acc, term) for acc in sums]
    for phi, first, again in zip([left, *sums], [n, *starts], following, strict=True):
        phi.add_incoming(first, before)
        phi.add_incoming(again, loop)
    builder.cbranch(builder.icmp_signed("<", I64(0), following[0]), loop, after)
    builder.position_at_end(after)
    total = following[1]
    for acc in following[2:]:
        total = builder.fadd(total, acc)
    return total


@entry("y")
def forward_tiles(x, w, b, y, times):
    """Compute y = max(x @ w + b, 0) so many times, on this thread, by tiles alone."""
    a, biases, (n_in, n_out) = rows_of(x, 0), Matrix(address(b, 0, 0), 0, 1), w.shape
    for _ in range(times):
        product(a, rows_of(w, 0), rows_of(y, 0), x.shape[0], n_out, n_in, biases, x.dtype.type(0))


@entry("w")
def step_tiles(x, dy, w, lr, times):
    """Compute w -= lr * x.T @ dy so many times, on this thread, by tiles alone."""
    a, (n_in, n_out) = transposed(rows_of(x, 0)), w.shape
    zeros = Matrix(tile_vectors(x.dtype.type(0)), 0, 0)
    for _ in range(times):
        product_step(a, rows_of(dy, 0), rows_of(w, 0), n_in, n_out, x.shape[0], zeros, lr)
