"""Images to read: pictures such as PNGs, and IDX files."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastmlp.data import idx

# formats that hold films and pages; others hold a picture in several sizes or layers
_SEQUENCES = ("AVIF", "GIF", "PNG", "TIFF", "WEBP")
# other readers of Pillow's run programs, or take seconds and memory that the file's size says nothing of
_FORMATS = (*_SEQUENCES, "BMP", "DIB", "ICO", "JPEG", "JPEG2000", "MPO", "PCX", "PPM", "SGI", "TGA")
_PIXELS = 2**22  # more than a model's inputs can be, and few enough for half a second


def read_images(path: Path, invert: bool = False) -> tuple[NDArray[np.uint8], list[str]]:
    """Read the image of a picture, or all images of an IDX file.

    Parameters
    ----------
    path : the picture, in grey or in colour, or the IDX file, raw, compressed or in an archive
    invert : the images are dark on light; they are turned round

    Returns
    -------
    images : uint8, (n, height, width), light on dark
    names : n strings, the path, and in an IDX file which image of it

    Raises
    ------
    FileNotFoundError, PermissionError
        There is no such file, or it may not be read.
    ValueError
        The file is neither a picture nor an IDX file of images, or is damaged, or it is a picture of more
        than 2**22 pixels, or of a format such as EPS that takes a program of its own to read.
    """
    if _is_picture(path):
        images, names = _read_picture(path, invert)[None], [str(path)]
    else:
        images = idx.read_images(path)
        names = [f"{path}[{i}]" for i in range(len(images))]
    return (255 - images if invert else images), names


def _is_picture(path: Path) -> bool:
    if not path.is_file():  # may be a member of an archive, in which there are IDX files only
        if any(parent.is_file() for parent in path.parents) or path.is_dir():
            return False
        raise FileNotFoundError(f"{path}: found no such file, expected a picture or an IDX file")
    with open(path, "rb") as file:
        start = file.read(3)
    idx = start[:2] == b"\0\0" and start[2:] >= b"\x08"  # below that are ICO, TGA, AVIF and JPEG 2000
    return not idx and start[:2] not in (b"\x1f\x8b", b"PK")


def _read_picture(path: Path, invert: bool) -> NDArray[np.uint8]:
    from PIL import Image, ImageOps, UnidentifiedImageError  # slow to import

    try:
        # what Pillow warns of is no concern of a picture that can be read
        with warnings.catch_warnings(action="ignore"), _limit(Image), Image.open(path) as picture:
            if picture.format not in _FORMATS:
                raise ValueError(f"a {picture.format}, expected a {', '.join(sorted(_FORMATS))}")
            n_frames = getattr(picture, "n_frames", 1) if picture.format in _SEQUENCES else 1
            with contextlib.suppress(Exception):  # of metadata; those of the picture come again below
                ImageOps.exif_transpose(picture, in_place=True)  # as the camera was held
            wide = picture.mode[0] in "IF"  # more than 8 bits a pixel, which Pillow would clip
            pixels = picture.copy() if wide else picture.convert("RGBA")
    except UnidentifiedImageError:
        raise ValueError(f"{path}: found neither a picture nor an IDX file") from None
    except Exception as error:  # Pillow's readers have no common error
        raise ValueError(f"{path}: found a picture that cannot be read ({error})") from None
    if n_frames > 1:
        raise ValueError(f"{path}: found {n_frames} pictures in one file, expected one; save each as its own")
    if wide:
        return _to_bytes(path, np.asarray(pixels))
    # what is transparent shows the background
    background = Image.new("RGBA", pixels.size, "white" if invert else "black")
    return np.asarray(Image.alpha_composite(background, pixels).convert("L"))


@contextlib.contextmanager
def _limit(module: Any) -> Iterator[None]:
    """Have Pillow refuse what has more pixels, also where a picture lies within another."""
    before = module.MAX_IMAGE_PIXELS  # at twice this it stops warning
    module.MAX_IMAGE_PIXELS = min(before or _PIXELS, _PIXELS // 2)
    try:
        yield
    finally:
        module.MAX_IMAGE_PIXELS = before


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
