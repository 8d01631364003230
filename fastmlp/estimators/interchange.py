"""From scikit-learn's estimators to ours, and back."""

from copy import deepcopy
from typing import Any

import numpy as np
from sklearn.neural_network._base import ACTIVATIONS

_HOW = ("n_threads", "dtype", "ops")  # how to compute, not what
_OF_A_RUN = {"_skl_callbacks", "_callback_fit_ctx", "_parent_callback_ctx", "_eval_set", "_watch"}


class Interchange:
    """The part of an estimator that comes from scikit-learn's and goes back there."""

    _twin: Any  # scikit-learn's class
    _ours: dict[str, Any]  # parameters that it has not, with their defaults

    @classmethod
    def from_sklearn(cls, fitted: Any) -> Any:
        """Make an estimator of one of scikit-learn's, which predicts as that does and trains on as it would.

        Parameters
        ----------
        fitted : of the class that this one stands in for; nothing of it is shared

        Raises
        ------
        TypeError
            It is of another class.
        """
        if not isinstance(fitted, cls._twin):
            kind = cls._twin.__name__
            raise TypeError(f"fitted is of type {type(fitted).__name__}, expected scikit-learn's {kind}")
        return _moved(fitted, cls)

    def to_sklearn(self) -> Any:
        """Make the same of scikit-learn's own, which needs no fastmlp: it predicts and trains on alike.

        `n_threads`, `dtype` and `ops`, which say how to compute, and callbacks stay behind; verbose="bar" is
        True there.

        Raises
        ------
        ValueError
            There is an activation that scikit-learn has not, or a parameter, other than these, that it lacks.
        """
        it: Any = self
        for name, default in self._ours.items():
            value = getattr(it, name)
            idle = value is None or not (isinstance(value, str) or np.any(value))
            if name not in _HOW and not idle:
                raise ValueError(
                    f"scikit-learn has no {name}, which is {value!r}; it is of training alone: what has been "
                    f"learned can go there after set_params({name}={default!r})"
                )
        names = it.activation
        if not isinstance(names, str) and len({*names}) < 2:
            names = names[0] if names else "relu"
        if names not in _ACTIVATIONS:
            raise ValueError(f"scikit-learn has no activation={names!r}: expected one of {_ACTIVATIONS}")
        verbose = True if it.verbose == "bar" else it.verbose
        moved = _moved(self, self._twin, activation=names, verbose=verbose)
        if hasattr(moved, "_metadata_request"):
            moved._metadata_request.fit.requests.pop("eval_set", None)
        return moved


_ACTIVATIONS = [name for name in ACTIVATIONS if name not in ("softmax", "exp")]


def _moved(source: Any, kind: Any, **changed: Any) -> Any:
    """Make an estimator of a kind, with copies of its parameters and of whatever else the source holds."""
    names = kind._get_param_names()
    params = {name: getattr(source, name) for name in names if hasattr(source, name)}
    moved = kind(**deepcopy(params | changed))
    parameters = {*names, *source.get_params(deep=False), *getattr(source, "_ours", ())}
    others = vars(source).keys() - parameters - _OF_A_RUN
    vars(moved).update(deepcopy({name: vars(source)[name] for name in others}))
    return moved
