"""The loader, which prepares a data set once and says in what order its samples come."""

import operator
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastmlp import kernels
from fastmlp.kernels.core.machine import skip_zeros
from fastmlp.numbers import flag, generator
from fastmlp.ops import Operations, check_ops

from .inputs import prepare_inputs
from .labels import labels_for, prepare_labels, prepare_weights

Seed = int | Sequence[int] | np.random.Generator | None

_NO_MASKS = np.empty((0, 0), np.uint64)
_MADE_ANEW: dict[str, Any] = {"_prepared": None, "_coded": None, "_n_epochs": 0, "_scaled": None}  # by copies
_SKIP_BELOW = 0.5  # density under which masks are thought to pay; a guess until it is measured


def epoch_order(n: int, seed: Seed) -> NDArray[np.int64]:
    """Draw the order in which an epoch visits n samples: a uniform permutation, int64 (n,).

    Parameters
    ----------
    n : number of samples
    seed : as for `numpy.random.default_rng`: an int, a sequence of ints, a Generator, or None
    """
    return generator(seed).permutation(n).astype(np.int64, copy=False)


def create_batches(
    X: ArrayLike, y: ArrayLike, batch_size: int, shuffle: bool = False, seed: Seed = None
) -> Iterator[tuple[NDArray[Any], ...]]:
    """Generate the batches of one pass over a data set; the last may be smaller.

    Parameters
    ----------
    X, y, batch_size, shuffle, seed : as for `DataLoader`

    Returns
    -------
    batches : generator of (X_batch, y_batch), fresh arrays

    Raises
    ------
    ValueError, TypeError
        As `DataLoader` does, at the call.
    """
    return DataLoader(X, y, batch_size, shuffle, seed).batches()


@dataclass(frozen=True)
class Facts:
    """What one pass over a data set found; a model compares itself with it in constant time."""

    n_features: int
    finite: bool  # all of X
    largest: float  # |x|
    density: float  # share of X that is not 0
    n_classes: int | None  # columns of y; None where it has one dimension
    max_label: int | None  # of integer labels; None for all else


@dataclass(frozen=True)
class Prepared:
    """What is made of a data set before it is trained on."""

    facts: Facts
    masks: NDArray[np.uint64]  # of X, or (0, 0)


class DataLoader:
    """A data set prepared once for training, and the order in which its samples come.

    Iterating gives (X_batch, y_batch) as fresh arrays, X in its own dtype, and the batch's weights as a third
    where samples have them. Each pass is counted when it
    begins, by `iter`, `batches`, `next_order` or a training function alike; with shuffle, pass e of `seed=s`
    visits the samples in `epoch_order(n, [s, e])`, e from 0. Pickles and copies go on from the same pass.

    Parameters
    ----------
    X : (n, n_features), real numbers; uint8, float32 and float64 are not copied in any layout, and must not
        change while the loader lives
    y : (n,) or (n, k) finite labels or targets, copied; `labels_for` says which of them a model takes
    batch_size : samples a batch
    shuffle : visit the samples in a new random order each pass
    seed : an int or a sequence of ints; a Generator, whose next permutation each pass takes; None to draw one
    drop_last : leave out the last batch where it would be smaller
    sample_weight : (n,) weights of the samples, copied: each finite and from 0 up, their sum finite and above
        0; the loss of a batch is the mean of its samples' losses by them. None weighs all alike

    Attributes
    ----------
    X, y : the prepared arrays; y is int64 (n,), or float64 or float16 (n,) or (n, k), read-only
    weights : float64 (n,), read-only, or None
    batch_size, shuffle, drop_last : as they were given
    facts : Facts
    masks : uint64, (n, ceil(n_features / 64)), read-only, a bit set where X is not 0; or (0, 0), skipping no
        zeros. FASTMLP_SKIP_ZEROS, read when the loader is made, decides: on, off, or auto, which goes by
        density

    No attribute can be set. The first model that trains makes facts and masks, with its own operations.

    Raises
    ------
    ValueError
        X, y or sample_weight is bad or empty, or they differ in length; batch_size is below 1 or leaves no
        batch; shuffle or drop_last is no flag; the seed is negative; FASTMLP_SKIP_ZEROS is bad.
    TypeError
        batch_size or seed is of a wrong type.
    """

    _is_drawn = False  # of older pickles, which do not say

    def __init__(
        self,
        X: ArrayLike,
        y: ArrayLike,
        batch_size: int = 128,
        shuffle: bool = False,
        seed: Seed = None,
        drop_last: bool = False,
        sample_weight: ArrayLike | None = None,
    ) -> None:
        self._X = prepare_inputs(X).view()  # whose shape nobody else can change
        if self._X.size == 0:
            raise ValueError(f"X has shape {self._X.shape}, expected at least one sample and one feature")
        self._y = prepare_labels(y, len(self._X))
        self._weights = None if sample_weight is None else prepare_weights(sample_weight, len(self._X))
        self._labels: dict[tuple[str, int], NDArray[Any]] = {}
        self._scaled: tuple[Any, NDArray[Any]] | None = None
        self._batch_size = _check_batch_size(batch_size)
        self._shuffle = flag("shuffle", shuffle)
        self._drop_last = flag("drop_last", drop_last)
        if len(self) == 0:
            raise ValueError(f"drop_last leaves no batch: {len(self._X)} samples, batch_size {batch_size}")
        self._seed, self._is_drawn = _check_seed(seed), seed is None
        self._n_passes = 0
        self._skip_zeros = skip_zeros()
        self._prepared: Prepared | None = None
        self._coded: tuple[NDArray[Any], ...] | None = None  # empty where X has no codes
        self._n_epochs = 0  # that anybody has trained
        self._protect()

    @property
    def X(self) -> NDArray[Any]:
        """The prepared inputs."""
        return self._X.view()

    @property
    def y(self) -> NDArray[Any]:
        """The prepared labels."""
        return self._y.view()

    @property
    def weights(self) -> NDArray[np.float64] | None:
        """The weights of the samples; None where all weigh alike."""
        return None if self._weights is None else self._weights.view()

    @property
    def batch_size(self) -> int:
        """Samples a batch."""
        return self._batch_size

    @property
    def shuffle(self) -> bool:
        """Whether each pass has a new random order."""
        return self._shuffle

    @property
    def drop_last(self) -> bool:
        """Whether a smaller last batch is left out."""
        return self._drop_last

    @property
    def facts(self) -> Facts:
        """What is known of X and y; found by the kernels if nobody has asked before."""
        return self.prepare(kernels).facts

    @property
    def masks(self) -> NDArray[np.uint64]:
        """Where X is not 0; made as the facts are."""
        return self.prepare(kernels).masks.view()

    def prepare(
        self, ops: Operations, scanned: tuple[bool, float, float] | None = None, n_epochs: int = 1
    ) -> Prepared:
        """Give facts and masks, made by these operations unless they have been made before.

        `scanned` is what `ops.scan(X)` has told already; n_epochs is how many are going to be trained.
        """
        if self._prepared is None:
            ops = check_ops(ops)
            facts, masks = _find_facts(self._X, self._y, scanned or ops.scan(self._X)), _NO_MASKS
            if self._skip_zeros == "on" or self._skip_zeros == "auto" and facts.density < _SKIP_BELOW:
                masks = np.empty((len(self._X), -(-self._X.shape[1] // 64)), np.uint64)
                if n_epochs > 1 and self._X.dtype != np.uint8:
                    self._code(ops, masks)
                else:
                    ops.zero_masks(self._X, masks)
            masks.flags.writeable = False
            self._prepared = Prepared(facts, masks)
        return self._prepared

    def coded(self, ops: Operations, n_epochs: int) -> tuple[NDArray[Any], ...]:
        """Give X as bytes and what each of them stands for, when that many epochs more are trained.

        Nothing where X is not sparse floats of few values, or is trained on only once: that pays for none.
        """
        self._n_epochs += n_epochs
        if self._coded is None and self._n_epochs > 1:
            masks = self.prepare(ops).masks
            if masks.size and self._X.dtype != np.uint8:
                self._code(ops, np.empty_like(masks))
            else:
                self._coded = ()
        return self._coded or ()

    def _code(self, ops: Operations, masks: NDArray[np.uint64]) -> None:
        coded = np.zeros(self._X.shape, np.uint8), np.zeros(256, self._X.dtype)
        self._coded = coded if ops.byte_codes(self._X, masks, *coded) else ()
        for array in self._coded:
            array.flags.writeable = False

    def labels_for(self, output: str, n_out: int) -> NDArray[Any]:
        """Give y as the kernels of a model take it, read-only; once it fits, again in constant time.

        Parameters
        ----------
        output : softmax, logistic, identity or exp
        n_out : width of the output

        Raises
        ------
        ValueError
            y is not of the kind that the output takes: see `fastmlp.data.labels_for`.
        """
        kind = output, n_out
        if kind not in self._labels:
            self._labels[kind] = labels_for(self._y, output, n_out)
            self._labels[kind].flags.writeable = False
        return self._labels[kind].view()

    def scaled(self, scale: Any) -> NDArray[Any]:
        """Give X * scale in the dtype of scale, a number or one a column, read-only; the last is kept."""
        kind = scale.dtype, scale.tobytes()
        if self._scaled is None or self._scaled[0] != kind:
            made = self._X.astype(scale.dtype)
            made *= scale
            made.flags.writeable = False
            self._scaled = kind, made
        return self._scaled[1].view()

    def __len__(self) -> int:
        """Return the number of batches a pass."""
        whole, rest = divmod(len(self._X), self._batch_size)
        return whole + (rest > 0 and not self._drop_last)

    def __iter__(self) -> Iterator[tuple[NDArray[Any], ...]]:
        """Begin a pass that gives fresh arrays."""
        return self.batches()

    def next_order(self) -> NDArray[np.int64]:
        """Begin a pass: return its samples in order, int64, without those that `drop_last` leaves out."""
        n = len(self._X)
        order = epoch_order(n, self._pass_seed()) if self._shuffle else np.arange(n, dtype=np.int64)
        self._n_passes += 1
        return order[: len(self) * self._batch_size]

    def batches(self) -> Iterator[tuple[NDArray[Any], ...]]:
        """Begin a pass over (X_batch, y_batch) or (X_batch, y_batch, weights), fresh arrays."""
        order = self.next_order()  # here, for a pass counts before its first batch is asked for
        starts = range(0, len(order), self._batch_size)
        batches = (order[start : start + self._batch_size] for start in starts)
        arrays = (self._X, self._y) if self._weights is None else (self._X, self._y, self._weights)
        return (tuple(array[rows] for array in arrays) for rows in batches)

    def position(self) -> tuple[list[int] | None, bool, int]:
        """Give the seed, None where it is a Generator, whether it was drawn, and the next pass's number."""
        return (
            None if isinstance(self._seed, np.random.Generator) else self._seed,
            self._is_drawn,
            self._n_passes,
        )

    def go_to(self, n_passes: int, seed: Sequence[int] | None = None) -> None:
        """Have the next pass be that number's, of another seed where one is given."""
        self._n_passes = n_passes
        self._seed = self._seed if seed is None else _check_seed(seed)

    def _pass_seed(self) -> Sequence[int] | np.random.Generator:
        if isinstance(self._seed, np.random.Generator):
            return self._seed
        return [*self._seed, self._n_passes]

    def __getstate__(self) -> dict[str, Any]:
        """Give what a copy needs to go on from the same pass; it makes all else anew."""
        return {**self.__dict__, "_labels": {}, **_MADE_ANEW}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take over such a state, or one of 0.1, whose attributes could be set and held facts and masks."""
        if "masks" in state:
            names = ("X", "y", "batch_size", "shuffle", "drop_last", "_seed", "_n_passes")
            skip_zeros = "on" if state["masks"].size else "off"
            state = {f"_{name.lstrip('_')}": state[name] for name in names}
            state |= {"_skip_zeros": skip_zeros}
        self.__dict__.update({"_weights": None, "_labels": {}, **_MADE_ANEW} | state)  # older ones have none
        self._protect()

    def _protect(self) -> None:
        for array in (self._y, self._weights):
            if array is not None:
                array.flags.writeable = False


def _check_batch_size(batch_size: int) -> int:
    try:
        checked = operator.index(batch_size)
    except TypeError:
        checked = None
    if checked is None or isinstance(batch_size, bool):  # True would be batches of one
        raise TypeError(f"batch_size is {batch_size!r}, expected a whole number")
    if checked < 1:
        raise ValueError(f"batch_size is {batch_size}, expected at least 1")
    return checked


def _check_seed(seed: Seed) -> list[int] | np.random.Generator:
    """Give the numbers that a pass appends its own to; None draws one now, so that a copy goes on alike."""
    if isinstance(seed, np.random.Generator):
        return seed
    try:
        drawn = np.random.SeedSequence().entropy if seed is None else seed
        numbers = [operator.index(number) for number in np.atleast_1d(np.asarray(drawn, object))]
    except TypeError:
        raise TypeError(
            f"seed is {seed!r}, expected an int, a sequence of ints, a Generator or None"
        ) from None
    if min(numbers, default=0) < 0:
        raise ValueError(f"seed is {seed!r}, expected no number below 0")
    return numbers


def _find_facts(X: NDArray[Any], y: NDArray[Any], scanned: tuple[bool, float, float]) -> Facts:
    finite, largest, density = scanned
    return Facts(
        n_features=X.shape[1],
        finite=bool(finite),
        largest=float(largest),
        density=float(density),
        n_classes=None if y.ndim == 1 else y.shape[1],
        max_label=int(y.max()) if y.dtype.kind == "i" else None,
    )
