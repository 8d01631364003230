"""Random numbers by counting: what is drawn depends on where it is for, not on what was drawn before."""

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from .matrix import I64
from .simd import I32, broadcast, constant

# of SplitMix64 (Steele, Lea, Flood, Fast Splittable Pseudorandom Number Generators, 2014)
GOLDEN = 0x9E3779B97F4A7C15
MIX = (30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB), (31, 1)
# of MurmurHash3's finalizer for 32 bits (Appleby, 2011), and 2**32 over the golden ratio
STEP_32 = 0x9E3779B1
MIX_32 = (16, 0x85EBCA6B), (13, 0xC2B2AE35), (16, 1)


def _mixed(builder, x, shifts):
    """Mix the bits of a whole number, or of a vector of them, so that each depends on all."""
    for shift, factor in shifts:
        x = builder.xor(x, builder.lshr(x, _whole(x.type, shift)))
        x = builder.mul(x, _whole(x.type, factor))
    return x


def _whole(kind, number):
    return ir.Constant(kind, [number] * kind.count) if isinstance(kind, ir.VectorType) else kind(number)


@intrinsic
def next_key(typingctx, key, number):
    """Key of what `number` names under a key: 64 bits as an int64."""

    def generate(context, builder, signature, args):
        key, number = args
        counted = builder.mul(builder.add(number, I64(1)), I64(GOLDEN))
        return _mixed(builder, builder.add(key, counted), MIX)

    return types.int64(types.int64, types.int64), generate


@intrinsic
def keep_drawn(typingctx, value, key, unit, drop, factor):
    """Lanes times `factor`, and 0 with the probability drop / 2**32; lane i is drawn for unit + i."""

    def generate(context, builder, signature, args):
        value, key, unit, drop, factor = args
        count = value.type.count
        whole = ir.VectorType(I32, count)

        def spread(number):
            return broadcast(builder, number, count)

        low, high = builder.trunc(key, I32), builder.trunc(builder.lshr(key, I64(32)), I32)
        units = builder.add(spread(builder.trunc(unit, I32)), ir.Constant(whole, list(range(count))))
        drawn = builder.add(builder.mul(units, _whole(whole, STEP_32)), spread(low))
        drawn = builder.xor(_mixed(builder, drawn, MIX_32), spread(high))
        kept = builder.icmp_unsigned(">=", drawn, spread(builder.trunc(drop, I32)))
        return builder.select(kept, builder.fmul(value, spread(factor)), constant(value.type, 0.0))

    return value(value, types.int64, types.int64, types.int64, value.dtype), generate
