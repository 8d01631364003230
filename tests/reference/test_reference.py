"""The reference against finite differences, against scikit-learn, and against itself step by step."""

import numpy as np
import pytest
from sklearn.metrics import log_loss

from fastmlp import reference

ARCHITECTURES = [
    (1, 1), (1, 2), (2, 1), (3, 2), (5, 7), (4, 10),
    (1, 1, 1), (1, 3, 2), (3, 1, 2), (2, 3, 1), (4, 5, 3), (7, 13, 11), (8, 8, 8), (16, 9, 10),
    (2, 3, 4, 5), (5, 4, 3, 2), (3, 1, 1, 3), (6, 6, 6, 6),
    (4, 7, 5, 3, 2), (2, 2, 2, 2, 2, 2), (5, 8, 3, 8, 3, 4), (3, 4, 5, 6, 7, 8, 9),
]  # fmt: skip


def make_problem(sizes, batch, dtype=np.float64, seed=0, rows=False):
    """Return a filled arena with its table, inputs and labels (rows of probabilities if asked for)."""
    rng = np.random.default_rng(seed)
    table, size = reference.plan(sizes, batch, dtype)
    arena = np.full(size, np.nan, dtype)
    n_parameters = table[0, 5]
    arena[:n_parameters] = rng.standard_normal(n_parameters) * 0.7
    x = rng.standard_normal((batch, sizes[0])).astype(dtype)
    labels = rng.dirichlet(np.ones(sizes[-1]), batch) if rows else rng.integers(sizes[-1], size=batch)
    return arena, table, x, labels


def run(arena, table, x, labels, order, batch_size, lr=0.1, scale=1.0, stop=0):
    """Call `sgd_epoch`; return the batches completed and the losses."""
    losses = np.full(-(-len(order) // batch_size), np.nan)
    scalar = arena.dtype.type
    masks = np.empty((0, 0), np.uint64)
    stop = np.array([stop])
    done = reference.sgd_epoch(
        arena, table, x, labels, order, batch_size, scalar(lr), scalar(scale), masks, stop, losses
    )
    return done, losses


def loss_of(arena, table, x, labels):
    logits, losses = np.empty((len(x), table[-1, 1])), np.empty(len(x))
    reference.infer(arena, table, x, 1.0, logits)
    reference.softmax_cross_entropy(logits, labels, np.empty_like(logits), losses)
    return losses.mean()


def finite_differences(f, values, eps=1e-6):
    """Central differences of f() as each element of `values` is moved."""
    gradient = np.empty(values.size)
    for i in range(values.size):
        kept = values[i]
        values[i] = kept + eps
        above = f()
        values[i] = kept - eps
        gradient[i] = (above - f()) / (2 * eps)
        values[i] = kept
    return gradient


def relative_error(got, expected):
    return np.linalg.norm(got - expected) / max(np.linalg.norm(expected), 1e-3)


@pytest.mark.parametrize("rows", [False, True], ids=["integers", "rows"])
@pytest.mark.parametrize("sizes", ARCHITECTURES, ids=str)
def test_an_epoch_of_one_batch_steps_along_the_finite_differences(sizes, rows):
    arena, table, x, labels = make_problem(sizes, 5, rows=rows)
    parameters = arena[: table[0, 5]]
    expected = finite_differences(lambda: loss_of(arena, table, x, labels), parameters)
    before = parameters.copy()
    done, losses = run(arena, table, x, labels, np.arange(5), 5, lr=1.0)
    assert done == 1
    assert losses[0] == pytest.approx(loss_of(np.append(before, arena), table, x, labels), rel=1e-14)
    assert relative_error(before - parameters, expected) < 1e-6


@pytest.mark.parametrize("relu", [False, True], ids=["linear", "linear_relu"])
def test_backward_passes_are_the_finite_differences_of_forward_passes(relu):
    rng = np.random.default_rng(1)
    x, w, b = rng.standard_normal((6, 4)), rng.standard_normal((4, 3)), rng.standard_normal(3)
    y, weighting = np.empty((6, 3)), rng.standard_normal((6, 3))
    forward = reference.linear_relu_forward if relu else reference.linear_forward

    def f():
        forward(x, w, b, y)
        return (y * weighting).sum()

    expected = [finite_differences(f, a.reshape(-1)) for a in (x, w, b)]
    f()
    dx, dw, db = np.empty_like(x), np.empty_like(w), np.empty_like(b)
    if relu:
        reference.linear_relu_backward(x, w, y, weighting, dx, dw, db)
        assert np.array_equal(weighting != 0, y > 0)  # consumed: it holds dz
    else:
        reference.linear_backward(x, w, weighting, dx, dw, db)
    for got, e in zip((dx, dw, db), expected, strict=True):
        assert relative_error(got.ravel(), e) < 1e-6


def test_relu_passes_nothing_at_zero_and_keeps_nan():
    one, y, dx = np.ones((1, 1)), np.empty((1, 1)), np.empty((1, 1))
    reference.linear_relu_forward(one, one, -np.ones(1), y)
    dy = np.ones((1, 1))
    reference.linear_relu_backward(one, one, y, dy, dx, np.empty((1, 1)), np.empty(1))
    assert y == 0 and dy == 0 and dx == 0
    reference.linear_relu_forward(np.array([[np.nan]]), one, np.zeros(1), y)
    assert np.isnan(y)


def test_dx_none_is_not_computed():
    x, w, dy = np.ones((2, 3)), np.ones((3, 4)), np.ones((2, 4))
    dw, db = np.empty((3, 4)), np.empty(4)
    reference.linear_backward(x, w, dy, None, dw, db)
    assert np.all(dw == 2) and np.all(db == 2)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("spread", [1, 4, 1e4])
def test_loss_agrees_with_scikit_learn(dtype, spread):
    rng = np.random.default_rng(2)
    logits = (spread * rng.standard_normal((50, 10))).astype(dtype)
    labels = rng.integers(10, size=50)
    losses, dlogits = np.empty(50), np.empty_like(logits)
    reference.softmax_cross_entropy(logits, labels, dlogits, losses)
    z = logits.astype(np.float64)
    p = np.exp(z - z.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    one_hot = np.eye(10)[labels]
    assert np.allclose(dlogits * 50, p - one_hot, rtol=0, atol=40 * np.finfo(dtype).eps)
    if spread < 1e4:  # there, scikit-learn clips p
        expected = log_loss(labels, p, labels=range(10))
        assert losses.mean() == pytest.approx(expected, rel=20 * float(np.finfo(dtype).eps))
    assert np.all(np.isfinite(losses))
    row_losses, row_dlogits = np.empty(50), np.empty_like(logits)
    reference.softmax_cross_entropy(logits, one_hot, row_dlogits, row_losses)
    assert np.array_equal(row_losses, losses)
    assert np.allclose(row_dlogits, dlogits, rtol=0, atol=np.finfo(dtype).eps)


def test_loss_of_soft_rows_ignores_classes_of_no_weight():
    logits = np.array([[0.0, -np.inf, 1.0]])
    losses = np.empty(1)
    reference.softmax_cross_entropy(logits, np.array([[0.25, 0.0, 0.75]]), np.empty((1, 3)), losses)
    p = 1 / (1 + np.exp([1.0, -1.0]))
    assert losses[0] == pytest.approx(-0.25 * np.log(p[0]) - 0.75 * np.log(p[1]))


@pytest.mark.parametrize("sizes", ARCHITECTURES, ids=str)
def test_plan_packs_every_array_once(sizes):
    batch = 3
    table, size = reference.plan(sizes, batch, np.float32)
    assert table.dtype == np.int64 and table.shape == (len(sizes) - 1, 10)
    owners = np.zeros(size, int)
    for n_in, n_out, w, w_ld, b, _, x_ld, y, y_ld, dy in table.tolist():
        assert (w_ld, x_ld, y_ld) == (n_out, n_in, n_out)
        for offset, count in (w, n_in * n_out), (b, n_out), (y, batch * n_out), (dy, batch * n_out):
            owners[offset : offset + count] += 1
    first_x = table[0, 5]
    owners[first_x : first_x + batch * sizes[0]] += 1
    assert np.all(owners == 1)
    assert np.array_equal(table[1:, 5:7], table[:-1, 7:9])  # a layer's x is the y below
    assert first_x == sum((n_in + 1) * n_out for n_in, n_out in zip(sizes, sizes[1:], strict=False))
    assert np.array_equal(table[:, :5], reference.plan(sizes, 100, np.float32)[0][:, :5])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("x_dtype", [np.uint8, np.float32, np.float64])
def test_an_epoch_is_its_steps_one_by_one(dtype, x_dtype):
    sizes, n, batch_size, lr, scale = (6, 5, 4, 3), 23, 5, 0.05, 1 / 255
    arena, table, _, labels = make_problem(sizes, batch_size, dtype)
    rng = np.random.default_rng(3)
    x = (255 * rng.random((n, 6))).astype(x_dtype)
    labels, order = rng.integers(3, size=n), rng.permutation(n)
    stepped = arena.copy()
    done, losses = run(arena, table, x, labels, order, batch_size, lr, scale)
    expected = []
    for start in range(0, n, batch_size):
        batch = order[start : start + batch_size]
        inputs = stepped, table, x[batch], labels[batch], np.arange(len(batch))
        one_done, loss = run(*inputs, batch_size, lr, scale)
        assert one_done == 1
        expected.append(loss[0])
    assert done == 5
    assert np.array_equal(losses, expected)
    assert np.array_equal(arena, stepped)


def test_the_stop_flag_ends_an_epoch_before_its_next_batch():
    arena, table, x, labels = make_problem((3, 2), 4)
    before = arena.copy()
    done, losses = run(arena, table, x, labels, np.arange(4), 2, stop=1)
    assert done == 0 and np.all(np.isnan(losses))
    assert np.array_equal(arena, before, equal_nan=True)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_batch_that_diverges_takes_no_step(bad):
    arena, table, x, labels = make_problem((3, 4, 2), 6)
    parameters = arena[: table[0, 5]]
    x[4] = bad
    done, losses = run(arena, table, x, labels, np.arange(6), 2)
    assert done == 2 and np.all(np.isfinite(losses[:2])) and not np.isfinite(losses[2])
    twin = make_problem((3, 4, 2), 6)
    assert run(twin[0], twin[1], twin[2], twin[3], np.arange(4), 2)[0] == 2
    assert np.array_equal(parameters, twin[0][: table[0, 5]])


def test_inference_only_reads_the_arena():
    arena, table, x, _ = make_problem((5, 4, 3), 7)
    arena.flags.writeable = False
    logits = np.empty((7, 3))
    reference.infer(arena, table, x, 0.5, logits)
    w1, b1, w2, b2 = arena[:20].reshape(5, 4), arena[20:24], arena[24:36].reshape(4, 3), arena[36:39]
    assert np.allclose(logits, np.maximum(0.5 * x @ w1 + b1, 0) @ w2 + b2, rtol=1e-14)


def test_scan():
    assert reference.scan(np.array([[0, 200], [255, 0]], np.uint8)) == (True, 255.0, 0.5)
    assert reference.scan(np.array([[-3.0, 2.0, 0.0, -0.0]])) == (True, 3.0, 0.5)
    assert reference.scan(np.array([[np.nan, 2.0]])) == (False, np.inf, 1.0)
    assert reference.scan(np.array([[-np.inf, 0.0]], np.float32)) == (False, np.inf, 0.5)
    assert reference.scan(np.empty((0, 4))) == (True, 0.0, 0.0)


@pytest.mark.parametrize("n_features", [1, 63, 64, 65, 784])
def test_zero_masks(n_features):
    rng = np.random.default_rng(4)
    x = rng.standard_normal((5, n_features)) * (rng.random((5, n_features)) < 0.3)
    x[0, -1] = np.nan
    masks = np.full((5, -(-n_features // 64)), np.uint64(2**64 - 1))
    reference.zero_masks(x, masks)
    for i, j in np.ndindex(5, 64 * masks.shape[1]):
        bit = int(masks[i, j // 64]) >> (j % 64) & 1
        assert bit == (j < n_features and x[i, j] != 0)


def test_all_names_the_public_functions():
    own = {name for name, f in vars(reference).items() if getattr(f, "__module__", "") == reference.__name__}
    assert set(reference.__all__) == {name for name in own if name[0] != "_"}
