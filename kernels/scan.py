"""One pass over a data set: finite, largest magnitude, density; masks of zeros; bytes for its values."""

from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from .core import threads
from .core.jit import entry, kernel
from .core.matrix import address, offset, rows_of
from .core.sparsity import WORD, lowest_bit

_WORK = 64  # multiplications that an element takes as long as
N_CODES = 256  # of a byte
_N_SLOTS, _SLOT_BITS = 2048, 11  # of a table of them by their values, most of it empty
# 2**64 over the golden ratio: multiples of it are spread (Knuth, The Art of Computer Programming, 6.4)
_SPREAD = np.uint64(0x9E3779B97F4A7C15)
_FIRST_ROWS = 4096  # that one thread learns the values from, for the others to look them up


def scan(x):
    """Facts of a data set.

    Parameters
    ----------
    x : (n, n_features)    uint8, float32 or float64, any strides

    Returns
    -------
    finite : bool      no element is NaN or infinite
    largest : float    the largest magnitude, 0 where x is empty; inf where x is not finite
    density : float    share of the elements that are not 0

    Twin: `fastmlp.reference.scan`.
    """
    # the longer loop inside; the stride of a single row or column says nothing
    across = x.shape[1] == 1 or (x.shape[0] > 1 and abs(x.strides[0]) < abs(x.strides[1]))
    n_threads = threads.thread_count(_WORK * x.size)
    found = np.zeros((n_threads, 8), np.uint64)  # a cache line a thread
    threads.parallel(_scan, n_threads, x.T if across else x, found)
    of_threads = found[:, :2].tolist()
    bits, filled = max(bits for bits, _ in of_threads), sum(filled for _, filled in of_threads)
    if x.dtype == np.uint8:
        largest = float(bits)
    else:
        largest = float(np.array(bits, f"u{x.itemsize}").view(x.dtype))
    finite = bool(np.isfinite(largest))
    return finite, largest if finite else np.inf, filled / max(1, x.size)


@entry("found")
def _scan(x, found, sync, thread, n_threads):
    largest, filled = magnitude(x.dtype.type(0)), 0
    step = x.strides[1] // x.itemsize
    first, last = threads.thread_range(x.shape[0], thread, n_threads)
    for i in range(first, last):
        row = address(x, i, 0)
        if step == 1:  # a loop of its own, which the compiler turns into vectors
            for j in range(x.shape[1]):
                bits = magnitude(row[j])
                largest = bits if bits > largest else largest
                filled += bits != 0
        else:
            for j in range(x.shape[1]):
                bits = magnitude(row[j * step])
                largest = bits if bits > largest else largest
                filled += bits != 0
    found[thread, 0], found[thread, 1] = largest, filled


@intrinsic
def magnitude(typingctx, value):
    """The bits of |value| as an integer: they grow with the magnitude, infinity and NaN above all others."""
    result = {8: types.uint8, 32: types.uint32, 64: types.uint64}[value.bitwidth]

    def generate(context, builder, signature, args):
        if value == types.uint8:
            return args[0]
        whole = ir.IntType(value.bitwidth)
        return builder.and_(builder.bitcast(args[0], whole), whole(2 ** (value.bitwidth - 1) - 1))

    return result(value), generate


def zero_masks(x, masks):
    """Bit masks of the elements that are not 0.

    Parameters
    ----------
    x : (n, n_features)    uint8, float32 or float64, any strides; NaN is not 0
    masks : output         uint64 (n, ceil(n_features / 64)), overwritten: bit j % 64 of word j // 64 of a row

    Twin: `fastmlp.reference.zero_masks`.
    """
    threads.parallel(_zero_masks, threads.thread_count(_WORK * x.size), x, masks)


@entry("masks")
def _zero_masks(x, masks, sync, thread, n_threads):
    first, last = threads.thread_range(x.shape[0], thread, n_threads)
    for i in range(first, last):
        mask_row(x, i, rows_of(masks, i).pointer, masks.shape[1])


def byte_codes(x, masks, codes, values):
    """The masks of `zero_masks`; and x as bytes, where it has no more values than those, and no -0.

    Parameters
    ----------
    x : (n, n_features)    float32 or float64, any strides
    masks : output         as of `zero_masks`
    codes : output         uint8 (n, n_features), zeros before: x is values[codes]
    values : output        (256,) in the dtype of x, zeros before: 0, then all others as they first come

    Returns
    -------
    Whether codes and values are made; if not, they are of no use.

    Twin: `fastmlp.reference.byte_codes`.
    """
    n_threads = threads.thread_count(_WORK * x.size)
    for n_first in (min(_FIRST_ROWS, len(x)), len(x)):
        keys, numbers = np.zeros(_N_SLOTS, np.uint64), np.zeros(_N_SLOTS, np.uint8)
        state = np.ones(2, np.int64)
        args = x, masks, codes, values, keys, numbers, state, n_first
        threads.parallel(_byte_codes, n_threads, *args)
        n_values, is_made = state.tolist()
        if is_made:
            return True
        if n_values > N_CODES:
            break
        n_threads = 1  # a value that the first rows have not
    zero_masks(x, masks)
    return False


@entry("masks", "codes", "values", "keys", "numbers", "state")
def _byte_codes(x, masks, codes, values, keys, numbers, state, n_first, sync, thread, n_threads):
    known = Known(address(keys, 0, 0), address(numbers, 0, 0), address(values, 0, 0))
    if thread == 0:
        state[0] = _code_rows(x, 0, n_first, masks, codes, known, 1, N_CODES)
    threads.barrier(sync, n_threads)
    n_values = state[0]
    first, last = threads.thread_range(x.shape[0] - n_first, thread, n_threads)
    if _code_rows(x, n_first + first, n_first + last, masks, codes, known, n_values, n_values) > N_CODES:
        state[1] = 0


class Known(NamedTuple):
    """A table of values by the bits that they have."""

    keys: Any  # pointer to those bits; 0, which no +0 is looked up by, where nothing is
    numbers: Any  # and to the number of each
    values: Any  # to the values by their numbers


@kernel
def _code_rows(x, first, last, masks, codes, known, n_values, most):
    """Masks and codes of rows of x; the number of values then known, N_CODES + 1 where over `most`."""
    step = x.strides[1] // x.itemsize
    for i in range(first, last if n_values <= N_CODES else first):
        row, mask, code = address(x, i, 0), rows_of(masks, i).pointer, rows_of(codes, i).pointer
        for word in range(masks.shape[1]):
            bits = _word_of(x, row, step, WORD * word, True)
            mask[word] = bits
            while bits:
                j = WORD * word + lowest_bit(bits)
                bits &= bits - np.uint64(1)
                slot = _slot_of(known.keys, key_of(row[j * step]))
                if known.keys[slot] == 0:
                    if n_values >= most or magnitude(row[j * step]) == 0:
                        return N_CODES + 1
                    known.keys[slot], known.numbers[slot] = key_of(row[j * step]), n_values
                    known.values[n_values] = row[j * step]
                    n_values += 1
                code[j] = known.numbers[slot]
    return n_values


@kernel
def _slot_of(keys, key):
    """Where a key is in a table, or belongs."""
    slot = (key * _SPREAD) >> np.uint64(WORD - _SLOT_BITS)
    while keys[slot] != key and keys[slot]:
        slot = (slot + np.uint64(1)) & np.uint64(_N_SLOTS - 1)
    return slot


@intrinsic
def key_of(typingctx, value):
    """The bits of a float, as an uint64."""

    def generate(context, builder, signature, args):
        bits = builder.bitcast(args[0], ir.IntType(value.bitwidth))
        return bits if value.bitwidth == 64 else builder.zext(bits, ir.IntType(64))

    return types.uint64(value), generate


@kernel
def mask_row(x, i, mask, n_words):
    """Mask of row i of x."""
    step, row = x.strides[1] // x.itemsize, address(x, i, 0)
    for word in range(n_words):
        mask[word] = _word_of(x, row, step, WORD * word, False)


@kernel
def _word_of(x, row, step, first, signs):
    """Mask of up to 64 elements of a row of x that are not 0; where signs count, neither -0 is."""
    if step == 1 and first + WORD <= x.shape[1]:
        here = offset(row, first)
        return any_bits(here) if signs else nonzero_bits(here)
    bits = np.uint64(0)
    for j in range(first, min(x.shape[1], first + WORD)):
        value = row[j * step]
        there = key_of(value) if signs else np.uint64(magnitude(value))
        bits |= np.uint64(there != 0) << np.uint64(j - first)
    return bits


def _make_bits(ignored):
    """Make the intrinsic that tells which of 64 elements have any bit set but the ignored highest ones."""

    @intrinsic
    def bits_of(typingctx, pointer):
        """Mask of which of 64 elements are not 0."""
        width, is_float = pointer.dtype.bitwidth, isinstance(pointer.dtype, types.Float)

        def generate(context, builder, signature, args):
            vector = ir.VectorType(ir.IntType(width), WORD)
            values = builder.load(builder.bitcast(args[0], vector.as_pointer()), align=1)
            zero = ir.Constant(vector, [0] * WORD)
            if is_float and ignored:
                values = builder.shl(values, ir.Constant(vector, [ignored] * WORD))
            return builder.bitcast(builder.icmp_unsigned("!=", values, zero), ir.IntType(WORD))

        return types.uint64(pointer), generate

    return bits_of


nonzero_bits, any_bits = _make_bits(1), _make_bits(0)  # without signs, and with them
