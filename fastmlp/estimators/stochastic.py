"""Training of an estimator by sgd or adam: scikit-learn's draws, orders, losses and rules of stopping.

All epochs up to the next one at which a rule could end the training are one compiled call.
"""

import sys
import time
import warnings
from copy import deepcopy
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn import neural_network
from sklearn.base import is_classifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.neural_network._stochastic_optimizers import AdamOptimizer, SGDOptimizer
from tqdm import tqdm

from fastmlp import schedules
from fastmlp.checks import check_rates
from fastmlp.data import DataLoader
from fastmlp.optimizers import SGD, Adam, Optimizer

from .network import interleaved, labels_of, make_network
from .validation import Validation

_Array = NDArray[Any]

# Of one compiled call: samples, whose orders take 8 bytes each, and multiplications, which take some 50 ms.
_MOST_SAMPLES, _MOST_WORK = 2**20, 2e9
SECONDS_BETWEEN_INTERRUPTS = 1.0  # within which the second one is raised

_last_interrupt = -np.inf


class Run:
    """One call of `fit` or `partial_fit`."""

    def __init__(
        self,
        estimator: Any,
        X: _Array,
        y: _Array,
        sample_weight: _Array | None,
        layer_units: list[int],
        incremental: bool,
    ) -> None:
        self.estimator, self.incremental = estimator, incremental
        self.optimizer = self._optimizer()
        if incremental:
            for name in ("early_stopping", "ema"):
                if getattr(estimator, name):
                    raise ValueError(f"partial_fit does not support {name}={getattr(estimator, name)}")
        self.rows, self.validation = self._split(X, y, sample_weight)
        self.n, self.batch_size = len(self.rows), self._batch_size(len(self.rows))
        self.starts = np.arange(0, self.n, self.batch_size)
        self.n_batches, self.batch_rows = len(self.starts), np.diff(self.starts, append=self.n)
        # a draw that scikit-learn has none of
        seed = int(estimator._random_state.randint(2**31)) if np.any(estimator.dropout) else 0
        if len(layer_units) != len(estimator.coefs_) + 1:
            raise ValueError(
                f"hidden_layer_sizes={estimator.hidden_layer_sizes!r} has {len(layer_units) - 2} layers, but "
                f"the coefficients that training goes on from have {len(estimator.coefs_) - 1}"
            )
        # as in scikit-learn, coefficients that are there count, whatever hidden_layer_sizes has become
        widths = [layer_units[0], *(w.shape[1] for w in estimator.coefs_)]
        self.model = make_network(estimator, widths, self._dtype(X), seed=seed)
        if X.dtype != np.uint8:
            X = X.astype(self.model.dtype, copy=False)
        self.loader = DataLoader(X, labels_of(estimator, y), self.batch_size, sample_weight=sample_weight)
        scanned, found = estimator._watch.scanned
        n_epochs = 1 if incremental else estimator.max_iter
        self.loader.prepare(estimator.operations, found if X is scanned else None, n_epochs)
        self.failed = False
        self._pack()

    def _split(self, X: _Array, y: _Array, sample_weight: _Array | None) -> tuple[_Array, Validation | None]:
        """Give the rows to train on, and what scores are taken of."""
        it, rows = self.estimator, np.arange(len(X))
        if it._eval_set is not None:
            return rows, Validation.given(it, it._eval_set)
        if not it.early_stopping:
            return rows, None
        stratify = y if is_classifier(it) and it.n_outputs_ == 1 else None
        options = {"random_state": it._random_state, "test_size": it.validation_fraction}
        rows, held = train_test_split(rows, stratify=stratify, **options)
        if len(held) < 2:
            raise ValueError(
                "The validation set is too small. Increase 'validation_fraction' or the size of your dataset."
            )
        return rows, Validation.held_out(
            it, X[held], y[held], None if sample_weight is None else sample_weight[held]
        )

    def _dtype(self, X: _Array) -> np.dtype[Any]:
        """Dtype of the arithmetic: the wider one of data and coefficients."""
        it = self.estimator
        return it._kind(np.result_type(it._kind(X.dtype), *it.coefs_, *it.intercepts_))

    def _batch_size(self, n: int) -> int:
        asked = self.estimator.batch_size
        if isinstance(asked, str):
            return min(200, n)
        if asked > n:
            _warn("Got `batch_size` less than 1 or larger than sample size. It is going to be clipped")
        return int(np.clip(asked, 1, n))

    # --- the optimizer, and what the model is given and gives back ---------------------------------------

    def _optimizer(self) -> Optimizer:
        """Make scikit-learn's, which says how the rate goes on and holds the state, and ours, which steps."""
        it = self.estimator
        if not self.incremental or not hasattr(it, "_optimizer"):
            parameters = it.coefs_ + it.intercepts_
            if it.solver == "sgd":
                momentum = it.momentum, it.nesterovs_momentum
                it._optimizer = SGDOptimizer(
                    parameters, it.learning_rate_init, it.learning_rate, *momentum, it.power_t
                )
            else:
                betas = it.beta_1, it.beta_2
                it._optimizer = AdamOptimizer(parameters, it.learning_rate_init, *betas, it.epsilon)
        kept = it._optimizer  # goes on by its own numbers, whatever the estimator's parameters have become
        lr: Any = kept.learning_rate_init if it.schedule is None else it.schedule
        penalties: dict[str, Any] = {"l2": float(it.alpha), "weight_decay": float(it.weight_decay)}
        if isinstance(kept, AdamOptimizer):
            return Adam(lr, beta_1=kept.beta_1, beta_2=kept.beta_2, epsilon=kept.epsilon, **penalties)
        # the momentum of each step is said with its rate, and there it may be 1
        momentum = min(kept.momentum, np.nextafter(1, 0))
        return SGD(lr, momentum=momentum, nesterov=bool(kept.nesterov and momentum > 0), **penalties)

    def _pack(self) -> None:
        """Give the model the estimator's coefficients, and the optimizer's state where it goes on."""
        it, kept, n = self.estimator, self.estimator._optimizer, len(self.estimator.coefs_)
        # steps taken say what dropout draws
        state = {"weights": interleaved(it.coefs_, it.intercepts_), "all_steps": it.t_ // self.batch_size}
        if self.incremental and self.optimizer.kind != "sgd":
            adam = self.optimizer.kind == "adam"
            rows = [kept.ms, kept.vs] if adam else [kept.velocities]
            state |= {
                "optimizer": "adam" if adam else "momentum",
                "steps": kept.t if adam else 0,
                "state": [interleaved(row[:n], row[n:]) for row in rows],
            }
        self.model.set_state(self.model.get_state() | state)

    def _unpack(self) -> None:
        """Give the estimator the model's coefficients; NaN where training has failed.

        They are written to the arrays that it has, as scikit-learn does: who holds one sees it change, the
        best coefficients of an earlier fit, which are these very arrays, included.
        """
        it, weights = self.estimator, self.model.get_weights()
        if self.failed:
            weights = [np.full_like(array, np.nan) for array in weights]
        it.coefs_ = [_written(*pair) for pair in zip(it.coefs_, weights[::2], strict=True)]
        it.intercepts_ = [_written(*pair) for pair in zip(it.intercepts_, weights[1::2], strict=True)]

    def _unpack_state(self) -> None:
        """Give scikit-learn's optimizer what ours has accumulated."""
        kept, state = self.estimator._optimizer, self.model.get_state()
        rows = [row[::2] + row[1::2] for row in state["state"]]
        if not rows:
            return
        if self.optimizer.kind != "adam":
            kept.velocities = rows[0]
            return
        kept.t = state["steps"] + self.unfinished
        kept.ms, kept.vs = rows
        if kept.t:
            root = np.sqrt(1 - kept.beta_2**kept.t)
            kept.learning_rate = kept.learning_rate_init * root / (1 - kept.beta_1**kept.t)

    # --- epochs ------------------------------------------------------------------------------------------

    def fit(self) -> None:
        """Train until a rule says that it is enough."""
        it, verbose, ended = self.estimator, self.estimator.verbose, False
        it.n_iter_, self.order, self.unfinished = 0, np.arange(self.n), 0
        if not it.loss_curve_:
            vars(it).pop("validation_loss_curve_", None)  # of an earlier fit
        if self.validation:
            self.validation.begin(it)
        total = 1 if self.incremental else it.max_iter
        bar = tqdm(total=total, unit="epoch", disable=verbose != "bar")
        it.verbose = False if verbose == "bar" else verbose  # or scikit-learn's parts would print
        try:
            while not ended and it.n_iter_ < it.max_iter:
                before = it.n_iter_
                it._watch.begin("epoch")
                ended = self._train(self._epochs_ahead())
                bar.set_postfix(loss=f"{it.loss_:.4g}", refresh=False)
                bar.update(it.n_iter_ - before)
                ended |= it._watch.end(self._as_if_stopped)
        except KeyboardInterrupt:
            if _is_second_interrupt():
                raise
            _warn("Training interrupted by user.")
        finally:
            it.verbose = verbose
            bar.close()
            self._unpack()  # a warning turned into an error loses no training either
            self._unpack_state()
        if it.early_stopping:
            it.coefs_, it.intercepts_ = it._best_coefs, it._best_intercepts

    def _as_if_stopped(self) -> dict[str, Any]:
        """Give the attributes that a fit would leave here; training goes on with arrays of its own."""
        it = self.estimator
        self._unpack()
        best = (it._best_coefs, it._best_intercepts) if it.early_stopping else (it.coefs_, it.intercepts_)
        names = "loss_curve_", "validation_scores_", "validation_loss_curve_"
        curves = {name: getattr(it, name, None) for name in names}
        arrays = dict(zip(("coefs_", "intercepts_"), best, strict=True))
        return deepcopy({name: value for name, value in {**arrays, **curves}.items() if value is not None})

    def _epochs_ahead(self) -> int:
        """Count the epochs after which training may end at the earliest, or somebody wants to look."""
        it = self.estimator
        if self.incremental or self.validation or it.verbose or it._watch.is_on or self.failed:
            return 1
        until_rule = np.floor(it.n_iter_no_change) + 1 - it._no_improvement_count
        few = min(_MOST_SAMPLES / self.n, _MOST_WORK / (3 * self.n * self.model.n_parameters))
        return max(1, int(min(until_rule, it.max_iter - it.n_iter_, few)))

    def _train(self, n_epochs: int) -> bool:
        """Train for some epochs; whether it is enough."""
        it, orders = self.estimator, self._orders(n_epochs)
        losses, squares = np.full((2, n_epochs * self.n_batches), np.nan)
        options = {"ema": it.ema, "label_smoothing": getattr(it, "label_smoothing", 0.0)}
        if it.out_activation_ in ("softmax", "logistic"):  # whose probabilities scikit-learn clips
            options["loss_limit"] = -np.log(np.finfo(self.model.dtype).eps)
        if it.alpha:
            options["squares"] = squares
        try:
            if not self.failed:
                rates = self._rates(n_epochs)
                self.model.run_epoch(self.loader, orders, rates, losses, self.optimizer, **options)
        except FloatingPointError:  # scikit-learn goes on, and all becomes NaN
            self.failed = True
        except KeyboardInterrupt:
            self.unfinished = int(np.count_nonzero(~np.isnan(losses)))
            n_epochs = self.unfinished // self.n_batches
            self._epochs_ended(self._epoch_losses(orders, losses, squares)[:n_epochs])
            raise
        return self._epochs_ended(self._epoch_losses(orders, losses, squares))

    def _orders(self, n_epochs: int) -> _Array:
        """Draw the orders of epochs, each a shuffle of the one before."""
        orders = np.empty((n_epochs, self.n), np.int64)
        for order in orders:
            if self.estimator.shuffle:
                drawn = np.arange(self.n)
                self.estimator._random_state.shuffle(drawn)
                self.order = self.order[drawn]
            order[...] = self.rows[self.order]
        return orders

    def _rates(self, n_epochs: int) -> _Array:
        """Give the rate and the momentum of each step: scikit-learn's change between epochs alone."""
        it, n = self.estimator, self.n_batches
        if it.schedule is not None:
            # of partial fits all are one run; a fit begins one, as it does with its optimizer
            first, total = len(it.loss_curve_) if self.incremental else it.n_iter_, it.max_iter * n
            epochs = range(first, first + n_epochs)
            try:
                rates = [schedules.rates(self.optimizer, e * n, n, total, e) for e in epochs]
                return check_rates(np.vstack(rates), n * n_epochs, 0.0, self.model.dtype)
            except ValueError as error:
                raise ValueError(f"schedule: {error}") from None
        kept, adam = it._optimizer, self.optimizer.kind == "adam"
        of_epochs = [kept.learning_rate_init if adam else kept.learning_rate]
        for epoch in range(1, n_epochs):
            if not adam and kept.lr_schedule == "invscaling":
                t = it.t_ + epoch * self.n
                of_epochs.append(float(kept.learning_rate_init) / (t + 1) ** kept.power_t)
            else:
                of_epochs.append(of_epochs[0])
        momentum = 0.0 if adam else float(kept.momentum)
        return np.column_stack([np.repeat(of_epochs, n), np.full(n * n_epochs, momentum)])

    def _epoch_losses(self, orders: _Array, losses: _Array, squares: _Array) -> _Array:
        """Average the batches of each epoch as scikit-learn does: with the penalty, by their rows."""
        it, rows = self.estimator, self.batch_rows
        losses = losses.reshape(len(orders), -1)
        if it.out_activation_ == "identity":
            losses = losses / it.n_outputs_
        if it.alpha:
            weights, totals = self.loader.weights, rows.astype(float)
            if weights is not None:
                totals = np.add.reduceat(weights[orders], self.starts, axis=1)
                totals[totals == 0] = np.inf  # no step
            losses = losses + 0.5 * it.alpha * squares.reshape(losses.shape) / totals
        return np.cumsum(losses * rows, axis=1)[:, -1] / self.n

    def _epochs_ended(self, losses: _Array) -> bool:
        """Take note of epochs, as scikit-learn does; whether training is to end."""
        it, after_each = self.estimator, self.validation
        for loss in losses:
            it.n_iter_ += 1
            it.loss_ = loss
            it.t_ += self.n
            it.loss_curve_.append(loss)
            if it.verbose:
                print(f"Iteration {it.n_iter_}, loss = {loss:.8f}")
            if after_each:
                self._unpack()
                after_each.epoch_ended(it, None if self.failed else self.model)
            else:
                it._update_no_improvement_count(False, None, None, None)
            it._optimizer.iteration_ends(it.t_)
            if it._no_improvement_count > it.n_iter_no_change and self._is_enough():
                return True
            if self.incremental:
                return True
            if it.n_iter_ == it.max_iter:
                _warn(
                    f"Stochastic Optimizer: Maximum iterations ({it.max_iter}) reached and the optimization "
                    "hasn't converged yet.",
                    ConvergenceWarning,
                )
        return False

    def _is_enough(self) -> bool:
        """Whether epochs without improvement end the training; an adaptive rate falls before."""
        it = self.estimator
        what = "Validation score" if it.early_stopping else "Training loss"
        said = (
            f"{what} did not improve more than tol={it.tol:f} for {it.n_iter_no_change} consecutive epochs."
        )
        if it._optimizer.trigger_stopping(said, it.verbose):
            return True
        it._no_improvement_count = 0
        return False


def _written(old: Any, new: _Array) -> _Array:
    """Give the old array, holding the new numbers, or the new one where the old cannot."""
    if isinstance(old, np.ndarray) and old.flags.writeable and old.dtype.kind == "f":
        old[...] = new
        return old
    return new


def _warn(text: str, category: type[Warning] = UserWarning) -> None:
    """Warn in the name of scikit-learn's module, by which programs filter its warnings."""
    line, seen = sys._getframe(1).f_lineno, globals().setdefault("__warningregistry__", {})
    warnings.warn_explicit(text, category, __file__, line, neural_network.MLPClassifier.__module__, seen)


def _is_second_interrupt() -> bool:
    global _last_interrupt
    last, _last_interrupt = _last_interrupt, time.monotonic()
    return _last_interrupt - last < SECONDS_BETWEEN_INTERRUPTS
