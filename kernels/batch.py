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
    row_bytes,
    shift_row,
)
from .core.jit import kernel
from .core.matrix import Matrix, Transposed, cast, moved, offset, row_of, submatrix, transposed
from .core.simd import convert, lanes, stack_of, two_vectors
from .core.sparsity import BLOCK, FEATURES, SAMPLES, WORD, index_features, index_samples
from .core.threads import barrier, thread_range
from .core.tile import INDEXED_WIDE, WIDE, indexed_product_step, panel_width, product_step
from .dropout import draw_at, draw_of, drop_inputs, drop_rows
from .linear import add_outer_rows, forward_rows, indexed_forward_rows, input_gradient, sum_columns
from .losses import loss_rows
from .optimizers import (
    Parameters,
    cleared,
    expect_rows,
    is_plain,
    layer_update,
    part,
    sum_squares,
    update_rows,
)

_STEP_WIDE = INDEXED_WIDE["step"]
_wide_zeros = stack_of(_STEP_WIDE)


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
        group, part, parts = memory.column_group(table[index], thread, n_threads)
        if index and (parts < n_threads or size_before < n_threads):  # else a thread needs its own rows only
            barrier(sync, n_threads)
        size_before = parts
        first, last = thread_range(rows, part, parts)
        if first == last:
            continue
        columns = memory.columns_of(arena, table[index], n_threads // parts)
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
    if batch.scaling.is_split:
        b = _shifted_biases(batch, w, b, min(part, first // memory.SHARE_UNIT), group * columns, columns)
    if batch.masks.size:
        indices = submatrix(memory.feature_indices(own, layer), first // SAMPLES, 0)
        n_blocks = (n_words + BLOCK - 1) // BLOCK
        indexed_forward_rows(x, w, b, z, indices, n_blocks, n_rows, columns, lower)
    else:
        forward_rows(x, w, b, z, n_rows, layer.n_in, columns, lower)
    _activate_part(batch, 0, first, n_rows, group * columns, columns)


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
def square_weights(batch, thread, n_threads):
    """Sums of squares of the weights that this thread steps: they are in its cache."""
    for index in range(batch.table.shape[0]):
        layer, indexed = batch.table[index], index == 0 and batch.masks.size > 0
        group, part, parts = memory.column_group(layer, thread, n_threads)
        w, sums = memory.weights(batch.arena, layer), memory.squares(batch.arena, layer)
        columns, finer = (
            memory.columns_of(batch.arena, layer, layer.column_groups),
            layer.column_groups * parts // n_threads,
        )
        first, last = (0, layer.n_in) if indexed else thread_range(layer.n_in, part, parts)
        for row in range(first, last, memory.SHARE_UNIT):
            if indexed and row // WORD % parts != part:
                continue
            place, n_rows = row // memory.SHARE_UNIT * layer.column_groups, min(memory.SHARE_UNIT, last - row)
            for here in range(group * finer, (group + 1) * finer):
                sums[place + here] = sum_squares(submatrix(w, row, here * columns), n_rows, columns)


@kernel
def sum_of_squares(batch):
    """The sum of all of those, in their order."""
    total = 0.0
    for index in range(batch.table.shape[0]):
        layer = batch.table[index]
        sums = memory.squares(batch.arena, layer)
        n_units = (layer.n_in + memory.SHARE_UNIT - 1) // memory.SHARE_UNIT
        for place in range(n_units * layer.column_groups):
            total += sums[place]
    return total


@kernel
def step_all(batch, step, thread, n_threads):
    """A thread's part of every layer's weight gradient and step, a block of weights at a time."""
    arena, n_rows = batch.arena, batch.samples.size
    zero, one = convert(0.0, arena[0]), convert(1.0, arena[0])
    zeros, ones = Matrix(two_vectors(zero), 0, 0), Transposed(two_vectors(one), 1, 0)
    rest = nothing = Rest(False, arena, arena)
    for index in range(batch.table.shape[0]):
        layer = batch.table[index]
        group, part, parts = memory.column_group(layer, thread, n_threads)
        columns = memory.columns_of(arena, layer, n_threads // parts)
        column = group * columns
        dy = submatrix(memory.output_gradients(arena, layer), 0, column)
        first, last = thread_range(layer.n_in, part, parts)
        indexed = index == 0 and batch.masks.size > 0
        share = thread if indexed else min(part, first // memory.SHARE_UNIT) * (n_threads // parts) + group
        room = memory.gradient_room(arena, layer, layer.column_groups + share)
        works = part < batch.masks.shape[1] if indexed else first < last
        if index == 0 and works and batch.scaling.is_split:
            rest = Rest(True, batch.scaling.shift, memory.behind_gradient(room, layer))
            sum_columns(dy, rest.sums, n_rows, columns)
        if indexed and works:
            _indexed_step(batch, step, (room, rest), column, columns, thread, n_threads)
        elif works:
            update = layer_update(step, index, 0, zero)
            w = layer_weights(batch, step, index, first, column)
            if index:
                x = submatrix(transposed(memory.inputs(arena, layer)), first, 0)
                _step_blocks(update, w, x, dy, (last - first, columns, n_rows), zeros, room, nothing)
            else:
                x = submatrix(_gathered_columns(batch, group), first, 0)
                here = _part_of(rest, first, 0)
                _step_blocks(update, w, x, dy, (last - first, columns, n_rows), zeros, room, here)
        if part == 0:
            update, room = (
                layer_update(step, index, 1, zero),
                memory.gradient_room(arena, layer, group),
            )
            b = layer_biases(batch, step, index, column)
            _step_blocks(update, b, ones, dy, (1, columns, n_rows), zeros, room, nothing)


@kernel
def _step_blocks(update, parameters, a, dy, shape, zeros, room, rest):
    """Step parameters whose gradient is a @ dy and the rest; in the product itself where that is all."""
    n_rows, n_columns, depth = shape
    plain, width = is_plain(update) and not rest.is_there, WIDE * lanes(room)
    panel, height = (n_columns, n_rows) if plain else (width, memory.GRADIENT_ROWS)
    for column in range(0, n_columns, panel):
        for row in range(0, n_rows, height):
            here, rows, columns = part(parameters, row, column), min(height, n_rows - row), n_columns - column
            target, scalar = here.w, update.rate
            if not plain:
                columns = min(panel, columns)
                expect_rows(update, here, rows, columns)
                target, scalar = cleared(Matrix(room, panel, 1), rows, columns), convert(-1.0, update.rate)
            a_now, dy_now = submatrix(a, row, 0), submatrix(dy, 0, column)
            product_step(a_now, dy_now, target, rows, columns, depth, zeros, scalar)
            if not plain:
                _update_block(update, here, target, _part_of(rest, row, column), rows, columns)


class Rest(NamedTuple):
    """What a weight gradient has besides a product: outer(shift, sums of dy), where inputs are shifted."""

    is_there: bool
    shift: Any
    sums: Any


@kernel
def _part_of(rest, row, column):
    """What is left of it from (row, column) on."""
    return Rest(rest.is_there, offset(rest.shift, row), offset(rest.sums, column))


@kernel
def _update_block(update, parameters, dw, rest, n_rows, n_columns):
    """Step a block of parameters, once its gradient is complete."""
    if rest.is_there:
        add_outer_rows(dw, rest.shift, rest.sums, n_rows, n_columns)
    update_rows(update, parameters, dw, n_rows, n_columns)


@kernel
def _gathered_columns(batch, group):
    """The first layer's input, transposed."""
    own = _group_memory(batch, group)
    return gathered_transposed(_data(batch, own), _row_indices(own, batch.table[0]), batch.scaling.values)


@kernel
def _indexed_step(batch, step, own_room, column, columns, thread, n_threads):
    """Some columns of the first layer's weights, over the samples live in each group of features."""
    layer, n_words = batch.table[0], batch.masks.shape[1]
    group, part, parts = memory.column_group(layer, thread, n_threads)
    x, own = _gathered_columns(batch, group), _group_memory(batch, group)
    zero = convert(0.0, batch.arena[0])
    zeros, here, end = Matrix(_wide_zeros(zero), 0, 0), column, column + columns
    update, (room, rest) = layer_update(step, 0, 0, zero), own_room
    plain = is_plain(update) and not rest.is_there
    # panels outside, so that a panel of dy stays in the L1 cache
    while here < end:
        panel = panel_width(batch.arena, end - here, _STEP_WIDE)
        dy = submatrix(memory.output_gradients(batch.arena, layer), 0, here)
        # words are dealt in turn, since features in the middle of an image are live more often
        for word in range(part, n_words, parts):
            first = word * WORD
            indices = submatrix(memory.sample_indices(own, layer), first // FEATURES, 0)
            w = layer_weights(batch, step, 0, first, here)
            n_rows = min(WORD, layer.n_in - first)
            target, scalar = w.w, update.rate
            if not plain:
                expect_rows(update, w, n_rows, panel)
                target, scalar = cleared(Matrix(room, panel, 1), n_rows, panel), convert(-1.0, zero)
            indexed_product_step(submatrix(x, first, 0), dy, target, n_rows, panel, indices, zeros, scalar)
            if not plain:
                rest_here = _part_of(rest, first, here - column)
                _update_block(update, w, target, rest_here, n_rows, panel)
        here += panel


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
