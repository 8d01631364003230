"""Keras 3 on JAX: its model, loss and optimizer as pure functions, jitted by step or scanned by epoch."""

import os

os.environ["KERAS_BACKEND"] = "jax"  # read when Keras is imported

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import keras  # noqa: E402
import numpy as np  # noqa: E402

from .base import Rival, float_inputs, input_settings  # noqa: E402
from .rival_jax import floats, gather, prepared, scan_batches  # noqa: E402


class Keras(Rival):
    """`stateless_call` and `stateless_apply` in a loop of one's own.

    `fit` is not tried: it returns no batch's loss, and the loop of its guide for JAX does less between steps.
    """

    SCANNED = "epoch in lax.scan"

    def __init__(self, task, threads, setting):
        super().__init__(task, threads, setting)
        hidden = [keras.layers.Dense(width, activation="relu") for width in task.sizes[1:-1]]
        inputs = keras.Input(task.sizes[:1])
        self.model = keras.Sequential([inputs, *hidden, keras.layers.Dense(task.sizes[-1])])
        self.optimizer = keras.optimizers.SGD(task.lr, momentum=task.momentum, nesterov=task.momentum > 0)
        self.optimizer.build(self.model.trainable_variables)
        self.rate_at = [variable.name for variable in self.optimizer.variables].index("learning_rate")
        self.loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        if task.smoothing:
            smoothed = {"from_logits": True, "label_smoothing": task.smoothing}
            self.loss = keras.losses.CategoricalCrossentropy(**smoothed)
        self.grad = jax.value_and_grad(self.loss_and_updates, has_aux=True)
        self.jitted_step = jax.jit(self.step, donate_argnums=0)
        self.jitted_epoch = jax.jit(self.scanned, donate_argnums=0)
        self.jitted_classify = jax.jit(self.classify)

    @classmethod
    def settings(cls, dtype, training=True):
        inputs, ways = input_settings(dtype), ("train step jitted", cls.SCANNED)
        return [f"{i}, {way}" for i in inputs for way in ways] if training else inputs

    def array(self, X):
        """Bytes as they are, or float32, scaled."""
        return jnp.asarray(X if "uint8" in self.setting else float_inputs(X, self.task.scale))

    def prepare(self, X, y):
        self.data = prepared(self, X, y)

    def set_weights(self, weights):
        self.model.set_weights(weights)
        variables = (
            self.model.trainable_variables,
            self.model.non_trainable_variables,
            self.optimizer.variables,
        )
        # copies, because their memory is given away at each step
        self.state = [[jnp.array(variable.value) for variable in group] for group in variables]

    def get_weights(self):
        return [np.array(array) for array in self.state[0]]

    def loss_and_updates(self, trainable, non_trainable, x, y):
        """Mean loss of a batch, and what layers other than these might update."""
        outputs, non_trainable = self.model.stateless_call(trainable, non_trainable, x, training=True)
        if self.task.smoothing:
            y = jax.nn.one_hot(y, self.task.sizes[-1])
        return self.loss(y, outputs), non_trainable

    def step(self, state, data, rows, rate):
        """Train on a batch, at a rate of its own where there is one."""
        (trainable, non_trainable, optimizer), (X, y, mean) = state, data
        if rate is not None:
            optimizer = [*optimizer]
            optimizer[self.rate_at] = rate
        x = floats(gather(X, rows), self.task.scale, mean)
        (loss, non_trainable), gradients = self.grad(trainable, non_trainable, x, gather(y, rows))
        trainable, optimizer = self.optimizer.stateless_apply(optimizer, gradients, trainable)
        return [trainable, non_trainable, optimizer], loss

    def scanned(self, state, data, order, rates):
        """Train on all batches of an order."""
        return scan_batches(
            lambda state, taken: self.step(state, data, *taken), state, order, rates, self.task.batch_size
        )

    def epoch(self, order, rates=None):
        order = order.astype(np.int32)
        rates = None if rates is None else rates.astype(np.float32)
        if self.SCANNED in self.setting:
            self.state, losses = self.jitted_epoch(self.state, self.data, order, rates)
            return np.asarray(losses)
        losses = []
        for i, start in enumerate(range(0, len(order), self.task.batch_size)):
            rows = order[start : start + self.task.batch_size]
            rate = None if rates is None else rates[i]
            self.state, loss = self.jitted_step(self.state, self.data, rows, rate)
            losses.append(loss)
        return np.array(jax.device_get(losses))

    def classify(self, state, x):
        """Likeliest class of each row."""
        outputs, _ = self.model.stateless_call(state[0], state[1], floats(x, self.task.scale), training=False)
        return outputs.argmax(axis=1)

    def classifier(self, X):
        x = self.array(X)
        return lambda: self.jitted_classify(self.state, x).block_until_ready()
