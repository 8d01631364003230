"""Training comes to the same bits whatever the width of vectors: a process a width, and its digests."""

import hashlib
import itertools
import json
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from trees import python

from fastmlp import MLP, SGD, Adam, DataLoader, fit
from fastmlp.config import OUTPUTS
from fastmlp.kernels.core import machine

N, BATCH = 100, 24  # the last batch has 4 samples
SIZES = (9, 5), (100, 113, 17, 10)
OPTIMIZERS = {
    "sgd": (SGD(0.05), None),
    "penalties": (SGD(0.05, l2=0.1, weight_decay=0.1, bias_lr=2.0), 0.9),
    "momentum": (SGD(0.05, momentum=0.9), None),
    "nesterov": (SGD(0.05, momentum=0.9, nesterov=True, l2=0.1), 0.9),
    "adam": (Adam(0.01), None),
    "adamw": (Adam(0.01, l2=0.1, weight_decay=0.1), 0.9),
}
ACTIVATIONS = "relu", "tanh", "gelu"
CENTERS = {"tanh": "mean"}  # beside an activation, to be spared the time of more cases
DENSITIES = {"dense": 1.0, "zero-skipping": 0.3}


def digest(sizes, optimizer, ema, activation, dtype, density):
    """What two epochs and a step on its own leave, and what inference then says."""
    rng = np.random.default_rng(0)
    X = (rng.integers(1, 256, (N, sizes[0])) * (rng.random((N, sizes[0])) < density)).astype(np.uint8)
    y = rng.integers(sizes[-1], size=N)
    loader = DataLoader(X, y, BATCH)
    assert loader.masks.size == (density < 1) * N * -(-sizes[0] // 64)
    options = {"activation": activation, "center": CENTERS.get(activation)}
    model = MLP(sizes, scale=1 / 255, seed=1, dtype=dtype, **options)
    history = fit(model, loader, epochs=2, optimizer=optimizer, ema=ema, progress=False)
    averages = model.get_weights()
    loss = model.forward(X, y)
    model.backward()
    model.step(optimizer)
    kept = model.get_state()
    found = hashlib.sha256(np.array([*(record.loss for record in history), loss]).tobytes())
    for array in itertools.chain(averages, kept["weights"], *kept["state"], [model.logits(X)]):
        found.update(array.tobytes())
    return found.hexdigest()


def digest_of_output(output, density):
    """The same of another output, with weights of rows, smoothed labels and dropout."""
    sizes = SIZES[1]
    rng = np.random.default_rng(0)
    X = (rng.integers(1, 256, (N, sizes[0])) * (rng.random((N, sizes[0])) < density)).astype(np.uint8)
    y = rng.integers(sizes[-1], size=N) if output == "softmax" else rng.integers(2, size=(N, sizes[-1]))
    given = {"sample_weight": rng.integers(4, size=N) / 3, "batch_size": BATCH, "seed": 0}
    given["label_smoothing"] = 0.1 if output in ("softmax", "logistic") else 0.0
    model = MLP(sizes, activation="silu", output=output, dropout=(0.25, 0.5), scale=1 / 255, seed=1)
    history = fit(model, X, y, epochs=2, lr=0.001, validation_data=(X, y), progress=False, **given)
    losses = np.array([(record.loss, record.validation_loss) for record in history])
    found = hashlib.sha256(losses.tobytes())
    for array in [*model.get_weights(), model.logits(X)]:
        found.update(array.tobytes())
    return found.hexdigest()


def digests():
    """Of every case, by its name, in the vectors of this process."""
    found = {"width": machine.vector_bytes()}
    choices = itertools.product(SIZES, OPTIMIZERS, ACTIVATIONS, ("float32", "float64"), DENSITIES)
    for sizes, name, activation, dtype, data in choices:
        case = f"{sizes} {name} {activation} {dtype} {data}"
        found[case] = digest(sizes, *OPTIMIZERS[name], activation, dtype, DENSITIES[data])
    for output, data in itertools.product(OUTPUTS, DENSITIES):
        found[f"{output} {data}"] = digest_of_output(output, DENSITIES[data])
    return found


CODE = "import json, test_steps_widths; print(json.dumps(test_steps_widths.digests()))"


def test_the_same_bits_whatever_the_width_of_vectors():
    here = digests()
    others = sorted({64, 32, 16} - {here["width"]})
    with ThreadPoolExecutor() as pool:
        children = pool.map(lambda width: python("-c", CODE, FASTMLP_VECTOR_BYTES=str(width)), others)
    for width, child in zip(others, children, strict=True):
        assert child.returncode == 0, child.stderr
        assert json.loads(child.stdout) == here | {"width": width}
