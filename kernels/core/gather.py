"""Rows of a data set on their way to the first layer: read where they lie if the tile can, else copied."""

from typing import Any, NamedTuple

from numba.core import cgutils, types
from numba.extending import intrinsic

from .jit import kernel
from .matrix import GatheredColumns, GatheredRows, Matrix, address
from .simd import I64, VECTOR_BYTES, convert, lanes, prefetch, stack_of

LONGEST = 4096  # bytes of a row that is asked for ahead
N_BYTES = 256  # values of a byte

# Room for what each byte stands for.
byte_values = stack_of(N_BYTES * 8 // VECTOR_BYTES)


class Scaling(NamedTuple):
    """What a number of a data set comes to: times the scale, plus the shift of its column.

    The shift is split off, so that zeros can be skipped, but where inputs are dropped.
    """

    scale: Any
    values: Any  # of bytes, in all columns alike
    shift: Any  # pointer to a number a column
    is_split: bool
    is_added: bool


@intrinsic
def as_elements(typingctx, pointer, x, memory):
    """The same address as a pointer to what a tile reads: bytes of uint8 data, else the model's dtype."""
    result = types.CPointer(types.uint8) if x.dtype == types.uint8 else memory

    def generate(context, builder, signature, args):
        return builder.bitcast(args[0], context.get_value_type(result))

    return result(pointer, x, memory), generate


@kernel
def fill_values(values, given, scale, factor):
    """Write what each byte stands for: what is given, or else its number times scale; times the factor."""
    for byte in range(N_BYTES):
        values[byte] = (given[byte] if given.size else convert(byte, scale) * scale) * factor


@kernel
def in_place(x, memory, scale, dropped):
    """Whether a tile can read x where it lies: rows of bytes, or of the model's floats as they are."""
    if dropped:
        return False
    as_it_is = x.itemsize == 1 or (x.itemsize * lanes(memory) == VECTOR_BYTES and scale == 1)
    return as_it_is and x.strides[1] == x.itemsize and x.strides[0] % x.itemsize == 0


@kernel
def data_rows(x, scale, room, dropped):
    """The matrix that a tile reads: x itself, or the room, a matrix too, for copies of its rows."""
    if in_place(x, room.pointer, scale, dropped):
        return Matrix(as_elements(address(x, 0, 0), x, room.pointer), x.strides[0] // x.itemsize, 1)
    return Matrix(as_elements(room.pointer, x, room.pointer), room.row, 1)


@kernel
def gathered(a, row_indices, values):
    """Rows of a matrix by their indices."""
    return GatheredRows(a.pointer, a.row, a.column, row_indices, values)


@kernel
def gathered_transposed(a, row_indices, values):
    """The transpose of what `gathered` gives."""
    return GatheredColumns(a.pointer, a.column, a.row, row_indices, values)


@kernel
def gather_row(x, sample, scale, target):
    """Write row `sample` of x: bytes as they are, floats in the dtype of scale, multiplied by it."""
    source = address(x, sample, 0)
    step = x.strides[1] // x.itemsize
    factor = convert(1, target[0]) if x.itemsize == 1 else convert(scale, target[0])
    if step == 1:  # a loop of its own, which the compiler turns into vectors
        for j in range(x.shape[1]):
            target[j] = convert(source[j], target[0]) * factor
    else:
        for j in range(x.shape[1]):
            target[j] = convert(source[j * step], target[0]) * factor


@kernel
def shift_row(row, shift, n):
    """Add a number to each of a row of floats, in place."""
    for j in range(n):
        row[j] = convert(row[j] + shift[j], row[0])


@intrinsic
def row_bytes(typingctx, array, row):
    """Address of a row of an array, and its bytes: 0 where its elements do not lie side by side."""
    itemsize, last = I64(array.dtype.bitwidth // 8), array.ndim - 1

    def generate(context, builder, signature, args):
        view = context.make_array(array)(context, builder, args[0])
        strides, shape = (cgutils.unpack_tuple(builder, each) for each in (view.strides, view.shape))
        place = builder.add(builder.ptrtoint(view.data, I64), builder.mul(strides[0], args[1]))
        size = builder.mul(shape[1], itemsize) if last else itemsize
        size = builder.select(builder.icmp_signed("==", strides[last], itemsize), size, I64(0))
        return context.make_tuple(builder, signature.return_type, (place, size))

    return types.UniTuple(types.int64, 2)(array, types.intp), generate


@kernel
def prefetch_row(row):
    """Have a short row on its way from memory; a long one would push others out of the cache."""
    place, size = row
    if 0 < size <= LONGEST:
        for line in range(place, place + size, 64):
            prefetch(line)
        prefetch(place + size - 1)
