"""Training and inference of networks that Hypothesis draws: by every road, and within what roundings explain.

An epoch has the bits of its batches step by step, which are public kernels, each compared with its twin in
test_kernels_drawn.py.
"""

import contextlib
import itertools
from typing import Any, NamedTuple

import numpy as np
import pytest
from bounds import assert_within
from drawn import ANYHOW, placed
from hypothesis import assume, given
from hypothesis import strategies as st
from propagated import Training

from fastmlp import MLP, SGD, Adam, DataLoader, reference
from fastmlp.config import ACTIVATIONS, OUTPUTS
from fastmlp.kernels.core import machine
from fastmlp.kernels.core import threads as regions

OPTIMIZERS = (
    SGD(0.005),
    SGD(0.005, l2=0.1, weight_decay=0.1, bias_lr=2.0),
    SGD(0.005, momentum=0.9, weight_decay=0.1),
    SGD(0.005, momentum=0.9, nesterov=True, l2=0.1),
    Adam(0.005, epsilon=1e-2),
    Adam(0.005, beta_1=0.5, epsilon=1e-2, l2=0.1, weight_decay=0.1, bias_lr=0.5),
)
INPUTS = "bytes", "float32", "float64", "few float32", "few float64"
LAYOUTS = *ANYHOW, "big-endian", "unaligned"


class Net(NamedTuple):
    sizes: list[int]
    activations: list[str]
    output: str
    dtype: Any
    optimizer: int
    dropout: tuple[float, float]
    is_centered: bool
    inputs: str
    layout: str
    n: int
    batch: int
    threads: int
    skip: str
    weighted: bool
    smoothing: float
    ema: float | None
    seed: int


def nets(**fixed):
    widths = st.integers(1, 20) | st.sampled_from([31, 32, 33, 63, 64, 65, 130, 257])
    free = {
        "sizes": st.lists(widths, min_size=2, max_size=4),
        "activations": st.lists(st.sampled_from(ACTIVATIONS), min_size=2, max_size=2),
        "output": st.sampled_from(OUTPUTS),
        "dtype": st.sampled_from([np.float32, np.float64]),
        "optimizer": st.integers(0, len(OPTIMIZERS) - 1),
        "dropout": st.sampled_from([(0.0, 0.0), (0.0, 0.5), (0.2, 0.0), (0.3, 0.3)]),
        "is_centered": st.booleans(),
        "inputs": st.sampled_from(INPUTS),
        "layout": st.sampled_from(LAYOUTS),
        "n": st.integers(1, 40),
        "batch": st.integers(1, 20),
        "threads": st.integers(1, 3),
        "skip": st.sampled_from(["on", "off", "auto"]),
        "weighted": st.booleans(),
        "smoothing": st.sampled_from([0.0, 0.1]),
        "ema": st.sampled_from([None, 0.9]),
        "seed": st.integers(0, 2**32 - 1),
    }
    return st.builds(Net, **free | {name: st.just(value) for name, value in fixed.items()})


@pytest.fixture(autouse=True, scope="module")
def _share_small_batches():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(regions, "CALL_WORK", 1)
        patch.setattr(regions, "BATCH_WORK", 1)
        yield
    machine.set_num_threads(None)


def laid_out(x, layout):
    if layout == "big-endian":
        return x.astype(x.dtype.newbyteorder(">"))
    if layout == "unaligned":
        buffer = np.zeros(x.nbytes + 1, np.uint8)
        view = buffer[1:].view(x.dtype).reshape(x.shape)
        view[...] = x
        return view
    return placed(x, layout)


def data(net):
    """Inputs as they are laid out, the same plainly, labels, and weights or None."""
    rng, (n_in, *_, n_out) = np.random.default_rng(net.seed), net.sizes
    x = rng.integers(0, 256, (net.n, n_in)) * (rng.random((net.n, n_in)) < rng.choice([0.2, 0.6, 1.0]))
    if net.inputs == "bytes":
        x = x.astype(np.uint8)
    elif net.inputs.startswith("few"):
        x = (x / 255).astype(net.inputs.split()[1])
    else:
        x = rng.standard_normal(x.shape).astype(net.inputs) * (x > 0)
    laid = laid_out(x, net.layout)
    y = {
        "softmax": rng.integers(n_out, size=net.n),
        "logistic": rng.random((net.n, n_out)),
        "identity": rng.standard_normal((net.n, n_out)),
        "exp": rng.poisson(1.0, (net.n, n_out)).astype(float),
    }[net.output]
    if net.output == "softmax" and n_out > 1 and rng.random() < 0.5:
        y = rng.dirichlet(np.ones(n_out), net.n)
    weights = None
    if net.weighted:
        weights = rng.random(net.n) * (rng.random(net.n) < 0.7)
        weights[rng.integers(net.n)] = 1.0  # they may not all be 0
    return laid, np.array(laid, laid.dtype.newbyteorder("="), order="C"), y, weights


def model_of(net, **options):
    rng = np.random.default_rng([net.seed, 1])
    center = rng.random(net.sizes[0]) if net.is_centered else None
    names = net.activations[: len(net.sizes) - 2]
    given = {"activation": names, "output": net.output, "dropout": net.dropout, "center": center}
    scale = 1 / 255 if net.inputs == "bytes" else rng.choice([1.0, 0.3])
    model = MLP(net.sizes, scale=scale, seed=net.seed, dtype=net.dtype, **given | options)
    # biases other than 0, weights that even means exp(z) are not driven far by, and the same in either dtype
    given = [w / 2 if w.ndim == 2 else rng.standard_normal(w.shape) / 4 for w in model.get_weights()]
    model.set_weights([w.astype(np.float32) for w in given])
    return model


def smoothing_of(net):
    return net.smoothing if net.output in ("softmax", "logistic") else 0.0


def by_epochs(net, x, y, weights, epochs=2, **options):
    """Train until a loss is not finite; return what became of the model, and the losses before."""
    model = model_of(net, **options)
    loader, losses = DataLoader(x, y, net.batch, sample_weight=weights), []
    optimizer = OPTIMIZERS[net.optimizer]
    rates = np.tile([optimizer.lr, getattr(optimizer, "momentum", 0.0)], (len(loader), 1))
    for _ in range(epochs):
        losses.append(np.full(len(loader), np.nan))
        given = {"ema": net.ema, "label_smoothing": smoothing_of(net)}
        try:
            model.run_epoch(loader, loader.next_order(), rates, losses[-1], optimizer, **given)
        except FloatingPointError:
            losses[-1] = losses[-1][: np.argmin([*np.isfinite(losses[-1]), False])]
            break
    return model, np.concatenate(losses)


def by_steps(net, x, y, weights, epochs=2):
    model, losses = model_of(net), []
    loader = DataLoader(x, y, net.batch, sample_weight=weights)
    with contextlib.suppress(FloatingPointError):
        for batch in itertools.chain.from_iterable(loader for _ in range(epochs)):
            losses.append(model.forward(*batch, label_smoothing=smoothing_of(net)))
            model.backward()
            model.step(OPTIMIZERS[net.optimizer])
    return model, np.array(losses)


def bits(trained, x):
    model, losses = trained
    state = model.get_state()
    kept = [*state["weights"], *(a for row in state["state"] for a in row), losses, model.logits(x)]
    return state["steps"], state["all_steps"], [array.tobytes() for array in kept]


@given(net=nets(ema=None))
def test_an_epoch_has_the_bits_of_its_steps_whatever_the_layout_the_threads_and_the_skipping(net):
    x, plain, y, weights = data(net)
    with pytest.MonkeyPatch.context() as patch:
        machine.set_num_threads(net.threads)
        patch.setenv("FASTMLP_SKIP_ZEROS", net.skip)
        got = bits(by_epochs(net, x, y, weights), x)
        machine.set_num_threads(1)
        patch.setenv("FASTMLP_SKIP_ZEROS", "off")
        assert got == bits(by_steps(net, plain, y, weights), plain)


@given(net=nets())
def test_three_steps_are_those_of_the_reference_within_what_roundings_explain(net):
    """No more, for what a step may be off by grows from step to step."""
    net = net._replace(batch=max(net.batch, -(-net.n // 3)))
    x, plain, y, weights = data(net)
    machine.set_num_threads(net.threads)
    model, losses = by_epochs(net, x, y, weights, epochs=1)
    twin, expected = by_epochs(net._replace(dtype=np.float64), plain, y, weights, epochs=1, ops=reference)
    # the test above has those that diverge
    assume(expected.max(initial=0) < 100 and np.abs(twin.logits(plain)).max() < 100)
    training = Training(model_of(net), OPTIMIZERS[net.optimizer], smoothing_of(net), net.ema)
    labels, means = DataLoader(plain, y).labels_for(net.output, net.sizes[-1]), []
    for start in range(0, net.n, net.batch):
        now = slice(start, start + net.batch)
        means.append(training.train(plain[now], labels[now], None if weights is None else weights[now]).off)
    assert_within(losses, expected, means)
    for got, wanted, near in zip(model.raw_weights(), twin.raw_weights(), training.parameters, strict=True):
        assert_within(got, wanted, near.off)
    for got, wanted, near in zip(model.get_weights(), twin.get_weights(), training.inferred(), strict=True):
        assert_within(got, wanted, near.off)
    (*_, (_, logits, _)), _ = training.forward(plain)
    assert_within(model.logits(x), twin.logits(plain), logits.off)
