"""Elementary functions of vectors and scalars, within stated bounds.

u is the unit roundoff; an ulp is the distance of floats at the true value, 1 to 2 u of it.
"""

import math
from typing import NamedTuple

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from .simd import I32, I64, constant, fused, unary

# erf(x) = 1 - exp(-x Q(x)) for x >= 0: minimax polynomials for Q(x) = -log(erfc(x)) / x, lowest power first,
# by Remez' exchange in 60 digits for the relative error of erf (2**-31 up to 4, 2**-55 up to 6, where erf
# rounds to 1). One polynomial does for all x, for where x is large, little of Q's error is left in erf.
_ERF_32 = (
    1.128379167, 0.6366198346, 0.1027712771, -0.01911769487, -0.0002530608247, 0.001799353319,
    -0.0007406853746, 0.0001674806943, -2.135452947e-05, 1.193292466e-06,
)  # fmt: skip
_ERF_64 = (
    1.1283791670955126, 0.6366197723675909, 0.10277260330131546, -0.01912844699309483,
    -0.0002091948539219434, 0.001696207669851961, -0.0005901324300045106, 2.5904498874017334e-05,
    6.442047537595351e-05, -2.957567600385645e-05, 3.1696862854878533e-06, 3.1329440560366865e-06,
    -2.037171366504709e-06, 5.706198828391509e-07, -1.1700843032963423e-08, -6.573700350137034e-08,
    3.458614377765406e-08, -1.0773731097305358e-08, 2.360601421251091e-09, -3.7608604313999976e-10,
    4.301972511529092e-11, -3.3645104331730073e-12, 1.6149558073793506e-13, -3.59240204004689e-15,
)  # fmt: skip


class _Float(NamedTuple):
    """What the functions of one dtype differ in: its format, and how far series go."""

    bits: int
    mantissa: int
    terms: int  # of the Taylor sum of exp
    smallest: float  # the arguments between which exp is normal and finite
    largest: float
    ln2_high: float
    ln2_low: float
    erf: tuple[float, ...]
    erf_end: float
    artanh_terms: int


_FLOATS = {
    "float": _Float(
        32, 23, 7, -87.33654022216797, 88.72283172607422,
        0.693147182464599609375, -1.904654299957768e-9, _ERF_32, 4.0, 15,
    ),
    "double": _Float(
        64, 52, 13, -708.3964185322641, 709.782712893384,
        0.6931471805599453, 2.3190468138462996e-17, _ERF_64, 6.0, 33,
    ),
}  # fmt: skip


def _of(vector):
    return _FLOATS[str(vector.element)]


def _function(doc, emit):
    """Make the intrinsic of a function of a vector."""

    def function(typingctx, x):
        return x(x), lambda context, builder, signature, args: emit(builder, args[0])

    function.__doc__ = doc
    return intrinsic(function)


def _polynomial(builder, x, coefficients):
    """Sum of c[k] x**k by Horner's scheme."""
    *others, last = coefficients
    total = constant(x.type, last)
    for c in reversed(others):
        total = fused(builder, total, x, constant(x.type, c))
    return total


def _bound(builder, comparison, x, limit):
    """`limit` where x lies beyond it; NaN stays NaN."""
    limit = constant(x.type, limit)
    return builder.select(builder.fcmp_ordered(comparison, x, limit), limit, x)


def _reduce(builder, x, near=None):
    """r and n of x = n ln 2 + r, n ln 2 being next to `near`, or x; n at the place of the exponent."""
    f = _of(x.type)
    whole = ir.VectorType(ir.IntType(f.bits), x.type.count)
    magic = constant(x.type, 1.5 * 2.0**f.mantissa)  # adding it rounds to a whole number, in the lowest bits
    shifted = fused(builder, near or x, constant(x.type, 1 / math.log(2)), magic)
    n = builder.fsub(shifted, magic)
    r = fused(builder, n, constant(x.type, -f.ln2_high), x)
    r = fused(builder, n, constant(x.type, -f.ln2_low), r)
    shift = ir.Constant(whole, [f.mantissa] * whole.count)
    return r, builder.shl(builder.bitcast(shifted, whole), shift)


def _scale(builder, x, power):
    """x times 2**n by adding n to the exponent: x and the result are normal."""
    return builder.bitcast(builder.add(builder.bitcast(x, power.type), power), x.type)


def _taylor(x, first, more=0):
    return [1 / math.factorial(k) for k in range(first, _of(x.type).terms + more + 1)]


def _exp(builder, x):
    f = _of(x.type)
    r, power = _reduce(builder, x)
    result = _scale(builder, _polynomial(builder, r, _taylor(r, 0)), power)
    result = builder.select(
        builder.fcmp_ordered("<", x, constant(x.type, f.smallest)), constant(x.type, 0.0), result
    )
    above = builder.fcmp_unordered(">", x, constant(x.type, f.largest))
    return builder.select(above, builder.fmul(x, constant(x.type, math.inf)), result)  # NaN stays NaN


def _expm1(builder, x, near=None, more=0):
    """exp(x) - 1 for |x| <= 80, and NaN; `near` as in `_reduce`, with terms for what r may then be."""
    r, power = _reduce(builder, x, near)
    p = fused(builder, builder.fmul(r, r), _polynomial(builder, r, _taylor(r, 2, more)), r)
    one = constant(x.type, 1.0)
    scale = _scale(builder, one, power)
    return fused(builder, p, scale, builder.fsub(scale, one))


def _of_magnitude(emit):
    """Odd function whose values at x >= 0 are emitted."""
    return lambda builder, x: unary(builder, "copysign", emit(builder, unary(builder, "fabs", x)), x)


def _tanh(builder, x):
    x = _bound(builder, ">", x, 20.0)
    x = builder.fadd(x, x)
    # n = 0 up to 0.45, for where n is 1 and r negative, rounding r and p weighs most
    t = _expm1(builder, x, builder.fsub(x, constant(x.type, 0.45 - math.log(2) / 2)), more=1)
    inverse = builder.fdiv(constant(x.type, 1.0), builder.fadd(t, constant(x.type, 2.0)))
    y = builder.fmul(t, inverse)
    rest = fused(builder, y, constant(x.type, -2.0), t)  # exact up to t = 2
    rest = fused(builder, builder.fneg(y), t, rest)  # t - y (t + 2)
    return fused(builder, rest, inverse, y)


def _erf(builder, x):
    f = _of(x.type)
    x = _bound(builder, ">", x, f.erf_end)
    minus_q = _polynomial(builder, x, [-c for c in f.erf])
    return builder.fneg(_expm1(builder, builder.fmul(x, minus_q)))


def _logistic(builder, x):
    one, zero = constant(x.type, 1.0), constant(x.type, 0.0)
    minus = builder.fneg(unary(builder, "fabs", x))
    r, power = _reduce(builder, minus)
    e = builder.fmul(_polynomial(builder, r, _taylor(r, 0)), _scale(builder, one, power))
    below = builder.fcmp_ordered("<", minus, constant(x.type, _of(x.type).smallest))
    e = builder.select(below, zero, e)
    top = builder.select(builder.fcmp_ordered("<", x, zero), e, one)
    inverse = builder.fdiv(one, builder.fadd(one, e))
    y = builder.fmul(top, inverse)
    rest = fused(builder, builder.fneg(y), e, builder.fsub(top, y))  # top - y (1 + e), the difference exact
    return fused(builder, rest, inverse, y)


def _log1p(builder, x):
    s = builder.fdiv(x, builder.fadd(x, constant(x.type, 2.0)))
    terms = [1 / k for k in range(1, _of(x.type).artanh_terms + 1, 2)]
    return builder.fmul(builder.fadd(s, s), _polynomial(builder, builder.fmul(s, s), terms))


def _log(builder, x):
    one, whole = constant(x.type, 1.0), ir.VectorType(I64, x.type.count)

    def every(number):
        return ir.Constant(whole, [number] * whole.count)

    lowest = every(0x3FE6A09E667F3BCD)  # the bits of sqrt(1/2)
    bits = builder.bitcast(x, whole)
    # e + 1023 by bits alone, as those of 2**52 + e + 1023: not every processor converts vectors of int64
    above = builder.sub(bits, lowest)
    exponent = builder.lshr(builder.add(above, every(1023 << 52)), every(52))
    e = builder.bitcast(builder.or_(exponent, every(0x433 << 52)), x.type)
    e = builder.fsub(e, constant(x.type, 2.0**52 + 1023))
    m = builder.bitcast(builder.sub(bits, builder.and_(above, every(-1 << 52))), x.type)
    s = builder.fdiv(builder.fsub(m, one), builder.fadd(m, one))
    total = _polynomial(builder, builder.fmul(s, s), [1 / k for k in range(1, 23, 2)])
    result = fused(builder, e, constant(x.type, math.log(2)), builder.fmul(builder.fadd(s, s), total))
    return builder.fadd(result, builder.fsub(x, x))  # 0, or NaN where x is NaN


exp = _function(
    """Exponential, within 2 u of the true value where that is normal.

    With n = round(x / ln 2) and r = x - n ln 2, |r| <= ln 2 / 2, it is 2**n times the Taylor sum of e**r;
    the first term left out is below u / 8 (Muller, Elementary Functions, chapter 11: argument reduction
    in two parts). Below the logarithm of the smallest normal number it is 0, above that of the largest
    infinite; NaN stays NaN.
    """,
    _exp,
)
expm1 = _function(
    """exp(x) - 1 within 3 u of the true value, for lanes that are at most 80 or NaN.

    With r and n as in `exp` it is 2**n (e**r - 1) + (2**n - 1), one fused operation, so that nothing cancels
    near 0 (Muller, Elementary Functions, chapter 11). Below -40 it is -1.
    """,
    lambda builder, x: _expm1(builder, _bound(builder, "<", x, -40.0)),
)
tanh = _function(
    """Hyperbolic tangent within 2 ulp; odd, and NaN stays NaN.

    For x >= 0 it is t / (t + 2), with t = exp(2 x) - 1 as in `expm1`; the quotient y is corrected by its
    remainder t - y (t + 2). From 20 on it rounds to 1.
    """,
    _of_magnitude(_tanh),
)
logistic = _function(
    """1 / (1 + exp(-x)) within 2 ulp where that is normal; NaN stays NaN.

    With e = exp(-|x|) it is 1 / (1 + e), or e / (1 + e) for x < 0, corrected as in `tanh`.
    """,
    _logistic,
)
log1p = _function(
    """log(1 + x) within 4 u, for lanes from 0 to 1; NaN stays NaN.

    With s = x / (x + 2), at most 1/3, it is 2 artanh(s) by the Taylor sum (Muller, Elementary Functions,
    chapter 11), whose first term left out is below u / 8.
    """,
    _log1p,
)
erf = _function(
    """Error function within 4 ulp where that is normal; odd, and NaN stays NaN.

    For x >= 0 it is 1 - exp(-x Q(x)) by `expm1`, Q(x) = -log(erfc(x)) / x a polynomial.
    """,
    _of_magnitude(_erf),
)


@intrinsic
def log(typingctx, x):
    """Natural logarithm of float64 that is normal and positive, within 4 u; NaN stays NaN.

    Of a scalar or a vector, whose lanes that are no such numbers come to anything. With x = 2**e m,
    sqrt(1/2) <= m < sqrt(2), and s = (m - 1) / (m + 1), it is e ln 2 + 2 artanh(s), by the Taylor sum of
    artanh; s**2 is below 0.03, so that the first term left out is below u / 8 (Muller, Elementary Functions,
    chapter 11). No call into a library, which would save all vector registers.
    """
    if getattr(x, "dtype", x) != types.float64:
        return None

    def generate(context, builder, signature, args):
        if x != types.float64:
            return _log(builder, args[0])
        none = ir.Constant(ir.VectorType(args[0].type, 1), ir.Undefined)
        return builder.extract_element(_log(builder, builder.insert_element(none, args[0], I32(0))), I32(0))

    return x(x), generate
