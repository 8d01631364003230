"""Softmax and cross-entropy in one pass against the float64 reference."""

import numpy as np
import pytest
from bounds import assert_margins_untouched, assert_within, framed, framed_output, softmax

from fastmlp import kernels, reference

SHAPES = [
    (1, 1),
    (1, 2),
    (2, 3),
    (3, 7),
    (5, 8),
    (4, 15),
    (5, 16),
    (3, 17),
    (7, 31),
    (2, 33),
    (128, 10),
    (9, 1000),
]
DTYPES = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def one_hot(labels, n_classes):
    return np.eye(n_classes)[labels]


def call(ops, logits, labels):
    dlogits, losses = np.full_like(logits, np.nan), np.full(len(logits), np.nan)
    ops.softmax_cross_entropy(logits, labels, dlogits, losses)
    return dlogits, losses


@DTYPES
@pytest.mark.parametrize("kind", ["integers", "rows"])
@pytest.mark.parametrize("spread", [1, 10, 1e4])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_softmax_cross_entropy(shape, spread, kind, dtype):
    batch, n_classes = shape
    rng = np.random.default_rng([batch, n_classes])
    logits = framed(rng.uniform(-spread, spread, shape), dtype)
    integers = rng.integers(n_classes, size=batch)
    labels = integers if kind == "integers" else framed(rng.dirichlet(np.ones(n_classes), batch))
    y = one_hot(integers, n_classes) if kind == "integers" else labels
    kept, kept_labels = logits.copy(), labels.copy()
    dlogits, losses = framed_output(shape, dtype), framed_output(batch, np.float64)
    kernels.softmax_cross_entropy(logits, labels, dlogits, losses)
    expected, expected_losses = call(reference, logits.astype(np.float64), labels)
    of_dlogits, of_losses = softmax(logits, y)
    assert_within(dlogits, expected, of_dlogits / batch)
    assert_within(losses, expected_losses, of_losses)
    assert_margins_untouched(dlogits, losses)
    assert np.array_equal(logits, kept) and np.array_equal(labels, kept_labels)


@DTYPES
def test_the_gradient_is_of_the_mean_over_the_batch(dtype):
    dlogits, losses = call(kernels, np.zeros((4, 2), dtype), np.array([0, 1, 1, 0]))
    assert dlogits.tolist() == [[-0.125, 0.125], [0.125, -0.125], [0.125, -0.125], [-0.125, 0.125]]
    assert losses == pytest.approx(np.log(2), rel=1e-15)


@DTYPES
def test_every_label_names_its_own_class(dtype):
    dlogits, losses = call(kernels, np.diag(np.full(17, 50, dtype)), np.arange(17))
    assert np.all(losses < 1e-15)
    assert np.all(np.abs(dlogits) < 1e-15)


@DTYPES
def test_logits_far_apart_neither_overflow_nor_clip(dtype):
    logits = np.array([[1e4, -1e4, 0.0], [-1e4, -1e4, -1e4]], dtype)
    dlogits, losses = call(kernels, logits, np.array([1, 2]))
    assert losses[0] == 2e4
    assert losses[1] == pytest.approx(np.log(3), rel=1e-7)
    assert dlogits[0].tolist() == [0.5, -0.5, 0]


@DTYPES
@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("place", [0, 5, 18])
def test_a_row_that_is_not_finite_stays_alone(dtype, bad, place):
    logits = np.zeros((3, 19), dtype)
    logits[1, place] = bad
    for labels in np.array([1, 2, 3]), one_hot([1, 2, 3], 19):
        dlogits, losses = call(kernels, logits, labels)
        assert np.isnan(losses).tolist() == [False, True, False]
        assert np.isnan(dlogits[1]).all() and np.isfinite(dlogits[[0, 2]]).all()


@DTYPES
def test_a_class_of_no_weight_may_be_impossible(dtype):
    logits = np.array([[0.0, -np.inf, 1.0]], dtype)
    dlogits, losses = call(kernels, logits, np.array([[0.25, 0.0, 0.75]]))
    p = 1 / (1 + np.exp([1.0, -1.0]))
    assert losses[0] == pytest.approx(-0.25 * np.log(p[0]) - 0.75 * np.log(p[1]), rel=1e-6)
    assert dlogits[0, 1] == 0
    assert call(kernels, logits, np.array([1]))[1].tolist() == [np.inf]


@DTYPES
def test_integers_of_any_stride_and_their_one_hot_rows_give_the_same_bits(dtype):
    rng = np.random.default_rng(0)
    logits, labels = rng.standard_normal((40, 21)).astype(dtype), rng.integers(21, size=80)[::2]
    results = [call(kernels, logits, y) for y in (labels, labels.copy(), one_hot(labels, 21))]
    assert len({dlogits.tobytes() + losses.tobytes() for dlogits, losses in results}) == 1
