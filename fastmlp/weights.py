"""What a model has learnt: its weights, and what training keeps beside them, one call at a time."""

import importlib
from collections.abc import Sequence
from typing import Any

from numpy.typing import ArrayLike, NDArray

from . import checks
from .config import DEFAULTS, Config, Configured
from .ops import Operations, check_ops
from .parameters import Arena
from .steps import Kept
from .turns import Turns

# the attributes of a model that are made anew for a copy
_OURS = {"_config", "_ops", "_arena", "_kept", "_turns", "_scale", "_shift"}
_OURS |= {"_forward_rows", "_gradient_rows", "_total_weight"}


class Weighted(Configured):
    """The part of a model that holds its weights."""

    def _set_up(self, config: Config, ops: Operations) -> None:
        """Make parameters, all zero."""
        self._config, self._ops = config, check_ops(ops)
        of_layers = config.activations, config.output, config.dropout
        self._arena = Arena(self._ops, config.sizes, config.dtype, *of_layers, config.center is not None)
        self._kept = Kept(self._arena)
        self._turns = Turns()
        self._forward_rows = 0  # rows of the forward pass that backward may follow; 0: none
        self._gradient_rows = 0  # rows that the gradients for a step are of
        self._total_weight = 0.0  # of these rows

    @property
    def _parameters(self) -> NDArray[Any]:
        """What inference reads: the average of the weights where there is one."""
        return self._kept.average if self._kept.has_average else self._arena.memory

    def get_weights(self) -> list[NDArray[Any]]:
        """Copy the parameters: [W1, b1, W2, b2, …], W (n_in, n_out) and b (n_out,).

        Where training keeps an average of the weights, it is the average.
        """
        return self._turns.read(lambda: self._arena.read(self._parameters))

    def raw_weights(self) -> list[NDArray[Any]]:
        """Copy the parameters that training goes on from, in the order of `get_weights`."""
        return self._turns.read(lambda: self._arena.read(self._arena.block))

    def set_weights(self, weights: Sequence[ArrayLike]) -> None:
        """Take over parameters in the order of `get_weights`; they are copied, and an average is dropped.

        Raises
        ------
        ValueError
            Their number, a shape or a value does not fit; then the model is as before.
        """
        checked = checks.check_weights(weights, self._arena.shapes, self.dtype)
        with self._turns:
            self._forward_rows = self._gradient_rows = 0
            self._kept.begin(self._kept.family, False)
            self._arena.write(checked)

    def get_state(self) -> dict[str, Any]:
        """Copy what training needs beyond the weights.

        Returns
        -------
        state : optimizer, the family whose state it is, or None; steps, taken by it; state, for each thing
            that it accumulates a list of arrays in the order of `get_weights`; average, such a list or None;
            weights, such a list of what training goes on from; all_steps and dropout_seed, whole numbers
            by which dropout draws
        """
        return self._turns.read(lambda: {**self._kept.read(), "weights": self._arena.read(self._arena.block)})

    def set_state(self, state: dict[str, Any]) -> None:
        """Take over what `get_state` gave: training goes on to the same bits.

        Raises
        ------
        ValueError
            It is of another model, or a value is not finite; then the model is as before.
        """
        checked = self._checked_state(state)
        self.set_weights(checked["weights"])
        with self._turns:
            self._kept.write(checked)

    def _checked_state(self, state: dict[str, Any]) -> dict[str, Any]:
        return checks.check_state(state, self._arena.shapes, self.dtype, self._kept.ROWS)

    def reset_optimizer(self) -> None:
        """Forget what the optimizer has accumulated; an average of the weights stays."""
        with self._turns:
            nothing: dict[str, Any] = {"optimizer": None, "steps": 0, "state": []}
            self._kept.write(self._kept.read() | nothing)

    # --- copies and pickles --------------------------------------------------------------------------------

    def _restore(self, config: dict[str, Any], weights: Sequence[ArrayLike], ops: Operations) -> None:
        config = DEFAULTS | config
        self._set_up(checks.check_config(*(config[name] for name in Config._fields)), ops)
        self.set_weights(weights)

    def __getstate__(self) -> dict[str, Any]:
        """Give configuration, what training goes on from and the operations' name; no workspace, no lock.

        What others have set, such as the attributes of a derived class, comes along.
        """
        own = {name: value for name, value in vars(self).items() if name not in _OURS}
        return {"config": self.config(), "state": self.get_state(), "ops": self.ops.__name__, "own": own}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Make the model again; it trains on to the same bits."""
        kept = state.get("state") or {"weights": state["weights"]}  # older ones had but the weights
        self._restore(state["config"], kept["weights"], importlib.import_module(state["ops"]))
        if "state" in kept:
            self.set_state(kept)
        vars(self).update(state.get("own", {}))
