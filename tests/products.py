"""Matrix products compiled by themselves, to be compared with chains of fused multiply-adds."""

from fastmlp.kernels.core import matrix
from fastmlp.kernels.core.gather import gathered, gathered_transposed
from fastmlp.kernels.core.jit import callable_kernel


def kernel_of(product):
    """Compile c = epilogue of a @ b + start."""

    @callable_kernel
    def call(a, b, start, c, scalar):
        rows, columns = c.shape
        prologue = matrix.Matrix(matrix.address(start, 0, 0), 0, 1)
        matrices = matrix.rows_of(a, 0), matrix.rows_of(b, 0), matrix.rows_of(c, 0)
        product(matrices[0], matrices[1], matrices[2], rows, columns, a.shape[1], prologue, scalar)

    return call


def gathering_kernel_of(product, transposed):
    """Compile c = epilogue of a[indices] @ b, or of a[indices].T @ b; bytes of a stand for values."""
    gather = gathered_transposed if transposed else gathered

    @callable_kernel
    def call(a, indices, values, b, start, c, scalar):
        rows, columns = c.shape
        a_now = gather(matrix.rows_of(a, 0), matrix.address(indices, 0, 0), matrix.address(values, 0, 0))
        prologue = matrix.Matrix(matrix.address(start, 0, 0), 0, 1)
        product(
            a_now, matrix.rows_of(b, 0), matrix.rows_of(c, 0), rows, columns, b.shape[0], prologue, scalar
        )

    return call
