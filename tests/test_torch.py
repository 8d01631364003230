"""Optimizers beside PyTorch's: two hundred steps from the same weights, at rates that change with each.

Where the forms differ, PyTorch's is told so at each step: its epsilon is ours divided by sqrt(1 - beta_2**t);
its velocity holds no rate, so that gradients are given times the rate, and its own is 1; and its penalties
reach biases, which are therefore in a group of their own.
"""

import numpy as np
import pytest

from fastmlp import MLP, SGD, Adam, schedules, train_epoch

try:
    import torch
except ImportError:  # not skipped as a whole, which would count among the slow tests too
    torch = None
pytestmark = pytest.mark.skipif(torch is None, reason="PyTorch is not installed")

SIZES, STEPS, BATCH = (20, 16, 5), 200, 8
SGD_RATES, ADAM_RATES = schedules.cosine(0.05, 0.002, warmup=0.1), schedules.linear(0.02, 0.001)


def drawn():
    """Samples of five overlapping clouds, so that 200 steps learn something, but not all."""
    rng = np.random.default_rng(0)
    y = rng.integers(SIZES[-1], size=STEPS * BATCH)
    centers = rng.standard_normal((SIZES[-1], SIZES[0]))
    return centers[y] + rng.standard_normal((len(y), SIZES[0])), y


class Twin:
    """The model in PyTorch: its first group of parameters are the weights, its second the biases."""

    def __init__(self, model, kind, **options):
        parameters = [torch.tensor(array, requires_grad=True) for array in model.get_weights()]
        self.weights, self.biases = parameters[::2], parameters[1::2]
        groups = [{"params": self.weights}, {"params": self.biases, "weight_decay": 0.0}]
        self.optimizer = kind(groups, **options)

    def loss(self, X, y):
        w, b = self.weights, self.biases
        hidden = torch.relu(torch.from_numpy(X) @ w[0] + b[0])
        return torch.nn.functional.cross_entropy(hidden @ w[1] + b[1], torch.from_numpy(y))

    def step(self, X, y, factor=1.0, weight_decay=0.0, **changed):
        """Step on a batch by its gradient times a factor, with other numbers of the optimizer than before."""
        of_weights, of_biases = self.optimizer.param_groups
        of_weights |= changed | {"weight_decay": weight_decay}
        of_biases |= changed
        self.optimizer.zero_grad()
        (factor * self.loss(X, y)).backward()
        self.optimizer.step()


def twin_of(model, optimizer):
    """The twin, and what each of its steps is told: of the step's number, from 1, and rate."""
    l2 = optimizer.l2 / BATCH
    if isinstance(optimizer, SGD):
        options = {"momentum": optimizer.momentum, "nesterov": optimizer.nesterov}
        twin = Twin(model, torch.optim.SGD, lr=1.0, **options)
        return twin, lambda t, lr: {"factor": lr, "weight_decay": l2 * lr}
    decoupled = optimizer.weight_decay > 0
    betas = optimizer.beta_1, optimizer.beta_2
    kind = torch.optim.AdamW if decoupled else torch.optim.Adam
    return Twin(model, kind, betas=betas), lambda t, lr: {
        "lr": lr,
        "eps": optimizer.epsilon / np.sqrt(1 - optimizer.beta_2**t),
        "weight_decay": optimizer.weight_decay if decoupled else l2,
    }


@pytest.mark.parametrize(
    "optimizer",
    [
        SGD(SGD_RATES),
        SGD(SGD_RATES, l2=0.05),
        SGD(SGD_RATES, momentum=0.9),
        SGD(SGD_RATES, momentum=0.9, nesterov=True, l2=0.05),
        Adam(ADAM_RATES),
        Adam(ADAM_RATES, beta_1=0.8, beta_2=0.99, epsilon=1e-3, l2=0.05),
        Adam(ADAM_RATES, weight_decay=0.1),
    ],
    ids=repr,
)
def test_two_hundred_steps_are_pytorchs(optimizer):
    X, y = drawn()
    model = MLP(SIZES, seed=1, dtype=np.float64)
    twin, told = twin_of(model, optimizer)
    start = model.get_weights()
    rates = schedules.rates(optimizer, 0, STEPS, STEPS)[:, 0].tolist()
    train_epoch(model, X, y, batch_size=BATCH, shuffle=False, optimizer=optimizer)
    for step, lr in enumerate(rates):
        now = slice(step * BATCH, (step + 1) * BATCH)
        twin.step(X[now], y[now], **told(step + 1, lr))
    pairs = zip(twin.weights, twin.biases, strict=True)
    expected = [parameter.detach().numpy() for pair in pairs for parameter in pair]
    for got, theirs, before in zip(model.get_weights(), expected, start, strict=True):
        assert np.linalg.norm(got - theirs) <= 1e-9 * np.linalg.norm(theirs)
        assert np.linalg.norm(theirs - before) > 0.1 * np.linalg.norm(theirs)  # it has gone somewhere


@pytest.mark.parametrize(
    "optimizer", [SGD(0.05, momentum=0.9), SGD(0.05, momentum=0.9, nesterov=True)], ids=repr
)
def test_at_one_rate_a_velocity_with_the_rate_inside_is_pytorchs_without(optimizer):
    X, y = drawn()
    model = MLP(SIZES, seed=1, dtype=np.float64)
    options = {"momentum": optimizer.momentum, "nesterov": optimizer.nesterov}
    twin = Twin(model, torch.optim.SGD, lr=optimizer.lr, **options)
    train_epoch(model, X, y, batch_size=BATCH, shuffle=False, optimizer=optimizer)
    for start in range(0, len(X), BATCH):
        twin.step(X[start : start + BATCH], y[start : start + BATCH])
    for got, theirs in zip(model.get_weights()[::2], twin.weights, strict=True):
        assert np.allclose(got, theirs.detach().numpy(), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(("shape", "strategy"), [("cosine", "cos"), ("linear", "linear")])
def test_one_cycle_is_pytorchs(shape, strategy):
    """Its rise ends a step earlier: a part of the steps before the last, less one."""
    options = {"anneal_strategy": strategy, "base_momentum": 0.85, "max_momentum": 0.95}
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0, momentum=0.9)
    cycle = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.5, total_steps=STEPS, pct_start=0.3, **options)
    expected = []
    for _ in range(STEPS):
        group = optimizer.param_groups[0]
        expected.append([group["lr"], group["momentum"]])
        optimizer.step()
        if len(expected) < STEPS:
            cycle.step()
    warmup = (0.3 * STEPS - 1) / (STEPS - 1)
    own = schedules.one_cycle(0.5, warmup, shape=shape, momentum=(0.95, 0.85))
    assert np.allclose(schedules.rates(SGD(own), 0, STEPS, STEPS), expected, rtol=1e-12, atol=1e-15)
