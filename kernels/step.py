"""A thread's part of a batch's step: every layer's weight gradient, and its weights moved by it.

Who steps a weight is who has used it: see `batch`.
"""

from typing import Any, NamedTuple

from .batch import gathered_columns, own_memory
from .core import memory
from .core.jit import kernel
from .core.matrix import Matrix, Transposed, moved, offset, strip, strip_width, submatrix, transposed
from .core.simd import convert, stack_of
from .core.sparsity import FEATURES, WORD
from .core.threads import thread_range
from .core.tile import INDEXED_WIDE, WIDE, indexed_product_step, panel_width, product_step, tile_vectors
from .linear import add_outer_rows, sum_columns
from .optimizers import (
    Parameters,
    cleared,
    expect_rows,
    is_plain,
    layer_update,
    part,
    strips,
    sum_squares,
    update_rows,
)

_STEP_WIDE = INDEXED_WIDE["step"]
_wide_zeros = stack_of(_STEP_WIDE)


@kernel
def square_weights(batch, thread, n_threads):
    """Sums of squares of the weights that this thread steps: they are in its cache."""
    for index in range(batch.table.shape[0]):
        layer, indexed = batch.table[index], index == 0 and batch.masks.size > 0
        group, part, parts = memory.column_group(layer, thread, n_threads)
        w, sums = memory.weights(batch.arena, layer), memory.squares(batch.arena, layer)
        own, columns = memory.columns_of(batch.arena, layer, group, n_threads // parts)
        first, last = (0, layer.n_in) if indexed else thread_range(layer.n_in, part, parts)
        for panel in range(memory.n_panels(layer)):  # with its pads, which are 0
            if not own <= panel * layer.w_row < own + columns:
                continue
            here = strip(w, panel * layer.w_row)
            for row in range(first, last, memory.SHARE_UNIT):
                if indexed and row // WORD % parts != part:
                    continue
                place, n_rows = row // memory.SHARE_UNIT, min(memory.SHARE_UNIT, last - row)
                place += panel * memory.n_units(layer)
                sums[place] = sum_squares(submatrix(here, row, 0), n_rows, layer.w_row)


@kernel
def sum_of_squares(batch):
    """The sum of all of those, in their order."""
    total = 0.0
    for index in range(batch.table.shape[0]):
        layer = batch.table[index]
        sums = memory.squares(batch.arena, layer)
        for place in range(memory.n_units(layer) * memory.n_panels(layer)):
            total += sums[place]
    return total


@kernel
def step_all(batch, step, thread, n_threads):
    """A thread's part of every layer's weight gradient and step, a block of weights at a time."""
    arena, n_rows = batch.arena, batch.samples.size
    zero, one = convert(0.0, arena[0]), convert(1.0, arena[0])
    zeros, ones = Matrix(tile_vectors(zero), 0, 0), Transposed(tile_vectors(one), 1, 0)
    rest = nothing = Rest(False, arena, arena)
    for index in range(batch.table.shape[0]):
        layer = batch.table[index]
        group, part, parts = memory.column_group(layer, thread, n_threads)
        column, columns = memory.columns_of(arena, layer, group, n_threads // parts)
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
                x = submatrix(gathered_columns(batch, group), first, 0)
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
    plain, column = is_plain(update) and not rest.is_there, 0
    height = n_rows if plain else memory.GRADIENT_ROWS
    while column < n_columns:
        columns = panel_width(room, strip_width(parameters.w, column, n_columns - column), WIDE)
        for row in range(0, n_rows, height):
            here, rows = strips(part(parameters, row, 0), column), min(height, n_rows - row)
            target, scalar = here.w, update.rate
            if not plain:
                expect_rows(update, here, rows, columns)
                target, scalar = cleared(Matrix(room, columns, 1), rows, columns), convert(-1.0, update.rate)
            a_now, dy_now = submatrix(a, row, 0), submatrix(dy, 0, column)
            product_step(a_now, dy_now, target, rows, columns, depth, zeros, scalar)
            if not plain:
                _update_block(update, here, target, _part_of(rest, row, column), rows, columns)
        column += columns


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
def _indexed_step(batch, step, own_room, column, columns, thread, n_threads):
    """Some columns of the first layer's weights, over the samples live in each group of features."""
    layer, n_words = batch.table[0], batch.masks.shape[1]
    group, part, parts = memory.column_group(layer, thread, n_threads)
    x, own = gathered_columns(batch, group), own_memory(batch, group)
    zero = convert(0.0, batch.arena[0])
    zeros, here, end = Matrix(_wide_zeros(zero), 0, 0), column, column + columns
    update, (room, rest) = layer_update(step, 0, 0, zero), own_room
    plain = is_plain(update) and not rest.is_there
    height = WORD if plain else memory.GRADIENT_ROWS
    # panels outside, so that a panel of dy stays in the L1 cache
    while here < end:
        side_by_side = strip_width(memory.weights(batch.arena, layer), here, end - here)
        panel = panel_width(batch.arena, side_by_side, _STEP_WIDE)
        dy = submatrix(memory.output_gradients(batch.arena, layer), 0, here)
        # words are dealt in turn, since features in the middle of an image are live more often
        for word in range(part, n_words, parts):
            last = min(layer.n_in, (word + 1) * WORD)
            for first in range(word * WORD, last, height):
                indices = submatrix(memory.sample_indices(own, layer), first // FEATURES, 0)
                w, n_rows = strips(layer_weights(batch, step, 0, first, 0), here), min(height, last - first)
                target, scalar = w.w, update.rate
                if not plain:
                    expect_rows(update, w, n_rows, panel)
                    target, scalar = cleared(Matrix(room, panel, 1), n_rows, panel), convert(-1.0, zero)
                rows_of_x = submatrix(x, first, 0)
                indexed_product_step(rows_of_x, dy, target, n_rows, panel, indices, zeros, scalar)
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
