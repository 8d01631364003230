"""fastmlp itself, and its reference in NumPy."""

from types import ModuleType

import numpy as np

import fastmlp
from fastmlp import DataLoader, kernels, reference

from .base import Rival, float_inputs, input_settings


class Fastmlp(Rival):
    """Data as it comes; the loader decides by itself whether zeros are skipped."""

    ops: ModuleType = kernels

    def __init__(self, task, threads, setting):
        super().__init__(task, threads, setting)
        fastmlp.set_num_threads(threads)
        self.converted = setting == "float32"
        self.model = fastmlp.MLP(task.sizes, scale=1.0 if self.converted else task.scale, ops=self.ops)

    def prepare(self, X, y):
        inputs = float_inputs(X, self.task.scale) if self.converted else X
        self.loader = DataLoader(inputs, y, self.task.batch_size)
        assert self.loader.facts.finite  # looked at by the kernels, whoever trains

    def set_weights(self, weights):
        self.model.set_weights(weights)

    def get_weights(self):
        return self.model.get_weights()

    def epoch(self, order):
        losses = np.empty(-(-len(order) // self.task.batch_size))
        self.model.run_epoch(self.loader, order, self.task.lr, losses)
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
