"""Training curves of six ways to step, over four data sets.

python examples/training_curves.py [--out training_curves.png] [--quick]
"""

import argparse
import warnings

from matplotlib.figure import Figure
from sklearn.datasets import load_breast_cancer, load_digits, load_wine, make_moons
from sklearn.exceptions import ConvergenceWarning
from sklearn.preprocessing import StandardScaler

from fastmlp import MLPClassifier  # or: from sklearn.neural_network import MLPClassifier

DATA = {
    "moons": make_moons(300, noise=0.25, random_state=0),
    "wine": load_wine(return_X_y=True),
    "breast cancer": load_breast_cancer(return_X_y=True),
    "digits": load_digits(return_X_y=True),
}
SGD = {"solver": "sgd", "learning_rate_init": 0.1, "momentum": 0.0}
WAYS = {
    "SGD": SGD,
    "SGD, 1/√t": SGD | {"learning_rate": "invscaling", "learning_rate_init": 2.0},
    "SGD, adaptive": SGD | {"learning_rate": "adaptive", "learning_rate_init": 0.5},
    "momentum": SGD | {"momentum": 0.9, "nesterovs_momentum": False},
    "Nesterov": SGD | {"momentum": 0.9},
    "Adam": {"solver": "adam", "learning_rate_init": 0.01},
}
COLORS = "#56b4e9", "#009e73", "#1a1a1a", "#e69f00", "#d55e00", "#0072b2"  # Okabe and Ito's


def draw(axes, X, y, n_epochs):
    """Draw the losses of each way on one data set."""
    X = StandardScaler().fit_transform(X)
    for (name, way), color in zip(WAYS.items(), COLORS, strict=True):
        classifier = MLPClassifier(max_iter=n_epochs, random_state=0, **way).fit(X, y)
        style = "--" if name == "Nesterov" else "-"  # which lies on the one of momentum for long
        axes.plot(range(1, classifier.n_iter_ + 1), classifier.loss_curve_, style, color=color, label=name)
    axes.set_yscale("log")


def main(argv=None):
    """Draw a panel for each data set."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", default="training_curves.png", help="the picture")
    parser.add_argument("--quick", action="store_true", help="few epochs of few samples")
    args = parser.parse_args(argv)
    n_samples, n_epochs = (60, 5) if args.quick else (None, 200)
    warnings.simplefilter("ignore", ConvergenceWarning)  # the curves show where they end

    figure = Figure(figsize=(11, 7.5), dpi=110, layout="constrained")
    panels = figure.subplots(2, 2).ravel()
    for axes, (name, (X, y)) in zip(panels, DATA.items(), strict=True):
        draw(axes, X[:n_samples], y[:n_samples], n_epochs)
        axes.set_title(name)
    figure.supxlabel("epoch")
    figure.supylabel("training loss")
    figure.legend(*panels[0].get_legend_handles_labels(), ncols=len(WAYS), loc="outside upper center")
    figure.savefig(args.out)


if __name__ == "__main__":
    main()
