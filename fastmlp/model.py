"""Multilayer perceptrons that own their parameters and workspaces, check what comes in, and call kernels."""

import contextlib
import importlib
import math
import os
import threading
from collections.abc import Sequence
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from fastmlp import kernels

from . import checks
from .data import DataLoader, prepare_inputs, prepare_labels
from .export import safetensors

_FIELDS = ("n_in", "n_out", "w", "w_row", "b", "x", "x_row", "y", "y_row", "dy")
_LINE = 64  # bytes; arenas start on a cache line, as the kernels' plan wants
_HUGE_PAGE = 2**21  # bytes; NumPy asks for huge pages in arrays of two of them or more


class MLP:
    """A multilayer perceptron: linear layers with ReLU between them, softmax with cross-entropy at the end.

    Parameters
    ----------
    sizes : widths of the input, of each hidden layer and of the output (the number of classes)
    scale : factor that inputs are multiplied by, in training and in inference; saved with the model
    image_shape : (rows, columns) of the images that a row of X holds, where it holds images; saved
    class_names : a name for each class; saved
    seed : of the initial weights: what `numpy.random.default_rng` takes
    dtype : float32 or float64, of parameters and of all arithmetic
    ops : the operations: `fastmlp.kernels`, or `fastmlp.reference` for the same in NumPy

    Weights are drawn from a normal distribution in float64 and multiplied by sqrt(2 / n_in) (He et al.,
    Delving Deep into Rectifiers, 2015, equation 10); biases start at 0.

    Raises
    ------
    ValueError
        An argument is not of its kind; the text says what would be.

    Examples
    --------
    >>> model = MLP([784, 128, 10], seed=0)
    >>> model.n_parameters
    101770
    """

    def __init__(
        self,
        sizes: Sequence[int],
        *,
        scale: float = 1.0,
        image_shape: Sequence[int] | None = None,
        class_names: Sequence[str] | None = None,
        seed: Any = None,
        dtype: DTypeLike = np.float32,
        ops: ModuleType = kernels,
    ) -> None:
        self._set_up(sizes, scale, image_shape, class_names, dtype, ops)
        rng = np.random.default_rng(seed)
        for w, _ in self._parameters():
            w[...] = rng.standard_normal(w.shape) * math.sqrt(2 / len(w))

    def _set_up(
        self,
        sizes: Sequence[int],
        scale: float,
        image_shape: Sequence[int] | None,
        class_names: Sequence[str] | None,
        dtype: DTypeLike,
        ops: ModuleType,
    ) -> None:
        """Check the configuration and make parameters, all zero."""
        self.sizes = checks.check_sizes(sizes)
        self.dtype = checks.check_dtype(dtype)
        self.scale = checks.check_scale(scale, self.dtype)
        self.image_shape = checks.check_image_shape(image_shape, self.n_in)
        self.class_names = checks.check_class_names(class_names, self.n_classes)
        self.ops = ops
        self._training = threading.Lock()
        self._scale = self.dtype.type(self.scale)
        self._n_rows = 0
        self._arena = np.zeros(0, self.dtype)
        self._gradients: NDArray[Any] | None = None  # made by the first backward
        self._forward_rows = 0  # rows of the forward pass that backward may follow; 0: none
        self._stepped_from = False  # gradients are there for a step
        self._reserve(1)

    @property
    def n_in(self) -> int:
        """Features of a sample."""
        return self.sizes[0]

    @property
    def n_classes(self) -> int:
        """Classes, the width of the output."""
        return self.sizes[-1]

    @property
    def n_parameters(self) -> int:
        """Number of weights and biases."""
        return sum((n_in + 1) * n_out for n_in, n_out in zip(self.sizes, self.sizes[1:], strict=False))

    def __repr__(self) -> str:
        """Name the class, the widths and the dtype."""
        return f"{type(self).__name__}({list(self.sizes)}, scale={self.scale:g}, dtype={self.dtype})"

    def summary(self) -> str:
        """Describe the layers: a line each, with shapes and numbers of parameters."""
        pairs = list(zip(self.sizes, self.sizes[1:], strict=False))
        lines = [f"{'layer':<16}{'weights':>16}{'parameters':>14}"]
        for i, (n_in, n_out) in enumerate(pairs):
            kind = "Linear + ReLU" if i < len(pairs) - 1 else "Linear + softmax"
            lines.append(f"{kind:<16}{f'{n_in} x {n_out}':>16}{(n_in + 1) * n_out:>14,}")
        lines.append(f"{'total':<16}{'':>16}{self.n_parameters:>14,}")
        return "\n".join(lines)

    # --- memory ------------------------------------------------------------------------------------------

    def _reserve(self, n_rows: int) -> None:
        """Have workspaces for batches of n_rows; they only grow."""
        if n_rows <= self._n_rows:
            return
        table, size = self.ops.plan(self.sizes, n_rows, self.dtype)
        n_parameters = int(table[0]["x"])
        arena = _aligned_zeros(size, self.dtype)
        arena[:n_parameters] = self._arena[:n_parameters] if self._n_rows else 0
        self._table, self._arena, self._n_rows = table, arena, n_rows
        self._forward_rows = 0

    def _parameters(self, memory: NDArray[Any] | None = None) -> list[tuple[NDArray[Any], NDArray[Any]]]:
        """Views of w and b of each layer, or of their gradients in another array of that layout."""
        arena = self._arena if memory is None else memory
        return [
            (_matrix(arena, w, n_in, n_out, w_row), arena[b : b + n_out])
            for n_in, n_out, w, w_row, b in self._table[["n_in", "n_out", "w", "w_row", "b"]].tolist()
        ]

    def _activations(self, n_rows: int) -> list[tuple[NDArray[Any], NDArray[Any], NDArray[Any]]]:
        """Views of x, y and dy of each layer for a batch of n_rows."""
        views = []
        arena = self._arena
        for n_in, n_out, _, _, _, x, x_row, y, y_row, dy in self._table[list(_FIELDS)].tolist():
            views.append(
                (
                    _matrix(arena, x, n_rows, n_in, x_row),
                    _matrix(arena, y, n_rows, n_out, y_row),
                    _matrix(arena, dy, n_rows, n_out, y_row),
                )
            )
        return views

    # --- training, step by step --------------------------------------------------------------------------

    def forward(self, X: ArrayLike, y: ArrayLike) -> float:
        """Run a batch through all layers and return its mean loss.

        Parameters
        ----------
        X : (batch, n_in) real numbers
        y : (batch,) integers from 0 to n_classes - 1, or (batch, n_classes) rows that sum to 1

        Raises
        ------
        ValueError
            X or y does not fit the model.
        FloatingPointError
            The loss is not finite: training has diverged.
        """
        inputs = prepare_inputs(X)
        if len(inputs) == 0:
            raise ValueError(f"X has shape {inputs.shape}: the batch is empty; give at least one row")
        labels = prepare_labels(y, len(inputs))
        self._check_inputs(inputs)
        self._check_labels(labels)
        with _Exclusive(self._training):
            self._reserve(len(inputs))
            self._stepped_from = False
            layers = self._activations(len(inputs))
            np.copyto(layers[0][0], inputs, casting="same_kind")
            first, row = self._table[0][["x", "x_row"]].item()
            # with the pads, because NumPy makes a buffer for rows that are apart
            self._arena[first : first + len(inputs) * row] *= self._scale
            for (w, b), (x, y_now, _) in zip(self._parameters()[:-1], layers[:-1], strict=True):
                self.ops.linear_relu_forward(x, w, b, y_now)
            (w, b), (x, logits, dlogits) = self._parameters()[-1], layers[-1]
            self.ops.linear_forward(x, w, b, logits)
            losses = np.empty(len(inputs))
            self.ops.softmax_cross_entropy(logits, labels, dlogits, losses)
            # one after the other, as an epoch adds them: np.sum would add in pairs
            loss = float(np.add.accumulate(losses)[-1]) / len(inputs)
            if not math.isfinite(loss):
                self._forward_rows = 0
                raise FloatingPointError(f"the loss is {loss}; a smaller learning rate may help")
            self._forward_rows = len(inputs)
            return loss

    def backward(self) -> None:
        """Compute the gradient of the last forward pass's loss with respect to every parameter.

        Raises
        ------
        RuntimeError
            There was no forward pass since the model was made or since the last backward pass.
        """
        with _Exclusive(self._training):
            if not self._forward_rows:
                raise RuntimeError("backward follows a forward pass: call forward(X, y) first")
            if self._gradients is None:
                self._gradients = _aligned_zeros(int(self._table[0]["x"]), self.dtype)
            layers = self._activations(self._forward_rows)
            gradients = self._parameters(self._gradients)
            last = len(layers) - 1
            for i in range(last, -1, -1):
                (w, _), (dw, db), (x, y, dy) = self._parameters()[i], gradients[i], layers[i]
                dx = layers[i - 1][2] if i else None
                if i == last:
                    self.ops.linear_backward(x, w, dy, dx, dw, db)
                else:
                    self.ops.linear_relu_backward(x, w, y, dy, dx, dw, db)
            self._forward_rows = 0
            self._stepped_from = True

    def step(self, lr: float) -> None:
        """Move every parameter against its gradient: w = w - lr * dw.

        Raises
        ------
        RuntimeError
            There are no gradients of the last forward pass: backward was not called.
        ValueError
            lr is not finite or not above 0 in the model's dtype.
        """
        rate = self._check_lr(lr)
        with _Exclusive(self._training):
            if not self._stepped_from or self._gradients is None:
                raise RuntimeError("step follows a backward pass: call backward() first")
            for (w, b), (dw, db) in zip(self._parameters(), self._parameters(self._gradients), strict=True):
                self.ops.sgd_step(w, dw, rate)
                self.ops.sgd_step(b, db, rate)

    # --- training, an epoch at once ----------------------------------------------------------------------

    def run_epoch(self, loader: DataLoader, order: NDArray[np.int64], lr: float, losses: NDArray[Any]) -> int:
        """Train on the samples of `order`, batch by batch; what `train_epoch` and `fit` call.

        Parameters
        ----------
        loader : the prepared data set
        order : int64, rows of loader.X
        lr : learning rate
        losses : float64 (n_batches,), receives the mean loss of each batch as it is known

        Returns
        -------
        Batches completed.

        Raises
        ------
        ValueError
            The data set does not fit the model, or lr is bad.
        FloatingPointError
            A batch's loss or, at the end, a weight is not finite. That batch's step is not taken.
        RuntimeError
            The model is training already.
        """
        self.check_loader(loader)
        rate = self._check_lr(lr)
        with _Exclusive(self._training):
            self._reserve(min(loader.batch_size, len(order)))
            self._forward_rows, self._stepped_from = 0, False
            done = self.ops.sgd_epoch(
                self._arena,
                self._table,
                loader.X,
                loader.y,
                order,
                min(loader.batch_size, len(order)),
                rate,
                self._scale,
                loader.masks,
                np.zeros(1, np.int64),
                losses,
            )
            if done < len(losses):
                raise FloatingPointError(
                    f"batch {done}: the loss is {losses[done]}; a smaller learning rate than {lr:g} may help"
                )
            # a weight under a pixel that is always 0 shows in no loss
            finite, _, _ = self.ops.scan(self._arena[None, : int(self._table[0]["x"])])
            if not finite:
                raise FloatingPointError(
                    f"after batch {done - 1}: weights are not finite; "
                    f"a smaller learning rate than {lr:g} may help"
                )
            return done

    # --- inference ---------------------------------------------------------------------------------------

    def logits(self, X: ArrayLike) -> NDArray[Any]:
        """Compute the outputs of the last layer, before softmax.

        Parameters
        ----------
        X : (n, n_in) real numbers, or n_in of them for one sample

        Returns
        -------
        logits : (n, n_classes) of the model's dtype; the bits of a row do not depend on the other rows

        Raises
        ------
        ValueError
            X does not fit the model.
        """
        with contextlib.suppress(ValueError):  # what is no array is named by prepare_inputs
            X = np.asarray(X)
            X = X[None] if X.ndim == 1 else X
        inputs = prepare_inputs(X)
        self._check_inputs(inputs)
        result = np.empty((len(inputs), self.n_classes), self.dtype)
        if len(inputs):
            self.ops.infer(self._arena, self._table, inputs, self._scale, result)
        return result

    def predict(self, X: ArrayLike) -> NDArray[np.int64]:
        """Name the likeliest class of each row: int64 (n,). X and errors as for `predict_proba`."""
        return self._finite_logits(X).argmax(axis=1)

    def predict_proba(self, X: ArrayLike) -> NDArray[Any]:
        """Compute the probability of each class: (n, n_classes), each row summing to 1.

        Parameters
        ----------
        X : as for `logits`

        Raises
        ------
        ValueError
            X does not fit the model.
        FloatingPointError
            The logits of a row are not finite, so that no class is the likeliest.
        """
        p = self._finite_logits(X)
        p -= p.max(axis=1, keepdims=True, initial=-np.inf)
        np.exp(p, out=p)
        p /= p.sum(axis=1, keepdims=True)
        return p

    def _finite_logits(self, X: ArrayLike) -> NDArray[Any]:
        logits = self.logits(X)
        finite = np.isfinite(logits)
        if not finite.all():
            row = int(finite.all(axis=1).argmin())
            raise FloatingPointError(
                f"the logits of row {row} of X are not finite: its values or the weights are too large for "
                f"{self.dtype}"
            )
        return logits

    # --- the door ----------------------------------------------------------------------------------------

    def check_loader(self, loader: DataLoader) -> None:
        """Compare what a loader found in its data set with what the model takes; constant time.

        Raises
        ------
        ValueError
            They do not fit.
        """
        facts = loader.facts
        self._check_width(facts.n_features)
        self._check_values(facts.finite, facts.largest)
        self._check_classes(facts.n_classes, facts.max_label)

    def _check_inputs(self, X: NDArray[Any]) -> None:
        self._check_width(X.shape[1])
        if X.dtype != np.uint8 and X.size:
            finite, largest, _ = self.ops.scan(X)
            self._check_values(finite, largest)

    def _check_labels(self, y: NDArray[Any]) -> None:
        integers = y.ndim == 1
        self._check_classes(None if integers else y.shape[1], int(y.max()) if integers else None)

    def _check_width(self, n_features: int) -> None:
        if n_features != self.n_in:
            raise ValueError(
                f"X has {n_features} features a row, expected {self.n_in}, the model's input width"
            )

    def _check_values(self, finite: bool, largest: float) -> None:
        if not finite:
            raise ValueError("X has NaN or infinite elements, expected finite numbers; see np.isfinite(X)")
        with np.errstate(over="ignore"):
            scaled = self.dtype.type(largest) * self._scale
        if not np.isfinite(scaled):
            raise ValueError(
                f"X reaches {largest:g}, which is infinite in {self.dtype} times the scale {self.scale:g}; "
                "use a smaller scale or dtype=np.float64"
            )

    def _check_classes(self, n_columns: int | None, max_label: int | None) -> None:
        if n_columns is not None and n_columns != self.n_classes:
            raise ValueError(f"y has {n_columns} columns, expected {self.n_classes}, the model's classes")
        if max_label is not None and max_label >= self.n_classes:
            raise ValueError(
                f"y has the label {max_label}, expected 0 to {self.n_classes - 1}: "
                f"the model has {self.n_classes} classes"
            )

    def _check_lr(self, lr: float) -> Any:
        try:
            with np.errstate(over="ignore"):
                rate = self.dtype.type(lr)
        except (TypeError, ValueError, OverflowError):
            raise ValueError(f"lr is {lr!r}, expected a number above 0") from None
        if np.ndim(rate) or not np.isfinite(rate) or rate <= 0:
            raise ValueError(f"lr is {lr!r}, expected a finite number above 0 in {self.dtype}")
        return rate

    # --- weights and files -------------------------------------------------------------------------------

    def get_weights(self) -> list[NDArray[Any]]:
        """Copy the parameters: [W1, b1, W2, b2, …], W (n_in, n_out) and b (n_out,)."""
        return [np.array(array, order="C") for pair in self._parameters() for array in pair]

    def set_weights(self, weights: Sequence[ArrayLike]) -> None:
        """Take over parameters in the order of `get_weights`; they are copied.

        Raises
        ------
        ValueError
            Their number, a shape or a value does not fit; then the model is as before.
        """
        shapes = [array.shape for pair in self._parameters() for array in pair]
        if not np.iterable(weights):
            raise ValueError(f"weights is {weights!r}, expected {len(shapes)} arrays: [W1, b1, W2, b2, …]")
        given = list(weights)
        if len(given) != len(shapes):
            raise ValueError(f"{len(given)} arrays of weights, expected {len(shapes)}: [W1, b1, W2, b2, …]")
        checked = [
            _check_weight(f"weights[{i}]", array, shape, self.dtype)
            for i, (array, shape) in enumerate(zip(given, shapes, strict=True))
        ]
        with _Exclusive(self._training):
            self._forward_rows, self._stepped_from = 0, False
            targets = [array for pair in self._parameters() for array in pair]
            for target, new in zip(targets, checked, strict=True):
                target[...] = new

    def config(self) -> dict[str, Any]:
        """Describe the model without its weights, as model files hold it."""
        return {
            "class": "DigitsClassifier" if isinstance(self, DigitsClassifier) else "MLP",
            "sizes": list(self.sizes),
            "dtype": self.dtype.name,
            "scale": self.scale,
            "image_shape": None if self.image_shape is None else list(self.image_shape),
            "class_names": None if self.class_names is None else list(self.class_names),
        }

    def save(self, path: str | os.PathLike) -> None:
        """Write the model to a safetensors file; the same model gives the same bytes.

        Raises
        ------
        ValueError
            Weights are not finite, or `path` is a folder.
        OSError
            The file cannot be written; an older one is still there.
        """
        safetensors.save_model(path, self.config(), self.get_weights())

    @staticmethod
    def load(path: str | os.PathLike, ops: ModuleType = kernels) -> "MLP":
        """Read a model from a file that `save` wrote: an object of the class that was saved.

        Raises
        ------
        FileNotFoundError
            There is no such file.
        ValueError
            The file is damaged or none of fastmlp's; no code from it is ever run.
        """
        config, weights = safetensors.load_model(path)
        classes = {"MLP": MLP, "DigitsClassifier": DigitsClassifier}
        if config["class"] not in classes:
            raise ValueError(f"{path}: found class {config['class']!r}, expected one of {sorted(classes)}")
        model: MLP = object.__new__(classes[config["class"]])
        model._restore(config, weights, ops)
        return model

    def _restore(self, config: dict[str, Any], weights: Sequence[ArrayLike], ops: ModuleType) -> None:
        self._set_up(
            config["sizes"],
            config["scale"],
            config["image_shape"],
            config["class_names"],
            config["dtype"],
            ops,
        )
        self.set_weights(weights)

    def __getstate__(self) -> dict[str, Any]:
        """Give configuration, weights and the name of the operations; no workspace, no lock."""
        return {"config": self.config(), "weights": self.get_weights(), "ops": self.ops.__name__}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Make the model again; it trains on to the same bits."""
        self._restore(state["config"], state["weights"], importlib.import_module(state["ops"]))


class DigitsClassifier(MLP):
    """The notebook's classifier of handwritten digits: 784 inputs, 128 hidden units, 10 classes by default.

    Parameters
    ----------
    in_features : pixels of an image
    hidden : width of each hidden layer
    n_classes : classes
    mlp_options : as for `MLP`; image_shape is (28, 28) where in_features is 784 and nothing else is said
    """

    def __init__(
        self,
        in_features: int = 784,
        hidden: Sequence[int] = (128,),
        n_classes: int = 10,
        **mlp_options: Any,
    ) -> None:
        if in_features == 784:
            mlp_options.setdefault("image_shape", (28, 28))
        super().__init__([in_features, *hidden, n_classes], **mlp_options)


class _Exclusive:
    """Hold a model for one training call; a second one is an error, not a wait."""

    def __init__(self, lock: threading.Lock) -> None:
        self._lock = lock

    def __enter__(self) -> None:
        if not self._lock.acquire(blocking=False):
            raise RuntimeError("this model is being trained by another call; train a copy, or wait for it")

    def __exit__(self, *error: object) -> None:
        self._lock.release()


def _aligned_zeros(size: int, dtype: np.dtype[Any]) -> NDArray[Any]:
    # a large arena starts on a huge page, where there are such: walking page tables would cost a tenth
    line = _LINE if size * dtype.itemsize < _HUGE_PAGE // 4 else _HUGE_PAGE
    memory = np.zeros(size + 2 * line // dtype.itemsize, dtype)
    first = -memory.ctypes.data % line // dtype.itemsize
    return memory[first : first + size]


def _matrix(arena: NDArray[Any], offset: int, n_rows: int, width: int, row: int) -> NDArray[Any]:
    return arena[offset : offset + n_rows * row].reshape(n_rows, row)[:, :width]


def _check_weight(name: str, values: Any, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    try:
        array = np.asarray(values)
    except ValueError as error:  # rows of different lengths
        raise ValueError(f"{name} is no array ({error}), expected shape {shape}") from error
    if array.dtype.kind not in "biuf":
        raise ValueError(f"{name} has dtype {array.dtype}, expected real numbers")
    if array.shape != shape:
        raise ValueError(f"{name} has shape {array.shape}, expected {shape}")
    with np.errstate(over="ignore"):
        checked = array.astype(dtype)
    if not np.isfinite(checked).all():
        raise ValueError(f"{name} has NaN or infinite elements in {dtype}")
    return checked
