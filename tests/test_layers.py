"""The teaching layers against finite differences, and against the epoch that trains them all at once."""

import numpy as np
import pytest
from optimizing import NO_WEIGHTS, nothing_kept, numbers

from fastmlp import reference
from fastmlp.layers import Linear, ReLU, SoftmaxCrossEntropy

ARCHITECTURES = [
    (1, 1), (2, 3), (3, 1), (7, 5), (10, 10),
    (1, 1, 1), (2, 5, 3), (5, 2, 3), (1, 7, 2), (13, 11, 7), (6, 1, 4), (9, 16, 10),
    (2, 3, 5, 7), (7, 5, 3, 2), (4, 4, 4, 4), (1, 2, 1, 2), (3, 9, 2, 6),
    (2, 3, 4, 3, 2), (5, 6, 7, 8, 9), (4, 3, 3, 3, 3, 3), (2, 4, 6, 8, 6, 4, 2),
]  # fmt: skip


class Network:
    """Linear layers with a ReLU between each two."""

    def __init__(self, sizes, rng):
        self.layers = []
        for n_in, n_out in zip(sizes, sizes[1:], strict=False):
            self.layers += [Linear(n_in, n_out, rng), ReLU()]
        self.layers.pop()
        self.loss = SoftmaxCrossEntropy()

    def forward(self, x, labels):
        for layer in self.layers:
            x = layer.forward(x)
        return self.loss.forward(x, labels)

    def backward(self):
        gradient = self.loss.backward()
        for layer in reversed(self.layers):
            gradient = layer.backward(gradient)
        return gradient

    def step(self, lr):
        for layer in self.layers:
            layer.step(lr)

    def linears(self):
        return [layer for layer in self.layers if isinstance(layer, Linear)]


def make(sizes, batch=6):
    rng = np.random.default_rng(0)
    network = Network(sizes, rng)
    for layer in network.linears():
        layer.b[:] = 0.3 * rng.standard_normal(len(layer.b))  # away from the kinks of dead units
    return network, rng.standard_normal((batch, sizes[0])), rng.integers(sizes[-1], size=batch)


def finite_differences(f, values, eps=1e-6):
    gradient = np.empty_like(values)
    for i in np.ndindex(values.shape):
        kept = values[i]
        values[i] = kept + eps
        above = f()
        values[i] = kept - eps
        gradient[i] = (above - f()) / (2 * eps)
        values[i] = kept
    return gradient


@pytest.mark.parametrize("sizes", ARCHITECTURES, ids=str)
def test_gradients_are_the_finite_differences_of_the_loss(sizes):
    network, x, labels = make(sizes)
    values = [x] + [a for layer in network.linears() for a in (layer.w, layer.b)]
    expected = [finite_differences(lambda: network.forward(x, labels), a) for a in values]
    network.forward(x, labels)
    gradients = [network.backward()] + [a for layer in network.linears() for a in (layer.dw, layer.db)]
    for got, e in zip(gradients, expected, strict=True):
        assert np.linalg.norm(got - e) <= 1e-6 * max(np.linalg.norm(e), 1e-3)


def test_layers_train_as_the_epoch_does():
    sizes, n, batch_size, lr = (6, 8, 5, 4), 30, 7, 0.1
    network, x, labels = make(sizes, n)
    table, size = reference.plan(sizes, batch_size, np.float64)
    arena = np.zeros(size)
    parameters = [a.ravel() for layer in network.linears() for a in (layer.w, layer.b)]
    n_parameters = table[0]["x"]
    arena[:n_parameters] = np.concatenate(parameters)
    losses, order, masks, stop = np.empty(5), np.arange(n), np.empty((0, 0), np.uint64), np.zeros(1, np.int64)
    of_step, kept = numbers(lr, len(losses), len(table)), nothing_kept(np.float64)
    data, rest = (x, labels, NO_WEIGHTS, order, batch_size), (1.0, np.empty(0), masks, stop, losses)
    reference.train_epoch(arena, table, kept, *data, *of_step, *rest)
    for i, start in enumerate(range(0, n, batch_size)):
        batch = slice(start, start + batch_size)
        assert network.forward(x[batch], labels[batch]) == pytest.approx(losses[i], rel=1e-12)
        network.backward()
        network.step(lr)
    trained = np.concatenate([a.ravel() for layer in network.linears() for a in (layer.w, layer.b)])
    assert np.allclose(trained, arena[:n_parameters], rtol=1e-12, atol=1e-14)


def test_weights_start_normal_with_a_zero_bias():
    layer = Linear(784, 128, seed=0)
    assert layer.w.dtype == np.float64 and not layer.b.any()
    assert layer.w.std() == pytest.approx(np.sqrt(2 / 784), rel=0.01)
    assert np.array_equal(Linear(784, 128, seed=0, dtype=np.float32).w, layer.w.astype(np.float32))


def test_relu_has_gradient_zero_at_zero_and_keeps_nan():
    relu = ReLU()
    got = relu.forward(np.array([-1.0, 0.0, 2.0, np.nan]))
    assert np.array_equal(got, [0, 0, 2, np.nan], equal_nan=True)
    assert np.array_equal(relu.backward(np.ones(4))[:3], [0, 0, 1])


def test_pixels_and_one_hot_rows_go_in_as_they_are():
    rng = np.random.default_rng(5)
    layer, loss = Linear(9, 3, rng), SoftmaxCrossEntropy()
    logits = layer.forward(rng.integers(256, size=(4, 9), dtype=np.uint8))
    labels = rng.integers(3, size=4)
    assert loss.forward(logits, labels) == loss.forward(logits, np.eye(3)[labels])


def test_masked_elements_are_refused():
    x = np.ma.masked_greater(np.arange(6.0).reshape(2, 3), 4)
    with pytest.raises(ValueError, match="^x .*mask"):
        Linear(3, 2, seed=0).forward(x)
    with pytest.raises(ValueError, match="^labels .*mask"):
        SoftmaxCrossEntropy().forward(np.zeros((2, 3)), np.ma.array([0, 1], mask=[False, True]))
    Linear(3, 2, seed=0).forward(np.ma.array(x.data))  # nothing is masked


@pytest.mark.parametrize(
    "labels, said",
    [
        ([0, -1], "label -1, expected 0 to 2"),  # which NumPy counts from the end
        ([0, 3], "label 3, expected 0 to 2"),
        ([0.0, 1.0], "floats, expected"),
        ([0], "1 labels, expected 2"),
        (["a", "b"], r"classes, labels = np.unique\(np.ravel\(labels\), return_inverse=True\)"),
        ([[1, 1, 0], [0, 1, 0]], "sums to 2"),
    ],
)
def test_labels_that_do_not_fit_are_refused(labels, said):
    with pytest.raises(ValueError, match=said):
        SoftmaxCrossEntropy().forward(np.zeros((2, 3)), labels)
