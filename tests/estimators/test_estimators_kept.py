"""What estimators are made of and kept in: frames, clones, pickles, memory maps, files of skops."""

import copy
import pickle
import warnings

import numpy as np
import pytest
from sklearn import neural_network
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.ensemble import VotingClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import fastmlp
from fastmlp import MLPClassifier, MLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X, Y = load_iris(return_X_y=True)
NAMES = ["sepal length", "sepal width", "petal length", "petal width"]
FRAMES = ["pandas", "polars"]

few = {"hidden_layer_sizes": (6,), "max_iter": 5, "random_state": 0}


def frame_of(library, X=X, names=NAMES):
    return pytest.importorskip(library).DataFrame(dict(zip(names, X.T, strict=True)))


def names_in(fitted):
    """Names of the columns that an estimator has seen; old releases see none in new frames of polars."""
    return getattr(fitted, "feature_names_in_", np.empty(0)).tolist()


def said(function, *arguments):
    """What a call warns of, or the error that it raises."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            function(*arguments)
        except ValueError as error:
            return type(error), str(error)
    return [(warning.category, str(warning.message).replace("fastmlp", "")) for warning in caught]


# --- frames ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("library", FRAMES)
@pytest.mark.parametrize("kind", ["MLPClassifier", "MLPRegressor"])
def test_a_frame_is_its_numbers_and_its_names(library, kind):
    frame = frame_of(library)
    y = pytest.importorskip(library).Series(Y)
    got, plain = (getattr(fastmlp, kind)(**few).fit(*data) for data in ((frame, y), (X, Y)))
    assert names_in(got) == names_in(StandardScaler().fit(frame)) and got.n_features_in_ == 4
    assert got.loss_curve_ == plain.loss_curve_
    assert (got.predict(frame) == plain.predict(X)).all()
    assert got.score(frame, y) == plain.score(X, Y)
    got.partial_fit(frame, y)
    assert names_in(plain) == [] and (library == "polars" or names_in(got) == NAMES)


@pytest.mark.parametrize("library", FRAMES)
def test_a_frame_with_other_names_is_refused_as_scikit_learn_does(library):
    frame = frame_of(library)
    ours, theirs = (package.MLPClassifier(**few).fit(frame, Y) for package in (fastmlp, neural_network))
    other, turned = frame_of(library, names=["a", *NAMES[1:]]), frame_of(library, X[:, ::-1], NAMES[::-1])
    narrow = frame_of(library, X[:, :3], NAMES[:3])
    for data in (frame, X, X.astype(np.float32), X.astype(np.uint8), other, turned, narrow, X[:, :3]):
        for method in ("predict", "predict_proba", "partial_fit"):
            arguments = (data, Y) if method == "partial_fit" else (data,)
            expected = said(getattr(copy.deepcopy(theirs), method), *arguments)
            assert said(getattr(copy.deepcopy(ours), method), *arguments) == expected
    without = [package.MLPClassifier(**few).fit(X, Y) for package in (fastmlp, neural_network)]
    assert said(without[0].predict, frame) == said(without[1].predict, frame)


@pytest.mark.parametrize("library", FRAMES)
def test_the_dtype_of_a_frame_counts_as_it_does_to_scikit_learn(library):
    for dtypes in (["float32"] * 4, ["float32", "float64", "int64", "uint8"], ["bool"] * 4):
        columns = dict(
            zip(NAMES, (column.astype(kind) for column, kind in zip(X.T, dtypes, strict=True)), strict=True)
        )
        frame = pytest.importorskip(library).DataFrame(columns)
        got, expected = (package.MLPClassifier(**few).fit(frame, Y) for package in (fastmlp, neural_network))
        assert got.coefs_[0].dtype == expected.coefs_[0].dtype
        assert got.predict_proba(frame).dtype == expected.predict_proba(frame).dtype
        if library == "pandas":  # of polars all counts as float64
            assert got.coefs_[0].dtype == ("float32" if dtypes == ["float32"] * 4 else "float64")


@pytest.mark.parametrize("library", FRAMES)
def test_frames_between_the_steps_of_a_pipeline_name_its_columns(library):
    frame = frame_of(library)
    model = make_pipeline(StandardScaler(), MLPClassifier(**few)).set_output(transform=library)
    assert names_in(model.fit(frame, Y)[-1]) == names_in(model[0])
    plain = make_pipeline(StandardScaler(), MLPClassifier(**few)).fit(frame, Y)
    assert (model.predict_proba(frame) == plain.predict_proba(frame)).all()
    voting = VotingClassifier([("a", MLPClassifier(**few)), ("b", MLPClassifier(**few))])
    votes = voting.set_output(transform=library).fit(frame, Y).transform(frame)
    assert type(votes) is type(frame) and list(votes.columns) == ["votingclassifier_a", "votingclassifier_b"]


@pytest.mark.parametrize("library", FRAMES)
def test_labels_of_a_frame_are_those_of_an_array(library):
    frame, names = frame_of(library), np.array(["setosa", "versicolor", "virginica"])[Y]
    labels = pytest.importorskip(library).Series(names)
    model = MLPClassifier(**few).fit(frame, labels)
    assert model.classes_.tolist() == ["setosa", "versicolor", "virginica"]
    assert model.loss_curve_ == MLPClassifier(**few).fit(X, Y).loss_curve_
    weighed = MLPClassifier(**few, class_weight={"setosa": 3.0}).fit(frame, labels)
    assert weighed.loss_curve_ == MLPClassifier(**few, class_weight={0: 3.0}).fit(X, Y).loss_curve_


@pytest.mark.parametrize("library", FRAMES)
def test_an_evaluation_set_may_be_a_frame(library):
    frame, y = frame_of(library), pytest.importorskip(library).Series(Y)
    got = MLPClassifier(**few).fit(frame, y, eval_set=(frame[:50], y[:50]))
    expected = MLPClassifier(**few).fit(X, Y, eval_set=(X[:50], Y[:50]))
    assert got.validation_loss_curve_ == expected.validation_loss_curve_


# --- copies ----------------------------------------------------------------------------------------------

SETTINGS = [
    {"solver": "sgd", "momentum": 0.5},
    {"solver": "lbfgs"},
    {"early_stopping": True, "validation_fraction": 0.3},
    {"dropout": (0.1, 0.2), "ema": 0.9, "activation": ["gelu"], "dtype": "float32", "n_threads": 1},
    {"ops": "reference", "schedule": fastmlp.schedules.cosine(0.01, 0.0)},
]


@pytest.mark.parametrize("settings", SETTINGS, ids=lambda settings: "-".join(settings))
@pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
def test_a_clone_has_the_parameters_and_learns_the_same(kind, settings):
    model = kind(**few | settings).fit(X, Y)
    again = clone(model)
    assert again.get_params() == model.get_params() and not hasattr(again, "coefs_")
    assert (again.fit(X, Y).predict(X) == model.predict(X)).all()
    for got, expected in zip(again.coefs_, model.coefs_, strict=True):
        assert got.tobytes() == expected.tobytes()


@pytest.mark.parametrize("settings", SETTINGS, ids=lambda settings: "-".join(settings))
@pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
@pytest.mark.parametrize("way", [lambda model: pickle.loads(pickle.dumps(model)), copy.deepcopy])
def test_a_copy_predicts_and_goes_on(kind, settings, way):
    model = kind(**few | settings, warm_start=True).fit(X, Y)
    again = way(model)
    assert repr(again) == repr(model)
    assert again.predict(X).tobytes() == model.predict(X).tobytes()
    for one in (model, again):
        one.fit(X, Y)
    assert again.predict(X).tobytes() == model.predict(X).tobytes()
    if model.solver != "lbfgs" and not model.early_stopping and model.ema is None:
        for one in (model, again):
            one.partial_fit(X, Y)
        assert again.coefs_[0].tobytes() == model.coefs_[0].tobytes()


# --- memory maps -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float64", "float32", "uint8"])
@pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_data_and_models_in_read_only_memory_maps(tmp_path, kind, solver, dtype):
    import joblib  # comes with scikit-learn

    options = few | {"solver": solver, "warm_start": True}
    x, weights = X.astype(dtype), np.linspace(0.5, 2, len(Y))
    plain = kind(**options).fit(x, Y, weights)
    joblib.dump((x, Y, weights, plain), tmp_path / "all.joblib")
    x_map, y_map, weights_map, model = joblib.load(tmp_path / "all.joblib", mmap_mode="r")
    assert not x_map.flags.writeable and not model.coefs_[0].flags.writeable
    mapped = kind(**options).fit(x_map, y_map, weights_map)
    assert mapped.coefs_[0].tobytes() == plain.coefs_[0].tobytes()
    assert model.predict(x_map).tobytes() == plain.predict(x).tobytes()
    before = model.coefs_[0].tobytes()
    if solver == "adam":
        model.partial_fit(x_map, y_map)
    model.fit(x_map, y_map)
    assert model.coefs_[0].tobytes() != before and model.coefs_[0].flags.writeable


# --- skops -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
@pytest.mark.parametrize("kind", ["MLPClassifier", "MLPRegressor"])
def test_a_file_of_skops_asks_for_trust_in_our_class_and_no_more(tmp_path, kind, solver):
    io = pytest.importorskip("skops.io")
    ours, theirs = (
        getattr(package, kind)(**few, solver=solver).fit(X, Y) for package in (fastmlp, neural_network)
    )
    io.dump(ours, tmp_path / "ours.skops")
    io.dump(theirs, tmp_path / "theirs.skops")
    wanted, of_theirs = (
        set(io.get_untrusted_types(file=tmp_path / f"{name}.skops")) for name in ("ours", "theirs")
    )
    assert wanted - of_theirs == {f"{type(ours).__module__}.{kind}"}
    again = io.load(tmp_path / "ours.skops", trusted=sorted(wanted))
    assert again.predict(X).tobytes() == ours.predict(X).tobytes()
    for model in (again, ours) if solver != "lbfgs" else ():
        model.partial_fit(X, Y)
    assert again.coefs_[0].tobytes() == ours.coefs_[0].tobytes()
    assert (again.fit(X, Y).predict(X) == ours.fit(X, Y).predict(X)).all()
