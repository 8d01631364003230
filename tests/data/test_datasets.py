"""Data sets of four files: what is found among what else lies in a folder, and what is refused."""

import gzip
import zipfile

import numpy as np
import pytest
from idx_files import idx_bytes, images, store, write_set

from fastmlp import data


def check(got, arrays):
    for array, expected in zip(got, arrays.values(), strict=True):
        np.testing.assert_array_equal(array, expected, strict=True)


def pack(folder, archive):
    """Make a zip archive of all that lies in a folder."""
    with zipfile.ZipFile(archive, "w") as zipped:
        for path in sorted(folder.rglob("*")):
            zipped.write(path, path.relative_to(folder))
    return archive


@pytest.mark.parametrize("gz", [False, True])
@pytest.mark.parametrize("mark", ["-", "."])
@pytest.mark.parametrize("prefix, test", [("", "t10k"), ("emnist-digits-", "test")])
def test_reads_every_naming(tmp_path, prefix, test, mark, gz):
    arrays = write_set(tmp_path, prefix, test, mark, gz)
    check(data.load_idx_dataset(tmp_path, flatten=False), arrays)


def test_flattens(tmp_path):
    arrays = write_set(tmp_path)
    X_train, _, X_test, _ = data.load_idx_dataset(str(tmp_path))
    np.testing.assert_array_equal(X_train, arrays["train-images"].reshape(6, 35), strict=True)
    np.testing.assert_array_equal(X_test, arrays["test-images"].reshape(4, 35), strict=True)


def test_prefers_the_raw_twin(tmp_path):
    write_set(tmp_path, gz=True)
    arrays = write_set(tmp_path, train_labels=np.ones(6, np.uint8), test_labels=np.zeros(4, np.uint8))
    np.testing.assert_array_equal(data.load_idx_dataset(tmp_path)[1], arrays["train-labels"])


@pytest.mark.parametrize(
    "replaced, message",
    [
        (
            {"train_labels": np.zeros(7, np.uint8)},
            "train-labels-idx1-ubyte: found 7 labels, expected 6, .*train-images",
        ),
        (
            {"test_images": images(3, 5, 7)},
            "t10k-labels-idx1-ubyte: found 4 labels, expected 3, .*t10k-images",
        ),
        (
            {"test_images": images(4, 7, 5)},
            "t10k-images-idx3-ubyte: found images of 7 x 5, expected 5 x 7 .*train-images",
        ),
        (
            {"test_labels": np.array([0, 3, 1, 2], np.uint8)},
            "t10k-labels-idx1-ubyte: found label 3 at 1, expected 0 to 2, .*train-labels",
        ),
    ],
)
def test_refuses_files_that_do_not_fit(tmp_path, replaced, message):
    write_set(tmp_path, **replaced)
    with pytest.raises(ValueError, match=f"^{tmp_path}/{message}"):
        data.load_idx_dataset(tmp_path)


def test_refuses_labels_under_an_image_name(tmp_path):
    write_set(tmp_path)
    path = tmp_path / "train-images-idx3-ubyte"
    path.write_bytes(idx_bytes(np.zeros(6, np.uint8)))
    with pytest.raises(ValueError, match=rf"{path}: found uint8 \(6,\), expected images"):
        data.load_idx_dataset(tmp_path)


def test_refuses_a_missing_file(tmp_path):
    write_set(tmp_path)
    (tmp_path / "t10k-labels-idx1-ubyte").unlink()
    message = f"{tmp_path}: found no such file, expected one t10k- or test-labels-idx1-ubyte"
    with pytest.raises(FileNotFoundError, match=message):
        data.load_idx_dataset(tmp_path)


def test_refuses_a_missing_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match=f"{tmp_path}/none: found no such folder, expected"):
        data.load_idx_dataset(tmp_path / "none")


def test_refuses_a_file(tmp_path):
    path = store(tmp_path, "raw", b"")
    with pytest.raises(ValueError, match=f"{path}: found a file, expected a folder"):
        data.load_idx_dataset(path)


# --- what else lies in a folder --------------------------------------------------------------------------


def write_strangers(folder):
    """Names that look like the files', and are not."""
    for name in "train-images-idx3-ubyte.gz.part", "train-labels-idx1-ubyte (1)", "mapping.txt":
        (folder / name).write_text("")
    for name in "._train-images-idx3-ubyte", ".t10k-labels-idx1-ubyte.gz", "t10k-images-idx3-ubyte~":
        (folder / name).write_text("")
    (folder / "__MACOSX").mkdir()
    (folder / "__MACOSX" / "train-images-idx3-ubyte").write_text("")
    for name in "train-labels-idx1-ubyte.gz", "t10k-images.idx3-ubyte", "processed":
        if not (folder / name).exists():
            (folder / name).mkdir()


@pytest.mark.parametrize("twins", [True, False])
@pytest.mark.parametrize("zipped", [False, True])
def test_files_in_folders_of_their_own_names(tmp_path, twins, zipped):
    folder = tmp_path / "archive"
    folder.mkdir()
    arrays = write_set(folder)
    for path in [*folder.iterdir()]:
        path.rename(tmp_path / "moved")
        path.mkdir()
        (tmp_path / "moved").rename(path / path.name)
    if twins:  # with other labels, so that it shows which are read
        arrays = write_set(folder, mark=".", train_labels=np.array([0, 1, 2, 2, 1, 0], np.uint8))
    write_strangers(folder)
    source = pack(folder, tmp_path / "archive.zip") if zipped else folder
    check(data.load_idx_dataset(source, flatten=False), arrays)


@pytest.mark.parametrize("inside", ["", "MNIST/raw", "gzip"])
@pytest.mark.parametrize("zipped", [False, True])
def test_files_up_to_two_folders_down(tmp_path, inside, zipped):
    folder = tmp_path / "data"
    (folder / inside / "a" / "b" / "c").mkdir(parents=True)
    write_set(folder / inside / "a" / "b" / "c", train_labels=np.zeros(6, np.uint8))
    arrays = write_set(folder / inside, gz=True)
    write_strangers(folder)
    source = pack(folder, tmp_path / "data.zip") if zipped else folder
    check(data.load_idx_dataset(source, flatten=False), arrays)
    check(data.load_idx_dataset(source / inside, flatten=False), arrays)


def test_files_three_folders_down_are_not_looked_for(tmp_path):
    (tmp_path / "a" / "b" / "c").mkdir(parents=True)
    write_set(tmp_path / "a" / "b" / "c")
    with pytest.raises(
        FileNotFoundError, match=f"{tmp_path}: found no IDX files, .* or up to 2 folders down"
    ):
        data.load_idx_dataset(tmp_path)
    assert data.load_idx_dataset(tmp_path / "a")[0].shape == (6, 35)


def test_of_a_set_and_an_older_one_below_the_nearest_is_read(tmp_path):
    (tmp_path / "old").mkdir()
    write_set(tmp_path / "old", train_labels=np.zeros(6, np.uint8), test_labels=np.zeros(4, np.uint8))
    arrays = write_set(tmp_path)
    check(data.load_idx_dataset(tmp_path, flatten=False), arrays)
    assert data.load_idx_dataset(tmp_path, name="old")[1].max() == 0


def test_a_file_that_is_left_over_is_no_second_set(tmp_path):
    arrays = write_set(tmp_path)
    (tmp_path / "old-train-images-idx3-ubyte").write_text("")
    check(data.load_idx_dataset(tmp_path, flatten=False), arrays)


def test_refuses_twins_of_which_none_is_the_raw_one(tmp_path):
    write_set(tmp_path)
    write_set(tmp_path, mark=".")
    message = f"{tmp_path}: found train-images-idx3-ubyte, train-images.idx3-ubyte; expected one train-images"
    with pytest.raises(ValueError, match=f"{message}.*move the others away"):
        data.load_idx_dataset(tmp_path)


def test_refuses_an_archive_of_other_things(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "emnist-digits.csv").write_text("")
    archive = pack(tmp_path / "data", tmp_path / "emnist.zip")
    for source in archive, tmp_path / "data":
        with pytest.raises(FileNotFoundError, match=f"{source}: found no IDX files, expected four"):
            data.load_idx_dataset(source)
    for bad in archive / "none", tmp_path / "processed":
        bad.mkdir() if bad.parent == tmp_path else None
        with pytest.raises(FileNotFoundError, match=f"{bad}: found no IDX files, expected four"):
            data.load_idx_dataset(bad)
    archive.write_bytes(archive.read_bytes()[:-9])
    with pytest.raises(ValueError, match=f"{archive}: found a file, expected .*File is not a zip"):
        data.load_idx_dataset(archive)


@pytest.mark.parametrize("written", ["./data/{}", ".\\data\\{}", "data//{}"])
def test_archives_that_write_paths_in_their_own_way(tmp_path, written):
    (tmp_path / "data").mkdir()
    arrays = write_set(tmp_path / "data")
    with zipfile.ZipFile(tmp_path / "data.zip", "w") as zipped:
        for path in (tmp_path / "data").iterdir():
            info = zipfile.ZipInfo("x")
            info.filename = written.format(path.name)  # which it would mend
            zipped.writestr(info, path.read_bytes())
    check(data.load_idx_dataset(tmp_path / "data.zip", flatten=False), arrays)
    got = data.read_idx(tmp_path / "data.zip" / "data" / "train-images-idx3-ubyte")
    np.testing.assert_array_equal(got, arrays["train-images"])


def test_a_member_does_not_lead_out_of_its_archive(tmp_path):
    (tmp_path / "secret").mkdir()
    write_set(tmp_path / "secret")
    archive = tmp_path / "data.zip"
    for parent in str(tmp_path / "secret"), "../secret":
        with zipfile.ZipFile(archive, "w") as zipped:
            for path in (tmp_path / "secret").iterdir():
                zipped.writestr(f"{parent}/{path.name}", "")
        with pytest.raises(FileNotFoundError, match="found no IDX files"):
            data.load_idx_dataset(archive)


# --- several sets, as EMNIST has them --------------------------------------------------------------------


@pytest.fixture(params=["folder", "zip"])
def emnist(request, tmp_path):
    """Give what EMNIST comes as, a folder `gzip` or an archive of it, and the arrays of each set."""
    folder = tmp_path / "emnist" / "gzip"
    folder.mkdir(parents=True)
    sets = {}
    for k, name in enumerate(["balanced", "byclass", "bymerge", "digits", "letters", "mnist"]):
        labels = {"train_labels": np.arange(k, k + 6, dtype=np.uint8), "test_labels": np.full(4, 5, np.uint8)}
        sets[name] = write_set(folder, f"emnist-{name}-", "test", gz=True, **labels)
        (folder / f"emnist-{name}-mapping.txt").write_text("")
    zipped = request.param == "zip"
    return pack(folder.parent, tmp_path / "gzip.zip") if zipped else folder.parent, sets


def test_each_set_is_read_by_its_name(emnist):
    source, sets = emnist
    for name, arrays in sets.items():
        for given in name, name.upper(), f"emnist-{name}", f"gzip/emnist-{name}":
            check(data.load_idx_dataset(source, flatten=False, name=given), arrays)
        check(data.load_idx_dataset(source / "gzip", flatten=False, name=f"emnist-{name}"), arrays)


@pytest.mark.parametrize("given", [None, "emnist", "digit", "gzip", ""])
def test_without_a_name_of_one_set_all_are_named_and_each_of_these_works(emnist, given):
    source, sets = emnist
    with pytest.raises(ValueError) as caught:
        data.load_idx_dataset(source, name=given)
    message, labels = str(caught.value), [f"gzip/emnist-{name}" for name in sets]
    assert message.startswith(f"{source}: found ") and ", ".join(map(repr, labels)) in message
    assert "give one as name='gzip/emnist-balanced', or --set on the command line" in message
    for label, arrays in zip(labels, sets.values(), strict=True):
        check(data.load_idx_dataset(source, False, name=label), arrays)


def test_a_set_without_a_name_beside_others(tmp_path):
    arrays = write_set(tmp_path)
    write_set(
        tmp_path, prefix="emnist-", train_labels=np.zeros(6, np.uint8), test_labels=np.zeros(4, np.uint8)
    )
    with pytest.raises(ValueError, match=f"{tmp_path}: found the sets '', 'emnist'; give one as name=''"):
        data.load_idx_dataset(tmp_path)
    check(data.load_idx_dataset(tmp_path, False, name=""), arrays)


def test_an_incomplete_set_is_named(tmp_path):
    write_set(tmp_path, prefix="emnist-")
    (tmp_path / "emnist-t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(
        FileNotFoundError, match="no such file in the set 'emnist', expected one t10k- or test-l"
    ):
        data.load_idx_dataset(tmp_path)


def test_qmnists_labels_say_the_digit_first(tmp_path):
    arrays = write_set(tmp_path, "qmnist-", "test", gz=True)
    for part in "train", "test":
        (tmp_path / f"qmnist-{part}-labels-idx1-ubyte.gz").unlink()
        labels = np.full((len(arrays[f"{part}-labels"]), 8), 1000, np.int32)
        labels[:, 0] = arrays[f"{part}-labels"]
        (tmp_path / f"qmnist-{part}-labels-idx2-int.gz").write_bytes(gzip.compress(idx_bytes(labels)))
    check(data.load_idx_dataset(tmp_path, flatten=False), arrays)


@pytest.mark.parametrize("flatten", [False, True])
def test_images_on_their_side_and_labels_from_1(tmp_path, flatten):
    labels = {"train_labels": np.uint8([1, 2, 3, 3, 2, 1]), "test_labels": np.uint8([3, 1, 1, 2])}
    arrays = write_set(tmp_path, "emnist-letters-", "test", **labels)
    X, y, X_test, y_test = data.load_idx_dataset(tmp_path, flatten, transpose=True, first_label=1)
    for got, name in (X, "train-images"), (X_test, "test-images"):
        upright = np.array([image.T for image in arrays[name]])
        np.testing.assert_array_equal(got, upright.reshape(-1, 35) if flatten else upright, strict=True)
        assert got.flags.c_contiguous
    np.testing.assert_array_equal(y, np.uint8([0, 1, 2, 2, 1, 0]), strict=True)
    np.testing.assert_array_equal(y_test, np.uint8([2, 0, 0, 1]), strict=True)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"first_label": 1}, "train-labels-idx1-ubyte: found label 0 at 0, expected 1 and up"),
        ({"first_label": 300}, "train-labels-idx1-ubyte: found label 0 at 0, expected 300 and up"),
        ({"first_label": -1}, "first_label is -1, expected a whole number from 0 up"),
        ({"first_label": True}, "first_label is True"),
        ({"first_label": 1.0}, "first_label is 1.0"),
        ({"name": 3}, "name is 3, expected text, or None"),
    ],
)
def test_refuses_options_that_do_not_fit(tmp_path, options, message):
    write_set(tmp_path)
    with pytest.raises(ValueError, match=message):
        data.load_idx_dataset(tmp_path, **options)


def test_labels_of_the_test_data_count_from_the_first_too(tmp_path):
    labels = {"train_labels": np.uint8([1, 2, 3, 3, 2, 1]), "test_labels": np.uint8([3, 1, 4, 2])}
    write_set(tmp_path, **labels)
    with pytest.raises(
        ValueError, match="found label 3 at 2, expected 0 to 2, .*train-labels.*, counted from 1"
    ):
        data.load_idx_dataset(tmp_path, first_label=1)
