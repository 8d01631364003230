"""Model files: safetensors, checked as they are read."""

import contextlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from fastmlp.atomic import file_name, safe_write
from fastmlp.checks import check_config
from fastmlp.config import DEFAULTS, Config

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
        _require(key not in config or holds(config[key]), path, f"{key} {config.get(key)!r}", expected)
    given = {key: tuple(value) if isinstance(value, list) else value for key, value in config.items()}
    whole = _defaults(given["sizes"]) | given
    try:
        check_config(*(whole[name] for name in Config._fields))
    except ValueError as error:
        text = str(error)  # of any length where numbers or names are
        shown = text if len(text) < 400 else f"{text[:180]} … {text[-180:]}"
        raise ValueError(f"{path}: found what no model is made with: {shown}") from None
    return whole


def _defaults(sizes: Sequence[int]) -> dict[str, Any]:
    return DEFAULTS | {"activations": (DEFAULTS["activations"],) * (len(sizes) - 2)}


def _is_list(values: Any, kind: type) -> bool:
    return isinstance(values, list) and all(type(v) is kind for v in values)


def _is_widths(values: Any) -> bool:
    return _is_list(values, int) and len(values) >= 2 and all(0 < v < 2**31 for v in values)


# the types that JSON has for what `check_config` then looks into
_RULES: dict[str, tuple[Callable[[Any], bool], str]] = {
    "sizes": (_is_widths, "two or more positive widths"),
    "class": (lambda v: isinstance(v, str), "the name of a class"),
    "dtype": (lambda v: isinstance(v, str) and v in _CODES, "float32 or float64"),
    "scale": (lambda v: type(v) in (int, float) or _is_list(v, float), "a number, or one for each input"),
    "center": (lambda v: v is None or v == "mean" or _is_list(v, float), "nothing, mean, or numbers"),
    "image_shape": (lambda v: v is None or _is_list(v, int), "nothing, or the sides of an image"),
    "output": (lambda v: isinstance(v, str), "a name"),
    "dropout": (lambda v: _is_list(v, float) and len(v) == 2, "two rates"),
    "class_names": (lambda v: v is None or _is_list(v, str), "nothing, or names"),
    "activations": (lambda v: _is_list(v, str), "names"),
    "init": (lambda v: isinstance(v, str), "a name"),
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
