"""A member's part of a batch: its data, all layers forward, the loss, the gradients and the step.

Hidden layers are shared out by columns where there are enough of them: then a part of w is read and written
by the same processor in every batch, and stays in its cache. Everything else is shared out by rows. The first
layer reads the data set where it lies, if it can.
"""

import numpy as np

from . import _team
from ._gather import data_rows, gather_row, lies_ready, prefetch_row
from ._jit import kernel
from ._lists import BLOCK, FEATURES, SAMPLES, WORD, list_features, list_samples
from ._simd import VECTOR_BYTES, at, cast, convert, lanes, stack_of, two_vectors
from ._tile import LISTED_WIDE, listed_product_step, product_step
from .arena import (
    COPY,
    DY,
    FEATURE_LISTS,
    FEATURES_ROW,
    LINE,
    N_IN,
    N_OUT,
    NUMBERS,
    SAMPLE_LISTS,
    SAMPLES_ROW,
    TEAMS,
    W_ROW,
    X_ROW,
    Y_ROW,
    B,
    W,
    X,
    Y,
)
from .linear import forward_rows, input_gradient, listed_forward_rows
from .softmax import exp_row, finish_row

_wide_zeros = stack_of(LISTED_WIDE)


@kernel
def load_batch(memory, table, inputs, labels, samples, coming, member, members):
    """A member's part of a batch's data: where its rows are, and lists of what is not zero in them.

    inputs : x, scale, the values of bytes (`_gather`), and masks
    samples, coming : rows of x, of this batch and of the next one
    """
    layer, (x, scale, _, masks) = table[0], inputs
    copy, part, parts = _copy(memory, layer, member, members)
    data, data_row = _data(copy, layer, x, scale)
    ready, numbers = lies_ready(x, memory, scale), _numbers(copy, layer)
    first, last = _team.share(samples.size, part, parts)
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
        lists, list_row = _lists_from(copy, layer[FEATURE_LISTS], layer[FEATURES_ROW], first // SAMPLES)
        list_features(masks, samples, first, last, lists, list_row)
        for word in range(part, masks.shape[1], parts):
            group = word * (WORD // FEATURES)
            lists, list_row = _lists_from(copy, layer[SAMPLE_LISTS], layer[SAMPLES_ROW], group)
            list_samples(masks, samples, word, layer[N_IN], lists, list_row)


@kernel
def _copy(memory, layer, member, members):
    """A member's part of the team that has its columns, and the team's own copy of what `load_batch` writes.

    What one processor writes and another reads goes from cache to cache, which takes longer than writing it
    once more.
    """
    teams = _column_teams(layer, members)
    return at(memory, member % teams * layer[COPY]), member // teams, members // teams


@kernel
def _numbers(copy, layer):
    """Where the rows of a batch are to be found: one number a sample."""
    return cast(at(copy, layer[NUMBERS]), np.int64)


@kernel
def _data(copy, layer, x, scale):
    """What those numbers count: rows of the data set, or of a copy."""
    return data_rows(x, scale, (at(copy, layer[X]), layer[X_ROW]))


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
            _team.barrier(sync, members)
        before = teams
        first, last = _team.share(rows, member // teams, members // teams)
        columns = _padded(memory, table[index, N_OUT]) // teams
        if first == last:
            continue
        if index:
            _forward_part(memory, table, index, first, last - first, member % teams * columns, columns)
        else:
            copy, _, _ = _copy(memory, table[0], member, members)
            _first_forward_part(
                memory, table, copy, inputs, first, last - first, member % teams * columns, columns
            )
    top, n_classes = table[n_layers - 1], table[n_layers - 1, N_OUT]
    logits, dlogits = at(memory, top[Y]), at(memory, top[DY])
    for row in range(first, last):
        place = row * top[Y_ROW]
        row_losses[row] = exp_row(at(logits, place), at(dlogits, place), n_classes)
    for row in range(first, last):
        z, dz = at(logits, row * top[Y_ROW]), at(dlogits, row * top[Y_ROW])
        row_losses[row] = finish_row(z, row_losses[row], labels, samples[row], dz, n_classes, rows)
    for index in range(n_layers - 1, 0, -1):
        here, lower = table[index], table[index - 1]
        input_gradient(
            (at(memory, here[W]), here[W_ROW]),
            (at(memory, here[DY] + first * here[Y_ROW]), here[Y_ROW]),
            (at(memory, lower[DY] + first * lower[Y_ROW]), lower[Y_ROW]),
            (at(memory, lower[Y] + first * lower[Y_ROW]), lower[Y_ROW]),
            True,
            last - first,
            here[N_IN],
            here[N_OUT],
        )


@kernel
def _forward_part(memory, table, index, first, n_rows, column, columns):
    """Some rows and columns of a layer's output; pads come out as zeros."""
    x = at(memory, table[index, X] + first * table[index, X_ROW]), table[index, X_ROW]
    w, b, y, floor = _operands(memory, table, index, first, column)
    forward_rows(x, w, b, y, n_rows, table[index, N_IN], columns, floor, ())


@kernel
def _first_forward_part(memory, table, copy, inputs, first, n_rows, column, columns):
    """Some rows and columns of the first layer's output; pads come out as zeros."""
    layer, (x, scale, values, masks) = table[0], inputs
    data, picks = _data(copy, layer, x, scale), (at(_numbers(copy, layer), first), values)
    w, b, y, floor = _operands(memory, table, 0, first, column)
    if masks.size:
        n_blocks = (masks.shape[1] + BLOCK - 1) // BLOCK
        lists, list_row = _lists_from(copy, layer[FEATURE_LISTS], layer[FEATURES_ROW], first // SAMPLES)
        listed_forward_rows(data, w, b, y, lists, list_row, n_blocks, n_rows, columns, floor, picks)
    else:
        forward_rows(data, w, b, y, n_rows, layer[N_IN], columns, floor, picks)


@kernel
def _operands(memory, table, index, first, column):
    """Weights, biases and output of a layer from a row and a column on, and the output's floor."""
    layer = table[index]
    floor = convert(-np.inf if index == table.shape[0] - 1 else 0.0, memory[0])
    w, b = (at(memory, layer[W] + column), layer[W_ROW]), at(memory, layer[B] + column)
    return w, b, (at(memory, layer[Y] + first * layer[Y_ROW] + column), layer[Y_ROW]), floor


@kernel
def _column_teams(layer, members):
    """Parts of equal width that a layer's columns are shared out in."""
    teams = 1
    while teams < layer[TEAMS] and members % (2 * teams) == 0:
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
        columns = _padded(memory, layer[N_OUT]) // teams
        column, part, parts = member % teams * columns, member // teams, members // teams
        dy, dy_row = at(memory, layer[DY] + column), layer[Y_ROW]
        first, last = _team.share(layer[N_IN], part, parts)
        w, w_row = at(memory, layer[W] + first * layer[W_ROW] + column), layer[W_ROW]
        if index:
            a, a_row = at(memory, layer[X] + first), layer[X_ROW]
            product_step(a, 1, a_row, dy, dy_row, n, zeros, 0, 0, w, w_row, lr, last - first, columns, ())
        elif masks.size:
            _step_listed(memory, layer, inputs, lr, column, columns, member, members)
        else:
            copy, _, _ = _copy(memory, layer, member, members)
            (a, a_row), picks = _data(copy, layer, x, scale), (_numbers(copy, layer), values)
            a = at(a, first)
            product_step(a, 1, a_row, dy, dy_row, n, zeros, 0, 0, w, w_row, lr, last - first, columns, picks)
        if part == 0:
            b = at(memory, layer[B] + column)
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
            lists, list_row = _lists_from(copy, layer[SAMPLE_LISTS], layer[SAMPLES_ROW], first // FEATURES)
            listed_product_step(
                at(data[0], first),
                1,
                data[1],
                at(memory, layer[DY] + here),
                layer[Y_ROW],
                lists,
                list_row,
                zeros,
                0,
                0,
                at(memory, layer[W] + first * layer[W_ROW] + here),
                layer[W_ROW],
                lr,
                min(WORD, layer[N_IN] - first),
                min(panel, column + columns - here),
                picks,
            )
