"""What is done with a batch: its data, all layers forward, and the gradients."""

import numpy as np

from .linear import (
    linear_activation_backward,
    linear_activation_forward,
    linear_backward,
    linear_forward,
)
from .quiet import quiet


@quiet
def load_batch(x, scale, out):
    """out = x * scale, in the dtype of out."""
    out[...] = x.astype(out.dtype) * scale


def forward(layers):
    """Run all layers, an activation after each but the last."""
    for layer in layers[:-1]:
        linear_activation_forward(layer.x, layer.w, layer.b, layer.activation, layer.z, layer.y)
    linear_forward(layers[-1].x, layers[-1].w, layers[-1].b, layers[-1].y)


def backward(layers):
    """Gradients of w and b of every layer, from the last to the first."""
    gradients = []
    gradients_of_inputs = [None, *(layer.dy for layer in layers[:-1])]
    for layer, dx in reversed(list(zip(layers, gradients_of_inputs, strict=True))):
        w, b, x, y, dy, z, activation = layer
        dw, db = np.empty_like(w), np.empty_like(b)
        if layer is layers[-1]:
            linear_backward(x, w, dy, dx, dw, db)
        else:
            linear_activation_backward(x, w, y, z, dy, activation, dx, dw, db)
        gradients.insert(0, (dw, db))
    return gradients
