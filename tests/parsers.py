"""What reads files from outside: good files of each kind, and what a reader may do with any file at all."""

import gzip
import io
import re
import resource
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from idx_files import CODES, idx_bytes, images

SECONDS = 1.0  # of the processor, for one file
MEGABYTES = 512  # that a process may take which reads files, with all that it has imported


class Parser(NamedTuple):
    """How files of a kind are made and read."""

    make: Callable[[Path], list[bytes]]  # good ones; a folder to write in
    read: Callable[[Path], None]  # raises AssertionError where what was read is not what it should be
    suffix: str = ""  # of the file
    member: str = ""  # of the archive


# --- IDX, gzip and zip -----------------------------------------------------------------------------------


def _idx_files(folder):
    shapes = {"u1": (3, 4, 5), "i1": (7,), "i2": (2, 3), "i4": (2, 8), "f4": (3, 1, 2), "f8": (2, 2)}
    return [idx_bytes(np.ones(shapes[code], code)) for code in CODES] + [idx_bytes(images(2, 3, 4))]


def _zipped(content, method):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        archive.writestr("inner/file", content)
        archive.writestr("other", b"text")
    return stream.getvalue()


def _zip_files(folder):
    plain = idx_bytes(images(3, 4, 5))
    kinds = [(plain, zipfile.ZIP_STORED), (plain, zipfile.ZIP_DEFLATED)]
    return [_zipped(*kind) for kind in [*kinds, (gzip.compress(plain, mtime=0), zipfile.ZIP_STORED)]]


def _read_idx(path):
    from fastmlp import data

    array = data.read_idx(path)
    assert array.dtype.str[1:] in CODES and array.dtype.isnative and array.flags.carray and array.size


# --- pictures --------------------------------------------------------------------------------------------


def _pictures(folder):
    from PIL import Image

    grey = images(1, 9, 7)[0]
    kinds = {
        **{f"grey.{form}": grey for form in "png gif jpg bmp tif pgm tga webp ico jp2".split()},
        "wide.png": grey.astype(np.uint16) * 256, "floats.tif": grey * np.float32(1),
        "colours.png": np.repeat(grey[..., None], 4, axis=2),
        "colours.jpg": np.repeat(grey[..., None], 3, axis=2),
    }  # fmt: skip
    found = []
    for name, pixels in kinds.items():
        Image.fromarray(pixels).save(folder / name)
        found.append((folder / name).read_bytes())
    return found


def _read_picture(path):
    from fastmlp.cli.images import read_images

    pictures, names = read_images(path)
    assert pictures.dtype == np.uint8 and pictures.ndim == 3 and len(names) == len(pictures)


# --- models and checkpoints ------------------------------------------------------------------------------

SIZES = (4, 3, 2)
X, Y = np.linspace(-1, 1, 24, dtype=np.float32).reshape(6, 4), np.array([0, 1, 1, 0, 1, 0])


def _models(folder):
    from fastmlp import MLP

    kinds = [
        {},
        {"dtype": np.float64, "center": np.zeros(4), "scale": np.ones(4), "image_shape": (2, 2)},
        {"class_names": "ab", "activation": "tanh", "dropout": 0.5, "output": "logistic"},
    ]
    for i, options in enumerate(kinds):
        MLP(SIZES, seed=i, **options).save(folder / f"model-{i}")
    return [(folder / f"model-{i}").read_bytes() for i in range(len(kinds))]


def _assert_weights(model):
    shapes = [s for pair in zip(model.sizes, model.sizes[1:], strict=False) for s in (pair, pair[1:])]
    weights = model.get_weights()
    assert [w.shape for w in weights] == shapes
    assert all(w.dtype == model.dtype and np.isfinite(w).all() for w in weights)


def _read_model(path):
    from fastmlp import MLP

    _assert_weights(MLP.load(path))


def train(path, kind, **where):
    """A run of two epochs, which its checkpoint can complete; a model that it gives up on is as it was."""
    from fastmlp import MLP, Adam, EarlyStopping, fit, reference

    model = MLP(SIZES, seed=0, ops=reference)  # nothing is compiled beside the clock
    options = [
        {"optimizer": Adam(0.01), "ema": 0.5},
        {"lr": 0.1, "early_stopping": EarlyStopping(2), "validation_data": (X, Y)},
    ][kind]
    before = [w.tobytes() for w in model.get_weights()]
    try:
        fit(model, X, Y, epochs=2, batch_size=4, seed=1, **options, **{name: path for name in where})
    except Exception:
        assert [w.tobytes() for w in model.get_weights()] == before
        raise
    _assert_weights(model)
    return model


def _checkpoints(folder):
    for kind in range(2):
        train(folder / f"run-{kind}", kind, checkpoint=True)
    return [(folder / f"run-{kind}").read_bytes() for kind in range(2)]


def _read_checkpoint(path):
    train(path, int(b"patience" in path.read_bytes()), resume=True)


PARSERS = {
    "idx": Parser(_idx_files, _read_idx),
    "gzip": Parser(lambda folder: [gzip.compress(c, mtime=0) for c in _idx_files(folder)], _read_idx),
    "zip": Parser(_zip_files, _read_idx, ".zip", "inner/file"),
    "pictures": Parser(_pictures, _read_picture, ".png"),
    "models": Parser(_models, _read_model, ".safetensors"),
    "checkpoints": Parser(_checkpoints, _read_checkpoint, ".safetensors"),
}


def attempt(name, folder, content):
    """Read a file of this content, which must be read or refused as documented; give the error, or None."""
    parser = PARSERS[name]
    archive = folder / f"file{parser.suffix}"
    archive.write_bytes(content)
    path = archive / parser.member if parser.member else archive
    started, error = time.process_time(), None
    try:
        parser.read(path)
    except (ValueError, FileNotFoundError) as refused:
        error = refused
        assert type(error) in (ValueError, FileNotFoundError), repr(error)
        assert str(error).startswith(str(archive)), error
    seconds = time.process_time() - started
    assert seconds < SECONDS, f"{seconds} s, {error}"
    return error


def assert_small():
    """This process has never taken more memory than one that reads files may."""
    status = Path("/proc/self/status")
    if status.exists():  # `ru_maxrss` is of the process that this one was forked from, if that was larger
        (peak,) = re.findall(r"VmHWM:\s*(\d+) kB", status.read_text())
        taken = int(peak) / 2**10
    else:
        taken = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # bytes on macOS
    assert taken < MEGABYTES, f"{taken:.0f} MB"
