"""IDX files as tests write them, in every form that is read."""

import gzip
import zipfile

import numpy as np


def idx_bytes(array):
    sizes = b"".join(n.to_bytes(4, "big") for n in array.shape)
    return bytes([0, 0, 8, array.ndim]) + sizes + array.tobytes()


def store(folder, form, content, method=zipfile.ZIP_DEFLATED):
    """Write content in one of the forms that are read; give the path to read."""
    if form == "raw":
        path = folder / "file"
        path.write_bytes(content)
    elif form == "gz":
        path = folder / "file.gz"
        path.write_bytes(gzip.compress(content, 1))
    else:
        path = folder / "archive.zip" / "inner" / "file"
        with zipfile.ZipFile(folder / "archive.zip", "w", method) as archive:
            archive.writestr("inner/file", gzip.compress(content) if form == "gz in zip" else content)
    return path


def images(n, rows=28, columns=28):
    return np.random.default_rng(n).integers(0, 256, (n, rows, columns), dtype=np.uint8)


FORMS = ["raw", "gz", "zip", "gz in zip"]
