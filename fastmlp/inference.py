"""What a model says of data that it is not trained on."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import checks
from .outputs import predictions, probabilities
from .scaling import Scaled
from .steps import take_losses, weighted_mean


class Inference(Scaled):
    """The part of a model that predicts."""

    def logits(self, X: ArrayLike) -> NDArray[Any]:
        """Compute the outputs of the last layer, before softmax and the like.

        Parameters
        ----------
        X : (n, n_in) real numbers; for one sample n_in of them, or an array of the model's `image_shape`

        Returns
        -------
        logits : (n, n_out) of the model's dtype; the bits of a row do not depend on the other rows,
            but for the sign of a zero

        Raises
        ------
        ValueError
            X does not fit the model.
        RuntimeError
            The model is centered by the mean of data that it has not seen yet.
        """
        inputs = checks.check_samples(X, self._config, self._scale, self._ops)
        logits = np.empty((len(inputs), self.n_out), self.dtype)
        if len(inputs):
            self._turns.read(lambda: self._infer(inputs, logits))
        return logits

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """Predict for each row what the output stands for.

        Returns
        -------
        softmax : int64 (n,), the likeliest class
        logistic : int64, 1 where a label is likelier than not: (n,) for one unit, else (n, n_out)
        identity, exp : the number expected, of the model's dtype: (n,) for one unit, else (n, n_out)

        X and errors as for `predict_proba`.
        """
        return predictions(self.output, self._finite_logits(X))

    def predict_proba(self, X: ArrayLike) -> NDArray[Any]:
        """Compute the probability of each class.

        Parameters
        ----------
        X : as for `logits`

        Returns
        -------
        p : (n, n_classes), each row summing to 1; for several logistic units (n, n_out), each its label's own

        Raises
        ------
        ValueError
            X does not fit the model, or its output has no classes.
        FloatingPointError
            The logits of a row are not finite, so that no class is the likeliest.
        """
        return probabilities(self.output, self._finite_logits(X))

    def loss(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Compute the mean loss of a data set, weighted where rows have weights; nothing is trained.

        X, y, sample_weight and errors as for `forward`, but that a loss may be infinite or NaN.
        """
        given = checks.check_batch(X, y, sample_weight, self._config, self._scale, self._ops)
        inputs, labels, weights = given
        z = self.logits(inputs)
        losses = take_losses(self._ops, self.output, z, labels, np.empty_like(z), weights, 0.0)
        return weighted_mean(losses, weights)[0]

    def _finite_logits(self, X: ArrayLike) -> NDArray[Any]:
        logits = self.logits(X)
        finite = np.isfinite(logits)
        if not finite.all():
            row = int(finite.all(axis=1).argmin())
            raise FloatingPointError(
                f"the logits of row {row} of X are not finite: its values or the weights are too large for "
                f"{self.dtype}"
            )
        return logits
