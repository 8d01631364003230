"""Layers, forward and backward."""

import functools

import numpy as np

from ._checks import activation_bounds, gamma, product_bound, require_within
from ._timing import OPS, Timed, ratio_of, ratio_over
from ._workload import begin, normal, operation, place

KERNELS = ["linear_forward", "linear_relu_forward", "linear_backward", "linear_relu_backward"]
HIDDEN = [kernel for kernel in KERNELS if "relu" in kernel]  # the others have the same loops
CALLS = 10  # of a sample


class Linear(Timed):
    params = [HIDDEN, ["784-128 float32 b128 t1", "512-512 float64 b512 t2"], OPS]
    param_names = ["kernel", "workload", "ops"]

    def setup(self, kernel, workload, ops=None):
        self.pair = checked_pair(kernel, begin(workload))

    def time_10_calls(self, kernel, workload, ops):
        for _ in range(CALLS):
            self.pair[ops]()

    @ratio_over(KERNELS, ["784-128 float32 b128 t1"])
    def track_time_ratio(self, kernel, workload):
        return ratio_of(self.pair)


class Activated:
    params = [
        ["linear_activation_forward", "linear_activation_backward"],
        ["tanh", "gelu"],  # one that takes its derivative from the output, and one from the pre-activation
        ["784-128 float32 b128 t1"],
    ]
    param_names = ["kernel", "activation", "workload"]
    unit = "kernels/reference"

    def setup(self, kernel, activation, workload):
        self.pair = activated_pair(kernel, activation, begin(workload))

    def track_time_ratio(self, kernel, activation, workload):
        return ratio_of(self.pair)


@functools.cache
def checked_pair(kernel, workload, first=False):
    """Call of each back end, compared with the reference in float64; a first layer's backward has no dx."""
    return backward(kernel, workload, first) if kernel.endswith("backward") else forward(kernel, workload)


def forward(kernel, workload):
    n_in, n_out = workload.sizes
    x, w, b = normal(workload.dtype, (workload.batch, n_in), (n_in, n_out), (n_out,))
    expected = np.empty((workload.batch, n_out))
    x64, w64, b64 = (a.astype(np.float64) for a in (x, w, b))
    operation("reference", kernel)(x64, w64, b64, expected)
    bound = product_bound(x64, w64, b64, workload.dtype)
    pair = {}
    for ops in OPS:
        (y,) = place(workload.dtype, expected.shape)
        pair[ops] = functools.partial(operation(ops, kernel), x, w, b, y)
        pair[ops]()
        require_within(f"{ops}.{kernel}", y, expected, bound)
    return pair


def backward(kernel, workload, first):
    n_in, n_out, batch = *workload.sizes, workload.batch
    x, w, y, dy = normal(workload.dtype, (batch, n_in), (n_in, n_out), (batch, n_out), (batch, n_out))
    inputs = (x, w, y, dy) if "relu" in kernel else (x, w, dy)
    if "relu" in kernel:
        dy *= y > 0  # what the kernel makes of it, so that each call has the same work
    x64, w64, dy64 = (a.astype(np.float64) for a in (x, w, dy))
    bounds = (
        product_bound(dy64, w64.T, 0.0, workload.dtype),
        product_bound(x64.T, dy64, 0.0, workload.dtype),
        gamma(batch, workload.dtype) * np.abs(dy64).sum(axis=0),
    )
    expected = [np.empty(bound.shape) for bound in bounds]
    operation("reference", kernel)(*(a.astype(np.float64) for a in inputs), *expected)
    pair = {}
    for ops in OPS:
        dx, *others = outputs = place(workload.dtype, *(bound.shape for bound in bounds))
        pair[ops] = functools.partial(operation(ops, kernel), *inputs, None if first else dx, *others)
        pair[ops]()
        checks = list(zip(("dx", "dw", "db"), outputs, expected, bounds, strict=True))
        for name, *check in checks[first:]:
            require_within(f"{ops}.{kernel}, {name}", *check)
    return pair


@functools.cache
def activated_pair(kernel, activation, workload):
    """Call of each back end of a layer with an activation, compared with the reference in float64."""
    make = activated_backward if kernel.endswith("backward") else activated_forward
    return make(kernel, activation, workload)


def activated_forward(kernel, activation, workload):
    dtype, (n_in, n_out), batch = workload.dtype, workload.sizes, workload.batch
    x, w, b = normal(dtype, (batch, n_in), (n_in, n_out), (n_out,))
    w *= 2.0**-5  # exact, and z is then near 1, where activations are no straight lines
    x64, w64, b64 = (a.astype(np.float64) for a in (x, w, b))
    expected = np.empty((batch, n_out))
    operation("reference", kernel)(x64, w64, b64, activation, np.empty_like(expected), expected)
    of_y, _ = activation_bounds(x64 @ w64 + b64, product_bound(x64, w64, b64, dtype), dtype)
    pair = {}
    for ops in OPS:
        z, y = place(dtype, expected.shape, expected.shape)
        pair[ops] = functools.partial(operation(ops, kernel), x, w, b, activation, z, y)
        pair[ops]()
        require_within(f"{ops}.{kernel}, {activation}", y, expected, of_y)
    return pair


def activated_backward(kernel, activation, workload):
    dtype, (n_in, n_out), batch = workload.dtype, workload.sizes, workload.batch
    shapes = (batch, n_in), (n_in, n_out), (batch, n_out), (batch, n_out), (batch, n_out)
    pair = {}
    for ops in OPS:
        x, w, y, z, dy = inputs = normal(dtype, *shapes)
        y[...] = np.tanh(z)
        x64, w64, _, z64, dz64 = exact = [a.astype(np.float64) for a in inputs]
        expected = [np.empty(shape) for shape in (x.shape, w.shape, (n_out,))]
        operation("reference", kernel)(*exact, activation, *expected)
        of_dz = activation_bounds(z64, 0.0, dtype)[1] * np.abs(dy)
        bounds = (
            product_bound(dz64, w64.T, 0.0, dtype) + of_dz @ np.abs(w64.T),
            product_bound(x64.T, dz64, 0.0, dtype) + np.abs(x64.T) @ of_dz,
            gamma(batch, dtype) * np.abs(dz64).sum(axis=0) + of_dz.sum(axis=0),
        )
        outputs = place(dtype, *(bound.shape for bound in bounds))
        pair[ops] = functools.partial(operation(ops, kernel), *inputs, activation, *outputs)
        pair[ops]()
        for name, *check in zip(("dx", "dw", "db"), outputs, expected, bounds, strict=True):
            require_within(f"{ops}.{kernel}, {activation}, {name}", *check)
        y[...], z[...] = 0, 100  # where the slope is 1, for else dy would fade to nothing from call to call
        dy[...] = 1
    return pair
