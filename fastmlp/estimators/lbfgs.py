"""Training by SciPy's L-BFGS-B, and what that asks for: the loss and its gradient at all parameters."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import __version__, optimize
from sklearn.utils.optimize import _check_optimize_result
from threadpoolctl import threadpool_limits

from fastmlp.checks import check_activations
from fastmlp.config import KEEP_Z
from fastmlp.data.labels import labels_for, prepare_weights
from fastmlp.steps import take_losses, weighted_mean

from .network import activations_of, labels_of

_Array = NDArray[Any]

_PRINTS = tuple(map(int, __version__.split(".")[:2])) < (1, 15)  # from then on SciPy is silent
_ONLY_STOCHASTIC = ("dropout", "weight_decay", "ema", "schedule")


def refuse(estimator: Any, y: _Array, weights: _Array | None) -> None:
    """Refuse what has no meaning where all data is looked at at once, and what epochs refuse."""
    labels_for(labels_of(estimator, y), estimator.out_activation_, estimator.n_outputs_)
    check_activations(estimator.activation, estimator.n_layers_ - 2)
    if weights is not None:
        prepare_weights(weights, len(y))
    for name in _ONLY_STOCHASTIC:
        if np.any(value := getattr(estimator, name)):
            raise ValueError(f"{name}={value!r} is of solver='sgd' and 'adam', not of lbfgs")
    if estimator._eval_set is not None:
        raise ValueError("eval_set is of solver='sgd' and 'adam', not of lbfgs, which has no epochs")


class _Stopped(Exception):
    """A callback wants no further iteration than that which ended at this vector."""


def minimize(estimator: Any, *data: Any) -> None:
    """Train, from the coefficients that there are; an iteration is a task to callbacks.

    Parameters
    ----------
    estimator : whose options count as scikit-learn's do
    data : what `_loss_grad_lbfgs` takes after the vector
    """
    it, watch, n_iter, loss = estimator, estimator._watch, 0, np.nan

    def evaluate(packed: _Array) -> tuple[float, _Array]:
        nonlocal loss
        watch.begin("iteration")
        loss, gradient = it._loss_grad_lbfgs(packed, *data)
        return loss, gradient

    def ended(packed: _Array) -> None:  # whose loss is the last that was taken
        nonlocal n_iter
        n_iter += 1
        if watch.end(lambda: {**arrays_of(it, packed.copy()), "n_iter_": n_iter, "loss_": loss}):
            raise _Stopped(packed)

    options = {"maxfun": it.max_fun, "maxiter": it.max_iter, "gtol": it.tol}
    if it.verbose and _PRINTS:
        options["iprint"] = 1
    arrays = it.coefs_ + it.intercepts_
    packed, ends = np.concatenate([array.ravel() for array in arrays]), np.cumsum([a.size for a in arrays])
    # where scikit-learn says that each is
    places, n = list(zip([0, *ends[:-1].tolist()], ends.tolist(), strict=True)), len(it.coefs_)
    it._coef_indptr = [(*place, w.shape) for place, w in zip(places, it.coefs_, strict=False)]
    it._intercept_indptr = places[n:]
    callback = ended if watch.is_on else None
    try:
        # SciPy's sums are short, and BLAS threads that wait for more of them take processors from the passes
        with threadpool_limits(1, "blas"):
            found = optimize.minimize(
                evaluate, packed, jac=True, method="L-BFGS-B", callback=callback, options=options
            )
        packed, n_iter, loss = found.x, _check_optimize_result("lbfgs", found, it.max_iter), found.fun
    except _Stopped as stopped:
        packed = stopped.args[0]
    vars(it).update(arrays_of(it, packed), n_iter_=n_iter, loss_=loss)


def arrays_of(estimator: Any, packed: _Array) -> dict[str, list[_Array]]:
    """View a vector of all parameters as an estimator's coefficients."""
    views = _views(packed, [w.shape for w in estimator.coefs_])
    return {"coefs_": [w for w, _ in views], "intercepts_": [b for _, b in views]}


def loss_and_gradient(
    estimator: Any,
    packed: _Array,
    X: _Array,
    y: _Array,
    weights: _Array | None,
    outputs: list[Any],
    deltas: list[Any],
) -> tuple[float, _Array]:
    """Compute the penalized loss of all samples, and its gradient in the order of `packed`.

    Parameters
    ----------
    estimator : whose coefs_ say the shapes
    packed : (n_parameters,) [W1, W2, …, b1, b2, …]
    X : (n, n_features) rows contiguous
    y : (n, n_outputs) as scikit-learn has them
    weights : (n,) of the samples, or None
    outputs, deltas : lists that keep workspaces from call to call: of X and each layer's output, and of each
        layer's gradient; made where they hold None
    """
    ops, n = estimator.operations, len(X)
    # SciPy goes on in the dtype of the first coefficients
    X = X.astype(np.result_type(X, packed) if estimator.dtype is None else X.dtype, copy=False)
    parameters = packed.astype(X.dtype, copy=False)
    gradient = np.empty_like(parameters)
    shapes = [w.shape for w in estimator.coefs_]
    layers, gradients = _views(parameters, shapes), _views(gradient, shapes)
    names = activations_of(estimator, len(layers) - 1)
    for i, (_, width) in enumerate(shapes):
        if outputs[i + 1] is None:
            outputs[i + 1], deltas[i] = np.empty((2, n, width), X.dtype)
    outputs[0], zs = X, []
    for i, (name, (w, b)) in enumerate(zip(names, layers, strict=False)):
        zs.append(np.empty_like(deltas[i]) if name in KEEP_Z else outputs[i + 1])
        ops.linear_activation_forward(outputs[i], w, b, name, zs[i], outputs[i + 1])
    ops.linear_forward(outputs[-2], *layers[-1], outputs[-1])
    loss = _loss(estimator, outputs[-1], y, deltas[-1], weights)
    total = n if weights is None else weights.sum()
    penalty = sum(np.vdot(w, w) for w, _ in layers)
    for i in reversed(range(len(layers))):
        (w, _), below = layers[i], deltas[i - 1] if i else None
        if i == len(layers) - 1:
            ops.linear_backward(outputs[i], w, deltas[i], below, *gradients[i])
        else:
            saved = outputs[i + 1], zs[i]
            ops.linear_activation_backward(outputs[i], w, *saved, deltas[i], names[i], below, *gradients[i])
    penalized = sum(w.size for w, _ in layers)
    gradient[:penalized] += estimator.alpha / total * parameters[:penalized]
    return loss + 0.5 * estimator.alpha * float(penalty) / total, gradient.astype(packed.dtype, copy=False)


def _loss(estimator: Any, z: _Array, y: _Array, dz: _Array, weights: _Array | None) -> float:
    """Give the mean loss as scikit-learn reports it, and write the gradient of the outputs."""
    output, options = estimator.out_activation_, {}
    if output in ("softmax", "logistic"):
        options = {"limit": -np.log(np.finfo(z.dtype).eps)}
    smoothing = getattr(estimator, "label_smoothing", 0.0)
    labels = labels_of(estimator, y)
    losses = take_losses(estimator.operations, output, z, labels, dz, weights, smoothing, **options)
    return weighted_mean(losses, weights)[0] / (estimator.n_outputs_ if output == "identity" else 1)


def _views(packed: _Array, shapes: list[tuple[int, int]]) -> list[tuple[_Array, _Array]]:
    """View W and b of every layer in a vector of all."""
    ends = np.cumsum([n_in * n_out for n_in, n_out in shapes] + [n_out for _, n_out in shapes])
    parts = np.split(packed, ends[:-1])
    weights = [part.reshape(shape) for part, shape in zip(parts, shapes, strict=False)]
    return list(zip(weights, parts[len(shapes) :], strict=True))
