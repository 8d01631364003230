"""What comes in at a model's door, refused by a ValueError that says what would be taken."""

import difflib
import math
import operator
import reprlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from .config import ACTIVATIONS, OUTPUTS, Config, n_classes
from .data import DataLoader
from .data.inputs import as_array, is_masked, prepare_inputs, refuse_masked
from .data.labels import labels_for, prepare_labels, prepare_weights
from .init import INITS
from .numbers import is_real
from .ops import Operations
from .optimizers import Optimizer

# --- what a model is configured with --------------------------------------------------------------------


def check_config(
    sizes: Sequence[int],
    dtype: DTypeLike,
    scale: float | ArrayLike,
    image_shape: Sequence[int] | None,
    class_names: Sequence[str] | None,
    activation: str | Sequence[str],
    output: str,
    dropout: float | Sequence[float],
    init: str,
    center: str | ArrayLike | None,
) -> Config:
    """Give a configuration of which everything holds that `MLP` says."""
    widths, kind, of = _check_sizes(sizes), _check_dtype(dtype), check_choice("output", output, OUTPUTS)
    factor = _check_scale(scale, widths[0], kind)
    return Config(
        widths,
        kind,
        factor,
        _check_image_shape(image_shape, widths[0]),
        _check_class_names(class_names, n_classes(of, widths[-1])),
        check_activations(activation, len(widths) - 2),
        of,
        _check_dropout(dropout),
        check_choice("init", init, INITS),
        check_center(center, widths[0], factor, kind),
    )


def _check_sizes(sizes: Sequence[int]) -> tuple[int, ...]:
    """Give the widths as a tuple: two or more, of at least 1."""
    checked = _whole_numbers(sizes)
    if len(checked) < 2 or min(checked) < 1 or max(checked) >= 2**31:  # what model files hold
        raise ValueError(
            f"sizes is {sizes!r}, expected two or more widths of 1 to 2**31 - 1, such as [784, 128, 10]"
        )
    return checked


def _check_dtype(dtype: DTypeLike) -> np.dtype[Any]:
    """Give the dtype: float32 or float64."""
    try:
        checked = None if dtype is None else np.dtype(dtype)  # NumPy takes None for float64
    except (TypeError, ValueError, SyntaxError, OverflowError):
        checked = None
    if checked not in (np.float32, np.float64):
        raise ValueError(f"dtype is {checked or reprlib.repr(dtype)}, expected float32 or float64")
    return checked


def _check_scale(scale: Any, n_in: int, dtype: np.dtype[Any]) -> float | tuple[float, ...]:
    """Give the factor of the inputs, or one for each feature: finite, and not 0 in the model's dtype."""
    if np.iterable(scale) and not isinstance(scale, str):
        numbers = _row_of_numbers(scale, n_in)
        with np.errstate(over="ignore", under="ignore"):
            rounded = np.zeros(1) if numbers is None else numbers.astype(dtype)
        if numbers is None or not (np.isfinite(rounded) & (rounded != 0)).all():
            expected = f"a number, or {n_in} of them, finite and not 0 in {dtype}"
            raise ValueError(f"scale is {reprlib.repr(scale)}, expected {expected}")
        return tuple(numbers.tolist())
    try:
        checked = math.nan if isinstance(scale, bool | np.bool | str | bytes) else float(scale)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"scale is {scale!r}, expected a number such as 1 / 255") from None
    with np.errstate(over="ignore", under="ignore"):
        rounded = dtype.type(checked)
    if not np.isfinite(rounded) or rounded == 0:
        raise ValueError(f"scale is {scale!r}, expected a finite number other than 0 in {dtype}")
    return checked


def check_center(
    center: Any, n_in: int, scale: float | tuple[float, ...], dtype: np.dtype[Any]
) -> str | tuple[float, ...] | None:
    """Give what is subtracted from each feature, which is finite when it is scaled; or None or "mean"."""
    if center is None or isinstance(center, str) and center == "mean":
        return center
    numbers = _row_of_numbers(center, n_in)
    with np.errstate(over="ignore"):
        if numbers is None or not np.isfinite((numbers * scale).astype(dtype)).all():
            raise ValueError(
                f"center is {reprlib.repr(center)}, expected None, 'mean', or {n_in} numbers, one a feature, "
                f"that are finite times the scale in {dtype}"
            )
    return tuple(numbers.tolist())


def _row_of_numbers(values: Any, n: int) -> NDArray[np.float64] | None:
    """Give so many real numbers in float64; None where they are others."""
    try:
        numbers = as_array(values, "")
    except ValueError:
        return None
    return numbers.astype(np.float64) if numbers.shape == (n,) and numbers.dtype.kind != "b" else None


def _check_image_shape(image_shape: Sequence[int] | None, n_in: int) -> tuple[int, ...] | None:
    """Give the sides of an image as a tuple; their product is the input width."""
    if image_shape is None:
        return None
    checked = _whole_numbers(image_shape)
    if min(checked, default=0) < 1 or math.prod(checked) != n_in:
        raise ValueError(
            f"image_shape is {image_shape!r}, expected sides whose product is {n_in}, the input width"
        )
    return checked


def _check_class_names(class_names: Sequence[str] | None, n_classes: int) -> tuple[str, ...] | None:
    """Give the names of the classes as a tuple, one a class."""
    if class_names is None:
        return None
    if not np.iterable(class_names):
        raise ValueError(f"class_names is {class_names!r}, expected {n_classes} names, one a class")
    checked = tuple(str(name) for name in class_names)
    if len(checked) != n_classes:
        raise ValueError(f"class_names has {len(checked)} names, expected {n_classes}, one a class")
    return checked


def check_activations(activation: str | Sequence[str], n_hidden: int) -> tuple[str, ...]:
    """Give the names of the activations as a tuple, one a hidden layer; a single name is of all."""
    if isinstance(activation, str):
        return (check_choice("activation", activation, ACTIVATIONS),) * n_hidden
    if not np.iterable(activation):
        raise ValueError(f"activation is {activation!r}, expected a name, or one a hidden layer")
    names = list(activation)
    if len(names) != n_hidden:
        raise ValueError(f"activation has {len(names)} names, expected {n_hidden}, one a hidden layer")
    return tuple(check_choice(f"activation[{i}]", name, ACTIVATIONS) for i, name in enumerate(names))


def _check_dropout(dropout: float | Sequence[float]) -> tuple[float, float]:
    """Give the rates of inputs and hidden units; a single number is of hidden units."""
    try:
        given: Any = (0.0, dropout) if np.ndim(dropout) == 0 else tuple(dropout)  # type: ignore[arg-type]
        rates = tuple(float(rate) for rate in given if is_real(rate))
    except (TypeError, ValueError, OverflowError):  # of lists too, whose rows differ in length
        rates = ()
    # so near 1 that nothing would be left
    if len(rates) != 2 or not all(0 <= rate <= 1 - 2**-20 for rate in rates):
        raise ValueError(
            f"dropout is {dropout!r}, expected a rate from 0 to below 1, or two: (inputs, hidden units)"
        )
    return rates[0], rates[1]


def check_choice(name: str, value: Any, choices: Sequence[str]) -> str:
    """Give a name that is one of the choices; the error lists them, and says which is near."""
    if isinstance(value, str) and value in choices:
        return str(value)
    near = difflib.get_close_matches(str(value).lower().replace(" ", "_"), choices, 1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    raise ValueError(f"{name} is {value!r}, expected one of {', '.join(choices)}{hint}")


def _whole_numbers(values: Any) -> tuple[int, ...]:
    """Give whole numbers as a tuple of int; an empty one where they are none."""
    try:
        numbers = list(values)
        return () if bool in map(type, numbers) else tuple(map(operator.index, numbers))
    except TypeError:
        return ()


# --- what it is given -----------------------------------------------------------------------------------


def check_inputs(X: ArrayLike, n_in: int, scale: Any, ops: Operations) -> NDArray[Any]:
    """Give inputs as the kernels take them: of the model's width, and finite when they are scaled."""
    inputs = prepare_inputs(X)
    _check_width(inputs.shape[1], n_in)
    if inputs.dtype != np.uint8 and inputs.size:
        finite, largest, _ = ops.scan(inputs)
        _check_values(finite, largest, scale)
    return inputs


def check_samples(X: ArrayLike, config: Config, scale: Any, ops: Operations) -> NDArray[Any]:
    """Give inputs as `check_inputs` does; those of one sample may be a row of numbers, or an image."""
    samples, n_in = X if type(X) is np.ndarray else as_array(X, "X"), config.sizes[0]
    is_single = samples.ndim == 1 or samples.shape == config.image_shape
    if samples.ndim > 1 and samples.size == n_in != samples.shape[-1] and not is_single:
        image = f" or {config.image_shape}" if config.image_shape else ""
        expected = f"(n, {n_in}){image}; for one sample: np.reshape(X, (1, -1))"
        raise ValueError(f"X has shape {samples.shape}, expected {expected}")
    return check_inputs(samples.reshape(1, -1) if is_single else samples, n_in, scale, ops)


def check_batch(
    X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None, config: Config, scale: Any, ops: Operations
) -> tuple[NDArray[Any], NDArray[Any], NDArray[np.float64] | None]:
    """Give a batch's inputs, labels and weights as the kernels take them: at least one row."""
    inputs = prepare_inputs(X)
    if len(inputs) == 0:
        raise ValueError(f"X has shape {inputs.shape}: the batch is empty; give at least one row")
    labels = prepare_labels(y, len(inputs))
    check_inputs(inputs, config.sizes[0], scale, ops)
    labels = labels_for(labels, config.output, config.sizes[-1])
    return (
        inputs,
        labels,
        None if sample_weight is None else prepare_weights(sample_weight, len(inputs), True),
    )


def check_loader(loader: DataLoader, config: Config, scale: Any, ops: Operations) -> None:
    """Compare what a loader knows of its data set, or finds out now, with what a model takes."""
    if not isinstance(loader, DataLoader):
        raise ValueError(f"loader is of type {type(loader).__name__}, expected a DataLoader")
    facts = loader.prepare(ops).facts
    _check_width(facts.n_features, config.sizes[0])
    _check_values(facts.finite, facts.largest, scale)
    loader.labels_for(config.output, config.sizes[-1])


def _check_width(n_features: int, n_in: int) -> None:
    if n_features != n_in:
        raise ValueError(f"X has {n_features} features a row, expected {n_in}, the model's input width")


def _check_values(finite: bool, largest: float, scale: Any) -> None:
    if not finite:
        raise ValueError(
            "X has NaN or infinite elements, expected finite numbers; fill or leave out such rows"
        )
    scale = np.abs(scale).max() if scale.ndim else scale
    with np.errstate(over="ignore"):
        rounded = scale.dtype.type(largest)
        if np.isfinite(rounded * scale):
            return
        wider = scale.dtype == np.float32 and np.isfinite(largest * np.float64(scale))
        smaller = "a smaller scale" if np.isfinite(rounded) else ""
    remedy = " or ".join(filter(None, [smaller, "dtype=np.float64" if wider else ""]))
    raise ValueError(
        f"X reaches {largest:g}, which is infinite in {scale.dtype} times the scale {scale:g}; "
        f"use {remedy or 'dtype=np.float64 and a smaller scale'}"
    )


def check_smoothing(smoothing: Any, output: str) -> float:
    """Give the share of a label that goes to all classes alike: 0 to below 1, and 0 where there are none."""
    if not is_real(smoothing) or not 0 <= smoothing < 1:
        raise ValueError(f"label_smoothing is {smoothing!r}, expected a number from 0 to below 1")
    if smoothing and output not in ("softmax", "logistic"):
        raise ValueError(f"label_smoothing is {smoothing!r}, expected 0: {output} outputs have no classes")
    return float(smoothing)


def check_rates(rates: Any, n_batches: int, momentum: float, dtype: np.dtype[Any]) -> NDArray[np.float64]:
    """Give a learning rate and a momentum for each batch: finite in the dtype, the rate 0 or above."""
    try:
        given = np.asarray(np.nan if is_masked(rates) else rates)
    except ValueError:  # rows of different lengths
        given = np.empty(0, object)
    if given.dtype.kind not in "iuf":
        raise ValueError(f"lr is {rates!r}, expected a number from 0 up")
    given = given.astype(np.float64)
    if given.ndim == 0:
        given = np.tile([float(given), momentum], (n_batches, 1))
    elif given.shape != (n_batches, 2):
        raise ValueError(f"lr has shape {given.shape}, expected one number, or ({n_batches}, 2)")
    lr, momenta = given.T
    with np.errstate(over="ignore"):
        bad = ~np.isfinite(lr.astype(dtype)) | (lr < 0)
    if bad.any():
        shown = repr(rates) if np.ndim(rates) == 0 else f"{lr[bad][0]} at batch {bad.argmax()}"
        raise ValueError(f"lr is {shown}, expected a finite number from 0 up in {dtype}")
    if not ((momenta >= 0) & (momenta <= 1)).all():
        raise ValueError(f"momentum is {momenta[~((momenta >= 0) & (momenta <= 1))][0]}, expected 0 to 1")
    return np.ascontiguousarray(given)


def check_optimizer(optimizer: Any, n_layers: int, ema: float | None, dtype: np.dtype[Any]) -> None:
    """Compare an optimizer's numbers, and an average's decay, with what a model takes."""
    if not isinstance(optimizer, Optimizer):
        raise ValueError(f"optimizer is {optimizer!r}, expected fastmlp.SGD(…) or fastmlp.Adam(…)")
    if optimizer.layer_lr is not None and len(optimizer.layer_lr) != n_layers:
        raise ValueError(f"layer_lr has {len(optimizer.layer_lr)} factors, expected {n_layers}, one a layer")
    epsilon = getattr(optimizer, "epsilon", None)  # of those that divide by a root
    if epsilon is not None and dtype.type(epsilon) == 0:
        raise ValueError(f"epsilon is {epsilon!r}, which is 0 in {dtype}: dead weights would be NaN")
    if ema is not None and not (is_real(ema) and 0 < ema < 1):
        raise ValueError(f"ema is {ema!r}, expected a decay between 0 and 1, such as 0.999, or None")


def check_order(order: NDArray[np.int64], n: int) -> NDArray[np.int64]:
    """Give the samples of an epoch or of several: at least one, each from 0 to n - 1."""
    refuse_masked(order, "order")
    if not _is_row(order, np.int64, (1, 2)) or order.size == 0:
        raise ValueError(
            f"order is {_describe(order)}, expected int64 of shape (n_samples,) or (n_epochs, n_samples), "
            "at least one"
        )
    for sample in (int(order.min()), int(order.max())):
        if not 0 <= sample < n:
            raise ValueError(f"order has the sample {sample}, expected rows of X: 0 to {n - 1}")
    return np.asarray(order)


def check_losses(
    losses: NDArray[Any], n_batches: int, order: NDArray[np.int64], name: str = "losses"
) -> NDArray[np.float64]:
    """Give the place for numbers of an epoch's batches: writable, and none of the order's memory."""
    if not _is_row(losses, np.float64) or len(losses) != n_batches or not losses.flags.writeable:
        raise ValueError(f"{name} is {_describe(losses)}, expected writable float64 of shape ({n_batches},)")
    if np.may_share_memory(losses, order):
        raise ValueError(f"{name} shares memory with order, expected an array of its own")
    return np.asarray(losses)


def _is_row(array: Any, dtype: DTypeLike, ndims: tuple[int, ...] = (1,)) -> bool:
    is_array = isinstance(array, np.ndarray) and array.ndim in ndims
    return is_array and array.dtype == dtype and array.flags.aligned


def _describe(value: Any) -> str:
    if not isinstance(value, np.ndarray):
        return f"of type {type(value).__name__}"
    kind = ("" if value.flags.writeable else "read-only ") + ("" if value.flags.aligned else "unaligned ")
    return f"{kind}{value.dtype} of shape {value.shape}"


def check_weights(
    weights: Sequence[ArrayLike], shapes: Sequence[tuple[int, ...]], dtype: np.dtype[Any]
) -> list[NDArray[Any]]:
    """Give parameters in a model's dtype: of these shapes, and finite."""
    if not np.iterable(weights):
        raise ValueError(f"weights is {weights!r}, expected {len(shapes)} arrays: [W1, b1, W2, b2, …]")
    given = list(weights)
    if len(given) != len(shapes):
        raise ValueError(f"{len(given)} arrays of weights, expected {len(shapes)}: [W1, b1, W2, b2, …]")
    return [
        _check_weight(f"weights[{i}]", array, shape, dtype)
        for i, (array, shape) in enumerate(zip(given, shapes, strict=True))
    ]


def _check_weight(name: str, values: ArrayLike, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    array = as_array(values, name)
    if array.shape != shape:
        raise ValueError(f"{name} has shape {array.shape}, expected {shape}")
    with np.errstate(over="ignore"):
        checked = array.astype(dtype)
    if not np.isfinite(checked).all():
        raise ValueError(f"{name} has NaN or infinite elements in {dtype}")
    return checked


def check_state(
    state: dict[str, Any], shapes: Sequence[tuple[int, ...]], dtype: np.dtype[Any], families: dict[Any, int]
) -> dict[str, Any]:
    """Give what `get_state` gave, once it fits the model."""
    try:
        family, steps, rows, average = (state[name] for name in ("optimizer", "steps", "state", "average"))
        counts = {name: state.get(name, 0) for name in ("all_steps", "dropout_seed")} | {"steps": steps}
        weights = state["weights"]
    except (AttributeError, IndexError, KeyError, TypeError, ValueError):
        raise ValueError("state lacks a key of what get_state gives") from None
    n_rows = len(rows) if isinstance(rows, list | tuple) else -1
    if not isinstance(family, str | None) or families.get(family) != n_rows:
        what = f"{n_rows} rows" if n_rows >= 0 else f"type {type(rows).__name__}"
        raise ValueError(f"state of {what} for the optimizer {family!r}, expected one of {families}")
    for name, count in counts.items():
        if not isinstance(count, int) or not 0 <= count < 2**63:
            raise ValueError(f"{name} is {count!r}, expected a whole number from 0 to below 2**63")
    checked = [check_weights(row, shapes, dtype) for row in [*rows, weights]]
    mean = None if average is None else check_weights(average, shapes, dtype)
    return {
        "optimizer": family,
        **counts,
        "state": checked[:-1],
        "average": mean,
        "weights": checked[-1],
    }
