"""Indices of what is not zero: which k the tiles of the first layer need to visit.

A row of int32 has the number of indices first, then room up to INDICES_HEADER, then the indices, ascending.
Neighbouring rows of the output share one: the features live in one of a group of samples going forward, the
samples live in one of a group of features for the weight gradient.
"""

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from . import machine
from .jit import kernel
from .matrix import offset, row_of, rows_of
from .simd import broadcast

# Samples that share the indices of features. With fewer, less is visited in vain, but a tile has fewer chains
# of sums in flight, and loads more for each of them.
SAMPLES = 2 if machine.vector_registers() == 32 else 4
FEATURES = 4  # that share the indices of samples; their masks are looked up in bits
INDICES_HEADER = 8  # elements before the first index
SLACK = 16  # elements behind the last index that may be written
WORD = 64  # bits of a word of the masks
BLOCK = 4  # words that indices of features cover at once: w's live rows of so many stay in the L1 cache


def indices_row(longest):
    """Elements of a row with up to `longest` indices, in whole cache lines."""
    return (INDICES_HEADER + longest + SLACK + 15) // 16 * 16


BLOCK_ROW = indices_row(BLOCK * WORD)


COMPRESSES = "+avx512f" in machine.features()


@intrinsic
def count_bits(typingctx, bits):
    """How many bits are set."""
    return types.intp(bits), lambda context, builder, signature, args: builder.ctpop(args[0])


@intrinsic
def lowest_bit(typingctx, bits):
    """Number of the lowest bit that is set; 64 where none is."""
    return types.intp(bits), lambda context, builder, signature, args: builder.cttz(args[0], ir.IntType(1)(0))


@intrinsic
def _compress(typingctx, ks, first, bits):
    """Write first + the number of each set bit of the lowest 16 to ks, and anything behind, 16 in all."""

    def generate(context, builder, signature, args):
        ks, first, bits = args
        whole, half = ir.VectorType(ir.IntType(32), 16), ir.IntType(16)
        ramp = ir.Constant(whole, list(range(16)))
        numbers = builder.add(ramp, broadcast(builder, builder.trunc(first, ir.IntType(32)), 16))
        mask = builder.bitcast(builder.trunc(bits, half), ir.VectorType(ir.IntType(1), 16))
        kind = ir.FunctionType(whole, [whole, whole, mask.type])
        name = "llvm.x86.avx512.mask.compress.v16i32"
        # to a register: to memory it takes some processors a hundred cycles
        packed = builder.call(
            cgutils.get_or_insert_function(builder.module, kind, name), [numbers, ramp, mask]
        )
        builder.store(packed, builder.bitcast(ks, whole.as_pointer()), align=4)
        return context.get_dummy_value()

    return types.void(ks, types.intp, types.uint64), generate


@kernel
def extend(ks, n, first, bits):
    """Append first + the number of each set bit to the n indices at ks; how many there are then."""
    total = n + count_bits(bits)
    if COMPRESSES:
        for quarter in range(0, WORD, 16):
            part = bits >> np.uint64(quarter)
            _compress(offset(ks, n), first + quarter, part)
            n += count_bits(part & np.uint64(0xFFFF))
    else:
        while n < total:
            # eight at once without looking: numbers behind the last are overwritten, or lie in the slack
            for i in range(8):
                ks[n + i] = np.int32(first + lowest_bit(bits))
                bits &= bits - np.uint64(1)
            n += 8
    return total


@kernel
def _live(words, samples, group, last, word):
    """One word of the features live in a group of samples, before the last one."""
    bits = np.uint64(0)
    for sample in range(group, group + SAMPLES):
        bits |= row_of(words, samples[min(sample, last - 1)])[word]
    return bits


@kernel
def index_features(masks, samples, first, last, indices):
    """Indices of the features live in each group of the samples first to last, block of words by block."""
    words = rows_of(masks, 0)
    for group in range(first, last, SAMPLES):
        row = row_of(indices, (group - first) // SAMPLES)
        for word in range(0, masks.shape[1], BLOCK):
            ks = offset(row, word // BLOCK * BLOCK_ROW)
            n = 0
            for each in range(word, min(masks.shape[1], word + BLOCK)):
                n = extend(
                    offset(ks, INDICES_HEADER), n, WORD * each, _live(words, samples, group, last, each)
                )
            ks[0] = n


@kernel
def count_visits(masks, samples, first, last):
    """How many features are live in a group of the samples first to last, summed over the groups."""
    visits, words = 0, rows_of(masks, 0)
    for group in range(first, last, SAMPLES):
        for word in range(masks.shape[1]):
            visits += count_bits(_live(words, samples, group, last, word))
    return visits


@kernel
def index_samples(masks, samples, word, n_features, indices):
    """Indices of the samples live in each group of the features of one word of the masks."""
    n_groups = (min(WORD, n_features - WORD * word) + FEATURES - 1) // FEATURES
    for group in range(n_groups):
        row_of(indices, group)[0] = 0
    words = rows_of(masks, 0)
    block = _word_block(np.uint64(0))
    for first in range(0, samples.size, WORD):
        here = min(WORD, samples.size - first)
        for i in range(here):
            block[i] = row_of(words, samples[first + i])[word]
        for i in range(here, WORD):
            block[i] = 0
        for group in range(n_groups):
            live = _which_have(block, np.uint64((1 << FEATURES) - 1) << np.uint64(FEATURES * group))
            ks = row_of(indices, group)
            ks[0] = extend(offset(ks, INDICES_HEADER), np.int64(ks[0]), first, live)


@intrinsic
def _word_block(typingctx, kind):
    """Pointer to 64 uint64 on the stack."""
    result = types.CPointer(kind)

    def generate(context, builder, signature, args):
        room = cgutils.alloca_once(builder, ir.ArrayType(args[0].type, WORD))
        room.align = 64
        return builder.bitcast(room, context.get_value_type(result))

    return result(kind), generate


@intrinsic
def _which_have(typingctx, block, bits):
    """Mask of which of 64 uint64 have one of these bits."""

    def generate(context, builder, signature, args):
        words = ir.VectorType(args[1].type, WORD)
        values = builder.load(builder.bitcast(args[0], words.as_pointer()), align=8)
        chosen = builder.and_(values, broadcast(builder, args[1], WORD))
        return builder.bitcast(
            builder.icmp_unsigned("!=", chosen, ir.Constant(words, [0] * WORD)), args[1].type
        )

    return types.uint64(block, bits), generate
