"""Images as the command line reads them: every kind of picture alike, and errors that name the file."""

import numpy as np
import pytest
from PIL import Image
from small_runs import write_idx

from fastmlp.cli.images import read_images

# black and white at its edges, so that forms which stretch or clip show
IMAGE = np.uint8([[0, 1, 2, 60], [128, 0, 254, 255], [17, 99, 200, 0]])


def with_alpha(ink):
    """Make a picture that is IMAGE in its alpha, of one ink everywhere."""
    rgba = np.full((*IMAGE.shape, 4), ink, np.uint8)
    rgba[..., 3] = IMAGE
    return Image.fromarray(rgba)


LIGHT = {
    "grey.png": Image.fromarray(IMAGE),
    "colour.png": Image.fromarray(np.repeat(IMAGE[..., None], 3, axis=2)),
    "palette.png": Image.fromarray(IMAGE).convert("P"),
    "transparent.png": with_alpha(255),  # white ink on nothing
    "16-bits.png": Image.fromarray(IMAGE.astype(np.uint16) * 256 + 17),
    "integers.tif": Image.fromarray(IMAGE.astype(np.int32)),
    "floats.tif": Image.fromarray(IMAGE * np.float32(1)),
    "zeros-first.tga": Image.fromarray(IMAGE),  # begins with two bytes of 0, as IDX files do
}
DARK = {"inverted.png": Image.fromarray(255 - IMAGE), "ink.png": with_alpha(0)}  # black ink on nothing


@pytest.mark.parametrize("name", LIGHT | DARK)
def test_every_kind_of_picture_reads_alike(tmp_path, name):
    (LIGHT | DARK)[name].save(tmp_path / name)
    images, names = read_images(tmp_path / name, invert=name in DARK)
    assert images.dtype == np.uint8 and names == [str(tmp_path / name)]
    np.testing.assert_array_equal(images, IMAGE[None])


def test_colours_are_read_as_luminance(tmp_path):
    path = tmp_path / "colours.png"
    Image.fromarray(np.uint8([[[255, 0, 0], [0, 255, 0], [0, 0, 255]]])).save(path)
    np.testing.assert_array_equal(read_images(path)[0], [[[76, 150, 29]]])


def damage(path, image, change):
    image.save(path)
    path.write_bytes(change(path.read_bytes()))


def write_bad_files(folder):
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (60, 60), np.uint8))
    (folder / "text.png").write_text("not a picture")
    (folder / "empty.png").write_bytes(b"")
    damage(folder / "half.png", noise, lambda content: content[:1000])
    damage(folder / "half.tga", noise, lambda content: content[:1000])
    damage(folder / "words.pgm", noise, lambda content: content.replace(b"60 60", b"60 6x"))
    (folder / "bomb.pgm").write_bytes(b"P5 100000 100000 255\n")
    Image.fromarray(np.full((6, 5), 0.5, np.float32)).save(folder / "shares.tif")
    Image.fromarray(np.full((6, 5), 65536, np.int32)).save(folder / "large.tif")
    write_idx(folder / "labels", np.zeros(3, np.uint8))


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("text.png", "found neither a picture nor an IDX file"),
        ("empty.png", "found neither a picture nor an IDX file"),
        ("half.png", "found a picture that cannot be read"),
        ("half.tga", "found a picture that cannot be read"),
        ("words.pgm", "found a picture that cannot be read"),
        ("bomb.pgm", "found a picture that cannot be read .*exceeds limit"),
        ("shares.tif", "found pixels from 0 to 1, expected 0 to 255"),
        ("large.tif", "found pixels from 65536 to 65536 of int32, expected 0 to 65535"),
        ("labels", r"found uint8 \(3,\), expected images, uint8 \(n, rows, columns\)"),
        ("missing.png", "found no such file"),
        (".", "found a folder"),
    ],
)
def test_what_is_no_image_is_refused_by_name(tmp_path, name, reason):
    write_bad_files(tmp_path)
    with pytest.raises((ValueError, FileNotFoundError), match=f"^{tmp_path / name}: {reason}"):
        read_images(tmp_path / name)


def test_a_photograph_stands_as_the_camera_was_held(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned a quarter, clockwise
    Image.fromarray(np.rot90(IMAGE)).save(tmp_path / "turned.png", exif=exif)
    np.testing.assert_array_equal(read_images(tmp_path / "turned.png")[0], IMAGE[None])


@pytest.mark.parametrize(
    "exif", [b"Exif\0\0MM\0*\0\0\0\x08\xff\xff", b"Exif\0\0nonsense"], ids=["cut", "none"]
)
def test_broken_metadata_do_not_hide_a_picture(tmp_path, exif):
    Image.fromarray(IMAGE).save(tmp_path / "odd.png", exif=exif)
    np.testing.assert_array_equal(read_images(tmp_path / "odd.png")[0], IMAGE[None])


@pytest.mark.parametrize("name", ["film.gif", "pages.tif", "film.png", "film.webp"])
def test_several_pictures_in_one_file_are_refused(tmp_path, name):
    pictures = [Image.fromarray(image) for image in (IMAGE, 255 - IMAGE, IMAGE)]
    pictures[0].save(tmp_path / name, save_all=True, append_images=pictures[1:])
    with pytest.raises(ValueError, match=f"{name}: found 3 pictures in one file, expected one; save each"):
        read_images(tmp_path / name)


def test_a_picture_of_many_pixels_is_read_without_a_warning(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)  # of 12: beyond it, and not twice
    Image.fromarray(IMAGE).save(tmp_path / "large.png")
    np.testing.assert_array_equal(read_images(tmp_path / "large.png")[0], IMAGE[None])
