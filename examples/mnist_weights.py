"""The first layer's weights of a network for handwritten digits, as images.

python examples/mnist_weights.py [--out mnist_weights.png] [--quick]
"""

import argparse
import warnings

from matplotlib.figure import Figure
from sklearn.exceptions import ConvergenceWarning

from fastmlp import MLPClassifier  # or: from sklearn.neural_network import MLPClassifier
from fastmlp.data import load_mnist

ROWS, COLUMNS = 4, 8


def main(argv=None):
    """Train with a unit for each image, and draw what each looks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", default="mnist_weights.png", help="the picture")
    parser.add_argument("--quick", action="store_true", help="few epochs of few samples")
    args = parser.parse_args(argv)
    n_samples, n_epochs = (500, 2) if args.quick else (None, 10)
    warnings.simplefilter("ignore", ConvergenceWarning)  # ten epochs are enough for a picture

    X, y, X_test, y_test = load_mnist()
    classifier = MLPClassifier(
        hidden_layer_sizes=(ROWS * COLUMNS,),
        solver="sgd",
        learning_rate_init=0.02,
        alpha=1e-2,
        max_iter=n_epochs,
        random_state=1,
    )
    classifier.fit(X[:n_samples] / 255, y[:n_samples])
    score = classifier.score(X_test / 255, y_test)

    weights = classifier.coefs_[0]
    largest = 0.6 * abs(weights).max()  # which few reach
    figure = Figure(figsize=(1.2 * COLUMNS, 1.1 * ROWS + 0.4), dpi=110, layout="constrained")
    for axes, column in zip(figure.subplots(ROWS, COLUMNS).flat, weights.T, strict=True):
        image = axes.imshow(column.reshape(28, 28), cmap="RdBu_r", vmin=-largest, vmax=largest)
        axes.set_axis_off()
    figure.colorbar(image, ax=figure.axes, shrink=0.6, label="weight of a pixel")
    figure.suptitle(f"{weights.shape[1]} hidden units; {100 * score:.1f} % of the test digits right")
    figure.savefig(args.out)


if __name__ == "__main__":
    main()
