"""Multilayer perceptrons: how they are trained, what they say, and how they are kept."""

import importlib
import math
import os
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from . import checks, kernels, schedules
from .config import KEEP_Z
from .data import DataLoader
from .export import safetensors
from .inference import Inference
from .init import initial_weights
from .numbers import generator, number
from .ops import Operations
from .optimizers import SGD, Optimizer
from .parameters import Layer
from .steps import family_of, rate_factors, settings_of, steps_in, take_losses, take_step, weighted_mean

_PLAIN = SGD()
_NONE = np.empty(0)  # weights of rows


class MLP(Inference):
    """A multilayer perceptron: linear layers with activations between them, and an output with its loss.

    Parameters
    ----------
    sizes : widths of the input, of each hidden layer and of the output
    activation : of the hidden layers: identity, relu, tanh, logistic, leaky_relu, selu, silu, gelu or mish,
        or one of these for each hidden layer; saved
    output : what the last layer's numbers mean, and the loss that training lessens; saved.
        softmax: classes that exclude each other, with cross-entropy.
        logistic: labels of their own, with binary cross-entropy; one unit for two classes.
        identity: numbers to be predicted, with half the squared error.
        exp: expected counts, with half the Poisson deviance.
    dropout : rate, from 0 to below 1, at which training leaves out hidden units, or two rates, of inputs and
        of hidden units; what stays is divided by 1 - rate, and inference leaves out nothing (Srivastava et
        al., Dropout, 2014); saved
    center : what is subtracted from inputs, a number a feature, or "mean": of the data of the first training;
        zeros of the data are skipped all the same; saved
    scale : factor that inputs, once centered, are multiplied by, or one a feature, which has a loader keep a
        copy of its data; saved
    init : of the weights: he_normal, he_uniform, glorot_normal, glorot_uniform or lecun_normal; saved
    image_shape : (rows, columns) of the images that a row of X holds, where it holds images; saved
    class_names : a name for each class; saved
    seed : of the initial weights: what `numpy.random.default_rng` takes
    dtype : float32 or float64, of parameters and of all arithmetic
    ops : the operations: `fastmlp.kernels`, or `fastmlp.reference` for the same in NumPy

    Weights are drawn in float64; he_normal is a normal distribution times sqrt(2 / n_in) (He et al., Delving
    Deep into Rectifiers, 2015, equation 10), and `fastmlp.init` has the others. Biases start at 0.

    Raises
    ------
    ValueError
        An argument is not of its kind; the text says what would be.

    Examples
    --------
    >>> model = MLP([784, 128, 10], seed=0)
    >>> model.n_parameters
    101770
    """

    def __init__(
        self,
        sizes: Sequence[int],
        *,
        activation: str | Sequence[str] = "relu",
        output: str = "softmax",
        dropout: float | Sequence[float] = 0.0,
        center: str | ArrayLike | None = None,
        scale: float | ArrayLike = 1.0,
        init: str = "he_normal",
        image_shape: Sequence[int] | None = None,
        class_names: Sequence[str] | None = None,
        seed: Any = None,
        dtype: DTypeLike = np.float32,
        ops: Operations = kernels,
    ) -> None:
        others = activation, output, dropout, init, center
        config = checks.check_config(sizes, dtype, scale, image_shape, class_names, *others)
        self._set_up(config, ops)
        rng = generator(seed)
        self._arena.write(
            initial_weights(init, shape, rng) if len(shape) == 2 else np.zeros(shape)
            for shape in self._arena.shapes
        )
        if any(self.dropout):
            self._kept.dropout_seed = int(rng.integers(2**63))

    # --- training, step by step --------------------------------------------------------------------------

    def forward(
        self,
        X: ArrayLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        label_smoothing: float = 0.0,
    ) -> float:
        """Run a batch through all layers and return its mean loss, weighted where rows have weights.

        Parameters
        ----------
        X : (batch, n_in) real numbers
        y : for softmax (batch,) integers from 0 to n_classes - 1, or (batch, n_classes) rows that sum to 1;
            for logistic (batch, n_out) numbers from 0 to 1; for identity (batch, n_out) numbers, for exp
            none of them below 0; or (batch,) of these where n_out is 1
        sample_weight : (batch,) weights of the rows, from 0 up; None for all 1
        label_smoothing : share, from 0 to below 1, of each label that goes to all classes alike

        Raises
        ------
        ValueError
            X, y or sample_weight does not fit the model, or labels that are no classes are to be smoothed.
        FloatingPointError
            The loss is not finite: training has diverged.
        RuntimeError
            The model is centered by the mean of data that it has not seen yet.
        """
        self._require_center()
        smoothing = checks.check_smoothing(label_smoothing, self.output)
        given = checks.check_batch(X, y, sample_weight, self._config, self._scale, self._ops)
        inputs, labels, weights = given
        batch = len(inputs)
        with self._turns:
            self._forward_rows = self._gradient_rows = 0
            self._arena.reserve(batch)
            self._arena.load(inputs, self._scale)
            layers = self._arena.layers(batch)
            layers[0] = self._center_first(layers[0])
            *hidden, last = layers
            self._drop(layers[0].x, layers[0].x, 0)
            for i, (layer, name) in enumerate(zip(hidden, self.activations, strict=True)):
                saved = self._saved(layer, name)
                self._ops.linear_activation_forward(layer.x, layer.w, layer.b, name, layer.z, saved)
                self._drop(saved, layer.y, i + 1)
            self._ops.linear_forward(last.x, last.w, last.b, last.y)
            losses = take_losses(self._ops, self.output, last.y, labels, last.dy, weights, smoothing)
            loss, self._total_weight = weighted_mean(losses, weights)
            if not math.isfinite(loss):
                raise FloatingPointError(f"the loss is {loss}; a smaller learning rate may help")
            self._forward_rows = batch
            return loss

    def _drop(self, x: NDArray[Any], y: NDArray[Any], index: int) -> None:
        """Write to y what dropout leaves of the input x of a layer, or of its gradient."""
        if rate := self.dropout[index > 0]:
            self._ops.dropout(x, y, rate, self._kept.dropout_seed, self._kept.all_steps, index)

    def _saved(self, layer: Layer, activation: str) -> NDArray[Any]:
        """Give the place of an activation's values, which its derivative needs and dropout would change."""
        return layer.z if self.dropout[1] and activation not in KEEP_Z else layer.y

    def backward(self) -> None:
        """Compute the gradient of the last forward pass's loss with respect to every parameter.

        Raises
        ------
        RuntimeError
            There was no forward pass since the model was made or since the last backward pass.
        """
        with self._turns:
            if not self._forward_rows:
                raise RuntimeError("backward follows a forward pass: call forward(X, y) first")
            layers, gradients = self._arena.layers(self._forward_rows), self._arena.gradients()
            for i in reversed(range(len(layers))):
                (w, _, x, _, dy, z), (dw, db) = layers[i], gradients[i]
                dx = layers[i - 1].dy if i else None
                if i == len(layers) - 1:
                    self._ops.linear_backward(x, w, dy, dx, dw, db)
                else:
                    name = self.activations[i]
                    saved = self._saved(layers[i], name)
                    self._drop(dy, dy, i + 1)
                    self._ops.linear_activation_backward(x, w, saved, z, dy, name, dx, dw, db)
            if self._is_split:
                dw, db = gradients[0]
                self._ops.add_outer(dw, self._shift, db)
            self._forward_rows, self._gradient_rows = 0, self._forward_rows

    def step(self, optimizer: Optimizer | float, total_steps: int | None = None) -> None:
        """Move every parameter against its gradient; none where the weights of its rows summed to 0.

        Parameters
        ----------
        optimizer : SGD, Adam, or a learning rate, which is that of SGD
        total_steps : of the whole run, where the optimizer's schedule wants to know

        Raises
        ------
        RuntimeError
            There are no gradients of the last forward pass: backward was not called.
        ValueError
            The optimizer does not fit the model, or a rate is not finite or below 0 in the model's dtype.
        """
        if not isinstance(optimizer, Optimizer):
            optimizer = SGD(float(checks.check_rates(optimizer, 1, 0.0, self.dtype)[0, 0]))
        checks.check_optimizer(optimizer, len(self.sizes) - 1, None, self.dtype)
        with self._turns:
            if not self._gradient_rows:
                raise RuntimeError("step follows a backward pass: call backward() first")
            if not self._total_weight:
                return
            steps = self._kept.steps if family_of(optimizer) == self._kept.family else 0
            given = schedules.rates(optimizer, steps, 1, total_steps)
            rates = checks.check_rates(given, 1, 0.0, self.dtype)[0]
            self._kept.begin(family_of(optimizer), False)
            take_step(self._ops, self._arena, self._kept, optimizer, rates, self._total_weight)

    # --- training, an epoch at once ----------------------------------------------------------------------

    def run_epoch(
        self,
        loader: DataLoader,
        order: NDArray[np.int64],
        rates: ArrayLike,
        losses: NDArray[Any],
        optimizer: Optimizer = _PLAIN,
        *,
        ema: float | None = None,
        label_smoothing: float = 0.0,
        loss_limit: float = 0.0,
        squares: NDArray[Any] | None = None,
    ) -> int:
        """Train on the samples of `order`, batch by batch; what `train_epoch` and `fit` call.

        Parameters
        ----------
        loader : the prepared data set
        order : int64 (n_samples,), rows of loader.X, at least one; or (n_epochs, n_samples), for several
            epochs in one call, whose batches then are all epochs'
        rates : learning rate; or float64 (n_batches, 2), the learning rate and the momentum of each step
        losses : float64 (n_batches,), receives each batch's weighted mean loss as it is known; 0 where the
            weights sum to 0, and then the batch changes nothing
        optimizer : SGD or Adam, whose own lr is not looked at; what it accumulates stays with the model
        ema : decay of an exponential moving average of the weights, which inference then uses; None for none
        label_smoothing : as for `forward`
        loss_limit : the most that a row of softmax, or a unit of logistic outputs, adds to a reported loss;
            0 for no limit
        squares : float64 (n_batches,), receives the sum of squares of all weights before each batch's step

        Returns
        -------
        Batches completed.

        Raises
        ------
        ValueError
            The data set or the optimizer does not fit the model, or order, rates or losses is bad.
        FloatingPointError
            A batch's loss or, at the end, a weight is not finite. That batch's step is not taken.
        RuntimeError
            The model is training already.
        """
        self.check_loader(loader)
        weights, smoothing = loader.weights, checks.check_smoothing(label_smoothing, self.output)
        limit = number("loss_limit", loss_limit)
        order = checks.check_order(order, len(loader.X))
        n_epochs, n = (1, *order.shape)[-2:]
        batch_size = min(loader.batch_size, n)
        losses = checks.check_losses(losses, n_epochs * -(-n // batch_size), order)
        if squares is not None:
            checks.check_losses(squares, len(losses), order, "squares")
        checks.check_optimizer(optimizer, len(self.sizes) - 1, ema, self.dtype)
        rates = checks.check_rates(rates, len(losses), getattr(optimizer, "momentum", 0.0), self.dtype)
        with self._turns:
            self._forward_rows = self._gradient_rows = 0
            self._arena.reserve(batch_size)
            self._kept.begin(family_of(optimizer), ema is not None)
            self._take_mean(loader)
            memory, table, kept = self._arena.memory, self._arena.table, self._kept
            settings = settings_of(optimizer, kept, ema, smoothing, limit)
            numbers = settings, rates, rate_factors(optimizer, len(table))
            labels, of_rows = (
                loader.labels_for(self.output, self.n_out),
                _NONE if weights is None else weights,
            )
            X, read, values = self._epoch_inputs(loader, n_epochs)
            data, stop = (X, labels, of_rows, order, batch_size), np.zeros(1, np.int64)
            done = self._ops.train_epoch(
                memory, table, kept.rows, *data, *numbers, *read, stop, losses, squares, values
            )
            taken = steps_in(order, batch_size, weights, done)
            kept.steps, kept.all_steps = kept.steps + taken, kept.all_steps + taken
            advice = f"a smaller learning rate than {rates[min(done, len(losses) - 1), 0]:g} may help"
            if done < len(losses):
                raise FloatingPointError(f"batch {done}: the loss is {losses[done]}; {advice}")
            # a weight under a pixel that is always 0 shows in no loss
            if not self._ops.scan(self._arena.block[None])[0]:
                raise FloatingPointError(f"after batch {done - 1}: weights are not finite; {advice}")
            return done

    def check_loader(self, loader: DataLoader) -> None:
        """Compare what a loader found in its data set with what the model takes.

        Raises
        ------
        ValueError
            They do not fit.
        """
        checks.check_loader(loader, self._config, self._scale, self._ops)

    # --- files ------------------------------------------------------------------------------------------

    def save(self, path: str | os.PathLike) -> None:
        """Write the model to a safetensors file; the same model gives the same bytes.

        Raises
        ------
        ValueError
            Weights are not finite, or `path` is a folder.
        OSError, TypeError
            The file cannot be written, and an older one is still there; or `path` is a stream, not a name.
        """
        safetensors.save_model(path, self.config(), self.get_weights())

    @classmethod
    def load(cls, path: str | os.PathLike, ops: Operations = kernels) -> "MLP":
        """Read a model from a file that `save` wrote: an MLP or a DigitsClassifier, whichever was saved.

        A class derived from them gives an object of its own, whose `__init__` is not called: what else it
        has, no file holds.

        Raises
        ------
        FileNotFoundError, TypeError
            There is no such file; or `path` is a stream, not a name.
        ValueError
            The file is damaged or none of fastmlp's; no code from it is ever run.
        """
        config, weights = safetensors.load_model(path)
        classes = {"MLP": MLP, "DigitsClassifier": DigitsClassifier}
        if config["class"] not in classes:
            raise ValueError(f"{path}: found class {config['class']!r}, expected one of {sorted(classes)}")
        kind = classes[config["class"]] if cls in classes.values() else cls
        model: MLP = object.__new__(kind)
        model._restore(config, weights, ops)
        return model

    def to_estimator(self) -> Any:
        """Make an estimator in scikit-learn's style, as `fastmlp.estimators.from_model` says."""
        return importlib.import_module(".estimators.from_model", __package__).to_estimator(self)


class DigitsClassifier(MLP):
    """The notebook's classifier of handwritten digits: 784 inputs, 128 hidden units, 10 classes by default.

    Parameters
    ----------
    in_features : pixels of an image
    hidden : width of each hidden layer; a number is the width of a single one
    n_classes : classes
    mlp_options : as for `MLP`; image_shape is (28, 28) where in_features is 784 and nothing else is said
    """

    _kind = "DigitsClassifier"

    def __init__(
        self,
        in_features: int = 784,
        hidden: int | Sequence[int] = (128,),
        n_classes: int = 10,
        **mlp_options: Any,
    ) -> None:
        if isinstance(in_features, int | np.integer) and in_features == 784:
            mlp_options.setdefault("image_shape", (28, 28))
        super().__init__([in_features, *np.atleast_1d(np.array(hidden, object)), n_classes], **mlp_options)
