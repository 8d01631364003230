"""Vectors as wide as this processor's: addresses, load, store, splat, arithmetic and the exponential."""

import math

from llvmlite import ir
from numba.core import cgutils, types
from numba.core.datamodel import models
from numba.extending import intrinsic, register_model

from . import machine
from .jit import kernel

VECTOR_BYTES = machine.vector_bytes()
I32, I64 = ir.IntType(32), ir.IntType(64)


class Vector(types.Type):
    """Numba type of one register of floats."""

    def __init__(self, dtype):
        self.dtype = dtype
        super().__init__(name=f"Vector({dtype})")


@register_model(Vector)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, manager, kind):
        element = manager.lookup(kind.dtype).get_value_type()
        super().__init__(manager, kind, vector_of(element))


def vector_of(element):
    """LLVM type of a whole vector of float or double."""
    return ir.VectorType(element, VECTOR_BYTES // _bytes_of(element))


def _bytes_of(element):
    return 4 if isinstance(element, ir.FloatType) else 8


# --- addresses -------------------------------------------------------------------------------------------


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
def at(typingctx, pointer, n):
    """Pointer n elements further on."""

    def generate(context, builder, signature, args):
        return builder.gep(args[0], [args[1]])

    return pointer(pointer, types.intp), generate


@kernel
def rows_of(array, first):
    """Rows of a 2-D array from `first` on, as (pointer, elements from row to row)."""
    return address(array, first, 0), array.strides[0] // array.itemsize


@kernel
def below(rows, n):
    """The rows from the n-th on of (pointer, elements from row to row)."""
    return at(rows[0], n * rows[1]), rows[1]


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
def prefetch(typingctx, pointer, n):
    """Ask for the cache line n bytes further on, to be there soon."""

    def generate(context, builder, signature, args):
        data = builder.bitcast(args[0], ir.IntType(8).as_pointer())
        ask_for(builder, builder.gep(data, [args[1]]), "read")
        return context.get_dummy_value()

    return types.void(pointer, types.intp), generate


@intrinsic
def lanes(typingctx, pointer):
    """Lanes of a vector of what `pointer` points to."""
    n = VECTOR_BYTES * 8 // pointer.dtype.bitwidth
    return types.intp(pointer), lambda context, builder, signature, args: I64(n)


def stack_of(n_vectors):
    """Make the intrinsic that reserves vectors on the stack, once a call of the function that uses it."""

    @intrinsic
    def stack(typingctx, scalar):
        """Pointer to vectors on the stack, in the scalar's dtype; the first four are filled with it."""
        result = types.CPointer(scalar)

        def generate(context, builder, signature, args):
            vector = vector_of(args[0].type)
            room = cgutils.alloca_once(builder, ir.ArrayType(vector, n_vectors))
            room.align = 64
            first = builder.bitcast(room, context.get_value_type(result))
            for v in range(min(4, n_vectors)):
                filled = broadcast(builder, args[0], vector.count)
                store_vector(builder, filled, builder.gep(first, [I64(v * vector.count)]))
            return first

        return result(scalar), generate

    return stack


two_vectors = stack_of(2)


@intrinsic
def convert(typingctx, value, like):
    """The scalar `value` in the dtype of the scalar `like`."""

    def generate(context, builder, signature, args):
        return context.cast(builder, args[0], value, like)

    return like(value, like), generate


# --- pieces of code that generators share ----------------------------------------------------------------


def broadcast(builder, scalar, count):
    """Vector whose lanes all equal `scalar`."""
    undefined = ir.Constant(ir.VectorType(scalar.type, count), ir.Undefined)
    one = builder.insert_element(undefined, scalar, I32(0))
    return builder.shuffle_vector(one, undefined, ir.Constant(ir.VectorType(I32, count), [0] * count))


def ask_for(builder, pointer, use):
    """Have a cache line on its way: to "read" it into the L2 cache, to "write" it into the L1 cache."""
    line = builder.bitcast(pointer, ir.IntType(8).as_pointer())
    kind = ir.FunctionType(ir.VoidType(), [line.type, I32, I32, I32])
    function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
    rw, locality = {"read": (0, 2), "write": (1, 3)}[use]
    builder.call(function, [line, I32(rw), I32(locality), I32(1)])  # 1: data, not code


def constant(vector, number):
    """Vector constant whose lanes all equal `number`."""
    return ir.Constant(vector, [ir.Constant(vector.element, number)] * vector.count)


def first_lanes(builder, vector, count):
    """Mask of the first `count` lanes of the type `vector`; `count` may lie outside 0 to lanes."""
    ramp = ir.Constant(ir.VectorType(I64, vector.count), list(range(vector.count)))
    return builder.icmp_signed("<", ramp, broadcast(builder, count, vector.count))


def load_vector(builder, pointer, vector, mask=None):
    """Load a vector from any element's address; lanes outside the mask are zero and not touched."""
    place = builder.bitcast(pointer, vector.as_pointer())
    align = _bytes_of(vector.element)
    if mask is None:
        return builder.load(place, align=align)
    return _call(
        builder, "masked.load", vector, [place, I32(align), mask, constant(vector, 0.0)], vector, ".p0"
    )


def store_vector(builder, value, pointer, mask=None):
    """Store a vector at any element's address; lanes outside the mask are not touched."""
    place = builder.bitcast(pointer, value.type.as_pointer())
    align = _bytes_of(value.type.element)
    if mask is None:
        builder.store(value, place, align=align)
    else:
        _call(builder, "masked.store", value.type, [value, place, I32(align), mask], ir.VoidType(), ".p0")


def fused(builder, a, b, c):
    """`a * b + c` of vectors with one rounding."""
    return _call(builder, "fma", a.type, [a, b, c], a.type)


def _call(builder, name, vector, args, result, suffix=""):
    """Call the LLVM intrinsic `name` for this type of vector."""
    full = f"llvm.{name}.v{vector.count}f{8 * _bytes_of(vector.element)}{suffix}"
    kind = ir.FunctionType(result, [arg.type for arg in args])
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, full), args)


# --- vectors as values in kernels ------------------------------------------------------------------------


@intrinsic
def load(typingctx, pointer, count):
    """Vector at `pointer`: its first `count` lanes, zero in the others."""

    def generate(context, builder, signature, args):
        vector = vector_of(context.get_value_type(pointer.dtype))
        return load_vector(builder, args[0], vector, first_lanes(builder, vector, args[1]))

    return Vector(pointer.dtype)(pointer, types.intp), generate


@intrinsic
def store(typingctx, value, pointer, count):
    """Write the first `count` lanes of a vector to `pointer`."""

    def generate(context, builder, signature, args):
        store_vector(builder, args[0], args[1], first_lanes(builder, args[0].type, args[2]))
        return context.get_dummy_value()

    return types.void(value, pointer, types.intp), generate


@intrinsic
def splat(typingctx, scalar):
    """Vector whose lanes all equal `scalar`, in the scalar's dtype."""

    def generate(context, builder, signature, args):
        return broadcast(builder, args[0], vector_of(args[0].type).count)

    return Vector(scalar)(scalar), generate


def _elementwise(doc, build):
    """Make the intrinsic of an operation on two vectors."""

    def operation(typingctx, a, b):
        def generate(context, builder, signature, args):
            return build(builder, *args)

        return a(a, b), generate

    operation.__doc__ = doc
    return intrinsic(operation)


def _select(builder, comparison, a, b, chosen, otherwise):
    return builder.select(builder.fcmp_ordered(comparison, a, b), chosen, otherwise)


def _larger(builder, a, b):
    return _select(builder, "<", a, b, b, a)


sub = _elementwise("a - b", lambda builder, a, b: builder.fsub(a, b))
div = _elementwise("a / b", lambda builder, a, b: builder.fdiv(a, b))
larger = _elementwise("the larger lanes; where one of both is NaN, those of a", _larger)
where_positive = _elementwise(
    "b where a > 0, and 0 elsewhere",
    lambda builder, a, b: _select(builder, ">", a, constant(a.type, 0.0), b, constant(a.type, 0.0)),
)


@intrinsic
def fma(typingctx, a, b, c):
    """`a * b + c` with one rounding."""

    def generate(context, builder, signature, args):
        return fused(builder, *args)

    return a(a, b, c), generate


@intrinsic
def keep_first(typingctx, value, count, fill):
    """Vector with the scalar `fill` in every lane from `count` on."""

    def generate(context, builder, signature, args):
        mask = first_lanes(builder, args[0].type, args[1])
        return builder.select(mask, args[0], broadcast(builder, args[2], args[0].type.count))

    return value(value, types.intp, fill), generate


@intrinsic
def largest_lane(typingctx, value):
    """The largest lane, by halving."""

    def generate(context, builder, signature, args):
        vector, count = args[0], args[0].type.count
        step = count // 2
        while step:
            order = ir.Constant(ir.VectorType(I32, count), [(lane + step) % count for lane in range(count)])
            vector = _larger(builder, vector, builder.shuffle_vector(vector, vector, order))
            step //= 2
        return builder.extract_element(vector, I32(0))

    return value.dtype(value), generate


@intrinsic
def exp(typingctx, x):
    """Exponential of lanes that are at most 0 or NaN; within 2 u of the true value where that is normal.

    With n = round(x / ln 2) and r = x - n ln 2, |r| <= ln 2 / 2, it is 2**n times the Taylor sum of e**r;
    the first term left out is below u / 8 (Muller, Elementary Functions, chapter 11: argument reduction
    in two parts). Below the logarithm of the smallest normal number it is 0; NaN stays NaN.
    """
    double = x.dtype == types.float64
    bits, mantissa, terms, smallest = (
        (64, 52, 13, -708.3964185322641) if double else (32, 23, 7, -87.33654022216797)
    )
    ln2_high = 0.6931471805599453 if double else 0.693147182464599609375
    ln2_low = 2.3190468138462996e-17 if double else -1.904654299957768e-9

    def generate(context, builder, signature, args):
        (value,) = args
        vector = value.type
        whole = ir.VectorType(ir.IntType(bits), vector.count)
        number = lambda c: constant(vector, c)  # noqa: E731
        integer = lambda c: ir.Constant(whole, [c] * vector.count)  # noqa: E731
        magic = number(1.5 * 2.0**mantissa)  # adding it rounds to a whole number, in the lowest bits
        under = builder.fcmp_ordered("<", value, number(smallest))
        shifted = fused(builder, value, number(1 / math.log(2)), magic)
        n = builder.fsub(shifted, magic)
        r = fused(builder, n, number(-ln2_high), value)
        r = fused(builder, n, number(-ln2_low), r)
        total = number(1 / math.factorial(terms))
        for k in reversed(range(terms)):
            total = fused(builder, total, r, number(1 / math.factorial(k)))
        power = builder.shl(builder.bitcast(shifted, whole), integer(mantissa))
        power = builder.add(power, integer((2 ** (bits - mantissa - 2) - 1) << mantissa))
        result = builder.fmul(total, builder.bitcast(power, vector))
        return builder.select(under, number(0.0), result)

    return x(x), generate


@intrinsic
def log(typingctx, x):
    """Natural logarithm of a float64 that is normal and positive, within 4 u; NaN stays NaN.

    With x = 2**e m, sqrt(1/2) <= m < sqrt(2), and s = (m - 1) / (m + 1), it is e ln 2 + 2 artanh(s), by the
    Taylor sum of artanh; s**2 is below 0.03, so that the first term left out is below u / 8 (Muller,
    Elementary Functions, chapter 11). No call into a library, which would save all vector registers.
    """
    if x != types.float64:
        return None

    def generate(context, builder, signature, args):
        number = args[0].type
        lowest = I64(0x3FE6A09E667F3BCD)  # the bits of sqrt(1/2)
        bits = builder.bitcast(args[0], I64)
        exponent = builder.ashr(builder.sub(bits, lowest), I64(52))
        m = builder.bitcast(builder.sub(bits, builder.shl(exponent, I64(52))), number)
        s = builder.fdiv(builder.fsub(m, number(1.0)), builder.fadd(m, number(1.0)))
        square = builder.fmul(s, s)
        total = number(1 / 21)
        for k in range(19, 0, -2):
            total = builder.fma(total, square, number(1 / k))
        whole = builder.fmul(builder.fadd(s, s), total)
        result = builder.fma(builder.sitofp(exponent, number), number(math.log(2)), whole)
        return builder.fadd(result, builder.fsub(args[0], args[0]))  # 0, or NaN where x is NaN

    return x(x), generate
