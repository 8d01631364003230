"""A thread's part of a batch: its data, all layers forward, the loss and the gradients of their outputs.

Hidden layers are shared out by columns where there are enough of them: then a part of w is read and written
by the same processor in every batch, and stays in its cache. Everything else is shared out by rows. The first
layer reads the data set where it lies, if it can.
"""

from typing import Any, NamedTuple

import numpy as np

from .activations import RELU, SILU, activate
from .core import memory
from .core.gather import (
    data_rows,
    gather_row,
    gathered,
    gathered_transposed,
    in_place,
    prefetch_row,
    row_bytes,
    shift_row,
)
from .core.jit import kernel
from .core.matrix import (
    Matrix,
    cast,
    offset,
    row_of,
    submatrix,
)
from .core.simd import convert
from .core.sparsity import BLOCK, FEATURES, SAMPLES, WORD, index_features, index_samples
from .core.threads import barrier, thread_range
from .dropout import draw_at, draw_of, drop_inputs, drop_rows
from .linear import forward_rows, indexed_forward_rows, input_gradient
from .losses import loss_rows


class Batch(NamedTuple):
    """What a batch reads, and where it writes."""

    arena: Any  # pointer to its first element
    table: Any  # of `plan`
    x: Any  # the data set
    targets: Any  # labels and weights of its rows
    masks: Any  # of what is not zero in x, or empty
    scaling: Any  # of x
    samples: Any  # rows of x
    next_samples: Any  # those of the next batch
    key: int  # of what dropout draws


@kernel
def load_batch(batch, thread, n_threads):
    """A thread's part of a batch's data: where its rows are, and indices of what is not zero in them.

    Each group of threads that has columns of its own writes all of it for itself: what one processor writes
    and another reads goes from cache to cache, which takes longer than writing it once more.
    """
    layer, samples, masks, scale = batch.table[0], batch.samples, batch.masks, batch.scaling.scale
    group, part, parts = memory.column_group(layer, thread, n_threads)
    own = own_memory(batch, group)
    data, row_indices = _data(batch, own), _row_indices(own, layer)
    draw = _draw(batch, 0)
    ready = in_place(batch.x, own, scale, draw.drop > 0)
    first, last = thread_range(samples.size, part, parts)
    for row in range(first, last):
        row_indices[row] = samples[row] if ready else row
        if not ready:
            gather_row(batch.x, samples[row], scale, row_of(data, row))
            if draw.drop:
                if batch.scaling.is_added:
                    shift_row(row_of(data, row), batch.scaling.shift, layer.n_in)
                drop_inputs(draw_at(draw, row, 0), row_of(data, row), layer.n_in, scale)
        if row < batch.next_samples.size:  # rows in random places come too late by themselves
            following = batch.next_samples[row]
            prefetch_row(row_bytes(batch.x, following))
            if masks.size:
                prefetch_row(row_bytes(masks, following))
            if batch.targets.label_rows.size:
                prefetch_row(row_bytes(batch.targets.label_rows, following))
            else:
                prefetch_row(row_bytes(batch.targets.labels, following))
    if masks.size:
        features = submatrix(memory.feature_indices(own, layer), first // SAMPLES, 0)
        index_features(masks, samples, first, last, features)
        for word in range(part, masks.shape[1], parts):
            indices = submatrix(memory.sample_indices(own, layer), word * (WORD // FEATURES), 0)
            index_samples(masks, samples, word, layer.n_in, indices)


@kernel
def own_memory(batch, group):
    """The arena, moved so that the first layer's data is the group's own copy of it."""
    return offset(batch.arena, group * batch.table[0].group_stride)


@kernel
def _row_indices(own, layer):
    """Where the rows of a batch are to be found: one index a sample."""
    return cast(offset(own, layer.row_indices), np.int64)


@kernel
def _data(batch, own):
    """What those indices count: rows of the data set, or of a copy."""
    layer = batch.table[0]
    return data_rows(batch.x, batch.scaling.scale, memory.inputs(own, layer), layer.drop > 0)


@kernel
def forward_backward(batch, row_losses, sync, thread, n_threads):
    """A thread's part of all layers forward, the losses of its rows, and the gradients of their outputs."""
    arena, table, rows = batch.arena, batch.table, batch.samples.size
    n_layers, size_before = table.shape[0], n_threads
    for index in range(n_layers):
        group, part, parts = memory.column_group(table[index], thread, n_threads)
        if index and (parts < n_threads or size_before < n_threads):  # else a thread needs its own rows only
            barrier(sync, n_threads)
        size_before = parts
        first, last = thread_range(rows, part, parts)
        if first == last:
            continue
        column, columns = memory.columns_of(arena, table[index], group, n_threads // parts)
        if index:
            _forward_part(batch, index, first, last - first, column, columns)
        else:
            _first_forward_part(batch, group, part, first, last - first, column, columns)
    top = table[n_layers - 1]
    logits, dlogits, share = memory.outputs(arena, top), memory.output_gradients(arena, top), (first, last)
    loss_rows(top.output, logits, dlogits, batch.targets, share, top.n_out, row_losses)
    if first == last:  # no panel either: there are no more of them than shares
        return
    panel = offset(arena, top.panels + min(thread, first // memory.SHARE_UNIT) * top.panel_size)
    for index in range(n_layers - 1, 0, -1):
        here, lower = table[index], table[index - 1]
        dy = submatrix(memory.output_gradients(arena, here), first, 0)
        dx = submatrix(memory.output_gradients(arena, lower), first, 0)
        saved = submatrix(memory.pre_activations(arena, lower), first, 0)
        below = lower.activation, saved, draw_at(_draw(batch, index), first, 0)
        shape = last - first, here.n_in, here.n_out
        input_gradient(memory.weights(arena, here), dy, dx, below, panel, shape)


@kernel
def _forward_part(batch, index, first, n_rows, column, columns):
    """Some rows and columns of a layer's output; pads come out as zeros."""
    x = submatrix(memory.inputs(batch.arena, batch.table[index]), first, 0)
    w, b, z, lower = _operands(batch, index, first, column)
    forward_rows(x, w, b, z, n_rows, batch.table[index].n_in, columns, lower)
    _activate_part(batch, index, first, n_rows, column, columns)


@kernel
def _first_forward_part(batch, group, part, first, n_rows, column, columns):
    """Some rows of the first layer's output, and the columns of a group; pads come out as zeros."""
    layer, n_words, own = batch.table[0], batch.masks.shape[1], own_memory(batch, group)
    x = submatrix(gathered(_data(batch, own), _row_indices(own, layer), batch.scaling.values), first, 0)
    w, b, z, lower = _operands(batch, 0, first, column)
    if batch.scaling.is_split:
        b = _shifted_biases(batch, w, b, min(part, first // memory.SHARE_UNIT), column, columns)
    if batch.masks.size:
        indices = submatrix(memory.feature_indices(own, layer), first // SAMPLES, 0)
        n_blocks = (n_words + BLOCK - 1) // BLOCK
        indexed_forward_rows(x, w, b, z, indices, n_blocks, n_rows, columns, lower)
    else:
        forward_rows(x, w, b, z, n_rows, layer.n_in, columns, lower)
    _activate_part(batch, 0, first, n_rows, column, columns)


@kernel
def _shifted_biases(batch, w, b, share, column, columns):
    """Some of the first layer's b + shift @ w, in a thread's own room."""
    layer, lowest = batch.table[0], convert(-np.inf, batch.arena[0])
    x = Matrix(batch.scaling.shift, 0, 1)
    room = submatrix(memory.shifted_biases(batch.arena, layer, share), 0, column)
    forward_rows(x, w, b, room, 1, layer.n_in, columns, lowest)
    return room


@kernel
def _activate_part(batch, index, first, n_rows, column, columns):
    """The activation of some rows and columns, unless the product has done it, and dropout after it.

    Pads stay as they are.
    """
    layer, last = batch.table[index], index + 1 == batch.table.shape[0]
    width, drop = min(columns, layer.n_out - column), 0 if last else batch.table[index + 1].drop
    if layer.activation > RELU or drop:
        z = submatrix(memory.pre_activations(batch.arena, layer), first, column)
        y = submatrix(memory.outputs(batch.arena, layer), first, column)
        kept = z if drop and layer.activation < SILU else y  # what the derivative is taken from, if not z
        if layer.activation > RELU:
            activate(layer.activation, z, kept, n_rows, width)
        if drop:
            drop_rows(draw_at(_draw(batch, index + 1), first, column), kept, y, n_rows, width)


@kernel
def _draw(batch, index):
    """What dropout draws for a layer's input."""
    return draw_of(batch.key, index, batch.table[index].drop, batch.scaling.scale)


@kernel
def _operands(batch, index, first, column):
    """Weights, biases and output of a product from a row and a column on, and what clamps the output."""
    arena, layer = batch.arena, batch.table[index]
    lower = convert(0.0 if layer.activation == RELU else -np.inf, arena[0])
    w, b = (
        submatrix(memory.weights(arena, layer), 0, column),
        submatrix(memory.biases(arena, layer), 0, column),
    )
    return w, b, submatrix(memory.pre_activations(arena, layer), first, column), lower


@kernel
def gathered_columns(batch, group):
    """The first layer's input, transposed."""
    own = own_memory(batch, group)
    return gathered_transposed(_data(batch, own), _row_indices(own, batch.table[0]), batch.scaling.values)
