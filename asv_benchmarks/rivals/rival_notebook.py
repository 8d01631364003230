"""The notebook's own loop, float64 by nature, with classes of the package for deeper networks too."""

import numpy as np

from asv_benchmarks import notebook_loop
from fastmlp import to_one_hot

from .base import Rival, pairs


class Notebook(Rival):
    """Bytes are multiplied as they are, as the notebook does; other data is float64 from the start."""

    def __init__(self, task, threads, setting):
        super().__init__(task, threads, setting)
        rng = np.random.default_rng(0)
        self.model = notebook_loop.DigitsClassifier(*task.sizes[:1])
        self.layers = [
            notebook_loop.Linear(*shape, rng) for shape in zip(task.sizes, task.sizes[1:], strict=False)
        ]
        between = [layer for linear in self.layers[:-1] for layer in (linear, notebook_loop.ReLU())]
        self.model.layers = [*between, self.layers[-1]]

    def inputs(self, X):
        """Leave bytes that need no scaling."""
        return X if X.dtype == np.uint8 and self.task.scale == 1 else X * np.float64(self.task.scale)

    def prepare(self, X, y):
        self.X, self.y = self.inputs(X), to_one_hot(y, self.task.sizes[-1])

    def set_weights(self, weights):
        for layer, (w, b) in zip(self.layers, pairs(weights), strict=True):
            layer.w, layer.b = w.astype(np.float64), b.astype(np.float64)

    def get_weights(self):
        return [array.astype(np.float32) for layer in self.layers for array in (layer.w, layer.b)]

    def epoch(self, order, rates=None):
        losses = []
        for start in range(0, len(order), self.task.batch_size):
            rows = order[start : start + self.task.batch_size]
            losses.append(self.model.forward(self.X[rows], self.y[rows]))
            self.model.backward()
            self.model.step(self.task.lr)
        return np.array(losses)

    def classifier(self, X):
        inputs = self.inputs(X)

        def classify():
            y = inputs
            for layer in self.model.layers:
                y = layer.forward(y)
            return y.argmax(axis=1)

        return classify
