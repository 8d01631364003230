"""Vectors as wide as this processor's: load, store, splat, arithmetic."""

from llvmlite import ir
from numba.core import cgutils, types
from numba.core.datamodel import models
from numba.extending import intrinsic, register_model

from . import machine

VECTOR_BYTES = machine.VECTOR_BYTES
I32, I64 = ir.IntType(32), ir.IntType(64)


class Vector(types.Type):
    """Numba type of one register of floats, or of so many floats in as many registers as they take."""

    def __init__(self, dtype, count=None):
        self.dtype, self.count = dtype, count or VECTOR_BYTES * 8 // dtype.bitwidth
        super().__init__(name=f"Vector({dtype}, {self.count})")


@register_model(Vector)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, manager, kind):
        element = manager.lookup(kind.dtype).get_value_type()
        super().__init__(manager, kind, ir.VectorType(element, kind.count))


def vector_of(element):
    """LLVM type of a whole vector of float or double."""
    return ir.VectorType(element, VECTOR_BYTES // _bytes_of(element))


def _bytes_of(element):
    return 4 if isinstance(element, ir.FloatType) else 8


@intrinsic
def prefetch(typingctx, place):
    """Have the cache line at an address under way to the L2 cache."""

    def generate(context, builder, signature, args):
        emit_prefetch(builder, builder.inttoptr(args[0], ir.IntType(8).as_pointer()), "read")
        return context.get_dummy_value()

    return types.void(types.int64), generate


@intrinsic
def prefetch_to_write(typingctx, pointer, n):
    """Have the cache line n elements further on under way to the L1 cache, to be written."""

    def generate(context, builder, signature, args):
        emit_prefetch(builder, builder.gep(args[0], [args[1]]), "write")
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
        """Pointer to vectors on the stack, in the scalar's dtype; the first eight are filled with it."""
        result = types.CPointer(scalar)

        def generate(context, builder, signature, args):
            vector = vector_of(args[0].type)
            room = cgutils.alloca_once(builder, ir.ArrayType(vector, n_vectors))
            room.align = 64
            first = builder.bitcast(room, context.get_value_type(result))
            for v in range(min(8, n_vectors)):
                filled = broadcast(builder, args[0], vector.count)
                store_vector(builder, filled, builder.gep(first, [I64(v * vector.count)]))
            return first

        return result(scalar), generate

    return stack


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


def emit_prefetch(builder, pointer, use):
    """Have a cache line on its way: to "read" it into the L2 cache, to "write" it into the L1 cache."""
    line = builder.bitcast(pointer, ir.IntType(8).as_pointer())
    kind = ir.FunctionType(ir.VoidType(), [line.type, I32, I32, I32])
    function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
    rw, locality = {"read": (0, 2), "write": (1, 3), "soon": (0, 3)}[use]
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


def unary(builder, name, *args):
    """The LLVM intrinsic `name`, such as "fabs", "sqrt" or "copysign", of vectors of one type."""
    return _call(builder, name, args[0].type, args, args[0].type)


def _call(builder, name, vector, args, result, suffix=""):
    """Call the LLVM intrinsic `name` for this type of vector."""
    full = f"llvm.{name}.v{vector.count}f{8 * _bytes_of(vector.element)}{suffix}"
    kind = ir.FunctionType(result, [arg.type for arg in args])
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, full), args)


# --- vectors as values in kernels ------------------------------------------------------------------------


EIGHT = (
    8  # lanes of a vector that is as long on every processor, so that sums in its lanes have the same bits
)


def _load(doc, n_lanes=None):
    """Make the intrinsic that loads so many lanes, or as many as a register has."""

    def load(typingctx, pointer, count):
        kind = Vector(pointer.dtype, n_lanes)

        def generate(context, builder, signature, args):
            vector = context.get_value_type(kind)
            return load_vector(builder, args[0], vector, first_lanes(builder, vector, args[1]))

        return kind(pointer, types.intp), generate

    load.__doc__ = doc
    return intrinsic(load)


load = _load("Vector at `pointer`: its first `count` lanes, zero in the others.")
load_eight = _load("The same of eight lanes.", EIGHT)


@intrinsic
def store(typingctx, value, pointer, count):
    """Write the first `count` lanes of a vector to `pointer`."""

    def generate(context, builder, signature, args):
        store_vector(builder, args[0], args[1], first_lanes(builder, args[0].type, args[2]))
        return context.get_dummy_value()

    return types.void(value, pointer, types.intp), generate


def _splat(doc, n_lanes=None):
    """Make the intrinsic of so many lanes, or as many as a register has, that all equal a scalar."""

    def splat(typingctx, scalar):
        kind = Vector(scalar, n_lanes)
        return kind(scalar), lambda context, builder, signature, args: broadcast(builder, args[0], kind.count)

    splat.__doc__ = doc
    return intrinsic(splat)


splat = _splat("Vector whose lanes all equal `scalar`, in the scalar's dtype.")
eight = _splat("The same of eight lanes.", EIGHT)


@intrinsic
def rounded(typingctx, value, like):
    """Vector of as many lanes in the dtype of the scalar `like`, which may be the wider one."""
    kind = Vector(like, value.count)

    def generate(context, builder, signature, args):
        if kind == value:
            return args[0]
        change = builder.fpext if like.bitwidth > value.dtype.bitwidth else builder.fptrunc
        return change(args[0], context.get_value_type(kind))

    return kind(value, like), generate


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


def _smaller(builder, a, b):
    return _select(builder, ">", a, b, b, a)


add = _elementwise("a + b", lambda builder, a, b: builder.fadd(a, b))
sub = _elementwise("a - b", lambda builder, a, b: builder.fsub(a, b))
mul = _elementwise("a * b", lambda builder, a, b: builder.fmul(a, b))
div = _elementwise("a / b", lambda builder, a, b: builder.fdiv(a, b))
larger = _elementwise("the larger lanes; where one of both is NaN, those of a", _larger)
smaller = _elementwise("the smaller lanes; where one of both is NaN, those of a", _smaller)
at_least = _elementwise(
    "a where a >= b, and 0 elsewhere",
    lambda builder, a, b: _select(builder, ">=", a, b, a, constant(a.type, 0.0)),
)
where_positive = _elementwise(
    "b where a > 0, and 0 elsewhere",
    lambda builder, a, b: _select(builder, ">", a, constant(a.type, 0.0), b, constant(a.type, 0.0)),
)


@intrinsic
def choose(typingctx, a, b, c):
    """`b` where a > 0, and c elsewhere."""

    def generate(context, builder, signature, args):
        return _select(builder, ">", args[0], constant(args[0].type, 0.0), *args[1:])

    return a(a, b, c), generate


@intrinsic
def filled(typingctx, like, scalar):
    """Vector as wide as `like` whose lanes all equal the scalar, in its dtype."""

    def generate(context, builder, signature, args):
        number = context.cast(builder, args[1], scalar, like.dtype)
        return broadcast(builder, number, args[0].type.count)

    return like(like, scalar), generate


@intrinsic
def fma(typingctx, a, b, c):
    """`a * b + c` with one rounding."""

    def generate(context, builder, signature, args):
        return fused(builder, *args)

    return a(a, b, c), generate


@intrinsic
def sqrt(typingctx, a):
    """Square root, correctly rounded."""
    return a(a), lambda context, builder, signature, args: _call(
        builder, "sqrt", args[0].type, [args[0]], args[0].type
    )


@intrinsic
def keep_first(typingctx, value, count, fill):
    """Vector with the scalar `fill` in every lane from `count` on."""

    def generate(context, builder, signature, args):
        mask = first_lanes(builder, args[0].type, args[1])
        return builder.select(mask, args[0], broadcast(builder, args[2], args[0].type.count))

    return value(value, types.intp, fill), generate


def _across(doc, combine):
    """Make the intrinsic that combines all lanes, by halving."""

    def lane(typingctx, value):
        def generate(context, builder, signature, args):
            vector, count = args[0], args[0].type.count
            step = count // 2
            while step:
                order = ir.Constant(ir.VectorType(I32, count), [(i + step) % count for i in range(count)])
                vector = combine(builder, vector, builder.shuffle_vector(vector, vector, order))
                step //= 2
            return builder.extract_element(vector, I32(0))

        return value.dtype(value), generate

    lane.__doc__ = doc
    return intrinsic(lane)


largest_lane = _across("The largest lane.", _larger)
sum_of_lanes = _across("The sum of all lanes.", lambda builder, a, b: builder.fadd(a, b))
