"""The notebook's own loop, in NumPy and float64, as it stands there: what others are measured against."""

import numpy as np


class Linear:
    """y = x @ w + b; gradients are new arrays, and dx is computed whether it is used or not."""

    def __init__(self, n_in, n_out, rng):
        self.w, self.b = rng.standard_normal((n_in, n_out)) * np.sqrt(2 / n_in), np.zeros(n_out)

    def forward(self, x):
        """(batch, n_in) -> (batch, n_out); uint8 pixels become float64 in each product."""
        self.x = x
        return x @ self.w + self.b

    def backward(self, dy):
        """Gradient of y -> gradient of x."""
        self.dw, self.db = self.x.T @ dy, dy.sum(axis=0)
        return dy @ self.w.T

    def step(self, lr):
        """Move the parameters against their gradients."""
        self.w -= lr * self.dw
        self.b -= lr * self.db


class ReLU:
    """y = max(0, x)."""

    def forward(self, x):
        """Any shape -> the same shape."""
        self.x = x
        return np.maximum(0, x)

    def backward(self, dy):
        """Gradient of y -> gradient of x."""
        return dy * (self.x > 0)

    def step(self, lr):
        """Nothing to learn here."""


class SoftmaxCrossEntropy:
    """The mean over the batch of -log p(true class), p = softmax(logits)."""

    def forward(self, logits, y):
        """Logits and one-hot rows, both (batch, n_classes) -> the loss."""
        shifted = logits - logits.max(axis=1, keepdims=True)
        exponentials = np.exp(shifted)
        total = exponentials.sum(axis=1, keepdims=True)
        self.p, self.y = exponentials / total, y
        return -np.sum(y * (shifted - np.log(total))) / len(y)

    def backward(self):
        """Return the gradient of the loss with respect to the logits."""
        return (self.p - self.y) / len(self.y)


class DigitsClassifier:
    """784-128-10 units by default, with ReLU between the layers."""

    def __init__(self, in_features=784, hidden=128, n_classes=10, seed=None):
        rng = np.random.default_rng(seed)
        self.layers = [Linear(in_features, hidden, rng), ReLU(), Linear(hidden, n_classes, rng)]
        self.loss = SoftmaxCrossEntropy()

    def forward(self, X, y):
        """Pixels and one-hot rows -> the loss."""
        for layer in self.layers:
            X = layer.forward(X)
        return self.loss.forward(X, y)

    def backward(self):
        """Compute every gradient, that of the pixels too, which nothing uses."""
        gradient = self.loss.backward()
        for layer in reversed(self.layers):
            gradient = layer.backward(gradient)

    def step(self, lr):
        """Move every parameter against its gradient."""
        for layer in self.layers:
            layer.step(lr)


def create_batches(X, y, batch_size, shuffle=False, rng=None):
    """Generate (X_batch, y_batch); the last may be smaller."""
    order = np.arange(len(X))
    if shuffle:
        order = np.random.default_rng(rng).permutation(len(X))
    for start in range(0, len(X), batch_size):
        rows = order[start : start + batch_size]
        yield X[rows], y[rows]


def train_epoch(model, X, y, lr=0.001, batch_size=128, shuffle=True, rng=None):
    """Forward, backward and step on every batch of pixels X and one-hot rows y; the sum of the losses."""
    total = 0.0
    for X_batch, y_batch in create_batches(X, y, batch_size, shuffle, rng):
        total += model.forward(X_batch, y_batch)
        model.backward()
        model.step(lr)
    return total
