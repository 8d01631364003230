"""Optimizers: a step in place."""

import numpy as np

from .quiet import quiet

KINDS = "sgd", "momentum", "nesterov", "adam"


@quiet
def sgd_step(w, dw, lr, l2=0.0, weight_decay=0.0):
    """g = dw + l2 w;  w = w (1 - lr weight_decay) - lr g, in place."""
    w[...] = w * w.dtype.type(1 - lr * weight_decay) - w.dtype.type(lr) * _penalized(w, dw, l2)


@quiet
def momentum_step(w, dw, v, lr, momentum, nesterov=False, l2=0.0, weight_decay=0.0):
    """g = dw + l2 w;  v = momentum v - lr g;  w = w (1 - lr weight_decay) + v, in place.

    With Nesterov's look ahead + (momentum v - lr g) in place of + v.
    """
    rate, momentum, g = w.dtype.type(lr), w.dtype.type(momentum), _penalized(w, dw, l2)
    v[...] = momentum * v - rate * g
    w[...] = w * w.dtype.type(1 - lr * weight_decay) + (momentum * v - rate * g if nesterov else v)


@quiet
def adam_step(w, dw, m, v, lr, beta_1, beta_2, epsilon, step, l2=0.0, weight_decay=0.0):
    """g = dw + l2 w;  m = beta_1 m + (1 - beta_1) g;  v = beta_2 v + (1 - beta_2) g**2, in place.

    rate = lr sqrt(1 - beta_2**step) / (1 - beta_1**step)
    w = w (1 - lr weight_decay) - rate m / (sqrt(v) + epsilon)
    """
    kind, g = w.dtype.type, _penalized(w, dw, l2)
    m[...] = kind(beta_1) * m + kind(1 - beta_1) * g
    v[...] = kind(beta_2) * v + kind(1 - beta_2) * g**2
    rate = kind(lr * np.sqrt(1 - beta_2**step) / (1 - beta_1**step))
    w[...] = w * kind(1 - lr * weight_decay) - rate * m / (np.sqrt(v) + kind(epsilon))


@quiet
def ema_step(average, w, decay):
    """average = decay average + (1 - decay) w, in place."""
    average[...] = w.dtype.type(decay) * average + w.dtype.type(1 - decay) * w


def _penalized(w, dw, l2):
    return dw + w.dtype.type(l2) * w if l2 else dw  # 0 times an infinite weight would be NaN


def step(optimizer, parameters, lr, momentum, count, l2, weight_decay):
    """Step parameters by their number in an epoch; `parameters` are w, its gradient and what is kept of w."""
    w, dw, *kept = parameters
    kind, penalties = KINDS[optimizer["kind"]], {"l2": l2, "weight_decay": weight_decay}
    if optimizer["ema"]:
        average = kept.pop()
    if kind == "sgd":
        sgd_step(w, dw, lr, **penalties)
    elif kind == "adam":
        numbers = (float(optimizer[name]) for name in ("beta_1", "beta_2", "epsilon"))
        adam_step(w, dw, *kept, lr, *numbers, count, **penalties)
    else:
        momentum_step(w, dw, *kept, lr, momentum, kind == "nesterov", **penalties)
    if optimizer["ema"]:
        ema_step(average, w, float(optimizer["ema"]))
