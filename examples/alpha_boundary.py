"""What alpha, the penalty on large weights, does to the decision boundary.

python examples/alpha_boundary.py [--out alpha_boundary.png] [--quick]
"""

import argparse
import warnings

import numpy as np
from matplotlib.figure import Figure
from sklearn.datasets import make_circles, make_classification, make_moons
from sklearn.exceptions import ConvergenceWarning
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fastmlp import MLPClassifier  # or: from sklearn.neural_network import MLPClassifier

ALPHAS = 0.001, 0.1, 0.5, 2.0, 8.0
COLORS = np.array(["#0072b2", "#d55e00"])  # Okabe and Ito's


def data(n_samples):
    """Make three problems, each with noise enough to be learnt too well."""
    blobs = make_classification(
        n_samples, 2, n_informative=2, n_redundant=0, n_clusters_per_class=1, flip_y=0.1, random_state=5
    )
    moons = make_moons(n_samples, noise=0.35, random_state=0)
    circles = make_circles(n_samples, noise=0.25, factor=0.4, random_state=1)
    return moons, circles, blobs


def draw(axes, classifier, X, y, side):
    """Draw the probability of the second class as colour, its boundary, and the samples."""
    (left, bottom), (right, top) = X.min(axis=0) - 0.4, X.max(axis=0) + 0.4
    x1, x2 = np.meshgrid(np.linspace(left, right, side), np.linspace(bottom, top, side))
    probability = classifier.predict_proba(np.column_stack([x1.ravel(), x2.ravel()]))[:, 1]
    probability = probability.reshape(x1.shape)
    axes.contourf(x1, x2, probability, levels=np.linspace(0, 1, 21), cmap="RdBu_r", alpha=0.7)
    axes.contour(x1, x2, probability, levels=[0.5], colors="black", linewidths=1)
    axes.scatter(*X.T, s=12, c=COLORS[y], edgecolors="white", linewidths=0.4)
    axes.set(xticks=(), yticks=())


def main(argv=None):
    """Draw a row for each problem, a column for each alpha."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", default="alpha_boundary.png", help="the picture")
    parser.add_argument("--quick", action="store_true", help="few iterations on few samples")
    args = parser.parse_args(argv)
    n_samples, n_iterations, side = (40, 10, 20) if args.quick else (150, 200, 120)
    warnings.simplefilter("ignore", ConvergenceWarning)  # a boundary hardly moves any more by then

    figure = Figure(figsize=(2.3 * len(ALPHAS), 7), dpi=110, layout="constrained")
    grid = figure.subplots(3, len(ALPHAS))
    for row, (X, y) in zip(grid, data(n_samples), strict=True):
        for axes, alpha in zip(row, ALPHAS, strict=True):
            network = MLPClassifier(
                hidden_layer_sizes=(50, 50),
                solver="lbfgs",
                alpha=alpha,
                max_iter=n_iterations,
                random_state=1,
            )
            classifier = make_pipeline(StandardScaler(), network).fit(X, y)
            draw(axes, classifier, X, y, side)
    for axes, alpha in zip(grid[0], ALPHAS, strict=True):
        axes.set_title(f"alpha {alpha:g}")
    figure.savefig(args.out)


if __name__ == "__main__":
    main()
