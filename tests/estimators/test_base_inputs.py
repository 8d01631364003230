"""Data of every type and layout counts as it does in scikit-learn."""

import tracemalloc

import numpy as np
import pytest
from scipy import sparse
from twins import assert_close, assert_same_state, load, make, outcome, quietly

from fastmlp import MLPClassifier, MLPRegressor
from fastmlp.estimators import stochastic

COMMON = {"hidden_layer_sizes": (6,), "random_state": 1, "max_iter": 3, "batch_size": 20}
X, Y = load("wine", 60)
BYTES = np.clip(np.rint(40 * X + 100), 0, 255).astype(np.uint8)
TYPES = "B b h H i I l L q Q ? e f d g".split()


def probabilities_of_both(samples, others=None, name="wine", labels=Y, **parameters):
    """Fit both on samples, and give what both say of others."""
    pair = make(name, **COMMON | parameters)
    others = samples if others is None else others
    outcomes = [outcome(lambda it=it: it.fit(samples, labels)._forward_pass_fast(others)) for it in pair]
    assert outcomes[0][1:] == outcomes[1][1:]
    return *pair, *(each.value for each in outcomes)


@pytest.mark.parametrize("solver, share", [("adam", 1e-9), ("lbfgs", 1e-5)])
@pytest.mark.parametrize("kind", TYPES)
def test_types_of_samples_to_fit(kind, solver, share):
    share = 1e-3 if kind == "f" else share
    ours, theirs, got, expected = probabilities_of_both(BYTES.astype(kind), solver=solver)
    assert got.dtype == np.float64 if kind == "g" else expected.dtype  # long doubles are computed as doubles
    assert_same_state(ours, theirs, share)
    assert_close(got, expected, share)


@pytest.mark.parametrize("fitted", "fd")
@pytest.mark.parametrize("kind", TYPES)
def test_types_of_samples_to_predict(fitted, kind):
    _, _, got, expected = probabilities_of_both(BYTES.astype(fitted), BYTES.astype(kind))
    assert got.dtype == (np.float64 if kind == "g" else expected.dtype)
    assert_close(got, expected, 1e-3 if fitted == "f" else 1e-9)


LAYOUTS = {
    "list": lambda x: x.tolist(),
    "Fortran order": np.asfortranarray,
    "every second column": lambda x: np.repeat(x, 2, axis=1)[:, ::2],
    "backwards": lambda x: x[::-1].copy()[::-1],
    "big-endian": lambda x: x.astype(">f8"),
    "objects": lambda x: x.astype(object),
    "text": lambda x: x.astype(str),
    "CSR": sparse.csr_matrix,
    "CSC array": sparse.csc_array,
    "COO": sparse.coo_matrix,
    "CSR of bytes": lambda x: sparse.csr_array(x.astype(np.uint8)),
    "bytes in Fortran order": lambda x: np.asfortranarray(x.astype(np.uint8)),
}


@pytest.mark.parametrize("solver, share", [("adam", 1e-9), ("lbfgs", 1e-5)])
@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_layouts_of_samples(layout, solver, share):
    ours, theirs, got, expected = probabilities_of_both(layout(BYTES.astype(np.float64)), solver=solver)
    assert_same_state(ours, theirs, share)
    assert_close(got, expected, share)


@pytest.mark.parametrize("solver, share", [("adam", 1e-9), ("lbfgs", 1e-5)])
@pytest.mark.parametrize("name", ["multilabel", "linnerud"])
def test_labels_and_targets_in_fortran_order(name, solver, share):
    samples, labels = load(name, 60)
    for kind in (float, int):  # of a data frame
        _, _, got, expected = probabilities_of_both(
            samples, name=name, labels=np.asfortranarray(labels.astype(kind)), solver=solver
        )
        assert_close(got, expected, share)


REFUSED = {
    "one dimension": X[:, 0],
    "three dimensions": X[None],
    "no rows": X[:0],
    "no columns": X[:, :0],
    "complex": X + 1j,
    "a number": 1.0,
    "None": None,
    "NaN": np.where(X > 2, np.nan, X),
    "infinity": np.where(X > 2, np.inf, X),
    "words": np.full(X.shape, "word"),
    "bytes of one dimension": BYTES[:, 0],
    "bytes of three dimensions": BYTES[None],
    "bytes without rows": BYTES[:0],
    "bytes without columns": BYTES[:, :0],
    "bytes of other length": BYTES[1:],
}


@pytest.mark.parametrize("samples", REFUSED.values(), ids=REFUSED)
def test_samples_are_refused_with_scikit_learns_words(samples):
    pair = make("wine", **COMMON)
    for parameters in ({}, {"solver": "lbfgs"}, {"early_stopping": True}):
        got, expected = (outcome(it.set_params(**parameters).fit, samples, Y) for it in pair)
        assert expected.error and got.error == expected.error
    for it in pair:
        quietly(it.set_params(solver="adam", early_stopping=False).fit, X, Y)
    got, expected = (outcome(it.partial_fit, samples, Y) for it in pair)
    assert got.error == expected.error
    for call in ("predict", "predict_proba"):
        got, expected = (outcome(getattr(it, call), samples) for it in pair)
        assert got.error == expected.error


# --- bytes are not copied --------------------------------------------------------------------------------


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("options", [{}, {"early_stopping": True}, {"dtype": "float32"}], ids=str)
def test_bytes_are_trained_on_as_they_are(monkeypatch, order, options):
    seen = []

    class Loader(stochastic.DataLoader):
        def __init__(self, X, *arguments, **keywords):
            seen.append(X)
            super().__init__(X, *arguments, **keywords)
            seen.append(self.X)

    monkeypatch.setattr(stochastic, "DataLoader", Loader)
    quietly(MLPClassifier(**COMMON, **options).fit, given := np.asarray(BYTES, order=order), Y)
    assert seen[0] is given and np.shares_memory(seen[1], given) and seen[1].dtype == np.uint8


@pytest.mark.parametrize("fit", [True, False], ids=["fit", "predict"])
def test_bytes_cost_no_memory(tmp_path, fit):
    n = 20_000
    images = np.lib.format.open_memmap(tmp_path / "images.npy", "w+", np.uint8, (n, 784))
    images[...] = np.random.default_rng(0).integers(0, 256, images.shape)
    for samples in (images, np.array(images)):
        it = MLPRegressor(hidden_layer_sizes=4, max_iter=1, random_state=0)
        quietly(it.fit, samples[:500], np.zeros(500))  # compiled
        tracemalloc.start()
        quietly(it.fit, samples, np.zeros(n)) if fit else it.predict(samples)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 2 * images.nbytes  # eight times and more, had they become float64


def test_dtype_decides_about_the_arithmetic():
    assert MLPClassifier(**COMMON, dtype="float32").get_params()["dtype"] == "float32"
    for dtype in ("float32", np.float32, np.dtype(np.float64)):
        wide, narrow = (MLPClassifier(**COMMON, dtype=dtype) for _ in range(2))
        quietly(wide.fit, X, Y)
        quietly(narrow.fit, X.astype(np.float32), Y)
        assert {a.dtype for a in wide.coefs_ + narrow.intercepts_} == {np.dtype(dtype)}
        assert wide.predict_proba(X).dtype == np.dtype(dtype) == narrow.predict_proba(X).dtype
    narrow, wide = (MLPClassifier(**COMMON, dtype=dtype) for dtype in ("float32", None))
    quietly(narrow.fit, X, Y)
    quietly(wide.fit, X.astype(np.float32), Y)  # the same arithmetic
    np.testing.assert_array_equal(narrow.predict_proba(X), wide.predict_proba(X.astype(np.float32)))
    with pytest.raises(ValueError, match="'dtype' parameter of MLPClassifier must be"):
        MLPClassifier(dtype="float16").fit(X, Y)
