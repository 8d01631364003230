"""Model files: safetensors, checked as they are read."""

import contextlib
import json
import math
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from fastmlp.atomic import file_name, safe_write
from fastmlp.config import ACTIVATIONS, DEFAULTS, OUTPUTS, n_classes
from fastmlp.init import INITS

FORMAT = 1
_CODES = {"float32": "F32", "float64": "F64"}  # the model's dtypes as safetensors spells them


def save_model(path: str | os.PathLike, config: dict[str, Any], weights: Sequence[np.ndarray]) -> None:
    """Write a model file; the same configuration and weights give the same bytes.

    Parameters
    ----------
    path : the file, replaced as a whole
    config : class, sizes, dtype, scale, image_shape, class_names, activations, output, dropout, init, center,
        as `MLP.config` returns them; the last five are written where they are not relu, softmax, (0, 0),
        he_normal and None, which is what they are in a file that does not have them
    weights : [W1, b1, W2, b2, ...], W (n_in, n_out) and b (n_out,), of the configured dtype

    Raises
    ------
    ValueError
        a configuration or weights that `load_model` would refuse
    """
    # checked as a reader would; what goes without saying is left out, so that older versions read it
    checked = _parse(path, json.dumps({"format": FORMAT, **config}))
    unsaid = _defaults(checked["sizes"])
    said = {key: value for key, value in checked.items() if key not in unsaid or value != unsaid[key]}
    header = json.dumps({"format": FORMAT, **said}, sort_keys=True)
    shapes = _shapes(checked["sizes"])
    _require(len(weights) == len(shapes), path, f"{len(weights)} arrays of weights", f"{len(shapes)}")
    tensors = dict(zip(shapes, weights, strict=True))
    for name, w in tensors.items():
        _check_kind(path, name, (w.dtype.name, *w.shape), (config["dtype"], *shapes[name]))
        _check_finite(path, name, w)
    write_file(path, header, tensors)


def load_model(path: str | os.PathLike) -> tuple[dict[str, Any], list[np.ndarray]]:
    """Read a model file, checking all that it says; no code from the file is ever run.

    Returns
    -------
    config : the configuration that was saved, lists as tuples, with activations and init in any case
    weights : [W1, b1, W2, b2, ...]

    Raises
    ------
    FileNotFoundError, PermissionError
        there is no such file, or it may not be read
    ValueError
        the file is truncated, corrupt, or no fastmlp model
    """
    with open_file(path, "a fastmlp model") as file:
        return _read(path, file)


def write_file(path: str | os.PathLike, header: str, tensors: dict[str, np.ndarray]) -> None:
    """Write tensors and the text of the metadata key `fastmlp`; the file is replaced as a whole."""
    # safetensors writes strided arrays wrongly, without an error
    packed = {name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()}
    content = save(packed, metadata={"fastmlp": header})
    with safe_write(path) as temporary:
        temporary.write_bytes(content)


@contextlib.contextmanager
def open_file(path: str | os.PathLike, expected: str) -> Iterator[Any]:
    """Open a file for reading; errors name it, and what was expected."""
    path = file_name(path)
    if not Path(path).exists():
        raise FileNotFoundError(f"{path}: found no such file, expected {expected}")
    _require(Path(path).is_file(), path, "a folder or a device", expected)
    with open(path, "rb"):  # of a file that may not be read safetensors says that there is none
        pass
    try:
        with safe_open(path, framework="numpy") as file:
            yield file
    except SafetensorError as error:
        raise ValueError(f"{path}: found a damaged or foreign file ({error}), expected {expected}") from error


def read_header(path: str | os.PathLike, file: Any, expected: str) -> str:
    """Give the text of an open file's metadata key `fastmlp`."""
    metadata = file.metadata() or {}
    _require("fastmlp" in metadata, path, "no metadata key 'fastmlp'", expected)
    return metadata["fastmlp"]


def _read(path: str | os.PathLike, file: Any) -> tuple[dict[str, Any], list[np.ndarray]]:
    config = _parse(path, read_header(path, file, "a model that fastmlp saved"))
    shapes = _shapes(config["sizes"])
    _require(set(file.keys()) == set(shapes), path, f"tensors {sorted(file.keys())}", f"{list(shapes)}")
    for name, shape in shapes.items():  # before any value is read
        tensor = file.get_slice(name)
        _check_kind(path, name, (tensor.get_dtype(), *tensor.get_shape()), (_CODES[config["dtype"]], *shape))
    weights = {name: file.get_tensor(name) for name in shapes}
    for name, w in weights.items():
        _check_finite(path, name, w)
    return config, list(weights.values())


def _parse(path: str | os.PathLike, header: Any) -> dict[str, Any]:
    """Give the configuration in a header, once every value of it is what a model can have."""
    try:
        config = json.loads(header)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: found metadata that is no JSON ({error}), expected it") from error
    _require(isinstance(config, dict), path, f"metadata {config}", "a configuration")
    _require("checkpoint" not in config, path, "a checkpoint", "a model, as fit's resume makes of it")
    found = config.pop("format", None)
    _require(found == FORMAT, path, f"format {found}", f"format {FORMAT}: update fastmlp?")
    found, expected = f"configuration of {sorted(config)}", f"{sorted(_RULES)}"
    _require(set(_RULES) - set(DEFAULTS) <= set(config) <= set(_RULES), path, found, expected)
    for key, (holds, expected) in _RULES.items():
        _require(key not in config or holds(config), path, f"{key} {config.get(key)!r}", expected)
    given = {key: tuple(value) if isinstance(value, list) else value for key, value in config.items()}
    return _defaults(given["sizes"]) | given


def _defaults(sizes: Sequence[int]) -> dict[str, Any]:
    return DEFAULTS | {"activations": (DEFAULTS["activations"],) * (len(sizes) - 2)}


def _is_list(values: Any, kind: type) -> bool:
    return isinstance(values, list) and all(type(v) is kind for v in values)


def _is_row(config: dict[str, Any], key: str) -> bool:
    """Whether it is a finite float for each input."""
    row = config[key]
    return _is_list(row, float) and len(row) == config["sizes"][0] and all(map(math.isfinite, row))


def _is_sides(values: Any) -> bool:
    return _is_list(values, int) and all(0 < v < 2**31 for v in values)


# sizes come first: the rules after it rely on them
_RULES: dict[str, tuple[Callable[[dict[str, Any]], bool], str]] = {
    "sizes": (lambda c: _is_sides(c["sizes"]) and len(c["sizes"]) >= 2, "two or more positive widths"),
    "class": (lambda c: isinstance(c["class"], str), "the name of a class"),
    "dtype": (lambda c: isinstance(c["dtype"], str) and c["dtype"] in _CODES, "float32 or float64"),
    "scale": (
        lambda c: (type(c["scale"]) in (int, float) and math.isfinite(c["scale"])) or _is_row(c, "scale"),
        "a finite number, or one for each input",
    ),
    "center": (
        lambda c: c["center"] in (None, "mean") or _is_row(c, "center"),
        "nothing, mean, or a finite number for each input",
    ),
    "image_shape": (
        lambda c: (
            c["image_shape"] is None
            or (_is_sides(c["image_shape"]) and math.prod(c["image_shape"]) == c["sizes"][0])
        ),
        "nothing, or sides whose product is the first width",
    ),
    "output": (lambda c: c["output"] in OUTPUTS, f"one of {', '.join(OUTPUTS)}"),
    "dropout": (
        lambda c: _is_list(c["dropout"], float) and len(c["dropout"]) == 2 and 0 <= min(c["dropout"]),
        "two rates from 0 to below 1",
    ),
    "class_names": (
        lambda c: (
            c["class_names"] is None
            or (
                _is_list(c["class_names"], str)
                and len(c["class_names"]) == n_classes(c.get("output", "softmax"), c["sizes"][-1])
            )
        ),
        "nothing, or a name for each class",
    ),
    "activations": (
        lambda c: (
            _is_list(c["activations"], str)
            and len(c["activations"]) == len(c["sizes"]) - 2
            and set(c["activations"]) <= set(ACTIVATIONS)
        ),
        f"one for each hidden layer, of {', '.join(ACTIVATIONS)}",
    ),
    "init": (lambda c: isinstance(c["init"], str) and c["init"] in INITS, f"one of {', '.join(INITS)}"),
}


def _shapes(sizes: Sequence[int]) -> dict[str, tuple[int, ...]]:
    pairs = enumerate(zip(sizes[:-1], sizes[1:], strict=True))
    weights_and_biases = [((f"layers.{i}.weight", pair), (f"layers.{i}.bias", pair[1:])) for i, pair in pairs]
    return dict(entry for layer in weights_and_biases for entry in layer)


def _check_kind(path: str | os.PathLike, name: str, found: tuple, expected: tuple) -> None:
    _require(found == expected, path, f"{name} of {_kind(*found)}", _kind(*expected))


def _kind(dtype: str, *shape: int) -> str:
    return f"{dtype} {shape}"


def _check_finite(path: str | os.PathLike, name: str, w: np.ndarray) -> None:
    _require(bool(np.isfinite(w).all()), path, f"{name} with infinite or NaN values", "finite weights")


def _require(fact: bool, path: str | os.PathLike, found: str, expected: str) -> None:
    if not fact:
        raise ValueError(f"{path}: found {found[:200]}, expected {expected[:200]}")
