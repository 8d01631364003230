"""The loader, which prepares a data set once and says in what order its samples come."""

import operator
import os
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .inputs import prepare_inputs
from .labels import prepare_labels

Seed = int | Sequence[int] | np.random.Generator | None

_SKIP_BELOW = 0.5  # density under which masks are thought to pay; a guess until it is measured


def epoch_order(n: int, seed: Seed) -> NDArray[np.int64]:
    """Draw the order in which an epoch visits n samples: a uniform permutation, int64 (n,).

    Parameters
    ----------
    n : number of samples
    seed : as for `numpy.random.default_rng`: an int, a sequence of ints, a Generator, or None
    """
    return np.random.default_rng(seed).permutation(n).astype(np.int64, copy=False)


def create_batches(
    X: ArrayLike, y: ArrayLike, batch_size: int, shuffle: bool = False, seed: Seed = None
) -> Iterator[tuple[NDArray[Any], NDArray[Any]]]:
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


class Facts(NamedTuple):
    """What one pass over a data set found; a model compares itself with it in constant time."""

    n_samples: int
    n_features: int
    finite: bool  # all of X
    largest: float  # |x|
    density: float  # share of X that is not 0
    n_classes: int | None  # columns of y; None for integer labels
    min_label: int | None  # None for rows
    max_label: int | None


class DataLoader:
    """A data set prepared once for training, and the order in which its samples come.

    Iterating gives (X_batch, y_batch) as fresh arrays, X in its own dtype. Each pass is counted when it
    begins, by `iter`, `batches`, `next_order` or a training function alike; with shuffle, pass e of `seed=s`
    visits the samples in `epoch_order(n, [s, e])`, e from 0. Pickles and copies go on from the same pass.

    Parameters
    ----------
    X : (n, n_features), real numbers; uint8, float32 and float64 are not copied in any layout, and must not
        change while the loader lives
    y : (n,) integers from 0 up, or (n, n_classes) rows that sum to 1; copied
    batch_size : samples a batch
    shuffle : visit the samples in a new random order each pass
    seed : an int or a sequence of ints; a Generator, whose next permutation each pass takes; None to draw one
    drop_last : leave out the last batch where it would be smaller

    Attributes
    ----------
    X, y : the prepared arrays; y is int64 (n,) or float64 (n, n_classes)
    facts : Facts
    masks : uint64, (n, ceil(n_features / 64)), a bit set where X is not 0; or (0, 0), skipping no zeros.
        FASTMLP_SKIP_ZEROS, read when the loader is made, decides: on, off, or auto, which goes by density

    Raises
    ------
    ValueError
        X or y is bad, empty, or they differ in length; batch_size is below 1 or leaves no batch; the seed is
        negative; FASTMLP_SKIP_ZEROS is none of its values.
    TypeError
        batch_size or seed is of a wrong type.
    """

    def __init__(
        self,
        X: ArrayLike,
        y: ArrayLike,
        batch_size: int = 128,
        shuffle: bool = False,
        seed: Seed = None,
        drop_last: bool = False,
    ) -> None:
        self.X = prepare_inputs(X)
        if self.X.size == 0:
            raise ValueError(f"X has shape {self.X.shape}, expected at least one sample and one feature")
        self.y = prepare_labels(y, len(self.X))
        self.batch_size = _check_batch_size(batch_size)
        self.shuffle = shuffle
        self.drop_last = drop_last
        if len(self) == 0:
            raise ValueError(f"drop_last leaves no batch: {len(self.X)} samples, batch_size {batch_size}")
        self._seed = _check_seed(seed)
        self._n_passes = 0
        self.facts = _find_facts(self.X, self.y)
        self.masks = _make_masks(self.X, self.facts.density)

    def __len__(self) -> int:
        """Return the number of batches a pass."""
        whole, rest = divmod(len(self.X), self.batch_size)
        return whole + (rest > 0 and not self.drop_last)

    def __iter__(self) -> Iterator[tuple[NDArray[Any], NDArray[Any]]]:
        """Begin a pass that gives fresh arrays."""
        return self.batches()

    def next_order(self) -> NDArray[np.int64]:
        """Begin a pass: return its samples in order, int64, without those that `drop_last` leaves out."""
        n = len(self.X)
        order = epoch_order(n, self._pass_seed()) if self.shuffle else np.arange(n, dtype=np.int64)
        self._n_passes += 1
        return order[: len(self) * self.batch_size]

    def batches(self, reuse: bool = False) -> Iterator[tuple[NDArray[Any], NDArray[Any]]]:
        """Begin a pass over (X_batch, y_batch).

        Parameters
        ----------
        reuse : give views of one pair of arrays, each batch overwriting the one before
        """
        order = (
            self.next_order()
        )  # here, not in the generator: a pass counts before its first batch is asked for
        return self._gather_batches(order, reuse)

    def _gather_batches(
        self, order: NDArray[np.int64], reuse: bool
    ) -> Iterator[tuple[NDArray[Any], NDArray[Any]]]:
        n_rows = min(self.batch_size, len(order))
        buffers = [np.empty((n_rows, *a.shape[1:]), a.dtype) for a in (self.X, self.y)] if reuse else None
        for start in range(0, len(order), self.batch_size):
            rows = order[start : start + self.batch_size]
            if buffers is None:
                yield self.X[rows], self.y[rows]
            else:
                yield _gather(self.X, rows, buffers[0]), _gather(self.y, rows, buffers[1])

    def _pass_seed(self) -> Sequence[int] | np.random.Generator:
        if isinstance(self._seed, np.random.Generator):
            return self._seed
        return [*self._seed, self._n_passes]


def _check_batch_size(batch_size: int) -> int:
    try:
        checked = operator.index(batch_size)
    except TypeError:
        raise TypeError(f"batch_size is {batch_size!r}, expected a whole number") from None
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


def _find_facts(X: NDArray[Any], y: NDArray[Any]) -> Facts:
    from fastmlp import kernels  # late, so that files can be read without Numba

    finite, largest, density = kernels.scan(X)
    integers = y.ndim == 1
    return Facts(
        n_samples=X.shape[0],
        n_features=X.shape[1],
        finite=bool(finite),
        largest=float(largest),
        density=float(density),
        n_classes=None if integers else y.shape[1],
        min_label=int(y.min()) if integers else None,
        max_label=int(y.max()) if integers else None,
    )


def _make_masks(X: NDArray[Any], density: float) -> NDArray[np.uint64]:
    from fastmlp import kernels

    if not _skips_zeros(density):
        return np.empty((0, 0), np.uint64)
    masks = np.empty((X.shape[0], -(-X.shape[1] // 64)), np.uint64)
    kernels.zero_masks(X, masks)
    return masks


def _skips_zeros(density: float) -> bool:
    asked = os.environ.get("FASTMLP_SKIP_ZEROS") or "auto"
    if asked not in ("auto", "on", "off"):
        raise ValueError(f"FASTMLP_SKIP_ZEROS is {asked!r}; set it to auto, on or off, or unset it")
    return asked == "on" or asked == "auto" and density < _SKIP_BELOW


def _gather(source: NDArray[Any], rows: NDArray[np.int64], buffer: NDArray[Any]) -> NDArray[Any]:
    batch = buffer[: len(rows)]
    if source.flags.c_contiguous:
        # the default mode would make a copy of the batch
        np.take(source, rows, axis=0, out=batch, mode="clip")
    else:
        batch[...] = source[rows]  # np.take would make a copy of the whole source
    return batch
