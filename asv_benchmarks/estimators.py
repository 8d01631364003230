"""`python -m asv_benchmarks.estimators`, from the root of the project: our estimators and scikit-learn's."""

import argparse
import contextlib
import os
import statistics
import sys
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from types import ModuleType
from typing import Any
from unittest import mock

import numpy as np
import sklearn
from numpy.typing import NDArray
from sklearn import neural_network
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits
from tqdm import tqdm

import fastmlp
from fastmlp.bench import BLAS_PAUSE, timed
from fastmlp.cli.bench import number

from .benchmarks._checks import require_same_outcome
from .figures import report
from .figures.report import Goal, Row

DESCRIPTION = """\
Race fastmlp's estimators against scikit-learn's on the same data, random_state and
epochs. Curves and coefficients are compared before anything is timed. The two take
turns; a line has the ratio of their median times, both on the better of one and two
threads, and lists both. Takes some six minutes, in which nothing else should run."""
SECONDS, LEAST = 15.0, 3  # of a line's race, and its rounds at least
COUNTS = 1, 2  # threads
LIBRARIES = neural_network, fastmlp
EPOCHS: dict[str, Any] = {"tol": 0.0, "n_iter_no_change": np.inf}  # all that max_iter says
GRID = {
    "hidden_layer_sizes": [(50,), (100,)],
    "alpha": [1e-5, 1e-4, 1e-3, 1e-2],
    "learning_rate_init": [3e-4, 1e-3, 3e-3],
}

_Data = tuple[NDArray[Any], NDArray[Any]]
_Call = Callable[[], Any]

# --- what is timed ---------------------------------------------------------------------------------------


def estimator(contest: "Contest", library: ModuleType, n_threads: int | None) -> Any:
    """Make a library's estimator; scikit-learn's threads are those of its BLAS."""
    own = {"n_threads": n_threads} if library is fastmlp else {}
    return getattr(library, contest.kind)(random_state=0, **contest.options, **own)


def fit(contest: "Contest", library: ModuleType, n_threads: int, *data: NDArray[Any]) -> _Call:
    """Fit an estimator."""
    return partial(estimator(contest, library, n_threads).fit, *data)


def search(contest: "Contest", library: ModuleType, n_jobs: int, *data: NDArray[Any]) -> _Call:
    """Search a grid with so many processes; each estimator has its share of the processors."""
    return partial(GridSearchCV(estimator(contest, library, None), GRID, cv=5, n_jobs=n_jobs).fit, *data)


def predict(contest: "Contest", library: ModuleType, n_threads: int, *data: NDArray[Any]) -> _Call:
    """Give the probabilities of one row."""
    return partial(estimator(contest, library, n_threads).fit(*data).predict_proba, data[0][:1])


@dataclass(frozen=True)
class Contest:
    """The same work for either library.

    Parameters
    ----------
    what : the line's name
    goal : ratios that must be reached, and are aimed at
    data : makes X and y
    options : of the estimator
    kind : name of its class
    action : makes the call that is timed, of a Contest, a library, a number of threads, X and y
    calls : of a sample
    limit : how far arrays may differ, as a share of their largest element
    counts : numbers of threads that are tried
    """

    what: str
    goal: Goal
    data: Callable[[], _Data]
    options: dict[str, Any]
    kind: str = "MLPClassifier"
    action: Callable[..., _Call] = fit
    calls: int = 1
    limit: float = 1e-9
    counts: Sequence[int] = COUNTS


# --- on what ---------------------------------------------------------------------------------------------


def digits() -> _Data:
    """8 x 8 digits as they are."""
    return load_digits(return_X_y=True)


def cancer() -> _Data:
    """Breast cancer, standardised."""
    X, y = load_breast_cancer(return_X_y=True)
    return StandardScaler().fit_transform(X), y


def mnist(dtype: type = np.float64) -> _Data:
    """MNIST's training images, from 0 to 1."""
    X, y, *_ = fastmlp.load_mnist()
    return X.astype(dtype) / dtype(255), y


def normal() -> _Data:
    """Normal numbers, in classes by the sign of a sum of products."""
    X = np.random.default_rng(0).standard_normal((100_000, 50))
    return X, (X[:, :10] * X[:, 10:20]).sum(axis=1) > 0


def targets() -> _Data:
    """Normal numbers with a target that bends, in float32."""
    X = np.random.default_rng(0).standard_normal((20_000, 200), dtype=np.float32)
    return X, np.sin(X[:, :5].sum(axis=1)) + X[:, 5] * X[:, 6]


NESTEROV = {"solver": "sgd", "learning_rate_init": 0.1, "batch_size": 200}
WIDE = {"hidden_layer_sizes": (256, 256), "batch_size": 256}
CONTESTS = {
    "digits": Contest("digits, 100 epochs", Goal(4, 8), digits, EPOCHS | {"max_iter": 100}),
    "cancer": Contest(
        "breast_cancer standardised, 200 epochs", Goal(4, 8), cancer, EPOCHS | {"max_iter": 200}
    ),
    "mnist": Contest("MNIST / 255, float64, 10 epochs", Goal(5, 10), mnist, EPOCHS | {"max_iter": 10}),
    "mnist-sgd": Contest(
        "MNIST / 255, float32, Nesterov, 10 epochs",
        Goal(6, 12),
        partial(mnist, np.float32),
        EPOCHS | NESTEROV | {"max_iter": 10},
        limit=1e-3,
    ),
    "normal": Contest(
        "100,000 x 50, hidden (64, 64), 3 epochs",
        Goal(4, 8),
        normal,
        EPOCHS | {"hidden_layer_sizes": (64, 64), "max_iter": 3},
    ),
    "regression": Contest(
        "20,000 x 200, float32, (256, 256), 5 epochs",
        Goal(2, 3.5),
        targets,
        EPOCHS | WIDE | {"max_iter": 5},
        kind="MLPRegressor",
        limit=1e-3,
    ),
    "grid": Contest(
        "GridSearchCV, breast_cancer, 24 x 5, n_jobs=2",
        Goal(3, 6),
        cancer,
        EPOCHS | {"max_iter": 50},
        action=search,
        counts=(2,),
    ),
    "one-row": Contest(
        "predict_proba of one row of digits",
        Goal(2, 5),
        digits,
        EPOCHS | {"max_iter": 10},
        action=predict,
        calls=500,
    ),
    "lbfgs": Contest("lbfgs on digits", Goal(1.5, 3), digits, {"solver": "lbfgs"}),
}


# --- how -------------------------------------------------------------------------------------------------


def check(contest: Contest, data: _Data) -> None:
    """Compare the outcomes of both libraries, ours on each number of threads; all is compiled then."""
    limit = contest.limit
    if contest.options.get("solver") == "lbfgs":  # whose line searches make much of rounding
        contest, limit = replace(contest, options=contest.options | {"max_iter": 12}), 1e-5
    theirs = contest.action(contest, neural_network, contest.counts[-1], *data)()
    for n_threads in contest.counts:
        require_same_outcome(theirs, contest.action(contest, fastmlp, n_threads, *data)(), limit)


def measure(contest: Contest) -> Row:
    """Check, then race both libraries on each number of threads; the ratio of the better medians."""
    data = contest.data()
    check(contest, data)
    timers = {
        (library, n): timed(contest.action(contest, library, n, *data), contest.calls)
        for n in contest.counts
        for library in LIBRARIES
    }
    times: dict[Any, list[float]] = {key: [] for key in timers}
    end = time.perf_counter() + SECONDS
    rounds = 0
    while rounds < LEAST or time.perf_counter() < end:
        for (library, n), timer in timers.items():
            with threadpool_limits(n, user_api="blas"):
                times[library, n].append(timer())
            time.sleep(BLAS_PAUSE)
        rounds += 1
    return row(contest, {key: statistics.median(each) for key, each in times.items()}, rounds)


def row(contest: Contest, medians: dict[Any, float], rounds: int) -> Row:
    """Line of the table; its threads are ours."""
    best = [min(contest.counts, key=lambda n: medians[library, n]) for library in LIBRARIES]
    theirs, ours = (medians[key] for key in zip(LIBRARIES, best, strict=True))
    note = f"{duration(ours)}, scikit-learn {duration(theirs)} on {best[0]}"
    return Row(contest.what, best[1], theirs / ours, "x", rounds, contest.goal, note)


@contextlib.contextmanager
def plain_fits() -> Iterator[None]:
    """Let fits end at max_iter without a word, and Ctrl-C end more than the fit that it comes in."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.filterwarnings("error", "Training interrupted by user")
        try:
            yield
        except UserWarning as interrupted:
            raise KeyboardInterrupt from interrupted


def duration(seconds: float) -> str:
    """Write a time with the unit that suits it."""
    for unit, factor in (("µs", 1e6), ("ms", 1e3)):
        if seconds * factor < 1000:
            return f"{number(seconds * factor)} {unit}"
    return f"{number(seconds)} s"


def race(names: Iterable[str]) -> None:
    """Print the table, each line as it is known."""
    names = list(names)
    print(
        f"fastmlp {fastmlp.__version__}, scikit-learn {sklearn.__version__}, {report.describe()['processor']}"
    )
    print(report.heading("scikit-learn's time over ours"), flush=True)
    # the workers of a search have filters of their own
    quiet = mock.patch.dict(os.environ, PYTHONWARNINGS="ignore:Stochastic Optimizer")
    with quiet, plain_fits(), tqdm(total=len(names), leave=False, disable=None) as bar:
        for name in names:
            bar.set_description(CONTESTS[name].what)
            tqdm.write(report.line(measure(CONTESTS[name])))
            sys.stdout.flush()
            bar.update()


def main(argv: Sequence[str] | None = None) -> int:
    """Race what is asked for.

    Returns
    -------
    0; 1 where the two differ by more than rounding; 2 for wrong usage; 130 for Ctrl-C.
    """
    parser = argparse.ArgumentParser(
        prog="python -m asv_benchmarks.estimators",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    only = "some lines of the table: " + ", ".join(CONTESTS)
    parser.add_argument("--only", nargs="+", choices=CONTESTS, default=CONTESTS, metavar="LINE", help=only)
    try:
        race(parser.parse_args(argv).only)
        return 0
    except SystemExit as end:
        return int(end.code or 0)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except AssertionError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
