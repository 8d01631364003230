"""What is measured: networks, the tile and every kernel."""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastmlp.data import DataLoader
from fastmlp.kernels.core import peak
from fastmlp.model import MLP

from .race import Goal

SIZES, BATCH = (784, 128, 10), 128
LR = 1e-6  # so small that the hundreds of epochs of a race leave a network as it was
NO_MASKS = np.empty((0, 0), np.uint64)


@dataclass(frozen=True)
class Network:
    """A network, to be trained on random numbers."""

    sizes: tuple[int, ...]
    batch: int
    rows: int
    goals: dict[int, Goal] = field(default_factory=dict)  # by threads
    all_threads_only: bool = False

    @property
    def name(self) -> str:
        """Widths and batch size."""
        return f"{'-'.join(map(str, self.sizes))}, batch {self.batch}"

    @property
    def flop(self) -> int:
        """Floating-point operations of an epoch."""
        return epoch_flop(self.sizes, self.rows)


WIDE = {1: Goal(88, 94), 2: Goal(85, 92)}
NETWORKS = (
    Network(SIZES, BATCH, 5120, {1: Goal(86, 93), 2: Goal(80, 88)}),
    Network((784, 1024, 1024, 10), 256, 5120, WIDE),
    Network((784, 512, 512, 10), 128, 5120, WIDE),
    Network((4096, 4096, 4096, 64), 512, 2048, {2: Goal(75, 88)}, all_threads_only=True),
)


def epoch_flop(sizes: Sequence[int], rows: int) -> int:
    """Floating-point operations of training on so many rows.

    2 rows (2 sum n_in n_out + the same sum without the first layer), as the input needs no gradient.
    """
    products = [n_in * n_out for n_in, n_out in zip(sizes, sizes[1:], strict=False)]
    return 2 * rows * (2 * sum(products) + sum(products[1:]))


def random_loader(sizes: Sequence[int], batch: int, rows: int) -> DataLoader:
    """Shuffled rows of float32 from 0 to 1, none of them 0, with random labels."""
    rng = np.random.default_rng(0)
    X = rng.random((rows, sizes[0]), dtype=np.float32)
    return DataLoader(X, rng.integers(0, sizes[-1], rows), batch, shuffle=True, seed=0)


def unskipping(loader: DataLoader) -> DataLoader:
    """Take the masks from a loader, so that no zero is skipped."""
    loader.masks = NO_MASKS
    return loader


# --- tiles -----------------------------------------------------------------------------------------------


class Tiles(NamedTuple):
    """The arrays of the first layer's tiles, where they lie in training."""

    x: NDArray[Any]
    w: NDArray[Any]
    b: NDArray[Any]
    y: NDArray[Any]
    dy: NDArray[Any]

    @property
    def flop(self) -> int:
        """Floating-point operations of either product."""
        return 2 * len(self.x) * self.w.size

    def forward(self, times: int = 1) -> None:
        """Y = max(0, x @ w + b)."""
        peak.forward_tiles(self.x, self.w, self.b, self.y, times)

    def step(self, times: int = 1, lr: float = LR) -> None:
        """W -= lr * x.T @ dy."""
        peak.step_tiles(self.x, self.dy, self.w, self.w.dtype.type(lr), times)


def make_tiles() -> Tiles:
    """Fill them with random numbers, laid out as the epoch does."""
    model = MLP(SIZES, seed=0)
    model._reserve(BATCH)
    (w, b), (x, y, dy) = model._parameters()[0], model._activations(BATCH)[0]
    rng = np.random.default_rng(0)
    for array in (x, b, dy):
        array[...] = rng.standard_normal(array.shape)
    return Tiles(x, w, b, y, dy)


# --- kernels ---------------------------------------------------------------------------------------------


class Kernel(NamedTuple):
    """A call of a kernel, or of its twin, and the arrays that it writes."""

    call: Callable[[], Any]
    outputs: Sequence[NDArray[Any]]


class Case(NamedTuple):
    """A kernel at one size; `make` gives it of one of both back ends and in a dtype."""

    name: str
    flop: int
    make: Callable[[ModuleType, type], Kernel]


def kernel_cases(X: NDArray[Any]) -> list[Case]:
    """All kernels at the sizes of the notebook's network, and two at larger ones; X are real digits."""
    n_in, n_hidden, n_out = SIZES
    first, last, wide = 2 * BATCH * n_in * n_hidden, 2 * BATCH * n_hidden * n_out, 2 * 256 * 1024 * 1024

    def forward(name: str, batch: int, n_in: int, n_out: int, ops: ModuleType, dtype: type) -> Kernel:
        x, w, b, y = _normal(dtype, (batch, n_in), (n_in, n_out), (n_out,), (batch, n_out))
        return Kernel(functools.partial(getattr(ops, name), x, w, b, y), [y])

    def backward(
        name: str, batch: int, n_in: int, n_out: int, inner: bool, ops: ModuleType, dtype: type
    ) -> Kernel:
        x, w, y, dy, db = _normal(
            dtype, (batch, n_in), (n_in, n_out), (batch, n_out), (batch, n_out), (n_out,)
        )
        dx, dw = np.empty_like(x) if inner else None, np.empty_like(w)
        inputs = (x, w, y, dy) if "relu" in name else (x, w, dy)
        outputs = [dw, db] if dx is None else [dx, dw, db]
        return Kernel(functools.partial(getattr(ops, name), *inputs, dx, dw, db), outputs)

    def softmax(ops: ModuleType, dtype: type) -> Kernel:
        logits, dlogits = _normal(dtype, (BATCH, n_out), (BATCH, n_out))
        labels, losses = np.arange(BATCH) % n_out, np.empty(BATCH)
        return Kernel(lambda: ops.softmax_cross_entropy(logits, labels, dlogits, losses), [dlogits, losses])

    def step(ops: ModuleType, dtype: type) -> Kernel:
        w, dw = _normal(dtype, (n_in, n_hidden), (n_in, n_hidden))
        return Kernel(lambda: ops.sgd_step(w, dw, dtype(1e-3)), [w])

    def infer(ops: ModuleType, dtype: type) -> Kernel:
        model = MLP(SIZES, seed=0, dtype=dtype, ops=ops)
        (logits,) = _normal(dtype, (len(X), n_out))
        return Kernel(lambda: ops.infer(model._arena, model._table, X, model._scale, logits), [logits])

    def scan(ops: ModuleType, dtype: type) -> Kernel:
        facts = np.empty(3)
        return Kernel(lambda: facts.__setitem__(slice(3), ops.scan(X)), [facts])

    def zero_masks(ops: ModuleType, dtype: type) -> Kernel:
        masks = np.empty((len(X), -(-X.shape[1] // 64)), np.uint64)
        return Kernel(lambda: ops.zero_masks(X, masks), [masks])

    def of(make: Callable[..., Kernel], name: str, *sizes: Any) -> Callable[[ModuleType, type], Kernel]:
        return functools.partial(make, name, *sizes)

    relu, plain = "linear_relu_forward", "linear_forward"
    relu_back, plain_back = "linear_relu_backward", "linear_backward"
    images = f"{len(X):,} digits"
    return [
        Case(f"{relu}, {BATCH} x {n_in} x {n_hidden}", first, of(forward, relu, BATCH, n_in, n_hidden)),
        Case(f"{relu}, 256 x 1024 x 1024", wide, of(forward, relu, 256, 1024, 1024)),
        Case(f"{plain}, {BATCH} x {n_hidden} x {n_out}", last, of(forward, plain, BATCH, n_hidden, n_out)),
        Case(f"softmax_cross_entropy, {BATCH} x {n_out}", 0, softmax),
        Case(
            f"{plain_back}, {BATCH} x {n_hidden} x {n_out}",
            2 * last,
            of(backward, plain_back, BATCH, n_hidden, n_out, True),
        ),
        Case(f"{relu_back}, 256 x 1024 x 1024", 2 * wide, of(backward, relu_back, 256, 1024, 1024, True)),
        Case(
            f"{relu_back}, {BATCH} x {n_in} x {n_hidden}, no dx",
            first,
            of(backward, relu_back, BATCH, n_in, n_hidden, False),
        ),
        Case(f"sgd_step, {n_in} x {n_hidden}", 0, step),
        Case(f"infer, {images}", 0, infer),
        Case(f"scan, {images}", 0, scan),
        Case(f"zero_masks, {images}", 0, zero_masks),
    ]


def _normal(dtype: type, *shapes: tuple[int, ...]) -> list[NDArray[Any]]:
    """Give the same numbers in either dtype: those of float32."""
    rng = np.random.default_rng(0)
    return [rng.standard_normal(shape).astype(np.float32).astype(dtype) for shape in shapes]
