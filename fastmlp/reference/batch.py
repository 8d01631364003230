"""What is done with a batch: its data, all layers forward, and the gradients."""

import numpy as np

from .activations import KEEP_Z
from .dropout import dropout
from .linear import (
    linear_activation_backward,
    linear_activation_forward,
    linear_backward,
    linear_forward,
)
from .quiet import quiet


@quiet
def load_batch(x, scale, shift, out):
    """out = x * scale + shift, in the dtype of out; an empty shift is none."""
    out[...] = x.astype(out.dtype) * scale
    if shift.size:
        out += shift


def forward(layers, drawn):
    """Run all layers, dropout before each, an activation after each but the last.

    z has what the derivative is taken from. `drawn` is each layer's rate of dropout, the seed and the step.
    """
    rates, *when = drawn
    for i, layer in enumerate(layers):
        if rates[i]:
            dropout(layer.x, layer.x, rates[i], *when, i)
        if i == len(layers) - 1:
            break
        linear_activation_forward(layer.x, layer.w, layer.b, layer.activation, layer.z, layer.y)
        if layer.activation not in KEEP_Z:
            layer.z[...] = layer.y
    linear_forward(layers[-1].x, layers[-1].w, layers[-1].b, layers[-1].y)


def backward(layers, drawn):
    """Gradients of w and b of every layer, from the last to the first."""
    gradients = []
    rates, *when = drawn
    gradients_of_inputs = [None, *(layer.dy for layer in layers[:-1])]
    for i, (layer, dx) in reversed(list(enumerate(zip(layers, gradients_of_inputs, strict=True)))):
        w, b, x, _, dy, z, activation = layer
        dw, db = np.empty_like(w), np.empty_like(b)
        if layer is layers[-1]:
            linear_backward(x, w, dy, dx, dw, db)
        else:
            linear_activation_backward(x, w, z, z, dy, activation, dx, dw, db)
        if dx is not None and rates[i]:
            dropout(dx, dx, rates[i], *when, i)
        gradients.insert(0, (dw, db))
    return gradients
