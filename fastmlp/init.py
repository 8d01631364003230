"""Initial weights of a layer, by the names that `MLP(init=...)` takes."""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

# variance of a weight; a uniform number from -a to a has the variance a * a / 3
_VARIANCES: dict[str, Callable[[int, int], float]] = {
    "he": lambda n_in, n_out: 2 / n_in,
    "glorot": lambda n_in, n_out: 2 / (n_in + n_out),
    "lecun": lambda n_in, n_out: 1 / n_in,
}
INITS = ("he_normal", "he_uniform", "glorot_normal", "glorot_uniform", "lecun_normal")


def initial_weights(init: str, shape: tuple[int, int], rng: np.random.Generator) -> NDArray[np.float64]:
    """Draw the weights of a layer.

    Variances:  he 2 / n_in;  glorot 2 / (n_in + n_out);  lecun 1 / n_in.

    He et al., Delving Deep into Rectifiers, 2015, equation 10; Glorot and Bengio, Understanding the
    difficulty of training deep feedforward neural networks, 2010, equations 12 and 16; LeCun et al.,
    Efficient BackProp, 1998, equation 16.

    Parameters
    ----------
    init : a name of INITS
    shape : (n_in, n_out)
    rng : whose state moves on

    Returns
    -------
    weights : float64 (n_in, n_out), normal with mean 0, or uniform from -a to a with a = sqrt(3 * variance)
    """
    family, distribution = init.split("_")
    variance = _VARIANCES[family](*shape)
    if distribution == "normal":
        return rng.standard_normal(shape) * math.sqrt(variance)
    bound = math.sqrt(3 * variance)
    return rng.uniform(-bound, bound, shape)
