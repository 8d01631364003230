"""IDX files as tests write them, in every form that is read."""

import gzip
import zipfile

import numpy as np

CODES = {"u1": 0x08, "i1": 0x09, "i2": 0x0B, "i4": 0x0C, "f4": 0x0D, "f8": 0x0E}


def idx_bytes(array):
    sizes = b"".join(n.to_bytes(4, "big") for n in array.shape)
    code = CODES[array.dtype.str[1:]]
    return bytes([0, 0, code, array.ndim]) + sizes + array.astype(array.dtype.newbyteorder(">")).tobytes()


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


def write_set(folder, prefix="", test="t10k", mark="-", gz=False, **replaced):
    """Write a data set of 6 and 4 images of 5 x 7; give its arrays by name."""
    arrays = {
        "train-images": images(6, 5, 7),
        "train-labels": np.array([0, 1, 2, 0, 1, 2], np.uint8),
        "test-images": images(4, 5, 7),
        "test-labels": np.array([2, 1, 0, 0], np.uint8),
    } | {name.replace("_", "-"): array for name, array in replaced.items()}
    for name, array in arrays.items():
        path = (
            folder / f"{prefix}{name.replace('test', test)}{mark}idx{array.ndim}-ubyte{'.gz' if gz else ''}"
        )
        path.write_bytes(gzip.compress(idx_bytes(array)) if gz else idx_bytes(array))
    return arrays


FORMS = ["raw", "gz", "zip", "gz in zip"]
