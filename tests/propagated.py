"""Training in float64, each number with how far from it compiled code may lie: error analysis as it runs.

What a stage errs by is the bound of its kernel; what its inputs are off by goes on through the derivative of
the stage, at its largest over all that the inputs may be.
"""

from typing import Any, NamedTuple

import numpy as np
from bounds import (
    STEEPEST,
    adam,
    bound_of_slopes,
    bound_of_values,
    flushed,
    flushed_sums,
    gamma,
    logistic,
    magnitude,
    momentum,
    poisson,
    softmax,
    squared,
    unit,
)

from fastmlp import reference
from fastmlp.outputs import probabilities
from fastmlp.reference.activations import KEEP_Z, activation, activation_gradient
from fastmlp.reference.losses import LOSSES

# the most that a slope changes by as what it is computed from does: y, or z for those of KEEP_Z
BENT = {"tanh": 2.01, "logistic": 1.01, "selu": 1.0, "silu": 1.0, "gelu": 1.0, "mish": 1.0}
BROKEN = "relu", "leaky_relu", "selu"  # have slopes that jump at 0, by 1 at most


class Near(NamedTuple):
    """Numbers, and how far from each what compiled code has may lie."""

    at: Any
    off: Any

    @property
    def size(self):
        return magnitude(self.at) + self.off

    @property
    def T(self):
        return Near(self.at.T, np.transpose(self.off))

    def times(self, other, rounded=0.0):
        """Elementwise product, each off by a share of it besides."""
        off = self.off * other.size + magnitude(self.at) * other.off
        return Near(self.at * other.at, off + rounded * self.size * other.size)


def exactly(a):
    return Near(np.asarray(a, np.float64), np.zeros(np.shape(a)))


def linear(x, w, b, dtype):
    """x @ w + b."""
    n, off = x.at.shape[1], x.off @ w.size + magnitude(x.at) @ w.off + b.off
    off = off + gamma(n + 1, dtype) * (x.size @ w.size + b.size) + flushed_sums(n, dtype)
    return Near(x.at @ w.at + b.at, off)


def values(name, z, dtype):
    """What an activation makes of z."""
    at, off = activation(name, z.at), STEEPEST.get(name, 1.0) * z.off
    return Near(at, off + bound_of_values(name, z.size, magnitude(at) + off, dtype))


def slopes(name, z, y, dtype):
    """Its derivative, as it is computed from z or from y."""
    saved = z if name in KEEP_Z else y
    off = BENT.get(name, 0.0) * saved.off + bound_of_slopes(name, saved.size, dtype)
    if name in BROKEN:
        off = off + (magnitude(z.at) <= z.off)
    return Near(activation_gradient(name, saved.at, np.ones_like(z.at)), off)


def dropped(x, model, step, index):
    """What dropout leaves of a layer's input, or of its gradient."""
    if not (rate := model.dropout[index > 0]):
        return x
    factors = np.empty_like(x.at)
    reference.dropout(np.ones_like(x.at), factors, rate, model.get_state()["dropout_seed"], step, index)
    off = gamma(3, model.dtype) * factors * x.size
    return Near(x.at * factors, x.off * factors + off)


def losses_of(output, z, labels, weights, smoothing, dtype):
    """Gradient of z, and the mean loss."""
    n, n_out = z.at.shape
    options = {"smoothing": smoothing} if output in ("softmax", "logistic") else {}
    dz, rows = np.empty(z.at.shape), np.empty(n)
    LOSSES[output](z.at, labels, dz, rows, weights, **options)
    y = np.eye(n_out)[labels] if labels.ndim == 1 else labels
    y = y * (1 - smoothing) + smoothing / (n_out if output == "softmax" else 2)
    if output == "softmax":
        most = (z.off + unit(dtype) * magnitude(z.at)).max(axis=1, keepdims=True)
        assert most.max() < 0.5
        # p grows by a factor of exp(2 most) at most, and the bounds by less than 1 + 8 most
        of_dz, of_rows = softmax(z.at.astype(dtype), y)
        of_dz = of_dz * (1 + 8 * most) + probabilities("softmax", z.at) * np.expm1(2 * most)
        of_rows = of_rows * (1 + 8 * most[:, 0]) + 2 * most[:, 0]
    else:
        bounds = {"logistic": logistic, "identity": squared, "exp": poisson}[output]
        room = z.off + 2 * unit(dtype) * z.size
        ends = [z.at - room, z.at + room]  # where the bounds are largest
        pairs = zip(*(bounds(end.astype(dtype), y) for end in ends), strict=True)
        of_dz, of_rows = (sum(pair) for pair in pairs)
        steep = {"logistic": 0.25, "identity": 1.0, "exp": np.exp(ends[1])}[output]
        error = {"logistic": 1.0, "identity": np.abs(z.at - y) + z.off, "exp": np.exp(ends[1]) + y}[output]
        of_dz, of_rows = of_dz + steep * z.off, of_rows + (error * z.off).sum(axis=1)
    of_weights = np.ones(n) if weights is None else weights
    total = of_weights.sum()
    share = (of_weights / (total or 1))[:, None]
    off = of_dz * share * (1 + gamma(n + 3, dtype)) + gamma(n + 3, dtype) * magnitude(dz) + flushed(dtype)
    taken = of_weights > 0
    mean = (of_weights * rows)[taken].sum() / (total or 1)
    size = (of_weights * (magnitude(rows) + of_rows))[taken].sum() / (total or 1)
    of_mean = (of_weights * of_rows)[taken].sum() / (total or 1) + gamma(n + 3, np.float64) * size
    return Near(dz, off), Near(mean, of_mean), total


class Training:
    """A model's parameters as they should be, step by step; `model` itself is not changed."""

    def __init__(self, model, optimizer, smoothing=0.0, ema=None):
        self.model, self.optimizer, self.smoothing, self.ema = model, optimizer, smoothing, ema
        self.parameters = [*map(exactly, model.raw_weights())]
        self.kept = [[exactly(0 * w.at) for w in self.parameters] for _ in range(2)]
        self.average, self.steps = list(self.parameters), 0

    def inferred(self):
        """The parameters that inference uses."""
        return self.average if self.ema else self.parameters

    def forward(self, X, step=None):
        """Each layer's x, z and y; without dropout where there is no step."""
        model, dtype, tiny = self.model, self.model.dtype, flushed(self.model.dtype)
        x, shift = X.astype(np.float64) * model.scale, model._shift.astype(np.float64)
        x = Near(x, gamma(3, dtype) * magnitude(x) + tiny)
        shift = Near(shift, gamma(2, dtype) * magnitude(shift) + tiny) if shift.size else None
        found, used = [], self.inferred() if step is None else self.parameters
        for i, (w, b) in enumerate(zip(used[::2], used[1::2], strict=True)):
            if i == 0 and shift:
                if step is None or not model.dropout[0]:
                    row = linear(Near(shift.at[None], shift.off[None]), w, b, dtype)
                    b = Near(row.at[0], row.off[0])
                else:
                    both = x.at + shift.at
                    x = Near(both, x.off + shift.off + gamma(1, dtype) * (x.size + shift.size))
            if step is not None:
                x = dropped(x, model, step, i)
            z = linear(x, w, b, dtype)
            y = values(model.activations[i], z, dtype) if i < len(model.activations) else z
            found.append((x, z, y))
            x = Near(y.at, y.off + tiny)
        return found, shift

    def train(self, X, labels, weights):
        """Take a step; return the mean loss."""
        model, dtype, step = self.model, self.model.dtype, self.steps
        layers, shift = self.forward(X, step)
        numbers = layers[-1][2], labels, weights, self.smoothing
        dz, mean, total = losses_of(model.output, *numbers, dtype)
        if not total:
            return mean
        gradients, ones = [], exactly(np.ones((1, len(X))))
        for i in reversed(range(len(layers))):
            x, w = layers[i][0], self.parameters[2 * i]
            nothing = exactly(np.zeros((1, 1)))
            dw, db = linear(x.T, dz, nothing, dtype), linear(ones, dz, nothing, dtype)
            if i == 0 and shift and not model.dropout[0]:
                outer = Near(shift.at[:, None], shift.off[:, None]).times(db)
                off = dw.off + outer.off + gamma(2, dtype) * (dw.size + outer.size) + flushed(dtype)
                dw = Near(dw.at + outer.at, off)
            gradients = [dw, Near(db.at[0], db.off[0]), *gradients]
            if i:
                dy = dropped(linear(dz, w.T, nothing, dtype), model, step, i)
                _, z, y = layers[i - 1]
                dz = dy.times(slopes(model.activations[i - 1], z, y, dtype))
                dz = Near(dz.at, dz.off + 3 * flushed(dtype))  # of dy, times a slope, and of dz
        self.steps += 1
        for i, gradient in enumerate(gradients):
            self._step(i, gradient, total)
        return mean

    def _step(self, i, dw, total):
        """Move one array, by the formulas of `fastmlp.optimizers`."""
        optimizer, dtype, w = self.optimizer, self.model.dtype, self.parameters[i]
        factor = 1.0 if optimizer.layer_lr is None else optimizer.layer_lr[i // 2]
        lr = optimizer.lr * factor * (optimizer.bias_lr if i % 2 else 1.0)
        l2, decay = (0.0, 0.0) if i % 2 else (optimizer.l2 / total, optimizer.weight_decay)
        g = Near(dw.at + l2 * w.at, dw.off + l2 * w.off)
        size, start = dw.size + l2 * w.size, [w, self.kept[0][i], self.kept[1][i]]
        exact = [np.array(each.at) for each in start]
        if optimizer.kind == "adam":
            numbers = lr, optimizer.beta_1, optimizer.beta_2, optimizer.epsilon
            reference.adam_step(exact[0], dw.at, *exact[1:], *numbers, self.steps, l2, decay)
            of_m = numbers[1] * start[1].off + (1 - numbers[1]) * g.off
            of_v = numbers[2] * start[2].off + (1 - numbers[2]) * (2 * magnitude(g.at) + g.off) * g.off
            sizes = [each.size for each in start]
            offs = adam(sizes, exact, size, numbers, self.steps, dtype, (of_m, of_v))
            offs = w.off + offs[0], *offs[1:]
        elif optimizer.kind == "sgd":
            reference.sgd_step(exact[0], dw.at, lr, l2, decay)
            rounded = gamma(6, dtype) * (w.size + lr * size) + 4 * flushed(dtype)
            offs = w.off + lr * g.off + rounded, start[1].off, start[2].off
        else:
            kind, often = optimizer.momentum, 2 if optimizer.nesterov else 1
            reference.momentum_step(exact[0], dw.at, exact[1], lr, kind, optimizer.nesterov, l2, decay)
            of_v = kind * start[1].off + lr * g.off
            rounded = momentum(w.size, start[1].size, size, lr, kind, dtype)
            offs = (
                w.off + often * of_v + lr * g.off * (often - 1) + rounded[0],
                of_v + rounded[1],
                start[2].off,
            )
        self.parameters[i], self.kept[0][i], self.kept[1][i] = map(Near, exact, offs)
        if self.ema:
            new, old, rest = self.parameters[i], self.average[i], 1 - self.ema
            rounded = gamma(4, dtype) * (old.size + new.size) + 4 * flushed(dtype)
            off = self.ema * old.off + rest * new.off + rounded
            self.average[i] = Near(self.ema * old.at + rest * new.at, off)
