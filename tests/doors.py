"""Public calls, their arguments as they should be, and values that hardly any argument should have."""

import numpy as np
from models import X_GOOD, Y_GOOD, make_model

import fastmlp
from fastmlp import MLP, SGD, DataLoader, fit, kernels, train_epoch

ODD = {
    "None": None,
    "True": True,
    "False": False,
    "0": 0,
    "-1": -1,
    "7": 7,
    "2**31": 2**31,
    "2**63": 2**63,
    "10**400": 10**400,
    "-10**400": -(10**400),
    "0.5": 0.5,
    "-0.5": -0.5,
    "1e39": 1e39,
    "NaN": np.nan,
    "inf": np.inf,
    "-inf": -np.inf,
    "1j": 1j,
    "empty text": "",
    "text": "x",
    "text with NUL": "a\0b",
    "a lone surrogate": "\ud800",
    "bytes": b"x",
    "list": [],
    "list in list": [[]],
    "list of None": [None],
    "ragged": [1, [2, 3]],
    "tuple": (),
    "numbers": [1, 2, 3],
    "names": ["a", "b", "c"],
    "NaN in a list": [np.nan] * 6,
    "dict": {},
    "map": {0: 1},
    "map of None": {None: None},
    "set": {1, 2},
    "object": object(),
    "class": MLP,
    "function": lambda *_: None,
    "range": range(4),
    "iterator": iter([1.0, 2.0]),
    "slice": slice(3),
    "ellipsis": ...,
    "np.bool": np.True_,
    "np.float32": np.float32(3),
    "np.int8": np.int8(-3),
    "0-d": np.array(3.0),
    "no rows": np.zeros((0, 6)),
    "no columns": np.zeros((4, 0)),
    "3-d": np.zeros((2, 2, 2)),
    "NaNs": np.full((4, 6), np.nan),
    "infinite": np.full((4, 6), np.inf),
    "text array": np.array(["a", "b", "c", "d"]),
    "complex": np.ones((4, 6), complex),
    "objects": np.array([None, 1, "x", []], object),
    "dates": np.zeros(4, "M8[s]"),
    "spans": np.zeros((4, 6), "m8[s]"),
    "records": np.zeros(4, [("a", "i4"), ("b", "f8")]),
    "masked": np.ma.masked_all((4, 6)),
    "masked number": np.ma.masked,
    "float16": np.full((4, 6), np.float16(np.inf)),
    "labels beyond": np.array([0, 1, 2, 3]),
    "huge": np.full((4, 6), 1e300),
    "big integers": np.array([2**64 - 1] * 4, np.uint64),
    "other bytes": np.arange(4).astype(">i8"),
    "memory": memoryview(b"abcd"),
    "dtype": np.dtype("f2"),
    "module": fastmlp,
    "error": ValueError("x"),
    "model": make_model(kernels),
    "matrix of text": [["a"] * 6] * 4,
}


def trained():
    """A model that has gone forward and backward."""
    model = make_model(kernels)
    model.forward(X_GOOD, Y_GOOD)
    model.backward()
    return model


class Door:
    """A call and its good arguments; `call(model, **arguments)`."""

    def __init__(self, call, make=lambda: make_model(kernels), **good):
        self.call, self.make, self.good = call, make, good


def method(name, /, **good):
    return Door(lambda model, **given: getattr(model, name)(**given), **good)


def maker(name, /, **good):
    return Door(lambda model, **given: getattr(fastmlp, name)(**given), **good)


def end(_):
    return True


def state(model, **changed):
    model.set_state(model.get_state() | changed)


LOADER = DataLoader(X_GOOD, Y_GOOD, 2)
PAIR = {"X": X_GOOD, "y": Y_GOOD}
TRAIN = PAIR | {
    "lr": 0.1,
    "optimizer": None,
    "batch_size": 2,
    "shuffle": True,
    "seed": 1,
    "sample_weight": np.ones(4),
    "class_weight": None,
    "label_smoothing": 0.1,
    "ema": 0.5,
}
FIT = TRAIN | {
    "epochs": 1,
    "validation_data": (X_GOOD, Y_GOOD),
    "score_train": True,
    "early_stopping": None,
    "callbacks": [end],
    "checkpoint": None,
    "resume": None,
    "history": None,
    "progress": False,
}
EPOCH = {
    "loader": LOADER,
    "order": np.arange(4),
    "rates": 0.1,
    "losses": np.zeros(2),
    "optimizer": SGD(),
    "ema": 0.5,
    "label_smoothing": 0.1,
    "loss_limit": 1.0,
    "squares": np.zeros(2),
}
MODEL = {
    "sizes": [6, 5, 3],
    "activation": "relu",
    "output": "softmax",
    "dropout": 0.0,
    "center": None,
    "scale": 1.0,
    "init": "he_normal",
    "image_shape": (2, 3),
    "class_names": "abc",
    "seed": 1,
    "dtype": "f4",
    "ops": kernels,
}
DIGITS = {"in_features": 6, "hidden": (5,), "n_classes": 3}
STEP = {"l2": 0.0, "weight_decay": 0.0, "layer_lr": None, "bias_lr": 1.0}
DOORS = {
    "MLP": maker("MLP", **MODEL),
    "DigitsClassifier": maker("DigitsClassifier", **DIGITS),
    "forward": method("forward", **PAIR, sample_weight=np.ones(4), label_smoothing=0.1),
    "step": Door(lambda model, **given: model.step(**given), trained, optimizer=0.1, total_steps=3),
    "run_epoch": method("run_epoch", **EPOCH),
    "logits": method("logits", X=X_GOOD),
    "predict": method("predict", X=X_GOOD),
    "predict_proba": method("predict_proba", X=X_GOOD),
    "loss": method("loss", **PAIR, sample_weight=np.ones(4)),
    "set_weights": method("set_weights", weights=make_model(kernels).get_weights()),
    "one weight": Door(lambda model, w: model.set_weights([w, *model.get_weights()[1:]]), w=np.zeros((6, 5))),
    "set_state": method("set_state", state=make_model(kernels).get_state()),
    "part of a state": Door(state, **make_model(kernels).get_state()),
    "save": method("save", path="m"),
    "load": method("load", path="m"),
    "fit": Door(fit, **FIT),
    "fit of a model": Door(lambda _, model: fit(model, X_GOOD, Y_GOOD, epochs=0), model=make_model(kernels)),
    "fit of a centered model": Door(fit, lambda: make_model(kernels, center="mean"), **FIT),
    "train_epoch of a model": Door(
        lambda _, model: train_epoch(model, X_GOOD, Y_GOOD), model=make_model(kernels)
    ),
    "train_epoch": Door(train_epoch, **{k: v for k, v in TRAIN.items() if k != "class_weight"}),
    "evaluate": Door(fastmlp.evaluate, **PAIR),
    "accuracy": Door(fastmlp.accuracy, **PAIR),
    "DataLoader": maker(
        "DataLoader", **PAIR, batch_size=2, shuffle=True, seed=1, drop_last=False, sample_weight=np.ones(4)
    ),
    "create_batches": maker("create_batches", **PAIR, batch_size=2),
    "to_one_hot": maker("to_one_hot", labels=Y_GOOD, n_classes=3),
    "SGD": maker("SGD", lr=0.1, momentum=0.0, nesterov=False, **STEP),
    "Adam": maker("Adam", lr=0.1, beta_1=0.9, beta_2=0.999, epsilon=1e-8, **STEP),
    "EarlyStopping": maker("EarlyStopping", patience=1, monitor="loss", min_delta=0.0),
    "Checkpoint": maker("Checkpoint", path="c", epochs=1, seconds=1.0),
    "set_num_threads": maker("set_num_threads", n=1),
    "read_idx": maker("read_idx", path="i"),
    "load_mnist_images": maker("load_mnist_images", path="i"),
    "load_idx_dataset": maker("load_idx_dataset", folder="f", name=None, transpose=False, first_label=0),
}
