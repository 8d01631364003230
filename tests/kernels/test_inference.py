"""Logits of many rows: against the layers one by one, whatever the rows beside them and the threads."""

import numpy as np
import pytest
from arenas import Network

from fastmlp import kernels

SIZES = [
    (1, 1),
    (5, 3),
    (784, 128, 10),
    (13, 70, 1, 17),
    (1030, 33, 16, 8, 10),
    (30, 130, 530, 113),
    (1030, 97),
]
ROWS = [1, 2, 63, 64, 65, 130]
DTYPES = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def draw(n, n_in, dtype=np.uint8, density=1.0):
    rng = np.random.default_rng(n)
    return (rng.integers(1, 256, (n, n_in)) * (rng.random((n, n_in)) < density)).astype(dtype)


def layer_by_layer(network, x, scale):
    y = x.astype(network.dtype) * network.dtype.type(scale)
    layers = list(network.layers())
    for layer in layers:
        x, y = y, np.empty((len(x), len(layer.b)), network.dtype)
        forward = kernels.linear_forward if layer is layers[-1] else kernels.linear_relu_forward
        forward(x, layer.w, layer.b, y)
    return y


@DTYPES
@pytest.mark.parametrize("density", [0, 0.1, 1])
@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_logits_are_those_of_the_layers_one_by_one(sizes, density, dtype):
    network = Network(sizes, 1, dtype)
    for n in ROWS:
        x = draw(n, sizes[0], density=density)
        assert network.infer(x, 1 / 255).tobytes() == layer_by_layer(network, x, 1 / 255).tobytes()


def test_a_row_does_not_depend_on_its_neighbours():
    network = Network((784, 33, 10), 1)
    x = draw(70, 784, density=0.5)
    together = network.infer(x, 1 / 255)
    for row in (0, 1, 7, 63, 64, 69):
        assert network.infer(x[row : row + 1], 1 / 255)[0].tobytes() == together[row].tobytes()
    x[::2] = 0
    assert network.infer(x, 1 / 255)[1::2].tobytes() == together[1::2].tobytes()


def test_the_same_bits_whatever_the_threads(threads):
    network, x = Network((50, 33, 10), 1), draw(300, 50)
    logits = []
    for n in (1, 2, 4, 1):
        threads(n)
        logits.append(network.infer(x, 1 / 255).tobytes())
    assert len(set(logits)) == 1


@DTYPES
def test_the_same_bits_whatever_the_dtype_and_layout_of_whole_numbers(dtype):
    network, x = Network((20, 7, 3), 1, dtype), draw(66, 20)
    expected = network.infer(x, 1 / 255).tobytes()
    for same in (x.astype(np.float32), np.asfortranarray(x, np.float64), np.repeat(x, 2, 1)[:, ::2]):
        assert network.infer(same, 1 / 255).tobytes() == expected


def test_the_arena_is_only_read_and_the_logits_have_margins():
    network, x = Network((20, 7, 3), 4), draw(66, 20)
    before = network.buffer.tobytes()
    network.arena.flags.writeable = False
    wide = np.full((70, 41), np.nan, np.float32)
    kernels.infer(network.arena, network.table, x, np.float32(1), network.shift(()), wide[2:68, 19:22])
    assert np.isfinite(wide[2:68, 19:22]).all()
    wide[2:68, 19:22] = np.nan
    assert np.isnan(wide).all()
    assert network.buffer.tobytes() == before


def test_no_rows_no_logits():
    assert Network((4, 3), 1).infer(np.empty((0, 4), np.float32)).shape == (0, 3)


def test_nan_in_a_row_stays_in_it():
    network, x = Network((20, 7, 3), 1), draw(9, 20, np.float32)
    x[4, 11] = np.nan
    assert np.isnan(network.infer(x)).any(axis=1).tolist() == [row == 4 for row in range(9)]


@pytest.mark.parametrize(("density", "skips_by_itself"), [(0.1, True), (0.97, False)])
@pytest.mark.parametrize("switch", ["on", "off", "auto", None])
def test_zeros_are_skipped_where_the_switch_says_so(switch, density, skips_by_itself, monkeypatch):
    """An infinite weight under a feature that is always 0 tells: 0 times infinity is NaN."""
    network, x = Network((70, 9, 3), 4), draw(66, 70, density=density)
    x[:, 5] = 0
    next(iter(network.layers(1))).panels[0][5] = np.inf
    if switch:
        monkeypatch.setenv("FASTMLP_SKIP_ZEROS", switch)
    skipped = switch == "on" or switch != "off" and skips_by_itself
    assert np.isfinite(network.infer(x, 1 / 255)).all() == skipped


def test_a_bad_switch_is_refused(monkeypatch):
    monkeypatch.setenv("FASTMLP_SKIP_ZEROS", "yes")
    network = Network((5, 3), 1)
    with pytest.raises(
        ValueError, match="FASTMLP_SKIP_ZEROS is 'yes'; set it to auto, on or off, or unset it"
    ):
        network.infer(draw(2, 5), 1 / 255)
