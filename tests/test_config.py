"""What a model says of itself, and that it cannot be changed."""

import numpy as np
import pytest
from models import make_model

from fastmlp import kernels

LIES = {
    "sizes": (6, 5, 4),
    "dtype": np.dtype(np.float64),
    "scale": 0.25,
    "image_shape": (3, 2),
    "class_names": ("x", "y", "z"),
    "ops": None,
    "n_in": 7,
    "n_classes": 4,
    "n_parameters": 0,
}


@pytest.mark.parametrize(("name", "lie"), LIES.items(), ids=LIES)
def test_what_it_is_cannot_be_set(ops, tmp_path, name, lie):
    model = make_model(ops, scale=0.5, image_shape=(2, 3), class_names="abc")
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
