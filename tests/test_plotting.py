"""fastmlp.plotting: what is drawn, and that nothing global is touched."""

import io
import pickle
import subprocess
import sys
import warnings
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from fastmlp.plotting import plot_confusion, plot_samples, plot_training_results, save_figure

TRIPLES = [(900.0, 0.80, 0.81), (300.0, 0.85, 0.84), (90.0, 0.95, 0.91)]
DIGITS = np.arange(6 * 12, dtype=np.uint8).reshape(6, 12)


def render(figure):
    """Draw, so that ticks and texts get their final values; a warning fails the test."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    assert buffer.getvalue().startswith(b"\x89PNG")
    return figure


def texts(axes):
    return [text.get_text() for text in axes.texts]


def test_training_picture_has_the_three_curves():
    axes = render(plot_training_results(TRIPLES)).axes[0]
    loss, f1_train, f1_test = (line.get_ydata() for line in axes.lines)
    np.testing.assert_allclose(loss, [1.0, 1 / 3, 0.1])
    np.testing.assert_array_equal(f1_train, [0.80, 0.85, 0.95])
    np.testing.assert_array_equal(f1_test, [0.81, 0.84, 0.91])
    assert len({line.get_color() for line in axes.lines}) == 3
    assert [t.get_text() for t in axes.get_legend().get_texts()] == [
        "loss, relative to its largest",
        "F1, training data",
        "F1, test data",
    ]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("epoch", "F1 score, relative loss")
    assert sorted(texts(axes)) == ["0.100", "0.910", "0.950"]


def test_training_picture_takes_the_notebooks_legend():
    legend = ["loss (normalized)", "train F1", "test F1"]
    axes = plot_training_results(TRIPLES, legend=legend).axes[0]
    assert [t.get_text() for t in axes.get_legend().get_texts()] == legend


def test_training_picture_takes_records_and_their_epochs():
    records = [
        SimpleNamespace(epoch=7 + i, loss=a, f1_train=b, f1_test=c) for i, (a, b, c) in enumerate(TRIPLES)
    ]
    axes = plot_training_results(records).axes[0]
    np.testing.assert_array_equal(axes.lines[0].get_xdata(), [7, 8, 9])
    np.testing.assert_array_equal(axes.lines[2].get_ydata(), [0.81, 0.84, 0.91])


@pytest.mark.parametrize("n_epochs", [1, 2, 3, 20, 21, 150])
def test_epoch_ticks_are_integers_in_the_picture(n_epochs):
    axes = render(plot_training_results(TRIPLES[:1] * n_epochs)).axes[0]
    low, high = axes.get_xlim()
    shown = [tick for tick in axes.get_xticks() if low <= tick <= high]
    assert shown
    assert all(float(tick).is_integer() and 0 <= tick < n_epochs for tick in shown)


def test_missing_scores_are_left_out():
    axes = plot_training_results([(5.0, None, 0.5), (4.0, None, None), (1.0, None, 0.75)]).axes[0]
    assert [t.get_text() for t in axes.get_legend().get_texts()] == [
        "loss, relative to its largest",
        "F1, test data",
    ]
    np.testing.assert_array_equal(axes.lines[1].get_ydata(), [0.5, np.nan, 0.75])
    assert sorted(texts(axes)) == ["0.200", "0.750"]


def test_close_last_values_do_not_cover_each_other():
    figure = render(plot_training_results([(1.0, 0.900, 0.901), (0.9, 0.900, 0.901)]))
    boxes = [text.get_window_extent() for text in figure.axes[0].texts]
    assert len(boxes) == 3
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])


@pytest.mark.parametrize("loss", [0.0, np.inf, np.nan])
def test_a_loss_that_cannot_be_normalised_still_gives_a_picture(loss):
    axes = render(plot_training_results([(loss, 0.5, 0.5), (0.0, 0.5, 0.5)])).axes[0]
    assert axes.lines[0].get_ydata()[-1] == 0.0


def test_training_picture_refuses_nothing_and_a_wrong_legend():
    with pytest.raises(ValueError, match="no epoch"):
        plot_training_results([])
    with pytest.raises(ValueError, match="legend has 2 names"):
        plot_training_results(TRIPLES, legend=["a", "b"])


def test_samples_mark_the_mistakes_and_nothing_else():
    figure = render(
        plot_samples(DIGITS, [0, 1, 2, 3, 4, 5], [0, 1, 7, 3, 4, 8], image_shape=(3, 4), columns=3)
    )
    titles = [axes.get_title() for axes in figure.axes]
    assert titles[2] == "true 2, predicted 7"
    assert titles[:2] == ["true 0, predicted 0", "true 1, predicted 1"]
    colors = [axes.title.get_color() for axes in figure.axes]
    frames = [axes.spines["left"].get_linewidth() for axes in figure.axes]
    right, wrong = [0, 1, 3, 4], [2, 5]
    assert {colors[i] for i in right} == {"black"}
    assert len({colors[i] for i in wrong}) == 1 and "black" not in {colors[i] for i in wrong}
    assert max(frames[i] for i in right) < min(frames[i] for i in wrong)


def test_samples_show_the_images_in_order_without_ticks():
    figure = plot_samples(DIGITS, range(6), image_shape=(3, 4), rows=2, columns=2)
    assert len(figure.axes) == 4
    for i, axes in enumerate(figure.axes):
        np.testing.assert_array_equal(axes.images[0].get_array(), DIGITS[i].reshape(3, 4))
        assert axes.images[0].get_cmap().name == "gray"
        assert axes.images[0].get_clim() == (0, 255)
        assert not len(axes.get_xticks()) and not len(axes.get_yticks())
        assert axes.get_title() == str(i)


def test_the_grid_is_the_notebooks_by_default_and_no_larger_than_needed():
    images = np.zeros((40, 4))
    images[0] = 1.0
    assert len(plot_samples(images, range(40)).axes) == 15
    figure = render(plot_samples(images[:7], range(7)))
    assert len(figure.axes) == 10
    assert [bool(axes.images) for axes in figure.axes] == [True] * 7 + [False] * 3


def test_samples_write_class_names():
    names = ["T-shirt/top", "ankle boot"]
    figure = plot_samples(np.ones((2, 2, 2)), [0, 1], [1, 1], class_names=names)
    assert figure.axes[0].get_title() == "true T-shirt/top\npredicted ankle boot"


@pytest.mark.parametrize(
    ("arguments", "options", "reason"),
    [
        ((DIGITS, range(5)), {"image_shape": (3, 4)}, "found 6 images, 5 labels and no predictions"),
        ((DIGITS, range(6), [1]), {"image_shape": (3, 4)}, "6 labels and 1 predictions"),
        ((DIGITS[:0], []), {}, "found 0 images"),
        ((DIGITS, range(6)), {}, r"12 pixels, which is not 3 x 3: give image_shape"),
        ((DIGITS, range(6)), {"image_shape": (5, 4)}, "not 5 x 4"),
    ],
)
def test_samples_that_do_not_fit_are_refused(arguments, options, reason):
    with pytest.raises(ValueError, match=reason):
        plot_samples(*arguments, **options)


def test_confusion_writes_every_count_and_colours_shares_of_rows():
    confusion = np.array([[90, 10, 0], [1, 999, 0], [0, 0, 0]])
    figure = render(plot_confusion(confusion, ["cat", "dog", "bird"]))
    axes = figure.axes[0]
    assert texts(axes) == [str(count) for count in confusion.ravel()]
    assert [text.get_position() for text in axes.texts[:4]] == [(0, 0), (1, 0), (2, 0), (0, 1)]
    shown = axes.images[0].get_array()
    np.testing.assert_allclose(shown.filled(0), [[0.9, 0.1, 0], [0.001, 0.999, 0], [0, 0, 0]])
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("predicted class", "true class")
    for labels in (axes.get_xticklabels(), axes.get_yticklabels()):
        assert [label.get_text() for label in labels] == ["cat", "dog", "bird"]


def test_every_count_stands_out_from_its_colour():
    shares = np.rint(10_000 * np.geomspace(0.001, 1, 20)).astype(int)
    confusion = np.diag(shares) + np.roll(np.diag(10_000 - shares), 1, axis=1)
    axes = plot_confusion(confusion).axes[0]
    image = axes.images[0]
    colors = image.cmap(image.norm(image.get_array()))[..., :3].reshape(-1, 3)
    for text, background, count in zip(axes.texts, colors, confusion.ravel(), strict=True):
        if count == 0:
            continue
        linear = np.where(background <= 0.04045, background / 12.92, ((background + 0.055) / 1.055) ** 2.4)
        luminance = linear @ [0.2126, 0.7152, 0.0722]
        contrast = 1.05 / (luminance + 0.05) if text.get_color() == "white" else (luminance + 0.05) / 0.05
        assert contrast >= 4.0  # near the 4.5 that accessibility guides ask of small text


def test_many_classes_are_drawn_without_counts():
    axes = plot_confusion(np.eye(47, dtype=int)).axes[0]
    assert texts(axes) == []
    assert axes.images[0].get_array().shape == (47, 47)


@pytest.mark.parametrize(("confusion", "names"), [(np.ones((2, 3)), None), (np.eye(3), ["a", "b"])])
def test_confusion_that_does_not_fit_is_refused(confusion, names):
    with pytest.raises(ValueError, match="names: expected n x n and n"):
        plot_confusion(confusion, names)


def test_names_are_drawn_as_they_stand():
    names = ["$x^$", "a" * 50, "\tb\ud800"]
    drawn = ["$x^$", "a" * 39 + "…", " b "]
    figure = render(plot_confusion(np.eye(3, dtype=int), names))
    for labels in (figure.axes[0].get_xticklabels(), figure.axes[0].get_yticklabels()):
        assert [label.get_text() for label in labels] == drawn
    figure = render(plot_samples(np.ones((3, 4)), [0, 1, 2], [0, 1, 2], class_names=names))
    titles = [axes.get_title() for axes in figure.axes[:3]]
    assert titles == [f"true {name}\npredicted {name}" for name in drawn]


def test_missing_glyphs_are_told_of_once_and_other_warnings_come_through(tmp_path, monkeypatch):
    figure = plot_confusion(np.eye(2, dtype=int), ["\u55b5\u72ac", "\u55b5"])
    assert save_figure(figure, tmp_path / "a.png") == "\u55b5\u72ac"
    assert save_figure(plot_confusion(np.eye(2, dtype=int)), tmp_path / "a.png") == ""
    monkeypatch.setattr(
        "fastmlp.plotting._as_png", lambda figure: warnings.warn("other", stacklevel=1) or b""
    )
    with pytest.warns(UserWarning, match="other"):
        save_figure(figure, tmp_path / "a.png")


@pytest.mark.parametrize(
    "make",
    [
        lambda: plot_training_results(TRIPLES),
        lambda: plot_samples(DIGITS, range(6), image_shape=(3, 4)),
        lambda: plot_confusion(np.eye(3, dtype=int)),
    ],
    ids=["training", "samples", "confusion"],
)
def test_notebooks_show_the_figures(make):
    figure = make()
    assert figure._repr_png_().startswith(b"\x89PNG")  # what IPython asks an object for
    assert pickle.loads(pickle.dumps(figure))._repr_png_() == figure._repr_png_()


@pytest.mark.parametrize("name", ["images", "labels", "predictions"])
def test_masked_samples_are_refused(name):
    arguments = {"images": np.ones((2, 4)), "labels": np.array([0, 1]), "predictions": np.array([0, 1])}
    arguments[name] = np.ma.array(arguments[name], mask=False)
    plot_samples(**arguments)  # nothing is masked
    arguments[name][0] = np.ma.masked
    with pytest.raises(ValueError, match=f"^{name} .*mask"):
        plot_samples(**arguments)


def test_a_masked_confusion_is_refused():
    with pytest.raises(ValueError, match="^confusion .*mask"):
        plot_confusion(np.ma.masked_equal(np.eye(3), 0))


def test_pyplot_stays_out():
    code = """
import sys
import numpy as np
import fastmlp.plotting as plotting
assert "matplotlib" not in sys.modules, "imported with the module"
for figure in (
    plotting.plot_training_results([(1.0, 0.5, 0.5)]),
    plotting.plot_samples(np.ones((2, 4)), [0, 1], [0, 0]),
    plotting.plot_confusion(np.eye(3)),
):
    figure.savefig(sys.stdout.buffer, format="png")
assert "matplotlib.figure" in sys.modules
assert "matplotlib.pyplot" not in sys.modules, "pyplot"
"""
    root = Path(__file__).parents[1]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, b"")
