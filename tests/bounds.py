"""How far a result may lie from the float64 reference, and where it may be written.

The bounds are those of Higham, Accuracy and Stability of Numerical Algorithms, 3.1, which hold for any order
of summation. The float64 reference rounds too, so its own bound is always added.
"""

import numpy as np

PAD = 19  # elements of margin on every side: more than the widest vector has, and no multiple of anything
MARGIN = -77.25  # what lies there


def unit(dtype):
    """Unit roundoff: the largest relative error of one rounding."""
    return float(np.finfo(dtype).eps) / 2


def gamma(n, dtype):
    """Relative error of n roundings in a row, in `dtype` and in the float64 reference."""
    return sum(n * u / (1 - n * u) for u in (unit(dtype), unit(np.float64)))


def magnitude(a):
    return np.abs(np.asarray(a, np.float64))


def product(x, w, b=0.0):
    """Bound of x @ w + b, computed in x's dtype."""
    return gamma(x.shape[1] + 1, x.dtype) * (magnitude(x) @ magnitude(w) + magnitude(b))


def step(expected, lr, dw, dw_bound=0.0, dtype=np.float32):
    """Bound of `expected` = w - lr * dw, one fused multiply-add in `dtype`; dw may be off by `dw_bound`."""
    off = lr * dw_bound
    return (
        off
        + unit(dtype) * (magnitude(expected) + off)
        + 2 * unit(np.float64) * (magnitude(expected) + lr * magnitude(dw))
    )


def flushed(dtype):
    """What compiled code may lose of any result: one that is smaller comes out as 0."""
    return float(np.finfo(dtype).tiny)


def softmax(logits, y):
    """Bounds of softmax_cross_entropy in the dtype of `logits`: of batch * dlogits, and of the losses."""
    dtype, n_classes = logits.dtype, logits.shape[1]
    z = logits.astype(np.float64)
    shifted = z - z.max(axis=1, keepdims=True)
    p = np.exp(shifted)
    total = p.sum(axis=1, keepdims=True)
    p /= total
    spread = np.abs(shifted).max(axis=1, keepdims=True)
    tiny = n_classes * float(np.finfo(dtype).tiny)
    # exp is good to 2 u of its argument, which the subtraction rounded; then the sum and the division
    of_p = p * sum((2 * spread + n_classes + 6) * unit(d) for d in (dtype, np.float64)) + tiny
    of_dlogits = of_p + gamma(3, dtype) * (p + y)
    of_log_total = sum((spread + n_classes + 6) * unit(d) for d in (dtype, np.float64)) + tiny
    terms = np.abs(np.log(total)) + np.abs(z.max(axis=1, keepdims=True)) + np.abs(z)
    of_losses = (y * (of_log_total + gamma(n_classes + 4, np.float64) * terms)).sum(axis=1)
    return of_dlogits, of_losses


def logistic(z, y):
    """Bounds of logistic_cross_entropy in the dtype of z: of dz before it is weighed, and of the losses."""
    dtype, n_out, size = z.dtype, z.shape[1], magnitude(z)
    off, e, tiny = magnitude(y - y.astype(dtype)), np.exp(-size), float(np.finfo(dtype).tiny)
    p, q = np.where(z > 0, 1, e) / (1 + e), np.where(z > 0, e, 1) / (1 + e)
    of_dz = gamma(14, dtype) * ((1 - y) * p + y * q) + 2 * off + tiny
    terms = size * np.where(z > 0, 1 - y, y) + np.log1p(e)
    of_units = gamma(12, dtype) * terms + 2 * off * size + tiny
    return of_dz, (of_units + gamma(n_out, np.float64) * terms).sum(axis=1)


def squared(z, y):
    """The same of squared_error."""
    dtype, off, error = z.dtype, magnitude(y - y.astype(z.dtype)), magnitude(z - y)
    of_dz = off + gamma(2, dtype) * (error + off)
    terms = error**2 / 2
    of_losses = error * of_dz + of_dz**2 + gamma(z.shape[1] + 3, np.float64) * terms
    return of_dz, of_losses.sum(axis=1)


def poisson(z, y):
    """The same of poisson_deviance, whose means are computed in float64."""
    mean, size = np.exp(z.astype(np.float64)), magnitude(z)
    of_dz = gamma(6, np.float64) * (mean + y) + gamma(2, z.dtype) * magnitude(mean - y)
    terms = mean + y + y * (size + magnitude(np.log(np.where(y > 0, y, 1))))
    return of_dz, gamma(z.shape[1] + 10, np.float64) * terms.sum(axis=1)


def flushed_sums(n, dtype):
    """What a sum of n products and a number loses besides: one below the smallest normal number becomes 0.

    So may each of the n + 1 partial sums, and roundings make at most twice as much of it.
    """
    return 2 * (n + 1) * flushed(dtype)


# the most that |f'| is
STEEPEST = {"logistic": 0.25, "selu": 1.7581, "silu": 1.1, "gelu": 1.13, "mish": 1.09}


def bound_of_values(name, z, y, dtype):
    """The errors of y, some units of its own; where a gate is 1 + erf, units of z, for a tail cancels.

    The smallest normal numbers are for results below them.
    """
    z = np.minimum(magnitude(z), 1000)
    units, tiny = unit(dtype) + unit(np.float64), (z + 1) * flushed(dtype)
    return units * (6 * magnitude(y) + (4 * z if name == "gelu" else 0)) + tiny


def bound_of_slopes(name, saved, dtype):
    """Errors of f': units of 1 where f' is between -0.2 and 1.2. `saved` is z for silu, gelu and mish."""
    y = 0 if name in ("silu", "gelu", "mish") else magnitude(saved)
    return (unit(dtype) + unit(np.float64)) * (8 + 4 * y)


def momentum(w, v, g, lr, factor, dtype):
    """Bounds of w and v after a step with a velocity; g = |dw| + l2 |w|."""
    push, tiny = lr * g, 4 * flushed(dtype)
    of_v = factor * magnitude(v) + push
    # three numbers, g, lr g, the product and the sum; then a number, the product and the sum of w; each twice
    # with Nesterov's look ahead
    return gamma(11, dtype) * (magnitude(w) + of_v + push) + 2 * tiny, gamma(7, dtype) * of_v + tiny


def adam(start, after, g, numbers, count, dtype, off=(0.0, 0.0)):
    """Bounds of w, m and v after a step of Adam; `start` and `after` are the three, g = |dw| + l2 |w|.

    Besides, m and v are `off` by what the step was given.
    """
    (lr, beta_1, beta_2, epsilon), tiny = numbers, 4 * flushed(dtype)
    w, m, v = map(magnitude, start)
    off_m = off[0] + gamma(7, dtype) * (beta_1 * m + (1 - beta_1) * g) + tiny
    # g and its number twice
    off_v = off[1] + gamma(11, dtype) * (beta_2 * v + (1 - beta_2) * g**2) + tiny
    new_m, new_v = map(magnitude, after[1:])
    left_1, left_2 = 1 - beta_1**count, 1 - beta_2**count
    low, high = (np.sqrt(np.maximum(new_v + by, 0)) + epsilon for by in (-off_v, off_v))
    # two of the rate, product, root, epsilon, the sum, the quotient, that of w; and what the powers, by
    # squaring here and by a library there, lose, which cancels in what 1 leaves
    rounded = gamma(9, dtype) + gamma(4 + 4 * int(count).bit_length(), np.float64) * (1 / left_1 + 1 / left_2)
    push = off_m / low + new_m * (1 / low - 1 / high) + rounded * (new_m + off_m) / low
    # the product of the rate and m may be lost before it is divided
    lost = tiny / low + tiny
    return gamma(3, dtype) * w + lr * np.sqrt(left_2) / left_1 * push + lost, off_m, off_v


def assert_within(got, expected, bound):
    """Every element of `got` lies within `bound` of `expected`."""
    excess = np.abs(np.asarray(got, np.float64) - expected) - bound
    assert np.all(excess <= 0), (
        f"{np.count_nonzero(~(excess <= 0))} elements off, the worst by {np.max(excess)}"
    )


def fused_chain(x, w, start):
    """The float32 sum of x[:, k] * w[k] for ascending k, one rounding a term, to the last bit.

    The sum in float64, rounded to odd, rounds on to float32 as the exact sum would (Boldo and Melquiond,
    Emulation of FMA and Correctly Rounded Sums, IEEE Transactions on Computers, 2008).
    """
    total = np.broadcast_to(start, (x.shape[0], w.shape[1])).astype(np.float32)
    for k in range(x.shape[1]):
        term, before = (
            np.multiply.outer(x[:, k].astype(np.float64), w[k].astype(np.float64)),
            total.astype(np.float64),
        )
        rounded = term + before
        back = rounded - term
        error = (term - (rounded - back)) + (before - back)
        even = rounded.view(np.int64) & 1 == 0
        odd = np.nextafter(rounded, np.copysign(np.inf, error))
        total = np.where((error != 0) & even, odd, rounded).astype(np.float32)
    return total


def framed(values, dtype=None, margin=np.nan):
    """Copy of `values` in the middle of a buffer of `margin`, its rows apart."""
    values = np.asarray(values, dtype)
    buffer = np.full([n + 2 * PAD for n in values.shape], margin, values.dtype)
    view = buffer[tuple(slice(PAD, PAD + n) for n in values.shape)]
    view[...] = values
    return view


def framed_output(shape_or_values, dtype):
    """Array of NaN, or of values, in the middle of a buffer of MARGIN.

    Not of NaN: what a kernel makes of the margins of its inputs is NaN as well.
    """
    is_shape = isinstance(shape_or_values, int | tuple)
    return framed(np.full(shape_or_values, np.nan) if is_shape else shape_or_values, dtype, MARGIN)


def assert_margins_untouched(*outputs):
    """All around the arrays of `framed_output` there is still nothing but MARGIN."""
    for output in outputs:
        kept = output.copy()
        output[...] = MARGIN
        assert np.all(output.base == MARGIN)
        output[...] = kept
