"""A whole epoch of training in one call, or several of them."""

import numpy as np

from .batch import Batch, forward_backward, load_batch
from .core import machine, threads
from .core.gather import Scaling, byte_values, fill_values
from .core.jit import entry, kernel
from .core.matrix import address, cast, offset
from .core.memory import sharing_units
from .dropout import draw_of, step_key
from .losses import mean_loss, split_labels, targets_of
from .optimizers import Step
from .step import square_weights, step_all, sum_of_squares

# Stalls after which an epoch on the default number of threads goes on as one: others want its processors.
STALLS_TO_GO_ON_ALONE = 3

_NONE = np.empty(0)


def train_epoch(
    arena,
    table,
    state,
    x,
    labels,
    weights,
    order,
    batch_size,
    settings,
    rates,
    factors,
    scale,
    shift,
    masks,
    stop,
    losses,
    squares=None,
    values=None,
):
    """Train on every batch of an epoch, or of several: gather, forward, loss, backward, step.

    Batches are an epoch's order cut every `batch_size`; the last may be shorter. x is converted to the
    arena's dtype, then multiplied by scale. A shift goes its own ways, so that zeros stay zeros: the first
    layer's sums start from b + shift @ w, and outer(shift, db) completes its dw. Only where inputs are
    dropped is it added to them.

    Parameters
    ----------
    arena : float32 or float64 (size,)    parameters, in place, and workspaces; layout as `plan` says
    table : records (n_layers,)           of `plan`, for this batch size or a larger one
    state : (n_kept, size), in place      in the arena's dtype, each row in the layout of the parameters: the
                                          velocity, or Adam's m and v, as the kind has them; then the average
                                          where there is one; rows on 64-byte boundaries
    x : (n, n_in)                         uint8, float32 or float64, any strides
    labels : int64 (n,), or float64 (n, n_out)   as the loss of the table's output takes them
    weights : float64 (n,) or (0,)        of the rows of x, from 0 up, or empty for all 1
    order : int64 (n,) or (n_epochs, n)   rows of x to train on; the further arrays of an epoch's batches are
                                          then of all epochs' batches
    batch_size : int
    settings : SETTINGS (1,)              kind and numbers of the step, dropout's and label smoothing; l2 is
                                          divided by the batch's sum of weights; loss_limit is the most that
                                          a row of softmax or a unit of logistic outputs adds to a
                                          loss, 0 for no limit
    rates : float64 (n_batches, 2)        learning rate and momentum of each step
    factors : float64 (n_layers, 2)       of the learning rate, for a layer's weights and biases
    scale : scalar                        factor of x, in the arena's dtype
    shift : (n_in,) or (0,)               added to x * scale, in the arena's dtype, contiguous; for a `plan`
                                          that is centered. Where inputs are dropped, x is then no uint8
    masks : uint64 (n, words) or (0, 0)   of `zero_masks`, or empty, as where a shift and dropout of inputs
                                          leave no zeros to skip
    stop : int64 (1,)                     read once a batch: the epoch ends before a batch where it is not 0
    losses : output                       float64 (n_batches,): weighted mean loss of each batch; 0 where the
                                          weights sum to 0, and then nothing else changes
    squares : output                      float64 (n_batches,): sum of squares of all weights before each
                                          batch's step; None where nobody asks
    values : (256,)                       what each byte of x stands for, in the arena's dtype; None for its
                                          number times scale

    Returns
    -------
    Batches completed. At a batch whose loss is not finite it writes that loss, takes no step and returns that
    batch's index.

    Twin: `fastmlp.reference.train_epoch`.
    """
    elastic = machine.explicit_threads() is None
    n_threads = threads.epoch_thread_count(batch_size * int(table[0]["x"]), sharing_units(table, batch_size))
    orders, squares = np.atleast_2d(order), _NONE if squares is None else squares
    values = arena[:0] if values is None else values
    data = x, *split_labels(labels), weights, orders, batch_size
    numbers = settings, rates, factors, scale, values, shift
    args = arena, table, state, *data, *numbers, masks, stop, losses, squares, elastic
    return threads.parallel_epoch(_train_epoch, n_threads, stop, *args)


@entry("arena", "state", "losses", "squares")
def _train_epoch(
    arena,
    table,
    state,
    x,
    labels,
    label_rows,
    weights,
    order,
    batch_size,
    settings,
    rates,
    factors,
    scale,
    values,
    shift,
    masks,
    stop,
    losses,
    squares,
    elastic,
    sync,
    thread,
    n_threads,
):
    memory = address(arena, 0, 0)
    row_losses = cast(offset(memory, table[0].losses), np.float64)
    first, second, average = _kept_rows(arena, state, settings)
    of_bytes = byte_values(scale)
    # bytes that dropout keeps stand for more
    fill_values(of_bytes, values, scale, draw_of(0, 0, table[0].drop, scale).factor)
    shifted, dropped = shift.size > 0, table[0].drop > 0
    scaling = Scaling(scale, of_bytes, address(shift, 0, 0), shifted and not dropped, shifted and dropped)
    limit = settings[0].loss_limit
    of_labels = settings[0].smoothing, limit if limit > 0 else np.inf
    began, quickest, taken = threads.cycles(), threads.BROKEN, settings[0].steps
    for batch in range(losses.size):
        if thread == 0:
            # one thread decides and tells the others before a barrier, so that all leave together
            alone = elastic and threads.read_shared(address(sync, threads.STALLS, 0)) >= STALLS_TO_GO_ON_ALONE
            stopped = threads.read_shared(address(stop, 0, 0))
            active = 0 if stopped else 1 if alone else n_threads
            threads.write_shared(address(sync, threads.ACTIVE, 0), active)
            now = threads.cycles()
            if batch:
                quickest = min(quickest, now - began)
            began = now
            threads.write_shared(address(sync, threads.PATIENCE, 0), quickest + threads.STALL_CYCLES)
        if not threads.barrier(sync, n_threads):
            return batch
        n_threads = threads.read_shared(address(sync, threads.ACTIVE, 0))
        if thread >= n_threads:
            return batch
        epoch, begin, end = _place_of(order, batch, batch_size)
        next_epoch, next_begin, next_end = _place_of(order, batch + 1, batch_size)
        samples, next_samples = order[epoch, begin:end], order[next_epoch, next_begin:next_end]
        rows = samples.size
        targets = targets_of((labels, label_rows), weights, samples, rows, of_labels)
        key = step_key(settings[0].seed, settings[0].all_steps + taken - settings[0].steps)
        data = Batch(memory, table, x, targets, masks, scaling, samples, next_samples, key)
        if squares.size:
            square_weights(data, thread, n_threads)
        load_batch(data, thread, n_threads)
        forward_backward(data, row_losses, sync, thread, n_threads)
        if not threads.barrier(sync, n_threads):
            return batch
        mean = mean_loss(targets, row_losses, rows)
        if thread == 0:
            losses[batch] = mean
            if squares.size:
                squares[batch] = sum_of_squares(data)
        if not np.isfinite(mean):
            return batch
        total, (lr, momentum) = targets.total_weight, (rates[batch, 0], rates[batch, 1])
        if total > 0:
            taken += 1
            step = Step(settings, factors, first, second, average, taken, total, lr, momentum)
            step_all(data, step, thread, n_threads)
    return losses.size


@kernel
def _place_of(order, batch, batch_size):
    """A batch's epoch, and where it begins and ends there; a batch behind the last one has no samples."""
    n_epochs, n = order.shape
    n_batches = (n + batch_size - 1) // batch_size
    epoch, begin = batch // n_batches, batch % n_batches * batch_size
    if epoch == n_epochs:
        return epoch - 1, n, n
    return epoch, begin, min(begin + batch_size, n)


@kernel
def _kept_rows(arena, state, settings):
    """Pointers to the velocity or m, to v, and to the average; to the arena where a kind has none."""
    nothing = address(arena, 0, 0)
    n_rows = state.shape[0]
    first = address(state, 0, 0) if n_rows else nothing
    second = address(state, 1, 0) if n_rows > 1 else nothing
    average = address(state, n_rows - 1, 0) if settings[0].ema > 0 else nothing
    return first, second, average
