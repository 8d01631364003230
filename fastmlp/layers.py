"""A network's layers as a textbook has them, built of the reference functions: to read and to teach."""

import numpy as np

from fastmlp.data import labels_for, prepare_labels
from fastmlp.data.inputs import as_array

from . import reference


class Linear:
    """y = x @ w + b.

    Parameters
    ----------
    n_in, n_out : widths
    seed : of the weights, what `numpy.random.default_rng` takes; layers that share a Generator start as those
        of an `MLP` of its seed
    dtype : float64, as in the notebook, or another float type
    """

    def __init__(self, n_in, n_out, seed=None, dtype=np.float64):
        # keeps the size of the activations from layer to layer, as half of them die in a ReLU
        w = np.random.default_rng(seed).standard_normal((n_in, n_out)) * np.sqrt(2 / n_in)
        self.w, self.b = w.astype(dtype), np.zeros(n_out, dtype)
        self.dw, self.db = np.zeros_like(self.w), np.zeros_like(self.b)

    def forward(self, x):
        """(batch, n_in) -> (batch, n_out)."""
        self.x = as_array(x, "x").astype(self.w.dtype, copy=False)
        y = np.empty((len(x), len(self.b)), self.w.dtype)
        reference.linear_forward(self.x, self.w, self.b, y)
        return y

    def backward(self, dy):
        """Gradient of y -> gradient of x; keeps those of w and b for `step`."""
        dx = np.empty_like(self.x)
        reference.linear_backward(self.x, self.w, dy, dx, self.dw, self.db)
        return dx

    def step(self, lr):
        """Move the parameters against their gradients."""
        reference.sgd_step(self.w, self.dw, lr)
        reference.sgd_step(self.b, self.db, lr)


class ReLU:
    """y = max(0, x)."""

    def forward(self, x):
        """Any shape -> the same shape."""
        self.x = x
        return np.maximum(x, 0)

    def backward(self, dy):
        """Gradient of y -> gradient of x: 0 where x was not above 0."""
        return np.where(self.x > 0, dy, 0)

    def step(self, lr):
        """Nothing to learn here."""


class SoftmaxCrossEntropy:
    """The mean over the batch of -log p(true class), p = softmax(logits)."""

    def forward(self, logits, labels):
        """Logits (batch, n_classes) and labels, (batch,) integers or (batch, n_classes) rows -> the loss."""
        self.dlogits, losses = np.empty_like(logits), np.empty(len(logits))
        prepared = prepare_labels(as_array(labels, "labels"), len(logits))
        prepared = labels_for(prepared, "softmax", logits.shape[1])
        reference.softmax_cross_entropy(logits, prepared, self.dlogits, losses)
        return float(losses.mean())

    def backward(self):
        """Return the gradient of the loss with respect to the logits."""
        return self.dlogits

    def step(self, lr):
        """Nothing to learn here."""
