"""Matrices and addresses as values in compiled code."""

from typing import Any, NamedTuple

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from .jit import kernel

I64 = ir.IntType(64)


@intrinsic
def address(typingctx, array, i, j):
    """Pointer to `array[i, j]`; for a 1-D array to `array[i]`, where j is not looked at."""
    result = types.CPointer(array.dtype)

    def generate(context, builder, signature, args):
        view = context.make_array(array)(context, builder, args[0])
        place = builder.ptrtoint(view.data, I64)
        for stride, index in zip(cgutils.unpack_tuple(builder, view.strides), args[1:], strict=False):
            place = builder.add(place, builder.mul(stride, index))
        return builder.inttoptr(place, context.get_value_type(result))

    return result(array, types.intp, types.intp), generate


@intrinsic
def offset(typingctx, pointer, n):
    """Pointer n elements further on."""

    def generate(context, builder, signature, args):
        return builder.gep(args[0], [args[1]])

    return pointer(pointer, types.intp), generate


@intrinsic
def aligned(typingctx, pointer):
    """Pointer at or behind this one, by less than 64 bytes, to the start of a cache line."""

    def generate(context, builder, signature, args):
        place = builder.and_(builder.add(builder.ptrtoint(args[0], I64), I64(63)), I64(-64))
        return builder.inttoptr(place, args[0].type)

    return pointer(pointer), generate


@intrinsic
def cast(typingctx, pointer, dtype):
    """The same address as a pointer to elements of another dtype, such as np.float64."""
    result = types.CPointer(dtype.instance_type)

    def generate(context, builder, signature, args):
        return builder.bitcast(args[0], context.get_value_type(result))

    return result(pointer, dtype), generate


@intrinsic
def distance(typingctx, pointer, base):
    """Elements from `base` on to where a pointer points."""

    def generate(context, builder, signature, args):
        places = [builder.ptrtoint(arg, I64) for arg in args]
        return builder.sdiv(builder.sub(*places), I64(pointer.dtype.bitwidth // 8))

    return types.intp(pointer, base), generate


class Matrix(NamedTuple):
    """A matrix as one value in compiled code: element (i, j) is pointer[i * row + j * column].

    A row's elements lie side by side; column is 0 instead of 1 where every panel of columns is the same.
    """

    pointer: Any
    row: int
    column: int


class Transposed(NamedTuple):
    """The transpose of a matrix: row is always 1, and a product's code relies on it."""

    pointer: Any
    row: int
    column: int


class GatheredRows(NamedTuple):
    """Rows of a data set: (i, j) is pointer[row_indices[i] * row + j * column]; bytes stand for values."""

    pointer: Any
    row: int
    column: int
    row_indices: Any
    values: Any


class GatheredColumns(NamedTuple):
    """The transpose of gathered rows: element (i, j) is pointer[i * row + row_indices[j] * column]."""

    pointer: Any
    row: int
    column: int
    row_indices: Any
    values: Any


class Panels(NamedTuple):
    """A matrix in panels of columns, one behind the other, the rows of each side by side.

    Of panels so many elements apart, each `row` wide, it begins `first` columns behind the first one's start.
    """

    pointer: Any  # to its first row in the first panel
    row: int
    panel: int
    first: int


@intrinsic
def submatrix(typingctx, a, row, column):
    """What a matrix, gathered or not, holds from (row, column) on."""

    def generate(context, builder, signature, args):
        whole, *steps = args
        if a.instance_class is Panels:
            pointer, width, _, first = cgutils.unpack_tuple(builder, whole)
            whole = builder.insert_value(whole, builder.gep(pointer, [builder.mul(steps[0], width)]), 0)
            return builder.insert_value(whole, builder.add(first, steps[1]), 3)
        pointer, *strides = [builder.extract_value(whole, i) for i in range(3)]
        gathered = {GatheredRows: 0, GatheredColumns: 1}.get(a.instance_class)
        for direction in {0, 1} - {gathered}:
            pointer = builder.gep(pointer, [builder.mul(steps[direction], strides[direction])])
        if gathered is not None:
            indices = builder.gep(builder.extract_value(whole, 3), [steps[gathered]])
            whole = builder.insert_value(whole, indices, 3)
        return builder.insert_value(whole, pointer, 0)

    return a(a, types.intp, types.intp), generate


@intrinsic
def _placed(typingctx, a, pointer):
    """The same matrix elsewhere."""
    return a(a, pointer), lambda context, builder, signature, args: builder.insert_value(*args, 0)


@kernel
def moved(a, base, other):
    """The matrix that lies from `other` on as `a` lies from `base` on."""
    return _placed(a, offset(other, distance(a.pointer, base)))


def _place_in_panel(builder, a, column):
    """Panel that a column lies in, and which one it is there, of the unpacked fields of `Panels`."""
    _, width, _, first = a
    place = builder.add(first, column)
    panel = builder.udiv(place, width)
    return panel, builder.sub(place, builder.mul(panel, width))


@intrinsic
def strip(typingctx, a, column):
    """Matrix of the columns of `a` from a column on that lie side by side; `strip_width` says how many."""
    in_panels = a.instance_class is Panels
    result = types.NamedTuple((a[0], types.intp, types.intp), Matrix) if in_panels else a

    def generate(context, builder, signature, args):
        whole, column = args
        pointer, width, apart, _ = fields = cgutils.unpack_tuple(builder, whole)
        panel, within = _place_in_panel(builder, fields, column)
        pointer = builder.gep(pointer, [builder.add(builder.mul(panel, apart), within)])
        return context.make_tuple(builder, result, (pointer, width, I64(1)))

    def generate_plain(context, builder, signature, args):
        whole, column = args
        pointer, _, step = cgutils.unpack_tuple(builder, whole)
        return builder.insert_value(whole, builder.gep(pointer, [builder.mul(column, step)]), 0)

    return result(a, types.intp), generate if in_panels else generate_plain


@intrinsic
def strip_width(typingctx, a, column, columns):
    """Of so many columns of `a` from a column on, how many lie side by side."""

    def generate(context, builder, signature, args):
        whole, column, columns = args
        if a.instance_class is not Panels:
            return columns
        fields = cgutils.unpack_tuple(builder, whole)
        left = builder.sub(fields[1], _place_in_panel(builder, fields, column)[1])
        return builder.select(builder.icmp_signed("<", left, columns), left, columns)

    return types.intp(a, types.intp, types.intp), generate


@kernel
def rows_of(array, first):
    """Matrix of the rows of a 2-D array from `first` on, whose elements lie side by side."""
    return Matrix(address(array, first, 0), array.strides[0] // array.itemsize, 1)


@kernel
def weights_of(array):
    """Matrix of a 2-D array, or the panels of a 3-D one: training by steps hands them on as they lie."""
    if array.ndim == 3:
        return Panels(
            address(array, 0, 0), array.strides[1] // array.itemsize, array.strides[0] // array.itemsize, 0
        )
    return Matrix(address(array, 0, 0), array.strides[0] // array.itemsize, 1)


@kernel
def transposed(a):
    """The transpose of a matrix."""
    return Transposed(a.pointer, a.column, a.row)


@kernel
def row_of(a, i):
    """Pointer to row i of a matrix."""
    return offset(a.pointer, i * a.row)
