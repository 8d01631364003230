"""Labels as the kernels take them, and weights of rows."""

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastmlp.config import OUTPUTS
from fastmlp.numbers import whole

from .inputs import as_array

_SUM_TOLERANCE = 1e-6  # of a row of probabilities, well above the rounding of float32
_HALF = np.finfo(np.float16)
_NUMBERS = "numbers to be predicted want output='identity'"
_RENUMBERED = "np.unique(np.ravel({}), return_inverse=True)[1]"
_EXCLUSIVE = "classes that exclude each other want output='softmax'"
_TWO = f"two classes want output='logistic', or two outputs and labels 0 and 1; {_NUMBERS}"  # of one output


def to_one_hot(labels: ArrayLike, n_classes: int) -> NDArray[np.float32]:
    """Make of each label a row that is 1 in the label's column and 0 elsewhere.

    Parameters
    ----------
    labels : (batch,) integers from 0 to n_classes - 1
    n_classes : number of columns

    Returns
    -------
    one_hot : float32, (batch, n_classes)

    Raises
    ------
    ValueError
        The labels are not of that kind, or one is not below n_classes, which is no whole number from 1 up.
    """
    n_classes = whole("n_classes", n_classes, 1)
    if n_classes >= 2**31:
        raise ValueError(f"n_classes is {n_classes}, expected a number below 2**31")
    given = as_array(labels, "labels")
    y = prepare_labels(given, len(given))
    if y.ndim == 2 and y.shape[1] != 1:
        remedy = _call_for_labels(y, "labels")
        raise ValueError(f"labels have shape {y.shape}, expected (batch,) integers; try {remedy}")
    y = _classes(y, n_classes, "labels")
    one_hot = np.zeros((len(y), n_classes), np.float32)
    one_hot[np.arange(len(y)), y] = 1
    return one_hot


def prepare_labels(y: ArrayLike, n: int) -> NDArray[Any]:
    """Copy y into labels or targets of which `labels_for` makes what a model's kernels take.

    Parameters
    ----------
    y : (n,) integers or other real numbers, or (n, k) real numbers; finite
    n : number of samples that y belongs to

    Returns
    -------
    labels : int64 (n,) of integers and booleans of one dimension, float64 (n,) or (n, k) of all else, but
        that half precision stays as it is; never shares memory with y

    Raises
    ------
    ValueError
        y is of another shape, kind or length, or an element is masked, not finite, or too large for int64.
    """
    array = as_array(y, "y")
    if array.ndim > 2 or array.shape[1:] == (0,):
        raise ValueError(f"y has shape {array.shape}, expected (n,) integers or (n, n_classes) rows")
    if len(array) != n:
        raise ValueError(f"y has {len(array)} labels, expected {n}, one for each row of X")
    if array.ndim == 1 and array.dtype.kind != "f":
        labels = np.array(array, dtype=np.int64)
        _refuse(array, labels != array, "integers that int64 holds")
        return labels
    is_half = array.dtype.kind == "f" and array.dtype.itemsize == _HALF.dtype.itemsize
    with np.errstate(over="ignore"):  # what float64 does not hold is refused
        rows = np.array(array, dtype=np.float16 if is_half else np.float64, order="C")
    _refuse(rows, ~np.isfinite(rows), "finite numbers")
    return rows


def labels_for(y: NDArray[Any], output: str, n_out: int) -> NDArray[Any]:
    """Make of prepared labels what the kernels of a model take.

    ========  =============================================================================================
    softmax   (n,) integers from 0 to n_out - 1, or (n, n_out) probabilities, rows that sum to 1 within 1e-6,
              or within the rounding of half precision where they are of it
    logistic  (n, n_out) numbers from 0 to 1, the probability of each label
    identity  (n, n_out) numbers
    exp       (n, n_out) numbers from 0 up
    ========  =============================================================================================

    All but softmax take (n,) for (n, 1) where n_out is 1.

    Parameters
    ----------
    y : what `prepare_labels` gave, not changed
    output : softmax, logistic, identity or exp
    n_out : width of the output

    Returns
    -------
    labels : int64 (n,), for softmax only; or float64 (n, n_out), C-ordered; may be y or a view of it

    Raises
    ------
    ValueError
        y is not of the kind that the output takes.
    """
    if output not in OUTPUTS:
        raise ValueError(f"output is {output!r}, expected one of {', '.join(OUTPUTS)}")
    if output != "softmax":
        return _targets(y, output, n_out)
    if y.ndim == 2 and (y.shape[1] > 1 or n_out == 1):
        return _shares(y, n_out)
    return _classes(y, n_out)


def _classes(y: NDArray[Any], n_classes: int, name: str = "y") -> NDArray[np.int64]:
    """Give integer labels from 0 to n_classes - 1."""
    labels = y.ravel()
    if y.dtype.kind == "f":
        _refuse(labels, labels != np.floor(labels), f"integer labels; {_NUMBERS}", name)
    wrong = (labels < 0) | (labels >= n_classes)
    if wrong.any():
        found, remedy = len(np.unique(labels)), f"try {name} = {_RENUMBERED.format(name)}"
        remedy += f" and {found} classes" if found > n_classes else ""
        raise ValueError(
            f"{name} has the label {int(labels[wrong][0])}, expected 0 to {n_classes - 1} of {n_classes} "
            f"classes; {_TWO if n_classes == 1 else remedy}"
        )
    if y.ndim == 2 or y.dtype.kind == "f":
        what = f"has shape {y.shape}, a column" if y.ndim == 2 else "holds floats"
        raise ValueError(f"{name} {what}, expected (n,) integer labels; try {_call_for_labels(y, name)}")
    return y


def _call_for_labels(y: NDArray[Any], name: str = "y") -> str:
    """Give a call that makes integer labels of what is none: of rows the class with the largest share."""
    is_rows = y.ndim == 2 and y.shape[1] > 1
    return f"np.argmax({name}, axis=1)" if is_rows else f"np.ravel({name}).astype(int)"


def _shares(y: NDArray[Any], n_classes: int) -> NDArray[np.float64]:
    # rounding a share errs by half of eps at most, dividing by a rounded sum too; the smallest may round to 0
    half = float(_HALF.eps) + n_classes * float(_HALF.smallest_subnormal)
    tolerance = half if y.dtype == np.float16 else _SUM_TOLERANCE
    if y.shape[1] != n_classes:
        raise ValueError(f"y has {y.shape[1]} columns, expected {n_classes}, the model's classes")
    y = np.asarray(y, np.float64)
    sums = y.sum(axis=1)
    legal = np.abs(sums - 1) <= tolerance
    between = f"probabilities, none below 0 or above 1; {_TWO if n_classes == 1 else _NUMBERS}"
    _refuse(y, (y < 0) | (y > 1 + tolerance), between)
    if not legal.all():
        i, remedy = int(legal.argmin()), "divide each row by its sum"
        if n_classes == 1:
            remedy = _TWO
        elif not sums.all():
            i = int(sums.argmin())
            remedy = "leave out the rows of zeros, or have output='logistic', of any number of labels a row"
        elif ((y == 0) | (y == 1)).all():
            remedy = "several labels a row want output='logistic'"
        raise ValueError(f"y[{i}] sums to {sums[i]}, expected 1; {remedy}")
    return y


def warn_of_absent_classes(y: NDArray[Any], n_out: int) -> None:
    """Warn where fewer than half of a softmax's classes occur among labels that `labels_for` gave.

    Parameters
    ----------
    y : int64 (n,) or float64 (n, n_out), not changed
    n_out : number of classes

    Warns
    -----
    UserWarning
        The rest of the outputs would be trained for nothing.
    """
    n_found = int(np.count_nonzero(np.bincount(y) if y.ndim == 1 else y.any(axis=0)))
    if 2 * n_found < n_out:
        rest = f"y = {_RENUMBERED.format('y')}" if y.ndim == 1 else "y without its columns of zeros"
        warnings.warn(
            f"y has {n_found} of the model's {n_out} classes, whose other outputs are trained for nothing; "
            f"try {rest}, and a last width of {n_found}",
            stacklevel=3,
        )


def _targets(y: NDArray[Any], output: str, n_out: int) -> NDArray[np.float64]:
    if y.ndim == 1 and n_out > 1:
        remedy = f"; {_EXCLUSIVE}" if output == "logistic" else ""
        raise ValueError(f"y has shape {y.shape}, expected (n, {n_out}), a column for each output{remedy}")
    if y.ndim == 2 and y.shape[1] != n_out:
        raise ValueError(f"y has {y.shape[1]} columns, expected {n_out}, the model's outputs")
    if output == "logistic":
        expected = "0 or 1" if y.dtype.kind == "i" else "probabilities, none below 0 or above 1"
        wrong = (y < 0) | (y > 1)
        if n_out == 1 and wrong.any() and (y == np.floor(y)).all():
            few = len(np.unique(y)) <= 2  # such as -1 and 1
            expected += f"; try y = {_RENUMBERED.format('y')}" if few else f"; {_EXCLUSIVE}"
        _refuse(y, wrong, expected)
    if output == "exp":
        _refuse(y, y < 0, "none below 0")
    return np.ascontiguousarray(y.reshape(len(y), n_out), np.float64)


def prepare_weights(sample_weight: ArrayLike, n: int, all_0: bool = False) -> NDArray[np.float64]:
    """Copy weights of rows: float64 (n,), each finite and from 0 up, their sum finite and above 0.

    Parameters
    ----------
    sample_weight : (n,) real numbers
    n : number of samples that the weights belong to
    all_0 : whether their sum may be 0

    Raises
    ------
    ValueError
        The weights are not of that kind.
    """
    given = as_array(sample_weight, "sample_weight")
    if given.shape != (n,):
        remedy = "; try np.ravel(sample_weight)" if given.size == n else ""
        raise ValueError(
            f"sample_weight has shape {given.shape}, expected ({n},), one for each row of X{remedy}"
        )
    with np.errstate(over="ignore"):
        weights = np.array(given, dtype=np.float64)
        total = weights.sum()
    _refuse(weights, ~(np.isfinite(weights) & (weights >= 0)), "a finite number from 0 up", "sample_weight")
    if total == np.inf or total == 0 and not all_0:
        raise ValueError(f"sample_weight sums to {total}, expected a finite number above 0")
    return weights


def class_weights(y: ArrayLike, class_weight: str | Mapping[int, float]) -> NDArray[np.float64]:
    """Give each sample the weight of its class, for `DataLoader`'s sample_weight.

    Parameters
    ----------
    y : (n,) integer labels
    class_weight : "balanced", n / (classes found in y * samples of the class), so that the classes weigh
        alike; or a weight for each class, 1 where it has none

    Returns
    -------
    weights : float64 (n,)

    Raises
    ------
    ValueError
        y holds no integers of one dimension; class_weight is neither, names a class that y lacks, or a weight
        is not finite or below 0.
    """
    labels = prepare_labels(y, len(np.atleast_1d(y)))
    if labels.ndim != 1 or labels.dtype.kind != "i":
        raise ValueError(
            f"y is {labels.dtype} of shape {labels.shape}, class_weight wants (n,) integers; "
            f"try {_call_for_labels(labels)}"
        )
    classes, of_sample, counts = np.unique(labels, return_inverse=True, return_counts=True)
    if isinstance(class_weight, str) and class_weight == "balanced":
        return (len(labels) / (len(classes) * counts))[of_sample]
    if not isinstance(class_weight, Mapping):
        raise ValueError(f"class_weight is {class_weight!r}, expected 'balanced' or a weight for each class")
    unknown = [name for name in class_weight if name not in set(classes.tolist())]
    if unknown:
        raise ValueError(f"class_weight names {unknown}, which y lacks; it has {classes.tolist()}")
    given = as_array([class_weight.get(name, 1) for name in classes.tolist()], "class_weight")
    weights = given.astype(np.float64)
    legal = np.isfinite(weights) & (weights >= 0)
    if not legal.all():
        i = int(legal.argmin())
        raise ValueError(f"class_weight[{classes[i]}] is {weights[i]}, expected a finite number from 0 up")
    return weights[of_sample]


def _refuse(values: NDArray[Any], wrong: NDArray[np.bool], expected: str, name: str = "y") -> None:
    """Raise ValueError for the first row that has something wrong."""
    if wrong.any():
        i = int(wrong.reshape(len(wrong), -1).any(axis=1).argmax())
        raise ValueError(f"{name}[{i}] is {values[i]}, expected {expected}")
