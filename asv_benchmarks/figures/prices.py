"""What optimizers, activations and centered inputs cost beside plain steps with ReLU; the recipe for 98 %."""

import statistics
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple

from fastmlp import reference
from fastmlp.bench import LR, SIZES, Timer, require_close, threads, timed
from fastmlp.cli.recipe import MODEL, SMOOTHING, cook
from fastmlp.data import DataLoader, load_mnist
from fastmlp.model import MLP
from fastmlp.optimizers import SGD, Adam, Optimizer
from fastmlp.training import train_epoch

from . import training
from .races import Plan, race_for_medians
from .report import Goal, Row

PLAIN, NESTEROV, ADAM = SGD(LR), SGD(LR, momentum=0.9, nesterov=True), Adam(1e-9)  # rates at rest, as LR is
LEARNING = {"sgd": 0.1, "nesterov": 0.1, "adam": 1e-3}  # rates to be checked with
RECIPE_GOAL = Goal(0.45, 0.2)


@dataclass(frozen=True)
class Variant:
    """What differs from plain steps with ReLU, and what it may cost on two threads, times these."""

    name: str
    goal: Goal | None = None
    optimizer: Optimizer = PLAIN
    model: Any = None  # options
    smoothing: float = 0.0


class Heat(NamedTuple):
    """Variants that are compared on one network and its data."""

    name: str
    sizes: tuple[int, ...]
    loader: DataLoader
    variants: tuple[Variant, ...]
    scale: float = 1.0

    def model(self, variant: Variant, **options: Any) -> MLP:
        """Make a network."""
        return MLP(self.sizes, seed=0, scale=self.scale, **(variant.model or {}), **options)

    def timer(self, variant: Variant) -> Timer:
        """Make a timer of a new order and an epoch of it."""
        return timed(partial(self.train, self.model(variant), self.loader, variant))

    def train(self, model: MLP, loader: DataLoader, variant: Variant, **changed: Any) -> float:
        """Train an epoch, with other numbers of the optimizer where they are given."""
        optimizer = replace(variant.optimizer, **changed)
        return train_epoch(model, loader, optimizer=optimizer, label_smoothing=variant.smoothing)


def heats() -> Iterator[Heat]:
    """Give all that is compared, plain steps first."""
    plain, (small, _, wide, _) = Variant("plain"), training.NETWORKS
    of_small = Variant("Nesterov", Goal(1.2, 1.1), NESTEROV), Variant("Adam", Goal(1.5, 1.25), ADAM)
    yield Heat(str(small), small.sizes, small.loader(), (plain, *of_small))
    activations = (
        Variant(name, Goal(1.15, 1.05), model={"activation": name}) for name in ("tanh", "logistic", "gelu")
    )
    of_wide = Variant("Adam", Goal(1.45, 1.2), ADAM), *activations
    yield Heat(str(wide), wide.sizes, wide.loader(), (plain, *of_wide))
    centered = {"center": MODEL["center"]}
    of_digits = (
        Variant("Nesterov", Goal(1.4, 1.2), NESTEROV),
        Variant("Adam", Goal(1.9, 1.5), ADAM),
        Variant("centered", model=centered),
        Variant("the recipe for 98 %", None, NESTEROV, centered, SMOOTHING),
    )
    yield Heat("MNIST", SIZES, training.prepared(*load_mnist()[:2]), (plain, *of_digits), MODEL["scale"])


def check(plan: Plan) -> int:
    """Compare two batches of each variant, the second a short one, with the reference; how many there are."""
    n_variants = 0
    for heat in heats():
        rows = heat.loader.batch_size + 3
        loader = DataLoader(heat.loader.X[:rows], heat.loader.y[:rows], heat.loader.batch_size)
        for variant in heat.variants:
            model, exact = heat.model(variant), heat.model(variant, dtype="float64", ops=reference)
            before = model.get_weights()
            exact.set_weights(before)
            for each in (model, exact):
                with threads(plan.threads[-1]):
                    heat.train(each, loader, variant, lr=LEARNING[variant.optimizer.kind])
            for got, expected, start in zip(model.get_weights(), exact.get_weights(), before, strict=True):
                require_close(f"an epoch, {variant.name}, {heat.name}", got - start, expected - start)
            n_variants += 1
    return n_variants


def price_rows(plan: Plan) -> Iterator[Row]:
    """Train by turns, with each variant and plainly."""
    n = plan.threads[-1]
    for heat in heats():
        timers = {variant.name: threads(n)(heat.timer(variant)) for variant in heat.variants}
        seconds, rounds = race_for_medians(timers, plan.effort.longer())
        plain, *others = heat.variants
        for variant in others:
            what, goal = f"{variant.name}, {heat.name}", variant.goal if n == 2 else None
            step, plain_step = (1e6 * seconds[v.name] / len(heat.loader) for v in (variant, plain))
            note = f"{step:,.0f} µs a step, plainly {plain_step:,.0f}"
            yield Row(what, n, step / plain_step, "x", rounds, goal, note)


def recipe_rows(plan: Plan) -> Iterator[Row]:
    """Train by the recipe, a seed a round, after one that compiles."""
    n, seeds, data = plan.threads[-1], 3 * plan.effort.least, load_mnist()
    with threads(n):
        _, *outcomes = (cook(seed, *data) for seed in (0, *range(seeds)))
    seconds, right = (statistics.median(getattr(o, name) for o in outcomes) for name in ("seconds", "right"))
    yield Row("preparing and training", n, seconds, "s", seeds, RECIPE_GOAL if n == 2 else None)
    yield Row("test digits that are right", n, 100 * right, "%", seeds)


GROUPS = {
    "Prices, times plain steps with ReLU": price_rows,
    "98 % of MNIST, by the recipe": recipe_rows,
}
