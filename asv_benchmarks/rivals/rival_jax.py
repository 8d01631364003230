"""JAX: one jitted function an epoch, a `lax.scan` over its full batches and a step for the short one."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from .base import Rival, float_inputs, input_settings, pairs


def gather(array, rows):
    """Rows that are known to be there, so that none needs a check."""
    return array.at[rows].get(mode="promise_in_bounds")


def floats(x, scale, mean=None):
    """Bytes, less their mean where there is one, become float32 times scale."""
    if x.dtype != jnp.uint8:
        return x
    x = x.astype(jnp.float32) if mean is None else x.astype(jnp.float32) - mean
    return x if scale == 1 else x * scale


@jax.jit
def mean_of(X):
    """Mean of each column."""
    return X.astype(jnp.float32).mean(axis=0)


centered = jax.jit(floats, static_argnames="scale")


def logits(parameters, x):
    """All layers."""
    for w, b in parameters[:-1]:
        x = jax.nn.relu(x @ w + b)
    w, b = parameters[-1]
    return x @ w + b


def mean_loss(parameters, x, y, smoothing):
    """Softmax with cross-entropy of integer labels, of which all classes may have a share."""
    log_p = jax.nn.log_softmax(logits(parameters, x))
    loss = -jnp.take_along_axis(log_p, y[:, None], axis=1).mean()
    return (1 - smoothing) * loss - smoothing * log_p.mean() if smoothing else loss


def scan_batches(step, state, order, rates, batch_size):
    """Take `state, loss = step(state, (rows, rate))` over an order; also the losses, (n_batches,).

    Where rates are None, so is each step's.
    """
    n_full = len(order) // batch_size
    rows, short = order[: n_full * batch_size].reshape(-1, batch_size), order[n_full * batch_size :]
    state, losses = jax.lax.scan(step, state, (rows, None if rates is None else rates[:n_full]))
    if len(short):
        state, last = step(state, (short, None if rates is None else rates[-1]))
        losses = jnp.append(losses, last)
    return state, losses


@functools.partial(jax.jit, static_argnames="task", donate_argnums=0)
def train_epoch(state, X, y, mean, order, rates, task):
    """Gradient descent over an order: new parameters and velocities, and the losses."""

    def step(state, taken):
        (parameters, velocities), (rows, rate) = state, taken
        x = floats(gather(X, rows), task.scale, mean)
        loss, gradients = jax.value_and_grad(mean_loss)(parameters, x, gather(y, rows), task.smoothing)
        if velocities is None:
            return (jax.tree.map(lambda p, g: p - task.lr * g, parameters, gradients), None), loss
        velocities = jax.tree.map(lambda v, g: task.momentum * v - rate * g, velocities, gradients)
        parameters = jax.tree.map(
            lambda p, v, g: p + task.momentum * v - rate * g, parameters, velocities, gradients
        )
        return (parameters, velocities), loss

    return scan_batches(step, state, order, rates, task.batch_size)


@functools.partial(jax.jit, static_argnames="scale")
def likeliest(parameters, x, scale):
    """Class of each row."""
    return logits(parameters, floats(x, scale)).argmax(axis=1)


def prepared(rival, X, y):
    """Inputs of a rival's kind, int32 labels, and what is left to subtract from a batch's inputs, or None."""
    y, scale = jnp.asarray(y.astype(np.int32)), rival.task.scale
    if not rival.task.center:
        return rival.array(X), y, None
    X = jnp.asarray(X)
    mean = mean_of(X)
    return (X, y, mean) if "uint8" in rival.setting else (centered(X, scale, mean), y, None)


class Jax(Rival):
    """Arrays on the device throughout; an epoch sends its order and fetches its losses."""

    @classmethod
    def settings(cls, dtype, training=True):
        return input_settings(dtype)

    def array(self, X):
        """Bytes as they are, or float32, scaled."""
        return jnp.asarray(X if "uint8" in self.setting else float_inputs(X, self.task.scale))

    def prepare(self, X, y):
        self.data = prepared(self, X, y)

    def set_weights(self, weights):
        # copies, because their memory is given away at each epoch
        parameters = [(jnp.array(w), jnp.array(b)) for w, b in pairs(weights)]
        self.state = parameters, jax.tree.map(jnp.zeros_like, parameters) if self.task.momentum else None

    def get_weights(self):
        return [np.array(array) for pair in self.state[0] for array in pair]

    def epoch(self, order, rates=None):
        order = jnp.asarray(order.astype(np.int32))
        rates = None if rates is None else jnp.asarray(rates, jnp.float32)
        self.state, losses = train_epoch(self.state, *self.data, order, rates, self.task)
        return np.asarray(losses)

    def classifier(self, X):
        x = self.array(X)
        return lambda: likeliest(self.state[0], x, self.task.scale).block_until_ready()
