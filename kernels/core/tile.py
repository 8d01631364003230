"""The micro-kernel: one register tile of a matrix product, with its starts and ends; and the transpose.

acc[r][v] += splat(A[r, k]) * B[k, v] for k ascending, so that every output is one chain of fused
multiply-adds, whatever the tile's shape, the vector's width or the number of threads.
"""

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from . import machine
from .jit import kernel
from .simd import (
    I32,
    I64,
    VECTOR_BYTES,
    ask_for,
    at,
    broadcast,
    first_lanes,
    fused,
    lanes,
    load_vector,
    store_vector,
    vector_of,
)
from .sparsity import FEATURES, LIST_HEADER, SAMPLES

# Rows and vectors of a tile: accumulators, the vectors of B and one splat must fit in the registers
# (8 * 2 + 3 and 4 * 4 + 5 <= 32, 6 * 2 + 3 <= 16), and at least 8 chains must be in flight to hide the
# latency of a fused multiply-add. A tile over a list has few rows: few k are live in one of them only.
MANY_REGISTERS = machine.vector_registers() == 32
ROWS = (8, 4, 2, 1) if MANY_REGISTERS else (6, 4, 2, 1)
WIDE = 2
LISTED_ROWS = {"floor": (SAMPLES, 1), "step": (FEATURES, 1)}  # as many as share a list
LISTED_WIDE = 4 if MANY_REGISTERS else 2
# Of A, which every panel of columns reads again: as much as stays in the L2 cache beside other things.
BLOCK_BYTES = 1 << 17


def emit_tile(builder, args, rows, vectors, end):
    """Emit one tile of `rows` by `vectors`; `args` as make_tile says. A single vector is masked."""
    a, a_row, a_k, b, b_k, n_k, start, start_row, c, c_row, scalar, row, _, columns_left, *look_ups = args
    numbers, values, ks = look_ups
    vector = vector_of(scalar.type)
    mask = first_lanes(builder, vector, columns_left) if vectors == 1 else None
    cells = [(r, v) for r in range(rows) for v in range(vectors)]

    def place(base, row_step, r, v):
        return builder.gep(base, [builder.add(builder.mul(row_step, I64(r)), I64(v * vector.count))])

    def load(pointer, index):
        return builder.load(builder.gep(pointer, [index]))

    accumulators = [load_vector(builder, place(start, start_row, r, v), vector, mask) for r, v in cells]
    row_numbers = [builder.add(row, I64(r)) for r in range(rows)]
    if numbers and end == "floor":
        row_numbers = [load(numbers, number) for number in row_numbers]
    a_rows = [builder.mul(a_row, number) for number in row_numbers]
    for r, v in cells:  # wide layers lie in a far cache: have the output here by the time the sums are done
        ask_for(builder, place(c, c_row, r, v), "write")
    before, loop, after = (
        builder.block,
        builder.append_basic_block("inner"),
        builder.append_basic_block("end"),
    )
    builder.cbranch(builder.icmp_signed("<", I64(0), n_k), loop, after)
    builder.position_at_end(loop)
    k, a_next, b_next = (builder.phi(kind) for kind in (I64, a.type, b.type))
    sums = [builder.phi(vector) for _ in cells]
    a_now, b_now = a_next, b_next
    here = a_here = builder.sext(load(ks, k), I64) if ks else k
    if ks:
        b_now = builder.gep(b, [builder.mul(here, b_k)])
    if numbers and end == "step":
        a_here = load(numbers, here)
    if a_here is not k:
        a_now = builder.gep(a, [builder.mul(a_here, a_k)])
    columns = [load_vector(builder, place(b_now, I64(0), 0, v), vector, mask) for v in range(vectors)]
    if (
        end == "floor" and vectors == WIDE and not ks
    ):  # the weights of the next panel, no row of which is near
        for v in range(vectors):
            ask_for(builder, place(b_now, I64(0), 0, vectors + v), "read")
    following = [builder.add(k, I64(1)), builder.gep(a_next, [a_k]), builder.gep(b_next, [b_k])]
    for r in range(rows):
        factor = load(a_now, a_rows[r])
        if factor.type != scalar.type:
            factor = load(values, builder.zext(factor, I64))
        factor = broadcast(builder, factor, vector.count)
        following += [fused(builder, factor, columns[v], sums[r * vectors + v]) for v in range(vectors)]
    for phi, first, again in zip(
        [k, a_next, b_next, *sums], [I64(0), a, b, *accumulators], following, strict=True
    ):
        phi.add_incoming(first, before)
        phi.add_incoming(again, loop)
    back = builder.cbranch(builder.icmp_signed("<", following[0], n_k), loop, after)
    back.set_metadata("llvm.loop", _never_unroll(builder.module))
    builder.position_at_end(after)
    totals = [builder.phi(vector) for _ in cells]
    for total, nothing, something in zip(totals, accumulators, following[3:], strict=True):
        total.add_incoming(nothing, before)
        total.add_incoming(something, loop)
    factor = broadcast(builder, scalar, vector.count)
    for (r, v), total in zip(cells, totals, strict=True):
        target = place(c, c_row, r, v)
        if end == "step":
            old = load_vector(builder, target, vector, mask)
            result = fused(builder, builder.fneg(factor), total, old)
        else:
            result = builder.select(builder.fcmp_ordered("<", total, factor), factor, total)
        store_vector(builder, result, target, mask)


def _never_unroll(module):
    """Loop metadata: an unrolled tile needs more registers than there are, and spills."""
    option = module.add_metadata([ir.MetaDataString(module, "llvm.loop.unroll.disable")])
    # llvmlite shares equal nodes, and a loop's node must be its own: number them, then let each name itself
    node = module.add_metadata([option, I32(len(module.metadata))])
    node.operands = (node, option)
    return node


def _emit_best_tile(builder, args, heights, wide, end):
    """Emit tiles of several shapes and the choice of the tallest and widest that fits; its rows."""
    done = builder.append_basic_block("done")
    ends = []

    def choose(fits):
        yes, no = builder.append_basic_block("fits"), builder.append_basic_block("else")
        builder.cbranch(fits, yes, no)
        builder.position_at_end(yes)
        return no

    for rows in heights:
        lower = choose(builder.icmp_signed(">=", args[12], I64(rows)))
        vectors = wide
        while vectors:
            width = vectors * vector_of(args[10].type).count
            # a single vector is masked, so it fits whatever is left
            narrower = choose(builder.icmp_signed(">=", args[13], I64(width if vectors > 1 else 1)))
            emit_tile(builder, args, rows, vectors, end)
            ends.append((I64(rows), builder.block))
            builder.branch(done)
            builder.position_at_end(narrower)
            vectors //= 2
        builder.unreachable()  # columns_left is at least 1
        builder.position_at_end(lower)
    builder.unreachable()  # rows_left is at least 1
    builder.position_at_end(done)
    height = builder.phi(I64)
    for rows, block in ends:
        height.add_incoming(rows, block)
    return height


def make_tile(end, listed=False):
    """Make the intrinsic that computes one tile, as tall and wide as fits, and returns its rows.

    a, a_row, a_k : pointer to A, elements from row to row and from k to k
    b, b_k : pointer to B, elements from k to k
    n_k : length of the inner dimension
    start, start_row : where the accumulators start from, elements from row to row
    c, c_row : the output
    scalar : end "floor" stores max(acc, scalar), NaN kept; end "step" stores fma(-scalar, acc, c)
    row : number of the first row of A
    rows_left, columns_left : of the output from here on; two vectors where they fit, else up to one
    picks : (), or numbers, int64, and values. A is then read where a data set lies: row r is its row
        numbers[r], in a tile that steps, where A is transposed, k is its row numbers[k]; and a byte of A
        stands for values[byte]
    ks : None, or for a `listed` tile the n_k ascending numbers, int32, that stand for all k
    """
    heights, wide = (LISTED_ROWS[end], LISTED_WIDE) if listed else (ROWS, WIDE)

    @intrinsic
    def tile(
        typingctx,
        a,
        a_row,
        a_k,
        b,
        b_k,
        n_k,
        start,
        start_row,
        c,
        c_row,
        scalar,
        row,
        rows_left,
        columns_left,
        picks,
        ks,
    ):
        def generate(context, builder, signature, args):
            *args, picked, listed_ks = args
            numbers, values = cgutils.unpack_tuple(builder, picked) if picks.count else (None, None)
            look_ups = numbers, values, listed_ks if listed else None
            return _emit_best_tile(builder, (*args, *look_ups), heights, wide, end)

        n = types.intp
        return n(a, n, n, b, n, n, start, n, c, n, c.dtype, n, n, n, picks, ks), generate

    return tile


def make_product(end):
    """Make the kernel of a whole matrix product whose tiles have this end.

    Arguments as of a tile, with the output's `rows` and `columns`, and `start_column`: 1, or 0 where every
    panel starts from the same vectors. Row groups run inside a panel of columns, which stays in the cache;
    panels run inside a block of rows, which does so too.
    """
    tile = make_tile(end)

    @kernel
    def product(
        a, a_row, a_k, b, b_k, n_k, start, start_row, start_column, c, c_row, scalar, rows, columns, picks
    ):
        block = _block_of_rows(c, n_k)
        for first in range(0, rows, block):
            column = 0
            while column < columns:
                left = columns - column
                row = first
                last = min(rows, first + block)
                while row < last:
                    row += tile(
                        a,
                        a_row,
                        a_k,
                        at(b, column),
                        b_k,
                        n_k,
                        at(start, row * start_row + column * start_column),
                        start_row,
                        at(c, row * c_row + column),
                        c_row,
                        scalar,
                        row,
                        last - row,
                        left,
                        picks,
                        None,
                    )
                column += panel_width(c, left, WIDE)

    return product


def make_listed_product(end):
    """Make the kernel of a product that skips zeros: as `make_product`, with a list of k a group of rows.

    lists, list_row : pointer to the first group's list (`sparsity`), elements from list to list
    """
    tile, group = make_tile(end, listed=True), LISTED_ROWS[end][0]

    @kernel
    def product(
        a,
        a_row,
        a_k,
        b,
        b_k,
        lists,
        list_row,
        start,
        start_row,
        start_column,
        c,
        c_row,
        scalar,
        rows,
        columns,
        picks,
    ):
        column = 0
        while column < columns:
            left = columns - column
            row = 0
            while row < rows:
                ks = at(lists, row // group * list_row)
                group_end = min(rows, row + group)
                while row < group_end:
                    row += tile(
                        a,
                        a_row,
                        a_k,
                        at(b, column),
                        b_k,
                        ks[0],
                        at(start, row * start_row + column * start_column),
                        start_row,
                        at(c, row * c_row + column),
                        c_row,
                        scalar,
                        row,
                        group_end - row,
                        left,
                        picks,
                        at(ks, LIST_HEADER),
                    )
            column += panel_width(c, left, LISTED_WIDE)

    return product


@kernel
def _block_of_rows(c, n_k):
    """Rows of A in a block: whole tiles of them."""
    fit = BLOCK_BYTES * lanes(c) // (VECTOR_BYTES * max(1, n_k))
    return max(1, fit // ROWS[0]) * ROWS[0]


@kernel
def panel_width(c, left, wide):
    """Columns of the tile that _emit_best_tile chooses."""
    width = wide * lanes(c)
    while left < width and width > lanes(c):
        width //= 2
    return width


@intrinsic
def transpose_block(typingctx, source, source_row, rows, columns, target, target_row):
    """Write a square block of W by W elements transposed, W the lanes of a vector.

    Only its first `rows` rows and `columns` columns are read; zeros stand for the others. All of the target
    is written. Rows are exchanged pairwise at distances 1, 2, 4, … (Eklundh, A Fast Computer Method for
    Matrix Transposing, IEEE Transactions on Computers, 1972).
    """

    def generate(context, builder, signature, args):
        source, source_row, rows, columns, target, target_row = args
        vector = vector_of(source.type.pointee)
        width = vector.count
        block = []
        for r in range(width):
            here = builder.select(builder.icmp_signed("<", I64(r), rows), columns, I64(0))
            place = builder.gep(source, [builder.mul(source_row, I64(r))])
            block.append(load_vector(builder, place, vector, first_lanes(builder, vector, here)))
        distance = 1
        while distance < width:
            for r in (r for r in range(width) if not r & distance):
                upper, lower = block[r], block[r + distance]
                above = [lane if not lane & distance else width + lane - distance for lane in range(width)]
                below = [lane + distance if not lane & distance else width + lane for lane in range(width)]
                for at_row, order in ((r, above), (r + distance, below)):
                    picked = ir.Constant(ir.VectorType(I32, width), order)
                    block[at_row] = builder.shuffle_vector(upper, lower, picked)
            distance *= 2
        for r in range(width):
            store_vector(builder, block[r], builder.gep(target, [builder.mul(target_row, I64(r))]))
        return context.get_dummy_value()

    n = types.intp
    return types.void(source, n, n, n, target, n), generate


product = make_product("floor")
product_step = make_product("step")
listed_product = make_listed_product("floor")
listed_product_step = make_listed_product("step")
