"""Draw engine.png beside this file: the tile, the zeros that are skipped, and the threads."""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from PIL import Image

from fastmlp.data import epoch_order, load_mnist

# Okabe and Ito's colours, told apart by colour-blind readers too; tints of them; shades to write with.
BLUE, ORANGE, GREEN = "#0072b2", "#e08a00", "#009e73"
PALE_BLUE, PALE_ORANGE, PALE_GREEN = "#d3e7f5", "#fdecc8", "#cfeee3"
BROWN, MOSS, INK, GREY, LINE, PALE = "#9a5b00", "#00714f", "#1a1a1a", "#5c5c5c", "#bbbbbb", "#f0f0f0"
TITLE, HEAD = {"size": 21, "weight": "bold"}, {"size": 19, "weight": "bold"}


def write(axes, x, y, text, color=INK, ha="left", size=15, **style):
    """Write text to the right of a place, or around it."""
    axes.text(x, y, text, color=color, ha=ha, va="center", size=size, **style)


def box(axes, x, y, width, height, face, edge="white", line=1.0):
    """Draw a rectangle from its upper left corner."""
    axes.add_patch(Rectangle((x, y), width, height, facecolor=face, edgecolor=edge, linewidth=line))


def arrow(axes, start, end, color):
    """Draw an arrow."""
    look = {"arrowstyle": "-|>", "lw": 2.6, "mutation_scale": 17, "shrinkA": 0, "shrinkB": 0}
    axes.annotate("", end, start, arrowprops={"color": color, **look})


def draw_tile(axes):
    """Draw a tile of the output, what one step of k adds to it, and its prologues and epilogues."""
    steps, now, row, n_rows, vectors, width, height, b_height = 6, 3, 2, 6, 4, 22, 25, 19
    a_left, b_top, left, top, lane = 62, 84, 222, 222, 4
    right, bottom = left + 16 * vectors * lane, top + n_rows * height
    write(axes, 30, 40, "One tile computes every matrix product", **TITLE)
    for k in range(steps):
        for r in range(n_rows):
            face = (ORANGE if r == row else PALE_ORANGE) if k == now else PALE
            box(axes, a_left + k * width, top + r * height, width, height, face)
        box(axes, left, b_top + k * b_height, right - left, b_height, BLUE if k == now else PALE)
    for r in range(n_rows):
        box(axes, left, top + r * height, right - left, height, GREEN if r == row else PALE_GREEN)
    for i in range(1, 16 * vectors):  # between the lanes of the vectors
        for ends in ((b_top + now * b_height, b_top + (now + 1) * b_height), (top, bottom)):
            axes.plot([left + i * lane] * 2, ends, color="white", lw=0.4 if i % 16 else 3)
    box(axes, left, top, right - left, bottom - top, "none", GREEN, 2.5)
    for x, y, right_by, down_by in ((a_left, top - 17, 132, 0), (left - 15, b_top, 0, 114)):
        arrow(axes, (x, y), (x + right_by, y + down_by), GREY)
        write(axes, x - (14 if right_by else 0), y - (14 if down_by else 0), "k", GREY, "center", 17)
    middle = top + (row + 0.5) * height
    arrow(axes, (a_left + (now + 1) * width, middle), (left + 2, middle), ORANGE)
    for x in range(left + 8 * lane, right, 16 * lane):
        arrow(axes, (x, b_top + (now + 1) * b_height), (x, middle - height / 2), BLUE)
    write(axes, a_left + steps * width / 2, bottom + 21, "A", BROWN, "center", **HEAD)
    write(axes, (left + right) / 2, bottom + 21, "C[r] += A[r, k] · B[k]", MOSS, "center", 16, weight="bold")
    write(axes, right + 16, b_top + 11, "B", BLUE, **HEAD)
    write(axes, right + 16, 150, "row k of B: loaded,\n4 vectors", BLUE)
    write(axes, right + 16, 218, "6 numbers of A: each\ncopied to all lanes", BROWN)
    write(axes, right + 16, 310, "6 rows × 4 vectors of C,\nin registers to the end\n(AVX2: 6 × 2)", MOSS)
    for x, cells in (
        (30, ("", "forward", "backward", "step")),
        (160, ("A · B", "X · W", "dY · Wᵀ", "Xᵀ · dY")),
        (280, ("prologue", "bias", "0", "0")),
        (420, ("epilogue", "clamp at 0: ReLU", "0 where ReLU gave 0", "W −= lr · C, no dW stored")),
    ):
        for y, cell in zip((434, 466, 496, 526), cells, strict=True):
            write(axes, x, y, cell, GREY if y == 434 else INK, weight="bold" if x == 30 else "normal")
    axes.plot([30, 745], [450, 450], color=LINE, lw=1)


def draw_skipping(axes, left=800, top=292, side=238, first=4, group=2):
    """Draw a group of samples, the OR of their masks and the indices that come of it."""
    images = load_mnist()[0]
    alive = images != 0
    groups = alive[epoch_order(len(alive), [0, 0])].reshape(-1, group, alive.shape[1])
    write(axes, left, 40, "Products with 0 are skipped", **TITLE)
    for i in range(group):
        x, image = left + 172 * i, images[first + i].reshape(28, 28)
        axes.imshow(255 - image, "gray", vmin=0, vmax=255, extent=(x, x + 140, 212, 72))
        box(axes, x, 72, 140, 140, "none", LINE)
        write(axes, x + 70, 231, f"{(image != 0).mean():.0%} not 0", GREY, "center")
        write(axes, x - 16, 142, "or" if i else "", BLUE, "center", 16, weight="bold")
    share = "2 samples (AVX2: 4) share\nindices: the pixels that are\nnot 0 in one of them or both."
    write(axes, left + 172 * group, 142, share)
    arrow(axes, (left + side / 2, 250), (left + side / 2, top - 6), BLUE)
    visited = alive[first : first + group].any(axis=0)
    colors = np.where(visited.reshape(28, 28, 1), (0, 114, 178), (238, 238, 238)).astype(np.uint8)
    axes.imshow(colors, extent=(left, left + side, top + side, top), interpolation="nearest")
    ks, x = np.flatnonzero(visited), left + side + 30
    write(axes, x, top + 12, f"{len(ks)} of {visited.size} pixels: {visited.mean():.0%}", BLUE, **HEAD)
    write(axes, x, top + 52, f"indices: {ks[0]}, {ks[1]}, {ks[2]}, {ks[3]}, … {ks[-1]}", BLUE)
    write(axes, x, top + 102, "For these 2 rows of C, k runs over\nthese alone, not over all pixels.")
    write(axes, x, top + 158, f"Average of a whole epoch: {groups.any(axis=1).mean():.0%}.")
    write(axes, x, top + 213, "The results are the same, bit for\nbit. Dense data run without them.")


def draw_threads(axes, top=565, left=150):
    """Draw two threads on their way through a batch."""
    write(axes, 30, top + 24, "Threads go through each batch together", **TITLE)
    box(axes, 1002, top + 13, 7, 26, INK, INK)
    write(axes, 1018, top + 26, "barrier, about 0.1 µs  ·  one call an epoch", GREY)
    arrow(axes, (left, top + 308), (1470, top + 308), GREY)
    write(axes, 30, top + 308, "time", GREY, size=16)
    pad = {"facecolor": "white", "edgecolor": "none"}
    write(axes, 735, top + 308, "each thread’s columns of W stay in its own cache", GREY, "center", bbox=pad)
    whole = ("all rows, for\nthis thread", "all rows, for\nthis thread"), 0, 0
    rows = ("upper rows\nof the batch", "lower rows\nof the batch"), 0, 25
    columns = ("left columns\nof W", "right columns\nof W"), 25, 0
    phases = (  # until when, what, how it is shared out, how long each thread takes
        (430, "load samples,\nindex what is not 0", whole, (258, 258)),
        (700, "hidden layer", columns, (228, 246)),
        (1050, "last layer, loss,\ngradients", rows, (326, 308)),
        (1320, "weight gradients\nand step, in one", columns, (230, 246)),
        (1480, "", None, (140, 140)),
    )
    for end, title, shares, lengths in phases:
        if title != "hidden layer":  # which reads what its own thread has loaded
            axes.plot([left, left], [top + 108, top + 286], color=INK, lw=5, solid_capstyle="butt")
        write(axes, (left + end) / 2, top + 82, title, ha="center", weight="bold", linespacing=1.1)
        for i, (color, pale) in enumerate(((BLUE, PALE_BLUE), (ORANGE, PALE_ORANGE))):
            x, y = left + 10, top + 122 + 82 * i
            box(axes, x, y, lengths[i], 68, pale)
            if shares:
                texts, by_columns, by_rows = shares
                box(axes, x + 12, y + 9, 50, 50, "white", color, 1.5)
                part = x + 12 + i * by_columns, y + 9 + i * by_rows, 50 - by_columns, 50 - by_rows
                box(axes, *part, color, color)
                write(axes, x + 74, y + 34, texts[i], linespacing=1.1)
            else:
                write(axes, x + 70, y + 34, "next batch", GREY, "center")
                write(axes, 30, y + 34, f"thread {i}", (BLUE, BROWN)[i], size=16, weight="bold")
        left = end


def main():
    """Draw and write the picture."""
    figure = Figure(figsize=(15, 9), dpi=100)
    axes = figure.add_axes((0, 0, 1, 1), frame_on=False)
    for draw in (draw_tile, draw_skipping, draw_threads):
        draw(axes)
    axes.set(xlim=(0, 1500), ylim=(900, 0), aspect="auto", xticks=[], yticks=[])
    path = Path(__file__).with_suffix(".png")
    figure.savefig(path)
    Image.open(path).convert("RGB").quantize(128).save(path, optimize=True)  # a third of the bytes


if __name__ == "__main__":
    main()
