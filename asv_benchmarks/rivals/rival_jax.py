"""JAX: one jitted function an epoch, a `lax.scan` over its full batches and a step for the short one."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from .base import Rival, float_inputs, input_settings, pairs


def gather(array, rows):
    """Rows that are known to be there, so that none needs a check."""
    return array.at[rows].get(mode="promise_in_bounds")


def logits(parameters, x, scale):
    """All layers; bytes become float32 times scale."""
    if x.dtype == jnp.uint8:
        x = x.astype(jnp.float32) if scale == 1 else x.astype(jnp.float32) * scale
    for w, b in parameters[:-1]:
        x = jax.nn.relu(x @ w + b)
    w, b = parameters[-1]
    return x @ w + b


def mean_loss(parameters, x, y, scale):
    """Softmax with cross-entropy of integer labels."""
    log_p = jax.nn.log_softmax(logits(parameters, x, scale))
    return -jnp.take_along_axis(log_p, y[:, None], axis=1).mean()


def scan_batches(step, state, order, batch_size):
    """Take `state, loss = step(state, rows)` over an order; also the losses, (n_batches,)."""
    n_full = len(order) // batch_size * batch_size
    state, losses = jax.lax.scan(step, state, order[:n_full].reshape(-1, batch_size))
    if n_full < len(order):
        state, last = step(state, order[n_full:])
        losses = jnp.append(losses, last)
    return state, losses


@functools.partial(jax.jit, static_argnames=("batch_size", "lr", "scale"), donate_argnums=0)
def train_epoch(parameters, X, y, order, batch_size, lr, scale):
    """Plain gradient descent over an order: new parameters, and the losses."""

    def step(parameters, rows):
        loss, gradients = jax.value_and_grad(mean_loss)(parameters, gather(X, rows), gather(y, rows), scale)
        return jax.tree.map(lambda p, g: p - lr * g, parameters, gradients), loss

    return scan_batches(step, parameters, order, batch_size)


@functools.partial(jax.jit, static_argnames="scale")
def likeliest(parameters, x, scale):
    """Class of each row."""
    return logits(parameters, x, scale).argmax(axis=1)


class Jax(Rival):
    """Arrays on the device throughout; an epoch sends its order and fetches its losses."""

    @classmethod
    def settings(cls, dtype, training=True):
        return input_settings(dtype)

    def array(self, X):
        """Bytes as they are, or float32, scaled."""
        return jnp.asarray(X if "uint8" in self.setting else float_inputs(X, self.task.scale))

    def prepare(self, X, y):
        self.X, self.y = self.array(X), jnp.asarray(y.astype(np.int32))

    def set_weights(self, weights):
        # copies, because their memory is given away at each epoch
        self.parameters = [(jnp.array(w), jnp.array(b)) for w, b in pairs(weights)]

    def get_weights(self):
        return [np.array(array) for pair in self.parameters for array in pair]

    def epoch(self, order):
        task, rows = self.task, jnp.asarray(order.astype(np.int32))
        self.parameters, losses = train_epoch(
            self.parameters, self.X, self.y, rows, task.batch_size, task.lr, task.scale
        )
        return np.asarray(losses)

    def classifier(self, X):
        x = self.array(X)
        return lambda: likeliest(self.parameters, x, self.task.scale).block_until_ready()
