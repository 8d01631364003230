"""Rows of a data set on their way to the first layer: converted and scaled."""

from ._jit import kernel
from ._simd import address, convert, prefetch

LONGEST = 1024  # bytes of a row that is asked for ahead


@kernel
def gather_row(x, sample, scale, target):
    """Write row `sample` of x, converted to the dtype of scale, then multiplied by it."""
    source = address(x, sample, 0)
    step = x.strides[1] // x.itemsize
    if step == 1:  # a loop of its own, which the compiler turns into vectors
        for j in range(x.shape[1]):
            target[j] = convert(source[j], scale) * scale
    else:
        for j in range(x.shape[1]):
            target[j] = convert(source[j * step], scale) * scale


@kernel
def prefetch_row(array, row):
    """Have a short row on its way from memory; a long one would push others out of the cache."""
    source = address(array, row, 0)
    size = array.itemsize if array.ndim == 1 else array.shape[1] * array.itemsize
    if array.strides[array.ndim - 1] == array.itemsize and size <= LONGEST:
        for line in range(0, size, 64):
            prefetch(source, line)
        prefetch(source, size - 1)
