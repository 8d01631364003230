import pickle
from copy import copy

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes
from sklearn.metrics import accuracy_score, r2_score
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler, scale

from fastmlp import MLPClassifier, MLPRegressor

callback = pytest.importorskip("sklearn.callback")  # 1.9
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def data(load, n=150):
    X, y = load(return_X_y=True)
    return scale(X)[:n], y[:n]


KINDS = {MLPClassifier: (*data(load_breast_cancer), accuracy_score)}
KINDS[MLPRegressor] = (*data(load_diabetes), r2_score)
EACH = pytest.mark.parametrize("kind", KINDS)
SOLVERS = pytest.mark.parametrize(("solver", "task"), [("adam", "epoch"), ("lbfgs", "iteration")])


class Recorder:
    """Notes all calls; wants to stop at the end of some task."""

    def __init__(self, stop_at=None):
        self.stop_at, self.notes, self.states, self.data = stop_at, [], [], []

    def setup(self, estimator, context):
        self.notes.append("setup")

    def on_fit_task_begin(self, estimator, context, *, X=None, y=None):
        self.notes.append(("begin", context.task_name, context.task_id))
        self.data.append((X, y))

    def on_fit_task_end(self, estimator, context, *, metadata=None, fitted_estimator=None):
        self.notes.append(("end", context.task_name, context.task_id))
        self.data.append(metadata)
        self.states.append(fitted_estimator)
        return context.task_name != "fit" and context.task_id == self.stop_at

    def teardown(self, estimator, context):
        self.notes.append("teardown")


def tasks(name, n):
    inner = [(what, name, i) for i in range(n) for what in ("begin", "end")]
    return ["setup", ("begin", "fit", 0), *inner, ("end", "fit", 0), "teardown"]


@EACH
@SOLVERS
def test_each_fit_is_told_of_with_its_epochs(kind, solver, task):
    X, y, _ = KINDS[kind]
    recorder = Recorder()
    estimator = kind(solver=solver, max_iter=7, random_state=0).set_callbacks(recorder).fit(X, y)
    assert estimator.n_iter_ == 7
    assert recorder.notes == tasks(task, 7)
    assert all(given[0] is X and given[1] is y for given in recorder.data[::2][:1])
    estimator.set_params(max_iter=2).fit(X, y)
    assert recorder.notes == tasks(task, 7) + tasks(task, 2)


@EACH
@SOLVERS
def test_the_curve_is_that_of_a_fit_that_nobody_watches(kind, solver, task):
    X, y, _ = KINDS[kind]
    watched, alone = (kind(solver=solver, max_iter=30, random_state=0) for _ in range(2))
    watched.set_callbacks(Recorder()).fit(X, y)
    alone.fit(X, y)
    assert (watched.n_iter_, watched.loss_) == (alone.n_iter_, alone.loss_)
    assert getattr(watched, "loss_curve_", None) == getattr(alone, "loss_curve_", None)
    for ours, theirs in zip(watched.coefs_, alone.coefs_, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert not {*vars(watched)} - {*vars(alone)} - {"_skl_callbacks"}


@EACH
@SOLVERS
def test_what_is_handed_out_is_as_if_the_fit_had_stopped_there(kind, solver, task):
    X, y, _ = KINDS[kind]
    recorder = Recorder()
    kind(solver=solver, max_iter=6, random_state=0).set_callbacks(recorder).fit(X, y)
    assert len(recorder.states) == 7
    for n, state in enumerate(recorder.states[:-1], 1):
        short = kind(solver=solver, max_iter=n, random_state=0).fit(X, y)
        np.testing.assert_array_equal(state.predict(X), short.predict(X))
        assert (state.n_iter_, state.loss_) == (n, short.loss_)
        assert getattr(state, "loss_curve_", None) == getattr(short, "loss_curve_", None)


@pytest.mark.parametrize("warm", [False, True])
def test_with_early_stopping_it_is_the_best_one(warm):
    X, y, _ = KINDS[MLPClassifier]
    params = {"early_stopping": True, "n_iter_no_change": 99, "random_state": 0, "warm_start": warm}
    recorder, runs = Recorder(), 1 + warm
    estimator = MLPClassifier((4,), max_iter=8, learning_rate_init=0.05, **params).set_callbacks(recorder)
    shorts = []
    for _ in range(runs):
        estimator.fit(X, y)
    for n in range(1, 9):
        short = MLPClassifier((4,), max_iter=8, learning_rate_init=0.05, **params)
        for _ in range(runs - 1):
            short.fit(X, y)
        shorts.append(short.set_params(max_iter=n).fit(X, y))
    for state, short in zip(recorder.states[-9:-1], shorts, strict=True):
        np.testing.assert_array_equal(state.predict_proba(X), short.predict_proba(X))
        assert state.validation_scores_ == short.validation_scores_
    scores = shorts[-1].validation_scores_
    assert np.argmax(scores) < len(scores) - 1  # the best is not just the last


@EACH
@SOLVERS
def test_a_callback_stops_the_training(kind, solver, task, recwarn):
    X, y, _ = KINDS[kind]
    recorder = Recorder(stop_at=2)
    estimator = kind(solver=solver, max_iter=20, random_state=0).set_callbacks(recorder).fit(X, y)
    assert recorder.notes == tasks(task, 3)
    assert not recwarn.list  # it is no failure to converge
    short = kind(solver=solver, max_iter=3, random_state=0).fit(X, y)
    assert (estimator.n_iter_, estimator.loss_) == (3, short.loss_)
    np.testing.assert_array_equal(estimator.predict(X), short.predict(X))


@EACH
def test_partial_fit_is_a_fit_of_one_epoch(kind):
    X, y, _ = KINDS[kind]
    recorder = Recorder()
    estimator = kind(random_state=0).set_callbacks(recorder)
    options = {"classes": np.unique(y)} if kind is MLPClassifier else {}
    estimator.partial_fit(X, y, **options).partial_fit(X, y)
    assert recorder.notes == 2 * tasks("epoch", 1)


def test_weights_are_those_that_the_user_gave():
    X, y, _ = KINDS[MLPClassifier]
    recorder, weights = Recorder(), np.linspace(1, 2, len(X))
    estimator = MLPClassifier(max_iter=2, class_weight={0: 3.0}).set_callbacks(recorder)
    estimator.fit(X, y, sample_weight=weights)
    assert recorder.data[-1]["sample_weight"] is weights
    estimator.fit(X, y)
    assert recorder.data[-1] == {}


@SOLVERS
def test_a_callback_that_fails_ends_the_fit_and_is_torn_down(solver, task):
    class Failing(Recorder):
        def on_fit_task_begin(self, estimator, context):
            self.notes.append(("begin", context.task_name, context.task_id))
            if context.task_id == 1:
                raise LookupError("no")

    X, y, _ = KINDS[MLPClassifier]
    recorder = Failing()
    estimator = MLPClassifier(solver=solver, max_iter=9).set_callbacks(recorder)
    with pytest.raises(LookupError):
        estimator.fit(X, y)
    assert recorder.notes == [*tasks(task, 1)[:-2], ("begin", task, 1), "teardown"]
    assert not {"_watch", "_eval_set", "_callback_fit_ctx"} & {*vars(estimator)}


def test_an_interrupted_epoch_has_an_end_too():
    class Interrupting(Recorder):
        def on_fit_task_begin(self, estimator, context):
            super().on_fit_task_begin(estimator, context)
            if context.task_id == 2:
                raise KeyboardInterrupt

    X, y, _ = KINDS[MLPClassifier]
    recorder = Interrupting()
    with pytest.warns(UserWarning, match="interrupted by user"):
        MLPClassifier(max_iter=9).set_callbacks(recorder).fit(X, y)
    assert recorder.notes[-4:] == [("end", "epoch", 1), ("begin", "epoch", 2), *tasks("", 0)[-2:]]


def test_what_is_handed_out_can_be_kept_in_a_file():
    class Keeping(Recorder):
        def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
            self.states.append(pickle.dumps(clone_without_callbacks(fitted_estimator)))

    def clone_without_callbacks(estimator):
        assert not {"_watch", "_eval_set"} & {*vars(estimator)}
        kept = copy(estimator)
        del kept._callback_fit_ctx, kept._skl_callbacks_to_teardown  # scikit-learn's own
        return kept.set_callbacks()

    X, y, _ = KINDS[MLPClassifier]
    recorder = Keeping()
    fitted = MLPClassifier(max_iter=2, random_state=0).set_callbacks(recorder).fit(X, y, eval_set=(X, y))
    again = pickle.loads(recorder.states[1])
    np.testing.assert_array_equal(again.predict_proba(X), fitted.predict_proba(X))


@EACH
@SOLVERS
def test_the_scoring_monitor(kind, solver, task):
    X, y, score = KINDS[kind]
    name = "accuracy" if kind is MLPClassifier else "r2"
    monitor = callback.ScoringMonitor(scoring=name)
    weights = np.linspace(1, 2, len(X))
    estimator = kind(solver=solver, max_iter=5, random_state=0).set_callbacks(monitor)
    estimator.fit(X, y, sample_weight=weights)
    log = [row for row in monitor.get_logs().data if row["task_name"] == task]
    assert [row["task_id"] for row in log] == [0, 1, 2, 3, 4]
    for n, row in enumerate(log, 1):
        short = kind(solver=solver, max_iter=n, random_state=0).fit(X, y, sample_weight=weights)
        assert row[name] == score(y, short.predict(X), sample_weight=weights)


@EACH
@SOLVERS
def test_the_progress_bar(kind, solver, task, capsys):
    pytest.importorskip("rich")
    X, y, _ = KINDS[kind]
    estimator = kind(solver=solver, max_iter=5, random_state=0)
    estimator.set_callbacks(callback.ProgressBar()).fit(X, y)
    said = capsys.readouterr().out
    assert f"{kind.__name__} - fit" in said
    assert "100%" in said


def test_in_a_pipeline_and_a_search():
    X, y, _ = KINDS[MLPClassifier]
    recorder = Recorder()
    classifier = MLPClassifier(max_iter=4, random_state=0).set_callbacks(recorder)
    make_pipeline(StandardScaler(), classifier).fit(X, y)
    assert recorder.notes.count("setup") == 1
    assert [note for note in recorder.notes if note[:2] == ("end", "epoch")] == tasks("epoch", 4)[3:-2:2]
    recorder.notes.clear()
    search = GridSearchCV(classifier, {"alpha": [0.1, 1.0]}, cv=2, error_score="raise").fit(X, y)
    assert recorder.notes.count("setup") == recorder.notes.count("teardown") == 5
    assert recorder.notes.count(("end", "epoch", 3)) == 5
    assert search.best_estimator_.n_iter_ == 4


def test_those_of_a_pipeline_are_handed_down():
    pytest.importorskip("rich")
    X, y, _ = KINDS[MLPClassifier]

    class Handed(Recorder):
        max_propagation_depth = None

    recorder = Handed()
    pipeline = make_pipeline(StandardScaler(), MLPClassifier(max_iter=4, random_state=0))
    pipeline.set_callbacks(recorder).fit(X, y)
    assert [note for note in recorder.notes if note[1] == "epoch"] == tasks("epoch", 4)[2:-2]
    assert not hasattr(pipeline[-1], "_skl_callbacks")
