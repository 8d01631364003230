"""Elementary functions of vectors and scalars, within stated bounds; u is the unit roundoff."""

import math

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from .simd import I64, constant, fused


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
