"""PyTorch: preloaded tensors, rows gathered by index, losses read once an epoch; eager, and compiled.

Its velocity holds no rate: where rates change from step to step, gradients are given times the rate, and its
own is 1, so that it takes the steps that others take.
"""

import functools

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - its usual name
from torch import nn

from .base import Rival, float_inputs, input_settings, mean_of, pairs


def network(sizes):
    """Linear layers with ReLU between them."""
    layers = [nn.Linear(n_in, n_out) for n_in, n_out in zip(sizes, sizes[1:], strict=False)]
    between = [module for layer in layers[:-1] for module in (layer, nn.ReLU())]
    return nn.Sequential(*between, layers[-1])


def gather(X, rows, scale, shift=None):
    """Take rows of a tensor; bytes become float32 times scale, plus a shift where there is one."""
    if shift is not None:
        return torch.add(shift, X[rows].float(), alpha=scale)
    return X[rows].float() * scale if X.dtype == torch.uint8 and scale != 1 else X[rows].float()


class Eager(Rival):
    """A module, its autograd, and SGD as one fused or several batched operations."""

    def __init__(self, task, threads, setting):
        super().__init__(task, threads, setting)
        torch.set_num_threads(threads)
        self.model = network(task.sizes)
        self.bytes = "uint8" in setting
        momentum = {"momentum": task.momentum, "nesterov": True} if task.momentum else {}
        self.optimizer = torch.optim.SGD(
            self.model.parameters(),
            1.0 if task.momentum else task.lr,
            foreach="foreach" in setting,
            fused="fused" in setting,
            **momentum,
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
        self.y, self.shift = torch.from_numpy(y.astype(np.int64)), None
        if not self.task.center:
            self.X = self.tensor(X)
            return
        mean = torch.from_numpy(mean_of(X))  # NumPy's is several times as fast for bytes
        self.X = torch.from_numpy(X)
        if self.bytes and X.dtype == np.uint8:
            self.shift = mean * -self.task.scale
        else:
            self.X = (self.X - mean).mul_(self.task.scale)

    def linears(self):
        """Layers with weights, whose matrices are transposed to ours."""
        return [module for module in self.model if isinstance(module, nn.Linear)]

    def set_weights(self, weights):
        with torch.no_grad():
            for layer, (w, b) in zip(self.linears(), pairs(weights), strict=True):
                layer.weight.copy_(torch.from_numpy(w.T))
                layer.bias.copy_(torch.from_numpy(b))
        self.optimizer.state.clear()

    def get_weights(self):
        parameters = [(layer.weight.T, layer.bias) for layer in self.linears()]
        return [p.detach().numpy().copy() for pair in parameters for p in pair]

    def step(self, rows, rate):
        """Train on a batch, by its gradient times a rate where there is one; its loss stays a tensor."""
        self.optimizer.zero_grad()
        logits = self.model(gather(self.X, rows, self.task.scale, self.shift))
        loss = F.cross_entropy(logits, self.y[rows], label_smoothing=self.task.smoothing)
        loss.backward(rate)
        self.optimizer.step()
        return loss.detach()

    def epoch(self, order, rates=None):
        batches = torch.from_numpy(order).split(self.task.batch_size)
        if rates is None:
            rates = [None] * len(batches)
        else:
            rates = torch.from_numpy(rates.astype(np.float32)).unbind()
        steps = zip(batches, rates, strict=True)
        return torch.stack([self.step(rows, rate) for rows, rate in steps]).numpy()

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
        self.velocities = {name: torch.zeros_like(p) for name, p in self.parameters.items() if task.momentum}
        self.compiled_step = compiled(self.pure_step)
        self.classify = compiled(self.classify)

    @classmethod
    def settings(cls, dtype, training=True):
        return input_settings(dtype)

    def set_weights(self, weights):
        super().set_weights(weights)
        for velocity in self.velocities.values():
            velocity.zero_()

    def step(self, rows, rate):
        data = self.X, self.y, self.shift
        return self.compiled_step(self.parameters, self.velocities, data, rows, rate)

    def pure_step(self, parameters, velocities, data, rows, rate):
        """Train on a batch by pure functions, so that one graph holds all of it."""
        (X, y, shift), task = data, self.task

        def loss(parameters):
            logits = torch.func.functional_call(self.model, parameters, gather(X, rows, task.scale, shift))
            return F.cross_entropy(logits, y[rows], label_smoothing=task.smoothing)

        gradients, value = torch.func.grad_and_value(loss)(parameters)
        for name, parameter in parameters.items():
            if rate is None:
                parameter.sub_(gradients[name], alpha=task.lr)
            else:
                change, velocity = rate * gradients[name], velocities[name]
                velocity.mul_(task.momentum).sub_(change)
                parameter.add_(velocity, alpha=task.momentum).sub_(change)
        return value
