"""Networks of every output, with weights of rows, smoothed labels and dropout: their bits and gradients."""

import copy
import pickle

import numpy as np
import pytest
from networks import BATCH, SIZES, N, bits, by_epochs, by_steps, inputs, make, some_weights, targets

from fastmlp import MLP, SGD, Adam, DataLoader, kernels, reference, train_epoch
from fastmlp.config import ACTIVATIONS, OUTPUTS

EVERY = pytest.mark.parametrize("output", OUTPUTS)
DTYPES = pytest.mark.parametrize("dtype", [np.float32, np.float64])
DROPOUT = pytest.mark.parametrize("dropout", [0.0, 0.5, (0.3, 0.5)], ids=str)
WEIGHTED = pytest.mark.parametrize("weighted", [False, True])


@EVERY
@DTYPES
@WEIGHTED
@DROPOUT
@pytest.mark.parametrize("kind", ["bytes", "floats", "scaled floats"])
def test_steps_are_the_epoch_bit_by_bit(output, dtype, weighted, dropout, kind):
    X = {"bytes": inputs(), "floats": inputs().astype(dtype), "scaled floats": inputs() / 255.0}[kind]
    y, weights = targets(output), some_weights() if weighted else None
    models = [make(output, dtype, activation=("tanh", "gelu"), dropout=dropout) for _ in range(2)]
    losses = [
        run(model, Adam(0.003, l2=0.1), y, weights, X=X)
        for run, model in zip((by_epochs, by_steps), models, strict=True)
    ]
    assert np.array_equal(*losses) and np.isfinite(losses).all()
    assert bits(models[0]) == bits(models[1])


@EVERY
def test_the_same_bits_whatever_the_threads_and_the_skipping(output, threads, monkeypatch):
    found, y = set(), targets(output)
    for n in (1, 2, 4):
        for skip in ("on", "off"):
            threads(n)
            monkeypatch.setenv("FASTMLP_SKIP_ZEROS", skip)
            model = make(output, dropout=(0.3, 0.5))
            losses = by_epochs(model, SGD(0.01, momentum=0.9), y, some_weights())
            found.add((bits(model), losses.tobytes(), model.logits(inputs()).tobytes()))
    assert len(found) == 1


@EVERY
@WEIGHTED
@DROPOUT
def test_the_reference_trains_alike(output, weighted, dropout):
    y, weights = targets(output), some_weights() if weighted else None
    models = [
        make(output, np.float64, ops, activation="mish", dropout=dropout) for ops in (kernels, reference)
    ]
    losses = [by_epochs(model, Adam(0.003), y, weights) for model in models]
    assert np.allclose(*losses, rtol=1e-9)
    for got, expected in zip(*(model.get_weights() for model in models), strict=True):
        assert np.allclose(got, expected, rtol=1e-9, atol=1e-12)
    assert np.allclose(*(model.predict(inputs()) for model in models))
    assert models[0].loss(inputs(), y, weights) == pytest.approx(models[1].loss(inputs(), y, weights))


def assert_gradients_are_of_the_loss(model, X, y, weights=None):
    """Central differences through the compiled model, in float64."""
    start = model.get_weights()
    model.forward(X, y, weights)
    model.backward()
    model.step(1.0)
    gradients = [w - moved for w, moved in zip(start, model.get_weights(), strict=True)]
    state, rng = model.get_state() | {"all_steps": 0}, np.random.default_rng(0)
    for i, gradient in enumerate(gradients):
        for j in rng.choice(gradient.size, min(6, gradient.size), replace=False):
            place = np.unravel_index(j, gradient.shape)
            losses = []
            for move in (1e-5, -1e-5):
                weights_now = [w.copy() for w in start]
                weights_now[i][place] += move
                model.set_state(state | {"weights": weights_now})  # draws as the step did
                losses.append(model.forward(X, y, weights))
            slope = (losses[0] - losses[1]) / 2e-5
            assert abs(slope - gradient[place]) <= 1e-6 * max(abs(gradient).max(), 1e-3)


def small(output, seed=5, **options):
    rng = np.random.default_rng(seed)
    model = MLP([4, 6, 5, 3], seed=3, dtype=np.float64, output=output, **options)
    return model, rng.standard_normal((7, 4)), targets(output, 7, 3)


@EVERY
@WEIGHTED
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_gradients_are_those_of_the_loss(activation, output, weighted):
    weights = np.array([1, 0, 2.5, 0.1, 1, 3, 0.5]) if weighted else None
    assert_gradients_are_of_the_loss(*small(output, activation=activation), weights)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_gradients_are_those_of_what_dropout_leaves(activation):
    assert_gradients_are_of_the_loss(*small("identity", activation=activation, dropout=(0.2, 0.4)))


@EVERY
def test_weight_2_is_the_row_twice_and_weight_0_the_row_left_out(output):
    weights = np.array([1, 0, 2, 1, 3, 0, 1])
    moved = []
    for rows, of_rows in (np.arange(7), weights), (np.repeat(np.arange(7), weights), None):
        model, X, y = small(output)
        loss = model.forward(X[rows], y[rows], of_rows)
        model.backward()
        model.step(SGD(0.1, l2=0.5))
        moved.append([loss, *(w.tolist() for w in model.get_weights())])
    for one, other in zip(*moved, strict=True):
        assert np.allclose(one, other, rtol=1e-12, atol=1e-14)


@EVERY
@pytest.mark.parametrize("run", [by_epochs, by_steps])
def test_a_batch_of_weight_0_changes_nothing(output, run):
    X, y = inputs(), targets(output)
    weights = np.ones(N)
    weights[BATCH : 2 * BATCH] = 0
    with_it, without = make(output, dropout=0.2), make(output, dropout=0.2)
    losses = run(with_it, Adam(0.01), y, weights, epochs=1)
    taken = weights > 0
    run(without, Adam(0.01), y[taken], weights[taken], epochs=1, X=X[taken])
    assert losses[1] == 0 and bits(with_it) == bits(without)
    assert with_it.get_state()["steps"] == with_it.get_state()["all_steps"] == 2


@pytest.mark.parametrize("output", ["softmax", "logistic"])
def test_smoothing_is_the_same_by_steps_and_teaches_less_certainty(output):
    y, models = targets(output), [make(output) for _ in range(3)]
    losses = [
        by_epochs(models[0], SGD(0.1), y, label_smoothing=0.2),
        by_steps(models[1], SGD(0.1), y, label_smoothing=0.2),
    ]
    assert np.array_equal(*losses) and bits(models[0]) == bits(models[1])
    by_epochs(models[2], SGD(0.1), y)
    sizes = [np.abs(model.logits(inputs())).mean() for model in models]
    assert sizes[0] < sizes[2]


@pytest.mark.parametrize("output", ["identity", "exp"])
def test_what_has_no_classes_cannot_be_smoothed(output):
    model, y = make(output), targets(output)
    for call in by_epochs, by_steps:
        with pytest.raises(ValueError, match=f"expected 0: {output} outputs have no"):
            call(model, SGD(0.1), y, label_smoothing=0.1)


@pytest.mark.parametrize("smoothing", [-0.1, 1, True, "much", None])
def test_smoothing_is_a_share(smoothing):
    with pytest.raises(ValueError, match="label_smoothing is .*, expected a number from 0 to below 1"):
        make().forward(inputs(), targets("softmax"), label_smoothing=smoothing)


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_copies_draw_on_as_the_model_does(duplicate):
    model, y = make(dropout=(0.2, 0.5)), targets("softmax")
    by_epochs(model, Adam(0.01), y)
    twin = duplicate(model)
    by_epochs(model, Adam(0.01), y)
    by_steps(twin, Adam(0.01), y)
    assert bits(twin) == bits(model)


def test_dropout_draws_by_seed_and_step_and_inference_never():
    y = targets("softmax")
    models = [MLP(SIZES, scale=1 / 255, seed=seed, dropout=0.5) for seed in (1, 1, 2)]
    for model in models[1:]:
        model.set_weights(models[0].get_weights())
    same = make()
    same.set_weights(models[0].get_weights())
    assert all(model.logits(inputs()).tobytes() == same.logits(inputs()).tobytes() for model in models)
    losses = [model.forward(inputs(), y) for model in models]
    assert losses[0] == losses[1] != losses[2]
    assert models[0].forward(inputs(), y) == losses[0]
    models[0].backward()
    models[0].step(SGD(0.0))
    assert models[0].forward(inputs(), y) != losses[0]


def test_the_optimizer_may_change_but_dropout_counts_on():
    model, y = make(dropout=0.5), targets("softmax")
    by_epochs(model, Adam(0.01), y, epochs=1)
    by_epochs(model, SGD(0.01), y, epochs=1)
    model.reset_optimizer()
    assert (model.get_state()["steps"], model.get_state()["all_steps"]) == (0, 6)


@pytest.mark.parametrize(
    ("output", "n_out", "y", "text"),
    [
        ("softmax", 3, [0.0, 1.0], "integer labels; try np.ravel"),
        ("logistic", 1, [0, 2], r"y\[1\] is 2, expected 0 or 1"),
        ("logistic", 2, [[0, 1], [0, 1.5]], "expected probabilities"),
        ("logistic", 2, [0, 1], r"expected \(n, 2\), a column for each output"),
        ("identity", 2, [[1.0], [2.0]], "y has 1 columns, expected 2"),
        ("identity", 1, [1.0, np.nan], r"y\[1\] is nan, expected finite"),
        ("exp", 1, [1, -1], r"y\[1\] is -1, expected none below 0"),
    ],
)
def test_labels_that_do_not_suit_the_output_are_refused(output, n_out, y, text):
    model, X = MLP([2, n_out], output=output, seed=0), np.ones((2, 2))
    for call in model.forward, model.loss, lambda *data: train_epoch(model, *data):
        with pytest.raises(ValueError, match=text):
            call(X, y)
    assert bits(model) == bits(MLP([2, n_out], output=output, seed=0))


def test_a_loader_serves_models_of_several_outputs():
    X, y = np.random.default_rng(0).standard_normal((20, 3)), np.arange(20) % 2
    loader = DataLoader(X, y, 8)
    for output, n_out in ("softmax", 2), ("logistic", 1), ("identity", 1), ("exp", 1):
        assert np.isfinite(train_epoch(MLP([3, n_out], output=output, seed=0), loader))


def test_a_mean_beyond_the_dtype_is_a_divergence_whose_step_is_not_taken():
    model = MLP([1, 1], output="exp", seed=0)
    model.set_weights([[[100.0]], [0.0]])
    with pytest.raises(FloatingPointError, match="batch 0: the loss is inf"):
        train_epoch(model, np.ones((4, 1)), np.ones(4))
    assert model.get_weights()[0] == 100


@pytest.mark.parametrize(
    "dropout", [1.0, -0.1, True, "half", (0.1, 0.2, 0.3), None, np.nan, (0.5, 1), 10**400]
)
def test_rates_of_dropout_are_refused(dropout):
    with pytest.raises(ValueError, match=r"dropout is .*, expected a rate from 0 to below 1, or two"):
        MLP([2, 2], dropout=dropout)
