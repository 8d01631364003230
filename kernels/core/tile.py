"""The micro-kernel: one register tile of a matrix product, its prologues and epilogues; and the transpose.

acc[r][v] += splat(A[r, k]) * B[k, v] for k ascending, so that every output is one chain of fused
multiply-adds, whatever the tile's shape, the vector's width or the number of threads.
"""

from typing import Any, NamedTuple

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from . import machine
from .jit import kernel
from .matrix import GatheredRows, Matrix, offset, row_of, submatrix
from .simd import (
    I32,
    I64,
    broadcast,
    emit_prefetch,
    first_lanes,
    fused,
    lanes,
    load_vector,
    stack_of,
    store_vector,
    vector_of,
)
from .sparsity import FEATURES, INDICES_HEADER, SAMPLES

# Rows and vectors of a tile, at most: accumulators, the vectors of B and one splat must fit in the registers
# (6 * 4 + 5, 2 * 8 + 9 and 4 * 5 + 6 <= 32, 6 * 2 + 3 <= 16), and at least 8 chains must be in flight to hide
# the latency of a fused multiply-add. A tile over indices has few rows: few k are live in one of them only.
MANY_REGISTERS = machine.vector_registers() == 32
ROWS = 6, 4, 2, 1
IN_FULL_WIDTH = 4  # rows that no narrower tile has: every shape takes its time to compile
WIDE = 4 if MANY_REGISTERS else 2
INDEXED_ROWS = {"clamp": (SAMPLES, 1), "step": (FEATURES, 1)}  # as many as share their indices
INDEXED_WIDE = {"clamp": 8, "step": 5} if MANY_REGISTERS else {"clamp": 2, "step": 2}


class _Operand(NamedTuple):
    """A matrix as generated code holds it: LLVM values, None for what a plain matrix lacks."""

    pointer: Any
    row: Any
    column: Any
    row_indices: Any = None
    values: Any = None
    gathers_rows: bool = False

    def place(self, builder, r, distance):
        """Address of row r, and so many elements further on."""
        return builder.gep(self.pointer, [builder.add(builder.mul(self.row, I64(r)), I64(distance))])


def emit_tile(builder, operands, bounds, rows, vectors, epilogue):
    """Emit one tile of `rows` by `vectors`; arguments as `make_tile` says. A single vector is masked."""
    a, b, c, start, scalar, indices = operands
    depth, _, columns_left = bounds
    vector = vector_of(scalar.type)
    mask = first_lanes(builder, vector, columns_left) if vectors == 1 else None
    cells = [(r, v) for r in range(rows) for v in range(vectors)]

    def load(pointer, index):
        return builder.load(builder.gep(pointer, [index]))

    accumulators = [
        load_vector(builder, start.place(builder, r, v * vector.count), vector, mask) for r, v in cells
    ]
    a_rows = [load(a.row_indices, I64(r)) if a.gathers_rows else I64(r) for r in range(rows)]
    a_rows = [builder.mul(a.row, row) for row in a_rows]
    targets = [c.place(builder, r, v * vector.count) for r, v in cells]
    # wide layers lie in a far cache: have the output here by the time the sums are done. Over indices most
    # sums start from the output, and a prefetch is a load too many
    for target in targets if epilogue == "step" or not indices else ():
        emit_prefetch(builder, target, "write")
    before, loop, after = (
        builder.block,
        builder.append_basic_block("inner"),
        builder.append_basic_block("end"),
    )
    builder.cbranch(builder.icmp_signed("<", I64(0), depth), loop, after)
    builder.position_at_end(loop)
    k, a_next, b_next = (builder.phi(kind) for kind in (I64, a.pointer.type, b.pointer.type))
    sums = [builder.phi(vector) for _ in cells]
    a_now, b_now = a_next, b_next
    b_row = a_column = builder.sext(load(indices, k), I64) if indices else k
    if indices:
        b_now = builder.gep(b.pointer, [builder.mul(b_row, b.row)])
    if a.row_indices and not a.gathers_rows:
        a_column = load(a.row_indices, b_row)
    if a_column is not k:
        a_now = builder.gep(a.pointer, [builder.mul(a_column, a.column)])
    places = [builder.gep(b_now, [I64(v * vector.count)]) for v in range(vectors)]
    columns = [load_vector(builder, place, vector, mask) for place in places]
    following = [builder.add(k, I64(1)), builder.gep(a_next, [a.column]), builder.gep(b_next, [b.row])]
    kind, word = a.pointer.type.pointee, None
    if rows == 4 and kind != scalar.type and not a.gathers_rows:
        # bytes side by side: with one load for all, since loads are what limits a tile over indices
        word = builder.load(builder.bitcast(a_now, I32.as_pointer()), align=1)
    for r in range(rows):
        factor = builder.trunc(builder.lshr(word, I32(8 * r)), kind) if word else load(a_now, a_rows[r])
        if factor.type != scalar.type:
            factor = load(a.values, builder.zext(factor, I64))
        factor = broadcast(builder, factor, vector.count)
        following += [fused(builder, factor, columns[v], sums[r * vectors + v]) for v in range(vectors)]
    if not indices and kind == scalar.type:  # beside look-ups of bytes the sums would leave their registers
        for place in places:
            ahead = builder.gep(place, [builder.mul(b.row, I64(8))])
            emit_prefetch(builder, ahead, "soon")
    first = [I64(0), a.pointer, b.pointer, *accumulators]
    for phi, begin, again in zip([k, a_next, b_next, *sums], first, following, strict=True):
        phi.add_incoming(begin, before)
        phi.add_incoming(again, loop)
    back = builder.cbranch(builder.icmp_signed("<", following[0], depth), loop, after)
    back.set_metadata("llvm.loop", _never_unroll(builder.module))
    builder.position_at_end(after)
    totals = [builder.phi(vector) for _ in cells]
    for total, nothing, something in zip(totals, accumulators, following[3:], strict=True):
        total.add_incoming(nothing, before)
        total.add_incoming(something, loop)
    factor = broadcast(builder, scalar, vector.count)
    for target, total in zip(targets, totals, strict=True):
        if epilogue == "step":
            result = fused(builder, builder.fneg(factor), total, load_vector(builder, target, vector, mask))
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


def _emit_best_tile(builder, operands, bounds, shape, epilogue):
    """Emit tiles of several shapes and the choice of the tallest and widest that fits; its rows."""
    heights, wide = shape
    _, rows_left, columns_left = bounds
    lanes = vector_of(operands[4].type).count
    done = builder.append_basic_block("done")
    ends = []

    def choose(fits):
        yes, no = builder.append_basic_block("fits"), builder.append_basic_block("else")
        builder.cbranch(fits, yes, no)
        builder.position_at_end(yes)
        return no

    for rows in heights:
        lower = choose(builder.icmp_signed(">=", rows_left, I64(rows)))
        narrowest = wide if rows == IN_FULL_WIDTH and heights == ROWS else 1
        for vectors in range(wide, narrowest - 1, -1):
            # a single vector is masked, so it fits whatever is left
            narrower = choose(
                builder.icmp_signed(">=", columns_left, I64(vectors * lanes if vectors > 1 else 1))
            )
            emit_tile(builder, operands, bounds, rows, vectors, epilogue)
            ends.append((I64(rows), builder.block))
            builder.branch(done)
            builder.position_at_end(narrower)
        if narrowest == 1:
            builder.unreachable()  # columns_left is at least 1
        else:
            builder.branch(lower)
        builder.position_at_end(lower)
    builder.unreachable()  # rows_left is at least 1
    builder.position_at_end(done)
    height = builder.phi(I64)
    for rows, block in ends:
        height.add_incoming(rows, block)
    return height


def make_tile(epilogue, indexed=False):
    """Make the intrinsic that computes one tile, as tall and wide as fits, and returns its rows.

    a : the matrix that is broadcast, from its first row on: of the model's dtype, or gathered, and then
        perhaps of bytes
    b, c, start : matrices from their first element on, columns side by side; c is the output, and start is
        the prologue: where the accumulators start from
    depth : length of the inner dimension
    scalar : the epilogue "clamp" stores max(acc, scalar), NaN kept; "step" stores fma(-scalar, acc, c)
    rows_left, columns_left : of the output from here on; as wide as `panel_width`, or less than a vector
    indices : None, or for an `indexed` tile the `depth` ascending numbers, int32, that stand for all k
    """
    shape = (INDEXED_ROWS[epilogue], INDEXED_WIDE[epilogue]) if indexed else (ROWS, WIDE)

    @intrinsic
    def tile(typingctx, a, b, c, start, depth, scalar, rows_left, columns_left, indices):
        def generate(context, builder, signature, args):
            matrices = [_Operand(*cgutils.unpack_tuple(builder, arg)) for arg in args[:4]]
            gathers_rows = a.instance_class is GatheredRows
            # a constant saves the loop the sums of addresses
            unit = {"column" if gathers_rows or a.instance_class is Matrix else "row": I64(1)}
            matrices[0] = matrices[0]._replace(gathers_rows=gathers_rows, **unit)
            operands = *matrices, args[5], args[8] if indexed else None
            return _emit_best_tile(builder, operands, (args[4], *args[6:8]), shape, epilogue)

        n = types.intp
        return n(a, b, c, start, n, c[0].dtype, n, n, indices), generate

    return tile


def make_product(epilogue):
    """Make the kernel of a whole matrix product, c = a @ b from `start` on, whose tiles have this epilogue.

    Arguments as of a tile, from the first element of the matrices on; start.column is 1, or 0 where every
    panel starts from the same vectors. Row groups run inside a panel of columns, which stays in the cache.
    """
    tile = make_tile(epilogue)

    @kernel
    def product(a, b, c, rows, columns, depth, start, scalar):
        column = 0
        while column < columns:
            left, row = panel_width(c.pointer, columns - column, WIDE), 0
            b_now = submatrix(b, 0, column)
            while row < rows:
                c_now, start_now = submatrix(c, row, column), submatrix(start, row, column)
                a_now = submatrix(a, row, 0)
                row += tile(a_now, b_now, c_now, start_now, depth, scalar, rows - row, left, None)
            column += left

    return product


def make_indexed_product(epilogue):
    """Make the kernel of a product that skips zeros: as `make_product`, with indices of k for groups of rows.

    indices : matrix of int32, a row a group, as `sparsity` has them
    """
    tile, group, wide = make_tile(epilogue, indexed=True), INDEXED_ROWS[epilogue][0], INDEXED_WIDE[epilogue]

    @kernel
    def product(a, b, c, rows, columns, indices, start, scalar):
        column = 0
        while column < columns:
            left, row = panel_width(c.pointer, columns - column, wide), 0
            b_now = submatrix(b, 0, column)
            while row < rows:
                ks = row_of(indices, row // group)
                group_end = min(rows, row + group)
                while row < group_end:
                    c_now, start_now = submatrix(c, row, column), submatrix(start, row, column)
                    a_now, n_left = submatrix(a, row, 0), group_end - row
                    ks_now = offset(ks, INDICES_HEADER)
                    row += tile(a_now, b_now, c_now, start_now, ks[0], scalar, n_left, left, ks_now)
            column += left

    return product


@kernel
def panel_width(c, left, wide):
    """Columns of the next panel: all vectors that are left, in as few panels as can be, of equal widths."""
    vectors = left // lanes(c)
    if vectors == 0:
        return left
    panels = (vectors + wide - 1) // wide
    return (vectors + panels - 1) // panels * lanes(c)


@intrinsic
def transpose_block(typingctx, source, rows, columns, target):
    """Write a square block of W by W elements of a matrix transposed, W the lanes of a vector.

    Only its first `rows` rows and `columns` columns are read; zeros stand for the others. All of the target
    is written. Rows are exchanged pairwise at distances 1, 2, 4, … (Eklundh, A Fast Computer Method for
    Matrix Transposing, IEEE Transactions on Computers, 1972).
    """

    def generate(context, builder, signature, args):
        rows, columns = args[1:3]
        source, target = (_Operand(*cgutils.unpack_tuple(builder, args[i])) for i in (0, 3))
        vector = vector_of(source.pointer.type.pointee)
        width = vector.count
        block = []
        for r in range(width):
            here = builder.select(builder.icmp_signed("<", I64(r), rows), columns, I64(0))
            mask = first_lanes(builder, vector, here)
            block.append(load_vector(builder, source.place(builder, r, 0), vector, mask))
        distance = 1
        while distance < width:
            for r in (r for r in range(width) if not r & distance):
                upper, lower = block[r], block[r + distance]
                above = [lane if not lane & distance else width + lane - distance for lane in range(width)]
                below = [lane + distance if not lane & distance else width + lane for lane in range(width)]
                for row, order in ((r, above), (r + distance, below)):
                    picked = ir.Constant(ir.VectorType(I32, width), order)
                    block[row] = builder.shuffle_vector(upper, lower, picked)
            distance *= 2
        for r in range(width):
            store_vector(builder, block[r], target.place(builder, r, 0))
        return context.get_dummy_value()

    return types.void(source, types.intp, types.intp, target), generate


tile_vectors = stack_of(WIDE)
product = make_product("clamp")
product_step = make_product("step")
indexed_product = make_indexed_product("clamp")
indexed_product_step = make_indexed_product("step")
