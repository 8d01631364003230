"""What a model is, but for its weights: a configuration that cannot be changed, and what follows from it."""

from typing import Any, NamedTuple

import numpy as np

from fastmlp.kernels.core.memory import ACTIVATIONS, KEEP_Z, OUTPUTS  # noqa: F401

from .ops import Operations

# what models have of which nothing is said, as in files and pickles older than the choice
DEFAULTS = {
    "activations": "relu",
    "output": "softmax",
    "dropout": (0.0, 0.0),
    "init": "he_normal",
    "center": None,
}
_TITLES = {"relu": "ReLU"}


class Config(NamedTuple):
    """What `MLP` is made with, each checked."""

    sizes: tuple[int, ...]
    dtype: np.dtype[Any]
    scale: float | tuple[float, ...]
    image_shape: tuple[int, ...] | None
    class_names: tuple[str, ...] | None
    activations: tuple[str, ...]
    output: str
    dropout: tuple[float, float]
    init: str
    center: str | tuple[float, ...] | None


class Configured:
    """The attributes of a model that can be read only."""

    _kind = "MLP"  # the class that files name
    _config: Config
    _ops: Operations

    @property
    def sizes(self) -> tuple[int, ...]:
        """Widths of the input, of each hidden layer and of the output."""
        return self._config.sizes

    @property
    def dtype(self) -> np.dtype[Any]:
        """Float32 or float64, of parameters and of all arithmetic."""
        return self._config.dtype

    @property
    def scale(self) -> float | tuple[float, ...]:
        """Factor that inputs are multiplied by, or one for each feature."""
        return self._config.scale

    @property
    def center(self) -> str | tuple[float, ...] | None:
        """What is subtracted from each feature; "mean" until the first training has found it."""
        return self._config.center

    @property
    def image_shape(self) -> tuple[int, ...] | None:
        """Sides of the images that a row of X holds."""
        return self._config.image_shape

    @property
    def class_names(self) -> tuple[str, ...] | None:
        """A name for each class."""
        return self._config.class_names

    @property
    def activations(self) -> tuple[str, ...]:
        """The activation of each hidden layer."""
        return self._config.activations

    @property
    def output(self) -> str:
        """What the last layer's numbers mean: softmax, logistic, identity or exp, each with its loss."""
        return self._config.output

    @property
    def dropout(self) -> tuple[float, float]:
        """Rates of the dropout that training has, of inputs and of hidden units."""
        return self._config.dropout

    @property
    def init(self) -> str:
        """How the initial weights were drawn."""
        return self._config.init

    @property
    def ops(self) -> Operations:
        """The operations that compute."""
        return self._ops

    @property
    def n_in(self) -> int:
        """Features of a sample."""
        return self.sizes[0]

    @property
    def n_out(self) -> int:
        """Width of the output."""
        return self.sizes[-1]

    @property
    def n_classes(self) -> int:
        """Classes: the width of the output, and two for a single logistic unit."""
        return n_classes(self.output, self.n_out)

    @property
    def n_parameters(self) -> int:
        """Number of weights and biases."""
        return sum((n_in + 1) * n_out for n_in, n_out in zip(self.sizes, self.sizes[1:], strict=False))

    def config(self) -> dict[str, Any]:
        """Describe the model without its weights, as model files hold it."""
        return {
            "class": self._kind,
            "sizes": list(self.sizes),
            "dtype": self.dtype.name,
            "scale": list(self.scale) if isinstance(self.scale, tuple) else self.scale,
            "image_shape": None if self.image_shape is None else list(self.image_shape),
            "class_names": None if self.class_names is None else list(self.class_names),
            "activations": list(self.activations),
            "output": self.output,
            "dropout": list(self.dropout),
            "init": self.init,
            "center": list(self.center) if isinstance(self.center, tuple) else self.center,
        }

    def __repr__(self) -> str:
        """Name the class, the widths, the activation where it is not ReLU, the scale and the dtype."""
        kinds = set(self.activations)
        activation: Any = kinds.pop() if len(kinds) == 1 else list(self.activations)
        said = f"activation={activation!r}, " if activation not in ("relu", []) else ""
        said += f"output={self.output!r}, " if self.output != "softmax" else ""
        said += f"dropout={self.dropout}, " if any(self.dropout) else ""
        vector, center = f"<{self.n_in} numbers>", self.center
        said += "" if center is None else f"center={center!r}, " if center == "mean" else f"center={vector}, "
        said += f"scale={vector if isinstance(self.scale, tuple) else f'{self.scale:g}'}"
        return f"{type(self).__name__}({list(self.sizes)}, {said}, dtype={self.dtype})"

    def summary(self) -> str:
        """Describe the layers: a line each, with shapes and numbers of parameters."""
        pairs = list(zip(self.sizes, self.sizes[1:], strict=False))
        kinds = [f"Linear + {_TITLES.get(name, name)}" for name in (*self.activations, self.output)]
        width = max(map(len, kinds))
        lines = [f"{'layer':<{width}}{'weights':>16}{'parameters':>14}"]
        for kind, (n_in, n_out) in zip(kinds, pairs, strict=True):
            lines.append(f"{kind:<{width}}{f'{n_in} x {n_out}':>16}{(n_in + 1) * n_out:>14,}")
        lines.append(f"{'total':<{width}}{'':>16}{self.n_parameters:>14,}")
        return "\n".join(lines)


def n_classes(output: str, n_out: int) -> int:
    """Count the classes that an output tells apart."""
    return 2 if output == "logistic" and n_out == 1 else n_out
