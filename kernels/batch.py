"""A member's part of a batch: its data, all layers forward, the loss, the gradients and the step.

Hidden layers are shared out by columns where there are enough of them: then a part of w is read and written
by the same processor in every batch, and stays in its cache. Everything else is shared out by rows. The first
layer reads the data set where it lies, if it can.
"""

import numpy as np

from .core import threads
from .core.gather import data_rows, gather_row, lies_ready, prefetch_row
from .core.jit import kernel
from .core.memory import LINE
from .core.simd import VECTOR_BYTES, at, cast, convert, lanes, stack_of, two_vectors
from .core.sparsity import BLOCK, FEATURES, SAMPLES, WORD, list_features, list_samples
from .core.tile import LISTED_WIDE, listed_product_step, product_step
from .linear import forward_rows, input_gradient, listed_forward_rows
from .losses import exp_row, finish_row

_wide_zeros = stack_of(LISTED_WIDE)


@kernel
def load_batch(memory, table, inputs, labels, samples, coming, member, members):
    """A member's part of a batch's data: where its rows are, and lists of what is not zero in them.

    inputs : x, scale, the values of bytes (`gather`), and masks
    samples, coming : rows of x, of this batch and of the next one
    """
    layer, (x, scale, _, masks) = table[0], inputs
    copy, part, parts = _copy(memory, layer, member, members)
    data, data_row = _data(copy, layer, x, scale)
    ready, numbers = lies_ready(x, memory, scale), _numbers(copy, layer)
    first, last = threads.share(samples.size, part, parts)
    for row in range(first, last):
        numbers[row] = samples[row] if ready else row
        if not ready:
            gather_row(x, samples[row], scale, at(data, row * data_row))
        if row < coming.size:  # rows in random places come too late by themselves
            prefetch_row(x, coming[row])
            if masks.size:
                prefetch_row(masks, coming[row])
            prefetch_row(labels, coming[row])
    if masks.size:
        lists, list_row = _lists_from(copy, layer.feature_lists, layer.features_row, first // SAMPLES)
        list_features(masks, samples, first, last, lists, list_row)
        for word in range(part, masks.shape[1], parts):
            group = word * (WORD // FEATURES)
            lists, list_row = _lists_from(copy, layer.sample_lists, layer.samples_row, group)
            list_samples(masks, samples, word, layer.n_in, lists, list_row)


@kernel
def _copy(memory, layer, member, members):
    """A member's part of the team that has its columns, and the team's own copy of what `load_batch` writes.

    What one processor writes and another reads goes from cache to cache, which takes longer than writing it
    once more.
    """
    teams = _column_teams(layer, members)
    return at(memory, member % teams * layer.copy), member // teams, members // teams


@kernel
def _numbers(copy, layer):
    """Where the rows of a batch are to be found: one number a sample."""
    return cast(at(copy, layer.numbers), np.int64)


@kernel
def _data(copy, layer, x, scale):
    """What those numbers count: rows of the data set, or of a copy."""
    return data_rows(x, scale, (at(copy, layer.x), layer.x_row))


@kernel
def _lists_from(memory, offset, list_row, group):
    """Pointer to the list of a group, and elements from list to list."""
    return at(cast(at(memory, offset), np.int32), group * list_row), list_row


@kernel
def forward_backward(memory, table, inputs, labels, samples, row_losses, sync, member, members):
    """A member's part of all layers forward, the losses of its rows, and the gradients of their outputs."""
    n_layers, rows = table.shape[0], samples.size
    before = 1
    for index in range(n_layers):
        teams = _column_teams(table[index], members)
        if index and (teams > 1 or before > 1):  # else a member needs its own rows only
            threads.barrier(sync, members)
        before = teams
        first, last = threads.share(rows, member // teams, members // teams)
        columns = _padded(memory, table[index].n_out) // teams
        if first == last:
            continue
        if index:
            _forward_part(memory, table, index, first, last - first, member % teams * columns, columns)
        else:
            copy, _, _ = _copy(memory, table[0], member, members)
            _first_forward_part(
                memory, table, copy, inputs, first, last - first, member % teams * columns, columns
            )
    top, n_classes = table[n_layers - 1], table[n_layers - 1].n_out
    logits, dlogits = at(memory, top.y), at(memory, top.dy)
    for row in range(first, last):
        place = row * top.y_row
        row_losses[row] = exp_row(at(logits, place), at(dlogits, place), n_classes)
    for row in range(first, last):
        z, dz = at(logits, row * top.y_row), at(dlogits, row * top.y_row)
        row_losses[row] = finish_row(z, row_losses[row], labels, samples[row], dz, n_classes, rows)
    for index in range(n_layers - 1, 0, -1):
        here, lower = table[index], table[index - 1]
        input_gradient(
            (at(memory, here.w), here.w_row),
            (at(memory, here.dy + first * here.y_row), here.y_row),
            (at(memory, lower.dy + first * lower.y_row), lower.y_row),
            (at(memory, lower.y + first * lower.y_row), lower.y_row),
            True,
            last - first,
            here.n_in,
            here.n_out,
        )


@kernel
def _forward_part(memory, table, index, first, n_rows, column, columns):
    """Some rows and columns of a layer's output; pads come out as zeros."""
    x = at(memory, table[index].x + first * table[index].x_row), table[index].x_row
    w, b, y, floor = _operands(memory, table, index, first, column)
    forward_rows(x, w, b, y, n_rows, table[index].n_in, columns, floor, ())


@kernel
def _first_forward_part(memory, table, copy, inputs, first, n_rows, column, columns):
    """Some rows and columns of the first layer's output; pads come out as zeros."""
    layer, (x, scale, values, masks) = table[0], inputs
    data, picks = _data(copy, layer, x, scale), (at(_numbers(copy, layer), first), values)
    w, b, y, floor = _operands(memory, table, 0, first, column)
    if masks.size:
        n_blocks = (masks.shape[1] + BLOCK - 1) // BLOCK
        lists, list_row = _lists_from(copy, layer.feature_lists, layer.features_row, first // SAMPLES)
        listed_forward_rows(data, w, b, y, lists, list_row, n_blocks, n_rows, columns, floor, picks)
    else:
        forward_rows(data, w, b, y, n_rows, layer.n_in, columns, floor, picks)


@kernel
def _operands(memory, table, index, first, column):
    """Weights, biases and output of a layer from a row and a column on, and the output's floor."""
    layer = table[index]
    floor = convert(-np.inf if index == table.shape[0] - 1 else 0.0, memory[0])
    w, b = (at(memory, layer.w + column), layer.w_row), at(memory, layer.b + column)
    return w, b, (at(memory, layer.y + first * layer.y_row + column), layer.y_row), floor


@kernel
def _column_teams(layer, members):
    """Parts of equal width that a layer's columns are shared out in."""
    teams = 1
    while teams < layer.teams and members % (2 * teams) == 0:
        teams *= 2
    return teams


@kernel
def _line(memory):
    """Elements of a cache line."""
    return LINE // VECTOR_BYTES * lanes(memory)


@kernel
def _padded(memory, n):
    """Columns of whole cache lines: full vectors of any width."""
    return (n + _line(memory) - 1) // _line(memory) * _line(memory)


@kernel
def step_all(memory, table, inputs, samples, lr, member, members):
    """A member's part of every layer's weight gradient and step, in one."""
    zeros, ones = two_vectors(convert(0.0, lr)), two_vectors(convert(1.0, lr))
    x, scale, values, masks = inputs
    for index in range(table.shape[0]):
        layer, n = table[index], samples.size
        teams = _column_teams(layer, members)
        columns = _padded(memory, layer.n_out) // teams
        column, part, parts = member % teams * columns, member // teams, members // teams
        dy, dy_row = at(memory, layer.dy + column), layer.y_row
        first, last = threads.share(layer.n_in, part, parts)
        w, w_row = at(memory, layer.w + first * layer.w_row + column), layer.w_row
        if index:
            a, a_row = at(memory, layer.x + first), layer.x_row
            product_step(a, 1, a_row, dy, dy_row, n, zeros, 0, 0, w, w_row, lr, last - first, columns, ())
        elif masks.size:
            _step_listed(memory, layer, inputs, lr, column, columns, member, members)
        else:
            copy, _, _ = _copy(memory, layer, member, members)
            (a, a_row), picks = _data(copy, layer, x, scale), (_numbers(copy, layer), values)
            a = at(a, first)
            product_step(a, 1, a_row, dy, dy_row, n, zeros, 0, 0, w, w_row, lr, last - first, columns, picks)
        if part == 0:
            b = at(memory, layer.b + column)
            # part, not 0: with the constants of a call above, this one needs no compiled variant of its own
            product_step(ones, 1, part, dy, dy_row, n, zeros, 0, 0, b, w_row, lr, part + 1, columns, ())


@kernel
def _step_listed(memory, layer, inputs, lr, column, columns, member, members):
    """Some columns of the first layer's weights, over the samples live in each group of features."""
    x, scale, values, masks = inputs
    copy, part, parts = _copy(memory, layer, member, members)
    data, picks = _data(copy, layer, x, scale), (_numbers(copy, layer), values)
    zeros = _wide_zeros(convert(0.0, lr))
    panel = LISTED_WIDE * lanes(memory)
    # panels outside, so that a panel of dy stays in the L1 cache
    for here in range(column, column + columns, panel):
        # words are dealt in turn, since features in the middle of an image are live more often
        for word in range(part, masks.shape[1], parts):
            first = word * WORD
            lists, list_row = _lists_from(copy, layer.sample_lists, layer.samples_row, first // FEATURES)
            listed_product_step(
                at(data[0], first),
                1,
                data[1],
                at(memory, layer.dy + here),
                layer.y_row,
                lists,
                list_row,
                zeros,
                0,
                0,
                at(memory, layer.w + first * layer.w_row + here),
                layer.w_row,
                lr,
                min(WORD, layer.n_in - first),
                min(panel, column + columns - here),
                picks,
            )
