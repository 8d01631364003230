"""How far a result may lie from the reference in float64.

Bounds of rounding for any order of summation: Higham, Accuracy and Stability of Numerical Algorithms, 3.1.
"""

import numpy as np


def unit(dtype):
    """Largest relative error of one rounding."""
    return float(np.finfo(dtype).eps) / 2


def gamma(n, dtype):
    """Relative error of a sum of n rounded terms, in `dtype` and again in the float64 it is compared with."""
    return sum(n * u / (1 - n * u) for u in (unit(dtype), unit(np.float64)))


def require_within(name, got, expected, bound):
    """Raise AssertionError where an element of `got` is farther from `expected` than `bound`, or is NaN."""
    wrong = ~(np.abs(np.asarray(got, np.float64) - expected) <= bound)
    assert not wrong.any(), (
        f"{name}: {np.count_nonzero(wrong)} of {wrong.size} elements are off the reference"
    )


def product_bound(x, w, b, dtype):
    """Bound of x @ w + b computed in `dtype`."""
    return gamma(x.shape[1] + 1, dtype) * (np.abs(x) @ np.abs(w) + np.abs(b))


def activation_bounds(z, of_z, dtype):
    """Bounds of tanh or gelu of z and of its derivative, where z itself is off by `of_z`.

    No derivative is above 1.2; values are off by some units of z, and derivatives, which are sums of terms of
    at most 1, by some units.
    """
    units = unit(dtype) + unit(np.float64)
    return 1.2 * of_z + 10 * units * np.abs(z), 8 * units + 0 * z


def softmax_bounds(logits, labels, dtype):
    """Bounds of dlogits and losses of `softmax_cross_entropy`, computed in `dtype`.

    The argument of exp is off by a rounding of its own size, and so, relatively, are exp and its sum; the
    sum, a division and exp itself add a rounding for each class and some more.
    """
    batch, n_classes = logits.shape
    shifted = np.abs(logits - logits.max(axis=1, keepdims=True))
    p = np.exp(-shifted)
    p /= p.sum(axis=1, keepdims=True)
    roundings = 2 * shifted.max(axis=1, keepdims=True) + n_classes + 6
    relative = roundings * (unit(dtype) + unit(np.float64)) + n_classes * float(np.finfo(dtype).tiny)
    y = labels[:, None] == np.arange(n_classes)
    of_dlogits = (p * relative + gamma(3, dtype) * (p + y)) / batch
    terms = np.log(n_classes) + 3 * np.abs(logits).max(axis=1)
    return of_dlogits, relative[:, 0] + gamma(4, np.float64) * terms


def other_losses_bounds(z, targets, dtype):
    """Bounds of dz and of the losses of the others: some units of more than any term of them."""
    of_units = 32 * (unit(dtype) + unit(np.float64)) * ((1 + np.abs(z) + targets) ** 2 + np.exp(np.abs(z)))
    return of_units / len(z), of_units.sum(axis=1)


def step_bound(w, dw, lr, dtype):
    """Bound of w - lr * dw in `dtype`, with one rounding or two."""
    return gamma(2, dtype) * (np.abs(w) + lr * np.abs(dw))


def logits_bound(weights, x, dtype):
    """Bound of a whole network's outputs in `dtype`: scaling rounds x, layers add to it, ReLU widens none."""
    off = (unit(dtype) + unit(np.float64)) * np.abs(x)
    layers = list(zip(weights[::2], weights[1::2], strict=True))
    for i, (w, b) in enumerate(layers):
        off = off @ np.abs(w) + product_bound(np.abs(x) + off, w, b, dtype)
        x = np.maximum(x @ w + b, 0) if i < len(layers) - 1 else x @ w + b
    return off


def require_same_training(name, got, expected, before):
    """Raise AssertionError where what some steps changed, as a whole, differs from the reference.

    A unit that is nearly 0 may fall on either side of it, so no bound of rounding holds over several steps:
    2**14 roundings are allowed, far more than there are and far less than any mistake.
    """
    close = 2**14 * unit(before[0].dtype)
    for i, (ours, theirs, start) in enumerate(zip(got, expected, before, strict=True)):
        size = np.linalg.norm(theirs - start)
        off = np.linalg.norm(ours - theirs)
        rounded = 2 * unit(start.dtype) * np.linalg.norm(start)  # the weights themselves, at each step
        assert off <= close * size + rounded, (
            f"{name}: array {i} is off the reference by {off / size:.1e} of its change"
        )


def require_same_outcome(theirs, ours, limit):
    """Raise AssertionError where scikit-learn's and our estimator, or what they predict, differ.

    By more than `limit` of an array's largest element: losses, coefficients, scores of a search, predictions.
    Coefficients in float32 are not looked at: some units that are nearly 0 fall on the other side of it, and
    Adam makes steps of any size out of that, until scikit-learn's are some percent off those in float64.
    """
    expected, got = outcome(theirs), outcome(ours)
    assert [*got] == [*expected], f"one has {[*got]}, the other {[*expected]}"
    for name, array in expected.items():
        assert got[name].shape == array.shape, f"{name}: shape {got[name].shape}, expected {array.shape}"
        off = np.abs(got[name] - array).max() / np.abs(array).max()
        assert off <= limit, f"{name}: off scikit-learn's by {off:.1e} of the largest, over {limit:.0e}"


def outcome(result):
    """Arrays, by their names, of what a fit, a search or a prediction returned."""
    if isinstance(result, np.ndarray):
        return {"predictions": result}
    if hasattr(result, "cv_results_"):
        return {"scores": result.cv_results_["mean_test_score"]}
    losses = np.array(getattr(result, "loss_curve_", [result.loss_]))
    arrays = [*result.coefs_, *result.intercepts_] if result.coefs_[0].dtype == np.float64 else []
    return {"losses": losses} | {f"array {i}": array for i, array in enumerate(arrays)}
