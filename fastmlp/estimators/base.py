"""What both estimators do in their own way; all else is scikit-learn's.

They are subclasses of scikit-learn's, whose parameters, checks, labels and stopping rules are used as they
are. What is ours: training, the passes that lbfgs wants, and prediction.
"""

from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn import config_context
from sklearn.base import BaseEstimator, _fit_context, is_classifier
from sklearn.metrics import accuracy_score, r2_score
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from fastmlp import kernels
from fastmlp.config import ACTIVATIONS
from fastmlp.kernels.core.machine import using_threads
from fastmlp.model import MLP
from fastmlp.ops import Operations

from . import lbfgs, prediction
from .callbacks import CallbackSupportMixin, Watch, watched
from .interchange import Interchange
from .network import dense, interleaved, make_network
from .stochastic import Run

_Array = NDArray[Any]

# keyword-only, after scikit-learn's own
OURS = {
    "dropout": 0.0,
    "weight_decay": 0.0,
    "ema": None,
    "schedule": None,
    "n_threads": None,
    "dtype": None,
    "ops": None,
}
CONSTRAINTS: dict[str, list[Any]] = {
    "activation": [StrOptions(set(ACTIVATIONS)), list, tuple],
    "verbose": ["verbose", StrOptions({"bar"})],
    "dropout": [Interval(Real, 0, 1, closed="left"), list, tuple],
    "weight_decay": [Interval(Real, 0, None, closed="left")],
    "ema": [Interval(Real, 0, 1, closed="neither"), None],
    "schedule": [callable, None],
    "n_threads": [Interval(Integral, 1, None, closed="left"), None],
    "dtype": [StrOptions({"float32", "float64"}), type, np.dtype, None],
    "ops": [StrOptions({"kernels", "reference"}), None],
}


class BaseMLP(CallbackSupportMixin, Interchange, BaseEstimator):
    """The part of an estimator that trains and predicts."""

    _eval_set: Any = None  # while `fit` runs
    _watch: Watch  # while a fit runs
    verbose: Any
    activation: Any
    coefs_: list[_Array]
    intercepts_: list[_Array]

    def __getstate__(self) -> dict[str, Any]:
        """Give what copies and pickles hold, also those that are made by a callback while a fit runs."""
        state = super().__getstate__()
        return {name: value for name, value in state.items() if name not in ("_eval_set", "_watch")}

    # --- training ----------------------------------------------------------------------------------------

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any, sample_weight: Any = None, eval_set: Any = None) -> Any:
        """Train on a data set.

        Parameters
        ----------
        X : (n_samples, n_features) array, data frame or sparse matrix; float32 is computed in float32, all
            else in float64, unless `dtype` says otherwise; uint8 is not copied
        y : (n_samples,) or (n_samples, n_outputs) labels or targets
        sample_weight : (n_samples,) weights of the samples, from 0 up
        eval_set : (X_val, y_val), whose loss and score are taken after each epoch, in
            `validation_loss_curve_` and `validation_scores_`; early stopping then watches it, and no part of
            X is set aside

        Returns
        -------
        self
        """
        self._eval_set = eval_set
        try:
            return self._fit(X, y, sample_weight=sample_weight, incremental=False)
        finally:
            del self._eval_set

    def _fit(self, X: Any, y: Any, sample_weight: Any = None, incremental: bool = False) -> Any:
        with watched(self, X, y, sample_weight, 1 if incremental else self.max_iter):
            return super()._fit(X, y, sample_weight=sample_weight, incremental=incremental)

    def _weigh(self, y: _Array, sample_weight: _Array | None, incremental: bool) -> _Array | None:
        """Give the rows' weights, their classes' included where there are any."""
        return sample_weight

    def _validate_input(self, X: Any, y: Any, incremental: bool, reset: bool) -> tuple[Any, Any]:
        plain = type(X) in (np.ndarray, np.memmap) and X.ndim == 2
        of_bytes = plain and X.dtype == np.uint8
        # bytes are finite and stay bytes: of them only the shape is looked at
        shown = np.broadcast_to(np.float64(0), X.shape) if of_bytes else X
        # all threads find what is not finite in a third of the time that scikit-learn takes
        found = self.operations.scan(X) if plain and X.dtype in (np.float32, np.float64) else None
        self._watch.scanned = X, found
        known = (of_bytes or found and found[0]) and np.asarray(y).dtype.kind in "biuUS"
        with config_context(assume_finite=True if known else None):
            shown, y = super()._validate_input(shown, y, incremental, reset)
        return X if of_bytes else shown.astype(self._kind(shown.dtype), copy=False), y

    def _kind(self, dtype: Any) -> np.dtype[Any]:
        """Dtype of the arithmetic with data of a dtype."""
        if self.dtype is not None:
            kind = np.dtype(self.dtype)
            if kind not in (np.float32, np.float64):
                raise ValueError(f"dtype is {self.dtype!r}, expected float32 or float64")
            return kind
        return np.dtype(np.float32 if dtype == np.float32 else np.float64)

    def _init_coef(self, fan_in: int, fan_out: int, dtype: Any) -> tuple[_Array, _Array]:
        given = self.activation
        if not isinstance(given, str) and set(given) == {"logistic"}:
            self.activation = "logistic"  # one name for each layer draws what the name alone does
        try:
            return super()._init_coef(fan_in, fan_out, self._kind(dtype))
        finally:
            self.activation = given

    def _fit_stochastic(
        self,
        X: Any,
        y: _Array,
        sample_weight: _Array | None,
        activations: Any,
        deltas: Any,
        coef_grads: Any,
        intercept_grads: Any,
        layer_units: list[int],
        incremental: bool,
    ) -> None:
        self._complete(X, y, layer_units)
        weights = self._weigh(y, sample_weight, incremental)
        with using_threads(self.n_threads):
            Run(self, dense(X), y, weights, layer_units, incremental).fit()

    def _complete(self, X: Any, y: _Array, layer_units: list[int]) -> None:
        """Add what belongs to coefficients that a user has assigned before anything was fitted."""
        if not hasattr(self, "n_layers_"):
            given = self.coefs_, self.intercepts_
            self._initialize(y, layer_units, X.dtype)
            self.coefs_, self.intercepts_ = given
            self.n_features_in_ = X.shape[1]

    def _fit_lbfgs(self, X: Any, y: _Array, sample_weight: _Array | None, *rest: Any) -> None:
        self._complete(X, y, rest[-1])
        weights = self._weigh(y, sample_weight, False)
        lbfgs.refuse(self, y, weights)
        verbose, X = self.verbose, np.ascontiguousarray(dense(X), self._kind(X.dtype))
        if verbose == "bar":
            self.verbose = 0
        try:
            with using_threads(self.n_threads):
                lbfgs.minimize(self, X, y, weights, *rest[:-1])
        finally:
            self.verbose = verbose
        kind = self._kind(X.dtype) if self.dtype is not None else np.dtype(np.float64)
        for arrays in (self.coefs_, self.intercepts_):
            arrays[:] = [array.astype(kind) for array in arrays]  # not views of the vector

    def _loss_grad_lbfgs(
        self,
        packed_coef_inter: _Array,
        X: _Array,
        y: _Array,
        sample_weight: _Array | None,
        activations: list[Any],
        deltas: list[Any],
        coef_grads: Any,
        intercept_grads: Any,
    ) -> tuple[float, _Array]:
        self._unpack(packed_coef_inter)
        return lbfgs.loss_and_gradient(self, packed_coef_inter, X, y, sample_weight, activations, deltas)

    # --- prediction --------------------------------------------------------------------------------------

    def _forward_pass_fast(self, X: Any, check_input: bool = True) -> _Array:
        """Compute what scikit-learn's does: the activated outputs."""
        if check_input:
            X = prediction.validated(self, X)
        with using_threads(self.n_threads):
            return prediction.outputs(self, dense(X))

    def _score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        # scikit-learn's own asks of text whether it is NaN, before 1.9
        predicted = self._predict(X, check_input=False)
        if predicted.dtype.kind == "f" and not np.isfinite(predicted).all():
            return np.nan
        score = accuracy_score if is_classifier(self) else r2_score
        return score(y, predicted, sample_weight=sample_weight)

    # --- the network underneath --------------------------------------------------------------------------

    @property
    def operations(self) -> Operations:
        """The operations that compute, by the name in `ops`."""
        if self.ops != "reference":
            return kernels
        from fastmlp import reference

        return reference

    @property
    def network_(self) -> MLP:
        """A `fastmlp.MLP` of the present coefficients, which saves to a file."""
        check_is_fitted(self)
        widths = [self.coefs_[0].shape[0], *(w.shape[1] for w in self.coefs_)]
        names = getattr(self, "classes_", None) if self.out_activation_ != "identity" else None
        model = make_network(self, widths, self.coefs_[0].dtype, class_names=names)
        model.set_weights(interleaved(self.coefs_, self.intercepts_))
        return model
