"""One pass over a data set: finite, largest magnitude, density; and masks of what is not zero."""

import numpy as np
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from .core.jit import entry, kernel
from .core.matrix import address, offset, rows_of
from .core.simd import constant


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
    bits, filled = _scan(x.T if across else x)
    if x.dtype == np.uint8:
        largest = float(bits)
    else:
        largest = float(np.array(bits, f"u{x.itemsize}").view(x.dtype))
    finite = bool(np.isfinite(largest))
    return finite, largest if finite else np.inf, filled / max(1, x.size)


@entry()
def _scan(x):
    largest, filled = magnitude(x.dtype.type(0)), 0
    step = x.strides[1] // x.itemsize
    for i in range(x.shape[0]):
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
    return np.uint64(largest), filled


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
    _zero_masks(x, masks)


@entry("masks")
def _zero_masks(x, masks):
    for i in range(x.shape[0]):
        mask_row(x, i, rows_of(masks, i).pointer, masks.shape[1])


@kernel
def mask_row(x, i, mask, n_words):
    """Mask of row i of x."""
    step = x.strides[1] // x.itemsize
    n = x.shape[1]
    row = address(x, i, 0)
    for word in range(n_words):
        first = 64 * word
        if step == 1 and first + 64 <= n:
            mask[word] = nonzero_bits(offset(row, first))
        else:
            bits = np.uint64(0)
            for j in range(first, min(n, first + 64)):
                bits |= np.uint64(row[j * step] != 0) << np.uint64(j - first)
            mask[word] = bits


@intrinsic
def nonzero_bits(typingctx, pointer):
    """Mask of which of 64 elements are not 0."""

    def generate(context, builder, signature, args):
        element = context.get_value_type(pointer.dtype)
        vector = ir.VectorType(element, 64)
        values = builder.load(builder.bitcast(args[0], vector.as_pointer()), align=1)
        if isinstance(element, ir.IntType):
            bits = builder.icmp_unsigned("!=", values, ir.Constant(vector, [0] * 64))
        else:
            bits = builder.fcmp_unordered("!=", values, constant(vector, 0.0))
        return builder.bitcast(bits, ir.IntType(64))

    return types.uint64(pointer), generate
