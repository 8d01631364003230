"""scikit-learn's classifier, trained by fastmlp."""

from typing import Any

import numpy as np
from sklearn import neural_network
from sklearn.utils.class_weight import compute_class_weight

from fastmlp.numbers import number

from .base import CONSTRAINTS, OURS, BaseMLP, Interval, Real, StrOptions, _Array


class MLPClassifier(BaseMLP, neural_network.MLPClassifier):
    """Multilayer perceptron that classifies: `sklearn.neural_network.MLPClassifier`, much faster.

    With the same arguments, data and random_state, curves, coefficients and predictions are scikit-learn's
    up to rounding. Two classes are one logistic unit, more a softmax, several labels logistic units of their
    own.

    Parameters
    ----------
    hidden_layer_sizes : widths of the hidden layers
    activation : of the hidden layers: identity, logistic, tanh, relu, leaky_relu, selu, silu, gelu or mish,
        or a list with one for each
    solver, alpha, batch_size, learning_rate, learning_rate_init, power_t, max_iter, shuffle, random_state,
    tol, warm_start, momentum, nesterovs_momentum, early_stopping, validation_fraction, beta_1, beta_2,
    epsilon, n_iter_no_change, max_fun : as scikit-learn has them, with the same defaults
    verbose : print each epoch's loss, or "bar" for a progress bar on stderr
    class_weight : weight of each class by its label, or "balanced", by which classes weigh alike; rows have
        the product of their class's weight and their own
    label_smoothing : share, from 0 to below 1, of each label that goes to all classes alike
    dropout : rate of hidden units, or two rates, of inputs and of hidden units
    weight_decay : decoupled from the gradient, as AdamW has it; alpha is the coupled penalty
    ema : decay of an exponential moving average of the weights, which the coefficients then are
    schedule : rates step by step in place of learning_rate, such as `fastmlp.schedules.cosine(1e-3, 0.0)`, of
        a run as long as max_iter
    n_threads : threads of this estimator, None for its share of the machine's
    dtype : float32 or float64, of the arithmetic; None goes by X, as scikit-learn does
    ops : "reference" computes with `fastmlp.reference`, in NumPy; None with the kernels

    Attributes
    ----------
    Those of scikit-learn's, and

    validation_loss_curve_ : loss of `eval_set` after each epoch, without the penalty
    network_ : a `fastmlp.MLP` of the coefficients, which saves to a file

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from fastmlp import MLPClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> MLPClassifier(max_iter=500, random_state=0).fit(X, y).score(X, y)
    0.98
    """

    _twin = neural_network.MLPClassifier
    _ours = {**OURS, "class_weight": None, "label_smoothing": 0.0}
    _parameter_constraints = {
        **neural_network.MLPClassifier._parameter_constraints,
        **CONSTRAINTS,
        "class_weight": [dict, StrOptions({"balanced"}), None],
        "label_smoothing": [Interval(Real, 0, 1, closed="left")],
    }

    def __init__(
        self,
        hidden_layer_sizes: Any = (100,),
        activation: Any = "relu",
        *,
        solver: str = "adam",
        alpha: float = 0.0001,
        batch_size: Any = "auto",
        learning_rate: str = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: Any = None,
        tol: float = 1e-4,
        verbose: Any = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: Any = 10,
        max_fun: int = 15000,
        class_weight: Any = None,
        label_smoothing: float = 0.0,
        dropout: Any = 0.0,
        weight_decay: float = 0.0,
        ema: float | None = None,
        schedule: Any = None,
        n_threads: int | None = None,
        dtype: Any = None,
        ops: str | None = None,
    ) -> None:
        given = {name: value for name, value in locals().items() if name not in ("self", "__class__")}
        for name in self._ours:
            setattr(self, name, given.pop(name))
        super().__init__(**given)

    def _weigh(self, y: _Array, sample_weight: _Array | None, incremental: bool) -> _Array | None:
        asked, n_classes = self.class_weight, len(self.classes_)
        if asked is None:
            return sample_weight
        if self._label_binarizer.y_type_.startswith("multilabel"):
            raise ValueError(f"class_weight={asked!r} is of one label a row, and y has several")
        labels = y.argmax(axis=1) if n_classes > 2 else y[:, 0].astype(int)
        if isinstance(asked, dict):
            for label, weight in asked.items():
                number(f"class_weight[{label!r}]", weight)
            of_classes = compute_class_weight(asked, classes=self.classes_, y=self.classes_)
        elif incremental:
            raise ValueError(
                "class_weight='balanced' is of all data, which partial_fit does not see: give a dict, "
                "such as of what sklearn.utils.class_weight.compute_class_weight finds"
            )
        else:
            totals = np.bincount(labels, sample_weight, n_classes)
            of_classes = totals.sum() / (np.count_nonzero(totals) * np.where(totals, totals, np.inf))
        return of_classes[labels] * (1 if sample_weight is None else sample_weight)
