"""PyTorch: preloaded tensors, rows gathered by index, losses read once an epoch; eager, and compiled."""

import functools

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - its usual name
from torch import nn

from .base import Rival, float_inputs, input_settings, pairs


def network(sizes):
    """Linear layers with ReLU between them."""
    layers = [nn.Linear(n_in, n_out) for n_in, n_out in zip(sizes, sizes[1:], strict=False)]
    between = [module for layer in layers[:-1] for module in (layer, nn.ReLU())]
    return nn.Sequential(*between, layers[-1])


def gather(X, rows, scale):
    """Take rows of a tensor; bytes become float32 times scale."""
    return X[rows].float() * scale if X.dtype == torch.uint8 and scale != 1 else X[rows].float()


class Eager(Rival):
    """A module, its autograd, and SGD as one fused or several batched operations."""

    def __init__(self, task, threads, setting):
        super().__init__(task, threads, setting)
        torch.set_num_threads(threads)
        self.model = network(task.sizes)
        self.bytes = "uint8" in setting
        self.optimizer = torch.optim.SGD(
            self.model.parameters(), task.lr, foreach="foreach" in setting, fused="fused" in setting
        )

    @classmethod
    def settings(cls, dtype, training=True):
        inputs = input_settings(dtype)
        return [f"{i}, {sgd} SGD" for i in inputs for sgd in ("fused", "foreach")] if training else inputs

    def tensor(self, X):
        """Bytes as they are, or float32, scaled."""
        bytes_stay = self.bytes and X.dtype == np.uint8
        return torch.from_numpy(X if bytes_stay else float_inputs(X, self.task.scale))

    def prepare(self, X, y):
        self.X, self.y = self.tensor(X), torch.from_numpy(y.astype(np.int64))

    def linears(self):
        """Layers with weights, whose matrices are transposed to ours."""
        return [module for module in self.model if isinstance(module, nn.Linear)]

    def set_weights(self, weights):
        with torch.no_grad():
            for layer, (w, b) in zip(self.linears(), pairs(weights), strict=True):
                layer.weight.copy_(torch.from_numpy(w.T))
                layer.bias.copy_(torch.from_numpy(b))

    def get_weights(self):
        parameters = [(layer.weight.T, layer.bias) for layer in self.linears()]
        return [p.detach().numpy().copy() for pair in parameters for p in pair]

    def loss(self, X, y, rows):
        """Mean loss of a batch."""
        return F.cross_entropy(self.model(gather(X, rows, self.task.scale)), y[rows])

    def step(self, rows):
        """Train on a batch; its loss stays a tensor."""
        self.optimizer.zero_grad()
        loss = self.loss(self.X, self.y, rows)
        loss.backward()
        self.optimizer.step()
        return loss.detach()

    def epoch(self, order):
        batches = torch.from_numpy(order).split(self.task.batch_size)
        return torch.stack([self.step(rows) for rows in batches]).numpy()

    def classify(self, x):
        """Likeliest class of each row."""
        return self.model(gather(x, slice(None), self.task.scale)).argmax(1)

    def classifier(self, X):
        x = self.tensor(X)
        return torch.inference_mode()(functools.partial(self.classify, x))


class Compiled(Eager):
    """One compiled graph for all of a step: gather, loss, gradient and update.

    Compiling the loss alone, with the optimizer outside, was tried too, and was slower where tried.
    """

    def __init__(self, task, threads, setting):
        super().__init__(task, threads, setting)
        # batches have two lengths at most, and each gets code of its own
        compiled = functools.partial(torch.compile, fullgraph=True, dynamic=False)
        self.parameters = {name: p.detach() for name, p in self.model.named_parameters()}
        self.compiled_step = compiled(self.pure_step)
        self.classify = compiled(self.classify)

    @classmethod
    def settings(cls, dtype, training=True):
        return input_settings(dtype)

    def step(self, rows):
        return self.compiled_step(self.parameters, self.X, self.y, rows)

    def pure_step(self, parameters, X, y, rows):
        """Train on a batch by pure functions, so that one graph holds all of it."""

        def loss(parameters):
            x = gather(X, rows, self.task.scale)
            return F.cross_entropy(torch.func.functional_call(self.model, parameters, (x,)), y[rows])

        gradients, value = torch.func.grad_and_value(loss)(parameters)
        for name, parameter in parameters.items():
            parameter.sub_(gradients[name], alpha=self.task.lr)
        return value
