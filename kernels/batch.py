"""A thread's part of a batch: its data, all layers forward, the loss, the gradients and the step.

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
    shift_row,
)
from .core.jit import kernel
from .core.matrix import Matrix, Transposed, address, cast, moved, offset, row_of, submatrix, transposed
from .core.simd import VECTOR_BYTES, convert, lanes, stack_of, two_vectors
from .core.sparsity import BLOCK, FEATURES, SAMPLES, WORD, index_features, index_samples
from .core.threads import barrier, thread_range
from .core.tile import INDEXED_WIDE, WIDE, indexed_product_step, product_step
from .dropout import draw_at, draw_of, drop_inputs, drop_rows
from .linear import add_outer_rows, forward_rows, indexed_forward_rows, input_gradient
from .losses import loss_rows
from .optimizers import Parameters, cleared, is_plain, layer_update, part, update_rows

_wide_zeros = stack_of(INDEXED_WIDE)
_panel_of_sums = stack_of(max(INDEXED_WIDE, WIDE))


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
    group, part, parts = _column_group(layer, thread, n_threads)
    own = _group_memory(batch, group)
    data, row_indices = _data(batch, own), _row_indices(own, layer)
    draw = _draw(batch, 0)
    ready = in_place(batch.x, own, scale, draw.drop > 0)
    first, last = thread_range(samples.size, part, parts)
    for row in range(first, last):
        row_indices[row] = samples[row] if ready else row
        if not ready:
            gather_row(batch.x, samples[row], scale, row_of(data, row))
            if draw.drop:
                shift_row(row_of(data, row), batch.scaling.shift)
                drop_inputs(draw_at(draw, row, 0), row_of(data, row), layer.n_in, scale)
        if row < batch.next_samples.size:  # rows in random places come too late by themselves
            prefetch_row(batch.x, batch.next_samples[row])
            if masks.size:
                prefetch_row(masks, batch.next_samples[row])
            prefetch_row(batch.targets.labels, batch.next_samples[row])
    if masks.size:
        features = submatrix(memory.feature_indices(own, layer), first // SAMPLES, 0)
        index_features(masks, samples, first, last, features)
        for word in range(part, masks.shape[1], parts):
            indices = submatrix(memory.sample_indices(own, layer), word * (WORD // FEATURES), 0)
            index_samples(masks, samples, word, layer.n_in, indices)


@kernel
def _column_group(layer, thread, n_threads):
    """The group of threads that shares this thread's columns; the thread's number in it, and its size."""
    groups = 1
    while groups < layer.column_groups and n_threads % (2 * groups) == 0:
        groups *= 2
    return thread % groups, thread // groups, n_threads // groups


@kernel
def _group_memory(batch, group):
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
        group, part, parts = _column_group(table[index], thread, n_threads)
        if index and (parts < n_threads or size_before < n_threads):  # else a thread needs its own rows only
            barrier(sync, n_threads)
        size_before = parts
        first, last = thread_range(rows, part, parts)
        if first == last:
            continue
        columns = _columns(arena, table[index], n_threads // parts)
        if index:
            _forward_part(batch, index, first, last - first, group * columns, columns)
        else:
            _first_forward_part(batch, group, part, first, last - first, columns)
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
def _first_forward_part(batch, group, part, first, n_rows, columns):
    """Some rows of the first layer's output, and the columns of a group; pads come out as zeros."""
    layer, n_words, own = batch.table[0], batch.masks.shape[1], _group_memory(batch, group)
    x = submatrix(gathered(_data(batch, own), _row_indices(own, layer), batch.scaling.values), first, 0)
    w, b, z, lower = _operands(batch, 0, first, group * columns)
    if _is_split(batch):
        b = _shifted_biases(batch, w, b, min(part, first // memory.SHARE_UNIT), group * columns, columns)
    if batch.masks.size:
        indices = submatrix(memory.feature_indices(own, layer), first // SAMPLES, 0)
        n_blocks = (n_words + BLOCK - 1) // BLOCK
        indexed_forward_rows(x, w, b, z, indices, n_blocks, n_rows, columns, lower)
    else:
        forward_rows(x, w, b, z, n_rows, layer.n_in, columns, lower)
    _activate_part(batch, 0, first, n_rows, group * columns, columns)


@kernel
def _is_split(batch):
    """Whether the shift of x goes its own ways, so that zeros of x can be skipped: but where x is dropped."""
    return batch.scaling.shift.size > 0 and batch.table[0].drop == 0


@kernel
def _shifted_biases(batch, w, b, share, column, columns):
    """Some of the first layer's b + shift @ w, in a thread's own room."""
    layer, lowest = batch.table[0], convert(-np.inf, batch.arena[0])
    room = submatrix(memory.shifted_biases(batch.arena, layer, share), 0, column)
    # not a literal 1, for which the product would be compiled once more
    forward_rows(_shift_from(batch, 0), w, b, room, np.int64(1), layer.n_in, columns, lowest)
    return room


@kernel
def _shift_from(batch, first):
    """The shift of x's columns from one on, as a row."""
    return Matrix(address(batch.scaling.shift, first, 0), 0, 1)


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
def _columns(arena, layer, n_groups):
    """Columns of each group: whole cache lines, and so full vectors of any width."""
    line = memory.LINE // VECTOR_BYTES * lanes(arena)
    return (layer.n_out + line - 1) // line * line // n_groups


@kernel
def step_all(batch, step, thread, n_threads):
    """A thread's part of every layer's weight gradient and step, a block of weights at a time."""
    arena, n_rows = batch.arena, batch.samples.size
    zero, one = convert(0.0, arena[0]), convert(1.0, arena[0])
    zeros, ones = Matrix(two_vectors(zero), 0, 0), Transposed(two_vectors(one), 1, 0)
    unshifted = False, Matrix(arena, 0, 1)
    for index in range(batch.table.shape[0]):
        layer = batch.table[index]
        group, part, parts = _column_group(layer, thread, n_threads)
        columns = _columns(arena, layer, n_threads // parts)
        column = group * columns
        dy = submatrix(memory.output_gradients(arena, layer), 0, column)
        first, last = thread_range(layer.n_in, part, parts)
        if index == 0 and batch.masks.size:
            _indexed_step(batch, step, column, columns, thread, n_threads)
        elif first < last:
            share = layer.column_groups + min(part, first // memory.SHARE_UNIT) * (n_threads // parts) + group
            update, room = (
                layer_update(step, index, 0, zero),
                memory.gradient_room(arena, layer, share),
            )
            w = layer_weights(batch, step, index, first, column)
            if index:
                x = submatrix(transposed(memory.inputs(arena, layer)), first, 0)
                _step_blocks(update, w, x, dy, (last - first, columns, n_rows), zeros, room, unshifted)
            else:
                x = submatrix(_gathered_columns(batch, group), first, 0)
                shift = _is_split(batch), _shift_from(batch, first)
                _step_blocks(update, w, x, dy, (last - first, columns, n_rows), zeros, room, shift)
        if part == 0:
            update, room = (
                layer_update(step, index, 1, zero),
                memory.gradient_room(arena, layer, group),
            )
            b = layer_biases(batch, step, index, column)
            # not a literal 1, for which the product would be compiled once more
            _step_blocks(update, b, ones, dy, (np.int64(1), columns, n_rows), zeros, room, unshifted)


@kernel
def _step_blocks(update, parameters, a, dy, shape, zeros, room, shift):
    """Step parameters whose gradient is a @ dy; in the product itself where that is all there is to it.

    `shift` is whether there is one, which the gradient has times the sums of dy besides, and its row.
    """
    (n_rows, n_columns, depth), (shifted, shift) = shape, shift
    plain, width = is_plain(update) and not shifted, WIDE * lanes(room)
    panel, height = (n_columns, n_rows) if plain else (width, memory.GRADIENT_ROWS)
    sums = _panel_of_sums(convert(0.0, update.rate))
    for column in range(0, n_columns, panel):
        if shifted:
            _sum_columns(submatrix(dy, 0, column), sums, min(panel, n_columns - column), depth, zeros)
        for row in range(0, n_rows, height):
            here, rows, columns = part(parameters, row, column), min(height, n_rows - row), n_columns - column
            target, scalar = here.w, update.rate
            if not plain:
                columns = min(panel, columns)
                target, scalar = cleared(Matrix(room, panel, 1), rows, columns), convert(-1.0, update.rate)
            a_now, dy_now = submatrix(a, row, 0), submatrix(dy, 0, column)
            product_step(a_now, dy_now, target, rows, columns, depth, zeros, scalar)
            if shifted:
                add_outer_rows(target, submatrix(shift, 0, row), sums, rows, columns)
            if not plain:
                update_rows(update, here, target, rows, columns)


@kernel
def _sum_columns(dy, sums, n_columns, n_rows, zeros):
    """Write the sums of some columns of dy, in the order of db."""
    minus_one = convert(-1.0, sums[0])
    ones = Transposed(two_vectors(-minus_one), 1, 0)
    target = cleared(Matrix(sums, 0, 1), np.int64(1), n_columns)
    product_step(ones, dy, target, np.int64(1), n_columns, n_rows, zeros, minus_one)


@kernel
def _gathered_columns(batch, group):
    """The first layer's input, transposed."""
    own = _group_memory(batch, group)
    return gathered_transposed(_data(batch, own), _row_indices(own, batch.table[0]), batch.scaling.values)


@kernel
def _indexed_step(batch, step, column, columns, thread, n_threads):
    """Some columns of the first layer's weights, over the samples live in each group of features."""
    layer, n_words = batch.table[0], batch.masks.shape[1]
    group, part, parts = _column_group(layer, thread, n_threads)
    x, own = _gathered_columns(batch, group), _group_memory(batch, group)
    zero = convert(0.0, batch.arena[0])
    zeros, panel = Matrix(_wide_zeros(zero), 0, 0), INDEXED_WIDE * lanes(batch.arena)
    update, shifted, sums = layer_update(step, 0, 0, zero), _is_split(batch), _panel_of_sums(zero)
    plain = is_plain(update) and not shifted
    room = memory.gradient_room(batch.arena, layer, layer.column_groups + thread)
    # panels outside, so that a panel of dy stays in the L1 cache
    for here in range(column, column + columns, panel):
        dy = submatrix(memory.output_gradients(batch.arena, layer), 0, here)
        n_columns = min(panel, column + columns - here)
        if shifted:
            _sum_columns(dy, sums, n_columns, batch.samples.size, zeros)
        # words are dealt in turn, since features in the middle of an image are live more often
        for word in range(part, n_words, parts):
            first = word * WORD
            indices = submatrix(memory.sample_indices(own, layer), first // FEATURES, 0)
            w = layer_weights(batch, step, 0, first, here)
            n_rows = min(WORD, layer.n_in - first)
            target, scalar = w.w, update.rate
            if not plain:
                target, scalar = cleared(Matrix(room, panel, 1), n_rows, n_columns), convert(-1.0, zero)
            indexed_product_step(
                submatrix(x, first, 0), dy, target, n_rows, n_columns, indices, zeros, scalar
            )
            if shifted:
                add_outer_rows(target, _shift_from(batch, first), sums, n_rows, n_columns)
            if not plain:
                update_rows(update, w, target, n_rows, n_columns)


@kernel
def layer_weights(batch, step, index, row, column):
    """A layer's weights from (row, column) on, and what is kept of them."""
    layer = batch.table[index]
    return part(_parameters(batch, step, memory.weights(batch.arena, layer)), row, column)


@kernel
def layer_biases(batch, step, index, column):
    """A layer's biases from a column on, and what is kept of them."""
    layer = batch.table[index]
    return part(_parameters(batch, step, memory.biases(batch.arena, layer)), 0, column)


@kernel
def _parameters(batch, step, w):
    """Parameters, and what is kept of them, which lies as they do."""
    first, second = moved(w, batch.arena, step.first), moved(w, batch.arena, step.second)
    return Parameters(w, first, second, moved(w, batch.arena, step.average))
