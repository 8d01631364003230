"""A validation set of the user's own: what is recorded, what early stopping makes of it, what is refused."""

import numpy as np
import pytest
from scipy import sparse
from sklearn.metrics import accuracy_score, r2_score
from sklearn.neural_network._base import LOSS_FUNCTIONS
from twins import REGRESSORS, SETS, assert_close, load, make, outcome, quietly

COMMON = {"hidden_layer_sizes": (6,), "random_state": 1, "batch_size": 20, "learning_rate_init": 0.01}


def split(name, n=120):
    X, y = load(name, n)
    half = len(X) // 2
    return X[:half], y[:half], (X[half:], y[half:])


def ours(name="wine", **parameters):
    return make(name, **COMMON | parameters)[0]


def loss_of(it, X, y):
    """The loss in scikit-learn's own functions."""
    name, outputs = it.loss, it._forward_pass_fast(X)
    if name == "log_loss":
        name = "binary_log_loss" if it.out_activation_ == "logistic" else name
        y = it._label_binarizer.transform(y)
    return LOSS_FUNCTIONS[name](np.reshape(y, outputs.shape), outputs)


@pytest.mark.parametrize(
    "name, loss", [(name, None) for name in SETS] + [(name, "poisson") for name in REGRESSORS]
)
def test_loss_and_score_of_each_epoch_are_on_record(name, loss):
    X, y, (X_val, y_val) = split(name)
    parameters = {}
    if loss:
        parameters, y, y_val = {"loss": loss}, np.exp(y), np.exp(y_val)
    score = r2_score if name in REGRESSORS else accuracy_score
    whole = quietly(ours(name, max_iter=4, **parameters).fit, X, y, eval_set=(X_val, y_val))
    for n in range(1, 5):  # what a shorter fit ends with
        it = quietly(ours(name, max_iter=n, **parameters).fit, X, y)
        assert_close(whole.validation_loss_curve_[n - 1], loss_of(it, X_val, y_val), 1e-12)
        assert_close(whole.validation_scores_[n - 1], score(y_val, it.predict(X_val)), 1e-12)
    assert len(whole.validation_loss_curve_) == len(whole.validation_scores_) == 4
    np.testing.assert_array_equal(whole.coefs_[0], it.coefs_[0])  # looking on changes nothing
    assert whole.loss_curve_ == it.loss_curve_ and whole.best_loss_ == min(whole.loss_curve_)


def test_of_the_training_set_it_is_the_loss_that_the_next_epoch_reports():
    X, y, _ = split("wine")
    it = ours(batch_size=len(X), shuffle=False, alpha=0.0, max_iter=6)
    quietly(it.fit, X, y, eval_set=(X, y))
    assert_close(it.validation_loss_curve_[:-1], it.loss_curve_[1:], 1e-12)


@pytest.mark.parametrize("name", ["wine", "diabetes", "multilabel"])
def test_early_stopping_watches_it_and_sets_nothing_aside(name):
    X, y, (X_val, y_val) = split(name)
    tol = 1e-4
    it = ours(name, early_stopping=True, n_iter_no_change=3, tol=tol, max_iter=300)
    scores = quietly(it.fit, X, y, eval_set=(X_val, y_val)).validation_scores_
    assert len(scores) == it.n_iter_ < 300 and it.t_ == it.n_iter_ * len(X)
    best = int(np.argmax(scores))
    assert it.best_validation_score_ == scores[best] and it.best_loss_ is None
    no_better = [score < max(scores[:i]) + tol for i, score in enumerate(scores) if i]
    assert all(no_better[-4:]) and not any(all(no_better[i : i + 4]) for i in range(len(no_better) - 4))
    to_the_best = quietly(ours(name, max_iter=best + 1, tol=0.0, n_iter_no_change=np.inf).fit, X, y)
    assert_close(it.coefs_, to_the_best.coefs_, 1e-12)
    score = it.score(X_val, y_val)
    assert_close(score, it.best_validation_score_, 1e-12)


def test_kinds_of_sets():
    X, y, (X_val, y_val) = split("wine")
    expected = quietly(ours(max_iter=3).fit, X, y, eval_set=(X_val, y_val))
    for pair in (
        [X_val, y_val],
        (X_val.tolist(), y_val.tolist()),
        (sparse.csr_matrix(X_val), y_val * 1.0),
        (np.asfortranarray(X_val), y_val[:, None]),
    ):
        it = quietly(ours(max_iter=3).fit, X, y, eval_set=pair)
        assert it.validation_loss_curve_ == expected.validation_loss_curve_
        assert it.validation_scores_ == expected.validation_scores_
    names = np.array(["barolo", "grignolino", "barbera"], object)
    it = quietly(ours(max_iter=3).fit, X, names[y], eval_set=(X_val, names[y_val]))
    assert it.validation_scores_[-1] == it.score(X_val, names[y_val])


def test_a_data_frame_is_held_against_the_names_of_features():
    pandas = pytest.importorskip("pandas")
    X, y, (X_val, y_val) = split("wine")
    names = [f"feature {i}" for i in range(X.shape[1])]
    frame, frame_val = (pandas.DataFrame(each, columns=names) for each in (X, X_val))
    got = outcome(ours(max_iter=2).fit, frame, y, eval_set=(frame_val, pandas.Series(y_val)))
    assert got.error is None and "feature names" not in str(got.warnings)
    got = outcome(ours(max_iter=2).fit, frame, y, eval_set=(X_val, y_val))
    assert got.error is None and "does not have valid feature names" in str(got.warnings)
    with pytest.raises(ValueError, match="(?s)^eval_set: The feature names should match.*same order"):
        ours().fit(frame, y, eval_set=(frame_val[names[::-1]], y_val))


X, Y, (X_VAL, Y_VAL) = split("wine")
_, T, (D_VAL, T_VAL) = split("diabetes")
REFUSED = {
    "eval_set is of type ndarray, expected a pair": X_VAL,
    "eval_set is of type tuple, expected a pair": (X_VAL, Y_VAL, Y_VAL),
    "eval_set is of type list, expected a pair": [(X_VAL, Y_VAL)],
    "eval_set: Expected 2D array, got scalar": (None, None),
    "eval_set: X_val has 60 rows and y_val 1$": (X_VAL, None),
    "eval_set: X_val has 60 rows and y_val 59": (X_VAL, Y_VAL[1:]),
    "eval_set: X has 4 features, but MLPClassifier is expecting 13": (X_VAL[:, :4], Y_VAL),
    "eval_set: Input X contains NaN": (np.where(X_VAL > 1, np.nan, X_VAL), Y_VAL),
    "eval_set: y_val has the class 3, which y has not": (X_VAL, Y_VAL + 1),
    "eval_set: y_val has the class a, which y has not": (X_VAL, np.array(list("abc"))[Y_VAL]),
    "eval_set: y_val has the class nan, which y has not": (X_VAL, np.where(Y_VAL > 1, np.nan, Y_VAL)),
    "eval_set: Found array with 0 sample": (X_VAL[:0], Y_VAL[:0]),
    "eval_set: Multioutput target data": (X_VAL, np.column_stack([Y_VAL, Y_VAL])),
}
REFUSED_BY_REGRESSORS = {
    "eval_set: y has 2 columns, expected 1": (D_VAL, np.column_stack([T_VAL, T_VAL])),
    r"eval_set: y\[.*\] is nan, expected finite": (D_VAL, np.where(T_VAL > 1, np.nan, T_VAL)),
    "eval_set: y has dtype <U32, expected real numbers": (D_VAL, T_VAL.astype(str)),
}


@pytest.mark.parametrize("stopping", [False, True])
@pytest.mark.parametrize("words, pair", REFUSED.items(), ids=REFUSED)
def test_what_is_refused_by_its_name(words, pair, stopping):
    with pytest.raises(ValueError, match=words):
        ours(early_stopping=stopping).fit(X, Y, eval_set=pair)


@pytest.mark.parametrize("words, pair", REFUSED_BY_REGRESSORS.items(), ids=REFUSED_BY_REGRESSORS)
def test_what_regressors_refuse(words, pair):
    with pytest.raises(ValueError, match=words):
        ours("diabetes").fit(split("diabetes")[0], T, eval_set=pair)


def test_several_labels_and_counts_are_looked_at_too():
    X, y, (X_val, y_val) = split("multilabel")
    with pytest.raises(ValueError, match=r"eval_set: y_val has shape \(60,\), expected \(60, 5\)"):
        ours("multilabel").fit(X, y, eval_set=(X_val, y_val[:, 0]))
    with pytest.raises(ValueError, match="eval_set: classes .* mismatch"):
        ours("multilabel").fit(X, y, eval_set=(X_val, y_val[:, :2]))
    X, y, (X_val, y_val) = split("diabetes")
    with pytest.raises(ValueError, match=r"eval_set: y\[.*\] is -.*, expected none below 0"):
        ours("diabetes", loss="poisson").fit(X, np.exp(y), eval_set=(X_val, y_val))


# --- from call to call -----------------------------------------------------------------------------------


def test_curves_run_on_over_warm_starts_and_begin_anew_without():
    it = ours(warm_start=True, max_iter=3)
    quietly(it.fit, X, Y, eval_set=(X_VAL, Y_VAL))
    first = list(it.validation_loss_curve_)
    quietly(it.fit, X, Y, eval_set=(X_VAL, Y_VAL))
    assert it.validation_loss_curve_[:3] == first
    assert len(it.validation_loss_curve_) == len(it.validation_scores_) == len(it.loss_curve_) == 6
    quietly(it.set_params(warm_start=False).fit, X, Y, eval_set=(X_VAL, Y_VAL))
    assert it.validation_loss_curve_ == first
    quietly(it.fit, X, Y)
    assert not hasattr(it, "validation_loss_curve_") and it.validation_scores_ is None


def test_partial_fits_leave_curves_of_validation_alone():
    it = quietly(ours(max_iter=3).fit, X, Y, eval_set=(X_VAL, Y_VAL))
    it.partial_fit(X, Y)
    assert len(it.loss_curve_) == 4 and len(it.validation_loss_curve_) == 3
    with pytest.raises(TypeError, match="eval_set"):
        it.partial_fit(X, Y, eval_set=(X_VAL, Y_VAL))


def test_a_failed_fit_forgets_the_set():
    it = ours(max_iter=2)
    with pytest.raises(ValueError, match="eval_set"):
        it.fit(X, Y, eval_set=X)
    quietly(it.fit, X, Y)
    assert not hasattr(it, "validation_loss_curve_") and "_eval_set" not in vars(it)


def test_losses_of_a_diverged_network_are_nan():
    it = ours("diabetes", solver="sgd", learning_rate_init=1e9, max_iter=4)
    samples = split("diabetes")[0]
    got = outcome(it.fit, samples, T, eval_set=(D_VAL, T_VAL))
    assert "non-finite parameter weights" in got.error[1]
    assert len(it.validation_loss_curve_) == 4 and np.isnan(it.validation_loss_curve_[-1])
    assert np.isnan(it.validation_scores_[-1])
