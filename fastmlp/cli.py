"""The command line: train a classifier, evaluate it, read images with it, describe the machine."""

from __future__ import annotations

import argparse
import contextlib
import importlib.metadata
import itertools
import math
import os
import platform
import sys
import tempfile
import textwrap
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TextIO

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from fastmlp.data import DataLoader
    from fastmlp.model import MLP
    from fastmlp.train import History, Record

# Whatever is slow to import is imported by the function that needs it.

_RUN_FILES = ("model.safetensors", "history.csv", "training.png", "samples.png")
_SWITCHES = ("FASTMLP_CACHE", "FASTMLP_NUM_THREADS", "FASTMLP_SKIP_ZEROS", "FASTMLP_VECTOR_BYTES")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments after the program's name, by default those of the process.

    Returns
    -------
    int
        0; 1 for a failure, told in one line on stderr; 2 for wrong usage; 130 for Ctrl-C.
    """
    try:
        args = _parser().parse_args(argv)
        code = args.run(args)
        sys.stdout.flush()
        return code
    except SystemExit as end:  # argparse has shown its help, its version or what is wrong
        return int(end.code or 0)
    except KeyboardInterrupt:
        print("fastmlp: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of a pipe has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 1
    except Exception as error:
        print(f"fastmlp: error: {_in_one_line(error)}", file=sys.stderr)
        return 1


def _in_one_line(error: Exception) -> str:
    if isinstance(error, OSError) and error.filename and error.strerror:
        return f"{error.filename}: {error.strerror}"
    text = " ".join(str(error).split())
    expected = isinstance(error, ValueError | OSError | FloatingPointError | RuntimeError) and text
    return text if expected else f"{type(error).__name__}: {text}"


def _parser() -> argparse.ArgumentParser:
    from fastmlp import __version__

    parser = argparse.ArgumentParser(
        prog="fastmlp",
        description="Train and use multilayer perceptrons on this machine's processor.",
        epilog="Try `fastmlp train`; `fastmlp COMMAND --help` explains a command and gives an example.",
    )
    parser.add_argument("--version", action="version", version=f"fastmlp {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for add in (_add_train, _add_evaluate, _add_predict, _add_info):
        add(commands)
    return parser


def _add_command(
    commands: Any, run: Callable[[argparse.Namespace], int], summary: str, description: str, example: str
) -> Callable[..., Any]:
    command = commands.add_parser(
        run.__name__.strip("_"),
        help=summary,
        description=description,
        epilog=f"example:\n  {example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.set_defaults(run=run)
    return command.add_argument


def _add_train(commands: Any) -> None:
    add = _add_command(
        commands,
        _train,
        "train a classifier of images",
        "Train a classifier on MNIST's 60,000 digits, or on any data set in the same format, and print\n"
        "its loss and F1 scores after each epoch. The model, its history and two pictures are saved in\n"
        "a folder. Ctrl-C ends the run early and saves what there is.",
        "fastmlp train --hidden 128 64 --scale 1/255 --lr 0.1 --epochs 5 --out runs/deeper",
    )
    add(
        "--data",
        type=Path,
        metavar="FOLDER",
        help="folder of four IDX files (default: MNIST, which is built in)",
    )
    add(
        "--hidden",
        type=_count,
        nargs="+",
        default=[128],
        metavar="N",
        help="hidden layers' widths (default: 128)",
    )
    add("--epochs", type=_count, default=20, metavar="N", help="passes over the data (default: %(default)s)")
    add(
        "--batch-size", type=_count, default=128, metavar="N", help="samples in a step (default: %(default)s)"
    )
    add("--lr", type=_positive, default=0.001, help="learning rate (default: %(default)s)")
    add(
        "--scale",
        type=_scale,
        default=1.0,
        help="factor for all pixels, a number or a fraction such as 1/255; scaled pixels want a learning "
        "rate around 0.1 (default: 1, pixels from 0 to 255)",
    )
    add("--seed", type=_seed, default=0, metavar="N", help="of weights and batches (default: %(default)s)")
    add("--threads", type=_count, metavar="N", help="threads to use (default: all that the machine grants)")
    add("--out", type=Path, metavar="FOLDER", help="where to save (default: a new folder runs/DATE_TIME)")


def _add_evaluate(commands: Any) -> None:
    add = _add_command(
        commands,
        _evaluate,
        "score a saved model on test data",
        "Print precision, recall and F1 score of each class on the test images of MNIST, or of any data set\n"
        "in the same format, and save the confusion matrix as a picture.",
        "fastmlp evaluate runs/deeper/model.safetensors",
    )
    add("model", type=Path, metavar="MODEL", help="model file that `fastmlp train` saved")
    add(
        "--data",
        type=Path,
        metavar="FOLDER",
        help="folder of four IDX files (default: MNIST, which is built in)",
    )
    add("--out", type=Path, metavar="PNG", help="the picture (default: confusion.png beside the model)")


def _add_predict(commands: Any) -> None:
    add = _add_command(
        commands,
        _predict,
        "tell what images show",
        "Print the class of each image and its probability. An image is a picture such as a PNG, in grey or\n"
        "in colour, or an IDX file with any number of them. Its sides must be those of the images that the\n"
        "model was trained on, and it must be light on dark, as MNIST is.",
        "fastmlp predict runs/deeper/model.safetensors digit.png --invert",
    )
    add("model", type=Path, metavar="MODEL", help="model file that `fastmlp train` saved")
    add("images", type=Path, nargs="+", metavar="IMAGE", help="picture or IDX file")
    add("--invert", action="store_true", help="the images are dark on light (default: light on dark)")


def _add_info(commands: Any) -> None:
    _add_command(
        commands,
        _info,
        "describe this installation and machine",
        "Print the versions in use, the processor and what of it is used, the folder of unpacked data and\n"
        "compiled code, and the environment variables that change them.",
        "fastmlp info",
    )


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"found {text!r}, expected a whole number from 1")
    return int(text)


def _seed(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"found {text!r}, expected a whole number from 0")
    return int(text)


def _positive(text: str) -> float:
    with contextlib.suppress(ValueError):
        if 0 < (value := float(text)) < math.inf:
            return value
    raise argparse.ArgumentTypeError(f"found {text!r}, expected a finite number above 0")


def _scale(text: str) -> float:
    numerator, slash, denominator = text.partition("/")
    return _positive(str(_positive(numerator) / _positive(denominator))) if slash else _positive(text)


def _train(args: argparse.Namespace) -> int:
    clock = _Clock()
    with clock.part("reading data"):
        data = _read_data(args.data)
    folder = _make_run_folder(args.out)
    try:
        with clock.part("preparing"):
            model, loader = _prepare(args, data)
        _say(_describe_run(args, data, model, folder))
        history = _fit(args, data, model, loader, clock)
    except BaseException:
        with contextlib.suppress(OSError):  # a folder that got nothing goes; rmdir leaves any other
            folder.rmdir()
        raise
    with clock.part("saving"):
        model.save(folder / "model.safetensors")
        history.to_csv(folder / "history.csv")
    with clock.part("pictures"):
        _save_pictures(folder, history, model, data)
    ending = "Interrupted; saved" if history.interrupted else "Saved"
    _say(f"{clock}\n{ending} the model, its history and pictures in {folder}")
    return 130 if history.interrupted else 0


class _Data(NamedTuple):
    """A data set: images (n, n_features) uint8, labels (n,) uint8, and what they are called."""

    X: NDArray[np.uint8]
    y: NDArray[np.uint8]
    X_test: NDArray[np.uint8]
    y_test: NDArray[np.uint8]
    image_shape: tuple[int, ...]
    n_classes: int
    name: str
    class_names: tuple[str, ...] | None


def _read_data(folder: Path | None) -> _Data:
    from fastmlp.data import load_idx_dataset, load_mnist

    if folder is None:
        X, y, X_test, y_test = load_mnist()
        return _Data(X, y, X_test, y_test, (28, 28), 10, "MNIST", tuple("0123456789"))
    X, y, X_test, y_test = load_idx_dataset(folder, flatten=False)
    X_flat, X_test_flat = X.reshape(len(X), -1), X_test.reshape(len(X_test), -1)
    return _Data(X_flat, y, X_test_flat, y_test, X.shape[1:], int(y.max()) + 1, str(folder), None)


def _prepare(args: argparse.Namespace, data: _Data) -> tuple[MLP, DataLoader]:
    from fastmlp.data import DataLoader
    from fastmlp.kernels import machine
    from fastmlp.model import DigitsClassifier

    if args.threads is not None:
        machine.set_num_threads(args.threads)
    model = DigitsClassifier(
        data.X.shape[1],
        args.hidden,
        data.n_classes,
        scale=args.scale,
        image_shape=data.image_shape,
        class_names=data.class_names,
        seed=args.seed,
    )
    _load_kernels(model, data)
    return model, DataLoader(data.X, data.y, args.batch_size, shuffle=True, seed=args.seed)


def _load_kernels(model: MLP, data: _Data) -> None:
    from fastmlp.model import MLP
    from fastmlp.train import train_epoch

    # a tiny model makes Numba load or compile what the run needs, outside the epochs' times
    text = "Compiling the kernels for this machine, which the next run is spared ..."
    note = threading.Timer(2.0, _say, [text, sys.stderr])
    note.daemon = True
    note.start()
    try:
        tiny = MLP([model.n_in, 1, model.n_classes], scale=model.scale, seed=0)
        train_epoch(tiny, data.X[:1], data.y[:1], lr=1e-6, batch_size=1, shuffle=False)
        tiny.predict(data.X[:1])
    finally:
        note.cancel()


def _make_run_folder(out: Path | None) -> Path:
    if out is None:
        folder = _make_new_folder(Path("runs") / time.strftime("%Y-%m-%d_%H-%M-%S"))
    else:
        out.mkdir(parents=True, exist_ok=True)
        folder = out
        for name in _RUN_FILES:
            if (folder / name).exists():
                raise ValueError(
                    f"{folder} holds {name} of an earlier run: give another --out, or move it away"
                )
    with tempfile.TemporaryFile(dir=folder):  # a folder that cannot be written shows now, not after training
        return folder


def _make_new_folder(path: Path) -> Path:
    names = itertools.chain([path.name], (f"{path.name}.{i}" for i in itertools.count(2)))
    while True:
        folder = path.with_name(next(names))
        with contextlib.suppress(FileExistsError):
            folder.mkdir(parents=True)
            return folder


def _describe_run(args: argparse.Namespace, data: _Data, model: MLP, folder: Path) -> str:
    from fastmlp.kernels import machine

    sizes, sides = ("-".join(map(str, model.sizes)), " x ".join(map(str, data.image_shape)))
    return (
        f"Training {sizes} ({model.n_parameters:,} parameters, {np.dtype(model.dtype)}) on {data.name}: "
        f"{len(data.X):,} training and {len(data.X_test):,} test images of {sides}, "
        f"{model.n_classes} classes\nepochs {args.epochs}, batch size {args.batch_size}, "
        f"learning rate {args.lr:g}, scale {args.scale:g}, seed {args.seed}, "
        f"threads {machine.get_num_threads()}; saving in {folder}"
    )


def _fit(args: argparse.Namespace, data: _Data, model: MLP, loader: DataLoader, clock: _Clock) -> History:
    from fastmlp.metrics import evaluate
    from fastmlp.train import History, fit

    with clock.part("scoring"):
        f1_train, f1_test = evaluate(model, data.X, data.y), evaluate(model, data.X_test, data.y_test)
    _say(f"[Untrained] f1 train: {f1_train:.3f}, f1 test: {f1_test:.3f}")
    records: list[Record] = []

    def after_epoch(record: Record) -> None:
        records.append(record)
        clock.add("training", record.seconds)
        _say(f"{record} ({1000 * record.seconds:.0f} ms)")

    start = time.perf_counter()
    try:
        history = fit(
            model,
            loader,
            epochs=args.epochs,
            lr=args.lr,
            validation_data=(data.X_test, data.y_test),
            score_train=True,
            callbacks=[after_epoch],
        )
    except KeyboardInterrupt:
        history = History(records, interrupted=True)
    clock.add("scoring", time.perf_counter() - start - sum(r.seconds for r in records))
    return history


def _save_pictures(folder: Path, history: History, model: MLP, data: _Data) -> None:
    from fastmlp.plotting import plot_samples, plot_training_results

    images, labels = data.X_test[:15], data.y_test[:15]
    predicted = model.predict(images)
    samples = plot_samples(
        images, labels, predicted, class_names=model.class_names, image_shape=data.image_shape
    )
    _save_figure(samples, folder / "samples.png")
    if len(history):
        _save_figure(plot_training_results(history), folder / "training.png")


def _save_figure(figure: Figure, path: Path) -> None:
    from fastmlp.storage import safe_write

    with safe_write(path) as temporary:
        figure.savefig(temporary, format="png")


def _evaluate(args: argparse.Namespace) -> int:
    from sklearn.metrics import classification_report

    from fastmlp.metrics import confusion_matrix
    from fastmlp.model import MLP
    from fastmlp.plotting import plot_confusion

    model, data = MLP.load(args.model), _read_data(args.data)
    predicted = model.predict(data.X_test)
    confusion = confusion_matrix(data.y_test, predicted, model.n_classes)
    names = model.class_names or tuple(map(str, range(model.n_classes)))
    present = np.flatnonzero(confusion.sum(axis=0) + confusion.sum(axis=1))
    shown = [names[k] for k in present]
    _say(classification_report(data.y_test, predicted, target_names=shown, digits=3, zero_division=0))
    picture = args.out or args.model.parent / "confusion.png"
    _save_figure(plot_confusion(confusion, names), picture)
    _say(f"Saved the confusion matrix as {picture}")
    return 0


def _predict(args: argparse.Namespace) -> int:
    from fastmlp.model import MLP

    model = MLP.load(args.model)
    for path in args.images:
        images, names = _read_images(path, args.invert)
        shape = model.image_shape or images.shape[1:]
        if images.shape[1:] != shape:
            found, expected = (" x ".join(map(str, sides)) for sides in (images.shape[1:], shape))
            raise ValueError(
                f"{path}: found an image of {found} pixels (height x width), expected {expected}"
            )
        for name, shares in zip(names, model.predict_proba(images.reshape(len(images), -1)), strict=True):
            best = int(shares.argmax())
            _say(f"{name}: {_class_name(model, best)} ({100 * shares[best]:.1f} %)")
    return 0


def _class_name(model: MLP, k: int) -> str:
    if model.class_names is None:
        return f"class {k}"
    name = model.class_names[k]
    return f"digit {name}" if name.isdecimal() else name


def _read_images(path: Path, invert: bool) -> tuple[NDArray[np.uint8], list[str]]:
    from fastmlp.data import read_idx

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
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as picture:
            if picture.mode.startswith("I"):  # 16 bits a pixel, which Pillow would clip
                return (np.asarray(picture, dtype=np.int64) >> 8).astype(np.uint8)
            colour = picture.convert("RGBA")
    except UnidentifiedImageError:
        raise ValueError(f"{path}: found neither a picture nor an IDX file") from None
    # what is transparent shows the background
    background = Image.new("RGBA", colour.size, "white" if invert else "black")
    return np.asarray(Image.alpha_composite(background, colour).convert("L"))


def _info(args: argparse.Namespace) -> int:
    from fastmlp import __version__
    from fastmlp.kernels import machine

    packages = ("numpy", "numba", "llvmlite", "scikit-learn", "matplotlib", "tqdm", "safetensors")
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in packages)
    used = " ".join(sorted(f[1:] for f in machine.features().split(",") if f.startswith("+")))
    lines = {
        "fastmlp": f"{__version__}, Python {platform.python_version()}, {platform.platform()}",
        "packages": versions,
        "processor": machine.processor(),
        "features": used,
        "threads": machine.get_num_threads(),
        "vectors": f"{machine.vector_bytes()} bytes",
        "cache": _cache_folder(),
    } | {name: os.environ.get(name, "not set") for name in _SWITCHES}
    width = max(map(len, lines))
    for name, text in lines.items():
        indent = " " * (width + 2)
        _say(textwrap.fill(f"{name:{width}}  {text}", 110, subsequent_indent=indent, break_on_hyphens=False))
    return 0


def _cache_folder() -> Path | str:
    from fastmlp.kernels import machine

    try:
        return machine.cache_folder()
    except RuntimeError as error:
        return f"none: {error}"


class _Clock:
    """Where the time of a run goes, in seconds by part."""

    def __init__(self) -> None:
        self.start = time.perf_counter()
        self.parts: dict[str, float] = {}

    def add(self, name: str, seconds: float) -> None:
        self.parts[name] = self.parts.get(name, 0.0) + seconds

    @contextlib.contextmanager
    def part(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.add(name, time.perf_counter() - start)

    def __str__(self) -> str:
        parts = ", ".join(f"{name} {seconds:.2f} s" for name, seconds in self.parts.items())
        return f"Time: {parts}; {time.perf_counter() - self.start:.2f} s in all"


def _say(text: object, file: TextIO | None = None) -> None:
    from tqdm import tqdm

    file = file or sys.stdout
    tqdm.write(str(text), file=file)  # keeps clear of a progress bar
    file.flush()
