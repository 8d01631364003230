"""Multilayer perceptrons trained on a CPU at the speed of the machine."""

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

from . import start  # noqa: F401, I001  # the first, for what it does

# In a clone that is not installed, `fastmlp.kernels` is the folder `kernels` beside this package.
if not (Path(__file__).parent / "kernels").is_dir():
    __path__.append(str(Path(__file__).parent.parent))

from . import schedules
from .data import (
    DataLoader,
    create_batches,
    load_idx_dataset,
    load_mnist,
    load_mnist_images,
    load_mnist_labels,
    read_idx,
    to_one_hot,
)
from .kernels.core.machine import get_num_threads, set_num_threads
from .metrics import accuracy, evaluate
from .model import MLP, DigitsClassifier
from .optimizers import SGD, Adam
from .plotting import plot_training_results
from .training import Checkpoint, EarlyStopping, History, fit, train_epoch

__all__ = [
    "MLP",
    "SGD",
    "Adam",
    "Checkpoint",
    "DataLoader",
    "DigitsClassifier",
    "EarlyStopping",
    "History",
    "LossCurveDisplay",
    "MLPClassifier",
    "MLPRegressor",
    "accuracy",
    "create_batches",
    "evaluate",
    "fit",
    "get_num_threads",
    "load_idx_dataset",
    "load_mnist",
    "load_mnist_images",
    "load_mnist_labels",
    "plot_training_results",
    "read_idx",
    "schedules",
    "set_num_threads",
    "to_one_hot",
    "train_epoch",
]


if TYPE_CHECKING:
    from .estimators import LossCurveDisplay, MLPClassifier, MLPRegressor
else:

    def __getattr__(name: str) -> Any:
        """Import the estimators, and scikit-learn with them, when one is first asked for."""
        if name in ("LossCurveDisplay", "MLPClassifier", "MLPRegressor"):
            return getattr(importlib.import_module(".estimators", __name__), name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

    def __dir__() -> list[str]:
        """Name the estimators before they are imported, too."""
        return sorted({*globals(), *__all__})
