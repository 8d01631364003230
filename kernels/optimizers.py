"""Optimizers: a step in place."""

from typing import Any, NamedTuple

import numpy as np

from .core import threads
from .core.jit import entry, kernel
from .core.matrix import address, offset, row_of, rows_of, strip, submatrix
from .core.simd import (
    EIGHT,
    add,
    convert,
    div,
    eight,
    fma,
    lanes,
    load,
    load_eight,
    mul,
    prefetch_to_write,
    rounded,
    splat,
    sqrt,
    store,
    sub,
    sum_of_lanes,
)

KINDS = "sgd", "momentum", "nesterov", "adam"
SGD, MOMENTUM, NESTEROV, ADAM = range(len(KINDS))  # the number of a kind is its place there

# What does not change during an epoch: the kind, steps taken before, by this optimizer and in all, dropout's
# seed, the formulas' numbers, label smoothing, and what a row's loss is reported as at most, 0 for no limit.
SETTINGS = np.dtype(
    [(name, np.int64) for name in ("kind", "steps", "all_steps", "seed")]
    + [
        (name, np.float64)
        for name in ("beta_1", "beta_2", "epsilon", "l2", "weight_decay", "ema", "smoothing", "loss_limit")
    ]
)


def sgd_step(w, dw, lr, l2=0.0, weight_decay=0.0):
    """Step of stochastic gradient descent.

    g = dw + l2 * w;  w = w * (1 - lr * weight_decay) - lr * g

    Parameters (rows contiguous, one float dtype throughout)
    ----------
    w : (n_in, n_out) or (n,)    in place
    dw : of w's shape            gradient
    lr : scalar                  learning rate, here and below
    l2 : scalar                  of the penalty l2 / 2 * sum(w**2), here and below
    weight_decay : scalar        decoupled (Loshchilov, Hutter, Decoupled Weight Decay Regularization, 2019)

    Twin: `fastmlp.reference.sgd_step`.
    """
    _step(w, dw, (w, w), lr, 0.0, SGD, l2, weight_decay)


def momentum_step(w, dw, v, lr, momentum, nesterov=False, l2=0.0, weight_decay=0.0):
    """Step with a velocity, whose rate is inside it.

    g = dw + l2 * w;  v = momentum * v - lr * g
    w = w * (1 - lr * weight_decay) + v, or with Nesterov's look ahead + (momentum * v - lr * g)

    Parameters (rows contiguous, one float dtype throughout)
    ----------
    w : (n_in, n_out) or (n,)    in place
    dw : of w's shape            gradient
    v : of w's shape             velocity, in place
    momentum : scalar
    nesterov : bool              (Sutskever et al., On the importance of initialization and momentum, 2013)

    Twin: `fastmlp.reference.momentum_step`.
    """
    kind = NESTEROV if nesterov else MOMENTUM
    _step(w, dw, (v, w), lr, momentum, kind, l2, weight_decay)


def adam_step(w, dw, m, v, lr, beta_1, beta_2, epsilon, step, l2=0.0, weight_decay=0.0):
    """Step of Adam, with decoupled weight decay that of AdamW.

    g = dw + l2 * w;  m = beta_1 * m + (1 - beta_1) * g;  v = beta_2 * v + (1 - beta_2) * g**2
    rate = lr * sqrt(1 - beta_2**step) / (1 - beta_1**step)
    w = w * (1 - lr * weight_decay) - rate * m / (sqrt(v) + epsilon)

    With the "epsilon hat" of Kingma and Ba, Adam: A Method for Stochastic Optimization, 2015, section 2.

    Parameters (rows contiguous, one float dtype throughout)
    ----------
    w : (n_in, n_out) or (n,)    in place
    dw : of w's shape            gradient
    m, v : of w's shape          means of the gradient and of its square, in place
    beta_1, beta_2, epsilon : scalars
    step : int                   of this step, from 1

    Twin: `fastmlp.reference.adam_step`.
    """
    means = beta_1, beta_2, epsilon
    _step(w, dw, (m, v), lr, 0.0, ADAM, l2, weight_decay, count=step, means=means)


def ema_step(average, w, decay):
    """Step of an exponential moving average.

    average = decay * average + (1 - decay) * w

    Parameters (rows contiguous, one float dtype throughout)
    ----------
    average : (n_in, n_out) or (n,)    in place
    w : of its shape
    decay : scalar                     from 0 to 1

    Twin: `fastmlp.reference.ema_step`.
    """
    average, w = (array if array.ndim == 2 else array[None] for array in (average, w))
    n_threads = threads.thread_count(8 * w.size)
    threads.parallel(_ema_step, n_threads, average, w, w.dtype.type(decay), w.dtype.type(1 - decay))


def _step(w, dw, kept, lr, momentum, kind, *penalties, count=1, means=(0.0, 0.0, 0.0)):
    # in one go: NumPy keeps something of every field that is set
    settings = np.array([(kind, count - 1, 0, 0, *means, *penalties, 0.0, 0.0, 0.0)], SETTINGS)
    matrices = [array.reshape(-1, array.shape[-1]) for array in (w, dw, *kept)]
    n_threads = threads.thread_count(8 * w.size)
    threads.parallel(_optimizer_step, n_threads, *matrices, settings, float(lr), float(momentum))


@entry("w", "first", "second")
def _optimizer_step(w, dw, first, second, settings, lr, momentum, sync, thread, n_threads):
    begin, end = threads.thread_range(w.shape[0], thread, n_threads)
    numbers, like = settings[0], w.dtype.type(0)
    update = update_of(numbers, numbers.steps + 1, lr, momentum, numbers.l2, numbers.weight_decay, like)
    place = Parameters(rows_of(w, begin), rows_of(first, begin), rows_of(second, begin), rows_of(w, begin))
    update_rows(update, place, rows_of(dw, begin), end - begin, w.shape[1])


@entry("average")
def _ema_step(average, w, decay, rest, sync, thread, n_threads):
    begin, end = threads.thread_range(w.shape[0], thread, n_threads)
    for row in range(begin, end):
        for column in range(0, w.shape[1], lanes(address(w, 0, 0))):
            left = w.shape[1] - column
            there, here = address(average, row, column), address(w, row, column)
            store(_mean(load(there, left), load(here, left), decay, rest), there, left)


# --- the bodies, which an epoch calls too ----------------------------------------------------------------


class Update(NamedTuple):
    """The numbers of a step, in the model's dtype."""

    kind: int
    rate: Any
    momentum: Any
    means: Any  # Adam's beta_1 and beta_2, each with what it leaves
    epsilon: Any
    l2: Any
    shrink: Any  # factor of w that decoupled decay leaves
    ema: Any  # 0 for none
    rest: Any


class Parameters(NamedTuple):
    """Matrices of some parameters and of what is kept of them; what a kind does not need is not read."""

    w: Any
    first: Any  # the velocity, or Adam's m
    second: Any  # Adam's v
    average: Any


@kernel
def part(parameters, row, column):
    """What parameters hold from (row, column) on."""
    return Parameters(
        submatrix(parameters.w, row, column),
        submatrix(parameters.first, row, column),
        submatrix(parameters.second, row, column),
        submatrix(parameters.average, row, column),
    )


@kernel
def strips(parameters, column):
    """Matrices of the parameters from a column on that lie side by side."""
    return Parameters(
        strip(parameters.w, column),
        strip(parameters.first, column),
        strip(parameters.second, column),
        strip(parameters.average, column),
    )


@kernel
def update_of(numbers, step, lr, momentum, l2, weight_decay, like):
    """Round a step's numbers to the dtype of `like`, each once; `step` counts from 1."""
    rate = lr
    if numbers.kind == ADAM:
        rate = lr * np.sqrt(1 - _power(numbers.beta_2, step)) / (1 - _power(numbers.beta_1, step))
    rate, momentum, epsilon = convert(rate, like), convert(momentum, like), convert(numbers.epsilon, like)
    means = (
        (convert(numbers.beta_1, like), convert(1 - numbers.beta_1, like)),
        (convert(numbers.beta_2, like), convert(1 - numbers.beta_2, like)),
    )
    l2, shrink = convert(l2, like), convert(1 - lr * weight_decay, like)
    ema, rest = convert(numbers.ema, like), convert(1 - numbers.ema, like)
    return Update(numbers.kind, rate, momentum, means, epsilon, l2, shrink, ema, rest)


class Step(NamedTuple):
    """What an epoch's caller said of the optimizer, and of this step."""

    settings: Any  # (1,) of SETTINGS
    factors: Any  # (n_layers, 2) of the rate: of weights and of biases
    first: Any  # pointers to what is kept, in the parameters' layout
    second: Any
    average: Any
    count: int  # of this step, from 1
    total_weight: float  # of the batch
    lr: float
    momentum: float


@kernel
def layer_update(step, index, of_biases, like):
    """The numbers of a step of a layer's weights, or of its biases, which have neither penalty nor decay."""
    numbers, lr = step.settings[0], step.lr * step.factors[index, of_biases]
    l2, decay = (0.0, 0.0) if of_biases else (numbers.l2 / step.total_weight, numbers.weight_decay)
    return update_of(numbers, step.count, lr, step.momentum, l2, decay, like)


@kernel
def is_plain(update):
    """Whether the step is w - lr * dw and nothing else, which a product does at its end."""
    return update.kind == SGD and update.l2 == 0 and update.shrink == 1 and update.ema == 0


@kernel
def cleared(a, n_rows, n_columns):
    """The matrix, once it is all zero: a product's step of -1 then leaves the product there."""
    width = lanes(a.pointer)
    for row in range(n_rows):
        for column in range(0, n_columns, width):
            store(splat(convert(0.0, a.pointer[0])), offset(row_of(a, row), column), n_columns - column)
    return a


@kernel
def expect_rows(update, parameters, n_rows, n_columns):
    """Have parameters on their way that are going to be stepped.

    Lines beside those that another thread reads may have gone to its cache with them, and writing to a line
    that is not this thread's alone would wait for it.
    """
    width = lanes(parameters.w.pointer)
    for row in range(n_rows):
        for column in range(0, n_columns, width):
            prefetch_to_write(row_of(parameters.w, row), column)
            if update.kind != SGD:
                prefetch_to_write(row_of(parameters.first, row), column)
            if update.kind == ADAM:
                prefetch_to_write(row_of(parameters.second, row), column)
            if update.ema > 0:
                prefetch_to_write(row_of(parameters.average, row), column)


@kernel
def _power(base, exponent):
    """Whole power by squaring: the same bits on every machine, as a library's would not be."""
    result = 1.0
    while exponent:
        if exponent & 1:
            result *= base
        base *= base
        exponent >>= 1
    return result


@kernel
def update_rows(update, parameters, dw, n_rows, n_columns):
    """Step some rows of parameters."""
    width = lanes(dw.pointer)
    for row in range(n_rows):
        w, g, average = row_of(parameters.w, row), row_of(dw, row), row_of(parameters.average, row)
        first, second = row_of(parameters.first, row), row_of(parameters.second, row)
        for column in range(0, n_columns - width + 1, width):
            _update_vector(update, w, g, first, second, average, column, width)
        whole = n_columns // width * width
        if whole < n_columns:
            _update_vector(update, w, g, first, second, average, whole, n_columns - whole)


@kernel
def _update_vector(update, w, dw, first, second, average, column, count):
    """Step `count` parameters of a row, a vector at most."""
    w_now, first_now = offset(w, column), offset(first, column)
    old, g = load(w_now, count), load(offset(dw, column), count)
    if update.l2 != 0:  # 0 times an infinite weight would be NaN
        g = fma(splat(update.l2), old, g)
    shrunk = mul(old, splat(update.shrink))
    if update.kind == SGD:
        new = fma(splat(-update.rate), g, shrunk)
    elif update.kind == ADAM:
        second_now, (of_m, of_v) = offset(second, column), update.means
        m = _mean(load(first_now, count), g, of_m[0], of_m[1])
        v = _mean(load(second_now, count), mul(g, g), of_v[0], of_v[1])
        store(m, first_now, count)
        store(v, second_now, count)
        scale = add(sqrt(v), splat(update.epsilon))
        new = sub(shrunk, div(mul(splat(update.rate), m), scale))
    else:
        push = mul(splat(-update.rate), g)
        v = fma(splat(update.momentum), load(first_now, count), push)
        store(v, first_now, count)
        new = add(shrunk, fma(splat(update.momentum), v, push) if update.kind == NESTEROV else v)
    store(new, w_now, count)
    if update.ema > 0:
        there = offset(average, column)
        store(_mean(load(there, count), new, update.ema, update.rest), there, count)


@kernel
def _mean(average, w, decay, rest):
    """One vector of a mean that forgets: decay * average + rest * w."""
    return fma(splat(decay), average, mul(splat(rest), w))


@kernel
def sum_squares(w, n_rows, n_columns):
    """Sum of squares of some parameters in float64; the columns are whole cache lines.

    Eight columns at a time, which is the same on every processor, and in sums of their own, which wait for
    nobody.
    """
    total = eight(0.0)
    for column in range(0, n_columns, EIGHT):
        squares = eight(0.0)
        for row in range(n_rows):
            now = rounded(load_eight(offset(row_of(w, row), column), EIGHT), 0.0)
            squares = fma(now, now, squares)
        total = add(total, squares)
    return sum_of_lanes(total)
