"""scikit-learn's MLPClassifier through `partial_fit`, which is an epoch a call."""

import numpy as np
import sklearn
from sklearn.neural_network import MLPClassifier

from .base import Rival, float_inputs, pairs


class Dealer(np.random.RandomState):
    """A source of randomness whose shuffle is the order laid before it."""

    order: np.ndarray

    def shuffle(self, x):
        x[:] = self.order


class KeepsLosses(MLPClassifier):
    """Keeps the loss of each batch; scikit-learn itself keeps an epoch's mean."""

    def _backprop(self, *args, **options):  # whatever this release calls it with
        result = super()._backprop(*args, **options)
        self.batch_losses.append(result[0])
        return result


class ScikitLearn(Rival):
    """Float32 converted once, its own shuffling, which gathers batch by batch, and no search for NaN.

    Bytes are not tried: each call would convert all of them to float64. A sample's loss is at most
    -log(1.2e-7), as it keeps probabilities from 0, so that those of raw pixels read too low at first; its
    gradients are not changed by that.
    """

    def __init__(self, task, threads, setting):
        super().__init__(task, threads, setting)
        self.dealer = Dealer()
        self.classes = np.arange(task.sizes[-1])
        self.model = KeepsLosses(
            hidden_layer_sizes=task.sizes[1:-1],
            solver="sgd",
            alpha=0.0,
            batch_size=task.batch_size,
            learning_rate="constant",
            learning_rate_init=task.lr,
            momentum=0.0,
            nesterovs_momentum=False,
            n_iter_no_change=np.inf,
            shuffle=True,
            random_state=self.dealer,
        )
        # it makes its arrays in the first call, before weights can be put into it
        n = task.batch_size
        self._partial_fit(np.zeros((n, task.sizes[0]), np.float32), np.zeros(n, int), np.arange(n))

    def _partial_fit(self, X, y, order):
        self.dealer.order, self.model.batch_losses = order, []
        with sklearn.config_context(assume_finite=True):
            self.model.partial_fit(X, y, classes=self.classes)

    @classmethod
    def settings(cls, dtype, training=True):
        return ["float32"]

    def prepare(self, X, y):
        self.X, self.y = float_inputs(X, self.task.scale), y

    def set_weights(self, weights):
        both = [(w.copy(), b.copy()) for w, b in pairs(weights)]
        self.model.coefs_, self.model.intercepts_ = map(list, zip(*both, strict=True))

    def get_weights(self):
        both = zip(self.model.coefs_, self.model.intercepts_, strict=True)
        return [array.copy() for pair in both for array in pair]

    def epoch(self, order, rates=None):
        if len(order) != len(self.X):
            raise ValueError(f"an order of {len(order)} rows, but scikit-learn visits all {len(self.X)}")
        self._partial_fit(self.X, self.y, order)
        return np.array(self.model.batch_losses)

    def classifier(self, X):
        inputs = float_inputs(X, self.task.scale)

        def classify():
            with sklearn.config_context(assume_finite=True):
                return self.model.predict(inputs)

        return classify
