"""Images to read: pictures such as PNGs, and IDX files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastmlp.data import read_idx


def read_images(path: Path, invert: bool = False) -> tuple[NDArray[np.uint8], list[str]]:
    """Read the image of a picture, or all images of an IDX file.

    Parameters
    ----------
    path : Path
        The picture, in grey or in colour, or the IDX file, raw, compressed or in an archive.
    invert : bool
        Whether the images are dark on light; they are turned round.

    Returns
    -------
    images : (n, height, width) uint8
        Light on dark.
    names : list of n str
        The path, and in an IDX file which image of it.

    Raises
    ------
    ValueError, OSError
        If there is no such file, or it is neither a picture nor an IDX file of images.
    """
    if _is_picture(path):
        images, names = _read_picture(path, invert)[None], [str(path)]
    else:
        images = read_idx(path)
        if images.ndim != 3:
            raise ValueError(f"{path}: found an IDX file of labels, expected one of images")
        names = [f"{path}[{i}]" for i in range(len(images))]
    return (255 - images if invert else images), names


def _is_picture(path: Path) -> bool:
    if not path.is_file():  # may be a member of an archive, in which there are IDX files only
        if any(parent.is_file() for parent in path.parents) or path.is_dir():
            return False
        raise FileNotFoundError(f"{path}: found no such file, expected a picture or an IDX file")
    with open(path, "rb") as file:
        return file.read(2) not in (b"\0\0", b"\x1f\x8b", b"PK")


def _read_picture(path: Path, invert: bool) -> NDArray[np.uint8]:
    from PIL import Image, UnidentifiedImageError  # slow to import

    try:
        with Image.open(path) as picture:
            if picture.mode[0] in "IF":  # more than 8 bits a pixel, which Pillow would clip
                return _to_bytes(path, np.asarray(picture))
            colour = picture.convert("RGBA")
    except UnidentifiedImageError:
        raise ValueError(f"{path}: found neither a picture nor an IDX file") from None
    except OSError as error:
        raise ValueError(f"{path}: found a damaged picture ({error})") from None
    # what is transparent shows the background
    background = Image.new("RGBA", colour.size, "white" if invert else "black")
    return np.asarray(Image.alpha_composite(background, colour).convert("L"))


def _to_bytes(path: Path, pixels: NDArray[Any]) -> NDArray[np.uint8]:
    """Give pixels of 16 bits, or of a wider type with the values of bytes, as bytes."""
    largest = 2**16 if pixels.dtype.kind in "iu" else 2**8
    if not (0 <= pixels.min() and pixels.max() < largest):  # false for NaN
        raise ValueError(
            f"{path}: found pixels from {pixels.min()} to {pixels.max()} of {pixels.dtype}, expected 0 to "
            f"{largest - 1}; save it with 8 bits a pixel"
        )
    if pixels.dtype.kind == "f" and 0 < pixels.max() <= 1:
        raise ValueError(f"{path}: found pixels from 0 to 1, expected 0 to 255; save it with 8 bits a pixel")
    narrow = pixels.dtype.itemsize > 2 and pixels.max() < 2**8
    return (pixels if narrow else pixels // 2**8).astype(np.uint8)
