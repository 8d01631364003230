"""The epoch: every stage of a batch on its own inputs, and the same bits by every road."""

import threading
import time

import numpy as np
import pytest
from arenas import NO_MASKS, Network, draw, views
from bounds import (
    assert_within,
    gamma,
    product,
    softmax,
    step,
)

from fastmlp import kernels, reference

DTYPES = pytest.mark.parametrize("dtype", [np.float32, np.float64])
# sizes and batch: depths 1 to 4, widths 1 to 1,025, batches 1 to 257
NETWORKS = [
    ((1, 1), 1), ((5, 3), 2), ((784, 10), 128), ((1, 1, 1), 3), ((13, 70, 10), 7), ((9, 16, 8), 8),
    ((33, 17, 31), 9), ((784, 128, 10), 128), ((30, 1025, 7), 257), ((17, 31, 33, 10), 31),
    ((64, 1, 64, 2), 16), ((70, 69, 17, 16, 10), 65), ((12, 15, 65, 2, 1), 5), ((1025, 3, 4), 2),
    ((20, 113, 100, 97), 33),
]  # fmt: skip


def assert_stages(network, before, x, labels, lr, scale, loss):
    """Every array that one batch left in the arena follows from its own inputs, before the step."""
    dtype, layers = network.dtype, list(network.layers(len(x)))
    inputs = x.astype(dtype) * dtype.type(scale)
    if x.dtype != np.uint8 and (x.dtype != dtype or scale != 1):  # else tiles read x where it lies
        assert np.array_equal(layers[0].x, inputs)
    layers[0] = layers[0]._replace(x=inputs)
    for index, (layer, (w, b)) in enumerate(zip(layers, before, strict=True)):
        expected = np.empty(layer.y.shape)
        ops = reference.linear_forward if layer is layers[-1] else reference.linear_relu_forward
        ops(layer.x.astype(np.float64), w.astype(np.float64), b.astype(np.float64), expected)
        assert_within(layer.y, expected, product(layer.x, w, b))
        if index:
            masked = layers[index - 1].y > 0
            expected = np.where(masked, layer.dy.astype(np.float64) @ w.astype(np.float64).T, 0)
            assert_within(layers[index - 1].dy, expected, masked * product(layer.dy, w.T))
        for got, old, a in ((layer.w, w, layer.x.T), (layer.b, b, np.ones((1, len(x)), dtype))):
            gradient = a.astype(np.float64) @ layer.dy.astype(np.float64)
            expected = old - float(lr) * gradient
            assert_within(
                got,
                expected.reshape(got.shape),
                step(expected, lr, gradient, product(a, layer.dy), dtype).reshape(got.shape),
            )
    top = layers[-1]
    expected, losses = np.empty(top.y.shape), np.empty(len(x))
    reference.softmax_cross_entropy(top.y.astype(np.float64), labels, expected, losses)
    of_dlogits, of_losses = softmax(top.y, np.eye(top.y.shape[1])[labels] if labels.ndim == 1 else labels)
    assert_within(top.dy, expected, of_dlogits / len(x))
    assert_within(loss, losses.mean(), of_losses.mean() + gamma(len(x), np.float64) * np.abs(losses).mean())


@DTYPES
@pytest.mark.parametrize(("sizes", "batch"), NETWORKS, ids=str)
def test_stages_of_ten_steps(sizes, batch, dtype):
    network = Network(sizes, batch, dtype)
    lr, scale = dtype(0.05), dtype(1 / 255)
    n_steps = 10 if max(sizes) < 500 else 2
    x, labels = draw(n_steps * batch, sizes)
    for start in range(0, len(x), batch):
        now = slice(start, start + batch)
        before = [(layer.w.copy(), layer.b.copy()) for layer in network.layers()]
        done, losses = network.train(x[now], labels[now], lr=lr, scale=scale)
        assert done == 1
        assert_stages(network, before, x[now], labels[now], lr, scale, losses[0])


LAYOUTS = {
    "fortran": np.asfortranarray,
    "every other column": lambda x: np.repeat(x, 2, axis=1)[:, ::2],
    "every other row": lambda x: np.repeat(x, 2, axis=0)[::2],
    "backwards": lambda x: x[::-1].copy()[::-1],
    "columns backwards": lambda x: x[:, ::-1].copy()[:, ::-1],
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("x_dtype", [np.uint8, np.float32, np.float64])
@pytest.mark.parametrize("masked", [False, True])
def test_where_x_lies_changes_no_bit(layout, x_dtype, masked):
    sizes, n, batch = (70, 65, 5), 61, 16
    x, labels = draw(n, sizes)
    x = x.astype(x_dtype)
    masks = np.empty((n, 2), np.uint64) if masked else NO_MASKS
    if masked:
        kernels.zero_masks(x, masks)
    runs = []
    for data in (x, LAYOUTS[layout](x)):
        assert np.array_equal(data, x)
        network = Network(sizes, batch)
        _, losses = network.train(data, labels, np.arange(n)[::-1], masks=masks, lr=1e-4)
        runs.append((network.parameters().tobytes(), losses.tolist()))
    assert runs[0] == runs[1]


@DTYPES
@pytest.mark.parametrize(
    ("x_dtype", "kind"),
    [(np.uint8, "integers"), (np.uint8, "rows"), (np.float32, "integers"), (np.float64, "integers")],
)
def test_an_epoch_is_its_batches_one_by_one(x_dtype, kind, dtype):
    sizes, n, batch = (21, 19, 17, 5), 61, 8  # the last batch has 5 samples
    x, labels = draw(n, sizes, kind=kind)
    x, order = x.astype(x_dtype), np.random.default_rng(1).permutation(n)
    epoch, steps = Network(sizes, batch, dtype), Network(sizes, batch, dtype)
    done, losses = epoch.train(x, labels, order, scale=1 / 255)
    expected = []
    for start in range(0, n, batch):
        now = order[start : start + batch]
        before = [(layer.w.copy(), layer.b.copy()) for layer in steps.layers()]
        one, loss = steps.train(x[now], labels[now], scale=1 / 255)
        assert one == 1
        assert_stages(steps, before, x[now], labels[now], dtype(0.05), 1 / 255, loss[0])
        expected.append(loss[0])
    assert done == len(expected) == 8
    assert losses.tolist() == expected
    assert epoch.parameters().tobytes() == steps.parameters().tobytes()


@pytest.mark.parametrize("sizes", [(6, 3), (21, 19, 5), (9, 8, 7, 6, 5)], ids=str)
def test_ten_steps_of_an_epoch_follow_the_reference(sizes):
    x, labels = draw(77, sizes)
    networks = [Network(sizes, 8, np.float64, ops=ops) for ops in (kernels, reference)]
    losses = [network.train(x, labels, scale=1 / 255)[1] for network in networks]
    # in float64 no ReLU is near enough to 0 to flip, and ten steps multiply roundings by far less than 1e4
    assert np.allclose(*losses, rtol=1e-11, atol=0)
    assert np.allclose(*(network.parameters() for network in networks), rtol=1e-11, atol=1e-13)


def assert_pads_are_zero(network):
    for layer, (n_in, n_out) in zip(
        views(network.arena, network.table, network.batch_size),
        network.table[["n_in", "n_out"]].tolist(),
        strict=True,
    ):
        for array, width in ((layer.w, n_out), (layer.x, n_in), (layer.y, n_out)):
            assert not array[:, width:].any()
    ends = np.append(
        network.table["w"][1:], network.table[0]["x"]
    )  # b ends where the next layer, or x, begins
    for (n_out, b), end in zip(network.table[["n_out", "b"]].tolist(), ends, strict=True):
        assert not network.arena[b + n_out : end].any()


@DTYPES
@pytest.mark.parametrize("sizes", [(1, 1), (13, 70, 10), (17, 31, 33, 10), (9, 97, 530, 113)], ids=str)
def test_pads_stay_zero_and_margins_untouched(sizes, dtype):
    network = Network(sizes, 32, dtype)
    x, labels = draw(100, sizes)
    assert network.train(x, labels, scale=1 / 255)[0] == 4
    assert_pads_are_zero(network)
    network.arena[:] = np.nan
    assert np.isnan(network.buffer).all()


def test_what_is_not_declared_an_output_is_unchanged():
    network = Network((21, 19, 5), 8)
    x, labels = draw(50, (21, 5))
    order, table = np.random.default_rng(1).permutation(50), network.table.copy()
    kept = [a.copy() for a in (x, labels, order)]
    for a in (x, labels, order):
        a.flags.writeable = False
    stop = np.zeros(1, np.int64)
    network.train(x, labels, order, stop=stop)
    assert all(
        np.array_equal(a, k)
        for a, k in zip((x, labels, order, network.table, stop), [*kept, table, [0]], strict=True)
    )


def test_a_batch_larger_than_the_data_is_one_short_batch():
    x, labels = draw(5, (7, 6, 3))
    large, exact = Network((7, 6, 3), 64), Network((7, 6, 3), 5)
    assert large.train(x, labels)[1].tolist() == exact.train(x, labels)[1].tolist()
    assert large.parameters().tobytes() == exact.parameters().tobytes()


def test_samples_may_repeat_or_be_left_out():
    x, labels = draw(9, (7, 6, 3))
    order = np.array([8, 0, 8, 3, 3])
    picked, copied = Network((7, 6, 3), 2), Network((7, 6, 3), 2)
    assert picked.train(x, labels, order)[1].tolist() == copied.train(x[order], labels[order])[1].tolist()
    assert picked.parameters().tobytes() == copied.parameters().tobytes()


def layouts(x, folder):
    """The same numbers in every dtype and layout."""
    for dtype in (np.uint8, np.float32, np.float64):
        plain = x.astype(dtype)
        read_only = plain.copy()
        read_only.flags.writeable = False
        mapped = np.memmap(folder / f"{plain.dtype}", dtype, "w+", shape=x.shape)
        mapped[:] = plain
        mapped.flush()
        mapped = np.memmap(folder / f"{plain.dtype}", dtype, "r", shape=x.shape)
        wide = np.repeat(np.repeat(plain, 2, axis=0), 3, axis=1)
        yield from (
            plain,
            np.asfortranarray(plain),
            wide[::2, ::3],
            plain[::-1].copy()[::-1],
            read_only,
            mapped,
        )


@DTYPES
def test_the_same_bits_whatever_the_dtype_and_layout_of_whole_numbers(dtype, tmp_path):
    sizes = (37, 19, 5)
    x, labels = draw(50, sizes)
    weights = set()
    for same in layouts(x, tmp_path):
        network = Network(sizes, 16, dtype)
        network.train(same, labels, scale=1 / 255)
        weights.add(network.parameters().tobytes())
    assert len(weights) == 1


def trained(network, x, labels, masks=NO_MASKS, order=None):
    """Bytes of all that an epoch and inference say."""
    done, losses = network.train(x, labels, order, scale=1 / 255, masks=masks)
    assert done == len(losses)
    return network.parameters().tobytes() + losses.tobytes() + network.infer(x, 1 / 255).tobytes()


def masks_of(x):
    masks = np.empty((len(x), -(-x.shape[1] // 64)), np.uint64)
    reference.zero_masks(x, masks)
    return masks


@DTYPES
@pytest.mark.parametrize("x_dtype", [np.uint8, np.float32, np.float64])
def test_the_same_bits_with_masks_of_the_zeros_and_without(x_dtype, dtype):
    sizes = (200, 33, 10)
    x, labels = draw(300, sizes)
    x[:, ::7] = x[::9] = 0
    x, order = x.astype(x_dtype), np.random.default_rng(2).permutation(300)
    runs = [trained(Network(sizes, 64, dtype), x, labels, masks, order) for masks in (NO_MASKS, masks_of(x))]
    assert runs[0] == runs[1]


@DTYPES
@pytest.mark.parametrize("batch", [1, 3, 4, 5, 17])
@pytest.mark.parametrize(
    "sizes", [(1, 1), (7, 2), (63, 15, 3), (64, 16), (65, 70, 4), (129, 33, 10), (65, 100, 97)], ids=str
)
def test_masks_change_no_bit_at_the_edges_of_words_groups_and_tiles(sizes, batch, dtype):
    x, labels = draw(20, sizes)
    for given in (
        x,
        np.zeros_like(x),
        np.full_like(x, 255),
        x * (np.arange(sizes[0]) == sizes[0] - 1).astype(np.uint8),
    ):
        runs = {
            trained(Network(sizes, batch, dtype), given, labels, masks)
            for masks in (NO_MASKS, masks_of(given))
        }
        assert len(runs) == 1


@DTYPES
def test_skipping_touches_no_margin_and_leaves_pads_zero(dtype):
    sizes = 129, 113, 10
    network = Network(sizes, 17, dtype)
    x, labels = draw(50, sizes)
    network.train(x, labels, masks=masks_of(x), scale=1 / 255)
    assert_pads_are_zero(network)
    network.arena[:] = np.nan
    assert np.isnan(network.buffer).all()


@DTYPES
@pytest.mark.parametrize("sizes", [(1, 1), (65, 300, 10), (129, 530, 10), (1030, 97)], ids=str)
def test_a_shift_is_that_of_the_reference_and_stays_within_its_room(sizes, dtype, threads):
    x, labels = draw(50, sizes)
    shift = -np.random.default_rng(0).random(sizes[0])
    runs = set()
    for n in (1, 2, 4, 16):
        threads(n)
        for masks in (NO_MASKS, masks_of(x)):
            network = Network(sizes, 17, dtype, centered=True)
            losses = network.train(x, labels, masks=masks, scale=1 / 255, shift=shift)[1]
            logits = network.infer(x, 1 / 255, shift)
            runs.add(network.parameters().tobytes() + losses.tobytes() + logits.tobytes())
            assert_pads_are_zero(network)
            kept = network.parameters()
            network.arena[:] = np.nan
            assert np.isnan(network.buffer).all()
    assert len(runs) == 1
    if dtype == np.float64:
        twin = Network(sizes, 17, dtype, ops=reference)
        expected = twin.train(x, labels, scale=1 / 255, shift=shift)[1]
        # as in ten steps of an epoch, above
        assert np.allclose(losses, expected, rtol=1e-11, atol=1e-13)
        assert np.allclose(kept, twin.parameters(), rtol=1e-11, atol=1e-13)
        assert np.allclose(logits, twin.infer(x, 1 / 255, shift), rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize(
    ("sizes", "batch"),
    [((5, 3), 1), ((13, 70, 17, 10), 29), ((100, 33, 10), 64), ((20, 113, 97), 64)],
    ids=str,
)
def test_the_same_bits_whatever_the_threads(sizes, batch, threads):
    x, labels = draw(200, sizes)
    runs = []
    for n in (1, 2, 4, 3, 1):
        threads(n)
        network = Network(sizes, batch)
        losses = network.train(x, labels, scale=1 / 255)[1]
        runs.append(network.parameters().tobytes() + losses.tobytes())
    assert len(set(runs)) == 1


@pytest.mark.parametrize("n_threads", [1, 3])
def test_the_stop_flag_ends_an_epoch_before_its_next_batch(threads, n_threads):
    threads(n_threads)
    network = Network((3, 4, 2), 4)
    x, labels = draw(8, (3, 2))
    before = network.parameters()
    done, losses = network.train(x, labels, stop=np.ones(1, np.int64))
    assert done == 0 and np.isnan(losses).all()
    assert network.parameters().tobytes() == before.tobytes()


def test_a_flag_raised_meanwhile_stops_a_long_epoch_between_two_batches():
    sizes = (64, 64, 8)
    network, twin = Network(sizes, 1), Network(sizes, 1)
    x, labels = draw(8, sizes)
    order, stop = np.arange(2_000_000) % 8, np.zeros(1, np.int64)
    for each in (network, twin):
        each.train(x, labels, scale=1 / 255)  # compiled before the clock starts
    timer = threading.Timer(0.05, stop.__setitem__, (0, 1))
    timer.start()
    began = time.perf_counter()
    done, losses = network.train(x, labels, order, stop=stop, scale=1 / 255)
    assert time.perf_counter() - began < 5
    timer.join()
    assert done < len(order)
    assert np.isfinite(losses[:done]).all() and np.isnan(losses[done:]).all()
    assert twin.train(x, labels, order[:done], scale=1 / 255)[0] == done
    assert network.parameters().tobytes() == twin.parameters().tobytes()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("n_threads", [1, 2])
def test_a_batch_that_diverges_takes_no_step(bad, n_threads, threads):
    threads(n_threads)
    sizes = (6, 9, 4)
    x, labels = draw(40, sizes)
    x = x.astype(np.float32)
    x[21] = bad
    network, twin = Network(sizes, 8), Network(sizes, 8)
    done, losses = network.train(x, labels, scale=1 / 255)
    assert done == 2
    assert np.isfinite(losses[:2]).all() and not np.isfinite(losses[2]) and np.isnan(losses[3:]).all()
    assert twin.train(x[:16], labels[:16], scale=1 / 255)[0] == 2
    assert network.parameters().tobytes() == twin.parameters().tobytes()


def test_a_learning_rate_beyond_all_measure_ends_in_a_loss_that_is_not_finite():
    network = Network((6, 9, 4), 8)
    done, losses = network.train(*draw(400, (6, 4)), lr=1e30)
    assert done < 50 and not np.isfinite(losses[done])
