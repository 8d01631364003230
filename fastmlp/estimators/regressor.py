"""scikit-learn's regressor, trained by fastmlp."""

from typing import Any

from sklearn import neural_network

from .base import CONSTRAINTS, OURS, BaseMLP


class MLPRegressor(BaseMLP, neural_network.MLPRegressor):
    """Multilayer perceptron that predicts numbers: `sklearn.neural_network.MLPRegressor`, much faster.

    With the same arguments, data and random_state, curves, coefficients and predictions are scikit-learn's up
    to rounding.

    Parameters
    ----------
    loss : squared_error, or poisson for targets from 0 up, whose mean is then the exponential of the output
    hidden_layer_sizes : widths of the hidden layers
    activation : of the hidden layers: identity, logistic, tanh, relu, leaky_relu, selu, silu, gelu or mish,
        or a list with one for each
    solver, alpha, batch_size, learning_rate, learning_rate_init, power_t, max_iter, shuffle, random_state,
    tol, warm_start, momentum, nesterovs_momentum, early_stopping, validation_fraction, beta_1, beta_2,
    epsilon, n_iter_no_change, max_fun : as scikit-learn has them, with the same defaults
    verbose : print each epoch's loss, or "bar" for a progress bar on stderr
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
    >>> from sklearn.datasets import load_diabetes
    >>> from fastmlp import MLPRegressor
    >>> X, y = load_diabetes(return_X_y=True)
    >>> round(MLPRegressor(max_iter=2000, random_state=0).fit(X, y).score(X, y), 2)
    0.5
    """

    _twin = neural_network.MLPRegressor
    _ours = OURS
    _parameter_constraints = {**neural_network.MLPRegressor._parameter_constraints, **CONSTRAINTS}

    def __init__(
        self,
        loss: str = "squared_error",
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
