"""What Ctrl-C leaves, and what is shown meanwhile."""

import os
import signal
import threading
import time

import numpy as np
import pytest
from twins import assert_close, assert_same_state, load, make, outcome, quietly

from fastmlp import MLP, MLPClassifier
from fastmlp.estimators import stochastic

COMMON = {"hidden_layer_sizes": (6,), "random_state": 1, "batch_size": 20, "n_iter_no_change": 4}
INTERRUPTED = "Training interrupted by user."
X, Y = load("wine", 90)
N_BATCHES = 5


@pytest.fixture(autouse=True)
def _no_interrupt_before(monkeypatch):
    monkeypatch.setattr(stochastic, "_last_interrupt", -np.inf)


@pytest.fixture
def interrupt(monkeypatch):
    """Interrupts the training after some batches in all, wherever in a call of several epochs that is."""
    real = MLP.run_epoch

    def after(n_batches):
        left = [n_batches]

        def run_epoch(self, loader, order, rates, losses, *rest, squares, **options):
            order, now = np.atleast_2d(order), min(len(losses), left[0])
            left[0] -= now
            whole, more = divmod(now, N_BATCHES)
            steps = self._kept.steps
            for epoch, n in [(epoch, len(X)) for epoch in range(whole)] + [(whole, 20 * more)][: more > 0]:
                part = slice(N_BATCHES * epoch, N_BATCHES * epoch + -(-n // 20))
                parts = rates[part], losses[part]
                real(self, loader, order[epoch, :n], *parts, *rest, squares=squares[part], **options)
            if now < len(losses):
                self._kept.steps = steps  # of a call that did not return
                raise KeyboardInterrupt

        monkeypatch.setattr(MLP, "run_epoch", run_epoch)

    return after


@pytest.mark.parametrize("solver", ["adam", "sgd"])
@pytest.mark.parametrize("n_epochs", [0, 1, 7])
def test_complete_epochs_are_on_record(interrupt, solver, n_epochs):
    interrupt(N_BATCHES * n_epochs)
    ours, theirs = make("wine", **COMMON, solver=solver)
    got = outcome(ours.fit, X, Y)
    assert (got.error, got.warnings) == (None, [("UserWarning", INTERRUPTED)]) and got.value is ours
    assert ours.n_iter_ == len(ours.loss_curve_) == n_epochs and ours.t_ == n_epochs * len(X)
    if n_epochs:
        quietly(theirs.set_params(max_iter=n_epochs).fit, X, Y)
        assert_same_state(ours, theirs.set_params(max_iter=200), 1e-9)
    assert ours.predict(X).shape == Y.shape


@pytest.mark.parametrize("verbose", [False, True, "bar"])
def test_an_epoch_that_was_cut_off_has_changed_coefficients_only(interrupt, monkeypatch, capfd, verbose):
    monkeypatch.setattr(stochastic, "SECONDS_BETWEEN_INTERRUPTS", 0)
    interrupt(3 * N_BATCHES + 2)
    ours, whole = (make("wine", **COMMON)[0] for _ in range(2))
    quietly(ours.set_params(verbose=verbose).fit, X, Y)
    assert (capfd.readouterr().out.count("Iteration")) == (3 if verbose is True else 0)
    assert ours.verbose is verbose
    assert ours.n_iter_ == 3 and ours._optimizer.t == 3 * N_BATCHES + 2
    interrupt(3 * N_BATCHES)
    quietly(whole.fit, X, Y)
    assert ours.loss_curve_ == whole.loss_curve_
    assert 0 < np.abs(ours.coefs_[0] - whole.coefs_[0]).max() < 2.5 * ours.learning_rate_init


def test_early_stopping_gives_the_best_coefficients_so_far(interrupt):
    interrupt(10**9)
    ours, theirs = make("wine", **COMMON, early_stopping=True, validation_fraction=0.2, max_iter=6)
    real, calls = MLP.run_epoch, []

    def run_epoch(*arguments, **options):
        calls.append(1)
        if len(calls) > 6:
            raise KeyboardInterrupt
        return real(*arguments, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(MLP, "run_epoch", run_epoch)
        assert outcome(ours.set_params(max_iter=99).fit, X, Y).warnings == [("UserWarning", INTERRUPTED)]
    quietly(theirs.fit, X, Y)
    assert ours.n_iter_ == 6
    assert_close(ours.coefs_, theirs.coefs_, 1e-9)
    assert_close(ours.validation_scores_, theirs.validation_scores_, 1e-9)


def test_a_second_one_within_a_second_is_raised(interrupt, monkeypatch):
    ours, _ = make("wine", **COMMON)
    interrupt(12)
    assert outcome(ours.fit, X, Y).warnings == [("UserWarning", INTERRUPTED)]
    interrupt(12)
    with pytest.raises(KeyboardInterrupt):
        ours.fit(X, Y)
    assert ours.n_iter_ == 2 and np.isfinite(ours.coefs_[0]).all()
    now = time.monotonic()
    monkeypatch.setattr(stochastic.time, "monotonic", lambda: now + 1.5)
    interrupt(12)
    assert outcome(ours.fit, X, Y).warnings == [("UserWarning", INTERRUPTED)]


@pytest.mark.parametrize("long", ["epoch", "run"])
def test_a_signal_ends_a_fit_within_a_second(long):
    n, widths = (200_000, (512, 512)) if long == "epoch" else (100, (8,))
    rng = np.random.default_rng(0)
    samples, labels = rng.normal(size=(n, 8)), np.arange(n) % 3
    it = MLPClassifier(
        widths, batch_size=100, max_iter=10**6, n_iter_no_change=np.inf, random_state=0, alpha=0.0
    )
    quietly(it.set_params(max_iter=1).fit, samples[:200], labels[:200])  # compiled
    sent = []

    def send():
        time.sleep(0.7)
        sent.append(time.perf_counter())
        os.kill(os.getpid(), signal.SIGINT)  # as a terminal does, to the whole process

    sender = threading.Thread(target=send)
    sender.start()
    got = outcome(it.set_params(max_iter=10**6).fit, samples, labels)
    took = time.perf_counter() - sent[0]
    sender.join()
    assert (got.error, got.warnings) == (None, [("UserWarning", INTERRUPTED)]) and took < 1
    n_batches = -(-n // 100)
    assert it.n_iter_ == len(it.loss_curve_) and it.t_ == n * it.n_iter_
    assert (it.n_iter_ == 0) == (long == "epoch")
    assert 0 < it._optimizer.t < (it.n_iter_ + 1) * n_batches + (n_batches == 1)
    assert it._optimizer.t >= it.n_iter_ * n_batches
    assert np.isfinite(it.coefs_[0]).all()
    quietly(it.partial_fit, samples[:200], labels[:200])  # and on


# --- what is shown ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("stopping", [False, True])
@pytest.mark.parametrize("solver, schedule", [("adam", "constant"), ("sgd", "constant"), ("sgd", "adaptive")])
def test_verbose_prints_scikit_learns_lines(solver, schedule, stopping):
    options = {"solver": solver, "learning_rate": schedule, "early_stopping": stopping, "verbose": True}
    options |= {"tol": 0.05, "n_iter_no_change": 2, "max_iter": 60, "learning_rate_init": 0.01}
    got, expected = (outcome(it.fit, X, Y) for it in make("wine", **COMMON | options))
    assert got.printed == expected.printed and got.printed.count("\n") > 5


def test_a_bar_is_drawn_on_stderr_alone(capsys):
    ours, plain = (make("wine", **COMMON, max_iter=12)[0] for _ in range(2))
    quietly(ours.set_params(verbose="bar").fit, X, Y)
    out, err = capsys.readouterr()
    assert out == "" and "12/12" in err and "loss=" in err and ours.verbose == "bar"
    quietly(plain.fit, X, Y)
    assert ours.loss_curve_ == plain.loss_curve_ and capsys.readouterr() == ("", "")
    quietly(ours.partial_fit, X, Y)
    assert "1/1" in capsys.readouterr().err
    quietly(ours.set_params(early_stopping=True).fit, X, Y)
    quietly(ours.set_params(solver="lbfgs").fit, X, Y)
    assert capsys.readouterr().out == ""
