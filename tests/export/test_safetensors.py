"""Model files: what is saved is loaded, and a damaged, foreign or edited file is refused with its reason."""

import base64
import errno
import json
import os
import zlib

import numpy as np
import pytest
from safetensors.numpy import save

from fastmlp import MLP
from fastmlp.config import DEFAULTS
from fastmlp.export.safetensors import load_model, save_model

CONFIG = {
    "class": "MLP",
    "sizes": (6, 4, 3),
    "dtype": "float32",
    "scale": 1 / 255,
    "image_shape": (2, 3),
    "class_names": ("a", "b", "ç"),
    "activations": ("tanh",),
    "output": "logistic",
    "dropout": (0.0, 0.5),
    "init": "glorot_uniform",
}


def make_weights(dtype=np.float32, sizes=CONFIG["sizes"]):
    rng = np.random.default_rng(0)
    pairs = zip(sizes, sizes[1:], strict=False)
    return [rng.standard_normal(s).astype(dtype) for n_in, n_out in pairs for s in ((n_in, n_out), n_out)]


def names():
    return [f"layers.{i}.{kind}" for i in range(2) for kind in ("weight", "bias")]


def write_raw(path, header=None, metadata=None, **tensors):
    """Write a file of safetensors as it should not be: one thing changed."""
    header = {"format": 1, **CONFIG} if header is None else header
    metadata = {"fastmlp": json.dumps(header)} if metadata is None else metadata
    kept = {**dict(zip(names(), make_weights(), strict=True)), **tensors}
    path.write_bytes(save({k: v for k, v in kept.items() if v is not None}, metadata=metadata))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_what_is_saved_is_loaded(tmp_path, dtype):
    config = {**CONFIG, "dtype": np.dtype(dtype).name, "image_shape": None, "class_names": None}
    save_model(tmp_path / "m", config, make_weights(dtype))
    got_config, got = load_model(tmp_path / "m")
    assert got_config == DEFAULTS | config
    for g, w in zip(got, make_weights(dtype), strict=True):
        assert g.dtype == dtype and np.array_equal(g, w)


# A file of version 0.1, compressed: MLP([3, 2, 2], seed=0, scale=0.5, image_shape=(1, 3), class_names="ab").
OLD_FILE = (
    "eNq7wMgABtVK8fG5qSWJKYklifHxSlbVSmmJxSW5OQVKVkrVMUrJOYnFxTFKVgoxSr4+ATFKOgpQsfi8xNxUsEx0jFIiRCIpRikW"
    "RKeUVBakQjSl5eQnlhgbQeTT8otyE0tAEoYgbmZuYnpqfHFGIkRxNFDQGKy/ODkxByxkoGcK5mdWQa0y1lEwAqLYWqVaHaWcxMrU"
    "omI9A72kzMRikMvB9gLd7WZspKSjBDZYySraKFZHCey7/LS04tQSoMpoAx2LWGQDylMz0zNKcBthrIPFEAsdYyMkUwxJd4axkY6J"
    "AYoRhBxihM0hJgY6pmaxtbUKIMAABc12l2zjnt/Z+/0Oq/3kzPW2Du/v77uhOd0OJl/5cpn9s+Ii+3/qJvtDfy7cDwDCgqWB"
)


def test_old_files_load_and_are_what_is_written(tmp_path):
    path, again = tmp_path / "old", tmp_path / "new"
    path.write_bytes(zlib.decompress(base64.b64decode(OLD_FILE)))
    model = MLP.load(path)
    assert model.sizes == (3, 2, 2) and model.scale == 0.5 and model.dtype == np.float32
    assert model.image_shape == (1, 3) and model.class_names == ("a", "b")
    np.testing.assert_array_equal(model.get_weights()[2][0], np.float32([1.30400002, 0.94708097]))
    model.save(again)
    assert again.read_bytes() == path.read_bytes()


def header_of(path):
    """The JSON that a model file has in its metadata."""
    whole = path.read_bytes()
    end = 8 + int.from_bytes(whole[:8], "little")
    return json.loads(json.loads(whole[8:end])["__metadata__"]["fastmlp"])


# As version 0.1 wrote it, which knew neither activations nor init.
OLD_HEADER = (
    '{"class": "DigitsClassifier", "class_names": null, "dtype": "float32", "format": 1, '
    '"image_shape": [2, 3], "scale": 0.00392156862745098, "sizes": [6, 4, 3]}'
)


def test_a_header_without_activations_and_init_is_of_relu_and_he_normal(tmp_path):
    write_raw(tmp_path / "old", metadata={"fastmlp": OLD_HEADER})
    config, weights = load_model(tmp_path / "old")
    assert config["activations"] == ("relu",) and config["init"] == "he_normal"
    model = MLP.load(tmp_path / "old")
    assert model.activations == ("relu",) and model.init == "he_normal"
    model.save(tmp_path / "a")
    save_model(tmp_path / "b", config, weights)
    assert header_of(tmp_path / "a") == header_of(tmp_path / "b") == json.loads(OLD_HEADER)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (
            {},
            {"activations": ["tanh"], "dropout": [0.0, 0.5], "init": "glorot_uniform", "output": "logistic"},
        ),
        ({"init": "he_normal", "output": "softmax"}, {"activations": ["tanh"], "dropout": [0.0, 0.5]}),
        ({"activations": ["relu"], "dropout": (0.0, 0.0)}, {"init": "glorot_uniform", "output": "logistic"}),
        (DEFAULTS | {"activations": ["relu"]}, {}),
    ],
)
def test_a_header_says_what_is_not_the_default(tmp_path, changed, said):
    config = {**CONFIG, **changed}
    write_raw(tmp_path / "all", {"format": 1, **config})  # may be said all the same
    save_model(tmp_path / "m", *load_model(tmp_path / "all"))
    header = header_of(tmp_path / "m")
    assert {key: header[key] for key in ("activations", "dropout", "init", "output") if key in header} == said
    lists = {name: tuple(config[name]) for name in ("activations", "dropout")}
    assert load_model(tmp_path / "m")[0] == DEFAULTS | config | lists


def test_the_same_model_gives_the_same_bytes(tmp_path):
    save_model(tmp_path / "a", CONFIG, make_weights())
    backwards = dict(reversed(CONFIG.items()))
    save_model(tmp_path / "b", backwards, [np.asfortranarray(w) for w in make_weights()])
    wide = [np.zeros((*w.shape[:-1], 16), np.float32)[..., : w.shape[-1]] for w in make_weights()]
    for view, w in zip(wide, make_weights(), strict=True):
        view[...] = w
    save_model(tmp_path / "c", CONFIG, wide)
    save_model(tmp_path / "d", *load_model(tmp_path / "a"))
    expected = (tmp_path / "a").read_bytes()
    assert all((tmp_path / name).read_bytes() == expected for name in "bcd")


def test_many_layers_keep_their_order(tmp_path):
    config = {**CONFIG, "sizes": (6, *range(7, 19), 3), "activations": ("tanh", "relu") * 6}
    weights = make_weights(sizes=config["sizes"])
    save_model(tmp_path / "m", config, weights)
    assert [w.shape for w in load_model(tmp_path / "m")[1]] == [w.shape for w in weights]


def refused(path, *said):
    """Loading fails with a ValueError that names the file and says all of `said`."""
    with pytest.raises(ValueError) as caught:
        load_model(path)
    for text in (str(path), "found", "expected", *said):
        assert text in str(caught.value)


def test_every_truncation_is_refused(tmp_path):
    path = tmp_path / "m"
    save_model(path, CONFIG, make_weights())
    whole = path.read_bytes()
    for n in range(len(whole)):
        path.write_bytes(whole[:n])
        refused(path)
    path.write_bytes(whole + b"\0")
    refused(path)


def test_every_damaged_byte_of_the_header_is_refused_or_harmless(tmp_path):
    path = tmp_path / "m"
    save_model(path, CONFIG, make_weights())
    whole = path.read_bytes()
    header_end = 8 + int.from_bytes(whole[:8], "little")
    for i in range(header_end):
        path.write_bytes(whole[:i] + bytes([whole[i] ^ 1]) + whole[i + 1 :])
        try:
            config, weights = load_model(path)
        except ValueError as error:
            assert str(path) in str(error)
        else:  # another scale, another name
            assert config["sizes"] == CONFIG["sizes"] and len(weights) == 4


@pytest.mark.parametrize(
    "content", [b"", b"PK\x03\x04" + bytes(500), b"\x80\x04\x95" + bytes(500), b"{}" * 99]
)
def test_foreign_files_are_refused(tmp_path, content):
    path = tmp_path / "m"
    path.write_bytes(content)
    refused(path)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("sizes", None), ("sizes", [6]), ("sizes", [6, 0, 3]), ("sizes", [6, -4, 3]), ("sizes", [6, 4.0, 3]),
        ("sizes", [6, True, 3]), ("sizes", [6, 2**40, 3]), ("sizes", "643"), ("sizes", {"6": 4}),
        ("class", None), ("class", 3), ("dtype", "float16"), ("dtype", ["float32"]), ("dtype", None),
        ("scale", None), ("scale", "1"), ("scale", True), ("scale", float("nan")), ("scale", float("inf")),
        ("scale", 10**400), ("scale", -(10**400)), ("scale", 1e300), ("scale", 0), ("scale", [1e300] * 6),
        ("scale", [10**400] * 6), ("center", [10**400] * 6), ("center", [1e300] * 6), ("center", [1.0]),
        ("dropout", [2.0, 0.0]), ("dropout", [0.0, 1.0]), ("dropout", [0.0, float("nan")]),
        ("sizes", [10**400, 3]), ("image_shape", [10**400]), ("output", ["softmax"]),
        ("image_shape", [2, 2]), ("image_shape", 6), ("image_shape", [-2, -3]), ("image_shape", [6.0]),
        ("class_names", ["a"]), ("class_names", [1, 2, 3]), ("class_names", "abc"),
        ("activations", None), ("activations", "tanh"), ("activations", []), ("activations", ["tanh"] * 2),
        ("activations", ["tanhh"]), ("activations", ["ReLU"]), ("activations", [2]),
        ("activations", [["tanh"]]),
        ("init", None), ("init", "he"), ("init", 1), ("init", ["he_normal"]),
        ("format", 2), ("format", None),
    ],
)  # fmt: skip
def test_every_value_of_the_configuration_is_checked(tmp_path, key, value):
    write_raw(tmp_path / "m", {"format": 1, **CONFIG, key: value})
    refused(tmp_path / "m", "activation" if key == "activations" else key)  # as the argument is called


@pytest.mark.parametrize("metadata", [{}, {"other": "1"}, {"fastmlp": "no JSON"}, {"fastmlp": "[" * 100_000}])
def test_metadata_of_others_is_refused(tmp_path, metadata):
    write_raw(tmp_path / "m", metadata=metadata)
    refused(tmp_path / "m", "metadata")


@pytest.mark.parametrize("header", [[], 1, None, {}, {"format": 1}, {"format": 1, **CONFIG, "more": 1}])
def test_configurations_of_other_keys_are_refused(tmp_path, header):
    write_raw(tmp_path / "m", metadata={"fastmlp": json.dumps(header)})
    refused(tmp_path / "m")


@pytest.mark.parametrize(
    ("name", "tensor", "said"),
    [
        ("layers.0.weight", None, "tensors"),
        ("layers.2.bias", np.zeros(3, np.float32), "tensors"),
        ("layers.0.weight", np.zeros((4, 6), np.float32), "layers.0.weight"),
        ("layers.0.weight", np.zeros(24, np.float32), "layers.0.weight"),
        ("layers.1.bias", np.zeros((3, 1), np.float32), "layers.1.bias"),
        ("layers.1.bias", np.zeros((), np.float32), "layers.1.bias"),
        ("layers.1.bias", np.zeros(3, np.float64), "layers.1.bias"),
        ("layers.1.bias", np.zeros(3, np.int32), "layers.1.bias"),
        ("layers.1.bias", np.zeros(3, np.float16), "layers.1.bias"),
        ("layers.1.bias", np.array([0, np.nan, 0], np.float32), "layers.1.bias"),
        ("layers.0.bias", np.array([0, 0, 0, np.inf], np.float32), "layers.0.bias"),
    ],
)
def test_every_tensor_is_checked(tmp_path, name, tensor, said):
    write_raw(tmp_path / "m", **{name: tensor})
    refused(tmp_path / "m", said)


@pytest.mark.parametrize(
    ("config", "weights"),
    [
        ({**CONFIG, "scale": np.nan}, make_weights()),
        ({**CONFIG, "sizes": (6, 4, 2)}, make_weights()),
        (CONFIG, make_weights()[:-1]),
        (CONFIG, make_weights(np.float64)),
        (CONFIG, [w * np.float32(np.inf) for w in make_weights()]),
    ],
)
def test_a_model_that_would_not_load_is_not_saved(tmp_path, config, weights):
    with pytest.raises(ValueError, match="found .*, expected"):
        save_model(tmp_path / "m", config, weights)
    assert not list(tmp_path.iterdir())


def deny(path, *args, **kwargs):
    raise PermissionError(errno.EACCES, "Permission denied", str(path))


def test_missing_files_and_folders(tmp_path, monkeypatch):
    with pytest.raises(FileNotFoundError, match="nothing-here"):
        load_model(tmp_path / "nothing-here")
    refused(tmp_path, "folder")
    save_model(tmp_path / "locked", CONFIG, make_weights())
    monkeypatch.setattr("builtins.open", deny)
    with pytest.raises(PermissionError, match="locked"):
        load_model(tmp_path / "locked")
    monkeypatch.undo()
    with pytest.raises(FileNotFoundError, match="no folder"):
        save_model(tmp_path / "nowhere" / "m", CONFIG, make_weights())
    with pytest.raises(ValueError, match="folder"):
        save_model(tmp_path, CONFIG, make_weights())


def test_a_write_that_fails_at_the_end_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "m"
    save_model(path, CONFIG, make_weights())
    before = path.read_bytes()

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="disk full"):
        save_model(path, {**CONFIG, "scale": 2}, make_weights())
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
