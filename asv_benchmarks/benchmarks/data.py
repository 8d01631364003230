"""Data on its way to training: reading the digits, preparing a loader, and iterating over its batches."""

import numpy as np

import fastmlp

from ._timing import Timed
from ._workload import BATCHES, begin, make_loader, samples


class Files(Timed):
    def setup(self):
        X, y, *test = fastmlp.load_mnist()  # unpacks them, the first time
        assert [len(part) for part in (X, y, *test)] == [60_000, 60_000, 10_000, 10_000]
        assert X.dtype == np.uint8 and 0 < np.count_nonzero(X) < X.size / 4

    def time_load_mnist(self):
        fastmlp.load_mnist()


class Loader(Timed):
    params = [["784 mnist b128 t2"]]
    param_names = ["workload"]

    def setup(self, workload):
        self.workload = begin(workload)
        self.loader = make_loader(self.workload)
        X, y = samples(self.workload.data, len(self.loader.X), *self.workload.sizes)
        order, batches = fastmlp.DataLoader(X, y, 128, shuffle=True, seed=0).next_order(), list(self.loader)
        assert np.array_equal(np.concatenate([batch for batch, _ in batches]), X[order])
        assert np.array_equal(np.concatenate([labels for _, labels in batches]), y[order])

    def time_prepare(self, workload):
        make_loader(self.workload)

    def time_40_batches(self, workload):
        assert sum(1 for _ in self.loader) == BATCHES
