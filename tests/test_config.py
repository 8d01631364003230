"""What a model says of itself, and that it cannot be changed."""

import numpy as np
import pytest
from models import make_model

from fastmlp import MLP, DigitsClassifier, kernels
from fastmlp.config import ACTIVATIONS

LIES = {
    "sizes": (6, 5, 4),
    "dtype": np.dtype(np.float64),
    "scale": 0.25,
    "image_shape": (3, 2),
    "class_names": ("x", "y", "z"),
    "activations": ("relu",),
    "init": "he_normal",
    "ops": None,
    "n_in": 7,
    "n_classes": 4,
    "n_parameters": 0,
}


@pytest.mark.parametrize(("name", "lie"), LIES.items(), ids=LIES)
def test_what_it_is_cannot_be_set(ops, tmp_path, name, lie):
    model = make_model(
        ops, scale=0.5, image_shape=(2, 3), class_names="abc", activation="tanh", init="he_uniform"
    )
    model.save(tmp_path / "before")
    before = getattr(model, name)
    with pytest.raises(AttributeError):
        setattr(model, name, lie)
    with pytest.raises(AttributeError):
        delattr(model, name)
    model.save(tmp_path / "after")
    assert getattr(model, name) == before != lie
    assert (tmp_path / "after").read_bytes() == (tmp_path / "before").read_bytes()


def test_the_summary_names_every_layer():
    summary = make_model(kernels, (784, 128, 64, 10)).summary()
    lines = summary.splitlines()
    assert [line.split() for line in lines[1:]] == [
        "Linear + ReLU 784 x 128 100,480".split(),
        "Linear + ReLU 128 x 64 8,256".split(),
        "Linear + softmax 64 x 10 650".split(),
        ["total", "109,386"],
    ]
    assert repr(make_model(kernels, scale=0.5)) == "MLP([6, 5, 3], scale=0.5, dtype=float32)"


@pytest.mark.parametrize(
    ("sizes", "activation", "expected"),
    [
        ((6, 3), "tanh", ()),
        ((6, 3), [], ()),
        ((6, 5, 3), "mish", ("mish",)),
        ((6, 5, 4, 3), "gelu", ("gelu", "gelu")),
        ((6, 5, 4, 3), ["tanh", "relu"], ("tanh", "relu")),
        ((6, 5, 4, 3), np.array(["selu", "identity"]), ("selu", "identity")),
        ((6, *[5] * len(ACTIVATIONS), 3), iter(ACTIVATIONS), ACTIVATIONS),
    ],
)
def test_every_hidden_layer_has_an_activation(sizes, activation, expected):
    model = make_model(kernels, sizes, activation=activation)
    assert model.activations == expected
    assert {type(name) for name in model.activations} <= {str}


def test_what_nothing_is_said_of_is_relu_and_he_normal():
    model = make_model(kernels, (6, 5, 4, 3))
    assert model.activations == ("relu", "relu") and model.init == "he_normal"
    assert DigitsClassifier(activation="silu", init="lecun_normal").config()["activations"] == ["silu"]


def test_config_has_what_a_model_is_made_with():
    of_layers = {"activation": "tanh", "output": "logistic", "dropout": 0.5, "init": "he_uniform"}
    model = MLP([6, 5, 3], scale=0.5, class_names="abc", **of_layers)
    assert model.config() == {
        "class": "MLP",
        "sizes": [6, 5, 3],
        "dtype": "float32",
        "scale": 0.5,
        "image_shape": None,
        "class_names": ["a", "b", "c"],
        "activations": ["tanh"],
        "output": "logistic",
        "dropout": [0.0, 0.5],
        "init": "he_uniform",
        "center": None,
    }


def test_the_summary_and_the_repr_name_the_activations():
    mixed = make_model(kernels, (6, 5, 4, 3), activation=["leaky_relu", "relu"])
    lines = mixed.summary().splitlines()
    assert [line.split()[:3] for line in lines[1:4]] == [
        ["Linear", "+", "leaky_relu"],
        ["Linear", "+", "ReLU"],
        ["Linear", "+", "softmax"],
    ]
    assert len({len(line) for line in lines}) == 1
    assert repr(mixed) == "MLP([6, 5, 4, 3], activation=['leaky_relu', 'relu'], scale=1, dtype=float32)"
    same = make_model(kernels, (6, 5, 4, 3), activation="tanh")
    assert repr(same) == "MLP([6, 5, 4, 3], activation='tanh', scale=1, dtype=float32)"
    assert repr(make_model(kernels, (6, 3), activation="tanh")) == "MLP([6, 3], scale=1, dtype=float32)"
