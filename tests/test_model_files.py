"""Models that are saved, copied and pickled, and those that an older version pickled."""

import base64
import copy
import io
import os
import pickle
import zlib

import numpy as np
import pytest
from models import bits, make_data, make_model, train_by_steps

from fastmlp import MLP, DigitsClassifier, fit, kernels
from fastmlp.export.safetensors import save_model


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("width", [5, 97, 529])
def test_a_saved_model_is_loaded_as_it_was(ops, tmp_path, width, dtype):
    options = {"scale": 1 / 255, "image_shape": (2, 3), "class_names": ["a", "b", "ç"]}
    options |= {"activation": "tanh", "init": "glorot_uniform"}
    model = make_model(ops, (6, width, 3), dtype=dtype, **options)
    X, y = make_data(model.sizes)
    train_by_steps(model, X, y, 10, 0.1)
    model.save(tmp_path / "a")
    loaded = MLP.load(tmp_path / "a", ops=ops)
    assert type(loaded) is MLP and loaded.ops is ops and loaded.dtype == dtype
    assert loaded.config() == model.config()
    assert loaded.activations == ("tanh",) and loaded.init == "glorot_uniform"
    assert loaded.image_shape == (2, 3) and loaded.class_names == ("a", "b", "ç") and loaded.scale == 1 / 255
    assert bits(loaded) == bits(model)
    np.testing.assert_array_equal(loaded.predict_proba(X), model.predict_proba(X))
    loaded.save(tmp_path / "b")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    for m in (model, loaded):
        train_by_steps(m, X, y, 10, 0.1)
    assert bits(loaded) == bits(model)


def test_a_digits_classifier_is_loaded_as_one(ops, tmp_path):
    DigitsClassifier(hidden=(4,), seed=0, ops=ops).save(tmp_path / "m")
    loaded = DigitsClassifier.load(tmp_path / "m")
    assert type(loaded) is DigitsClassifier and loaded.ops is kernels and loaded.image_shape == (28, 28)


@pytest.mark.parametrize("sizes", [(6, 3), (6, 5, 3), (6, 5, 4, 3)], ids=str)
def test_what_goes_without_saying_is_in_no_file(ops, tmp_path, sizes):
    make_model(ops, sizes).save(tmp_path / "a")
    n_hidden = len(sizes) - 2
    make_model(ops, sizes, activation=["relu"] * n_hidden, init="he_normal").save(tmp_path / "b")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert b"activations" not in (tmp_path / "a").read_bytes()
    loaded = MLP.load(tmp_path / "a")
    assert loaded.activations == ("relu",) * n_hidden and loaded.init == "he_normal"


def test_streams_are_refused_and_take_the_bytes_of_a_file(ops, tmp_path):
    model, path = make_model(ops), tmp_path / "m"
    with open(path, "wb") as file:
        for stream in (io.BytesIO(), file, None, 3):
            for refuses in (model.save, MLP.load):
                with pytest.raises(
                    TypeError, match="path is of type .*, expected a file's name.*copy that file's bytes"
                ):
                    refuses(stream)
    model.save(os.fsencode(path))
    stream = io.BytesIO(path.read_bytes())
    path.with_suffix(".copy").write_bytes(stream.getvalue())
    assert bits(MLP.load(os.fsencode(path.with_suffix(".copy")))) == bits(model)


def test_a_save_that_fails_leaves_the_old_file(ops, tmp_path):
    path = tmp_path / "m"
    model = make_model(ops)
    model.save(path)
    before = path.read_bytes()
    model._arena.pieces(model._arena.block)[1][0][0][0, 0] = np.nan
    with pytest.raises(ValueError, match="finite"):
        model.save(path)
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


def test_files_that_hold_no_model_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="nothing"):
        MLP.load(tmp_path / "nothing")
    (tmp_path / "text").write_text("hello")
    with pytest.raises(ValueError, match="text"):
        MLP.load(tmp_path / "text")
    model = make_model(kernels)
    save_model(tmp_path / "other", {**model.config(), "class": "Other"}, model.get_weights())
    with pytest.raises(ValueError, match="other: found class 'Other', expected one of"):
        MLP.load(tmp_path / "other")


# --- copies and pickles -----------------------------------------------------------------------------------


COPIES = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "pickle": lambda model: pickle.loads(pickle.dumps(model)),
}


@pytest.mark.parametrize("duplicate", COPIES.values(), ids=COPIES)
@pytest.mark.parametrize("hidden", [(5, 4), (97, 529)], ids=str)
def test_copies_train_on_to_the_same_bits_alone(ops, duplicate, hidden):
    options = {"activation": ["tanh", "gelu"], "init": "lecun_normal", "scale": 0.5, "class_names": "abc"}
    model = DigitsClassifier(6, hidden, 3, seed=0, ops=ops, **options)
    X, y = make_data(model.sizes)
    fit(model, X, y, epochs=1, lr=0.1, seed=0)
    other = duplicate(model)
    assert type(other) is DigitsClassifier and other.ops is ops and other.config() == model.config()
    assert other.activations == ("tanh", "gelu") and other.init == "lecun_normal"
    before = bits(model)
    fit(other, X, y, epochs=2, lr=0.1, seed=5)
    assert bits(model) == before
    fit(model, X, y, epochs=2, lr=0.1, seed=5)
    assert bits(model) == bits(other) != before


class Noted(MLP):
    """A class of a user's, with attributes of its own."""

    def __init__(self, sizes, note, **options):
        self.note = note  # before the model is made, and after
        super().__init__(sizes, **options)
        self.model, self._private = self, [note]


@pytest.mark.parametrize("duplicate", COPIES.values(), ids=COPIES)
def test_copies_have_the_attributes_of_a_derived_class(ops, duplicate):
    model = Noted([6, 5, 3], {"by": "me"}, seed=0, ops=ops, center="mean")
    X, y = make_data(model.sizes)
    fit(model, X, y, epochs=1)
    model.forward(X, y)
    other = duplicate(model)
    assert type(other) is Noted and (other.note, other._private) == ({"by": "me"}, [{"by": "me"}])
    assert other.model is (model if duplicate is copy.copy else other)
    assert vars(other).keys() == vars(model).keys() and other.ops is ops and bits(other) == bits(model)
    assert other._turns is not model._turns and other._arena is not model._arena
    with pytest.raises(RuntimeError, match="backward follows a forward pass"):  # no workspace comes along
        other.backward()


def test_a_derived_class_loads_objects_of_its_own(tmp_path):
    model = Noted([6, 5, 3], "n", seed=0)
    model.save(tmp_path / "m")
    loaded = Noted.load(tmp_path / "m")
    assert type(loaded) is Noted and bits(loaded) == bits(model) and not hasattr(loaded, "note")
    assert type(MLP.load(tmp_path / "m")) is type(DigitsClassifier.load(tmp_path / "m")) is MLP
    digits = type("Digits", (DigitsClassifier,), {})
    digits(seed=0).save(tmp_path / "d")
    assert type(digits.load(tmp_path / "d")) is digits and type(MLP.load(tmp_path / "d")) is DigitsClassifier


# Pickles of version 0.1, compressed: of `DigitsClassifier(3, (2,), 2, seed=0, scale=0.5, class_names="ab")`
# after two epochs, with each back end.
PICKLES = {
    "fastmlp.kernels": (
        "eNp9kU1LAkEYx11107BICKzoGIFdPFh08e2wkdWCh+4h4zrrDu0bO7OVQlCHLGEKyqdz0alPEBiVX6Nu3foYNe7msR6YYV5+839+"
        "MCfx2y8pEhSf1hFllunmLKeJTeDpDdIijComopToBHvQh5VTOIYsn9AcWyetYC1rIwAMicuUdDCFPciqMTWqRjGXm6ztYuAJ3XQQ"
        "W82DYDRkYqhWPn+7poiFWrhODSTAGk8FaXUbWWESlxBwqQHY54lDTFoGC48ztm+57Vxdczycs3yTEeR5qA18qu5hYUeZ52tMGHM5"
        "IIWD3QyRPqiRM1BE6DnsCldpZNsFY26sKx5F9TXoXYT3MS4VoVar7XyLCiY1wqDRU+azs/Hy5dHglRUmK1fuoLSZ/3jbSt6UQVwb"
        "GWNh1MdYHHeJis1ST0l2np+KpW6p8AcVuAguXTUeK9sHTqVL1ofX7/fD/1Mflu+KYryMKMxjjkuBz4x/dB97NjYp+I3cD7Apv20="
    ),
    "fastmlp.reference": (
        "eNp9kU1LAkEYx11f0rDACKzoGIJdPFh08WUDI6uFPXQPGddZd2Df2JmtLII6ZAlDUD6dDerQJwiMyq9Rt659ihrXPNZzGGbm+c3/"
        "+cGcRm+/pFBQfFpHlFmmm7OcBjaBpzZIkzBaMRGlRCfYgy4sn8EJZPmE5tg6aQb7mDYEwJB4jJIjTGEPskpECSthzGMN1nIx8Lhu"
        "Ooit5EEwGjIxVOXP36lJYqEmrlEDCVDlySCtZiNrlMQlBFyqA/Z5/ACTpsFG12nbt9xWrqY5Hs5ZvskI8jzUAj5V87Cwo8zzNSaM"
        "eSwghYPdGCFdUELnUBGhF7ArXKWhbRuMubGueBTWV6FzOepHuFQEVVV3vkUFixJiUO9U5rOz0TI/7L+ywqR85fZLm/mPt63ETRlE"
        "20gbC8M5xuJ4SlgcljqVxPHzU3G9XSr8QQUugktVjUd5e9+R22RtcP1+N/g/9SHTK95nei9DCvOI41LgM+Mf9bCOPWxrGPx67gc1"
        "m8Ay"
    ),
}


def test_old_pickles_load_and_train_on(ops):
    model = pickle.loads(zlib.decompress(base64.b64decode(PICKLES[ops.__name__])))
    assert type(model) is DigitsClassifier and model.ops is ops and model.dtype == np.float32
    assert model.sizes == (3, 2, 2) and model.scale == 0.5 and model.class_names == ("a", "b")
    assert model.activations == ("relu",) and model.init == "he_normal"
    then = [0.12897933, -0.09056196, 0.53606343, 0.09054671, -0.42421168, 0.28521943, 0.02230572, 0.00289191]
    np.testing.assert_allclose([*model.get_weights()[0].ravel(), *model.get_weights()[1]], then, rtol=1e-5)
    X = [[2, 1, 1], [0, 0, 0], [0, 0, 0], [2, 1, 2], [1, 1, 2], [2, 1, 1]]
    fit(model, X, [0, 1, 0, 1, 1, 0], epochs=2, lr=0.1, batch_size=4, seed=5)
    now = [1.3279785, 0.92310256, -0.72700167, -1.242155]
    np.testing.assert_allclose(model.get_weights()[2].ravel(), now, rtol=1e-5)  # of float32, over four steps
