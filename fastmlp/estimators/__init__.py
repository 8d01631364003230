"""scikit-learn's multilayer perceptrons, trained by fastmlp: the same interface and the same curves."""

from .classifier import MLPClassifier
from .display import LossCurveDisplay
from .regressor import MLPRegressor

__all__ = ["LossCurveDisplay", "MLPClassifier", "MLPRegressor"]
