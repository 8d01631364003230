"""fastmlp itself, and its reference in NumPy."""

from types import ModuleType

import numpy as np

import fastmlp
from fastmlp import SGD, DataLoader, kernels, reference

from .base import Rival, float_inputs, input_settings


class Fastmlp(Rival):
    """Data as it comes; the loader decides by itself whether zeros are skipped."""

    ops: ModuleType = kernels

    def __init__(self, task, threads, setting):
        super().__init__(task, threads, setting)
        fastmlp.set_num_threads(threads)
        self.converted = setting == "float32"
        self.optimizer = SGD(momentum=task.momentum, nesterov=task.momentum > 0)
        self.make_model()

    def make_model(self):
        """Make a model, whose center is none or yet to be found."""
        scale = 1.0 if self.converted else self.task.scale
        center = "mean" if self.task.center and not self.converted else None
        self.model = fastmlp.MLP(self.task.sizes, scale=scale, center=center, ops=self.ops)

    def prepare(self, X, y):
        inputs = float_inputs(X, self.task.scale, self.task.center) if self.converted else X
        self.loader = DataLoader(inputs, y, self.task.batch_size)
        assert self.loader.facts.finite  # looked at by the kernels, whoever trains
        if self.task.center:
            self.make_model()  # one that has its center already would keep it
            self.model.find_center(self.loader)

    def set_weights(self, weights):
        self.model.set_weights(weights)
        self.model.reset_optimizer()

    def get_weights(self):
        return self.model.get_weights()

    def epoch(self, order, rates=None):
        losses = np.empty(-(-len(order) // self.task.batch_size))
        if rates is None:
            rates = self.task.lr
        else:
            rates = np.column_stack([rates, np.full(len(rates), self.task.momentum)])
        options = {"label_smoothing": self.task.smoothing}
        self.model.run_epoch(self.loader, order, rates, losses, self.optimizer, **options)
        return losses

    def classifier(self, X):
        inputs = float_inputs(X, self.task.scale) if self.converted else X
        return lambda: self.model.predict(inputs)


class Reference(Fastmlp):
    """The same model on `fastmlp.reference`, float32; threads are those of NumPy's BLAS."""

    ops = reference

    @classmethod
    def settings(cls, dtype, training=True):
        return input_settings(dtype)
