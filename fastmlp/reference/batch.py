"""What is done with a batch: its data, all layers forward, and the gradients."""

import numpy as np

from .linear import linear_backward, linear_forward, linear_relu_backward, linear_relu_forward
from .quiet import quiet


@quiet
def load_batch(x, scale, out):
    """out = x * scale, in the dtype of out."""
    out[...] = x.astype(out.dtype) * scale


def forward(layers):
    """Run all layers, ReLU after each but the last."""
    for w, b, x, y, _ in layers[:-1]:
        linear_relu_forward(x, w, b, y)
    linear_forward(layers[-1].x, layers[-1].w, layers[-1].b, layers[-1].y)


def backward(layers):
    """Gradients of w and b of every layer, from the last to the first."""
    gradients = []
    gradients_of_inputs = [None, *(layer.dy for layer in layers[:-1])]
    for layer, dx in reversed(list(zip(layers, gradients_of_inputs, strict=True))):
        w, b, x, y, dy = layer
        dw, db = np.empty_like(w), np.empty_like(b)
        if layer is layers[-1]:
            linear_backward(x, w, dy, dx, dw, db)
        else:
            linear_relu_backward(x, w, y, dy, dx, dw, db)
        gradients.insert(0, (dw, db))
    return gradients
