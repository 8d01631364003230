"""The loader: orders, batches, what it finds in a data set, and what it refuses."""

import base64
import copy
import itertools
import pickle
import types
import zlib

import numpy as np
import pytest
from layouts import LAYOUTS, read_only

from fastmlp import MLP, data, kernels, reference, train_epoch
from fastmlp.data import DataLoader, Facts, epoch_order, to_one_hot

COPIES = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "pickle": lambda loader: pickle.loads(pickle.dumps(loader)),
}

# Pickles of version 0.1, compressed: a loader of six samples after its first pass, skipping zeros and not.
PICKLES = {
    "on": (
        "eNp1UE1Lw0AQ3U0bY2u99OAP8FQvQW8eBIWKBVdyEAQvEjbJhi3mi+zmEFGwB2sLc+v4E/0duk2LVGgf7M7szsebN+/tL9ciDaAX"
        "c6XTpHAjrjlC99qYu5xHosQFnkzwDQdAHxGOsiotatcP81K4aZXoMS9LXiP0/FKEeaZ0WYXa1IDdZCI4WbRKWSAjHzikAX7iPQ4Y"
        "ZXusNUXZATvSdSGWRVZ1hvPZKt4C+oqe593+GDQXIxqD+bBvUboa26LGtcxBEwBao9yXB0sWefjHYR59sMbnm30vtvY9JWtQ8h90"
        "x3/D2g24DqWvxi8CWRscJas4TgTOoBOVeeEnZrHmYftKiAifkDkcOn7mF1wpoZBRsGMeaoWSgH3TeAszpdnNbHS1Jhpdfj808Bhh"
        "VOPErDfl6lltE8zotJFcbUiWx1sFO2Q7nB12KbgK3F98JLMu"
    ),
    "off": (
        "eNp1UE1LAzEQTbZda2u99OAP8FQvi948CAoVC0Z6EAQvsmR3s6S4X2yyhxUFe7C2MLeOP9G/oaZpkQr1QZKZzMebN6/Njy9KLKAb"
        "c6XTpPAirjlC59I8NzmPRIkLPJrgC/aB3iMcZFVa1J4f5qXw0irRY16WvEbo+qUI80zpsgq1qQHXZiK0smiVskBG3nBAA3zHW+wz"
        "ynZYY4qyDW6k60Isi5zqBOezVbwB9BlHo9H1t4G9GNEYzAc9h67HdqgxHXPQBIDWKHfl3pJF7v9yGKcHzvh0s+/Z1r7HZA1K/oL+"
        "829ZOwHXofTV+Ekga0JLySqOE4EzaEdlXviJWaxxXF8JEeEDshaHtp/5BVdKKGQU3JiHWqEk4F5Za2GmNLuZDS/WRMPzzzuLESOM"
        "apyY9aZcPaotggkjUyu52pAsD7cJtgKqwPsBFBezqg=="
    ),
}


def make_set(n=10, n_features=5):
    X = np.random.default_rng(n).standard_normal((n, n_features)).astype(np.float32)
    return X, np.arange(n) % 3


class TestOrders:
    @pytest.mark.parametrize("seed, words", [(7, [7]), ([7, 8], [7, 8]), ((7,), [7]), (np.int8(7), [7])])
    def test_pass_e_is_seeded_with_e(self, seed, words):
        loader = DataLoader(*make_set(), shuffle=True, seed=seed)
        for e in range(3):
            expected = np.random.default_rng([*words, e]).permutation(10)
            np.testing.assert_array_equal(loader.next_order(), expected)

    def test_a_generator_gives_its_next_permutation(self):
        loader = DataLoader(*make_set(), shuffle=True, seed=np.random.default_rng(3))
        twin = np.random.default_rng(3)
        for _ in range(3):
            np.testing.assert_array_equal(loader.next_order(), twin.permutation(10))

    def test_none_draws_a_seed_once(self):
        first, second = (DataLoader(*make_set(1000), shuffle=True) for _ in range(2))
        copy = pickle.loads(pickle.dumps(first))
        assert (first.next_order() != second.next_order()).any()
        copy.next_order()
        np.testing.assert_array_equal(first.next_order(), copy.next_order())

    def test_another_goes_on_from_its_position(self):
        loader, other = (DataLoader(*make_set(1000), shuffle=True) for _ in range(2))
        list(loader)
        seed, drawn, n_passes = loader.position()
        other.go_to(n_passes, seed)
        assert drawn and n_passes == 1 and other.position() == loader.position()
        np.testing.assert_array_equal(other.next_order(), loader.next_order())
        other.go_to(0)
        assert other.position() == (seed, True, 0)
        assert DataLoader(*make_set(), seed=[7, 1]).position() == ([7, 1], False, 0)
        assert DataLoader(*make_set(), seed=np.random.default_rng(0)).position() == (None, False, 0)

    def test_without_shuffle_samples_come_as_they_stand(self):
        loader = DataLoader(*make_set(), seed=7)
        for _ in range(2):
            np.testing.assert_array_equal(loader.next_order(), np.arange(10))

    def test_epoch_order(self):
        np.testing.assert_array_equal(
            data.epoch_order(99, [5, 2]), np.random.default_rng([5, 2]).permutation(99)
        )

    @pytest.mark.parametrize("shuffle", [False, True])
    def test_orders_are_int64(self, shuffle):
        assert DataLoader(*make_set(), shuffle=shuffle).next_order().dtype == np.int64
        assert data.epoch_order(5, 0).dtype == np.int64

    @pytest.mark.parametrize(
        "n, batch_size, drop_last, length, used",
        [
            (10, 3, False, 4, 10),
            (10, 3, True, 3, 9),
            (9, 3, False, 3, 9),
            (9, 3, True, 3, 9),
            (2, 128, False, 1, 2),
        ],
    )
    def test_length(self, n, batch_size, drop_last, length, used):
        loader = DataLoader(*make_set(n), batch_size, drop_last=drop_last)
        assert len(loader) == length == len(list(loader))
        np.testing.assert_array_equal(loader.next_order(), np.arange(used))

    def test_a_pass_counts_when_it_begins(self):
        loader = DataLoader(*make_set(), shuffle=True, seed=7)
        iter(loader)
        loader.batches()
        np.testing.assert_array_equal(loader.next_order(), np.random.default_rng([7, 2]).permutation(10))


class TestBatches:
    @pytest.mark.parametrize("layout", LAYOUTS)
    @pytest.mark.parametrize("drop_last", [False, True])
    def test_come_in_the_order_of_the_pass(self, tmp_path, layout, drop_last):
        X = LAYOUTS[layout](np.arange(20 * 7, dtype=np.uint8).reshape(20, 7), tmp_path)
        y = np.arange(len(X))
        loaders = [DataLoader(X, y, 4, shuffle=True, seed=1, drop_last=drop_last) for _ in range(2)]
        for _ in range(2):
            order = loaders[0].next_order()
            batches = list(loaders[1])
            assert [len(b) for _, b in batches] == [len(order[i : i + 4]) for i in range(0, len(order), 4)]
            np.testing.assert_array_equal(np.concatenate([a for a, _ in batches]), X[order], strict=True)
            np.testing.assert_array_equal(np.concatenate([b for _, b in batches]), order, strict=True)

    def test_are_fresh(self):
        X, y = make_set()
        loader = DataLoader(X, y, 3)
        arrays = [array for batch in loader for array in batch] + [X, loader.y]
        assert not any(np.shares_memory(a, b) for a, b in itertools.combinations(arrays, 2))

    def test_rows_of_labels(self):
        X, y = make_set()
        rows = to_one_hot(y, 3)
        got = [b for _, b in DataLoader(X, rows, 3)]
        np.testing.assert_array_equal(np.concatenate(got), rows.astype(np.float64), strict=True)

    @pytest.mark.parametrize("shape", [(10,), (10, 2)])
    def test_targets_and_weights(self, shape):
        y, weights = np.random.default_rng(0).standard_normal(shape), np.arange(10.0)
        loader = DataLoader(make_set()[0], y, 3, shuffle=True, seed=1, sample_weight=weights)
        order = epoch_order(10, [1, 0])
        X, targets, of_rows = (np.concatenate(arrays) for arrays in zip(*loader, strict=True))
        np.testing.assert_array_equal(X, loader.X[order], strict=True)
        np.testing.assert_array_equal(targets, y[order], strict=True)
        np.testing.assert_array_equal(of_rows, weights[order], strict=True)

    def test_can_be_written(self):
        for X, y in DataLoader(read_only(make_set()[0]), make_set()[1], 3):
            X[:], y[:] = 0, 0

    def test_create_batches(self):
        X, y = make_set()
        got = list(data.create_batches(X, y, 4, shuffle=True, seed=5))
        expected = list(DataLoader(X, y, 4, shuffle=True, seed=5))
        assert [len(a) for a, _ in got] == [4, 4, 2]
        for pair, expected_pair in zip(got, expected, strict=True):
            np.testing.assert_array_equal(pair[0], expected_pair[0], strict=True)
            np.testing.assert_array_equal(pair[1], expected_pair[1], strict=True)

    def test_create_batches_keeps_the_order_by_default(self):
        X, y = make_set()
        np.testing.assert_array_equal(np.concatenate([a for a, _ in data.create_batches(X, y, 4)]), X)


class TestDataLoader:
    @pytest.mark.parametrize("layout", LAYOUTS)
    def test_does_not_copy_inputs(self, tmp_path, layout):
        X = LAYOUTS[layout](np.arange(70, dtype=np.float32).reshape(10, 7), tmp_path)
        assert DataLoader(X, np.zeros(len(X), int)).X.ctypes.data == X.ctypes.data

    def test_copies_labels(self):
        X, y = make_set()
        loader = DataLoader(X, y)
        y[:] = 99
        assert loader.y.max() == 2

    def test_copies_weights(self):
        weights = np.arange(10.0)
        loader = DataLoader(*make_set(), sample_weight=weights)
        weights[:] = 99
        np.testing.assert_array_equal(loader.weights, np.arange(10.0), strict=True)
        assert DataLoader(*make_set()).weights is None

    def test_labels_for_a_model_are_made_once(self):
        loader = DataLoader(np.eye(3), [1, 0, 1])
        for output in ("softmax", "logistic", "identity"):
            n_out = 2 if output == "softmax" else 1
            first, second = (loader.labels_for(output, n_out) for _ in range(2))
            np.testing.assert_array_equal(first, data.labels_for(loader.y, output, n_out), strict=True)
            assert first.ctypes.data == second.ctypes.data
        for _ in range(2):
            with pytest.raises(ValueError, match="y has the label 1"):
                loader.labels_for("softmax", 1)

    @pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64])
    def test_facts(self, ops, dtype):
        X = np.array([[0, 3, 0], [7, 0, 0]], dtype)
        expected = Facts(3, True, 7.0, 1 / 3, n_classes=None, max_label=4)
        assert DataLoader(X, [4, 2]).prepare(ops).facts == DataLoader(X, [4, 2]).facts == expected
        expected = Facts(3, True, 7.0, 1 / 3, n_classes=2, max_label=None)
        assert DataLoader(X, [[0, 1], [1, 0]]).prepare(ops).facts == expected
        expected = Facts(3, True, 7.0, 1 / 3, n_classes=None, max_label=None)
        assert DataLoader(X, [0.5, -1]).prepare(ops).facts == expected

    @pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
    def test_facts_of_what_is_not_finite(self, ops, value):
        facts = DataLoader([[0, 1.5], [value, -2]], [0, 1]).prepare(ops).facts
        assert not facts.finite and facts.density == 0.75

    @pytest.mark.parametrize(
        "switch, density, filled",
        [
            ("on", 1.0, True),
            ("off", 0.1, False),
            ("auto", 0.1, True),
            ("auto", 0.9, False),
            (None, 0.1, True),
            (None, 0.9, False),
        ],
    )
    def test_masks(self, monkeypatch, ops, switch, density, filled):
        if switch:
            monkeypatch.setenv("FASTMLP_SKIP_ZEROS", switch)
        X = (np.random.default_rng(0).random((20, 70)) < density).astype(np.float32)
        expected = np.zeros((20, 2) if filled else (0, 0), np.uint64)
        if filled:
            reference.zero_masks(X, expected)
        loaders = [DataLoader(X, np.zeros(20, int)) for _ in range(2)]
        monkeypatch.setenv("FASTMLP_SKIP_ZEROS", "off" if filled else "on")  # too late
        np.testing.assert_array_equal(loaders[0].prepare(ops).masks, expected, strict=True)
        np.testing.assert_array_equal(loaders[1].masks, expected, strict=True)

    def test_refuses_another_switch(self, monkeypatch):
        monkeypatch.setenv("FASTMLP_SKIP_ZEROS", "yes")
        with pytest.raises(ValueError, match="FASTMLP_SKIP_ZEROS is 'yes'; set it to auto, on or off"):
            DataLoader(*make_set())

    def test_the_first_model_prepares_with_its_operations(self):
        calls = []

        def counted(name):
            return lambda *args: calls.append(name) or getattr(reference, name)(*args)

        counting = {name: counted(name) for name in ("scan", "zero_masks")}
        first = MLP([5, 3], ops=types.SimpleNamespace(**{**vars(reference), **counting}))
        loader = DataLoader(np.eye(10, 5), np.zeros(10, int))
        assert not calls
        first.check_loader(loader)
        MLP([5, 3], ops=kernels).check_loader(loader)
        first.check_loader(loader)
        assert loader.facts.max_label == 0 and calls == ["scan", "zero_masks"]

    @pytest.mark.parametrize(
        "name", ["X", "y", "batch_size", "shuffle", "drop_last", "facts", "masks", "weights"]
    )
    def test_attributes_cannot_be_set(self, name):
        loader = DataLoader(*make_set(), 3)
        with pytest.raises(AttributeError):
            setattr(loader, name, getattr(loader, name))

    @pytest.mark.parametrize("labels", [np.arange(10) % 2, np.full((10, 3), 1 / 3)], ids=["integers", "rows"])
    @pytest.mark.parametrize("duplicate", [lambda loader: loader, *COPIES.values()], ids=["itself", *COPIES])
    def test_labels_and_masks_cannot_be_written(self, labels, duplicate):
        loader = duplicate(DataLoader(np.eye(10, 5), labels, 3, sample_weight=np.ones(10)))
        made = [loader.labels_for(output, loader.y[0].size) for output in ("logistic", "identity")]
        for array in (loader.y, loader.masks, loader.weights, *made):
            with pytest.raises(ValueError, match="read-only"):
                array[0] = 10**9
            with pytest.raises(ValueError, match="WRITEABLE"):
                array.flags.writeable = True

    @pytest.mark.filterwarnings("ignore::DeprecationWarning")  # newer releases of NumPy dislike it too
    def test_dtypes_cannot_be_changed(self):
        X = make_set()[0]
        loader = DataLoader(X, make_set()[1])
        for array in (X, loader.X, loader.y, loader.masks):
            array.dtype = np.int8  # of this view alone
        assert loader.X.dtype == np.float32 and loader.y.dtype == np.int64 and loader.masks.dtype == np.uint64

    @pytest.mark.parametrize("yes, no", [(True, False), (np.True_, np.False_)])
    def test_numpys_booleans_are_booleans(self, yes, no):
        loader = DataLoader(*make_set(), 3, shuffle=yes, seed=1, drop_last=yes)
        assert loader.shuffle is True and loader.drop_last is True and len(loader) == 3
        loader = DataLoader(*make_set(), 3, shuffle=no, drop_last=no)
        assert loader.shuffle is False and loader.drop_last is False and len(loader) == 4


class TestCopies:
    @pytest.mark.parametrize("duplicate", COPIES.values(), ids=COPIES)
    @pytest.mark.parametrize("seed", [7, (1, 2), np.random.default_rng(3)], ids=str)
    def test_go_on_from_the_same_pass(self, monkeypatch, duplicate, seed):
        monkeypatch.setenv("FASTMLP_SKIP_ZEROS", "on")
        loader = DataLoader(
            *make_set(), 3, shuffle=True, seed=seed, drop_last=True, sample_weight=np.ones(10)
        )
        loader.next_order()
        monkeypatch.delenv("FASTMLP_SKIP_ZEROS")
        twin = duplicate(loader)
        if duplicate is copy.copy and isinstance(seed, np.random.Generator):
            twin = copy.deepcopy(twin)  # else they take turns with one generator
        np.testing.assert_array_equal(twin.next_order(), loader.next_order())
        np.testing.assert_array_equal(twin.X, loader.X)
        np.testing.assert_array_equal(twin.y, loader.y)
        np.testing.assert_array_equal(twin.masks, loader.masks)
        np.testing.assert_array_equal(twin.weights, loader.weights, strict=True)
        assert (twin.facts, len(twin), twin.shuffle) == (loader.facts, len(loader), True)

    def test_pickles_without_weights_load(self):
        loader = DataLoader(*make_set())
        state = loader.__getstate__()
        del state["_weights"], state["_labels"]
        older = DataLoader.__new__(DataLoader)
        older.__setstate__(state)
        assert older.weights is None and len(older.labels_for("softmax", 3)) == 10

    @pytest.mark.parametrize("skip", ["on", "off"])
    def test_old_pickles_go_on_from_their_pass(self, skip):
        loader = pickle.loads(zlib.decompress(base64.b64decode(PICKLES[skip])))
        assert len(loader) == 1 and loader.shuffle and loader.drop_last and loader.batch_size == 4
        np.testing.assert_array_equal(loader.next_order(), [3, 0, 2, 1])
        assert loader.X.tolist() == [[2, 1, 1], [0, 0, 0], [0, 0, 0], [2, 1, 2], [1, 1, 2], [2, 1, 1]]
        assert loader.y.tolist() == [0, 1, 0, 1, 1, 0] and not loader.y.flags.writeable
        assert loader.weights is None and loader.labels_for("identity", 1).shape == (6, 1)
        assert loader.masks.ravel().tolist() == ([7, 0, 0, 7, 7, 7] if skip == "on" else [])
        assert loader.facts == Facts(3, True, 2.0, 2 / 3, n_classes=None, max_label=1)
        train_epoch(MLP([3, 2], seed=0), loader, lr=0.1)


class TestRefusals:
    @pytest.mark.parametrize(
        "options, error, message",
        [
            ({"batch_size": 0}, ValueError, "batch_size is 0, expected at least 1"),
            ({"batch_size": "a"}, TypeError, "batch_size is 'a', expected a whole number"),
            ({"batch_size": True}, TypeError, "batch_size is True, expected a whole number"),
            ({"batch_size": 2.0}, TypeError, "batch_size is 2.0, expected a whole number"),
            ({"seed": -1}, ValueError, "seed is -1, expected no number below 0"),
            ({"seed": [3, -1]}, ValueError, r"seed is \[3, -1\], expected no number below 0"),
            ({"seed": 1.5}, TypeError, "seed is 1.5, expected an int"),
            ({"seed": "12"}, TypeError, "seed is '12', expected an int"),
            ({"sample_weight": np.ones(9)}, ValueError, r"sample_weight has shape \(9,\), expected \(10,\)"),
            ({"drop_last": True, "batch_size": 11}, ValueError, "no batch: 10 samples, batch_size 11"),
        ],
    )
    def test_refuses_options(self, options, error, message):
        with pytest.raises(error, match=message):
            DataLoader(*make_set(), **options)

    @pytest.mark.parametrize(
        "X, y, message",
        [
            (np.zeros((0, 5)), np.zeros(0, int), r"\(0, 5\), expected at least one sample"),
            (np.zeros((5, 0)), np.zeros(5, int), r"\(5, 0\), expected at least one sample"),
            (np.zeros((5, 2)), np.zeros(4, int), "y has 4 labels, expected 5, one for each row of X"),
            (np.zeros((5, 2, 2)), np.zeros(5, int), r"\(5, 2, 2\).*reshape"),
            (np.zeros((5, 2)), np.zeros((5, 2, 1), int), r"\(5, 2, 1\), expected \(n,\) integers"),
        ],
    )
    def test_refuses_data(self, X, y, message):
        with pytest.raises(ValueError, match=message):
            DataLoader(X, y)
